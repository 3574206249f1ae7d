//! The files of one log: the segment itself, and those beside it that may be made again from it (I14, I19).
//!
//! A small log with several segments, transactions and producers is written once. Each input takes the place of one of its
//! files; then the log is opened, after a clean stop or a crash, and whatever it serves must be what was written.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use milena::config::LogConfig;
use milena::record::control::EndTransaction;
use milena::record::{self, Builder, DecompressLimits, HEADER_LEN, Header, ValidBatch};
use milena::storage::Error;
use milena::storage::log::{AbortedTransaction, Log, OpenHint, Origin};
use milena::types::*;

use super::disk::MemoryDisk;
use super::{Choices, batches};

/// A log as it was written, and what is in it.
pub struct Written {
    pub disk: MemoryDisk,
    /// Offset, time and value of each record that is no marker.
    pub records: Vec<(i64, i64, Vec<u8>)>,
    pub aborted: Vec<AbortedTransaction>,
    pub end: Offset,
}

pub const DIR: &str = "/data/orders-0";
pub const TOPIC_ID: TopicId = TopicId(uuid::Uuid::from_u128(0x1234_5678_9abc_4def_8123_4567_89ab_cdef));
const SECOND_SEGMENT_RECORDS: usize = 8;

pub fn now() -> Now {
    Now { wall: Timestamp(1_700_000_000_000), mono: Monotonic(1_000_000) }
}

fn config() -> Arc<LogConfig> {
    static CONFIG: OnceLock<Arc<LogConfig>> = OnceLock::new();
    let small = || LogConfig { segment_bytes: 700, index_interval_bytes: 130, ..LogConfig::default() };
    CONFIG.get_or_init(|| Arc::new(small())).clone()
}

pub fn written() -> &'static Written {
    static WRITTEN: OnceLock<Written> = OnceLock::new();
    WRITTEN.get_or_init(write)
}

fn write() -> Written {
    let disk = Arc::new(MemoryDisk::default());
    let (mut log, _) = Log::open(disk.clone(), DIR.into(), config(), OpenHint::fresh(), Some(TOPIC_ID), now())
        .expect("a new log opens");
    let mut records = Vec::new();
    for round in 0..30i32 {
        let id = ProducerId(i64::from(round % 3));
        let mut builder =
            Builder::new().producer(id, ProducerEpoch(0), Sequence(round / 3 * 2)).transactional(id.0 == 2);
        for index in 0..2i64 {
            let time = 1_000 + 10 * i64::from(round) + index;
            let value = format!("record {round}/{index}").into_bytes();
            builder.push(Timestamp(time), None, Some(&value), &[]);
            records.push((log.log_end_offset().0 + index, time, value));
        }
        append(&mut log, builder.build(), LeaderEpoch(round / 10), Origin::Client);
        if id.0 == 2 && round % 2 == 0 {
            let end = EndTransaction { commit: round % 4 == 0, coordinator_epoch: 0 };
            let marker = end.batch(id, ProducerEpoch(0), Timestamp(1_000 + 10 * i64::from(round)));
            append(&mut log, marker, LeaderEpoch(round / 10), Origin::Coordinator);
        }
    }
    log.close().expect("the log closes");
    let end = log.log_end_offset();
    let aborted = log.aborted_transactions(Offset::ZERO, end).expect("aborted transactions");
    assert!(aborted.len() >= 2 && log.segments().expect("segments").len() >= 4, "a log worth damaging");
    Written { disk: disk.copy(), records, aborted, end }
}

fn append(log: &mut Log, mut batch: ValidBatch, epoch: LeaderEpoch, origin: Origin) {
    log.append(&mut batch, epoch, now(), origin).expect("an append to memory");
}

/// After a clean stop nothing is read; after a crash everything behind the recovery point is.
pub fn hint(choices: &mut Choices<'_>) -> OpenHint {
    let clean = choices.bool();
    let recovery_point = if choices.bool() { Offset::ZERO } else { written().end };
    OpenHint { clean, recovery_point, log_start_offset: Offset::ZERO, flushed: true, cleaned: false }
}

