//! `kafka-consumer-groups`: list, describe, delete groups, and move or delete their offsets.

use super::flags::{Flag, Flags, Takes, Usage, flag};
use super::{Done, Failure, Output, Tool, group_tables, offset_resets, target};
use crate::client::{Client, Error, Group};
use kafka_protocol::messages as m;
use kafka_protocol::messages::offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use kafka_protocol::messages::{GroupId, TopicName};
use kafka_protocol::protocol::StrBytes;

pub(super) const TOOL: Tool = Tool {
    name: "kafka-consumer-groups",
    aliases: &["kafka.admin.ConsumerGroupCommand", "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"],
    about: "list and describe consumer groups, move their offsets",
    usage: || USAGE,
    run,
};

const USAGE: Usage = Usage {
    about: "This tool helps to list all consumer groups, describe a consumer group, delete consumer group info, or reset consumer group offsets.",
    flags: FLAGS,
};

static FLAGS: &[Flag] = &[
    flag(&["all-groups"], Takes::Nothing, "All groups."),
    flag(&["all-topics"], Takes::Nothing, "All topics that the group has committed for."),
    target::BOOTSTRAP_SERVER,
    flag(&["by-duration"], Takes::Value("PnDTnHnMnS"), "Move to the offsets of so long ago."),
    target::COMMAND_CONFIG,
    flag(&["delete"], Takes::Nothing, "Delete groups."),
    flag(&["delete-offsets"], Takes::Nothing, "Delete what a group has committed for topics."),
    flag(&["describe"], Takes::Nothing, "Tell about groups."),
    flag(&["dry-run"], Takes::Nothing, "Only show what would be moved (the default)."),
    flag(&["execute"], Takes::Nothing, "Move the offsets."),
    flag(&["export"], Takes::Nothing, "Print the offsets as CSV."),
    flag(&["from-file"], Takes::Value("file"), "Move to the offsets of a CSV file."),
    flag(&["group"], Takes::Value("id"), "A group; may be given several times."),
    flag(&["list"], Takes::Nothing, "List the groups."),
    flag(&["members"], Takes::Nothing, "Describe the members."),
    flag(&["new-consumer"], Takes::Nothing, "Older flag, without effect."),
    flag(&["offsets"], Takes::Nothing, "Describe offsets and lag (the default)."),
    flag(&["reset-offsets"], Takes::Nothing, "Move a group's offsets; the group must be without members."),
    flag(&["shift-by"], Takes::Value("count"), "Move by so many records, back if negative."),
    flag(&["state"], Takes::Maybe("state,..."), "Describe the state; with --list, show it and filter by it."),
    flag(&["timeout"], Takes::Value("ms"), "How long to wait for answers."),
    flag(&["to-current"], Takes::Nothing, "Move to the committed offset."),
    flag(&["to-datetime"], Takes::Value("YYYY-MM-DDTHH:mm:SS.sss"), "Move to the offsets of a point in time."),
    flag(&["to-earliest"], Takes::Nothing, "Move to the beginning."),
    flag(&["to-latest"], Takes::Nothing, "Move to the end."),
    flag(&["to-offset"], Takes::Value("offset"), "Move to this offset."),
    flag(&["topic"], Takes::Value("topic[:0,1]"), "A topic, or some of its partitions."),
    flag(&["type"], Takes::Maybe("type,..."), "With --list, show the type and filter by it."),
    flag(&["verbose"], Takes::Nothing, "Describe more."),
    target::ZOOKEEPER,
];

const ACTIONS: &[&str] = &["list", "describe", "delete", "reset-offsets", "delete-offsets"];

fn run(arguments: &[String], out: &mut Output) -> Done {
    let flags = USAGE.parse(arguments)?;
    check(&flags)?;
    let mut client = target::connect_with(&flags, "milena-consumer-groups", |settings| {
        if let Some(ms) = flags.number("timeout")? {
            settings.api_timeout_ms = ms;
        }
        Ok(())
    })?;
    match act(&mut client, &flags, out) {
        Err(Failure::Error(sentence)) => {
            // Kafka's tool says it and ends well all the same.
            out.line(format!("\nError: {sentence}"));
            Ok(())
        }
        other => other,
    }
}

