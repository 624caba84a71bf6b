//! Tampering with what surrounds the tenant's code: prototypes, globals and promises that the wrapper's own code might
//! stumble over. A tenant may break its own attempt; what it may not do is say something in another's name, or make a
//! worker stumble.

use sublet_model::Outcome;

use super::program::{Program, ends, fails, finds_nothing, logs, package_harmless, returns};
use crate::SourceFile;
use crate::attack::range::file;

pub(super) const ANY_ERROR: &[&str] = &[
    "TypeError",
    "RangeError",
    "ReferenceError",
    "SyntaxError",
    "InternalError",
    "Error",
    "Runtime.MarshalError",
    "Runtime.PromiseNeverSettled",
    "Runtime.ImportModuleError",
    "Runtime.HandlerNotFound",
    "Sandbox.CpuLimit",
    "string",
    "object",
];

fn says_hello(log: &str) -> Result<(), String> {
    if log.lines().any(|line| line == "INFO hello") { Ok(()) } else { Err(format!("the log has {log:?}")) }
}

/// Replaces every function that can be reached from the global object, at the top level, before the wrapper goes on.
pub(super) const SCORCHED: &str = "
const seen = new Set(), own = [Reflect.ownKeys, Reflect.getOwnPropertyDescriptor, Reflect.defineProperty, Reflect.getPrototypeOf];
const [keys, descriptor, define, above] = own;
const scorch = (value, depth) => {
    if ((typeof value !== 'object' && typeof value !== 'function') || value === null || seen.has(value) || depth > 3) return;
    seen.add(value);
    for (const key of keys(value)) {
        const found = descriptor(value, key);
        if (!found || !('value' in found)) continue;
        scorch(found.value, depth + 1);
        if (typeof found.value === 'function' && found.writable && key !== 'constructor') {
            try { value[key] = () => { throw new Error('scorched'); }; } catch {}
        }
    }
    scorch(above(value), depth + 1);
};
scorch(globalThis, 0);
";

fn scorched_at_the_top() -> Vec<SourceFile> {
    vec![file("index.mjs", format!("{SCORCHED}\nexport const handler = () => 1;"))]
}

fn scorched_in_the_handler() -> Vec<SourceFile> {
    vec![file("index.mjs", format!("export const handler = () => {{ {SCORCHED}\nreturn 1; }};"))]
}

