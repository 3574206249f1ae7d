//! What coordinators keep: group records, transaction records, and the machine of the groups.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::messages as m;
use kafka_protocol::protocol::StrBytes;
use milena::state::group::generated::*;
use milena::state::group::{Caller, GroupAnswer, GroupConfig, GroupInput, GroupRecord, Groups, Join};
use milena::state::transaction::generated::{CoordinatorKey as TransactionKey, TransactionLogValue};
use milena::state::{Effects, Machine, Ticket};
use milena::types::{ConnectionId, Monotonic, Now, Timestamp, TopicId, TopicName};
use uuid::Uuid;

use super::Choices;

/// Pieces behind two bytes of length each; the last may be short.
pub fn pieces(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut choices = Choices(data);
    std::iter::from_fn(move || {
        let more = !choices.is_empty();
        more.then(|| {
            let len = choices.u16();
            choices.bytes(usize::from(len))
        })
    })
}

/// What was read must write something that reads the same.
macro_rules! again {
    ($record:ident, $bytes:ident) => {
        if let Ok(record) = $record::decode_framed($bytes) {
            let version = i16::from_be_bytes([$bytes[0], $bytes[1]]).min(*$record::VERSIONS.end());
            let mut out = Vec::new();
            record.encode_framed(version, &mut out);
            assert_eq!($record::decode_framed(&out), Ok(record));
        }
    };
}

/// Keys and values by turns, an empty value being a tombstone: each is read or refused, and applied in any order (I69). The
/// machine then answers what it is asked.
pub fn group_records(data: &[u8]) {
    let mut groups = Groups::new(Arc::new(GroupConfig::default()));
    let mut key: Option<&[u8]> = None;
    for piece in pieces(data) {
        codecs(piece);
        let Some(key) = key.take() else {
            key = Some(piece);
            continue;
        };
        let value = (!piece.is_empty()).then_some(piece);
        if let Ok(record) = GroupRecord::decode(key, value) {
            groups.apply(&record);
            if !matches!(record, GroupRecord::Unknown(_)) {
                let (key, value) = record.encode();
                assert_eq!(GroupRecord::decode(&key, value.as_deref()), Ok(record));
            }
        }
    }
    let now = Now { wall: Timestamp(1_700_000_000_000), mono: Monotonic(5) };
    groups.tick(now);
    let everything = GroupInput::List { states: Vec::new(), types: Vec::new() };
    let effects = groups.step(now, Ticket(1), everything);
    let Some((_, GroupAnswer::List(listed))) = effects.answer.into_iter().next() else { panic!("no list") };
    for group in listed {
        groups.step(now, Ticket(2), GroupInput::Describe { group_id: group.group_id.to_string() });
    }
    let later = Now { wall: Timestamp(1_900_000_000_000), mono: Monotonic(u64::MAX / 2) };
    for record in groups.tick(later).append {
        groups.apply(&record);
    }
}

fn codecs(bytes: &[u8]) {
    if let Ok(key) = CoordinatorKey::decode_framed(bytes) {
        let mut out = Vec::new();
        key.encode_framed(&mut out);
        assert_eq!(CoordinatorKey::decode_framed(&out), Ok(key));
    }
    again!(OffsetCommitValue, bytes);
    again!(GroupMetadataValue, bytes);
    again!(ConsumerGroupMetadataValue, bytes);
    again!(ConsumerGroupMemberMetadataValue, bytes);
    again!(ConsumerGroupCurrentMemberAssignmentValue, bytes);
    again!(ConsumerGroupTargetAssignmentMemberValue, bytes);
    again!(ConsumerGroupTargetAssignmentMetadataValue, bytes);
    again!(ConsumerGroupRegularExpressionValue, bytes);
    again!(ConsumerProtocolSubscription, bytes);
    again!(ConsumerProtocolAssignment, bytes);
}

/// A key or a value of `__transaction_state`.
pub fn transaction_records(data: &[u8]) {
    if let Ok(key) = TransactionKey::decode_framed(data) {
        let mut out = Vec::new();
        key.encode_framed(&mut out);
        assert_eq!(TransactionKey::decode_framed(&out), Ok(key));
    }
    again!(TransactionLogValue, data);
}

/// The driver in small, and a log of bytes.
struct Room {
    groups: Groups,
    config: Arc<GroupConfig>,
    now: Now,
    log: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    open: BTreeMap<Ticket, ()>,
    /// The newest id, generation and connection that each client was given.
    members: [(StrBytes, i32, u64); 4],
    whose: BTreeMap<Ticket, usize>,
}

