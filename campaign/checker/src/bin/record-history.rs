//! `record-history --binary PATH [--count EVENTS] [--seed N] [--seconds N] [--kill-every-ms N] [--durability flush|page-cache]
//! [--keep DIRECTORY]`: real clients on a real broker that is killed, then the checker over all that they saw. Ends with a line of
//! JSON, and with 1 if something is wrong.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use milena_checker::anomaly::{Class, Rules};
use milena_checker::check::check;
use milena_checker::history::History;
use milena_checker::json;
use milena_checker::load::{Outcome, Plan, run};

fn main() -> ExitCode {
    let (plan, is_kept) = match arguments() {
        Ok(arguments) => arguments,
        Err(sentence) => {
            eprintln!("record-history: {sentence}");
            return ExitCode::from(2);
        }
    };
    let verdict = run(&plan).and_then(|outcome| judge(&plan, &outcome));
    let is_ok = match &verdict {
        Ok(is_ok) => *is_ok,
        Err(error) => {
            println!(
                r#"{{"tier":"history","unit":"record events","count":0,"seed":{},"result":"failed","figures":{{"error":{error:?}}}}}"#,
                plan.seed
            );
            false
        }
    };
    if is_ok && !is_kept {
        let _ = fs::remove_dir_all(&plan.directory);
    } else {
        eprintln!("everything stays in {}", plan.directory.display());
    }
    if is_ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn arguments() -> Result<(Plan, bool), String> {
    let mut plan = Plan {
        binary: PathBuf::from("target/release/milena"),
        directory: PathBuf::new(),
        durability: "flush".into(),
        seed: 1,
        events: 1_000_000,
        limit: Duration::from_secs(600),
        kill_every_ms: Some(4_000),
    };
    let mut words = std::env::args().skip(1);
    while let Some(option) = words.next() {
        let value = words.next().ok_or_else(|| format!("{option} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{option} {value}: not a number"));
        match option.as_str() {
            "--binary" => plan.binary = value.into(),
            "--count" => plan.events = number()?,
            "--seed" => plan.seed = number()?,
            "--seconds" => plan.limit = Duration::from_secs(number()?),
            "--kill-every-ms" => plan.kill_every_ms = Some(number()?).filter(|every| *every > 0),
            "--durability" => plan.durability = value,
            "--keep" => plan.directory = value.into(),
            _ => return Err(format!("unknown option {option}")),
        }
    }
    let is_kept = !plan.directory.as_os_str().is_empty();
    if !is_kept {
        plan.directory = std::env::temp_dir().join(format!("history-{}", std::process::id()));
    }
    fs::create_dir_all(&plan.directory).map_err(|error| format!("{}: {error}", plan.directory.display()))?;
    Ok((plan, is_kept))
}

fn judge(plan: &Plan, outcome: &Outcome) -> Result<bool, String> {
    let began = Instant::now();
    let mut history = History::default();
    for path in &outcome.files {
        let file = File::open(path).map_err(|error| error.to_string())?;
        json::read(&mut BufReader::with_capacity(1 << 20, file), &mut history)
            .map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let report = check(&history, &Rules::default());
    println!("{report}");
    let forbidden: u64 = Class::ALL.iter().map(|class| report.forbidden(*class)).sum();
    let is_ok = forbidden == 0 && outcome.findings.is_empty();
    println!(
        r#"{{"tier":"history","unit":"record events","count":{},"seed":{},"result":"{}","figures":{{"durability":"{}","kills":{},"operations":{},"values_committed":{},"values_read":{},"commits":{},"forbidden_anomalies":{forbidden},"other_findings":{},"load_seconds":{:.0},"check_seconds":{:.1}}}}}"#,
        report.events,
        plan.seed,
        if is_ok { "ok" } else { "failed" },
        plan.durability,
        outcome.kills,
        report.operations,
        report.values_committed,
        report.values_read,
        outcome.commits,
        outcome.findings.len(),
        outcome.seconds,
        began.elapsed().as_secs_f64()
    );
    Ok(is_ok)
}
