//! The five codecs of record batches, in and out, under limits.
//!
//! | id | codec | as clients write it |
//! |---|---|---|
//! | 0 | none | |
//! | 1 | gzip | one or more members |
//! | 2 | snappy | xerial framing (Java: magic, two versions, then length-prefixed blocks) or one raw block (Go, C) |
//! | 3 | lz4 | the lz4 frame format; block checksums and linked blocks as well |
//! | 4 | zstd | one or more frames; Produce 7 and later |
//!
//! Decompression grows its output with what comes out, never with what was declared, and stops at the limit (S2, S6):
//! a bomb costs the limit and no more, and all bombs together no more than one budget.

use crate::zoo::bug;
use std::fmt;
use std::io::{self, Read, Write};
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How the records of a batch are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compression {
    #[default]
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl Compression {
    pub const ALL: [Compression; 5] =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

    pub fn id(self) -> u8 {
        self as u8
    }

    pub fn from_id(id: u8) -> Option<Compression> {
        Compression::ALL.get(usize::from(id)).copied()
    }

    /// The name in `compression.type`.
    pub fn name(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What opening one batch may cost.
#[derive(Clone, Copy, Debug)]
pub struct DecompressLimits {
    /// The most bytes that the records of one batch may take uncompressed.
    pub max_bytes: usize,
    /// What the batches being validated at the same time share. Opening a stored batch does not draw on it: its reader
    /// could not tell "not now" from "corrupt".
    pub budget: &'static DecompressBudget,
}

impl Default for DecompressLimits {
    fn default() -> Self {
        static PROCESS: DecompressBudget = DecompressBudget::new(256 << 20);
        DecompressLimits { max_bytes: 64 << 20, budget: &PROCESS }
    }
}

/// Uncompressed bytes that may be held at one time, over all connections.
#[derive(Debug)]
pub struct DecompressBudget {
    left: AtomicUsize,
}

impl DecompressBudget {
    pub const fn new(bytes: usize) -> Self {
        DecompressBudget { left: AtomicUsize::new(bytes) }
    }

    fn take(&self, bytes: usize) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes)).is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.left.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Uncompressed records. What they hold of a budget goes back when they are dropped.
#[derive(Debug)]
pub(super) struct Unpacked {
    bytes: Vec<u8>,
    held: usize,
    budget: Option<&'static DecompressBudget>,
}

impl Deref for Unpacked {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Unpacked {
    fn drop(&mut self) {
        if let Some(budget) = self.budget {
            budget.give_back(self.held);
        }
    }
}

/// Why compressed records cannot be opened.
#[derive(Debug)]
pub(super) enum Unpack {
    TooLarge { limit: usize },
    Busy,
    Broken { codec: Compression, source: String },
}

impl fmt::Display for Unpack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unpack::TooLarge { limit } => {
                write!(f, "the records of the batch take more than the limit of {limit} bytes uncompressed")
            }
            Unpack::Busy => f.write_str("too many compressed batches are being opened at this moment"),
            Unpack::Broken { codec, source } => {
                write!(f, "the records of the batch are not what {codec} produces: {source}")
            }
        }
    }
}

/// Opens what a client sent, on the shared budget.
pub(super) fn decompress(codec: Compression, packed: &[u8], limits: &DecompressLimits) -> Result<Unpacked, Unpack> {
    unpack(codec, packed, limits, Some(limits.budget))
}

/// Opens what a log holds, on the limit of the batch alone.
pub(super) fn decompress_stored(
    codec: Compression,
    packed: &[u8],
    limits: &DecompressLimits,
) -> Result<Unpacked, Unpack> {
    unpack(codec, packed, limits, None)
}

