//! A disk in memory that loses, tears and reorders what was not flushed, as a power cut does; that fills up; and whose flush
//! can fail.
//!
//! Everything done to it is recorded as a list of operations. [`Crashes`] walks along such a list and makes, at any place in
//! it, the images a crash could leave there:
//!
//! ```text
//! operations   create  write  sync  write  write  rename | sync_dir …
//!              └───── durable ────┘ └──── pending ──────┘ ↑ the crash
//! image        durable + any choice of pending: kept, lost, torn, zeros with the size kept
//! ```
//! What a flush covers: `sync` the data and size of one file, `sync_dir` the names in one directory, `sync_all_under`
//! everything. A failed `sync` loses the data for good, though reads go on showing it until `uncache` (as Linux does).
//!
//! A disk can also die after so many operations: that one and all behind it fail and leave nothing, which is how a
//! simulation stops a broker at any write.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io::{self, IoSlice};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::seed::Seed;
use crate::file::ReadAt;
use crate::storage::disk::{Disk, DiskFile};

type FileId = usize;

/// One thing done to a disk. Operations on names carry the file they name, so each means the same with or without those
/// before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    MakeDir(PathBuf),
    Link(PathBuf, FileId),
    Unlink(PathBuf),
    Rename {
        from: PathBuf,
        to: PathBuf,
        moved: Vec<(PathBuf, PathBuf, Node)>,
    },
    Write {
        file: FileId,
        at: u64,
        bytes: Vec<u8>,
    },
    SetLen {
        file: FileId,
        len: u64,
    },
    Sync(FileId),
    /// The flush failed: what was pending for the file never reaches the disk.
    SyncFailed(FileId),
    SyncDir(PathBuf),
    SyncAll,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    Dir,
    File(FileId),
}

/// What stands on a disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// By path, in the order of their bytes: what lies in a directory stands together.
    names: BTreeMap<OsString, Node>,
    files: BTreeMap<FileId, Vec<u8>>,
}

impl Image {
    /// The paths and contents of all files.
    pub fn files(&self) -> impl Iterator<Item = (&Path, &[u8])> {
        self.names.iter().filter_map(|(path, node)| match node {
            Node::File(file) => Some((Path::new(path), self.content(*file))),
            Node::Dir => None,
        })
    }

    pub fn get(&self, path: &Path) -> Option<&[u8]> {
        match self.names.get(path.as_os_str()) {
            Some(Node::File(file)) => Some(self.content(*file)),
            _ => None,
        }
    }

    /// Replaces a file's content, or removes the file.
    pub fn set(&mut self, path: &Path, content: Option<Vec<u8>>) {
        match (self.names.get(path.as_os_str()), content) {
            (Some(Node::File(file)), Some(content)) => drop(self.files.insert(*file, content)),
            (_, None) => drop(self.names.remove(path.as_os_str())),
            (_, Some(content)) => {
                let file = self.files.keys().next_back().map_or(0, |last| last + 1);
                self.files.insert(file, content);
                self.names.insert(path.into(), Node::File(file));
            }
        }
    }

