//! Fetch, versions 4 to 18: records as ranges of files, incremental sessions, long polls.
//!
//! Version 5 tells the log start, 7 brings sessions, 11 the preferred replica (none: -1), 12 diverging epochs, 13 topic ids
//! instead of names, 15 moves the replica id into a tagged struct, 16 to 18 add what only clusters need. The answer is
//! encoded here and not by the message crate, because records are never copied: they leave as ranges of segment files.
//!
//! A fetch that finds fewer than `min_bytes` is registered with its partitions *before* it looks again (lesson 18), then
//! woken once the bytes are there or its time is up. An error in any partition answers at once. Not yet: followers.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use indexmap::IndexMap;
use kafka_protocol::messages::FetchRequest;
use tokio::time::Instant;

use super::{Context, Payer, Reply, ResponseBody};
use crate::broker::Broker;
use crate::broker::partition::{Isolation, Partition, Read};
use crate::broker::quotas::Use;
use crate::broker::waiters::Waiter;
use crate::file::FileRange;
use crate::memory::pool::Pool;
use crate::net::COPY_BYTES;
use crate::net::{Answer, Piece};
use crate::state::fetch_session::{PartitionKey, Request, Told, Wanted};
use crate::types::{ErrorCode, LeaderEpoch, Monotonic, Offset, TopicId, TopicName};

pub async fn handle(ctx: &mut Context<'_>, request: FetchRequest) -> Reply<FetchAnswer> {
    let version = ctx.version;
    let broker = ctx.broker.clone();
    let payer = ctx.meter(Use::Fetch);
    let mut terms = Terms {
        max_bytes: usize::try_from(request.max_bytes).unwrap_or(0).min(broker.settings.fetch.max_bytes),
        min_bytes: i64::from(request.min_bytes),
        isolation: if request.isolation_level == 1 { Isolation::ReadCommitted } else { Isolation::ReadUncommitted },
    };
    if let Some(payer) = &payer {
        terms.max_bytes = terms.max_bytes.min(payer.most_at_once());
        terms.min_bytes = terms.min_bytes.min(i64::try_from(terms.max_bytes).unwrap_or(i64::MAX));
    }
    // No broker follows this one.
    let is_replica = request.replica_id.0 >= 0 || request.replica_state.replica_id.0 >= 0;
    let deadline = Instant::now() + Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
    let plan = {
        let now = broker.clock.now().mono;
        let session = session_part(&broker, request, version);
        broker.fetch_sessions().plan(now, session, || broker.clock.random())
    };
    let plan = match plan {
        Ok(plan) => plan,
        Err(code) => return Reply::Now(FetchAnswer::failed(code)),
    };
    let targets = plan.partitions.into_iter().map(|(key, wanted)| Target::new(&broker, key, wanted, version, is_replica)).collect();
    let fetch = Fetch { broker, terms, targets, session_id: plan.session_id, incremental: plan.incremental, version, payer };
    let found = fetch.look();
    if found.is_enough(&fetch.terms) || fetch.targets.is_empty() || deadline <= Instant::now() {
        let Some(cold) = found.cold() else { return Reply::Now(fetch.answer(found)) };
        return Reply::Later(Box::pin(async move {
            fetch.broker.warm(cold).await;
            fetch.answer(found)
        }));
    }
    Reply::Later(Box::pin(fetch.wait(found.bytes, deadline)))
}

/// What a parked fetch takes beside its partitions, and how long it waits where there is no memory to park it.
const FETCH_BYTES: usize = 1024;
const SHORT_WAIT: Duration = Duration::from_millis(100);

/// A part of a pool; goes back when it is dropped.
struct Room<'a> {
    pool: &'a Pool,
    bytes: usize,
}

impl<'a> Room<'a> {
    fn take(pool: &'a Pool, bytes: usize) -> Option<Self> {
        pool.try_take(bytes).then_some(Room { pool, bytes })
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.pool.give_back(self.bytes);
    }
}

struct Terms {
    max_bytes: usize,
    min_bytes: i64,
    isolation: Isolation,
}

/// One partition of the request, looked up once.
struct Target {
    key: PartitionKey,
    wanted: Wanted,
    partition: Result<Arc<Partition>, ErrorCode>,
}

impl Target {
    fn new(broker: &Broker, key: PartitionKey, wanted: Wanted, version: i16, is_replica: bool) -> Self {
        let partition = if version >= 13 && key.topic.as_str().is_empty() {
            Err(ErrorCode::UnknownTopicId)
        } else {
            broker.partition(key.topic.as_str(), key.partition)
        };
        // A topic deleted and made again under its name is another topic (I22).
        let partition = match partition {
            Ok(found) if !key.topic_id.is_zero() && found.topic_id != key.topic_id => Err(ErrorCode::InconsistentTopicId),
            Ok(_) if is_replica => Err(ErrorCode::NotLeaderOrFollower),
            other => other,
        };
        Target { key, wanted, partition }
    }
}

