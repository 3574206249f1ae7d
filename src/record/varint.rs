//! Variable-length integers as records carry them: seven bits a byte, lowest first, signed ones zigzag-coded.
//!
//! Reading takes from the front of a slice and gives `None` where bytes are missing or where the number does not fit,
//! also in its last byte (Kafka drops such bits; other clients would read another number).

/// A zigzag-coded 32-bit integer; at most five bytes.
#[inline]
pub fn read_i32(bytes: &mut &[u8]) -> Option<i32> {
    // Nearly every number in a record is a length or a delta below 64: one byte.
    let (&first, rest) = bytes.split_first()?;
    let mut value = u32::from(first);
    *bytes = rest;
    if first >= 0x80 {
        value &= 0x7f;
        let mut shift = 7;
        loop {
            let (&byte, rest) = bytes.split_first()?;
            *bytes = rest;
            if shift == 28 && byte > 0x0f {
                return None;
            }
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
            shift += 7;
        }
    }
    Some(((value >> 1) as i32) ^ -((value & 1) as i32))
}

/// A zigzag-coded 64-bit integer; at most ten bytes.
#[inline]
pub fn read_i64(bytes: &mut &[u8]) -> Option<i64> {
    let (&first, rest) = bytes.split_first()?;
    let mut value = u64::from(first);
    *bytes = rest;
    if first >= 0x80 {
        value &= 0x7f;
        let mut shift = 7;
        loop {
            let (&byte, rest) = bytes.split_first()?;
            *bytes = rest;
            if shift == 63 && byte > 0x01 {
                return None;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
            shift += 7;
        }
    }
    Some(((value >> 1) as i64) ^ -((value & 1) as i64))
}

pub fn write_i32(out: &mut Vec<u8>, value: i32) {
    write_i64(out, i64::from(value));
}

/// The same bytes as [`write_i32`] for a value that fits both.
pub fn write_i64(out: &mut Vec<u8>, value: i64) {
    let mut zigzag = ((value << 1) ^ (value >> 63)) as u64;
    while zigzag >= 0x80 {
        out.push(zigzag as u8 | 0x80);
        zigzag >>= 7;
    }
    out.push(zigzag as u8);
}

/// How many bytes [`write_i32`] takes.
pub fn len_i32(value: i32) -> usize {
    let zigzag = ((value << 1) ^ (value >> 31)) as u32;
    (38 - zigzag.leading_zeros() as usize).max(7) / 7
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_written_number_reads_back(value: i64, narrow: i32) {
            let mut out = Vec::new();
            write_i64(&mut out, value);
            write_i32(&mut out, narrow);
            let mut left = out.as_slice();
            prop_assert_eq!(read_i64(&mut left), Some(value));
            prop_assert_eq!(left.len(), len_i32(narrow));
            prop_assert_eq!(read_i32(&mut left), Some(narrow));
            prop_assert!(left.is_empty());
        }
    }

    #[test]
    fn the_edges_of_the_ranges_read_back() {
        for value in [0, -1, 1, 63, -64, 64, i32::MAX, i32::MIN] {
            let mut out = Vec::new();
            write_i32(&mut out, value);
            assert_eq!(out.len(), len_i32(value), "{value}");
            assert_eq!(read_i32(&mut out.as_slice()), Some(value));
            assert_eq!(read_i64(&mut out.as_slice()), Some(i64::from(value)));
        }
        for value in [i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            write_i64(&mut out, value);
            assert_eq!(read_i64(&mut out.as_slice()), Some(value));
            assert_eq!(read_i32(&mut out.as_slice()), None);
        }
    }

    #[test]
    fn a_number_that_is_cut_or_too_long_is_none() {
        for bytes in [&[][..], &[0x80], &[0xff; 4], &[0xff; 5], &[0xff; 11], &[0xff, 0xff, 0xff, 0xff, 0x10]] {
            assert_eq!(read_i32(&mut &*bytes), None, "{bytes:?}");
        }
        for bytes in [&[][..], &[0x80], &[0xff; 9], &[0xff; 10], &[0xff; 11]] {
            assert_eq!(read_i64(&mut &*bytes), None, "{bytes:?}");
        }
    }
}
