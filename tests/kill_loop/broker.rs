//! The broker under test as a process: the real binary, or Apache Kafka through `scripts/kafka-peer.sh` to try the loop
//! itself. Its standard error goes to one file that outlives all its lives.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

#[derive(Clone)]
pub enum Kind {
    Milena { binary: PathBuf, durability: &'static str },
    Kafka { script: PathBuf },
}

/// What the data directory lies on, where a kill is to take the power along.
pub trait Ground: Sync {
    /// Everything that was written until now is on the disk.
    fn settle(&self);
    /// Nothing that is not on the disk now will ever be.
    fn cut(&self);
    /// The disk as the power cut left it; no process has a file open there.
    fn restore(&self);
}

/// Everything that starts a broker on one data directory.
pub struct Launcher {
    pub kind: Kind,
    pub data: PathBuf,
    pub log: PathBuf,
    pub ground: Option<Box<dyn Ground>>,
}

/// Everything that changes files happens often: segments roll, are removed and compacted, checkpoints and snapshots are
/// written. The group coordinator does not keep a member waiting longer than a life lasts.
const SETTINGS: &[&str] = &[
    "log.segment.bytes=1048576",
    "group.min.session.timeout.ms=1000",
    "group.initial.rebalance.delay.ms=0",
    "offsets.topic.num.partitions=5",
    "log.flush.offset.checkpoint.interval.ms=500",
    "log.retention.check.interval.ms=300",
    "log.cleaner.backoff.ms=50",
    "log.cleaner.min.cleanable.ratio=0.05",
    "log.cleaner.max.compaction.lag.ms=500",
    "offsets.topic.segment.bytes=1048576",
    "metadata.log.max.record.bytes.between.snapshots=4096",
    "auto.create.topics.enable=false",
];

impl Launcher {
    pub fn start(&self, life: u64, port: u16) -> Process {
        let mut log = OpenOptions::new().create(true).append(true).open(&self.log).expect("the broker's log opens");
        writeln!(log, "=== life {life}").expect("the broker's log can be written");
        let settings = |flag: &'static str| SETTINGS.iter().flat_map(move |setting| [flag, setting]);
        let mut command = match &self.kind {
            Kind::Milena { binary, durability } => {
                let mut command = Command::new(binary);
                command
                    .args(["--override", &format!("listeners=PLAINTEXT://127.0.0.1:{port}")])
                    .args(["--override", &format!("log.dirs={}", self.data.display())])
                    .args(["--override", &format!("milena.durability={durability}")])
                    .args(settings("--override"));
                command
            }
            Kind::Kafka { script } => {
                let mut command = Command::new(script);
                command.args(["run", "--port", &port.to_string(), "--data"]).arg(&self.data).args(settings("--set"));
                command
            }
        };
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("the broker can be started");
        Process { child }
    }

    /// What the broker wrote since `from`, and where that ends.
    pub fn said_since(&self, from: u64) -> (String, u64) {
        let mut said = Vec::new();
        if let Ok(mut file) = File::open(&self.log) {
            let _ = file.seek(SeekFrom::Start(from)).and_then(|_| file.read_to_end(&mut said));
        }
        (String::from_utf8_lossy(&said).into_owned(), from + said.len() as u64)
    }

    /// Every segment with its length, to see that a clean start changes none.
    pub fn segments(&self) -> Vec<(PathBuf, u64)> {
        let mut found = Vec::new();
        let mut left = vec![self.data.clone()];
        while let Some(directory) = left.pop() {
            for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    left.push(path);
                } else if path.extension().is_some_and(|ending| ending == "log") && path != self.log {
                    found.push((relative(&path, &self.data), entry.metadata().map_or(0, |metadata| metadata.len())));
                }
            }
        }
        found.sort();
        found
    }
}

fn relative(path: &Path, root: &Path) -> PathBuf {
    path.strip_prefix(root).unwrap_or(path).to_path_buf()
}

pub struct Process {
    child: Child,
}

impl Process {
    /// SIGKILL, and waits until nothing of the process is left.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// No thread of the process does anything from now on but what the kernel does for it. A power cut does not let a
    /// program see that writes fail.
    pub fn freeze(&self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::STOP);
        let start = Instant::now();
        while self.is_running() && start.elapsed() < Duration::from_secs(5) {
            std::thread::yield_now();
        }
    }

    /// Whether a thread is neither stopped nor within a system call that waits for the disk.
    fn is_running(&self) -> bool {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).into_iter().flatten().flatten();
        let mut states = threads.filter_map(|thread| fs::read_to_string(thread.path().join("stat")).ok());
        // The state stands behind the name in parentheses.
        states.any(|stat| stat.rsplit(')').next().is_some_and(|rest| !rest.trim_start().starts_with(['T', 'D', 'Z'])))
    }

    pub fn ask_to_stop(&self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be asked how it is")
    }

    /// Waits for the end after [`ask_to_stop`](Self::ask_to_stop).
    pub fn wait(&mut self, patience: Duration) -> Option<ExitStatus> {
        let start = Instant::now();
        while start.elapsed() < patience {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            // The standard library waits for a child without a limit only.
            std::thread::sleep(Duration::from_millis(2));
        }
        None
    }
}

/// No broker outlives a test that failed.
impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
