//! Crash images: a short life of a log is recorded operation by operation, and at every one of them the images that a crash
//! or a power cut could leave are recovered and held against the promises I1 to I20, I33, I47 and I48, each by its number.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::harness::*;
use crate::config::LogConfig;
use crate::record::{self, Builder, ValidBatch};
use crate::storage::Error;
use crate::storage::disk::Disk;
use crate::storage::log::{AppendError, Log, Origin, RecoveryReport};
use crate::storage::log_dir::{Identity, LogDir};
use crate::testing::disk::{Crashes, Cut, Image, SimDisk};
use crate::testing::seed::Seed;
use crate::types::*;

const ROOT: &str = "/data";
const TOPIC: TopicId = TopicId(uuid::Uuid::from_u128(7));

fn name() -> TopicPartition {
    TopicPartition::new("orders", 0)
}

fn partition_dir() -> PathBuf {
    Path::new(ROOT).join("orders-0")
}

fn config() -> LogConfig {
    LogConfig { segment_bytes: 700, index_interval_bytes: 100, ..LogConfig::default() }
}

/// A data directory with one partition, as a process holds it.
struct Process {
    dir: LogDir,
    log: Log,
    report: RecoveryReport,
}

fn start(disk: &SimDisk) -> Result<Process, Error> {
    let identity = Identity {
        cluster_id: None,
        is_cluster_id_strict: true,
        node_id: BrokerId(1),
        fresh_cluster_id: uuid::Uuid::from_u128(1),
        fresh_directory_id: uuid::Uuid::from_u128(2),
    };
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let dir = LogDir::open(disk.clone(), Path::new(ROOT), identity)?;
    let hint = dir.open_hint(&name());
    let path = if dir.partition_dirs()?.is_empty() { dir.create_partition(&name(), TOPIC)? } else { partition_dir() };
    let (log, report) = Log::open(disk, path, Arc::new(config()), hint, Some(TOPIC), now())?;
    Ok(Process { dir, log, report })
}

/// One batch as it is, or would be, in the log.
#[derive(Clone, Debug)]
struct Batch {
    base: i64,
    /// None for a marker.
    values: Option<Vec<String>>,
    count: i64,
    timestamp: i64,
    producer: Option<i64>,
    /// The producer, if the batch is part of its transaction, and for a marker how that ended.
    transaction: Option<(i64, Option<bool>)>,
    /// How many operations the disk had seen when the append returned.
    written_at: usize,
}

/// What was promised from some operation on.
#[derive(Clone, Copy, Debug)]
enum Promise {
    Flushed(i64),
    LogStart(i64),
}

/// A log's life, and what of it was promised when.
#[derive(Default)]
struct Story {
    batches: Vec<Batch>,
    promises: Vec<(usize, Promise)>,
    /// Next sequence of each producer.
    sequences: BTreeMap<i64, i32>,
    open: BTreeMap<i64, ()>,
    serial: usize,
}

impl Story {
    fn end(&self) -> i64 {
        self.batches.last().map_or(0, |batch| batch.base + batch.count)
    }

    /// Appends a batch of some kind.
    fn append(&mut self, disk: &SimDisk, log: &mut Log, seed: &mut Seed) {
        let id = seed.below(4) as i64;
        self.serial += 1;
        let timestamp = 1000 + seed.below(500) as i64;
        if id >= 2 && self.open.contains_key(&id) && seed.one_in(3) {
            let commit = seed.one_in(2);
            self.open.remove(&id);
            return self.write(disk, log, marker(id, 0, commit), None, timestamp, Some((id, Some(commit))));
        }
        let values: Vec<String> = (0..=seed.below(3)).map(|n| format!("{} of {id}, {n}", self.serial)).collect();
        let mut builder = Builder::new();
        if id > 0 {
            let sequence = self.sequences.entry(id).or_default();
            builder = builder.producer(ProducerId(id), ProducerEpoch(0), Sequence(*sequence)).transactional(id >= 2);
            *sequence += values.len() as i32;
        }
        values.iter().for_each(|value| builder.push(Timestamp(timestamp), None, Some(value.as_bytes()), &[]));
        let transaction = (id >= 2).then_some((id, None));
        if id >= 2 {
            self.open.insert(id, ());
        }
        self.write(disk, log, builder.build(), Some(values), timestamp, transaction);
    }

