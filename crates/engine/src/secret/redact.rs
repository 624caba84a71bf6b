//! Taking secrets' values out of what an attempt reports: its result, its failure, its log.
//!
//! A value is found as it is and in the forms that programs write it in without meaning to hide it: escaped for JSON,
//! base64 (also within longer text, as `Authorization: Basic` has it), hexadecimal, encoded for a URL. Code that wants
//! to hide a value from this can: it is there to keep accidents out of logs, not to hold a tenant's code off its own
//! secrets.
//!
//! Invariants: a result that was JSON is JSON afterwards; nothing grows beyond its limit.

use std::collections::BTreeMap;

use aho_corasick::{AhoCorasick, Match, MatchKind};
use bytes::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, Visitor};
use sublet_model::{Error, Name, limit};
use sublet_sandbox::{Failure, Report};
use zeroize::Zeroizing;

use super::form::forms_of;
use super::value::SecretValue;

/// What stands in the place of a result that would grow beyond its limit.
const WHOLE: &[u8] = b"\"[redacted]\"";
/// Bytes at the end of a text that was cut which, being the start of a value, are taken out as well.
const REST_BYTES_MIN: usize = 4;
/// How the line begins that says that a log was cut, and how near its limit a text is when it was.
const LOG_CUT: &[u8] = b"[log cut here";
const CUT_BYTES: usize = 8;
/// The last line of a log that redacting made too long.
const LOG_GREW: &[u8] = b"[log cut here: the limit is reached]\n";

pub(crate) struct Redactor {
    forms: AhoCorasick,
    /// Of each pattern of it: itself, and what stands in its place.
    marks: Vec<(Zeroizing<Vec<u8>>, String)>,
}

impl Redactor {
    /// `secrets`: a name may come twice, a value too.
    pub(crate) fn new(secrets: &[(Name, SecretValue)]) -> Result<Redactor, Error> {
        let mut marks = BTreeMap::new();
        for (name, value) in secrets {
            for form in forms_of(value.reveal()) {
                marks.entry(form).or_insert_with(|| format!("[redacted:{name}]"));
            }
        }
        let built = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(marks.keys());
        let forms = built.map_err(Error::internal)?;
        let marks = marks.into_iter().map(|(form, mark)| (Zeroizing::new(form), mark)).collect();
        Ok(Redactor { forms, marks })
    }

    /// Everything that the tenant's code could have written into.
    pub(crate) fn report(&self, mut report: Report) -> Report {
        report.result = report.result.map(|result| self.json(&result));
        report.failure = report.failure.map(|failure| self.failure(failure));
        report.log = self.log(&report.log);
        for fetch in &mut report.fetches {
            fetch.method = self.text(std::mem::take(&mut fetch.method), usize::MAX);
            fetch.url = self.text(std::mem::take(&mut fetch.url), usize::MAX);
            fetch.error = fetch.error.take().map(|error| self.text(error, usize::MAX));
        }
        report
    }

    fn failure(&self, failure: Failure) -> Failure {
        let most = limit::ERROR_TEXT_BYTES_MAX;
        let stack_bytes: usize = failure.stack_trace.iter().map(String::len).sum();
        Failure {
            error_type: self.text(failure.error_type, most),
            error_message: self.text(failure.error_message, most),
            // One limit for all frames together.
            stack_trace: failure
                .stack_trace
                .into_iter()
                .map(|frame| {
                    let room = (most + frame.len()).saturating_sub(stack_bytes);
                    self.text(frame, room.max(CUT_BYTES))
                })
                .collect(),
        }
    }