pub fn open(disk: &Arc<MemoryDisk>, hint: OpenHint) -> Result<Log, Error> {
    Log::open(disk.clone(), DIR.into(), config(), hint, Some(TOPIC_ID), now()).map(|opened| opened.0)
}

/// Everything a log serves, read in pieces; control batches are passed over.
pub fn read_all(log: &Log) -> Vec<(i64, i64, Vec<u8>)> {
    let mut found = Vec::new();
    let (mut at, end) = (log.log_start_offset(), log.log_end_offset());
    while at < end {
        let Ok(fetched) = log.read(at, end, 700, true) else { break };
        let Some(range) = fetched.range else { break };
        assert!(fetched.next_offset > at, "a read goes on");
        let bytes = range.read().expect("memory is read");
        read_batches(&bytes, at, &mut found);
        at = fetched.next_offset;
    }
    found
}

fn read_batches(mut bytes: &[u8], from: Offset, found: &mut Vec<(i64, i64, Vec<u8>)>) {
    while !bytes.is_empty() {
        let header = Header::read(bytes).expect("whole batches are served");
        let (batch, rest) = bytes.split_at(header.size());
        bytes = rest;
        let Ok(open) = record::open(batch, &DecompressLimits::default()) else { continue };
        for record in open.records().map_while(Result::ok) {
            if record.offset >= from && !header.is_control() {
                found.push((record.offset.0, record.timestamp.0, record.value.unwrap_or_default().to_vec()));
            }
        }
    }
}

/// Where a file of the segment with that base offset lies.
pub fn path(base: i64, ending: &str) -> PathBuf {
    Path::new(DIR).join(format!("{base:020}.{ending}"))
}

/// The base offsets of the segments.
pub fn bases() -> &'static [i64] {
    static BASES: OnceLock<Vec<i64>> = OnceLock::new();
    BASES.get_or_init(|| {
        let log = open(&Arc::new(written().disk.copy()), hint(&mut Choices(&[1]))).expect("what was written opens");
        log.segments().expect("segments").iter().map(|segment| segment.base_offset.0).collect()
    })
}

/// Puts the bytes in the place of one file of any segment, and opens the log.
fn with_file(choices: &mut Choices<'_>, ending: &str) -> Result<Log, Error> {
    let hint = hint(choices);
    let base = bases()[choices.below(bases().len() as u8)];
    let disk = Arc::new(written().disk.copy());
    disk.set(&path(base, ending), choices.0);
    open(&disk, hint)
}

/// An index is a help, never a witness: nobody finds anything else because of what stands in it.
pub fn offset_index(data: &[u8]) {
    let log = with_file(&mut Choices(data), "index").expect("an index is made again");
    assert_eq!(read_all(&log), written().records);
    for (offset, ..) in &written().records {
        let fetched = log.read(Offset(*offset), log.log_end_offset(), 1, true).expect("a record is found");
        let mut found = Vec::new();
        read_batches(&fetched.range.expect("a batch").read().expect("memory"), Offset(*offset), &mut found);
        assert_eq!(found[0].0, *offset);
    }
}

pub fn time_index(data: &[u8]) {
    let log = with_file(&mut Choices(data), "timeindex").expect("an index is made again");
    for (offset, time, _) in &written().records {
        let found = log.offset_for_timestamp(Timestamp(*time), log.log_end_offset()).expect("a time is found");
        assert_eq!(found.map(|found| found.0.0), Some(*offset));
    }
    let latest = log.max_timestamp(log.log_end_offset()).expect("the largest time");
    assert_eq!(latest.map(|found| found.1.0), written().records.last().map(|last| last.1));
}

/// The file has no checksum: one that keeps the rules and the length is believed. One that breaks them is made again.
pub fn txn_index(data: &[u8]) {
    let mut choices = Choices(data);
    let log = with_file(&mut choices, "txnindex").expect("an index is made again");
    assert_eq!(read_all(&log), written().records);
    let found = log.aborted_transactions(Offset::ZERO, log.log_end_offset()).expect("aborted transactions");
    let (entries, rest) = choices.0.as_chunks::<34>();
    let orderly = |entry: &[u8; 34]| {
        let field = |at: usize| i64::from_be_bytes(*entry[at..].first_chunk().expect("34 bytes"));
        entry[..2] == [0, 0] && field(2) >= 0 && field(10) >= 0 && field(10) < field(18)
    };
    if !rest.is_empty() || entries.is_empty() || !entries.iter().all(orderly) {
        assert_eq!(found, written().aborted);
    }
}

