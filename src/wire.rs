//! Kafka's wire primitives, read with every length checked and written into a plain `Vec<u8>`.
//!
//! The generated record codecs (`state/*/generated.rs`) are made of these. Numbers are big-endian. A *flexible* version
//! spells a length as an unsigned varint of length + 1 (0 = null) and ends each struct with tagged fields; an older one
//! spells it as a fixed-width integer (-1 = null). Nothing here panics, and nothing reserves memory for a length that
//! was only declared: a count is believed as far as the bytes behind it reach (S3).

use std::fmt;

use uuid::Uuid;

/// The longest string that Kafka reads or writes, in every version, compact ones too.
pub const MAX_STRING_BYTES: usize = i16::MAX as usize;

/// Elements for which room is made before the first one is read; more grow as they really arrive.
const FIRST_CAPACITY: usize = 256;

/// Why bytes are not what they were said to be, and how far they were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    pub offset: usize,
    pub reason: Reason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A field goes on behind the last byte, or a count promises more than the bytes left can hold.
    Truncated,
    /// A length or count below the one that means null.
    NegativeLength(i64),
    /// Null where the schema allows none.
    UnexpectedNull,
    /// Longer than [`MAX_STRING_BYTES`].
    StringTooLong(usize),
    NotUtf8,
    /// More than 32 bits in a varint.
    OverlongVarint,
    /// Bytes are left after the last field.
    TrailingBytes(usize),
    /// A known tagged field did not end where its size says.
    TagSize,
    UnsupportedVersion(i16),
    /// A kind of record that this table does not have.
    UnknownKind(i16),
    UnsupportedFrame(u32),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason {
            Reason::Truncated => write!(f, "fewer bytes than declared"),
            Reason::NegativeLength(length) => write!(f, "length {length}"),
            Reason::UnexpectedNull => write!(f, "null in a field that may not be null"),
            Reason::StringTooLong(length) => write!(f, "string of {length} bytes"),
            Reason::NotUtf8 => write!(f, "string that is not UTF-8"),
            Reason::OverlongVarint => write!(f, "varint of more than 32 bits"),
            Reason::TrailingBytes(count) => write!(f, "{count} bytes left over"),
            Reason::TagSize => write!(f, "tagged field of another size than declared"),
            Reason::UnsupportedVersion(version) => write!(f, "version {version} is not known"),
            Reason::UnknownKind(kind) => write!(f, "record kind {kind} is not known"),
            Reason::UnsupportedFrame(version) => write!(f, "frame version {version} is not known"),
        }?;
        write!(f, " at byte {}", self.offset)
    }
}

impl std::error::Error for DecodeError {}

