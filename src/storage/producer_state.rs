//! What a log knows about the producers that wrote to it: the last five batches of each (idempotence, I30-I37), open
//! transactions, and through them the last stable offset (I47).
//!
//! `check` refuses or accepts and changes nothing; `apply` records what was appended, never fails, and is also how the
//! state is made again from the log. So an append that fails on disk leaves no trace here.
//!
//! `<offset>.snapshot` holds the state of everything before that offset, big-endian, Kafka's version 1:
//!
//! | at | size | field |
//! |---|---|---|
//! | 0 | 2 | version, 1 |
//! | 2 | 4 | CRC-32C of everything from byte 6 on |
//! | 6 | 4 | number of entries |
//!
//! | in an entry | size | field |
//! |---|---|---|
//! | 0 | 8 | producer id |
//! | 8 | 2 | producer epoch |
//! | 10 | 4 | last sequence of a batch, -1 for none |
//! | 14 | 8 | last offset of that batch, -1 for none |
//! | 22 | 4 | its last offset less its first |
//! | 26 | 8 | its largest timestamp; in the last entry of a producer, that of its last batch or marker |
//! | 34 | 4 | coordinator epoch of the last marker, -1 for none |
//! | 38 | 8 | first offset of the open transaction, -1 for none |
//!
//! Kafka writes one entry for a producer, and so forgets four of its five batches at a restart. We write up to five, the
//! oldest first: Kafka reads them one over the other and keeps the last, and we keep all. A snapshot whose checksum does
//! not match is passed over; a crash may leave one empty or torn.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::compaction::Remembered;
use super::txn_index::AbortedEntry;
use crate::record::Header;
use crate::record::control::EndTransaction;
use crate::types::{ErrorCode, Monotonic, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};
use crate::zoo::bug;

/// How many batches of a producer are remembered: what clients may have in flight.
const REMEMBERED_BATCHES: usize = 5;

/// How many producers a log remembers (I37). Beyond it the ones silent for longest go, never one in a transaction.
const MAX_PRODUCERS: usize = 20_000;

const SNAPSHOT_VERSION: i16 = 1;
const SNAPSHOT_HEADER_LEN: usize = 10;
const SNAPSHOT_ENTRY_LEN: usize = 46;

/// Who appends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A producer: sequences are checked.
    Client,
    /// A coordinator: markers, and offsets in a transaction; epochs are checked, there are no sequences.
    Coordinator,
    /// The broker's own metadata log: no producers.
    Raft,
}

/// One producer as DescribeProducers shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerSummary {
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub last_sequence: Sequence,
    pub last_timestamp: Timestamp,
    pub coordinator_epoch: i32,
    /// -1 without an open transaction.
    pub current_txn_start_offset: Offset,
}

/// A batch that is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RememberedBatch {
    pub last_sequence: Sequence,
    pub last_offset: Offset,
    pub offset_delta: i32,
    pub timestamp: Timestamp,
}

impl RememberedBatch {
    pub fn base_offset(&self) -> Offset {
        self.last_offset.plus(-i64::from(self.offset_delta))
    }

    fn base_sequence(&self) -> Sequence {
        Sequence((i64::from(self.last_sequence.0) - i64::from(self.offset_delta)).rem_euclid(1 << 31) as i32)
    }
}

#[derive(Clone, Debug)]
struct Producer {
    epoch: ProducerEpoch,
    /// At most five of this epoch, the oldest first.
    batches: VecDeque<RememberedBatch>,
    coordinator_epoch: i32,
    last_timestamp: Timestamp,
    txn_first_offset: Option<Offset>,
    /// When it last wrote, or when this process first heard of it. Not the time in its records, which may be of any year.
    seen: Monotonic,
    /// Where it last wrote: the order in which producers are given up when there are too many.
    last_offset: Offset,
}

/// A transaction that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CompletedTransaction {
    pub producer_id: ProducerId,
    pub first_offset: Offset,
    /// The offset of its marker.
    pub last_offset: Offset,
    pub aborted: bool,
    pub last_stable_offset: Offset,
}

impl CompletedTransaction {
    pub fn aborted_entry(&self) -> Option<AbortedEntry> {
        self.aborted.then_some(AbortedEntry {
            producer_id: self.producer_id,
            first_offset: self.first_offset,
            last_offset: self.last_offset,
            last_stable_offset: self.last_stable_offset,
        })
    }
}

/// What is to happen with a batch that was not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Append,
    /// It is in the log already.
    Duplicate(RememberedBatch),
}

