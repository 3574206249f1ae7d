//! One partition led here: append, read, high watermark, waiting.
//!
//! The log stands behind one mutex, held for the append or the look-up and never over an `.await`; 20 ns against the eight
//! times as many that handing work to an owner task costs. In durable mode the high watermark follows the flush, so nobody
//! reads what a power cut could take back; in page-cache mode it follows the append. Waiters are told after it moved.
//!
//! A partition that never had a record has no files: ten thousand empty partitions cost nothing but their names.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use crate::clock::Clock;
use crate::config::LogConfig;
use crate::file::FileRange;
use crate::metrics::Metrics;
use crate::record::ValidBatch;
use crate::seldom::Seldom;
use crate::storage;
use crate::storage::disk::Disk;
use crate::storage::log::{AbortedTransaction, AppendError, Appended, FlushTicket, Log, OpenHint, Origin, ReadError};
use crate::storage::log_dir::LogDir;
use crate::types::{ErrorCode, LeaderEpoch, Monotonic, Now, Offset, Timestamp, TopicId, TopicPartition};

use super::flusher::Flusher;
use super::waiters::{Waiter, Waiters};

/// What all partitions of a broker share.
pub struct Shop {
    pub disk: Arc<dyn Disk>,
    pub log_dir: Arc<LogDir>,
    pub flusher: Arc<Flusher>,
    pub clock: Arc<dyn Clock>,
    pub metrics: Arc<Metrics>,
    /// `milena.durability=flush`: acknowledge and show only what is flushed.
    pub durable: bool,
}

pub struct Partition {
    pub name: TopicPartition,
    pub topic_id: TopicId,
    shop: Arc<Shop>,
    /// The log and what must change with it.
    state: Mutex<State>,
    /// Published under the lock of `state`, read without it.
    high_watermark: AtomicI64,
    leader_epoch: AtomicI32,
    /// In the flusher's queue.
    queued: AtomicBool,
    failed: AtomicBool,
    /// The last append failed on the disk.
    cannot_write: AtomicBool,
    unreadable: Seldom,
    waiters: Waiters,
    /// Told when the high watermark moved by a flush, or never will; set once, for the internal topics.
    listener: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

struct State {
    log: Slot,
    config: Arc<LogConfig>,
    /// All bytes ever appended, and how many of them the high watermark has passed: their difference is what waiters get.
    appended_bytes: u64,
    shown_bytes: u64,
    /// `appended_bytes` when the flush under way began.
    flushing_bytes: u64,
    /// How many of them the last flush has covered.
    flushed_bytes: u64,
    /// When everything was last seen flushed.
    clean_at: Monotonic,
    /// Appended to or read since [`Partition::rest`] was called last.
    used: bool,
}

impl State {
    fn unflushed_records(&self) -> u64 {
        match &self.log {
            Slot::Open(log) => (log.log_end_offset().0 - log.flushed_offset().0).max(0).unsigned_abs(),
            _ => 0,
        }
    }
}

enum Slot {
    /// No record yet, no files.
    Empty,
    Open(Box<Log>),
    /// The log cannot be used: the sentence says why and names the file. Others go on (I25).
    Offline(String),
    /// The topic is gone.
    Deleted,
}

/// Whose data a read may show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    ReadUncommitted,
    ReadCommitted,
}

/// What a fetch finds in one partition.
#[derive(Debug, Default)]
pub struct Read {
    pub range: Option<FileRange>,
    /// The range goes as far as there is anything to show.
    pub to_the_end: bool,
    pub high_watermark: Offset,
    pub last_stable_offset: Offset,
    pub log_start_offset: Offset,
    /// `None` where nobody asked: read_uncommitted shows aborted records too.
    pub aborted: Option<Vec<AbortedTransaction>>,
}

/// How far a produced batch has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitState {
    Committed,
    Pending,
    /// It may be lost: the flush failed, or the partition is gone.
    Failed,
}

impl Partition {
    /// A partition with no files yet.
    pub fn empty(shop: Arc<Shop>, name: TopicPartition, topic_id: TopicId, config: Arc<LogConfig>) -> Arc<Self> {
        Self::with(shop, name, topic_id, config, Slot::Empty, Offset::ZERO)
    }

