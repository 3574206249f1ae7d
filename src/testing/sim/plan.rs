//! What a seed decides before anything runs: settings, topics, clients, and which faults there will be. Each run has some
//! faults and not others, so that none hides what another would show.

use super::history::Place;
use crate::config::{Durability, Settings, Sources};
use crate::testing::seed::Seed;

#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub seconds: u64,
    /// Acknowledge and show only what is flushed. Without it only the process dies, never the machine.
    pub durable: bool,
    pub topics: Vec<TopicPlan>,
    pub faults: Faults,
    pub producers: u32,
    pub readers: u32,
    /// How many members each group has.
    pub groups: Vec<u32>,
    pub settings: Settings,
}

#[derive(Clone, Debug)]
pub struct TopicPlan {
    pub name: String,
    pub partitions: i32,
    pub configs: Vec<(&'static str, String)>,
    pub compacted: bool,
    pub retention_ms: Option<u64>,
}

/// Which faults a run has.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    /// The mean time between two crashes; 0 for none.
    pub crash_every_ms: u64,
    pub cuts: bool,
    pub stalls: bool,
    pub slow_disk: bool,
    pub full_disk: bool,
    pub failed_flush: bool,
    pub clock_jumps: bool,
}

impl Plan {
    pub fn new(seed: u64, seconds: u64) -> Plan {
        let mut dice = Seed::new(seed);
        let durable = !dice.one_in(5);
        let topics = topics(&mut dice);
        let mut coin = |times| dice.one_in(times);
        let faults = Faults {
            crash_every_ms: 0,
            cuts: !coin(3),
            stalls: coin(2),
            slow_disk: coin(2),
            full_disk: coin(3),
            // Where answers do not wait for the flush they rest on the page cache, of which a failed flush may lose what it
            // likes: nothing is promised then.
            failed_flush: coin(3) && durable,
            clock_jumps: coin(3),
        };
        let crash_every_ms = [0, 5_000, 20_000, 60_000][dice.below(4) as usize];
        let overrides = overrides(&mut dice, durable);
        let (producers, readers) = (2 + dice.below(3) as u32, 1 + dice.below(3) as u32);
        let groups = (0..dice.below(3)).map(|_| 1 + dice.below(4) as u32).collect();
        Plan {
            seed,
            seconds,
            durable,
            topics,
            faults: Faults { crash_every_ms, ..faults },
            producers,
            readers,
            groups,
            settings: settings(overrides, durable),
        }
    }

    #[cfg(test)]
    pub fn with_every_fault(self) -> Plan {
        let faults = Faults {
            // Often enough for every kind of loss, and seldom enough for what takes its time, as zombies do.
            crash_every_ms: [4_000, 20_000][self.seed as usize % 2],
            cuts: true,
            stalls: true,
            slow_disk: true,
            full_disk: true,
            failed_flush: self.durable,
            clock_jumps: true,
        };
        Plan { faults, groups: vec![3, 2], ..self }
    }

    /// Every partition of every topic.
    pub fn places(&self) -> impl Iterator<Item = Place> {
        let topics = self.topics.iter().enumerate();
        topics.flat_map(|(number, topic)| (0..topic.partitions).map(move |partition| (number as u32, partition)))
    }

    pub fn topic(&self, number: u32) -> &TopicPlan {
        &self.topics[number as usize]
    }
}

fn settings(overrides: Vec<String>, durable: bool) -> Settings {
    let sources = Sources { overrides, host_name: "localhost".into(), ..Sources::default() };
    let settings = Settings::load(&sources).unwrap_or_else(|refusals| panic!("{refusals:?}"));
    assert_eq!(settings.storage.durability == Durability::Flush, durable);
    settings
}

fn overrides(dice: &mut Seed, durable: bool) -> Vec<String> {
    let mut pick = |name: &str, values: &[&str]| format!("{name}={}", values[dice.below(values.len() as u64) as usize]);
    vec![
        "listeners=PLAINTEXT://127.0.0.1:9092".into(),
        "log.dirs=/data".into(),
        format!("milena.durability={}", if durable { "flush" } else { "page-cache" }),
        pick("log.flush.offset.checkpoint.interval.ms", &["2000", "20000", "60000"]),
        pick("log.retention.check.interval.ms", &["1000", "10000"]),
        pick("log.cleaner.backoff.ms", &["500", "3000", "15000"]),
        pick("offsets.topic.num.partitions", &["1", "4"]),
        pick("metadata.log.max.record.bytes.between.snapshots", &["3000", "20000", "1000000"]),
        pick("connections.max.idle.ms", &["10000", "600000"]),
        pick("group.initial.rebalance.delay.ms", &["0", "1000"]),
        pick("milena.recovery.max.bytes", &["4000", "30000", "536870912"]),
        "offsets.retention.minutes=1".into(),
        "offsets.retention.check.interval.ms=5000".into(),
        "log.message.timestamp.after.max.ms=9223372036854775807".into(),
        "auto.create.topics.enable=false".into(),
        // The default follows the machine.
        "milena.memory.max.bytes=268435456".into(),
    ]
}

fn topics(dice: &mut Seed) -> Vec<TopicPlan> {
    let count = 2 + dice.below(3);
    (0..count)
        .map(|number| {
            let kind = if number == 0 { 0 } else { dice.below(3) };
            let segment = [1_500, 6_000, 50_000][dice.below(3) as usize];
            let mut configs = vec![
                ("internal.segment.bytes", format!("{segment}")),
                ("index.interval.bytes", ["200", "4096"][dice.below(2) as usize].to_owned()),
            ];
            let retention_ms = (kind == 1).then(|| [10_000, 60_000][dice.below(2) as usize]);
            configs.push(("retention.ms", retention_ms.map_or("-1".into(), |ms| ms.to_string())));
            if kind == 2 {
                configs.push(("cleanup.policy", "compact".into()));
                configs.push(("min.cleanable.dirty.ratio", ["0.01", "0.5"][dice.below(2) as usize].into()));
            }
            if dice.one_in(4) {
                configs.push(("segment.ms", "5000".into()));
            }
            TopicPlan {
                name: format!("topic-{number}"),
                partitions: 1 + dice.below(3) as i32,
                configs,
                compacted: kind == 2,
                retention_ms,
            }
        })
        .collect()
}
