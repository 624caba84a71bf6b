// WritableStream with its writer and controller, and piping, after the Streams Standard.
const CLOSING = {};

function newWritable({ start, write: put, close, abort, mark = 1, size }, stream) {
  const state = {
    state: "writable", error: undefined, writer: undefined, queue: [], total: 0, mark, size, put, close, abort, isStarted: false, inFlight: undefined,
    closing: undefined, aborting: undefined, isFull: false, stream, controller: undefined, aborter: new AbortController(),
  };
  state.stream ??= makeWritable(state);
  state.controller = makeWritableController(state);
  state.isFull = mark <= 0;
  const begun = start?.(state.controller);
  settled(begun).then(() => {
    state.isStarted = true;
    advanceWritable(state);
  }, (error) => {
    state.isStarted = true;
    failWritable(state, error);
  });
  return state;
}

const isClosingOrClosed = (state) => state.closing !== undefined || state.state === "closed";

function updateFull(state) {
  if (state.state !== "writable" || isClosingOrClosed(state)) return;
  const isFull = state.mark - state.total <= 0;
  if (isFull === state.isFull) return;
  state.isFull = isFull;
  const { writer } = state;
  if (writer === undefined) return;
  if (isFull) writer.ready = deferred();
  else writer.ready.resolve(undefined);
}

function advanceWritable(state) {
  if (!state.isStarted || state.inFlight !== undefined || state.state === "closed" || state.state === "errored") return;
  if (state.state === "erroring") return finishErroring(state);
  if (state.queue.length === 0) return;
  const entry = state.queue[0];
  state.inFlight = entry;
  let done;
  try {
    done = settled(entry.chunk === CLOSING ? state.close?.() : state.put?.(entry.chunk, state.controller));
  } catch (error) {
    done = failed(error);
  }
  done.then(() => {
    state.inFlight = undefined;
    if (entry.chunk === CLOSING) return finishClosing(state);
    entry.resolve(undefined);
    if (state.state === "writable" || state.state === "erroring") {
      state.queue.shift();
      state.total -= entry.size;
      updateFull(state);
    }
    advanceWritable(state);
  }, (error) => {
    state.inFlight = undefined;
    if (entry.chunk === CLOSING) {
      state.closing.reject(error);
      state.closing = undefined;
      state.aborting?.reject(error);
      state.aborting = undefined;
    } else {
      entry.reject(error);
      state.queue.shift();
    }
    failWritable(state, error);
  });
}

function finishClosing(state) {
  state.closing.resolve(undefined);
  state.closing = undefined;
  state.aborting?.resolve(undefined);
  state.aborting = undefined;
  Object.assign(state, { state: "closed", error: undefined, queue: [], total: 0 });
  state.writer?.ready.resolve(undefined);
  state.writer?.closed.resolve(undefined);
}

function failWritable(state, error) {
  if (state.state === "writable") startErroring(state, error);
  else if (state.state === "erroring") advanceWritable(state);
}

function startErroring(state, error) {
  Object.assign(state, { state: "erroring", error });
  const { writer } = state;
  if (writer !== undefined) rejectReady(writer, error);
  advanceWritable(state);
}

function rejectReady(writer, error) {
  if (writer.isReadyRejected) return;
  writer.isReadyRejected = true;
  // One that was resolved already is replaced.
  const ready = deferred();
  ready.reject(error);
  writer.ready.reject(error);
  writer.ready = ready;
}

function finishErroring(state) {
  const { error, aborting } = state;
  state.state = "errored";
  for (const entry of state.queue.splice(0)) entry.reject?.(error);
  state.total = 0;
  const end = () => {
    state.closing?.reject(error);
    state.closing = undefined;
    state.writer?.closed.reject(error);
  };
  if (aborting === undefined) return end();
  state.aborting = undefined;
  if (aborting.wasErroring) {
    aborting.reject(error);
    return end();
  }
  let done;
  try { done = settled(state.abort?.(aborting.reason)); } catch (reason) { done = failed(reason); }
  done.then(() => {
    aborting.resolve(undefined);
    end();
  }, (reason) => {
    aborting.reject(reason);
    end();
  });
}

