//! I26: a flipped bit in any closed segment is found by one check, and never served.

use super::harness::{Bench, EPOCH, now, small, values};
use crate::config::LogConfig;
use crate::storage::disk::{Disk, RealDisk};
use crate::storage::log::{Log, Origin, ReadError};
use crate::storage::scrub::{self, Checked, Damage};
use crate::testing::disk::SimDisk;
use crate::testing::seed::Seed;
use crate::types::*;

/// Checks everything that is closed, and has the log take note; what was found.
fn scrub_all(disk: &dyn Disk, log: &mut Log) -> Vec<Damage> {
    let (mut from, mut found) = (Offset(0), Vec::new());
    while let Some(segment) = log.closed_segment_from(from) {
        from = segment.base_offset.next();
        let Checked::Whole(damages) = scrub::check(disk, &segment, &|_| true).unwrap() else { panic!("it was read") };
        for damage in damages {
            assert!(log.note_damage(&segment, &damage).unwrap(), "{damage:?} is confirmed");
            assert!(!log.note_damage(&segment, &damage).unwrap(), "and reported once");
            found.push(damage);
        }
    }
    found
}

fn filled(config: LogConfig) -> Bench {
    let mut bench = Bench::new(config);
    for index in 0..60 {
        bench.put(values(&[&format!("value {index}"), "another"]));
    }
    bench
}

#[test]
fn i26_a_log_that_is_whole_has_no_damage() {
    let mut bench = filled(small());
    assert_eq!(scrub_all(&RealDisk, &mut bench.log), []);
    bench.restart();
    assert_eq!(scrub_all(&RealDisk, &mut bench.log), []);
}

/// Every bit of a segment, one after the other: each is found, and what is read around it is what was written.
#[test]
fn i26_every_flipped_bit_of_a_closed_segment_is_found_and_not_served() {
    let mut bench = filled(small());
    let path = bench.files("log")[1].clone();
    let base: i64 = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    let whole = std::fs::read(&path).unwrap();
    let written = bench.read_all(0, 300);
    let mut seed = Seed::from_env(26);
    for bit in 0..whole.len() * 8 {
        // All of the first batch, and some of what is behind it.
        if bit > 140 * 8 && !seed.one_in(40) {
            continue;
        }
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&path, &flipped).unwrap();
        bench.restart();
        let found = scrub_all(&RealDisk, &mut bench.log);
        assert!(!found.is_empty(), "bit {bit} of byte {} was not found", bit / 8);
        for damage in &found {
            assert!(damage.offsets.start >= Offset(base), "{damage:?}");
            let read = bench.log.read(damage.offsets.start, Offset(120), 300, true);
            assert!(matches!(read, Err(ReadError::Damaged { until }) if until == damage.offsets.end), "{read:?}");
            // Before it all is served, and nothing of it.
            let mut at = Offset(0);
            while at < damage.offsets.start {
                let before = bench.log.read(at, Offset(120), 1 << 20, true).unwrap();
                assert!(before.next_offset > at && before.next_offset <= damage.offsets.start);
                at = before.next_offset;
            }
        }
        let behind = found.last().unwrap().offsets.end;
        let rest = bench.read_all(behind.0, 300);
        assert_eq!(rest[..], written[written.len() - rest.len()..], "bit {bit}");
    }
    std::fs::write(&path, &whole).unwrap();
}

#[test]
fn i26_a_damage_leaves_with_its_segment() {
    let mut bench = filled(small());
    let path = bench.files("log")[1].clone();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[70] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let found = scrub_all(&RealDisk, &mut bench.log);
    assert_eq!(found.len(), 1);
    let end = found[0].offsets.end;
    let segment = bench.log.closed_segment_from(end).unwrap();
    bench.log.delete_segments(segment.base_offset).unwrap();
    assert!(bench.log.closed_segment_from(Offset(0)).unwrap().base_offset >= end);
    assert_eq!(bench.read_all(segment.base_offset.0, 300).len(), 120 - segment.base_offset.0 as usize);
}

#[test]
fn i26_a_check_that_is_stopped_ends_and_a_segment_that_is_gone_is_no_error() {
    let mut bench = filled(small());
    let segment = bench.log.closed_segment_from(Offset(0)).unwrap();
    assert!(matches!(scrub::check(&RealDisk, &segment, &|_| false), Ok(Checked::Ended)));
    bench.log.delete_segments(segment.end_offset).unwrap();
    assert!(matches!(scrub::check(&RealDisk, &segment, &|_| true), Ok(Checked::Gone)));
}

/// I18: on a disk without any room, what retention wants gone goes, also if all of it is to go and a new segment cannot be
/// begun.
#[test]
fn i18_retention_goes_on_when_the_disk_is_full() {
    let disk = SimDisk::new();
    let dir = std::path::Path::new("/t-0").to_path_buf();
    let config = LogConfig { retention_ms: Some(1), ..small() };
    let hint = crate::storage::log::OpenHint::fresh();
    let shared = std::sync::Arc::new(disk.clone());
    let (mut log, _) = Log::open(shared, dir, config.into(), hint, None, now()).unwrap();
    for index in 0..60 {
        log.append(&mut values(&[&format!("value {index}")]), EPOCH, now(), Origin::Client).unwrap();
    }
    log.flush().unwrap();
    let end = log.log_end_offset();
    disk.set_capacity(Some(disk.used()));
    disk.set_max_files(Some(disk.file_count()));
    let later = Now { wall: Timestamp(now().wall.0 + 1_000_000), ..now() };
    let ticket = log.begin_retention(later, end).unwrap().expect("old segments");
    let result = ticket.carry_out();
    let start = log.end_delete(&ticket, result).unwrap();
    assert!(start > Offset(0) && disk.used() < 2_000, "{start}");
    let appended = log.append(&mut values(&["room again"]), EPOCH, later, Origin::Client).unwrap();
    assert_eq!(appended.base_offset, end);
}