    /// Texts that were cut at their limit may end within a value.
    pub(crate) fn text(&self, text: String, bytes_max: usize) -> String {
        let is_cut = text.len().saturating_add(CUT_BYTES) > bytes_max;
        let mut bytes = self.bytes(text.as_bytes()).unwrap_or_else(|| text.into_bytes());
        if is_cut {
            self.drop_rest(&mut bytes);
        }
        let mut text =
            String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into());
        text.truncate(text.floor_char_boundary(bytes_max));
        text
    }

    fn log(&self, log: &Bytes) -> Bytes {
        let Some(found) = self.bytes(log) else { return self.log_cut(log) };
        self.log_cut(&found.into())
    }

    /// A line that was cut at the log's limit may end within a value; the line behind it says that it was cut.
    fn log_cut(&self, log: &Bytes) -> Bytes {
        let most = limit::LOG_BYTES_MAX + 1024;
        if log.len() > most {
            let mut cut = log[..last_line_end(&log[..most])].to_vec();
            cut.extend_from_slice(LOG_GREW);
            return cut.into();
        }
        let log = log.clone();
        let Some(at) = log.strip_suffix(b"\n").and_then(|log| log.iter().rposition(|byte| *byte == b'\n')) else {
            return log;
        };
        if !log[at + 1..].starts_with(LOG_CUT) {
            return log;
        }
        let mut cut = log[..at].to_vec();
        if !self.drop_rest(&mut cut) {
            return log;
        }
        cut.extend_from_slice(&log[at..]);
        cut.into()
    }

    /// `None`: nothing was found.
    fn bytes(&self, text: &[u8]) -> Option<Vec<u8>> {
        let first = self.forms.find(text)?;
        let mut done = Vec::with_capacity(text.len());
        let mut from = 0;
        for found in
            std::iter::once(first).chain(self.forms.find_iter(&text[first.end()..]).map(|m| at(m, first.end())))
        {
            done.extend_from_slice(&text[from..found.start()]);
            done.extend_from_slice(self.marks[found.pattern().as_usize()].1.as_bytes());
            from = found.end();
        }
        done.extend_from_slice(&text[from..]);
        Some(done)
    }

    /// Where the text ends with the start of a value, that is replaced. Answers whether it was.
    fn drop_rest(&self, text: &mut Vec<u8>) -> bool {
        for (form, mark) in &self.marks {
            let longest = (form.len() - 1).min(text.len());
            let rest = (REST_BYTES_MIN..=longest).rev().find(|&bytes| text.ends_with(&form[..bytes]));
            if let Some(rest) = rest {
                text.truncate(text.len() - rest);
                text.extend_from_slice(mark.as_bytes());
                return true;
            }
        }
        false
    }

    /// Token by token: what is found in a string, escaped or not, is replaced in the string; any other token that holds a
    /// value (a long number) becomes one.
    fn json(&self, text: &Bytes) -> Bytes {
        let mut done: Option<Vec<u8>> = None;
        let mut rest = &text[..];
        while let Some((token, behind)) = next_token(rest) {
            let redacted = if token.starts_with(b"\"") { self.json_string(token) } else { self.json_bare(token) };
            let so_far = text.len() - rest.len();
            match redacted {
                Some(redacted) => {
                    done.get_or_insert_with(|| text[..so_far].to_vec()).extend_from_slice(&redacted);
                }
                None => done.iter_mut().for_each(|done| done.extend_from_slice(token)),
            }
            rest = behind;
        }
        match done {
            None => text.clone(),
            Some(done) if done.len() > limit::RESULT_BYTES_MAX => Bytes::from_static(WHOLE),
            Some(done) => done.into(),
        }
    }

    fn json_string(&self, token: &[u8]) -> Option<Vec<u8>> {
        let found = if token.contains(&b'\\') {
            let Unescaped(plain) = serde_json::from_slice(token).ok()?;
            self.bytes(&plain)?
        } else {
            self.bytes(token.get(1..token.len().checked_sub(1)?)?)?
        };
        serde_json::to_vec(&String::from_utf8_lossy(&found)).ok()
    }

    fn json_bare(&self, token: &[u8]) -> Option<Vec<u8>> {
        let found = self.forms.find(token)?;
        serde_json::to_vec(&self.marks[found.pattern().as_usize()].1).ok()
    }
}

