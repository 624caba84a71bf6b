// AbortController and AbortSignal.
let abortSignal, whenAborted, newSignal;
class AbortSignal extends EventTarget {
  #aborted = false;
  #reason = undefined;
  // What to do first, before the event: removing listeners, aborting signals that depend on this one, fetches.
  #actions = new Set();
  static #isOurs = false;
  static {
    newSignal = () => {
      AbortSignal.#isOurs = true;
      return new AbortSignal();
    };
    abortSignal = (signal, reason) => signal.#abort(reason);
    // Gives the function that takes it back.
    whenAborted = (signal, action) => {
      signal.#actions.add(action);
      return () => signal.#actions.delete(action);
    };
  }
  constructor() {
    const isOurs = AbortSignal.#isOurs;
    AbortSignal.#isOurs = false;
    if (!isOurs) throw new TypeError("Illegal constructor");
    super();
  }
  static abort(reason) {
    const signal = newSignal();
    signal.#aborted = true;
    signal.#reason = reason === undefined ? exception("AbortError", "This operation was aborted") : reason;
    return signal;
  }
  static timeout(milliseconds) {
    const delay = +milliseconds;
    if (!(delay >= 0 && delay <= Number.MAX_SAFE_INTEGER)) throw new TypeError("AbortSignal.timeout: not a number of milliseconds");
    const signal = newSignal();
    const fire = () => signal.#abort(exception("TimeoutError", "The operation was aborted due to timeout"));
    // What waits for the signal is what keeps the attempt waiting.
    const timer = newTimer(fire, [], mathTrunc(delay > DELAY_MS_MAX ? DELAY_MS_MAX : delay));
    startTimer(timer);
    return signal;
  }
  static any(signals) {
    const result = newSignal();
    const sources = [...signals];
    for (const source of sources) if (!(source instanceof AbortSignal)) throw new TypeError("AbortSignal.any: not an AbortSignal");
    for (const source of sources) {
      if (source.#aborted) {
        result.#aborted = true;
        result.#reason = source.#reason;
        return result;
      }
    }
    for (const source of sources) source.#actions.add(() => result.#abort(source.#reason));
    return result;
  }
  get aborted() { return this.#aborted; }
  get reason() { return this.#reason; }
  throwIfAborted() { if (this.#aborted) throw this.#reason; }
  #abort(reason) {
    if (this.#aborted) return;
    this.#aborted = true;
    this.#reason = reason === undefined ? exception("AbortError", "This operation was aborted") : reason;
    const actions = this.#actions;
    this.#actions = new Set();
    for (const action of actions) action();
    const event = new Event("abort");
    eventState(event).isTrusted = true;
    fireEvent(this, event);
  }
}
handlerAttribute(AbortSignal, "abort");
exposeClass(AbortSignal);

class AbortController {
  #signal = newSignal();
  get signal() { return this.#signal; }
  abort(reason) { abortSignal(this.#signal, reason); }
}
exposeClass(AbortController);
