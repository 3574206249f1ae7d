//! What of one batch stays. Pure: the batch, the map of newest offsets and a few facts go in, what to write comes out.
//!
//! | batch | stays |
//! |---|---|
//! | records | the newest of each key below the end of the map, everything behind it; nothing of an aborted transaction |
//! | record without a key | not: there is nothing to know it by, and Kafka drops it too |
//! | tombstone | until the delete horizon of its batch, which is set when it is first cleaned (KIP-534, I81) |
//! | transaction marker | until nothing of its transaction is left, and then until the delete horizon |
//! | a producer's remembered batch | its header, so that sequences survive the loss of the snapshot (lesson 2, I84) |
//! | a producer's last marker | whole: it tells its epoch |
//! | the last batch of a new segment | an empty one in its place, so that the segment ends where its sources did |
//!
//! What stays keeps offset, timestamp, headers and order (I80). A batch of which everything stays is copied byte for byte.

use std::collections::{HashMap, HashSet};

use super::key_map::KeyMap;
use super::transactions::Ended;
use crate::record::{Builder, Corrupt, DecompressLimits, Header, OpenBatch, Record, ValidBatch, open};
use crate::types::{Offset, ProducerEpoch, ProducerId, Timestamp};
use crate::zoo::bug;

/// Batches that producers are remembered by. Compaction keeps at least their headers.
#[derive(Clone, Debug, Default)]
pub struct Remembered {
    /// Producer and last offset of each batch whose sequences are remembered.
    pub batches: HashSet<(ProducerId, Offset)>,
    /// Producers of which no batch is remembered, only that a marker ended something: in which epoch and, if known, where.
    pub markers: HashMap<ProducerId, (ProducerEpoch, Option<Offset>)>,
}

impl Remembered {
    fn has_batch(&self, header: &Header) -> bool {
        header.has_producer() && self.batches.contains(&(header.producer_id, header.last_offset()))
    }

    fn has_marker(&self, header: &Header) -> bool {
        let marker = self.markers.get(&header.producer_id).filter(|_| header.has_producer());
        marker.is_some_and(|(epoch, offset)| {
            *epoch == header.producer_epoch && offset.is_none_or(|offset| offset == header.last_offset())
        })
    }
}

/// One cleaning, as far as a single batch depends on it.
pub struct Filter<'a> {
    pub newest: &'a KeyMap,
    /// Where the part ends that the map knows all keys of.
    pub end: Offset,
    pub remembered: &'a Remembered,
    pub now: Timestamp,
    pub delete_retention_ms: u64,
    pub limits: DecompressLimits,
}

/// What a batch is, as far as transactions know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Records { aborted: bool },
    Control(Ended),
}

/// What to write in the place of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The very bytes.
    Whole,
    /// Fewer records, or a delete horizon.
    Rewritten(ValidBatch),
    /// No record is left, but its header is worth keeping.
    HeaderOnly,
    Gone,
}

