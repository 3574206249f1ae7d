//! ListOffsets: where partitions begin and end, asked of their leaders, one question per leader.

use std::collections::BTreeMap;

use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::{BrokerId, ListOffsetsRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::{Client, Error};

/// Which offset of a partition is meant; the numbers are the protocol's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spec(pub i64);

impl Spec {
    pub const LATEST: Spec = Spec(-1);
    pub const EARLIEST: Spec = Spec(-2);
    pub const MAX_TIMESTAMP: Spec = Spec(-3);
    pub const EARLIEST_LOCAL: Spec = Spec(-4);
    pub const LATEST_TIERED: Spec = Spec(-5);

    /// Offsets by time are known since version 1, the others came later.
    fn lowest_version(self) -> i16 {
        match self.0 {
            -3 => 7,
            -4 => 8,
            -5 => 9,
            -6 => 11,
            _ => 1,
        }
    }
}

/// An offset per partition, or why there is none.
pub type Offsets = BTreeMap<(String, i32), Result<i64, Error>>;

impl Client {
    /// The offset of each partition, or the refusal for it; a partition without a leader is refused with
    /// LEADER_NOT_AVAILABLE.
    pub fn list_offsets(&mut self, partitions: &[(String, i32, Spec)], read_committed: bool) -> Result<Offsets, Error> {
        let mut names: Vec<String> = partitions.iter().map(|(topic, ..)| topic.clone()).collect();
        names.sort();
        names.dedup();
        let topics = self.metadata(Some(&names), false)?;
        let mut offsets = BTreeMap::new();
        for (leader, asked) in by_leader(&topics, partitions) {
            if leader < 0 {
                let none = |at: &(String, i32, Spec)| ((at.0.clone(), at.1), Error::check(5, None).map(|()| -1));
                offsets.extend(asked.iter().map(none));
            } else {
                self.list_offsets_of(leader, &asked, read_committed, &mut offsets)?;
            }
        }
        Ok(offsets)
    }

    fn list_offsets_of(
        &mut self,
        leader: i32,
        asked: &[(String, i32, Spec)],
        read_committed: bool,
        offsets: &mut Offsets,
    ) -> Result<(), Error> {
        let lowest = asked.iter().map(|at| at.2.lowest_version()).max().unwrap_or(1);
        let deadline = self.deadline();
        if self.connection(leader, &deadline)?.version::<ListOffsetsRequest>(i16::MAX)? < lowest {
            return Err(Error::Unsupported { api: format!("ListOffsets in version {lowest}") });
        }
        let request = ListOffsetsRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_isolation_level(i8::from(read_committed))
            .with_topics(request_topics(asked));
        let answer = self.ask(leader, &request, lowest.max(9))?;
        for topic in answer.topics {
            for partition in topic.partitions {
                let offset = Error::check(partition.error_code, None).map(|()| partition.offset);
                offsets.insert((topic.name.0.to_string(), partition.partition_index), offset);
            }
        }
        Ok(())
    }
}

/// The leader of one partition; -1 where there is none.
pub fn leader_of(topics: &[MetadataResponseTopic], topic: &str, partition: i32) -> i32 {
    topics
        .iter()
        .filter(|found| found.name.as_ref().is_some_and(|name| &*name.0 == topic))
        .flat_map(|found| &found.partitions)
        .find(|found| found.partition_index == partition)
        .map_or(-1, |found| found.leader_id.0)
}

fn by_leader(
    topics: &[MetadataResponseTopic],
    partitions: &[(String, i32, Spec)],
) -> BTreeMap<i32, Vec<(String, i32, Spec)>> {
    let mut leaders: BTreeMap<i32, Vec<_>> = BTreeMap::new();
    for at in partitions {
        leaders.entry(leader_of(topics, &at.0, at.1)).or_default().push(at.clone());
    }
    leaders
}

fn request_topics(asked: &[(String, i32, Spec)]) -> Vec<ListOffsetsTopic> {
    let mut topics: BTreeMap<&str, Vec<ListOffsetsPartition>> = BTreeMap::new();
    for (topic, partition, spec) in asked {
        let partition = ListOffsetsPartition::default()
            .with_partition_index(*partition)
            .with_current_leader_epoch(-1)
            .with_timestamp(spec.0);
        topics.entry(topic).or_default().push(partition);
    }
    let topic = |(name, partitions): (&str, _)| {
        ListOffsetsTopic::default()
            .with_name(TopicName(StrBytes::from_string(name.to_owned())))
            .with_partitions(partitions)
    };
    topics.into_iter().map(topic).collect()
}
