//! The group coordinator: many groups, one machine for each partition of `__consumer_offsets`.
//!
//! What survives is what its records say: committed offsets ([`offsets`]) and, of each classic group, the last stable
//! generation ([`records`]). What a restart forgets — members that are joining, parked calls, sessions — is in
//! [`classic`] and [`deadlines`]. Offsets are kept apart from the kind of group, and a group that only commits
//! ("simple") is known by its offsets alone. Groups of the newer protocol (KIP-848) are not served yet; their records
//! are passed over.
//!
//! Held here: a call with an old or unknown identity changes nothing (I61); an acknowledged commit is in the log before
//! its answer leaves (I62, with the driver); sessions and rebalances end when their time is up, whoever is silent (I66);
//! a group with members cannot be deleted (I70).

pub mod generated;

mod classic;
mod deadlines;
mod offsets;
mod records;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kafka_protocol::messages::describe_groups_response::DescribedGroup;
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use kafka_protocol::messages::offset_delete_response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse,
    OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse, SyncGroupRequest,
    SyncGroupResponse,
};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use self::classic::{ClassicGroup, State};
use self::deadlines::{Connections, Deadline, Deadlines};
pub use self::offsets::Committed;
use self::offsets::{Expiry, Offsets};
pub use self::records::{GroupMetadata, GroupRecord, KeptMember, Text};
use super::{Effects, Machine, Ticket};
use crate::types::{ConnectionId, ErrorCode, LeaderEpoch, Monotonic, Now, Offset, TopicId, TopicName};

