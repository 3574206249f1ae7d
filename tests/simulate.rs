//! Runs simulation seeds, one after another, and prints one JSON line for each and one for all: `scripts/sim.sh` is the way
//! to call it. Ends with 1 at the first seed that breaks a promise, which it names.

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use milena::testing::sim::{self, Report};

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
    let start = Instant::now();
    let (mut failed, mut simulated_ms, mut seeds) = (Vec::new(), 0, 0);
    for seed in flags.first..flags.end {
        if start.elapsed() >= flags.wall {
            break;
        }
        // Said before, so that a crash of the simulation itself names its seed.
        eprint!("\rseed {seed} ");
        let begun = Instant::now();
        let report = sim::run(seed, flags.seconds);
        (simulated_ms, seeds) = (simulated_ms + report.simulated_ms, seeds + 1);
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
    let (hours, wall) = (simulated_ms as f64 / 3_600_000.0, start.elapsed().as_secs_f64());
    eprintln!("\n{seeds} seeds, {hours:.2} simulated hours in {wall:.1} s, failed: {failed:?}");
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
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
