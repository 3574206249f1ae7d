//! `kafka-server-stop`: asks the brokers of this machine to stop, those that run from this binary.

use std::fs;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

use super::flags::Usage;
use super::{Done, Failure, Output, Tool, named};

pub(super) const TOOL: Tool =
    Tool { name: "kafka-server-stop", aliases: &[], about: "stop the brokers on this machine", usage: || USAGE, run };

const USAGE: Usage =
    Usage { about: "kafka-server-stop: sends SIGTERM to the brokers that run from this binary.", flags: &[] };

fn run(arguments: &[String], _: &mut Output) -> Done {
    USAGE.parse(arguments)?;
    let failed = |error| Failure::Error(format!("brokers cannot be looked for: {error}"));
    let binary = std::env::current_exe().map_err(failed)?;
    let mut count = 0;
    for entry in fs::read_dir("/proc").map_err(failed)?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw) else {
            continue;
        };
        if is_broker(&entry.path(), &binary) && kill_process(pid, Signal::TERM).is_ok() {
            count += 1;
        }
    }
    if count == 0 { Err(Failure::Error("No kafka server to stop".to_owned())) } else { Ok(()) }
}

/// A process of this binary that is no tool, this one least of all.
fn is_broker(process: &Path, binary: &Path) -> bool {
    let words = fs::read(process.join("cmdline")).unwrap_or_default();
    let words = String::from_utf8_lossy(&words);
    let mut words = words.split('\0');
    let is_tool = words.next().is_none_or(|name| named(name).is_some()) || words.next().is_some_and(is_command);
    !is_tool && is_same(process, binary)
}

fn is_command(word: &str) -> bool {
    named(word).is_some() || matches!(word, "config" | "doctor" | "health")
}

/// A broker of another user shows its binary to root only; its name must do.
fn is_same(process: &Path, binary: &Path) -> bool {
    match fs::read_link(process.join("exe")) {
        Ok(exe) => exe == binary,
        Err(_) => fs::read_to_string(process.join("comm")).is_ok_and(|name| name.trim() == "milena"),
    }
}
