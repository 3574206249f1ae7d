//! `kafka-storage`: formats a data directory, tells what is in one, makes ids. It asks nobody: it reads a settings file.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::flags::{Flag, Flags, Takes, Usage, flag};
use super::{Done, Failure, Output, Tool, kafka_features};
use crate::client::Properties;
use crate::clock::{Clock, SystemClock};
use crate::types::base64_id;

pub(super) const TOOL: Tool = Tool {
    name: "kafka-storage",
    aliases: &["kafka.tools.StorageTool"],
    about: "format, info, random-uuid",
    usage: || USAGE,
    run,
};

const USAGE: Usage = Usage {
    about: "kafka-storage {info,format,version-mapping,feature-dependencies,random-uuid}: the Kafka storage tool.",
    flags: FLAGS,
};

static FLAGS: &[Flag] = &[
    flag(&["add-scram", "S"], Takes::Value("credential"), "format: a SCRAM user; not there yet."),
    flag(&["cluster-id", "t"], Takes::Value("id"), "format: the id of the cluster."),
    flag(&["config", "c"], Takes::Value("file"), "The settings file of the broker."),
    flag(&["feature", "f"], Takes::Value("name=level"), "A feature and its level."),
    flag(&["ignore-formatted", "g"], Takes::Nothing, "format: leave directories alone that are formatted."),
    flag(&["initial-controllers", "I"], Takes::Value("list"), "format: taken without effect on one node."),
    flag(&["no-initial-controllers", "N"], Takes::Nothing, "format: taken without effect on one node."),
    flag(&["release-version", "r"], Takes::Value("version"), "format: taken without effect."),
    flag(&["standalone", "s"], Takes::Nothing, "format: taken without effect on one node."),
];

fn run(arguments: &[String], out: &mut Output) -> Done {
    let flags = USAGE.parse(arguments)?;
    match flags.words.first().map(String::as_str) {
        Some("random-uuid") => {
            out.line(random_id());
            Ok(())
        }
        Some("format") => format(&flags, out),
        Some("info") => info(&flags, out),
        Some("version-mapping") => kafka_features::version_mapping(&flags, out),
        Some("feature-dependencies") => kafka_features::feature_dependencies(&flags, out),
        Some(other) => Err(Failure::Usage(format!("kafka-storage: error: invalid choice: '{other}'"))),
        None => Err(Failure::Usage("kafka-storage: error: too few arguments".to_owned())),
    }
}

/// An id that no tool takes for a flag: Kafka makes none that begins with a dash either.
fn random_id() -> String {
    let clock = SystemClock::default();
    loop {
        let id = base64_id(clock.random_id());
        if !id.starts_with('-') {
            return id;
        }
    }
}

/// What the settings file says of this node.
struct Node {
    directories: Vec<PathBuf>,
    id: String,
    has_voters: bool,
}

fn node(flags: &Flags) -> Result<Node, Failure> {
    let file = flags.value("config").ok_or_else(|| Failure::Usage("argument --config/-c is required".to_owned()))?;
    let mut properties = Properties::default();
    properties.read(Path::new(file))?;
    let directories = properties.get("log.dirs").or(properties.get("log.dir")).unwrap_or("/tmp/kafka-logs");
    let mut directories: Vec<PathBuf> =
        directories.split(',').map(str::trim).filter(|dir| !dir.is_empty()).map(PathBuf::from).collect();
    directories.extend(properties.get("metadata.log.dir").map(PathBuf::from));
    directories.sort();
    directories.dedup();
    Ok(Node {
        directories,
        id: properties.get("node.id").or(properties.get("broker.id")).unwrap_or("1").to_owned(),
        has_voters: properties.get("controller.quorum.voters").is_some_and(|voters| !voters.is_empty()),
    })
}

fn format(flags: &Flags, out: &mut Output) -> Done {
    let node = node(flags)?;
    let id =
        flags.value("cluster-id").ok_or_else(|| Failure::Usage("argument --cluster-id/-t is required".to_owned()))?;
    if flags.has("add-scram") {
        return Err(Failure::Error("--add-scram is not there yet: this broker has no SCRAM users".to_owned()));
    }
    if node.has_voters && flags.count(&["standalone", "initial-controllers"]) > 0 {
        return Err(Failure::Error(
            "You cannot specify controller.quorum.voters and format the node with --initial-controllers or --standalone. If you want to use dynamic quorum, please remove controller.quorum.voters and specify controller.quorum.bootstrap.servers instead.".to_owned(),
        ));
    }
    let mut fresh = Vec::new();
    for directory in &node.directories {
        match meta(directory)? {
            None => fresh.push(directory),
            Some(found) => check(directory, &found, id, flags.has("ignore-formatted"))?,
        }
    }
    if fresh.is_empty() {
        out.line("All of the log directories are already formatted.");
        return Ok(());
    }
    out.line(BOOTSTRAP_METADATA);
    for directory in fresh {
        out.line(format!("Formatting metadata directory {} with metadata.version 4.3-IV0.", directory.display()));
        write_meta(directory, id, &node.id).map_err(|error| {
            Failure::Error(format!("Unable to write {}: {error}", directory.join(META_PROPERTIES).display()))
        })?;
    }
    Ok(())
}

