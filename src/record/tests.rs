//! Tests of the room: what is built validates and opens again, what is broken is refused, nothing panics.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::config::LogConfig;
use crate::types::{ErrorCode, LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp, TopicPartition};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// Three records as a client of ours would send them: a header given twice, a null value, an empty key.
fn sample(compression: Compression) -> ValidBatch {
    let mut builder = Builder::new().compression(compression);
    builder.push(NOW, Some(b"k1"), Some(b"v1"), &[(b"h", Some(b"1")), (b"h", None)]);
    builder.push(NOW.plus_ms(7), Some(b""), None, &[]);
    builder.push(NOW.plus_ms(3), Some(b"k3"), Some(b"v3"), &[]);
    builder.build()
}

/// Validates by the rules of a topic, with Produce version 9.
fn check(batch: impl Into<Bytes>, log: &LogConfig) -> Result<ValidBatch, Refusal> {
    check_version(batch, log, 9, false)
}

fn check_version(batch: impl Into<Bytes>, log: &LogConfig, version: i16, full: bool) -> Result<ValidBatch, Refusal> {
    let partition = TopicPartition::new("t", 0);
    let limits = DecompressLimits::default();
    validate(batch.into(), &Rules { log, partition: &partition, api_version: version, now: NOW, full, limits })
}

/// A batch with its header changed and its checksum made right again.
fn with_header(batch: &ValidBatch, change: impl FnOnce(&mut Header)) -> Vec<u8> {
    let mut header = *batch.header();
    change(&mut header);
    let mut bytes = batch.to_vec();
    let mut front = [0; HEADER_LEN];
    header.write(&mut front);
    bytes[..HEADER_LEN].copy_from_slice(&front);
    let crc = crc32c::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes
}

type OwnedRecord = (i64, i64, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(Vec<u8>, Option<Vec<u8>>)>);

fn owned(batch: &[u8]) -> Vec<OwnedRecord> {
    let opened = open(batch, &DecompressLimits::default()).unwrap();
    let own = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
    opened
        .records()
        .map(|record| {
            let record = record.unwrap();
            let headers = record.headers.map(|(key, value)| (key.to_vec(), own(value))).collect();
            (record.offset.0, record.timestamp.0, own(record.key), own(record.value), headers)
        })
        .collect()
}

#[test]
fn what_is_built_validates_and_opens_with_every_codec() {
    for compression in Compression::ALL {
        let mut valid = check(sample(compression).to_vec(), &LogConfig::default()).unwrap();
        valid.assign(Offset(100), LeaderEpoch(4));
        let bytes = valid.to_vec();
        assert!(checksum_matches(&bytes), "{compression}");
        let header = Header::read(&bytes).unwrap();
        assert_eq!(&header, valid.header());
        assert_eq!((header.base_offset, header.last_offset(), header.count), (Offset(100), Offset(102), 3));
        assert_eq!((header.max_timestamp, header.compression()), (NOW.plus_ms(7), compression));
        let records = owned(&bytes);
        assert_eq!(records[0].4, [(b"h".to_vec(), Some(b"1".to_vec())), (b"h".to_vec(), None)]);
        assert_eq!((records[1].0, records[1].1), (101, NOW.0 + 7));
        assert_eq!((records[1].2.as_deref(), records[1].3.as_deref()), (Some(&b""[..]), None));
    }
}

#[test]
fn s5_every_flipped_byte_and_every_cut_is_refused() {
    for compression in Compression::ALL {
        let batch = sample(compression).to_vec();
        for at in 0..batch.len() {
            let mut flipped = batch.clone();
            flipped[at] ^= 0x41;
            // Only the leader epoch is nobody's business: it is outside the checksum and set by the leader.
            assert_eq!(check(flipped, &LogConfig::default()).is_ok(), (12..16).contains(&at), "{compression} {at}");
            assert!(check(batch[..at].to_vec(), &LogConfig::default()).is_err(), "{compression} cut at {at}");
        }
    }
}

fn small_limits(max_bytes: usize) -> DecompressLimits {
    DecompressLimits { max_bytes, ..DecompressLimits::default() }
}

/// A sealed batch around any bytes: length, codec, count and checksum agree, the records may be anything.
fn around(records: &[u8], count: i32, codec: i16) -> Vec<u8> {
    let mut batch = sample(Compression::None).to_vec();
    batch.truncate(HEADER_LEN);
    batch.extend_from_slice(records);
    let length = batch.len() as i32 - 12;
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    batch[21..23].copy_from_slice(&codec.to_be_bytes());
    batch[23..27].copy_from_slice(&(count - 1).to_be_bytes());
    batch[57..61].copy_from_slice(&count.to_be_bytes());
    reseal(batch)
}

