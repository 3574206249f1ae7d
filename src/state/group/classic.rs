//! One classic group: who is in it, who waits, and when a rebalance begins and ends.
//!
//! ```text
//!            first member joins                all have joined, or time is up            leader brings the assignment
//!  Empty ───────────────────────▶ Preparing ─────────────────────────────▶ Completing ──────────────────────────▶ Stable
//!    ▲                            Rebalance ◀────────────────────────────  Rebalance  ◀──────────┐                  │
//!    └── nobody is left ─────────────┘  ▲     a member joins, leaves, changes or is silent       │                  │
//!                                       └────────────────────────────────────────────────────────┴──────────────────┘
//! ```
//!
//! What is here is forgotten at a restart: members that have joined but not yet synced, parked calls, deadlines. What
//! survives is the last [`GroupMetadata`] written: when the leader brought an assignment, when the group became empty,
//! when a static member came back under a new id. A restart therefore finds the last stable generation, gives each of
//! its members a new session, and the next call of a member in a newer generation is told to join again.
//!
//! Invariants: no group without members, pending ids or a rebalance is kept here (it is then Empty, and what the log
//! says); the leader is a member; an instance id names exactly one member; a parked call belongs to a member.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use indexmap::IndexMap;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::{
    HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupResponse, SyncGroupRequest, SyncGroupResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::deadlines::Deadline;
use super::offsets::Expiry;
use super::records::{GroupMetadata, GroupRecord, KeptMember, Text};
use super::{CONSUMER_PROTOCOL, Caller, GroupAnswer, Join, Step, refused_join};
use crate::state::Ticket;
use crate::types::{ConnectionId, ErrorCode, Timestamp};
use crate::wire::Reader;
use crate::zoo::bug;

pub(super) struct ClassicGroup {
    pub id: Text,
    pub state: State,
    /// When the group came into its state; not known of a group from an old record.
    since: Option<Timestamp>,
    protocol_type: Option<Text>,
    protocol: Option<Text>,
    pub generation: i32,
    leader: Option<Text>,
    /// In the order they joined: the next leader is the one that has been there longest.
    pub members: IndexMap<Text, Member>,
    /// Instance id to member id.
    static_members: BTreeMap<Text, Text>,
    /// Member ids handed out with MEMBER_ID_REQUIRED whose owner has not joined with them yet.
    pub pending_join: BTreeSet<Text>,
    /// Members of this generation that have not asked for their assignment yet.
    pending_sync: BTreeSet<Text>,
    /// What the members of a consumer group subscribe to, where that could be read.
    subscribed_topics: Option<BTreeSet<Text>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Empty,
    PreparingRebalance { initial: Option<InitialDelay> },
    CompletingRebalance,
    Stable,
}

/// The wait for more members of a group that was empty, prolonged as long as some come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InitialDelay {
    delay_ms: u64,
    /// How much longer it may all take: the rebalance timeout.
    remaining_ms: u64,
    /// Somebody came since the wait was last prolonged.
    has_new_member: bool,
}

pub(super) struct Member {
    pub instance_id: Option<Text>,
    client_id: Text,
    client_host: Text,
    rebalance_timeout_ms: i32,
    session_timeout_ms: i32,
    /// In the member's order of preference.
    protocols: Vec<Protocol>,
    pub assignment: Bytes,
    /// A parked JoinGroup.
    join: Option<Ticket>,
    /// A parked SyncGroup.
    sync: Option<Ticket>,
    /// Its first JoinGroup is not answered: it does not know its id, so it cannot send heartbeats.
    is_new: bool,
    /// The last connection that carried its calls is closed, and it has not called since.
    is_disconnected: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Protocol {
    name: Text,
    metadata: Bytes,
}

impl State {
    /// The name clients and tools know.
    pub fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::PreparingRebalance { .. } => "PreparingRebalance",
            State::CompletingRebalance => "CompletingRebalance",
            State::Stable => "Stable",
        }
    }
}

impl ClassicGroup {
    pub fn new(id: Text, now: Timestamp) -> Self {
        ClassicGroup {
            id,
            state: State::Empty,
            since: Some(now),
            protocol_type: None,
            protocol: None,
            generation: 0,
            leader: None,
            members: IndexMap::new(),
            static_members: BTreeMap::new(),
            pending_join: BTreeSet::new(),
            pending_sync: BTreeSet::new(),
            subscribed_topics: None,
        }
    }

    /// The group as the log knows it. Deadlines are for the caller to set.
    pub fn from_log(id: Text, kept: &GroupMetadata) -> Self {
        let mut group = ClassicGroup {
            state: if kept.members.is_empty() { State::Empty } else { State::Stable },
            since: kept.state_timestamp,
            protocol_type: Some(kept.protocol_type.clone()).filter(|name| !name.is_empty()),
            protocol: kept.protocol.clone(),
            generation: kept.generation,
            leader: kept.leader.clone(),
            ..ClassicGroup::new(id, Timestamp(0))
        };
        for member in &kept.members {
            group.insert(member.member_id.clone(), Member::from_log(member, kept.protocol.as_ref()));
        }
        group.subscribed_topics = group.compute_subscribed_topics();
        group
    }

