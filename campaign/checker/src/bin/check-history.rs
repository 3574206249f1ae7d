//! `check-history [--plain] [--uncommitted] [--exactly-once] [--write-order] FILE…`: what is wrong with the histories in these
//! files, by class, and how long it took to see. `-` is standard input. Ends with 1 if something forbidden was found.

use std::fs::File;
use std::io::{BufRead, BufReader, stdin};
use std::process::ExitCode;
use std::time::Instant;

use milena_checker::anomaly::{Class, Report, Rules};
use milena_checker::check::check;
use milena_checker::history::History;
use milena_checker::json;

fn main() -> ExitCode {
    let (mut rules, mut files) = (Rules::default(), Vec::new());
    for word in std::env::args().skip(1) {
        match word.as_str() {
            "--plain" => rules.idempotent = false,
            "--uncommitted" => rules.read_committed = false,
            "--exactly-once" => rules.exactly_once = true,
            "--write-order" => rules.write_order = true,
            option if option.starts_with("--") => return complain(&format!("unknown option {option}")),
            file => files.push(file.to_owned()),
        }
    }
    if files.is_empty() {
        return complain("name the files with the histories");
    }
    let mut is_clean = true;
    for file in &files {
        match judge(file, &rules) {
            Ok(report) => is_clean &= report.is_clean(),
            Err(error) => return complain(&format!("{file}: {error}")),
        }
    }
    if is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn judge(file: &str, rules: &Rules) -> Result<Report, String> {
    let mut input: Box<dyn BufRead> = match file {
        "-" => Box::new(stdin().lock()),
        file => Box::new(BufReader::with_capacity(1 << 20, File::open(file).map_err(|error| error.to_string())?)),
    };
    let mut history = History::default();
    let began = Instant::now();
    json::read(&mut *input, &mut history)?;
    let read = began.elapsed();
    let report = check(&history, rules);
    let checked = began.elapsed() - read;
    print!("{file}: {report}");
    let forbidden: u64 = Class::ALL.iter().map(|class| report.forbidden(*class)).sum();
    println!(
        r#"{{"kind":"history","events":{},"operations":{},"forbidden":{forbidden},"read_seconds":{:.2},"check_seconds":{:.2},"cpu_seconds":{:.2}}}"#,
        report.events,
        report.operations,
        read.as_secs_f64(),
        checked.as_secs_f64(),
        cpu_seconds()
    );
    Ok(report)
}

/// What this process has had of a processor, which on a busy machine is less than the time that went by.
fn cpu_seconds() -> f64 {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let words = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    // User and system time, counted from the state behind the name.
    words.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS_PER_SECOND
}

fn complain(sentence: &str) -> ExitCode {
    eprintln!("check-history: {sentence}");
    ExitCode::from(2)
}
