//! Of every key the newest record stays, and nothing else is lost by it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use super::harness::*;
use crate::config::LogConfig;
use crate::record::{self, Builder, Compression, DecompressLimits, Header, ValidBatch};
use crate::storage::compaction::{self, Cleaned, Failure, Means, Owner};
use crate::storage::log::{Log, OpenHint};
use crate::types::*;

/// A log that nobody else uses.
pub struct Solo<'a> {
    log: RefCell<&'a mut Log>,
    /// After so many looks at the pace the cleaning is told to end.
    patience: Cell<u64>,
}

impl Owner for Solo<'_> {
    fn with_log<T>(&self, work: impl FnOnce(&mut Log) -> T) -> Option<T> {
        Some(work(&mut self.log.borrow_mut()))
    }

    fn with_directory<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        Some(work())
    }

    fn pace(&self, _bytes: u64) -> bool {
        self.patience.replace(self.patience.get().saturating_sub(1)) > 0
    }
}

pub fn compacted() -> LogConfig {
    LogConfig { compact: true, delete: false, delete_retention_ms: 1_000, ..small() }
}

/// All the memory a short test needs.
const AMPLE: usize = 1 << 16;

pub fn at(wall: i64) -> Now {
    Now { wall: Timestamp(wall), mono: Monotonic(1_000_000) }
}

pub fn clean_with(
    log: &mut Log,
    now: Now,
    cleaned_to: Offset,
    key_bytes: usize,
    patience: u64,
) -> Result<Cleaned, Failure> {
    log.flush().unwrap();
    let dirt = log.dirt(now, log.log_end_offset(), Some(cleaned_to)).unwrap();
    let owner = Solo { log: RefCell::new(log), patience: Cell::new(patience) };
    let means = Means { key_bytes, load_factor: 0.9, write_bytes: 300, salt: 5 };
    compaction::clean(&owner, dirt, now, &means)
}

/// Closes the active segment and cleans everything.
fn clean(bench: &mut Bench, now: Now, cleaned_to: i64) -> Cleaned {
    bench.log.roll(now).unwrap();
    clean_with(&mut bench.log, now, Offset(cleaned_to), AMPLE, u64::MAX).unwrap()
}

pub fn keyed(records: &[(&str, Option<&str>)]) -> ValidBatch {
    keyed_at(Timestamp(1_000), records)
}

fn keyed_at(time: Timestamp, records: &[(&str, Option<&str>)]) -> ValidBatch {
    fill(Builder::new(), time, records)
}

pub fn fill(mut builder: Builder, time: Timestamp, records: &[(&str, Option<&str>)]) -> ValidBatch {
    for (key, value) in records {
        builder.push(time, Some(key.as_bytes()), value.map(str::as_bytes), &[(b"h", Some(key.as_bytes()))]);
    }
    builder.build()
}

pub fn of_producer(id: i64, sequence: i32, transactional: bool) -> Builder {
    Builder::new().producer(ProducerId(id), ProducerEpoch(0), Sequence(sequence)).transactional(transactional)
}

/// A record as a reader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub offset: i64,
    pub timestamp: i64,
    pub key: Option<String>,
    pub value: Option<String>,
    pub headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    pub is_control: bool,
    pub producer: ProducerId,
}

pub fn batches(log: &Log) -> Vec<(Header, Vec<u8>)> {
    let mut found = Vec::new();
    let mut at = log.log_start_offset();
    while let Some(range) = log.read(at, log.log_end_offset(), 500, true).unwrap().range {
        let bytes = range.read().unwrap();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let header = Header::read(rest).unwrap();
            let batch = &rest[..header.size()];
            assert!(record::checksum_matches(batch), "at {}", header.base_offset);
            assert!(header.base_offset >= at || found.is_empty(), "batches are in order");
            found.push((header, batch.to_vec()));
            at = header.next_offset();
            rest = &rest[header.size()..];
        }
    }
    found
}

pub fn seen(log: &Log) -> Vec<Seen> {
    let mut all = Vec::new();
    for (header, batch) in batches(log) {
        for record in record::open(&batch, &DecompressLimits::default()).unwrap().records() {
            let record = record.unwrap();
            let text = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            all.push(Seen {
                offset: record.offset.0,
                timestamp: record.timestamp.0,
                key: text(record.key),
                value: text(record.value),
                headers: record.headers.map(|(key, value)| (key.to_vec(), value.map(<[u8]>::to_vec))).collect(),
                is_control: header.is_control(),
                producer: header.producer_id,
            });
        }
    }
    all
}

