//! CreateTopics, versions 2 to 7: makes topics, or only says whether they could be made.
//!
//! 4: -1 for partitions and replication factor takes the broker's defaults (we take it in every version). 5: the answer
//! tells partitions, replication factor and all settings of the new topic, which clients print. 7: its id. The answer
//! leaves when the topics are committed and their partitions are there, so a client that was told may produce at once.
//! 6: what a quota has no room for is refused with THROTTLING_QUOTA_EXCEEDED; before, the client is made to wait. Not yet:
//! authorisation.

use std::sync::Arc;

use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use kafka_protocol::messages::{self as m, CreateTopicsRequest, CreateTopicsResponse};

use super::{Context, Reply, describe_configs, sentence, text};
use crate::config::Settings;
use crate::state::metadata::{CreatedTopic, MetadataAnswer, MetadataInput, NewTopic, Refused};
use crate::types::{BrokerId, ErrorCode, TopicId, TopicName};

pub async fn handle(ctx: &mut Context<'_>, request: CreateTopicsRequest) -> Reply<CreateTopicsResponse> {
    let clock = &ctx.broker.clock;
    let topics: Vec<NewTopic> =
        request.topics.iter().map(|topic| new_topic(topic, TopicId(clock.random_id()))).collect();
    let names: Vec<TopicName> = topics.iter().map(|topic| topic.name.clone()).collect();
    let settings = describe_configs::settings_now(ctx);
    let version = ctx.version;
    let input = MetadataInput::CreateTopics { topics, validate_only: request.validate_only, random: clock.random() };
    let asked = ctx.ask_paid(version >= 6, input);
    Reply::Later(Box::pin(async move {
        let (answer, wait_ms) = asked.await;
        let answers = match answer {
            Ok(MetadataAnswer::Created(answers)) => answers,
            Ok(other) => unreachable!("CreateTopics is answered with topics, not {other:?}"),
            Err(code) => names.into_iter().map(|name| (name, Err(Refused::new(code, "")))).collect(),
        };
        let topics = answers.iter().map(|(name, result)| told(&settings, name, result, version)).collect();
        CreateTopicsResponse::default().with_topics(topics).with_throttle_time_ms(wait_ms)
    }))
}

fn new_topic(topic: &CreatableTopic, id: TopicId) -> NewTopic {
    NewTopic {
        name: topic.name.0.as_str().into(),
        id,
        partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: topic
            .assignments
            .iter()
            .map(|partition| (partition.partition_index, partition.broker_ids.iter().map(|id| BrokerId(id.0)).collect()))
            .collect(),
        configs: topic
            .configs
            .iter()
            .map(|config| (config.name.to_string(), config.value.as_ref().map(|value| value.to_string())))
            .collect(),
    }
}

fn told(
    settings: &Arc<Settings>,
    name: &TopicName,
    result: &Result<CreatedTopic, Refused>,
    version: i16,
) -> CreatableTopicResult {
    let answer = CreatableTopicResult::default().with_name(m::TopicName(text(name.as_str())));
    let created = match result {
        Ok(created) => created,
        Err(refused) => {
            let configs = (version >= 5).then(Vec::new);
            return answer
                .with_error_code(refused.code.code())
                .with_error_message(sentence(&refused.message))
                .with_configs(configs);
        }
    };
    let answer = answer.with_error_code(ErrorCode::None.code()).with_error_message(None);
    if version < 5 {
        return answer.with_configs(None);
    }
    let configs = describe_configs::topic_rows(settings, &created.configs).into_iter().map(|row| {
        CreatableTopicConfigs::default()
            .with_name(text(row.name))
            .with_value(row.value.map(text))
            .with_read_only(row.read_only)
            .with_config_source(row.source)
            .with_is_sensitive(row.is_sensitive)
    });
    answer
        .with_topic_id(created.id.0)
        .with_num_partitions(created.partitions)
        .with_replication_factor(created.replication_factor)
        .with_configs(Some(configs.collect()))
}

#[cfg(test)]
mod tests {
    use super::super::check_versions;
    use super::*;
    use crate::config::Sources;

    #[test]
    fn every_answer_fits_every_version() {
        let settings = Arc::new(Settings::load(&Sources::default()).unwrap());
        let created = CreatedTopic {
            id: TopicId(uuid::Uuid::from_u128(5)),
            partitions: 3,
            replication_factor: 1,
            configs: Arc::new([("retention.ms".to_string(), "86400000".to_string())].into()),
        };
        let refused = Refused::new(ErrorCode::TopicAlreadyExists, "Topic 'a' already exists.");
        for version in 2..=7 {
            let topics = [Ok(created.clone()), Err(refused.clone())]
                .iter()
                .map(|result| told(&settings, &"a".into(), result, version))
                .collect();
            check_versions(CreateTopicsResponse::default().with_topics(topics), version..=version);
        }
        let told = told(&settings, &"a".into(), &Ok(created), 7);
        let configs = told.configs.unwrap();
        // As many as Kafka 4.3.1 lists, by name.
        assert_eq!(configs.len(), 33);
        let retention = configs.iter().find(|config| &*config.name == "retention.ms").unwrap();
        assert_eq!((retention.value.as_deref(), retention.config_source), (Some("86400000"), 1));
    }
}
