// node: modules, as far as a table of expressions cannot show: order, identity, time, what reaches the log.
import assert from "node:assert/strict";
import { EventEmitter, once, on } from "node:events";
import events from "events";
import { promisify, callbackify, deprecate, inherits, inspect, isDeepStrictEqual } from "node:util";
import { Buffer as ModuleBuffer, constants, transcode } from "node:buffer";
import { setTimeout as later, setInterval as every } from "node:timers/promises";
import timers from "node:timers";
import process, { nextTick, hrtime } from "node:process";
import console from "node:console";
import { performance as timing } from "node:perf_hooks";
import os from "node:os";
import url, { fileURLToPath, pathToFileURL, domainToUnicode, format } from "node:url";
import { StringDecoder } from "node:string_decoder";
import { test, equal, same, ok, throws, rejects, run as handler } from "./check.mjs";
export { handler };

test("Buffer is the global and a Uint8Array", () => {
  ok(Buffer === ModuleBuffer && Buffer.from("a") instanceof Uint8Array && Buffer.from("a").constructor === Buffer);
  const whole = Buffer.from("abcdef"), part = whole.subarray(2, 4), slice = whole.slice(1, 3);
  part[0] = 0x58;
  equal(whole.toString(), "abXdef");
  equal(slice.toString(), "bX");
  ok(Buffer.isBuffer(part) && Buffer.isBuffer(whole.map((byte) => byte)) && !Buffer.isBuffer(new Uint8Array(1)));
  same([...Buffer.alloc(3).fill("ab")], [97, 98, 97]);
  equal(new Uint8Array(Buffer.from("x").buffer).length, 1);
  equal(JSON.stringify({ b: Buffer.from("hi") }), '{"b":{"type":"Buffer","data":[104,105]}}');
  equal(`${Buffer.from("é")}`, "é");
  ok(constants.MAX_LENGTH > 1e9);
  equal(Buffer.from("hé", "ucs2").ucs2Slice(2), "é");
  same([...transcode(Buffer.from("€a😀é"), "utf8", "latin1")], [63, 97, 63, 233]);
  equal(throws("Error", () => transcode(Buffer.from("a"), "utf8", "hex")).code, "U_ILLEGAL_ARGUMENT_ERROR");
  const large = Buffer.from("€uro".repeat(400_000));
  equal(large.toString().length, 1_600_000);
  equal(large.toString(), "€uro".repeat(400_000));
  equal(Buffer.from(large.toString("base64"), "base64").equals(large), true);
  class Own extends Buffer {}
  ok(Own.prototype instanceof Uint8Array);
});

test("hexadecimal and base64 texts, good and bad, long and short", () => {
  const many = 1 << 18;
  equal(Buffer.from("ab".repeat(many), "hex").length, many);
  equal(Buffer.from(`${"ab".repeat(many)}a`, "hex").length, many);
  equal(Buffer.from(`${"ab".repeat(many)}zz00`, "hex").length, many);
  equal(Buffer.from(`0${"z".repeat(many)}`, "hex").length, 0);
  const url = Buffer.alloc(many, 255).toString("base64url");
  for (const text of [url, url.replaceAll("_", "/"), `${url.slice(4)}\n+-/_`]) equal(Buffer.from(text, "base64").length, many, text.slice(-4));
  equal(Buffer.from("!".repeat(many), "base64url").length, 0);
  const cases = { "00fg11": "00", "0": "", "aBc": "ab", "é0": "", "zz00": "" };
  for (const text in cases) equal(Buffer.from(text, "hex").toString("hex"), cases[text], text);
  const base64 = { "YQ": "a", "YQ=": "a", "YQ==YQ==": "a", " Y\nQ ": "a", "_-8": "\xff\xef", "/-8=": "\xff\xef", "Y!Q": "a", "YWJjZ": "abc", "=YQ": "" };
  for (const text in base64) equal(Buffer.from(text, "base64").toString("latin1"), base64[text], text);
});