/// What one partition answers.
#[derive(Debug, Default)]
struct Outcome {
    code: Option<ErrorCode>,
    diverging: Option<(LeaderEpoch, Offset)>,
    read: Read,
}

impl Outcome {
    fn failed(code: ErrorCode) -> Self {
        let read = Read {
            high_watermark: Offset::NONE,
            last_stable_offset: Offset::NONE,
            log_start_offset: Offset::NONE,
            ..Read::default()
        };
        Outcome { code: Some(code), diverging: None, read }
    }

    /// A partition that could not even be looked up. Kafka answers those with an empty list of aborted transactions, and
    /// what fails later with none.
    fn not_found(code: ErrorCode) -> Self {
        let mut outcome = Outcome::failed(code);
        if matches!(code, ErrorCode::UnknownTopicId | ErrorCode::UnknownTopicOrPartition) {
            outcome.read.aborted = Some(Vec::new());
        }
        outcome
    }

    fn bytes(&self) -> usize {
        self.read.range.as_ref().map_or(0, |range| range.len)
    }
}

struct Found {
    outcomes: Vec<Outcome>,
    bytes: i64,
    /// An error or a diverging epoch, which is to be told at once.
    urgent: bool,
}

impl Found {
    fn is_enough(&self, terms: &Terms) -> bool {
        self.urgent || self.bytes >= terms.min_bytes
    }

    /// The ranges that would have to be read from the disk while other connections wait for this thread. Nobody looks for
    /// the last few records of a partition there: they have just been written.
    fn cold(&self) -> Option<Vec<FileRange>> {
        let last_few = |outcome: &Outcome| outcome.read.to_the_end && outcome.bytes() <= COPY_BYTES;
        let ranges = self.outcomes.iter().filter(|outcome| !last_few(outcome));
        let ranges = ranges.filter_map(|outcome| outcome.read.range.as_ref());
        let cold: Vec<FileRange> = ranges.filter(|range| !range.is_cached()).cloned().collect();
        (!cold.is_empty()).then_some(cold)
    }
}

struct Fetch {
    broker: Arc<Broker>,
    terms: Terms,
    targets: Vec<Target>,
    session_id: i32,
    incremental: bool,
    version: i16,
    payer: Option<Payer>,
}

impl Fetch {
    /// Reads every partition once, within the limit of the request. The first one with records gives at least one batch
    /// however large (KIP-74), the others keep to what is left (lesson 19).
    fn look(&self) -> Found {
        let mut found = Found { outcomes: Vec::with_capacity(self.targets.len()), bytes: 0, urgent: false };
        let mut left = self.terms.max_bytes;
        for target in &self.targets {
            let outcome = self.read(target, left, found.bytes == 0);
            let bytes = outcome.bytes();
            left = left.saturating_sub(bytes);
            found.bytes += bytes as i64;
            found.urgent |= outcome.code.is_some() || outcome.diverging.is_some();
            found.outcomes.push(outcome);
        }
        found
    }

    fn read(&self, target: &Target, left: usize, first: bool) -> Outcome {
        let wanted = &target.wanted;
        let partition = match &target.partition {
            Ok(partition) => partition,
            Err(code) => return Outcome::not_found(*code),
        };
        if let Err(code) = partition.check_epoch(wanted.current_leader_epoch) {
            return Outcome::failed(code);
        }
        match diverges(partition, wanted) {
            Ok(None) => {}
            Ok(Some(diverging)) => {
                let read = partition.read(wanted.fetch_offset, self.terms.isolation, 0, false);
                let read = read.unwrap_or_else(|(_, read)| read);
                return Outcome { code: None, diverging: Some(diverging), read };
            }
            Err(code) => return Outcome::failed(code),
        }
        let max_bytes = left.min(usize::try_from(wanted.max_bytes).unwrap_or(0));
        match partition.read(wanted.fetch_offset, self.terms.isolation, max_bytes, first) {
            Ok(read) => Outcome { code: None, diverging: None, read },
            Err((code, read)) if code == ErrorCode::OffsetOutOfRange => {
                // Kafka tells the bounds only through ListOffsets; the fields of the answer stay unknown.
                let _ = read;
                Outcome::failed(code)
            }
            Err((code, _)) => Outcome::failed(code),
        }
    }

