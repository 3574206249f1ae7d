//! Walking through a `.log` file from batch to batch. A log file is nothing but batches one after the other, so a walk that
//! begins at a batch and believes only what is there comes to every later one. It ends at the end it was given, or
//! before bytes that are no batch: zeros, a torn batch, another's rubbish (I19).

use std::io;

use crate::file::ReadAt;
use crate::record::{HEADER_LEN, Header, checksum_matches};
use crate::types::Offset;

/// How much a walk over headers reads at once: most batches bring more, so this is one read for a handful of small ones.
const HEADERS_CHUNK: usize = 4096;

/// How much a walk over whole batches reads at once.
const BATCHES_CHUNK: usize = 1 << 20;

/// Why a walk ended early.
#[derive(Debug)]
pub(super) enum Stop {
    /// What stands at `position` is no whole batch.
    Bad {
        position: u64,
        reason: String,
    },
    Disk(io::Error),
}

impl Stop {
    fn bad(position: u64, reason: impl Into<String>) -> Stop {
        Stop::Bad { position, reason: reason.into() }
    }
}

/// A walk over the batches between two positions.
pub(super) struct Walk<'a> {
    file: &'a dyn ReadAt,
    position: u64,
    end: u64,
    buffer: Vec<u8>,
    /// Where in the file `buffer` begins.
    buffered_at: u64,
    chunk: usize,
    /// The offset behind the last batch that was met.
    next_offset: Option<Offset>,
}

impl<'a> Walk<'a> {
    /// Over headers only: reads little of a large batch.
    pub fn headers(file: &'a dyn ReadAt, position: u64, end: u64) -> Self {
        Walk { file, position, end, buffer: Vec::new(), buffered_at: 0, chunk: HEADERS_CHUNK, next_offset: None }
    }

    /// Over whole batches: reads everything.
    pub fn batches(file: &'a dyn ReadAt, position: u64, end: u64) -> Self {
        Walk { file, position, end, buffer: Vec::new(), buffered_at: 0, chunk: BATCHES_CHUNK, next_offset: None }
    }

    /// Where the next batch begins.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The offset to expect next; `first` before the first batch.
    pub fn next_offset(&self, first: Offset) -> Offset {
        self.next_offset.unwrap_or(first)
    }

    /// The next header and its position.
    pub fn next_header(&mut self) -> Result<Option<(u64, Header)>, Stop> {
        if self.position >= self.end {
            return Ok(None);
        }
        let (position, left) = (self.position, self.end - self.position);
        if left < HEADER_LEN as u64 {
            return Err(Stop::bad(position, format!("{left} bytes are no whole batch")));
        }
        let bytes = self.bytes(position, HEADER_LEN)?;
        let header = Header::read(bytes).map_err(|corrupt| Stop::bad(position, corrupt.reason))?;
        if header.size() as u64 > left {
            let reason = format!("a batch of {} bytes is cut short to {left}", header.size());
            return Err(Stop::bad(position, reason));
        }
        if header.last_offset_delta < 0 || header.base_offset.0 < 0 {
            return Err(Stop::bad(position, "the offsets of the batch are negative"));
        }
        if self.chunk <= HEADERS_CHUNK {
            // Where batches are large nothing of the next one comes along.
            self.chunk = if header.size() > HEADERS_CHUNK { HEADER_LEN } else { HEADERS_CHUNK };
        }
        self.position += header.size() as u64;
        self.next_offset = Some(header.next_offset());
        Ok(Some((position, header)))
    }

    /// The next batch whose checksum matches: its position and header.
    pub fn next_batch(&mut self) -> Result<Option<(u64, Header)>, Stop> {
        let Some((position, header)) = self.next_header()? else { return Ok(None) };
        let bytes = self.bytes(position, header.size())?;
        if !checksum_matches(bytes) {
            self.position = position;
            return Err(Stop::bad(position, "the checksum of the batch does not match"));
        }
        Ok(Some((position, header)))
    }

    /// The bytes of the batch at `position`, whole and as they are.
    pub fn body(&mut self, position: u64, header: &Header) -> Result<&[u8], Stop> {
        self.bytes(position, header.size())
    }

    /// `len` bytes at `position`, which lie before the end.
    fn bytes(&mut self, position: u64, len: usize) -> Result<&[u8], Stop> {
        let buffered_end = self.buffered_at + self.buffer.len() as u64;
        if position < self.buffered_at || position + len as u64 > buffered_end {
            let want = len.max(self.chunk.min(usize::try_from(self.end - position).unwrap_or(usize::MAX)));
            self.buffer.resize(want, 0);
            self.buffered_at = position;
            if let Err(error) = self.file.read_exact_at(&mut self.buffer, position) {
                self.buffer.clear();
                return Err(Stop::Disk(error));
            }
        }
        let start = (position - self.buffered_at) as usize;
        Ok(&self.buffer[start..start + len])
    }
}

/// The header at `position` of a file of `end` bytes, or `None` if there is no whole batch there.
pub(super) fn header_at(file: &dyn ReadAt, position: u64, end: u64) -> io::Result<Option<Header>> {
    let mut walk = Walk { chunk: HEADER_LEN, ..Walk::headers(file, position, end) };
    match walk.next_header() {
        Ok(found) => Ok(found.map(|(_, header)| header)),
        Err(Stop::Bad { .. }) => Ok(None),
        Err(Stop::Disk(error)) => Err(error),
    }
}
