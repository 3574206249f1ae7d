//! Compaction against a second implementation: a log as a list of everything that was ever appended, from which the rules
//! say what must be there, what must be gone, and what may be either.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::compaction::*;
use super::harness::*;
use crate::clock::{Clock, ManualClock};
use crate::config::LogConfig;
use crate::record::control::EndTransaction;
use crate::record::{Builder, Compression};
use crate::storage::compaction::Failure;
use crate::storage::log::{Log, OpenHint};
use crate::testing::disk::SimDisk;
use crate::types::*;

/// Whose batch a record came with, and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Committed,
    Aborted,
    /// Of a transaction of that producer which is still open.
    Open(i64),
}

struct Written {
    seen: Seen,
    fate: Fate,
    /// When a cleaning first reached it.
    cleaned_at: Option<i64>,
}

/// A producer as its client knows it.
#[derive(Clone, Copy, Default)]
struct Producer {
    epoch: i16,
    sequence: i32,
    is_open: bool,
}

struct Play {
    dice: ManualClock,
    bench: Bench,
    written: BTreeMap<i64, Written>,
    producers: [Producer; 4],
    wall: i64,
    cleaned_to: i64,
    /// How far a cleaning may have come that was ended early.
    reached: i64,
}

/// The first two of the producers are transactional.
const TRANSACTIONAL: usize = 2;
const RETENTION_MS: i64 = 1_000;

impl Play {
    fn new(seed: u64) -> Play {
        let dice = ManualClock::new(Timestamp(0), seed);
        let segment_bytes = 500 + dice.random() % 1_500;
        let config = LogConfig { segment_bytes, delete_retention_ms: RETENTION_MS as u64, ..compacted() };
        Play {
            dice,
            bench: Bench::on(Arc::new(SimDisk::new()), PathBuf::from("/orders-0"), config),
            written: BTreeMap::new(),
            producers: Default::default(),
            wall: 1_000_000,
            cleaned_to: 0,
            reached: 0,
        }
    }

    fn below(&self, end: u64) -> u64 {
        self.dice.random() % end
    }

    fn step(&mut self) {
        match self.below(20) {
            0..=6 => self.write(Builder::new(), None),
            7..=10 => self.write_as(self.below(4) as usize),
            11..=13 => self.end_transaction(self.below(2) as usize),
            14 => self.bench.log.roll(at(self.wall)).unwrap(),
            15..=17 => self.clean(),
            18 => self.wall += self.below(800) as i64,
            _ => self.reopen(),
        }
    }

    fn write_as(&mut self, index: usize) {
        let transactional = index < TRANSACTIONAL;
        let producer = self.producers[index];
        let id = index as i64 + 1;
        let builder =
            Builder::new().producer(ProducerId(id), ProducerEpoch(producer.epoch), Sequence(producer.sequence));
        self.write(builder.transactional(transactional), Some(index));
    }

    fn write(&mut self, builder: Builder, producer: Option<usize>) {
        let mut builder = builder.compression(Compression::ALL[self.below(5) as usize]);
        let count = 1 + self.below(4);
        let mut seen = Vec::new();
        for index in 0..count {
            let key = (self.below(30) > 0).then(|| format!("key-{}", self.below(8)));
            let value = (self.below(5) > 0).then(|| format!("value-{}", self.dice.random()));
            let timestamp = self.wall - self.below(50) as i64;
            let headers = vec![(b"h".to_vec(), Some(index.to_be_bytes().to_vec()))];
            let header = [(&b"h"[..], Some(&headers[0].1.as_ref().unwrap()[..]))];
            builder.push(
                Timestamp(timestamp),
                key.as_deref().map(str::as_bytes),
                value.as_deref().map(str::as_bytes),
                &header,
            );
            let producer = producer.map_or(ProducerId::NONE, |index| ProducerId(index as i64 + 1));
            seen.push(Seen { offset: 0, timestamp, key, value, headers, is_control: false, producer });
        }
        let base = self.bench.put(builder.build());
        let mut fate = Fate::Committed;
        if let Some(index) = producer {
            self.producers[index].sequence += count as i32;
            if index < TRANSACTIONAL {
                self.producers[index].is_open = true;
                fate = Fate::Open(index as i64 + 1);
            }
        }
        for (index, seen) in seen.into_iter().enumerate() {
            let offset = base + index as i64;
            self.written.insert(offset, Written { seen: Seen { offset, ..seen }, fate, cleaned_at: None });
        }
    }

    fn end_transaction(&mut self, index: usize) {
        let commit = self.below(2) == 0;
        let bumps_epoch = self.below(3) == 0;
        let producer = &mut self.producers[index];
        if !producer.is_open {
            return;
        }
        producer.is_open = false;
        if bumps_epoch {
            producer.epoch += 1;
            producer.sequence = 0;
        }
        let id = index as i64 + 1;
        let marker = EndTransaction { commit, coordinator_epoch: 0 };
        self.bench.put(marker.batch(ProducerId(id), ProducerEpoch(producer.epoch), Timestamp(self.wall)));
        let fate = if commit { Fate::Committed } else { Fate::Aborted };
        self.written.values_mut().filter(|written| written.fate == Fate::Open(id)).for_each(|each| each.fate = fate);
    }

