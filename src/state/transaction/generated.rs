//! What the transaction coordinator keeps in `__transaction_state`.
//!
//! Made by scripts/generate.py from scripts/schemas/record-schemas.tsv; never edited by hand. A field that a version does
//! not have is left out when writing and takes its default when reading; tagged fields are written when they differ from
//! their default. `Default` gives the schema's defaults: a field that may be null is null only where the schema says so.
//!
//! ```text
//! key    i16 kind | body, always in version 0
//! value  i16 version | body            (no value: a tombstone)
//! ```

use std::ops::RangeInclusive;

use crate::wire::{self, DecodeError, Reader, Reason};

/// The key of any record in the log.
#[derive(Clone, Debug, PartialEq)]
pub enum CoordinatorKey {
    TransactionLog(TransactionLogKey),
    /// A kind that is not in this table; its record is to be passed over.
    Unknown(i16),
}

impl CoordinatorKey {
    pub fn kind(&self) -> i16 {
        match self {
            CoordinatorKey::TransactionLog(_) => TransactionLogKey::KIND,
            CoordinatorKey::Unknown(kind) => *kind,
        }
    }

    /// The whole record key; of an unknown one only its kind.
    pub fn encode_framed(&self, out: &mut Vec<u8>) {
        wire::put_i16(out, self.kind());
        match self {
            CoordinatorKey::TransactionLog(key) => key.write(0, out),
            CoordinatorKey::Unknown(_) => {}
        }
    }

    pub fn decode_framed(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let key = match r.i16()? {
            TransactionLogKey::KIND => CoordinatorKey::TransactionLog(TransactionLogKey::decode_from(0, r)?),
            kind => CoordinatorKey::Unknown(kind),
        };
        Ok(key)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct TransactionLogKey {
    pub transactional_id: String,
}

impl TransactionLogKey {
    fn write(&self, _body_version: i16, out: &mut Vec<u8>) {
        wire::put_string(out, &self.transactional_id, false);
    }

    fn read(_body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let transactional_id = r.string(false)?.to_owned();
        Ok(TransactionLogKey { transactional_id })
    }
}

impl TransactionLogKey {
    pub const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "TransactionLogKey has no version {version}");
        self.write(version, out);
    }

    /// Reads a body, which must fill `bytes`.
    pub fn decode(version: i16, bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_from(version, Reader::new(bytes))
    }

    fn decode_from(version: i16, mut r: Reader<'_>) -> Result<Self, DecodeError> {
        if !Self::VERSIONS.contains(&version) {
            return r.fail(Reason::UnsupportedVersion(version));
        }
        let value = Self::read(version, &mut r)?;
        r.finish()?;
        Ok(value)
    }
}

impl TransactionLogKey {
    /// The kind in front of the key.
    pub const KIND: i16 = 0;

