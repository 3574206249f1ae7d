//! Damage that leaves nothing wrong behind where one looks first: a segment without its file, an offset that no checksum covers.
//! Found by damaging whole data directories (tests/damage).

use std::sync::Arc;

use super::harness::*;
use crate::config::LogConfig;
use crate::record::Header;
use crate::storage::Error;
use crate::storage::disk::RealDisk;
use crate::storage::log::{OpenHint, ReadError};
use crate::testing::disk::SimDisk;
use crate::types::Offset;

/// Several segments of one-record batches, stopped.
fn stopped() -> (Bench, i64) {
    stopped_of("record")
}

fn stopped_of(what: &str) -> (Bench, i64) {
    let mut bench = Bench::new(small());
    for number in 0..60 {
        bench.put(values(&[&format!("{what} {number:03}")]));
    }
    bench.log.close().unwrap();
    let end = bench.end();
    assert!(bench.files("log").len() >= 5);
    (bench, end)
}

#[test]
fn i10_a_segment_whose_file_is_gone_is_told_wherever_it_stood() {
    let count = stopped().0.files("log").len();
    for gone in 0..count - 1 {
        for clean in [true, false] {
            let (bench, end) = stopped();
            let path = bench.files("log")[gone].clone();
            std::fs::remove_file(&path).unwrap();
            let hint = crate::storage::log::OpenHint {
                clean,
                recovery_point: Offset(end),
                log_start_offset: Offset::ZERO,
                flushed: true,
                cleaned: false,
            };
            let refused = open(&bench.disk, &bench.dir, &bench.config, hint).err().expect("a hole is no log");
            assert!(matches!(&refused, Error::Corrupt { path: named, .. } if *named == path), "{refused}");
        }
    }
}

#[test]
fn i20_segments_that_retention_removed_are_not_missed() {
    let (mut bench, _) = stopped();
    bench.restart();
    let second = bench.log.segments().unwrap()[2].base_offset;
    bench.log.delete_segments(second).unwrap();
    bench.restart();
    assert_eq!(bench.log.log_start_offset(), second);
    // Also where the process was killed between two files.
    let first = bench.files("log")[0].clone();
    let third = bench.log.segments().unwrap()[2].base_offset;
    let ticket = bench.log.begin_delete(third).unwrap().unwrap();
    std::fs::remove_file(first).unwrap();
    drop(ticket);
    let end = bench.end();
    bench.crash(end).unwrap();
}

/// The upper bytes of a batch's offset lie outside its checksum.
#[test]
fn i9_a_batch_whose_offset_was_changed_is_not_served() {
    for (batch, byte) in [(0, 2), (0, 7), (1, 3), (3, 6), (3, 7)] {
        let (mut bench, end) = stopped();
        let path = bench.files("log")[1].clone();
        let mut content = std::fs::read(&path).unwrap();
        let size = i32::from_be_bytes(content[8..12].try_into().unwrap()) as usize + 12;
        content[batch * size + byte] ^= 0x20;
        std::fs::write(&path, &content).unwrap();
        let hint = crate::storage::log::OpenHint {
            clean: true,
            recovery_point: Offset(end),
            log_start_offset: Offset::ZERO,
            flushed: true,
            cleaned: false,
        };
        bench.disk = std::sync::Arc::new(RealDisk);
        bench.reopen(hint).unwrap();
        let mut at = Offset::ZERO;
        let refused = loop {
            match bench.log.read(at, Offset(end), 300, true) {
                Ok(fetched) => {
                    assert!(
                        fetched.next_offset > at && fetched.range.is_some(),
                        "batch {batch} byte {byte}: silence at {at}"
                    );
                    at = fetched.next_offset;
                    assert!(at < Offset(end), "batch {batch} byte {byte}: nobody noticed");
                }
                Err(error) => break error,
            }
        };
        assert!(
            matches!(&refused, ReadError::Disk(Error::Corrupt { path: named, .. }) if *named == path),
            "{refused:?}"
        );
    }
}

/// Everything from the start to `end`, or the error in the way.
fn read_all(bench: &Bench, end: i64) -> Result<(), ReadError> {
    let mut at = Offset::ZERO;
    while at < Offset(end) {
        let next = bench.log.read(at, Offset(end), 300, true)?.next_offset;
        assert!(next > at, "silence at {at}");
        at = next;
    }
    Ok(())
}

