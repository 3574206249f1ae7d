//! A producer: plain with one batch in flight, or idempotent with up to five, which keeps its batches in order through every
//! retry as Kafka's own clients do.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages as m;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};

use super::caller::{Caller, Lost, topic_name};
use super::codes::{KAFKA_STORAGE_ERROR, OUT_OF_ORDER_SEQUENCE_NUMBER, REQUEST_TIMED_OUT};
use super::history::{Place, key_of, value_of};
use super::life::{Actor, Life};
use super::world::World;
use crate::net::BoxFuture;
use crate::record::{Builder, Compression};
use crate::testing::seed::Seed;
use crate::types::{ProducerEpoch, ProducerId, Sequence, Timestamp};

/// Keys of a compacted topic.
const KEYS: u64 = 40;

#[derive(Clone, Debug)]
struct Batch {
    first: u64,
    records: Vec<(u64, Option<u32>, i64)>,
    sequence: i32,
    compression: Compression,
    tries: u32,
}

pub struct Producer {
    number: u32,
    idempotent: bool,
    place: Place,
    state: Mutex<State>,
}

struct State {
    dice: Seed,
    id: Option<(i64, i16)>,
    next_sequence: i32,
    pending: VecDeque<Batch>,
    /// The last five that were acknowledged, with their offsets.
    recent: VecDeque<(Batch, i64)>,
    acked: u64,
}

