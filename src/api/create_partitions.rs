//! CreatePartitions, versions 0 to 3: gives topics more partitions.
//!
//! The count is how many there shall be, not how many more. Every topic asked about is answered, also when nothing can
//! change (INVALID_PARTITIONS). 3: what a quota has no room for is refused with THROTTLING_QUOTA_EXCEEDED; before, the client is
//! made to wait.

use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::{self as m, CreatePartitionsRequest, CreatePartitionsResponse};

use super::{Context, Reply, sentence, text};
use crate::state::metadata::{MetadataAnswer, MetadataInput, NewPartitions, Refused};
use crate::types::{BrokerId, ErrorCode, TopicName};

pub async fn handle(ctx: &mut Context<'_>, request: CreatePartitionsRequest) -> Reply<CreatePartitionsResponse> {
    let names: Vec<TopicName> = request.topics.iter().map(|topic| topic.name.0.as_str().into()).collect();
    let input = MetadataInput::CreatePartitions {
        topics: request.topics.iter().map(new_partitions).collect(),
        validate_only: request.validate_only,
        random: ctx.broker.clock.random(),
    };
    let asked = ctx.ask_paid(ctx.version >= 3, input);
    Reply::Later(Box::pin(async move {
        let (answer, wait_ms) = asked.await;
        let response = match answer {
            Ok(MetadataAnswer::PartitionsCreated(answers)) => respond(answers),
            Ok(other) => unreachable!("CreatePartitions is answered with topics, not {other:?}"),
            Err(code) => respond(names.into_iter().map(|name| (name, Err(Refused::new(code, "")))).collect()),
        };
        response.with_throttle_time_ms(wait_ms)
    }))
}

fn new_partitions(topic: &CreatePartitionsTopic) -> NewPartitions {
    let assignments = topic.assignments.as_ref().map(|all| {
        all.iter().map(|assignment| assignment.broker_ids.iter().map(|id| BrokerId(id.0)).collect()).collect()
    });
    NewPartitions { name: topic.name.0.as_str().into(), count: topic.count, assignments }
}

fn respond(answers: Vec<(TopicName, Result<(), Refused>)>) -> CreatePartitionsResponse {
    let results = answers.into_iter().map(|(name, result)| {
        let (code, message) = match &result {
            Ok(()) => (ErrorCode::None, None),
            Err(refused) => (refused.code, sentence(&refused.message)),
        };
        CreatePartitionsTopicResult::default()
            .with_name(m::TopicName(text(name.as_str())))
            .with_error_code(code.code())
            .with_error_message(message)
    });
    CreatePartitionsResponse::default().with_results(results.collect())
}

#[cfg(test)]
mod tests {
    use super::super::check_versions;
    use super::*;

    #[test]
    fn every_answer_fits_every_version() {
        let refused = Refused::new(ErrorCode::InvalidPartitions, "Topic already has 1 partition(s).");
        let answers = vec![("a".into(), Ok(())), ("b".into(), Err(refused))];
        check_versions(respond(answers), 0..=3);
    }
}
