//! `kafka-consumer-groups --reset-offsets`: where a group's offsets are moved to, shown, exported or carried out.

use std::collections::{BTreeMap, BTreeSet};

use super::flags::Flags;
use super::kafka_consumer_groups::groups;
use super::{Done, Failure, Output, java, moments};
use crate::client::{Client, Spec, TopicPartitions};
use crate::types::ErrorCode;

type Offsets = BTreeMap<(String, i32), i64>;

const SCENARIOS: &[&str] =
    &["to-current", "to-latest", "by-duration", "to-datetime", "from-file", "shift-by", "to-offset", "to-earliest"];

pub fn check(flags: &Flags) -> Done {
    if !flags.has("reset-offsets") {
        return Ok(());
    }
    if flags.has("dry-run") && flags.has("execute") {
        return Err(Failure::Usage("Option [reset-offsets] only accepts one of [execute] and [dry-run]".to_owned()));
    }
    if !flags.has("dry-run") && !flags.has("execute") {
        eprintln!(
            "WARN: No action will be performed as the --execute option is missing. In version 5.0, this command will require either --dry-run or --execute to be specified. You should add the --dry-run option explicitly if you are scripting this command and want to keep the current default behavior without prompting."
        );
    }
    if flags.count(SCENARIOS) != 1 {
        let listed: Vec<String> = SCENARIOS.iter().map(|name| format!("[{name}]")).collect();
        let sentence =
            format!("Option '[reset-offsets]' requires one of the following scenarios: [{}]", listed.join(", "));
        return Err(Failure::Usage(sentence));
    }
    if !flags.has("from-file") && flags.count(&["all-topics", "topic"]) == 0 {
        return Err(Failure::Usage("One of the reset scopes should be defined: --all-topics, --topic.".to_owned()));
    }
    Ok(())
}

pub fn run(client: &mut Client, flags: &Flags, out: &mut Output) -> Done {
    let groups = groups(client, flags)?;
    let mut moved: Vec<(String, Offsets)> = Vec::new();
    for group in &groups {
        if let Some(state) = active_state(client, group)? {
            return Err(Failure::Error(format!(
                "Assignments can only be reset if the group '{group}' is inactive, but the current state is {state}."
            )));
        }
        let offsets = plan(client, flags, group, groups.len() == 1)?;
        if flags.has("execute") {
            client.commit_for(group, &offsets)?;
        }
        moved.push((group.clone(), offsets));
    }
    if flags.has("export") {
        export(&moved, out)
    } else {
        show(&moved, out)
    }
    Ok(())
}

