//! Which partitions live here. Nobody adds or removes one by hand: the set follows the published image, and a difference
//! between two images is what creates, reconfigures or removes (no setter is called from above).

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, RwLock};

use arc_swap::ArcSwap;
use indexmap::IndexMap;

use crate::config::{self, CleanerSettings, LogConfig, Settings};
use crate::state::metadata::{ConfigResource, Image, Topic};
use crate::storage::log::OpenHint;
use crate::types::{ErrorCode, Offset, TopicId, TopicName, TopicPartition};

use super::partition::{Partition, Shop};
use super::tasks;

/// Threads that open partitions, for each core: what is behind a recovery point is read from the disk.
const OPENING_PER_CORE: usize = 4;

pub struct Partitions {
    shop: Arc<Shop>,
    settings: Arc<Settings>,
    /// What a topic is that says nothing about itself; follows the broker settings in the image.
    defaults: ArcSwap<LogConfig>,
    /// How logs are cleaned; likewise.
    cleaner: ArcSwap<CleanerSettings>,
    /// What is led here, by name, in the order in which it came. A topic is replaced whole when its number of partitions
    /// grows.
    topics: RwLock<IndexMap<TopicName, Arc<LocalTopic>>>,
}

/// The partitions of one topic.
pub struct LocalTopic {
    pub id: TopicId,
    pub partitions: Vec<Arc<Partition>>,
}

/// What a directory scan at start has found, waiting for the image to say what it is.
pub struct Found {
    pub directories: BTreeMap<TopicPartition, (PathBuf, OpenHint)>,
}

impl Partitions {
    pub fn new(shop: Arc<Shop>, settings: Arc<Settings>) -> Self {
        let defaults = ArcSwap::from_pointee(settings.storage.log.clone());
        let cleaner = ArcSwap::from_pointee(settings.storage.cleaner.clone());
        Partitions { shop, settings, defaults, cleaner, topics: RwLock::default() }
    }

    pub fn cleaner_settings(&self) -> Arc<CleanerSettings> {
        self.cleaner.load_full()
    }

    /// The log settings of the start, with what was changed at run time for this broker and for all.
    fn learn_defaults(&self, image: &Image) {
        let own = image.configs(&ConfigResource::Broker(Some(self.settings.node_id)));
        let all = image.configs(&ConfigResource::Broker(None));
        match self.settings.reconfigured(&own, &all) {
            Ok(settings) => {
                self.defaults.store(Arc::new(settings.storage.log));
                self.cleaner.store(Arc::new(settings.storage.cleaner));
            }
            Err(refusals) => {
                tracing::warn!(%refusals, "settings changed at run time do not go together; the log settings stay");
            }
        }
    }

    /// The partition, if it is led here.
    pub fn get(&self, topic: &str, partition: i32) -> Result<Arc<Partition>, ErrorCode> {
        let topics = self.topics.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        let index = usize::try_from(partition).map_err(|_| ErrorCode::UnknownTopicOrPartition)?;
        let found = topics.get(topic).and_then(|topic| topic.partitions.get(index));
        found.cloned().ok_or(ErrorCode::UnknownTopicOrPartition)
    }

    /// Every partition, in an order that follows from what was done and not from hashes (I116).
    pub fn all(&self) -> Vec<Arc<Partition>> {
        let topics = self.topics.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        topics.values().flat_map(|topic| topic.partitions.iter().cloned()).collect()
    }

    /// At start: everything the image names is there, with the files that were found for it. Opening is recovery, which waits
    /// for the disk, so it runs on more threads than there are cores. Directories that belong to no topic of the image are returned.
    pub fn open_all(&self, image: &Image, mut found: Found) -> Vec<TopicPartition> {
        self.learn_defaults(image);
        let mut work = Vec::new();
        for topic in image.topics() {
            let config = self.config_of(image, topic);
            for index in 0..topic.partitions.len() {
                let name = TopicPartition { topic: topic.name.clone(), partition: index as i32 };
                if let Some((directory, hint)) = found.directories.remove(&name) {
                    work.push((name, topic.id, config.clone(), directory, hint));
                }
            }
        }
        let opened = self.open_in_parallel(work);
        for topic in image.topics() {
            let config = self.config_of(image, topic);
            self.install(topic, |name| match opened.get(name) {
                Some(partition) => partition.clone(),
                None => Partition::empty(self.shop.clone(), name.clone(), topic.id, config.clone()),
            });
        }
        found.directories.into_keys().collect()
    }