/// A segment of any content behind which nothing is known to be flushed: what is whole stays, the rest goes, and the log
/// takes writes again. The second byte has the checksums put right, so that the walk gets on.
pub fn segment(data: &[u8]) {
    let mut choices = Choices(data);
    let (put_right, compact) = (choices.bool(), choices.bool());
    let mut content = choices.0.to_vec();
    if put_right {
        each_batch(&mut content);
    }
    let disk = Arc::new(MemoryDisk::default());
    disk.set(&path(0, "log"), &content);
    let config = Arc::new(LogConfig { compact, ..(*config()).clone() });
    let hint = OpenHint {
        clean: false,
        recovery_point: Offset::ZERO,
        log_start_offset: Offset::ZERO,
        flushed: false,
        cleaned: false,
    };
    // A control batch whose checksum matches and whose content is none is an error, and stays one.
    let Ok((mut log, _)) = Log::open(disk.clone(), DIR.into(), config.clone(), hint, None, now()) else { return };
    let before = read_all(&log);
    let end = log.log_end_offset();
    for time in [0, 1_000, i64::MAX] {
        drop(log.offset_for_timestamp(Timestamp(time), end));
    }
    drop((log.max_timestamp(end), log.aborted_transactions(Offset::ZERO, end), log.producers()));
    if end.0 > i64::MAX - 1_000_000 {
        return;
    }
    let mut builder = Builder::new();
    (0..SECOND_SEGMENT_RECORDS).for_each(|_| builder.push(Timestamp(5), None, Some(b"new"), &[]));
    let epoch = log.leader_epochs().latest().unwrap_or(LeaderEpoch::ZERO);
    append(&mut log, builder.build(), epoch, Origin::Client);
    log.close().expect("the log closes");
    let hint = OpenHint { clean: true, recovery_point: log.log_end_offset(), ..hint };
    let (again, _) = Log::open(disk, DIR.into(), config, hint, None, now()).expect("what was closed opens");
    let after = read_all(&again);
    assert_eq!(after.len(), before.len() + SECOND_SEGMENT_RECORDS);
    assert_eq!(after[..before.len()], before);
}

/// Puts right what each batch of a log says about itself, as far as their lengths go.
fn each_batch(mut content: &mut [u8]) {
    while content.len() >= HEADER_LEN {
        let length = i32::from_be_bytes(*content[8..].first_chunk().expect("four bytes"));
        let size = usize::try_from(length).unwrap_or(0).clamp(HEADER_LEN - 12, content.len() - 12) + 12;
        let (batch, rest) = content.split_at_mut(size);
        batches::put_right(batch);
        content = rest;
    }
}

/// A snapshot is passed over unless its checksum matches; the second byte has it match.
pub fn producer_snapshot(data: &[u8]) {
    let mut choices = Choices(data);
    let hint = hint(&mut choices);
    let put_right = choices.bool();
    let base = bases()[choices.below(bases().len() as u8)];
    let mut content = choices.0.to_vec();
    if put_right && content.len() >= 6 {
        let checksum = crc32c::crc32c(&content[6..]);
        content[2..6].copy_from_slice(&checksum.to_be_bytes());
    }
    let disk = Arc::new(written().disk.copy());
    disk.set(&path(base, "snapshot"), &content);
    // A snapshot that lies about open transactions may contradict the log; then the log is not opened.
    let Ok(mut log) = open(&disk, hint) else { return };
    assert_eq!(read_all(&log), written().records);
    drop((log.producers(), log.last_stable_offset(log.log_end_offset())));
    let mut builder = Builder::new();
    builder.push(Timestamp(9_000), None, Some(b"new"), &[]);
    append(&mut log, builder.build(), LeaderEpoch(9), Origin::Client);
    log.close().expect("the log closes");
}
