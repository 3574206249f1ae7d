//! Every setting once: Kafka's names, typed for the rooms that need them.
//!
//! [`Settings::load`] reads the sources of [`load`], looks each value up in the [`catalog`], and gives every room its own
//! struct; no room reads a setting by its name. What the catalogue refuses, and what cannot be understood, stops the start
//! with one sentence each; what is accepted without effect, or unknown, is told in [`Settings::remarks`].
//!
//! Times are in milliseconds, sizes in bytes, unless a name says otherwise; `None` is "no limit" or "not set".

pub mod catalog;
mod commands;
pub mod environment;
mod generated;
pub mod group;
pub mod image;
mod image_file;
pub mod listener;
pub mod load;
pub mod log;
pub mod properties;
pub mod starting_topics;
pub mod topic;
mod typed;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use crate::memory::shares::Shares;
use crate::types::BrokerId;
use catalog::{Fate, Setting};
use image::Dialect;
pub use listener::{Advertised, Bind, Listener, ListenerNames, Protocol};
pub use load::{Origin, Sources};
pub use log::LogConfig;
pub use starting_topics::StartingTopic;

/// Read-only in Kafka since it has no ZooKeeper; test tools of before set it in a running broker, and so it can be here.
pub const ADVERTISED: &str = "advertised.listeners";

/// All of a broker's settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `node.id`, or `broker.id`, its older name.
    pub node_id: BrokerId,
    /// `milena.cluster.id`, or `cluster.id` by any of its names.
    pub cluster_id: Option<WantedClusterId>,
    /// `broker.rack`
    pub rack: Option<String>,
    /// `milena.memory.max.bytes`, shared out.
    pub memory: Shares,
    pub net: NetSettings,
    pub storage: StorageSettings,
    pub produce: ProduceSettings,
    pub fetch: FetchSettings,
    pub groups: GroupSettings,
    pub transactions: TransactionSettings,
    pub controller: ControllerSettings,
    pub quotas: QuotaSettings,
    /// The log level that an image was told; `None` where nobody said one.
    pub log_level: Option<String>,
    /// Whether this process was started by an image's scripts.
    pub in_image: bool,
    /// What the start should say, one line each: settings without effect, unknown names.
    pub remarks: Vec<String>,
    host_name: String,
    values: load::Values,
}

/// The id that a new data directory gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedClusterId {
    pub id: String,
    /// A directory that belongs to another cluster is refused. Without it the directory's own id is kept: people carry
    /// `CLUSTER_ID` from file to file, and Kafka's images restart for ever over it.
    pub is_strict: bool,
}

/// Sockets and what waits on them.
#[derive(Clone, Debug)]
pub struct NetSettings {
    /// The listeners for clients in the order of `listeners`, then those for controllers.
    pub listeners: Vec<Listener>,
    /// `controller.listener.names`, in capitals; not all of them are listeners of a broker alone.
    pub controller_listener_names: BTreeSet<String>,
    /// `socket.request.max.bytes`
    pub socket_request_max_bytes: usize,
    /// `socket.send.buffer.bytes`; `None` leaves it to the system.
    pub socket_send_buffer_bytes: Option<usize>,
    /// `socket.receive.buffer.bytes`; `None` leaves it to the system.
    pub socket_receive_buffer_bytes: Option<usize>,
    /// `socket.listen.backlog.size`
    pub socket_listen_backlog_size: u32,
    /// `connections.max.idle.ms`
    pub connections_max_idle_ms: Option<u64>,
    /// `max.connections`
    pub max_connections: usize,
    /// `max.connections.per.ip`
    pub max_connections_per_ip: usize,
    /// `max.connections.per.ip.overrides`: host name or address to its own limit.
    pub max_connections_per_ip_overrides: BTreeMap<String, usize>,
    /// `max.connection.creation.rate`: new connections in a second.
    pub max_connection_creation_rate: u32,
    /// `queued.max.requests`
    pub queued_max_requests: usize,
    /// `queued.max.request.bytes`
    pub queued_max_request_bytes: Option<usize>,
    /// `milena.connection.max.in.flight.requests`
    pub max_in_flight_requests: usize,
    /// `milena.connection.first.request.timeout.ms`
    pub first_request_timeout_ms: u64,
    /// `milena.connection.request.timeout.ms`
    pub request_timeout_ms: u64,
}

