//! SPEAKS Kafka. One table of APIs and versions; dispatch; what a handler is given and what it gives back.
//!
//! Every file beside this one is one API. The table below is the whole registration: dispatch, ApiVersions and the README's
//! list read it and nothing else. A handler runs in request order; what it returns as [`Reply::Later`] may finish after the
//! next request has begun, so the ordered part is kept short: append, ask, register.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages as m;
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};

use crate::broker::Broker;
use crate::broker::quotas::{Metered, USER, Use};
use crate::clock::Stopwatch;
use crate::net::{Answer, BoxFuture, Peer, Reaction, Service, schema};
use crate::state::group::{GroupAnswer, GroupInput};
use crate::state::metadata::{MetadataAnswer, MetadataInput, MutationPayer};
use crate::types::{ErrorCode, Monotonic, TopicId, TopicName};

/// What a handler returns.
pub enum Reply<R> {
    Now(R),
    /// The answer comes when the future is done; later requests of the connection may begin before.
    Later(BoxFuture<'static, R>),
    /// No answer is sent (Produce with acks=0).
    None,
    /// The connection ends: how Kafka tells of an error where no answer may be sent.
    Close(String),
}

/// One connection as its requests see it.
pub struct Session {
    pub peer: Peer,
    /// The peer's address as Kafka shows it to group members: `/127.0.0.1`.
    pub client_host: Arc<str>,
    /// What this connection was seen to ask: for the brokers, for anything that one asks a broker one was told of.
    has_asked: bool,
    has_come_back: bool,
    muted: Arc<Muted>,
}

/// For how many milliseconds the connection is to be left alone: said by whoever answers, taken by the connection.
#[derive(Default)]
struct Muted(AtomicU64);

impl Muted {
    /// Leaves it alone for so long; tells it as an answer does.
    fn wait(&self, broker: &Broker, wait_ms: u64) -> i32 {
        if wait_ms > 0 {
            broker.metrics.quota_waits.add(1);
        }
        self.0.fetch_max(wait_ms, Ordering::Relaxed);
        i32::try_from(wait_ms).unwrap_or(i32::MAX)
    }
}

/// What surrounds one request.
pub struct Context<'a> {
    pub broker: &'a Arc<Broker>,
    pub session: &'a Session,
    pub version: i16,
    pub client_id: &'a str,
    /// What its body takes on the wire: what a Produce costs.
    pub request_bytes: usize,
    /// The kinds of use for which there are quotas.
    metered: Metered,
}

impl Context<'_> {
    /// The topic of that id, or else of that name; versions speak one or the other.
    pub fn topic_name(&self, name: &str, id: uuid::Uuid) -> Result<TopicName, ErrorCode> {
        if id.is_nil() {
            return Ok(TopicName::from(name));
        }
        let image = self.broker.image();
        image.topic_by_id(TopicId(id)).map(|topic| topic.name.clone()).ok_or(ErrorCode::UnknownTopicId)
    }

    /// Whom to charge for a use of this kind; nobody where there is no quota for it.
    pub fn meter(&self, what: Use) -> Option<Payer> {
        let payer = || Payer {
            broker: self.broker.clone(),
            muted: self.session.muted.clone(),
            client_id: self.client_id.into(),
            what,
        };
        self.metered.is(what).then(payer)
    }

    /// Asks for a change of topics or partitions, which the client pays for where it has a quota of that (KIP-599). With the answer
    /// comes for how many milliseconds it has to wait. A strict client is refused instead what it cannot pay.
    pub fn ask_paid(
        &self,
        is_strict: bool,
        input: MetadataInput,
    ) -> impl Future<Output = (Result<MetadataAnswer, ErrorCode>, i32)> + Send + use<> {
        let payer = MutationPayer { user: USER.to_owned(), client_id: self.client_id.to_owned(), strict: is_strict };
        let asked = self.broker.controller.ask(MetadataInput::Paid { payer, input: Box::new(input) });
        let (muted, broker) = (self.session.muted.clone(), self.broker.clone());
        async move {
            match asked.await {
                Ok(MetadataAnswer::Paid { wait_ms, answer }) => (Ok(*answer), muted.wait(&broker, wait_ms)),
                other => (other, 0),
            }
        }
    }

    /// Hands an input to the machine of that group, in request order. The future is its answer, which may be long in
    /// coming; an error means that no machine answered.
    pub async fn ask_group(
        &self,
        group_id: &str,
        input: GroupInput,
    ) -> BoxFuture<'static, Result<GroupAnswer, ErrorCode>> {
        let connection = self.session.peer.connection;
        match self.broker.groups.ask(self.broker, group_id, connection, input).await {
            Ok(answer) => Box::pin(answer),
            Err(code) => Box::pin(std::future::ready(Err(code))),
        }
    }
}

