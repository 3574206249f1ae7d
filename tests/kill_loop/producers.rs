//! Those who write. An idempotent producer keeps every batch until it is acknowledged and sends it again, under the same
//! sequence, to whatever life of the broker comes next; now and then it also repeats one that was acknowledged already and
//! must get its offset back (I30). A plain producer has one request in flight and never sends a record twice: an answer
//! that does not come leaves the batch open.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages as m;

use crate::check::{Batch, Fault, Outcome, Sent};
use crate::client::{Connection, Lost, code, topic};
use crate::dice::Dice;
use crate::records::{RecordId, Signature};
use crate::stage::{PLACES, Stage, TRIMMED};

/// What clients may have in flight, and what the broker remembers.
const IN_FLIGHT: usize = 5;
/// A burst is followed by this much rest at most, or the disk fills before the kills are done.
const REST_MS: u64 = 8;
/// In one batch.
const MOST_RECORDS: u64 = 300;

/// A batch that an idempotent producer may have to send again.
struct Kept {
    /// Its row in `Sent::batches`.
    row: usize,
    count: u32,
    bytes: Bytes,
    sent: bool,
}

/// One partition of an idempotent producer.
#[derive(Default)]
struct Lane {
    next_number: u32,
    next_sequence: i32,
    /// Not acknowledged yet, the oldest first.
    pending: VecDeque<Kept>,
    /// The last acknowledged ones, the oldest first, at most five.
    done: VecDeque<Kept>,
}

struct Idempotent<'a> {
    stage: &'a Stage,
    dice: Dice,
    sent: Sent,
    /// Id and epoch, once the broker gave them.
    identity: Option<(i64, i16)>,
    lanes: Vec<Lane>,
}

/// A request in flight: which batches it carries, by lane and row, and whether they were acknowledged before.
type InFlight = Vec<(u16, usize, bool)>;

/// Writes through all lives; returns what it sent, all of it acknowledged unless a finding says otherwise.
pub fn idempotent(stage: &Stage, author: u16) -> Sent {
    let mut producer = Idempotent {
        stage,
        dice: Dice::named(stage.seed, 0x1000 + u64::from(author)),
        sent: Sent { author, batches: Vec::new() },
        identity: None,
        lanes: PLACES.iter().map(|_| Lane::default()).collect(),
    };
    stage.through_all_lives(&format!("idempotent producer {author}"), |connection| producer.work(connection));
    producer.sent
}

