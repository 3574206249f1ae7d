//! Closed loop: the same batches again and again, some requests under way on each connection.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use super::link::{Link, wait};
use super::meter::Meter;
use super::setup::{self, Batch};
use super::{Figures, Target, bad, size};
use crate::clock::Stopwatch;
use crate::record::Compression;
use crate::tools::Failure;
use crate::tools::flags::Flags;

pub struct Load {
    pub record: usize,
    pub batch: usize,
    pub codec: Compression,
    pub acks: i16,
    pub partitions: i32,
    pub per_request: usize,
    pub conns: usize,
    pub in_flight: usize,
    pub bytes: u64,
    warm: u64,
    longest: Duration,
    topic: Option<String>,
    keep: bool,
}

impl Load {
    pub fn of(flags: &Flags) -> Result<Load, Failure> {
        let codec = flags.value("compression").unwrap_or("none");
        let codec = Compression::ALL.into_iter().find(|known| known.to_string() == codec);
        Ok(Load {
            record: size(flags, "record", 1 << 10)? as usize,
            batch: size(flags, "batch", 64 << 10)? as usize,
            codec: codec.ok_or_else(|| bad("--compression: none, gzip, snappy, lz4 or zstd".into()))?,
            acks: acks(flags)?,
            partitions: flags.number("partitions")?.unwrap_or(1).max(1),
            per_request: flags.number("parts-per-request")?.unwrap_or(1).max(1),
            conns: flags.number("conns")?.unwrap_or(1).max(1),
            in_flight: flags.number("inflight")?.unwrap_or(5).max(1),
            bytes: size(flags, "bytes", 1 << 30)?,
            warm: size(flags, "warm", 64 << 20)?,
            longest: Duration::from_secs(flags.number("seconds")?.unwrap_or(30)),
            topic: flags.value("topic").map(str::to_owned),
            keep: flags.has("keep"),
        })
    }
}

pub fn acks(flags: &Flags) -> Result<i16, Failure> {
    match flags.value("acks").unwrap_or("1") {
        "1" => Ok(1),
        "all" | "-1" => Ok(-1),
        other => Err(bad(format!("--acks {other}: 1 or all"))),
    }
}

/// A connection with the requests it sends in turn.
struct Sender {
    link: Link,
    frames: Vec<Rc<Vec<u8>>>,
    batches: u64,
    next: usize,
    sent: VecDeque<Duration>,
}

/// What a round of sending did.
pub struct Sent {
    pub requests: u64,
    pub batches: u64,
    pub took: Duration,
    latencies: Vec<u64>,
}

pub fn measure(target: &Target, load: &Load) -> Result<Figures, Failure> {
    let mut client = setup::client(target)?;
    let topic = load.topic.clone().unwrap_or_else(|| setup::fresh_topic("produce"));
    setup::create(&mut client, &topic, load.partitions)?;
    let batch = Batch::new(load.record, load.batch, usize::MAX, load.codec);
    if load.warm > 0 {
        send(target, &topic, load, &batch, load.warm)?;
    }
    let meter = Meter::start(target.pid);
    let mut sent = send(target, &topic, load, &batch, load.bytes)?;
    let gigabytes = (sent.batches * batch.plain_bytes) as f64 / 1e9;
    let costs = meter.stop(gigabytes, sent.requests as f64);
    if !load.keep {
        setup::delete(&mut client, &topic)?;
    }
    let seconds = sent.took.as_secs_f64();
    let mut figures: Figures = vec![
        ("MB_s", gigabytes * 1e3 / seconds),
        ("records_s", (sent.batches * batch.records) as f64 / seconds),
        ("requests_s", sent.requests as f64 / seconds),
        ("request_p50_ms", quantile(&mut sent.latencies, 0.5)),
        ("request_p99_ms", quantile(&mut sent.latencies, 0.99)),
        ("GB", gigabytes),
    ];
    figures.extend(costs);
    Ok(figures)
}

/// Milliseconds, of nanoseconds.
pub fn quantile(values: &mut [u64], at: f64) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    values.sort_unstable();
    let index = ((values.len() as f64 * at).ceil() as usize).clamp(1, values.len()) - 1;
    values[index] as f64 / 1e6
}

/// Sends so many bytes, counted without compression, and waits for all answers.
pub fn send(target: &Target, topic: &str, load: &Load, batch: &Batch, bytes: u64) -> Result<Sent, Failure> {
    let mut senders = senders(target, topic, load, batch)?;
    let mut left = (bytes / batch.plain_bytes).max(1);
    let mut sent = Sent { requests: 0, batches: 0, took: Duration::ZERO, latencies: Vec::new() };
    let watch = Stopwatch::start();
    loop {
        if watch.elapsed() > load.longest {
            left = 0;
        }
        for sender in &mut senders {
            sender.fill(load.in_flight, &mut left, &watch)?;
        }
        if left == 0 && senders.iter().all(|sender| sender.sent.is_empty()) {
            break;
        }
        if watch.elapsed() > load.longest + Duration::from_secs(30) {
            return Err(bad("requests were not answered within 30 s".into()));
        }
        let mut links: Vec<&mut Link> = senders.iter_mut().map(|sender| &mut sender.link).collect();
        let ready = wait(&mut links, Duration::from_millis(100))?;
        for (sender, _) in senders.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
            sender.receive(&watch, &mut sent)?;
        }
    }
    sent.took = watch.elapsed();
    Ok(sent)
}

fn senders(target: &Target, topic: &str, load: &Load, batch: &Batch) -> Result<Vec<Sender>, Failure> {
    (0..load.conns)
        .map(|conn| {
            let all = 0..load.partitions;
            let mut own: Vec<i32> = all.filter(|index| *index as usize % load.conns == conn).collect();
            if own.is_empty() {
                own.push(conn as i32 % load.partitions);
            }
            let frames = own.chunks(load.per_request).map(|some| setup::produce(topic, some, batch, load.acks));
            Ok(Sender {
                link: Link::open(target)?,
                batches: load.per_request.min(own.len()) as u64,
                frames: frames.collect::<Result<_, _>>()?,
                next: 0,
                sent: VecDeque::new(),
            })
        })
        .collect()
}

impl Sender {
    fn fill(&mut self, in_flight: usize, left: &mut u64, watch: &Stopwatch) -> Result<(), Failure> {
        while *left > 0 && self.sent.len() < in_flight && !self.link.is_writing() {
            *left = left.saturating_sub(self.batches);
            self.sent.push_back(watch.elapsed());
            self.link.send(self.frames[self.next].clone())?;
            self.next = (self.next + 1) % self.frames.len();
        }
        Ok(())
    }

    fn receive(&mut self, watch: &Stopwatch, sent: &mut Sent) -> Result<(), Failure> {
        self.link.read()?;
        while let Some(answer) = self.link.answer() {
            sent.batches += setup::produced(answer)?;
            sent.requests += 1;
            let begun = self.sent.pop_front().ok_or_else(|| bad("an answer that nobody waits for".into()))?;
            sent.latencies.push(watch.elapsed().saturating_sub(begun).as_nanos() as u64);
        }
        Ok(())
    }
}
