//! Members of classic groups: how long until all of them are in one generation, and what they cost the broker.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages as m;
use kafka_protocol::protocol::{Decodable, StrBytes};

use super::link::{Link, wait};
use super::meter::{Meter, resident_mb};
use super::{Figures, Target, bad, setup};
use crate::clock::Stopwatch;
use crate::tools::Failure;
use crate::tools::flags::Flags;

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
    /// Which of the groups it is in.
    group: usize,
    id: String,
    generation: i32,
    step: Step,
}

struct Group {
    name: m::GroupId,
    heartbeat: Duration,
    members: usize,
    /// Partitions that the leader shares out.
    partitions: usize,
}

/// Classic groups in which all members join at once, until those of each are in one generation and stay there for a while.
pub fn measure(target: &Target, count: usize, flags: &Flags) -> Result<Figures, Failure> {
    let groups: usize = flags.number("groups")?.unwrap_or(1).max(1);
    let (name, partitions) = (setup::fresh_topic("group"), flags.number("partitions")?.unwrap_or(0));
    let group = |index| Group {
        name: m::GroupId(StrBytes::from_string(format!("{name}-{index}"))),
        heartbeat: Duration::from_secs(3),
        members: count,
        partitions,
    };
    let groups: Vec<Group> = (0..groups).map(group).collect();
    let all = count * groups.len();
    let longest = Duration::from_secs(flags.number("seconds")?.unwrap_or(180));
    let before = target.pid.map_or(f64::NAN, resident_mb);
    let mut members = Vec::with_capacity(all);
    for index in 0..all {
        let link = Link::open(target)?;
        members.push(Member { link, group: index / count, id: String::new(), generation: -1, step: Step::Join });
    }
    let meter = Meter::start(target.pid);
    let watch = Stopwatch::start();
    for member in &mut members {
        member.join(&groups[member.group])?;
    }
    let mut stable_since: Option<Duration> = None;
    while stable_since.is_none_or(|since| watch.elapsed() < since + CALM) {
        if watch.elapsed() > longest {
            return Err(bad(format!("not all members were stable after {} s", longest.as_secs())));
        }
        drive(&mut members, &groups, &watch)?;
        let stable = members.chunks(count).all(is_settled);
        stable_since = stable.then(|| stable_since.unwrap_or_else(|| watch.elapsed()));
    }
    let mut figures: Figures = vec![
        ("join_to_stable_s", stable_since.map_or(f64::NAN, |since| since.as_secs_f64())),
        ("generation", f64::from(members[0].generation)),
        ("rss_KB_per_member", (target.pid.map_or(f64::NAN, resident_mb) - before) * 1024.0 / all as f64),
    ];
    figures.extend(meter.stop(0.0, all as f64));
    Ok(figures)
}

/// Are the members of a group in one generation?
fn is_settled(group: &[Member]) -> bool {
    group.iter().all(|member| {
        matches!(member.step, Step::Stable(_) | Step::Heartbeat) && member.generation == group[0].generation
    })
}

/// How long nothing may change before a group is called stable.
const CALM: Duration = Duration::from_secs(2);

impl Group {
    /// An assignment as Kafka's clients write it: version, one topic with this member's part of its partitions, no user data.
    fn share(&self) -> Bytes {
        let mut bytes = vec![0, 0, 0, 0, 0, 1, 0, 1, b't'];
        let part = self.partitions.div_ceil(self.members.max(1)) as u32;
        bytes.extend(part.to_be_bytes());
        (0..part).for_each(|index| bytes.extend(index.to_be_bytes()));
        bytes.extend([255; 4]);
        bytes.into()
    }
}

fn drive(members: &mut [Member], groups: &[Group], watch: &Stopwatch) -> Result<(), Failure> {
    let now = watch.elapsed();
    for member in members.iter_mut() {
        match member.step {
            Step::Stable(due) if due <= now => member.beat(&groups[member.group])?,
            Step::Later(due) if due <= now => member.join(&groups[member.group])?,
            _ => {}
        }
    }
    let mut links: Vec<&mut Link> = members.iter_mut().map(|member| &mut member.link).collect();
    let ready = wait(&mut links, Duration::from_millis(5))?;
    for (member, _) in members.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
        member.link.read()?;
        while let Some(answer) = member.link.answer().map(Bytes::copy_from_slice) {
            member.answered(answer, &groups[member.group], watch.elapsed())?;
        }
    }
    Ok(())
}

impl Member {
    fn join(&mut self, group: &Group) -> Result<(), Failure> {
        let protocol = m::join_group_request::JoinGroupRequestProtocol::default()
            .with_name(StrBytes::from_static_str("range"))
            .with_metadata(Bytes::from_static(&[0, 0, 0, 0, 0, 0, 255, 255, 255, 255]));
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
                .with_assignment(group.share())
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

    fn answered(&mut self, mut answer: Bytes, group: &Group, now: Duration) -> Result<(), Failure> {
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
