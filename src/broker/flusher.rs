//! Group commit: one thread flushes whatever became dirty while its last round ran (DESIGN: durable by default).
//!
//! ```text
//! append ─ append ─ append        append ─ append
//!    └────────┴────────┴─ round 1 ───┴────────┴─ round 2 ─ …
//! ```
//! A round takes the dirty partitions, asks each (under its lock) which files it must flush, flushes them without any lock,
//! and tells each how it went. Few files are flushed one by one, many by one call for the whole file system: 64 files took
//! 544 ms one by one and 34 ms together.
//!
//! The kernel tells a failed write of the file system once, to whoever asks next, and forgets it; of a file it tells everybody
//! who had it open. So once a call for all has failed, files are flushed one by one: a file that was not asked about in that
//! round may have lost its bytes in it, and only its own flush says so (I17).

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;

use crate::file::descriptors;
use crate::metrics::Metrics;
use crate::storage;
use crate::storage::disk::Disk;
use crate::storage::log::FlushTicket;
use crate::zoo::bug;

use super::partition::Partition;

/// From this many files on, one call for the file system is cheaper than one for each.
const MANY_FILES: usize = 5;

pub struct Flusher {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    metrics: Arc<Metrics>,
    /// What is dirty and not yet being flushed, and whether the thread may end.
    queue: Mutex<Queue>,
    wake: Condvar,
    /// A flush of the whole file system has failed.
    one_by_one: AtomicBool,
    /// A directory could not be opened; its partitions are in the queue again.
    wants_descriptors: AtomicBool,
    /// How many files may be open.
    most_files: usize,
    /// A round is over.
    ended: Notify,
}

/// How long to wait for files to be closed elsewhere.
const PAUSE: Duration = Duration::from_millis(50);

/// An error for one more of those it concerns.
fn again(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

#[derive(Default)]
struct Queue {
    dirty: Vec<Arc<Partition>>,
    stop: bool,
}

impl Flusher {
    pub fn new(disk: Arc<dyn Disk>, root: PathBuf, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Flusher {
            disk,
            root,
            metrics,
            queue: Mutex::default(),
            wake: Condvar::new(),
            one_by_one: AtomicBool::new(false),
            wants_descriptors: AtomicBool::new(false),
            most_files: descriptors::for_files(),
            ended: Notify::new(),
        })
    }

    /// Has the partition flushed in the next round. The caller makes sure that it is queued once (`Partition::queued`).
    pub fn submit(&self, partition: Arc<Partition>) {
        let mut queue = self.lock();
        queue.dirty.push(partition);
        drop(queue);
        self.wake.notify_one();
    }

    /// The thread's work: rounds until `stop`, and a last one after it.
    pub fn run(&self) {
        loop {
            let (dirty, stop) = self.next_round();
            self.round(&dirty);
            let waits = self.wants_descriptors.swap(false, Ordering::AcqRel);
            if stop && (dirty.is_empty() || waits) {
                return;
            }
            if waits {
                let queue = self.lock();
                drop(self.wake.wait_timeout(queue, PAUSE));
            }
        }
    }

    pub fn stop(&self) {
        self.lock().stop = true;
        self.wake.notify_one();
    }

    fn next_round(&self) -> (Vec<Arc<Partition>>, bool) {
        let mut queue = self.lock();
        while queue.dirty.is_empty() && !queue.stop {
            queue = self.wake.wait(queue).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
        (std::mem::take(&mut queue.dirty), queue.stop)
    }

    /// What is to be flushed now, without waiting for any.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn take_dirty(&self) -> Vec<Arc<Partition>> {
        std::mem::take(&mut self.lock().dirty)
    }

    /// Flushes these partitions and tells each.
    pub fn round(&self, dirty: &[Arc<Partition>]) {
        if dirty.is_empty() {
            return;
        }
        self.metrics.flushes.add(1);
        let tickets: Vec<_> = dirty.iter().filter_map(|p| p.begin_flush().map(|ticket| (p, ticket))).collect();
        for (partition, ticket, result) in self.sync(tickets) {
            partition.end_flush(ticket, result);
        }
        if self.are_files_scarce() {
            dirty.iter().for_each(|partition| partition.rest(true));
        }
        self.ended.notify_waiters();
    }

    /// Are more files open than may be?
    pub fn are_files_scarce(&self) -> bool {
        self.disk.open_files() > self.most_files
    }

    /// Until files have been closed again, or for a moment.
    pub async fn files_closed(&self) {
        let _ = tokio::time::timeout(PAUSE, self.ended.notified()).await;
    }

    /// Carries out what was begun; says of each how it went.
    pub(super) fn sync<P>(
        &self,
        tickets: Vec<(P, FlushTicket)>,
    ) -> impl Iterator<Item = (P, FlushTicket, Result<(), storage::Error>)> {
        let file_count: usize = tickets.iter().map(|(_, ticket)| ticket.files.len()).sum();
        self.metrics.flushed_files.add(file_count as u64);
        let is_together = file_count >= MANY_FILES && !bug(2) && !bug(3) && !self.one_by_one.load(Ordering::Acquire);
        let together = is_together.then(|| self.disk.sync_all_under(&self.root));
        if let Some(Err(error)) = &together
            && !storage::Error::flush(&self.root, again(error)).is_want_of_descriptors()
        {
            let root = self.root.display();
            tracing::error!(%root, %error, "flushing the file system failed: what it was to flush is offline, and from here on every file is flushed by itself");
            self.one_by_one.store(true, Ordering::Release);
        }
        tickets.into_iter().map(move |(partition, ticket)| {
            let result = match &together {
                Some(Ok(())) => Ok(()),
                Some(Err(error)) => Err(storage::Error::flush(&self.root, again(error))),
                None => ticket.sync(&*self.disk),
            };
            let result = if bug(4) { Ok(()) } else { result };
            match &result {
                Err(error) if error.is_want_of_descriptors() => self.wants_descriptors.store(true, Ordering::Release),
                Err(_) => self.metrics.flush_failures.add(1),
                Ok(()) => {}
            }
            (partition, ticket, result)
        })
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
