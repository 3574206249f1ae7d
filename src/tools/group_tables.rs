//! The tables of `kafka-consumer-groups --describe`: offsets, members, state. Columns are as wide as Kafka's tool makes
//! them, since scripts cut them by place as well as by word.

use std::collections::BTreeSet;

use crate::client::{Client, Error, Group, GroupMember, Spec, TopicPartitions};

const NONE: &str = "-";

fn width<'a>(values: impl Iterator<Item = &'a str>) -> usize {
    values.map(|value| value.chars().count()).max().unwrap_or(0).max(15)
}

fn or_none(value: Option<i64>) -> String {
    value.map_or_else(|| NONE.to_owned(), |value| value.to_string())
}

/// One line of the table of offsets.
struct Row {
    topic: String,
    partition: i32,
    leader_epoch: Option<i64>,
    current: Option<i64>,
    end: Option<i64>,
    owner: [String; 3],
}

/// What every partition has committed, how far its log goes and who reads it.
pub fn offsets(client: &mut Client, group: &Group, verbose: bool) -> Result<Vec<String>, Error> {
    let rows = rows(client, group)?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let topic_width = width(rows.iter().map(|row| row.topic.as_str()));
    let group_width = width([group.id.as_str()].into_iter());
    let owner_widths: Vec<usize> = (0..2).map(|at| width(rows.iter().map(|row| row.owner[at].as_str()))).collect();
    let line = |cells: [&str; 10]| {
        let [id, topic, partition, epoch, current, end, lag, consumer, host, client_id] = cells;
        let epoch = if verbose { format!("{epoch:15} ") } else { String::new() };
        let (consumer_width, host_width) = (owner_widths[0], owner_widths[1]);
        format!(
            "{id:group_width$} {topic:topic_width$} {partition:10} {epoch}{current:15} {end:15} {lag:15} {consumer:consumer_width$} {host:host_width$} {client_id}"
        )
    };
    let mut lines = vec![String::new()];
    lines.push(line([
        "GROUP",
        "TOPIC",
        "PARTITION",
        "LEADER-EPOCH",
        "CURRENT-OFFSET",
        "LOG-END-OFFSET",
        "LAG",
        "CONSUMER-ID",
        "HOST",
        "CLIENT-ID",
    ]));
    for row in &rows {
        let lag = row.current.zip(row.end).map(|(current, end)| end - current);
        let [consumer, host, client_id] = &row.owner;
        lines.push(line([
            &group.id,
            &row.topic,
            &row.partition.to_string(),
            &or_none(row.leader_epoch),
            &or_none(row.current),
            &or_none(row.end),
            &or_none(lag),
            consumer,
            host,
            client_id,
        ]));
    }
    Ok(lines)
}

/// First what members have, those with most partitions first, then what nobody has.
fn rows(client: &mut Client, group: &Group) -> Result<Vec<Row>, Error> {
    let committed = client.committed(&group.id)?;
    let mut members: Vec<&GroupMember> = group.members.iter().collect();
    members.sort_by_key(|member| std::cmp::Reverse(count(&member.assigned)));
    let mut owned: Vec<((String, i32), [String; 3])> = Vec::new();
    for member in members {
        let owner = [member.id.clone(), member.host.clone(), member.client_id.clone()];
        owned.extend(flat(&member.assigned).map(|at| (at, owner.clone())));
    }
    let taken: BTreeSet<(String, i32)> = owned.iter().map(|(at, _)| at.clone()).collect();
    let nobody = || [NONE; 3].map(str::to_owned);
    owned.extend(committed.keys().filter(|at| !taken.contains(*at)).map(|at| (at.clone(), nobody())));
    let asked: Vec<_> = owned.iter().map(|(at, _)| (at.0.clone(), at.1, Spec::LATEST)).collect();
    let ends = client.list_offsets(&asked, false)?;
    let row = |(at, owner): ((String, i32), [String; 3])| Row {
        current: committed.get(&at).map(|(offset, _)| *offset),
        leader_epoch: committed.get(&at).map(|(_, epoch)| i64::from(*epoch)).filter(|epoch| *epoch >= 0),
        end: ends.get(&at).and_then(|end| end.as_ref().ok()).copied(),
        topic: at.0,
        partition: at.1,
        owner,
    };
    Ok(owned.into_iter().map(row).collect())
}

