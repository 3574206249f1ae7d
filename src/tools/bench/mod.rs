//! `milena bench`: load for any broker that speaks the protocol, and what it cost: throughput of producing and fetching,
//! latency without coordinated omission, many partitions, connections and group members, bursts, start, idle; any other
//! client as the load; and what the machine itself takes.
//!
//! With several targets they take turns (A B, then B A, …) for `--rounds`; printed is the median of each, its spread, and
//! the median of the ratios of each round. Throughput depends on what else the machine does; CPU of the broker, which is
//! read where the target names a process, much less. All load comes from one thread and bypasses this project's client:
//! requests are encoded before the clock runs. Every partition is taken to be led by the target.

mod burst;
mod fetch;
mod latency;
mod limits;
mod link;
mod many;
mod members;
mod meter;
mod produce;
mod report;
mod setup;
mod start;
mod wrap;

use std::net::{SocketAddr, ToSocketAddrs};

use super::flags::{Flag, Flags, Takes, Usage, flag};
use super::{Done, Failure, Output, Tool};

pub(super) const TOOL: Tool = Tool {
    name: "bench",
    aliases: &["milena-bench"],
    about: "put load on one or more brokers and tell what it cost",
    usage: || USAGE,
    run,
};

const USAGE: Usage = Usage {
    about: "milena bench produce|fetch|latency|many|start|idle|wrap --target NAME=HOST:PORT[@PID] [FLAGS]\n\
            milena bench limits --dir DIR\n\
            Sizes take K, M, G. Behind `--` start takes the command that becomes the broker, wrap the client to be measured.",
    flags: FLAGS,
};

static FLAGS: &[Flag] = &[
    flag(&["target"], Takes::Value("name=host:port[@pid]"), "REQUIRED: a broker; several take turns."),
    flag(&["rounds"], Takes::Value("count"), "How often each target is measured (1)."),
    flag(&["json"], Takes::Value("file"), "Append a line of JSON for each run."),
    flag(&["label"], Takes::Value("text"), "A name for the runs."),
    flag(&["record"], Takes::Value("size"), "Size of a record's value (1K)."),
    flag(&["batch"], Takes::Value("size"), "Size of a batch before compression (64K)."),
    flag(&["compression"], Takes::Value("codec"), "none, gzip, snappy, lz4 or zstd (none)."),
    flag(&["acks"], Takes::Value("1|all"), "What the producer waits for (1)."),
    flag(&["partitions"], Takes::Value("count"), "Partitions of the topic (1)."),
    flag(&["parts-per-request"], Takes::Value("count"), "Partitions in one Produce request (1)."),
    flag(&["conns"], Takes::Value("count"), "Connections that produce (1)."),
    flag(&["inflight"], Takes::Value("count"), "Requests under way on each (5)."),
    flag(&["bytes"], Takes::Value("size"), "How much is sent (1G)."),
    flag(&["warm"], Takes::Value("size"), "How much is sent before, unmeasured (64M)."),
    flag(&["seconds"], Takes::Value("count"), "How long a run may take, or takes (30)."),
    flag(&["keep"], Takes::Nothing, "Leave the topic there."),
    flag(&["topic"], Takes::Value("name"), "The topic to read, or to be left there."),
    flag(&["consumers"], Takes::Value("count"), "Consumers, each of which reads everything (1)."),
    flag(&["how"], Takes::Value("walk|discard|verify"), "What a consumer does with what it gets (walk)."),
    flag(&["max-bytes"], Takes::Value("size"), "fetch.max.bytes of a consumer (50M)."),
    flag(&["partition-max-bytes"], Takes::Value("size"), "max.partition.fetch.bytes of a consumer (1M)."),
    flag(&["evict"], Takes::Value("name=dir"), "Drop a target's files from the page cache before each read."),
    flag(&["rate"], Takes::Value("count"), "Messages a second that are due (1000)."),
    flag(&["group"], Takes::Value("count"), "Messages in a request (1)."),
    flag(&["what"], Takes::Value("partitions|conns|members|burst"), "What there is many of (partitions)."),
    flag(&["count"], Takes::Value("count"), "How many (10000, 5000, 1000, 200)."),
    flag(&["groups"], Takes::Value("count"), "Groups of so many members each (1)."),
    flag(&["gb"], Takes::Value("number"), "How many GB the wrapped client moves."),
    flag(&["dir"], Takes::Value("dir"), "Where limits writes: on the disk of the brokers."),
    flag(&["expect"], Takes::Value("topic:partitions"), "A started broker is ready when all of these answer."),
];

