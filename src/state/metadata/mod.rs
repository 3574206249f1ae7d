//! Cluster metadata as a machine: who may create, change and delete topics, settings and blocks of producer ids, and
//! what the cluster looks like afterwards.
//!
//! State: the [`Image`], changed by records alone. Nothing else is remembered but what clients with a quota have paid for
//! their changes (`mutations.rs`), which a restart may forget; there are no deadlines, and every input is answered in the step that brought it. A request with several items is decided item
//! by item; the records of those that pass are one batch. Random numbers and new topic ids come in with the input.
//!
//! Invariants: a topic has at least one partition and they are numbered without holes; a topic's name and id are both
//! unique; settings of a topic exist only while it does (I22); producer ids are handed out once.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use uuid::Uuid;

use super::quota::{Bucket, Groups, Window};
use super::{Effects, Machine, Ticket};
use crate::config::{ConsumerGroupSettings, ListenerNames, LogConfig};
use crate::types::{BrokerId, ErrorCode, Monotonic, Now, Offset, ProducerId, TopicId, TopicName};

mod configs;
pub mod generated;
mod image;
mod mutations;
mod placement;
mod quotas;
mod records;
mod shared_map;
mod topics;

pub use image::*;
pub use mutations::MutationPayer;
pub use quotas::*;
pub use records::MetadataRecord;
pub use shared_map::SharedMap;

use mutations::Purse;

/// How many producer ids one record hands out (Kafka's `ProducerIdsBlock`).
pub const PRODUCER_ID_BLOCK_SIZE: i32 = 1000;

/// The features this broker knows: name, lowest and highest level. What ApiVersions shows as supported.
/// `transaction.version` joins when transactions do, `group.version` when groups of the newer protocol do: clients change
/// their protocol on them, and librdkafka waits without a word for a call that is not served.
pub const SUPPORTED_FEATURES: &[(&str, i16, i16)] = &[("metadata.version", 7, 30)];

/// The levels a new cluster starts with. `metadata.version` 30 is 4.3-IV0: tools guess the release from it.
pub const BOOTSTRAP_FEATURES: &[(&str, i16)] = &[("metadata.version", 30)];

/// What the machine is told about the broker it runs in; constant for its life.
#[derive(Clone, Debug)]
pub struct MetadataSettings {
    pub cluster_id: String,
    /// `num.partitions`
    pub num_partitions: i32,
    /// `default.replication.factor`
    pub default_replication_factor: i16,
    /// `offsets.topic.*`: partitions, replication factor (at most the brokers there are), overrides.
    pub offsets_topic: InternalTopic,
    /// `transaction.state.log.*`
    pub transaction_topic: InternalTopic,
    /// What a topic is that says nothing about itself: new overrides are checked together with it.
    pub log: LogConfig,
    /// What `advertised.listeners` may name.
    pub listeners: ListenerNames,
    /// `group.consumer.*`: the limits within which a group may have its own times.
    pub groups: ConsumerGroupSettings,
    /// More partitions than this in all are refused (S10).
    pub max_partitions: usize,
    /// `controller.quota.window.*`
    pub mutations: Window,
}

/// How a topic of the broker's own is made.
#[derive(Clone, Debug)]
pub struct InternalTopic {
    pub partitions: i32,
    pub replication_factor: i16,
    pub configs: Configs,
}

