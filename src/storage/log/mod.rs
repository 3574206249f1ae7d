//! One partition's log: the one place where an offset is assigned.
//!
//! ```text
//! <topic>-<partition>/
//!   00000000000000000000.log .index .timeindex .txnindex .snapshot     a closed segment
//!   00000000000000001000.log …                                         the active one
//!   leader-epoch-checkpoint  segment-checkpoint  partition.metadata
//!
//! log start ≤ … ≤ flushed ≤ log end          flushed: the recovery point; a power cut takes nothing below it
//! ```
//! Offsets grow without gaps (I4); what is in the log never changes (I3). An append checks the producer, assigns, writes
//! once and then takes note, so that a failed one leaves no trace (I18). Flushing is split in two so that the caller's lock
//! is not held during it. Callers hold a log in a mutex; nothing here waits for anything but the disk.

mod append;
mod cleaning;
mod damage;
mod flush;
mod read;
mod shrink;
mod side_files;
mod snapshots;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::checkpoint;
use super::disk::{Disk, DiskFile};
use super::error::{Context, Error};
use super::producer_state::Producers;
use super::recovery::{self, Opened, Opening};
use super::scrub::Damage;
use super::segment::Segment;
use super::segment_checkpoint::SegmentList;
use crate::config::LogConfig;
use crate::types::{Monotonic, Now, Offset, ProducerEpoch, ProducerId, TopicId};
use read::Place;

pub use super::compaction::Dirt;
pub use super::leader_epochs::LeaderEpochs;
pub use super::producer_state::{Origin, ProducerSummary};
pub use super::recovery::RecoveryReport;
pub use super::segment::TimedOffset;
pub use append::{AppendError, Appended};
pub use flush::FlushTicket;
pub use read::{AbortedTransaction, Fetched, ReadError};
pub use shrink::{DeleteTicket, SegmentInfo};
pub(super) use side_files::read_topic_id;

/// What is known about a log before it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenHint {
    /// The clean-stop marker was there: everything was flushed, nothing is read.
    pub clean: bool,
    /// Everything below was flushed; 0 if that is not known.
    pub recovery_point: Offset,
    pub log_start_offset: Offset,
    /// Everything that is in the files now has been flushed since the process that wrote it ended.
    pub flushed: bool,
    /// It was compacted once: offsets may be missing.
    pub cleaned: bool,
}

impl OpenHint {
    /// For a partition that never had a record.
    pub fn fresh() -> Self {
        OpenHint {
            clean: true,
            recovery_point: Offset::ZERO,
            log_start_offset: Offset::ZERO,
            flushed: true,
            cleaned: false,
        }
    }
}

pub struct Log {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// The partition's name, for messages.
    name: String,
    config: Arc<LogConfig>,
    /// In order; the last is the active one. None before the first append.
    segments: Vec<Segment>,
    /// When the active segment was begun, as far as this process knows.
    active_since: Monotonic,
    log_start: Offset,
    log_end: Offset,
    size: u64,
    producers: Producers,
    epochs: LeaderEpochs,
    /// Base offsets of producer snapshots, oldest first, and how much had been appended when the newest was written.
    snapshots: Vec<Offset>,
    appended_since_snapshot: u64,
    /// What the segment checkpoint says, and how long it is.
    listed: SegmentList,
    listed_bytes: u64,
    /// Everything before it is flushed: the recovery point.
    flushed: Offset,
    /// Files beside the log that the next flush has to take along, and directories that have new names.
    unflushed_files: Vec<Arc<dyn DiskFile>>,
    /// With the number of the change of names that made them dirty last.
    unflushed_dirs: Vec<(PathBuf, u64)>,
    names_changed: u64,
    /// How often the log was cut: a flush that began before a cut tells nothing about what came after it.
    truncations: u64,
    /// Why no more writes are taken (I17).
    failed: Option<String>,
    places: RefCell<VecDeque<Place>>,
    /// What the scrubber has found, in order.
    damaged: Vec<Damage>,
    /// Closed segments with files open, least recently used first.
    open_segments: RefCell<VecDeque<Offset>>,
}

