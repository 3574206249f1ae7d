//! What is true of the cluster now: topics, partitions, settings, quotas, brokers, features, the next producer id.
//!
//! An `Image` is a value. The machine changes its own with each record; everybody else gets a clone, which shares all
//! parts that have not changed since (`SharedMap`, `Arc`) and never changes under its reader (I102). Whatever runs
//! follows the published image: a partition is made, reconfigured or removed because two images differ.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::quotas::{QuotaEntity, Quotas};
use super::records::MetadataRecord;
use super::shared_map::SharedMap;
use crate::types::{BrokerId, LeaderEpoch, Offset, ProducerId, TopicId, TopicName, TopicPartition};

/// The topics that Kafka keeps for itself; clients may read but not write them, and Kafka never auto-creates
/// anything else under these names.
pub const CONSUMER_OFFSETS: &str = "__consumer_offsets";
pub const TRANSACTION_STATE: &str = "__transaction_state";
pub const SHARE_GROUP_STATE: &str = "__share_group_state";
/// The metadata log's own name, which no topic may carry.
pub const CLUSTER_METADATA: &str = "__cluster_metadata";

/// Kafka's `Topic.isInternal`.
pub fn is_internal(topic: &str) -> bool {
    matches!(topic, CONSUMER_OFFSETS | TRANSACTION_STATE | SHARE_GROUP_STATE)
}

/// What something was in an earlier image and what it is; one of the two may be missing.
pub type WasAndIs<'a, T> = (Option<&'a T>, Option<&'a T>);

/// The overrides of one resource, by name.
pub type Configs = BTreeMap<String, String>;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Image {
    pub(super) topics: SharedMap<TopicName, Arc<Topic>>,
    pub(super) names: SharedMap<TopicId, TopicName>,
    /// The topics with a '.' or '_' in their name, by the name with all of them '_'.
    pub(super) unified: SharedMap<TopicName, TopicName>,
    pub(super) configs: SharedMap<ConfigResource, Arc<Configs>>,
    pub(super) quotas: SharedMap<QuotaEntity, Arc<Quotas>>,
    pub(super) brokers: Arc<BTreeMap<BrokerId, Broker>>,
    pub(super) features: Arc<BTreeMap<String, i16>>,
    pub(super) next_producer_id: ProducerId,
    pub(super) partition_count: usize,
    /// Records of kinds this version does not know, in their order: kept so that a snapshot loses nothing.
    pub(super) unknown: Arc<Vec<Bytes>>,
    pub(super) cluster_id: Arc<str>,
    pub(super) applied: Option<Offset>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Topic {
    pub id: TopicId,
    pub name: TopicName,
    /// Indexed by partition number, without holes.
    pub partitions: Vec<PartitionInfo>,
    pub internal: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct PartitionInfo {
    /// -1 while no replica leads.
    pub leader: BrokerId,
    pub leader_epoch: LeaderEpoch,
    pub replicas: Vec<BrokerId>,
    pub isr: Vec<BrokerId>,
    /// The data directory of each replica, as KRaft records carry it (nil: the broker's only or oldest one).
    pub directories: Vec<Uuid>,
    pub partition_epoch: i32,
}

/// A broker as it registered itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Broker {
    pub id: BrokerId,
    /// New at each registration: the offset of its record in Kafka, a number that only grows here.
    pub epoch: i64,
    pub incarnation: Uuid,
    pub endpoints: Vec<Endpoint>,
    pub rack: Option<String>,
    pub fenced: bool,
    pub in_controlled_shutdown: bool,
    pub log_dirs: Vec<Uuid>,
    /// What the broker supports: name, lowest and highest level.
    pub features: Vec<(String, i16, i16)>,
}

/// One advertised listener.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    pub listener: String,
    pub host: String,
    pub port: u16,
    /// Kafka's number: 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL.
    pub security_protocol: i16,
}

/// What settings can be attached to. Ordered by kind, then name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConfigResource {
    Topic(TopicName),
    /// `None` is the default of all brokers (the empty resource name).
    Broker(Option<BrokerId>),
    ClientMetrics(String),
    Group(String),
}

impl ConfigResource {
    pub const TOPIC: i8 = 2;
    pub const BROKER: i8 = 4;
    pub const BROKER_LOGGER: i8 = 8;
    pub const CLIENT_METRICS: i8 = 16;
    pub const GROUP: i8 = 32;

