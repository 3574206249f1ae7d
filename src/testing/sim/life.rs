//! One life of the broker in a simulation: opened on what the last one left, served, stepped, tormented, and ended by a
//! crash or a clean stop.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::api::Front;
use crate::broker::steps::Rounds;
use crate::broker::{Broker, tasks};
use crate::net::BoxFuture;
use crate::net::budget::Memory;
use crate::net::connection::ConnectionLimits;
use crate::net::deadlines::Patience;
use crate::net::listener::{Door, ListenerLimits};
use crate::testing::disk::{Op, SimDisk};
use crate::testing::seed::Seed;

use super::caller::{Caller, Lost};
use super::clock::{BEGIN_MS, SimClock};
use super::network::{BrokerEnd, Link};
use super::world::World;
use super::{audit, chaos};

/// A client that lives on while brokers come and go.
pub trait Actor: Send + Sync {
    /// Works on one connection until that is lost; dropped with the life, at any `await`.
    fn session<'a>(&'a self, life: &'a Arc<Life>, caller: &'a mut Caller) -> BoxFuture<'a, Result<(), Lost>>;

    /// How long it waits until it connects again.
    fn pause_ms(&self, life: &Life) -> u64;

    /// Does what is on its way end with the connection? Where it must not arrive behind what comes next.
    fn hangs_up(&self) -> bool {
        false
    }

    /// How much it got done; must grow when nothing is wrong (I112).
    fn progress(&self) -> u64;

    fn name(&self) -> String;
}

/// One connection after the other, until the life ends.
async fn act(actor: Arc<dyn Actor>, life: Arc<Life>) {
    loop {
        let mut caller = Caller::connect(&life);
        // Whatever it was that ended the connection: a client goes on.
        let _ = actor.session(&life, &mut caller).await;
        if actor.hangs_up() {
            caller.hang_up();
        }
        drop(caller);
        tokio::time::sleep(Duration::from_millis(actor.pause_ms(&life))).await;
    }
}

/// How a life ended.
#[derive(Debug)]
pub enum End {
    Crashed,
    Stopped,
    /// It never began, and no fault was at work.
    Refused(String),
}

pub struct Life {
    pub world: Arc<World>,
    pub broker: Arc<Broker>,
    pub disk: SimDisk,
    pub clock: Arc<SimClock>,
    pub pulse: Arc<Pulse>,
    door: Arc<Door<Front>>,
    links: Mutex<Vec<Weak<Link>>>,
    dice: Mutex<Seed>,
    /// No faults: clients behave, and all must work.
    pub healthy: bool,
    _shutdown: watch::Sender<bool>,
    /// How long a flush takes at most now.
    pub flush_ms: AtomicU64,
}

/// What the disk tells of itself.
#[derive(Default)]
pub struct Pulse {
    /// Something was written: there may be something to flush.
    pub wrote: Notify,
    pub died: Notify,
    pub is_dead: AtomicBool,
}

/// How long after the last fault everything must work again (I112).
const HEALED_WITHIN: Duration = Duration::from_secs(30);

pub async fn run(world: Arc<World>, actors: &[Arc<dyn Actor>], disk: SimDisk, mut dice: Seed, healthy: bool) -> End {
    let clock = Arc::new(SimClock::new(world.elapsed_ms(), world.jumped_ms(), dice.fork()));
    let end = attempt(&world, actors, disk, dice, healthy, &clock).await;
    world.lived(clock.elapsed_ms().max(1));
    end
}

async fn attempt(
    world: &Arc<World>,
    actors: &[Arc<dyn Actor>],
    disk: SimDisk,
    mut dice: Seed,
    healthy: bool,
    clock: &Arc<SimClock>,
) -> End {
    let pulse = watch_disk(world, &disk, clock);
    if !healthy && world.plan.faults.crash_every_ms > 0 && dice.one_in(4) {
        // Recovery itself is interrupted (I11).
        disk.die_after(dice.below(60));
    }
    let opened = Broker::open(world.plan.settings.clone(), Arc::new(disk.clone()), clock.clone());
    let broker = match opened {
        _ if disk.is_dead() => {
            world.count("crashes in recovery", 1);
            return End::Crashed;
        }
        Ok(broker) => broker,
        Err(error) => return End::Refused(error.to_string()),
    };
    let life = Arc::new(Life::new(world, broker, disk, clock, pulse, dice.fork(), healthy));
    life.clone().take_steps();
    let ended = tokio::select! {
        biased;
        () = life.pulse.died.notified() => return End::Crashed,
        () = world.alarm.notified() => return End::Crashed,
        ended = life.clone().pass(actors, dice, healthy) => ended,
    };
    if let Err(why) = ended {
        return if life.disk.is_dead() { End::Crashed } else { End::Refused(why) };
    }
    life.broker.stop();
    if life.disk.is_dead() { End::Crashed } else { End::Stopped }
}

