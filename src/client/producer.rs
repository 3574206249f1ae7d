//! A producer that sends what it was given when it is told to, and waits for the answers.
//!
//! Records are packed into one batch per partition. With acks=all the producer is idempotent, as Kafka's own is: a batch
//! keeps its bytes and its sequence over every retry, so a broken connection neither loses nor doubles a record.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{InitProducerIdRequest, ProduceRequest, ProducerId as WireProducerId, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::offsets::leader_of;
use super::{Client, Deadline, Error, Properties};
use crate::record::{Builder, Compression};
use crate::types::{ErrorCode, ProducerEpoch, ProducerId, Sequence, Timestamp};

/// A header of a record: key, value.
pub type Header = (Vec<u8>, Option<Vec<u8>>);

/// A record to be sent.
#[derive(Clone, Debug, Default)]
pub struct Outgoing {
    pub topic: String,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<Header>,
    pub timestamp_ms: i64,
}

#[derive(Clone, Copy, Debug)]
pub struct ProducerSettings {
    pub acks: i16,
    pub compression: Compression,
    pub idempotent: bool,
    /// How long a record may take from [`Producer::flush`] to its acknowledgement.
    pub delivery_timeout_ms: u64,
    /// How long to wait for a topic to be there.
    pub max_block_ms: u64,
    /// Records are sent at the latest when a batch has so many bytes.
    pub batch_bytes: usize,
}

impl ProducerSettings {
    /// Kafka's producer properties, with its defaults.
    pub fn from(properties: &Properties) -> Result<ProducerSettings, Error> {
        let acks = match properties.get("acks") {
            None | Some("all" | "-1") => -1,
            Some("0") => 0,
            Some("1") => 1,
            Some(other) => {
                return Err(Error::Setting(format!(
                    "Invalid value {other} for configuration acks: String must be one of: all, -1, 0, 1"
                )));
            }
        };
        Ok(ProducerSettings {
            acks,
            compression: compression(properties.get("compression.type").unwrap_or("none"))?,
            idempotent: acks == -1 && !properties.is("enable.idempotence", "false"),
            delivery_timeout_ms: properties.number("delivery.timeout.ms")?.unwrap_or(120_000),
            max_block_ms: properties.number("max.block.ms")?.unwrap_or(60_000),
            batch_bytes: properties.number("batch.size")?.unwrap_or(16_384),
        })
    }
}

fn compression(name: &str) -> Result<Compression, Error> {
    Ok(match name {
        "none" => Compression::None,
        "gzip" => Compression::Gzip,
        "snappy" => Compression::Snappy,
        "lz4" => Compression::Lz4,
        "zstd" => Compression::Zstd,
        other => {
            return Err(Error::Setting(format!(
                "Invalid value {other} for configuration compression.type: String must be one of: none, gzip, snappy, lz4, zstd"
            )));
        }
    })
}

/// Records of one partition that go together, and what became of them.
pub struct Sent {
    pub topic: String,
    pub partition: i32,
    pub records: Vec<Outgoing>,
    /// The offset of the first record; -1 with acks=0.
    pub outcome: Result<i64, Error>,
}

pub struct Producer {
    pub client: Client,
    settings: ProducerSettings,
    topics: BTreeMap<String, MetadataResponseTopic>,
    /// The id and epoch of an idempotent producer, once asked for.
    id: Option<(i64, i16)>,
    sequences: BTreeMap<(String, i32), i32>,
    pending: BTreeMap<(String, i32), Vec<Outgoing>>,
    pending_bytes: usize,
    /// Where records without a key go until the next flush.
    sticky: u64,
}

impl Producer {
    pub fn new(client: Client, settings: ProducerSettings) -> Producer {
        let sticky = client.clock().random();
        Producer {
            client,
            settings,
            topics: BTreeMap::new(),
            id: None,
            sequences: BTreeMap::new(),
            pending: BTreeMap::new(),
            pending_bytes: 0,
            sticky,
        }
    }

    /// Takes a record in; true when it is time to [`Producer::flush`].
    pub fn add(&mut self, record: Outgoing) -> Result<bool, Error> {
        let partition = self.partition(&record)?;
        self.pending_bytes += 70 + Builder::size_of(record.key.as_deref(), record.value.as_deref());
        self.pending.entry((record.topic.clone(), partition)).or_default().push(record);
        Ok(self.pending_bytes >= self.settings.batch_bytes)
    }

    /// Sends everything that was taken in and waits for every answer.
    pub fn flush(&mut self) -> Result<Vec<Sent>, Error> {
        let mut batches = Vec::new();
        for ((topic, partition), records) in std::mem::take(&mut self.pending) {
            batches.push(self.pack(topic, partition, records)?);
        }
        self.pending_bytes = 0;
        self.sticky = self.client.clock().random();
        let deadline = Deadline::after(self.client.clock(), self.settings.delivery_timeout_ms);
        self.deliver(&mut batches, &deadline);
        Ok(batches.into_iter().map(Batch::sent).collect())
    }