/// A client that pays for what it uses with time.
#[derive(Clone)]
pub struct Payer {
    broker: Arc<Broker>,
    muted: Arc<Muted>,
    client_id: Box<str>,
    what: Use,
}

impl Payer {
    /// Charges a use, and mutes the connection for as long as it was too much. Tells for how many milliseconds, and when.
    pub fn charge(&self, value: f64) -> (Monotonic, i32) {
        let (now, wait_ms) = self.broker.quotas.record(self.what, &self.client_id, value);
        (now, self.muted.wait(&self.broker, wait_ms))
    }

    /// What was charged then is not used after all.
    pub fn take_back(&self, when: Monotonic, value: f64) {
        self.broker.quotas.take_back(self.what, when, &self.client_id, value);
    }

    /// More than this at once is always too much.
    pub fn most_at_once(&self) -> usize {
        let most = self.broker.quotas.most_at_once(self.what, &self.client_id);
        // Rounded towards zero, and to what fits, as Kafka does it.
        most.map_or(usize::MAX, |most| most as usize)
    }
}

/// The time that a request takes, for one whose client has a quota of it.
struct Toll {
    payer: Payer,
    spent: Duration,
}

impl Toll {
    /// Charges the time spent, in percent of a thread's, and has the client told how long it has to wait.
    fn charge<R: ResponseBody>(&self, response: &mut R) {
        let (_, wait_ms) = self.payer.charge(self.spent.as_secs_f64() * 100.0);
        if wait_ms > 0 {
            response.throttle(wait_ms);
        }
    }

    /// The same for an answer that comes later: what is worked on it then counts too, what it waits does not.
    async fn follow<R: ResponseBody>(mut self, mut answer: BoxFuture<'static, R>) -> R {
        let mut response = std::future::poll_fn(|cx| {
            let watch = Stopwatch::start();
            let polled: Poll<R> = Pin::new(&mut answer).poll(cx);
            self.spent += watch.elapsed();
            polled
        })
        .await;
        self.charge(&mut response);
        response
    }
}

/// Something that can be sent as the body of a response.
pub trait ResponseBody: Send + 'static {
    /// The whole frame, length included.
    fn into_answer(self, correlation_id: i32, version: i16) -> Result<Answer, String>;

    /// Tells the client that it will not be heard for so long.
    fn throttle(&mut self, wait_ms: i32);
}

/// The field that a response has in one of its versions; DescribeQuorum never has it.
pub trait ThrottleTime {
    fn throttle_time_ms(&mut self) -> Option<&mut i32>;
}

impl ThrottleTime for m::DescribeQuorumResponse {
    fn throttle_time_ms(&mut self) -> Option<&mut i32> {
        None
    }
}

impl<T: Encodable + HeaderVersion + ThrottleTime + Send + 'static> ResponseBody for T {
    fn throttle(&mut self, wait_ms: i32) {
        if let Some(told) = self.throttle_time_ms() {
            *told = wait_ms.max(*told);
        }
    }

    fn into_answer(self, correlation_id: i32, version: i16) -> Result<Answer, String> {
        let size = self.compute_size(version).map_err(|error| error.to_string())?;
        let mut frame = BytesMut::with_capacity(size + 9);
        frame.put_i32(0);
        frame.put_i32(correlation_id);
        if T::header_version(version) >= 1 {
            frame.put_u8(0);
        }
        self.encode(&mut frame, version).map_err(|error| error.to_string())?;
        Ok(Answer::One(with_length(frame)))
    }
}