    fn content(&self, file: FileId) -> &[u8] {
        self.files.get(&file).map_or(&[], Vec::as_slice)
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::MakeDir(path) => drop(self.names.insert(path.into(), Node::Dir)),
            Op::Link(path, file) => {
                self.names.insert(path.into(), Node::File(*file));
                self.files.entry(*file).or_default();
            }
            Op::Unlink(path) => drop(self.names.remove(path.as_os_str())),
            Op::Rename { moved, .. } => {
                for (from, to, node) in moved {
                    self.names.remove(from.as_os_str());
                    self.names.insert(to.into(), *node);
                }
            }
            Op::Write { file, at, bytes } => write(self.files.entry(*file).or_default(), *at, bytes),
            Op::SetLen { file, len } => self.files.entry(*file).or_default().resize(*len as usize, 0),
            Op::Sync(_) | Op::SyncFailed(_) | Op::SyncDir(_) | Op::SyncAll => {}
        }
    }

    /// A path and all below it.
    fn below(&self, path: &Path) -> impl DoubleEndedIterator<Item = (&Path, Node)> {
        let is_below = move |name: &Path| name == path || name.starts_with(path);
        let from = self.names.range::<OsStr, _>((Bound::Included(path.as_os_str()), Bound::Unbounded));
        // Names that begin as this one does and go on may stand between ("a", "a-b", "a/c").
        let beginning =
            from.take_while(move |(name, _)| name.as_encoded_bytes().starts_with(path.as_os_str().as_encoded_bytes()));
        let named: Vec<_> = beginning.map(|(name, node)| (Path::new(name), *node)).collect();
        named.into_iter().filter(move |(name, _)| is_below(name))
    }

    /// Names whose directory did not make it are gone with it.
    fn prune(&mut self) {
        let dirs: BTreeSet<OsString> =
            self.names.iter().filter(|(_, node)| **node == Node::Dir).map(|(path, _)| path.clone()).collect();
        let is_there = |dir: &Path| is_root(dir) || dirs.contains(dir.as_os_str());
        self.names.retain(|path, _| Path::new(path).ancestors().skip(1).all(is_there));
        let named: BTreeSet<FileId> = self
            .names
            .values()
            .filter_map(|node| match node {
                Node::File(file) => Some(*file),
                Node::Dir => None,
            })
            .collect();
        self.files.retain(|file, _| named.contains(file));
    }
}

fn is_root(path: &Path) -> bool {
    path.as_os_str().is_empty() || path.parent().is_none()
}

fn write(content: &mut Vec<u8>, at: u64, bytes: &[u8]) {
    let end = at as usize + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[at as usize..end].copy_from_slice(bytes);
}

/// What a power cut does to the operations that were not flushed.
#[derive(Clone, Debug)]
pub enum Cut {
    /// Nothing: only the process died.
    Killed,
    /// All of them are lost.
    LoseAll,
    /// Names are there, data is not: files have their size and hold zeros.
    LoseData,
    /// Data is there, names are not.
    LoseNames,
    /// The first half of them is there, the last of these torn.
    Half,
    /// The last of them is there and the others are not.
    LastOnly,
    /// Each is kept, lost or torn by itself.
    Random(Seed),
}

/// A walk along recorded operations that makes the images a crash could leave.
pub struct Crashes<'a> {
    durable: Image,
    pending: Vec<&'a Op>,
    ops: &'a [Op],
    at: usize,
}

impl<'a> Crashes<'a> {
    pub fn new(start: Image, ops: &'a [Op]) -> Self {
        Crashes { durable: start, pending: Vec::new(), ops, at: 0 }
    }

    /// How many operations have been done.
    pub fn position(&self) -> usize {
        self.at
    }

    /// How many operations a crash here could lose.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Goes on by one operation; false at the end.
    pub fn advance(&mut self) -> bool {
        let Some(op) = self.ops.get(self.at) else { return false };
        self.at += 1;
        match op {
            Op::Sync(synced) => self.settle(|op| file_of(op) == Some(*synced)),
            Op::SyncFailed(lost) => self.pending.retain(|op| file_of(op) != Some(*lost)),
            Op::SyncDir(dir) => self.settle(|op| concerns(op, dir)),
            Op::SyncAll => self.settle(|_| true),
            op => self.pending.push(op),
        }
        true
    }

    fn settle(&mut self, covers: impl Fn(&Op) -> bool) {
        let mut left: Vec<&Op> = Vec::with_capacity(self.pending.len());
        for op in std::mem::take(&mut self.pending) {
            if !covers(op) {
                left.push(op);
                continue;
            }
            self.durable.apply(op);
            if let Op::Rename { from, .. } = op {
                // A directory took along what it held; its old path may be another one's by now.
                left.retain(|earlier| !lies_below(earlier, from));
            }
        }
        self.pending = left;
    }

