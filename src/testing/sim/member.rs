//! A member of a classic group: joins, leads if it is told to, commits, leaves, dies, comes back, and sometimes tries what a
//! zombie would.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages as m;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;

use super::caller::{Caller, Lost, text, topic_name};
use super::codes::{ILLEGAL_GENERATION, MEMBER_ID_REQUIRED, REBALANCE_IN_PROGRESS, UNKNOWN_MEMBER_ID, passes};
use super::history::Place;
use super::life::{Actor, Life};
use super::world::World;
use crate::net::BoxFuture;
use crate::testing::seed::Seed;

const SESSION_MS: i32 = 6_000;
const REBALANCE_MS: i32 = 8_000;

pub struct Member {
    group: String,
    state: Mutex<State>,
}

struct State {
    dice: Seed,
    member_id: String,
    generation: i32,
    leader: String,
    assigned: Vec<Place>,
    commits: u64,
}

/// What to do next.
enum Next {
    Rejoin,
    /// Under a new identity.
    Anew,
    Pause(u64),
}

impl Member {
    pub fn new(world: &World, group: String) -> Member {
        let state = State {
            dice: world.fork(),
            member_id: String::new(),
            generation: -1,
            leader: String::new(),
            assigned: Vec::new(),
            commits: 0,
        };
        Member { group, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn group_id(&self) -> m::GroupId {
        m::GroupId(text(&self.group))
    }

    /// One generation after another on one connection.
    async fn work_on(&self, life: &Arc<Life>, caller: &mut Caller) -> Result<(), Lost> {
        loop {
            let next = match self.join(life, caller).await? {
                Some(next) => next,
                None => self.work(life, caller).await?,
            };
            match next {
                Next::Rejoin => {}
                Next::Anew => self.state().member_id = String::new(),
                Next::Pause(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
            }
        }
    }

    /// Joins and synchronises; `None` when this is a member of a generation.
    async fn join(&self, life: &Arc<Life>, caller: &mut Caller) -> Result<Option<Next>, Lost> {
        let before = life.world.groups(|groups| Ok(groups.of(&self.group).generation())).unwrap_or_default();
        let then = life.disk_failures();
        let response = caller.ask(5, &self.join_request(life)).await?;
        match response.error_code {
            0 => {}
            MEMBER_ID_REQUIRED => {
                self.state().member_id = response.member_id.to_string();
                return Ok(Some(Next::Rejoin));
            }
            code => return Ok(Some(self.after(life, "JoinGroup", code))),
        }
        let (generation, leader, own) =
            (response.generation_id, response.leader.to_string(), response.member_id.to_string());
        let (now_ms, failures) = (life.now_ms(), [then, life.disk_failures()]);
        life.world.groups(|groups| {
            groups.of(&self.group).seen(now_ms);
            let joined = groups.of(&self.group).joined(generation, before, failures);
            joined.map_err(|what| format!("{what} of {}", self.group))
        });
        let assignments = if leader == own { self.plan(life, &response, generation, &own) } else { Vec::new() };
        {
            let mut state = self.state();
            (state.member_id, state.generation, state.leader) = (own.clone(), generation, leader.clone());
        }
        let request = m::SyncGroupRequest::default()
            .with_group_id(self.group_id())
            .with_generation_id(generation)
            .with_member_id(text(&own))
            .with_assignments(assignments);
        let response = caller.ask(3, &request).await?;
        if response.error_code != 0 {
            return Ok(Some(self.after(life, "SyncGroup", response.error_code)));
        }
        let places = read_places(response.assignment);
        let now_ms = life.now_ms();
        life.world.groups(|groups| {
            groups.of(&self.group).seen(now_ms);
            groups.of(&self.group).assigned(generation, &leader, &own, &places)
        });
        self.state().assigned = places;
        life.world.count("generations", 1);
        Ok(None)
    }

    fn join_request(&self, life: &Life) -> m::JoinGroupRequest {
        let protocol = JoinGroupRequestProtocol::default()
            .with_name(text("range"))
            .with_metadata(subscription(life.world.plan.topics.iter().map(|topic| topic.name.as_str())));
        m::JoinGroupRequest::default()
            .with_group_id(self.group_id())
            .with_session_timeout_ms(SESSION_MS)
            .with_rebalance_timeout_ms(REBALANCE_MS)
            .with_member_id(text(&self.state().member_id))
            .with_protocol_type(text("consumer"))
            .with_protocols(vec![protocol])
    }

    /// The leader's part: every partition to one member, in turn.
    fn plan(
        &self,
        life: &Life,
        response: &m::JoinGroupResponse,
        generation: i32,
        own: &str,
    ) -> Vec<SyncGroupRequestAssignment> {
        let members: Vec<String> = response.members.iter().map(|member| member.member_id.to_string()).collect();
        let mut given: BTreeMap<String, Vec<Place>> = BTreeMap::new();
        for (index, place) in life.world.plan.places().enumerate() {
            given.entry(members[index % members.len()].clone()).or_default().push(place);
        }
        let assignments = given.iter().map(|(member, places)| {
            SyncGroupRequestAssignment::default().with_member_id(text(member)).with_assignment(write_places(places))
        });
        let assignments = assignments.collect();
        life.world.count("rebalances", 1);
        life.world.groups(|groups| {
            groups.of(&self.group).planned(generation, own, given);
            Ok(())
        });
        assignments
    }

    /// What follows from a code that is no success.
    fn after(&self, life: &Life, what: &str, code: i16) -> Next {
        match code {
            REBALANCE_IN_PROGRESS => Next::Rejoin,
            UNKNOWN_MEMBER_ID => Next::Anew,
            ILLEGAL_GENERATION => Next::Rejoin,
            code if passes(code) => Next::Pause(300),
            code => {
                life.world.violated(format!("{what} of {} is answered with {code}", self.group));
                Next::Pause(1_000)
            }
        }
    }

    /// Heartbeats and commits, until something ends the generation.
    async fn work(&self, life: &Arc<Life>, caller: &mut Caller) -> Result<Next, Lost> {
        let assigned = self.state().assigned.clone();
        for place in assigned {
            self.fetch_committed(life, caller, place).await?;
        }
        loop {
            let (pause, what) = {
                let mut state = self.state();
                (500 + state.dice.below(1_500), if life.healthy { 60 } else { state.dice.below(60) })
            };
            tokio::time::sleep(Duration::from_millis(pause)).await;
            match what {
                0 => return self.leave(life, caller).await,
                1 => {
                    // As good as dead: no heartbeat until long after the session.
                    life.world.count("silent members", 1);
                    tokio::time::sleep(Duration::from_millis(12_000)).await;
                    self.zombie(life, caller).await?;
                }
                2 => {
                    life.world.count("deaths of members", 1);
                    return Err(Lost);
                }
                3 => {
                    let place = self.state().assigned.first().copied();
                    if let Some(place) = place {
                        self.fetch_committed(life, caller, place).await?;
                    }
                }
                _ => {}
            }
            if let Some(next) = self.heartbeat(life, caller).await? {
                return Ok(next);
            }
            if let Some(next) = self.commit(life, caller).await? {
                return Ok(next);
            }
        }
    }

    async fn heartbeat(&self, life: &Arc<Life>, caller: &mut Caller) -> Result<Option<Next>, Lost> {
        let request = {
            let state = self.state();
            m::HeartbeatRequest::default()
                .with_group_id(self.group_id())
                .with_generation_id(state.generation)
                .with_member_id(text(&state.member_id))
        };
        let code = caller.ask(3, &request).await?.error_code;
        if code == 0 {
            let now_ms = life.now_ms();
            life.world.groups(|groups| {
                groups.of(&self.group).seen(now_ms);
                Ok(())
            });
            return Ok(None);
        }
        Ok(Some(self.after(life, "Heartbeat", code)))
    }

    async fn commit(&self, life: &Arc<Life>, caller: &mut Caller) -> Result<Option<Next>, Lost> {
        let (place, generation) = {
            let mut state = self.state();
            let count = state.assigned.len() as u64;
            let index = state.dice.below(count) as usize;
            (state.assigned.get(index).copied(), state.generation)
        };
        let Some(place) = place else {
            self.state().commits += 1;
            return Ok(None);
        };
        let (code, value) = self.send_commit(life, caller, place, generation).await?;
        if code == 0 {
            life.world.count("commits", 1);
            self.state().commits += 1;
            life.world.groups(|groups| {
                groups.of(&self.group).committed(place, value);
                Ok(())
            });
            return Ok(None);
        }
        Ok(Some(self.after(life, "OffsetCommit", code)))
    }

    async fn send_commit(
        &self,
        life: &Arc<Life>,
        caller: &mut Caller,
        place: Place,
        generation: i32,
    ) -> Result<(i16, i64), Lost> {
        let value = life.world.groups(|groups| Ok(groups.of(&self.group).next_value(place))).unwrap_or(0);
        let partition =
            OffsetCommitRequestPartition::default().with_partition_index(place.1).with_committed_offset(value);
        let topic = OffsetCommitRequestTopic::default()
            .with_name(topic_name(&life.world.plan.topic(place.0).name))
            .with_partitions(vec![partition]);
        let request = m::OffsetCommitRequest::default()
            .with_group_id(self.group_id())
            .with_generation_id_or_member_epoch(generation)
            .with_member_id(text(&self.state().member_id))
            .with_topics(vec![topic]);
        let response = caller.ask(7, &request).await?;
        Ok((response.topics[0].partitions[0].error_code, value))
    }

    /// A commit of a generation that has ended must be refused (I61).
    async fn zombie(&self, life: &Arc<Life>, caller: &mut Caller) -> Result<(), Lost> {
        let (own, place) = {
            let state = self.state();
            (state.generation, state.assigned.first().copied())
        };
        let known = life.world.groups(|groups| Ok(groups.of(&self.group).generation())).unwrap_or_default();
        let current = known.at_least(life.disk_failures());
        let Some(place) = place.filter(|_| current > own) else { return Ok(()) };
        life.world.count("zombies", 1);
        let (code, _) = self.send_commit(life, caller, place, own).await?;
        if code == 0 && known.at_least(life.disk_failures()) > own {
            let what = format!("I61: a commit to {} of generation {own} is taken in generation {current}", self.group);
            life.world.violated(what);
        }
        Ok(())
    }

    async fn fetch_committed(&self, life: &Arc<Life>, caller: &mut Caller, place: Place) -> Result<(), Lost> {
        let at_least = life.world.groups(|groups| Ok(groups.of(&self.group).at_least(place))).unwrap_or(0);
        let topic = OffsetFetchRequestTopic::default()
            .with_name(topic_name(&life.world.plan.topic(place.0).name))
            .with_partition_indexes(vec![place.1]);
        let request = m::OffsetFetchRequest::default().with_group_id(self.group_id()).with_topics(Some(vec![topic]));
        let response = caller.ask(5, &request).await?;
        let answer = response.topics.first().and_then(|topic| topic.partitions.first());
        let (code, value) = match answer {
            Some(answer) if response.error_code == 0 => (answer.error_code, answer.committed_offset),
            _ => (response.error_code, -1),
        };
        if code != 0 {
            self.after(life, "OffsetFetch", code);
            return Ok(());
        }
        let clocks_jump = life.world.plan.faults.clock_jumps;
        life.world.groups(|groups| {
            let group = groups.of(&self.group);
            group.fetched(place, value, at_least, clocks_jump).map_err(|what| format!("{what} in {}", self.group))
        });
        Ok(())
    }

    async fn leave(&self, life: &Arc<Life>, caller: &mut Caller) -> Result<Next, Lost> {
        let request = m::LeaveGroupRequest::default()
            .with_group_id(self.group_id())
            .with_member_id(text(&self.state().member_id));
        life.world.groups(|groups| {
            groups.of(&self.group).left();
            Ok(())
        });
        life.world.count("leaves", 1);
        let _ = caller.ask(2, &request).await?;
        let pause = {
            let mut state = self.state();
            state.member_id = String::new();
            state.dice.below(10_000)
        };
        Ok(Next::Pause(pause))
    }
}

impl Actor for Member {
    fn session<'a>(&'a self, life: &'a Arc<Life>, caller: &'a mut Caller) -> BoxFuture<'a, Result<(), Lost>> {
        Box::pin(self.work_on(life, caller))
    }

    fn pause_ms(&self, life: &Life) -> u64 {
        let mut state = self.state();
        let longest = if state.dice.one_in(4) && !life.healthy { 15_000 } else { 1_000 };
        20 + state.dice.below(longest)
    }

    fn hangs_up(&self) -> bool {
        true
    }

    fn progress(&self) -> u64 {
        self.state().commits
    }

    fn name(&self) -> String {
        format!("a member of {}", self.group)
    }
}

/// A consumer's subscription as its protocol writes it, version 0.
fn subscription<'a>(topics: impl Iterator<Item = &'a str>) -> Bytes {
    let topics: Vec<&str> = topics.collect();
    let mut bytes = BytesMut::new();
    bytes.put_i16(0);
    bytes.put_i32(topics.len() as i32);
    for topic in topics {
        bytes.put_i16(topic.len() as i16);
        bytes.put_slice(topic.as_bytes());
    }
    bytes.put_i32(-1);
    bytes.freeze()
}

/// Assignments are between members; these hold places.
fn write_places(places: &[Place]) -> Bytes {
    let mut bytes = BytesMut::new();
    for (topic, partition) in places {
        bytes.put_u32(*topic);
        bytes.put_i32(*partition);
    }
    bytes.freeze()
}

fn read_places(mut bytes: Bytes) -> Vec<Place> {
    let mut places = Vec::new();
    while bytes.len() >= 8 {
        places.push((bytes.get_u32(), bytes.get_i32()));
    }
    places
}
