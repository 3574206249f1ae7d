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

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::IoSlice;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::checkpoint;
use super::compaction::{Pass, Swap, plan};
use super::disk::{Disk, DiskFile};
use super::error::{Context, Error};
use super::producer_state::{Producers, Verdict};
use super::recovery::{self, Opened, Opening};
use super::retention;
use super::segment::{Segment, file_path, parse_name};
use super::segment_checkpoint::{self, SegmentList};
use super::txn_index::AbortedEntry;
use crate::config::LogConfig;
use crate::file::FileRange;
use crate::record::ValidBatch;
use crate::types::{
    ErrorCode, LeaderEpoch, Monotonic, Now, Offset, ProducerEpoch, ProducerId, Timestamp, TopicId, base64_id,
    parse_base64_id,
};

pub use super::compaction::Dirt;
pub use super::leader_epochs::LeaderEpochs;
pub use super::producer_state::{Origin, ProducerSummary};
pub use super::recovery::RecoveryReport;
pub use super::segment::TimedOffset;

const LEADER_EPOCH_CHECKPOINT: &str = "leader-epoch-checkpoint";
const SEGMENT_CHECKPOINT: &str = "segment-checkpoint";
const PARTITION_METADATA: &str = "partition.metadata";
const SNAPSHOT: &str = "snapshot";

/// How many producer snapshots are kept: the newest, and others for when it does not read back.
const KEPT_SNAPSHOTS: usize = 3;

/// A snapshot is worth its file if it spares reading so much of the log.
const SNAPSHOT_WORTH: u64 = 64 << 10;

/// How many segments retention removes at a time: their files stay open until they are gone.
const DELETED_AT_ONCE: usize = 32;

/// How many closed segments may have files open.
const OPEN_CLOSED_SEGMENTS: usize = 2;

/// How many known places between batches are remembered, for readers that come back where they left off.
const KNOWN_PLACES: usize = 8;

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
}

impl OpenHint {
    /// For a partition that never had a record.
    pub fn fresh() -> Self {
        OpenHint { clean: true, recovery_point: Offset::ZERO, log_start_offset: Offset::ZERO, flushed: true }
    }
}

/// An append that succeeded, now or, for a duplicate, earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    pub base_offset: Offset,
    pub last_offset: Offset,
    /// -1 unless the topic stamps its records.
    pub log_append_time: Timestamp,
    pub log_start_offset: Offset,
    /// The batch was in the log already and was not added again.
    pub duplicate: bool,
}

#[derive(Debug)]
pub enum AppendError {
    /// Not to be had in this log; the sentence is for the client.
    Refused(ErrorCode, String),
    /// The log ends where it ended before, and takes the next append.
    Disk(Error),
}

impl From<Error> for AppendError {
    fn from(error: Error) -> Self {
        AppendError::Disk(error)
    }
}

#[derive(Debug)]
pub enum ReadError {
    OutOfRange { start: Offset, end: Offset },
    Disk(Error),
}

impl From<Error> for ReadError {
    fn from(error: Error) -> Self {
        ReadError::Disk(error)
    }
}

/// Whole batches of one segment.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// `None` if there is nothing below the limit, or nothing small enough.
    pub range: Option<FileRange>,
    /// Where the next read goes on.
    pub next_offset: Offset,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTransaction {
    pub producer_id: ProducerId,
    pub first_offset: Offset,
}

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
        self.files.iter().try_for_each(|file| file.sync()).map_err(|error| Error::flush(&self.dir, error))?;
        self.dirs.iter().try_for_each(|dir| disk.sync_dir(dir).context("flush", dir))
    }
}

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

