//! A broker in this process on a port of its own, and a client that speaks the protocol one request at a time.

#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages as m;
use kafka_protocol::messages::{ApiKey, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use milena::clock::SystemClock;
use milena::config::{Settings, Sources};
use milena::house::House;
use milena::record::{Builder, Compression};
use milena::storage::disk::RealDisk;
use milena::types::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Long enough for a loaded machine, short enough that a hanging test says so.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct TestBroker {
    pub house: House,
    /// Kept as long as the broker; `None` when the test owns the directory.
    _temporary: Option<tempfile::TempDir>,
    pub directory: PathBuf,
}

impl TestBroker {
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// A broker with some settings, `name=value`.
    pub async fn with(overrides: &[&str]) -> Self {
        let temporary = tempfile::tempdir().expect("a directory for the broker");
        let directory = temporary.path().to_path_buf();
        let mut broker = Self::at(&directory, overrides).await;
        broker._temporary = Some(temporary);
        broker
    }

    /// A broker on a directory that outlives it.
    pub async fn at(directory: &Path, overrides: &[&str]) -> Self {
        let settings = settings(directory, overrides);
        let clock = Arc::new(SystemClock::default());
        let house = House::start(settings, Arc::new(RealDisk), clock).await.expect("the broker starts");
        TestBroker { house, _temporary: None, directory: directory.to_path_buf() }
    }

    pub fn port(&self) -> u16 {
        self.house.addresses[0].port()
    }

    pub async fn connect(&self) -> Client {
        Client::connect(self.port()).await
    }

    pub async fn stop(self) {
        self.house.stop().await;
    }
}

pub fn settings(directory: &Path, overrides: &[&str]) -> Settings {
    let mut all = vec!["listeners=PLAINTEXT://127.0.0.1:0".to_owned(), format!("log.dirs={}", directory.display())];
    all.extend(overrides.iter().map(|setting| (*setting).to_owned()));
    let sources = Sources { overrides: all, host_name: "localhost".into(), ..Sources::default() };
    Settings::load(&sources).expect("the settings of a test are good")
}

pub struct Client {
    stream: TcpStream,
    correlation_id: i32,
}

impl Client {
    pub async fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("the broker listens");
        stream.set_nodelay(true).expect("nodelay");
        Client::over(stream)
    }

    pub fn over(stream: TcpStream) -> Self {
        Client { stream, correlation_id: 0 }
    }

    /// Sends a request and waits for its answer.
    pub async fn ask<R: Request>(&mut self, version: i16, request: R) -> R::Response {
        self.send(version, &request).await;
        self.answer::<R>(version).await
    }

    /// Sends a request without waiting.
    pub async fn send<R: Request>(&mut self, version: i16, request: &R) -> i32 {
        self.correlation_id += 1;
        let frame = frame(version, self.correlation_id, request);
        self.stream.write_all(&frame).await.expect("the broker takes the request");
        self.correlation_id
    }

    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        // A broker that has hung up already is what some tests are after.
        let _ = self.stream.write_all(bytes).await;
    }

    /// The next answer, which must be of this request.
    pub async fn answer<R: Request>(&mut self, version: i16) -> R::Response {
        let (_, response) = self.answer_with_id::<R>(version).await;
        response
    }

    pub async fn answer_with_id<R: Request>(&mut self, version: i16) -> (i32, R::Response) {
        let mut frame = self.read_frame().await.expect("an answer comes");
        let header =
            ResponseHeader::decode(&mut frame, R::Response::header_version(version)).expect("a response header");
        let response = R::Response::decode(&mut frame, version).expect("a response body");
        assert!(frame.is_empty(), "{} bytes behind the response", frame.len());
        (header.correlation_id, response)
    }

    /// One frame without its length; `None` when the broker has hung up.
    pub async fn read_frame(&mut self) -> Option<Bytes> {
        let read = async {
            let len = self.stream.read_i32().await.ok()?;
            let mut frame = vec![0; usize::try_from(len).expect("a length")];
            self.stream.read_exact(&mut frame).await.ok()?;
            Some(Bytes::from(frame))
        };
        tokio::time::timeout(PATIENCE, read).await.expect("an answer or an end within the patience of the test")
    }

    /// True when the broker hangs up without another answer.
    pub async fn is_hung_up(&mut self) -> bool {
        self.read_frame().await.is_none()
    }

    /// Creates a topic and waits until it is there.
    pub async fn create_topic(&mut self, name: &str, partitions: i32, configs: &[(&str, &str)]) {
        let configs = configs.iter().map(|(name, value)| {
            m::create_topics_request::CreatableTopicConfig::default()
                .with_name(text(name))
                .with_value(Some(text(value)))
        });
        let topic = m::create_topics_request::CreatableTopic::default()
            .with_name(topic(name))
            .with_num_partitions(partitions)
            .with_replication_factor(1)
            .with_configs(configs.collect());
        let response =
            self.ask(5, m::CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000)).await;
        assert_eq!(response.topics[0].error_code, 0, "{:?}", response.topics[0].error_message);
    }

    pub async fn delete_topic(&mut self, name: &str) {
        let request = m::DeleteTopicsRequest::default().with_topic_names(vec![topic(name)]).with_timeout_ms(10_000);
        assert_eq!(self.ask(4, request).await.responses[0].error_code, 0);
    }

    /// Writes a batch; the base offset or the error code.
    pub async fn produce(&mut self, name: &str, partition: i32, batch: Bytes) -> Result<i64, i16> {
        let response = self.ask(9, produce_request(name, partition, batch, -1)).await;
        let answer = &response.responses[0].partition_responses[0];
        if answer.error_code == 0 { Ok(answer.base_offset) } else { Err(answer.error_code) }
    }

    /// Reads from an offset, without waiting.
    pub async fn fetch(&mut self, name: &str, partition: i32, offset: i64) -> m::fetch_response::PartitionData {
        let response = self.ask(12, fetch_request(&[(name, partition, offset)], 0, 1)).await;
        response.responses[0].partitions[0].clone()
    }
}

