//! Record batches of numbers, in Kafka's format (magic 2): written as a producer does, read as a consumer does.

/// Who writes, and which number its first record has; `-1` each for a plain producer.
#[derive(Clone, Copy, Debug)]
pub struct Producer {
    pub id: i64,
    pub epoch: i16,
    pub sequence: i32,
}

pub const PLAIN: Producer = Producer { id: -1, epoch: -1, sequence: -1 };

const HEADER: usize = 61;

/// A batch of one record for each value, which are in the records as eight bytes.
pub fn build(values: &[u64], producer: Producer) -> Vec<u8> {
    let mut out = vec![0; HEADER];
    for (delta, value) in values.iter().enumerate() {
        let mut record = vec![0, 0];
        varint(&mut record, delta as i64);
        varint(&mut record, -1);
        varint(&mut record, 8);
        record.extend_from_slice(&value.to_be_bytes());
        record.push(0);
        varint(&mut out, record.len() as i64);
        out.extend_from_slice(&record);
    }
    let length = (out.len() - 12) as i32;
    let last = values.len() as i32 - 1;
    out[8..12].copy_from_slice(&length.to_be_bytes());
    out[12..16].copy_from_slice(&(-1i32).to_be_bytes());
    out[16] = 2;
    out[23..27].copy_from_slice(&last.to_be_bytes());
    out[27..35].copy_from_slice(&1_700_000_000_000i64.to_be_bytes());
    out[35..43].copy_from_slice(&1_700_000_000_000i64.to_be_bytes());
    out[43..51].copy_from_slice(&producer.id.to_be_bytes());
    out[51..53].copy_from_slice(&producer.epoch.to_be_bytes());
    out[53..57].copy_from_slice(&producer.sequence.to_be_bytes());
    out[57..61].copy_from_slice(&(last + 1).to_be_bytes());
    let checksum = crc32c::crc32c(&out[21..]);
    out[17..21].copy_from_slice(&checksum.to_be_bytes());
    out
}

fn varint(out: &mut Vec<u8>, number: i64) {
    let mut zigzag = ((number << 1) ^ (number >> 63)) as u64;
    while zigzag >= 0x80 {
        out.push(zigzag as u8 | 0x80);
        zigzag >>= 7;
    }
    out.push(zigzag as u8);
}

/// Offset and value of every record from `from` on, and where to go on. A batch that is cut off at the end is left for the next
/// time; one that is wrong is told.
pub fn read(mut bytes: &[u8], from: i64) -> Result<(Vec<(i64, u64)>, i64), String> {
    let (mut found, mut next) = (Vec::new(), from);
    while bytes.len() >= HEADER {
        let number = |at: usize| i64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        let small = |at: usize| i32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        let (base, size) = (number(0), small(8) as usize + 12);
        let Some(batch) = bytes.get(..size) else { break };
        if u32::from_be_bytes(batch[17..21].try_into().expect("four bytes")) != crc32c::crc32c(&batch[21..]) {
            return Err(format!("the batch at offset {base} has a wrong checksum"));
        }
        if batch[22] & 0x20 == 0 {
            let mut rest = &batch[HEADER..];
            for _ in 0..small(57) {
                let (delta, value) =
                    record(&mut rest).ok_or_else(|| format!("a record at offset {base} is no number"))?;
                if base + delta >= from {
                    found.push((base + delta, value));
                }
            }
        }
        next = base + i64::from(small(23)) + 1;
        bytes = &bytes[size..];
    }
    Ok((found, next))
}

fn record(bytes: &mut &[u8]) -> Option<(i64, u64)> {
    let len = take_varint(bytes)? as usize;
    let (mut record, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    record = record.get(1..)?;
    take_varint(&mut record)?;
    let delta = take_varint(&mut record)?;
    (take_varint(&mut record)? == -1 && take_varint(&mut record)? == 8).then_some(())?;
    Some((delta, u64::from_be_bytes(*record.first_chunk()?)))
}

fn take_varint(bytes: &mut &[u8]) -> Option<i64> {
    let mut zigzag = 0u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        zigzag |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_reads_back_from_any_offset_and_a_flipped_bit_is_told() {
        let values: Vec<u64> = (0..300).map(|value| value * 77).collect();
        let mut bytes = build(&values, PLAIN);
        bytes[..8].copy_from_slice(&1_000i64.to_be_bytes());
        let (found, next) = read(&bytes, 1_100).unwrap();
        assert_eq!((found.len(), found[0], next), (200, (1_100, 7_700), 1_300));
        assert_eq!(read(&bytes[..bytes.len() - 1], 1_000).unwrap(), (Vec::new(), 1_000));
        bytes[70] ^= 1;
        assert!(read(&bytes, 0).is_err());
    }
}
