// What Web IDL does for the classes of the web, as far as code relies on it: where they stand, how arguments are
// converted, and what the host's refusals become.
const GlobalTypeError = TypeError, GlobalRangeError = RangeError, GlobalSyntaxError = SyntaxError;
const GlobalPromise = Promise, GlobalUint8Array = Uint8Array, GlobalArrayBuffer = ArrayBuffer;
// Prototypes of what structuredClone refuses unless it knows better.
const platformPrototypes = new Set();

// A name of the global object: there, but not enumerable.
function expose(name, value) {
  defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false });
}

// A class of the web: its members are enumerable and its objects have a tag.
function exposeClass(Class, name = Class.name) {
  for (const key of ownKeys(Class.prototype)) {
    if (typeof key === "string" && key !== "constructor") defineProperty(Class.prototype, key, { enumerable: true });
  }
  for (const key of ownKeys(Class)) {
    if (typeof key === "string" && !["length", "name", "prototype"].includes(key)) defineProperty(Class, key, { enumerable: true });
  }
  defineProperty(Class.prototype, Symbol.toStringTag, { value: name, configurable: true });
  platformPrototypes.add(Class.prototype);
  expose(name, Class);
}

const exception = (name, message) => new ToldDOMException(message, name);

function needArguments(given, count, what) {
  if (given < count) throw new TypeError(`${what} needs ${count} argument${count > 1 ? "s" : ""}, but has ${given}`);
}

// USVString: lone surrogates become U+FFFD.
const scalarText = (value) => `${value}`.toWellFormed();

// ByteString: every character is a byte.
function byteText(value, what) {
  const text = `${value}`;
  if (/[^\0-\xff]/.test(text)) throw new TypeError(`${what} has a character above U+00FF`);
  return text;
}

// A dictionary: undefined and null stand for an empty one.
function dictionary(value, what) {
  if (value === undefined || value === null) return {};
  if (typeof value !== "object" && typeof value !== "function") throw new TypeError(`${what} is not an object`);
  return value;
}

function oneOf(value, allowed, what) {
  const text = `${value}`;
  if (!allowed.includes(text)) throw new TypeError(`${what}: '${text}' is none of ${allowed.join(", ")}`);
  return text;
}

const isObject = (value) => (typeof value === "object" && value !== null) || typeof value === "function";
const isBuffer = (value) => value instanceof ArrayBuffer || value instanceof SharedArrayBuffer;
const isBytes = (value) => ArrayBuffer.isView(value) || isBuffer(value);

// The bytes of a BufferSource, not copied.
function bytesOf(source, what) {
  if (ArrayBuffer.isView(source)) return new GlobalUint8Array(source.buffer, source.byteOffset, source.byteLength);
  if (isBuffer(source)) return new GlobalUint8Array(source);
  throw new TypeError(`${what} is neither an ArrayBuffer nor a view of one`);
}

function joinBytes(chunks, length) {
  if (chunks.length === 1) return chunks[0];
  const all = new GlobalUint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

const utf8 = (text) => new GlobalUint8Array(host.encode(text));

// The host refuses with `NAME: message`: NAME says what to throw.
function refusal(error) {
  const text = isError(error) ? GlobalString(error.message) : "";
  const at = indexOf(text, ": ");
  if (at <= 0) return error;
  const name = slice(text, 0, at), message = slice(text, at + 2);
  switch (name) {
    case "Error": return new GlobalError(message);
    case "TypeError": return new GlobalTypeError(message);
    case "RangeError": return new GlobalRangeError(message);
    case "SyntaxError": return new GlobalSyntaxError(message);
    default: return exception(name, message);
  }
}

// host.call and host.ask with the refusals of the right class.
function callHost(operation, data) {
  try { return host.call(operation, data); } catch (error) { throw refusal(error); }
}

function askHost(operation, data) {
  try { return host.ask(operation, data); } catch (error) { throw refusal(error); }
}

// What nobody catches, of a listener or a microtask, ends the call as it ends a process of Node.js: thrown where the C
// side calls, which is as soon as the jobs are done; or, when the handler's result is there before, in its place.
let uncaught;
function throwUncaught(error) {
  uncaught ??= { error };
  startTimer(newTimer(() => { throw error; }, [], undefined));
}

expose("reportError", function reportError(error) {
  needArguments(arguments.length, 1, "reportError");
  write("ERROR", ["Uncaught", error]);
});

const queueJob = queueMicrotask;
expose("queueMicrotask", function queueMicrotask(callback) {
  if (typeof callback !== "function") throw new TypeError("queueMicrotask: the callback is not a function");
  queueJob(() => {
    try { callback(); } catch (error) { throwUncaught(error); }
  });
});
expose("self", globalThis);