test("process", async () => {
  ok(process === globalThis.process);
  same([process.platform, process.argv.length, process.cwd(), process.version[0]], ["linux", 0, "/", "v"]);
  equal(process.on("exit", () => {}), process);
  ok(hrtime.bigint() > 0n && hrtime(hrtime())[0] === 0 && process.uptime() >= 0);
  const order = [];
  nextTick((value) => order.push(value), "tick");
  order.push("now");
  await null;
  same(order, ["now", "tick"]);
  process.stdout.write("one\ntwo\n");
  process.stderr.write(Buffer.from("three"));
  process.emitWarning("old", "DeprecationWarning", "DEP1");
  process.emitWarning("careful");
  throws("Error", () => process.chdir("/x"));
  equal(process.env.NOTHING, undefined);
  process.env.SET = "here";
  equal(process.env.SET, "here");
  ok(console === globalThis.console && timing === globalThis.performance);
  equal(os.EOL, "\n");
});

test("timers and their promises", async () => {
  equal(await later(1, "value"), "value");
  let count = 0;
  for await (const tick of every(1, "tick")) if ((count += tick === "tick") === 3) break;
  equal(count, 3);
  const stopped = new AbortController();
  const waiting = later(60_000, undefined, { signal: stopped.signal });
  stopped.abort();
  equal((await rejects("AbortError", waiting)).code, "ABORT_ERR");
  for (const name of ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "setImmediate", "clearImmediate"]) equal(timers[name], globalThis[name], name);
  await new Promise((done) => timers.setTimeout(done, 1));
  equal(await promisify(setTimeout)(1, "late"), "late");
  equal(await promisify(setImmediate)("soon"), "soon");
  equal(promisify(setTimeout), later);
  await new Promise((done) => setImmediate(done));
});

test("events.once, events.on and inheritance", async () => {
  ok(events === EventEmitter && events.EventEmitter === EventEmitter);
  const emitter = new EventEmitter();
  const seen = once(emitter, "ready");
  emitter.emit("ready", 1, 2);
  same(await seen, [1, 2]);
  const failing = once(emitter, "ready");
  emitter.emit("error", new RangeError("no"));
  await rejects("RangeError", failing);
  equal(emitter.listenerCount("ready") + emitter.listenerCount("error"), 0);
  const target = new EventTarget(), fired = once(target, "go");
  target.dispatchEvent(new Event("go"));
  equal((await fired)[0].type, "go");
  setTimeout(() => { for (let i = 0; i < 3; i++) emitter.emit("item", i); });
  const items = [];
  for await (const [item] of on(emitter, "item")) {
    items.push(item);
    if (items.length === 3) break;
  }
  same(items, [0, 1, 2]);
  const stop = new AbortController();
  const cut = once(emitter, "never", { signal: stop.signal });
  stop.abort();
  await rejects("AbortError", cut);
  class Own extends EventEmitter { constructor() { super(); this.x = 1; } }
  same(Object.keys(new Own()).includes("x"), true);
  function Old() { EventEmitter.call(this); }
  inherits(Old, EventEmitter);
  let heard = 0;
  new Old().on("a", function () { heard += this instanceof Old; }).emit("a");
  equal(heard, 1);
  const captured = new EventEmitter({ captureRejections: true });
  const caught = new Promise((done) => captured.on("error", done));
  captured.on("x", async () => { throw new Error("inside"); });
  captured.emit("x");
  equal((await caught).message, "inside");
  EventEmitter.captureRejections = true;
  const all = new EventEmitter();
  EventEmitter.captureRejections = false;
  const heardOf = once(all, "never");
  all.on("x", async () => { throw new RangeError("inside"); });
  all.emit("x");
  await rejects("RangeError", heardOf);
});

test("promisify, callbackify, deprecate", async () => {
  equal(await promisify((a, b, done) => done(null, a + b))(1, 2), 3);
  await rejects("Error", promisify((done) => done(new Error("x")))());
  equal(await new Promise((done) => callbackify(async (a) => a * 2)(4, (error, value) => done(value))), 8);
  equal((await new Promise((done) => callbackify(async () => { throw null; })(done))).code, "ERR_FALSY_VALUE_REJECTION");
  const promised = promisify((done) => done(null, 1));
  equal(promisify(promised), promised);
  equal(deprecate(() => 5, "unused", "DEP9").length, 0);
});

test("assert.rejects and what it says", async () => {
  await assert.rejects(async () => { throw new TypeError("bad"); }, TypeError);
  await assert.rejects(Promise.reject(new Error("x")), { message: "x" });
  await assert.doesNotReject(async () => 1);
  const missing = await rejects("AssertionError", assert.rejects(async () => 1));
  equal(missing.message, "Missing expected rejection.");
  equal(missing.code, "ERR_ASSERTION");
  const wrong = throws("AssertionError", () => assert.deepEqual({ a: [1, 2] }, { a: [1, 3] }));
  equal(wrong.message, "Expected values to be strictly deep-equal:\n+ actual - expected\n\n  {\n    a: [\n      1,\n+     2\n-     3\n    ]\n  }");
  ok(wrong instanceof Error && wrong instanceof assert.AssertionError && wrong.generatedMessage);
});

