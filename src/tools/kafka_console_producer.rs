//! `kafka-console-producer`: every line of standard input becomes a record.
//!
//! What can be read at once is sent at once: a person sees each line go out, a pipe gets large batches.

use std::io::{self, BufRead, BufReader, IsTerminal};

use super::flags::{Flag, Flags, Takes, Usage, flag};
use super::line_reader::LineReader;
use super::{Done, Failure, Output, Tool, target};
use crate::client::{Client, Producer, ProducerSettings, Properties, Sent, Settings};

pub(super) const TOOL: Tool = Tool {
    name: "kafka-console-producer",
    aliases: &["kafka.tools.ConsoleProducer", "org.apache.kafka.tools.ConsoleProducer"],
    about: "write lines of standard input to a topic",
    usage: || USAGE,
    run,
};

const USAGE: Usage =
    Usage { about: "This tool helps to read data from standard input and publish it to Kafka.", flags: FLAGS };

static FLAGS: &[Flag] = &[
    flag(&["batch-size"], Takes::Value("bytes"), "Records of one partition are sent when so many bytes are there."),
    target::BOOTSTRAP_SERVER,
    target::BROKER_LIST,
    target::COMMAND_CONFIG,
    flag(&["command-property"], Takes::Value("name=value"), "A setting of the producer."),
    flag(&["compression-codec"], Takes::Maybe("codec"), "none, gzip (when no codec is named), snappy, lz4 or zstd."),
    flag(&["line-reader"], Takes::Value("class"), "Only Kafka's own reader is there; taken without effect."),
    flag(&["max-block-ms"], Takes::Value("ms"), "How long to wait for the topic to be there."),
    flag(&["max-memory-bytes"], Takes::Value("bytes"), "Taken without effect."),
    flag(&["max-partition-memory-bytes"], Takes::Value("bytes"), "Taken like --batch-size."),
    flag(&["message-send-max-retries"], Takes::Value("count"), "Taken without effect: the time decides."),
    flag(&["metadata-expiry-ms"], Takes::Value("ms"), "Taken without effect."),
    flag(&["producer-property"], Takes::Value("name=value"), "Older name of --command-property."),
    flag(&["producer.config"], Takes::Value("file"), "Older name of --command-config."),
    flag(&["property"], Takes::Value("name=value"), "Older name of --reader-property."),
    flag(&["reader-config"], Takes::Value("file"), "A file with reader properties."),
    flag(
        &["reader-property"],
        Takes::Value("name=value"),
        "parse.key, key.separator, parse.headers, headers.delimiter, headers.separator, headers.key.separator, null.marker, ignore.error.",
    ),
    flag(&["request-required-acks"], Takes::Value("acks"), "0, 1, -1 or all (the default)."),
    flag(&["request-timeout-ms"], Takes::Value("ms"), "The longest wait for one answer."),
    flag(&["retry-backoff-ms"], Takes::Value("ms"), "Taken without effect."),
    flag(&["socket-buffer-size"], Takes::Value("bytes"), "Taken without effect."),
    flag(&["sync"], Takes::Nothing, "Wait for each batch; this tool always does."),
    flag(&["timeout"], Takes::Value("ms"), "Taken without effect."),
    flag(&["topic"], Takes::Value("name"), "REQUIRED: the topic."),
];

fn run(arguments: &[String], out: &mut Output) -> Done {
    let flags = USAGE.parse(arguments)?;
    flags.need("topic")?;
    let servers = target::servers(&flags).ok_or_else(|| Failure::Usage(NO_SERVERS.to_owned()))?;
    target::warn_of_old_names(&flags, OLD_NAMES, "Warning: ", out);
    let properties = properties(&flags)?;
    let reader = LineReader::new(
        flags.need("topic")?,
        &target::properties(&flags, &["reader-config"], &["property", "reader-property"])?,
    );
    let client = Client::open(Settings::new(&servers, "console-producer", &properties)?)?;
    let producer = Producer::new(client, ProducerSettings::from(&properties)?);
    send_lines(producer, reader, out)
}

const NO_SERVERS: &str = "Missing required argument \"[bootstrap-server]\"";
const OLD_NAMES: &[(&str, &str)] = &[
    ("property", "reader-property"),
    ("producer-property", "command-property"),
    ("producer.config", "command-config"),
];

fn properties(flags: &Flags) -> Result<Properties, Failure> {
    let files = ["producer.config", "command-config"];
    let mut properties = target::properties(flags, &files, &["producer-property", "command-property"])?;
    if flags.has("compression-codec") {
        properties.set("compression.type", flags.value("compression-codec").unwrap_or("gzip"));
    }
    let named = [
        ("batch-size", "batch.size"),
        ("max-partition-memory-bytes", "batch.size"),
        ("max-block-ms", "max.block.ms"),
        ("request-required-acks", "acks"),
        ("request-timeout-ms", "request.timeout.ms"),
    ];
    for (flag, property) in named {
        if let Some(value) = flags.value(flag) {
            properties.set(property, value);
        }
    }
    Ok(properties)
}

fn send_lines(mut producer: Producer, mut reader: LineReader, out: &mut Output) -> Done {
    let mut input = BufReader::with_capacity(READ_BYTES, io::stdin().lock());
    let prompts = io::stdin().is_terminal() && io::stdout().is_terminal();
    let mut begun: Vec<u8> = Vec::new();
    loop {
        if prompts {
            out.bytes(b">");
            out.flush();
        }
        let chunk =
            input.fill_buf().map_err(|error| Failure::Error(format!("standard input cannot be read: {error}")))?;
        if chunk.is_empty() {
            break;
        }
        let size = chunk.len();
        let mut lines = chunk.split_inclusive(|byte| *byte == b'\n').peekable();
        let mut taken = Ok(());
        while let (true, Some(line)) = (taken.is_ok(), lines.next()) {
            begun.extend_from_slice(line);
            if begun.last() == Some(&b'\n') {
                taken = take_line(&mut producer, &mut reader, &begun);
                begun.clear();
            }
        }
        input.consume(size);
        tell(producer.flush()?);
        taken?;
    }
    if !begun.is_empty() {
        let taken = take_line(&mut producer, &mut reader, &begun);
        tell(producer.flush()?);
        taken?;
    }
    Ok(())
}

fn take_line(producer: &mut Producer, reader: &mut LineReader, line: &[u8]) -> Done {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let now = producer.client.now_ms();
    let record = reader
        .record(line, now)
        .map_err(|sentence| Failure::Error(format!("org.apache.kafka.common.KafkaException: {sentence}")))?;
    if producer.add(record)? {
        tell(producer.flush()?);
    }
    Ok(())
}

/// Records that did not arrive are named on stderr; the tool goes on, as Kafka's does.
fn tell(batches: Vec<Sent>) {
    for batch in batches {
        let Err(error) = &batch.outcome else { continue };
        for record in &batch.records {
            eprintln!(
                "ERROR Error when sending message to topic {} with key: {}, value: {} with error:\n{}: {error}",
                batch.topic,
                size(record.key.as_ref()),
                size(record.value.as_ref()),
                error.java_class()
            );
        }
    }
}

fn size(bytes: Option<&Vec<u8>>) -> String {
    bytes.map_or_else(|| "null".to_owned(), |bytes| format!("{} bytes", bytes.len()))
}

const READ_BYTES: usize = 64 << 10;