/// Reads from the front of a slice; after an error it stays where the field began.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where `bytes` begins in what was handed in first, so that an error inside a tagged field names the true place.
    base: usize,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes, at: 0, base: 0 }
    }

    pub fn offset(&self) -> usize {
        self.base + self.at
    }

    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    pub fn fail<T>(&self, reason: Reason) -> Result<T, DecodeError> {
        Err(DecodeError { offset: self.offset(), reason })
    }

    /// Refuses bytes behind the last field (lessons of Kafka's own readers: what is left over was misread).
    pub fn finish(&self) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            left => self.fail(Reason::TrailingBytes(left)),
        }
    }

    pub fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        match self.rest().get(..count) {
            Some(taken) => {
                self.at += count;
                Ok(taken)
            }
            None => self.fail(Reason::Truncated),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        match self.rest().first_chunk::<N>() {
            Some(chunk) => {
                self.at += N;
                Ok(*chunk)
            }
            None => self.fail(Reason::Truncated),
        }
    }

    pub fn i8(&mut self) -> Result<i8, DecodeError> {
        self.array().map(i8::from_be_bytes)
    }

    pub fn i16(&mut self) -> Result<i16, DecodeError> {
        self.array().map(i16::from_be_bytes)
    }

    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        self.array().map(i32::from_be_bytes)
    }

    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        self.array().map(i64::from_be_bytes)
    }

    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    pub fn f64(&mut self) -> Result<f64, DecodeError> {
        self.array().map(f64::from_be_bytes)
    }

    /// Anything but 0 is true, as Kafka reads it.
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        self.i8().map(|byte| byte != 0)
    }

    pub fn uuid(&mut self) -> Result<Uuid, DecodeError> {
        self.array().map(Uuid::from_bytes)
    }

    /// Seven bits a byte, lowest first; at most five bytes, and no bit beyond the 32nd.
    pub fn unsigned_varint(&mut self) -> Result<u32, DecodeError> {
        let mut value = 0u32;
        for (index, byte) in self.rest().iter().take(5).enumerate() {
            let bits = u32::from(byte & 0x7f);
            if index == 4 && *byte > 0x0f {
                return self.fail(Reason::OverlongVarint);
            }
            value |= bits << (7 * index);
            if byte & 0x80 == 0 {
                self.at += index + 1;
                return Ok(value);
            }
        }
        self.fail(Reason::Truncated)
    }

    /// The length of a string, of bytes or of an array; `None` is null. `fixed` reads the width an old version uses.
    fn length(
        &mut self,
        flexible: bool,
        fixed: fn(&mut Self) -> Result<i64, DecodeError>,
    ) -> Result<Option<usize>, DecodeError> {
        let start = self.at;
        let length = if flexible { i64::from(self.unsigned_varint()?) - 1 } else { fixed(self)? };
        if length == -1 {
            return Ok(None);
        }
        usize::try_from(length).map(Some).or_else(|_| {
            self.at = start;
            self.fail(Reason::NegativeLength(length))
        })
    }

    fn required<T>(&self, value: Option<T>) -> Result<T, DecodeError> {
        value.map_or_else(|| self.fail(Reason::UnexpectedNull), Ok)
    }

    pub fn nullable_string(&mut self, flexible: bool) -> Result<Option<&'a str>, DecodeError> {
        let Some(length) = self.length(flexible, |r| r.i16().map(i64::from))? else { return Ok(None) };
        if length > MAX_STRING_BYTES {
            return self.fail(Reason::StringTooLong(length));
        }
        match std::str::from_utf8(self.take(length)?) {
            Ok(text) => Ok(Some(text)),
            Err(_) => self.fail(Reason::NotUtf8),
        }
    }

    pub fn string(&mut self, flexible: bool) -> Result<&'a str, DecodeError> {
        let value = self.nullable_string(flexible)?;
        self.required(value)
    }

    pub fn nullable_bytes(&mut self, flexible: bool) -> Result<Option<&'a [u8]>, DecodeError> {
        match self.length(flexible, |r| r.i32().map(i64::from))? {
            Some(length) => self.take(length).map(Some),
            None => Ok(None),
        }
    }

    pub fn bytes(&mut self, flexible: bool) -> Result<&'a [u8], DecodeError> {
        let value = self.nullable_bytes(flexible)?;
        self.required(value)
    }

    /// The count before an array, not yet compared with anything; `None` is null.
    pub fn array_length(&mut self, flexible: bool) -> Result<Option<usize>, DecodeError> {
        self.length(flexible, |r| r.i32().map(i64::from))
    }

    /// An array, element by element. No element takes less than one byte, so a count above the bytes left is a lie.
    pub fn nullable_array<T>(
        &mut self,
        flexible: bool,
        mut element: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<Vec<T>>, DecodeError> {
        let Some(count) = self.array_length(flexible)? else { return Ok(None) };
        if count > self.remaining() {
            return self.fail(Reason::Truncated);
        }
        let mut elements = Vec::with_capacity(count.min(FIRST_CAPACITY));
        for _ in 0..count {
            elements.push(element(self)?);
        }
        Ok(Some(elements))
    }

    pub fn array_of<T>(
        &mut self,
        flexible: bool,
        element: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let value = self.nullable_array(flexible, element)?;
        self.required(value)
    }

    /// The tagged fields at the end of a struct. `field` gets each one alone and says whether it knew the tag; what it
    /// knew it must have read to the end, what it did not know is skipped.
    pub fn tagged_fields(
        &mut self,
        mut field: impl FnMut(u32, &mut Reader<'a>) -> Result<bool, DecodeError>,
    ) -> Result<(), DecodeError> {
        for _ in 0..self.unsigned_varint()? {
            let tag = self.unsigned_varint()?;
            let size = self.unsigned_varint()? as usize;
            let base = self.offset();
            let mut inside = Reader { bytes: self.take(size)?, at: 0, base };
            if field(tag, &mut inside)? && inside.remaining() > 0 {
                return inside.fail(Reason::TagSize);
            }
        }
        Ok(())
    }

    pub fn skip_tagged_fields(&mut self) -> Result<(), DecodeError> {
        self.tagged_fields(|_, _| Ok(false))
    }
}

pub fn put_i8(out: &mut Vec<u8>, value: i8) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub fn put_i16(out: &mut Vec<u8>, value: i16) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub fn put_i32(out: &mut Vec<u8>, value: i32) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub fn put_i64(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub fn put_u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub fn put_f64(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub fn put_bool(out: &mut Vec<u8>, value: bool) {
    out.push(u8::from(value));
}

pub fn put_uuid(out: &mut Vec<u8>, value: Uuid) {
    out.extend_from_slice(value.as_bytes());
}

pub fn put_unsigned_varint(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A string longer than [`MAX_STRING_BYTES`] is cut at a character: whatever a client sent was refused before it got
/// that long, and a length that wrapped would spoil every field behind it.
pub fn put_nullable_string(out: &mut Vec<u8>, value: Option<&str>, flexible: bool) {
    let value = value.map(|text| &text[..text.floor_char_boundary(MAX_STRING_BYTES)]);
    match (flexible, value) {
        (true, None) => out.push(0),
        (true, Some(text)) => put_unsigned_varint(out, text.len() as u32 + 1),
        (false, None) => put_i16(out, -1),
        (false, Some(text)) => put_i16(out, text.len() as i16),
    }
    out.extend_from_slice(value.unwrap_or_default().as_bytes());
}

pub fn put_string(out: &mut Vec<u8>, value: &str, flexible: bool) {
    put_nullable_string(out, Some(value), flexible);
}

/// The count before an array or bytes; `None` writes null. No frame or batch of ours reaches 2 GiB, so it always fits.
pub fn put_length(out: &mut Vec<u8>, length: Option<usize>, flexible: bool) {
    let length = length.map(|length| length.min(i32::MAX as usize) as u32);
    match (flexible, length) {
        (true, None) => out.push(0),
        (true, Some(length)) => put_unsigned_varint(out, length + 1),
        (false, None) => put_i32(out, -1),
        (false, Some(length)) => put_u32(out, length),
    }
}

pub fn put_nullable_bytes(out: &mut Vec<u8>, value: Option<&[u8]>, flexible: bool) {
    put_length(out, value.map(<[u8]>::len), flexible);
    out.extend_from_slice(value.unwrap_or_default());
}

pub fn put_bytes(out: &mut Vec<u8>, value: &[u8], flexible: bool) {
    put_nullable_bytes(out, Some(value), flexible);
}

/// One tagged field: its number, its size, its bytes.
pub fn put_tagged(out: &mut Vec<u8>, tag: u32, write: impl FnOnce(&mut Vec<u8>)) {
    let mut field = Vec::new();
    write(&mut field);
    put_unsigned_varint(out, tag);
    put_unsigned_varint(out, field.len() as u32);
    out.extend_from_slice(&field);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_varint_reads_back_and_takes_the_bytes_kafka_takes() {
        for (value, size) in [(0, 1), (127, 1), (128, 2), (16383, 2), (16384, 3), (1 << 28, 5), (u32::MAX, 5)] {
            let mut out = Vec::new();
            put_unsigned_varint(&mut out, value);
            assert_eq!(out.len(), size, "{value}");
            let mut reader = Reader::new(&out);
            assert_eq!(reader.unsigned_varint(), Ok(value));
            assert_eq!(reader.finish(), Ok(()));
        }
    }

    #[test]
    fn s3_a_varint_of_more_than_32_bits_is_refused() {
        let reason = |bytes: &[u8]| Reader::new(bytes).unsigned_varint().unwrap_err().reason;
        assert_eq!(reason(&[0xff, 0xff, 0xff, 0xff, 0x1f]), Reason::OverlongVarint);
        assert_eq!(reason(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x00]), Reason::OverlongVarint);
        assert_eq!(reason(&[0x80, 0x80]), Reason::Truncated);
        assert_eq!(reason(&[]), Reason::Truncated);
    }

    #[test]
    fn strings_and_bytes_read_back_in_both_spellings() {
        for flexible in [false, true] {
            let mut out = Vec::new();
            put_string(&mut out, "grüße", flexible);
            put_nullable_string(&mut out, None, flexible);
            put_bytes(&mut out, b"\x00\xff", flexible);
            put_nullable_bytes(&mut out, None, flexible);
            let mut reader = Reader::new(&out);
            assert_eq!(reader.string(flexible), Ok("grüße"));
            assert_eq!(reader.nullable_string(flexible), Ok(None));
            assert_eq!(reader.bytes(flexible), Ok(&b"\x00\xff"[..]));
            assert_eq!(reader.nullable_bytes(flexible), Ok(None));
            assert_eq!(reader.finish(), Ok(()));
        }
    }

    #[test]
    fn s3_a_declared_length_is_believed_no_further_than_the_bytes_reach() {
        let mut reader = Reader::new(&[0x7f, 0xff, 0xff, 0xff, 1]);
        assert_eq!(reader.array_of(false, |r| r.i8()).unwrap_err().reason, Reason::Truncated);
        let mut reader = Reader::new(&[0x80, 0, 0, 0]);
        assert_eq!(reader.nullable_bytes(false).unwrap_err().reason, Reason::NegativeLength(i64::from(i32::MIN)));
        let mut reader = Reader::new(&[0xff, 0xff, 0xff, 0xff, 0x0f, 1]);
        assert_eq!(reader.string(true).unwrap_err().reason, Reason::StringTooLong(u32::MAX as usize - 1));
        let mut reader = Reader::new(&[0xff, 0xff]);
        assert_eq!(reader.string(false).unwrap_err().reason, Reason::UnexpectedNull);
        let mut reader = Reader::new(&[3, 0xc3, 0x28]);
        assert_eq!(reader.string(true).unwrap_err().reason, Reason::NotUtf8);
    }

    #[test]
    fn a_string_too_long_for_its_length_is_cut_at_a_character() {
        let text = "ä".repeat(20_000);
        let mut out = Vec::new();
        put_string(&mut out, &text, false);
        assert_eq!(Reader::new(&out).string(false), Ok(&text[..32_766]));
    }

    #[test]
    fn unknown_tags_are_skipped_and_known_ones_must_fill_their_size() {
        let mut out = Vec::new();
        put_unsigned_varint(&mut out, 2);
        put_tagged(&mut out, 0, |out| put_i16(out, 7));
        put_tagged(&mut out, 900, |out| out.extend_from_slice(b"later"));
        let mut seen = None;
        let mut reader = Reader::new(&out);
        let mut read = |tag: u32, field: &mut Reader<'_>| match tag {
            0 => field.i16().map(|value| seen = Some(value)).map(|()| true),
            _ => Ok(false),
        };
        assert_eq!(reader.tagged_fields(&mut read), Ok(()));
        assert_eq!(reader.finish(), Ok(()));
        assert_eq!(seen, Some(7));

        let short = [1, 0, 3, 0, 7, 9];
        let error = Reader::new(&short).tagged_fields(|_, field| field.i16().map(|_| true)).unwrap_err();
        assert_eq!(error, DecodeError { offset: 5, reason: Reason::TagSize });
    }
}