/// The state of a group that has members; a group that is not there yet may get offsets.
fn active_state(client: &mut Client, group: &str) -> Result<Option<String>, Failure> {
    match client.describe_group(group) {
        Ok(group) => Ok((group.state != "Empty").then_some(group.state)),
        Err(error) if error.code() == Some(ErrorCode::GroupIdNotFound) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn plan(client: &mut Client, flags: &Flags, group: &str, is_only: bool) -> Result<Offsets, Failure> {
    let committed: Offsets = client.committed(group)?.into_iter().map(|(at, (offset, _))| (at, offset)).collect();
    if let Some(file) = flags.value("from-file") {
        let text =
            std::fs::read_to_string(file).map_err(|error| Failure::Error(format!("{file} cannot be read: {error}")))?;
        return within(client, from_csv(&text, group, is_only)?);
    }
    let partitions: BTreeSet<(String, i32)> = if flags.has("all-topics") {
        committed.keys().cloned().collect()
    } else {
        let named = named_partitions(client, flags)?;
        named.into_iter().flat_map(|(topic, all)| all.into_iter().map(move |one| (topic.clone(), one))).collect()
    };
    if flags.has("to-earliest") {
        return at(client, &partitions, Spec::EARLIEST);
    }
    if flags.has("to-latest") {
        return at(client, &partitions, Spec::LATEST);
    }
    if let Some(text) = flags.value("to-datetime") {
        return at(client, &partitions, Spec(moments::date_time(text).map_err(failed)?));
    }
    if let Some(text) = flags.value("by-duration") {
        let moment = client.now_ms().saturating_sub(moments::duration(text).map_err(failed)?);
        return at(client, &partitions, Spec(moment.max(0)));
    }
    if let Some(offset) = flags.number::<i64>("to-offset")? {
        return within(client, partitions.into_iter().map(|at| (at, offset)).collect());
    }
    let shift = flags.number::<i64>("shift-by")?;
    let mut target = Offsets::new();
    let mut fresh = BTreeSet::new();
    for at in partitions {
        match (committed.get(&at), shift) {
            (Some(offset), shift) => drop(target.insert(at, offset.saturating_add(shift.unwrap_or(0)))),
            (None, None) => drop(fresh.insert(at)),
            (None, Some(_)) => {
                return Err(Failure::Error(format!(
                    "Cannot shift offset for partition {}-{} since there is no current committed offset",
                    at.0, at.1
                )));
            }
        }
    }
    let mut target = within(client, target)?;
    target.extend(at(client, &fresh, Spec::LATEST)?);
    Ok(target)
}

fn failed(sentence: String) -> Failure {
    Failure::Error(format!("Executing consumer group command failed due to {sentence}"))
}

/// The partitions that `--topic` names: `t` is all of a topic, `t:0,1` two of them.
pub fn named_partitions(client: &mut Client, flags: &Flags) -> Result<TopicPartitions, Failure> {
    let mut partitions = TopicPartitions::new();
    for named in flags.values("topic") {
        let (topic, list) = named.split_once(':').map_or((named, None), |(topic, list)| (topic, Some(list)));
        let chosen = match list {
            Some(list) => {
                let bad = |_| Failure::Error(format!("Invalid topic and partition: {named}"));
                list.split(',').map(|one| one.trim().parse().map_err(bad)).collect::<Result<Vec<i32>, _>>()?
            }
            None => client
                .metadata(Some(&[topic.to_owned()]), true)?
                .iter()
                .flat_map(|topic| topic.partitions.iter().map(|partition| partition.partition_index))
                .collect(),
        };
        partitions.entry(topic.to_owned()).or_default().extend(chosen);
    }
    partitions.values_mut().for_each(|all| all.sort_unstable());
    Ok(partitions)
}

/// The offsets of a point in time; where nothing is as new, the end.
fn at(client: &mut Client, partitions: &BTreeSet<(String, i32)>, spec: Spec) -> Result<Offsets, Failure> {
    let ask = |spec: Spec| partitions.iter().map(move |at| (at.0.clone(), at.1, spec)).collect::<Vec<_>>();
    let mut offsets = Offsets::new();
    for (at, offset) in client.list_offsets(&ask(spec), false)? {
        offsets.insert(at, offset?);
    }
    if offsets.values().any(|offset| *offset < 0) {
        for (at, end) in client.list_offsets(&ask(Spec::LATEST), false)? {
            let end = end?;
            offsets.entry(at).and_modify(|offset| *offset = if *offset < 0 { end } else { *offset });
        }
    }
    Ok(offsets)
}

/// Moves what lies outside of a log to its nearer end.
fn within(client: &mut Client, wanted: Offsets) -> Result<Offsets, Failure> {
    let partitions: BTreeSet<_> = wanted.keys().cloned().collect();
    let begins = at(client, &partitions, Spec::EARLIEST)?;
    let ends = at(client, &partitions, Spec::LATEST)?;
    let clamp = |(at, offset): ((String, i32), i64)| {
        let (begin, end) = (begins.get(&at).copied().unwrap_or(0), ends.get(&at).copied().unwrap_or(0));
        let inside = offset.min(end).max(begin);
        if inside != offset {
            eprintln!(
                "WARN New offset ({offset}) is outside of {begin} to {end} on partition {}-{}. Value will be set to {inside}",
                at.0, at.1
            );
        }
        (at, inside)
    };
    Ok(wanted.into_iter().map(clamp).collect())
}

/// `topic,partition,offset`, or with the group in front where there are several.
fn from_csv(text: &str, group: &str, is_only: bool) -> Result<Offsets, Failure> {
    let mut offsets = Offsets::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let cells: Vec<&str> = line.split(',').map(str::trim).collect();
        let bad = || Failure::Error(format!("the line '{line}' is no offset: topic,partition,offset is"));
        let [topic, partition, offset] = match *cells.as_slice() {
            [topic, partition, offset] if is_only => [topic, partition, offset],
            [found, topic, partition, offset] if found == group => [topic, partition, offset],
            [_, _, _, _] => continue,
            _ => return Err(bad()),
        };
        let at = (topic.to_owned(), partition.parse().map_err(|_| bad())?);
        offsets.insert(at, offset.parse().map_err(|_| bad())?);
    }
    Ok(offsets)
}

fn in_order(offsets: &Offsets) -> Vec<(&(String, i32), &i64)> {
    java::hash_order_by(offsets.iter().collect(), |((topic, partition), _)| java::partition_hash(topic, *partition))
}

fn export(moved: &[(String, Offsets)], out: &mut Output) {
    for (group, offsets) in moved {
        for ((topic, partition), offset) in in_order(offsets) {
            let row = format!("{topic},{partition},{offset}");
            out.line(if moved.len() > 1 { format!("{group},{row}") } else { row });
        }
    }
    out.line("");
}

fn show(moved: &[(String, Offsets)], out: &mut Output) {
    let wide = |names: Vec<&String>| names.iter().map(|name| name.len()).max().unwrap_or(0).max(15);
    let groups = wide(moved.iter().map(|(group, _)| group).collect());
    let topics = wide(moved.iter().flat_map(|(_, offsets)| offsets.keys().map(|at| &at.0)).collect());
    out.line(format!("\n{:groups$} {:topics$} {:10} NEW-OFFSET", "GROUP", "TOPIC", "PARTITION"));
    for (group, offsets) in moved {
        for ((topic, partition), offset) in in_order(offsets) {
            out.line(format!("{group:groups$} {topic:topics$} {partition:<10} {offset}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_with_and_without_groups() {
        let one = from_csv("t,0,5\n\nt,1,6\n", "g", true).ok().unwrap();
        assert_eq!(one, Offsets::from([(("t".to_owned(), 0), 5), (("t".to_owned(), 1), 6)]));
        let two = from_csv("g,t,0,5\nh,t,0,9\n", "g", false).ok().unwrap();
        assert_eq!(two, Offsets::from([(("t".to_owned(), 0), 5)]));
        assert!(from_csv("t,0\n", "g", true).is_err());
    }
}