    /// Parked until enough bytes are there or the time is up. What waits takes memory; where there is none left, it waits for
    /// a moment only, and its client asks again (I113). `seen`: what
    /// a look found just before.
    async fn wait(self, mut seen: i64, deadline: Instant) -> FetchAnswer {
        let room = Room::take(&self.broker.parked, self.targets.len() * size_of::<Target>() + FETCH_BYTES);
        let deadline = if room.is_some() { deadline } else { deadline.min(Instant::now() + SHORT_WAIT) };
        let waiter = Waiter::new(self.terms.min_bytes - seen);
        let parked = Parked { fetch: &self, waiter: waiter.clone() };
        for target in &self.targets {
            if let Ok(partition) = &target.partition {
                partition.await_data(&waiter);
            }
        }
        let found = loop {
            // What comes from here on is counted by the waiter; what came since the last look is counted by this one. Bytes
            // counted twice end the wait too soon, and it goes on.
            let found = self.look();
            if found.is_enough(&self.terms) {
                break found;
            }
            waiter.arrived(found.bytes - seen);
            seen = found.bytes;
            // What was found would only be kept.
            drop(found);
            if tokio::time::timeout_at(deadline, waiter.wait()).await.is_err() {
                break self.look();
            }
            waiter.expect(self.terms.min_bytes - seen);
        };
        drop(parked);
        if let Some(cold) = found.cold() {
            self.broker.warm(cold).await;
        }
        self.answer(found)
    }

    fn answer(&self, found: Found) -> FetchAnswer {
        match &self.payer {
            None => self.told(found),
            Some(payer) => self.charged(payer, found),
        }
    }

    /// An answer that is too much for the quota is not sent, and not counted: the client waits, and asks again.
    fn charged(&self, payer: &Payer, found: Found) -> FetchAnswer {
        let bytes = self.body_bytes(&found);
        let (when, wait_ms) = payer.charge(bytes);
        if wait_ms == 0 {
            return FetchAnswer { paid: Some(Paid { payer: payer.clone(), when, bytes }), ..self.told(found) };
        }
        payer.take_back(when, bytes);
        if self.incremental {
            return FetchAnswer { wait_ms, session_id: self.session_id, ..FetchAnswer::failed(ErrorCode::None) };
        }
        // The client begins its session with an answer that names its partitions.
        self.broker.fetch_sessions().forget(self.session_id);
        FetchAnswer { wait_ms, ..FetchAnswer::failed(ErrorCode::None) }
    }

    /// What the body of the answer would be, as Kafka counts it: with its length. In a session, only what has records or an
    /// error to tell is counted.
    fn body_bytes(&self, found: &Found) -> f64 {
        let counted = |outcome: &&(&Target, &Outcome)| {
            !self.incremental || outcome.1.bytes() > 0 || outcome.1.code.is_some() || outcome.1.diverging.is_some()
        };
        let outcomes = self.targets.iter().zip(&found.outcomes).filter(|outcome| counted(&outcome));
        let outcomes: Vec<(&PartitionKey, &Outcome)> = outcomes.map(|(target, outcome)| (&target.key, outcome)).collect();
        let head = FetchAnswer { session_id: self.session_id, ..FetchAnswer::failed(ErrorCode::None) };
        let header_bytes = if self.version >= FLEXIBLE_SINCE { 5 } else { 4 };
        (head.written(&outcomes, 0, self.version).len() - header_bytes) as f64
    }

    fn told(&self, found: Found) -> FetchAnswer {
        self.broker.metrics.bytes_out.add(u64::try_from(found.bytes).unwrap_or(0));
        let mut outcomes: Vec<(PartitionKey, Outcome)> =
            self.targets.iter().map(|target| target.key.clone()).zip(found.outcomes).collect();
        if self.session_id != 0 {
            let told: Vec<_> = outcomes
                .iter()
                .map(|(key, outcome)| {
                    let told = Told {
                        high_watermark: outcome.read.high_watermark,
                        log_start_offset: outcome.read.log_start_offset,
                    };
                    let has_records = outcome.bytes() > 0;
                    let must_send = has_records || outcome.code.is_some() || outcome.diverging.is_some();
                    (key.clone(), told, must_send, has_records)
                })
                .collect();
            let mut news = self.broker.fetch_sessions().news(self.session_id, &told).into_iter();
            if self.incremental {
                outcomes.retain(|_| news.next().unwrap_or(true));
            }
        }
        FetchAnswer { outcomes, session_id: self.session_id, ..FetchAnswer::failed(ErrorCode::None) }
    }
}

