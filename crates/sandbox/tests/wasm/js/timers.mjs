import { test, equal, same, ok, throws, sleep, run as handler } from "./check.mjs";
export { handler };

const top = [];
setTimeout(() => top.push("late"), 20);
setImmediate(() => top.push("immediate"));
const topInterval = setInterval(() => top.push("tick"), 5);

test("timers fire in the order of their time, then of their setting", async () => {
  const seen = [];
  setTimeout(() => seen.push("c"), 15);
  setTimeout((...rest) => seen.push(rest.join("")), 0, "a", 1);
  setTimeout(() => seen.push("b2"), 5);
  setTimeout(() => seen.push("b3"), 5);
  await sleep(25);
  same(seen, ["a1", "b2", "b3", "c"]);
});

test("what the top level left running counts from the attempt's start", async () => {
  await sleep(30);
  ok(top.includes("immediate"), "immediate");
  ok(top.includes("late"), "late");
  ok(top.filter((entry) => entry === "tick").length <= 14, `${top.length} ticks`);
  clearInterval(topInterval);
});

test("promises go on between two timers", async () => {
  const seen = [];
  setTimeout(() => { seen.push(1); Promise.resolve().then(() => seen.push("job")); }, 0);
  setTimeout(() => seen.push(2), 0);
  await sleep(5);
  same(seen, [1, "job", 2]);
});

test("intervals repeat until cleared, and clearing twice or nonsense is harmless", async () => {
  let count = 0;
  await new Promise((resolve) => {
    const timer = setInterval(() => { if (++count === 3) { clearInterval(timer); clearInterval(timer); resolve(); } }, 1);
  });
  await sleep(10);
  equal(count, 3);
  clearTimeout(); clearTimeout(undefined); clearTimeout(null); clearTimeout({}); clearTimeout("x"); clearImmediate(12345);
});

test("a cleared timer never fires, by handle or by number", async () => {
  const fired = [];
  const a = setTimeout(() => fired.push("a"), 1);
  const b = setTimeout(() => fired.push("b"), 1);
  const c = setImmediate(() => fired.push("c"));
  clearTimeout(a);
  clearTimeout(+b);
  clearImmediate(c);
  await sleep(10);
  same(fired, []);
});

test("a handle has Node's methods", async () => {
  const fired = [];
  const timer = setTimeout(() => fired.push("x"), 10);
  equal(timer.unref(), timer);
  equal(timer.hasRef(), false);
  equal(timer.ref().hasRef(), true);
  ok(Number.isInteger(+timer));
  await sleep(6);
  timer.refresh();
  await sleep(6);
  same(fired, [], "refreshed");
  await sleep(10);
  same(fired, ["x"]);
  const closed = setTimeout(() => fired.push("closed"), 1);
  closed.close();
  await sleep(4);
  same(fired, ["x"]);
});

test("refresh begins a timer anew that has fired, and none that was cleared", async () => {
  let count = 0;
  const timer = setTimeout(() => { if (++count < 3) timer.refresh(); }, 2);
  const number = +timer;
  await sleep(20);
  equal(count, 3);
  timer.refresh();
  clearTimeout(number);
  await sleep(10);
  equal(count, 3, "cleared by its number");
  timer.refresh();
  await sleep(10);
  equal(count, 3, "cleared for ever");
});

test("immediates come before timers of a millisecond, and endless ones starve nobody", async () => {
  const seen = [];
  let running = true;
  const again = () => { if (running) setImmediate(again); };
  again();
  setTimeout(() => { running = false; seen.push("timer"); }, 2);
  await sleep(10);
  same(seen, ["timer"]);
  running = true;
  const spin = () => { if (running) setTimeout(spin, 0); };
  spin();
  await new Promise((resolve) => setImmediate(resolve));
  running = false;
});

test("callbacks must be functions", () => {
  throws("TypeError", () => setTimeout("code", 1));
  throws("TypeError", () => setInterval());
  throws("TypeError", () => queueMicrotask(1));
});

test("there is a limit of timers", () => {
  const all = [];
  const error = throws("RangeError", () => { for (;;) all.push(setTimeout(() => {}, 1e6)); });
  ok(error.message.includes("10000"), error.message);
  ok(all.length > 9000 && all.length <= 10000, all.length);
  all.forEach(clearTimeout);
  clearTimeout(setTimeout(() => {}, 1));
});

test("many timers keep their order", async () => {
  const seen = [], timers = [];
  for (let i = 0; i < 500; i++) timers.push(setTimeout(() => seen.push((i * 37) % 7), 15 * ((i * 37) % 7)));
  for (let i = 0; i < 500; i += 3) clearTimeout(timers[i]);
  await sleep(110);
  equal(seen.length, 333);
  same(seen, seen.toSorted((a, b) => a - b));
});

test("performance begins with the attempt and runs on", async () => {
  const first = performance.now();
  ok(first >= 0 && first < 5000, first);
  await sleep(3);
  ok(performance.now() - first >= 2, "it runs");
  ok(Math.abs(performance.timeOrigin + performance.now() - Date.now()) < 50, "it agrees with the clock");
  same(Object.keys(performance.toJSON()), ["timeOrigin"]);
  equal(Object.prototype.toString.call(performance), "[object Performance]");
});

test("queueMicrotask runs before timers", async () => {
  const seen = [];
  setTimeout(() => seen.push("timer"), 0);
  queueMicrotask(() => seen.push("job"));
  await sleep(2);
  same(seen, ["job", "timer"]);
});
