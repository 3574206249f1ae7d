//! What a tool prints: buffered, and quiet when nobody reads any more (`kafka-topics --list | head -1`).

use std::io::{self, BufWriter, Write};

pub struct Output {
    out: BufWriter<io::Stdout>,
    broken: bool,
}

impl Output {
    pub fn new() -> Output {
        Output { out: BufWriter::with_capacity(64 << 10, io::stdout()), broken: false }
    }

    pub fn line(&mut self, text: impl AsRef<str>) {
        self.bytes(text.as_ref().as_bytes());
        self.bytes(b"\n");
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.broken |= self.out.write_all(bytes).is_err();
    }

    pub fn flush(&mut self) {
        self.broken |= self.out.flush().is_err();
    }

    /// Nobody reads what is printed: who would print for ever should end.
    pub fn is_broken(&self) -> bool {
        self.broken
    }
}