    fn open_in_parallel(
        &self,
        work: Vec<(TopicPartition, TopicId, Arc<LogConfig>, PathBuf, OpenHint)>,
    ) -> HashMap<TopicPartition, Arc<Partition>> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = (cores * OPENING_PER_CORE).min(work.len().max(1));
        let queue = std::sync::Mutex::new(work.into_iter());
        let done = std::sync::Mutex::new(HashMap::new());
        let worker = || loop {
            let next = queue.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).next();
            let Some((name, id, config, directory, hint)) = next else { return };
            let shop = self.shop.clone();
            let partition = match self.make_way(&name, &hint) {
                true => Partition::empty(shop, name.clone(), id, config),
                false => Partition::open(shop, name.clone(), id, config, directory, hint),
            };
            done.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(name, partition);
        };
        tasks::scoped(threads, &worker);
        done.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Sets a directory aside of which nobody can say that it is the partition's. If that fails it is opened, and the
    /// same error takes it offline.
    fn make_way(&self, name: &TopicPartition, hint: &OpenHint) -> bool {
        let log_dir = &self.shop.log_dir;
        let is_gone = log_dir.is_nobodys(name, hint).and_then(|is_nobodys| match is_nobodys {
            true => log_dir.set_aside(name).map(|()| true),
            false => Ok(false),
        });
        if matches!(is_gone, Ok(true)) {
            tracing::warn!(
                partition = %name,
                "a directory has lost its topic id before anything in it was flushed; it is set aside with the ending -stray"
            );
        }
        is_gone.unwrap_or(false)
    }

    /// Follows a change of the image. Returns the partitions whose files are to be removed.
    pub fn follow(&self, before: &Image, now: &Image) -> Vec<TopicPartition> {
        let mut removed = Vec::new();
        for change in differences(before, now) {
            match change {
                Change::Removed(name) => removed.extend(self.remove(name)),
                Change::Replaced(topic) => {
                    removed.extend(self.remove(&topic.name));
                    self.add(now, topic);
                }
                Change::Added(topic) | Change::Changed(topic) => self.add(now, topic),
                Change::Reconfigured(topic) => self.reconfigure(now, topic),
                Change::Defaults => {
                    self.learn_defaults(now);
                    now.topics().for_each(|topic| self.reconfigure(now, topic));
                }
            }
        }
        removed
    }

    fn add(&self, image: &Image, topic: &Topic) {
        let config = self.config_of(image, topic);
        let present = self.topics.read().unwrap_or_else(|p| p.into_inner()).get(&topic.name).cloned();
        self.install(topic, |name| {
            let kept = present.as_ref().and_then(|local| local.partitions.get(name.partition as usize));
            match kept {
                Some(partition) => partition.clone(),
                None => Partition::empty(self.shop.clone(), name.clone(), topic.id, config.clone()),
            }
        });
    }

    fn install(&self, topic: &Topic, mut make: impl FnMut(&TopicPartition) -> Arc<Partition>) {
        let partitions = topic.partitions.iter().enumerate().map(|(index, info)| {
            let partition = make(&TopicPartition { topic: topic.name.clone(), partition: index as i32 });
            partition.set_leader_epoch(info.leader_epoch);
            partition
        });
        let local = LocalTopic { id: topic.id, partitions: partitions.collect() };
        let mut topics = self.topics.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        topics.insert(topic.name.clone(), Arc::new(local));
    }

    fn reconfigure(&self, image: &Image, topic: &Topic) {
        let config = self.config_of(image, topic);
        let local = self.topics.read().unwrap_or_else(|p| p.into_inner()).get(&topic.name).cloned();
        for partition in local.iter().flat_map(|local| &local.partitions) {
            partition.set_config(config.clone());
        }
    }

    fn remove(&self, name: &TopicName) -> Vec<TopicPartition> {
        let local = self.topics.write().unwrap_or_else(|p| p.into_inner()).swap_remove(name);
        let partitions = local.map(|local| local.partitions.clone()).unwrap_or_default();
        partitions.iter().filter(|partition| partition.delete()).map(|partition| partition.name.clone()).collect()
    }

    /// The settings of a topic: its overrides over the broker's defaults. Overrides were checked when they were set; one
    /// that this version does not understand any more leaves the default, said once.
    fn config_of(&self, image: &Image, topic: &Topic) -> Arc<LogConfig> {
        let overrides = image.topic_configs(&topic.name);
        let defaults = self.defaults.load_full();
        if overrides.is_empty() {
            return defaults;
        }
        match config::topic::parse(&overrides, &defaults) {
            Ok(config) => Arc::new(config),
            Err(error) => {
                tracing::warn!(topic = %topic.name, %error, "a stored topic setting is not understood; the default holds");
                defaults
            }
        }
    }

    /// The offset before which each partition is flushed, and where its log starts: for the checkpoints.
    pub fn checkpoint(&self) -> (BTreeMap<TopicPartition, Offset>, BTreeMap<TopicPartition, Offset>) {
        let mut recovery = BTreeMap::new();
        let mut starts = BTreeMap::new();
        let mut producers = 0;
        for partition in self.all() {
            partition.tend(|log| {
                producers += log.producer_count();
                recovery.insert(partition.name.clone(), log.flushed_offset());
                if log.log_start_offset() > Offset::ZERO {
                    starts.insert(partition.name.clone(), log.log_start_offset());
                }
            });
        }
        self.shop.metrics.remembered_producers.set(producers as u64);
        (recovery, starts)
    }
}

/// How a topic of one image differs from the image before.
enum Change<'a> {
    Added(&'a Topic),
    Removed(&'a TopicName),
    /// The same name, another topic (I22).
    Replaced(&'a Topic),
    /// Partitions were added, or their leadership changed.
    Changed(&'a Topic),
    Reconfigured(&'a Topic),
    /// The broker's own settings.
    Defaults,
}

/// What changed between two images. They share what did not, so this costs what changed.
fn differences<'a>(before: &'a Image, now: &'a Image) -> Vec<Change<'a>> {
    let topics = now.topics_since(before).into_iter().map(|change| match change {
        (None, Some(topic)) => Change::Added(topic),
        (Some(gone), None) => Change::Removed(&gone.name),
        (Some(was), Some(topic)) if was.id != topic.id => Change::Replaced(topic),
        (Some(_), Some(topic)) => Change::Changed(topic),
        (None, None) => unreachable!("a difference has at least one side"),
    });
    let mut changes: Vec<Change<'a>> = topics.collect();
    for resource in now.configs_since(before) {
        match resource {
            ConfigResource::Topic(name) => {
                changes.extend(now.topic(name.as_str()).map(|topic| Change::Reconfigured(topic)));
            }
            ConfigResource::Broker(_) => changes.push(Change::Defaults),
            ConfigResource::ClientMetrics(_) | ConfigResource::Group(_) => {}
        }
    }
    changes
}
