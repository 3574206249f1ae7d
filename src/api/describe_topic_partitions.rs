//! DescribeTopicPartitions, version 0: topics page by page, in the order of their names.
//!
//! At most as many partitions as the client and `max.request.partition.size.limit` allow; where the page ends stands in the
//! cursor, with which the client asks for the next. An empty list means all topics. A request that cannot be right (a
//! negative cursor, a cursor outside the list) has no field for its error: like Kafka, every topic it names gets it.

use std::sync::Arc;

use kafka_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use kafka_protocol::messages::{self as m, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse};

use super::metadata::{ALL_TOPIC_OPERATIONS, NO_OPERATIONS};
use super::{Context, Reply, text};
use crate::state::metadata::{Image, PartitionInfo, Topic, is_internal};
use crate::types::{ErrorCode, TopicName};

pub async fn handle(
    ctx: &mut Context<'_>,
    request: DescribeTopicPartitionsRequest,
) -> Reply<DescribeTopicPartitionsResponse> {
    let most = ctx.broker.settings.controller.max_request_partitions;
    Reply::Now(respond(&ctx.broker.image(), &request, most))
}

fn respond(image: &Image, request: &DescribeTopicPartitionsRequest, most: usize) -> DescribeTopicPartitionsResponse {
    let mut response = DescribeTopicPartitionsResponse::default();
    let from = request.cursor.as_ref().map_or("", |cursor| cursor.topic_name.0.as_str());
    let listed = request.topics.iter().any(|topic| topic.name.0.as_str() == from);
    let first = request.cursor.as_ref().map_or(0, |cursor| cursor.partition_index);
    let Ok(first) = usize::try_from(first) else { return refused(request) };
    if request.cursor.is_some() && !request.topics.is_empty() && !listed {
        return refused(request);
    }
    let asked = usize::try_from(request.response_partition_limit).unwrap_or(0);
    let mut left = asked.min(most).max(1);
    // Each topic has a partition or more, but for the cursor's, of which none may be left.
    for (name, topic) in wanted(image, request, from, left + 2) {
        if left == 0 {
            response.next_cursor = Some(cursor(&name, 0));
            break;
        }
        let Some(topic) = topic else {
            response.topics.push(missing(&name));
            continue;
        };
        let first = if name.as_str() == from { first.min(topic.partitions.len()) } else { 0 };
        let end = topic.partitions.len().min(first + left);
        left -= end - first;
        response.topics.push(found(&topic, first..end));
        if end < topic.partitions.len() {
            response.next_cursor = Some(cursor(&name, end));
            break;
        }
    }
    response
}

/// Every topic that was named, with the error of the request.
fn refused(request: &DescribeTopicPartitionsRequest) -> DescribeTopicPartitionsResponse {
    let topics = request.topics.iter().map(|topic| {
        DescribeTopicPartitionsResponseTopic::default()
            .with_error_code(ErrorCode::InvalidRequest.code())
            .with_name(Some(m::TopicName(text(&*topic.name.0))))
            .with_topic_authorized_operations(NO_OPERATIONS)
    });
    DescribeTopicPartitionsResponse::default().with_topics(topics.collect())
}

/// The topics to be told, by name, from the cursor's on; of all topics no more than a page can hold.
fn wanted(
    image: &Image,
    request: &DescribeTopicPartitionsRequest,
    from: &str,
    most: usize,
) -> Vec<(TopicName, Option<Arc<Topic>>)> {
    if request.topics.is_empty() {
        let topics = image.topics_from(from).take(most);
        return topics.map(|topic| (topic.name.clone(), Some(topic.clone()))).collect();
    }
    let mut names: Vec<TopicName> = request.topics.iter().map(|topic| topic.name.0.as_str().into()).collect();
    names.retain(|name| name.as_str() >= from);
    names.sort();
    names.dedup();
    names.into_iter().map(|name| (name.clone(), image.topic(name.as_str()).cloned())).collect()
}

fn cursor(name: &TopicName, partition: usize) -> Cursor {
    Cursor::default().with_topic_name(m::TopicName(text(name.as_str()))).with_partition_index(partition as i32)
}

fn missing(name: &TopicName) -> DescribeTopicPartitionsResponseTopic {
    let code = match TopicName::check(name.as_str()) {
        Ok(()) => ErrorCode::UnknownTopicOrPartition,
        Err(_) => ErrorCode::InvalidTopicException,
    };
    DescribeTopicPartitionsResponseTopic::default()
        .with_error_code(code.code())
        .with_name(Some(m::TopicName(text(name.as_str()))))
        .with_is_internal(is_internal(name.as_str()))
        .with_topic_authorized_operations(ALL_TOPIC_OPERATIONS)
}

fn found(topic: &Topic, partitions: std::ops::Range<usize>) -> DescribeTopicPartitionsResponseTopic {
    let first = partitions.start as i32;
    let partitions = topic.partitions[partitions].iter().zip(first..).map(|(info, index)| told(index, info));
    DescribeTopicPartitionsResponseTopic::default()
        .with_name(Some(m::TopicName(text(topic.name.as_str()))))
        .with_topic_id(topic.id.0)
        .with_is_internal(topic.internal)
        .with_partitions(partitions.collect())
        .with_topic_authorized_operations(ALL_TOPIC_OPERATIONS)
}

