//! `kafka-transactions`: the transactions of a cluster and the producers of a partition.

use kafka_protocol::messages as m;
use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::{TopicName, TransactionalId};
use kafka_protocol::protocol::StrBytes;

use super::flags::{Flag, Flags, Takes, Usage, flag};
use super::{Done, Failure, Output, Tool, table, target};
use crate::client::{Client, Error, leader_of};
use crate::types::ErrorCode;

pub(super) const TOOL: Tool = Tool {
    name: "kafka-transactions",
    aliases: &["org.apache.kafka.tools.TransactionsCommand"],
    about: "list and describe transactions, describe producers",
    usage: || USAGE,
    run,
};

const USAGE: Usage = Usage {
    about: "kafka-transactions {list,describe,describe-producers,abort,find-hanging}: this tool is used to analyze the transactional state of producers in the cluster.",
    flags: FLAGS,
};

static FLAGS: &[Flag] = &[
    target::BOOTSTRAP_SERVER,
    flag(&["broker-id"], Takes::Value("id"), "describe-producers: ask this broker."),
    target::COMMAND_CONFIG,
    flag(&["duration-filter"], Takes::Value("ms"), "list: only transactions open for longer."),
    flag(&["partition"], Takes::Value("number"), "The partition."),
    flag(&["topic"], Takes::Value("name"), "The topic."),
    flag(&["transactional-id"], Takes::Value("id"), "describe: the transactional id."),
];

fn run(arguments: &[String], out: &mut Output) -> Done {
    let flags = USAGE.parse(arguments)?;
    let act: fn(&mut Client, &Flags, &mut Output) -> Done = match flags.words.first().map(String::as_str) {
        Some("list") => list,
        Some("describe") => describe,
        Some("describe-producers") => describe_producers,
        Some(other @ ("abort" | "find-hanging" | "forceTerminateTransaction")) => {
            return Err(Failure::Error(format!("{other} is not there yet")));
        }
        Some(other) => return Err(Failure::Usage(format!("kafka-transactions: error: invalid choice: '{other}'"))),
        None => return Err(Failure::Usage("kafka-transactions: error: too few arguments".to_owned())),
    };
    act(&mut target::connect(&flags, "milena-transactions")?, &flags, out)
}

fn print(header: &[&str], rows: &[Vec<String>], out: &mut Output) {
    table::padded(header, rows).into_iter().for_each(|line| out.line(line));
}

fn list(client: &mut Client, flags: &Flags, out: &mut Output) -> Done {
    let duration: Option<i64> = flags.number("duration-filter")?;
    let request = m::ListTransactionsRequest::default().with_duration_filter(duration.unwrap_or(-1));
    let brokers: Vec<i32> = client.brokers().map(|broker| broker.id).collect();
    let mut rows = Vec::new();
    for broker in brokers {
        let answer = client.ask(broker, &request, if duration.is_some() { 1 } else { 0 })?;
        Error::check(answer.error_code, None)?;
        let row = |found: &m::list_transactions_response::TransactionState| {
            let id = found.transactional_id.0.to_string();
            vec![id, broker.to_string(), found.producer_id.0.to_string(), found.transaction_state.to_string()]
        };
        rows.extend(answer.transaction_states.iter().map(row));
    }
    print(&["TransactionalId", "Coordinator", "ProducerId", "TransactionState"], &rows, out);
    Ok(())
}

fn describe(client: &mut Client, flags: &Flags, out: &mut Output) -> Done {
    let id = flags.value("transactional-id");
    let id = id.ok_or_else(|| Failure::Usage("argument --transactional-id is required".to_owned()))?;
    let coordinator = client.coordinator(id, 1)?;
    let request = m::DescribeTransactionsRequest::default()
        .with_transactional_ids(vec![TransactionalId(StrBytes::from_string(id.to_owned()))]);
    let answer = client.ask(coordinator, &request, 0)?;
    let found = answer.transaction_states.into_iter().next();
    let found = found.ok_or_else(|| Failure::Error("the broker did not answer for the id".to_owned()))?;
    Error::check(found.error_code, None).map_err(|error| {
        let why = match error.code() {
            Some(ErrorCode::TransactionalIdNotFound) => format!(
                "DescribeTransactions request for transactionalId `{id}` failed because the ID could not be found"
            ),
            _ => error.to_string(),
        };
        Failure::Error(format!(
            "Failed to describe transaction state of transactional-id `{id}`: {why}. Enable debug logging for additional detail."
        ))
    })?;
    let begun = found.transaction_start_time_ms;
    let (start, duration) = if begun < 0 {
        ("None".to_owned(), "None".to_owned())
    } else {
        (begun.to_string(), (client.now_ms() - begun).to_string())
    };
    let partitions = found
        .topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|partition| format!("{}-{partition}", &*topic.topic.0)));
    let row = vec![
        coordinator.to_string(),
        id.to_owned(),
        found.producer_id.0.to_string(),
        found.producer_epoch.to_string(),
        found.transaction_state.to_string(),
        found.transaction_timeout_ms.to_string(),
        start,
        duration,
        partitions.collect::<Vec<_>>().join(","),
    ];
    let header = [
        "CoordinatorId",
        "TransactionalId",
        "ProducerId",
        "ProducerEpoch",
        "TransactionState",
        "TransactionTimeoutMs",
        "CurrentTransactionStartTimeMs",
        "TransactionDurationMs",
        "TopicPartitions",
    ];
    print(&header, &[row], out);
    Ok(())
}

fn describe_producers(client: &mut Client, flags: &Flags, out: &mut Output) -> Done {
    let needed = |name: &str| Failure::Usage(format!("argument --{name} is required"));
    let topic = flags.value("topic").ok_or_else(|| needed("topic"))?;
    let partition: i32 = flags.number("partition")?.ok_or_else(|| needed("partition"))?;
    let leader = match flags.number("broker-id")? {
        Some(broker) => broker,
        None => leader_of(&client.metadata(Some(&[topic.to_owned()]), false)?, topic, partition),
    };
    let asked = TopicRequest::default()
        .with_name(TopicName(StrBytes::from_string(topic.to_owned())))
        .with_partition_indexes(vec![partition]);
    let answer = client.ask(leader, &m::DescribeProducersRequest::default().with_topics(vec![asked]), 0)?;
    let found = answer.topics.iter().flat_map(|topic| &topic.partitions).next();
    let found = found.ok_or_else(|| Failure::Error("the broker did not answer for the partition".to_owned()))?;
    Error::check(found.error_code, found.error_message.as_deref())?;
    let row = |producer: &m::describe_producers_response::ProducerState| {
        let start = producer.current_txn_start_offset;
        vec![
            producer.producer_id.0.to_string(),
            producer.producer_epoch.to_string(),
            producer.coordinator_epoch.to_string(),
            producer.last_sequence.to_string(),
            producer.last_timestamp.to_string(),
            if start < 0 { "None".to_owned() } else { start.to_string() },
        ]
    };
    let rows: Vec<_> = found.active_producers.iter().map(row).collect();
    let header = [
        "ProducerId",
        "ProducerEpoch",
        "LatestCoordinatorEpoch",
        "LastSequence",
        "LastTimestamp",
        "CurrentTransactionStartOffset",
    ];
    print(&header, &rows, out);
    Ok(())
}
