//! What is wrong with a file, and where.

use std::fmt;

/// Characters of a line that a snippet shows.
const SNIPPET_CHARS_MAX: usize = 100;

/// A mistake of the package's author.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub key: String,
    /// From 1, in characters.
    pub line: usize,
    pub column: usize,
    pub message: String,
    /// The line, and below it a mark at the column; empty when there is nothing to show.
    pub snippet: String,
}

impl Fault {
    /// At a byte of `text`.
    pub(crate) fn at(key: &str, text: &str, offset: usize, message: impl Into<String>) -> Fault {
        let (line, column) = place(text, offset);
        Fault { key: key.to_owned(), line, column, message: message.into(), snippet: snippet(text, line, column) }
    }

    /// `lib/a.ts:3:14`.
    pub fn place(&self) -> String {
        format!("{}:{}:{}", self.key, self.line, self.column)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place(), self.message)?;
        if self.snippet.is_empty() { Ok(()) } else { write!(f, "\n{}", self.snippet) }
    }
}

/// Line and column, both from 1, of a byte.
pub(crate) fn place(text: &str, offset: usize) -> (usize, usize) {
    let mut end = offset.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let before = &text[..end];
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
}

fn snippet(text: &str, line: usize, column: usize) -> String {
    let Some(shown) = text.lines().nth(line - 1) else { return String::new() };
    if shown.trim().is_empty() {
        return String::new();
    }
    // A long line, as of minified code, is shown around the place.
    let skipped = if column > SNIPPET_CHARS_MAX { column - SNIPPET_CHARS_MAX / 2 } else { 0 };
    let part: String = shown.chars().skip(skipped).take(SNIPPET_CHARS_MAX).map(plain).collect();
    let number = line.to_string();
    let (gutter, indent) = (" ".repeat(number.len()), " ".repeat(column.saturating_sub(skipped + 1)));
    format!("  {number} | {}\n  {gutter} | {indent}^", part.trim_end())
}

fn plain(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_shows_its_line_with_a_mark() {
        let fault = Fault::at("a.ts", "let a = 1;\nconst é = ;\n", 22, "expected an expression");
        assert_eq!(fault.to_string(), "a.ts:2:11: expected an expression\n  2 | const é = ;\n    |           ^");
        let long = format!("{}!", "x".repeat(5000));
        let shown = Fault::at("a.js", &long, 5000, "no").snippet;
        assert!(shown.len() < 250 && shown.contains('!'), "{shown}");
    }
}
