//! The disk for a program that mounts it itself: its device on a line of standard output, then orders, a line each, until
//! standard input ends. Every order is answered with how many writes and flushes have failed so far.

use std::io::{self, BufRead, Write};
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use crate::blocks::disk::Disk;

pub fn serve(mebibytes: u64) -> ExitCode {
    match attach_and_obey(mebibytes) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("milena-campaign disk: {error}");
            ExitCode::FAILURE
        }
    }
}

fn attach_and_obey(mebibytes: u64) -> Result<(), String> {
    let directory = tempfile::Builder::new().prefix("disk").tempdir().map_err(|error| error.to_string())?;
    let disk = Disk::attach(vec![0; (mebibytes << 20) as usize], directory.path())?;
    tell(&disk.device.path)?;
    for order in io::stdin().lock().lines() {
        let (flushes, writes) = match order.map_err(|error| error.to_string())?.as_str() {
            "flushes fail" => (true, false),
            "writes fail" => (false, true),
            "works" => (false, false),
            other => return Err(format!("no order is {other:?}")),
        };
        disk.shared.fails_flushes.store(flushes, Ordering::SeqCst);
        disk.shared.fails_writes.store(writes, Ordering::SeqCst);
        tell(&disk.shared.failures.load(Ordering::SeqCst).to_string())?;
    }
    Ok(())
}

fn tell(line: &str) -> Result<(), String> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|error| error.to_string())
}