    fn write(
        &mut self,
        disk: &SimDisk,
        log: &mut Log,
        mut batch: ValidBatch,
        values: Option<Vec<String>>,
        timestamp: i64,
        transaction: Option<(i64, Option<bool>)>,
    ) {
        let origin = if values.is_some() { Origin::Client } else { Origin::Coordinator };
        let appended = log.append(&mut batch, LeaderEpoch((self.serial / 20) as i32), now(), origin).unwrap();
        let count = i64::from(batch.header().count);
        let timestamp = if values.is_some() { timestamp } else { 1000 };
        assert_eq!(appended.base_offset.0, self.end(), "I4");
        let base = appended.base_offset.0;
        let producer = batch.header().has_producer().then_some(batch.header().producer_id.0);
        let written_at = disk.op_count();
        self.batches.push(Batch { base, values, count, timestamp, producer, transaction, written_at });
    }

    fn flush(&mut self, disk: &SimDisk, log: &mut Log) {
        let flushed = log.flush().unwrap();
        self.promises.push((disk.op_count(), Promise::Flushed(flushed.0)));
    }

    fn checkpoint(&self, process: &Process) {
        process.dir.write_recovery_points(&[(name(), process.log.flushed_offset())].into()).unwrap();
    }

    /// Some appends with all that goes on beside them.
    fn live(&mut self, disk: &SimDisk, process: &mut Process, seed: &mut Seed, appends: usize) {
        for step in 0..appends {
            self.append(disk, &mut process.log, seed);
            if seed.one_in(3) {
                self.flush(disk, &mut process.log);
            }
            if seed.one_in(8) {
                self.checkpoint(process);
            }
            if seed.one_in(6) {
                process.log.note_progress_if_due(0).unwrap();
            }
            if step % 18 == 17 {
                self.delete(disk, process, seed);
            }
        }
    }

    fn delete(&mut self, disk: &SimDisk, process: &mut Process, seed: &mut Seed) {
        let log = &mut process.log;
        let (start, flushed) = (log.log_start_offset().0, log.flushed_offset().0);
        let offset = start + seed.below((flushed - start) as u64 + 1) as i64;
        log.delete_records_before(Offset(offset)).unwrap();
        process.dir.write_log_starts(&[(name(), Offset(offset))].into()).unwrap();
        self.promises.push((disk.op_count(), Promise::LogStart(offset)));
        log.delete_segments(Offset(offset)).unwrap();
    }

    fn stop(&mut self, disk: &SimDisk, mut process: Process) {
        process.log.close().unwrap();
        self.promises.push((disk.op_count(), Promise::Flushed(process.log.flushed_offset().0)));
        self.checkpoint(&process);
        process.dir.mark_clean_stop().unwrap();
    }

    fn promised(&self, at: usize, pick: impl Fn(Promise) -> Option<i64>) -> i64 {
        let made = self.promises.iter().filter(|(op, _)| *op <= at);
        made.filter_map(|(_, promise)| pick(*promise)).max().unwrap_or(0)
    }

    fn flushed(&self, at: usize) -> i64 {
        self.promised(at, |promise| match promise {
            Promise::Flushed(offset) => Some(offset),
            Promise::LogStart(_) => None,
        })
    }

    fn log_start(&self, at: usize) -> i64 {
        self.promised(at, |promise| match promise {
            Promise::LogStart(offset) => Some(offset),
            Promise::Flushed(_) => None,
        })
    }

    fn written(&self, at: usize) -> i64 {
        let written = self.batches.iter().take_while(|batch| batch.written_at <= at);
        written.last().map_or(0, |batch| batch.base + batch.count)
    }

    /// The records that reads must give between two offsets.
    fn records(&self, start: i64, end: i64) -> Vec<(i64, String)> {
        let mut all = Vec::new();
        for batch in &self.batches {
            for (index, value) in batch.values.iter().flatten().enumerate() {
                all.push((batch.base + index as i64, value.clone()));
            }
        }
        all.retain(|(offset, _)| *offset >= start && *offset < end);
        all
    }

