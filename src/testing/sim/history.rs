//! What clients know of a partition's records, and what may never be seen: the model that every answer is held against.
//!
//! A record's value begins with its number in the order of sending, and all of it follows from that number; so a record that
//! is read tells which send it came from, and whether it came whole. A batch that was held against the history is kept: where
//! the same bytes come again at the same offset, there is nothing new to find in them.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use crate::record::{self, DecompressLimits, Record};
use crate::types::Timestamp;

/// One record that was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    pub place: Place,
    pub key: Option<u32>,
    pub timestamp: i64,
    /// Whose order it keeps, for idempotent producers, and the record that this one sent before it.
    pub producer: Option<u32>,
    pub before: Option<u64>,
    /// Where it was found or acknowledged.
    pub offset: Option<i64>,
}

/// A partition, by the number of its topic in the simulation.
pub type Place = (u32, i32);

/// A record as it stands in a log: its offset, and its number in the order of sending.
pub type Standing = (i64, u64);

/// No record is known at an offset.
const NOBODY: u64 = u64::MAX;

/// What is known of one partition.
#[derive(Default)]
pub struct Known {
    /// The number of the record at each offset.
    numbers: Vec<u64>,
    /// The last record of each key.
    latest: BTreeMap<Option<u32>, Standing>,
    /// By base offset, what was last read there.
    batches: HashMap<i64, Batch>,
    /// One past the highest offset that a client was shown or had acknowledged.
    pub end: i64,
    /// The lowest log start that a client may meet, and the highest it may.
    pub start: i64,
    pub deletable_to: i64,
    /// Before this everything that is gone was found to have been allowed to go.
    pub gone_to: i64,
    /// Before this the records of each producer stand in order; the last of each.
    pub ordered_to: i64,
    pub last_of: BTreeMap<u32, u64>,
}

struct Batch {
    bytes: Box<[u8]>,
    records: Vec<Standing>,
}

impl Known {
    /// What is known to stand at these offsets, in their order.
    pub fn records(&self, offsets: Range<i64>) -> impl Iterator<Item = Standing> {
        let end = (offsets.end.max(0) as usize).min(self.numbers.len());
        let begin = (offsets.start.max(0) as usize).min(end);
        let numbers = (begin as i64..).zip(&self.numbers[begin..end]);
        numbers.filter(|(_, number)| **number != NOBODY).map(|(offset, number)| (offset, *number))
    }

    /// The last record of every key, where that stands at one of these offsets.
    pub fn latest(&self, offsets: Range<i64>) -> impl Iterator<Item = Standing> {
        self.latest.values().copied().filter(move |(offset, _)| offsets.contains(offset))
    }

    /// A record stands at an offset; which one did before.
    fn put(&mut self, offset: i64, number: u64, key: Option<u32>) -> Option<u64> {
        let at = offset as usize;
        if self.numbers.len() <= at {
            self.numbers.resize(at + 1, NOBODY);
        }
        let before = std::mem::replace(&mut self.numbers[at], number);
        let latest = self.latest.entry(key).or_insert((offset, number));
        *latest = (*latest).max((offset, number));
        self.end = self.end.max(offset + 1);
        (before != NOBODY).then_some(before)
    }
}

#[derive(Default)]
pub struct History {
    pub sent: Vec<Sent>,
    places: BTreeMap<Place, Known>,
    last_sent: BTreeMap<u32, u64>,
}

impl History {
    pub fn place(&mut self, place: Place) -> &mut Known {
        self.places.entry(place).or_default()
    }

    /// What was sent, and a partition of it.
    pub fn sent_and_place(&mut self, place: Place) -> (&[Sent], &mut Known) {
        (&self.sent, self.places.entry(place).or_default())
    }

    /// Notes a record that is about to be sent; its number.
    pub fn send(&mut self, place: Place, key: Option<u32>, timestamp: i64, producer: Option<u32>) -> u64 {
        let number = self.sent.len() as u64;
        let before = producer.and_then(|producer| self.last_sent.insert(producer, number));
        self.sent.push(Sent { place, key, timestamp, producer, before, offset: None });
        number
    }

