//! Holding the processor: loops, and single operations of the engine that take for ever. What the engine does in one go
//! must be ended as well as a loop.

use sublet_model::Outcome;

use super::program::{Program, burns, ends};
use crate::attack::verdict::Spends;

/// Ended by the CPU limit, unless there is no memory for it or the engine refuses it first.
const BOUNDED: &[&str] =
    &["Sandbox.CpuLimit", "Runtime.OutOfMemory", "RangeError", "TypeError", "InternalError", "SyntaxError"];
const ENDED: &[Outcome] = &[Outcome::TimedOut, Outcome::OutOfMemory, Outcome::Failed];

const fn bounded(name: &'static str, promise: &'static str, body: &'static str) -> Program {
    ends(name, promise, body, ENDED, BOUNDED)
}

pub(super) const PROGRAMS: &[Program] = &[
    burns("loop", "An endless loop is ended by its CPU limit", "for (;;);"),
    burns("loop-in-finally", "A loop in a finally block is ended", "try { for (;;); } finally { for (;;); }"),
    burns("loop-that-catches", "A loop that catches everything is ended", "for (;;) { try { throw 1; } catch {} }"),
    burns("loop-of-awaits", "A loop of awaits is ended", "for (;;) await null;"),
    burns("loop-of-async-calls", "A loop of async calls is ended", "const f = async () => {}; for (;;) await f();"),
    burns(
        "microtask-flood",
        "Microtasks that make microtasks are ended",
        "const again = () => Promise.resolve().then(again); again(); await new Promise(() => {});",
    ),
    burns(
        "microtask-fan",
        "Microtasks that double are ended",
        "const again = () => { Promise.resolve().then(again); return Promise.resolve().then(() => {}); }; for (let i = 0; i < 100; i++) again(); await new Promise(() => {});",
    ),
    burns(
        "thenable-flood",
        "Thenables that resolve to thenables are ended",
        "const again = { then(done) { done(again); } }; return again;",
    ),
    burns("generator-loop", "An endless iterator is ended", "for (const _ of (function* () { for (;;) yield 1; })());"),
    burns(
        "async-generator-loop",
        "An endless async iterator is ended",
        "for await (const _ of (async function* () { for (;;) yield 1; })());",
    ),
    burns(
        "getter-on-the-result-loops",
        "A getter on the result that loops is ended",
        "return { get a() { for (;;); } };",
    ),
    burns("to-json-loops", "A toJSON that loops is ended", "return { toJSON() { for (;;); } };"),
    burns(
        "proxy-result-loops",
        "A proxy as the result that loops is ended",
        "return new Proxy({}, { ownKeys() { for (;;); } });",
    ),
    burns(
        "error-getter-loops",
        "A getter on the thrown error that loops is ended",
        "throw Object.defineProperty(new Error('x'), 'message', { get() { for (;;); } });",
    ),
    burns(
        "thrown-proxy-loops",
        "A proxy that is thrown and loops is ended",
        "throw new Proxy({}, { get() { for (;;); }, getPrototypeOf() { for (;;); }, ownKeys() { for (;;); } });",
    ),
    burns(
        "prepared-stack-loops",
        "A stack that the tenant prepares and that loops is ended",
        "Error.prepareStackTrace = () => { for (;;); }; const e = new Error('x'); e.stack; throw e;",
    ),
    burns(
        "log-getter-loops",
        "A value that loops when it is logged is ended",
        "console.log({ get a() { for (;;); } });",
    ),
    burns("eval-loop", "A loop in eval is ended", "(0, eval)('for (;;);');"),
    burns(
        "regexp-nested-quantifier",
        "A catastrophic regular expression is ended: nested quantifiers",
        "return /^(a+)+$/.test('a'.repeat(60) + '!');",
    ),
    burns(
        "regexp-alternatives",
        "A catastrophic regular expression is ended: overlapping alternatives",
        "return /^(a|aa|a|a)+$/.test('a'.repeat(60) + '!');",
    ),
    burns(
        "regexp-back-reference",
        "A catastrophic regular expression is ended: back references",
        "return /^(a*)*\\1*b$/.test('a'.repeat(60));",
    ),
    burns(
        "regexp-look-behind",
        "A catastrophic regular expression is ended: lookbehind",
        "return /(?<=b(a+)+)!/.test('a'.repeat(60) + '!');",
    ),
    burns(
        "regexp-ignore-case",
        "A catastrophic regular expression is ended: without case, by code point",
        "return /^(\\p{L}+)+$/iu.test('ä'.repeat(60) + '!');",
    ),
    burns(
        "regexp-replace",
        "A catastrophic regular expression is ended: within replace",
        "return 'a'.repeat(60).concat('!').replace(/(a*)*b/g, 'x');",
    ),
    burns(
        "regexp-split",
        "A catastrophic regular expression is ended: within split",
        "return 'a'.repeat(60).concat('!').split(/(?:a+)+b/);",
    ),
    burns(
        "regexp-long-text",
        "A quadratic search through a long text is ended",
        "return /a*a*a*a*b/.test('a'.repeat(1e5));",
    ),
    bounded(
        "regexp-counted",
        "A regular expression with huge counts is ended or refused",
        "return /((a{0,5000}){0,5000}){0,5000}b/.test('a'.repeat(1e5));",
    ),
    bounded(
        "sort-huge",
        "Sorting a huge array is ended",
        "const a = Array.from({ length: 1e6 }, (_, i) => -i); for (;;) { a.sort((x, y) => x - y); a.reverse(); }",
    ),
    bounded(
        "sort-lying",
        "A comparison that lies does not sort for ever",
        "const a = Array.from({ length: 1e5 }, () => 1); for (;;) a.sort(() => (a.flip = !a.flip) ? 1 : -1);",
    ),
    bounded(
        "json-huge",
        "Reading and writing huge JSON is ended",
        "const text = `[${'1,'.repeat(1e6)}1]`; for (;;) JSON.stringify(JSON.parse(text));",
    ),
    bounded(
        "text-search",
        "A quadratic search in one operation is ended",
        "const a = 'a'.repeat(1e6); for (;;) a.indexOf('a'.repeat(5e5) + 'b');",
    ),
    bounded(
        "text-replace",
        "A replacement that grows the text is ended",
        "let a = 'a'; for (;;) a = a.replaceAll('a', 'aaaa');",
    ),
    bounded(
        "text-normalize",
        "Normalising and folding a long text is ended",
        "const a = 'ạ̈'.repeat(1e5); for (;;) { a.normalize('NFKD'); a.toUpperCase(); a.localeCompare(a + 'b'); }",
    ),
    bounded(
        "array-join",
        "Joining an array of a billion holes is ended or refused",
        "return new Array(1e9).join('x').length;",
    ),
    bounded(
        "array-fill",
        "Filling an array of four billion is ended or refused",
        "return new Array(2 ** 32 - 1).fill(0).length;",
    ),
    bounded(
        "array-like-reverse",
        "Reversing an array-like of nine quadrillion is ended",
        "Array.prototype.reverse.call({ length: 2 ** 53 - 1 });",
    ),
    bounded(
        "array-like-search",
        "Searching an array-like of nine quadrillion is ended",
        "return Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1);",
    ),
    bounded(
        "array-like-unshift",
        "Shifting an array-like of nine quadrillion is ended",
        "Array.prototype.unshift.call({ length: 2 ** 53 - 2 }, 1);",
    ),
    bounded(
        "array-sparse",
        "Walking a sparse array of four billion is ended",
        "const a = []; a[4294967294] = 1; for (;;) a.lastIndexOf(2), a.forEach(() => {}), a.sort();",
    ),
    bounded(
        "number-power",
        "A power of millions of digits is ended or refused",
        "return (3n ** 10000000n) % 7n === 1n;",
    ),
    bounded(
        "number-text",
        "Turning a number of a million digits into text is ended",
        "for (;;) ((1n << 1000000n) - 1n).toString().length;",
    ),
    bounded("number-parse", "Reading a number of millions of digits is ended", "for (;;) BigInt('9'.repeat(1e6));"),
    bounded(
        "number-divide",
        "Dividing numbers of a million digits is ended",
        "const a = (1n << 4000000n) - 1n, b = (1n << 2000000n) - 3n; for (;;) a / b;",
    ),
    bounded(
        "buffer-fill",
        "Filling large buffers over and over is ended",
        "const a = new Uint8Array(16 << 20); for (;;) a.fill(1), a.copyWithin(1, 0), a.reverse();",
    ),
    bounded(
        "map-of-collisions",
        "A map whose keys collide is ended",
        "const m = new Map(); for (let i = 0; ; i++) m.set(i * 4294967296, i);",
    ),
    bounded("collector-churn", "Garbage of cycles that never ends is ended", "for (;;) { const a = {}; a.a = { a }; }"),
    bounded(
        "proxy-loop",
        "A prototype chain that a proxy closes is ended",
        "const p = new Proxy({}, { getPrototypeOf: () => p, has: (t, k) => Reflect.has(Object.create(p), k) }); for (;;) { 'x' in p; p instanceof Object; }",
    ),
    ends(
        "never-settles",
        "A handler that never answers ends at once, for nothing can wake it",
        "await new Promise(() => {});",
        &[Outcome::Failed],
        &["Runtime.PromiseNeverSettled"],
    ),
    burns(
        "time-stands-still",
        "Replacing the clock does not stop the limit",
        "Date.now = () => 0; context.getRemainingTimeInMillis = () => 1e9; for (;;);",
    ),
    ends(
        "many-loops-at-once",
        "Many promises that loop are one attempt's CPU time",
        "await Promise.all(Array.from({ length: 1000 }, async () => { for (;;) await 0; }));",
        &[Outcome::TimedOut],
        &["Sandbox.CpuLimit"],
    )
    .spending(Spends::Cpu),
];
