//! What surrounds the load: topics made and removed, offsets asked, batches and frames encoded before the clock runs.

use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages as m;
use kafka_protocol::messages::RequestHeader;
use kafka_protocol::protocol::{Encodable, Request, StrBytes};

use super::{Target, bad};
use crate::client::{Client, Error, Properties, Settings};
use crate::clock::{Clock, SystemClock};
use crate::record::{Builder, Compression, Header};
use crate::tools::Failure;
use crate::types::Timestamp;

/// Versions that every broker since 2.8 speaks, so that all targets are asked the same.
pub const PRODUCE_VERSION: i16 = 7;
pub const FETCH_VERSION: i16 = 11;

pub fn client(target: &Target) -> Result<Client, Failure> {
    Ok(Client::open(Settings::new(&target.servers, "milena-bench", &Properties::default())?)?)
}

fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_owned())
}

/// A name that no earlier run has used.
pub fn fresh_topic(what: &str) -> String {
    format!("milena-bench-{what}-{:012x}", SystemClock::default().random() >> 16)
}

/// Makes a topic and waits until every partition answers.
pub fn create(client: &mut Client, topic: &str, partitions: i32) -> Result<(), Failure> {
    let wanted = m::create_topics_request::CreatableTopic::default()
        .with_name(m::TopicName(text(topic)))
        .with_num_partitions(partitions)
        .with_replication_factor(1);
    let request = m::CreateTopicsRequest::default().with_topics(vec![wanted]).with_timeout_ms(60_000);
    let answer = client.ask_controller(&request, 4)?;
    let result = answer.topics.first().ok_or_else(|| bad("no answer to CreateTopics".into()))?;
    Error::check(result.error_code, result.error_message.as_deref())?;
    let deadline = client.deadline();
    loop {
        match offsets(client, topic, partitions, -1) {
            Ok(_) => return Ok(()),
            Err(failure) if deadline.has_passed() => return Err(failure),
            Err(_) => client.pause(5, &deadline),
        }
    }
}

pub fn delete(client: &mut Client, topic: &str) -> Result<(), Failure> {
    let request =
        m::DeleteTopicsRequest::default().with_topic_names(vec![m::TopicName(text(topic))]).with_timeout_ms(60_000);
    client.ask_controller(&request, 3)?;
    Ok(())
}

/// How many partitions a topic has, all of them led.
pub fn partitions_of(client: &mut Client, topic: &str) -> Result<i32, Failure> {
    let wanted = m::metadata_request::MetadataRequestTopic::default().with_name(Some(m::TopicName(text(topic))));
    let request = m::MetadataRequest::default().with_topics(Some(vec![wanted])).with_allow_auto_topic_creation(false);
    let answer = client.ask_any_up_to(&request, 4)?;
    let found = answer.topics.first().ok_or_else(|| bad(format!("no topic {topic}")))?;
    Error::check(found.error_code, None)?;
    for partition in &found.partitions {
        Error::check(partition.error_code, None)?;
    }
    Ok(i32::try_from(found.partitions.len()).unwrap_or(i32::MAX))
}

/// The first (-2) or last (-1) offset of each partition.
pub fn offsets(client: &mut Client, topic: &str, partitions: i32, time: i64) -> Result<Vec<i64>, Failure> {
    let wanted = (0..partitions).map(|index| {
        m::list_offsets_request::ListOffsetsPartition::default().with_partition_index(index).with_timestamp(time)
    });
    let topics = m::list_offsets_request::ListOffsetsTopic::default()
        .with_name(m::TopicName(text(topic)))
        .with_partitions(wanted.collect());
    let request = m::ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![topics]);
    let answer = client.ask_any_up_to(&request, 3)?;
    let mut found = vec![-1; partitions.max(0) as usize];
    for partition in answer.topics.iter().flat_map(|topic| &topic.partitions) {
        Error::check(partition.error_code, None)?;
        if let Some(slot) = usize::try_from(partition.partition_index).ok().and_then(|index| found.get_mut(index)) {
            *slot = partition.offset;
        }
    }
    Ok(found)
}

/// A batch to be sent again and again.
pub struct Batch {
    pub bytes: Bytes,
    pub records: u64,
    /// Its size without compression.
    pub plain_bytes: u64,
}

impl Batch {
    /// Values like events in JSON, which compress as those do, until `target` bytes or `most` records are reached.
    pub fn new(value_bytes: usize, target: usize, most: usize, codec: Compression) -> Batch {
        let per_record = value_bytes + record_overhead(value_bytes);
        let records = (target.saturating_sub(crate::record::HEADER_LEN) / per_record).clamp(1, most.max(1));
        let now = Timestamp(SystemClock::default().now().wall.0);
        let build = |codec| {
            let (mut builder, mut dice) = (Builder::new().compression(codec), 7);
            for _ in 0..records {
                builder.push(now, None, Some(&event(&mut dice, value_bytes)), &[]);
            }
            builder.build().into_bytes()
        };
        let plain_bytes = build(Compression::None).len() as u64;
        Batch { bytes: build(codec), records: records as u64, plain_bytes }
    }
}

/// Lengths, deltas and attributes of a record.
fn record_overhead(value_bytes: usize) -> usize {
    if value_bytes < 64 {
        7
    } else if value_bytes < 8192 {
        10
    } else {
        13
    }
}

fn event(dice: &mut u64, len: usize) -> Vec<u8> {
    const KINDS: [&str; 4] = ["view", "search", "order", "logout"];
    let mut text = String::new();
    while text.len() < len {
        *dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let kind = KINDS[(*dice >> 62) as usize];
        text += &format!("{{\"event\":\"{kind}\",\"user\":{},\"session\":\"{:016x}\"}},", *dice >> 44, *dice);
    }
    text.truncate(len);
    text.into_bytes()
}

