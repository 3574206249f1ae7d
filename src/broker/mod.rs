//! DRIVES. Builds the rooms, starts and stops them in order; owns tasks, queues, locks and deadlines; decides nothing about
//! Kafka.
//!
//! Start: directory locked → metadata replayed → partitions opened and recovered → coordinators loaded. The sockets are bound
//! before any of it, so that a taken port changes nothing, and answered after all of it. [`Broker::employ`] starts the threads
//! that work on their own; everything they do is also there as single steps.

mod addresses;
mod cleaner;
pub mod controller;
pub mod coordinators;
pub mod driver;
mod flusher;
pub mod hints;
mod housekeeping;
pub mod metadata_log;
pub mod partition;
pub mod partitions;
pub mod quotas;
pub mod record_log;
mod scrubber;
mod starting_topics;
#[cfg(any(test, feature = "testing"))]
pub mod steps;
pub mod tasks;
#[cfg(test)]
mod tests;
pub mod visitors;
pub mod waiters;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use uuid::Uuid;

use crate::clock::Clock;
use crate::config::{Advertised, Durability, LogConfig, QuotaWindow, Settings};
use crate::file::FileRange;
use crate::memory::pool::Pool;
use crate::metrics::Metrics;
use crate::record::{DecompressBudget, DecompressLimits};
use crate::state::fetch_session::FetchSessions;
use crate::state::group::{GroupConfig, GroupInput};
use crate::state::metadata::{self, Endpoint, Image, InternalTopic, MetadataAnswer, MetadataInput, MetadataSettings};
use crate::state::quota::Window;
use crate::storage;
use crate::storage::disk::Disk;
use crate::storage::log::Origin;
use crate::storage::log_dir::{Identity, LogDir};
use crate::types::{BrokerId, ConnectionId, ErrorCode, Offset, TopicId, TopicName, TopicPartition};

use addresses::Addresses;
use cleaner::Cleaner;
use controller::{Controller, MetadataCodec};
use coordinators::GroupCoordinators;
use flusher::Flusher;
use housekeeping::Chores;
use metadata_log::MetadataLog;
use partition::{Partition, Shop};
use partitions::{Found, Partitions};
use quotas::Quotas;
use record_log::PartitionLog;
use scrubber::Scrubber;
use visitors::Visitors;

/// How many threads read from the disk for consumers; a disk that is asked for more at once is not quicker.
const COLD_READERS: usize = 8;
/// How much more is read than a cold fetch asked for: what the next one will ask, and where it ends.
const COLD_AHEAD_BYTES: usize = 1 << 20;

/// The metadata log's topic id in every cluster (`Uuid.METADATA_TOPIC_ID`).
const METADATA_TOPIC_ID: TopicId = TopicId(Uuid::from_u128(1));

/// The least that Kafka 4.3 takes as a topic's `segment.bytes`.
const MIN_SEGMENT_BYTES: u64 = 1 << 20;

pub struct Broker {
    pub node_id: BrokerId,
    pub settings: Arc<Settings>,
    pub clock: Arc<dyn Clock>,
    pub metrics: Arc<Metrics>,
    pub controller: Controller,
    pub partitions: Arc<Partitions>,
    pub groups: GroupCoordinators,
    pub quotas: Arc<Quotas>,
    pub log_dir: Arc<LogDir>,
    /// Who asked where the brokers are, and came back or not.
    pub visitors: Visitors,
    disk: Arc<dyn Disk>,
    metadata_log: Arc<MetadataLog>,
    flusher: Arc<Flusher>,
    chores: Arc<Chores>,
    cleaner: Arc<Cleaner>,
    scrubber: Scrubber,
    /// `milena.memory.max.bytes`: what batches that are opened at the same time share. Lives as long as the process.
    decompress_budget: &'static DecompressBudget,
    /// The same for fetches that wait for records.
    pub parked: Pool,
    /// Held while the checkpoints are gathered and written, so that an older one never replaces a newer one (I21).
    checkpoints: Mutex<()>,
    fetch_sessions: Mutex<FetchSessions>,
    /// Who may read from the disk for consumers at the same time.
    cold_readers: Semaphore,
    /// What is left of the block of producer ids taken last: the next id and one past the last.
    producer_ids: tokio::sync::Mutex<(i64, i64)>,
    addresses: Arc<Addresses>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Topics that are gone, for the group coordinators; taken by the task that tells them.
    deleted_topics: Mutex<Option<UnboundedReceiver<DeletedTopics>>>,
}

/// Topics that one change of the image has removed.
type DeletedTopics = Vec<(TopicName, TopicId)>;

