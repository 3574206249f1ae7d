//! Incremental fetch sessions (KIP-227): what a client asked for is remembered, so that it need not say it again and hears
//! only of partitions that changed.
//!
//! Epochs: 0 opens a session (and closes the one named), 1, 2, … continue it, -1 is a fetch without one (and closes the one
//! named). A session that is unknown gets FETCH_SESSION_ID_NOT_FOUND, an epoch out of turn INVALID_FETCH_SESSION_EPOCH;
//! the client then opens a new one. The cache is bounded: the session unused for longest gives way once it has been quiet
//! for two minutes (Kafka's rule), otherwise the newcomer fetches without a session. A restart forgets all of it.

use std::collections::HashMap;

use indexmap::IndexMap;

use crate::types::{ErrorCode, LeaderEpoch, Monotonic, Offset, TopicId, TopicName};

/// A session may be pushed out once it was unused for this long (Kafka: `FetchSession`, 120 s).
const EVICTION_MS: u64 = 120_000;

/// One partition as requests name it: by name, or from version 13 on by id alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PartitionKey {
    pub topic: TopicName,
    pub topic_id: TopicId,
    pub partition: i32,
}

/// What a client wants of a partition.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    pub fetch_offset: Offset,
    pub current_leader_epoch: LeaderEpoch,
    pub last_fetched_epoch: LeaderEpoch,
    pub max_bytes: i32,
}

/// What the client was last told of a partition, to know whether there is news.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Told {
    pub high_watermark: Offset,
    pub log_start_offset: Offset,
}

#[derive(Clone, Debug)]
struct Cached {
    wanted: Wanted,
    told: Option<Told>,
}

#[derive(Debug)]
struct Session {
    /// The epoch that the next request must carry.
    epoch: i32,
    uses_topic_ids: bool,
    partitions: IndexMap<PartitionKey, Cached>,
    /// Where the next answer begins, so that no partition starves behind the byte limit.
    start: usize,
    last_used: Monotonic,
}

/// The session part of a request.
#[derive(Clone, Debug)]
pub struct Request {
    pub session_id: i32,
    pub session_epoch: i32,
    pub uses_topic_ids: bool,
    pub partitions: Vec<(PartitionKey, Wanted)>,
    pub forgotten: Vec<PartitionKey>,
}

/// What is to be read for a request.
#[derive(Debug, PartialEq)]
pub struct Plan {
    /// 0: no session.
    pub session_id: i32,
    /// Leave out partitions without news.
    pub incremental: bool,
    pub partitions: Vec<(PartitionKey, Wanted)>,
}

#[derive(Debug)]
pub struct FetchSessions {
    /// `max.incremental.fetch.session.cache.slots`
    slots: usize,
    sessions: HashMap<i32, Session>,
}

impl FetchSessions {
    pub fn new(slots: usize) -> Self {
        FetchSessions { slots, sessions: HashMap::new() }
    }

    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// What to read. What `random` says, asked only for a new session, becomes its id.
    pub fn plan(&mut self, now: Monotonic, request: Request, random: impl FnOnce() -> u64) -> Result<Plan, ErrorCode> {
        match request.session_epoch {
            -1 => {
                self.sessions.remove(&request.session_id);
                Ok(Plan { session_id: 0, incremental: false, partitions: request.partitions })
            }
            0 => {
                self.sessions.remove(&request.session_id);
                Ok(self.open(now, request, random))
            }
            _ => self.go_on(now, request),
        }
    }

    /// A session that nobody was told of.
    pub fn forget(&mut self, session_id: i32) {
        self.sessions.remove(&session_id);
    }