    /// A batch whose first record is `first` was acknowledged at `base`.
    pub fn acked(&mut self, first: u64, count: u64, base: i64) -> Result<(), String> {
        if base < 0 {
            return Err(format!("I1: record {first} was acknowledged without a place: {base}"));
        }
        for index in 0..count {
            self.note(first + index, base + index as i64)?;
        }
        Ok(())
    }

    /// A record stands at an offset of its partition.
    fn note(&mut self, number: u64, offset: i64) -> Result<(), String> {
        let sent = &mut self.sent[number as usize];
        let (place, key) = (sent.place, sent.key);
        // A plain producer's retry may be there twice.
        if let (Some(before), Some(_)) = (sent.offset, sent.producer)
            && before != offset
        {
            return Err(format!("I30: record {number} of {place:?} stands at {before} and at {offset}"));
        }
        sent.offset = Some(offset);
        match self.place(place).put(offset, number, key) {
            Some(other) if other != number => {
                Err(format!("I3: offset {offset} of {place:?} was record {other} and is record {number}"))
            }
            _ => Ok(()),
        }
    }

    /// A client has been shown a whole batch; what stands in it.
    pub fn read(&mut self, place: Place, base: i64, bytes: &[u8]) -> Result<&[Standing], String> {
        if self.place(place).batches.get(&base).is_none_or(|known| *known.bytes != *bytes) {
            let records = self.open(place, base, bytes)?;
            self.place(place).batches.insert(base, Batch { bytes: bytes.into(), records });
        }
        Ok(&self.place(place).batches[&base].records)
    }

    fn open(&mut self, place: Place, base: i64, bytes: &[u8]) -> Result<Vec<Standing>, String> {
        if !record::checksum_matches(bytes) {
            return Err(format!("I9: a batch at {base} of {place:?} does not match its checksum"));
        }
        let opened = record::open(bytes, &DecompressLimits::default()).map_err(|error| error.to_string())?;
        let mut records = Vec::new();
        for record in opened.records() {
            let record = record.map_err(|error| error.to_string())?;
            records.push((record.offset.0, self.recognise(place, record.offset.0, &record)?));
        }
        Ok(records)
    }

    /// A client has read a record; its number.
    fn recognise(&mut self, place: Place, offset: i64, record: &Record<'_>) -> Result<u64, String> {
        let value = record.value.ok_or_else(|| format!("phantom: no value at {offset} of {place:?}"))?;
        let number = number_of(value).ok_or_else(|| format!("phantom: {offset} of {place:?} holds {value:?}"))?;
        let sent = self.sent.get(number as usize).filter(|sent| sent.place == place);
        let Some(sent) = sent else {
            return Err(format!("phantom: record {number} at {offset} of {place:?} was never sent there"));
        };
        if value != value_of(number).as_slice() || record.key != key_of(sent.key).as_deref() {
            return Err(format!("I3: record {number} at {offset} of {place:?} was changed"));
        }
        if record.timestamp != Timestamp(sent.timestamp) {
            return Err(format!(
                "I80: record {number} at {offset} of {place:?} has another time than it was sent with"
            ));
        }
        self.note(number, offset)?;
        Ok(number)
    }
}

pub fn key_of(key: Option<u32>) -> Option<Vec<u8>> {
    key.map(|key| format!("k{key}").into_bytes())
}

/// The value of a record: its number, then bytes that follow from it.
pub fn value_of(number: u64) -> Vec<u8> {
    let filler = (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58) as usize;
    let mut value = format!("{number}:").into_bytes();
    value.resize(value.len() + filler, b'a' + (number % 26) as u8);
    value
}

fn number_of(value: &[u8]) -> Option<u64> {
    let digits = value.split(|byte| *byte == b':').next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}