/// Why a broker does not start: one sentence that names the setting, the file or the address.
#[derive(Debug)]
pub struct StartError(pub String);

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StartError {}

impl From<storage::Error> for StartError {
    fn from(error: storage::Error) -> Self {
        StartError(error.to_string())
    }
}

impl Broker {
    /// Opens the data directory and brings everything to where it was. Blocks: recovery reads files.
    pub fn open(settings: Settings, disk: Arc<dyn Disk>, clock: Arc<dyn Clock>) -> Result<Arc<Self>, StartError> {
        let settings = Arc::new(settings);
        let metrics = Arc::new(Metrics::default());
        let identity = Identity {
            cluster_id: settings.cluster_id.as_ref().map(|wanted| wanted.id.clone()),
            is_cluster_id_strict: settings.cluster_id.as_ref().is_some_and(|wanted| wanted.is_strict),
            node_id: settings.node_id,
            fresh_cluster_id: clock.random_id(),
            fresh_directory_id: clock.random_id(),
        };
        let log_dir = Arc::new(LogDir::open(disk.clone(), &settings.storage.log_dir, identity)?);
        let flusher = Flusher::new(disk.clone(), settings.storage.log_dir.clone(), metrics.clone());
        let shop = Arc::new(Shop {
            disk: disk.clone(),
            log_dir: log_dir.clone(),
            flusher: flusher.clone(),
            clock: clock.clone(),
            metrics: metrics.clone(),
            durable: settings.storage.durability == Durability::Flush,
        });
        let mut found = scan(&log_dir)?;
        let metadata_log = open_metadata_log(&shop, &mut found, settings.controller.snapshot_after_bytes)?;
        let partitions = Arc::new(Partitions::new(shop, settings.clone()));
        let addresses = Arc::new(Addresses::new(settings.clone()));
        let chores = Arc::new(Chores::default());
        let quotas = Arc::new(Quotas::new(window(settings.quotas.clients), clock.clone()));
        let (tell_deleted, deleted_topics_seen) = unbounded_channel();
        let controller = Controller::new(
            metadata_log.clone(),
            clock.clone(),
            metadata_settings(&settings, log_dir.cluster_id()),
            Box::new({
                let (partitions, chores) = (partitions.clone(), chores.clone());
                let (quotas, addresses) = (quotas.clone(), addresses.clone());
                move |before: &Image, now: &Image| {
                    quotas.follow(before, now);
                    chores.remove(partitions.follow(before, now));
                    addresses.follow(before, now);
                    let gone = deleted_topics(before, now);
                    if !gone.is_empty() {
                        // Nobody listens while the broker is being opened; then nothing is deleted either.
                        let _ = tell_deleted.send(gone);
                    }
                }
            }),
        );
        let cannot_load = |code: ErrorCode| {
            StartError(format!("the metadata log in {} cannot be read: {code}", log_dir.path().display()))
        };
        // The first image brings its topics without files; then the directories that were found are given to them.
        controller.load().map_err(cannot_load)?;
        let strays = partitions.open_all(&controller.image(), found);
        for stray in strays {
            tracing::warn!(partition = %stray, "a directory belongs to no topic; it is set aside with the ending -stray");
            log_dir.set_aside(&stray)?;
        }
        metadata_log.listen(controller.driver());
        Ok(Arc::new(Broker {
            node_id: settings.node_id,
            groups: GroupCoordinators::new(group_config(&settings)),
            fetch_sessions: Mutex::new(FetchSessions::new(settings.fetch.max_sessions)),
            decompress_budget: Box::leak(Box::new(DecompressBudget::new(settings.memory.decompression))),
            parked: Pool::new(settings.memory.parked),
            cold_readers: Semaphore::new(COLD_READERS),
            settings,
            clock,
            metrics,
            controller,
            partitions,
            quotas,
            log_dir,
            visitors: Visitors::default(),
            disk,
            metadata_log,
            flusher,
            chores,
            cleaner: Arc::default(),
            scrubber: Scrubber::default(),
            checkpoints: Mutex::default(),
            producer_ids: tokio::sync::Mutex::new((0, 0)),
            addresses,
            threads: Mutex::default(),
            deleted_topics: Mutex::new(Some(deleted_topics_seen)),
        }))
    }

    /// Are more files open than may be?
    pub fn are_files_scarce(&self) -> bool {
        self.flusher.are_files_scarce()
    }

    /// Until files have been closed again, or for a moment.
    pub async fn files_closed(&self) {
        self.flusher.files_closed().await;
    }

