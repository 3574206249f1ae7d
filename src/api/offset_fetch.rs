//! OffsetFetch, versions 1 to 9: how far groups have read.
//!
//! One group up to version 7, many from 8 on. From 2 on null instead of topics means all, and the answer has an error of
//! its own (before, each partition carries it); 5 brings the leader epoch, 7 asks for stable offsets only, which all are
//! here while no transaction commits offsets; 9 brings the member of the newer group protocol, which is not looked at. A
//! group or partition without a commit is -1, not an error. Not yet: version 10, which names topics by id.

use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{OffsetFetchRequest, OffsetFetchResponse};

use super::{Context, Reply, text};
use crate::state::group::GroupInput;
use crate::types::ErrorCode;

const LAST_SINGLE_VERSION: i16 = 7;
/// Before this an error stands at each partition.
const GROUP_ERROR_SINCE: i16 = 2;

pub async fn handle(ctx: &mut Context<'_>, request: OffsetFetchRequest) -> Reply<OffsetFetchResponse> {
    let version = ctx.version;
    let mut asked = Vec::new();
    let image = ctx.broker.image();
    for mut group in lift(request, version) {
        // What was committed for a deleted topic is not for a new one of its name (I22).
        for topic in group.topics.iter_mut().flatten() {
            topic.topic_id = image.topic(&topic.name).map_or_else(Default::default, |known| known.id.0);
        }
        let group_id = group.group_id.to_string();
        let at_each_partition = if version < GROUP_ERROR_SINCE { group.topics.clone() } else { None };
        let answer = ctx.ask_group(&group_id, GroupInput::OffsetFetch { request: group.clone() }).await;
        asked.push((group, at_each_partition, answer));
    }
    Reply::Later(Box::pin(async move {
        let mut groups = Vec::with_capacity(asked.len());
        for (group, at_each_partition, answer) in asked {
            groups.push(match answer.await {
                Ok(answer) => answer.offset_fetch(),
                Err(code) => refused(&group, at_each_partition, code),
            });
        }
        lower(groups, version)
    }))
}

fn lift(request: OffsetFetchRequest, version: i16) -> Vec<OffsetFetchRequestGroup> {
    if version > LAST_SINGLE_VERSION {
        return request.groups;
    }
    let topics = request.topics.map(|topics| {
        let lifted = topics.into_iter().map(|topic| {
            OffsetFetchRequestTopics::default()
                .with_name(topic.name)
                .with_partition_indexes(topic.partition_indexes)
        });
        lifted.collect()
    });
    vec![OffsetFetchRequestGroup::default().with_group_id(request.group_id).with_topics(topics)]
}

fn refused(
    group: &OffsetFetchRequestGroup,
    at_each_partition: Option<Vec<OffsetFetchRequestTopics>>,
    code: ErrorCode,
) -> OffsetFetchResponseGroup {
    let partition = |index: &i32| {
        OffsetFetchResponsePartitions::default()
            .with_partition_index(*index)
            .with_committed_offset(-1)
            .with_metadata(Some(text("")))
            .with_error_code(code.code())
    };
    let topics = at_each_partition.unwrap_or_default().into_iter().map(|topic| {
        OffsetFetchResponseTopics::default()
            .with_partitions(topic.partition_indexes.iter().map(partition).collect())
            .with_name(topic.name)
    });
    OffsetFetchResponseGroup::default()
        .with_group_id(group.group_id.clone())
        .with_topics(topics.collect())
        .with_error_code(code.code())
}

fn lower(mut groups: Vec<OffsetFetchResponseGroup>, version: i16) -> OffsetFetchResponse {
    // Ids are for version 10.
    groups.iter_mut().flat_map(|group| &mut group.topics).for_each(|topic| topic.topic_id = Default::default());
    if version > LAST_SINGLE_VERSION {
        return OffsetFetchResponse::default().with_groups(groups);
    }
    let partition = |partition: OffsetFetchResponsePartitions| {
        OffsetFetchResponsePartition::default()
            .with_partition_index(partition.partition_index)
            .with_committed_offset(partition.committed_offset)
            .with_committed_leader_epoch(partition.committed_leader_epoch)
            .with_metadata(partition.metadata)
            .with_error_code(partition.error_code)
    };
    let topic = |topic: OffsetFetchResponseTopics| {
        OffsetFetchResponseTopic::default()
            .with_name(topic.name)
            .with_partitions(topic.partitions.into_iter().map(partition).collect())
    };
    let mut response = OffsetFetchResponse::default();
    for group in groups {
        response.error_code = if version >= GROUP_ERROR_SINCE { group.error_code } else { 0 };
        response.topics = group.topics.into_iter().map(topic).collect();
    }
    response
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
    use kafka_protocol::messages::{GroupId, TopicName};

    use super::*;
    use crate::api::tests::encodes;

    fn request() -> OffsetFetchRequest {
        let topic = OffsetFetchRequestTopic::default()
            .with_name(TopicName(text("t")))
            .with_partition_indexes(vec![0, 1]);
        OffsetFetchRequest::default().with_group_id(GroupId(text("g"))).with_topics(Some(vec![topic]))
    }

    #[test]
    fn every_version_carries_every_answer() {
        let partition = OffsetFetchResponsePartitions::default()
            .with_partition_index(1)
            .with_committed_offset(5)
            .with_committed_leader_epoch(3)
            .with_metadata(Some(text("m")));
        let topic = OffsetFetchResponseTopics::default()
            .with_name(TopicName(text("t")))
            .with_topic_id(uuid::Uuid::from_u128(1))
            .with_partitions(vec![partition]);
        let found = OffsetFetchResponseGroup::default().with_group_id(GroupId(text("g"))).with_topics(vec![topic]);
        for version in 1..=9 {
            let answer = lower(vec![found.clone()], version);
            encodes(&answer, version);
            if version <= LAST_SINGLE_VERSION {
                assert_eq!(answer.topics[0].partitions[0].committed_offset, 5);
            }
        }
    }

    #[test]
    fn an_error_stands_where_its_version_has_a_place_for_it() {
        for version in 1..=9 {
            let group = lift(request(), version.min(LAST_SINGLE_VERSION)).remove(0);
            let topics = if version < GROUP_ERROR_SINCE { group.topics.clone() } else { None };
            let answer = lower(vec![refused(&group, topics, ErrorCode::NotCoordinator)], version);
            encodes(&answer, version);
            match version {
                1 => assert!(answer.topics[0].partitions.iter().all(|partition| partition.error_code == 16)),
                2..=LAST_SINGLE_VERSION => assert_eq!((answer.error_code, answer.topics.len()), (16, 0)),
                _ => assert_eq!(answer.groups[0].error_code, 16),
            }
        }
    }
}
