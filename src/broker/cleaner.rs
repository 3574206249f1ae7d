//! Cleans compacted logs, the filthiest first: `log.cleaner.threads` threads that look every `log.cleaner.backoff.ms`
//! whether a log is worth it.
//!
//! What to clean and how is storage's to say; here is who, when and how fast. A partition that is being cleaned is claimed,
//! and retention, which removes segments too, claims it likewise: one at a time. A log that cannot be cleaned rests for a
//! while and is reported; the others go on (I25).

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use crate::config::CleanerSettings;
use crate::storage;
use crate::storage::compaction::{self, Cleaned, Dirt, Failure, Means, Owner};
use crate::storage::log::Log;
use crate::types::{Monotonic, Now, Offset, Timestamp, TopicId, TopicPartition};

use super::Broker;
use super::partition::Partition;

/// How long a log that could not be cleaned is left alone.
const REST_MS: u64 = 300_000;

/// Looking for work more often than this would be work itself.
const MIN_BACKOFF_MS: u64 = 10;

#[derive(Default)]
pub struct Cleaner {
    state: Mutex<State>,
    wake: Condvar,
    stopped: AtomicBool,
}

#[derive(Default)]
struct State {
    /// Partitions whose segments somebody is removing or replacing.
    claimed: HashSet<TopicPartition>,
    /// When the last tombstones that the last cleaning left may go. Forgotten by a restart: then they go with the next
    /// cleaning that new records bring about.
    horizons: HashMap<TopicPartition, (TopicId, Timestamp)>,
    /// Logs that could not be cleaned, and until when they rest.
    resting: HashMap<TopicPartition, Monotonic>,
}

/// The right to remove or replace segments of a partition, until it is dropped.
pub struct Claim<'a> {
    cleaner: &'a Cleaner,
    partition: TopicPartition,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.cleaner.lock().claimed.remove(&self.partition);
    }
}

/// A log that is worth a cleaning.
struct Job<'a> {
    partition: Arc<Partition>,
    dirt: Dirt,
    _claim: Claim<'a>,
}

