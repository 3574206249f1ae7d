//! `segment-checkpoint`: what is known to be in the files of each segment that was finished. Text, one line each:
//!
//! ```text
//! 0 1500 1048576 256 31 0 3401288421 9a8b7c6d
//! base offset, end offset, size, offset entries, time entries, bytes of .txnindex, checksum of the first batch,
//! CRC-32C of all this in hex
//! ```
//! of which the last one for a base offset counts. Lines are only ever added, so that a crash cannot harm the older ones;
//! one whose checksum does not match is passed over. Kafka has no such file and does not mind it.
//!
//! It is what makes a loss visible that leaves nothing wrong behind: an index that ends early, an index of aborted
//! transactions that is gone (nothing being there is the usual case), a closed segment that became shorter, the file of
//! another topic under the same name. A line is also written with the first batch of a segment; when the segment has grown it
//! still names that batch and means nothing else. Lines of six numbers, as they were written once, lack that checksum.
//! Without a line the indexes are made again from the log when they are first needed.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Range;

use crate::types::Offset;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentFacts {
    pub end: Offset,
    pub size: u64,
    pub offset_entries: u64,
    pub time_entries: u64,
    pub txn_bytes: u64,
    /// The checksum field of the first batch, by which a file is known from any other; `None` where nobody has seen it.
    pub first_crc: Option<u32>,
}

pub(super) type SegmentList = BTreeMap<Offset, SegmentFacts>;

/// What the file's content says, passing over damaged lines.
pub(super) fn parse(content: &[u8]) -> SegmentList {
    content.split(|byte| *byte == b'\n').filter_map(parse_line).collect()
}

fn parse_line(line: &[u8]) -> Option<(Offset, SegmentFacts)> {
    let (facts, crc) = std::str::from_utf8(line).ok()?.rsplit_once(' ')?;
    if u32::from_str_radix(crc, 16) != Ok(crc32c::crc32c(facts.as_bytes())) {
        return None;
    }
    let numbers: Vec<u64> = facts.split(' ').map(|number| number.parse().ok()).collect::<Option<_>>()?;
    let ([base, end, size, offset_entries, time_entries, txn_bytes], first) = numbers.split_first_chunk()?;
    let first_crc = match first {
        [] => None,
        [crc] => Some(u32::try_from(*crc).ok()?),
        _ => return None,
    };
    let [size, offset_entries, time_entries, txn_bytes] = [*size, *offset_entries, *time_entries, *txn_bytes];
    let offset = |number: u64| i64::try_from(number).ok().map(Offset);
    Some((
        offset(*base)?,
        SegmentFacts { end: offset(*end)?, size, offset_entries, time_entries, txn_bytes, first_crc },
    ))
}

/// Where the lines of some segments stand in the file's content.
pub(super) fn places(content: &[u8], of: impl Fn(Offset) -> bool) -> Vec<Range<usize>> {
    let mut start = 0;
    let lines = content.split_inclusive(|byte| *byte == b'\n').map(|line| {
        start += line.len();
        (start - line.len()..start, line.strip_suffix(b"\n").unwrap_or(line))
    });
    lines.filter(|(_, line)| parse_line(line).is_some_and(|(base, _)| of(base))).map(|(place, _)| place).collect()
}

/// Lines to add, each between two ends of a line: a crash may leave anything in front of one, and anything behind it.
pub(super) fn format(lines: &SegmentList) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    for (base, SegmentFacts { end, size, offset_entries, time_entries, txn_bytes, first_crc }) in lines {
        let mut facts = format!("{base} {end} {size} {offset_entries} {time_entries} {txn_bytes}");
        if let Some(crc) = first_crc {
            let _ = write!(facts, " {crc}");
        }
        let _ = write!(text, "\n{facts} {:08x}\n", crc32c::crc32c(facts.as_bytes()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: SegmentFacts = SegmentFacts {
        end: Offset(20),
        size: 1000,
        offset_entries: 7,
        time_entries: 3,
        txn_bytes: 34,
        first_crc: Some(u32::MAX),
    };

    #[test]
    fn lines_read_back_the_last_counts_and_damage_harms_one_only_i14() {
        let later = SegmentFacts { size: 2000, first_crc: None, ..FACTS };
        let mut content = format(&[(Offset(0), FACTS), (Offset(20), FACTS)].into()).into_bytes();
        content.extend(format(&[(Offset(20), later)].into()).into_bytes());
        assert_eq!(parse(&content), [(Offset(0), FACTS), (Offset(20), later)].into());
        for cut in 0..content.len() {
            let found = parse(&content[..cut]);
            assert!(found.values().all(|found| [FACTS, later].contains(found)), "cut at {cut}");
        }
        let mut torn = content[..content.len() - 3].to_vec();
        torn.extend(format(&[(Offset(40), later)].into()).into_bytes());
        assert_eq!(parse(&torn), [(Offset(0), FACTS), (Offset(20), FACTS), (Offset(40), later)].into());
        assert!(parse(b"").is_empty());
    }

    #[test]
    fn lines_are_found_where_they_stand() {
        let mut content = format(&[(Offset(0), FACTS), (Offset(20), FACTS), (Offset(40), FACTS)].into()).into_bytes();
        content.extend(format(&[(Offset(20), SegmentFacts { size: 2000, ..FACTS })].into()).into_bytes());
        let found = places(&content, |base| base == Offset(20));
        assert_eq!(found.len(), 2, "both lines of the segment");
        found.into_iter().for_each(|place| content[place].fill(b'\n'));
        assert_eq!(parse(&content), [(Offset(0), FACTS), (Offset(40), FACTS)].into());
    }
}
