//! Members of a group: each reads the keys it is given from where the group has committed, sends something for what it read, and
//! commits. What was committed and acknowledged must be found again by whoever has the key next.

use std::io;

use super::{GROUP, INPUTS, KEYS, Recorder, TOPIC, consumers, partition, producers};
use crate::batch;
use crate::client::{Connection, Joined, code_of};
use crate::history::{Function, Key, Operation, Outcome};
use crate::random::Random;

/// Records sent for one poll at most.
const ANSWERS: usize = 50;
const MEMBER_ID_REQUIRED: i16 = 79;

pub fn member(recorder: &mut Recorder<'_>, mut random: Random, index: usize) {
    let process = recorder.stage.process();
    let mut member = String::new();
    while let Some(mut connection) = recorder.stage.connect() {
        // A generation, until something ends it: a rebalance, a kill.
        let ended = generation(recorder, &mut connection, process, &mut member, &mut random, index);
        if let Some(code) = code_of(&ended.err().unwrap_or_else(|| io::ErrorKind::Other.into()))
            && !is_expected(code)
        {
            recorder.stage.find(format!("a group member was refused with error {code}"));
            return;
        }
    }
}

/// The coordinator is starting, a rebalance goes on, or the member is not known any more.
fn is_expected(code: i16) -> bool {
    producers::is_passing(code) || matches!(code, 22 | 25 | 27 | MEMBER_ID_REQUIRED)
}

fn generation(
    recorder: &mut Recorder<'_>,
    connection: &mut Connection,
    process: u32,
    member: &mut String,
    random: &mut Random,
    index: usize,
) -> io::Result<()> {
    let joined = connection.join(GROUP, member).inspect_err(|error| {
        if code_of(error) == Some(25) {
            member.clear();
        }
    })?;
    *member = joined.member.clone();
    let keys: Vec<Key> = connection.sync(GROUP, &joined, &shares(&joined))?.into_iter().map(Key::from).collect();
    let mut operation = Operation::new(process, Outcome::Ok, Function::Subscribe, Vec::new());
    operation.keys.clone_from(&keys);
    recorder.end(&mut operation);
    let mut positions = positions(recorder, connection, &keys)?;
    // Leaves now and then, so that there are rebalances without kills.
    for _ in 0..50 + random.below(200) {
        if recorder.stage.is_over() {
            return Ok(());
        }
        connection.heartbeat(GROUP, &joined)?;
        let polled =
            consumers::poll(recorder, connection, process, Function::Poll, &mut positions, 1 << (11 + random.below(6)));
        let events = polled.map_err(io::Error::other)?;
        if events.is_empty() {
            continue;
        }
        let key = INPUTS + (index as u32 + events.len() as u32) % (KEYS - INPUTS);
        answer(recorder, connection, key, events.len().min(ANSWERS))?;
        commit(recorder, connection, &joined, &positions)?;
    }
    Ok(())
}

/// Who leads gives every input key to one member, by turns.
fn shares(joined: &Joined) -> Vec<(String, Vec<u8>)> {
    let count = joined.members.len() as u32;
    let share = |place: u32| (0..INPUTS).filter(|key| key % count == place).map(|key| key as u8).collect();
    joined.members.iter().zip(0..).map(|(member, place)| (member.clone(), share(place))).collect()
}

/// Where the group has committed; never before what was acknowledged when we asked.
fn positions(recorder: &Recorder<'_>, connection: &mut Connection, keys: &[Key]) -> io::Result<Vec<(Key, i64)>> {
    let acknowledged = lock(recorder).clone();
    let partitions: Vec<i32> = keys.iter().map(|key| partition(*key)).collect();
    let committed = connection.committed(GROUP, TOPIC, &partitions)?;
    for (key, offset) in keys.iter().zip(&committed) {
        let before = acknowledged[*key as usize];
        if *offset < before {
            recorder.stage.find(format!("the group's offset of key {key} is {offset}, and {before} was committed"));
        }
    }
    Ok(keys.iter().copied().zip(committed.into_iter().map(|offset| offset.max(0))).collect())
}

fn lock<'a>(recorder: &'a Recorder<'_>) -> std::sync::MutexGuard<'a, Vec<i64>> {
    recorder.stage.committed.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn commit(
    recorder: &Recorder<'_>,
    connection: &mut Connection,
    joined: &Joined,
    positions: &[(Key, i64)],
) -> io::Result<()> {
    let offsets: Vec<(i32, i64)> = positions.iter().map(|(key, offset)| (partition(*key), *offset)).collect();
    connection.commit(GROUP, joined, TOPIC, &offsets)?;
    recorder.stage.commits.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let mut committed = lock(recorder);
    for (key, offset) in positions {
        // Whoever lost the key is refused, so offsets of one key only grow.
        committed[*key as usize] = committed[*key as usize].max(*offset);
    }
    Ok(())
}

/// Something for what was read, by a plain producer of its own each time it fails.
fn answer(recorder: &mut Recorder<'_>, connection: &mut Connection, key: Key, count: usize) -> io::Result<()> {
    let values = recorder.stage.values(count);
    let mut operation = producers::send(recorder.stage.process(), key, &values);
    recorder.begin(&mut operation);
    let sent = connection.produce(TOPIC, partition(key), &batch::build(&values, batch::PLAIN));
    if let Ok(base) = &sent {
        producers::acknowledged(&mut operation, Some(*base));
    }
    recorder.end(&mut operation);
    sent.map(drop)
}