/// Takes the fetch off every list however it ends, also when its connection goes away.
struct Parked<'a> {
    fetch: &'a Fetch,
    waiter: Arc<Waiter>,
}

impl Drop for Parked<'_> {
    fn drop(&mut self) {
        for target in &self.fetch.targets {
            if let Ok(partition) = &target.partition {
                partition.leave(&self.waiter);
            }
        }
    }
}

/// Does the client hold records that this log never had (KIP-320)?
fn diverges(partition: &Partition, wanted: &Wanted) -> Result<Option<(LeaderEpoch, Offset)>, ErrorCode> {
    if wanted.last_fetched_epoch.0 < 0 {
        return Ok(None);
    }
    let (epoch, end) = partition.end_of_epoch(wanted.last_fetched_epoch)?;
    if epoch == LeaderEpoch::NONE || end == Offset::NONE {
        return Err(ErrorCode::OffsetOutOfRange);
    }
    Ok((epoch < wanted.last_fetched_epoch || end < wanted.fetch_offset).then_some((epoch, end)))
}

fn session_part(broker: &Broker, request: FetchRequest, version: i16) -> Request {
    let image = broker.image();
    let uses_topic_ids = version >= 13;
    let name = |name: &str, id: uuid::Uuid| match uses_topic_ids {
        true => image.topic_by_id(TopicId(id)).map_or_else(|| TopicName::from(""), |topic| topic.name.clone()),
        false => TopicName::from(name),
    };
    // Named twice, a partition is read once, as it was named last.
    let mut partitions = IndexMap::new();
    for topic in &request.topics {
        let topic_name = name(&topic.topic.0, topic.topic_id);
        for partition in &topic.partitions {
            let key = PartitionKey {
                topic: topic_name.clone(),
                topic_id: TopicId(topic.topic_id),
                partition: partition.partition,
            };
            let wanted = Wanted {
                fetch_offset: Offset(partition.fetch_offset),
                current_leader_epoch: LeaderEpoch(partition.current_leader_epoch),
                last_fetched_epoch: LeaderEpoch(partition.last_fetched_epoch),
                max_bytes: partition.partition_max_bytes,
            };
            partitions.insert(key, wanted);
        }
    }
    let mut forgotten = Vec::new();
    for topic in &request.forgotten_topics_data {
        let topic_name = name(&topic.topic.0, topic.topic_id);
        forgotten.extend(topic.partitions.iter().map(|partition| PartitionKey {
            topic: topic_name.clone(),
            topic_id: TopicId(topic.topic_id),
            partition: *partition,
        }));
    }
    // Before version 7 the fields are not there and their defaults mean: no session.
    Request {
        session_id: request.session_id,
        session_epoch: request.session_epoch,
        uses_topic_ids,
        partitions: partitions.into_iter().collect(),
        forgotten,
    }
}

/// The body of the answer, with records as ranges of files.
pub struct FetchAnswer {
    code: ErrorCode,
    session_id: i32,
    outcomes: Vec<(PartitionKey, Outcome)>,
    wait_ms: i32,
    paid: Option<Paid>,
}

/// What was charged for an answer.
struct Paid {
    payer: Payer,
    when: Monotonic,
    bytes: f64,
}

const FLEXIBLE_SINCE: i16 = 12;

impl FetchAnswer {
    fn failed(code: ErrorCode) -> Self {
        FetchAnswer { code, session_id: 0, outcomes: Vec::new(), wait_ms: 0, paid: None }
    }

    fn written(&self, outcomes: &[(&PartitionKey, &Outcome)], correlation_id: i32, version: i16) -> Answer {
        let flexible = version >= FLEXIBLE_SINCE;
        let mut writer = Writer { version, flexible, bytes: BytesMut::with_capacity(256), pieces: Vec::new() };
        writer.bytes.put_i32(0);
        writer.bytes.put_i32(correlation_id);
        writer.tags();
        writer.bytes.put_i32(self.wait_ms);
        if version >= 7 {
            writer.bytes.put_i16(self.code.code());
            writer.bytes.put_i32(self.session_id);
        }
        let same_topic = |(a, _): &(&PartitionKey, &Outcome), (b, _): &(&PartitionKey, &Outcome)| {
            a.topic == b.topic && a.topic_id == b.topic_id
        };
        writer.array(outcomes.chunk_by(same_topic).count());
        for partitions in outcomes.chunk_by(same_topic) {
            writer.topic(partitions);
        }
        writer.tags();
        writer.finish()
    }
}