    /// What a crash at this place could leave.
    pub fn image(&self, cut: &Cut) -> Image {
        self.cut(cut).0
    }

    /// The same, and what it cost.
    pub fn cut(&self, cut: &Cut) -> (Image, Losses) {
        let mut image = self.durable.clone();
        let mut losses = Losses::default();
        let count = self.pending.len();
        let mut seed = match cut {
            Cut::Random(seed) => seed.clone(),
            _ => Seed::new(self.at as u64),
        };
        for (index, op) in self.pending.iter().enumerate() {
            let is_data = file_of(op).is_some();
            let fate = match cut {
                Cut::Killed => Fate::Kept,
                Cut::LoseAll => Fate::Lost,
                Cut::LoseData if is_data => Fate::Zeros,
                Cut::LoseNames if !is_data => Fate::Lost,
                Cut::LoseData | Cut::LoseNames => Fate::Kept,
                Cut::Half if index + 1 == count.div_ceil(2) => Fate::Torn,
                Cut::Half if index >= count.div_ceil(2) => Fate::Lost,
                Cut::Half => Fate::Kept,
                Cut::LastOnly if index + 1 == count => Fate::Kept,
                Cut::LastOnly => Fate::Lost,
                Cut::Random(_) => [Fate::Kept, Fate::Kept, Fate::Lost, Fate::Torn, Fate::Zeros][seed.below(5) as usize],
            };
            losses.note(op, fate);
            suffer(&mut image, op, fate, &mut seed);
        }
        image.prune();
        (image, losses)
    }
}

/// How many of the operations that were not flushed a crash changed, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    pub lost: u64,
    pub torn: u64,
    pub zeroed: u64,
    /// Kept, though data that was written before it is not there.
    pub reordered: u64,
    pub names: u64,
}

impl Losses {
    fn note(&mut self, op: &Op, fate: Fate) {
        let is_behind_a_loss = self.lost + self.torn + self.zeroed > 0;
        match (fate, op) {
            (Fate::Lost, Op::Write { .. }) => self.lost += 1,
            (Fate::Torn, Op::Write { .. }) => self.torn += 1,
            (Fate::Zeros, Op::Write { .. }) => self.zeroed += 1,
            (Fate::Kept, Op::Write { .. }) if is_behind_a_loss => self.reordered += 1,
            (Fate::Lost, op) if file_of(op).is_none() => self.names += 1,
            _ => {}
        }
    }
}

#[derive(Clone, Copy)]
enum Fate {
    Kept,
    Lost,
    Torn,
    Zeros,
}

fn suffer(image: &mut Image, op: &Op, fate: Fate, seed: &mut Seed) {
    match (fate, op) {
        (Fate::Lost, _) => {}
        (Fate::Zeros, Op::Write { file, at, bytes }) => {
            let content = image.files.entry(*file).or_default();
            let end = *at as usize + bytes.len();
            if content.len() < end {
                content.resize(end, 0);
            }
        }
        (Fate::Torn, Op::Write { file, at, bytes }) => {
            let content = image.files.entry(*file).or_default();
            if seed.one_in(2) {
                // The front of it.
                let kept = seed.below(bytes.len() as u64 + 1) as usize;
                write(content, *at, &bytes[..kept]);
            } else {
                // Some of its blocks, the others zero.
                for (index, block) in bytes.chunks(64).enumerate() {
                    let block_at = at + 64 * index as u64;
                    match seed.one_in(2) {
                        true => write(content, block_at, block),
                        false if content.len() < block_at as usize + block.len() => {
                            content.resize(block_at as usize + block.len(), 0);
                        }
                        false => {}
                    }
                }
            }
        }
        (_, op) => image.apply(op),
    }
}

fn file_of(op: &Op) -> Option<FileId> {
    match op {
        Op::Write { file, .. } | Op::SetLen { file, .. } => Some(*file),
        _ => None,
    }
}

