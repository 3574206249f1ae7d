//! What can go wrong in a data directory, by fact: an operation that failed, bytes that are not what they must be, or a
//! directory that is not ours to use. Every one names its file.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::types::Offset;

#[derive(Debug)]
pub enum Error {
    /// The file system refused an operation.
    Io { operation: &'static str, path: PathBuf, source: io::Error },
    /// Bytes that were flushed once do not read back; `offset` is the first that is affected. Nothing was cut (I10).
    Corrupt { path: PathBuf, offset: Offset, reason: String },
    /// We will not work with this; the sentence says what it is and what to do.
    Refused(String),
    /// An earlier flush failed, and nothing after it is believed (I17).
    Failed { path: PathBuf, reason: String },
}

impl Error {
    pub fn io(operation: &'static str, path: &Path, source: io::Error) -> Error {
        Error::Io { operation, path: path.to_path_buf(), source }
    }

    /// A flush that failed, for callers that flush many files with one call.
    pub fn flush(path: &Path, source: io::Error) -> Error {
        Error::io("flush", path, source)
    }

    pub fn corrupt(path: &Path, offset: Offset, reason: impl fmt::Display) -> Error {
        Error::Corrupt { path: path.to_path_buf(), offset, reason: reason.to_string() }
    }

    /// Were there no descriptors left to open a file? Then nothing was asked of the disk, and the same may succeed later.
    pub fn is_want_of_descriptors(&self) -> bool {
        let codes = [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE].map(|errno| Some(errno.raw_os_error()));
        matches!(self, Error::Io { source, .. } if codes.contains(&source.raw_os_error()))
    }

    /// Is the disk full? Then the same may succeed later (I18).
    pub fn is_full(&self) -> bool {
        matches!(self, Error::Io { source, .. }
            if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io { operation, path, source } => write!(f, "cannot {operation} {}: {source}", path.display()),
            Error::Corrupt { path, offset, reason } => {
                write!(f, "{} is damaged at offset {offset}: {reason}", path.display())
            }
            Error::Refused(sentence) => f.write_str(sentence),
            Error::Failed { path, reason } => {
                write!(f, "{} takes no more writes since a flush failed: {reason}", path.display())
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// Names operation and path of an I/O error.
pub(super) trait Context<T> {
    fn context(self, operation: &'static str, path: &Path) -> Result<T, Error>;
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, operation: &'static str, path: &Path) -> Result<T, Error> {
        self.map_err(|source| Error::io(operation, path, source))
    }
}
