//! `<base offset>.index`: where in the `.log` file to begin looking for an offset. 8 bytes an entry, big-endian:
//!
//! | at | size | field |
//! |---|---|---|
//! | 0 | 4 | last offset of a batch, relative to the segment's base offset |
//! | 4 | 4 | position of that batch in the log file |
//!
//! One entry at most every `index.interval.bytes`. Both fields grow strictly. See `index.rs` for what a crash leaves.

use super::index::{Entry, Index};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OffsetEntry {
    pub relative_offset: i32,
    pub position: u32,
}

pub(super) type OffsetIndex = Index<OffsetEntry>;

impl Entry for OffsetEntry {
    const SIZE: usize = 8;
    type Key = i32;

    fn key(&self) -> i32 {
        self.relative_offset
    }

    fn read(bytes: &[u8]) -> Self {
        let (offset, position) = bytes.split_at(4);
        OffsetEntry {
            relative_offset: i32::from_be_bytes(offset.try_into().expect("four bytes")),
            position: u32::from_be_bytes(position.try_into().expect("an entry has eight bytes")),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.relative_offset.to_be_bytes());
        out.extend(self.position.to_be_bytes());
    }
}
