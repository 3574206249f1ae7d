//! `kafka-topics`: create, list, describe, alter, delete topics.

use kafka_protocol::messages as m;
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::create_partitions_request::{CreatePartitionsAssignment, CreatePartitionsTopic};
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::flags::{Flag, Flags, Takes, Usage, flag};
use super::topics::{Pattern, Topic, describe, overrides};
use super::{Done, Failure, Output, Tool, java, target};
use crate::client::{Client, Error};
use crate::types::{ErrorCode, base64_id};

pub(super) const TOOL: Tool = Tool {
    name: "kafka-topics",
    aliases: &["kafka.admin.TopicCommand", "org.apache.kafka.tools.TopicCommand"],
    about: "create, list, describe, alter and delete topics",
    usage: || USAGE,
    run,
};

const USAGE: Usage = Usage { about: "This tool helps to create, delete, describe, or change a topic.", flags: FLAGS };

static FLAGS: &[Flag] = &[
    flag(&["alter"], Takes::Nothing, "Change the number of partitions. Settings are changed with kafka-configs."),
    flag(
        &["at-min-isr-partitions"],
        Takes::Nothing,
        "Describe only partitions with as few in-sync replicas as allowed.",
    ),
    target::BOOTSTRAP_SERVER,
    target::BROKER_LIST,
    target::COMMAND_CONFIG,
    flag(
        &["config"],
        Takes::Value("name=value"),
        "A setting of the topic that is created; may be given several times.",
    ),
    flag(&["create"], Takes::Nothing, "Create a topic."),
    flag(&["delete"], Takes::Nothing, "Delete topics."),
    flag(&["delete-config"], Takes::Value("name"), "No longer supported: use kafka-configs."),
    flag(&["describe"], Takes::Nothing, "Tell about topics and their partitions."),
    flag(&["exclude-internal"], Takes::Nothing, "Leave internal topics out of a list or description."),
    flag(&["force"], Takes::Nothing, "Older flag, without effect."),
    flag(&["if-exists"], Takes::Nothing, "Do nothing where the topic does not exist."),
    flag(&["if-not-exists"], Takes::Nothing, "Do not complain where the topic exists."),
    flag(&["list"], Takes::Nothing, "List the topics."),
    flag(&["partition-size-limit-per-response"], Takes::Value("count"), "How many partitions one answer may describe."),
    flag(&["partitions"], Takes::Value("count"), "The number of partitions; the broker's default if not given."),
    flag(&["replica-assignment"], Takes::Value("1:2,2:3"), "The brokers of each partition, replicas with ':' between."),
    flag(&["replication-factor"], Takes::Value("count"), "The number of replicas; the broker's default if not given."),
    flag(&["topic"], Takes::Value("name"), "The topic; a regular expression except with --create."),
    flag(&["topic-id"], Takes::Value("id"), "Describe the topic with this id."),
    flag(&["topics-with-overrides"], Takes::Nothing, "Describe only topics that have settings of their own."),
    flag(&["unavailable-partitions"], Takes::Nothing, "Describe only partitions without a leader."),
    flag(&["under-min-isr-partitions"], Takes::Nothing, "Describe only partitions with too few in-sync replicas."),
    flag(&["under-replicated-partitions"], Takes::Nothing, "Describe only partitions that lack a replica."),
    target::ZOOKEEPER,
];

const ACTIONS: &[&str] = &["list", "describe", "create", "alter", "delete"];
const FILTERS: &[&str] = &[
    "under-replicated-partitions",
    "unavailable-partitions",
    "under-min-isr-partitions",
    "at-min-isr-partitions",
    "topics-with-overrides",
];

fn run(arguments: &[String], out: &mut Output) -> Done {
    let flags = USAGE.parse(arguments).map_err(bare)?;
    check(&flags)?;
    match act(&flags, out) {
        Err(Failure::Error(sentence)) => {
            out.line(format!("Error while executing topic command : {sentence}"));
            Err(Failure::Exit(1))
        }
        other => other,
    }
}

/// Kafka's tool says no more than the sentence when a flag cannot be read.
fn bare(failure: Failure) -> Failure {
    match failure {
        Failure::Usage(sentence) => Failure::Error(sentence),
        other => other,
    }
}

fn check(flags: &Flags) -> Done {
    if flags.count(ACTIONS) != 1 {
        let sentence = "Command must include exactly one action: --list, --describe, --create, --alter or --delete";
        return Err(Failure::Usage(sentence.to_owned()));
    }
    if flags.count(&["bootstrap-server", "broker-list", "zookeeper"]) == 0 {
        return Err(Failure::Error("--bootstrap-server must be specified".to_owned()));
    }
    let needs_topic = flags.has("create") || flags.has("alter") || flags.has("delete");
    if needs_topic && !flags.has("topic") {
        flags.need("topic")?;
    }
    if flags.has("alter") {
        if flags.has("config") {
            let sentence = "Option combination \"[[bootstrap-server], [config]]\" can't be used with option \"[alter]\" (To alter topic configurations, the kafka-configs tool can be used.)";
            return Err(Failure::Usage(sentence.to_owned()));
        }
        flags.need("partitions")?;
    }
    for action in ["list", "describe", "delete"] {
        flags.refuse_with(action, &["partitions", "replication-factor", "replica-assignment", "config"])?;
    }
    flags.refuse_with("replica-assignment", &["replication-factor"])?;
    for filter in FILTERS {
        if flags.has(filter) && !flags.has("describe") {
            return Err(Failure::Usage(format!("Option \"[{filter}]\" can only be used with option \"[describe]\"")));
        }
    }
    Ok(())
}

