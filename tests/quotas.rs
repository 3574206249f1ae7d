//! Client quotas over real sockets: who uses too much is told how long to wait, by the bytes that were counted, and is not read
//! for that time.
//!
//! The window of these brokers is one sample of 1,000 s that cannot be over before the test is, so what is told follows from the
//! bytes: a limit of 1,000 in a second allows 1,000,000 bytes, and each byte more is a millisecond.

#![allow(clippy::disallowed_methods)]

mod support;

use std::time::{Duration, Instant};

use kafka_protocol::messages as m;
use kafka_protocol::protocol::Encodable;
use m::alter_client_quotas_request::{EntityData, EntryData, OpData};
use support::{Client, TestBroker, batch, fetch_request, metadata_of, produce_request, text, values};

const LIMIT: f64 = 1_000.0;
const ALLOWED: usize = 1_000_000;
const SAMPLE_MS: i32 = 1_000_000;

async fn broker() -> TestBroker {
    let broker = TestBroker::with(&["quota.window.num=2", "quota.window.size.seconds=1000"]).await;
    broker.connect().await.create_topic("t", 1, &[]).await;
    broker
}

/// Sets a quota for all connections of the test's client id, or takes it away.
async fn set(client: &mut Client, key: &str, value: Option<f64>) {
    set_for(client, ("client-id", "test"), key, value).await;
}

async fn set_for(client: &mut Client, (kind, name): (&str, &str), key: &str, value: Option<f64>) {
    let entity = EntityData::default().with_entity_type(text(kind)).with_entity_name(Some(text(name)));
    let op = OpData::default().with_key(text(key)).with_value(value.unwrap_or(0.0)).with_remove(value.is_none());
    let entry = EntryData::default().with_entity(vec![entity]).with_ops(vec![op]);
    let answer = client.ask(1, m::AlterClientQuotasRequest::default().with_entries(vec![entry])).await;
    assert_eq!(answer.entries[0].error_code, 0, "{:?}", answer.entries[0].error_message);
}

/// The size of a request's body, which is what it costs.
fn cost(request: &m::ProduceRequest) -> usize {
    request.compute_size(9).expect("a request of the test")
}

fn produce(value_bytes: usize, acks: i16) -> m::ProduceRequest {
    produce_request("t", 0, batch(&[&vec![7; value_bytes]]), acks)
}