function abortWritable(state, reason) {
  if (state.state === "closed" || state.state === "errored") return settled(undefined);
  state.aborter.abort(reason);
  if (state.state === "closed" || state.state === "errored") return settled(undefined);
  if (state.aborting !== undefined) return state.aborting.promise;
  const wasErroring = state.state === "erroring";
  state.aborting = { ...deferred(), reason: wasErroring ? undefined : reason, wasErroring };
  const { promise } = state.aborting;
  if (!wasErroring) startErroring(state, reason);
  return promise;
}

function closeWritable(state) {
  if (state.state === "closed" || state.state === "errored" || state.closing !== undefined) {
    return failed(state.state === "errored" ? state.error : new TypeError("the stream is closed or closing already"));
  }
  state.closing = deferred();
  if (state.isFull && state.state === "writable") state.writer?.ready.resolve(undefined);
  state.queue.push({ chunk: CLOSING, size: 0 });
  advanceWritable(state);
  return state.closing?.promise ?? settled(undefined);
}

function writeChunk(state, chunk) {
  let size = 1;
  try {
    if (state.size !== undefined) size = +state.size(chunk);
    if (!(size >= 0) || size === Infinity) throw new RangeError("the size of a chunk is not a finite number of at least 0");
  } catch (error) {
    failWritable(state, error);
  }
  if (state.state === "errored" || state.state === "erroring") return failed(state.error);
  if (isClosingOrClosed(state)) return failed(new TypeError("the stream is closed or closing"));
  const entry = { chunk, size, ...deferred() };
  state.queue.push(entry);
  state.total += size;
  updateFull(state);
  advanceWritable(state);
  return entry.promise;
}

function acquireWriter(state) {
  if (state.writer !== undefined) throw new TypeError("the stream is locked by another writer");
  const writer = { state, ready: deferred(), closed: deferred(), isReadyRejected: false };
  state.writer = writer;
  if (state.state === "writable" ? !state.isFull || isClosingOrClosed(state) : state.state === "closed") writer.ready.resolve(undefined);
  if (state.state === "closed") writer.closed.resolve(undefined);
  if (state.state === "erroring" || state.state === "errored") rejectReady(writer, state.error);
  if (state.state === "errored") writer.closed.reject(state.error);
  return writer;
}

function releaseWriter(writer) {
  const { state } = writer;
  if (state === undefined) return;
  const error = new TypeError("the writer was released");
  writer.isReadyRejected = false;
  rejectReady(writer, error);
  const closed = deferred();
  closed.reject(error);
  writer.closed.reject(error);
  writer.closed = closed;
  state.writer = writer.state = undefined;
}