fn reseal(mut batch: Vec<u8>) -> Vec<u8> {
    let crc = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    batch
}

/// Reads everything that can be read; the point is that it ends, and without a panic.
fn read_all(batch: &[u8]) {
    if let Ok(opened) = open(batch, &small_limits(1 << 20)) {
        for record in opened.records().flatten() {
            record.headers.for_each(drop);
            let _ = ControlKind::parse(record.key);
            let _ = control::EndTransaction::parse(&record);
        }
    }
}

fn any_bytes() -> impl Strategy<Value = Option<Vec<u8>>> {
    proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40))
}

fn any_records() -> impl Strategy<Value = Vec<OwnedRecord>> {
    let header = (proptest::collection::vec(any::<u8>(), 0..4), any_bytes());
    let headers = proptest::collection::vec(header, 0..4);
    let record = (0..3_000_000_000_000i64, any_bytes(), any_bytes(), headers);
    proptest::collection::vec(record, 1..30).prop_map(|records| {
        let numbered = records.into_iter().enumerate();
        numbered.map(|(i, (timestamp, key, value, headers))| (i as i64, timestamp, key, value, headers)).collect()
    })
}

fn build(records: &[OwnedRecord], mut builder: Builder) -> Builder {
    for (offset, timestamp, key, value, headers) in records {
        let headers: Vec<HeaderRef<'_>> = headers.iter().map(|(k, v)| (k.as_slice(), v.as_deref())).collect();
        builder.push_at(*offset as i32, Timestamp(*timestamp), key.as_deref(), value.as_deref(), &headers);
    }
    builder
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn any_records_survive_build_validate_and_open(records in any_records(), codec in 0..5u8, target in 0..6u8) {
        let codec = Compression::from_id(codec).unwrap();
        let batch = build(&records, Builder::new().compression(codec)).build().to_vec();
        let compression = (target < 5).then_some(target);
        let log = LogConfig { compression, timestamp_after_max_ms: i64::MAX as u64, ..LogConfig::default() };
        let valid = check_version(batch, &log, 9, true).unwrap();
        prop_assert!(checksum_matches(&valid.to_vec()));
        prop_assert_eq!(valid.header().compression(), compression.and_then(Compression::from_id).unwrap_or(codec));
        prop_assert_eq!(valid.header().max_timestamp.0, records.iter().map(|r| r.1).max().unwrap());
        prop_assert_eq!(owned(&valid.to_vec()), records);
    }

    #[test]
    fn compaction_can_write_any_subset_with_its_offsets(records in any_records(), keep: u32, codec in 0..5u8) {
        let last = records.len() as i32 - 1;
        let kept: Vec<OwnedRecord> = records.into_iter().filter(|r| keep >> (r.0 % 32) & 1 == 1).collect();
        let builder = Builder::new().compression(Compression::from_id(codec).unwrap()).delete_horizon(Some(Timestamp(77)));
        let mut batch = build(&kept, builder).last_offset_delta(last).build();
        batch.assign(Offset(1000), LeaderEpoch(2));
        prop_assert_eq!(batch.header().next_offset(), Offset(1001 + i64::from(last)));
        prop_assert_eq!(batch.header().delete_horizon(), Some(Timestamp(77)));
        let mut read = owned(&batch.to_vec());
        read.iter_mut().for_each(|record| record.0 -= 1000);
        prop_assert_eq!(read, kept);
    }

    #[test]
    fn hostile_records_never_panic(records: Vec<u8>, count in 0..5i32, codec in 0..8i16) {
        let batch = around(&records, count, codec);
        read_all(&batch);
        let _ = check_version(batch, &LogConfig::default(), 9, true);
    }

    /// Flips inside the records with the checksum made right: an attacker's, not a disk's.
    #[test]
    fn s5_sealed_but_wrong_batches_never_panic(at: prop::sample::Index, byte: u8, codec in 0..5u8) {
        let mut batch = sample(Compression::from_id(codec).unwrap()).to_vec();
        let at = at.index(batch.len());
        batch[at] = byte;
        let batch = reseal(batch);
        read_all(&batch);
        if let Ok(valid) = check_version(batch, &LogConfig::default(), 9, true) {
            read_all(&valid.to_vec());
        }
    }
}

