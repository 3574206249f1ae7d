//! One run: the load is on, the broker lives and is ended again and again, and at the end everything is read and judged.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType, bind, socket};

use crate::broker::{Launcher, Process};
use crate::check::{Fault, Read, Sent, check};
use crate::client::Lost;
use crate::dice::Dice;
use crate::stage::{COMPACTED, PLACES, Stage, stopwatch};
use crate::{groups, producers, readers, topics};

/// A broker that was killed serves again within this (I112), and one that is asked to stop has done so (I115).
const LIMIT: Duration = Duration::from_secs(30);

/// What there is to tell after the last start.
#[derive(Default)]
pub struct Outcome {
    pub acked_records: u64,
    pub trimmed_records: u64,
    pub superseded_records: u64,
    pub unanswered_records: u64,
    pub lost: usize,
    pub duplicated: usize,
    pub reordered: usize,
    pub changed: usize,
    pub seconds: u64,
}

pub struct Loop<'a> {
    stage: &'a Stage,
    launcher: &'a Launcher,
    process: Process,
    dice: Dice,
    port: u16,
    /// How long an undisturbed start takes, to aim kills at the next one.
    start_time: Duration,
    /// Up to where the broker's own words have been read.
    said: u64,
    pub kills: u64,
    pub early_kills: u64,
    pub clean_stops: u64,
}

/// How a life is to end.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// SIGKILL so long after the start, served or not.
    KilledWhileStarting(Duration),
    /// SIGKILL once so many more records were acknowledged, and a moment later.
    KilledUnderLoad(u64, Duration),
    /// SIGTERM under load, and SIGKILL so long after it.
    KilledWhileStopping(u64, Duration),
    /// SIGTERM under load.
    Stopped(u64),
}

/// The broker did not come back; the reason is among the findings.
struct Dead;

impl<'a> Loop<'a> {
    pub fn begin(stage: &'a Stage, launcher: &'a Launcher) -> Self {
        let dice = Dice::named(stage.seed, 1);
        let port = free_port();
        let life = stage.begin_life(port);
        let process = launcher.start(life.number, port);
        let start_time = Duration::from_millis(if stage.is_kafka { 5_000 } else { 100 });
        Loop { stage, launcher, process, dice, port, start_time, said: 0, kills: 0, early_kills: 0, clean_stops: 0 }
    }

    pub fn whole(&mut self, kills: u64, time: Option<Duration>) -> Outcome {
        let elapsed = stopwatch();
        let stage = self.stage;
        if !topics::create_all(stage) {
            return Outcome::default();
        }
        // Kafka does not flush what it makes of an empty directory, and would not start again after a cut: a directory in use
        // was formatted long ago.
        if let Some(ground) = self.launcher.ground.as_ref().filter(|_| stage.counts_losses) {
            ground.settle();
        }
        let sent = thread::scope(|scope| {
            let producers: Vec<_> = (0..6)
                .map(|author| {
                    let is_idempotent = author < 3 && !stage.counts_losses;
                    let work = if is_idempotent { producers::idempotent } else { producers::plain };
                    scope.spawn(move || work(stage, author))
                })
                .collect();
            scope.spawn(|| {
                if !stage.is_kafka && !stage.counts_losses {
                    producers::trimmer(stage)
                }
            });
            scope.spawn(|| topics::changer(stage));
            for name in 0..2 {
                scope.spawn(move || readers::reader(stage, name));
                scope.spawn(move || groups::committer(stage, name));
                for member in 0..2 {
                    let group = if name == 0 { "pair" } else { "other-pair" };
                    scope.spawn(move || groups::member(stage, group, name * 2 + member));
                }
            }
            let mut is_alive = true;
            while is_alive && self.kills < kills && time.is_none_or(|time| elapsed() < time) {
                let end = self.plan();
                is_alive = self.live(end).is_ok();
            }
            if is_alive && self.wait_until_served(1).is_ok() {
                stage.finish();
            } else {
                stage.end_all();
            }
            producers
                .into_iter()
                .map(|producer| producer.join().expect("a producer does not panic"))
                .collect::<Vec<_>>()
        });
        self.said_nothing_bad();
        if !stage.is_finishing() {
            return Outcome::default();
        }
        let outcome = self.judge(&sent);
        Outcome { seconds: elapsed().as_secs(), ..outcome }
    }

    fn plan(&mut self) -> End {
        let acks = self.dice.uneven(20_000);
        let moment = Duration::from_micros(self.dice.uneven(300_000));
        // Half as long again as a start takes, so that some come just after it.
        let in_a_start = self.start_time.mul_f64(self.dice.below(150) as f64 / 100.0);
        match self.dice.below(100) {
            // The same for all that are compared; Kafka needs seconds to start.
            _ if self.stage.counts_losses => End::KilledUnderLoad(500 + acks / 5, moment),
            0..30 => End::KilledWhileStarting(in_a_start),
            30..85 => End::KilledUnderLoad(acks, moment),
            85..92 => End::KilledWhileStopping(acks, moment),
            _ => End::Stopped(acks),
        }
    }