/// Names and offsets of two topics are alike: only what is in a file tells whose it is. `ONLY=116 SEED=1 scripts/damage.sh` and
/// its like served the records of the other.
#[test]
fn i10_the_file_of_another_topic_is_not_served() {
    let count = stopped().0.files("log").len();
    for index in 0..count {
        // After a clean stop, after a kill that came behind a checkpoint, and before any.
        for (clean, flushed) in [(true, true), (false, true), (false, false)] {
            let ((mut bench, end), (other, _)) = (stopped(), stopped_of("strange"));
            let (path, others) = (bench.files("log")[index].clone(), other.files("log")[index].clone());
            assert_eq!(path.file_name(), others.file_name());
            std::fs::copy(others, &path).unwrap();
            let hint = crate::storage::log::OpenHint {
                clean,
                recovery_point: if flushed { Offset(end) } else { Offset::ZERO },
                log_start_offset: Offset::ZERO,
                flushed: true,
                cleaned: false,
            };
            bench.disk = std::sync::Arc::new(RealDisk);
            let refused = match bench.reopen(hint) {
                Err(error) => error,
                Ok(_) => match read_all(&bench, end).expect_err("another topic's records are served") {
                    ReadError::Disk(error) => error,
                    other => panic!("{other:?}"),
                },
            };
            assert!(matches!(&refused, Error::Corrupt { path: named, .. } if *named == path), "{refused}");
        }
    }
}

/// Both read back whole, and each is of another time or of another log.
#[test]
fn i33_the_snapshot_of_another_partition_is_not_believed() {
    let mut logs: Vec<Bench> = [(1, 5), (2, 9)]
        .map(|(id, count)| {
            let mut bench = Bench::new(small());
            (0..count).for_each(|number| _ = bench.put(produced(id, 0, number, 1)));
            bench
        })
        .into();
    logs.iter_mut().for_each(|bench| bench.log.close().unwrap());
    let snapshots: Vec<_> = logs.iter().map(|bench| bench.files("snapshot").pop().unwrap()).collect();
    std::fs::copy(&snapshots[0], &snapshots[1]).unwrap();
    let hint = crate::storage::log::OpenHint {
        clean: true,
        recovery_point: Offset(9),
        log_start_offset: Offset::ZERO,
        flushed: true,
        cleaned: false,
    };
    let bench = &mut logs[1];
    bench.reopen(hint).unwrap();
    let again = bench.log.append(&mut produced(2, 0, 8, 1), EPOCH, now(), crate::storage::log::Origin::Client).unwrap();
    assert!(again.duplicate, "a batch that is sent again is written again");
}

/// `SEED=41 ONLY=1016 scripts/damage.sh`: the log ended at offset 70368744177692.
#[test]
fn i9_a_batch_that_leaves_a_gap_behind_the_recovery_point_is_not_believed() {
    for batch in [0, 2] {
        let mut bench = Bench::new(LogConfig { segment_bytes: 1 << 20, ..small() });
        (0..5).for_each(|number| _ = bench.put(values(&[&format!("record {number}")])));
        let path = bench.files("log")[0].clone();
        let mut content = std::fs::read(&path).unwrap();
        let size = i32::from_be_bytes(content[8..12].try_into().unwrap()) as usize + 12;
        content[batch * size + 2] ^= 0x40;
        std::fs::write(&path, &content).unwrap();
        bench.crash(0).unwrap();
        assert_eq!(bench.end(), batch as i64, "{}", bench.report);
        assert!(bench.report.reason.is_some());
    }
}

/// `SEED=101 ONLY=904 scripts/damage.sh`: the first batch behind the log's start lay about its offset, the second was destroyed, and
/// the log ended behind the first, far above what had been flushed.
#[test]
fn i10_a_first_batch_above_what_was_flushed_is_damage() {
    let mut bench = Bench::new(LogConfig { segment_bytes: 1 << 20, ..small() });
    (0..3).for_each(|number| _ = bench.put(values(&[&format!("record {number}")])));
    bench.log.close().unwrap();
    let path = bench.files("log")[0].clone();
    let mut content = std::fs::read(&path).unwrap();
    let size = Header::read(&content).unwrap().size();
    content[3] ^= 1;
    content[size + 16] ^= 1;
    std::fs::write(&path, &content).unwrap();
    for clean in [true, false] {
        let refused = bench.reopen(OpenHint { clean, recovery_point: Offset(3), ..OpenHint::fresh() });
        let refused = refused.expect_err("the log ends where it never did");
        assert!(matches!(&refused, Error::Corrupt { path: named, .. } if *named == path), "{refused}");
    }
}

