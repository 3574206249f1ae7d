//! Metadata, versions 0 to 13: brokers, topics, partitions and their leaders.
//!
//! Version 0 has no way to ask for no topic: an empty list means all. From 1 on null means all. Versions below 4 always
//! allow creation; 10 and 12 bring topic ids, by which topics can be asked for from 12 on. Differs from Kafka in one
//! thing: a topic that is created on demand is there, with its leader, before this answer leaves; Kafka answers
//! UNKNOWN_TOPIC_OR_PARTITION first and has the client ask again. Not yet: several brokers.

use std::collections::HashSet;
use std::sync::Arc;

use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{self as m, MetadataRequest, MetadataResponse};
use kafka_protocol::protocol::StrBytes;

use super::{Context, Reply, text};
use crate::broker::Broker;
use crate::config::Advertised;
use crate::state::metadata::{Image, MetadataAnswer, MetadataInput, Topic, is_internal};
use crate::types::{ErrorCode, TopicId, TopicName};

pub const KEY: i16 = 3;

/// What the protocol sends for operations nobody asked for.
pub const NO_OPERATIONS: i32 = i32::MIN;
/// Describe, read, write and all the rest that a topic knows: bits of `AclOperation` (3 to 8, 10, 11).
pub const ALL_TOPIC_OPERATIONS: i32 = 0b1101_1111_1000;
/// What a cluster knows: create, alter, describe, cluster action, describe and alter configs, idempotent write.
pub const ALL_CLUSTER_OPERATIONS: i32 = 0b1_1111_1010_0000;

pub async fn handle(ctx: &mut Context<'_>, request: MetadataRequest) -> Reply<MetadataResponse> {
    let scene = Scene {
        broker: ctx.broker.clone(),
        listener: ctx.session.peer.listener,
        version: ctx.version,
        topic_operations: request.include_topic_authorized_operations,
        cluster_operations: request.include_cluster_authorized_operations,
    };
    let wanted = match wanted(&request, ctx.version) {
        Ok(wanted) => wanted,
        Err(()) => {
            let refused = request.topics.unwrap_or_default().into_iter().map(refused).collect();
            return Reply::Now(scene.respond(&ctx.broker.image(), refused, ErrorCode::InvalidRequest));
        }
    };
    let image = ctx.broker.image();
    let missing = match &wanted {
        Wanted::All => Vec::new(),
        Wanted::These(topics) if may_create(ctx, &request) => creatable(&image, topics),
        Wanted::These(_) => Vec::new(),
    };
    if missing.is_empty() {
        let topics = scene.topics(&image, &wanted, &[]);
        return Reply::Now(scene.respond(&image, topics, ErrorCode::None));
    }
    let asked = ctx.broker.controller.ask(MetadataInput::AutoCreateTopics {
        topics: missing.into_iter().map(|name| (name, TopicId(ctx.broker.clock.random_id()))).collect(),
        random: ctx.broker.clock.random(),
    });
    Reply::Later(Box::pin(async move {
        let refused = match asked.await {
            Ok(MetadataAnswer::Created(created)) => {
                created.into_iter().filter_map(|(name, result)| Some((name, result.err()?.code))).collect()
            }
            _ => Vec::new(),
        };
        let image = scene.broker.image();
        let topics = scene.topics(&image, &wanted, &refused);
        scene.respond(&image, topics, ErrorCode::None)
    }))
}

enum Wanted {
    All,
    These(Vec<(Option<TopicName>, TopicId)>),
}

fn wanted(request: &MetadataRequest, version: i16) -> Result<Wanted, ()> {
    let Some(topics) = &request.topics else { return Ok(Wanted::All) };
    if version == 0 && topics.is_empty() {
        return Ok(Wanted::All);
    }
    let mut these = Vec::with_capacity(topics.len());
    for topic in topics {
        let name = topic.name.as_ref().map(|name| TopicName::from(name.0.as_str()));
        // Kafka: ids only from version 12 on, and a null name only together with an id.
        if (version < 12 && !topic.topic_id.is_nil()) || (name.is_none() && (version < 12 || topic.topic_id.is_nil())) {
            return Err(());
        }
        these.push((name, TopicId(topic.topic_id)));
    }
    Ok(Wanted::These(these))
}

/// How a topic is answered when the request as a whole is wrong.
fn refused(topic: MetadataRequestTopic) -> MetadataResponseTopic {
    MetadataResponseTopic::default()
        .with_error_code(ErrorCode::InvalidRequest.code())
        .with_name(Some(topic.name.unwrap_or_default()))
        .with_topic_id(topic.topic_id)
        .with_topic_authorized_operations(NO_OPERATIONS)
}