    /// A partition whose directory is there: its log is opened and, after a crash, recovered.
    pub fn open(
        shop: Arc<Shop>,
        name: TopicPartition,
        topic_id: TopicId,
        config: Arc<LogConfig>,
        directory: PathBuf,
        hint: OpenHint,
    ) -> Arc<Self> {
        let now = shop.clock.now();
        let opened = Log::open(shop.disk.clone(), directory, config.clone(), hint, Some(topic_id), now);
        let (slot, end) = match opened {
            Ok((log, report)) => {
                if report.truncated_bytes > 0 {
                    tracing::warn!(partition = %name, %report, "recovered after an unclean stop");
                }
                // Recovery has flushed what it accepted, so all of it may be shown (I13).
                let end = log.log_end_offset();
                (Slot::Open(Box::new(log)), end)
            }
            Err(error) => {
                tracing::error!(partition = %name, %error, "partition is offline");
                (Slot::Offline(error.to_string()), Offset::ZERO)
            }
        };
        Self::with(shop, name, topic_id, config, slot, end)
    }

    fn with(
        shop: Arc<Shop>,
        name: TopicPartition,
        topic_id: TopicId,
        config: Arc<LogConfig>,
        log: Slot,
        end: Offset,
    ) -> Arc<Self> {
        let failed = matches!(log, Slot::Offline(_));
        Arc::new(Partition {
            name,
            topic_id,
            shop,
            state: Mutex::new(State {
                log,
                config,
                appended_bytes: 0,
                shown_bytes: 0,
                flushing_bytes: 0,
                flushed_bytes: 0,
                clean_at: Monotonic(0),
                used: false,
            }),
            high_watermark: AtomicI64::new(end.0),
            leader_epoch: AtomicI32::new(0),
            queued: AtomicBool::new(false),
            failed: AtomicBool::new(failed),
            cannot_write: AtomicBool::new(false),
            unreadable: Seldom::default(),
            waiters: Waiters::default(),
            listener: OnceLock::new(),
        })
    }

    pub fn high_watermark(&self) -> Offset {
        Offset(self.high_watermark.load(Ordering::Acquire))
    }

    pub fn leader_epoch(&self) -> LeaderEpoch {
        LeaderEpoch(self.leader_epoch.load(Ordering::Acquire))
    }

    pub fn set_leader_epoch(&self, epoch: LeaderEpoch) {
        self.leader_epoch.store(epoch.0, Ordering::Release);
    }

    /// Is the epoch a client believes in the current one? -1 asks for no check.
    pub fn check_epoch(&self, epoch: LeaderEpoch) -> Result<(), ErrorCode> {
        let current = self.leader_epoch();
        match epoch {
            LeaderEpoch::NONE => Ok(()),
            epoch if epoch < current => Err(ErrorCode::FencedLeaderEpoch),
            epoch if epoch > current => Err(ErrorCode::UnknownLeaderEpoch),
            _ => Ok(()),
        }
    }

    /// Called after each flush that moved the high watermark, and when no flush will move it any more. May be set once.
    pub fn on_commit(&self, listener: Box<dyn Fn() + Send + Sync>) {
        // Setting it twice would be two coordinators on one log; the first stays.
        let _ = self.listener.set(listener);
    }

    pub fn config(&self) -> Arc<LogConfig> {
        self.lock().config.clone()
    }

    pub fn set_config(&self, config: Arc<LogConfig>) {
        let mut state = self.lock();
        if let Slot::Open(log) = &mut state.log {
            log.set_config(config.clone());
        }
        state.config = config;
    }

    /// Appends one batch. When this returns the bytes are in the page cache and have their offsets; whether they are
    /// committed is told by [`Partition::commit_state`].
    pub fn append(self: &Arc<Self>, batch: &mut ValidBatch, origin: Origin) -> Result<Appended, AppendError> {
        let result = self.try_append(batch, origin);
        self.note_write(&result);
        result
    }

    /// Says once that the disk takes nothing, and once that it does again, not at every request (I18).
    fn note_write(&self, result: &Result<Appended, AppendError>) {
        match result {
            Ok(_) if !self.cannot_write.load(Ordering::Relaxed) => {}
            Ok(_) => {
                self.cannot_write.store(false, Ordering::Relaxed);
                tracing::info!(partition = %self.name, "the log is written again");
            }
            Err(AppendError::Disk(error)) => {
                self.shop.metrics.append_failures.add(1);
                if !self.cannot_write.swap(true, Ordering::Relaxed) {
                    tracing::error!(
                        partition = %self.name, %error,
                        "cannot write the log; producers are told to try again until it can be written"
                    );
                }
            }
            Err(AppendError::Refused(..)) => {}
        }
    }

