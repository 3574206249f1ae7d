//! stub
use super::Error;
use super::disk::*;
use crate::types::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use uuid::Uuid;
pub struct LogDir;
pub struct Identity {
    pub cluster_id: Option<String>,
    pub node_id: BrokerId,
    pub fresh_cluster_id: Uuid,
    pub fresh_directory_id: Uuid,
}
impl LogDir {
    pub fn open(_d: Arc<dyn Disk>, _p: &Path, _i: Identity) -> Result<LogDir, Error> {
        unimplemented!()
    }
    pub fn create_partition(&self, _t: &TopicPartition, _i: TopicId) -> Result<PathBuf, Error> {
        unimplemented!()
    }
    pub fn remove_partition(&self, _t: &TopicPartition) -> Result<(), Error> {
        unimplemented!()
    }
    pub fn set_aside(&self, _t: &TopicPartition) -> Result<(), Error> {
        unimplemented!()
    }
    pub fn cluster_id(&self) -> &str {
        ""
    }
    pub fn directory_id(&self) -> Uuid {
        Uuid::nil()
    }
    pub fn path(&self) -> &Path {
        Path::new("")
    }
    pub fn was_clean_stop(&self) -> bool {
        false
    }
    pub fn begin_writing(&self) -> Result<(), Error> {
        Ok(())
    }
    pub fn mark_clean_stop(&self) -> Result<(), Error> {
        Ok(())
    }
    pub fn read_recovery_points(&self) -> Result<BTreeMap<TopicPartition, Offset>, Error> {
        unimplemented!()
    }
    pub fn read_log_starts(&self) -> Result<BTreeMap<TopicPartition, Offset>, Error> {
        unimplemented!()
    }
    pub fn write_recovery_points(&self, _o: &BTreeMap<TopicPartition, Offset>) -> Result<(), Error> {
        unimplemented!()
    }
    pub fn write_log_starts(&self, _o: &BTreeMap<TopicPartition, Offset>) -> Result<(), Error> {
        unimplemented!()
    }
    pub fn partition_dirs(&self) -> Result<Vec<(TopicPartition, PathBuf)>, Error> {
        unimplemented!()
    }
}