    fn open(&mut self, now: Monotonic, request: Request, random: impl FnOnce() -> u64) -> Plan {
        let session_id = if request.partitions.is_empty() || !self.make_room(now) { 0 } else { self.free_id(random()) };
        if session_id != 0 {
            let cached =
                |(key, wanted): &(PartitionKey, Wanted)| (key.clone(), Cached { wanted: wanted.clone(), told: None });
            self.sessions.insert(
                session_id,
                Session {
                    epoch: 1,
                    uses_topic_ids: request.uses_topic_ids,
                    partitions: request.partitions.iter().map(cached).collect(),
                    start: 0,
                    last_used: now,
                },
            );
        }
        Plan { session_id, incremental: false, partitions: request.partitions }
    }

    fn go_on(&mut self, now: Monotonic, request: Request) -> Result<Plan, ErrorCode> {
        let session = self.sessions.get_mut(&request.session_id).ok_or(ErrorCode::FetchSessionIdNotFound)?;
        if session.epoch != request.session_epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        if session.uses_topic_ids != request.uses_topic_ids {
            return Err(ErrorCode::FetchSessionTopicIdError);
        }
        session.last_used = now;
        session.epoch = if session.epoch == i32::MAX { 1 } else { session.epoch + 1 };
        for key in &request.forgotten {
            session.partitions.shift_remove(key);
        }
        for (key, wanted) in request.partitions {
            match session.partitions.get_mut(&key) {
                Some(cached) => cached.wanted = wanted,
                None => {
                    session.partitions.insert(key, Cached { wanted, told: None });
                }
            }
        }
        if session.partitions.is_empty() {
            self.sessions.remove(&request.session_id);
            return Ok(Plan { session_id: 0, incremental: false, partitions: Vec::new() });
        }
        let start = session.start % session.partitions.len();
        let in_order = session.partitions.iter().skip(start).chain(session.partitions.iter().take(start));
        let partitions = in_order.map(|(key, cached)| (key.clone(), cached.wanted.clone())).collect();
        Ok(Plan { session_id: request.session_id, incremental: true, partitions })
    }

    /// Which of the partitions of an answer are news, told by what they now say; remembers it. `has_news` marks those that
    /// are to be sent whatever was told before (records, errors, a diverging epoch: lesson 15). A session that has gone
    /// meanwhile sends everything.
    pub fn news(&mut self, session_id: i32, told: &[(PartitionKey, Told, bool, bool)]) -> Vec<bool> {
        let Some(session) = self.sessions.get_mut(&session_id) else { return vec![true; told.len()] };
        let mut news = Vec::with_capacity(told.len());
        let mut last_with_records = None;
        for (key, now_told, must_send, has_records) in told {
            let Some((index, _, cached)) = session.partitions.get_full_mut(key) else {
                news.push(true);
                continue;
            };
            news.push(*must_send || cached.told != Some(*now_told));
            cached.told = Some(*now_told);
            if *has_records {
                last_with_records = Some(index);
            }
        }
        if let Some(index) = last_with_records {
            session.start = index + 1;
        }
        news
    }

    fn make_room(&mut self, now: Monotonic) -> bool {
        if self.sessions.len() < self.slots {
            return true;
        }
        let oldest = self.sessions.iter().min_by_key(|(id, session)| (session.last_used, **id));
        match oldest.map(|(id, session)| (*id, now.ms_since(session.last_used))) {
            Some((id, quiet_ms)) if quiet_ms >= EVICTION_MS => {
                self.sessions.remove(&id);
                true
            }
            _ => false,
        }
    }

