//! What administrators do: topics and settings made, changed, described and deleted, and all of it there after a restart.
//!
//! The captured exchanges in `golden/` are Apache Kafka 4.3.1's; where nothing in an answer is random, ours is the same
//! to the byte.

mod support;

use kafka_protocol::messages as m;
use m::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use support::{Client, TestBroker, batch, text, topic, values};

/// The hex text behind a name in one line of a golden file, as bytes.
fn hex_field(line: &str, name: &str) -> Vec<u8> {
    let start = line.find(&format!("\"{name}\": \"")).expect("the field is there") + name.len() + 5;
    let digits: &str = line[start..].split('"').next().expect("a text ends");
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex")).collect()
}

#[tokio::test]
async fn kafkas_own_answers_come_back_to_the_byte() {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
    let read = |name: &str| std::fs::read_to_string(format!("{golden}/{name}.jsonl")).expect("a golden file");
    let lines = format!("{}{}", read("topics"), read("admin"));
    let broker = TestBroker::with(&["node.id=1"]).await;
    let mut client = broker.connect().await;
    client.create_topic("beta", 1, &[]).await;
    // The first one makes the topic that the others are about; its own answer has a random id in it.
    let ids = [
        "topics-16",
        "topics-17",
        "topics-18",
        "topics-19",
        "topics-20",
        "topics-32",
        "topics-35",
        "admin-148",
        "admin-151",
        "admin-152",
        "topics-163",
    ];
    for id in ids {
        let line =
            lines.lines().find(|line| line.contains(&format!("\"id\": \"{id}\""))).expect("the exchange is there");
        let request = hex_field(line, "request_hex");
        let mut framed = (request.len() as i32).to_be_bytes().to_vec();
        framed.extend(&request);
        client.send_bytes(&framed).await;
        let answer = client.read_frame().await.expect("an answer");
        if id != "topics-16" {
            assert_eq!(answer, hex_field(line, "response_hex"), "{id}: {}", String::from_utf8_lossy(&answer));
        }
    }
}

/// Clients take the features of the answer with the highest epoch; Kafka's is the offset of the metadata log.
#[tokio::test]
async fn the_epoch_of_the_finalized_features_grows_with_the_metadata_log() {
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    let question = m::ApiVersionsRequest::default()
        .with_client_software_name(text("test"))
        .with_client_software_version(text("1"));
    let at_first = client.ask(3, question.clone()).await.finalized_features_epoch;
    client.create_topic("t", 1, &[]).await;
    let later = client.ask(3, question).await.finalized_features_epoch;
    assert!(0 < at_first && at_first < later, "{at_first}, {later}");
}

async fn described(client: &mut Client, name: &str, setting: &str) -> (Option<String>, i8) {
    let resource = m::describe_configs_request::DescribeConfigsResource::default()
        .with_resource_type(2)
        .with_resource_name(text(name))
        .with_configuration_keys(Some(vec![text(setting)]));
    let response = client.ask(4, m::DescribeConfigsRequest::default().with_resources(vec![resource])).await;
    let row = &response.results[0].configs[0];
    (row.value.as_ref().map(|value| value.to_string()), row.config_source)
}

async fn topic_id(client: &mut Client, name: &str) -> uuid::Uuid {
    let response = client.ask(12, support::metadata_of(name)).await;
    assert_eq!(response.topics[0].error_code, 0);
    response.topics[0].topic_id
}

async fn set_for_all_brokers(client: &mut Client, name: &str, value: &str) {
    let setting = m::incremental_alter_configs_request::AlterableConfig::default()
        .with_name(text(name))
        .with_value(Some(text(value)));
    let resource = m::incremental_alter_configs_request::AlterConfigsResource::default()
        .with_resource_type(4)
        .with_configs(vec![setting]);
    let response = client.ask(1, m::IncrementalAlterConfigsRequest::default().with_resources(vec![resource])).await;
    assert_eq!(response.responses[0].error_code, 0, "{:?}", response.responses[0].error_message);
}

