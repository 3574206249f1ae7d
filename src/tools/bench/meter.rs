//! What a run cost: CPU seconds of the broker, of this program and of everything else; memory; what went to the disk. Read
//! from `/proc`, in steps of 10 ms: runs should cost the broker a second or so.

use std::fs;
use std::time::Duration;

use super::Figures;
use crate::clock::Stopwatch;

/// Ticks of `/proc/*/stat` in a second (`USER_HZ`, which is 100 on every architecture Kafka runs on).
const TICKS: f64 = 100.0;

/// User and system seconds of a process with all its threads.
pub fn cpu_seconds(pid: u32) -> Option<(f64, f64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let ticks = |index: usize| fields.get(index)?.parse::<f64>().ok();
    Some((ticks(11)? / TICKS, ticks(12)? / TICKS))
}

fn status_mb(pid: u32, key: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(key)).and_then(|line| line.split_whitespace().nth(1));
    line.and_then(|kb| kb.parse::<f64>().ok()).map_or(f64::NAN, |kb| kb / 1024.0)
}

pub fn resident_mb(pid: u32) -> f64 {
    status_mb(pid, "VmRSS:")
}

pub fn descriptors(pid: u32) -> f64 {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(f64::NAN, |entries| entries.count() as f64)
}

fn written_mb(pid: u32) -> f64 {
    let io = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    line.and_then(|bytes| bytes.trim().parse::<f64>().ok()).map_or(f64::NAN, |bytes| bytes / 1e6)
}

/// Seconds that all cores together have worked.
pub fn machine_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields: Vec<f64> =
        stat.lines().next().unwrap_or("").split_whitespace().skip(1).filter_map(|ticks| ticks.parse().ok()).collect();
    // user, nice, system; then idle and iowait; then interrupts.
    fields.iter().take(3).chain(fields.iter().skip(5).take(2)).sum::<f64>() / TICKS
}

pub struct Meter {
    pid: Option<u32>,
    watch: Stopwatch,
    broker: (f64, f64),
    own: f64,
    machine: f64,
    written: f64,
}

impl Meter {
    pub fn start(pid: Option<u32>) -> Meter {
        Meter {
            pid,
            broker: pid.and_then(cpu_seconds).unwrap_or_default(),
            own: own_seconds(),
            machine: machine_seconds(),
            written: pid.map_or(f64::NAN, written_mb),
            watch: Stopwatch::start(),
        }
    }

    pub fn elapsed(&self) -> Duration {
        self.watch.elapsed()
    }

    /// The costs, by GB of payload and by request where there are any.
    pub fn stop(self, gigabytes: f64, requests: f64) -> Figures {
        let wall = self.watch.elapsed().as_secs_f64();
        let own = own_seconds() - self.own;
        let mut figures: Figures = vec![("wall_s", wall)];
        let mut broker = 0.0;
        if let Some((pid, (user, system))) = self.pid.and_then(|pid| Some((pid, cpu_seconds(pid)?))) {
            broker = user + system - self.broker.0 - self.broker.1;
            figures.extend([("broker_cpu_s", broker), ("broker_sys_s", system - self.broker.1)]);
            if gigabytes > 0.0 {
                figures.push(("broker_cpu_s_per_GB", broker / gigabytes));
            }
            if requests > 0.0 {
                figures.push(("broker_us_per_request", broker * 1e6 / requests));
            }
            figures.extend([("broker_rss_MB", resident_mb(pid)), ("broker_disk_MB", written_mb(pid) - self.written)]);
        }
        figures.extend([("client_cpu_s", own), ("other_cpu_s", machine_seconds() - self.machine - own - broker)]);
        figures
    }
}

fn own_seconds() -> f64 {
    cpu_seconds(std::process::id()).map_or(0.0, |(user, system)| user + system)
}