#[test]
fn s5_hostile_lengths_are_refused() {
    let varint = |value: i64| {
        let mut out = Vec::new();
        varint::write_i64(&mut out, value);
        out
    };
    let record = |delta: i64, key: i64, value: i64, headers: &[u8]| {
        let mut body = vec![0, 0];
        body.extend(varint(delta));
        body.extend(varint(key));
        body.extend(varint(value));
        body.extend_from_slice(headers);
        [varint(body.len() as i64), body].concat()
    };
    let good = record(0, -1, -1, &[0]);
    assert!(check(around(&good, 1, 0), &LogConfig::default()).is_ok());
    let bad = [
        ("no record", vec![], 1),
        ("count above what is there", good.clone(), 2),
        ("count below what is there", [good.clone(), record(1, -1, -1, &[0])].concat(), 1),
        ("the same delta twice", [good.clone(), good.clone()].concat(), 2),
        ("delta above the count", record(5, -1, -1, &[0]), 1),
        ("negative delta", record(-1, -1, -1, &[0]), 1),
        ("key of length -2", record(0, -2, -1, &[0]), 1),
        ("key of length -2147483648", record(0, i64::from(i32::MIN), -1, &[0]), 1),
        ("key longer than the record", record(0, 100, -1, &[0]), 1),
        ("key of 2 GiB", record(0, i64::from(i32::MAX), -1, &[0]), 1),
        ("key length beyond 32 bits", record(0, 1 << 33, -1, &[0]), 1),
        ("value longer than the record", record(0, -1, 2, &[0]), 1),
        ("-1 headers", record(0, -1, -1, &varint(-1)), 1),
        ("2147483647 headers", record(0, -1, -1, &varint(i64::from(i32::MAX))), 1),
        ("a header without a key", record(0, -1, -1, &[2, 1, 1]), 1),
        ("something behind the headers", record(0, -1, -1, &[0, 0]), 1),
        ("record of negative length", [varint(-1), good[1..].to_vec()].concat(), 1),
        ("record of 2 GiB", [varint(i64::from(i32::MAX)), good[1..].to_vec()].concat(), 1),
        ("record shorter than its fields", [varint(3), good[1..].to_vec()].concat(), 1),
        ("a length of six bytes", vec![0xff; 6], 1),
        ("bytes behind the last record", [good.clone(), vec![9]].concat(), 1),
    ];
    for (what, records, count) in bad {
        for codec in [Compression::None, Compression::Lz4] {
            let batch = around(&compression::compress(codec, &records), count, codec.id().into());
            let refusal = check_version(batch.clone(), &LogConfig::default(), 9, true).expect_err(what);
            assert_eq!(refusal.code, ErrorCode::InvalidRecord, "{what}");
            let opened = open(&batch, &DecompressLimits::default()).unwrap();
            let reads = opened.records().all(|record| record.is_ok());
            // A log may hold deltas with gaps, so only the validator counts them.
            assert_eq!(reads, what == "the same delta twice", "{what}");
        }
    }
}

#[test]
fn s6_a_bomb_costs_the_limit_and_no_more() {
    const LIMIT: usize = 1 << 20;
    let zeros = vec![0u8; 8 << 20];
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        let bomb = compression::compress(codec, &zeros);
        let refused = compression::decompress(codec, &bomb, &small_limits(LIMIT)).unwrap_err();
        assert!(matches!(refused, compression::Unpack::TooLarge { limit: LIMIT }), "{codec} {refused}");
        let fits = compression::decompress(codec, &bomb, &small_limits(zeros.len())).unwrap();
        assert_eq!(fits.len(), zeros.len(), "{codec}");
        assert!(compression::decompress(codec, &bomb, &small_limits(zeros.len() - 1)).is_err(), "{codec}");
        let batch = around(&bomb, 1, codec.id().into());
        let log = LogConfig { compact: true, max_message_bytes: 64 << 20, ..LogConfig::default() };
        assert_eq!(check(batch.clone(), &log).unwrap_err().code, ErrorCode::InvalidRecord, "within the default limit");
        let partition = TopicPartition::new("t", 0);
        let limits = small_limits(LIMIT);
        let rules = Rules { log: &log, partition: &partition, api_version: 9, now: NOW, full: false, limits };
        assert_eq!(validate(batch.into(), &rules).unwrap_err().code, ErrorCode::MessageTooLarge, "{codec}");
    }
}

