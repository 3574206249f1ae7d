//! Every API in every version that ApiVersions names: a request is answered, in a form that its version can be read in.

mod support;

use std::collections::BTreeSet;

use kafka_protocol::messages as m;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::protocol::Request;
use milena::api::{APIS, api};
use support::{Client, TestBroker, batch, produce_request, text, topic};

/// Versions that are advertised and not served: librdkafka takes a broker without Produce 0 for an ancient one.
const FIRST_PRODUCE: i16 = 3;

struct Walk {
    client: Client,
    seen: BTreeSet<i16>,
}

impl Walk {
    /// Sends what `request` makes in each version, and reads the answer.
    async fn each<R: Request>(&mut self, request: impl Fn(i16) -> R) {
        let row = api(R::KEY).unwrap_or_else(|| panic!("API {} has no row", R::KEY));
        // Every version the message crate has; all of them were served by some release of Kafka up to 4.3.
        let known = if R::KEY == 0 { 0..=R::VERSIONS.max } else { R::VERSIONS.min..=R::VERSIONS.max };
        assert_eq!(row.min_version..=row.max_version, known, "{}", row.name);
        let first = if R::KEY == 0 { FIRST_PRODUCE } else { row.min_version };
        for version in first..=row.max_version {
            self.client.ask(version, request(version)).await;
        }
        self.seen.insert(R::KEY);
    }
}

/// Lesson 40: the client's id in a header keeps its two-byte length, also before a flexible body: these headers have one.
#[tokio::test(flavor = "multi_thread")]
async fn every_advertised_version_answers() {
    let broker = TestBroker::start().await;
    let mut walk = Walk { client: broker.connect().await, seen: BTreeSet::new() };
    walk.client.create_topic("t", 2, &[]).await;
    walk.each(|version| {
        let mut request = produce_request("t", 0, batch(&[b"x"]), -1);
        if version >= 13 {
            request.topic_data[0].name = topic("");
        }
        request
    })
    .await;
    walk.each(|_| m::FetchRequest::default().with_max_wait_ms(0).with_session_epoch(-1)).await;
    walk.each(|_| m::ListOffsetsRequest::default().with_replica_id(m::BrokerId(-1))).await;
    walk.each(|_| m::MetadataRequest::default().with_topics(Some(Vec::new()))).await;
    walk.each(|version| match version {
        3.. => m::ApiVersionsRequest::default()
            .with_client_software_name(text("test"))
            .with_client_software_version(text("1")),
        _ => m::ApiVersionsRequest::default(),
    })
    .await;
    walk.each(|_| m::OffsetForLeaderEpochRequest::default()).await;
    walk.each(|_| m::OffsetCommitRequest::default().with_group_id(m::GroupId(text("g")))).await;
    walk.each(|version| match version {
        8.. => m::OffsetFetchRequest::default(),
        _ => m::OffsetFetchRequest::default().with_group_id(m::GroupId(text("g"))).with_topics(Some(Vec::new())),
    })
    .await;
    walk.each(|version| match version {
        4.. => m::FindCoordinatorRequest::default().with_coordinator_keys(vec![text("g")]),
        _ => m::FindCoordinatorRequest::default().with_key(text("g")),
    })
    .await;
    walk.each(|_| m::JoinGroupRequest::default()).await;
    walk.each(|_| m::HeartbeatRequest::default()).await;
    walk.each(|_| m::LeaveGroupRequest::default()).await;
    walk.each(|_| m::SyncGroupRequest::default()).await;
    walk.each(|_| m::DescribeGroupsRequest::default().with_groups(vec![m::GroupId(text("g"))])).await;
    walk.each(|_| m::ListGroupsRequest::default()).await;
    walk.each(|_| m::DeleteGroupsRequest::default().with_groups_names(vec![m::GroupId(text("none"))])).await;
    walk.each(|_| m::OffsetDeleteRequest::default().with_group_id(m::GroupId(text("none")))).await;
    walk.each(|_| m::DescribeClientQuotasRequest::default()).await;
    walk.each(|_| m::AlterClientQuotasRequest::default()).await;
    walk.each(|version| {
        let one = CreatableTopic::default()
            .with_name(topic(&format!("made-{version}")))
            .with_num_partitions(1)
            .with_replication_factor(1);
        m::CreateTopicsRequest::default().with_topics(vec![one]).with_timeout_ms(1000)
    })
    .await;
    walk.each(|version| match version {
        6.. => m::DeleteTopicsRequest::default(),
        _ => m::DeleteTopicsRequest::default().with_topic_names(vec![topic("made-2")]),
    })
    .await;
    walk.each(|_| m::DeleteRecordsRequest::default()).await;
    walk.each(|_| m::InitProducerIdRequest::default().with_transaction_timeout_ms(1000)).await;
    walk.each(|_| m::DescribeConfigsRequest::default()).await;
    walk.each(|_| m::AlterConfigsRequest::default()).await;
    walk.each(|_| m::IncrementalAlterConfigsRequest::default()).await;
    walk.each(|_| m::DescribeLogDirsRequest::default().with_topics(None)).await;
    walk.each(|_| m::CreatePartitionsRequest::default()).await;
    walk.each(|_| {
        let filter = m::DescribeAclsRequest::default().with_resource_type_filter(1).with_operation(1);
        filter.with_pattern_type_filter(3).with_permission_type(1)
    })
    .await;
    walk.each(|_| m::CreateAclsRequest::default()).await;
    walk.each(|_| m::DeleteAclsRequest::default()).await;
    walk.each(|_| m::ElectLeadersRequest::default().with_topic_partitions(None)).await;
    walk.each(|_| m::AlterPartitionReassignmentsRequest::default()).await;
    walk.each(|_| m::ListPartitionReassignmentsRequest::default().with_topics(None)).await;
    walk.each(|_| m::DescribeQuorumRequest::default()).await;
    walk.each(|_| m::DescribeTransactionsRequest::default()).await;
    walk.each(|_| m::ListTransactionsRequest::default()).await;
    walk.each(|_| m::DescribeClusterRequest::default()).await;
    walk.each(|_| m::DescribeProducersRequest::default()).await;
    walk.each(|_| m::DescribeTopicPartitionsRequest::default()).await;
    let all: BTreeSet<i16> = APIS.iter().map(|row| row.key).collect();
    assert_eq!(walk.seen, all, "an API of the table was not asked");
    broker.stop().await;
}
