//! A data directory worth damaging, as a clean stop and as a kill left it, and what is in it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages as m;
use milena::clock::SystemClock;
use milena::config::{Settings, Sources};
use milena::house::House;
use milena::record::{Builder, Header, checksum_matches};
use milena::types::{ProducerEpoch, ProducerId, Sequence, Timestamp};

use crate::disk::MemoryDisk;
use crate::support::{Client, text, topic};

pub const DATA: &str = "/data";
/// Topics and their partitions.
pub const TOPICS: &[(&str, i32)] = &[("plain", 2), ("counted", 1), ("compacted", 1), ("late", 1)];
pub const GROUPS: &[&str] = &["readers", "others"];
pub const PRODUCER_RECORDS: i32 = 3;
/// The time that stands for the start of a log.
const EARLIEST: i64 = -2;
const ROUNDS: i64 = 24;
/// Several segments for a few records.
const SMALL: (&str, &str) = ("internal.segment.bytes", "1000");

pub struct Image {
    pub disk: MemoryDisk,
    pub truth: Truth,
}

/// Offset and value of each record.
pub type Records = Vec<(i64, Vec<u8>)>;

/// What a directory holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Truth {
    /// By topic and partition, offset and value.
    pub records: BTreeMap<(&'static str, i32), Records>,
    /// By group and partition of `plain`.
    pub committed: BTreeMap<(&'static str, i32), i64>,
    /// Time and the offset that is found for it, in `plain`.
    pub times: BTreeMap<(i32, i64), i64>,
}

pub struct Ground {
    pub images: Vec<Image>,
    /// The same directory some time before.
    pub older: MemoryDisk,
    /// The batch that the idempotent producer wrote last, and where it is.
    pub last_batch: (Bytes, i64),
}

/// A broker on a disk in memory.
pub async fn start(disk: &Arc<MemoryDisk>) -> Result<House, String> {
    let overrides = [
        "listeners=PLAINTEXT://127.0.0.1:0",
        "log.dirs=/data",
        "log.index.interval.bytes=200",
        "offsets.topic.num.partitions=2",
        "log.cleaner.backoff.ms=20",
        "log.cleaner.min.cleanable.ratio=0.01",
        "metadata.log.max.record.bytes.between.snapshots=1",
        "log.retention.check.interval.ms=50",
        "log.retention.ms=-1",
        "log.initial.task.delay.ms=0",
    ];
    let overrides = overrides.map(str::to_owned).to_vec();
    let settings = Settings::load(&Sources { overrides, host_name: "localhost".into(), ..Sources::default() });
    let settings = settings.expect("the settings of the test are good");
    House::start(settings, disk.clone(), Arc::new(SystemClock::default())).await.map_err(|error| error.to_string())
}

pub async fn connect(house: &House) -> Client {
    Client::connect(house.addresses[0].port()).await
}

impl Ground {
    pub async fn make() -> Ground {
        let disk = Arc::new(MemoryDisk::default());
        let house = start(&disk).await.expect("a new directory");
        let mut client = connect(&house).await;
        for (name, partitions) in &TOPICS[..3] {
            let policy = if *name == "compacted" { "compact" } else { "delete" };
            client.create_topic(name, *partitions, &[SMALL, ("cleanup.policy", policy)]).await;
        }
        for round in 0..ROUNDS / 2 {
            work(&mut client, round).await;
        }
        let older = disk.copy();
        client.create_topic("late", 1, &[SMALL]).await;
        let mut last_batch = (Bytes::new(), -1);
        for round in ROUNDS / 2..ROUNDS {
            last_batch = work(&mut client, round).await;
            client.produce("late", 0, batch(round, "late")).await.expect("a record");
        }
        wait_until_compacted(&mut client).await;
        let truth = Truth::of(&mut client).await.expect("an undamaged broker tells everything");
        assert!(truth.records.values().all(|records| records.len() > 5), "{truth:?}");
        let killed = Image { disk: disk.copy(), truth: truth.clone() };
        drop(client);
        house.stop().await;
        let ground = Ground { images: vec![Image { disk: disk.copy(), truth }, killed], older, last_batch };
        assert!(ground.images[0].disk.paths().len() > 60, "a directory worth damaging");
        ground
    }
}

fn batch(round: i64, name: &str) -> Bytes {
    let mut builder = Builder::new();
    for index in 0..3 {
        let value = format!("{name} {round}/{index}");
        builder.push(Timestamp(10_000 + 100 * round + index), None, Some(value.as_bytes()), &[]);
    }
    builder.build().into_bytes()
}

/// A little of everything; what the idempotent producer wrote, and where.
async fn work(client: &mut Client, round: i64) -> (Bytes, i64) {
    for partition in 0..2 {
        client.produce("plain", partition, batch(round, "plain")).await.expect("a record");
    }
    let producer =
        Builder::new().producer(ProducerId(4_000), ProducerEpoch(0), Sequence(round as i32 * PRODUCER_RECORDS));
    let mut builder = producer;
    for index in 0..PRODUCER_RECORDS {
        builder.push(Timestamp(5), None, Some(format!("counted {round}/{index}").as_bytes()), &[]);
    }
    let counted = builder.build().into_bytes();
    let base = client.produce("counted", 0, counted.clone()).await.expect("a batch");
    let mut builder = Builder::new();
    for key in 0..3 {
        let value = format!("compacted {round} {}", "x".repeat(60));
        builder.push(Timestamp(5), Some(format!("key {}", (key + round) % 7).as_bytes()), Some(value.as_bytes()), &[]);
    }
    client.produce("compacted", 0, builder.build().into_bytes()).await.expect("keyed records");
    for group in GROUPS {
        commit(client, group, round).await;
    }
    (counted, base)
}

async fn commit(client: &mut Client, group: &str, offset: i64) {
    let partitions = (0..2).map(|partition| {
        m::offset_commit_request::OffsetCommitRequestPartition::default()
            .with_partition_index(partition)
            .with_committed_offset(offset)
            .with_committed_metadata(Some(text("")))
    });
    let plain = m::offset_commit_request::OffsetCommitRequestTopic::default()
        .with_name(topic("plain"))
        .with_partitions(partitions.collect());
    let request = m::OffsetCommitRequest::default()
        .with_group_id(m::GroupId(text(group)))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![plain]);
    let answer = client.ask(7, request).await;
    assert!(answer.topics.iter().flat_map(|topic| &topic.partitions).all(|partition| partition.error_code == 0));
}

