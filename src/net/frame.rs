//! Frames: a four-byte length, then that many bytes. The buffer grows with the bytes that have come, never with the length
//! that was declared (S1, S2).
//!
//! Where there is plenty of memory the room for a read follows the peer: as much as its frames have been, so that each takes
//! one read, and a run of them when they come close behind each other. A run ends a little behind a frame: a read that does
//! not fill its room has found everything there was, and of the frame behind there are few bytes to be moved to the front.

use bytes::{Buf, Bytes, BytesMut};

use crate::memory::shares::FIRST_READ_BYTES;

/// With less room than this left in the buffer, the next read gets a new one.
const LEAST_READ_BYTES: usize = 2 * 1024;
/// What a declared length may reserve at once. Frames beyond it double the buffer as their bytes arrive.
const TRUSTED_BYTES: usize = 128 * 1024;

/// What a run of frames may have.
const RUN_BYTES: usize = 128 * 1024;
/// What a single frame may have ahead of its bytes, if such frames have come before.
const FAMILIAR_BYTES: usize = 512 * 1024;
/// How far a read goes beyond what it hopes for.
const SLACK_BYTES: usize = 64;

/// Cuts frames out of a stream of bytes.
#[derive(Debug)]
pub struct FrameReader {
    buffer: BytesMut,
    max_bytes: usize,
    /// How large frames have been lately, with their lengths.
    usual_bytes: usize,
    /// How many of these are read at once.
    run: usize,
}

/// A length that no frame may have; the connection ends.
#[derive(Debug, PartialEq, Eq)]
pub struct BadLength {
    pub declared: i32,
    pub max_bytes: usize,
}

impl std::fmt::Display for BadLength {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let known = match &self.declared.to_be_bytes() {
            b"GET " | b"POST" | b"HEAD" | b"PUT " => " (this looks like HTTP; this port speaks the Kafka protocol)",
            [0x16, 0x03, ..] => " (this looks like TLS; this listener is PLAINTEXT)",
            _ => "",
        };
        write!(f, "frame length {} is not within 1 and {}{known}", self.declared, self.max_bytes)
    }
}

impl FrameReader {
    /// `max_bytes`: the largest frame accepted (`socket.request.max.bytes`).
    pub fn new(max_bytes: usize) -> Self {
        FrameReader { buffer: BytesMut::new(), max_bytes, usual_bytes: 0, run: 1 }
    }

