//! What is known of values and logs once the whole history has been seen: who wrote each value, whether anybody read it, and
//! in which order the values of a key stand.
//!
//! Offsets have gaps (markers, aborted records that nobody sees), so the order is that of the offsets somebody saw, without
//! them: the first value is 0, the next one 1.

use std::collections::HashMap;

use crate::anomaly::{Class, Report};
use crate::history::{Event, History, Key, Outcome};

const NOBODY: u32 = u32::MAX;
const NOWHERE: u32 = u32::MAX;

/// Values as small numbers.
enum Names {
    /// The values themselves are small.
    Themselves,
    Table(HashMap<u64, u32>),
}

/// One key's log as far as anybody saw it.
#[derive(Default)]
pub struct Log {
    /// Offset and value, the offsets growing.
    places: Vec<(i64, u32)>,
    /// The index of the last one that was read.
    pub last_read: Option<u32>,
}

pub struct Order {
    names: Names,
    writer: Vec<u32>,
    is_read: Vec<bool>,
    /// Key and index of a value.
    place: Vec<(Key, u32)>,
    pub logs: Vec<Log>,
    committed: Vec<bool>,
}

impl Order {
    /// Finds the order, and on the way offsets with two values and values with two offsets.
    pub fn find(history: &History, duplicates_allowed: bool, report: &mut Report) -> Order {
        let names = Names::of(history);
        let (mut count, mut keys) = (0, 0);
        for (_, event) in history.events() {
            count = count.max(names.id(event.value) as usize + 1);
            keys = keys.max(event.key as usize + 1);
        }
        let mut order = Order {
            names,
            writer: vec![NOBODY; count],
            is_read: vec![false; count],
            place: vec![(0, NOWHERE); count],
            logs: (0..keys).map(|_| Log::default()).collect(),
            committed: vec![false; history.operation_count()],
        };
        order.note_writers(history);
        order.collect(history);
        for key in 0..keys {
            order.arrange(key as Key, duplicates_allowed, report);
        }
        order
    }

    fn note_writers(&mut self, history: &History) {
        for (operation, event) in history.events() {
            let id = self.names.id(event.value) as usize;
            if event.is_poll {
                self.is_read[id] = true;
            } else {
                self.writer[id] = operation;
            }
        }
        for (operation, event) in history.events().filter(|(_, event)| !event.is_poll) {
            let was_read = || self.is_read[self.names.id(event.value) as usize];
            let is_committed = match history.row(operation).outcome {
                Outcome::Ok => true,
                Outcome::Info => was_read(),
                Outcome::Fail => false,
            };
            self.committed[operation as usize] |= is_committed;
        }
    }

    fn collect(&mut self, history: &History) {
        for (operation, event) in history.events() {
            let Some(offset) = event.offset else { continue };
            if event.is_poll || self.committed[operation as usize] {
                self.logs[event.key as usize].places.push((offset, self.names.id(event.value)));
            }
        }
    }

    fn arrange(&mut self, key: Key, duplicates_allowed: bool, report: &mut Report) {
        let mut places = std::mem::take(&mut self.logs[key as usize].places);
        places.sort_unstable();
        places.dedup();
        let mut kept = 0;
        for at in 0..places.len() {
            let (offset, id) = places[at];
            if kept > 0 && places[kept - 1].0 == offset {
                let value = self.names.value(id);
                report.add(Class::InconsistentOffsets, false, || {
                    format!("key {key} offset {offset} holds another value beside {value}")
                });
                continue;
            }
            let place = &mut self.place[id as usize];
            if place.1 == NOWHERE {
                *place = (key, kept as u32);
            } else {
                let (value, first) = (self.names.value(id), *place);
                report.add(Class::Duplicate, duplicates_allowed, || {
                    format!("value {value} is at key {key} offset {offset} and again at key {}", first.0)
                });
            }
            places[kept] = (offset, id);
            kept += 1;
        }
        places.truncate(kept);
        let last_read = places.iter().rposition(|(_, id)| self.is_read[*id as usize]);
        self.logs[key as usize] = Log { places, last_read: last_read.map(|index| index as u32) };
    }

    /// Did its writes take effect, as far as one can know?
    pub fn is_committed(&self, operation: u32) -> bool {
        self.committed[operation as usize]
    }

    /// The operation that wrote a value.
    pub fn writer(&self, value: u64) -> Option<u32> {
        Some(self.writer[self.names.id(value) as usize]).filter(|writer| *writer != NOBODY)
    }

    pub fn is_read(&self, value: u64) -> bool {
        self.is_read[self.names.id(value) as usize]
    }

    /// Where a value stands in the order of its key.
    pub fn place(&self, value: u64) -> Option<(Key, u32)> {
        Some(self.place[self.names.id(value) as usize]).filter(|place| place.1 != NOWHERE)
    }

    /// Where what was polled stands: by its offset, should the value be elsewhere too.
    pub fn index_of(&self, event: Event) -> Option<u32> {
        let offset = event.offset?;
        let places = &self.logs.get(event.key as usize)?.places;
        if let Some((key, index)) = self.place(event.value)
            && key == event.key
            && places[index as usize].0 == offset
        {
            return Some(index);
        }
        places.binary_search_by_key(&offset, |place| place.0).ok().map(|index| index as u32)
    }

    /// Values in the order of a key, with offset, writer, and whether they were read.
    pub fn log(&self, key: Key) -> impl Iterator<Item = (i64, u64, Option<u32>, bool)> {
        self.logs[key as usize].places.iter().map(|(offset, id)| {
            let writer = Some(self.writer[*id as usize]).filter(|writer| *writer != NOBODY);
            (*offset, self.names.value(*id), writer, self.is_read[*id as usize])
        })
    }
}

impl Names {
    fn of(history: &History) -> Names {
        let largest = history.events().map(|(_, event)| event.value).max().unwrap_or(0);
        if largest < 8 * history.event_count() as u64 + 1_000 && largest < u64::from(u32::MAX) {
            return Names::Themselves;
        }
        let mut table = HashMap::with_capacity(history.event_count() / 2);
        for (_, event) in history.events() {
            let next = table.len() as u32;
            table.entry(event.value).or_insert(next);
        }
        Names::Table(table)
    }

    fn id(&self, value: u64) -> u32 {
        match self {
            Names::Themselves => value as u32,
            Names::Table(table) => table[&value],
        }
    }

    /// For sentences only.
    fn value(&self, id: u32) -> u64 {
        match self {
            Names::Themselves => u64::from(id),
            Names::Table(table) => table.iter().find(|(_, known)| **known == id).map_or(0, |(value, _)| *value),
        }
    }
}