    /// What the log shall know of the group.
    pub fn to_log(&self) -> GroupMetadata {
        let member = |(id, member): (&Text, &Member)| member.to_log(id, self.protocol.as_deref());
        GroupMetadata {
            protocol_type: self.protocol_type.clone().unwrap_or_else(|| "".into()),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            state_timestamp: self.since,
            members: self.members.iter().map(member).collect(),
        }
    }

    /// Nothing about it would be missed at a restart.
    pub fn is_idle(&self) -> bool {
        self.state == State::Empty && self.members.is_empty() && self.pending_join.is_empty()
    }

    // ---- JoinGroup

    pub fn join(&mut self, step: &mut Step<'_>, ticket: Ticket, join: Join) {
        let member_id: Text = join.request.member_id.as_str().into();
        if !self.accepts(&member_id, step.config.max_size) {
            step.refuse_join(ticket, "", ErrorCode::GroupMaxSizeReached);
            // Also out of the way of the others, who may be waiting for it alone.
            self.remove(step, &member_id);
            self.maybe_complete_join_phase(step);
        } else if !self.supports_protocols(&join.request) {
            step.refuse_join(ticket, &member_id, ErrorCode::InconsistentGroupProtocol);
        } else if member_id.is_empty() {
            self.join_new(step, ticket, &join);
        } else {
            self.join_existing(step, ticket, &member_id, &join);
        }
    }

    /// Whether `group.max.size` lets this one in. While a rebalance gathers members those already waiting are counted,
    /// so that a group that has become too large loses its last comers; later all members are.
    fn accepts(&self, member_id: &str, max_size: usize) -> bool {
        let member = self.members.get(member_id);
        match self.state {
            State::Empty => true,
            State::PreparingRebalance { .. } => {
                let is_waiting = |member: &Member| member.join.is_some();
                member.is_some_and(is_waiting)
                    || self.members.len() < max_size
                    || self.members.values().filter(|member| is_waiting(member)).count() < max_size
            }
            State::CompletingRebalance | State::Stable => member.is_some() || self.members.len() < max_size,
        }
    }

    fn join_new(&mut self, step: &mut Step<'_>, ticket: Ticket, join: &Join) {
        let instance_id = join.request.group_instance_id.as_deref();
        let member_id = new_member_id(instance_id.unwrap_or(&join.caller.client_id), join);
        match instance_id.map(|instance_id| self.static_members.get(instance_id).cloned()) {
            Some(Some(old_member_id)) => self.replace_static_member(step, ticket, join, &old_member_id, member_id),
            Some(None) => self.add_member(step, ticket, join, member_id),
            None if join.member_id_required => {
                // The id is only lent: a client whose answer is lost asks again and leaves no defunct member behind.
                self.pending_join.insert(member_id.clone());
                step.connections.carried(join.caller.connection, &self.id, &member_id);
                step.set(self.session(&member_id), join.request.session_timeout_ms);
                step.refuse_join(ticket, &member_id, ErrorCode::MemberIdRequired);
            }
            None => self.add_member(step, ticket, join, member_id),
        }
    }

    fn join_existing(&mut self, step: &mut Step<'_>, ticket: Ticket, member_id: &Text, join: &Join) {
        let instance_id = join.request.group_instance_id.as_deref();
        if self.pending_join.contains(member_id) && instance_id.is_none() {
            return self.add_member(step, ticket, join, member_id.clone());
        }
        if let Err(code) = self.validate_member(member_id, instance_id) {
            let answer = refused_join(member_id, code).with_protocol_name(None);
            return step.answer(ticket, GroupAnswer::Join(answer));
        }
        self.seen(step, join.caller.connection, member_id);
        let is_leader = self.is_leader(member_id);
        let is_same = self.members[member_id].protocols == protocols_of(&join.request);
        match self.state {
            State::PreparingRebalance { .. } => self.rejoin(step, ticket, member_id, join, "a member joins again"),
            // It may have missed the answer to its JoinGroup.
            State::CompletingRebalance if is_same => {
                let answer = self.joined(member_id, is_leader);
                step.answer(ticket, GroupAnswer::Join(answer));
            }
            State::CompletingRebalance => self.rejoin(step, ticket, member_id, join, "a member changed its metadata"),
            // The leader asks for a rebalance when what it assigns has changed, new partitions for example.
            State::Stable if is_leader => self.rejoin(step, ticket, member_id, join, "the leader joins again"),
            State::Stable if !is_same => self.rejoin(step, ticket, member_id, join, "a member changed its metadata"),
            State::Stable => {
                let answer = self.joined(member_id, false);
                step.answer(ticket, GroupAnswer::Join(answer));
            }
            State::Empty => step.refuse_join(ticket, member_id, ErrorCode::UnknownMemberId),
        }
    }

    fn add_member(&mut self, step: &mut Step<'_>, ticket: Ticket, join: &Join, member_id: Text) {
        if let State::PreparingRebalance { initial: Some(delay) } = &mut self.state {
            delay.has_new_member = true;
        }
        if self.members.is_empty() {
            self.protocol_type = Some(join.request.protocol_type.as_str().into());
        }
        self.pending_join.remove(&member_id);
        self.insert(member_id.clone(), Member::new(join, ticket));
        step.connections.carried(join.caller.connection, &self.id, &member_id);
        // It cannot send heartbeats before its JoinGroup is answered, which may take long; so that retries of an
        // impatient client do not pile up as defunct members, it is given a time of its own.
        step.set(self.session(&member_id), NEW_MEMBER_JOIN_TIMEOUT_MS);
        self.maybe_rebalance_or_complete_join(step, "a new member joins");
    }

