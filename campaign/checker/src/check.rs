//! The walk over a history, once for each kind of rule.

use std::collections::HashMap;

use crate::anomaly::{Class, Report, Rules};
use crate::cycles;
use crate::history::{Event, Function, History, Key, Outcome};
use crate::order::Order;

/// Everything that is wrong with a history, and what is odd but allowed.
pub fn check(history: &History, rules: &Rules) -> Report {
    let mut report = Report::default();
    (report.operations, report.events) = (history.operation_count(), history.event_count());
    let order = Order::find(history, rules.allow(Class::Duplicate), &mut report);
    report.keys = order.logs.len();
    let mut walk = Walk { history, order, rules, report };
    walk.writes();
    walk.reads();
    walk.polls();
    walk.sends();
    if rules.exactly_once {
        walk.consumption();
    }
    let Walk { order, mut report, .. } = walk;
    cycles::check(history, &order, rules, &mut report);
    report
}

struct Walk<'a> {
    history: &'a History,
    order: Order,
    rules: &'a Rules,
    report: Report,
}

impl Walk<'_> {
    fn add(&mut self, class: Class, story: impl FnOnce() -> String) {
        let is_allowed = self.rules.allow(class);
        self.report.add(class, is_allowed, story);
    }

    /// What is committed must be seen: below the highest value read by somebody, above it by the last polls.
    fn writes(&mut self) {
        for key in 0..self.order.logs.len() as Key {
            let end = self.order.logs[key as usize].last_read.map_or(0, |last| last as usize + 1);
            let is_lost = |writer: Option<u32>| writer.is_some_and(|writer| self.order.is_committed(writer));
            let unread = self.order.log(key).take(end).filter(|(.., is_read)| !is_read);
            let lost: Vec<(i64, u64)> = unread
                .filter(|(_, _, writer, _)| is_lost(*writer))
                .map(|(offset, value, ..)| (offset, value))
                .collect();
            for (offset, value) in lost {
                self.add(Class::LostWrite, || {
                    format!("value {value}, committed at key {key} offset {offset}, was skipped by all")
                });
            }
        }
        for (operation, event) in self.history.events().filter(|(_, event)| !event.is_poll) {
            if !self.order.is_committed(operation) {
                continue;
            }
            self.report.values_committed += 1;
            if self.order.is_read(event.value) {
                continue;
            }
            let last_read = self.order.logs[event.key as usize].last_read;
            let is_beyond =
                self.order.place(event.value).is_none_or(|(_, index)| last_read.is_none_or(|last| index > last));
            if is_beyond {
                let Event { key, value, .. } = event;
                self.add(Class::Unseen, || {
                    format!("value {value} of key {key}, sent by operation {operation}, was never read")
                });
            }
        }
    }

    /// What is read must have been written, by somebody who was not told that it failed.
    fn reads(&mut self) {
        let mut last_told = None;
        for (operation, event) in self.history.events().filter(|(_, event)| event.is_poll) {
            let Event { key, value, offset, .. } = event;
            let place = format_args!("key {key} offset {}", offset.unwrap_or(-1)).to_string();
            match self.order.writer(value) {
                None => self.add(Class::Phantom, || format!("value {value} at {place} was never sent")),
                Some(writer) if self.history.row(writer).outcome == Outcome::Fail => {
                    self.add(Class::G1a, || {
                        format!("value {value} at {place} was read, and operation {writer} that sent it failed")
                    });
                }
                Some(writer) if writer == operation && last_told != Some(operation) => {
                    last_told = Some(operation);
                    self.add(Class::PrecommittedRead, || {
                        format!("operation {operation} polled value {value}, which it sent itself")
                    });
                }
                Some(_) => {}
            }
        }
        self.report.values_read = (0..self.order.logs.len() as Key)
            .map(|key| self.order.log(key).filter(|(.., is_read)| *is_read).count() as u64)
            .sum();
    }

    /// Each process goes on where it left off.
    fn polls(&mut self) {
        let mut readers: HashMap<u32, Reader> = HashMap::new();
        for (operation, row) in self.history.operations() {
            let reader = readers.entry(row.process).or_default();
            if !row.function.is_transfer() {
                reader.turn(row.function, self.history.keys_of(operation));
                continue;
            }
            // Who aborts goes back to where it was.
            if row.outcome == Outcome::Fail {
                continue;
            }
            let is_subscribed = reader.is_subscribed;
            let mut inside: Vec<(Key, u32)> = Vec::new();
            for event in self.history.events_of(operation).filter(|event| event.is_poll) {
                let Some(index) = self.order.index_of(event) else { continue };
                let is_excused = self.history.is_rebalanced(operation, event.key);
                let inner = inside.iter_mut().find(|(key, _)| *key == event.key);
                let (before, classes, is_allowed) = match inner {
                    Some((_, last)) => (
                        Some(std::mem::replace(last, index)),
                        [Class::IntPollSkip, Class::IntNonmonotonicPoll],
                        is_excused,
                    ),
                    None => {
                        inside.push((event.key, index));
                        let before = reader.positions.get(&event.key).copied();
                        (before, [Class::PollSkip, Class::NonmonotonicPoll], is_subscribed || is_excused)
                    }
                };
                let Some(before) = before else { continue };
                let class = match index {
                    index if index > before + 1 => classes[0],
                    index if index <= before => classes[1],
                    _ => continue,
                };
                let story = || {
                    let Event { key, value, offset, .. } = event;
                    let offset = offset.unwrap_or(-1);
                    format!(
                        "process {} in operation {operation}, key {key}: number {index} (value {value}, offset {offset}) came after number {before}",
                        row.process
                    )
                };
                self.report.add(class, is_allowed, story);
            }
            reader.positions.extend(inside);
        }
    }

    /// What a process sends lands in the order in which it sent it.
    fn sends(&mut self) {
        let mut last: HashMap<(u32, Key), u32> = HashMap::new();
        for (operation, row) in self.history.operations().filter(|(_, row)| row.function.is_transfer()) {
            if !self.order.is_committed(operation) {
                continue;
            }
            let mut inside: Vec<(Key, u32)> = Vec::new();
            for event in self.history.events_of(operation).filter(|event| !event.is_poll) {
                let Some((key, index)) = self.order.place(event.value) else { continue };
                let inner = inside.iter_mut().find(|(known, _)| *known == key);
                let (before, is_inner) = match inner {
                    Some((_, last)) => (Some(std::mem::replace(last, index)), true),
                    None => {
                        inside.push((key, index));
                        (last.get(&(row.process, key)).copied(), false)
                    }
                };
                let Some(before) = before else { continue };
                let story = || {
                    format!(
                        "process {} in operation {operation}: value {} became number {index} of key {key}, behind which the one before it is number {before}",
                        row.process, event.value
                    )
                };
                match (index <= before, is_inner) {
                    (true, true) => self.add(Class::IntNonmonotonicSend, story),
                    (true, false) => self.add(Class::NonmonotonicSend, story),
                    (false, true) if index > before + 1 => self.add(Class::IntSendSkip, story),
                    _ => {}
                }
            }
            last.extend(inside.into_iter().map(|(key, index)| ((row.process, key), index)));
        }
    }

    /// What one committed transaction consumed, no other consumes.
    fn consumption(&mut self) {
        let mut consumed: HashMap<u64, u32> = HashMap::new();
        for (operation, event) in self.history.events().filter(|(_, event)| event.is_poll) {
            let row = self.history.row(operation);
            let is_processing = row.function == Function::Txn
                && row.outcome == Outcome::Ok
                && self.history.events_of(operation).any(|event| !event.is_poll);
            if !is_processing {
                continue;
            }
            let before = *consumed.entry(event.value).or_insert(operation);
            if before != operation {
                self.add(Class::DoubleConsume, || {
                    format!("value {} was consumed by operation {before} and by operation {operation}", event.value)
                });
            }
        }
    }
}

/// How a process polls, and how far it has come.
#[derive(Default)]
struct Reader {
    is_subscribed: bool,
    positions: HashMap<Key, u32>,
}

impl Reader {
    fn turn(&mut self, function: Function, keys: &[Key]) {
        let was_subscribed = std::mem::replace(&mut self.is_subscribed, function == Function::Subscribe);
        match function {
            // What was assigned before and still is goes on.
            Function::Assign if !was_subscribed => self.positions.retain(|key, _| keys.contains(key)),
            _ => self.positions.clear(),
        }
    }
}