    fn free_id(&self, random: u64) -> i32 {
        // Ids are positive; the next free one from a random start.
        let mut id = (random >> 33) as i32;
        while id <= 0 || self.sessions.contains_key(&id) {
            id = id.wrapping_add(1).max(1);
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(partition: i32) -> PartitionKey {
        PartitionKey { topic: "t".into(), topic_id: TopicId::ZERO, partition }
    }

    fn wanted(offset: i64) -> Wanted {
        Wanted {
            fetch_offset: Offset(offset),
            current_leader_epoch: LeaderEpoch::NONE,
            last_fetched_epoch: LeaderEpoch::NONE,
            max_bytes: 1,
        }
    }

    fn request(session_id: i32, session_epoch: i32, partitions: &[i32]) -> Request {
        let partitions = partitions.iter().map(|p| (key(*p), wanted(0))).collect();
        Request { session_id, session_epoch, uses_topic_ids: false, partitions, forgotten: Vec::new() }
    }

    fn open(sessions: &mut FetchSessions, partitions: &[i32]) -> i32 {
        sessions.plan(Monotonic(0), request(0, 0, partitions), || 7 << 40).unwrap().session_id
    }

    fn told(hw: i64) -> Told {
        Told { high_watermark: Offset(hw), log_start_offset: Offset(0) }
    }

    #[test]
    fn a_session_remembers_what_was_asked() {
        let mut sessions = FetchSessions::new(10);
        let id = open(&mut sessions, &[0, 1, 2]);
        assert_ne!(id, 0);
        let mut next = request(id, 1, &[3]);
        next.forgotten.push(key(1));
        let plan = sessions.plan(Monotonic(1), next, || 0).unwrap();
        assert_eq!(plan.partitions.iter().map(|(k, _)| k.partition).collect::<Vec<_>>(), [0, 2, 3]);
        assert!(plan.incremental);
    }

    #[test]
    fn only_news_is_sent() {
        let mut sessions = FetchSessions::new(10);
        let id = open(&mut sessions, &[0, 1]);
        assert_eq!(
            sessions.news(id, &[(key(0), told(1), false, false), (key(1), told(1), false, false)]),
            [true, true]
        );
        assert_eq!(
            sessions.news(id, &[(key(0), told(1), false, false), (key(1), told(2), false, false)]),
            [false, true]
        );
    }

    /// Lesson 15: an answer without records and without an error can be news all the same.
    #[test]
    fn lesson_15_a_diverging_epoch_is_news() {
        let mut sessions = FetchSessions::new(10);
        let id = open(&mut sessions, &[0]);
        sessions.news(id, &[(key(0), told(1), false, false)]);
        assert_eq!(sessions.news(id, &[(key(0), told(1), true, false)]), [true]);
    }

    #[test]
    fn no_partition_starves_behind_the_byte_limit() {
        let mut sessions = FetchSessions::new(10);
        let id = open(&mut sessions, &[0, 1, 2]);
        sessions.news(id, &[(key(0), told(9), true, true), (key(1), told(9), false, false)]);
        let plan = sessions.plan(Monotonic(1), request(id, 1, &[]), || 0).unwrap();
        assert_eq!(plan.partitions.iter().map(|(k, _)| k.partition).collect::<Vec<_>>(), [1, 2, 0]);
    }

    #[test]
    fn epochs_out_of_turn_and_unknown_sessions_are_told() {
        let mut sessions = FetchSessions::new(10);
        let id = open(&mut sessions, &[0]);
        assert_eq!(sessions.plan(Monotonic(0), request(id, 5, &[]), || 0), Err(ErrorCode::InvalidFetchSessionEpoch));
        assert_eq!(sessions.plan(Monotonic(0), request(id + 1, 1, &[]), || 0), Err(ErrorCode::FetchSessionIdNotFound));
        sessions.plan(Monotonic(0), request(id, -1, &[]), || 0).unwrap();
        assert!(sessions.is_empty());
    }

    /// S10: the cache is bounded; a newcomer fetches without a session rather than push out a live one.
    #[test]
    fn s10_sessions_are_bounded() {
        let mut sessions = FetchSessions::new(2);
        open(&mut sessions, &[0]);
        open(&mut sessions, &[0]);
        assert_eq!(open(&mut sessions, &[0]), 0);
        let late = sessions.plan(Monotonic(EVICTION_MS), request(0, 0, &[0]), || 1 << 40).unwrap();
        assert_ne!(late.session_id, 0);
        assert_eq!(sessions.len(), 2);
    }
}
