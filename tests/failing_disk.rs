//! What clients see of a disk that is full or loses bits: nothing is acknowledged that is not kept, reads go on, and when
//! the disk is well again so is the broker, without a restart.

#![allow(clippy::disallowed_methods)]

mod support;

use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kafka_protocol::messages as m;
use milena::clock::SystemClock;
use milena::file::ReadAt;
use milena::house::House;
use milena::storage::disk::{Disk, DiskFile, RealDisk};
use support::{Client, PATIENCE, TestBroker, batch, settings, text, topic, values};

const KAFKA_STORAGE_ERROR: i16 = 56;
const CORRUPT_MESSAGE: i16 = 2;

/// A real disk that can be full: then nothing is written and no file is made.
struct SmallDisk {
    full: Arc<AtomicBool>,
}

struct SmallFile {
    file: Arc<dyn DiskFile>,
    full: Arc<AtomicBool>,
}

fn if_room(full: &AtomicBool) -> io::Result<()> {
    if full.load(Ordering::SeqCst) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
}

impl Disk for SmallDisk {
    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        if create && !path.exists() {
            if_room(&self.full)?;
        }
        Ok(Arc::new(SmallFile { file: RealDisk.open(path, create)?, full: self.full.clone() }))
    }
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        if_room(&self.full)?;
        RealDisk.create_dir_all(path)
    }
    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(path)
    }
    fn exists(&self, path: &Path) -> bool {
        RealDisk.exists(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove_file(path)
    }
    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove_dir_all(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.sync_dir(path)
    }
    fn sync_all_under(&self, path: &Path) -> io::Result<()> {
        RealDisk.sync_all_under(path)
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        RealDisk.lock(path)
    }
    fn space(&self, path: &Path) -> io::Result<(u64, u64)> {
        RealDisk.space(path)
    }
}

impl ReadAt for SmallFile {
    fn read_exact_at(&self, buf: &mut [u8], position: u64) -> io::Result<()> {
        self.file.read_exact_at(buf, position)
    }
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.file.fd()
    }
}

impl DiskFile for SmallFile {
    fn write_all_at(&self, slices: &[IoSlice<'_>], position: u64) -> io::Result<()> {
        if let Err(error) = if_room(&self.full) {
            // As much as fits into the last block.
            let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).take(10).collect();
            let _ = self.file.write_all_at(&[IoSlice::new(&bytes)], position);
            return Err(error);
        }
        self.file.write_all_at(slices, position)
    }
    fn preallocate(&self, len: u64) -> io::Result<()> {
        if_room(&self.full)?;
        self.file.preallocate(len)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
}

async fn commit(client: &mut Client, offset: i64) -> i16 {
    let partition = m::offset_commit_request::OffsetCommitRequestPartition::default().with_committed_offset(offset);
    let topics = m::offset_commit_request::OffsetCommitRequestTopic::default()
        .with_name(topic("t"))
        .with_partitions(vec![partition]);
    let request = m::OffsetCommitRequest::default()
        .with_group_id(m::GroupId(text("g")))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![topics]);
    client.ask(8, request).await.topics[0].partitions[0].error_code
}

async fn committed(client: &mut Client) -> i64 {
    let topics = m::offset_fetch_request::OffsetFetchRequestTopics::default()
        .with_name(topic("t"))
        .with_partition_indexes(vec![0]);
    let group = m::offset_fetch_request::OffsetFetchRequestGroup::default()
        .with_group_id(m::GroupId(text("g")))
        .with_topics(Some(vec![topics]));
    let answer = client.ask(8, m::OffsetFetchRequest::default().with_groups(vec![group])).await;
    answer.groups[0].topics[0].partitions[0].committed_offset
}

async fn create(client: &mut Client, name: &str) -> i16 {
    let wanted = m::create_topics_request::CreatableTopic::default()
        .with_name(topic(name))
        .with_num_partitions(1)
        .with_replication_factor(1);
    let request = m::CreateTopicsRequest::default().with_topics(vec![wanted]).with_timeout_ms(5_000);
    client.ask(5, request).await.topics[0].error_code
}

