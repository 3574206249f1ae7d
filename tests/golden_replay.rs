//! What Apache Kafka 4.3.1 answered to 70 requests, asked again: same order, one connection, state carried over.
//!
//! `tests/golden/*.jsonl` are the captured exchanges. Ids of that day (topic ids, member ids, producer ids, sessions, the
//! cluster, the address) are replaced by our own as they appear, and must stay the same from then on. Everything else of an
//! answer must be equal: every field, count, order, null, error code and sentence. What is not equal stands in
//! `tests/golden/differences.md` with its reason; a difference that is not listed fails the test, and so does one that is
//! listed and no longer there. `UPDATE=1` writes the list anew, with room for the reasons.
//!
//! `GOLDEN_AGAINST=localhost:9092` replays against any broker instead of one in this process. Against a fresh Apache Kafka
//! (`scripts/kafka-peer.sh run --data DIR --port 9092`) there is nothing to differ, which is how this test is tested.

mod support;
#[path = "golden/tree.rs"]
mod tree;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages as m;
use kafka_protocol::messages::{RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request};
use milena::record::{HEADER_LEN, Header, checksum_matches};
use support::{TestBroker, topic};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tree::Tree;

const FILES: [&str; 11] = [
    "handshake",
    "metadata",
    "topics",
    "produce",
    "idempotence",
    "fetch",
    "offsets",
    "groups",
    "group848",
    "transactions",
    "admin",
];

/// Fields whose values belong to one run of one broker.
const OWN: [&str; 10] = [
    "topic_id",
    "member_id",
    "leader",
    "producer_id",
    "session_id",
    "cluster_id",
    "host",
    "port",
    "client_instance_id",
    "subscription_id",
];

/// Values of such fields that mean "none", and must be the same on both sides.
const NONE: [&str; 5] = ["null", "\"\"", "-1", "0", "00000000-0000-0000-0000-000000000000"];

#[tokio::test(flavor = "multi_thread")]
async fn kafkas_answers_are_ours_but_for_what_is_listed() {
    let mut replay = Replay::begin().await;
    let exchanges = exchanges();
    for exchange in &exchanges {
        replay.fill_in_before(exchange, &exchanges).await;
        replay.repeat(exchange).await;
    }
    let found = replay.end().await;
    if std::env::var_os("GOLDEN_AGAINST").is_some() {
        for (place, difference) in &found {
            println!("{} {}: {}", place.0, place.1, difference.0);
        }
        assert!(found.is_empty(), "{} differences", found.len());
        return;
    }
    compare_with_the_list(&found);
}

/// The message crate and the captured bytes agree: every answer is decoded and encoded without losing a byte.
#[test]
fn captured_answers_survive_decoding_and_encoding() {
    for exchange in exchanges() {
        let Some(response) = &exchange.response else { continue };
        let (_, again) = decode(exchange.api_key, exchange.answered_version(), response);
        assert_eq!(again, response, "{}", exchange.id);
    }
}

// -- what was captured ------------------------------------------------------------------------------------------------------------

struct Exchange {
    id: String,
    api_key: i16,
    version: i16,
    correlation_id: i32,
    request: Bytes,
    /// `None` where the broker hung up instead.
    response: Option<Bytes>,
}

impl Exchange {
    fn read(line: &str) -> Exchange {
        let text = |name: &str| {
            let begin = format!("\"{name}\": \"");
            let (_, rest) = line.split_once(&begin).unwrap_or_else(|| panic!("{name} in {line}"));
            rest.split_once('"').expect("a closing quote").0.to_owned()
        };
        let request = unhex(&text("request_hex"));
        let response = unhex(&text("response_hex"));
        Exchange {
            id: text("id"),
            api_key: i16::from_be_bytes([request[0], request[1]]),
            version: i16::from_be_bytes([request[2], request[3]]),
            correlation_id: i32::from_be_bytes([request[4], request[5], request[6], request[7]]),
            request,
            response: (!response.is_empty()).then_some(response),
        }
    }