pub fn members(group: &Group, verbose: bool) -> Vec<String> {
    let group_width = width([group.id.as_str()].into_iter());
    let column = |pick: fn(&GroupMember) -> &str| width(group.members.iter().map(pick));
    let (ids, hosts, clients) = (column(|m| &m.id), column(|m| &m.host), column(|m| &m.client_id));
    let has_instances = group.members.iter().any(|member| member.instance_id.is_some());
    let instances = column(|m| m.instance_id.as_deref().unwrap_or(NONE)).max("GROUP-INSTANCE-ID".len());
    let line = |id: &str, instance: &str, host: &str, client: &str, count: &str, group: &str| {
        let instance = if has_instances { format!("{instance:instances$} ") } else { String::new() };
        format!("{group:group_width$} {id:ids$} {instance}{host:hosts$} {client:clients$} {count:15} ")
    };
    let more = |epoch: &str, assigned: &str, target_epoch: &str, target: &str| {
        if verbose { format!("{epoch:15} {assigned:20} {target_epoch:15} {target:19} ") } else { String::new() }
    };
    let header = line("CONSUMER-ID", "GROUP-INSTANCE-ID", "HOST", "CLIENT-ID", "#PARTITIONS", "GROUP");
    let mut lines =
        vec![String::new(), header + &more("CURRENT-EPOCH", "CURRENT-ASSIGNMENT", "TARGET-EPOCH", "TARGET-ASSIGNMENT")];
    for member in &group.members {
        let instance = member.instance_id.as_deref().unwrap_or(NONE);
        let count = count(&member.assigned).to_string();
        let first = line(&member.id, instance, &member.host, &member.client_id, &count, &group.id);
        let (epoch, target_epoch, target) = match (&member.target, group.epochs) {
            (Some((epoch, target)), Some((_, assignment_epoch))) => {
                (epoch.to_string(), assignment_epoch.to_string(), assignment(target))
            }
            _ => [NONE; 3].map(str::to_owned).into(),
        };
        lines.push(first + &more(&epoch, &assignment(&member.assigned), &target_epoch, &target));
    }
    lines
}

/// `a(0,1), b(2)`.
fn assignment(topics: &TopicPartitions) -> String {
    if topics.is_empty() {
        return NONE.to_owned();
    }
    let topic = |(name, partitions): (&String, &Vec<i32>)| format!("{name}({})", super::topics::joined(partitions));
    topics.iter().map(topic).collect::<Vec<_>>().join(", ")
}

pub fn state(group: &Group, verbose: bool) -> Vec<String> {
    let group_width = width([group.id.as_str()].into_iter());
    let coordinator = group
        .coordinator
        .as_ref()
        .map_or_else(|| NONE.to_owned(), |broker| format!("{}:{}  ({})", broker.host, broker.port, broker.id));
    let coordinator_width = coordinator.len().max(25);
    let assignor = if group.assignor.is_empty() { NONE } else { &group.assignor };
    let epochs = group
        .epochs
        .map_or([NONE; 2].map(str::to_owned), |(epoch, assigned)| [epoch.to_string(), assigned.to_string()]);
    let line = |cells: [&str; 7]| {
        let [id, coordinator, assignor, state, epoch, assigned, members] = cells;
        let epochs = if verbose { format!("{epoch:15} {assigned:25} ") } else { String::new() };
        format!("{id:group_width$} {coordinator:coordinator_width$} {assignor:20} {state:20} {epochs}{members}")
    };
    vec![
        String::new(),
        line([
            "GROUP",
            "COORDINATOR (ID)",
            "ASSIGNMENT-STRATEGY",
            "STATE",
            "GROUP-EPOCH",
            "TARGET-ASSIGNMENT-EPOCH",
            "#MEMBERS",
        ]),
        line([
            &group.id,
            &coordinator,
            assignor,
            &group.state,
            &epochs[0],
            &epochs[1],
            &group.members.len().to_string(),
        ]),
    ]
}

fn count(topics: &TopicPartitions) -> usize {
    topics.values().map(Vec::len).sum()
}

fn flat(topics: &TopicPartitions) -> impl Iterator<Item = (String, i32)> {
    topics.iter().flat_map(|(topic, partitions)| partitions.iter().map(move |partition| (topic.clone(), *partition)))
}
