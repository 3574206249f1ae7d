//! Those who keep their place: members of classic groups that share the partitions and commit what they read, and consumers
//! without a group's help that only commit. Every committed offset is higher than the one before, so an answer below the
//! last acknowledged one has forgotten it (I62).

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages as m;
use kafka_protocol::protocol::StrBytes;

use crate::check::Fault;
use crate::client::{Connection, Lost, code, group, text, topic};
use crate::dice::Dice;
use crate::readers::{Fetched, fetch};
use crate::stage::{PLACES, Stage};

/// Not Kafka's consumer protocol: the assignment is this file's own and nobody else's to read.
const PROTOCOL_TYPE: &str = "kill-loop";
const SESSION_TIMEOUT_MS: i32 = 3_000;
const REBALANCE_TIMEOUT_MS: i32 = 2_000;

/// Who commits: a member in a generation, or nobody in particular.
pub struct Committer<'a> {
    group: &'a str,
    generation_id: i32,
    member_id: StrBytes,
}

impl<'a> Committer<'a> {
    pub fn of_nobody(group: &'a str) -> Self {
        Committer { group, generation_id: -1, member_id: StrBytes::default() }
    }
}

/// Commits through all lives, without membership.
pub fn committer(stage: &Stage, name: u64) {
    let group = format!("offsets-{name}");
    let mut dice = Dice::named(stage.seed, 0x5000 + name);
    let mut next = 0;
    stage.through_all_lives(&format!("committer {name}"), |connection| {
        find_coordinator(stage, connection, &group)?;
        check_commits(stage, connection, &group, &all_places())?;
        let committer = Committer::of_nobody(&group);
        while !stage.is_finishing() {
            let mut offsets = Vec::new();
            for place in 0..PLACES.len() as u16 {
                if dice.chance(50) {
                    next += 1 + dice.below(100) as i64;
                    offsets.push((place, next));
                }
            }
            let code = commit(stage, connection, &committer, &offsets)?;
            if code != 0 && !code::is_passing(code) {
                stage.find(Fault::Unexpected, format!("OffsetCommit of {group} answers {code}"));
            }
            if dice.chance(10) {
                check_commits(stage, connection, &group, &all_places())?;
            }
            stage.pause(Duration::from_millis(dice.below(15)));
        }
        Ok(())
    });
}

pub fn all_places() -> Vec<u16> {
    (0..PLACES.len() as u16).collect()
}

struct Member<'a> {
    stage: &'a Stage,
    dice: Dice,
    group: &'a str,
    member_id: StrBytes,
    generation_id: i32,
    /// The partitions of this generation with the next offset of each; `None` while not in a generation.
    owned: Option<Vec<(u16, i64)>>,
}

/// Joins, reads, commits, sometimes leaves, through all lives.
pub fn member(stage: &Stage, group: &str, name: u64) {
    let mut member = Member {
        stage,
        dice: Dice::named(stage.seed, 0x6000 + name),
        group,
        member_id: StrBytes::default(),
        generation_id: -1,
        owned: None,
    };
    stage.through_all_lives(&format!("member {name} of {group}"), |connection| {
        find_coordinator(stage, connection, group)?;
        while !stage.is_finishing() {
            if member.owned.is_none() {
                member.join(connection)?;
            } else {
                member.consume(connection)?;
            }
        }
        Ok(())
    });
}

