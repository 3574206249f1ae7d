//! `kafka-console-consumer`: prints the records of topics as lines.
//!
//! With `--group` it is a member of that group and commits where it stands. Without one it reads all partitions itself:
//! Kafka's tool joins a group of a random name for that, which nobody can see and which costs a rebalance.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use super::flags::{Flag, Flags, Takes, Usage, flag};
use super::formatter::Formatter;
use super::interrupt::Interrupt;
use super::topics::Pattern;
use super::{Done, Failure, Output, Tool, target};
use crate::client::{Client, Deadline, Error, Fetched, Fetcher, Member, Properties, Settings, Spec};

pub(super) const TOOL: Tool = Tool {
    name: "kafka-console-consumer",
    aliases: &["kafka.tools.ConsoleConsumer", "org.apache.kafka.tools.consumer.ConsoleConsumer"],
    about: "print the records of a topic",
    usage: || USAGE,
    run,
};

const USAGE: Usage =
    Usage { about: "This tool helps to read data from Kafka topics and outputs it to standard output.", flags: FLAGS };

static FLAGS: &[Flag] = &[
    target::BOOTSTRAP_SERVER,
    target::BROKER_LIST,
    target::COMMAND_CONFIG,
    flag(&["command-property"], Takes::Value("name=value"), "A setting of the consumer."),
    flag(&["consumer-property"], Takes::Value("name=value"), "Older name of --command-property."),
    flag(&["consumer.config"], Takes::Value("file"), "Older name of --command-config."),
    flag(&["enable-systest-events"], Takes::Nothing, "Taken without effect."),
    flag(&["formatter"], Takes::Value("class"), "Kafka's default, logging or no-op formatter."),
    flag(&["formatter-config"], Takes::Value("file"), "A file with formatter properties."),
    flag(
        &["formatter-property"],
        Takes::Value("name=value"),
        "print.key, print.value, print.timestamp, print.partition, print.offset, print.headers, print.epoch, key.separator, line.separator, headers.separator, null.literal, key.deserializer, value.deserializer, headers.deserializer.",
    ),
    flag(&["from-beginning"], Takes::Nothing, "Begin with the oldest record where the group has no offset."),
    flag(&["group"], Takes::Value("id"), "The consumer group."),
    flag(&["include"], Takes::Value("regex"), "The topics, as a regular expression."),
    flag(&["isolation-level"], Takes::Value("level"), "read_committed or read_uncommitted (the default)."),
    flag(&["key-deserializer"], Takes::Value("class"), "The deserializer for keys."),
    flag(&["max-messages"], Takes::Value("count"), "End after so many records."),
    flag(&["new-consumer"], Takes::Nothing, "Older flag, without effect."),
    flag(&["offset"], Takes::Value("offset"), "A number, earliest or latest (the default); needs --partition."),
    flag(&["partition"], Takes::Value("number"), "Read this partition only."),
    flag(&["property"], Takes::Value("name=value"), "Older name of --formatter-property."),
    flag(&["skip-message-on-error"], Takes::Nothing, "Go on where a record cannot be printed."),
    flag(&["timeout-ms"], Takes::Value("ms"), "End when no record has come for so long."),
    flag(&["topic"], Takes::Value("name"), "The topic."),
    flag(&["value-deserializer"], Takes::Value("class"), "The deserializer for values."),
    flag(&["whitelist"], Takes::Value("regex"), "Older name of --include."),
    target::ZOOKEEPER,
];

const OLD_NAMES: &[(&str, &str)] = &[
    ("property", "formatter-property"),
    ("consumer-property", "command-property"),
    ("consumer.config", "command-config"),
];

fn run(arguments: &[String], out: &mut Output) -> Done {
    let flags = USAGE.parse(arguments)?;
    let servers = target::servers(&flags);
    let servers =
        servers.ok_or_else(|| Failure::Usage("Missing required argument \"[bootstrap-server]\"".to_owned()))?;
    let plan = Plan::from(&flags, out)?;
    let mut interrupt =
        Interrupt::watch().map_err(|error| Failure::Error(format!("cannot listen for signals: {error}")))?;
    let client = Client::open(Settings::new(&servers, "console-consumer", &plan.properties)?)?;
    let mut run = Run { client, plan, out, count: 0, failed: None };
    let done = run.read(&mut interrupt);
    run.out.flush();
    eprintln!("Processed a total of {} messages", run.count);
    match (done, run.failed.take()) {
        (Err(error), _) => Err(error.into()),
        (Ok(()), Some(sentence)) => Err(Failure::Error(sentence)),
        (Ok(()), None) => Ok(()),
    }
}