impl Idempotent<'_> {
    fn work(&mut self, connection: &mut Connection) -> Result<(), Lost> {
        if self.stage.is_kafka {
            // After a start Kafka knows only the last batch of each producer.
            self.lanes.iter_mut().for_each(|lane| drop(lane.done.drain(..lane.done.len().saturating_sub(1))));
        }
        loop {
            if self.identity.is_none() {
                self.identify(connection)?;
                continue;
            }
            self.send_pending(connection)?;
            let is_settled = self.lanes.iter().all(|lane| lane.pending.is_empty());
            if is_settled && self.stage.is_finishing() {
                return Ok(());
            }
            if is_settled && self.dice.chance(15) {
                self.repeat(connection)?;
            }
            if is_settled {
                self.write_some();
            } else {
                self.stage.pause(Duration::from_millis(20));
            }
        }
    }

    fn identify(&mut self, connection: &mut Connection) -> Result<(), Lost> {
        let request = m::InitProducerIdRequest::default()
            .with_transactional_id(None)
            .with_transaction_timeout_ms(60_000)
            .with_producer_id(m::ProducerId(-1))
            .with_producer_epoch(-1);
        let answer = connection.ask(4, &request)?;
        match answer.error_code {
            0 => self.identity = Some((answer.producer_id.0, answer.producer_epoch)),
            code if code::is_passing(code) => self.stage.pause(Duration::from_millis(20)),
            code => {
                self.stage.find(Fault::Unexpected, format!("InitProducerId answers {code}"));
                self.stage.pause(Duration::from_millis(20));
            }
        }
        Ok(())
    }

    /// New batches for some lanes, up to five for each.
    fn write_some(&mut self) {
        let rest = self.dice.below(REST_MS);
        self.stage.pause(Duration::from_millis(rest));
        for _ in 0..self.dice.uneven(2 * IN_FLIGHT as u64) {
            let place = self.dice.index(self.lanes.len()) as u16;
            if self.lanes[usize::from(place)].pending.len() < IN_FLIGHT {
                self.write(place);
            }
        }
    }

    fn write(&mut self, place: u16) {
        let count = self.dice.uneven(MOST_RECORDS) as u32;
        let (producer_id, epoch) = self.identity.expect("a producer that writes has an id");
        let lane = &mut self.lanes[usize::from(place)];
        let first = RecordId { author: self.sent.author, place, number: lane.next_number };
        let signature = Signature { producer_id, epoch, base_sequence: lane.next_sequence };
        let bytes = self.stage.texts.batch(first, count, Some(signature));
        lane.next_number += count;
        lane.next_sequence += count as i32;
        lane.pending.push_back(Kept { row: self.sent.batches.len(), count, bytes, sent: false });
        self.sent.batches.push(Batch { place, first: first.number, count, outcome: Outcome::Unknown });
    }

    /// Sends everything that has no acknowledgement, in order, one batch of each lane to a request, and takes the answers.
    fn send_pending(&mut self, connection: &mut Connection) -> Result<(), Lost> {
        let longest = self.lanes.iter().map(|lane| lane.pending.len()).max().unwrap_or(0);
        let mut in_flight = Vec::new();
        for turn in 0..longest {
            let mut request: InFlight = Vec::new();
            let mut batches = Vec::new();
            for (place, lane) in self.lanes.iter_mut().enumerate() {
                if let Some(kept) = lane.pending.get_mut(turn) {
                    if std::mem::replace(&mut kept.sent, true) {
                        self.stage.counts.retries.fetch_add(1, Ordering::Relaxed);
                    }
                    request.push((place as u16, kept.row, false));
                    batches.push((place as u16, kept.bytes.clone()));
                }
            }
            connection.send(9, &produce(&batches))?;
            in_flight.push(request);
        }
        self.take_answers(connection, &in_flight)
    }

    /// Sends one of the last acknowledged batches once more.
    fn repeat(&mut self, connection: &mut Connection) -> Result<(), Lost> {
        let place = self.dice.index(self.lanes.len()) as u16;
        let lane = &self.lanes[usize::from(place)];
        if lane.done.is_empty() {
            return Ok(());
        }
        let kept = &lane.done[self.dice.index(lane.done.len())];
        connection.send(9, &produce(&[(place, kept.bytes.clone())]))?;
        self.stage.counts.batches_repeated.fetch_add(1, Ordering::Relaxed);
        self.take_answers(connection, &[vec![(place, kept.row, true)]])
    }

    fn take_answers(&mut self, connection: &mut Connection, in_flight: &[InFlight]) -> Result<(), Lost> {
        let mut acked = 0;
        for request in in_flight {
            let response = connection.answer::<m::ProduceRequest>(9)?;
            let answers = by_place(&response);
            for &(place, row, was_acked) in request {
                match answers.iter().find(|(answered, _)| *answered == place) {
                    Some((_, answer)) => acked += self.take(place, row, was_acked, answer),
                    None => self.stage.find(Fault::Unexpected, format!("Produce leaves out partition {place}")),
                }
            }
        }
        self.stage.acked(acked);
        Ok(())
    }

    /// What one partition answered; how many records it acknowledged newly.
    fn take(
        &mut self,
        place: u16,
        row: usize,
        was_acked: bool,
        answer: &m::produce_response::PartitionProduceResponse,
    ) -> u64 {
        let (code, base) = (answer.error_code, answer.base_offset);
        let Some(batch) = self.sent.batches.get_mut(row) else { return 0 };
        if was_acked {
            let is_same = code == 0 && batch.outcome == Outcome::Acked(base);
            if !is_same && !code::is_passing(code) {
                let story =
                    format!("{place}: a repeated batch, {:?} before, is answered {code}, {base} (I30)", batch.outcome);
                self.stage.find(Fault::Duplicated, story);
            }
            return 0;
        }
        let lane = &mut self.lanes[usize::from(place)];
        if !lane.pending.iter().any(|kept| kept.row == row) {
            // An answer before this one made the producer forget what it had pending.
            return 0;
        }
        let is_first = lane.pending.front().is_some_and(|kept| kept.row == row);
        match code {
            0 if is_first => {
                batch.outcome = Outcome::Acked(base);
                let kept = lane.pending.pop_front().expect("the first is there");
                self.stage.marks[usize::from(place)].raise_high_watermark(base + i64::from(kept.count));
                let count = u64::from(kept.count);
                lane.done.push_back(kept);
                if lane.done.len() > IN_FLIGHT {
                    lane.done.pop_front();
                }
                count
            }
            // An earlier one was put off, and this one after it cannot have come in sequence.
            code::OUT_OF_ORDER_SEQUENCE_NUMBER if !is_first => 0,
            0 => {
                let story =
                    format!("{place}: a batch is acknowledged at {base} although an earlier one was refused (I31)");
                self.stage.find(Fault::Unexpected, story);
                self.forget_identity();
                0
            }
            code if code::is_passing(code) => 0,
            code::REQUEST_TIMED_OUT => 0,
            code => {
                let story = format!("{place}: an idempotent batch {batch:?} is answered {code} (I30, I33)");
                self.stage.find(Fault::Unexpected, story);
                self.forget_identity();
                0
            }
        }
    }

    /// Goes on as a new producer; what is pending stays open for ever.
    fn forget_identity(&mut self) {
        self.identity = None;
        for lane in &mut self.lanes {
            lane.pending.clear();
            lane.done.clear();
            lane.next_sequence = 0;
        }
    }
}

