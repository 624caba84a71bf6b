// Timers: a heap by due time. The C side asks `due` when no job is left and calls `turn` when the time has come or
// something arrived from outside. One callback a turn, so that its promises go on before the next.
const TIMERS_MAX = 10_000;
const DELAY_MS_MAX = 2 ** 31 - 1;
const waking = [];
const immediates = [];
// Numbers that were asked of timers, for those who keep numbers.
const numbered = new Map();
// Calls that await something from outside, by id. Their `arrived` is called with the call, a kind and bytes.
const awaited = new Map();
let timersCount = 0, timersHeld = 0, timersMade = 0, immediateIsNext = false;
// When the attempt (in a build: the first look at the clock) began, and when the build ended, in microseconds.
let beganUs, builtUs;

const isBefore = (a, b) => a.due < b.due || (a.due === b.due && a.order < b.order);

function heapPlace(timer, at) {
  for (; at > 0; at = (at - 1) >> 1) {
    const above = waking[(at - 1) >> 1];
    if (!isBefore(timer, above)) break;
    waking[at] = above;
    above.at = at;
  }
  for (;;) {
    let below = 2 * at + 1;
    if (below + 1 < waking.length && isBefore(waking[below + 1], waking[below])) below++;
    if (below >= waking.length || !isBefore(waking[below], timer)) break;
    waking[at] = waking[below];
    waking[at].at = at;
    at = below;
  }
  waking[at] = timer;
  timer.at = at;
}

function heapInsert(timer) {
  waking.push(timer);
  heapPlace(timer, waking.length - 1);
}

function heapRemove(timer) {
  const last = waking.pop(), at = timer.at;
  timer.at = -1;
  if (last !== timer) heapPlace(last, at);
}

// Timers that the top level left running count from the attempt's start on, not from a deploy that may be years ago (or
// ahead, for its clock leaps).
function rebaseTimers() {
  if (builtUs === undefined) return;
  for (const timer of waking) timer.due += beganUs - builtUs;
  builtUs = undefined;
}

function startTimer(timer) {
  if (timersCount >= TIMERS_MAX) throw new RangeError(`more than ${TIMERS_MAX} timers at once`);
  rebaseTimers();
  timersCount++;
  if (timer.isHeld) timersHeld++;
  timer.isLive = true;
  timer.order = timersMade++;
  if (timer.number !== undefined) numbered.set(timer.number, timer);
  if (timer.delay === undefined) {
    immediates.push(timer);
  } else {
    timer.due = host.micros() + timer.delay * 1000;
    heapInsert(timer);
  }
  return timer;
}

function stopTimer(timer) {
  if (!timer.isLive) return;
  timer.isLive = false;
  timersCount--;
  if (timer.isHeld) timersHeld--;
  if (timer.at >= 0) heapRemove(timer);
  if (timer.number !== undefined) numbered.delete(timer.number);
}

// For ever, whether it has fired or not.
function clearTimer(timer) {
  if (timer === undefined) return;
  timer.isCleared = true;
  stopTimer(timer);
}

function holdTimer(timer, isHeld) {
  if (timer.isHeld === isHeld) return;
  timer.isHeld = isHeld;
  if (timer.isLive) timersHeld += isHeld ? 1 : -1;
}

// { run, rest, delay in ms (undefined: an immediate), every in ms (undefined: once) } and what the functions above add.
function newTimer(run, rest, delay, every) {
  return { run, rest, delay, every, due: 0, order: 0, at: -1, number: undefined, isLive: false, isCleared: false, isHeld: true, handle: undefined };
}