/// Fills in the length prefix of a frame whose first four bytes were kept for it.
pub fn with_length(mut frame: BytesMut) -> Bytes {
    let len =
        i32::try_from(frame.len() - 4).expect("an answer is far below 2 GiB: fetches are bounded by fetch.max.bytes");
    frame[..4].copy_from_slice(&len.to_be_bytes());
    frame.freeze()
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Api {
    pub key: i16,
    pub name: &'static str,
    /// What ApiVersions says.
    pub min_version: i16,
    pub max_version: i16,
}

macro_rules! apis {
    ($($name:ident $key:literal $min:literal..=$max:literal => $module:ident($request:ident),)*) => {
        $(pub mod $module;)*

        /// All APIs served, in the order of their keys.
        pub const APIS: &[Api] = &[$(Api { key: $key, name: stringify!($name), min_version: $min, max_version: $max },)*];

        /// Runs the handler of a request that the guard has let through.
        async fn dispatch(ctx: &mut Context<'_>, key: i16, body: Bytes, correlation_id: i32) -> Reaction {
            let begun = ctx.metered.is(Use::Request).then(Stopwatch::start);
            match key {
                $($key => {
                    let request = match decode::<m::$request>(body, ctx.version) {
                        Ok(request) => request,
                        Err(reason) => return Reaction::Close(format!(concat!(stringify!($name), " version {}: {}"), ctx.version, reason)),
                    };
                    let reply = Box::pin($module::handle(ctx, request)).await;
                    react(ctx, begun, reply, correlation_id)
                })*
                _ => Reaction::Close(format!("API key {key} is not served")),
            }
        }
    };
}

apis! {
    Produce 0 0..=13 => produce(ProduceRequest),
    Fetch 1 4..=18 => fetch(FetchRequest),
    ListOffsets 2 1..=10 => list_offsets(ListOffsetsRequest),
    Metadata 3 0..=13 => metadata(MetadataRequest),
    OffsetCommit 8 2..=9 => offset_commit(OffsetCommitRequest),
    OffsetFetch 9 1..=9 => offset_fetch(OffsetFetchRequest),
    FindCoordinator 10 0..=6 => find_coordinator(FindCoordinatorRequest),
    JoinGroup 11 0..=9 => join_group(JoinGroupRequest),
    Heartbeat 12 0..=4 => heartbeat(HeartbeatRequest),
    LeaveGroup 13 0..=5 => leave_group(LeaveGroupRequest),
    SyncGroup 14 0..=5 => sync_group(SyncGroupRequest),
    DescribeGroups 15 0..=6 => describe_groups(DescribeGroupsRequest),
    ListGroups 16 0..=5 => list_groups(ListGroupsRequest),
    ApiVersions 18 0..=4 => api_versions(ApiVersionsRequest),
    CreateTopics 19 2..=7 => create_topics(CreateTopicsRequest),
    DeleteTopics 20 1..=6 => delete_topics(DeleteTopicsRequest),
    DeleteRecords 21 0..=2 => delete_records(DeleteRecordsRequest),
    InitProducerId 22 0..=5 => init_producer_id(InitProducerIdRequest),
    OffsetForLeaderEpoch 23 2..=4 => offset_for_leader_epoch(OffsetForLeaderEpochRequest),
    DescribeAcls 29 1..=3 => describe_acls(DescribeAclsRequest),
    CreateAcls 30 1..=3 => create_acls(CreateAclsRequest),
    DeleteAcls 31 1..=3 => delete_acls(DeleteAclsRequest),
    DescribeConfigs 32 1..=4 => describe_configs(DescribeConfigsRequest),
    AlterConfigs 33 0..=2 => alter_configs(AlterConfigsRequest),
    DescribeLogDirs 35 1..=4 => describe_log_dirs(DescribeLogDirsRequest),
    CreatePartitions 37 0..=3 => create_partitions(CreatePartitionsRequest),
    DeleteGroups 42 0..=2 => delete_groups(DeleteGroupsRequest),
    ElectLeaders 43 0..=2 => elect_leaders(ElectLeadersRequest),
    IncrementalAlterConfigs 44 0..=1 => incremental_alter_configs(IncrementalAlterConfigsRequest),
    AlterPartitionReassignments 45 0..=1 => alter_partition_reassignments(AlterPartitionReassignmentsRequest),
    ListPartitionReassignments 46 0..=0 => list_partition_reassignments(ListPartitionReassignmentsRequest),
    OffsetDelete 47 0..=0 => offset_delete(OffsetDeleteRequest),
    DescribeClientQuotas 48 0..=1 => describe_client_quotas(DescribeClientQuotasRequest),
    AlterClientQuotas 49 0..=1 => alter_client_quotas(AlterClientQuotasRequest),
    DescribeQuorum 55 0..=2 => describe_quorum(DescribeQuorumRequest),
    DescribeCluster 60 0..=2 => describe_cluster(DescribeClusterRequest),
    DescribeProducers 61 0..=0 => describe_producers(DescribeProducersRequest),
    DescribeTransactions 65 0..=0 => describe_transactions(DescribeTransactionsRequest),
    ListTransactions 66 0..=2 => list_transactions(ListTransactionsRequest),
    DescribeTopicPartitions 75 0..=0 => describe_topic_partitions(DescribeTopicPartitionsRequest),
}

macro_rules! throttled {
    ($($response:ident)*) => {
        $(impl ThrottleTime for m::$response {
            fn throttle_time_ms(&mut self) -> Option<&mut i32> {
                Some(&mut self.throttle_time_ms)
            }
        })*
    };
}

throttled! {
    ProduceResponse ListOffsetsResponse MetadataResponse OffsetCommitResponse OffsetFetchResponse
    FindCoordinatorResponse JoinGroupResponse HeartbeatResponse LeaveGroupResponse SyncGroupResponse
    DescribeGroupsResponse ListGroupsResponse ApiVersionsResponse CreateTopicsResponse DeleteTopicsResponse
    DeleteRecordsResponse InitProducerIdResponse OffsetForLeaderEpochResponse DescribeAclsResponse
    CreateAclsResponse DeleteAclsResponse DescribeConfigsResponse AlterConfigsResponse DescribeLogDirsResponse
    CreatePartitionsResponse DeleteGroupsResponse ElectLeadersResponse IncrementalAlterConfigsResponse
    AlterPartitionReassignmentsResponse ListPartitionReassignmentsResponse OffsetDeleteResponse
    DescribeClientQuotasResponse AlterClientQuotasResponse DescribeClusterResponse DescribeProducersResponse
    DescribeTransactionsResponse ListTransactionsResponse DescribeTopicPartitionsResponse
}

/// The row of an API.
pub fn api(key: i16) -> Option<&'static Api> {
    APIS.iter().find(|api| api.key == key)
}

