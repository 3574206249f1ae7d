//! A consumer without a group: long polls over some partitions, from where it is, sometimes again from the start.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kafka_protocol::messages as m;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};

use super::audit::{EARLIEST, list_offset};
use super::caller::{Caller, Lost, topic_name};
use super::codes::{KAFKA_STORAGE_ERROR, OFFSET_OUT_OF_RANGE};
use super::history::{Place, Standing};
use super::life::{Actor, Life};
use super::world::World;
use crate::net::BoxFuture;
use crate::record::Header;
use crate::testing::seed::Seed;

/// What a fetch gave of one partition.
pub struct Piece {
    pub place: Place,
    pub code: i16,
    /// Offsets and numbers of the records from the wanted offset on.
    pub records: Vec<Standing>,
    /// Where to go on.
    pub next: i64,
}

/// Fetches from several partitions at once and holds every record against the history.
pub async fn fetch(
    life: &Arc<Life>,
    caller: &mut Caller,
    wanted: &[(Place, i64)],
    max_wait_ms: i32,
    max_bytes: i32,
) -> Result<Vec<Piece>, Lost> {
    let topics = wanted.iter().map(|(place, offset)| {
        let partition = FetchPartition::default()
            .with_partition(place.1)
            .with_fetch_offset(*offset)
            .with_partition_max_bytes(max_bytes);
        let name = topic_name(&life.world.plan.topic(place.0).name);
        FetchTopic::default().with_topic(name).with_partitions(vec![partition])
    });
    let request = m::FetchRequest::default()
        .with_replica_id((-1).into())
        .with_max_wait_ms(max_wait_ms)
        .with_min_bytes(1)
        .with_max_bytes(max_bytes)
        .with_topics(topics.collect());
    let response = caller.ask(11, &request).await?;
    life.check();
    let mut pieces = Vec::new();
    for (place, answer) in answers(life, &response) {
        let Some((_, offset)) = wanted.iter().find(|(other, _)| *other == place) else {
            life.world.violated(format!("a fetch is answered with {place:?}, which it did not ask for"));
            return Err(Lost);
        };
        let mut piece = Piece { place, code: answer.error_code, records: Vec::new(), next: *offset };
        if piece.code == 0 {
            let read = take_in(life, &mut piece, answer.records.as_deref().unwrap_or_default(), answer.high_watermark);
            if let Err(what) = read {
                life.world.violated(what);
                return Err(Lost);
            }
        }
        pieces.push(piece);
    }
    Ok(pieces)
}

/// What an answer says, partition by partition.
fn answers<'a>(
    life: &'a Life,
    response: &'a m::FetchResponse,
) -> impl Iterator<Item = (Place, &'a m::fetch_response::PartitionData)> {
    response.responses.iter().flat_map(|topic| {
        let topics = &life.world.plan.topics;
        let number = topics.iter().position(|known| known.name == topic.topic.0.as_str()).unwrap_or(usize::MAX);
        topic.partitions.iter().map(move |answer| ((number as u32, answer.partition_index), answer))
    })
}

fn take_in(life: &Life, piece: &mut Piece, mut bytes: &[u8], high_watermark: i64) -> Result<(), String> {
    let place = piece.place;
    let wanted = piece.next;
    while let Ok(header) = Header::read(bytes) {
        let Some(batch) = bytes.get(..header.size()) else { break };
        let shown = life.world.history(|history| {
            let records = history.read(place, header.base_offset.0, batch)?;
            piece.records.extend(records.iter().filter(|(offset, _)| *offset >= wanted));
            Ok(records.last().map_or(-1, |(offset, _)| *offset))
        });
        if let Some(offset) = shown.filter(|offset| *offset >= high_watermark) {
            return Err(format!("I7: {offset} of {place:?} was shown at high watermark {high_watermark}"));
        }
        piece.next = piece.next.max(header.next_offset().0);
        bytes = &bytes[header.size()..];
    }
    life.world.count("records read", piece.records.len() as u64);
    let is_dense = piece.records.iter().zip(wanted..).all(|((offset, _), expected)| *offset == expected);
    if !is_dense && !life.world.plan.topic(place.0).compacted {
        return Err(format!("I4: a fetch at {wanted} of {place:?} left something out: {:?}", piece.records));
    }
    life.world.history(|history| {
        let known = history.place(place);
        known.end = known.end.max(piece.next);
        Ok(())
    });
    Ok(())
}

pub struct Reader {
    state: Mutex<State>,
}

struct State {
    dice: Seed,
    positions: Vec<(Place, i64)>,
    polls: u64,
}

impl Reader {
    pub fn new(world: &World) -> Reader {
        let mut dice = world.fork();
        let mut positions = Vec::new();
        for (number, topic) in world.plan.topics.iter().enumerate() {
            for partition in 0..topic.partitions {
                if number == 0 || dice.one_in(2) {
                    positions.push(((number as u32, partition), 0));
                }
            }
        }
        Reader { state: Mutex::new(State { dice, positions, polls: 0 }) }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    async fn work_on(&self, life: &Arc<Life>, caller: &mut Caller) -> Result<(), Lost> {
        loop {
            self.poll(life, caller).await?;
            let pause = self.state().dice.below(1_000);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    async fn poll(&self, life: &Arc<Life>, caller: &mut Caller) -> Result<(), Lost> {
        let (wanted, max_wait_ms, max_bytes) = {
            let mut state = self.state();
            if state.dice.one_in(200) {
                state.positions.iter_mut().for_each(|(_, position)| *position = 0);
            }
            let max_wait_ms = [0, 500, 5_000][state.dice.below(3) as usize];
            let max_bytes = [1, 1_000, 50_000][state.dice.below(3) as usize];
            // The first with records gives the most: each has its turn.
            state.positions.rotate_left(1);
            (state.positions.clone(), max_wait_ms, max_bytes)
        };
        for piece in fetch(life, caller, &wanted, max_wait_ms, max_bytes).await? {
            match piece.code {
                0 => self.go_to(piece.place, piece.next),
                OFFSET_OUT_OF_RANGE => self.begin_again(life, caller, piece.place, piece.next).await?,
                KAFKA_STORAGE_ERROR => {}
                code => life.world.violated(format!("a fetch from {:?} is answered with {code}", piece.place)),
            }
        }
        self.state().polls += 1;
        Ok(())
    }

    fn go_to(&self, place: Place, position: i64) {
        let mut state = self.state();
        state.positions.iter_mut().filter(|(other, _)| *other == place).for_each(|(_, at)| *at = position);
    }

    /// Out of range is only what was deleted at the front: the end never falls below what was read (I6, I13).
    async fn begin_again(&self, life: &Arc<Life>, caller: &mut Caller, place: Place, at: i64) -> Result<(), Lost> {
        let topic = life.world.plan.topic(place.0).name.clone();
        let (code, start, _) = list_offset(caller, &topic, place.1, EARLIEST).await?;
        if code == 0 && start <= at {
            life.world
                .violated(format!("I13: {at} of {place:?} was read up to and is out of range; it starts at {start}"));
        }
        if code == 0 {
            self.go_to(place, start);
        }
        Ok(())
    }
}

impl Actor for Reader {
    fn session<'a>(&'a self, life: &'a Arc<Life>, caller: &'a mut Caller) -> BoxFuture<'a, Result<(), Lost>> {
        Box::pin(self.work_on(life, caller))
    }

    fn pause_ms(&self, _: &Life) -> u64 {
        20 + self.state().dice.below(1_000)
    }

    fn progress(&self) -> u64 {
        self.state().polls
    }

    fn name(&self) -> String {
        "a reader".into()
    }
}