#[test]
fn s6_batches_opened_together_share_one_budget() {
    static BUDGET: DecompressBudget = DecompressBudget::new(100_000);
    let limits = DecompressLimits { max_bytes: 80_000, budget: &BUDGET };
    let packed = compression::compress(Compression::Zstd, &[7; 60_000]);
    let first = compression::decompress(Compression::Zstd, &packed, &limits).unwrap();
    let second = compression::decompress(Compression::Zstd, &packed, &limits);
    assert!(matches!(second, Err(compression::Unpack::Busy)));
    assert!(compression::decompress_stored(Compression::Zstd, &packed, &limits).is_ok(), "reading a log goes on");
    drop((first, second));
    assert!(compression::decompress(Compression::Zstd, &packed, &limits).is_ok());
}

#[test]
fn s6_a_snappy_block_that_claims_more_than_it_can_hold_gets_no_memory() {
    // A raw block of six bytes that says it holds 4 GiB less one byte.
    let lie = [0xff, 0xff, 0xff, 0xff, 0x0f, 0x00];
    let refused = compression::decompress(Compression::Snappy, &lie, &DecompressLimits::default()).unwrap_err();
    assert!(matches!(refused, compression::Unpack::Broken { .. }), "{refused}");
}

/// Found by fuzzing: five bytes made the decoder take 16 MiB, whatever the limit. Kafka reads no such frames.
#[test]
fn s6_an_old_lz4_frame_is_refused_before_it_costs_anything() {
    let old = [0x02, 0x21, 0x4c, 0x18, 0x60, 0x40];
    let refused = compression::decompress(Compression::Lz4, &old, &small_limits(1 << 10)).unwrap_err();
    assert!(refused.to_string().contains("no frame of LZ4"), "{refused}");
}

#[test]
fn s6_the_blocks_of_an_lz4_frame_come_out_of_the_budget() {
    static BUDGET: DecompressBudget = DecompressBudget::new(6 << 20);
    let limits = DecompressLimits { max_bytes: 1 << 10, budget: &BUDGET };
    let frame = |size: lz4_flex::frame::BlockSize| {
        let info = lz4_flex::frame::FrameInfo::new().block_size(size);
        let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
        std::io::Write::write_all(&mut encoder, b"small").unwrap();
        encoder.finish().unwrap()
    };
    let large = compression::decompress(Compression::Lz4, &frame(lz4_flex::frame::BlockSize::Max4MB), &limits);
    assert!(matches!(large, Err(compression::Unpack::Busy)));
    for _ in 0..10 {
        let small = compression::decompress(Compression::Lz4, &frame(lz4_flex::frame::BlockSize::Max1MB), &limits);
        assert_eq!(&*small.unwrap(), b"small", "what was taken is given back");
    }
}

/// Batches that Java, librdkafka and kafka-python wrote.
fn foreign() -> Vec<(&'static str, Vec<u8>)> {
    let lines = include_str!("testdata/batches.txt").lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, hex) = line.split_once(' ').unwrap();
            (name, (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect())
        })
        .collect()
}

fn foreign_batch(name: &str) -> Vec<u8> {
    foreign().into_iter().find(|(other, _)| *other == name).unwrap().1
}

#[test]
fn batches_of_other_clients_open_and_validate() {
    for (name, mut bytes) in foreign() {
        assert!(checksum_matches(&bytes), "{name}");
        let header = Header::read(&bytes).unwrap();
        let records = owned(&bytes);
        assert_eq!(records.len(), header.count as usize, "{name}");
        if header.is_control() || header.count == 0 {
            continue;
        }
        assert!(name.split_once('-').is_some_and(|(_, rest)| rest.ends_with(header.compression().name())));
        for (i, (offset, timestamp, key, ..)) in records.iter().enumerate() {
            assert_eq!(*offset, header.base_offset.0 + i as i64, "{name}");
            assert!((NOW.0..NOW.0 + 20).contains(timestamp), "{name}");
            if !name.starts_with("java") {
                assert_eq!(key.as_deref(), Some(format!("k{offset}").as_bytes()), "{name}");
            }
        }
        // The broker set offset and epoch when it stored them; a client sends offset 0.
        bytes[..8].fill(0);
        let valid = check_version(bytes.clone(), &LogConfig::default(), 9, true).unwrap();
        assert_eq!(valid.to_vec(), bytes, "{name}: nothing had to be patched");
    }
}

