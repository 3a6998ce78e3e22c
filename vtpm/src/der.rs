//! The little of DER (X.690) that X.509 certificates need: values with tags of
//! one byte and lengths below 64 KiB.

use alloc::vec::Vec;

/// Tags.
#[allow(missing_docs)]
pub mod tag {
    pub const BOOLEAN: u8 = 0x01;
    pub const INTEGER: u8 = 0x02;
    pub const BIT_STRING: u8 = 0x03;
    pub const OCTET_STRING: u8 = 0x04;
    pub const NULL: u8 = 0x05;
    pub const OID: u8 = 0x06;
    pub const SEQUENCE: u8 = 0x30;
}

/// The tag of the context-specific constructed value `[n]`.
#[must_use]
pub const fn context(n: u8) -> u8 {
    0xA0 | n
}

/// One value: its tag, its contents, and all of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value<'a> {
    /// The tag.
    pub tag: u8,
    /// What is behind the length.
    pub contents: &'a [u8],
    /// Tag, length and contents.
    pub whole: &'a [u8],
}

impl<'a> Value<'a> {
    /// The contents, if the value has this tag.
    #[must_use]
    pub fn expect(self, tag: u8) -> Option<&'a [u8]> {
        (self.tag == tag).then_some(self.contents)
    }
}

/// The first value of `data`, and what follows it. `None` when it is cut, or
/// its length is not the shortest form.
#[must_use]
pub fn first(data: &[u8]) -> Option<(Value<'_>, &[u8])> {
    let (&tag, rest) = data.split_first()?;
    // Tags of more bytes do not occur.
    if tag & 0x1F == 0x1F {
        return None;
    }
    let (&short, rest) = rest.split_first()?;
    let (len, rest) = match short {
        0..=0x7F => (usize::from(short), rest),
        0x81 => {
            let (&len, rest) = rest.split_first()?;
            (usize::from(len), rest)
        }
        0x82 => {
            let (len, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*len)), rest)
        }
        _ => return None,
    };
    if short == 0x81 && len < 0x80 || short == 0x82 && len < 0x100 {
        return None;
    }
    let (contents, rest) = rest.split_at_checked(len)?;
    let whole = data.get(..data.len() - rest.len())?;
    Some((
        Value {
            tag,
            contents,
            whole,
        },
        rest,
    ))
}

/// All values of `data`; `None` when one is malformed or there are more than
/// `most`.
#[must_use]
pub fn all(mut data: &[u8], most: usize) -> Option<Vec<Value<'_>>> {
    let mut values = Vec::new();
    while !data.is_empty() {
        if values.len() == most {
            return None;
        }
        let (value, rest) = first(data)?;
        values.push(value);
        data = rest;
    }
    Some(values)
}

/// A value of the parts one after another.
#[must_use]
pub fn value(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = alloc::vec![tag];
    match u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes() {
        [0, low] if low < 0x80 => out.push(low),
        [0, low] => out.extend_from_slice(&[0x81, low]),
        [high, low] => out.extend_from_slice(&[0x82, high, low]),
    }
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

/// A number that is not negative, from big-endian bytes.
#[must_use]
pub fn unsigned(number: &[u8]) -> Vec<u8> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let significant = number.get(zeros..).unwrap_or(&[]);
    let sign: &[u8] = if significant.first().is_none_or(|byte| byte & 0x80 != 0) {
        &[0]
    } else {
        &[]
    };
    value(tag::INTEGER, &[sign, significant])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    #[test]
    fn numbers_are_as_short_as_can_be() {
        assert_eq!(unsigned(&[0, 0]), [2, 1, 0]);
        assert_eq!(unsigned(&[0, 0x7F]), [2, 1, 0x7F]);
        assert_eq!(unsigned(&[0x80]), [2, 2, 0, 0x80]);
    }

    #[test]
    fn lengths_have_one_form() {
        assert_eq!(first(&[4, 0x81, 1, 0]), None);
        assert_eq!(first(&[4, 0x82, 0, 0x80]), None);
        assert_eq!(first(&[4, 0x80, 0, 0]), None);
        assert_eq!(first(&[4, 2, 0]), None);
        assert_eq!(first(&[0x1F, 1, 0]), None);
        assert_eq!(first(&[]), None);
        assert_eq!(all(&[5, 0, 5, 0], 1), None);
    }

    proptest::proptest! {
        #[test]
        fn values_come_back(len in 0usize..1000, tail: Vec<u8>) {
            let contents = vec![7; len];
            let mut bytes = value(tag::OCTET_STRING, &[&contents]);
            let whole = bytes.clone();
            bytes.extend_from_slice(&tail);
            let (value, rest) = first(&bytes).unwrap();
            proptest::prop_assert_eq!((value.contents, value.whole, rest), (&contents[..], &whole[..], &tail[..]));
        }
    }
}
