//! Taking secrets' values out of what an attempt reports: its result, its failure, its log.
//!
//! A value is found as it is and in the forms that programs write it in without meaning to hide it: escaped for JSON,
//! base64 (also within longer text, as `Authorization: Basic` has it), hexadecimal, encoded for a URL. Code that wants
//! to hide a value from this can: it is there to keep accidents out of logs, not to hold a tenant's code off its own
//! secrets.
//!
//! Invariants: a result that was JSON is JSON afterwards; nothing grows beyond its limit.

use std::collections::BTreeMap;

use aho_corasick::{AhoCorasick, AhoCorasickKind, Match, MatchKind};
use bytes::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, Visitor};
use sublet_model::{Error, Name, limit};
use sublet_sandbox::egress::FetchRecord;
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
/// Lines of a log that are looked at because they were cut: more do not fit it, but for those that say so of themselves.
const LINES_CUT_MAX: usize = 16;
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
        // Some 12 bytes for each byte of a form. Left to choose, it takes a table of twenty times that for up to a hundred
        // forms: six values of 4 KiB would hold a third of a gigabyte.
        let built = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(marks.keys());
        let forms = built.map_err(Error::internal)?;
        let marks = marks.into_iter().map(|(form, mark)| (Zeroizing::new(form), mark)).collect();
        Ok(Redactor { forms, marks })
    }

    /// What it takes in memory.
    pub(crate) fn memory_bytes(&self) -> usize {
        let marks: usize = self.marks.iter().map(|(form, mark)| form.len() + mark.len()).sum();
        self.forms.memory_usage() + marks
    }

    /// Everything that the tenant's code could have written into.
    pub(crate) fn report(&self, mut report: Report) -> Report {
        report.result = report.result.map(|result| self.json(&result));
        report.failure = report.failure.map(|failure| self.failure(failure));
        report.log = self.log(&report.log);
        for fetch in &mut report.fetches {
            fetch.method = self.recorded(std::mem::take(&mut fetch.method), FetchRecord::METHOD_CHARS_MAX);
            fetch.url = self.recorded(std::mem::take(&mut fetch.url), FetchRecord::URL_CHARS_MAX);
            fetch.error = fetch.error.take().map(|error| self.recorded(error, FetchRecord::ERROR_CHARS_MAX));
        }
        report
    }

    fn failure(&self, failure: Failure) -> Failure {
        let most = limit::ERROR_TEXT_BYTES_MAX;
        let stack_bytes: usize = failure.stack_trace.iter().map(String::len).sum();
        Failure {
            error_type: self.text(failure.error_type, limit::ERROR_TYPE_BYTES_MAX),
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
        let mut text = self.clean(text, is_cut);
        text.truncate(text.floor_char_boundary(bytes_max));
        text
    }

    /// A text of a record, which is cut at its last character.
    fn recorded(&self, text: String, chars_max: usize) -> String {
        let is_cut = text.chars().count() >= chars_max;
        let mut text = self.clean(text, is_cut);
        if let Some((end, _)) = text.char_indices().nth(chars_max) {
            text.truncate(end);
        }
        text
    }

    fn clean(&self, text: String, is_cut: bool) -> String {
        let mut bytes = self.bytes(text.as_bytes()).unwrap_or_else(|| text.into_bytes());
        if is_cut {
            self.drop_rest(&mut bytes);
        }
        String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into())
    }

    fn log(&self, log: &Bytes) -> Bytes {
        let found = self.bytes(log).map_or_else(|| log.clone(), Bytes::from);
        self.log_cut(&self.lines_cut(found))
    }

    /// A line that was cut may end within a value; it says itself that it was.
    fn lines_cut(&self, log: Bytes) -> Bytes {
        let mark = limit::LOG_LINE_CUT.as_bytes();
        if !log.windows(mark.len()).any(|part| part == mark) {
            return log;
        }
        let (mut done, mut left) = (Vec::with_capacity(log.len()), LINES_CUT_MAX);
        for line in log.split_inclusive(|byte| *byte == b'\n') {
            let end = usize::from(line.ends_with(b"\n"));
            let text = &line[..line.len() - end];
            match text.strip_suffix(mark) {
                Some(kept) if left > 0 => {
                    left -= 1;
                    done.extend_from_slice(kept);
                    self.drop_rest(&mut done);
                    done.extend_from_slice(mark);
                }
                _ => done.extend_from_slice(text),
            }
            done.extend_from_slice(&line[line.len() - end..]);
        }
        done.into()
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
        // In a log, a character that the cut went through has become a question mark.
        let before_half = text.strip_suffix(b"?").map(<[u8]>::len);
        for end in [Some(text.len()), before_half].into_iter().flatten() {
            let rests = self.marks.iter().map(|(form, mark)| (overlap(form, &text[..end]), mark));
            let longest = rests.max_by_key(|(rest, _)| *rest).filter(|(rest, _)| *rest >= REST_BYTES_MIN);
            if let Some((rest, mark)) = longest {
                text.truncate(end - rest);
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

/// How many bytes at the end of the text are a start of the form, but not all of it. Linear, whatever they hold (Knuth,
/// Morris and Pratt).
fn overlap(form: &[u8], text: &[u8]) -> usize {
    let longest = form.len().saturating_sub(1).min(text.len());
    let (form, text) = (&form[..longest], &text[text.len() - longest..]);
    // Of each start of the form: how much of its end is a start of it again.
    let mut borders = vec![0; longest];
    let mut held = 0;
    for at in 1..longest {
        while held > 0 && form[at] != form[held] {
            held = borders[held - 1];
        }
        held += usize::from(form[at] == form[held]);
        borders[at] = held;
    }
    // Never all of the form before the last byte: there are no more bytes than that.
    held = 0;
    for byte in text {
        while held > 0 && *byte != form[held] {
            held = borders[held - 1];
        }
        held += usize::from(*byte == form[held]);
    }
    held
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
        assert_eq!(redactor.text("sk_sk_sk_live_4".to_owned(), 15), "sk_sk_[redacted");
    }

    #[test]
    fn what_the_cut_of_a_line_left_of_a_value_goes_too() {
        let redactor = redactor(&[("stripe", "sk_live_4eC39HqLyjW"), ("word", "schlüssel")]);
        let mark = limit::LOG_LINE_CUT;
        let log = |text: String| String::from_utf8(redactor.log(&text.into()).to_vec()).unwrap();
        assert_eq!(log(format!("a\nkey sk_live_4e{mark}\nb\n")), format!("a\nkey [redacted:stripe]{mark}\nb\n"));
        assert_eq!(log(format!("sk_live_4e\nwhole{mark}\n")), format!("sk_live_4e\nwhole{mark}\n"), "it was not cut");
        // The cut went through the ü.
        assert_eq!(log(format!("schl?{mark}\n")), format!("[redacted:word]{mark}\n"));
        let forged = format!("sk_live_4e{mark}\n").repeat(1_000);
        assert_eq!(log(forged).matches("[redacted:stripe]").count(), LINES_CUT_MAX);
    }

    #[test]
    fn what_the_cut_of_a_record_left_of_a_value_goes_too() {
        let redactor = redactor(&[("stripe", "sk_live_4eC39HqLyjW")]);
        let cut = |text: &str, chars: usize| text.chars().take(chars).collect::<String>();
        let url = format!("https://example.com/{}sk_live_4eC39HqLyjW", "ä".repeat(FetchRecord::URL_CHARS_MAX - 30));
        let error = format!("{}sk_live_4eC39HqLyjW", "e".repeat(FetchRecord::ERROR_CHARS_MAX - 5));
        let record = FetchRecord {
            method: cut("GET-AND-MORE-sk_live_4eC39HqLyjW", FetchRecord::METHOD_CHARS_MAX),
            url: cut(&url, FetchRecord::URL_CHARS_MAX),
            status: None,
            error: Some(cut(&error, FetchRecord::ERROR_CHARS_MAX)),
            refused: true,
            redirects: 0,
            bytes_out: 0,
            bytes_in: 0,
            duration_us: 0,
        };
        let report = Report { fetches: vec![record], ..empty() };
        let done = redactor.report(report).fetches.remove(0);
        for (text, most) in [
            (&done.method, FetchRecord::METHOD_CHARS_MAX),
            (&done.url, FetchRecord::URL_CHARS_MAX),
            (done.error.as_ref().unwrap(), FetchRecord::ERROR_CHARS_MAX),
        ] {
            assert!(!text.contains("sk_l") && text.contains("[re"), "{text}");
            assert!(text.chars().count() <= most, "{text}");
        }
        let long = format!("{}sk_live_4eC39HqLyjW", "E".repeat(limit::ERROR_TYPE_BYTES_MAX - 8));
        let error_type = cut(&long, limit::ERROR_TYPE_BYTES_MAX);
        let failure = Failure { error_type, error_message: String::new(), stack_trace: Vec::new() };
        let done = redactor.report(Report { failure: Some(failure), ..empty() }).failure.unwrap();
        assert!(!done.error_type.contains("sk_l"), "{}", done.error_type);
    }

    #[test]
    fn an_overlap_is_the_longest_start_at_the_end() {
        for (form, text, bytes) in [
            ("abcabcd", "xxabcabc", 6),
            ("abcabcd", "abcabcabc", 6),
            ("abcd", "abcd", 0),
            ("aaaa", "aaaaaaaa", 3),
            ("aab", "aaaa", 2),
            ("abab", "xaba", 3),
            ("a", "a", 0),
            ("abc", "", 0),
        ] {
            assert_eq!(overlap(form.as_bytes(), text.as_bytes()), bytes, "{form} {text}");
        }
    }

    /// As a key of so many bytes would be, the same in every run.
    fn noise(seed: u64, bytes: usize) -> String {
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(DIGITS[usize::try_from(state >> 58).unwrap()])
        };
        (0..bytes).map(|_| next()).collect()
    }

    #[test]
    fn looking_for_long_values_takes_memory_in_proportion() {
        let lines: Vec<String> = (0..26).map(|line| noise(line, 64)).collect();
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
        let bytes = redactor(&[("pem", pem.as_str())]).memory_bytes();
        assert!(bytes < 4 << 20, "{bytes} bytes for a key of {}", pem.len());
        let values: Vec<String> = (0..6).map(|seed| noise(seed, limit::SECRET_BYTES_MAX)).collect();
        let secrets: Vec<(&str, &str)> = values.iter().map(|value| ("long", value.as_str())).collect();
        let redactor = redactor(&secrets);
        assert!(redactor.memory_bytes() < 40 << 20, "{} bytes for six values", redactor.memory_bytes());
        let text = redactor.text(format!("before {} after", values[5]), 1 << 20);
        assert_eq!(text, "before [redacted:long] after");
    }

    fn empty() -> Report {
        Report {
            outcome: Outcome::Failed,
            result: None,
            failure: None,
            log: Bytes::new(),
            usage: Usage::default(),
            fetches: Vec::new(),
            crash: None,
            worker: None,
        }
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
            worker: None,
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
