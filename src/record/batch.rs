//! A batch that has been found good: what a log appends. The header lies apart from the records, so that offset, epoch
//! and timestamps are patched in 61 bytes of our own while the records stay in the buffer in which they arrived.

use bytes::{Buf, Bytes};

use super::header::{
    ATTRIBUTE_LOG_APPEND_TIME, ATTRIBUTES_AT, BASE_OFFSET_AT, CRC_AT, LEADER_EPOCH_AT, MAX_TIMESTAMP_AT, checksum, put,
};
use super::{Corrupt, HEADER_LEN, Header, checksum_matches};
use crate::types::{LeaderEpoch, Offset, Timestamp};

/// One batch whose header, length and checksum agree. Made by [`super::validate`], [`super::Builder`] or
/// [`ValidBatch::internal`] only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidBatch {
    header: Header,
    front: [u8; HEADER_LEN],
    records: Bytes,
}

impl ValidBatch {
    /// A batch from a trusted origin (another leader, our own log): exactly one, whole, with the right checksum. Its
    /// records are not looked at.
    pub fn internal(batch: Bytes) -> Result<ValidBatch, Corrupt> {
        let header = Header::read(&batch)?;
        if header.size() != batch.len() {
            let reason = format!("the batch claims {} bytes, there are {}", header.size(), batch.len());
            return Err(Corrupt::new(reason));
        }
        if header.last_offset_delta < 0 || header.count < 0 {
            return Err(Corrupt::new("the batch has a negative record count or last offset delta"));
        }
        if !checksum_matches(&batch) {
            return Err(Corrupt::new(format!("the checksum {:#010x} of the batch does not match", header.crc)));
        }
        Ok(ValidBatch::from_parts(header, batch))
    }

    /// `header` must be what stands in `batch`, and `batch` be as long as it says.
    pub(super) fn from_parts(header: Header, mut batch: Bytes) -> ValidBatch {
        debug_assert_eq!(header.size(), batch.len());
        let front = *batch.first_chunk().expect("a batch whose header was read holds a header");
        batch.advance(HEADER_LEN);
        ValidBatch { header, front, records: batch }
    }

    /// A batch from a header and records of our own; sets length and checksum.
    pub(super) fn seal(mut header: Header, records: Bytes) -> ValidBatch {
        header.length = i32::try_from(HEADER_LEN - 12 + records.len()).expect("a batch of ours is below 2 GiB");
        let mut front = [0; HEADER_LEN];
        header.write(&mut front);
        let mut batch = ValidBatch { header, front, records };
        batch.renew_checksum();
        batch
    }

    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The size of the whole batch in bytes.
    pub fn size(&self) -> usize {
        HEADER_LEN + self.records.len()
    }

    /// Gives the batch its place in a log. Both fields lie outside the checksum.
    pub fn assign(&mut self, base_offset: Offset, leader_epoch: LeaderEpoch) {
        self.header.base_offset = base_offset;
        self.header.leader_epoch = leader_epoch;
        put(&mut self.front, BASE_OFFSET_AT, base_offset.0.to_be_bytes());
        put(&mut self.front, LEADER_EPOCH_AT, leader_epoch.0.to_be_bytes());
    }

    /// Corrects the max timestamp; hashes the batch again only if it changes (as Kafka does).
    pub(super) fn set_max_timestamp(&mut self, log_append_time: bool, max_timestamp: Timestamp) {
        if self.header.max_timestamp == max_timestamp && self.header.is_log_append_time() == log_append_time {
            return;
        }
        self.header.max_timestamp = max_timestamp;
        self.header.attributes &= !ATTRIBUTE_LOG_APPEND_TIME;
        if log_append_time {
            self.header.attributes |= ATTRIBUTE_LOG_APPEND_TIME;
        }
        put(&mut self.front, MAX_TIMESTAMP_AT, max_timestamp.0.to_be_bytes());
        put(&mut self.front, ATTRIBUTES_AT, self.header.attributes.to_be_bytes());
        self.renew_checksum();
    }

    fn renew_checksum(&mut self) {
        self.header.crc = checksum(&self.front[ATTRIBUTES_AT..], &self.records);
        put(&mut self.front, CRC_AT, self.header.crc.to_be_bytes());
    }

    /// The batch as two pieces for one vectored write: header, records.
    pub fn slices(&self) -> [&[u8]; 2] {
        [&self.front, &self.records]
    }

    /// The records as they are stored, possibly compressed.
    pub fn records(&self) -> &[u8] {
        &self.records
    }

    /// The batch in one piece; copies.
    pub fn to_vec(&self) -> Vec<u8> {
        self.slices().concat()
    }

    pub fn into_bytes(self) -> Bytes {
        self.to_vec().into()
    }
}
