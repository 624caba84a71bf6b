//! How a package's files find each other, and what is said when they do not.

use super::support::{Files, Options, build, js, package, run};

#[test]
fn commonjs_modules_of_every_shape_load() {
    let built = package(&[
        (
            "index.js",
            "const { add } = require('./lib'); const data = require('./data.json');
            exports.handler = (event) => add(event.n, data.more);",
        ),
        ("lib/index.js", "module.exports = { add: require('./add').add, __dirname, __filename };"),
        ("lib/add.cjs", "exports.add = (a, b) => a + b;"),
        ("data.json", r#"{"more": 40}"#),
    ]);
    assert_eq!(js(&run(&built, r#"{"n": 2}"#)), "42");
}

#[test]
fn an_es_module_imports_json_commonjs_and_node_modules() {
    let built = package(&[
        (
            "index.js",
            r#"
            import data from "./data.json" with { type: "json" };
            import legacy, { twice } from "./legacy.cjs";
            import left from "left";
            import { deep } from "@scope/pack/deep.js";
            export async function handler(event) {
                const late = await import("./late.mjs");
                return [data.a, twice(3), legacy.twice(4), left(5), deep, late.value, import.meta.filename];
            }"#,
        ),
        ("data.json", r#"{"a": 1}"#),
        ("legacy.cjs", "exports.twice = (n) => 2 * n;"),
        ("late.mjs", "export const value = 'late';"),
        ("node_modules/left/package.json", r#"{"main": "dist/left.js"}"#),
        ("node_modules/left/dist/left.js", "module.exports = (n) => n - 1;"),
        ("node_modules/@scope/pack/deep.js", "export const deep = 'deep';"),
    ]);
    assert_eq!(js(&run(&built, "{}")), r#"[1,6,8,4,"deep","late","/index.js"]"#);
}

#[test]
fn a_layer_is_importable_by_its_name_and_below() {
    let built = build(Options {
        files: &[(
            "index.mjs",
            r#"
            import { score } from "urgency";
            import words from "urgency/data/words.json";
            export const handler = (event) => score(event.title) + words.length;"#,
        )],
        layers: &[(
            "urgency",
            &[
                ("index.mjs", "import { base } from './base.js'; export const score = (text) => base + text.length;"),
                ("base.js", "export const base = 100;"),
                ("data/words.json", r#"["now", "asap"]"#),
            ],
        )],
        ..Options::default()
    })
    .unwrap();
    assert_eq!(js(&run(&built, r#"{"title": "abc"}"#)), "105");
}

#[test]
fn a_build_refuses_with_file_and_line() {
    let cases: [(Files<'_>, &str, &str); 9] = [
        (&[("index.mjs", "const a = 1;\nconst b = ;\n")], "SyntaxError", "index.mjs:2:"),
        (&[("index.js", "exports.a = 1;\nconst b = ;\n")], "SyntaxError", "index.js:2:"),
        (&[("index.mjs", "import './a.mjs';\n"), ("a.mjs", "\n\nlet x = {;\n")], "SyntaxError", "a.mjs:3:"),
        (
            &[("index.mjs", "\nimport x from './gone.mjs';\n")],
            "Runtime.ImportModuleError",
            "index.mjs:2:15: cannot find module './gone.mjs'",
        ),
        (&[("index.js", "\n\nrequire('gone');\n")], "Runtime.ImportModuleError", "index.js:3:"),
        (
            &[("index.mjs", "import fs from 'node:fs';\n")],
            "Runtime.ImportModuleError",
            "index.mjs:1:16: node:fs is not available in this runtime; see docs/runtime-js.md",
        ),
        (
            &[("index.mjs", "export const handle = 1;\n")],
            "Runtime.HandlerNotFound",
            "index.mjs:1:1: index.mjs does not export 'handler'; it exports 'handle'",
        ),
        (&[("main.mjs", "export const handler = 1;\n")], "Runtime.ImportModuleError", "the handler's file 'index'"),
        (&[("index.mjs", "function f() {\n  null.x;\n}\nf();\n")], "TypeError", "index.mjs:2:"),
    ];
    for (files, error_type, place) in cases {
        let failure = build(Options { files, ..Options::default() }).err().unwrap();
        assert_eq!(failure.error_type, error_type, "{failure:?}");
        assert!(failure.error_message.starts_with(place), "{failure:?}");
        assert_eq!(failure.stack_trace.is_empty(), place.starts_with("the handler's file"), "{failure:?}");
    }
}

#[test]
fn an_import_of_a_name_that_is_not_exported_fails_the_build() {
    let files: Files<'_> = &[
        ("index.mjs", "import { b } from './a.mjs';\nexport const handler = () => b;"),
        ("a.mjs", "export const a = 1;"),
    ];
    let failure = build(Options { files, ..Options::default() }).err().unwrap();
    assert_eq!(failure.error_type, "SyntaxError", "{failure:?}");
    assert!(failure.error_message.contains("'b'") && failure.error_message.contains("a.mjs"), "{failure:?}");
}

#[test]
fn a_require_that_fails_can_be_caught_and_an_import_too() {
    let built = package(&[(
        "index.js",
        "let optional; try { optional = require('optional'); } catch (error) { optional = error.code; }
        exports.handler = async () => [optional, await import('./gone.js').catch((error) => error.code)];",
    )]);
    assert_eq!(js(&run(&built, "{}")), r#"["MODULE_NOT_FOUND","MODULE_NOT_FOUND"]"#);
}

#[test]
fn circular_commonjs_sees_what_is_there_so_far() {
    let built = package(&[
        ("index.js", "exports.early = 1; const other = require('./other'); exports.handler = () => [other.seen, 2];"),
        ("other.js", "exports.seen = require('./index').early;"),
    ]);
    assert_eq!(js(&run(&built, "{}")), "[1,2]");
}
