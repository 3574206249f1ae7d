//! The file system, as little of it as we use. The real one is here; the simulated one, which loses, tears and reorders
//! what was not flushed, is in `testing/`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::file::ReadAt;

/// A directory tree that holds files. Paths are absolute or relative to the process, as the caller wishes.
/// Creating, renaming or removing a name lasts only once `sync_dir` of its parent has returned (I15).
pub trait Disk: Send + Sync {
    /// Opens a file for reading and writing; `create` makes it where it is missing.
    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn DiskFile>>;
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
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
}

/// One open file.
pub trait DiskFile: ReadAt {
    /// Writes all of the slices one after another from `position` on; on an error any part of them may be there.
    fn write_all_at(&self, slices: &[io::IoSlice<'_>], position: u64) -> io::Result<()>;
    /// Makes room up to `len` without changing the visible size.
    fn preallocate(&self, len: u64) -> io::Result<()>;
    fn set_len(&self, len: u64) -> io::Result<()>;
    fn len(&self) -> io::Result<u64>;
    /// Flushes data and size (`fdatasync`). A failure is final: the caller must not believe a later success (I17).
    fn sync(&self) -> io::Result<()>;
}

/// A data directory on the real file system.
pub struct RealDisk;

#[allow(dead_code)]
fn parent_of(path: &Path) -> PathBuf {
    path.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}