fn told(index: i32, info: &PartitionInfo) -> DescribeTopicPartitionsResponsePartition {
    DescribeTopicPartitionsResponsePartition::default()
        .with_partition_index(index)
        .with_leader_id(m::BrokerId(info.leader.0))
        .with_leader_epoch(info.leader_epoch.0)
        .with_replica_nodes(info.replicas.iter().map(|id| m::BrokerId(id.0)).collect())
        .with_isr_nodes(info.isr.iter().map(|id| m::BrokerId(id.0)).collect())
        .with_eligible_leader_replicas(Some(Vec::new()))
        .with_last_known_elr(Some(Vec::new()))
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::describe_topic_partitions_request::{self as request, TopicRequest};
    use uuid::Uuid;

    use super::super::check_versions;
    use super::*;
    use crate::state::Machine;
    use crate::state::metadata::{Metadata, MetadataRecord, MetadataSettings};
    use crate::types::{BrokerId, LeaderEpoch, TopicId};

    fn image() -> Image {
        let mut machine = Metadata::new(MetadataSettings::new("cluster"));
        for (name, count, id) in [("a", 1, 1), ("b", 3, 2), ("c", 2, 3)] {
            let topic = TopicId(Uuid::from_u128(id));
            machine.apply(&MetadataRecord::Topic { name: name.into(), id: topic });
            for partition in 0..count {
                let info = PartitionInfo {
                    leader: BrokerId(1),
                    leader_epoch: LeaderEpoch(0),
                    replicas: vec![BrokerId(1)],
                    isr: vec![BrokerId(1)],
                    directories: vec![],
                    partition_epoch: 0,
                };
                machine.apply(&MetadataRecord::Partition { topic, partition, info });
            }
        }
        machine.image().clone()
    }

    type Page = (Vec<(String, i16, Vec<i32>)>, Option<(String, i32)>);

    fn ask(topics: &[&str], limit: i32, cursor: Option<(&str, i32)>) -> Page {
        let request = DescribeTopicPartitionsRequest::default()
            .with_topics(topics.iter().map(|name| TopicRequest::default().with_name(m::TopicName(text(name)))).collect())
            .with_response_partition_limit(limit)
            .with_cursor(cursor.map(|(name, partition)| {
                request::Cursor::default().with_topic_name(m::TopicName(text(name))).with_partition_index(partition)
            }));
        let response = respond(&image(), &request, 2000);
        check_versions(response.clone(), 0..=0);
        let topics = response.topics.into_iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|partition| partition.partition_index).collect();
            (topic.name.unwrap().to_string(), topic.error_code, partitions)
        });
        (topics.collect(), response.next_cursor.map(|cursor| (cursor.topic_name.to_string(), cursor.partition_index)))
    }

    fn topic(name: &str, code: i16, partitions: &[i32]) -> (String, i16, Vec<i32>) {
        (name.to_string(), code, partitions.to_vec())
    }

    #[test]
    fn pages_follow_each_other_without_gap_or_repetition() {
        assert_eq!(ask(&[], 2, None), (vec![topic("a", 0, &[0]), topic("b", 0, &[0])], Some(("b".into(), 1))));
        assert_eq!(ask(&[], 2, Some(("b", 1))), (vec![topic("b", 0, &[1, 2])], Some(("c".into(), 0))));
        assert_eq!(ask(&[], 2, Some(("c", 0))), (vec![topic("c", 0, &[0, 1])], None));
        // A cursor on a topic that has gone since goes on behind it.
        assert_eq!(ask(&[], 9, Some(("bb", 1))), (vec![topic("c", 0, &[0, 1])], None));
    }

    #[test]
    fn topics_come_by_name_once_and_unknown_ones_with_their_error() {
        assert_eq!(
            ask(&["nope", "c", "a", "a", "b d"], 2000, None),
            (vec![topic("a", 0, &[0]), topic("b d", 17, &[]), topic("c", 0, &[0, 1]), topic("nope", 3, &[])], None)
        );
        assert_eq!(ask(&["a", "nope"], 1, None), (vec![topic("a", 0, &[0])], Some(("nope".into(), 0))));
    }

    /// As Kafka 4.3.1 answers the same requests.
    #[test]
    fn odd_pages_are_answered_as_kafka_does() {
        assert_eq!(ask(&["a"], 0, None), (vec![topic("a", 0, &[0])], None));
        assert_eq!(ask(&[], 2, Some(("c", 99))), (vec![topic("c", 0, &[])], None));
        assert_eq!(ask(&[], 2, Some(("c", -1))), (vec![], None));
        assert_eq!(ask(&["a"], 2, Some(("b", 0))), (vec![topic("a", 42, &[])], None));
        assert_eq!(ask(&["a", "b"], 2, Some(("b", -1))), (vec![topic("a", 42, &[]), topic("b", 42, &[])], None));
    }
}
