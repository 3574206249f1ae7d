//! `kafka-leader-election`: asks for the preferred or an unclean leader of partitions.

use std::collections::BTreeMap;

use kafka_protocol::messages as m;
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::protocol::StrBytes;

use super::flags::{Flag, Flags, Takes, Usage, flag};
use super::{Done, Failure, Output, Tool, json, target};
use crate::client::Error;
use crate::types::ErrorCode;

pub(super) const TOOL: Tool = Tool {
    name: "kafka-leader-election",
    aliases: &["kafka.admin.LeaderElectionCommand", "org.apache.kafka.tools.LeaderElectionCommand"],
    about: "elect preferred leaders",
    usage: || USAGE,
    run,
};

const USAGE: Usage =
    Usage { about: "This tool attempts to elect a new leader for a set of topic partitions.", flags: FLAGS };

static FLAGS: &[Flag] = &[
    flag(&["admin.config"], Takes::Value("file"), "Older name of --command-config."),
    flag(&["all-topic-partitions"], Takes::Nothing, "All partitions of all topics."),
    target::BOOTSTRAP_SERVER,
    target::COMMAND_CONFIG,
    flag(&["election-type"], Takes::Value("type"), "REQUIRED: preferred or unclean."),
    flag(&["partition"], Takes::Value("number"), "The partition of --topic."),
    flag(&["path-to-json-file"], Takes::Value("file"), "{\"partitions\":[{\"topic\":\"t\",\"partition\":0}]}"),
    flag(&["topic"], Takes::Value("name"), "The topic."),
];

fn run(arguments: &[String], out: &mut Output) -> Done {
    let flags = USAGE.parse(arguments)?;
    let (kind, kind_name) = match flags.need("election-type")?.to_ascii_lowercase().as_str() {
        "preferred" => (0, "PREFERRED"),
        "unclean" => (1, "UNCLEAN"),
        other => return Err(Failure::Usage(format!("{other} is no election type: preferred and unclean are"))),
    };
    let partitions = partitions(&flags)?;
    let topic = |(name, partitions): (&String, &Vec<i32>)| {
        TopicPartitions::default()
            .with_topic(TopicName(StrBytes::from_string(name.clone())))
            .with_partitions(partitions.clone())
    };
    let request = m::ElectLeadersRequest::default()
        .with_election_type(kind)
        .with_topic_partitions(partitions.as_ref().map(|partitions| partitions.iter().map(topic).collect()))
        .with_timeout_ms(30_000);
    let answer = target::connect(&flags, "milena-leader-election")?.ask_controller(&request, 2)?;
    Error::check(answer.error_code, None)?;
    let (mut elected, mut needless, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for topic in &answer.replica_election_results {
        for partition in &topic.partition_result {
            let name = format!("{}-{}", &*topic.topic.0, partition.partition_id);
            match Error::check(partition.error_code, partition.error_message.as_deref()) {
                Ok(()) => elected.push(name),
                Err(error) if error.code() == Some(ErrorCode::ElectionNotNeeded) => needless.push(name),
                Err(error) => failed.push(format!(
                    "Error completing leader election ({kind_name}) for partition: {name}: {}: {error}",
                    error.java_class()
                )),
            }
        }
    }
    if !elected.is_empty() {
        out.line(format!("Successfully completed leader election for partitions {}", elected.join(", ")));
    }
    if !needless.is_empty() {
        out.line(format!("Valid replica already elected for partitions {}", needless.join(", ")));
    }
    let is_whole = failed.is_empty();
    failed.into_iter().for_each(|line| out.line(line));
    if is_whole { Ok(()) } else { Err(Failure::Exit(1)) }
}

/// `None`: all of them.
fn partitions(flags: &Flags) -> Result<Option<BTreeMap<String, Vec<i32>>>, Failure> {
    if flags.has("all-topic-partitions") {
        return Ok(None);
    }
    let mut partitions: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    if let Some(file) = flags.value("path-to-json-file") {
        let text =
            std::fs::read_to_string(file).map_err(|error| Failure::Error(format!("{file} cannot be read: {error}")))?;
        let value = json::parse(&text).map_err(|why| Failure::Error(format!("{file}: {why}")))?;
        for one in value.get("partitions").and_then(json::Value::list).unwrap_or_default() {
            let topic = one.get("topic").and_then(json::Value::text);
            let number =
                one.get("partition").and_then(json::Value::integer).and_then(|number| i32::try_from(number).ok());
            let (Some(topic), Some(number)) = (topic, number) else {
                return Err(Failure::Error(format!("{file}: a partition needs a topic and a number")));
            };
            partitions.entry(topic.to_owned()).or_default().push(number);
        }
        return Ok(Some(partitions));
    }
    match (flags.value("topic"), flags.number("partition")?) {
        (Some(topic), Some(partition)) => Ok(Some(BTreeMap::from([(topic.to_owned(), vec![partition])]))),
        _ => Err(Failure::Usage(
            "One and only one of the following options is required:  all-topic-partitions, topic with partition, path-to-json-file".to_owned(),
        )),
    }
}
