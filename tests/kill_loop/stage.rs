//! What the workers of a run share: which life the broker is in, what has been promised so far, and what was found broken.
//!
//! A promise is noted before anybody may rely on it and compared with answers to questions asked after it: the floor of a
//! question is taken before it is sent. So what happens at the same time in other threads never makes a false alarm.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::check::{Fault, Finding};
use crate::client::{Connection, Lost};
use crate::records::{Seen, Texts};

/// The partitions written to.
pub const PLACES: &[(&str, i32)] =
    &[("orders", 0), ("orders", 1), ("orders", 2), ("events", 0), ("trimmed", 0), ("latest", 0)];
/// Loses its beginning to DeleteRecords.
pub const TRIMMED: u16 = 4;
/// Keeps the last record of every key.
pub const COMPACTED: u16 = 5;

/// More findings than this help nobody.
const STORIES_KEPT: usize = 200;

pub struct Stage {
    pub seed: u64,
    pub texts: Texts,
    /// Apache Kafka keeps fewer promises: after a start it knows one batch of a producer, and forgets DeleteRecords.
    pub is_kafka: bool,
    /// Losses are counted and nothing is demanded. Producers are plain: an idempotent one never gets over the loss of what it
    /// was acknowledged.
    pub counts_losses: bool,
    /// Rests last this many times longer than the kill loop's.
    pub pace: u32,
    pub marks: Vec<Mark>,
    pub commits: Commits,
    pub topics: Topics,
    lives: Mutex<Lives>,
    changed: Condvar,
    finishing: AtomicBool,
    findings: Mutex<Vec<Finding>>,
    pub counts: Counts,
}

#[derive(Default)]
pub struct Counts {
    pub records_read: AtomicU64,
    pub offsets_read_again: AtomicU64,
    pub retries: AtomicU64,
    pub batches_repeated: AtomicU64,
    pub commits_acked: AtomicU64,
    pub commits_checked: AtomicU64,
    pub generations: AtomicU64,
    pub trims: AtomicU64,
    pub topics_changed: AtomicU64,
}

struct Lives {
    /// Grows with every start.
    number: u64,
    port: u16,
    /// False from just before the broker is killed or stopped until its next start.
    alive: bool,
    over: bool,
    acked_records: u64,
}

/// A life as a worker sees it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Life {
    pub number: u64,
    pub port: u16,
}

impl Stage {
    pub fn new(seed: u64, start_ms: i64, is_kafka: bool) -> Self {
        Stage {
            seed,
            texts: Texts { seed, start_ms },
            is_kafka,
            counts_losses: false,
            pace: 1,
            marks: PLACES.iter().map(|_| Mark::default()).collect(),
            commits: Commits::default(),
            topics: Topics::default(),
            lives: Mutex::new(Lives { number: 0, port: 0, alive: false, over: false, acked_records: 0 }),
            changed: Condvar::new(),
            finishing: AtomicBool::new(false),
            findings: Mutex::default(),
            counts: Counts::default(),
        }
    }

    // --- lives ---

    pub fn begin_life(&self, port: u16) -> Life {
        let mut lives = self.lives();
        lives.number += 1;
        lives.port = port;
        lives.alive = true;
        self.changed.notify_all();
        Life { number: lives.number, port }
    }

    /// Called before the broker is touched, so that nobody takes its end for its own doing.
    pub fn end_life(&self) {
        self.lives().alive = false;
        self.changed.notify_all();
    }

    /// No life will follow.
    pub fn end_all(&self) {
        let mut lives = self.lives();
        lives.alive = false;
        lives.over = true;
        self.changed.notify_all();
    }

    /// Workers finish what they have begun and return.
    pub fn finish(&self) {
        self.finishing.store(true, Ordering::SeqCst);
        self.changed.notify_all();
    }

    pub fn is_finishing(&self) -> bool {
        self.finishing.load(Ordering::SeqCst)
    }

    /// Waits until the broker has been started; `None` when it never will be again.
    fn next_life(&self) -> Option<Life> {
        let lives = self.changed.wait_while(self.lives(), |lives| !lives.alive && !lives.over);
        let lives = lives.unwrap_or_else(|poisoned| poisoned.into_inner());
        (!lives.over).then_some(Life { number: lives.number, port: lives.port })
    }

    fn is_alive(&self, life: Life) -> bool {
        let lives = self.lives();
        lives.alive && lives.number == life.number
    }

