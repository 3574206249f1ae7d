//! Reading the records of a stored batch: decompressed where needed, under limits, each checked as it is reached.

use super::compression::{DecompressLimits, Unpacked, decompress_stored};
use super::walk::{Flaw, read_record};
use super::{Compression, Corrupt, HEADER_LEN, Header, Record};

/// Opens one whole batch. Reads the header and decompresses; the checksum is the caller's business, since what comes from
/// a recovered log has been checked before.
pub fn open<'a>(batch: &'a [u8], limits: &DecompressLimits) -> Result<OpenBatch<'a>, Corrupt> {
    let header = Header::read(batch)?;
    let Some(packed) = batch.get(HEADER_LEN..header.size()) else {
        return Err(Corrupt::new(format!("the batch claims {} bytes, there are {}", header.size(), batch.len())));
    };
    let records = match header.try_compression() {
        None => return Err(Corrupt::new(format!("Unknown compression type id: {}", header.attributes & 7))),
        Some(Compression::None) => Payload::Stored(packed),
        // A batch that compaction emptied keeps its attributes and has nothing to decompress.
        Some(_) if header.count == 0 && packed.is_empty() => Payload::Stored(packed),
        Some(codec) => {
            Payload::Unpacked(decompress_stored(codec, packed, limits).map_err(|why| Corrupt::new(why.to_string()))?)
        }
    };
    if header.count < 0 {
        return Err(Corrupt::new(format!("Found invalid record count {} in magic v2 batch", header.count)));
    }
    Ok(OpenBatch { header, records })
}

#[derive(Debug)]
enum Payload<'a> {
    Stored(&'a [u8]),
    Unpacked(Unpacked),
}

/// A batch whose records can be read.
#[derive(Debug)]
pub struct OpenBatch<'a> {
    header: Header,
    records: Payload<'a>,
}

impl OpenBatch<'_> {
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The records in order. Ends after the first error, which is also what a count that does not fit gives.
    pub fn records(&self) -> Records<'_> {
        let bytes = match &self.records {
            Payload::Stored(bytes) => bytes,
            Payload::Unpacked(bytes) => &bytes[..],
        };
        Records { header: &self.header, bytes, left: self.header.count, ended: false }
    }
}

/// Iterates over the records of an [`OpenBatch`].
#[derive(Clone, Debug)]
pub struct Records<'a> {
    header: &'a Header,
    bytes: &'a [u8],
    left: i32,
    ended: bool,
}

impl<'a> Records<'a> {
    fn read(&mut self) -> Result<Option<Record<'a>>, Flaw> {
        if self.left == 0 {
            return if self.bytes.is_empty() { Ok(None) } else { Err(Flaw::LeftOver) };
        }
        let index = self.header.count - self.left;
        self.left -= 1;
        let record = read_record(&mut self.bytes)?;
        // Compaction leaves gaps, so only the range can be checked here.
        if record.offset_delta < 0 || record.offset_delta > self.header.last_offset_delta {
            return Err(Flaw::OffsetDelta { index, delta: record.offset_delta });
        }
        Ok(Some(record.in_batch(self.header)))
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, Corrupt>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let item = self.read().map_err(Corrupt::from).transpose();
        self.ended = !matches!(item, Some(Ok(_)));
        item
    }
}
