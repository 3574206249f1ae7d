//! One program for the tiers of the campaign that need a real process, a real kernel, or both. Each subcommand is one tier:
//! bounded, told its seed, and ending with one line of JSON that `scripts/campaign.sh` enters in the ledger.
//!
//! The clients and the judge are those of `tests/kill_loop`.

mod blocks;
#[path = "../../tests/kill_loop/broker.rs"]
#[allow(dead_code)]
mod broker;
#[path = "../../tests/kill_loop/check.rs"]
#[allow(dead_code)]
mod check;
#[path = "../../tests/kill_loop/client.rs"]
#[allow(dead_code)]
mod client;
#[path = "../../tests/kill_loop/dice.rs"]
#[allow(dead_code)]
mod dice;
#[path = "../../tests/kill_loop/groups.rs"]
#[allow(dead_code)]
mod groups;
mod image;
mod kills;
mod loss;
mod process;
#[path = "../../tests/kill_loop/producers.rs"]
#[allow(dead_code)]
mod producers;
#[path = "../../tests/kill_loop/readers.rs"]
#[allow(dead_code)]
mod readers;
#[path = "../../tests/kill_loop/records.rs"]
#[allow(dead_code)]
mod records;
#[path = "../../tests/kill_loop/run.rs"]
#[allow(dead_code)]
mod run;
mod soak;
#[path = "../../tests/kill_loop/stage.rs"]
#[allow(dead_code)]
mod stage;
#[path = "../../tests/kill_loop/topics.rs"]
#[allow(dead_code)]
mod topics;

use std::path::PathBuf;
use std::process::ExitCode;

const HELP: &str = "\
milena-campaign TIER [--binary PATH] [--seed N] [--count N] [--seconds N] [--out FILE]

  kills      SIGKILL under mixed load, half of them in each durability
  cuts-ext4  power cuts under mixed load
  cuts-xfs
  loss-kafka, loss-page-cache, loss-flush
             power cuts on ext4 under one and the same load; what was acknowledged and is gone is counted
  images     crash images at block level: lost, reordered and torn writes
  disk       a disk of --count MiB for faults.py, that fails when it is told to: no tier of its own
  soak       mixed load at a moderate rate for so many seconds: memory, descriptors and threads stay flat, nothing is lost
";

/// What every tier is told.
pub struct Orders {
    pub binary: PathBuf,
    pub seed: u64,
    pub count: u64,
    pub seconds: u64,
    /// Where the result goes besides standard output.
    pub out: Option<PathBuf>,
}

fn main() -> ExitCode {
    match orders() {
        Ok((tier, orders)) if tier == "disk" => blocks::failing::serve(orders.count),
        Ok((tier, orders)) => run_tier(&tier, &orders),
        Err(error) => {
            eprintln!("milena-campaign: {error}\n\n{HELP}");
            ExitCode::from(2)
        }
    }
}

fn orders() -> Result<(String, Orders), lexopt::Error> {
    use lexopt::prelude::*;
    let mut tier = None;
    let binary = PathBuf::from("target/release/milena");
    let mut orders = Orders { binary, seed: 0, count: 20, seconds: 60, out: None };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("binary") => orders.binary = parser.value()?.into(),
            Long("seed") => orders.seed = parser.value()?.parse()?,
            Long("count") => orders.count = parser.value()?.parse()?,
            Long("seconds") => orders.seconds = parser.value()?.parse()?,
            Long("out") => orders.out = Some(parser.value()?.into()),
            Value(word) if tier.is_none() => tier = Some(word.string()?),
            other => return Err(other.unexpected()),
        }
    }
    Ok((tier.ok_or("which tier?")?, orders))
}

fn run_tier(tier: &str, orders: &Orders) -> ExitCode {
    let result = match tier {
        "kills" => kills::kill(orders),
        "cuts-ext4" => kills::cut(orders, "ext4"),
        "cuts-xfs" => kills::cut(orders, "xfs"),
        "loss-kafka" => loss::run(orders, "kafka"),
        "loss-page-cache" => loss::run(orders, "page-cache"),
        "loss-flush" => loss::run(orders, "flush"),
        "images" => blocks::run(orders),
        "soak" => soak::run(orders),
        _ => {
            eprintln!("milena-campaign: no tier is called {tier}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    println!("{result}");
    if let Some(out) = &orders.out {
        std::fs::write(out, format!("{result}\n")).expect("the result can be written");
    }
    if result["result"] == "ok" { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
