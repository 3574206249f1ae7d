//! Kafka's command line tools: one file per tool, named as Kafka names it. A tool parses its flags, asks through
//! [`crate::client`], and prints what Apache Kafka 4.3.1's tool of that name prints, so that scripts see no difference.
//!
//! Flags that Kafka removed and that people still write are taken: `--zookeeper` (with a word on stderr), `--broker-list`,
//! `--whitelist`. The binary is one; `main` asks [`named`] whether it was called by the name of a tool.

mod bench;
pub mod doctor;

mod acl_rules;
mod completions;
mod config_entities;
mod flags;
mod formatter;
mod group_tables;
mod install;
mod interrupt;
mod java;
mod json;
mod line_reader;
mod moments;
mod offset_resets;
mod output;
mod quotas;
mod table;
mod target;
mod topics;

mod cub;
mod kafka_acls;
mod kafka_broker_api_versions;
mod kafka_cluster;
mod kafka_configs;
mod kafka_console_consumer;
mod kafka_console_producer;
mod kafka_consumer_groups;
mod kafka_consumer_perf_test;
mod kafka_delete_records;
mod kafka_dump_log;
mod kafka_features;
mod kafka_get_offsets;
mod kafka_groups;
mod kafka_leader_election;
mod kafka_log_dirs;
mod kafka_metadata_quorum;
mod kafka_producer_perf_test;
mod kafka_run_class;
mod kafka_server_start;
mod kafka_server_stop;
mod kafka_storage;
mod kafka_topics;
mod kafka_transactions;
mod kafka_verifiable_consumer;
mod kafka_verifiable_producer;

use std::process::ExitCode;

use output::Output;

/// Why a tool ends with something else than 0.
enum Failure {
    /// The flags make no sense: the sentence and the usage go to stderr, exit 1.
    Usage(String),
    /// A sentence for stderr, exit 1.
    Error(String),
    /// Everything was said.
    Exit(u8),
    /// `--help`, `--version`: the text was printed.
    Shown,
}

impl From<crate::client::Error> for Failure {
    fn from(error: crate::client::Error) -> Self {
        Failure::Error(error.to_string())
    }
}

type Done = Result<(), Failure>;

/// A tool, by the name that people type.
pub struct Tool {
    pub name: &'static str,
    /// Other names for the same, as `kafka-run-class` and older images have them.
    aliases: &'static [&'static str],
    pub about: &'static str,
    usage: fn() -> flags::Usage,
    run: fn(&[String], &mut Output) -> Done,
}

/// Every tool there is, in the order in which `milena --help` lists them.
pub const TOOLS: &[Tool] = &[
    kafka_topics::TOOL,
    kafka_console_producer::TOOL,
    kafka_console_consumer::TOOL,
    kafka_consumer_groups::TOOL,
    kafka_configs::TOOL,
    kafka_broker_api_versions::TOOL,
    kafka_get_offsets::TOOL,
    kafka_delete_records::TOOL,
    kafka_groups::TOOL,
    kafka_acls::TOOL,
    kafka_transactions::TOOL,
    kafka_cluster::TOOL,
    kafka_features::TOOL,
    kafka_metadata_quorum::TOOL,
    kafka_log_dirs::TOOL,
    kafka_leader_election::TOOL,
    kafka_producer_perf_test::TOOL,
    kafka_consumer_perf_test::TOOL,
    kafka_verifiable_producer::TOOL,
    kafka_verifiable_consumer::TOOL,
    kafka_storage::TOOL,
    kafka_dump_log::TOOL,
    kafka_server_start::TOOL,
    kafka_server_stop::TOOL,
    kafka_run_class::TOOL,
    cub::TOOL,
    install::TOOL,
    completions::TOOL,
    bench::TOOL,
];

/// The tool of a name: `kafka-topics`, `kafka-topics.sh`, a path to either, or `topics`.
pub fn named(name: &str) -> Option<&'static Tool> {
    let name = name.rsplit('/').next().unwrap_or(name);
    let name = name.strip_suffix(".sh").unwrap_or(name);
    let is_it = |known: &str| known == name || known.strip_prefix("kafka-") == Some(name);
    TOOLS.iter().find(|tool| is_it(tool.name) || tool.aliases.contains(&name))
}

impl Tool {
    /// Runs with the arguments behind the name.
    pub fn run(&self, arguments: &[String]) -> ExitCode {
        let mut output = Output::new();
        let done = (self.run)(arguments, &mut output);
        output.flush();
        match done {
            Ok(()) | Err(Failure::Shown) => ExitCode::SUCCESS,
            Err(Failure::Exit(code)) => ExitCode::from(code),
            Err(Failure::Error(sentence)) => {
                eprintln!("{sentence}");
                ExitCode::FAILURE
            }
            Err(Failure::Usage(sentence)) => {
                eprintln!("{sentence}");
                eprint!("{}", (self.usage)());
                ExitCode::FAILURE
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_is_found_under_every_name_it_is_called_by() {
        for name in ["kafka-topics", "kafka-topics.sh", "/opt/kafka/bin/kafka-topics.sh", "topics", "./topics"] {
            assert_eq!(named(name).map(|tool| tool.name), Some("kafka-topics"), "{name}");
        }
        for name in ["milena", "config", "kafka", "", "kafka-", ".sh"] {
            assert!(named(name).is_none(), "{name}");
        }
    }

    #[test]
    fn no_two_tools_share_a_name() {
        let mut names: Vec<_> = TOOLS.iter().flat_map(|tool| tool.aliases.iter().chain([&tool.name])).collect();
        names.sort();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
