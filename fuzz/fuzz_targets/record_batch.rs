//! A batch from a stranger: validated, opened, read.
//!
//! The first byte chooses the rules. Its lowest bit has length, magic and checksum put right first, so that the fuzzer
//! gets past them; a client that means harm does the same.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use milena::config::log::LogConfig;
use milena::record::{DecompressLimits, HEADER_LEN, Rules, open, validate};
use milena::types::{Timestamp, TopicPartition};

fuzz_target!(|data: &[u8]| {
    let Some((choice, batch)) = data.split_first() else { return };
    let mut batch = batch.to_vec();
    if choice & 1 == 1 && batch.len() >= HEADER_LEN {
        let length = (batch.len() - 12) as i32;
        batch[8..12].copy_from_slice(&length.to_be_bytes());
        batch[16] = 2;
        let checksum = crc32c::crc32c(&batch[21..]);
        batch[17..21].copy_from_slice(&checksum.to_be_bytes());
    }
    let limits = DecompressLimits { max_bytes: 1 << 20, ..DecompressLimits::default() };
    if let Ok(open) = open(&batch, &limits) {
        open.records().for_each(|record| drop(record.map(|record| record.headers.count())));
    }

    let (log, partition) = (LogConfig::default(), TopicPartition::new("fuzz", 0));
    let rules = Rules {
        log: &log,
        partition: &partition,
        api_version: if choice & 2 == 2 { 12 } else { 3 },
        now: Timestamp(1_700_000_000_000),
        full: choice & 4 == 4,
        limits,
    };
    let Ok(valid) = validate(Bytes::from(batch), &rules) else { return };
    let bytes = valid.to_vec();
    assert_eq!(bytes.len(), valid.size());
    if rules.full {
        let open = open(&bytes, &limits).expect("what was validated opens");
        let read = open.records().map(|record| record.expect("what was validated reads")).count();
        assert_eq!(read, valid.header().count as usize);
    }
});