/// Which topics are read.
enum Topics {
    Named(String),
    Matching(Pattern),
}

/// Everything that the flags say.
struct Plan {
    topics: Topics,
    partition: Option<(i32, Spec)>,
    group: Option<String>,
    begin: Spec,
    max_messages: u64,
    timeout_ms: Option<u64>,
    read_committed: bool,
    skip_errors: bool,
    auto_commit: bool,
    formatter: Formatter,
    properties: Properties,
}

impl Plan {
    fn from(flags: &Flags, out: &mut Output) -> Result<Plan, Failure> {
        let topics = topics(flags)?;
        if flags.has("offset") && !flags.has("partition") {
            return Err(Failure::Usage("The partition is required when offset is specified.".to_owned()));
        }
        if flags.has("partition") && !flags.has("topic") {
            return Err(Failure::Usage("The topic is required when partition is specified.".to_owned()));
        }
        if flags.has("offset") && flags.has("from-beginning") {
            return Err(Failure::Usage("Options from-beginning and offset cannot be specified together.".to_owned()));
        }
        target::warn_of_old_names(flags, OLD_NAMES, "Option ", out);
        let files = ["consumer.config", "command-config"];
        let properties = target::properties(flags, &files, &["consumer-property", "command-property"])?;
        let begin = begin(flags, &properties)?;
        let partition = match flags.number("partition")? {
            Some(partition) => Some((partition, offset(flags, begin)?)),
            None => None,
        };
        let group = group(flags, &properties)?;
        Ok(Plan {
            topics,
            partition,
            auto_commit: group.is_some() && !properties.is("enable.auto.commit", "false"),
            group,
            begin,
            max_messages: flags
                .number::<i64>("max-messages")?
                .map_or(u64::MAX, |count| u64::try_from(count).unwrap_or(u64::MAX)),
            timeout_ms: flags.number::<i64>("timeout-ms")?.and_then(|ms| u64::try_from(ms).ok()),
            read_committed: read_committed(flags, &properties)?,
            skip_errors: flags.has("skip-message-on-error"),
            formatter: Formatter::new(flags.value("formatter"), &formatter_properties(flags)?)
                .map_err(Failure::Usage)?,
            properties,
        })
    }
}

fn topics(flags: &Flags) -> Result<Topics, Failure> {
    let pattern = flags.value("include").or(flags.value("whitelist"));
    match (flags.value("topic"), pattern) {
        (Some(topic), None) => Ok(Topics::Named(topic.to_owned())),
        (None, Some(pattern)) => Pattern::new(pattern).map(Topics::Matching).map_err(Failure::Usage),
        _ => Err(Failure::Usage("Exactly one of the following arguments is required: [topic], [include]".to_owned())),
    }
}

fn formatter_properties(flags: &Flags) -> Result<Properties, Failure> {
    let mut properties = target::properties(flags, &["formatter-config"], &["property", "formatter-property"])?;
    for (flag, name) in [("key-deserializer", "key.deserializer"), ("value-deserializer", "value.deserializer")] {
        if let Some(class) = flags.value(flag) {
            properties.set(name, class);
        }
    }
    Ok(properties)
}

fn begin(flags: &Flags, properties: &Properties) -> Result<Spec, Failure> {
    let reset = properties.get("auto.offset.reset");
    match (flags.has("from-beginning"), reset) {
        (true, None | Some("earliest")) | (false, Some("earliest")) => Ok(Spec::EARLIEST),
        (false, None | Some("latest")) => Ok(Spec::LATEST),
        (true, Some(reset)) => Err(Failure::Usage(format!(
            "Can't simultaneously specify --from-beginning and 'auto.offset.reset={reset}', please remove one option"
        ))),
        (false, Some(reset)) => {
            Err(Failure::Error(format!("Invalid value {reset} for configuration auto.offset.reset")))
        }
    }
}

/// What `--offset` says; without it a single partition is read from `--from-beginning`'s place, else from its end.
fn offset(flags: &Flags, begin: Spec) -> Result<Spec, Failure> {
    let Some(text) = flags.value("offset") else { return Ok(begin) };
    let bad = || {
        Failure::Usage(format!(
            "The provided offset value '{text}' is incorrect. Valid values are 'earliest', 'latest', or a non-negative long."
        ))
    };
    match text.trim().to_ascii_lowercase().as_str() {
        "earliest" => Ok(Spec::EARLIEST),
        "latest" => Ok(Spec::LATEST),
        number => number.parse().ok().filter(|offset| *offset >= 0).map(Spec).ok_or_else(bad),
    }
}

