//! The judge: what was sent and how it was answered, against what lies in the logs at the end. Pure; its own tests put
//! faults into a good history and must find each by name.
//!
//! A record that was acknowledged is at the offset that was acknowledged (I1). A producer's records are in the order sent
//! (I5) and none is there twice: idempotent producers repeat a batch under the same sequence (I30), plain ones never repeat
//! one. Compaction may take a record away once there is a later one of its key (I80). A batch without an answer is there whole or not at all. A refused batch is not there (I111). Offsets have no gaps
//! (I4).

use std::collections::BTreeMap;
use std::fmt;

use crate::records::{RecordId, Seen};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Acknowledged, and gone.
    Lost,
    /// There more than once.
    Duplicated,
    /// Behind a later one of its producer, or not at the offset that was acknowledged.
    Reordered,
    /// Another record, or other bytes, than were written or read at that offset before.
    Changed,
    /// Offsets that are missing or repeated.
    Gap,
    /// Only a part of a batch is there.
    Torn,
    /// An error was answered that means "not written", and it was written.
    WrittenThoughRefused,
    /// High watermark, log start, or an order between them.
    WentBack,
    /// An acknowledged commit of offsets, or an acknowledged change of topics, is not there.
    Forgotten,
    /// An error that has no place here.
    Unexpected,
    /// A connection ended while the broker lived.
    HungUp,
    /// The broker did not serve within its time, or ended by itself.
    NotServing,
    /// A start after a clean stop found something to recover.
    NotClean,
}

/// One broken promise, and where.
#[derive(Clone, Debug)]
pub struct Finding {
    pub fault: Fault,
    pub story: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.fault, self.story)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Acknowledged with this base offset.
    Acked(i64),
    /// The answer was lost, or says that the outcome is not known.
    Unknown,
    /// An error that promises that nothing was written.
    Refused(i16),
}

#[derive(Clone, Copy, Debug)]
pub struct Batch {
    pub place: u16,
    pub first: u32,
    pub count: u32,
    pub outcome: Outcome,
}

/// All batches of one producer, in the order of their first sending.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    pub author: u16,
    pub batches: Vec<Batch>,
}

/// One partition, read from log start to high watermark.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Read {
    pub start: i64,
    pub end: i64,
    pub is_compacted: bool,
    pub records: Vec<Seen>,
}

#[derive(Default)]
pub struct Verdict {
    pub acked_records: u64,
    /// Acknowledged records that DeleteRecords took away since.
    pub trimmed_records: u64,
    /// Acknowledged records that compaction took away, with a later one of their key in the log.
    pub superseded_records: u64,
    /// Records in the logs whose answer was lost.
    pub unanswered_records: u64,
    pub findings: Vec<Finding>,
}

impl Verdict {
    pub fn count(&self, fault: Fault) -> usize {
        self.findings.iter().filter(|finding| finding.fault == fault).count()
    }

    fn add(&mut self, fault: Fault, story: String) {
        self.findings.push(Finding { fault, story });
    }
}

/// `logs` by place; `key_of` for records of compacted ones.
pub fn check(logs: &[Read], sent: &[Sent], key_of: impl Fn(RecordId) -> u64) -> Verdict {
    let mut verdict = Verdict::default();
    let mut found = Positions::default();
    for (place, log) in logs.iter().enumerate() {
        check_offsets(place, log, &mut verdict);
        found.note(place as u16, log, &mut verdict);
    }
    let latest: Vec<_> = logs.iter().map(|log| latest_by_key(log, &key_of)).collect();
    for sent in sent {
        for batch in &sent.batches {
            let offsets = found.take(sent.author, batch);
            let place = usize::from(batch.place);
            let is_superseded = |number: u32, due: i64| {
                let id = RecordId { author: sent.author, place: batch.place, number };
                logs[place].is_compacted && latest[place].get(&key_of(id)).is_some_and(|latest| *latest > due)
            };
            check_batch(sent.author, batch, &offsets, &logs[place], is_superseded, &mut verdict);
        }
    }
    for ((author, place), left) in found.0 {
        for (number, offset) in left {
            verdict.add(Fault::Changed, format!("{place}@{offset} holds record {number} of {author}, never sent"));
        }
    }
    verdict
}

/// The last offset of each key in a compacted log.
fn latest_by_key(log: &Read, key_of: &impl Fn(RecordId) -> u64) -> BTreeMap<u64, i64> {
    let keyed =
        log.records.iter().filter(|_| log.is_compacted).filter_map(|seen| Some((key_of(seen.id?), seen.offset)));
    keyed.collect()
}

