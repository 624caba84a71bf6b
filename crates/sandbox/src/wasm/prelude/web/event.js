// Event, CustomEvent, ErrorEvent and EventTarget. There is no tree of targets, so an event meets one target only.
let eventState;
class Event {
  #state;
  static {
    eventState = (event) => event.#state;
  }
  constructor(type, options) {
    needArguments(arguments.length, 1, "Event");
    const { bubbles, cancelable, composed } = dictionary(options, "the event's options");
    this.#state = {
      type: `${type}`, bubbles: !!bubbles, cancelable: !!cancelable, composed: !!composed, target: null, currentTarget: null,
      phase: 0, isStopped: false, isStoppedAtOnce: false, isPrevented: false, isPassive: false, isUnderWay: false, isTrusted: false,
      timeStamp: performance.now(),
    };
  }
  get type() { return this.#state.type; }
  get target() { return this.#state.target; }
  get srcElement() { return this.#state.target; }
  get currentTarget() { return this.#state.currentTarget; }
  get eventPhase() { return this.#state.phase; }
  get bubbles() { return this.#state.bubbles; }
  get cancelable() { return this.#state.cancelable; }
  get composed() { return this.#state.composed; }
  get defaultPrevented() { return this.#state.isPrevented; }
  get returnValue() { return !this.#state.isPrevented; }
  set returnValue(value) { if (!value) this.preventDefault(); }
  get cancelBubble() { return this.#state.isStopped; }
  set cancelBubble(value) { if (value) this.#state.isStopped = true; }
  get isTrusted() { return this.#state.isTrusted; }
  get timeStamp() { return this.#state.timeStamp; }
  composedPath() { return this.#state.currentTarget === null ? [] : [this.#state.currentTarget]; }
  stopPropagation() { this.#state.isStopped = true; }
  stopImmediatePropagation() { this.#state.isStopped = this.#state.isStoppedAtOnce = true; }
  preventDefault() {
    const state = this.#state;
    if (state.cancelable && !state.isPassive) state.isPrevented = true;
  }
  initEvent(type, bubbles = false, cancelable = false) {
    if (!this.#state.isUnderWay) Object.assign(this.#state, { type: `${type}`, bubbles: !!bubbles, cancelable: !!cancelable });
  }
}
["NONE", "CAPTURING_PHASE", "AT_TARGET", "BUBBLING_PHASE"].forEach((name, value) => {
  for (const holder of [Event, Event.prototype]) defineProperty(holder, name, { value, enumerable: true });
});
exposeClass(Event);

class CustomEvent extends Event {
  #detail;
  constructor(type, options) {
    super(type, options);
    this.#detail = options?.detail ?? null;
  }
  get detail() { return this.#detail; }
}
exposeClass(CustomEvent);

class ErrorEvent extends Event {
  #options;
  constructor(type, options) {
    super(type, options);
    this.#options = { ...dictionary(options, "the event's options") };
  }
  get message() { return `${this.#options.message ?? ""}`; }
  get filename() { return `${this.#options.filename ?? ""}`; }
  get lineno() { return this.#options.lineno >>> 0; }
  get colno() { return this.#options.colno >>> 0; }
  get error() { return this.#options.error; }
}
exposeClass(ErrorEvent);

let listenersOf, fireEvent;
class EventTarget {
  // By type: arrays of { callback, capture, once, passive, removed, handler }.
  #listeners = new Map();
  static {
    listenersOf = (target) => target.#listeners;
    fireEvent = (target, event) => target.#fire(event);
  }
  addEventListener(type, callback, options) {
    needArguments(arguments.length, 2, "addEventListener");
    const { capture, once, passive, signal } = typeof options === "boolean" ? { capture: options } : dictionary(options, "the options");
    if (signal !== undefined && !(signal instanceof AbortSignal)) throw new TypeError("addEventListener: the signal is not an AbortSignal");
    if (callback !== null && callback !== undefined && !isObject(callback)) throw new TypeError("addEventListener: the listener is not an object");
    if (callback === null || callback === undefined || signal?.aborted) return;
    const key = `${type}`;
    let listeners = this.#listeners.get(key);
    if (listeners === undefined) this.#listeners.set(key, listeners = []);
    if (listeners.some((known) => known.callback === callback && known.capture === !!capture)) return;
    const listener = { callback, capture: !!capture, once: !!once, passive: !!passive, removed: false };
    listeners.push(listener);
    if (signal !== undefined) whenAborted(signal, () => this.#remove(key, listener));
  }
  removeEventListener(type, callback, options) {
    needArguments(arguments.length, 2, "removeEventListener");
    const capture = typeof options === "boolean" ? options : !!options?.capture;
    const found = this.#listeners.get(`${type}`)?.find((known) => known.callback === callback && known.capture === capture);
    if (found !== undefined) this.#remove(`${type}`, found);
  }
  dispatchEvent(event) {
    if (!(event instanceof Event)) throw new TypeError("dispatchEvent: the argument is not an Event");
    if (eventState(event).isUnderWay) throw exception("InvalidStateError", "the event is being dispatched already");
    eventState(event).isTrusted = false;
    return this.#fire(event);
  }
  #remove(key, listener) {
    listener.removed = true;
    const listeners = this.#listeners.get(key);
    const at = listeners.indexOf(listener);
    // A list that is being walked stays as it is.
    if (at >= 0) this.#listeners.set(key, listeners.toSpliced(at, 1));
  }
  #fire(event) {
    const state = eventState(event);
    Object.assign(state, { isUnderWay: true, target: this, currentTarget: this, phase: 2 });
    const listeners = this.#listeners.get(state.type) ?? [];
    for (const capture of [true, false]) {
      // Those that are added while it runs wait for the next event.
      for (const listener of listeners.filter((known) => known.capture === capture)) {
        if (state.isStoppedAtOnce) break;
        if (listener.removed) continue;
        if (listener.once) this.#remove(state.type, listener);
        this.#call(listener, event, state);
      }
    }
    Object.assign(state, { isUnderWay: false, isStopped: false, isStoppedAtOnce: false, currentTarget: null, phase: 0 });
    return !state.isPrevented;
  }
  #call(listener, event, state) {
    state.isPassive = listener.passive;
    try {
      const { callback } = listener;
      if (typeof callback === "function") apply(callback, this, [event]);
      else callback.handleEvent(event);
    } catch (error) {
      throwUncaught(error);
    }
    state.isPassive = false;
  }
}
exposeClass(EventTarget);

// `onabort` and its like: one listener that keeps its place while it is replaced.
function handlerAttribute(Class, type) {
  const handlers = new WeakMap();
  defineProperty(Class.prototype, `on${type}`, {
    get() { listenersOf(this); return handlers.get(this)?.value ?? null; },
    set(value) {
      let handler = handlers.get(this);
      if (handler === undefined) {
        handlers.set(this, handler = { value: null, call: (event) => handler.value !== null && apply(handler.value, this, [event]) });
        this.addEventListener(type, handler.call);
      }
      handler.value = isObject(value) ? value : null;
    },
    enumerable: true,
    configurable: true,
  });
}

class Performance extends EventTarget {
  constructor() {
    if (globalThis.performance instanceof Performance) throw new TypeError("Illegal constructor");
    super();
  }
  get timeOrigin() { return (beganUs ??= host.micros()) / 1000; }
  now() {
    listenersOf(this);
    beganUs ??= host.micros();
    return (host.micros() - beganUs) / 1000;
  }
  toJSON() { return { timeOrigin: this.timeOrigin }; }
}
expose("performance", new Performance());
exposeClass(Performance);
