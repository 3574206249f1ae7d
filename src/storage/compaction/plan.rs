//! What to clean, and in which pieces. Pure.
//!
//! ```text
//! log start        cleaned to                    end           active
//!     |   clean        |        cleanable         |  not yet  |       |
//! ```
//! Only whole closed segments are cleaned, and only those that end below the last stable offset, below what is flushed, and
//! whose records are all older than `min.compaction.lag.ms` (I82). Kafka also cleans the part of a segment below an open
//! transaction; here such a segment waits for the transaction to end.

use std::ops::Range;

use super::super::log::SegmentInfo;
use crate::config::LogConfig;
use crate::types::{Offset, Timestamp};

/// How much of a log there is to clean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dirt {
    /// The first offset that was not cleaned yet.
    pub start: Offset,
    /// Where cleaning has to end: the base of a segment.
    pub end: Offset,
    pub clean_bytes: u64,
    pub cleanable_bytes: u64,
    /// Something has waited longer than `max.compaction.lag.ms`.
    pub is_overdue: bool,
}

impl Dirt {
    /// What share of the bytes that may be cleaned is dirty.
    pub fn ratio(&self) -> f64 {
        let total = self.clean_bytes + self.cleanable_bytes;
        if total == 0 { 0.0 } else { self.cleanable_bytes as f64 / total as f64 }
    }

    /// Is it worth a cleaning now? Kafka's rule.
    pub fn is_due(&self, config: &LogConfig) -> bool {
        self.cleanable_bytes > 0 && (self.is_overdue || self.ratio() > config.min_cleanable_dirty_ratio)
    }
}

/// What is to clean in a log. `segments` are all of it; nothing at or above `limit` may be touched. `cleaned_to` is what the
/// checkpoint says; where it does not fit the log all of it counts as dirty.
pub fn dirt(
    segments: &[SegmentInfo],
    config: &LogConfig,
    now: Timestamp,
    limit: Offset,
    log_start: Offset,
    cleaned_to: Option<Offset>,
) -> Dirt {
    let log_end = segments.last().map_or(log_start, |active| active.end_offset);
    let start = cleaned_to.filter(|offset| (log_start..=log_end).contains(offset)).unwrap_or(log_start);
    let youngest = now.0.saturating_sub(saturated(config.min_compaction_lag_ms));
    let is_ripe = |segment: &SegmentInfo| {
        let old_enough = config.min_compaction_lag_ms == 0
            // What was cleaned once is not kept back by a lag that was made longer since.
            || segment.end_offset <= start
            || segment.largest_timestamp().is_some_and(|largest| largest.0 <= youngest);
        !segment.is_active && segment.end_offset <= limit && old_enough
    };
    let ripe: Vec<&SegmentInfo> = segments.iter().take_while(|segment| is_ripe(segment)).collect();
    let end = ripe.last().map_or(start, |last| last.end_offset).max(start);
    let is_clean = |segment: &&&SegmentInfo| segment.end_offset <= start;
    let clean_bytes = ripe.iter().filter(is_clean).map(|segment| segment.size_bytes).sum();
    let dirty = ripe.iter().filter(|segment| !is_clean(segment));
    Dirt {
        start,
        end,
        clean_bytes,
        cleanable_bytes: dirty.clone().map(|segment| segment.size_bytes).sum(),
        is_overdue: dirty.clone().any(|segment| waits_too_long(segment, config, now)),
    }
}

/// Has the first record of a segment waited longer than `max.compaction.lag.ms`? The active segment is closed then, so that
/// the promise holds for a log that nobody writes to any more (I82).
pub fn waits_too_long(segment: &SegmentInfo, config: &LogConfig, now: Timestamp) -> bool {
    let first = segment.first_timestamp;
    let waited = now.0.saturating_sub(first.0);
    first.0 >= 0 && segment.size_bytes > 0 && waited > saturated(config.max_compaction_lag_ms)
}

fn saturated(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

/// How many segments become one at most: while they change places with it, the files of all of them are open.
const MAX_TOGETHER: usize = 32;

/// Which neighbours become one new segment each: as many as together stay within the size of a segment, of its index, and
/// of what an index entry can say.
pub fn groups(segments: &[SegmentInfo], config: &LogConfig) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    let mut bytes = 0;
    for (index, segment) in segments.iter().enumerate() {
        let together = bytes + segment.size_bytes;
        match groups.last_mut() {
            Some(group)
                if group.len() < MAX_TOGETHER
                    && fits(together, segments[group.start].base_offset, segment.end_offset, config) =>
            {
                group.end = index + 1;
                bytes = together;
            }
            _ => {
                groups.push(index..index + 1);
                bytes = segment.size_bytes;
            }
        }
    }
    groups
}

