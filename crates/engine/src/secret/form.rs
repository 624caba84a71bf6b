//! How a secret's value may be written by programs that do not mean to hide it.

use std::fmt::Write;

use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use sublet_model::limit;
use zeroize::Zeroize;

/// Every form of a value, also without the blanks and line breaks around it, which code is quick to cut off. Some may be
/// the same.
pub(super) fn forms_of(value: &str) -> Vec<Vec<u8>> {
    let mut forms = written(value);
    let bare = value.trim();
    if bare.len() < value.len() && bare.chars().count() >= limit::SECRET_CHARS_MIN {
        forms.append(&mut written(bare));
    }
    forms.into_iter().map(String::into_bytes).collect()
}

fn written(value: &str) -> Vec<String> {
    let mut forms = vec![value.to_owned()];
    // JSON within JSON as well.
    let escaped = json_escaped(value);
    forms.push(json_escaped(&escaped));
    forms.push(escaped);
    for is_form in [false, true] {
        let encoded = url_encoded(value, is_form);
        forms.push(lower_hex(&encoded));
        forms.push(encoded);
    }
    for is_query in [false, true] {
        let written = url_written(value, is_query);
        // Line breaks go, and what is left may be too short to be told from other text.
        if written.chars().count() >= limit::SECRET_CHARS_MIN {
            forms.push(written);
        }
    }
    let hex = value.bytes().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    });
    forms.push(hex.to_ascii_uppercase());
    forms.push(hex);
    for offset in 0..3 {
        forms.push(base64_within(value, offset, &STANDARD_NO_PAD));
        forms.push(base64_within(value, offset, &URL_SAFE_NO_PAD));
    }
    forms
}

fn json_escaped(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap_or_default();
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned()
}

/// As `encodeURIComponent` writes it, or as a form does.
fn url_encoded(text: &str, is_form: bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        let is_plain = byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'_' | b'.' | b'*')
            || (!is_form && matches!(byte, b'!' | b'~' | b'\'' | b'(' | b')'));
        match byte {
            _ if is_plain => encoded.push(char::from(byte)),
            b' ' if is_form => encoded.push('+'),
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

/// As a URL's parser writes what it is given as it is: blanks, quotes and what is not ASCII are packed, `%`, `+`, `/`, `=`,
/// `@` and `:` stay, line breaks go. In a path, or in a query.
fn url_written(text: &str, is_query: bool) -> String {
    let mut written = String::with_capacity(text.len());
    for byte in text.bytes() {
        let is_packed = match byte {
            b'\t' | b'\n' | b'\r' => continue,
            // What a browser takes for a slash, our parser does too.
            b'\\' if !is_query => {
                written.push('/');
                continue;
            }
            b'?' | b'`' | b'{' | b'}' => !is_query,
            b'\'' => is_query,
            b'"' | b'#' | b'<' | b'>' => true,
            _ => !byte.is_ascii_graphic(),
        };
        if is_packed {
            let _ = write!(written, "%{byte:02X}");
        } else {
            written.push(char::from(byte));
        }
    }
    written
}

/// The same with small digits.
fn lower_hex(encoded: &str) -> String {
    let mut left = 0;
    let lower = |c: char| match c {
        '%' => {
            left = 2;
            c
        }
        _ if left > 0 => {
            left -= 1;
            c.to_ascii_lowercase()
        }
        _ => c,
    };
    encoded.chars().map(lower).collect()
}

/// What base64 makes of a value that begins `offset` bytes into a group of three: the digits that the value alone
/// decides.
fn base64_within(value: &str, offset: usize, engine: &impl base64::Engine) -> String {
    let mut padded = vec![0; offset];
    padded.extend_from_slice(value.as_bytes());
    let mut digits = engine.encode(&padded);
    padded.zeroize();
    digits.truncate((offset + value.len()) * 8 / 6);
    digits.split_off((offset * 8).div_ceil(6))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};

    use super::*;

    const KEY: &str = "sk_live/\"4eC39\"+Hq\nLyjWä";

    /// Whether one of its forms is in the text.
    fn is_found(text: &str) -> bool {
        forms_of(KEY).iter().any(|form| text.as_bytes().windows(form.len()).any(|window| window == form))
    }

    #[test]
    fn a_value_is_found_in_each_of_its_forms() {
        let json = serde_json::to_string(KEY).unwrap();
        let percent = url_encoded(KEY, false);
        let hex: String = KEY.bytes().map(|byte| format!("{byte:02X}")).collect();
        let forms = [
            KEY.to_owned(),
            json.clone(),
            serde_json::to_string(&json).unwrap(),
            STANDARD.encode(KEY),
            URL_SAFE.encode(KEY),
            hex.to_lowercase(),
            hex,
            lower_hex(&percent),
            percent,
            url_encoded(KEY, true),
        ];
        for form in forms {
            assert!(is_found(&format!("before {form} after")), "{form}");
        }
        for user in ["", "a", "ab", "abc", "me:"] {
            for tail in ["", "x", "xy"] {
                let basic = STANDARD.encode(format!("{user}{KEY}{tail}"));
                assert!(is_found(&basic), "{user} {tail}: {basic}");
            }
        }
        assert!(!is_found("nothing of the kind"));
    }

    #[test]
    fn a_value_is_found_as_a_url_writes_it() {
        let key = "sk live/\"4eC39\"+<Hq>=L@y:{W}ä'&";
        for (place, base) in [("path", "http://example.com/"), ("query", "http://example.com/?")] {
            let url = reqwest::Url::parse(&format!("{base}{key}")).unwrap();
            let written = url.as_str().strip_prefix(base).unwrap();
            assert!(forms_of(key).iter().any(|form| form == written.as_bytes()), "{place}: {written}");
        }
        let url = reqwest::Url::parse("http://example.com/one\\two\nthree\tfour").unwrap();
        let written = url.path().strip_prefix('/').unwrap();
        assert!(forms_of("one\\two\nthree\tfour").iter().any(|form| form == written.as_bytes()), "{written}");
    }

    #[test]
    fn a_value_is_found_without_the_blanks_around_it() {
        let has = |value: &str, form: &str| forms_of(value).iter().any(|found| found == form.as_bytes());
        assert!(has(" sk_live_1\n", "sk_live_1") && has(" sk_live_1\n", " sk_live_1\n"));
        assert!(!has(" short\n", "short"), "what is left is too short to be told from other text");
        for blank in ["\n\n\n\n\n\n", "a\n\n\n\n\n"] {
            assert!(forms_of(blank).iter().all(|form| form.len() >= limit::SECRET_CHARS_MIN), "{blank:?}");
        }
    }
}
