//! The hot path, counted (ARCHITECTURE.md has the table): system calls of the program by strace, allocations in this process
//! over a real socket. A change that makes a request do more than the table says fails here.

#![allow(clippy::disallowed_methods)]

mod support;

#[path = "../benches/counts/allocations.rs"]
mod allocations;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use milena::record::{Builder, Compression};
use milena::types::Timestamp;
use support::{Client, PATIENCE, TestBroker, fetch_request, frame, produce_request};

/// Requests of each kind that are counted.
const REQUESTS: u64 = 200;

// ---- allocations ---------------------------------------------------------------------------------------------------------

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

/// A client that allocates nothing while it is counted.
struct Raw {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Raw {
    fn connect(port: u16) -> Raw {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the broker listens");
        stream.set_nodelay(true).expect("nodelay");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
        Raw { stream, answer: vec![0; 4 << 20] }
    }

    /// Sends a frame, takes the whole answer; how long it was.
    fn ask(&mut self, frame: &[u8]) -> usize {
        self.stream.write_all(frame).expect("the request is taken");
        let mut len = [0; 4];
        self.stream.read_exact(&mut len).expect("an answer");
        let len = u32::from_be_bytes(len) as usize;
        self.stream.read_exact(&mut self.answer[..len]).expect("a whole answer");
        len
    }
}

/// Allocations and allocated bytes of one request, when it has been asked often enough to have warmed everything up.
fn allocations(raw: &mut Raw, frame: &[u8]) -> (u64, u64) {
    (0..REQUESTS).for_each(|_| _ = raw.ask(frame));
    let before = allocations::of_all_threads();
    (0..REQUESTS).for_each(|_| _ = raw.ask(frame));
    let after = allocations::of_all_threads();
    ((after.0 - before.0) / REQUESTS, (after.1 - before.1) / REQUESTS)
}

fn batch(records: usize, value_bytes: usize) -> Bytes {
    let mut builder = Builder::new().compression(Compression::None);
    (0..records).for_each(|_| builder.push(Timestamp(1_700_000_000_000), None, Some(&vec![7; value_bytes]), &[]));
    builder.build().into_bytes()
}

fn produce_to(partitions: i32, records: &Bytes) -> BytesMut {
    let mut request = produce_request("t", 0, records.clone(), 1);
    let data = &mut request.topic_data[0].partition_data;
    *data = (0..partitions).map(|index| data[0].clone().with_index(index)).collect();
    frame(9, 1, &request)
}

fn fetch_of(partitions: i32, max_bytes: i32) -> BytesMut {
    let mut request = fetch_request(&[("t", 0, 0)], 0, 1);
    let wanted = &mut request.topics[0].partitions;
    *wanted = (0..partitions)
        .map(|index| wanted[0].clone().with_partition(index).with_partition_max_bytes(max_bytes))
        .collect();
    frame(12, 1, &request)
}

/// One test, so that nothing else in this process allocates meanwhile. Lesson 48: nothing is computed for a request from all
/// that there is, so it costs the same beside two thousand other partitions.
#[test]
fn lesson_48_a_request_allocates_by_its_partitions_never_by_its_records_or_by_what_else_there_is() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let broker = runtime.block_on(TestBroker::with(&["milena.durability=page-cache"]));
    runtime.block_on(async { broker.connect().await.create_topic("t", 16, &[]).await });
    let mut raw = Raw::connect(broker.port());

    let one = allocations(&mut raw, &produce_to(1, &batch(1, 100)));
    let many = allocations(&mut raw, &produce_to(1, &batch(1_000, 50)));
    let wide = allocations(&mut raw, &produce_to(16, &batch(1, 100)));
    println!("Produce: 1 record {one:?}, 1,000 records {many:?}, 16 partitions {wide:?} (allocations, bytes)");
    // The machine's other threads add one or two now and then.
    assert!(one.0 <= 16, "Produce of one partition: {} allocations", one.0);
    assert!(many.0 <= one.0 + 1, "1,000 records: {} allocations, one record: {}", many.0, one.0);
    assert!(wide.0 <= one.0 + 15 * 4, "16 partitions: {} allocations, one: {}", wide.0, one.0);
    // The records have nowhere to be copied to: the buffer they were read into is used again and again.
    assert!(many.1 < 8 << 10, "a Produce request of 57 KiB allocates {} bytes", many.1);

    let small = allocations(&mut raw, &fetch_of(1, 1_000));
    let large = allocations(&mut raw, &fetch_of(1, 1 << 20));
    println!("Fetch: small {small:?}, 1 MiB {large:?}");
    assert!(small.0 <= 24, "Fetch of one partition: {} allocations", small.0);
    assert!(large.0 <= 24, "Fetch of 1 MiB: {} allocations", large.0);
    // Twice 4 KiB to look at headers where the answer begins and ends.
    assert!(large.1 < 16 << 10, "a Fetch answer of 1 MiB allocates {} bytes", large.1);