    fn rejoin(&mut self, step: &mut Step<'_>, ticket: Ticket, member_id: &Text, join: &Join, reason: &str) {
        self.update_member(step, ticket, member_id, join);
        self.maybe_rebalance_or_complete_join(step, reason);
    }

    fn update_member(&mut self, step: &mut Step<'_>, ticket: Ticket, member_id: &Text, join: &Join) {
        let member = self.members.get_mut(member_id).expect("only a known member is updated");
        member.protocols = protocols_of(&join.request);
        member.rebalance_timeout_ms = join.request.rebalance_timeout_ms;
        member.session_timeout_ms = join.request.session_timeout_ms;
        if let Some(earlier) = member.join.replace(ticket) {
            step.refuse_join(earlier, member_id, ErrorCode::RebalanceInProgress);
        }
    }

    /// A static member is back without its old id, after a restart: the old id is fenced, the member takes its place
    /// with its assignment, and nobody else notices unless the choice of protocol changes (I65).
    fn replace_static_member(&mut self, step: &mut Step<'_>, ticket: Ticket, join: &Join, old_id: &Text, new_id: Text) {
        let old_leader = self.leader.clone();
        self.rename_member(step, old_id, &new_id);
        self.update_member(step, ticket, &new_id, join);
        self.seen(step, join.caller.connection, &new_id);
        self.reschedule(step, &new_id);
        match self.state {
            State::Stable if self.protocol == self.select_protocol() => {
                self.subscribed_topics = self.compute_subscribed_topics();
                self.members[&new_id].join = None;
                step.append.push(self.record());
                let mut answer = self.joined(&new_id, join.skip_assignment && self.is_leader(&new_id));
                if join.skip_assignment {
                    answer.skip_assignment = self.is_leader(&new_id);
                } else {
                    // An older client takes itself for the leader only where it reads its own id, and would then
                    // assign anew; the old name keeps it a follower.
                    answer.leader = wire_text_or_empty(old_leader.as_ref());
                }
                step.answer(ticket, GroupAnswer::Join(answer));
            }
            State::Stable => self.maybe_rebalance_or_complete_join(step, "a static member changed the protocol"),
            // The leader may be assigning to the old id, so the new one would get nothing.
            State::CompletingRebalance => self.prepare_rebalance(step, "a static member came back"),
            State::PreparingRebalance { .. } | State::Empty => self.maybe_complete_join_phase(step),
        }
    }

    fn rename_member(&mut self, step: &mut Step<'_>, old_id: &Text, new_id: &Text) {
        let (place, _, mut member) = self.members.shift_remove_full(old_id).expect("an instance id names a member");
        if let Some(ticket) = member.join.take() {
            let answer = refused_join(old_id, ErrorCode::FencedInstanceId).with_protocol_name(None);
            step.answer(ticket, GroupAnswer::Join(answer));
        }
        if let Some(ticket) = member.sync.take() {
            step.refuse_sync(ticket, ErrorCode::FencedInstanceId);
        }
        member.is_new = false;
        if let Some(instance_id) = &member.instance_id {
            self.static_members.insert(instance_id.clone(), new_id.clone());
        }
        self.members.shift_insert(place, new_id.clone(), member);
        if self.is_leader(old_id) {
            self.leader = Some(new_id.clone());
        }
        if self.pending_sync.remove(old_id) {
            self.pending_sync.insert(new_id.clone());
        }
        step.forget(&self.id, old_id);
    }

    // ---- the course of a rebalance

    fn maybe_rebalance_or_complete_join(&mut self, step: &mut Step<'_>, reason: &str) {
        match self.state {
            State::PreparingRebalance { .. } => self.maybe_complete_join_phase(step),
            State::Empty | State::CompletingRebalance | State::Stable => self.prepare_rebalance(step, reason),
        }
    }

    pub fn prepare_rebalance(&mut self, step: &mut Step<'_>, reason: &str) {
        if self.state == State::CompletingRebalance {
            self.members.values_mut().for_each(|member| member.assignment = Bytes::new());
            self.answer_syncs(step, ErrorCode::RebalanceInProgress);
        }
        self.pending_sync.clear();
        step.deadlines.cancel(&self.sync_deadline());
        tracing::info!(group = ?self.id, generation = self.generation, state = self.state.name(), reason, "preparing to rebalance");

        if self.state == State::Empty {
            // At every change from empty to non-empty, or two clients that start together rebalance each other.
            let delay_ms = step.config.initial_rebalance_delay_ms;
            let remaining_ms = self.rebalance_timeout_ms().saturating_sub(delay_ms);
            step.deadlines.set(self.join_deadline(), step.now.mono.plus_ms(delay_ms));
            let initial = InitialDelay { delay_ms, remaining_ms, has_new_member: false };
            self.enter(step, State::PreparingRebalance { initial: Some(initial) });
        } else {
            self.enter(step, State::PreparingRebalance { initial: None });
            if self.has_all_joined() {
                self.complete_join(step);
            } else {
                step.deadlines.set(self.join_deadline(), step.now.mono.plus_ms(self.rebalance_timeout_ms()));
            }
        }
    }

