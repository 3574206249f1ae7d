//! I85 at every operation of a cleaning: the process dies or the power goes, and for each group of segments the log has the
//! old records or the new ones, never some of both.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::compaction::*;
use super::harness::*;
use crate::config::LogConfig;
use crate::record::{Builder, ValidBatch};
use crate::storage::compaction::Failure;
use crate::storage::disk::Disk;
use crate::storage::log::{Log, OpenHint};
use crate::testing::disk::{Crashes, Cut, Image, SimDisk};
use crate::testing::seed::Seed;
use crate::types::*;

/// Everything of the log that a cleaning may change or must not.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Facts {
    records: Vec<Seen>,
    end: Offset,
    last_stable: Offset,
    producers: usize,
}

fn facts(log: &Log) -> Facts {
    let end = log.log_end_offset();
    Facts { records: seen(log), end, last_stable: log.last_stable_offset(end), producers: log.producers().len() }
}

fn dir() -> PathBuf {
    Path::new("/data").join("orders-0")
}

fn open_after_crash(image: Image, config: &LogConfig, recovery_point: Offset) -> (Log, SimDisk) {
    let disk = SimDisk::from_image(image);
    let hint = OpenHint { clean: false, recovery_point, log_start_offset: Offset(0), flushed: false, cleaned: true };
    let as_disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let (log, _) = open(&as_disk, &dir(), config, hint).expect("what a crash leaves is no damage");
    (log, disk)
}

fn has_leftovers(disk: &SimDisk) -> bool {
    disk.list(&dir()).unwrap().iter().any(|name| name.ends_with(".cleaned") || name.ends_with(".swap"))
}

/// A log with values and tombstones, a committed and an aborted transaction, in many small segments; `config` holds from
/// then on.
fn story(disk: &SimDisk, config: &LogConfig) -> Bench {
    disk.create_dir_all(Path::new("/data")).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    let mut bench = Bench::on(Arc::new(disk.clone()), dir(), LogConfig { segment_bytes: 300, ..config.clone() });
    let batch = |round: i32| -> ValidBatch {
        let value = round.to_string();
        let records = [("a", Some(&*value)), ("b", None), ("only", Some("once"))];
        keyed(if round == 3 { &records } else { &records[..2] })
    };
    for round in 0..14 {
        bench.put(batch(round));
        match round {
            2 => drop(bench.put(fill(of_producer(1, 0, true), Timestamp(1), &[("a", Some("aborted"))]))),
            5 => drop(bench.put(fill(of_producer(2, 0, true), Timestamp(1), &[("c", Some("committed"))]))),
            7 => drop(bench.put(marker(1, 0, false))),
            8 => drop(bench.put(marker(2, 0, true))),
            9 => drop(bench.put(fill(Builder::new(), Timestamp(9), &[("b", Some("back"))]))),
            _ => {}
        }
    }
    bench.log.roll(now()).unwrap();
    bench.put(keyed(&[("a", Some("active"))]));
    bench.log.flush().unwrap();
    bench.log.set_config(Arc::new(config.clone()));
    bench
}