fn unpack(
    codec: Compression,
    packed: &[u8],
    limits: &DecompressLimits,
    budget: Option<&'static DecompressBudget>,
) -> Result<Unpacked, Unpack> {
    let broken = |error: io::Error| Unpack::Broken { codec, source: error.to_string() };
    let held = Unpacked { bytes: Vec::new(), held: 0, budget };
    let mut out = Output { codec, held, limit: if bug(26) { usize::MAX } else { limits.max_bytes } };
    match codec {
        Compression::None => out.drain(packed)?,
        Compression::Gzip => out.drain(flate2::bufread::MultiGzDecoder::new(packed))?,
        Compression::Snappy => unsnap(packed, &mut out)?,
        Compression::Lz4 => {
            let _blocks = out.borrow(lz4_blocks(packed, &out)?)?;
            out.drain(lz4_flex::frame::FrameDecoder::new(packed))?;
        }
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(packed).map_err(broken)?;
            decoder.window_log_max(window_log_max(limits)).map_err(broken)?;
            out.drain(decoder)?;
        }
    }
    Ok(out.held)
}

/// zstd keeps its window apart from our output and takes it as address space at once; its pages are touched only as
/// output is made, which the limit bounds. One more bit than the limit needs, because level 22 declares 128 MiB for
/// whatever it compresses.
fn window_log_max(limits: &DecompressLimits) -> u32 {
    (usize::BITS - limits.max_bytes.leading_zeros()).clamp(10, 27)
}

/// Uncompressed bytes up to a limit.
struct Output {
    codec: Compression,
    held: Unpacked,
    limit: usize,
}

impl Output {
    /// Makes sure that `more` bytes may be added, and reserves them.
    fn reserve(&mut self, more: usize) -> Result<(), Unpack> {
        let len = self.held.bytes.len().checked_add(more).filter(|len| *len <= self.limit);
        let Some(len) = len else { return Err(Unpack::TooLarge { limit: self.limit }) };
        if len <= self.held.held {
            return Ok(());
        }
        if self.held.budget.is_some_and(|budget| !budget.take(len - self.held.held)) {
            return Err(Unpack::Busy);
        }
        self.held.held = len;
        self.held.bytes.reserve_exact(more);
        Ok(())
    }

    /// Everything the reader gives, in steps that double: small batches cost little, large ones few copies.
    fn drain(&mut self, mut reader: impl Read) -> Result<(), Unpack> {
        const FIRST_STEP: usize = 16 << 10;
        loop {
            let len = self.held.bytes.len();
            let step = len.max(FIRST_STEP).min(self.limit - len);
            self.reserve(step)?;
            let taken = reader.by_ref().take(step as u64).read_to_end(&mut self.held.bytes);
            let taken = taken.map_err(|error| self.broken(error.to_string()))?;
            if taken < step {
                return Ok(());
            }
            if self.held.bytes.len() == self.limit {
                return self.nothing_is_left(reader);
            }
        }
    }

    /// Takes out of the budget what a decoder needs for itself, as long as the returned value lives.
    fn borrow(&self, bytes: usize) -> Result<Unpacked, Unpack> {
        let budget = self.held.budget;
        if budget.is_some_and(|budget| !budget.take(bytes)) {
            return Err(Unpack::Busy);
        }
        Ok(Unpacked { bytes: Vec::new(), held: bytes, budget })
    }

    /// At the limit: one byte more is too many.
    fn nothing_is_left(&self, mut reader: impl Read) -> Result<(), Unpack> {
        match reader.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(Unpack::TooLarge { limit: self.limit }),
            Err(error) => Err(self.broken(error.to_string())),
        }
    }

    fn broken(&self, source: impl Into<String>) -> Unpack {
        Unpack::Broken { codec: self.codec, source: source.into() }
    }
}

/// What the decoder takes for the blocks of a frame, however small the frame: one block as it comes and, where they refer to
/// each other, two as they become. The old format, which the decoder knows too, has blocks of 8 MiB; Kafka reads none such.
fn lz4_blocks(packed: &[u8], out: &Output) -> Result<usize, Unpack> {
    const MAGIC: &[u8; 4] = &0x184d_2204u32.to_le_bytes();
    let Some([flags, block_size]) = packed.strip_prefix(MAGIC).and_then(|rest| rest.first_chunk()) else {
        return Err(out.broken("it is no frame of LZ4"));
    };
    let are_linked = flags & 0x20 == 0;
    // 4 is 64 KiB, each further one four times as much; the decoder refuses what is not within 4 and 7.
    let size = 1usize << (8 + 2 * ((block_size >> 4) & 7));
    Ok(if are_linked { 3 * size } else { 2 * size })
}

