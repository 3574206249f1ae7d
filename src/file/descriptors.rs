//! How many files and sockets the process may have open, and who gets how many of them.
//!
//! Files come first: a connection that cannot be had waits, a log that cannot be opened takes no records. So connections
//! leave a quarter of what there is, and of what is left logs keep open what was used last.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What is left to files if there is plenty, and at least, but for half of all.
const FOR_FILES: u64 = 16_384;
const FOR_FILES_MIN: u64 = 64;

/// Standard streams, listeners, the runtime's own, directories while they are flushed.
const BASE: u64 = 16;

/// Takes as many as the system lets this user have; call once, at start.
pub fn take_all_there_are() {
    let limit = getrlimit(Resource::Nofile);
    // Refused it stays what it is, which is what everything else goes by.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

/// How many connections may be open.
pub fn for_connections() -> usize {
    let all = all();
    clamped(all - for_files_of(all))
}

/// How many files may be open.
pub fn for_files() -> usize {
    clamped(for_files_of(all()).saturating_sub(BASE).max(1))
}

fn for_files_of(all: u64) -> u64 {
    (all / 4).clamp(FOR_FILES_MIN, FOR_FILES).min(all / 2)
}

fn all() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

fn clamped(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
