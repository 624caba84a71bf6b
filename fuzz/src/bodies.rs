//! The bodies. Each says what is promised of its parser.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::de::IgnoredAny;
use sublet_bundle::{Fault, Graph, Module, Package, Resolver, STACK_BYTES, SourceMap, late, module};
use sublet_intake::{ContentType, Encoding, Entry, Header, Mode, cloudevents, native};
use sublet_model::transformer::RuleContext;
use sublet_model::{
    DeliveryId, Envelope, EventId, InputTransformer, InvocationId, Millis, Name, RuleSpec, Size, TenantId, Timestamp,
    TraceContext, limit,
};
use sublet_pattern::{EventView, Pattern, RuleSet};

/// An event that was taken is valid, its envelope is JSON, and a refusal says where and why.
fn check(entry: Entry) {
    match entry {
        Ok(input) => {
            assert!(input.validate().is_ok());
            assert!(input.detail.get().starts_with('{'));
            assert!(serde_json::from_str::<IgnoredAny>(input.detail.get()).is_ok());
            let envelope = Envelope::of(input, "evt_0000000000001", Timestamp::ZERO);
            let text = serde_json::to_string(&envelope).expect("an envelope serialises");
            let again: Envelope = serde_json::from_str(&text).expect("an envelope comes back");
            assert_eq!(envelope.id, again.id);
        }
        Err(refusal) => {
            assert!(!refusal.field.is_empty() && !refusal.message.is_empty());
            assert!(!refusal.message.ends_with('.'), "{}", refusal.message);
        }
    }
}

pub fn native_event(bytes: &[u8]) {
    check(native::read_one(bytes));
    if let Ok(entries) = native::read_array(bytes) {
        assert!((1..=limit::EVENTS_PER_BATCH_MAX).contains(&entries.len()));
        entries.into_iter().for_each(check);
    }
}

pub fn structured_cloudevent(bytes: &[u8]) {
    check(cloudevents::read_structured(bytes, Some("acme")));
}

pub fn cloudevents_batch(bytes: &[u8]) {
    if let Ok(entries) = cloudevents::read_batch(bytes, None) {
        assert!(entries.len() <= limit::EVENTS_PER_BATCH_MAX);
        entries.into_iter().for_each(check);
    }
}

/// Lines `name: value`, an empty line, the body.
pub fn binary_cloudevent(bytes: &[u8]) {
    let (head, body) = match bytes.windows(2).position(|pair| pair == b"\n\n") {
        Some(end) => (&bytes[..end], &bytes[end + 2..]),
        None => (bytes, &b""[..]),
    };
    let lines: Vec<(String, &[u8])> = head
        .split(|byte| *byte == b'\n')
        .filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let name = std::str::from_utf8(&line[..colon]).ok()?.trim().to_ascii_lowercase();
            Some((name, &line[colon + 1..]))
        })
        .collect();
    let headers: Vec<Header<'_>> = lines.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let Ok(content) = ContentType::of(&headers) else { return };
    drop(Mode::of(content.as_ref(), &headers));
    check(cloudevents::read_binary(content.as_ref(), &headers, body));
}

pub fn content_type(bytes: &[u8]) {
    if let Ok(Some(content)) = ContentType::of(&[("content-type", bytes)]) {
        assert!(content.essence.contains('/') && !content.essence.contains(char::is_uppercase));
        if let Ok(text) = content.decode(bytes) {
            assert!(text.chars().count() <= bytes.len());
        }
    }
    drop(Encoding::of(&[("content-encoding", bytes)]));
}

/// Whatever is declared, no more comes out than there may.
pub fn content_decoding(bytes: &[u8]) {
    const MOST: usize = 64 * 1024;
    for encoding in [Encoding::Identity, Encoding::Gzip, Encoding::Zstd] {
        if let Ok(unpacked) = encoding.decode(bytes, MOST) {
            assert!(unpacked.len() <= MOST);
        }
    }
}

const EVENT: &str =
    r#"{"source":"todo","detail-type":"d","detail":{"a":1,"b":["x",{"c":null}],"d":"10.0.0.1","e":"text"}}"#;

