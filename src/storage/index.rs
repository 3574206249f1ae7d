//! A file of fixed-size entries that grow, and the newest of them in memory: what offset and time index share.
//!
//! ```text
//! file    | entry | entry | …            written in runs of 512, at roll and at close
//! memory                    | entry | …  what is not in the file yet
//! ```
//! An index is a help, never a witness: whoever follows an entry checks in the log that it tells the truth, and has the
//! index made again if it lies (I14). So it need not be flushed, may end early, and a crash may leave anything in it.
//! Kafka preallocates its indexes, and a copied one ends in zeros: what counts ends before the first entry that does not
//! grow.

use std::cell::RefCell;
use std::io::IoSlice;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::Arc;

use super::disk::{Disk, DiskFile};
use super::error::{Context, Error};

/// Entries kept back until there are so many: 2 MiB of log at one entry every 4 KiB.
const RUN: usize = 512;

/// How many bytes of a stored index one step of a search reads.
const BLOCK: usize = 4096;

pub(super) trait Entry: Copy {
    const SIZE: usize;
    /// What grows from entry to entry.
    type Key: Ord + Copy;
    fn key(&self) -> Self::Key;
    fn read(bytes: &[u8]) -> Self;
    fn write(&self, out: &mut Vec<u8>);
}

pub(super) struct Index<E: Entry> {
    path: PathBuf,
    /// How many entries of the file count.
    stored: usize,
    /// The entries behind those in the file.
    tail: Vec<E>,
    last: Option<E>,
    file: RefCell<Option<Arc<dyn DiskFile>>>,
    entry: PhantomData<E>,
}

impl<E: Entry> Index<E> {
    /// An index with nothing in it; whatever a file of that name holds is overwritten.
    pub fn empty(path: PathBuf) -> Self {
        Index { path, stored: 0, tail: Vec::new(), last: None, file: RefCell::new(None), entry: PhantomData }
    }

    /// The index in a file, as far as its entries grow. A missing file is an empty index.
    pub fn open(disk: &dyn Disk, path: PathBuf) -> Result<Self, Error> {
        let mut index = Index::empty(path);
        let len = if disk.exists(&index.path) { disk.file_len(&index.path).context("read", &index.path)? } else { 0 };
        index.stored = usize::try_from(len).unwrap_or(0) / E::SIZE;
        let Some(last) = index.stored.checked_sub(1) else { return Ok(index) };
        let grows = match last.checked_sub(1) {
            Some(before) => index.stored_entry(disk, before)?.key() < index.stored_entry(disk, last)?.key(),
            None => true,
        };
        if !grows {
            index.stored = index.growing_prefix(disk)?;
        }
        index.set_last(disk)?;
        index.release();
        Ok(index)
    }

    pub fn len(&self) -> usize {
        self.stored + self.tail.len()
    }

    /// How many entries the file holds.
    pub fn stored_len(&self) -> usize {
        self.stored
    }

    pub fn size_bytes(&self) -> u64 {
        (self.len() * E::SIZE) as u64
    }

    pub fn last(&self) -> Option<E> {
        self.last
    }

    /// Adds an entry whose key is above the last one's.
    pub fn push(&mut self, disk: &dyn Disk, entry: E) {
        debug_assert!(self.last.is_none_or(|last| last.key() < entry.key()), "index entries grow");
        self.tail.push(entry);
        self.last = Some(entry);
        if self.tail.len() >= RUN {
            // If the disk is full the entries stay in memory, and the next run tries again.
            let _ = self.store(disk);
        }
    }

    /// The last entry for which `holds` is true, where it is true for a first part of all entries.
    pub fn last_where(&self, disk: &dyn Disk, holds: impl Fn(&E) -> bool) -> Result<Option<E>, Error> {
        if self.tail.first().is_some_and(&holds) {
            let behind = self.tail.partition_point(&holds);
            return Ok(Some(self.tail[behind - 1]));
        }
        self.last_stored_where(disk, holds)
    }

