//! Where each leader epoch began in one log: `leader-epoch-checkpoint`, in Kafka's checkpoint format, one line
//! `epoch start-offset` each, both strictly growing.
//!
//! Every batch carries its epoch, so the file can be made again from the log. It is cut together with the log (a stale
//! line makes a follower claim an epoch it does not hold), and a damaged one is made anew.

use super::checkpoint;
use crate::types::{LeaderEpoch, Offset};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaderEpochs {
    /// Epoch and start offset, both strictly growing.
    entries: Vec<(LeaderEpoch, Offset)>,
}

impl LeaderEpochs {
    /// The content of the file; the error says what is wrong with it.
    pub(super) fn parse(content: &[u8]) -> Result<LeaderEpochs, String> {
        let entries = checkpoint::parse(content, |line| {
            let (epoch, start) = line.split_once(' ')?;
            let (epoch, start): (i32, i64) = (epoch.parse().ok()?, start.trim().parse().ok()?);
            (epoch >= 0 && start >= 0).then_some((LeaderEpoch(epoch), Offset(start)))
        })?;
        if entries.windows(2).any(|pair| pair[0].0 >= pair[1].0 || pair[0].1 >= pair[1].1) {
            return Err("its epochs do not grow".into());
        }
        Ok(LeaderEpochs { entries })
    }

    pub(super) fn format(&self) -> Vec<u8> {
        checkpoint::format(self.entries.iter().map(|(epoch, start)| format!("{epoch} {start}")))
    }

    pub fn latest(&self) -> Option<LeaderEpoch> {
        self.entries.last().map(|entry| entry.0)
    }

    pub fn entries(&self) -> &[(LeaderEpoch, Offset)] {
        &self.entries
    }

    /// The epoch of the record at `offset`, if there is one.
    pub fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        let behind = self.entries.partition_point(|entry| entry.1 <= offset);
        behind.checked_sub(1).map(|index| self.entries[index].0)
    }

    /// Kafka's OffsetForLeaderEpoch: the largest epoch not above the asked one, and where it ended. `(-1, -1)` for an
    /// epoch that has not been seen yet; for one older than the log, that epoch with the start of the first known.
    pub fn end_offset_for(&self, epoch: LeaderEpoch, log_end: Offset) -> (LeaderEpoch, Offset) {
        const UNKNOWN: (LeaderEpoch, Offset) = (LeaderEpoch::NONE, Offset::NONE);
        if epoch == LeaderEpoch::NONE {
            return UNKNOWN;
        }
        if self.latest() == Some(epoch) {
            return (epoch, log_end);
        }
        let higher = self.entries.partition_point(|entry| entry.0 <= epoch);
        match (higher.checked_sub(1).map(|floor| self.entries[floor]), self.entries.get(higher)) {
            (_, None) => UNKNOWN,
            (None, Some(first)) => (epoch, first.1),
            (Some(floor), Some(next)) => (floor.0, next.1),
        }
    }

    /// A batch of `epoch` begins at `start`. True if that is news. An epoch that is not above the latest changes nothing:
    /// a log never goes back.
    pub(super) fn assign(&mut self, epoch: LeaderEpoch, start: Offset) -> bool {
        if epoch < LeaderEpoch::ZERO || self.latest().is_some_and(|latest| latest >= epoch) {
            return false;
        }
        // An epoch that began where this one begins never got a record.
        self.entries.retain(|entry| entry.1 < start);
        self.entries.push((epoch, start));
        true
    }

    /// Forgets epochs that began at `end` or later. True if there were any.
    pub(super) fn truncate_from_end(&mut self, end: Offset) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.1 < end);
        self.entries.len() != before
    }

    /// The log begins at `start` now: epochs that ended before are forgotten, the one in force begins there. True if that
    /// changed something.
    pub(super) fn truncate_from_start(&mut self, start: Offset) -> bool {
        let in_force = self.entries.partition_point(|entry| entry.1 <= start).saturating_sub(1);
        let moved = self.entries.get(in_force).is_some_and(|entry| entry.1 < start);
        self.entries.drain(..in_force);
        if moved {
            self.entries[0].1 = start;
        }
        in_force > 0 || moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(entries: &[(i32, i64)]) -> LeaderEpochs {
        LeaderEpochs { entries: entries.iter().map(|e| (LeaderEpoch(e.0), Offset(e.1))).collect() }
    }

    #[test]
    fn the_end_of_an_epoch_is_the_start_of_the_next_one_that_has_records() {
        let some = epochs(&[(2, 10), (5, 30), (6, 40)]);
        let end = |epoch| {
            let (epoch, offset) = some.end_offset_for(LeaderEpoch(epoch), Offset(50));
            (epoch.0, offset.0)
        };
        assert_eq!(end(6), (6, 50));
        assert_eq!(end(5), (5, 40));
        assert_eq!(end(4), (2, 30));
        assert_eq!(end(2), (2, 30));
        assert_eq!(end(1), (1, 10));
        assert_eq!(end(7), (-1, -1));
        assert_eq!(end(-1), (-1, -1));
        // As Kafka 4.3.1 answers what no client asks.
        assert_eq!(end(-7), (-7, 10));
        assert_eq!(epochs(&[]).end_offset_for(LeaderEpoch(0), Offset(0)), (LeaderEpoch::NONE, Offset::NONE));
    }

    #[test]
    fn lesson_4_epochs_are_cut_with_the_log_at_both_ends() {
        let mut some = epochs(&[(2, 10), (5, 30), (6, 40)]);
        assert!(some.truncate_from_end(Offset(40)));
        assert!(!some.truncate_from_end(Offset(31)));
        assert_eq!(some, epochs(&[(2, 10), (5, 30)]));
        assert!(some.truncate_from_start(Offset(20)));
        assert_eq!(some, epochs(&[(2, 20), (5, 30)]));
        assert!(some.truncate_from_start(Offset(35)));
        assert_eq!(some, epochs(&[(5, 35)]));
        assert!(!some.truncate_from_start(Offset(35)));
        assert!(!some.truncate_from_start(Offset(0)));
        assert!(some.assign(LeaderEpoch(7), Offset(35)));
        assert!(!some.assign(LeaderEpoch(6), Offset(40)));
        assert_eq!(some, epochs(&[(7, 35)]));
    }

    #[test]
    fn the_file_reads_back_and_a_damaged_one_is_refused() {
        let some = epochs(&[(0, 0), (3, 7)]);
        assert_eq!(some.format(), b"0\n2\n0 0\n3 7\n");
        assert_eq!(LeaderEpochs::parse(&some.format()), Ok(some));
        for bad in ["", "0\n2\n3 7\n0 0\n", "0\n1\n-1 0\n", "0\n2\n1 5\n"] {
            assert!(LeaderEpochs::parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }
}
