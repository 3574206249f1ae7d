//! Flushing in two halves, so that the caller's lock is not held while the disk works (group commit), and what is left behind
//! to make the next start quick.

use std::path::PathBuf;
use std::sync::Arc;

use super::Log;
use super::read::Place;
use crate::storage::disk::{Disk, DiskFile};
use crate::storage::error::{Context, Error};
use crate::types::Offset;
use crate::zoo::bug;

/// What has to be flushed, without the log's lock, for everything before `end` to last.
pub struct FlushTicket {
    pub files: Vec<Arc<dyn DiskFile>>,
    pub dirs: Vec<PathBuf>,
    pub end: Offset,
    dir: PathBuf,
    /// How often names had changed, and the log been cut, when it began.
    names_changed: u64,
    truncations: u64,
    /// The end of the log.
    place: Option<Place>,
}

impl FlushTicket {
    /// Flushes it all. Files come before directories: a name must not outlive what it stands for.
    pub fn sync(&self, disk: &dyn Disk) -> Result<(), Error> {
        if bug(2) {
            return Ok(());
        }
        for file in &self.files {
            file.sync().map_err(|error| Error::flush(file.name().as_deref().unwrap_or(&self.dir), error))?;
        }
        if bug(3) {
            return Ok(());
        }
        self.dirs.iter().try_for_each(|dir| disk.sync_dir(dir).context("flush", dir))
    }
}

impl Log {
    /// What to flush for everything appended so far to last; `None` when there is nothing. The caller flushes it without the
    /// log's lock and hands the outcome to [`Log::end_flush`].
    pub fn begin_flush(&mut self) -> Option<FlushTicket> {
        let is_clean =
            self.flushed == self.log_end && self.unflushed_files.is_empty() && self.unflushed_dirs.is_empty();
        if is_clean || self.failed.is_some() {
            return None;
        }
        let first = self.segment_of(self.flushed);
        let dirty =
            self.segments.iter().enumerate().skip(first).filter(|(index, _)| self.end_of(*index) > self.flushed);
        // Unflushed segments keep their file open, so this opens none and cannot fail for want of descriptors.
        let files: Result<Vec<_>, Error> = dirty.map(|(_, segment)| segment.file(&*self.disk)).collect();
        let mut files = match files {
            Ok(files) => files,
            Err(error) => {
                self.fail(&error);
                return None;
            }
        };
        // They stay in the list until they are flushed: another flush that ends sooner must have taken them along.
        files.extend(self.unflushed_files.iter().cloned());
        Some(FlushTicket {
            files,
            dirs: self.unflushed_dirs.iter().map(|(dir, _)| dir.clone()).collect(),
            end: self.log_end,
            dir: self.dir.clone(),
            names_changed: self.names_changed,
            truncations: self.truncations,
            place: self.segments.last().map(|active| Place {
                segment: active.base_offset,
                offset: self.log_end,
                position: active.size,
            }),
        })
    }

    /// Is there something besides the records of the active segment to be flushed: segments that were closed, files beside
    /// them, names in the directory?
    pub fn has_unflushed_files(&self) -> bool {
        !self.unflushed_files.is_empty() || !self.unflushed_dirs.is_empty()
    }

    /// How a flush went. Returns the flushed offset. A failed flush is final: the kernel forgets what it could not write, so
    /// a later success would mean nothing (I17).
    pub fn end_flush(&mut self, ticket: FlushTicket, result: Result<(), Error>) -> Offset {
        match result {
            Err(error) => self.fail(&error),
            Ok(()) if self.failed.is_none() && ticket.truncations == self.truncations => {
                let before = self.flushed;
                self.flushed = before.max(ticket.end);
                let is_flushed =
                    |file: &Arc<dyn DiskFile>| ticket.files.iter().any(|flushed| Arc::ptr_eq(flushed, file));
                self.unflushed_files.retain(|file| !is_flushed(file));
                self.unflushed_dirs.retain(|(_, changed)| *changed > ticket.names_changed);
                self.producers.committed_to(self.flushed);
                self.let_go_of_files(before);
                // Where readers that wait for the flush will begin and end.
                ticket.place.into_iter().for_each(|place| self.remember(place));
            }
            Ok(()) => {}
        }
        self.flushed
    }

    pub(super) fn fail(&mut self, error: &Error) {
        self.failed.get_or_insert_with(|| error.to_string());
    }

    /// Both halves of a flush in one, for those who need not be quick.
    pub fn flush(&mut self) -> Result<Offset, Error> {
        if let Some(ticket) = self.begin_flush() {
            let result = ticket.sync(&*self.disk);
            self.end_flush(ticket, result);
        }
        match &self.failed {
            Some(reason) => Err(Error::Failed { path: self.dir.clone(), reason: reason.clone() }),
            None => Ok(self.flushed),
        }
    }

    /// Flushes, and leaves what makes the next start quick: indexes, producer snapshot. The log may be used on.
    pub fn close(&mut self) -> Result<(), Error> {
        self.note_progress(!self.producers.is_empty() || self.appended_since_snapshot > SNAPSHOT_WORTH, false)?;
        self.flush()?;
        self.release_files();
        Ok(())
    }

    /// Called now and then: a start after a crash would walk through everything since the last producer snapshot. Once that
    /// is `worth` bytes or more, what spares it is left on the disk for the next flush to take along. Was it?
    pub fn note_progress_if_due(&mut self, worth: u64) -> Result<bool, Error> {
        let is_due = self.failed.is_none() && self.appended_since_snapshot >= worth.max(1);
        if is_due {
            self.note_progress(true, true)?;
        }
        Ok(is_due)
    }

    /// Leaves on the disk what spares reading the log up to here: indexes, those of a small segment if `keep_small`, and a
    /// snapshot if that is worth its file. What a snapshot covers is in the other files before it; should it outlast them,
    /// `open_producers` finds out.
    pub(super) fn note_progress(&mut self, with_snapshot: bool, keep_small: bool) -> Result<(), Error> {
        if let Some(active) = self.segments.last_mut() {
            self.unflushed_files.extend(active.finish(&*self.disk, self.log_end, keep_small)?);
            self.note_segments(self.segments.len())?;
        }
        if with_snapshot { self.take_snapshot() } else { Ok(()) }
    }
}

/// A snapshot is worth its file if it spares reading so much of the log.
const SNAPSHOT_WORTH: u64 = 64 << 10;
