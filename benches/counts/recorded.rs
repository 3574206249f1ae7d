//! The counts that are expected, in a file beside the benchmarks, and what a count is judged by.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

/// What one piece costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    pub instructions: u64,
    pub allocations: u64,
    pub bytes: u64,
}

pub struct Recorded {
    pub name: String,
    pub counts: Counts,
}

/// A growth beyond a twentieth fails. Small counts may move by a few: a hash that falls another way.
fn has_grown(recorded: u64, counted: u64, slack: u64) -> bool {
    counted > recorded + (recorded / 20).max(slack)
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/counts.tsv")
}

const HEAD: &str = "piece\tinstructions\tallocations\tallocated_bytes\n";

fn read() -> BTreeMap<String, Counts> {
    let text = fs::read_to_string(path()).unwrap_or_default();
    let line = |line: &str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let [name, instructions, allocations, bytes] = fields[..] else { return None };
        let counts = Counts {
            instructions: instructions.parse().ok()?,
            allocations: allocations.parse().ok()?,
            bytes: bytes.parse().ok()?,
        };
        Some((name.to_owned(), counts))
    };
    text.lines().skip(1).filter_map(line).collect()
}

fn write(counted: &[Recorded]) -> std::io::Result<()> {
    let mut text = HEAD.to_owned();
    for Recorded { name, counts } in counted {
        let _ = writeln!(text, "{name}\t{}\t{}\t{}", counts.instructions, counts.allocations, counts.bytes);
    }
    fs::write(path(), text)
}

/// Prints what was counted beside what was recorded. Fails if something grew, or if the two do not name the same pieces.
pub fn judge(counted: &[Recorded], update: bool) -> ExitCode {
    let recorded = read();
    let mut faults = Vec::new();
    println!("{:58} {:>22} {:>16} {:>18}", "piece: counted (recorded)", "instructions", "allocations", "bytes");
    for Recorded { name, counts } in counted {
        let before = recorded.get(name).copied();
        let show =
            |now: u64, then: Option<u64>| format!("{now} ({})", then.map_or("new".into(), |then| then.to_string()));
        println!(
            "{name:58} {:>22} {:>16} {:>18}",
            show(counts.instructions, before.map(|before| before.instructions)),
            show(counts.allocations, before.map(|before| before.allocations)),
            show(counts.bytes, before.map(|before| before.bytes)),
        );
        match before {
            None => faults.push(format!("{name}: not recorded")),
            Some(before) => faults.extend(growths(name, before, *counts)),
        }
    }
    let names: Vec<&str> = counted.iter().map(|one| one.name.as_str()).collect();
    faults.extend(recorded.keys().filter(|name| !names.contains(&name.as_str())).map(|name| format!("{name}: gone")));
    if update {
        return match write(counted) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("counts: cannot write {}: {error}", path().display());
                ExitCode::FAILURE
            }
        };
    }
    faults.iter().for_each(|fault| eprintln!("counts: {fault} (UPDATE=1 records it, if it is meant)"));
    if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn growths(name: &str, before: Counts, now: Counts) -> Vec<String> {
    let columns = [
        ("instructions", before.instructions, now.instructions, 40),
        ("allocations", before.allocations, now.allocations, 0),
        ("allocated bytes", before.bytes, now.bytes, 64),
    ];
    let grown = columns.into_iter().filter(|(_, before, now, slack)| has_grown(*before, *now, *slack));
    grown.map(|(what, before, now, _)| format!("{name}: {what} grew from {before} to {now}")).collect()
}