#[test]
fn java_and_we_read_the_same_records() {
    for codec in Compression::ALL {
        let records = owned(&foreign_batch(&format!("java-{codec}")));
        let headers = vec![(b"h".to_vec(), Some(b"1".to_vec())), (b"h".to_vec(), None), (vec![], Some(b"".to_vec()))];
        assert_eq!(records[0], (0, NOW.0, Some(b"k1".to_vec()), Some(b"v1".to_vec()), headers), "{codec}");
        assert_eq!(records[1], (1, NOW.0 + 7, Some(vec![]), None, vec![]));
        assert_eq!(records[2], (2, NOW.0 + 3, None, Some([[b'x'; 100], [b'y'; 100]].concat()), vec![]));
    }
}

#[test]
fn uncompressed_batches_and_markers_are_javas_to_the_byte() {
    let java = foreign_batch("java-none");
    let producer = (ProducerId(4000), ProducerEpoch(2));
    let builder = Builder::new().producer(producer.0, producer.1, Sequence(i32::MAX - 1)).transactional(true);
    let ours = build(&owned(&java), builder).build();
    assert_eq!(ours.to_vec(), java);
    assert_eq!(ours.header().last_sequence(), Sequence(0), "sequences wrap (I31)");
    for (name, commit) in [("java-commit", true), ("java-abort", false)] {
        let marker = control::EndTransaction { commit, coordinator_epoch: 9 };
        let mut batch = marker.batch(producer.0, producer.1, NOW);
        batch.assign(Offset(7), LeaderEpoch(3));
        assert_eq!(batch.to_vec(), foreign_batch(name));
        let bytes = batch.to_vec();
        let opened = open(&bytes, &DecompressLimits::default()).unwrap();
        let record = opened.records().next().unwrap().unwrap();
        assert_eq!(control::EndTransaction::parse(&record).unwrap(), Some(marker));
    }
    let emptied = Builder::new().producer(producer.0, producer.1, Sequence(5)).transactional(true);
    let emptied = emptied.base_offset(Offset(10)).leader_epoch(LeaderEpoch(3)).max_timestamp(NOW);
    assert_eq!(emptied.last_offset_delta(4).build().to_vec(), foreign_batch("java-emptied"));
}

#[test]
fn control_kinds_are_numbered_as_kafka_does() {
    for id in -2..10 {
        let kind = ControlKind::from_id(id);
        assert_eq!(kind.id(), id);
        assert_eq!(ControlKind::parse(Some(&kind.key())).unwrap(), kind);
    }
    assert_eq!(ControlKind::from_id(1), ControlKind::Commit);
    assert_eq!(ControlKind::from_id(6), ControlKind::Voters);
    for key in [None, Some(&b""[..]), Some(&[0, 0, 1]), Some(&[0xff, 0xff, 0, 0])] {
        assert!(ControlKind::parse(key).is_err());
    }
}

