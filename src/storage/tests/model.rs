//! A log and a vector are driven by the same random choices and must give the same answers (I3, I4, I6, I8).

use std::path::Path;
use std::sync::Arc;

use super::harness::*;
use crate::config::LogConfig;
use crate::record::{Builder, Compression};
use crate::testing::disk::SimDisk;
use crate::testing::models::LogModel;
use crate::testing::seed::Seed;
use crate::types::*;

fn append(bench: &mut Bench, model: &mut LogModel, seed: &mut Seed) {
    let clock = 1000 + model.end * 3;
    let count = 1 + seed.below(4);
    let records: Vec<(i64, String)> = (0..count)
        .map(|_| {
            let size = 1 + seed.below(60) as usize;
            (clock + seed.below(200) as i64 - 100, format!("{:0size$}", seed.below(1000)))
        })
        .collect();
    let codec = Compression::ALL[seed.below(Compression::ALL.len() as u64) as usize];
    let mut builder = Builder::new().compression(codec);
    for (timestamp, value) in &records {
        builder.push(Timestamp(*timestamp), None, Some(value.as_bytes()), &[]);
    }
    assert_eq!(bench.put(builder.build()), model.append(&records));
}

fn change(bench: &mut Bench, model: &mut LogModel, seed: &mut Seed) {
    let somewhere = model.start + seed.below((model.end - model.start) as u64 + 1) as i64;
    match seed.below(40) {
        0 => bench.log.roll(now()).unwrap(),
        1 => bench.restart(),
        2 => bench.crash(0).unwrap(),
        3 => bench.crash(bench.log.flushed_offset().0).unwrap(),
        4 => drop(bench.log.flush().unwrap()),
        5 => {
            bench.log.delete_records_before(Offset(somewhere)).unwrap();
            model.delete_before(somewhere);
        }
        6 => drop(bench.log.delete_segments(bench.log.log_start_offset()).unwrap()),
        7 if seed.one_in(3) => {
            // As a follower does, whose log start does not lie behind the cut.
            let offset = somewhere.max(model.start + 1).min(model.end);
            bench.log.truncate_to(Offset(offset), now()).unwrap();
            model.truncate(offset);
        }
        8 => bench.log.release_files(),
        _ => append(bench, model, seed),
    }
}

fn compare(bench: &Bench, model: &LogModel, seed: &mut Seed) {
    assert_eq!((bench.log.log_start_offset().0, bench.log.log_end_offset().0), (model.start, model.end));
    let from = model.start + seed.below((model.end - model.start) as u64 + 1) as i64;
    let limit = from + seed.below((model.end - from) as u64 + 1) as i64;
    let found = read_all(&bench.log, Offset(from), Offset(limit), 1 + seed.below(400) as usize);
    let expected: Vec<(i64, String)> = model
        .records(from, model.whole_batches_end(limit))
        .map(|record| (record.offset, record.value.clone()))
        .collect();
    assert_eq!(found, expected, "from {from} below {limit}");
    let timestamp = 900 + seed.below(model.end as u64 * 3 + 300) as i64;
    let limit = if seed.one_in(2) { model.end } else { limit };
    let found = bench.log.offset_for_timestamp(Timestamp(timestamp), Offset(limit)).unwrap();
    assert_eq!(
        found.map(|found| (found.0.0, found.1.0)),
        model.at_time(timestamp, limit),
        "time {timestamp} below {limit}"
    );
    let found = bench.log.max_timestamp(Offset(limit)).unwrap();
    assert_eq!(found.map(|found| (found.0.0, found.1.0)), model.latest(limit), "largest time below {limit}");
}

#[test]
fn i3_i4_i6_i8_a_log_answers_what_a_vector_answers() {
    let mut seed = Seed::from_env(11);
    for _ in 0..40 {
        let config = LogConfig {
            segment_bytes: 300 + seed.below(3000),
            index_interval_bytes: 1 + seed.below(400),
            segment_index_bytes: 24 + seed.below(500),
            ..LogConfig::default()
        };
        let mut bench = Bench::on(Arc::new(SimDisk::new()), Path::new("/data/orders-0").to_path_buf(), config);
        let mut model = LogModel::default();
        for _ in 0..150 {
            change(&mut bench, &mut model, &mut seed);
            compare(&bench, &model, &mut seed);
        }
    }
}