    fn before(&self, end: i64) -> impl Iterator<Item = &Batch> {
        self.batches.iter().take_while(move |batch| batch.base < end)
    }

    /// First offset at or after `start` whose time is `timestamp` or later.
    fn offset_for_timestamp(&self, timestamp: i64, start: i64, end: i64) -> Option<i64> {
        let fits = |batch: &&Batch| batch.timestamp >= timestamp && batch.base + batch.count > start;
        self.before(end).find(fits).map(|batch| batch.base.max(start))
    }

    /// The transactions that have records, not only their marker, at or above `start`.
    fn overlapping(&self, aborted: &[(i64, i64, i64)], start: i64) -> Vec<(i64, i64)> {
        let mut overlapping: Vec<(i64, i64)> = Vec::new();
        for (first, id, last) in aborted {
            let of_it =
                |batch: &&Batch| batch.transaction == Some((*id, None)) && (*first..*last).contains(&batch.base);
            if self.batches.iter().filter(of_it).any(|batch| batch.base + batch.count > start) {
                overlapping.push((*first, *id));
            }
        }
        overlapping
    }

    /// What a log listed, brought to the same form. Where a transaction began below `start`, it may say so or name its
    /// first record that is left.
    fn overlapping_found(&self, found: &[(i64, i64)], aborted: &[(i64, i64, i64)], start: i64) -> Vec<(i64, i64)> {
        let whole = |(listed, of): &(i64, i64)| {
            aborted
                .iter()
                .find(|(first, id, last)| id == of && (*first..*last).contains(listed))
                .map(|found| (found.0, found.1))
        };
        let mut found: Vec<(i64, i64)> =
            found.iter().map(|entry| whole(entry).expect("I48: nothing is made up")).collect();
        found.sort_unstable();
        let overlapping = self.overlapping(aborted, start);
        found.retain(|entry| overlapping.contains(entry));
        found
    }

    /// The last stable offset of a log that ends at `end`, and the aborted transactions in it.
    fn transactions(&self, end: i64) -> (i64, Vec<(i64, i64, i64)>) {
        let mut open: BTreeMap<i64, i64> = BTreeMap::new();
        let mut aborted = Vec::new();
        for batch in self.before(end) {
            match batch.transaction {
                Some((id, None)) => drop(open.entry(id).or_insert(batch.base)),
                Some((id, Some(commit))) => {
                    let first = open.remove(&id).unwrap();
                    if !commit {
                        aborted.push((first, id, batch.base));
                    }
                }
                None => {}
            }
        }
        aborted.sort_unstable();
        (open.values().copied().min().unwrap_or(end), aborted)
    }
}

/// The life that is crashed: two processes, the first stops cleanly.
fn story(seed: &mut Seed) -> (SimDisk, Story) {
    let disk = SimDisk::new();
    let mut story = Story::default();
    let mut process = start(&disk).unwrap();
    story.live(&disk, &mut process, seed, 45);
    story.stop(&disk, process);
    let mut process = start(&disk).unwrap();
    assert_eq!(process.report.scanned_bytes, 0, "I115: nothing is read after a clean stop");
    story.live(&disk, &mut process, seed, 25);
    (disk, story)
}

/// Where the longest run of whole valid batches ends that begins with the first segment: the obvious second implementation
/// of recovery.
fn longest_run(image: &Image) -> i64 {
    let logs = image.files().filter(|(path, _)| path.extension().is_some_and(|extension| extension == "log"));
    let mut end = None;
    for (path, content) in logs {
        let base: i64 = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
        if base != *end.get_or_insert(base) {
            break;
        }
        let mut rest = content;
        while let Ok(header) = record::Header::read(rest) {
            let whole = rest.get(..header.size()).is_some_and(record::checksum_matches);
            if !whole || Some(header.base_offset.0) != end {
                break;
            }
            end = Some(header.next_offset().0);
            rest = &rest[header.size()..];
        }
        if !rest.is_empty() {
            break;
        }
    }
    end.unwrap_or(0)
}

