//! Fetch: every consumer reads the whole topic once. `walk` goes from batch to batch, `verify` checks checksums and offsets
//! too, `discard` has the kernel drop what comes, which costs this program least; it reads one partition at a time.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::link::{Link, wait};
use super::meter::Meter;
use super::produce::{Load, send};
use super::report::Runs;
use super::setup::{self, Batch, batches};
use super::{Figures, Target, bad, size};
use crate::clock::Stopwatch;
use crate::record::{HEADER_LEN, Header, checksum_matches};
use crate::tools::flags::Flags;
use crate::tools::{Done, Failure, Output};

#[derive(Clone, Copy, PartialEq)]
enum How {
    Walk,
    Discard,
    Verify,
}

struct Plan {
    how: How,
    consumers: usize,
    max_bytes: i32,
    part_bytes: i32,
    longest: Duration,
}

impl Plan {
    fn of(flags: &Flags) -> Result<Plan, Failure> {
        Ok(Plan {
            how: match flags.value("how").unwrap_or("walk") {
                "walk" => How::Walk,
                "discard" => How::Discard,
                "verify" => How::Verify,
                other => return Err(bad(format!("--how {other}: walk, discard or verify"))),
            },
            consumers: flags.number("consumers")?.unwrap_or(1).max(1),
            max_bytes: size(flags, "max-bytes", 50 << 20)? as i32,
            part_bytes: size(flags, "partition-max-bytes", 1 << 20)? as i32,
            longest: Duration::from_secs(flags.number("seconds")?.unwrap_or(120)),
        })
    }
}

/// One consumer: where it is in each partition, and where that ends.
struct Reader {
    link: Link,
    places: Vec<(i32, i64, i64)>,
    turn: usize,
    waiting: bool,
    /// Of an answer that is discarded: how much of it is still to come.
    to_drop: usize,
}

#[derive(Default)]
struct Got {
    bytes: u64,
    records: u64,
    requests: u64,
}

/// Fills the topic on every target once, then reads it in every round.
pub fn measure_all(runs: &Runs<'_>, flags: &Flags, out: &mut Output) -> Done {
    let (load, plan) = (Load::of(flags)?, Plan::of(flags)?);
    let given = flags.value("topic");
    let topic = given.map_or_else(|| setup::fresh_topic("fetch"), str::to_owned);
    if given.is_none() {
        for target in runs.targets {
            setup::create(&mut setup::client(target)?, &topic, load.partitions)?;
            let batch = Batch::new(load.record, load.batch, usize::MAX, load.codec);
            send(target, &topic, &load, &batch, load.bytes)?;
        }
    }
    let done = runs.take_turns(out, |target, _| {
        let cold = flags.values("evict").filter_map(|pair| pair.split_once('=')).find(|(name, _)| *name == target.name);
        if let Some((_, directory)) = cold {
            evict(Path::new(directory)).map_err(|error| bad(format!("{directory}: {error}")))?;
        }
        measure(target, &topic, &plan)
    });
    if given.is_none() && !flags.has("keep") {
        for target in runs.targets {
            setup::delete(&mut setup::client(target)?, &topic)?;
        }
    }
    done
}

fn measure(target: &Target, topic: &str, plan: &Plan) -> Result<Figures, Failure> {
    let mut client = setup::client(target)?;
    let count = setup::partitions_of(&mut client, topic)?;
    let begins = setup::offsets(&mut client, topic, count, -2)?;
    let ends = setup::offsets(&mut client, topic, count, -1)?;
    let places: Vec<(i32, i64, i64)> =
        (0..count).zip(begins).zip(ends).map(|((index, begin), end)| (index, begin, end)).collect();
    let there: i64 = places.iter().map(|(_, begin, end)| end - begin).sum();
    let mut readers = Vec::new();
    for _ in 0..plan.consumers {
        let link = Link::open(target)?;
        readers.push(Reader { link, places: places.clone(), turn: 0, waiting: false, to_drop: 0 });
    }
    let meter = Meter::start(target.pid);
    let got = read_all(&mut readers, topic, plan)?;
    let seconds = meter.elapsed().as_secs_f64();
    let gigabytes = got.bytes as f64 / 1e9;
    if got.records as i64 != there * plan.consumers as i64 {
        return Err(bad(format!("{} records were read, {} are there", got.records, there * plan.consumers as i64)));
    }
    let mut figures: Figures = vec![
        ("MB_s", gigabytes * 1e3 / seconds),
        ("records_s", got.records as f64 / seconds),
        ("requests_s", got.requests as f64 / seconds),
        ("bytes_per_request", got.bytes as f64 / got.requests as f64),
        ("GB", gigabytes),
    ];
    figures.extend(meter.stop(gigabytes, got.requests as f64));
    Ok(figures)
}

