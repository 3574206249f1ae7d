//! The producers' state over restarts: snapshots, the log behind them, and the transaction indexes that go with them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::Log;
use crate::storage::error::{Context, Error};
use crate::storage::producer_state::Producers;
use crate::storage::segment::{file_path, parse_name};
use crate::storage::txn_index::AbortedEntry;
use crate::storage::{checkpoint, recovery};
use crate::types::{Now, Offset};

impl Log {
    /// Makes the producers' state again: the newest snapshot that reads back, and the log behind it (I33). With it go the
    /// transaction indexes: those before the snapshot are made again too unless they are sure to be whole.
    pub(super) fn open_producers(&mut self, names: &[String], flushed: Offset, now: Now) -> Result<(), Error> {
        self.find_snapshots(names)?;
        let (from, producers) = self.read_snapshot(Offset::MAX, now)?;
        // What was not believed is written anew when it is needed.
        self.snapshots.retain(|offset| *offset <= from);
        let behind = self.segments.iter().filter(|segment| segment.base_offset >= from);
        self.appended_since_snapshot = behind.map(|segment| segment.size).sum();
        self.producers = producers;
        let unsure = self.first_unsure_txn_index(from, flushed)?;
        let end = self.log_end;
        let (disk, segments) = (&*self.disk, &self.segments);
        let mut aborted = recovery::replay_producers(disk, segments, (from, end), &mut self.producers, now.mono)?;
        let mut renewed_from = from;
        if let Some(index) = unsure {
            let (earlier, mut scratch) = self.read_snapshot(self.segments[index].base_offset, now)?;
            aborted = recovery::replay_producers(&*self.disk, &self.segments, (earlier, end), &mut scratch, now.mono)?;
            renewed_from = earlier;
        }
        self.renew_txn_indexes(renewed_from, aborted)?;
        self.producers.committed_to(Offset::MAX);
        Ok(())
    }

    /// The first segment before `from` whose transaction index may lack entries, or have none that can be read.
    pub(super) fn first_unsure_txn_index(&self, from: Offset, flushed: Offset) -> Result<Option<usize>, Error> {
        for (index, segment) in self.segments.iter().enumerate() {
            if segment.base_offset >= from {
                break;
            }
            let end = self.end_of(index).min(from);
            let listed = self.listed.get(&segment.base_offset).filter(|facts| facts.end >= end);
            let is_whole = match listed {
                Some(facts) => facts.txn_bytes == segment.txn_index.stored_bytes(),
                // Not listed: of a time before there was a list. A flush that went further has taken it along.
                None => end < flushed,
            };
            if !is_whole || segment.txn_index.entries(&*self.disk)?.is_none() {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    pub(super) fn find_snapshots(&mut self, names: &[String]) -> Result<(), Error> {
        let parsed = names.iter().filter_map(|name| parse_name(name)).filter(|(_, extension)| *extension == SNAPSHOT);
        let (kept, stale): (Vec<Offset>, Vec<Offset>) =
            parsed.map(|(offset, _)| offset).partition(|offset| *offset <= self.log_end);
        // A snapshot of what is gone would be believed once the log has grown past it again (lesson 4).
        for offset in &stale {
            let path = file_path(&self.dir, *offset, SNAPSHOT);
            self.disk.remove_file(&path).context("remove", &path)?;
        }
        if !stale.is_empty() {
            self.disk.sync_dir(&self.dir).context("flush", &self.dir)?;
        }
        self.snapshots = kept;
        Ok(())
    }

    /// The newest snapshot at or before `limit` that reads back; without one, nothing at offset 0.
    pub(super) fn read_snapshot(&self, limit: Offset, now: Now) -> Result<(Offset, Producers), Error> {
        for offset in self.snapshots.iter().rev().filter(|offset| **offset <= limit) {
            let path = file_path(&self.dir, *offset, SNAPSHOT);
            let content = checkpoint::read(&*self.disk, &path)?.unwrap_or_default();
            if let Some(producers) = Producers::decode(&content, self.snapshot_owner(*offset), now.mono) {
                return Ok((*offset, producers));
            }
            tracing::warn!(file = %path.display(), "a producer snapshot is damaged, or another log's: the log is asked instead");
        }
        Ok((Offset::ZERO, Producers::default()))
    }

    /// What a snapshot carries, so that the file of another partition under the same name, or its own under another, is not
    /// believed: a batch that is sent again would be written again.
    fn snapshot_owner(&self, offset: Offset) -> u32 {
        crc32c::crc32c(format!("{}/{offset}", self.name).as_bytes())
    }

    /// Gives the segments that reach behind `from` the aborted transactions that were found there. The active one gets all
    /// its entries into memory.
    pub(super) fn renew_txn_indexes(
        &mut self,
        from: Offset,
        mut aborted: BTreeMap<usize, Vec<AbortedEntry>>,
    ) -> Result<(), Error> {
        let count = self.segments.len();
        for index in 0..count {
            let (end, is_active) = (self.end_of(index), index + 1 == count);
            if end <= from && !is_active {
                continue;
            }
            let txn_index = &mut self.segments[index].txn_index;
            let stored = txn_index.entries(&*self.disk)?.map(Cow::into_owned);
            let mut entries: Vec<_> = stored.clone().unwrap_or_default();
            entries.retain(|entry| entry.last_offset < from);
            entries.extend(aborted.remove(&index).unwrap_or_default());
            let same = stored.as_ref() == Some(&entries);
            txn_index.set(entries, same);
            if !is_active {
                self.unflushed_files.extend(txn_index.store(&*self.disk)?);
                txn_index.release();
            }
        }
        Ok(())
    }

    /// Writes the producers' state as it is at the end of the log; the next flush takes it along.
    pub(super) fn take_snapshot(&mut self) -> Result<(), Error> {
        if self.snapshots.last() == Some(&self.log_end) {
            return Ok(());
        }
        let path = file_path(&self.dir, self.log_end, SNAPSHOT);
        let file = checkpoint::replace_unflushed(
            &*self.disk,
            &path,
            &self.producers.encode(self.snapshot_owner(self.log_end)),
        )?;
        self.unflushed_files.push(file);
        self.dirty_dir();
        self.snapshots.push(self.log_end);
        self.appended_since_snapshot = 0;
        while self.snapshots.len() > KEPT_SNAPSHOTS {
            let old = file_path(&self.dir, self.snapshots.remove(0), SNAPSHOT);
            if self.disk.exists(&old) {
                self.disk.remove_file(&old).context("remove", &old)?;
            }
        }
        Ok(())
    }
}

pub(super) const SNAPSHOT: &str = "snapshot";

/// How many producer snapshots are kept: the newest, and others for when it does not read back.
const KEPT_SNAPSHOTS: usize = 3;
