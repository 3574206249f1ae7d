//! The walk along a message's schema: is what the frame declares really there? Asked before anything is decoded.
//!
//! The message crate's decoder reserves memory for a count that was only declared; a request of five bytes can make it ask
//! for 500 GB and so end the process (S3). [`check`] follows one generated table over the bytes, keeps nothing, and refuses
//! the body unless every count, length, string and tagged field is whole and the decoded form fits in a budget; it tells
//! where the body ends, and nothing behind that reaches the decoder. What it accepts, the decoder reads without asking for more than that budget.
//!
//! ```text
//! frame   i16 api key | i16 version | i32 correlation id | client id (i16 length, in every version) | tagged fields (v2) | body
//! ```
//! The refusal says where and why; the caller logs it and closes the connection, for a frame that was misread once
//! cannot be answered.

mod generated;

use std::fmt;
use std::ops::RangeInclusive;

use crate::wire::{self, DecodeError, Reader};
use crate::zoo::bug;
use generated::{FIELDS, MESSAGES};

/// What a caller allows one request.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// `socket.request.max.bytes`: what a frame of any kind may have.
    pub max_request_bytes: usize,
    /// What the decoded form of one request may take, not counting the frame itself, which strings and blobs share.
    pub max_decoded_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { max_request_bytes: 100 << 20, max_decoded_bytes: 48 << 20 }
    }
}

/// Why a frame is refused, and the byte of the body (of the frame, for a header) where that shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub offset: usize,
    /// The field as the schema spells it, dotted; empty where it is none.
    pub field: &'static str,
    pub reason: Reason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    UnknownApi(i16),
    UnsupportedVersion(i16),
    Malformed(wire::Reason),
    /// A struct that may be null is preceded by 1 or by -1.
    PresenceByte(i8),
    /// More than [`MAX_ELEMENTS`] in one array.
    TooManyElements(usize),
    /// More than [`MAX_TAGGED_FIELDS`] in one struct.
    TooManyTaggedFields(u32),
    /// A body above what this API may have.
    TooLarge(usize),
    /// The decoded form would outgrow its budget.
    DecodedTooLarge,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        match self.reason {
            Reason::UnknownApi(key) => write!(f, "api key {key} is not known"),
            Reason::UnsupportedVersion(version) => write!(f, "version {version} is not known"),
            Reason::Malformed(reason) => return DecodeError { offset: self.offset, reason }.fmt(f),
            Reason::PresenceByte(byte) => write!(f, "{byte} where 1 or -1 tells whether a struct follows"),
            Reason::TooManyElements(count) => write!(f, "array of {count} elements"),
            Reason::TooManyTaggedFields(count) => write!(f, "{count} tagged fields"),
            Reason::TooLarge(size) => write!(f, "request of {size} bytes"),
            Reason::DecodedTooLarge => write!(f, "request that takes too much memory"),
        }?;
        write!(f, " at byte {}", self.offset)
    }
}

impl std::error::Error for Refusal {}

/// The head of a request, borrowed from its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHeader<'a> {
    pub api_key: i16,
    pub version: i16,
    pub correlation_id: i32,
    pub client_id: Option<&'a str>,
    /// Where the body begins; the end of the frame when the API or its version is unknown, as its body is then too.
    pub body_offset: usize,
}

/// Reads the head of a frame (without the length in front of it).
///
/// Of an API or version that is not in the table it reads what every header has, so that a newer client's ApiVersions can
/// be answered in version 0 (KIP-511) and anything else can be named in the log.
pub fn read_header(frame: &[u8]) -> Result<RequestHeader<'_>, Refusal> {
    let mut reader = Reader::new(frame);
    let malformed = |error: DecodeError| refusal(error, "RequestHeader");
    let api_key = reader.i16().map_err(malformed)?;
    let version = reader.i16().map_err(malformed)?;
    let correlation_id = reader.i32().map_err(malformed)?;
    // The client id keeps its two-byte length in header version 2, where everything else is compact.
    let client_id = reader.nullable_string(false);
    let Some(message) = find(api_key).filter(|message| message.has(version)) else {
        let client_id = client_id.ok().flatten();
        return Ok(RequestHeader { api_key, version, correlation_id, client_id, body_offset: frame.len() });
    };
    let client_id = client_id.map_err(malformed)?;
    if version >= message.flexible_since {
        let mut walk = Walk { reader, version, flexible: true, budget: usize::MAX };
        walk.tagged_fields(&[])?;
        reader = walk.reader;
    }
    Ok(RequestHeader { api_key, version, correlation_id, client_id, body_offset: reader.offset() })
}