/// A whole request with its length.
pub fn frame<R: Request>(version: i16, request: &R) -> Result<Rc<Vec<u8>>, Failure> {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_client_id(Some(text("milena-bench")));
    let mut bytes = BytesMut::zeroed(4);
    let encoded =
        header.encode(&mut bytes, R::header_version(version)).and_then(|()| request.encode(&mut bytes, version));
    encoded.map_err(|error| bad(format!("a request cannot be encoded: {error}")))?;
    let len = u32::try_from(bytes.len() - 4).map_err(|_| bad("a request above 4 GiB".into()))?;
    bytes[..4].copy_from_slice(&len.to_be_bytes());
    Ok(Rc::new(bytes.to_vec()))
}

pub fn produce(topic: &str, partitions: &[i32], batch: &Batch, acks: i16) -> Result<Rc<Vec<u8>>, Failure> {
    let data = partitions.iter().map(|index| {
        m::produce_request::PartitionProduceData::default().with_index(*index).with_records(Some(batch.bytes.clone()))
    });
    let topics = m::produce_request::TopicProduceData::default()
        .with_name(m::TopicName(text(topic)))
        .with_partition_data(data.collect());
    let request = m::ProduceRequest::default().with_acks(acks).with_timeout_ms(30_000).with_topic_data(vec![topics]);
    frame(PRODUCE_VERSION, &request)
}

/// A Fetch without a session of partitions at their offsets.
pub fn fetch(topic: &str, wanted: &[(i32, i64)], max_bytes: i32, part_bytes: i32) -> Result<Rc<Vec<u8>>, Failure> {
    let partitions = wanted.iter().map(|(index, offset)| {
        m::fetch_request::FetchPartition::default()
            .with_partition(*index)
            .with_fetch_offset(*offset)
            .with_partition_max_bytes(part_bytes)
    });
    let topics = m::fetch_request::FetchTopic::default()
        .with_topic(m::TopicName(text(topic)))
        .with_partitions(partitions.collect());
    let request = m::FetchRequest::default()
        .with_max_wait_ms(500)
        .with_min_bytes(1)
        .with_max_bytes(max_bytes)
        .with_session_epoch(-1)
        .with_topics(vec![topics]);
    frame(FETCH_VERSION, &request)
}

/// Reads big-endian numbers off an answer; `None` where it is cut short.
pub struct Cursor<'a>(pub &'a [u8]);

impl<'a> Cursor<'a> {
    pub fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    pub fn i16(&mut self) -> Option<i16> {
        self.take(2)?.first_chunk().map(|bytes| i16::from_be_bytes(*bytes))
    }

    pub fn i32(&mut self) -> Option<i32> {
        self.take(4)?.first_chunk().map(|bytes| i32::from_be_bytes(*bytes))
    }

    /// A length, where -1 stands for nothing.
    pub fn len(&mut self) -> Option<usize> {
        self.i32().map(|len| usize::try_from(len).unwrap_or(0))
    }

    pub fn string(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.i16()?).unwrap_or(0);
        self.take(len)
    }
}

fn cut_short() -> Failure {
    bad("an answer is cut short".into())
}

fn refused(what: &str, code: i16, partition: i32) -> Failure {
    bad(format!("{what} was refused with error {code} on partition {partition}"))
}

/// How many partitions a Produce answer is for, if it refuses none.
pub fn produced(answer: &[u8]) -> Result<u64, Failure> {
    let mut cursor = Cursor(answer);
    let mut count = 0;
    let mut walk = || {
        for _ in 0..cursor.len()? {
            cursor.string()?;
            for _ in 0..cursor.len()? {
                let (partition, code) = (cursor.i32()?, cursor.i16()?);
                cursor.take(24)?;
                if code != 0 {
                    return Some(Err(refused("Produce", code, partition)));
                }
                count += 1;
            }
        }
        Some(Ok(()))
    };
    walk().unwrap_or_else(|| Err(cut_short()))?;
    Ok(count)
}

/// Hands over the records of every partition of a Fetch answer.
pub fn fetched(answer: &[u8], mut each: impl FnMut(i32, &[u8]) -> Result<(), Failure>) -> Result<(), Failure> {
    let mut cursor = Cursor(answer);
    let mut walk = || {
        cursor.i32()?;
        let code = cursor.i16()?;
        cursor.i32()?;
        if code != 0 {
            return Some(Err(refused("Fetch", code, -1)));
        }
        for _ in 0..cursor.len()? {
            cursor.string()?;
            for _ in 0..cursor.len()? {
                let (partition, code) = (cursor.i32()?, cursor.i16()?);
                cursor.take(24)?;
                let aborted = cursor.len()?;
                cursor.take(16 * aborted + 4)?;
                let len = cursor.len()?;
                let records = cursor.take(len)?;
                if code != 0 {
                    return Some(Err(refused("Fetch", code, partition)));
                }
                if let Err(failure) = each(partition, records) {
                    return Some(Err(failure));
                }
            }
        }
        Some(Ok(()))
    };
    walk().unwrap_or_else(|| Err(cut_short()))
}

/// The whole batches in what was fetched, and where they lie.
pub fn batches(records: &[u8]) -> impl Iterator<Item = (Header, &[u8])> {
    let mut rest = records;
    std::iter::from_fn(move || {
        let header = Header::read(rest).ok()?;
        let (batch, behind) = rest.split_at_checked(header.size())?;
        rest = behind;
        Some((header, batch))
    })
}