    /// Everybody is here: no need to wait longer, except for others in a group that was empty.
    fn maybe_complete_join_phase(&mut self, step: &mut Step<'_>) {
        if self.state == (State::PreparingRebalance { initial: None }) && self.has_all_joined() {
            self.complete_join(step);
        }
    }

    fn has_all_joined(&self) -> bool {
        self.pending_join.is_empty() && self.members.values().all(|member| member.join.is_some())
    }

    /// The wait for members is over.
    pub fn join_time_is_up(&mut self, step: &mut Step<'_>) {
        match &mut self.state {
            State::PreparingRebalance { initial: Some(delay) } if delay.has_new_member && delay.remaining_ms > 0 => {
                let next_ms = step.config.initial_rebalance_delay_ms.min(delay.remaining_ms);
                *delay = InitialDelay {
                    delay_ms: next_ms,
                    remaining_ms: delay.remaining_ms.saturating_sub(delay.delay_ms),
                    has_new_member: false,
                };
                step.deadlines.set(self.join_deadline(), step.now.mono.plus_ms(next_ms));
            }
            State::PreparingRebalance { .. } => self.complete_join(step),
            State::Empty | State::CompletingRebalance | State::Stable => {}
        }
    }

    /// Ends the wait: who has not joined is out (a static member stays until its session ends), and the next
    /// generation begins with those who are here.
    fn complete_join(&mut self, step: &mut Step<'_>) {
        step.deadlines.cancel(&self.join_deadline());
        let is_late = |member: &Member| member.join.is_none() && member.instance_id.is_none();
        for late in self.ids_where(is_late) {
            tracing::info!(group = ?self.id, member = ?late, "removed a member that did not join in time");
            self.remove(step, &late);
        }
        if !self.members.is_empty() && !self.elect_joined_leader() {
            // Only silent static members are left; their sessions will end.
            self.state = State::PreparingRebalance { initial: None };
            step.deadlines.set(self.join_deadline(), step.now.mono.plus_ms(self.rebalance_timeout_ms()));
            return;
        }
        self.generation = self.generation.wrapping_add(1).max(0);
        self.pending_sync.clear();
        self.protocol = self.select_protocol();
        self.subscribed_topics = self.compute_subscribed_topics();
        if self.members.is_empty() {
            self.enter(step, State::Empty);
            tracing::info!(group = ?self.id, generation = self.generation, "the group is empty");
            step.append.push(self.record());
        } else {
            self.enter(step, State::CompletingRebalance);
            tracing::info!(group = ?self.id, generation = self.generation, members = self.members.len(), "stabilized");
            self.answer_joins(step);
        }
    }

    fn answer_joins(&mut self, step: &mut Step<'_>) {
        for member_id in self.members.keys().cloned().collect::<Vec<_>>() {
            if let Some(ticket) = self.members[&member_id].join.take() {
                let answer = self.joined(&member_id, self.is_leader(&member_id));
                step.answer(ticket, GroupAnswer::Join(answer));
            }
            self.members[&member_id].is_new = false;
            self.reschedule(step, &member_id);
            self.pending_sync.insert(member_id);
        }
        step.deadlines.set(self.sync_deadline(), step.now.mono.plus_ms(self.rebalance_timeout_ms()));
    }

    /// Makes the leader one who is waiting for the answer to a JoinGroup; false if nobody is.
    fn elect_joined_leader(&mut self) -> bool {
        let has_joined = |id: &Text| self.members.get(id).is_some_and(|member| member.join.is_some());
        if self.leader.as_ref().is_some_and(has_joined) {
            return true;
        }
        let Some((first, _)) = self.members.iter().find(|(_, member)| member.join.is_some()) else { return false };
        self.leader = Some(first.clone());
        true
    }

    /// The protocol that all members know and most prefer; of equals the one the longest member prefers.
    fn select_protocol(&self) -> Option<Text> {
        let all_know = |name: &str| self.members.values().all(|member| member.metadata(name).is_some());
        let mut candidates: IndexMap<&Text, usize> = IndexMap::new();
        let (_, first) = self.members.first()?;
        for protocol in first.protocols.iter().filter(|protocol| all_know(&protocol.name)) {
            candidates.insert(&protocol.name, 0);
        }
        for member in self.members.values() {
            let vote = member.protocols.iter().find(|protocol| candidates.contains_key(&protocol.name));
            if let Some(votes) = vote.and_then(|protocol| candidates.get_mut(&protocol.name)) {
                *votes += 1;
            }
        }
        let most = candidates.values().copied().max()?;
        candidates.into_iter().find(|(_, votes)| *votes == most).map(|(name, _)| name.clone())
    }

    // ---- SyncGroup, Heartbeat, LeaveGroup