    /// Lets a moment pass before the next try in the same life.
    pub fn pause(&self, time: Duration) {
        let lives = self.lives();
        let number = lives.number;
        let ended = |lives: &mut Lives| lives.alive && lives.number == number && !lives.over;
        drop(self.changed.wait_timeout_while(lives, time * self.pace, ended));
    }

    /// Runs a client through all lives until it has done its work. What is said about a lost connection: nothing if the
    /// broker was killed, and that it hung up or kept silent if it was not.
    pub fn through_all_lives(&self, name: &str, mut work: impl FnMut(&mut Connection) -> Result<(), Lost>) {
        while let Some(life) = self.next_life() {
            let lost = match Connection::open(life.port).and_then(|mut connection| work(&mut connection)) {
                Ok(()) => return,
                Err(lost) => lost,
            };
            if !self.is_alive(life) {
                continue;
            }
            match lost {
                Lost::Refused => {}
                Lost::HungUp => self.find(Fault::HungUp, format!("{name}, life {}", life.number)),
                Lost::Silent(what) => self.find(Fault::NotServing, format!("{name}: {what} had no answer in time")),
                Lost::Garbled(what) => self.find(Fault::Unexpected, format!("{name}: {what}")),
            }
            self.pause(Duration::from_millis(5));
        }
    }

    // --- progress ---

    pub fn acked(&self, records: u64) {
        self.lives().acked_records += records;
        self.changed.notify_all();
    }

    pub fn acked_records(&self) -> u64 {
        self.lives().acked_records
    }

    /// Waits until that many records have been acknowledged in all; false after the time.
    pub fn wait_for_acks(&self, total: u64, patience: Duration) -> bool {
        let (lives, _) = self
            .changed
            .wait_timeout_while(self.lives(), patience, |lives| lives.acked_records < total)
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        lives.acked_records >= total
    }

    // --- findings ---

    pub fn find(&self, fault: Fault, story: String) {
        let mut findings = self.findings.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if findings.len() < STORIES_KEPT {
            let finding = Finding { fault, story };
            eprintln!("kill loop: {finding}");
            findings.push(finding);
        }
    }

