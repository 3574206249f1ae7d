//! Consumer groups from outside: which there are, who is in them, what they have committed.

use std::collections::BTreeMap;

use kafka_protocol::messages as m;
use kafka_protocol::messages::consumer_group_describe_response::Assignment;
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::{GroupId, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::member::read_assignment;
use super::{Broker, Client, Error, TopicPartitions};
use crate::types::ErrorCode;

/// A group as its coordinator describes it.
#[derive(Clone, Debug)]
pub struct Group {
    pub id: String,
    pub coordinator: Option<Broker>,
    /// Kafka's word: `Stable`, `Empty`, …
    pub state: String,
    /// How partitions are handed out; empty where nobody is.
    pub assignor: String,
    /// The group's epoch and that of its assignment, in the protocol of KIP-848.
    pub epochs: Option<(i32, i32)>,
    pub members: Vec<GroupMember>,
}

#[derive(Clone, Debug, Default)]
pub struct GroupMember {
    pub id: String,
    pub instance_id: Option<String>,
    pub host: String,
    pub client_id: String,
    pub assigned: TopicPartitions,
    /// The member's epoch and what it is to have, in the protocol of KIP-848.
    pub target: Option<(i32, TopicPartitions)>,
}

/// Offset and leader epoch (-1 where none was given) per partition.
pub type Committed = BTreeMap<(String, i32), (i64, i32)>;

impl Client {
    /// The groups of all brokers; the filters are passed on as far as the broker knows them.
    pub fn list_groups(&mut self) -> Result<Vec<ListedGroup>, Error> {
        let brokers: Vec<i32> = self.brokers().map(|broker| broker.id).collect();
        let mut groups = Vec::new();
        for broker in brokers {
            let answer = self.ask(broker, &m::ListGroupsRequest::default(), 5)?;
            Error::check(answer.error_code, None)?;
            groups.extend(answer.groups);
        }
        Ok(groups)
    }

    pub fn describe_group(&mut self, id: &str) -> Result<Group, Error> {
        let coordinator = self.coordinator(id, 0)?;
        let mut group = match self.describe_consumer_group(id, coordinator) {
            Err(error) if falls_back(&error) => self.describe_classic_group(id, coordinator)?,
            other => other?,
        };
        group.coordinator = self.broker(coordinator).cloned();
        if group.state == "Dead" {
            let message = format!("Group {id} not found.");
            return Err(Error::Refused { code: ErrorCode::GroupIdNotFound, message: Some(message) });
        }
        Ok(group)
    }

    fn describe_consumer_group(&mut self, id: &str, coordinator: i32) -> Result<Group, Error> {
        let request = m::ConsumerGroupDescribeRequest::default().with_group_ids(vec![group_id(id)]);
        let answer = self.ask(coordinator, &request, 1)?;
        let found = answer.groups.into_iter().next().ok_or_else(|| missing(id))?;
        Error::check(found.error_code, found.error_message.as_deref())?;
        let member = |member: m::consumer_group_describe_response::Member| GroupMember {
            id: member.member_id.to_string(),
            instance_id: member.instance_id.as_ref().map(ToString::to_string),
            host: member.client_host.to_string(),
            client_id: member.client_id.to_string(),
            assigned: by_topic(&member.assignment),
            target: Some((member.member_epoch, by_topic(&member.target_assignment))),
        };
        Ok(Group {
            id: id.to_owned(),
            coordinator: None,
            state: found.group_state.to_string(),
            assignor: found.assignor_name.to_string(),
            epochs: Some((found.group_epoch, found.assignment_epoch)),
            members: found.members.into_iter().map(member).collect(),
        })
    }

    fn describe_classic_group(&mut self, id: &str, coordinator: i32) -> Result<Group, Error> {
        let request = m::DescribeGroupsRequest::default().with_groups(vec![group_id(id)]);
        let answer = self.ask(coordinator, &request, 6)?;
        let found = answer.groups.into_iter().next().ok_or_else(|| missing(id))?;
        Error::check(found.error_code, found.error_message.as_deref())?;
        let mut members = Vec::new();
        for member in found.members {
            members.push(GroupMember {
                id: member.member_id.to_string(),
                instance_id: member.group_instance_id.as_ref().map(ToString::to_string),
                host: member.client_host.to_string(),
                client_id: member.client_id.to_string(),
                assigned: collect(read_assignment(&member.member_assignment)?),
                target: None,
            });
        }
        Ok(Group {
            id: id.to_owned(),
            coordinator: None,
            state: found.group_state.to_string(),
            assignor: found.protocol_data.to_string(),
            epochs: None,
            members,
        })
    }

    /// Everything a group has committed, with the leader epoch or -1.
    pub fn committed(&mut self, id: &str) -> Result<Committed, Error> {
        let coordinator = self.coordinator(id, 0)?;
        let request = m::OffsetFetchRequest::default().with_group_id(group_id(id)).with_topics(None);
        let answer = self.ask(coordinator, &request, 7)?;
        Error::check(answer.error_code, None)?;
        let mut committed = BTreeMap::new();
        for topic in answer.topics {
            for partition in topic.partitions {
                Error::check(partition.error_code, None)?;
                if partition.committed_offset >= 0 {
                    let at = (topic.name.0.to_string(), partition.partition_index);
                    committed.insert(at, (partition.committed_offset, partition.committed_leader_epoch));
                }
            }
        }
        Ok(committed)
    }

    /// Commits for a group from outside of it, which its coordinator allows while nobody is in it.
    pub fn commit_for(&mut self, id: &str, offsets: &BTreeMap<(String, i32), i64>) -> Result<(), Error> {
        let mut topics: BTreeMap<&str, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
        for ((topic, partition), offset) in offsets {
            let partition = OffsetCommitRequestPartition::default()
                .with_partition_index(*partition)
                .with_committed_offset(*offset)
                .with_committed_metadata(Some(StrBytes::default()));
            topics.entry(topic).or_default().push(partition);
        }
        let topic = |(name, partitions): (&str, _)| {
            OffsetCommitRequestTopic::default()
                .with_name(TopicName(StrBytes::from_string(name.to_owned())))
                .with_partitions(partitions)
        };
        let request = m::OffsetCommitRequest::default()
            .with_group_id(group_id(id))
            .with_generation_id_or_member_epoch(-1)
            .with_topics(topics.into_iter().map(topic).collect());
        let coordinator = self.coordinator(id, 0)?;
        let answer = self.ask(coordinator, &request, 8)?;
        let codes = answer.topics.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.error_code);
        codes.into_iter().try_for_each(|code| Error::check(code, None))
    }
}

/// A group of the classic protocol, or a broker that knows no other.
fn falls_back(error: &Error) -> bool {
    matches!(error, Error::Unsupported { .. })
        || matches!(error.code(), Some(ErrorCode::GroupIdNotFound | ErrorCode::UnsupportedVersion))
}

fn missing(id: &str) -> Error {
    Error::Malformed { address: format!("the coordinator of {id}"), reason: "an answer without the group".to_owned() }
}

fn group_id(id: &str) -> GroupId {
    GroupId(StrBytes::from_string(id.to_owned()))
}

fn by_topic(assignment: &Assignment) -> TopicPartitions {
    let mut topics = TopicPartitions::new();
    for topic in &assignment.topic_partitions {
        let mut partitions = topic.partitions.clone();
        partitions.sort_unstable();
        topics.insert(topic.topic_name.0.to_string(), partitions);
    }
    topics
}

fn collect(assigned: impl IntoIterator<Item = (String, i32)>) -> TopicPartitions {
    let mut topics = TopicPartitions::new();
    for (topic, partition) in assigned {
        topics.entry(topic).or_default().push(partition);
    }
    topics
}