impl Producer {
    pub fn new(world: &World, number: u32) -> Producer {
        let mut dice = world.fork();
        let topic = if number == 0 { 0 } else { dice.below(world.plan.topics.len() as u64) as u32 };
        let partition = dice.below(world.plan.topic(topic).partitions as u64) as i32;
        let idempotent = number == 0 || dice.one_in(2);
        let state =
            State { dice, id: None, next_sequence: 0, pending: VecDeque::new(), recent: VecDeque::new(), acked: 0 };
        Producer { number, idempotent, place: (topic, partition), state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Works on one connection until it is lost.
    async fn work_on(&self, life: &Arc<Life>, caller: &mut Caller) -> Result<(), Lost> {
        if self.idempotent && self.state().id.is_none() {
            let response = caller.ask(4, &init_request()).await?;
            if response.error_code != 0 {
                return Err(Lost);
            }
            self.state().id = Some((response.producer_id.0, response.producer_epoch));
        }
        loop {
            self.burst(life, caller).await?;
            let pause = {
                let mut state = self.state();
                let longest = [5, 100, 1_000, 3_000][state.dice.below(4) as usize];
                state.dice.below(longest)
            };
            tokio::time::sleep(Duration::from_millis(pause)).await;
            if self.state().dice.one_in(10) {
                self.repeat(life, caller).await?;
            }
        }
    }

    /// Sends what is pending, some of it new, and takes the answers.
    async fn burst(&self, life: &Arc<Life>, caller: &mut Caller) -> Result<(), Lost> {
        self.fill(life);
        let batches: Vec<Batch> = {
            let mut state = self.state();
            state.pending.iter_mut().for_each(|batch| batch.tries += 1);
            life.world.count("retries", state.pending.iter().filter(|batch| batch.tries > 1).count() as u64);
            state.pending.iter().cloned().collect()
        };
        for batch in &batches {
            caller.send(9, &self.request(life, batch)).await?;
        }
        let mut earlier_failed = false;
        for batch in batches {
            let response = caller.answer::<m::ProduceRequest>(9).await?;
            let answer = &response.responses[0].partition_responses[0];
            match answer.error_code {
                0 => self.acked(life, batch, answer.base_offset),
                KAFKA_STORAGE_ERROR | REQUEST_TIMED_OUT => {
                    earlier_failed = true;
                    life.world.count("batches failed", 1);
                }
                OUT_OF_ORDER_SEQUENCE_NUMBER if earlier_failed => {}
                code => {
                    let what = format!("I30/I33: batch {batch:?} of producer {} is answered with {code}", self.number);
                    life.world.violated(what);
                    return Err(Lost);
                }
            }
        }
        if earlier_failed {
            tokio::time::sleep(Duration::from_millis(500)).await;
            self.give_up_old(life);
        }
        Ok(())
    }

    /// A plain producer lets a batch go after some tries; an idempotent one may not, its sequence would have a hole.
    fn give_up_old(&self, _life: &Life) {
        if !self.idempotent {
            self.state().pending.retain(|batch| batch.tries < 4);
        }
    }

    fn fill(&self, life: &Life) {
        let mut state = self.state();
        let most = if self.idempotent { 1 + state.dice.below(5) as usize } else { 1 };
        while state.pending.len() < most {
            let batch = self.make(life, &mut state);
            state.pending.push_back(batch);
        }
    }

    fn make(&self, life: &Life, state: &mut State) -> Batch {
        let count = 1 + state.dice.below([1, 3, 12][state.dice.clone().below(3) as usize]);
        let has_keys = life.world.plan.topic(self.place.0).compacted;
        let producer = self.idempotent.then_some(self.number);
        let mut records = Vec::new();
        for index in 0..count {
            let key = has_keys.then(|| state.dice.below(KEYS) as u32);
            let timestamp = life.client_ms() - state.dice.below(50) as i64;
            let number = life.world.history(|history| Ok(history.send(self.place, key, timestamp, producer)));
            records.push((number.unwrap_or(index), key, timestamp));
        }
        let sequence = state.next_sequence;
        state.next_sequence += count as i32;
        let compression = match state.dice.below(8) {
            0 => Compression::Gzip,
            1 => Compression::Lz4,
            2 => Compression::Snappy,
            _ => Compression::None,
        };
        Batch { first: records[0].0, records, sequence, compression, tries: 0 }
    }

    fn request(&self, life: &Life, batch: &Batch) -> m::ProduceRequest {
        let mut builder = Builder::new().compression(batch.compression);
        if let Some((id, epoch)) = self.state().id {
            builder = builder.producer(ProducerId(id), ProducerEpoch(epoch), Sequence(batch.sequence));
        }
        for (number, key, timestamp) in &batch.records {
            builder.push(Timestamp(*timestamp), key_of(*key).as_deref(), Some(&value_of(*number)), &[]);
        }
        let bytes = Bytes::from(builder.build().to_vec());
        let data = PartitionProduceData::default().with_index(self.place.1).with_records(Some(bytes));
        let name = topic_name(&life.world.plan.topic(self.place.0).name);
        let topic = TopicProduceData::default().with_name(name).with_partition_data(vec![data]);
        m::ProduceRequest::default().with_acks(-1).with_timeout_ms(20_000).with_topic_data(vec![topic])
    }

    fn acked(&self, life: &Life, batch: Batch, base: i64) {
        life.check();
        let count = batch.records.len() as u64;
        life.world.count("records acked", count);
        life.world.history(|history| history.acked(batch.first, count, base));
        let mut state = self.state();
        state.acked += 1;
        state.pending.retain(|other| other.first != batch.first);
        state.recent.push_back((batch, base));
        if state.recent.len() > 5 {
            state.recent.pop_front();
        }
    }

    /// The network brings one of the last five batches once more: its first offset comes back, nothing is added (I30).
    async fn repeat(&self, life: &Arc<Life>, caller: &mut Caller) -> Result<(), Lost> {
        let chosen = {
            let mut state = self.state();
            let index = state.dice.below(5) as usize;
            let is_quiet = state.pending.is_empty() && self.idempotent;
            state.recent.get(index).cloned().filter(|_| is_quiet)
        };
        let Some((batch, base)) = chosen else { return Ok(()) };
        let response = caller.ask(9, &self.request(life, &batch)).await?;
        let answer = &response.responses[0].partition_responses[0];
        life.world.count("repeats", 1);
        let is_same = answer.error_code == 0 && answer.base_offset == base;
        if !is_same && answer.error_code != KAFKA_STORAGE_ERROR {
            let (code, offset) = (answer.error_code, answer.base_offset);
            life.world
                .violated(format!("I30: a repeat of {batch:?}, which stands at {base}: code {code}, offset {offset}"));
        }
        Ok(())
    }
}

fn init_request() -> m::InitProducerIdRequest {
    m::InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_transaction_timeout_ms(60_000)
        .with_producer_id(m::ProducerId(-1))
        .with_producer_epoch(-1)
}

impl Actor for Producer {
    fn session<'a>(&'a self, life: &'a Arc<Life>, caller: &'a mut Caller) -> BoxFuture<'a, Result<(), Lost>> {
        Box::pin(self.work_on(life, caller))
    }

    fn pause_ms(&self, _: &Life) -> u64 {
        20 + self.state().dice.below(500)
    }

    fn progress(&self) -> u64 {
        self.state().acked
    }

    fn name(&self) -> String {
        format!("producer {} of {:?}", self.number, self.place)
    }
}
