//! DeleteTopics, versions 1 to 6: by name, or from 6 on by name or id.
//!
//! 5: the answer has a sentence, and what a quota has no room for is refused with THROTTLING_QUOTA_EXCEEDED; before, the client
//! is made to wait. The answer leaves when the deletion is committed and nobody reads or writes the topic any
//! more; its files go afterwards. `delete.topic.enable=false` refuses the whole request.

use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{self as m, DeleteTopicsRequest, DeleteTopicsResponse};

use super::{Context, Reply, sentence, text};
use crate::state::metadata::{DeletedTopic, MetadataAnswer, MetadataInput, Refused, TopicRef};
use crate::types::{ErrorCode, TopicId, TopicName};

pub async fn handle(ctx: &mut Context<'_>, request: DeleteTopicsRequest) -> Reply<DeleteTopicsResponse> {
    let version = ctx.version;
    let (mut refused, topics) = wanted(&request, version);
    if !ctx.broker.settings.controller.delete_topics {
        refused.extend(topics.into_iter().map(|topic| deletion_disabled(topic, version)));
        return Reply::Now(respond(refused, version));
    }
    let asked = ctx.ask_paid(version >= 5, MetadataInput::DeleteTopics { topics: topics.clone() });
    Reply::Later(Box::pin(async move {
        let (answer, wait_ms) = asked.await;
        match answer {
            Ok(MetadataAnswer::Deleted(answers)) => refused.extend(answers),
            Ok(other) => unreachable!("DeleteTopics is answered with topics, not {other:?}"),
            Err(code) => refused.extend(topics.into_iter().map(|topic| failed(topic, Refused::new(code, "")))),
        }
        respond(refused, version).with_throttle_time_ms(wait_ms)
    }))
}

/// The topics that are named in a way that can be asked, and the answers to all others.
fn wanted(request: &DeleteTopicsRequest, version: i16) -> (Vec<DeletedTopic>, Vec<TopicRef>) {
    let mut refused = Vec::new();
    let mut topics: Vec<TopicRef> =
        request.topic_names.iter().map(|name| TopicRef::Name(name.0.as_str().into())).collect();
    if version < 6 {
        return (refused, topics);
    }
    for topic in &request.topics {
        let name = topic.name.as_ref().map(|name| TopicName::from(name.0.as_str()));
        let id = TopicId(topic.topic_id);
        let message = match (name.clone(), id.is_zero()) {
            (Some(name), true) => {
                topics.push(TopicRef::Name(name));
                continue;
            }
            (None, false) => {
                topics.push(TopicRef::Id(id));
                continue;
            }
            (Some(_), false) => "You may not specify both topic name and topic id.",
            (None, true) => "Neither topic name nor id were specified.",
        };
        refused.push(DeletedTopic { name, id, result: Err(Refused::new(ErrorCode::InvalidRequest, message)) });
    }
    (refused, topics)
}

fn deletion_disabled(topic: TopicRef, version: i16) -> DeletedTopic {
    let refused = if version < 3 {
        Refused::new(ErrorCode::InvalidRequest, "This version does not support topic deletion.")
    } else {
        Refused::new(ErrorCode::TopicDeletionDisabled, "Topic deletion is disabled.")
    };
    failed(topic, refused)
}

fn failed(topic: TopicRef, refused: Refused) -> DeletedTopic {
    let (name, id) = match topic {
        TopicRef::Name(name) => (Some(name), TopicId::ZERO),
        TopicRef::Id(id) => (None, id),
    };
    DeletedTopic { name, id, result: Err(refused) }
}

fn respond(answers: Vec<DeletedTopic>, version: i16) -> DeleteTopicsResponse {
    let responses = answers.into_iter().map(|answer| {
        let (code, message) = match &answer.result {
            Ok(()) => (ErrorCode::None, None),
            Err(refused) => (refused.code, sentence(&refused.message)),
        };
        let told = DeletableTopicResult::default()
            .with_name(answer.name.map(|name| m::TopicName(text(name.as_str()))))
            .with_error_code(code.code())
            .with_error_message(message.filter(|_| version >= 5));
        if version >= 6 { told.with_topic_id(answer.id.0) } else { told }
    });
    DeleteTopicsResponse::default().with_responses(responses.collect())
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
    use uuid::Uuid;

    use super::super::check_versions;
    use super::*;

    #[test]
    fn every_answer_fits_every_version() {
        for version in 1..=6 {
            let answers = vec![
                DeletedTopic { name: Some("a".into()), id: TopicId(Uuid::from_u128(4)), result: Ok(()) },
                failed(TopicRef::Name("b".into()), Refused::new(ErrorCode::UnknownTopicOrPartition, "no")),
            ];
            check_versions(respond(answers, version), version..=version);
        }
        let unnamed = failed(TopicRef::Id(TopicId(Uuid::from_u128(4))), Refused::new(ErrorCode::UnknownTopicId, "no"));
        check_versions(respond(vec![unnamed], 6), 6..=6);
    }

    /// Kafka 4.3.1's sentences.
    #[test]
    fn a_topic_is_named_either_by_name_or_by_id() {
        let id = Uuid::from_u128(9);
        let topic = |name: Option<&str>, id| {
            DeleteTopicState::default().with_name(name.map(|name| m::TopicName(text(name)))).with_topic_id(id)
        };
        let all = vec![topic(Some("a"), Uuid::nil()), topic(None, id), topic(Some("b"), id), topic(None, Uuid::nil())];
        let (refused, topics) = wanted(&DeleteTopicsRequest::default().with_topics(all), 6);
        assert_eq!(topics, [TopicRef::Name("a".into()), TopicRef::Id(TopicId(id))]);
        let sentences: Vec<_> = refused.into_iter().map(|answer| answer.result.unwrap_err().message).collect();
        assert_eq!(
            sentences,
            ["You may not specify both topic name and topic id.", "Neither topic name nor id were specified."]
        );
    }
}