const TIMES: [i64; 9] = [0, 1000, 1100, 1250, 1400, 1450, 1480, 1499, 1500];

/// What a log answers, to be compared with what it answers after another crash.
#[derive(Debug, PartialEq)]
struct Answers {
    start: i64,
    end: i64,
    last_stable: i64,
    records: Vec<(i64, String)>,
    producers: String,
    aborted: Vec<(i64, i64)>,
    epochs: String,
    /// Offsets by time, and the record with the largest time.
    times: String,
}

fn answers(story: &Story, log: &Log) -> Answers {
    let (start, end) = (log.log_start_offset(), log.log_end_offset());
    let aborted = log.aborted_transactions(start, end).unwrap();
    Answers {
        start: start.0,
        end: end.0,
        last_stable: log.last_stable_offset(end).0,
        records: read_all(log, start, end, 300),
        producers: format!("{:?}", log.producers()),
        aborted: {
            let found: Vec<(i64, i64)> =
                aborted.iter().map(|entry| (entry.first_offset.0, entry.producer_id.0)).collect();
            story.overlapping_found(&found, &story.transactions(end.0).1, start.0)
        },
        epochs: format!("{:?}", log.leader_epochs()),
        times: {
            let by_time = |time: i64| log.offset_for_timestamp(Timestamp(time), end).unwrap();
            format!("{:?} {:?}", TIMES.map(by_time), log.max_timestamp(end).unwrap())
        },
    }
}

/// Recovers one image and holds it against the promises made up to operation `at`.
fn check(story: &Story, image: &Image, at: usize, is_kill: bool, deep: bool) {
    let marker_there = image.get(&Path::new(ROOT).join(".kafka_cleanshutdown")).is_some();
    let disk = SimDisk::from_image(image.clone());
    let mut process = start(&disk).expect("I10: what a crash leaves is no damage");
    let log = &process.log;
    let (start_offset, end) = (log.log_start_offset().0, log.log_end_offset().0);
    let flushed = story.flushed(at);
    assert!(end >= flushed, "I2: {flushed} was flushed, {end} is left");
    assert!(!is_kill || end >= story.written(at), "I1: {} was written, {end} is left", story.written(at));
    assert_eq!(end, longest_run(image).max(0), "I10: the longest run of whole batches stays");
    assert!(end <= story.end(), "I19: nothing was made up");
    let promised_start = story.log_start(at);
    assert!(
        start_offset >= promised_start && start_offset <= end,
        "I6, I21: {promised_start} ≤ {start_offset} ≤ {end}"
    );
    let found = answers(story, log);
    assert_eq!(found.records, story.records(start_offset, end), "I3, I4, I5, I7, I9, I20");
    for timestamp in TIMES {
        let found = log.offset_for_timestamp(Timestamp(timestamp), Offset(end)).unwrap();
        let expected = story.offset_for_timestamp(timestamp, start_offset, end);
        assert_eq!(found.map(|found| found.0.0), expected, "I8: time {timestamp}");
    }
    if image.get(&partition_dir().join("00000000000000000000.log")).is_some() {
        let known = log.producers().into_iter().filter(|producer| producer.last_sequence.0 >= 0);
        let known: BTreeMap<i64, i32> = known.map(|p| (p.producer_id.0, p.last_sequence.0)).collect();
        assert_eq!(known, story.last_sequences(end), "I33");
    }
    let (last_stable, aborted) = story.transactions(end);
    if start_offset == 0 {
        assert_eq!(found.last_stable, last_stable, "I47");
    }
    let expected = story.overlapping(&aborted, start_offset);
    assert_eq!(found.aborted, expected, "I48");
    assert!(!marker_there || process.report.truncated_bytes == 0, "I12: the marker means that all is whole");
    let marker_path = Path::new(ROOT).join(".kafka_cleanshutdown");
    let ops = disk.ops();
    let mut crashes = Crashes::new(image.clone(), &ops);
    while crashes.advance() {}
    let after = crashes.image(&Cut::LoseAll);
    assert!(after.get(&marker_path).is_none(), "I12: the marker is gone durably");
    for (path, _) in after.files().filter(|(path, _)| path.starts_with(partition_dir())) {
        let leftover =
            [".tmp", ".swap", ".cleaned", ".deleted"].iter().any(|end| path.to_string_lossy().ends_with(end));
        assert!(!leftover, "I16: {} is left over", path.display());
    }
    if deep {
        let again = start(&SimDisk::from_image(after)).expect("I13");
        assert_eq!(answers(story, &again.log), found, "I13, I33: what recovery accepted is on the disk");
        interrupt(story, image, &ops, &found);
        lose_side_files(story, &process, &disk, &found, at);
    }
    let mut next = values(&["next"]);
    let appended = process.log.append(&mut next, LeaderEpoch(9), now(), Origin::Client).unwrap();
    assert_eq!(appended.base_offset.0, end, "I4: the next offset is the end");
}

