//! A consumer of partitions that it was told: asks every leader at once, hands the records out one by one, and moves its
//! positions only past what was taken.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::{AbortedTransaction, PartitionData};
use kafka_protocol::messages::{BrokerId, FetchRequest, FetchResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::offsets::leader_of;
use super::{Client, Error, Spec};
use crate::record::{ControlKind, DecompressLimits, Header, Record, open};
use crate::types::ErrorCode;

/// A record as it is handed out, borrowed from the answer it came in.
pub struct Fetched<'a> {
    pub topic: &'a str,
    pub partition: i32,
    pub leader_epoch: i32,
    pub is_log_append_time: bool,
    pub record: Record<'a>,
}

pub struct Fetcher {
    positions: BTreeMap<(String, i32), i64>,
    leaders: BTreeMap<(String, i32), i32>,
    read_committed: bool,
    pub max_wait_ms: i32,
    pub max_bytes: i32,
    pub partition_max_bytes: i32,
    /// Where to go on when a position is no longer there; `None`: say so.
    pub reset: Option<Spec>,
}

impl Fetcher {
    pub fn new(positions: BTreeMap<(String, i32), i64>, read_committed: bool) -> Fetcher {
        Fetcher {
            positions,
            leaders: BTreeMap::new(),
            read_committed,
            max_wait_ms: 500,
            max_bytes: 50 << 20,
            partition_max_bytes: 1 << 20,
            reset: Some(Spec::LATEST),
        }
    }

    /// The offset of the next record to be taken, per partition.
    pub fn positions(&self) -> &BTreeMap<(String, i32), i64> {
        &self.positions
    }

    pub fn retain(&mut self, keep: &BTreeSet<(String, i32)>) {
        self.positions.retain(|at, _| keep.contains(at));
    }

    pub fn add(&mut self, positions: impl IntoIterator<Item = ((String, i32), i64)>) {
        self.positions.extend(positions);
    }

