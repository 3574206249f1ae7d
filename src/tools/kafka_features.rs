//! `kafka-features`: the feature levels of a cluster, and what a release brings.

use kafka_protocol::messages as m;
use kafka_protocol::messages::ApiVersionsRequest;
use kafka_protocol::messages::update_features_request::FeatureUpdateKey;
use kafka_protocol::protocol::StrBytes;

use super::flags::{Flag, Flags, Takes, Usage, flag};
use super::{Done, Failure, Output, Tool, target};
use crate::client::{Client, Error};

pub(super) const TOOL: Tool = Tool {
    name: "kafka-features",
    aliases: &["org.apache.kafka.tools.FeatureCommand"],
    about: "describe and change feature levels",
    usage: || USAGE,
    run,
};

const USAGE: Usage = Usage {
    about: "kafka-features {describe,upgrade,downgrade,disable,version-mapping,feature-dependencies}: this tool manages feature flags in Kafka.",
    flags: FLAGS,
};

static FLAGS: &[Flag] = &[
    target::BOOTSTRAP_SERVER,
    flag(&["bootstrap-controller"], Takes::Value("host:port"), "A controller to begin with."),
    target::COMMAND_CONFIG,
    flag(&["dry-run"], Takes::Nothing, "Only ask whether the change is possible."),
    flag(&["feature"], Takes::Value("name=level"), "A feature and its level."),
    flag(&["release-version"], Takes::Value("4.3"), "The release whose levels are meant."),
    flag(&["unsafe"], Takes::Nothing, "Downgrade even where metadata is lost."),
];

fn run(arguments: &[String], out: &mut Output) -> Done {
    let flags = USAGE.parse(arguments)?;
    match flags.words.first().map(String::as_str) {
        Some("describe") => describe(&mut target::connect(&flags, "milena-features")?, out),
        Some("version-mapping") => version_mapping(&flags, out),
        Some("feature-dependencies") => feature_dependencies(&flags, out),
        Some("upgrade") => change(&flags, Change { kind: 1, done: "upgraded" }, out),
        Some("downgrade") => {
            change(&flags, Change { kind: if flags.has("unsafe") { 3 } else { 2 }, done: "downgraded" }, out)
        }
        Some("disable") => {
            change(&flags, Change { kind: if flags.has("unsafe") { 3 } else { 2 }, done: "disabled" }, out)
        }
        Some(other) => Err(Failure::Usage(format!("kafka-features: error: invalid choice: '{other}'"))),
        None => Err(Failure::Usage("kafka-features: error: too few arguments".to_owned())),
    }
}

fn describe(client: &mut Client, out: &mut Output) -> Done {
    let request = ApiVersionsRequest::default()
        .with_client_software_name(StrBytes::from_static_str("milena-tools"))
        .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
    let answer = client.ask_any_up_to(&request, 4)?;
    Error::check(answer.error_code, None)?;
    let finalized = |name: &StrBytes| {
        answer.finalized_features.iter().find(|found| found.name == *name).map_or(0, |found| found.max_version_level)
    };
    let epoch =
        if answer.finalized_features_epoch < 0 { "-".to_owned() } else { answer.finalized_features_epoch.to_string() };
    let mut features: Vec<_> = answer.supported_features.iter().collect();
    features.sort_by(|a, b| a.name.cmp(&b.name));
    for feature in features {
        let level = |level: i16| level_name(&feature.name, level);
        out.line(format!(
            "Feature: {:41} SupportedMinVersion: {:16} SupportedMaxVersion: {:16} FinalizedVersionLevel: {:16} Epoch: {epoch}",
            &*feature.name,
            level(feature.min_version),
            level(feature.max_version),
            level(finalized(&feature.name)),
        ));
    }
    Ok(())
}

struct Change {
    /// `UpgradeType` of the protocol: 1 upgrade, 2 safe downgrade, 3 unsafe downgrade.
    kind: i8,
    done: &'static str,
}