let timerOf;
// What setTimeout and setInterval answer, as in Node.js: an object that converts to a number.
class Timeout {
  #timer;
  static {
    timerOf = (value) => {
      if (typeof value === "object" && value !== null) return #timer in value ? value.#timer : undefined;
      return numbered.get(+value);
    };
  }
  constructor(timer) {
    this.#timer = timer;
    timer.handle = this;
  }
  ref() { holdTimer(this.#timer, true); return this; }
  unref() { holdTimer(this.#timer, false); return this; }
  hasRef() { return this.#timer.isHeld; }
  // One that has fired already begins anew.
  refresh() {
    const timer = this.#timer;
    if (timer.isCleared) return this;
    stopTimer(timer);
    startTimer(timer);
    return this;
  }
  close() { clearTimer(this.#timer); return this; }
  [Symbol.toPrimitive]() {
    const timer = this.#timer;
    if (timer.number === undefined && timer.isLive) numbered.set(timer.number = timersMade++, timer);
    return timer.number ?? 0;
  }
  [Symbol.dispose]() { clearTimer(this.#timer); }
}
class Immediate extends Timeout {}

function delayOf(value, least) {
  const delay = +value;
  return delay >= least ? (delay > DELAY_MS_MAX ? least : mathTrunc(delay)) : least;
}

function needCallback(callback, what) {
  if (typeof callback !== "function") throw new TypeError(`${what}: the callback is not a function`);
}

expose("setTimeout", function setTimeout(callback, delay, ...rest) {
  needCallback(callback, "setTimeout");
  return new Timeout(startTimer(newTimer(callback, rest, delayOf(delay, 0))));
});
expose("setInterval", function setInterval(callback, delay, ...rest) {
  needCallback(callback, "setInterval");
  const every = delayOf(delay, 1);
  return new Timeout(startTimer(newTimer(callback, rest, every, every)));
});
expose("setImmediate", function setImmediate(callback, ...rest) {
  needCallback(callback, "setImmediate");
  return new Immediate(startTimer(newTimer(callback, rest, undefined)));
});
expose("clearTimeout", function clearTimeout(timeout) { clearTimer(timerOf(timeout)); });
expose("clearInterval", function clearInterval(timeout) { clearTimer(timerOf(timeout)); });
expose("clearImmediate", function clearImmediate(immediate) { clearTimer(timerOf(immediate)); });

function runTimer(timer) {
  if (timer.every === undefined) {
    stopTimer(timer);
  } else {
    timer.due = host.micros() + timer.every * 1000;
    timer.order = timersMade++;
    heapPlace(timer, timer.at);
  }
  // What it throws ends the call: nobody can catch it.
  apply(timer.run, timer.handle, timer.rest);
}

function liveImmediate() {
  while (immediates.length > 0 && !immediates[0].isLive) immediates.shift();
  return immediates[0];
}

// Microseconds since 1970 at which the next timer is due; -1: only something from outside is awaited; -2: nothing is.
function due() {
  if (timersCount === 0) return awaited.size > 0 ? -1 : -2;
  rebaseTimers();
  if (timersHeld === 0 && awaited.size === 0) return -2;
  if (liveImmediate() !== undefined) return 0;
  return waking[0].due;
}

// `message` is an ArrayBuffer (u32 id, then u8 kind, u32 length and payload, once or several times), or undefined when the time
// has come.
function turn(message) {
  if (message !== undefined) {
    const view = new DataView(message);
    const call = awaited.get(view.getUint32(0, true));
    for (let at = 4; call !== undefined && at < view.byteLength;) {
      const length = view.getUint32(at + 1, true);
      call.arrived(call, view.getUint8(at), new GlobalUint8Array(message, at + 5, length));
      at += 5 + length;
    }
    return;
  }
  // In turns, so that neither endless immediates nor endless timers keep the other waiting.
  const immediate = liveImmediate();
  const timer = waking.length > 0 && waking[0].due <= host.micros() ? waking[0] : undefined;
  if (immediate !== undefined && (immediateIsNext || timer === undefined)) {
    immediateIsNext = false;
    immediates.shift();
    runTimer(immediate);
  } else if (timer !== undefined) {
    immediateIsNext = true;
    runTimer(timer);
  }
}
