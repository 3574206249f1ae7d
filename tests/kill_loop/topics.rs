//! The topics: those of the run, made once, and those of a worker that makes and removes topics all the time. An acknowledged
//! change is there in every later life.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kafka_protocol::messages as m;

use crate::check::Fault;
use crate::client::{Connection, Lost, code, text, topic};
use crate::dice::Dice;
use crate::stage::{COMPACTED, PLACES, Stage};

/// How many names the worker plays with.
const NAMES: usize = 12;

/// Makes the topics of the run; false when the broker refuses one.
pub fn create_all(stage: &Stage) -> bool {
    let mut all_there = true;
    stage.through_all_lives("topics", |connection| {
        let names: BTreeSet<&str> = PLACES.iter().map(|(name, _)| *name).collect();
        for name in names {
            let partitions = PLACES.iter().filter(|place| place.0 == name).count() as i32;
            let code = create(connection, name, partitions)?;
            if code != 0 && code != code::TOPIC_ALREADY_EXISTS {
                stage.find(Fault::Unexpected, format!("CreateTopics of {name} answers {code}"));
                all_there = false;
            }
        }
        Ok(())
    });
    all_there
}

pub fn create(connection: &mut Connection, name: &str, partitions: i32) -> Result<i16, Lost> {
    let is_compacted = name == PLACES[usize::from(COMPACTED)].0;
    let policy = m::create_topics_request::CreatableTopicConfig::default()
        .with_name(text("cleanup.policy"))
        .with_value(Some(text("compact")));
    let configs = if is_compacted { vec![policy] } else { Vec::new() };
    let wanted = m::create_topics_request::CreatableTopic::default()
        .with_name(topic(name))
        .with_num_partitions(partitions)
        .with_replication_factor(1)
        .with_configs(configs);
    let request = m::CreateTopicsRequest::default().with_topics(vec![wanted]).with_timeout_ms(20_000);
    Ok(connection.ask(5, &request)?.topics[0].error_code)
}

pub fn delete(connection: &mut Connection, name: &str) -> Result<i16, Lost> {
    let request = m::DeleteTopicsRequest::default().with_topic_names(vec![topic(name)]).with_timeout_ms(20_000);
    Ok(connection.ask(4, &request)?.responses[0].error_code)
}

/// Makes and removes topics through all lives.
pub fn changer(stage: &Stage) {
    let mut dice = Dice::named(stage.seed, 0x7000);
    let names: Vec<String> = (0..NAMES).map(|number| format!("passing-{number}")).collect();
    stage.through_all_lives("changer of topics", |connection| {
        check_topics(stage, connection)?;
        while !stage.is_finishing() {
            let name = &names[dice.index(NAMES)];
            // What it was is known, or else either answer is right.
            let before = stage.topics.certain().get(name).copied();
            let makes = !before.unwrap_or_else(|| dice.chance(50));
            stage.topics.is_open(name);
            let code = if makes { create(connection, name, 2)? } else { delete(connection, name)? };
            let already = if makes { code::TOPIC_ALREADY_EXISTS } else { code::UNKNOWN_TOPIC_OR_PARTITION };
            match code {
                0 => {
                    stage.topics.is_certain(name, makes);
                    stage.counts.topics_changed.fetch_add(1, Ordering::Relaxed);
                }
                code if code == already && before.is_none() => stage.topics.is_certain(name, makes),
                // Kafka has no broker to place a topic on until its own has registered anew.
                code::INVALID_REPLICATION_FACTOR if stage.is_kafka => {}
                code => {
                    let story = format!("{name}, there: {before:?}, is to be there: {makes}: answers {code}");
                    stage.find(Fault::Forgotten, story);
                }
            }
            stage.pause(Duration::from_millis(dice.below(150)));
        }
        Ok(())
    });
}

/// Compares what the broker lists with what is certain. Nobody else may change topics meanwhile.
pub fn check_topics(stage: &Stage, connection: &mut Connection) -> Result<(), Lost> {
    let request = m::MetadataRequest::default().with_topics(None);
    let listed: BTreeSet<String> = connection
        .ask(9, &request)?
        .topics
        .into_iter()
        .filter(|topic| topic.error_code == 0)
        .filter_map(|topic| topic.name.map(|name| name.0.to_string()))
        .collect();
    // Kafka answers before it has read its metadata to the end.
    for (name, exists) in stage.topics.certain().into_iter().filter(|_| !stage.is_kafka) {
        if listed.contains(&name) != exists {
            let story = format!("topic {name} is listed: {}, and should be: {exists}", !exists);
            stage.find(Fault::Forgotten, story);
        }
    }
    Ok(())
}
