//! Which segments may go. Pure: sizes, times and `now` come in, how many of the oldest segments to remove comes out, and
//! `log.rs` carries it out.
//!
//! ```text
//! | oldest | … | active |          one by one from the oldest; the first that must stay ends it
//! ```
//! Kafka 4.3's rules (`UnifiedLog.deleteOldSegments`): first what lies wholly below the log start (DeleteRecords), then, if
//! `cleanup.policy` has `delete`, what is too much by size, then what is too old by time. A segment with an offset at or
//! above the high watermark never goes (I20). Time is the time of the records, not of the files, so a clock that jumps
//! loses nothing that its records do not allow (I24); only where no record has a time the file's counts. The active
//! segment goes too when all of it is out of date; the caller begins a new one before.

use super::log::SegmentInfo;
use crate::config::LogConfig;
use crate::types::{Offset, Timestamp};

/// Why a segment goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It lies below the log start.
    LogStart,
    /// `retention.bytes`
    Size,
    /// `retention.ms`
    Time,
}

/// One reason for each segment that is to go, the oldest first. As many as there are segments means that the active one
/// goes too. `segments` are all of a log, the oldest first, the active one last.
pub fn plan(
    segments: &[SegmentInfo],
    config: &LogConfig,
    now: Timestamp,
    high_watermark: Offset,
    log_start: Offset,
) -> Vec<Reason> {
    let mut plan = Planner { segments, high_watermark, reasons: Vec::new() };
    // Where the log starts at its end, as after DeleteRecords of everything, its active segment stays all the same.
    plan.take_while(Reason::LogStart, |segment| !segment.is_active && segment.end_offset <= log_start);
    if config.delete {
        plan.take_too_much(config.retention_bytes);
        plan.take_too_old(config.retention_ms, now);
    }
    plan.reasons
}

struct Planner<'a> {
    segments: &'a [SegmentInfo],
    high_watermark: Offset,
    reasons: Vec<Reason>,
}