impl ResponseBody for FetchAnswer {
    fn into_answer(self, correlation_id: i32, version: i16) -> Result<Answer, String> {
        let outcomes: Vec<(&PartitionKey, &Outcome)> = self.outcomes.iter().map(|(key, outcome)| (key, outcome)).collect();
        Ok(self.written(&outcomes, correlation_id, version))
    }

    /// Who has to wait gets no records, whatever for.
    fn throttle(&mut self, wait_ms: i32) {
        self.wait_ms = wait_ms.max(self.wait_ms);
        self.outcomes.clear();
        if let Some(paid) = self.paid.take() {
            paid.payer.take_back(paid.when, paid.bytes);
        }
    }
}

/// Writes the answer piece by piece: bytes until the next range of a file, then the range.
struct Writer {
    version: i16,
    flexible: bool,
    bytes: BytesMut,
    pieces: Vec<Piece>,
}

impl Writer {
    fn topic(&mut self, partitions: &[(&PartitionKey, &Outcome)]) {
        let Some((key, _)) = partitions.first() else { return };
        if self.version >= 13 {
            self.bytes.put_slice(key.topic_id.0.as_bytes());
        } else {
            self.string(key.topic.as_str());
        }
        self.array(partitions.len());
        for (key, outcome) in partitions {
            self.partition(key.partition, outcome);
        }
        self.tags();
    }

    fn partition(&mut self, index: i32, outcome: &Outcome) {
        let read = &outcome.read;
        self.bytes.put_i32(index);
        self.bytes.put_i16(outcome.code.unwrap_or(ErrorCode::None).code());
        self.bytes.put_i64(read.high_watermark.0);
        self.bytes.put_i64(read.last_stable_offset.0);
        if self.version >= 5 {
            self.bytes.put_i64(read.log_start_offset.0);
        }
        self.aborted(read);
        if self.version >= 11 {
            // -1: no preferred replica. A zero would send clients to node 0 in a loop.
            self.bytes.put_i32(-1);
        }
        self.length(read.range.as_ref().map_or(0, |range| range.len));
        if let Some(range) = &read.range {
            let before = self.bytes.split().freeze();
            self.pieces.push(Piece::Bytes(before));
            self.pieces.push(Piece::File(range.clone()));
        }
        match outcome.diverging {
            Some((epoch, end)) if self.flexible => {
                // One tagged field, number 0, of 13 bytes: epoch, end offset, no tags of its own.
                self.bytes.put_slice(&[1, 0, 13]);
                self.bytes.put_i32(epoch.0);
                self.bytes.put_i64(end.0);
                self.bytes.put_u8(0);
            }
            _ => self.tags(),
        }
    }

    fn aborted(&mut self, read: &Read) {
        let Some(aborted) = &read.aborted else {
            if self.flexible {
                self.bytes.put_u8(0);
            } else {
                self.bytes.put_i32(-1);
            }
            return;
        };
        self.array(aborted.len());
        for transaction in aborted {
            self.bytes.put_i64(transaction.producer_id.0);
            self.bytes.put_i64(transaction.first_offset.0);
            self.tags();
        }
    }

    fn string(&mut self, value: &str) {
        if self.flexible {
            self.varint(value.len() + 1);
        } else {
            // Topic names are at most 249 bytes; requests with longer ones echo them cut.
            self.bytes.put_i16(i16::try_from(value.len()).unwrap_or(i16::MAX));
        }
        self.bytes.put_slice(value.as_bytes());
    }

    fn array(&mut self, len: usize) {
        self.length(len);
    }

    fn length(&mut self, len: usize) {
        if self.flexible {
            self.varint(len + 1);
        } else {
            self.bytes.put_i32(i32::try_from(len).unwrap_or(i32::MAX));
        }
    }

    fn tags(&mut self) {
        if self.flexible {
            self.bytes.put_u8(0);
        }
    }

    fn varint(&mut self, value: usize) {
        let mut rest = u32::try_from(value).unwrap_or(u32::MAX);
        while rest >= 0x80 {
            self.bytes.put_u8(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.bytes.put_u8(rest as u8);
    }

    fn finish(mut self) -> Answer {
        let last = self.bytes.split().freeze();
        self.pieces.push(Piece::Bytes(last));
        let total: usize = self.pieces.iter().map(Piece::len).sum();
        let len = i32::try_from(total - 4).unwrap_or(i32::MAX).to_be_bytes();
        if let Some(Piece::Bytes(first)) = self.pieces.first_mut() {
            let mut head = BytesMut::from(&first[..]);
            head[..4].copy_from_slice(&len);
            *first = head.freeze();
        }
        Answer::Many(self.pieces)
    }
}