    fn log(&self) -> &Log {
        &self.bench.log
    }

    fn clean(&mut self) {
        self.wall += 1;
        let before = state(self.log());
        let stable = self.log().last_stable_offset(self.log().log_end_offset());
        let key_bytes = if self.below(3) == 0 { 0 } else { 1 << 16 };
        let patience = if self.below(5) == 0 { self.below(20) } else { u64::MAX };
        let cleaned_to = Offset(self.cleaned_to);
        let reached = match clean_with(&mut self.bench.log, at(self.wall), cleaned_to, key_bytes, patience) {
            Ok(cleaned) => {
                self.cleaned_to = cleaned.cleaned_to.0;
                self.cleaned_to
            }
            // Some of it was cleaned; how much the owner is not told.
            Err(Failure::Ended) => stable.0,
            Err(Failure::Disk(error)) => panic!("{error}"),
        };
        self.reached = self.reached.max(reached);
        let (wall, cleaned_to) = (self.wall, self.cleaned_to);
        for (_, written) in self.written.range_mut(..reached) {
            written.cleaned_at.get_or_insert(wall);
        }
        assert_eq!(state(self.log()), before, "what a reader keeps is the same");
        assert_eq!(self.log().last_stable_offset(self.log().log_end_offset()), stable);
        assert!(cleaned_to <= stable.0, "I82");
        self.check();
    }

    /// What must be there and what must not.
    fn check(&self) {
        let (newest, newest_reached) = (self.newest(self.cleaned_to), self.newest(self.reached));
        let seen: Vec<Seen> = seen(self.log()).into_iter().filter(|seen| !seen.is_control).collect();
        let mut there = seen.iter().peekable();
        for (offset, written) in &self.written {
            let is_there =
                there.next_if(|seen| seen.offset == *offset).map(|seen| assert_eq!(*seen, written.seen)).is_some();
            let is_in = |newest: &BTreeMap<&str, i64>| {
                written.seen.key.as_deref().is_some_and(|key| newest.get(key) == Some(offset))
            };
            let rested = written.cleaned_at.map_or(0, |cleaned_at| self.wall - cleaned_at);
            if *offset >= self.log().last_stable_offset(self.log().log_end_offset()).0 {
                assert!(is_there, "I82: {offset} is not stable");
            } else if *offset >= self.cleaned_to {
                // A cleaning that was ended early may have come here.
            } else if written.fate == Fate::Aborted || !is_in(&newest) {
                assert!(!is_there, "I83: {offset} was to go");
            } else if !is_in(&newest_reached) {
                // It may be gone, and will be with the next cleaning.
            } else if written.seen.value.is_some() {
                assert!(is_there, "I80: {offset} is the newest of its key");
            } else if rested < RETENTION_MS {
                assert!(is_there, "I81: the tombstone {offset} has rested for {rested} ms only");
            }
        }
        assert_eq!(there.next(), None, "nothing is there that was never written");
    }

    /// The newest committed offset of every key below `end`.
    fn newest(&self, end: i64) -> BTreeMap<&str, i64> {
        let committed = self.written.range(..end).filter(|(_, written)| written.fate == Fate::Committed);
        committed.filter_map(|(offset, written)| Some((written.seen.key.as_deref()?, *offset))).collect()
    }

    fn reopen(&mut self) {
        let log = &mut self.bench.log;
        log.flush().unwrap();
        let before = (log.log_end_offset(), log.last_stable_offset(log.log_end_offset()), producers(log), state(log));
        let recovery_point = log.flushed_offset();
        let clean = self.below(2) == 0;
        if clean {
            self.bench.log.close().unwrap();
        }
        if self.below(2) == 0 {
            for snapshot in self.bench.files("snapshot") {
                self.bench.disk.remove_file(&snapshot).unwrap();
            }
        }
        let hint = OpenHint { clean, recovery_point, log_start_offset: Offset(0), flushed: true, cleaned: true };
        self.bench.reopen(hint).unwrap();
        let log = self.log();
        let after = (log.log_end_offset(), log.last_stable_offset(log.log_end_offset()), producers(log), state(log));
        assert_eq!(after, before, "I84");
        self.check();
    }
}

/// What a producer's next batch depends on.
fn producers(log: &Log) -> Vec<(i64, i16, i32, i64)> {
    let fields = |one: crate::storage::log::ProducerSummary| {
        (one.producer_id.0, one.producer_epoch.0, one.last_sequence.0, one.current_txn_start_offset.0)
    };
    log.producers().into_iter().map(fields).collect()
}

#[test]
fn i80_to_i84_hold_for_any_log_and_any_row_of_cleanings() {
    let named = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = named.map_or(1..=25, |seed: u64| seed..=seed);
    for seed in seeds {
        println!("SEED={seed}");
        let mut play = Play::new(seed);
        for _ in 0..150 {
            play.step();
        }
        play.clean();
        play.reopen();
    }
}
