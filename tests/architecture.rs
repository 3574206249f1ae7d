//! The laws of the house (ARCHITECTURE.md), kept by reading the source: who may name whom, which rooms are pure, and that
//! every API file has its row. A broken law is reported with file and line.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Rooms and what each may name of the others. Nouns may name nouns.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("main", &["house", "api", "broker", "net", "state", "storage", "tools", "client", "NOUNS"]),
    ("house", &["api", "broker", "net", "state", "storage", "NOUNS"]),
    ("tools", &["client", "NOUNS"]),
    ("client", &["NOUNS"]),
    ("api", &["broker", "net", "state", "storage", "NOUNS"]),
    ("broker", &["net", "state", "storage", "NOUNS"]),
    ("net", &["NOUNS"]),
    ("state", &["NOUNS"]),
    ("storage", &["NOUNS"]),
    ("testing", &["net", "state", "storage", "broker", "NOUNS"]),
];

const NOUNS: &[&str] = &[
    "record",
    "security",
    "config",
    "types",
    "error_code",
    "clock",
    "memory",
    "metrics",
    "file",
    "wire",
    "seldom",
    "zoo",
];

/// Rooms that must give the same answer to the same input, always.
const PURE: &[&str] = &["state", "security", "record", "wire"];
/// Words that a pure room has no use for.
const IMPURE_WORDS: &[&str] = &[
    "tokio",
    "async fn",
    ".await",
    "Mutex",
    "RwLock",
    "std::fs",
    "std::net",
    "std::thread",
    "SystemTime",
    "Instant",
    "HashSet<",
    "std::env",
];

/// Words that `storage/` must not know: it is synchronous and starts nothing.
const ASYNC_WORDS: &[&str] = &["tokio", "async fn", ".await", "std::thread"];

/// Names that swallow everything (ANCHORS: one noun so wide that everything fits).
const WIDE_NAMES: &[&str] = &["util", "utils", "helper", "helpers", "common", "manager", "impl", "misc"];

/// Left-overs that must not reach the main line. Split so that this file does not find itself.
const LEFT_OVERS: &[&str] =
    &[concat!("to", "do!("), concat!("db", "g!("), concat!("FIX", "ME"), concat!("unimple", "mented!(")];

struct Line {
    file: PathBuf,
    number: usize,
    text: String,
}

/// Source lines without comments and without anything that only tests have.
fn code() -> Vec<Line> {
    read(|line, next| line.starts_with("#[cfg(test)]") && !next.contains(';'))
}

/// The same, cut only where the module of tests begins.
fn uncut_code() -> Vec<Line> {
    read(|line, next| line.starts_with("#[cfg(test)]") && next.trim_start().starts_with("mod ") && !next.contains(';'))
}

fn read(ends: impl Fn(&str, &str) -> bool) -> Vec<Line> {
    let mut lines = Vec::new();
    for file in sources(Path::new("src")) {
        let text = fs::read_to_string(&file).expect("a source file can be read");
        let is_test_file = file.components().any(|part| part.as_os_str() == "testing" || part.as_os_str() == "tests")
            || file.file_stem().is_some_and(|stem| stem == "tests");
        if is_test_file {
            continue;
        }
        for (index, line) in text.lines().enumerate() {
            if ends(line.trim_start(), text.lines().nth(index + 1).unwrap_or("")) {
                break;
            }
            let code = line.split("//").next().unwrap_or("");
            lines.push(Line { file: file.clone(), number: index + 1, text: code.to_owned() });
        }
    }
    assert!(lines.len() > 1000, "the source was not found: run from the top of the project");
    lines
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut entries: Vec<_> = fs::read_dir(dir).expect("src can be listed").flatten().map(|e| e.path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            found.push(path);
        }
    }
    found
}

/// `src/api/fetch.rs` is of room `api`, `src/types.rs` of room `types`.
fn room(file: &Path) -> String {
    let part = file.components().nth(1).expect("below src").as_os_str().to_string_lossy().into_owned();
    part.trim_end_matches(".rs").to_owned()
}

fn report(law: &str, broken: Vec<String>) {
    assert!(broken.is_empty(), "{law}\n{}", broken.join("\n"));
}

