//! The 61 bytes before the records of a batch, format version ("magic") 2, all big-endian:
//!
//! | at | size | field | |
//! |---|---|---|---|
//! | 0 | 8 | base offset | set by the leader |
//! | 8 | 4 | length | bytes after this field, so at least 49 |
//! | 12 | 4 | partition leader epoch | set by the leader |
//! | 16 | 1 | magic | 2 |
//! | 17 | 4 | crc | CRC-32C of everything from byte 21 on |
//! | 21 | 2 | attributes | 0-2 compression, 3 timestamp type, 4 transactional, 5 control, 6 delete horizon |
//! | 23 | 4 | last offset delta | |
//! | 27 | 8 | base timestamp | the delete horizon if bit 6 is set; deltas of records count from it either way |
//! | 35 | 8 | max timestamp | |
//! | 43 | 8 | producer id | -1: none |
//! | 51 | 2 | producer epoch | |
//! | 53 | 4 | base sequence | |
//! | 57 | 4 | record count | 0 only where compaction removed all records of a producer's last batch |
//!
//! The checksum does not cover the base offset and the leader epoch: assigning them is free.

use super::{Compression, Corrupt};
use crate::types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};

/// The size of the header.
pub const HEADER_LEN: usize = 61;

/// What the length field holds at least: the header without its first two fields.
pub const MIN_LENGTH_FIELD: i32 = 49;

/// Offset and length, which the length field does not count.
pub(super) const LENGTH_OVERHEAD: usize = 12;

const MAGIC: i8 = 2;

pub(super) const ATTRIBUTE_COMPRESSION: i16 = 0x07;
pub(super) const ATTRIBUTE_LOG_APPEND_TIME: i16 = 0x08;
pub(super) const ATTRIBUTE_TRANSACTIONAL: i16 = 0x10;
pub(super) const ATTRIBUTE_CONTROL: i16 = 0x20;
pub(super) const ATTRIBUTE_DELETE_HORIZON: i16 = 0x40;

pub(super) const BASE_OFFSET_AT: usize = 0;
pub(super) const LENGTH_AT: usize = 8;
pub(super) const LEADER_EPOCH_AT: usize = 12;
pub(super) const MAGIC_AT: usize = 16;
pub(super) const CRC_AT: usize = 17;
pub(super) const ATTRIBUTES_AT: usize = 21;
pub(super) const LAST_OFFSET_DELTA_AT: usize = 23;
pub(super) const BASE_TIMESTAMP_AT: usize = 27;
pub(super) const MAX_TIMESTAMP_AT: usize = 35;
pub(super) const PRODUCER_ID_AT: usize = 43;
pub(super) const PRODUCER_EPOCH_AT: usize = 51;
pub(super) const BASE_SEQUENCE_AT: usize = 53;
pub(super) const COUNT_AT: usize = 57;

const _: () = assert!(COUNT_AT + 4 == HEADER_LEN && HEADER_LEN - LENGTH_OVERHEAD == MIN_LENGTH_FIELD as usize);

/// A header as it stands in the bytes. Only magic and the minimum length are checked; the rest is what was claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub base_offset: Offset,
    pub length: i32,
    pub leader_epoch: LeaderEpoch,
    pub magic: i8,
    pub crc: u32,
    pub attributes: i16,
    pub last_offset_delta: i32,
    pub base_timestamp: Timestamp,
    pub max_timestamp: Timestamp,
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub base_sequence: Sequence,
    pub count: i32,
}

impl Header {
    /// Reads the first 61 bytes. The batch may be longer or, when scanning a file, cut short: `size` says what it claims.
    pub fn read(bytes: &[u8]) -> Result<Header, Corrupt> {
        let Some(header) = bytes.first_chunk::<HEADER_LEN>() else {
            return Err(Corrupt::new(format!("a batch header takes {HEADER_LEN} bytes, there are {}", bytes.len())));
        };
        let header = Header::decode(header);
        if header.magic != MAGIC {
            return Err(Corrupt::new(format!("the batch has magic {}, not {MAGIC}", header.magic)));
        }
        if header.length < MIN_LENGTH_FIELD {
            return Err(Corrupt::new(format!("the batch length {} is below {MIN_LENGTH_FIELD}", header.length)));
        }
        Ok(header)
    }

    pub(super) fn decode(bytes: &[u8; HEADER_LEN]) -> Header {
        Header {
            base_offset: Offset(i64::from_be_bytes(field(bytes, BASE_OFFSET_AT))),
            length: i32::from_be_bytes(field(bytes, LENGTH_AT)),
            leader_epoch: LeaderEpoch(i32::from_be_bytes(field(bytes, LEADER_EPOCH_AT))),
            magic: i8::from_be_bytes(field(bytes, MAGIC_AT)),
            crc: u32::from_be_bytes(field(bytes, CRC_AT)),
            attributes: i16::from_be_bytes(field(bytes, ATTRIBUTES_AT)),
            last_offset_delta: i32::from_be_bytes(field(bytes, LAST_OFFSET_DELTA_AT)),
            base_timestamp: Timestamp(i64::from_be_bytes(field(bytes, BASE_TIMESTAMP_AT))),
            max_timestamp: Timestamp(i64::from_be_bytes(field(bytes, MAX_TIMESTAMP_AT))),
            producer_id: ProducerId(i64::from_be_bytes(field(bytes, PRODUCER_ID_AT))),
            producer_epoch: ProducerEpoch(i16::from_be_bytes(field(bytes, PRODUCER_EPOCH_AT))),
            base_sequence: Sequence(i32::from_be_bytes(field(bytes, BASE_SEQUENCE_AT))),
            count: i32::from_be_bytes(field(bytes, COUNT_AT)),
        }
    }