/// The data directory and the logs in it.
#[derive(Clone, Debug)]
pub struct StorageSettings {
    /// `log.dirs`, or `log.dir`.
    pub log_dir: PathBuf,
    /// What a topic that says nothing gets, from the `log.*` settings.
    pub log: LogConfig,
    /// `milena.durability`
    pub durability: Durability,
    /// `log.retention.check.interval.ms`
    pub retention_check_interval_ms: u64,
    /// `log.flush.scheduler.interval.ms`
    pub flush_scheduler_interval_ms: u64,
    /// `log.flush.offset.checkpoint.interval.ms`
    pub flush_offset_checkpoint_interval_ms: u64,
    /// `milena.recovery.max.bytes`
    pub recovery_max_bytes: u64,
    /// `log.flush.start.offset.checkpoint.interval.ms`
    pub flush_start_offset_checkpoint_interval_ms: u64,
    /// `log.initial.task.delay.ms`
    pub initial_task_delay_ms: u64,
    /// `num.recovery.threads.per.data.dir`
    pub recovery_threads: usize,
    pub cleaner: CleanerSettings,
    pub scrub: ScrubSettings,
}

/// `milena.scrub.*`: the check of what is stored (I26).
#[derive(Clone, Copy, Debug)]
pub struct ScrubSettings {
    /// 0 turns it off.
    pub bytes_per_second: u64,
    pub interval_ms: u64,
}

/// `log.cleaner.*`
#[derive(Clone, Debug)]
pub struct CleanerSettings {
    pub enable: bool,
    pub threads: usize,
    pub dedupe_buffer_size: usize,
    pub io_buffer_size: usize,
    pub io_buffer_load_factor: f64,
    pub io_max_bytes_per_second: f64,
    pub backoff_ms: u64,
}

/// When `acks=all` is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// After the bytes reached the disk.
    Flush,
    /// After they were written, as Kafka does.
    PageCache,
}

#[derive(Clone, Debug)]
pub struct ProduceSettings {
    /// `milena.produce.validation=full`: every compressed batch is opened.
    pub full_validation: bool,
    /// `milena.decompress.max.bytes`, for one batch.
    pub decompress_max_bytes: usize,
}

#[derive(Clone, Debug)]
pub struct FetchSettings {
    /// `fetch.max.bytes`
    pub max_bytes: usize,
    /// `max.incremental.fetch.session.cache.slots`
    pub max_sessions: usize,
}

#[derive(Clone, Debug)]
pub struct GroupSettings {
    /// `group.coordinator.rebalance.protocols` has `classic`, or `consumer`.
    pub serve_classic: bool,
    pub serve_consumer: bool,
    /// `group.initial.rebalance.delay.ms`: 0 unless set, where Kafka waits 3000.
    pub initial_rebalance_delay_ms: u64,
    /// `group.min.session.timeout.ms`
    pub min_session_timeout_ms: u64,
    /// `group.max.session.timeout.ms`
    pub max_session_timeout_ms: u64,
    /// `group.max.size`
    pub max_size: usize,
    /// `milena.group.disconnect.grace.ms`
    pub disconnect_grace_ms: u64,
    /// `offset.metadata.max.bytes`
    pub offset_metadata_max_bytes: usize,
    /// `offsets.retention.minutes`, in milliseconds.
    pub offsets_retention_ms: u64,
    /// `offsets.retention.check.interval.ms`
    pub offsets_retention_check_interval_ms: u64,
    /// `offsets.commit.timeout.ms`
    pub offsets_commit_timeout_ms: u64,
    /// `offsets.topic.num.partitions`
    pub offsets_topic_partitions: i32,
    /// `offsets.topic.segment.bytes`
    pub offsets_topic_segment_bytes: u64,
    pub consumer: ConsumerGroupSettings,
}

