//! Old data goes away, and only old data.

use super::harness::*;
use crate::config::LogConfig;
use crate::storage::log::Log;
use crate::types::*;

fn retain(bench: &mut Bench, wall: i64) -> usize {
    let now = Now { wall: Timestamp(wall), mono: Monotonic(0) };
    let high_watermark = bench.log.log_end_offset();
    let Some(ticket) = bench.log.begin_retention(now, high_watermark).unwrap() else { return 0 };
    let count = ticket.segment_count();
    let result = ticket.carry_out();
    bench.log.end_delete(&ticket, result).unwrap();
    count
}

fn bases(log: &Log) -> Vec<i64> {
    log.segments().unwrap().iter().map(|segment| segment.base_offset.0).collect()
}

/// Segments of one batch each, with these timestamps; the last is active.
fn segments(config: LogConfig, times: &[i64]) -> Bench {
    let mut bench = Bench::new(LogConfig { segment_bytes: 100, ..config });
    for time in times {
        bench.put(timed(Timestamp(*time), &["some value"]));
    }
    bench.log.flush().unwrap();
    bench
}

#[test]
fn four_closed_segments_of_seconds_old_data_stay_after_a_reopen_lesson_3() {
    let now = 1_700_000_000_000;
    let mut bench = segments(LogConfig::default(), &[now - 5_000, now - 4_000, now - 3_000, now - 2_000, now - 1_000]);
    for clean in [true, false] {
        if clean {
            bench.restart()
        } else {
            bench.crash(0).unwrap()
        }
        assert_eq!(retain(&mut bench, now), 0);
        assert_eq!(bases(&bench.log), [0, 1, 2, 3, 4]);
    }
}

#[test]
fn segments_older_than_retention_ms_go_after_a_reopen_too() {
    let config = LogConfig { retention_ms: Some(1_000), ..LogConfig::default() };
    let mut bench = segments(config, &[1_000, 2_000, 3_000, 4_000]);
    bench.restart();
    assert_eq!(retain(&mut bench, 4_001), 3);
    assert_eq!(bases(&bench.log), [3]);
    assert_eq!(bench.log.log_start_offset(), Offset(3));
    assert_eq!(bench.read_all(3, 1000).len(), 1);
    bench.restart();
    assert_eq!((bench.log.log_start_offset(), bench.end()), (Offset(3), 4));
}

#[test]
fn a_log_whose_every_record_is_too_old_begins_anew_at_its_end() {
    let config = LogConfig { retention_ms: Some(1_000), ..LogConfig::default() };
    let mut bench = segments(config, &[1_000, 2_000]);
    assert_eq!(retain(&mut bench, 1_000_000), 2);
    assert_eq!((bench.log.log_start_offset(), bench.end(), bench.log.size_bytes()), (Offset(2), 2, 0));
    assert_eq!(retain(&mut bench, 2_000_000), 0);
    bench.restart();
    assert_eq!((bench.log.log_start_offset(), bench.end()), (Offset(2), 2));
    assert_eq!(bench.put(values(&["next"])), 2);
}

#[test]
fn i20_readers_that_come_during_a_removal_are_answered() {
    let config = LogConfig { retention_bytes: Some(0), ..LogConfig::default() };
    let mut bench = segments(config, &[1_000, 2_000, 3_000, 4_000, 5_000, 6_000]);
    bench.restart();
    let ticket = bench.log.begin_retention(now(), Offset(6)).unwrap().unwrap();
    let before = bench.log.read(Offset(0), Offset(6), 1000, true).unwrap().range.unwrap();
    ticket.carry_out().unwrap();
    // More segments than keep their files open by themselves.
    assert_eq!(bench.read_all(0, 1000).len(), 6);
    bench.log.end_delete(&ticket, Ok(())).unwrap();
    assert_eq!(bases(&bench.log), [6]);
    assert!(before.read().is_ok());
}

#[test]
fn records_without_a_time_go_by_the_time_of_the_file() {
    let config = LogConfig { retention_ms: Some(60_000), ..LogConfig::default() };
    let mut bench = segments(config, &[-1, -1, -1]);
    bench.restart();
    // The wall clock of the test stands in 1970: the files were written in its future.
    assert_eq!(retain(&mut bench, 1_000_000), 0);
    assert_eq!(retain(&mut bench, i64::MAX), 3);
}

#[test]
fn i20_many_segments_go_some_at_a_time() {
    let config = LogConfig { retention_bytes: Some(0), ..LogConfig::default() };
    let mut bench = segments(config, &[1_000; 40]);
    assert_eq!(retain(&mut bench, 1_000), 32);
    assert_eq!(retain(&mut bench, 1_000), 8);
    assert_eq!(retain(&mut bench, 1_000), 0);
    assert_eq!(bench.log.log_start_offset(), Offset(40));
}

#[test]
fn what_lies_below_the_log_start_goes_from_the_disk() {
    let mut bench = segments(LogConfig { retention_ms: None, ..LogConfig::default() }, &[1_000; 4]);
    bench.log.delete_records_before(Offset(2)).unwrap();
    assert_eq!(retain(&mut bench, 1_000), 2);
    assert_eq!(bench.files("log").len(), 2);
    bench.log.delete_records_before(Offset(4)).unwrap();
    // The active segment is where the log goes on.
    assert_eq!(retain(&mut bench, 1_000), 1);
    assert_eq!((bench.log.log_start_offset(), bench.end()), (Offset(4), 4));
}

#[test]
fn i6_the_last_stable_offset_is_not_below_the_log_start() {
    let config = LogConfig { retention_bytes: Some(0), ..LogConfig::default() };
    let mut bench = Bench::new(LogConfig { segment_bytes: 100, ..config });
    bench.put(in_transaction(1, 0, 0, 1));
    bench.put(values(&["some value"]));
    assert_eq!(bench.log.last_stable_offset(Offset(2)), Offset(0));
    assert_eq!(retain(&mut bench, 1_000), 2);
    assert_eq!(bench.log.last_stable_offset(Offset(2)), Offset(2));
    assert_eq!(bench.put(marker(1, 0, false)), 2);
    assert_eq!(bench.log.last_stable_offset(Offset(3)), Offset(3));
}
