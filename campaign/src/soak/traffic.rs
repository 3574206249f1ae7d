//! The load of a soak beside the groups, which are those of the kill loop.

use std::time::{Duration, Instant};

use kafka_protocol::messages as m;

use crate::check::{Fault, Read};
use crate::client::{Connection, Lost, text};
use crate::dice::Dice;
use crate::producers::produce;
use crate::readers::{Fetched, fetch};
use crate::records::{RecordId, Signature};
use crate::soak::Soak;
use crate::stage::COMPACTED;

/// Records of one batch, at most.
const MOST_RECORDS: u64 = 60;
/// Between two requests of a writer, at most; half of it on average.
const REST: u64 = 250;
/// An idempotent writer is another one after so many requests.
const REQUESTS_OF_A_PRODUCER: u32 = 500;
/// Connections that stay, beside those that go at once.
const GUESTS: usize = 20;

/// Writes to some places until the end, each request one batch for each of them.
pub fn write(soak: &Soak, places: &[u16], is_idempotent: bool) {
    let stage = &soak.stage;
    let mut dice = Dice::named(stage.seed, 0x8000 + u64::from(places[0]));
    stage.through_all_lives(&format!("writer of {places:?}"), |connection| {
        while !stage.is_finishing() {
            let producer = if is_idempotent { Some(identity(connection)?) } else { None };
            let mut sequence = vec![0; places.len()];
            for _ in 0..REQUESTS_OF_A_PRODUCER {
                if stage.is_finishing() {
                    break;
                }
                write_once(soak, connection, places, producer, &mut sequence, &mut dice)?;
                std::thread::sleep(Duration::from_millis(dice.below(REST)));
            }
        }
        Ok(())
    });
}

fn identity(connection: &mut Connection) -> Result<(i64, i16), Lost> {
    let request = m::InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_transaction_timeout_ms(60_000)
        .with_producer_id(m::ProducerId(-1))
        .with_producer_epoch(-1);
    let answer = connection.ask(4, &request)?;
    if answer.error_code != 0 {
        return Err(Lost::Garbled(format!("InitProducerId answers {}", answer.error_code)));
    }
    Ok((answer.producer_id.0, answer.producer_epoch))
}

fn write_once(
    soak: &Soak,
    connection: &mut Connection,
    places: &[u16],
    producer: Option<(i64, i16)>,
    sequence: &mut [i32],
    dice: &mut Dice,
) -> Result<(), Lost> {
    let mut batches = Vec::new();
    let mut due = Vec::new();
    for (&place, sequence) in places.iter().zip(sequence) {
        let count = dice.uneven(MOST_RECORDS) as u32;
        let number = *soak.written[usize::from(place)].lock().expect("no holder panics");
        let signature = producer.map(|(producer_id, epoch)| Signature { producer_id, epoch, base_sequence: *sequence });
        batches.push((place, soak.stage.texts.batch(RecordId { author: place, place, number }, count, signature)));
        due.push((place, number, count));
        *sequence += count as i32;
    }
    let sent = Instant::now();
    let response = connection.ask(9, &produce(&batches))?;
    soak.latencies.note(sent.elapsed());
    for (place, answer) in crate::producers::by_place(&response) {
        let Some((_, number, count)) = due.iter().find(|due| due.0 == place) else { continue };
        if answer.error_code != 0 || answer.base_offset != i64::from(*number) {
            let story =
                format!("{place}: record {number} is answered {} and {}", answer.error_code, answer.base_offset);
            soak.stage.find(Fault::Unexpected, story);
        }
        *soak.written[usize::from(place)].lock().expect("no holder panics") = number + count;
        soak.stage.marks[usize::from(place)].raise_high_watermark(i64::from(number + count));
        soak.stage.acked(u64::from(*count));
    }
    Ok(())
}

