//! `kafka-verifiable-producer`: sends numbers that count up and says of each, in JSON, that it was acknowledged. For test
//! frameworks that compare what went in with what came out.

use super::flags::{Flag, Takes, Usage, flag};
use super::interrupt::Interrupt;
use super::{Done, Failure, Output, Tool, json, target};
use crate::client::{Client, Deadline, Outgoing, Producer, ProducerSettings, Sent, Settings};

pub(super) const TOOL: Tool = Tool {
    name: "kafka-verifiable-producer",
    aliases: &["org.apache.kafka.tools.VerifiableProducer"],
    about: "send numbers and say which were acknowledged",
    usage: || USAGE,
    run,
};

const USAGE: Usage = Usage {
    about: "This tool produces increasing integers to the specified topic and prints JSON metadata to stdout on each \"send\" request.",
    flags: FLAGS,
};

static FLAGS: &[Flag] = &[
    flag(&["acks"], Takes::Value("acks"), "0, 1 or -1 (the default)."),
    target::BOOTSTRAP_SERVER,
    target::BROKER_LIST,
    target::COMMAND_CONFIG,
    flag(&["max-messages"], Takes::Value("count"), "End after so many; without it, on SIGINT or SIGTERM."),
    flag(&["message-create-time"], Takes::Value("ms"), "The timestamp of the first record, counting up."),
    flag(&["producer.config"], Takes::Value("file"), "Older name of --command-config."),
    flag(&["repeating-keys"], Takes::Value("count"), "Keys that count from 0 and begin again at this number."),
    flag(&["throughput"], Takes::Value("count"), "About so many records a second; -1 (the default) for as many as go."),
    flag(&["topic"], Takes::Value("name"), "REQUIRED: the topic."),
    flag(&["value-prefix"], Takes::Value("number"), "Stands before each value, with a dot between."),
];

fn run(arguments: &[String], out: &mut Output) -> Done {
    let flags = USAGE.parse(arguments)?;
    let topic = flags.need("topic")?.to_owned();
    let servers = target::servers(&flags).ok_or_else(|| Failure::Usage("--bootstrap-server is required".to_owned()))?;
    let mut properties = target::properties(&flags, &["producer.config", "command-config"], &[])?;
    if let Some(acks) = flags.value("acks") {
        properties.set("acks", acks);
    }
    let most = flags.number::<i64>("max-messages")?.map_or(u64::MAX, |count| u64::try_from(count).unwrap_or(u64::MAX));
    let throughput: f64 = flags.number("throughput")?.unwrap_or(-1.0);
    let repeating: Option<u64> = flags.number("repeating-keys")?.filter(|count| *count > 0);
    let create_time: Option<i64> = flags.number("message-create-time")?;
    let mut interrupt =
        Interrupt::watch().map_err(|error| Failure::Error(format!("cannot listen for signals: {error}")))?;
    let client = Client::open(Settings::new(&servers, "verifiable-producer", &properties)?)?;
    let mut producer = Producer::new(client, ProducerSettings::from(&properties)?);
    let begin_ms = producer.client.now_ms();
    out.line(format!("{{\"timestamp\":{begin_ms},\"name\":\"startup_complete\"}}"));
    let (mut sent, mut acked) = (0, 0);
    while sent < most && !interrupt.came() {
        let number = flags.value("value-prefix").map_or_else(|| sent.to_string(), |prefix| format!("{prefix}.{sent}"));
        let record = Outgoing {
            topic: topic.clone(),
            key: repeating.map(|count| (sent % count).to_string().into_bytes()),
            value: Some(number.into_bytes()),
            timestamp_ms: create_time.map_or_else(|| producer.client.now_ms(), |time| time + sent.cast_signed()),
            ..Outgoing::default()
        };
        sent += 1;
        let is_due = producer.add(record)?;
        if is_due || throughput > 0.0 || sent == most || sent.is_multiple_of(100) {
            acked += tell(&producer.flush()?, producer.client.now_ms(), out);
        }
        if throughput > 0.0 {
            let due_ms = (sent as f64 * 1000.0 / throughput) as i64 - (producer.client.now_ms() - begin_ms);
            let deadline = Deadline::after(producer.client.clock(), 60_000);
            producer.client.pause(u64::try_from(due_ms).unwrap_or(0), &deadline);
        }
    }
    acked += tell(&producer.flush()?, producer.client.now_ms(), out);
    let end_ms = producer.client.now_ms();
    let average = acked as f64 * 1000.0 / (end_ms - begin_ms).max(1) as f64;
    out.line(format!("{{\"timestamp\":{end_ms},\"name\":\"shutdown_complete\"}}"));
    out.line(format!(
        "{{\"timestamp\":{end_ms},\"name\":\"tool_data\",\"sent\":{sent},\"acked\":{acked},\"target_throughput\":{throughput},\"avg_throughput\":{average}}}"
    ));
    Ok(())
}

/// A line for each record; how many were acknowledged.
fn tell(batches: &[Sent], now_ms: i64, out: &mut Output) -> u64 {
    let mut acked = 0;
    for batch in batches {
        for (index, record) in batch.records.iter().enumerate() {
            let quoted = |bytes: &Option<Vec<u8>>| {
                bytes.as_deref().map_or_else(|| "null".to_owned(), |bytes| json::text(&String::from_utf8_lossy(bytes)))
            };
            let (key, value, topic) = (quoted(&record.key), quoted(&record.value), json::text(&batch.topic));
            match &batch.outcome {
                Ok(base) => {
                    acked += 1;
                    let offset = if *base < 0 { -1 } else { base + i64::try_from(index).unwrap_or(0) };
                    out.line(format!("{{\"timestamp\":{now_ms},\"name\":\"producer_send_success\",\"key\":{key},\"value\":{value},\"offset\":{offset},\"topic\":{topic},\"partition\":{}}}", batch.partition));
                }
                Err(error) => {
                    let (class, message) =
                        (json::text(&format!("class {}", error.java_class())), json::text(&error.to_string()));
                    out.line(format!("{{\"timestamp\":{now_ms},\"name\":\"producer_send_error\",\"topic\":{topic},\"key\":{key},\"value\":{value},\"exception\":{class},\"message\":{message}}}"));
                }
            }
        }
    }
    out.flush();
    acked
}