fn group(flags: &Flags, properties: &Properties) -> Result<Option<String>, Failure> {
    match (flags.value("group"), properties.get("group.id")) {
        (Some(flag), Some(property)) if flag != property => Err(Failure::Usage(format!(
            "The group ids provided in different places (directly using '--group', via '--consumer-property', or via '--consumer.config') do not match. Detected group ids: '{property}', '{flag}'"
        ))),
        (flag, property) => Ok(flag.or(property).map(str::to_owned)),
    }
}

fn read_committed(flags: &Flags, properties: &Properties) -> Result<bool, Failure> {
    match flags.value("isolation-level").or(properties.get("isolation.level")).unwrap_or("read_uncommitted") {
        "read_committed" => Ok(true),
        "read_uncommitted" => Ok(false),
        other => Err(Failure::Error(format!("Invalid value {other} for configuration isolation.level"))),
    }
}

struct Run<'a> {
    client: Client,
    plan: Plan,
    out: &'a mut Output,
    count: u64,
    /// Why a record could not be printed.
    failed: Option<String>,
}

impl Run<'_> {
    fn read(&mut self, interrupt: &mut Interrupt) -> Result<(), Error> {
        match (self.plan.partition, self.plan.group.clone()) {
            (None, Some(group)) => self.read_as_member(&group, interrupt),
            _ => self.read_alone(interrupt),
        }
    }

    fn read_alone(&mut self, interrupt: &mut Interrupt) -> Result<(), Error> {
        let mut fetcher = Fetcher::new(BTreeMap::new(), self.plan.read_committed);
        fetcher.reset = Some(self.plan.begin);
        let mut look_again = self.soon(0);
        let mut idle = self.idle();
        while !self.is_over(interrupt) && !idle.as_ref().is_some_and(Deadline::has_passed) {
            if look_again.has_passed() {
                // What appears later is read from its beginning, as a consumer of the group protocol would.
                let begin = if fetcher.positions().is_empty() { self.plan.begin } else { Spec::EARLIEST };
                let missing = self.partitions(&fetcher)?;
                let positions = self.positions(missing, begin)?;
                fetcher.add(positions);
                look_again = self.soon(if fetcher.positions().is_empty() { 500 } else { LOOK_AGAIN_MS });
            }
            if self.poll(&mut fetcher, &idle)? {
                idle = self.idle();
            }
        }
        Ok(())
    }

    /// The partitions that should be read and are not yet.
    fn partitions(&mut self, fetcher: &Fetcher) -> Result<Vec<(String, i32)>, Error> {
        if let (Topics::Named(topic), Some((partition, _))) = (&self.plan.topics, self.plan.partition) {
            let at = (topic.clone(), partition);
            return Ok(if fetcher.positions().contains_key(&at) { Vec::new() } else { vec![at] });
        }
        let topics = match &self.plan.topics {
            Topics::Named(topic) => self.client.metadata(Some(std::slice::from_ref(topic)), true)?,
            Topics::Matching(_) => self.client.metadata(None, false)?,
        };
        let mut found = Vec::new();
        for topic in topics.iter().filter(|topic| topic.error_code == 0) {
            let Some(name) = topic.name.as_ref().map(|name| name.0.to_string()) else { continue };
            if matches!(&self.plan.topics, Topics::Matching(pattern) if !pattern.matches(&name)) {
                continue;
            }
            found.extend(topic.partitions.iter().map(|partition| (name.clone(), partition.partition_index)));
        }
        found.retain(|at| !fetcher.positions().contains_key(at));
        Ok(found)
    }

    /// Where to begin with each; one whose leader does not answer yet is left for later.
    fn positions(&mut self, missing: Vec<(String, i32)>, begin: Spec) -> Result<BTreeMap<(String, i32), i64>, Error> {
        let spec = self.plan.partition.map_or(begin, |(_, spec)| spec);
        if spec.0 >= 0 {
            return Ok(missing.into_iter().map(|at| (at, spec.0)).collect());
        }
        let asked: Vec<_> = missing.into_iter().map(|(topic, partition)| (topic, partition, spec)).collect();
        let offsets = self.client.list_offsets(&asked, self.plan.read_committed)?;
        Ok(offsets.into_iter().filter_map(|(at, offset)| Some((at, offset.ok()?))).collect())
    }

    fn read_as_member(&mut self, group: &str, interrupt: &mut Interrupt) -> Result<(), Error> {
        let topics = self.subscription()?;
        let mut member = Member::new(&self.client, group, topics);
        let done = self.read_seated(&mut member, interrupt);
        let left = member.leave(&mut self.client);
        done.and(left)
    }

    fn read_seated(&mut self, member: &mut Member, interrupt: &mut Interrupt) -> Result<(), Error> {
        let mut fetcher = Fetcher::new(BTreeMap::new(), self.plan.read_committed);
        fetcher.reset = Some(self.plan.begin);
        self.sit_down(member, &mut fetcher)?;
        let mut next_commit = self.soon(AUTO_COMMIT_MS);
        let mut look_again = self.soon(LOOK_AGAIN_MS);
        let mut idle = self.idle();
        while !self.is_over(interrupt) && !idle.as_ref().is_some_and(Deadline::has_passed) {
            let mut moves = !member.keep_seat(&mut self.client)?;
            if look_again.has_passed() {
                let topics = self.subscription()?;
                moves |= topics != member.topics();
                member.subscribe(topics);
                look_again = self.soon(LOOK_AGAIN_MS);
            }
            if moves {
                self.commit(member, &fetcher);
                self.sit_down(member, &mut fetcher)?;
            }
            if self.poll(&mut fetcher, &idle)? {
                idle = self.idle();
            }
            if next_commit.has_passed() {
                self.commit(member, &fetcher);
                next_commit = self.soon(AUTO_COMMIT_MS);
            }
        }
        self.commit(member, &fetcher);
        Ok(())
    }

    fn subscription(&mut self) -> Result<Vec<String>, Error> {
        match &self.plan.topics {
            Topics::Named(topic) => {
                let topic = topic.clone();
                self.client.metadata(Some(std::slice::from_ref(&topic)), true)?;
                Ok(vec![topic])
            }
            Topics::Matching(pattern) => {
                let found = self.client.metadata(None, false)?;
                let names = found.iter().filter_map(|topic| Some(topic.name.as_ref()?.0.to_string()));
                Ok(names.filter(|name| pattern.matches(name)).collect())
            }
        }
    }

    fn sit_down(&mut self, member: &mut Member, fetcher: &mut Fetcher) -> Result<(), Error> {
        member.join(&mut self.client)?;
        fetcher.retain(&BTreeSet::new());
        let committed = member.committed(&mut self.client)?;
        let fresh: Vec<_> = member.assigned().iter().filter(|at| !committed.contains_key(*at)).cloned().collect();
        fetcher.add(committed);
        let begin = self.positions(fresh, self.plan.begin)?;
        fetcher.add(begin);
        Ok(())
    }

    /// A commit that fails is said and no more: the records were printed.
    fn commit(&mut self, member: &Member, fetcher: &Fetcher) {
        if self.plan.auto_commit
            && let Err(error) = member.commit(&mut self.client, fetcher.positions())
        {
            eprintln!("WARN offsets were not committed: {error}");
        }
    }

    /// One round; true if a record came.
    fn poll(&mut self, fetcher: &mut Fetcher, idle: &Option<Deadline>) -> Result<bool, Error> {
        let left = idle.as_ref().and_then(Deadline::left).map_or(500, |left| left.as_millis().min(500));
        fetcher.max_wait_ms = i32::try_from(left).expect("500 at most");
        let before = self.count;
        let Run { client, plan, out, count, failed } = self;
        let flow = fetcher.poll(client, &mut |fetched: &Fetched<'_>| {
            let mut line = Vec::new();
            match plan.formatter.format(fetched, &mut line) {
                Ok(()) => out.bytes(&line),
                Err(_) if plan.skip_errors => {}
                Err(sentence) => *failed = Some(sentence),
            }
            *count += 1;
            if failed.is_some() || *count >= plan.max_messages {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        let _ = flow;
        self.out.flush();
        Ok(self.count > before)
    }

    fn is_over(&self, interrupt: &mut Interrupt) -> bool {
        self.count >= self.plan.max_messages || self.failed.is_some() || self.out.is_broken() || interrupt.came()
    }

    fn soon(&self, ms: u64) -> Deadline {
        Deadline::after(self.client.clock(), ms)
    }

    fn idle(&self) -> Option<Deadline> {
        self.plan.timeout_ms.map(|ms| self.soon(ms))
    }
}

/// `auto.commit.interval.ms`, Kafka's default.
const AUTO_COMMIT_MS: u64 = 5_000;
/// How often new partitions and topics are looked for.
const LOOK_AGAIN_MS: u64 = 5_000;