fn check_offsets(place: usize, log: &Read, verdict: &mut Verdict) {
    let mut next = log.start;
    for seen in &log.records {
        if seen.offset < next || (seen.offset > next && !log.is_compacted) {
            verdict.add(Fault::Gap, format!("{place}: offset {} where {next} was due", seen.offset));
        }
        next = seen.offset + 1;
    }
    if next > log.end || (next < log.end && !log.is_compacted) {
        verdict.add(Fault::Gap, format!("{place}: the log ends at {}, its records at {next}", log.end));
    }
}

/// Where each record is, by author and place, in the order of the numbers.
#[derive(Default)]
struct Positions(BTreeMap<(u16, u16), BTreeMap<u32, i64>>);

impl Positions {
    /// Also sees that each author's numbers only rise.
    fn note(&mut self, place: u16, log: &Read, verdict: &mut Verdict) {
        let mut last: BTreeMap<u16, u32> = BTreeMap::new();
        for seen in &log.records {
            let offset = seen.offset;
            let Some(RecordId { author, number, .. }) = seen.id else {
                verdict.add(Fault::Changed, format!("{place}@{offset} holds bytes that nobody wrote"));
                continue;
            };
            let of_author = self.0.entry((author, place)).or_default();
            if let Some(before) = of_author.insert(number, offset) {
                of_author.insert(number, before);
                let story = format!("{place}: record {number} of {author} is at {before} and again at {offset}");
                verdict.add(Fault::Duplicated, story);
                continue;
            }
            let highest = last.entry(author).or_insert(number);
            if number < *highest {
                let story = format!("{place}@{offset}: record {number} of {author} comes behind {highest}");
                verdict.add(Fault::Reordered, story);
            }
            *highest = number.max(*highest);
        }
    }

    /// The offsets of a batch's records.
    fn take(&mut self, author: u16, batch: &Batch) -> Vec<Option<i64>> {
        let mut of_author = self.0.get_mut(&(author, batch.place));
        let numbers = batch.first..batch.first + batch.count;
        numbers.map(|number| of_author.as_mut().and_then(|all| all.remove(&number))).collect()
    }
}

