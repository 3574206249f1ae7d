//! What the producers write: a record follows from the seed and its number, so every reader can tell a changed byte, and
//! where each record came from.
//!
//! ```text
//! value  author (2) │ place (2) │ number (4) │ noise that follows from seed, author, place and number
//! ```

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use bytes::Bytes;
use milena::record::{self, Builder, Compression, Header, Record};
use milena::types::{ProducerEpoch, ProducerId, Sequence, Timestamp};

use crate::dice::Dice;
use crate::stage::COMPACTED;

/// Which record: the `number`th of a producer for one of the [`PLACES`](crate::stage::PLACES).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordId {
    pub author: u16,
    pub place: u16,
    pub number: u32,
}

/// A record as a reader found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub offset: i64,
    /// `None`: these bytes were written by nobody.
    pub id: Option<RecordId>,
    /// Of everything in the record, to compare two readings of one offset.
    pub fingerprint: u64,
}

/// The idempotent side of a batch.
#[derive(Clone, Copy)]
pub struct Signature {
    pub producer_id: i64,
    pub epoch: i16,
    pub base_sequence: i32,
}

/// All the records that may be written in one run.
#[derive(Clone, Copy)]
pub struct Texts {
    pub seed: u64,
    /// The time of every author's first record: the present, or retention would take the records away.
    pub start_ms: i64,
}

struct Text {
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Vec<u8>,
    header: Option<Vec<u8>>,
}

impl Texts {
    /// A batch of `count` records from `first` on.
    pub fn batch(&self, first: RecordId, count: u32, signature: Option<Signature>) -> Bytes {
        let mut builder = Builder::new().compression(self.compression(first));
        if let Some(Signature { producer_id, epoch, base_sequence }) = signature {
            builder = builder.producer(ProducerId(producer_id), ProducerEpoch(epoch), Sequence(base_sequence));
        }
        for number in first.number..first.number + count {
            let text = self.text(RecordId { number, ..first });
            let header = text.header.as_deref().map(|value| (&b"trace"[..], Some(value)));
            builder.push(Timestamp(text.timestamp), text.key.as_deref(), Some(&text.value), header.as_slice());
        }
        builder.build().into_bytes()
    }