fn at(found: Match, offset: usize) -> Match {
    Match::new(found.pattern(), found.start() + offset..found.end() + offset)
}

/// Just behind the last line that is whole.
fn last_line_end(log: &[u8]) -> usize {
    log.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1)
}

/// The text's first token and what is behind it: a string, a run of what is none of JSON's marks, or one mark or blank.
fn next_token(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let is_mark = |byte: u8| matches!(byte, b'{' | b'}' | b'[' | b']' | b',' | b':' | b' ' | b'\n' | b'\r' | b'\t');
    let first = *text.first()?;
    let length = if first == b'"' {
        let mut at = 1;
        while at < text.len() && text[at] != b'"' {
            at += if text[at] == b'\\' { 2 } else { 1 };
        }
        (at + 1).min(text.len())
    } else if is_mark(first) {
        1
    } else {
        text.iter().position(|byte| is_mark(*byte) || *byte == b'"').unwrap_or(text.len())
    };
    Some(text.split_at(length))
}

/// A JSON string's bytes; lone surrogates, which no `String` holds, come as three bytes each.
struct Unescaped(Vec<u8>);

impl<'de> Deserialize<'de> for Unescaped {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Unescaped, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Unescaped;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Unescaped, E> {
                Ok(Unescaped(bytes.to_vec()))
            }