    pub fn sync(&mut self, step: &mut Step<'_>, ticket: Ticket, connection: ConnectionId, request: &SyncGroupRequest) {
        let member_id: Text = request.member_id.as_str().into();
        if let Err(code) = self.validate_sync(&member_id, request) {
            return step.refuse_sync(ticket, code);
        }
        self.seen(step, connection, &member_id);
        match self.state {
            State::PreparingRebalance { .. } => step.refuse_sync(ticket, ErrorCode::RebalanceInProgress),
            State::CompletingRebalance => {
                if let Some(earlier) = self.members[&member_id].sync.replace(ticket) {
                    step.refuse_sync(earlier, ErrorCode::RebalanceInProgress);
                }
                self.has_synced(step, &member_id);
                if self.is_leader(&member_id) {
                    self.assign(step, request);
                }
            }
            State::Stable => {
                self.has_synced(step, &member_id);
                let answer = self.synced(&self.members[&member_id]);
                step.answer(ticket, GroupAnswer::Sync(answer));
            }
            State::Empty => step.refuse_sync(ticket, ErrorCode::UnknownMemberId),
        }
    }

    fn validate_sync(&self, member_id: &str, request: &SyncGroupRequest) -> Result<(), ErrorCode> {
        self.validate_member(member_id, request.group_instance_id.as_deref())?;
        let differs = |asked: &Option<StrBytes>, ours: &Option<Text>| match (asked, ours) {
            (Some(asked), Some(ours)) => asked.as_str() != &**ours,
            _ => false,
        };
        if request.generation_id != self.generation {
            Err(ErrorCode::IllegalGeneration)
        } else if differs(&request.protocol_type, &self.protocol_type)
            || differs(&request.protocol_name, &self.protocol)
        {
            Err(ErrorCode::InconsistentGroupProtocol)
        } else {
            Ok(())
        }
    }

    fn has_synced(&mut self, step: &mut Step<'_>, member_id: &Text) {
        self.pending_sync.remove(member_id);
        if self.pending_sync.is_empty() {
            step.deadlines.cancel(&self.sync_deadline());
        }
    }

    /// The leader brought the assignment: it is kept, and who waits for its part gets it.
    fn assign(&mut self, step: &mut Step<'_>, request: &SyncGroupRequest) {
        self.members.values_mut().for_each(|member| member.assignment = Bytes::new());
        for part in &request.assignments {
            if let Some(member) = self.members.get_mut(part.member_id.as_str()) {
                member.assignment = Bytes::copy_from_slice(&part.assignment);
            }
        }
        step.append.push(self.record());
        self.answer_syncs(step, ErrorCode::None);
        self.enter(step, State::Stable);
    }

    fn answer_syncs(&mut self, step: &mut Step<'_>, code: ErrorCode) {
        for member_id in self.members.keys().cloned().collect::<Vec<_>>() {
            let Some(ticket) = self.members[&member_id].sync.take() else { continue };
            if code == ErrorCode::None {
                let answer = self.synced(&self.members[&member_id]);
                step.answer(ticket, GroupAnswer::Sync(answer));
            } else {
                step.refuse_sync(ticket, code);
            }
            // A session that ended while the member waited was let pass; it begins anew.
            self.reschedule(step, &member_id);
        }
    }

    /// Members that did not ask for their assignment within the rebalance timeout are out.
    pub fn sync_time_is_up(&mut self, step: &mut Step<'_>) {
        let is_waited_for = matches!(self.state, State::CompletingRebalance | State::Stable);
        if !is_waited_for || self.pending_sync.is_empty() {
            return;
        }
        for silent in std::mem::take(&mut self.pending_sync) {
            tracing::info!(group = ?self.id, member = ?silent, "removed a member that did not sync in time");
            self.remove(step, &silent);
        }
        self.prepare_rebalance(step, "members did not ask for their assignment in time");
    }

    pub fn heartbeat(
        &mut self,
        step: &mut Step<'_>,
        connection: ConnectionId,
        request: &HeartbeatRequest,
    ) -> Result<(), ErrorCode> {
        let member_id: Text = request.member_id.as_str().into();
        self.validate_member(&member_id, request.group_instance_id.as_deref())?;
        if request.generation_id != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        self.seen(step, connection, &member_id);
        self.reschedule(step, &member_id);
        match self.state {
            State::PreparingRebalance { .. } => Err(ErrorCode::RebalanceInProgress),
            State::CompletingRebalance | State::Stable => Ok(()),
            State::Empty => Err(ErrorCode::UnknownMemberId),
        }
    }

    pub fn leave(&mut self, step: &mut Step<'_>, leaving: &[MemberIdentity]) -> LeaveGroupResponse {
        let mut answer = LeaveGroupResponse::default();
        let mut has_left = false;
        for identity in leaving {
            let result = self.leave_one(step, identity);
            has_left |= result.is_ok();
            answer.members.push(left(identity, result.err().unwrap_or(ErrorCode::None)));
        }
        if has_left && self.state != State::Empty {
            self.maybe_rebalance_or_complete_join(step, "members left");
        }
        answer
    }

    fn leave_one(&mut self, step: &mut Step<'_>, identity: &MemberIdentity) -> Result<(), ErrorCode> {
        let mut member_id: Text = identity.member_id.as_str().into();
        let instance_id = identity.group_instance_id.as_deref();
        if member_id.is_empty() {
            // An operator removes a static member by its instance id alone.
            let known = instance_id.and_then(|instance_id| self.static_members.get(instance_id));
            member_id = known.ok_or(ErrorCode::UnknownMemberId)?.clone();
        } else if !self.pending_join.contains(&member_id) {
            self.validate_member(&member_id, instance_id)?;
        }
        tracing::info!(group = ?self.id, member = ?member_id, reason = ?identity.reason.as_deref(), "a member left");
        self.remove(step, &member_id);
        Ok(())
    }

