//! A compacted topic keeps the last value of every key, a deleted key goes away, and the broker's own topics stay small.

#![allow(clippy::disallowed_methods)]

mod support;

use std::collections::BTreeMap;

use bytes::Buf;
use kafka_protocol::messages as m;
use milena::clock::{Clock, SystemClock};
use milena::record::{self, Builder, Header};
use support::{Client, PATIENCE, TestBroker, text, topic};

/// A cleaner that looks all the time, over logs that never wait for a full segment.
const EAGER: [&str; 2] = ["log.cleaner.backoff.ms=20", "log.cleaner.max.compaction.lag.ms=1"];

fn keyed(records: &[(&str, Option<&str>)]) -> bytes::Bytes {
    let mut builder = Builder::new();
    let now = SystemClock::default().now().wall;
    for (key, value) in records {
        builder.push(now, Some(key.as_bytes()), value.map(str::as_bytes), &[]);
    }
    builder.build().into_bytes()
}

/// Offset, key and value of every record from the start of the log, read until its end as a consumer does.
async fn records(client: &mut Client, name: &str) -> Vec<(i64, Vec<u8>, Option<Vec<u8>>)> {
    let mut found = Vec::new();
    let mut at = 0;
    loop {
        let answer = client.fetch(name, 0, at).await;
        assert_eq!(answer.error_code, 0);
        let mut rest = answer.records.clone().unwrap_or_default();
        if rest.is_empty() {
            assert_eq!(at, answer.high_watermark, "a consumer comes to the end of the log");
            return found;
        }
        while rest.has_remaining() {
            let header = Header::read(&rest).expect("a batch header");
            let bytes = rest.split_to(header.size());
            assert!(record::checksum_matches(&bytes));
            for record in record::open(&bytes, &Default::default()).expect("a batch").records() {
                let record = record.expect("a record");
                let key = record.key.unwrap_or_default().to_vec();
                found.push((record.offset.0, key, record.value.map(<[u8]>::to_vec)));
            }
            at = header.next_offset().0;
        }
    }
}