/// `group.consumer.*`: groups of the protocol of KIP-848.
#[derive(Clone, Debug)]
pub struct ConsumerGroupSettings {
    pub session_timeout_ms: u64,
    pub min_session_timeout_ms: u64,
    pub max_session_timeout_ms: u64,
    pub heartbeat_interval_ms: u64,
    pub min_heartbeat_interval_ms: u64,
    pub max_heartbeat_interval_ms: u64,
    pub max_size: usize,
    /// `group.consumer.assignors`, the default one first.
    pub assignors: Vec<String>,
    /// `group.consumer.migration.policy` lets a classic group become a consumer group, and back.
    pub may_upgrade: bool,
    pub may_downgrade: bool,
    pub regex_refresh_interval_ms: u64,
}

#[derive(Clone, Debug)]
pub struct TransactionSettings {
    /// `transaction.max.timeout.ms`
    pub max_timeout_ms: u64,
    /// `transaction.state.log.num.partitions`
    pub topic_partitions: i32,
    /// `transaction.state.log.segment.bytes`
    pub topic_segment_bytes: u64,
    /// `transactional.id.expiration.ms`
    pub transactional_id_expiration_ms: u64,
    /// `transaction.abort.timed.out.transaction.cleanup.interval.ms`
    pub abort_check_interval_ms: u64,
    /// `transaction.remove.expired.transaction.cleanup.interval.ms`
    pub expiration_check_interval_ms: u64,
    /// `transaction.partition.verification.enable`
    pub verify_partitions: bool,
    /// `transaction.two.phase.commit.enable`
    pub two_phase_commit: bool,
    /// `producer.id.expiration.ms`
    pub producer_id_expiration_ms: u64,
    /// `producer.id.expiration.check.interval.ms`
    pub producer_id_check_interval_ms: u64,
}

/// What decides about topics.
#[derive(Clone, Debug)]
pub struct ControllerSettings {
    /// `num.partitions`
    pub num_partitions: i32,
    /// `default.replication.factor`
    pub default_replication_factor: i16,
    /// `auto.create.topics.enable`
    pub auto_create_topics: bool,
    /// `delete.topic.enable`
    pub delete_topics: bool,
    /// `max.request.partition.size.limit`
    pub max_request_partitions: usize,
    /// `metadata.log.max.record.bytes.between.snapshots`
    pub snapshot_after_bytes: u64,
    /// `milena.create.topics`
    pub starting_topics: Vec<StartingTopic>,
}

/// How far back quotas look.
#[derive(Clone, Debug)]
pub struct QuotaSettings {
    /// `quota.window.num`, `quota.window.size.seconds`
    pub clients: QuotaWindow,
    /// `controller.quota.window.num`, `controller.quota.window.size.seconds`
    pub controller: QuotaWindow,
}

/// So many samples of so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaWindow {
    pub samples: usize,
    pub sample_ms: u64,
}

/// Why a broker with these settings must not start: one sentence for each reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusals(pub Vec<String>);

/// Where DescribeConfigs says that a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueSource {
    /// Set at run time for this broker.
    DynamicBroker,
    /// Set at run time for all brokers.
    DynamicDefault,
    /// Set before the start: by file, environment or flag.
    Static,
    Default,
}

impl ValueSource {
    /// As DescribeConfigs sends it. 1 is a topic's own setting, 8 a group's.
    pub fn id(self) -> i8 {
        match self {
            ValueSource::DynamicBroker => 2,
            ValueSource::DynamicDefault => 3,
            ValueSource::Static => 4,
            ValueSource::Default => 5,
        }
    }
}

/// One of the settings that a value could come from, as DescribeConfigs lists them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synonym {
    pub name: &'static str,
    /// `None` where it is secret.
    pub value: Option<String>,
    pub source: ValueSource,
}

impl Settings {
    /// Merges the sources and understands them.
    pub fn load(sources: &Sources) -> Result<Settings, Refusals> {
        let values = load::merge(sources).map_err(Refusals)?;
        typed::settings(values, &sources.host_name).map_err(Refusals)
    }

    /// These settings with what was changed at run time: of this broker, and of all brokers. What can follow a change
    /// without a new start is for each room to say.
    pub fn reconfigured(
        &self,
        of_this_broker: &BTreeMap<String, String>,
        of_all: &BTreeMap<String, String>,
    ) -> Result<Settings, Refusals> {
        let mut of_this_broker = of_this_broker.clone();
        // It was checked when it was set; a start with other listeners may have come between.
        if of_this_broker.get(ADVERTISED).is_some_and(|text| self.listener_names().check_advertised(text).is_err()) {
            of_this_broker.remove(ADVERTISED);
        }
        let values = self.values.with_dynamic(&of_this_broker, of_all);
        typed::settings(values, &self.host_name).map_err(Refusals)
    }

