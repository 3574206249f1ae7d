//! Open loop: every request is due at a time that was fixed before, whatever the broker does meanwhile, and its latency
//! counts from then. So a stall is charged to every request it held up (no coordinated omission). `late` tells how late
//! this program was with sending: on a busy machine that is most of the highest latencies, of every target alike.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use super::link::{Link, wait};
use super::meter::Meter;
use super::produce::{acks, quantile};
use super::setup::{self, Batch, batches};
use super::{Figures, Target, bad, size};
use crate::clock::Stopwatch;
use crate::record::Compression;
use crate::tools::Failure;
use crate::tools::flags::Flags;

pub struct Pace {
    rate: f64,
    group: usize,
    record: usize,
    acks: i16,
    partitions: usize,
    conns: usize,
    consumers: usize,
    length: Duration,
}

impl Pace {
    pub fn of(flags: &Flags) -> Result<Pace, Failure> {
        let conns: usize = flags.number("conns")?.unwrap_or(1).max(1);
        let partitions: usize = flags.number("partitions")?.unwrap_or(1).max(1);
        let rate: f64 = flags.number("rate")?.unwrap_or(1000.0);
        if !(rate > 0.0 && rate <= 1e6) {
            return Err(bad(format!("--rate {rate}: above 0 and at most 1000000")));
        }
        Ok(Pace {
            rate,
            group: flags.number("group")?.unwrap_or(1).max(1),
            record: size(flags, "record", 1 << 10)? as usize,
            acks: acks(flags)?,
            // Each partition is fed by one connection, so that its records lie in the order in which they were due.
            partitions: partitions.next_multiple_of(conns),
            conns,
            consumers: flags.number("consumers")?.unwrap_or(0),
            length: Duration::from_secs(flags.number("seconds")?.unwrap_or(15)),
        })
    }

    /// When request number `index` is due.
    fn due(&self, index: u64) -> Duration {
        BEGIN + Duration::from_secs_f64(index as f64 * self.group as f64 / self.rate)
    }

    fn requests(&self) -> u64 {
        (self.length.as_secs_f64() * self.rate / self.group as f64) as u64
    }
}

/// Everything is connected and asked before the first request is due.
const BEGIN: Duration = Duration::from_millis(300);

struct Sender {
    link: Link,
    due: VecDeque<Duration>,
}

struct Reader {
    link: Link,
    /// The next offset of each partition.
    next: Vec<i64>,
}

/// Nanoseconds of everything that was waited for.
#[derive(Default)]
struct Waits {
    acknowledged: Vec<u64>,
    arrived: Vec<u64>,
    late: Vec<u64>,
}

struct Run<'a> {
    pace: &'a Pace,
    topic: &'a str,
    frames: Vec<Rc<Vec<u8>>>,
    senders: Vec<Sender>,
    readers: Vec<Reader>,
    waits: Waits,
    sent: u64,
}

pub fn measure(target: &Target, pace: &Pace) -> Result<Figures, Failure> {
    let mut client = setup::client(target)?;
    let topic = setup::fresh_topic("latency");
    setup::create(&mut client, &topic, pace.partitions as i32)?;
    let batch = Batch::new(pace.record, usize::MAX, pace.group, Compression::None);
    let frames = (0..pace.partitions as i32).map(|index| setup::produce(&topic, &[index], &batch, pace.acks));
    let sender = |_| Ok(Sender { link: Link::open(target)?, due: VecDeque::new() });
    let reader = |_| Ok(Reader { link: Link::open(target)?, next: vec![0; pace.partitions] });
    let mut run = Run {
        pace,
        topic: &topic,
        frames: frames.collect::<Result<_, Failure>>()?,
        senders: (0..pace.conns).map(sender).collect::<Result<_, Failure>>()?,
        readers: (0..pace.consumers).map(reader).collect::<Result<_, Failure>>()?,
        waits: Waits::default(),
        sent: 0,
    };
    let meter = Meter::start(target.pid);
    run.drive()?;
    let messages = (run.sent * pace.group as u64) as f64;
    let seconds = meter.elapsed().as_secs_f64() - BEGIN.as_secs_f64();
    let costs = meter.stop(messages * pace.record as f64 / 1e9, messages);
    setup::delete(&mut client, &topic)?;
    let mut figures: Figures = vec![("messages_s", messages / seconds)];
    let waits = &mut run.waits;
    for (names, values) in [
        (["ack_p50_ms", "ack_p99_ms", "ack_p999_ms"], &mut waits.acknowledged),
        (["end_to_end_p50_ms", "end_to_end_p99_ms", "end_to_end_p999_ms"], &mut waits.arrived),
        (["late_p50_ms", "late_p99_ms", "late_p999_ms"], &mut waits.late),
    ] {
        figures.extend(names.into_iter().zip([0.5, 0.99, 0.999]).map(|(name, at)| (name, quantile(values, at))));
    }
    figures.extend(costs);
    Ok(figures)
}