    /// The inverse of [`Header::read`].
    pub fn write(&self, bytes: &mut [u8; HEADER_LEN]) {
        put(bytes, BASE_OFFSET_AT, self.base_offset.0.to_be_bytes());
        put(bytes, LENGTH_AT, self.length.to_be_bytes());
        put(bytes, LEADER_EPOCH_AT, self.leader_epoch.0.to_be_bytes());
        put(bytes, MAGIC_AT, self.magic.to_be_bytes());
        put(bytes, CRC_AT, self.crc.to_be_bytes());
        put(bytes, ATTRIBUTES_AT, self.attributes.to_be_bytes());
        put(bytes, LAST_OFFSET_DELTA_AT, self.last_offset_delta.to_be_bytes());
        put(bytes, BASE_TIMESTAMP_AT, self.base_timestamp.0.to_be_bytes());
        put(bytes, MAX_TIMESTAMP_AT, self.max_timestamp.0.to_be_bytes());
        put(bytes, PRODUCER_ID_AT, self.producer_id.0.to_be_bytes());
        put(bytes, PRODUCER_EPOCH_AT, self.producer_epoch.0.to_be_bytes());
        put(bytes, BASE_SEQUENCE_AT, self.base_sequence.0.to_be_bytes());
        put(bytes, COUNT_AT, self.count.to_be_bytes());
    }

    /// The size of the whole batch in bytes.
    pub fn size(&self) -> usize {
        LENGTH_OVERHEAD + usize::try_from(self.length).unwrap_or(0)
    }

    pub fn last_offset(&self) -> Offset {
        self.base_offset.plus(i64::from(self.last_offset_delta))
    }

    /// The offset behind the batch.
    pub fn next_offset(&self) -> Offset {
        self.last_offset().next()
    }

    /// The sequence of the last record, wrapped from 2147483647 to 0 as Kafka does; -1 if the batch has none.
    pub fn last_sequence(&self) -> Sequence {
        sequence_after(self.base_sequence, self.last_offset_delta)
    }

    /// `None`: a codec this version of the format does not know.
    pub fn try_compression(&self) -> Option<Compression> {
        Compression::from_id((self.attributes & ATTRIBUTE_COMPRESSION) as u8)
    }

    /// The codec; one of the three unused numbers reads as `None`, which [`super::open`] and `validate` refuse.
    pub fn compression(&self) -> Compression {
        self.try_compression().unwrap_or(Compression::None)
    }

    pub fn is_transactional(&self) -> bool {
        self.attributes & ATTRIBUTE_TRANSACTIONAL != 0
    }

    pub fn is_control(&self) -> bool {
        self.attributes & ATTRIBUTE_CONTROL != 0
    }

    pub fn is_log_append_time(&self) -> bool {
        self.attributes & ATTRIBUTE_LOG_APPEND_TIME != 0
    }

    pub fn has_delete_horizon(&self) -> bool {
        self.attributes & ATTRIBUTE_DELETE_HORIZON != 0
    }

    /// From when on tombstones and markers in this batch may go (KIP-534).
    pub fn delete_horizon(&self) -> Option<Timestamp> {
        self.has_delete_horizon().then_some(self.base_timestamp)
    }

    /// Is it the batch of an idempotent or transactional producer?
    pub fn has_producer(&self) -> bool {
        self.producer_id.is_some()
    }
}

/// The sequence number `delta` records after `base`: sequences run from 0 to 2147483647 and start again at 0.
pub(super) fn sequence_after(base: Sequence, delta: i32) -> Sequence {
    if base.0 < 0 {
        return Sequence::NONE;
    }
    Sequence((i64::from(base.0) + i64::from(delta)).rem_euclid(1 << 31) as i32)
}

/// Does the checksum in a whole batch match its bytes? `false` as well where there are too few bytes for a header.
pub fn checksum_matches(batch: &[u8]) -> bool {
    match batch.first_chunk::<HEADER_LEN>() {
        Some(header) => checksum(&batch[ATTRIBUTES_AT..], &[]) == u32::from_be_bytes(field(header, CRC_AT)),
        None => false,
    }
}

/// CRC-32C of two pieces in a row. The one place that computes it.
pub(super) fn checksum(first: &[u8], second: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(first), second)
}

/// `N` bytes at a fixed place of a header. The place is a constant of this file, so the check folds away.
pub(super) fn field<const N: usize>(bytes: &[u8; HEADER_LEN], at: usize) -> [u8; N] {
    *bytes[at..].first_chunk().expect("a field lies inside the header")
}

pub(super) fn put<const N: usize>(bytes: &mut [u8; HEADER_LEN], at: usize, value: [u8; N]) {
    bytes[at..at + N].copy_from_slice(&value);
}
