//! What clients know of a partition's records, and what may never be seen: the model that every answer is held against.
//!
//! A record's value begins with its number in the order of sending, and all of it follows from that number; so a record that
//! is read tells which send it came from, and whether it came whole.

use std::collections::BTreeMap;

use crate::record::Record;
use crate::types::Timestamp;

/// One record that was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    pub place: Place,
    pub key: Option<u32>,
    pub timestamp: i64,
    /// Whose order it keeps, for idempotent producers.
    pub producer: Option<u32>,
    pub fate: Fate,
    /// Where it was found or acknowledged.
    pub offset: Option<i64>,
}

/// What the sender was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing yet, or nothing certain.
    Open,
    Acked,
}

/// A partition, by the number of its topic in the simulation.
pub type Place = (u32, i32);

/// What is known of one partition.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The record at each offset, by number.
    pub records: BTreeMap<i64, u64>,
    /// One past the highest offset that a client was shown or had acknowledged.
    pub end: i64,
    /// The lowest log start that a client may meet, and the highest it may.
    pub start: i64,
    pub deletable_to: i64,
}

#[derive(Default)]
pub struct History {
    pub sent: Vec<Sent>,
    pub places: BTreeMap<Place, Known>,
}

impl History {
    pub fn place(&mut self, place: Place) -> &mut Known {
        self.places.entry(place).or_default()
    }

    /// Notes a record that is about to be sent; its number.
    pub fn send(&mut self, place: Place, key: Option<u32>, timestamp: i64, producer: Option<u32>) -> u64 {
        self.sent.push(Sent { place, key, timestamp, producer, fate: Fate::Open, offset: None });
        self.sent.len() as u64 - 1
    }

    /// A batch whose first record is `first` was acknowledged at `base`.
    pub fn acked(&mut self, first: u64, count: u64, base: i64) -> Result<(), String> {
        for index in 0..count {
            self.note(first + index, base + index as i64)?;
            self.sent[(first + index) as usize].fate = Fate::Acked;
        }
        Ok(())
    }

    /// A record stands at an offset of its partition.
    fn note(&mut self, number: u64, offset: i64) -> Result<(), String> {
        let sent = &mut self.sent[number as usize];
        let place = sent.place;
        // A plain producer's retry may be there twice.
        if let (Some(before), Some(_)) = (sent.offset, sent.producer)
            && before != offset
        {
            return Err(format!("I30: record {number} of {place:?} stands at {before} and at {offset}"));
        }
        sent.offset = Some(offset);
        let known = self.place(place);
        match known.records.insert(offset, number) {
            Some(other) if other != number => {
                return Err(format!("I3: offset {offset} of {place:?} was record {other} and is record {number}"));
            }
            _ => {}
        }
        known.end = known.end.max(offset + 1);
        Ok(())
    }

    /// A client has read a record; its number.
    pub fn read(&mut self, place: Place, offset: i64, record: &Record<'_>) -> Result<u64, String> {
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