pub(super) struct Producers {
    by_id: HashMap<ProducerId, Producer>,
    /// Open transactions by first offset.
    open: BTreeMap<Offset, ProducerId>,
    /// Transactions that have ended, first offset and marker's offset, oldest first, until the marker is committed: before
    /// that a power cut may take the decision back, so their records stay unstable.
    undecided: VecDeque<(Offset, Offset)>,
    limit: usize,
}

impl Default for Producers {
    fn default() -> Self {
        Producers { by_id: HashMap::new(), open: BTreeMap::new(), undecided: VecDeque::new(), limit: MAX_PRODUCERS }
    }
}

impl Producers {
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// May this batch be appended at `at`? `marker` is what a control batch holds. Order and codes are Kafka's: a duplicate
    /// first, then the epoch (I54), then the sequence, then the transaction.
    pub fn check(
        &self,
        header: &Header,
        marker: Option<EndTransaction>,
        origin: Origin,
        at: Offset,
        partition: &str,
    ) -> Result<Verdict, (ErrorCode, String)> {
        let id = header.producer_id;
        if !id.is_some() {
            return Ok(Verdict::Append);
        }
        let Some(producer) = self.by_id.get(&id) else { return Ok(Verdict::Append) };
        if origin == Origin::Client
            && let Some(batch) = producer.duplicate_of(header)
        {
            return Ok(Verdict::Duplicate(batch));
        }
        if header.producer_epoch < producer.epoch && !bug(9) {
            let message = format!(
                "Epoch of producer {id} at offset {at} in {partition} is {}, which is smaller than the last seen epoch {}",
                header.producer_epoch, producer.epoch
            );
            return Err((ErrorCode::InvalidProducerEpoch, message));
        }
        match marker {
            Some(marker) => producer.check_marker(id, marker, at, partition)?,
            None if header.is_control() => {}
            None => {
                if origin == Origin::Client {
                    producer.check_sequence(header, at, partition)?;
                }
                if producer.txn_first_offset.is_some() && !header.is_transactional() {
                    let message = format!(
                        "Expected transactional write from producer {id} at offset {at} in partition {partition}"
                    );
                    return Err((ErrorCode::InvalidTxnState, message));
                }
            }
        }
        Ok(Verdict::Append)
    }

    /// Records a batch that is in the log at the offsets of its header.
    pub fn apply(
        &mut self,
        header: &Header,
        marker: Option<EndTransaction>,
        now: Monotonic,
    ) -> Option<CompletedTransaction> {
        if !header.has_producer() || (header.is_control() && marker.is_none()) {
            return None;
        }
        let id = header.producer_id;
        if !self.by_id.contains_key(&id) {
            self.make_room();
        }
        let producer = self.by_id.entry(id).or_insert_with(|| Producer::new(header.producer_epoch));
        producer.seen = now;
        producer.last_offset = header.last_offset();
        producer.last_timestamp = header.max_timestamp;
        producer.enter_epoch(header.producer_epoch);
        let Some(marker) = marker else {
            producer.remember(header);
            if header.is_transactional() && producer.txn_first_offset.is_none() {
                producer.txn_first_offset = Some(header.base_offset);
                self.open.insert(header.base_offset, id);
            }
            return None;
        };
        producer.coordinator_epoch = marker.coordinator_epoch;
        // A marker with nothing open moves no last stable offset and is not worth an index entry.
        let first_offset = producer.txn_first_offset.take()?;
        self.open.remove(&first_offset);
        self.undecided.push_back((first_offset, header.last_offset()));
        Some(CompletedTransaction {
            producer_id: id,
            first_offset,
            last_offset: header.last_offset(),
            aborted: !marker.commit,
            last_stable_offset: self.first_open().unwrap_or(header.next_offset()),
        })
    }

    fn first_open(&self) -> Option<Offset> {
        self.open.first_key_value().map(|(offset, _)| *offset)
    }

    /// The first offset that `read_committed` must not show.
    pub fn last_stable_offset(&self, high_watermark: Offset) -> Offset {
        let open = self.first_open().unwrap_or(high_watermark);
        let undecided = self.undecided.iter().filter(|(_, marker)| *marker >= high_watermark).map(|(first, _)| *first);
        undecided.fold(open, Offset::min).min(high_watermark)
    }

    /// Forgets ended transactions whose marker is committed.
    pub fn committed_to(&mut self, high_watermark: Offset) {
        while self.undecided.front().is_some_and(|(_, marker)| *marker < high_watermark) {
            self.undecided.pop_front();
        }
    }

