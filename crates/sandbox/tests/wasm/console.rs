//! What `console.*` leaves in the log.

use sublet_model::Outcome;

use super::support::{log, package, run};

#[test]
fn console_writes_levels_and_values() {
    let built = package(&[(
        "index.mjs",
        r#"
        console.log("top level");
        export const handler = () => {
            const cycle = { name: "c" }; cycle.self = cycle;
            console.info("a", 1, true, null, undefined, 10n, Symbol("s"), () => 1);
            console.warn({ a: [1, "b", { c: new Date(0) }], cycle }, new Map([["k", 1]]), new Set([1]), /x/g);
            console.error(new TypeError("bad"));
            console.debug("%s is %d%% of %j", "x", 5, { y: 1 }, "rest");
            console.trace(new (class Point { x = 1 })());
            console.log(Object.create(null), { get boom() { throw 1; } });
        };"#,
    )]);
    assert_eq!(built.log, "INFO top level\n");
    let text = log(&run(&built, "{}"));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "INFO a 1 true null undefined 10n Symbol(s) [Function (anonymous)]");
    assert_eq!(
        lines[1],
        r#"WARN {"a":[1,"b",{"c":1970-01-01T00:00:00.000Z}],"cycle":{"name":"c","self":[Circular]}} Map{"k"=>1} Set{1} /x/g"#
    );
    assert_eq!(lines[2], "ERROR TypeError: bad");
    assert!(lines[3].starts_with("    at handler (index.mjs:"), "{text}");
    assert_eq!(
        &lines[4..],
        [
            r#"DEBUG x is 5% of {"y":1} rest"#,
            r#"TRACE Point {"x":1}"#,
            "    at handler (index.mjs:9:31)",
            "INFO [value that cannot be shown]"
        ]
    );
}

#[test]
fn console_counts_times_groups_and_draws_tables() {
    let built = package(&[(
        "index.mjs",
        r#"
        export const handler = () => {
            console.group("outer");
            console.log("one\ntwo");
            console.group();
            console.table([{ a: 1, b: "x" }, { a: 2 }, 3]);
            console.groupEnd();
            console.groupEnd();
            console.groupEnd();
            console.count(); console.count("x"); console.count(); console.countReset(); console.count();
            console.time("t"); console.timeEnd("t"); console.timeEnd("t");
            console.assert(true, "no"); console.assert(false, "because %s", 1); console.assert(0);
            console.dir("text"); console.table(5);
            console.log(Object.assign(new Error("bad"), { code: "E", stack: "" }), new Uint8Array([1, 2]));
            console.log(new Headers({ A: "b" }), new URL("http://a/"), new DOMException("gone", "AbortError").name);
        };"#,
    )]);
    let text = log(&run(&built, "{}"));
    let mut lines: Vec<&str> = text.lines().collect();
    let timed = lines.iter().position(|line| line.starts_with("INFO t: 0")).unwrap();
    assert!(lines[timed].ends_with(" ms"), "{text}");
    lines.remove(timed);
    assert_eq!(
        lines,
        [
            "INFO outer",
            "INFO   one",
            "  two",
            "INFO     ┌─────────┬───┬─────┬────────┐",
            "    │ (index) │ a │ b   │ Values │",
            "    ├─────────┼───┼─────┼────────┤",
            "    │ 0       │ 1 │ \"x\" │        │",
            "    │ 1       │ 2 │     │        │",
            "    │ 2       │   │     │ 3      │",
            "    └─────────┴───┴─────┴────────┘",
            "INFO default: 1",
            "INFO x: 1",
            "INFO default: 2",
            "INFO default: 1",
            "WARN there is no timer 't'",
            "ERROR Assertion failed: because 1",
            "ERROR Assertion failed",
            "INFO \"text\"",
            "INFO 5",
            "INFO Error: bad",
            "  code: \"E\" Uint8Array [1,2]",
            r#"INFO Headers {"a":"b"} "http://a/" AbortError"#,
        ]
    );
}

#[test]
fn a_log_beyond_its_limit_is_cut_with_a_mark() {
    let built = package(&[(
        "index.mjs",
        "export const handler = () => { for (let i = 0; i < 1e4; i++) console.log('x'.repeat(100)); return 1; };",
    )]);
    let end = run(&built, "{}");
    assert_eq!(end.outcome, Outcome::Succeeded);
    assert!(end.log.len() <= 64 * 1024 + 64);
    assert!(log(&end).ends_with("[log cut here: the limit is reached]\n"));
}
