//! Somebody who makes a topic, writes to it, commits for it, deletes it and makes it again under its name: nothing of the
//! old one may show (I22).

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages as m;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use uuid::Uuid;

use super::caller::{Caller, Lost, text, topic_name};
use super::codes::{TOPIC_ALREADY_EXISTS, UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_OR_PARTITION};
use super::life::{Actor, Life};
use super::world::World;
use crate::net::BoxFuture;
use crate::record::{self, Builder, DecompressLimits, Header};
use crate::testing::seed::Seed;
use crate::types::Timestamp;

const NAME: &str = "churn";
const GROUP: &str = "churn-group";

pub struct Churn {
    state: Mutex<State>,
}

struct State {
    dice: Seed,
    /// The incarnation that is there, and whether that is known.
    incarnation: u64,
    stage: Stage,
    id: Uuid,
    old_id: Uuid,
    acked: Vec<i64>,
    /// How often something was done.
    cycles: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It is not there, for certain.
    Gone,
    /// Its making was not answered.
    Making,
    There,
    Deleting,
}

impl Churn {
    pub fn new(world: &World) -> Churn {
        let state = State {
            dice: world.fork(),
            incarnation: 0,
            stage: Stage::Gone,
            id: Uuid::nil(),
            old_id: Uuid::nil(),
            acked: Vec::new(),
            cycles: 0,
        };
        Churn { state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    async fn work_on(&self, life: &Arc<Life>, caller: &mut Caller) -> Result<(), Lost> {
        loop {
            let pause = 200 + self.state().dice.below(3_000);
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let stage = self.state().stage;
            match stage {
                Stage::Gone | Stage::Making => self.make(life, caller).await?,
                Stage::There => self.use_and_delete(life, caller).await?,
                Stage::Deleting => self.delete(life, caller).await?,
            }
            self.state().cycles += 1;
        }
    }

    async fn make(&self, life: &Arc<Life>, caller: &mut Caller) -> Result<(), Lost> {
        let was_certain = {
            let mut state = self.state();
            std::mem::replace(&mut state.stage, Stage::Making) == Stage::Gone
        };
        let topic =
            CreatableTopic::default().with_name(topic_name(NAME)).with_num_partitions(1).with_replication_factor(1);
        let request = m::CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
        let response = caller.ask(7, &request).await?;
        let answer = &response.topics[0];
        match answer.error_code {
            0 => {
                {
                    let mut state = self.state();
                    state.incarnation += 1;
                    (state.old_id, state.id) = (state.id, answer.topic_id);
                    (state.stage, state.acked) = (Stage::There, Vec::new());
                }
                self.expect_nothing(life, caller).await
            }
            TOPIC_ALREADY_EXISTS if !was_certain => {
                // Made by the try before, whose answer was lost: its id is not known, so it goes again.
                self.state().stage = Stage::Deleting;
                Ok(())
            }
            TOPIC_ALREADY_EXISTS => {
                life.world.violated("I22: a topic whose deletion was acknowledged is there".into());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A new topic has no records, and what names the old one fails.
    async fn expect_nothing(&self, life: &Arc<Life>, caller: &mut Caller) -> Result<(), Lost> {
        if let Some(values) = self.read(life, caller).await?
            && !values.is_empty()
        {
            life.world.violated(format!("I22: a new topic has {values:?}"));
        }
        let old = self.state().old_id;
        if !old.is_nil() {
            let code = self.write(caller, old, "old").await?.0;
            if code != UNKNOWN_TOPIC_ID {
                life.world.violated(format!("I22: a write to the id of a deleted topic is answered with {code}"));
            }
        }
        Ok(())
    }

    async fn write(&self, caller: &mut Caller, id: Uuid, value: &str) -> Result<(i16, i64), Lost> {
        let mut builder = Builder::new();
        builder.push(Timestamp(1), None, Some(value.as_bytes()), &[]);
        let bytes = Bytes::from(builder.build().to_vec());
        let data = PartitionProduceData::default().with_index(0).with_records(Some(bytes));
        let topic = TopicProduceData::default().with_topic_id(id).with_partition_data(vec![data]);
        let request = m::ProduceRequest::default().with_acks(-1).with_timeout_ms(10_000).with_topic_data(vec![topic]);
        let response = caller.ask(13, &request).await?;
        let answer = &response.responses[0].partition_responses[0];
        Ok((answer.error_code, answer.base_offset))
    }

    /// All values, or `None` where they cannot be read now. A fetch gives what one segment holds: it takes as many as it takes.
    async fn read(&self, life: &Arc<Life>, caller: &mut Caller) -> Result<Option<Vec<(i64, String)>>, Lost> {
        let mut values = Vec::new();
        loop {
            let at = values.last().map_or(0, |(offset, _)| offset + 1);
            match self.read_from(life, caller, at).await? {
                Some(more) if more.is_empty() => return Ok(Some(values)),
                Some(more) => values.extend(more),
                None => return Ok(None),
            }
        }
    }

    async fn read_from(
        &self,
        life: &Arc<Life>,
        caller: &mut Caller,
        at: i64,
    ) -> Result<Option<Vec<(i64, String)>>, Lost> {
        let partition =
            FetchPartition::default().with_partition(0).with_fetch_offset(at).with_partition_max_bytes(1_000_000);
        let topic = FetchTopic::default().with_topic(topic_name(NAME)).with_partitions(vec![partition]);
        let request =
            m::FetchRequest::default().with_replica_id((-1).into()).with_max_bytes(1_000_000).with_topics(vec![topic]);
        let response = caller.ask(11, &request).await?;
        let answer = &response.responses[0].partitions[0];
        if answer.error_code != 0 {
            return Ok(None);
        }
        let mut values = Vec::new();
        let mut bytes = answer.records.as_deref().unwrap_or_default();
        while let Ok(header) = Header::read(bytes) {
            let Ok(batch) = record::open(&bytes[..header.size()], &DecompressLimits::default()) else {
                life.world.violated("I9: a batch of the churned topic cannot be opened".into());
                return Err(Lost);
            };
            for record in batch.records().flatten() {
                let value = String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned();
                values.push((record.offset.0, value));
            }
            bytes = &bytes[header.size()..];
        }
        Ok(Some(values))
    }

    async fn use_and_delete(&self, life: &Arc<Life>, caller: &mut Caller) -> Result<(), Lost> {
        let (id, value, writes) = {
            let mut state = self.state();
            (state.id, format!("of {}", state.incarnation), state.dice.below(4))
        };
        self.expect_no_commit(life, caller).await?;
        for _ in 0..writes {
            let (code, offset) = self.write(caller, id, &value).await?;
            if code == 0 {
                self.state().acked.push(offset);
            }
        }
        if let Some(values) = self.read(life, caller).await? {
            let acked = self.state().acked.clone();
            let strange = values.iter().find(|(_, found)| *found != value);
            let lost = acked.iter().find(|offset| !values.iter().any(|(at, _)| at == *offset));
            if strange.is_some() || lost.is_some() {
                life.world.violated(format!("I22/I1: the topic {value} holds {values:?}, acknowledged {acked:?}"));
            }
        }
        self.commit(caller).await?;
        if self.state().dice.one_in(2) {
            self.delete(life, caller).await?;
        }
        Ok(())
    }

    async fn delete(&self, life: &Arc<Life>, caller: &mut Caller) -> Result<(), Lost> {
        self.state().stage = Stage::Deleting;
        let request =
            m::DeleteTopicsRequest::default().with_topic_names(vec![topic_name(NAME)]).with_timeout_ms(10_000);
        let response = caller.ask(4, &request).await?;
        if matches!(response.responses[0].error_code, 0 | UNKNOWN_TOPIC_OR_PARTITION) {
            life.world.count("topics deleted", 1);
            let mut state = self.state();
            state.stage = Stage::Gone;
        }
        Ok(())
    }

    /// As a consumer without a group's membership does.
    async fn commit(&self, caller: &mut Caller) -> Result<(), Lost> {
        let incarnation = self.state().incarnation;
        let partition =
            OffsetCommitRequestPartition::default().with_partition_index(0).with_committed_offset(incarnation as i64);
        let topic = OffsetCommitRequestTopic::default().with_name(topic_name(NAME)).with_partitions(vec![partition]);
        let request = m::OffsetCommitRequest::default()
            .with_group_id(m::GroupId(text(GROUP)))
            .with_generation_id_or_member_epoch(-1)
            .with_topics(vec![topic]);
        caller.ask(7, &request).await?;
        Ok(())
    }

    /// The offsets of an older topic of that name went with it.
    async fn expect_no_commit(&self, life: &Arc<Life>, caller: &mut Caller) -> Result<(), Lost> {
        let topic = OffsetFetchRequestTopic::default().with_name(topic_name(NAME)).with_partition_indexes(vec![0]);
        let request =
            m::OffsetFetchRequest::default().with_group_id(m::GroupId(text(GROUP))).with_topics(Some(vec![topic]));
        let response = caller.ask(5, &request).await?;
        let Some(answer) = response.topics.first().and_then(|topic| topic.partitions.first()) else { return Ok(()) };
        let (incarnation, offset) = (self.state().incarnation, answer.committed_offset);
        if response.error_code == 0 && answer.error_code == 0 && offset != -1 && offset != incarnation as i64 {
            life.world.violated(format!("I22: topic {incarnation} has the committed offset of topic {offset}"));
        }
        Ok(())
    }
}

impl Actor for Churn {
    fn session<'a>(&'a self, life: &'a Arc<Life>, caller: &'a mut Caller) -> BoxFuture<'a, Result<(), Lost>> {
        Box::pin(self.work_on(life, caller))
    }

    fn pause_ms(&self, _: &Life) -> u64 {
        500
    }

    fn hangs_up(&self) -> bool {
        true
    }

    fn progress(&self) -> u64 {
        self.state().cycles
    }

    fn name(&self) -> String {
        "who makes and deletes topics".into()
    }
}
