//! `<base offset>.txnindex`: the aborted transactions whose marker lies in the segment. 34 bytes an entry, big-endian:
//!
//! | at | size | field |
//! |---|---|---|
//! | 0 | 2 | version, 0 |
//! | 2 | 8 | producer id |
//! | 10 | 8 | first offset of the transaction |
//! | 18 | 8 | last offset: that of its marker |
//! | 26 | 8 | last stable offset when the marker was written |
//!
//! The last offsets grow strictly. There is no file where nothing was aborted. A file that breaks these rules is made again
//! from the log. Unlike the other two indexes it is flushed with the log, since a missing entry cannot be noticed by
//! whoever reads, and would show aborted records as good ones (I48).

use std::borrow::Cow;
use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::checkpoint;
use super::disk::{Disk, DiskFile};
use super::error::{Context, Error};
use crate::types::{Offset, ProducerId};

const ENTRY_LEN: usize = 34;

/// One aborted transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedEntry {
    pub producer_id: ProducerId,
    pub first_offset: Offset,
    /// The offset of the marker.
    pub last_offset: Offset,
    /// The last stable offset when the marker was written: everything below was decided by then, so who reads below it
    /// need not look at later entries.
    pub last_stable_offset: Offset,
}

impl AbortedEntry {
    pub fn encode(&self) -> [u8; ENTRY_LEN] {
        let mut bytes = [0; ENTRY_LEN];
        let fields = [self.producer_id.0, self.first_offset.0, self.last_offset.0, self.last_stable_offset.0];
        for (place, field) in bytes[2..].chunks_exact_mut(8).zip(fields) {
            place.copy_from_slice(&field.to_be_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8; ENTRY_LEN]) -> Option<AbortedEntry> {
        let field = |at: usize| i64::from_be_bytes(*bytes[at..].first_chunk().expect("an entry has 34 bytes"));
        let entry = AbortedEntry {
            producer_id: ProducerId(field(2)),
            first_offset: Offset(field(10)),
            last_offset: Offset(field(18)),
            last_stable_offset: Offset(field(26)),
        };
        let orderly = entry.producer_id.is_some() && entry.first_offset >= Offset::ZERO;
        (bytes[..2] == [0, 0] && orderly && entry.first_offset < entry.last_offset).then_some(entry)
    }
}

/// The content of a file, or `None` if it breaks the rules.
pub fn parse(content: &[u8]) -> Option<Vec<AbortedEntry>> {
    let (entries, rest) = content.as_chunks::<ENTRY_LEN>();
    let entries: Vec<AbortedEntry> = entries.iter().map(AbortedEntry::decode).collect::<Option<_>>()?;
    let grows = entries.windows(2).all(|pair| pair[0].last_offset < pair[1].last_offset);
    (rest.is_empty() && grows).then_some(entries)
}

pub(super) struct TxnIndex {
    path: PathBuf,
    /// All entries while the segment takes writes; a closed one reads its file when asked.
    entries: Option<Vec<AbortedEntry>>,
    /// The length of the file, 0 where there is none.
    stored: u64,
    /// Do memory and file differ?
    dirty: bool,
}

impl TxnIndex {
    /// An index whose file, if there is one, has not been looked at.
    pub fn unread(path: PathBuf, stored: u64) -> Self {
        TxnIndex { path, entries: if stored > 0 { None } else { Some(Vec::new()) }, stored, dirty: false }
    }

    /// The length of the file, 0 where there is none.
    pub fn stored_bytes(&self) -> u64 {
        self.stored
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Is memory ahead of the file?
    pub fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// The entries; `None` if the file breaks the rules.
    pub fn entries(&self, disk: &dyn Disk) -> Result<Option<Cow<'_, [AbortedEntry]>>, Error> {
        if let Some(entries) = &self.entries {
            return Ok(Some(Cow::Borrowed(entries)));
        }
        let content = checkpoint::read(disk, &self.path)?.unwrap_or_default();
        Ok(parse(&content).filter(|entries| !entries.is_empty()).map(Cow::Owned))
    }

    /// Takes the entries into memory, before the file's name goes. Damaged ones stay damaged.
    pub fn hold(&mut self, disk: &dyn Disk) -> Result<(), Error> {
        if let Some(Cow::Owned(entries)) = self.entries(disk)? {
            self.entries = Some(entries);
        }
        Ok(())
    }

    /// Replaces all entries; unless the file has the same, it follows at the next `store`.
    pub fn set(&mut self, entries: Vec<AbortedEntry>, stored_so: bool) {
        self.dirty = !stored_so && (self.stored > 0 || !entries.is_empty());
        self.entries = Some(entries);
    }

    /// Adds an entry to a segment that takes writes.
    pub fn push(&mut self, entry: AbortedEntry) {
        let entries = self.entries.get_or_insert_default();
        debug_assert!(entries.last().is_none_or(|last| last.last_offset < entry.last_offset), "markers come in order");
        entries.push(entry);
        self.dirty = true;
    }

    /// Writes the file anew if memory is ahead of it; what is returned has yet to be flushed.
    pub fn store(&mut self, disk: &dyn Disk) -> Result<Option<Arc<dyn DiskFile>>, Error> {
        let (Some(entries), true) = (&self.entries, self.dirty) else { return Ok(None) };
        if entries.is_empty() {
            if self.stored > 0 {
                disk.remove_file(&self.path).context("remove", &self.path)?;
            }
            (self.stored, self.dirty) = (0, false);
            return Ok(None);
        }
        let bytes: Vec<u8> = entries.iter().flat_map(AbortedEntry::encode).collect();
        let file = disk.open(&self.path, true).context("create", &self.path)?;
        file.write_all_at(&[IoSlice::new(&bytes)], 0).context("write", &self.path)?;
        file.set_len(bytes.len() as u64).context("truncate", &self.path)?;
        (self.stored, self.dirty) = (bytes.len() as u64, false);
        Ok(Some(file))
    }

    /// Forgets what the file has too: the segment was closed.
    pub fn release(&mut self) {
        if self.stored > 0 && !self.dirty {
            self.entries = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(first: i64, last: i64) -> AbortedEntry {
        AbortedEntry {
            producer_id: ProducerId(7),
            first_offset: Offset(first),
            last_offset: Offset(last),
            last_stable_offset: Offset(last + 1),
        }
    }

    #[test]
    fn entries_read_back_and_a_file_that_breaks_the_rules_is_refused_i14() {
        let content: Vec<u8> = [entry(0, 5), entry(2, 9)].iter().flat_map(AbortedEntry::encode).collect();
        assert_eq!(parse(&content), Some(vec![entry(0, 5), entry(2, 9)]));
        assert_eq!(parse(&content[..67]), None);
        assert_eq!(parse(&[0; 34]), None);
        let swapped: Vec<u8> = [entry(2, 9), entry(0, 5)].iter().flat_map(AbortedEntry::encode).collect();
        assert_eq!(parse(&swapped), None);
    }
}