impl Run<'_> {
    fn drive(&mut self) -> Result<(), Failure> {
        for reader in &mut self.readers {
            reader.ask(self.topic)?;
        }
        let watch = Stopwatch::start();
        let all = self.pace.requests();
        let records = all * self.pace.group as u64 * self.readers.len() as u64;
        let give_up = self.pace.length + Duration::from_secs(30);
        while self.sent < all
            || self.senders.iter().any(|sender| !sender.due.is_empty())
            || (self.waits.arrived.len() as u64) < records
        {
            self.send_what_is_due(all, &watch)?;
            let idle = Duration::from_millis(50);
            let until = if self.sent < all { self.pace.due(self.sent).saturating_sub(watch.elapsed()) } else { idle };
            self.receive(until.min(idle), &watch)?;
            if watch.elapsed() > give_up {
                return Err(bad("not everything was answered 30 s after it was due".into()));
            }
        }
        Ok(())
    }

    fn send_what_is_due(&mut self, all: u64, watch: &Stopwatch) -> Result<(), Failure> {
        while self.sent < all {
            let (due, now) = (self.pace.due(self.sent), watch.elapsed());
            if due > now {
                return Ok(());
            }
            self.waits.late.push((now - due).as_nanos() as u64);
            let partition = (self.sent % self.pace.partitions as u64) as usize;
            let sender = &mut self.senders[partition % self.pace.conns];
            sender.due.push_back(due);
            sender.link.send(self.frames[partition].clone())?;
            self.sent += 1;
        }
        Ok(())
    }

    fn receive(&mut self, longest: Duration, watch: &Stopwatch) -> Result<(), Failure> {
        let senders = self.senders.iter_mut().map(|sender| &mut sender.link);
        let mut links: Vec<&mut Link> = senders.chain(self.readers.iter_mut().map(|reader| &mut reader.link)).collect();
        let ready = wait(&mut links, longest)?;
        let (of_senders, of_readers) = ready.split_at(self.senders.len());
        for (sender, _) in self.senders.iter_mut().zip(of_senders).filter(|(_, ready)| **ready) {
            sender.link.read()?;
            while let Some(answer) = sender.link.answer() {
                setup::produced(answer)?;
                let due = sender.due.pop_front().ok_or_else(|| bad("an answer that nobody waits for".into()))?;
                self.waits.acknowledged.push(watch.elapsed().saturating_sub(due).as_nanos() as u64);
            }
        }
        for (reader, _) in self.readers.iter_mut().zip(of_readers).filter(|(_, ready)| **ready) {
            reader.take(self.pace, self.topic, &mut self.waits.arrived, watch)?;
        }
        Ok(())
    }
}

impl Reader {
    fn ask(&mut self, topic: &str) -> Result<(), Failure> {
        let wanted: Vec<(i32, i64)> = (0..).zip(self.next.iter().copied()).collect();
        self.link.send(setup::fetch(topic, &wanted, 50 << 20, 1 << 20)?)
    }

    fn take(&mut self, pace: &Pace, topic: &str, arrived: &mut Vec<u64>, watch: &Stopwatch) -> Result<(), Failure> {
        self.link.read()?;
        let Some(answer) = self.link.answer() else { return Ok(()) };
        let next = &mut self.next;
        setup::fetched(answer, |partition, records| {
            let place = next.get_mut(partition as usize).ok_or_else(|| bad("a partition nobody asked for".into()))?;
            for (header, _) in batches(records) {
                let end = header.base_offset.0 + i64::from(header.last_offset_delta) + 1;
                for offset in *place..end {
                    // The requests of a partition follow each other at the distance of the partitions.
                    let request = offset as u64 / pace.group as u64 * pace.partitions as u64 + partition as u64;
                    arrived.push(watch.elapsed().saturating_sub(pace.due(request)).as_nanos() as u64);
                }
                *place = end.max(*place);
            }
            Ok(())
        })?;
        self.ask(topic)
    }
}
