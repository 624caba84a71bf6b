//! Failures of the tenant's code, in the words of Lambda's error object.

use sublet_model::Outcome;

use super::support::{Options, build, failure, package, run};

#[test]
fn a_thrown_error_has_type_message_and_the_tenants_own_lines() {
    let source =
        "import { check } from './check.mjs';\nexport const handler = async (event) => {\n  check(event);\n};\n";
    let check = "class Wrong extends Error { name = 'Wrong'; }\nexport function check(event) {\n  JSON.parse('1');\n  \
                 throw new Wrong(`no ${event.what}`);\n}\n";
    let built = package(&[("index.mjs", source), ("check.mjs", check)]);
    let end = run(&built, r#"{"what": "luck"}"#);
    assert_eq!(end.outcome, Outcome::Failed);
    let failure = failure(&end);
    assert_eq!((failure.error_type.as_str(), failure.error_message.as_str()), ("Wrong", "no luck"));
    assert_eq!(failure.stack_trace.len(), 3, "{failure:?}");
    assert!(failure.stack_trace[0].starts_with("at Wrong (check.mjs:1:"), "{failure:?}");
    assert!(failure.stack_trace[1].starts_with("at check (check.mjs:4:"), "{failure:?}");
    assert!(failure.stack_trace[2].starts_with("at handler (index.mjs:3:"), "{failure:?}");
}

#[test]
fn commonjs_frames_have_true_lines_too() {
    let built = package(&[("index.js", "exports.handler = () => { missing(); };")]);
    let failure = failure(&run(&built, "{}"));
    assert_eq!(failure.error_type, "ReferenceError");
    assert!(failure.stack_trace[0].contains("index.js:1:2"), "{failure:?}");
}

#[test]
fn anything_can_be_thrown() {
    let cases = [
        ("throw 'words'", "string", "words"),
        ("throw null", "object", "null"),
        ("throw undefined", "undefined", "undefined"),
        ("throw { code: 5 }", "object", r#"{"code":5}"#),
        ("throw Symbol('s')", "symbol", "Symbol(s)"),
        ("throw { toString() { throw 1; }, toJSON() { throw 2; } }", "object", "[value that cannot be shown]"),
        ("const e = new Error('m'); Object.defineProperty(e, 'name', { get() { throw 1; } }); throw e", "Error", "m"),
        (
            "Object.prototype.toJSON = () => 1; Array.prototype.toJSON = () => 2; throw new TypeError('t')",
            "TypeError",
            "t",
        ),
        ("JSON.stringify = () => 'x'; String.prototype.split = null; throw new TypeError('u')", "TypeError", "u"),
    ];
    for (code, error_type, message) in cases {
        let built = package(&[("index.mjs", &format!("export const handler = () => {{ {code} }};"))]);
        let end = run(&built, "{}");
        assert_eq!(end.outcome, Outcome::Failed, "{code}: {end:?}");
        let failure = failure(&end);
        assert_eq!((failure.error_type.as_str(), failure.error_message.as_str()), (error_type, message), "{code}");
    }
}

#[test]
fn results_that_are_not_json_fail() {
    for code in ["1n", "(() => { const a = {}; a.a = a; return a; })()", "{ toJSON() { throw new Error('no'); } }"] {
        let built = package(&[("index.mjs", &format!("export const handler = () => ({code});"))]);
        assert_eq!(failure(&run(&built, "{}")).error_type, "Runtime.MarshalError", "{code}");
    }
}

#[test]
fn a_result_larger_than_allowed_fails() {
    let built = package(&[("index.mjs", "export const handler = (n) => 'x'.repeat(n);")]);
    assert_eq!(run(&built, "262142").outcome, Outcome::Succeeded);
    let end = run(&built, "262143");
    assert_eq!((end.outcome, failure(&end).error_type.as_str()), (Outcome::Failed, "Runtime.ResultTooLarge"));
}

#[test]
fn a_promise_that_cannot_settle_fails() {
    let built = package(&[("index.mjs", "export const handler = () => new Promise(() => {});")]);
    assert_eq!(failure(&run(&built, "{}")).error_message, "handler's promise never settled");
    let refused = build(Options { files: &[("index.mjs", "await new Promise(() => {});")], ..Options::default() });
    assert_eq!(refused.err().unwrap().error_message, "a top-level await never settled");
}