impl MetadataSettings {
    pub fn new(cluster_id: &str) -> MetadataSettings {
        let configs = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        MetadataSettings {
            cluster_id: cluster_id.to_string(),
            num_partitions: 1,
            default_replication_factor: 1,
            offsets_topic: InternalTopic {
                partitions: 50,
                replication_factor: 3,
                configs: configs(&[
                    ("cleanup.policy", "compact"),
                    ("compression.type", "producer"),
                    ("segment.bytes", "104857600"),
                ]),
            },
            transaction_topic: InternalTopic {
                partitions: 50,
                replication_factor: 3,
                configs: configs(&[
                    ("cleanup.policy", "compact"),
                    ("compression.type", "uncompressed"),
                    ("min.insync.replicas", "1"),
                    ("segment.bytes", "104857600"),
                    ("unclean.leader.election.enable", "false"),
                ]),
            },
            log: LogConfig::default(),
            listeners: ListenerNames::default(),
            groups: ConsumerGroupSettings {
                session_timeout_ms: 45_000,
                min_session_timeout_ms: 45_000,
                max_session_timeout_ms: 60_000,
                heartbeat_interval_ms: 5_000,
                min_heartbeat_interval_ms: 5_000,
                max_heartbeat_interval_ms: 15_000,
                max_size: usize::MAX,
                assignors: vec!["uniform".to_string(), "range".to_string()],
                may_upgrade: true,
                may_downgrade: true,
                regex_refresh_interval_ms: 600_000,
            },
            max_partitions: 1_000_000,
            mutations: Window { samples: 11, sample_ms: 1000 },
        }
    }
}

/// Settings as requests carry them; null values are legal on the wire.
pub type NamedValues = Vec<(String, Option<String>)>;

/// What can be asked of the machine. Lists are answered in their order.
#[derive(Clone, Debug)]
pub enum MetadataInput {
    /// At each start of a broker. Writes the bootstrap records into an empty log, and the registration where it
    /// differs from what is known; `broker.epoch` is chosen here.
    RegisterBroker {
        broker: Broker,
    },
    CreateTopics {
        topics: Vec<NewTopic>,
        validate_only: bool,
        random: u64,
    },
    /// Creation on first use, with the broker's defaults; internal topics as their settings say. The id is a fresh one.
    AutoCreateTopics {
        topics: Vec<(TopicName, TopicId)>,
        random: u64,
    },
    DeleteTopics {
        topics: Vec<TopicRef>,
    },
    CreatePartitions {
        topics: Vec<NewPartitions>,
        validate_only: bool,
        random: u64,
    },
    /// Each resource then has exactly these overrides.
    AlterConfigs {
        resources: Vec<(ConfigResource, NamedValues)>,
        validate_only: bool,
    },
    IncrementalAlterConfigs {
        resources: Vec<(ConfigResource, Vec<ConfigChange>)>,
        validate_only: bool,
    },
    AlterClientQuotas {
        entries: Vec<QuotaAlteration>,
        validate_only: bool,
    },
    AllocateProducerIds {
        broker: BrokerId,
    },
    /// A change of topics or partitions by a client that may have a quota for it.
    Paid {
        payer: MutationPayer,
        input: Box<MetadataInput>,
    },
}

#[derive(Clone, Debug)]
pub struct NewTopic {
    pub name: TopicName,
    /// A fresh random id, used if the topic is made.
    pub id: TopicId,
    /// -1 for the broker's default.
    pub partitions: i32,
    /// -1 for the broker's default.
    pub replication_factor: i16,
    /// Partition and replicas, in place of the two numbers.
    pub assignments: Vec<(i32, Vec<BrokerId>)>,
    pub configs: NamedValues,
}

#[derive(Clone, Debug, PartialEq)]
pub enum TopicRef {
    Name(TopicName),
    Id(TopicId),
}

