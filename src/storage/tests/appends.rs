//! Appending, rolling and reading on the real disk.

use super::harness::*;
use crate::types::*;

#[test]
fn i4_offsets_grow_without_gaps_over_rolls_and_restarts() {
    let mut bench = Bench::new(small());
    let mut expected = Vec::new();
    for index in 0..100 {
        let value = format!("value {index}");
        assert_eq!(bench.put(values(&[&value, "second"])), index * 2);
        expected.extend([(index * 2, value), (index * 2 + 1, "second".to_string())]);
        if index % 30 == 29 {
            bench.restart();
            assert_eq!(bench.report.scanned_bytes, 0, "nothing is read after a clean stop");
        }
    }
    assert!(bench.files("log").len() > 5);
    for max_bytes in [1, 150, 500, 1 << 20] {
        assert_eq!(bench.read_all(0, max_bytes), expected);
    }
    for from in 0..200 {
        assert_eq!(bench.read_all(from, 300), expected[from as usize..]);
    }
}

#[test]
fn i1_everything_is_there_after_a_crash() {
    let mut bench = Bench::new(small());
    for index in 0..50 {
        bench.put(values(&[&format!("value {index}")]));
    }
    let before = bench.read_all(0, 4096);
    for point in [0, 17, 50] {
        bench.crash(point).unwrap();
        assert_eq!(bench.read_all(0, 4096), before);
        assert_eq!(bench.log.flushed_offset(), Offset(50));
        assert_eq!(bench.report.truncated_bytes, 0);
    }
    assert_eq!(bench.put(values(&["next"])), 50);
}
