//! An attribute's value as a header carries it: quoted, percent-encoded ASCII.

/// Unquoted where it is in double quotes, then percent-decoded once, as the HTTP binding says. Errors: what is wrong.
pub(super) fn value_of(bytes: &[u8]) -> Result<String, &'static str> {
    let text = std::str::from_utf8(bytes).map_err(|_| "must be percent-encoded ASCII")?.trim();
    if !text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return Err("must be percent-encoded ASCII");
    }
    let unquoted = match text.strip_prefix('"') {
        Some(rest) => unquoted(rest)?,
        None => text.to_owned(),
    };
    percent_decoded(&unquoted)
}

/// `rest` begins behind the opening quotation mark.
fn unquoted(rest: &str) -> Result<String, &'static str> {
    let inside = rest.strip_suffix('"').ok_or("its quotation mark is not closed")?;
    let mut plain = String::with_capacity(inside.len());
    let mut chars = inside.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => plain.push(chars.next().ok_or("its quotation mark is not closed")?),
            '"' => return Err("has a quotation mark in the middle"),
            other => plain.push(other),
        }
    }
    Ok(plain)
}

fn percent_decoded(text: &str) -> Result<String, &'static str> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let (digits, after) = rest.split_first_chunk::<2>().ok_or("has `%` without two hexadecimal digits")?;
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let (Some(high), Some(low)) = (digit(digits[0]), digit(digits[1])) else {
            return Err("has `%` without two hexadecimal digits");
        };
        bytes.push(high << 4 | low);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| "does not decode to UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_unquoted_and_then_decoded_once() {
        let cases = [
            ("plain", "plain"),
            (" spaced ", "spaced"),
            ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
            ("%e2%82%ac", "€"),
            ("100%2525", "100%25"),
            (r#""quoted \"twice\" \\""#, r#"quoted "twice" \"#),
            (r#""%E2%82%AC""#, "€"),
            ("", ""),
            ("\"\"", ""),
        ];
        for (value, expected) in cases {
            assert_eq!(value_of(value.as_bytes()).as_deref(), Ok(expected), "{value}");
        }
    }

    #[test]
    fn what_is_no_such_value_is_refused() {
        for bad in ["%", "%2", "%zz", "%E2%82", "\"open", "\"a\"b\"", "\"a\\\"", "é", "tab\tbed", "%+1"] {
            assert!(value_of(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(value_of(b"\xff").is_err());
    }
}