    /// From the protocol's pair; `None` for kinds that hold no settings here and for brokers that are no number.
    pub fn new(kind: i8, name: &str) -> Option<ConfigResource> {
        match kind {
            Self::TOPIC => Some(ConfigResource::Topic(name.into())),
            Self::BROKER if name.is_empty() => Some(ConfigResource::Broker(None)),
            Self::BROKER => name.parse().ok().map(|id| ConfigResource::Broker(Some(BrokerId(id)))),
            Self::CLIENT_METRICS => Some(ConfigResource::ClientMetrics(name.to_string())),
            Self::GROUP => Some(ConfigResource::Group(name.to_string())),
            _ => None,
        }
    }

    /// The number of the kind in the protocol and in records.
    pub fn kind(&self) -> i8 {
        match self {
            ConfigResource::Topic(_) => Self::TOPIC,
            ConfigResource::Broker(_) => Self::BROKER,
            ConfigResource::ClientMetrics(_) => Self::CLIENT_METRICS,
            ConfigResource::Group(_) => Self::GROUP,
        }
    }

    /// The name in the protocol and in records.
    pub fn name(&self) -> String {
        match self {
            ConfigResource::Topic(name) => name.to_string(),
            ConfigResource::Broker(None) => String::new(),
            ConfigResource::Broker(Some(id)) => id.to_string(),
            ConfigResource::ClientMetrics(name) | ConfigResource::Group(name) => name.clone(),
        }
    }
}

/// As Kafka prints it in sentences: `ConfigResource(type=TOPIC, name='a')`.
impl fmt::Display for ConfigResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            ConfigResource::Topic(_) => "TOPIC",
            ConfigResource::Broker(_) => "BROKER",
            ConfigResource::ClientMetrics(_) => "CLIENT_METRICS",
            ConfigResource::Group(_) => "GROUP",
        };
        write!(f, "ConfigResource(type={kind}, name='{}')", self.name())
    }
}

impl Image {
    pub fn new(cluster_id: &str) -> Image {
        Image { cluster_id: cluster_id.into(), next_producer_id: ProducerId(0), ..Image::default() }
    }

    /// 22 characters of base64; the same for the life of the cluster.
    pub fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// Where in the metadata log this image stands: the offset of the last record in it.
    pub fn applied(&self) -> Option<Offset> {
        self.applied
    }

    pub fn topic(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topics.get(name)
    }

    pub fn topic_by_id(&self, id: TopicId) -> Option<&Arc<Topic>> {
        self.topics.get(self.names.get(&id)?.as_str())
    }

    pub fn topic_name(&self, id: TopicId) -> Option<&TopicName> {
        self.names.get(&id)
    }

    pub fn partition(&self, partition: &TopicPartition) -> Option<&PartitionInfo> {
        let index = usize::try_from(partition.partition).ok()?;
        self.topic(partition.topic.as_str())?.partitions.get(index)
    }

    /// All topics, by name in ascending order.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.topics.values()
    }

    /// The topics whose name is `from` or comes after it, in order.
    pub fn topics_from<'a>(&'a self, from: &str) -> impl Iterator<Item = &'a Arc<Topic>> {
        self.topics.range_from(from).map(|(_, topic)| topic)
    }

    /// The topics that differ from an earlier image, by name: what was, what is.
    pub fn topics_since<'a>(&'a self, earlier: &'a Image) -> Vec<WasAndIs<'a, Arc<Topic>>> {
        let differences = self.topics.since(&earlier.topics, Arc::ptr_eq);
        differences.into_iter().map(|(_, then, now)| (then, now)).collect()
    }

    /// The resources whose overrides differ from an earlier image.
    pub fn configs_since<'a>(&'a self, earlier: &'a Image) -> Vec<&'a ConfigResource> {
        self.configs.since(&earlier.configs, Arc::ptr_eq).into_iter().map(|(resource, _, _)| resource).collect()
    }

    /// A topic whose name differs from this one only in '.' and '_', which metric names cannot tell apart.
    pub(super) fn colliding(&self, name: &str) -> Option<&TopicName> {
        self.unified.get(unify(name)?.as_str())
    }

    pub fn partition_count(&self) -> usize {
        self.partition_count
    }

    /// The overrides of a resource; empty where it has none.
    pub fn configs(&self, resource: &ConfigResource) -> Arc<Configs> {
        self.configs.get(resource).cloned().unwrap_or_default()
    }

    /// The overrides of a topic; empty where it has none.
    pub fn topic_configs(&self, topic: &TopicName) -> Arc<Configs> {
        self.configs(&ConfigResource::Topic(topic.clone()))
    }

    pub fn brokers(&self) -> impl Iterator<Item = &Broker> {
        self.brokers.values()
    }

    pub fn broker(&self, id: BrokerId) -> Option<&Broker> {
        self.brokers.get(&id)
    }

    /// The finalized features with their levels; a level of 0 is left out, as in Kafka.
    pub fn features(&self) -> &BTreeMap<String, i16> {
        &self.features
    }

    /// 0 where the feature is not finalized.
    pub fn feature(&self, name: &str) -> i16 {
        self.features.get(name).copied().unwrap_or(0)
    }

    /// The first producer id that no block has taken yet.
    pub fn next_producer_id(&self) -> ProducerId {
        self.next_producer_id
    }
}

