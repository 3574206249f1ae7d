//! `<base offset>.timeindex`: where to begin looking for a time. 12 bytes an entry, big-endian:
//!
//! | at | size | field |
//! |---|---|---|
//! | 0 | 8 | the largest timestamp in the segment so far |
//! | 8 | 4 | last offset of the batch that has it, relative to the segment's base offset |
//!
//! Timestamps grow strictly, so not every offset index entry has one here. The last entry of a closed segment tells its
//! largest timestamp. See `index.rs` for what a crash leaves.

use super::index::{Entry, Index};
use crate::types::Timestamp;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimeEntry {
    pub timestamp: Timestamp,
    pub relative_offset: i32,
}

pub(super) type TimeIndex = Index<TimeEntry>;

impl Entry for TimeEntry {
    const SIZE: usize = 12;
    type Key = Timestamp;

    fn key(&self) -> Timestamp {
        self.timestamp
    }

    fn read(bytes: &[u8]) -> Self {
        let (timestamp, offset) = bytes.split_at(8);
        TimeEntry {
            timestamp: Timestamp(i64::from_be_bytes(timestamp.try_into().expect("eight bytes"))),
            relative_offset: i32::from_be_bytes(offset.try_into().expect("an entry has twelve bytes")),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.timestamp.0.to_be_bytes());
        out.extend(self.relative_offset.to_be_bytes());
    }
}
