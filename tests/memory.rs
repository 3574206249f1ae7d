//! I113: memory stays under its ceiling, whatever clients do; who asks for more is slowed down, and nobody is forgotten.

#![allow(clippy::disallowed_methods)]

mod support;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::messages as m;
use support::{Client, PATIENCE, TestBroker, batch, fetch_request, frame, produce_request, values};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const MIB: usize = 1 << 20;

/// The start of a Produce request that says it is `declared` bytes long, and `sent` bytes of it.
fn announcement(declared: usize, sent: usize) -> Vec<u8> {
    let mut bytes = (declared as i32).to_be_bytes().to_vec();
    bytes.extend_from_slice(&[0, 0, 0, 9, 0, 0, 0, 1]);
    bytes.resize(sent, 0);
    bytes
}

/// Connections that each announce a request and send only the beginning of it.
async fn announcers(port: u16, count: usize, declared: usize, sent: usize) -> Vec<TcpStream> {
    let bytes = announcement(declared, sent);
    let mut streams = Vec::new();
    for _ in 0..count {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        // What does not fit into the socket's buffers is not sent: the broker may not be reading.
        let _ = tokio::time::timeout(Duration::from_millis(20), stream.write_all(&bytes)).await;
        streams.push(stream);
    }
    streams
}

async fn produce_and_fetch(client: &mut Client, topic: &str) {
    let produced = client.ask(9, produce_request(topic, 0, batch(&[&[7; 300_000]]), -1)).await;
    assert_eq!(produced.responses[0].partition_responses[0].error_code, 0);
    let offset = produced.responses[0].partition_responses[0].base_offset;
    let fetched = client.ask(12, fetch_request(&[(topic, 0, offset)], 0, 1)).await;
    assert_eq!(fetched.responses[0].partitions[0].error_code, 0);
}

/// Hostile announcements: what they send counts, not what they say, and they do not keep others out.
#[tokio::test(flavor = "multi_thread")]
async fn i113_announcements_take_what_was_sent_and_others_go_on() {
    let broker = TestBroker::with(&["milena.memory.max.bytes=50331648"]).await;
    let mut client = broker.connect().await;
    client.create_topic("t", 1, &[]).await;
    let shares = broker.house.broker.settings.memory;
    let hostile = announcers(broker.port(), 60, 4 * MIB, 200_000).await;
    let line = &broker.house.memory.large_requests;
    assert!(line.held() <= shares.max_request_bytes(), "{} of {}", line.held(), shares.max_request_bytes());
    let start = Instant::now();
    for _ in 0..5 {
        produce_and_fetch(&mut client, "t").await;
        assert!(line.held() <= shares.max_request_bytes());
    }
    assert!(start.elapsed() < PATIENCE);
    drop(hostile);
    broker.stop().await;
}

/// More of them than the first reads have room for do not keep small requests out either.
#[tokio::test(flavor = "multi_thread")]
async fn i113_beginnings_of_requests_do_not_use_up_the_first_reads() {
    let broker = TestBroker::with(&["milena.memory.max.bytes=33554432"]).await;
    let room = broker.house.broker.settings.memory.first_reads / (16 << 10);
    let hostile = announcers(broker.port(), 2 * room, 1000, 100).await;
    assert!(broker.house.memory.first_reads.held() <= room * (16 << 10));
    let mut client = broker.connect().await;
    client.ask(3, m::ApiVersionsRequest::default()).await;
    drop(hostile);
    broker.stop().await;
}