    fn try_append(self: &Arc<Self>, batch: &mut ValidBatch, origin: Origin) -> Result<Appended, AppendError> {
        let now = self.shop.clock.now();
        let mut state = self.lock();
        self.make_log(&mut state, now)?;
        let epoch = self.leader_epoch();
        let log = match &mut state.log {
            Slot::Open(log) => log,
            _ => return Err(AppendError::Refused(ErrorCode::KafkaStorageError, "the partition is offline".into())),
        };
        let appended = log.append(batch, epoch, now, origin)?;
        let has_new_files = log.has_unflushed_files();
        if appended.duplicate {
            self.shop.metrics.duplicate_batches.add(1);
            return Ok(appended);
        }
        state.used = true;
        let size = batch.size() as u64;
        self.shop.metrics.batches_in.add(1);
        self.shop.metrics.bytes_in.add(size);
        state.appended_bytes += size;
        if self.shop.durable {
            drop(state);
            self.queue_flush();
        } else {
            let bytes = self.show(&mut state, appended.last_offset.next());
            let is_due = state.unflushed_records() >= state.config.flush_messages;
            drop(state);
            self.waiters.moved(self.high_watermark(), bytes);
            // Nobody waits for that; but until they are flushed closed segments and files beside them stay open.
            if is_due || has_new_files {
                self.queue_flush();
            }
        }
        Ok(appended)
    }

    /// Will the next append make its directory and its files?
    pub fn has_no_files(&self) -> bool {
        matches!(self.lock().log, Slot::Empty)
    }

    /// Makes directory and log at the first append.
    fn make_log(&self, state: &mut State, now: Now) -> Result<(), AppendError> {
        match &state.log {
            Slot::Open(_) => return Ok(()),
            Slot::Empty => {}
            Slot::Offline(reason) => {
                return Err(AppendError::Refused(ErrorCode::KafkaStorageError, reason.clone()));
            }
            Slot::Deleted => {
                return Err(AppendError::Refused(ErrorCode::UnknownTopicOrPartition, "the topic was deleted".into()));
            }
        }
        let made = self.shop.log_dir.create_partition(&self.name, self.topic_id).and_then(|directory| {
            let hint = OpenHint::fresh();
            Log::open(self.shop.disk.clone(), directory, state.config.clone(), hint, Some(self.topic_id), now)
        });
        match made {
            Ok((log, _)) => {
                state.log = Slot::Open(Box::new(log));
                Ok(())
            }
            // Nothing is remembered: with space back the next append tries again (I18).
            Err(error) => Err(AppendError::Disk(error)),
        }
    }

    /// Moves the high watermark under the lock; how many bytes it passed.
    fn show(&self, state: &mut State, end: Offset) -> u64 {
        let bytes = state.appended_bytes - state.shown_bytes;
        state.shown_bytes = state.appended_bytes;
        self.high_watermark.fetch_max(end.0, Ordering::AcqRel);
        bytes
    }

    /// In page-cache mode: has the log flushed if something in it has waited longer than `flush.ms`.
    pub fn flush_if_old(self: &Arc<Self>, now: Now) {
        let mut state = self.lock();
        if state.unflushed_records() == 0 {
            state.clean_at = now.mono;
        }
        let is_due = now.mono.ms_since(state.clean_at) >= state.config.flush_ms && state.unflushed_records() > 0;
        drop(state);
        if is_due {
            self.queue_flush();
        }
    }

    /// Has everything flushed that is not.
    pub(super) fn flush_rest(self: &Arc<Self>) {
        let is_dirty = self.lock().unflushed_records() > 0;
        if is_dirty {
            self.queue_flush();
        }
    }

    /// Called now and then: leaves on the disk what makes a start after a crash quick, once `worth` bytes were appended.
    pub(super) fn note_progress(self: &Arc<Self>, worth: u64) {
        match self.tend(|log| log.note_progress_if_due(worth)) {
            Some(Ok(true)) => self.queue_flush(),
            // The appends of a disk that takes nothing say so themselves.
            Some(Err(error)) => {
                tracing::debug!(partition = %self.name, %error, "a start after a crash will take longer")
            }
            Some(Ok(false)) | None => {}
        }
    }