    runtime.block_on(async { broker.connect().await.create_topic("others", 2_000, &[]).await });
    let crowded = allocations(&mut raw, &produce_to(1, &batch(1, 100)));
    assert!(crowded.0 <= one.0 + 1, "Produce beside 2,000 partitions: {} allocations, alone {}", crowded.0, one.0);
    let crowded = allocations(&mut raw, &fetch_of(1, 1_000));
    assert!(crowded.0 <= small.0 + 1, "Fetch beside 2,000 partitions: {} allocations, alone {}", crowded.0, small.0);
    drop(raw);
    runtime.block_on(broker.stop());
}

// ---- system calls --------------------------------------------------------------------------------------------------------

/// The program under strace, in page-cache mode.
struct Traced {
    strace: Child,
    directory: tempfile::TempDir,
    port: u16,
}

impl Traced {
    /// `None` where strace cannot be had; the reason is printed.
    fn start() -> Option<Traced> {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| directory.path().join(name);
        let binary = env!("CARGO_BIN_EXE_milena");
        let script = format!(
            "echo $$ > {pid}; exec {binary} --override listeners=PLAINTEXT://127.0.0.1:0 --override log.dirs={data} \
             --override milena.durability=page-cache 2> {log}",
            pid = file("pid").display(),
            data = file("data").display(),
            log = file("log").display()
        );
        let spawned = Command::new("strace")
            .args(["-f", "-qq", "-s", "200", "-o"])
            .arg(file("trace"))
            .args(["-e", "trace=%network,%desc,mkdir,mkdirat,futex,getrandom", "sh", "-c", &script])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let mut strace = match spawned {
            Ok(strace) => strace,
            Err(error) => {
                println!("not counted: strace cannot be run ({error})");
                return None;
            }
        };
        let port = wait_for(|| port_in(&file("log")));
        if port.is_none() {
            let _ = strace.kill();
            let mut complaint = String::new();
            let _ = strace.stderr.take().expect("piped").read_to_string(&mut complaint);
            println!("not counted: strace does not run the program ({})", complaint.trim());
            let _ = strace.wait();
            return None;
        }
        Some(Traced { strace, directory, port: port? })
    }

    /// Ends the program; the calls between the mark of each phase and the next, by name.
    fn end(mut self) -> BTreeMap<String, BTreeMap<String, u64>> {
        let pid = std::fs::read_to_string(self.directory.path().join("pid")).expect("a pid");
        assert!(Command::new("kill").args(["-s", "KILL", pid.trim()]).status().expect("kill").success());
        let _ = self.strace.wait();
        calls_by_phase(&self.directory.path().join("trace"))
    }
}

fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(found) = look() {
            return Some(found);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    None
}

fn port_in(log: &Path) -> Option<u16> {
    let text = std::fs::read_to_string(log).ok()?;
    let line = text.lines().find(|line| line.contains("listening on") && line.contains("127.0.0.1:"))?;
    let digits = line.split("127.0.0.1:").nth(1)?;
    digits.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()
}

/// A phase begins when the broker makes the directory of the topic that bears its name.
fn calls_by_phase(trace: &Path) -> BTreeMap<String, BTreeMap<String, u64>> {
    let text = String::from_utf8_lossy(&std::fs::read(trace).expect("a trace")).into_owned();
    let mut phases: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    let mut phase = String::new();
    for line in text.lines() {
        // `PID  name(arguments…`; what continues an interrupted line begins with `<...`.
        let Some((_, call)) = line.split_once(' ') else { continue };
        let Some((name, rest)) = call.trim_start().split_once('(') else { continue };
        if name.starts_with('<') || name.starts_with('+') {
            continue;
        }
        if let Some(begun) = rest.split_once("/phase-").filter(|_| name.starts_with("mkdir")) {
            phase = begun.1.chars().take_while(char::is_ascii_alphanumeric).collect();
        }
        // What goes ahead of what follows at once wakes nobody.
        let name = if rest.contains("MSG_MORE") { "ahead" } else { name };
        *phases.entry(phase.clone()).or_default().entry(name.to_owned()).or_default() += 1;
    }
    phases
}