fn at(line: &Line) -> String {
    format!("  {}:{}: {}", line.file.display(), line.number, line.text.trim())
}

#[test]
fn rooms_name_only_rooms_below_them() {
    let table: BTreeMap<&str, &[&str]> = MAY_NAME.iter().copied().collect();
    let rooms: Vec<&str> = table.keys().copied().chain(NOUNS.iter().copied()).collect();
    let mut broken = Vec::new();
    for line in code() {
        let own = room(&line.file);
        if own == "lib" {
            continue;
        }
        let allowed = table.get(own.as_str()).copied().unwrap_or(&["NOUNS"]);
        for named in named_rooms(&line.text, &rooms) {
            let is_noun = NOUNS.contains(&named.as_str()) && allowed.contains(&"NOUNS");
            if named != own && !is_noun && !allowed.contains(&named.as_str()) {
                broken.push(format!("{}   ({own} may not name {named})", at(&line)));
            }
        }
    }
    report("a room names only rooms below it", broken);
}

fn named_rooms(code: &str, rooms: &[&str]) -> Vec<String> {
    let mut named = Vec::new();
    for prefix in ["crate::", "milena::"] {
        for (start, _) in code.match_indices(prefix) {
            let rest = &code[start + prefix.len()..];
            let word: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            if rooms.contains(&word.as_str()) {
                named.push(word);
            }
        }
    }
    named
}

#[test]
fn pure_rooms_know_no_clock_no_lock_no_task() {
    let broken = code()
        .iter()
        .filter(|line| PURE.contains(&room(&line.file).as_str()))
        .filter(|line| IMPURE_WORDS.iter().any(|word| line.text.contains(word)))
        .map(at)
        .collect();
    report("state, security, record and wire are pure", broken);
}

#[test]
fn storage_is_synchronous() {
    let broken = code()
        .iter()
        .filter(|line| room(&line.file) == "storage")
        .filter(|line| ASYNC_WORDS.iter().any(|word| line.text.contains(word)))
        .map(at)
        .collect();
    report("storage is synchronous and starts no task", broken);
}

/// Lesson 6 of the house: clippy refuses the methods, this refuses quiet exceptions outside the two files that may.
#[test]
fn only_the_clock_and_tasks_are_excepted_from_the_disallowed_methods() {
    let allowed = [Path::new("src/clock.rs"), Path::new("src/broker/tasks.rs")];
    let broken = code()
        .iter()
        .filter(|line| line.text.contains("disallowed_methods") && !allowed.contains(&line.file.as_path()))
        .map(at)
        .collect();
    report("time and randomness enter in clock.rs, tasks start in tasks.rs", broken);
}

#[test]
fn every_api_file_has_a_row_and_every_row_a_file() {
    let table = fs::read_to_string("src/api/mod.rs").expect("the table of APIs");
    let mut rows: Vec<String> = table
        .lines()
        .filter_map(|line| line.split_once("=> ")?.1.split_once('('))
        .filter(|(_, rest)| rest.trim_end().ends_with("Request),"))
        .map(|(module, _)| module.trim().to_owned())
        .collect();
    rows.sort();
    let mut files: Vec<String> = fs::read_dir("src/api")
        .expect("the APIs")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().trim_end_matches(".rs").to_owned())
        .filter(|name| name != "mod")
        .collect();
    files.sort();
    assert_eq!(rows, files);
}

#[test]
fn every_api_file_says_which_versions_it_serves() {
    let mut broken = Vec::new();
    for file in sources(Path::new("src/api")) {
        let text = fs::read_to_string(&file).expect("an API file");
        let head: String = text.lines().take_while(|line| line.starts_with("//!")).collect();
        if file.file_stem().is_some_and(|stem| stem != "mod") && !head.contains("ersion") {
            broken.push(format!("  {}", file.display()));
        }
    }
    report("an API file opens with the versions it serves", broken);
}

#[test]
fn every_file_opens_with_what_it_holds() {
    let mut broken = Vec::new();
    for file in sources(Path::new("src")) {
        let text = fs::read_to_string(&file).expect("a source file");
        if !text.starts_with("//!") && !text.starts_with("#![doc") {
            broken.push(format!("  {}", file.display()));
        }
    }
    report("every file opens with a module doc", broken);
}

