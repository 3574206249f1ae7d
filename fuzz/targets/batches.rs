//! Record batches from strangers, and what is compressed in them.

use bytes::Bytes;
use milena::config::LogConfig;
use milena::record::{Builder, Compression, DecompressLimits, HEADER_LEN, Rules, open, validate};
use milena::types::{Timestamp, TopicPartition};

use super::allocation;

/// A batch as a client sends it. The first byte chooses the rules. Its lowest bit has length, magic and checksum put right
/// first, so that the fuzzer gets past them; a client that means harm does the same.
pub fn record_batch(data: &[u8]) {
    let Some((choice, batch)) = data.split_first() else { return };
    let mut batch = batch.to_vec();
    if choice & 1 == 1 {
        put_right(&mut batch);
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
        let read: Result<Vec<_>, _> = open.records().collect();
        assert_eq!(read.expect("what was validated reads").len(), valid.header().count as usize);
    }
}

/// Makes length, magic and checksum of a batch those of its bytes.
pub fn put_right(batch: &mut [u8]) {
    if batch.len() < HEADER_LEN {
        return;
    }
    let length = (batch.len() - 12) as i32;
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    batch[16] = 2;
    let checksum = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&checksum.to_be_bytes());
}

pub fn gzip(data: &[u8]) {
    codec(Compression::Gzip, data);
}

/// Raw and in Java's frames, as the bytes say.
pub fn snappy(data: &[u8]) {
    codec(Compression::Snappy, data);
}

pub fn lz4(data: &[u8]) {
    codec(Compression::Lz4, data);
}

pub fn zstd(data: &[u8]) {
    codec(Compression::Zstd, data);
}

/// The first byte is how many records the batch announces, the second chooses the limit.
fn codec(codec: Compression, data: &[u8]) {
    let Some(([count, choice], packed)) = data.split_first_chunk::<2>() else { return };
    let max_bytes = [1 << 10, 64 << 10, 1 << 20, 8 << 20][usize::from(choice & 3)];
    let limits = DecompressLimits { max_bytes, ..DecompressLimits::default() };
    let batch = compressed_batch(codec, *count, packed);
    let growth = allocation::growth_of(|| {
        if let Ok(open) = open(&batch, &limits) {
            open.records().for_each(|record| drop(record.map(|record| record.headers.count())));
        }
    });
    // Beside the output there are the codec's own tables and blocks: of LZ4, three of 4 MiB at most.
    assert!(growth <= 2 * max_bytes + (13 << 20), "{growth} bytes under a limit of {max_bytes}");
    if choice & 4 == 4 {
        round_trip(codec, packed);
    }
}

fn compressed_batch(codec: Compression, count: u8, packed: &[u8]) -> Vec<u8> {
    let mut batch = vec![0; HEADER_LEN];
    batch[22] = codec.id();
    batch[26] = count;
    batch[43..57].fill(0xff);
    batch[60] = count;
    batch.extend_from_slice(packed);
    put_right(&mut batch);
    batch
}

/// What we compress ourselves opens as what it was.
fn round_trip(codec: Compression, value: &[u8]) {
    let mut builder = Builder::new().compression(codec);
    builder.push(Timestamp(1), None, Some(value), &[]);
    let bytes = builder.build().to_vec();
    let open = open(&bytes, &DecompressLimits::default()).expect("our own batch opens");
    let record = open.records().next().expect("a record").expect("that reads");
    assert_eq!(record.value, Some(value));
}
