//! The soak: one broker for hours under mixed load at a moderate rate. Plain, idempotent and keyed producers, a follower that
//! checks every byte of every record, classic groups whose members come and go, a compacted topic, retention, connections that
//! open and close. Memory, descriptors and threads are looked at once a minute.
//!
//! Every partition has one writer and the broker is never disturbed, so the `n`th record of a partition must be at offset `n`:
//! acknowledged there, and read there.

mod samples;
mod traffic;

use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::check::{Fault, Finding};
use crate::process::{Watched, sample};
use crate::stage::{PLACES, Stage};
use crate::{Orders, groups, topics};
use samples::{Latencies, Minute};

/// Segments roll and go, and everything that happens in the background happens often.
const SETTINGS: &[&str] = &[
    "log.segment.bytes=4194304",
    "log.retention.bytes=16777216",
    "log.retention.check.interval.ms=5000",
    "log.cleaner.backoff.ms=2000",
    "log.cleaner.min.cleanable.ratio=0.2",
    "log.cleaner.max.compaction.lag.ms=60000",
    "offsets.topic.num.partitions=5",
    "offsets.topic.segment.bytes=1048576",
    "group.min.session.timeout.ms=1000",
    "auto.create.topics.enable=false",
];

/// The workers of the kill loop rest this many times longer here.
const PACE: u32 = 40;

/// What the threads of a soak share.
pub struct Soak {
    pub stage: Stage,
    pub latencies: Latencies,
    /// The next record of each place, once the one before it is acknowledged.
    pub written: Vec<Mutex<u32>>,
}

pub fn run(orders: &Orders) -> Value {
    let directory = tempfile::Builder::new().prefix("soak").tempdir().expect("a directory for the run");
    let (data, log) = (directory.path().join("data"), directory.path().join("broker.out"));
    let settings: Vec<String> = SETTINGS.iter().map(|setting| (*setting).to_owned()).collect();
    let mut broker = match Watched::start(&orders.binary, &data, &log, &settings) {
        Ok(broker) => broker,
        Err(error) => return json!({"tier": "soak", "result": "failed", "error": error}),
    };
    let start_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
    let mut stage = Stage::new(orders.seed, start_ms, false);
    stage.pace = PACE;
    // Retention takes the beginning away, wherever it likes.
    stage.marks.iter().for_each(|mark| mark.trim_requested.store(i64::MAX, std::sync::atomic::Ordering::SeqCst));
    stage.begin_life(broker.port);
    let written = PLACES.iter().map(|_| Mutex::new(0)).collect();
    let soak = Soak { stage, latencies: Latencies::default(), written };
    let minutes = watch(&soak, &mut broker, Duration::from_secs(orders.seconds));
    said_nothing_bad(&soak.stage, &log);
    let findings = soak.stage.findings();
    if !findings.is_empty() {
        eprintln!("soak: the data directory stays in {}", directory.keep().display());
    }
    verdict(orders, &soak, &minutes, &findings)
}

/// Runs the load and takes a sample every minute (every second of a run shorter than ten minutes).
fn watch(soak: &Soak, broker: &mut Watched, time: Duration) -> Vec<Minute> {
    let stage = &soak.stage;
    if !topics::create_all(stage) {
        return Vec::new();
    }
    let start = Instant::now();
    let every = if time < Duration::from_secs(600) { Duration::from_secs(1) } else { Duration::from_secs(60) };
    let mut minutes: Vec<Minute> = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| traffic::write(soak, &[0, 1], false));
        scope.spawn(|| traffic::write(soak, &[2, 3, 4], true));
        scope.spawn(|| traffic::write(soak, &[5], false));
        scope.spawn(|| traffic::follow(soak));
        let port = broker.port;
        scope.spawn(move || traffic::come_and_go(soak, port));
        scope.spawn(|| topics::changer(stage));
        for name in 0..4 {
            let group = if name < 2 { "pair" } else { "other-pair" };
            scope.spawn(move || groups::member(stage, group, name));
        }
        while start.elapsed() < time && stage.findings().is_empty() {
            let next = start + every * (minutes.len() as u32 + 1);
            thread::sleep(next.saturating_duration_since(Instant::now()));
            if let Some(status) = broker.ended() {
                stage.find(Fault::NotServing, format!("the broker ended by itself with {status}"));
                break;
            }
            let minute = Minute::take(start.elapsed(), broker.sample(), &soak.latencies);
            println!("{minute}");
            minutes.push(minute);
        }
        stage.finish();
        if !stage.findings().is_empty() {
            stage.end_all();
        }
    });
    minutes
}

fn said_nothing_bad(stage: &Stage, log: &Path) {
    let said = std::fs::read_to_string(log).unwrap_or_default();
    if let Some(line) = said.lines().find(|line| line.contains("panicked at") || line.contains(" ERROR ")) {
        stage.find(Fault::Unexpected, format!("the broker says: {line}"));
    }
}

fn verdict(orders: &Orders, soak: &Soak, minutes: &[Minute], findings: &[Finding]) -> Value {
    let trend = samples::Trend::of(minutes);
    let is_flat = trend.as_ref().is_none_or(samples::Trend::is_flat);
    let load = |counter: &std::sync::atomic::AtomicU64| counter.load(std::sync::atomic::Ordering::Relaxed);
    let counts = &soak.stage.counts;
    let own = sample(std::process::id());
    let seconds = minutes.last().map_or(0.0, |minute| minute.at.as_secs_f64());
    let is_long_enough = seconds + 1.0 >= orders.seconds as f64;
    json!({
        "tier": "soak",
        "result": if findings.is_empty() && is_flat && is_long_enough { "ok" } else { "failed" },
        "count": (seconds / 60.0).round(),
        "unit": "minutes",
        "seed": orders.seed,
        "seconds": seconds,
        "figures": {
            "acked_records": soak.stage.acked_records(),
            "records_read": load(&counts.records_read),
            "lost": findings.iter().filter(|finding| finding.fault == Fault::Lost).count(),
            "findings": findings.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "generations": load(&counts.generations),
            "commits_acked": load(&counts.commits_acked),
            "topics_changed": load(&counts.topics_changed),
            "trend": trend.map(|trend| trend.figures()),
            "broker_cpu_percent": minutes.last().map(|last| 100.0 * last.sample.cpu_seconds / seconds),
            "load_cpu_percent": 100.0 * own.cpu_seconds / seconds.max(1.0),
        },
    })
}
