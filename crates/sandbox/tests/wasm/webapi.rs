//! The web's API as tenants' code finds it: each area by a file of asserts in js/ that runs inside the engine, the
//! published cases of web-platform-tests (kept beside the repository, never in it), and the documentation's tables.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::support::{Built, Files, Options, build, failure, from, js, log, package, run};
use crate::table::{Documented, documented};

const CHECK: &str = include_str!("js/check.mjs");
/// Cases of one attempt.
const BATCH: usize = 200;

#[derive(Deserialize)]
struct Told {
    ran: usize,
    failures: Vec<String>,
}

fn area(source: &str) -> Built {
    package(&[("index.mjs", source), ("check.mjs", CHECK)])
}

/// Every case of an area's file holds; gives the log.
pub(crate) fn holds(source: &str) -> String {
    let end = run(&area(source), "{}");
    let told: Told = from(&end);
    assert!(told.ran > 3, "only {} cases ran", told.ran);
    assert!(told.failures.is_empty(), "{}", told.failures.join("\n"));
    log(&end)
}

#[test]
fn timers_are_the_webs_and_nodes() {
    holds(include_str!("js/timers.mjs"));
}

#[test]
fn events_and_abort_signals_are_the_webs() {
    let log = holds(include_str!("js/events.mjs"));
    assert!(log.starts_with("ERROR Uncaught Error: told\n    at "), "{log}");
}

#[test]
fn structured_clone_is_the_webs() {
    holds(include_str!("js/clone.mjs"));
}

#[test]
fn text_encodings_are_the_webs() {
    holds(include_str!("js/text.mjs"));
}

#[test]
fn urls_are_the_webs() {
    holds(include_str!("js/urls.mjs"));
}

#[test]
fn bodies_forms_and_headers_are_the_webs() {
    holds(include_str!("js/http.mjs"));
}

#[test]
fn streams_are_the_webs() {
    holds(include_str!("js/streams.mjs"));
}

#[test]
fn what_nobody_catches_ends_the_attempt_with_its_stack() {
    for code in [
        "setTimeout(boom, 1)",
        "setImmediate(boom)",
        "queueMicrotask(boom)",
        "const target = new EventTarget(); target.addEventListener('x', boom); target.dispatchEvent(new Event('x'))",
    ] {
        let built = package(&[(
            "index.mjs",
            &format!(
                "function boom() {{ throw new RangeError('boom'); }}
                export const handler = () => {{ {code}; return new Promise(() => setTimeout(() => {{}}, 4000)); }};"
            ),
        )]);
        let failure = failure(&run(&built, "{}"));
        assert_eq!((&*failure.error_type, &*failure.error_message), ("RangeError", "boom"), "{code}");
        assert!(failure.stack_trace[0].starts_with("at boom (index.mjs:1:"), "{code}: {failure:?}");
    }
}

#[test]
fn what_nobody_catches_fails_an_attempt_that_has_its_result_already() {
    for code in [
        "queueMicrotask(boom)",
        "queueMicrotask(() => process.nextTick(boom))",
        "const target = new EventTarget(); target.addEventListener('x', boom); target.dispatchEvent(new Event('x'))",
    ] {
        let source = format!(
            "function boom() {{ throw new RangeError('boom'); }}\nexport const handler = () => {{ {code}; return 1; }};"
        );
        let failure = failure(&run(&package(&[("index.mjs", &source)]), "{}"));
        assert_eq!((&*failure.error_type, &*failure.error_message), ("RangeError", "boom"), "{code}");
        assert!(failure.stack_trace[0].starts_with("at boom (index.mjs:1:"), "{code}: {failure:?}");
        let source =
            format!("function boom() {{ throw new RangeError('boom'); }}\n{code};\nexport const handler = () => 1;");
        let refused = build(Options { files: &[("index.mjs", &source)], ..Options::default() }).err().unwrap();
        assert!(
            refused.error_message.starts_with("index.mjs:1:") && refused.error_message.ends_with(": boom"),
            "{refused:?}"
        );
    }
}

