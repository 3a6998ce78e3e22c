//! Bytes in hexadecimal.

use std::fmt::Write;

/// All of them.
pub fn all(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The first eight.
pub fn short(bytes: &[u8]) -> String {
    all(bytes.get(..8).unwrap_or(bytes))
}

/// Reads digits in pairs; None for anything else.
pub fn parse(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .trim()
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|value| value.try_into().ok()))
        .collect();
    let digits = digits?;
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    Some(
        digits
            .chunks(2)
            .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
            .collect(),
    )
}

/// As [`parse`], of exactly so many bytes.
pub fn exactly<const N: usize>(text: &str) -> Result<[u8; N], String> {
    parse(text)
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| format!("not {} hexadecimal digits", 2 * N))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(bytes: Vec<u8>) {
            prop_assert_eq!(parse(&all(&bytes)), Some(bytes));
        }

        #[test]
        fn anything_is_looked_at(text: String) {
            let _ = parse(&text);
        }
    }

    #[test]
    fn other_text_is_none() {
        assert_eq!(parse("abc"), None);
        assert_eq!(parse("0x"), None);
        assert_eq!(exactly::<2>("0aFF"), Ok([0x0a, 0xff]));
        assert!(exactly::<2>("0aff00").is_err());
    }
}
