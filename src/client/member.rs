//! A member of a classic consumer group: joins, keeps its seat while it reads, commits, leaves.
//!
//! It offers the `range` assignor, which every Kafka client offers too, so it can sit in one group with any of them; when
//! it is elected, it hands the partitions out by that rule.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages as m;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{GroupId, TopicName};
use kafka_protocol::protocol::{Encodable, Request, StrBytes};

use super::{Client, Deadline, Error, TopicPartitions};
use crate::types::ErrorCode;
use crate::wire::{DecodeError, Reader};

type At = (String, i32);

pub struct Member {
    group: GroupId,
    topics: Vec<String>,
    coordinator: i32,
    member_id: StrBytes,
    generation: i32,
    assigned: BTreeSet<At>,
    next_heartbeat: Deadline,
}

impl Member {
    pub fn new(client: &Client, group: &str, topics: Vec<String>) -> Member {
        Member {
            group: GroupId(text(group)),
            topics,
            coordinator: -1,
            member_id: StrBytes::default(),
            generation: -1,
            assigned: BTreeSet::new(),
            next_heartbeat: Deadline::after(client.clock(), 0),
        }
    }

    /// The partitions this member may read.
    pub fn assigned(&self) -> &BTreeSet<At> {
        &self.assigned
    }

    pub fn topics(&self) -> &[String] {
        &self.topics
    }

    /// Follows other topics from the next join on.
    pub fn subscribe(&mut self, topics: Vec<String>) {
        self.topics = topics;
    }

    /// Joins, again and again where the group is on the move, until this member has its assignment.
    pub fn join(&mut self, client: &mut Client) -> Result<(), Error> {
        let deadline = Deadline::after(client.clock(), REBALANCE_TIMEOUT_MS);
        loop {
            match self.join_once(client, &deadline) {
                Ok(()) => return Ok(()),
                Err(error) if !self.may_try_again(&error) || deadline.has_passed() => return Err(error),
                Err(error) => {
                    if error.code() != Some(ErrorCode::MemberIdRequired) {
                        client.pause(100, &deadline);
                    }
                }
            }
        }
    }

