//! The topics that a compose file asks for: made once the broker runs, those that are there already left as they are.

use crate::config::StartingTopic;
use crate::state::metadata::{MetadataAnswer, MetadataInput, NewTopic};
use crate::types::{ErrorCode, TopicId, TopicName};

use super::Broker;

impl Broker {
    /// Makes the topics of `milena.create.topics`. One that cannot be made is told and holds back no other.
    pub async fn make_starting_topics(&self) {
        let topics = &self.settings.controller.starting_topics;
        if topics.is_empty() {
            return;
        }
        let input = MetadataInput::CreateTopics {
            topics: topics.iter().map(|topic| self.new_topic(topic)).collect(),
            validate_only: false,
            random: self.clock.random(),
        };
        let answers = match self.controller.ask(input).await {
            Ok(MetadataAnswer::Created(answers)) => answers,
            other => return tracing::error!(?other, "the topics of milena.create.topics cannot be made"),
        };
        for (topic, result) in answers {
            match result {
                Ok(created) => tracing::info!(%topic, partitions = created.partitions, "topic made at the start"),
                Err(refused) if refused.code == ErrorCode::TopicAlreadyExists => {}
                Err(refused) => {
                    tracing::warn!(%topic, code = %refused.code, reason = refused.message, "topic not made")
                }
            }
        }
    }

    fn new_topic(&self, topic: &StartingTopic) -> NewTopic {
        let policy = topic.cleanup_policy.iter().map(|policy| ("cleanup.policy".to_string(), Some(policy.clone())));
        NewTopic {
            name: TopicName::from(topic.name.as_str()),
            id: TopicId(self.clock.random_id()),
            partitions: topic.partitions,
            // A file written for three brokers starts on one; what it asks for must not fail on that.
            replication_factor: topic.replication_factor.min(self.broker_count()),
            assignments: Vec::new(),
            configs: policy.collect(),
        }
    }

    fn broker_count(&self) -> i16 {
        i16::try_from(self.image().brokers().count()).unwrap_or(i16::MAX)
    }
}
