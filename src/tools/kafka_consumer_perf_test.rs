//! `kafka-consumer-perf-test`: reads many records and says how fast that went.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::flags::{Flag, Takes, Usage, flag};
use super::{Done, Failure, Output, Tool, moments, target};
use crate::client::{Client, Deadline, Fetched, Fetcher, Settings, Spec};

pub(super) const TOOL: Tool = Tool {
    name: "kafka-consumer-perf-test",
    aliases: &["kafka.tools.ConsumerPerformance", "org.apache.kafka.tools.ConsumerPerformance"],
    about: "measure how fast records are read",
    usage: || USAGE,
    run,
};

const USAGE: Usage = Usage { about: "This tool is used to verify the consumer performance.", flags: FLAGS };

static FLAGS: &[Flag] = &[
    target::BOOTSTRAP_SERVER,
    target::BROKER_LIST,
    target::COMMAND_CONFIG,
    flag(&["command-property"], Takes::Value("name=value"), "A setting of the consumer."),
    flag(&["consumer.config"], Takes::Value("file"), "Older name of --command-config."),
    flag(&["date-format"], Takes::Value("format"), "Taken without effect."),
    flag(&["fetch-size"], Takes::Value("bytes"), "How much to fetch at once."),
    flag(&["from-latest"], Takes::Nothing, "Begin at the end."),
    flag(&["group"], Takes::Value("id"), "Taken without effect: the test joins no group."),
    flag(&["hide-header"], Takes::Nothing, "Print no header."),
    flag(&["include"], Takes::Value("regex"), "The topics, as a regular expression; not there yet."),
    flag(&["messages"], Takes::Value("count"), "Older name of --num-records."),
    flag(&["num-fetch-threads"], Takes::Value("count"), "Older flag, without effect."),
    flag(&["num-records"], Takes::Value("count"), "REQUIRED: how many records."),
    flag(&["print-metrics"], Takes::Nothing, "Taken without effect: there are no metrics to print."),
    flag(&["reporting-interval"], Takes::Value("ms"), "How often to say how it goes (default 5000)."),
    flag(&["show-detailed-stats"], Takes::Nothing, "Say in between how it goes, and no total."),
    flag(&["socket-buffer-size"], Takes::Value("bytes"), "Taken without effect."),
    flag(&["threads"], Takes::Value("count"), "Older flag, without effect."),
    flag(&["timeout"], Takes::Value("ms"), "End when no record has come for so long (default 10000)."),
    flag(&["topic"], Takes::Value("name"), "REQUIRED: the topic."),
];

fn run(arguments: &[String], out: &mut Output) -> Done {
    let flags = USAGE.parse(arguments)?;
    let topic = flags.need("topic")?.to_owned();
    let wanted: u64 = match (flags.number("num-records")?, flags.number("messages")?) {
        (Some(count), _) => count,
        (None, Some(count)) => {
            out.line("Warning: --messages is deprecated. Use --num-records instead.");
            count
        }
        (None, None) => {
            let sentence = "Exactly one of the following arguments is required: [num-records], [messages]";
            return Err(Failure::Usage(sentence.to_owned()));
        }
    };
    let servers = target::servers(&flags);
    let servers =
        servers.ok_or_else(|| Failure::Usage("Missing required argument \"[bootstrap-server]\"".to_owned()))?;
    let properties = target::properties(&flags, &["consumer.config", "command-config"], &["command-property"])?;
    let details = flags.has("show-detailed-stats");
    if !flags.has("hide-header") {
        out.line(if details { DETAILED_HEADER } else { HEADER });
    }
    let mut client = Client::open(Settings::new(&servers, "perf-consumer-client", &properties)?)?;
    let begin = if flags.has("from-latest") { Spec::LATEST } else { Spec::EARLIEST };
    let mut test = Test {
        wanted,
        timeout_ms: flags.number("timeout")?.unwrap_or(10_000),
        details: details.then(|| flags.number("reporting-interval").map(|ms| ms.unwrap_or(5000))).transpose()?,
        ..Test::default()
    };
    test.read(&mut client, &topic, begin, flags.number("fetch-size")?, out)?;
    if test.count < wanted {
        out.line(format!(
            "WARNING: Exiting before consuming the expected number of records: timeout ({} ms) exceeded. You can use the --timeout option to increase the timeout.",
            test.timeout_ms
        ));
    }
    if !details {
        out.line(test.total(client.now_ms()));
    }
    Ok(())
}