let makeWritableController;
class WritableStreamDefaultController {
  #state;
  static #made = undefined;
  static {
    makeWritableController = (state) => {
      WritableStreamDefaultController.#made = state;
      return new WritableStreamDefaultController();
    };
  }
  constructor() {
    this.#state = WritableStreamDefaultController.#made;
    WritableStreamDefaultController.#made = undefined;
    if (this.#state === undefined) throw new TypeError("Illegal constructor");
  }
  get signal() { return this.#state.aborter.signal; }
  error(error = undefined) { if (this.#state.state === "writable") startErroring(this.#state, error); }
}
exposeClass(WritableStreamDefaultController);

class WritableStreamDefaultWriter {
  #writer;
  constructor(stream) { this.#writer = acquireWriter(writableState(stream)); }
  #stream() {
    const { state } = this.#writer;
    if (state === undefined) throw new TypeError("the writer was released");
    return state;
  }
  get closed() { return this.#writer.closed.promise; }
  get ready() { return this.#writer.ready.promise; }
  get desiredSize() {
    const state = this.#stream();
    if (state.state === "errored" || state.state === "erroring") return null;
    return state.state === "closed" ? 0 : state.mark - state.total;
  }
  async abort(reason) { return abortWritable(this.#stream(), reason); }
  async close() { return closeWritable(this.#stream()); }
  async write(chunk) { return writeChunk(this.#stream(), chunk); }
  releaseLock() { releaseWriter(this.#writer); }
}
exposeClass(WritableStreamDefaultWriter);

let writableState, makeWritable, isWritable;
class WritableStream {
  #state;
  static #made = undefined;
  static {
    writableState = (stream) => {
      if (!isWritable(stream)) throw new TypeError("not a WritableStream");
      return stream.#state;
    };
    isWritable = (value) => typeof value === "object" && value !== null && #state in value;
    makeWritable = (state) => {
      WritableStream.#made = state;
      return new WritableStream();
    };
  }
  constructor(sink, strategy) {
    const made = WritableStream.#made;
    WritableStream.#made = undefined;
    if (made !== undefined) {
      this.#state = made;
      return;
    }
    const to = dictionary(sink, "the stream's sink"), by = dictionary(strategy, "the strategy");
    if (to.type !== undefined) throw new RangeError("a sink has no type");
    const method = (name) => methodOf(to, name, "WritableStream");
    this.#state = newWritable({
      start: method("start"), write: method("write"), close: method("close"), abort: method("abort"), mark: markOf(by, 1), size: sizeOf(by),
    }, this);
  }
  get locked() { return this.#state.writer !== undefined; }
  async abort(reason) {
    if (this.locked) throw new TypeError("the stream is locked by a writer");
    return abortWritable(this.#state, reason);
  }
  async close() {
    if (this.locked) throw new TypeError("the stream is locked by a writer");
    return closeWritable(this.#state);
  }
  getWriter() { return new WritableStreamDefaultWriter(this); }
}
exposeClass(WritableStream);

// From `source` to `target` until one of them ends, with the ends handed on unless the options prevent it.
async function pipe(source, target, { preventClose, preventAbort, preventCancel, signal }) {
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw new TypeError("the signal is not an AbortSignal");
  const reader = acquireReader(source), writer = acquireWriter(target);
  const stopped = deferred();
  const stop = () => stopped.reject(signal.reason);
  const forget = signal === undefined ? undefined : whenAborted(signal, stop);
  if (signal?.aborted) stop();
  // Rejected as soon as the target fails, not only at the next write.
  const broken = writer.closed.promise.then(() => { throw new TypeError("the destination is closed"); });
  broken.catch(() => {});
  let last = settled(undefined);
  try {
    for (;;) {
      if (isClosingOrClosed(target)) throw new TypeError("the destination is closed");
      await GlobalPromise.race([writer.ready.promise, stopped.promise, broken]);
      const { value, done } = await GlobalPromise.race([readChunk(reader), stopped.promise, broken]);
      if (done) break;
      last = writeChunk(target, value);
      last.catch(() => {});
    }
    if (preventClose) await last;
    else await closeWritable(target);
  } catch (error) {
    const ends = [];
    const isStopped = signal?.aborted;
    const isTargetBroken = target.state === "errored" || target.state === "erroring" || isClosingOrClosed(target);
    if (!preventAbort && target.state === "writable" && !isClosingOrClosed(target)) ends.push(abortWritable(target, error));
    if (!preventCancel && source.state === "readable" && (isStopped || isTargetBroken)) ends.push(cancelReadable(source, error));
    // Listened to below, but not before what was written has gone out.
    for (let i = 0; i < ends.length; i++) ends[i].catch(() => {});
    if (preventAbort) await last.catch(() => {});
    await GlobalPromise.all(ends);
    throw error;
  } finally {
    forget?.();
    releaseReader(reader);
    releaseWriter(writer);
  }
}
