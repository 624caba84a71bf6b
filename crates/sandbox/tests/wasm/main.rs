//! The wasm tier in one process: build, seal, load, run. What a worker process adds around it is tested beside it.

#![allow(clippy::unwrap_used, reason = "a test's helpers are tests too")]

mod console;
mod crypto;
mod hostile;
mod images;
mod language;
mod modules;
mod node_modules;
mod outcome;
mod packages;
mod secret;
mod support;
mod table;
mod typescript;
mod webapi;
mod wrappers;
mod zones;

use sublet_model::Outcome;

use support::{Options, build, from, js, log, package, run, run_with, task};

const TODO: &str = r#"
    import { tags } from "./lib/tags.js";
    export const handler = async (event, context) => {
        const item = event.detail;
        console.log("enriching", item.title);
        return { id: item.id, tags: tags(item.title), urgent: /today/i.test(item.title), by: context.functionName };
    };
"#;
const TAGS: &str = r#"export const tags = (title) => [...title.matchAll(/#(\w+)/g)].map((found) => found[1]);"#;

#[test]
fn a_todo_handler_of_two_files_enriches_an_item() {
    let built = package(&[("index.mjs", TODO), ("lib/tags.js", TAGS)]);
    let end = run(&built, r##"{"detail": {"id": 7, "title": "buy #milk today"}}"##);
    assert_eq!(end.outcome, Outcome::Succeeded, "{end:?}");
    assert_eq!(js(&end), r#"{"id":7,"tags":["milk"],"urgent":true,"by":"enrich"}"#);
    assert_eq!(log(&end), "INFO enriching buy #milk today\n");
    assert!(end.memory_peak_bytes > 1 << 20);
}

#[test]
fn the_context_has_its_fields_and_the_time_left() {
    let built = build(Options {
        files: &[(
            "index.mjs",
            r#"
            export const handler = (event, context) => {
                const left = context.getRemainingTimeInMillis();
                return [context.awsRequestId, context.tenantId, left > 1000 && left <= 5000, process.env.GREETING];
            };"#,
        )],
        environment: &[("GREETING", "hello")],
        ..Options::default()
    })
    .unwrap();
    assert_eq!(js(&run(&built, "{}")), r#"["inv_1","ten_1",true,"hello"]"#);
}

#[test]
fn nothing_is_null_and_promises_and_thenables_are_awaited() {
    let cases = [
        ("() => undefined", "null"),
        ("() => null", "null"),
        ("() => () => 1", "null"),
        ("async () => { await null; await Promise.resolve(); return 'é'; }", "\"é\""),
        ("() => ({ then(done) { done(5); } })", "5"),
        ("() => ({ when: new Date(0), text: '\\ud800' })", r#"{"when":"1970-01-01T00:00:00.000Z","text":"\ud800"}"#),
    ];
    for (code, expected) in cases {
        let built = package(&[("index.mjs", &format!("export const handler = {code};"))]);
        assert_eq!(js(&run(&built, "{}")), expected, "{code}");
    }
}

#[test]
fn no_attempt_sees_what_an_earlier_one_left() {
    let built = package(&[(
        "index.mjs",
        r#"
        globalThis.count = 0;
        const seen = [];
        export const handler = (event) => {
            const fresh = [globalThis.count, seen.length, [].poison, {}.poison, process.env.POISON, Math.max(1, 2)];
            globalThis.count++;
            seen.push(event);
            Array.prototype.poison = Object.prototype.poison = process.env.POISON = "yes";
            Math.max = () => 0;
            console.log = () => {};
            JSON.stringify = () => '"stolen"';
            Promise.prototype.then = null;
            return fresh;
        };"#,
    )]);
    for _ in 0..500 {
        assert_eq!(js(&run(&built, "{}")), "[0,0,null,null,null,2]");
    }
}

#[test]
fn randomness_follows_the_seed_and_the_clock_runs() {
    let built = package(&[(
        "index.mjs",
        "Math.random(); const top = Date.now();
        export const handler = () => [Math.random(), Math.random(), Date.now() - top];",
    )]);
    let numbers = |seed| from::<(f64, f64, f64)>(&run_with(&built, task("{}", seed)));
    let (a, b, c) = (numbers(1), numbers(2), numbers(1));
    assert!(a.0 != a.1 && a.0 != b.0 && a.1 != b.1);
    assert_eq!((a.0, a.1), (c.0, c.1));
    assert!((0.0..1.0).contains(&a.0));
    // The task's clock starts in 2100, the build ran in this century's first half.
    assert!(a.2 > 1e12, "{}", a.2);
}