#[derive(Default)]
struct Test {
    wanted: u64,
    timeout_ms: u64,
    /// How often to print a line of details, in milliseconds.
    details: Option<u64>,
    begin_ms: i64,
    /// When the positions were known: what a group's rebalance is to Kafka's tool.
    ready_ms: i64,
    count: u64,
    bytes: u64,
}

impl Test {
    fn read(
        &mut self,
        client: &mut Client,
        topic: &str,
        begin: Spec,
        fetch_bytes: Option<i32>,
        out: &mut Output,
    ) -> Done {
        self.begin_ms = client.now_ms();
        let positions = positions(client, topic, begin)?;
        self.ready_ms = client.now_ms();
        let mut fetcher = Fetcher::new(positions, false);
        if let Some(bytes) = fetch_bytes {
            fetcher.partition_max_bytes = bytes;
        }
        let mut idle = Deadline::after(client.clock(), self.timeout_ms);
        let (mut shown_ms, mut shown) = (self.begin_ms, (0, 0));
        while self.count < self.wanted && !idle.has_passed() {
            let before = self.count;
            let left = idle.left().map_or(1, |left| left.as_millis().min(500));
            fetcher.max_wait_ms = i32::try_from(left).expect("500 at most");
            let _ = fetcher.poll(client, &mut |fetched: &Fetched<'_>| {
                self.count += 1;
                let size = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len) as u64;
                self.bytes += size(fetched.record.key) + size(fetched.record.value);
                if self.count >= self.wanted { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            let now = client.now_ms();
            if self.count > before {
                idle = Deadline::after(client.clock(), self.timeout_ms);
            }
            if self.details.is_some_and(|interval| now - shown_ms >= interval.cast_signed()) {
                out.line(self.detail(now, shown_ms, shown));
                out.flush();
                (shown_ms, shown) = (now, (self.count, self.bytes));
            }
        }
        Ok(())
    }

    fn detail(&self, now: i64, since: i64, (count, bytes): (u64, u64)) -> String {
        let seconds = (now - since).max(1) as f64 / 1000.0;
        let (mb, records) = ((self.bytes - bytes) as f64 / MIB, (self.count - count) as f64);
        format!(
            "{}, 0, {:.4}, {:.4}, {}, {:.4}, 0, {}, {:.4}, {:.4}",
            moments::print(now),
            self.bytes as f64 / MIB,
            mb / seconds,
            self.count,
            records / seconds,
            now - since,
            mb / seconds,
            records / seconds
        )
    }

    fn total(&self, end_ms: i64) -> String {
        let seconds = (end_ms - self.begin_ms).max(1) as f64 / 1000.0;
        let join_ms = self.ready_ms - self.begin_ms;
        let fetch_ms = (end_ms - self.ready_ms).max(1);
        let mb = self.bytes as f64 / MIB;
        format!(
            "{}, {}, {mb:.4}, {:.4}, {}, {:.4}, {join_ms}, {fetch_ms}, {:.4}, {:.4}",
            moments::print(self.begin_ms),
            moments::print(end_ms),
            mb / seconds,
            self.count,
            self.count as f64 / seconds,
            mb / (fetch_ms as f64 / 1000.0),
            self.count as f64 / (fetch_ms as f64 / 1000.0)
        )
    }
}

fn positions(client: &mut Client, topic: &str, begin: Spec) -> Result<BTreeMap<(String, i32), i64>, Failure> {
    let found = client.metadata(Some(&[topic.to_owned()]), true)?;
    let partitions = found.iter().flat_map(|topic| &topic.partitions);
    let asked: Vec<_> = partitions.map(|partition| (topic.to_owned(), partition.partition_index, begin)).collect();
    let offsets = client.list_offsets(&asked, false)?;
    Ok(offsets.into_iter().filter_map(|(at, offset)| Some((at, offset.ok()?))).collect())
}

const MIB: f64 = 1024.0 * 1024.0;
const HEADER: &str = "start.time, end.time, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec";
const DETAILED_HEADER: &str = "time, threadId, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec";