fn check(directory: &Path, found: &Properties, id: &str, may_be_formatted: bool) -> Done {
    let read = found.get("cluster.id").unwrap_or_default();
    if !may_be_formatted {
        return Err(Failure::Error(format!(
            "Log directory {} is already formatted. Use --ignore-formatted to ignore this directory and format the others.",
            directory.display()
        )));
    }
    if read != id {
        let file = directory.join(META_PROPERTIES);
        return Err(Failure::Error(format!(
            "Invalid cluster.id in: {}. Expected {id}, but read {read}",
            file.display()
        )));
    }
    Ok(())
}

fn meta(directory: &Path) -> Result<Option<Properties>, Failure> {
    let file = directory.join(META_PROPERTIES);
    if !file.exists() {
        return Ok(None);
    }
    let mut properties = Properties::default();
    properties.read(&file)?;
    Ok(Some(properties))
}

/// Whole or not at all: written aside, synced, renamed.
fn write_meta(directory: &Path, cluster: &str, node: &str) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let aside = directory.join("meta.properties.tmp");
    let mut file = File::create(&aside)?;
    write!(file, "#\ncluster.id={cluster}\ndirectory.id={}\nnode.id={node}\nversion=1\n", random_id())?;
    file.sync_all()?;
    fs::rename(&aside, directory.join(META_PROPERTIES))?;
    File::open(directory)?.sync_all()
}

fn info(flags: &Flags, out: &mut Output) -> Done {
    let node = node(flags)?;
    let mut problems = Vec::new();
    let mut found: Option<Properties> = None;
    let mut directories = Vec::new();
    for directory in &node.directories {
        if !directory.exists() {
            problems.push(format!("{} does not exist", directory.display()));
            continue;
        }
        directories.push(directory.display().to_string());
        match meta(directory)? {
            Some(properties) => found = Some(properties),
            None => problems.push(format!("{} is not formatted.", directory.display())),
        }
    }
    let listed = |out: &mut Output, heading: &str, lines: &[String]| {
        if !lines.is_empty() {
            let plural = if heading == "Found log directory" { "Found log directories" } else { "Found problems" };
            out.line(format!("{}:", if lines.len() == 1 { heading } else { plural }));
            lines.iter().for_each(|line| out.line(format!("  {line}")));
            out.line("");
        }
    };
    listed(out, "Found log directory", &directories);
    if let Some(meta) = &found {
        let names = ["cluster.id", "directory.id", "node.id", "version"];
        let pairs: Vec<String> = names.iter().filter_map(|name| Some(format!("{name}={}", meta.get(name)?))).collect();
        out.line(format!("Found metadata: {{{}}}\n", pairs.join(", ")));
    }
    listed(out, "Found problem", &problems);
    if problems.is_empty() { Ok(()) } else { Err(Failure::Exit(1)) }
}

const META_PROPERTIES: &str = "meta.properties";

/// What Kafka's tool prints in front of it all, in the features of its release.
const BOOTSTRAP_METADATA: &str = "Bootstrap metadata: BootstrapMetadata(records=[ApiMessageAndVersion(FeatureLevelRecord(name='metadata.version', featureLevel=30) at version 0), ApiMessageAndVersion(FeatureLevelRecord(name='eligible.leader.replicas.version', featureLevel=1) at version 0), ApiMessageAndVersion(FeatureLevelRecord(name='group.version', featureLevel=1) at version 0), ApiMessageAndVersion(FeatureLevelRecord(name='share.version', featureLevel=1) at version 0), ApiMessageAndVersion(FeatureLevelRecord(name='streams.version', featureLevel=1) at version 0), ApiMessageAndVersion(FeatureLevelRecord(name='transaction.version', featureLevel=2) at version 0)], metadataVersionLevel=30, source=format command)";