/// Walks one request body to its end and says where that is. `Ok` means that decoding so many bytes is safe, not that they
/// make sense.
///
/// Bytes behind the end are no error, as they are none for Kafka, and must not reach the decoder: librdkafka 2.16 leaves
/// three behind its Metadata version 13.
pub fn check(api_key: i16, version: i16, body: &[u8], limits: &Limits) -> Result<usize, Refusal> {
    let refuse = |reason| Err(Refusal { offset: 0, field: "", reason });
    let Some(message) = find(api_key) else { return refuse(Reason::UnknownApi(api_key)) };
    if !message.has(version) {
        return refuse(Reason::UnsupportedVersion(version));
    }
    if body.len() > max_body_bytes(api_key, limits) {
        return refuse(Reason::TooLarge(body.len()));
    }
    let flexible = version >= message.flexible_since;
    let mut walk = Walk { reader: Reader::new(body), version, flexible, budget: limits.max_decoded_bytes };
    walk.fields(message.body.fields())?;
    Ok(walk.reader.offset())
}

/// The largest body that [`check`] accepts for an API. Only requests that carry records or other people's bytes may be
/// large; the rest is names and numbers, of which the decoded form is up to 36 times the size.
pub fn max_body_bytes(api_key: i16, limits: &Limits) -> usize {
    let cap = match api_key {
        PRODUCE => usize::MAX,
        // What may come before authentication (S1, S4).
        API_VERSIONS | SASL_HANDSHAKE | SASL_AUTHENTICATE => 512 << 10,
        // The leader of a group sends the assignment of every member at once.
        SYNC_GROUP => 32 << 20,
        _ => 8 << 20,
    };
    cap.min(limits.max_request_bytes)
}

/// Kafka 4.3's versions of an API; `None` where there is no such API. Not what this broker serves: api/ says that.
pub fn versions(api_key: i16) -> Option<RangeInclusive<i16>> {
    find(api_key).map(|message| message.first..=message.last)
}

/// Kafka's name for an API.
pub fn name(api_key: i16) -> Option<&'static str> {
    find(api_key).map(|message| message.name)
}

struct Message {
    api_key: i16,
    name: &'static str,
    first: i16,
    last: i16,
    flexible_since: i16,
    body: Kind,
}

impl Message {
    fn has(&self, version: i16) -> bool {
        (self.first..=self.last).contains(&version)
    }
}

fn find(api_key: i16) -> Option<&'static Message> {
    let index = MESSAGES.binary_search_by_key(&api_key, |message| message.api_key).ok()?;
    MESSAGES.get(index)
}

#[derive(Clone, Copy)]
enum Kind {
    /// Numbers, booleans and ids, by their size.
    Fixed(u8),
    String,
    /// Blobs and record batches.
    Bytes,
    /// The fields of a struct: the first one's place in the table and how many.
    Struct(u16, u16),
}

impl Kind {
    fn fields(self) -> &'static [Field] {
        match self {
            Kind::Struct(first, count) => &FIELDS[usize::from(first)..][..usize::from(count)],
            _ => &[],
        }
    }

    /// The least that a value takes on the wire.
    fn least_bytes(self, version: i16, flexible: bool) -> usize {
        match self {
            Kind::Fixed(size) => usize::from(size),
            Kind::String => {
                if flexible {
                    1
                } else {
                    2
                }
            }
            Kind::Bytes => {
                if flexible {
                    1
                } else {
                    4
                }
            }
            Kind::Struct(..) => {
                let here = self.fields().iter().filter(|field| field.tag.is_none() && field.is_in(version));
                usize::from(flexible) + here.map(|field| field.least_bytes(version, flexible)).sum::<usize>()
            }
        }
    }
}

/// A row of the table.
struct Field {
    name: &'static str,
    kind: Kind,
    /// In an array, what one decoded element takes; 0 where the field is no array.
    element_bytes: u16,
    first: i16,
    last: i16,
    first_nullable: i16,
    last_nullable: i16,
    tag: Option<u8>,
}

