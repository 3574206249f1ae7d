//! `cub kafka-ready`: waits until a cluster has so many brokers. What Confluent's images wait with; `ub` in newer ones.
//!
//! ```text
//! cub kafka-ready -b HOST:PORT 1 60        cub kafka-ready 1 60 -b HOST:PORT -c client.properties
//! ```

use super::flags::{Flag, Takes, Usage, flag};
use super::{Done, Failure, Output, Tool, target};
use crate::client::{Client, Settings};

pub(super) const TOOL: Tool =
    Tool { name: "cub", aliases: &["ub"], about: "kafka-ready COUNT SECONDS: wait for brokers", usage: || USAGE, run };

const USAGE: Usage =
    Usage { about: "cub kafka-ready -b host:port COUNT SECONDS: waits until COUNT brokers answer.", flags: FLAGS };

static FLAGS: &[Flag] = &[
    flag(&["b", "bootstrap-server", "bootstrap_broker_list"], Takes::Value("host:port,..."), "Brokers to begin with."),
    flag(&["c", "config"], Takes::Value("file"), "Property file with settings of the client."),
    flag(&["s", "security-protocol"], Takes::Value("protocol"), "PLAINTEXT."),
    flag(&["z", "zookeeper"], Takes::Value("host:port"), "There is no ZooKeeper: the broker on this host is asked."),
];

fn run(arguments: &[String], _: &mut Output) -> Done {
    let flags = USAGE.parse(arguments)?;
    let words: Vec<&str> = flags.words.iter().map(String::as_str).collect();
    let [command, count, seconds] = words[..] else {
        return Err(Failure::Usage("cub kafka-ready takes a number of brokers and a number of seconds".to_owned()));
    };
    if command != "kafka-ready" {
        return Err(Failure::Usage(format!("cub {command} is not there: only kafka-ready is")));
    }
    let number = |text: &str| text.parse::<u64>().map_err(|_| Failure::Usage(format!("{text} is no number")));
    let (count, seconds) = (number(count)?, number(seconds)?);
    let servers = match flags.value("b") {
        Some(servers) => servers.to_owned(),
        None => target::servers(&flags).ok_or_else(|| Failure::Usage("-b host:port must be given".to_owned()))?,
    };
    let mut properties = target::properties(&flags, &["c"], &[])?;
    if let Some(protocol) = flags.value("s") {
        properties.set("security.protocol", protocol);
    }
    let mut settings = Settings::new(&servers, "cub", &properties)?;
    settings.api_timeout_ms = seconds.saturating_mul(1000).max(1);
    wait(settings, count)
}

fn wait(settings: Settings, count: u64) -> Done {
    let few = |found: u64| Failure::Error(format!("Expected {count} brokers but found only {found}."));
    let mut client = Client::open(settings).map_err(|error| {
        eprintln!("{error}");
        few(0)
    })?;
    let deadline = client.deadline();
    loop {
        let found = client.brokers().count() as u64;
        if found >= count {
            return Ok(());
        }
        if deadline.has_passed() {
            return Err(few(found));
        }
        client.pause(200, &deadline);
        // Asking for no topic at all tells the brokers that there are.
        client.metadata(Some(&[]), false)?;
    }
}
