//! Those who read: forward, back again at random, and at the end everything. Each keeps what it read for the next life to be
//! compared with.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages as m;

use crate::check::{Fault, Read};
use crate::client::{Connection, Lost, code, topic};
use crate::dice::Dice;
use crate::stage::{COMPACTED, PLACES, Stage};

/// What a fetch gave.
pub enum Fetched {
    Records {
        next: i64,
        high_watermark: i64,
    },
    /// Nothing to read there now.
    Nothing {
        high_watermark: i64,
    },
    /// The offset is before the log start, which has moved.
    Trimmed,
    /// The broker has just started.
    NotYet,
}

/// One fetch of one partition, judged by everything that is known of it.
pub fn fetch(
    stage: &Stage,
    connection: &mut Connection,
    place: u16,
    from: i64,
    max_bytes: i32,
    keep: Option<&mut Read>,
) -> Result<Fetched, Lost> {
    let (name, partition) = PLACES[usize::from(place)];
    let mark = &stage.marks[usize::from(place)];
    let floor = mark.floor();
    let wanted = m::fetch_request::FetchPartition::default()
        .with_partition(partition)
        .with_fetch_offset(from)
        .with_partition_max_bytes(max_bytes);
    let wanted = m::fetch_request::FetchTopic::default().with_topic(topic(name)).with_partitions(vec![wanted]);
    let request = m::FetchRequest::default()
        .with_max_wait_ms(20)
        .with_min_bytes(1)
        .with_max_bytes(max_bytes)
        .with_session_epoch(-1)
        .with_topics(vec![wanted]);
    let response = connection.ask(12, &request)?;
    let Some(answer) = response.responses.first().and_then(|topic| topic.partitions.first()) else {
        stage.find(Fault::Unexpected, format!("Fetch leaves out partition {place} ({})", response.error_code));
        return Ok(Fetched::NotYet);
    };
    match answer.error_code {
        0 => {}
        code::OFFSET_OUT_OF_RANGE => {
            if from >= mark.trim_requested.load(std::sync::atomic::Ordering::SeqCst) {
                stage.find(Fault::Lost, format!("{place}: offset {from} is out of range; it was below {floor:?}"));
            }
            return Ok(Fetched::Trimmed);
        }
        code if code::is_passing(code) => return Ok(Fetched::NotYet),
        code => {
            stage.find(Fault::Unexpected, format!("Fetch of {place} from {from} answers {code}"));
            return Ok(Fetched::NotYet);
        }
    }
    stage.judge_marks(place, floor, answer.log_start_offset, answer.high_watermark);
    if answer.last_stable_offset > answer.high_watermark {
        let story = format!("{place}: stable {} above {}", answer.last_stable_offset, answer.high_watermark);
        stage.find(Fault::WentBack, story);
    }
    let records = answer.records.clone().unwrap_or_else(Bytes::new);
    let (seen, next) = match stage.texts.read(place, from, &records) {
        Ok(read) => read,
        Err(what) => {
            stage.find(Fault::Gap, format!("{place}: {what}"));
            return Ok(Fetched::NotYet);
        }
    };
    let Some(next) = next else {
        if from < floor.high_watermark {
            let story = format!("{place}: nothing at {from}, below the high watermark {}", floor.high_watermark);
            stage.find(Fault::Lost, story);
        }
        return Ok(Fetched::Nothing { high_watermark: answer.high_watermark });
    };
    if next > answer.high_watermark {
        stage.find(Fault::Unexpected, format!("{place}: served up to {next} above {} (I7)", answer.high_watermark));
    }
    stage.witness(place, &seen);
    if let Some(read) = keep {
        read.records.extend(seen);
    }
    Ok(Fetched::Records { next, high_watermark: answer.high_watermark })
}

/// Reads through all lives.
pub fn reader(stage: &Stage, name: u64) {
    let mut dice = Dice::named(stage.seed, 0x4000 + name);
    let mut positions = vec![0; PLACES.len()];
    stage.through_all_lives(&format!("reader {name}"), |connection| {
        while !stage.is_finishing() {
            let place = dice.index(PLACES.len());
            let floor = stage.marks[place].floor();
            let looks_back = dice.chance(25);
            let behind = (positions[place] - floor.log_start).max(0);
            let from = if looks_back { floor.log_start + dice.below(behind as u64) as i64 } else { positions[place] };
            let max_bytes = dice.uneven(1 << 20) as i32;
            match fetch(stage, connection, place as u16, from, max_bytes, None)? {
                Fetched::Records { next, .. } if !looks_back => positions[place] = next,
                Fetched::Records { .. } => {}
                Fetched::Nothing { .. } => stage.pause(Duration::from_millis(dice.below(5))),
                Fetched::Trimmed => positions[place] = positions[place].max(stage.marks[place].floor().log_start),
                Fetched::NotYet => stage.pause(Duration::from_millis(20)),
            }
            stage.pause(Duration::from_millis(dice.below(6)));
        }
        Ok(())
    });
}

/// A partition from its log start to its high watermark, while nobody writes.
pub fn read_all(stage: &Stage, connection: &mut Connection, place: u16) -> Result<Read, Lost> {
    let start = list_offset(stage, connection, place, EARLIEST)?;
    let end = list_offset(stage, connection, place, LATEST)?;
    stage.judge_marks(place, stage.marks[usize::from(place)].floor(), start, end);
    let mut read = Read { start, end, is_compacted: place == COMPACTED, records: Vec::new() };
    let mut from = start;
    while from < end {
        match fetch(stage, connection, place, from, 4 << 20, Some(&mut read))? {
            Fetched::Records { next, high_watermark } => {
                from = next;
                if high_watermark != end {
                    stage.find(Fault::WentBack, format!("{place}: the log ends at {end} and then at {high_watermark}"));
                }
            }
            Fetched::Nothing { high_watermark } => {
                stage
                    .find(Fault::Lost, format!("{place}: nothing at {from} of {end}, high watermark {high_watermark}"));
                break;
            }
            Fetched::Trimmed => break,
            Fetched::NotYet => stage.pause(Duration::from_millis(20)),
        }
    }
    Ok(read)
}

pub const LATEST: i64 = -1;
const EARLIEST: i64 = -2;

pub fn list_offset(stage: &Stage, connection: &mut Connection, place: u16, timestamp: i64) -> Result<i64, Lost> {
    let (name, partition) = PLACES[usize::from(place)];
    let wanted = m::list_offsets_request::ListOffsetsPartition::default()
        .with_partition_index(partition)
        .with_current_leader_epoch(-1)
        .with_timestamp(timestamp);
    let wanted =
        m::list_offsets_request::ListOffsetsTopic::default().with_name(topic(name)).with_partitions(vec![wanted]);
    let request = m::ListOffsetsRequest::default().with_replica_id(m::BrokerId(-1)).with_topics(vec![wanted]);
    loop {
        let response = connection.ask(7, &request)?;
        let answer = &response.topics[0].partitions[0];
        match answer.error_code {
            0 => return Ok(answer.offset),
            code if code::is_passing(code) => stage.pause(Duration::from_millis(20)),
            code => {
                stage.find(Fault::Unexpected, format!("ListOffsets of {place} answers {code}"));
                return Err(Lost::Garbled(format!("no offset of {place}")));
            }
        }
    }
}
