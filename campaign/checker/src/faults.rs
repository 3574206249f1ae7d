//! Spoils a right history in one place, by class, so that the checker can be seen to find it.

use crate::anomaly::Class;
use crate::history::{Event, Function, Key, Operation, Outcome};
use crate::random::Random;

/// What is at the end of a key, and names that are not in use.
struct Fresh {
    /// Where the next record of each key would be.
    ends: Vec<i64>,
    /// What each key holds, in order.
    logs: Vec<Vec<(i64, u64)>>,
    process: u32,
    value: u64,
}

impl Fresh {
    fn of(operations: &[Operation]) -> Fresh {
        let mut fresh = Fresh { ends: Vec::new(), logs: Vec::new(), process: 0, value: 0 };
        let mut readers = std::collections::BTreeMap::<Key, u32>::new();
        for operation in operations {
            fresh.process = fresh.process.max(operation.process + 1);
            for event in &operation.events {
                fresh.value = fresh.value.max(event.value);
                let key = event.key as usize;
                if fresh.ends.len() <= key {
                    fresh.ends.resize(key + 1, 0);
                    fresh.logs.resize(key + 1, Vec::new());
                }
                // Behind the markers, too.
                fresh.ends[key] = fresh.ends[key].max(event.offset.unwrap_or(0) + 10);
                if event.is_poll {
                    readers.insert(event.key, operation.process);
                }
            }
        }
        // The process that read a key last read all of it.
        for operation in operations.iter().filter(|operation| operation.function == Function::Poll) {
            for event in operation.events.iter().filter(|event| readers.get(&event.key) == Some(&operation.process)) {
                fresh.logs[event.key as usize].push((event.offset.unwrap_or(-1), event.value));
            }
        }
        fresh
    }

    fn process(&mut self) -> u32 {
        self.process += 1;
        self.process
    }

    fn value(&mut self) -> u64 {
        self.value += 1;
        self.value
    }

    /// A new record at the end of a key.
    fn record(&mut self, key: Key) -> (u64, i64) {
        let offset = self.ends[key as usize];
        self.ends[key as usize] += 1;
        (self.value(), offset)
    }

    fn poll(&self, key: Key, range: std::ops::Range<usize>) -> Vec<Event> {
        let records = self.logs[key as usize][range].iter();
        records.map(|(offset, value)| Event::poll(key, *value, *offset)).collect()
    }
}

fn ok(process: u32, function: Function, events: Vec<Event>) -> Operation {
    Operation::new(process, Outcome::Ok, function, events)
}

fn sends(process: u32, key: Key, records: &[(u64, i64)]) -> Operation {
    ok(process, Function::Send, records.iter().map(|(value, offset)| Event::send(key, *value, Some(*offset))).collect())
}

fn polls(process: u32, key: Key, records: &[(u64, i64)]) -> Operation {
    ok(process, Function::Poll, records.iter().map(|(value, offset)| Event::poll(key, *value, *offset)).collect())
}

