//! The disk as a power cut may have left it.

use crate::blocks::Recording;
use crate::blocks::disk::Event;
use crate::dice::Dice;

/// The smallest part of a block that a disk writes whole.
const SECTOR: usize = 512;

/// What became of the writes behind the last flush.
#[derive(Clone, Copy)]
enum Style {
    All,
    Nothing,
    /// Each with this chance of a hundred.
    Some(u64),
    /// Each sector of each with this chance.
    Torn(u64),
}

pub struct Crash {
    /// So many events had arrived.
    pub position: usize,
    pub style: String,
    pub bytes: Vec<u8>,
}

/// Crashes of one recording, the earliest first.
pub struct Crashes<'a> {
    recording: &'a Recording,
    /// Where they are, the latest first.
    positions: Vec<usize>,
    dice: Dice,
    /// Everything up to the last flush, and how many events that is.
    durable: Vec<u8>,
    flushed: usize,
}

impl<'a> Crashes<'a> {
    pub fn of(recording: &'a Recording, count: u64, mut dice: Dice) -> Self {
        let mut positions: Vec<usize> = (0..count).map(|_| dice.index(recording.events.len() + 1)).collect();
        positions.sort_unstable_by(|a, b| b.cmp(a));
        Crashes { recording, positions, dice, durable: recording.base.clone(), flushed: 0 }
    }

    fn flush_up_to(&mut self, position: usize) {
        let is_flush = |event: &Event| matches!(event, Event::Flush);
        let Some(last) = self.recording.events[self.flushed..position].iter().rposition(is_flush) else { return };
        let end = self.flushed + last + 1;
        for event in &self.recording.events[self.flushed..end] {
            write(&mut self.durable, event, |_| true);
        }
        self.flushed = end;
    }

    fn style(&mut self) -> Style {
        match self.dice.below(10) {
            0..3 => Style::All,
            3 => Style::Nothing,
            4..8 => Style::Some(10 + self.dice.below(81)),
            _ => Style::Torn(20 + self.dice.below(61)),
        }
    }
}

impl Iterator for Crashes<'_> {
    type Item = Crash;

    fn next(&mut self) -> Option<Crash> {
        let position = self.positions.pop()?;
        self.flush_up_to(position);
        let style = self.style();
        let mut bytes = self.durable.clone();
        for event in &self.recording.events[self.flushed..position] {
            let arrives = match style {
                Style::All | Style::Torn(_) => true,
                Style::Nothing => false,
                Style::Some(chance) => self.dice.chance(chance),
            };
            let sector_arrives = |_| match style {
                Style::Torn(chance) => self.dice.chance(chance),
                _ => true,
            };
            if arrives {
                write(&mut bytes, event, sector_arrives);
            }
        }
        let behind = position - self.flushed;
        let style = match style {
            Style::All => format!("all of {behind} writes behind the flush"),
            Style::Nothing => format!("none of {behind} writes behind the flush"),
            Style::Some(chance) => format!("{chance} % of {behind} writes behind the flush"),
            Style::Torn(chance) => format!("{chance} % of the sectors of {behind} writes behind the flush"),
        };
        Some(Crash { position, style, bytes })
    }
}

fn write(disk: &mut [u8], event: &Event, mut sector_arrives: impl FnMut(usize) -> bool) {
    let Event::Write { at, bytes } = event else { return };
    for (index, sector) in bytes.chunks(SECTOR).enumerate() {
        if sector_arrives(index) {
            let start = at + index * SECTOR;
            disk[start..start + sector.len()].copy_from_slice(sector);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording() -> Recording {
        let write = |at: usize, byte: u8| Event::Write { at, bytes: vec![byte; 1024].into() };
        Recording {
            seed: 1,
            start_ms: 0,
            base: vec![0; 4096],
            events: vec![write(0, 1), Event::Flush, write(1024, 2), write(2048, 3)],
            promises: Default::default(),
            acked_records: 0,
        }
    }

    #[test]
    fn what_was_flushed_is_there_and_what_comes_later_is_not() {
        let recording = recording();
        for crash in Crashes::of(&recording, 500, Dice::new(5)) {
            let is = |at: usize, byte: u8| crash.bytes[at..at + 1024].iter().all(|found| *found == byte);
            assert!(crash.position < 2 || is(0, 1), "{}", crash.style);
            assert!(crash.position >= 3 || is(1024, 0), "{}", crash.style);
            assert!(is(3072, 0));
        }
    }

    #[test]
    fn writes_are_lost_reordered_and_torn() {
        let recording = recording();
        let at_the_end: Vec<Crash> =
            Crashes::of(&recording, 500, Dice::new(6)).filter(|crash| crash.position == 4).collect();
        let has = |second: u8, third: u8| {
            at_the_end.iter().any(|crash| crash.bytes[1024] == second && crash.bytes[2048] == third)
        };
        assert!(has(2, 3) && has(0, 0) && has(2, 0) && has(0, 3));
        assert!(at_the_end.iter().any(|crash| crash.bytes[1024] != crash.bytes[1024 + SECTOR]), "a torn block");
    }
}
