//! stub
use super::Error;
use super::disk::*;
use crate::config::LogConfig;
use crate::file::FileRange;
use crate::record::ValidBatch;
use crate::types::*;
use std::path::PathBuf;
use std::sync::Arc;
pub struct Log;
#[derive(Debug)]
pub struct AbortedTransaction {
    pub producer_id: ProducerId,
    pub first_offset: Offset,
}
pub enum AppendError {
    Refused(ErrorCode, String),
    Disk(Error),
}
impl From<Error> for AppendError {
    fn from(e: Error) -> Self {
        AppendError::Disk(e)
    }
}
pub enum ReadError {
    OutOfRange { start: Offset, end: Offset },
    Disk(Error),
}
pub struct Appended {
    pub base_offset: Offset,
    pub last_offset: Offset,
    pub log_append_time: Timestamp,
    pub log_start_offset: Offset,
    pub duplicate: bool,
}
pub struct FlushTicket {
    pub files: Vec<Arc<dyn DiskFile>>,
    pub dirs: Vec<PathBuf>,
    pub end: Offset,
}
impl FlushTicket {
    pub fn sync(&self, _d: &dyn Disk) -> Result<(), Error> {
        unimplemented!()
    }
}
pub struct OpenHint {
    pub clean: bool,
    pub recovery_point: Offset,
    pub log_start_offset: Offset,
}
impl OpenHint {
    pub fn fresh() -> Self {
        OpenHint { clean: true, recovery_point: Offset(0), log_start_offset: Offset(0) }
    }
}
#[derive(Clone, Copy)]
pub enum Origin {
    Client,
    Coordinator,
    Raft,
}
pub struct RecoveryReport {
    pub truncated_bytes: u64,
}
impl std::fmt::Display for RecoveryReport {
    fn fmt(&self, _f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}
pub struct Fetched {
    pub range: Option<FileRange>,
    pub next_offset: Offset,
}
pub struct LeaderEpochs;
impl LeaderEpochs {
    pub fn end_offset_for(&self, _e: LeaderEpoch, _end: Offset) -> (LeaderEpoch, Offset) {
        unimplemented!()
    }
    pub fn epoch_at(&self, _o: Offset) -> Option<LeaderEpoch> {
        None
    }
}
impl Log {
    pub fn open(
        _d: Arc<dyn Disk>,
        _p: PathBuf,
        _c: Arc<LogConfig>,
        _h: OpenHint,
        _t: Option<TopicId>,
        _n: Now,
    ) -> Result<(Log, RecoveryReport), Error> {
        unimplemented!()
    }
    pub fn append(
        &mut self,
        _b: &mut ValidBatch,
        _e: LeaderEpoch,
        _n: Now,
        _o: Origin,
    ) -> Result<Appended, AppendError> {
        unimplemented!()
    }
    pub fn read(&self, _f: Offset, _l: Offset, _m: usize, _a: bool) -> Result<Fetched, ReadError> {
        unimplemented!()
    }
    pub fn log_start_offset(&self) -> Offset {
        unimplemented!()
    }
    pub fn log_end_offset(&self) -> Offset {
        unimplemented!()
    }
    pub fn flushed_offset(&self) -> Offset {
        unimplemented!()
    }
    pub fn last_stable_offset(&self, _h: Offset) -> Offset {
        unimplemented!()
    }
    pub fn size_bytes(&self) -> u64 {
        0
    }
    pub fn aborted_transactions(&self, _f: Offset, _t: Offset) -> Result<Vec<AbortedTransaction>, Error> {
        unimplemented!()
    }
    pub fn offset_for_timestamp(
        &self,
        _t: Timestamp,
        _l: Offset,
    ) -> Result<Option<(Offset, Timestamp, LeaderEpoch)>, Error> {
        unimplemented!()
    }
    pub fn max_timestamp(&self, _l: Offset) -> Result<Option<(Offset, Timestamp, LeaderEpoch)>, Error> {
        unimplemented!()
    }
    pub fn leader_epochs(&self) -> &LeaderEpochs {
        unimplemented!()
    }
    pub fn set_config(&mut self, _c: Arc<LogConfig>) {}
    pub fn begin_flush(&mut self) -> Option<FlushTicket> {
        None
    }
    pub fn end_flush(&mut self, _t: FlushTicket, _r: Result<(), Error>) -> Offset {
        unimplemented!()
    }
    pub fn close(&mut self) -> Result<(), Error> {
        Ok(())
    }
    pub fn roll(&mut self, _n: Now) -> Result<(), Error> {
        Ok(())
    }
    pub fn delete_records_before(&mut self, _o: Offset) -> Result<Offset, Error> {
        unimplemented!()
    }
    pub fn expire_producers(&mut self, _n: Now, _e: u64) {}
    pub fn apply_retention(&mut self, _n: Now, _h: Offset) -> Result<(), Error> {
        Ok(())
    }
}
