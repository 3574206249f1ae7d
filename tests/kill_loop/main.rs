//! The proof that nothing acknowledged is lost: the real binary under mixed load, killed with SIGKILL at random instants, also
//! while it starts and while it stops, and started again on the same directory, many times.
//!
//! Load: idempotent producers that repeat what had no answer, plain ones that do not, readers, members of two groups and
//! consumers that commit offsets, DeleteRecords, a compacted topic, topics that come and go. All speak the protocol; nothing looks into the
//! broker. Checked all the time: high watermark and log start never fall (I6), a record at an offset never changes (I3),
//! offsets are dense (I4), committed offsets are kept (I62), an answered batch that is repeated gets its offset back (I30).
//! Checked at the end: no acknowledged record lost (I1), duplicated (I30), or reordered (I5); and all of it once more after a
//! clean stop and start, which recovers nothing (I12).
//!
//! `KILLS` is how many, `SEED` repeats the plan of a run, `KILL_SECONDS` ends it early, `MILENA_BIN` is another binary than this
//! build's, `AGAINST=kafka` tries the loop itself on Apache Kafka. `scripts/kill.sh` is the long run.

// The loop is no part of the broker: it has its own threads, and measures a foreign process by the real clock.
#![allow(clippy::disallowed_methods)]

mod broker;
mod check;
mod client;
mod dice;
mod groups;
mod producers;
mod readers;
mod records;
mod run;
mod stage;
mod topics;

use std::path::{Path, PathBuf};
use std::time::Duration;

use milena::clock::{Clock, SystemClock};

use broker::{Kind, Launcher};
use run::{Loop, tail};
use stage::Stage;

/// How many kills a plain `cargo test` takes the time for, in each mode.
const KILLS: u64 = 20;

#[test]
fn kills_lose_nothing_when_answers_wait_for_the_flush() {
    prove("flush");
}

#[test]
fn kills_lose_nothing_when_answers_wait_for_the_page_cache() {
    prove("page-cache");
}

fn prove(durability: &'static str) {
    let is_kafka = std::env::var("AGAINST").is_ok_and(|peer| peer == "kafka");
    if is_kafka && durability == "flush" {
        println!("Kafka has no such mode: nothing to try");
        return;
    }
    let clock = SystemClock::default();
    let seed = number("SEED").unwrap_or_else(|| clock.random() >> 16);
    println!("kill loop, {durability}: SEED={seed}");
    let directory = tempfile::Builder::new().prefix("kill-loop").tempdir().expect("a directory for the run");
    let kind = if is_kafka {
        Kind::Kafka { script: Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/kafka-peer.sh") }
    } else {
        let binary = std::env::var_os("MILENA_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_milena").into());
        Kind::Milena { binary: PathBuf::from(binary), durability }
    };
    let (data, log) = (directory.path().join("data"), directory.path().join("broker.out"));
    let launcher = Launcher { kind, data, log, ground: None };
    let stage = Stage::new(seed, clock.now().wall.0, is_kafka);
    let mut run = Loop::begin(&stage, &launcher);
    let outcome = run.whole(number("KILLS").unwrap_or(KILLS), number("KILL_SECONDS").map(Duration::from_secs));
    run.conclude(durability, &outcome);
    let findings = stage.findings();
    if !findings.is_empty() {
        let kept = directory.keep();
        let (said, _) = launcher.said_since(0);
        eprintln!("what the broker said last:\n{}", tail(&said, 60));
        eprintln!("the data directory stays in {}", kept.display());
    }
    assert!(findings.is_empty(), "{} broken promises, SEED={seed}; the first: {}", findings.len(), findings[0]);
}

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {value}")))
}
