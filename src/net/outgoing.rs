//! Answers on their way to the socket.
//!
//! A slow reader holds what its answers have in memory, which counts (S7), and of records nothing: ranges of files are read
//! when the socket takes them, and what it did not take is read again, or lies in one of a few pipes.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::time::Instant;

use crate::file::FileRange;

use super::budget::{Held, Memory};
use super::connection::End;
use super::deadlines::is_over;
use super::stream::Stream;
use super::{Answer, Piece};

/// Answers up to this size are gathered into one write with their neighbours.
const GATHER_BYTES: usize = 64 * 1024;
const GATHER_PIECES: usize = 64;
/// Ranges of files up to this size are read and written with their header; larger ones are spliced.
pub const COPY_BYTES: usize = 64 * 1024;
/// How often a peer that takes nothing is looked at.
const STEP: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Outgoing {
    pieces: VecDeque<Piece>,
    /// Bytes in memory.
    bytes: usize,
}

impl Outgoing {
    pub fn push(&mut self, answer: Answer) {
        match answer {
            Answer::One(bytes) => self.add(Piece::Bytes(bytes)),
            Answer::Many(pieces) => {
                pieces.into_iter().filter(|piece| !piece.is_empty()).for_each(|piece| self.add(piece))
            }
        }
    }

    fn add(&mut self, piece: Piece) {
        if let Piece::Bytes(bytes) = &piece {
            self.bytes += bytes.len();
        }
        self.pieces.push_back(piece);
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Gives back what a long answer needed.
    pub fn shrink(&mut self) {
        if self.pieces.is_empty() {
            self.pieces = VecDeque::new();
        }
    }

    /// Writes everything. Ends the connection if the peer takes nothing for `idle`, or too little of what others wait for.
    pub async fn flush<T: Stream>(&mut self, stream: &T, memory: &Memory, idle: Duration) -> Result<(), End> {
        if self.pieces.is_empty() {
            return Ok(());
        }
        let mut wait = SlowReader { stream, memory, idle, wait: None, held: None };
        while let Some(piece) = self.pieces.front() {
            match piece {
                Piece::File(range) if is_spliced(stream, range) => {
                    let range = range.clone();
                    self.pieces.pop_front();
                    if let Some(socket) = stream.socket() {
                        super::splice::send(socket, range, &mut wait, self.bytes).await?;
                    }
                }
                _ => self.write_some(&mut wait).await?,
            }
        }
        Ok(())
    }

    /// Writes of the run of small pieces at the front what the socket takes.
    async fn write_some<T: Stream>(&mut self, wait: &mut SlowReader<'_, T>) -> Result<(), End> {
        match self.try_write(wait.stream) {
            Ok(written) => {
                self.advance(written);
                wait.moved(written);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait.writable(self.bytes).await,
            Err(error) => Err(End::Socket(error)),
        }
    }

    fn try_write<T: Stream>(&self, stream: &T) -> io::Result<usize> {
        let gathered = self.gather(|range| is_spliced(stream, range))?;
        let slices: Vec<io::IoSlice<'_>> = gathered.iter().map(|bytes| io::IoSlice::new(bytes)).collect();
        match slices.len() < self.pieces.len() {
            true => stream.try_write_before_more(&slices),
            false => stream.try_write_vectored(&slices),
        }
    }

    /// The front of what is to be written, ranges of files copied. Not kept: what is not written now is read again.
    fn gather(&self, is_spliced: impl Fn(&FileRange) -> bool) -> io::Result<Vec<Bytes>> {
        let mut gathered = Vec::with_capacity(self.pieces.len().min(GATHER_PIECES));
        let mut total = 0;
        for piece in self.pieces.iter().take(GATHER_PIECES) {
            let bytes = match piece {
                Piece::Bytes(bytes) => bytes.clone(),
                Piece::File(range) if is_spliced(range) => break,
                Piece::File(range) => read_front(range)?,
            };
            total += bytes.len();
            // The rest of a piece comes before the next one.
            let cut = bytes.len() < piece.len();
            gathered.push(bytes);
            if cut || total >= GATHER_BYTES {
                break;
            }
        }
        Ok(gathered)
    }

    fn advance(&mut self, mut written: usize) {
        while let Some(piece) = self.pieces.front_mut() {
            let part = written.min(piece.len());
            if let Piece::Bytes(_) = piece {
                self.bytes -= part;
            }
            written -= part;
            if part == piece.len() {
                self.pieces.pop_front();
            } else {
                skip(piece, part);
            }
            if written == 0 {
                return;
            }
        }
    }
}

/// Does this range go from file to socket by itself? Else it is read and written.
fn is_spliced<T: Stream>(stream: &T, range: &FileRange) -> bool {
    range.len > COPY_BYTES && range.file.fd().is_some() && stream.socket().is_some()
}

fn skip(piece: &mut Piece, bytes: usize) {
    match piece {
        Piece::Bytes(rest) => rest.advance(bytes),
        Piece::File(range) => {
            range.position += bytes as u64;
            range.len -= bytes;
        }
    }
}

/// At most a gathered write's worth of a range; ranges without a descriptor may be longer.
pub(super) fn read_front(range: &FileRange) -> io::Result<Bytes> {
    let front = FileRange { len: range.len.min(GATHER_BYTES), ..range.clone() };
    // An error of the disk is not the socket's: it says so.
    front.read().map(Bytes::from).map_err(|error| io::Error::other(format!("reading the log for an answer: {error}")))
}

/// A peer that does not take its answer as fast as it could.
pub(super) struct SlowReader<'a, T: Stream> {
    stream: &'a T,
    memory: &'a Memory,
    idle: Duration,
    /// Since it first kept us waiting.
    wait: Option<Wait>,
    held: Option<Held>,
}

#[derive(Clone, Copy)]
struct Wait {
    begun: Instant,
    /// When it last took something, and how much in all.
    last: Instant,
    moved: usize,
}

impl<T: Stream> SlowReader<'_, T> {
    pub fn moved(&mut self, bytes: usize) {
        if let Some(wait) = &mut self.wait {
            wait.last = Instant::now();
            wait.moved += bytes;
        }
    }