test("errors as util.inspect shows them", () => {
  const error = Object.assign(new TypeError("bad"), { code: "E_BAD" });
  ok(/^TypeError: bad\n    at .*modules|index\.mjs/.test(inspect(error)), inspect(error));
  ok(inspect(error).endsWith("{\n  code: 'E_BAD'\n}"), inspect(error));
  ok(inspect(new Error("outer", { cause: new Error("inner") })).includes("[cause]: Error: inner"));
  ok(inspect({ error: new DOMException("gone", "AbortError") }).includes("DOMException [AbortError]: gone"));
  const coded = throws("TypeError", () => Buffer.from(5)), head = "TypeError [ERR_INVALID_ARG_TYPE]: The first argument";
  for (const text of [inspect(coded), coded.stack, String(coded)]) ok(text.startsWith(head), text);
  same([coded.name, Object.keys(coded)], ["TypeError", ["code"]]);
  ok(throws("AssertionError", () => assert.equal(1, 2)).stack.startsWith("AssertionError [ERR_ASSERTION]: "));
  equal(inspect(new Proxy({ a: 1 }, {})), "{ a: 1 }");
  ok(isDeepStrictEqual(new Error("a"), new Error("a")));
  const cycle = { list: [] };
  cycle.list.push(cycle);
  equal(inspect(cycle), "<ref *1> { list: [ [Circular *1] ] }");
});

test("objects of the web's classes as util.inspect shows them", () => {
  const url = new URL("http://u@a.b:81/c?d=e#f");
  equal(inspect(url), `URL {
  href: 'http://u@a.b:81/c?d=e#f',
  origin: 'http://a.b:81',
  protocol: 'http:',
  username: 'u',
  password: '',
  host: 'a.b:81',
  hostname: 'a.b',
  port: '81',
  pathname: '/c',
  search: '?d=e',
  searchParams: URLSearchParams { 'd' => 'e' },
  hash: '#f'
}`);
  equal(inspect({ a: { b: { c: url } } }), "{ a: { b: { c: URL {} } } }");
  ok(inspect({ url }).includes("  url: URL {\n    href: 'http"));
  ok(inspect(new Response("x")).includes("  headers: Headers { 'content-type': 'text/plain;charset=UTF-8' },"));
  const form = new FormData();
  form.append("a", "1");
  form.append("a", "2");
  const shown = [
    [new URLSearchParams("a=1&a=2"), "URLSearchParams { 'a' => '1', 'a' => '2' }"],
    [new URLSearchParams(), "URLSearchParams {}"],
    [new Headers({ b: "1", "x-y": "2" }), "Headers { b: '1', 'x-y': '2' }"],
    [new AbortController(), "AbortController { signal: AbortSignal { aborted: false } }"],
    [AbortSignal.abort(), "AbortSignal { aborted: true }"],
    [new Blob(["ab"], { type: "t/x" }), "Blob { size: 2, type: 't/x' }"],
    [new File(["a"], "n", { lastModified: 5 }), "File { size: 1, type: '', name: 'n', lastModified: 5 }"],
    [form, "FormData { a: [ '1', '2' ] }"],
    [new ReadableStream(), "ReadableStream { locked: false, state: 'readable', supportsBYOB: false }"],
    [new (class Own extends Headers {})({ a: "b" }), "Own { a: 'b' }"],
    [Object.create(URL.prototype), "URL {}"],
  ];
  for (const [object, text] of shown) equal(inspect(object), text);
});

test("urls and decoders", () => {
  const decoder = new StringDecoder("utf8");
  equal(decoder.write(Buffer.from([0xe2, 0x82])) + decoder.write(Buffer.from([0xac])) + decoder.end(), "€");
  equal(url.URL, URL);
  equal(fileURLToPath("file:///a%20b/c"), "/a b/c");
  equal(pathToFileURL("/a b/#c?").href, "file:///a%20b/%23c%3F");
  equal(format(new URL("https://u:p@x.y/?a#b"), { auth: false, fragment: false }), "https://x.y/?a");
  equal(domainToUnicode("xn--mnchen-3ya.de"), "münchen.de");
});