fn may_create(ctx: &Context<'_>, request: &MetadataRequest) -> bool {
    ctx.broker.settings.controller.auto_create_topics && (ctx.version < 4 || request.allow_auto_topic_creation)
}

/// Names without a topic that could be one.
fn creatable(image: &Image, topics: &[(Option<TopicName>, TopicId)]) -> Vec<TopicName> {
    let mut names: Vec<TopicName> = topics
        .iter()
        .filter(|(_, id)| id.is_zero())
        .filter_map(|(name, _)| name.clone())
        .filter(|name| image.topic(name.as_str()).is_none() && TopicName::check(name.as_str()).is_ok())
        .collect();
    names.sort();
    names.dedup();
    names
}

/// What the answer depends on besides the image; outlives the handler.
struct Scene {
    broker: Arc<Broker>,
    listener: usize,
    version: i16,
    topic_operations: bool,
    cluster_operations: bool,
}

impl Scene {
    fn topics(&self, image: &Image, wanted: &Wanted, refused: &[(TopicName, ErrorCode)]) -> Vec<MetadataResponseTopic> {
        match wanted {
            Wanted::All => image.topics().map(|topic| self.found(topic)).collect(),
            Wanted::These(topics) => {
                let mut seen = HashSet::new();
                let all = topics.iter().map(|(name, id)| self.topic(image, name, *id, refused));
                // A topic is answered once, however often it was asked for.
                all.filter(|topic| seen.insert((topic.name.clone(), topic.topic_id))).collect()
            }
        }
    }

    fn topic(
        &self,
        image: &Image,
        name: &Option<TopicName>,
        id: TopicId,
        refused: &[(TopicName, ErrorCode)],
    ) -> MetadataResponseTopic {
        if !id.is_zero() {
            return match image.topic_by_id(id) {
                Some(topic) => self.found(topic),
                None => MetadataResponseTopic::default()
                    .with_error_code(ErrorCode::UnknownTopicId.code())
                    .with_topic_id(id.0)
                    .with_name(None)
                    .with_topic_authorized_operations(NO_OPERATIONS),
            };
        }
        let name = name.clone().unwrap_or_else(|| TopicName::from(""));
        if let Some(topic) = image.topic(name.as_str()) {
            return self.found(topic);
        }
        let code = if TopicName::check(name.as_str()).is_err() {
            ErrorCode::InvalidTopicException
        } else {
            let refused = refused.iter().find(|(other, _)| *other == name);
            refused.map_or(ErrorCode::UnknownTopicOrPartition, |(_, code)| *code)
        };
        MetadataResponseTopic::default()
            .with_error_code(code.code())
            .with_name(Some(m::TopicName(text(name.as_str()))))
            .with_is_internal(is_internal(name.as_str()))
            .with_topic_authorized_operations(NO_OPERATIONS)
    }

    fn found(&self, topic: &Topic) -> MetadataResponseTopic {
        let partitions = topic.partitions.iter().enumerate().map(|(index, info)| {
            MetadataResponsePartition::default()
                .with_partition_index(index as i32)
                .with_leader_id(m::BrokerId(info.leader.0))
                .with_leader_epoch(info.leader_epoch.0)
                .with_replica_nodes(info.replicas.iter().map(|id| m::BrokerId(id.0)).collect())
                .with_isr_nodes(info.isr.iter().map(|id| m::BrokerId(id.0)).collect())
        });
        let operations = if self.topic_operations { ALL_TOPIC_OPERATIONS } else { NO_OPERATIONS };
        MetadataResponseTopic::default()
            .with_name(Some(m::TopicName(text(topic.name.as_str()))))
            .with_topic_id(topic.id.0)
            .with_is_internal(topic.internal)
            .with_partitions(partitions.collect())
            .with_topic_authorized_operations(operations)
    }

    fn respond(&self, image: &Image, topics: Vec<MetadataResponseTopic>, error: ErrorCode) -> MetadataResponse {
        let Advertised { host, port } = self.broker.advertised(self.listener);
        let me = MetadataResponseBroker::default()
            .with_node_id(m::BrokerId(self.broker.node_id.0))
            .with_host(StrBytes::from_string(host))
            .with_port(i32::from(port))
            .with_rack(self.broker.settings.rack.as_ref().filter(|_| self.version >= 1).map(text));
        let operations = if self.cluster_operations { ALL_CLUSTER_OPERATIONS } else { NO_OPERATIONS };
        let mut response = MetadataResponse::default()
            .with_brokers(vec![me])
            .with_cluster_id(Some(text(image.cluster_id())))
            .with_controller_id(m::BrokerId(self.broker.node_id.0))
            .with_topics(topics)
            .with_cluster_authorized_operations(operations);
        // The field came with version 13 and is no error to leave out below.
        if self.version >= 13 {
            response.error_code = error.code();
        }
        response
    }
}