    /// Waits until the peer takes more. What its answers have in memory counts from now on.
    pub async fn writable(&mut self, bytes: usize) -> Result<(), End> {
        while !self.step(bytes).await? {}
        Ok(())
    }

    /// Waits for a step at most; whether the peer takes more.
    pub async fn step(&mut self, bytes: usize) -> Result<bool, End> {
        let now = Instant::now();
        let wait = *self.wait.get_or_insert(Wait { begun: now, last: now, moved: 0 });
        match &mut self.held {
            Some(held) => held.shrink_to(bytes),
            None => self.held = (bytes > 0).then(|| self.memory.answers.hold_anyway(bytes)),
        }
        match tokio::time::timeout(STEP.min(self.idle), self.stream.writable()).await {
            Ok(Ok(())) => return Ok(true),
            Ok(Err(error)) => return Err(End::Socket(error)),
            Err(_) => {}
        }
        if wait.last.elapsed() >= self.idle {
            return Err(End::Refused("the peer took nothing of its answer in time".into()));
        }
        let pressed = bytes > 0 && self.memory.answers.is_pressed();
        if pressed && is_over(wait.begun, wait.moved, self.idle, true) {
            return Err(End::Refused("the peer took its answer too slowly while memory was short".into()));
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::ReadAt;
    use std::sync::Arc;

    struct Letters;

    impl ReadAt for Letters {
        fn read_exact_at(&self, buf: &mut [u8], position: u64) -> io::Result<()> {
            buf.iter_mut().enumerate().for_each(|(index, byte)| *byte = b'a' + (position as u8 + index as u8) % 26);
            Ok(())
        }
    }

    #[test]
    fn s7_what_was_not_taken_of_a_file_is_not_kept() {
        let mut out = Outgoing::default();
        let range = FileRange { file: Arc::new(Letters), position: 0, len: 5 };
        out.push(Answer::Many(vec![Piece::Bytes(Bytes::from_static(b"123")), Piece::File(range)]));
        assert_eq!((out.bytes(), out.gather(|_| false).unwrap().concat()), (3, b"123abcde".to_vec()));
        out.advance(1);
        assert_eq!((out.bytes(), out.gather(|_| false).unwrap().concat()), (2, b"23abcde".to_vec()));
        out.advance(4);
        assert_eq!((out.bytes(), out.gather(|_| false).unwrap().concat()), (0, b"cde".to_vec()));
        out.advance(3);
        assert!(out.pieces.is_empty());
    }
}
