// ReadableStream with its default reader and controller, after the Streams Standard. No BYOB readers: `type: "bytes"`
// gives a stream of byte chunks that is read like any other.
const settled = (value) => GlobalPromise.resolve(value);
const failed = (error) => {
  const promise = GlobalPromise.reject(error);
  promise.catch(() => {});
  return promise;
};

// A promise that may be rejected without anybody listening.
function deferred() {
  const made = GlobalPromise.withResolvers();
  made.promise.catch(() => {});
  return made;
}

class CountQueuingStrategy {
  #highWaterMark;
  constructor(init) { this.#highWaterMark = +dictionary(init, "the strategy").highWaterMark; }
  get highWaterMark() { return this.#highWaterMark; }
  get size() { return countSize; }
}
const countSize = function size() { return 1; };
exposeClass(CountQueuingStrategy);

class ByteLengthQueuingStrategy {
  #highWaterMark;
  constructor(init) { this.#highWaterMark = +dictionary(init, "the strategy").highWaterMark; }
  get highWaterMark() { return this.#highWaterMark; }
  get size() { return byteSize; }
}
const byteSize = function size(chunk) { return chunk.byteLength; };
exposeClass(ByteLengthQueuingStrategy);

function markOf(strategy, usual) {
  if (strategy.highWaterMark === undefined) return usual;
  const mark = +strategy.highWaterMark;
  if (!(mark >= 0)) throw new RangeError("highWaterMark is not a number of at least 0");
  return mark;
}

function sizeOf(strategy) {
  const { size } = strategy;
  if (size !== undefined && typeof size !== "function") throw new TypeError("the strategy's size is not a function");
  return size;
}

function methodOf(source, name, what) {
  const method = source[name];
  if (method === undefined) return undefined;
  if (typeof method !== "function") throw new TypeError(`${what}: ${name} is not a function`);
  return (...given) => apply(method, source, given);
}

// What a stream is made of; `pull` and `cancel` may give promises, `size` undefined counts chunks.
function newReadableState({ pull, cancel, mark = 1, size, isBytes = false }, stream) {
  const state = {
    state: "readable", error: undefined, reader: undefined, queue: [], total: 0, mark, size, isBytes, pull, cancel, isStarted: false,
    isClosing: false, isPulling: false, isPullingAgain: false, isDisturbed: false, stream, controller: undefined,
  };
  state.stream ??= makeReadable(state);
  state.controller = makeReadableController(state);
  return state;
}

function newReadable(made) {
  const state = newReadableState(made);
  startReadable(state, made.start);
  return state;
}

function startReadable(state, start) {
  const begun = start?.(state.controller);
  settled(begun).then(() => {
    state.isStarted = true;
    pullIfNeeded(state);
  }, (error) => errorReadable(state, error));
}

const roomOf = (state) => (state.state === "errored" ? null : state.state === "closed" ? 0 : state.mark - state.total);

function pullIfNeeded(state) {
  if (state.state !== "readable" || state.isClosing || !state.isStarted) return;
  if (!(state.reader?.requests.length > 0) && !(roomOf(state) > 0)) return;
  if (state.isPulling) {
    state.isPullingAgain = true;
    return;
  }
  if (state.pull === undefined) return;
  state.isPulling = true;
  let pulled;
  try { pulled = settled(state.pull(state.controller)); } catch (error) { pulled = failed(error); }
  pulled.then(() => {
    state.isPulling = false;
    if (state.isPullingAgain) {
      state.isPullingAgain = false;
      pullIfNeeded(state);
    }
  }, (error) => errorReadable(state, error));
}

function enqueueChunk(state, chunk) {
  if (state.isClosing || state.state !== "readable") throw new TypeError(`the stream is ${state.isClosing ? "closing" : state.state}: nothing can be added`);
  const request = state.reader?.requests.shift();
  if (request !== undefined) {
    request.resolve({ value: chunk, done: false });
  } else {
    let size = 1;
    try {
      if (state.size !== undefined) size = +state.size(chunk);
      if (!(size >= 0) || size === Infinity) throw new RangeError("the size of a chunk is not a finite number of at least 0");
    } catch (error) {
      errorReadable(state, error);
      throw error;
    }
    state.queue.push({ chunk, size });
    state.total += size;
  }
  pullIfNeeded(state);
}

function closeReadable(state) {
  if (state.isClosing || state.state !== "readable") throw new TypeError(`the stream is ${state.isClosing ? "closing" : state.state}: it cannot be closed`);
  state.isClosing = true;
  if (state.queue.length === 0) endReadable(state);
}

function endReadable(state) {
  state.state = "closed";
  state.pull = state.cancel = undefined;
  const { reader } = state;
  if (reader === undefined) return;
  reader.closed.resolve(undefined);
  for (const request of reader.requests.splice(0)) request.resolve({ value: undefined, done: true });
}

function errorReadable(state, error) {
  if (state.state !== "readable") return;
  Object.assign(state, { state: "errored", error, queue: [], total: 0, pull: undefined, cancel: undefined });
  const { reader } = state;
  if (reader === undefined) return;
  reader.closed.reject(error);
  for (const request of reader.requests.splice(0)) request.reject(error);
}

function cancelReadable(state, reason) {
  state.isDisturbed = true;
  if (state.state === "closed") return settled(undefined);
  if (state.state === "errored") return failed(state.error);
  const { cancel } = state;
  Object.assign(state, { queue: [], total: 0 });
  endReadable(state);
  try { return settled(cancel?.(reason)).then(() => undefined); } catch (error) { return failed(error); }
}

function readChunk(reader) {
  const { state } = reader;
  if (state === undefined) return failed(new TypeError("the reader was released"));
  state.isDisturbed = true;
  if (state.state === "closed") return settled({ value: undefined, done: true });
  if (state.state === "errored") return failed(state.error);
  if (state.queue.length === 0) {
    const request = deferred();
    reader.requests.push(request);
    pullIfNeeded(state);
    return request.promise;
  }
  const { chunk, size } = state.queue.shift();
  state.total -= size;
  if (state.isClosing && state.queue.length === 0) endReadable(state);
  else pullIfNeeded(state);
  return settled({ value: chunk, done: false });
}

function acquireReader(state) {
  if (state.reader !== undefined) throw new TypeError("the stream is locked by another reader");
  const reader = { state, requests: [], closed: deferred() };
  state.reader = reader;
  if (state.state === "closed") reader.closed.resolve(undefined);
  if (state.state === "errored") reader.closed.reject(state.error);
  return reader;
}

function releaseReader(reader) {
  const { state } = reader;
  if (state === undefined) return;
  const error = new TypeError("the reader was released");
  if (state.state !== "readable") reader.closed = deferred();
  reader.closed.reject(error);
  for (const request of reader.requests.splice(0)) request.reject(error);
  state.reader = reader.state = undefined;
}

let makeReadableController;
class ReadableStreamDefaultController {
  #state;
  static #made = undefined;
  static {
    makeReadableController = (state) => {
      ReadableStreamDefaultController.#made = state;
      return new ReadableStreamDefaultController();
    };
  }
  constructor() {
    this.#state = ReadableStreamDefaultController.#made;
    ReadableStreamDefaultController.#made = undefined;
    if (this.#state === undefined) throw new TypeError("Illegal constructor");
    // Of byte streams only, and always so there.
    if (this.#state.isBytes) defineProperty(this, "byobRequest", { value: null });
  }
  get desiredSize() { return roomOf(this.#state); }
  close() { closeReadable(this.#state); }
  enqueue(chunk = undefined) {
    const state = this.#state;
    if (state.isBytes && !ArrayBuffer.isView(chunk)) throw new TypeError("a byte stream takes views of ArrayBuffers only");
    enqueueChunk(state, state.isBytes ? bytesOf(chunk) : chunk);
  }
  error(error = undefined) { errorReadable(this.#state, error); }
}
exposeClass(ReadableStreamDefaultController);

class ReadableStreamDefaultReader {
  #reader;
  constructor(stream) { this.#reader = acquireReader(readableState(stream)); }
  get closed() { return this.#reader.closed.promise; }
  async read() { return readChunk(this.#reader); }
  releaseLock() { releaseReader(this.#reader); }
  async cancel(reason) {
    const { state } = this.#reader;
    if (state === undefined) throw new TypeError("the reader was released");
    return cancelReadable(state, reason);
  }
}
exposeClass(ReadableStreamDefaultReader);

async function* readAll(reader, keeps) {
  let isOver = false;
  try {
    for (;;) {
      let result;
      try {
        result = await readChunk(reader);
      } catch (error) {
        isOver = true;
        throw error;
      }
      isOver = result.done;
      if (isOver) return;
      yield result.value;
    }
  } finally {
    const { state } = reader;
    const cancelled = isOver || keeps || state === undefined ? undefined : cancelReadable(state);
    releaseReader(reader);
    await cancelled;
  }
}

let readableState, makeReadable, isReadable;
class ReadableStream {
  #state;
  static #made = undefined;
  static {
    readableState = (stream) => {
      if (!isReadable(stream)) throw new TypeError("not a ReadableStream");
      return stream.#state;
    };
    isReadable = (value) => typeof value === "object" && value !== null && #state in value;
    makeReadable = (state) => {
      ReadableStream.#made = state;
      return new ReadableStream();
    };
  }
  constructor(source, strategy) {
    const made = ReadableStream.#made;
    ReadableStream.#made = undefined;
    if (made !== undefined) {
      this.#state = made;
      return;
    }
    const from = dictionary(source, "the stream's source"), by = dictionary(strategy, "the strategy");
    const isBytes = from.type !== undefined;
    if (isBytes && `${from.type}` !== "bytes") throw new TypeError(`the stream's type '${from.type}' is not 'bytes'`);
    const start = methodOf(from, "start", "ReadableStream");
    const state = newReadableState({
      pull: methodOf(from, "pull", "ReadableStream"), cancel: methodOf(from, "cancel", "ReadableStream"),
      mark: markOf(by, isBytes ? 0 : 1), size: isBytes ? byteSize : sizeOf(by), isBytes,
    }, this);
    this.#state = state;
    startReadable(state, start);
  }
  static from(iterable) {
    if (!isObject(iterable) && typeof iterable !== "string") throw new TypeError("ReadableStream.from: not an iterable");
    const method = iterable[Symbol.asyncIterator] ?? iterable[Symbol.iterator];
    if (typeof method !== "function") throw new TypeError("ReadableStream.from: not an iterable");
    const iterator = apply(method, iterable, []);
    return newReadable({
      mark: 0,
      pull: async (controller) => {
        const result = await iterator.next();
        if (!isObject(result)) throw new TypeError("ReadableStream.from: the iterator's result is not an object");
        if (result.done) controller.close();
        else controller.enqueue(await result.value);
      },
      cancel: async (reason) => {
        const result = await iterator.return?.(reason);
        if (result !== undefined && !isObject(result)) throw new TypeError("ReadableStream.from: the iterator's result is not an object");
      },
    }).stream;
  }
  get locked() { return this.#state.reader !== undefined; }
  async cancel(reason) {
    if (this.locked) throw new TypeError("the stream is locked by a reader");
    return cancelReadable(this.#state, reason);
  }
  getReader(options) {
    const { mode } = dictionary(options, "the reader's options");
    if (mode !== undefined) throw new TypeError(`this runtime has no '${mode}' readers of streams`);
    return new ReadableStreamDefaultReader(this);
  }
  tee() { return teeReadable(this.#state).map((state) => state.stream); }
  async pipeTo(destination, options) {
    if (!isWritable(destination)) throw new TypeError("pipeTo: the destination is not a WritableStream");
    if (this.locked || destination.locked) throw new TypeError("pipeTo: a stream is locked");
    return pipe(this.#state, writableState(destination), dictionary(options, "the options"));
  }
  pipeThrough(transform, options) {
    const { readable, writable } = dictionary(transform, "the transform");
    if (!isReadable(readable) || !isWritable(writable)) throw new TypeError("pipeThrough: not a pair of a readable and a writable stream");
    if (this.locked || writable.locked) throw new TypeError("pipeThrough: a stream is locked");
    pipe(this.#state, writableState(writable), dictionary(options, "the options")).catch(() => {});
    return readable;
  }
  values(options) {
    const { preventCancel } = dictionary(options, "the options");
    return readAll(acquireReader(this.#state), !!preventCancel);
  }
}
defineProperty(ReadableStream.prototype, Symbol.asyncIterator, { value: ReadableStream.prototype.values, writable: true, configurable: true });
exposeClass(ReadableStream);

function teeReadable(state) {
  const reader = acquireReader(state);
  const cancelled = deferred(), reasons = [];
  const branches = [];
  let isReading = false, isWanted = false;
  const pull = () => {
    if (isReading) {
      isWanted = true;
      return;
    }
    isReading = true;
    readChunk(reader).then(({ value, done }) => {
      isReading = false;
      for (let i = 0; i < 2; i++) {
        if (i in reasons || branches[i].state !== "readable") continue;
        if (done) closeReadable(branches[i]);
        else enqueueChunk(branches[i], value);
      }
      if (done) cancelled.resolve(undefined);
      else if (isWanted) {
        isWanted = false;
        pull();
      }
    }, () => {});
  };
  for (let i = 0; i < 2; i++) {
    const cancel = (reason) => {
      reasons[i] = reason;
      if (0 in reasons && 1 in reasons) cancelled.resolve(cancelReadable(state, [...reasons]));
      return cancelled.promise;
    };
    branches.push(newReadable({ pull, cancel, isBytes: state.isBytes }));
  }
  reader.closed.promise.catch((error) => {
    for (const branch of branches) errorReadable(branch, error);
    cancelled.resolve(undefined);
  });
  return branches;
}