#[test]
fn a_promise_that_only_a_timer_could_settle_is_waited_for_and_no_other() {
    let built =
        package(&[("index.mjs", "export const handler = () => new Promise((done) => setTimeout(done, 20, 'late'));")]);
    assert_eq!(js(&run(&built, "{}")), r#""late""#);
    let built = package(&[(
        "index.mjs",
        "export const handler = () => new Promise(() => setTimeout(() => {}, 9000).unref());",
    )]);
    assert_eq!(failure(&run(&built, "{}")).error_type, "Runtime.PromiseNeverSettled");
}

#[test]
fn at_top_level_timers_run_without_waiting_and_fetch_is_refused_by_line() {
    let built = package(&[(
        "index.mjs",
        "let state = 'early'; const begun = Date.now();
        await new Promise((done) => setTimeout(done, 600_000)); state = 'late';
        const took = Date.now() - begun;
        let left = 'running'; setTimeout(() => { left = 'over'; }, 5);
        export const handler = async () => {
            await new Promise((done) => setTimeout(done, 40));
            return [state, took >= 600_000, left];
        };",
    )]);
    assert_eq!(js(&run(&built, "{}")), r#"["late",true,"over"]"#);
    let files: Files<'_> = &[("index.mjs", "\nawait fetch('http://a/');\nexport const handler = () => 1;")];
    let refused = build(Options { files, ..Options::default() }).err().unwrap();
    assert_eq!(refused.error_type, "TypeError");
    assert!(refused.error_message.starts_with("index.mjs:2:"), "{refused:?}");
    assert!(refused.error_message.contains("fetch cannot be called at top level"), "{refused:?}");
}

/// Runs published cases inside the engine.
fn published(kind: &str, cases: &[impl Serialize]) {
    let built = package(&[("index.mjs", include_str!("js/published.mjs"))]);
    let mut failures = Vec::new();
    let mut ran = 0;
    for batch in cases.chunks(BATCH) {
        let told: Told = from(&run(&built, &json!({"kind": kind, "cases": batch}).to_string()));
        ran += told.ran;
        failures.extend(told.failures);
    }
    println!("{} of {ran} published cases as published", ran - failures.len());
    assert_eq!(ran, cases.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// None where they are not, which is an error where they are promised.
fn read(file: &str) -> Option<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance/web-api-data");
    let path: PathBuf = folder.join(file);
    if !path.exists() {
        println!("not run: conformance/web-api-data/{file} is not there");
        assert!(std::env::var_os("CI").is_none(), "CI must have the published cases");
        return None;
    }
    Some(serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
}

#[test]
fn every_published_url_is_parsed_as_published() {
    let Some(Value::Array(mut cases)) = read("urltestdata.json") else { return };
    // What is no object is a comment.
    cases.retain(Value::is_object);
    assert!(cases.len() > 800, "only {} cases", cases.len());
    published("parse", &cases);
}

#[test]
fn every_published_url_is_changed_as_published() {
    let Some(Value::Object(attributes)) = read("setters_tests.json") else { return };
    let mut cases = Vec::new();
    for (attribute, list) in attributes.iter().filter(|(attribute, _)| *attribute != "comment") {
        for case in list.as_array().unwrap() {
            let mut case = case.clone();
            case["attribute"] = json!(attribute);
            cases.push(case);
        }
    }
    assert!(cases.len() > 250, "only {} cases", cases.len());
    published("set", &cases);
}

#[test]
fn every_published_base64_is_decoded_as_published() {
    let Some(Value::Array(cases)) = read("base64.json") else { return };
    assert!(cases.len() > 70, "only {} cases", cases.len());
    published("base64", &cases);
}

#[test]
fn the_documentation_tells_what_is_there_and_what_is_not() {
    // Modules are no globals.
    let listed: Vec<Documented> = documented().into_iter().filter(|one| !one.name.contains(':')).collect();
    assert!(listed.len() > 200, "only {} names", listed.len());
    let built = package(&[(
        "index.mjs",
        r"
        const has = (path) => {
            let holder = globalThis;
            const parts = path.split('.');
            return parts.every((part, at) => {
                const found = Object(holder) === holder && part in holder;
                // A prototype's accessors are there, but not to be read.
                if (found && at < parts.length - 1) holder = holder[part];
                return found;
            });
        };
        export const handler = (names) => ({
            there: names.map(has),
            globals: Object.getOwnPropertyNames(globalThis),
        });",
    )]);
    let names: Vec<&str> = listed.iter().map(|one| one.name).collect();
    #[derive(Deserialize)]
    struct Found {
        there: Vec<bool>,
        globals: Vec<String>,
    }
    let found: Found = from(&run(&built, &json!(names).to_string()));
    let wrong: Vec<String> = listed
        .iter()
        .zip(found.there)
        .filter(|(one, is_there)| one.is_there != *is_there)
        .map(|(one, is_there)| format!("{} is {}", one.name, if is_there { "there" } else { "not there" }))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let unknown: Vec<&String> = found.globals.iter().filter(|global| !names.contains(&global.as_str())).collect();
    assert!(unknown.is_empty(), "not in docs/runtime-js.md: {unknown:?}");
}
