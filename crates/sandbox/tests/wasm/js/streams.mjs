import { test, equal, same, ok, throws, rejects, sleep, run as handler } from "./check.mjs";
export { handler };

const of = (...chunks) => ReadableStream.from(chunks);
async function all(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

test("a reader reads, closes and is released", async () => {
  const stream = new ReadableStream({ start(controller) { controller.enqueue(1); controller.enqueue(2); controller.close(); } });
  const reader = stream.getReader();
  equal(stream.locked, true);
  throws("TypeError", () => stream.getReader());
  same([await reader.read(), await reader.read(), await reader.read()], [{ value: 1, done: false }, { value: 2, done: false }, { done: true }]);
  await reader.closed;
  reader.releaseLock();
  equal(stream.locked, false);
  await rejects("TypeError", reader.read());
  await rejects("TypeError", reader.closed);
});

test("pull is called when there is room or a reader waits, and waited for", async () => {
  let pulls = 0;
  const stream = new ReadableStream({ async pull(controller) { pulls++; await sleep(1); controller.enqueue(pulls); if (pulls === 5) controller.close(); } }, { highWaterMark: 2 });
  await sleep(10);
  equal(pulls, 2);
  same(await all(stream), [1, 2, 3, 4, 5]);
  const lazy = new ReadableStream({ pull() { pulls++; } }, { highWaterMark: 0 });
  pulls = 0;
  await sleep(1);
  equal(pulls, 0);
  lazy.getReader().read();
  await sleep(1);
  equal(pulls, 1);
});

test("reads wait for chunks, errors reach them", async () => {
  let controller;
  const stream = new ReadableStream({ start(made) { controller = made; } });
  const reader = stream.getReader(), first = reader.read(), second = reader.read();
  controller.enqueue("x");
  same(await first, { value: "x", done: false });
  equal(controller.desiredSize, 1);
  controller.error(new RangeError("broken"));
  await rejects("RangeError", second);
  await rejects("RangeError", reader.closed);
  await rejects("RangeError", reader.read());
  throws("TypeError", () => controller.enqueue(1));
  equal(controller.desiredSize, null);
  await rejects("EvalError", new ReadableStream({ start() { return Promise.reject(new EvalError()); } }).getReader().read());
  throws("EvalError", () => new ReadableStream({ start() { throw new EvalError(); } }));
});

test("cancel tells the source why", async () => {
  let reason;
  const stream = new ReadableStream({ cancel(given) { reason = given; return 5; } });
  equal(await stream.cancel("enough"), undefined);
  equal(reason, "enough");
  same(await stream.getReader().read(), { done: true });
  await rejects("TypeError", (() => { const other = of(1); other.getReader(); return other.cancel(); })());
  await rejects("URIError", new ReadableStream({ cancel() { throw new URIError(); } }).cancel());
});

test("iteration cancels when left early, unless told otherwise", async () => {
  let cancelled = 0;
  const make = () => new ReadableStream({ pull(controller) { controller.enqueue(1); }, cancel() { cancelled++; } });
  const left = make();
  for await (const chunk of left) { ok(chunk === 1); break; }
  equal(cancelled, 1);
  equal(left.locked, false);
  const kept = make();
  for await (const chunk of kept.values({ preventCancel: true })) break;
  equal(cancelled, 1);
  equal((await kept.getReader().read()).value, 1);
});

test("from, sizes, strategies", async () => {
  async function* source() { yield "a"; yield "b"; }
  same(await all(ReadableStream.from(source())), ["a", "b"]);
  same(await all(ReadableStream.from("hi")), ["h", "i"]);
  same(await all(ReadableStream.from([Promise.resolve(1), 2])), [1, 2]);
  throws("TypeError", () => ReadableStream.from(5));
  let controller;
  new ReadableStream({ start(made) { controller = made; } }, new ByteLengthQueuingStrategy({ highWaterMark: 10 }));
  controller.enqueue(new Uint8Array(7));
  equal(controller.desiredSize, 3);
  equal(new CountQueuingStrategy({ highWaterMark: 3 }).size("xx"), 1);
  throws("RangeError", () => new ReadableStream({}, { highWaterMark: -1 }));
  throws("TypeError", () => new ReadableStream({ type: "other" }));
  throws("TypeError", () => new ReadableStream({ pull: 1 }));
  throws("TypeError", () => of(1).getReader({ mode: "byob" }));
});

test("tee gives both the same, and cancels when both do", async () => {
  const [a, b] = of(1, 2, 3).tee();
  same(await Promise.all([all(a), all(b)]), [[1, 2, 3], [1, 2, 3]]);
  let reason;
  const [c, d] = new ReadableStream({ cancel(given) { reason = given; } }).tee();
  const first = c.cancel("x");
  await sleep(1);
  equal(reason, undefined);
  await Promise.all([first, d.cancel("y")]);
  same(reason, ["x", "y"]);
  const [e, f] = new ReadableStream({ pull() { throw new RangeError("x"); } }).tee();
  await rejects("RangeError", all(e));
  await rejects("RangeError", all(f));
});

test("byte streams take views", async () => {
  let controller;
  const stream = new ReadableStream({ type: "bytes", start(made) { controller = made; } });
  throws("TypeError", () => controller.enqueue("x"));
  controller.enqueue(new Uint16Array([1]));
  controller.close();
  const [chunk] = await all(stream);
  ok(chunk instanceof Uint8Array && chunk.length === 2);
});

test("a writer writes in order and waits for room", async () => {
  const seen = [];
  const stream = new WritableStream({ async write(chunk) { await sleep(1); seen.push(chunk); }, close() { seen.push("closed"); } }, { highWaterMark: 2 });
  const writer = stream.getWriter();
  equal(writer.desiredSize, 2);
  await writer.ready;
  writer.write("a");
  const second = writer.write("b");
  equal(writer.desiredSize, 0);
  let isReady = false;
  writer.ready.then(() => { isReady = true; });
  await Promise.resolve();
  equal(isReady, false);
  await second;
  await writer.ready;
  await writer.close();
  same(seen, ["a", "b", "closed"]);
  await writer.closed;
  await rejects("TypeError", writer.write("late"));
  writer.releaseLock();
  throws("TypeError", () => writer.desiredSize);
  equal(stream.locked, false);
});

test("sinks that fail, abort", async () => {
  const stream = new WritableStream({ write() { throw new RangeError("full"); } });
  const writer = stream.getWriter();
  await rejects("RangeError", writer.write(1));
  await rejects("RangeError", writer.closed);
  await rejects("RangeError", writer.write(2));
  let reason;
  const aborted = new WritableStream({ abort(given) { reason = given; } });
  const other = aborted.getWriter();
  await other.abort("why");
  equal(reason, "why");
  await other.closed.then(() => ok(false), (error) => equal(error, "why"));
  let controller;
  const signalled = new WritableStream({ start(made) { controller = made; }, write() { return new Promise((resolve) => controller.signal.addEventListener("abort", resolve)); } });
  const last = signalled.getWriter();
  last.write(1).catch(() => {});
  await sleep(1);
  await last.abort("stop");
  equal(controller.signal.reason, "stop");
});

test("pipes carry chunks and ends", async () => {
  const seen = [];
  await of(1, 2, 3).pipeTo(new WritableStream({ write(chunk) { seen.push(chunk); }, close() { seen.push("end"); } }));
  same(seen, [1, 2, 3, "end"]);
  let aborted;
  await rejects("RangeError", new ReadableStream({ pull() { throw new RangeError("source"); } }).pipeTo(new WritableStream({ abort(error) { aborted = error.message; } })));
  equal(aborted, "source");
  let cancelled;
  await rejects("EvalError", new ReadableStream({ pull(controller) { controller.enqueue(1); }, cancel(error) { cancelled = error.name; } }).pipeTo(new WritableStream({ write() { throw new EvalError("sink"); } })));
  equal(cancelled, "EvalError");
  const controller = new AbortController();
  const endless = new ReadableStream({ pull: () => sleep(1000) });
  const piped = endless.pipeTo(new WritableStream(), { signal: controller.signal });
  controller.abort();
  await rejects("AbortError", piped);
  equal(endless.locked, false);
  const kept = new WritableStream();
  await of(1).pipeTo(kept, { preventClose: true });
  await kept.getWriter().write(2);
  await rejects("TypeError", of(1).pipeTo({}));
});

test("transforms", async () => {
  const upper = () => new TransformStream({
    start(controller) { controller.enqueue("<"); },
    transform(chunk, controller) { controller.enqueue(chunk.toUpperCase()); },
    flush(controller) { controller.enqueue(">"); },
  });
  same(await all(of("a", "b").pipeThrough(upper()).pipeThrough(new TransformStream())), ["<", "A", "B", ">"]);
  await rejects("RangeError", all(of("a").pipeThrough(new TransformStream({ transform() { throw new RangeError("x"); } }))));
  same(await all(of(1, 2, 3).pipeThrough(new TransformStream({ transform(chunk, controller) { controller.enqueue(chunk); controller.terminate(); } }))), [1]);
  let cancelled;
  const { readable, writable } = new TransformStream({ cancel(reason) { cancelled = reason; } });
  const writer = writable.getWriter();
  writer.closed.catch(() => {});
  await readable.cancel("no more");
  equal(cancelled, "no more");
  await writer.write(1).then(() => ok(false, "it was written"), () => {});
  throws("TypeError", () => of(1).pipeThrough({}));
});

test("text and byte streams", async () => {
  const bytes = [...new TextEncoder().encode("aé😀")].map((byte) => new Uint8Array([byte]));
  equal((await all(of(...bytes).pipeThrough(new TextDecoderStream()))).join(""), "aé😀");
  const back = await all(of("a\ud83d", "\ude00b", "\ud800").pipeThrough(new TextEncoderStream()));
  equal(new TextDecoder().decode(Uint8Array.from(back.flatMap((chunk) => [...chunk]))), "a😀b\ufffd");
  equal(new TextDecoderStream("latin1").encoding, "windows-1252");
  await rejects("TypeError", all(of(new Uint8Array([255])).pipeThrough(new TextDecoderStream("utf-8", { fatal: true }))));
});

test("constructors that are not for calling", () => {
  for (const name of ["ReadableStreamDefaultController", "WritableStreamDefaultController", "TransformStreamDefaultController"]) throws("TypeError", () => new globalThis[name](), name);
  equal(String(of(1)), "[object ReadableStream]");
  throws("TypeError", () => ReadableStream.prototype.getReader.call({}));
});
