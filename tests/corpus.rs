//! Replays the inputs that fuzzing kept (`fuzz/corpus`), with the same code and the same bound on memory, on every test run:
//! no panic, no more than 64 MiB for any of them (I114).

#[path = "../fuzz/targets/mod.rs"]
mod targets;

use std::fs;
use std::path::{Path, PathBuf};

use targets::allocation::{Counting, LIMIT_BYTES, growth_of};
use targets::{TARGETS, Target};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

fn inputs(target: &Target) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = corpus().join(target.name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read(path).expect("an input"))).collect()
}

/// With `UPDATE=1` the inputs to begin with are written first.
fn update() {
    if std::env::var_os("UPDATE").is_none() {
        return;
    }
    for (target, input) in targets::seeds::seeds() {
        let folder = corpus().join(target);
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join(format!("seed-{:08x}", crc32c::crc32c(&input))), input).expect("a seed");
    }
}

#[test]
fn i114_every_kept_input_is_answered_and_cheap() {
    update();
    for target in TARGETS {
        let inputs = inputs(target);
        assert!(inputs.len() >= 5, "{}: only {} inputs are kept", target.name, inputs.len());
        for (path, input) in &inputs {
            println!("{}", path.display());
            let growth = growth_of(|| (target.run)(input));
            assert!(growth <= LIMIT_BYTES, "{growth} bytes for {}", path.display());
        }
        // Nothing at all, and a few bytes of each kind, whatever the corpus holds.
        (target.run)(&[]);
        (0..=255u8).for_each(|byte| (target.run)(&[byte; 9]));
    }
}

#[test]
fn every_folder_belongs_to_a_target() {
    for entry in fs::read_dir(corpus()).expect("the corpus") {
        let name = entry.expect("an entry").file_name();
        assert!(TARGETS.iter().any(|target| name == target.name), "{} has no target", name.display());
    }
}