    /// Starts the threads: what blocks on the disk for long has its own. A simulation takes their steps itself.
    pub fn employ(self: &Arc<Self>) {
        let mut threads = vec![tasks::thread("milena-flush", {
            let flusher = self.flusher.clone();
            move || flusher.run()
        })];
        threads.push(tasks::thread("milena-housekeeping", {
            let broker = self.clone();
            move || housekeeping::run(&broker)
        }));
        if self.settings.storage.cleaner.enable {
            threads.extend((0..self.settings.storage.cleaner.threads.max(1)).map(|_| {
                let broker = self.clone();
                tasks::thread("milena-cleaner", move || broker.cleaner.clone().run(&broker))
            }));
        }
        if self.settings.storage.scrub.bytes_per_second > 0 {
            let broker = self.clone();
            threads.push(tasks::thread("milena-scrub", move || broker.scrubber.run(&broker)));
        }
        self.threads.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).extend(threads);
    }

    /// Registers the broker under the addresses clients are told, and loads the coordinators. `ports`: those that the
    /// listeners got.
    pub async fn start(self: &Arc<Self>, ports: Vec<u16>) -> Result<(), StartError> {
        self.addresses.bound(ports, &self.image());
        let listeners = self.settings.net.listeners.iter().enumerate();
        let for_clients = listeners.filter(|(_, listener)| !listener.is_for_controllers);
        let endpoints = for_clients.map(|(index, listener)| {
            let Advertised { host, port } = self.advertised(index);
            Endpoint { listener: listener.name.clone(), host, port, security_protocol: 0 }
        });
        let registration = metadata::Broker {
            id: self.node_id,
            epoch: 0,
            incarnation: self.clock.random_id(),
            endpoints: endpoints.collect(),
            rack: self.settings.rack.clone(),
            fenced: false,
            in_controlled_shutdown: false,
            log_dirs: vec![self.log_dir.directory_id()],
            features: metadata::SUPPORTED_FEATURES
                .iter()
                .map(|(name, min, max)| ((*name).to_owned(), *min, *max))
                .collect(),
        };
        let answer = self.controller.ask(MetadataInput::RegisterBroker { broker: registration }).await;
        if !matches!(answer, Ok(MetadataAnswer::Registered { .. })) {
            return Err(StartError(format!("the broker cannot register itself: {answer:?}")));
        }
        self.tell_groups_of_deleted_topics();
        let broker = self.clone();
        tasks::organ("group coordinator load", async move { broker.groups.load_all(&broker).await });
        Ok(())
    }

    /// Offsets committed for a topic go with the topic (I22).
    fn tell_groups_of_deleted_topics(self: &Arc<Self>) {
        let receiver = self.deleted_topics.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
        let Some(mut receiver) = receiver else { return };
        let broker = self.clone();
        tasks::organ("deleted topics", async move {
            while let Some(topics) = receiver.recv().await {
                let input = || GroupInput::TopicsDeleted { topics: topics.clone() };
                if let Err(error) = broker.groups.ask_all(&broker, input).await {
                    tracing::error!(%error, "offsets of a deleted topic stay until they expire");
                }
            }
        });
    }

    /// Flushes everything and leaves the clean-stop marker. Connections have been ended before.
    pub fn stop(self: &Arc<Self>) {
        self.cleaner.stop();
        self.scrubber.stop();
        self.chores.stop();
        self.flusher.stop();
        for thread in std::mem::take(&mut *self.threads.lock().unwrap_or_else(|poisoned| poisoned.into_inner())) {
            let _ = thread.join();
        }
        let mut all = self.partitions.all();
        all.push(self.metadata_log.partition().clone());
        self.flusher.round(&all);
        self.checkpoint();
        // A closed partition takes no more appends, whoever still holds it: nothing is written behind the marker (I12).
        let unclean = all.iter().filter(|partition| !partition.close()).count();
        if unclean > 0 {
            tracing::warn!(partitions = unclean, "not everything could be flushed; the next start will check the logs");
        } else if let Err(error) = self.log_dir.mark_clean_stop() {
            tracing::warn!(%error, "the clean-stop marker could not be written; the next start will check the logs");
        }
        self.log_dir.unlock();
    }

    pub fn image(&self) -> Arc<Image> {
        self.controller.image()
    }

    /// Every partition with a log, the metadata log too.
    pub fn every_partition(&self) -> Vec<Arc<Partition>> {
        let mut all = self.partitions.all();
        all.push(self.metadata_log.partition().clone());
        all
    }

    /// The log of cluster metadata.
    pub fn metadata_partition(&self) -> &Arc<Partition> {
        self.metadata_log.partition()
    }

    pub fn partition(&self, topic: &str, partition: i32) -> Result<Arc<Partition>, ErrorCode> {
        self.partitions.get(topic, partition)
    }

    /// Host and port for the clients of a listener.
    pub fn advertised(&self, listener: usize) -> Advertised {
        self.addresses.of(listener)
    }

    pub fn fetch_sessions(&self) -> MutexGuard<'_, FetchSessions> {
        self.fetch_sessions.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub fn decompress_limits(&self) -> DecompressLimits {
        DecompressLimits {
            max_bytes: self.settings.produce.decompress_max_bytes.min(self.settings.memory.decompression),
            budget: self.decompress_budget,
        }
    }

    pub fn connection_closed(&self, connection: ConnectionId) {
        self.groups.connection_closed(connection);
    }

    /// A producer id that nobody had before; a block of them is taken from the metadata log at a time.
    pub async fn next_producer_id(&self) -> Result<i64, ErrorCode> {
        let mut block = self.producer_ids.lock().await;
        if block.0 == block.1 {
            match self.controller.ask(MetadataInput::AllocateProducerIds { broker: self.node_id }).await? {
                MetadataAnswer::ProducerIds { first } => {
                    *block = (first.0, first.0 + i64::from(metadata::PRODUCER_ID_BLOCK_SIZE));
                }
                _ => return Err(ErrorCode::CoordinatorNotAvailable),
            }
        }
        block.0 += 1;
        Ok(block.0 - 1)
    }

    /// Bytes of the file system of the data directory: all, free.
    pub fn disk_space(&self) -> Result<(u64, u64), ErrorCode> {
        self.disk.space(self.log_dir.path()).map_err(|_| ErrorCode::KafkaStorageError)
    }

    /// Writes down how far each log is flushed and where it starts.
    pub fn checkpoint(&self) {
        if let Err(error) = self.write_checkpoints() {
            tracing::error!(%error, "cannot write the checkpoints; a crash will mean a longer start");
        }
    }

    fn write_checkpoints(&self) -> Result<(), storage::Error> {
        let _one_at_a_time = self.checkpoints.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let (mut recovery, starts) = self.partitions.checkpoint();
        let metadata = self.metadata_log.partition();
        metadata.tend(|log| recovery.insert(metadata.name.clone(), log.flushed_offset()));
        self.log_dir.write_recovery_points(&recovery)?;
        self.log_dir.write_log_starts(&starts)
    }

    /// Gives up the records before these offsets, all or none. The new starts are written down before anybody sees them: a
    /// log start that a client has read never falls, whenever the crash comes (I6, I21). An offset before a log's start changes nothing.
    pub fn delete_records(&self, wanted: &[(Arc<Partition>, Offset)]) -> Result<(), ErrorCode> {
        let _one_at_a_time = self.checkpoints.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let (_, mut starts) = self.partitions.checkpoint();
        for (partition, offset) in wanted {
            let start = starts.entry(partition.name.clone()).or_insert(*offset);
            *start = (*start).max(*offset);
        }
        let refused = |error: storage::Error| {
            tracing::error!(%error, "cannot delete records");
            ErrorCode::KafkaStorageError
        };
        self.log_dir.write_log_starts(&starts).map_err(refused)?;
        for (partition, offset) in wanted {
            partition.tend(|log| log.delete_records_before(*offset)).transpose().map_err(refused)?;
        }
        Ok(())
    }

    fn apply_retention(&self) {
        for partition in self.partitions.all() {
            // One that is being cleaned has its turn the next time.
            let Some(_claim) = self.cleaner.claim(&partition.name) else { continue };
            if let Err(error) = self.apply_retention_to(&partition) {
                tracing::error!(partition = %partition.name, %error, "cannot apply retention");
            }
        }
    }

    /// Looks under the log's lock, removes without it; some segments at a time, until nothing is left to remove.
    fn apply_retention_to(&self, partition: &Partition) -> Result<(), storage::Error> {
        loop {
            let (now, high_watermark) = (self.clock.now(), partition.high_watermark());
            let begun = partition.tend(|log| log.begin_retention(now, high_watermark)).transpose()?.flatten();
            let Some(ticket) = begun else { return Ok(()) };
            let carry_out = || ticket.carry_out();
            let removed = self.log_dir.while_present(&partition.name, partition.topic_id, carry_out);
            let Some(removed) = removed else { return Ok(()) };
            let ended = partition.tend(|log| log.end_delete(&ticket, removed)).transpose()?;
            let Some(log_start_offset) = ended else { return Ok(()) };
            let segments = ticket.segment_count();
            self.metrics.segments_deleted.add(segments as u64);
            tracing::info!(partition = %partition.name, segments, %log_start_offset, "removed old segments");
        }
    }

    /// Reads ranges of files from the disk into memory, on a thread of its own. A reader that goes on where these end finds
    /// the next ones there.
    pub async fn warm(&self, ranges: Vec<FileRange>) {
        self.metrics.cold_reads.add(ranges.len() as u64);
        let _turn = self.cold_readers.acquire().await;
        tasks::blocking(move || ranges.iter().for_each(|range| range.warm(range.len.max(COLD_AHEAD_BYTES)))).await;
    }

    fn snapshot_metadata(&self) {
        self.metadata_log.snapshot_if_due(&self.controller);
    }
}

