//! Transactions as a cleaning meets them, batch by batch in the order of the log.
//!
//! Which records are of an aborted transaction is known beforehand, from the transaction indexes: a batch of the producer
//! between the transaction's first offset and its marker. Whether a marker may go is found on the way: only when nothing of
//! its transaction was met, not even a header kept for a producer's sake (I83). The set of transactions met is carried on
//! from segment to segment, and must be, or a marker would go while records lie in the segment before it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::super::txn_index::AbortedEntry;
use crate::record::Header;
use crate::types::{Offset, ProducerId};

#[derive(Clone, Debug, Default)]
pub struct Transactions {
    /// By producer, by first offset. A producer has one transaction at a time.
    aborted: Arc<HashMap<ProducerId, Vec<AbortedEntry>>>,
    /// Producers of which a transactional batch was met behind their last marker.
    met: HashSet<ProducerId>,
}

/// What is known of a marker when it is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Nothing of its transaction is left in the log.
    pub is_empty: bool,
    /// The transaction, if it was aborted and something of it was met: its index entry has to stay.
    pub aborted: Option<AbortedEntry>,
}

impl Transactions {
    pub fn new(aborted: impl IntoIterator<Item = AbortedEntry>) -> Self {
        let mut by_producer: HashMap<ProducerId, Vec<AbortedEntry>> = HashMap::new();
        for entry in aborted {
            by_producer.entry(entry.producer_id).or_default().push(entry);
        }
        for entries in by_producer.values_mut() {
            entries.sort_by_key(|entry| entry.first_offset);
        }
        Transactions { aborted: Arc::new(by_producer), met: HashSet::new() }
    }

    /// Meets a batch of records. True if they are of an aborted transaction.
    pub fn meet(&mut self, header: &Header) -> bool {
        if !header.is_transactional() || !header.has_producer() {
            return false;
        }
        self.met.insert(header.producer_id);
        let entry = self.entry_at(header.producer_id, header.base_offset);
        entry.is_some_and(|entry| header.last_offset() < entry.last_offset)
    }

    /// Meets a marker, which ends the transaction of its producer.
    pub fn end(&mut self, header: &Header) -> Ended {
        let is_empty = !self.met.remove(&header.producer_id);
        let entry = self.entry_at(header.producer_id, header.base_offset);
        Ended { is_empty, aborted: entry.filter(|entry| !is_empty && entry.last_offset == header.last_offset()) }
    }

    /// The last aborted transaction of a producer that began at or before an offset.
    fn entry_at(&self, producer_id: ProducerId, offset: Offset) -> Option<AbortedEntry> {
        let entries = self.aborted.get(&producer_id)?;
        let behind = entries.partition_point(|entry| entry.first_offset <= offset);
        behind.checked_sub(1).map(|index| entries[index])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Builder;
    use crate::record::control::EndTransaction;
    use crate::types::{LeaderEpoch, ProducerEpoch, Sequence, Timestamp};

    fn entry(producer: i64, first: i64, last: i64) -> AbortedEntry {
        AbortedEntry {
            producer_id: ProducerId(producer),
            first_offset: Offset(first),
            last_offset: Offset(last),
            last_stable_offset: Offset(last + 1),
        }
    }

    fn data(producer: i64, offset: i64) -> Header {
        let builder = Builder::new().producer(ProducerId(producer), ProducerEpoch(0), Sequence(0));
        let mut builder = builder.transactional(true).base_offset(Offset(offset));
        builder.push(Timestamp(1), Some(b"k"), Some(b"v"), &[]);
        *builder.build().header()
    }

    fn marker(producer: i64, offset: i64, commit: bool) -> Header {
        let marker = EndTransaction { commit, coordinator_epoch: 0 };
        let mut batch = marker.batch(ProducerId(producer), ProducerEpoch(0), Timestamp(1));
        batch.assign(Offset(offset), LeaderEpoch(0));
        *batch.header()
    }

    #[test]
    fn i83_only_batches_between_first_offset_and_marker_are_aborted() {
        let mut transactions = Transactions::new([entry(1, 10, 15), entry(1, 20, 25), entry(2, 11, 30)]);
        assert!(!transactions.meet(&data(1, 9)));
        assert!(transactions.meet(&data(1, 10)));
        assert!(transactions.meet(&data(1, 14)));
        assert!(transactions.meet(&data(2, 14)));
        assert!(!transactions.meet(&data(1, 16)));
        assert!(transactions.meet(&data(1, 20)));
        assert!(!transactions.meet(&data(1, 26)));
        assert!(!transactions.meet(&data(3, 14)));
    }

    #[test]
    fn i83_a_marker_may_go_only_if_nothing_of_its_transaction_was_met() {
        let aborted = entry(1, 10, 15);
        let mut transactions = Transactions::new([aborted]);
        transactions.meet(&data(1, 12));
        assert_eq!(transactions.end(&marker(1, 15, false)), Ended { is_empty: false, aborted: Some(aborted) });
        // The same once its records are gone.
        assert_eq!(transactions.end(&marker(1, 15, false)), Ended { is_empty: true, aborted: None });
        transactions.meet(&data(1, 20));
        transactions.meet(&data(2, 21));
        assert_eq!(transactions.end(&marker(1, 25, true)), Ended { is_empty: false, aborted: None });
        assert_eq!(transactions.end(&marker(1, 26, true)), Ended { is_empty: true, aborted: None });
        assert_eq!(transactions.end(&marker(2, 27, true)), Ended { is_empty: false, aborted: None });
    }
}
