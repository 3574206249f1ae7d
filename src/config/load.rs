//! Where settings come from, and which one wins: Kafka's and our defaults, then `server.properties`, then the `KAFKA_*`
//! environment, then `--override name=value`.
//!
//! figment merges the layers. Every layer is *flat*: one dictionary whose keys keep their dots. Nested ones would lose
//! `broker.id` as soon as `broker.id.generation.enable` stands beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::catalog::{self, Setting};
use super::commands;
use super::environment::{self, Environment};
use super::image::{self, Dialect};
use super::image_file::{self, Mounted};
use super::listener::Endpoint;
use super::properties;

/// All that is said about settings, before it is understood. `Sources::default()` says nothing.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// `server.properties`: its path as it was given, and its text.
    pub file: Option<(String, String)>,
    /// Environment variables; all of them may be given, what is not ours is left alone.
    pub environment: Vec<(String, String)>,
    /// What followed each `--override`.
    pub overrides: Vec<String>,
    /// The name of this machine, which clients are told when a listener has no host.
    pub host_name: String,
    /// Mount points, by which an image finds the volume for its data.
    pub mounts: Vec<String>,
    /// What was noticed while they were gathered.
    pub remarks: Vec<String>,
}

/// Who set a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Default,
    File {
        path: String,
        line: usize,
    },
    Environment(String),
    Override,
    /// Set at run time for all brokers.
    DynamicDefault,
    /// Set at run time for this broker.
    DynamicBroker,
}

/// The merged values by name, each with its origin, and what was noticed on the way.
#[derive(Clone, Debug, Default)]
pub(super) struct Values {
    by_name: BTreeMap<String, (String, Origin)>,
    /// What was set at run time wins over all that was said at the start: first of this broker, then of all.
    dynamic: [BTreeMap<String, (String, Origin)>; 2],
    /// `KAFKA_*` variables that name no setting.
    pub strangers: Vec<String>,
    /// Variables that nothing here reads, though a person may expect something of them.
    pub without_effect: Vec<String>,
    /// What else the start should say.
    pub remarks: Vec<String>,
    /// Whose image this is; `None` outside of one.
    pub dialect: Option<Dialect>,
    pub log_level: Option<String>,
}

impl Sources {
    /// What this process was told: the file of `--config`, its environment, its `--override`s.
    pub fn of_process(config: Option<&Path>, overrides: Vec<String>) -> Result<Sources, String> {
        let mut environment: Vec<(String, String)> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
            .collect();
        let mut notes = Vec::new();
        let file = match config {
            Some(path) => Some(read_file(path, &environment, &mut notes)?),
            None => match image_file::find(Path::new("/"), &environment)? {
                Some(Mounted { path, is_all }) => {
                    let file = read_file(&path, &environment, &mut notes)?;
                    if is_all {
                        let (kept, note) = image_file::without_settings(environment, &path);
                        environment = kept;
                        notes.extend(note);
                    }
                    Some(file)
                }
                None => None,
            },
        };
        let host_name = host_name();
        let (environment, remarks) = commands::carry_out(environment::with_secrets(environment)?, &host_name);
        let remarks = notes.into_iter().chain(remarks).collect();
        Ok(Sources { file, environment, overrides, host_name, mounts: image::mounts(), remarks })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { path, line } => write!(f, "{path}:{line}"),
            Origin::Environment(name) => write!(f, "environment variable {name}"),
            Origin::Override => f.write_str("--override"),
            Origin::DynamicDefault => f.write_str("set at run time for all brokers"),
            Origin::DynamicBroker => f.write_str("set at run time"),
        }
    }
}

/// Reads every layer and merges them. The errors say what cannot be read at all, one sentence each.
pub(super) fn merge(sources: &Sources) -> Result<Values, Vec<String>> {
    let mut problems = Vec::new();
    let environment = environment::read(&sources.environment);
    let layers = [
        default_layer(),
        file_layer(&sources.file).unwrap_or_else(|problem| problems.leave(problem)),
        environment_layer(&environment),
        override_layer(&sources.overrides).unwrap_or_else(|problem| problems.leave(problem)),
    ];
    if !problems.is_empty() {
        return Err(problems);
    }
    let by_name = merge_layers(&layers).map_err(|error| vec![format!("the settings cannot be merged: {error}")])?;
    let mut values = Values { by_name, ..Values::default() };
    values.strangers = environment.strangers;
    values.without_effect = environment.without_effect;
    values.remarks = sources.remarks.iter().cloned().chain(environment.remarks).collect();
    values.dialect = environment.dialect;
    values.log_level = environment.log_level;
    fill_in(&mut values);
    image::fill_in(&mut values, &sources.mounts);
    Ok(values)
}

