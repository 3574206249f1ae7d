//! `kafka-log-dirs`: what lies in the data directories of brokers, as one line of JSON.

use kafka_protocol::messages as m;

use super::flags::{Flag, Flags, Takes, Usage, flag};
use super::{Done, Failure, Output, Tool, java, json, target};
use crate::client::{Client, Error};
use crate::types::ErrorCode;

pub(super) const TOOL: Tool = Tool {
    name: "kafka-log-dirs",
    aliases: &["kafka.admin.LogDirsCommand", "org.apache.kafka.tools.LogDirsCommand"],
    about: "show sizes on disk",
    usage: || USAGE,
    run,
};

const USAGE: Usage =
    Usage { about: "This tool helps to query log directory usage on the specified brokers.", flags: FLAGS };

static FLAGS: &[Flag] = &[
    target::BOOTSTRAP_SERVER,
    flag(&["broker-list"], Takes::Value("1,2"), "Only these brokers."),
    target::COMMAND_CONFIG,
    flag(&["describe"], Takes::Nothing, "REQUIRED: tell what lies in the directories."),
    flag(&["topic-list"], Takes::Value("a,b"), "Only these topics."),
];

fn run(arguments: &[String], out: &mut Output) -> Done {
    let flags = USAGE.parse(arguments)?;
    flags.need("bootstrap-server")?;
    if !flags.has("describe") {
        return Err(Failure::Usage("Missing required argument \"[describe]\"".to_owned()));
    }
    let mut client = target::connect(&flags, "milena-log-dirs")?;
    let brokers = brokers(&client, &flags)?;
    out.line("Querying brokers for log directories information");
    let mut parts = Vec::new();
    for id in &brokers {
        parts.push(describe(&mut client, &flags, *id)?);
    }
    let ids: Vec<String> = brokers.iter().map(ToString::to_string).collect();
    out.line(format!("Received log directory information from brokers {}", ids.join(",")));
    out.line(format!("{{\"brokers\":[{}],\"version\":1}}", parts.join(",")));
    Ok(())
}

fn brokers(client: &Client, flags: &Flags) -> Result<Vec<i32>, Failure> {
    let known: Vec<i32> = client.brokers().map(|broker| broker.id).collect();
    let Some(list) = flags.value("broker-list") else { return Ok(known) };
    let number = |id: &str| id.trim().parse().map_err(|_| Failure::Error(format!("{id} is no broker id")));
    let asked: Vec<i32> = list.split(',').filter(|id| !id.trim().is_empty()).map(number).collect::<Result<_, _>>()?;
    let missing: Vec<i32> = asked.iter().copied().filter(|id| !known.contains(id)).collect();
    if missing.is_empty() {
        return Ok(if asked.is_empty() { known } else { asked });
    }
    let (missing, known) = (super::topics::joined(&missing), super::topics::joined(&known));
    let sentence = format!(
        "ERROR: The given brokers do not exist from --broker-list: {missing}. Current existent brokers: {known}"
    );
    Err(Failure::Error(sentence))
}

fn describe(client: &mut Client, flags: &Flags, broker: i32) -> Result<String, Failure> {
    let wanted: Vec<&str> =
        flags.value("topic-list").map(|list| list.split(',').map(str::trim).collect()).unwrap_or_default();
    let answer = client.ask(broker, &m::DescribeLogDirsRequest::default().with_topics(None), 4)?;
    Error::check(answer.error_code, None)?;
    let mut directories = Vec::new();
    for found in answer.results {
        let mut partitions = Vec::new();
        for topic in found.topics.iter().filter(|topic| wanted.is_empty() || wanted.contains(&topic.name.0.as_str())) {
            partitions.extend(topic.partitions.iter().map(|partition| (topic.name.0.as_str(), partition)));
        }
        let ordered = java::hash_order_by(partitions, |(topic, partition)| {
            java::partition_hash(topic, partition.partition_index)
        });
        let rows: Vec<String> = ordered.iter().map(|(topic, partition)| row(topic, partition)).collect();
        let error = match ErrorCode::from_code(found.error_code) {
            Some(ErrorCode::None) => "null".to_owned(),
            _ => json::text(
                &Error::check(found.error_code, None).map_or_else(|error| error.java_class(), |()| String::new()),
            ),
        };
        directories.push(format!(
            "{{\"partitions\":[{}],\"error\":{error},\"logDir\":{}}}",
            rows.join(","),
            json::text(&found.log_dir)
        ));
    }
    Ok(format!("{{\"broker\":{broker},\"logDirs\":[{}]}}", directories.join(",")))
}

fn row(topic: &str, partition: &m::describe_log_dirs_response::DescribeLogDirsPartition) -> String {
    format!(
        "{{\"partition\":{},\"size\":{},\"offsetLag\":{},\"isFuture\":{}}}",
        json::text(&format!("{topic}-{}", partition.partition_index)),
        partition.partition_size,
        partition.offset_lag,
        partition.is_future_key
    )
}
