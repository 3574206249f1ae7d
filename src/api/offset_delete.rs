//! OffsetDelete, version 0: a group forgets how far it read of some partitions.
//!
//! Topics and partitions are looked up here; whether the group still uses a topic is the group's to say.

use kafka_protocol::messages::offset_delete_response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic};
use kafka_protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse};

use super::{Context, Reply};
use crate::state::group::GroupInput;
use crate::state::metadata::Image;
use crate::types::ErrorCode;

pub async fn handle(ctx: &mut Context<'_>, mut request: OffsetDeleteRequest) -> Reply<OffsetDeleteResponse> {
    let looked_up = look_up(&ctx.broker.image(), &mut request);
    let group_id = request.group_id.to_string();
    let answer = ctx.ask_group(&group_id, GroupInput::OffsetDelete { request }).await;
    Reply::Later(Box::pin(async move {
        let refused = |code: ErrorCode| OffsetDeleteResponse::default().with_error_code(code.code());
        merge(looked_up, answer.await.map_or_else(refused, |answer| answer.offset_delete()))
    }))
}

/// Takes what does not exist out of the request; the answer has an entry for everything, in the order asked.
fn look_up(image: &Image, request: &mut OffsetDeleteRequest) -> OffsetDeleteResponse {
    let mut response = OffsetDeleteResponse::default();
    for topic in &mut request.topics {
        let partition_count = image.topic(&topic.name).map_or(0, |known| known.partitions.len());
        let exists = |index: i32| usize::try_from(index).is_ok_and(|index| index < partition_count);
        let answer = |index: i32| {
            let code = if exists(index) { ErrorCode::None } else { ErrorCode::UnknownTopicOrPartition };
            OffsetDeleteResponsePartition::default().with_partition_index(index).with_error_code(code.code())
        };
        let partitions = topic.partitions.iter().map(|partition| answer(partition.partition_index)).collect();
        response
            .topics
            .push(OffsetDeleteResponseTopic::default().with_name(topic.name.clone()).with_partitions(partitions));
        topic.partitions.retain(|partition| exists(partition.partition_index));
    }
    request.topics.retain(|topic| !topic.partitions.is_empty());
    response
}

/// An error of the whole group stands alone; else the group's word is filled in, in the order asked.
fn merge(mut response: OffsetDeleteResponse, answer: OffsetDeleteResponse) -> OffsetDeleteResponse {
    if answer.error_code != 0 {
        return answer;
    }
    let mut codes = answer.topics.into_iter().flat_map(|topic| topic.partitions).map(|partition| partition.error_code);
    let asked = response.topics.iter_mut().flat_map(|topic| &mut topic.partitions);
    for partition in asked.filter(|partition| partition.error_code == 0) {
        partition.error_code = codes.next().unwrap_or(0);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::tests::encodes;

    fn of(codes: &[i16]) -> OffsetDeleteResponse {
        let partition = |code: &i16| OffsetDeleteResponsePartition::default().with_error_code(*code);
        let topic = OffsetDeleteResponseTopic::default().with_partitions(codes.iter().map(partition).collect());
        OffsetDeleteResponse::default().with_topics(vec![topic])
    }

    #[test]
    fn what_the_group_said_stands_beside_what_does_not_exist() {
        assert_eq!(merge(of(&[0, 3, 0]), of(&[86, 0])), of(&[86, 3, 0]));
        let refused = OffsetDeleteResponse::default().with_error_code(ErrorCode::GroupIdNotFound.code());
        assert_eq!(merge(of(&[0, 3, 0]), refused.clone()), refused);
        encodes(&refused, 0);
        encodes(&of(&[86, 3, 0]), 0);
    }
}