    /// What tells records of one key apart from others, in a log that is compacted.
    pub fn key_of(&self, id: RecordId) -> u64 {
        let key = self.text(id).key.unwrap_or_default();
        key.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// Every record in a fetched range of batches, the first of which holds `from`, and the offset behind the last batch.
    /// A refusal says what is wrong with the batches themselves; a batch cut off at the end is Kafka's way of filling up a
    /// response and ends the list. Only compaction may leave offsets out.
    pub fn read(&self, place: u16, from: i64, records: &Bytes) -> Result<(Vec<Seen>, Option<i64>), String> {
        let may_miss = place == COMPACTED;
        let mut found = Vec::new();
        let mut rest = &records[..];
        let mut expected = None;
        while rest.len() >= record::HEADER_LEN {
            let header = Header::read(rest).map_err(|error| format!("behind offset {expected:?}: {error}"))?;
            if header.size() > rest.len() {
                break;
            }
            let (batch, behind) = rest.split_at(header.size());
            rest = behind;
            let (base, next) = (header.base_offset.0, header.next_offset().0);
            match expected {
                None if next <= from || (base > from && !may_miss) => {
                    return Err(format!("a fetch from {from} begins with the batch {base}..{next}"));
                }
                Some(expected) if base < expected || (base > expected && !may_miss) => {
                    return Err(format!("the batch behind offset {expected} begins at {base}"));
                }
                _ => expected = Some(next),
            }
            if !record::checksum_matches(batch) {
                return Err(format!("the batch at {base} has a wrong checksum"));
            }
            if i64::from(header.count) > next - base || (i64::from(header.count) < next - base && !may_miss) {
                return Err(format!("the batch {base}..{next} has {} records", header.count));
            }
            let open = record::open(batch, &record::DecompressLimits::default()).map_err(|error| error.to_string())?;
            let mut due = base;
            for record in open.records() {
                let record = record.map_err(|error| format!("the batch at {base}: {error}"))?;
                let offset = record.offset.0;
                if offset < due || offset >= next || (offset > due && !may_miss) {
                    return Err(format!("the batch {base}..{next} numbers a record {offset} where {due} is due"));
                }
                due = offset + 1;
                found.push(self.see(place, &record));
            }
        }
        found.retain(|seen| seen.offset >= from);
        Ok((found, expected))
    }

    fn see(&self, place: u16, record: &Record<'_>) -> Seen {
        let headers: Vec<_> = record.headers.map(|(key, value)| (key.to_vec(), value.map(<[u8]>::to_vec))).collect();
        let mut hasher = DefaultHasher::new();
        (record.timestamp.0, record.key, record.value, &headers).hash(&mut hasher);
        let id = record.value.and_then(read_id).filter(|id| id.place == place).filter(|id| {
            let text = self.text(*id);
            let header = text.header.map(|value| (b"trace".to_vec(), Some(value)));
            text.timestamp == record.timestamp.0
                && text.key.as_deref() == record.key
                && Some(&text.value[..]) == record.value
                && header.as_slice() == headers
        });
        Seen { offset: record.offset.0, id, fingerprint: hasher.finish() }
    }

    fn text(&self, id: RecordId) -> Text {
        let name = u64::from(id.author) << 48 | u64::from(id.place) << 32 | u64::from(id.number);
        let mut dice = Dice::named(self.seed, name);
        // Compacted topics refuse a record without a key.
        let (has_key, keys) = if id.place == COMPACTED { (true, 300) } else { (dice.chance(70), 1000) };
        let key = has_key.then(|| dice.below(keys).to_be_bytes().to_vec());
        let header = dice.chance(10).then(|| dice.roll().to_be_bytes().to_vec());
        // Mostly small; one in two hundred fills a good part of a fetch.
        let len = if dice.below(200) == 0 { 20_000 + dice.below(40_000) } else { 10 + dice.below(600) };
        let mut value = Vec::with_capacity(8 + len as usize);
        value.extend_from_slice(&id.author.to_be_bytes());
        value.extend_from_slice(&id.place.to_be_bytes());
        value.extend_from_slice(&id.number.to_be_bytes());
        while value.len() < 8 + len as usize {
            value.extend_from_slice(&dice.roll().to_be_bytes());
        }
        value.truncate(8 + len as usize);
        Text { timestamp: self.start_ms + i64::from(id.number / 16), key, value, header }
    }

    fn compression(&self, first: RecordId) -> Compression {
        match Dice::named(self.seed, u64::from(first.number) << 16 | u64::from(first.author)).below(12) {
            0 => Compression::Gzip,
            1 => Compression::Snappy,
            2 => Compression::Lz4,
            3 => Compression::Zstd,
            _ => Compression::None,
        }
    }
}

fn read_id(value: &[u8]) -> Option<RecordId> {
    let number = |range: std::ops::Range<usize>| {
        value.get(range).map(|bytes| bytes.iter().fold(0u32, |number, byte| number << 8 | u32::from(*byte)))
    };
    Some(RecordId { author: number(0..2)? as u16, place: number(2..4)? as u16, number: number(4..8)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXTS: Texts = Texts { seed: 7, start_ms: 1_000_000 };
    const FIRST: RecordId = RecordId { author: 3, place: 1, number: 40 };

    fn batch_at(base: i64, first: RecordId, count: u32) -> Vec<u8> {
        let mut bytes = TEXTS.batch(first, count, None).to_vec();
        // The checksum covers what comes behind the leader epoch, so the base offset may be set afterwards.
        bytes[..8].copy_from_slice(&base.to_be_bytes());
        bytes
    }

    #[test]
    fn a_record_is_recognised_by_every_byte_of_it() {
        let bytes = batch_at(100, FIRST, 20);
        let (seen, next) = TEXTS.read(1, 105, &Bytes::from(bytes.clone())).expect("a good batch");
        assert_eq!(next, Some(120));
        assert_eq!(seen.len(), 15);
        assert_eq!(seen[0].offset, 105);
        assert_eq!(seen[0].id, Some(RecordId { number: 45, ..FIRST }));
        let (elsewhere, _) = TEXTS.read(2, 105, &Bytes::from(bytes)).expect("a good batch");
        assert_eq!(elsewhere[0].id, None, "a record of another partition");
    }

    #[test]
    fn a_record_with_changed_bytes_and_a_good_checksum_was_written_by_nobody() {
        let text = TEXTS.text(FIRST);
        let mut value = text.value.clone();
        value[20] ^= 1;
        let mut builder = Builder::new();
        builder.push(Timestamp(text.timestamp), text.key.as_deref(), Some(&value), &[]);
        let (seen, _) = TEXTS.read(1, 0, &builder.build().into_bytes()).expect("a batch in order");
        assert_eq!(seen[0].id, None);
    }

    #[test]
    fn a_gap_between_batches_and_a_flipped_bit_are_refused() {
        let mut gap = batch_at(0, FIRST, 2);
        gap.extend(batch_at(3, RecordId { number: 42, ..FIRST }, 2));
        assert!(TEXTS.read(1, 0, &Bytes::from(gap.clone())).is_err());
        assert!(TEXTS.read(COMPACTED, 0, &Bytes::from(gap)).is_ok(), "compaction leaves gaps");
        let mut flipped = batch_at(0, FIRST, 2);
        *flipped.last_mut().unwrap() ^= 4;
        assert!(TEXTS.read(1, 0, &Bytes::from(flipped)).is_err());
        assert!(
            TEXTS.read(1, 5, &Bytes::from(batch_at(0, FIRST, 2))).is_err(),
            "the batch does not hold the offset asked for"
        );
    }
}
