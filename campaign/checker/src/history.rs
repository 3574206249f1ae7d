//! What happened: operations of clients, and how they ended.
//!
//! One line of JSON per invocation and per completion:
//!
//! ```text
//! {"process":3,"time":1200,"type":"invoke","f":"send","value":[["send",0,17]]}
//! {"process":3,"time":1450,"type":"ok","f":"send","value":[["send",0,17,4]]}
//! {"process":5,"time":1500,"type":"ok","f":"poll","value":[["poll",{"0":[[4,17],[5,18]]}]],"rebalanced":[1]}
//! {"process":5,"time":1600,"type":"ok","f":"assign","keys":[0,1]}
//! ```
//! A key is one partition. Values are numbers that nobody sends twice. `fail` only where it is certain that nothing was written;
//! whoever does not know says `info`, and so does an invocation that nothing follows. A `txn` is sends and polls that take effect
//! together. `assign` and `subscribe` say how the process polls from then on; `crash`, that it begins anew.
//!
//! In memory all sends and polled records stand in one row, 24 bytes each.

use std::collections::HashMap;
use std::fmt::Write;

pub type Key = u32;

/// Keys and numbers of processes are below this, so that tables of them can be rows.
pub const KEYS: u32 = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Ok,
    Fail,
    Info,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    Send,
    Poll,
    Txn,
    Assign,
    Subscribe,
    Crash,
}

impl Function {
    pub fn is_transfer(self) -> bool {
        matches!(self, Function::Send | Function::Poll | Function::Txn)
    }
}

/// One record sent, or one record polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    pub is_poll: bool,
    pub key: Key,
    pub value: u64,
    /// Where the record is; a send without an answer does not know.
    pub offset: Option<i64>,
}

impl Event {
    pub fn send(key: Key, value: u64, offset: Option<i64>) -> Event {
        Event { is_poll: false, key, value, offset }
    }

    pub fn poll(key: Key, value: u64, offset: i64) -> Event {
        Event { is_poll: true, key, value, offset: Some(offset) }
    }
}

/// One operation that has ended, or never will.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    pub process: u32,
    pub time: u64,
    pub outcome: Outcome,
    pub function: Function,
    pub events: Vec<Event>,
    /// What is assigned or subscribed to.
    pub keys: Vec<Key>,
    /// Keys that were taken or given during the operation.
    pub rebalanced: Vec<Key>,
}

impl Operation {
    pub fn new(process: u32, outcome: Outcome, function: Function, events: Vec<Event>) -> Operation {
        Operation { process, time: 0, outcome, function, events, keys: Vec::new(), rebalanced: Vec::new() }
    }
}

/// An event packed; the highest bit of `key` says that it was polled.
#[derive(Clone, Copy)]
struct Packed {
    value: u64,
    offset: i64,
    operation: u32,
    key: u32,
}

const POLLED: u32 = 1 << 31;
const NO_OFFSET: i64 = i64::MIN;

/// An operation without its events, which are those from `first` to that of the next one.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub process: u32,
    pub outcome: Outcome,
    pub function: Function,
    first: usize,
}

#[derive(Default)]
pub struct History {
    rows: Vec<Row>,
    events: Vec<Packed>,
    /// By operation, where there are any.
    keys: HashMap<u32, Vec<Key>>,
    rebalanced: HashMap<u32, Vec<Key>>,
}

impl History {
    pub fn from_operations(operations: &[Operation]) -> History {
        let mut history = History::default();
        operations.iter().for_each(|operation| history.push(operation));
        history
    }

    pub fn push(&mut self, operation: &Operation) {
        let number = self.rows.len() as u32;
        let Operation { process, outcome, function, .. } = *operation;
        self.rows.push(Row { process, outcome, function, first: self.events.len() });
        self.events.extend(operation.events.iter().map(|event| Packed {
            value: event.value,
            offset: event.offset.unwrap_or(NO_OFFSET),
            operation: number,
            key: event.key | if event.is_poll { POLLED } else { 0 },
        }));
        for (kept, keys) in [(&mut self.keys, &operation.keys), (&mut self.rebalanced, &operation.rebalanced)] {
            if !keys.is_empty() {
                kept.insert(number, keys.clone());
            }
        }
    }

