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

const INSTRUCTIONS: &str = "instructions";

/// A growth beyond a twentieth fails. Small counts may move by a few: a hash that falls another way.
fn has_grown(recorded: u64, counted: u64, slack: u64) -> bool {
    counted > recorded + (recorded / 20).max(slack)
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/counts.tsv")
}

const HEAD: &str = "piece\tinstructions\tallocations\tallocated_bytes";

/// What instruction counts depend on besides the code: another compiler makes other code, another processor gets other
/// copying routines from the C library.
fn surroundings() -> String {
    let said = |program: &str| {
        let output = std::process::Command::new(program).arg("--version").output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processor.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
    let versions = ["rustc", "valgrind"].map(|program| said(program).unwrap_or_else(|| format!("no {program}")));
    format!("# {}, {}, {}", versions[0], versions[1], model.trim_start_matches([' ', '\t', ':']))
}

fn recorded_surroundings() -> String {
    fs::read_to_string(path()).unwrap_or_default().lines().next().unwrap_or_default().to_owned()
}

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
    text.lines().skip(2).filter_map(line).collect()
}

fn write(counted: &[Recorded]) -> std::io::Result<()> {
    let mut text = format!("{}\n{HEAD}\n", surroundings());
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
    let (here, there) = (surroundings(), recorded_surroundings());
    if here != there {
        println!("counts: instructions are printed and not judged here: recorded with {there}, counted with {here}");
        faults.retain(|fault| !fault.contains(INSTRUCTIONS));
    }
    if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn growths(name: &str, before: Counts, now: Counts) -> Vec<String> {
    let columns = [
        (INSTRUCTIONS, before.instructions, now.instructions, 40),
        ("allocations", before.allocations, now.allocations, 0),
        ("allocated bytes", before.bytes, now.bytes, 64),
    ];
    let grown = columns.into_iter().filter(|(_, before, now, slack)| has_grown(*before, *now, *slack));
    grown.map(|(what, before, now, _)| format!("{name}: {what} grew from {before} to {now}")).collect()
}
