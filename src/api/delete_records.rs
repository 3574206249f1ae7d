//! DeleteRecords, versions 0 to 2: gives up the records of a partition before an offset.
//!
//! Offset -1 means the high watermark. An offset before the log's start changes nothing and is answered with the start.
//! Refused: an offset beyond the high watermark or below -1 (OFFSET_OUT_OF_RANGE), internal topics
//! (INVALID_TOPIC_EXCEPTION), topics that are only compacted (POLICY_VIOLATION). The answer leaves when the new start is
//! written down and survives a crash (I21).

use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use kafka_protocol::messages::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use kafka_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};

use super::{Context, Reply, text};
use crate::broker::partition::Partition;
use crate::broker::waiters::wait_for_commit;
use crate::broker::{Broker, tasks};
use crate::config::LogConfig;
use crate::state::metadata::is_internal;
use crate::types::{ErrorCode, Offset};

/// The partitions of a topic, and where each is to begin.
type Asked = Vec<(i32, Result<(Arc<Partition>, Offset), ErrorCode>)>;
/// The partitions of a topic, and where each begins.
type Deleted = Vec<(i32, Result<Offset, ErrorCode>)>;

const HIGH_WATERMARK: Offset = Offset(-1);
/// A flush takes milliseconds; one that takes longer than this is a disk that hangs.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

pub async fn handle(ctx: &mut Context<'_>, request: DeleteRecordsRequest) -> Reply<DeleteRecordsResponse> {
    let broker = ctx.broker.clone();
    Reply::Later(Box::pin(async move {
        // Offsets of records that were acknowledged with acks=1 count, as soon as those are committed.
        wait_for_commit(&uncommitted(&broker, &request), LONGEST_WAIT).await;
        delete_all(broker, request).await
    }))
}

fn uncommitted(broker: &Broker, request: &DeleteRecordsRequest) -> Vec<(Arc<Partition>, Offset)> {
    let named = request.topics.iter().flat_map(|topic| topic.partitions.iter().map(|each| (&topic.name.0, each)));
    let found = named.filter_map(|(name, each)| broker.partition(name, each.partition_index).ok());
    found.filter_map(|partition| partition.uncommitted()).collect()
}

async fn delete_all(broker: Arc<Broker>, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
    tasks::blocking(move || {
        let mut topics: Vec<(String, Asked)> = Vec::new();
        for topic in &request.topics {
            let name = topic.name.0.as_str();
            let ask = |index: i32, offset| (index, ask(&broker, name, index, Offset(offset)));
            let asked = topic.partitions.iter().map(|each| ask(each.partition_index, each.offset));
            // Named twice, a partition is cut once, as it was named last.
            topics.push((name.to_string(), asked.collect::<IndexMap<_, _>>().into_iter().collect()));
        }
        let all = topics.iter().flat_map(|(_, partitions)| partitions);
        let granted: Vec<_> = all.filter_map(|(_, asked)| asked.clone().ok()).collect();
        // One write for all of them; if it fails, none may be told that it is done.
        let done = if granted.is_empty() { Ok(()) } else { broker.delete_records(&granted) };
        let start = |asked: Result<(Arc<Partition>, Offset), ErrorCode>| {
            let (partition, _) = asked?;
            done?;
            partition.log_start_offset()
        };
        let starts = |asked: Asked| asked.into_iter().map(|(index, asked)| (index, start(asked))).collect();
        respond(topics.into_iter().map(|(name, asked)| (name, starts(asked))).collect())
    })
    .await
}

/// Where a partition may be told to begin.
fn ask(
    broker: &Arc<Broker>,
    topic: &str,
    index: i32,
    offset: Offset,
) -> Result<(Arc<Partition>, Offset), ErrorCode> {
    let partition = broker.partition(topic, index)?;
    may_delete(topic, &partition.config())?;
    let offset = resolve(offset, partition.high_watermark())?.max(partition.log_start_offset()?);
    Ok((partition, offset))
}

fn may_delete(topic: &str, config: &LogConfig) -> Result<(), ErrorCode> {
    if is_internal(topic) {
        Err(ErrorCode::InvalidTopicException)
    } else if config.compact && !config.delete {
        Err(ErrorCode::PolicyViolation)
    } else {
        Ok(())
    }
}

fn resolve(offset: Offset, high_watermark: Offset) -> Result<Offset, ErrorCode> {
    let offset = if offset == HIGH_WATERMARK { high_watermark } else { offset };
    if offset < Offset::ZERO || offset > high_watermark { Err(ErrorCode::OffsetOutOfRange) } else { Ok(offset) }
}

fn respond(topics: Vec<(String, Deleted)>) -> DeleteRecordsResponse {
    let topics = topics.into_iter().map(|(name, partitions)| {
        let partitions = partitions.into_iter().map(|(index, result)| {
            let (start, code) = match result {
                Ok(start) => (start, ErrorCode::None),
                Err(code) => (Offset::NONE, code),
            };
            DeleteRecordsPartitionResult::default()
                .with_partition_index(index)
                .with_low_watermark(start.0)
                .with_error_code(code.code())
        });
        DeleteRecordsTopicResult::default()
            .with_name(kafka_protocol::messages::TopicName(text(name)))
            .with_partitions(partitions.collect())
    });
    DeleteRecordsResponse::default().with_topics(topics.collect())
}

#[cfg(test)]
mod tests {
    use super::super::check_versions;
    use super::*;

    #[test]
    fn an_offset_is_within_what_everybody_may_read() {
        let end = Offset(10);
        assert_eq!(resolve(Offset(-1), end), Ok(end));
        assert_eq!(resolve(Offset(0), end), Ok(Offset(0)));
        assert_eq!(resolve(Offset(10), end), Ok(end));
        for bad in [-2, 11, i64::MAX, i64::MIN] {
            assert_eq!(resolve(Offset(bad), end), Err(ErrorCode::OffsetOutOfRange), "{bad}");
        }
    }

    #[test]
    fn internal_and_compacted_topics_keep_their_records() {
        let config = |delete, compact| LogConfig { delete, compact, ..LogConfig::default() };
        assert_eq!(may_delete("__consumer_offsets", &config(true, false)), Err(ErrorCode::InvalidTopicException));
        assert_eq!(may_delete("a", &config(false, true)), Err(ErrorCode::PolicyViolation));
        for (delete, compact) in [(true, true), (true, false), (false, false)] {
            assert_eq!(may_delete("a", &config(delete, compact)), Ok(()));
        }
    }

    #[test]
    fn every_answer_fits_every_version() {
        let partitions = vec![(0, Ok(Offset(4))), (1, Err(ErrorCode::OffsetOutOfRange))];
        check_versions(respond(vec![("a".into(), partitions)]), 0..=2);
    }
}