/// Is that a change of the names in a directory?
fn concerns(op: &Op, dir: &Path) -> bool {
    let inside = |path: &Path| path.parent() == Some(dir);
    match op {
        Op::MakeDir(path) | Op::Link(path, _) | Op::Unlink(path) => inside(path),
        Op::Rename { from, to, .. } => inside(from) || inside(to),
        _ => false,
    }
}

/// Is that a change of names in a directory or below it?
fn lies_below(op: &Op, dir: &Path) -> bool {
    let below = |path: &Path| path != dir && path.starts_with(dir);
    match op {
        Op::MakeDir(path) | Op::Link(path, _) | Op::Unlink(path) => below(path),
        Op::Rename { from, to, .. } => below(from) && below(to),
        _ => false,
    }
}

/// The disk itself. Clones share it.
#[derive(Clone, Default)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    now: Image,
    ops: Vec<Op>,
    next_file: FileId,
    locked: BTreeSet<PathBuf>,
    /// Bytes that all files together may hold.
    capacity: Option<u64>,
    /// How many files there may be.
    max_files: Option<usize>,
    /// After so many more successful flushes, one fails.
    sync_fails_after: Option<u64>,
    /// After so many more successful reads, all fail.
    reads_fail: bool,
    syncs: u64,
    failures: Failures,
    /// After so many more operations nothing works any more.
    dies_after: Option<u64>,
    /// Told of every operation that is done, and with `None` that the disk has died.
    witness: Option<Witness>,
}

/// How often a disk could not do what it was asked, though it lived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// For want of room.
    pub full: u64,
    pub flushes: u64,
}

/// Somebody who sees what is done to a disk.
pub type Witness = Arc<dyn Fn(Option<&Op>) + Send + Sync>;

impl SimDisk {
    pub fn new() -> SimDisk {
        SimDisk::default()
    }

    /// A disk as a crash left it.
    pub fn from_image(image: Image) -> SimDisk {
        let next_file = image.files.keys().next_back().map_or(0, |last| last + 1);
        let state = State { now: image, next_file, ..State::default() };
        SimDisk { state: Arc::new(Mutex::new(state)) }
    }

    /// Everything that was done to it so far.
    pub fn ops(&self) -> Vec<Op> {
        self.state().ops.clone()
    }

    /// The same, for the last to ask.
    pub fn take_ops(&self) -> Vec<Op> {
        std::mem::take(&mut self.state().ops)
    }

    pub fn failures(&self) -> Failures {
        self.state().failures
    }

    pub fn op_count(&self) -> usize {
        self.state().ops.len()
    }

    /// What a process sees that goes on.
    pub fn image(&self) -> Image {
        self.state().now.clone()
    }

    pub fn sync_count(&self) -> u64 {
        self.state().syncs
    }

    /// Lets all files together hold so many bytes.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    /// Lets there be so many files.
    pub fn set_max_files(&self, files: Option<usize>) {
        self.state().max_files = files;
    }

    pub fn used(&self) -> u64 {
        self.state().used()
    }

    pub fn file_count(&self) -> usize {
        self.state().now.files().count()
    }

    /// One flush fails after `after` more have succeeded; those behind it succeed and mean nothing.
    pub fn fail_sync(&self, after: u64) {
        self.state().sync_fails_after = Some(after);
    }

    /// Lets the disk die with the operation that comes after `ops` more.
    pub fn die_after(&self, ops: u64) {
        let mut state = self.state();
        if !state.is_dead() {
            state.dies_after = Some(ops + 1);
        }
    }

    /// Lets the disk die now.
    pub fn die_now(&self) {
        self.die_after(0);
        let _ = self.state().act(Op::SyncAll);
    }

    pub fn is_dead(&self) -> bool {
        self.state().is_dead()
    }

    pub fn watch(&self, witness: Witness) {
        self.state().witness = Some(witness);
    }