    fn pack(&mut self, topic: String, partition: i32, records: Vec<Outgoing>) -> Result<Batch, Error> {
        let mut builder = Builder::new().compression(self.settings.compression);
        if self.settings.idempotent {
            let (id, epoch) = self.producer_id()?;
            let sequence = self.sequences.entry((topic.clone(), partition)).or_insert(0);
            builder = builder.producer(ProducerId(id), ProducerEpoch(epoch), Sequence(*sequence));
            let count = i64::try_from(records.len()).expect("a batch is small");
            *sequence = i32::try_from((i64::from(*sequence) + count) % (1 << 31)).expect("below 2^31");
        }
        for record in &records {
            let headers: Vec<_> =
                record.headers.iter().map(|(key, value)| (key.as_slice(), value.as_deref())).collect();
            builder.push(Timestamp(record.timestamp_ms), record.key.as_deref(), record.value.as_deref(), &headers);
        }
        Ok(Batch { topic, partition, records, bytes: builder.build().into_bytes(), outcome: None })
    }

    /// One round after the other until every batch has its outcome.
    fn deliver(&mut self, batches: &mut [Batch], deadline: &Deadline) {
        let mut pause_ms = 50;
        loop {
            let mut last = None;
            for (leader, indexes) in self.by_leader(batches) {
                if let Err(error) = self.produce(leader, &indexes, batches, deadline) {
                    last = Some(error);
                }
            }
            let open = batches.iter().filter(|batch| batch.outcome.is_none()).count();
            if open == 0 {
                return;
            }
            let fatal = last.filter(|error| !error.is_retriable());
            if fatal.is_some() || deadline.has_passed() {
                let why = fatal.map_or_else(|| self.expired(), |error| error.to_string());
                let missing = batches.iter_mut().filter(|batch| batch.outcome.is_none());
                missing.for_each(|batch| batch.outcome = Some(Err(Error::TimedOut(why.clone()))));
                return;
            }
            self.client.pause(pause_ms, deadline);
            pause_ms = (pause_ms * 2).min(1000);
            self.topics.clear();
        }
    }

    fn expired(&self) -> String {
        format!("Expiring records: {} ms have passed since they were sent", self.settings.delivery_timeout_ms)
    }

    fn by_leader(&mut self, batches: &[Batch]) -> BTreeMap<i32, Vec<usize>> {
        let mut leaders: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
        for (index, batch) in batches.iter().enumerate().filter(|(_, batch)| batch.outcome.is_none()) {
            let leader = match self.topic(&batch.topic) {
                Ok(topic) => leader_of(std::slice::from_ref(topic), &batch.topic, batch.partition),
                Err(_) => -1,
            };
            if leader >= 0 {
                leaders.entry(leader).or_default().push(index);
            }
        }
        leaders
    }

    fn produce(
        &mut self,
        leader: i32,
        indexes: &[usize],
        batches: &mut [Batch],
        deadline: &Deadline,
    ) -> Result<(), Error> {
        let patience = deadline.at_most(self.client.settings().request_timeout_ms);
        let request = self.request(indexes, batches);
        let acks = self.settings.acks;
        self.client.retry(&patience, |client, deadline| {
            let connection = client.connection(leader, deadline)?;
            let version = connection.version::<ProduceRequest>(9)?;
            let sent = connection.send(&request, version, deadline)?;
            if acks == 0 {
                indexes.iter().for_each(|index| batches[*index].outcome = Some(Ok(-1)));
                return Ok(());
            }
            let answer = connection.receive::<ProduceRequest>(sent, version, deadline)?;
            for topic in &answer.responses {
                for found in &topic.partition_responses {
                    let at = (topic.name.0.as_str(), found.index);
                    let batch = indexes.iter().copied().find(|index| batches[*index].is_at(at));
                    if let Some(index) = batch {
                        batches[index].settle(found.error_code, found.error_message.as_deref(), found.base_offset);
                    }
                }
            }
            Ok(())
        })
    }

    fn request(&self, indexes: &[usize], batches: &[Batch]) -> ProduceRequest {
        let mut topics: BTreeMap<&str, Vec<PartitionProduceData>> = BTreeMap::new();
        for batch in indexes.iter().map(|index| &batches[*index]) {
            let data =
                PartitionProduceData::default().with_index(batch.partition).with_records(Some(batch.bytes.clone()));
            topics.entry(&batch.topic).or_default().push(data);
        }
        let topic =
            |(name, data): (&str, _)| TopicProduceData::default().with_name(topic_name(name)).with_partition_data(data);
        ProduceRequest::default()
            .with_acks(self.settings.acks)
            .with_timeout_ms(i32::try_from(self.client.settings().request_timeout_ms).unwrap_or(i32::MAX))
            .with_topic_data(topics.into_iter().map(topic).collect())
    }