/// Settings that follow from others, put in where DescribeConfigs will look for them.
fn fill_in(values: &mut Values) {
    // `broker.id=-1` asked ZooKeeper for a number; here it says nothing.
    let broker_id = values.set_by_user("broker.id").filter(|(id, _)| *id != "-1");
    let broker_id = broker_id.map(|(id, origin)| (id.to_string(), origin.clone()));
    if let (Some((id, origin)), None) = (broker_id, values.set_by_user("node.id")) {
        values.put("node.id", id, origin);
    } else if values.set_by_user("broker.id").is_none_or(|(id, _)| id == "-1") {
        let (id, origin) = (values.get("node.id").unwrap_or_default().to_string(), values.origin("node.id"));
        values.put("broker.id", id, origin);
    }
    if let (None, Some((listeners, origin))) = (values.set_by_user("listeners"), listeners_from_advertised(values)) {
        values.put("listeners", listeners, origin);
    }
}

/// Where only `advertised.listeners` is set, Kafka's container images listen on the same ports of all addresses.
fn listeners_from_advertised(values: &Values) -> Option<(String, Origin)> {
    let (advertised, origin) = values.set_by_user("advertised.listeners")?;
    let endpoints = Endpoint::parse_list(advertised).ok().filter(|endpoints| !endpoints.is_empty())?;
    let everywhere = endpoints.into_iter().map(|endpoint| Endpoint { host: "0.0.0.0".into(), ..endpoint }.to_string());
    Some((everywhere.collect::<Vec<_>>().join(","), origin.clone()))
}

trait Problems {
    fn leave(&mut self, problem: String) -> Layer;
}

impl Problems for Vec<String> {
    /// Notes the problem; nothing is read from this layer.
    fn leave(&mut self, problem: String) -> Layer {
        self.push(problem);
        Layer::default()
    }
}

impl Values {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.find(name).map(|(text, _)| text.as_str())
    }

    pub fn origin(&self, name: &str) -> Origin {
        self.find(name).map_or(Origin::Default, |(_, origin)| origin.clone())
    }

    /// The value, if somebody set it.
    pub fn set_by_user(&self, name: &str) -> Option<(&str, &Origin)> {
        let (text, origin) = self.find(name)?;
        (*origin != Origin::Default).then_some((text, origin))
    }

    /// Every value of this name, the one that counts first; the default, which the catalogue has, is not among them.
    pub fn all_set(&self, name: &str) -> impl Iterator<Item = (&str, &Origin)> {
        let layers = self.dynamic.iter().chain([&self.by_name]);
        let values = layers.filter_map(move |layer| layer.get(name)).map(|(text, origin)| (text.as_str(), origin));
        values.filter(|(_, origin)| **origin != Origin::Default)
    }

    /// Everything that somebody set, by name.
    pub fn user_settings(&self) -> impl Iterator<Item = (&str, &str, &Origin)> {
        let names: BTreeSet<&String> = self.dynamic.iter().chain([&self.by_name]).flat_map(BTreeMap::keys).collect();
        names.into_iter().filter_map(|name| {
            let (text, origin) = self.set_by_user(name)?;
            Some((name.as_str(), text, origin))
        })
    }

    /// The same start, with these values set since: of this broker, and of all.
    pub fn with_dynamic(&self, broker: &BTreeMap<String, String>, default: &BTreeMap<String, String>) -> Values {
        let layer = |values: &BTreeMap<String, String>, origin: Origin| {
            values.iter().map(|(name, text)| (name.clone(), (text.clone(), origin.clone()))).collect()
        };
        let dynamic = [layer(broker, Origin::DynamicBroker), layer(default, Origin::DynamicDefault)];
        Values { dynamic, ..self.clone() }
    }

    fn find(&self, name: &str) -> Option<&(String, Origin)> {
        self.dynamic.iter().chain([&self.by_name]).find_map(|layer| layer.get(name))
    }

    pub fn put(&mut self, name: &str, text: String, origin: Origin) {
        self.by_name.insert(name.to_string(), (text, origin));
    }
}

/// One source of settings: name to value and origin.
#[derive(Clone, Debug, Default)]
struct Layer {
    name: &'static str,
    values: BTreeMap<String, (String, Origin)>,
}

impl Layer {
    fn new(name: &'static str) -> Layer {
        Layer { name, values: BTreeMap::new() }
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let dict: Dict =
            self.values.iter().map(|(name, (text, _))| (name.clone(), Value::from(text.as_str()))).collect();
        Ok(Profile::Default.collect(dict))
    }
}

