//! Histories that are right: clients of a log without faults, by seed. Answers get lost, transactions abort, clients crash, keys
//! are taken from subscribers; all that may happen. At the end fresh processes read everything.

use crate::history::{Event, Function, Key, Operation, Outcome};
use crate::random::Random;

pub struct Shape {
    pub seed: u64,
    /// About how many records are sent and polled in all.
    pub events: usize,
    pub keys: u32,
    pub processes: u32,
}

/// Records in one send or poll at most.
const BATCH: usize = 40;

struct Log {
    records: Vec<(i64, u64)>,
    end: i64,
    /// Up to where transactions have consumed it.
    consumed: usize,
}

#[derive(Default)]
struct Process {
    number: u32,
    is_subscribed: bool,
    /// Key and index of what is read next.
    positions: Vec<(Key, usize)>,
}

struct World<'a> {
    random: Random,
    logs: Vec<Log>,
    processes: Vec<Process>,
    next_process: u32,
    next_value: u64,
    time: u64,
    events: usize,
    out: &'a mut dyn FnMut(Operation),
}

/// Tells every operation of a history, in the order in which they ended.
pub fn generate(shape: &Shape, out: &mut dyn FnMut(Operation)) {
    let log = || Log { records: Vec::new(), end: 0, consumed: 0 };
    let mut world = World {
        random: Random::new(shape.seed),
        logs: (0..shape.keys).map(|_| log()).collect(),
        processes: (0..shape.processes).map(|number| Process { number, ..Process::default() }).collect(),
        next_process: shape.processes,
        next_value: 1,
        time: 0,
        events: 0,
        out,
    };
    // The last polls read everything once more, which is nearly as much as was sent.
    while world.events + world.logs.iter().map(|log| log.records.len()).sum::<usize>() < shape.events {
        world.step();
    }
    world.read_everything();
}

/// All of it at once.
pub fn operations(shape: &Shape) -> Vec<Operation> {
    let mut all = Vec::new();
    generate(shape, &mut |operation| all.push(operation));
    all
}