/// What is told is what was too much, less the time that went by meanwhile.
fn assert_told(wait_ms: i32, bytes: usize, since: Instant) {
    let most = (bytes - ALLOWED) as i32;
    let least = most - since.elapsed().as_millis() as i32 - 1;
    assert!((least..=most).contains(&wait_ms), "{wait_ms} ms for {bytes} bytes, {least} to {most} are due");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_over_its_quota_waits_for_what_it_sent_too_much() {
    let broker = broker().await;
    let mut client = broker.connect().await;
    set(&mut client, "producer_byte_rate", Some(LIMIT)).await;
    let begun = Instant::now();
    let half = produce(ALLOWED / 2, -1);
    assert_eq!(client.ask(9, half.clone()).await.throttle_time_ms, 0);

    // All connections of a client share its quota; the second half is some hundred bytes too much.
    let mut other = broker.connect().await;
    let sent = Instant::now();
    let answer = other.ask(9, half.clone()).await;
    assert_eq!(answer.responses[0].partition_responses[0].base_offset, 1, "what is too much is written all the same");
    assert_told(answer.throttle_time_ms, 2 * cost(&half), begun);

    // It is not read until its time is over; the first connection is.
    let wait = Duration::from_millis(answer.throttle_time_ms as u64);
    other.send(9, &metadata_of("t")).await;
    client.ask(9, metadata_of("t")).await;
    other.answer::<m::MetadataRequest>(9).await;
    assert!(sent.elapsed() >= wait, "read after {:?} instead of {wait:?}", sent.elapsed());
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wants_no_answer_waits_too() {
    let broker = broker().await;
    let mut client = broker.connect().await;
    set(&mut client, "producer_byte_rate", Some(LIMIT)).await;
    let sent = Instant::now();
    client.send(9, &produce(ALLOWED, 0)).await;
    client.send(9, &metadata_of("t")).await;
    client.answer::<m::MetadataRequest>(9).await;
    let wait = Duration::from_millis((cost(&produce(ALLOWED, 0)) - ALLOWED) as u64 - 1);
    assert!(sent.elapsed() >= wait, "read after {:?} instead of {wait:?}", sent.elapsed());
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_over_its_quota_gets_nothing_and_loses_nothing() {
    let broker = broker().await;
    let mut client = broker.connect().await;
    for _ in 0..2 {
        let value = vec![7; ALLOWED / 100 * 60];
        client.produce("t", 0, batch(&[&value])).await.expect("a large record");
    }
    set(&mut client, "consumer_byte_rate", Some(LIMIT)).await;
    let begun = Instant::now();
    let first = client.ask(12, fetch_request(&[("t", 0, 0)], 0, 1)).await;
    assert_eq!((first.throttle_time_ms, values(&first.responses[0].partitions[0].records).len()), (0, 1));
    let size = first.compute_size(12).expect("the size of an answer") + 4;

    let mut second = broker.connect().await;
    let answer = second.ask(12, fetch_request(&[("t", 0, 1)], 0, 1)).await;
    assert_eq!((answer.responses.len(), answer.session_id, answer.error_code), (0, 0, 0));
    assert_told(answer.throttle_time_ms, 2 * size, begun);

    // What was not sent is not counted: a small answer fits.
    let mut third = broker.connect().await;
    let end = third.ask(12, fetch_request(&[("t", 0, 2)], 0, 1)).await;
    assert_eq!((end.throttle_time_ms, end.responses[0].partitions[0].high_watermark), (0, 2));
    set(&mut third, "consumer_byte_rate", None).await;
    let answer = third.fetch("t", 0, 1).await;
    assert_eq!(values(&answer.records).len(), 1);
    broker.stop().await;
}

/// A client that keeps a session is told of no session where it would begin, and goes on in it where it had begun.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_outlives_an_answer_without_records() {
    let broker = broker().await;
    let mut client = broker.connect().await;
    client.produce("t", 0, batch(&[&vec![7; ALLOWED / 2]])).await.expect("a large record");
    let open = || fetch_request(&[("t", 0, 0)], 0, 1).with_session_epoch(0);
    let session_id = client.ask(12, open()).await.session_id;
    assert!(session_id > 0);
    set(&mut client, "consumer_byte_rate", Some(1.0)).await;

    let refused = broker.connect().await.ask(12, open()).await;
    assert_eq!((refused.session_id, refused.responses.len()), (0, 0));
    assert!(refused.throttle_time_ms > 0);
    let more = |epoch| fetch_request(&[], 0, 1).with_session_id(session_id).with_session_epoch(epoch);
    let refused = client.ask(12, more(1)).await;
    assert_eq!((refused.session_id, refused.error_code, refused.responses.len()), (session_id, 0, 0));
    assert!(refused.throttle_time_ms > 0);

    let mut other = broker.connect().await;
    set(&mut other, "consumer_byte_rate", None).await;
    let answer = other.ask(12, more(2)).await;
    assert_eq!(values(&answer.responses[0].partitions[0].records).len(), 1);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn time_spent_on_requests_has_a_quota_of_its_own() {
    let broker = broker().await;
    let mut client = broker.connect().await;
    client.produce("t", 0, batch(&[b"x"])).await.expect("a record");
    set(&mut client, "request_percentage", Some(1e-12)).await;
    // Each connection is heard once, and told to wait for the longest time there is.
    assert_eq!(broker.connect().await.ask(9, metadata_of("t")).await.throttle_time_ms, SAMPLE_MS);
    assert_eq!(broker.connect().await.ask(9, produce(10, -1)).await.throttle_time_ms, SAMPLE_MS);
    let answer = broker.connect().await.ask(12, fetch_request(&[("t", 0, 0)], 0, 1)).await;
    assert_eq!((answer.throttle_time_ms, answer.responses.len()), (SAMPLE_MS, 0));
    let parked = broker.connect().await.ask(12, fetch_request(&[("t", 0, 2)], 50, 1)).await;
    assert_eq!((parked.throttle_time_ms, parked.responses.len()), (SAMPLE_MS, 0));
    // With acks=0 no time is charged, as with Kafka.
    let mut unanswered = broker.connect().await;
    unanswered.send(9, &produce(10, 0)).await;
    assert_eq!(unanswered.ask(9, metadata_of("t")).await.throttle_time_ms, SAMPLE_MS);
    broker.stop().await;
}

/// The bucket of this broker holds 2,000 s, so two partitions a thousand seconds are four at once.
#[tokio::test(flavor = "multi_thread")]
async fn changes_of_topics_are_paid_from_a_bucket() {
    use m::create_topics_request::CreatableTopic;
    let broker =
        TestBroker::with(&["controller.quota.window.num=2", "controller.quota.window.size.seconds=1000"]).await;
    let mut client = broker.connect().await;
    set(&mut client, "controller_mutation_rate", Some(0.002)).await;
    let request = |names: &[(&str, i32)]| {
        let one = |(name, partitions): &(&str, i32)| {
            CreatableTopic::default()
                .with_name(support::topic(name))
                .with_num_partitions(*partitions)
                .with_replication_factor(1)
        };
        m::CreateTopicsRequest::default().with_topics(names.iter().map(one).collect()).with_timeout_ms(10_000)
    };
    let answer = client.ask(7, request(&[("a", 4), ("b", 1), ("c", 1)])).await;
    let codes: Vec<i16> = answer.topics.iter().map(|topic| topic.error_code).collect();
    assert_eq!(codes, [0, 0, 89]);
    assert_eq!(answer.topics[2].error_message, None);
    // One too many, less what has come meanwhile.
    assert!((400_000..=500_000).contains(&answer.throttle_time_ms), "{}", answer.throttle_time_ms);

    // An older request is carried out, and its client waits longer still.
    let answer = broker.connect().await.ask(5, request(&[("c", 1)])).await;
    assert_eq!(answer.topics[0].error_code, 0);
    assert!((900_000..=1_000_000).contains(&answer.throttle_time_ms), "{}", answer.throttle_time_ms);
    broker.stop().await;
}

/// Kafka's own window: at one in a second, ten come in at once.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_connects_too_fast_is_not_served() {
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    let address = ("ip", "127.0.0.1");
    set_for(&mut client, address, "connection_creation_rate", Some(1.0)).await;
    let (begun, mut clients) = (Instant::now(), Vec::new());
    for _ in 0..60 {
        let mut one = broker.connect().await;
        one.send_bytes(&support::frame(9, 1, &metadata_of("t"))).await;
        clients.push(one);
    }
    let mut served = 0;
    for mut one in clients {
        served += u64::from(!one.is_hung_up().await);
    }
    assert!((10..=11 + begun.elapsed().as_secs()).contains(&served), "{served} of 60 were served");
    set_for(&mut client, address, "connection_creation_rate", None).await;
    broker.connect().await.ask(9, metadata_of("t")).await;
    broker.stop().await;
}