fn decode<T: Decodable>(mut body: Bytes, version: i16) -> Result<T, String> {
    let request = T::decode(&mut body, version).map_err(|error| error.to_string())?;
    if body.is_empty() { Ok(request) } else { Err(format!("{} bytes left over", body.len())) }
}

fn react<R: ResponseBody>(
    ctx: &Context<'_>,
    begun: Option<Stopwatch>,
    reply: Reply<R>,
    correlation_id: i32,
) -> Reaction {
    let version = ctx.version;
    let toll = begun.and_then(|begun| Some(Toll { payer: ctx.meter(Use::Request)?, spent: begun.elapsed() }));
    let reply = match (reply, toll) {
        (Reply::Now(mut response), Some(toll)) => {
            toll.charge(&mut response);
            Reply::Now(response)
        }
        (Reply::Later(answer), Some(toll)) => Reply::Later(Box::pin(toll.follow(answer))),
        (reply, _) => reply,
    };
    match reply {
        Reply::Now(response) => match response.into_answer(correlation_id, version) {
            Ok(answer) => Reaction::Answer(answer),
            Err(error) => Reaction::Close(unencodable(version, &error)),
        },
        Reply::Later(future) => Reaction::Later(Box::pin(async move {
            future
                .await
                .into_answer(correlation_id, version)
                .unwrap_or_else(|error| panic!("{}", unencodable(version, &error)))
        })),
        Reply::None => Reaction::Silent,
        Reply::Close(reason) => Reaction::Close(reason),
    }
}

/// An answer that its version cannot carry is a fault of ours, and says so.
fn unencodable(version: i16, error: &str) -> String {
    format!("our answer does not fit version {version}: {error}")
}

/// A string of ours as the message crate wants it.
pub fn text(value: impl AsRef<str>) -> StrBytes {
    StrBytes::from_string(value.as_ref().to_owned())
}

/// What goes with an error code; null where there is nothing to say.
pub fn sentence(message: &str) -> Option<StrBytes> {
    (!message.is_empty()).then(|| text(message))
}

/// An answer must fit every version it is sent in: the message crate refuses a field that a version does not have.
#[cfg(test)]
pub fn check_versions<R: ResponseBody + Clone>(response: R, versions: std::ops::RangeInclusive<i16>) {
    for version in versions {
        if let Err(error) = response.clone().into_answer(1, version) {
            panic!("version {version}: {error}");
        }
    }
}

/// The front door: `net` brings frames here.
pub struct Front {
    pub broker: Arc<Broker>,
}

