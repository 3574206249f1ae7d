//! The records of the metadata log, in the words of the image.
//!
//! On disk they are Kafka's KRaft records, so that Kafka's own dump tools read our log and a Kafka volume can be read
//! here. What this version has no use for decodes as `Unknown`, is kept as bytes and survives into snapshots.

use bytes::Bytes;
use uuid::Uuid;

use super::image::{Broker, ConfigResource, PartitionInfo};
use crate::types::{BrokerId, ProducerId, TopicId, TopicName};

#[derive(Clone, Debug, PartialEq)]
pub enum MetadataRecord {
    FeatureLevel {
        name: String,
        /// 0 removes the feature.
        level: i16,
    },
    RegisterBroker(Broker),
    UnregisterBroker(BrokerId),
    /// What changed about a registered broker; `None` leaves a field as it is.
    BrokerChange {
        id: BrokerId,
        epoch: i64,
        fenced: Option<bool>,
        in_controlled_shutdown: Option<bool>,
        log_dirs: Option<Vec<Uuid>>,
    },
    Topic {
        name: TopicName,
        id: TopicId,
    },
    Partition {
        topic: TopicId,
        partition: i32,
        info: PartitionInfo,
    },
    /// What changed about a partition; `None` leaves a field as it is. Each one raises the partition epoch, and a new
    /// leader the leader epoch.
    PartitionChange {
        topic: TopicId,
        partition: i32,
        leader: Option<BrokerId>,
        isr: Option<Vec<BrokerId>>,
        replicas: Option<Vec<BrokerId>>,
        directories: Option<Vec<Uuid>>,
    },
    RemoveTopic(TopicId),
    Config {
        resource: ConfigResource,
        name: String,
        /// `None` takes the override away.
        value: Option<String>,
    },
    ProducerIds {
        broker: BrokerId,
        broker_epoch: i64,
        /// The first id behind the block that was handed out.
        next: ProducerId,
    },
    /// A group of records that takes effect at its end, or never.
    BeginTransaction,
    EndTransaction,
    AbortTransaction,
    NoOp,
    /// A record of a kind or version this broker does not know, framed as it came.
    Unknown(Bytes),
}