/// A request costs the calls of the table and no others.
#[test]
fn a_request_makes_the_system_calls_of_the_table() {
    let Some(traced) = Traced::start() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut raw = Raw::connect(traced.port);
    let begin = |phase: &str| {
        runtime.block_on(async {
            let mut client = Client::connect(traced.port).await;
            let name = format!("phase-{phase}");
            client.create_topic(&name, 1, &[]).await;
            client.ask(9, produce_request(&name, 0, batch(1, 10), 1)).await;
        });
    };
    runtime.block_on(async {
        let mut client = Client::connect(traced.port).await;
        client.create_topic("t", 16, &[]).await;
        client.create_topic("batches", 1, &[]).await;
    });
    let wide = produce_to(16, &batch(1, 1_000));
    let one = produce_to(1, &batch(10, 1_000));
    // Beside the log that is read below: how often an index is looked into depends on its length.
    let whole_batch = frame(9, 1, &produce_request("batches", 0, batch(60, 1_000), 1));
    // The fetches below read from the start, where the log has a mebibyte and more.
    (0..150).for_each(|_| _ = raw.ask(&one));
    raw.ask(&wide);

    let mut repeat = |phase: &str, frame: &[u8]| {
        raw.ask(frame);
        begin(phase);
        (0..REQUESTS).for_each(|_| _ = raw.ask(frame));
    };
    repeat("produce", &one);
    repeat("wide", &wide);
    repeat("batch", &whole_batch);
    repeat("small", &fetch_of(1, 5_000));
    repeat("many", &fetch_of(16, 2_000));
    repeat("large", &fetch_of(1, 1 << 20));
    // Whoever follows the end of the log: each of these is a Produce and the Fetch that takes what it wrote.
    let mut next = runtime.block_on(async {
        let mut client = Client::connect(traced.port).await;
        client.create_topic("tail", 1, &[]).await;
        client.produce("tail", 0, batch(10, 1_000)).await.expect("a batch is taken") + 10
    });
    let one_of_tail = frame(9, 1, &produce_request("tail", 0, batch(10, 1_000), 1));
    let mut follow = |raw: &mut Raw| {
        raw.ask(&one_of_tail);
        raw.ask(&frame(12, 1, &fetch_request(&[("tail", 0, next)], 0, 1)));
        next += 10;
    };
    follow(&mut raw);
    begin("tail");
    (0..REQUESTS).for_each(|_| follow(&mut raw));
    begin("end");
    let phases = traced.end();

    let mut faults = Vec::new();
    println!("calls of a request: {:<8} read  file  look  send splice futex", "");
    for (phase, read, file, look, send, splice) in EXPECTED {
        let counted = Counted::of(&phases[*phase]);
        println!("                    {phase:<8} {counted}");
        let expected =
            Counted { read: *read, file: *file, look: *look, send: *send, splice: *splice, ..Counted::default() };
        faults.extend(counted.above(expected).into_iter().map(|fault| format!("{phase}: {fault}")));
    }
    assert!(faults.is_empty(), "more than the table says:\n{}", faults.join("\n"));
}

/// What a request costs: reads of the socket, writes to files, reads of files, writes to the socket, splices. These are the
/// numbers of the table in ARCHITECTURE.md.
const EXPECTED: &[(&str, u64, u64, u64, u64, u64)] = &[
    // Whoever has sent such a request before has room for it.
    ("produce", 1, 1, 0, 1, 0),
    ("wide", 1, 16, 0, 1, 0),
    ("batch", 1, 1, 0, 1, 0),
    // From a place that is not known: the index entry is checked and a header read, at both ends; then a byte is tried
    // for whether it is in memory, and the batch read.
    ("small", 1, 0, 6, 1, 0),
    ("many", 1, 0, 16 * 6, 1, 0),
    // A socket that is full takes a mebibyte in several pieces; how many is the kernel's matter.
    // What is before the records goes ahead of them; what is behind them is written apart.
    ("large", 1, 0, 10, 1, 64),
    ("tail", 2, 1, 1, 2, 0),
];

/// System calls of [`REQUESTS`] requests, or the most that one may make.
#[derive(Default)]
struct Counted {
    read: u64,
    file: u64,
    look: u64,
    send: u64,
    splice: u64,
    futex: u64,
    dice: u64,
}

impl Counted {
    fn of(calls: &BTreeMap<String, u64>) -> Counted {
        let sum = |names: &[&str]| names.iter().filter_map(|name| calls.get(*name)).sum();
        Counted {
            read: sum(&["recvfrom", "recvmsg", "read", "readv"]),
            file: sum(&["pwritev", "pwrite64", "pwritev2"]),
            look: sum(&["pread64", "preadv", "preadv2"]),
            send: sum(&["writev", "write", "sendto", "sendmsg"]),
            splice: sum(&["splice", "sendfile"]),
            futex: sum(&["futex"]),
            dice: sum(&["getrandom"]),
        }
    }

    /// A handful more in a whole phase are the broker's own: its mark, its timers, room taken ahead in a file.
    fn above(&self, most: Counted) -> Vec<String> {
        let pairs = [
            ("reads of the socket", self.read, most.read),
            ("writes to files", self.file, most.file),
            ("reads of files", self.look, most.look),
            ("writes to the socket", self.send, most.send),
            ("splices", self.splice, most.splice),
            ("random numbers", self.dice, most.dice),
            // No request is handed to another thread; where a socket is full somebody has to wait.
            ("wake-ups of threads", if most.splice > 0 { 0 } else { self.futex }, most.futex),
        ];
        let above = pairs.into_iter().filter(|(_, counted, most)| *counted > most * REQUESTS + REQUESTS / 4);
        above.map(|(what, counted, most)| format!("{counted} {what} in {REQUESTS} requests, {most} each")).collect()
    }
}

impl std::fmt::Display for Counted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let each = |calls: u64| calls as f64 / REQUESTS as f64;
        let (read, file, look) = (each(self.read), each(self.file), each(self.look));
        let (send, splice, futex) = (each(self.send), each(self.splice), each(self.futex));
        write!(f, "{read:4.2} {file:5.2} {look:5.2} {send:5.2} {splice:6.2} {futex:5.2}")
    }
}
