//! Idempotent producers as clients meet them (I30 to I36): retries add nothing, gaps and stale epochs are refused, and all
//! of it holds after a restart.

mod support;

use bytes::Bytes;
use kafka_protocol::messages as m;
use milena::record::Builder;
use milena::types::{ProducerEpoch, ProducerId, Sequence, Timestamp};
use support::{Client, TestBroker, produce_request, values};

const OUT_OF_ORDER: i16 = 45;
const INVALID_PRODUCER_EPOCH: i16 = 47;

fn sequenced(producer: i64, epoch: i16, sequence: i32, values: &[&[u8]]) -> Bytes {
    let mut builder = Builder::new().producer(ProducerId(producer), ProducerEpoch(epoch), Sequence(sequence));
    for value in values {
        builder.push(Timestamp(1), None, Some(value), &[]);
    }
    builder.build().into_bytes()
}

async fn producer_id(client: &mut Client) -> i64 {
    let request = m::InitProducerIdRequest::default().with_transactional_id(None).with_transaction_timeout_ms(60_000);
    let response = client.ask(4, request).await;
    assert_eq!((response.error_code, response.producer_epoch), (0, 0));
    response.producer_id.0
}

#[tokio::test(flavor = "multi_thread")]
async fn producer_ids_are_handed_out_once_also_over_restarts() {
    let home = tempfile::tempdir().unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let broker = TestBroker::at(home.path(), &[]).await;
        let mut client = broker.connect().await;
        for _ in 0..3 {
            assert!(seen.insert(producer_id(&mut client).await));
        }
        broker.stop().await;
    }
}

/// I30, and the probe "five batches in flight, connection lost after the broker took all five, all five sent again".
#[tokio::test(flavor = "multi_thread")]
async fn i30_five_batches_sent_again_get_their_first_offsets() {
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    client.create_topic("t", 1, &[]).await;
    let id = producer_id(&mut client).await;
    let batches: Vec<Bytes> = (0..5).map(|n| sequenced(id, 0, 2 * n, &[b"a", b"b"])).collect();
    // All five leave before any answer is read; then the connection is lost with its answers.
    let mut lost = broker.connect().await;
    for batch in &batches {
        lost.send(9, &produce_request("t", 0, batch.clone(), -1)).await;
    }
    let first = lost.answer::<m::ProduceRequest>(9).await;
    assert_eq!(first.responses[0].partition_responses[0].base_offset, 0);
    for _ in 1..5 {
        lost.answer::<m::ProduceRequest>(9).await;
    }
    drop(lost);
    for (n, batch) in batches.iter().enumerate() {
        assert_eq!(client.produce("t", 0, batch.clone()).await, Ok(2 * n as i64), "batch {n}");
    }
    assert_eq!(values(&client.fetch("t", 0, 0).await.records).len(), 10);
    // One that is older than the last five is not known any more.
    assert_eq!(client.produce("t", 0, sequenced(id, 0, 10, &[b"c"])).await, Ok(10));
    assert_eq!(client.produce("t", 0, batches[0].clone()).await, Err(OUT_OF_ORDER));
    broker.stop().await;
}

/// I31, I32, I33: gaps and older epochs add nothing, a newer epoch starts at 0, before and after a restart.
#[tokio::test(flavor = "multi_thread")]
async fn i33_the_rules_hold_after_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let broker = TestBroker::at(home.path(), &[]).await;
    let mut client = broker.connect().await;
    client.create_topic("t", 1, &[]).await;
    let id = producer_id(&mut client).await;
    assert_eq!(client.produce("t", 0, sequenced(id, 1, 0, &[b"a"])).await, Ok(0));
    assert_eq!(client.produce("t", 0, sequenced(id, 1, 5, &[b"gap"])).await, Err(OUT_OF_ORDER));
    broker.stop().await;
    let broker = TestBroker::at(home.path(), &[]).await;
    let mut client = broker.connect().await;
    assert_eq!(client.produce("t", 0, sequenced(id, 1, 0, &[b"a"])).await, Ok(0), "a retry across the restart");
    assert_eq!(client.produce("t", 0, sequenced(id, 1, 5, &[b"gap"])).await, Err(OUT_OF_ORDER));
    assert_eq!(client.produce("t", 0, sequenced(id, 0, 1, &[b"old"])).await, Err(INVALID_PRODUCER_EPOCH));
    assert_eq!(client.produce("t", 0, sequenced(id, 2, 3, &[b"new"])).await, Err(OUT_OF_ORDER));
    assert_eq!(client.produce("t", 0, sequenced(id, 2, 0, &[b"new"])).await, Ok(1));
    assert_eq!(client.produce("t", 0, sequenced(id, 2, 1, &[b"next"])).await, Ok(2));
    assert_eq!(values(&client.fetch("t", 0, 0).await.records).len(), 3);
    broker.stop().await;
}

/// I35: with no state for a producer any first sequence is taken (pitfall 14).
#[tokio::test(flavor = "multi_thread")]
async fn i35_a_producer_without_a_past_may_start_anywhere() {
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    client.create_topic("t", 1, &[]).await;
    assert_eq!(client.produce("t", 0, sequenced(4711, 3, 99, &[b"a"])).await, Ok(0));
    assert_eq!(client.produce("t", 0, sequenced(4711, 3, 100, &[b"b"])).await, Ok(1));
    broker.stop().await;
}

/// I37: how many producers are remembered is bounded (its own test, in storage) and can be seen.
#[tokio::test(flavor = "multi_thread")]
async fn i37_the_remembered_producers_are_counted() {
    let broker = TestBroker::start().await;
    let metrics = broker.house.broker.metrics.clone();
    let mut client = broker.connect().await;
    client.create_topic("t", 2, &[]).await;
    for (producer, partition) in [(1, 0), (2, 0), (2, 1)] {
        client.produce("t", partition, sequenced(producer, 0, 0, &[b"x"])).await.unwrap();
    }
    // A stop writes the checkpoints, with which they are counted.
    broker.stop().await;
    assert_eq!(metrics.remembered_producers.get(), 3);
}
