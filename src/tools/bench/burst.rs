//! A burst: a large Produce request on each of many connections at once, and whether the memory for it is given back while
//! the connections stay.

use std::time::Duration;

use super::link::{Link, wait};
use super::meter::{Meter, resident_mb};
use super::setup::{self, Batch};
use super::{Figures, Target, bad, size};
use crate::clock::Stopwatch;
use crate::record::Compression;
use crate::tools::Failure;
use crate::tools::flags::Flags;

/// What a batch may be with Kafka's own settings, a little less than `message.max.bytes`.
const BATCH_BYTES: u64 = (1 << 20) - (4 << 10);
/// When what was needed for the burst must be gone.
const QUIET: Duration = Duration::from_secs(10);

pub fn measure(target: &Target, count: usize, flags: &Flags) -> Result<Figures, Failure> {
    let mut client = setup::client(target)?;
    let topic = setup::fresh_topic("burst");
    setup::create(&mut client, &topic, 1)?;
    let batch = Batch::new(1 << 10, size(flags, "batch", BATCH_BYTES)? as usize, usize::MAX, Compression::None);
    let frame = setup::produce(&topic, &[0], &batch, 1)?;
    let mut links = (0..count).map(|_| Link::open(target)).collect::<Result<Vec<_>, _>>()?;
    let resident = || target.pid.map_or(f64::NAN, resident_mb);
    let (before, meter) = (resident(), Meter::start(target.pid));
    for link in &mut links {
        link.send(frame.clone())?;
    }
    let highest = take_answers(&mut links, resident)?;
    let costs = meter.stop((batch.plain_bytes * count as u64) as f64 / 1e9, count as f64);
    std::thread::sleep(QUIET);
    let mut figures: Figures =
        vec![("rss_before_MB", before), ("rss_highest_MB", highest), ("rss_10_s_later_MB", resident())];
    figures.extend(costs.into_iter().filter(|(name, _)| *name != "broker_rss_MB"));
    drop(links);
    setup::delete(&mut client, &topic)?;
    Ok(figures)
}

/// Waits until every link has its answer; the most memory that was seen meanwhile.
fn take_answers(links: &mut [Link], resident: impl Fn() -> f64) -> Result<f64, Failure> {
    let watch = Stopwatch::start();
    let (mut highest, mut answered) = (resident(), 0);
    let count = links.len();
    while answered < count {
        let mut all: Vec<&mut Link> = links.iter_mut().collect();
        let ready = wait(&mut all, Duration::from_millis(5))?;
        for (link, _) in links.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
            link.read()?;
            while let Some(answer) = link.answer() {
                setup::produced(answer)?;
                answered += 1;
            }
        }
        highest = highest.max(resident());
        if watch.elapsed() > Duration::from_secs(120) {
            return Err(bad(format!("{answered} of {count} requests were answered in 120 s")));
        }
    }
    Ok(highest)
}