    /// Is a transaction of that producer and epoch open here?
    pub fn has_open_transaction(&self, id: ProducerId, epoch: ProducerEpoch) -> bool {
        self.by_id.get(&id).is_some_and(|producer| producer.epoch == epoch && producer.txn_first_offset.is_some())
    }

    /// The batches that the state would be made again from, were the snapshots lost (lesson 2).
    pub fn remembered(&self) -> Remembered {
        let mut remembered = Remembered::default();
        for (id, producer) in &self.by_id {
            remembered.batches.extend(producer.batches.iter().map(|batch| (*id, batch.last_offset)));
            if producer.batches.is_empty() {
                // After a reopen from a snapshot nobody knows any more where the marker lies.
                let offset = Some(producer.last_offset).filter(|offset| *offset >= Offset::ZERO);
                remembered.markers.insert(*id, (producer.epoch, offset));
            }
        }
        remembered
    }

    pub fn summaries(&self) -> Vec<ProducerSummary> {
        let mut all: Vec<ProducerSummary> = self.by_id.iter().map(|(id, producer)| producer.summary(*id)).collect();
        all.sort_unstable_by_key(|summary| summary.producer_id);
        all
    }

    /// Forgets who was silent for so long and has no open transaction (I34). How many that were.
    pub fn expire(&mut self, now: Monotonic, expiration_ms: u64) -> usize {
        let before = self.by_id.len();
        self.by_id
            .retain(|_, producer| producer.txn_first_offset.is_some() || now.ms_since(producer.seen) < expiration_ms);
        before - self.by_id.len()
    }

    /// Gives up a sixteenth of the remembered producers when there are too many: those that wrote longest ago.
    fn make_room(&mut self) {
        if self.by_id.len() < self.limit {
            return;
        }
        let idle = self.by_id.iter().filter(|(_, producer)| producer.txn_first_offset.is_none());
        let mut oldest: Vec<(Offset, ProducerId)> = idle.map(|(id, producer)| (producer.last_offset, *id)).collect();
        let count = (self.limit / 16).max(1).min(oldest.len());
        if count == 0 {
            return;
        }
        oldest.select_nth_unstable(count - 1);
        for (_, id) in &oldest[..count] {
            self.by_id.remove(id);
        }
    }

    /// The content of a snapshot file. `owner` stands behind the entries, inside the checksum, and says whose snapshot it is;
    /// Kafka reads the entries and no further.
    pub fn encode(&self, owner: u32) -> Vec<u8> {
        let mut ids: Vec<ProducerId> = self.by_id.keys().copied().collect();
        ids.sort_unstable();
        if bug(8) {
            ids.clear();
        }
        let mut entries = Vec::new();
        let mut count = 0i32;
        for id in ids {
            let producer = &self.by_id[&id];
            let none = RememberedBatch {
                last_sequence: Sequence::NONE,
                last_offset: Offset::NONE,
                offset_delta: 0,
                timestamp: producer.last_timestamp,
            };
            // The last entry tells when the producer was heard of last, which may be by a marker.
            let newest = producer.batches.back().copied().unwrap_or(none);
            let newest = RememberedBatch { timestamp: producer.last_timestamp, ..newest };
            for batch in producer.batches.iter().rev().skip(1).rev().chain([&newest]) {
                producer.encode(id, batch, &mut entries);
                count += 1;
            }
        }
        let mut body = count.to_be_bytes().to_vec();
        body.append(&mut entries);
        body.extend(owner.to_be_bytes());
        let mut content = SNAPSHOT_VERSION.to_be_bytes().to_vec();
        content.extend(crc32c::crc32c(&body).to_be_bytes());
        content.append(&mut body);
        content
    }

    /// The state in a snapshot file; `None` for anything that is not one, or that names another owner.
    pub fn decode(content: &[u8], owner: u32, now: Monotonic) -> Option<Producers> {
        let header: &[u8; SNAPSHOT_HEADER_LEN] = content.first_chunk()?;
        let [v0, v1, c0, c1, c2, c3, count @ ..] = *header;
        if i16::from_be_bytes([v0, v1]) != SNAPSHOT_VERSION
            || u32::from_be_bytes([c0, c1, c2, c3]) != crc32c::crc32c(&content[6..])
        {
            return None;
        }
        let (entries, rest) = content[SNAPSHOT_HEADER_LEN..].as_chunks::<SNAPSHOT_ENTRY_LEN>();
        let is_owned = rest.is_empty() || *rest == owner.to_be_bytes();
        if !is_owned || usize::try_from(i32::from_be_bytes(count)).ok()? != entries.len() {
            return None;
        }
        let mut producers = Producers::default();
        entries.iter().for_each(|entry| producers.decode_entry(entry, now));
        Some(producers)
    }

