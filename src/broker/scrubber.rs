//! Reads everything that is stored once in `milena.scrub.interval.ms`, slowly, and says what does not read back (I26).
//!
//! One thread, one closed segment at a time, never faster than `milena.scrub.bytes.per.second`. What to look at in a
//! segment is storage's to say; here is who, when and how fast.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use crate::storage::scrub::{self, Checked, ClosedSegment, Damage};
use crate::types::{Monotonic, Offset};

use super::Broker;
use super::partition::Partition;

/// How often the thread looks whether a pass is due.
const LOOK: Duration = Duration::from_secs(1);

#[derive(Default)]
pub struct Scrubber {
    state: Mutex<State>,
    wake: Condvar,
    stopped: AtomicBool,
}

#[derive(Default)]
struct State {
    /// The partitions that this pass has still to look at; the first one from that offset on.
    left: VecDeque<Arc<Partition>>,
    from: Offset,
    /// When the next pass begins, once it is known.
    next_pass: Option<Monotonic>,
    in_pass: bool,
}

impl Scrubber {
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        // The lock keeps this from falling between a waiter's look at the flag and its wait.
        drop(self.lock());
        self.wake.notify_all();
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// The thread's work, until `stop`.
    pub fn run(&self, broker: &Broker) {
        let bytes_per_second = broker.settings.storage.scrub.bytes_per_second.max(1);
        let pace = |bytes: u64| {
            self.pause(Duration::from_millis(bytes.saturating_mul(1000) / bytes_per_second));
            !self.is_stopped()
        };
        while !self.is_stopped() {
            if !self.step(broker, &pace) {
                let interval = Duration::from_millis(broker.settings.storage.scrub.interval_ms);
                self.pause(LOOK.min(interval));
            }
        }
    }

    fn pause(&self, time: Duration) {
        let state = self.lock();
        if !self.is_stopped() {
            drop(self.wake.wait_timeout(state, time));
        }
    }

    /// Checks one segment; false where none is due.
    pub(super) fn step(&self, broker: &Broker, pace: &(dyn Fn(u64) -> bool + Sync)) -> bool {
        let Some((partition, segment)) = self.next(broker) else { return false };
        match scrub::check(&*broker.disk, &segment, pace) {
            Ok(Checked::Whole(damages)) => {
                broker.metrics.scrubbed_bytes.add(segment.size_bytes);
                damages.iter().for_each(|damage| report(broker, &partition, &segment, damage));
            }
            Ok(Checked::Ended | Checked::Gone) => {}
            Err(error) => {
                broker.metrics.scrub_read_errors.add(1);
                tracing::error!(partition = %partition.name, %error, "cannot check a segment");
            }
        }
        true
    }

    fn next(&self, broker: &Broker) -> Option<(Arc<Partition>, ClosedSegment)> {
        let now = broker.clock.now().mono;
        let mut state = self.lock();
        state.begin_pass(broker, now);
        while let Some(partition) = state.left.front().cloned() {
            let segment = partition.tend(|log| log.closed_segment_from(state.from)).flatten();
            if let Some(segment) = segment {
                state.from = segment.base_offset.next();
                return Some((partition, segment));
            }
            state.left.pop_front();
            state.from = Offset::ZERO;
        }
        if std::mem::take(&mut state.in_pass) {
            broker.metrics.scrub_passes.add(1);
        }
        None
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl State {
    fn begin_pass(&mut self, broker: &Broker, now: Monotonic) {
        let interval_ms = broker.settings.storage.scrub.interval_ms;
        let first_ms = broker.settings.storage.initial_task_delay_ms.min(interval_ms);
        let due = *self.next_pass.get_or_insert_with(|| now.plus_ms(first_ms));
        if self.in_pass || now < due {
            return;
        }
        self.in_pass = true;
        self.next_pass = Some(now.plus_ms(interval_ms));
        let mut all = broker.every_partition();
        // A stated order: a simulation must come to the same again.
        all.sort_by(|one, other| one.name.cmp(&other.name));
        self.left = all.into();
    }
}

fn report(broker: &Broker, partition: &Partition, segment: &ClosedSegment, damage: &Damage) {
    match partition.tend(|log| log.note_damage(segment, damage)) {
        Some(Ok(true)) => {
            broker.metrics.damaged_batches.add(1);
            tracing::error!(
                partition = %partition.name,
                file = %segment.path.display(),
                position = damage.position,
                offset = %damage.offsets.start,
                until = %damage.offsets.end,
                reason = damage.reason,
                "stored records are damaged; fetches of them are answered with CORRUPT_MESSAGE, all others go on"
            );
        }
        Some(Err(error)) => tracing::error!(partition = %partition.name, %error, "cannot confirm a damage"),
        // It is known, or the segment has been removed or replaced.
        Some(Ok(false)) | None => {}
    }
}