    // ---- silence

    /// The session of a member, or of an id that was handed out, has ended.
    pub fn session_ended(&mut self, step: &mut Step<'_>, member_id: &Text) {
        match self.members.get(member_id) {
            // Who waits for us has nothing to say meanwhile.
            Some(member) if member.waits_for_us() => return,
            Some(_) => tracing::info!(group = ?self.id, member = ?member_id, "a member has failed, removing it"),
            None if self.pending_join.contains(member_id) => {}
            None => return,
        }
        let was_member = self.members.contains_key(member_id);
        self.remove(step, member_id);
        match self.state {
            State::PreparingRebalance { .. } if self.has_all_joined() => self.complete_join(step),
            State::CompletingRebalance | State::Stable if was_member => {
                self.prepare_rebalance(step, "a member has failed");
            }
            _ => {}
        }
    }

    /// The last connection of a member is closed without a LeaveGroup: most likely Ctrl-C. It has the grace to come
    /// back in, or what is left of its session if that is less. A static member is expected to come back and keeps its
    /// session.
    pub fn disconnected(&mut self, step: &mut Step<'_>, member_id: &Text) {
        if let Some(member) = self.members.get_mut(member_id) {
            if member.instance_id.is_some() {
                return;
            }
            member.is_disconnected = true;
        } else if !self.pending_join.contains(member_id) {
            return;
        }
        let grace = step.now.mono.plus_ms(step.config.disconnect_grace_ms);
        let session = self.session(member_id);
        let end = step.deadlines.at(&session).map_or(grace, |end| end.min(grace));
        step.deadlines.set(session, end);
    }

    /// A valid call of this member arrived.
    pub fn seen(&mut self, step: &mut Step<'_>, connection: ConnectionId, member_id: &Text) {
        step.connections.carried(connection, &self.id, member_id);
        if std::mem::take(&mut self.members[member_id].is_disconnected) {
            self.reschedule(step, member_id);
        }
    }

    /// The session of this member begins anew.
    pub fn reschedule(&self, step: &mut Step<'_>, member_id: &Text) {
        let member = &self.members[member_id];
        let mut timeout_ms = u64::try_from(member.session_timeout_ms).unwrap_or(0);
        if member.is_disconnected {
            timeout_ms = timeout_ms.min(step.config.disconnect_grace_ms);
        }
        step.deadlines.set(self.session(member_id), step.now.mono.plus_ms(timeout_ms));
    }

    // ---- what others ask about the group

    /// Whether a member may commit; simple consumers (generation below 0) may while nobody is in the group.
    pub fn validate_commit(
        &self,
        member_id: &str,
        instance_id: Option<&str>,
        generation: i32,
    ) -> Result<(), ErrorCode> {
        if generation < 0 && self.state == State::Empty {
            return Ok(());
        }
        if generation < 0 && member_id.is_empty() && instance_id.is_none() {
            return Err(ErrorCode::UnknownMemberId);
        }
        self.validate_member(member_id, instance_id)?;
        if generation != self.generation && !bug(15) {
            Err(ErrorCode::IllegalGeneration)
        } else if self.state == State::CompletingRebalance {
            // It knows the new generation, so it must ask for its assignment before it has anything to commit.
            Err(ErrorCode::RebalanceInProgress)
        } else {
            Ok(())
        }
    }

    pub fn has_member(&self, member_id: &str) -> bool {
        self.members.contains_key(member_id)
    }

    pub fn protocol_type(&self) -> &str {
        self.protocol_type.as_deref().unwrap_or("")
    }

    /// Whether offsets of this topic may not be deleted under the group's hands.
    pub fn is_subscribed_to(&self, topic: &str) -> bool {
        match &self.subscribed_topics {
            Some(topics) => topics.contains(topic),
            None => self.protocol_type() == CONSUMER_PROTOCOL,
        }
    }