fn change(flags: &Flags, change: Change, out: &mut Output) -> Done {
    let mut updates = Vec::new();
    for pair in flags.values("feature") {
        let (name, level) = pair.split_once('=').unwrap_or((pair, "0"));
        let level: i16 = level.parse().map_err(|_| {
            Failure::Error(format!("Can't parse feature=level string {pair}: unable to parse {level} as a short."))
        })?;
        updates.push((name.to_owned(), level));
    }
    if let Some(release) = flags.value("release-version") {
        updates.extend(mapping(release)?.into_iter().map(|(name, level)| (name.to_owned(), level)));
    }
    updates.sort();
    let key = |(name, level): &(String, i16)| {
        FeatureUpdateKey::default()
            .with_feature(StrBytes::from_string(name.clone()))
            .with_max_version_level(*level)
            .with_upgrade_type(change.kind)
    };
    let is_dry = flags.has("dry-run");
    let request = m::UpdateFeaturesRequest::default()
        .with_timeout_ms(30_000)
        .with_feature_updates(updates.iter().map(key).collect())
        .with_validate_only(is_dry);
    let answer = target::connect(flags, "milena-features")?.ask_controller(&request, 2)?;
    let whole = Error::check(answer.error_code, answer.error_message.as_deref());
    let verb = if is_dry { "can be" } else { "was" };
    for (name, level) in &updates {
        let own = answer.results.iter().find(|result| &*result.feature == name.as_str());
        let outcome = own.map_or(Ok(()), |own| Error::check(own.error_code, own.error_message.as_deref()));
        match (&whole, outcome) {
            (Err(error), _) => out.line(format!("Could not change {name} to {level}. {error}")),
            (_, Err(error)) => out.line(format!("Could not change {name} to {level}. {error}")),
            _ if change.done == "disabled" => out.line(format!("{name} {verb} disabled.")),
            _ => out.line(format!("{name} {verb} {} to {level}.", change.done)),
        }
    }
    whole.map_err(|_| Failure::Exit(1))
}

/// The levels of every feature in a release.
fn mapping(release: &str) -> Result<Vec<(&'static str, i16)>, Failure> {
    let found = RELEASES
        .iter()
        .find(|(known, ..)| release == *known || release.split_once("-IV").is_some_and(|(main, _)| main == *known));
    let unknown =
        || Failure::Error(format!("Unknown metadata.version '{release}'. Supported metadata.version are 3.3 to 4.3"));
    let (_, metadata, levels) = found.ok_or_else(unknown)?;
    let names = [
        "kraft.version",
        "transaction.version",
        "group.version",
        "eligible.leader.replicas.version",
        "share.version",
        "streams.version",
    ];
    Ok(std::iter::once(("metadata.version", *metadata)).chain(names.into_iter().zip(levels.iter().copied())).collect())
}

pub fn version_mapping(flags: &Flags, out: &mut Output) -> Done {
    let asked = flags.value("release-version");
    let release = asked.unwrap_or("4.3");
    for (name, level) in mapping(release)? {
        if name == "metadata.version" {
            out.line(format!("{name}={level} ({})", asked.unwrap_or("4.3-IV0")));
        } else {
            out.line(format!("{name}={level}"));
        }
    }
    Ok(())
}

pub fn feature_dependencies(flags: &Flags, out: &mut Output) -> Done {
    for pair in flags.values("feature") {
        out.line(format!("{pair} has no dependencies."));
    }
    Ok(())
}

/// Levels of `metadata.version` have names.
fn level_name(feature: &str, level: i16) -> String {
    if feature != "metadata.version" {
        return level.to_string();
    }
    METADATA_VERSIONS
        .iter()
        .find(|(known, _)| *known == level)
        .map_or_else(|| format!("UNKNOWN [{level}]"), |(_, name)| (*name).to_owned())
}

/// `MetadataVersion` of Kafka 4.3.
const METADATA_VERSIONS: &[(i16, &str)] = &[
    (7, "3.3-IV3"),
    (8, "3.4-IV0"),
    (9, "3.5-IV0"),
    (10, "3.5-IV1"),
    (11, "3.5-IV2"),
    (12, "3.6-IV0"),
    (13, "3.6-IV1"),
    (14, "3.6-IV2"),
    (15, "3.7-IV0"),
    (16, "3.7-IV1"),
    (17, "3.7-IV2"),
    (18, "3.7-IV3"),
    (19, "3.7-IV4"),
    (20, "3.8-IV0"),
    (21, "3.9-IV0"),
    (22, "4.0-IV0"),
    (23, "4.0-IV1"),
    (24, "4.0-IV2"),
    (25, "4.0-IV3"),
    (26, "4.1-IV0"),
    (27, "4.1-IV1"),
    (28, "4.2-IV0"),
    (29, "4.2-IV1"),
    (30, "4.3-IV0"),
];

/// Release, `metadata.version`, then kraft, transaction, group, eligible leader replicas, share and streams, as
/// `version-mapping` of Kafka 4.3.1 prints them.
const RELEASES: &[(&str, i16, [i16; 6])] = &[("4.0", 25, [1, 2, 1, 0, 0, 0]), ("4.3", 30, [1, 2, 1, 1, 1, 1])];