/// Events as four clients bring them, in any order and with any numbers, while time passes and the coordinator restarts. Every
/// ticket is answered once at most, what is written reads back, and a machine fed the log tells the same of every group.
pub fn group_machine(data: &[u8]) {
    let mut choices = Choices(data);
    let config = Arc::new(GroupConfig { max_size: 3, ..GroupConfig::default() });
    let mut room = Room {
        groups: Groups::new(config.clone()),
        config,
        now: Now { wall: Timestamp(1_700_000_000_000), mono: Monotonic(1_000) },
        log: Vec::new(),
        open: BTreeMap::new(),
        members: std::array::from_fn(|client| (StrBytes::default(), -1, client as u64)),
        whose: BTreeMap::new(),
    };
    for number in 0..120 {
        if choices.is_empty() {
            break;
        }
        room.event(Ticket(number), &mut choices);
    }
    room.compare_with_replay();
}

impl Room {
    fn event(&mut self, ticket: Ticket, choices: &mut Choices<'_>) {
        match choices.below(16) {
            0 | 1 => self.pass(u64::from(choices.u16())),
            2 => self.pass(u64::from(choices.u16()) << 10),
            3 => self.restart(),
            _ => {
                let client = choices.below(4);
                let input = self.input(client, choices);
                self.open.insert(ticket, ());
                self.whose.insert(ticket, client);
                let effects = self.groups.step(self.now, ticket, input);
                self.carry_out(effects);
            }
        }
    }

    fn pass(&mut self, ms: u64) {
        let end = self.now.mono.plus_ms(ms);
        // Deadline by deadline, as the driver does it; bounded, as a deadline that stays would be a fault.
        for round in 0.. {
            let Some(next) = self.groups.next_deadline().filter(|next| *next <= end) else { break };
            assert!(round < 10_000, "a deadline that never passes");
            self.move_to(next.max(self.now.mono));
            let effects = self.groups.tick(self.now);
            self.carry_out(effects);
        }
        self.move_to(end);
    }

    fn move_to(&mut self, mono: Monotonic) {
        self.now.wall = Timestamp(self.now.wall.0 + mono.ms_since(self.now.mono) as i64);
        self.now.mono = mono;
    }

    fn restart(&mut self) {
        self.groups = self.replayed();
        self.open.clear();
        let effects = self.groups.tick(self.now);
        self.carry_out(effects);
    }

    fn replayed(&self) -> Groups {
        let mut fresh = Groups::new(self.config.clone());
        for (key, value) in &self.log {
            fresh.apply(&GroupRecord::decode(key, value.as_deref()).expect("what was written reads"));
        }
        fresh
    }

    fn carry_out(&mut self, effects: Effects<Groups>) {
        for record in &effects.append {
            let (key, value) = record.encode();
            let read = GroupRecord::decode(&key, value.as_deref()).expect("what is written reads");
            assert_eq!(&read, record);
            self.groups.apply(&read);
            self.log.push((key, value));
        }
        for (ticket, answer) in effects.answer {
            assert!(self.open.remove(&ticket).is_some(), "a second answer to {ticket:?}: {answer:?}");
            if let (GroupAnswer::Join(answer), Some(client)) = (answer, self.whose.get(&ticket)) {
                let member = &mut self.members[*client];
                (member.0, member.1) = (answer.member_id, answer.generation_id);
            }
        }
    }

    fn input(&mut self, client: usize, choices: &mut Choices<'_>) -> GroupInput {
        let (member_id, generation, connection) = self.members[client].clone();
        // Mostly what a client would say; sometimes anything.
        let member_id = if choices.byte() & 15 == 15 { text(choices) } else { member_id };
        let generation = if choices.byte() & 15 == 15 { choices.below(5) as i32 - 1 } else { generation };
        let group = m::GroupId(StrBytes::from_static_str(["g", "h", ""][usize::from(choices.byte() % 17 / 8)]));
        let connection = ConnectionId(connection);
        match choices.below(12) {
            0..=3 => GroupInput::Join(Box::new(self.join(client, group, member_id, choices))),
            4 | 5 => {
                let assignment = |_| {
                    m::sync_group_request::SyncGroupRequestAssignment::default()
                        .with_member_id(member_id.clone())
                        .with_assignment(Bytes::copy_from_slice(&[7; 3]))
                };
                let request = m::SyncGroupRequest::default()
                    .with_group_id(group)
                    .with_generation_id(generation)
                    .with_member_id(member_id.clone())
                    .with_assignments((0..choices.below(3)).map(assignment).collect());
                GroupInput::Sync { connection, request }
            }
            6 => {
                let request = m::HeartbeatRequest::default()
                    .with_group_id(group)
                    .with_generation_id(generation)
                    .with_member_id(member_id);
                GroupInput::Heartbeat { connection, request }
            }
            7 => {
                let leaving = m::leave_group_request::MemberIdentity::default()
                    .with_member_id(member_id)
                    .with_group_instance_id(instance(choices));
                GroupInput::Leave {
                    request: m::LeaveGroupRequest::default().with_group_id(group).with_members(vec![leaving]),
                }
            }
            8 => commit(group, member_id, generation, connection, choices),
            9 => match choices.below(4) {
                0 => GroupInput::Delete { group_id: group.to_string() },
                1 => GroupInput::TopicsDeleted { topics: vec![(TopicName::from("t"), topic_id(choices))] },
                2 => GroupInput::List { states: vec!["Stable".into()], types: Vec::new() },
                _ => GroupInput::Describe { group_id: group.to_string() },
            },
            10 => {
                let topic = m::offset_fetch_request::OffsetFetchRequestTopics::default()
                    .with_name(m::TopicName(StrBytes::from_static_str("t")))
                    .with_topic_id(topic_id(choices).0)
                    .with_partition_indexes(vec![0, choices.byte().into()]);
                let request = m::offset_fetch_request::OffsetFetchRequestGroup::default()
                    .with_group_id(group)
                    .with_topics(choices.bool().then(|| vec![topic]));
                GroupInput::OffsetFetch { request }
            }
            _ => {
                self.members[client].2 += 10;
                GroupInput::ConnectionClosed { connection }
            }
        }
    }