/// What a `read_committed` reader keeps who follows the log from its start.
pub fn state(log: &Log) -> BTreeMap<String, String> {
    let mut state = BTreeMap::new();
    let end = log.last_stable_offset(log.log_end_offset());
    let aborted = log.aborted_transactions(log.log_start_offset(), end).unwrap();
    let mut waiting: Vec<_> = aborted.into_iter().rev().collect();
    let mut aborting: Vec<ProducerId> = Vec::new();
    for (header, batch) in batches(log).into_iter().take_while(|(header, _)| header.last_offset() < end) {
        while waiting.last().is_some_and(|next| next.first_offset <= header.last_offset()) {
            aborting.extend(waiting.pop().map(|next| next.producer_id));
        }
        if header.is_control() {
            aborting.retain(|id| *id != header.producer_id);
            continue;
        }
        if header.is_transactional() && aborting.contains(&header.producer_id) {
            continue;
        }
        for record in record::open(&batch, &DecompressLimits::default()).unwrap().records() {
            let record = record.unwrap();
            let Some(key) = record.key else { continue };
            let key = String::from_utf8_lossy(key).into_owned();
            match record.value {
                Some(value) => state.insert(key, String::from_utf8_lossy(value).into_owned()),
                None => state.remove(&key),
            };
        }
    }
    state
}

fn offsets(log: &Log) -> Vec<i64> {
    seen(log).iter().map(|record| record.offset).collect()
}

#[test]
fn i80_the_last_value_of_every_key_stays_as_it_was() {
    let mut bench = Bench::new(compacted());
    bench.put(keyed(&[("a", Some("1")), ("b", Some("1")), ("c", Some("1"))]));
    bench.put(keyed_at(Timestamp(1_500), &[("a", Some("2")), ("d", Some("1"))]));
    bench.put(keyed_at(Timestamp(1_200), &[("b", Some("2")), ("a", Some("3"))]));
    let before = seen(&bench.log);
    let cleaned = clean(&mut bench, now(), 0);
    assert_eq!(cleaned.cleaned_to, Offset(7));
    assert!(cleaned.freed_bytes > 0);
    let after = seen(&bench.log);
    assert_eq!(after, [2, 4, 5, 6].map(|index: usize| before[index].clone()));
    for restart in [true, false] {
        if restart {
            bench.restart()
        } else {
            bench.crash(7).unwrap()
        }
        assert_eq!(seen(&bench.log), after);
        assert_eq!(bench.end(), 7);
    }
    assert_eq!(bench.put(keyed(&[("e", Some("1"))])), 7);
}

#[test]
fn i82_the_active_segment_is_not_touched() {
    let mut bench = Bench::new(compacted());
    bench.put(keyed(&[("a", Some("1"))]));
    bench.log.roll(now()).unwrap();
    bench.put(keyed(&[("a", Some("2")), ("a", Some("3"))]));
    let cleaned = clean_with(&mut bench.log, now(), Offset(0), AMPLE, u64::MAX).unwrap();
    assert_eq!(cleaned.cleaned_to, Offset(1));
    // The closed segment alone has one record of its key.
    assert_eq!(offsets(&bench.log), [0, 1, 2]);
    clean(&mut bench, now(), 1);
    assert_eq!(offsets(&bench.log), [2]);
}

#[test]
fn i82_what_is_behind_the_last_stable_offset_is_not_touched() {
    let mut bench = Bench::new(compacted());
    bench.put(keyed(&[("a", Some("1"))]));
    bench.put(keyed(&[("a", Some("2"))]));
    bench.log.roll(now()).unwrap();
    bench.put(fill(of_producer(1, 0, true), Timestamp(1), &[("a", Some("3"))]));
    bench.put(keyed(&[("a", Some("4"))]));
    let cleaned = clean(&mut bench, now(), 0);
    assert_eq!(cleaned.cleaned_to, Offset(2));
    assert_eq!(offsets(&bench.log), [1, 2, 3]);
}

#[test]
fn i81_a_tombstone_stays_for_its_time_and_then_goes() {
    let mut bench = Bench::new(compacted());
    bench.put(keyed(&[("a", Some("1")), ("b", Some("1"))]));
    bench.put(keyed(&[("a", None)]));
    let cleaned = clean(&mut bench, at(10_000), 0);
    assert_eq!(cleaned.last_horizon, Some(Timestamp(11_000)));
    assert_eq!(offsets(&bench.log), [1, 2]);
    let kept = seen(&bench.log);
    assert_eq!((kept[1].timestamp, &kept[1].value), (1_000, &None));
    assert_eq!(clean(&mut bench, at(10_999), 3).last_horizon, Some(Timestamp(11_000)));
    assert_eq!(offsets(&bench.log), [1, 2]);
    bench.restart();
    let cleaned = clean(&mut bench, at(11_000), 3);
    assert_eq!(offsets(&bench.log), [1]);
    assert_eq!(cleaned.last_horizon, None);
    assert_eq!(bench.end(), 3);
}