/// A pattern means the same alone, explained, and in a set of rules.
pub fn pattern(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(pattern) = Pattern::parse(text) else { return };
    let event = EventView::parse(EVENT).expect("the event is well-formed");
    let matches = pattern.matches(&event);
    let explained = pattern.explain(&event);
    assert_eq!(explained.matches, matches);
    assert_eq!(explained.reasons.is_empty(), matches);
    let mut rules = RuleSet::new();
    rules.insert(1, pattern.clone());
    assert_eq!(!rules.matches(&event).is_empty(), matches);
    rules.insert(2, pattern);
    rules.remove(&1);
    assert_eq!(!rules.matches(&event).is_empty(), matches);
}

/// What can be viewed is JSON, and can be looked at from every side.
pub fn event_view(bytes: &[u8]) {
    let Ok(view) = EventView::parse(bytes) else { return };
    assert!(serde_json::from_slice::<IgnoredAny>(bytes).is_ok());
    let _ = view.missing_envelope_field();
    for text in [r#"{"source":[{"exists":true}]}"#, r#"{"detail":{"a":{"b":[{"anything-but":["x"]}]}}}"#] {
        let pattern = Pattern::parse(text).expect("the pattern is well-formed");
        assert_eq!(pattern.explain(&view).matches, pattern.matches(&view));
    }
}

/// Read, it is written as it was read; applied, it makes JSON within the limit.
pub fn transformer(bytes: &[u8]) {
    let Ok(transformer) = serde_json::from_slice::<InputTransformer>(bytes) else {
        // As a template of its own.
        if let Ok(template) = String::from_utf8(bytes.to_vec()) {
            let paths = [("a", "$.detail.a"), ("b", "$.detail.b[*]"), ("c", "$.detail.none"), ("e", "$.detail.e")];
            let paths = paths.into_iter().map(|(name, path)| (name.to_owned(), path.to_owned())).collect();
            apply(&InputTransformer::Template { paths, template });
        }
        return;
    };
    if apply(&transformer) {
        let written = serde_json::to_string(&transformer).expect("a transformer serialises");
        let again: InputTransformer = serde_json::from_str(&written).expect("a transformer comes back");
        assert_eq!(again, transformer);
    }
}

fn apply(transformer: &InputTransformer) -> bool {
    let Ok(transform) = transformer.compile("transformer") else { return false };
    let context = RuleContext { rule: "r", rule_arn: "arn", received: Timestamp::ZERO };
    if let Ok(Some(made)) = transform.apply(EVENT, &context) {
        assert!(made.len() <= limit::INPUT_BYTES_MAX);
        assert!(serde_json::from_slice::<IgnoredAny>(&made).is_ok(), "{made:?}");
    }
    true
}

/// A rule that was taken comes back the same.
pub fn rule(bytes: &[u8]) {
    let Ok(spec) = serde_json::from_slice::<RuleSpec>(bytes) else { return };
    if spec.validate(None).is_ok() {
        let written = serde_json::to_string(&spec).expect("a rule serialises");
        let again: RuleSpec = serde_json::from_str(&written).expect("a rule comes back");
        assert_eq!(again.targets, spec.targets);
    }
    drop(spec.validate(Some(&"acme".parse().expect("a name"))));
}

/// What reads comes back from what it is written as.
pub fn names_and_units(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(name) = text.parse::<Name>() {
        assert_eq!(name.as_str(), text);
    }
    macro_rules! comes_back {
        ($($kind:ty),*) => {$(
            if let Ok(value) = text.parse::<$kind>() {
                assert_eq!(value.to_string().parse::<$kind>().ok(), Some(value));
            }
        )*};
    }
    comes_back!(Millis, Size, EventId, InvocationId, DeliveryId, TenantId);
    if let Ok(moment) = Timestamp::parse(text) {
        // Years beyond 9999 have no RFC 3339 text.
        assert!(Timestamp::parse(&moment.to_string()).is_ok_and(|again| again == moment));
    }
    drop(TraceContext::parse(text, Some(text)));
}