    fn producer_id(&mut self) -> Result<(i64, i16), Error> {
        if let Some(id) = self.id {
            return Ok(id);
        }
        let request = InitProducerIdRequest::default()
            .with_transactional_id(None)
            .with_transaction_timeout_ms(i32::MAX)
            .with_producer_id(WireProducerId(-1))
            .with_producer_epoch(-1);
        let deadline = Deadline::after(self.client.clock(), self.settings.max_block_ms);
        let id = self.client.retry(&deadline, |client, deadline| {
            let answer = client.any(deadline)?.ask(&request, 4, deadline)?;
            Error::check(answer.error_code, None)?;
            Ok((answer.producer_id.0, answer.producer_epoch))
        })?;
        Ok(*self.id.insert(id))
    }

    /// Keyed records go where every Kafka client sends that key, others stay together until the next flush.
    fn partition(&mut self, record: &Outgoing) -> Result<i32, Error> {
        let sticky = self.sticky;
        let count = self.topic(&record.topic)?.partitions.len().max(1);
        let choice = match &record.key {
            Some(key) => u64::from(murmur2(key) & 0x7fff_ffff),
            None => sticky,
        };
        Ok(i32::try_from(choice % count as u64).expect("below the number of partitions"))
    }

    /// What is known of a topic; waits for it, as asking may have created it.
    fn topic(&mut self, name: &str) -> Result<&MetadataResponseTopic, Error> {
        if !self.topics.contains_key(name) {
            let topic = self.wait_for(name)?;
            self.topics.insert(name.to_owned(), topic);
        }
        Ok(&self.topics[name])
    }

    fn wait_for(&mut self, name: &str) -> Result<MetadataResponseTopic, Error> {
        let deadline = Deadline::after(self.client.clock(), self.settings.max_block_ms);
        let asked = [name.to_owned()];
        loop {
            let topics = self.client.metadata(Some(&asked), true)?;
            let Some(topic) = topics.into_iter().next() else {
                return Err(Error::Unsupported { api: "Metadata".to_owned() });
            };
            match Error::check(topic.error_code, None) {
                Ok(()) if !topic.partitions.is_empty() => return Ok(topic),
                Err(error) if !error.is_retriable() && error.code() != Some(ErrorCode::UnknownTopicOrPartition) => {
                    return Err(error);
                }
                _ => {}
            }
            if deadline.has_passed() {
                let ms = self.settings.max_block_ms;
                return Err(Error::TimedOut(format!("Topic {name} not present in metadata after {ms} ms.")));
            }
            self.client.pause(100, &deadline);
        }
    }
}

struct Batch {
    topic: String,
    partition: i32,
    records: Vec<Outgoing>,
    bytes: Bytes,
    outcome: Option<Result<i64, Error>>,
}

impl Batch {
    fn is_at(&self, at: (&str, i32)) -> bool {
        (self.topic.as_str(), self.partition) == at
    }

    /// Takes an answer in, unless it is one after which the batch is sent again.
    fn settle(&mut self, code: i16, message: Option<&str>, base_offset: i64) {
        self.outcome = match Error::check(code, message) {
            Ok(()) => Some(Ok(base_offset)),
            // It came the first time, and only the answer got lost.
            Err(error) if error.code() == Some(ErrorCode::DuplicateSequenceNumber) => Some(Ok(-1)),
            Err(error) if error.is_retriable() || error.code() == Some(ErrorCode::UnknownTopicOrPartition) => None,
            Err(error) => Some(Err(error)),
        };
    }

    fn sent(self) -> Sent {
        let outcome = self.outcome.expect("every batch has its outcome when delivery ends");
        Sent { topic: self.topic, partition: self.partition, records: self.records, outcome }
    }
}

fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

/// The hash by which Kafka's clients choose a partition for a key: MurmurHash2, 32 bits, seed 0x9747b28c.
fn murmur2(key: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ u32::try_from(key.len()).expect("a key is below 4 GiB");
    let mut words = key.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes(word.try_into().expect("four bytes")).wrapping_mul(M);
        k = (k ^ (k >> 24)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    let tail = words.remainder();
    if !tail.is_empty() {
        let mut last = [0; 4];
        last[..tail.len()].copy_from_slice(tail);
        hash = (hash ^ u32::from_le_bytes(last)).wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hashes as Kafka 4.3.1's `Utils.murmur2` gives them.
    #[test]
    fn keys_hash_as_in_kafkas_clients() {
        let vectors: [(&str, i32); 5] = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("abc", 479_470_107),
        ];
        for (key, hash) in vectors {
            assert_eq!(murmur2(key.as_bytes()), hash as u32, "{key}");
        }
    }
}