impl Log {
    /// Opens the log in a directory, which is made if it is missing, and recovers it unless the hint says that the last stop
    /// was clean. A partition without records needs no `.log` file. Fails without having changed anything below the recovery
    /// point.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        config: Arc<LogConfig>,
        hint: OpenHint,
        topic_id: Option<TopicId>,
        now: Now,
    ) -> Result<(Log, RecoveryReport), Error> {
        let is_new = !disk.exists(&dir);
        if is_new {
            disk.create_dir_all(&dir).context("create", &dir)?;
        }
        let names = recovery::settle_leftovers(&*disk, &dir)?;
        let mut log = Log::empty(disk, dir, config, hint.log_start_offset, now);
        if is_new || names.is_empty() || !hint.flushed {
            log.dirty_dir();
            log.dirty(checkpoint::parent_of(&log.dir));
        }
        log.keep_metadata(topic_id)?;
        let stored_epochs = log.read_epochs()?;
        let mut epochs = stored_epochs.clone().unwrap_or_default();
        log.read_segment_list()?;
        let opening = Opening { disk: &*log.disk, dir: &log.dir, config: &log.config, hint: &hint, list: &log.listed };
        let Opened { segments, end, mut report, is_ready } = opening.segments(&names, &mut epochs)?;
        log.take(segments, end);
        if !hint.clean {
            log.unlist_cut()?;
        }
        if end < hint.log_start_offset {
            log.restart_at(hint.log_start_offset)?;
            report.log_end_offset = log.log_end;
        }
        log.log_start = hint.log_start_offset.max(log.segments.first().map_or(log.log_end, |first| first.base_offset));
        log.flushed = log.log_end;
        log.open_epochs(stored_epochs, epochs)?;
        let flushed = if hint.clean { Offset::MAX } else { hint.recovery_point };
        log.open_producers(&names, flushed, now)?;
        match log.segments.last() {
            Some(active) if is_ready => active.release(),
            _ => log.ready_active()?,
        }
        log.finish_recovered()?;
        if !hint.clean && !log.unflushed_files.is_empty() {
            // Before the recovery point may move past what belongs to these files.
            log.flush()?;
        }
        Ok((log, report))
    }

    fn empty(disk: Arc<dyn Disk>, dir: PathBuf, config: Arc<LogConfig>, start: Offset, now: Now) -> Log {
        Log {
            disk,
            name: dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            dir,
            config,
            segments: Vec::new(),
            active_since: now.mono,
            log_start: start,
            log_end: start,
            size: 0,
            producers: Producers::default(),
            epochs: LeaderEpochs::default(),
            snapshots: Vec::new(),
            appended_since_snapshot: 0,
            listed: SegmentList::new(),
            listed_bytes: 0,
            flushed: start,
            unflushed_files: Vec::new(),
            unflushed_dirs: Vec::new(),
            names_changed: 0,
            truncations: 0,
            failed: None,
            places: RefCell::default(),
            damaged: Vec::new(),
            open_segments: RefCell::default(),
        }
    }

    fn take(&mut self, segments: Vec<Segment>, end: Offset) {
        self.size = segments.iter().map(|segment| segment.size).sum();
        self.segments = segments;
        self.log_end = end;
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn config(&self) -> &Arc<LogConfig> {
        &self.config
    }

    pub fn log_start_offset(&self) -> Offset {
        self.log_start
    }

    pub fn log_end_offset(&self) -> Offset {
        self.log_end
    }

    /// Everything before it outlasts a power cut.
    pub fn flushed_offset(&self) -> Offset {
        self.flushed
    }

    /// The first offset that `read_committed` must not show yet (I47). A transaction whose end lies at or above the high
    /// watermark counts as undecided: the end may still be lost.
    pub fn last_stable_offset(&self, high_watermark: Offset) -> Offset {
        // A transaction may have begun in what retention or DeleteRecords took (I6).
        self.producers.last_stable_offset(high_watermark).max(self.log_start.min(high_watermark))
    }

    /// Bytes of batches in all segments.
    pub fn size_bytes(&self) -> u64 {
        self.size
    }

    pub fn leader_epochs(&self) -> &LeaderEpochs {
        &self.epochs
    }

    pub fn producers(&self) -> Vec<ProducerSummary> {
        self.producers.summaries()
    }

    /// How many producers are remembered, for the metric (I37).
    pub fn producer_count(&self) -> usize {
        self.producers.len()
    }

    /// Has that producer, in that epoch, a transaction open in this partition?
    pub fn has_open_transaction(&self, id: ProducerId, epoch: ProducerEpoch) -> bool {
        self.producers.has_open_transaction(id, epoch)
    }

    /// Why the log takes no more writes, if a flush failed.
    pub fn failure(&self) -> Option<&str> {
        self.failed.as_deref()
    }

    pub fn set_config(&mut self, config: Arc<LogConfig>) {
        for segment in &mut self.segments {
            segment.set_index_interval(config.index_interval_bytes);
        }
        self.config = config;
    }

    /// Forgets producers that have been silent for so long (I34). How many that were.
    pub fn expire_producers(&mut self, now: Now, expiration_ms: u64) -> usize {
        self.producers.expire(now.mono, expiration_ms)
    }

    /// Closes the active segment and begins another. If that fails the active one goes on.
    pub fn roll(&mut self, now: Now) -> Result<(), Error> {
        let (disk, base) = (&*self.disk, self.log_end);
        if let Some(active) = self.segments.last_mut() {
            if active.size == 0 {
                return Ok(());
            }
            self.unflushed_files.extend(active.finish(disk, base, true)?);
        }
        let created = Segment::create(disk, &self.dir, base, self.config.index_interval_bytes)?;
        if let Some(closed) = self.segments.last_mut() {
            closed.txn_index.release();
        }
        let closed_base = self.segments.last().map_or(base, |closed| closed.base_offset);
        self.segments.push(created);
        self.active_since = now.mono;
        self.dirty_dir();
        self.let_go_of_files(closed_base);
        if self.segments.len() > 1 {
            self.note_segments(self.segments.len() - 1)?;
            self.take_snapshot()?;
        }
        Ok(())
    }

    /// Names in the directory have changed.
    fn dirty_dir(&mut self) {
        let dir = self.dir.clone();
        self.dirty(dir);
    }

    fn dirty(&mut self, dir: PathBuf) {
        self.names_changed += 1;
        self.unflushed_dirs.retain(|(known, _)| *known != dir);
        self.unflushed_dirs.push((dir, self.names_changed));
    }

    /// The index of the segment that `offset` would be in.
    fn segment_of(&self, offset: Offset) -> usize {
        self.segments.partition_point(|segment| segment.base_offset <= offset).saturating_sub(1)
    }

    /// Where the offsets of a segment end.
    fn end_of(&self, index: usize) -> Offset {
        self.segments.get(index + 1).map_or(self.log_end, |next| next.base_offset)
    }

    /// Begins anew, with nothing, at `offset`.
    fn restart_at(&mut self, offset: Offset) -> Result<(), Error> {
        for removed in self.segments.drain(..).rev() {
            recovery::remove_segment_files(&*self.disk, &removed)?;
        }
        self.segments.push(Segment::create(&*self.disk, &self.dir, offset, self.config.index_interval_bytes)?);
        self.disk.sync_dir(&self.dir).context("flush", &self.dir)?;
        (self.log_start, self.log_end, self.size) = (offset, offset, 0);
        Ok(())
    }

    /// Leaves closed segments that recovery read as a roll leaves them.
    fn finish_recovered(&mut self) -> Result<(), Error> {
        let closed = self.segments.len().saturating_sub(1);
        let mut any = false;
        for index in 0..closed {
            let end = self.end_of(index);
            let segment = &mut self.segments[index];
            if segment.has_loaded_indexes() && segment.facts().is_none() {
                self.unflushed_files.extend(segment.finish(&*self.disk, end, true)?);
                segment.release();
                any = true;
            }
        }
        if any { self.note_segments(closed) } else { Ok(()) }
    }

    /// Makes the active segment of a log that was just opened or cut ready for appends.
    fn ready_active(&mut self) -> Result<(), Error> {
        let end = self.log_end;
        if let Some(active) = self.segments.last_mut() {
            let size = active.size;
            active.rewind(&*self.disk, size, end)?;
            active.release();
        }
        Ok(())
    }
}
