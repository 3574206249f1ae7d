//! Producers: idempotent ones, which send what had no answer again until it has one; and plain ones, which do not.

use super::{INPUTS, Recorder, TOPIC, partition};
use crate::batch::{self, Producer};
use crate::client::{Connection, code_of};
use crate::history::{Event, Function, Key, Operation, Outcome};
use crate::random::Random;

/// Records in one batch at most.
const BATCH: usize = 600;
/// The broker has the batch already, and does not remember where.
const DUPLICATE_SEQUENCE_NUMBER: i16 = 46;

pub fn idempotent(recorder: &mut Recorder<'_>, mut random: Random, _index: usize) {
    let process = recorder.stage.process();
    let mut sequences = [0i32; INPUTS as usize];
    let Some((mut connection, producer)) = identify(recorder) else { return };
    while !recorder.stage.is_over() {
        let key = random.below(INPUTS as usize) as Key;
        let values = recorder.stage.values(1 + random.below(BATCH));
        let sequence = &mut sequences[key as usize];
        let bytes = batch::build(&values, Producer { sequence: *sequence, ..producer });
        *sequence += values.len() as i32;
        let mut operation = send(process, key, &values);
        recorder.begin(&mut operation);
        // To the end, also when it is over: an answer is due.
        loop {
            match connection.produce(TOPIC, partition(key), &bytes) {
                Ok(base) => break acknowledged(&mut operation, Some(base)),
                Err(error) => match code_of(&error) {
                    Some(DUPLICATE_SEQUENCE_NUMBER) => break acknowledged(&mut operation, None),
                    Some(code) if !is_passing(code) => {
                        recorder
                            .stage
                            .find(format!("an idempotent producer was refused with error {code} on key {key}"));
                        return recorder.end(&mut operation);
                    }
                    _ => match reconnect(recorder) {
                        Some(again) => connection = again,
                        None => return recorder.end(&mut operation),
                    },
                },
            }
        }
        recorder.end(&mut operation);
    }
}

fn identify(recorder: &Recorder<'_>) -> Option<(Connection, Producer)> {
    loop {
        let mut connection = recorder.stage.connect()?;
        if let Ok(producer) = connection.producer_id() {
            return Some((connection, producer));
        }
    }
}

/// The broker is started again also when all is over: the last polls need it.
fn reconnect(recorder: &Recorder<'_>) -> Option<Connection> {
    for _ in 0..3_000 {
        if let Ok(connection) = Connection::open(recorder.stage.port) {
            return Some(connection);
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    None
}

/// What a client may simply try again: the partition is not led here yet, or the disk was slow.
pub fn is_passing(code: i16) -> bool {
    matches!(code, 3 | 5 | 6 | 7 | 14 | 15 | 16)
}

pub fn send(process: u32, key: Key, values: &[u64]) -> Operation {
    let events = values.iter().map(|value| Event::send(key, *value, None)).collect();
    Operation::new(process, Outcome::Info, Function::Send, events)
}

pub fn acknowledged(operation: &mut Operation, base: Option<i64>) {
    operation.outcome = Outcome::Ok;
    for (index, event) in operation.events.iter_mut().enumerate() {
        event.offset = base.map(|base| base + index as i64);
    }
}

pub fn plain(recorder: &mut Recorder<'_>, mut random: Random, _index: usize) {
    let mut process = recorder.stage.process();
    let Some(mut connection) = recorder.stage.connect() else { return };
    while !recorder.stage.is_over() {
        let key = random.below(INPUTS as usize) as Key;
        let values = recorder.stage.values(1 + random.below(BATCH));
        let mut operation = send(process, key, &values);
        recorder.begin(&mut operation);
        match connection.produce(TOPIC, partition(key), &batch::build(&values, batch::PLAIN)) {
            Ok(base) => acknowledged(&mut operation, Some(base)),
            // Nothing of it was written.
            Err(error) if code_of(&error).is_some_and(|code| matches!(code, 3 | 5 | 6)) => {
                operation.outcome = Outcome::Fail
            }
            Err(_) => {
                // It may land yet, behind what comes now: so who sends now is somebody else.
                recorder.end(&mut operation);
                process = recorder.stage.process();
                let Some(again) = recorder.stage.connect() else { return };
                connection = again;
                continue;
            }
        }
        recorder.end(&mut operation);
    }
}