    fn decode_entry(&mut self, bytes: &[u8; SNAPSHOT_ENTRY_LEN], now: Monotonic) {
        let long = |at: usize| i64::from_be_bytes(*bytes[at..].first_chunk().expect("inside the entry"));
        let int = |at: usize| i32::from_be_bytes(*bytes[at..].first_chunk().expect("inside the entry"));
        let id = ProducerId(long(0));
        let epoch = ProducerEpoch(i16::from_be_bytes([bytes[8], bytes[9]]));
        let producer = self.by_id.entry(id).or_insert_with(|| Producer::new(epoch));
        producer.enter_epoch(epoch);
        producer.seen = now;
        producer.last_timestamp = Timestamp(long(26));
        producer.coordinator_epoch = int(34);
        let last_offset = Offset(long(14));
        if last_offset >= Offset::ZERO {
            producer.last_offset = last_offset;
            producer.push(RememberedBatch {
                last_sequence: Sequence(int(10)),
                last_offset,
                offset_delta: int(22),
                timestamp: Timestamp(long(26)),
            });
        }
        let first = Offset(long(38));
        producer.txn_first_offset = (first >= Offset::ZERO).then_some(first);
        if first >= Offset::ZERO {
            self.open.insert(first, id);
        }
    }
}

impl Producer {
    fn new(epoch: ProducerEpoch) -> Self {
        Producer {
            epoch,
            batches: VecDeque::new(),
            coordinator_epoch: -1,
            last_timestamp: Timestamp::NONE,
            txn_first_offset: None,
            seen: Monotonic::default(),
            last_offset: Offset::NONE,
        }
    }

