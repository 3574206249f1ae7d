//! What the broker puts up with: requests as released clients really send them, beyond what the protocol guide allows.

#![allow(clippy::disallowed_methods)]

mod support;

use std::time::{Duration, Instant};

use bytes::{BufMut, BytesMut};
use kafka_protocol::messages as m;
use kafka_protocol::protocol::Request;
use support::{Client, TestBroker, frame, topic};

/// The frame of a request with `stray` bytes behind its body, counted by the frame's length.
fn with_stray_bytes<R: Request>(version: i16, correlation_id: i32, request: &R, stray: &[u8]) -> BytesMut {
    let mut bytes = frame(version, correlation_id, request);
    bytes.put_slice(stray);
    let len = i32::try_from(bytes.len() - 4).expect("a small frame");
    bytes[..4].copy_from_slice(&len.to_be_bytes());
    bytes
}

/// The Metadata request of librdkafka 2.16 for "all topics": its writer leaves three bytes behind the tagged fields, and
/// Kafka passes over what is left behind a body.
#[tokio::test(flavor = "multi_thread")]
async fn metadata_of_librdkafka_with_three_stray_bytes_is_answered() {
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    client.create_topic("t", 1, &[]).await;
    // API 3, version 13, correlation id 7, client id "rdkafka", no tagged fields.
    let mut request = BytesMut::from(&b"\0\x03\0\x0d\0\0\0\x07\0\x07rdkafka\0"[..]);
    // Null topics, no topic is to be made, no authorized operations, no tagged fields; then what does not belong there.
    request.put_slice(&[0, 0, 0, 0, 1, 0, 0]);
    let mut sent = BytesMut::new();
    sent.put_i32(i32::try_from(request.len()).expect("a small frame"));
    sent.put_slice(&request);
    client.send_bytes(&sent).await;
    let (id, answer) = client.answer_with_id::<m::MetadataRequest>(13).await;
    assert_eq!(id, 7);
    assert!(answer.topics.iter().any(|found| found.name.as_ref() == Some(&topic("t"))));
    broker.stop().await;
}

/// Stray bytes belong to no request: the one behind them on the same connection is read from its own beginning.
#[tokio::test(flavor = "multi_thread")]
async fn stray_bytes_behind_any_body_do_not_reach_the_next_request() {
    async fn ask<R: Request>(client: &mut Client, version: i16, request: R, id: i32) {
        let mut sent = with_stray_bytes(version, id, &request, &[0xff; 9]);
        sent.extend_from_slice(&frame(version, id + 1, &request));
        client.send_bytes(&sent).await;
        assert_eq!(client.answer_with_id::<R>(version).await.0, id);
        assert_eq!(client.answer_with_id::<R>(version).await.0, id + 1);
    }
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    // One version before tagged fields and one with them, of requests that every client begins with.
    ask(&mut client, 1, m::MetadataRequest::default(), 100).await;
    ask(&mut client, 13, m::MetadataRequest::default(), 200).await;
    ask(&mut client, 0, m::ApiVersionsRequest::default(), 300).await;
    ask(&mut client, 4, m::FetchRequest::default(), 400).await;
    ask(&mut client, 9, m::ProduceRequest::default().with_acks(-1), 500).await;
    broker.stop().await;
}

/// S9: where there are as many connections as may be, the next one waits until another ends.
#[tokio::test(flavor = "multi_thread")]
async fn s9_connections_beyond_the_limit_wait_and_come_in_when_others_leave() {
    let broker = TestBroker::with(&["max.connections=2"]).await;
    let (mut one, two) = (broker.connect().await, broker.connect().await);
    one.ask(3, m::ApiVersionsRequest::default()).await;
    let mut third = broker.connect().await;
    third.send(3, &m::ApiVersionsRequest::default()).await;
    let metrics = &broker.house.broker.metrics;
    while metrics.connections_delayed.get() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(metrics.connections_refused.get(), 0);
    drop(two);
    third.answer::<m::ApiVersionsRequest>(3).await;
    broker.stop().await;
}

/// S9: an address that has too many is turned away at once; one with a limit of its own has that.
#[tokio::test(flavor = "multi_thread")]
async fn s9_an_address_with_too_many_connections_is_turned_away() {
    let broker = TestBroker::with(&["max.connections.per.ip=1"]).await;
    let mut one = broker.connect().await;
    one.ask(3, m::ApiVersionsRequest::default()).await;
    let mut other = broker.connect().await;
    assert!(other.read_frame().await.is_none());
    assert_eq!(broker.house.broker.metrics.connections_refused.get(), 1);
    broker.stop().await;
    let broker = TestBroker::with(&["max.connections.per.ip=1", "max.connections.per.ip.overrides=127.0.0.1:3"]).await;
    let mut all = Vec::new();
    for _ in 0..3 {
        let mut client = broker.connect().await;
        client.ask(3, m::ApiVersionsRequest::default()).await;
        all.push(client);
    }
    let mut fourth = broker.connect().await;
    assert!(fourth.read_frame().await.is_none());
    broker.stop().await;
}

/// S9: faster than the rate, connections come in one after the other.
#[tokio::test(flavor = "multi_thread")]
async fn s9_the_rate_of_new_connections_is_kept() {
    let broker = TestBroker::with(&["max.connection.creation.rate=10"]).await;
    let start = Instant::now();
    for _ in 0..15 {
        broker.connect().await.ask(3, m::ApiVersionsRequest::default()).await;
    }
    assert!(start.elapsed() >= Duration::from_millis(400), "15 came in {:?}", start.elapsed());
    assert!(broker.house.broker.metrics.connections_delayed.get() > 0);
    broker.stop().await;
}

/// S8: who connects and says nothing, or not the rest of it, is let go.
#[tokio::test(flavor = "multi_thread")]
async fn s8_silence_and_half_a_request_end_a_connection() {
    let timeouts = ["milena.connection.first.request.timeout.ms=300", "milena.connection.request.timeout.ms=300"];
    let broker = TestBroker::with(&timeouts).await;
    let (mut silent, mut half) = (broker.connect().await, broker.connect().await);
    half.ask(3, m::ApiVersionsRequest::default()).await;
    half.send_bytes(&[0, 0, 0, 100, 0, 18]).await;
    assert!(silent.read_frame().await.is_none());
    assert!(half.read_frame().await.is_none());
    assert_eq!(broker.house.broker.metrics.connections_closed_for_fault.get(), 2);
    broker.stop().await;
}