impl Broker {
    /// May lead: neither fenced nor on its way out.
    pub fn is_active(&self) -> bool {
        !self.fenced && !self.in_controlled_shutdown
    }

    pub fn endpoint(&self, listener: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.listener == listener)
    }
}

/// How records change the image. Total, as `Machine::apply` demands: what makes no sense changes nothing (I69).
impl Image {
    pub(super) fn apply(&mut self, record: &MetadataRecord) {
        match record {
            MetadataRecord::FeatureLevel { name, level: 0 } => {
                Arc::make_mut(&mut self.features).remove(name);
            }
            MetadataRecord::FeatureLevel { name, level } => {
                Arc::make_mut(&mut self.features).insert(name.clone(), *level);
            }
            MetadataRecord::RegisterBroker(broker) => {
                Arc::make_mut(&mut self.brokers).insert(broker.id, broker.clone());
            }
            MetadataRecord::UnregisterBroker(id) => {
                Arc::make_mut(&mut self.brokers).remove(id);
            }
            MetadataRecord::BrokerChange { id, fenced, in_controlled_shutdown, log_dirs, .. } => {
                if let Some(broker) = Arc::make_mut(&mut self.brokers).get_mut(id) {
                    replace(&mut broker.fenced, fenced);
                    replace(&mut broker.in_controlled_shutdown, in_controlled_shutdown);
                    replace(&mut broker.log_dirs, log_dirs);
                }
            }
            MetadataRecord::Topic { name, id } => self.add_topic(name, *id),
            MetadataRecord::Partition { topic, partition, info } => self.set_partition(*topic, *partition, info),
            MetadataRecord::PartitionChange { topic, partition, leader, isr, replicas, directories } => {
                if let Some(info) = self.partition_mut(*topic, *partition) {
                    replace(&mut info.replicas, replicas);
                    replace(&mut info.isr, isr);
                    replace(&mut info.directories, directories);
                    info.partition_epoch = info.partition_epoch.wrapping_add(1);
                    if let Some(leader) = leader {
                        info.leader = *leader;
                        info.leader_epoch = LeaderEpoch(info.leader_epoch.0.wrapping_add(1));
                    }
                }
            }
            MetadataRecord::RemoveTopic(id) => self.remove_topic(*id),
            MetadataRecord::Config { resource, name, value } => self.set_config(resource, name, value.as_deref()),
            MetadataRecord::ClientQuota { entity, key, value } => self.set_quota(entity, key, *value),
            MetadataRecord::ProducerIds { next, .. } => self.next_producer_id = *next,
            MetadataRecord::Unknown(bytes) => Arc::make_mut(&mut self.unknown).push(bytes.clone()),
            // The machine gathers transactions before they get here.
            MetadataRecord::BeginTransaction
            | MetadataRecord::EndTransaction
            | MetadataRecord::AbortTransaction
            | MetadataRecord::NoOp => {}
        }
    }

    /// A topic with a name that is taken replaces the older one: the log says so.
    fn add_topic(&mut self, name: &TopicName, id: TopicId) {
        if let Some(older) = self.topic(name.as_str()).map(|topic| topic.id) {
            if older == id {
                return;
            }
            self.remove_topic(older);
        }
        let topic = Topic { id, name: name.clone(), partitions: Vec::new(), internal: is_internal(name.as_str()) };
        self.topics.insert(name.clone(), Arc::new(topic));
        self.names.insert(id, name.clone());
        if let Some(unified) = unify(name.as_str()) {
            self.unified.insert(unified, name.clone());
        }
    }