impl World<'_> {
    fn tell(&mut self, mut operation: Operation) {
        self.time += 1 + self.random.below(1_000) as u64;
        operation.time = self.time;
        self.events += operation.events.len();
        (self.out)(operation);
    }

    fn step(&mut self) {
        let process = self.random.below(self.processes.len());
        match self.random.below(64) {
            0 => self.turn(process),
            1 if self.random.one_in(8) => self.crash(process),
            1..=9 => self.transact(process),
            10..=35 => self.send(process),
            _ => self.poll(process),
        }
    }

    fn key(&mut self) -> Key {
        self.random.below(self.logs.len()) as Key
    }

    /// Assigns or subscribes to some keys, a third of the time those with news. What stays assigned goes on where it was.
    fn turn(&mut self, process: usize) {
        let is_subscribed = self.random.one_in(2);
        let mut keys: Vec<Key> = (0..1 + self.random.below(3)).map(|_| self.key()).collect();
        keys.sort_unstable();
        keys.dedup();
        let kept = std::mem::take(&mut self.processes[process].positions);
        let mut positions = Vec::new();
        for key in &keys {
            let known = kept.iter().find(|(known, _)| known == key).map(|(_, at)| *at);
            let start = self.random.below(self.logs[*key as usize].records.len() + 1);
            positions.push((*key, known.filter(|_| !is_subscribed).unwrap_or(start)));
        }
        let function = if is_subscribed { Function::Subscribe } else { Function::Assign };
        let number = self.processes[process].number;
        self.processes[process] = Process { number, is_subscribed, positions };
        self.tell(Operation { keys, ..Operation::new(number, Outcome::Ok, function, Vec::new()) });
    }

    fn crash(&mut self, process: usize) {
        let number = self.processes[process].number;
        self.processes[process] = Process { number: self.next_process, ..Process::default() };
        self.next_process += 1;
        self.tell(Operation::new(number, Outcome::Ok, Function::Crash, Vec::new()));
    }

    fn fresh(&mut self) -> u64 {
        self.next_value += 1;
        self.next_value
    }

    fn outcome(&mut self) -> (Outcome, bool) {
        match self.random.below(40) {
            0 => (Outcome::Fail, false),
            1 => (Outcome::Info, false),
            2 => (Outcome::Info, true),
            _ => (Outcome::Ok, true),
        }
    }

    fn append(&mut self, key: Key, value: u64) -> i64 {
        let log = &mut self.logs[key as usize];
        log.records.push((log.end, value));
        log.end += 1;
        log.end - 1
    }

    fn send(&mut self, process: usize) {
        let (key, count) = (self.key(), 1 + self.random.below(BATCH));
        let (outcome, is_there) = self.outcome();
        let mut events = Vec::with_capacity(count);
        for _ in 0..count {
            let value = self.fresh();
            let offset = is_there.then(|| self.append(key, value));
            events.push(Event::send(key, value, offset.filter(|_| outcome == Outcome::Ok)));
        }
        self.tell(Operation::new(self.processes[process].number, outcome, Function::Send, events));
    }

    fn poll(&mut self, process: usize) {
        let mut events = Vec::new();
        let mut rebalanced = Vec::new();
        for index in 0..self.processes[process].positions.len() {
            let (key, at) = self.processes[process].positions[index];
            if self.processes[process].is_subscribed && self.random.one_in(30) {
                // Taken away and given back, somewhere else.
                let elsewhere = self.random.below(self.logs[key as usize].records.len() + 1);
                self.processes[process].positions[index].1 = elsewhere;
                rebalanced.push(key);
                continue;
            }
            let records = &self.logs[key as usize].records[at..];
            let count = records.len().min(1 + self.random.below(BATCH));
            events.extend(records[..count].iter().map(|(offset, value)| Event::poll(key, *value, *offset)));
            self.processes[process].positions[index].1 += count;
        }
        if !events.is_empty() || !rebalanced.is_empty() {
            let number = self.processes[process].number;
            self.tell(Operation { rebalanced, ..Operation::new(number, Outcome::Ok, Function::Poll, events) });
        }
    }

    /// Consumes a little of one key and sends as much to others, all or nothing; each key has one process that does so.
    fn transact(&mut self, process: usize) {
        let key = self.key();
        let number = 1_000_000 - 1 - key;
        let log = &self.logs[key as usize];
        let count = (log.records.len() - log.consumed).min(1 + process % 2);
        let records = &log.records[log.consumed..log.consumed + count];
        let mut events: Vec<Event> = records.iter().map(|(offset, value)| Event::poll(key, *value, *offset)).collect();
        let is_committed = !self.random.one_in(8);
        let targets: Vec<Key> = (0..1 + self.random.below(2)).map(|_| self.key()).collect();
        for target in &targets {
            let value = self.fresh();
            let log = &mut self.logs[*target as usize];
            // What is aborted has its place, and nobody sees it.
            let offset = log.end;
            log.end += 1;
            if is_committed {
                log.records.push((offset, value));
            }
            events.push(Event::send(*target, value, is_committed.then_some(offset)));
        }
        // The marker has an offset too.
        targets.iter().for_each(|target| self.logs[*target as usize].end += 1);
        if is_committed {
            self.logs[key as usize].consumed += count;
        }
        let outcome = if is_committed { Outcome::Ok } else { Outcome::Fail };
        self.tell(Operation::new(number, outcome, Function::Txn, events));
    }

    fn read_everything(&mut self) {
        for key in 0..self.logs.len() {
            let number = self.next_process;
            self.next_process += 1;
            let assign = Operation::new(number, Outcome::Ok, Function::Assign, Vec::new());
            self.tell(Operation { keys: vec![key as Key], ..assign });
            let records = std::mem::take(&mut self.logs[key].records);
            for chunk in records.chunks(500) {
                let events = chunk.iter().map(|(offset, value)| Event::poll(key as Key, *value, *offset)).collect();
                self.tell(Operation::new(number, Outcome::Ok, Function::Poll, events));
            }
        }
    }
}
