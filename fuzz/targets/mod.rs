//! What is done with bytes from outside: one function a target, which panics when a promise is broken.
//!
//! The fuzzer's programs call these, and so does `tests/corpus.rs`, which replays the kept inputs on every test run without a
//! fuzzer. The list is the whole registration: its names are those of the folders in `fuzz/corpus`.

pub mod allocation;
pub mod batches;
pub mod checkpoints;
pub mod coordinator;
pub mod disk;
pub mod log_files;
pub mod metadata;
pub mod seeds;
pub mod settings;
pub mod wire;

pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]),
}

macro_rules! targets {
    ($($room:ident::$name:ident)*) => {
        pub const TARGETS: &[Target] = &[$(Target { name: stringify!($name), run: $room::$name }),*];
    };
}

targets! {
    wire::frame wire::request wire::produce wire::fetch
    batches::record_batch batches::gzip batches::snappy batches::lz4 batches::zstd
    log_files::segment log_files::offset_index log_files::time_index log_files::txn_index
    log_files::producer_snapshot
    checkpoints::data_directory checkpoints::log_checkpoints
    metadata::metadata_log metadata::metadata_machine
    coordinator::group_records coordinator::transaction_records coordinator::group_machine
    settings::config settings::names
}

/// Bytes that choose: each question takes some, and gets zeros when they have run out.
pub struct Choices<'a>(pub &'a [u8]);

impl<'a> Choices<'a> {
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    pub fn below(&mut self, end: u8) -> usize {
        usize::from(self.byte() % end)
    }

    pub fn bool(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    pub fn u16(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// At most `len` bytes.
    pub fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
