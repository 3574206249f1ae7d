//! Frames: a four-byte length, then that many bytes. The buffer grows with the bytes that have come, never with the length
//! that was declared (S1, S2).

use bytes::{Buf, Bytes, BytesMut};

use crate::memory::shares::FIRST_READ_BYTES;

/// With less room than this left in the buffer, the next read gets a new one.
const LEAST_READ_BYTES: usize = 2 * 1024;
/// What a declared length may reserve at once. Frames beyond it double the buffer as their bytes arrive.
const TRUSTED_BYTES: usize = 128 * 1024;

/// Cuts frames out of a stream of bytes.
#[derive(Debug)]
pub struct FrameReader {
    buffer: BytesMut,
    max_bytes: usize,
}

/// A length that no frame may have; the connection ends.
#[derive(Debug, PartialEq, Eq)]
pub struct BadLength {
    pub declared: i32,
    pub max_bytes: usize,
}

impl std::fmt::Display for BadLength {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let known = match &self.declared.to_be_bytes() {
            b"GET " | b"POST" | b"HEAD" | b"PUT " => " (this looks like HTTP; this port speaks the Kafka protocol)",
            [0x16, 0x03, ..] => " (this looks like TLS; this listener is PLAINTEXT)",
            _ => "",
        };
        write!(f, "frame length {} is not within 1 and {}{known}", self.declared, self.max_bytes)
    }
}

impl FrameReader {
    /// `max_bytes`: the largest frame accepted (`socket.request.max.bytes`).
    pub fn new(max_bytes: usize) -> Self {
        FrameReader { buffer: BytesMut::new(), max_bytes }
    }

    /// The next whole frame, without its length; `None` while bytes are missing.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, BadLength> {
        let Some(len) = self.declared()? else { return Ok(None) };
        if self.buffer.len() < 4 + len {
            return Ok(None);
        }
        self.buffer.advance(4);
        Ok(Some(self.buffer.split_to(len).freeze()))
    }

    /// How large the buffer must be for the next read from the socket.
    pub fn needed(&self) -> usize {
        let (len, spare) = (self.buffer.len(), self.buffer.capacity() - self.buffer.len());
        match self.declared() {
            Ok(Some(declared)) => {
                let missing = (4 + declared).saturating_sub(len).max(1);
                if spare >= missing.min(LEAST_READ_BYTES) { len } else { len + missing.min(len.max(TRUSTED_BYTES)) }
            }
            _ if spare >= LEAST_READ_BYTES => len,
            _ => (len + LEAST_READ_BYTES).max(FIRST_READ_BYTES),
        }
    }

    /// How large it must be for all of the frame that has begun.
    pub fn whole(&self) -> usize {
        self.declared().ok().flatten().map_or(0, |declared| 4 + declared)
    }

    /// The buffer, with room for the next read.
    pub fn room(&mut self) -> &mut BytesMut {
        let more = self.needed() - self.buffer.len();
        if more > 0 {
            self.buffer.reserve(more);
        }
        &mut self.buffer
    }

    /// The next frame is all there.
    pub fn has_whole_frame(&self) -> bool {
        let whole = self.whole();
        whole > 0 && self.buffer.len() >= whole
    }

    /// A frame has begun and is not whole.
    pub fn is_mid_frame(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// How much of what is not handed out yet has come.
    pub fn received(&self) -> usize {
        self.buffer.len()
    }

    /// Gives the memory back; only between frames.
    pub fn shrink(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
    }

    fn declared(&self) -> Result<Option<usize>, BadLength> {
        let Some(prefix) = self.buffer.first_chunk::<4>() else { return Ok(None) };
        let declared = i32::from_be_bytes(*prefix);
        match usize::try_from(declared) {
            Ok(len) if len > 0 && len <= self.max_bytes => Ok(Some(len)),
            _ => Err(BadLength { declared, max_bytes: self.max_bytes }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(bytes: &[u8]) -> FrameReader {
        let mut reader = FrameReader::new(1 << 20);
        reader.room().extend_from_slice(bytes);
        reader
    }

    #[test]
    fn frames_come_out_whole_and_in_order() {
        let mut reader = fed(&[0, 0, 0, 2, 1, 2, 0, 0, 0, 1, 3, 0, 0]);
        assert_eq!(reader.next_frame().unwrap().unwrap(), &[1u8, 2][..]);
        assert_eq!(reader.next_frame().unwrap().unwrap(), &[3u8][..]);
        assert_eq!(reader.next_frame(), Ok(None));
        assert!(reader.is_mid_frame());
    }

    /// S1: negative, zero and over-long lengths end the connection.
    #[test]
    fn s1_a_length_that_cannot_be_is_refused() {
        for declared in [-1i32, 0, i32::MIN, (1 << 20) + 1, i32::MAX] {
            let mut reader = fed(&declared.to_be_bytes());
            assert_eq!(reader.next_frame(), Err(BadLength { declared, max_bytes: 1 << 20 }));
        }
    }

    /// S2: a peer that declares a megabyte and sends nothing costs what it is trusted with, not what it declared.
    #[test]
    fn s2_memory_follows_bytes_received() {
        let mut reader = FrameReader::new(100 << 20);
        reader.room().extend_from_slice(&(90_000_000i32).to_be_bytes());
        assert!(reader.room().capacity() <= 2 * TRUSTED_BYTES);
    }

    #[test]
    fn http_and_tls_are_named() {
        let http = BadLength { declared: i32::from_be_bytes(*b"GET "), max_bytes: 1 };
        assert!(http.to_string().contains("HTTP"));
        let tls = BadLength { declared: i32::from_be_bytes([0x16, 3, 1, 2]), max_bytes: 1 };
        assert!(tls.to_string().contains("TLS"));
    }
}
