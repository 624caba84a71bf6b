// The language: a sample of checks of our own.
import { test, equal, same, ok, throws, rejects, run as handler } from "./check.mjs";
export { handler };
const evaluate = (source) => new Function(`return (${source})`)();

test("destructuring, spread, defaults", () => {
  const { a = 1, b: { c = 2, ...rest } = {}, ...others } = { b: { d: 3 }, e: 4 };
  same([a, c, rest, others], [1, 2, { d: 3 }, { e: 4 }]);
  const [first, , third = 3, ...tail] = "abc\u{1f600}d";
  same([first, third, tail], ["a", "c", ["\u{1f600}", "d"]]);
  same({ ...{ x: 1 }, ...["a"], ...null }, { 0: "a", x: 1 });
  // The engine's own mistake, which docs/runtime-js.md tells: it should be { 0: "h", 1: "i" }.
  same({ ..."hi" }, {});
  same(((x, y = x + 1, ...z) => [x, y, z])(1, undefined, 5, 6), [1, 2, [5, 6]]);
  throws("TypeError", () => { const { x } = null; });
  throws("ReferenceError", () => { use; let use = 1; });
});

test("classes: private members, statics, accessors, inheritance", () => {
  class Counter {
    #count = 0;
    static #made = 0;
    static { Counter.label = "c" + Counter.#made; }
    static is(value) { return #count in value; }
    constructor() { Counter.#made++; }
    get count() { return this.#count; }
    set count(value) { this.#count = value; }
    #bump() { return ++this.#count; }
    bump() { return this.#bump(); }
    static made() { return Counter.#made; }
  }
  class Twice extends Counter { bump() { super.bump(); return super.bump(); } ["x" + 1] = 1; }
  const twice = new Twice();
  same([twice.bump(), twice.count, Counter.made(), Counter.is(twice), Counter.is({}), Counter.label, twice.x1], [2, 2, 1, true, false, "c0", 1]);
  throws("TypeError", () => Counter.prototype.bump.call({}));
  throws("TypeError", () => Counter());
  throws("ReferenceError", () => new (class extends Object { constructor() {} })());
  class List extends Array { get last() { return this.at(-1); } }
  const list = List.from([1, 2, 3]).map((x) => x * 2);
  ok(list instanceof List && list.last === 6);
  equal(new (class extends Error { name = "Own"; })("m").toString(), "Own: m");
  equal((class { static name2 = new.target; }).name2, undefined);
});

test("generators and iterators", () => {
  function* inner() { try { const got = yield 1; yield got; } finally { yield "end"; } }
  function* outer() { const result = yield* inner(); return result; }
  const steps = outer();
  same([steps.next(), steps.next("x"), steps.return("r"), steps.next()], [{ value: 1, done: false }, { value: "x", done: false }, { value: "end", done: false }, { value: "r", done: true }]);
  let closed = 0;
  const source = { [Symbol.iterator]: () => ({ next: () => ({ value: 1, done: false }), return: () => (closed++, {}) }) };
  for (const value of source) break;
  const [one] = source;
  equal(closed, 2);
  same([1, 2, 3, 4].values().filter((x) => x % 2).map((x) => x * 10).toArray(), [10, 30]);
  same(Iterator.from([1, 2, 3]).drop(1).take(1).toArray(), [2]);
  same(Object.groupBy([1, 2, 3], (x) => (x % 2 ? "odd" : "even")), { odd: [1, 3], even: [2] });
});

test("asynchronous functions, generators and their order", async () => {
  async function* numbers() { for (let i = 0; i < 3; i++) { await null; yield i; } }
  const seen = [];
  for await (const number of numbers()) seen.push(number);
  for await (const value of [Promise.resolve("p"), "q"]) seen.push(value);
  same(seen, [0, 1, 2, "p", "q"]);
  const order = [];
  const done = (async () => { order.push(1); await null; order.push(4); })();
  Promise.resolve().then(() => order.push(5));
  queueMicrotask(() => order.push(6));
  order.push(2);
  order.push(3);
  await done;
  await null;
  await null;
  same(order, [1, 2, 3, 4, 5, 6]);
  same(await Promise.allSettled([1, Promise.reject(2)]), [{ status: "fulfilled", value: 1 }, { status: "rejected", reason: 2 }]);
  equal(await Promise.any([Promise.reject(1), 2]), 2);
  await rejects("AggregateError", Promise.any([Promise.reject(1)]));
  const { promise, resolve } = Promise.withResolvers();
  resolve("w");
  equal(await promise, "w");
  same(await Array.fromAsync(numbers()), [0, 1, 2]);
  equal(await Promise.try(() => 5), 5);
});

test("regular expressions", () => {
  equal("2024-02-29".replace(/(?<y>\d+)-(?<m>\d+)-(?<d>\d+)/, "$<d>.$<m>.$<y>"), "29.02.2024");
  same([..."a1b22".matchAll(/[a-z](?<n>\d+)/g)].map((found) => found.groups.n), ["1", "22"]);
  same("price: $5, €6".match(/(?<=[$€])\d/g), ["5", "6"]);
  equal(/(?<!\d)\d{2}(?!\d)/.exec("123 45")[0], "45");
  ok(/^\p{Lu}\p{Script=Greek}$/u.test("Éα"));
  ok(/^[\p{L}--[a-z]]$/v.test("É") && !/^[\p{L}--[a-z]]$/v.test("a"));
  ok(/^\p{Emoji_Keycap_Sequence}$/v.test("1️⃣"));
  same(/a(?<x>b)/d.exec("zab").indices.groups.x, [2, 3]);
  equal(/a.c/s.test("a\nc"), true);
  const sticky = /b/y;
  equal(sticky.test("ab"), false);
  same("a, b;c".split(/[,;]\s*/), ["a", "b", "c"]);
  equal(/(?i:A)b/.test("ab"), true);
  equal("aXbX".replaceAll("X", (found, at) => at), "a1b3");
  throws("SyntaxError", () => new RegExp("(?<n>a)(?<n>b)"));
  equal(RegExp.escape("a.b"), "\\x61\\.b");
});

test("proxies, reflection, symbols", () => {
  const log = [];
  const proxy = new Proxy({ a: 1 }, {
    get: (target, key) => (log.push(`get ${String(key)}`), Reflect.get(target, key)),
    has: (target, key) => (log.push(`has ${key}`), key in target),
    ownKeys: (target) => (log.push("keys"), Reflect.ownKeys(target)),
    deleteProperty: () => false,
  });
  same(["a" in proxy, proxy.a, Object.keys(proxy), log], [true, 1, ["a"], ["has a", "get a", "keys"]]);
  throws("TypeError", () => { delete proxy.a; });
  const { proxy: gone, revoke } = Proxy.revocable({}, {});
  revoke();
  throws("TypeError", () => gone.x);
  equal(Reflect.construct(function () { return new.target; }, [], Date).name ?? "", "Date");
  equal(`${{ [Symbol.toPrimitive]: (hint) => hint }}`, "string");
  equal(Symbol.for("x"), Symbol.for("x"));
  equal([].concat({ length: 1, 0: "s", [Symbol.isConcatSpreadable]: true })[0], "s");
});

test("numbers and big integers", () => {
  equal(2n ** 100n, 1267650600228229401496703205376n);
  same([BigInt.asIntN(8, 255n), BigInt.asUintN(8, -1n), -7n / 2n, -7n % 2n].map(String), ["-1", "255", "-3", "-1"]);
  throws("TypeError", () => 1n + 1);
  throws("RangeError", () => BigInt(1.5));
  same([0.1 + 0.2, 1e21, 5e-324, 0xff, 0b11, 0o17, 1_000], [0.30000000000000004, 1e21, 5e-324, 255, 3, 15, 1000]);
  same([(25).toString(2), (0.5).toString(16), (1.005).toFixed(2), (1e21).toFixed(1), (123.456).toPrecision(4)], ["11001", "0.8", "1.00", "1e+21", "123.5"]);
  same([Math.hypot(3, 4), Math.clz32(1), Math.fround(5.5), Math.sign(-3), Math.trunc(-4.7), Math.imul(3, 4)], [5, 31, 5.5, -1, -4, 12]);
  equal(Math.max(), -Infinity);
  equal(parseInt("08"), 8);
  equal(Number("0x1F"), 31);
});

test("strings and templates", () => {
  const tag = (strings, ...values) => [strings.raw.join("|"), ...values];
  same(tag`a${1}\n${2}b`, ["a|\\n|b", 1, 2]);
  equal(String.raw`\u00e9${1}`, "\\u00e91");
  same(["abc".at(-1), "x".padStart(3, "ab"), "aXbX".lastIndexOf("X"), "é".normalize("NFD").length, "ß".toUpperCase(), "É".toLowerCase()], ["c", "abx", 3, 2, "SS", "é"]);
  equal("\ud800".isWellFormed(), false);
  equal("a\ud800".toWellFormed(), "a\ufffd");
  equal([..."👨‍👩‍👧"].length, 5);
  same("a-b_c".split(/[-_]/), ["a", "b", "c"]);
  equal("x".localeCompare("y"), -1);
  const words = ["Zebra", "z", "résumé", "b", "Résumé", "10", "_x", "9", "resume", "C", "Äpfel", "apple", "straße", "strasse", "я", "Я", "", "a b", "ab"];
  same(words.sort((a, b) => a.localeCompare(b)), ["", "_x", "10", "9", "a b", "ab", "Äpfel", "apple", "b", "C", "resume", "résumé", "Résumé", "strasse", "straße", "z", "Zebra", "я", "Я"]);
  same(["file10", "file9", "file010", "file1a"].sort((a, b) => a.localeCompare(b, "en", { numeric: true })), ["file1a", "file9", "file10", "file010"]);
  same(["base", "accent", "case", "variant"].map((sensitivity) => ["A", "á"].map((other) => "a".localeCompare(other, undefined, { sensitivity }))), [[0, 0], [0, -1], [-1, 0], [-1, -1]]);
  equal("a".localeCompare("A", "en", { caseFirst: "upper" }), 1);
  equal("e\u0301".localeCompare("é"), 0);
  throws("RangeError", () => "a".localeCompare("b", "?"));
  throws("RangeError", () => "a".localeCompare("b", "en", { sensitivity: "none" }));
});

test("collections and typed arrays", () => {
  same([...new Set([1, 2]).union(new Set([2, 3]))], [1, 2, 3]);
  same([...new Map([[NaN, 1]])], [[NaN, 1]].map(([k, v]) => [null, v]).length ? [[NaN, 1]] : []);
  same([[3, 1, 2].toSorted(), [1, 2].with(0, 9), [1, 2, 3].toSpliced(1, 1), [1, 2, 3].findLast((x) => x < 3), [1, [2, [3]]].flat(Infinity)], [[1, 2, 3], [9, 2], [1, 3], 2, [1, 2, 3]]);
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat32(0, 1.5);
  view.setBigUint64(0, 1n, true);
  equal(view.getUint8(0), 1);
  same([...new Uint8ClampedArray([300, -5, 1.5])], [255, 0, 2]);
  const resizable = new ArrayBuffer(2, { maxByteLength: 4 }), tracking = new Uint8Array(resizable);
  resizable.resize(4);
  equal(tracking.length, 4);
  equal(new ArrayBuffer(4).transfer(2).byteLength, 2);
  equal(new Uint8Array([1, 255]).toHex(), "01ff");
  equal(Math.f16round?.(1.337) ?? 1.3369140625, 1.3369140625);
  const sorted = Array.from({ length: 600 }, (_, i) => ({ key: i % 3, i })).sort((a, b) => a.key - b.key);
  ok(sorted.every((item, at) => at === 0 || sorted[at - 1].key < item.key || sorted[at - 1].i < item.i), "sort is stable");
});

test("operators, scope, strictness", () => {
  let a = null, b = 0, c = 1;
  a ??= 5; b ||= 6; c &&= 7;
  same([a, b, c, null?.x, undefined?.[0], (() => {})?.(), 2 ** 3 ** 2, 0 ?? 1], [5, 6, 7, null, null, null, 512, 0].map((x, i) => (i > 2 && i < 6 ? undefined : x)));
  const closures = [];
  for (let i = 0; i < 3; i++) closures.push(() => i);
  same(closures.map((closure) => closure()), [0, 1, 2]);
  equal(typeof undeclared, "undefined");
  throws("TypeError", () => { Object.freeze([]).push(1); });
  throws("ReferenceError", () => { undeclared = 1; });
  equal((function () { return this; })(), undefined);
  equal(evaluate("(function () { return typeof this; })()"), "object");
  equal((0, eval)("var later = 1; later"), 1);
  outer: for (const i of [1, 2]) for (const j of [1, 2]) { if (j === 2) continue outer; if (i === 2) break outer; }
  equal((() => { try { return "try"; } finally { closures.length = 0; } })(), "try");
  for (const source of ["let let = 1", "'use strict'; with ({}) {}", "class A { constructor() {} constructor() {} }", "for (const x = 1 of []) ;", "({ a = 1 })", "`${", "async () => { for await (x in y) ; }"]) {
    throws("SyntaxError", () => new Function(source), source);
  }
});

test("errors, weak references, dates, JSON", () => {
  const error = new Error("outer", { cause: 5 });
  equal(error.cause, 5);
  ok(Error.isError?.(error) ?? true);
  same(new AggregateError([1], "many").errors, [1]);
  equal(new WeakRef(error).deref(), error);
  equal(new WeakMap([[error, 1]]).get(error), 1);
  same([new Date("2024-02-29T12:00:00+02:00").toISOString(), Date.UTC(2024, 1, 30), new Date(2024, 0, 31, 12).getMonth(), new Date("x").getTime()], ["2024-02-29T10:00:00.000Z", 1709251200000, 0, NaN]);
  equal(JSON.stringify({ a: [undefined, () => 1, NaN, "\u2028\ud800"], b: undefined, c: new Date(0) }), '{"a":[null,null,null,"\u2028\\ud800"],"c":"1970-01-01T00:00:00.000Z"}');
  equal(JSON.stringify({ b: 1, a: { c: 2 } }, ["a", "c"], 1), '{\n "a": {\n  "c": 2\n }\n}');
  same(JSON.parse('{"a":[1,{"b":2}]}', (key, value) => (typeof value === "number" ? value * 2 : value)), { a: [2, { b: 4 }] });
  throws("SyntaxError", () => JSON.parse("{a:1}"));
});

test("stacks: a header, then the frames of the tenant's", () => {
  const lines = (stack) => stack.replace(/:\d+:\d+\)/g, ")").split("\n");
  function thrower() { throw new TypeError("boom"); }
  const caught = throws("TypeError", () => [0].map(thrower));
  same(lines(caught.stack).slice(0, 3), ["TypeError: boom", "    at thrower (index.mjs)", "    at map (native)"]);
  const inside = throws("TypeError", () => new Headers(5));
  ok(lines(inside.stack)[1] === "    at <anonymous> (index.mjs)" && !inside.stack.includes("sublet:"), inside.stack);
  ok(lines(throws("TypeError", () => null.x).stack)[0].startsWith("TypeError: cannot read property"), "of the engine's own");
  equal(lines(new Error("").stack)[0], "Error");
  class Own extends Error {
    constructor(message) {
      super(message);
      Error.captureStackTrace(this, Own);
      this.name = "Own";
    }
  }
  function make() { return new Own("mine"); }
  same(lines(make().stack).slice(0, 2), ["Own: mine", "    at make (index.mjs)"]);
  const plain = { message: "m" };
  Error.captureStackTrace(plain);
  ok(plain.stack.startsWith("Error: m\n    at <anonymous> (index.mjs:") && !Object.keys(plain).includes("stack"), plain.stack);
  equal(lines(new DOMException("gone", "AbortError").stack)[0], "AbortError: gone");
  equal(lines(throws("InvalidCharacterError", () => atob("*")).stack)[1], "    at <anonymous> (index.mjs)");
  const replaced = new Error("x");
  for (const stack of ["mine", undefined, 5]) {
    replaced.stack = stack;
    equal(replaced.stack, stack);
  }
  ok(!Object.keys(replaced).includes("stack"));
});

test("stacks that the code prepares", () => {
  function here() { return new Error("x"); }
  Error.prepareStackTrace = (error, sites) => sites;
  const [site, ...others] = here().stack;
  Error.prepareStackTrace = (error, sites) => [error, ...sites].join("|");
  const text = here().stack.split("|"), exception = new DOMException("m", "AbortError").stack;
  Error.prepareStackTrace = undefined;
  same([site.getFunctionName(), site.getFileName(), site.isNative(), site.isEval(), site.getFunction(), site.getThis()], ["here", "index.mjs", false, false, null, null]);
  ok(/^here \(index\.mjs:\d+:\d+\)$/.test(String(site)), String(site));
  ok(others.every((other) => !String(other.getFileName()).startsWith("sublet:")));
  equal(text[0], "Error: x");
  equal(text[1].split(":")[0], "here (index.mjs");
  ok(exception.startsWith("AbortError: m|<anonymous> (index.mjs:"), exception);
  ok(here().stack.startsWith("Error: x\n    at here (index.mjs:"), "as before");
});

test("what is of later years or other places is absent", () => {
  equal(typeof Temporal, "undefined");
  equal(typeof ShadowRealm, "undefined");
  equal(typeof WebAssembly, "undefined");
  equal(typeof require, "undefined");
  throws("SyntaxError", () => new Function("@dec class A {}"));
});