            fn visit_str<E>(self, text: &str) -> Result<Unescaped, E> {
                Ok(Unescaped(text.as_bytes().to_vec()))
            }
        }
        deserializer.deserialize_bytes(Text)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;
    use sublet_model::{Outcome, Usage};

    use super::*;

    fn redactor(secrets: &[(&str, &str)]) -> Redactor {
        let secrets =
            secrets.iter().map(|(name, value)| (name.parse().unwrap(), SecretValue::new((*value).to_owned())));
        Redactor::new(&secrets.collect::<Vec<_>>()).unwrap()
    }

    const KEY: &str = "sk_live/\"4eC39\"+Hq\nLyjWä";

    #[test]
    fn what_stands_around_a_value_is_left() {
        let redactor = redactor(&[("stripe", KEY)]);
        let json = serde_json::to_string(KEY).unwrap();
        for form in [KEY.to_owned(), json, STANDARD.encode(KEY), STANDARD.encode(format!("user:{KEY}"))] {
            let text = redactor.text(format!("before {form} after"), 1 << 20);
            assert!(text.contains("[redacted:stripe]") && !text.contains("4eC39"), "{form}: {text}");
            assert!(text.starts_with("before ") && text.ends_with(" after"), "{text}");
        }
        assert_eq!(redactor.text("nothing of the kind".to_owned(), 1 << 20), "nothing of the kind");
    }

    #[test]
    fn a_result_stays_json_wherever_a_value_stands() {
        let redactor = redactor(&[("pin", "123456"), ("word", "nabcdef"), ("odd", "\",\"a\":\"")]);
        let json = |text: &str| String::from_utf8(redactor.json(&Bytes::copy_from_slice(text.as_bytes())).to_vec());
        for (text, wanted) in [
            (r#"{"a":"x123456y","b":[1,null]}"#, r#"{"a":"x[redacted:pin]y","b":[1,null]}"#),
            (r#"{"n":123456}"#, r#"{"n":"[redacted:pin]"}"#),
            (r#"[-9123456.5e1,true]"#, r#"["[redacted:pin]",true]"#),
            (r#"{"123456":"\n"}"#, r#"{"[redacted:pin]":"\n"}"#),
            (r#"["\nabcdef"]"#, r#"["\nabcdef"]"#),
            (r#"["\\nabcdef"]"#, r#"["\\[redacted:word]"]"#),
            (r#"["\u0031\u0032345\u0036\ud800"]"#, "[\"[redacted:pin]\u{fffd}\u{fffd}\u{fffd}\"]"),
            (r#"{"z":"","a":""}"#, r#"{"z":"","a":""}"#),
            (r#"["\",\"a\":\""]"#, r#"["[redacted:odd]"]"#),
            (r#""123456""#, r#""[redacted:pin]""#),
            ("null", "null"),
        ] {
            let done = json(text).unwrap();
            assert_eq!(done, wanted, "{text}");
            serde_json::from_str::<serde_json::Value>(&done).unwrap();
        }
    }

    #[test]
    fn nothing_grows_beyond_its_limit() {
        let redactor = redactor(&[("a-rather-long-name-for-a-secret", "abcdef")]);
        let result = format!("\"{}\"", "abcdef".repeat(40_000));
        assert_eq!(redactor.json(&result.into()), Bytes::from_static(WHOLE));
        let log = redactor.log(&"abcdef\n".repeat(9_000).into());
        assert!(log.len() <= limit::LOG_BYTES_MAX + 1024 && log.ends_with(b"]\n"), "{}", log.len());
        let text = redactor.text("abcdef".repeat(1_000), limit::ERROR_TEXT_BYTES_MAX);
        assert!(text.len() <= limit::ERROR_TEXT_BYTES_MAX);
    }

    #[test]
    fn what_a_cut_left_of_a_value_goes_too() {
        let redactor = redactor(&[("stripe", "sk_live_4eC39HqLyjW")]);
        let log = redactor.log(&Bytes::from_static(b"INFO one\nINFO key is sk_live_4eC\n[log cut here: the limit]\n"));
        assert_eq!(&log[..], b"INFO one\nINFO key is [redacted:stripe]\n[log cut here: the limit]\n");
        assert_eq!(redactor.text("the key is sk_live".to_owned(), 18), "the key is [redact");
        assert_eq!(redactor.text("the key is sk_live".to_owned(), 100), "the key is sk_live", "it was not cut");
        assert_eq!(redactor.text("the key is sk_".to_owned(), 14), "the key is sk_", "three characters are chance");
    }

    #[test]
    fn a_report_is_redacted_in_all_its_parts_and_otherwise_left_alone() {
        let redactor = redactor(&[("stripe", "sk_live_4eC39HqLyjW"), ("longer", "sk_live_4eC39HqLyjW_more")]);
        let failure = Failure {
            error_type: "Error".to_owned(),
            error_message: "bad key sk_live_4eC39HqLyjW_more".to_owned(),
            stack_trace: vec!["at sk_live_4eC39HqLyjW (index.js:1:1)".to_owned()],
        };
        let report = Report {
            outcome: Outcome::Failed,
            result: None,
            failure: Some(failure),
            log: Bytes::from_static(b"INFO sk_live_4eC39HqLyjW sk_live_4eC39HqLyjW\n"),
            usage: Usage::default(),
            fetches: Vec::new(),
            crash: None,
        };
        let done = redactor.report(report);
        let failure = done.failure.unwrap();
        assert_eq!(failure.error_message, "bad key [redacted:longer]");
        assert_eq!(failure.stack_trace, ["at [redacted:stripe] (index.js:1:1)"]);
        assert_eq!(&done.log[..], b"INFO [redacted:stripe] [redacted:stripe]\n");
    }

    proptest! {
        #[test]
        fn no_value_is_left_in_any_json_that_holds_it(
            value in "[ -~äé\\n\"\\\\]{6,40}", before in ".{0,8}", behind in ".{0,8}", key in "[a-z]{1,3}"
        ) {
            let secret = redactor(&[("s", &value)]);
            let original = serde_json::json!({key: [format!("{before}{value}{behind}"), 1.5, null, {"x": before}]});
            let done = secret.json(&serde_json::to_vec(&original).unwrap().into());
            let read: serde_json::Value = serde_json::from_slice(&done).unwrap();
            let text = read.as_object().unwrap().values().next().unwrap()[0].as_str().unwrap();
            prop_assert!(text.contains("[redacted:s]"));
            prop_assert!(!text.contains(&value) || "[redacted:s]".contains(&value));
        }
    }
}