/// Writes through all lives without an id, one request at a time.
pub fn plain(stage: &Stage, author: u16) -> Sent {
    let mut dice = Dice::named(stage.seed, 0x2000 + u64::from(author));
    let mut sent = Sent { author, batches: Vec::new() };
    let mut next_numbers = vec![0; PLACES.len()];
    stage.through_all_lives(&format!("plain producer {author}"), |connection| {
        while !stage.is_finishing() {
            stage.pause(Duration::from_millis(dice.below(REST_MS)));
            let first = sent.batches.len();
            let mut batches = Vec::new();
            for place in some_places(&mut dice) {
                let number = &mut next_numbers[usize::from(place)];
                let count = dice.uneven(MOST_RECORDS) as u32;
                let bytes = stage.texts.batch(RecordId { author, place, number: *number }, count, None);
                sent.batches.push(Batch { place, first: *number, count, outcome: Outcome::Unknown });
                batches.push((place, bytes));
                *number += count;
            }
            let response = connection.ask(9, &produce(&batches))?;
            let mut acked = 0;
            for (place, answer) in by_place(&response) {
                let Some(batch) = sent.batches[first..].iter_mut().find(|batch| batch.place == place) else { continue };
                batch.outcome = match answer.error_code {
                    0 => Outcome::Acked(answer.base_offset),
                    code if code::leaves_it_open(code) => Outcome::Unknown,
                    code => Outcome::Refused(code),
                };
                if let Outcome::Acked(base) = batch.outcome {
                    stage.marks[usize::from(place)].raise_high_watermark(base + i64::from(batch.count));
                    acked += u64::from(batch.count);
                } else if !code::is_passing(answer.error_code) {
                    let story = format!("{place}: a plain batch is answered {}", answer.error_code);
                    stage.find(Fault::Unexpected, story);
                }
            }
            stage.acked(acked);
        }
        Ok(())
    });
    sent
}

/// One place or two.
fn some_places(dice: &mut Dice) -> Vec<u16> {
    let first = dice.index(PLACES.len()) as u16;
    let second = dice.index(PLACES.len()) as u16;
    if dice.chance(70) || first == second { vec![first] } else { vec![first, second] }
}

/// A request for these batches, at most one for each place; acks=all.
pub fn produce(batches: &[(u16, Bytes)]) -> m::ProduceRequest {
    let mut topics: Vec<m::produce_request::TopicProduceData> = Vec::new();
    for (place, bytes) in batches {
        let (name, partition) = PLACES[usize::from(*place)];
        let data =
            m::produce_request::PartitionProduceData::default().with_index(partition).with_records(Some(bytes.clone()));
        match topics.iter_mut().find(|data| data.name == topic(name)) {
            Some(topic) => topic.partition_data.push(data),
            None => topics.push(
                m::produce_request::TopicProduceData::default().with_name(topic(name)).with_partition_data(vec![data]),
            ),
        }
    }
    m::ProduceRequest::default().with_acks(-1).with_timeout_ms(20_000).with_topic_data(topics)
}

pub fn by_place(response: &m::ProduceResponse) -> Vec<(u16, &m::produce_response::PartitionProduceResponse)> {
    let all =
        response.responses.iter().flat_map(|topic| topic.partition_responses.iter().map(move |answer| (topic, answer)));
    all.filter_map(|(topic, answer)| {
        let place =
            PLACES.iter().position(|(name, partition)| **name == *topic.name.0 && *partition == answer.index)?;
        Some((place as u16, answer))
    })
    .collect()
}

/// Takes the beginning of one partition away, again and again (I21).
pub fn trimmer(stage: &Stage) {
    let mut dice = Dice::named(stage.seed, 0x3000);
    let mark = &stage.marks[usize::from(TRIMMED)];
    let (name, partition) = PLACES[usize::from(TRIMMED)];
    stage.through_all_lives("trimmer", |connection| {
        while !stage.is_finishing() {
            stage.pause(Duration::from_millis(dice.below(200)));
            let floor = mark.floor();
            let room = floor.high_watermark - floor.log_start;
            if room < 100 {
                continue;
            }
            let offset = floor.log_start + dice.uneven(room as u64) as i64;
            mark.trim_requested.fetch_max(offset, Ordering::SeqCst);
            let wanted = m::delete_records_request::DeleteRecordsPartition::default()
                .with_partition_index(partition)
                .with_offset(offset);
            let topic = m::delete_records_request::DeleteRecordsTopic::default()
                .with_name(topic(name))
                .with_partitions(vec![wanted]);
            let request = m::DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(20_000);
            let response = connection.ask(2, &request)?;
            let answer = &response.topics[0].partitions[0];
            match answer.error_code {
                0 if answer.low_watermark >= offset => {
                    mark.raise_log_start(answer.low_watermark);
                    stage.counts.trims.fetch_add(1, Ordering::Relaxed);
                }
                code if code::is_passing(code) => {}
                code => {
                    let story = format!("DeleteRecords before {offset} answers {code}, {}", answer.low_watermark);
                    stage.find(Fault::Unexpected, story);
                }
            }
        }
        Ok(())
    });
}