impl Field {
    fn is_in(&self, version: i16) -> bool {
        (self.first..=self.last).contains(&version)
    }

    fn may_be_null(&self, version: i16) -> bool {
        (self.first_nullable..=self.last_nullable).contains(&version)
    }

    fn is_array(&self) -> bool {
        self.element_bytes > 0
    }

    fn least_bytes(&self, version: i16, flexible: bool) -> usize {
        if self.is_array() {
            return Kind::Bytes.least_bytes(version, flexible);
        }
        match self.kind {
            Kind::Struct(..) if self.may_be_null(version) => 1,
            kind => kind.least_bytes(version, flexible),
        }
    }
}

// The words that the generated table is written in.

const MAX: i16 = i16::MAX;

const fn message(api_key: i16, name: &'static str, first: i16, last: i16, flexible_since: i16, body: Kind) -> Message {
    Message { api_key, name, first, last, flexible_since, body }
}

const fn field(name: &'static str, kind: Kind, first: i16, last: i16) -> Field {
    Field { name, kind, element_bytes: 0, first, last, first_nullable: MAX, last_nullable: -1, tag: None }
}

impl Field {
    const fn array(self, element_bytes: u16) -> Field {
        Field { element_bytes, ..self }
    }

    const fn nullable(self, first_nullable: i16, last_nullable: i16) -> Field {
        Field { first_nullable, last_nullable, ..self }
    }

    const fn tag(self, tag: u8) -> Field {
        Field { tag: Some(tag), ..self }
    }
}

/// One body being read. It goes as deep as the schema does and no further, whatever the bytes say.
struct Walk<'a> {
    reader: Reader<'a>,
    version: i16,
    flexible: bool,
    /// What the decoded form may still take.
    budget: usize,
}

