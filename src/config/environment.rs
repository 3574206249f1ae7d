//! What the environment says, in the words of every image that people's compose files are written for, all at once.
//!
//! | words | of | become |
//! |---|---|---|
//! | `KAFKA_A_B` | Apache, Confluent, wurstmeister | `a.b`; `__` is `_`, `___` is `-` |
//! | `KAFKA_CFG_A_B` | Bitnami | `a.b`; wins over `KAFKA_A_B` |
//! | `X_FILE` | Bitnami | `X`, read from that file |
//! | `NODE_ID`, `NODE_ROLE`, `ADVERTISED_HOST_NAME`, `CREATE_TOPICS` … | Debezium, spotify | their settings; in an image only, since a laptop may have such names too |
//! | `KAFKA_ADVERTISED_HOST_NAME`, `KAFKA_ADVERTISED_PORT`, `KAFKA_CREATE_TOPICS` | wurstmeister | `advertised.listeners`, `milena.create.topics` |
//! | `CLUSTER_ID`, `KAFKA_CLUSTER_ID`, `KAFKA_KRAFT_CLUSTER_ID` | all | `cluster.id` |
//!
//! What only start scripts, the JVM or plug-ins read is swallowed: silently where every file has it, in one line where a
//! person may believe that it does something. What Kubernetes puts beside a service called kafka is passed over.
//! `MILENA_DIALECT` is set by our images: with it their defaults hold ([`super::image`]).

use std::collections::BTreeMap;

use super::image::Dialect;
use super::load::known;

/// Says that this process runs in an image, and whose defaults it shall have.
pub const DIALECT: &str = "MILENA_DIALECT";

/// The environment, understood.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// Setting name to its value and the variable that said it.
    pub settings: BTreeMap<String, Said>,
    /// `KAFKA_*` variables that name nothing.
    pub strangers: Vec<String>,
    /// Variables of plug-ins and start scripts that a person may expect something of.
    pub without_effect: Vec<String>,
    pub remarks: Vec<String>,
    /// `None` outside of an image.
    pub dialect: Option<Dialect>,
    /// The root log level, as Kafka's images are told it.
    pub log_level: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub value: String,
    pub variable: String,
    /// Of two variables for one setting the more particular one counts: bare words, `KAFKA_`, `KAFKA_CFG_`.
    rank: u8,
}

enum Meaning {
    Setting {
        name: String,
        value: String,
        rank: u8,
    },
    /// One of the older settings that together make an advertised address.
    Host(String),
    Port(String),
    CreateTopics(String),
    LogLevel(String),
    /// Not ours, or read by scripts around Kafka only.
    Nothing,
    WithoutEffect,
    Unknown,
}

pub fn read(variables: &[(String, String)]) -> Environment {
    let mut read = Environment { dialect: dialect(variables), ..Environment::default() };
    let mut older = Older::default();
    for (variable, value) in variables {
        let value = unquoted(value);
        match meaning(variable, value, read.dialect.is_some()) {
            Meaning::Setting { name, value, rank } => read.put(name, Said { value, variable: variable.clone(), rank }),
            Meaning::Host(host) => older.host = older.host.take().or(Some((host, variable.clone()))),
            Meaning::Port(port) => older.port = older.port.take().or(Some(port)),
            Meaning::CreateTopics(topics) => {
                let value = topics.split(separator(variables).as_str()).map(str::trim).collect::<Vec<_>>().join(",");
                let rank = u8::from(variable.starts_with("KAFKA_"));
                read.put("milena.create.topics".into(), Said { value, variable: variable.clone(), rank });
            }
            Meaning::LogLevel(level) => read.log_level = Some(level),
            Meaning::Nothing => {}
            Meaning::WithoutEffect => read.without_effect.push(variable.clone()),
            Meaning::Unknown => read.strangers.push(variable.clone()),
        }
    }
    older.advertise(&mut read);
    read.one_id();
    read.strangers.sort();
    read.without_effect.sort();
    read
}

impl Environment {
    fn put(&mut self, name: String, said: Said) {
        match self.settings.get(&name) {
            Some(known) if known.rank > said.rank => {}
            _ => drop(self.settings.insert(name, said)),
        }
    }

