//! What the hot pieces cost, counted: instructions by callgrind, allocations by an allocator that counts. Counts hold on a
//! machine on which no clock does, so a change that makes a piece dearer shows wherever it is run.
//!
//! `cargo bench --bench counts` runs itself under valgrind, prints each count beside the recorded one and fails if one has
//! grown by more than a twentieth. `UPDATE=1` records what was counted (`benches/counts.tsv`): a growth that is meant is
//! explained in the commit that records it. `scripts/bench-counts.sh` does the same and says so where there is no valgrind.

mod allocations;
mod callgrind;
mod cases;
mod recorded;

use std::path::Path;
use std::process::{Command, ExitCode};

use recorded::{Counts, Recorded};

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

/// How often a piece is done while it is counted; what is printed is for one.
const REPEATS: u64 = 16;

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "--count") {
        count_all();
        return ExitCode::SUCCESS;
    }
    match under_valgrind() {
        Ok(counted) => recorded::judge(&counted, std::env::var_os("UPDATE").is_some()),
        Err(reason) => {
            eprintln!("counts: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// Does every piece a few times to warm it up, then [`REPEATS`] times while it is counted.
fn count_all() {
    cases::each(&mut |name, work| {
        (0..REPEATS).for_each(|_| work());
        let before = allocations::so_far();
        callgrind::counted(|| (0..REPEATS).for_each(|_| work()));
        let (count, bytes) = allocations::since(before);
        println!("{name}\t{}\t{}", count / REPEATS, bytes / REPEATS);
    });
}

/// Runs this program under callgrind; the counts of every piece.
fn under_valgrind() -> Result<Vec<Recorded>, String> {
    let own = std::env::current_exe().map_err(|error| format!("where is this program? {error}"))?;
    let directory = tempfile::tempdir().map_err(|error| format!("no directory for what callgrind writes: {error}"))?;
    let dumps = directory.path().join("counted");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no", "--quiet"])
        .arg(format!("--callgrind-out-file={}", dumps.display()))
        .arg(own)
        .arg("--count")
        .output()
        .map_err(|error| format!("valgrind cannot be run: {error}"))?;
    if !output.status.success() {
        return Err(format!("the counted run failed: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().enumerate().map(|(index, line)| counts_of(line, &dumps, index + 1)).collect()
}

/// One line of the counted run together with the dump that callgrind wrote for it; they come in the same order.
fn counts_of(line: &str, dumps: &Path, number: usize) -> Result<Recorded, String> {
    let mut fields = line.split('\t');
    let (Some(name), Some(allocations), Some(bytes)) = (fields.next(), fields.next(), fields.next()) else {
        return Err(format!("not a line of counts: {line}"));
    };
    let path = format!("{}.{number}", dumps.display());
    let dump = std::fs::read_to_string(&path).map_err(|error| format!("callgrind left no {path}: {error}"))?;
    let total = dump.lines().find_map(|line| line.strip_prefix("summary: ").or_else(|| line.strip_prefix("totals: ")));
    let instructions: u64 =
        total.and_then(|total| total.trim().parse().ok()).ok_or_else(|| format!("no sum in {path}"))?;
    let number = |text: &str| text.parse().map_err(|_| format!("not a number: {text}"));
    let counts =
        Counts { instructions: instructions / REPEATS, allocations: number(allocations)?, bytes: number(bytes)? };
    Ok(Recorded { name: name.to_owned(), counts })
}