    /// The next whole frame, without its length; `None` while bytes are missing.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, BadLength> {
        let Some(len) = self.declared()? else { return Ok(None) };
        if self.buffer.len() < 4 + len {
            return Ok(None);
        }
        self.buffer.advance(4);
        // Larger ones are expected again at once, smaller ones by and by.
        self.usual_bytes = (4 + len).max(self.usual_bytes - self.usual_bytes / 8);
        Ok(Some(self.buffer.split_to(len).freeze()))
    }

    /// How large the buffer must be for the next read from the socket.
    pub fn needed(&self) -> usize {
        let (len, spare) = (self.buffer.len(), self.buffer.capacity() - self.buffer.len());
        match self.declared() {
            Ok(Some(declared)) => {
                let missing = (4 + declared).saturating_sub(len).max(1);
                if spare >= missing.min(LEAST_READ_BYTES) { len } else { len + missing.min(len.max(TRUSTED_BYTES)) }
            }
            _ if spare >= LEAST_READ_BYTES => len,
            _ => (len + LEAST_READ_BYTES).max(FIRST_READ_BYTES),
        }
    }

    /// How large it must be for all of the frame that has begun.
    pub fn whole(&self) -> usize {
        self.declared().ok().flatten().map_or(0, |declared| 4 + declared)
    }

    /// How large it should be where there is plenty of memory: at least `needed`.
    pub fn hoped(&self) -> usize {
        let familiar = if self.usual_bytes <= FAMILIAR_BYTES { self.usual_bytes * self.run } else { 0 };
        let expected = familiar.max(self.whole().min(TRUSTED_BYTES));
        self.needed().max(expected + SLACK_BYTES)
    }

    /// The buffer, with room for the next read: `size` is what `needed` or `hoped` said.
    pub fn room(&mut self, size: usize) -> &mut BytesMut {
        let more = size.saturating_sub(self.buffer.len());
        if !self.buffer.try_reclaim(more) {
            match self.buffer.len() {
                // A buffer that is made anew is as large as it is to be; one that grows doubles.
                few @ ..=LEAST_READ_BYTES => {
                    let old = std::mem::replace(&mut self.buffer, BytesMut::with_capacity(few + more));
                    self.buffer.extend_from_slice(&old);
                }
                _ => self.buffer.reserve(more),
            }
        }
        &mut self.buffer
    }

    /// Takes note of a read: a run that was full may be longer, one that was half empty was too long.
    pub fn came(&mut self, bytes: usize, room: usize) {
        if bytes == room {
            let most = (RUN_BYTES / self.usual_bytes.max(1)).max(1);
            self.run = (self.run * 2).min(most);
        } else if bytes < room / 2 {
            self.run = (self.run / 2).max(1);
        }
    }

    /// The next frame is all there.
    pub fn has_whole_frame(&self) -> bool {
        let whole = self.whole();
        whole > 0 && self.buffer.len() >= whole
    }

    /// A frame has begun and is not whole.
    pub fn is_mid_frame(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// How much of what is not handed out yet has come.
    pub fn received(&self) -> usize {
        self.buffer.len()
    }

    /// Gives the memory back; only between frames.
    pub fn shrink(&mut self) {
        if self.buffer.is_empty() {
            *self = FrameReader::new(self.max_bytes);
        }
    }

    fn declared(&self) -> Result<Option<usize>, BadLength> {
        let Some(prefix) = self.buffer.first_chunk::<4>() else { return Ok(None) };
        let declared = i32::from_be_bytes(*prefix);
        match usize::try_from(declared) {
            Ok(len) if len > 0 && len <= self.max_bytes => Ok(Some(len)),
            _ => Err(BadLength { declared, max_bytes: self.max_bytes }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(bytes: &[u8]) -> FrameReader {
        let mut reader = FrameReader::new(1 << 20);
        let needed = reader.needed();
        reader.room(needed).extend_from_slice(bytes);
        reader
    }

    /// What comes of a read into all the room there is, limited as a connection limits it.
    fn read_from(reader: &mut FrameReader, socket: &mut &[u8]) -> usize {
        let hoped = reader.hoped();
        let room = hoped - reader.received();
        let (now, later) = socket.split_at(room.min(socket.len()));
        reader.room(hoped).extend_from_slice(now);
        reader.came(now.len(), room);
        *socket = later;
        while reader.next_frame().unwrap().is_some() {}
        now.len()
    }

    fn frames_of(bytes: usize, count: usize) -> Vec<u8> {
        let one: Vec<u8> = (bytes as u32).to_be_bytes().into_iter().chain(vec![7; bytes]).collect();
        one.repeat(count)
    }

    /// A peer that sends a frame and waits for its answer: one read each, and none that fills its room, which would have to be
    /// followed by one that finds nothing.
    #[test]
    fn a_familiar_frame_takes_one_read() {
        for size in [100, 10_000, 16_500, 65_600, 300_000] {
            let mut reader = FrameReader::new(1 << 20);
            let warm = frames_of(size, 1);
            let mut socket = &warm[..];
            while !socket.is_empty() {
                read_from(&mut reader, &mut socket);
            }
            for round in 0..20 {
                let one = frames_of(size, 1);
                let (mut socket, room) = (&one[..], reader.hoped());
                assert_eq!(read_from(&mut reader, &mut socket), 4 + size, "frame {round} of {size} bytes");
                assert!(room > 4 + size && !reader.is_mid_frame());
            }
        }
    }

    /// Frames close behind each other are read together, up to a bound, and almost nothing is left to be moved.
    #[test]
    fn frames_in_a_row_are_read_in_runs() {
        let many = frames_of(16_500, 400);
        let (mut reader, mut socket, mut reads) = (FrameReader::new(1 << 20), &many[..], 0);
        while !socket.is_empty() {
            let before = socket.len();
            read_from(&mut reader, &mut socket);
            reads += 1;
            assert!(reads < 20 || socket.is_empty() || reader.received() <= SLACK_BYTES);
            assert!(before - socket.len() <= RUN_BYTES + SLACK_BYTES);
        }
        assert!(reads < 400 / 6, "{reads} reads");
    }

    /// S2: what is hoped for goes with what has come before, and no further.
    #[test]
    fn s2_hope_is_bounded() {
        let mut reader = FrameReader::new(100 << 20);
        assert_eq!(reader.hoped(), FIRST_READ_BYTES);
        let huge = frames_of(2 << 20, 1);
        let mut socket = &huge[..];
        while !socket.is_empty() {
            read_from(&mut reader, &mut socket);
        }
        (0..20).for_each(|_| reader.came(1, 1));
        assert!(reader.hoped() <= FAMILIAR_BYTES + SLACK_BYTES);
        reader.shrink();
        assert_eq!(reader.hoped(), FIRST_READ_BYTES);
    }

    #[test]
    fn frames_come_out_whole_and_in_order() {
        let mut reader = fed(&[0, 0, 0, 2, 1, 2, 0, 0, 0, 1, 3, 0, 0]);
        assert_eq!(reader.next_frame().unwrap().unwrap(), &[1u8, 2][..]);
        assert_eq!(reader.next_frame().unwrap().unwrap(), &[3u8][..]);
        assert_eq!(reader.next_frame(), Ok(None));
        assert!(reader.is_mid_frame());
    }

    /// S1: negative, zero and over-long lengths end the connection.
    #[test]
    fn s1_a_length_that_cannot_be_is_refused() {
        for declared in [-1i32, 0, i32::MIN, (1 << 20) + 1, i32::MAX] {
            let mut reader = fed(&declared.to_be_bytes());
            assert_eq!(reader.next_frame(), Err(BadLength { declared, max_bytes: 1 << 20 }));
        }
    }

    /// S2: a peer that declares a megabyte and sends nothing costs what it is trusted with, not what it declared.
    #[test]
    fn s2_memory_follows_bytes_received() {
        let mut reader = FrameReader::new(100 << 20);
        let needed = reader.needed();
        reader.room(needed).extend_from_slice(&(90_000_000i32).to_be_bytes());
        let hoped = reader.hoped();
        assert!(reader.room(hoped).capacity() <= 2 * TRUSTED_BYTES);
    }

    #[test]
    fn http_and_tls_are_named() {
        let http = BadLength { declared: i32::from_be_bytes(*b"GET "), max_bytes: 1 };
        assert!(http.to_string().contains("HTTP"));
        let tls = BadLength { declared: i32::from_be_bytes([0x16, 3, 1, 2]), max_bytes: 1 };
        assert!(tls.to_string().contains("TLS"));
    }
}
