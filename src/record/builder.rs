//! Makes batches: what the broker itself writes (offsets, group and transaction records, markers, metadata) and what
//! compaction and re-compression write anew.
//!
//! Offsets inside a batch count from 0 unless [`Builder::push_at`] says otherwise. Timestamps are kept as deltas from the
//! first record's, or from the delete horizon if there is one.

use super::compression::compress;
use super::header::{ATTRIBUTE_CONTROL, ATTRIBUTE_DELETE_HORIZON, ATTRIBUTE_LOG_APPEND_TIME, ATTRIBUTE_TRANSACTIONAL};
use super::varint::{len_i32, write_i32, write_i64};
use super::{Compression, Header, ValidBatch};
use crate::types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};

/// A record's header as it is handed in: key, value.
pub type HeaderRef<'a> = (&'a [u8], Option<&'a [u8]>);

/// A batch in the making.
#[derive(Clone, Debug)]
pub struct Builder {
    compression: Compression,
    attributes: i16,
    base_offset: Offset,
    leader_epoch: LeaderEpoch,
    producer: (ProducerId, ProducerEpoch, Sequence),
    delete_horizon: Option<Timestamp>,
    last_offset_delta: i32,
    base_timestamp: Option<Timestamp>,
    max_timestamp: Timestamp,
    count: i32,
    records: Vec<u8>,
    body: Vec<u8>,
}

impl Default for Builder {
    fn default() -> Self {
        Builder::new()
    }
}

impl Builder {
    pub fn new() -> Self {
        Builder {
            compression: Compression::None,
            attributes: 0,
            base_offset: Offset::ZERO,
            leader_epoch: LeaderEpoch::NONE,
            producer: (ProducerId::NONE, ProducerEpoch::NONE, Sequence::NONE),
            delete_horizon: None,
            last_offset_delta: -1,
            base_timestamp: None,
            max_timestamp: Timestamp::NONE,
            count: 0,
            records: Vec::new(),
            body: Vec::new(),
        }
    }

    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    pub fn producer(mut self, id: ProducerId, epoch: ProducerEpoch, base_sequence: Sequence) -> Self {
        self.producer = (id, epoch, base_sequence);
        self
    }

    pub fn transactional(self, transactional: bool) -> Self {
        self.attribute(ATTRIBUTE_TRANSACTIONAL, transactional)
    }

    pub fn control(self, control: bool) -> Self {
        self.attribute(ATTRIBUTE_CONTROL, control)
    }

    /// Sets the delete horizon (KIP-534); call it before the first record.
    pub fn delete_horizon(mut self, horizon: Option<Timestamp>) -> Self {
        assert_eq!(self.count, 0, "deltas of earlier records count from another base");
        self.delete_horizon = horizon;
        self.base_timestamp = horizon;
        self.attribute(ATTRIBUTE_DELETE_HORIZON, horizon.is_some())
    }

    pub fn base_offset(mut self, offset: Offset) -> Self {
        self.base_offset = offset;
        self
    }

    pub fn leader_epoch(mut self, epoch: LeaderEpoch) -> Self {
        self.leader_epoch = epoch;
        self
    }

    /// Stamps the whole batch with the time of its append: every record reads back with this timestamp.
    pub fn log_append_time(mut self, timestamp: Timestamp) -> Self {
        self.max_timestamp = timestamp;
        self.attribute(ATTRIBUTE_LOG_APPEND_TIME, true)
    }

    /// What the header says where no record says more: the max timestamp of a batch that compaction emptied.
    pub fn max_timestamp(mut self, timestamp: Timestamp) -> Self {
        self.max_timestamp = timestamp;
        self
    }

