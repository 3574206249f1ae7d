//! ListOffsets, versions 1 to 10: offsets by time, and the special times.
//!
//! -1 latest (the last stable offset for read_committed, from version 2), -2 earliest, -3 the record with the largest
//! timestamp (7), -4 earliest local (8), -5 latest tiered (9): as Kafka without tiered storage, -4 is the log start and -5
//! is -1. No match: offset -1, timestamp -1, error 0. Leader epochs below version 4 stay at their default (KAFKA-10613).
//!
//! What a client was told is written must count in what it asks next: acks=1 does not wait for the flush, so the latest
//! offset and look-ups by time do, for what was written before they were asked (with Kafka it is visible at once).

use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::{self as m, ListOffsetsRequest, ListOffsetsResponse};

use super::{Context, Reply, text};
use crate::broker::Broker;
use crate::broker::partition::Partition;
use crate::broker::waiters::wait_for_commit;
use crate::types::{ErrorCode, LeaderEpoch, Offset, Timestamp, TopicName};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;

/// A flush takes milliseconds; one that takes longer than this is a disk that hangs, and the answer goes without it.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

type Found = (Offset, Timestamp, LeaderEpoch);

const NOTHING: Found = (Offset::NONE, Timestamp::NONE, LeaderEpoch::NONE);

pub async fn handle(ctx: &mut Context<'_>, request: ListOffsetsRequest) -> Reply<ListOffsetsResponse> {
    let waiting = uncommitted(ctx, &request);
    let (broker, version) = (ctx.broker.clone(), ctx.version);
    if waiting.is_empty() {
        return Reply::Now(answer_all(&broker, version, request));
    }
    Reply::Later(Box::pin(async move {
        wait_for_commit(&waiting, LONGEST_WAIT).await;
        answer_all(&broker, version, request)
    }))
}

/// Partitions with records that are written and not committed, and up to where.
fn uncommitted(ctx: &Context<'_>, request: &ListOffsetsRequest) -> Vec<(Arc<Partition>, Offset)> {
    let mut waiting = Vec::new();
    for topic in &request.topics {
        let asked = topic.partitions.iter().filter(|wanted| !matches!(wanted.timestamp, EARLIEST | EARLIEST_LOCAL));
        for wanted in asked {
            let partition = ctx.broker.partition(&topic.name.0, wanted.partition_index);
            waiting.extend(partition.ok().and_then(|partition| partition.uncommitted()));
        }
    }
    waiting
}

fn answer_all(broker: &Broker, version: i16, request: ListOffsetsRequest) -> ListOffsetsResponse {
    let committed = request.isolation_level == 1;
    let mut topics: IndexMap<TopicName, IndexMap<i32, Result<Found, ErrorCode>>> = IndexMap::new();
    for topic in &request.topics {
        let name = TopicName::from(&*topic.name.0);
        for wanted in &topic.partitions {
            let found = find(broker, version, name.as_str(), wanted, committed);
            let known = topics.entry(name.clone()).or_default();
            // Kafka: a partition asked for twice in one request is answered once, with an error.
            let found = if known.contains_key(&wanted.partition_index) { Err(ErrorCode::InvalidRequest) } else { found };
            known.insert(wanted.partition_index, found);
        }
    }
    let topics = topics.into_iter().map(|(name, partitions)| {
        let partitions = partitions.into_iter().map(|(index, found)| answer(version, index, found));
        ListOffsetsTopicResponse::default()
            .with_name(m::TopicName(text(name.as_str())))
            .with_partitions(partitions.collect())
    });
    ListOffsetsResponse::default().with_topics(topics.collect())
}

fn find(
    broker: &Broker,
    version: i16,
    topic: &str,
    wanted: &ListOffsetsPartition,
    committed: bool,
) -> Result<Found, ErrorCode> {
    let partition = broker.partition(topic, wanted.partition_index)?;
    partition.check_epoch(LeaderEpoch(wanted.current_leader_epoch))?;
    let limit = if committed { partition.last_stable_offset()? } else { partition.high_watermark() };
    let epoch = partition.leader_epoch();
    match wanted.timestamp {
        LATEST => Ok((limit, Timestamp::NONE, epoch)),
        EARLIEST => earliest(&partition),
        EARLIEST_LOCAL if version >= 8 => earliest(&partition),
        MAX_TIMESTAMP if version >= 7 => {
            let found = partition.look(None, |log| log.max_timestamp(limit))?;
            Ok(found.unwrap_or(NOTHING))
        }
        LATEST_TIERED if version >= 9 => Ok(NOTHING),
        timestamp if timestamp >= 0 => {
            Ok(partition.offset_for_timestamp(Timestamp(timestamp), limit)?.unwrap_or(NOTHING))
        }
        // A special time that this version does not have.
        _ => Err(ErrorCode::UnsupportedVersion),
    }
}

/// The log start, with the epoch in which its record was written.
fn earliest(partition: &Partition) -> Result<Found, ErrorCode> {
    let current = partition.leader_epoch();
    let (start, epoch) = partition.look((Offset::ZERO, current), |log| {
        let start = log.log_start_offset();
        Ok((start, log.leader_epochs().epoch_at(start).unwrap_or(current)))
    })?;
    Ok((start, Timestamp::NONE, epoch))
}

fn answer(version: i16, index: i32, found: Result<Found, ErrorCode>) -> ListOffsetsPartitionResponse {
    let (code, (offset, timestamp, epoch)) = match found {
        Ok(found) => (ErrorCode::None, found),
        Err(code) => (code, NOTHING),
    };
    let response = ListOffsetsPartitionResponse::default()
        .with_partition_index(index)
        .with_error_code(code.code())
        .with_offset(offset.0)
        .with_timestamp(timestamp.0);
    if version >= 4 { response.with_leader_epoch(epoch.0) } else { response }
}