fn watch_disk(world: &Arc<World>, disk: &SimDisk, clock: &Arc<SimClock>) -> Arc<Pulse> {
    let pulse = Arc::new(Pulse::default());
    let (told, world, clock) = (pulse.clone(), world.clone(), clock.clone());
    disk.watch(Arc::new(move |op: Option<&Op>| match op {
        Some(op) => {
            let (kind, bytes): (u64, &[u8]) = match op {
                Op::Write { file, at, bytes } => (1 + ((*file as u64) << 8) + (at << 20), bytes),
                Op::Link(path, _) | Op::Unlink(path) | Op::MakeDir(path) | Op::SyncDir(path) => {
                    (2, path.as_os_str().as_encoded_bytes())
                }
                Op::Rename { to, .. } => (3, to.as_os_str().as_encoded_bytes()),
                Op::Sync(file) => (4 + ((*file as u64) << 8), &[]),
                Op::SetLen { file, len } => (5 + ((*file as u64) << 8) + (len << 20), &[]),
                Op::SyncFailed(_) | Op::SyncAll => (6, &[]),
            };
            world.trace(kind ^ (clock.elapsed_ms() << 32), bytes);
            told.wrote.notify_one();
        }
        None => {
            told.is_dead.store(true, Ordering::SeqCst);
            told.died.notify_one();
        }
    }));
    pulse
}

impl Life {
    fn new(
        world: &Arc<World>,
        broker: Arc<Broker>,
        disk: SimDisk,
        clock: &Arc<SimClock>,
        pulse: Arc<Pulse>,
        dice: Seed,
        healthy: bool,
    ) -> Life {
        let (shutdown, stopping) = watch::channel(false);
        let net = &broker.settings.net;
        let patience = Duration::from_secs(30);
        let limits = ListenerLimits {
            connection: ConnectionLimits {
                max_frame_bytes: net.socket_request_max_bytes,
                max_in_flight: 8,
                patience: Patience {
                    first_request: patience,
                    request: patience,
                    idle: net.connections_max_idle_ms.map_or(Duration::MAX, Duration::from_millis),
                },
                memory: Memory::new(&broker.settings.memory, None),
            },
            max_connections: 1000,
            max_connections_reason: "a simulation has no more",
            max_connections_per_ip: 1000,
            max_connections_of: HashMap::new(),
            max_creation_rate: u32::MAX,
        };
        let spawn = tasks::connections(broker.metrics.clone());
        let front = Arc::new(Front { broker: broker.clone() });
        let door = Door::new(front, limits, broker.metrics.clone(), spawn, stopping);
        Life {
            world: world.clone(),
            broker,
            disk,
            clock: clock.clone(),
            pulse,
            door,
            links: Mutex::default(),
            dice: Mutex::new(dice),
            healthy,
            _shutdown: shutdown,
            flush_ms: AtomicU64::new(3),
        }
    }

