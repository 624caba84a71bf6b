//! Where a configuration is wrong: each key that does not fit, with its line and, for a name that is not known, the one
//! that was probably meant.
//!
//! Asked only once the whole did not fit. Each value is then tried alone on top of the defaults, so that the answer
//! comes from the same types that read the configuration, and no list of keys can fall behind them.

use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use super::{Config, defaults, overlay};

/// Mistakes told at once.
const MISTAKES_MAX: usize = 20;

/// What is wrong, a line each; empty when each value alone fits.
pub(super) fn mistakes(text: &str) -> Vec<String> {
    let (Ok(places), Ok(values)) = (DeTable::parse(text), text.parse::<Table>()) else { return Vec::new() };
    let mut leaves = Vec::new();
    gather(places.get_ref(), &values, &mut Vec::new(), &mut leaves);
    // Tables are kept in the order of their keys; people read in the order of lines.
    leaves.sort_by_key(|leaf| leaf.at);
    let mistakes = leaves.into_iter().filter_map(|leaf| leaf.mistake(text));
    mistakes.take(MISTAKES_MAX).collect()
}

/// The line of a key such as `store.retention`, where the text has it.
pub(super) fn line_of(text: &str, key: &str) -> Option<usize> {
    let (places, values) = (DeTable::parse(text).ok()?, text.parse::<Table>().ok()?);
    let mut leaves = Vec::new();
    gather(places.get_ref(), &values, &mut Vec::new(), &mut leaves);
    leaves.iter().find(|leaf| leaf.path.join(".") == key).map(|leaf| leaf.line(text))
}

/// A value that is no table, or an empty table, with its place.
struct Leaf {
    path: Vec<String>,
    value: Value,
    at: usize,
}

fn gather(places: &DeTable<'_>, values: &Table, path: &mut Vec<String>, leaves: &mut Vec<Leaf>) {
    for (key, place) in places {
        let Some(value) = values.get(key.get_ref().as_ref()) else { continue };
        path.push(key.get_ref().to_string());
        match (place.get_ref(), value) {
            (DeValue::Table(inner), Value::Table(given)) if !given.is_empty() => gather(inner, given, path, leaves),
            _ => leaves.push(Leaf { path: path.clone(), value: value.clone(), at: start_of(key) }),
        }
        path.pop();
    }
}

fn start_of<T>(spanned: &Spanned<T>) -> usize {
    spanned.span().start
}

impl Leaf {
    fn line(&self, text: &str) -> usize {
        text.get(..self.at).map_or(0, |before| before.matches('\n').count()) + 1
    }

    fn mistake(self, text: &str) -> Option<String> {
        let line = self.line(text);
        let key = self.path.join(".");
        let mut alone = self.value;
        for part in self.path.iter().rev() {
            alone = Value::Table(Table::from_iter([(part.clone(), alone)]));
        }
        let mut merged = defaults().ok()?;
        if let Value::Table(alone) = alone {
            overlay(&mut merged, alone);
        }
        let error = merged.try_into::<Config>().err()?;
        let why = error.message();
        Some(match why.strip_prefix("unknown field ") {
            Some(rest) => match nearest(rest) {
                Some(meant) => format!("line {line}: `{key}` is not known; did you mean `{meant}`?"),
                None => format!("line {line}: `{key}` is not known"),
            },
            None => format!("line {line}: `{key}`: {why}"),
        })
    }
}

/// Of a message "`found`, expected one of `a`, `b`": the expected one that is nearest to the found one.
fn nearest(message: &str) -> Option<&str> {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let found = quoted.next()?;
    let (distance, meant) = quoted.map(|known| (distance(found, known), known)).min()?;
    // Half the name may be wrong; beyond that it is a guess.
    (distance * 2 <= found.len()).then_some(meant)
}

/// Letters to change, add or take away (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mistake_is_told_with_its_line_and_the_name_that_was_meant() {
        let text =
            "[store]\nretension = \"9d\"\n\n[sandbox]\nworkers = \"three\"\nslots_per_worker = 8\n\n[telemtry]\n";
        let mistakes = mistakes(text);
        assert_eq!(mistakes.len(), 3, "{mistakes:?}");
        assert_eq!(mistakes[0], "line 2: `store.retension` is not known; did you mean `retention`?");
        assert!(mistakes[1].starts_with("line 5: `sandbox.workers`: invalid type: string"), "{}", mistakes[1]);
        assert_eq!(mistakes[2], "line 8: `telemtry` is not known; did you mean `telemetry`?");
        assert_eq!(line_of(text, "sandbox.slots_per_worker"), Some(6));
    }

    #[test]
    fn a_name_that_is_far_from_all_is_not_guessed() {
        assert_eq!(nearest("`colour`, expected one of `listen`, `drain`"), None);
        assert_eq!(nearest("`lisen`, expected one of `listen`, `drain`"), Some("listen"));
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
