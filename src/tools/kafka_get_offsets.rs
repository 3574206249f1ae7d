//! `kafka-get-offsets`: where partitions begin or end, as `topic:partition:offset`.

use super::flags::{Flag, Flags, Takes, Usage, flag};
use super::topics::{Pattern, Topic};
use super::{Done, Failure, Output, Tool, target};
use crate::client::{Client, Spec};

pub(super) const TOOL: Tool = Tool {
    name: "kafka-get-offsets",
    aliases: &["kafka.tools.GetOffsetShell", "org.apache.kafka.tools.GetOffsetShell"],
    about: "show the offsets of partitions",
    usage: || USAGE,
    run,
};

const USAGE: Usage = Usage { about: "An interactive shell for getting topic-partition offsets.", flags: FLAGS };

static FLAGS: &[Flag] = &[
    target::BOOTSTRAP_SERVER,
    target::BROKER_LIST,
    target::COMMAND_CONFIG,
    flag(&["exclude-internal-topics"], Takes::Nothing, "Leave internal topics out."),
    flag(&["max-wait-ms"], Takes::Value("ms"), "Older flag, without effect."),
    flag(&["offsets"], Takes::Value("count"), "Older flag, without effect."),
    flag(&["partitions"], Takes::Value("0,1"), "Only these partitions."),
    flag(
        &["time"],
        Takes::Value("time"),
        "latest or -1 (the default), earliest or -2, max-timestamp or -3, earliest-local or -4, latest-tiered or -5, or milliseconds since 1970.",
    ),
    flag(&["topic"], Takes::Value("regex"), "Only topics that match."),
    flag(
        &["topic-partitions"],
        Takes::Value("t:0,u:1-3"),
        "Topics by regular expression, with partitions or ranges of them.",
    ),
];

fn run(arguments: &[String], out: &mut Output) -> Done {
    match act(arguments, out) {
        Err(Failure::Error(sentence) | Failure::Usage(sentence)) => {
            Err(Failure::Error(format!("Error occurred: {sentence}")))
        }
        other => other,
    }
}

fn act(arguments: &[String], out: &mut Output) -> Done {
    let flags = USAGE.parse(arguments)?;
    if flags.has("topic-partitions") && flags.count(&["topic", "partitions"]) > 0 {
        return Err(Failure::Error("--topic-partitions cannot be used with --topic or --partitions".to_owned()));
    }
    let spec = spec(flags.value("time").unwrap_or("latest"))?;
    let rules = rules(&flags)?;
    let mut client = target::connect(&flags, "GetOffsetShell")?;
    let asked = chosen(&mut client, &flags, &rules, spec)?;
    if asked.is_empty() {
        return Err(Failure::Error("Could not match any topic-partitions with the specified filters".to_owned()));
    }
    for ((topic, partition), offset) in client.list_offsets(&asked, false)? {
        match offset {
            Ok(-1) => {}
            Ok(offset) => out.line(format!("{topic}:{partition}:{offset}")),
            Err(error) => {
                eprintln!("Skip getting offsets for topic-partition {topic}-{partition} due to error: {error}");
            }
        }
    }
    Ok(())
}

fn spec(time: &str) -> Result<Spec, Failure> {
    let bad = || {
        Failure::Error(format!(
            "Malformed time argument {time}. Please use -1 or latest / -2 or earliest / -3 or max-timestamp / -4 or earliest-local / -5 or latest-tiered / -6 or earliest-pending-upload, or a specified long format timestamp"
        ))
    };
    Ok(match time {
        "latest" => Spec::LATEST,
        "earliest" => Spec::EARLIEST,
        "max-timestamp" => Spec::MAX_TIMESTAMP,
        "earliest-local" => Spec::EARLIEST_LOCAL,
        "latest-tiered" => Spec::LATEST_TIERED,
        "earliest-pending-upload" => Spec(-6),
        number => Spec(number.parse().map_err(|_| bad())?),
    })
}

/// One way to choose partitions.
struct Rule {
    topic: Pattern,
    first: i32,
    /// One past the last.
    end: i32,
}

fn rules(flags: &Flags) -> Result<Vec<Rule>, Failure> {
    if let Some(list) = flags.value("topic-partitions") {
        return list.split(',').map(rule).collect();
    }
    let topic = || Pattern::new(flags.value("topic").unwrap_or(".*")).map_err(Failure::Error);
    let Some(list) = flags.value("partitions") else {
        return Ok(vec![Rule { topic: topic()?, first: 0, end: i32::MAX }]);
    };
    let mut rules = Vec::new();
    for one in list.split(',').filter(|one| !one.trim().is_empty()) {
        let bad = |_| {
            Failure::Error(format!(
                "--partitions expects a comma separated list of numeric partition ids, but received: {list}"
            ))
        };
        let first: i32 = one.trim().parse().map_err(bad)?;
        rules.push(Rule { topic: topic()?, first, end: first.saturating_add(1) });
    }
    Ok(rules)
}

/// `topic`, `topic:2`, `topic:1-3` (3 excluded), `topic:-3`, `topic:1-`.
fn rule(text: &str) -> Result<Rule, Failure> {
    let bad = || Failure::Error(format!("TerseException: Invalid rule specification: {text}"));
    let (topic, range) = text.rsplit_once(':').unwrap_or((text, "-"));
    let topic = Pattern::new(if topic.is_empty() { ".*" } else { topic }).map_err(Failure::Error)?;
    let number = |text: &str, default: i32| if text.is_empty() { Ok(default) } else { text.parse().map_err(|_| bad()) };
    let (first, end) = match range.split_once('-') {
        Some((first, end)) => (number(first, 0)?, number(end, i32::MAX)?),
        None => {
            let only = range.parse::<i32>().map_err(|_| bad())?;
            (only, only.saturating_add(1))
        }
    };
    Ok(Rule { topic, first, end })
}

fn chosen(client: &mut Client, flags: &Flags, rules: &[Rule], spec: Spec) -> Result<Vec<(String, i32, Spec)>, Failure> {
    let mut chosen = Vec::new();
    for topic in Topic::all(client)? {
        if topic.is_internal && flags.has("exclude-internal-topics") {
            continue;
        }
        let matching: Vec<&Rule> = rules.iter().filter(|rule| rule.topic.matches(&topic.name)).collect();
        for partition in &topic.partitions {
            if matching.iter().any(|rule| (rule.first..rule.end).contains(&partition.index)) {
                chosen.push((topic.name.clone(), partition.index, spec));
            }
        }
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_choose_one_or_a_range() {
        for (text, first, end) in
            [("t", 0, i32::MAX), ("t:2", 2, 3), ("t:1-3", 1, 3), ("t:-3", 0, 3), ("t:1-", 1, i32::MAX)]
        {
            let rule = rule(text).ok().unwrap();
            assert_eq!((rule.first, rule.end), (first, end), "{text}");
        }
        assert!(rule("t:x").is_err());
    }
}
