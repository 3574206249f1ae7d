//! What an acknowledgement promises while the disk is slow or broken, with a disk whose flushes the test holds or fails.

mod support;

use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

use kafka_protocol::messages as m;
use milena::clock::SystemClock;
use milena::file::ReadAt;
use milena::house::House;
use milena::record::Builder;
use milena::storage::disk::{Disk, DiskFile, RealDisk};
use milena::types::{ProducerEpoch, ProducerId, Sequence, Timestamp};
use support::{Client, TestBroker, batch, produce_request, settings, values};

const NOT_COORDINATOR: i16 = 16;
/// What the gate knows the flush of the whole file system by.
const WHOLE: &str = "the whole file system";
const KAFKA_STORAGE_ERROR: i16 = 56;

#[derive(Clone, Copy, PartialEq)]
enum Flushes {
    Work,
    /// They wait until the gate opens.
    Hold,
    Fail,
}

/// What the flushes of segment files whose path contains a word do.
struct Gate {
    state: Mutex<(Flushes, &'static str)>,
    changed: Condvar,
}

impl Gate {
    fn set(&self, flushes: Flushes, word: &'static str) {
        *self.state.lock().unwrap() = (flushes, word);
        self.changed.notify_all();
    }

    fn pass(&self, path: &str) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        while state.0 == Flushes::Hold && path.contains(state.1) {
            state = self.changed.wait(state).unwrap();
        }
        match state.0 == Flushes::Fail && path.contains(state.1) {
            true => Err(io::Error::other("the test fails this flush")),
            false => Ok(()),
        }
    }
}

struct GatedDisk {
    gate: Arc<Gate>,
}

struct GatedFile {
    file: Arc<dyn DiskFile>,
    gate: Arc<Gate>,
    path: String,
}

impl Disk for GatedDisk {
    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        let file = RealDisk.open(path, create)?;
        Ok(Arc::new(GatedFile { file, gate: self.gate.clone(), path: path.display().to_string() }))
    }
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
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
        self.gate.pass(WHOLE)?;
        RealDisk.sync_all_under(path)
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        RealDisk.lock(path)
    }
    fn space(&self, path: &Path) -> io::Result<(u64, u64)> {
        RealDisk.space(path)
    }
}

impl ReadAt for GatedFile {
    fn read_exact_at(&self, buf: &mut [u8], position: u64) -> io::Result<()> {
        self.file.read_exact_at(buf, position)
    }
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.file.fd()
    }
}