/// One broker under load.
#[derive(Clone, Debug)]
struct Target {
    name: String,
    /// As it was given, for the client that sets things up.
    servers: String,
    address: SocketAddr,
    pid: Option<u32>,
}

impl Target {
    fn parse(text: &str) -> Result<Target, Failure> {
        let (name, rest) = text.split_once('=').unwrap_or(("broker", text));
        let (servers, pid) = rest.split_once('@').map_or((rest, None), |(servers, pid)| (servers, Some(pid)));
        let pid = pid.map(|pid| pid.parse().map_err(|_| bad(format!("{pid} is not the number of a process"))));
        let mut addresses = servers.to_socket_addrs().map_err(|error| bad(format!("{servers}: {error}")))?;
        let address = addresses.next().ok_or_else(|| bad(format!("{servers} has no address")))?;
        Ok(Target { name: name.to_owned(), servers: servers.to_owned(), address, pid: pid.transpose()? })
    }
}

fn bad(sentence: String) -> Failure {
    Failure::Error(sentence)
}

/// What one run found, in the order in which it is to be shown.
type Figures = Vec<(&'static str, f64)>;

fn run(arguments: &[String], out: &mut Output) -> Done {
    let Some((what, rest)) = arguments.split_first() else {
        return Err(Failure::Usage(
            "say what to measure: produce, fetch, latency, many, start, idle, wrap or limits".into(),
        ));
    };
    let (own, command) = match rest.iter().position(|word| word == "--") {
        Some(at) => (&rest[..at], &rest[at + 1..]),
        None => (rest, &[][..]),
    };
    let flags = USAGE.parse(own)?;
    let mut targets = flags.values("target").map(Target::parse).collect::<Result<Vec<_>, _>>()?;
    if what == "limits" {
        // No broker is asked.
        targets = vec![Target::parse("machine=127.0.0.1:1")?];
    }
    if targets.is_empty() {
        return Err(Failure::Usage("at least one --target NAME=HOST:PORT[@PID] is needed".into()));
    }
    let runs = report::Runs { what, flags: &flags, targets: &targets, rounds: flags.number("rounds")?.unwrap_or(1) };
    match what.as_str() {
        "produce" => {
            let load = produce::Load::of(&flags)?;
            runs.take_turns(out, |target, _| produce::measure(target, &load))
        }
        "fetch" => fetch::measure_all(&runs, &flags, out),
        "latency" => {
            let pace = latency::Pace::of(&flags)?;
            runs.take_turns(out, |target, _| latency::measure(target, &pace))
        }
        "many" => runs.take_turns(out, |target, _| many::measure(target, &flags)),
        "start" => runs.take_turns(out, |target, _| start::measure(target, &flags, command)),
        "wrap" => runs.take_turns(out, |target, round| wrap::measure(target, round, &flags, command)),
        "limits" => runs.take_turns(out, |_, _| limits::measure(&flags)),
        "idle" => runs.take_turns(out, |target, _| start::idle(target, &flags)),
        "--help" | "help" => {
            eprintln!("{}", USAGE.about);
            eprint!("{USAGE}");
            Err(Failure::Shown)
        }
        other => {
            Err(Failure::Usage(format!("{other} is none of produce, fetch, latency, many, start, idle, wrap, limits")))
        }
    }
}

/// A size with its letter: `64K` is 65,536.
fn size(flags: &Flags, name: &str, default: u64) -> Result<u64, Failure> {
    let Some(text) = flags.value(name) else { return Ok(default) };
    parse_size(text).ok_or_else(|| bad(format!("Cannot parse argument '{text}' of option {name}")))
}

fn parse_size(text: &str) -> Option<u64> {
    let unit = match text.chars().last()?.to_ascii_uppercase() {
        'K' => 1u64 << 10,
        'M' => 1 << 20,
        'G' => 1 << 30,
        _ => return text.parse().ok(),
    };
    text[..text.len() - 1].parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_targets_are_taken_as_people_write_them() {
        assert_eq!(parse_size("100"), Some(100));
        assert_eq!(parse_size("64k"), Some(65_536));
        assert_eq!(parse_size("2G"), Some(2 << 30));
        assert_eq!(parse_size("K"), None);
        let target = Target::parse("kafka=127.0.0.1:9092@17").ok().unwrap();
        assert_eq!((target.name.as_str(), target.address.port(), target.pid), ("kafka", 9092, Some(17)));
        assert!(Target::parse("x=127.0.0.1:1@me").is_err());
    }
}