    /// One round over all leaders. `take` sees each record; after `Break` that one counts as taken and no more come.
    pub fn poll(
        &mut self,
        client: &mut Client,
        take: &mut dyn FnMut(&Fetched<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Error> {
        match self.round(client, take) {
            Err(error) if error.is_retriable() => {
                self.leaders.clear();
                let deadline = client.deadline();
                client.pause(100, &deadline);
                Ok(ControlFlow::Continue(()))
            }
            other => other,
        }
    }

    fn round(
        &mut self,
        client: &mut Client,
        take: &mut dyn FnMut(&Fetched<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Error> {
        self.find_leaders(client)?;
        let mut flow = ControlFlow::Continue(());
        for answer in self.ask(client)? {
            Error::check(answer.error_code, None)?;
            for topic in &answer.responses {
                for data in &topic.partitions {
                    if flow.is_continue() {
                        flow = self.take_in(client, &topic.topic.0, data, take)?;
                    }
                }
            }
        }
        Ok(flow)
    }

    /// Writes one request per leader before it reads the first answer, so that they wait side by side.
    fn ask(&self, client: &mut Client) -> Result<Vec<FetchResponse>, Error> {
        let deadline = client.deadline().at_most(client.settings().request_timeout_ms);
        let mut sent = Vec::new();
        for (leader, partitions) in self.by_leader() {
            let request = self.request(&partitions);
            let connection = client.connection(leader, &deadline)?;
            // Later versions name topics by id, which buys a client that asks by name nothing.
            let version = connection.version::<FetchRequest>(12)?;
            sent.push((leader, version, connection.send(&request, version, &deadline)?));
        }
        if sent.is_empty() {
            client.pause(u64::from(self.max_wait_ms.unsigned_abs()), &deadline);
        }
        let answer = |(leader, version, id)| {
            client.connection(leader, &deadline)?.receive::<FetchRequest>(id, version, &deadline)
        };
        sent.into_iter().map(answer).collect()
    }

    fn by_leader(&self) -> BTreeMap<i32, Vec<(&str, i32, i64)>> {
        let mut leaders: BTreeMap<i32, Vec<_>> = BTreeMap::new();
        for (at, position) in &self.positions {
            match self.leaders.get(at) {
                Some(leader) if *leader >= 0 => leaders.entry(*leader).or_default().push((&*at.0, at.1, *position)),
                _ => {}
            }
        }
        leaders
    }

    fn request(&self, partitions: &[(&str, i32, i64)]) -> FetchRequest {
        let mut topics: BTreeMap<&str, Vec<FetchPartition>> = BTreeMap::new();
        for (topic, partition, position) in partitions {
            let partition = FetchPartition::default()
                .with_partition(*partition)
                .with_current_leader_epoch(-1)
                .with_fetch_offset(*position)
                .with_log_start_offset(-1)
                .with_partition_max_bytes(self.partition_max_bytes);
            topics.entry(topic).or_default().push(partition);
        }
        let topic = |(name, partitions): (&str, _)| {
            FetchTopic::default()
                .with_topic(TopicName(StrBytes::from_string(name.to_owned())))
                .with_partitions(partitions)
        };
        FetchRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_max_wait_ms(self.max_wait_ms)
            .with_min_bytes(1)
            .with_max_bytes(self.max_bytes)
            .with_isolation_level(i8::from(self.read_committed))
            .with_session_epoch(-1)
            .with_topics(topics.into_iter().map(topic).collect())
    }

    fn find_leaders(&mut self, client: &mut Client) -> Result<(), Error> {
        if self.positions.keys().all(|at| self.leaders.get(at).is_some_and(|leader| *leader >= 0)) {
            return Ok(());
        }
        let mut names: Vec<String> = self.positions.keys().map(|at| at.0.clone()).collect();
        names.dedup();
        let topics = client.metadata(Some(&names), false)?;
        let found = self.positions.keys().map(|at| (at.clone(), leader_of(&topics, &at.0, at.1)));
        self.leaders = found.collect();
        Ok(())
    }

    fn take_in(
        &mut self,
        client: &mut Client,
        topic: &str,
        data: &PartitionData,
        take: &mut dyn FnMut(&Fetched<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Error> {
        let at = (topic.to_owned(), data.partition_index);
        match Error::check(data.error_code, None) {
            Ok(()) => self.take_records(&at, data, take),
            Err(error) if error.code() == Some(ErrorCode::OffsetOutOfRange) => {
                let Some(reset) = self.reset else { return Err(error) };
                let offsets = client.list_offsets(&[(at.0.clone(), at.1, reset)], self.read_committed)?;
                if let Some(Ok(offset)) = offsets.get(&at) {
                    self.positions.insert(at, *offset);
                }
                Ok(ControlFlow::Continue(()))
            }
            // The topic may come back, as Kafka's consumer hopes too.
            Err(error) if error.is_retriable() || error.code() == Some(ErrorCode::UnknownTopicOrPartition) => {
                self.leaders.remove(&at);
                Ok(ControlFlow::Continue(()))
            }
            Err(error) => Err(error),
        }
    }

    fn take_records(
        &mut self,
        at: &(String, i32),
        data: &PartitionData,
        take: &mut dyn FnMut(&Fetched<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Error> {
        let Some(position) = self.positions.get_mut(at) else { return Ok(ControlFlow::Continue(())) };
        let mut bytes: &[u8] = data.records.as_deref().unwrap_or_default();
        let mut aborted = Aborted::new(data.aborted_transactions.as_deref().unwrap_or_default());
        // A last batch that was cut off ends the answer; it comes whole the next time.
        while let Some((batch, rest)) = next_batch(bytes) {
            bytes = rest;
            let flow = take_batch(at, position, batch, &mut aborted, take)?;
            if flow.is_break() {
                return Ok(flow);
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

fn next_batch(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = i32::from_be_bytes(*bytes.get(8..)?.first_chunk()?);
    let size = usize::try_from(length).ok()?.checked_add(12)?;
    (size > 12).then(|| bytes.split_at_checked(size)).flatten()
}

fn take_batch(
    at: &(String, i32),
    position: &mut i64,
    batch: &[u8],
    aborted: &mut Aborted<'_>,
    take: &mut dyn FnMut(&Fetched<'_>) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, Error> {
    let begin = *position;
    let corrupt = |why: crate::record::Corrupt| Error::Malformed {
        address: format!("{}-{} at offset {begin}", at.0, at.1),
        reason: why.to_string(),
    };
    let opened = open(batch, &DecompressLimits::default()).map_err(corrupt)?;
    let header = opened.header();
    let end = header.base_offset.0.saturating_add(i64::from(header.last_offset_delta)).saturating_add(1);
    if !aborted.hides(header, batch) {
        for record in opened.records() {
            let record = record.map_err(corrupt)?;
            if record.offset.0 < *position {
                continue;
            }
            *position = record.offset.0 + 1;
            let fetched = Fetched {
                topic: &at.0,
                partition: at.1,
                leader_epoch: header.leader_epoch.0,
                is_log_append_time: header.is_log_append_time(),
                record,
            };
            if take(&fetched).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
    *position = end.max(*position);
    Ok(ControlFlow::Continue(()))
}

/// Which batches a reader must not see: markers, and with `read_committed` those of transactions that were aborted.
struct Aborted<'a> {
    /// By where they began, the latest first.
    waiting: Vec<&'a AbortedTransaction>,
    open: BTreeSet<i64>,
}

impl<'a> Aborted<'a> {
    fn new(listed: &'a [AbortedTransaction]) -> Self {
        let mut waiting: Vec<_> = listed.iter().collect();
        waiting.sort_by_key(|transaction| std::cmp::Reverse(transaction.first_offset));
        Aborted { waiting, open: BTreeSet::new() }
    }

    fn hides(&mut self, header: &Header, batch: &[u8]) -> bool {
        let last = header.base_offset.0.saturating_add(i64::from(header.last_offset_delta));
        while let Some(next) = self.waiting.pop_if(|next| next.first_offset <= last) {
            self.open.insert(next.producer_id.0);
        }
        if header.is_control() {
            if is_abort(batch) {
                self.open.remove(&header.producer_id.0);
            }
            return true;
        }
        header.is_transactional() && self.open.contains(&header.producer_id.0)
    }
}

fn is_abort(batch: &[u8]) -> bool {
    let Ok(opened) = open(batch, &DecompressLimits::default()) else { return false };
    let Some(Ok(record)) = opened.records().next() else { return false };
    ControlKind::parse(record.key) == Ok(ControlKind::Abort)
}