#[derive(Clone, Debug)]
pub struct NewPartitions {
    pub name: TopicName,
    /// How many there shall be, not how many more.
    pub count: i32,
    /// The replicas of each new one.
    pub assignments: Option<Vec<Vec<BrokerId>>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ConfigChange {
    pub name: String,
    pub operation: ConfigOperation,
    pub value: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigOperation {
    Set,
    Delete,
    Append,
    Subtract,
}

impl ConfigOperation {
    pub fn from_number(number: i8) -> Option<ConfigOperation> {
        [Self::Set, Self::Delete, Self::Append, Self::Subtract].get(usize::try_from(number).ok()?).copied()
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum MetadataAnswer {
    /// The epoch of the registration.
    Registered {
        epoch: i64,
    },
    /// To CreateTopics and AutoCreateTopics.
    Created(Vec<(TopicName, Result<CreatedTopic, Refused>)>),
    Deleted(Vec<DeletedTopic>),
    PartitionsCreated(Vec<(TopicName, Result<(), Refused>)>),
    /// To both ways of altering.
    ConfigsAltered(Vec<(ConfigResource, Result<(), Refused>)>),
    /// Each entity once, however often it was named.
    QuotasAltered(Vec<(WantedEntity, Result<(), Refused>)>),
    /// `PRODUCER_ID_BLOCK_SIZE` ids from this one on.
    ProducerIds {
        first: ProducerId,
    },
    /// To what was paid: how long the client has to wait, and the answer.
    Paid {
        wait_ms: u64,
        answer: Box<MetadataAnswer>,
    },
    /// The whole request.
    Refused(Refused),
}

#[derive(Clone, Debug, PartialEq)]
pub struct CreatedTopic {
    pub id: TopicId,
    pub partitions: i32,
    pub replication_factor: i16,
    pub configs: Arc<Configs>,
}

/// One topic of a DeleteTopics request: what is known of it, and how it went.
#[derive(Clone, Debug, PartialEq)]
pub struct DeletedTopic {
    pub name: Option<TopicName>,
    pub id: TopicId,
    pub result: Result<(), Refused>,
}

/// An error code and Kafka's sentence for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    pub code: ErrorCode,
    /// Empty where Kafka gives none.
    pub message: String,
}

impl Refused {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Refused {
        Refused { code, message: message.into() }
    }
}

pub struct Metadata {
    settings: MetadataSettings,
    image: Image,
    /// The records of a transaction in the log that has begun and not ended.
    transaction: Option<Vec<MetadataRecord>>,
    /// What clients have left of their quotas for changes.
    buckets: Groups<Bucket>,
}

impl Metadata {
    pub fn new(settings: MetadataSettings) -> Metadata {
        let image = Image::new(&settings.cluster_id);
        Metadata { settings, image, transaction: None, buckets: Groups::default() }
    }

    /// What is true now; clone it to publish it.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// The driver's word on how far the log has been applied: everything before `end`.
    pub fn applied_to(&mut self, end: Offset) {
        self.image.applied = (end > Offset::ZERO).then_some(Offset(end.0 - 1));
    }

    /// Records that, applied to a fresh machine, give an equal image: the content of a checkpoint file.
    pub fn snapshot(&self) -> Vec<MetadataRecord> {
        self.image.snapshot()
    }

    /// A registration that says nothing new writes nothing, so that a restart costs no flush.
    fn register(&self, mut broker: Broker) -> (Vec<MetadataRecord>, MetadataAnswer) {
        let mut records = Vec::new();
        if self.image.features.is_empty() {
            records.extend(
                BOOTSTRAP_FEATURES
                    .iter()
                    .map(|(name, level)| MetadataRecord::FeatureLevel { name: name.to_string(), level: *level }),
            );
        }
        let next_offset = self.image.applied.map_or(0, |offset| offset.0 + 1);
        broker.epoch = next_offset;
        if let Some(known) = self.image.broker(broker.id) {
            broker.epoch = known.epoch;
            let same = Broker { incarnation: known.incarnation, ..broker.clone() } == *known;
            if same {
                return (records, MetadataAnswer::Registered { epoch: known.epoch });
            }
            broker.epoch = next_offset.max(known.epoch + 1);
        }
        let epoch = broker.epoch;
        records.push(MetadataRecord::RegisterBroker(broker));
        (records, MetadataAnswer::Registered { epoch })
    }

    fn paid(
        &mut self,
        now: Monotonic,
        payer: &MutationPayer,
        input: MetadataInput,
    ) -> (Vec<MetadataRecord>, MetadataAnswer) {
        let mut buckets = std::mem::take(&mut self.buckets);
        let mut purse = Purse::of(payer, &self.image, &mut buckets, self.settings.mutations, now);
        let (append, answer) = self.decide(input, &mut purse);
        let wait_ms = purse.wait_ms();
        self.buckets = buckets;
        (append, MetadataAnswer::Paid { wait_ms, answer: Box::new(answer) })
    }

    fn decide(&self, input: MetadataInput, purse: &mut Purse<'_>) -> (Vec<MetadataRecord>, MetadataAnswer) {
        match input {
            MetadataInput::RegisterBroker { broker } => self.register(broker),
            MetadataInput::CreateTopics { topics, validate_only, random } => {
                self.create_topics(topics, validate_only, random, purse)
            }
            MetadataInput::AutoCreateTopics { topics, random } => self.auto_create_topics(topics, random),
            MetadataInput::DeleteTopics { topics } => self.delete_topics(topics, purse),
            MetadataInput::CreatePartitions { topics, validate_only, random } => {
                self.create_partitions(topics, validate_only, random, purse)
            }
            MetadataInput::AlterConfigs { resources, validate_only } => self.alter_configs(resources, validate_only),
            MetadataInput::IncrementalAlterConfigs { resources, validate_only } => {
                self.incremental_alter_configs(resources, validate_only)
            }
            MetadataInput::AlterClientQuotas { entries, validate_only } => {
                self.alter_client_quotas(entries, validate_only)
            }
            MetadataInput::AllocateProducerIds { broker } => self.allocate_producer_ids(broker),
            // Nobody pays twice: what is wrapped again is answered as if it were not.
            MetadataInput::Paid { input, .. } => self.decide(*input, purse),
        }
    }

    fn allocate_producer_ids(&self, broker: BrokerId) -> (Vec<MetadataRecord>, MetadataAnswer) {
        let first = self.image.next_producer_id;
        let Some(next) = first.0.checked_add(i64::from(PRODUCER_ID_BLOCK_SIZE)) else {
            let message = "Exhausted all producerIds as the next block's end producerId is will exceed the max value";
            return (Vec::new(), MetadataAnswer::Refused(Refused::new(ErrorCode::UnknownServerError, message)));
        };
        let broker_epoch = self.image.broker(broker).map_or(-1, |broker| broker.epoch);
        let record = MetadataRecord::ProducerIds { broker, broker_epoch, next: ProducerId(next) };
        (vec![record], MetadataAnswer::ProducerIds { first })
    }
}

impl Machine for Metadata {
    type Input = MetadataInput;
    type Record = MetadataRecord;
    type Answer = MetadataAnswer;
    type Message = Infallible;

    fn step(&mut self, now: Now, ticket: Ticket, input: MetadataInput) -> Effects<Self> {
        let (mut append, answer) = match input {
            MetadataInput::Paid { payer, input } => self.paid(now.mono, &payer, *input),
            input => self.decide(input, &mut Purse::bottomless()),
        };
        // A transaction the log ends in has lost its writer; what follows must not count as part of it.
        if self.transaction.is_some() && !append.is_empty() {
            append.insert(0, MetadataRecord::AbortTransaction);
        }
        Effects { append, send: Vec::new(), answer: vec![(ticket, answer)] }
    }

    fn tick(&mut self, _now: Now) -> Effects<Self> {
        Effects::none()
    }

    fn next_deadline(&self) -> Option<Monotonic> {
        None
    }

    fn apply(&mut self, record: &MetadataRecord) {
        match (record, &mut self.transaction) {
            (MetadataRecord::BeginTransaction, _) => self.transaction = Some(Vec::new()),
            (MetadataRecord::AbortTransaction, _) => self.transaction = None,
            (MetadataRecord::EndTransaction, _) => {
                for record in self.transaction.take().unwrap_or_default() {
                    self.image.apply(&record);
                }
            }
            (record, Some(waiting)) => waiting.push(record.clone()),
            (record, None) => self.image.apply(record),
        }
    }
}

/// Counts names, so that what a request names twice can be refused.
fn counts<T: Ord>(items: impl Iterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    for item in items {
        *counts.entry(item).or_insert(0) += 1;
    }
    counts
}

#[cfg(test)]
mod tests;
