//! A file one can read at a position: the noun by which `storage` lends ranges of segments to `net` without either
//! knowing the other.

pub mod descriptors;

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

/// A file open for reading. Reading past the end is an `UnexpectedEof`, never a short answer.
pub trait ReadAt: Send + Sync {
    fn read_exact_at(&self, buf: &mut [u8], position: u64) -> io::Result<()>;

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
}

impl fmt::Debug for FileRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileRange({}..{})", self.position, self.position + self.len as u64)
    }
}
