//! Old data goes away, and nothing else does.

mod support;

use kafka_protocol::messages as m;
use support::{Client, PATIENCE, TestBroker, batch, topic};

use milena::clock::{Clock, SystemClock};
use milena::record::Builder;

/// The earliest offset that the broker tells.
async fn log_start(client: &mut Client, name: &str) -> i64 {
    let partition = m::list_offsets_request::ListOffsetsPartition::default().with_timestamp(-2);
    let wanted =
        m::list_offsets_request::ListOffsetsTopic::default().with_name(topic(name)).with_partitions(vec![partition]);
    let request = m::ListOffsetsRequest::default().with_replica_id(m::BrokerId(-1)).with_topics(vec![wanted]);
    client.ask(7, request).await.topics[0].partitions[0].offset
}

/// Waits until the log starts at `offset`. A fetch at the end of the log is what passes the time.
async fn until_log_starts_at(client: &mut Client, name: &str, offset: i64, end: i64) {
    let wait = async {
        while log_start(client, name).await != offset {
            client.ask(12, support::fetch_request(&[(name, 0, end)], 50, 1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("retention removes what is too old or too much");
}

#[tokio::test(flavor = "multi_thread")]
async fn old_data_goes_away_and_young_data_stays() {
    let home = tempfile::tempdir().unwrap();
    let settings = ["log.retention.check.interval.ms=50"];
    let broker = TestBroker::at(home.path(), &settings).await;
    let mut client = broker.connect().await;
    // A week is the default, and the records of `batch` are of 1970.
    client.create_topic("old", 1, &[]).await;
    client.create_topic("kept", 1, &[("retention.ms", "-1")]).await;
    client.create_topic("young", 1, &[("retention.ms", "600000")]).await;
    client.produce("kept", 0, batch(&[b"a", b"b"])).await.unwrap();
    let mut young = Builder::new();
    young.push(SystemClock::default().now().wall, None, Some(b"a"), &[]);
    client.produce("young", 0, young.build().into_bytes()).await.unwrap();
    client.produce("old", 0, batch(&[b"a", b"b"])).await.unwrap();
    until_log_starts_at(&mut client, "old", 2, 2).await;
    // What retention saw before it came to `old` it has seen by now.
    client.produce("old", 0, batch(&[b"c"])).await.unwrap();
    until_log_starts_at(&mut client, "old", 3, 3).await;
    assert_eq!(log_start(&mut client, "kept").await, 0);
    assert_eq!(log_start(&mut client, "young").await, 0);
    assert_eq!(client.fetch("old", 0, 0).await.error_code, 1, "OFFSET_OUT_OF_RANGE");
    broker.stop().await;

    let broker = TestBroker::at(home.path(), &settings).await;
    let mut client = broker.connect().await;
    assert_eq!(log_start(&mut client, "old").await, 3);
    assert_eq!(client.produce("old", 0, batch(&[b"d"])).await, Ok(3));
    assert_eq!(support::values(&client.fetch("kept", 0, 0).await.records).len(), 2);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_kept_to_its_size_and_never_below_it() {
    let broker = TestBroker::with(&["log.retention.check.interval.ms=50"]).await;
    let mut client = broker.connect().await;
    let limits = [("segment.bytes", "1048576"), ("retention.bytes", "2000000"), ("retention.ms", "-1")];
    client.create_topic("t", 1, &limits).await;
    let large = vec![7; 900_000];
    for _ in 0..5 {
        client.produce("t", 0, batch(&[&large])).await.unwrap();
    }
    // Five segments of 900 kB: three are more than the limit, two would be less.
    until_log_starts_at(&mut client, "t", 2, 5).await;
    client.produce("t", 0, batch(&[&large])).await.unwrap();
    until_log_starts_at(&mut client, "t", 3, 6).await;
    for offset in 3..6 {
        assert_eq!(client.fetch("t", 0, offset).await.error_code, 0);
    }
    broker.stop().await;
}