fn merge_layers(layers: &[Layer]) -> Result<BTreeMap<String, (String, Origin)>, Box<figment::Error>> {
    let mut figment = Figment::new();
    for layer in layers {
        figment = figment.merge(layer);
    }
    let merged = figment.data()?.remove(&Profile::Default).unwrap_or_default();
    let origin = |name: &str, value: &Value| {
        let winner = figment.get_metadata(value.tag())?;
        let layer = layers.iter().find(|layer| layer.name == winner.name)?;
        layer.values.get(name).map(|(_, origin)| origin.clone())
    };
    let with_origin = merged.iter().filter_map(|(name, value)| {
        let origin = origin(name, value).unwrap_or(Origin::Default);
        Some((name.clone(), (value.as_str()?.to_string(), origin)))
    });
    Ok(with_origin.collect())
}

fn default_layer() -> Layer {
    let mut layer = Layer::new("defaults");
    for setting in catalog::broker_settings() {
        if let Some(default) = setting.default {
            layer.values.insert(setting.name.into(), (default.into(), Origin::Default));
        }
    }
    layer
}

fn file_layer(file: &Option<(String, String)>) -> Result<Layer, String> {
    let mut layer = Layer::new("file");
    let Some((path, text)) = file else { return Ok(layer) };
    let entries = properties::parse(text)
        .map_err(|bad| format!("{path}:{} cannot be read: {}; write a backslash as \\\\", bad.line, bad.reason))?;
    for entry in entries {
        let origin = Origin::File { path: path.clone(), line: entry.line };
        layer.values.insert(entry.name, (entry.value.trim().to_string(), origin));
    }
    Ok(layer)
}

fn override_layer(overrides: &[String]) -> Result<Layer, String> {
    let mut layer = Layer::new("overrides");
    for text in overrides {
        let (name, value) = text
            .split_once('=')
            .ok_or_else(|| format!("--override {text} says no value; write --override name=value"))?;
        layer.values.insert(name.trim().into(), (value.trim().into(), Origin::Override));
    }
    Ok(layer)
}

/// What the environment says, as a layer.
fn environment_layer(environment: &Environment) -> Layer {
    let mut layer = Layer::new("environment");
    for (name, said) in &environment.settings {
        let origin = Origin::Environment(said.variable.clone());
        layer.values.insert(name.clone(), (said.value.clone(), origin));
    }
    layer
}

pub(super) fn known(name: &str) -> Option<&'static Setting> {
    catalog::broker(name).or_else(|| catalog::former(name))
}

/// `listener.name.<listener>.<setting>`: a setting for one listener only.
pub(super) fn is_of_one_listener(name: &str) -> bool {
    name.starts_with("listener.name.")
}

/// In an image a file that everybody may change is a remark: where Docker runs in a virtual machine, every mounted file is
/// shown with such rights, and in the container there is nobody else.
fn read_file(
    path: &Path,
    environment: &[(String, String)],
    notes: &mut Vec<String>,
) -> Result<(String, String), String> {
    let shown = path.display().to_string();
    let advice = "give --config the path of a server.properties";
    let bytes = std::fs::read(path).map_err(|error| format!("{shown} cannot be read ({error}); {advice}"))?;
    let is_in_image = environment.iter().any(|(name, _)| name == environment::DIALECT);
    match refuse_world_writable(path, &shown) {
        Err(sentence) if is_in_image => notes.push(sentence),
        checked => checked?,
    }
    Ok((shown, properties::decode(bytes)))
}

/// S63: whoever may write this file may say where data lies and who may connect.
#[cfg(unix)]
fn refuse_world_writable(path: &Path, shown: &str) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).map(|metadata| metadata.permissions().mode()).unwrap_or(0);
    if mode & 0o002 == 0 {
        return Ok(());
    }
    Err(format!("{shown} can be changed by every user of this machine; run chmod o-w {shown}"))
}

#[cfg(not(unix))]
fn refuse_world_writable(_: &Path, _: &str) -> Result<(), String> {
    Ok(())
}