    /// Brings this life to its end and begins the next.
    fn live(&mut self, end: End) -> Result<(), Dead> {
        match end {
            End::KilledWhileStarting(after) => {
                // The instant is random by intent; there is no state to wait for.
                thread::sleep(after);
                self.early_kills += 1;
            }
            End::KilledUnderLoad(acks, after) => {
                self.wait_until_served(acks)?;
                thread::sleep(after);
            }
            End::KilledWhileStopping(acks, after) => {
                self.wait_until_served(acks)?;
                self.stage.end_life();
                self.process.ask_to_stop();
                thread::sleep(after);
            }
            End::Stopped(acks) => {
                self.wait_until_served(acks)?;
                self.stop_cleanly();
                return self.start_cleanly();
            }
        }
        self.kill();
        self.start();
        Ok(())
    }

    fn start(&mut self) {
        let life = self.stage.begin_life(self.port);
        self.process = self.launcher.start(life.number, self.port);
    }

    fn kill(&mut self) {
        self.stage.end_life();
        self.kills += 1;
        if let Some(ground) = &self.launcher.ground {
            self.process.freeze();
            ground.cut();
            self.process.kill();
            ground.restore();
        } else {
            self.process.kill();
        }
        self.said_nothing_bad();
    }

    /// Waits for so many more acknowledgements. A broker that ends instead, or is not served again in time, is a finding.
    fn wait_until_served(&mut self, acks: u64) -> Result<(), Dead> {
        let elapsed = stopwatch();
        let before = self.stage.acked_records();
        let mut is_served = false;
        while self.stage.acked_records() < before + acks {
            let target = if is_served { before + acks } else { before + 1 };
            if self.stage.wait_for_acks(target, Duration::from_millis(200)) && !is_served {
                is_served = true;
                self.start_time = (self.start_time + elapsed().min(2 * self.start_time)) / 2;
            }
            if let Some(status) = self.process.ended() {
                let (said, _) = self.launcher.said_since(0);
                if said.lines().rev().take(5).any(|line| line.contains("in use")) {
                    self.port = free_port();
                    self.start();
                    continue;
                }
                let story = format!("the broker ended by itself with {status}: {}", tail(&said, 3));
                self.stage.find(Fault::NotServing, story);
                return Err(Dead);
            }
            if elapsed() > LIMIT * if self.stage.is_kafka { 10 } else { 1 } {
                let done = self.stage.acked_records() - before;
                let story = format!("{done} of {acks} records were acknowledged in {LIMIT:?} (I112)");
                self.stage.find(Fault::NotServing, story);
                return Err(Dead);
            }
        }
        Ok(())
    }

    fn stop_cleanly(&mut self) {
        self.stage.end_life();
        self.process.ask_to_stop();
        match self.process.wait(LIMIT) {
            Some(status) if status.success() || self.stage.is_kafka => {}
            Some(status) => self.stage.find(Fault::NotClean, format!("a stop on SIGTERM ended with {status}")),
            None => {
                self.stage.find(Fault::NotServing, format!("a stop on SIGTERM takes more than {LIMIT:?} (I115)"));
                self.process.kill();
            }
        }
        self.clean_stops += 1;
        self.said_nothing_bad();
        // What a clean stop leaves is on the disk.
        if let Some(ground) = &self.launcher.ground {
            ground.cut();
            ground.restore();
        }
    }

    /// A start that must find everything as it was left.
    fn start_cleanly(&mut self) -> Result<(), Dead> {
        let before = self.launcher.segments();
        self.start();
        self.wait_until_served(1)?;
        let now: BTreeMap<_, _> = self.launcher.segments().into_iter().collect();
        // A segment that is gone was trimmed, or its topic removed; one of a compacted topic may have been cleaned since.
        let is_shorter = |path: &PathBuf, len: &u64| now.get(path).is_some_and(|now| now < len);
        if let Some((path, len)) = before.iter().find(|(path, len)| is_shorter(path, len) && !may_be_cleaned(path)) {
            self.not_clean(&format!("{} had {len} bytes before the start", path.display()));
        }
        self.recovered_nothing();
        self.said_nothing_bad();
        Ok(())
    }

    fn recovered_nothing(&self) {
        let (said, _) = self.launcher.said_since(self.said);
        if said.contains("recovered after an unclean stop") {
            self.not_clean("the start after a clean stop recovers something (I12)");
        }
    }

    fn not_clean(&self, story: &str) {
        if !self.stage.is_kafka {
            self.stage.find(Fault::NotClean, story.to_owned());
        }
    }

    /// Reads what the broker wrote since the last time.
    fn said_nothing_bad(&mut self) {
        let (said, end) = self.launcher.said_since(self.said);
        self.said = end;
        let bad = said.lines().find(|line| line.contains("panicked at") || line.contains(" ERROR "));
        if let Some(line) = bad.filter(|_| !self.stage.is_kafka) {
            self.stage.find(Fault::Unexpected, format!("the broker says: {line}"));
        }
    }

