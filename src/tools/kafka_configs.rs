//! `kafka-configs`: shows and changes the settings of topics, brokers, groups and the like, and quotas of users, clients
//! and addresses.

use kafka_protocol::messages as m;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::DescribeConfigsResourceResult;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::protocol::StrBytes;

use super::config_entities::{Changes, Entity, Kind, changes, entities};
use super::flags::{Flag, Takes, Usage, flag};
use super::topics::Topic;
use super::{Done, Failure, Output, Tool, java, quotas, target};
use crate::client::{Client, Error};

pub(super) const TOOL: Tool = Tool {
    name: "kafka-configs",
    aliases: &["kafka.admin.ConfigCommand"],
    about: "show and change settings and quotas",
    usage: || USAGE,
    run,
};

const USAGE: Usage = Usage {
    about: "This tool helps to manipulate and describe entity config for a topic, client, user, broker, ip, client-metrics or group",
    flags: FLAGS,
};

static FLAGS: &[Flag] = &[
    flag(&["add-config"], Takes::Value("k=v,k=[a,b]"), "Settings to set."),
    flag(&["add-config-file"], Takes::Value("file"), "A property file with settings to set."),
    flag(&["all"], Takes::Nothing, "Describe the settings at their default too."),
    flag(&["alter"], Takes::Nothing, "Change settings."),
    flag(&["bootstrap-controller"], Takes::Value("host:port"), "A controller to begin with."),
    target::BOOTSTRAP_SERVER,
    flag(&["broker"], Takes::Value("id"), "The settings of a broker."),
    flag(&["broker-defaults"], Takes::Nothing, "The settings of all brokers."),
    flag(&["broker-logger"], Takes::Value("id"), "The loggers of a broker."),
    flag(&["client"], Takes::Value("id"), "The quotas of a client id."),
    flag(&["client-defaults"], Takes::Nothing, "The quotas of clients that have none of their own."),
    flag(&["client-metrics"], Takes::Value("name"), "A subscription of client metrics."),
    flag(&["cluster-link"], Takes::Value("name"), "Confluent's; not there."),
    target::COMMAND_CONFIG,
    flag(&["delete-config"], Takes::Value("k,k"), "Settings to set back."),
    flag(&["describe"], Takes::Nothing, "Show settings."),
    flag(&["entity-default"], Takes::Nothing, "The default of the entity type before it."),
    flag(&["entity-name"], Takes::Value("name"), "The name of the entity."),
    flag(
        &["entity-type"],
        Takes::Value("type"),
        "topics, clients, users, brokers, ips, client-metrics, groups or broker-loggers.",
    ),
    flag(&["force"], Takes::Nothing, "Taken without effect."),
    flag(&["group"], Takes::Value("id"), "The settings of a group."),
    flag(&["ip"], Takes::Value("address"), "The quotas of an address."),
    flag(&["ip-defaults"], Takes::Nothing, "The quotas of addresses that have none of their own."),
    flag(&["topic"], Takes::Value("name"), "The settings of a topic."),
    flag(&["user"], Takes::Value("name"), "The quotas and credentials of a user."),
    flag(&["user-defaults"], Takes::Nothing, "The quotas of users that have none of their own."),
    target::ZOOKEEPER,
];

fn run(arguments: &[String], out: &mut Output) -> Done {
    let flags = USAGE.parse(arguments)?;
    if flags.count(&["alter", "describe"]) != 1 {
        return Err(Failure::Usage("Command must include exactly one action: --describe, --alter".to_owned()));
    }
    if flags.count(&["bootstrap-server", "bootstrap-controller", "zookeeper"]) == 0 {
        return Err(Failure::Error(
            "Either --bootstrap-server or --bootstrap-controller must be specified.".to_owned(),
        ));
    }
    let entities = entities(&flags)?;
    let changes = flags.has("alter").then(|| changes(&flags, &entities)).transpose()?;
    let mut client = target::connect(&flags, "milena-configs")?;
    let done = match &changes {
        Some(changes) => alter(&mut client, &entities, changes, out),
        None => describe(&mut client, &entities, flags.has("all"), out),
    };
    done.map_err(|failure| match failure {
        Failed::Asking(error) => Failure::Error(format!(
            "Error while executing config command with args '{}'\njava.util.concurrent.ExecutionException: {}: {error}",
            arguments.join(" "),
            error.java_class()
        )),
        Failed::Other(failure) => failure,
    })
}

/// What Kafka's tool wraps in a longer sentence, and what not.
pub enum Failed {
    Asking(Error),
    Other(Failure),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Failed::Asking(error)
    }
}

fn alter(client: &mut Client, entities: &[Entity], changes: &Changes, out: &mut Output) -> Result<(), Failed> {
    let entity = &entities[0];
    if entity.kind.has_quotas() {
        quotas::alter(client, entities, changes)?;
    } else {
        alter_configs(client, entity, changes)?;
    }
    out.line(match &entity.name {
        Some(name) => format!("Completed updating config for {} {name}.", entity.kind.singular()),
        None => format!("Completed updating default config for {} in the cluster.", entity.kind.plural()),
    });
    Ok(())
}