    /// `broker.id` is the older name of `node.id`; environments that were carried from one to the other hold both.
    fn one_id(&mut self) {
        let (Some(node), Some(broker)) = (self.settings.get("node.id"), self.settings.get("broker.id")) else { return };
        if node.value != broker.value {
            self.remarks.push(format!(
                "{} says {} and {} says {}; the first counts, as both are the number of this node",
                node.variable, node.value, broker.variable, broker.value
            ));
            self.settings.remove("broker.id");
        }
    }
}

/// `advertised.host.name` and `advertised.port`, which Kafka had until 3.0 and images still take.
#[derive(Default)]
struct Older {
    host: Option<(String, String)>,
    port: Option<String>,
}

impl Older {
    fn advertise(self, read: &mut Environment) {
        if read.settings.contains_key("advertised.listeners") {
            return;
        }
        let listeners = read.settings.get("listeners").map(|said| said.value.clone());
        let Some((host, variable)) = self.host else {
            // A port alone is where to listen; a listener that is named has its own.
            if let (Some(port), None) = (self.port, listeners) {
                let said = Said { value: format!("PLAINTEXT://:{port}"), variable: "KAFKA_PORT".into(), rank: 0 };
                read.put("listeners".into(), said);
            }
            return;
        };
        // Some write `PLAINTEXT://host:9092` here.
        let host = host.rsplit_once("://").map_or(host.as_str(), |(_, rest)| rest);
        let (host, own_port) = match host.rsplit_once(':') {
            Some((name, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
                (name, Some(port))
            }
            _ => (host, None),
        };
        let first = listeners.as_deref().and_then(|text| text.split(',').next()?.trim().split_once("://"));
        let name = first.map_or("PLAINTEXT", |(name, _)| name).to_string();
        let listening = first.and_then(|(_, address)| address.rsplit_once(':')).map(|(_, port)| port.to_string());
        let port = self.port.or(own_port.map(str::to_string)).or(listening).unwrap_or_else(|| "9092".into());
        let value = format!("{name}://{host}:{port}");
        read.put("advertised.listeners".into(), Said { value, variable, rank: 0 });
    }
}

/// A list in a compose file's `- NAME="value"` brings its quotes along.
fn unquoted(value: &str) -> &str {
    let value = value.trim();
    let inner = |quote| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)).filter(|_| value.len() > 1);
    inner('"').or_else(|| inner('\'')).unwrap_or(value).trim()
}

fn dialect(variables: &[(String, String)]) -> Option<Dialect> {
    let said = variables.iter().find(|(name, _)| name == DIALECT)?;
    let has = |test: &dyn Fn(&str) -> bool| variables.iter().any(|(name, _)| test(name));
    Some(Dialect::named(&said.1).unwrap_or_else(|| {
        if has(&|name| name.starts_with("KAFKA_CFG_") || name == "ALLOW_PLAINTEXT_LISTENER" || name == "BITNAMI_DEBUG")
        {
            Dialect::Bitnami
        } else if has(&|name| matches!(name, "NODE_ROLE" | "HOST_NAME" | "CREATE_TOPICS")) {
            Dialect::Debezium
        } else if has(&|name| matches!(name, "KAFKA_CREATE_TOPICS" | "KAFKA_ADVERTISED_HOST_NAME" | "HOSTNAME_COMMAND"))
        {
            Dialect::Wurstmeister
        } else {
            Dialect::Apache
        }
    }))
}

/// What stands between two topics: a comma, unless somebody says otherwise; `$'\n'` is the shell's way to write a newline.
fn separator(variables: &[(String, String)]) -> String {
    let said =
        variables.iter().find(|(name, _)| name == "KAFKA_CREATE_TOPICS_SEPARATOR").map(|(_, text)| text.as_str());
    match said {
        None | Some("") => ",".into(),
        Some(text) if text.contains("\\n") || text.trim().is_empty() => "\n".into(),
        Some(text) => text.into(),
    }
}

