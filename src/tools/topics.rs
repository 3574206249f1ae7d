//! Topics as the tools see them: what a cluster has, described the way its version allows, and the settings that differ
//! from the defaults.

use std::collections::BTreeMap;

use kafka_protocol::messages as m;
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_topic_partitions_request::{Cursor, TopicRequest};
use kafka_protocol::messages::describe_topic_partitions_response::DescribeTopicPartitionsResponsePartition;
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::java;
use crate::client::{Client, Error};
use crate::types::base64_id;

pub struct Topic {
    pub name: String,
    pub id: Uuid,
    pub is_internal: bool,
    pub partitions: Vec<Partition>,
}

#[derive(Clone)]
pub struct Partition {
    pub index: i32,
    pub leader: i32,
    pub replicas: Vec<i32>,
    pub isr: Vec<i32>,
    /// Eligible leader replicas and the last known ones; `None` where the broker does not say.
    pub elr: Option<Vec<i32>>,
    pub last_known_elr: Option<Vec<i32>>,
}

impl Topic {
    /// All topics, by name.
    pub fn all(client: &mut Client) -> Result<Vec<Topic>, Error> {
        let mut topics: Vec<Topic> = client.partitions(None)?.into_iter().map(Topic::from_metadata).collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    fn from_metadata(topic: m::metadata_response::MetadataResponseTopic) -> Topic {
        let partition = |found: m::metadata_response::MetadataResponsePartition| Partition {
            index: found.partition_index,
            leader: found.leader_id.0,
            replicas: ids(&found.replica_nodes),
            isr: ids(&found.isr_nodes),
            elr: None,
            last_known_elr: None,
        };
        let mut partitions: Vec<Partition> = topic.partitions.into_iter().map(partition).collect();
        partitions.sort_by_key(|partition| partition.index);
        Topic {
            name: topic.name.map(|name| name.0.to_string()).unwrap_or_default(),
            id: topic.topic_id,
            is_internal: topic.is_internal,
            partitions,
        }
    }

    /// The first line that `kafka-topics --describe` prints.
    pub fn summary(&self, configs: &[(String, String)]) -> String {
        let configs: Vec<String> = configs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!(
            "Topic: {}\tTopicId: {}\tPartitionCount: {}\tReplicationFactor: {}\tConfigs: {}",
            self.name,
            base64_id(self.id),
            self.partitions.len(),
            self.partitions.first().map_or(0, |partition| partition.replicas.len()),
            configs.join(",")
        )
    }
}

impl Partition {
    pub fn line(&self, topic: &str) -> String {
        let leader = if self.leader < 0 { "none".to_owned() } else { self.leader.to_string() };
        let known = |ids: &Option<Vec<i32>>| ids.as_ref().map_or_else(|| "N/A".to_owned(), |ids| joined(ids));
        format!(
            "\tTopic: {topic}\tPartition: {}\tLeader: {leader}\tReplicas: {}\tIsr: {}\tElr: {}\tLastKnownElr: {}",
            self.index,
            joined(&self.replicas),
            joined(&self.isr),
            known(&self.elr),
            known(&self.last_known_elr)
        )
    }
}

/// Topics with all that the broker can tell: with DescribeTopicPartitions where it has that (Kafka 3.7 and later).
pub fn describe(client: &mut Client, topics: Vec<Topic>) -> Result<Vec<Topic>, Error> {
    let deadline = client.deadline();
    if !client.any(&deadline)?.has::<m::DescribeTopicPartitionsRequest>() {
        return Ok(topics);
    }
    let mut found: BTreeMap<String, Topic> = BTreeMap::new();
    let names: Vec<TopicRequest> =
        topics.iter().map(|topic| TopicRequest::default().with_name(name(&topic.name))).collect();
    let mut request = m::DescribeTopicPartitionsRequest::default()
        .with_topics(names)
        .with_response_partition_limit(2000)
        .with_cursor(None);
    loop {
        let answer = client.ask_any(&request)?;
        for topic in answer.topics.into_iter().filter(|topic| topic.error_code == 0) {
            let Some(name) = topic.name.map(|name| name.0.to_string()) else { continue };
            let partitions = topic.partitions.iter().map(described);
            let empty =
                Topic { name: name.clone(), id: topic.topic_id, is_internal: topic.is_internal, partitions: vec![] };
            found.entry(name).or_insert(empty).partitions.extend(partitions);
        }
        let Some(next) = answer.next_cursor else { break };
        let at = Cursor::default().with_topic_name(next.topic_name).with_partition_index(next.partition_index);
        // A broker that hands the same page out again would keep us for ever.
        if request.cursor.as_ref() == Some(&at) {
            break;
        }
        request.cursor = Some(at);
    }
    Ok(found.into_values().collect())
}

fn described(found: &DescribeTopicPartitionsResponsePartition) -> Partition {
    Partition {
        index: found.partition_index,
        leader: found.leader_id.0,
        replicas: ids(&found.replica_nodes),
        isr: ids(&found.isr_nodes),
        elr: found.eligible_leader_replicas.as_deref().map(ids),
        last_known_elr: found.last_known_elr.as_deref().map(ids),
    }
}

/// The settings of topics that are not at their default, in the order Kafka's tools print them.
pub fn overrides(client: &mut Client, topics: &[String]) -> Result<BTreeMap<String, Vec<(String, String)>>, Error> {
    let resource = |topic: &String| {
        DescribeConfigsResource::default()
            .with_resource_type(TOPIC)
            .with_resource_name(StrBytes::from_string(topic.clone()))
            .with_configuration_keys(None)
    };
    let request = m::DescribeConfigsRequest::default().with_resources(topics.iter().map(resource).collect());
    let answer = client.ask_any(&request)?;
    let mut overrides = BTreeMap::new();
    for result in answer.results {
        Error::check(result.error_code, result.error_message.as_deref())?;
        // The whole map decides on the order, and then the defaults are left out.
        let entries = java::hash_order(result.configs, |entry| &entry.name);
        let changed = entries.iter().filter(|entry| entry.config_source != DEFAULT_CONFIG);
        let pair = |entry: &m::describe_configs_response::DescribeConfigsResourceResult| {
            (entry.name.to_string(), entry.value.as_deref().unwrap_or("null").to_owned())
        };
        overrides.insert(result.resource_name.to_string(), changed.map(pair).collect());
    }
    Ok(overrides)
}

/// `ConfigResource.Type.TOPIC`, `ConfigSource.DEFAULT_CONFIG`.
const TOPIC: i8 = 2;
const DEFAULT_CONFIG: i8 = 5;

/// What `--topic` names: a regular expression that must match the whole name. Kafka takes commas as "or".
pub struct Pattern(regex_lite::Regex);

impl Pattern {
    pub fn new(text: &str) -> Result<Pattern, String> {
        let expression = text.trim().trim_matches(['"', '\'']).replace(',', "|").replace(' ', "");
        regex_lite::Regex::new(&format!("^(?:{expression})$"))
            .map(Pattern)
            .map_err(|error| format!("{text} is an invalid regex: {error}"))
    }

    pub fn matches(&self, name: &str) -> bool {
        self.0.is_match(name)
    }
}

fn name(topic: &str) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_owned()))
}

fn ids(brokers: &[m::BrokerId]) -> Vec<i32> {
    brokers.iter().map(|broker| broker.0).collect()
}

pub fn joined(ids: &[i32]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_whole_names() {
        let matches = |pattern: &str, name: &str| Pattern::new(pattern).unwrap().matches(name);
        assert!(matches("a.*", "alpha") && !matches("a.*", "beta") && !matches("lph", "alpha"));
        assert!(matches("alpha,beta", "beta"));
        assert!(Pattern::new("a(").is_err());
    }
}
