//! Values in an event's data: numbers, GUIDs, text, device paths.

use protocols::ovmf::Guid;

use crate::hex;

pub(super) fn u32_at(data: &[u8], at: usize) -> Option<usize> {
    let bytes = data.get(at..)?.first_chunk()?;
    usize::try_from(u32::from_le_bytes(*bytes)).ok()
}

pub(super) fn u64_at(data: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*data.get(at..)?.first_chunk()?))
}

pub(super) fn guid_at(data: &[u8], at: usize) -> Option<Guid> {
    data.get(at..)?.first_chunk().copied().map(Guid)
}

/// UTF-16 up to a zero.
pub(super) fn utf16(data: &[u8]) -> String {
    let units = data.chunks_exact(2).map(|pair| match pair {
        [low, high] => u16::from_le_bytes([*low, *high]),
        _ => 0,
    });
    let units = units.take_while(|unit| *unit != 0);
    let text: String = char::decode_utf16(units)
        .map(|found| found.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    printable(&text)
}

/// Letters of Hangul that nobody sees.
const FILLERS: [char; 4] = ['\u{115f}', '\u{1160}', '\u{3164}', '\u{ffa0}'];

/// Nothing that a terminal would take for more than text.
pub(super) fn printable(text: &str) -> String {
    let mut shown = String::new();
    for letter in text.chars() {
        match letter {
            letter if letter.is_control() => shown.push('\u{b7}'),
            char::REPLACEMENT_CHARACTER | ' '..='~' => shown.push(letter),
            letter if letter.is_alphanumeric() && !FILLERS.contains(&letter) => shown.push(letter),
            // Such as what turns the direction of the text, or has no width.
            letter => shown.extend(letter.escape_unicode()),
        }
    }
    shown
}

/// Data of unknown form: as text if they look like it.
pub(super) fn text(data: &[u8]) -> String {
    let trimmed = data.strip_suffix(&[0]).unwrap_or(data);
    let is_ascii = |bytes: &[u8]| bytes.iter().all(|byte| matches!(byte, 9..=13 | 32..=126));
    if !trimmed.is_empty() && is_ascii(trimmed) {
        return printable(&String::from_utf8_lossy(trimmed));
    }
    let low: Vec<u8> = data.iter().copied().step_by(2).collect();
    let high_is_zero = data.iter().skip(1).step_by(2).all(|byte| *byte == 0);
    let low = low.strip_suffix(&[0]).unwrap_or(&low);
    if data.len() >= 4 && high_is_zero && is_ascii(low) {
        return utf16(data);
    }
    match data.len() {
        0 => "nothing said".into(),
        1..=16 => hex::all(data),
        len => format!("{len} bytes, {}…", hex::short(data)),
    }
}

/// The nodes of a device path, those with a text in words.
pub(super) fn device_path(mut rest: &[u8]) -> String {
    let mut nodes = Vec::new();
    while let [kind, sub, low, high, ..] = *rest {
        let length = usize::from(u16::from_le_bytes([low, high]));
        if kind == 0x7f || length < 4 {
            break;
        }
        let Some((node, behind)) = rest.split_at_checked(length) else {
            break;
        };
        rest = behind;
        let body = node.get(4..).unwrap_or_default();
        nodes.push(match (kind, sub) {
            (1, 1) => "PCI".into(),
            (1, 3) => "memory".into(),
            (2, 1) => "ACPI".into(),
            (4, 1) => "partition".into(),
            (4, 4) => utf16(body),
            (1 | 3 | 4, 3 | 4 | 6 | 7 | 10) if body.len() >= 16 => {
                guid_at(body, 0).map_or_else(String::new, |guid| guid.to_string())
            }
            _ => format!("node {kind}.{sub}"),
        });
    }
    match nodes.is_empty() {
        true => "an unnamed place".into(),
        false => nodes.join("/"),
    }
}