/// A request that has no room waits for it; when there is room again it is read and answered.
#[tokio::test(flavor = "multi_thread")]
async fn i113_large_requests_queue_for_room_and_all_are_answered() {
    let broker = TestBroker::with(&["milena.memory.max.bytes=33554432"]).await;
    let mut client = broker.connect().await;
    client.create_topic("t", 1, &[]).await;
    let port = broker.port();
    let mut tasks = Vec::new();
    for _ in 0..40 {
        tasks.push(tokio::spawn(async move {
            let mut client = Client::connect(port).await;
            for _ in 0..5 {
                let produced = client.ask(9, produce_request("t", 0, batch(&[&[1; 900_000]]), -1)).await;
                assert_eq!(produced.responses[0].partition_responses[0].error_code, 0);
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let (memory, deadline) = (&broker.house.memory, Instant::now() + PATIENCE);
    while memory.large_requests.held() + memory.answers.held() > 0 {
        assert!(Instant::now() < deadline, "memory is held by connections that do nothing");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    broker.stop().await;
}

/// A client that waits for its quota is not read. What it had sent of a next request must not keep the memory meanwhile that
/// others wait for: for them, it is read again.
#[tokio::test(flavor = "multi_thread")]
async fn i113_who_waits_for_a_quota_keeps_no_memory_from_others() {
    use m::alter_client_quotas_request::{EntityData, EntryData, OpData};
    let settings = ["milena.memory.max.bytes=50331648", "quota.window.num=2", "quota.window.size.seconds=1000"];
    let broker = TestBroker::with(&settings).await;
    let mut client = broker.connect().await;
    client.create_topic("t", 1, &[]).await;
    let entity = EntityData::default()
        .with_entity_type(support::text("client-id"))
        .with_entity_name(Some(support::text("evil")));
    let op = OpData::default().with_key(support::text("producer_byte_rate")).with_value(1.0);
    let entry = EntryData::default().with_entity(vec![entity]).with_ops(vec![op]);
    let answer = client.ask(1, m::AlterClientQuotasRequest::default().with_entries(vec![entry])).await;
    assert_eq!(answer.entries[0].error_code, 0);

    // Of another client id; while the first request is being flushed, the beginning of the next one is read.
    let mut bytes = frame(9, 1, &produce_request("t", 0, batch(&[&[7; 2_000]]), -1)).to_vec();
    let name = bytes.windows(4).position(|window| window == b"test").expect("the client id");
    bytes[name..name + 4].copy_from_slice(b"evil");
    bytes.extend(announcement(4 * MIB, 200_000));
    let mut muted = Vec::new();
    for _ in 0..40 {
        let mut stream = TcpStream::connect(("127.0.0.1", broker.port())).await.unwrap();
        let _ = tokio::time::timeout(Duration::from_millis(20), stream.write_all(&bytes)).await;
        muted.push(stream);
    }
    for _ in 0..3 {
        produce_and_fetch(&mut client, "t").await;
    }
    assert!(broker.house.broker.metrics.quota_waits.get() > 0);
    drop(muted);
    broker.stop().await;
}

/// A reader that takes nothing holds no records in memory, and of other answers no more than their share.
#[tokio::test(flavor = "multi_thread")]
async fn i113_slow_readers_hold_their_share_and_no_records() {
    let broker = TestBroker::with(&["milena.memory.max.bytes=50331648"]).await;
    let mut client = broker.connect().await;
    client.create_topic("t", 1, &[]).await;
    for _ in 0..20 {
        produce_and_fetch(&mut client, "t").await;
    }
    let before = resident_bytes("self");
    let mut slow = Vec::new();
    for _ in 0..100 {
        let mut stream = TcpStream::connect(("127.0.0.1", broker.port())).await.unwrap();
        for id in 0..50 {
            stream.write_all(&frame(12, id, &fetch_request(&[("t", 0, 0)], 0, 1))).await.unwrap();
        }
        slow.push(stream);
    }
    produce_and_fetch(&mut client, "t").await;
    let grown = resident_bytes("self").saturating_sub(before);
    assert!(grown < 24 * MIB, "100 readers that take nothing take {grown} bytes");
    // All of it is still there for those who begin to read.
    for stream in &mut slow[..5] {
        let mut len = [0; 4];
        stream.read_exact(&mut len).await.unwrap();
        let mut answer = vec![0; i32::from_be_bytes(len) as usize];
        stream.read_exact(&mut answer).await.unwrap();
    }
    drop(slow);
    broker.stop().await;
}

fn resident_bytes(process: &str) -> usize {
    status_bytes(process, "VmRSS:")
}

fn status_bytes(process: &str, field: &str) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<usize>().unwrap() << 10
}

// ---- the program itself ---------------------------------------------------------------------------------------------

struct Program {
    child: Child,
    port: u16,
    _home: tempfile::TempDir,
}

impl Program {
    fn start(overrides: &[&str]) -> Program {
        Program::run(Command::new(env!("CARGO_BIN_EXE_milena")), overrides)
    }

    /// With so many files and sockets and no more.
    fn with_descriptors(count: usize, overrides: &[&str]) -> Program {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {count}; exec \"$@\""), "sh", env!("CARGO_BIN_EXE_milena")]);
        Program::run(command, overrides)
    }

    fn run(mut command: Command, overrides: &[&str]) -> Program {
        let home = tempfile::tempdir().unwrap();
        let data = format!("log.dirs={}", home.path().join("data").display());
        for setting in ["listeners=PLAINTEXT://127.0.0.1:0", &data].iter().chain(overrides) {
            command.args(["--override", setting]);
        }
        let mut child = command.current_dir(Path::new(home.path())).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = lines.by_ref().map(Result::unwrap).find(|line| line.contains("listening on")).expect("it starts");
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| println!("{line}")));
        let port = line.rsplit(':').next().unwrap().trim().parse().unwrap();
        Program { child, port, _home: home }
    }

    fn resident(&self, field: &str) -> usize {
        status_bytes(&self.child.id().to_string(), field)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program with a ceiling of 96 MiB, announcements of 100 MiB, readers that take nothing, and honest clients among them.
#[tokio::test(flavor = "multi_thread")]
async fn i113_the_program_stays_under_96_mib() {
    let program = Program::start(&["milena.memory.max.bytes=100663296"]);
    let mut client = Client::connect(program.port).await;
    client.create_topic("t", 4, &[]).await;
    let hostile = announcers(program.port, 300, 12 * MIB, 100_000).await;
    // More than may be announced at all: those are let go at once.
    let refused = announcers(program.port, 700, 100 * MIB, 64).await;
    let mut slow = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(("127.0.0.1", program.port)).await.unwrap();
        for id in 0..20 {
            let _ = stream.write_all(&frame(12, id, &fetch_request(&[("t", 0, 0)], 0, 1))).await;
        }
        for id in 0..200 {
            let all = m::MetadataRequest::default().with_topics(None);
            let _ = stream.write_all(&frame(9, id, &all)).await;
        }
        slow.push(stream);
    }
    let port = program.port;
    let honest = (0..8).map(|_| {
        tokio::spawn(async move {
            let mut client = Client::connect(port).await;
            for _ in 0..10 {
                produce_and_fetch(&mut client, "t").await;
            }
        })
    });
    for task in honest.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let peak = program.resident("VmHWM:");
    println!("at most {} MiB resident under hostile load", peak >> 20);
    assert!(peak < 96 * MIB, "{peak} bytes were resident");
    drop((hostile, refused, slow));
}

/// 200 connections with a request of 1 MiB each at one time: ten seconds later the memory is back.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_burst_the_memory_is_given_back() {
    let program = Program::start(&[]);
    let mut client = Client::connect(program.port).await;
    client.create_topic("t", 4, &[("max.message.bytes", "2097152")]).await;
    let port = program.port;
    let body = Bytes::from(vec![5u8; 1_000_000]);
    let clients = (0..200).map(|index| {
        let body = body.clone();
        tokio::spawn(async move {
            let mut client = Client::connect(port).await;
            let produced = client.ask(9, produce_request("t", index % 4, batch(&[&body]), -1)).await;
            assert_eq!(produced.responses[0].partition_responses[0].error_code, 0);
            client
        })
    });
    let mut open = Vec::new();
    for client in clients.collect::<Vec<_>>() {
        open.push(client.await.unwrap());
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    while program.resident("VmRSS:") >= 40 * MIB && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let (now, peak) = (program.resident("VmRSS:"), program.resident("VmHWM:"));
    println!("{} MiB at the peak, {} MiB after it", peak >> 20, now >> 20);
    assert!(now < 40 * MIB, "{now} bytes stayed resident");
}

/// Fewer descriptors than partitions and clients: files are closed and opened again, clients wait, and nothing is lost.
#[tokio::test(flavor = "multi_thread")]
async fn files_and_clients_share_few_descriptors() {
    const PARTITIONS: i32 = 150;
    let program = Program::with_descriptors(100, &[]);
    let mut client = Client::connect(program.port).await;
    client.create_topic("t", PARTITIONS, &[]).await;
    // More than may be open; those that are too many wait in the system's queue.
    let crowd = announcers(program.port, 120, 100, 8).await;
    let deadline = Instant::now() + PATIENCE;
    for partition in 0..PARTITIONS {
        while client.produce("t", partition, batch(&[b"kept"])).await.is_err() {
            assert!(Instant::now() < deadline, "partition {partition} cannot be written");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    for partition in 0..PARTITIONS {
        while values(&client.fetch("t", partition, 0).await.records).is_empty() {
            assert!(Instant::now() < deadline, "partition {partition} cannot be read");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    drop(crowd);
    Client::connect(program.port).await.ask(3, m::ApiVersionsRequest::default()).await;
}

/// Thousands of new partitions filled at once need more descriptors than there are until the first of them are flushed: their
/// producer goes at that pace, and none of its batches is refused.
#[tokio::test(flavor = "multi_thread")]
async fn new_partitions_wait_for_descriptors() {
    const PARTITIONS: i32 = 400;
    for durability in ["page-cache", "flush"] {
        let program = Program::with_descriptors(200, &[&format!("milena.durability={durability}")]);
        let mut client = Client::connect(program.port).await;
        client.create_topic("t", PARTITIONS, &[]).await;
        for first in (0..PARTITIONS).step_by(20) {
            // Of one that is not waited for, so that flushing is not what slows the client down.
            let mut request = produce_request("t", 0, batch(&[b"kept"]), 1);
            let one = request.topic_data[0].partition_data[0].clone();
            request.topic_data[0].partition_data =
                (first..first + 20).map(|index| one.clone().with_index(index)).collect();
            let answer = client.ask(9, request).await;
            let partitions = &answer.responses[0].partition_responses;
            let refused: Vec<_> = partitions.iter().filter(|one| one.error_code != 0).collect();
            assert_eq!((partitions.len(), refused), (20, vec![]), "{durability}");
        }
    }
}
