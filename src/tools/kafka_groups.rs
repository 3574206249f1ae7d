//! `kafka-groups`: lists groups of every type.

use super::flags::{Flag, Takes, Usage, flag};
use super::{Done, Failure, Output, Tool, target};

pub(super) const TOOL: Tool = Tool {
    name: "kafka-groups",
    aliases: &["org.apache.kafka.tools.GroupsCommand"],
    about: "list groups of every type",
    usage: || USAGE,
    run,
};

const USAGE: Usage = Usage { about: "This tool helps to list groups of all types.", flags: FLAGS };

static FLAGS: &[Flag] = &[
    target::BOOTSTRAP_SERVER,
    target::COMMAND_CONFIG,
    flag(&["consumer"], Takes::Nothing, "Only consumer groups, of both protocols."),
    flag(&["group-type"], Takes::Value("type"), "Only groups of this type: classic, consumer, share, streams."),
    flag(&["list"], Takes::Nothing, "REQUIRED: list the groups."),
    flag(&["protocol"], Takes::Value("protocol"), "Only groups of this protocol."),
    flag(&["share"], Takes::Nothing, "Only share groups."),
    flag(&["streams"], Takes::Nothing, "Only streams groups."),
];

fn run(arguments: &[String], out: &mut Output) -> Done {
    let flags = USAGE.parse(arguments)?;
    if !flags.has("list") {
        return Err(Failure::Usage("Command must include exactly one action: --list.".to_owned()));
    }
    if flags.count(&["consumer", "share", "streams"]) > 1 {
        let sentence = "Cannot use more than one of --consumer, --share and --streams";
        return Err(Failure::Usage(sentence.to_owned()));
    }
    let mut client = target::connect(&flags, "milena-groups")?;
    let mut rows = Vec::new();
    for group in client.list_groups()? {
        let kind = if group.group_type.is_empty() { "classic".to_owned() } else { group.group_type.to_lowercase() };
        let protocol = group.protocol_type.to_string();
        let is_wanted = flags.value("group-type").is_none_or(|wanted| wanted.eq_ignore_ascii_case(&kind))
            && flags.value("protocol").is_none_or(|wanted| wanted == protocol)
            && (!flags.has("consumer")
                || kind == "consumer"
                || kind == "classic" && ["", "consumer"].contains(&protocol.as_str()))
            && (!flags.has("share") || kind == "share")
            && (!flags.has("streams") || kind == "streams");
        if is_wanted {
            rows.push((group.group_id.0.to_string(), capital(&kind), protocol));
        }
    }
    rows.sort();
    let width = rows.iter().map(|(id, ..)| id.len()).max().unwrap_or(0).max(20);
    out.line(format!("{:width$} {:20} {:20}", "GROUP", "TYPE", "PROTOCOL"));
    for (id, kind, protocol) in rows {
        // One blank more than the header has, as in Kafka's tool.
        out.line(format!("{id:width$} {kind:20} {protocol:20} "));
    }
    Ok(())
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