fn every_crash_of_a_cleaning(config: LogConfig) {
    let disk = SimDisk::new();
    let mut bench = story(&disk, &config);
    let recovery_point = bench.log.flushed_offset();
    let before = facts(&bench.log);
    let kept = state(&bench.log);
    let sources = bench.log.segments().unwrap().len();
    let begin = disk.op_count();
    clean_with(&mut bench.log, at(10_000), Offset(0), 1 << 16, u64::MAX).unwrap();
    let after = facts(&bench.log);
    assert!(after.records.len() < before.records.len());
    assert!(bench.log.segments().unwrap().len() < sources, "segments grow together");
    // The groups, as the segments show that came of them.
    let groups: Vec<(i64, i64)> =
        bench.log.segments().unwrap().iter().map(|segment| (segment.base_offset.0, segment.end_offset.0)).collect();

    let ops = disk.ops();
    let mut crashes = Crashes::new(Image::default(), &ops);
    while crashes.position() < begin {
        crashes.advance();
    }
    let mut seed = Seed::from_env(85);
    let mut outcomes = std::collections::BTreeSet::new();
    loop {
        let place = crashes.position();
        let random = (0..4).map(|_| Cut::Random(seed.fork()));
        let fixed = [Cut::Killed, Cut::LoseAll, Cut::LoseData, Cut::LoseNames, Cut::Half, Cut::LastOnly];
        for cut in fixed.into_iter().chain(random) {
            let image = crashes.image(&cut);
            let (mut log, crashed) = open_after_crash(image.clone(), &config, recovery_point);
            let found = facts(&log);
            let context = format!("{cut:?} at {place} of {}", ops.len());
            assert_eq!(state(&log), kept, "{context}");
            assert_eq!((found.end, found.last_stable), (before.end, before.last_stable), "{context}");
            outcomes.insert(which(&groups, &found.records, &before.records, &after.records, &context));
            assert!(!has_leftovers(&crashed), "I16: {context}");
            // I11: once more, from what is durable now.
            let (again, _) = open_after_crash(settled(&crashed, image), &config, recovery_point);
            assert_eq!(facts(&again), found, "{context}");
            // And the cleaning can be done again.
            clean_with(&mut log, at(10_000), Offset(0), 1 << 16, u64::MAX).unwrap();
            assert_eq!(state(&log), kept, "{context}");
        }
        if !crashes.advance() {
            break;
        }
    }
    assert!(outcomes.len() > 1, "some crashes leave the old segments and some the new: {outcomes:?}");
}

/// The image after recovery, if the power goes right then.
fn settled(disk: &SimDisk, image: Image) -> Image {
    let ops = disk.ops();
    let mut crashes = Crashes::new(image, &ops);
    while crashes.advance() {}
    crashes.image(&Cut::LoseAll)
}

/// For each group whether its records are the new ones; they must be the old ones else.
fn which(groups: &[(i64, i64)], found: &[Seen], before: &[Seen], after: &[Seen], context: &str) -> Vec<bool> {
    let of = |all: &[Seen], (base, end): (i64, i64)| -> Vec<Seen> {
        all.iter().filter(|seen| (base..end).contains(&seen.offset)).cloned().collect()
    };
    let is_new = |group: &(i64, i64)| {
        let records = of(found, *group);
        let is_new = records == of(after, *group);
        assert!(
            is_new || records == of(before, *group),
            "I85: {context}: {group:?} is neither old nor new: {records:?}"
        );
        is_new
    };
    groups.iter().map(is_new).collect()
}

#[test]
fn i85_a_crash_leaves_the_old_segments_or_the_one_made_of_them() {
    // All of it fits into one segment.
    every_crash_of_a_cleaning(LogConfig { segment_bytes: 4_000, ..compacted() });
}

#[test]
fn i85_a_crash_between_groups_leaves_each_old_or_new() {
    every_crash_of_a_cleaning(LogConfig { segment_bytes: 700, ..compacted() });
}

#[test]
fn i18_a_full_disk_ends_the_cleaning_and_takes_nothing() {
    let config = LogConfig { segment_bytes: 500, ..compacted() };
    let disk = SimDisk::new();
    let mut bench = story(&disk, &config);
    let (kept, end) = (state(&bench.log), bench.log.log_end_offset());
    let mut failures = 0;
    for room in 0.. {
        disk.set_capacity(Some(disk.used() + 10 * room));
        let result = clean_with(&mut bench.log, at(10_000), Offset(0), 1 << 16, u64::MAX);
        assert_eq!(state(&bench.log), kept);
        assert!(!has_leftovers(&disk));
        match result {
            Ok(_) => break,
            Err(Failure::Disk(error)) => assert!(error.is_full(), "{error}"),
            Err(Failure::Ended) => panic!("nobody ended it"),
        }
        failures += 1;
    }
    assert!(failures > 2);
    disk.set_capacity(None);
    assert_eq!(bench.put(keyed(&[("a", Some("next"))])), end.0);
}