async fn producer_id(client: &mut Client) -> i64 {
    let request = m::InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_producer_id(m::ProducerId(-1))
        .with_producer_epoch(-1);
    let response = client.ask(4, request).await;
    assert_eq!((response.error_code, response.producer_epoch), (0, 0));
    response.producer_id.0
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let broker = TestBroker::at(directory.path(), &[]).await;
    let mut client = broker.connect().await;
    client.create_topic("kept", 3, &[("retention.ms", "86400000")]).await;
    client.create_topic("gone", 1, &[]).await;
    client.delete_topic("gone").await;
    set_for_all_brokers(&mut client, "log.segment.bytes", "5000000").await;
    let (id, producer) = (topic_id(&mut client, "kept").await, producer_id(&mut client).await);
    drop(client);
    broker.stop().await;

    let broker = TestBroker::at(directory.path(), &[]).await;
    let mut client = broker.connect().await;
    assert_eq!(topic_id(&mut client, "kept").await, id);
    assert_eq!(described(&mut client, "kept", "retention.ms").await, (Some("86400000".to_string()), 1));
    assert_eq!(described(&mut client, "kept", "segment.bytes").await, (Some("5000000".to_string()), 3));
    let gone = client.ask(12, support::metadata_of("gone")).await;
    assert_eq!(gone.topics[0].error_code, 3);
    // Ids of the block that was begun before are not handed out again.
    assert!(producer_id(&mut client).await > producer);
    broker.stop().await;
}

/// I22.
#[tokio::test]
async fn i22_a_topic_made_again_shows_nothing_of_the_old_one() {
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    client.create_topic("t", 2, &[("retention.ms", "1000000")]).await;
    assert_eq!(client.produce("t", 0, batch(&[b"old"])).await, Ok(0));
    let old = topic_id(&mut client, "t").await;
    client.delete_topic("t").await;
    client.create_topic("t", 1, &[]).await;
    assert_ne!(topic_id(&mut client, "t").await, old);
    assert_eq!(described(&mut client, "t", "retention.ms").await.1, 5);
    assert_eq!(client.fetch("t", 0, 0).await.high_watermark, 0);
    assert_eq!(client.produce("t", 0, batch(&[b"new"])).await, Ok(0));
    assert_eq!(values(&client.fetch("t", 0, 0).await.records), [(0, b"new".to_vec())]);
}

async fn delete_records(client: &mut Client, name: &str, offset: i64) -> (i64, i16) {
    let partition = m::delete_records_request::DeleteRecordsPartition::default().with_offset(offset);
    let wanted = m::delete_records_request::DeleteRecordsTopic::default()
        .with_name(topic(name))
        .with_partitions(vec![partition]);
    let request = m::DeleteRecordsRequest::default().with_topics(vec![wanted]).with_timeout_ms(10_000);
    let response = client.ask(2, request).await;
    let partition = &response.topics[0].partitions[0];
    (partition.low_watermark, partition.error_code)
}

/// I21.
#[tokio::test]
async fn i21_records_that_were_given_up_stay_away_after_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let broker = TestBroker::at(directory.path(), &[]).await;
    let mut client = broker.connect().await;
    client.create_topic("t", 1, &[]).await;
    for value in [b"a", b"b", b"c", b"d"] {
        client.produce("t", 0, batch(&[value])).await.expect("written");
    }
    assert_eq!(delete_records(&mut client, "t", 5).await, (-1, 1));
    assert_eq!(delete_records(&mut client, "t", 2).await, (2, 0));
    assert_eq!(delete_records(&mut client, "t", 1).await, (2, 0), "what is gone already is no mistake");
    drop(client);
    broker.stop().await;

    let broker = TestBroker::at(directory.path(), &[]).await;
    let mut client = broker.connect().await;
    assert_eq!(client.fetch("t", 0, 1).await.error_code, 1);
    let kept = client.fetch("t", 0, 2).await;
    assert_eq!((kept.log_start_offset, values(&kept.records).len()), (2, 2));
    assert_eq!(delete_records(&mut client, "t", -1).await, (4, 0));
    broker.stop().await;
}

/// I6, I21: a start that is not written down would be taken back by a crash, so nobody may see it.
#[tokio::test]
async fn i21_a_log_start_that_cannot_be_written_down_does_not_move() {
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    client.create_topic("t", 1, &[]).await;
    client.produce("t", 0, batch(&[b"a", b"b"])).await.expect("written");
    // No file can take the place of a directory.
    let obstacle = broker.directory.join("log-start-offset-checkpoint");
    let _ = std::fs::remove_file(&obstacle);
    std::fs::create_dir(&obstacle).expect("an obstacle");
    assert_eq!(delete_records(&mut client, "t", 1).await, (-1, 56));
    let all = client.fetch("t", 0, 0).await;
    assert_eq!((all.error_code, all.log_start_offset, values(&all.records).len()), (0, 0, 2));
    std::fs::remove_dir(&obstacle).expect("the obstacle goes");
    assert_eq!(delete_records(&mut client, "t", 1).await, (1, 0));
    assert_eq!(client.fetch("t", 0, 1).await.log_start_offset, 1);
}