/// After a clean stop the last batch alone said where the log ends, 2^32 too far.
#[test]
fn i10_the_offset_of_the_last_batch_is_not_believed_over_what_was_written_down_at_the_stop() {
    for batches in [1, 3] {
        let mut bench = Bench::new(LogConfig { segment_bytes: 1 << 20, ..small() });
        (0..batches).for_each(|number| _ = bench.put(values(&[&format!("record {number}")])));
        bench.log.close().unwrap();
        let path = bench.files("log")[0].clone();
        let mut content = std::fs::read(&path).unwrap();
        let size = Header::read(&content).unwrap().size();
        content[(batches - 1) * size + 3] ^= 1;
        std::fs::write(&path, &content).unwrap();
        let recovery_point = Offset(batches as i64);
        let hint = OpenHint { clean: true, recovery_point, ..OpenHint::fresh() };
        let refused = bench.reopen(hint).expect_err("the log ends where it never did");
        assert!(matches!(&refused, Error::Corrupt { path: named, .. } if *named == path), "{refused}");
    }
}

/// Crash images 98 of recording 114491118787036 and 195 of 104902369485500: a compacted log went on at offset 20 behind a segment
/// that a power cut had cut short at offset 4, as if it had been cleaned. In the second the list had lost its line, too.
#[test]
fn i19_a_closed_segment_of_a_compacted_log_that_a_crash_cut_short_ends_the_log() {
    for (cleaned, listed) in [(true, true), (false, true), (false, false)] {
        let mut bench = Bench::new(LogConfig { compact: true, ..small() });
        for number in 0..40 {
            bench.put(values(&[&format!("record {number:03}")]));
        }
        let closed = &bench.files("log")[0];
        let content = std::fs::read(closed).unwrap();
        let first = Header::read(&content).unwrap();
        std::fs::write(closed, &content[..first.size()]).unwrap();
        if !listed {
            std::fs::remove_file(closed.with_file_name("segment-checkpoint")).unwrap();
        }
        let [recovery_point, log_start_offset] = [Offset::ZERO; 2];
        bench.reopen(OpenHint { clean: false, recovery_point, log_start_offset, flushed: false, cleaned }).unwrap();
        assert_eq!(bench.end(), first.next_offset().0, "{}", bench.report);
        assert!(bench.report.removed_segments > 0, "{}", bench.report);
    }
}

/// Seed 331381109676 of the simulation: the metadata log could not be opened. A flush that failed while a segment was taken off
/// the list was forgotten, and the next try removed the file without doing it again.
#[test]
fn i10_no_segment_goes_while_it_is_listed_whichever_flush_fails() {
    let mut failed = 0;
    for after in 0..8 {
        let disk = SimDisk::new();
        let mut bench = Bench::on(Arc::new(disk.clone()), "/data/t-0".into(), small());
        for number in 0..60 {
            bench.put(values(&[&format!("record {number:03}")]));
        }
        let end = bench.log.flush().unwrap();
        disk.fail_sync(after);
        if bench.log.delete_segments(Offset(30)).is_err() {
            failed += 1;
            bench.log.delete_segments(Offset(30)).unwrap();
        }
        // The new log start is not written down yet.
        let hint = OpenHint {
            clean: false,
            recovery_point: end,
            log_start_offset: Offset::ZERO,
            flushed: false,
            cleaned: false,
        };
        bench.reopen(hint).unwrap_or_else(|error| panic!("flush {after} failed: {error}"));
    }
    assert!(failed > 0, "no flush was met");
}

/// The same of a segment that was still written when the broker was killed: it was never finished.
#[test]
fn i10_the_file_of_another_topic_is_not_served_after_a_kill_in_its_first_segment() {
    let mut logs = ["record", "strange"].map(|what| {
        let mut bench = Bench::new(small());
        (0..3).for_each(|number| _ = bench.put(values(&[&format!("{what} {number}")])));
        bench
    });
    let paths = logs.each_ref().map(|bench| bench.files("log")[0].clone());
    std::fs::copy(&paths[1], &paths[0]).unwrap();
    let refused = logs[0].crash(0).expect_err("another topic's records are served");
    assert!(matches!(&refused, Error::Corrupt { path: named, .. } if *named == paths[0]), "{refused}");
}
