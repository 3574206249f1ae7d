//! `generate-history [--events N] [--seed N] [--keys N] [--processes N] [--plant CLASS]`: writes a history that is right, or has
//! one fault, to standard output.

use std::io::{BufWriter, Write, stdout};
use std::process::ExitCode;

use milena_checker::anomaly::Class;
use milena_checker::faults::plant;
use milena_checker::generate::{Shape, generate, operations};
use milena_checker::history::{Operation, write_completion, write_invocation};
use milena_checker::random::Random;

fn main() -> ExitCode {
    let mut shape = Shape { seed: 1, events: 100_000, keys: 16, processes: 20 };
    let mut planted = None;
    let mut words = std::env::args().skip(1);
    while let Some(option) = words.next() {
        let value = words.next().unwrap_or_default();
        let number = value.parse::<u64>().ok();
        match (option.as_str(), number) {
            ("--events", Some(number)) => shape.events = number as usize,
            ("--seed", Some(number)) => shape.seed = number,
            ("--keys", Some(number)) if (1..1_000).contains(&number) => shape.keys = number as u32,
            ("--processes", Some(number)) if (1..10_000).contains(&number) => shape.processes = number as u32,
            ("--plant", _) if Class::ALL.iter().any(|class| class.name() == value) => {
                planted = Class::ALL.into_iter().find(|class| class.name() == value);
            }
            _ => {
                eprintln!("generate-history: {option} {value} is no option with a value it can have");
                return ExitCode::from(2);
            }
        }
    }
    let mut out = BufWriter::with_capacity(1 << 20, stdout().lock());
    let mut lines = String::new();
    let mut write = |operation: &Operation| {
        lines.clear();
        write_invocation(&mut lines, operation);
        write_completion(&mut lines, operation);
        out.write_all(lines.as_bytes()).expect("standard output takes the history");
    };
    match planted {
        None => generate(&shape, &mut |operation| write(&operation)),
        Some(class) => {
            let mut all = operations(&shape);
            plant(class, &mut all, &mut Random::new(shape.seed));
            all.iter().for_each(&mut write);
        }
    }
    out.flush().expect("standard output takes the history");
    ExitCode::SUCCESS
}