    /// Which of the group's offsets may expire (I68). For a group with somebody in it.
    pub fn expiry(&self) -> Expiry<'_> {
        match (&self.subscribed_topics, self.state) {
            (Some(topics), State::Stable) if self.protocol_type() == CONSUMER_PROTOCOL => Expiry::Unsubscribed(topics),
            _ if bug(17) => Expiry::SinceCommit,
            _ => Expiry::Never,
        }
    }

    pub fn describe(&self) -> DescribedGroup {
        let is_stable = self.state == State::Stable;
        let protocol = self.protocol.as_deref().filter(|_| is_stable);
        let member = |(id, member): (&Text, &Member)| {
            let metadata = protocol.and_then(|name| member.metadata(name)).cloned();
            DescribedGroupMember::default()
                .with_member_id(wire_text(id))
                .with_group_instance_id(member.instance_id.as_ref().map(wire_text))
                .with_client_id(wire_text(&member.client_id))
                .with_client_host(wire_text(&member.client_host))
                .with_member_metadata(metadata.unwrap_or_default())
                .with_member_assignment(member.assignment.clone())
        };
        DescribedGroup::default()
            .with_group_state(StrBytes::from_static_str(self.state.name()))
            .with_protocol_type(wire_text_or_empty(self.protocol_type.as_ref()))
            .with_protocol_data(StrBytes::from_string(protocol.unwrap_or_default().to_string()))
            .with_members(self.members.iter().map(member).collect())
    }

    // ---- what tests ask

    #[cfg(test)]
    pub fn assert_sound(&self) {
        assert!(self.leader.as_ref().is_none_or(|leader| self.members.contains_key(leader)), "the leader is a member");
        assert_eq!(self.leader.is_none(), self.members.is_empty());
        for (instance_id, member_id) in &self.static_members {
            assert_eq!(self.members[member_id].instance_id.as_ref(), Some(instance_id));
        }
        for (member_id, member) in &self.members {
            let of_instance = member.instance_id.as_ref().map(|instance_id| &self.static_members[instance_id]);
            assert!(of_instance.is_none_or(|id| id == member_id), "an instance id names one member");
            assert!(!self.pending_join.contains(member_id));
            assert!(member.sync.is_none() || self.state == State::CompletingRebalance);
            assert!(member.join.is_none() || matches!(self.state, State::PreparingRebalance { .. }));
        }
        assert!(self.pending_sync.iter().all(|member_id| self.members.contains_key(member_id)));
        assert!(!self.is_idle() && (self.state != State::Empty || self.members.is_empty()));
    }

    #[cfg(test)]
    pub fn parked_count(&self) -> usize {
        self.members
            .values()
            .map(|member| usize::from(member.join.is_some()) + usize::from(member.sync.is_some()))
            .sum()
    }

    // ---- parts

    fn enter(&mut self, step: &Step<'_>, state: State) {
        self.state = state;
        self.since = Some(step.now.wall);
    }

    fn record(&self) -> GroupRecord {
        GroupRecord::Group { group: self.id.clone(), value: Some(self.to_log().into()) }
    }

    fn insert(&mut self, member_id: Text, member: Member) {
        if let Some(instance_id) = &member.instance_id {
            self.static_members.insert(instance_id.clone(), member_id.clone());
        }
        self.leader.get_or_insert_with(|| member_id.clone());
        self.members.insert(member_id, member);
    }

    /// Takes a member or a pending id out. A call it still has parked is told that it is unknown, so that a member that
    /// lives after all joins anew.
    fn remove(&mut self, step: &mut Step<'_>, member_id: &Text) {
        step.forget(&self.id, member_id);
        self.pending_join.remove(member_id);
        self.pending_sync.remove(member_id);
        let Some(member) = self.members.shift_remove(member_id) else { return };
        if let Some(ticket) = member.join {
            step.refuse_join(ticket, "", ErrorCode::UnknownMemberId);
        }
        if let Some(ticket) = member.sync {
            step.refuse_sync(ticket, ErrorCode::UnknownMemberId);
        }
        if let Some(instance_id) = &member.instance_id {
            self.static_members.remove(instance_id);
        }
        if self.is_leader(member_id) {
            self.leader = self.members.first().map(|(first, _)| first.clone());
        }
    }

    fn validate_member(&self, member_id: &str, instance_id: Option<&str>) -> Result<(), ErrorCode> {
        if let Some(instance_id) = instance_id {
            let owner = self.static_members.get(instance_id).ok_or(ErrorCode::UnknownMemberId)?;
            if &**owner != member_id {
                return Err(ErrorCode::FencedInstanceId);
            }
        }
        if self.has_member(member_id) { Ok(()) } else { Err(ErrorCode::UnknownMemberId) }
    }

    /// Whether the one who joins has a protocol in common with all who are here.
    fn supports_protocols(&self, request: &JoinGroupRequest) -> bool {
        if self.state == State::Empty {
            return !request.protocol_type.is_empty() && !request.protocols.is_empty();
        }
        let all_know = |name: &str| self.members.values().all(|member| member.metadata(name).is_some());
        self.protocol_type() == request.protocol_type.as_str()
            && request.protocols.iter().any(|protocol| all_know(&protocol.name))
    }

    fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    /// The longest rebalance timeout of a member.
    /// Never nothing, whatever members ask for: where only silent static members are left the wait begins anew each time it
    /// is over, and would have no end.
    fn rebalance_timeout_ms(&self) -> u64 {
        let longest = self.members.values().map(|member| member.rebalance_timeout_ms).max();
        u64::try_from(longest.unwrap_or(0)).unwrap_or(0).max(1)
    }

    fn ids_where(&self, holds: impl Fn(&Member) -> bool) -> Vec<Text> {
        self.members.iter().filter(|(_, member)| holds(member)).map(|(id, _)| id.clone()).collect()
    }

    fn joined(&self, member_id: &Text, with_members: bool) -> JoinGroupResponse {
        let member = |(id, member): (&Text, &Member)| {
            let metadata = self.protocol.as_deref().and_then(|name| member.metadata(name));
            JoinGroupResponseMember::default()
                .with_member_id(wire_text(id))
                .with_group_instance_id(member.instance_id.as_ref().map(wire_text))
                .with_metadata(metadata.cloned().unwrap_or_default())
        };
        let members = if with_members { self.members.iter().map(member).collect() } else { Vec::new() };
        JoinGroupResponse::default()
            .with_generation_id(self.generation)
            .with_protocol_type(self.protocol_type.as_ref().map(wire_text))
            .with_protocol_name(self.protocol.as_ref().map(wire_text))
            .with_leader(wire_text_or_empty(self.leader.as_ref()))
            .with_member_id(wire_text(member_id))
            .with_members(members)
    }

    fn synced(&self, member: &Member) -> SyncGroupResponse {
        let member = if bug(16) { self.members.values().next().unwrap_or(member) } else { member };
        SyncGroupResponse::default()
            .with_protocol_type(self.protocol_type.as_ref().map(wire_text))
            .with_protocol_name(self.protocol.as_ref().map(wire_text))
            .with_assignment(member.assignment.clone())
    }

    fn compute_subscribed_topics(&self) -> Option<BTreeSet<Text>> {
        if self.protocol_type() != CONSUMER_PROTOCOL {
            return None;
        }
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            topics.extend(subscription_topics(member.metadata(self.protocol.as_deref()?)?)?);
        }
        Some(topics)
    }

    pub fn session(&self, member: &Text) -> Deadline {
        Deadline::Session { group: self.id.clone(), member: member.clone() }
    }

    fn join_deadline(&self) -> Deadline {
        Deadline::Join { group: self.id.clone() }
    }

    fn sync_deadline(&self) -> Deadline {
        Deadline::Sync { group: self.id.clone() }
    }
}