fn meaning(variable: &str, value: &str, in_image: bool) -> Meaning {
    if let Some(name) = variable.strip_prefix("KAFKA_CFG_") {
        let name = setting_name(name).replace("sasl.ssl", "sasl_ssl").replace("sasl.plaintext", "sasl_plaintext");
        return setting(name, value, 2);
    }
    match variable.strip_prefix("KAFKA_") {
        Some(name) => prefixed(name, value),
        None if variable == "CLUSTER_ID" => setting("cluster.id".into(), value, 0),
        None if in_image => bare(variable, value),
        None => Meaning::Nothing,
    }
}

/// The words of Debezium's and spotify's images.
fn bare(variable: &str, value: &str) -> Meaning {
    match variable {
        "NODE_ID" => setting("node.id".into(), value, 0),
        "BROKER_ID" => setting("broker.id".into(), value, 0),
        "NODE_ROLE" => {
            let roles = if value.eq_ignore_ascii_case("combined") { "broker,controller" } else { value };
            setting("process.roles".into(), roles, 0)
        }
        "ZOOKEEPER_CONNECT" => setting("zookeeper.connect".into(), value, 0),
        "ADVERTISED_HOST_NAME" | "ADVERTISED_HOST" | "ADV_HOST" => host(value),
        "ADVERTISED_PORT" => port(value),
        "CREATE_TOPICS" if !value.is_empty() => Meaning::CreateTopics(value.into()),
        "LOG_LEVEL" => level(value),
        name if name.starts_with("CONFLUENT_") && !value.is_empty() => Meaning::WithoutEffect,
        _ => Meaning::Nothing,
    }
}

fn prefixed(name: &str, value: &str) -> Meaning {
    if is_service_link(name, value) {
        return Meaning::Nothing;
    }
    match name {
        "ADVERTISED_HOST_NAME" | "ADVERTISED_HOST" => host(value),
        "ADVERTISED_PORT" | "PORT" => port(value),
        "KRAFT_CLUSTER_ID" => setting("cluster.id".into(), value, 1),
        "CREATE_TOPICS" if !value.is_empty() => Meaning::CreateTopics(value.into()),
        "LOG4J_ROOT_LOGLEVEL" => level(value),
        _ if is_for_scripts(name) => Meaning::Nothing,
        _ if known(&setting_name(name)).is_none() && is_of_a_plug_in(name) => Meaning::WithoutEffect,
        _ => setting(setting_name(name), value, 1),
    }
}

fn setting(name: String, value: &str, rank: u8) -> Meaning {
    match known(&name) {
        // `KAFKA_X: ${X}` in a compose file whose X nobody set.
        Some(setting) if value.is_empty() && (setting.check("").is_err() || is_unset_when_empty(&name)) => {
            Meaning::Nothing
        }
        Some(_) if matches!(name.as_str(), "node.id" | "broker.id") => {
            Meaning::Setting { value: number_of(value).into(), name, rank }
        }
        None if !super::load::is_of_one_listener(&name) => Meaning::Unknown,
        _ => Meaning::Setting { value: value.into(), name, rank },
    }
}

/// Kafka's own scripts unset an empty `KAFKA_ADVERTISED_LISTENERS`; an empty id or address says nothing either.
fn is_unset_when_empty(name: &str) -> bool {
    matches!(name, "advertised.listeners" | "listeners" | "cluster.id" | "log.dirs" | "controller.quorum.voters")
        || name.starts_with("zookeeper.")
}

/// The number at the end of a pod's name: `kafka-2` is node 2.
fn number_of(value: &str) -> &str {
    match value.rsplit_once('-') {
        Some((name, digits))
            if !name.is_empty() && !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            digits
        }
        _ => value,
    }
}

fn host(value: &str) -> Meaning {
    if value.is_empty() { Meaning::Nothing } else { Meaning::Host(value.into()) }
}

/// Anything but a number was meant for somebody else: two files in use say `kafka`.
fn port(value: &str) -> Meaning {
    if value.parse::<u16>().is_ok() { Meaning::Port(value.into()) } else { Meaning::Nothing }
}

fn level(value: &str) -> Meaning {
    match value.to_ascii_lowercase().as_str() {
        level @ ("trace" | "debug" | "info" | "warn" | "error" | "off") => Meaning::LogLevel(level.into()),
        "fatal" => Meaning::LogLevel("error".into()),
        _ => Meaning::Nothing,
    }
}

