//! The record batch, the currency of Kafka. Only here does anyone know a byte position inside a batch.
//!
//! Bytes come in from two sides. A client's go through [`validate`], which applies Kafka's rules and gives a
//! [`ValidBatch`]; a log's are read with [`Header::read`] and [`open`], which believe nothing beyond the bytes that are
//! there. What we write ourselves is made by [`Builder`] (and [`control`] for markers).
//!
//! Cost of a produced batch: the 61 header bytes are copied once and patched there; the rest stays where it arrived.
//! Uncompressed records are walked without an allocation; compressed ones are opened only where a rule needs it.

mod batch;
mod builder;
mod compression;
pub mod control;
mod header;
mod open;
mod validate;
mod varint;
mod walk;

pub use batch::ValidBatch;
pub use builder::{Builder, HeaderRef};
pub use compression::{Compression, DecompressBudget, DecompressLimits};
pub use control::ControlKind;
pub use header::{HEADER_LEN, Header, MIN_LENGTH_FIELD, checksum_matches};
pub use open::{OpenBatch, Records, open};
pub use validate::{Refusal, Rules, validate};
pub use walk::{Headers, Record};

use std::fmt;

/// Bytes that are not what they claim to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corrupt {
    pub reason: String,
}

impl Corrupt {
    pub fn new(reason: impl Into<String>) -> Self {
        Corrupt { reason: reason.into() }
    }
}

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Corrupt {}

#[cfg(test)]
mod tests;
