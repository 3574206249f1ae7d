//! The file system, as little of it as we use. The real one is here; the simulated one, which loses, tears and reorders
//! what was not flushed, is in `testing/`.

use std::fs::{self, File};
use std::io::{self, IoSlice, IoSliceMut};
use std::num::NonZero;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::UNIX_EPOCH;

use rustix::fs::{Advice, FallocateFlags, FlockOperation};
use rustix::io::ReadWriteFlags;

use crate::file::ReadAt;
use crate::types::Timestamp;

/// A directory tree that holds files. Paths are absolute or relative to the process, as the caller wishes.
/// Creating, renaming or removing a name lasts only once `sync_dir` of its parent has returned (I15).
pub trait Disk: Send + Sync {
    /// Opens a file for reading and writing; `create` makes it where it is missing.
    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn DiskFile>>;
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    /// The size of a file that need not be open.
    fn file_len(&self, path: &Path) -> io::Result<u64> {
        self.open(path, false)?.len()
    }
    /// When a file was last written to, by the wall clock.
    fn modified(&self, _path: &Path) -> io::Result<Timestamp> {
        Err(io::ErrorKind::Unsupported.into())
    }
    /// Names in a directory, sorted.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;
    fn exists(&self, path: &Path) -> bool;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Flushes everything of the file system that holds `path`: one call for many dirty files.
    fn sync_all_under(&self, path: &Path) -> io::Result<()>;
    /// Takes the exclusive lock of a directory for as long as the returned value lives; `WouldBlock` when another process has it (I23).
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>>;
    /// Bytes in all and free in the file system that holds `path`, for DescribeLogDirs.
    fn space(&self, path: &Path) -> io::Result<(u64, u64)>;
    /// How many files are open, where that is limited.
    fn open_files(&self) -> usize {
        0
    }
}

/// One open file.
#[allow(clippy::len_without_is_empty)] // Whether a file is empty is never the question.
pub trait DiskFile: ReadAt {
    /// Writes all of the slices one after another from `position` on; on an error any part of them may be there.
    fn write_all_at(&self, slices: &[IoSlice<'_>], position: u64) -> io::Result<()>;
    /// Makes room up to `len` without changing the visible size.
    fn preallocate(&self, len: u64) -> io::Result<()>;
    fn set_len(&self, len: u64) -> io::Result<()>;
    fn len(&self) -> io::Result<u64>;
    /// Flushes data and size (`fdatasync`). A failure is final: the caller must not believe a later success (I17).
    fn sync(&self) -> io::Result<()>;
    /// What it is called now, for messages.
    fn name(&self) -> Option<PathBuf> {
        None
    }
    /// Does reading this part leave the disk alone?
    fn is_cached(&self, _position: u64, _len: usize) -> bool {
        true
    }
    /// What is read of this part next comes from the disk, but for what is still to be written there.
    fn uncache(&self, _position: u64, _len: usize) {}
}

/// A data directory on the real file system. Files are made for the broker's user alone (S63).
pub struct RealDisk;

impl Disk for RealDisk {
    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        let file = fs::OpenOptions::new().read(true).write(true).create(create).mode(0o600).open(path)?;
        OPEN_FILES.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::new(RealFile { file }))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
    }

    fn file_len(&self, path: &Path) -> io::Result<u64> {
        Ok(fs::metadata(path)?.len())
    }

    fn modified(&self, path: &Path) -> io::Result<Timestamp> {
        let since_1970 = fs::metadata(path)?.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Timestamp(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(path)? {
            // A name that is not UTF-8 is none of ours.
            names.extend(entry?.file_name().into_string());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn sync_all_under(&self, path: &Path) -> io::Result<()> {
        Ok(rustix::fs::syncfs(File::open(path)?)?)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        let name = path.join(".lock");
        let file = fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(name)?;
        // The first keeps out another of us, also in this process; the second, the kind Java takes, an Apache Kafka.
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
            rustix::io::Errno::ACCESS => rustix::io::Errno::WOULDBLOCK,
            other => other,
        })?;
        Ok(Box::new(file))
    }

    fn space(&self, path: &Path) -> io::Result<(u64, u64)> {
        let stat = rustix::fs::statvfs(path)?;
        Ok((stat.f_blocks.saturating_mul(stat.f_frsize), stat.f_bavail.saturating_mul(stat.f_frsize)))
    }

    fn open_files(&self) -> usize {
        OPEN_FILES.load(Ordering::Relaxed)
    }
}

/// Of this process.
static OPEN_FILES: AtomicUsize = AtomicUsize::new(0);

struct RealFile {
    file: File,
}

impl Drop for RealFile {
    fn drop(&mut self) {
        OPEN_FILES.fetch_sub(1, Ordering::Relaxed);
    }
}

impl ReadAt for RealFile {
    fn is_in_memory(&self, position: u64) -> bool {
        let mut byte = [0];
        let read = rustix::io::preadv2(&self.file, &mut [IoSliceMut::new(&mut byte)], position, ReadWriteFlags::NOWAIT);
        read != Err(rustix::io::Errno::AGAIN)
    }