/// Plants one fault of a class.
pub fn plant(class: Class, operations: &mut Vec<Operation>, random: &mut Random) {
    let mut fresh = Fresh::of(operations);
    let key = random.below(fresh.logs.len()) as Key;
    let other = (key + 1) % fresh.logs.len() as Key;
    let at = random.below(fresh.logs[key as usize].len() - 10);
    let (one, two) = (fresh.process(), fresh.process());
    let assigned = Operation { keys: vec![key], ..ok(one, Function::Assign, Vec::new()) };
    let planted = match class {
        Class::InconsistentOffsets => {
            let offset = fresh.logs[key as usize][at].0;
            let value = fresh.value();
            // Sent, so that it is no phantom; and nobody was told where it went.
            let sent = Operation::new(two, Outcome::Info, Function::Send, vec![Event::send(key, value, None)]);
            vec![sent, polls(one, key, &[(value, offset)])]
        }
        Class::Duplicate => {
            let (_, value) = fresh.logs[key as usize][at];
            let (_, offset) = fresh.record(key);
            vec![polls(one, key, &[(value, offset)])]
        }
        Class::LostWrite => return lose(operations, &fresh, key, at),
        Class::Unseen => vec![sends(one, key, &[fresh.record(key)])],
        Class::G1a => return fail_one(operations, random),
        Class::PrecommittedRead => {
            let (value, offset) = fresh.record(key);
            vec![ok(one, Function::Txn, vec![Event::send(key, value, Some(offset)), Event::poll(key, value, offset)])]
        }
        Class::G1c => {
            let ((a, at_a), (b, at_b)) = (fresh.record(key), fresh.record(other));
            vec![
                ok(one, Function::Txn, vec![Event::send(key, a, Some(at_a)), Event::poll(other, b, at_b)]),
                ok(two, Function::Txn, vec![Event::send(other, b, Some(at_b)), Event::poll(key, a, at_a)]),
            ]
        }
        Class::G0 => {
            let (a1, b1) = (fresh.record(key), fresh.record(key));
            let (b2, a2) = (fresh.record(other), fresh.record(other));
            let send = |key, record: (u64, i64)| Event::send(key, record.0, Some(record.1));
            vec![
                ok(one, Function::Txn, vec![send(key, a1), send(other, a2)]),
                ok(two, Function::Txn, vec![send(key, b1), send(other, b2)]),
                polls(fresh.process(), key, &[a1, b1]),
                polls(fresh.process(), other, &[b2, a2]),
            ]
        }
        Class::IntPollSkip => {
            let mut events = fresh.poll(key, at..at + 5);
            events.remove(2);
            vec![ok(one, Function::Poll, events)]
        }
        Class::IntNonmonotonicPoll => {
            let mut events = fresh.poll(key, at..at + 5);
            events.insert(2, events[2]);
            vec![ok(one, Function::Poll, events)]
        }
        Class::PollSkip => vec![
            assigned,
            ok(one, Function::Poll, fresh.poll(key, at..at + 2)),
            ok(one, Function::Poll, fresh.poll(key, at + 3..at + 5)),
        ],
        Class::NonmonotonicPoll => vec![
            assigned,
            ok(one, Function::Poll, fresh.poll(key, at..at + 3)),
            ok(one, Function::Poll, fresh.poll(key, at + 2..at + 5)),
        ],
        Class::NonmonotonicSend => {
            let (first, second) = (fresh.record(key), fresh.record(key));
            vec![sends(one, key, &[second]), sends(one, key, &[first]), polls(two, key, &[first, second])]
        }
        Class::IntNonmonotonicSend => {
            let (first, second) = (fresh.record(key), fresh.record(key));
            vec![sends(one, key, &[second, first]), polls(two, key, &[first, second])]
        }
        Class::IntSendSkip => {
            let (first, between, last) = (fresh.record(key), fresh.record(key), fresh.record(key));
            let reader = fresh.process();
            vec![
                sends(one, key, &[first, last]),
                sends(two, key, &[between]),
                polls(reader, key, &[first, between, last]),
            ]
        }
        Class::Phantom => vec![polls(one, key, &[fresh.record(key)])],
        Class::DoubleConsume => {
            let (a, b) = (fresh.record(other), fresh.record(other));
            let consume = |process, sent: (u64, i64)| {
                let mut events = fresh.poll(key, at..at + 1);
                events.push(Event::send(other, sent.0, Some(sent.1)));
                ok(process, Function::Txn, events)
            };
            vec![consume(one, a), consume(two, b), polls(two + 1, other, &[a, b])]
        }
    };
    insert(operations, planted, random);
}

/// Puts operations in, in their order, anywhere.
fn insert(operations: &mut Vec<Operation>, planted: Vec<Operation>, random: &mut Random) {
    let mut at = random.below(operations.len());
    for operation in planted {
        operations.insert(at, operation);
        at += 1 + random.below(operations.len() - at);
    }
}

/// Nobody reads a record that is there.
fn lose(operations: &mut [Operation], fresh: &Fresh, key: Key, at: usize) {
    // One that was acknowledged.
    let acknowledged = |value: u64| {
        let sent = operations.iter().filter(|operation| operation.outcome == Outcome::Ok);
        sent.flat_map(|operation| &operation.events).any(|event| !event.is_poll && event.value == value)
    };
    let candidates = &fresh.logs[key as usize][at..];
    let (_, lost) = *candidates.iter().find(|(_, value)| acknowledged(*value)).expect("some are acknowledged");
    for operation in operations {
        operation.events.retain(|event| !event.is_poll || event.value != lost);
    }
}

/// A send that was acknowledged and read turns out to have failed.
fn fail_one(operations: &mut [Operation], random: &mut Random) {
    let is_sent = |operation: &Operation| operation.function == Function::Send && operation.outcome == Outcome::Ok;
    let start = random.below(operations.len() / 2);
    let operation = operations[start..].iter_mut().find(|operation| is_sent(operation)).expect("somebody sends");
    operation.outcome = Outcome::Fail;
}
