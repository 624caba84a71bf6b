//! Bytes that become text: the decoders of the Encoding Standard that need no large tables. Each request is whole; the
//! guest keeps back what a stream has not finished.

use super::call::{Answer, CallError};

/// The first operation. Each encoding has two, of which the second refuses what is wrong instead of replacing it;
/// prelude/web/text.js has the same order.
const DECODE: i32 = 20;

const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;
/// Windows-1252 from 0x80 to 0x9F, where it differs from Latin-1.
const WINDOWS_1252: [char; 32] = [
    '\u{20AC}', '\u{81}', '\u{201A}', '\u{192}', '\u{201E}', '\u{2026}', '\u{2020}', '\u{2021}', '\u{2C6}', '\u{2030}',
    '\u{160}', '\u{2039}', '\u{152}', '\u{8D}', '\u{17D}', '\u{8F}', '\u{90}', '\u{2018}', '\u{2019}', '\u{201C}',
    '\u{201D}', '\u{2022}', '\u{2013}', '\u{2014}', '\u{2DC}', '\u{2122}', '\u{161}', '\u{203A}', '\u{153}', '\u{9D}',
    '\u{17E}', '\u{178}',
];

pub(super) fn call(operation: i32, bytes: &[u8]) -> Answer {
    let number = operation - DECODE;
    let fatal = number % 2 == 1;
    let (text, name) = match number / 2 {
        0 if fatal => (std::str::from_utf8(bytes).ok().map(str::to_owned), "UTF-8"),
        0 => (Some(String::from_utf8_lossy(bytes).into_owned()), "UTF-8"),
        1 => (utf16(bytes, u16::from_le_bytes, fatal), "UTF-16LE"),
        2 => (utf16(bytes, u16::from_be_bytes, fatal), "UTF-16BE"),
        3 => (Some(windows_1252(bytes)), "windows-1252"),
        _ => return Err(CallError::new("TypeError", "the host has no such operation")),
    };
    let text = text.ok_or_else(|| CallError::new("TypeError", format!("the bytes are not {name}")))?;
    Ok(text.into_bytes())
}

/// None if something is wrong and that is fatal.
fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16, fatal: bool) -> Option<String> {
    let (pairs, odd) = bytes.as_chunks::<2>();
    let mut text = String::with_capacity(bytes.len());
    for character in char::decode_utf16(pairs.iter().map(|&pair| unit(pair))) {
        if fatal && character.is_err() {
            return None;
        }
        text.push(character.unwrap_or(REPLACEMENT));
    }
    if !odd.is_empty() {
        if fatal {
            return None;
        }
        // Half a pair and half a unit at the end are one mistake.
        let half = pairs.last().is_some_and(|&pair| (0xD800..0xDC00).contains(&unit(pair)));
        if !half {
            text.push(REPLACEMENT);
        }
    }
    Some(text)
}

fn windows_1252(bytes: &[u8]) -> String {
    let character = |&byte: &u8| match byte {
        0x80..=0x9F => WINDOWS_1252[usize::from(byte - 0x80)],
        _ => char::from(byte),
    };
    bytes.iter().map(character).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(encoding: i32, fatal: bool, bytes: &[u8]) -> Option<String> {
        call(DECODE + 2 * encoding + i32::from(fatal), bytes).ok().map(|text| String::from_utf8(text).unwrap())
    }

    #[test]
    fn bytes_become_text_by_the_standard() {
        let cases: [(i32, &[u8], &str, bool); 9] = [
            (0, b"a\xC3\xA9", "aé", true),
            (0, b"\xF0\x9F\x98a", "\u{FFFD}a", false),
            (0, b"\xED\xA0\x80", "\u{FFFD}\u{FFFD}\u{FFFD}", false),
            (1, b"a\0\x3D\xD8\x00\xDE", "a😀", true),
            (2, b"\0a\xD8\x3D\xDE\x00", "a😀", true),
            (1, b"\x00\xD8a", "\u{FFFD}", false),
            (1, b"\x00\xD8a\0", "\u{FFFD}a", false),
            (1, b"a", "\u{FFFD}", false),
            (3, b"\x80\x81\xE9\x9F", "€\u{81}éŸ", true),
        ];
        for (encoding, bytes, text, is_right) in cases {
            assert_eq!(decoded(encoding, false, bytes).as_deref(), Some(text), "{bytes:?}");
            let expected = is_right.then_some(text);
            assert_eq!(decoded(encoding, true, bytes).as_deref(), expected, "{bytes:?}");
        }
        assert_eq!(decoded(4, false, b"a"), None);
    }
}
