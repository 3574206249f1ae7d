//! Classic groups over the wire: what the machine's own tests cannot show, because it takes a broker.

mod support;

use kafka_protocol::messages as m;
use support::{Client, PATIENCE, TestBroker, batch, text, topic};

async fn commit(client: &mut Client, group: &str, name: &str, offset: i64) -> i16 {
    let request = support::commit_request(group, name, offset);
    client.ask(8, request).await.topics[0].partitions[0].error_code
}

/// Somebody deletes the topic that groups are kept in: they are lost, as on Kafka, and new ones are kept in a new one.
#[tokio::test(flavor = "multi_thread")]
async fn groups_work_again_after_their_topic_was_deleted() {
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    client.create_topic("t", 1, &[]).await;
    assert_eq!(commit(&mut client, "g", "t", 5).await, 0);
    client.delete_topic("__consumer_offsets").await;
    assert_eq!(committed(&mut client, "g", "t").await, -1);
    assert_eq!(commit(&mut client, "g", "t", 6).await, 0);
    assert_eq!(committed(&mut client, "g", "t").await, 6);
    assert_eq!(groups(&mut client).await, ["g"]);
    broker.stop().await;
}

/// A broker setting smaller than a topic may have is no reason for groups that never form.
#[tokio::test(flavor = "multi_thread")]
async fn groups_form_with_tiny_segments_of_their_topic() {
    let broker = TestBroker::with(&["offsets.topic.segment.bytes=1024"]).await;
    let mut client = broker.connect().await;
    client.create_topic("t", 1, &[]).await;
    assert_eq!(commit(&mut client, "g", "t", 5).await, 0);
    assert_eq!(committed(&mut client, "g", "t").await, 5);
    broker.stop().await;
}

/// Lesson 27: the topic of the groups is made once, however many need it first at the same time.
#[tokio::test(flavor = "multi_thread")]
async fn lesson_27_the_first_groups_share_one_topic() {
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    client.create_topic("t", 1, &[]).await;
    // All have asked before any answer is read.
    let mut clients = Vec::new();
    for number in 0..16 {
        let mut one = broker.connect().await;
        one.send(8, &support::commit_request(&format!("g{number}"), "t", number)).await;
        clients.push(one);
    }
    for one in &mut clients {
        assert_eq!(one.answer::<m::OffsetCommitRequest>(8).await.topics[0].partitions[0].error_code, 0);
    }
    for number in 0..16 {
        assert_eq!(committed(&mut client, &format!("g{number}"), "t").await, number);
    }
    broker.stop().await;
}

async fn committed(client: &mut Client, group: &str, name: &str) -> i64 {
    let topics = vec![
        m::offset_fetch_request::OffsetFetchRequestTopic::default()
            .with_name(topic(name))
            .with_partition_indexes(vec![0]),
    ];
    let request = m::OffsetFetchRequest::default().with_group_id(m::GroupId(text(group))).with_topics(Some(topics));
    client.ask(7, request).await.topics[0].partitions[0].committed_offset
}

async fn groups(client: &mut Client) -> Vec<String> {
    let response = client.ask(4, m::ListGroupsRequest::default()).await;
    response.groups.iter().map(|group| group.group_id.to_string()).collect()
}

/// I62: an acknowledged commit is there after every kind of end.
#[tokio::test(flavor = "multi_thread")]
async fn i62_a_commit_is_there_after_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let broker = TestBroker::at(home.path(), &[]).await;
    let mut client = broker.connect().await;
    client.create_topic("t", 1, &[]).await;
    assert_eq!(committed(&mut client, "g", "t").await, -1);
    assert_eq!(commit(&mut client, "g", "t", 42).await, 0);
    broker.stop().await;
    let broker = TestBroker::at(home.path(), &[]).await;
    let mut client = broker.connect().await;
    assert_eq!(committed(&mut client, "g", "t").await, 42);
    assert_eq!(groups(&mut client).await, ["g"]);
    broker.stop().await;
}

/// I22: the offsets of a deleted topic go with it, and so does a group that had nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn i22_offsets_go_with_their_topic() {
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    client.create_topic("t", 1, &[]).await;
    client.produce("t", 0, batch(&[b"x"])).await.unwrap();
    assert_eq!(commit(&mut client, "g", "t", 1).await, 0);
    client.delete_topic("t").await;
    let gone = async {
        while !groups(&mut client).await.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("the group goes with its last offset");
    client.create_topic("t", 1, &[]).await;
    assert_eq!(committed(&mut client, "g", "t").await, -1);
    broker.stop().await;
}

/// A member whose connection is gone has its grace, not its whole session: the next run need not wait for 45 s.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_was_cut_off_is_not_waited_for() {
    let broker = TestBroker::with(&["milena.group.disconnect.grace.ms=100"]).await;
    let mut first = broker.connect().await;
    let id = join(&mut first, "").await;
    assert_eq!(id.error_code, 0);
    drop(first);
    let mut second = broker.connect().await;
    // Held until the first member is given up; its session would last for five minutes.
    let joined = tokio::time::timeout(PATIENCE, join(&mut second, "")).await.expect("within the grace");
    assert_eq!((joined.error_code, joined.members.len()), (0, 1));
    broker.stop().await;
}

/// Joins in version 3, which needs no second request for the member id.
async fn join(client: &mut Client, member_id: &str) -> m::JoinGroupResponse {
    let protocol = m::join_group_request::JoinGroupRequestProtocol::default()
        .with_name(text("range"))
        .with_metadata(bytes::Bytes::from_static(b"subscription"));
    let request = m::JoinGroupRequest::default()
        .with_group_id(m::GroupId(text("g")))
        .with_session_timeout_ms(300_000)
        .with_rebalance_timeout_ms(300_000)
        .with_member_id(text(member_id))
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol]);
    client.ask(3, request).await
}