/// What Apache Kafka 4.3.1 answered to the same bytes, with the sentence from its answer or its log.
/// Lesson 13: what a client may send is one whole batch from offset 0, counted right, without control records.
#[test]
fn refusals_are_kafkas_code_and_sentence() {
    use ErrorCode::{CorruptMessage, InvalidRecord, MessageTooLarge};
    let batch = sample(Compression::None);
    let bytes = batch.to_vec();
    let small = LogConfig { max_message_bytes: 70, ..LogConfig::default() };
    let default = LogConfig::default();
    let lie = |change: fn(&mut Header)| with_header(&batch, change);
    let mut wrong_checksum = bytes.clone();
    wrong_checksum[20] ^= 1;
    let none = "Produce requests with version 9 must have at least one record batch per partition";
    let one = "Produce requests with version 9 are only allowed to contain exactly one record batch per partition";
    let magic = "Produce requests with version 9 are only allowed to contain record batches with magic version 2";
    let cases: Vec<(Vec<u8>, &LogConfig, ErrorCode, &str)> = vec![
        (vec![], &default, InvalidRecord, none),
        (bytes[..11].to_vec(), &default, InvalidRecord, none),
        (bytes[..16].to_vec(), &default, InvalidRecord, none),
        (bytes[..61].to_vec(), &default, InvalidRecord, none),
        (lie(|h| h.length += 1), &default, InvalidRecord, none),
        (lie(|h| h.length = i32::MAX), &default, InvalidRecord, none),
        (bytes.repeat(2), &default, InvalidRecord, one),
        ([&bytes[..], b"abc"].concat(), &default, InvalidRecord, one),
        (lie(|h| h.magic = 0), &default, InvalidRecord, magic),
        (lie(|h| h.magic = 1), &default, InvalidRecord, magic),
        (lie(|h| h.magic = 3), &default, CorruptMessage, "Invalid magic found in record: 3"),
        (lie(|h| h.magic = -1), &default, CorruptMessage, "Invalid magic found in record: -1"),
        (
            lie(|h| h.length = 13),
            &default,
            CorruptMessage,
            "Record size 13 is less than the minimum record overhead (14)",
        ),
        (
            lie(|h| h.length = -1),
            &default,
            CorruptMessage,
            "Record size -1 is less than the minimum record overhead (14)",
        ),
        (lie(|h| h.length = 48), &default, CorruptMessage, "the batch length 48 is below 49"),
        (
            lie(|h| h.base_offset = Offset(5)),
            &default,
            InvalidRecord,
            "The baseOffset of the record batch in the append to t-0 should be 0, but it is 5",
        ),
        (
            bytes.clone(),
            &small,
            MessageTooLarge,
            "The record batch size in the append to t-0 is 97 bytes which exceeds the maximum configured value of 70.",
        ),
        (
            wrong_checksum.clone(),
            &small,
            MessageTooLarge,
            "The record batch size in the append to t-0 is 97 bytes which exceeds the maximum configured value of 70.",
        ),
        (
            lie(|h| h.last_offset_delta = -1),
            &default,
            InvalidRecord,
            "Batch has an invalid offset range: [0, -1] in topic partition t-0",
        ),
        (
            lie(|h| h.last_offset_delta = 3),
            &default,
            InvalidRecord,
            "Inconsistent batch offset range [0, 3] and count of records 3 in topic partition t-0",
        ),
        (
            lie(|h| h.last_offset_delta = i32::MAX),
            &default,
            InvalidRecord,
            "Inconsistent batch offset range [0, 2147483647] and count of records 3 in topic partition t-0",
        ),
        (
            lie(|h| h.count = 0),
            &default,
            InvalidRecord,
            "Invalid reported count for record batch: 0 in topic partition t-0",
        ),
        (
            lie(|h| h.count = i32::MIN),
            &default,
            InvalidRecord,
            "Invalid reported count for record batch: -2147483648 in topic partition t-0",
        ),
        (
            lie(|h| (h.count, h.last_offset_delta) = (4, 3)),
            &default,
            InvalidRecord,
            "Incorrect declared batch size, premature EOF reached",
        ),
        (
            lie(|h| (h.count, h.last_offset_delta) = (2, 1)),
            &default,
            InvalidRecord,
            "Incorrect declared batch size, records still remaining in file",
        ),
        (
            lie(|h| h.attributes = 0x20),
            &default,
            InvalidRecord,
            "Clients are not allowed to write control records in topic partition t-0",
        ),
        (
            lie(|h| h.producer_id = ProducerId(5)),
            &default,
            InvalidRecord,
            "Invalid sequence number -1 in record batch with producerId 5 in topic partition t-0",
        ),
    ];
    for (bytes, log, code, message) in cases {
        let refusal = check(bytes, log).expect_err(message);
        assert_eq!((refusal.code, refusal.message.as_str()), (code, message));
        assert_eq!((refusal.error_message(), refusal.record_errors.len()), (None, 0), "Kafka keeps it to its log");
    }
    let refusal = check(wrong_checksum, &default).unwrap_err();
    assert_eq!(refusal.code, CorruptMessage);
    assert!(check(lie(|h| h.producer_id = ProducerId(-2)), &default).is_ok(), "no producer id (lesson 6)");
}

#[test]
fn i86_null_keys_on_a_compacted_topic_are_named() {
    let compact = LogConfig { compact: true, ..LogConfig::default() };
    for codec in Compression::ALL {
        let mut builder = Builder::new().compression(codec);
        for key in [Some(&b"a"[..]), None, None, None, None] {
            builder.push(NOW, key, Some(b"v"), &[]);
        }
        let bytes = builder.build().to_vec();
        assert!(check(bytes.clone(), &LogConfig::default()).is_ok());
        let refusal = check(bytes, &compact).unwrap_err();
        let why = "Compacted topic cannot accept message without key in topic partition t-0";
        assert_eq!(refusal.code, ErrorCode::InvalidRecord);
        assert_eq!(refusal.record_errors, [1, 2, 3, 4].map(|index| (index, why.to_string())));
        let expected = format!(
            "One or more records have been rejected due to 4 record errors in total, and only showing the first three errors at most: [RecordError(batchIndex=1, message='{why}'), RecordError(batchIndex=2, message='{why}'), RecordError(batchIndex=3, message='{why}')]"
        );
        assert_eq!(refusal.error_message(), Some(expected.as_str()));
    }
    assert!(check(sample(Compression::Zstd).to_vec(), &compact).is_ok());
}