#[test]
fn no_name_is_so_wide_that_everything_fits() {
    let broken = sources(Path::new("src"))
        .into_iter()
        .filter(|file| file.file_stem().is_some_and(|stem| WIDE_NAMES.contains(&&*stem.to_string_lossy())))
        .map(|file| format!("  {}", file.display()))
        .collect();
    report("no file is called util, helper, common, manager or impl", broken);
}

#[test]
fn nothing_is_left_over() {
    let broken = code().iter().filter(|line| LEFT_OVERS.iter().any(|word| line.text.contains(word))).map(at).collect();
    report("no left-overs on the main line", broken);
}

/// The bugs of the zoo and what only tests need are never in a build that did not ask for them.
#[test]
fn neither_zoo_nor_simulation_is_in_a_default_build() {
    let manifest = fs::read_to_string("Cargo.toml").expect("the manifest");
    let features = manifest.split("[features]").nth(1).and_then(|rest| rest.split("\n[").next()).expect("features");
    let zoo = fs::read_to_string("src/testing/zoo.rs").expect("the zoo");
    let released = zoo.split("#[cfg(not(any(test, feature = \"testing\")))]").nth(1).expect("what a release has of it");
    let calm = released.starts_with("\n#[inline(always)]\npub const fn bug(_number: u8) -> bool {\n    false\n}");
    assert!(features.contains("testing = [") && !features.contains("default") && calm, "{features}");
}

/// Unsafe code stands in named modules only, each with its own tests.
#[test]
fn unsafe_stands_only_where_it_is_named() {
    let allowed = ["src/memory.rs"];
    let broken = code()
        .iter()
        .filter(|line| line.text.contains("unsafe ") || line.text.contains("allow(unsafe_code)"))
        .filter(|line| !allowed.contains(&&*line.file.to_string_lossy()))
        .map(at)
        .collect();
    report("unsafe code stands only in named modules", broken);
}

/// What may stand without a caller in the broker itself, and why.
const UNCALLED: &[(&str, &str)] = &[
    ("advance_ms", "the clock of tests"),
    ("assert_sound", "the invariants of a group, for its model test"),
    ("check_versions", "tests of each API file"),
    ("encodes", "tests of each API file"),
    ("housekeep", "a step of the simulation"),
    ("parked_count", "the model test of groups"),
    ("truncate_to", "followers, which come with replication; crash images try it now"),
];

/// Lesson 49: a promise that is written, tested and never called keeps nothing ("retention has no caller").
#[test]
fn lesson_49_every_public_function_has_a_caller() {
    let lines = uncut_code();
    let mut words: BTreeMap<&str, usize> = BTreeMap::new();
    for line in &lines {
        for word in line.text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()) {
            *words.entry(word).or_default() += 1;
        }
    }
    let uncalled = |line: &&Line| {
        let name = declared(&line.text).filter(|name| words.get(name) == Some(&1));
        name.is_some_and(|name| UNCALLED.iter().all(|(known, _)| *known != name))
    };
    report("every public function has a caller outside tests", lines.iter().filter(uncalled).map(at).collect());
}

/// The name of the public function that a line declares.
fn declared(line: &str) -> Option<&str> {
    let line = line.trim_start().strip_prefix("pub")?;
    let (before, name) = line.split_once("fn ")?;
    let is_plain = before
        .split_whitespace()
        .all(|word| word.starts_with('(') || word == "const" || word == "async" || word.ends_with(')'));
    is_plain.then(|| name.split(['(', '<']).next().expect("a first piece"))
}

/// S12: a sum of numbers from outside that overflows must not wrap in what is shipped either.
#[test]
fn s12_arithmetic_is_checked_in_release_builds() {
    let manifest = fs::read_to_string("Cargo.toml").expect("the manifest");
    let release = manifest.split("[profile.release]").nth(1).expect("a release profile");
    let release = release.split("\n[").next().expect("text of the profile");
    assert!(release.contains("overflow-checks = true"), "{release}");
}