fn host_name() -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = kernel.or_else(|| std::env::var("HOSTNAME").ok()).unwrap_or_default();
    let name = name.trim();
    if name.is_empty() || name == "(none)" { "localhost".into() } else { name.into() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Sources {
        let environment = variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        Sources { environment, ..Sources::default() }
    }

    fn file(text: &str) -> Sources {
        Sources { file: Some(("server.properties".into(), text.into())), ..Sources::default() }
    }

    #[test]
    fn a_later_source_wins_and_says_so() {
        let mut sources = file("num.partitions=2\nlog.dir=a");
        let origin = |sources: &Sources, name: &str| {
            let values = merge(sources).unwrap();
            (values.get(name).unwrap().to_string(), values.origin(name).to_string())
        };
        assert_eq!(origin(&Sources::default(), "num.partitions"), ("1".into(), "default".into()));
        assert_eq!(origin(&sources, "num.partitions"), ("2".into(), "server.properties:1".into()));
        sources.environment = vec![("KAFKA_NUM_PARTITIONS".into(), " 3\n".into())];
        let expected = ("3".to_string(), "environment variable KAFKA_NUM_PARTITIONS".to_string());
        assert_eq!(origin(&sources, "num.partitions"), expected);
        sources.overrides = vec!["num.partitions = 4".into(), "num.partitions=5".into()];
        assert_eq!(origin(&sources, "num.partitions"), ("5".into(), "--override".into()));
        assert_eq!(origin(&sources, "log.dir"), ("a".into(), "server.properties:2".into()));
    }

    /// With nested providers `broker.id` becomes a table that holds `generation.enable`, and its number is gone.
    #[test]
    fn broker_id_stays_beside_broker_id_generation_enable() {
        for sources in [
            file("broker.id=7\nbroker.id.generation.enable=false"),
            environment(&[("KAFKA_BROKER_ID_GENERATION_ENABLE", "false"), ("KAFKA_BROKER_ID", "7")]),
            Sources {
                overrides: vec!["broker.id.generation.enable=false".into(), "broker.id=7".into()],
                ..Sources::default()
            },
        ] {
            let values = merge(&sources).unwrap();
            assert_eq!(values.get("broker.id"), Some("7"));
            assert_eq!(values.get("broker.id.generation.enable"), Some("false"));
        }
    }

    #[test]
    fn the_environment_speaks_only_of_known_settings() {
        let values = merge(&environment(&[
            ("KAFKA_AUTO_CREATE_TOPICS_ENABLE", "false"),
            ("KAFKA_MILENA_DURABILITY", "page-cache"),
            ("KAFKA_ZOOKEEPER_CONNECT", "zookeeper:2181"),
            ("KAFKA_LISTENER_NAME_X_SSL_KEYSTORE_LOCATION", "y"),
            ("CLUSTER_ID", "abc"),
            ("PATH", "/bin"),
            ("KAFKA_HEAP_OPTS", "-Xmx1g"),
            ("KAFKA_OPTS", "-Dx"),
            ("KAFKA_LOG4J_LOGGERS", "x"),
            ("KAFKA_JMX_PORT", "9999"),
            ("KAFKA_CONFLUENT_SUPPORT_METRICS_ENABLE", "0"),
            ("KAFKA_PORT", "tcp://10.0.0.1:9092"),
            ("KAFKA_PORT_9092_TCP", "tcp://10.0.0.1:9092"),
            ("KAFKA_SERVICE_HOST", "10.0.0.1"),
            ("KAFKA_NUM_PARTITIONS", ""),
            ("KAFKA_URL", "x"),
            ("KAFKA_", "x"),
        ]))
        .unwrap();
        let set: Vec<_> = values.user_settings().map(|(name, value, _)| format!("{name}={value}")).collect();
        assert_eq!(
            set,
            [
                "auto.create.topics.enable=false",
                "cluster.id=abc",
                "listener.name.x.ssl.keystore.location=y",
                "milena.durability=page-cache",
                "zookeeper.connect=zookeeper:2181",
            ]
        );
        assert_eq!(values.strangers, ["KAFKA_", "KAFKA_URL"]);
        assert_eq!(values.get("num.partitions"), Some("1"));
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_place() {
        let mut sources = file("a=1\nb=\\u12");
        sources.overrides = vec!["num.partitions".into()];
        let problems = merge(&sources).unwrap_err();
        assert_eq!(
            problems,
            [
                "server.properties:2 cannot be read: \\u must be followed by four hexadecimal digits; write a backslash \
                 as \\\\",
                "--override num.partitions says no value; write --override name=value",
            ]
        );
    }

    #[test]
    fn a_missing_file_is_told_by_its_path() {
        let told = Sources::of_process(Some(Path::new("no/such.properties")), vec![]).unwrap_err();
        assert!(told.starts_with("no/such.properties cannot be read"), "{told}");
    }

    #[cfg(unix)]
    #[test]
    fn s63_a_file_that_everybody_may_write_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("server.properties");
        std::fs::write(&path, "num.partitions=3").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let sources = Sources::of_process(Some(&path), vec![]).unwrap();
        assert_eq!(sources.file.unwrap().1, "num.partitions=3");
        assert!(!sources.host_name.is_empty());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
        let told = Sources::of_process(Some(&path), vec![]).unwrap_err();
        assert!(told.contains("chmod o-w"), "{told}");
    }

    proptest! {
        #[test]
        fn no_environment_makes_the_mapping_panic(name in "(KAFKA_)?[A-Za-z_.0-9]{0,30}", value in any::<String>()) {
            let _ = merge(&environment(&[(&name, &value)]));
        }
    }
}