    pub fn operations(&self) -> impl Iterator<Item = (u32, Row)> {
        (0..).zip(self.rows.iter().copied())
    }

    pub fn row(&self, operation: u32) -> Row {
        self.rows[operation as usize]
    }

    pub fn operation_count(&self) -> usize {
        self.rows.len()
    }

    pub fn event_count(&self) -> usize {
        self.events.len()
    }

    /// All events with their operations, in order.
    pub fn events(&self) -> impl Iterator<Item = (u32, Event)> {
        self.events.iter().map(|packed| (packed.operation, packed.unpack()))
    }

    pub fn events_of(&self, operation: u32) -> impl Iterator<Item = Event> + Clone {
        let index = operation as usize;
        let end = self.rows.get(index + 1).map_or(self.events.len(), |next| next.first);
        self.events[self.rows[index].first..end].iter().map(|packed| packed.unpack())
    }

    /// What an operation assigns or subscribes to.
    pub fn keys_of(&self, operation: u32) -> &[Key] {
        self.keys.get(&operation).map_or(&[], Vec::as_slice)
    }

    pub fn is_rebalanced(&self, operation: u32, key: Key) -> bool {
        !self.rebalanced.is_empty() && self.rebalanced.get(&operation).is_some_and(|keys| keys.contains(&key))
    }
}

impl Packed {
    fn unpack(&self) -> Event {
        let offset = (self.offset != NO_OFFSET).then_some(self.offset);
        Event { is_poll: self.key & POLLED != 0, key: self.key & !POLLED, value: self.value, offset }
    }
}

/// Writes the line of an invocation, which knows neither offsets nor what it will read.
pub fn write_invocation(out: &mut String, operation: &Operation) {
    let events = operation.events.iter().filter(|event| !event.is_poll);
    let sends = events.map(|event| Event { offset: None, ..*event }).collect();
    write_line(out, &Operation { events: sends, rebalanced: Vec::new(), ..operation.clone() }, "invoke");
}

/// Writes the line of a completion.
pub fn write_completion(out: &mut String, operation: &Operation) {
    let kind = match operation.outcome {
        Outcome::Ok => "ok",
        Outcome::Fail => "fail",
        Outcome::Info => "info",
    };
    write_line(out, operation, kind);
}

fn write_line(out: &mut String, operation: &Operation, kind: &str) {
    let function = match operation.function {
        Function::Send => "send",
        Function::Poll => "poll",
        Function::Txn => "txn",
        Function::Assign => "assign",
        Function::Subscribe => "subscribe",
        Function::Crash => "crash",
    };
    let Operation { process, time, .. } = operation;
    // Writing to a String cannot fail.
    let _ = write!(out, r#"{{"process":{process},"time":{time},"type":"{kind}","f":"{function}""#);
    write_events(out, &operation.events);
    write_keys(out, "keys", &operation.keys);
    write_keys(out, "rebalanced", &operation.rebalanced);
    out.push_str("}\n");
}

fn write_events(out: &mut String, events: &[Event]) {
    if events.is_empty() {
        return;
    }
    out.push_str(r#","value":["#);
    let mut rest = events;
    while let Some(first) = rest.first() {
        if rest.len() < events.len() {
            out.push(',');
        }
        if !first.is_poll {
            let _ = write!(out, r#"["send",{},{}"#, first.key, first.value);
            if let Some(offset) = first.offset {
                let _ = write!(out, ",{offset}");
            }
            out.push(']');
            rest = &rest[1..];
            continue;
        }
        // Records polled one after the other from one key are one poll.
        let run = rest.iter().take_while(|event| event.is_poll && event.key == first.key).count();
        let _ = write!(out, r#"["poll",{{"{}":["#, first.key);
        for (index, event) in rest[..run].iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let _ = write!(out, "{comma}[{},{}]", event.offset.unwrap_or(-1), event.value);
        }
        out.push_str("]}]");
        rest = &rest[run..];
    }
    out.push(']');
}

fn write_keys(out: &mut String, name: &str, keys: &[Key]) {
    if !keys.is_empty() {
        let _ = write!(out, r#","{name}":{keys:?}"#);
    }
}