/// The topics of one image that the next one does not have, by id: a topic made again under its name is another one.
fn deleted_topics(before: &Image, now: &Image) -> DeletedTopics {
    let changes = now.topics_since(before).into_iter();
    let gone = changes.filter_map(|(was, is)| was.filter(|was| is.is_none_or(|is| is.id != was.id)));
    gone.map(|topic| (topic.name.clone(), topic.id)).collect()
}

fn scan(log_dir: &LogDir) -> Result<Found, StartError> {
    let directories = log_dir.partition_dirs()?.into_iter().map(|(name, path)| {
        let hint = log_dir.open_hint(&name);
        (name, (path, hint))
    });
    Ok(Found { directories: directories.collect() })
}

fn open_metadata_log(
    shop: &Arc<Shop>,
    found: &mut Found,
    snapshot_after_bytes: u64,
) -> Result<Arc<MetadataLog>, StartError> {
    let name = TopicPartition::new(metadata::CLUSTER_METADATA, 0);
    let config = Arc::new(LogConfig { delete: false, segment_bytes: 64 << 20, ..LogConfig::default() });
    let partition = match found.directories.remove(&name) {
        Some((path, hint)) => Partition::open(shop.clone(), name, METADATA_TOPIC_ID, config, path, hint),
        None => Partition::empty(shop.clone(), name, METADATA_TOPIC_ID, config),
    };
    if partition.is_offline() {
        return Err(StartError("the metadata log cannot be opened; the line above names the file".into()));
    }
    let records = PartitionLog { partition, codec: MetadataCodec, origin: Origin::Raft };
    Ok(Arc::new(MetadataLog::new(records, shop.clone(), snapshot_after_bytes)))
}