fn read_all(readers: &mut [Reader], topic: &str, plan: &Plan) -> Result<Got, Failure> {
    let (mut got, mut scratch) = (Got::default(), vec![0; 1 << 20]);
    let watch = Stopwatch::start();
    loop {
        for reader in readers.iter_mut() {
            reader.ask(topic, plan)?;
        }
        if readers.iter().all(|reader| !reader.waiting) {
            return Ok(got);
        }
        if watch.elapsed() > plan.longest {
            return Err(bad(format!("the topic was not read in {} s", plan.longest.as_secs())));
        }
        let mut links: Vec<&mut Link> = readers.iter_mut().map(|reader| &mut reader.link).collect();
        let ready = wait(&mut links, Duration::from_millis(100))?;
        for (reader, _) in readers.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
            match plan.how {
                How::Discard => reader.discard(topic, &mut scratch, &mut got)?,
                how => reader.take(how == How::Verify, &mut got)?,
            }
        }
    }
}

impl Reader {
    /// Asks for what is left, if no answer is under way.
    fn ask(&mut self, topic: &str, plan: &Plan) -> Result<(), Failure> {
        if self.waiting {
            return Ok(());
        }
        let count = self.places.len();
        // Another partition comes first each time, so that the limit of an answer starves none.
        let in_turn = (0..count).map(|step| self.places[(self.turn + step) % count]);
        let mut left: Vec<(i32, i64)> =
            in_turn.filter(|(_, next, end)| next < end).map(|(index, next, _)| (index, next)).collect();
        if plan.how == How::Discard {
            left.truncate(1);
        }
        self.turn = (self.turn + 1) % count.max(1);
        if left.is_empty() {
            return Ok(());
        }
        self.waiting = true;
        self.link.send(setup::fetch(topic, &left, plan.max_bytes, plan.part_bytes)?)
    }

    fn take(&mut self, verify: bool, got: &mut Got) -> Result<(), Failure> {
        self.link.read()?;
        let Some(answer) = self.link.answer() else { return Ok(()) };
        let places = &mut self.places;
        setup::fetched(answer, |partition, records| {
            let place = places.get_mut(partition as usize).ok_or_else(|| bad("a partition nobody asked for".into()))?;
            for (header, bytes) in batches(records) {
                if verify && (!checksum_matches(bytes) || header.base_offset.0 > place.1) {
                    return Err(bad(format!(
                        "a damaged batch or a gap at offset {} of partition {partition}",
                        place.1
                    )));
                }
                got.note(place, &header, 1);
            }
            Ok(())
        })?;
        got.requests += 1;
        self.waiting = false;
        Ok(())
    }

    /// Looks at the first batch header of the answer; all batches are of that size.
    fn discard(&mut self, topic: &str, scratch: &mut [u8], got: &mut Got) -> Result<(), Failure> {
        if self.to_drop == 0 {
            // Length, correlation id, throttle time, code, session, topics, name, partitions, then one partition of 52
            // bytes up to its records' length.
            let head = 4 + 4 + 4 + 2 + 4 + 4 + 2 + topic.len() + 4 + 4 + 2 + 24 + 4 + 4 + 4;
            self.link.read_few(head + HEADER_LEN)?;
            let bytes = self.link.peek();
            let Some(records) = bytes.get(head - 4..head).and_then(|len| len.first_chunk::<4>()) else { return Ok(()) };
            let records = u32::from_be_bytes(*records) as usize;
            if records == 0 || bytes.len() < head + HEADER_LEN {
                return if records == 0 { Err(bad("an empty or refused Fetch answer".into())) } else { Ok(()) };
            }
            let header = Header::read(&bytes[head..]).map_err(|corrupt| bad(corrupt.reason))?;
            let index = bytes[head - 42..head - 38].first_chunk().map_or(0, |bytes| i32::from_be_bytes(*bytes));
            let place =
                self.places.get_mut(index as usize).ok_or_else(|| bad("a partition nobody asked for".into()))?;
            got.note(place, &header, (records / header.size()) as u64);
            self.to_drop = head + records;
        }
        self.to_drop -= self.link.skip(self.to_drop);
        while self.to_drop > 0 {
            match self.link.discard(scratch, self.to_drop)? {
                0 => return Ok(()),
                dropped => self.to_drop -= dropped,
            }
        }
        got.requests += 1;
        self.waiting = false;
        Ok(())
    }
}

impl Got {
    /// Some batches alike, the first of which has this header.
    fn note(&mut self, place: &mut (i32, i64, i64), header: &Header, count: u64) {
        let records = i64::from(header.last_offset_delta) + 1;
        place.1 = header.base_offset.0 + records * count as i64;
        self.bytes += header.size() as u64 * count;
        self.records += records as u64 * count;
    }
}

/// Writes a directory's files back and drops them from the page cache.
fn evict(directory: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(directory)?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            evict(&path)?;
        } else if let Ok(file) = fs::File::open(&path) {
            file.sync_data()?;
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
        }
    }
    Ok(())
}