/// A place between two batches.
#[derive(Clone, Copy, Debug)]
struct Place {
    segment: Offset,
    /// Everything before the position is below it, everything behind at or above.
    offset: Offset,
    position: u64,
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
        let Opened { segments, end, mut report } = opening.segments(&names, &mut epochs)?;
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
        log.ready_active()?;
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
            open_segments: RefCell::default(),
        }
    }

    fn take(&mut self, segments: Vec<Segment>, end: Offset) {
        self.size = segments.iter().map(|segment| segment.size).sum();
        self.segments = segments;
        self.log_end = end;
    }

    // ---- what is so --------------------------------------------------------------------------------------------------

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

    // ---- append ------------------------------------------------------------------------------------------------------

    /// Puts a batch at the end. Its offsets are assigned here; it is in the page cache when this returns.
    pub fn append(
        &mut self,
        batch: &mut ValidBatch,
        leader_epoch: LeaderEpoch,
        now: Now,
        origin: Origin,
    ) -> Result<Appended, AppendError> {
        self.check_not_failed()?;
        let marker = match batch.header().is_control() && batch.header().has_producer() {
            true => recovery::marker_of(&batch.to_vec())
                .map_err(|corrupt| AppendError::Refused(ErrorCode::InvalidRecord, corrupt.reason))?,
            false => None,
        };
        let verdict = self.producers.check(batch.header(), marker, origin, self.log_end, &self.name);
        if let Verdict::Duplicate(known) = verdict.map_err(|(code, message)| AppendError::Refused(code, message))? {
            return Ok(Appended {
                base_offset: known.base_offset(),
                last_offset: known.last_offset,
                // Kafka answers a duplicate with the batch's own time, whatever the topic's timestamp type.
                log_append_time: known.timestamp,
                log_start_offset: self.log_start,
                duplicate: true,
            });
        }
        self.check_size(batch.size() as u64, origin)?;
        batch.assign(self.log_end, leader_epoch);
        self.make_room(batch, now)?;
        self.note_epoch(leader_epoch)?;
        let (disk, segment_bytes) = (&*self.disk, self.config.segment_bytes);
        let active = self.segments.last_mut().expect("room was made in a segment");
        active.append(disk, batch, segment_bytes)?;
        let header = batch.header();
        if let Some(entry) = self.producers.apply(header, marker, now.mono).and_then(|ended| ended.aborted_entry()) {
            active.txn_index.push(entry);
        }
        self.size += batch.size() as u64;
        self.appended_since_snapshot += batch.size() as u64;
        self.log_end = header.next_offset();
        Ok(Appended {
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            log_append_time: if header.is_log_append_time() { header.max_timestamp } else { Timestamp::NONE },
            log_start_offset: self.log_start,
            duplicate: false,
        })
    }

    fn check_not_failed(&self) -> Result<(), AppendError> {
        match &self.failed {
            None => Ok(()),
            Some(reason) => Err(AppendError::Refused(ErrorCode::KafkaStorageError, reason.clone())),
        }
    }

    /// A client's batch must fit into a segment; one of the broker's own gets a segment to itself.
    fn check_size(&self, size: u64, origin: Origin) -> Result<(), AppendError> {
        let max = self.config.segment_bytes;
        if size <= max || origin != Origin::Client {
            return Ok(());
        }
        let message = format!(
            "Message batch size is {size} bytes in append to partition {} which exceeds the maximum configured segment \
             size of {max}.",
            self.name
        );
        Err(AppendError::Refused(ErrorCode::RecordListTooLarge, message))
    }

    /// Sees to it that the active segment may take the batch.
    fn make_room(&mut self, batch: &ValidBatch, now: Now) -> Result<(), Error> {
        if self.segments.is_empty() || self.must_roll(batch, now)? {
            self.roll(now)?;
        }
        Ok(())
    }

    fn must_roll(&self, batch: &ValidBatch, now: Now) -> Result<bool, Error> {
        let (Some(active), header) = (self.segments.last(), batch.header()) else { return Ok(true) };
        if active.size == 0 {
            return Ok(false);
        }
        let full = active.size + batch.size() as u64 > self.config.segment_bytes;
        let indexes_full = active.is_index_full(self.config.segment_index_bytes);
        if full || indexes_full || active.relative(header.last_offset()).is_none() {
            return Ok(true);
        }
        // As in Kafka, age counts from the first record's time, by the clock of the records where they have one.
        let waited = match active.first_timestamp(&*self.disk)? {
            Some(first) if first.0 >= 0 => u64::try_from(header.max_timestamp.0.saturating_sub(first.0)).unwrap_or(0),
            _ => now.mono.ms_since(self.active_since),
        };
        Ok(waited > self.config.segment_ms.saturating_sub(self.jitter(active.base_offset)))
    }

    /// At most `segment.jitter.ms`, another for each partition and segment, the same at every call.
    fn jitter(&self, base_offset: Offset) -> u64 {
        let max = self.config.segment_jitter_ms.min(self.config.segment_ms);
        if max == 0 {
            return 0;
        }
        let seed = self.name.bytes().chain(base_offset.0.to_be_bytes());
        let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        seed.fold(0xcbf2_9ce4_8422_2325, mix) % max
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
        self.segments.push(created);
        self.active_since = now.mono;
        self.dirty_dir();
        self.let_go_of_files();
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

    // ---- read --------------------------------------------------------------------------------------------------------

    /// Whole batches from the one that holds `from` on, none with an offset at or above `limit`, at most `max_bytes` unless
    /// `at_least_one` and the first alone is larger. All from one segment.
    pub fn read(
        &self,
        from: Offset,
        limit: Offset,
        max_bytes: usize,
        at_least_one: bool,
    ) -> Result<Fetched, ReadError> {
        if from < self.log_start || from > self.log_end {
            return Err(ReadError::OutOfRange { start: self.log_start, end: self.log_end });
        }
        let limit = limit.min(self.log_end);
        let nothing = Fetched { range: None, next_offset: from };
        if from >= limit {
            return Ok(nothing);
        }
        // Compaction may have left nothing at or above `from` in its own segment.
        for index in self.segment_of(from)..self.segments.len() {
            let segment = &self.segments[index];
            self.use_files(segment);
            let Some((start, first)) = segment.find(&*self.disk, from, self.known_place(segment, from))? else {
                continue;
            };
            if first.last_offset() >= limit || (first.size() > max_bytes && !at_least_one) {
                return Ok(nothing);
            }
            let budget = max_bytes.max(first.size()) as u64;
            let next = self.end_of(index);
            let (end, next_offset) = match self.known_place(segment, limit) {
                Some(end) if end - start <= budget => (end, limit),
                _ => segment.run_end(&*self.disk, (start, &first), budget, limit, next)?,
            };
            self.remember(Place { segment: segment.base_offset, offset: next_offset, position: end });
            let range = FileRange { file: segment.file(&*self.disk)?, position: start, len: (end - start) as usize };
            return Ok(Fetched { range: Some(range), next_offset });
        }
        Ok(nothing)
    }

    /// Aborted transactions with records between two offsets, by first offset.
    pub fn aborted_transactions(&self, from: Offset, to: Offset) -> Result<Vec<AbortedTransaction>, Error> {
        let mut found = Vec::new();
        'segments: for segment in &self.segments[self.segment_of(from)..] {
            for entry in segment.aborted_entries(&*self.disk)?.iter() {
                if entry.last_offset >= from && entry.first_offset < to {
                    found.push(AbortedTransaction { producer_id: entry.producer_id, first_offset: entry.first_offset });
                }
                if entry.last_stable_offset >= to {
                    break 'segments;
                }
            }
        }
        found.sort_by_key(|transaction| transaction.first_offset);
        Ok(found)
    }

    /// The first record whose time is `timestamp` or later, if it lies below `limit`.
    pub fn offset_for_timestamp(&self, timestamp: Timestamp, limit: Offset) -> Result<Option<TimedOffset>, Error> {
        for segment in &self.segments {
            if segment.base_offset >= limit {
                break;
            }
            self.use_files(segment);
            if let Some(found) = segment.find_timestamp(&*self.disk, timestamp, self.log_start)? {
                return Ok(Some(found).filter(|(offset, ..)| *offset < limit));
            }
        }
        Ok(None)
    }

    /// The first record with the largest time, among those below `limit`.
    pub fn max_timestamp(&self, limit: Offset) -> Result<Option<TimedOffset>, Error> {
        let mut best: Option<TimedOffset> = None;
        for segment in self.segments.iter().filter(|segment| segment.base_offset < limit && segment.size > 0) {
            self.use_files(segment);
            if best.is_none_or(|best| segment.max_timestamp(&*self.disk).is_ok_and(|(time, _)| time > best.1)) {
                let found = segment.find_max_timestamp(&*self.disk, (self.log_start, limit))?;
                best = found.filter(|found| best.is_none_or(|best| found.1 > best.1)).or(best);
            }
        }
        Ok(best)
    }

    /// The index of the segment that `offset` would be in.
    fn segment_of(&self, offset: Offset) -> usize {
        self.segments.partition_point(|segment| segment.base_offset <= offset).saturating_sub(1)
    }

    /// Where the offsets of a segment end.
    fn end_of(&self, index: usize) -> Offset {
        self.segments.get(index + 1).map_or(self.log_end, |next| next.base_offset)
    }

    fn known_place(&self, segment: &Segment, offset: Offset) -> Option<u64> {
        let places = self.places.borrow();
        let place = places.iter().find(|place| place.offset == offset && place.segment == segment.base_offset);
        place.map(|place| place.position)
    }

    fn remember(&self, place: Place) {
        let mut places = self.places.borrow_mut();
        places.retain(|known| known.offset != place.offset);
        places.truncate(KNOWN_PLACES - 1);
        places.push_front(place);
    }

    /// Marks a closed segment's files as used last, and closes those of another if too many are open.
    fn use_files(&self, segment: &Segment) {
        let is_closed = self.segments.last().is_some_and(|active| active.base_offset != segment.base_offset);
        if !is_closed {
            return;
        }
        let mut open = self.open_segments.borrow_mut();
        open.retain(|base| *base != segment.base_offset);
        open.push_back(segment.base_offset);
        while open.len() > OPEN_CLOSED_SEGMENTS {
            let Some(oldest) = open.pop_front() else { return };
            let index = self.segment_of(oldest);
            if self.end_of(index) <= self.flushed {
                self.segments[index].release();
            }
        }
    }

    /// Closes the files of closed segments that are flushed.
    fn let_go_of_files(&self) {
        let closed = self.segments.len().saturating_sub(1);
        for index in 0..closed {
            let in_use = self.open_segments.borrow().contains(&self.segments[index].base_offset);
            if !in_use && self.end_of(index) <= self.flushed {
                self.segments[index].release();
            }
        }
    }

    /// Closes every file that is not needed to keep a promise: for logs that have been idle for a while.
    pub fn release_files(&self) {
        if self.flushed < self.log_end {
            return;
        }
        self.segments.iter().for_each(Segment::release);
        self.open_segments.borrow_mut().clear();
    }

    // ---- flush -------------------------------------------------------------------------------------------------------

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

    /// How a flush went. Returns the flushed offset. A failed flush is final: the kernel forgets what it could not write, so
    /// a later success would mean nothing (I17).
    pub fn end_flush(&mut self, ticket: FlushTicket, result: Result<(), Error>) -> Offset {
        match result {
            Err(error) => self.fail(&error),
            Ok(()) if self.failed.is_none() && ticket.truncations == self.truncations => {
                self.flushed = self.flushed.max(ticket.end);
                let is_flushed =
                    |file: &Arc<dyn DiskFile>| ticket.files.iter().any(|flushed| Arc::ptr_eq(flushed, file));
                self.unflushed_files.retain(|file| !is_flushed(file));
                self.unflushed_dirs.retain(|(_, changed)| *changed > ticket.names_changed);
                self.producers.committed_to(self.flushed);
                self.let_go_of_files();
                // Where readers that wait for the flush will begin and end.
                ticket.place.into_iter().for_each(|place| self.remember(place));
            }
            Ok(()) => {}
        }
        self.flushed
    }

    fn fail(&mut self, error: &Error) {
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
        self.note_progress(!self.producers.is_empty() || self.appended_since_snapshot > SNAPSHOT_WORTH)?;
        self.flush()?;
        self.release_files();
        Ok(())
    }

    /// Leaves on the disk what spares reading the log up to here: indexes, and a snapshot if that is worth its file. What a
    /// snapshot covers is in the other files before it; should it outlast them, `open_producers` finds out.
    fn note_progress(&mut self, with_snapshot: bool) -> Result<(), Error> {
        if let Some(active) = self.segments.last_mut() {
            self.unflushed_files.extend(active.finish(&*self.disk, self.log_end, false)?);
            self.note_segments(self.segments.len())?;
        }
        if with_snapshot { self.take_snapshot() } else { Ok(()) }
    }

    // ---- less of it --------------------------------------------------------------------------------------------------

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
            self.note_progress(true)?;
        }
        let mut open = Vec::with_capacity(count);
        for segment in &mut self.segments[..count] {
            // Readers that come before the end of it must find open files.
            segment.pin(&*self.disk)?;
            open.push(segment.file(&*self.disk)?);
        }
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
        self.delete_records_before(ticket.end)
    }

    /// Begins to remove what retention says may go, or the first part of it if that is much; see [`Log::begin_delete`]. Where
    /// everything may go a new active segment is begun first.
    pub fn begin_retention(&mut self, now: Now, high_watermark: Offset) -> Result<Option<DeleteTicket>, Error> {
        let segments = self.segments()?;
        let mut reasons = retention::plan(&segments, &self.config, now.wall, high_watermark, self.log_start);
        reasons.truncate(DELETED_AT_ONCE);
        let Some(last) = reasons.len().checked_sub(1).map(|last| &segments[last]) else { return Ok(None) };
        if last.is_active {
            self.roll(now)?;
        }
        self.begin_delete(last.end_offset)
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

    /// What there is to clean, given how far an earlier cleaning came. Nothing at or above the last stable offset, and
    /// nothing that is not flushed: recovery takes a gap above the recovery point for a loss.
    pub fn dirt(&self, now: Now, high_watermark: Offset, cleaned_to: Option<Offset>) -> Result<Dirt, Error> {
        let limit = self.last_stable_offset(high_watermark).min(self.flushed);
        Ok(plan::dirt(&self.segments()?, &self.config, now.wall, limit, self.log_start, cleaned_to))
    }

    /// Closes the active segment if its first record has waited longer than `max.compaction.lag.ms`.
    pub fn roll_if_overdue(&mut self, now: Now) -> Result<(), Error> {
        let overdue = |active: &SegmentInfo| plan::waits_too_long(active, &self.config, now.wall);
        if self.segments()?.last().is_some_and(overdue) { self.roll(now) } else { Ok(()) }
    }

    /// Are there closed segments that a power cut could take?
    pub fn has_unflushed_closed_segments(&self) -> bool {
        self.segments.last().is_some_and(|active| active.base_offset > self.flushed)
    }

    /// Everything a pass of a cleaning that ends at `end` has to know.
    pub(super) fn begin_pass(&self, end: Offset) -> Result<Pass, Error> {
        let mut segments = self.segments()?;
        segments.retain(|segment| !segment.is_active && segment.end_offset <= end);
        let mut aborted = Vec::new();
        // The marker of a transaction may lie behind the part that is cleaned.
        for segment in &self.segments {
            aborted.extend(segment.aborted_entries(&*self.disk)?.iter());
        }
        Ok(Pass {
            disk: self.disk.clone(),
            dir: self.dir.clone(),
            config: self.config.clone(),
            segments,
            aborted,
            remembered: self.producers.remembered(),
        })
    }

    /// The open file of the segment with that base, whatever becomes of its name.
    pub(super) fn segment_file(&self, base_offset: Offset) -> Result<Arc<dyn DiskFile>, Error> {
        let segment = &self.segments[self.segment_of(base_offset)];
        self.use_files(segment);
        segment.file(&*self.disk)
    }

    /// Begins to put a cleaned segment in the place of the closed segments between two offsets it was made from, the first
    /// of which has its base offset. They answer from open files until [`Log::end_swap`], while their names go.
    pub(super) fn begin_swap(&mut self, base_offset: Offset, end_offset: Offset) -> Result<Swap, Error> {
        let replaced = self.replaced(base_offset, end_offset);
        assert!(!replaced.is_empty() && replaced.end < self.segments.len(), "only closed segments are replaced");
        assert_eq!(
            self.segments[replaced.start].base_offset, base_offset,
            "a cleaned segment begins where its first source did"
        );
        assert!(self.end_of(replaced.end - 1) <= self.flushed, "only what is flushed is cleaned");
        for segment in &mut self.segments[replaced] {
            segment.pin(&*self.disk)?;
        }
        self.unlist(|base| base >= base_offset && base < end_offset)?;
        Ok(Swap::new(self.disk.clone(), self.dir.clone(), base_offset, end_offset, self.config.index_interval_bytes))
    }

    /// The cleaned segment is in its place, or that failed; then the old ones stay, as far as this process goes, and the
    /// next start finds out which counts. Returns what is not needed any more, to be dropped without the log's lock: the
    /// last to close a large file waits for the file system.
    pub(super) fn end_swap(&mut self, swap: &Swap, result: Result<Segment, Error>) -> Result<Vec<Segment>, Error> {
        let new = result?;
        let replaced = self.replaced(swap.base_offset, swap.end_offset);
        self.size += new.size;
        let old: Vec<Segment> = self.segments.splice(replaced, [new]).collect();
        self.size -= old.iter().map(|segment| segment.size).sum::<u64>();
        self.places.borrow_mut().clear();
        // Without its line the new segment's indexes are made again after the next start.
        let _ = self.note_segments(self.segments.len() - 1);
        Ok(old)
    }

    fn replaced(&self, base_offset: Offset, end_offset: Offset) -> Range<usize> {
        let behind = self.segments.partition_point(|segment| segment.base_offset < end_offset);
        self.segment_of(base_offset)..behind
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

    fn cut_at(&mut self, offset: Offset) -> Result<(), Error> {
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

    // ---- the segment checkpoint --------------------------------------------------------------------------------------

    fn read_segment_list(&mut self) -> Result<(), Error> {
        let content = checkpoint::read(&*self.disk, &self.dir.join(SEGMENT_CHECKPOINT))?.unwrap_or_default();
        self.listed = segment_checkpoint::parse(&content);
        self.listed_bytes = content.len() as u64;
        Ok(())
    }

    /// Notes what is in the files of the first `count` segments, as far as they are finished; the next flush takes it along.
    fn note_segments(&mut self, count: usize) -> Result<(), Error> {
        let known = |segment: &Segment| Some((segment.base_offset, segment.facts().filter(|facts| facts.size > 0)?));
        let mut news: SegmentList = self.segments[..count].iter().filter_map(known).collect();
        news.retain(|base, facts| self.listed.get(base) != Some(facts));
        if news.is_empty() {
            return Ok(());
        }
        let path = self.dir.join(SEGMENT_CHECKPOINT);
        let lines = segment_checkpoint::format(&news);
        let file = self.disk.open(&path, true).context("open", &path)?;
        file.write_all_at(&[IoSlice::new(lines.as_bytes())], self.listed_bytes).context("write", &path)?;
        self.listed_bytes += lines.len() as u64;
        self.listed.append(&mut news);
        self.unflushed_files.push(file);
        self.dirty_dir();
        Ok(())
    }

    /// Takes segments out of the segment checkpoint, durably, before they become shorter or go: shorter than it says they
    /// would look damaged, and so would a later one of the same base offset.
    fn unlist(&mut self, goes: impl Fn(Offset) -> bool) -> Result<(), Error> {
        self.segments.iter().filter(|segment| goes(segment.base_offset)).for_each(|segment| segment.set_facts(None));
        let before = self.listed.len();
        self.listed.retain(|base, _| !goes(*base));
        if self.listed.len() < before {
            let content = segment_checkpoint::format(&self.listed);
            checkpoint::replace(&*self.disk, &self.dir.join(SEGMENT_CHECKPOINT), content.as_bytes())?;
            self.listed_bytes = content.len() as u64;
        }
        Ok(())
    }

    /// Takes out what recovery has cut.
    fn unlist_cut(&mut self) -> Result<(), Error> {
        let sizes: HashMap<Offset, u64> = self.segments.iter().map(|s| (s.base_offset, s.size)).collect();
        let listed = self.listed.clone();
        self.unlist(|base| {
            sizes.get(&base).is_none_or(|size| listed.get(&base).is_some_and(|facts| facts.size > *size))
        })
    }

    // ---- leader epochs -----------------------------------------------------------------------------------------------

    fn read_epochs(&self) -> Result<Option<LeaderEpochs>, Error> {
        let content = checkpoint::read(&*self.disk, &self.dir.join(LEADER_EPOCH_CHECKPOINT))?;
        Ok(content.and_then(|content| LeaderEpochs::parse(&content).ok()))
    }

    /// `stored` is what the file held, `known` that with what recovery saw. A file that is missing or damaged is made again.
    fn open_epochs(&mut self, stored: Option<LeaderEpochs>, known: LeaderEpochs) -> Result<(), Error> {
        self.epochs = match stored {
            Some(_) => known,
            None => recovery::epochs_from_log(&*self.disk, &self.segments, self.log_end)?,
        };
        self.epochs.truncate_from_end(self.log_end);
        if stored.as_ref().unwrap_or(&LeaderEpochs::default()) != &self.epochs {
            self.write_epochs()?;
        }
        self.forget_old_epochs();
        Ok(())
    }

    /// Forgets the epochs of segments that are gone. Not of records that are only hidden by the log start, which a crash may
    /// yet bring back; and not in the file, which may tell more than there is.
    fn forget_old_epochs(&mut self) {
        self.epochs.truncate_from_start(self.segments.first().map_or(self.log_end, |first| first.base_offset));
    }

    fn note_epoch(&mut self, epoch: LeaderEpoch) -> Result<(), Error> {
        if self.epochs.latest() == Some(epoch) {
            return Ok(());
        }
        let before = self.epochs.clone();
        if self.epochs.assign(epoch, self.log_end) {
            // If the file cannot be written the batch must not be either: below the recovery point nobody would find out.
            self.write_epochs().inspect_err(|_| self.epochs = before)?;
        }
        Ok(())
    }

    fn write_epochs(&mut self) -> Result<(), Error> {
        let path = self.dir.join(LEADER_EPOCH_CHECKPOINT);
        let file = checkpoint::replace_unflushed(&*self.disk, &path, &self.epochs.format())?;
        self.unflushed_files.push(file);
        self.dirty_dir();
        Ok(())
    }

    // ---- producers ---------------------------------------------------------------------------------------------------

    /// Makes the producers' state again: the newest snapshot that reads back, and the log behind it (I33). With it go the
    /// transaction indexes: those before the snapshot are made again too unless they are sure to be whole.
    fn open_producers(&mut self, names: &[String], flushed: Offset, now: Now) -> Result<(), Error> {
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
    fn first_unsure_txn_index(&self, from: Offset, flushed: Offset) -> Result<Option<usize>, Error> {
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

    fn find_snapshots(&mut self, names: &[String]) -> Result<(), Error> {
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
    fn read_snapshot(&self, limit: Offset, now: Now) -> Result<(Offset, Producers), Error> {
        for offset in self.snapshots.iter().rev().filter(|offset| **offset <= limit) {
            let content = checkpoint::read(&*self.disk, &file_path(&self.dir, *offset, SNAPSHOT))?.unwrap_or_default();
            if let Some(producers) = Producers::decode(&content, now.mono) {
                return Ok((*offset, producers));
            }
        }
        Ok((Offset::ZERO, Producers::default()))
    }

    /// Gives the segments that reach behind `from` the aborted transactions that were found there. The active one gets all
    /// its entries into memory.
    fn renew_txn_indexes(
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
    fn take_snapshot(&mut self) -> Result<(), Error> {
        if self.snapshots.last() == Some(&self.log_end) {
            return Ok(());
        }
        let path = file_path(&self.dir, self.log_end, SNAPSHOT);
        let file = checkpoint::replace_unflushed(&*self.disk, &path, &self.producers.encode())?;
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

    // ---- partition.metadata ------------------------------------------------------------------------------------------

    /// Sees to it that the directory carries the topic's id, and refuses one that carries another's (I22).
    fn keep_metadata(&mut self, topic_id: Option<TopicId>) -> Result<(), Error> {
        let Some(topic_id) = topic_id else { return Ok(()) };
        match read_topic_id(&*self.disk, &self.dir)? {
            Some(found) if found == topic_id => Ok(()),
            Some(found) => Err(Error::Refused(format!(
                "{} belongs to topic id {found}, not to {topic_id}: it is of a topic that was deleted, move it away",
                self.dir.display()
            ))),
            None => {
                let path = self.dir.join(PARTITION_METADATA);
                let content = format!("version: 0\ntopic_id: {}", base64_id(topic_id.0));
                let file = checkpoint::replace_unflushed(&*self.disk, &path, content.as_bytes())?;
                self.unflushed_files.push(file);
                self.dirty_dir();
                Ok(())
            }
        }
    }
}

/// The topic id in a partition's directory; `None` if there is none that can be read.
pub(super) fn read_topic_id(disk: &dyn Disk, dir: &Path) -> Result<Option<TopicId>, Error> {
    let content = checkpoint::read(disk, &dir.join(PARTITION_METADATA))?.unwrap_or_default();
    let text = String::from_utf8_lossy(&content);
    let id = text.lines().find_map(|line| line.strip_prefix("topic_id:"));
    Ok(id.and_then(|id| parse_base64_id(id.trim())).map(TopicId))
}