    fn enter_epoch(&mut self, epoch: ProducerEpoch) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.batches.clear();
        }
    }

    fn remember(&mut self, header: &Header) {
        // Offsets in a transaction come from the group coordinator and carry no sequence: nothing to compare with.
        if header.base_sequence >= Sequence(0) {
            self.push(RememberedBatch {
                last_sequence: header.last_sequence(),
                last_offset: header.last_offset(),
                offset_delta: header.last_offset_delta,
                timestamp: header.max_timestamp,
            });
        }
    }

    fn push(&mut self, batch: RememberedBatch) {
        if self.batches.len() == if bug(7) { 1 } else { REMEMBERED_BATCHES } {
            self.batches.pop_front();
        }
        self.batches.push_back(batch);
    }

    fn duplicate_of(&self, header: &Header) -> Option<RememberedBatch> {
        let same = |batch: &&RememberedBatch| {
            batch.base_sequence() == header.base_sequence && batch.last_sequence == header.last_sequence()
        };
        let this_epoch = header.producer_epoch == self.epoch && !header.is_control();
        self.batches.iter().find(same).filter(|_| this_epoch).copied()
    }

    fn check_sequence(&self, header: &Header, at: Offset, partition: &str) -> Result<(), (ErrorCode, String)> {
        let (id, first) = (header.producer_id, header.base_sequence);
        if header.producer_epoch != self.epoch {
            // Nothing is known of the sequences of a producer without an epoch.
            if first == Sequence(0) || self.epoch == ProducerEpoch::NONE {
                return Ok(());
            }
            let message = format!(
                "Invalid sequence number for new epoch of producer {id} at offset {at} in partition {partition}: \
                 {} (request epoch), {first} (seq. number), {} (current producer epoch)",
                header.producer_epoch, self.epoch
            );
            return Err((ErrorCode::OutOfOrderSequenceNumber, message));
        }
        let last = self.batches.back().map_or(Sequence::NONE, |batch| batch.last_sequence);
        // 2147483647 is followed by 0, and so is -1, which stands for an epoch in which nothing was written yet.
        let next = if last == Sequence(i32::MAX) { Sequence(0) } else { Sequence(last.0 + 1) };
        if first == next {
            return Ok(());
        }
        let message = format!(
            "Out of order sequence number for producer {id} at offset {at} in partition {partition}: \
             {first} (incoming seq. number), {last} (current end sequence number)"
        );
        Err((ErrorCode::OutOfOrderSequenceNumber, message))
    }

    fn check_marker(
        &self,
        id: ProducerId,
        marker: EndTransaction,
        at: Offset,
        partition: &str,
    ) -> Result<(), (ErrorCode, String)> {
        if marker.coordinator_epoch >= self.coordinator_epoch {
            return Ok(());
        }
        let message = format!(
            "Invalid coordinator epoch for producer {id} at offset {at} in partition {partition}: \
             {} (zombie), {} (current)",
            marker.coordinator_epoch, self.coordinator_epoch
        );
        Err((ErrorCode::TransactionCoordinatorFenced, message))
    }

    fn encode(&self, id: ProducerId, batch: &RememberedBatch, out: &mut Vec<u8>) {
        out.extend(id.0.to_be_bytes());
        out.extend(self.epoch.0.to_be_bytes());
        out.extend(batch.last_sequence.0.to_be_bytes());
        out.extend(batch.last_offset.0.to_be_bytes());
        out.extend(batch.offset_delta.to_be_bytes());
        out.extend(batch.timestamp.0.to_be_bytes());
        out.extend(self.coordinator_epoch.to_be_bytes());
        out.extend(self.txn_first_offset.unwrap_or(Offset::NONE).0.to_be_bytes());
    }

    fn summary(&self, producer_id: ProducerId) -> ProducerSummary {
        ProducerSummary {
            producer_id,
            producer_epoch: self.epoch,
            last_sequence: self.batches.back().map_or(Sequence::NONE, |batch| batch.last_sequence),
            last_timestamp: self.last_timestamp,
            coordinator_epoch: self.coordinator_epoch,
            current_txn_start_offset: self.txn_first_offset.unwrap_or(Offset::NONE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Builder;

    fn header(id: i64, offset: i64, transactional: bool) -> Header {
        let builder =
            Builder::new().producer(ProducerId(id), ProducerEpoch(0), Sequence(0)).transactional(transactional);
        let mut builder = builder.base_offset(Offset(offset));
        builder.push(Timestamp(5), None, None, &[]);
        *builder.build().header()
    }

    #[test]
    fn i37_remembered_producers_are_bounded_and_none_goes_during_its_transaction() {
        let mut producers = Producers { limit: 32, ..Producers::default() };
        for id in 0..1_000 {
            producers.apply(&header(id, id, id < 5), None, Monotonic(0));
            assert!(producers.len() <= 32);
        }
        let left: Vec<i64> = producers.summaries().iter().map(|summary| summary.producer_id.0).collect();
        assert_eq!(left[..5], [0, 1, 2, 3, 4], "open transactions stay");
        assert!(left[5..].iter().all(|id| *id > 960), "of the others, those that wrote last: {left:?}");
    }

    #[test]
    fn i37_open_transactions_alone_may_exceed_the_bound() {
        let mut producers = Producers { limit: 8, ..Producers::default() };
        for id in 0..20 {
            producers.apply(&header(id, id, true), None, Monotonic(0));
        }
        assert_eq!((producers.len(), producers.last_stable_offset(Offset(20))), (20, Offset(0)));
    }

    #[test]
    fn i33_a_snapshot_reads_back_whole_or_not_at_all() {
        let mut producers = Producers::default();
        for round in 0..7 {
            for id in 0..3 {
                let mut header = header(id, round * 3 + id, id == 2);
                header.base_sequence = Sequence(round as i32);
                producers.apply(&header, None, Monotonic(0));
            }
        }
        let content = producers.encode(7);
        let again = Producers::decode(&content, 7, Monotonic(0)).unwrap();
        assert_eq!((again.summaries(), again.encode(7)), (producers.summaries(), content.clone()));
        assert!(Producers::decode(&content, 8, Monotonic(0)).is_none(), "another log's");
        let mut kafkas = content[..content.len() - 4].to_vec();
        let crc = crc32c::crc32c(&kafkas[6..]);
        kafkas[2..6].copy_from_slice(&crc.to_be_bytes());
        assert!(Producers::decode(&kafkas, 8, Monotonic(0)).is_some(), "Kafka names no owner");
        assert_eq!(again.by_id[&ProducerId(0)].batches.len(), 5, "all five batches of each");
        for cut in 0..content.len() {
            assert!(Producers::decode(&content[..cut], 7, Monotonic(0)).is_none(), "cut at {cut}");
        }
        for at in 0..content.len() {
            let mut damaged = content.clone();
            damaged[at] ^= 0x10;
            assert!(Producers::decode(&damaged, 7, Monotonic(0)).is_none(), "flipped at {at}");
        }
    }
}
