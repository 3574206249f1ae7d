//! A disk in memory whose every write and flush is seen: one file of a FUSE file system, with a loop device on it. What
//! arrives is kept in its order, so that the disk can be made again as it was at any instant. It can also be told to fail.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    BackgroundSession, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner,
    OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyWrite, Request, WriteFlags,
};

use crate::image::{Device, said};

const FILE: INodeNo = INodeNo(2);
const NAME: &str = "disk";
const FOR_LONG: Duration = Duration::from_secs(3600);

/// What arrived at the disk.
#[derive(Clone)]
pub enum Event {
    Write {
        at: usize,
        bytes: Arc<[u8]>,
    },
    /// Everything that was written before it is there for good.
    Flush,
}

/// The disk as the kernel and the one who watches it share it.
#[derive(Default)]
pub struct Shared {
    bytes: Mutex<Vec<u8>>,
    events: Mutex<Vec<Event>>,
    is_watched: AtomicBool,
    /// Every flush and every write is answered with EIO.
    pub fails_flushes: AtomicBool,
    pub fails_writes: AtomicBool,
    /// How many were answered so.
    pub failures: AtomicU64,
}

impl Shared {
    /// Keeps events from now on; the disk as it is now.
    pub fn watch(&self) -> Vec<u8> {
        let bytes = self.bytes();
        self.is_watched.store(true, Ordering::SeqCst);
        bytes.clone()
    }

    /// Another disk in the place of this one; nobody has it mounted.
    pub fn replace(&self, bytes: &[u8]) {
        self.bytes().copy_from_slice(bytes);
    }

    /// How many events there have been.
    pub fn position(&self) -> usize {
        self.events().len()
    }

    pub fn take_events(&self) -> Vec<Event> {
        self.is_watched.store(false, Ordering::SeqCst);
        std::mem::take(&mut self.events())
    }

    fn is_failing(&self, what: &AtomicBool) -> bool {
        let fails = what.load(Ordering::SeqCst);
        self.failures.fetch_add(u64::from(fails), Ordering::SeqCst);
        fails
    }

    fn note(&self, event: Event) {
        if self.is_watched.load(Ordering::SeqCst) {
            self.events().push(event);
        }
    }

    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.bytes.lock().expect("no holder panics")
    }

    fn events(&self) -> MutexGuard<'_, Vec<Event>> {
        self.events.lock().expect("no holder panics")
    }
}

/// The loop device; its file system is gone with it.
pub struct Disk {
    pub shared: Arc<Shared>,
    pub device: Device,
    _session: BackgroundSession,
}

impl Disk {
    /// A disk of these bytes, its file below `directory`.
    pub fn attach(bytes: Vec<u8>, directory: &Path) -> Result<Self, String> {
        let at = directory.join("fuse");
        std::fs::create_dir(&at).map_err(|error| error.to_string())?;
        let shared = Arc::new(Shared { bytes: Mutex::new(bytes), ..Shared::default() });
        let mounted = fuser::spawn_mount(Served(shared.clone()), &at, &fuser::Config::default());
        let session = mounted.map_err(|error| format!("the FUSE file system cannot be mounted: {error}"))?;
        let device = Device::on(&at.join(NAME))?;
        Ok(Disk { shared, device, _session: session })
    }
}

/// An ext4 file system of that size, as the bytes of its disk. The journal is small, so that it goes round.
pub fn empty_ext4(directory: &Path, mebibytes: u64) -> Result<Vec<u8>, String> {
    let file: PathBuf = directory.join("empty");
    let made = std::fs::File::create(&file).and_then(|disk| disk.set_len(mebibytes << 20));
    made.map_err(|error| error.to_string())?;
    // Nothing is left to be written in the background after the mount.
    let options = ["-q", "-F", "-J", "size=4", "-E", "lazy_itable_init=0,lazy_journal_init=0", "-O", "^resize_inode"];
    said(Command::new("mkfs.ext4").args(options).arg(&file))?;
    std::fs::read(&file).map_err(|error| error.to_string())
}

struct Served(Arc<Shared>);

impl Served {
    fn attributes(&self, node: INodeNo) -> FileAttr {
        let is_file = node == FILE;
        FileAttr {
            ino: node,
            size: if is_file { self.0.bytes().len() as u64 } else { 0 },
            blocks: 0,
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind: if is_file { FileType::RegularFile } else { FileType::Directory },
            perm: 0o700,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            flags: 0,
            blksize: 4096,
        }
    }
}

impl Filesystem for Served {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        if name == NAME {
            reply.entry(&FOR_LONG, &self.attributes(FILE), Generation(0));
        } else {
            reply.error(Errno::ENOENT);
        }
    }

    fn getattr(&self, _: &Request, node: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&FOR_LONG, &self.attributes(node));
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        // Past the page cache: what the block device writes arrives at once and in its order.
        reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        at: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let bytes = self.0.bytes();
        let start = (at as usize).min(bytes.len());
        reply.data(&bytes[start..(start + size as usize).min(bytes.len())]);
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        at: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let at = at as usize;
        let mut bytes = self.0.bytes();
        if self.0.is_failing(&self.0.fails_writes) || at + data.len() > bytes.len() {
            return reply.error(Errno::EIO);
        }
        bytes[at..at + data.len()].copy_from_slice(data);
        self.0.note(Event::Write { at, bytes: data.into() });
        reply.written(data.len() as u32);
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        if self.0.is_failing(&self.0.fails_flushes) {
            return reply.error(Errno::EIO);
        }
        self.0.note(Event::Flush);
        reply.ok();
    }
}
