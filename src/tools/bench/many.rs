//! Many of one thing: partitions of a topic, idle connections. What each costs the broker, and whether all of them work.
//! Members of groups are in `members.rs`.

use std::time::Duration;

use kafka_protocol::messages as m;

use super::link::{Link, wait};
use super::meter::{self, Meter};
use super::{Figures, Target, bad, burst, members, setup};
use crate::clock::Stopwatch;
use crate::tools::Failure;
use crate::tools::flags::Flags;

pub fn measure(target: &Target, flags: &Flags) -> Result<Figures, Failure> {
    let count = |default: usize| Ok::<usize, Failure>(flags.number("count")?.unwrap_or(default).max(1));
    match flags.value("what").unwrap_or("partitions") {
        "partitions" => partitions(target, count(10_000)?, flags),
        "conns" => connections(target, count(5_000)?, flags),
        "members" => members::measure(target, count(1_000)?, flags),
        "burst" => burst::measure(target, count(200)?, flags),
        other => Err(bad(format!("--what {other}: partitions, conns, members or burst"))),
    }
}

fn resident(target: &Target) -> f64 {
    target.pid.map_or(f64::NAN, meter::resident_mb)
}

fn partitions(target: &Target, count: usize, flags: &Flags) -> Result<Figures, Failure> {
    let mut client = setup::client(target)?;
    let topic = flags.value("topic").map_or_else(|| setup::fresh_topic("many"), str::to_owned);
    let before = resident(target);
    let meter = Meter::start(target.pid);
    setup::create(&mut client, &topic, count as i32)?;
    let created = meter.elapsed().as_secs_f64();
    let costs = meter.stop(0.0, count as f64);
    let mut asked = Vec::new();
    for _ in 0..20 {
        let watch = Stopwatch::start();
        setup::partitions_of(&mut client, &topic)?;
        asked.push(watch.elapsed().as_nanos() as u64);
    }
    let after = resident(target);
    let mut figures: Figures = vec![
        ("create_s", created),
        ("metadata_p50_ms", super::produce::quantile(&mut asked, 0.5)),
        ("rss_before_MB", before),
        ("rss_after_MB", after),
        ("rss_KB_per_partition", (after - before) * 1024.0 / count as f64),
        ("descriptors", target.pid.map_or(f64::NAN, meter::descriptors)),
    ];
    figures.extend(costs);
    if !flags.has("keep") {
        setup::delete(&mut client, &topic)?;
    }
    Ok(figures)
}

/// Connections that have asked one question each and then nothing.
fn connections(target: &Target, count: usize, flags: &Flags) -> Result<Figures, Failure> {
    let before = resident(target);
    let question = setup::frame(0, &m::ApiVersionsRequest::default())?;
    let meter = Meter::start(target.pid);
    let mut links = Vec::with_capacity(count);
    for _ in 0..count {
        let mut link = Link::open(target)?;
        link.send(question.clone())?;
        take_answer(&mut link)?;
        links.push(link);
    }
    let seconds = meter.elapsed().as_secs_f64();
    let costs = meter.stop(0.0, count as f64);
    let at_once = resident(target);
    let idle = Meter::start(target.pid);
    std::thread::sleep(Duration::from_secs(flags.number("seconds")?.unwrap_or(15)));
    let idle = idle.stop(0.0, 0.0);
    let held = resident(target);
    for link in &mut links {
        link.send(question.clone())?;
        take_answer(link)?;
    }
    let cpu = |figures: &Figures, name| figures.iter().find(|(known, _)| *known == name).map_or(f64::NAN, |(_, v)| *v);
    Ok(vec![
        ("connect_s", seconds),
        ("broker_us_per_connection", cpu(&costs, "broker_us_per_request")),
        ("rss_before_MB", before),
        ("rss_at_once_MB", at_once),
        ("rss_held_MB", held),
        ("rss_KB_per_connection", (held - before) * 1024.0 / count as f64),
        ("idle_cpu_s", cpu(&idle, "broker_cpu_s")),
    ])
}

fn take_answer(link: &mut Link) -> Result<Vec<u8>, Failure> {
    let watch = Stopwatch::start();
    loop {
        link.read()?;
        if let Some(answer) = link.answer() {
            return Ok(answer.to_vec());
        }
        if watch.elapsed() > Duration::from_secs(30) {
            return Err(bad("no answer in 30 s".into()));
        }
        wait(&mut [link], Duration::from_millis(100))?;
    }
}
