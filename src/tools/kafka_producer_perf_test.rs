//! `kafka-producer-perf-test`: writes many records and says how fast that went.

use std::fs;

use super::flags::{Flag, Flags, Takes, Usage, flag};
use super::{Done, Failure, Output, Tool, target};
use crate::client::{Client, Deadline, Outgoing, Producer, ProducerSettings, Properties, Settings};

pub(super) const TOOL: Tool = Tool {
    name: "kafka-producer-perf-test",
    aliases: &["org.apache.kafka.tools.ProducerPerformance"],
    about: "measure how fast records are written",
    usage: || USAGE,
    run,
};

const USAGE: Usage = Usage { about: "This tool is used to verify the producer performance.", flags: FLAGS };

static FLAGS: &[Flag] = &[
    target::BOOTSTRAP_SERVER,
    target::BROKER_LIST,
    target::COMMAND_CONFIG,
    flag(&["command-property"], Takes::Many("name=value"), "Settings of the producer."),
    flag(&["num-records"], Takes::Value("count"), "REQUIRED: how many records."),
    flag(&["payload-delimiter"], Takes::Value("text"), "What separates the payloads of a file (default \\n)."),
    flag(&["payload-file"], Takes::Value("file"), "Take payloads from this file, at random."),
    flag(&["payload-monotonic"], Takes::Nothing, "The payload is a number that counts up."),
    flag(&["print-metrics"], Takes::Nothing, "Taken without effect: there are no metrics to print."),
    flag(&["producer-props"], Takes::Many("name=value"), "Older name of --command-property."),
    flag(&["producer.config"], Takes::Value("file"), "Older name of --command-config."),
    flag(&["record-size"], Takes::Value("bytes"), "The size of a record; or --payload-file, or --payload-monotonic."),
    flag(&["reporting-interval"], Takes::Value("ms"), "How often to say how it goes (default 5000)."),
    flag(&["throughput"], Takes::Value("count"), "REQUIRED: about so many records a second; -1 for as many as go."),
    flag(&["topic"], Takes::Value("name"), "REQUIRED: the topic."),
    flag(&["transaction-duration-ms"], Takes::Value("ms"), "Transactions; not there yet."),
    flag(&["transactional-id"], Takes::Value("id"), "Transactions; not there yet."),
    flag(&["warmup-records"], Takes::Value("count"), "Taken without effect."),
];

const OLD_NAMES: &[(&str, &str)] = &[("producer-props", "command-property"), ("producer.config", "command-config")];

fn run(arguments: &[String], out: &mut Output) -> Done {
    let flags = USAGE.parse(arguments)?;
    if flags.count(&["transactional-id", "transaction-duration-ms"]) > 0 {
        return Err(Failure::Error("transactions are not there yet".to_owned()));
    }
    let topic = required(&flags, "topic")?.to_owned();
    let count: u64 = number(&flags, "num-records")?;
    let throughput: f64 = number(&flags, "throughput")?;
    let payloads = Payloads::from(&flags, out)?;
    for (old, new) in OLD_NAMES.iter().filter(|(old, _)| flags.has(old)) {
        out.line(format!(
            "Option --{old} has been deprecated and will be removed in a future version. Use --{new} instead."
        ));
    }
    let producer = producer(&flags)?;
    let interval_ms = flags.number("reporting-interval")?.unwrap_or(5000);
    let mut test = Test::new(producer, topic, payloads, interval_ms);
    let mut next_ms = 0.0;
    for _ in 0..count {
        if throughput > 0.0 {
            test.wait_until(next_ms, out)?;
            next_ms += 1000.0 / throughput;
        }
        test.send(out)?;
    }
    test.deliver(out)?;
    test.summary(out);
    Ok(())
}

fn required<'a>(flags: &'a Flags, name: &str) -> Result<&'a str, Failure> {
    flags
        .value(name)
        .ok_or_else(|| Failure::Usage(format!("kafka-producer-perf-test: error: argument --{name} is required")))
}