    /// Appends a record behind the last one.
    pub fn push(&mut self, timestamp: Timestamp, key: Option<&[u8]>, value: Option<&[u8]>, headers: &[HeaderRef<'_>]) {
        self.push_at(self.last_offset_delta + 1, timestamp, key, value, headers);
    }

    /// Appends a record at `base offset + offset_delta`; deltas only grow.
    pub fn push_at(
        &mut self,
        offset_delta: i32,
        timestamp: Timestamp,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[HeaderRef<'_>],
    ) {
        assert!(self.count == 0 && offset_delta >= 0 || offset_delta > self.last_offset_delta, "offsets grow");
        let base = *self.base_timestamp.get_or_insert(timestamp);
        let body = &mut self.body;
        body.clear();
        body.push(0);
        write_i64(body, timestamp.0.wrapping_sub(base.0));
        write_i32(body, offset_delta);
        write_bytes(body, key);
        write_bytes(body, value);
        write_i32(body, length(headers.len()));
        for (key, value) in headers {
            write_bytes(body, Some(key));
            write_bytes(body, *value);
        }
        write_i32(&mut self.records, length(body.len()));
        self.records.extend_from_slice(body);
        self.last_offset_delta = offset_delta;
        self.count += 1;
        if self.attributes & ATTRIBUTE_LOG_APPEND_TIME == 0 {
            self.max_timestamp = self.max_timestamp.max(timestamp);
        }
    }

    /// Lets the batch cover offsets beyond its last record, as compaction must so that no offset is given twice.
    pub fn last_offset_delta(mut self, delta: i32) -> Self {
        assert!(delta >= self.last_offset_delta, "the range covers every record");
        self.last_offset_delta = delta;
        self
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn count(&self) -> i32 {
        self.count
    }

    /// About how large the batch would be now, uncompressed.
    pub fn size(&self) -> usize {
        super::HEADER_LEN + self.records.len()
    }

    /// How many bytes such a record adds, to keep a batch below a limit before the record is in.
    pub fn size_of(key: Option<&[u8]>, value: Option<&[u8]>) -> usize {
        let bytes = |b: Option<&[u8]>| b.map_or(1, |b| len_i32(length(b.len())) + b.len());
        // Length, timestamp and offset delta at their widest, attributes, header count.
        5 + 10 + 5 + 1 + 1 + bytes(key) + bytes(value)
    }

    pub fn build(self) -> ValidBatch {
        let empty = self.count == 0;
        assert!(self.last_offset_delta >= 0, "a batch covers one offset at least");
        let compression = if empty { Compression::None } else { self.compression };
        let (producer_id, producer_epoch, base_sequence) = self.producer;
        let header = Header {
            base_offset: self.base_offset,
            length: 0,
            leader_epoch: self.leader_epoch,
            magic: 2,
            crc: 0,
            attributes: self.attributes | i16::from(compression.id()),
            last_offset_delta: self.last_offset_delta,
            base_timestamp: self.base_timestamp.unwrap_or(Timestamp::NONE),
            max_timestamp: self.max_timestamp,
            producer_id,
            producer_epoch,
            base_sequence,
            count: self.count,
        };
        let records = match compression {
            Compression::None => self.records,
            codec => compress(codec, &self.records),
        };
        ValidBatch::seal(header, records.into())
    }

    /// Packs records that were already found good, with deltas from `header`'s base, instead of pushed ones.
    pub(super) fn rebuild(mut self, header: &Header, records: &[u8]) -> ValidBatch {
        self.base_timestamp = Some(header.base_timestamp);
        self.max_timestamp = header.max_timestamp;
        self.last_offset_delta = header.last_offset_delta;
        self.count = header.count;
        self.records = records.to_vec();
        self.build()
    }

    fn attribute(mut self, bit: i16, on: bool) -> Self {
        self.attributes = if on { self.attributes | bit } else { self.attributes & !bit };
        self
    }
}

fn write_bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => write_i32(out, -1),
        Some(bytes) => {
            write_i32(out, length(bytes.len()));
            out.extend_from_slice(bytes);
        }
    }
}

fn length(len: usize) -> i32 {
    i32::try_from(len).expect("what goes into a record is below 2 GiB")
}
