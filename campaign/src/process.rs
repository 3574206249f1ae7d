//! A broker as a process that is watched from outside: started with settings, looked at through `/proc`.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::client::Connection;

pub struct Watched {
    child: Child,
    pub port: u16,
}

/// What the kernel says of a process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    pub resident_kib: u64,
    /// Resident and not backed by a file.
    pub anonymous_kib: u64,
    pub descriptors: u64,
    pub threads: u64,
    pub cpu_seconds: f64,
}

impl Watched {
    /// Starts the binary on a free port and waits until it serves; its words go to `log`.
    pub fn start(binary: &Path, data: &Path, log: &Path, settings: &[String]) -> Result<Self, String> {
        let port = free_port();
        let out = File::options().create(true).append(true).open(log).map_err(|error| error.to_string())?;
        let mut command = Command::new(binary);
        command.arg("--override").arg(format!("listeners=PLAINTEXT://127.0.0.1:{port}"));
        command.arg("--override").arg(format!("log.dirs={}", data.display()));
        settings.iter().for_each(|setting| {
            command.arg("--override").arg(setting);
        });
        let errors = out.try_clone().map_err(|error| error.to_string())?;
        command.stdin(Stdio::null()).stdout(out).stderr(errors);
        let child = command.spawn().map_err(|error| format!("{}: {error}", binary.display()))?;
        let mut watched = Watched { child, port };
        watched.wait_until_served(Duration::from_secs(30))?;
        Ok(watched)
    }

    fn wait_until_served(&mut self, patience: Duration) -> Result<(), String> {
        let start = Instant::now();
        while start.elapsed() < patience {
            if Connection::open(self.port).is_ok() {
                return Ok(());
            }
            if let Some(status) = self.ended() {
                return Err(format!("the broker ended with {status} before it served"));
            }
            // Nothing tells an outsider that a socket is listened on.
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(format!("the broker does not serve within {patience:?}"))
    }

    pub fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.child.try_wait().expect("a child can be asked how it is")
    }

    pub fn sample(&self) -> Sample {
        sample(self.child.id())
    }

    /// A stop on SIGTERM, which must succeed.
    pub fn stop(&mut self) -> Result<(), String> {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(30) {
            match self.ended() {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(format!("a stop on SIGTERM ended with {status}")),
                // The standard library waits for a child without a limit only.
                None => std::thread::sleep(Duration::from_millis(2)),
            }
        }
        Err("a stop on SIGTERM takes more than 30 s".to_owned())
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.kill();
    }
}

pub fn sample(pid: u32) -> Sample {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.trim_start_matches(':').split_whitespace().next()?.parse().ok()).unwrap_or(0)
    };
    Sample {
        resident_kib: field("VmRSS"),
        anonymous_kib: field("RssAnon"),
        descriptors: fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |entries| entries.count() as u64),
        threads: field("Threads"),
        cpu_seconds: cpu_seconds(pid),
    }
}

/// User and system time; the kernel counts it in hundredths.
fn cpu_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in parentheses may hold spaces.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

/// A port that nobody listens on now.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}