impl DiskFile for GatedFile {
    fn write_all_at(&self, slices: &[io::IoSlice<'_>], position: u64) -> io::Result<()> {
        self.file.write_all_at(slices, position)
    }
    fn preallocate(&self, len: u64) -> io::Result<()> {
        self.file.preallocate(len)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn sync(&self) -> io::Result<()> {
        self.gate.pass(&self.path)?;
        self.file.sync()
    }
}

struct Scene {
    house: House,
    gate: Arc<Gate>,
    _home: tempfile::TempDir,
}

impl Scene {
    async fn start() -> Scene {
        let home = tempfile::tempdir().unwrap();
        let gate = Arc::new(Gate { state: Mutex::new((Flushes::Work, "")), changed: Condvar::new() });
        let disk = Arc::new(GatedDisk { gate: gate.clone() });
        let settings = settings(home.path(), &["milena.durability=flush"]);
        let house = House::start(settings, disk, Arc::new(SystemClock::default())).await.unwrap();
        Scene { house, gate, _home: home }
    }

    async fn connect(&self) -> Client {
        Client::connect(self.house.addresses[0].port()).await
    }
}

/// I2, I7: what is not flushed is neither acknowledged nor shown; an append by acks=1 is answered before.
#[tokio::test(flavor = "multi_thread")]
async fn i7_nobody_reads_what_a_power_cut_could_take_back() {
    let scene = Scene::start().await;
    let mut client = scene.connect().await;
    client.create_topic("t", 1, &[]).await;
    client.produce("t", 0, batch(&[b"first"])).await.unwrap();
    scene.gate.set(Flushes::Hold, "t-0");
    let mut waiting = scene.connect().await;
    waiting.send(9, &produce_request("t", 0, batch(&[b"held"]), -1)).await;
    let written = client.ask(9, produce_request("t", 0, batch(&[b"written"]), 1)).await;
    assert_eq!(written.responses[0].partition_responses[0].error_code, 0);
    let read = client.fetch("t", 0, 0).await;
    assert_eq!((values(&read.records).len(), read.high_watermark), (1, 1));
    scene.gate.set(Flushes::Work, "");
    let held = waiting.answer::<m::ProduceRequest>(9).await;
    assert_eq!(held.responses[0].partition_responses[0].error_code, 0);
    // What was written with acks=1 follows with the next flush; a long poll sees it come.
    let both = client.ask(12, support::fetch_request(&[("t", 0, 2)], 10_000, 1)).await;
    assert_eq!(values(&both.responses[0].partitions[0].records).len(), 1);
    scene.house.stop().await;
}

/// Lesson 11: a retry of a batch that is written and not flushed waits for the flush like the first try did.
#[tokio::test(flavor = "multi_thread")]
async fn lesson_11_a_duplicate_waits_for_the_flush_too() {
    let scene = Scene::start().await;
    let mut client = scene.connect().await;
    client.create_topic("t", 1, &[]).await;
    let mut builder = Builder::new().producer(ProducerId(7), ProducerEpoch(0), Sequence(0));
    builder.push(Timestamp(1), None, Some(b"once"), &[]);
    let once = builder.build().into_bytes();
    scene.gate.set(Flushes::Hold, "t-0");
    let (mut first, mut retry) = (scene.connect().await, scene.connect().await);
    first.send(9, &produce_request("t", 0, once.clone(), 1)).await;
    first.answer::<m::ProduceRequest>(9).await;
    let mut request = produce_request("t", 0, once, -1);
    request.timeout_ms = 200;
    let held = retry.ask(9, request.clone()).await;
    assert_eq!(held.responses[0].partition_responses[0].error_code, 7, "REQUEST_TIMED_OUT while the flush is held");
    scene.gate.set(Flushes::Work, "");
    request.timeout_ms = 10_000;
    let known = &retry.ask(9, request).await.responses[0].partition_responses[0];
    assert_eq!((known.error_code, known.base_offset), (0, 0));
    assert_eq!(values(&client.fetch("t", 0, 0).await.records).len(), 1);
    scene.house.stop().await;
}

/// I17, I25: a failed flush is final for its partition, nothing of it is acknowledged afterwards, and others go on.
#[tokio::test(flavor = "multi_thread")]
async fn i17_a_failed_flush_is_final_and_i25_others_go_on() {
    let scene = Scene::start().await;
    let mut client = scene.connect().await;
    client.create_topic("broken", 1, &[]).await;
    client.create_topic("well", 1, &[]).await;
    client.produce("broken", 0, batch(&[b"kept"])).await.unwrap();
    scene.gate.set(Flushes::Fail, "broken-0");
    assert_eq!(client.produce("broken", 0, batch(&[b"lost"])).await, Err(KAFKA_STORAGE_ERROR));
    scene.gate.set(Flushes::Work, "");
    // A later flush that succeeds is not believed.
    assert_eq!(client.produce("broken", 0, batch(&[b"late"])).await, Err(KAFKA_STORAGE_ERROR));
    assert_eq!(values(&client.fetch("broken", 0, 0).await.records), [(0, b"kept".to_vec())]);
    assert_eq!(client.produce("well", 0, batch(&[b"fine"])).await, Ok(0));
    let metrics = &scene.house.broker.metrics;
    assert_eq!(metrics.flush_failures.get(), 1);
    scene.house.stop().await;
}

/// I17: the kernel tells of a failed write once. After a flush of the whole file system has failed, every file is asked itself:
/// what was written while that flush ran may have been lost in it.
#[tokio::test(flavor = "multi_thread")]
async fn i17_after_a_failed_flush_of_all_each_file_is_asked() {
    let scene = Scene::start().await;
    let mut client = scene.connect().await;
    let (first, second) = (["a", "b", "c", "d", "e", "f"], ["g", "h", "i", "j", "k", "l"]);
    for name in first.iter().chain(&second) {
        client.create_topic(name, 1, &[]).await;
        // Then a flush is of one file.
        client.produce(name, 0, batch(&[b"kept"])).await.unwrap();
    }
    client.create_topic("z", 1, &[]).await;
    assert_eq!(in_one_round(&scene, &first, WHOLE).await, [KAFKA_STORAGE_ERROR; 6]);
    assert_eq!(in_one_round(&scene, &second, "h-0").await, [0, KAFKA_STORAGE_ERROR, 0, 0, 0, 0]);
    scene.house.stop().await;
}

/// Writes to all of these topics, whose flushes are one round in which those of `fails` fail.
async fn in_one_round(scene: &Scene, names: &[&str], fails: &'static str) -> Vec<i16> {
    let metrics = &scene.house.broker.metrics;
    let mut client = scene.connect().await;
    // The round before is held up until everything is written.
    let (flushes, batches) = (metrics.flushes.get(), metrics.batches_in.get());
    scene.gate.set(Flushes::Hold, "z-0");
    client.ask(9, produce_request("z", 0, batch(&[b"first"]), 1)).await;
    until(|| metrics.flushes.get() > flushes).await;
    let mut request = produce_request(names[0], 0, batch(&[b"more"]), -1);
    for name in &names[1..] {
        request.topic_data.extend(produce_request(name, 0, batch(&[b"more"]), -1).topic_data);
    }
    client.send(9, &request).await;
    until(|| metrics.batches_in.get() == batches + 1 + names.len() as u64).await;
    scene.gate.set(Flushes::Fail, fails);
    let answer = client.answer::<m::ProduceRequest>(9).await;
    answer.responses.iter().map(|topic| topic.partition_responses[0].error_code).collect()
}

async fn until(holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(support::PATIENCE, wait).await.expect("it comes to that");
}

/// I62, I111, lesson 34: a group whose log cannot be flushed says so, to those who wait and to those who come later; nobody is left
/// without an answer.
#[tokio::test(flavor = "multi_thread")]
async fn i62_a_group_whose_log_fails_answers_with_an_error() {
    let scene = Scene::start().await;
    let mut client = scene.connect().await;
    client.create_topic("t", 1, &[]).await;
    assert_eq!(client.ask(8, support::commit_request("g", "t", 1)).await.topics[0].partitions[0].error_code, 0);
    scene.gate.set(Flushes::Fail, "__consumer_offsets-");
    let lost = client.ask(8, support::commit_request("g", "t", 2)).await;
    assert_eq!(lost.topics[0].partitions[0].error_code, NOT_COORDINATOR);
    scene.gate.set(Flushes::Work, "");
    for _ in 0..2 {
        let late = client.ask(8, support::commit_request("g", "t", 3)).await;
        assert_eq!(late.topics[0].partitions[0].error_code, NOT_COORDINATOR);
        let group =
            m::offset_fetch_request::OffsetFetchRequestGroup::default().with_group_id(support::text("g").into());
        let fetched = client.ask(8, m::OffsetFetchRequest::default().with_groups(vec![group.with_topics(None)])).await;
        assert_eq!(fetched.groups[0].error_code, NOT_COORDINATOR);
    }
    scene.house.stop().await;
}

/// I10, I21: a partition that is offline keeps what the checkpoints say of it, however often the broker starts: forgotten,
/// the next recovery would take what is left for all there ever was.
#[tokio::test(flavor = "multi_thread")]
async fn i10_an_offline_partition_stays_offline_over_restarts() {
    let home = tempfile::tempdir().unwrap();
    let broker = TestBroker::at(home.path(), &[]).await;
    let mut client = broker.connect().await;
    client.create_topic("short", 1, &[]).await;
    client.create_topic("well", 1, &[]).await;
    for value in [&b"one"[..], b"two", b"three"] {
        client.produce("short", 0, batch(&[value])).await.unwrap();
        client.produce("well", 0, batch(&[value])).await.unwrap();
    }
    broker.stop().await;
    let log = home.path().join("short-0/00000000000000000000.log");
    let file = std::fs::OpenOptions::new().write(true).open(log).unwrap();
    file.set_len(file.metadata().unwrap().len() - 10).unwrap();
    for _ in 0..3 {
        let broker = TestBroker::at(home.path(), &[]).await;
        let mut client = broker.connect().await;
        assert_eq!(client.fetch("short", 0, 0).await.error_code, KAFKA_STORAGE_ERROR);
        assert_eq!(client.produce("short", 0, batch(&[b"four"])).await, Err(KAFKA_STORAGE_ERROR));
        client.produce("well", 0, batch(&[b"more"])).await.unwrap();
        broker.stop().await;
    }
}

/// I17, I25: when the log of cluster metadata cannot be flushed nothing can be created any more, and what there is goes on.
#[tokio::test(flavor = "multi_thread")]
async fn i17_without_the_metadata_log_records_go_on_and_changes_are_refused() {
    let scene = Scene::start().await;
    let mut client = scene.connect().await;
    client.create_topic("t", 1, &[]).await;
    scene.gate.set(Flushes::Fail, "__cluster_metadata-0");
    let wanted = m::create_topics_request::CreatableTopic::default()
        .with_name(support::topic("later"))
        .with_num_partitions(1)
        .with_replication_factor(1);
    let request = m::CreateTopicsRequest::default().with_topics(vec![wanted]).with_timeout_ms(5_000);
    assert_ne!(client.ask(5, request.clone()).await.topics[0].error_code, 0);
    scene.gate.set(Flushes::Work, "");
    assert_ne!(client.ask(5, request).await.topics[0].error_code, 0, "a later flush is not believed");
    assert_eq!(client.produce("t", 0, batch(&[b"goes on"])).await, Ok(0));
    assert_eq!(values(&client.fetch("t", 0, 0).await.records).len(), 1);
    scene.house.stop().await;
}