    pub fn fail_reads(&self, fail: bool) {
        self.state().reads_fail = fail;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    fn act(&mut self, op: Op) -> io::Result<()> {
        if let Some(left) = self.dies_after.filter(|left| *left > 0) {
            self.dies_after = Some(left - 1);
            if left == 1
                && let Some(witness) = &self.witness
            {
                witness(None);
            }
        }
        if self.is_dead() {
            return Err(dead());
        }
        self.now.apply(&op);
        if let Some(witness) = &self.witness {
            witness(Some(&op));
        }
        self.ops.push(op);
        Ok(())
    }

    fn is_dead(&self) -> bool {
        self.dies_after == Some(0)
    }

    fn used(&self) -> u64 {
        self.now.files().map(|(_, content)| content.len() as u64).sum()
    }

    fn room(&self) -> u64 {
        self.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(self.used()))
    }

    fn node(&self, path: &Path) -> io::Result<Node> {
        if is_root(path) {
            return Ok(Node::Dir);
        }
        let found = self.now.names.get(path.as_os_str()).copied();
        found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("{} is not there", path.display())))
    }

    fn check_parent(&self, path: &Path) -> io::Result<()> {
        match self.node(path.parent().unwrap_or(Path::new("")))? {
            Node::Dir => Ok(()),
            Node::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// A file as it is without the writes that were lost; `None` if none were.
    fn without_what_failed(&self, file: FileId) -> Option<Vec<u8>> {
        if !self.ops.contains(&Op::SyncFailed(file)) {
            return None;
        }
        let (mut kept, mut pending) = (Image::default(), Vec::new());
        for op in &self.ops {
            match op {
                Op::Sync(synced) if *synced == file => pending.drain(..).for_each(|op| kept.apply(op)),
                Op::SyncAll => pending.drain(..).for_each(|op| kept.apply(op)),
                Op::SyncFailed(lost) if *lost == file => pending.clear(),
                op if file_of(op) == Some(file) => pending.push(op),
                _ => {}
            }
        }
        pending.into_iter().for_each(|op| kept.apply(op));
        Some(kept.content(file).to_vec())
    }

    fn full(&mut self) -> io::Error {
        self.failures.full += 1;
        io::Error::new(io::ErrorKind::StorageFull, "no space left on the simulated disk")
    }

    /// The outcome of a flush.
    fn sync_outcome(&mut self) -> bool {
        self.syncs += 1;
        match self.sync_fails_after {
            Some(0) => {
                self.sync_fails_after = None;
                self.failures.flushes += 1;
                false
            }
            Some(left) => {
                self.sync_fails_after = Some(left - 1);
                true
            }
            None => true,
        }
    }
}

fn dead() -> io::Error {
    io::Error::other("the simulated disk is dead")
}

fn flush_failed() -> io::Error {
    io::Error::other("the simulated disk failed a flush")
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state();
        let file = match state.node(path) {
            Ok(Node::File(file)) => file,
            Ok(Node::Dir) => return Err(io::ErrorKind::IsADirectory.into()),
            Err(_) if create => {
                state.check_parent(path)?;
                if state.max_files.is_some_and(|max| state.now.files().count() >= max) {
                    return Err(state.full());
                }
                let file = state.next_file;
                state.next_file += 1;
                state.act(Op::Link(path.to_path_buf(), file))?;
                file
            }
            Err(error) => return Err(error),
        };
        Ok(Arc::new(SimFile { state: self.state.clone(), file }))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        let mut missing: Vec<&Path> = path.ancestors().filter(|dir| state.node(dir).is_err()).collect();
        while let Some(dir) = missing.pop() {
            state.act(Op::MakeDir(dir.to_path_buf()))?;
        }
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let state = self.state();
        state.node(path)?;
        let inside = state.now.below(path).filter(|(name, _)| name.parent() == Some(path));
        Ok(inside.filter_map(|(name, _)| Some(name.file_name()?.to_string_lossy().into_owned())).collect())
    }

    fn exists(&self, path: &Path) -> bool {
        self.state().node(path).is_ok()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.node(from)?;
        state.check_parent(to)?;
        let moved = state
            .now
            .below(from)
            .map(|(path, node)| {
                let rest = path.strip_prefix(from).expect("it starts with it");
                let target = if rest.as_os_str().is_empty() { to.to_path_buf() } else { to.join(rest) };
                (path.to_path_buf(), target, node)
            })
            .collect();
        state.act(Op::Rename { from: from.to_path_buf(), to: to.to_path_buf(), moved })
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.node(path)?;
        state.act(Op::Unlink(path.to_path_buf()))
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.node(path)?;
        let below: Vec<PathBuf> = state.now.below(path).rev().map(|(name, _)| name.to_path_buf()).collect();
        below.into_iter().try_for_each(|name| state.act(Op::Unlink(name)))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.node(path)?;
        if !state.sync_outcome() {
            return Err(flush_failed());
        }
        state.act(Op::SyncDir(path.to_path_buf()))
    }

    fn sync_all_under(&self, _path: &Path) -> io::Result<()> {
        let mut state = self.state();
        if !state.sync_outcome() {
            return Err(flush_failed());
        }
        state.act(Op::SyncAll)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        self.open(&path.join(".lock"), true)?;
        if !self.state().locked.insert(path.to_path_buf()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(Lock { state: self.state.clone(), path: path.to_path_buf() }))
    }

    fn space(&self, _path: &Path) -> io::Result<(u64, u64)> {
        let state = self.state();
        Ok((state.capacity.unwrap_or(u64::MAX), state.room()))
    }
}