fn alter_configs(client: &mut Client, entity: &Entity, changes: &Changes) -> Result<(), Failed> {
    let config = |name: &str, operation: i8, value: Option<&String>| {
        AlterableConfig::default()
            .with_name(text(name))
            .with_config_operation(operation)
            .with_value(value.map(|value| text(value)))
    };
    let set = changes.set.iter().map(|(name, value)| config(name, 0, Some(value)));
    let unset = changes.unset.iter().map(|name| config(name, 1, None));
    let resource = AlterConfigsResource::default()
        .with_resource_type(entity.kind.resource_type())
        .with_resource_name(text(entity.name.as_deref().unwrap_or_default()))
        .with_configs(set.chain(unset).collect());
    let request = m::IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    let answer = match broker_of(client, entity) {
        Some(id) => client.ask(id, &request, 1)?,
        None => client.ask_any(&request)?,
    };
    for response in &answer.responses {
        Error::check(response.error_code, response.error_message.as_deref())?;
    }
    Ok(())
}

/// Settings of one broker are asked of that broker.
fn broker_of(client: &Client, entity: &Entity) -> Option<i32> {
    let is_broker = matches!(entity.kind, Kind::Brokers | Kind::BrokerLoggers);
    let id = entity.name.as_deref().filter(|_| is_broker)?.parse().ok()?;
    client.broker(id).map(|broker| broker.id)
}

fn describe(client: &mut Client, entities: &[Entity], all: bool, out: &mut Output) -> Result<(), Failed> {
    let entity = &entities[0];
    if entity.kind.has_quotas() {
        return Ok(quotas::describe(client, entities, out)?);
    }
    for entity in named(client, entity)? {
        if !exists(client, &entity)? {
            let (kind, name) = (entity.kind.singular(), entity.name.unwrap_or_default());
            out.line(format!("The {kind} '{name}' doesn't exist and doesn't have dynamic config."));
            continue;
        }
        let scope = if all { "All" } else { "Dynamic" };
        out.line(match &entity.name {
            Some(name) => format!("{scope} configs for {} {name} are:", entity.kind.singular()),
            None => format!("Default configs for {} in the cluster are:", entity.kind.plural()),
        });
        let mut entries = entries(client, &entity)?;
        entries.retain(|entry| all || entity.is_own(entry.config_source));
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        entries.iter().for_each(|entry| out.line(line(entry)));
    }
    Ok(())
}

/// The entity itself, or all of its type where none is named.
fn named(client: &mut Client, entity: &Entity) -> Result<Vec<Entity>, Failed> {
    if entity.name.is_some() || entity.is_default {
        return Ok(vec![entity.clone()]);
    }
    let one = |name: String| Entity { kind: entity.kind, name: Some(name), is_default: false };
    Ok(match entity.kind {
        Kind::Topics => {
            let topics = java::hash_order(Topic::all(client)?, |topic| &topic.name);
            topics.into_iter().map(|topic| one(topic.name)).collect()
        }
        Kind::Brokers | Kind::BrokerLoggers => {
            let ids = client.brokers().map(|broker| one(broker.id.to_string()));
            let default = Entity { kind: entity.kind, name: None, is_default: true };
            ids.chain((entity.kind == Kind::Brokers).then_some(default)).collect()
        }
        _ => {
            let request =
                m::ListConfigResourcesRequest::default().with_resource_types(vec![entity.kind.resource_type()]);
            let answer = client.ask_any(&request)?;
            Error::check(answer.error_code, None)?;
            answer.config_resources.into_iter().map(|found| one(found.resource_name.to_string())).collect()
        }
    })
}

fn exists(client: &mut Client, entity: &Entity) -> Result<bool, Failed> {
    let Some(name) = &entity.name else { return Ok(true) };
    Ok(match entity.kind {
        Kind::Topics => !client.partitions(Some(std::slice::from_ref(name)))?.is_empty(),
        Kind::Brokers | Kind::BrokerLoggers => broker_of(client, entity).is_some(),
        _ => true,
    })
}

fn entries(client: &mut Client, entity: &Entity) -> Result<Vec<DescribeConfigsResourceResult>, Failed> {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(entity.kind.resource_type())
        .with_resource_name(text(entity.name.as_deref().unwrap_or_default()))
        .with_configuration_keys(None);
    let request = m::DescribeConfigsRequest::default().with_resources(vec![resource]).with_include_synonyms(true);
    let answer = match broker_of(client, entity) {
        Some(id) => client.ask(id, &request, 4)?,
        None => client.ask_any(&request)?,
    };
    let Some(result) = answer.results.into_iter().next() else { return Ok(Vec::new()) };
    Error::check(result.error_code, result.error_message.as_deref())?;
    Ok(result.configs)
}

fn line(entry: &DescribeConfigsResourceResult) -> String {
    let shown = |value: &Option<StrBytes>| value.as_deref().unwrap_or("null").to_owned();
    let synonym = |found: &m::describe_configs_response::DescribeConfigsSynonym| {
        format!("{}:{}={}", source(found.source), &*found.name, shown(&found.value))
    };
    let synonyms: Vec<String> = entry.synonyms.iter().map(synonym).collect();
    format!(
        "  {}={} sensitive={} synonyms={{{}}}",
        &*entry.name,
        shown(&entry.value),
        entry.is_sensitive,
        synonyms.join(", ")
    )
}

fn source(id: i8) -> &'static str {
    match id {
        1 => "DYNAMIC_TOPIC_CONFIG",
        2 => "DYNAMIC_BROKER_CONFIG",
        3 => "DYNAMIC_DEFAULT_BROKER_CONFIG",
        4 => "STATIC_BROKER_CONFIG",
        5 => "DEFAULT_CONFIG",
        6 => "DYNAMIC_BROKER_LOGGER_CONFIG",
        7 => "DYNAMIC_CLIENT_METRICS_CONFIG",
        8 => "DYNAMIC_GROUP_CONFIG",
        _ => "UNKNOWN",
    }
}

fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_owned())
}
