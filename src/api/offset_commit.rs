//! OffsetCommit, versions 2 to 9: a group notes how far it has read.
//!
//! Up to version 4 with a retention time for each commit, which is kept; 6 brings the leader epoch, 7 static members,
//! 9 the error GROUP_ID_NOT_FOUND (ILLEGAL_GENERATION before). Topics and partitions are looked up here, one by one; the
//! rest is the group's to decide. If none is known, the group is not asked at all, as in Kafka. Not yet: version 10,
//! which names topics by id.

use kafka_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use kafka_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};

use super::{Context, Reply};
use crate::state::group::GroupInput;
use crate::state::metadata::Image;
use crate::types::ErrorCode;

/// Clients understand GROUP_ID_NOT_FOUND from here on.
const UNKNOWN_GROUP_SINCE: i16 = 9;

pub async fn handle(ctx: &mut Context<'_>, mut request: OffsetCommitRequest) -> Reply<OffsetCommitResponse> {
    let mut response = look_up(&ctx.broker.image(), &mut request);
    if request.topics.is_empty() {
        return Reply::Now(response);
    }
    let group_id = request.group_id.to_string();
    let answer = ctx
        .ask_group(
            &group_id,
            GroupInput::OffsetCommit {
                connection: ctx.session.peer.connection,
                request,
                knows_unknown_group: ctx.version >= UNKNOWN_GROUP_SINCE,
            },
        )
        .await;
    Reply::Later(Box::pin(async move {
        merge(&mut response, answer.await.map(|answer| answer.offset_commit()));
        response
    }))
}

/// Takes what does not exist out of the request; the answer has an entry for everything, in the order asked, but for topics
/// of which nothing was said.
fn look_up(image: &Image, request: &mut OffsetCommitRequest) -> OffsetCommitResponse {
    let mut response = OffsetCommitResponse::default();
    request.topics.retain(|topic| !topic.partitions.is_empty());
    for topic in &mut request.topics {
        let known = image.topic(&topic.name);
        let partition_count = known.map_or(0, |known| known.partitions.len());
        let exists = |index: i32| usize::try_from(index).is_ok_and(|index| index < partition_count);
        let answer = |index: i32| {
            let code = if exists(index) { ErrorCode::None } else { ErrorCode::UnknownTopicOrPartition };
            OffsetCommitResponsePartition::default().with_partition_index(index).with_error_code(code.code())
        };
        let partitions = topic.partitions.iter().map(|partition| answer(partition.partition_index)).collect();
        response
            .topics
            .push(OffsetCommitResponseTopic::default().with_name(topic.name.clone()).with_partitions(partitions));
        topic.partitions.retain(|partition| exists(partition.partition_index));
        topic.topic_id = known.map_or_else(Default::default, |known| known.id.0);
    }
    request.topics.retain(|topic| !topic.partitions.is_empty());
    response
}

/// Fills in what the group said of the partitions that were left, which it answers in the order asked.
fn merge(response: &mut OffsetCommitResponse, answer: Result<OffsetCommitResponse, ErrorCode>) {
    let (group_code, topics) = match answer {
        Ok(answer) => (ErrorCode::None, answer.topics),
        Err(code) => (code, Vec::new()),
    };
    let mut codes = topics.into_iter().flat_map(|topic| topic.partitions).map(|partition| partition.error_code);
    let asked = response.topics.iter_mut().flat_map(|topic| &mut topic.partitions);
    for partition in asked.filter(|partition| partition.error_code == 0) {
        partition.error_code = codes.next().unwrap_or(group_code.code());
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::TopicName;

    use super::*;
    use crate::api::tests::encodes;
    use crate::api::text;

    fn partition(index: i32, code: i16) -> OffsetCommitResponsePartition {
        OffsetCommitResponsePartition::default().with_partition_index(index).with_error_code(code)
    }

    fn topic(name: &str, partitions: Vec<OffsetCommitResponsePartition>) -> OffsetCommitResponseTopic {
        OffsetCommitResponseTopic::default().with_name(TopicName(text(name))).with_partitions(partitions)
    }

    fn codes(response: &OffsetCommitResponse) -> Vec<i16> {
        response.topics.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.error_code).collect()
    }

    #[test]
    fn what_the_group_said_stands_beside_what_does_not_exist() {
        let looked_up = OffsetCommitResponse::default().with_topics(vec![
            topic("t", vec![partition(0, 0), partition(9, 3), partition(1, 0)]),
            topic("ghost", vec![partition(0, 3)]),
            topic("u", vec![partition(0, 0)]),
        ]);
        let said = OffsetCommitResponse::default()
            .with_topics(vec![topic("t", vec![partition(0, 0), partition(1, 12)]), topic("u", vec![partition(0, 0)])]);
        let mut response = looked_up.clone();
        merge(&mut response, Ok(said));
        assert_eq!(codes(&response), [0, 3, 12, 3, 0]);
        for version in 2..=9 {
            encodes(&response, version);
        }
        let mut response = looked_up;
        merge(&mut response, Err(ErrorCode::NotCoordinator));
        assert_eq!(codes(&response), [16, 3, 16, 3, 16]);
    }
}