    /// Partitions come in order; one that would leave a hole is not believed.
    fn set_partition(&mut self, topic: TopicId, partition: i32, info: &PartitionInfo) {
        let Some(topic) = self.topic_mut(topic) else { return };
        let Ok(index) = usize::try_from(partition) else { return };
        if index < topic.partitions.len() {
            topic.partitions[index] = info.clone();
        } else if index == topic.partitions.len() {
            topic.partitions.push(info.clone());
            self.partition_count += 1;
        }
    }

    /// I22: the settings go with the topic, so that a new one of the same name starts without.
    fn remove_topic(&mut self, id: TopicId) {
        let Some(name) = self.names.remove(&id) else { return };
        if let Some(topic) = self.topics.remove(name.as_str()) {
            self.partition_count -= topic.partitions.len();
        }
        if let Some(unified) = unify(name.as_str()) {
            self.unified.remove(unified.as_str());
        }
        self.configs.remove(&ConfigResource::Topic(name));
    }

    fn set_config(&mut self, resource: &ConfigResource, name: &str, value: Option<&str>) {
        match (self.configs.get_mut(resource), value) {
            (Some(configs), Some(value)) => {
                Arc::make_mut(configs).insert(name.to_string(), value.to_string());
            }
            (Some(configs), None) => {
                let configs = Arc::make_mut(configs);
                configs.remove(name);
                if configs.is_empty() {
                    self.configs.remove(resource);
                }
            }
            (None, Some(value)) => {
                let configs = Configs::from([(name.to_string(), value.to_string())]);
                self.configs.insert(resource.clone(), Arc::new(configs));
            }
            (None, None) => {}
        }
    }

    fn topic_mut(&mut self, id: TopicId) -> Option<&mut Topic> {
        let name = self.names.get(&id)?;
        self.topics.get_mut(name.as_str()).map(Arc::make_mut)
    }

    fn partition_mut(&mut self, topic: TopicId, partition: i32) -> Option<&mut PartitionInfo> {
        self.topic_mut(topic)?.partitions.get_mut(usize::try_from(partition).ok()?)
    }

    /// The fewest records that make an equal image of an empty one.
    pub(super) fn snapshot(&self) -> Vec<MetadataRecord> {
        let features = self
            .features
            .iter()
            .map(|(name, level)| MetadataRecord::FeatureLevel { name: name.clone(), level: *level });
        let brokers = self.brokers.values().map(|broker| MetadataRecord::RegisterBroker(broker.clone()));
        let topics = self.topics.values().flat_map(|topic| {
            let partitions = topic.partitions.iter().zip(0..).map(|(info, partition)| MetadataRecord::Partition {
                topic: topic.id,
                partition,
                info: info.clone(),
            });
            std::iter::once(MetadataRecord::Topic { name: topic.name.clone(), id: topic.id }).chain(partitions)
        });
        let configs = self.configs.iter().flat_map(|(resource, configs)| {
            configs.iter().map(|(name, value)| MetadataRecord::Config {
                resource: resource.clone(),
                name: name.clone(),
                value: Some(value.clone()),
            })
        });
        let quotas = self.quotas.iter().flat_map(|(entity, quotas)| {
            quotas.iter().map(|(key, value)| MetadataRecord::ClientQuota {
                entity: entity.clone(),
                key: key.clone(),
                value: Some(*value),
            })
        });
        let producer_ids = (self.next_producer_id.0 > 0).then_some(MetadataRecord::ProducerIds {
            broker: BrokerId::NONE,
            broker_epoch: -1,
            next: self.next_producer_id,
        });
        let unknown = self.unknown.iter().cloned().map(MetadataRecord::Unknown);
        features.chain(brokers).chain(topics).chain(configs).chain(quotas).chain(producer_ids).chain(unknown).collect()
    }
}

fn unify(name: &str) -> Option<TopicName> {
    name.contains(['.', '_']).then(|| name.replace('.', "_").as_str().into())
}

fn replace<T: Clone>(field: &mut T, value: &Option<T>) {
    if let Some(value) = value {
        field.clone_from(value);
    }
}
