//! Text with `*` in it, each standing for any run of characters. `\*` is a star and `\\` a backslash.
//!
//! Matching takes each literal piece at its first place after the one before: enough for patterns whose only operator is
//! `*`, and never worse than the text times the pattern. The complexity limit is there because EventBridge refuses such
//! patterns and rules must carry over in both directions, not because matching here would suffer.

use std::fmt;

/// The literal pieces between the stars; the first is anchored at the start, the last at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wildcard {
    pieces: Box<[Box<str>]>,
}

impl Wildcard {
    /// Errors: a reason, lowercase.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut pieces: Vec<Box<str>> = Vec::new();
        let mut piece = String::new();
        let mut was_star = false;
        let mut characters = text.char_indices();
        while let Some((position, character)) = characters.next() {
            let is_star = character == '*';
            match character {
                '*' if was_star => return Err(format!("consecutive wildcard characters at position {position}")),
                '*' => pieces.push(std::mem::take(&mut piece).into()),
                '\\' => match characters.next() {
                    Some((_, escaped @ ('*' | '\\'))) => piece.push(escaped),
                    _ => return Err(format!("invalid escape at position {position}: only \\* and \\\\ are known")),
                },
                literal => piece.push(literal),
            }
            was_star = is_star;
        }
        pieces.push(piece.into());
        Ok(Self { pieces: pieces.into() })
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        let [first, middle @ .., last] = &*self.pieces else {
            return self.pieces.first().is_some_and(|only| **only == *text);
        };
        let Some(mut rest) = text.strip_prefix(&**first).and_then(|rest| rest.strip_suffix(&**last)) else {
            return false;
        };
        for piece in middle {
            let Some(at) = rest.find(&**piece) else {
                return false;
            };
            rest = &rest[at + piece.len()..];
        }
        true
    }

    /// Whether the text may begin with anything, so that any value keeps this wildcard busy.
    pub(crate) fn is_open_at_start(&self) -> bool {
        self.pieces.len() > 1 && self.pieces[0].is_empty()
    }

    /// At most how many beginnings of this wildcard, from its first star on, one text can be in the middle of at once:
    /// every star, and for the piece after it all the beginnings that can end at one character.
    pub(crate) fn complexity(&self) -> usize {
        let after_stars = &self.pieces[1..];
        let mut sum = after_stars.len();
        for (position, piece) in after_stars.iter().enumerate() {
            // A piece that is complete has become the star behind it, if there is one.
            let is_last = position + 1 == after_stars.len();
            let counted = if is_last { piece.len() } else { piece.len().saturating_sub(1) };
            sum += beginnings_at_once(&piece.as_bytes()[..counted]);
        }
        sum
    }
}

/// The most non-empty prefixes of `piece` that end at the same character of some text: for each prefix its borders
/// (as in Knuth, Morris and Pratt) and itself.
fn beginnings_at_once(piece: &[u8]) -> usize {
    let mut longest_border = vec![0usize; piece.len()];
    let mut at_once = vec![1usize; piece.len()];
    for end in 1..piece.len() {
        let mut border = longest_border[end - 1];
        while border > 0 && piece[border] != piece[end] {
            border = longest_border[border - 1];
        }
        if piece[border] == piece[end] {
            border += 1;
        }
        longest_border[end] = border;
        if border > 0 {
            at_once[end] = at_once[border - 1] + 1;
        }
    }
    at_once.into_iter().max().unwrap_or(0)
}

impl fmt::Display for Wildcard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, piece) in self.pieces.iter().enumerate() {
            if position > 0 {
                f.write_str("*")?;
            }
            f.write_str(&piece.replace('\\', "\\\\").replace('*', "\\*"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_run_of_characters() {
        for (wildcard, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "abc", true),
            ("a*", "a", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("*c", "abcc", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("*ab*ab*", "abab", true),
            ("*ab*ab*", "aba", false),
            (r"a\*b", "a*b", true),
            (r"a\*b", "acb", false),
            (r"a\\*", r"a\b", true),
            ("é*é", "éxé", true),
        ] {
            assert_eq!(Wildcard::parse(wildcard).unwrap().matches(text), expected, "{text:?} like {wildcard:?}");
        }
    }

    #[test]
    fn malformed_wildcards_are_refused() {
        for text in ["a**b", "**", r"a\b", r"a\"] {
            assert!(Wildcard::parse(text).is_err(), "{text}");
        }
        assert!(Wildcard::parse(r"*\**").is_ok());
    }

    #[test]
    fn complexity_counts_stars_and_repetition_behind_them() {
        for (wildcard, expected) in [
            ("abc", 0),
            ("abc*", 1),
            ("*abc", 2),
            ("*abc*", 3),
            ("a*a*a*a*a*a*", 6),
            ("/Users/*/dir/dir/dir/dir/dir/doc.txt", 7),
        ] {
            assert_eq!(Wildcard::parse(wildcard).unwrap().complexity(), expected, "{wildcard}");
        }
    }
}
