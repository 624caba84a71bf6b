// TransformStream and the streams between text and bytes.
let makeTransformController;
class TransformStreamDefaultController {
  #transform;
  static #made = undefined;
  static {
    makeTransformController = (transform) => {
      TransformStreamDefaultController.#made = transform;
      return new TransformStreamDefaultController();
    };
  }
  constructor() {
    this.#transform = TransformStreamDefaultController.#made;
    TransformStreamDefaultController.#made = undefined;
    if (this.#transform === undefined) throw new TypeError("Illegal constructor");
  }
  get desiredSize() { return roomOf(this.#transform.readable); }
  enqueue(chunk = undefined) { transformEnqueue(this.#transform, chunk); }
  error(reason = undefined) { transformError(this.#transform, reason); }
  terminate() {
    const { readable } = this.#transform;
    if (readable.state === "readable" && !readable.isClosing) closeReadable(readable);
    transformFail(this.#transform, new TypeError("the transform was terminated"));
  }
}
exposeClass(TransformStreamDefaultController);

function transformEnqueue(transform, chunk) {
  const { readable } = transform;
  try {
    enqueueChunk(readable, chunk);
  } catch (error) {
    transformFail(transform, error);
    throw readable.state === "errored" ? readable.error : error;
  }
  if (!(roomOf(readable) > 0) && !(readable.reader?.requests.length > 0)) transformHold(transform, true);
}

function transformHold(transform, isHeld) {
  if (transform.isHeld === isHeld) return;
  transform.isHeld = isHeld;
  transform.changed.resolve(undefined);
  transform.changed = deferred();
}

function transformFail(transform, error) {
  if (transform.writable.state === "writable") startErroring(transform.writable, error);
  transformHold(transform, false);
}

function transformError(transform, error) {
  errorReadable(transform.readable, error);
  transformFail(transform, error);
}

// { start, transform, flush, cancel } → { readable, writable } as states.
function newTransform(methods, writableMark = 1, writableSize, readableMark = 0, readableSize) {
  const transform = { readable: undefined, writable: undefined, isHeld: true, changed: deferred(), finished: undefined };
  const started = deferred();
  // Whoever ends it first (closing, aborting, cancelling) does so once.
  const finish = (work) => (transform.finished ??= (async () => work())());
  const controller = makeTransformController(transform);
  transform.writable = newWritable({
    start: () => started.promise,
    mark: writableMark,
    size: writableSize,
    write: async (chunk) => {
      while (transform.isHeld) {
        await transform.changed.promise;
        if (transform.writable.state === "erroring") throw transform.writable.error;
      }
      try {
        if (methods.transform === undefined) transformEnqueue(transform, chunk);
        else await methods.transform(chunk, controller);
      } catch (error) {
        transformError(transform, error);
        throw error;
      }
    },
    close: () => finish(async () => {
      try {
        await methods.flush?.(controller);
      } catch (error) {
        transformError(transform, error);
        throw error;
      }
      if (transform.readable.state === "errored") throw transform.readable.error;
      if (transform.readable.state === "readable" && !transform.readable.isClosing) closeReadable(transform.readable);
    }),
    abort: (reason) => finish(async () => {
      try {
        await methods.cancel?.(reason);
      } catch (error) {
        errorReadable(transform.readable, error);
        throw error;
      }
      errorReadable(transform.readable, reason);
    }),
  });
  transform.readable = newReadable({
    start: () => started.promise,
    mark: readableMark,
    size: readableSize,
    pull: () => {
      transformHold(transform, false);
      return transform.changed.promise;
    },
    cancel: (reason) => finish(async () => {
      try {
        await methods.cancel?.(reason);
      } catch (error) {
        transformFail(transform, error);
        throw error;
      }
      transformFail(transform, reason);
    }),
  });
  started.resolve(methods.start?.(controller));
  return transform;
}

class TransformStream {
  #transform;
  constructor(transformer, writableStrategy, readableStrategy) {
    const by = dictionary(transformer, "the transformer");
    if (by.readableType !== undefined || by.writableType !== undefined) throw new RangeError("a transformer has no types");
    const into = dictionary(writableStrategy, "the writable strategy"), out = dictionary(readableStrategy, "the readable strategy");
    const method = (name) => methodOf(by, name, "TransformStream");
    const methods = { start: method("start"), transform: method("transform"), flush: method("flush"), cancel: method("cancel") };
    this.#transform = newTransform(methods, markOf(into, 1), sizeOf(into), markOf(out, 0), sizeOf(out));
  }
  get readable() { return this.#transform.readable.stream; }
  get writable() { return this.#transform.writable.stream; }
}
exposeClass(TransformStream);

class TextEncoderStream {
  #transform;
  constructor() {
    // Half a character at a chunk's end waits for its other half.
    let half = "";
    this.#transform = newTransform({
      transform: (chunk, controller) => {
        let text = half + `${chunk}`;
        const last = text.charCodeAt(text.length - 1);
        half = last >= 0xd800 && last < 0xdc00 ? text.slice(-1) : "";
        if (half !== "") text = text.slice(0, -1);
        if (text !== "") controller.enqueue(utf8(text));
      },
      flush: (controller) => { if (half !== "") controller.enqueue(utf8(half)); },
    });
  }
  get encoding() { return "utf-8"; }
  get readable() { return this.#transform.readable.stream; }
  get writable() { return this.#transform.writable.stream; }
}
exposeClass(TextEncoderStream);

class TextDecoderStream {
  #transform;
  #decoder;
  constructor(label, options) {
    const decoder = new TextDecoder(label, options);
    const send = (text, controller) => { if (text !== "") controller.enqueue(text); };
    this.#decoder = decoder;
    this.#transform = newTransform({
      transform: (chunk, controller) => send(decoder.decode(chunk, { stream: true }), controller),
      flush: (controller) => send(decoder.decode(), controller),
    });
  }
  get encoding() { return this.#decoder.encoding; }
  get fatal() { return this.#decoder.fatal; }
  get ignoreBOM() { return this.#decoder.ignoreBOM; }
  get readable() { return this.#transform.readable.stream; }
  get writable() { return this.#transform.writable.stream; }
}
exposeClass(TextDecoderStream);