struct Lock {
    state: Arc<Mutex<State>>,
    path: PathBuf,
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.state.lock().unwrap().locked.remove(&self.path);
    }
}

struct SimFile {
    state: Arc<Mutex<State>>,
    file: FileId,
}

impl SimFile {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl ReadAt for SimFile {
    fn read_exact_at(&self, buf: &mut [u8], position: u64) -> io::Result<()> {
        let state = self.state();
        if state.reads_fail || state.is_dead() {
            return Err(io::Error::other("the simulated disk cannot read"));
        }
        let content = state.now.content(self.file);
        let range = position as usize..(position as usize).saturating_add(buf.len());
        let bytes = content.get(range).ok_or(io::ErrorKind::UnexpectedEof)?;
        buf.copy_from_slice(bytes);
        Ok(())
    }
}

impl DiskFile for SimFile {
    fn write_all_at(&self, slices: &[IoSlice<'_>], position: u64) -> io::Result<()> {
        let mut bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        let mut state = self.state();
        let len = state.now.content(self.file).len() as u64;
        // What grows the file takes room; a full disk takes as much as it can.
        let fits = len.max(position).saturating_add(state.room()).saturating_sub(position);
        let short = (bytes.len() as u64) > fits;
        if short {
            bytes.truncate(fits as usize);
        }
        state.act(Op::Write { file: self.file, at: position, bytes })?;
        if short { Err(state.full()) } else { Ok(()) }
    }

    fn preallocate(&self, len: u64) -> io::Result<()> {
        let mut state = self.state();
        let more = len.saturating_sub(state.now.content(self.file).len() as u64);
        if more > state.room() { Err(state.full()) } else { Ok(()) }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.state().act(Op::SetLen { file: self.file, len })
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.state().now.content(self.file).len() as u64)
    }