/// Files, each behind a line `== its/key`, the first of which is the entry: read and found as a builder does it.
pub fn module_graph(bytes: &[u8]) {
    let (entry, files) = package(bytes);
    std::thread::scope(|scope| {
        // Reading code recurses as deep as the code nests.
        let reader = std::thread::Builder::new().stack_size(STACK_BYTES);
        let reading = reader.spawn_scoped(scope, || check_graph(&entry, &files)).expect("a thread starts");
        if let Err(panic) = reading.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

fn package(bytes: &[u8]) -> (String, BTreeMap<String, Bytes>) {
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if let Some(key) = line.strip_prefix(b"== ") {
            files.push((String::from_utf8_lossy(key).trim().to_owned(), Vec::new()));
        } else if let Some((_, content)) = files.last_mut() {
            content.extend_from_slice(line);
        }
    }
    let entry = files.first().map(|(key, _)| key.clone()).unwrap_or_default();
    (entry, files.into_iter().map(|(key, content)| (key, Bytes::from(content))).collect())
}

/// What is found is there and not hidden from who asks, and what is loaded late fits in its room.
fn check_graph(entry: &str, files: &BTreeMap<String, Bytes>) {
    const LATE_BYTES_MAX: usize = 512;
    let (shown, hidden) = ("helper".to_owned(), "wrap".to_owned());
    let tree = Package::new(files.clone().into_iter().collect());
    let resolver = Resolver::new(tree, vec![shown, hidden.clone()]).hiding(vec![hidden]);
    let is_hidden = |key: &str| key == "/opt/wrap" || key.starts_with("/opt/wrap/");
    let mut loaded = BTreeMap::new();
    for (key, content) in files {
        let read = match module(key, content, resolver.package_type(key)) {
            Ok(read) => read,
            Err(fault) => {
                check_fault(key, content, &fault);
                continue;
            }
        };
        check_places(key, content, &read);
        for request in &read.requests {
            match resolver.resolve(key, &request.specifier, request.how.importer()) {
                Ok(found) => {
                    assert!(files.contains_key(&found), "{key}: {found} is not there");
                    assert!(!is_hidden(&found) || is_hidden(key), "{key}: {found} is hidden");
                }
                Err(missing) => assert!(!missing.0.is_empty()),
            }
        }
        drop(SourceMap::of(key, &read.text, resolver.tree()));
        if key == entry {
            loaded.insert(key.clone(), read);
        }
    }
    assert!(resolver.handler(entry).is_none_or(|found| files.contains_key(&found)));
    let graph = Graph::from(&resolver, entry);
    assert!(graph.files.iter().all(|key| key == entry || files.contains_key(key)));
    let asked_for = late(&resolver, &loaded, LATE_BYTES_MAX).modules;
    let sizes = asked_for.iter().map(|(key, (_, map))| files[key].len() + map.as_ref().map_or(0, SourceMap::bytes));
    assert!(sizes.sum::<usize>() <= LATE_BYTES_MAX);
}

/// A fault says what is wrong, at a place that is in the file.
fn check_fault(key: &str, content: &[u8], fault: &Fault) {
    let lines = content.split(|byte| *byte == b'\n').count();
    assert!((1..=lines).contains(&fault.line) && fault.column > 0, "{fault}");
    assert!(fault.key == key && !fault.message.is_empty());
    assert!(fault.to_string().starts_with(&fault.place()));
}

/// What is not blank stands where its author wrote it; what becomes of an enum and its like keeps its lines.
fn check_places(key: &str, content: &[u8], read: &Module) {
    /// Enums and namespaces, parameters that are properties, `export =`: each leaves one of these.
    const REWRITTEN: [&str; 3] = ["(function(", "this.", "module.exports = "];
    let text = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    let text = std::str::from_utf8(text).expect("what was read is UTF-8");
    assert_eq!(read.text.matches('\n').count(), text.matches('\n').count(), "{key}: {}", read.text);
    if key.ends_with("ts") && REWRITTEN.iter().any(|mark| read.text.contains(*mark)) {
        return;
    }
    // The values of `import.meta` are set in front of everything.
    let added = read.text.chars().count().checked_sub(text.chars().count()).expect("nothing is lost");
    assert!(added == 0 || read.text.starts_with("import.meta.url="), "{key}: {}", read.text);
    for (was, is) in text.chars().zip(read.text.chars().skip(added)) {
        // A blank, what parts two statements or stands around parameters, or `const ` for the `import` of `import x = …`.
        let is_blank = matches!(is, ' ' | ';' | '(' | ')') || ("import".contains(was) && "const ".contains(is));
        let is_line_end = was == '\n' || is == '\n';
        assert!(was == is || (is_blank && !is_line_end), "{key}: {was:?} became {is:?}: {}", read.text);
    }
    for request in &read.requests {
        let line = text.split('\n').nth(request.line - 1).expect("a request's line is there");
        let first = line.chars().nth(request.column - 1);
        assert!(matches!(first, Some('"' | '\'' | '`')), "{key}: {request:?}");
    }
}
