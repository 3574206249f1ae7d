//! Makes the topics of a run, and looks through everything that stands in them: what was acknowledged is there, nothing
//! else is, in order and without gaps.

use std::sync::Arc;

use kafka_protocol::messages as m;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};

use super::caller::{Caller, Lost, text, topic_name};
use super::codes::TOPIC_ALREADY_EXISTS;
use super::history::{History, Known, Place, Sent, Standing};
use super::life::Life;
use super::plan::TopicPlan;
use super::reader;

pub const EARLIEST: i64 = -2;
pub const LATEST: i64 = -1;

/// Makes the topics that are not there yet.
pub async fn prepare(life: &Arc<Life>) -> Result<(), String> {
    let mut caller = Caller::connect(life);
    for topic in &life.world.plan.topics {
        let configs = topic
            .configs
            .iter()
            .map(|(name, value)| CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value))));
        let wanted = CreatableTopic::default()
            .with_name(topic_name(&topic.name))
            .with_num_partitions(topic.partitions)
            .with_replication_factor(1)
            .with_configs(configs.collect());
        let request = m::CreateTopicsRequest::default().with_topics(vec![wanted]).with_timeout_ms(10_000);
        let response = caller.ask(5, &request).await.map_err(|Lost| "CreateTopics is not answered".to_owned())?;
        let code = response.topics[0].error_code;
        if code != 0 && code != TOPIC_ALREADY_EXISTS {
            return Err(format!("{} cannot be made: {code} {:?}", topic.name, response.topics[0].error_message));
        }
    }
    Ok(())
}

/// Asks for one offset of a partition, by its special time; code and offset.
pub async fn list_offset(caller: &mut Caller, topic: &str, partition: i32, time: i64) -> Result<(i16, i64, i64), Lost> {
    let wanted = ListOffsetsPartition::default().with_partition_index(partition).with_timestamp(time);
    let topic = ListOffsetsTopic::default().with_name(topic_name(topic)).with_partitions(vec![wanted]);
    let request = m::ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![topic]);
    let response = caller.ask(5, &request).await?;
    let answer = &response.topics[0].partitions[0];
    Ok((answer.error_code, answer.offset, answer.timestamp))
}

/// Reads every partition from its start to its end and holds it against the history.
pub async fn look_through(life: &Arc<Life>) -> Result<(), String> {
    let mut caller = Caller::connect(life);
    for (number, topic) in life.world.plan.topics.iter().enumerate() {
        for partition in 0..topic.partitions {
            let place = (number as u32, partition);
            look_at(life, &mut caller, place).await.map_err(|why| format!("{}-{partition}: {why}", topic.name))?;
        }
    }
    life.world.count("audits", 1);
    Ok(())
}

async fn look_at(life: &Arc<Life>, caller: &mut Caller, place: Place) -> Result<(), String> {
    let topic = life.world.plan.topic(place.0).clone();
    let ask = |Lost| "no answer".to_owned();
    // Clients go on while this looks.
    let (begun, shown) = life
        .world
        .history(|history| {
            let known = history.place(place);
            Ok((known.start, known.end))
        })
        .unwrap_or_default();
    let (code, start, _) = list_offset(caller, &topic.name, place.1, EARLIEST).await.map_err(ask)?;
    let (other, end, _) = list_offset(caller, &topic.name, place.1, LATEST).await.map_err(ask)?;
    if code != 0 || other != 0 {
        return Err(format!("ListOffsets says {code} and {other}"));
    }
    if start < begun {
        life.world.violated(format!("I21: the log start of {place:?} fell from {begun} to {start}"));
    }
    if end < shown {
        life.world.violated(format!("I1/I6: {place:?} ends at {end}, but {shown} was acknowledged or shown"));
    }
    let mut found = Vec::new();
    let mut at = start;
    while at < end {
        let read = reader::fetch(life, caller, &[(place, at)], 0, 1_000_000).await.map_err(ask)?;
        let read = &read[0];
        if read.code == 1 {
            // Retention was faster; what it may take is checked elsewhere.
            return Ok(());
        }
        if read.code != 0 || read.next == at {
            return Err(format!("reading at {at} of {start} to {end}: code {}, no progress", read.code));
        }
        // What came meanwhile is for the next time.
        found.extend(read.records.iter().filter(|(offset, _)| *offset < end));
        at = read.next;
    }
    // Asked before: the history stands behind the lock of the world.
    let latest_wall = life.wall_at_most_ms();
    life.world.history(|history| Look { place, topic: &topic, found: &found, start, end, latest_wall }.check(history));
    Ok(())
}