#[test]
fn a_record_without_a_key_does_not_outlast_a_cleaning() {
    let mut bench = Bench::new(compacted());
    bench.put(values(&["no key"]));
    bench.put(keyed(&[("a", Some("1"))]));
    clean(&mut bench, now(), 0);
    assert_eq!(offsets(&bench.log), [1]);
}

#[test]
fn i83_aborted_records_go_whatever_their_key_and_never_displace_a_committed_one() {
    let mut bench = Bench::new(compacted());
    bench.put(keyed(&[("a", Some("good"))]));
    bench.put(fill(of_producer(1, 0, true), Timestamp(1), &[("a", Some("bad")), ("z", Some("bad"))]));
    bench.put(marker(1, 0, false));
    bench.put(fill(of_producer(2, 0, true), Timestamp(1), &[("b", Some("good"))]));
    bench.put(marker(2, 0, true));
    let before = state(&bench.log);
    clean(&mut bench, at(10_000), 0);
    let offsets: Vec<(i64, bool)> = seen(&bench.log).iter().map(|seen| (seen.offset, seen.is_control)).collect();
    assert_eq!(offsets, [(0, false), (3, true), (4, false), (5, true)]);
    assert_eq!(state(&bench.log), before);
    bench.restart();
    assert_eq!(state(&bench.log), before);
    assert_eq!(bench.log.last_stable_offset(Offset(6)), Offset(6));
}

#[test]
fn i83_a_marker_goes_only_a_cleaning_and_a_delete_retention_after_its_records_lesson_1() {
    let mut bench = Bench::new(compacted());
    bench.put(fill(of_producer(1, 0, true), Timestamp(1), &[("a", Some("1"))]));
    bench.put(marker(1, 0, true));
    bench.put(keyed(&[("a", Some("2"))]));
    // The producers are forgotten, or their last batch would keep the marker.
    bench.log.expire_producers(now(), 0);
    let markers = |bench: &Bench| seen(&bench.log).iter().filter(|seen| seen.is_control).count();
    clean(&mut bench, at(10_000), 0);
    assert_eq!((markers(&bench), offsets(&bench.log)), (1, vec![1, 2]));
    assert_eq!(clean(&mut bench, at(20_000), 3).last_horizon, Some(Timestamp(21_000)));
    assert_eq!(markers(&bench), 1);
    clean(&mut bench, at(21_000), 3);
    assert_eq!(offsets(&bench.log), [2]);
}

#[test]
fn i84_sequences_survive_the_loss_of_all_snapshots_after_a_cleaning_lesson_2() {
    let mut bench = Bench::new(compacted());
    for sequence in 0..8 {
        bench.put(fill(of_producer(7, sequence, false), Timestamp(1), &[("a", Some("x"))]));
    }
    bench.put(keyed(&[("a", Some("last"))]));
    let before = bench.log.producers();
    clean(&mut bench, now(), 0);
    assert_eq!(offsets(&bench.log), [8]);
    bench.log.close().unwrap();
    for snapshot in bench.files("snapshot") {
        bench.disk.remove_file(&snapshot).unwrap();
    }
    let hint =
        OpenHint { clean: true, recovery_point: Offset(9), log_start_offset: Offset(0), flushed: true, cleaned: true };
    bench.reopen(hint).unwrap();
    assert_eq!(bench.log.producers(), before);
    // I30 and I34: any of the last five is known.
    for sequence in 3..8 {
        let again = fill(of_producer(7, sequence, false), Timestamp(1), &[("a", Some("x"))]);
        let answer = bench.append(again).unwrap();
        assert_eq!((answer.duplicate, answer.base_offset), (true, Offset(i64::from(sequence))));
    }
    assert_eq!(bench.put(fill(of_producer(7, 8, false), Timestamp(1), &[("a", Some("x"))])), 9);
}