fn act(flags: &Flags, out: &mut Output) -> Done {
    let mut client = target::connect(flags, "milena-topics")?;
    if flags.has("create") {
        create(&mut client, flags, out)
    } else if flags.has("list") {
        list(&mut client, flags, out)
    } else if flags.has("describe") {
        describe_all(&mut client, flags, out)
    } else if flags.has("alter") {
        alter(&mut client, flags)
    } else {
        delete(&mut client, flags)
    }
}

fn create(client: &mut Client, flags: &Flags, out: &mut Output) -> Done {
    let name = flags.need("topic")?.trim();
    let topic = new_topic(flags, name)?;
    if name.contains(['.', '_']) {
        out.line(
            "WARNING: Due to limitations in metric names, topics with a period ('.') or underscore ('_') could collide. To avoid issues it is best to use either, but not both.",
        );
    }
    let request = m::CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(60_000);
    let answer = client.ask_controller(&request, 7)?;
    let created =
        answer.topics.first().ok_or_else(|| Failure::Error("the broker did not answer for the topic".to_owned()))?;
    match Error::check(created.error_code, created.error_message.as_deref()) {
        Err(error) if error.code() == Some(ErrorCode::TopicAlreadyExists) && flags.has("if-not-exists") => Ok(()),
        Err(error) => Err(error.into()),
        Ok(()) => {
            out.line(format!("Created topic {name}."));
            Ok(())
        }
    }
}

fn new_topic(flags: &Flags, name: &str) -> Result<CreatableTopic, Failure> {
    let partitions: Option<i32> = flags.number("partitions")?;
    let replicas: Option<i16> = flags.number("replication-factor")?;
    for (count, what) in [(partitions, "partitions"), (replicas.map(i32::from), "replication factor")] {
        if count.is_some_and(|count| count < 1) {
            return Err(Failure::Error(format!("The {what} must be greater than 0")));
        }
    }
    let assignments = assignments(flags.value("replica-assignment"))?;
    let is_assigned = !assignments.is_empty();
    let assignment = |(index, brokers): (usize, Vec<i32>)| {
        CreatableReplicaAssignment::default()
            .with_partition_index(i32::try_from(index).unwrap_or(i32::MAX))
            .with_broker_ids(brokers.into_iter().map(m::BrokerId).collect())
    };
    Ok(CreatableTopic::default()
        .with_name(TopicName(StrBytes::from_string(name.to_owned())))
        .with_num_partitions(if is_assigned { -1 } else { partitions.unwrap_or(-1) })
        .with_replication_factor(if is_assigned { -1 } else { replicas.unwrap_or(-1) })
        .with_assignments(assignments.into_iter().enumerate().map(assignment).collect())
        .with_configs(configs(flags)?))
}

fn configs(flags: &Flags) -> Result<Vec<CreatableTopicConfig>, Failure> {
    let config = |pair: &str| {
        let (name, value) = pair.split_once('=').ok_or_else(|| {
            let sentence =
                "requirement failed: Invalid topic config: all configs to be added must be in the format \"key=val\".";
            Failure::Error(sentence.to_owned())
        })?;
        Ok(CreatableTopicConfig::default()
            .with_name(StrBytes::from_string(name.trim().to_owned()))
            .with_value(Some(StrBytes::from_string(value.trim().to_owned()))))
    };
    flags.values("config").map(config).collect()
}

/// `1:2,2:3`: partition 0 on brokers 1 and 2, partition 1 on 2 and 3.
fn assignments(text: Option<&str>) -> Result<Vec<Vec<i32>>, Failure> {
    let Some(text) = text else { return Ok(Vec::new()) };
    let number = |id: &str| id.trim().parse().map_err(|_| Failure::Error(format!("For input string: \"{id}\"")));
    let parsed: Vec<Vec<i32>> =
        text.split(',').map(|partition| partition.split(':').map(number).collect()).collect::<Result<_, _>>()?;
    if parsed.iter().any(|brokers| brokers.len() != parsed[0].len()) {
        return Err(Failure::Error("Partition replica lists have different sizes".to_owned()));
    }
    Ok(parsed)
}

fn list(client: &mut Client, flags: &Flags, out: &mut Output) -> Done {
    for topic in matching(client, flags)? {
        out.line(topic.name);
    }
    Ok(())
}