/// I11: recovery is itself cut at several places, and done again.
fn interrupt(story: &Story, image: &Image, ops: &[crate::testing::disk::Op], expected: &Answers) {
    let mut crashes = Crashes::new(image.clone(), ops);
    let mut seed = Seed::new(ops.len() as u64);
    loop {
        if seed.one_in(3) {
            let cut = Cut::Random(seed.fork());
            let again = start(&SimDisk::from_image(crashes.image(&cut))).expect("I11");
            let found = answers(story, &again.log);
            assert_eq!(&found, expected, "I11: cut {cut:?} after {} of {} operations", crashes.position(), ops.len());
        }
        if !crashes.advance() {
            return;
        }
    }
}

/// I14: files that can be made again are removed, emptied, cut or overwritten, one at a time.
fn lose_side_files(story: &Story, process: &Process, disk: &SimDisk, expected: &Answers, at: usize) {
    let mut seed = Seed::new(at as u64);
    let image = disk.image();
    let side = |path: &Path| {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        // With records deleted these may be the only witnesses of a producer and of where a transaction began.
        let witness = ["snapshot", "txnindex"].contains(&extension) && process.log.log_start_offset() > Offset::ZERO;
        let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let has_records = process.log.log_start_offset() < process.log.log_end_offset();
        let of_all = file == "segment-checkpoint" || (file == "leader-epoch-checkpoint" && has_records);
        (["index", "timeindex", "txnindex", "snapshot"].contains(&extension) && !witness) || of_all
    };
    let paths: Vec<PathBuf> = image.files().map(|(path, _)| path.to_path_buf()).filter(|path| side(path)).collect();
    let Some(path) = paths.get(seed.below(paths.len() as u64) as usize) else { return };
    let content = image.get(path).unwrap();
    let damaged = match seed.below(4) {
        0 => None,
        1 => Some(Vec::new()),
        2 => Some(content[..content.len() / 2].to_vec()),
        _ => Some((0..content.len()).map(|_| seed.roll() as u8).collect()),
    };
    let mut image = image.clone();
    image.set(path, damaged.clone());
    let what = format!("I14: {} became {damaged:?}", path.display());
    let again = start(&SimDisk::from_image(image)).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(&answers(story, &again.log), expected, "{what}");
}

#[test]
fn i1_to_i20_hold_for_every_image_that_a_crash_at_any_operation_can_leave() {
    let mut seed = Seed::from_env(20_261_123);
    let (disk, story) = story(&mut seed);
    let ops = disk.ops();
    let mut crashes = Crashes::new(Image::default(), &ops);
    let mut images = 0;
    loop {
        let mut cuts = vec![Cut::Killed, Cut::LoseAll, Cut::LoseData, Cut::LoseNames, Cut::Half, Cut::LastOnly];
        cuts.extend((0..10).map(|_| Cut::Random(seed.fork())));
        for (index, cut) in cuts.iter().enumerate() {
            let image = crashes.image(cut);
            let at = crashes.position();
            let deep = (at + index).is_multiple_of(4);
            let outcome = std::panic::catch_unwind(|| check(&story, &image, at, matches!(cut, Cut::Killed), deep));
            if outcome.is_err() {
                let last = at.checked_sub(1).map(|last| &ops[last]);
                panic!("after operation {at} of {}, {last:?}, with {cut:?} (SEED repeats it)", ops.len());
            }
            images += 1;
        }
        if !crashes.advance() {
            break;
        }
    }
    println!("{images} images of {} operations", ops.len());
    assert!(images >= 5_000, "{images} images");
}

