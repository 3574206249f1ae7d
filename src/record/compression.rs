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
//! a bomb costs the limit and no more. What stands behind the compressed data is ignored, as Kafka does.

use std::fmt;
use std::io::{self, Read, Write};

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecompressLimits {
    /// The most bytes that the records of one batch may take uncompressed.
    pub max_bytes: usize,
}

impl Default for DecompressLimits {
    fn default() -> Self {
        DecompressLimits { max_bytes: 64 << 20 }
    }
}

/// Why compressed records cannot be opened.
#[derive(Debug)]
pub(super) enum Unpack {
    TooLarge { limit: usize },
    Broken { codec: Compression, source: String },
}

impl fmt::Display for Unpack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unpack::TooLarge { limit } => {
                write!(f, "the records of the batch take more than the limit of {limit} bytes uncompressed")
            }
            Unpack::Broken { codec, source } => {
                write!(f, "the records of the batch are not what {codec} produces: {source}")
            }
        }
    }
}

pub(super) fn decompress(codec: Compression, packed: &[u8], limits: &DecompressLimits) -> Result<Vec<u8>, Unpack> {
    let broken = |error: io::Error| Unpack::Broken { codec, source: error.to_string() };
    let mut out = Output { codec, bytes: Vec::new(), limit: limits.max_bytes };
    match codec {
        Compression::None => out.take(packed)?,
        Compression::Gzip => out.drain(flate2::bufread::MultiGzDecoder::new(packed))?,
        Compression::Snappy => unsnap(packed, &mut out)?,
        Compression::Lz4 => out.drain(lz4_flex::frame::FrameDecoder::new(packed))?,
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(packed).map_err(broken)?;
            decoder.window_log_max(window_log_max(limits)).map_err(broken)?;
            out.drain(decoder)?;
        }
    }
    Ok(out.bytes)
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
    bytes: Vec<u8>,
    limit: usize,
}

impl Output {
    fn take(&mut self, more: &[u8]) -> Result<(), Unpack> {
        self.room_for(more.len())?;
        self.bytes.extend_from_slice(more);
        Ok(())
    }

    fn room_for(&self, more: usize) -> Result<(), Unpack> {
        match self.bytes.len().checked_add(more).filter(|len| *len <= self.limit) {
            Some(_) => Ok(()),
            None => Err(Unpack::TooLarge { limit: self.limit }),
        }
    }

    /// Everything the reader gives, in steps that double: small batches cost little, large ones few copies.
    fn drain(&mut self, mut reader: impl Read) -> Result<(), Unpack> {
        const FIRST_STEP: usize = 16 << 10;
        loop {
            let len = self.bytes.len();
            // One byte past the limit shows that there is more than the limit.
            let step = len.max(FIRST_STEP).min(self.limit.saturating_sub(len).saturating_add(1));
            let taken = reader.by_ref().take(step as u64).read_to_end(&mut self.bytes);
            let taken = taken.map_err(|error| self.broken(error.to_string()))?;
            self.room_for(0)?;
            if taken < step {
                return Ok(());
            }
        }
    }

    fn broken(&self, source: impl Into<String>) -> Unpack {
        Unpack::Broken { codec: self.codec, source: source.into() }
    }
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
    out.room_for(size)?;
    let start = out.bytes.len();
    out.bytes.resize(start + size, 0);
    let written = snap::raw::Decoder::new().decompress(block, &mut out.bytes[start..]);
    let written = written.map_err(|error| out.broken(error.to_string()))?;
    out.bytes.truncate(start + written);
    Ok(())
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