impl Filter<'_> {
    /// A batch that cannot be opened stays as it is: nothing is lost by that, and no key can be read.
    pub fn judge(&self, header: &Header, batch: &[u8], kind: Kind) -> Result<Outcome, Corrupt> {
        if header.count == 0 {
            return Ok(if self.remembered.has_batch(header) { Outcome::Whole } else { Outcome::Gone });
        }
        match kind {
            Kind::Control(ended) => self.judge_control(header, batch, ended),
            Kind::Records { aborted: true } => Ok(self.without_records(header)),
            // Nothing in it was cleaned.
            Kind::Records { aborted: false } if header.base_offset >= self.end => Ok(Outcome::Whole),
            Kind::Records { aborted: false } => self.judge_records(header, batch),
        }
    }

    /// When something in a batch that stays may go, if that is still to come.
    pub fn horizon_ahead(&self, header: &Header) -> Option<Timestamp> {
        header.delete_horizon().filter(|horizon| *horizon > self.now)
    }

    fn judge_control(&self, header: &Header, batch: &[u8], ended: Ended) -> Result<Outcome, Corrupt> {
        if bug(20) {
            return self.judge_records(header, batch);
        }
        let is_marker = header.has_producer();
        if !is_marker || !ended.is_empty || self.remembered.has_marker(header) {
            return Ok(Outcome::Whole);
        }
        match header.delete_horizon() {
            Some(horizon) if horizon <= self.now => Ok(Outcome::Gone),
            Some(_) => Ok(Outcome::Whole),
            None => {
                let open = open(batch, &self.limits)?;
                let records: Vec<Record<'_>> = open.records().collect::<Result<_, _>>()?;
                Ok(Outcome::Rewritten(rewrite(header, &records, Some(self.horizon()))))
            }
        }
    }

    fn judge_records(&self, header: &Header, batch: &[u8]) -> Result<Outcome, Corrupt> {
        let open: OpenBatch<'_> = open(batch, &self.limits)?;
        let mut kept = Vec::new();
        let mut count = 0;
        let mut has_tombstone = false;
        for record in open.records() {
            let record = record?;
            count += 1;
            if self.keeps(header, &record) {
                has_tombstone |= record.value.is_none();
                kept.push(record);
            }
        }
        if kept.is_empty() {
            return Ok(self.without_records(header));
        }
        // A batch that reaches behind the map holds tombstones that were not cleaned yet; its horizon waits for the next pass.
        let sets_horizon = has_tombstone && !header.has_delete_horizon() && header.last_offset() < self.end;
        if kept.len() == count && !sets_horizon {
            return Ok(Outcome::Whole);
        }
        let horizon = if sets_horizon { Some(self.horizon()) } else { header.delete_horizon() };
        Ok(Outcome::Rewritten(rewrite(header, &kept, horizon)))
    }

    fn without_records(&self, header: &Header) -> Outcome {
        if self.remembered.has_batch(header) { Outcome::HeaderOnly } else { Outcome::Gone }
    }

    fn keeps(&self, header: &Header, record: &Record<'_>) -> bool {
        if record.offset >= self.end {
            return true;
        }
        let Some(key) = record.key else { return false };
        let is_newest = self.newest.newest(key).is_none_or(|newest| record.offset >= newest);
        let is_past = header.delete_horizon().is_some_and(|horizon| horizon <= self.now);
        let is_due = record.value.is_none() && (is_past || bug(19));
        is_newest && !is_due
    }

    fn horizon(&self) -> Timestamp {
        self.now.plus_ms(i64::try_from(self.delete_retention_ms).unwrap_or(i64::MAX))
    }
}

/// The batch with these records only, at the offsets they have, over the same range of offsets.
fn rewrite(header: &Header, records: &[Record<'_>], horizon: Option<Timestamp>) -> ValidBatch {
    let mut builder = shell(header).compression(header.compression()).delete_horizon(horizon);
    for record in records {
        let headers: Vec<_> = record.headers.collect();
        builder.push_at(record.offset_delta, record.timestamp, record.key, record.value, &headers);
    }
    builder.last_offset_delta(header.last_offset_delta).build()
}

/// The batch without any record: what a producer's sequence is read from.
pub fn header_only(header: &Header) -> ValidBatch {
    shell(header).max_timestamp(header.max_timestamp).last_offset_delta(header.last_offset_delta).build()
}

/// A batch over the same offsets that says nothing: where a segment ends.
pub fn placeholder(header: &Header) -> ValidBatch {
    let builder = Builder::new().base_offset(header.base_offset).leader_epoch(header.leader_epoch);
    builder.max_timestamp(header.max_timestamp).last_offset_delta(header.last_offset_delta).build()
}

fn shell(header: &Header) -> Builder {
    let builder = Builder::new()
        .producer(header.producer_id, header.producer_epoch, header.base_sequence)
        .transactional(header.is_transactional())
        .control(header.is_control())
        .base_offset(header.base_offset)
        .leader_epoch(header.leader_epoch);
    if header.is_log_append_time() { builder.log_append_time(header.max_timestamp) } else { builder }
}
