//! Crash images at block level: a short workload runs on a disk whose every write and flush is kept, with a kill and a clean
//! stop in between. Then the disk is made again as a power cut at any instant may have left it: what was flushed is there, of
//! the rest all, some, none, or half-written blocks. Each image is mounted, recovered, and compared with what had been promised
//! by that instant.

mod check;
pub mod disk;
pub mod failing;
mod image;
mod workload;

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use serde_json::{Value, json};

use crate::Orders;
use crate::check::Finding;
use crate::dice::Dice;
use crate::image::own_mounts;
use crate::process::Watched;
use crate::stage::Stage;
use crate::topics;
use check::Checker;
use disk::{Disk, Event, empty_ext4};
use image::Crashes;
use workload::{Promises, Workload};

/// Small, so that an image is cheap.
const DISK_MIB: u64 = 32;
/// Images of one recording.
const IMAGES_EACH: u64 = 400;
/// Everything that changes files happens within a second.
pub const SETTINGS: &[&str] = &[
    "log.segment.bytes=1048576",
    "offsets.topic.num.partitions=1",
    "offsets.topic.segment.bytes=1048576",
    "log.flush.offset.checkpoint.interval.ms=200",
    "log.retention.check.interval.ms=200",
    "log.cleaner.backoff.ms=50",
    "log.cleaner.min.cleanable.ratio=0.05",
    "log.cleaner.max.compaction.lag.ms=200",
    "metadata.log.max.record.bytes.between.snapshots=2048",
    "auto.create.topics.enable=false",
];

/// One workload as its disk saw it.
pub struct Recording {
    pub seed: u64,
    pub start_ms: i64,
    /// The disk before the first event.
    pub base: Vec<u8>,
    pub events: Vec<Event>,
    pub promises: Promises,
    pub acked_records: u64,
}

#[derive(Default)]
struct Totals {
    images: u64,
    recordings: u64,
    writes: u64,
    flushes: u64,
    acked_records: u64,
    /// Images that ext4 itself refused; they are not counted among the images.
    refused_by_ext4: u64,
    findings: Vec<String>,
}

impl Totals {
    /// A campaign whose file system fails all the time has tried nothing.
    fn is_ext4_sound(&self) -> bool {
        self.refused_by_ext4 <= 5 + self.images / 20
    }
}

pub fn run(orders: &Orders) -> Value {
    let mut totals = Totals::default();
    let ended = all(orders, &mut totals);
    let is_ok = ended.is_ok() && totals.findings.is_empty() && totals.images >= orders.count && totals.is_ext4_sound();
    json!({
        "tier": "images", "unit": "crash images", "seed": orders.seed,
        "result": if is_ok { "ok" } else { "failed" },
        "count": totals.images,
        "figures": {
            "recordings": totals.recordings, "writes": totals.writes, "flushes": totals.flushes,
            "acked_records": totals.acked_records, "refused_by_ext4": totals.refused_by_ext4, "violations": totals.findings.len(),
            "findings": totals.findings.iter().take(20).collect::<Vec<_>>(), "error": ended.err(),
        },
    })
}

fn all(orders: &Orders, totals: &mut Totals) -> Result<(), String> {
    own_mounts()?;
    let directory = tempfile::Builder::new().prefix("images").tempdir().map_err(|error| error.to_string())?;
    let empty = empty_ext4(directory.path(), DISK_MIB)?;
    let checker = Checker::new(&orders.binary, directory.path(), empty.clone())?;
    while totals.images < orders.count && totals.findings.len() < 20 && totals.is_ext4_sound() {
        let seed = orders.seed + totals.recordings;
        let recording = record(orders, seed, empty.clone(), directory.path(), totals)?;
        totals.recordings += 1;
        totals.acked_records += recording.acked_records;
        totals.flushes += recording.events.iter().filter(|event| matches!(event, Event::Flush)).count() as u64;
        totals.writes += recording.events.iter().filter(|event| matches!(event, Event::Write { .. })).count() as u64;
        let images = IMAGES_EACH.min(orders.count - totals.images);
        for crash in Crashes::of(&recording, images, Dice::named(seed, 0xa000)) {
            let Some(findings) = checker.check(&recording, &crash) else {
                totals.refused_by_ext4 += 1;
                continue;
            };
            totals.images += 1;
            if !findings.is_empty() {
                keep(&crash.bytes, seed, crash.position);
                totals.findings.extend(findings.iter().map(|finding| tell(seed, &crash, finding)));
            }
        }
        println!("images: {} done, {} findings", totals.images, totals.findings.len());
    }
    Ok(())
}

fn tell(seed: u64, crash: &image::Crash, finding: &Finding) -> String {
    let story = format!("recording {seed}, event {}, {}: {finding}", crash.position, crash.style);
    eprintln!("images: {story}");
    story
}

fn keep(bytes: &[u8], seed: u64, position: usize) {
    let file = std::env::temp_dir().join(format!("crash-image-{seed}-{position}"));
    match std::fs::write(&file, bytes) {
        Ok(()) => eprintln!("images: the image stays in {}", file.display()),
        Err(error) => eprintln!("images: the image is gone: {error}"),
    }
}

/// Runs the workload: a life that is killed, one that recovers and is stopped, and one more.
fn record(
    orders: &Orders,
    seed: u64,
    empty: Vec<u8>,
    directory: &Path,
    totals: &mut Totals,
) -> Result<Recording, String> {
    let own = directory.join(format!("recording-{seed}"));
    let at = own.join("mounted");
    std::fs::create_dir_all(&at).map_err(|error| error.to_string())?;
    let disk = Disk::attach(empty, &own)?;
    mount(&disk.device.path, &at, "ext4", MountFlags::empty(), None).map_err(|error| error.to_string())?;
    let start_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
    let stage = Stage::new(seed, start_ms, false);
    let settings: Vec<String> = SETTINGS.iter().map(|setting| (*setting).to_owned()).collect();
    let start = || Watched::start(&orders.binary, &at.join("data"), &own.join("broker.out"), &settings);
    let mut broker = start()?;
    stage.begin_life(broker.port);
    if !topics::create_all(&stage) {
        return Err("the topics of the workload cannot be made".to_owned());
    }
    let base = disk.shared.watch();
    let workload = Workload { stage: &stage, shared: &disk.shared, promises: Default::default() };
    let mut dice = Dice::named(seed, 2);
    let ended = workload.run(|| {
        let mut live = |from: u64, more: u64| std::thread::sleep(Duration::from_millis(from + dice.below(more)));
        live(300, 900);
        stage.end_life();
        broker.kill();
        broker = start()?;
        stage.begin_life(broker.port);
        live(200, 600);
        stage.end_life();
        broker.stop()?;
        broker = start()?;
        stage.begin_life(broker.port);
        live(100, 400);
        Ok(())
    });
    broker.kill();
    let events = disk.shared.take_events();
    totals.findings.extend(stage.findings().iter().map(|finding| format!("recording {seed}: {finding}")));
    unmount(&at, UnmountFlags::empty()).map_err(|error| format!("the recorded disk cannot be unmounted: {error}"))?;
    ended?;
    let acked_records = stage.acked_records();
    let promises = workload.promises.into_inner().expect("no holder panics");
    Ok(Recording { seed, start_ms, base, events, promises, acked_records })
}
