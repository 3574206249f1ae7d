//! Runs simulation seeds, one after another, and prints one JSON line for each and one for all: `scripts/sim.sh` is the way
//! to call it. Ends with 1 at the first seed that breaks a promise, which it names, and if one of the faults never occurred.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use milena::testing::sim::{self, Report};

/// So many seeds have every fault, or there is something wrong with it.
const ENOUGH_SEEDS: u64 = 100;

struct Flags {
    first: u64,
    end: u64,
    seconds: u64,
    wall: Duration,
    json: Option<std::fs::File>,
    go_on: bool,
}

fn main() -> ExitCode {
    let mut flags = match flags() {
        Ok(flags) => flags,
        Err(why) => {
            eprintln!("simulate: {why}");
            return ExitCode::from(2);
        }
    };
    if std::env::var_os("RUST_LOG").is_some() {
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).without_time().init();
    }
    std::panic::set_hook(Box::new(|info| eprintln!("{info}")));
    if let Some(bug) = std::env::var_os("MILENA_BUG") {
        eprintln!("a bug of the zoo is at large: {}", bug.display());
    }
    let start = Instant::now();
    let mut failed = Vec::new();
    let mut total = Total::default();
    for seed in flags.first..flags.end {
        if start.elapsed() >= flags.wall {
            break;
        }
        // Said before, so that a crash of the simulation itself names its seed.
        eprint!("\rseed {seed} ");
        let begun = Instant::now();
        let report = sim::run(seed, flags.seconds);
        total.add(&report);
        write(&mut flags, &line(&report, begun.elapsed()));
        if let Some(what) = &report.violation {
            eprintln!("\nseed {seed} breaks a promise: {what}");
            eprintln!("again: scripts/sim.sh --seeds {seed}..{} --seconds {}", seed + 1, flags.seconds);
            failed.push(seed);
            if !flags.go_on {
                break;
            }
        }
    }
    eprintln!();
    let absent = total.tell(start.elapsed());
    eprintln!("failed seeds: {failed:?}");
    let lacks_a_fault = total.seeds >= ENOUGH_SEEDS && !absent.is_empty();
    if failed.is_empty() && !lacks_a_fault { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What all seeds did together.
#[derive(Default)]
struct Total {
    seeds: u64,
    simulated_ms: u64,
    counts: BTreeMap<&'static str, u64>,
}

impl Total {
    fn add(&mut self, report: &Report) {
        (self.seeds, self.simulated_ms) = (self.seeds + 1, self.simulated_ms + report.simulated_ms);
        for (what, count) in &report.counts {
            *self.counts.entry(what).or_default() += count;
        }
    }

    fn count(&self, what: &str) -> u64 {
        self.counts.get(what).copied().unwrap_or(0)
    }

    /// Prints it; which faults never occurred.
    fn tell(&self, wall: Duration) -> Vec<&'static str> {
        let (hours, wall) = (self.simulated_ms as f64 / 3_600_000.0, wall.as_secs_f64());
        let speed = self.simulated_ms as f64 / 1000.0 / wall;
        eprintln!("{} seeds, {hours:.2} simulated hours in {wall:.1} s, {speed:.0} times as fast as time", self.seeds);
        let per_hour = |what: &&str| format!("{what} {:.0}", self.count(what) as f64 / hours);
        let work = ["records acked", "records read", "rebalances", "commits", "answers", "audits"];
        eprintln!("per hour: {}", work.iter().map(per_hour).collect::<Vec<_>>().join(", "));
        eprintln!("faults per hour: {}", sim::FAULTS.iter().map(per_hour).collect::<Vec<_>>().join(", "));
        let absent: Vec<&str> = sim::FAULTS.iter().copied().filter(|what| self.count(what) == 0).collect();
        if !absent.is_empty() {
            eprintln!("faults that never occurred: {absent:?}");
        }
        absent
    }
}

fn line(report: &Report, took: Duration) -> String {
    let counts: Vec<String> = report.counts.iter().map(|(what, count)| format!("\"{what}\":{count}")).collect();
    let violation = report.violation.as_ref().map_or("null".to_owned(), |what| format!("{what:?}"));
    format!(
        "{{\"seed\":{},\"simulated_seconds\":{:.1},\"wall_seconds\":{:.3},\"steps\":{},\"trace\":\"{:016x}\",\"counts\":{{{}}},\"violation\":{violation}}}",
        report.seed,
        report.simulated_ms as f64 / 1000.0,
        took.as_secs_f64(),
        report.steps,
        report.trace,
        counts.join(",")
    )
}

fn write(flags: &mut Flags, line: &str) {
    println!("{line}");
    if let Some(file) = &mut flags.json {
        writeln!(file, "{line}").expect("the JSON file can be written");
    }
}

/// Without any, as `cargo test` calls it: a few seeds.
fn flags() -> Result<Flags, String> {
    let mut flags =
        Flags { first: 0, end: 5, seconds: 60, wall: Duration::from_secs(86_400), json: None, go_on: false };
    let mut arguments = std::env::args().skip(1);
    while let Some(flag) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{flag} needs a value"));
        let number = |text: String| text.parse::<u64>().map_err(|_| format!("{text} is not a number"));
        match flag.as_str() {
            "--seeds" => {
                let range = value()?;
                let (first, end) = range.split_once("..").ok_or_else(|| format!("{range} is not A..B"))?;
                (flags.first, flags.end) = (number(first.to_owned())?, number(end.to_owned())?);
            }
            "--seconds" => flags.seconds = number(value()?)?,
            "--wall" => flags.wall = Duration::from_secs(number(value()?)?),
            "--json" => {
                let path = value()?;
                let opened = std::fs::OpenOptions::new().create(true).append(true).open(&path);
                flags.json = Some(opened.map_err(|error| format!("{path}: {error}"))?);
            }
            "--go-on" => flags.go_on = true,
            // What `cargo test` hands to every test.
            _ => {}
        }
    }
    Ok(flags)
}