    fn join(&self, client: usize, group: m::GroupId, member_id: StrBytes, choices: &mut Choices<'_>) -> Join {
        let protocol = |index: usize| {
            m::join_group_request::JoinGroupRequestProtocol::default()
                .with_name(StrBytes::from_static_str(["range", "sticky"][index & 1]))
                .with_metadata(Bytes::from_static(&[0, 0, 0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 0]))
        };
        let odd = choices.byte();
        let request = m::JoinGroupRequest::default()
            .with_group_id(group)
            .with_session_timeout_ms(if odd & 15 == 1 { i32::from(odd) - 50 } else { 10_000 })
            .with_rebalance_timeout_ms(if odd & 15 == 2 { -1 } else { 20_000 })
            .with_member_id(member_id)
            .with_group_instance_id(instance(choices))
            .with_protocol_type(StrBytes::from_static_str(if odd & 15 == 3 { "connect" } else { "consumer" }))
            .with_protocols((0..choices.below(3)).map(protocol).collect());
        Join {
            caller: Caller {
                connection: ConnectionId(self.members[client].2),
                client_id: format!("client{client}"),
                client_host: "/127.0.0.1".into(),
            },
            request,
            member_id_required: choices.bool(),
            skip_assignment: choices.bool(),
            random_id: Uuid::from_u128(self.log.len() as u128 * 16 + self.whose.len() as u128 * 4096 + client as u128),
        }
    }

    /// Restarted, the machine knows the same groups and the same offsets.
    fn compare_with_replay(&mut self) {
        let mut fresh = self.replayed();
        for group in ["g", "h"] {
            let request =
                || m::offset_fetch_request::OffsetFetchRequestGroup::default().with_group_id(m::GroupId(group.into()));
            let ask = |groups: &mut Groups| {
                groups
                    .step(self.now, Ticket(u64::MAX), GroupInput::OffsetFetch { request: request().with_topics(None) })
                    .answer
            };
            assert_eq!(ask(&mut self.groups), ask(&mut fresh), "offsets of {group}");
        }
    }
}

fn commit(
    group: m::GroupId,
    member_id: StrBytes,
    generation: i32,
    connection: ConnectionId,
    choices: &mut Choices<'_>,
) -> GroupInput {
    let partition = m::offset_commit_request::OffsetCommitRequestPartition::default()
        .with_partition_index(choices.below(2) as i32)
        .with_committed_offset(choices.byte().into())
        .with_committed_metadata(choices.bool().then(|| text(choices)));
    let topic = m::offset_commit_request::OffsetCommitRequestTopic::default()
        .with_name(m::TopicName(StrBytes::from_static_str("t")))
        .with_topic_id(topic_id(choices).0)
        .with_partitions(vec![partition]);
    let request = m::OffsetCommitRequest::default()
        .with_group_id(group)
        .with_generation_id_or_member_epoch(generation)
        .with_member_id(member_id)
        .with_topics(vec![topic]);
    GroupInput::OffsetCommit { connection, request, knows_unknown_group: choices.bool() }
}

fn instance(choices: &mut Choices<'_>) -> Option<StrBytes> {
    ["i", "j"].get(choices.below(8)).map(|name| StrBytes::from_static_str(name))
}

fn text(choices: &mut Choices<'_>) -> StrBytes {
    StrBytes::from_string(String::from_utf8_lossy(choices.bytes(3)).into_owned())
}

fn topic_id(choices: &mut Choices<'_>) -> TopicId {
    TopicId(Uuid::from_u128(1 + u128::from(choices.byte() & 1)))
}
