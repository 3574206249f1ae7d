//! Where a tool is pointed: the flags that name brokers and client properties, the same for all tools.

use std::path::Path;

use super::flags::{Flag, Flags, Takes, flag};
use super::{Failure, Output};
use crate::client::{Client, Properties, Settings};

pub(super) const BOOTSTRAP_SERVER: Flag =
    flag(&["bootstrap-server", "b"], Takes::Value("host:port,..."), "REQUIRED: brokers to begin with.");
pub(super) const COMMAND_CONFIG: Flag =
    flag(&["command-config"], Takes::Value("file"), "Property file with settings of the client.");
pub(super) const ZOOKEEPER: Flag = flag(
    &["zookeeper", "z"],
    Takes::Value("host:port"),
    "Removed in Kafka 3.0. Taken, with a warning: without --bootstrap-server the broker on this host is asked.",
);
pub(super) const BROKER_LIST: Flag =
    flag(&["broker-list"], Takes::Value("host:port,..."), "Older name of --bootstrap-server.");

/// What is asked where only ZooKeeper was named.
const LOCAL_BROKER: &str = "localhost:9092";

/// The brokers that the flags name, under any of the names they have had.
pub(super) fn servers(flags: &Flags) -> Option<String> {
    let named = ["bootstrap-server", "broker-list", "bootstrap-controller"];
    if let Some(servers) = named.iter().find_map(|name| flags.value(name)) {
        return Some(servers.to_owned());
    }
    flags.value("zookeeper").map(|_| {
        eprintln!(
            "WARNING: --zookeeper was removed in Kafka 3.0 and there is no ZooKeeper here; asking {LOCAL_BROKER}. Use --bootstrap-server."
        );
        LOCAL_BROKER.to_owned()
    })
}

/// Reads the files behind the flags `files`, then the `name=value` pairs behind `pairs`.
pub(super) fn properties(flags: &Flags, files: &[&str], pairs: &[&str]) -> Result<Properties, Failure> {
    let mut properties = Properties::default();
    for file in files.iter().flat_map(|name| flags.values(name)) {
        properties.read(Path::new(file))?;
    }
    for pair in pairs.iter().flat_map(|name| flags.values(name)) {
        properties.set_pair(pair);
    }
    Ok(properties)
}

/// Says that flags have new names, where Kafka's tool says it: on standard output.
pub(super) fn warn_of_old_names(flags: &Flags, names: &[(&str, &str)], opening: &str, out: &mut Output) {
    for (old, new) in names.iter().filter(|(old, _)| flags.has(old)) {
        out.line(format!(
            "{opening}--{old} is deprecated and will be removed in a future version. Use --{new} instead."
        ));
    }
}

/// Connects where `--bootstrap-server` points, as `--command-config` says.
pub(super) fn connect(flags: &Flags, client_id: &str) -> Result<Client, Failure> {
    connect_with(flags, client_id, |_| Ok(()))
}

/// The same with settings that flags of the tool change.
pub(super) fn connect_with(
    flags: &Flags,
    client_id: &str,
    change: impl FnOnce(&mut Settings) -> Result<(), Failure>,
) -> Result<Client, Failure> {
    let servers = servers(flags).ok_or_else(|| Failure::Usage(MISSING.to_owned()))?;
    let properties = properties(flags, &["command-config"], &[])?;
    let mut settings = Settings::new(&servers, client_id, &properties)?;
    change(&mut settings)?;
    Ok(Client::open(settings)?)
}

const MISSING: &str = "Missing required argument \"[bootstrap-server]\"";
