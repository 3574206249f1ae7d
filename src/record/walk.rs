//! Records, one after the other, in their uncompressed form:
//!
//! | field | coded as |
//! |---|---|
//! | length of the rest | varint |
//! | attributes | one byte, unused |
//! | timestamp delta | varlong, from the batch's base timestamp |
//! | offset delta | varint, from the batch's base offset |
//! | key length, key | varint, -1 for null |
//! | value length, value | varint, -1 for null |
//! | header count | varint; then for each: key length, key, value length (-1 for null), value |
//!
//! Nothing is allocated and every length is checked against the bytes left (S3).

use super::header::sequence_after;
use super::varint::{read_i32, read_i64};
use super::{Corrupt, Header};
use crate::types::{Offset, Sequence, Timestamp};

/// One record, borrowed from its batch.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    pub offset: Offset,
    /// The max timestamp of the batch if that is stamped with LogAppendTime; -1 where the producer gave none.
    pub timestamp: Timestamp,
    pub key: Option<&'a [u8]>,
    /// `None`: a tombstone, on a compacted topic.
    pub value: Option<&'a [u8]>,
    pub headers: Headers<'a>,
    pub attributes: i8,
    pub offset_delta: i32,
    /// -1 where the batch has no sequence.
    pub sequence: Sequence,
}

/// The headers of a record, in order; the same key may come more than once.
#[derive(Clone, Copy, Debug)]
pub struct Headers<'a> {
    left: usize,
    bytes: &'a [u8],
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        // Walked once when the record was read, so nothing is missing here.
        let key = read_bytes(&mut self.bytes).ok().flatten()?;
        let value = read_bytes(&mut self.bytes).ok()?;
        Some((key, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Headers<'_> {}

/// A record before it is put in relation to its batch.
pub(super) struct RawRecord<'a> {
    pub attributes: i8,
    pub timestamp_delta: i64,
    pub offset_delta: i32,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: Headers<'a>,
}

impl<'a> RawRecord<'a> {
    pub fn timestamp(&self, header: &Header) -> Timestamp {
        // Kafka's arithmetic wraps too; a record so far out is caught by the bounds or was meant to be read like this.
        Timestamp(header.base_timestamp.0.wrapping_add(self.timestamp_delta))
    }

    pub fn in_batch(self, header: &Header) -> Record<'a> {
        let timestamp = if header.is_log_append_time() { header.max_timestamp } else { self.timestamp(header) };
        Record {
            offset: header.base_offset.plus(i64::from(self.offset_delta)),
            timestamp,
            key: self.key,
            value: self.value,
            headers: self.headers,
            attributes: self.attributes,
            offset_delta: self.offset_delta,
            sequence: sequence_after(header.base_sequence, self.offset_delta),
        }
    }
}

/// Why a record cannot be read; turned into a sentence only when somebody is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    Structure,
    RecordSize {
        expected: i32,
        left: usize,
    },
    SizeMismatch {
        expected: i32,
        read: usize,
    },
    HeaderCount(i32),
    HeaderKeySize(i32),
    /// The batch says it holds more records than there are.
    Ended,
    /// The batch says it holds fewer records than there are.
    LeftOver,
    OffsetDelta {
        index: i32,
        delta: i32,
    },
}

impl From<Flaw> for Corrupt {
    fn from(flaw: Flaw) -> Corrupt {
        Corrupt::new(flaw.to_string())
    }
}

/// The sentences of Kafka's `DefaultRecord`, where it has one.
impl std::fmt::Display for Flaw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Flaw::Structure => f.write_str("Found invalid record structure"),
            Flaw::RecordSize { expected, left } => write!(
                f,
                "Invalid record size: expected {expected} bytes in record payload, but instead the buffer has only {left} remaining bytes."
            ),
            Flaw::SizeMismatch { expected, read } => write!(
                f,
                "Invalid record size: expected to read {expected} bytes in record payload, but instead read {read}"
            ),
            Flaw::HeaderCount(count) if *count > 0 => write!(
                f,
                "Found invalid number of record headers. {count} is larger than the remaining size of the buffer"
            ),
            Flaw::HeaderCount(count) => write!(f, "Found invalid number of record headers {count}"),
            Flaw::HeaderKeySize(size) => write!(f, "Invalid negative header key size {size}"),
            Flaw::Ended => f.write_str("Incorrect declared batch size, premature EOF reached"),
            Flaw::LeftOver => f.write_str("Incorrect declared batch size, records still remaining in file"),
            Flaw::OffsetDelta { index, delta } => {
                write!(f, "Record {index} of the batch has the offset delta {delta}")
            }
        }
    }
}