    fn read_exact_at(&self, buf: &mut [u8], position: u64) -> io::Result<()> {
        self.file.read_exact_at(buf, position)
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.file.as_fd())
    }
}

impl DiskFile for RealFile {
    fn write_all_at(&self, slices: &[IoSlice<'_>], position: u64) -> io::Result<()> {
        let written = match rustix::io::pwritev(&self.file, slices, position) {
            Ok(written) => written,
            Err(rustix::io::Errno::INTR) => 0,
            Err(error) => return Err(error.into()),
        };
        if written == slices.iter().map(|slice| slice.len()).sum() {
            return Ok(());
        }
        write_rest(&self.file, slices, written, position)
    }

    fn preallocate(&self, len: u64) -> io::Result<()> {
        Ok(rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, 0, len)?)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fdatasync(&self.file)?)
    }

    fn name(&self) -> Option<PathBuf> {
        fs::read_link(format!("/proc/self/fd/{}", self.file.as_raw_fd())).ok()
    }

    /// Asked of both ends: a read that may not wait for the disk fails where it would have to.
    fn is_cached(&self, position: u64, len: usize) -> bool {
        let there = |at| {
            let mut byte = [0];
            let into = &mut [IoSliceMut::new(&mut byte)];
            rustix::io::preadv2(&self.file, into, at, ReadWriteFlags::NOWAIT).is_ok()
        };
        there(position) && there(position + len.saturating_sub(1) as u64)
    }

    fn uncache(&self, position: u64, len: usize) {
        // Advice; where it is not taken the pages age as all others.
        let _ = rustix::fs::fadvise(&self.file, position, NonZero::new(len as u64), Advice::DontNeed);
    }
}

/// The kernel took only `written` bytes: near the end of the disk, or when a signal came. The rest goes slice by slice.
#[cold]
fn write_rest(file: &File, slices: &[IoSlice<'_>], written: usize, position: u64) -> io::Result<()> {
    let mut skip = written;
    let mut at = position + written as u64;
    for slice in slices {
        let rest = &slice[skip.min(slice.len())..];
        skip -= slice.len() - rest.len();
        file.write_all_at(rest, at)?;
        at += rest.len() as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::FileRange;

    #[test]
    fn a_second_lock_of_one_directory_is_refused_until_the_first_is_gone_i23() {
        let dir = tempfile::tempdir().unwrap();
        let first = RealDisk.lock(dir.path()).unwrap();
        assert_eq!(RealDisk.lock(dir.path()).err().unwrap().kind(), io::ErrorKind::WouldBlock);
        drop(first);
        assert!(RealDisk.lock(dir.path()).is_ok());
    }

    #[test]
    fn preallocated_room_does_not_show_and_slices_land_in_a_row() {
        let dir = tempfile::tempdir().unwrap();
        let file = RealDisk.open(&dir.path().join("f"), true).unwrap();
        file.preallocate(1 << 20).unwrap();
        assert_eq!(file.len().unwrap(), 0);
        file.write_all_at(&[IoSlice::new(b"ab"), IoSlice::new(b"cde")], 3).unwrap();
        assert_eq!(file.len().unwrap(), 8);
        let mut bytes = [9; 8];
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes, b"\0\0\0abcde");
        assert_eq!(file.read_exact_at(&mut bytes, 1).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    /// A range that is not in memory is known to be so, and is once it was warmed.
    #[test]
    fn what_is_not_cached_is_told_and_brought_in() {
        let dir = tempfile::tempdir().unwrap();
        let file = RealDisk.open(&dir.path().join("f"), true).unwrap();
        file.write_all_at(&[IoSlice::new(&vec![7; 3 << 20])], 0).unwrap();
        file.sync().unwrap();
        let range = FileRange { file: file.clone(), position: 1 << 20, len: 1 << 20 };
        assert!(range.is_cached());
        rustix::fs::fadvise(file.fd().unwrap(), 0, None, rustix::fs::Advice::DontNeed).unwrap();
        if range.is_cached() {
            println!("not tested: this file system keeps its pages in memory, or cannot tell");
            return;
        }
        range.warm(2 << 20);
        assert!(range.is_cached());
        let behind = FileRange { file, position: 2 << 20, len: 1 << 20 };
        assert!(behind.is_cached(), "what follows was brought in, too, as far as there is any");
    }

    #[test]
    fn a_short_write_is_continued_where_it_ended() {
        let dir = tempfile::tempdir().unwrap();
        for written in 0..=5 {
            let path = dir.path().join(format!("f{written}"));
            let file = fs::OpenOptions::new().read(true).write(true).create_new(true).open(path).unwrap();
            write_rest(&file, &[IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cde")], written, 10).unwrap();
            let mut rest = vec![0; 5 - written];
            file.read_exact_at(&mut rest, 10 + written as u64).unwrap();
            assert_eq!(rest, b"abcde"[written..]);
        }
    }
}