    /// The whole record key.
    pub fn encode_framed(&self, out: &mut Vec<u8>) {
        wire::put_i16(out, Self::KIND);
        self.write(0, out);
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionLogValue {
    pub producer_id: i64,
    pub previous_producer_id: i64,
    pub next_producer_id: i64,
    pub producer_epoch: i16,
    pub next_producer_epoch: i16,
    pub transaction_timeout_ms: i32,
    pub transaction_status: i8,
    pub transaction_partitions: Option<Vec<TransactionLogPartitionsSchema>>,
    pub transaction_last_update_timestamp_ms: i64,
    pub transaction_start_timestamp_ms: i64,
    pub client_transaction_version: i16,
}

impl Default for TransactionLogValue {
    fn default() -> Self {
        TransactionLogValue {
            producer_id: 0,
            previous_producer_id: -1,
            next_producer_id: -1,
            producer_epoch: 0,
            next_producer_epoch: -1,
            transaction_timeout_ms: 0,
            transaction_status: 0,
            transaction_partitions: Some(Vec::new()),
            transaction_last_update_timestamp_ms: 0,
            transaction_start_timestamp_ms: 0,
            client_transaction_version: 0,
        }
    }
}

impl TransactionLogValue {
    fn write(&self, body_version: i16, out: &mut Vec<u8>) {
        let flexible = body_version >= 1;
        wire::put_i64(out, self.producer_id);
        wire::put_i16(out, self.producer_epoch);
        wire::put_i32(out, self.transaction_timeout_ms);
        wire::put_i8(out, self.transaction_status);
        wire::put_length(out, self.transaction_partitions.as_ref().map(Vec::len), flexible);
        for element in self.transaction_partitions.iter().flatten() {
            element.write(body_version, out);
        }
        wire::put_i64(out, self.transaction_last_update_timestamp_ms);
        wire::put_i64(out, self.transaction_start_timestamp_ms);
        if flexible {
            let has_previous_producer_id = self.previous_producer_id != -1;
            let has_next_producer_id = self.next_producer_id != -1;
            let has_client_transaction_version = self.client_transaction_version != 0;
            let has_next_producer_epoch = self.next_producer_epoch != -1;
            wire::put_unsigned_varint(
                out,
                u32::from(has_previous_producer_id)
                    + u32::from(has_next_producer_id)
                    + u32::from(has_client_transaction_version)
                    + u32::from(has_next_producer_epoch),
            );
            if has_previous_producer_id {
                wire::put_tagged(out, 0, |out| {
                    wire::put_i64(out, self.previous_producer_id);
                });
            }
            if has_next_producer_id {
                wire::put_tagged(out, 1, |out| {
                    wire::put_i64(out, self.next_producer_id);
                });
            }
            if has_client_transaction_version {
                wire::put_tagged(out, 2, |out| {
                    wire::put_i16(out, self.client_transaction_version);
                });
            }
            if has_next_producer_epoch {
                wire::put_tagged(out, 3, |out| {
                    wire::put_i16(out, self.next_producer_epoch);
                });
            }
        }
    }

    fn read(body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let flexible = body_version >= 1;
        let producer_id = r.i64()?;
        let producer_epoch = r.i16()?;
        let transaction_timeout_ms = r.i32()?;
        let transaction_status = r.i8()?;
        let transaction_partitions =
            r.nullable_array(flexible, |r| TransactionLogPartitionsSchema::read(body_version, r))?;
        let transaction_last_update_timestamp_ms = r.i64()?;
        let transaction_start_timestamp_ms = r.i64()?;
        let mut previous_producer_id = -1;
        let mut next_producer_id = -1;
        let mut client_transaction_version = 0;
        let mut next_producer_epoch = -1;
        if flexible {
            r.tagged_fields(|tag, r| {
                match tag {
                    0 => previous_producer_id = r.i64()?,
                    1 => next_producer_id = r.i64()?,
                    2 => client_transaction_version = r.i16()?,
                    3 => next_producer_epoch = r.i16()?,
                    _ => return Ok(false),
                }
                Ok(true)
            })?;
        }
        Ok(TransactionLogValue {
            producer_id,
            previous_producer_id,
            next_producer_id,
            producer_epoch,
            next_producer_epoch,
            transaction_timeout_ms,
            transaction_status,
            transaction_partitions,
            transaction_last_update_timestamp_ms,
            transaction_start_timestamp_ms,
            client_transaction_version,
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct TransactionLogPartitionsSchema {
    pub topic: String,
    pub partition_ids: Vec<i32>,
}

impl TransactionLogPartitionsSchema {
    fn write(&self, body_version: i16, out: &mut Vec<u8>) {
        let flexible = body_version >= 1;
        wire::put_string(out, &self.topic, flexible);
        wire::put_length(out, Some(self.partition_ids.len()), flexible);
        for element in &self.partition_ids {
            wire::put_i32(out, *element);
        }
        if flexible {
            wire::put_unsigned_varint(out, 0);
        }
    }

    fn read(body_version: i16, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let flexible = body_version >= 1;
        let topic = r.string(flexible)?.to_owned();
        let partition_ids = r.array_of(flexible, Reader::i32)?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(TransactionLogPartitionsSchema { topic, partition_ids })
    }
}

impl TransactionLogValue {
    pub const VERSIONS: RangeInclusive<i16> = 0..=1;

    /// Writes the body. `version` must be one of [`Self::VERSIONS`].
    pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
        debug_assert!(Self::VERSIONS.contains(&version), "TransactionLogValue has no version {version}");
        self.write(version, out);
    }

    /// Reads a body, which must fill `bytes`.
    pub fn decode(version: i16, bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_from(version, Reader::new(bytes))
    }

    fn decode_from(version: i16, mut r: Reader<'_>) -> Result<Self, DecodeError> {
        if !Self::VERSIONS.contains(&version) {
            return r.fail(Reason::UnsupportedVersion(version));
        }
        let value = Self::read(version, &mut r)?;
        r.finish()?;
        Ok(value)
    }
}

impl TransactionLogValue {
    /// The whole record value.
    pub fn encode_framed(&self, version: i16, out: &mut Vec<u8>) {
        wire::put_i16(out, version);
        self.encode(version, out);
    }

    pub fn decode_framed(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let version = r.i16()?;
        Self::decode_from(version, r)
    }
}
