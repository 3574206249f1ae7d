//! Putting a cleaned segment in the place of those it was made from, so that a crash at any point leaves the old ones or
//! the new one (I85).
//!
//! | step | on disk | a crash behind it leaves |
//! |---|---|---|
//! | 1 | `<base>.log.cleaned`, `<base>.txnindex.cleaned` written and flushed | the old: `.cleaned` files are removed at the start |
//! | 2 | `.txnindex.cleaned` → `.txnindex.swap`, directory flushed | the old: a swap without its `.log` did not begin |
//! | 3 | `.log.cleaned` → `.log.swap`, directory flushed | the new: from here on the start goes on with step 4 |
//! | 4 | the old files removed but the first `.log`, `.txnindex.swap` → `.txnindex`, flushed | the new |
//! | 5 | `.log.swap` → `.log` over the first old one, flushed | the new |
//!
//! The new segment ends with the last offset of the old ones, so the start can tell from it alone which they were.

use std::path::PathBuf;
use std::sync::Arc;

use super::super::disk::Disk;
use super::super::error::{Context, Error};
use super::super::recovery::{CLEANED, SWAP, finish_swap, suffixed};
use super::super::segment::{LOG, Segment, TXN_INDEX, file_path};
use crate::types::Offset;

/// A swap under way. Carried out without the log's lock.
pub struct Swap {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    pub(in super::super) base_offset: Offset,
    pub(in super::super) end_offset: Offset,
    index_interval: u64,
}

impl Swap {
    pub(in super::super) fn new(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        base_offset: Offset,
        end_offset: Offset,
        index_interval: u64,
    ) -> Swap {
        Swap { disk, dir, base_offset, end_offset, index_interval }
    }

    /// Steps 2 to 5.
    pub fn carry_out(&self) -> Result<(), Error> {
        for extension in [TXN_INDEX, LOG] {
            let path = file_path(&self.dir, self.base_offset, extension);
            let cleaned = suffixed(&path, CLEANED);
            if extension == LOG || self.disk.exists(&cleaned) {
                self.disk.rename(&cleaned, &suffixed(&path, SWAP)).context("rename", &cleaned)?;
            }
            self.disk.sync_dir(&self.dir).context("flush", &self.dir)?;
        }
        finish_swap(&*self.disk, &self.dir, self.base_offset)
    }

    /// The new segment, with its indexes.
    pub(in super::super) fn load(&self) -> Result<Segment, Error> {
        let path = file_path(&self.dir, self.base_offset, LOG);
        let size = self.disk.file_len(&path).context("read", &path)?;
        let txn = file_path(&self.dir, self.base_offset, TXN_INDEX);
        let txn_bytes = if self.disk.exists(&txn) { self.disk.file_len(&txn).context("read", &txn)? } else { 0 };
        let segment = Segment::load(&self.dir, self.base_offset, size, txn_bytes, self.index_interval);
        segment.rebuild_indexes(&*self.disk)?;
        segment.release();
        Ok(segment)
    }
}