impl Member<'_> {
    fn join(&mut self, connection: &mut Connection) -> Result<(), Lost> {
        let protocol = m::join_group_request::JoinGroupRequestProtocol::default()
            .with_name(StrBytes::from_static_str("split"))
            .with_metadata(Bytes::from_static(b"none"));
        let request = m::JoinGroupRequest::default()
            .with_group_id(group(self.group))
            .with_session_timeout_ms(SESSION_TIMEOUT_MS)
            .with_rebalance_timeout_ms(REBALANCE_TIMEOUT_MS)
            .with_member_id(self.member_id.clone())
            .with_protocol_type(StrBytes::from_static_str(PROTOCOL_TYPE))
            .with_protocols(vec![protocol]);
        let answer = connection.ask(7, &request)?;
        if answer.error_code == code::MEMBER_ID_REQUIRED {
            self.member_id = answer.member_id;
            return Ok(());
        }
        if answer.error_code != 0 {
            self.refused("JoinGroup", answer.error_code);
            return Ok(());
        }
        // The same generation again is right: a member that comes back to a stable group changes nothing. A generation that
        // ended before its assignment was stored may be given again too, but none before one that had an assignment (I61).
        if answer.generation_id < self.generation_id && answer.member_id == self.member_id {
            let story = format!("{}: generation {} after {}", self.group, answer.generation_id, self.generation_id);
            self.stage.find(Fault::WentBack, story);
        }
        self.member_id = answer.member_id.clone();
        self.sync(connection, &answer)
    }

    fn sync(&mut self, connection: &mut Connection, joined: &m::JoinGroupResponse) -> Result<(), Lost> {
        let mut assignments: Vec<(StrBytes, Vec<u8>)> =
            joined.members.iter().map(|member| (member.member_id.clone(), Vec::new())).collect();
        for place in 0..PLACES.len() {
            if !assignments.is_empty() {
                let turn = place % assignments.len();
                assignments[turn].1.push(place as u8);
            }
        }
        let assignments = assignments.into_iter().map(|(member_id, places)| {
            m::sync_group_request::SyncGroupRequestAssignment::default()
                .with_member_id(member_id)
                .with_assignment(places.into())
        });
        let request = m::SyncGroupRequest::default()
            .with_group_id(group(self.group))
            .with_generation_id(joined.generation_id)
            .with_member_id(self.member_id.clone())
            .with_protocol_type(Some(StrBytes::from_static_str(PROTOCOL_TYPE)))
            .with_protocol_name(Some(StrBytes::from_static_str("split")))
            .with_assignments(assignments.collect());
        let answer = connection.ask(5, &request)?;
        if answer.error_code != 0 {
            self.refused("SyncGroup", answer.error_code);
            return Ok(());
        }
        self.generation_id = joined.generation_id;
        self.stage.counts.generations.fetch_add(1, Ordering::Relaxed);
        let places: Vec<u16> = answer.assignment.iter().map(|place| u16::from(*place)).collect();
        let committed = check_commits(self.stage, connection, self.group, &places)?;
        self.owned = committed.map(|all| all.into_iter().map(|(place, offset)| (place, offset.max(0))).collect());
        Ok(())
    }

    /// One round: a heartbeat, a fetch of each partition owned, a commit.
    fn consume(&mut self, connection: &mut Connection) -> Result<(), Lost> {
        let request = m::HeartbeatRequest::default()
            .with_group_id(group(self.group))
            .with_generation_id(self.generation_id)
            .with_member_id(self.member_id.clone());
        let answer = connection.ask(4, &request)?;
        if answer.error_code != 0 {
            self.refused("Heartbeat", answer.error_code);
            return Ok(());
        }
        let mut read = Vec::new();
        for (place, position) in self.owned.iter_mut().flatten() {
            match fetch(self.stage, connection, *place, *position, 256 << 10, None)? {
                Fetched::Records { next, .. } => {
                    *position = next;
                    read.push((*place, next));
                }
                Fetched::Trimmed => *position = self.stage.marks[usize::from(*place)].floor().log_start,
                Fetched::Nothing { .. } | Fetched::NotYet => {}
            }
        }
        let committer =
            Committer { group: self.group, generation_id: self.generation_id, member_id: self.member_id.clone() };
        let code = commit(self.stage, connection, &committer, &read)?;
        if code != 0 {
            self.refused("OffsetCommit", code);
        } else if self.dice.chance(8) {
            self.leave(connection)?;
        }
        self.stage.pause(Duration::from_millis(self.dice.below(20)));
        Ok(())
    }

    fn leave(&mut self, connection: &mut Connection) -> Result<(), Lost> {
        let identity = m::leave_group_request::MemberIdentity::default().with_member_id(self.member_id.clone());
        let request = m::LeaveGroupRequest::default().with_group_id(group(self.group)).with_members(vec![identity]);
        // Whether or not the answer comes, this member is no more.
        self.start_anew();
        let answer = connection.ask(4, &request)?;
        if answer.error_code != 0 {
            self.refused("LeaveGroup", answer.error_code);
        }
        Ok(())
    }

    fn refused(&mut self, what: &str, code: i16) {
        match code {
            code::REBALANCE_IN_PROGRESS => self.owned = None,
            // A member that the log never heard of, or that was silent for too long, is unknown after a start.
            code::UNKNOWN_MEMBER_ID | code::ILLEGAL_GENERATION => self.start_anew(),
            code if code::is_passing(code) => self.stage.pause(Duration::from_millis(20)),
            code => {
                self.stage.find(Fault::Unexpected, format!("{what} of {} answers {code}", self.group));
                self.start_anew();
                self.stage.pause(Duration::from_millis(50));
            }
        }
    }

    fn start_anew(&mut self) {
        self.member_id = StrBytes::default();
        self.generation_id = -1;
        self.owned = None;
    }
}

