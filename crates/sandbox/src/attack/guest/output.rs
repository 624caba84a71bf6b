//! Floods: of results, of logs, of errors; and results that are none.

use sublet_model::{Outcome, limit};

use super::program::{Program, ends, fails, logs, returns};
use crate::attack::verdict::is_cut;

const MARSHAL: &[&str] = &["Runtime.MarshalError"];

fn is_short(log: &str) -> Result<(), String> {
    if log.len() < limit::LOG_BYTES_MAX { Ok(()) } else { Err(format!("{} bytes of log", log.len())) }
}

pub(super) const PROGRAMS: &[Program] = &[
    fails("result-too-large", "A result beyond its limit is refused", "return 'y'.repeat(300000);", &["Runtime.ResultTooLarge"]),
    fails("result-huge", "A result of megabytes is refused", "return 'y'.repeat(3e6);", &["Runtime.ResultTooLarge"]),
    ends(
        "result-sparse",
        "A sparse array that would be millions of nulls is refused",
        "const a = []; a[2e6] = 1; return a;",
        &[Outcome::Failed, Outcome::TimedOut, Outcome::OutOfMemory],
        &["Runtime.ResultTooLarge", "Sandbox.CpuLimit", "Runtime.OutOfMemory"],
    ),
    fails("result-too-deep", "A result that nests deeper than events may is refused", "let a = 1; for (let i = 0; i < 65; i++) a = [a]; return a;", &["Runtime.ResultTooDeep"]),
    fails("result-deeper-than-readers", "A result that nests deeper than JSON readers go is refused", "let a = 1; for (let i = 0; i < 200; i++) a = { a }; return a;", &["Runtime.ResultTooDeep"]),
    ends(
        "result-deep",
        "A result that nests a hundred thousand deep is refused",
        "let a = 1; for (let i = 0; i < 1e5; i++) a = [a]; return a;",
        &[Outcome::Failed, Outcome::TimedOut],
        &["Runtime.MarshalError", "RangeError", "Sandbox.CpuLimit"],
    ),
    ends(
        "result-deep-to-json",
        "A toJSON that nests for ever is refused",
        "return { toJSON() { return [this]; } };",
        &[Outcome::Failed, Outcome::TimedOut],
        &["Runtime.MarshalError", "Runtime.ResultTooDeep", "RangeError", "Sandbox.CpuLimit"],
    ),
    fails("result-in-a-circle", "A result that holds itself is refused", "const a = {}; a.a = a; return a;", MARSHAL),
    fails("result-big-number", "A result that JSON does not know is refused", "return 1n;", MARSHAL),
    fails("result-throws", "A result that throws when it is read is refused", "return { get a() { throw null; } };", MARSHAL),
    fails("result-revoked", "A revoked proxy as the result is refused", "const p = Proxy.revocable({}, {}); p.revoke(); return { p: p.proxy };", MARSHAL),
    returns("result-half-characters", "Half characters in a result come out as escapes", "return ['\\ud800', { '\\udfff': '\\u0000' }];", r#"["\ud800",{"\udfff":"\u0000"}]"#),
    returns("result-raw", "A result cannot smuggle text into its JSON", "return { a: JSON.rawJSON ? typeof JSON.rawJSON('1') : 'object', b: String.raw`\",\"x\":1` };", r#"{"a":"object","b":"\",\"x\":1"}"#),
    logs("log-lines", "A log has at most so many lines", "for (let i = 0; i < 20000; i++) console.log(''); return 1;", is_cut),
    logs("log-lines-in-one", "Lines are counted however they are written", "console.log('\\n'.repeat(20000)); return 1;", is_cut),
    logs("log-bytes", "A log has at most so many bytes", "for (let i = 0; i < 1000; i++) console.log('x'.repeat(1000)); return 1;", is_cut),
    logs("log-one-line", "A line of megabytes is cut", "console.log('x'.repeat(4e6)); return 1;", is_cut),
    logs("log-deep", "A deep value is logged within bounds", "let a = {}; for (let i = 0; i < 1e5; i++) a = { a }; console.log(a); return 1;", is_short),
    logs("log-wide", "A wide value is logged within bounds", "console.log(Array.from({ length: 1e5 }, (_, i) => i)); return 1;", |_| Ok(())),
    logs("log-format", "Format directives read nothing but their arguments", "console.log('%s%d%i%f%j%o%O%c%%'.repeat(1000)); return 1;", is_short),
    logs(
        "log-throws",
        "What cannot be shown changes nothing",
        "console.log({ get a() { throw 1; } }, new Proxy({}, { ownKeys() { throw 2; } })); return 1;",
        is_short,
    ),
    fails("error-huge", "An error of megabytes is cut", "throw new Error('e'.repeat(4e6));", &["Error"]),
    fails("error-deep-stack", "A stack is cut", "const f = (n) => { if (n === 0) throw new TypeError('x'); f(n - 1); }; f(500);", &["TypeError"]),
    ends(
        "error-of-anything",
        "Whatever is thrown is a failure",
        "const odd = [null, undefined, 0, '', Symbol('s'), 1n, () => {}, Object.create(null), new Proxy(class {}, {})];
        throw odd[3 + (context.awsRequestId.length % 5)];",
        &[Outcome::Failed],
        &["string", "symbol", "bigint", "function", "object"],
    ),
    ends(
        "error-of-nothing",
        "Throwing null is a failure and nothing else",
        "throw null;",
        &[Outcome::Failed],
        &["object"],
    ),
    ends(
        "error-that-throws",
        "An error that throws when it is described is a failure",
        "class Sly extends Error { get name() { throw this; } get message() { throw this; } get stack() { throw this; } toString() { throw this; } }
        throw new Sly();",
        &[Outcome::Failed],
        &["Error"],
    ),
    ends(
        "error-that-lies",
        "An error that calls itself out of memory is a failure like any other",
        "const e = new Error('out of memory'); e.name = 'InternalError'; throw e;",
        &[Outcome::Failed],
        &["InternalError"],
    ),
];