/// The topics that `--topic` and `--exclude-internal` leave, by name.
fn matching(client: &mut Client, flags: &Flags) -> Result<Vec<Topic>, Failure> {
    let pattern = flags.value("topic").map(Pattern::new).transpose().map_err(Failure::Error)?;
    let mut topics = Topic::all(client)?;
    topics.retain(|topic| pattern.as_ref().is_none_or(|pattern| pattern.matches(&topic.name)));
    topics.retain(|topic| !(flags.has("exclude-internal") && topic.is_internal));
    Ok(topics)
}

/// The same, and a complaint if there is none that was asked for by name.
fn required(client: &mut Client, flags: &Flags) -> Result<Vec<Topic>, Failure> {
    let topics = matching(client, flags)?;
    if let (true, false, Some(name)) = (topics.is_empty(), flags.has("if-exists"), flags.value("topic")) {
        return Err(Failure::Error(format!("Topic '{name}' does not exist as expected")));
    }
    Ok(topics)
}

fn describe_all(client: &mut Client, flags: &Flags, out: &mut Output) -> Done {
    let topics = match flags.value("topic-id") {
        Some(id) => by_id(client, id, flags.has("if-exists"))?,
        None => required(client, flags)?,
    };
    if topics.is_empty() {
        return Ok(());
    }
    let topics = java::sized_hash_order(describe(client, topics)?, |topic| &topic.name);
    let names: Vec<String> = topics.iter().map(|topic| topic.name.clone()).collect();
    let configs = overrides(client, &names)?;
    for topic in &topics {
        print(topic, configs.get(&topic.name).map(Vec::as_slice).unwrap_or_default(), flags, out);
    }
    Ok(())
}

fn by_id(client: &mut Client, id: &str, if_exists: bool) -> Result<Vec<Topic>, Failure> {
    let topics: Vec<Topic> = Topic::all(client)?.into_iter().filter(|topic| base64_id(topic.id) == id).collect();
    if topics.is_empty() && !if_exists {
        return Err(Failure::Error(format!("TopicId '{id}' does not exist as expected")));
    }
    Ok(topics)
}

fn print(topic: &Topic, configs: &[(String, String)], flags: &Flags, out: &mut Output) {
    let is_filtered = flags.count(&FILTERS[..4]) > 0;
    if flags.has("topics-with-overrides") && configs.is_empty() {
        return;
    }
    if !is_filtered {
        out.line(topic.summary(configs));
    }
    if flags.has("topics-with-overrides") {
        return;
    }
    let min_isr: usize = configs
        .iter()
        .find(|(name, _)| name == "min.insync.replicas")
        .and_then(|(_, value)| value.parse().ok())
        .unwrap_or(1);
    for partition in &topic.partitions {
        let (isr, replicas) = (partition.isr.len(), partition.replicas.len());
        let is_wanted = !is_filtered
            || flags.has("under-replicated-partitions") && isr < replicas
            || flags.has("unavailable-partitions") && partition.leader < 0
            || flags.has("under-min-isr-partitions") && isr < min_isr
            || flags.has("at-min-isr-partitions") && isr == min_isr;
        if is_wanted {
            out.line(partition.line(&topic.name));
        }
    }
}

fn alter(client: &mut Client, flags: &Flags) -> Done {
    let topics = required(client, flags)?;
    let count: i32 = flags.number("partitions")?.unwrap_or(-1);
    let assigned = assignments(flags.value("replica-assignment"))?;
    for topic in &topics {
        // The list names every partition, and those that are there keep what they have.
        let new = assigned.iter().skip(topic.partitions.len()).map(|brokers| {
            CreatePartitionsAssignment::default().with_broker_ids(brokers.iter().map(|id| m::BrokerId(*id)).collect())
        });
        let change = CreatePartitionsTopic::default()
            .with_name(TopicName(StrBytes::from_string(topic.name.clone())))
            .with_count(count)
            .with_assignments((!assigned.is_empty()).then(|| new.collect()));
        let request = m::CreatePartitionsRequest::default().with_topics(vec![change]).with_timeout_ms(60_000);
        let answer = client.ask_controller(&request, 3)?;
        for result in &answer.results {
            Error::check(result.error_code, result.error_message.as_deref())?;
        }
    }
    Ok(())
}

fn delete(client: &mut Client, flags: &Flags) -> Done {
    for topic in required(client, flags)? {
        let name = TopicName(StrBytes::from_string(topic.name.clone()));
        let deadline = client.deadline();
        let version = client.any(&deadline)?.version::<m::DeleteTopicsRequest>(6)?;
        let request = m::DeleteTopicsRequest::default().with_timeout_ms(60_000);
        let request = if version < 6 {
            request.with_topic_names(vec![name])
        } else {
            request.with_topics(vec![DeleteTopicState::default().with_name(Some(name)).with_topic_id(Uuid::nil())])
        };
        let answer = client.ask_controller(&request, version)?;
        for result in &answer.responses {
            Error::check(result.error_code, result.error_message.as_deref())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_gives_every_partition_as_many_replicas() {
        assert_eq!(assignments(Some("1:2,2:3")).ok().unwrap(), [[1, 2], [2, 3]]);
        assert!(assignments(Some("1:2,2")).is_err());
        assert!(assignments(Some("1:x")).is_err());
        assert!(assignments(None).ok().unwrap().is_empty());
    }
}
