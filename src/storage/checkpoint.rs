//! Small text files that are replaced whole: write a new one beside it, flush it, rename it over the old one, flush the
//! directory (I16). A crash leaves the old file or the new one, and perhaps a `.tmp`, which the next start removes.
//!
//! Kafka's checkpoint format, version 0:
//!
//! ```text
//! 0                     version
//! 2                     number of lines that follow
//! orders 0 1500         topic partition offset        (recovery-point-, log-start-, cleaner-offset-checkpoint)
//! 3 1200                epoch start-offset            (leader-epoch-checkpoint)
//! ```
//! Called damaged when a version other than 0, a line that does not parse, or another number of lines is found.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::{Disk, DiskFile};
use super::error::{Context, Error};
use crate::types::{Offset, TopicPartition};

/// The suffix of a file that is being written and not yet in its place.
pub(super) const TEMPORARY: &str = ".tmp";

/// Replaces `path` durably.
pub(super) fn replace(disk: &dyn Disk, path: &Path, content: &[u8]) -> Result<(), Error> {
    let temporary = temporary_name(path);
    let file = write_new(disk, &temporary, content)?;
    file.sync().context("flush", &temporary)?;
    disk.rename(&temporary, path).context("rename", &temporary)?;
    sync_parent(disk, path)
}

/// Replaces `path`, leaving it to the caller to flush the returned file and the directory, both without the log's lock.
/// For files that can be made again from the log, since a power cut before that flush may leave them empty.
pub(super) fn replace_unflushed(disk: &dyn Disk, path: &Path, content: &[u8]) -> Result<Arc<dyn DiskFile>, Error> {
    let temporary = temporary_name(path);
    let file = write_new(disk, &temporary, content)?;
    disk.rename(&temporary, path).context("rename", &temporary)?;
    Ok(file)
}

fn write_new(disk: &dyn Disk, path: &Path, content: &[u8]) -> Result<Arc<dyn DiskFile>, Error> {
    let file = disk.open(path, true).context("create", path)?;
    file.set_len(0).context("truncate", path)?;
    file.write_all_at(&[IoSlice::new(content)], 0).context("write", path)?;
    Ok(file)
}

fn temporary_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(TEMPORARY);
    name.into()
}

pub(super) fn sync_parent(disk: &dyn Disk, path: &Path) -> Result<(), Error> {
    let parent = parent_of(path);
    disk.sync_dir(&parent).context("flush", &parent)
}

pub(super) fn parent_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// The whole of a file; `None` where there is none.
pub(super) fn read(disk: &dyn Disk, path: &Path) -> Result<Option<Vec<u8>>, Error> {
    if !disk.exists(path) {
        return Ok(None);
    }
    let file = disk.open(path, false).context("open", path)?;
    let len = file.len().context("read", path)?;
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut bytes, 0).context("read", path)?;
    Ok(Some(bytes))
}

/// The lines of a checkpoint file's content, or what is wrong with it.
pub(super) fn parse<T>(content: &[u8], line: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, String> {
    let text = std::str::from_utf8(content).map_err(|_| "it is not text".to_string())?;
    if !text.is_empty() && !text.ends_with('\n') {
        // A number may have lost digits, and would still be a number.
        return Err("its last line has no end".into());
    }
    let mut lines = text.lines();
    match lines.next().map(str::trim) {
        Some("0") => {}
        Some(version) => return Err(format!("its version is '{}', not 0", version.escape_debug())),
        None => return Err("it is empty".into()),
    }
    let count: usize = lines.next().and_then(|count| count.trim().parse().ok()).ok_or("it has no line count")?;
    let parsed: Option<Vec<T>> = lines.map(line).collect();
    let parsed = parsed.ok_or("a line does not parse")?;
    if parsed.len() != count {
        return Err(format!("it announces {count} lines and has {}", parsed.len()));
    }
    Ok(parsed)
}

/// A checkpoint file's content.
pub(super) fn format(lines: impl ExactSizeIterator<Item = String>) -> Vec<u8> {
    let mut text = format!("0\n{}\n", lines.len());
    for line in lines {
        text.push_str(&line);
        text.push('\n');
    }
    text.into_bytes()
}

/// Offsets by partition, as three of Kafka's checkpoint files hold them.
pub type Offsets = BTreeMap<TopicPartition, Offset>;

pub(super) fn parse_offsets(content: &[u8]) -> Result<Offsets, String> {
    let lines = parse(content, |line| {
        let mut words = line.split_whitespace();
        let (topic, partition, offset) = (words.next()?, words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        (words.next().is_none() && offset >= 0).then(|| (TopicPartition::new(topic, partition), Offset(offset)))
    })?;
    Ok(lines.into_iter().collect())
}

pub(super) fn format_offsets(offsets: &Offsets) -> Vec<u8> {
    format(offsets.iter().map(|(name, offset)| {
        let mut line = String::new();
        // Writing to a String cannot fail.
        let _ = write!(line, "{} {} {offset}", name.topic, name.partition);
        line
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_read_back_and_damage_is_named() {
        let offsets: Offsets =
            [(TopicPartition::new("a", 0), Offset(7)), (TopicPartition::new("b-c", 12), Offset(0))].into();
        let content = format_offsets(&offsets);
        assert_eq!(content, b"0\n2\na 0 7\nb-c 12 0\n");
        assert_eq!(parse_offsets(&content).unwrap(), offsets);
        for cut in 0..content.len() {
            assert!(parse_offsets(&content[..cut]).is_err(), "cut at {cut}");
        }
        for bad in [&b"1\n0\n"[..], b"0\nx\n", b"0\n1\na b c\n", b"0\n1\na 0 -3\n", b"\xff\xfe", b"\0\0\0\0"] {
            assert!(parse_offsets(bad).is_err());
        }
    }
}