#[tokio::test]
async fn more_partitions_can_be_written_at_once_and_take_their_room() {
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    client.create_topic("t", 1, &[]).await;
    let wanted = m::create_partitions_request::CreatePartitionsTopic::default()
        .with_name(topic("t"))
        .with_count(3)
        .with_assignments(None);
    let response = client.ask(3, m::CreatePartitionsRequest::default().with_topics(vec![wanted])).await;
    assert_eq!(response.results[0].error_code, 0);
    assert_eq!(client.produce("t", 2, batch(&[&[7; 1000]])).await, Ok(0));
    let response = client.ask(4, m::DescribeLogDirsRequest::default().with_topics(None)).await;
    let directory = &response.results[0];
    let sizes: Vec<i64> = directory.topics[0].partitions.iter().map(|partition| partition.partition_size).collect();
    assert!(sizes.len() == 3 && sizes[2] > 1000, "{sizes:?}");
    assert!(directory.total_bytes >= directory.usable_bytes && directory.usable_bytes > 0);
}

/// Pitfalls 61 and 62: validation reports everything, and a refused topic is not made.
#[tokio::test]
async fn a_topic_that_is_only_validated_or_refused_is_not_there() {
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    client.create_topic("t", 1, &[]).await;
    let wanted = |name: &str, setting: &str| {
        let setting = CreatableTopicConfig::default().with_name(text(setting)).with_value(Some(text("1000000")));
        CreatableTopic::default()
            .with_name(topic(name))
            .with_num_partitions(-1)
            .with_replication_factor(-1)
            .with_configs(vec![setting])
    };
    let topics = vec![wanted("t", "retention.ms"), wanted("u", "retention.ms"), wanted("v", "no.such")];
    let request = m::CreateTopicsRequest::default().with_topics(topics).with_validate_only(true);
    let response = client.ask(7, request.clone()).await;
    let codes: Vec<i16> = response.topics.iter().map(|topic| topic.error_code).collect();
    assert_eq!(codes, [36, 0, 40]);
    assert_eq!(client.ask(12, support::metadata_of("u")).await.topics[0].error_code, 3);
    client.ask(7, request.with_validate_only(false)).await;
    assert_eq!(client.ask(12, support::metadata_of("u")).await.topics[0].error_code, 0);
    assert_eq!(client.ask(12, support::metadata_of("v")).await.topics[0].error_code, 3);
}

/// Quotas lie in the metadata log, and in the snapshot of it.
#[tokio::test]
async fn quotas_are_there_after_a_restart() {
    use m::alter_client_quotas_request::{EntityData, EntryData, OpData};
    let directory = tempfile::tempdir().unwrap();
    let broker = TestBroker::at(directory.path(), &[]).await;
    let entity = vec![
        EntityData::default().with_entity_type(text("user")).with_entity_name(Some(text("u"))),
        EntityData::default().with_entity_type(text("client-id")).with_entity_name(None),
    ];
    let op = OpData::default().with_key(text("producer_byte_rate")).with_value(1024.0);
    let entry = EntryData::default().with_entity(entity).with_ops(vec![op]);
    let request = m::AlterClientQuotasRequest::default().with_entries(vec![entry]);
    let answer = broker.connect().await.ask(1, request).await;
    assert_eq!(answer.entries[0].error_code, 0);
    broker.stop().await;

    let broker = TestBroker::at(directory.path(), &[]).await;
    let found = broker.connect().await.ask(1, m::DescribeClientQuotasRequest::default()).await.entries.unwrap();
    let named =
        |name: &str| found[0].entity.iter().find(|part| &*part.entity_type == name).unwrap().entity_name.clone();
    assert_eq!((found.len(), named("user"), named("client-id")), (1, Some(text("u")), None));
    assert_eq!((&*found[0].values[0].key, found[0].values[0].value), ("producer_byte_rate", 1024.0));
    broker.stop().await;
}