/// What an audit found in a partition, all of it from its start to its end.
///
/// Every record was held against the history when it was read, so its number is the one that is known for its offset (I3).
/// What an earlier audit found of records that are still the same needs no second look: `gone_to` and `ordered_to`.
struct Look<'a> {
    place: Place,
    topic: &'a TopicPlan,
    found: &'a [Standing],
    start: i64,
    end: i64,
    latest_wall: i64,
}

impl Look<'_> {
    fn check(&self, history: &mut History) -> Result<(), String> {
        let (sent, known) = history.sent_and_place(self.place);
        self.check_start(sent, known)?;
        if !self.found.is_sorted_by(|one, next| one.0 < next.0) {
            return Err(format!("I4: {:?} shows its records out of their order", self.place));
        }
        if self.topic.compacted {
            return self.latest_per_key(known);
        }
        self.complete(known)?;
        self.in_order(sent, known)
    }

    /// What went from the front must have been allowed to go.
    fn check_start(&self, sent: &[Sent], known: &mut Known) -> Result<(), String> {
        let Look { place, start, .. } = *self;
        known.start = known.start.max(start);
        let may_go = |number: u64| {
            let timestamp = sent[number as usize].timestamp;
            self.topic.retention_ms.is_some_and(|ms| timestamp.saturating_add(ms as i64) <= self.latest_wall)
        };
        let gone = known.deletable_to.max(known.gone_to)..start;
        if !self.topic.compacted
            && let Some((offset, number)) = known.records(gone).find(|(_, number)| !may_go(*number))
        {
            return Err(format!("I20/I24: record {number} at {offset} of {place:?} went before its time"));
        }
        known.gone_to = start;
        Ok(())
    }

    /// I1, I4: everything that is known is there, and no offset without a record.
    fn complete(&self, known: &Known) -> Result<(), String> {
        let Look { place, start, end, .. } = *self;
        let mut found = self.found.iter();
        if let Some((offset, number)) = known.records(start..end).find(|known| found.next() != Some(known)) {
            return Err(format!("I1: record {number} at {offset} of {place:?} is gone"));
        }
        match self.found.len() as i64 == end - start {
            true => Ok(()),
            false => Err(format!("I4: {place:?} has {} records from {start} to {end}", self.found.len())),
        }
    }

    /// I80: the last record of every key stays.
    fn latest_per_key(&self, known: &Known) -> Result<(), String> {
        let is_gone = |standing: &Standing| self.found.binary_search(standing).is_err();
        match known.latest(self.start..self.end).find(is_gone) {
            Some((offset, number)) => {
                let place = self.place;
                Err(format!("I80: record {number} at {offset} of {place:?}, the last of its key, is gone"))
            }
            None => Ok(()),
        }
    }

    /// I5: the records of an idempotent producer stand in the order in which they were sent, once each, none left out.
    fn in_order(&self, sent: &[Sent], known: &mut Known) -> Result<(), String> {
        if self.start > known.ordered_to {
            // What stood between has gone: the order begins anew.
            known.last_of.clear();
        }
        let first = self.found.partition_point(|(offset, _)| *offset < known.ordered_to);
        for (offset, number) in &self.found[first..] {
            let one = &sent[*number as usize];
            let Some(producer) = one.producer else { continue };
            let before = known.last_of.insert(producer, *number);
            if before.is_some() && before != one.before {
                let what = format!("record {number} stands behind {before:?}, but was sent behind {:?}", one.before);
                return Err(format!("I5: at {offset} of {:?} {what}", self.place));
            }
        }
        known.ordered_to = self.end;
        Ok(())
    }
}