fn fits(bytes: u64, base: Offset, end: Offset, config: &LogConfig) -> bool {
    // At most one entry every so many bytes, and those of the time index are the larger ones.
    const TIME_INDEX_ENTRY: u64 = 12;
    let index_bytes = (bytes / config.index_interval_bytes.max(1) + 1).saturating_mul(TIME_INDEX_ENTRY);
    bytes <= config.segment_bytes && index_bytes <= config.segment_index_bytes && end.0 - base.0 <= i64::from(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    /// Segments of ten offsets each with these sizes and timestamps, the last one active.
    fn segments(facts: &[(u64, i64)]) -> Vec<SegmentInfo> {
        let segment = |(index, (size_bytes, timestamp)): (usize, &(u64, i64))| SegmentInfo {
            base_offset: Offset(index as i64 * 10),
            end_offset: Offset(index as i64 * 10 + 10),
            size_bytes: *size_bytes,
            max_timestamp: Timestamp(*timestamp),
            first_timestamp: Timestamp(*timestamp),
            last_modified: None,
            path: Default::default(),
            is_active: index + 1 == facts.len(),
        };
        facts.iter().enumerate().map(segment).collect()
    }

    fn compacted() -> LogConfig {
        LogConfig { compact: true, delete: false, ..LogConfig::default() }
    }

    fn found(facts: &[(u64, i64)], config: &LogConfig, limit: i64, start: i64, cleaned_to: Option<i64>) -> Dirt {
        dirt(&segments(facts), config, NOW, Offset(limit), Offset(start), cleaned_to.map(Offset))
    }

    #[test]
    fn i82_the_active_segment_and_what_is_not_stable_are_not_cleaned() {
        let log = [(100, 0), (100, 0), (100, 0), (50, 0)];
        let all = found(&log, &compacted(), 40, 0, None);
        assert_eq!((all.start, all.end, all.clean_bytes, all.cleanable_bytes), (Offset(0), Offset(30), 0, 300));
        // The transaction that begins at 29 keeps its whole segment.
        assert_eq!(found(&log, &compacted(), 29, 0, None).end, Offset(20));
        assert_eq!(found(&log, &compacted(), 9, 0, None).cleanable_bytes, 0);
        assert_eq!(found(&[(50, 0)], &compacted(), 10, 0, None).cleanable_bytes, 0);
        assert_eq!(found(&[], &compacted(), 0, 0, None).cleanable_bytes, 0);
    }

    #[test]
    fn i82_a_segment_with_a_record_younger_than_the_minimum_lag_ends_the_cleaning() {
        let config = LogConfig { min_compaction_lag_ms: 1_000, ..compacted() };
        let log = [(1, 999_000), (1, 999_001), (1, 0), (1, 0)];
        assert_eq!(found(&log, &config, 40, 0, None).end, Offset(10));
        let none = [(1, -1), (1, 0)];
        assert_eq!(found(&none, &config, 40, 0, None).end, Offset(0));
        assert_eq!(found(&none, &compacted(), 40, 0, None).end, Offset(10));
    }

    #[test]
    fn the_ratio_decides_unless_the_maximum_lag_has_passed() {
        let log = [(300, 900_000), (100, 900_000), (1, 0)];
        let dirty = found(&log, &compacted(), 30, 0, Some(10));
        assert_eq!((dirty.clean_bytes, dirty.cleanable_bytes, dirty.ratio()), (300, 100, 0.25));
        assert!(!dirty.is_due(&compacted()));
        assert!(dirty.is_due(&LogConfig { min_cleanable_dirty_ratio: 0.2, ..compacted() }));
        // As in Kafka, a ratio that is just met is not enough.
        assert!(!dirty.is_due(&LogConfig { min_cleanable_dirty_ratio: 0.25, ..compacted() }));
        let hasty = LogConfig { max_compaction_lag_ms: 99_999, ..compacted() };
        assert!(found(&log, &hasty, 30, 0, Some(10)).is_due(&hasty));
        let exact = LogConfig { max_compaction_lag_ms: 100_000, ..compacted() };
        assert!(!found(&log, &exact, 30, 0, Some(10)).is_due(&exact));
        // Nothing dirty is never due.
        assert!(!found(&log, &hasty, 30, 0, Some(20)).is_due(&hasty));
    }

    #[test]
    fn a_checkpoint_that_does_not_fit_the_log_makes_all_of_it_dirty() {
        let log = [(100, 0), (100, 0), (100, 0)];
        assert_eq!(found(&log, &compacted(), 30, 0, Some(31)).start, Offset(0));
        assert_eq!(found(&log, &compacted(), 30, 12, Some(10)).start, Offset(12));
        assert_eq!(found(&log, &compacted(), 30, 12, Some(13)).start, Offset(13));
        // In the middle of a segment: all of that segment is dirty.
        assert_eq!(found(&log, &compacted(), 30, 0, Some(5)).cleanable_bytes, 200);
    }

    #[test]
    fn small_neighbours_become_one_segment_within_the_limits() {
        let log = segments(&[(40, 0), (40, 0), (40, 0), (90, 0), (10, 0), (200, 0), (0, 0)]);
        let config = LogConfig { segment_bytes: 100, ..compacted() };
        assert_eq!(groups(&log, &config), [0..2, 2..3, 3..5, 5..6, 6..7]);
        let small_index = LogConfig { index_interval_bytes: 1, segment_index_bytes: 12 * 81, ..config.clone() };
        assert_eq!(groups(&log[..3], &small_index), [0..2, 2..3]);
        let small_index = LogConfig { segment_index_bytes: 12 * 80, ..small_index };
        assert_eq!(groups(&log[..3], &small_index), [0..1, 1..2, 2..3]);
        let mut far = log[..2].to_vec();
        far[1].end_offset = Offset(i64::from(i32::MAX) + 1);
        assert_eq!(groups(&far, &config), [0..1, 1..2]);
        let many = segments(&[(1, 0); 70]);
        assert_eq!(groups(&many, &config), [0..32, 32..64, 64..70]);
        far[1].end_offset = Offset(i64::from(i32::MAX));
        assert_eq!(groups(&far, &config).len(), 1);
    }
}