#[test]
fn i1_to_i20_hold_when_life_goes_on_after_a_crash_and_the_next_crash_comes() {
    let mut seed = Seed::from_env(7);
    for _ in 0..60 {
        let disk = SimDisk::new();
        let mut story = Story::default();
        let mut process = start(&disk).unwrap();
        story.live(&disk, &mut process, &mut seed, 20);
        drop(process);
        let mut start_image = Image::default();
        let mut disk = disk;
        for _ in 0..4 {
            let ops = disk.ops();
            let stop_at = seed.below(ops.len() as u64 + 1) as usize;
            let mut crashes = Crashes::new(start_image.clone(), &ops);
            while crashes.position() < stop_at && crashes.advance() {}
            let image = crashes.image(&Cut::Random(seed.fork()));
            check(&story, &image, stop_at, false, true);
            disk = SimDisk::from_image(image.clone());
            let mut process = start(&disk).unwrap();
            story.forget_behind(&process.log, disk.op_count());
            story.live(&disk, &mut process, &mut seed, 12);
            start_image = image;
        }
    }
}

impl Story {
    /// A crash has ended the log at `end`: what was behind it never happened, and what is left was found flushed.
    fn forget_behind(&mut self, log: &Log, ops: usize) {
        let (end, start) = (log.log_end_offset().0, log.log_start_offset().0);
        self.batches.retain(|batch| batch.base < end);
        for batch in &mut self.batches {
            batch.written_at = ops;
        }
        self.promises = vec![(ops, Promise::Flushed(end)), (ops, Promise::LogStart(start))];
        self.open.clear();
        for batch in &self.batches {
            match batch.transaction {
                Some((id, None)) => drop(self.open.insert(id, ())),
                Some((id, Some(_))) => drop(self.open.remove(&id)),
                None => {}
            }
        }
        // Where a power cut took the first segments, of which nothing had been flushed, their producers begin anew.
        self.sequences = log.producers().iter().map(|p| (p.producer_id.0, p.last_sequence.0 + 1)).collect();
        self.open.retain(|id, ()| log.has_open_transaction(ProducerId(*id), ProducerEpoch(0)));
    }

    /// The last sequence of each producer in a log that ends at `end`.
    fn last_sequences(&self, end: i64) -> BTreeMap<i64, i32> {
        let mut last = BTreeMap::new();
        for batch in self.before(end) {
            if let (Some(id), Some(values)) = (batch.producer, &batch.values) {
                *last.entry(id).or_insert(-1) += values.len() as i32;
            }
        }
        last
    }
}

#[test]
fn i17_a_failed_flush_is_final_whichever_it_is() {
    let mut reached = 0;
    for after in 0..40 {
        let disk = SimDisk::new();
        let mut process = start(&disk).unwrap();
        let mut seed = Seed::new(3);
        let mut story = Story::default();
        disk.fail_sync(after);
        let mut flushed = 0;
        let mut failed = false;
        for _ in 0..30 {
            if failed {
                let mut batch = values(&["late"]);
                let refused = process.log.append(&mut batch, EPOCH, now(), Origin::Client);
                assert!(matches!(refused, Err(AppendError::Refused(ErrorCode::KafkaStorageError, _))));
                assert!(process.log.flush().is_err(), "a later flush is not believed");
                assert!(process.log.close().is_err(), "I12: so no clean-stop marker is written");
                continue;
            }
            story.append(&disk, &mut process.log, &mut seed);
            match process.log.flush() {
                Ok(offset) => flushed = offset.0,
                Err(_) => failed = true,
            }
        }
        reached += u32::from(failed);
        assert_eq!(process.log.flushed_offset().0, flushed);
        let end = process.log.log_end_offset();
        assert_eq!(read_all(&process.log, Offset(0), end, 300), story.records(0, end.0), "reads go on");
        let ops = disk.ops();
        let mut crashes = Crashes::new(Image::default(), &ops);
        while crashes.advance() {}
        let again = start(&SimDisk::from_image(crashes.image(&Cut::LoseAll))).unwrap();
        assert!(again.log.log_end_offset().0 >= flushed, "I2");
        if failed {
            drop(process);
            what_a_start_shows_is_on_the_disk(&disk);
        }
    }
    assert!(reached > 20, "{reached} flushes were met");
}

