//! What a produced batch costs in the record room: header, checksum, walk, place. `cargo bench --bench record_batch`.
//!
//! Each line: nanoseconds a batch, nanoseconds a record, gigabytes a second of one core; the best of a few rounds,
//! since everything else that runs on the machine only adds.
#![allow(clippy::disallowed_methods, reason = "a measurement needs the real clock")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use milena::config::LogConfig;
use milena::record::{
    Builder, Compression, DecompressLimits, Header, Rules, ValidBatch, checksum_matches, open, validate,
};
use milena::types::{LeaderEpoch, Offset, Timestamp, TopicPartition};

fn main() {
    println!("{:40} {:>10} {:>9} {:>7}", "", "ns/batch", "ns/record", "GB/s");
    for (records, value_bytes) in [(1, 100), (16, 1024), (64, 1024), (1000, 100), (1000, 10)] {
        let shape = format!("{records} x {value_bytes} B");
        let plain = batch(Compression::None, records, value_bytes);
        measure(&format!("{shape}: header"), &plain, |bytes| {
            black_box(Header::read(bytes)).ok();
        });
        measure(&format!("{shape}: checksum"), &plain, |bytes| {
            black_box(checksum_matches(bytes));
        });
        let log = LogConfig::default();
        measure(&format!("{shape}: validate and assign"), &plain, |bytes| accept(bytes, &log));
        let stamped = LogConfig { log_append_time: true, ..LogConfig::default() };
        measure(&format!("{shape}: with LogAppendTime"), &plain, |bytes| accept(bytes, &stamped));
        measure(&format!("{shape}: open and read"), &plain, read);
    }
    for codec in &Compression::ALL[1..] {
        let packed = batch(*codec, 64, 1024);
        measure(&format!("64 x 1024 B {codec}: validate and assign"), &packed, |bytes| {
            accept(bytes, &LogConfig::default())
        });
        measure(&format!("64 x 1024 B {codec}: open and read"), &packed, read);
    }
}

fn batch(codec: Compression, records: usize, value_bytes: usize) -> ValidBatch {
    let mut builder = Builder::new().compression(codec);
    let mut random = 1u64;
    for _ in 0..records {
        let value: Vec<u8> = (0..value_bytes)
            .map(|_| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                // Half random, as the records of the codec measurements.
                b"0123456789abcdef"[(random >> 60) as usize]
            })
            .collect();
        builder.push(Timestamp(1_700_000_000_000), Some(b"key"), Some(&value), &[]);
    }
    builder.build()
}

fn accept(bytes: &bytes::Bytes, log: &LogConfig) {
    thread_local!(static PARTITION: TopicPartition = TopicPartition::new("topic", 0));
    PARTITION.with(|partition| {
        let (now, limits) = (Timestamp(1_700_000_000_000), DecompressLimits::default());
        let rules = Rules { log, partition, api_version: 9, now, full: false, limits };
        let mut valid = validate(bytes.clone(), &rules).expect("the batch is good");
        valid.assign(Offset(1_000_000), LeaderEpoch(3));
        black_box(&valid);
    });
}

fn read(bytes: &bytes::Bytes) {
    let opened = open(bytes, &DecompressLimits::default()).expect("the batch is good");
    for record in opened.records() {
        black_box(record.expect("the record is good"));
    }
}

fn measure(what: &str, batch: &ValidBatch, work: impl Fn(&bytes::Bytes)) {
    let count = f64::from(batch.header().count);
    let bytes = batch.clone().into_bytes();
    let mut best = f64::MAX;
    for _ in 0..5 {
        let (start, mut runs) = (Instant::now(), 0u32);
        while start.elapsed() < Duration::from_millis(20) {
            for _ in 0..16 {
                work(black_box(&bytes));
            }
            runs += 16;
        }
        best = best.min(start.elapsed().as_nanos() as f64 / f64::from(runs));
    }
    println!("{what:40} {best:10.0} {:9.1} {:7.2}", best / count, bytes.len() as f64 / best);
}