/// How xerial's framing begins; a version and the oldest compatible version follow, four bytes each.
const XERIAL_MAGIC: &[u8; 8] = b"\x82SNAPPY\0";
const XERIAL_HEADER_LEN: usize = 16;

/// The largest block that Java's writer makes by default; readers take any.
const XERIAL_BLOCK: usize = 32 << 10;

fn unsnap(packed: &[u8], out: &mut Output) -> Result<(), Unpack> {
    if !packed.starts_with(XERIAL_MAGIC) || packed.len() < XERIAL_HEADER_LEN {
        return unsnap_block(packed, out);
    }
    let mut left = &packed[XERIAL_HEADER_LEN..];
    while !left.is_empty() {
        // Streams written one behind the other have a header each.
        if left.starts_with(XERIAL_MAGIC) && left.len() >= XERIAL_HEADER_LEN {
            left = &left[XERIAL_HEADER_LEN..];
            continue;
        }
        let (size, rest) = left.split_first_chunk::<4>().ok_or_else(|| out.broken("a block length is cut"))?;
        let size = usize::try_from(u32::from_be_bytes(*size)).unwrap_or(usize::MAX);
        let (block, rest) =
            rest.split_at_checked(size).ok_or_else(|| out.broken("a block is longer than what is there"))?;
        unsnap_block(block, out)?;
        left = rest;
    }
    Ok(())
}

fn unsnap_block(block: &[u8], out: &mut Output) -> Result<(), Unpack> {
    let size = snap::raw::decompress_len(block).map_err(|error| out.broken(error.to_string()))?;
    // Three bytes of snappy give 64 at most; a claim beyond that is a lie, and memory is not taken for it.
    if size / 64 > block.len() {
        return Err(out.broken("a block claims more than it can hold"));
    }
    out.reserve(size)?;
    let bytes = &mut out.held.bytes;
    let start = bytes.len();
    bytes.resize(start + size, 0);
    match snap::raw::Decoder::new().decompress(block, &mut bytes[start..]) {
        Ok(written) if written == size => Ok(()),
        Ok(_) => Err(out.broken("a block holds less than it claims")),
        Err(error) => Err(out.broken(error.to_string())),
    }
}

/// Packs records as the Java client would. Into memory of ours, so it cannot fail.
pub(super) fn compress(codec: Compression, records: &[u8]) -> Vec<u8> {
    const WHY: &str = "compressing into memory cannot fail";
    match codec {
        Compression::None => records.to_vec(),
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(records).expect(WHY);
            encoder.finish().expect(WHY)
        }
        Compression::Snappy => snap_framed(records),
        Compression::Lz4 => {
            let info = lz4_flex::frame::FrameInfo::new().block_size(lz4_flex::frame::BlockSize::Max64KB);
            let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
            encoder.write_all(records).expect(WHY);
            encoder.finish().expect(WHY)
        }
        Compression::Zstd => zstd::stream::encode_all(records, zstd::DEFAULT_COMPRESSION_LEVEL).expect(WHY),
    }
}

fn snap_framed(records: &[u8]) -> Vec<u8> {
    let mut out = XERIAL_MAGIC.to_vec();
    out.extend_from_slice(&1u32.to_be_bytes());
    out.extend_from_slice(&1u32.to_be_bytes());
    let mut encoder = snap::raw::Encoder::new();
    for block in records.chunks(XERIAL_BLOCK) {
        let packed = encoder.compress_vec(block).expect("a block of 32 KiB is within snappy's limit");
        let size = u32::try_from(packed.len()).expect("a packed block is little larger than 32 KiB");
        out.extend_from_slice(&size.to_be_bytes());
        out.extend_from_slice(&packed);
    }
    out
}
