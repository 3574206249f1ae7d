//! Consumers that assign themselves keys, go on where they were, sometimes take others, and sometimes begin anew; and those that
//! read everything at the end.

use std::time::{Duration, Instant};

use super::{KEYS, Recorder, TOPIC, partition};
use crate::batch;
use crate::client::Connection;
use crate::history::{Event, Function, Key, Operation, Outcome};
use crate::random::Random;

/// A partition that is read through to its end must have got there by then.
const LAST_POLLS: Duration = Duration::from_secs(120);

/// A key and the offset that is read next.
type Positions = Vec<(Key, i64)>;

pub fn consume(recorder: &mut Recorder<'_>, mut random: Random, _index: usize) {
    let mut process = recorder.stage.process();
    let mut positions = Positions::new();
    let Some(mut connection) = recorder.stage.connect() else { return };
    let mut polls = 0;
    while !recorder.stage.is_over() {
        if polls % 64 == 0 {
            if random.one_in(4) {
                process = recorder.stage.process();
                positions.clear();
            }
            positions = assign(recorder, process, &positions, &mut random);
        }
        polls += 1;
        let max_bytes = 2_000 << random.below(7);
        if poll(recorder, &mut connection, process, Function::Poll, &mut positions, max_bytes).is_err() {
            let Some(again) = recorder.stage.connect() else { return };
            connection = again;
        }
    }
}

/// Takes up to four keys; those it had go on, others begin anywhere. They look for an end that a poll from there shows.
fn assign(recorder: &mut Recorder<'_>, process: u32, before: &Positions, random: &mut Random) -> Positions {
    let mut keys: Vec<Key> = (0..1 + random.below(4)).map(|_| random.below(KEYS as usize) as Key).collect();
    keys.extend(before.first().map(|(key, _)| *key));
    keys.sort_unstable();
    keys.dedup();
    let known = |key: Key| before.iter().find(|(known, _)| *known == key).map(|(_, offset)| *offset);
    let positions = keys.iter().map(|key| (*key, known(*key).unwrap_or(0))).collect();
    let mut operation = Operation { keys, ..Operation::new(process, Outcome::Ok, Function::Assign, Vec::new()) };
    recorder.end(&mut operation);
    positions
}

/// One poll of all positions, which move on. Told only if it brought something.
pub fn poll(
    recorder: &mut Recorder<'_>,
    connection: &mut Connection,
    process: u32,
    function: Function,
    positions: &mut Positions,
    max_bytes: i32,
) -> Result<Vec<Event>, String> {
    let from: Vec<(&str, i32, i64)> = positions.iter().map(|(key, offset)| (TOPIC, partition(*key), *offset)).collect();
    let answers = connection.fetch(&from, max_bytes, 100).map_err(|error| error.to_string())?;
    let mut events = Vec::new();
    for ((key, offset), records) in positions.iter_mut().zip(answers) {
        let bytes = match records {
            Ok(bytes) => bytes,
            Err(code) if super::producers::is_passing(code) => continue,
            Err(code) => {
                recorder.stage.find(format!("a fetch of key {key} at offset {offset} was refused with error {code}"));
                return Err("refused".into());
            }
        };
        match batch::read(&bytes, *offset) {
            Ok((found, next)) => {
                events.extend(found.into_iter().map(|(offset, value)| Event::poll(*key, value, offset)));
                *offset = next;
            }
            Err(reason) => recorder.stage.find(format!("key {key}: {reason}")),
        }
    }
    if !events.is_empty() {
        recorder.end(&mut Operation::new(process, Outcome::Ok, function, events.clone()));
    }
    Ok(events)
}

/// Reads every key from its start up to where it ends.
pub fn read_everything(recorder: &mut Recorder<'_>) -> Result<(), String> {
    let told = |error: std::io::Error| error.to_string();
    let began = Instant::now();
    let mut connection = Connection::open(recorder.stage.port).map_err(told)?;
    for key in 0..KEYS {
        let process = recorder.stage.process();
        let assign = Operation::new(process, Outcome::Ok, Function::Assign, Vec::new());
        recorder.end(&mut Operation { keys: vec![key], ..assign });
        let end = connection.end_offset(TOPIC, partition(key)).map_err(told)?;
        let mut positions = vec![(key, 0)];
        while positions[0].1 < end {
            if began.elapsed() > LAST_POLLS {
                return Err(format!("key {key} was read up to {} of {end} when the time was up", positions[0].1));
            }
            poll(recorder, &mut connection, process, Function::Poll, &mut positions, 1 << 20)?;
        }
    }
    Ok(())
}