#[test]
fn i84_the_epoch_of_a_producer_that_only_ended_something_survives_too() {
    let mut bench = Bench::new(compacted());
    bench.put(fill(of_producer(7, 0, true), Timestamp(1), &[("a", Some("x"))]));
    // As the newer protocol ends a transaction: with the next epoch.
    bench.put(marker(7, 1, true));
    bench.put(keyed(&[("a", Some("last"))]));
    for wall in [10_000, 20_000, 30_000] {
        clean(&mut bench, at(wall), 0);
    }
    assert_eq!(offsets(&bench.log), [1, 2]);
    bench.log.close().unwrap();
    for snapshot in bench.files("snapshot") {
        bench.disk.remove_file(&snapshot).unwrap();
    }
    bench
        .reopen(OpenHint {
            clean: true,
            recovery_point: Offset(3),
            log_start_offset: Offset(0),
            flushed: true,
            cleaned: true,
        })
        .unwrap();
    let late = fill(of_producer(7, 1, true), Timestamp(1), &[("a", Some("x"))]);
    assert_eq!(bench.refused(late), ErrorCode::InvalidProducerEpoch);
}

#[test]
fn compression_and_log_append_time_stay() {
    let mut bench = Bench::new(compacted());
    for codec in Compression::ALL {
        let builder = Builder::new().compression(codec);
        let builder = if codec == Compression::Gzip { builder.log_append_time(Timestamp(77)) } else { builder };
        bench.put(fill(builder, Timestamp(5), &[("a", Some(codec.name())), (codec.name(), Some("kept"))]));
    }
    clean(&mut bench, now(), 0);
    let kept = batches(&bench.log);
    assert_eq!(kept.iter().map(|(header, _)| header.compression()).collect::<Vec<_>>(), Compression::ALL);
    assert!(kept.iter().all(|(header, _)| header.last_offset_delta == 1));
    let times: Vec<i64> = seen(&bench.log).iter().map(|seen| seen.timestamp).collect();
    assert_eq!(times, [5, 77, 5, 5, 5, 5]);
    assert!(kept[1].0.is_log_append_time());
}

#[test]
fn what_does_not_fit_into_memory_is_cleaned_in_several_passes() {
    let mut bench = Bench::new(LogConfig { segment_bytes: 2_000, ..compacted() });
    for round in 0..3 {
        for key in 0..200 {
            let (key, value) = (format!("key-{key}"), format!("{round}"));
            bench.put(keyed(&[(&key, Some(&value)), (&key, Some(&value))]));
        }
    }
    let before = state(&bench.log);
    bench.log.roll(now()).unwrap();
    let cleaned = clean_with(&mut bench.log, now(), Offset(0), 0, u64::MAX).unwrap();
    assert!(cleaned.passes > 5, "{cleaned:?}");
    assert_eq!(cleaned.cleaned_to, Offset(1200));
    assert_eq!(state(&bench.log), before);
    assert_eq!(seen(&bench.log).len(), 200);
}

#[test]
fn small_segments_grow_together_and_clean_ones_are_left_alone() {
    let mut bench = Bench::new(compacted());
    for key in 0..40 {
        bench.put(keyed(&[(&format!("key-{key}"), Some("a value of some length"))]));
        for _ in 0..3 {
            bench.put(keyed(&[("same", Some("a value of some length"))]));
        }
    }
    let before = bench.log.segments().unwrap().len();
    clean(&mut bench, now(), 0);
    clean(&mut bench, now(), 0);
    let after = bench.log.segments().unwrap().len();
    assert!(after * 2 < before, "{after} of {before}");
    // Nothing left to win: nothing is written.
    let again = clean(&mut bench, now(), 160);
    assert_eq!(again.written_bytes, 0, "{again:?}");
    assert_eq!(offsets(&bench.log).len(), 41);
    assert_eq!(bench.log.size_bytes(), bench.log.segments().unwrap().iter().map(|s| s.size_bytes).sum::<u64>());
}

#[test]
fn readers_keep_what_they_have_and_find_their_place_across_the_gaps() {
    let mut bench = Bench::new(compacted());
    for round in 0..30 {
        bench.put(keyed(&[("a", Some(&round.to_string())), ("b", Some(&round.to_string()))]));
    }
    let held = bench.log.read(Offset(0), Offset(60), 300, true).unwrap();
    clean(&mut bench, now(), 0);
    let bytes = held.range.unwrap().read().unwrap();
    assert!(record::checksum_matches(&bytes[..Header::read(&bytes).unwrap().size()]));
    // From every offset a reader comes to the end, as one does who waits for an exact offset (pitfall 37).
    for from in 0..60 {
        let mut at = Offset(from);
        while at < Offset(60) {
            let fetched = bench.log.read(at, Offset(60), 200, true).unwrap();
            assert!(fetched.range.is_some() && fetched.next_offset > at, "stuck at {at}");
            at = fetched.next_offset;
        }
    }
    assert_eq!(offsets(&bench.log), [58, 59]);
    let found = bench.log.offset_for_timestamp(Timestamp(0), Offset(60)).unwrap();
    assert_eq!(found.map(|found| found.0), Some(Offset(58)));
}

