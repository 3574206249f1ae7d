//! The defaults that hold in an image, where nothing was said: each dialect's own, as its image has them.
//!
//! Outside of an image a broker listens on `localhost:9092` and keeps its data in `./milena-data`. In one, clients come from
//! outside of the container, and data belongs on the volume that people mount: the first of the directories of all dialects
//! that is a mount point.

use super::load::{Origin, Values};

/// Whose environment and defaults an image has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Apache,
    Confluent,
    ConfluentLocal,
    Bitnami,
    Wurstmeister,
    Debezium,
}

/// Where the images keep data: the directory people mount, and the one below it that is used. The volumes that images
/// declare come last, since they are there even if nobody mounts anything.
const VOLUMES: &[(&str, &str)] = &[
    ("/bitnami/kafka/data", "/bitnami/kafka/data"),
    ("/bitnami/kafka", "/bitnami/kafka/data"),
    ("/bitnami", "/bitnami/kafka/data"),
    ("/kafka/data", "/kafka/data/1"),
    ("/kafka", "/kafka/kafka-logs"),
    ("/tmp/kraft-combined-logs", "/tmp/kraft-combined-logs"),
    ("/tmp/kafka-logs", "/tmp/kafka-logs"),
    ("/var/lib/kafka/data", "/var/lib/kafka/data"),
    ("/var/lib/kafka", "/var/lib/kafka/data"),
    ("/tmp", "/tmp/kafka-logs"),
];

/// Where data goes when nothing is mounted.
const UNMOUNTED: &str = "/var/lib/kafka/data";

impl Dialect {
    pub fn named(name: &str) -> Option<Dialect> {
        match name.trim().to_ascii_lowercase().as_str() {
            "apache" => Some(Dialect::Apache),
            "confluent" => Some(Dialect::Confluent),
            "confluent-local" => Some(Dialect::ConfluentLocal),
            "bitnami" => Some(Dialect::Bitnami),
            "wurstmeister" => Some(Dialect::Wurstmeister),
            "debezium" => Some(Dialect::Debezium),
            _ => None,
        }
    }

    /// `listeners` and `advertised.listeners` when neither was set. An advertised address without a host is this
    /// machine's name, which other containers know it by.
    fn listeners(self) -> (&'static str, &'static str) {
        match self {
            Dialect::Apache | Dialect::Confluent => ("PLAINTEXT://:9092", "PLAINTEXT://localhost:9092"),
            Dialect::ConfluentLocal => (
                "PLAINTEXT://localhost:29092,PLAINTEXT_HOST://0.0.0.0:9092",
                "PLAINTEXT://localhost:29092,PLAINTEXT_HOST://localhost:9092",
            ),
            Dialect::Bitnami | Dialect::Wurstmeister | Dialect::Debezium => ("PLAINTEXT://:9092", "PLAINTEXT://:9092"),
        }
    }
}

/// Puts the image's defaults where nobody said anything.
pub(super) fn fill_in(values: &mut Values, mounts: &[String]) {
    let Some(dialect) = values.dialect else { return };
    let origin = Origin::Environment(super::environment::DIALECT.into());
    if values.set_by_user("listeners").is_none() && values.set_by_user("advertised.listeners").is_none() {
        let (listeners, advertised) = dialect.listeners();
        values.put("listeners", listeners.into(), origin.clone());
        values.put("advertised.listeners", advertised.into(), origin.clone());
        if dialect == Dialect::ConfluentLocal && values.set_by_user("listener.security.protocol.map").is_none() {
            let map = "PLAINTEXT:PLAINTEXT,PLAINTEXT_HOST:PLAINTEXT,CONTROLLER:PLAINTEXT";
            values.put("listener.security.protocol.map", map.into(), origin.clone());
        }
    }
    if values.set_by_user("log.dirs").is_none() && values.set_by_user("log.dir").is_none() {
        values.put("log.dirs", data_directory(mounts, values.get("node.id").unwrap_or("1")), origin);
    }
}

fn data_directory(mounts: &[String], node_id: &str) -> String {
    let mounted = VOLUMES.iter().find(|(volume, _)| mounts.iter().any(|mount| mount == volume));
    match mounted {
        // Debezium keeps one directory for each node.
        Some(("/kafka/data", _)) => format!("/kafka/data/{node_id}"),
        Some((_, directory)) => (*directory).into(),
        None => UNMOUNTED.into(),
    }
}

/// The mount points of this process.
pub fn mounts() -> Vec<String> {
    let table = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    table.lines().filter_map(|line| line.split(' ').nth(1)).map(str::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_goes_to_the_volume_that_is_mounted() {
        for (mounts, directory) in [
            (vec![], "/var/lib/kafka/data"),
            (vec!["/", "/var/lib/kafka/data"], "/var/lib/kafka/data"),
            (vec!["/bitnami/kafka", "/var/lib/kafka/data"], "/bitnami/kafka/data"),
            (vec!["/bitnami"], "/bitnami/kafka/data"),
            (vec!["/kafka"], "/kafka/kafka-logs"),
            (vec!["/kafka/data"], "/kafka/data/7"),
            (vec!["/tmp"], "/tmp/kafka-logs"),
        ] {
            let mounts: Vec<String> = mounts.into_iter().map(str::to_string).collect();
            assert_eq!(data_directory(&mounts, "7"), directory, "{mounts:?}");
        }
    }
}