    /// What a failed flush lost is not shown any more. The size is the file system's own, and stays.
    fn uncache(&self, _position: u64, _len: usize) {
        let mut state = self.state();
        let shown = state.now.content(self.file).len();
        if let Some(mut content) = state.without_what_failed(self.file) {
            content.resize(shown, 0);
            state.now.files.insert(self.file, content);
        }
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.state();
        if !state.sync_outcome() {
            state.act(Op::SyncFailed(self.file))?;
            return Err(flush_failed());
        }
        state.act(Op::Sync(self.file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(image: &Image) -> Vec<(&str, &[u8])> {
        image.files().map(|(path, content)| (path.to_str().unwrap(), content)).collect()
    }

    #[test]
    fn what_was_flushed_outlasts_every_cut_and_what_was_not_may_go() {
        let disk = SimDisk::new();
        disk.create_dir_all(Path::new("/d")).unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        let file = disk.open(Path::new("/d/a"), true).unwrap();
        file.write_all_at(&[IoSlice::new(b"one")], 0).unwrap();
        file.sync().unwrap();
        disk.sync_dir(Path::new("/d")).unwrap();
        file.write_all_at(&[IoSlice::new(b"two")], 3).unwrap();
        disk.open(Path::new("/d/b"), true).unwrap();
        let ops = disk.ops();
        let mut crashes = Crashes::new(Image::default(), &ops);
        while crashes.advance() {}
        assert_eq!(paths(&crashes.image(&Cut::LoseAll)), [("/d/a", &b"one"[..])]);
        assert_eq!(paths(&crashes.image(&Cut::Killed)), [("/d/a", &b"onetwo"[..]), ("/d/b", b"")]);
        assert_eq!(paths(&crashes.image(&Cut::LoseData))[0], ("/d/a", &b"one\0\0\0"[..]));
        assert_eq!(paths(&crashes.image(&Cut::LoseNames)), [("/d/a", &b"onetwo"[..])]);
    }

    #[test]
    fn a_name_needs_its_directory_flushed_and_a_rename_is_whole() {
        let disk = SimDisk::new();
        let file = disk.open(Path::new("/a.tmp"), true).unwrap();
        file.write_all_at(&[IoSlice::new(b"new")], 0).unwrap();
        file.sync().unwrap();
        disk.rename(Path::new("/a.tmp"), Path::new("/a")).unwrap();
        let ops = disk.ops();
        let mut crashes = Crashes::new(Image::default(), &ops);
        while crashes.advance() {}
        assert!(paths(&crashes.image(&Cut::LoseAll)).is_empty());
        assert_eq!(paths(&crashes.image(&Cut::LastOnly)), [("/a", &b"new"[..])]);
    }

    #[test]
    fn a_directory_takes_along_what_it_holds() {
        let disk = SimDisk::new();
        let (root, old, new) = (Path::new("/"), Path::new("/d"), Path::new("/e"));
        disk.create_dir_all(old).unwrap();
        disk.open(Path::new("/d/a"), true).unwrap();
        disk.rename(old, new).unwrap();
        disk.sync_dir(root).unwrap();
        disk.remove_dir_all(new).unwrap();
        disk.create_dir_all(old).unwrap();
        let ops = disk.ops();
        let mut crashes = Crashes::new(Image::default(), &ops);
        while crashes.advance() {}
        assert!(paths(&crashes.image(&Cut::Killed)).is_empty());
        assert_eq!(paths(&crashes.image(&Cut::LoseAll)), [("/e/a", &b""[..])]);
    }

    #[test]
    fn a_failed_flush_loses_the_data_though_a_later_one_succeeds() {
        let disk = SimDisk::new();
        let file = disk.open(Path::new("/a"), true).unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        file.write_all_at(&[IoSlice::new(b"lost")], 0).unwrap();
        disk.fail_sync(0);
        assert!(file.sync().is_err());
        assert!(file.sync().is_ok());
        let ops = disk.ops();
        let mut crashes = Crashes::new(Image::default(), &ops);
        while crashes.advance() {}
        assert_eq!(paths(&crashes.image(&Cut::Killed)), [("/a", &b""[..])]);
    }

    #[test]
    fn a_full_disk_takes_a_part_and_says_so() {
        let disk = SimDisk::new();
        disk.set_capacity(Some(5));
        let file = disk.open(Path::new("/a"), true).unwrap();
        file.write_all_at(&[IoSlice::new(b"abc")], 0).unwrap();
        let error = file.write_all_at(&[IoSlice::new(b"defg")], 3).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(file.len().unwrap(), 5);
    }
}
