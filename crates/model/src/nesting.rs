//! How deep a JSON text nests, told by its brackets alone: before any reader recurses into it.

/// Whether `json` has more than `most` brackets open at once, outside of strings. Text that is no JSON gets some answer;
/// that it is none is its reader's to say.
pub fn nests_deeper_than(json: &[u8], most: usize) -> bool {
    let mut depth = 0usize;
    let mut in_text = false;
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => in_text = !in_text,
            b'\\' if in_text => {
                bytes.next();
            }
            b'{' | b'[' if !in_text => {
                depth += 1;
                if depth > most {
                    return true;
                }
            }
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_brackets_outside_of_text_only() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(!nests_deeper_than(nested(64).as_bytes(), 64));
        assert!(nests_deeper_than(nested(65).as_bytes(), 64));
        let text = format!(r#"{{"a": "\"{}"}}"#, "[".repeat(65));
        assert!(!nests_deeper_than(text.as_bytes(), 64));
        assert!(!nests_deeper_than(r#""\\"[[[["#.as_bytes(), 64), "an unfinished one is the reader's to refuse");
        assert!(!nests_deeper_than("]]]]".as_bytes(), 64));
    }
}
