//! Control records: what a log tells about itself. A control batch holds one of them (a transaction marker) or few (the
//! start of a leader's term in the metadata log), is never compacted by key, and is not given to applications.
//!
//! Key: version (int16), type (int16), anything behind it is of a later version. Value of an end-transaction marker:
//! version (int16), coordinator epoch (int32).

use super::{Builder, Corrupt, Record, ValidBatch};
use crate::types::{ProducerEpoch, ProducerId, Sequence, Timestamp};

/// The type in a control record's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlKind {
    Abort,
    Commit,
    LeaderChange,
    SnapshotHeader,
    SnapshotFooter,
    KRaftVersion,
    Voters,
    /// Of a later version; to be passed over.
    Unknown(i16),
}

impl ControlKind {
    pub fn from_id(id: i16) -> ControlKind {
        match id {
            0 => ControlKind::Abort,
            1 => ControlKind::Commit,
            2 => ControlKind::LeaderChange,
            3 => ControlKind::SnapshotHeader,
            4 => ControlKind::SnapshotFooter,
            5 => ControlKind::KRaftVersion,
            6 => ControlKind::Voters,
            other => ControlKind::Unknown(other),
        }
    }

    pub fn id(self) -> i16 {
        match self {
            ControlKind::Abort => 0,
            ControlKind::Commit => 1,
            ControlKind::LeaderChange => 2,
            ControlKind::SnapshotHeader => 3,
            ControlKind::SnapshotFooter => 4,
            ControlKind::KRaftVersion => 5,
            ControlKind::Voters => 6,
            ControlKind::Unknown(other) => other,
        }
    }

    /// Reads the key of a control record.
    pub fn parse(key: Option<&[u8]>) -> Result<ControlKind, Corrupt> {
        let Some(key) = key.and_then(|key| key.first_chunk::<4>()) else {
            return Err(Corrupt::new("the key of a control record is shorter than 4 bytes"));
        };
        let [v0, v1, t0, t1] = *key;
        let version = i16::from_be_bytes([v0, v1]);
        if version < 0 {
            return Err(Corrupt::new(format!(
                "Invalid version found for control record: {version}. May indicate data corruption"
            )));
        }
        Ok(ControlKind::from_id(i16::from_be_bytes([t0, t1])))
    }

    /// The key in version 0.
    pub fn key(self) -> [u8; 4] {
        let [t0, t1] = self.id().to_be_bytes();
        [0, 0, t0, t1]
    }
}

/// The end of a transaction, as the coordinator had it written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndTransaction {
    pub commit: bool,
    pub coordinator_epoch: i32,
}

impl EndTransaction {
    /// Reads a marker; `None` for control records of another kind.
    pub fn parse(record: &Record<'_>) -> Result<Option<EndTransaction>, Corrupt> {
        let commit = match ControlKind::parse(record.key)? {
            ControlKind::Commit => true,
            ControlKind::Abort => false,
            _ => return Ok(None),
        };
        let Some(value) = record.value.and_then(|value| value.first_chunk::<6>()) else {
            return Err(Corrupt::new("the value of an end-transaction marker is shorter than 6 bytes"));
        };
        let [v0, v1, epoch @ ..] = *value;
        let version = i16::from_be_bytes([v0, v1]);
        if version < 0 {
            return Err(Corrupt::new(format!(
                "Invalid version found for end transaction marker: {version}. May indicate data corruption"
            )));
        }
        Ok(Some(EndTransaction { commit, coordinator_epoch: i32::from_be_bytes(epoch) }))
    }

    /// The control batch that ends a producer's transaction in a partition.
    pub fn batch(self, producer_id: ProducerId, producer_epoch: ProducerEpoch, timestamp: Timestamp) -> ValidBatch {
        let kind = if self.commit { ControlKind::Commit } else { ControlKind::Abort };
        let mut value = [0; 6];
        value[2..].copy_from_slice(&self.coordinator_epoch.to_be_bytes());
        let builder = Builder::new().producer(producer_id, producer_epoch, Sequence::NONE).transactional(true);
        let mut builder = builder.control(true);
        builder.push(timestamp, Some(&kind.key()), Some(&value), &[]);
        builder.build()
    }
}
