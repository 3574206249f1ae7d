//! The broker as a process that is killed and started again on the same directory and port.

use std::fs::File;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::Plan;
use crate::client::Connection;

/// A start on a busy machine, recovery included, takes no longer.
const LIMIT: Duration = Duration::from_secs(60);

pub struct Broker {
    child: Child,
    pub port: u16,
}

impl Broker {
    pub fn start(plan: &Plan) -> Result<Broker, String> {
        let free = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
        let port = free.map_err(|error| error.to_string())?.port();
        let child = spawn(plan, port)?;
        let mut broker = Broker { child, port };
        broker.wait_until_it_serves()?;
        Ok(broker)
    }

    pub fn kill_and_start(&mut self, plan: &Plan) -> Result<(), String> {
        self.child.kill().map_err(|error| error.to_string())?;
        self.child.wait().map_err(|error| error.to_string())?;
        self.child = spawn(plan, self.port)?;
        self.wait_until_it_serves()
    }

    fn wait_until_it_serves(&mut self) -> Result<(), String> {
        let began = Instant::now();
        while began.elapsed() < LIMIT {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("the broker ended by itself: {status}; its words are in broker.log"));
            }
            if Connection::open(self.port).is_ok() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Err(format!("the broker does not serve after {LIMIT:?}"))
    }

    pub fn stop(mut self) -> Result<(), String> {
        let pid = self.child.id().to_string();
        let signal = Command::new("kill").args(["-TERM", &pid]).status().map_err(|error| error.to_string())?;
        let status = self.child.wait().map_err(|error| error.to_string())?;
        let is_fine = signal.success() && status.success();
        if is_fine { Ok(()) } else { Err(format!("the broker did not stop well: {status}")) }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(plan: &Plan, port: u16) -> Result<Child, String> {
    let log = File::options().create(true).append(true).open(plan.directory.join("broker.log"));
    let log = log.map_err(|error| error.to_string())?;
    let data = plan.directory.join("data");
    let mut command = Command::new(&plan.binary);
    for setting in [
        format!("listeners=PLAINTEXT://127.0.0.1:{port}"),
        format!("log.dirs={}", data.display()),
        format!("milena.durability={}", plan.durability),
        // Rolls often enough that kills meet it.
        "log.segment.bytes=1048576".into(),
        "group.initial.rebalance.delay.ms=50".into(),
    ] {
        command.args(["--override", &setting]);
    }
    let child =
        command.stdin(Stdio::null()).stdout(log.try_clone().map_err(|error| error.to_string())?).stderr(log).spawn();
    child.map_err(|error| format!("{}: {error}", plan.binary.display()))
}
