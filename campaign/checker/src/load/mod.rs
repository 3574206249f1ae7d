//! Load on a real broker that is killed now and then, and the history of it.
//!
//! Keys are partitions of one topic; those behind `INPUTS` are written by the members of a group that read the others. All threads
//! speak the protocol through `client`, and each writes a file of lines, which together are the history.

mod broker;
mod consumers;
mod group;
mod producers;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::Connection;
use crate::history::{Key, Operation, write_completion, write_invocation};
use crate::random::Random;

use broker::Broker;

pub const TOPIC: &str = "history";
pub const GROUP: &str = "history-group";
/// Keys that producers write and the group reads.
pub const INPUTS: u32 = 12;
/// Keys in all.
pub const KEYS: u32 = 16;
const IDEMPOTENT: usize = 4;
const PLAIN: usize = 2;
const CONSUMERS: usize = 3;
const MEMBERS: usize = 3;

pub struct Plan {
    pub binary: PathBuf,
    pub directory: PathBuf,
    pub durability: String,
    pub seed: u64,
    /// Record events wanted, the last polls included.
    pub events: u64,
    /// The load ends then, however much there is.
    pub limit: Duration,
    /// Milliseconds from one kill to the next, on average; none kills nobody.
    pub kill_every_ms: Option<u64>,
}

#[derive(Debug, Default)]
pub struct Outcome {
    pub kills: u64,
    pub seconds: f64,
    pub files: Vec<PathBuf>,
    /// What is wrong and no class of the checker.
    pub findings: Vec<String>,
    pub commits: u64,
}

/// What all threads share.
pub struct Stage {
    pub port: u16,
    ended: AtomicBool,
    next_value: AtomicU64,
    next_process: AtomicU32,
    events: AtomicU64,
    sent: AtomicU64,
    pub commits: AtomicU64,
    /// The highest offset whose commit was acknowledged, by key.
    pub committed: Mutex<Vec<i64>>,
    findings: Mutex<Vec<String>>,
}

impl Stage {
    pub fn is_over(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    pub fn process(&self) -> u32 {
        self.next_process.fetch_add(1, Ordering::Relaxed)
    }

    /// New values, one after the other.
    pub fn values(&self, count: usize) -> Vec<u64> {
        let first = self.next_value.fetch_add(count as u64, Ordering::Relaxed);
        self.sent.fetch_add(count as u64, Ordering::Relaxed);
        (first..first + count as u64).collect()
    }

    pub fn find(&self, story: String) {
        eprintln!("found: {story}");
        self.lock().push(story);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.findings.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// A connection, as soon as there is a broker; none once it is over.
    pub fn connect(&self) -> Option<Connection> {
        while !self.is_over() {
            if let Ok(connection) = Connection::open(self.port) {
                return Some(connection);
            }
            thread::sleep(Duration::from_millis(20));
        }
        None
    }
}

/// One thread's part of the history.
pub struct Recorder<'a> {
    pub stage: &'a Stage,
    file: BufWriter<File>,
    began: Instant,
    line: String,
}

impl<'a> Recorder<'a> {
    fn new(stage: &'a Stage, path: &Path, began: Instant) -> std::io::Result<Recorder<'a>> {
        Ok(Recorder { stage, file: BufWriter::with_capacity(1 << 18, File::create(path)?), began, line: String::new() })
    }

    pub fn begin(&mut self, operation: &mut Operation) {
        self.write(operation, write_invocation);
    }

    pub fn end(&mut self, operation: &mut Operation) {
        self.stage.events.fetch_add(operation.events.len() as u64, Ordering::Relaxed);
        self.write(operation, write_completion);
    }

    fn write(&mut self, operation: &mut Operation, write: fn(&mut String, &Operation)) {
        operation.time = self.began.elapsed().as_micros() as u64;
        self.line.clear();
        write(&mut self.line, operation);
        self.file.write_all(self.line.as_bytes()).expect("the disk takes the history");
    }
}

/// Starts a broker, works and kills until there is enough, reads everything, and stops.
pub fn run(plan: &Plan) -> Result<Outcome, String> {
    let began = Instant::now();
    let mut broker = Broker::start(plan)?;
    let stage = Stage {
        port: broker.port,
        ended: AtomicBool::new(false),
        next_value: AtomicU64::new(1),
        next_process: AtomicU32::new(0),
        events: AtomicU64::new(0),
        sent: AtomicU64::new(0),
        commits: AtomicU64::new(0),
        committed: Mutex::new(vec![-1; KEYS as usize]),
        findings: Mutex::new(Vec::new()),
    };
    let told = |error: std::io::Error| error.to_string();
    let mut first = stage.connect().ok_or("no broker")?;
    first.create_topic(TOPIC, KEYS as i32).map_err(told)?;
    first.find_coordinator(GROUP).map_err(told)?;
    let mut outcome = Outcome::default();
    let mut random = Random::new(plan.seed);
    type Work = fn(&mut Recorder<'_>, Random, usize);
    let works: [(Work, usize); 4] = [
        (producers::idempotent, IDEMPOTENT),
        (producers::plain, PLAIN),
        (consumers::consume, CONSUMERS),
        (group::member, MEMBERS),
    ];
    thread::scope(|scope| -> Result<(), String> {
        for (work, count) in works {
            for index in 0..count {
                let path = plan.directory.join(format!("history-{}.jsonl", outcome.files.len()));
                let mut recorder = Recorder::new(&stage, &path, began).map_err(told)?;
                outcome.files.push(path);
                let random = Random::new(random.roll());
                scope.spawn(move || work(&mut recorder, random, index));
            }
        }
        let mut next_kill = Instant::now();
        // The last polls read everything once more.
        while stage.events.load(Ordering::Relaxed) + stage.sent.load(Ordering::Relaxed) < plan.events
            && began.elapsed() < plan.limit
        {
            thread::sleep(Duration::from_millis(50));
            let Some(every) = plan.kill_every_ms else { continue };
            if Instant::now() >= next_kill {
                next_kill = Instant::now() + Duration::from_millis(every / 2 + random.roll() % every.max(1));
                if outcome.kills > 0 || began.elapsed() > Duration::from_secs(1) {
                    broker.kill_and_start(plan).inspect_err(|_| stage.ended.store(true, Ordering::Relaxed))?;
                    outcome.kills += 1;
                }
            }
        }
        stage.ended.store(true, Ordering::Relaxed);
        Ok(())
    })?;
    let path = plan.directory.join("history-last.jsonl");
    consumers::read_everything(&mut Recorder::new(&stage, &path, began).map_err(told)?)?;
    outcome.files.push(path);
    broker.stop()?;
    outcome.seconds = began.elapsed().as_secs_f64();
    outcome.commits = stage.commits.load(Ordering::Relaxed);
    outcome.findings = std::mem::take(&mut *stage.lock());
    Ok(outcome)
}

/// The partition that is a key.
pub fn partition(key: Key) -> i32 {
    key as i32
}
