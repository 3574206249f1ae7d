//! Requests: frames cut from a stream, the walk along the schema, the decoder.

use std::sync::OnceLock;

use bytes::Bytes;
use kafka_protocol::messages as m;
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::Decodable;
use milena::config::LogConfig;
use milena::net::frame::FrameReader;
use milena::net::schema::{self, Limits};
use milena::record::{DecompressLimits, Rules, validate};
use milena::types::{Timestamp, TopicPartition};

/// A connection's bytes as they come in pieces: the first byte is the size of a piece less one.
pub fn frame(data: &[u8]) {
    let Some((step, stream)) = data.split_first() else { return };
    let mut reader = FrameReader::new(1 << 20);
    for piece in stream.chunks(usize::from(*step) + 1) {
        let hoped = reader.hoped();
        reader.room(hoped).extend_from_slice(piece);
        reader.came(piece.len(), hoped.saturating_sub(reader.received()).max(1));
        loop {
            match reader.next_frame() {
                Ok(Some(frame)) => admit(&frame),
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
}

fn admit(frame: &Bytes) {
    let Ok(header) = schema::read_header(frame) else { return };
    assert!(header.body_offset <= frame.len());
    judge(header.api_key, header.version, &frame[header.body_offset..]);
}

/// Two bytes choose among all requests and versions there are, the rest is the body.
pub fn request(data: &[u8]) {
    let Some((choice, body)) = data.split_first_chunk::<2>() else { return };
    let pairs = pairs();
    let (key, version) = pairs[usize::from(u16::from_be_bytes(*choice)) % pairs.len()];
    judge(key, version, body);
}

/// Every key and version of the table, in order.
pub fn pairs() -> &'static [(i16, i16)] {
    static PAIRS: OnceLock<Vec<(i16, i16)>> = OnceLock::new();
    PAIRS.get_or_init(|| {
        let versions = |key| schema::versions(key).into_iter().flatten().map(move |version| (key, version));
        (0..=200).flat_map(versions).collect()
    })
}

/// What the walk accepts is decoded to its last byte, or refused with an error.
fn judge(key: i16, version: i16, body: &[u8]) {
    let Ok(end) = schema::check(key, version, body, &Limits::default()) else { return };
    assert!(end <= body.len());
    decode(key, version, Bytes::copy_from_slice(&body[..end]));
}

macro_rules! requests {
    ($($api:ident($request:ident))*) => {
        /// The table also has APIs and versions that the decoder lacks, and some that only brokers use among themselves.
        fn decode(key: i16, version: i16, body: Bytes) {
            match ApiKey::try_from(key) {
                $(Ok(ApiKey::$api) => drop(whole::<m::$request>(version, body)),)*
                _ => {}
            }
        }
    };
}

requests! {
    Produce(ProduceRequest) Fetch(FetchRequest) ListOffsets(ListOffsetsRequest) Metadata(MetadataRequest)
    OffsetCommit(OffsetCommitRequest) OffsetFetch(OffsetFetchRequest) FindCoordinator(FindCoordinatorRequest)
    JoinGroup(JoinGroupRequest) Heartbeat(HeartbeatRequest) LeaveGroup(LeaveGroupRequest) SyncGroup(SyncGroupRequest)
    DescribeGroups(DescribeGroupsRequest) ListGroups(ListGroupsRequest) SaslHandshake(SaslHandshakeRequest)
    ApiVersions(ApiVersionsRequest) CreateTopics(CreateTopicsRequest) DeleteTopics(DeleteTopicsRequest)
    DeleteRecords(DeleteRecordsRequest) InitProducerId(InitProducerIdRequest)
    OffsetForLeaderEpoch(OffsetForLeaderEpochRequest) AddPartitionsToTxn(AddPartitionsToTxnRequest)
    AddOffsetsToTxn(AddOffsetsToTxnRequest) EndTxn(EndTxnRequest) WriteTxnMarkers(WriteTxnMarkersRequest)
    TxnOffsetCommit(TxnOffsetCommitRequest) DescribeAcls(DescribeAclsRequest) CreateAcls(CreateAclsRequest)
    DeleteAcls(DeleteAclsRequest) DescribeConfigs(DescribeConfigsRequest) AlterConfigs(AlterConfigsRequest)
    AlterReplicaLogDirs(AlterReplicaLogDirsRequest) DescribeLogDirs(DescribeLogDirsRequest)
    SaslAuthenticate(SaslAuthenticateRequest) CreatePartitions(CreatePartitionsRequest)
    CreateDelegationToken(CreateDelegationTokenRequest) RenewDelegationToken(RenewDelegationTokenRequest)
    ExpireDelegationToken(ExpireDelegationTokenRequest) DescribeDelegationToken(DescribeDelegationTokenRequest)
    DeleteGroups(DeleteGroupsRequest) ElectLeaders(ElectLeadersRequest)
    IncrementalAlterConfigs(IncrementalAlterConfigsRequest)
    AlterPartitionReassignments(AlterPartitionReassignmentsRequest)
    ListPartitionReassignments(ListPartitionReassignmentsRequest) OffsetDelete(OffsetDeleteRequest)
    DescribeClientQuotas(DescribeClientQuotasRequest) AlterClientQuotas(AlterClientQuotasRequest)
    DescribeUserScramCredentials(DescribeUserScramCredentialsRequest)
    AlterUserScramCredentials(AlterUserScramCredentialsRequest) DescribeQuorum(DescribeQuorumRequest)
    UpdateFeatures(UpdateFeaturesRequest) DescribeCluster(DescribeClusterRequest)
    DescribeProducers(DescribeProducersRequest) UnregisterBroker(UnregisterBrokerRequest)
    DescribeTransactions(DescribeTransactionsRequest) ListTransactions(ListTransactionsRequest)
    ConsumerGroupHeartbeat(ConsumerGroupHeartbeatRequest) ConsumerGroupDescribe(ConsumerGroupDescribeRequest)
    GetTelemetrySubscriptions(GetTelemetrySubscriptionsRequest) PushTelemetry(PushTelemetryRequest)
    ListConfigResources(ListConfigResourcesRequest) DescribeTopicPartitions(DescribeTopicPartitionsRequest)
    ShareGroupHeartbeat(ShareGroupHeartbeatRequest) ShareGroupDescribe(ShareGroupDescribeRequest)
    ShareFetch(ShareFetchRequest) ShareAcknowledge(ShareAcknowledgeRequest)
}

fn whole<R: Decodable>(version: i16, mut body: Bytes) -> Option<R> {
    let request = R::decode(&mut body, version).ok()?;
    assert!(body.is_empty(), "the decoder stopped elsewhere than the walk");
    Some(request)
}

fn admitted<R: Decodable>(key: ApiKey, version: i16, body: &[u8]) -> Option<R> {
    let end = schema::check(key as i16, version, body, &Limits::default()).ok()?;
    whole(version, Bytes::copy_from_slice(&body[..end]))
}

/// A Produce whose batches are judged too. The first byte is the version.
pub fn produce(data: &[u8]) {
    let Some((version, body)) = data.split_first() else { return };
    let version = i16::from(version % 11) + 3;
    let Some(request) = admitted::<m::ProduceRequest>(ApiKey::Produce, version, body) else { return };
    let (log, partition) = (LogConfig::default(), TopicPartition::new("fuzz", 0));
    let rules = Rules {
        log: &log,
        partition: &partition,
        api_version: version,
        now: Timestamp(1_700_000_000_000),
        full: true,
        limits: DecompressLimits { max_bytes: 1 << 20, ..DecompressLimits::default() },
    };
    for data in request.topic_data.into_iter().flat_map(|topic| topic.partition_data) {
        drop(validate(data.records.unwrap_or_default(), &rules));
    }
}

/// A Fetch. The first byte is the version.
pub fn fetch(data: &[u8]) {
    let Some((version, body)) = data.split_first() else { return };
    let Some(request) = admitted::<m::FetchRequest>(ApiKey::Fetch, i16::from(version % 15) + 4, body) else { return };
    let partitions = request.topics.iter().map(|topic| topic.partitions.len()).sum::<usize>();
    assert!(partitions <= body.len(), "a partition takes at least a byte");
}