#[test]
fn a_log_of_which_nothing_is_left_still_leads_to_its_end() {
    let mut bench = Bench::new(compacted());
    bench.put(keyed(&[("a", Some("1"))]));
    bench.put(keyed(&[("a", None)]));
    clean(&mut bench, at(10_000), 0);
    clean(&mut bench, at(20_000), 2);
    assert!(offsets(&bench.log).is_empty());
    let fetched = bench.log.read(Offset(0), Offset(2), 1000, true).unwrap();
    assert_eq!(fetched.next_offset, Offset(2));
    bench.restart();
    assert_eq!(bench.end(), 2);
    assert_eq!(bench.log.read(Offset(0), Offset(2), 1000, true).unwrap().next_offset, Offset(2));
}

#[test]
fn a_cleaning_that_is_told_to_end_leaves_nothing_behind_and_can_be_done_again() {
    let mut bench = Bench::new(compacted());
    for round in 0..40 {
        bench.put(keyed(&[("a", Some(&round.to_string())), ("b", Some(&round.to_string()))]));
    }
    let before = state(&bench.log);
    bench.log.roll(now()).unwrap();
    for patience in 0.. {
        let ended = clean_with(&mut bench.log, now(), Offset(0), AMPLE, patience);
        assert_eq!(state(&bench.log), before);
        assert!(bench.files("cleaned").is_empty() && bench.files("swap").is_empty());
        match ended {
            Ok(_) => break,
            Err(Failure::Ended) => {}
            Err(Failure::Disk(error)) => panic!("{error}"),
        }
    }
    assert_eq!(offsets(&bench.log), [78, 79]);
}

#[test]
fn i10_a_damaged_batch_ends_the_cleaning_and_nothing_is_cut() {
    let mut bench = Bench::new(compacted());
    for round in 0..10 {
        bench.put(keyed(&[("a", Some(&round.to_string()))]));
    }
    bench.log.roll(now()).unwrap();
    bench.log.flush().unwrap();
    let file = bench.disk.open(&bench.files("log")[0], false).unwrap();
    let size = file.len().unwrap();
    file.write_all_at(&[std::io::IoSlice::new(b"X")], size - 1).unwrap();
    let failed = clean_with(&mut bench.log, now(), Offset(0), AMPLE, u64::MAX);
    let Err(Failure::Disk(error)) = failed else { panic!("{failed:?}") };
    assert!(error.to_string().contains("checksum"), "{error}");
    assert_eq!(file.len().unwrap(), size);
    assert_eq!(bench.log.log_end_offset(), Offset(10));
}

#[test]
fn what_a_crash_left_of_a_cleaning_is_settled_at_the_start_lesson_8() {
    let mut bench = Bench::new(compacted());
    for round in 0..10 {
        bench.put(keyed(&[("a", Some(&round.to_string()))]));
    }
    clean(&mut bench, now(), 0);
    let after = seen(&bench.log);
    bench.log.close().unwrap();
    let log = bench.files("log")[0].clone();
    let rubbish = bench.disk.open(&log.with_extension("log.cleaned"), true).unwrap();
    rubbish.write_all_at(&[std::io::IoSlice::new(b"half a batch")], 0).unwrap();
    bench.crash(10).unwrap();
    assert_eq!(seen(&bench.log), after);
    assert!(bench.files("cleaned").is_empty());
}

#[test]
fn a_cleaning_of_a_log_that_is_gone_touches_no_file() {
    struct Gone;
    impl Owner for Gone {
        fn with_log<T>(&self, _work: impl FnOnce(&mut Log) -> T) -> Option<T> {
            None
        }
        fn with_directory<T>(&self, _work: impl FnOnce() -> T) -> Option<T> {
            panic!("no file is touched for a log that is gone")
        }
        fn pace(&self, _bytes: u64) -> bool {
            true
        }
    }
    let mut bench = Bench::new(compacted());
    bench.put(keyed(&[("a", Some("1"))]));
    bench.log.roll(now()).unwrap();
    bench.log.flush().unwrap();
    let dirt = bench.log.dirt(now(), Offset(1), None).unwrap();
    let means = Means { key_bytes: AMPLE, load_factor: 0.9, write_bytes: 300, salt: 0 };
    assert!(matches!(compaction::clean(&Gone, dirt, now(), &means), Err(Failure::Ended)));
}
