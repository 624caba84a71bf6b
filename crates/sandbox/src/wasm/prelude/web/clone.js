// structuredClone. What an object is, is asked of the engine by methods that throw for anything else, so that neither a
// borrowed prototype nor a tag can pretend.
const is = (method) => {
  return (value, ...rest) => {
    try { apply(method, value, rest); return true; } catch { return false; }
  };
};
const getterOf = (Class, name) => getOwnPropertyDescriptor(Class.prototype, name).get;
const isDate = is(Date.prototype.getTime), isMap = is(getterOf(Map, "size")), isSet = is(getterOf(Set, "size"));
const hasSource = is(getterOf(RegExp, "source")), isArrayBuffer = is(getterOf(ArrayBuffer, "byteLength"));
// The prototype answers too.
const isRegExp = (value) => hasSource(value) && value !== RegExp.prototype;
const isSharedBuffer = is(getterOf(SharedArrayBuffer, "byteLength"));
const isWeakMap = is(WeakMap.prototype.has), isWeakSet = is(WeakSet.prototype.has), isWeakRef = is(WeakRef.prototype.deref);
const boxed = [Boolean, Number, String, BigInt].map((Class) => ({ isBox: is(Class.prototype.valueOf), value: Class.prototype.valueOf }));
const isSymbolBox = is(Symbol.prototype.valueOf);
const typedArrayName = getOwnPropertyDescriptor(getPrototypeOf(Uint8Array).prototype, Symbol.toStringTag).get;
const viewClasses = { __proto__: null };
for (const name of ["Int8", "Uint8", "Uint8Clamped", "Int16", "Uint16", "Int32", "Uint32", "BigInt64", "BigUint64", "Float16", "Float32", "Float64"]) {
  if (`${name}Array` in globalThis) viewClasses[`${name}Array`] = globalThis[`${name}Array`];
}
const errorClasses = { __proto__: null, Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError };

// Classes of the web that can be cloned: [test, clone].
const clonable = [];

function uncloneable(value) {
  let what;
  try { what = typeof value === "function" ? `function ${value.name || "(anonymous)"}` : typeof value === "symbol" ? GlobalString(value) : `#<${value.constructor.name}>`; } catch { what = "a value"; }
  return exception("DataCloneError", `${what} could not be cloned.`);
}

function isPlatform(value) {
  for (let prototype = getPrototypeOf(value); prototype !== null; prototype = getPrototypeOf(prototype)) {
    if (platformPrototypes.has(prototype)) return true;
  }
  return false;
}

function cloneView(value, known) {
  const Class = viewClasses[apply(typedArrayName, value, [])] ?? DataView;
  const buffer = cloneValue(value.buffer, known);
  // A view that follows its resizable buffer goes on following it.
  const follows = value.buffer.resizable && value.byteOffset + value.byteLength === value.buffer.byteLength;
  return follows ? new Class(buffer, value.byteOffset) : new Class(buffer, value.byteOffset, Class === DataView ? value.byteLength : value.length);
}

function cloneError(error, known) {
  if (error instanceof DOMException) {
    const clone = new DOMException(error.message, error.name);
    known.set(error, clone);
    return clone;
  }
  const clone = new (errorClasses[error.name] ?? Error)();
  const message = getOwnPropertyDescriptor(error, "message");
  delete clone.message;
  if (message !== undefined && "value" in message) defineProperty(clone, "message", { value: `${message.value}`, writable: true, configurable: true });
  defineProperty(clone, "stack", { value: `${error.stack}`, writable: true, configurable: true });
  known.set(error, clone);
  const cause = getOwnPropertyDescriptor(error, "cause");
  if (cause !== undefined) defineProperty(clone, "cause", { value: cloneValue(error.cause, known), writable: true, configurable: true });
  return clone;
}

// What has no members to follow; undefined if it is something else.
function cloneLeaf(value, known) {
  if (isDate(value)) return new Date(apply(Date.prototype.getTime, value, []));
  if (isRegExp(value)) return new RegExp(apply(getterOf(RegExp, "source"), value, []), value.flags);
  if (isArrayBuffer(value)) {
    if (value.detached) throw exception("DataCloneError", "an ArrayBuffer is detached and could not be cloned.");
    if (!value.resizable) return value.slice(0);
    const copy = new ArrayBuffer(value.byteLength, { maxByteLength: value.maxByteLength });
    new Uint8Array(copy).set(new Uint8Array(value));
    return copy;
  }
  if (ArrayBuffer.isView(value)) return cloneView(value, known);
  for (const { isBox, value: unbox } of boxed) if (isBox(value)) return Object(apply(unbox, value, []));
  for (const [isIt, clone] of clonable) if (isIt(value)) return clone(value);
  return undefined;
}

function isUncloneable(value) {
  return typeof value === "function" || isSymbolBox(value) || isWeakMap(value) || isWeakSet(value) || isWeakRef(value) || isSharedBuffer(value)
    || value instanceof Promise || isPlatform(value);
}

function cloneValue(value, known) {
  if (typeof value === "symbol") throw uncloneable(value);
  if (!isObject(value)) return value;
  const seen = known.get(value);
  if (seen !== undefined) return seen;
  if (isArray(value)) {
    const copy = new Array(value.length);
    known.set(value, copy);
    return cloneMembers(value, copy, known);
  }
  const prototype = typeof value === "function" ? undefined : getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) {
    const copy = {};
    // Objects of builtin kinds may have had their prototype taken.
    const leaf = prototype === null ? cloneLeaf(value, known) : undefined;
    known.set(value, leaf ?? copy);
    return leaf ?? cloneMembers(value, copy, known);
  }
  if (typeof value !== "function") {
    if (isError(value)) return cloneError(value, known);
    const leaf = cloneLeaf(value, known);
    if (leaf !== undefined) {
      known.set(value, leaf);
      return leaf;
    }
    if (isMap(value)) return cloneMap(value, known);
    if (isSet(value)) return cloneSet(value, known);
  }
  if (isUncloneable(value)) throw uncloneable(value);
  const copy = {};
  known.set(value, copy);
  return cloneMembers(value, copy, known);
}

function cloneMap(value, known) {
  const copy = new Map(), entries = [];
  known.set(value, copy);
  mapEntries(value, (item, key) => entries.push([key, item]));
  for (const [key, item] of entries) copy.set(cloneValue(key, known), cloneValue(item, known));
  return copy;
}

function cloneSet(value, known) {
  const copy = new Set(), items = [];
  known.set(value, copy);
  setEntries(value, (item) => items.push(item));
  for (const item of items) copy.add(cloneValue(item, known));
  return copy;
}

function cloneMembers(value, copy, known) {
  for (const key of Object.keys(value)) {
    if (!Object.hasOwn(value, key)) continue;
    defineProperty(copy, key, { value: cloneValue(value[key], known), writable: true, enumerable: true, configurable: true });
  }
  return copy;
}

expose("structuredClone", function structuredClone(value, options) {
  needArguments(arguments.length, 1, "structuredClone");
  const transfer = [...(dictionary(options, "the options").transfer ?? [])];
  const known = new Map();
  for (const item of transfer) {
    if (!isObject(item) || !isArrayBuffer(item)) throw exception("DataCloneError", "only an ArrayBuffer can be transferred.");
    if (item.detached || known.has(item)) throw exception("DataCloneError", "an ArrayBuffer is detached or in the list twice.");
    known.set(item, cloneLeaf(item, known));
  }
  const copy = cloneValue(value, known);
  // Only now, for a clone that fails must leave them as they were.
  for (const item of transfer) item.transfer(0);
  return copy;
});
