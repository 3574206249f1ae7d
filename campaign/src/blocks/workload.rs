//! A short workload on a disk that is watched: who writes what, and what was promised at which event of the disk.
//!
//! Every partition has one writer with one request under way, so its `n`th record belongs at offset `n`: a batch without an
//! answer is sent again by an idempotent writer, and a plain one looks whether it is there first.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages as m;

use crate::blocks::disk::Shared;
use crate::check::Fault;
use crate::client::{Connection, Lost, code, topic};
use crate::dice::Dice;
use crate::groups::{Committer, commit, find_coordinator};
use crate::producers::{by_place, produce};
use crate::readers::{LATEST, list_offset};
use crate::records::{RecordId, Signature};
use crate::stage::{COMPACTED, PLACES, Stage, TRIMMED};
use crate::topics;

/// Records of one batch, at most.
const MOST_RECORDS: u64 = 24;
pub const GROUP: &str = "offsets";

/// What an answer promised.
#[derive(Clone)]
pub enum Promise {
    /// The place holds its first `end` records; the last batch of an idempotent writer, with its offset, to repeat it.
    Records {
        place: u16,
        end: u32,
        again: Option<(i64, Bytes)>,
    },
    Committed {
        place: u16,
        offset: i64,
    },
    /// The log of [`TRIMMED`] does not begin before this.
    Trimmed(i64),
}

/// A change of a topic: the events of the disk when it was asked for, and when it was answered.
#[derive(Clone, Copy)]
pub struct Change {
    pub asked: usize,
    pub answered: Option<usize>,
    pub exists: bool,
}

/// All of a workload, each promise with how many events there were when it was made.
#[derive(Default)]
pub struct Promises {
    pub made: Vec<(usize, Promise)>,
    pub topics: BTreeMap<String, Vec<Change>>,
    /// The most that was ever asked for.
    pub sent_records: BTreeMap<u16, u32>,
    pub sent_commits: BTreeMap<u16, i64>,
    pub sent_trim: i64,
}

pub struct Workload<'a> {
    pub stage: &'a Stage,
    pub shared: &'a Shared,
    pub promises: Mutex<Promises>,
}

/// One partition of a writer.
struct Lane {
    place: u16,
    next: u32,
    sequence: i32,
    /// Sent, and not acknowledged: how many records.
    open: Option<(u32, Bytes)>,
}

