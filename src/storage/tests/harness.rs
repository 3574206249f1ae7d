//! A log on a disk, driven through what callers see: append, read, flush, reopen.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::LogConfig;
use crate::record::control::EndTransaction;
use crate::record::{self, Builder, DecompressLimits, ValidBatch};
use crate::storage::disk::{Disk, RealDisk};
use crate::storage::log::{AppendError, Appended, Log, OpenHint, Origin};
use crate::storage::{Error, log::RecoveryReport};
use crate::types::*;

pub const EPOCH: LeaderEpoch = LeaderEpoch(0);

pub fn now() -> Now {
    Now { wall: Timestamp(1_000_000), mono: Monotonic(1_000_000) }
}

/// Small segments and a dense index, so that a short test meets every edge.
pub fn small() -> LogConfig {
    LogConfig { segment_bytes: 1000, index_interval_bytes: 100, ..LogConfig::default() }
}

pub fn values(batch_values: &[&str]) -> ValidBatch {
    timed(Timestamp(1000), batch_values)
}

pub fn timed(at: Timestamp, batch_values: &[&str]) -> ValidBatch {
    let mut builder = Builder::new();
    for value in batch_values {
        builder.push(at, None, Some(value.as_bytes()), &[]);
    }
    builder.build()
}

/// `count` records of a producer.
pub fn produced(id: i64, epoch: i16, base_sequence: i32, count: usize) -> ValidBatch {
    producer_batch(id, epoch, base_sequence, count, false)
}

pub fn in_transaction(id: i64, epoch: i16, base_sequence: i32, count: usize) -> ValidBatch {
    producer_batch(id, epoch, base_sequence, count, true)
}

fn producer_batch(id: i64, epoch: i16, base_sequence: i32, count: usize, transactional: bool) -> ValidBatch {
    let builder = Builder::new().producer(ProducerId(id), ProducerEpoch(epoch), Sequence(base_sequence));
    let mut builder = builder.transactional(transactional);
    for index in 0..count {
        builder.push(
            Timestamp(1000),
            None,
            Some(format!("{id}/{}", base_sequence.wrapping_add(index as i32)).as_bytes()),
            &[],
        );
    }
    builder.build()
}

pub fn marker(id: i64, epoch: i16, commit: bool) -> ValidBatch {
    let end = EndTransaction { commit, coordinator_epoch: 0 };
    end.batch(ProducerId(id), ProducerEpoch(epoch), Timestamp(1000))
}

/// A log and what it takes to open it again.
pub struct Bench {
    pub disk: Arc<dyn Disk>,
    pub dir: PathBuf,
    pub config: LogConfig,
    pub log: Log,
    pub report: RecoveryReport,
    _temporary: Option<tempfile::TempDir>,
}

impl Bench {
    pub fn new(config: LogConfig) -> Bench {
        let temporary = tempfile::tempdir().unwrap();
        let mut bench = Bench::on(Arc::new(RealDisk), temporary.path().join("orders-0"), config);
        bench._temporary = Some(temporary);
        bench
    }

    pub fn on(disk: Arc<dyn Disk>, dir: PathBuf, config: LogConfig) -> Bench {
        let (log, report) = open(&disk, &dir, &config, OpenHint::fresh()).unwrap();
        Bench { disk, dir, config, log, report, _temporary: None }
    }

    pub fn append(&mut self, mut batch: ValidBatch) -> Result<Appended, AppendError> {
        let origin = if batch.header().is_control() { Origin::Coordinator } else { Origin::Client };
        self.log.append(&mut batch, EPOCH, now(), origin)
    }

    /// Appends and tells the base offset.
    pub fn put(&mut self, batch: ValidBatch) -> i64 {
        self.append(batch).unwrap().base_offset.0
    }

    pub fn refused(&mut self, batch: ValidBatch) -> ErrorCode {
        let end = self.log.log_end_offset();
        match self.append(batch) {
            Err(AppendError::Refused(code, _)) => {
                assert_eq!(self.log.log_end_offset(), end, "a refused batch adds nothing");
                code
            }
            other => panic!("not refused: {other:?}"),
        }
    }

    /// All values from an offset on, read in pieces of at most `max_bytes`.
    pub fn read_all(&self, from: i64, max_bytes: usize) -> Vec<(i64, String)> {
        read_all(&self.log, Offset(from), self.log.log_end_offset(), max_bytes)
    }

    pub fn end(&self) -> i64 {
        self.log.log_end_offset().0
    }

    /// Stops cleanly and opens again.
    pub fn restart(&mut self) {
        self.log.close().unwrap();
        let hint = OpenHint {
            clean: true,
            recovery_point: self.log.flushed_offset(),
            log_start_offset: self.log.log_start_offset(),
            flushed: true,
            cleaned: self.config.compact,
        };
        self.reopen(hint).unwrap();
    }

    /// Opens again as after a crash, with nothing known to be flushed but what is before `recovery_point`.
    pub fn crash(&mut self, recovery_point: i64) -> Result<(), Error> {
        let hint = OpenHint {
            clean: false,
            recovery_point: Offset(recovery_point),
            log_start_offset: self.log.log_start_offset(),
            flushed: false,
            cleaned: self.config.compact,
        };
        self.reopen(hint)
    }

    pub fn reopen(&mut self, hint: OpenHint) -> Result<(), Error> {
        (self.log, self.report) = open(&self.disk, &self.dir, &self.config, hint)?;
        Ok(())
    }

    pub fn files(&self, extension: &str) -> Vec<PathBuf> {
        let names = self.disk.list(&self.dir).unwrap();
        names.iter().filter(|name| name.ends_with(&format!(".{extension}"))).map(|name| self.dir.join(name)).collect()
    }
}

pub fn open(
    disk: &Arc<dyn Disk>,
    dir: &std::path::Path,
    config: &LogConfig,
    hint: OpenHint,
) -> Result<(Log, RecoveryReport), Error> {
    let id = TopicId(uuid::Uuid::from_u128(7));
    Log::open(disk.clone(), dir.to_path_buf(), Arc::new(config.clone()), hint, Some(id), now())
}

pub fn read_all(log: &Log, from: Offset, limit: Offset, max_bytes: usize) -> Vec<(i64, String)> {
    let mut found = Vec::new();
    let mut at = from;
    loop {
        let fetched = log.read(at, limit, max_bytes, true).unwrap();
        let Some(range) = fetched.range else { return found };
        let bytes = range.read().unwrap();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let header = record::Header::read(rest).unwrap();
            let batch = &rest[..header.size()];
            assert!(record::checksum_matches(batch));
            if !header.is_control() {
                for record in record::open(batch, &DecompressLimits::default()).unwrap().records() {
                    let record = record.unwrap();
                    if record.offset >= from {
                        found.push((record.offset.0, String::from_utf8_lossy(record.value.unwrap()).into_owned()));
                    }
                }
            }
            rest = &rest[header.size()..];
        }
        assert!(fetched.next_offset > at, "a read moves on");
        at = fetched.next_offset;
    }
}
