//! `.subletignore`: gitignore's syntax. What git itself would say of the same patterns, this says.

use std::path::Path;

use anyhow::{Context, Result};

pub(crate) const FILE: &str = ".subletignore";

/// Never uploaded, unless a `!` in the file says otherwise: what no code can read here, and what may hold secrets.
const ALWAYS: &str = ".git\n.DS_Store\n.sublet\n.subletignore\n.env\n.env.*\n.npmrc\npackage-lock.json\nyarn.lock\npnpm-lock.yaml\n/target\n/sublet.toml\n/sublet.json\n";

#[derive(Debug, Default)]
pub(crate) struct Ignore {
    patterns: Vec<Pattern>,
}

#[derive(Debug)]
struct Pattern {
    glob: Vec<u8>,
    is_negated: bool,
    is_for_folders: bool,
    /// It is about the whole path, not about a name in any folder.
    is_anchored: bool,
}

impl Ignore {
    /// Of a folder, which need not have the file.
    pub(crate) fn of(folder: &Path) -> Result<Ignore> {
        let file = folder.join(FILE);
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
        };
        Ok(Ignore::parse(&format!("{ALWAYS}{text}")))
    }

    fn parse(text: &str) -> Ignore {
        Ignore { patterns: text.lines().filter_map(Pattern::parse).collect() }
    }

    /// Whether a path relative to the folder, with `/`, is left out; whoever asks has asked of the folders above before.
    pub(crate) fn leaves_out(&self, path: &str, is_folder: bool) -> bool {
        let last = self.patterns.iter().rev().find(|pattern| pattern.fits(path, is_folder));
        last.is_some_and(|pattern| !pattern.is_negated)
    }
}

impl Pattern {
    fn parse(line: &str) -> Option<Pattern> {
        let line = line.trim_end_matches(['\r', ' ']);
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        let (is_negated, rest) = line.strip_prefix('!').map_or((false, line), |rest| (true, rest));
        let (is_for_folders, rest) = rest.strip_suffix('/').map_or((false, rest), |rest| (true, rest));
        let is_anchored = rest.contains('/');
        let glob = rest.strip_prefix('/').unwrap_or(rest).as_bytes().to_vec();
        (!glob.is_empty()).then_some(Pattern { glob, is_negated, is_for_folders, is_anchored })
    }

    fn fits(&self, path: &str, is_folder: bool) -> bool {
        if self.is_for_folders && !is_folder {
            return false;
        }
        let subject = if self.is_anchored { path } else { path.rsplit('/').next().unwrap_or(path) };
        matches(&self.glob, subject.as_bytes())
    }
}

/// gitignore's globs: `*` and `?` do not cross a `/`, `**` does, `[a-z]` and `[!a-z]`, `\` before a character.
pub(crate) fn matches(glob: &[u8], text: &[u8]) -> bool {
    match glob {
        [] => text.is_empty(),
        [b'*', b'*', b'/', rest @ ..] => {
            matches(rest, text) || (0..text.len()).any(|at| text[at] == b'/' && matches(rest, &text[at + 1..]))
        }
        [b'*', b'*', rest @ ..] => (0..=text.len()).any(|at| matches(rest, &text[at..])),
        [b'*', rest @ ..] => {
            let end = text.iter().position(|&byte| byte == b'/').unwrap_or(text.len());
            (0..=end).any(|at| matches(rest, &text[at..]))
        }
        [b'?', rest @ ..] => text.split_first().is_some_and(|(&first, left)| first != b'/' && matches(rest, left)),
        [b'[', rest @ ..] => match class(rest, text.first().copied()) {
            Some((true, after)) => matches(after, &text[1..]),
            Some((false, _)) => false,
            None => text.first() == Some(&b'[') && matches(rest, &text[1..]),
        },
        [b'\\', literal, rest @ ..] | [literal, rest @ ..] => {
            text.first() == Some(literal) && matches(rest, &text[1..])
        }
    }
}

/// Whether the byte is in the class that begins here, and what is behind the class. `None`: it never ends.
fn class(glob: &[u8], byte: Option<u8>) -> Option<(bool, &[u8])> {
    let (is_negated, body) = match glob {
        [b'!' | b'^', body @ ..] => (true, body),
        body => (false, body),
    };
    let end = 1 + body.get(1..)?.iter().position(|&one| one == b']')?;
    let Some(byte) = byte.filter(|&byte| byte != b'/') else { return Some((false, &body[end + 1..])) };
    let (mut is_in, mut at) = (false, 0);
    while at < end {
        if at + 2 < end && body[at + 1] == b'-' {
            is_in |= (body[at]..=body[at + 2]).contains(&byte);
            at += 3;
        } else {
            is_in |= body[at] == byte;
            at += 1;
        }
    }
    Some((is_in != is_negated, &body[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_to_git() {
        let ignore = Ignore::parse(
            "# a comment\n*.log\n/build\ntests/\ndocs/**/*.md\n**/fixtures\nlib/*.map\n!keep.log\n[ab]?.txt\n\\#odd\nsrc/**\n!src/main.ts\n",
        );
        let cases = [
            ("a.log", false, true),
            ("deep/b.log", false, true),
            ("keep.log", false, false),
            ("build", true, true),
            ("sub/build", true, false),
            ("tests", true, true),
            ("tests", false, false),
            ("docs/a.md", false, true),
            ("docs/x/y/a.md", false, true),
            ("a.md", false, false),
            ("x/fixtures", true, true),
            ("fixtures", true, true),
            ("lib/a.map", false, true),
            ("lib/x/a.map", false, false),
            ("a1.txt", false, true),
            ("c1.txt", false, false),
            ("#odd", false, true),
            ("src/other.ts", false, true),
            ("src/main.ts", false, false),
        ];
        for (path, is_folder, expected) in cases {
            assert_eq!(ignore.leaves_out(path, is_folder), expected, "{path}");
        }
    }

    #[test]
    fn what_may_hold_secrets_is_left_out_without_being_named() {
        let ignore = Ignore::parse(ALWAYS);
        for path in [".env", ".env.production", "sub/.env", ".npmrc", ".git", "sublet.toml"] {
            assert!(ignore.leaves_out(path, false), "{path}");
        }
        assert!(!ignore.leaves_out("src/target", true));
    }
}