/// `A_B` is `a.b`, `A__B` is `a_b`, `A___B` is `a-b`.
fn setting_name(variable: &str) -> String {
    // Longest first, by way of characters that no variable has.
    let marked = variable.to_ascii_lowercase().replace("___", "\u{1}").replace("__", "\u{2}");
    marked.replace('_', ".").replace('\u{1}', "-").replace('\u{2}', "_")
}

/// Kubernetes and old Docker links put `KAFKA_PORT=tcp://10.0.0.1:9092`, `KAFKA_SERVICE_HOST` and `KAFKA_PORT_9092_TCP_ADDR`
/// beside a service called kafka, and `KAFKA_UI_SERVICE_PORT` beside one called kafka-ui.
fn is_service_link(name: &str, value: &str) -> bool {
    let has_numbered_port =
        name.split("PORT_").nth(1).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    value.starts_with("tcp://")
        || value.starts_with("udp://")
        || name.starts_with("SERVICE_")
        || name.contains("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || has_numbered_port
}

/// What Kafka's start scripts, the images around them and their tools keep for themselves.
fn is_for_scripts(name: &str) -> bool {
    const EXACT: &[&str] = &[
        "CREATE_TOPICS",
        "CREATE_TOPICS_SEPARATOR",
        "DEBUG",
        "ENABLE_KRAFT",
        "GC_LOG_OPTS",
        "HEAP_OPTS",
        "HOME",
        "HOST",
        "JVM_PERFORMANCE_OPTS",
        "KRAFT_MODE",
        "MOUNTED_CONF_DIR",
        "OPTS",
        "SKIP_KRAFT_STORAGE_INIT",
        "TOOLS_LOG4J_LOGLEVEL",
        "VERSION",
        "VOLUME_DIR",
    ];
    const PREFIXES: &[&str] = &["CLUSTERS_", "JMX_", "LOG4J_", "OG4J_"];
    let is_command = name.ends_with("_COMMAND");
    EXACT.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || is_command
}

/// Confluent Server's add-ons, Bitnami's words about users and certificates, object stores: nothing here reads them.
fn is_of_a_plug_in(name: &str) -> bool {
    const PREFIXES: &[&str] = &[
        "CERTIFICATE_",
        "CLIENT_",
        "CONFLUENT_",
        "CONTROLLER_",
        "INTER_BROKER_",
        "KAFKA_REST_",
        "REST_",
        "S3_",
        "TLS_",
    ];
    let of_secrets = name.starts_with("SSL_") && (name.ends_with("_FILENAME") || name.ends_with("_CREDENTIALS"));
    PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || of_secrets || name.starts_with("ZOOKEEPER_")
}

/// `KAFKA_X_FILE` names a file that holds what `KAFKA_X` would say, as a secret does. The error names variable and file.
pub fn with_secrets(mut variables: Vec<(String, String)>) -> Result<Vec<(String, String)>, String> {
    let files: Vec<(String, String)> = variables.iter().filter_map(|(name, path)| secret(name, path)).collect();
    for (name, path) in files {
        if variables.iter().any(|(other, value)| *other == name && !value.is_empty()) {
            continue;
        }
        let content = std::fs::read_to_string(&path).map_err(|error| {
            format!("{name}_FILE names {path}, which cannot be read ({error}); correct or remove it")
        })?;
        variables.push((name, content.trim_end_matches(['\n', '\r']).to_string()));
    }
    Ok(variables)
}

/// The variable that a `…_FILE` stands for, where it stands for one of ours.
fn secret(name: &str, path: &str) -> Option<(String, String)> {
    let plain = name.strip_suffix("_FILE").filter(|_| !path.is_empty())?;
    let is_setting_itself = matches!(meaning(name, path, false), Meaning::Setting { .. });
    let is_ours =
        plain.starts_with("KAFKA_") && !matches!(meaning(plain, "x", false), Meaning::Unknown | Meaning::Nothing);
    (is_ours && !is_setting_itself).then(|| (plain.to_string(), path.to_string()))
}

#[cfg(test)]
mod tests;