/// After a kill the kernel still shows what it could not write. A recovery that takes it for written would flush nothing.
fn what_a_start_shows_is_on_the_disk(disk: &SimDisk) {
    let again = start(disk).unwrap();
    let end = again.log.log_end_offset();
    let shown = read_all(&again.log, Offset(0), end, 300);
    let ops = disk.ops();
    let mut crashes = Crashes::new(Image::default(), &ops);
    while crashes.advance() {}
    let after_a_cut = start(&SimDisk::from_image(crashes.image(&Cut::LoseAll))).unwrap();
    assert_eq!(read_all(&after_a_cut.log, Offset(0), after_a_cut.log.log_end_offset(), 300), shown, "I17");
}

#[test]
fn i18_a_full_disk_refuses_batches_whole_and_takes_them_again_when_there_is_room() {
    let mut seed = Seed::from_env(5);
    for _ in 0..200 {
        let disk = SimDisk::new();
        let mut process = start(&disk).unwrap();
        let mut story = Story::default();
        story.live(&disk, &mut process, &mut seed, 5);
        if seed.one_in(2) {
            disk.set_capacity(Some(disk.used() + seed.below(900)));
        } else {
            disk.set_max_files(Some(disk.file_count() + seed.below(3) as usize));
        }
        let mut refused = 0;
        for _ in 0..40 {
            let mut batch = values(&["a value of some length, so that the segment fills"]);
            let end = process.log.log_end_offset();
            match process.log.append(&mut batch, EPOCH, now(), Origin::Client) {
                Ok(appended) => assert_eq!(appended.base_offset, end),
                Err(AppendError::Disk(error)) => {
                    assert!(error.is_full(), "{error}");
                    assert_eq!(process.log.log_end_offset(), end);
                    refused += 1;
                }
                Err(other) => panic!("{other:?}"),
            }
        }
        assert!(refused > 0);
        let end = process.log.log_end_offset();
        let last = process.log.read(end.plus(-1), end, 300, true).unwrap();
        assert_eq!((last.range.is_some(), last.next_offset), (true, end), "reads go on");
        // A crash now finds whole batches.
        let copy = SimDisk::from_image(disk.image());
        assert_eq!(start(&copy).unwrap().log.log_end_offset(), end);
        disk.set_capacity(None);
        disk.set_max_files(None);
        let mut batch = values(&["room again"]);
        assert_eq!(process.log.append(&mut batch, EPOCH, now(), Origin::Client).unwrap().base_offset, end);
        process.log.flush().unwrap();
        let copy = SimDisk::from_image(disk.image());
        assert_eq!(start(&copy).unwrap().log.log_end_offset(), end.next());
    }
}

/// What a failed write left and was cut off must not come back with a power cut, in front of segments that were flushed since:
/// recovery would give these up. Found by simulation.
#[test]
fn i2_what_a_failed_write_left_does_not_come_back_in_front_of_what_was_flushed_since() {
    let mut seed = Seed::from_env(8);
    for room in 1..60 {
        let disk = SimDisk::new();
        let mut process = start(&disk).unwrap();
        let write = |log: &mut Log| log.append(&mut values(&["a value of some length"]), EPOCH, now(), Origin::Client);
        write(&mut process.log).unwrap();
        process.log.flush().unwrap();
        disk.set_capacity(Some(disk.used() + room));
        assert!(matches!(write(&mut process.log), Err(AppendError::Disk(_))));
        disk.set_capacity(None);
        process.log.roll(now()).unwrap();
        write(&mut process.log).unwrap();
        process.log.flush().unwrap();
        let (end, ops) = (process.log.log_end_offset(), disk.ops());
        let mut crashes = Crashes::new(Image::default(), &ops);
        while crashes.advance() {}
        for _ in 0..20 {
            let copy = SimDisk::from_image(crashes.image(&Cut::Random(seed.fork())));
            assert_eq!(start(&copy).unwrap().log.log_end_offset(), end, "I2, with room for {room} bytes");
        }
    }
}

