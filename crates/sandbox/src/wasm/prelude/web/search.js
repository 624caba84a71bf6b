// URLSearchParams: application/x-www-form-urlencoded, both ways.
const FORM_ESCAPES = { "!": "%21", "'": "%27", "(": "%28", ")": "%29", "~": "%7E", "%20": "+" };
const formEncode = (text) => encodeURIComponent(text).replace(/[!'()~]|%20/g, (found) => FORM_ESCAPES[found]);

// The bytes that `text` escapes; what is not an escape stays.
function percentBytes(text) {
  const bytes = utf8(text);
  let length = 0;
  for (let i = 0; i < bytes.length; i++) {
    const value = bytes[i] === 0x25 ? hexDigit(bytes[i + 1]) * 16 + hexDigit(bytes[i + 2]) : NaN;
    if (value >= 0) i += 2;
    bytes[length++] = value >= 0 ? value : bytes[i];
  }
  return bytes.subarray(0, length);
}

// What is not UTF-8 becomes U+FFFD, so decoding never fails.
function percentDecode(text) {
  if (!text.includes("%")) return text;
  try { return decodeURIComponent(text); } catch {}
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(percentBytes(text));
}

function hexDigit(byte) {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : NaN;
}

function formParse(text) {
  const pairs = [];
  for (const part of text.split("&")) {
    if (part === "") continue;
    const plain = part.replaceAll("+", " ");
    const at = plain.indexOf("=");
    pairs.push(at < 0 ? [percentDecode(plain), ""] : [percentDecode(plain.slice(0, at)), percentDecode(plain.slice(at + 1))]);
  }
  return pairs;
}

const formSerialize = (pairs) => pairs.map(([name, value]) => `${formEncode(name)}=${formEncode(value)}`).join("&");

// A pair of `records`: a sequence of exactly two.
function pairOf(value, what) {
  if (!isObject(value) || typeof value[Symbol.iterator] !== "function") throw new TypeError(`${what}: an entry is not a pair`);
  const pair = [...value];
  if (pair.length !== 2) throw new TypeError(`${what}: an entry has ${pair.length} items instead of 2`);
  return pair;
}

// keys, values, entries, forEach and iteration for a class whose `list` gives the present pairs.
function exposePairs(Class, name, list) {
  const prototype = {
    __proto__: getPrototypeOf(getPrototypeOf([][Symbol.iterator]())),
    next() {
      const state = pairIterators.get(this);
      if (state === undefined) throw new TypeError(`not a ${name} Iterator`);
      const pairs = state.list();
      if (state.at >= pairs.length) return { value: undefined, done: true };
      return { value: state.pick(pairs[state.at++]), done: false };
    },
  };
  defineProperty(prototype, Symbol.toStringTag, { value: `${name} Iterator`, configurable: true });
  const iterator = (owner, pick) => {
    list(owner);
    const made = Object.create(prototype);
    pairIterators.set(made, { list: () => list(owner), pick, at: 0 });
    return made;
  };
  const methods = {
    keys() { return iterator(this, (pair) => pair[0]); },
    values() { return iterator(this, (pair) => pair[1]); },
    entries() { return iterator(this, (pair) => [pair[0], pair[1]]); },
    forEach(callback, receiver) {
      if (typeof callback !== "function") throw new TypeError(`${name}.forEach: the callback is not a function`);
      for (let at = 0; at < list(this).length; at++) {
        const [key, value] = list(this)[at];
        apply(callback, receiver, [value, key, this]);
      }
    },
  };
  for (const key of ownKeys(methods)) defineProperty(Class.prototype, key, { value: methods[key], writable: true, configurable: true, enumerable: true });
  defineProperty(Class.prototype, Symbol.iterator, { value: methods.entries, writable: true, configurable: true });
}
const pairIterators = new WeakMap();

let searchPairs, searchOf, refreshSearch;
class URLSearchParams {
  #pairs = [];
  // Tells the URL whose query this is, if there is one, that it has changed.
  #changed = undefined;
  static {
    searchPairs = (search) => search.#pairs;
    searchOf = (query, changed) => {
      const search = new URLSearchParams();
      search.#pairs = formParse(query);
      search.#changed = changed;
      return search;
    };
    refreshSearch = (search, query) => { search.#pairs = formParse(query); };
  }
  constructor(init = "") {
    if (isObject(init)) this.#fill(init);
    else this.#pairs = formParse(scalarText(init).replace(/^\?/, ""));
  }
  #fill(init) {
    const iterate = init[Symbol.iterator];
    if (iterate !== undefined && iterate !== null) {
      for (const entry of init) {
        const [name, value] = pairOf(entry, "URLSearchParams");
        this.#pairs.push([scalarText(name), scalarText(value)]);
      }
      return;
    }
    const record = new Map();
    for (const key of ownKeys(init)) {
      if (getOwnPropertyDescriptor(init, key)?.enumerable) record.set(scalarText(key), scalarText(init[key]));
    }
    this.#pairs = [...record];
  }
  #update() { this.#changed?.(); }
  get size() { return this.#pairs.length; }
  append(name, value) {
    needArguments(arguments.length, 2, "URLSearchParams.append");
    this.#pairs.push([scalarText(name), scalarText(value)]);
    this.#update();
  }
  delete(name, value) {
    needArguments(arguments.length, 1, "URLSearchParams.delete");
    const key = scalarText(name), only = value === undefined ? undefined : scalarText(value);
    this.#pairs = this.#pairs.filter((pair) => pair[0] !== key || (only !== undefined && pair[1] !== only));
    this.#update();
  }
  get(name) {
    needArguments(arguments.length, 1, "URLSearchParams.get");
    const key = scalarText(name);
    return this.#pairs.find((pair) => pair[0] === key)?.[1] ?? null;
  }
  getAll(name) {
    needArguments(arguments.length, 1, "URLSearchParams.getAll");
    const key = scalarText(name);
    return this.#pairs.filter((pair) => pair[0] === key).map((pair) => pair[1]);
  }
  has(name, value) {
    needArguments(arguments.length, 1, "URLSearchParams.has");
    const key = scalarText(name), only = value === undefined ? undefined : scalarText(value);
    return this.#pairs.some((pair) => pair[0] === key && (only === undefined || pair[1] === only));
  }
  set(name, value) {
    needArguments(arguments.length, 2, "URLSearchParams.set");
    const key = scalarText(name), text = scalarText(value);
    const first = this.#pairs.find((pair) => pair[0] === key);
    if (first === undefined) {
      this.#pairs.push([key, text]);
    } else {
      first[1] = text;
      this.#pairs = this.#pairs.filter((pair) => pair === first || pair[0] !== key);
    }
    this.#update();
  }
  sort() {
    // By UTF-16 units; the engine's sort is stable.
    this.#pairs.sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
    this.#update();
  }
  toString() { return formSerialize(this.#pairs); }
}
exposePairs(URLSearchParams, "URLSearchParams", (search) => searchPairs(search));
exposeClass(URLSearchParams);