    /// ApiVersions in a version that the broker does not know is answered in version 0.
    fn answered_version(&self) -> i16 {
        if self.api_key == 18 && self.version > 4 { 0 } else { self.version }
    }
}

/// All exchanges in the order they were sent.
fn exchanges() -> Vec<Exchange> {
    let read = |file: &str| {
        let path = golden(&format!("{file}.jsonl"));
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let mut all: Vec<Exchange> =
        FILES.iter().flat_map(|file| read(file).lines().map(Exchange::read).collect::<Vec<_>>()).collect();
    all.sort_by_key(|exchange| exchange.correlation_id);
    all
}

fn golden(file: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "golden", file].iter().collect()
}

fn unhex(text: &str) -> Bytes {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
}

// -- the replay -------------------------------------------------------------------------------------------------------------------

/// Which exchange, and where in its answer.
type Place = (String, String);

/// What Kafka has there and what we have: two cells of the table.
#[derive(Clone, Debug, PartialEq)]
struct Difference(String);

struct Replay {
    /// `None` when `GOLDEN_AGAINST` names another broker.
    broker: Option<TestBroker>,
    address: String,
    stream: TcpStream,
    /// For each kind of id: what it was that day, and what it is now.
    own: BTreeMap<&'static str, BTreeMap<String, String>>,
    differences: BTreeMap<Place, Difference>,
}

impl Replay {
    async fn begin() -> Replay {
        let (broker, address) = match std::env::var("GOLDEN_AGAINST") {
            Ok(address) => (None, address),
            Err(_) => {
                let broker = TestBroker::with(&["node.id=1"]).await;
                let address = format!("127.0.0.1:{}", broker.port());
                (Some(broker), address)
            }
        };
        let stream = TcpStream::connect(&address).await.expect("the broker listens");
        Replay { broker, address, stream, own: BTreeMap::new(), differences: BTreeMap::new() }
    }

    async fn end(self) -> BTreeMap<Place, Difference> {
        if let Some(broker) = self.broker {
            broker.stop().await;
        }
        self.differences
    }

    async fn repeat(&mut self, exchange: &Exchange) {
        let request = self.with_own_ids(exchange);
        let answer = self.ask_until_ready(exchange.api_key, exchange.answered_version(), &request).await;
        let at = |path: &str| (exchange.id.clone(), path.to_owned());
        match (&exchange.response, answer) {
            (None, None) => {}
            (Some(expected), Some(answer)) => {
                assert_eq!(answer[..4], expected[..4], "{}: the correlation id", exchange.id);
                let (expected, _) = decode(exchange.api_key, exchange.answered_version(), expected);
                let (answer, _) = decode(exchange.api_key, exchange.answered_version(), &answer);
                self.compare(&exchange.id, "", &expected, &answer);
            }
            (expected, _) => {
                let (kafka, ours) = ("an answer", "none, the connection is closed");
                let (kafka, ours) = if expected.is_some() { (kafka, ours) } else { (ours, kafka) };
                self.differ(at(&format!("(api_key={})", exchange.api_key)), kafka, ours);
            }
        }
    }

