//! Produce and Fetch as clients meet them: what is written is read, in order, by everybody, when it is committed.

mod support;

use bytes::Bytes;
use kafka_protocol::messages as m;
use milena::record::Compression;
use support::{Client, PATIENCE, TestBroker, batch, compressed, fetch_request, produce_request, topic, values};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_read() {
    for durability in ["flush", "page-cache"] {
        let broker = TestBroker::with(&[&format!("milena.durability={durability}")]).await;
        let mut client = broker.connect().await;
        client.create_topic("t", 1, &[]).await;
        assert_eq!(client.produce("t", 0, batch(&[b"a", b"b"])).await, Ok(0));
        assert_eq!(client.produce("t", 0, batch(&[b"c"])).await, Ok(2));
        let read = client.fetch("t", 0, 0).await;
        assert_eq!(values(&read.records), [(0, b"a".to_vec()), (1, b"b".to_vec()), (2, b"c".to_vec())]);
        assert_eq!((read.high_watermark, read.last_stable_offset, read.log_start_offset), (3, 3, 0));
        broker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_codec_and_every_acks_is_read_back() {
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    client.create_topic("t", 1, &[]).await;
    let codecs = [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
    let mut expected = Vec::new();
    for codec in codecs {
        for acks in [-1, 1, 0] {
            let value = format!("{codec:?} {acks}").into_bytes();
            let request = produce_request("t", 0, compressed(&[&value], codec), acks);
            client.send(9, &request).await;
            if acks != 0 {
                let response = client.answer::<m::ProduceRequest>(9).await;
                assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
            }
            expected.push((expected.len() as i64, value));
        }
    }
    // acks=0 has no answer; the batch behind it on the same connection is behind it in the log, and once that one is
    // committed so are all before it.
    client.produce("t", 0, batch(&[b"last"])).await.unwrap();
    expected.push((expected.len() as i64, b"last".to_vec()));
    assert_eq!(values(&client.fetch("t", 0, 0).await.records), expected);
    broker.stop().await;
}

/// I110: answers come in request order, however long one of them takes.
#[tokio::test(flavor = "multi_thread")]
async fn i110_a_held_fetch_holds_back_the_answers_behind_it_and_nothing_else() {
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    client.create_topic("t", 1, &[]).await;
    let held = client.send(12, &fetch_request(&[("t", 0, 0)], 10_000, 1)).await;
    let behind = client.send(9, &produce_request("t", 0, batch(&[b"x"]), -1)).await;
    // The produce is begun while the fetch is held, and its record is what ends the fetch.
    let (id, fetched) = client.answer_with_id::<m::FetchRequest>(12).await;
    assert_eq!(id, held);
    assert_eq!(values(&fetched.responses[0].partitions[0].records), [(0, b"x".to_vec())]);
    let (id, produced) = client.answer_with_id::<m::ProduceRequest>(9).await;
    assert_eq!((id, produced.responses[0].partition_responses[0].error_code), (behind, 0));
    broker.stop().await;
}

/// Lesson 18: a fetch with min_bytes answers when the bytes are there or its time is up, never empty early.
#[tokio::test(flavor = "multi_thread")]
async fn lesson_18_a_long_poll_waits_for_its_bytes() {
    let broker = TestBroker::start().await;
    let mut consumer = broker.connect().await;
    let mut producer = broker.connect().await;
    producer.create_topic("t", 1, &[]).await;
    let one = batch(&[&[7; 1000]]);
    let min_bytes = 3 * one.len() as i32;
    consumer.send(12, &fetch_request(&[("t", 0, 0)], PATIENCE.as_millis() as i32, min_bytes)).await;
    for _ in 0..3 {
        producer.produce("t", 0, one.clone()).await.unwrap();
    }
    let fetched = consumer.answer::<m::FetchRequest>(12).await;
    assert_eq!(values(&fetched.responses[0].partitions[0].records).len(), 3);
    broker.stop().await;
}

/// A client that was told "written" (acks=1) and asks for the end finds its record counted, as with Kafka.
#[tokio::test(flavor = "multi_thread")]
async fn what_acks_1_acknowledged_counts_in_the_latest_offset() {
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    client.create_topic("t", 1, &[]).await;
    for n in 1..=50 {
        client.ask(9, produce_request("t", 0, batch(&[b"x"]), 1)).await;
        let latest =
            m::list_offsets_request::ListOffsetsPartition::default().with_partition_index(0).with_timestamp(-1);
        let topics = vec![
            m::list_offsets_request::ListOffsetsTopic::default().with_name(topic("t")).with_partitions(vec![latest]),
        ];
        let request = m::ListOffsetsRequest::default().with_replica_id(m::BrokerId(-1)).with_topics(topics);
        assert_eq!(client.ask(5, request).await.topics[0].partitions[0].offset, n);
    }
    broker.stop().await;
}

/// Lesson 14: acks=0 has no answer, not even to a refusal; Kafka ends the connection then.
#[tokio::test(flavor = "multi_thread")]
async fn lesson_14_acks_0_is_never_answered() {
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    client.send(9, &produce_request("nowhere", 0, batch(&[b"x"]), 0)).await;
    assert!(client.is_hung_up().await);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_have_kafkas_codes() {
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    client.create_topic("t", 1, &[("max.message.bytes", "1000")]).await;
    assert_eq!(client.produce("none", 0, batch(&[b"x"])).await, Err(3));
    assert_eq!(client.produce("t", 7, batch(&[b"x"])).await, Err(3));
    assert_eq!(client.produce("t", 0, batch(&[&[0; 2000]])).await, Err(10));
    let mut damaged = batch(&[b"x"]).to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(client.produce("t", 0, Bytes::from(damaged)).await, Err(2));
    let response = client.ask(9, produce_request("t", 0, batch(&[b"x"]), 5)).await;
    assert_eq!(response.responses[0].partition_responses[0].error_code, 21);
    assert_eq!(client.fetch("t", 0, 1).await.error_code, 1);
    assert_eq!(client.fetch("t", 9, 0).await.error_code, 3);
    broker.stop().await;
}

/// Lesson 19: the total limit holds, the at-least-one-batch rule is for the first partition with records only, and a
/// session turns the order so that no partition starves.
#[tokio::test(flavor = "multi_thread")]
async fn lesson_19_the_limit_of_a_fetch_is_kept_and_nobody_starves() {
    const PARTITIONS: i32 = 20;
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    client.create_topic("t", PARTITIONS, &[]).await;
    let full = batch(&[&[1; 100_000]]);
    for partition in 0..PARTITIONS {
        client.produce("t", partition, full.clone()).await.unwrap();
    }
    let wanted = (0..PARTITIONS).map(|partition| {
        m::fetch_request::FetchPartition::default().with_partition(partition).with_partition_max_bytes(1 << 20)
    });
    let topics = vec![m::fetch_request::FetchTopic::default().with_topic(topic("t")).with_partitions(wanted.collect())];
    let limit = 5 * full.len() as i32;
    let base = m::FetchRequest::default().with_max_bytes(limit).with_min_bytes(1).with_max_wait_ms(1000);
    let mut seen = std::collections::BTreeSet::new();
    let mut session_id = 0;
    for epoch in 0..4 {
        let mut request = base.clone().with_session_id(session_id).with_session_epoch(epoch);
        if epoch == 0 {
            request.topics = topics.clone();
        }
        let response = client.ask(12, request).await;
        assert_eq!(response.error_code, 0);
        session_id = response.session_id;
        let full_ones = response
            .responses
            .iter()
            .flat_map(|t| &t.partitions)
            .filter(|p| p.records.as_ref().is_some_and(|r| !r.is_empty()));
        let full_ones: Vec<i32> = full_ones.map(|p| p.partition_index).collect();
        assert_eq!(full_ones.len(), 5, "the limit is filled and not passed");
        seen.extend(full_ones);
    }
    assert_eq!(seen.len(), PARTITIONS as usize, "every partition had its turn");
    broker.stop().await;
}

/// One connection's garbage ends that connection; others go on (I114).
#[tokio::test(flavor = "multi_thread")]
async fn i114_garbage_ends_one_connection_only() {
    let broker = TestBroker::start().await;
    let mut good = broker.connect().await;
    good.create_topic("t", 1, &[]).await;
    // A five-byte Metadata body that makes a trusting decoder ask for gigabytes (S3), HTTP, a negative length, nothing.
    let metadata = [0, 3, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0x03, 0x3c, 0x0c, 0x00, 0xb6];
    let mut framed = (metadata.len() as i32).to_be_bytes().to_vec();
    framed.extend_from_slice(&metadata);
    for garbage in [&framed[..], b"GET / HTTP/1.1\r\n\r\n", &[0xff; 8], &[0, 0, 0, 3, 1, 2, 3]] {
        let mut bad = Client::connect(broker.port()).await;
        bad.send_bytes(garbage).await;
        assert!(bad.is_hung_up().await, "{garbage:02x?}");
    }
    assert_eq!(good.produce("t", 0, batch(&[b"still here"])).await, Ok(0));
    assert_eq!(broker.house.broker.metrics.connections_closed_for_fault.get(), 4);
    broker.stop().await;
}
