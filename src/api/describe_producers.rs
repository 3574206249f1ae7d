//! DescribeProducers, version 0: the idempotent and transactional producers a partition remembers.
//!
//! What `kafka-transactions.sh` and tools ask when a transaction hangs: last sequence and time, and where an open
//! transaction began. A partition that was never written to has none.

use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::describe_producers_response::{PartitionResponse, ProducerState, TopicResponse};
use kafka_protocol::messages::{self as m, DescribeProducersRequest, DescribeProducersResponse};

use super::{Context, Reply, sentence};
use crate::broker::Broker;
use crate::storage::log::ProducerSummary;
use crate::types::{ErrorCode, TopicName};

type Producers = Result<Vec<ProducerSummary>, (ErrorCode, String)>;

pub async fn handle(ctx: &mut Context<'_>, request: DescribeProducersRequest) -> Reply<DescribeProducersResponse> {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partition_indexes.iter().map(|index| told(*index, producers(ctx.broker, topic, *index)));
        TopicResponse::default().with_name(topic.name.clone()).with_partitions(partitions.collect())
    });
    Reply::Now(DescribeProducersResponse::default().with_topics(topics.collect()))
}

fn producers(broker: &Broker, topic: &TopicRequest, index: i32) -> Producers {
    let name = topic.name.0.as_str();
    TopicName::check(name).map_err(|message| (ErrorCode::InvalidTopicException, message))?;
    let image = broker.image();
    if image.topic(name).is_none() {
        let message = "This server does not host this topic-partition.";
        return Err((ErrorCode::UnknownTopicOrPartition, message.to_string()));
    }
    let partition = broker.partition(name, index).map_err(|code| (code, String::new()))?;
    partition.look(Vec::new(), |log| Ok(log.producers())).map_err(|code| (code, String::new()))
}

fn told(index: i32, producers: Producers) -> PartitionResponse {
    let response = PartitionResponse::default().with_partition_index(index);
    match producers {
        Ok(producers) => response.with_active_producers(producers.iter().map(state).collect()),
        Err((code, message)) => response.with_error_code(code.code()).with_error_message(sentence(&message)),
    }
}

fn state(producer: &ProducerSummary) -> ProducerState {
    ProducerState::default()
        .with_producer_id(m::ProducerId(producer.producer_id.0))
        .with_producer_epoch(i32::from(producer.producer_epoch.0))
        .with_last_sequence(producer.last_sequence.0)
        .with_last_timestamp(producer.last_timestamp.0)
        .with_coordinator_epoch(producer.coordinator_epoch)
        .with_current_txn_start_offset(producer.current_txn_start_offset.0)
}

#[cfg(test)]
mod tests {
    use super::super::{check_versions, text};
    use super::*;
    use crate::types::{Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};

    #[test]
    fn every_answer_fits_its_version() {
        let producer = ProducerSummary {
            producer_id: ProducerId(7),
            producer_epoch: ProducerEpoch(1),
            last_sequence: Sequence(9),
            last_timestamp: Timestamp(5),
            coordinator_epoch: -1,
            current_txn_start_offset: Offset::NONE,
        };
        let partitions = vec![
            told(0, Ok(vec![producer])),
            told(1, Err((ErrorCode::InvalidTopicException, "no".into()))),
        ];
        assert_eq!(partitions[0].active_producers[0].last_sequence, 9);
        let topic = TopicResponse::default().with_name(m::TopicName(text("a"))).with_partitions(partitions);
        check_versions(DescribeProducersResponse::default().with_topics(vec![topic]), 0..=0);
    }
}