    /// Kafka tells clients to come again while it makes its internal topics. It did not when the exchanges were captured,
    /// and we never do, so only a replay against Kafka asks again.
    async fn ask_until_ready(&mut self, api_key: i16, version: i16, request: &[u8]) -> Option<Bytes> {
        loop {
            let answer = self.ask(request).await;
            let is_ready = |answer: &Bytes| {
                let tree = format!("{:?}", decode(api_key, version, answer).0);
                let says = |code: &str| tree.contains(&format!("(\"error_code\", Leaf(\"{code}\"))"));
                !["14", "15", "16", "51"].iter().any(|code| says(code))
            };
            if self.broker.is_some() || answer.as_ref().is_none_or(is_ready) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Sends a frame and reads the answer. When the broker hangs up, the next request goes over a new connection.
    async fn ask(&mut self, request: &[u8]) -> Option<Bytes> {
        let mut frame = (request.len() as i32).to_be_bytes().to_vec();
        frame.extend_from_slice(request);
        self.stream.write_all(&frame).await.expect("the broker takes the request");
        let read = async {
            let len = self.stream.read_i32().await.ok()?;
            let mut frame = vec![0; usize::try_from(len).expect("a length")];
            self.stream.read_exact(&mut frame).await.ok()?;
            Some(Bytes::from(frame))
        };
        let answer = tokio::time::timeout(support::PATIENCE, read).await.expect("an answer or an end in time");
        if answer.is_none() {
            self.stream = TcpStream::connect(&self.address).await.expect("the broker listens");
        }
        answer
    }

    fn differ(&mut self, place: Place, kafka: &str, ours: &str) {
        let short = |text: &str| text.replace('|', "\\|").chars().take(160).collect::<String>();
        self.differences.insert(place, Difference(format!("{} | {}", short(kafka), short(ours))));
    }

    fn compare(&mut self, id: &str, path: &str, kafka: &Tree, ours: &Tree) {
        match (kafka, ours) {
            (Tree::Fields(left), Tree::Fields(right)) => {
                let names = |fields: &[(String, Tree)]| fields.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
                assert_eq!(names(left), names(right), "one struct on both sides");
                for ((name, left), (_, right)) in left.iter().zip(right) {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    match (name.as_str(), left, right) {
                        // A counter of metadata changes, which no two brokers count alike.
                        ("finalized_features_epoch", ..) => {}
                        ("records", Tree::Bytes(left), Tree::Bytes(right)) => {
                            self.compare(id, &path, &batches(left), &batches(right));
                        }
                        _ => self.compare(id, &path, left, right),
                    }
                }
            }
            (Tree::List(left), Tree::List(right)) => {
                let (pairs, in_order) = tree::pairs(left, right);
                // Kafka lists and describes groups in the order of hash maps.
                if !in_order && !["groups-107", "groups-109"].contains(&id) {
                    self.differ((id.to_owned(), format!("{path}(order)")), "in Kafka's order", "in another");
                }
                for (label, left, right) in pairs {
                    let path = format!("{path}[{label}]");
                    match (left, right) {
                        (Some(left), Some(right)) => self.compare(id, &path, left, right),
                        (Some(_), None) => self.differ((id.to_owned(), path), "there", "missing"),
                        (None, _) => self.differ((id.to_owned(), path), "not there", "there"),
                    }
                }
            }
            (Tree::Leaf(left), Tree::Leaf(right)) => {
                let name = path.rsplit('.').next().unwrap_or(path);
                if !self.is_same(name, left, right) {
                    self.differ((id.to_owned(), path.to_owned()), left, right);
                }
            }
            _ if kafka == ours => {}
            _ => self.differ((id.to_owned(), path.to_owned()), &format!("{kafka:?}"), &format!("{ours:?}")),
        }
    }

    /// Equal; or ids of the same thing, each in its own run.
    fn is_same(&mut self, name: &str, kafka: &str, ours: &str) -> bool {
        let Some(kind) = OWN.iter().find(|own| **own == name) else { return kafka == ours };
        if NONE.contains(&kafka) && *kind != "producer_id" || kafka == "-1" {
            return kafka == ours;
        }
        // JoinGroup's leader is a member.
        let kind = if *kind == "leader" { "member_id" } else { kind };
        let known = self.own.entry(kind).or_default();
        match known.get(kafka) {
            Some(own) => own == ours,
            None => {
                let is_new = !NONE[..3].contains(&ours) && !known.values().any(|own| own == ours);
                if is_new {
                    known.insert(kafka.to_owned(), ours.to_owned());
                }
                is_new
            }
        }
    }

    // -- our ids in their requests ------------------------------------------------------------------------------------------------

    fn with_own_ids(&self, exchange: &Exchange) -> Bytes {
        let mut frame = exchange.request.to_vec();
        for (theirs, own) in self.own.get("topic_id").into_iter().flatten() {
            let bytes = |text: &str| uuid::Uuid::parse_str(text).expect("a topic id").into_bytes();
            replace(&mut frame, &bytes(theirs), &bytes(own));
        }
        for (theirs, own) in self.own.get("member_id").into_iter().flatten() {
            // Both are the client's id and a UUID, so every length in the frame stays right.
            assert_eq!(theirs.len(), own.len(), "member ids are built like Kafka's");
            replace(&mut frame, theirs.trim_matches('"').as_bytes(), own.trim_matches('"').as_bytes());
        }
        for (theirs, own) in self.own.get("session_id").into_iter().flatten() {
            let bytes = |text: &str| text.parse::<i32>().expect("a session id").to_be_bytes();
            replace(&mut frame, &bytes(theirs), &bytes(own));
        }
        let frame = Bytes::from(frame);
        match exchange.api_key {
            0 => self.with_own_producer(frame),
            24 => reworked(frame, |request: &mut m::AddPartitionsToTxnRequest| {
                request.v3_and_below_producer_id = self.own_producer(request.v3_and_below_producer_id.0).into();
            }),
            26 => reworked(frame, |request: &mut m::EndTxnRequest| {
                request.producer_id = self.own_producer(request.producer_id.0).into();
            }),
            _ => frame,
        }
    }

    fn own_producer(&self, theirs: i64) -> i64 {
        let own = self.own.get("producer_id").and_then(|known| known.get(&theirs.to_string()));
        own.map_or(theirs, |own| own.parse().expect("a producer id"))
    }

    /// A Produce whose batches name our producer. Only such batches are touched: a wrong checksum stays wrong.
    fn with_own_producer(&self, frame: Bytes) -> Bytes {
        reworked(frame, |request: &mut m::ProduceRequest| {
            for data in request.topic_data.iter_mut().flat_map(|topic| &mut topic.partition_data) {
                let Some(records) = &data.records else { continue };
                let mut header = Header::read(records).expect("a batch header");
                if header.has_producer() {
                    header.producer_id.0 = self.own_producer(header.producer_id.0);
                    data.records = Some(sealed(header, records));
                }
            }
        })
    }

    // -- what was not captured ----------------------------------------------------------------------------------------------------

    /// Some steps were not recorded; what later answers show of them is done here.
    async fn fill_in_before(&mut self, exchange: &Exchange, all: &[Exchange]) {
        let captured = |id: &str| all.iter().find(|exchange| exchange.id == id).expect("an exchange");
        match exchange.id.as_str() {
            "metadata-27" => {
                self.create_topic("beta", &[]).await;
                self.create_topic("small", &[("max.message.bytes", "200")]).await;
                self.create_topic("tx", &[]).await;
            }
            "produce-41" => {
                let stored: m::FetchResponse = message(captured("fetch-61"));
                let batch = stored_batches(&stored).pop().expect("the third batch, which was sent here");
                self.produce("alpha", as_sent(&batch, -1), None).await;
            }
            "groups-102" => self.commit_alone("solo").await,
            "transactions-130" => {
                let first = m::InitProducerIdRequest::default()
                    .with_transactional_id(Some(support::text("tx1").into()))
                    .with_transaction_timeout_ms(60_000);
                self.step(4, first).await;
            }
            "transactions-132" => {
                let stored: m::FetchResponse = message(captured("transactions-142"));
                let batch = stored_batches(&stored).remove(0);
                let theirs = Header::read(&batch).expect("a batch header").producer_id.0;
                self.produce("tx", as_sent(&batch, self.own_producer(theirs)), Some("tx1")).await;
            }
            _ => {}
        }
    }

    async fn create_topic(&mut self, name: &str, configs: &[(&str, &str)]) {
        let configs = configs.iter().map(|(name, value)| {
            m::create_topics_request::CreatableTopicConfig::default()
                .with_name(support::text(name))
                .with_value(Some(support::text(value)))
        });
        let topic = m::create_topics_request::CreatableTopic::default()
            .with_name(topic(name))
            .with_num_partitions(1)
            .with_replication_factor(1)
            .with_configs(configs.collect());
        self.step(7, m::CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000)).await;
    }

    async fn produce(&mut self, name: &str, batch: Bytes, transactional_id: Option<&str>) {
        let id = transactional_id.map(|id| support::text(id).into());
        let request = support::produce_request(name, 0, batch, -1).with_transactional_id(id);
        self.step(9, request).await;
    }

    /// Commits an offset for a group without members.
    async fn commit_alone(&mut self, group: &str) {
        let partition = m::offset_commit_request::OffsetCommitRequestPartition::default().with_committed_offset(1);
        let topic = m::offset_commit_request::OffsetCommitRequestTopic::default()
            .with_name(topic("alpha"))
            .with_partitions(vec![partition]);
        let request = m::OffsetCommitRequest::default()
            .with_group_id(support::text(group).into())
            .with_generation_id_or_member_epoch(-1)
            .with_topics(vec![topic]);
        self.step(8, request).await;
    }

    /// A step of our own. What goes wrong with it shows in the answers after it.
    async fn step<R: Request>(&mut self, version: i16, request: R) {
        let frame = support::frame(version, 0, &request).freeze();
        if self.ask_until_ready(R::KEY, version, &frame[4..]).await.is_none() {
            println!("no answer to {} version {version}", std::any::type_name::<R>());
        }
    }
}

/// Decodes a request, changes it, encodes it again under the same header.
fn reworked<R: Request + Decodable + Encodable>(frame: Bytes, change: impl FnOnce(&mut R)) -> Bytes {
    let version = i16::from_be_bytes([frame[2], frame[3]]);
    let header_version = <R as HeaderVersion>::header_version(version);
    let mut rest = frame;
    let header = RequestHeader::decode(&mut rest, header_version).expect("a request header");
    let mut request = R::decode(&mut rest, version).expect("a request");
    change(&mut request);
    let mut frame = BytesMut::new();
    header.encode(&mut frame, header_version).expect("a header");
    request.encode(&mut frame, version).expect("a request that fits its version");
    frame.freeze()
}

fn replace(frame: &mut [u8], theirs: &[u8], own: &[u8]) {
    let mut at = 0;
    while at + theirs.len() <= frame.len() {
        if frame[at..].starts_with(theirs) {
            frame[at..at + own.len()].copy_from_slice(own);
            at += own.len();
        } else {
            at += 1;
        }
    }
}

/// A stored batch as its producer had sent it.
fn as_sent(batch: &[u8], producer_id: i64) -> Bytes {
    let mut header = Header::read(batch).expect("a batch header");
    header.base_offset.0 = 0;
    header.leader_epoch.0 = -1;
    header.producer_id.0 = producer_id;
    sealed(header, batch)
}

/// A batch under another header, with a checksum that is right.
fn sealed(header: Header, batch: &[u8]) -> Bytes {
    const CHECKED_FROM: usize = 21;
    let mut sealed = batch.to_vec();
    let head = sealed.first_chunk_mut::<HEADER_LEN>().expect("a whole header");
    header.write(head);
    let crc = crc32c::crc32c(&sealed[CHECKED_FROM..]);
    sealed[CHECKED_FROM - 4..CHECKED_FROM].copy_from_slice(&crc.to_be_bytes());
    assert!(checksum_matches(&sealed));
    Bytes::from(sealed)
}

// -- answers ----------------------------------------------------------------------------------------------------------------------

fn message<R: Decodable + HeaderVersion>(exchange: &Exchange) -> R {
    let mut rest = exchange.response.clone().expect("an answer");
    ResponseHeader::decode(&mut rest, R::header_version(exchange.version)).expect("a response header");
    R::decode(&mut rest, exchange.version).expect("a response")
}

fn stored_batches(response: &m::FetchResponse) -> Vec<Bytes> {
    split(response.responses[0].partitions[0].records.as_ref().expect("records"))
}

fn split(records: &[u8]) -> Vec<Bytes> {
    let mut rest = Bytes::copy_from_slice(records);
    let mut batches = Vec::new();
    while !rest.is_empty() {
        let header = Header::read(&rest).expect("a batch header");
        batches.push(rest.split_to(header.size()));
    }
    batches
}

/// Batches as a tree: the header without what the producer's id changes, and the records as they lie there.
fn batches(records: &[u8]) -> Tree {
    let one = |batch: Bytes| {
        assert!(checksum_matches(&batch), "a batch with a wrong checksum was served");
        let header = Header::read(&batch).expect("a batch header");
        let number = |name: &str, value: i64| (name.to_owned(), Tree::Leaf(value.to_string()));
        Tree::Fields(vec![
            number("base_offset", header.base_offset.0),
            number("last_offset", header.last_offset().0),
            number("leader_epoch", header.leader_epoch.0.into()),
            number("attributes", header.attributes.into()),
            number("base_timestamp", header.base_timestamp.0),
            number("max_timestamp", header.max_timestamp.0),
            number("producer_id", header.producer_id.0),
            number("producer_epoch", header.producer_epoch.0.into()),
            number("base_sequence", header.base_sequence.0.into()),
            number("count", header.count.into()),
            ("payload".to_owned(), Tree::Bytes(batch[HEADER_LEN..].to_vec())),
        ])
    };
    Tree::List(split(records).into_iter().map(one).collect())
}

/// An answer as a tree, and the frame encoded once more.
fn decode(api_key: i16, version: i16, frame: &Bytes) -> (Tree, Bytes) {
    fn one<R: Decodable + Encodable + HeaderVersion + std::fmt::Debug>(version: i16, frame: &Bytes) -> (Tree, Bytes) {
        let mut rest = frame.clone();
        let header = ResponseHeader::decode(&mut rest, R::header_version(version)).expect("a response header");
        let response = R::decode(&mut rest, version).expect("a response");
        assert!(rest.is_empty(), "{} bytes behind the response", rest.len());
        let mut again = BytesMut::new();
        header.encode(&mut again, R::header_version(version)).expect("a header");
        response.encode(&mut again, version).expect("a response that fits its version");
        (Tree::of(&response), again.freeze())
    }
    let decode = match api_key {
        0 => one::<m::ProduceResponse>,
        1 => one::<m::FetchResponse>,
        2 => one::<m::ListOffsetsResponse>,
        3 => one::<m::MetadataResponse>,
        8 => one::<m::OffsetCommitResponse>,
        9 => one::<m::OffsetFetchResponse>,
        10 => one::<m::FindCoordinatorResponse>,
        11 => one::<m::JoinGroupResponse>,
        12 => one::<m::HeartbeatResponse>,
        13 => one::<m::LeaveGroupResponse>,
        14 => one::<m::SyncGroupResponse>,
        15 => one::<m::DescribeGroupsResponse>,
        16 => one::<m::ListGroupsResponse>,
        17 => one::<m::SaslHandshakeResponse>,
        18 => one::<m::ApiVersionsResponse>,
        19 => one::<m::CreateTopicsResponse>,
        20 => one::<m::DeleteTopicsResponse>,
        21 => one::<m::DeleteRecordsResponse>,
        22 => one::<m::InitProducerIdResponse>,
        23 => one::<m::OffsetForLeaderEpochResponse>,
        24 => one::<m::AddPartitionsToTxnResponse>,
        26 => one::<m::EndTxnResponse>,
        32 => one::<m::DescribeConfigsResponse>,
        37 => one::<m::CreatePartitionsResponse>,
        42 => one::<m::DeleteGroupsResponse>,
        44 => one::<m::IncrementalAlterConfigsResponse>,
        60 => one::<m::DescribeClusterResponse>,
        68 => one::<m::ConsumerGroupHeartbeatResponse>,
        69 => one::<m::ConsumerGroupDescribeResponse>,
        71 => one::<m::GetTelemetrySubscriptionsResponse>,
        75 => one::<m::DescribeTopicPartitionsResponse>,
        other => panic!("API key {other} is not known to this test"),
    };
    decode(version, frame)
}

// -- the list ---------------------------------------------------------------------------------------------------------------------

const HEAD: &str = "\
# Where our answers differ from Apache Kafka's

Kept by `tests/golden_replay.rs`: what is listed here must differ, what is not must not. `UPDATE=1 cargo test --test
golden_replay` writes the table anew: lines that are no longer true go, lines that stay keep their reasons, and new ones come
without. Those are to be written by hand; a line without a reason fails the test.

| exchanges | where in the answer | Apache Kafka 4.3.1 | Milena | why |
| --- | --- | --- | --- | --- |
";

/// What differs, and the reason.
type Listed = BTreeMap<Place, (Difference, String)>;

fn compare_with_the_list(found: &BTreeMap<Place, Difference>) {
    let path = golden("differences.md");
    let listed = read_list(&std::fs::read_to_string(&path).expect("the list of differences"));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, write_list(found, &listed)).expect("the list is written");
        return;
    }
    let mut complaints = String::new();
    for ((id, place), difference) in found {
        let known = listed.get(&(id.clone(), place.clone()));
        let complaint = match known {
            None => "not listed",
            Some((listed, _)) if listed != difference => "listed as something else",
            Some((_, why)) if why.is_empty() => "listed without a reason",
            Some(_) => continue,
        };
        writeln!(complaints, "{complaint}: {id} {place}: {}", difference.0).expect("a string takes it");
    }
    for (id, place) in listed.keys().filter(|place| !found.contains_key(*place)) {
        writeln!(complaints, "listed, and no longer so: {id} {place}").expect("a string takes it");
    }
    assert!(
        complaints.is_empty(),
        "tests/golden/differences.md (Kafka | ours), see its head for how to write it anew:\n{complaints}"
    );
}