pub fn frame<R: Request>(version: i16, correlation_id: i32, request: &R) -> BytesMut {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(StrBytes::from_static_str("test")));
    let key = ApiKey::try_from(R::KEY).expect("a known key");
    let mut body = BytesMut::new();
    header.encode(&mut body, key.request_header_version(version)).expect("a header");
    request.encode(&mut body, version).unwrap_or_else(|error| panic!("API {} version {version}: {error}", R::KEY));
    let mut frame = BytesMut::new();
    frame.extend_from_slice(&(body.len() as i32).to_be_bytes());
    frame.extend_from_slice(&body);
    frame
}

pub fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_owned())
}

pub fn topic(name: &str) -> m::TopicName {
    m::TopicName(text(name))
}

/// A batch of these values, without keys.
pub fn batch(values: &[&[u8]]) -> Bytes {
    compressed(values, Compression::None)
}

pub fn compressed(values: &[&[u8]], compression: Compression) -> Bytes {
    let mut builder = Builder::new().compression(compression);
    for (index, value) in values.iter().enumerate() {
        builder.push(Timestamp(1_000 + index as i64), None, Some(value), &[]);
    }
    builder.build().into_bytes()
}

/// Metadata of one topic, which is not made by asking.
pub fn metadata_of(name: &str) -> m::MetadataRequest {
    let wanted = m::metadata_request::MetadataRequestTopic::default().with_name(Some(topic(name)));
    m::MetadataRequest::default().with_topics(Some(vec![wanted])).with_allow_auto_topic_creation(false)
}

pub fn produce_request(name: &str, partition: i32, batch: Bytes, acks: i16) -> m::ProduceRequest {
    let data = m::produce_request::PartitionProduceData::default().with_index(partition).with_records(Some(batch));
    let topic_data =
        m::produce_request::TopicProduceData::default().with_name(topic(name)).with_partition_data(vec![data]);
    m::ProduceRequest::default().with_acks(acks).with_timeout_ms(10_000).with_topic_data(vec![topic_data])
}

/// Commits an offset for a group without members.
pub fn commit_request(group: &str, name: &str, offset: i64) -> m::OffsetCommitRequest {
    let partition = m::offset_commit_request::OffsetCommitRequestPartition::default().with_committed_offset(offset);
    let wanted = m::offset_commit_request::OffsetCommitRequestTopic::default()
        .with_name(topic(name))
        .with_partitions(vec![partition]);
    m::OffsetCommitRequest::default()
        .with_group_id(text(group).into())
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![wanted])
}

pub fn fetch_request(from: &[(&str, i32, i64)], max_wait_ms: i32, min_bytes: i32) -> m::FetchRequest {
    let topics = from.iter().map(|(name, partition, offset)| {
        let wanted = m::fetch_request::FetchPartition::default()
            .with_partition(*partition)
            .with_fetch_offset(*offset)
            .with_partition_max_bytes(1 << 20);
        m::fetch_request::FetchTopic::default().with_topic(topic(name)).with_partitions(vec![wanted])
    });
    m::FetchRequest::default()
        .with_max_wait_ms(max_wait_ms)
        .with_min_bytes(min_bytes)
        .with_max_bytes(50 << 20)
        .with_session_epoch(-1)
        .with_topics(topics.collect())
}

/// The values of all records in the batches of an answer, with their offsets.
pub fn values(records: &Option<Bytes>) -> Vec<(i64, Vec<u8>)> {
    let mut found = Vec::new();
    let mut rest = records.clone().unwrap_or_default();
    while rest.has_remaining() {
        let header = milena::record::Header::read(&rest).expect("a batch header");
        let bytes = rest.split_to(header.size());
        assert!(milena::record::checksum_matches(&bytes), "a batch with a wrong checksum was served");
        let open = milena::record::open(&bytes, &Default::default()).expect("a batch that opens");
        for record in open.records() {
            let record = record.expect("a record");
            found.push((record.offset.0, record.value.unwrap_or_default().to_vec()));
        }
    }
    found
}
