//! Packages that harm whoever evaluates them: loops and floods at the top level, bombs for the compiler, graphs of
//! modules without end.

use sublet_model::limit::PACKAGE_FILES_MAX;

use super::program::{Program, package_harmless, package_refused, refused};
use crate::SourceFile;
use crate::attack::range::file;

const TIMED_OUT: &[&str] = &["Sandbox.Timedout"];
const OUT_OF_MEMORY: &[&str] = &["Runtime.OutOfMemory"];
/// Bombs for the compiler end by one of these.
const BOMB: &[&str] = &[
    "SyntaxError",
    "RangeError",
    "InternalError",
    "Runtime.OutOfMemory",
    "Sandbox.Timedout",
    "Sandbox.SnapshotTooLarge",
    "Sandbox.Crashed",
];
const GRAPH: &[&str] = &[
    "RangeError",
    "InternalError",
    "SyntaxError",
    "ReferenceError",
    "TypeError",
    "Runtime.OutOfMemory",
    "Sandbox.Timedout",
    "Runtime.ImportModuleError",
];

/// The error of a function whose source map is hostile is its own.
const BROKEN: &[&str] = &["TypeError", "Sandbox.CpuLimit", "Sandbox.Timedout", "SyntaxError", "Runtime.OutOfMemory"];

const HANDLER: &str = "export const handler = () => 1;";

fn module(top: impl AsRef<str>) -> Vec<SourceFile> {
    vec![file("index.mjs", format!("{}\n{HANDLER}", top.as_ref()))]
}

/// `count` modules, each importing the next; the last ends as it is told.
fn chain(count: usize, last: &str) -> Vec<SourceFile> {
    (0..count)
        .map(|at| file(format!("m{at}.mjs"), format!("import './m{}.mjs'; export const n = {at};", at + 1)))
        .chain([file(format!("m{count}.mjs"), last.to_owned())])
        .chain([file("index.mjs", format!("import './m0.mjs'; {HANDLER}"))])
        .collect()
}

fn stars(names: &str) -> Vec<SourceFile> {
    // Every module gives on what all others give: without a memory of its way, looking a name up takes for ever.
    const COUNT: usize = 24;
    let all: String = (0..COUNT).map(|at| format!("export * from './s{at}.mjs';\n")).collect();
    (0..COUNT)
        .map(|at| file(format!("s{at}.mjs"), format!("{all} export const own{at} = {at};")))
        .chain([file("index.mjs", format!("import {{ {names} }} from './s0.mjs'; {HANDLER}"))])
        .collect()
}

fn wide(count: usize) -> Vec<SourceFile> {
    let imports: String = (0..count).map(|at| format!("import './w/{at}.mjs';\n")).collect();
    (0..count)
        .map(|at| file(format!("w/{at}.mjs"), format!("globalThis.n = {at};")))
        .chain([file("index.mjs", imports + HANDLER)])
        .collect()
}

/// A function that throws, with a source map.
fn map_of(map: impl Into<Vec<u8>>) -> Vec<SourceFile> {
    let source = "export const handler = () => { throw new TypeError('true'); };\n//# sourceMappingURL=index.mjs.map\n";
    vec![file("index.mjs", source), file("index.mjs.map", map.into())]
}