fn check_batch(
    author: u16,
    batch: &Batch,
    offsets: &[Option<i64>],
    log: &Read,
    is_superseded: impl Fn(u32, i64) -> bool,
    verdict: &mut Verdict,
) {
    let Batch { place, first, count, outcome } = *batch;
    let there = offsets.iter().flatten().count();
    match outcome {
        Outcome::Acked(base) => {
            verdict.acked_records += u64::from(count);
            for (index, offset) in offsets.iter().enumerate() {
                let (number, due) = (first + index as u32, base + index as i64);
                match offset {
                    Some(offset) if *offset == due => {}
                    Some(offset) => verdict.add(
                        Fault::Reordered,
                        format!("{place}: record {number} of {author}, acknowledged at {due}, is at {offset}"),
                    ),
                    None if due < log.start => verdict.trimmed_records += 1,
                    None if is_superseded(number, due) => verdict.superseded_records += 1,
                    None => {
                        verdict.add(Fault::Lost, format!("{place}@{due}: record {number} of {author} was acknowledged"))
                    }
                }
            }
        }
        Outcome::Unknown => {
            verdict.unanswered_records += there as u64;
            // Where the log start moved, it may have moved into this batch.
            let cut_by_trim = offsets.last().is_some_and(Option::is_some) && log.start > 0;
            if there != 0 && there != count as usize && !cut_by_trim && !log.is_compacted {
                verdict.add(Fault::Torn, format!("{place}: {there} of {count} records from {first} of {author}"));
            }
        }
        Outcome::Refused(code) if there > 0 => {
            let story = format!("{place}: records from {first} of {author} were refused with {code}");
            verdict.add(Fault::WrittenThoughRefused, story);
        }
        Outcome::Refused(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Dice;

    const PLACES: u16 = 2;

    fn key_of(id: RecordId) -> u64 {
        u64::from(id.number % 3)
    }

    /// A good history: two authors write to two places; some answers are lost, some batches refused.
    fn history(seed: u64) -> (Vec<Read>, Vec<Sent>) {
        let mut dice = Dice::new(seed);
        let mut logs = vec![Read::default(); usize::from(PLACES)];
        let mut sent: Vec<Sent> = (0..2).map(|author| Sent { author, batches: Vec::new() }).collect();
        let mut next = BTreeMap::new();
        for _ in 0..60 {
            let (author, place) = (dice.below(2) as u16, dice.below(u64::from(PLACES)) as u16);
            let number = next.entry((author, place)).or_insert(0);
            let (first, count) = (*number, 2 + dice.below(5) as u32);
            *number += count;
            let log = &mut logs[usize::from(place)];
            let (outcome, is_there) = match dice.below(10) {
                0 => (Outcome::Unknown, false),
                1 => (Outcome::Unknown, true),
                2 => (Outcome::Refused(10), false),
                _ => (Outcome::Acked(log.end), true),
            };
            if is_there {
                log.records.extend((0..count).map(|index| Seen {
                    offset: log.end + i64::from(index),
                    id: Some(RecordId { author, place, number: first + index }),
                    fingerprint: 0,
                }));
                log.end += i64::from(count);
            }
            sent[usize::from(author)].batches.push(Batch { place, first, count, outcome });
        }
        (logs, sent)
    }

    fn renumber(log: &mut Read) {
        for (offset, seen) in (log.start..).zip(&mut log.records) {
            seen.offset = offset;
        }
        log.end = log.start + log.records.len() as i64;
    }

    /// The acknowledged batches of a place as (author, first, count, base).
    fn acked(sent: &[Sent], place: u16) -> Vec<(u16, u32, u32, i64)> {
        let all = sent.iter().flat_map(|sent| sent.batches.iter().map(|batch| (sent.author, *batch)));
        all.filter(|(_, batch)| batch.place == place)
            .filter_map(|(author, batch)| match batch.outcome {
                Outcome::Acked(base) => Some((author, batch.first, batch.count, base)),
                _ => None,
            })
            .collect()
    }

    /// For fifty histories: the untouched one passes, the one with the fault is caught by that name.
    fn catches(fault: Fault, spoil: impl Fn(&mut Dice, &mut Vec<Read>, &mut Vec<Sent>)) {
        for seed in 0..50 {
            let (mut logs, mut sent) = history(seed);
            let untouched = check(&logs, &sent, key_of);
            assert!(untouched.findings.is_empty(), "seed {seed}: {:?}", untouched.findings);
            spoil(&mut Dice::new(seed), &mut logs, &mut sent);
            let verdict = check(&logs, &sent, key_of);
            assert!(verdict.count(fault) > 0, "seed {seed}: {:?}", verdict.findings);
        }
    }

    #[test]
    fn an_acknowledged_record_that_is_gone_is_lost() {
        catches(Fault::Lost, |dice, logs, sent| {
            let all = acked(sent, 0);
            let (_, _, count, base) = all[dice.index(all.len())];
            logs[0].records.remove(base as usize + dice.index(count as usize));
            renumber(&mut logs[0]);
        });
    }

    #[test]
    fn a_tail_that_was_cut_off_is_lost() {
        catches(Fault::Lost, |_, logs, sent| {
            let (_, _, count, base) = *acked(sent, 1).iter().max_by_key(|batch| batch.3).unwrap();
            logs[1].records.truncate((base + i64::from(count) - 1) as usize);
            renumber(&mut logs[1]);
        });
    }

    #[test]
    fn a_record_that_is_there_twice_is_duplicated() {
        catches(Fault::Duplicated, |dice, logs, _| {
            let again = logs[0].records[dice.index(logs[0].records.len())];
            logs[0].records.push(again);
            renumber(&mut logs[0]);
        });
    }

    #[test]
    fn a_plain_record_without_an_answer_may_be_there_once_but_not_twice() {
        catches(Fault::Duplicated, |_, logs, sent| {
            let log = &mut logs[0];
            let number = 1 + log.records.iter().filter_map(|seen| seen.id).map(|id| id.number).max().unwrap() + 100;
            sent[0].batches.push(Batch { place: 0, first: number, count: 1, outcome: Outcome::Unknown });
            let id = Some(RecordId { author: 0, place: 0, number });
            for _ in 0..2 {
                log.records.push(Seen { offset: 0, id, fingerprint: 0 });
            }
            renumber(log);
        });
    }

    #[test]
    fn two_records_of_one_producer_that_changed_places_are_reordered() {
        catches(Fault::Reordered, |dice, logs, sent| {
            let all = acked(sent, 0);
            let (_, _, count, base) = all[dice.index(all.len())];
            let at = base as usize + dice.index(count as usize - 1);
            logs[0].records.swap(at, at + 1);
            renumber(&mut logs[0]);
        });
    }

    #[test]
    fn an_unanswered_batch_behind_a_later_one_is_reordered() {
        catches(Fault::Reordered, |_, logs, sent| {
            let log = &mut logs[0];
            let number = 1_000;
            sent[1].batches.push(Batch { place: 0, first: number, count: 1, outcome: Outcome::Unknown });
            sent[1].batches.push(Batch { place: 0, first: number + 1, count: 1, outcome: Outcome::Acked(log.end) });
            for number in [number + 1, number] {
                let id = Some(RecordId { author: 1, place: 0, number });
                log.records.push(Seen { offset: 0, id, fingerprint: 0 });
            }
            renumber(log);
        });
    }

    #[test]
    fn bytes_that_nobody_wrote_are_a_change() {
        catches(Fault::Changed, |dice, logs, _| {
            let at = dice.index(logs[0].records.len());
            logs[0].records[at].id = None;
        });
    }

    #[test]
    fn a_record_that_was_never_sent_is_a_change() {
        catches(Fault::Changed, |dice, logs, _| {
            let at = dice.index(logs[0].records.len());
            logs[0].records[at].id = Some(RecordId { author: 0, place: 0, number: 70_000 });
        });
    }

    #[test]
    fn a_missing_offset_is_a_gap() {
        catches(Fault::Gap, |dice, logs, _| {
            let at = dice.index(logs[0].records.len());
            logs[0].records.remove(at);
        });
    }

    #[test]
    fn half_a_batch_is_torn() {
        catches(Fault::Torn, |_, logs, sent| {
            sent[0].batches.push(Batch { place: 0, first: 2_000, count: 2, outcome: Outcome::Unknown });
            let id = Some(RecordId { author: 0, place: 0, number: 2_000 });
            logs[0].records.push(Seen { offset: 0, id, fingerprint: 0 });
            renumber(&mut logs[0]);
        });
    }

    #[test]
    fn a_refused_batch_that_is_there_is_found() {
        catches(Fault::WrittenThoughRefused, |_, logs, sent| {
            sent[0].batches.push(Batch { place: 0, first: 2_000, count: 1, outcome: Outcome::Refused(10) });
            let id = Some(RecordId { author: 0, place: 0, number: 2_000 });
            logs[0].records.push(Seen { offset: 0, id, fingerprint: 0 });
            renumber(&mut logs[0]);
        });
    }

    #[test]
    fn of_a_compacted_log_all_but_the_last_record_of_a_key_may_go() {
        for seed in 0..50 {
            let (mut logs, sent) = history(seed);
            logs[0].is_compacted = true;
            let latest = latest_by_key(&logs[0], &key_of);
            logs[0].records.retain(|seen| latest.values().any(|offset| *offset == seen.offset));
            assert_eq!(logs[0].records.len(), 3);
            let verdict = check(&logs, &sent, key_of);
            assert!(verdict.findings.is_empty(), "seed {seed}: {:?}", verdict.findings);
            assert!(verdict.superseded_records > 0);
        }
    }

    #[test]
    fn of_a_compacted_log_the_last_record_of_a_key_is_lost_if_it_went() {
        for seed in 0..50 {
            let (mut logs, sent) = history(seed);
            logs[0].is_compacted = true;
            // Nothing unanswered behind, which would be a later one of the key.
            let end = acked(&sent, 0).into_iter().map(|(.., count, base)| base + i64::from(count)).max().unwrap();
            logs[0].records.truncate(end as usize);
            let last = logs[0].records.pop().unwrap();
            let verdict = check(&logs, &sent, key_of);
            assert_eq!(verdict.count(Fault::Lost), 1, "seed {seed}, {last:?}: {:?}", verdict.findings);
        }
    }

    #[test]
    fn what_lies_before_the_log_start_is_not_missed() {
        let (mut logs, sent) = history(3);
        let acked = check(&logs, &sent, key_of).acked_records;
        for log in &mut logs {
            log.start = log.end / 2;
            log.records.drain(..log.start as usize);
        }
        let verdict = check(&logs, &sent, key_of);
        assert_eq!(verdict.count(Fault::Lost), 0, "{:?}", verdict.findings);
        assert_eq!(verdict.count(Fault::Torn), 0, "{:?}", verdict.findings);
        assert!(verdict.trimmed_records > 0 && verdict.acked_records == acked);
    }
}
