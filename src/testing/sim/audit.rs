//! Makes the topics of a run, and looks through everything that stands in them: what was acknowledged is there, nothing
//! else is, in order and without gaps.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::messages as m;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};

use super::caller::{Caller, Lost, text, topic_name};
use super::history::{Fate, History, Place};
use super::life::Life;
use super::reader;

const TOPIC_ALREADY_EXISTS: i16 = 36;
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
    let shown = life.world.history(|history| Ok(history.place(place).end)).unwrap_or(0);
    let (code, start, _) = list_offset(caller, &topic.name, place.1, EARLIEST).await.map_err(ask)?;
    let (other, end, _) = list_offset(caller, &topic.name, place.1, LATEST).await.map_err(ask)?;
    if code != 0 || other != 0 {
        return Err(format!("ListOffsets says {code} and {other}"));
    }
    if end < shown {
        life.world.violated(format!("I1/I6: {place:?} ends at {end}, but {shown} was acknowledged or shown"));
    }
    let mut found = BTreeMap::new();
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
        found.extend(read.records.iter().copied());
        at = read.next;
    }
    // What came meanwhile is for the next time.
    found.split_off(&end);
    // Asked before: the history stands behind the lock of the world.
    let latest_wall = life.wall_at_most_ms();
    life.world.history(|history| check(history, place, &found, start, end, &topic, latest_wall));
    Ok(())
}

fn check(
    history: &mut History,
    place: Place,
    found: &BTreeMap<i64, u64>,
    start: i64,
    end: i64,
    topic: &super::plan::TopicPlan,
    latest_wall: i64,
) -> Result<(), String> {
    let known = history.place(place).clone();
    if start < known.start {
        return Err(format!("I21: the log start of {place:?} fell from {} to {start}", known.start));
    }
    history.place(place).start = start;
    check_start(history, place, &known.records, start, topic, latest_wall)?;
    if topic.compacted {
        return latest_per_key(history, place, &known.records, found, start, end);
    }
    if found.len() as i64 != end - start {
        return Err(format!("I4: {place:?} has {} records from {start} to {end}", found.len()));
    }
    let missing = known.records.range(start..end.max(start)).find(|(offset, number)| found.get(offset) != Some(number));
    if let Some((offset, number)) = missing {
        return Err(format!("I1: record {number} at {offset} of {place:?} is gone"));
    }
    in_order(history, place, found)
}

/// What went from the front must have been allowed to go.
fn check_start(
    history: &History,
    place: Place,
    records: &BTreeMap<i64, u64>,
    start: i64,
    topic: &super::plan::TopicPlan,
    latest_wall: i64,
) -> Result<(), String> {
    let deletable_to = history.places.get(&place).map_or(0, |known| known.deletable_to);
    for (offset, number) in records.range(deletable_to.min(start)..start) {
        let timestamp = history.sent[*number as usize].timestamp;
        let may_go = topic.retention_ms.is_some_and(|ms| timestamp.saturating_add(ms as i64) <= latest_wall);
        if !may_go && !topic.compacted {
            return Err(format!("I20/I24: record {number} at {offset} of {place:?} went before its time"));
        }
    }
    Ok(())
}

/// I80: the last record of every key stays.
fn latest_per_key(
    history: &History,
    place: Place,
    records: &BTreeMap<i64, u64>,
    found: &BTreeMap<i64, u64>,
    start: i64,
    end: i64,
) -> Result<(), String> {
    let mut latest = BTreeMap::new();
    for (offset, number) in records.range(start..) {
        latest.insert(history.sent[*number as usize].key, (*offset, *number));
    }
    match latest.values().find(|(offset, number)| *offset < end && found.get(offset) != Some(number)) {
        Some((offset, number)) => {
            Err(format!("I80: record {number} at {offset} of {place:?}, the last of its key, is gone"))
        }
        None => Ok(()),
    }
}

/// I5: the records of an idempotent producer stand in the order in which they were sent, once each, none left out before
/// one that was acknowledged.
fn in_order(history: &History, place: Place, found: &BTreeMap<i64, u64>) -> Result<(), String> {
    let mut last: BTreeMap<u32, u64> = BTreeMap::new();
    for (offset, number) in found {
        let sent = &history.sent[*number as usize];
        let Some(producer) = sent.producer else { continue };
        if let Some(before) = last.insert(producer, *number)
            && before >= *number
        {
            return Err(format!("I5: at {offset} of {place:?} record {number} stands behind {before}"));
        }
    }
    let lost = history.sent.iter().enumerate().find(|(_, sent)| {
        sent.place == place && sent.fate == Fate::Acked && sent.offset.is_none_or(|offset| offset < 0)
    });
    match lost {
        Some((number, _)) => Err(format!("I1: record {number} was acknowledged without a place")),
        None => Ok(()),
    }
}
