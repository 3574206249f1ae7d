//! SIGKILL and power cuts: the kill loop, on the file system of the machine or on one whose power goes with the process.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::Orders;
use crate::broker::{Ground, Kind, Launcher};
use crate::image::{Image, own_mounts};
use crate::run::{Loop, Outcome, tail};
use crate::stage::Stage;

/// Sparse: only what a run writes is there.
const DISK_MIB: u64 = 8 << 10;

/// One run of the kill loop.
pub struct Trial<'a> {
    pub kind: Kind,
    /// Kills take the power along.
    pub file_system: Option<&'a str>,
    pub counts_losses: bool,
    pub count: u64,
    pub seed: u64,
}

/// Half of the kills in each durability.
pub fn kill(orders: &Orders) -> Value {
    let half = orders.count.div_ceil(2);
    let flush = run(&trial(orders, "flush", None, half));
    let page_cache = run(&trial(orders, "page-cache", None, orders.count - half));
    let is_ok = flush["result"] == "ok" && page_cache["result"] == "ok";
    json!({
        "tier": "kills", "unit": "kills", "seed": orders.seed,
        "result": if is_ok { "ok" } else { "failed" },
        "count": flush["count"].as_u64().unwrap_or(0) + page_cache["count"].as_u64().unwrap_or(0),
        "figures": { "flush": flush["figures"], "page_cache": page_cache["figures"] },
    })
}

/// Power cuts on `ext4` or `xfs`, where an answer to acks=all waits for the flush.
pub fn cut(orders: &Orders, file_system: &'static str) -> Value {
    if let Err(error) = own_mounts() {
        return json!({"result": "failed", "figures": {"error": error}});
    }
    let result = run(&trial(orders, "flush", Some(file_system), orders.count));
    json!({
        "tier": format!("cuts-{file_system}"), "unit": "power cuts", "seed": orders.seed,
        "result": result["result"], "count": result["count"], "figures": result["figures"],
    })
}

fn trial<'a>(orders: &Orders, durability: &'static str, file_system: Option<&'a str>, count: u64) -> Trial<'a> {
    let kind = Kind::Milena { binary: orders.binary.clone(), durability };
    Trial { kind, file_system, counts_losses: false, count, seed: orders.seed }
}

pub fn run(trial: &Trial<'_>) -> Value {
    let directory = tempfile::Builder::new().prefix("campaign").tempdir().expect("a directory for the run");
    let ground = match trial.file_system.map(|kind| Image::make(kind, directory.path(), DISK_MIB)).transpose() {
        Ok(image) => image,
        Err(error) => return json!({"result": "failed", "count": 0, "figures": {"error": error}}),
    };
    let data = ground.as_ref().map_or(directory.path(), |image| &image.at).join("data");
    let ground = ground.map(|image| Box::new(image) as Box<dyn Ground>);
    let launcher = Launcher { kind: trial.kind.clone(), data, log: directory.path().join("broker.out"), ground };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
    let is_kafka = matches!(trial.kind, Kind::Kafka { .. });
    let mut stage = Stage::new(trial.seed, now, is_kafka);
    stage.counts_losses = trial.counts_losses;
    let mut run = Loop::begin(&stage, &launcher);
    let outcome = run.whole(trial.count, None);
    run.conclude(trial.file_system.unwrap_or("kills"), &outcome);
    let result = figures(&run, &stage, &outcome);
    drop(run);
    let is_served_again = outcome.acked_records > 0;
    if !stage.findings().is_empty() && !(trial.counts_losses && is_served_again) {
        let (said, _) = launcher.said_since(0);
        eprintln!("campaign: what the broker said last:\n{}", tail(&said, 60));
        keep(&launcher.data);
    }
    result
}

fn figures(run: &Loop<'_>, stage: &Stage, outcome: &Outcome) -> Value {
    let counts = &stage.counts;
    let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let findings = stage.findings();
    let stories: Vec<String> = findings.iter().take(20).map(ToString::to_string).collect();
    let lost_percent = 100.0 * outcome.lost as f64 / outcome.acked_records.max(1) as f64;
    json!({
        "result": if findings.is_empty() && outcome.acked_records > 0 { "ok" } else { "failed" },
        "count": run.kills,
        "figures": {
            "acked_records": stage.acked_records(),
            "judged_records": outcome.acked_records,
            "lost": outcome.lost,
            "lost_percent": lost_percent,
            "duplicated": outcome.duplicated,
            "reordered": outcome.reordered,
            "changed": outcome.changed,
            "while_starting": run.early_kills,
            "clean_stops": run.clean_stops,
            "committed_offsets_checked": get(&counts.commits_checked),
            "batches_sent_again": get(&counts.retries),
            "records_read": get(&counts.records_read),
            "findings": stories,
        },
    })
}

/// The directory of a run that broke a promise outlives it.
fn keep(data: &Path) {
    let to = PathBuf::from(format!("{}/campaign-{}", std::env::temp_dir().display(), std::process::id()));
    match crate::image::said(std::process::Command::new("cp").arg("-a").arg(data).arg(&to)) {
        Ok(_) => eprintln!("campaign: the data directory stays in {}", to.display()),
        Err(error) => eprintln!("campaign: the data directory is gone: {error}"),
    }
}
