//! AlterPartitionReassignments, versions 0 and 1: where the replicas of partitions shall be.
//!
//! With one broker they are where they can be: the same place again changes nothing, another one is refused with Kafka's
//! sentence, and there is nothing to cancel (replicas that are null). 1 may forbid that their number changes.

use kafka_protocol::messages::alter_partition_reassignments_request::ReassignablePartition;
use kafka_protocol::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use kafka_protocol::messages::{AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse};

use super::{Context, Reply, sentence, text};
use crate::state::metadata::{Image, Refused};
use crate::types::{BrokerId, ErrorCode, TopicPartition};

pub async fn handle(
    ctx: &mut Context<'_>,
    request: AlterPartitionReassignmentsRequest,
) -> Reply<AlterPartitionReassignmentsResponse> {
    Reply::Now(respond(&ctx.broker.image(), &request, ctx.version))
}

fn respond(
    image: &Image,
    request: &AlterPartitionReassignmentsRequest,
    version: i16,
) -> AlterPartitionReassignmentsResponse {
    let may_change_number = version == 0 || request.allow_replication_factor_change;
    let topics = request.topics.iter().map(|topic| {
        let told = |partition| told(partition, reassign(image, &topic.name, partition, may_change_number));
        ReassignableTopicResponse::default()
            .with_name(topic.name.clone())
            .with_partitions(topic.partitions.iter().map(told).collect())
    });
    // Kafka has a null with topics, and an empty text without.
    let message = if request.topics.is_empty() { Some(text("")) } else { None };
    AlterPartitionReassignmentsResponse::default()
        .with_allow_replication_factor_change(may_change_number)
        .with_error_message(message)
        .with_responses(topics.collect())
}

fn told(partition: &ReassignablePartition, result: Result<(), Refused>) -> ReassignablePartitionResponse {
    let response = ReassignablePartitionResponse::default().with_partition_index(partition.partition_index);
    match result {
        Ok(()) => response.with_error_message(None),
        Err(why) => response.with_error_code(why.code.code()).with_error_message(sentence(&why.message)),
    }
}

fn reassign(image: &Image, topic: &str, wanted: &ReassignablePartition, may_change_number: bool) -> Result<(), Refused> {
    let index = wanted.partition_index;
    let unknown = |message: String| Refused::new(ErrorCode::UnknownTopicOrPartition, message);
    let found = image.topic(topic).ok_or_else(|| unknown(format!("Unable to find a topic named {topic}.")))?;
    let place = TopicPartition { topic: found.name.clone(), partition: index };
    let present = image
        .partition(&place)
        .ok_or_else(|| unknown(format!("Unable to find partition {topic}:{index}.")))?;
    let Some(replicas) = &wanted.replicas else {
        return Err(Refused::new(ErrorCode::NoReassignmentInProgress, ""));
    };
    let replicas: Vec<BrokerId> = replicas.iter().map(|id| BrokerId(id.0)).collect();
    image.check_replicas(&replicas)?;
    let (now, then) = (present.replicas.len(), replicas.len());
    if !may_change_number && now != then {
        let message = format!("The replication factor is changed from {now} to {then}");
        return Err(Refused::new(ErrorCode::InvalidReplicationFactor, message));
    }
    if replicas == present.replicas {
        return Ok(());
    }
    let message = "Replicas cannot be moved: clusters are not served yet.";
    Err(Refused::new(ErrorCode::InvalidReplicaAssignment, message))
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::alter_partition_reassignments_request::ReassignableTopic;
    use kafka_protocol::messages::{self as m};
    use uuid::Uuid;

    use super::super::check_versions;
    use super::*;
    use crate::state::Machine;
    use crate::state::metadata::{Broker, Metadata, MetadataRecord, MetadataSettings, PartitionInfo};
    use crate::types::{LeaderEpoch, TopicId};

    /// Broker 1 with partition 0 of topic `a`.
    fn image() -> Image {
        let mut machine = Metadata::new(MetadataSettings::new("cluster"));
        let id = TopicId(Uuid::from_u128(7));
        machine.apply(&MetadataRecord::RegisterBroker(Broker {
            id: BrokerId(1),
            epoch: 0,
            incarnation: Uuid::nil(),
            endpoints: vec![],
            rack: None,
            fenced: false,
            in_controlled_shutdown: false,
            log_dirs: vec![],
            features: vec![],
        }));
        machine.apply(&MetadataRecord::Topic { name: "a".into(), id });
        let info = PartitionInfo {
            leader: BrokerId(1),
            leader_epoch: LeaderEpoch::ZERO,
            replicas: vec![BrokerId(1)],
            isr: vec![BrokerId(1)],
            directories: vec![],
            partition_epoch: 0,
        };
        machine.apply(&MetadataRecord::Partition { topic: id, partition: 0, info });
        machine.image().clone()
    }

    fn code(topic: &str, index: i32, replicas: Option<&[i32]>) -> i16 {
        let replicas = replicas.map(|ids| ids.iter().map(|id| m::BrokerId(*id)).collect());
        let partition = ReassignablePartition::default().with_partition_index(index).with_replicas(replicas);
        let topic = ReassignableTopic::default().with_name(m::TopicName(text(topic))).with_partitions(vec![partition]);
        let request = AlterPartitionReassignmentsRequest::default().with_topics(vec![topic]);
        let response = respond(&image(), &request, 1);
        check_versions(response.clone(), 0..=1);
        response.responses[0].partitions[0].error_code
    }

    #[test]
    fn replicas_are_where_they_can_be() {
        for (topic, index, replicas, expected) in [
            ("a", 0, Some(&[1][..]), ErrorCode::None),
            ("a", 0, None, ErrorCode::NoReassignmentInProgress),
            ("a", 0, Some(&[]), ErrorCode::InvalidReplicaAssignment),
            ("a", 0, Some(&[1, 1]), ErrorCode::InvalidReplicaAssignment),
            ("a", 0, Some(&[2]), ErrorCode::InvalidReplicaAssignment),
            ("a", 0, Some(&[-1]), ErrorCode::InvalidReplicaAssignment),
            ("a", 1, Some(&[1]), ErrorCode::UnknownTopicOrPartition),
            ("a", -1, None, ErrorCode::UnknownTopicOrPartition),
            ("b", 0, None, ErrorCode::UnknownTopicOrPartition),
        ] {
            assert_eq!(code(topic, index, replicas), expected.code(), "{topic}-{index} to {replicas:?}");
        }
    }
}