fn at(timestamp: Timestamp, codec: Compression) -> ValidBatch {
    let mut builder = Builder::new().compression(codec);
    builder.push(NOW, Some(b"k"), None, &[]);
    builder.push(timestamp, Some(b"k"), None, &[]);
    builder.build()
}

#[test]
fn timestamps_out_of_bounds_are_named() {
    let narrow = LogConfig { timestamp_before_max_ms: 1000, timestamp_after_max_ms: 2000, ..LogConfig::default() };
    let default = LogConfig::default();
    let hour = 3_600_000;
    for codec in Compression::ALL {
        for (timestamp, log, ok) in [
            (NOW.plus_ms(hour), &default, true),
            (NOW.plus_ms(hour + 1), &default, false),
            (Timestamp(0), &default, true),
            (Timestamp(-5), &default, true),
            (Timestamp(i64::MIN), &default, false),
            (NOW.plus_ms(-1000), &narrow, true),
            (NOW.plus_ms(-1001), &narrow, false),
            (NOW.plus_ms(2000), &narrow, true),
            (NOW.plus_ms(2001), &narrow, false),
            (Timestamp::NONE, &narrow, true),
        ] {
            let result = check(at(timestamp, codec).to_vec(), log);
            // A compressed batch is judged by its header, which does not tell the least of its times.
            let seen = codec == Compression::None || timestamp != Timestamp(i64::MIN);
            assert_eq!(result.is_ok(), ok || !seen, "{codec} {timestamp}");
        }
    }
    let refusal = check(at(NOW.plus_ms(hour + 1), Compression::Gzip).to_vec(), &default).unwrap_err();
    assert_eq!(refusal.code, ErrorCode::InvalidTimestamp);
    assert_eq!(refusal.error_message(), Some("One or more records have been rejected due to invalid timestamp"));
    let sentence = "Timestamp 1700003600001 of message with offset 1 is out of range. The timestamp should be within [-9223370336854775807, 1700003600000]";
    assert_eq!(refusal.record_errors, [(1, sentence.to_string())]);
}

#[test]
fn log_append_time_patches_the_header_and_leaves_the_records() {
    let log = LogConfig { log_append_time: true, ..LogConfig::default() };
    for codec in Compression::ALL {
        let sent = at(NOW.plus_ms(99_999_999), codec);
        let valid = check(sent.to_vec(), &log).unwrap();
        assert!(valid.header().is_log_append_time());
        assert_eq!(valid.header().max_timestamp, NOW);
        assert_eq!(valid.records(), sent.records(), "{codec}");
        assert!(checksum_matches(&valid.to_vec()));
        assert_eq!(&Header::read(&valid.to_vec()).unwrap(), valid.header());
        assert!(
            owned(&valid.to_vec()).iter().all(|record| record.1 == NOW.0),
            "every record has the time of the append"
        );
    }
}

/// Kafka takes the bit off on a CreateTime topic, and refuses it on a LogAppendTime topic.
#[test]
fn a_client_may_not_stamp_records_itself() {
    let stamped = with_header(&sample(Compression::None), |h| h.attributes |= 8);
    let valid = check(stamped.clone(), &LogConfig::default()).unwrap();
    assert!(!valid.header().is_log_append_time());
    assert!(checksum_matches(&valid.to_vec()));
    let refusal = check(stamped, &LogConfig { log_append_time: true, ..LogConfig::default() }).unwrap_err();
    assert_eq!(refusal.code, ErrorCode::InvalidTimestamp);
    assert_eq!(
        refusal.record_errors[0].1,
        "Invalid timestamp type in message DefaultRecord(offset=0, timestamp=1700000000007, key=2 bytes, value=2 bytes). Producer should not set timestamp type to LogAppendTime."
    );
    let without_time = with_header(&sample(Compression::None), |h| {
        h.attributes |= 8;
        h.base_timestamp = Timestamp(-1);
        h.max_timestamp = Timestamp(-1);
    });
    assert_eq!(check(without_time, &LogConfig::default()).unwrap_err().code, ErrorCode::InvalidTimestamp);
}

#[test]
fn a_max_timestamp_that_lies_is_corrected() {
    for codec in Compression::ALL {
        for claimed in [NOW.plus_ms(-5000), NOW.plus_ms(5), NOW.plus_ms(1_000_000_000)] {
            let honest = sample(codec);
            let valid =
                check_version(with_header(&honest, |h| h.max_timestamp = claimed), &LogConfig::default(), 9, false);
            let valid = valid.unwrap();
            // Believed only where a compressed batch says something that could be true.
            let believed = codec != Compression::None && claimed == NOW.plus_ms(5);
            assert_eq!(valid.header().max_timestamp == honest.header().max_timestamp, !believed, "{codec}");
            assert!(checksum_matches(&valid.to_vec()));
            let opened =
                check_version(with_header(&honest, |h| h.max_timestamp = claimed), &LogConfig::default(), 9, true);
            assert_eq!(opened.unwrap(), honest, "{codec}");
        }
    }
}

