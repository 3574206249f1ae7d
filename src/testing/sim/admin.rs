//! An operator: deletes records, changes settings that change nothing for the clients, asks for offsets by time.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use kafka_protocol::messages as m;
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};

use super::audit::list_offset;
use super::caller::{Caller, Lost, text, topic_name};
use super::codes::{KAFKA_STORAGE_ERROR, POLICY_VIOLATION, REQUEST_TIMED_OUT, passes};
use super::history::{History, Place};
use super::life::{Actor, Life};
use super::world::World;
use crate::net::BoxFuture;
use crate::testing::seed::Seed;

/// A topic as a resource of configs.
const TOPIC: i8 = 2;

pub struct Admin {
    state: Mutex<State>,
}

struct State {
    dice: Seed,
    places: Vec<Place>,
    done: u64,
}

impl Admin {
    pub fn new(world: &World) -> Admin {
        let places = world.plan.places().collect();
        Admin { state: Mutex::new(State { dice: world.fork(), places, done: 0 }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    async fn work_on(&self, life: &Arc<Life>, caller: &mut Caller) -> Result<(), Lost> {
        loop {
            let (pause, what, place) = {
                let mut state = self.state();
                let count = state.places.len() as u64;
                let place = state.dice.below(count) as usize;
                (300 + state.dice.below(6_000), state.dice.below(8), state.places[place])
            };
            tokio::time::sleep(Duration::from_millis(pause)).await;
            match what {
                0 => self.delete_records(life, caller, place).await?,
                1 => self.reconfigure(life, caller, place).await?,
                _ => self.look_up(life, caller, place).await?,
            }
            self.state().done += 1;
        }
    }

    /// I21: what is before the new start never returns.
    async fn delete_records(&self, life: &Arc<Life>, caller: &mut Caller, place: Place) -> Result<(), Lost> {
        let (share, name) = (self.state().dice.below(100) as i64, life.world.plan.topic(place.0).name.clone());
        let wanted = life.world.history(|history| {
            let known = history.place(place);
            let offset = known.start + (known.end - known.start) * share / 100;
            known.deletable_to = known.deletable_to.max(offset);
            Ok(offset)
        });
        let Some(offset) = wanted else { return Ok(()) };
        let partition = DeleteRecordsPartition::default().with_partition_index(place.1).with_offset(offset);
        let topic = DeleteRecordsTopic::default().with_name(topic_name(&name)).with_partitions(vec![partition]);
        let request = m::DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
        let response = caller.ask(2, &request).await?;
        let answer = &response.topics[0].partitions[0];
        match answer.error_code {
            0 => {
                life.world.count("records deleted", 1);
                let low = answer.low_watermark;
                life.world.history(|history| {
                    let known = history.place(place);
                    known.start = known.start.max(low);
                    if low < offset {
                        Err(format!("I21: {place:?} starts at {low} after a deletion up to {offset}"))
                    } else {
                        Ok(())
                    }
                });
            }
            POLICY_VIOLATION if life.world.plan.topic(place.0).compacted => {}
            REQUEST_TIMED_OUT | KAFKA_STORAGE_ERROR => {}
            code => life.world.violated(format!("DeleteRecords of {place:?} to {offset} is answered with {code}")),
        }
        Ok(())
    }

    /// A setting that changes nothing here; but it is written, published and followed.
    async fn reconfigure(&self, life: &Arc<Life>, caller: &mut Caller, place: Place) -> Result<(), Lost> {
        let value = 60_000 + self.state().dice.below(60_000);
        let config = AlterableConfig::default()
            .with_name(text("file.delete.delay.ms"))
            .with_config_operation(0)
            .with_value(Some(text(&value.to_string())));
        let resource = AlterConfigsResource::default()
            .with_resource_type(TOPIC)
            .with_resource_name(text(&life.world.plan.topic(place.0).name))
            .with_configs(vec![config]);
        let request = m::IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        let response = caller.ask(1, &request).await?;
        life.world.count("reconfigurations", 1);
        match response.responses[0].error_code {
            0 => {}
            code if passes(code) => {}
            code => life.world.violated(format!("IncrementalAlterConfigs is answered with {code}")),
        }
        Ok(())
    }

    /// I8: by time, the first record with that time or later.
    async fn look_up(&self, life: &Arc<Life>, caller: &mut Caller, place: Place) -> Result<(), Lost> {
        let roll = self.state().dice.roll();
        let chosen = life.world.history(|history| {
            let known = history.place(place);
            let offset = known.start + (roll % (known.end - known.start).max(1) as u64) as i64;
            let number = known.records(offset..i64::MAX).next().map(|(_, number)| number);
            Ok(number.map(|number| history.sent[number as usize].timestamp))
        });
        let Some(Some(time)) = chosen else { return Ok(()) };
        let name = life.world.plan.topic(place.0).name.clone();
        let (code, offset, found_time) = list_offset(caller, &name, place.1, time).await?;
        life.world.count("look-ups by time", 1);
        let topic = life.world.plan.topic(place.0);
        let may_lose = topic.compacted || topic.retention_ms.is_some();
        match code {
            0 => {
                life.world.history(|history| is_first(history, place, time, offset, found_time, may_lose));
            }
            KAFKA_STORAGE_ERROR => {}
            code => life.world.violated(format!("ListOffsets by time is answered with {code}")),
        }
        Ok(())
    }
}

fn is_first(
    history: &mut History,
    place: Place,
    time: i64,
    offset: i64,
    found_time: i64,
    may_lose: bool,
) -> Result<(), String> {
    let (sent, known) = history.sent_and_place(place);
    if offset >= 0 && found_time < time {
        return Err(format!("I8: {place:?} at {time}: {offset} is answered, of {found_time}"));
    }
    if may_lose {
        return Ok(());
    }
    let end = if offset < 0 { known.end } else { offset };
    match known.records(known.deletable_to..end).find(|(_, number)| sent[*number as usize].timestamp >= time) {
        Some((earlier, _)) => Err(format!("I8: {place:?} at {time}: {offset} is answered, but {earlier} comes before")),
        None => Ok(()),
    }
}

impl Actor for Admin {
    fn session<'a>(&'a self, life: &'a Arc<Life>, caller: &'a mut Caller) -> BoxFuture<'a, Result<(), Lost>> {
        Box::pin(self.work_on(life, caller))
    }

    fn pause_ms(&self, _: &Life) -> u64 {
        500
    }

    fn progress(&self) -> u64 {
        self.state().done
    }

    fn name(&self) -> String {
        "the operator".into()
    }
}
