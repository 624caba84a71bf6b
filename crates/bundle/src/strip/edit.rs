//! Changes to a text that keep its lines.

use std::collections::HashMap;

/// What a place becomes.
#[derive(Debug)]
enum Change {
    /// Spaces, and the line ends that were there.
    Blank { from: usize, to: usize },
    /// This character instead of the one at that place.
    Mark { at: usize, mark: char },
    /// This text, and the line ends that were there.
    Replace { from: usize, to: usize, text: String },
}

#[derive(Debug)]
pub(super) struct Edits<'s> {
    text: &'s str,
    changes: Vec<Change>,
}

impl<'s> Edits<'s> {
    pub(super) fn new(text: &'s str) -> Edits<'s> {
        Edits { text, changes: Vec::new() }
    }

    pub(super) fn blank(&mut self, from: u32, to: u32) {
        self.changes.push(Change::Blank { from: from as usize, to: to as usize });
    }

    /// At a place that is blanked.
    pub(super) fn mark(&mut self, at: u32, mark: char) {
        self.changes.push(Change::Mark { at: at as usize, mark });
    }

    pub(super) fn replace(&mut self, from: u32, to: u32, text: impl Into<String>) {
        self.changes.push(Change::Replace { from: from as usize, to: to as usize, text: text.into() });
    }

    pub(super) fn insert(&mut self, at: u32, text: impl Into<String>) {
        self.replace(at, at, text);
    }

    /// Blanks may overlap each other; insertions at one place stay in the order in which they were made.
    pub(super) fn apply(self) -> String {
        let bytes = self.text.as_bytes();
        let mut is_blank = vec![false; bytes.len()];
        let mut marks = HashMap::new();
        let mut inserts: Vec<(usize, String)> = Vec::new();
        for change in self.changes {
            match change {
                Change::Blank { from, to } => is_blank[from..to].fill(true),
                Change::Mark { at, mark } => {
                    marks.insert(at, mark);
                }
                Change::Replace { from, to, text } => {
                    is_blank[from..to].fill(true);
                    inserts.push((from, text));
                }
            }
        }
        inserts.sort_by_key(|(at, _)| *at);
        let mut inserts = inserts.into_iter().peekable();
        let mut out = String::with_capacity(self.text.len() + 64);
        // What is inserted takes the room of the blanks behind it, so that what follows keeps its column.
        let mut owed = 0_usize;
        for (at, c) in self.text.char_indices() {
            while let Some((_, text)) = inserts.next_if(|(place, _)| *place <= at) {
                owed += text.chars().count();
                out.push_str(&text);
            }
            let is_line_end = matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}');
            if !is_blank[at] || is_line_end {
                out.push(c);
                owed = 0;
            } else if let Some(mark) = marks.get(&at) {
                out.push(*mark);
            } else if owed > 0 {
                owed -= 1;
            } else {
                out.push(' ');
            }
        }
        for (_, text) in inserts {
            out.push_str(&text);
        }
        out
    }
}

/// The first place from `at` on that is neither space nor comment.
pub(super) fn skip_space(text: &str, mut at: usize) -> usize {
    loop {
        let rest = &text[at..];
        let trimmed = rest.trim_start();
        at += rest.len() - trimmed.len();
        let comment = if trimmed.starts_with("//") {
            trimmed.find('\n').unwrap_or(trimmed.len())
        } else if trimmed.starts_with("/*") {
            trimmed.find("*/").map_or(trimmed.len(), |end| end + 2)
        } else {
            return at;
        };
        at += comment;
    }
}