fn mapped(mappings: String) -> Vec<SourceFile> {
    map_of(format!(r#"{{"version":3,"sources":["a.ts","../../../etc/passwd"],"names":[],"mappings":"{mappings}"}}"#))
}

pub(super) const PROGRAMS: &[Program] = &[
    refused(
        "top-level-loop",
        "A loop at the top level ends at the deploy's deadline",
        "for (;;); export const handler = () => 1;",
        TIMED_OUT,
    ),
    refused(
        "top-level-microtasks",
        "Microtasks without end at the top level end at the deadline",
        "const again = () => Promise.resolve().then(again); await again(); export const handler = () => 1;",
        &["Sandbox.Timedout", "Runtime.OutOfMemory"],
    ),
    refused(
        "top-level-await",
        "A top level that waits for nothing is refused",
        "await new Promise(() => {}); export const handler = () => 1;",
        &["Runtime.PromiseNeverSettled"],
    ),
    refused(
        "top-level-regexp",
        "A catastrophic regular expression at the top level ends at the deadline",
        "/^(a+)+$/.test('a'.repeat(80) + '!'); export const handler = () => 1;",
        TIMED_OUT,
    ),
    refused(
        "top-level-bomb",
        "A memory bomb at the top level is out of memory",
        "const all = []; for (;;) all.push([all.length]); export const handler = () => 1;",
        OUT_OF_MEMORY,
    ),
    refused(
        "top-level-recursion",
        "Endless recursion at the top level is an error of the tenant's",
        "const f = () => f() + 1; f(); export const handler = () => 1;",
        &["RangeError"],
    ),
    refused(
        "top-level-throws-null",
        "Whatever the top level throws is told",
        "throw null; export const handler = () => 1;",
        &["object"],
    ),
    refused(
        "top-level-throws-a-trap",
        "What loops when it is described ends at the deadline",
        "throw new Proxy({}, { get() { for (;;); }, ownKeys() { for (;;); }, getPrototypeOf() { for (;;); } }); export const handler = () => 1;",
        TIMED_OUT,
    ),
    package_harmless(
        "top-level-log-flood",
        "A flood of log at the top level is cut",
        || module("for (let i = 0; i < 1e5; i++) console.log('x'.repeat(1000));"),
        BOMB,
    ),
    package_harmless(
        "snapshot-large",
        "A top level that keeps most of its memory is refused or kept within the limit",
        || module("globalThis.kept = Array.from({ length: 20 }, (_, i) => new Uint8Array(1 << 20).fill(i + 1));"),
        BOMB,
    ),
    package_harmless(
        "snapshot-scattered",
        "A top level that scatters what it keeps is refused or kept within the limit",
        || {
            module(
                "globalThis.kept = []; for (let i = 0; i < 400; i++) { globalThis.kept.push({ i }); new Uint8Array(1 << 20).fill(i); globalThis.kept.push('x'.repeat(4096) + i); }",
            )
        },
        BOMB,
    ),
    package_harmless(
        "compile-parentheses",
        "A hundred thousand parentheses are refused or compiled",
        || module(format!("const a = {}1{};", "(".repeat(100_000), ")".repeat(100_000))),
        BOMB,
    ),
    package_harmless(
        "compile-arrays",
        "A hundred thousand nested arrays are refused or compiled",
        || module(format!("const a = {}{};", "[".repeat(100_000), "]".repeat(100_000))),
        BOMB,
    ),
    package_harmless(
        "compile-blocks",
        "A hundred thousand nested blocks are refused or compiled",
        || module(format!("{}{}", "{".repeat(100_000), "}".repeat(100_000))),
        BOMB,
    ),
    package_harmless(
        "compile-arrows",
        "Ten thousand nested functions are refused or compiled",
        || module(format!("const a = {}1;", "()=>".repeat(10_000))),
        BOMB,
    ),
    package_harmless(
        "compile-parameters",
        "Arrows whose parameters are arrows are refused or compiled",
        || module(format!("const a = {}1{};", "(a=".repeat(30_000), ")=>1".repeat(30_000))),
        BOMB,
    ),
    package_harmless(
        "compile-ternaries",
        "A hundred thousand conditions are refused or compiled",
        || module(format!("const a = {}1;", "0?1:".repeat(100_000))),
        BOMB,
    ),
    package_harmless(
        "compile-sum",
        "A sum of a million terms is refused or compiled",
        || module(format!("const a = 1{};", "+1".repeat(1_000_000))),
        BOMB,
    ),
    package_harmless(
        "compile-members",
        "A path of a million members is refused or compiled",
        || module(format!("const a = () => globalThis{};", ".a".repeat(1_000_000))),
        BOMB,
    ),
    package_harmless(
        "compile-else-if",
        "Fifty thousand conditions in a row are refused or compiled",
        || module(format!("const a = () => {{ {} }};", "if (a) 1; else ".repeat(50_000) + "2;")),
        BOMB,
    ),
    package_harmless(
        "compile-variables",
        "A function of a hundred thousand variables is refused or compiled",
        || {
            let names: String = (0..100_000).map(|at| format!("let v{at}={at};")).collect();
            module(format!("const a = () => {{ {names} return () => v0; }};"))
        },
        BOMB,
    ),
    package_harmless(
        "compile-closures",
        "A hundred thousand functions over one variable are refused or compiled",
        || module(format!("let n = 0; const a = [{}];", "()=>n,".repeat(100_000))),
        BOMB,
    ),
    package_harmless(
        "compile-switch",
        "A switch of a hundred thousand cases is refused or compiled",
        || {
            let cases: String = (0..100_000).map(|at| format!("case {at}:")).collect();
            module(format!("const a = (n) => {{ switch (n) {{ {cases} return 1; }} }};"))
        },
        BOMB,
    ),
    package_harmless(
        "compile-text",
        "A text of eight megabytes is refused or compiled",
        || module(format!("const a = '{}';", "x".repeat(8 << 20))),
        BOMB,
    ),
    package_harmless(
        "compile-comment",
        "A comment of eight megabytes is refused or compiled",
        || module(format!("/*{}*/", "*/ /*".repeat(1 << 20))),
        BOMB,
    ),
    package_harmless(
        "compile-number",
        "A number of a million digits is refused or compiled",
        || module(format!("const a = {}n;", "9".repeat(1_000_000))),
        BOMB,
    ),
    package_harmless(
        "compile-regexp",
        "A regular expression of a hundred thousand groups is refused or compiled",
        || module(format!("const a = /{}{}/;", "(a|".repeat(100_000), ")".repeat(100_000))),
        BOMB,
    ),
    package_harmless(
        "compile-regexp-counts",
        "A regular expression with counts of counts is refused or compiled",
        || module("const a = /((((a{1,1000}){1,1000}){1,1000}){1,1000}){1,1000}/;"),
        BOMB,
    ),
    package_harmless(
        "compile-classes",
        "Ten thousand nested classes are refused or compiled",
        || module(format!("const a = {}{};", "class { static a = ".repeat(10_000), "}".repeat(10_000))),
        BOMB,
    ),
    package_harmless(
        "compile-labels",
        "A hundred thousand labels are refused or compiled",
        || module((0..100_000).map(|at| format!("l{at}:")).collect::<String>() + ";"),
        BOMB,
    ),
    package_harmless(
        "compile-half-text",
        "Source that is no text is refused",
        || vec![file("index.mjs", b"export const handler = () => '\xff\xfe';".to_vec())],
        &["SyntaxError"],
    ),
    package_harmless(
        "compile-nothing",
        "A source of zero bytes is refused",
        || vec![file("index.mjs", vec![0_u8; 100_000])],
        &["SyntaxError", "Runtime.HandlerNotFound"],
    ),
    package_harmless(
        "json-deep",
        "JSON that nests a million deep is refused",
        || {
            vec![
                file("a.json", "[".repeat(1_000_000)),
                file("index.mjs", format!("import a from './a.json'; {HANDLER}")),
            ]
        },
        BOMB,
    ),
    package_harmless(
        "manifest-deep",
        "A manifest that nests a million deep is refused or not looked at",
        || vec![file("package.json", "[".repeat(1_000_000)), file("index.js", "exports.handler = () => 1;".to_owned())],
        BOMB,
    ),
    package_harmless(
        "manifest-escapes",
        "A manifest that names a file outside of the package reaches none",
        || {
            vec![
                file(
                    "node_modules/a/package.json",
                    r#"{"main": "../../../../../../etc/passwd", "exports": {".": "../../../../../etc/passwd"}}"#
                        .to_owned(),
                ),
                file("index.mjs", format!("import a from 'a'; {HANDLER}")),
            ]
        },
        GRAPH,
    ),
    package_harmless(
        "manifest-turns-in-circles",
        "A manifest whose conditions are without end is followed to its end",
        || {
            vec![
                file(
                    "node_modules/a/package.json",
                    format!(r#"{{"exports": {}"./x.js"{}}}"#, r#"{"import":"#.repeat(5_000), "}".repeat(5_000)),
                ),
                file("node_modules/a/x.js", "module.exports = 1;".to_owned()),
                file("index.mjs", format!("import a from 'a'; {HANDLER}")),
            ]
        },
        GRAPH,
    ),
    package_harmless(
        "graph-chain",
        "A chain of four thousand modules is refused or loaded",
        || chain(PACKAGE_FILES_MAX - 2, "export const n = 0;"),
        GRAPH,
    ),
    package_harmless(
        "graph-wide",
        "A module that imports four thousand others is refused or loaded",
        || wide(PACKAGE_FILES_MAX - 1),
        GRAPH,
    ),
    package_harmless(
        "graph-circle",
        "A circle of a thousand modules is loaded once",
        || chain(1_000, "import './m0.mjs'; export const n = 0;"),
        GRAPH,
    ),
    package_harmless(
        "graph-of-itself",
        "A module that imports itself is loaded once",
        || {
            vec![file(
                "index.mjs",
                format!("import * as own from './index.mjs'; import './index.mjs'; globalThis.own = own; {HANDLER}"),
            )]
        },
        GRAPH,
    ),
    package_harmless(
        "graph-of-stars",
        "Modules that give on each other's names are looked through in bounded time",
        || stars("own7"),
        GRAPH,
    ),
    package_refused(
        "graph-of-stars-without-the-name",
        "A name that no star gives is looked for in bounded time",
        || stars("nowhere"),
        GRAPH,
    ),
    package_harmless(
        "graph-of-requires",
        "A chain of a thousand requires is refused or loaded",
        || {
            (0..1_000)
                .map(|at| file(format!("r{at}.js"), format!("exports.n = require('./r{}.js').n;", at + 1)))
                .chain([file("r1000.js", "exports.n = 1;".to_owned())])
                .chain([file("index.js", "exports.n = require('./r0.js').n; exports.handler = () => 1;".to_owned())])
                .collect()
        },
        GRAPH,
    ),
    package_harmless(
        "graph-dynamic",
        "Ten thousand imports of what is not there are refused or done",
        || module("for (let i = 0; i < 1e4; i++) { try { await import(`./no${i}.mjs`); } catch {} }"),
        GRAPH,
    ),
    package_harmless(
        "paths-that-repeat",
        "A path of half a kilobyte of dots is looked for in bounded time",
        || module(format!("try {{ await import('{}x'); }} catch {{}}", "./a/../".repeat(100_000))),
        GRAPH,
    ),
    package_harmless(
        "source-map-endless",
        "A source map of megabytes of mappings changes nothing but a stack",
        || mapped("A".repeat(3 << 20)),
        BROKEN,
    ),
    package_harmless(
        "source-map-lines",
        "A source map of millions of lines changes nothing but a stack",
        || mapped(";".repeat(3 << 20)),
        BROKEN,
    ),
    package_harmless(
        "source-map-numbers",
        "A source map of numbers beyond all bounds changes nothing but a stack",
        || mapped("gggggggggggggggggggggggggggggggggg,///////////,AAAA".repeat(1000)),
        BROKEN,
    ),
    package_harmless(
        "source-map-deep",
        "A source map that nests a million deep changes nothing but a stack",
        || map_of("[".repeat(1_000_000)),
        BROKEN,
    ),
    package_harmless(
        "source-map-of-sections",
        "A source map of maps changes nothing but a stack",
        || {
            map_of(format!(
                "{}{}",
                r#"{"version":3,"sections":[{"offset":{"line":0,"column":0},"map":"#.repeat(500),
                "}]}".repeat(500)
            ))
        },
        BROKEN,
    ),
    package_harmless(
        "types-deep",
        "Types that nest ten thousand deep are refused or stripped",
        || vec![file("index.ts", format!("type A = {}1{}; {HANDLER}", "Array<".repeat(10_000), ">".repeat(10_000)))],
        BOMB,
    ),
    package_harmless(
        "types-conditional",
        "Conditional types in a row are refused or stripped",
        || vec![file("index.ts", format!("type A<T> = {}never; {HANDLER}", "T extends 1 ? 1 : ".repeat(50_000)))],
        BOMB,
    ),
    package_harmless(
        "types-ambiguous",
        "Text that could be types or comparisons is read in bounded time",
        || vec![file("index.ts", format!("const a = {}1; {HANDLER}", "a<b<c>(".repeat(2_000)))],
        BOMB,
    ),
    package_refused(
        "no-handler",
        "A package without its handler is refused",
        || vec![file("other.mjs", HANDLER.to_owned())],
        &["Runtime.ImportModuleError"],
    ),
    package_refused(
        "handler-that-is-none",
        "A handler that is no function is refused",
        || vec![file("index.mjs", "export const handler = new Proxy({}, { get() { for (;;); } });".to_owned())],
        &["Runtime.HandlerNotFound", "Sandbox.Timedout"],
    ),
];