    /// What clients of each listener are told, with what `advertised.listeners` was set to at run time; `None` where nothing
    /// is said about a listener.
    pub fn advertised(&self, set_since: Option<&str>) -> Vec<Option<Advertised>> {
        let own = set_since.map(|text| (ADVERTISED.to_string(), text.to_string())).into_iter().collect();
        let now = self.reconfigured(&own, &BTreeMap::new()).unwrap_or_else(|_| self.clone());
        // A listener for controllers that could not be opened is in one of the two only.
        let of = |name: &str| now.net.listeners.iter().find(|listener| listener.name == name);
        self.net.listeners.iter().map(|listener| of(&listener.name)?.advertised.clone()).collect()
    }

    /// What `advertised.listeners` may name.
    pub fn listener_names(&self) -> ListenerNames {
        let for_clients = self.net.listeners.iter().filter(|listener| !listener.is_for_controllers);
        ListenerNames {
            for_clients: for_clients.map(|listener| listener.name.clone()).collect(),
            for_controllers: self.net.controller_listener_names.clone(),
        }
    }

    /// Whether this process was started by the scripts of Confluent's images.
    pub fn is_confluents(&self) -> bool {
        matches!(self.values.dialect, Some(Dialect::Confluent | Dialect::ConfluentLocal))
    }

    /// A broker setting as DescribeConfigs shows it; the value of a secret is withheld (S62).
    pub fn broker_value(&self, name: &str) -> (Option<String>, ValueSource) {
        let is_secret = load::known(name).is_some_and(Setting::is_sensitive);
        let value = self.values.get(name).filter(|_| !is_secret).map(str::to_string);
        (value, source_of(&self.values.origin(name)))
    }

    /// The value a topic has when it says nothing about `setting`, and what DescribeConfigs tells of its origin.
    pub fn topic_default(&self, setting: &Setting) -> (Option<String>, ValueSource, Vec<Synonym>) {
        let text = typed::topic_text(&self.values, setting).map(|(text, _)| text);
        let synonyms = setting.synonyms.first().map(|first| self.synonyms(setting.synonyms, first)).unwrap_or_default();
        let source = synonyms.first().map_or(ValueSource::Default, |synonym| synonym.source);
        (text.or_else(|| setting.default.map(str::to_string)), source, synonyms)
    }

    /// The value a group has when nothing is said about it, likewise.
    pub fn group_default(&self, setting: &Setting) -> (Option<String>, ValueSource, Vec<Synonym>) {
        let Some(behind) = setting.synonyms.first() else {
            // Where no broker setting is behind it, Kafka names the group setting itself.
            let value = setting.default.map(str::to_string);
            let itself = Synonym { name: setting.name, value: value.clone(), source: ValueSource::Default };
            return (value, ValueSource::Default, vec![itself]);
        };
        let (value, source) = self.broker_value(behind);
        (value, source, self.synonyms(setting.synonyms, behind))
    }

    /// What stands behind a broker setting, the first one being what counts.
    pub fn broker_synonyms(&self, setting: &'static Setting) -> Vec<Synonym> {
        // The table leaves out the setting itself, whose place is that of its unit.
        let mut names = setting.synonyms.to_vec();
        names.push(setting.name);
        names.sort_by_key(|name| unit_rank(name));
        self.synonyms(&names, setting.name)
    }

    /// Where the value of a broker setting comes from.
    pub fn origin(&self, name: &str) -> Origin {
        self.values.origin(name)
    }

    /// The setting by which clients are told where to go, in the words it was set in, for sentences about it.
    pub fn advertised_by(&self) -> String {
        match self.values.origin(ADVERTISED) {
            Origin::Environment(variable) if variable.starts_with("KAFKA_") => variable,
            Origin::File { path, line } => format!("advertised.listeners ({path}:{line})"),
            _ if self.in_image => "KAFKA_ADVERTISED_LISTENERS".into(),
            _ => "advertised.listeners".into(),
        }
    }

