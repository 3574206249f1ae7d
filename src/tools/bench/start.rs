//! How long a broker takes from the start of its process to the first answer, and what it costs when nobody asks anything.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::meter::{self, Meter};
use super::setup::{client, offsets, partitions_of};
use super::{Figures, Target, bad};
use crate::client::Connection;
use crate::client::{Deadline, Properties, Settings};
use crate::clock::{Clock, Stopwatch, SystemClock};
use crate::tools::Failure;
use crate::tools::flags::Flags;
use std::sync::Arc;

/// The broker that was started, ended when the run is over.
struct Broker(Child);

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended by itself.
        let pid = rustix::process::Pid::from_child(&self.0);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.0.wait();
    }
}

pub fn measure(target: &Target, flags: &Flags, command: &[String]) -> Result<Figures, Failure> {
    let (program, arguments) = command.split_first().ok_or_else(|| bad("start: no command behind `--`".into()))?;
    if std::net::TcpStream::connect(target.address).is_ok() {
        return Err(bad(format!("something listens on {} already", target.servers)));
    }
    let watch = Stopwatch::start();
    let spawned = Command::new(program).args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).spawn();
    let mut broker = Broker(spawned.map_err(|error| bad(format!("{program}: {error}")))?);
    let pid = broker.0.id();
    let longest = Duration::from_secs(flags.number("seconds")?.unwrap_or(120));
    let mut until = |what: &str, done: &mut dyn FnMut() -> bool| {
        while !done() {
            if watch.elapsed() > longest {
                return Err(bad(format!("{what} took more than {} s", longest.as_secs())));
            }
            if let Ok(Some(status)) = broker.0.try_wait() {
                return Err(bad(format!("the broker ended with {status}")));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(watch.elapsed().as_secs_f64() * 1e3)
    };
    let mut figures: Figures = Vec::new();
    let answered = until("the first answer", &mut || answers(target))?;
    let cpu = |pid| meter::cpu_seconds(pid).map_or(f64::NAN, |(user, system)| (user + system) * 1e3);
    figures.extend([("first_answer_ms", answered), ("cpu_to_answer_ms", cpu(pid))]);
    if let Some((topic, count)) = flags.value("expect").and_then(|text| text.rsplit_once(':')) {
        let count: i32 = count.parse().map_err(|_| bad(format!("--expect {topic}:{count}: not a number")))?;
        let ready = until("all partitions", &mut || all_answer(target, topic, count))?;
        figures.extend([("all_partitions_ms", ready), ("cpu_to_all_ms", cpu(pid))]);
    }
    figures.push(("broker_rss_MB", meter::resident_mb(pid)));
    Ok(figures)
}

/// One try, which a broker that is just starting may refuse.
fn answers(target: &Target) -> bool {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let settings = Settings::new(&target.servers, "milena-bench", &Properties::default());
    settings.is_ok_and(|settings| Connection::open(&target.servers, &settings, &Deadline::after(&clock, 1_000)).is_ok())
}

fn all_answer(target: &Target, topic: &str, count: i32) -> bool {
    let Ok(mut client) = client(target) else { return false };
    partitions_of(&mut client, topic).is_ok_and(|found| found == count)
        && offsets(&mut client, topic, count, -1).is_ok()
}

/// What the broker costs while nobody asks anything.
pub fn idle(target: &Target, flags: &Flags) -> Result<Figures, Failure> {
    let meter = Meter::start(target.pid);
    let seconds: u64 = flags.number("seconds")?.unwrap_or(30);
    std::thread::sleep(Duration::from_secs(seconds));
    let figures = meter.stop(0.0, 0.0);
    let cpu = figures.iter().find(|(name, _)| *name == "broker_cpu_s").map_or(f64::NAN, |(_, cpu)| *cpu);
    let mut found: Figures = vec![("idle_percent_of_a_core", cpu * 100.0 / seconds.max(1) as f64)];
    found.extend(figures);
    Ok(found)
}