impl Service for Front {
    type Session = Session;

    fn connected(&self, peer: Peer) -> Session {
        let client_host = format!("/{}", peer.address.ip().to_canonical()).into();
        Session { peer, client_host, has_asked: false, has_come_back: false, muted: Arc::default() }
    }

    async fn call<'a>(&'a self, session: &'a mut Session, frame: Bytes) -> Reaction {
        self.broker.metrics.requests.add(1);
        match self.admit(&frame) {
            Ok((header, end)) => {
                self.notice(session, header.api_key);
                let body = frame.slice(header.body_offset..end);
                let client_id = header.client_id.unwrap_or_default();
                let mut ctx = Context {
                    broker: &self.broker,
                    session,
                    version: header.version,
                    client_id,
                    request_bytes: body.len(),
                    metered: self.broker.quotas.metered(),
                };
                dispatch(&mut ctx, header.api_key, body, header.correlation_id).await
            }
            Err(reaction) => {
                self.broker.metrics.requests_refused.add(1);
                reaction
            }
        }
    }

    fn too_fast(&self, ip: IpAddr) -> Option<Duration> {
        self.broker.quotas.connect(ip)
    }

    fn muted(&self, session: &Session) -> Option<Duration> {
        let told = &session.muted.0;
        let is_told = told.load(Ordering::Relaxed) > 0;
        is_told.then(|| Duration::from_millis(told.swap(0, Ordering::Relaxed)))
    }

    fn disconnected(&self, session: Session) {
        // A panic while a connection is being taken down must not take the process with it.
        let broker = &self.broker;
        if session.has_asked {
            broker.visitors.left(session.peer.address.ip().to_canonical());
        }
        let _ = std::panic::catch_unwind(AssertUnwindSafe(|| broker.connection_closed(session.peer.connection)));
    }
}

impl Front {
    /// Sees who asks for the brokers and who comes back (`broker/visitors.rs`). Costs a look at the session for all but the
    /// first request and those for metadata.
    fn notice(&self, session: &mut Session, api_key: i16) {
        const DESCRIBE_CLUSTER: i16 = 60;
        if session.has_come_back || matches!(api_key, api_versions::KEY | DESCRIBE_CLUSTER) {
            return;
        }
        let (visitors, peer) = (&self.broker.visitors, &session.peer);
        let ip = peer.address.ip().to_canonical();
        if api_key == metadata::KEY {
            visitors.asked_for_brokers(ip, peer.listener, !session.has_asked, self.broker.clock.now().mono);
            session.has_asked = true;
        } else {
            session.has_come_back = true;
            visitors.came_back(ip);
        }
    }

    /// Reads the header and walks the body along its schema; nothing is decoded before (S3). Also says where the body ends:
    /// what some clients leave behind it is passed over, as Kafka does.
    fn admit<'f>(&self, frame: &'f Bytes) -> Result<(schema::RequestHeader<'f>, usize), Reaction> {
        let header = schema::read_header(frame).map_err(|error| Reaction::Close(format!("request header: {error}")))?;
        let Some(row) = api(header.api_key) else {
            return Err(Reaction::Close(format!("API key {} is not served", header.api_key)));
        };
        let version = header.version;
        if version < row.min_version || version > row.max_version {
            if row.key == api_versions::KEY {
                return Err(api_versions::unsupported(header.correlation_id));
            }
            return Err(Reaction::Close(format!(
                "{} version {version} is not served ({} to {} are)",
                row.name, row.min_version, row.max_version
            )));
        }
        if row.key == produce::KEY && version < produce::FIRST_VERSION {
            return Err(produce::too_old(version));
        }
        let (settings, usual) = (&self.broker.settings, schema::Limits::default());
        let limits = schema::Limits {
            max_request_bytes: settings.net.socket_request_max_bytes,
            max_decoded_bytes: usual.max_decoded_bytes.min(settings.memory.decompression),
        };
        let len = schema::check(row.key, version, &frame[header.body_offset..], &limits)
            .map_err(|refusal| Reaction::Close(format!("{} version {version}: {refusal}", row.name)))?;
        let end = header.body_offset + len;
        Ok((header, end))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Fails with the reason if this version cannot carry the answer: a field set that it does not have.
    pub fn encodes<R: ResponseBody + Clone>(response: &R, version: i16) {
        if let Err(error) = response.clone().into_answer(1, version) {
            panic!("{}", unencodable(version, &error));
        }
    }
}