fn check(flags: &Flags) -> Done {
    if flags.count(ACTIONS) != 1 {
        let sentence = "Command must include exactly one action: --list, --describe, --delete, --reset-offsets, --delete-offsets, --validate-regex";
        return Err(Failure::Usage(sentence.to_owned()));
    }
    for action in ["describe", "delete", "reset-offsets"] {
        if flags.has(action) && flags.count(&["group", "all-groups"]) == 0 {
            let sentence = format!("Option [{action}] takes one of these options: [all-groups], [group]");
            return Err(Failure::Usage(sentence));
        }
    }
    if flags.has("delete-offsets") && flags.count(&["group", "topic"]) < 2 {
        return Err(Failure::Usage("Option [delete-offsets] takes the following options: [group], [topic]".to_owned()));
    }
    if flags.has("list") && flags.has("verbose") {
        return Err(Failure::Error(
            "joptsimple.UnavailableOptionException: Option(s) [verbose] are unavailable given other options on the command line".to_owned(),
        ));
    }
    offset_resets::check(flags)
}

fn act(client: &mut Client, flags: &Flags, out: &mut Output) -> Done {
    if flags.has("list") {
        list(client, flags, out)
    } else if flags.has("describe") {
        describe(client, flags, out)
    } else if flags.has("delete") {
        delete(client, flags, out)
    } else if flags.has("delete-offsets") {
        delete_offsets(client, flags, out)
    } else {
        offset_resets::run(client, flags, out)
    }
}

/// The groups that `--group` names, or all there are.
pub(super) fn groups(client: &mut Client, flags: &Flags) -> Result<Vec<String>, Failure> {
    if !flags.has("all-groups") {
        return Ok(flags.values("group").map(str::to_owned).collect());
    }
    let mut ids: Vec<String> = listed(client)?.into_iter().map(|(id, ..)| id).collect();
    ids.sort();
    Ok(ids)
}

/// Id, type and state of every group that consumers are in.
fn listed(client: &mut Client) -> Result<Vec<(String, String, String)>, Failure> {
    let groups = client.list_groups()?;
    let consumers = groups.into_iter().filter(|group| {
        let is_ours =
            group.group_type.is_empty() || ["classic", "consumer"].contains(&&*group.group_type.to_lowercase());
        is_ours && (group.protocol_type.is_empty() || &*group.protocol_type == "consumer")
    });
    Ok(consumers
        .map(|group| (group.group_id.0.to_string(), capital(&group.group_type), group.group_state.to_string()))
        .collect())
}