impl Workload<'_> {
    fn note(&self, note: impl FnOnce(&mut Promises, usize)) {
        let mut promises = self.promises.lock().expect("no holder panics");
        note(&mut promises, self.shared.position());
    }

    fn promise(&self, promise: Promise) {
        self.note(|promises, position| promises.made.push((position, promise)));
    }

    /// All workers through all lives of the broker, while `lives` rules them.
    pub fn run(&self, lives: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
        std::thread::scope(|scope| {
            scope.spawn(|| self.write(&[0, 1], false));
            scope.spawn(|| self.write(&[2, 3, TRIMMED], true));
            scope.spawn(|| self.write(&[COMPACTED], false));
            scope.spawn(|| self.commit());
            scope.spawn(|| self.trim());
            scope.spawn(|| self.change_topics());
            let ended = lives();
            self.stage.finish();
            self.stage.end_all();
            ended
        })
    }

    fn rest(&self, dice: &mut Dice, milliseconds: u64) {
        self.stage.pause(Duration::from_millis(dice.below(milliseconds)));
    }

    fn write(&self, places: &[u16], is_idempotent: bool) {
        let mut dice = Dice::named(self.stage.seed, 0x8000 + u64::from(places[0]));
        let mut lanes: Vec<Lane> =
            places.iter().map(|&place| Lane { place, next: 0, sequence: 0, open: None }).collect();
        let mut producer = None;
        self.stage.through_all_lives(&format!("writer of {places:?}"), |connection| {
            if is_idempotent && producer.is_none() {
                producer = Some(identity(connection)?);
            }
            for lane in lanes.iter_mut().filter(|lane| !is_idempotent && lane.open.is_some()) {
                self.look_whether_it_is_there(connection, lane)?;
            }
            while !self.stage.is_finishing() {
                self.write_once(connection, &mut lanes, producer, &mut dice)?;
                self.rest(&mut dice, 12);
            }
            Ok(())
        });
    }

    fn look_whether_it_is_there(&self, connection: &mut Connection, lane: &mut Lane) -> Result<(), Lost> {
        let end = list_offset(self.stage, connection, lane.place, LATEST)?;
        let (count, _) = lane.open.take().expect("only asked for an open batch");
        match end - i64::from(lane.next) {
            0 => {}
            more if more == i64::from(count) => lane.next += count,
            more => {
                let story = format!("{}: the log ends {more} behind the last acknowledged record", lane.place);
                self.stage.find(Fault::Torn, story);
            }
        }
        Ok(())
    }

    fn write_once(
        &self,
        connection: &mut Connection,
        lanes: &mut [Lane],
        producer: Option<(i64, i16)>,
        dice: &mut Dice,
    ) -> Result<(), Lost> {
        for lane in lanes.iter_mut().filter(|lane| lane.open.is_none()) {
            let count = dice.uneven(MOST_RECORDS) as u32;
            let first = RecordId { author: lane.place, place: lane.place, number: lane.next };
            let sign = |(producer_id, epoch)| Signature { producer_id, epoch, base_sequence: lane.sequence };
            lane.open = Some((count, self.stage.texts.batch(first, count, producer.map(sign))));
            self.note(|promises, _| _ = promises.sent_records.insert(lane.place, lane.next + count));
        }
        let batches: Vec<_> =
            lanes.iter().filter_map(|lane| Some((lane.place, lane.open.as_ref()?.1.clone()))).collect();
        let response = connection.ask(9, &produce(&batches))?;
        for (place, answer) in by_place(&response) {
            let Some(lane) = lanes.iter_mut().find(|lane| lane.place == place) else { continue };
            self.answered(lane, answer.error_code, answer.base_offset, producer.is_some());
        }
        Ok(())
    }

    fn answered(&self, lane: &mut Lane, code: i16, base: i64, is_idempotent: bool) {
        let Some((count, bytes)) = lane.open.take() else { return };
        if code != 0 || base != i64::from(lane.next) {
            if code::is_passing(code) {
                lane.open = Some((count, bytes));
            } else {
                let story = format!("{}: record {} is answered {code} and {base}", lane.place, lane.next);
                self.stage.find(Fault::Unexpected, story);
            }
            return;
        }
        lane.next += count;
        lane.sequence += count as i32;
        self.stage.marks[usize::from(lane.place)].raise_high_watermark(i64::from(lane.next));
        self.stage.acked(u64::from(count));
        let again = is_idempotent.then_some((base, bytes));
        self.promise(Promise::Records { place: lane.place, end: lane.next, again });
    }

    fn commit(&self) {
        let mut dice = Dice::named(self.stage.seed, 0x9001);
        let mut offset = 0;
        let committer = Committer::of_nobody(GROUP);
        self.stage.through_all_lives("committer", |connection| {
            find_coordinator(self.stage, connection, GROUP)?;
            while !self.stage.is_finishing() {
                let place = dice.index(PLACES.len()) as u16;
                offset += 1 + dice.below(50) as i64;
                self.note(|promises, _| _ = promises.sent_commits.insert(place, offset));
                if commit(self.stage, connection, &committer, &[(place, offset)])? == 0 {
                    self.promise(Promise::Committed { place, offset });
                }
                self.rest(&mut dice, 20);
            }
            Ok(())
        });
    }

    fn trim(&self) {
        let mut dice = Dice::named(self.stage.seed, 0x9002);
        let mark = &self.stage.marks[usize::from(TRIMMED)];
        self.stage.through_all_lives("trimmer", |connection| {
            while !self.stage.is_finishing() {
                self.rest(&mut dice, 300);
                let floor = mark.floor();
                let offset =
                    floor.log_start + dice.below((floor.high_watermark - floor.log_start).max(1) as u64) as i64;
                if offset <= floor.log_start {
                    continue;
                }
                self.note(|promises, _| promises.sent_trim = offset);
                let (code, low) = delete_records(connection, offset)?;
                if code == 0 {
                    mark.raise_log_start(low);
                    self.promise(Promise::Trimmed(low));
                }
            }
            Ok(())
        });
    }

    fn change_topics(&self) {
        let mut dice = Dice::named(self.stage.seed, 0x9003);
        // `None`: a change had no answer.
        let mut is_there = [Some(false); 4];
        self.stage.through_all_lives("changer of topics", |connection| {
            while !self.stage.is_finishing() {
                self.rest(&mut dice, 200);
                let which = dice.index(is_there.len());
                let exists = !is_there[which].unwrap_or_else(|| dice.chance(50));
                let was_certain = is_there[which].take().is_some();
                self.change_one(connection, &format!("passing-{which}"), exists, was_certain)?;
                is_there[which] = Some(exists);
            }
            Ok(())
        });
    }

    fn change_one(&self, connection: &mut Connection, name: &str, exists: bool, certain: bool) -> Result<(), Lost> {
        self.note(|promises, asked| {
            let change = Change { asked, answered: None, exists };
            promises.topics.entry(name.to_owned()).or_default().push(change);
        });
        let code = if exists { topics::create(connection, name, 1)? } else { topics::delete(connection, name)? };
        let already = if exists { code::TOPIC_ALREADY_EXISTS } else { code::UNKNOWN_TOPIC_OR_PARTITION };
        if code != 0 && (certain || code != already) {
            self.stage.find(Fault::Forgotten, format!("{name}, to be there: {exists}, answers {code}"));
        }
        self.note(|promises, answered| {
            let last = promises.topics.get_mut(name).and_then(|changes| changes.last_mut());
            last.expect("it was asked for").answered = Some(answered);
        });
        Ok(())
    }
}

pub fn identity(connection: &mut Connection) -> Result<(i64, i16), Lost> {
    let request = m::InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_transaction_timeout_ms(60_000)
        .with_producer_id(m::ProducerId(-1))
        .with_producer_epoch(-1);
    let answer = connection.ask(4, &request)?;
    match answer.error_code {
        0 => Ok((answer.producer_id.0, answer.producer_epoch)),
        code => Err(Lost::Garbled(format!("InitProducerId answers {code}"))),
    }
}

fn delete_records(connection: &mut Connection, offset: i64) -> Result<(i16, i64), Lost> {
    let (name, partition) = PLACES[usize::from(TRIMMED)];
    let wanted = m::delete_records_request::DeleteRecordsPartition::default()
        .with_partition_index(partition)
        .with_offset(offset);
    let topic =
        m::delete_records_request::DeleteRecordsTopic::default().with_name(topic(name)).with_partitions(vec![wanted]);
    let request = m::DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(20_000);
    let response = connection.ask(2, &request)?;
    let answer = &response.topics[0].partitions[0];
    Ok((answer.error_code, answer.low_watermark))
}