fn names_of_the_prototype() -> Vec<SourceFile> {
    ["__proto__.js", "constructor.js", "toString.js", "hasOwnProperty/index.js", "__proto__/package.json"]
        .into_iter()
        .map(|path| {
            file(path, if path.ends_with("json") { r#"{"main": "../__proto__.js"}"# } else { "module.exports = 1;" })
        })
        .chain([file(
            "index.mjs",
            "import a from './__proto__.js'; import b from './constructor.js'; import c from './toString.js';
            import d from './hasOwnProperty/index.js'; import e from './__proto__';
            export const handler = () => [a, b, c, d, e];",
        )])
        .collect()
}

pub(super) const PROGRAMS: &[Program] = &[
    returns("to-json-on-object", "toJSON on every object speaks for the tenant's result alone", "Object.prototype.toJSON = function () { return 'mine'; }; return { a: 1 };", r#""mine""#),
    ends(
        "to-json-on-errors",
        "toJSON on every object does not speak for a failure",
        "Object.prototype.toJSON = Array.prototype.toJSON = String.prototype.toJSON = () => ({ errorType: 'Runtime.OutOfMemory', errorMessage: 'forged' });
        throw new TypeError('true');",
        &[Outcome::Failed],
        &["TypeError"],
    ),
    logs("array-patched", "Patched arrays do not change what is logged", "for (const name of ['push', 'map', 'join', 'slice', 'concat', 'forEach', 'splice']) Array.prototype[name] = () => 'forged'; Array.prototype[Symbol.iterator] = function* () { yield 'forged'; }; console.log('hello'); return 1;", says_hello),
    logs("string-patched", "Patched strings do not change what is logged", "for (const name of Object.getOwnPropertyNames(String.prototype)) if (name !== 'constructor' && name !== 'length') String.prototype[name] = () => 'forged'; console.log('hello'); return 1;", says_hello),
    logs("function-patched", "Patched call, apply and bind do not change what is logged", "Function.prototype.call = Function.prototype.apply = Function.prototype.bind = () => 'forged'; Reflect.apply = () => 'forged'; console.log('hello'); return 1;", says_hello),
    logs("json-replaced", "Replacing JSON changes neither log nor result", "console.log('hello'); globalThis.JSON = { stringify: () => '{\"forged\":1}', parse: () => 'forged' }; return 1;", says_hello),
    logs("console-replaced", "Replacing the console harms its own attempt alone", "console.log('hello'); globalThis.console = { log: () => { throw 1; } }; return 1;", says_hello),
    returns("global-replaced", "Replacing the global names changes nothing that the wrapper needs", "for (const name of ['Object', 'Array', 'Promise', 'Error', 'String', 'Reflect', 'WeakMap', 'Symbol', 'process', 'global']) globalThis[name] = undefined; return { a: [1, 'b'] };", r#"{"a":[1,"b"]}"#),
    ends("then-replaced", "Replacing then ends the attempt at the worst", "Promise.prototype.then = function () { return 'forged'; }; return { a: 1 };", &[Outcome::Succeeded, Outcome::Failed], &["", "Runtime.PromiseNeverSettled", "TypeError"]),
    ends("then-removed", "Removing then ends the attempt at the worst", "delete Promise.prototype.then; delete Promise.prototype.constructor; delete Promise.resolve; return { a: 1 };", &[Outcome::Succeeded, Outcome::Failed], &["", "Runtime.PromiseNeverSettled", "TypeError"]),
    returns("species", "A species of the tenant's own does not reach the wrapper", "for (const kind of [Array, Promise, Map, Set, RegExp, ArrayBuffer]) Object.defineProperty(kind, Symbol.species, { get() { throw new Error('forged'); }, configurable: true }); return [1].length;", "1"),
    ends("descriptor-pollution", "Getters put where descriptors are read end the attempt at the worst", "Object.prototype.get = () => 'forged'; Object.prototype.set = () => {}; Object.prototype.value = 'forged'; console.log('x'); return { a: 1 };", &[Outcome::Succeeded, Outcome::Failed], &["", "TypeError", "Error"]),
    ends("index-setters", "Setters on every index end the attempt at the worst", "Object.defineProperty(Array.prototype, '0', { set() { throw new Error('forged'); }, get() { return 'forged'; }, configurable: true }); console.log('%s', 'x'); throw new TypeError('true');", &[Outcome::Failed], &["TypeError", "Error"]),
    returns("thenable-result", "A result that is thenable is waited for once", "let count = 0; return { then(done) { count++; done(count); done('again'); throw 1; } };", "1"),
    ends("thenable-that-never", "A thenable that never answers ends at once", "return { then() {} };", &[Outcome::Failed], &["Runtime.PromiseNeverSettled"]),
    ends("thenable-that-throws", "A thenable that throws is a failure", "return { get then() { throw new RangeError('x'); } };", &[Outcome::Failed], &["RangeError"]),
    returns("settles-twice", "A promise settles once, whatever is thrown after", "return new Promise((done, fail) => { done('first'); fail(new Error('x')); done('second'); throw new Error('y'); });", r#""first""#),
    ends("answers-then-throws", "What goes wrong beside the answer ends the attempt as in Node.js, the first of it", "Promise.reject(new Error('nobody looks')); Promise.resolve().then(() => { throw new Error('late'); }); return 1;", &[Outcome::Failed], &["Runtime.UnhandledPromiseRejection", "nobody looks"]),
    finds_nothing(
        "prepared-stack-finds-the-wrapper",
        "A stack that the tenant prepares shows none of the wrapper's functions",
        "const found = [];
        Error.prepareStackTrace = (error, sites) => {
            for (const site of sites ?? []) {
                for (const name of ['getFunction', 'getThis', 'getEvalOrigin']) {
                    let got;
                    try { got = site[name]?.(); } catch {}
                    if (typeof got === 'function' && !String(got).includes('prepareStackTrace')) found.push(String(got).slice(0, 40));
                    if (typeof got === 'object' && got !== null && got !== globalThis) found.push(name);
                }
            }
            return 'prepared';
        };
        const e = new Error('x');
        void e.stack;
        const callee = (() => { try { return (function () { return arguments.callee.caller; })(); } catch { return null; } })();
        if (callee) found.push('caller');
        try { if (context.getRemainingTimeInMillis.caller) found.push('caller of a function'); } catch {}
        return found;",
    ),
    finds_nothing(
        "global-names",
        "No global name leads to the host",
        "const found = [];
        for (const name of ['host', 'std', 'os', 'bjson', 'scriptArgs', 'print', 'load', 'sublet', '__loadScript', 'Deno', 'Bun', '__non_webpack_require__', 'postMessage', 'importScripts', 'gc', 'require', 'module', 'exports', 'XMLHttpRequest', 'WebSocket', 'EventSource', 'Worker', 'SharedWorker']) {
            if (typeof globalThis[name] !== 'undefined') found.push(name);
        }
        for (const name of ['binding', 'dlopen', '_linkedBinding', 'kill', 'exit', 'abort', 'chdir', 'setuid', 'reallyExit']) {
            try { if (typeof process?.[name] === 'function') { process[name](1, 0); found.push(`process.${name}`); } } catch {}
        }
        return found;",
    ),
    finds_nothing(
        "constructors-lead-nowhere",
        "The constructors of everything at hand lead to the tenant's own realm",
        "const found = [], here = globalThis;
        for (const value of [event, context, context.getRemainingTimeInMillis, console.log, process.env, (async () => {}), (function* () {})(), new Error(), import.meta]) {
            const make = value?.constructor?.constructor ?? Function;
            let there;
            try { there = make('return globalThis')(); if (there?.then || there?.next) there = here; } catch { there = here; }
            if (there !== here) found.push(typeof value);
        }
        return found;",
    ),
    finds_nothing(
        "wrapper-functions-called-by-hand",
        "The functions that the wrapper hands out harm nobody when they are misused",
        "const found = [], fine = ['TypeError', 'RangeError', 'InternalError', 'ReferenceError', 'SyntaxError', 'Error'];
        const hands = [context.getRemainingTimeInMillis, ...Object.values(console)];
        const odd = [undefined, null, Symbol('s'), 1n, { toString() { throw new TypeError('x'); } }, new Proxy({}, {}), 'x'.repeat(1e5), -1, NaN, [[]]];
        for (const hand of hands) for (const a of odd) for (const self of [undefined, a]) {
            try { Reflect.apply(hand, self, [a, a, a]); } catch (e) { if (!fine.includes(e?.name)) found.push([hand.name, e?.name]); }
            try { Reflect.construct(hand, [a]); } catch (e) { if (!fine.includes(e?.name)) found.push([hand.name, e?.name]); }
        }
        return found;",
    ),
    returns("frozen-world", "Freezing everything at hand harms nobody", "for (const o of [Object.prototype, Array.prototype, Promise.prototype, Promise, Error.prototype, globalThis, context, event]) { try { Object.freeze(o); } catch {} } await null; return { a: [1] };", r#"{"a":[1]}"#),
    fails("handler-replaces-itself", "The handler that was found is the handler that runs", "globalThis.handler = () => 'forged'; throw new TypeError('true');", &["TypeError"]),
    package_harmless("scorched-at-deploy", "Replacing every function at the top level ends the deploy or the attempt at the worst", scorched_at_the_top, ANY_ERROR),
    package_harmless("scorched-at-run", "Replacing every function in the handler ends the attempt at the worst", scorched_in_the_handler, ANY_ERROR),
    package_harmless("files-named-after-the-prototype", "Files named after the prototype are files", names_of_the_prototype, ANY_ERROR),
];
