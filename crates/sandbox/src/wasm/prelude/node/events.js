// `node:events`.
{
  const CAPTURE = Symbol.for("nodejs.rejection");
  const captured = Symbol("kCapture");
  // Its listeners hear of errors and do not count as handling them.
  const ERROR_MONITOR = Symbol("events.errorMonitor");
  let defaultMaxListeners = 10, capturesRejections = false;

  function EventEmitter(options) {
    init.call(this, options);
  }

  function init(options) {
    if (this._events === undefined || this._events === getPrototypeOf(this)._events) {
      this._events = { __proto__: null };
      this._eventsCount = 0;
    }
    this._maxListeners = this._maxListeners || undefined;
    if (options?.captureRejections ?? capturesRejections) this[captured] = true;
  }

  const listOf = (emitter, name) => {
    const found = emitter._events?.[name];
    return found === undefined ? [] : typeof found === "function" ? [found] : found;
  };
  const needListener = (listener) => node.needFunction("listener", listener);

  function add(emitter, name, listener, first) {
    needListener(listener);
    if (emitter._events === undefined) init.call(emitter);
    else if (emitter._events.newListener !== undefined) emitter.emit("newListener", name, listener.listener ?? listener);
    const events = emitter._events;
    const existing = events[name];
    if (existing === undefined) {
      events[name] = listener;
      emitter._eventsCount++;
    } else if (typeof existing === "function") {
      events[name] = first ? [listener, existing] : [existing, listener];
    } else if (first) existing.unshift(listener);
    else existing.push(listener);
    const most = emitter.getMaxListeners(), list = events[name];
    if (most > 0 && typeof list !== "function" && list.length > most && !list.warned) {
      list.warned = true;
      const owner = emitter.constructor?.name ?? "EventEmitter";
      const found = `Possible EventEmitter memory leak detected. ${list.length} ${String(name)} listeners added to [${owner}].`;
      const told = `${found} MaxListeners is ${most}. Use emitter.setMaxListeners() to increase limit`;
      node.process.emitWarning(told, "MaxListenersExceededWarning");
    }
    return emitter;
  }

  function once(emitter, name, listener) {
    needListener(listener);
    let fired = false;
    const wrapper = (...items) => {
      if (fired) return undefined;
      fired = true;
      emitter.removeListener(name, wrapper);
      return Reflect.apply(listener, emitter, items);
    };
    wrapper.listener = listener;
    return wrapper;
  }

  function remove(emitter, name, listener) {
    needListener(listener);
    const events = emitter._events;
    const list = events?.[name];
    if (list === undefined) return emitter;
    let original;
    if (list === listener || list.listener === listener) {
      original = list.listener ?? listener;
      delete events[name];
      emitter._eventsCount--;
    } else if (typeof list !== "function") {
      let at = list.length - 1;
      while (at >= 0 && list[at] !== listener && list[at].listener !== listener) at--;
      if (at < 0) return emitter;
      original = list[at].listener ?? listener;
      // A new list: the old one may be going through its listeners just now.
      const rest = [...list.slice(0, at), ...list.slice(at + 1)];
      events[name] = rest.length === 1 ? rest[0] : rest;
    } else return emitter;
    if (events.removeListener !== undefined) emitter.emit("removeListener", name, original);
    return emitter;
  }

  function unhandled(error) {
    if (error instanceof Error) return error;
    const shown = node.inspect(error);
    const told = node.error(Error, "ERR_UNHANDLED_ERROR", `Unhandled error. (${shown})`);
    told.context = error;
    return told;
  }

  Object.assign(EventEmitter.prototype, {
    _events: undefined,
    _eventsCount: 0,
    _maxListeners: undefined,
    setMaxListeners(count) {
      if (typeof count !== "number" || count < 0 || Number.isNaN(count)) throw node.outOfRange("n", "a non-negative number", count);
      this._maxListeners = count;
      return this;
    },
    getMaxListeners() {
      return this._maxListeners ?? defaultMaxListeners;
    },
    emit(name, ...items) {
      const events = this._events;
      if (name === "error") {
        if (events?.[ERROR_MONITOR] !== undefined) this.emit(ERROR_MONITOR, ...items);
        if (events?.error === undefined) throw unhandled(items[0]);
      }
      const list = events?.[name];
      if (list === undefined) return false;
      const run = (listener) => {
        const result = Reflect.apply(listener, this, items);
        if (this[captured] && typeof result?.then === "function") result.then(undefined, (error) => queueMicrotask(() => rejected(this, error, name, items)));
      };
      if (typeof list === "function") run(list);
      else for (const listener of list.slice()) run(listener);
      return true;
    },
    addListener(name, listener) { return add(this, name, listener, false); },
    on(name, listener) { return add(this, name, listener, false); },
    prependListener(name, listener) { return add(this, name, listener, true); },
    once(name, listener) { return this.on(name, once(this, name, listener)); },
    prependOnceListener(name, listener) { return this.prependListener(name, once(this, name, listener)); },
    off(name, listener) { return remove(this, name, listener); },
    removeListener(name, listener) { return remove(this, name, listener); },
    removeAllListeners(name) {
      const events = this._events;
      if (events === undefined) return this;
      if (events.removeListener !== undefined) {
        if (name === undefined) {
          for (const key of Reflect.ownKeys(events)) if (key !== "removeListener") this.removeAllListeners(key);
          this.removeAllListeners("removeListener");
        } else for (const listener of listOf(this, name).slice().reverse()) remove(this, name, listener);
      } else if (name !== undefined) {
        if (events[name] !== undefined) {
          delete events[name];
          this._eventsCount--;
        }
        return this;
      }
      if (name === undefined) {
        this._events = { __proto__: null };
        this._eventsCount = 0;
      }
      return this;
    },
    listeners(name) { return listOf(this, name).map((listener) => listener.listener ?? listener); },
    rawListeners(name) { return listOf(this, name).slice(); },
    listenerCount(name, listener) {
      const list = listOf(this, name);
      return listener == null ? list.length : list.filter((item) => item === listener || item.listener === listener).length;
    },
    eventNames() { return this._eventsCount > 0 ? Reflect.ownKeys(this._events) : []; },
  });

  function rejected(emitter, error, name, items) {
    if (typeof emitter[CAPTURE] === "function") emitter[CAPTURE](error, name, ...items);
    else {
      emitter[captured] = false;
      try {
        emitter.emit("error", error);
      } finally {
        emitter[captured] = true;
      }
    }
  }

  const abortError = (signal) => {
    const error = Object.assign(new Error("The operation was aborted"), { code: "ABORT_ERR", name: "AbortError" });
    if (signal?.reason !== undefined) error.cause = signal.reason;
    return error;
  };
  node.abortError = abortError;

  // Listens at an EventEmitter or an EventTarget; gives what stops it.
  function listen(emitter, name, listener, options) {
    if (typeof emitter.on === "function") {
      if (options?.once) emitter.once(name, listener);
      else emitter.on(name, listener);
      return () => emitter.removeListener(name, listener);
    }
    if (typeof emitter.addEventListener !== "function") throw node.wrongType("emitter", "an instance of EventEmitter", emitter);
    emitter.addEventListener(name, listener, options);
    return () => emitter.removeEventListener(name, listener, options);
  }

  function onceOf(emitter, name, options = {}) {
    const { signal } = options;
    return new Promise((resolvePromise, reject) => {
      if (signal?.aborted) {
        reject(abortError(signal));
        return;
      }
      const stops = [];
      const end = (settle, value) => {
        for (const stop of stops) stop();
        settle(value);
      };
      stops.push(listen(emitter, name, (...items) => end(resolvePromise, items), { once: true }));
      if (name !== "error" && typeof emitter.once === "function") stops.push(listen(emitter, "error", (error) => end(reject, error), { once: true }));
      if (signal) stops.push(listen(signal, "abort", () => end(reject, abortError(signal)), { once: true }));
    });
  }

  function onOf(emitter, name, options = {}) {
    const { signal } = options;
    if (signal?.aborted) throw abortError(signal);
    const ready = [], waiting = [], stops = [];
    let failure, done = false;
    const finish = () => {
      for (const stop of stops) stop();
      done = true;
      for (const { resolve: settle } of waiting.splice(0)) settle({ value: undefined, done: true });
      return Promise.resolve({ value: undefined, done: true });
    };
    const fail = (error) => {
      if (waiting.length > 0) waiting.shift().reject(error);
      else failure = error;
      finish();
    };
    stops.push(listen(emitter, name, (...items) => (waiting.length > 0 ? waiting.shift().resolve({ value: items, done: false }) : ready.push(items))));
    if (name !== "error" && typeof emitter.on === "function") stops.push(listen(emitter, "error", fail));
    for (const closing of options.close ?? []) stops.push(listen(emitter, closing, finish));
    if (signal) stops.push(listen(signal, "abort", () => fail(abortError(signal)), { once: true }));
    return {
      next() {
        if (ready.length > 0) return Promise.resolve({ value: ready.shift(), done: false });
        if (failure !== undefined) {
          const error = failure;
          failure = undefined;
          return Promise.reject(error);
        }
        if (done) return Promise.resolve({ value: undefined, done: true });
        return new Promise((settle, reject) => waiting.push({ resolve: settle, reject }));
      },
      return: finish,
      throw(error) {
        fail(error);
        return Promise.resolve({ value: undefined, done: true });
      },
      [Symbol.asyncIterator]() { return this; },
    };
  }

  Object.assign(EventEmitter, {
    EventEmitter,
    init,
    once: onceOf,
    on: onOf,
    captureRejectionSymbol: CAPTURE,
    errorMonitor: ERROR_MONITOR,
    usingDomains: false,
    listenerCount: (emitter, name) => (typeof emitter.listenerCount === "function" ? emitter.listenerCount(name) : listOf(emitter, name).length),
    getEventListeners: (emitter, name) => (typeof emitter.listeners === "function" ? emitter.listeners(name) : []),
    getMaxListeners: (emitter) => (typeof emitter.getMaxListeners === "function" ? emitter.getMaxListeners() : defaultMaxListeners),
    setMaxListeners: (count = defaultMaxListeners, ...emitters) => {
      if (emitters.length === 0) defaultMaxListeners = count;
      for (const emitter of emitters) emitter.setMaxListeners?.(count);
    },
    addAbortListener: (signal, listener) => {
      if (signal.aborted) queueMicrotask(() => listener());
      const stop = listen(signal, "abort", listener, { once: true });
      return { [Symbol.dispose]: stop };
    },
  });
  Object.defineProperty(EventEmitter, "defaultMaxListeners", {
    enumerable: true,
    get: () => defaultMaxListeners,
    set(count) {
      if (typeof count !== "number" || count < 0 || Number.isNaN(count)) throw node.outOfRange("defaultMaxListeners", "a non-negative number", count);
      defaultMaxListeners = count;
    },
  });
  Object.defineProperty(EventEmitter, "captureRejections", {
    enumerable: true,
    get: () => capturesRejections,
    set(value) {
      if (typeof value !== "boolean") throw node.wrongType("EventEmitter.captureRejections", "of type boolean", value);
      capturesRejections = value;
    },
  });
  builtins.events = () => EventEmitter;
}