/// Reads every record of the plain places as it comes, and the compacted place from end to end now and then.
pub fn follow(soak: &Soak) {
    let stage = &soak.stage;
    let mut positions = vec![0; usize::from(COMPACTED)];
    let mut last_whole = Instant::now();
    stage.through_all_lives("follower", |connection| {
        loop {
            let is_last_round = stage.is_finishing();
            for (place, position) in (0..).zip(&mut positions) {
                follow_one(soak, connection, place, position, is_last_round)?;
            }
            if is_last_round || last_whole.elapsed() > Duration::from_secs(120) {
                last_whole = Instant::now();
                check_compacted(soak, connection)?;
            }
            if is_last_round {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    });
}

/// Reads on in one place: once, or in the last round as far as was acknowledged.
fn follow_one(
    soak: &Soak,
    connection: &mut Connection,
    place: u16,
    position: &mut i64,
    to_the_end: bool,
) -> Result<(), Lost> {
    loop {
        let acked = i64::from(*soak.written[usize::from(place)].lock().expect("no holder panics"));
        let mut read = Read::default();
        match fetch(&soak.stage, connection, place, *position, 1 << 20, Some(&mut read))? {
            Fetched::Records { next, .. } => *position = next,
            Fetched::Trimmed => soak.stage.find(Fault::Lost, format!("{place}@{position} went before it was read")),
            Fetched::Nothing { .. } | Fetched::NotYet => {}
        }
        for seen in &read.records {
            if seen.id.map(|id| i64::from(id.number)) != Some(seen.offset) {
                soak.stage.find(Fault::Reordered, format!("{place}@{} holds {:?}", seen.offset, seen.id));
            }
        }
        if !to_the_end || *position >= acked || !soak.stage.findings().is_empty() {
            return Ok(());
        }
    }
}

/// The last acknowledged record of every key is there.
fn check_compacted(soak: &Soak, connection: &mut Connection) -> Result<(), Lost> {
    let acked = *soak.written[usize::from(COMPACTED)].lock().expect("no holder panics");
    let texts = &soak.stage.texts;
    let id = |number| RecordId { author: COMPACTED, place: COMPACTED, number };
    let log = read_compacted(soak, connection)?;
    let mut newest = std::collections::BTreeMap::new();
    for seen in &log.records {
        if let Some(found) = seen.id {
            newest.insert(texts.key_of(found), found.number);
        }
    }
    // Every key was written among so many last records, or else very likely so; older ones cost the time of the whole run.
    for number in acked.saturating_sub(5_000)..acked {
        let key = texts.key_of(id(number));
        if newest.get(&key).is_none_or(|newest| *newest < number) {
            soak.stage
                .find(Fault::Lost, format!("key {key}: record {number}, the newest there is {:?}", newest.get(&key)));
        }
    }
    Ok(())
}

/// Writers and the cleaner go on meanwhile, so the end is where it was when the reading began.
fn read_compacted(soak: &Soak, connection: &mut Connection) -> Result<Read, Lost> {
    let mut read = Read { is_compacted: true, ..Read::default() };
    let end = i64::from(*soak.written[usize::from(COMPACTED)].lock().expect("no holder panics"));
    let mut from = 0;
    while from < end {
        match fetch(&soak.stage, connection, COMPACTED, from, 1 << 20, Some(&mut read))? {
            Fetched::Records { next, .. } => from = next,
            Fetched::Nothing { .. } | Fetched::Trimmed => break,
            Fetched::NotYet => {}
        }
    }
    Ok(read)
}

/// Connections that say hello and go, and some that stay for a while.
pub fn come_and_go(soak: &Soak, port: u16) {
    let stage = &soak.stage;
    let mut dice = Dice::named(stage.seed, 0x9000);
    let mut guests: Vec<Connection> = Vec::new();
    stage.through_all_lives("guest", |_| {
        while !stage.is_finishing() {
            let mut guest = Connection::open(port)?;
            let hello = m::ApiVersionsRequest::default()
                .with_client_software_name(text("soak"))
                .with_client_software_version(text("1"));
            guest.ask(3, &hello)?;
            guest.ask(9, &m::MetadataRequest::default().with_topics(None))?;
            if guests.len() < GUESTS {
                guests.push(guest);
            } else {
                let leaves = dice.index(GUESTS);
                guests[leaves] = guest;
            }
            std::thread::sleep(Duration::from_millis(dice.below(600)));
        }
        Ok(())
    });
}