/// Waits for the cleaner to have taken most of what is superseded, and to have come to rest.
async fn wait_until_compacted(client: &mut Client) {
    let mut before = usize::MAX;
    for _ in 0..600 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = read(client, "compacted", 0).await.0.len();
        if now == before && now < 40 {
            return;
        }
        before = now;
    }
    panic!("{before} records were left");
}

/// Why a partition cannot be read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unread {
    /// The broker answers with an error code.
    Code(i16),
    /// What came is no good batch, which every client sees by its checksum, and takes none of it.
    Checksum,
}

/// Everything in a partition as far as it goes, and why it goes no further.
pub async fn read(client: &mut Client, name: &str, partition: i32) -> (Records, Option<Unread>) {
    let (mut found, mut at) = (Vec::new(), 0);
    for _ in 0..1_000 {
        let answer = client.fetch(name, partition, at).await;
        match answer.error_code {
            0 => {}
            // The log starts later.
            1 if at == 0 => match offset_for_time(client, name, partition, EARLIEST).await {
                Ok(start) if start > 0 => {
                    at = start;
                    continue;
                }
                _ => return (found, Some(Unread::Code(1))),
            },
            code => return (found, Some(Unread::Code(code))),
        }
        let mut rest = answer.records.unwrap_or_default();
        if rest.is_empty() {
            return (found, None);
        }
        while !rest.is_empty() {
            let header = Header::read(&rest).ok().filter(|header| header.size() <= rest.len());
            let Some(header) = header.filter(|header| checksum_matches(&rest[..header.size()])) else {
                return (found, Some(Unread::Checksum));
            };
            let batch = rest.split_to(header.size());
            let open = milena::record::open(&batch, &Default::default()).expect("its checksum matches");
            for record in open.records().map(|record| record.expect("its checksum matches")) {
                if record.offset.0 >= at {
                    found.push((record.offset.0, record.value.unwrap_or_default().to_vec()));
                }
            }
            at = at.max(header.next_offset().0);
        }
    }
    panic!("{name}-{partition} has no end");
}

impl Truth {
    /// Everything a broker tells; the first error code it answers with.
    pub async fn of(client: &mut Client) -> Result<Truth, String> {
        let mut truth = Truth::default();
        for (name, partitions) in TOPICS {
            for partition in 0..*partitions {
                let (records, unread) = read(client, name, partition).await;
                if let Some(unread) = unread {
                    return Err(format!("{name}-{partition}: {unread:?}"));
                }
                truth.records.insert((name, partition), records);
            }
        }
        for group in GROUPS {
            for (partition, offset) in
                committed(client, group).await.map_err(|code| format!("offsets of {group}: {code}"))?
            {
                truth.committed.insert((group, partition), offset);
            }
        }
        for partition in 0..2 {
            for time in [0, 10_000, 10_501, 11_200, 12_299, 99_999] {
                let found = offset_for_time(client, "plain", partition, time).await;
                truth
                    .times
                    .insert((partition, time), found.map_err(|code| format!("times of plain-{partition}: {code}"))?);
            }
        }
        Ok(truth)
    }
}

pub async fn committed(client: &mut Client, group: &str) -> Result<Vec<(i32, i64)>, i16> {
    let plain = m::offset_fetch_request::OffsetFetchRequestTopic::default()
        .with_name(topic("plain"))
        .with_partition_indexes(vec![0, 1]);
    let request =
        m::OffsetFetchRequest::default().with_group_id(m::GroupId(text(group))).with_topics(Some(vec![plain]));
    let answer = client.ask(6, request).await;
    if answer.error_code != 0 {
        return Err(answer.error_code);
    }
    let mut found = Vec::new();
    for partition in answer.topics.iter().flat_map(|topic| &topic.partitions) {
        if partition.error_code != 0 {
            return Err(partition.error_code);
        }
        found.push((partition.partition_index, partition.committed_offset));
    }
    Ok(found)
}

pub async fn offset_for_time(client: &mut Client, name: &str, partition: i32, time: i64) -> Result<i64, i16> {
    let asked =
        m::list_offsets_request::ListOffsetsPartition::default().with_partition_index(partition).with_timestamp(time);
    let plain =
        m::list_offsets_request::ListOffsetsTopic::default().with_name(topic(name)).with_partitions(vec![asked]);
    let request = m::ListOffsetsRequest::default().with_replica_id(m::BrokerId(-1)).with_topics(vec![plain]);
    let answer = client.ask(5, request).await;
    let found = &answer.topics[0].partitions[0];
    if found.error_code == 0 { Ok(found.offset) } else { Err(found.error_code) }
}