fn number<T: std::str::FromStr>(flags: &Flags, name: &str) -> Result<T, Failure> {
    let text = required(flags, name)?;
    text.parse().map_err(|_| {
        Failure::Usage(format!("kafka-producer-perf-test: error: argument --{name}: could not convert '{text}'"))
    })
}

fn producer(flags: &Flags) -> Result<Producer, Failure> {
    let files = ["producer.config", "command-config"];
    let properties: Properties = target::properties(flags, &files, &["producer-props", "command-property"])?;
    let servers = target::servers(flags).or(properties.get("bootstrap.servers").map(str::to_owned));
    let servers = servers.ok_or_else(|| {
        Failure::Error(
            "At least one of --bootstrap-server, --command-property or --command-config must name bootstrap servers"
                .to_owned(),
        )
    })?;
    let mut settings = ProducerSettings::from(&properties)?;
    if properties.get("batch.size").is_none() {
        // Kafka's producer has five requests of up to 1 MiB on the way; this one has one at a time.
        settings.batch_bytes = 512 << 10;
    }
    let client = Client::open(Settings::new(&servers, "perf-producer-client", &properties)?)?;
    Ok(Producer::new(client, settings))
}

/// What the records carry.
enum Payloads {
    Random(usize),
    Listed(Vec<Vec<u8>>),
    Counting(u64),
}

impl Payloads {
    fn from(flags: &Flags, out: &mut Output) -> Result<Payloads, Failure> {
        if flags.count(&["record-size", "payload-file", "payload-monotonic"]) != 1 {
            let sentence = "kafka-producer-perf-test: error: one of the arguments --record-size --payload-file --payload-monotonic is required";
            return Err(Failure::Usage(sentence.to_owned()));
        }
        if flags.has("payload-monotonic") {
            return Ok(Payloads::Counting(0));
        }
        let Some(file) = flags.value("payload-file") else {
            let size: usize = number(flags, "record-size")?;
            return Ok(Payloads::Random(size));
        };
        let text = fs::read(file).map_err(|error| Failure::Error(format!("{file} cannot be read: {error}")))?;
        let delimiter = flags.value("payload-delimiter").unwrap_or("\\n").replace("\\n", "\n").replace("\\t", "\t");
        let text = String::from_utf8_lossy(&text).into_owned();
        let listed: Vec<Vec<u8>> =
            text.split(&delimiter).filter(|part| !part.is_empty()).map(|part| part.as_bytes().to_vec()).collect();
        out.line(format!("Reading payloads from: {file}"));
        out.line(format!("Number of records read: {}", listed.len()));
        out_of(listed, file).map(Payloads::Listed)
    }

    fn next(&mut self, random: &mut u64) -> Vec<u8> {
        match self {
            Payloads::Random(size) => (0..*size).map(|_| b'A' + (step(random) % 26) as u8).collect(),
            Payloads::Listed(listed) => listed[(step(random) % listed.len() as u64) as usize].clone(),
            Payloads::Counting(next) => {
                *next += 1;
                (*next - 1).to_string().into_bytes()
            }
        }
    }
}

fn out_of(listed: Vec<Vec<u8>>, file: &str) -> Result<Vec<Vec<u8>>, Failure> {
    if listed.is_empty() { Err(Failure::Error(format!("Payload file {file} is empty"))) } else { Ok(listed) }
}