impl Member {
    fn new(join: &Join, ticket: Ticket) -> Self {
        let Caller { client_id, client_host, .. } = &join.caller;
        Member {
            instance_id: join.request.group_instance_id.as_deref().map(Text::from),
            client_id: client_id.as_str().into(),
            client_host: client_host.as_str().into(),
            rebalance_timeout_ms: join.request.rebalance_timeout_ms,
            session_timeout_ms: join.request.session_timeout_ms,
            protocols: protocols_of(&join.request),
            assignment: Bytes::new(),
            join: Some(ticket),
            sync: None,
            is_new: true,
            is_disconnected: false,
        }
    }

    fn from_log(kept: &KeptMember, protocol: Option<&Text>) -> Self {
        let spoken = |name: &Text| Protocol { name: name.clone(), metadata: kept.subscription.clone() };
        Member {
            instance_id: kept.instance_id.clone(),
            client_id: kept.client_id.clone(),
            client_host: kept.client_host.clone(),
            rebalance_timeout_ms: kept.rebalance_timeout_ms,
            session_timeout_ms: kept.session_timeout_ms,
            protocols: protocol.map(spoken).into_iter().collect(),
            assignment: kept.assignment.clone(),
            join: None,
            sync: None,
            is_new: false,
            is_disconnected: false,
        }
    }

    fn to_log(&self, id: &Text, protocol: Option<&str>) -> KeptMember {
        KeptMember {
            member_id: id.clone(),
            instance_id: self.instance_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            session_timeout_ms: self.session_timeout_ms,
            subscription: protocol.and_then(|name| self.metadata(name)).cloned().unwrap_or_default(),
            assignment: self.assignment.clone(),
        }
    }

    /// What the member says about itself under this protocol, if it knows it.
    fn metadata(&self, protocol: &str) -> Option<&Bytes> {
        self.protocols.iter().find(|known| &*known.name == protocol).map(|known| &known.metadata)
    }

    /// It cannot send heartbeats because we owe it an answer; one whose connection is closed waits for nothing, and a
    /// new member has a longer time instead.
    fn waits_for_us(&self) -> bool {
        !self.is_new && !self.is_disconnected && (self.join.is_some() || self.sync.is_some())
    }
}

/// How long a new member may wait for the answer to its first JoinGroup, as in Kafka.
const NEW_MEMBER_JOIN_TIMEOUT_MS: i32 = 5 * 60 * 1000;

/// So much of a client id goes into a member id, which has to fit a string of the protocol (32767 bytes).
const MAX_NAME_IN_MEMBER_ID: usize = 32_000;

fn new_member_id(name: &str, join: &Join) -> Text {
    let name = &name[..name.floor_char_boundary(MAX_NAME_IN_MEMBER_ID)];
    format!("{name}-{}", join.random_id).into()
}

fn protocols_of(request: &JoinGroupRequest) -> Vec<Protocol> {
    let own = |protocol: &kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol| Protocol {
        name: protocol.name.as_str().into(),
        metadata: Bytes::copy_from_slice(&protocol.metadata),
    };
    request.protocols.iter().map(own).collect()
}

/// One member's part of the answer to a LeaveGroup.
pub(super) fn left(identity: &MemberIdentity, code: ErrorCode) -> MemberResponse {
    MemberResponse::default()
        .with_member_id(identity.member_id.clone())
        .with_group_instance_id(identity.group_instance_id.clone())
        .with_error_code(code as i16)
}

/// The topics in what a consumer says about itself. Every version begins as version 0 does, so that is all that is read.
fn subscription_topics(metadata: &[u8]) -> Option<BTreeSet<Text>> {
    let mut reader = Reader::new(metadata);
    reader.i16().ok()?;
    let topics = reader.array_of(false, |reader| reader.string(false).map(Text::from)).ok()?;
    Some(topics.into_iter().collect())
}

fn wire_text(text: &Text) -> StrBytes {
    StrBytes::from_string(text.to_string())
}

fn wire_text_or_empty(text: Option<&Text>) -> StrBytes {
    text.map(wire_text).unwrap_or_default()
}
