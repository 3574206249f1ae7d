//! `kafka-delete-records`: removes the records of partitions below given offsets.

use std::collections::BTreeMap;

use kafka_protocol::messages as m;
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::protocol::StrBytes;

use super::flags::{Flag, Takes, Usage, flag};
use super::{Done, Failure, Output, Tool, java, json, target};
use crate::client::{Client, Error, Offsets};

pub(super) const TOOL: Tool = Tool {
    name: "kafka-delete-records",
    aliases: &["kafka.admin.DeleteRecordsCommand", "org.apache.kafka.tools.DeleteRecordsCommand"],
    about: "delete old records of partitions",
    usage: || USAGE,
    run,
};

const USAGE: Usage = Usage {
    about: "This tool helps to delete records of the given partitions down to the specified offset.",
    flags: FLAGS,
};

static FLAGS: &[Flag] = &[
    target::BOOTSTRAP_SERVER,
    target::COMMAND_CONFIG,
    flag(
        &["offset-json-file"],
        Takes::Value("file"),
        "REQUIRED: {\"partitions\":[{\"topic\":\"t\",\"partition\":0,\"offset\":5}],\"version\":1}",
    ),
];

fn run(arguments: &[String], out: &mut Output) -> Done {
    let flags = USAGE.parse(arguments)?;
    flags.need("bootstrap-server")?;
    let file = flags.need("offset-json-file")?;
    let text =
        std::fs::read_to_string(file).map_err(|error| Failure::Error(format!("{file} cannot be read: {error}")))?;
    let wanted = read(&text).map_err(|why| Failure::Error(format!("{file}: {why}")))?;
    let mut client = target::connect(&flags, "milena-delete-records")?;
    out.line("Executing records delete operation");
    let outcomes = delete(&mut client, &wanted)?;
    out.line("Records delete operation completed:");
    let ordered =
        java::hash_order_by(wanted.keys().collect(), |(topic, partition)| java::partition_hash(topic, *partition));
    for at in ordered {
        let outcome = match &outcomes[at] {
            Ok(low) => format!("low_watermark: {low}"),
            Err(error) => format!("error: {}: {error}", error.java_class()),
        };
        out.line(format!("partition: {}-{}\t{outcome}", at.0, at.1));
    }
    Ok(())
}

type Wanted = BTreeMap<(String, i32), i64>;

fn read(text: &str) -> Result<Wanted, String> {
    let value = json::parse(text)?;
    let partitions = value.get("partitions").and_then(json::Value::list).ok_or("Missing partitions field")?;
    let mut wanted = Wanted::new();
    for partition in partitions {
        let topic = partition.get("topic").and_then(json::Value::text).ok_or("a partition without a topic")?;
        let number = |name: &str| partition.get(name).and_then(json::Value::integer);
        let index =
            number("partition").and_then(|index| i32::try_from(index).ok()).ok_or("a partition without a number")?;
        let offset = number("offset").ok_or("a partition without an offset")?;
        if wanted.insert((topic.to_owned(), index), offset).is_some() {
            return Err(format!("Offset json file contains duplicate topic partitions: {topic}-{index}"));
        }
    }
    Ok(wanted)
}

fn delete(client: &mut Client, wanted: &Wanted) -> Result<Offsets, Failure> {
    let names: Vec<String> = wanted.keys().map(|at| at.0.clone()).collect();
    let topics = client.metadata(Some(&names), true)?;
    let mut outcomes = BTreeMap::new();
    for (at, offset) in wanted {
        let leader = crate::client::leader_of(&topics, &at.0, at.1);
        let outcome =
            if leader < 0 { Error::check(3, None).map(|()| -1) } else { delete_one(client, leader, at, *offset) };
        outcomes.insert(at.clone(), outcome);
    }
    Ok(outcomes)
}

fn delete_one(client: &mut Client, leader: i32, at: &(String, i32), offset: i64) -> Result<i64, Error> {
    let partition = DeleteRecordsPartition::default().with_partition_index(at.1).with_offset(offset);
    let topic = DeleteRecordsTopic::default()
        .with_name(TopicName(StrBytes::from_string(at.0.clone())))
        .with_partitions(vec![partition]);
    let request = m::DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(30_000);
    let answer = client.ask(leader, &request, 2)?;
    let found = answer.topics.iter().flat_map(|topic| &topic.partitions).next();
    let found = found.ok_or_else(|| Error::Unsupported { api: "DeleteRecords".to_owned() })?;
    Error::check(found.error_code, None).map(|()| found.low_watermark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_names_partitions_once() {
        let one = r#"{"partitions":[{"topic":"t","partition":0,"offset":5}],"version":1}"#;
        assert_eq!(read(one).unwrap(), Wanted::from([(("t".to_owned(), 0), 5)]));
        let twice = r#"{"partitions":[{"topic":"t","partition":0,"offset":5},{"topic":"t","partition":0,"offset":6}]}"#;
        assert!(read(twice).unwrap_err().contains("duplicate"));
        assert!(read("{}").is_err());
    }
}