/// Xorshift: bytes that do not compress, cheaply.
fn step(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

struct Test {
    producer: Producer,
    topic: String,
    payloads: Payloads,
    random: u64,
    interval_ms: u64,
    begin_ms: i64,
    window_begin_ms: i64,
    all: Latencies,
    window: Latencies,
}

#[derive(Default)]
struct Latencies {
    ms: Vec<u32>,
    bytes: u64,
}

impl Test {
    fn new(producer: Producer, topic: String, payloads: Payloads, interval_ms: u64) -> Test {
        let begin_ms = producer.client.now_ms();
        let random = producer.client.clock().random() | 1;
        Test {
            producer,
            topic,
            payloads,
            random,
            interval_ms,
            begin_ms,
            window_begin_ms: begin_ms,
            all: Latencies::default(),
            window: Latencies::default(),
        }
    }

    fn send(&mut self, out: &mut Output) -> Done {
        let record = Outgoing {
            topic: self.topic.clone(),
            value: Some(self.payloads.next(&mut self.random)),
            timestamp_ms: self.producer.client.now_ms(),
            ..Outgoing::default()
        };
        if self.producer.add(record)? { self.deliver(out) } else { Ok(()) }
    }

    /// Sleeps where the next record is not due, after sending what waits.
    fn wait_until(&mut self, due_ms: f64, out: &mut Output) -> Done {
        let passed = (self.producer.client.now_ms() - self.begin_ms) as f64;
        if due_ms - passed >= 1.0 {
            self.deliver(out)?;
            let deadline = Deadline::after(self.producer.client.clock(), 60_000);
            self.producer.client.pause((due_ms - passed) as u64, &deadline);
        }
        Ok(())
    }

    fn deliver(&mut self, out: &mut Output) -> Done {
        for batch in self.producer.flush()? {
            if let Err(error) = &batch.outcome {
                batch.records.iter().for_each(|_| eprintln!("{}: {error}", error.java_class()));
                continue;
            }
            let now = self.producer.client.now_ms();
            for record in &batch.records {
                let latency = u32::try_from(now - record.timestamp_ms).unwrap_or(0);
                let bytes = record.value.as_ref().map_or(0, Vec::len) as u64;
                for latencies in [&mut self.all, &mut self.window] {
                    latencies.ms.push(latency);
                    latencies.bytes += bytes;
                }
            }
        }
        let now = self.producer.client.now_ms();
        if now - self.window_begin_ms >= self.interval_ms.cast_signed() {
            let seconds = (now - self.window_begin_ms) as f64 / 1000.0;
            let window = std::mem::take(&mut self.window);
            out.line(window.report(seconds));
            out.flush();
            self.window_begin_ms = now;
        }
        Ok(())
    }

    fn summary(&mut self, out: &mut Output) {
        let seconds = (self.producer.client.now_ms() - self.begin_ms).max(1) as f64 / 1000.0;
        let Latencies { ms, bytes } = &mut self.all;
        ms.sort_unstable();
        let count = ms.len();
        let at =
            |share: f64| ms.get(((share * count as f64) as usize).min(count.saturating_sub(1))).copied().unwrap_or(0);
        let sum: u64 = ms.iter().map(|ms| u64::from(*ms)).sum();
        let average = if count == 0 { "NaN".to_owned() } else { format!("{:.2}", sum as f64 / count as f64) };
        let rate = if count == 0 { 0.0 } else { count as f64 / seconds };
        out.line(format!(
            "{count} records sent, {rate:.6} records/sec ({:.2} MB/sec), {average} ms avg latency, {:.2} ms max latency, {} ms 50th, {} ms 95th, {} ms 99th, {} ms 99.9th.",
            *bytes as f64 / seconds / MIB,
            f64::from(ms.last().copied().unwrap_or(0)),
            at(0.5),
            at(0.95),
            at(0.99),
            at(0.999),
        ));
    }
}

impl Latencies {
    fn report(&self, seconds: f64) -> String {
        let count = self.ms.len();
        let sum: u64 = self.ms.iter().map(|ms| u64::from(*ms)).sum();
        format!(
            "{count} records sent, {:.1} records/sec ({:.2} MB/sec), {:.1} ms avg latency, {:.1} ms max latency.",
            count as f64 / seconds,
            self.bytes as f64 / seconds / MIB,
            sum as f64 / count.max(1) as f64,
            f64::from(self.ms.iter().max().copied().unwrap_or(0)),
        )
    }
}

const MIB: f64 = 1024.0 * 1024.0;
