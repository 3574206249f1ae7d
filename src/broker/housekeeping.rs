//! Work on a timer, each by asking the room that knows: checkpoints, retention, expiry of producers, removal of files.
//! One thread, because all of it may block on the disk.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::config::Durability;
use crate::file::descriptors;
use crate::types::{Monotonic, TopicPartition};

use super::Broker;

/// A partition that was not used for so long closes its files: ten thousand of them would otherwise hold more descriptors
/// than a process may have.
const REST_MS: u64 = 30_000;

/// Of what a start after a crash may read again, the headers of such a part may be those of one partition whose records are
/// flushed.
const PROGRESS_PARTS: u64 = 8;

/// How often the thread looks whether something is due.
const STEP: Duration = Duration::from_millis(500);

/// Partitions whose files are to go, and whether the thread may end.
#[derive(Default)]
pub struct Chores {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    removals: Vec<TopicPartition>,
    stop: bool,
}

impl Chores {
    pub fn remove(&self, partitions: Vec<TopicPartition>) {
        if partitions.is_empty() {
            return;
        }
        self.lock().removals.extend(partitions);
        self.wake.notify_one();
    }

    pub fn stop(&self) {
        self.lock().stop = true;
        self.wake.notify_one();
    }

    /// What to remove now; `None` once the thread may end.
    fn next(&self) -> Option<Vec<TopicPartition>> {
        let mut state = self.lock();
        if state.removals.is_empty() && !state.stop {
            state = self.wake.wait_timeout(state, STEP).unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        }
        let removals = std::mem::take(&mut state.removals);
        (!state.stop || !removals.is_empty()).then_some(removals)
    }

    /// What to remove now, without waiting for any.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn take(&self) -> Vec<TopicPartition> {
        std::mem::take(&mut self.lock().removals)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Something done every so often.
struct Every {
    interval_ms: u64,
    due: Monotonic,
}

impl Every {
    fn new(interval_ms: u64, now: Monotonic) -> Self {
        Every { interval_ms, due: now.plus_ms(interval_ms) }
    }

    fn is_due(&mut self, now: Monotonic) -> bool {
        if now < self.due {
            return false;
        }
        self.due = now.plus_ms(self.interval_ms);
        true
    }
}

/// What is done every so often, and when next.
pub struct Rounds {
    checkpoint: Every,
    flush: Every,
    retention: Every,
    producers: Every,
    snapshot: Every,
    rest: Every,
    /// Bytes that had been appended when it was last written down how far logs are flushed.
    covered_bytes: u64,
}

impl Rounds {
    pub fn new(broker: &Broker) -> Self {
        let settings = &broker.settings;
        let start = broker.clock.now().mono;
        Rounds {
            checkpoint: Every::new(settings.storage.flush_offset_checkpoint_interval_ms, start),
            flush: Every::new(settings.storage.flush_scheduler_interval_ms, start),
            retention: Every::new(settings.storage.retention_check_interval_ms, start),
            producers: Every::new(settings.transactions.producer_id_check_interval_ms, start),
            snapshot: Every::new(1_000, start),
            rest: Every::new(REST_MS, start),
            covered_bytes: broker.metrics.bytes_in.get(),
        }
    }

    /// Removes the files of these partitions, then does what is due.
    pub(super) fn step(&mut self, broker: &Broker, removals: Vec<TopicPartition>) {
        for partition in removals {
            if let Err(error) = broker.log_dir.remove_partition(&partition) {
                tracing::error!(%partition, %error, "cannot remove the files of a deleted partition");
            }
        }
        let now = broker.clock.now();
        let appended = broker.metrics.bytes_in.get();
        let is_much = appended - self.covered_bytes >= broker.settings.storage.recovery_max_bytes;
        if self.checkpoint.is_due(now.mono) || is_much {
            self.covered_bytes = appended;
            broker.checkpoint();
            let worth = broker.settings.storage.recovery_max_bytes / PROGRESS_PARTS;
            broker.partitions.all().iter().for_each(|partition| partition.note_progress(worth));
        }
        if is_much && broker.settings.storage.durability == Durability::PageCache {
            // Once that is done it is the next checkpoint's.
            broker.partitions.all().iter().for_each(|partition| partition.flush_rest());
        }
        // With every acknowledgement flushed nothing waits for it.
        if broker.settings.storage.durability == Durability::PageCache && self.flush.is_due(now.mono) {
            broker.partitions.all().iter().for_each(|partition| partition.flush_if_old(now));
        }
        if self.retention.is_due(now.mono) {
            broker.apply_retention();
        }
        if self.producers.is_due(now.mono) {
            let expiration_ms = broker.settings.transactions.producer_id_expiration_ms;
            for partition in broker.partitions.all() {
                partition.tend(|log| log.expire_producers(now, expiration_ms));
            }
        }
        if self.snapshot.is_due(now.mono) {
            broker.snapshot_metadata();
        }
        let scarce = broker.disk.open_files() > descriptors::for_files() / 2;
        if self.rest.is_due(now.mono) || scarce {
            // Whoever needs one opens it again; without this, the next file could not be opened at all.
            broker.partitions.all().iter().for_each(|partition| partition.rest(scarce));
        }
    }
}

/// The thread's work, until it is told to stop.
pub fn run(broker: &Arc<Broker>) {
    let mut rounds = Rounds::new(broker);
    while let Some(removals) = broker.chores.next() {
        rounds.step(broker, removals);
    }
}
