//! The records of the metadata log, in the words of the image.
//!
//! On disk they are Kafka's KRaft records, so that Kafka's own dump tools read our log and a Kafka volume can be read
//! here. What this version has no use for decodes as `Unknown`, is kept as bytes and survives into snapshots.

use bytes::Bytes;
use uuid::Uuid;

use super::generated as kraft;
use super::image::{Broker, ConfigResource, Endpoint, PartitionInfo};
use super::quotas::{QuotaEntity, QuotaValue};
use crate::types::{BrokerId, LeaderEpoch, ProducerId, TopicId, TopicName};
use crate::wire::{DecodeError, Reason};

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
    ClientQuota {
        entity: QuotaEntity,
        key: String,
        /// `None` takes the quota away.
        value: Option<QuotaValue>,
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

impl MetadataRecord {
    /// The whole record value, framed, in the version that `metadata.version` 30 writes without the features we leave
    /// out (eligible leader replicas, cordoned directories).
    pub fn encode(&self) -> Vec<u8> {
        let (record, version): (kraft::MetadataRecord, i16) = match self.clone() {
            MetadataRecord::FeatureLevel { name, level } => {
                (kraft::FeatureLevelRecord { name, feature_level: level }.into(), 0)
            }
            MetadataRecord::RegisterBroker(broker) => (register_broker(broker).into(), 3),
            MetadataRecord::UnregisterBroker(id) => {
                (kraft::UnregisterBrokerRecord { broker_id: id.0, broker_epoch: -1 }.into(), 0)
            }
            MetadataRecord::BrokerChange { id, epoch, fenced, in_controlled_shutdown, log_dirs } => {
                let record = kraft::BrokerRegistrationChangeRecord {
                    broker_id: id.0,
                    broker_epoch: epoch,
                    // 1 fences, -1 unfences, 0 leaves it.
                    fenced: fenced.map_or(0, |fenced| if fenced { 1 } else { -1 }),
                    in_controlled_shutdown: i8::from(in_controlled_shutdown == Some(true)),
                    log_dirs: log_dirs.unwrap_or_default(),
                    ..Default::default()
                };
                (record.into(), 2)
            }
            MetadataRecord::Topic { name, id } => {
                (kraft::TopicRecord { name: name.to_string(), topic_id: id.0 }.into(), 0)
            }
            MetadataRecord::Partition { topic, partition, info } => {
                let record = kraft::PartitionRecord {
                    partition_id: partition,
                    topic_id: topic.0,
                    replicas: numbers(info.replicas),
                    isr: numbers(info.isr),
                    leader: info.leader.0,
                    leader_epoch: info.leader_epoch.0,
                    partition_epoch: info.partition_epoch,
                    directories: info.directories,
                    ..Default::default()
                };
                (record.into(), 1)
            }
            MetadataRecord::PartitionChange { topic, partition, leader, isr, replicas, directories } => {
                let record = kraft::PartitionChangeRecord {
                    partition_id: partition,
                    topic_id: topic.0,
                    leader: leader.map_or(NO_LEADER_CHANGE, |leader| leader.0),
                    isr: isr.map(numbers),
                    replicas: replicas.map(numbers),
                    directories,
                    ..Default::default()
                };
                (record.into(), 1)
            }
            MetadataRecord::RemoveTopic(id) => (kraft::RemoveTopicRecord { topic_id: id.0 }.into(), 0),
            MetadataRecord::Config { resource, name, value } => {
                let (resource_type, resource_name) = (resource.kind(), resource.name());
                (kraft::ConfigRecord { resource_type, resource_name, name, value }.into(), 0)
            }
            MetadataRecord::ClientQuota { entity, key, value } => (client_quota(&entity, key, value).into(), 0),
            MetadataRecord::ProducerIds { broker, broker_epoch, next } => {
                let record = kraft::ProducerIdsRecord { broker_id: broker.0, broker_epoch, next_producer_id: next.0 };
                (record.into(), 0)
            }
            MetadataRecord::BeginTransaction => (kraft::BeginTransactionRecord::default().into(), 0),
            MetadataRecord::EndTransaction => (kraft::EndTransactionRecord {}.into(), 0),
            MetadataRecord::AbortTransaction => (kraft::AbortTransactionRecord::default().into(), 0),
            MetadataRecord::NoOp => (kraft::NoOpRecord {}.into(), 0),
            MetadataRecord::Unknown(bytes) => return bytes.to_vec(),
        };
        let mut out = Vec::new();
        record.encode_framed(version, &mut out);
        out
    }

    /// Reads a record value. Kinds and versions from the future are no error, broken bytes are.
    pub fn decode(bytes: &[u8]) -> Result<MetadataRecord, DecodeError> {
        use kraft::MetadataRecord as Kraft;
        let record = match Kraft::decode_framed(bytes) {
            Ok((record, _)) => record,
            Err(DecodeError { reason: Reason::UnknownKind(_) | Reason::UnsupportedVersion(_), .. }) => {
                return Ok(MetadataRecord::Unknown(Bytes::copy_from_slice(bytes)));
            }
            Err(error) => return Err(error),
        };
        let change = |id, epoch, fenced| MetadataRecord::BrokerChange {
            id: BrokerId(id),
            epoch,
            fenced: Some(fenced),
            in_controlled_shutdown: None,
            log_dirs: None,
        };
        Ok(match record {
            Kraft::FeatureLevel(r) => MetadataRecord::FeatureLevel { name: r.name, level: r.feature_level },
            Kraft::RegisterBroker(r) => MetadataRecord::RegisterBroker(broker(r)),
            Kraft::UnregisterBroker(r) => MetadataRecord::UnregisterBroker(BrokerId(r.broker_id)),
            Kraft::FenceBroker(r) => change(r.id, r.epoch, true),
            Kraft::UnfenceBroker(r) => change(r.id, r.epoch, false),
            Kraft::BrokerRegistrationChange(r) => MetadataRecord::BrokerChange {
                id: BrokerId(r.broker_id),
                epoch: r.broker_epoch,
                fenced: (r.fenced != 0).then_some(r.fenced > 0),
                in_controlled_shutdown: (r.in_controlled_shutdown > 0).then_some(true),
                log_dirs: (!r.log_dirs.is_empty()).then_some(r.log_dirs),
            },
            Kraft::Topic(r) => MetadataRecord::Topic { name: r.name.as_str().into(), id: TopicId(r.topic_id) },
            Kraft::Partition(r) => MetadataRecord::Partition {
                topic: TopicId(r.topic_id),
                partition: r.partition_id,
                info: PartitionInfo {
                    leader: BrokerId(r.leader),
                    leader_epoch: LeaderEpoch(r.leader_epoch),
                    replicas: brokers(r.replicas),
                    isr: brokers(r.isr),
                    directories: r.directories,
                    partition_epoch: r.partition_epoch,
                },
            },
            Kraft::PartitionChange(r) => MetadataRecord::PartitionChange {
                topic: TopicId(r.topic_id),
                partition: r.partition_id,
                leader: (r.leader != NO_LEADER_CHANGE).then_some(BrokerId(r.leader)),
                isr: r.isr.map(brokers),
                replicas: r.replicas.map(brokers),
                directories: r.directories,
            },
            Kraft::RemoveTopic(r) => MetadataRecord::RemoveTopic(TopicId(r.topic_id)),
            Kraft::Config(r) => match ConfigResource::new(r.resource_type, &r.resource_name) {
                Some(resource) => MetadataRecord::Config { resource, name: r.name, value: r.value },
                None => MetadataRecord::Unknown(Bytes::copy_from_slice(bytes)),
            },
            Kraft::ClientQuota(r) => {
                let parts = r.entity.into_iter().map(|part| (part.entity_type, part.entity_name));
                match QuotaEntity::from_parts(parts) {
                    Some(entity) => {
                        let value = (!r.remove).then_some(QuotaValue(r.value));
                        MetadataRecord::ClientQuota { entity, key: r.key, value }
                    }
                    None => MetadataRecord::Unknown(Bytes::copy_from_slice(bytes)),
                }
            }
            Kraft::ProducerIds(r) => MetadataRecord::ProducerIds {
                broker: BrokerId(r.broker_id),
                broker_epoch: r.broker_epoch,
                next: ProducerId(r.next_producer_id),
            },
            Kraft::BeginTransaction(_) => MetadataRecord::BeginTransaction,
            Kraft::EndTransaction(_) => MetadataRecord::EndTransaction,
            Kraft::AbortTransaction(_) => MetadataRecord::AbortTransaction,
            Kraft::NoOp(_) => MetadataRecord::NoOp,
            _ => MetadataRecord::Unknown(Bytes::copy_from_slice(bytes)),
        })
    }
}

/// What a PartitionChangeRecord says where the leader stays (Kafka's `NO_LEADER_CHANGE`).
const NO_LEADER_CHANGE: i32 = -2;

fn client_quota(entity: &QuotaEntity, key: String, value: Option<QuotaValue>) -> kraft::ClientQuotaRecord {
    let part = |(kind, name): (&str, Option<&str>)| kraft::ClientQuotaEntityData {
        entity_type: kind.to_string(),
        entity_name: name.map(str::to_string),
    };
    let (remove, value) = (value.is_none(), value.map_or(0.0, |value| value.0));
    kraft::ClientQuotaRecord { entity: entity.parts().map(part).collect(), key, value, remove }
}

fn numbers(brokers: Vec<BrokerId>) -> Vec<i32> {
    brokers.into_iter().map(|id| id.0).collect()
}

fn brokers(numbers: Vec<i32>) -> Vec<BrokerId> {
    numbers.into_iter().map(BrokerId).collect()
}

fn register_broker(broker: Broker) -> kraft::RegisterBrokerRecord {
    kraft::RegisterBrokerRecord {
        broker_id: broker.id.0,
        incarnation_id: broker.incarnation,
        broker_epoch: broker.epoch,
        end_points: broker
            .endpoints
            .into_iter()
            .map(|endpoint| kraft::RegisterBrokerBrokerEndpoint {
                name: endpoint.listener,
                host: endpoint.host,
                port: endpoint.port,
                security_protocol: endpoint.security_protocol,
            })
            .collect(),
        features: broker
            .features
            .into_iter()
            .map(|(name, min, max)| kraft::RegisterBrokerBrokerFeature {
                name,
                min_supported_version: min,
                max_supported_version: max,
            })
            .collect(),
        rack: broker.rack,
        fenced: broker.fenced,
        in_controlled_shutdown: broker.in_controlled_shutdown,
        log_dirs: broker.log_dirs,
        ..Default::default()
    }
}

fn broker(record: kraft::RegisterBrokerRecord) -> Broker {
    Broker {
        id: BrokerId(record.broker_id),
        epoch: record.broker_epoch,
        incarnation: record.incarnation_id,
        endpoints: record
            .end_points
            .into_iter()
            .map(|endpoint| Endpoint {
                listener: endpoint.name,
                host: endpoint.host,
                port: endpoint.port,
                security_protocol: endpoint.security_protocol,
            })
            .collect(),
        rack: record.rack,
        fenced: record.fenced,
        in_controlled_shutdown: record.in_controlled_shutdown,
        log_dirs: record.log_dirs,
        features: record
            .features
            .into_iter()
            .map(|feature| (feature.name, feature.min_supported_version, feature.max_supported_version))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::quotas::EntityName;
    use super::*;

    #[test]
    fn every_record_reads_back_as_it_was_written() {
        let id = TopicId(Uuid::from_u128(3));
        let info = PartitionInfo {
            leader: BrokerId(1),
            leader_epoch: LeaderEpoch(4),
            replicas: vec![BrokerId(1), BrokerId(2)],
            isr: vec![BrokerId(1)],
            directories: vec![Uuid::from_u128(8), Uuid::nil()],
            partition_epoch: 6,
        };
        let endpoint =
            Endpoint { listener: "PLAINTEXT".into(), host: "::1".into(), port: 60_000, security_protocol: 0 };
        let registered = Broker {
            id: BrokerId(1),
            epoch: 12,
            incarnation: Uuid::from_u128(1),
            endpoints: vec![endpoint],
            rack: Some("r".into()),
            fenced: true,
            in_controlled_shutdown: false,
            log_dirs: vec![Uuid::from_u128(2)],
            features: vec![("metadata.version".into(), 7, 30)],
        };
        let config = |resource| MetadataRecord::Config { resource, name: "a".into(), value: Some("b".into()) };
        let quota = |user, value| {
            let client_id = Some(EntityName::Named("c".into()));
            let entity = QuotaEntity { user: Some(user), client_id, ip: None };
            MetadataRecord::ClientQuota { entity, key: "producer_byte_rate".into(), value }
        };
        for record in [
            MetadataRecord::FeatureLevel { name: "metadata.version".into(), level: 30 },
            MetadataRecord::RegisterBroker(registered),
            MetadataRecord::UnregisterBroker(BrokerId(4)),
            MetadataRecord::BrokerChange {
                id: BrokerId(1),
                epoch: 2,
                fenced: Some(false),
                in_controlled_shutdown: Some(true),
                log_dirs: Some(vec![Uuid::from_u128(5)]),
            },
            MetadataRecord::Topic { name: "a".into(), id },
            MetadataRecord::Partition { topic: id, partition: 7, info },
            MetadataRecord::PartitionChange {
                topic: id,
                partition: 7,
                leader: Some(BrokerId::NONE),
                isr: Some(vec![]),
                replicas: None,
                directories: None,
            },
            MetadataRecord::RemoveTopic(id),
            config(ConfigResource::Topic("t".into())),
            config(ConfigResource::Broker(None)),
            config(ConfigResource::Broker(Some(BrokerId(3)))),
            config(ConfigResource::Group("g".into())),
            MetadataRecord::Config {
                resource: ConfigResource::ClientMetrics("m".into()),
                name: "a".into(),
                value: None,
            },
            quota(EntityName::Named("u".into()), Some(QuotaValue(1024.0))),
            quota(EntityName::Default, Some(QuotaValue(f64::NAN))),
            quota(EntityName::Default, None),
            MetadataRecord::ProducerIds { broker: BrokerId(1), broker_epoch: 5, next: ProducerId(2000) },
            MetadataRecord::BeginTransaction,
            MetadataRecord::EndTransaction,
            MetadataRecord::AbortTransaction,
            MetadataRecord::NoOp,
            MetadataRecord::Unknown(Bytes::from_static(&[1, 99, 0, 5, 5])),
        ] {
            assert_eq!(MetadataRecord::decode(&record.encode()).as_ref(), Ok(&record));
        }
    }

    #[test]
    fn broken_bytes_of_a_known_kind_are_an_error() {
        let bytes = MetadataRecord::Topic { name: "abc".into(), id: TopicId::ZERO }.encode();
        for end in 0..bytes.len() {
            assert!(MetadataRecord::decode(&bytes[..end]).is_err(), "{end} bytes");
        }
    }
}