fn metadata_settings(settings: &Settings, cluster_id: &str) -> MetadataSettings {
    let mut made = MetadataSettings::new(cluster_id);
    made.num_partitions = settings.controller.num_partitions;
    made.default_replication_factor = settings.controller.default_replication_factor;
    made.log = settings.storage.log.clone();
    made.listeners = settings.listener_names();
    made.groups = settings.groups.consumer.clone();
    made.mutations = window(settings.quotas.controller);
    set_topic(
        &mut made.offsets_topic,
        settings.groups.offsets_topic_partitions,
        settings.groups.offsets_topic_segment_bytes,
    );
    set_topic(
        &mut made.transaction_topic,
        settings.transactions.topic_partitions,
        settings.transactions.topic_segment_bytes,
    );
    made
}

fn window(set: QuotaWindow) -> Window {
    Window { samples: set.samples, sample_ms: set.sample_ms }
}

fn set_topic(topic: &mut InternalTopic, partitions: i32, segment_bytes: u64) {
    topic.partitions = partitions;
    // The broker settings may be smaller than a topic's own; with that the topic could never be made, and no group form.
    topic.configs.insert("segment.bytes".into(), segment_bytes.max(MIN_SEGMENT_BYTES).to_string());
}

fn group_config(settings: &Settings) -> GroupConfig {
    let groups = &settings.groups;
    GroupConfig {
        min_session_timeout_ms: i32::try_from(groups.min_session_timeout_ms).unwrap_or(i32::MAX),
        max_session_timeout_ms: i32::try_from(groups.max_session_timeout_ms).unwrap_or(i32::MAX),
        initial_rebalance_delay_ms: groups.initial_rebalance_delay_ms,
        max_size: groups.max_size,
        offset_metadata_max_bytes: groups.offset_metadata_max_bytes,
        offsets_retention_ms: i64::try_from(groups.offsets_retention_ms).unwrap_or(i64::MAX),
        offsets_retention_check_interval_ms: groups.offsets_retention_check_interval_ms,
        disconnect_grace_ms: groups.disconnect_grace_ms,
    }
}