    /// A new connection to the broker.
    pub fn connect(&self) -> Arc<Link> {
        let mut links = self.links.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        links.retain(|link| link.strong_count() > 0);
        let (world, clock, pulse) = (self.world.clone(), self.clock.clone(), self.pulse.clone());
        self.world.count("connections", 1);
        let number = self.roll(u64::MAX);
        let witness = move |number: u64, to_broker: bool, bytes: &[u8]| {
            if !pulse.is_dead.load(Ordering::SeqCst) {
                world.trace(number ^ u64::from(to_broker) ^ (clock.elapsed_ms() << 32), bytes);
            }
        };
        let link = Link::new(number, self.fork(), Arc::new(witness), self.pulse.clone());
        self.world.count("delayed connections", u64::from(link.is_slow()));
        links.push(Arc::downgrade(&link));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1024 + links.len() as u16));
        self.door.admit(BrokerEnd(link.clone()), address, 0);
        link
    }

    /// The connections that are open.
    pub fn links(&self) -> Vec<Arc<Link>> {
        let links = self.links.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        links.iter().filter_map(Weak::upgrade).collect()
    }

    pub fn roll(&self, end: u64) -> u64 {
        self.dice.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).below(end)
    }

    pub fn fork(&self) -> Seed {
        self.dice.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).fork()
    }

    /// How often the disk could not do what it was asked in this life: what rests in memory only may be forgotten then.
    pub fn disk_failures(&self) -> u64 {
        let failures = self.disk.failures();
        failures.full + failures.flushes
    }

    /// Milliseconds since the simulation began.
    pub fn now_ms(&self) -> u64 {
        self.world.elapsed_ms() + self.clock.elapsed_ms()
    }

    /// What a client's own clock shows: right, whatever the broker's does.
    pub fn client_ms(&self) -> i64 {
        BEGIN_MS + self.now_ms() as i64
    }

    /// The latest that the broker's wall clock can have shown so far.
    pub fn wall_at_most_ms(&self) -> i64 {
        self.client_ms() + self.world.max_jumped_ms()
    }

    /// What the broker's threads do, as tasks.
    fn take_steps(self: Arc<Self>) {
        tasks::organ("flusher", self.clone().flush_steps());
        let housekeeping = self.clone();
        tasks::organ("housekeeping", async move {
            let mut rounds = Rounds::new(&housekeeping.broker);
            loop {
                tokio::time::sleep(Duration::from_millis(500)).await;
                housekeeping.broker.housekeep(&mut rounds);
                housekeeping.pulse.wrote.notify_one();
                housekeeping.check();
            }
        });
        tasks::organ("cleaner", async move {
            loop {
                let backoff = self.broker.partitions.cleaner_settings().backoff_ms;
                tokio::time::sleep(Duration::from_millis(backoff)).await;
                while self.broker.clean() {
                    self.world.count("cleanings", 1);
                }
            }
        });
    }

    async fn flush_steps(self: Arc<Self>) {
        loop {
            self.pulse.wrote.notified().await;
            while let Some(begun) = self.broker.begin_flush() {
                let takes = Duration::from_millis(self.roll(self.flush_ms.load(Ordering::SeqCst) + 1));
                // A flush covers what was written before it began for certain, and some of what comes while it runs.
                if self.roll(2) == 0 {
                    let flushed = self.broker.flush(begun);
                    tokio::time::sleep(takes).await;
                    self.broker.end_flush(flushed);
                } else {
                    tokio::time::sleep(takes).await;
                    let flushed = self.broker.flush(begun);
                    self.broker.end_flush(flushed);
                }
                self.world.count("flushes", 1);
                self.world.count("slow flushes", u64::from(takes > Duration::from_millis(50)));
                self.check();
            }
        }
    }

    /// What must be true at every moment.
    pub fn check(&self) {
        if self.pulse.is_dead.load(Ordering::SeqCst) {
            return;
        }
        for partition in self.broker.every_partition() {
            let offsets = partition.look(None, |log| {
                let high = partition.high_watermark();
                Ok(Some([log.log_start_offset(), log.last_stable_offset(high), high, log.log_end_offset()]))
            });
            if let Ok(Some(offsets)) = offsets {
                self.world.mark((partition.topic_id, partition.name.partition), &partition.name, offsets);
            }
        }
        if self.broker.metrics.connection_panics.get() > 0 {
            self.world.violated("I114: a connection panicked".into());
        }
    }

    /// Start, look through what is there, let the clients in, torment.
    async fn pass(self: Arc<Self>, actors: &[Arc<dyn Actor>], dice: Seed, healthy: bool) -> Result<(), String> {
        self.broker.start(vec![9092]).await.map_err(|error| error.to_string())?;
        self.check();
        self.world.groups(|groups| {
            groups.restarted();
            Ok(())
        });
        audit::prepare(&self).await?;
        audit::look_through(&self).await?;
        let before: Vec<u64> = actors.iter().map(|actor| actor.progress()).collect();
        for actor in actors {
            tasks::organ("client", act(actor.clone(), self.clone()));
        }
        if !healthy {
            chaos::torment(&self, dice).await;
            return Ok(());
        }
        tokio::time::sleep(HEALED_WITHIN).await;
        for (actor, before) in actors.iter().zip(before) {
            if actor.progress() == before {
                self.world.violated(format!("I112: {} got nothing done in {HEALED_WITHIN:?}", actor.name()));
            }
        }
        audit::look_through(&self).await
    }
}
