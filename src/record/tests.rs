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

proptest! {
    #[test]
    fn hostile_records_never_panic(records: Vec<u8>, count in 0..5i32, codec in 0..8i16) {
        let mut bytes = sample(Compression::None).to_vec();
        bytes.truncate(HEADER_LEN);
        bytes.extend_from_slice(&records);
        let length = bytes.len() as i32 - 12;
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        bytes[21..23].copy_from_slice(&codec.to_be_bytes());
        bytes[57..61].copy_from_slice(&count.to_be_bytes());
        bytes[23..27].copy_from_slice(&(count - 1).to_be_bytes());
        let crc = crc32c::crc32c(&bytes[21..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
        if let Ok(opened) = open(&bytes, &DecompressLimits { max_bytes: 1 << 20 }) {
            for record in opened.records().flatten() {
                record.headers.for_each(drop);
            }
        }
        let _ = check_version(bytes, &LogConfig::default(), 9, true);
    }
}

#[test]
fn refusals_keep_to_kafkas_codes() {
    let batch = sample(Compression::None);
    let default = LogConfig::default();
    let code = |bytes: Vec<u8>, log: &LogConfig| check(bytes, log).unwrap_err().code;
    let with_producer = |header: &mut Header| {
        header.producer_id = ProducerId(5);
        header.producer_epoch = ProducerEpoch(0);
        header.base_sequence = Sequence(-1);
    };
    assert_eq!(code(vec![], &default), ErrorCode::InvalidRecord);
    assert_eq!(code(with_header(&batch, |h| h.base_offset = Offset(1)), &default), ErrorCode::InvalidRecord);
    assert_eq!(code(with_header(&batch, |h| h.attributes |= 0x20), &default), ErrorCode::InvalidRecord);
    assert_eq!(code(with_header(&batch, with_producer), &default), ErrorCode::InvalidRecord);
    assert_eq!(code(with_header(&batch, |h| h.magic = 1), &default), ErrorCode::InvalidRecord);
    assert_eq!(code(with_header(&batch, |h| h.magic = 3), &default), ErrorCode::CorruptMessage);
    let small = LogConfig { max_message_bytes: 70, ..LogConfig::default() };
    assert_eq!(code(batch.to_vec(), &small), ErrorCode::MessageTooLarge);
}