impl Planner<'_> {
    fn left(&self) -> &[SegmentInfo] {
        &self.segments[self.reasons.len()..]
    }

    /// Takes segments for as long as they may go at all and `goes` says so.
    fn take_while(&mut self, reason: Reason, mut goes: impl FnMut(&SegmentInfo) -> bool) {
        while let Some(segment) = self.left().first() {
            let is_empty_active = segment.is_active && segment.size_bytes == 0;
            if segment.end_offset > self.high_watermark || is_empty_active || !goes(segment) {
                return;
            }
            self.reasons.push(reason);
        }
    }

    /// Never goes below the limit: a segment leaves only if what stays is at least as much as is to be kept.
    fn take_too_much(&mut self, retention_bytes: Option<u64>) {
        let Some(limit) = retention_bytes else { return };
        let total: u64 = self.left().iter().map(|segment| segment.size_bytes).sum();
        let Some(mut too_much) = total.checked_sub(limit) else { return };
        self.take_while(Reason::Size, |segment| match too_much.checked_sub(segment.size_bytes) {
            Some(rest) => {
                too_much = rest;
                true
            }
            None => false,
        });
    }

    /// A segment whose records lie in the future stays until the clock has passed them, as in Kafka.
    fn take_too_old(&mut self, retention_ms: Option<u64>, now: Timestamp) {
        let Some(retention_ms) = retention_ms else { return };
        let retention_ms = i64::try_from(retention_ms).unwrap_or(i64::MAX);
        self.take_while(Reason::Time, |segment| {
            segment.largest_timestamp().is_some_and(|largest| now.0.saturating_sub(largest.0) > retention_ms)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    /// Segments of ten offsets each with these sizes and largest timestamps.
    fn segments(facts: &[(u64, i64)]) -> Vec<SegmentInfo> {
        let segment = |(index, (size_bytes, max_timestamp)): (usize, &(u64, i64))| SegmentInfo {
            base_offset: Offset(index as i64 * 10),
            end_offset: Offset(index as i64 * 10 + 10),
            size_bytes: *size_bytes,
            max_timestamp: Timestamp(*max_timestamp),
            first_timestamp: Timestamp(*max_timestamp),
            last_modified: None,
            path: Default::default(),
            is_active: index + 1 == facts.len(),
        };
        facts.iter().enumerate().map(segment).collect()
    }

    fn by_time(ms: u64) -> LogConfig {
        LogConfig { retention_ms: Some(ms), ..LogConfig::default() }
    }

    fn by_size(bytes: u64) -> LogConfig {
        LogConfig { retention_ms: None, retention_bytes: Some(bytes), ..LogConfig::default() }
    }

    fn check(facts: &[(u64, i64)], config: &LogConfig, high_watermark: i64, log_start: i64, expected: &[Reason]) {
        let found = plan(&segments(facts), config, NOW, Offset(high_watermark), Offset(log_start));
        assert_eq!(found, expected, "{facts:?} hw {high_watermark} start {log_start}");
    }

    use Reason::*;

    #[test]
    fn a_segment_goes_when_its_newest_record_is_older_than_retention_ms() {
        let config = by_time(1_000);
        // Exactly as old as allowed is not too old.
        check(&[(1, 998_999), (1, 999_000), (1, 999_500)], &config, 30, 0, &[Time]);
        check(&[(1, 0), (1, 998_999), (1, 999_000)], &config, 30, 0, &[Time, Time]);
        // The first that must stay keeps what is behind it.
        check(&[(1, 999_000), (1, 0), (1, 0)], &config, 30, 0, &[]);
    }

    #[test]
    fn seconds_old_data_stays_for_seven_days_lesson_3() {
        let young = [(1, 995_000); 4];
        check(&[&young[..], &[(0, -1)]].concat(), &LogConfig::default(), 50, 0, &[]);
    }

    #[test]
    fn the_active_segment_goes_when_all_of_it_is_too_old_unless_it_is_empty() {
        check(&[(1, 0), (1, 0)], &by_time(1_000), 20, 0, &[Time, Time]);
        check(&[(1, 0), (0, -1)], &by_time(1_000), 20, 0, &[Time]);
    }

    #[test]
    fn i20_nothing_at_or_above_the_high_watermark_goes() {
        check(&[(5, 0), (5, 0), (5, 0)], &by_time(1_000), 19, 0, &[Time]);
        check(&[(5, 0), (5, 0), (5, 0)], &by_time(1_000), 20, 0, &[Time, Time]);
        check(&[(5, 0), (5, 0), (5, 0)], &by_size(0), 9, 0, &[]);
        check(&[(5, 0), (5, 0), (5, 0)], &LogConfig::default(), 9, 20, &[]);
    }

    #[test]
    fn i24_records_in_the_future_stay_and_a_clock_set_back_removes_nothing() {
        check(&[(1, 2_000_000), (1, 0)], &by_time(1_000), 20, 0, &[]);
        let facts = segments(&[(1, 900_000), (1, 900_000)]);
        assert_eq!(plan(&facts, &by_time(1_000), Timestamp(5), Offset(20), Offset(0)), []);
    }

    #[test]
    fn without_any_timestamp_the_files_time_counts_and_without_that_the_segment_stays() {
        let mut facts = segments(&[(1, -1), (1, -1)]);
        assert_eq!(plan(&facts, &by_time(1_000), NOW, Offset(20), Offset(0)), []);
        facts[0].last_modified = Some(Timestamp(10));
        assert_eq!(plan(&facts, &by_time(1_000), NOW, Offset(20), Offset(0)), [Time]);
        facts[0].last_modified = Some(NOW);
        assert_eq!(plan(&facts, &by_time(1_000), NOW, Offset(20), Offset(0)), []);
    }

    #[test]
    fn retention_bytes_never_leaves_less_than_it_keeps() {
        let facts = [(100, NOW.0), (100, NOW.0), (100, NOW.0)];
        check(&facts, &by_size(301), 30, 0, &[]);
        check(&facts, &by_size(300), 30, 0, &[]);
        check(&facts, &by_size(201), 30, 0, &[]);
        check(&facts, &by_size(200), 30, 0, &[Size]);
        check(&facts, &by_size(1), 30, 0, &[Size, Size]);
        check(&facts, &by_size(0), 30, 0, &[Size, Size, Size]);
    }

    #[test]
    fn no_limit_keeps_everything() {
        let config = LogConfig { retention_ms: None, retention_bytes: None, ..LogConfig::default() };
        check(&[(u64::MAX / 4, 0), (1, 0)], &config, 20, 0, &[]);
    }

    #[test]
    fn what_delete_records_left_below_the_log_start_goes_whatever_the_policy() {
        let facts = [(1, NOW.0), (1, NOW.0), (1, NOW.0)];
        let compacted = LogConfig { delete: false, compact: true, retention_bytes: Some(0), ..by_time(0) };
        for config in [LogConfig::default(), compacted] {
            check(&facts, &config, 30, 9, &[]);
            check(&facts, &config, 30, 10, &[LogStart]);
            check(&facts, &config, 30, 19, &[LogStart]);
            // The active segment is where the log goes on.
            check(&facts, &config, 30, 30, &[LogStart, LogStart]);
        }
    }

    #[test]
    fn the_three_reasons_follow_one_another() {
        let config = LogConfig { retention_ms: Some(1_000), retention_bytes: Some(200), ..LogConfig::default() };
        check(&[(100, 0), (100, 0), (100, 0), (100, NOW.0)], &config, 40, 10, &[LogStart, Size, Time]);
        // `compact,delete` keeps to both limits too.
        let both = LogConfig { compact: true, ..config };
        check(&[(100, 0), (100, 0), (100, 0), (100, NOW.0)], &both, 40, 10, &[LogStart, Size, Time]);
    }

    #[test]
    fn a_log_without_segments_has_nothing_to_lose() {
        check(&[], &by_size(0), 0, 0, &[]);
    }
}
