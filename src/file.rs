//! A file one can read at a position: the noun by which `storage` lends ranges of segments to `net` without either
//! knowing the other.

pub mod descriptors;
pub mod owner;

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

/// A file open for reading. Reading past the end is an `UnexpectedEof`, never a short answer.
pub trait ReadAt: Send + Sync {
    fn read_exact_at(&self, buf: &mut [u8], position: u64) -> io::Result<()>;

    /// Is the byte at that position in memory, so that reading it waits for no disk? Also true where that cannot be told.
    fn is_in_memory(&self, _position: u64) -> bool {
        true
    }

    /// The descriptor behind it, where there is one: what lets bytes go from file to socket without a copy.
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

/// `len` bytes of a file from `position` on.
#[derive(Clone)]
pub struct FileRange {
    pub file: Arc<dyn ReadAt>,
    pub position: u64,
    pub len: usize,
}

impl FileRange {
    pub fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.len];
        self.file.read_exact_at(&mut bytes, self.position)?;
        Ok(bytes)
    }

    /// Is all of it in memory? Asked of a byte every so often: the kernel reads in larger pieces than that.
    pub fn is_cached(&self) -> bool {
        let end = self.position + self.len as u64;
        let mut probes = (self.position..end).step_by(PROBE_BYTES);
        let last = (self.len > PROBE_BYTES).then(|| end - 1);
        probes.all(|position| self.file.is_in_memory(position))
            && last.is_none_or(|position| self.file.is_in_memory(position))
    }

    /// Brings it into memory, and up to `ahead` bytes behind it, as far as there are any. Waits for the disk. What cannot
    /// be read is left to whoever reads it next.
    pub fn warm(&self, ahead: usize) {
        let mut scratch = vec![0; (self.len + ahead).min(WARM_BYTES)];
        let end = self.position + (self.len + ahead) as u64;
        for position in (self.position..end).step_by(WARM_BYTES) {
            let len = usize::try_from(end - position).unwrap_or(WARM_BYTES).min(WARM_BYTES);
            if self.file.read_exact_at(&mut scratch[..len], position).is_err() {
                return;
            }
        }
    }
}

/// Distance of the bytes by which a range is judged to be in memory: 1 MiB costs five calls of a third of a microsecond.
const PROBE_BYTES: usize = 256 << 10;
/// How much is read at once to bring it into memory.
const WARM_BYTES: usize = 128 << 10;

impl fmt::Debug for FileRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileRange({}..{})", self.position, self.position + self.len as u64)
    }
}