/// Waits until a look at all records of a topic satisfies `done`. A fetch at the end of the log is what passes the time.
async fn until(
    client: &mut Client,
    name: &str,
    done: impl Fn(&[(i64, Vec<u8>, Option<Vec<u8>>)]) -> bool,
) -> Vec<(i64, Vec<u8>, Option<Vec<u8>>)> {
    let wait = async {
        loop {
            let found = records(client, name).await;
            if done(&found) {
                return found;
            }
            let end = client.fetch(name, 0, 0).await.high_watermark;
            client.ask(12, support::fetch_request(&[(name, 0, end)], 20, 1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("the cleaner gets there")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compacted_topic_keeps_the_last_value_of_every_key() {
    let home = tempfile::tempdir().unwrap();
    let broker = TestBroker::at(home.path(), &EAGER).await;
    let mut client = broker.connect().await;
    client.create_topic("t", 1, &[("cleanup.policy", "compact")]).await;
    let mut last = BTreeMap::new();
    for round in 0..50 {
        let key = format!("key-{}", round % 7);
        let value = round.to_string();
        let offset = client.produce("t", 0, keyed(&[(&key, Some(&value)), ("other", Some(&value))])).await.unwrap();
        last.insert(key.into_bytes(), (offset, value.clone().into_bytes()));
        last.insert(b"other".to_vec(), (offset + 1, value.into_bytes()));
    }
    let found = until(&mut client, "t", |found| found.len() == 8).await;
    let expected: BTreeMap<i64, (Vec<u8>, Option<Vec<u8>>)> =
        last.into_iter().map(|(key, (offset, value))| (offset, (key, Some(value)))).collect();
    let expected: Vec<_> = expected.into_iter().map(|(offset, (key, value))| (offset, key, value)).collect();
    assert_eq!(found, expected);
    broker.stop().await;

    let broker = TestBroker::at(home.path(), &EAGER).await;
    let mut client = broker.connect().await;
    assert_eq!(records(&mut client, "t").await, expected);
    assert_eq!(client.produce("t", 0, keyed(&[("key-0", Some("new"))])).await, Ok(100));
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tombstone_disappears_after_delete_retention_ms_without_another_write() {
    let broker = TestBroker::with(&EAGER).await;
    let mut client = broker.connect().await;
    let configs = [("cleanup.policy", "compact"), ("delete.retention.ms", "300")];
    client.create_topic("t", 1, &configs).await;
    client.create_topic("patient", 1, &[("cleanup.policy", "compact")]).await;
    for name in ["patient", "t"] {
        client.produce(name, 0, keyed(&[("a", Some("1")), ("b", Some("1"))])).await.unwrap();
        client.produce(name, 0, keyed(&[("a", None)])).await.unwrap();
    }
    let left = until(&mut client, "t", |found| found.len() == 1).await;
    assert_eq!(left, [(1, b"b".to_vec(), Some(b"1".to_vec()))]);
    let kept = until(&mut client, "patient", |found| found.len() == 2).await;
    assert_eq!((kept[1].0, &kept[1].2), (2, &None));
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_with_both_policies_is_compacted_and_loses_what_is_too_old() {
    let broker = TestBroker::with(&[&EAGER[..], &["log.retention.check.interval.ms=50"]].concat()).await;
    let mut client = broker.connect().await;
    let configs = [("cleanup.policy", "compact,delete"), ("retention.ms", "2000")];
    client.create_topic("t", 1, &configs).await;
    client.produce("t", 0, keyed(&[("a", Some("1")), ("b", Some("1"))])).await.unwrap();
    client.produce("t", 0, keyed(&[("a", Some("2"))])).await.unwrap();
    let wait = async {
        loop {
            let answer = client.ask(12, support::fetch_request(&[("t", 0, 3)], 50, 1)).await;
            if answer.responses[0].partitions[0].log_start_offset == 3 {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("retention removes what is too old");
    broker.stop().await;
}

async fn commit(client: &mut Client, group: &str, offset: i64) {
    let partition = m::offset_commit_request::OffsetCommitRequestPartition::default()
        .with_committed_offset(offset)
        .with_committed_metadata(Some(text("")));
    let wanted = m::offset_commit_request::OffsetCommitRequestTopic::default()
        .with_name(topic("t"))
        .with_partitions(vec![partition]);
    let request = m::OffsetCommitRequest::default()
        .with_group_id(m::GroupId(text(group)))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![wanted]);
    assert_eq!(client.ask(8, request).await.topics[0].partitions[0].error_code, 0);
}

async fn committed(client: &mut Client, group: &str) -> i64 {
    let wanted = m::offset_fetch_request::OffsetFetchRequestTopic::default()
        .with_name(topic("t"))
        .with_partition_indexes(vec![0]);
    let request =
        m::OffsetFetchRequest::default().with_group_id(m::GroupId(text(group))).with_topics(Some(vec![wanted]));
    let answered = async {
        loop {
            let answer = client.ask(7, request.clone()).await;
            // COORDINATOR_LOAD_IN_PROGRESS or NOT_COORDINATOR, right after the start.
            if ![14, 16].contains(&answer.error_code) {
                assert_eq!(answer.error_code, 0);
                return answer.topics[0].partitions[0].committed_offset;
            }
        }
    };
    tokio::time::timeout(PATIENCE, answered).await.expect("the coordinator loads")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_topic_of_committed_offsets_stays_small_and_reads_back_the_same() {
    let home = tempfile::tempdir().unwrap();
    let settings = [&EAGER[..], &["offsets.topic.num.partitions=1"]].concat();
    let broker = TestBroker::at(home.path(), &settings).await;
    let mut client = broker.connect().await;
    client.create_topic("t", 1, &[]).await;
    let find = m::FindCoordinatorRequest::default().with_key_type(0).with_coordinator_keys(vec![text("g")]);
    client.ask(4, find).await;
    assert_eq!(committed(&mut client, "g").await, -1);
    for offset in 0..100 {
        commit(&mut client, "g", offset).await;
        commit(&mut client, "h", offset * 2).await;
    }
    until(&mut client, "__consumer_offsets", |found| found.len() == 2).await;
    broker.stop().await;

    let broker = TestBroker::at(home.path(), &settings).await;
    let mut client = broker.connect().await;
    assert_eq!(committed(&mut client, "g").await, 99);
    assert_eq!(committed(&mut client, "h").await, 198);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_and_writers_go_on_while_the_log_is_cleaned() {
    let broker = TestBroker::with(&EAGER).await;
    let mut writer = broker.connect().await;
    writer.create_topic("t", 1, &[("cleanup.policy", "compact")]).await;
    let (tell, mut told) = tokio::sync::watch::channel(false);
    let mut reader = broker.connect().await;
    let reading = tokio::spawn(async move {
        let mut rounds = 0;
        while !*told.borrow_and_update() {
            // Every batch whole, in order, and never an error: `records` sees to that.
            let found = records(&mut reader, "t").await;
            assert!(found.windows(2).all(|pair| pair[0].0 < pair[1].0));
            rounds += 1;
        }
        rounds
    });
    for round in 0..300 {
        let value = round.to_string();
        let keys: Vec<String> = (0..5).map(|index| format!("key-{}", (round * 3 + index) % 20)).collect();
        let batch: Vec<(&str, Option<&str>)> = keys.iter().map(|key| (key.as_str(), Some(value.as_str()))).collect();
        writer.produce("t", 0, keyed(&batch)).await.unwrap();
    }
    tell.send(true).unwrap();
    assert!(reading.await.unwrap() > 0);
    until(&mut writer, "t", |found| found.len() == 20).await;
    assert!(broker.house.broker.metrics.logs_cleaned.get() > 1);
    broker.stop().await;
}
