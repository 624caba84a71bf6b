// What Request and Response have in common: a body that is read once.
//
// A body is { bytes }, { incoming } or { stream } (a readable's state); the others become a stream only when somebody asks
// for one. `incoming` is what comes in from outside: most code wants all of it at once.
const newIncoming = (cancel) => ({ chunks: [], length: 0, isOver: false, failure: undefined, notify: undefined, stream: undefined, cancel });

// Chunks are views of what came; who gets one by itself gets it with a buffer of its own.
function addIncoming(incoming, chunk) {
  const { stream } = incoming;
  if (stream === undefined) {
    incoming.chunks.push(chunk);
    incoming.length += chunk.length;
  } else if (stream.state === "readable") {
    enqueueChunk(stream, new GlobalUint8Array(chunk));
  }
}

function endIncoming(incoming) {
  incoming.isOver = true;
  incoming.notify?.();
  if (incoming.stream?.state === "readable") closeReadable(incoming.stream);
}

function failIncoming(incoming, error) {
  incoming.failure = { error };
  incoming.notify?.();
  if (incoming.stream !== undefined) errorReadable(incoming.stream, error);
}

// All of it: bytes, or a promise of them.
function allIncoming(incoming) {
  if (incoming.failure !== undefined) throw incoming.failure.error;
  if (incoming.isOver) return joinBytes(incoming.chunks, incoming.length);
  return new GlobalPromise((resolve, reject) => {
    incoming.notify = () => {
      if (incoming.failure !== undefined) reject(incoming.failure.error);
      else resolve(joinBytes(incoming.chunks, incoming.length));
    };
  });
}

function streamOfIncoming(incoming) {
  const stream = (incoming.stream = newReadable({ isBytes: true, mark: 0, cancel: incoming.cancel }));
  for (const chunk of incoming.chunks) enqueueChunk(stream, new GlobalUint8Array(chunk));
  incoming.chunks = [];
  if (incoming.failure !== undefined) errorReadable(stream, incoming.failure.error);
  else if (incoming.isOver) closeReadable(stream);
  return stream;
}

// What may be given as a body → { body, type }.
function extractBody(init) {
  if (init === undefined || init === null) return { body: undefined, type: undefined };
  if (isReadable(init)) {
    const state = readableState(init);
    if (state.isDisturbed || state.reader !== undefined) throw new TypeError("the body's stream is locked or was read already");
    return { body: { bytes: undefined, stream: state, isUsed: false }, type: undefined };
  }
  let bytes, type;
  if (isBlob(init)) {
    bytes = blobBytes(init);
    type = init.type || undefined;
  } else if (isBytes(init)) {
    bytes = bytesOf(init).slice();
  } else if (isFormData(init)) {
    [bytes, type] = multipartEncode(init);
  } else if (init instanceof URLSearchParams) {
    bytes = utf8(formSerialize(searchPairs(init)));
    type = "application/x-www-form-urlencoded;charset=UTF-8";
  } else if (isObject(init) && typeof init[Symbol.asyncIterator] === "function") {
    // Not in the standard, but what Node.js takes: a Readable, an async generator.
    return { body: { bytes: undefined, stream: readableState(ReadableStream.from(init)), isUsed: false }, type: undefined };
  } else {
    bytes = utf8(`${init}`);
    type = "text/plain;charset=UTF-8";
  }
  return { body: { bytes, stream: undefined, isUsed: false }, type };
}

const isBodyUsed = (body) => body !== undefined && (body.stream === undefined ? body.isUsed : body.stream.isDisturbed);
const isBodyUnusable = (body) => isBodyUsed(body) || body?.stream?.reader !== undefined;

function needUsable(body) {
  if (isBodyUnusable(body)) throw new TypeError("the body is locked or was read already");
}

function bodyStream(body) {
  if (body === undefined) return null;
  if (body.stream === undefined) {
    const isIncoming = body.incoming !== undefined;
    // Of one that is being read all at once, nothing is left for a stream.
    body.stream = !isIncoming ? streamOfBytes(body.bytes) : body.isUsed ? newReadable({ isBytes: true, mark: 0 }) : streamOfIncoming(body.incoming);
    if (body.isUsed) {
      // As whoever read it left it.
      body.stream.isDisturbed = true;
      endReadable(body.stream);
      acquireReader(body.stream);
    }
  }
  return body.stream.stream;
}

// Two of one.
function cloneBody(body) {
  if (body === undefined) return undefined;
  needUsable(body);
  if (body.incoming !== undefined) bodyStream(body);
  if (body.stream === undefined) return { ...body };
  const [first, second] = teeReadable(body.stream);
  body.stream = first;
  return { bytes: undefined, stream: second, isUsed: false };
}

// All bytes of a body, which is used then: bytes, or a promise of them.
function readBody(body) {
  if (body === undefined) return new GlobalUint8Array(0);
  needUsable(body);
  if (body.stream !== undefined) return readStream(body.stream);
  body.isUsed = true;
  return body.incoming === undefined ? body.bytes : allIncoming(body.incoming);
}

async function readStream(stream) {
  const reader = acquireReader(stream);
  const chunks = [];
  let length = 0;
  for (;;) {
    const { value, done } = await readChunk(reader);
    if (done) break;
    if (!(value instanceof Uint8Array)) throw new TypeError("a chunk of the body's stream is not a Uint8Array");
    chunks.push(value);
    length += value.length;
  }
  return joinBytes(chunks, length);
}

function formOf(bytes, type) {
  const essence = type.split(";", 1)[0].trim().toLowerCase();
  if (essence === "multipart/form-data") {
    const found = /;\s*boundary=(?:"([^"]*)"|([^;\s]*))/i.exec(type);
    if (found === null) throw badForm();
    return multipartDecode(bytes, found[1] ?? found[2]);
  }
  if (essence !== "application/x-www-form-urlencoded") throw new TypeError(`the content type '${type}' is not a form's`);
  const form = new FormData();
  for (const [name, value] of formParse(utf8Text(bytes))) form.append(name, value);
  return form;
}

// Adds the members to a class whose `bodyOf` gives the body and `typeOf` its content type.
function bodyMembers(Class, bodyOf, typeOf) {
  const members = {
    get body() { return bodyStream(bodyOf(this)); },
    get bodyUsed() { return isBodyUsed(bodyOf(this)); },
    async arrayBuffer() { return exactBuffer((await readBody(bodyOf(this))).slice()); },
    async blob() {
      const type = typeOf(this);
      return newBlob(await readBody(bodyOf(this)), type);
    },
    async bytes() { return (await readBody(bodyOf(this))).slice(); },
    async formData() {
      const type = typeOf(this);
      return formOf(await readBody(bodyOf(this)), type);
    },
    async json() { return parse(utf8Text(await readBody(bodyOf(this)))); },
    async text() { return utf8Text(await readBody(bodyOf(this))); },
  };
  for (const key of ownKeys(members)) defineProperty(Class.prototype, key, getOwnPropertyDescriptor(members, key));
}
