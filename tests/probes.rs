//! The probes of other brokers' mistakes that show at the socket; those of the log stand beside the log.

mod support;

use std::process::{Command, Stdio};

use kafka_protocol::messages as m;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use support::{Client, TestBroker, batch, text, topic, values};

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_called_dot_dot_slash_x_is_refused() {
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    let bad = CreatableTopic::default().with_name(topic("../x")).with_num_partitions(1).with_replication_factor(1);
    let response = client.ask(5, m::CreateTopicsRequest::default().with_topics(vec![bad]).with_timeout_ms(1000)).await;
    assert_eq!(response.topics[0].error_code, 17);
    let wanted = m::metadata_request::MetadataRequestTopic::default().with_name(Some(topic("../x")));
    let request = m::MetadataRequest::default().with_topics(Some(vec![wanted])).with_allow_auto_topic_creation(true);
    assert_eq!(client.ask(9, request).await.topics[0].error_code, 17);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_three_megabyte_record_is_there_after_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let broker = TestBroker::at(home.path(), &[]).await;
    let mut client = broker.connect().await;
    client.create_topic("t", 1, &[("max.message.bytes", "4000000")]).await;
    let large = vec![7u8; 3 << 20];
    assert_eq!(client.produce("t", 0, batch(&[&large])).await, Ok(0));
    broker.stop().await;
    let broker = TestBroker::at(home.path(), &[]).await;
    let mut client = broker.connect().await;
    // Larger than the limit of the request: given all the same, because it is the first (KIP-74).
    assert_eq!(values(&client.fetch("t", 0, 0).await.records), [(0, large)]);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn validate_only_creates_nothing_and_tells_everything() {
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    client.create_topic("taken", 1, &[]).await;
    let named = |name: &str| {
        CreatableTopic::default().with_name(topic(name)).with_num_partitions(-1).with_replication_factor(-1)
    };
    let request = m::CreateTopicsRequest::default()
        .with_topics(vec![named("new"), named("taken"), named("a b")])
        .with_timeout_ms(1000)
        .with_validate_only(true);
    let response = client.ask(5, request).await;
    let code = |name: &str| response.topics.iter().find(|t| t.name.0 == text(name)).unwrap().error_code;
    assert_eq!((code("new"), code("taken"), code("a b")), (0, 36, 17));
    assert_eq!(client.ask(12, support::metadata_of("new")).await.topics[0].error_code, 3);
    broker.stop().await;
}

/// Produce over N partitions at acks=all is one wait: the number of flush rounds does not grow with N.
#[tokio::test(flavor = "multi_thread")]
async fn acks_all_over_many_partitions_is_one_wait() {
    const PARTITIONS: i32 = 64;
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    client.create_topic("t", PARTITIONS, &[]).await;
    let request = || {
        let data = (0..PARTITIONS).map(|partition| {
            m::produce_request::PartitionProduceData::default().with_index(partition).with_records(Some(batch(&[b"x"])))
        });
        let topic_data =
            m::produce_request::TopicProduceData::default().with_name(topic("t")).with_partition_data(data.collect());
        m::ProduceRequest::default().with_acks(-1).with_timeout_ms(10_000).with_topic_data(vec![topic_data])
    };
    client.ask(9, request()).await;
    let before = broker.house.broker.metrics.flushes.get();
    let response = client.ask(9, request()).await;
    assert!(response.responses[0].partition_responses.iter().all(|partition| partition.error_code == 0));
    let rounds = broker.house.broker.metrics.flushes.get() - before;
    assert!(rounds <= 4, "{rounds} flush rounds for one request");
    broker.stop().await;
}

/// "A million requests at the default log level: no line per request", in the small.
#[tokio::test(flavor = "multi_thread")]
async fn requests_leave_no_lines_in_the_log() {
    const REQUESTS: usize = 5_000;
    let home = tempfile::tempdir().unwrap();
    let log = home.path().join("stderr");
    let port = free_port();
    let mut child = Command::new(env!("CARGO_BIN_EXE_milena"))
        .env_clear()
        .args(["--override", &format!("listeners=PLAINTEXT://127.0.0.1:{port}")])
        .args(["--override", &format!("log.dirs={}", home.path().join("data").display())])
        .stderr(std::fs::File::create(&log).unwrap())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(child.try_wait().unwrap().is_none(), "{}", std::fs::read_to_string(&log).unwrap());
        tokio::task::yield_now().await;
    }
    let mut client = Client::connect(port).await;
    client.create_topic("t", 1, &[]).await;
    let before = std::fs::read_to_string(&log).unwrap().lines().count();
    for _ in 0..REQUESTS {
        client.ask(0, m::ApiVersionsRequest::default()).await;
    }
    let after = std::fs::read_to_string(&log).unwrap().lines().count();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(after <= before + 5, "{} lines for {REQUESTS} requests", after - before);
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