    /// Every setting as a table for people: name, value, origin, fate. `all` shows defaults too.
    pub fn table(&self, all: bool) -> String {
        let mut rows = vec![["NAME", "VALUE", "ORIGIN", "FATE"].map(String::from)];
        rows.extend(catalog::broker_settings().filter_map(|setting| self.row(setting.name, all)));
        rows.extend(catalog::former_settings().filter_map(|setting| self.row(setting.name, false)));
        let unknown = self.values.user_settings().filter(|(name, _, _)| load::known(name).is_none());
        rows.extend(unknown.filter_map(|(name, _, _)| self.row(name, false)));
        align(&rows)
    }

    /// What was set, by whomever, and what an image has filled in, as a `server.properties` that says the same. Secrets are
    /// in it.
    pub fn as_properties(&self) -> String {
        self.values.user_settings().map(|(name, text, _)| properties::line(name, text) + "\n").collect()
    }

    fn row(&self, name: &str, all: bool) -> Option<[String; 4]> {
        let origin = self.values.origin(name);
        let setting = load::known(name);
        let is_shown = origin != Origin::Default || all && setting.is_some_and(|setting| !setting.internal);
        let fate = match setting.map(|setting| setting.fate) {
            Some(Fate::Honoured) => "honoured".into(),
            Some(Fate::Ignored(reason)) => format!("ignored: {reason}"),
            Some(Fate::Refused(reason)) => format!("refused if changed: {reason}"),
            None => "unknown".into(),
        };
        // A name nobody knows may be a misspelt secret.
        let is_secret = setting.is_none_or(Setting::is_sensitive);
        let value = match self.values.get(name) {
            Some(_) if is_secret => "[hidden]",
            Some("") => "(empty)",
            Some(text) => text,
            None => "(not set)",
        };
        is_shown.then(|| [name.to_string(), value.replace('\n', " "), origin.to_string(), fate])
    }

    /// Kafka's order: what was set at run time, then at the start, then the defaults, each in the order of the names; what
    /// precedes the first mention of `name` is left out. So `retention.ms` has none when only `log.retention.hours` is set.
    fn synonyms(&self, names: &[&'static str], name: &str) -> Vec<Synonym> {
        let mut all: Vec<Synonym> = names.iter().flat_map(|each| self.each_value(each)).collect();
        // A stable sort keeps the order of the names within each source.
        all.sort_by_key(|synonym| synonym.source.id());
        all.into_iter().skip_while(|synonym| synonym.name != name).collect()
    }

    fn each_value(&self, name: &'static str) -> impl Iterator<Item = Synonym> {
        let setting = catalog::broker(name);
        let is_secret = setting.is_some_and(Setting::is_sensitive);
        let set = self.values.all_set(name).map(|(text, origin)| (text, source_of(origin)));
        let default = setting.and_then(|setting| setting.default).map(|text| (text, ValueSource::Default));
        let value = move |text: &str| (!is_secret).then(|| text.to_string());
        set.chain(default).map(move |(text, source)| Synonym { name, value: value(text), source })
    }
}

fn source_of(origin: &Origin) -> ValueSource {
    match origin {
        Origin::Default => ValueSource::Default,
        Origin::DynamicBroker => ValueSource::DynamicBroker,
        Origin::DynamicDefault => ValueSource::DynamicDefault,
        Origin::File { .. } | Origin::Environment(_) | Origin::Override => ValueSource::Static,
    }
}

/// The finer unit wins: milliseconds over minutes over hours.
fn unit_rank(name: &str) -> usize {
    [".ms", ".minutes", ".hours"].iter().position(|unit| name.ends_with(unit)).unwrap_or(3)
}

fn align(rows: &[[String; 4]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths = [width(0), width(1).min(48), width(2)];
    let mut table = String::new();
    for [name, value, origin, fate] in rows {
        let line = format!("{name:0$}  {value:1$}  {origin:2$}  {fate}", widths[0], widths[1], widths[2]);
        table.push_str(line.trim_end());
        table.push('\n');
    }
    table
}

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for Refusals {}
