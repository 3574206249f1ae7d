//! Less of a log: records hidden by the log start, old segments removed, the end cut off.

use std::path::PathBuf;
use std::sync::Arc;

use super::Log;
use super::snapshots::SNAPSHOT;
use crate::storage::disk::{Disk, DiskFile};
use crate::storage::error::{Context, Error};
use crate::storage::segment::{Segment, file_path};
use crate::storage::{recovery, retention};
use crate::types::{Now, Offset, Timestamp};

/// Segments that are to go. Carried out without the log's lock; readers keep what they have open.
pub struct DeleteTicket {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// The files of each segment, the oldest segment first.
    segments: Vec<Vec<PathBuf>>,
    /// What remembers the producers of the records that go.
    snapshot: Option<PathBuf>,
    end: Offset,
    /// The last to close a large file waits for the file system; that shall be who drops the ticket, not the log.
    _open: Vec<Arc<dyn DiskFile>>,
}

impl DeleteTicket {
    pub fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// Removes the files. One segment after the other, so that a crash in the middle leaves a log without a hole (I20).
    pub fn carry_out(&self) -> Result<(), Error> {
        // A newer one may have taken its place meanwhile, with a flush of its own.
        if let Some(path) = self.snapshot.as_ref().filter(|path| self.disk.exists(path)) {
            self.disk.open(path, false).and_then(|file| file.sync()).context("flush", path)?;
            self.disk.sync_dir(&self.dir).context("flush", &self.dir)?;
        }
        for files in &self.segments {
            for path in files.iter().filter(|path| self.disk.exists(path)) {
                self.disk.remove_file(path).context("remove", path)?;
            }
            self.disk.sync_dir(&self.dir).context("flush", &self.dir)?;
        }
        Ok(())
    }
}

/// A segment as retention and compaction see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    pub base_offset: Offset,
    /// One past the last offset that may be in it: the next segment's base, or the log's end.
    pub end_offset: Offset,
    pub size_bytes: u64,
    /// -1 if it holds no batch.
    pub max_timestamp: Timestamp,
    pub first_timestamp: Timestamp,
    /// When the file was last written to; asked only where no record has a time.
    pub last_modified: Option<Timestamp>,
    pub path: PathBuf,
    pub is_active: bool,
}

impl SegmentInfo {
    /// The time that retention and compaction go by; `None` if nobody knows one.
    pub fn largest_timestamp(&self) -> Option<Timestamp> {
        if self.max_timestamp >= Timestamp(0) { Some(self.max_timestamp) } else { self.last_modified }
    }
}

impl Log {
    /// Records before `offset` are not shown any more. Lasts once the caller has written the log start checkpoint (I21); the
    /// files go later, with retention.
    pub fn delete_records_before(&mut self, offset: Offset) -> Result<Offset, Error> {
        if offset > self.log_end {
            return Err(Error::Refused(format!("offset {offset} is behind the end {} of {}", self.log_end, self.name)));
        }
        self.log_start = self.log_start.max(offset);
        Ok(self.log_start)
    }

    /// The segments, oldest first.
    pub fn segments(&self) -> Result<Vec<SegmentInfo>, Error> {
        let info = |(index, segment): (usize, &Segment)| {
            self.use_files(segment);
            let max_timestamp = segment.max_timestamp(&*self.disk)?.0;
            let is_timeless = max_timestamp < Timestamp(0) && segment.size > 0;
            Ok(SegmentInfo {
                base_offset: segment.base_offset,
                end_offset: self.end_of(index),
                size_bytes: segment.size,
                max_timestamp,
                last_modified: is_timeless.then(|| self.disk.modified(segment.path()).ok()).flatten(),
                first_timestamp: segment.first_timestamp(&*self.disk)?.unwrap_or(Timestamp::NONE),
                path: segment.path().to_path_buf(),
                is_active: index + 1 == self.segments.len(),
            })
        };
        self.segments.iter().enumerate().map(info).collect()
    }

    /// Begins to remove the closed segments that end at or below `offset`. The log keeps answering from them until
    /// [`Log::end_delete`]; the active segment always stays, so that the log's end is known. Producers are remembered beyond
    /// their records (I34), by a snapshot that is flushed before they go.
    pub fn begin_delete(&mut self, offset: Offset) -> Result<Option<DeleteTicket>, Error> {
        let closed = self.segments.len().saturating_sub(1);
        let count = (0..closed).take_while(|index| self.end_of(*index) <= offset).count();
        if count == 0 {
            return Ok(None);
        }
        let end = self.end_of(count - 1);
        if self.snapshots.last().is_none_or(|newest| *newest < end) {
            self.note_progress(true, false)?;
        }
        let mut open = Vec::with_capacity(count);
        for segment in &mut self.segments[..count] {
            // Readers that come before the end of it must find open files.
            segment.pin(&*self.disk)?;
            open.push(segment.file(&*self.disk)?);
        }
        // Still on the list, a segment whose file is gone would look lost at the next start.
        self.unlist(|base| base < end)?;
        Ok(Some(DeleteTicket {
            disk: self.disk.clone(),
            dir: self.dir.clone(),
            segments: self.segments[..count].iter().map(|segment| segment.files().to_vec()).collect(),
            snapshot: self.snapshots.last().map(|newest| file_path(&self.dir, *newest, SNAPSHOT)),
            end,
            _open: open,
        }))
    }