/// Commits; the first error code among the partitions, 0 if there is none.
pub fn commit(
    stage: &Stage,
    connection: &mut Connection,
    committer: &Committer<'_>,
    offsets: &[(u16, i64)],
) -> Result<i16, Lost> {
    if offsets.is_empty() {
        return Ok(0);
    }
    let topics = offsets.iter().map(|&(place, offset)| {
        stage.commits.sent(committer.group, place, offset);
        let (name, partition) = PLACES[usize::from(place)];
        let committed = m::offset_commit_request::OffsetCommitRequestPartition::default()
            .with_partition_index(partition)
            .with_committed_offset(offset)
            .with_committed_leader_epoch(-1)
            .with_committed_metadata(Some(text(&remark(committer.group, place, offset))));
        m::offset_commit_request::OffsetCommitRequestTopic::default()
            .with_name(topic(name))
            .with_partitions(vec![committed])
    });
    let request = m::OffsetCommitRequest::default()
        .with_group_id(group(committer.group))
        .with_generation_id_or_member_epoch(committer.generation_id)
        .with_member_id(committer.member_id.clone())
        .with_topics(topics.collect());
    let response = connection.ask(8, &request)?;
    let mut first_error = 0;
    for answer in &response.topics {
        for partition in &answer.partitions {
            let is_this = |(place, _): &&(u16, i64)| {
                let (name, index) = PLACES[usize::from(*place)];
                *name == *answer.name.0 && index == partition.partition_index
            };
            match (partition.error_code, offsets.iter().find(is_this)) {
                (0, Some(&(place, offset))) => {
                    stage.commits.acked(committer.group, place, offset);
                    stage.counts.commits_acked.fetch_add(1, Ordering::Relaxed);
                }
                (code, _) if first_error == 0 => first_error = code,
                _ => {}
            }
        }
    }
    Ok(first_error)
}

/// Asks for committed offsets and judges them; `None` when the broker is not ready to say.
pub fn check_commits(
    stage: &Stage,
    connection: &mut Connection,
    group_id: &str,
    places: &[u16],
) -> Result<Option<Vec<(u16, i64)>>, Lost> {
    let mut committed = Vec::new();
    for &place in places {
        let (name, partition) = PLACES[usize::from(place)];
        let floor = stage.commits.of(group_id, place);
        let wanted = m::offset_fetch_request::OffsetFetchRequestTopic::default()
            .with_name(topic(name))
            .with_partition_indexes(vec![partition]);
        let request = m::OffsetFetchRequest::default()
            .with_group_id(group(group_id))
            .with_topics(Some(vec![wanted]))
            .with_require_stable(true);
        let response = connection.ask(7, &request)?;
        let answer = response.topics.first().and_then(|topic| topic.partitions.first());
        let code = answer.map_or(response.error_code, |answer| answer.error_code.max(response.error_code));
        if code::is_passing(code) {
            stage.pause(Duration::from_millis(10));
            return Ok(None);
        }
        let Some(answer) = answer.filter(|_| code == 0) else {
            stage.find(Fault::Unexpected, format!("OffsetFetch of {group_id} answers {code}"));
            return Ok(None);
        };
        let offset = answer.committed_offset;
        let highest = stage.commits.of(group_id, place).sent;
        if offset < floor.acked {
            let story = format!("{group_id} of {place}: offset {offset} after {} was acknowledged", floor.acked);
            stage.find(Fault::Forgotten, story);
        }
        if offset > highest {
            stage.find(Fault::Changed, format!("{group_id} of {place}: offset {offset}, never sent above {highest}"));
        }
        let remark_back = answer.metadata.as_deref().unwrap_or_default();
        if offset >= 0 && *remark_back != *remark(group_id, place, offset) {
            let story = format!("{group_id} of {place}: offset {offset} with the remark {remark_back}");
            stage.find(Fault::Changed, story);
        }
        stage.counts.commits_checked.fetch_add(1, Ordering::Relaxed);
        committed.push((place, offset));
    }
    Ok(Some(committed))
}

/// Travels with a committed offset, so that an offset of one partition never passes for that of another.
fn remark(group: &str, place: u16, offset: i64) -> String {
    format!("{group} {place} {offset}")
}

pub fn find_coordinator(stage: &Stage, connection: &mut Connection, group: &str) -> Result<(), Lost> {
    let request = m::FindCoordinatorRequest::default().with_key(text(group)).with_key_type(0);
    loop {
        let answer = connection.ask(3, &request)?;
        match answer.error_code {
            0 => return Ok(()),
            code if code::is_passing(code) => stage.pause(Duration::from_millis(20)),
            code => {
                stage.find(Fault::Unexpected, format!("FindCoordinator of {group} answers {code}"));
                stage.pause(Duration::from_millis(50));
            }
        }
        if stage.is_finishing() {
            return Ok(());
        }
    }
}
