//! Many of one thing: partitions of a topic, idle connections, members of a group. What each costs the broker, and whether
//! all of them work.

use std::time::Duration;

use kafka_protocol::messages as m;
use kafka_protocol::protocol::{Decodable, StrBytes};

use super::link::{Link, wait};
use super::meter::{self, Meter};
use super::{Figures, Target, bad, setup};
use crate::clock::Stopwatch;
use crate::tools::Failure;
use crate::tools::flags::Flags;

pub fn measure(target: &Target, flags: &Flags) -> Result<Figures, Failure> {
    let count = |default: usize| Ok::<usize, Failure>(flags.number("count")?.unwrap_or(default).max(1));
    match flags.value("what").unwrap_or("partitions") {
        "partitions" => partitions(target, count(10_000)?, flags),
        "conns" => connections(target, count(5_000)?, flags),
        "members" => members(target, count(1_000)?, flags),
        other => Err(bad(format!("--what {other}: partitions, conns or members"))),
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

/// What a member waits for.
#[derive(Clone, Copy, PartialEq)]
enum Step {
    Join,
    Sync,
    /// Nothing, until the next heartbeat is due.
    Stable(Duration),
    Heartbeat,
    /// To ask again: the coordinator was not ready.
    Later(Duration),
}

struct Member {
    link: Link,
    id: String,
    generation: i32,
    step: Step,
}

struct Group {
    name: m::GroupId,
    heartbeat: Duration,
}

/// A classic group in which all members join at once, until all are in one generation and stay there for a while.
fn members(target: &Target, count: usize, flags: &Flags) -> Result<Figures, Failure> {
    let name = m::GroupId(StrBytes::from_string(setup::fresh_topic("group")));
    let group = Group { name, heartbeat: Duration::from_secs(3) };
    let longest = Duration::from_secs(flags.number("seconds")?.unwrap_or(180));
    let mut members = Vec::with_capacity(count);
    for _ in 0..count {
        let link = Link::open(target)?;
        members.push(Member { link, id: String::new(), generation: -1, step: Step::Join });
    }
    let meter = Meter::start(target.pid);
    let watch = Stopwatch::start();
    for member in &mut members {
        member.join(&group)?;
    }
    let mut stable_since: Option<Duration> = None;
    while stable_since.is_none_or(|since| watch.elapsed() < since + CALM) {
        if watch.elapsed() > longest {
            return Err(bad(format!("the group was not stable after {} s", longest.as_secs())));
        }
        drive(&mut members, &group, &watch)?;
        let generation = members[0].generation;
        let settled = |member: &Member| {
            matches!(member.step, Step::Stable(_) | Step::Heartbeat) && member.generation == generation
        };
        stable_since = members.iter().all(settled).then(|| stable_since.unwrap_or_else(|| watch.elapsed()));
    }
    let mut figures: Figures = vec![
        ("join_to_stable_s", stable_since.map_or(f64::NAN, |since| since.as_secs_f64())),
        ("generation", f64::from(members[0].generation)),
    ];
    figures.extend(meter.stop(0.0, count as f64));
    Ok(figures)
}

/// How long nothing may change before a group is called stable.
const CALM: Duration = Duration::from_secs(2);

fn drive(members: &mut [Member], group: &Group, watch: &Stopwatch) -> Result<(), Failure> {
    let now = watch.elapsed();
    for member in members.iter_mut() {
        match member.step {
            Step::Stable(due) if due <= now => member.beat(group)?,
            Step::Later(due) if due <= now => member.join(group)?,
            _ => {}
        }
    }
    let mut links: Vec<&mut Link> = members.iter_mut().map(|member| &mut member.link).collect();
    let ready = wait(&mut links, Duration::from_millis(5))?;
    for (member, _) in members.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
        member.link.read()?;
        while let Some(answer) = member.link.answer().map(bytes::Bytes::copy_from_slice) {
            member.answered(answer, group, watch.elapsed())?;
        }
    }
    Ok(())
}

impl Member {
    fn join(&mut self, group: &Group) -> Result<(), Failure> {
        let protocol = m::join_group_request::JoinGroupRequestProtocol::default()
            .with_name(StrBytes::from_static_str("range"))
            .with_metadata(bytes::Bytes::from_static(&[0, 0, 0, 0, 0, 0, 255, 255, 255, 255]));
        let request = m::JoinGroupRequest::default()
            .with_group_id(group.name.clone())
            .with_session_timeout_ms(45_000)
            .with_rebalance_timeout_ms(60_000)
            .with_member_id(self.own_id())
            .with_protocol_type(StrBytes::from_static_str("consumer"))
            .with_protocols(vec![protocol]);
        self.step = Step::Join;
        self.link.send(setup::frame(5, &request)?)
    }

    fn own_id(&self) -> StrBytes {
        StrBytes::from_string(self.id.clone())
    }

    fn sync(&mut self, joined: &m::JoinGroupResponse, group: &Group) -> Result<(), Failure> {
        let is_leader = joined.leader == joined.member_id;
        let assignment = |member: &m::join_group_response::JoinGroupResponseMember| {
            m::sync_group_request::SyncGroupRequestAssignment::default()
                .with_member_id(member.member_id.clone())
                .with_assignment(bytes::Bytes::from_static(&[0, 0, 0, 0, 0, 0, 255, 255, 255, 255]))
        };
        let assignments = joined.members.iter().filter(|_| is_leader).map(assignment);
        let request = m::SyncGroupRequest::default()
            .with_group_id(group.name.clone())
            .with_generation_id(self.generation)
            .with_member_id(self.own_id())
            .with_assignments(assignments.collect());
        self.step = Step::Sync;
        self.link.send(setup::frame(3, &request)?)
    }

    fn beat(&mut self, group: &Group) -> Result<(), Failure> {
        let request = m::HeartbeatRequest::default()
            .with_group_id(group.name.clone())
            .with_generation_id(self.generation)
            .with_member_id(self.own_id());
        self.step = Step::Heartbeat;
        self.link.send(setup::frame(3, &request)?)
    }

    fn answered(&mut self, mut answer: bytes::Bytes, group: &Group, now: Duration) -> Result<(), Failure> {
        let unreadable = |_| bad("an answer to a member that cannot be read".into());
        let code = match self.step {
            Step::Join => {
                let joined = m::JoinGroupResponse::decode(&mut answer, 5).map_err(unreadable)?;
                // 79: the id is given now, and is to be named.
                if joined.error_code == 0 || joined.error_code == 79 {
                    self.id = joined.member_id.to_string();
                    self.generation = joined.generation_id;
                }
                if joined.error_code == 0 {
                    return self.sync(&joined, group);
                }
                joined.error_code
            }
            Step::Sync => m::SyncGroupResponse::decode(&mut answer, 3).map_err(unreadable)?.error_code,
            _ => m::HeartbeatResponse::decode(&mut answer, 3).map_err(unreadable)?.error_code,
        };
        match code {
            0 => {
                self.step = Step::Stable(now + group.heartbeat);
                Ok(())
            }
            14..=16 => {
                self.step = Step::Later(now + Duration::from_millis(100));
                Ok(())
            }
            22 | 27 | 79 => self.join(group),
            25 => {
                self.id.clear();
                self.join(group)
            }
            code => Err(bad(format!("a member was refused with error {code}"))),
        }
    }
}