    /// Called now and then: closes the files of a partition that nobody has used since, or of any if `even_if_used`. They
    /// are opened when they are needed. What is not flushed is flushed first, and closed the next time: a file keeps its
    /// descriptor until then, so that a failed flush is heard of (I17).
    pub(super) fn rest(self: &Arc<Self>, even_if_used: bool) {
        let mut state = self.lock();
        if std::mem::take(&mut state.used) && !even_if_used {
            return;
        }
        let Slot::Open(log) = &state.log else { return };
        if log.flushed_offset() == log.log_end_offset() {
            return log.release_files();
        }
        drop(state);
        self.queue_flush();
    }

    /// Puts the partition into the next round of the flusher, once.
    pub fn queue_flush(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            self.shop.flusher.submit(self.clone());
        }
    }

    /// What the flusher has to flush now.
    pub(super) fn begin_flush(&self) -> Option<FlushTicket> {
        // Whatever is appended from here on queues the partition anew.
        self.queued.store(false, Ordering::Release);
        let mut state = self.lock();
        state.flushing_bytes = state.appended_bytes;
        match &mut state.log {
            Slot::Open(log) => log.begin_flush(),
            _ => None,
        }
    }

    /// How the flush went: the high watermark follows it, or the partition goes offline for good (I17).
    pub(super) fn end_flush(self: &Arc<Self>, ticket: FlushTicket, result: Result<(), storage::Error>) {
        if result.as_ref().is_err_and(storage::Error::is_want_of_descriptors) {
            // Nothing was asked of the disk, so nothing has failed there.
            tracing::debug!(partition = %self.name, "flushed again once there are descriptors");
            return self.queue_flush();
        }
        let mut state = self.lock();
        let failed = result.as_ref().err().map(ToString::to_string);
        let Slot::Open(log) = &mut state.log else { return };
        let flushed = log.end_flush(ticket, result);
        if let Some(reason) = failed {
            tracing::error!(partition = %self.name, error = %reason, "flush failed; the partition is offline");
            self.failed.store(true, Ordering::Release);
            drop(state);
            self.waiters.wake_all();
            self.tell_listener();
            return;
        }
        self.shop.metrics.flushed_bytes.add(state.flushing_bytes - state.flushed_bytes);
        state.flushed_bytes = state.flushing_bytes;
        if !self.shop.durable {
            return;
        }
        let bytes = state.flushing_bytes - state.shown_bytes;
        state.shown_bytes = state.flushing_bytes;
        let moved = self.high_watermark.fetch_max(flushed.0, Ordering::AcqRel) < flushed.0;
        drop(state);
        if moved {
            self.waiters.moved(flushed, bytes);
            self.tell_listener();
        }
    }

    fn tell_listener(&self) {
        if let Some(listener) = self.listener.get() {
            listener();
        }
    }

    /// Will nothing be committed here any more: did a flush fail, or is the topic gone?
    pub fn is_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire) || matches!(self.lock().log, Slot::Offline(_) | Slot::Deleted)
    }

    /// How far the records before `end` have got.
    pub fn commit_state(&self, end: Offset) -> CommitState {
        if self.high_watermark() >= end {
            CommitState::Committed
        } else if self.failed.load(Ordering::Acquire) {
            CommitState::Failed
        } else {
            CommitState::Pending
        }
    }

    /// The partition and the end of its log, if what is before the end is written and not committed yet.
    pub fn uncommitted(self: Arc<Self>) -> Option<(Arc<Self>, Offset)> {
        let end = self.log_end_offset().ok()?;
        (self.commit_state(end) == CommitState::Pending).then_some((self, end))
    }

    /// Has `waiter` told once everything before `end` is committed; told at once if it is already.
    pub fn await_commit(&self, end: Offset, waiter: &Arc<Waiter>) {
        self.waiters.await_commit(end, waiter.clone());
        // The move may have come between the append and the registration.
        if self.commit_state(end) != CommitState::Pending {
            self.waiters.moved(self.high_watermark(), 0);
            if self.failed.load(Ordering::Acquire) {
                self.waiters.wake_all();
            }
        }
    }

    pub fn await_data(&self, waiter: &Arc<Waiter>) {
        self.waiters.await_data(waiter.clone());
    }

    pub fn leave(&self, waiter: &Arc<Waiter>) {
        self.waiters.leave(waiter);
    }

    /// Whole batches from `from` on, at most `max_bytes` of them except that `at_least_one` gives a first batch of any size.
    pub fn read(
        &self,
        from: Offset,
        isolation: Isolation,
        max_bytes: usize,
        at_least_one: bool,
    ) -> Result<Read, (ErrorCode, Read)> {
        let mut state = self.lock();
        state.used = true;
        let high_watermark = self.high_watermark();
        let aborted = (isolation == Isolation::ReadCommitted).then(Vec::new);
        let log = match &state.log {
            Slot::Open(log) => log,
            Slot::Empty => {
                let empty = Read { aborted, ..Read::default() };
                return if from == Offset::ZERO { Ok(empty) } else { Err((ErrorCode::OffsetOutOfRange, empty)) };
            }
            Slot::Offline(_) => return Err((ErrorCode::KafkaStorageError, Read::default())),
            Slot::Deleted => return Err((ErrorCode::UnknownTopicOrPartition, Read::default())),
        };
        let last_stable_offset = log.last_stable_offset(high_watermark);
        let mut read = Read {
            range: None,
            to_the_end: false,
            high_watermark,
            last_stable_offset,
            log_start_offset: log.log_start_offset(),
            aborted,
        };
        let limit = match isolation {
            Isolation::ReadUncommitted => high_watermark,
            Isolation::ReadCommitted => last_stable_offset,
        };
        if from < read.log_start_offset || from > log.log_end_offset() {
            return Err((ErrorCode::OffsetOutOfRange, read));
        }
        if from >= limit || (max_bytes == 0 && !at_least_one) {
            return Ok(read);
        }
        let fetched = match log.read(from, limit, max_bytes, at_least_one) {
            Ok(fetched) => fetched,
            Err(ReadError::OutOfRange { .. }) => return Err((ErrorCode::OffsetOutOfRange, read)),
            // Reported when it was found. Consumers may pass over it; those of Java say so.
            Err(ReadError::Damaged { .. }) => return Err((ErrorCode::CorruptMessage, read)),
            Err(ReadError::Disk(error)) => {
                if let Some(more) = self.unreadable.due(self.shop.clock.now().mono.0) {
                    tracing::error!(partition = %self.name, %error, more, "cannot read the log");
                }
                return Err((ErrorCode::KafkaStorageError, read));
            }
        };
        if isolation == Isolation::ReadCommitted && fetched.range.is_some() {
            read.aborted = match log.aborted_transactions(from, fetched.next_offset) {
                Ok(aborted) => Some(aborted),
                Err(error) => {
                    tracing::error!(partition = %self.name, %error, "cannot read the transaction index");
                    return Err((ErrorCode::KafkaStorageError, read));
                }
            };
        }
        read.range = fetched.range;
        read.to_the_end = fetched.next_offset >= limit;
        Ok(read)
    }

    /// Whole batches from an offset to the log's end, committed or not: only for the machine that wrote them.
    pub(super) fn read_to_end(&self, from: Offset, max_bytes: usize) -> Result<Option<FileRange>, ErrorCode> {
        self.look(None, |log| match log.read(from, log.log_end_offset(), max_bytes, true) {
            Ok(fetched) => Ok(fetched.range),
            Err(ReadError::OutOfRange { .. }) => Ok(None),
            Err(ReadError::Damaged { until }) => {
                Err(storage::Error::corrupt(log.dir(), from, format!("records before {until} are damaged")))
            }
            Err(ReadError::Disk(error)) => Err(error),
        })
    }

    /// Looks something up in the log under its lock; an empty partition answers `empty`.
    pub fn look<T>(&self, empty: T, look: impl FnOnce(&Log) -> Result<T, storage::Error>) -> Result<T, ErrorCode> {
        match &self.lock().log {
            Slot::Open(log) => look(log).map_err(|error| {
                tracing::error!(partition = %self.name, %error, "cannot read the log");
                ErrorCode::KafkaStorageError
            }),
            Slot::Empty => Ok(empty),
            Slot::Offline(_) => Err(ErrorCode::KafkaStorageError),
            Slot::Deleted => Err(ErrorCode::UnknownTopicOrPartition),
        }
    }

    /// Changes the log under its lock, for housekeeping; `None` where there is none.
    pub fn tend<T>(&self, work: impl FnOnce(&mut Log) -> T) -> Option<T> {
        match &mut self.lock().log {
            Slot::Open(log) => Some(work(log)),
            _ => None,
        }
    }

    pub fn log_start_offset(&self) -> Result<Offset, ErrorCode> {
        self.look(Offset::ZERO, |log| Ok(log.log_start_offset()))
    }

    pub fn log_end_offset(&self) -> Result<Offset, ErrorCode> {
        self.look(Offset::ZERO, |log| Ok(log.log_end_offset()))
    }

    pub fn last_stable_offset(&self) -> Result<Offset, ErrorCode> {
        let high_watermark = self.high_watermark();
        self.look(high_watermark, |log| Ok(log.last_stable_offset(high_watermark)))
    }

    pub fn size_bytes(&self) -> u64 {
        self.look(0, |log| Ok(log.size_bytes())).unwrap_or(0)
    }

    /// The first record at or after a time, below the limit that the isolation sets.
    pub fn offset_for_timestamp(
        &self,
        timestamp: Timestamp,
        limit: Offset,
    ) -> Result<Option<(Offset, Timestamp, LeaderEpoch)>, ErrorCode> {
        self.look(None, |log| log.offset_for_timestamp(timestamp, limit))
    }

    /// The epoch that is current at `epoch` or was the last before it, and where it ended.
    pub fn end_of_epoch(&self, epoch: LeaderEpoch) -> Result<(LeaderEpoch, Offset), ErrorCode> {
        let current = self.leader_epoch();
        let end = self.log_end_offset()?;
        if epoch == current {
            return Ok((current, end));
        }
        if epoch > current {
            return Ok((LeaderEpoch::NONE, Offset::NONE));
        }
        self.look((LeaderEpoch::NONE, Offset::NONE), |log| Ok(log.leader_epochs().end_offset_for(epoch, end)))
    }

    pub fn is_offline(&self) -> bool {
        self.failed.load(Ordering::Acquire) || matches!(self.lock().log, Slot::Offline(_))
    }

    /// The topic is gone: nobody reads or writes from here on. The files are the log directory's to remove.
    pub(super) fn delete(&self) -> bool {
        let had_files = !matches!(std::mem::replace(&mut self.lock().log, Slot::Deleted), Slot::Empty);
        self.failed.store(true, Ordering::Release);
        self.waiters.wake_all();
        had_files
    }

    /// Flushes and closes; false when something could not be made durable, and no clean-stop marker may be written (I12).
    pub(super) fn close(&self) -> bool {
        let stopped = Slot::Offline("the broker has stopped".into());
        match &mut std::mem::replace(&mut self.lock().log, stopped) {
            Slot::Open(log) => match log.close() {
                Ok(()) => !self.failed.load(Ordering::Acquire),
                Err(error) => {
                    tracing::error!(partition = %self.name, %error, "cannot close the log cleanly");
                    false
                }
            },
            Slot::Empty | Slot::Deleted => true,
            Slot::Offline(_) => false,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::record::{Builder, Compression, DecompressLimits, Rules, validate};
    use crate::storage::disk::RealDisk;
    use crate::storage::log_dir::Identity;
    use crate::types::BrokerId;

    /// A broker's floor without its threads: flushing is a step of the test.
    struct Floor {
        directory: tempfile::TempDir,
        shop: Arc<Shop>,
    }

    impl Floor {
        fn new() -> Floor {
            let directory = tempfile::tempdir().unwrap();
            let disk: Arc<dyn Disk> = Arc::new(RealDisk);
            let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(Timestamp(1_700_000_000_000), 1));
            let metrics = Arc::new(Metrics::default());
            let identity = Identity {
                cluster_id: None,
                is_cluster_id_strict: false,
                node_id: BrokerId(1),
                fresh_cluster_id: clock.random_id(),
                fresh_directory_id: clock.random_id(),
            };
            let log_dir = Arc::new(LogDir::open(disk.clone(), directory.path(), identity).unwrap());
            let flusher = Flusher::new(disk.clone(), directory.path().to_path_buf(), metrics.clone());
            Floor { directory, shop: Arc::new(Shop { disk, log_dir, flusher, clock, metrics, durable: false }) }
        }

        fn partition(&self, index: i32, segment_bytes: u64) -> Arc<Partition> {
            let config = Arc::new(LogConfig { segment_bytes, ..LogConfig::default() });
            Partition::empty(
                self.shop.clone(),
                TopicPartition::new("t", index),
                TopicId(uuid::Uuid::from_u128(9)),
                config,
            )
        }

        fn flush(&self, partitions: &[Arc<Partition>]) {
            self.shop.flusher.round(partitions);
        }

        /// Rounds of the flusher, and the bytes they have flushed.
        fn flushed(&self) -> (u64, u64) {
            (self.shop.metrics.flushes.get(), self.shop.metrics.flushed_bytes.get())
        }

        /// Descriptors of this process that lead into the directory.
        fn open_files(&self) -> usize {
            let links = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
            let paths = links.filter_map(|link| std::fs::read_link(link.path()).ok());
            let lock = self.directory.path().join(".lock");
            paths.filter(|path| path.starts_with(self.directory.path()) && *path != lock).count()
        }
    }

    /// Appends a batch of one record; its size.
    fn append(partition: &Arc<Partition>) -> usize {
        let mut builder = Builder::new().compression(Compression::None);
        builder.push(Timestamp(1_700_000_000_000), None, Some(&[7; 500]), &[]);
        let bytes = builder.build().into_bytes();
        let (log, limits) = (partition.config(), DecompressLimits::default());
        let rules = Rules {
            partition: &partition.name,
            log: &log,
            api_version: 9,
            now: Timestamp(1_700_000_000_000),
            full: false,
            limits,
        };
        let size = bytes.len();
        partition.append(&mut validate(bytes, &rules).unwrap(), Origin::Client).unwrap();
        size
    }

    fn wants_flush(partition: &Partition) -> bool {
        partition.queued.load(Ordering::Acquire)
    }

    /// In page-cache mode nobody asks for a flush, and yet segments that were closed must not stay open for ever.
    #[test]
    fn files_are_flushed_and_closed_in_page_cache_mode_too() {
        let floor = Floor::new();
        let partition = floor.partition(0, 2_000);
        (0..100).for_each(|_| _ = append(&partition));
        assert!(wants_flush(&partition), "new segments are to be flushed");
        floor.flush(std::slice::from_ref(&partition));
        assert!(floor.open_files() <= 4, "{} files of 34 segments are open", floor.open_files());
        append(&partition);
        assert!(!wants_flush(&partition), "an append alone wakes no other thread");
    }

    /// How many bytes a round of the flusher takes along, without counting any twice or those that came too late.
    #[test]
    fn bytes_are_counted_with_the_flush_that_covers_them() {
        let floor = Floor::new();
        let partition = floor.partition(0, 1 << 20);
        let size = (append(&partition) + append(&partition)) as u64;
        floor.flush(std::slice::from_ref(&partition));
        assert_eq!(floor.flushed(), (1, size));
        floor.flush(std::slice::from_ref(&partition));
        assert_eq!(floor.flushed(), (2, size), "there was nothing new");
        let ticket = {
            append(&partition);
            partition.begin_flush().unwrap()
        };
        append(&partition);
        partition.end_flush(ticket, Ok(()));
        assert_eq!(floor.flushed().1, size / 2 * 3, "one came while it ran");
    }

    /// A partition that is not used closes its files, and goes on as if nothing had happened.
    #[test]
    fn a_partition_at_rest_holds_no_file() {
        let floor = Floor::new();
        let partitions: Vec<_> = (0..50).map(|index| floor.partition(index, 1 << 20)).collect();
        partitions.iter().for_each(|partition| _ = append(partition));
        let size = append(&partitions[3]);
        partitions.iter().for_each(|partition| partition.rest(false));
        floor.flush(&partitions);
        assert_eq!(floor.open_files(), 50, "used since the last call");
        append(&partitions[0]);
        partitions.iter().for_each(|partition| partition.rest(false));
        floor.flush(&partitions);
        partitions[1..].iter().for_each(|partition| partition.rest(false));
        assert_eq!(floor.open_files(), 1, "only the one in use");
        partitions[0].rest(true);
        assert_eq!(floor.open_files(), 0, "descriptors were scarce");
        append(&partitions[3]);
        let read = partitions[3].read(Offset::ZERO, Isolation::ReadUncommitted, 1 << 20, true).unwrap();
        assert_eq!(read.range.unwrap().read().unwrap().len(), 3 * size, "three batches are read back");
    }
}
