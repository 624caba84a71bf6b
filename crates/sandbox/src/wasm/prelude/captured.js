// The prelude's files are one strict function's body, joined in the order that prelude.rs gives; they run at deploy time
// before the tenant's code, so what they leave is in every image and costs an attempt nothing.
//
// Tenant code shares the realm. It can replace any global or prototype method, which harms nobody but itself, since every
// attempt starts from the image again; yet a log line, a failure and a result should say what happened even then. So
// what runs after tenant code uses only what is captured here, never a method looked up at the time.
const { stringify, parse } = JSON;
const { apply, construct, ownKeys, getPrototypeOf, defineProperty, deleteProperty } = Reflect;
const { isArray } = Array;
const { getOwnPropertyDescriptor } = Object;
const mathTrunc = Math.trunc;
const isEngineError = Error.isError, GlobalDOMException = DOMException;
const GlobalError = Error, GlobalString = String, GlobalMap = Map, GlobalSet = Set, GlobalDate = Date, GlobalRegExp = RegExp;
const uncurried = (method) => (receiver, ...rest) => apply(method, receiver, rest);
const slice = uncurried(String.prototype.slice);
const indexOf = uncurried(String.prototype.indexOf);
const lastIndexOf = uncurried(String.prototype.lastIndexOf);
const startsWith = uncurried(String.prototype.startsWith);
const endsWith = uncurried(String.prototype.endsWith);
const charCodeAt = uncurried(String.prototype.charCodeAt);
const trim = uncurried(String.prototype.trim);
const dateToISOString = uncurried(Date.prototype.toISOString);
const regExpToString = uncurried(RegExp.prototype.toString);
const mapEntries = uncurried(Map.prototype.forEach);
const setEntries = uncurried(Set.prototype.forEach);
const promiseThen = uncurried(Promise.prototype.then);
const weakGet = uncurried(WeakMap.prototype.get);
const weakSet = uncurried(WeakMap.prototype.set);
const weakAdd = uncurried(WeakSet.prototype.add);
const weakHas = uncurried(WeakSet.prototype.has);

// The engine does not count DOMException among the errors.
function isError(value) {
  if (isEngineError(value)) return true;
  try { return value instanceof GlobalDOMException; } catch { return false; }
}

// `text` cut at every `mark`: an array that no tampered prototype method has touched.
function cut(text, mark) {
  const parts = [];
  let from = 0, count = 0;
  for (;;) {
    const at = indexOf(text, mark, from);
    defineProperty(parts, count++, { value: at < 0 ? slice(text, from) : slice(text, from, at), enumerable: true, writable: true, configurable: true });
    if (at < 0) return parts;
    from = at + mark.length;
  }
}