/// The table: in the order in which the exchanges were sent; what is the same in several of them takes one line.
fn write_list(found: &BTreeMap<Place, Difference>, listed: &Listed) -> String {
    let mut rows: Vec<(Vec<&str>, &str, &Difference, &str)> = Vec::new();
    let mut all: Vec<_> = found.iter().collect();
    let number = |id: &str| id.rsplit('-').next().and_then(|number| number.parse::<u32>().ok());
    all.sort_by_key(|((id, _), _)| number(id));
    for (at, difference) in all {
        let same_place =
            |((_, place), (listed, _)): &(&Place, &(Difference, String))| *place == at.1 && listed == difference;
        let why = listed.get(at).or_else(|| listed.iter().find(same_place).map(|(_, known)| known));
        let why = why.map_or("", |(_, why)| why);
        match rows.iter_mut().find(|(_, place, same, _)| *place == at.1 && *same == difference) {
            Some((ids, ..)) => ids.push(&at.0),
            None => rows.push((vec![&at.0], &at.1, difference, why)),
        }
    }
    let row = |(ids, place, difference, why): &(Vec<&str>, &str, &Difference, &str)| {
        format!("| {} | {place} | {} | {why} |\n", ids.join(", "), difference.0)
    };
    HEAD.to_owned() + &rows.iter().map(row).collect::<String>()
}

fn read_list(text: &str) -> Listed {
    let mut listed = Listed::new();
    for row in text.lines().filter(|line| line.starts_with("| ")).skip(2) {
        let cells: Vec<String> =
            row.replace("\\|", "\0").split('|').map(|cell| cell.trim().replace('\0', "\\|")).collect();
        let [_, ids, place, kafka, ours, why, _] = &cells[..] else { panic!("not a row of five: {row}") };
        for id in ids.split(", ") {
            let difference = Difference(format!("{kafka} | {ours}"));
            listed.insert((id.to_owned(), place.clone()), (difference, why.clone()));
        }
    }
    listed
}
