import { test, equal, same, ok, throws, rejects, sleep, run as handler } from "./check.mjs";
export { handler };

test("an event has its fields", () => {
  const event = new Event("ping", { cancelable: true, bubbles: true });
  same([event.type, event.bubbles, event.cancelable, event.composed, event.defaultPrevented, event.eventPhase, event.target, event.isTrusted], ["ping", true, true, false, false, 0, null, false]);
  ok(event.timeStamp >= 0);
  equal(Event.AT_TARGET, 2);
  event.preventDefault();
  equal(event.defaultPrevented, true);
  equal(String(event), "[object Event]");
  same(new CustomEvent("c", { detail: { a: 1 } }).detail, { a: 1 });
  equal(new CustomEvent("c").detail, null);
  equal(new ErrorEvent("error", { message: "m", error: 5 }).error, 5);
  throws("TypeError", () => new Event());
  throws("TypeError", () => Event("x"));
});

test("listeners run in order, once each, with the target as this", () => {
  const target = new EventTarget(), seen = [];
  function first(event) { seen.push(["first", this === target, event.target === target, event.currentTarget === target, event.eventPhase]); }
  target.addEventListener("a", first);
  target.addEventListener("a", first);
  target.addEventListener("a", { handleEvent(event) { seen.push(["object", event.type]); } });
  target.addEventListener("a", () => seen.push("capture"), true);
  target.addEventListener("a", () => seen.push("once"), { once: true });
  equal(target.dispatchEvent(new Event("a")), true);
  same(seen, ["capture", ["first", true, true, true, 2], ["object", "a"], "once"]);
  seen.length = 0;
  target.removeEventListener("a", first);
  target.dispatchEvent(new Event("a"));
  same(seen, ["capture", ["object", "a"]]);
});

test("stopping, preventing, passive", () => {
  const target = new EventTarget(), seen = [];
  target.addEventListener("a", (event) => { event.preventDefault(); seen.push(1); event.stopImmediatePropagation(); });
  target.addEventListener("a", () => seen.push(2));
  equal(target.dispatchEvent(new Event("a", { cancelable: true })), false);
  same(seen, [1]);
  const passive = new EventTarget();
  passive.addEventListener("a", (event) => event.preventDefault(), { passive: true });
  equal(passive.dispatchEvent(new Event("a", { cancelable: true })), true);
});

test("listeners that are added or removed while it runs", () => {
  const target = new EventTarget(), seen = [];
  const second = () => seen.push("second");
  target.addEventListener("a", () => { target.removeEventListener("a", second); target.addEventListener("a", () => seen.push("new")); });
  target.addEventListener("a", second);
  target.dispatchEvent(new Event("a"));
  same(seen, []);
});

test("a signal removes a listener", () => {
  const target = new EventTarget(), controller = new AbortController();
  let count = 0;
  target.addEventListener("a", () => count++, { signal: controller.signal });
  target.dispatchEvent(new Event("a"));
  controller.abort();
  target.dispatchEvent(new Event("a"));
  equal(count, 1);
});

test("an event that is under way cannot be dispatched again", () => {
  const target = new EventTarget();
  let name;
  target.addEventListener("a", (event) => { try { target.dispatchEvent(event); } catch (error) { name = error.name; } });
  target.dispatchEvent(new Event("a"));
  equal(name, "InvalidStateError");
  throws("TypeError", () => target.dispatchEvent({}));
});

test("a class can extend EventTarget", () => {
  class Emitter extends EventTarget { #x = 1; fire() { return this.dispatchEvent(new CustomEvent("x", { detail: this.#x })); } }
  const emitter = new Emitter();
  let got;
  emitter.addEventListener("x", (event) => { got = event.detail; });
  emitter.fire();
  equal(got, 1);
});

test("abort: reason, event, onabort, throwIfAborted", () => {
  const controller = new AbortController(), { signal } = controller, seen = [];
  signal.onabort = function (event) { seen.push(["on", this === signal, event.type, event.isTrusted]); };
  signal.addEventListener("abort", () => seen.push("listener"));
  equal(signal.aborted, false);
  equal(signal.reason, undefined);
  signal.throwIfAborted();
  controller.abort();
  controller.abort("again");
  same(seen, [["on", true, "abort", true], "listener"]);
  equal(signal.reason.name, "AbortError");
  ok(signal.reason instanceof DOMException);
  equal(signal.reason.code, 20);
  throws("AbortError", () => signal.throwIfAborted());
  equal(AbortSignal.abort("why").reason, "why");
  throws("TypeError", () => new AbortSignal());
});

test("AbortSignal.timeout and any", async () => {
  const timed = AbortSignal.timeout(5);
  const controller = new AbortController();
  const any = AbortSignal.any([controller.signal, timed]);
  equal(any.aborted, false);
  await new Promise((resolve) => any.addEventListener("abort", resolve));
  equal(any.reason.name, "TimeoutError");
  equal(any.reason, timed.reason);
  equal(AbortSignal.any([AbortSignal.abort(1), timed]).reason, 1);
  equal(AbortSignal.any([]).aborted, false);
  throws("TypeError", () => AbortSignal.any([1]));
});

test("DOMException", () => {
  const error = new DOMException("m", "DataCloneError");
  same([error.name, error.message, error.code, error instanceof Error, DOMException.ABORT_ERR], ["DataCloneError", "m", 25, true, 20]);
  same([new DOMException().name, new DOMException().message], ["Error", ""]);
  equal(String(error), "DataCloneError: m");
  equal(Object.prototype.toString.call(error), "[object DOMException]");
  ok(typeof error.stack === "string" && error.stack.includes("index.mjs"), `stack ${error.stack}`);
});

test("reportError writes to the log and goes on", () => {
  reportError(new Error("told"));
  throws("TypeError", () => reportError());
});
