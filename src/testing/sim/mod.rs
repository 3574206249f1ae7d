//! A whole broker in one thread, from a seed: the handlers, coordinators, machines, partitions and logs of the program, over
//! a disk, a clock and a network that are simulated, with clients that speak the protocol and faults that the seed chooses.
//!
//! ```text
//! seed ─ plan ─┬─ life ─ crash ─ life ─ crash ─ … ─ life ─ healed: all works again ─ stopped, opened, looked through
//!              │   a broker with its tasks, the clients of the run on new connections, the chaos
//!              └─ world: what clients know and may never see otherwise (history), the trace
//! ```
//! One runtime with paused time per life: tasks run in the order in which they were woken, and time moves when all of them
//! wait. The broker's threads are tasks here that take the same steps ([`crate::broker::steps`]). A crash is a disk that dies
//! with its n-th operation: from there nothing is written and nothing leaves; the next life starts from an image of that disk
//! with unflushed writes kept, lost, torn, or zeros.
//!
//! Every operation on the disk and every byte on the network goes into a trace hash. The same seed gives the same hash
//! (I116); a violation names its seed, and `SEED=n` repeats it.

mod admin;
mod audit;
mod caller;
mod chaos;
mod churn;
mod clock;
mod codes;
mod groups;
mod history;
mod life;
mod member;
mod network;
mod plan;
mod producer;
mod reader;
mod world;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::testing::disk::{Crashes, Cut, Image, SimDisk};
use crate::testing::seed::Seed;

use admin::Admin;
use churn::Churn;
use life::{Actor, End};
use member::Member;
use plan::Plan;
use producer::Producer;
use reader::Reader;
use world::World;

/// The faults, by the names under which a report counts how often each occurred.
pub const FAULTS: &[&str] = &[
    "crashes",
    "crashes in recovery",
    "restarts",
    "writes lost",
    "writes torn",
    "writes zeroed",
    "writes reordered",
    "names lost",
    "failed flushes",
    "full disk",
    "slow flushes",
    "clock jumps",
    "cuts",
    "stalls",
    "delayed connections",
    "deaths of members",
    "silent members",
    "retries",
    "repeats",
    "zombies",
];

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    pub seed: u64,
    pub simulated_ms: u64,
    pub steps: u64,
    pub trace: u64,
    /// How often what happened: answers, records, crashes and other faults.
    pub counts: BTreeMap<&'static str, u64>,
    pub violation: Option<String>,
}

/// Runs a seed for so many simulated seconds.
pub fn run(seed: u64, seconds: u64) -> Report {
    carry_out(Plan::new(seed, seconds))
}

/// The same with every fault there is, whatever the seed would have chosen.
#[cfg(test)]
fn run_with_every_fault(seed: u64, seconds: u64) -> Report {
    carry_out(Plan::new(seed, seconds).with_every_fault())
}

fn carry_out(plan: Plan) -> Report {
    let (seed, seconds) = (plan.seed, plan.seconds);
    let world = Arc::new(World::new(plan));
    let actors = actors(&world);
    let mut dice = world.fork();
    let mut image = Image::default();
    while world.elapsed_ms() < seconds * 1000 && world.violation().is_none() {
        image = live(&world, &actors, image, &mut dice, false);
    }
    // The operator comes: a restart on a healthy disk, after which all must work again (I112), then a clean stop, and a
    // power cut behind it that may change nothing (I12).
    for _ in 0..2 {
        if world.violation().is_none() {
            image = live(&world, &actors, image, &mut dice, true);
        }
    }
    Report {
        seed,
        simulated_ms: world.elapsed_ms(),
        steps: world.steps(),
        trace: world.trace_hash(),
        counts: world.counts(),
        violation: world.violation(),
    }
}

fn actors(world: &Arc<World>) -> Vec<Arc<dyn Actor>> {
    let mut actors: Vec<Arc<dyn Actor>> = Vec::new();
    for number in 0..world.plan.producers {
        actors.push(Arc::new(Producer::new(world, number)));
    }
    for _ in 0..world.plan.readers {
        actors.push(Arc::new(Reader::new(world)));
    }
    for (group, members) in world.plan.groups.iter().enumerate() {
        for _ in 0..*members {
            actors.push(Arc::new(Member::new(world, format!("group-{group}"))));
        }
    }
    actors.push(Arc::new(Admin::new(world)));
    actors.push(Arc::new(Churn::new(world)));
    actors
}

/// One life of the broker; what it leaves on the disk.
fn live(world: &Arc<World>, actors: &[Arc<dyn Actor>], image: Image, dice: &mut Seed, healthy: bool) -> Image {
    let disk = SimDisk::from_image(image.clone());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime of one thread needs nothing that may be missing");
    let end = runtime.block_on(life::run(world.clone(), actors, disk.clone(), dice.fork(), healthy));
    // Whatever the broker still held ends here, as with a process.
    drop(runtime);
    tell(world, &disk, &end);
    let cut = match end {
        End::Crashed if !world.plan.durable => Cut::Killed,
        End::Crashed => power_cut(dice),
        End::Stopped if world.plan.durable => Cut::LoseAll,
        End::Stopped => Cut::Killed,
        End::Refused(why) => {
            world.violated(format!("I112: the broker does not start: {why}"));
            Cut::Killed
        }
    };
    let ops = disk.take_ops();
    let mut crashes = Crashes::new(image, &ops);
    while crashes.advance() {}
    let (mut left, losses) = crashes.cut(&cut);
    world.count("writes lost", losses.lost);
    world.count("writes torn", losses.torn);
    world.count("writes zeroed", losses.zeroed);
    world.count("writes reordered", losses.reordered);
    world.count("names lost", losses.names);
    left.set(Path::new("/data/.lock"), None);
    left
}

/// Counts what happened to a life and its disk.
fn tell(world: &World, disk: &SimDisk, end: &End) {
    world.count("crashes", u64::from(matches!(end, End::Crashed) && world.violation().is_none()));
    let failures = disk.failures();
    world.count("full disk", failures.full);
    world.count("failed flushes", failures.flushes);
}

fn power_cut(dice: &mut Seed) -> Cut {
    match dice.below(10) {
        0 => Cut::LoseAll,
        1 | 2 => Cut::LoseData,
        3 => Cut::LoseNames,
        4 => Cut::Half,
        5 => Cut::LastOnly,
        6 => Cut::Killed,
        _ => Cut::Random(dice.fork()),
    }
}