/// The settings of the coordinator, under Kafka's names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupConfig {
    /// `group.min.session.timeout.ms`
    pub min_session_timeout_ms: i32,
    /// `group.max.session.timeout.ms`
    pub max_session_timeout_ms: i32,
    /// `group.initial.rebalance.delay.ms`
    pub initial_rebalance_delay_ms: u64,
    /// `group.max.size`
    pub max_size: usize,
    /// `offset.metadata.max.bytes`; counted in UTF-16 units, as Kafka counts.
    pub offset_metadata_max_bytes: usize,
    /// `offsets.retention.minutes`, in milliseconds.
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`
    pub offsets_retention_check_interval_ms: u64,
    /// `milena.group.disconnect.grace.ms`: what a dynamic member has left when its last connection is closed without
    /// LeaveGroup, if its session is not shorter.
    pub disconnect_grace_ms: u64,
}

impl Default for GroupConfig {
    /// Kafka's defaults, and three seconds of grace.
    fn default() -> Self {
        GroupConfig {
            min_session_timeout_ms: 6_000,
            max_session_timeout_ms: 1_800_000,
            initial_rebalance_delay_ms: 3_000,
            max_size: i32::MAX as usize,
            offset_metadata_max_bytes: 4_096,
            offsets_retention_ms: 7 * 24 * 60 * 60 * 1_000,
            offsets_retention_check_interval_ms: 600_000,
            disconnect_grace_ms: 3_000,
        }
    }
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub connection: ConnectionId,
    pub client_id: String,
    /// As Kafka shows it: `/127.0.0.1`.
    pub client_host: String,
}

/// A JoinGroup, with what depends on its version said in words.
#[derive(Clone, Debug, PartialEq)]
pub struct Join {
    pub caller: Caller,
    pub request: JoinGroupRequest,
    /// A new dynamic member has to ask a second time, with the id it is given (version 4 and up).
    pub member_id_required: bool,
    /// The client understands `skip_assignment` (version 9 and up).
    pub skip_assignment: bool,
    /// Becomes part of the member's id, if it is new.
    pub random_id: Uuid,
}

/// What the machine decides about. Requests come in the shape of their newest version.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupInput {
    Join(Box<Join>),
    Sync {
        connection: ConnectionId,
        request: SyncGroupRequest,
    },
    Heartbeat {
        connection: ConnectionId,
        request: HeartbeatRequest,
    },
    /// `members` of the request is what counts, in the old versions too.
    Leave {
        request: LeaveGroupRequest,
    },
    /// Topics are checked and their names filled in. `knows_unknown_group`: the client understands GROUP_ID_NOT_FOUND
    /// (version 9 and up).
    OffsetCommit {
        connection: ConnectionId,
        request: OffsetCommitRequest,
        knows_unknown_group: bool,
    },
    /// One group's part of the request, with names, and with ids where the topic exists.
    OffsetFetch {
        request: OffsetFetchRequestGroup,
    },
    /// Topics are checked.
    OffsetDelete {
        request: OffsetDeleteRequest,
    },
    Describe {
        group_id: String,
    },
    /// Filters as the client wrote them; empty means all.
    List {
        states: Vec<String>,
        types: Vec<String>,
    },
    Delete {
        group_id: String,
    },
    /// These topics are gone: so are the offsets committed for them, but not those for a new topic of the same name.
    TopicsDeleted {
        topics: Vec<(TopicName, TopicId)>,
    },
    /// Nothing more will come from there.
    ConnectionClosed {
        connection: ConnectionId,
    },
}

/// The answer to the input of the same name.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupAnswer {
    Join(JoinGroupResponse),
    Sync(SyncGroupResponse),
    Heartbeat(HeartbeatResponse),
    Leave(LeaveGroupResponse),
    OffsetCommit(OffsetCommitResponse),
    OffsetFetch(OffsetFetchResponseGroup),
    OffsetDelete(OffsetDeleteResponse),
    /// `None`: there is no such group.
    Describe(Option<DescribedGroup>),
    List(Vec<ListedGroup>),
    Delete(ErrorCode),
    /// To `TopicsDeleted` and `ConnectionClosed`.
    Done,
}

macro_rules! answers {
    ($($name:ident($variant:ident) -> $answer:ty;)*) => {
        impl GroupAnswer {
            $(
                /// What the input of this name is answered with; anything else would be a fault of the machine.
                pub fn $name(self) -> $answer {
                    match self {
                        GroupAnswer::$variant(answer) => answer,
                        other => unreachable!("not an answer to {}: {other:?}", stringify!($variant)),
                    }
                }
            )*
        }
    };
}

answers! {
    join(Join) -> JoinGroupResponse;
    sync(Sync) -> SyncGroupResponse;
    heartbeat(Heartbeat) -> HeartbeatResponse;
    leave(Leave) -> LeaveGroupResponse;
    offset_commit(OffsetCommit) -> OffsetCommitResponse;
    offset_fetch(OffsetFetch) -> OffsetFetchResponseGroup;
    offset_delete(OffsetDelete) -> OffsetDeleteResponse;
    describe(Describe) -> Option<DescribedGroup>;
    list(List) -> Vec<ListedGroup>;
    delete(Delete) -> ErrorCode;
}

/// The coordinator sends nothing to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupMessage {}

/// All groups of one partition of `__consumer_offsets`.
pub struct Groups {
    config: Arc<GroupConfig>,
    /// Survives, as do the offsets: changed in `apply` alone.
    kept: BTreeMap<Text, Arc<GroupMetadata>>,
    offsets: Offsets,
    /// Groups with somebody in them or at the door. A known group that is not here is Empty and as the log says.
    live: BTreeMap<Text, ClassicGroup>,
    deadlines: Deadlines,
    connections: Connections,
    /// Replay is over and the sessions of those found in the log have begun.
    is_loaded: bool,
}

/// What one step works with and collects.
struct Step<'a> {
    now: Now,
    config: &'a GroupConfig,
    deadlines: &'a mut Deadlines,
    connections: &'a mut Connections,
    append: Vec<GroupRecord>,
    answer: Vec<(Ticket, GroupAnswer)>,
}

impl Groups {
    pub fn new(config: Arc<GroupConfig>) -> Self {
        Groups {
            config,
            kept: BTreeMap::new(),
            offsets: Offsets::default(),
            live: BTreeMap::new(),
            deadlines: Deadlines::default(),
            connections: Connections::default(),
            is_loaded: false,
        }
    }
}

impl Machine for Groups {
    type Input = GroupInput;
    type Record = GroupRecord;
    type Answer = GroupAnswer;
    type Message = GroupMessage;

    fn step(&mut self, now: Now, ticket: Ticket, input: GroupInput) -> Effects<Self> {
        self.load(now);
        match input {
            GroupInput::Join(join) => self.join(now, ticket, *join),
            GroupInput::Sync { connection, request } => self.sync(now, ticket, connection, &request),
            GroupInput::Heartbeat { connection, request } => self.heartbeat(now, ticket, connection, &request),
            GroupInput::Leave { request } => self.leave(now, ticket, &request),
            GroupInput::OffsetCommit { connection, request, knows_unknown_group } => {
                self.commit(now, ticket, connection, &request, knows_unknown_group)
            }
            GroupInput::OffsetFetch { request } => {
                Effects::answer(ticket, GroupAnswer::OffsetFetch(self.fetch(request)))
            }
            GroupInput::OffsetDelete { request } => self.delete_offsets(ticket, &request),
            GroupInput::Describe { group_id } => {
                Effects::answer(ticket, GroupAnswer::Describe(self.describe(&group_id)))
            }
            GroupInput::List { states, types } => {
                Effects::answer(ticket, GroupAnswer::List(self.list(&states, &types)))
            }
            GroupInput::Delete { group_id } => self.delete(ticket, &group_id),
            GroupInput::TopicsDeleted { topics } => {
                Effects { append: self.offsets.delete_topics(&topics), ..Effects::answer(ticket, GroupAnswer::Done) }
            }
            GroupInput::ConnectionClosed { connection } => self.connection_closed(now, ticket, connection),
        }
    }

    fn tick(&mut self, now: Now) -> Effects<Self> {
        self.load(now);
        let mut effects = Effects::none();
        while let Some(deadline) = self.deadlines.pop_due(now.mono) {
            let more = match deadline {
                Deadline::Session { group, member } => {
                    self.with_live(now, &group, |group, step| group.session_ended(step, &member))
                }
                Deadline::Join { group } => self.with_live(now, &group, |group, step| group.join_time_is_up(step)),
                Deadline::Sync { group } => self.with_live(now, &group, |group, step| group.sync_time_is_up(step)),
                Deadline::Expiry => self.expire(now),
            };
            effects.append.extend(more.append);
            effects.answer.extend(more.answer);
            if !effects.append.is_empty() {
                // What is due next may depend on these records, which are applied first.
                break;
            }
        }
        effects
    }

    fn next_deadline(&self) -> Option<Monotonic> {
        self.deadlines.next()
    }

    fn apply(&mut self, record: &GroupRecord) {
        match record {
            GroupRecord::Offset { group, topic, partition, value: Some(committed) } => {
                self.offsets.put(group, topic, *partition, committed.clone());
            }
            GroupRecord::Offset { group, topic, partition, value: None } => {
                self.offsets.remove(group, topic.as_str(), *partition);
            }
            GroupRecord::Group { group, value: Some(metadata) } => {
                self.kept.insert(group.clone(), metadata.clone());
            }
            GroupRecord::Group { group, value: None } => {
                self.kept.remove(group);
                self.live.remove(group);
            }
            GroupRecord::Unknown(_) => {}
        }
    }
}

impl Groups {
    /// Begins the sessions of the members found in the log. Each has its whole session again, as in Kafka.
    fn load(&mut self, now: Now) {
        if std::mem::replace(&mut self.is_loaded, true) {
            return;
        }
        let interval_ms = self.config.offsets_retention_check_interval_ms;
        self.deadlines.set(Deadline::Expiry, now.mono.plus_ms(interval_ms));
        let kept = self.kept.iter().filter(|(_, metadata)| !metadata.members.is_empty());
        for (id, metadata) in kept.map(|(id, metadata)| (id.clone(), metadata.clone())).collect::<Vec<_>>() {
            let (live, mut step) = self.split(now);
            let mut group = ClassicGroup::from_log(id.clone(), &metadata);
            for member_id in group.members.keys() {
                group.reschedule(&mut step, member_id);
            }
            if group.members.len() > step.config.max_size {
                group.prepare_rebalance(&mut step, "the group is larger than group.max.size");
            }
            live.insert(id, group);
        }
    }

    /// The groups and the rest of the machine, to be used side by side.
    fn split(&mut self, now: Now) -> (&mut BTreeMap<Text, ClassicGroup>, Step<'_>) {
        let step = Step {
            now,
            config: &self.config,
            deadlines: &mut self.deadlines,
            connections: &mut self.connections,
            append: Vec::new(),
            answer: Vec::new(),
        };
        (&mut self.live, step)
    }

    /// Works on a group that has somebody in it; a group that nobody is left in goes back to being known by the log.
    fn with_live(&mut self, now: Now, id: &str, work: impl FnOnce(&mut ClassicGroup, &mut Step<'_>)) -> Effects<Self> {
        let (live, mut step) = self.split(now);
        if let Some(group) = live.get_mut(id) {
            work(group, &mut step);
            if group.is_idle() {
                live.remove(id);
            }
        }
        step.into_effects()
    }

    fn exists(&self, group_id: &str) -> bool {
        self.live.contains_key(group_id) || self.kept.contains_key(group_id) || self.offsets.has(group_id)
    }

    // ---- membership

    fn join(&mut self, now: Now, ticket: Ticket, join: Join) -> Effects<Self> {
        let group_id: Text = join.request.group_id.as_str().into();
        let session_timeouts = self.config.min_session_timeout_ms..=self.config.max_session_timeout_ms;
        let is_known = self.exists(&group_id);
        let refusal = if group_id.is_empty() {
            Some(ErrorCode::InvalidGroupId)
        } else if !session_timeouts.contains(&join.request.session_timeout_ms) {
            Some(ErrorCode::InvalidSessionTimeout)
        } else if !is_known && !join.request.member_id.is_empty() {
            Some(ErrorCode::UnknownMemberId)
        } else {
            None
        };
        if let Some(code) = refusal {
            return Effects::answer(ticket, GroupAnswer::Join(refused_join(&join.request.member_id, code)));
        }
        if !self.live.contains_key(&group_id) {
            let group = match self.kept.get(&group_id) {
                Some(kept) => ClassicGroup::from_log(group_id.clone(), kept),
                None => ClassicGroup::new(group_id.clone(), now.wall),
            };
            self.live.insert(group_id.clone(), group);
        }
        let mut effects = self.with_live(now, &group_id, |group, step| group.join(step, ticket, join));
        // Somebody is in it now, or at the door: from here on the group exists, also after a restart.
        let is_new = !is_known && self.live.contains_key(&group_id);
        if is_new && effects.append.is_empty() {
            let empty = ClassicGroup::new(group_id.clone(), now.wall).to_log();
            effects.append.push(GroupRecord::Group { group: group_id, value: Some(empty.into()) });
        }
        effects
    }

    fn sync(
        &mut self,
        now: Now,
        ticket: Ticket,
        connection: ConnectionId,
        request: &SyncGroupRequest,
    ) -> Effects<Self> {
        let group_id = request.group_id.as_str();
        if group_id.is_empty() {
            Effects::answer(ticket, GroupAnswer::Sync(refused_sync(ErrorCode::InvalidGroupId)))
        } else if !self.live.contains_key(group_id) {
            Effects::answer(ticket, GroupAnswer::Sync(refused_sync(ErrorCode::UnknownMemberId)))
        } else {
            self.with_live(now, group_id, |group, step| group.sync(step, ticket, connection, request))
        }
    }

    fn heartbeat(
        &mut self,
        now: Now,
        ticket: Ticket,
        connection: ConnectionId,
        request: &HeartbeatRequest,
    ) -> Effects<Self> {
        let group_id = request.group_id.as_str();
        let mut result = Err(ErrorCode::UnknownMemberId);
        if group_id.is_empty() {
            result = Err(ErrorCode::InvalidGroupId);
        }
        let mut effects =
            self.with_live(now, group_id, |group, step| result = group.heartbeat(step, connection, request));
        let code = result.err().unwrap_or(ErrorCode::None);
        let answer = HeartbeatResponse::default().with_error_code(code as i16);
        effects.answer.push((ticket, GroupAnswer::Heartbeat(answer)));
        effects
    }

    fn leave(&mut self, now: Now, ticket: Ticket, request: &LeaveGroupRequest) -> Effects<Self> {
        let group_id = request.group_id.as_str();
        if group_id.is_empty() {
            let answer = LeaveGroupResponse::default().with_error_code(ErrorCode::InvalidGroupId as i16);
            return Effects::answer(ticket, GroupAnswer::Leave(answer));
        }
        let unknown = |identity| classic::left(identity, ErrorCode::UnknownMemberId);
        let mut answer = LeaveGroupResponse::default().with_members(request.members.iter().map(unknown).collect());
        let mut effects = self.with_live(now, group_id, |group, step| answer = group.leave(step, &request.members));
        effects.answer.push((ticket, GroupAnswer::Leave(answer)));
        effects
    }

    fn connection_closed(&mut self, now: Now, ticket: Ticket, connection: ConnectionId) -> Effects<Self> {
        for (group, member) in self.connections.closed(connection) {
            self.with_live(now, &group, |group, step| group.disconnected(step, &member));
        }
        Effects::answer(ticket, GroupAnswer::Done)
    }

    // ---- offsets

    fn commit(
        &mut self,
        now: Now,
        ticket: Ticket,
        connection: ConnectionId,
        request: &OffsetCommitRequest,
        knows_unknown_group: bool,
    ) -> Effects<Self> {
        let result = self.validate_commit(request, knows_unknown_group);
        if result.is_ok() {
            let member_id: Text = request.member_id.as_str().into();
            self.with_live(now, &request.group_id, |group, step| {
                // A commit is a sign of life as a heartbeat is.
                if group.has_member(&member_id) {
                    group.seen(step, connection, &member_id);
                    group.reschedule(step, &member_id);
                }
            });
        }
        let mut effects = Effects::none();
        let answer = self.commit_each(now, request, result, &mut effects.append);
        effects.answer.push((ticket, GroupAnswer::OffsetCommit(answer)));
        effects
    }

    fn validate_commit(&self, request: &OffsetCommitRequest, knows_unknown_group: bool) -> Result<(), ErrorCode> {
        let generation = request.generation_id_or_member_epoch;
        let group_id = request.group_id.as_str();
        if let Some(group) = self.live.get(group_id) {
            group.validate_commit(&request.member_id, request.group_instance_id.as_deref(), generation)
        } else if generation < 0 {
            // A simple consumer or an operator, and nobody is in the group.
            Ok(())
        } else if self.exists(group_id) {
            Err(ErrorCode::UnknownMemberId)
        } else if knows_unknown_group {
            Err(ErrorCode::GroupIdNotFound)
        } else {
            Err(ErrorCode::IllegalGeneration)
        }
    }

    /// The answer partition by partition, and the records of those that are accepted.
    fn commit_each(
        &self,
        now: Now,
        request: &OffsetCommitRequest,
        result: Result<(), ErrorCode>,
        records: &mut Vec<GroupRecord>,
    ) -> OffsetCommitResponse {
        let group: Text = request.group_id.as_str().into();
        let expire_timestamp = match request.retention_time_ms {
            -1 => None,
            retention_ms => Some(now.wall.plus_ms(retention_ms)),
        };
        let mut answer = OffsetCommitResponse::default();
        for topic in &request.topics {
            let name: TopicName = topic.name.as_str().into();
            let mut partitions = Vec::new();
            for partition in &topic.partitions {
                let metadata = partition.committed_metadata.as_deref().unwrap_or("");
                let code = match result {
                    Err(code) => code,
                    Ok(()) if self.is_too_long(metadata) => ErrorCode::OffsetMetadataTooLarge,
                    Ok(()) => ErrorCode::None,
                };
                if code == ErrorCode::None {
                    let committed = Committed {
                        offset: Offset(partition.committed_offset),
                        leader_epoch: LeaderEpoch(partition.committed_leader_epoch),
                        metadata: metadata.into(),
                        commit_timestamp: now.wall,
                        expire_timestamp,
                        topic_id: TopicId(topic.topic_id),
                    };
                    records.push(GroupRecord::Offset {
                        group: group.clone(),
                        topic: name.clone(),
                        partition: partition.partition_index,
                        value: Some(committed),
                    });
                }
                partitions.push(
                    OffsetCommitResponsePartition::default()
                        .with_partition_index(partition.partition_index)
                        .with_error_code(code as i16),
                );
            }
            let topic_answer = OffsetCommitResponseTopic::default()
                .with_name(topic.name.clone())
                .with_topic_id(topic.topic_id)
                .with_partitions(partitions);
            answer.topics.push(topic_answer);
        }
        answer
    }

    fn is_too_long(&self, metadata: &str) -> bool {
        let limit = self.config.offset_metadata_max_bytes;
        // No character takes more units than bytes.
        metadata.len() > limit && metadata.encode_utf16().count() > limit
    }

    /// What is asked for, or everything; what was never committed is -1, also in a group that does not exist.
    fn fetch(&self, request: OffsetFetchRequestGroup) -> OffsetFetchResponseGroup {
        let group_id = request.group_id.as_str();
        let mut answer = OffsetFetchResponseGroup::default().with_group_id(request.group_id.clone());
        match &request.topics {
            Some(topics) => {
                for topic in topics {
                    let asked = TopicId(topic.topic_id);
                    let committed = |partition: &i32| {
                        let found = self.offsets.get(group_id, topic.name.as_str(), *partition);
                        fetched(*partition, found.filter(|found| found.is_of(asked)))
                    };
                    let topic_answer = OffsetFetchResponseTopics::default()
                        .with_name(topic.name.clone())
                        .with_topic_id(topic.topic_id)
                        .with_partitions(topic.partition_indexes.iter().map(committed).collect());
                    answer.topics.push(topic_answer);
                }
            }
            None => {
                for (topic, partitions) in self.offsets.of(group_id).into_iter().flatten() {
                    let committed = |(partition, committed): (&i32, &Committed)| fetched(*partition, Some(committed));
                    let topic_answer = OffsetFetchResponseTopics::default()
                        .with_name(StrBytes::from_string(topic.to_string()).into())
                        .with_partitions(partitions.iter().map(committed).collect());
                    answer.topics.push(topic_answer);
                }
            }
        }
        answer
    }

    fn delete_offsets(&mut self, ticket: Ticket, request: &OffsetDeleteRequest) -> Effects<Self> {
        let group_id = request.group_id.as_str();
        let live = self.live.get(group_id);
        let refusal = if group_id.is_empty() {
            Some(ErrorCode::InvalidGroupId)
        } else if !self.exists(group_id) {
            Some(ErrorCode::GroupIdNotFound)
        } else if live.is_some_and(|group| group.state != State::Empty && group.protocol_type() != CONSUMER_PROTOCOL) {
            Some(ErrorCode::NonEmptyGroup)
        } else {
            None
        };
        if let Some(code) = refusal {
            let answer = OffsetDeleteResponse::default().with_error_code(code as i16);
            return Effects::answer(ticket, GroupAnswer::OffsetDelete(answer));
        }
        let group: Text = group_id.into();
        let mut effects = Effects::none();
        let mut answer = OffsetDeleteResponse::default();
        for topic in &request.topics {
            let is_subscribed = live.is_some_and(|group| group.is_subscribed_to(&topic.name));
            let code = if is_subscribed { ErrorCode::GroupSubscribedToTopic } else { ErrorCode::None };
            let mut partitions = Vec::new();
            for partition in topic.partitions.iter().map(|partition| partition.partition_index) {
                if !is_subscribed && self.offsets.get(group_id, topic.name.as_str(), partition).is_some() {
                    let topic = topic.name.as_str().into();
                    effects.append.push(GroupRecord::Offset { group: group.clone(), topic, partition, value: None });
                }
                partitions.push(
                    OffsetDeleteResponsePartition::default()
                        .with_partition_index(partition)
                        .with_error_code(code as i16),
                );
            }
            answer
                .topics
                .push(OffsetDeleteResponseTopic::default().with_name(topic.name.clone()).with_partitions(partitions));
        }
        effects.answer.push((ticket, GroupAnswer::OffsetDelete(answer)));
        effects
    }

    /// Writes the end of offsets that nobody asked for in a long time, and of empty groups that have none left (I68).
    /// Much of it is done in portions, so that no batch becomes too large.
    fn expire(&mut self, now: Now) -> Effects<Self> {
        let ids: BTreeSet<Text> = self.kept.keys().chain(self.offsets.groups()).cloned().collect();
        let mut effects = Effects::none();
        let mut interval_ms = self.config.offsets_retention_check_interval_ms;
        for id in ids {
            let live = self.live.get(&id);
            let expiry = live.map_or_else(|| self.expiry_when_empty(&id), ClassicGroup::expiry);
            let expired = self.offsets.expired(&id, &expiry, now.wall, self.config.offsets_retention_ms);
            let is_last = expired.len() == self.offsets.count(&id);
            effects.append.extend(expired);
            if is_last && live.is_none() && self.kept.contains_key(&id) {
                effects.append.push(GroupRecord::Group { group: id, value: None });
            }
            if effects.append.len() >= EXPIRED_AT_ONCE {
                interval_ms = 0;
                break;
            }
        }
        self.deadlines.set(Deadline::Expiry, now.mono.plus_ms(interval_ms.max(1)));
        effects
    }

    fn expiry_when_empty(&self, id: &str) -> Expiry<'_> {
        match self.kept.get(id) {
            Some(kept) if !kept.members.is_empty() => Expiry::Never,
            Some(kept) if !kept.protocol_type.is_empty() => {
                kept.state_timestamp.map_or(Expiry::SinceCommit, Expiry::SinceEmpty)
            }
            Some(_) | None => Expiry::SinceCommit,
        }
    }

    // ---- groups as a whole

    fn describe(&self, group_id: &str) -> Option<DescribedGroup> {
        if !self.exists(group_id) {
            return None;
        }
        let described = match self.live.get(group_id) {
            Some(group) => group.describe(),
            None => DescribedGroup::default()
                .with_group_state(StrBytes::from_static_str(State::Empty.name()))
                .with_protocol_type(StrBytes::from_string(self.kept_protocol_type(group_id).to_string())),
        };
        Some(described.with_group_id(StrBytes::from_string(group_id.to_string()).into()))
    }

    fn list(&self, states: &[String], types: &[String]) -> Vec<ListedGroup> {
        let asked = |filter: &[String], name: &str| {
            filter.is_empty() || filter.iter().any(|wanted| wanted.trim().eq_ignore_ascii_case(name))
        };
        if !asked(types, CLASSIC) {
            return Vec::new();
        }
        let ids: BTreeSet<&Text> = self.live.keys().chain(self.kept.keys()).chain(self.offsets.groups()).collect();
        let mut listed = Vec::new();
        for id in ids {
            let live = self.live.get(id);
            let state = live.map_or(State::Empty, |group| group.state).name();
            let protocol_type = live.map_or_else(|| self.kept_protocol_type(id), ClassicGroup::protocol_type);
            if asked(states, state) {
                listed.push(
                    ListedGroup::default()
                        .with_group_id(StrBytes::from_string(id.to_string()).into())
                        .with_protocol_type(StrBytes::from_string(protocol_type.to_string()))
                        .with_group_state(StrBytes::from_static_str(state))
                        .with_group_type(StrBytes::from_static_str(CLASSIC)),
                );
            }
        }
        listed
    }

    fn kept_protocol_type(&self, group_id: &str) -> &str {
        self.kept.get(group_id).map_or("", |kept| &kept.protocol_type)
    }

    fn delete(&mut self, ticket: Ticket, group_id: &str) -> Effects<Self> {
        if !self.exists(group_id) {
            return Effects::answer(ticket, GroupAnswer::Delete(ErrorCode::GroupIdNotFound));
        }
        if self.live.get(group_id).is_some_and(|group| group.state != State::Empty) {
            return Effects::answer(ticket, GroupAnswer::Delete(ErrorCode::NonEmptyGroup));
        }
        let mut append = self.offsets.delete_all(group_id);
        append.push(GroupRecord::Group { group: group_id.into(), value: None });
        Effects { append, ..Effects::answer(ticket, GroupAnswer::Delete(ErrorCode::None)) }
    }
}

impl Step<'_> {
    fn answer(&mut self, ticket: Ticket, answer: GroupAnswer) {
        self.answer.push((ticket, answer));
    }

    fn refuse_join(&mut self, ticket: Ticket, member_id: &str, code: ErrorCode) {
        self.answer(ticket, GroupAnswer::Join(refused_join(member_id, code)));
    }

    fn refuse_sync(&mut self, ticket: Ticket, code: ErrorCode) {
        self.answer(ticket, GroupAnswer::Sync(refused_sync(code)));
    }

    fn set(&mut self, deadline: Deadline, timeout_ms: i32) {
        let timeout_ms = u64::try_from(timeout_ms).unwrap_or(0);
        self.deadlines.set(deadline, self.now.mono.plus_ms(timeout_ms));
    }

    /// Nothing more is due of this member, and no connection stands for it.
    fn forget(&mut self, group: &Text, member: &Text) {
        self.deadlines.cancel(&Deadline::Session { group: group.clone(), member: member.clone() });
        self.connections.forget(group, member);
    }

    fn into_effects(self) -> Effects<Groups> {
        Effects { append: self.append, send: Vec::new(), answer: self.answer }
    }
}

/// Which partition of `__consumer_offsets` a group belongs to: Kafka's rule, which is Java's hash of its name.
pub fn partition_of(group_id: &str, partition_count: i32) -> i32 {
    let hash = group_id.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    // Kafka's `abs` makes 0 of the one number that has no opposite.
    hash.checked_abs().unwrap_or(0) % partition_count.max(1)
}

fn refused_join(member_id: &str, code: ErrorCode) -> JoinGroupResponse {
    JoinGroupResponse::default()
        .with_error_code(code as i16)
        .with_protocol_name(None)
        .with_member_id(StrBytes::from_string(member_id.to_string()))
}

fn refused_sync(code: ErrorCode) -> SyncGroupResponse {
    SyncGroupResponse::default().with_error_code(code as i16)
}

fn fetched(partition: i32, committed: Option<&Committed>) -> OffsetFetchResponsePartitions {
    let answer = OffsetFetchResponsePartitions::default().with_partition_index(partition);
    match committed {
        Some(committed) => answer
            .with_committed_offset(committed.offset.0)
            .with_committed_leader_epoch(committed.leader_epoch.0)
            .with_metadata(Some(StrBytes::from_string(committed.metadata.to_string()))),
        None => answer
            .with_committed_offset(-1)
            .with_committed_leader_epoch(-1)
            .with_metadata(Some(StrBytes::from_static_str(""))),
    }
}

/// The protocol type of consumers; their subscriptions can be read.
const CONSUMER_PROTOCOL: &str = "consumer";

/// The type of every group served here.
const CLASSIC: &str = "classic";

/// So many tombstones make a portion of the expiry.
const EXPIRED_AT_ONCE: usize = 1_000;