    /// Tells the coordinator that this member is there, when it is time to. False: the group moves, so join again.
    pub fn keep_seat(&mut self, client: &mut Client) -> Result<bool, Error> {
        if !self.next_heartbeat.has_passed() {
            return Ok(true);
        }
        let request = m::HeartbeatRequest::default()
            .with_group_id(self.group.clone())
            .with_generation_id(self.generation)
            .with_member_id(self.member_id.clone());
        let answer = client.ask(self.coordinator, &request, 4)?;
        self.next_heartbeat = Deadline::after(client.clock(), HEARTBEAT_MS);
        match Error::check(answer.error_code, None) {
            Ok(()) => Ok(true),
            Err(error) if self.may_try_again(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Commits where this member stands.
    pub fn commit(&self, client: &mut Client, positions: &BTreeMap<At, i64>) -> Result<(), Error> {
        if positions.is_empty() {
            return Ok(());
        }
        let mut topics: BTreeMap<&str, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
        for ((topic, partition), offset) in positions {
            let partition = OffsetCommitRequestPartition::default()
                .with_partition_index(*partition)
                .with_committed_offset(*offset)
                .with_committed_metadata(Some(StrBytes::default()));
            topics.entry(topic).or_default().push(partition);
        }
        let topic = |(name, partitions): (&str, _)| {
            OffsetCommitRequestTopic::default().with_name(TopicName(text(name))).with_partitions(partitions)
        };
        let request = m::OffsetCommitRequest::default()
            .with_group_id(self.group.clone())
            .with_generation_id_or_member_epoch(self.generation)
            .with_member_id(self.member_id.clone())
            .with_topics(topics.into_iter().map(topic).collect());
        let answer = client.ask(self.coordinator, &request, 8)?;
        let codes = answer.topics.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.error_code);
        codes.into_iter().try_for_each(|code| Error::check(code, None))
    }

    /// What the group has committed for the partitions of this member; a partition without a commit is not in it.
    pub fn committed(&self, client: &mut Client) -> Result<BTreeMap<At, i64>, Error> {
        let topics = by_topic(&self.assigned);
        if topics.is_empty() {
            return Ok(BTreeMap::new());
        }
        let topic = |(name, partitions): (&String, &Vec<i32>)| {
            OffsetFetchRequestTopic::default()
                .with_name(TopicName(text(name)))
                .with_partition_indexes(partitions.clone())
        };
        let request = m::OffsetFetchRequest::default()
            .with_group_id(self.group.clone())
            .with_topics(Some(topics.iter().map(topic).collect()));
        let answer = client.ask(self.coordinator, &request, 7)?;
        Error::check(answer.error_code, None)?;
        let mut committed = BTreeMap::new();
        for topic in answer.topics {
            for partition in topic.partitions {
                Error::check(partition.error_code, None)?;
                if partition.committed_offset >= 0 {
                    committed.insert((topic.name.0.to_string(), partition.partition_index), partition.committed_offset);
                }
            }
        }
        Ok(committed)
    }

    /// Gives the seat back, so that the others need not wait for the session to end.
    pub fn leave(&mut self, client: &mut Client) -> Result<(), Error> {
        if self.generation < 0 {
            return Ok(());
        }
        let deadline = client.deadline().at_most(client.settings().request_timeout_ms);
        let connection = client.connection(self.coordinator, &deadline)?;
        let request = m::LeaveGroupRequest::default().with_group_id(self.group.clone());
        let request = if connection.version::<m::LeaveGroupRequest>(4)? < 3 {
            request.with_member_id(self.member_id.clone())
        } else {
            request.with_members(vec![MemberIdentity::default().with_member_id(self.member_id.clone())])
        };
        let answer = connection.ask(&request, 4, &deadline)?;
        self.generation = -1;
        Error::check(answer.error_code, None)
    }

    fn join_once(&mut self, client: &mut Client, deadline: &Deadline) -> Result<(), Error> {
        if self.coordinator < 0 {
            self.coordinator = client.coordinator(&self.group.0, 0)?;
        }
        let answer = self.ask_coordinator(client, &self.join_request(), 7, deadline)?;
        if !answer.member_id.is_empty() {
            self.member_id = answer.member_id.clone();
        }
        Error::check(answer.error_code, None)?;
        self.generation = answer.generation_id;
        let assignments = if answer.leader == answer.member_id { assign(client, &answer)? } else { Vec::new() };
        let request = m::SyncGroupRequest::default()
            .with_group_id(self.group.clone())
            .with_generation_id(self.generation)
            .with_member_id(self.member_id.clone())
            .with_assignments(assignments);
        let answer = self.ask_coordinator(client, &request, 4, deadline)?;
        Error::check(answer.error_code, None)?;
        self.assigned = read_assignment(&answer.assignment)?;
        self.next_heartbeat = Deadline::after(client.clock(), HEARTBEAT_MS);
        Ok(())
    }

    /// Joins wait for the other members, so they may take longer than an ordinary answer.
    fn ask_coordinator<R: Request>(
        &self,
        client: &mut Client,
        request: &R,
        highest: i16,
        deadline: &Deadline,
    ) -> Result<R::Response, Error> {
        client.connection(self.coordinator, deadline)?.ask(request, highest, deadline)
    }

    fn join_request(&self) -> m::JoinGroupRequest {
        let subscription = m::ConsumerProtocolSubscription::default()
            .with_topics(self.topics.iter().map(|topic| text(topic)).collect())
            .with_user_data(None);
        let range = JoinGroupRequestProtocol::default()
            .with_name(StrBytes::from_static_str("range"))
            .with_metadata(with_version(&subscription, 0));
        m::JoinGroupRequest::default()
            .with_group_id(self.group.clone())
            .with_session_timeout_ms(SESSION_TIMEOUT_MS)
            .with_rebalance_timeout_ms(i32::try_from(REBALANCE_TIMEOUT_MS).expect("five minutes"))
            .with_member_id(self.member_id.clone())
            .with_protocol_type(StrBytes::from_static_str("consumer"))
            .with_protocols(vec![range])
    }

    /// Forgets what the coordinator no longer knows; true if another join may help.
    fn may_try_again(&mut self, error: &Error) -> bool {
        use ErrorCode as E;
        match error.code() {
            Some(E::UnknownMemberId | E::IllegalGeneration) => {
                self.member_id = StrBytes::default();
                self.generation = -1;
                true
            }
            Some(E::NotCoordinator | E::CoordinatorNotAvailable) => {
                self.coordinator = -1;
                true
            }
            Some(E::MemberIdRequired | E::RebalanceInProgress | E::CoordinatorLoadInProgress) => true,
            _ => false,
        }
    }
}

/// Range: of each topic, the members that want it, in order of their ids, get neighbouring partitions, the first ones one
/// more where it does not divide.
fn assign(client: &mut Client, joined: &m::JoinGroupResponse) -> Result<Vec<SyncGroupRequestAssignment>, Error> {
    let mut wanted: BTreeMap<String, BTreeSet<StrBytes>> = BTreeMap::new();
    for member in &joined.members {
        for topic in read_subscription(&member.metadata)? {
            wanted.entry(topic).or_default().insert(member.member_id.clone());
        }
    }
    let names: Vec<String> = wanted.keys().cloned().collect();
    let mut shares: BTreeMap<StrBytes, TopicPartitions> = BTreeMap::new();
    for topic in client.partitions(Some(&names))? {
        let Some(name) = topic.name.as_ref().map(|name| name.0.to_string()) else { continue };
        let Some(members) = wanted.get(&name) else { continue };
        for (member, share) in members.iter().zip(ranges(topic.partitions.len(), members.len())) {
            shares.entry(member.clone()).or_default().insert(name.clone(), share);
        }
    }
    let assignment = |member: &m::join_group_response::JoinGroupResponseMember| {
        let share = shares.remove(&member.member_id).unwrap_or_default();
        SyncGroupRequestAssignment::default()
            .with_member_id(member.member_id.clone())
            .with_assignment(write_assignment(&share))
    };
    Ok(joined.members.iter().map(assignment).collect())
}

fn ranges(partitions: usize, members: usize) -> Vec<Vec<i32>> {
    let mut next = 0..i32::try_from(partitions).unwrap_or(i32::MAX);
    let share = |index| partitions / members + usize::from(index < partitions % members);
    (0..members).map(|index| next.by_ref().take(share(index)).collect()).collect()
}

fn with_version<T: Encodable>(message: &T, version: i16) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_i16(version);
    message.encode(&mut bytes, version).expect("a message of ours can be written in version 0");
    bytes.freeze()
}

/// The topics of a subscription; what follows them in any version is not needed here.
fn read_subscription(metadata: &[u8]) -> Result<Vec<String>, Error> {
    let mut reader = Reader::new(metadata);
    let mut read = || {
        reader.i16()?;
        reader.array_of(false, |reader| reader.string(false).map(str::to_owned))
    };
    read().map_err(|_: DecodeError| unreadable())
}

pub(super) fn read_assignment(assignment: &[u8]) -> Result<BTreeSet<At>, Error> {
    if assignment.is_empty() {
        return Ok(BTreeSet::new());
    }
    let mut reader = Reader::new(assignment);
    let mut read = || {
        reader.i16()?;
        reader.array_of(false, |reader| Ok((reader.string(false)?.to_owned(), reader.array_of(false, Reader::i32)?)))
    };
    let topics: Vec<(String, Vec<i32>)> = read().map_err(|_: DecodeError| unreadable())?;
    Ok(topics.into_iter().flat_map(|(topic, all)| all.into_iter().map(move |one| (topic.clone(), one))).collect())
}

fn write_assignment(share: &TopicPartitions) -> Bytes {
    let topic = |(name, partitions): (&String, &Vec<i32>)| {
        m::consumer_protocol_assignment::TopicPartition::default()
            .with_topic(TopicName(text(name)))
            .with_partitions(partitions.clone())
    };
    let assignment = m::ConsumerProtocolAssignment::default()
        .with_assigned_partitions(share.iter().map(topic).collect())
        .with_user_data(None);
    with_version(&assignment, 0)
}

fn unreadable() -> Error {
    Error::Malformed {
        address: "the group".to_owned(),
        reason: "a member's subscription or assignment cannot be read".to_owned(),
    }
}

fn by_topic(assigned: &BTreeSet<At>) -> TopicPartitions {
    let mut topics = TopicPartitions::new();
    for (topic, partition) in assigned {
        topics.entry(topic.clone()).or_default().push(*partition);
    }
    topics
}

fn text(name: &str) -> StrBytes {
    StrBytes::from_string(name.to_owned())
}

/// `session.timeout.ms`, `heartbeat.interval.ms`, `max.poll.interval.ms`: Kafka's defaults.
const SESSION_TIMEOUT_MS: i32 = 45_000;
const HEARTBEAT_MS: u64 = 3_000;
const REBALANCE_TIMEOUT_MS: u64 = 300_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_neighbours_and_the_first_members_get_one_more() {
        assert_eq!(ranges(5, 2), [vec![0, 1, 2], vec![3, 4]]);
        assert_eq!(ranges(1, 3), [vec![0], vec![], vec![]]);
        assert_eq!(ranges(0, 1), [Vec::<i32>::new()]);
    }

    #[test]
    fn an_assignment_reads_back_as_it_was_written() {
        let share = TopicPartitions::from([("a".to_owned(), vec![0, 2]), ("b".to_owned(), vec![1])]);
        let read = read_assignment(&write_assignment(&share)).unwrap();
        assert_eq!(by_topic(&read), share);
    }

    #[test]
    fn what_a_foreign_member_sent_may_be_anything() {
        for bytes in [&b""[..], b"\0", b"\0\x03\xff\xff\xff\xff", b"\x7f\xff\0\0\0\x01\0\x05a"] {
            assert!(read_subscription(bytes).is_err(), "{bytes:?}");
        }
    }
}