impl Walk<'_> {
    fn fields(&mut self, fields: &'static [Field]) -> Result<(), Refusal> {
        for field in fields {
            if field.tag.is_none() && field.is_in(self.version) {
                self.field(field)?;
            }
        }
        if self.flexible { self.tagged_fields(fields) } else { Ok(()) }
    }

    fn field(&mut self, field: &'static Field) -> Result<(), Refusal> {
        let nullable = field.may_be_null(self.version);
        if field.is_array() {
            return self.array(field, nullable);
        }
        if nullable && matches!(field.kind, Kind::Struct(..)) {
            return match self.reader.i8().map_err(|error| refusal(error, field.name))? {
                1 => self.fields(field.kind.fields()),
                -1 => Ok(()),
                byte => self.refuse(field.name, Reason::PresenceByte(byte)),
            };
        }
        self.value(field, nullable)
    }

    fn value(&mut self, field: &'static Field, nullable: bool) -> Result<(), Refusal> {
        let flexible = self.flexible;
        let read = match (field.kind, nullable) {
            (Kind::Fixed(size), _) => self.reader.take(usize::from(size)).map(|_| ()),
            (Kind::String, true) => self.reader.nullable_string(flexible).map(|_| ()),
            (Kind::String, false) => self.reader.string(flexible).map(|_| ()),
            (Kind::Bytes, true) => self.reader.nullable_bytes(flexible).map(|_| ()),
            (Kind::Bytes, false) => self.reader.bytes(flexible).map(|_| ()),
            (Kind::Struct(..), _) => return self.fields(field.kind.fields()),
        };
        read.map_err(|error| refusal(error, field.name))
    }

    fn array(&mut self, field: &'static Field, nullable: bool) -> Result<(), Refusal> {
        let length = self.reader.array_length(self.flexible).map_err(|error| refusal(error, field.name))?;
        let Some(count) = length else {
            return if nullable { Ok(()) } else { self.refuse(field.name, NULL) };
        };
        if bug(25) {
            return Ok(());
        }
        if count > MAX_ELEMENTS {
            return self.refuse(field.name, Reason::TooManyElements(count));
        }
        // No element of any schema is empty; were one, a count would cost nothing and mean anything.
        let least = field.kind.least_bytes(self.version, self.flexible).max(1);
        if count.saturating_mul(least) > self.reader.remaining() {
            return self.refuse(field.name, TRUNCATED);
        }
        self.charge(field.name, count.saturating_mul(usize::from(field.element_bytes)))?;
        if let Kind::Fixed(size) = field.kind {
            let taken = self.reader.take(count.saturating_mul(usize::from(size)));
            return taken.map(|_| ()).map_err(|error| refusal(error, field.name));
        }
        for _ in 0..count {
            self.value(field, false)?;
        }
        Ok(())
    }

    /// The tagged fields behind a struct with these fields: known ones are walked and must fill the size they declare
    /// (the decoder does not compare, and would read on from the wrong place), unknown ones are passed over.
    fn tagged_fields(&mut self, fields: &'static [Field]) -> Result<(), Refusal> {
        let malformed = |error| refusal(error, TAGGED);
        let count = self.reader.unsigned_varint().map_err(malformed)?;
        if count > MAX_TAGGED_FIELDS {
            return self.refuse(TAGGED, Reason::TooManyTaggedFields(count));
        }
        let mut unknown_bytes = FIRST_UNKNOWN_TAG_BYTES;
        for _ in 0..count {
            let tag = self.reader.unsigned_varint().map_err(malformed)?;
            let size = self.reader.unsigned_varint().map_err(malformed)? as usize;
            if size > self.reader.remaining() {
                return self.refuse(TAGGED, TRUNCATED);
            }
            let end = self.reader.offset() + size;
            let known = |field: &&Field| field.tag.map(u32::from) == Some(tag) && field.is_in(self.version);
            if let Some(field) = fields.iter().find(known) {
                self.field(field)?;
                if self.reader.offset() != end {
                    return self.refuse(field.name, Reason::Malformed(wire::Reason::TagSize));
                }
            } else {
                self.reader.take(size).map_err(malformed)?;
                self.charge(TAGGED, unknown_bytes)?;
                unknown_bytes = NEXT_UNKNOWN_TAG_BYTES;
            }
        }
        Ok(())
    }

    fn charge(&mut self, field: &'static str, bytes: usize) -> Result<(), Refusal> {
        match self.budget.checked_sub(bytes) {
            Some(left) => {
                self.budget = left;
                Ok(())
            }
            None => self.refuse(field, Reason::DecodedTooLarge),
        }
    }

    fn refuse<T>(&self, field: &'static str, reason: Reason) -> Result<T, Refusal> {
        Err(Refusal { offset: self.reader.offset(), field, reason })
    }
}

fn refusal(error: DecodeError, field: &'static str) -> Refusal {
    Refusal { offset: error.offset, field, reason: Reason::Malformed(error.reason) }
}

/// Kafka 4.4's own bounds for what a request may declare.
pub const MAX_ELEMENTS: usize = 1_000_000;
pub const MAX_TAGGED_FIELDS: u32 = 10_000;

/// The decoder keeps unknown tagged fields in a B-tree whose smallest node has room for eleven (410 bytes with the
/// allocator's rounding); filled in ascending order each further one takes a sixth of a node and its share of the tree.
const FIRST_UNKNOWN_TAG_BYTES: usize = 448;
const NEXT_UNKNOWN_TAG_BYTES: usize = 96;

const NULL: Reason = Reason::Malformed(wire::Reason::UnexpectedNull);
const TRUNCATED: Reason = Reason::Malformed(wire::Reason::Truncated);
const TAGGED: &str = "tagged fields";

const PRODUCE: i16 = 0;
const SYNC_GROUP: i16 = 14;
const SASL_HANDSHAKE: i16 = 17;
const API_VERSIONS: i16 = 18;
const SASL_AUTHENTICATE: i16 = 36;

#[cfg(test)]
mod tests {
    use super::*;

    /// S3, the two bodies that must never come as far as the decoder: five bytes that would have it take 3.7 GiB, twelve that
    /// would end the process.
    #[test]
    fn s3_an_array_that_is_longer_than_its_bytes_is_refused() {
        const METADATA: i16 = 3;
        let limits = Limits::default();
        assert!(check(METADATA, 0, &[0x03, 0x3c, 0x0c, 0x00, 0xb6], &limits).is_err());
        assert!(check(PRODUCE, 9, &[0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f], &limits).is_err());
    }
}