#[test]
fn codecs_are_checked_against_the_version_of_the_request() {
    let zstd = sample(Compression::Zstd).to_vec();
    assert!(check_version(zstd.clone(), &LogConfig::default(), 7, false).is_ok());
    let refusal = check_version(zstd, &LogConfig::default(), 6, false).unwrap_err();
    assert_eq!(refusal.code, ErrorCode::UnsupportedCompressionType);
    assert_eq!(refusal.message, "Produce requests with version 6 are not allowed to use ZStandard compression");
    for id in 5..8 {
        let refusal = check(with_header(&sample(Compression::None), |h| h.attributes = id), &LogConfig::default());
        assert_eq!(refusal.unwrap_err().code, ErrorCode::UnsupportedCompressionType);
    }
}

#[test]
fn garbage_under_a_codec_is_refused_where_it_is_opened() {
    for codec in &Compression::ALL[1..] {
        let batch = with_header(&sample(Compression::None), |h| h.attributes = codec.id().into());
        let refusal = check_version(batch.clone(), &LogConfig::default(), 9, true).unwrap_err();
        assert_eq!(refusal.code, ErrorCode::InvalidRecord, "{codec}");
        assert!(check(batch.clone(), &LogConfig { compact: true, ..LogConfig::default() }).is_err());
        assert!(open(&batch, &DecompressLimits::default()).is_err());
        // A count that cannot be true is counted even by default: offsets would be lost by the billion.
        let lie = with_header(&sample(*codec), |h| (h.count, h.last_offset_delta) = (i32::MAX, i32::MAX - 1));
        assert_eq!(check(lie, &LogConfig::default()).unwrap_err().code, ErrorCode::InvalidRecord);
    }
}

#[test]
fn recompression_keeps_the_producer_and_minds_the_size() {
    let mut builder = Builder::new().producer(ProducerId(9), ProducerEpoch(1), Sequence(40)).transactional(true);
    builder = builder.compression(Compression::Gzip);
    builder.push(NOW, None, Some(&[b'x'; 5000]), &[]);
    let sent = builder.build();
    let log = LogConfig { compression: Some(0), max_message_bytes: 1000, ..LogConfig::default() };
    assert!(sent.size() < 1000);
    let refusal = check(sent.to_vec(), &log).unwrap_err();
    assert_eq!(refusal.code, ErrorCode::MessageTooLarge);
    let valid = check(sent.to_vec(), &LogConfig { compression: Some(4), ..LogConfig::default() }).unwrap();
    let header = valid.header();
    assert_eq!((header.compression(), header.is_transactional()), (Compression::Zstd, true));
    assert_eq!(
        (header.producer_id, header.producer_epoch, header.base_sequence),
        (ProducerId(9), ProducerEpoch(1), Sequence(40))
    );
    let stamped = LogConfig { compression: Some(3), log_append_time: true, ..LogConfig::default() };
    let valid = check(sent.to_vec(), &stamped).unwrap();
    assert_eq!((valid.header().is_log_append_time(), valid.header().max_timestamp), (true, NOW));
}

#[test]
fn a_batch_above_the_segment_size_is_refused() {
    let log = LogConfig { segment_bytes: 80, ..LogConfig::default() };
    assert_eq!(check(sample(Compression::None).to_vec(), &log).unwrap_err().code, ErrorCode::RecordListTooLarge);
}

#[test]
fn an_internal_batch_is_whole_and_sealed() {
    let bytes = sample(Compression::Lz4).to_vec();
    assert_eq!(ValidBatch::internal(bytes.clone().into()).unwrap().to_vec(), bytes);
    assert!(ValidBatch::internal(bytes[..bytes.len() - 1].to_vec().into()).is_err());
    assert!(ValidBatch::internal([&bytes[..], b"x"].concat().into()).is_err());
    assert!(ValidBatch::internal(with_header(&sample(Compression::None), |h| h.count = -1).into()).is_err());
    let mut flipped = bytes;
    flipped[70] ^= 1;
    assert!(ValidBatch::internal(flipped.into()).is_err());
}
