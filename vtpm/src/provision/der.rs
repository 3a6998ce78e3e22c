//! As much of DER (X.690) as certificates need.

use alloc::vec::Vec;

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const UTF8_STRING: u8 = 0x0C;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// TRUE.
pub(super) const TRUE: [u8; 3] = [0x01, 0x01, 0xFF];
/// NULL.
pub(super) const NULL: [u8; 2] = [0x05, 0x00];

/// A value with its tag and length.
pub(super) fn tagged(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
    let len: usize = contents.iter().map(|c| c.len()).sum();
    let mut out = Vec::with_capacity(len + 4);
    out.push(tag);
    match u8::try_from(len) {
        Ok(short) if short < 0x80 => out.push(short),
        Ok(long) => out.extend_from_slice(&[0x81, long]),
        // Certificates are far below 64 KiB.
        Err(_) => {
            out.push(0x82);
            out.extend_from_slice(&u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
    for part in contents {
        out.extend_from_slice(part);
    }
    out
}

/// A SEQUENCE.
pub(super) fn sequence(contents: &[&[u8]]) -> Vec<u8> {
    tagged(SEQUENCE, contents)
}

/// A number that is not negative.
pub(super) fn integer(big_endian: &[u8]) -> Vec<u8> {
    let start = big_endian
        .iter()
        .position(|&b| b != 0)
        .unwrap_or(big_endian.len());
    let digits = big_endian.get(start..).unwrap_or_default();
    let sign: &[u8] = match digits.first() {
        Some(first) if *first < 0x80 => &[],
        _ => &[0],
    };
    tagged(INTEGER, &[sign, digits])
}

/// A BIT STRING of whole bytes.
pub(super) fn bits(bytes: &[u8]) -> Vec<u8> {
    tagged(BIT_STRING, &[&[0], bytes])
}

/// A constructed value with a context-specific tag.
pub(super) fn context(number: u8, contents: &[&[u8]]) -> Vec<u8> {
    tagged(0xA0 | number, contents)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_their_shortest_form() {
        assert_eq!(tagged(OCTET_STRING, &[&[1, 2]]), [4, 2, 1, 2]);
        assert_eq!(tagged(OCTET_STRING, &[&[0; 127]])[..2], [4, 127]);
        assert_eq!(tagged(OCTET_STRING, &[&[0; 128]])[..3], [4, 0x81, 128]);
        assert_eq!(tagged(OCTET_STRING, &[&[0; 256]])[..4], [4, 0x82, 1, 0]);
    }

    #[test]
    fn numbers_are_never_negative_and_have_no_zeros_before() {
        assert_eq!(integer(&[0, 0, 5]), [2, 1, 5]);
        assert_eq!(integer(&[0x80]), [2, 2, 0, 0x80]);
        assert_eq!(integer(&[0, 0]), [2, 1, 0]);
    }
}