    pub fn findings(&self) -> Vec<Finding> {
        self.findings.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    fn lives(&self) -> MutexGuard<'_, Lives> {
        self.lives.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// What has been seen of one partition.
#[derive(Default)]
pub struct Mark {
    high_watermark: AtomicI64,
    log_start: AtomicI64,
    /// The furthest that anybody asked the log start to go.
    pub trim_requested: AtomicI64,
    /// Fingerprints by offset; 0 where nobody has read yet.
    witness: Mutex<Vec<u64>>,
}

/// What is known of a partition before a question is asked.
#[derive(Clone, Copy, Debug)]
pub struct Floor {
    pub high_watermark: i64,
    pub log_start: i64,
}

impl Mark {
    pub fn floor(&self) -> Floor {
        Floor {
            high_watermark: self.high_watermark.load(Ordering::SeqCst),
            log_start: self.log_start.load(Ordering::SeqCst),
        }
    }

    pub fn raise_high_watermark(&self, to: i64) {
        self.high_watermark.fetch_max(to, Ordering::SeqCst);
    }

    pub fn raise_log_start(&self, to: i64) {
        self.log_start.fetch_max(to, Ordering::SeqCst);
    }
}

impl Stage {
    /// An answer that tells a high watermark and a log start (-1 where it tells none), to a question asked at `floor`.
    pub fn judge_marks(&self, place: u16, floor: Floor, log_start: i64, high_watermark: i64) {
        let mark = &self.marks[usize::from(place)];
        if high_watermark >= 0 {
            if high_watermark < floor.high_watermark {
                let story = format!("{place}: high watermark {high_watermark} after {}", floor.high_watermark);
                self.find(Fault::WentBack, story);
            }
            mark.raise_high_watermark(high_watermark);
        }
        if log_start >= 0 {
            if log_start < floor.log_start {
                self.find(Fault::WentBack, format!("{place}: log start {log_start} after {}", floor.log_start));
            }
            if log_start > mark.trim_requested.load(Ordering::SeqCst) {
                self.find(Fault::Lost, format!("{place}: the log begins at {log_start}, which nobody asked for"));
            }
            mark.raise_log_start(log_start);
        }
        if high_watermark >= 0 && log_start > high_watermark {
            self.find(Fault::WentBack, format!("{place}: log start {log_start} above {high_watermark}"));
        }
    }

    /// Keeps what was read, and compares with what was read at the same offsets before (I3).
    pub fn witness(&self, place: u16, records: &[Seen]) {
        let mut again = 0;
        let mut known = self.marks[usize::from(place)].witness.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        for seen in records {
            let index = usize::try_from(seen.offset).expect("the reader checked the offsets");
            if known.len() <= index {
                known.resize(index + 1, 0);
            }
            let fingerprint = seen.fingerprint | 1;
            if known[index] == fingerprint {
                again += 1;
            } else if known[index] != 0 {
                self.find(Fault::Changed, format!("{place}@{} was another record before: {:?}", seen.offset, seen.id));
            } else if seen.id.is_none() {
                self.find(Fault::Changed, format!("{place}@{} holds bytes that nobody wrote", seen.offset));
            }
            known[index] = fingerprint;
        }
        self.counts.records_read.fetch_add(records.len() as u64, Ordering::Relaxed);
        self.counts.offsets_read_again.fetch_add(again, Ordering::Relaxed);
    }
}

/// Committed offsets: what was acknowledged, and the highest that was ever sent. Every worker commits rising offsets.
#[derive(Default)]
pub struct Commits(Mutex<BTreeMap<(String, u16), Committed>>);

#[derive(Clone, Copy, Debug)]
pub struct Committed {
    pub acked: i64,
    pub sent: i64,
}

impl Commits {
    pub fn sent(&self, group: &str, place: u16, offset: i64) {
        self.with(group, place, |committed| committed.sent = committed.sent.max(offset));
    }

    pub fn acked(&self, group: &str, place: u16, offset: i64) {
        self.with(group, place, |committed| committed.acked = committed.acked.max(offset));
    }

    pub fn of(&self, group: &str, place: u16) -> Committed {
        self.with(group, place, |committed| *committed)
    }

    pub fn groups(&self) -> Vec<String> {
        let all = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut groups: Vec<_> = all.keys().map(|(group, _)| group.clone()).collect();
        groups.dedup();
        groups
    }

    fn with<T>(&self, group: &str, place: u16, look: impl FnOnce(&mut Committed) -> T) -> T {
        let mut all = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        look(all.entry((group.to_owned(), place)).or_insert(Committed { acked: -1, sent: -1 }))
    }
}

/// Names of topics that come and go: true where the last acknowledged change made it, false where it removed it. A name
/// whose last change had no answer is not listed.
#[derive(Default)]
pub struct Topics(Mutex<BTreeMap<String, bool>>);

impl Topics {
    pub fn is_open(&self, name: &str) {
        self.lock().remove(name);
    }

    pub fn is_certain(&self, name: &str, exists: bool) {
        self.lock().insert(name.to_owned(), exists);
    }

    pub fn certain(&self) -> BTreeMap<String, bool> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, bool>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// A moment to measure from.
pub fn stopwatch() -> impl Fn() -> Duration {
    let start = Instant::now();
    move || start.elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::RecordId;

    fn seen(offset: i64, number: u32, fingerprint: u64) -> Seen {
        Seen { offset, id: Some(RecordId { author: 0, place: 0, number }), fingerprint }
    }

    fn faults(stage: &Stage) -> Vec<Fault> {
        stage.findings().iter().map(|finding| finding.fault).collect()
    }

    #[test]
    fn a_record_that_is_another_at_the_second_reading_has_changed() {
        let stage = Stage::new(1, 0, false);
        stage.witness(0, &[seen(0, 0, 2), seen(1, 1, 4)]);
        stage.witness(0, &[seen(1, 1, 4)]);
        assert_eq!(faults(&stage), []);
        stage.witness(0, &[seen(1, 7, 6)]);
        assert_eq!(faults(&stage), [Fault::Changed]);
    }

    #[test]
    fn marks_that_fall_are_found_unless_the_question_was_older() {
        let stage = Stage::new(1, 0, false);
        let asked_early = stage.marks[0].floor();
        stage.judge_marks(0, asked_early, 0, 10);
        stage.judge_marks(0, asked_early, 0, 8);
        assert_eq!(faults(&stage), []);
        let asked_late = stage.marks[0].floor();
        stage.judge_marks(0, asked_late, 0, 9);
        assert_eq!(faults(&stage), [Fault::WentBack]);
    }

    #[test]
    fn a_log_start_that_nobody_moved_is_a_loss() {
        let stage = Stage::new(1, 0, false);
        stage.judge_marks(0, stage.marks[0].floor(), 3, 10);
        assert_eq!(faults(&stage), [Fault::Lost]);
    }
}