    /// How the removal went. If it failed the segments stay in the list, and the next attempt finds what is left of them.
    pub fn end_delete(&mut self, ticket: &DeleteTicket, result: Result<(), Error>) -> Result<Offset, Error> {
        result?;
        let count = self.segments.partition_point(|segment| segment.base_offset < ticket.end);
        for removed in self.segments.drain(..count) {
            self.size -= removed.size;
        }
        self.forget_old_epochs();
        self.forget_damage(Offset::ZERO..ticket.end);
        self.delete_records_before(ticket.end)
    }

    /// Begins to remove what retention says may go, or the first part of it if that is much; see [`Log::begin_delete`]. Where
    /// everything may go a new active segment is begun first.
    pub fn begin_retention(&mut self, now: Now, high_watermark: Offset) -> Result<Option<DeleteTicket>, Error> {
        let segments = self.segments()?;
        let mut reasons = retention::plan(&segments, &self.config, now.wall, high_watermark, self.log_start);
        reasons.truncate(DELETED_AT_ONCE);
        let Some(mut last) = reasons.len().checked_sub(1) else { return Ok(None) };
        if segments[last].is_active
            && let Err(error) = self.roll(now)
        {
            // On a full disk there may be no room for a new segment until the closed ones have gone (I18).
            last = last.checked_sub(1).ok_or(error)?;
        }
        self.begin_delete(segments[last].end_offset)
    }

    /// All three steps of removing segments in one.
    pub fn delete_segments(&mut self, offset: Offset) -> Result<Offset, Error> {
        match self.begin_delete(offset)? {
            None => Ok(self.log_start),
            Some(ticket) => {
                let result = ticket.carry_out();
                self.end_delete(&ticket, result)
            }
        }
    }

    /// Cuts the log so that it ends at or below `offset`, on a whole batch; durably. For followers. The caller has lowered
    /// the recovery point in its checkpoint before: recovery would take the cut for a loss.
    pub fn truncate_to(&mut self, offset: Offset, now: Now) -> Result<Offset, Error> {
        if offset >= self.log_end {
            return Ok(self.log_end);
        }
        self.truncations += 1;
        self.places.borrow_mut().clear();
        let kept: Vec<Offset> = self.segments.iter().map(|segment| segment.base_offset).collect();
        let first_cut = kept.partition_point(|base| *base <= offset).saturating_sub(1);
        self.unlist(|base| kept.get(first_cut).is_none_or(|first| base >= *first))?;
        if self.segments.is_empty() || offset < self.segments[0].base_offset {
            self.restart_at(offset)?;
        } else {
            self.cut_at(offset)?;
        }
        self.log_start = self.log_start.min(self.log_end);
        self.forget_damage(self.log_end..Offset::MAX);
        self.flushed = self.log_end;
        self.unflushed_files.clear();
        if self.epochs.truncate_from_end(self.log_end) {
            self.write_epochs()?;
        }
        let names = self.disk.list(&self.dir).context("list", &self.dir)?;
        self.open_producers(&names, Offset::MAX, now)?;
        self.ready_active()?;
        Ok(self.log_end)
    }

    pub(super) fn cut_at(&mut self, offset: Offset) -> Result<(), Error> {
        let index = self.segment_of(offset);
        let found = self.segments[index].find(&*self.disk, offset, None)?;
        for removed in self.segments.drain(index + 1..).rev() {
            recovery::remove_segment_files(&*self.disk, &removed)?;
            self.disk.sync_dir(&self.dir).context("flush", &self.dir)?;
        }
        let segment = &mut self.segments[index];
        self.log_end = offset;
        if let Some((position, header)) = found {
            self.log_end = header.base_offset.min(offset);
            segment.cut(&*self.disk, position)?;
            segment.file(&*self.disk)?.sync().context("flush", segment.path())?;
        }
        self.size = self.segments.iter().map(|segment| segment.size).sum();
        Ok(())
    }
}

/// How many segments retention removes at a time: their files stay open until they are gone.
const DELETED_AT_ONCE: usize = 32;