#[test]
fn i17_a_flush_that_ends_before_an_earlier_one_has_taken_its_files_along() {
    let disk = SimDisk::new();
    let mut process = start(&disk).unwrap();
    let mut seed = Seed::new(1);
    let mut story = Story::default();
    let log = &mut process.log;
    (0..12).for_each(|_| story.append(&disk, log, &mut seed));
    let first = log.begin_flush().unwrap();
    story.append(&disk, log, &mut seed);
    let second = log.begin_flush().unwrap();
    let has = |file| second.files.iter().any(|other| Arc::ptr_eq(other, file));
    assert!(first.files.iter().all(has) && first.dirs.iter().all(|dir| second.dirs.contains(dir)));
    let end = second.end;
    let disk_handle: Arc<dyn Disk> = Arc::new(disk.clone());
    let result = second.sync(&*disk_handle);
    assert_eq!(log.end_flush(second, result), end);
    log.end_flush(first, Err(Error::flush(&partition_dir(), std::io::Error::other("late"))));
    assert!(log.failure().is_some(), "and the earlier one may still fail for good");
    let ops = disk.ops();
    let mut crashes = Crashes::new(Image::default(), &ops);
    while crashes.advance() {}
    check(&story, &crashes.image(&Cut::LoseAll), ops.len(), false, true);
}

/// Does everything one can ask of a log; errors are answers, panics are not.
fn ask_everything(disk: &SimDisk) {
    let Ok(mut process) = start(disk) else { return };
    let log = &mut process.log;
    let (start_offset, end) = (log.log_start_offset(), log.log_end_offset());
    let mut at = start_offset;
    for _ in 0..200 {
        match log.read(at, end, 300, true) {
            Ok(fetched) if fetched.range.is_some() && fetched.next_offset > at => at = fetched.next_offset,
            _ => break,
        }
    }
    let _ = log.aborted_transactions(start_offset, end);
    let _ = log.max_timestamp(end);
    let _ = log.segments();
    for time in TIMES {
        let _ = log.offset_for_timestamp(Timestamp(time), end);
    }
    let _ = log.append(&mut values(&["more"]), LeaderEpoch(9), now(), Origin::Client);
    let _ = log.delete_records_before(end.plus(-1));
    let _ = log.delete_segments(end.plus(-1));
    let _ = log.truncate_to(Offset(end.0 / 2), now());
    let _ = log.close();
}

#[test]
fn i114_no_bytes_in_any_file_make_a_log_panic() {
    let mut seed = Seed::from_env(23);
    let (disk, _) = story(&mut seed);
    let whole = disk.image();
    let paths: Vec<PathBuf> = whole.files().map(|(path, _)| path.to_path_buf()).collect();
    for _ in 0..3_000 {
        let mut image = whole.clone();
        for _ in 0..=seed.below(3) {
            let path = &paths[seed.below(paths.len() as u64) as usize];
            let mut content = image.get(path).unwrap_or_default().to_vec();
            let at = seed.below(content.len() as u64 + 1) as usize;
            match seed.below(5) {
                0 => content.truncate(at),
                1 => content.extend((0..seed.below(100)).map(|_| seed.roll() as u8).collect::<Vec<u8>>()),
                2 => content[at..].iter_mut().take(8).for_each(|byte| *byte = 0xff),
                3 => content[at..].iter_mut().take(4).for_each(|byte| *byte = 0),
                _ => content[at..].iter_mut().take(1).for_each(|byte| *byte ^= 1 << seed.below(8)),
            }
            image.set(path, Some(content));
        }
        ask_everything(&SimDisk::from_image(image));
    }
}
