//! Recursion in every shape that the engine knows: an error of the tenant's own, never a worker's end.

use std::time::Duration;

use sublet_model::Outcome;

use super::program::{Program, ends, fails, finds_nothing, returns};

const DEEP: &[&str] = &["RangeError", "InternalError"];
/// A text that is nested beyond all reason may be told as bad syntax too.
const DEEP_TEXT: &[&str] = &["RangeError", "SyntaxError", "InternalError"];

pub(super) const PROGRAMS: &[Program] = &[
    fails("recursion", "Endless recursion is an error of the tenant's own", "const f = (n) => f(n + 1) + 1; return f(0);", DEEP),
    returns(
        "recursion-that-catches",
        "Recursion can be caught, as anywhere",
        "const f = (n) => { try { return f(n + 1); } catch (e) { return [e.name, n > 100]; } }; return f(0);",
        r#"["RangeError",true]"#,
    ),
    fails("mutual-recursion-through-natives", "Recursion through built-in functions is an error", "const f = (a) => [1].map(() => f(a)).concat(`${a}`.replace(/1/g, () => f(a))); return f(1);", DEEP),
    fails("recursive-getter", "Recursion through getters is an error", "const o = { get a() { return this.a; } }; return o.a;", DEEP),
    fails("recursive-proxy", "Recursion through proxies is an error", "const f = () => new Proxy({}, { get: f }).a; return f();", DEEP),
    fails("recursive-to-string", "Recursion through conversions is an error", "const o = { toString() { return `${o}`; } }; return `${o}`;", DEEP),
    fails("recursive-constructor", "Recursion through constructors is an error", "class A { constructor() { new A(); } } new A();", DEEP),
    fails("recursive-sort", "Recursion through comparisons is an error", "const f = () => [2, 1].sort(f); f();", DEEP),
    fails("recursive-generator", "Recursion through generators is an error", "function* g() { yield* g(); } return [...g()];", DEEP),
    fails("recursive-iterator", "Recursion through iterators is an error", "const o = { [Symbol.iterator]() { return [...o]; } }; return [...o];", DEEP),
    fails("recursive-async", "Recursion through async functions is an error", "const f = async () => { await f(); }; await f();", DEEP),
    fails("recursive-eval", "Recursion through eval is an error", "globalThis.f = () => (0, eval)('f()'); return f();", DEEP),
    fails("recursive-template", "Recursion through tags is an error", "const tag = () => tag`x`; return tag`x`;", DEEP),
    fails("recursive-reviver", "Recursion through JSON's reviver is an error", "const f = () => JSON.parse('[1]', f); return f();", DEEP),
    fails("recursive-to-json", "Recursion through toJSON is an error", "const o = { toJSON() { return JSON.stringify(o); } }; return JSON.stringify(o);", DEEP),
    fails("recursive-primitive", "Recursion through toPrimitive is an error", "const o = { [Symbol.toPrimitive]() { return +o; } }; return +o;", DEEP),
    fails("recursive-instanceof", "Recursion through instanceof is an error", "const o = { [Symbol.hasInstance]() { return {} instanceof o; } }; return {} instanceof o;", DEEP),
    fails("deep-json-parse", "JSON that nests a million deep is an error", "return JSON.parse('['.repeat(1e6));", DEEP_TEXT),
    fails("deep-json-object", "JSON objects that nest a million deep are an error", "return JSON.parse('{\"a\":'.repeat(1e6));", DEEP_TEXT),
    ends(
        "deep-json-text",
        "A deep value turned to JSON by the tenant is an error",
        "let a = []; for (let i = 0; i < 1e5; i++) a = [a]; return JSON.stringify(a).length;",
        &[Outcome::Failed, Outcome::TimedOut],
        &["RangeError", "InternalError", "Sandbox.CpuLimit"],
    ),
    fails("deep-eval", "Source that nests a hundred thousand deep is an error", "return eval('('.repeat(1e5));", DEEP_TEXT),
    fails("deep-eval-array", "Array literals that nest a hundred thousand deep are an error", "return eval('['.repeat(1e5) + ']'.repeat(1e5));", DEEP_TEXT),
    fails("deep-eval-unary", "Operators that nest a hundred thousand deep are an error", "return eval('!'.repeat(1e6) + '1');", DEEP_TEXT),
    fails("deep-eval-function", "Functions that nest ten thousand deep are an error", "return eval('(()=>{'.repeat(1e4) + '})'.repeat(1e4));", DEEP_TEXT),
    fails("deep-eval-pattern", "Patterns that nest a hundred thousand deep are an error", "return eval(`let ${'['.repeat(1e5)}a${']'.repeat(1e5)} = 1`);", DEEP_TEXT),
    fails("deep-eval-template", "Templates that nest a hundred thousand deep are an error", "return eval('`${'.repeat(1e5) + '1' + '}`'.repeat(1e5));", DEEP_TEXT),
    fails("deep-regexp", "A regular expression that nests a hundred thousand deep is an error", "return new RegExp('('.repeat(1e5) + ')'.repeat(1e5)).test('x');", DEEP_TEXT),
    fails("deep-regexp-look", "Lookarounds that nest a hundred thousand deep are an error", "return new RegExp('(?='.repeat(1e5) + ')'.repeat(1e5)).test('x');", DEEP_TEXT),
    fails("deep-regexp-class", "Character classes that nest a hundred thousand deep are an error", "return new RegExp('['.repeat(1e5) + ']'.repeat(1e5), 'v').test('x');", DEEP_TEXT),
    fails("deep-proxy", "A chain of a hundred thousand proxies is an error", "let s = {}; for (let i = 0; i < 1e5; i++) s = new Proxy(s, {}); return s.a;", DEEP),
    finds_nothing(
        "deep-chains",
        "Chains of bound functions, prototypes and aggregates end in an error or in a value",
        "const found = [], fine = ['RangeError', 'TypeError', 'InternalError'];
        const tries = (use) => { try { use(); } catch (e) { if (!fine.includes(e.name)) found.push(e.name); } };
        tries(() => { let f = () => 1; for (let i = 0; i < 1e4; i++) f = f.bind(null); f(); });
        tries(() => { let f = class {}; for (let i = 0; i < 1e4; i++) f = f.bind(null); return {} instanceof f; });
        tries(() => { let f = class {}; for (let i = 0; i < 1e4; i++) f = f.bind(null); return new f(); });
        tries(() => { let o = {}; for (let i = 0; i < 1e4; i++) o = Object.create(o); return o.a; });
        tries(() => { let a = [1]; for (let i = 0; i < 1e4; i++) a = [a]; return a.flat(Infinity); });
        tries(() => { let a = [1]; for (let i = 0; i < 1e4; i++) a = [a]; return String(a); });
        tries(() => { let s = 'x'; for (let i = 0; i < 1e4; i++) s = s + 'y' + s.length; return s.length; });
        tries(() => Math.max(...new Array(1e5).fill(1)));
        tries(() => String.fromCharCode.apply(null, new Array(1e5).fill(65)).length);
        tries(() => Reflect.construct(Array, new Array(1e5).fill(1)).length);
        tries(() => Function(...new Array(5e3).fill('a'), ''));
        return found;",
    )
    .holding(384 << 20)
    .within(Duration::from_secs(3)),
    fails(
        "deep-promise",
        "A chain of a hundred thousand promises ends in a value or in an error",
        "let p = Promise.resolve(1); for (let i = 0; i < 1e4; i++) { const inner = p; p = new Promise((done) => done(inner)); }
        await p; throw new RangeError('it came through');",
        DEEP,
    ),
];