/// Takes one record from the front of `bytes`.
#[inline]
pub(super) fn read_record<'a>(bytes: &mut &'a [u8]) -> Result<RawRecord<'a>, Flaw> {
    if bytes.is_empty() {
        return Err(Flaw::Ended);
    }
    let size = read_i32(bytes).ok_or(Flaw::Structure)?;
    let left = bytes.len();
    let Some((mut body, rest)) = usize::try_from(size).ok().and_then(|size| bytes.split_at_checked(size)) else {
        return Err(Flaw::RecordSize { expected: size, left });
    };
    *bytes = rest;
    let (&attributes, after) = body.split_first().ok_or(Flaw::Structure)?;
    body = after;
    let timestamp_delta = read_i64(&mut body).ok_or(Flaw::Structure)?;
    let offset_delta = read_i32(&mut body).ok_or(Flaw::Structure)?;
    let key = read_bytes(&mut body)?;
    let value = read_bytes(&mut body)?;
    let header_count = read_i32(&mut body).ok_or(Flaw::Structure)?;
    let headers =
        if header_count == 0 { Headers { left: 0, bytes: &[] } } else { read_headers(&mut body, header_count)? };
    if !body.is_empty() {
        return Err(Flaw::SizeMismatch { expected: size, read: size as usize - body.len() });
    }
    Ok(RawRecord { attributes: attributes as i8, timestamp_delta, offset_delta, key, value, headers })
}

/// A length and as many bytes; -1 is null. Kafka reads any negative length as null; nothing sends one, so it is refused.
#[inline]
fn read_bytes<'a>(bytes: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Flaw> {
    let size = read_i32(bytes).ok_or(Flaw::Structure)?;
    if size == -1 {
        return Ok(None);
    }
    let size = usize::try_from(size).map_err(|_| Flaw::Structure)?;
    let (value, rest) = bytes.split_at_checked(size).ok_or(Flaw::Structure)?;
    *bytes = rest;
    Ok(Some(value))
}

fn read_headers<'a>(body: &mut &'a [u8], count: i32) -> Result<Headers<'a>, Flaw> {
    let start = *body;
    // A header takes two bytes at least, so a larger count fails before a single step.
    let left = usize::try_from(count).ok().filter(|count| *count <= body.len());
    let left = left.ok_or(Flaw::HeaderCount(count))?;
    for _ in 0..left {
        if read_bytes(body)?.is_none() {
            return Err(Flaw::HeaderKeySize(-1));
        }
        read_bytes(body)?;
    }
    Ok(Headers { left, bytes: start })
}

/// What a walk along all records of a batch finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Walked {
    /// The largest and smallest timestamp of records that have one; `NONE` if none has.
    pub max_timestamp: Timestamp,
    pub min_timestamp: Timestamp,
    pub has_null_key: bool,
}

/// Goes along the records of a client's batch: each is whole, their deltas count 0, 1, 2 ..., there are as many as the
/// header says, and nothing is left over (S5).
pub(super) fn walk(mut records: &[u8], header: &Header) -> Result<Walked, Flaw> {
    let mut max = i64::MIN;
    let mut min = i64::MAX;
    let mut has_null_key = false;
    for index in 0..header.count {
        let record = read_record(&mut records)?;
        if record.offset_delta != index {
            return Err(Flaw::OffsetDelta { index, delta: record.offset_delta });
        }
        let timestamp = record.timestamp(header);
        // "No timestamp" is exempt from the lower bound.
        if timestamp != Timestamp::NONE {
            min = min.min(timestamp.0);
        }
        max = max.max(timestamp.0);
        has_null_key |= record.key.is_none();
    }
    if !records.is_empty() {
        return Err(Flaw::LeftOver);
    }
    Ok(Walked {
        max_timestamp: Timestamp(max.max(Timestamp::NONE.0)),
        min_timestamp: if min == i64::MAX { Timestamp::NONE } else { Timestamp(min) },
        has_null_key,
    })
}
