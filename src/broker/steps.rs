//! The work of the broker's threads as single steps, for whoever runs a broker without threads: the simulation decides
//! when each step comes and what happens between two of them. The threads take the same steps.

use std::sync::Arc;

use crate::storage;
use crate::storage::log::FlushTicket;

use super::Broker;
pub use super::housekeeping::Rounds;
use super::partition::Partition;

/// A round of flushing that has begun: what is appended from here on belongs to the next one.
pub struct Begun(Vec<(Arc<Partition>, FlushTicket)>);

/// A round whose files have been flushed, or not, and whose partitions have not been told yet.
pub struct Flushed(Vec<(Arc<Partition>, FlushTicket, Result<(), storage::Error>)>);

impl Broker {
    /// Takes what is to be flushed; `None` where nothing is.
    pub fn begin_flush(&self) -> Option<Begun> {
        let dirty = self.flusher.take_dirty();
        let tickets: Vec<_> = dirty.into_iter().filter_map(|p| p.begin_flush().map(|ticket| (p, ticket))).collect();
        (!tickets.is_empty()).then_some(Begun(tickets))
    }

    pub fn flush(&self, begun: Begun) -> Flushed {
        Flushed(self.flusher.sync(begun.0).collect())
    }

    pub fn end_flush(&self, flushed: Flushed) {
        for (partition, ticket, result) in flushed.0 {
            partition.end_flush(ticket, result);
        }
    }

    /// Removes the files of what was deleted, and does what is due.
    pub fn housekeep(&self, rounds: &mut Rounds) {
        rounds.step(self, self.chores.take());
    }

    /// Cleans one log, if one is worth it.
    pub fn clean(&self) -> bool {
        self.cleaner.step(self, &self.partitions.cleaner_settings())
    }

    /// Checks one closed segment, if it is due.
    pub fn scrub(&self) -> bool {
        self.scrubber.step(self, &|_| true)
    }
}