fn capital(word: &str) -> String {
    if word.is_empty() {
        return "Classic".to_owned();
    }
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn list(client: &mut Client, flags: &Flags, out: &mut Output) -> Done {
    let wanted = |flag: &str, found: &str| {
        flags.value(flag).is_none_or(|list| list.split(',').any(|one| one.trim().eq_ignore_ascii_case(found)))
    };
    let mut groups = listed(client)?;
    groups.sort();
    groups.retain(|(_, kind, state)| wanted("type", kind) && wanted("state", state));
    if flags.count(&["state", "type"]) == 0 {
        groups.into_iter().for_each(|(id, ..)| out.line(id));
        return Ok(());
    }
    let width = groups.iter().map(|(id, ..)| id.len()).max().unwrap_or(0).max(15) + 10;
    let header = ("GROUP".to_owned(), "TYPE".to_owned(), "STATE".to_owned());
    for (id, kind, state) in std::iter::once(header).chain(groups) {
        let mut line = format!("{id:width$}");
        if flags.has("type") {
            line += &format!(" {kind:20}");
        }
        if flags.has("state") {
            line += &format!(" {state:20}");
        }
        out.line(line);
    }
    Ok(())
}

fn describe(client: &mut Client, flags: &Flags, out: &mut Output) -> Done {
    for id in groups(client, flags)? {
        let group = client.describe_group(&id).map_err(|error| {
            Failure::Error(format!("Executing consumer group command failed due to {}: {error}", error.java_class()))
        })?;
        out.flush();
        say_state(&group);
        let verbose = flags.has("verbose");
        let lines = if flags.has("members") {
            group_tables::members(&group, verbose)
        } else if flags.has("state") {
            group_tables::state(&group, verbose)
        } else {
            group_tables::offsets(client, &group, verbose)?
        };
        lines.into_iter().for_each(|line| out.line(line));
    }
    Ok(())
}

fn say_state(group: &Group) {
    match group.state.as_str() {
        "Empty" => eprintln!("\nConsumer group '{}' has no active members.", group.id),
        "PreparingRebalance" | "CompletingRebalance" | "Assigning" | "Reconciling" => {
            eprintln!("\nWarning: Consumer group '{}' is rebalancing.", group.id);
        }
        _ => {}
    }
}

fn delete(client: &mut Client, flags: &Flags, out: &mut Output) -> Done {
    let mut deleted = Vec::new();
    let mut refused = Vec::new();
    for id in groups(client, flags)? {
        match delete_one(client, &id) {
            Ok(()) => deleted.push(format!("'{id}'")),
            Err(error) => {
                let class = error.java_class();
                refused.push(format!("* Group '{id}' could not be deleted due to: {class}: {error}"));
            }
        }
    }
    let deleted = deleted.join(", ");
    if refused.is_empty() {
        out.line(format!("Deletion of requested consumer groups ({deleted}) was successful."));
        return Ok(());
    }
    out.line("\nError: Deletion of some consumer groups failed:");
    refused.into_iter().for_each(|line| out.line(line));
    if !deleted.is_empty() {
        out.line(format!("\nThese consumer groups were deleted successfully: {deleted}"));
    }
    Ok(())
}

fn delete_one(client: &mut Client, id: &str) -> Result<(), Error> {
    let coordinator = client.coordinator(id, 0)?;
    let request =
        m::DeleteGroupsRequest::default().with_groups_names(vec![GroupId(StrBytes::from_string(id.to_owned()))]);
    let answer = client.ask(coordinator, &request, 2)?;
    answer.results.iter().try_for_each(|result| Error::check(result.error_code, None))
}

fn delete_offsets(client: &mut Client, flags: &Flags, out: &mut Output) -> Done {
    let group = flags.need("group")?;
    let partitions = offset_resets::named_partitions(client, flags)?;
    let topic = |(name, partitions): (&String, &Vec<i32>)| {
        let one = |index: &i32| OffsetDeleteRequestPartition::default().with_partition_index(*index);
        OffsetDeleteRequestTopic::default()
            .with_name(TopicName(StrBytes::from_string(name.clone())))
            .with_partitions(partitions.iter().map(one).collect())
    };
    let request = m::OffsetDeleteRequest::default()
        .with_group_id(GroupId(StrBytes::from_string(group.to_owned())))
        .with_topics(partitions.iter().map(topic).collect());
    let coordinator = client.coordinator(group, 0)?;
    let answer = client.ask(coordinator, &request, 0)?;
    let whole = Error::check(answer.error_code, None);
    match &whole {
        Ok(()) => out.line(format!("Request succeeded for deleting offsets from group {group}.")),
        Err(error) => out.line(format!("\nError: {error}")),
    }
    out.line(format!("\n{:15} {:10} {:15}", "TOPIC", "PARTITION", "STATUS"));
    for (topic, indexes) in &partitions {
        for index in indexes {
            let found = answer.topics.iter().filter(|found| &*found.name.0 == topic.as_str());
            let code = found.flat_map(|found| &found.partitions).find(|found| found.partition_index == *index);
            let outcome = Error::check(answer.error_code, None)
                .and_then(|()| Error::check(code.map_or(0, |found| found.error_code), None));
            let status = match outcome {
                Ok(()) => "Successful".to_owned(),
                Err(error) => format!("Error: {}: {error}", error.java_class()),
            };
            out.line(format!("{topic:15} {index:<10} {status:15}"));
        }
    }
    Ok(())
}