/// I18: records, offsets and topics are refused while the disk is full, what is there is read, and all is taken again.
#[tokio::test(flavor = "multi_thread")]
async fn i18_a_full_disk_is_told_and_with_room_again_all_goes_on() {
    let home = tempfile::tempdir().unwrap();
    let full = Arc::new(AtomicBool::new(false));
    let disk = Arc::new(SmallDisk { full: full.clone() });
    let house = House::start(settings(home.path(), &[]), disk, Arc::new(SystemClock::default())).await.unwrap();
    let mut client = Client::connect(house.addresses[0].port()).await;
    client.create_topic("t", 2, &[]).await;
    client.produce("t", 0, batch(&[b"first"])).await.unwrap();
    assert_eq!(commit(&mut client, 1).await, 0);
    full.store(true, Ordering::SeqCst);
    for _ in 0..20 {
        assert_eq!(client.produce("t", 0, batch(&[b"refused"])).await, Err(KAFKA_STORAGE_ERROR));
        // A partition that has no files yet.
        assert_eq!(client.produce("t", 1, batch(&[b"refused"])).await, Err(KAFKA_STORAGE_ERROR));
        assert_ne!(commit(&mut client, 2).await, 0);
    }
    assert_ne!(create(&mut client, "refused").await, 0);
    let read = client.fetch("t", 0, 0).await;
    assert_eq!((values(&read.records).len(), read.high_watermark), (1, 1));
    assert!(house.broker.metrics.append_failures.get() >= 40);
    full.store(false, Ordering::SeqCst);
    assert_eq!(committed(&mut client).await, 1, "what was refused has left no trace");
    assert_eq!(client.produce("t", 0, batch(&[b"second"])).await, Ok(1));
    assert_eq!(client.produce("t", 1, batch(&[b"first"])).await, Ok(0));
    assert_eq!(commit(&mut client, 2).await, 0);
    assert_eq!(committed(&mut client).await, 2);
    assert_eq!(create(&mut client, "later").await, 0);
    house.stop().await;
    // All of it is there after a restart, and nothing else.
    let again = TestBroker::at(home.path(), &[]).await;
    let mut client = again.connect().await;
    let read = client.fetch("t", 0, 0).await;
    assert_eq!(values(&read.records), [(0, b"first".to_vec()), (1, b"second".to_vec())]);
    assert_eq!(committed(&mut client).await, 2);
    again.stop().await;
}

/// I26, I9: the broker finds the flipped bit by itself, counts it, and answers CORRUPT_MESSAGE for what it took and nothing
/// else.
#[tokio::test(flavor = "multi_thread")]
async fn i26_a_flipped_bit_is_found_and_never_served() {
    let overrides =
        ["milena.scrub.interval.ms=50", "milena.scrub.bytes.per.second=100000000", "log.initial.task.delay.ms=0"];
    let broker = TestBroker::with(&overrides).await;
    let mut client = broker.connect().await;
    client.create_topic("t", 1, &[("segment.bytes", "1048576")]).await;
    for _ in 0..30 {
        client.produce("t", 0, batch(&[&[9; 100_000]])).await.unwrap();
    }
    let metrics = &broker.house.broker.metrics;
    wait_for(|| metrics.scrub_passes.get() >= 2).await;
    assert_eq!(metrics.damaged_batches.get(), 0);
    flip(&broker.directory.join("t-0/00000000000000000000.log"), 250_000);
    wait_for(|| metrics.damaged_batches.get() > 0).await;
    let mut served = Vec::new();
    for offset in 0..30 {
        let read = client.fetch("t", 0, offset).await;
        match read.error_code {
            0 => served.extend(values(&read.records).first().map(|record| record.0)),
            code => assert_eq!((code, offset), (CORRUPT_MESSAGE, 2)),
        }
    }
    let all_but_the_third: Vec<i64> = (0..30).filter(|offset| *offset != 2).collect();
    assert_eq!(served, all_but_the_third);
    client.produce("t", 0, batch(&[b"goes on"])).await.unwrap();
    wait_for(|| metrics.scrub_passes.get() >= 8).await;
    assert_eq!(metrics.damaged_batches.get(), 1, "it is reported once");
    broker.stop().await;
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 4;
    std::fs::write(path, bytes).unwrap();
}

async fn wait_for(done: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "it was waited for in vain");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