    /// Everything is read and judged; after a clean stop and start it must be the same.
    fn judge(&mut self, sent: &[Sent]) -> Outcome {
        let stage = self.stage;
        let logs = self.read_everything();
        self.stop_cleanly();
        let before = self.settled_segments();
        self.start();
        let again = self.read_everything();
        for (place, (log, log_again)) in logs.iter().zip(&again).enumerate() {
            let known: BTreeSet<i64> = log.records.iter().map(|seen| seen.offset).collect();
            // The cleaner goes on, and only takes away.
            let is_less = log.is_compacted && log_again.records.iter().all(|seen| known.contains(&seen.offset));
            if log != log_again && !is_less {
                stage.find(Fault::Changed, format!("{place} is another log after a clean stop and start"));
            }
        }
        self.recovered_nothing();
        // Retention and the cleaner go on too, so segments may be gone.
        let now: BTreeMap<_, _> = self.settled_segments().into_iter().collect();
        if let Some((path, len)) = before.iter().find(|(path, len)| now.get(path).is_some_and(|now| now != len)) {
            self.not_clean(&format!("{} had {len} bytes before a start without writers", path.display()));
        }
        self.stop_cleanly();
        stage.end_all();
        let verdict = check(&again, sent, |id| stage.texts.key_of(id));
        let outcome = Outcome {
            acked_records: verdict.acked_records,
            trimmed_records: verdict.trimmed_records,
            superseded_records: verdict.superseded_records,
            unanswered_records: verdict.unanswered_records,
            lost: verdict.count(Fault::Lost),
            duplicated: verdict.count(Fault::Duplicated),
            reordered: verdict.count(Fault::Reordered),
            changed: verdict.count(Fault::Changed),
            seconds: 0,
        };
        verdict.findings.into_iter().for_each(|finding| stage.find(finding.fault, finding.story));
        outcome
    }

    /// Of the partitions that nobody but their clients writes to.
    fn settled_segments(&self) -> Vec<(PathBuf, u64)> {
        let settled = &PLACES[..usize::from(COMPACTED)];
        let of_place =
            |path: &Path| settled.iter().any(|(name, _)| path.to_string_lossy().contains(&format!("{name}-")));
        self.launcher.segments().into_iter().filter(|(path, _)| of_place(path)).collect()
    }

    /// All partitions, all committed offsets, all topics, in the present life.
    fn read_everything(&mut self) -> Vec<Read> {
        let stage = self.stage;
        let mut logs = Vec::new();
        stage.through_all_lives("last reader", |connection| {
            logs.clear();
            for place in 0..PLACES.len() as u16 {
                logs.push(readers::read_all(stage, connection, place)?);
            }
            for group in stage.commits.groups() {
                groups::find_coordinator(stage, connection, &group)?;
                let mut tries = 0;
                while groups::check_commits(stage, connection, &group, &groups::all_places())?.is_none() {
                    tries += 1;
                    if tries > 1_000 {
                        return Err(Lost::Silent("OffsetFetch"));
                    }
                }
            }
            topics::check_topics(stage, connection)
        });
        logs
    }

    pub fn conclude(&self, durability: &str, outcome: &Outcome) {
        let counts = &self.stage.counts;
        let get = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        println!(
            "kill loop, {durability}: also {} kills while starting, {} clean stops; {} records had no answer and are there, \
             {} were trimmed, {} compacted away; {} batches sent again, {} repeated on purpose; {} records read, {} of them again; \
             {} commits, {} generations, {} trims, {} topic changes",
            self.early_kills,
            self.clean_stops,
            outcome.unanswered_records,
            outcome.trimmed_records,
            outcome.superseded_records,
            get(&counts.retries),
            get(&counts.batches_repeated),
            get(&counts.records_read),
            get(&counts.offsets_read_again),
            get(&counts.commits_acked),
            get(&counts.generations),
            get(&counts.trims),
            get(&counts.topics_changed),
        );
        println!(
            "kill loop, {durability}: {} kills, {} acked records, {} lost, {} duplicated, {} reordered, {} changed, \
             {} committed offsets checked, {} findings in all, {} s, SEED={}",
            self.kills,
            outcome.acked_records,
            outcome.lost,
            outcome.duplicated,
            outcome.reordered,
            outcome.changed,
            get(&counts.commits_checked),
            self.stage.findings().len(),
            outcome.seconds,
            self.stage.seed,
        );
    }
}

/// Not one of those that the kernel gives to outgoing connections: those of other tests would take it between two lives.
/// It is tried without listening: a broker that is just being started beside this one inherits the socket for a moment, and
/// would answer for the broker that is to listen there.
/// Not the seed's: two runs of one seed at a time would send their clients to one broker.
fn free_port() -> u16 {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let mut dice = Dice::named(u64::from(std::process::id()), CALLS.fetch_add(1, Ordering::Relaxed));
    let mut ports = std::iter::repeat_with(|| 20_000 + dice.below(12_000) as u16);
    let is_free = |port: &u16| {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
        bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, *port))).is_ok()
    };
    ports.find(is_free).expect("one of so many ports is free")
}

pub fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// Does this file belong to a compacted topic?
fn may_be_cleaned(path: &Path) -> bool {
    let directory = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    directory.starts_with("latest-") || directory.starts_with("__consumer_offsets")
}
