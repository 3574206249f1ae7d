//! OffsetForLeaderEpoch, versions 2 to 4: where an epoch ended, so that a client finds out that its log was truncated.
//!
//! Epochs to come give -1 and -1; past ones the end of the largest epoch that is not greater than the one asked for.

use kafka_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use kafka_protocol::messages::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use kafka_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};

use super::{Context, Reply};
use crate::types::{ErrorCode, LeaderEpoch, Offset};

pub async fn handle(
    ctx: &mut Context<'_>,
    request: OffsetForLeaderEpochRequest,
) -> Reply<OffsetForLeaderEpochResponse> {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|wanted| {
            let (code, (epoch, end)) = match find(ctx, &topic.topic.0, wanted) {
                Ok(found) => (ErrorCode::None, found),
                Err(code) => (code, (LeaderEpoch::NONE, Offset::NONE)),
            };
            EpochEndOffset::default()
                .with_error_code(code.code())
                .with_partition(wanted.partition)
                .with_leader_epoch(epoch.0)
                .with_end_offset(end.0)
        });
        let partitions = partitions.collect();
        OffsetForLeaderTopicResult::default().with_topic(topic.topic).with_partitions(partitions)
    });
    let topics = topics.collect();
    Reply::Now(OffsetForLeaderEpochResponse::default().with_topics(topics))
}

fn find(ctx: &Context<'_>, topic: &str, wanted: &OffsetForLeaderPartition) -> Result<(LeaderEpoch, Offset), ErrorCode> {
    let partition = ctx.broker.partition(topic, wanted.partition)?;
    partition.check_epoch(LeaderEpoch(wanted.current_leader_epoch))?;
    partition.end_of_epoch(LeaderEpoch(wanted.leader_epoch))
}
