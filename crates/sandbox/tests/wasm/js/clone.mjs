import { test, equal, same, ok, throws, run as handler } from "./check.mjs";
export { handler };

test("values and plain objects", () => {
  for (const value of [1, -0, NaN, "x", true, null, undefined, 10n]) equal(structuredClone(value), value);
  const made = { a: [1, , 3], b: { c: new Date(5) }, [Symbol("s")]: 1, get g() { return 7; } };
  const copy = structuredClone(made);
  ok(copy !== made && copy.a !== made.a && copy.b.c !== made.b.c);
  same(copy, { a: [1, null, 3], b: { c: "1970-01-01T00:00:00.005Z" }, g: 7 });
  equal(1 in copy.a, false);
  equal(Object.getOwnPropertySymbols(copy).length, 0);
  const array = Object.assign([1], { extra: 2 });
  equal(structuredClone(array).extra, 2);
  class Point { x = 1; get y() { return 2; } }
  const point = structuredClone(new Point());
  equal(Object.getPrototypeOf(point), Object.prototype);
  same(point, { x: 1 });
  equal(Object.getPrototypeOf(structuredClone(Object.create(null))), Object.prototype);
  same(structuredClone(JSON.parse('{"__proto__": {"a": 1}}')).__proto__, { a: 1 });
});

test("cycles and shared parts stay so", () => {
  const made = { name: "c", list: [] };
  made.self = made;
  made.list.push(made, made.list);
  made.map = new Map([[made, made]]);
  const copy = structuredClone(made);
  ok(copy.self === copy && copy.list[0] === copy && copy.list[1] === copy.list && copy.map.get(copy) === copy);
});

test("builtin kinds", () => {
  const when = structuredClone(new Date(NaN));
  ok(when instanceof Date && Number.isNaN(when.getTime()));
  const pattern = /a(b)/giu;
  pattern.lastIndex = 3;
  const copied = structuredClone(pattern);
  same([copied.source, copied.flags, copied.lastIndex], ["a(b)", "giu", 0]);
  same([...structuredClone(new Map([[1, { a: 1 }], ["k", new Set([1])]])).keys()], [1, "k"]);
  same([...structuredClone(new Set([1, "2"]))], [1, "2"]);
  const boxes = structuredClone([new Number(3), new String("s"), new Boolean(false), Object(4n)]);
  ok(boxes[0] instanceof Number && boxes[1] instanceof String && boxes[2] instanceof Boolean && boxes[3] instanceof BigInt);
  same([boxes[0] + 1, boxes[1] + "", boxes[2].valueOf()], [4, "s", false]);
  const sparse = structuredClone(new Array(5));
  equal(sparse.length, 5);
});

test("errors", () => {
  const cause = new RangeError("inner");
  const made = Object.assign(new TypeError("outer", { cause }), { extra: 1 });
  const copy = structuredClone(made);
  ok(copy instanceof TypeError && copy.cause instanceof RangeError && copy !== made);
  same([copy.message, copy.cause.message, copy.name, copy.extra], ["outer", "inner", "TypeError", undefined]);
  equal(copy.stack, made.stack);
  class Custom extends Error { name = "Custom"; }
  const custom = structuredClone(new Custom("m"));
  equal(Object.getPrototypeOf(custom), Error.prototype);
  equal(custom.message, "m");
  const dom = structuredClone(new DOMException("m", "AbortError"));
  ok(dom instanceof DOMException && dom.name === "AbortError" && dom.message === "m");
});

test("buffers and views", () => {
  const buffer = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]).buffer;
  const { a, b, v } = structuredClone({ a: new Uint8Array(buffer, 2, 3), b: new Uint16Array(buffer, 2), v: new DataView(buffer, 1, 2) });
  same([...a], [3, 4, 5]);
  equal(a.buffer, b.buffer);
  ok(a.buffer !== buffer && v.byteOffset === 1 && v.byteLength === 2 && v.buffer === a.buffer);
  equal(b.length, 3);
  for (const Class of [Int8Array, Uint8ClampedArray, Int32Array, BigInt64Array, BigUint64Array, Float16Array, Float32Array, Float64Array]) {
    const copy = structuredClone(new Class(2));
    ok(copy instanceof Class && copy.length === 2, Class.name);
  }
  const growing = structuredClone(new ArrayBuffer(2, { maxByteLength: 8 }));
  same([growing.resizable, growing.maxByteLength, growing.byteLength], [true, 8, 2]);
});

test("transfer moves buffers, and leaves them when cloning fails", () => {
  const buffer = new Uint8Array([1, 2, 3]).buffer, view = new Uint8Array(buffer);
  const copy = structuredClone({ view, buffer }, { transfer: [buffer] });
  same([...copy.view], [1, 2, 3]);
  ok(copy.view.buffer === copy.buffer && buffer.detached && view.length === 0);
  const kept = new ArrayBuffer(4);
  throws("DataCloneError", () => structuredClone({ kept, f() {} }, { transfer: [kept] }));
  equal(kept.byteLength, 4);
  throws("DataCloneError", () => structuredClone(1, { transfer: [kept, kept] }));
  throws("DataCloneError", () => structuredClone(1, { transfer: [{}] }));
  throws("DataCloneError", () => structuredClone(buffer));
});

test("what cannot be cloned", () => {
  for (const value of [() => 1, Symbol("x"), { f() {} }, [new WeakMap()], new WeakSet(), new WeakRef({}), Promise.resolve(), new Headers(), new URL("http://a"), new AbortController().signal, Object(Symbol("y"))]) {
    const error = throws("DataCloneError", () => structuredClone(value), String(typeof value));
    ok(error instanceof DOMException);
  }
  throws("TypeError", () => structuredClone());
});

test("pretenders are plain objects", () => {
  for (const Class of [Map, Set, Date, RegExp, ArrayBuffer]) {
    const copy = structuredClone(Object.assign(Object.create(Class.prototype), { own: 1 }));
    equal(Object.getPrototypeOf(copy), Object.prototype);
    same(copy, { own: 1 });
  }
});

test("blobs and files", async () => {
  const file = structuredClone({ f: new File(["abc"], "a.txt", { type: "text/plain", lastModified: 5 }), b: new Blob(["x"]) });
  ok(file.f instanceof File && file.b instanceof Blob && !(file.b instanceof File));
  same([file.f.name, file.f.type, file.f.lastModified, await file.f.text()], ["a.txt", "text/plain", 5, "abc"]);
});
