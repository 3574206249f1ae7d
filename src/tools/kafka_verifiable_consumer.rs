//! `kafka-verifiable-consumer`: a member of a group that says in JSON what it was given, what it read and what it committed.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use super::flags::{Flag, Takes, Usage, flag};
use super::interrupt::Interrupt;
use super::{Done, Failure, Output, Tool, json, target};
use crate::client::{Client, Fetched, Fetcher, Member, Settings, Spec};

pub(super) const TOOL: Tool = Tool {
    name: "kafka-verifiable-consumer",
    aliases: &["org.apache.kafka.tools.VerifiableConsumer"],
    about: "read in a group and say what was read",
    usage: || USAGE,
    run,
};

const USAGE: Usage = Usage {
    about: "This tool consumes messages from a specific topic and emits consumer events (e.g. group rebalances, received messages, and offsets committed) as JSON objects to STDOUT.",
    flags: FLAGS,
};

static FLAGS: &[Flag] = &[
    flag(&["assignment-strategy"], Takes::Value("class"), "Taken without effect: range it is."),
    target::BOOTSTRAP_SERVER,
    target::BROKER_LIST,
    target::COMMAND_CONFIG,
    flag(&["consumer.config"], Takes::Value("file"), "Older name of --command-config."),
    flag(&["enable-autocommit"], Takes::Nothing, "Taken without effect: every read is committed."),
    flag(&["group-id"], Takes::Value("id"), "REQUIRED: the group."),
    flag(&["group-instance-id"], Takes::Value("id"), "Taken without effect."),
    flag(&["group-protocol"], Takes::Value("protocol"), "Taken without effect: classic it is."),
    flag(&["max-messages"], Takes::Value("count"), "End after so many; without it, on SIGINT or SIGTERM."),
    flag(&["reset-policy"], Takes::Value("policy"), "earliest (the default), latest or none."),
    flag(&["session-timeout"], Takes::Value("ms"), "Taken without effect."),
    flag(&["topic"], Takes::Value("name"), "REQUIRED: the topic."),
    flag(&["verbose"], Takes::Nothing, "Taken without effect."),
];

fn run(arguments: &[String], out: &mut Output) -> Done {
    let flags = USAGE.parse(arguments)?;
    let topic = flags.need("topic")?.to_owned();
    let group = flags.need("group-id")?.to_owned();
    let servers = target::servers(&flags).ok_or_else(|| Failure::Usage("--bootstrap-server is required".to_owned()))?;
    let properties = target::properties(&flags, &["consumer.config", "command-config"], &[])?;
    let most = flags.number::<i64>("max-messages")?.map_or(u64::MAX, |count| u64::try_from(count).unwrap_or(u64::MAX));
    let begin = if flags.value("reset-policy") == Some("latest") { Spec::LATEST } else { Spec::EARLIEST };
    let mut interrupt =
        Interrupt::watch().map_err(|error| Failure::Error(format!("cannot listen for signals: {error}")))?;
    let mut client = Client::open(Settings::new(&servers, "verifiable-consumer", &properties)?)?;
    say(&client, out, "startup_complete", "");
    client.metadata(Some(std::slice::from_ref(&topic)), true)?;
    let mut member = Member::new(&client, &group, vec![topic]);
    let mut fetcher = Fetcher::new(BTreeMap::new(), false);
    fetcher.reset = Some(begin);
    let mut count = 0;
    let mut is_seated = false;
    while count < most && !interrupt.came() {
        if is_seated && !member.keep_seat(&mut client)? {
            say(&client, out, "partitions_revoked", &partitions(&member));
            is_seated = false;
        }
        if !is_seated {
            sit_down(&mut client, &mut member, &mut fetcher, begin)?;
            say(&client, out, "partitions_assigned", &partitions(&member));
            is_seated = true;
        }
        let read = read(&mut client, &mut fetcher, &mut count, most)?;
        if !read.is_empty() {
            tell(&client, &read, out);
            commit(&mut client, &member, &read, out);
        }
        out.flush();
    }
    say(&client, out, "partitions_revoked", &partitions(&member));
    member.leave(&mut client)?;
    say(&client, out, "shutdown_complete", "");
    Ok(())
}

/// First and last offset and how many, per partition.
type Read = BTreeMap<(String, i32), (i64, i64, u64)>;

fn say(client: &Client, out: &mut Output, name: &str, more: &str) {
    out.line(format!("{{\"timestamp\":{},\"name\":\"{name}\"{more}}}", client.now_ms()));
}

fn partitions(member: &Member) -> String {
    let one =
        |(topic, partition): &(String, i32)| format!("{{\"topic\":{},\"partition\":{partition}}}", json::text(topic));
    format!(",\"partitions\":[{}]", member.assigned().iter().map(one).collect::<Vec<_>>().join(","))
}

fn sit_down(client: &mut Client, member: &mut Member, fetcher: &mut Fetcher, begin: Spec) -> Done {
    member.join(client)?;
    fetcher.retain(&BTreeSet::new());
    let committed = member.committed(client)?;
    let fresh: Vec<_> = member
        .assigned()
        .iter()
        .filter(|at| !committed.contains_key(*at))
        .map(|(topic, partition)| (topic.clone(), *partition, begin))
        .collect();
    fetcher.add(committed);
    let offsets = client.list_offsets(&fresh, false)?;
    fetcher.add(offsets.into_iter().filter_map(|(at, offset)| Some((at, offset.ok()?))));
    Ok(())
}

fn read(client: &mut Client, fetcher: &mut Fetcher, count: &mut u64, most: u64) -> Result<Read, Failure> {
    let mut read = Read::new();
    let _ = fetcher.poll(client, &mut |fetched: &Fetched<'_>| {
        let offset = fetched.record.offset.0;
        let seen = read.entry((fetched.topic.to_owned(), fetched.partition)).or_insert((offset, offset, 0));
        (seen.1, seen.2) = (offset, seen.2 + 1);
        *count += 1;
        if *count >= most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(read)
}

fn tell(client: &Client, read: &Read, out: &mut Output) {
    let total: u64 = read.values().map(|(.., count)| count).sum();
    let one = |((topic, partition), (first, last, count)): (&(String, i32), &(i64, i64, u64))| {
        let topic = json::text(topic);
        format!(
            "{{\"topic\":{topic},\"partition\":{partition},\"count\":{count},\"minOffset\":{first},\"maxOffset\":{last}}}"
        )
    };
    let partitions: Vec<String> = read.iter().map(one).collect();
    say(client, out, "records_consumed", &format!(",\"count\":{total},\"partitions\":[{}]", partitions.join(",")));
}

fn commit(client: &mut Client, member: &Member, read: &Read, out: &mut Output) {
    let offsets: BTreeMap<(String, i32), i64> = read.iter().map(|(at, (_, last, _))| (at.clone(), last + 1)).collect();
    let outcome = member.commit(client, &offsets);
    let one = |((topic, partition), offset): (&(String, i32), &i64)| {
        format!("{{\"topic\":{},\"partition\":{partition},\"offset\":{offset}}}", json::text(topic))
    };
    let listed: Vec<String> = offsets.iter().map(one).collect();
    let error = outcome.as_ref().err().map(|error| format!(",\"error\":{}", json::text(&error.to_string())));
    let more =
        format!(",\"offsets\":[{}]{},\"success\":{}", listed.join(","), error.unwrap_or_default(), outcome.is_ok());
    say(client, out, "offsets_committed", &more);
}
