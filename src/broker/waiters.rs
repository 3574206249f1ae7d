//! Wakes parked requests when a partition of theirs moves.
//!
//! A [`Waiter`] is one parked request with a number of things still missing: partitions to be committed (Produce with
//! acks=all) or bytes to be there (Fetch). It is registered with each partition *before* the log is read (lesson 18), and
//! each partition takes away what has come after its high watermark moved. A partition nobody waits for pays one load.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;

use crate::types::Offset;

use super::partition::Partition;

/// One parked request.
#[derive(Debug)]
pub struct Waiter {
    missing: AtomicI64,
    notify: Notify,
}

impl Waiter {
    pub fn new(missing: i64) -> Arc<Self> {
        Arc::new(Waiter { missing: AtomicI64::new(missing), notify: Notify::new() })
    }

    /// Counts `n` of the missing things as there; wakes the request with the last of them.
    pub fn arrived(&self, n: i64) {
        if self.missing.fetch_sub(n, Ordering::AcqRel) - n <= 0 {
            self.notify.notify_one();
        }
    }

    /// Says anew how much is missing, after a look at what is there.
    pub fn expect(&self, missing: i64) {
        self.missing.store(missing, Ordering::Release);
    }

    /// Until nothing is missing. May return early; who calls looks again.
    pub async fn wait(&self) {
        if self.missing.load(Ordering::Acquire) > 0 {
            self.notify.notified().await;
        }
    }
}

/// Until each partition is committed up to its offset, or cannot be, or the time is up.
pub async fn wait_for_commit(partitions: &[(Arc<Partition>, Offset)], longest: Duration) {
    let waiter = Waiter::new(partitions.len() as i64);
    for (partition, end) in partitions {
        partition.await_commit(*end, &waiter);
    }
    if tokio::time::timeout(longest, waiter.wait()).await.is_err() {
        partitions.iter().for_each(|(partition, _)| partition.leave(&waiter));
    }
}

enum Entry {
    /// Wants the high watermark to reach `end`; leaves the list then.
    Commit { end: Offset, waiter: Arc<Waiter> },
    /// Wants bytes; stays until it is taken off.
    Data { waiter: Arc<Waiter> },
}

/// The requests parked at one partition.
#[derive(Default)]
pub struct Waiters {
    count: AtomicUsize,
    list: Mutex<Vec<Entry>>,
}

impl Waiters {
    pub fn await_commit(&self, end: Offset, waiter: Arc<Waiter>) {
        self.change(|list| list.push(Entry::Commit { end, waiter }));
    }

    pub fn await_data(&self, waiter: Arc<Waiter>) {
        self.change(|list| list.push(Entry::Data { waiter }));
    }

    /// Takes a request off the list, answered or given up.
    pub fn leave(&self, waiter: &Arc<Waiter>) {
        self.change(|list| {
            list.retain(|entry| match entry {
                Entry::Commit { waiter: other, .. } | Entry::Data { waiter: other } => !Arc::ptr_eq(other, waiter),
            });
        });
    }

    /// The high watermark is now `high_watermark`, `bytes` further than before. Called after it was published.
    pub fn moved(&self, high_watermark: Offset, bytes: u64) {
        if self.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        self.change(|list| {
            list.retain(|entry| match entry {
                Entry::Commit { end, waiter } if *end <= high_watermark => {
                    waiter.arrived(1);
                    false
                }
                Entry::Commit { .. } => true,
                Entry::Data { waiter } => {
                    waiter.arrived(i64::try_from(bytes).unwrap_or(i64::MAX));
                    true
                }
            });
        });
    }

    /// The partition will not move again (flush failed, deleted): everybody looks for themselves.
    pub fn wake_all(&self) {
        self.change(|list| {
            for entry in list.drain(..) {
                match entry {
                    Entry::Commit { waiter, .. } => waiter.arrived(1),
                    Entry::Data { waiter } => waiter.arrived(i64::from(i32::MAX)),
                }
            }
        });
    }

    fn change(&self, edit: impl FnOnce(&mut Vec<Entry>)) {
        let mut list = self.list.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        edit(&mut list);
        if list.is_empty() && list.capacity() > 16 {
            *list = Vec::new();
        }
        self.count.store(list.len(), Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_commit_of_every_partition_wakes_once() {
        let (a, b) = (Waiters::default(), Waiters::default());
        let waiter = Waiter::new(2);
        a.await_commit(Offset(5), waiter.clone());
        b.await_commit(Offset(3), waiter.clone());
        a.moved(Offset(4), 10);
        b.moved(Offset(9), 10);
        assert_eq!(waiter.missing.load(Ordering::SeqCst), 1);
        a.moved(Offset(5), 10);
        waiter.wait().await;
    }

    /// Lesson 18: bytes that trickle in wake the fetch only when its minimum is there.
    #[tokio::test]
    async fn lesson_18_bytes_add_up() {
        let waiters = Waiters::default();
        let waiter = Waiter::new(100);
        waiters.await_data(waiter.clone());
        waiters.moved(Offset(1), 60);
        assert_eq!(waiter.missing.load(Ordering::SeqCst), 40);
        waiters.moved(Offset(2), 60);
        waiter.wait().await;
        waiters.leave(&waiter);
        assert_eq!(waiters.count.load(Ordering::SeqCst), 0);
    }
}
