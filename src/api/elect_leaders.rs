//! ElectLeaders, versions 0 to 2: makes the preferred replica the leader, or any replica of a partition that has none.
//!
//! A broker alone leads every partition already, and each is told so: ELECTION_NOT_NEEDED. A list that is null means all
//! partitions, of which only those are named that could not be elected. 1 brings elections that may lose records
//! ("unclean"), and an error for the request; 2 is flexible.

use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use kafka_protocol::messages::{self as m, ElectLeadersRequest, ElectLeadersResponse};

use super::{Context, Reply, sentence, text};
use crate::state::metadata::{Image, PartitionInfo, Refused};
use crate::types::{BrokerId, ErrorCode, TopicPartition};

const PREFERRED: i8 = 0;
const UNCLEAN: i8 = 1;

pub async fn handle(ctx: &mut Context<'_>, request: ElectLeadersRequest) -> Reply<ElectLeadersResponse> {
    Reply::Now(respond(&ctx.broker.image(), &request, ctx.version))
}

fn respond(image: &Image, request: &ElectLeadersRequest, version: i16) -> ElectLeadersResponse {
    let kind = if version == 0 { PREFERRED } else { request.election_type };
    if ![PREFERRED, UNCLEAN].contains(&kind) {
        return refused(request, &Refused::new(ErrorCode::InvalidRequest, format!("Unknown election type {kind}")), version);
    }
    let results = match &request.topic_partitions {
        Some(topics) => topics.iter().map(|topic| named(topic, |index| elect(image, &topic.topic, index, kind))).collect(),
        None => image.topics().map(|topic| unelected(image, topic.name.as_str(), topic.partitions.len(), kind)).collect(),
    };
    ElectLeadersResponse::default().with_replica_election_results(results)
}

/// What is wrong with the request stands with every partition, and with the request where the version has room for it.
fn refused(request: &ElectLeadersRequest, why: &Refused, version: i16) -> ElectLeadersResponse {
    let topics = request.topic_partitions.iter().flatten();
    let results = topics.map(|topic| named(topic, |_| why.clone())).collect();
    let code = if version >= 1 { why.code.code() } else { 0 };
    ElectLeadersResponse::default().with_error_code(code).with_replica_election_results(results)
}

fn named(topic: &TopicPartitions, result: impl Fn(i32) -> Refused) -> ReplicaElectionResult {
    let results = topic.partitions.iter().map(|index| told(*index, &result(*index)));
    ReplicaElectionResult::default().with_topic(topic.topic.clone()).with_partition_result(results.collect())
}

/// Of all partitions of a topic those that have not the leader they should have.
fn unelected(image: &Image, topic: &str, partitions: usize, kind: i8) -> ReplicaElectionResult {
    let results = (0..partitions as i32).map(|index| (index, elect(image, topic, index, kind)));
    let others = results.filter(|(_, result)| result.code != ErrorCode::ElectionNotNeeded);
    ReplicaElectionResult::default()
        .with_topic(m::TopicName(text(topic)))
        .with_partition_result(others.map(|(index, result)| told(index, &result)).collect())
}

fn told(index: i32, result: &Refused) -> PartitionResult {
    PartitionResult::default()
        .with_partition_id(index)
        .with_error_code(result.code.code())
        .with_error_message(sentence(&result.message))
}

fn elect(image: &Image, topic: &str, index: i32, kind: i8) -> Refused {
    let Some(found) = image.topic(topic) else {
        return Refused::new(ErrorCode::UnknownTopicOrPartition, format!("No such topic as {topic}"));
    };
    let Some(partition) = image.partition(&TopicPartition { topic: found.name.clone(), partition: index }) else {
        return Refused::new(ErrorCode::UnknownTopicOrPartition, format!("No such partition as {topic}-{index}"));
    };
    elect_in(partition, kind)
}

/// There is nobody else to be elected: who should lead and does not is not there.
fn elect_in(partition: &PartitionInfo, kind: i8) -> Refused {
    let preferred = partition.replicas.first().copied().unwrap_or(BrokerId::NONE);
    let is_led = partition.leader != BrokerId::NONE;
    if is_led && (kind == UNCLEAN || partition.leader == preferred) {
        return Refused::new(ErrorCode::ElectionNotNeeded, "Leader election not needed for topic partition.");
    }
    if kind == UNCLEAN {
        let message = "Eligible topic partition leaders are not available.";
        return Refused::new(ErrorCode::EligibleLeadersNotAvailable, message);
    }
    Refused::new(ErrorCode::PreferredLeaderNotAvailable, "The preferred leader was not available.")
}

#[cfg(test)]
mod tests {
    use super::super::check_versions;
    use super::*;
    use crate::state::Machine;
    use crate::state::metadata::{Metadata, MetadataRecord, MetadataSettings};
    use crate::types::{LeaderEpoch, TopicId};

    /// Topic `a` with a partition that this broker leads and one that its preferred replica does not.
    fn image() -> Image {
        let mut machine = Metadata::new(MetadataSettings::new("cluster"));
        let id = TopicId(uuid::Uuid::from_u128(7));
        machine.apply(&MetadataRecord::Topic { name: "a".into(), id });
        for (partition, leader) in [(0, 1), (1, 2), (2, -1)] {
            let info = PartitionInfo {
                leader: BrokerId(leader),
                leader_epoch: LeaderEpoch::ZERO,
                replicas: vec![BrokerId(1), BrokerId(2)],
                isr: vec![],
                directories: vec![],
                partition_epoch: 0,
            };
            machine.apply(&MetadataRecord::Partition { topic: id, partition, info });
        }
        machine.image().clone()
    }

    fn codes(topics: Option<&[(&str, &[i32])]>, kind: i8, version: i16) -> (i16, Vec<(i32, i16)>) {
        let named = |(name, partitions): &(&str, &[i32])| {
            TopicPartitions::default().with_topic(m::TopicName(text(name))).with_partitions(partitions.to_vec())
        };
        let topics = topics.map(|topics| topics.iter().map(named).collect());
        let request = ElectLeadersRequest::default().with_election_type(kind).with_topic_partitions(topics);
        let response = respond(&image(), &request, version);
        check_versions(response.clone(), version..=version);
        let results = response.replica_election_results.iter().flat_map(|topic| &topic.partition_result);
        (response.error_code, results.map(|result| (result.partition_id, result.error_code)).collect())
    }

    #[test]
    fn who_leads_already_is_not_elected() {
        let asked: &[(&str, &[i32])] = &[("a", &[0, 1, 2, 3]), ("none", &[0])];
        for version in 1..=2 {
            assert_eq!(codes(Some(asked), 0, version), (0, vec![(0, 84), (1, 80), (2, 80), (3, 3), (0, 3)]));
            assert_eq!(codes(Some(asked), 1, version), (0, vec![(0, 84), (1, 84), (2, 83), (3, 3), (0, 3)]));
            assert_eq!(codes(Some(&[("a", &[0])]), 9, version), (42, vec![(0, 42)]), "an election of another kind");
        }
        assert_eq!(codes(Some(&[("a", &[0])]), 0, 0), (0, vec![(0, 84)]));
    }

    #[test]
    fn of_all_partitions_those_are_named_that_have_the_wrong_leader() {
        assert_eq!(codes(None, 0, 2), (0, vec![(1, 80), (2, 80)]));
        assert_eq!(codes(None, 1, 2), (0, vec![(2, 83)]));
    }
}