    fn last_stored_where(&self, disk: &dyn Disk, holds: impl Fn(&E) -> bool) -> Result<Option<E>, Error> {
        let per_block = BLOCK / E::SIZE;
        let (mut low, mut high) = (0, self.stored);
        // Halve by single entries until one block holds the rest.
        while high - low > per_block {
            let middle = low + (high - low) / 2;
            if holds(&self.stored_entry(disk, middle)?) {
                low = middle;
            } else {
                high = middle;
            }
        }
        let block = self.stored_entries(disk, low, high - low)?;
        let behind = block.partition_point(holds);
        Ok(behind.checked_sub(1).map(|index| block[index]))
    }

    /// Keeps the entries for which `keep` is true, a first part of all.
    pub fn truncate_where(&mut self, disk: &dyn Disk, keep: impl Fn(&E) -> bool) -> Result<(), Error> {
        if self.last.is_none_or(|last| keep(&last)) {
            return Ok(());
        }
        self.tail.truncate(self.tail.partition_point(&keep));
        if self.tail.is_empty() {
            let (mut low, mut high) = (0, self.stored);
            while low < high {
                let middle = low + (high - low) / 2;
                if keep(&self.stored_entry(disk, middle)?) {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            self.stored = low;
        }
        self.set_last(disk)
    }

    /// Writes what is in memory only and cuts off whatever the file holds behind it. The file is returned for the caller to
    /// flush, if anything changed.
    pub fn store_all(&mut self, disk: &dyn Disk) -> Result<Option<Arc<dyn DiskFile>>, Error> {
        let changed = !self.tail.is_empty();
        self.store(disk)?;
        let file = self.file(disk, true)?;
        let len = self.size_bytes();
        if file.len().context("read", &self.path)? != len {
            file.set_len(len).context("truncate", &self.path)?;
        }
        self.release();
        Ok(changed.then_some(file))
    }

    fn store(&mut self, disk: &dyn Disk) -> Result<(), Error> {
        let mut bytes = Vec::with_capacity(self.tail.len() * E::SIZE);
        self.tail.iter().for_each(|entry| entry.write(&mut bytes));
        let file = self.file(disk, true)?;
        let at = (self.stored * E::SIZE) as u64;
        file.write_all_at(&[IoSlice::new(&bytes)], at).context("write", &self.path)?;
        self.stored += self.tail.len();
        self.tail.clear();
        Ok(())
    }

    /// Opens the file, if there is one, before its name goes.
    pub fn hold(&self, disk: &dyn Disk) -> Result<(), Error> {
        if self.stored > 0 { self.file(disk, false).map(drop) } else { Ok(()) }
    }

    /// Closes the file until it is needed again.
    pub fn release(&self) {
        self.file.take();
    }

    fn file(&self, disk: &dyn Disk, create: bool) -> Result<Arc<dyn DiskFile>, Error> {
        let mut slot = self.file.borrow_mut();
        if let Some(file) = &*slot {
            return Ok(file.clone());
        }
        let file = disk.open(&self.path, create).context("open", &self.path)?;
        Ok(slot.insert(file).clone())
    }

    fn stored_entry(&self, disk: &dyn Disk, index: usize) -> Result<E, Error> {
        Ok(self.stored_entries(disk, index, 1)?[0])
    }

    fn stored_entries(&self, disk: &dyn Disk, from: usize, count: usize) -> Result<Vec<E>, Error> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let mut bytes = vec![0; count * E::SIZE];
        let at = (from * E::SIZE) as u64;
        self.file(disk, false)?.read_exact_at(&mut bytes, at).context("read", &self.path)?;
        Ok(bytes.chunks_exact(E::SIZE).map(E::read).collect())
    }

    fn growing_prefix(&self, disk: &dyn Disk) -> Result<usize, Error> {
        let entries = self.stored_entries(disk, 0, self.stored)?;
        let break_at = entries.windows(2).position(|pair| pair[0].key() >= pair[1].key());
        Ok(break_at.map_or(self.stored, |last| last + 1))
    }

    fn set_last(&mut self, disk: &dyn Disk) -> Result<(), Error> {
        self.last = match (self.tail.last(), self.stored.checked_sub(1)) {
            (Some(last), _) => Some(*last),
            (None, Some(last)) => Some(self.stored_entry(disk, last)?),
            (None, None) => None,
        };
        Ok(())
    }
}
