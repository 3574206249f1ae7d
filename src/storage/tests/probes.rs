//! What others got wrong, each tried on our log, by the number of the lesson; and what a damaged file does.

use std::path::Path;

use super::harness::*;
use crate::config::LogConfig;
use crate::record::{Builder, Compression};
use crate::storage::Error;
use crate::storage::log::ReadError;
use crate::types::*;

/// Ten batches of 8 KB.
fn ten_large_batches(config: LogConfig) -> Bench {
    let mut bench = Bench::new(config);
    for index in 0..10 {
        assert_eq!(bench.put(values(&[&format!("{index}").repeat(8192)])), index);
    }
    bench
}

fn cut_file(path: &Path, bytes: u64) {
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(file.metadata().unwrap().len() - bytes).unwrap();
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn lesson_9_of_ten_batches_the_last_torn_nine_are_left_and_the_next_append_gets_offset_9() {
    // Below the index interval and above it.
    for interval in [4096, 1 << 20] {
        let mut bench = ten_large_batches(LogConfig { index_interval_bytes: interval, ..LogConfig::default() });
        bench.log.close().unwrap();
        cut_file(&bench.files("log")[0], 100);
        bench.crash(0).unwrap();
        assert_eq!(bench.end(), 9);
        assert!(bench.report.truncated_bytes > 8000 && bench.report.reason.is_some(), "{}", bench.report);
        assert_eq!(bench.read_all(0, 1 << 20).len(), 9);
        assert_eq!(bench.put(values(&["again"])), 9);
    }
}

#[test]
fn lesson_9_a_log_cut_before_its_last_index_entry_ends_at_the_last_whole_batch() {
    let mut bench = ten_large_batches(LogConfig::default());
    bench.log.close().unwrap();
    cut_file(&bench.files("log")[0], 8300);
    bench.crash(0).unwrap();
    assert_eq!(bench.end(), 8);
    assert_eq!(bench.read_all(0, 1 << 20).len(), 8);
}

#[test]
fn i10_a_flipped_byte_below_the_recovery_point_is_reported_and_nothing_is_cut() {
    let mut bench = ten_large_batches(LogConfig::default());
    bench.log.close().unwrap();
    let path = bench.files("log")[0].clone();
    let before = std::fs::metadata(&path).unwrap().len();
    // In the header of the batch with offset 7, which recovery passes on its way to the recovery point.
    let batch = before as usize / 10;
    flip(&path, 7 * batch + 16);
    match bench.crash(9) {
        Err(Error::Corrupt { offset, path: named, reason }) => {
            assert_eq!((offset, named), (Offset(7), path.clone()), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(std::fs::metadata(&path).unwrap().len(), before);
}

#[test]
fn i10_a_flipped_byte_behind_the_recovery_point_ends_the_log_there() {
    let mut bench = ten_large_batches(LogConfig::default());
    bench.log.close().unwrap();
    let path = bench.files("log")[0].clone();
    let batch = std::fs::metadata(&path).unwrap().len() as usize / 10;
    flip(&path, 7 * batch + 5000);
    bench.crash(5).unwrap();
    assert_eq!(bench.end(), 7);
}

#[test]
fn i10_a_log_that_ends_before_its_recovery_point_is_not_served() {
    let mut bench = ten_large_batches(LogConfig::default());
    bench.log.close().unwrap();
    let path = bench.files("log")[0].clone();
    cut_file(&path, 100);
    assert!(matches!(bench.crash(10), Err(Error::Corrupt { offset: Offset(9), .. })));
    std::fs::remove_file(path).unwrap();
    assert!(matches!(bench.crash(10), Err(Error::Corrupt { .. })));
}

#[test]
fn i10_a_closed_segment_that_became_shorter_is_noticed_at_the_start() {
    let mut bench = Bench::new(small());
    for index in 0..60 {
        bench.put(values(&[&format!("value {index}")]));
    }
    bench.log.close().unwrap();
    let second = bench.files("log")[1].clone();
    // One whole batch less: every batch that is left is good.
    cut_file(&second, std::fs::metadata(&second).unwrap().len() / 2);
    let error = bench.crash(60).unwrap_err();
    assert!(matches!(&error, Error::Corrupt { path, .. } if *path == second), "{error}");
}

#[test]
fn i9_a_damaged_batch_in_the_middle_of_a_closed_segment_fails_the_read_that_meets_it_and_no_other() {
    let mut bench = Bench::new(small());
    for index in 0..60 {
        bench.put(values(&[&format!("value {index}")]));
    }
    bench.restart();
    let second = bench.files("log")[1].clone();
    let base: i64 = second.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    let bytes = std::fs::read(&second).unwrap();
    std::fs::write(&second, vec![0xff; bytes.len()]).unwrap();
    let failed = bench.log.read(Offset(base), Offset(60), 100, true);
    assert!(matches!(failed, Err(ReadError::Disk(Error::Corrupt { .. }))), "{failed:?}");
    assert_eq!(bench.log.read(Offset(0), Offset(60), 100, true).unwrap().range.unwrap().position, 0);
    assert_eq!(bench.read_all(50, 300).len(), 10);
}

#[test]
fn lesson_3_a_reopened_log_knows_its_largest_times() {
    let mut bench = Bench::new(small());
    for index in 0..40i64 {
        // The largest time of a segment lies in its middle.
        let time = if index % 10 == 5 { 9000 + index } else { 1000 + index };
        bench.put(timed(Timestamp(time), &["some value of some length"]));
    }
    let times = |bench: &Bench| bench.log.segments().unwrap().iter().map(|s| s.max_timestamp.0).collect::<Vec<_>>();
    let before = times(&bench);
    assert!(before.len() > 3 && before.iter().all(|time| *time >= 9000), "{before:?}");
    for step in 0..3 {
        if step == 1 {
            bench.crash(0).unwrap()
        } else {
            bench.restart()
        }
        assert_eq!(times(&bench), before);
        assert_eq!(bench.log.max_timestamp(Offset(40)).unwrap().unwrap().0, Offset(35));
        assert_eq!(bench.log.offset_for_timestamp(Timestamp(9006), Offset(40)).unwrap().unwrap().0, Offset(15));
        for name in if step == 0 { bench.files("timeindex") } else { Vec::new() } {
            std::fs::remove_file(name).unwrap();
        }
    }
}

#[test]
fn lesson_4_a_cut_log_forgets_epochs_snapshots_and_aborted_transactions_behind_the_cut() {
    let mut bench = Bench::new(small());
    let epoch = |bench: &mut Bench, epoch: i32, mut batch: crate::record::ValidBatch| {
        let origin = if batch.header().is_control() {
            crate::storage::log::Origin::Coordinator
        } else {
            crate::storage::log::Origin::Client
        };
        bench.log.append(&mut batch, LeaderEpoch(epoch), now(), origin).unwrap();
    };
    for index in 0..20 {
        epoch(&mut bench, 1, in_transaction(1, 0, index * 3, 3));
        epoch(&mut bench, 1 + index / 10, marker(1, 0, false));
    }
    assert_eq!((bench.end(), bench.log.leader_epochs().latest()), (80, Some(LeaderEpoch(2))));
    assert_eq!(bench.log.truncate_to(Offset(22), now()).unwrap(), Offset(20));
    for _ in 0..2 {
        assert_eq!(bench.log.leader_epochs().entries(), [(LeaderEpoch(1), Offset(0))]);
        assert_eq!(bench.log.aborted_transactions(Offset(0), Offset(20)).unwrap().len(), 5);
        assert!(
            bench
                .files("snapshot")
                .iter()
                .all(|path| path.file_stem().unwrap().to_str().unwrap() <= "00000000000000000020")
        );
        // Lesson 12: what was cut is no duplicate.
        assert_eq!(bench.log.producers()[0].last_sequence, Sequence(14));
        assert_eq!(bench.read_all(0, 500).len(), 15);
        bench.crash(0).unwrap();
    }
    assert_eq!(bench.put(in_transaction(1, 0, 15, 3)), 20);
}

#[test]
fn lesson_5_zeros_behind_the_entries_of_an_index_are_no_entries() {
    let mut bench = Bench::new(small());
    for index in 0..60 {
        bench.put(timed(Timestamp(1000 + index), &["some value of some length"]));
    }
    bench.log.close().unwrap();
    for path in bench.files("index").iter().chain(&bench.files("timeindex")) {
        let mut bytes = std::fs::read(path).unwrap();
        bytes.resize(bytes.len() + 1200, 0);
        std::fs::write(path, bytes).unwrap();
    }
    bench.restart();
    for offset in 0..60 {
        assert_eq!(bench.read_all(offset, 1)[0].0, offset);
        let found = bench.log.offset_for_timestamp(Timestamp(1000 + offset), Offset(60)).unwrap().unwrap();
        assert_eq!(found.0, Offset(offset));
    }
    assert_eq!(bench.put(values(&["next"])), 60);
}

#[test]
fn lesson_9_an_index_that_is_ahead_of_its_log_or_lies_is_made_again() {
    let mut bench = Bench::new(small());
    for index in 0..60 {
        bench.put(values(&[&format!("value {index}")]));
    }
    let before = bench.read_all(0, 300);
    for round in 0..3 {
        bench.log.close().unwrap();
        for path in bench.files("index") {
            let mut bytes = std::fs::read(&path).unwrap();
            match round {
                // Ahead of the log.
                0 => bytes.extend([0x7f, 0, 0, 0, 0x7f, 0, 0, 0]),
                // Positions that are off by one.
                1 => bytes.chunks_exact_mut(8).for_each(|entry| entry[7] ^= 1),
                _ => bytes.iter_mut().for_each(|byte| *byte = 0xee),
            }
            std::fs::write(path, bytes).unwrap();
        }
        bench.restart();
        for offset in 0..60 {
            assert_eq!(bench.read_all(offset, 300), before[offset as usize..]);
        }
    }
}

#[test]
fn i19_zeros_behind_the_last_batch_are_no_records() {
    let mut bench = ten_large_batches(LogConfig::default());
    bench.log.close().unwrap();
    let path = bench.files("log")[0].clone();
    let len = std::fs::metadata(&path).unwrap().len();
    for clean in [false, true] {
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(len + (1 << 20)).unwrap();
        let hint = crate::storage::log::OpenHint {
            clean,
            recovery_point: Offset(10),
            log_start_offset: Offset(0),
            flushed: true,
            cleaned: false,
        };
        bench.reopen(hint).unwrap();
        assert_eq!((bench.end(), bench.report.truncated_bytes), (10, 1 << 20), "a marker that lies is not believed");
        assert_eq!(std::fs::metadata(&path).unwrap().len(), len);
    }
}

#[test]
fn i21_records_deleted_below_7_stay_deleted() {
    let mut bench = Bench::new(small());
    for index in 0..10 {
        bench.put(values(&[&format!("value {index}")]));
    }
    assert_eq!(bench.log.delete_records_before(Offset(7)).unwrap(), Offset(7));
    for _ in 0..2 {
        assert_eq!(bench.log.log_start_offset(), Offset(7));
        assert_eq!(bench.read_all(7, 300).len(), 3);
        let below = bench.log.read(Offset(6), Offset(10), 300, true);
        assert!(matches!(below, Err(ReadError::OutOfRange { start: Offset(7), end: Offset(10) })));
        let first = bench.log.offset_for_timestamp(Timestamp(0), Offset(10)).unwrap().unwrap();
        assert_eq!(first.0, Offset(7), "I8: no time finds a deleted record");
        bench.restart();
    }
    assert!(bench.log.delete_records_before(Offset(11)).is_err());
    assert_eq!(bench.log.delete_records_before(Offset(3)).unwrap(), Offset(7), "I6: the log start does not fall");
}

#[test]
fn i8_a_time_finds_the_first_record_inside_a_compressed_batch() {
    for codec in Compression::ALL {
        let mut bench = Bench::new(small());
        let mut builder = Builder::new().compression(codec);
        for index in 0..10i64 {
            builder.push(Timestamp(1000 + index * 10), None, Some(b"value"), &[]);
        }
        bench.put(builder.build());
        for _ in 0..2 {
            let at = |time| bench.log.offset_for_timestamp(Timestamp(time), Offset(10)).unwrap();
            assert_eq!(at(1041).map(|found| (found.0.0, found.1.0)), Some((5, 1050)), "{}", codec.name());
            assert_eq!(at(0).map(|found| found.0.0), Some(0));
            assert_eq!(at(1091), None);
            assert_eq!(bench.log.max_timestamp(Offset(10)).unwrap().map(|found| found.0.0), Some(9));
            bench.restart();
        }
    }
}

#[test]
fn a_record_of_3_mb_is_readable_after_a_clean_stop_and_after_a_crash() {
    let mut bench = Bench::new(LogConfig::default());
    let large = "x".repeat(3 << 20);
    bench.put(values(&["small"]));
    bench.put(values(&[&large]));
    bench.put(values(&["small"]));
    for step in 0..3 {
        assert_eq!(bench.read_all(1, 1000)[0].1.len(), large.len());
        let nothing = bench.log.read(Offset(1), Offset(3), 1000, false).unwrap();
        assert!(nothing.range.is_none(), "not without at_least_one");
        if step == 0 { bench.restart() } else { bench.crash(0).unwrap() }
    }
}

#[test]
fn i7_a_read_ends_below_its_limit_on_a_whole_batch() {
    let mut bench = Bench::new(LogConfig::default());
    for _ in 0..10 {
        bench.put(values(&["a", "b", "c"]));
    }
    let read = |from, limit| {
        let fetched = bench.log.read(Offset(from), Offset(limit), 1 << 20, true).unwrap();
        fetched.range.map(|_| fetched.next_offset.0)
    };
    assert_eq!(read(0, 30), Some(30));
    assert_eq!(read(4, 30), Some(30), "from the middle of a batch");
    assert_eq!(read(0, 9), Some(9));
    assert_eq!(read(0, 10), Some(9));
    assert_eq!(read(9, 10), None);
    assert_eq!(read(30, 30), None);
}

#[test]
fn a_segment_is_closed_by_the_age_of_its_records() {
    let mut bench = Bench::new(LogConfig { segment_ms: 1000, ..LogConfig::default() });
    bench.put(timed(Timestamp(5000), &["a"]));
    bench.put(timed(Timestamp(6000), &["b"]));
    assert_eq!(bench.files("log").len(), 1);
    bench.put(timed(Timestamp(6001), &["c"]));
    assert_eq!(bench.files("log").len(), 2);
    bench.restart();
    bench.put(timed(Timestamp(7002), &["d"]));
    assert_eq!(bench.files("log").len(), 3, "also after a restart");
}

#[test]
fn i22_a_directory_of_another_topic_id_is_refused() {
    use crate::storage::log::{Log, OpenHint};
    let mut bench = Bench::new(small());
    bench.put(values(&["old"]));
    let other = TopicId(uuid::Uuid::from_u128(8));
    let config = std::sync::Arc::new(small());
    let opened = Log::open(bench.disk.clone(), bench.dir.clone(), config, OpenHint::fresh(), Some(other), now());
    assert!(opened.err().unwrap().to_string().contains("topic id"));
}

#[test]
fn nothing_is_written_before_the_first_append_but_the_topic_id() {
    let bench = Bench::new(LogConfig::default());
    assert_eq!(bench.disk.list(&bench.dir).unwrap(), ["partition.metadata"]);
}

#[test]
fn i115_a_start_after_a_kill_flushes_nothing_log_by_log() {
    use crate::testing::disk::SimDisk;
    // Ten thousand of them would take a minute; the data directory was flushed as a whole before.
    for config in [LogConfig::default(), small()] {
        let sim = SimDisk::new();
        let disk: std::sync::Arc<dyn crate::storage::disk::Disk> = std::sync::Arc::new(sim.clone());
        let mut bench = Bench::on(disk, Path::new("/data/orders-0").to_path_buf(), config);
        for index in 0..30 {
            bench.put(produced(1, 0, index, 1));
        }
        bench.log.flush().unwrap();
        bench.put(produced(1, 0, 30, 1));
        let before = sim.sync_count();
        let hint = crate::storage::log::OpenHint {
            clean: false,
            recovery_point: Offset(30),
            log_start_offset: Offset(0),
            flushed: true,
            cleaned: false,
        };
        bench.reopen(hint).unwrap();
        assert_eq!((bench.end(), sim.sync_count() - before), (31, 0));
        assert!(bench.log.begin_flush().is_none());
    }
}

/// A start after a kill goes back to where it was noted last how far indexes and producers are known, and not to the beginning
/// of a large segment: a header that is damaged before it is met by who reads there, not by the start.
#[test]
fn i115_a_start_after_a_kill_passes_over_what_was_noted() {
    for is_noted in [true, false] {
        let mut bench = Bench::new(LogConfig { index_interval_bytes: 100, ..LogConfig::default() });
        for index in 0..120 {
            bench.put(timed(Timestamp(1000 + index % 70), &["a value"]));
            if index == 99 {
                assert!(!bench.log.note_progress_if_due(1 << 20).unwrap());
                assert_eq!(bench.log.note_progress_if_due(if is_noted { 100 } else { u64::MAX }).unwrap(), is_noted);
            }
            if index == 109 {
                assert_eq!(bench.log.flush().unwrap(), Offset(110));
            }
        }
        let path = bench.files("log").remove(0);
        let one = std::fs::metadata(&path).unwrap().len() as usize / 120;
        // The version in the header of the batch at offset 50.
        flip(&path, 50 * one + 16);
        let started = bench.crash(110);
        assert_eq!(started.is_ok(), is_noted, "{started:?}");
        if is_noted {
            let answers = |log: &crate::storage::log::Log| {
                let times =
                    [1000, 1045, 1069].map(|time| log.offset_for_timestamp(Timestamp(time), Offset(120)).unwrap());
                format!("{times:?} {:?}", log.max_timestamp(Offset(120)).unwrap())
            };
            let found = answers(&bench.log);
            assert_eq!((bench.end(), bench.read_all(100, 1000).len()), (120, 20));
            assert!(bench.log.read(Offset(50), Offset(120), 100, true).is_err());
            flip(&path, 50 * one + 16);
            bench.crash(0).unwrap();
            assert_eq!(found, answers(&bench.log), "as after a walk through everything");
        }
    }
}
