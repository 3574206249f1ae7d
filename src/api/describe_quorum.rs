//! DescribeQuorum, versions 0 to 2: who keeps the cluster's metadata, and how far they are.
//!
//! This node does, alone: it leads `__cluster_metadata-0`, is the only voter, and nobody follows. 1 brings the times of the
//! last fetch, which are now for a leader; 2 the voters' directories and addresses, and sentences. The addresses are those
//! of listeners for controllers; without one there is none, as nobody has to come there.

use kafka_protocol::messages::describe_quorum_request::TopicData as Asked;
use kafka_protocol::messages::describe_quorum_response::{Listener, Node, PartitionData, ReplicaState, TopicData};
use kafka_protocol::messages::{self as m, DescribeQuorumRequest, DescribeQuorumResponse};

use super::{Context, Reply, text};
use crate::broker::Broker;
use crate::state::metadata::CLUSTER_METADATA;
use crate::types::{BrokerId, ErrorCode, LeaderEpoch, Offset, Timestamp};

pub async fn handle(ctx: &mut Context<'_>, request: DescribeQuorumRequest) -> Reply<DescribeQuorumResponse> {
    if !asks_for_metadata(&request.topics) {
        return Reply::Now(unknown(&request.topics, ctx.version));
    }
    Reply::Now(match Quorum::of(ctx.broker) {
        Ok(quorum) => quorum.told(ctx.version),
        Err(code) => DescribeQuorumResponse::default().with_error_code(code.code()).with_error_message(None),
    })
}

/// Kafka answers for one partition and no other.
fn asks_for_metadata(topics: &[Asked]) -> bool {
    let [topic] = topics else { return false };
    let [partition] = topic.partitions.as_slice() else { return false };
    topic.topic_name.0.as_str() == CLUSTER_METADATA && partition.partition_index == 0
}

fn unknown(topics: &[Asked], version: i16) -> DescribeQuorumResponse {
    let message = (version >= 2).then(|| text("This server does not host this topic-partition."));
    let topics = topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            PartitionData::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(ErrorCode::UnknownTopicOrPartition.code())
                .with_error_message(message.clone())
        });
        TopicData::default().with_topic_name(topic.topic_name.clone()).with_partitions(partitions.collect())
    });
    DescribeQuorumResponse::default().with_topics(topics.collect())
}

struct Quorum {
    node_id: BrokerId,
    leader_epoch: LeaderEpoch,
    high_watermark: Offset,
    log_end_offset: Offset,
    now: Timestamp,
    /// Listener, host, port.
    endpoints: Vec<(String, String, u16)>,
}

impl Quorum {
    fn of(broker: &Broker) -> Result<Quorum, ErrorCode> {
        let log = broker.metadata_partition();
        let listeners = broker.settings.net.listeners.iter().enumerate();
        let for_controllers = listeners.filter(|(_, listener)| listener.is_for_controllers);
        let endpoints = for_controllers.map(|(index, listener)| {
            let told = broker.advertised(index);
            (listener.name.clone(), told.host, told.port)
        });
        Ok(Quorum {
            node_id: broker.node_id,
            leader_epoch: log.leader_epoch(),
            // The end after the high watermark: it never looks smaller.
            high_watermark: log.high_watermark(),
            log_end_offset: log.log_end_offset()?,
            now: broker.clock.now().wall,
            endpoints: endpoints.collect(),
        })
    }

    fn told(&self, version: i16) -> DescribeQuorumResponse {
        let id = m::BrokerId(self.node_id.0);
        let voter = ReplicaState::default()
            .with_replica_id(id)
            .with_log_end_offset(self.log_end_offset.0)
            .with_last_fetch_timestamp(self.now.0)
            .with_last_caught_up_timestamp(self.now.0);
        let partition = PartitionData::default()
            .with_error_message(Some(text("")))
            .with_leader_id(id)
            .with_leader_epoch(self.leader_epoch.0)
            .with_high_watermark(self.high_watermark.0)
            .with_current_voters(vec![voter]);
        let topic =
            TopicData::default().with_topic_name(m::TopicName(text(CLUSTER_METADATA))).with_partitions(vec![partition]);
        let listeners = self.endpoints.iter().map(|(name, host, port)| {
            Listener::default().with_name(text(name)).with_host(text(host)).with_port(*port)
        });
        let node = Node::default().with_node_id(id).with_listeners(listeners.collect());
        DescribeQuorumResponse::default()
            .with_topics(vec![topic])
            .with_nodes(if version >= 2 { vec![node] } else { Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::describe_quorum_request::PartitionData as AskedPartition;

    use super::super::check_versions;
    use super::*;

    fn asked(topic: &str, partitions: &[i32]) -> Asked {
        let partition = |index: &i32| AskedPartition::default().with_partition_index(*index);
        Asked::default()
            .with_topic_name(m::TopicName(text(topic)))
            .with_partitions(partitions.iter().map(partition).collect())
    }

    #[test]
    fn this_node_leads_and_is_the_only_voter() {
        let quorum = Quorum {
            node_id: BrokerId(7),
            leader_epoch: LeaderEpoch(2),
            high_watermark: Offset(40),
            log_end_offset: Offset(41),
            now: Timestamp(1000),
            endpoints: vec![("CONTROLLER".into(), "localhost".into(), 9093)],
        };
        for version in 0..=2 {
            let response = quorum.told(version);
            check_versions(response.clone(), version..=version);
            let partition = &response.topics[0].partitions[0];
            assert_eq!((partition.leader_id.0, partition.leader_epoch, partition.high_watermark), (7, 2, 40));
            let voter = &partition.current_voters[0];
            assert_eq!((voter.replica_id.0, voter.log_end_offset, voter.last_fetch_timestamp), (7, 41, 1000));
            assert_eq!(response.nodes.len(), usize::from(version >= 2));
        }
    }

    #[test]
    fn another_partition_is_unknown() {
        assert!(asks_for_metadata(&[asked(CLUSTER_METADATA, &[0])]));
        for topics in [
            vec![],
            vec![asked("a", &[0])],
            vec![asked(CLUSTER_METADATA, &[1])],
            vec![asked(CLUSTER_METADATA, &[0, 1])],
            vec![asked(CLUSTER_METADATA, &[0]), asked("a", &[])],
        ] {
            assert!(!asks_for_metadata(&topics));
            for version in 0..=2 {
                let response = unknown(&topics, version);
                check_versions(response.clone(), version..=version);
                let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
                assert!(partitions.clone().all(|partition| partition.error_code == 3));
                assert_eq!(partitions.count(), topics.iter().map(|topic| topic.partitions.len()).sum::<usize>());
            }
        }
    }
}