impl Cleaner {
    /// Claims a partition; `None` while somebody else has it.
    pub fn claim(&self, partition: &TopicPartition) -> Option<Claim<'_>> {
        let is_free = self.lock().claimed.insert(partition.clone());
        is_free.then(|| Claim { cleaner: self, partition: partition.clone() })
    }

    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        // The lock keeps this from falling between a waiter's look at the flag and its wait.
        drop(self.lock());
        self.wake.notify_all();
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// One thread's work, until `stop`.
    pub fn run(&self, broker: &Arc<Broker>) {
        while !self.is_stopped() {
            let settings = broker.partitions.cleaner_settings();
            if !self.step(broker, &settings) {
                self.pause(Duration::from_millis(settings.backoff_ms.max(MIN_BACKOFF_MS)));
            }
        }
    }

    /// Cleans one log, if there is one worth it.
    pub(super) fn step(&self, broker: &Broker, settings: &CleanerSettings) -> bool {
        let Some(job) = self.filthiest(broker) else { return false };
        self.clean(broker, &job, settings);
        true
    }

    fn pause(&self, time: Duration) {
        let state = self.lock();
        if !self.is_stopped() {
            drop(self.wake.wait_timeout(state, time));
        }
    }

    /// Kafka's choice: among the logs that are due, the one with the largest dirty share.
    fn filthiest<'a>(&'a self, broker: &Broker) -> Option<Job<'a>> {
        let now = broker.clock.now();
        let cleaned_to = broker.log_dir.read_cleaner_offsets().unwrap_or_default();
        let mut due: Vec<(Arc<Partition>, Dirt)> = Vec::new();
        for partition in broker.partitions.all() {
            if !partition.config().compact || self.rests(&partition.name, now.mono) {
                continue;
            }
            let cleaned_to = cleaned_to.get(&partition.name).copied();
            due.extend(self.dirt(&partition, now, cleaned_to).map(|dirt| (partition, dirt)));
        }
        due.sort_by(|(_, one), (_, other)| other.ratio().total_cmp(&one.ratio()));
        due.into_iter().find_map(|(partition, dirt)| {
            let claim = self.claim(&partition.name)?;
            Some(Job { partition, dirt, _claim: claim })
        })
    }

    fn rests(&self, name: &TopicPartition, now: Monotonic) -> bool {
        let mut state = self.lock();
        state.resting.retain(|_, until| *until > now);
        state.resting.contains_key(name) || state.claimed.contains(name)
    }

    /// What there is to clean, if that is due.
    fn dirt(&self, partition: &Arc<Partition>, now: Now, cleaned_to: Option<Offset>) -> Option<Dirt> {
        let high_watermark = partition.high_watermark();
        let looked = partition.tend(|log| {
            log.roll_if_overdue(now)?;
            // Only what is flushed is cleaned, and where flushing is left to the kernel nobody else asks for it.
            let needs_flush = log.has_unflushed_closed_segments();
            log.dirt(now, high_watermark, cleaned_to).map(|dirt| (dirt, needs_flush))
        })?;
        let (dirt, needs_flush) = looked.inspect_err(|error| self.let_rest(partition, error, now)).ok()?;
        if needs_flush {
            partition.queue_flush();
        }
        let horizon = self.lock().horizons.get(&partition.name).copied();
        let horizon_passed = horizon.is_some_and(|(id, at)| id == partition.topic_id && at <= now.wall);
        (dirt.is_due(&partition.config()) || horizon_passed).then_some(dirt)
    }

    fn let_rest(&self, partition: &Partition, error: &storage::Error, now: Now) {
        tracing::error!(partition = %partition.name, %error, "cannot clean the log; it is left alone for five minutes");
        self.lock().resting.insert(partition.name.clone(), now.mono.plus_ms(REST_MS));
    }

    fn clean(&self, broker: &Broker, job: &Job<'_>, settings: &CleanerSettings) {
        let now = broker.clock.now();
        let partition = &job.partition;
        // A crash in the middle must find a recovery point behind everything that is being changed.
        if let Err(error) = broker.write_checkpoints() {
            self.let_rest(partition, &error, now);
            return;
        }
        self.lock().horizons.remove(&partition.name);
        // The number of threads is that of the start.
        let threads = broker.settings.storage.cleaner.threads.max(1);
        let means = Means {
            key_bytes: settings.dedupe_buffer_size / threads,
            load_factor: settings.io_buffer_load_factor,
            write_bytes: settings.io_buffer_size / threads,
            salt: broker.clock.random(),
        };
        let owner =
            LogOwner { cleaner: self, broker, partition, pacer: Mutex::new(Pacer::new(settings, threads, now.mono)) };
        match compaction::clean(&owner, job.dirt, now, &means) {
            Ok(cleaned) => self.note(broker, partition, &cleaned),
            Err(Failure::Ended) => {}
            // What is gone meanwhile cannot be read; that is no news.
            Err(Failure::Disk(_)) if partition.tend(|_| ()).is_none() => {}
            Err(Failure::Disk(error)) => self.let_rest(partition, &error, now),
        }
    }

    fn note(&self, broker: &Broker, partition: &Partition, cleaned: &Cleaned) {
        let Cleaned { cleaned_to, last_horizon, read_bytes, written_bytes, freed_bytes, .. } = *cleaned;
        broker.metrics.logs_cleaned.add(1);
        broker.metrics.bytes_cleaned_away.add(freed_bytes);
        tracing::info!(partition = %partition.name, %cleaned_to, read_bytes, written_bytes, freed_bytes, "cleaned the log");
        let mut state = self.lock();
        if let Some(horizon) = last_horizon {
            state.horizons.insert(partition.name.clone(), (partition.topic_id, horizon));
        }
        // Under the lock, so that two threads do not write one over the other.
        let written = broker.log_dir.read_cleaner_offsets().and_then(|mut offsets| {
            offsets.insert(partition.name.clone(), cleaned_to);
            broker.log_dir.write_cleaner_offsets(&offsets)
        });
        if let Err(error) = written {
            tracing::error!(partition = %partition.name, %error, "cannot write the cleaner checkpoint; the log is cleaned again");
            state.resting.insert(partition.name.clone(), broker.clock.now().mono.plus_ms(REST_MS));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// A partition lent to a cleaning.
struct LogOwner<'a> {
    cleaner: &'a Cleaner,
    broker: &'a Broker,
    partition: &'a Partition,
    pacer: Mutex<Pacer>,
}

impl Owner for LogOwner<'_> {
    fn with_log<T>(&self, work: impl FnOnce(&mut Log) -> T) -> Option<T> {
        self.partition.tend(work)
    }

    fn with_directory<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        self.broker.log_dir.while_present(&self.partition.name, self.partition.topic_id, work)
    }

    fn pace(&self, bytes: u64) -> bool {
        let now = self.broker.clock.now().mono;
        let ahead = self.pacer.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).ahead_ms(bytes, now);
        if ahead > 0 {
            self.cleaner.pause(Duration::from_millis(ahead));
        }
        !self.cleaner.is_stopped()
    }
}

/// Keeps a cleaning below `log.cleaner.io.max.bytes.per.second`, which all threads share.
struct Pacer {
    bytes_per_second: f64,
    start: Monotonic,
    bytes: u64,
}

impl Pacer {
    fn new(settings: &CleanerSettings, threads: usize, now: Monotonic) -> Self {
        let bytes_per_second = settings.io_max_bytes_per_second.max(1.0) / threads as f64;
        Pacer { bytes_per_second, start: now, bytes: 0 }
    }

    /// How many milliseconds too early these bytes are done.
    fn ahead_ms(&mut self, bytes: u64, now: Monotonic) -> u64 {
        self.bytes += bytes;
        let due_ms = self.bytes as f64 / self.bytes_per_second * 1000.0;
        (due_ms as u64).saturating_sub(now.ms_since(self.start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claimed_partition_is_free_again_when_the_claim_is_gone() {
        let cleaner = Cleaner::default();
        let (one, other) = (TopicPartition::new("a", 0), TopicPartition::new("a", 1));
        let claim = cleaner.claim(&one).unwrap();
        assert!(cleaner.claim(&one).is_none());
        assert!(cleaner.claim(&other).is_some());
        drop(claim);
        assert!(cleaner.claim(&one).is_some());
    }

    #[test]
    fn the_pace_is_what_all_threads_share() {
        let mut pacer = Pacer { bytes_per_second: 1000.0, start: Monotonic(500), bytes: 0 };
        assert_eq!(pacer.ahead_ms(2000, Monotonic(500)), 2000);
        assert_eq!(pacer.ahead_ms(1000, Monotonic(3000)), 500);
        assert_eq!(pacer.ahead_ms(0, Monotonic(4000)), 0);
        let mut free = Pacer { bytes_per_second: f64::MAX, start: Monotonic(0), bytes: 0 };
        assert_eq!(free.ahead_ms(u64::MAX / 2, Monotonic(0)), 0);
    }
}
