//! Every rule of the coordinator, from the outside: inputs in, answers and records out, on a clock that is moved by hand.
//!
//! `Room` is the driver in small: it appends what a step wants appended (through the bytes of the log), applies it,
//! and only then takes the answers. A restart replays those bytes into a fresh machine.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopics;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use uuid::Uuid;

use super::*;
use crate::clock::{Clock, ManualClock};
use crate::state::Machine;
use crate::types::Timestamp;

const START: Timestamp = Timestamp(1_700_000_000_000);
const G: &str = "g";

struct Room {
    groups: Groups,
    config: Arc<GroupConfig>,
    clock: ManualClock,
    log: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    answers: BTreeMap<Ticket, GroupAnswer>,
    tickets: u64,
    answered: u64,
}

impl Room {
    fn new() -> Self {
        Room::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut GroupConfig)) -> Self {
        let mut config = GroupConfig::default();
        change(&mut config);
        let config = Arc::new(config);
        Room {
            groups: Groups::new(config.clone()),
            config,
            clock: ManualClock::new(START, 1),
            log: Vec::new(),
            answers: BTreeMap::new(),
            tickets: 0,
            answered: 0,
        }
    }

    /// A group of dynamic members, stable, in the order they joined; the first leads.
    fn stable(member_count: usize) -> (Room, Vec<Client>) {
        let mut room = Room::new();
        let mut clients: Vec<_> = (0..member_count).map(|i| Client::new(&format!("c{i}"), i as u64)).collect();
        room.join_all(&mut clients);
        room.sync_all(&clients);
        assert_eq!(room.state(), "Stable");
        (room, clients)
    }

    fn ask(&mut self, input: GroupInput) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let effects = self.groups.step(self.clock.now(), ticket, input);
        self.carry_out(effects);
        ticket
    }

    fn carry_out(&mut self, effects: Effects<Groups>) {
        for record in &effects.append {
            let (key, value) = record.encode();
            let read = GroupRecord::decode(&key, value.as_deref()).unwrap();
            assert_eq!(&read, record, "what is written reads back");
            self.groups.apply(&read);
            self.log.push((key, value));
        }
        for (ticket, answer) in effects.answer {
            self.answered += 1;
            assert!(self.answers.insert(ticket, answer).is_none(), "a second answer to {ticket:?}");
        }
    }

    /// Time passes, deadline by deadline.
    fn run_ms(&mut self, ms: u64) {
        let end = self.clock.now().mono.plus_ms(ms);
        while let Some(next) = self.groups.next_deadline().filter(|next| *next <= end) {
            self.clock.advance_ms(next.ms_since(self.clock.now().mono));
            let effects = self.groups.tick(self.clock.now());
            self.carry_out(effects);
        }
        self.clock.advance_ms(end.ms_since(self.clock.now().mono));
    }

    fn replayed(&self, times: usize) -> Groups {
        let mut fresh = Groups::new(self.config.clone());
        for _ in 0..times {
            for (key, value) in &self.log {
                fresh.apply(&GroupRecord::decode(key, value.as_deref()).unwrap());
            }
        }
        fresh
    }

    fn restart(&mut self) {
        self.groups = self.replayed(1);
        let effects = self.groups.tick(self.clock.now());
        self.carry_out(effects);
    }

    fn parked(&self, ticket: Ticket) -> bool {
        !self.answers.contains_key(&ticket)
    }

    fn joined(&mut self, ticket: Ticket) -> JoinGroupResponse {
        match self.answers.remove(&ticket) {
            Some(GroupAnswer::Join(answer)) => answer,
            other => panic!("{ticket:?} was answered with {other:?}"),
        }
    }

    fn synced(&mut self, ticket: Ticket) -> SyncGroupResponse {
        match self.answers.remove(&ticket) {
            Some(GroupAnswer::Sync(answer)) => answer,
            other => panic!("{ticket:?} was answered with {other:?}"),
        }
    }

    fn join_code(&mut self, join: Join) -> ErrorCode {
        let ticket = self.ask(GroupInput::Join(Box::new(join)));
        code(self.joined(ticket).error_code)
    }

    fn join(&mut self, client: &Client) -> Ticket {
        let random_id = self.clock.random_id();
        self.ask(client.join(random_id))
    }

    /// All ask for an id, join, and wait until the round is over.
    fn join_all(&mut self, clients: &mut [Client]) {
        for client in clients.iter_mut().filter(|client| client.member_id.is_empty() && client.instance_id.is_none()) {
            let ticket = self.join(client);
            let answer = self.joined(ticket);
            assert_eq!(code(answer.error_code), ErrorCode::MemberIdRequired);
            client.member_id = answer.member_id.to_string();
        }
        let tickets: Vec<_> = clients.iter().map(|client| self.join(client)).collect();
        if tickets.iter().any(|ticket| self.parked(*ticket)) {
            self.run_ms(10_000);
        }
        for (client, ticket) in clients.iter_mut().zip(tickets) {
            client.take(&self.joined(ticket));
        }
    }

    /// The leader gives every member its own id as its assignment.
    fn sync_all(&mut self, clients: &[Client]) {
        let (leaders, followers): (Vec<&Client>, Vec<&Client>) = clients.iter().partition(|client| client.is_leader());
        let waiting: Vec<_> = followers.iter().map(|client| self.ask(client.sync(&[]))).collect();
        assert!(waiting.iter().all(|ticket| self.parked(*ticket)), "followers wait for the leader");
        let ids: Vec<&Client> = clients.iter().collect();
        let of_leader = self.ask(leaders[0].sync(&ids));
        for (client, ticket) in followers.iter().zip(waiting).chain([(&leaders[0], of_leader)]) {
            let answer = self.synced(ticket);
            assert_eq!((code(answer.error_code), answer.assignment), (ErrorCode::None, client.assignment()));
        }
    }

    fn heartbeat(&mut self, client: &Client) -> ErrorCode {
        let request = HeartbeatRequest::default()
            .with_group_id(text(G).into())
            .with_member_id(text(&client.member_id))
            .with_group_instance_id(client.instance_id.as_deref().map(text))
            .with_generation_id(client.generation);
        let ticket = self.ask(GroupInput::Heartbeat { connection: client.connection, request });
        match self.answers.remove(&ticket) {
            Some(GroupAnswer::Heartbeat(answer)) => code(answer.error_code),
            other => panic!("{other:?}"),
        }
    }

    fn leave(&mut self, members: Vec<MemberIdentity>) -> Vec<ErrorCode> {
        let request = LeaveGroupRequest::default().with_group_id(text(G).into()).with_members(members);
        let ticket = self.ask(GroupInput::Leave { request });
        match self.answers.remove(&ticket) {
            Some(GroupAnswer::Leave(answer)) => answer.members.iter().map(|member| code(member.error_code)).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn commit(&mut self, request: OffsetCommitRequest) -> Vec<ErrorCode> {
        let input = GroupInput::OffsetCommit { connection: ConnectionId(99), request, knows_unknown_group: true };
        let ticket = self.ask(input);
        match self.answers.remove(&ticket) {
            Some(GroupAnswer::OffsetCommit(answer)) => {
                answer.topics.iter().flat_map(|topic| &topic.partitions).map(|p| code(p.error_code)).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    /// (topic, partition, offset, metadata) of everything committed.
    fn committed(&mut self, group: &str) -> Vec<(String, i32, i64, String)> {
        let request = OffsetFetchRequestGroup::default().with_group_id(text(group).into()).with_topics(None);
        let ticket = self.ask(GroupInput::OffsetFetch { request });
        let Some(GroupAnswer::OffsetFetch(answer)) = self.answers.remove(&ticket) else { panic!("no offsets") };
        let mut found = Vec::new();
        for topic in &answer.topics {
            for p in &topic.partitions {
                let metadata = p.metadata.as_ref().unwrap().to_string();
                found.push((topic.name.to_string(), p.partition_index, p.committed_offset, metadata));
            }
        }
        found
    }

    fn offset_delete(&mut self, group: &str, topic: &str) -> (ErrorCode, Vec<ErrorCode>) {
        let partition = OffsetDeleteRequestPartition::default().with_partition_index(0);
        let topic = OffsetDeleteRequestTopic::default().with_name(text(topic).into()).with_partitions(vec![partition]);
        let request = OffsetDeleteRequest::default().with_group_id(text(group).into()).with_topics(vec![topic]);
        let ticket = self.ask(GroupInput::OffsetDelete { request });
        let Some(GroupAnswer::OffsetDelete(answer)) = self.answers.remove(&ticket) else { panic!() };
        let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
        (code(answer.error_code), partitions.map(|partition| code(partition.error_code)).collect())
    }

    fn delete(&mut self, group: &str) -> ErrorCode {
        let ticket = self.ask(GroupInput::Delete { group_id: group.into() });
        let Some(GroupAnswer::Delete(code)) = self.answers.remove(&ticket) else { panic!() };
        code
    }

    fn describe(&mut self, group: &str) -> Option<DescribedGroup> {
        let ticket = self.ask(GroupInput::Describe { group_id: group.into() });
        let Some(GroupAnswer::Describe(described)) = self.answers.remove(&ticket) else { panic!() };
        described
    }

    fn state(&mut self) -> String {
        self.describe(G).map_or("Dead".into(), |group| group.group_state.to_string())
    }

    fn member_count(&mut self) -> usize {
        self.describe(G).unwrap().members.len()
    }

    fn list(&mut self, states: &[&str], types: &[&str]) -> Vec<(String, String, String)> {
        let own = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
        let ticket = self.ask(GroupInput::List { states: own(states), types: own(types) });
        let Some(GroupAnswer::List(listed)) = self.answers.remove(&ticket) else { panic!() };
        let group = |group: &ListedGroup| {
            assert_eq!(&*group.group_type, "classic");
            (group.group_id.to_string(), group.protocol_type.to_string(), group.group_state.to_string())
        };
        listed.iter().map(group).collect()
    }

    fn hang_up(&mut self, connection: ConnectionId) {
        let ticket = self.ask(GroupInput::ConnectionClosed { connection });
        assert_eq!(self.answers.remove(&ticket), Some(GroupAnswer::Done));
    }
}

/// A consumer as a client library plays it.
#[derive(Clone, Debug)]
struct Client {
    name: String,
    connection: ConnectionId,
    instance_id: Option<String>,
    member_id: String,
    generation: i32,
    leader: String,
    protocols: Vec<(&'static str, Bytes)>,
    session_timeout_ms: i32,
    rebalance_timeout_ms: i32,
}

impl Client {
    fn new(name: &str, connection: u64) -> Self {
        Client {
            name: name.into(),
            connection: ConnectionId(connection),
            instance_id: None,
            member_id: String::new(),
            generation: -1,
            leader: String::new(),
            protocols: vec![("range", subscription(&["t"]))],
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 60_000,
        }
    }

    fn of_instance(name: &str, connection: u64) -> Self {
        Client { instance_id: Some(name.into()), ..Client::new(name, connection) }
    }

    fn speaking(self, protocols: &[&'static str]) -> Self {
        let protocols = protocols.iter().map(|name| (*name, subscription(&["t"]))).collect();
        Client { protocols, ..self }
    }

    fn request(&self) -> JoinGroupRequest {
        let protocol = |(name, metadata): &(&'static str, Bytes)| {
            JoinGroupRequestProtocol::default().with_name(text(name)).with_metadata(metadata.clone())
        };
        JoinGroupRequest::default()
            .with_group_id(text(G).into())
            .with_session_timeout_ms(self.session_timeout_ms)
            .with_rebalance_timeout_ms(self.rebalance_timeout_ms)
            .with_member_id(text(&self.member_id))
            .with_group_instance_id(self.instance_id.as_deref().map(text))
            .with_protocol_type(text("consumer"))
            .with_protocols(self.protocols.iter().map(protocol).collect())
    }

    fn calling(&self, random_id: Uuid) -> Join {
        Join {
            caller: Caller {
                connection: self.connection,
                client_id: self.name.clone(),
                client_host: "/127.0.0.1".into(),
            },
            request: self.request(),
            member_id_required: true,
            skip_assignment: true,
            random_id,
        }
    }

    fn join(&self, random_id: Uuid) -> GroupInput {
        GroupInput::Join(Box::new(self.calling(random_id)))
    }

    fn take(&mut self, answer: &JoinGroupResponse) {
        assert_eq!(code(answer.error_code), ErrorCode::None, "{}: {answer:?}", self.name);
        self.member_id = answer.member_id.to_string();
        self.generation = answer.generation_id;
        self.leader = answer.leader.to_string();
    }

    fn is_leader(&self) -> bool {
        self.leader == self.member_id
    }

    fn assignment(&self) -> Bytes {
        Bytes::from(self.member_id.clone().into_bytes())
    }

    fn sync(&self, assigned: &[&Client]) -> GroupInput {
        let part = |client: &&Client| {
            SyncGroupRequestAssignment::default()
                .with_member_id(text(&client.member_id))
                .with_assignment(client.assignment())
        };
        let request = SyncGroupRequest::default()
            .with_group_id(text(G).into())
            .with_generation_id(self.generation)
            .with_member_id(text(&self.member_id))
            .with_group_instance_id(self.instance_id.as_deref().map(text))
            .with_protocol_type(Some(text("consumer")))
            .with_protocol_name(Some(text(self.protocols[0].0)))
            .with_assignments(assigned.iter().map(part).collect());
        GroupInput::Sync { connection: self.connection, request }
    }

    fn commits(&self, offset: i64) -> OffsetCommitRequest {
        commit(G, "t", 0, offset)
            .with_member_id(text(&self.member_id))
            .with_group_instance_id(self.instance_id.as_deref().map(text))
            .with_generation_id_or_member_epoch(self.generation)
    }

    fn leaving(&self) -> MemberIdentity {
        MemberIdentity::default()
            .with_member_id(text(&self.member_id))
            .with_group_instance_id(self.instance_id.as_deref().map(text))
    }
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_string())
}

fn code(code: i16) -> ErrorCode {
    ErrorCode::from_code(code).unwrap()
}

/// What a consumer says about itself, version 1.
fn subscription(topics: &[&str]) -> Bytes {
    let mut out = vec![0, 1];
    out.extend((topics.len() as i32).to_be_bytes());
    for topic in topics {
        out.extend((topic.len() as i16).to_be_bytes());
        out.extend(topic.as_bytes());
    }
    out.extend([0xff; 4]);
    out.extend([0; 4]);
    out.into()
}

/// A commit of a simple consumer.
fn commit(group: &str, topic: &str, partition: i32, offset: i64) -> OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition::default()
        .with_partition_index(partition)
        .with_committed_offset(offset)
        .with_committed_leader_epoch(-1)
        .with_committed_metadata(Some(text("m")));
    let topic = OffsetCommitRequestTopic::default().with_name(text(topic).into()).with_partitions(vec![partition]);
    OffsetCommitRequest::default()
        .with_group_id(text(group).into())
        .with_generation_id_or_member_epoch(-1)
        .with_retention_time_ms(-1)
        .with_topics(vec![topic])
}

// ---- joining

/// As in the captured exchange groups-91 to 93 of Kafka 4.3.1 (whose version cannot say that there is no protocol yet).
#[test]
fn a_first_member_asks_twice_waits_the_initial_delay_and_leads() {
    let mut room = Room::new();
    let mut client = Client::new("golden", 1);
    let ticket = room.join(&client);
    let asked = room.joined(ticket);
    assert_eq!((code(asked.error_code), asked.generation_id), (ErrorCode::MemberIdRequired, -1));
    assert_eq!((asked.protocol_name.as_deref(), &*asked.leader, asked.members.len()), (None, "", 0));
    assert!(asked.member_id.starts_with("golden-") && asked.member_id.len() == "golden-".len() + 36);
    client.member_id = asked.member_id.to_string();

    let ticket = room.join(&client);
    room.run_ms(2_999);
    assert!(room.parked(ticket));
    room.run_ms(1);
    let answer = room.joined(ticket);
    assert_eq!((answer.generation_id, answer.protocol_name.as_deref()), (1, Some("range")));
    assert_eq!((&answer.leader, answer.skip_assignment), (&answer.member_id, false));
    assert_eq!(answer.members.len(), 1);
    assert_eq!(answer.members[0].metadata, subscription(&["t"]));
    client.take(&answer);
    room.sync_all(&[client]);
}

#[test]
fn an_old_client_is_a_member_at_once() {
    let mut room = Room::new();
    let id = room.clock.random_id();
    let join = Join { member_id_required: false, ..Client::new("old", 1).calling(id) };
    let ticket = room.ask(GroupInput::Join(Box::new(join)));
    room.run_ms(3_000);
    assert_eq!(room.joined(ticket).member_id.to_string(), format!("old-{id}"));
}

/// Lesson 22: also the second time a group becomes non-empty, and prolonged while members come, but not without end.
#[test]
fn the_initial_delay_comes_at_every_change_from_empty_and_grows_with_new_members() {
    let (mut room, clients) = Room::stable(1);
    assert_eq!(room.leave(vec![clients[0].leaving()]), [ErrorCode::None]);
    assert_eq!(room.state(), "Empty");

    let mut late = Vec::new();
    for i in 0..5u64 {
        let client = Client { rebalance_timeout_ms: 10_000, ..Client::of_instance(&format!("i{i}"), i) };
        late.push(room.join(&client));
        assert!(late.iter().all(|ticket| room.parked(*ticket)), "after {i} more");
        room.run_ms(2_000);
    }
    // Ten seconds of rebalance timeout: the waits are 3, 3, 3 and 1 seconds.
    assert!(late.iter().all(|ticket| !room.parked(*ticket)));
    let generations: Vec<_> = late.into_iter().map(|ticket| room.joined(ticket).generation_id).collect();
    assert_eq!(generations[0], 3, "1 was the first life, 2 its end");
}

/// Lesson 23.
#[test]
fn a_rebalance_ends_as_soon_as_everybody_is_back() {
    let (mut room, mut clients) = Room::stable(2);
    let mut third = Client::new("c2", 2);
    let ticket = room.join(&third);
    third.member_id = room.joined(ticket).member_id.to_string();
    let new = room.join(&third);
    assert_eq!(room.heartbeat(&clients[0]), ErrorCode::RebalanceInProgress);
    let first = room.join(&clients[0]);
    assert!(room.parked(new) && room.parked(first));
    let second = room.join(&clients[1]);
    for (client, ticket) in clients.iter_mut().zip([first, second]) {
        client.take(&room.joined(ticket));
    }
    assert_eq!(room.joined(new).generation_id, 2);
    assert_eq!((clients[0].generation, clients[0].is_leader()), (2, true), "the leader stays");
}

/// I66: the two that are back wait for the third no longer than the rebalance timeout.
#[test]
fn i66_a_member_that_does_not_come_back_is_removed_at_the_rebalance_timeout() {
    let (mut room, clients) = Room::stable(3);
    let first = room.join(&clients[0]);
    let second = room.join(&clients[1]);
    for _ in 0..19 {
        room.run_ms(3_000);
        assert_eq!(room.heartbeat(&clients[2]), ErrorCode::RebalanceInProgress, "alive, but not back");
    }
    assert!(room.parked(first) && room.parked(second));
    room.run_ms(3_000);
    assert_eq!(room.joined(first).members.len(), 2);
    assert_eq!(room.joined(second).generation_id, 2);
    assert_eq!(room.heartbeat(&clients[2]), ErrorCode::UnknownMemberId);
}

#[test]
fn an_id_that_is_never_used_blocks_a_rebalance_no_longer_than_its_session() {
    let (mut room, clients) = Room::stable(1);
    let pending = room.join(&Client::new("never", 9));
    assert_eq!(code(room.joined(pending).error_code), ErrorCode::MemberIdRequired);
    let ticket = room.join(&clients[0]);
    room.run_ms(9_999);
    assert!(room.parked(ticket));
    room.run_ms(1);
    assert_eq!(room.joined(ticket).generation_id, 2);
}

type Change<'a> = &'a dyn Fn(&mut JoinGroupRequest);

#[test]
fn joins_are_refused_with_kafkas_codes() {
    let mut room = Room::new();
    let id = room.clock.random_id();
    let ask = |change: Change<'_>| {
        let mut join = Client::new("c", 1).calling(id);
        change(&mut join.request);
        join
    };
    let cases: [(Change<'_>, ErrorCode); 6] = [
        (&|r| r.group_id = text("").into(), ErrorCode::InvalidGroupId),
        (&|r| r.session_timeout_ms = 5_999, ErrorCode::InvalidSessionTimeout),
        (&|r| r.session_timeout_ms = 1_800_001, ErrorCode::InvalidSessionTimeout),
        (&|r| r.member_id = text("nobody"), ErrorCode::UnknownMemberId),
        (&|r| r.protocol_type = text(""), ErrorCode::InconsistentGroupProtocol),
        (&|r| r.protocols.clear(), ErrorCode::InconsistentGroupProtocol),
    ];
    for (change, expected) in cases {
        assert_eq!(room.join_code(ask(change)), expected);
    }
    assert!(room.log.is_empty() && room.list(&[], &[]).is_empty(), "a refused join leaves no group behind");

    let (mut room, clients) = Room::stable(1);
    let cases: [(Change<'_>, ErrorCode); 3] = [
        (&|r| r.protocol_type = text("connect"), ErrorCode::InconsistentGroupProtocol),
        (&|r| r.protocols[0].name = text("other"), ErrorCode::InconsistentGroupProtocol),
        (&|r| r.member_id = text("nobody"), ErrorCode::UnknownMemberId),
    ];
    for (change, expected) in cases {
        assert_eq!(room.join_code(ask(change)), expected);
    }
    assert_eq!(room.heartbeat(&clients[0]), ErrorCode::None, "nothing of it disturbed the group");
}

/// Lesson 21: the index of instance ids never points to a member of another instance.
#[test]
fn a_known_member_id_under_another_instance_id_is_fenced() {
    let mut room = Room::new();
    let mut clients = vec![Client::of_instance("a", 1), Client::of_instance("b", 2), Client::new("c", 3)];
    room.join_all(&mut clients);
    room.sync_all(&clients);
    let with = |client: &Client, instance_id: &str| Client { instance_id: Some(instance_id.into()), ..client.clone() };
    let id = room.clock.random_id();
    assert_eq!(room.join_code(with(&clients[0], "b").calling(id)), ErrorCode::FencedInstanceId);
    assert_eq!(room.join_code(with(&clients[0], "new").calling(id)), ErrorCode::UnknownMemberId);
    assert_eq!(room.join_code(with(&clients[2], "b").calling(id)), ErrorCode::FencedInstanceId);
    assert_eq!(room.join_code(with(&clients[2], "new").calling(id)), ErrorCode::UnknownMemberId);
    for client in &clients {
        assert_eq!(room.heartbeat(client), ErrorCode::None);
    }
}

#[test]
fn a_full_group_takes_nobody_more() {
    let mut room = Room::with(|config| config.max_size = 2);
    let mut clients = vec![Client::of_instance("a", 1), Client::of_instance("b", 2)];
    let first = room.join(&clients[0]);
    let second = room.join(&clients[1]);
    let id = room.clock.random_id();
    assert_eq!(room.join_code(Client::of_instance("c", 3).calling(id)), ErrorCode::GroupMaxSizeReached);
    room.run_ms(6_000);
    for (client, ticket) in clients.iter_mut().zip([first, second]) {
        client.take(&room.joined(ticket));
    }
    room.sync_all(&clients);
    assert_eq!(room.join_code(Client::new("c", 3).calling(id)), ErrorCode::GroupMaxSizeReached);
    assert_eq!(room.heartbeat(&clients[1]), ErrorCode::None);
}

#[test]
fn members_vote_for_a_protocol_that_all_know() {
    let cases: [(&[&[&'static str]], &str); 4] = [
        (&[&["a", "b"], &["b", "a"], &["b", "a"]], "b"),
        (&[&["a", "b"], &["b", "a"]], "a"),
        (&[&["a", "b"], &["c", "b"], &["c", "b"]], "b"),
        (&[&["b", "a"], &["a", "b"], &["a", "b"], &["b", "a"], &["a"]], "a"),
    ];
    for (spoken, chosen) in cases {
        let mut room = Room::new();
        let tickets: Vec<_> = spoken
            .iter()
            .enumerate()
            .map(|(i, protocols)| room.join(&Client::of_instance(&format!("i{i}"), i as u64).speaking(protocols)))
            .collect();
        room.run_ms(10_000);
        for ticket in tickets {
            assert_eq!(room.joined(ticket).protocol_name.as_deref(), Some(chosen), "{spoken:?}");
        }
    }
}

#[test]
fn joining_again_rebalances_only_for_the_leader_or_for_news() {
    let (mut room, mut clients) = Room::stable(2);
    let ticket = room.join(&clients[1]);
    let answer = room.joined(ticket);
    assert_eq!((code(answer.error_code), answer.generation_id, answer.members.len()), (ErrorCode::None, 1, 0));
    assert_eq!(room.state(), "Stable");

    clients[1].protocols = vec![("range", subscription(&["t", "u"]))];
    let ticket = room.join(&clients[1]);
    assert_eq!(room.state(), "PreparingRebalance");
    let of_leader = room.join(&clients[0]);
    clients[0].take(&room.joined(of_leader));
    clients[1].take(&room.joined(ticket));
    assert_eq!(clients[1].generation, 2);

    // The answer was lost: the same again gets the same again.
    let again = room.join(&clients[0]);
    assert_eq!(room.joined(again).members.len(), 2);
    assert_eq!(room.state(), "CompletingRebalance");
    room.sync_all(&clients);

    let of_leader = room.join(&clients[0]);
    assert!(room.parked(of_leader) && room.state() == "PreparingRebalance");
}

#[test]
fn the_next_leader_is_one_who_is_back() {
    let (mut room, mut clients) = Room::stable(3);
    clients[2].protocols = vec![("range", subscription(&["u"]))];
    let third = room.join(&clients[2]);
    let second = room.join(&clients[1]);
    room.run_ms(60_000);
    let answer = room.joined(second);
    assert_eq!((&answer.leader, answer.members.len()), (&answer.member_id, 2));
    assert_eq!(room.joined(third).leader, answer.leader);
}

/// A member that calls twice before it is answered gets one good answer, and no ticket is lost.
#[test]
fn an_older_parked_call_of_the_same_member_is_sent_away() {
    let (mut room, clients) = Room::stable(2);
    let first = room.join(&clients[0]);
    let second = room.join(&clients[0]);
    assert_eq!(code(room.joined(first).error_code), ErrorCode::RebalanceInProgress);
    let other = room.join(&clients[1]);
    let mut follower = clients[1].clone();
    follower.take(&room.joined(other));
    assert_eq!(code(room.joined(second).error_code), ErrorCode::None);
    let first = room.ask(follower.sync(&[]));
    let second = room.ask(follower.sync(&[]));
    assert_eq!(code(room.synced(first).error_code), ErrorCode::RebalanceInProgress);
    assert!(room.parked(second));
}

// ---- syncing

#[test]
fn a_member_the_leader_forgot_gets_an_empty_assignment() {
    let mut room = Room::new();
    let mut clients = vec![Client::new("a", 1), Client::new("b", 2)];
    room.join_all(&mut clients);
    let follower = room.ask(clients[1].sync(&[]));
    let leader = room.ask(clients[0].sync(&[&clients[0]]));
    assert_eq!(room.synced(follower).assignment, Bytes::new());
    assert_eq!(room.synced(leader).assignment, clients[0].assignment());
    let again = room.ask(clients[0].sync(&[]));
    assert_eq!(room.synced(again).assignment, clients[0].assignment(), "a stable group answers at once");
}

#[test]
fn i61_a_sync_with_a_wrong_identity_is_refused() {
    let mut room = Room::new();
    let mut clients = vec![Client::of_instance("a", 1)];
    room.join_all(&mut clients);
    let mut refused = |change: &dyn Fn(&mut SyncGroupRequest)| {
        let GroupInput::Sync { connection, mut request } = clients[0].sync(&[&clients[0]]) else { panic!() };
        change(&mut request);
        let ticket = room.ask(GroupInput::Sync { connection, request });
        code(room.synced(ticket).error_code)
    };
    assert_eq!(refused(&|r| r.group_id = text("").into()), ErrorCode::InvalidGroupId);
    assert_eq!(refused(&|r| r.group_id = text("ghost").into()), ErrorCode::UnknownMemberId);
    assert_eq!(refused(&|r| r.member_id = text("x")), ErrorCode::FencedInstanceId);
    assert_eq!(refused(&|r| r.group_instance_id = Some(text("x"))), ErrorCode::UnknownMemberId);
    assert_eq!(refused(&|r| r.generation_id = 0), ErrorCode::IllegalGeneration);
    assert_eq!(refused(&|r| r.protocol_name = Some(text("x"))), ErrorCode::InconsistentGroupProtocol);
    assert_eq!(refused(&|r| r.protocol_type = Some(text("x"))), ErrorCode::InconsistentGroupProtocol);
    assert_eq!(refused(&|r| (r.protocol_type, r.protocol_name) = (None, None)), ErrorCode::None);
}

#[test]
fn who_waits_for_an_assignment_learns_of_the_next_rebalance() {
    let mut room = Room::new();
    let mut clients = vec![Client::new("a", 1), Client::new("b", 2)];
    room.join_all(&mut clients);
    let waiting = room.ask(clients[1].sync(&[]));
    let new = room.join(&Client::of_instance("c", 3));
    assert_eq!(code(room.synced(waiting).error_code), ErrorCode::RebalanceInProgress);
    let late = room.ask(clients[0].sync(&[&clients[0]]));
    assert_eq!(code(room.synced(late).error_code), ErrorCode::RebalanceInProgress);
    assert!(room.parked(new));
}

#[test]
fn i66_members_that_never_sync_are_removed_at_the_rebalance_timeout() {
    let mut room = Room::new();
    let mut clients = vec![Client::new("a", 1), Client::new("b", 2)];
    room.join_all(&mut clients);
    let waiting = room.ask(clients[1].sync(&[]));
    // The leader is alive but never brings the assignment.
    for _ in 0..16 {
        assert_eq!(room.heartbeat(&clients[0]), ErrorCode::None);
        assert!(room.parked(waiting));
        room.run_ms(3_000);
    }
    room.run_ms(9_000 + 3_000);
    assert_eq!(code(room.synced(waiting).error_code), ErrorCode::RebalanceInProgress);
    assert_eq!(room.heartbeat(&clients[0]), ErrorCode::UnknownMemberId);
    let ticket = room.join(&clients[1]);
    let answer = room.joined(ticket);
    assert_eq!((&answer.leader, answer.generation_id), (&answer.member_id, 2));
}

// ---- silence

/// I66: within a second; here to the millisecond.
#[test]
fn i66_a_silent_member_is_removed_when_its_session_ends() {
    let (mut room, clients) = Room::stable(2);
    for _ in 0..3 {
        room.run_ms(3_000);
        assert_eq!(room.heartbeat(&clients[0]), ErrorCode::None);
    }
    room.run_ms(999);
    assert_eq!(room.heartbeat(&clients[0]), ErrorCode::None);
    room.run_ms(1);
    assert_eq!(room.heartbeat(&clients[0]), ErrorCode::RebalanceInProgress);
    assert_eq!(room.heartbeat(&clients[1]), ErrorCode::UnknownMemberId);
}

/// Lesson 23: who waits for others cannot send heartbeats.
#[test]
fn a_member_that_waits_for_the_others_is_not_removed() {
    let (mut room, clients) = Room::stable(2);
    let waiting = room.join(&clients[0]);
    for _ in 0..5 {
        room.run_ms(5_000);
        assert_eq!(room.heartbeat(&clients[1]), ErrorCode::RebalanceInProgress);
    }
    assert!(room.parked(waiting) && room.member_count() == 2);
    let last = room.join(&clients[1]);
    assert_eq!(code(room.joined(waiting).error_code), ErrorCode::None);
    assert_eq!(code(room.joined(last).error_code), ErrorCode::None);
    room.run_ms(10_000);
    assert_eq!(room.heartbeat(&clients[0]), ErrorCode::UnknownMemberId, "from the answer on its session counts");
}

/// As in Kafka: five minutes, so that the retries of a client that gave up waiting do not pile up as members.
#[test]
fn a_new_member_waits_five_minutes_at_most() {
    let mut room = Room::new();
    let mut clients = vec![Client { rebalance_timeout_ms: 1_000_000, ..Client::new("slow", 1) }];
    room.join_all(&mut clients);
    room.sync_all(&clients);
    let new = room.join(&Client::of_instance("new", 2));
    for _ in 0..100 {
        assert!(room.parked(new));
        room.run_ms(3_000);
        assert_eq!(room.heartbeat(&clients[0]), ErrorCode::RebalanceInProgress);
    }
    assert_eq!(code(room.joined(new).error_code), ErrorCode::UnknownMemberId);
}

#[test]
fn a_commit_keeps_a_session_alive() {
    let (mut room, clients) = Room::stable(1);
    for offset in 0..5 {
        room.run_ms(9_000);
        assert_eq!(room.commit(clients[0].commits(offset)), [ErrorCode::None]);
    }
    assert_eq!(room.heartbeat(&clients[0]), ErrorCode::None);
}

#[test]
fn heartbeats_are_refused_with_kafkas_codes() {
    let (mut room, clients) = Room::stable(1);
    let with = |change: &dyn Fn(&mut Client)| {
        let mut client = clients[0].clone();
        change(&mut client);
        client
    };
    assert_eq!(room.heartbeat(&with(&|c| c.generation = 8)), ErrorCode::IllegalGeneration);
    assert_eq!(room.heartbeat(&with(&|c| c.member_id = "nobody".into())), ErrorCode::UnknownMemberId);
    assert_eq!(room.heartbeat(&with(&|c| c.instance_id = Some("i".into()))), ErrorCode::UnknownMemberId);
    let (mut empty, client) = (Room::new(), Client::new("c", 1));
    assert_eq!(empty.heartbeat(&client), ErrorCode::UnknownMemberId);
}

// ---- static members

/// Found by fuzzing: the wait for a silent static member that gives itself no time began anew at the same instant, for ever.
#[test]
fn s8_a_static_member_that_gives_itself_no_time_does_not_hold_up_the_coordinator() {
    let mut room = Room::new();
    let mut clients = [Client { rebalance_timeout_ms: 0, ..Client::of_instance("a", 1) }, Client::new("b", 2)];
    room.join_all(&mut clients);
    room.sync_all(&clients);
    room.leave(vec![clients[1].leaving()]);
    room.run_ms(50);
    assert_eq!(room.heartbeat(&clients[0]), ErrorCode::RebalanceInProgress);
}

#[test]
fn i65_a_static_member_comes_back_without_a_rebalance_and_fences_its_old_self() {
    let mut room = Room::new();
    let mut clients = vec![Client::of_instance("a", 1), Client::of_instance("b", 2), Client::new("c", 3)];
    room.join_all(&mut clients);
    room.sync_all(&clients);
    let old = clients[1].clone();
    let leader = clients[0].member_id.clone();

    let mut back = Client::of_instance("b", 4);
    let ticket = room.join(&back);
    let answer = room.joined(ticket);
    back.take(&answer);
    assert_eq!((answer.generation_id, answer.skip_assignment, answer.members.len()), (1, false, 0));
    assert_eq!((room.state().as_str(), &*answer.leader), ("Stable", &*leader));
    assert_ne!(back.member_id, old.member_id);
    assert_eq!(room.heartbeat(&old), ErrorCode::FencedInstanceId);
    assert_eq!(room.commit(old.commits(1)), [ErrorCode::FencedInstanceId]);
    let sync = room.ask(back.sync(&[]));
    assert_eq!(room.synced(sync).assignment, old.assignment(), "it has the assignment of its old self");
    for client in [&clients[0], &clients[2], &back] {
        assert_eq!(room.heartbeat(client), ErrorCode::None);
    }
    room.restart();
    assert_eq!(room.heartbeat(&back), ErrorCode::None, "the new id is in the log");
    assert_eq!(room.heartbeat(&old), ErrorCode::FencedInstanceId);
}

#[test]
fn i65_a_static_leader_that_comes_back_skips_the_assignment() {
    let mut room = Room::new();
    let mut clients = vec![Client::of_instance("a", 1), Client::of_instance("b", 2)];
    room.join_all(&mut clients);
    room.sync_all(&clients);
    let ticket = room.join(&Client::of_instance("a", 3));
    let answer = room.joined(ticket);
    assert_eq!((answer.skip_assignment, answer.members.len(), &answer.leader), (true, 2, &answer.member_id));

    let id = room.clock.random_id();
    let join = Join { skip_assignment: false, ..Client::of_instance("a", 4).calling(id) };
    let ticket = room.ask(GroupInput::Join(Box::new(join)));
    let older = room.joined(ticket);
    assert_eq!((older.skip_assignment, older.members.len()), (false, 0));
    assert_eq!(older.leader, answer.leader, "an older client does not learn that it leads");
}

#[test]
fn i65_a_static_member_that_changes_the_protocol_causes_a_rebalance() {
    let mut room = Room::new();
    let mut clients = vec![Client::of_instance("a", 1).speaking(&["x", "y"])];
    room.join_all(&mut clients);
    room.sync_all(&clients);
    let ticket = room.join(&Client::of_instance("a", 2).speaking(&["y", "x"]));
    assert_eq!(room.joined(ticket).generation_id, 2);
    assert_eq!(room.state(), "CompletingRebalance");
}

#[test]
fn i65_a_static_member_is_removed_when_its_session_ends_and_not_before() {
    let mut room = Room::new();
    let mut clients = vec![Client::of_instance("a", 1)];
    room.join_all(&mut clients);
    room.sync_all(&clients);
    room.hang_up(ConnectionId(1));
    room.run_ms(9_999);
    assert_eq!(room.state(), "Stable");
    room.run_ms(1);
    assert_eq!(room.state(), "Empty");
    assert_eq!(room.heartbeat(&clients[0]), ErrorCode::UnknownMemberId);
}

#[test]
fn a_static_member_that_joins_twice_fences_the_first_call() {
    let mut room = Room::new();
    let first = room.join(&Client::of_instance("a", 1));
    let second = room.join(&Client::of_instance("a", 2));
    assert_eq!(code(room.joined(first).error_code), ErrorCode::FencedInstanceId);
    room.run_ms(3_000);
    assert_eq!(room.joined(second).members.len(), 1);
}

#[test]
fn a_static_member_that_comes_back_while_others_sync_starts_a_new_round() {
    let mut room = Room::new();
    let mut clients = vec![Client::of_instance("a", 1), Client::of_instance("b", 2)];
    room.join_all(&mut clients);
    let waiting = room.ask(clients[1].sync(&[]));
    let back = room.join(&Client::of_instance("a", 3));
    assert_eq!(code(room.synced(waiting).error_code), ErrorCode::RebalanceInProgress);
    let other = room.join(&clients[1]);
    assert_eq!(room.joined(back).generation_id, 2);
    assert_eq!(room.joined(other).generation_id, 2);
}

#[test]
fn silent_static_members_stay_through_a_rebalance() {
    let mut room = Room::new();
    let patient = |name, connection| Client { session_timeout_ms: 300_000, ..Client::of_instance(name, connection) };
    let mut clients = vec![patient("a", 1), patient("b", 2)];
    room.join_all(&mut clients);
    room.sync_all(&clients);
    let ticket = room.join(&clients[0]);
    room.run_ms(60_000);
    assert_eq!(room.joined(ticket).members.len(), 2, "b is silent, but its session goes on");
}

#[test]
fn a_static_member_that_comes_back_before_it_synced_causes_no_rebalance_later() {
    let mut room = Room::new();
    let mut clients = vec![Client::of_instance("a", 1), Client::of_instance("b", 2)];
    room.join_all(&mut clients);
    let ticket = room.ask(clients[0].sync(&[&clients[0], &clients[1]]));
    assert_eq!(code(room.synced(ticket).error_code), ErrorCode::None);
    let mut back = Client::of_instance("b", 3);
    let ticket = room.join(&back);
    back.take(&room.joined(ticket));
    let ticket = room.ask(back.sync(&[]));
    assert_eq!(room.synced(ticket).assignment, clients[1].assignment());
    for _ in 0..10 {
        room.run_ms(9_000);
        assert_eq!((room.heartbeat(&clients[0]), room.heartbeat(&back)), (ErrorCode::None, ErrorCode::None));
    }
}

#[test]
fn a_static_member_that_called_twice_waits_as_long_as_the_rebalance_takes() {
    let (mut room, clients) = Room::stable(1);
    room.join(&Client::of_instance("b", 2));
    let waiting = room.join(&Client::of_instance("b", 3));
    for _ in 0..5 {
        room.run_ms(9_000);
        assert_eq!(room.heartbeat(&clients[0]), ErrorCode::RebalanceInProgress);
    }
    assert!(room.parked(waiting));
}

// ---- leaving

#[test]
fn members_leave_by_id_by_instance_or_not_at_all() {
    let mut room = Room::new();
    let mut clients = vec![Client::of_instance("a", 1), Client::of_instance("b", 2), Client::new("c", 3)];
    room.join_all(&mut clients);
    room.sync_all(&clients);
    let only = |instance_id: &str| MemberIdentity::default().with_group_instance_id(Some(text(instance_id)));
    let wrong = Client { instance_id: Some("a".into()), ..clients[2].clone() };
    let codes = room.leave(vec![
        only("a"),
        only("nobody"),
        clients[2].leaving(),
        wrong.leaving(),
        MemberIdentity::default(),
        clients[2].leaving(),
    ]);
    use ErrorCode::{None as Fine, UnknownMemberId};
    assert_eq!(codes, [Fine, UnknownMemberId, Fine, UnknownMemberId, UnknownMemberId, UnknownMemberId]);
    assert_eq!(room.member_count(), 1);
    assert_eq!(room.heartbeat(&clients[1]), ErrorCode::RebalanceInProgress);

    let codes = room.leave(vec![wrong.leaving()]);
    assert_eq!(codes, [UnknownMemberId]);
    assert_eq!(room.leave(vec![clients[1].leaving()]), [Fine]);
    assert_eq!(room.state(), "Empty");
    assert_eq!(room.leave(vec![clients[1].leaving()]), [UnknownMemberId]);
}

#[test]
fn an_id_that_was_handed_out_can_leave() {
    let mut room = Room::new();
    let mut client = Client::new("c", 1);
    let ticket = room.join(&client);
    client.member_id = room.joined(ticket).member_id.to_string();
    assert_eq!(room.leave(vec![client.leaving()]), [ErrorCode::None]);
    let id = room.clock.random_id();
    assert_eq!(room.join_code(client.calling(id)), ErrorCode::UnknownMemberId);
}

#[test]
fn who_leaves_while_waiting_is_answered() {
    let (mut room, clients) = Room::stable(2);
    let ticket = room.join(&clients[0]);
    assert_eq!(room.leave(vec![clients[0].leaving()]), [ErrorCode::None]);
    assert_eq!(code(room.joined(ticket).error_code), ErrorCode::UnknownMemberId);
    let last = room.join(&clients[1]);
    assert_eq!(room.joined(last).members.len(), 1);
}

// ---- a connection is closed (DESIGN.md, "Waiting less than Kafka")

#[test]
fn a_dynamic_member_that_hung_up_has_the_grace_and_no_more() {
    let (mut room, clients) = Room::stable(2);
    room.hang_up(clients[1].connection);
    room.run_ms(2_999);
    assert_eq!(room.heartbeat(&clients[0]), ErrorCode::None);
    room.run_ms(1);
    assert_eq!(room.heartbeat(&clients[0]), ErrorCode::RebalanceInProgress);
    let ticket = room.join(&clients[0]);
    assert_eq!(room.joined(ticket).members.len(), 1);
}

#[test]
fn a_member_that_comes_back_on_another_connection_has_its_session_again() {
    let (mut room, mut clients) = Room::stable(1);
    room.hang_up(clients[0].connection);
    room.run_ms(2_000);
    clients[0].connection = ConnectionId(77);
    assert_eq!(room.heartbeat(&clients[0]), ErrorCode::None);
    room.run_ms(9_999);
    assert_eq!(room.heartbeat(&clients[0]), ErrorCode::None);
}

#[test]
fn only_the_last_connection_of_a_member_counts() {
    let (mut room, mut clients) = Room::stable(1);
    let first = clients[0].connection;
    clients[0].connection = ConnectionId(77);
    assert_eq!(room.heartbeat(&clients[0]), ErrorCode::None);
    room.hang_up(first);
    room.hang_up(ConnectionId(1234));
    room.run_ms(9_999);
    assert_eq!(room.heartbeat(&clients[0]), ErrorCode::None);
    room.hang_up(ConnectionId(77));
    room.run_ms(3_000);
    assert_eq!(room.heartbeat(&clients[0]), ErrorCode::UnknownMemberId);
}

#[test]
fn a_member_that_hung_up_while_waiting_does_not_hold_up_the_others() {
    let (mut room, clients) = Room::stable(3);
    let gone = room.join(&clients[0]);
    let waiting = room.join(&clients[1]);
    room.hang_up(clients[0].connection);
    room.run_ms(3_000);
    assert_eq!(code(room.joined(gone).error_code), ErrorCode::UnknownMemberId);
    let last = room.join(&clients[2]);
    assert_eq!(room.joined(waiting).members.len(), 2);
    assert_eq!(room.joined(last).generation_id, 2);
}

#[test]
fn a_member_that_hung_up_has_no_whole_session_after_the_round_either() {
    let (mut room, mut clients) = Room::stable(2);
    let gone = room.join(&clients[0]);
    room.hang_up(clients[0].connection);
    room.run_ms(1_000);
    let ticket = room.join(&clients[1]);
    clients[1].take(&room.joined(ticket));
    assert_eq!(code(room.joined(gone).error_code), ErrorCode::None, "the round ends with it in");
    room.run_ms(2_999);
    assert_eq!(room.heartbeat(&clients[1]), ErrorCode::None);
    room.run_ms(1);
    assert_eq!(room.heartbeat(&clients[1]), ErrorCode::RebalanceInProgress);
}

#[test]
fn a_connection_that_carried_only_commits_counts_too() {
    let (mut room, clients) = Room::stable(1);
    assert_eq!(room.commit(clients[0].commits(1)), [ErrorCode::None], "over connection 99");
    room.hang_up(clients[0].connection);
    room.run_ms(9_999);
    assert_eq!(room.state(), "Stable");
    room.commit(clients[0].commits(2));
    room.hang_up(ConnectionId(99));
    room.run_ms(3_000);
    assert_eq!(room.state(), "Empty");
}

#[test]
fn the_next_run_after_ctrl_c_joins_within_the_grace_and_the_delay() {
    let (mut room, clients) = Room::stable(1);
    room.hang_up(clients[0].connection);
    let mut next = [Client::new("again", 9)];
    let ticket = room.join(&next[0]);
    next[0].member_id = room.joined(ticket).member_id.to_string();
    let ticket = room.join(&next[0]);
    room.run_ms(3_000);
    let answer = room.joined(ticket);
    assert_eq!((answer.members.len(), answer.generation_id), (1, 2));
}

#[test]
fn a_shorter_session_stays_shorter_than_the_grace() {
    let mut room = Room::with(|config| config.disconnect_grace_ms = 60_000);
    let mut clients = vec![Client::new("a", 1)];
    room.join_all(&mut clients);
    room.sync_all(&clients);
    room.hang_up(clients[0].connection);
    room.run_ms(10_000);
    assert_eq!(room.state(), "Empty");
}

// ---- offsets

#[test]
fn i62_a_commit_is_fetched_as_it_was_committed_also_after_a_restart() {
    let (mut room, clients) = Room::stable(1);
    assert_eq!(room.commit(clients[0].commits(3)), [ErrorCode::None]);
    assert_eq!(room.commit(commit("solo", "alpha", 1, 9)), [ErrorCode::None]);
    for _ in 0..2 {
        assert_eq!(room.committed(G), [("t".to_string(), 0, 3, "m".to_string())]);
        assert_eq!(room.committed("solo"), [("alpha".to_string(), 1, 9, "m".to_string())]);
        assert_eq!(room.committed("ghost"), []);
        room.restart();
    }
    assert_eq!(room.commit(clients[0].commits(4)), [ErrorCode::None]);
    assert_eq!(room.committed(G)[0].2, 4);
}

#[test]
fn what_was_never_committed_is_minus_one() {
    let mut room = Room::new();
    room.commit(commit("solo", "t", 0, 5));
    let topic = OffsetFetchRequestTopics::default().with_name(text("t").into()).with_partition_indexes(vec![0, 1]);
    for (group, expected) in [("solo", [5, -1]), ("ghost", [-1, -1])] {
        let request =
            OffsetFetchRequestGroup::default().with_group_id(text(group).into()).with_topics(Some(vec![topic.clone()]));
        let ticket = room.ask(GroupInput::OffsetFetch { request });
        let Some(GroupAnswer::OffsetFetch(answer)) = room.answers.remove(&ticket) else { panic!() };
        let partitions = &answer.topics[0].partitions;
        assert_eq!(partitions.iter().map(|p| p.committed_offset).collect::<Vec<_>>(), expected);
        assert_eq!((partitions[1].metadata.as_deref(), partitions[1].error_code), (Some(""), 0));
        assert_eq!(partitions[1].committed_leader_epoch, -1);
    }
}

/// I61, with the codes Kafka 4.3 gives.
#[test]
fn i61_commits_with_a_wrong_identity_change_nothing() {
    use ErrorCode::{GroupIdNotFound, IllegalGeneration, None as Fine, UnknownMemberId};
    let (mut room, clients) = Room::stable(1);
    let member = &clients[0];
    let records = room.log.len();
    let with = |member_id: &str, instance_id: Option<&str>, generation: i32| {
        member
            .commits(1)
            .with_member_id(text(member_id))
            .with_group_instance_id(instance_id.map(text))
            .with_generation_id_or_member_epoch(generation)
    };
    let id = member.member_id.as_str();
    for (request, expected) in [
        (with(id, None, 0), IllegalGeneration),
        (with(id, None, 2), IllegalGeneration),
        (with(id, None, -1), IllegalGeneration),
        (with("nobody", None, 1), UnknownMemberId),
        (with("nobody", None, -1), UnknownMemberId),
        (with("", None, -1), UnknownMemberId),
        (with(id, Some("i"), 1), UnknownMemberId),
        (commit("ghost", "t", 0, 1).with_generation_id_or_member_epoch(1), GroupIdNotFound),
    ] {
        assert_eq!(room.commit(request.clone()), [expected], "{request:?}");
    }
    let old = GroupInput::OffsetCommit {
        connection: ConnectionId(0),
        request: commit("ghost", "t", 0, 1).with_generation_id_or_member_epoch(1),
        knows_unknown_group: false,
    };
    let ticket = room.ask(old);
    let Some(GroupAnswer::OffsetCommit(answer)) = room.answers.remove(&ticket) else { panic!() };
    assert_eq!(code(answer.topics[0].partitions[0].error_code), IllegalGeneration);
    assert_eq!((room.log.len(), room.committed(G)), (records, Vec::new()));

    room.leave(vec![member.leaving()]);
    assert_eq!(room.commit(with(id, None, 1)), [UnknownMemberId], "nobody is in it");
    assert_eq!(room.commit(with("", None, -1)), [Fine], "an operator sets the offset of a group at rest");
}

#[test]
fn commits_are_taken_while_a_rebalance_gathers_members_but_not_before_the_sync() {
    let (mut room, mut clients) = Room::stable(1);
    let new = room.join(&Client::of_instance("new", 5));
    assert_eq!(room.state(), "PreparingRebalance");
    assert_eq!(room.commit(clients[0].commits(1)), [ErrorCode::None]);
    let ticket = room.join(&clients[0]);
    clients[0].take(&room.joined(ticket));
    assert_eq!(code(room.joined(new).error_code), ErrorCode::None);
    assert_eq!(room.commit(clients[0].commits(2)), [ErrorCode::RebalanceInProgress]);
    assert_eq!(room.committed(G)[0].2, 1);
}

#[test]
fn too_much_metadata_fails_its_partition_alone() {
    let mut room = Room::with(|config| config.offset_metadata_max_bytes = 4);
    let mut request = commit("solo", "t", 0, 1);
    for (partition, metadata) in [(1, Some("12345")), (2, None), (3, Some("äöü€"))] {
        let more = OffsetCommitRequestPartition::default()
            .with_partition_index(partition)
            .with_committed_offset(1)
            .with_committed_metadata(metadata.map(text));
        request.topics[0].partitions.push(more);
    }
    use ErrorCode::{None as Fine, OffsetMetadataTooLarge};
    assert_eq!(room.commit(request), [Fine, OffsetMetadataTooLarge, Fine, Fine]);
    let kept: Vec<_> = room.committed("solo").into_iter().map(|(_, partition, _, m)| (partition, m)).collect();
    assert_eq!(kept, [(0, "m".to_string()), (2, String::new()), (3, "äöü€".to_string())]);
}

#[test]
fn offsets_of_deleted_topics_go() {
    let mut room = Room::new();
    room.commit(commit("a", "t", 0, 1));
    room.commit(commit("a", "u", 0, 2));
    room.commit(commit("b", "t", 3, 3));
    let topics = vec![("t".into(), TopicId::ZERO), ("x".into(), TopicId::ZERO)];
    room.ask(GroupInput::TopicsDeleted { topics });
    assert_eq!(room.committed("a"), [("u".to_string(), 0, 2, "m".to_string())]);
    assert_eq!(room.committed("b"), []);
    room.restart();
    assert_eq!(room.committed("b"), []);
}

#[test]
fn i22_a_new_topic_of_an_old_name_has_none_of_its_offsets() {
    let (old, new) = (TopicId(Uuid::from_u128(1)), TopicId(Uuid::from_u128(2)));
    let mut room = Room::new();
    let mut of_old = commit("a", "t", 0, 1);
    of_old.topics[0].topic_id = old.0;
    room.commit(of_old);
    let mut of_new = commit("b", "t", 0, 2);
    of_new.topics[0].topic_id = new.0;
    room.commit(of_new);
    room.restart();
    let fetch = |room: &mut Room, group: &str, id: TopicId| {
        let topic = OffsetFetchRequestTopics::default()
            .with_name(text("t").into())
            .with_topic_id(id.0)
            .with_partition_indexes(vec![0]);
        let request =
            OffsetFetchRequestGroup::default().with_group_id(text(group).into()).with_topics(Some(vec![topic]));
        let ticket = room.ask(GroupInput::OffsetFetch { request });
        let Some(GroupAnswer::OffsetFetch(answer)) = room.answers.remove(&ticket) else { panic!() };
        answer.topics[0].partitions[0].committed_offset
    };
    assert_eq!(
        [fetch(&mut room, "a", old), fetch(&mut room, "a", new), fetch(&mut room, "a", TopicId::ZERO)],
        [1, -1, 1]
    );
    room.ask(GroupInput::TopicsDeleted { topics: vec![("t".into(), old)] });
    assert_eq!((room.committed("a").len(), room.committed("b").len()), (0, 1));
}

#[test]
fn offsets_are_deleted_unless_the_group_uses_them() {
    use ErrorCode::{GroupIdNotFound, GroupSubscribedToTopic, InvalidGroupId, NonEmptyGroup, None as Fine};
    let (mut room, clients) = Room::stable(1);
    room.commit(clients[0].commits(1));
    let other = clients[0].commits(1);
    let mut unsubscribed = other.clone();
    unsubscribed.topics[0].name = text("u").into();
    room.commit(unsubscribed);
    assert_eq!(room.offset_delete("", "t"), (InvalidGroupId, vec![]));
    assert_eq!(room.offset_delete("ghost", "t"), (GroupIdNotFound, vec![]));
    assert_eq!(room.offset_delete(G, "t"), (Fine, vec![GroupSubscribedToTopic]));
    assert_eq!(room.offset_delete(G, "u"), (Fine, vec![Fine]));
    assert_eq!(room.offset_delete(G, "never"), (Fine, vec![Fine]));
    assert_eq!(room.committed(G).len(), 1);
    room.leave(vec![clients[0].leaving()]);
    assert_eq!(room.offset_delete(G, "t"), (Fine, vec![Fine]));
    assert_eq!(room.committed(G), []);

    let mut room = Room::new();
    let id = room.clock.random_id();
    let mut join = Client::of_instance("worker", 1).calling(id);
    join.request.protocol_type = text("connect");
    room.ask(GroupInput::Join(Box::new(join)));
    assert_eq!(room.offset_delete(G, "t"), (NonEmptyGroup, vec![]));
}

/// I68.
#[test]
fn i68_offsets_expire_in_empty_groups_and_for_topics_nobody_subscribes_to() {
    const DAY: u64 = 24 * 60 * 60 * 1_000;
    let (mut room, clients) = Room::stable(1);
    room.commit(commit("simple", "t", 0, 1));
    room.commit(clients[0].commits(1));
    let mut unsubscribed = clients[0].commits(2);
    unsubscribed.topics[0].name = text("u").into();
    room.commit(unsubscribed);
    let live = |room: &mut Room, ms: u64| {
        for _ in 0..ms / 9_000 {
            room.run_ms(9_000);
            assert_eq!(room.heartbeat(&clients[0]), ErrorCode::None);
        }
    };
    live(&mut room, 6 * DAY);
    assert_eq!((room.committed("simple").len(), room.committed(G).len()), (1, 2));
    live(&mut room, DAY + 700_000);
    assert_eq!(room.committed("simple"), [], "counted from its commit");
    assert_eq!(room.committed(G), [("t".to_string(), 0, 1, "m".to_string())], "t is subscribed to");
    assert!(room.describe("simple").is_none());

    room.leave(vec![clients[0].leaving()]);
    room.run_ms(6 * DAY);
    assert_eq!(room.committed(G).len(), 1, "counted from when the group became empty");
    room.run_ms(DAY + 700_000);
    assert_eq!(room.committed(G), []);
    assert!(room.describe(G).is_none(), "an empty group without offsets goes");
    room.restart();
    assert!(room.list(&[], &[]).is_empty());
}

#[test]
fn i68_nothing_expires_while_a_group_rebalances() {
    let mut room = Room::with(|config| {
        config.offsets_retention_ms = 1_000;
        config.offsets_retention_check_interval_ms = 1_000;
    });
    let mut clients = vec![Client::new("a", 1), Client::new("b", 2)];
    room.join_all(&mut clients);
    room.sync_all(&clients);
    room.commit(clients[0].commits(1));
    let ticket = room.join(&clients[0]);
    for _ in 0..10 {
        room.run_ms(3_000);
        room.heartbeat(&clients[1]);
    }
    assert!(room.parked(ticket));
    assert_eq!(room.committed(G).len(), 1);
}

#[test]
fn a_retention_time_of_an_old_client_is_kept() {
    let mut room = Room::with(|config| config.offsets_retention_check_interval_ms = 1_000);
    room.commit(commit("old", "t", 0, 1).with_retention_time_ms(60_000));
    room.restart();
    room.run_ms(59_000);
    assert_eq!(room.committed("old").len(), 1);
    room.run_ms(2_000);
    assert_eq!(room.committed("old"), []);
}

#[test]
fn many_offsets_expire_in_portions() {
    let mut room = Room::with(|config| config.offsets_retention_ms = 1_000);
    for group in 0..30 {
        for partition in 0..100 {
            room.commit(commit(&format!("g{group:02}"), "t", partition, 1));
        }
    }
    room.clock.advance_ms(600_000);
    let before = room.log.len();
    let effects = room.groups.tick(room.clock.now());
    assert_eq!(effects.append.len(), 1_000);
    room.carry_out(effects);
    room.run_ms(10);
    assert_eq!(room.log.len() - before, 3_000);
    assert!(room.list(&[], &[]).is_empty());
}

// ---- groups as a whole

#[test]
fn i70_a_group_with_members_is_not_deleted_and_a_deleted_one_does_not_return() {
    use ErrorCode::{GroupIdNotFound, NonEmptyGroup, None as Fine};
    let (mut room, clients) = Room::stable(1);
    room.commit(clients[0].commits(1));
    assert_eq!(room.delete(G), NonEmptyGroup);
    assert_eq!(room.delete("ghost"), GroupIdNotFound);
    room.leave(vec![clients[0].leaving()]);
    assert_eq!(room.delete(G), Fine);
    for _ in 0..2 {
        assert!(room.describe(G).is_none() && room.committed(G).is_empty());
        assert_eq!(room.delete(G), GroupIdNotFound);
        room.restart();
    }
    room.commit(commit(G, "x", 0, 7));
    assert_eq!(room.committed(G).len(), 1, "only what is new");
    assert_eq!(room.delete(G), Fine);
}

/// As in the captured exchange groups-107.
#[test]
fn a_described_group_shows_metadata_only_while_it_is_stable() {
    let (mut room, clients) = Room::stable(1);
    let group = room.describe(G).unwrap();
    assert_eq!((&*group.group_state, &*group.protocol_type, &*group.protocol_data), ("Stable", "consumer", "range"));
    let member = &group.members[0];
    assert_eq!((&*member.client_id, &*member.client_host), ("c0", "/127.0.0.1"));
    assert_eq!(member.member_metadata, subscription(&["t"]));
    assert_eq!(member.member_assignment, clients[0].assignment());

    room.join(&Client::of_instance("b", 2));
    let group = room.describe(G).unwrap();
    assert_eq!((&*group.group_state, &*group.protocol_data), ("PreparingRebalance", ""));
    assert!(group.members.iter().all(|member| member.member_metadata.is_empty()));
}

/// As in the captured exchange groups-109, with the filters of KIP-518 and KIP-848.
#[test]
fn groups_are_listed_by_state_and_type() {
    let (mut room, _) = Room::stable(1);
    room.commit(commit("solo", "t", 0, 1));
    let stable = (G.to_string(), "consumer".to_string(), "Stable".to_string());
    let empty = ("solo".to_string(), String::new(), "Empty".to_string());
    assert_eq!(room.list(&[], &[]), [stable.clone(), empty.clone()]);
    assert_eq!(room.list(&["stable"], &[]), std::slice::from_ref(&stable));
    assert_eq!(room.list(&["EMPTY ", "dead"], &["Classic"]), std::slice::from_ref(&empty));
    assert_eq!(room.list(&["Dead"], &[]), []);
    assert_eq!(room.list(&[], &["consumer", "share"]), []);
    assert_eq!(room.list(&[], &["consumer", "classic"]), [stable, empty]);
}

/// The values are those of Java's `String.hashCode`.
#[test]
fn a_group_belongs_to_the_partition_kafka_puts_it_in() {
    for (group, expected) in [("", 0), ("g1", 42), ("polygenelubricants", 0), ("grüppe", 12)] {
        assert_eq!(partition_of(group, 50), expected, "{group}");
    }
}

// ---- restart

#[test]
fn a_restart_keeps_the_members_of_a_stable_group_and_gives_them_a_new_session() {
    let (mut room, clients) = Room::stable(2);
    let before = room.describe(G).unwrap();
    room.run_ms(8_000);
    room.restart();
    assert_eq!(room.describe(G).unwrap(), before);
    room.run_ms(9_000);
    assert_eq!(room.heartbeat(&clients[0]), ErrorCode::None);
    room.run_ms(1_000);
    assert_eq!(room.heartbeat(&clients[0]), ErrorCode::RebalanceInProgress, "the other stayed silent");
    let ticket = room.join(&clients[0]);
    assert_eq!(room.joined(ticket).generation_id, 2);
}

#[test]
fn a_restart_in_a_rebalance_goes_back_to_the_last_stable_generation() {
    let (mut room, mut clients) = Room::stable(1);
    let ticket = room.join(&clients[0]);
    let old = clients[0].clone();
    clients[0].take(&room.joined(ticket));
    assert_eq!((clients[0].generation, room.state().as_str()), (2, "CompletingRebalance"));
    room.restart();
    assert_eq!(room.heartbeat(&clients[0]), ErrorCode::IllegalGeneration);
    assert_eq!(room.heartbeat(&old), ErrorCode::None);
    let ticket = room.join(&clients[0]);
    assert_eq!(room.joined(ticket).generation_id, 2);
}

#[test]
fn a_group_that_has_outgrown_its_size_rebalances_after_a_restart() {
    let (mut room, clients) = Room::stable(3);
    room.config = Arc::new(GroupConfig { max_size: 2, ..GroupConfig::default() });
    room.restart();
    assert_eq!(room.heartbeat(&clients[0]), ErrorCode::RebalanceInProgress);
    let tickets: Vec<_> = clients.iter().map(|client| room.join(client)).collect();
    let codes: Vec<_> = tickets.into_iter().map(|ticket| code(room.joined(ticket).error_code)).collect();
    assert_eq!(codes, [ErrorCode::None, ErrorCode::None, ErrorCode::GroupMaxSizeReached]);
}

// ---- the log

#[test]
fn records_are_those_of_kafka() {
    let mut room = Room::new();
    room.commit(commit("k", "t", 7, 258));
    let (key, value) = &room.log[0];
    assert_eq!(key, b"\x00\x01\x00\x01k\x00\x01t\x00\x00\x00\x07");
    let mut expected = b"\x00\x04".to_vec();
    expected.extend(258i64.to_be_bytes());
    expected.extend((-1i32).to_be_bytes());
    expected.extend(b"\x02m");
    expected.extend(START.0.to_be_bytes());
    expected.push(0);
    assert_eq!(value.as_ref().unwrap(), &expected);

    room.join(&Client::new("c", 1));
    let (key, value) = &room.log[1];
    assert_eq!(key, b"\x00\x02\x00\x01g");
    let mut expected = b"\x00\x03\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff".to_vec();
    expected.extend(START.0.to_be_bytes());
    expected.extend(0i32.to_be_bytes());
    assert_eq!(value.as_ref().unwrap(), &expected);
}

#[test]
fn old_and_foreign_records_are_read() {
    let mut old = b"\x00\x00".to_vec();
    old.extend(5i64.to_be_bytes());
    old.extend(b"\x00\x01m");
    old.extend(START.0.to_be_bytes());
    for kind in [b"\x00\x00", b"\x00\x01"] {
        let key = [kind.as_slice(), b"\x00\x01g\x00\x01t\x00\x00\x00\x07"].concat();
        let GroupRecord::Offset { value: Some(committed), .. } = GroupRecord::decode(&key, Some(&old)).unwrap() else {
            panic!()
        };
        assert_eq!((committed.offset, &*committed.metadata), (Offset(5), "m"));
    }
    assert_eq!(GroupRecord::decode(b"\x00\x63rest", None).unwrap(), GroupRecord::Unknown(99));
    assert_eq!(GroupRecord::decode(b"\x00\x03\x00\x01g", None).unwrap(), GroupRecord::Unknown(3));
    assert!(GroupRecord::decode(b"\x00\x02\x00\x01g", Some(b"\x00\x63")).is_err());
    assert!(GroupRecord::decode(b"", None).is_err());
}

/// I69: tombstones for unknown things, and unknown kinds, change nothing.
#[test]
fn i69_strange_records_are_taken_in() {
    let mut groups = Groups::new(Arc::default());
    groups.apply(&GroupRecord::Unknown(77));
    groups.apply(&GroupRecord::Group { group: "g".into(), value: None });
    groups.apply(&GroupRecord::Offset { group: "g".into(), topic: "t".into(), partition: 0, value: None });
    assert!(groups.kept.is_empty() && groups.offsets == Offsets::default());
    let headless = GroupMetadata {
        protocol_type: "consumer".into(),
        generation: i32::MAX,
        protocol: None,
        leader: Some("gone".into()),
        state_timestamp: None,
        members: vec![KeptMember {
            member_id: "m".into(),
            instance_id: None,
            client_id: "".into(),
            client_host: "".into(),
            rebalance_timeout_ms: -5,
            session_timeout_ms: -5,
            subscription: Bytes::new(),
            assignment: Bytes::new(),
        }],
    };
    groups.apply(&GroupRecord::Group { group: "g".into(), value: Some(headless.into()) });
    let mut room = Room::new();
    room.groups = groups;
    let effects = room.groups.tick(room.clock.now());
    room.carry_out(effects);
    room.run_ms(100_000);
    assert_eq!(room.state(), "Empty");
}

// ---- everything at once

/// A group of simulated members under random calls, silence, hang-ups and restarts.
struct Storm {
    room: Room,
    clients: Vec<Client>,
    joining: Vec<Option<Ticket>>,
    syncing: Vec<Option<(Ticket, i32)>>,
    /// What each generation assigned: partition to member, as members were told (I60).
    owners: BTreeMap<(i32, Bytes), String>,
    highest_generation: i32,
    committed: BTreeMap<i32, i64>,
}

impl Storm {
    fn new(seed: u64) -> Self {
        let mut room = Room::with(|config| config.max_size = 5);
        room.clock = ManualClock::new(START, seed);
        let client =
            |i: u64| if i.is_multiple_of(3) { Client::of_instance(&format!("i{i}"), i) } else { Client::new("c", i) };
        Storm {
            room,
            clients: (0..6).map(client).collect(),
            joining: vec![None; 6],
            syncing: vec![None; 6],
            owners: BTreeMap::new(),
            highest_generation: 0,
            committed: BTreeMap::new(),
        }
    }

    fn below(&self, bound: u64) -> u64 {
        self.room.clock.random() % bound
    }

    fn one_event(&mut self) {
        let i = self.below(6) as usize;
        let client = self.clients[i].clone();
        match self.below(20) {
            0..=5 if self.joining[i].is_none() => self.joining[i] = Some(self.room.join(&client)),
            6..=9 if self.syncing[i].is_none() && client.generation >= 0 => self.sync(i),
            10..=12 => {
                let code = self.room.heartbeat(&client);
                self.told(i, code);
            }
            13 => {
                let code = self.room.leave(vec![client.leaving()])[0];
                self.told(i, if code == ErrorCode::None { ErrorCode::UnknownMemberId } else { code });
            }
            14 | 15 => self.commit(i),
            16 => {
                self.room.hang_up(client.connection);
                self.clients[i].connection = ConnectionId(self.below(1 << 40));
            }
            17 => {
                let partition = self.below(3) as i32;
                // A client library changes its mind about what it subscribes to.
                let topics: &[&str] = if partition == 0 { &["t", "u"] } else { &["t"] };
                self.clients[i].protocols = vec![("range", subscription(topics))];
            }
            18 => self.room.run_ms(self.below(15_000)),
            19 if self.below(10) == 0 => self.restart(),
            _ => self.room.run_ms(self.below(2_000)),
        }
        self.collect();
    }

    fn sync(&mut self, i: usize) {
        let all: Vec<&Client> = self.clients.iter().filter(|client| !client.member_id.is_empty()).collect();
        let client = &self.clients[i];
        let input = client.sync(if client.is_leader() { &all } else { &[] });
        let generation = client.generation;
        self.syncing[i] = Some((self.room.ask(input), generation));
    }

    fn commit(&mut self, i: usize) {
        let (partition, offset) = (self.below(2) as i32, self.below(1_000) as i64);
        let mut request = self.clients[i].commits(offset);
        request.topics[0].partitions[0].partition_index = partition;
        let code = self.room.commit(request)[0];
        if code == ErrorCode::None {
            self.committed.insert(partition, offset);
        }
        self.told(i, code);
        let found: BTreeMap<i32, i64> = self.room.committed(G).into_iter().map(|(_, p, o, _)| (p, o)).collect();
        assert_eq!(found, self.committed, "I62, and I61: a refused commit changes nothing");
    }

    fn restart(&mut self) {
        self.room.answers.clear();
        self.room.answered = self.room.tickets;
        self.joining.fill(None);
        self.syncing.fill(None);
        self.room.restart();
        // What was never synced is taken back by a crash, so its number may come again.
        self.highest_generation = self.room.groups.kept.get(G).map_or(0, |kept| kept.generation);
        self.owners.clear();
    }

    fn told(&mut self, i: usize, code: ErrorCode) {
        match code {
            ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId => {
                self.clients[i].member_id.clear();
                self.clients[i].generation = -1;
            }
            ErrorCode::IllegalGeneration => self.clients[i].generation = -1,
            _ => {}
        }
    }

    fn collect(&mut self) {
        for i in 0..self.clients.len() {
            if let Some(ticket) = self.joining[i].take_if(|ticket| !self.room.parked(*ticket)) {
                let answer = self.room.joined(ticket);
                match code(answer.error_code) {
                    ErrorCode::None => {
                        self.clients[i].take(&answer);
                        assert!(answer.generation_id >= self.highest_generation, "I61: generations only grow");
                        self.highest_generation = answer.generation_id;
                    }
                    ErrorCode::MemberIdRequired => self.clients[i].member_id = answer.member_id.to_string(),
                    other => self.told(i, other),
                }
            }
            if let Some((ticket, generation)) = self.syncing[i].take_if(|(ticket, _)| !self.room.parked(*ticket)) {
                let answer = self.room.synced(ticket);
                if answer.error_code == 0 && !answer.assignment.is_empty() {
                    let owner = self.clients[i].instance_id.clone().unwrap_or(self.clients[i].member_id.clone());
                    let known = self.owners.entry((generation, answer.assignment)).or_insert(owner.clone());
                    assert_eq!(*known, owner, "I60: two members own one assignment");
                }
                self.told(i, code(answer.error_code));
            }
        }
    }

    /// What must hold after every event.
    fn check(&self) {
        let groups = &self.room.groups;
        for group in groups.live.values() {
            group.assert_sound();
            if group.state == State::Stable {
                let kept = &groups.kept[&group.id];
                assert_eq!(kept.generation, group.generation);
                let live = group.to_log();
                assert_eq!(
                    (&kept.members, &kept.leader, &kept.protocol),
                    (&live.members, &live.leader, &live.protocol)
                );
            }
        }
        let parked = self.room.tickets - self.room.answered;
        let waiting: usize = groups.live.values().map(ClassicGroup::parked_count).sum();
        assert_eq!(parked, waiting as u64, "every ticket is answered or parked with a member");
        for times in [1, 2] {
            let fresh = self.room.replayed(times);
            assert_eq!(fresh.kept, groups.kept, "I69");
            assert_eq!(fresh.offsets, groups.offsets, "I69");
        }
    }

    /// I66, I67: with everybody calling as a client library does, the group comes to rest.
    fn settle(&mut self) {
        for _ in 0..200 {
            for i in 0..self.clients.len() {
                let client = self.clients[i].clone();
                if self.joining[i].is_some() || self.syncing[i].is_some() {
                    continue;
                }
                if client.generation < 0 {
                    self.joining[i] = Some(self.room.join(&client));
                } else {
                    match self.room.heartbeat(&client) {
                        ErrorCode::None => {}
                        ErrorCode::RebalanceInProgress => self.joining[i] = Some(self.room.join(&client)),
                        other => self.told(i, other),
                    }
                }
                self.collect();
                if self.clients[i].generation > client.generation {
                    self.sync(i);
                }
                self.collect();
            }
            self.room.run_ms(1_000);
            self.collect();
            for i in 0..self.clients.len() {
                let is_new = self.clients[i].generation >= 0 && self.syncing[i].is_none() && self.joining[i].is_none();
                if is_new && self.room.state() == "CompletingRebalance" {
                    self.sync(i);
                    self.collect();
                }
            }
        }
        assert_eq!(self.room.state(), "Stable");
        assert_eq!(self.room.member_count(), 5, "group.max.size of them");
    }
}

fn seeds(count: u64) -> Vec<u64> {
    match std::env::var("SEED") {
        Ok(seed) => vec![seed.parse().expect("SEED is a number")],
        Err(_) => (1..=count).collect(),
    }
}

/// I60, I61, I62, I66, I69 under a storm of calls.
#[test]
fn whatever_happens_the_log_says_what_the_machine_knows() {
    for seed in seeds(60) {
        println!("SEED={seed}");
        let mut storm = Storm::new(seed);
        for _ in 0..400 {
            storm.one_event();
            storm.check();
        }
        storm.settle();
        storm.check();
    }
}
