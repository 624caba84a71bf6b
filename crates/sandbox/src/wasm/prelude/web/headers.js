// Headers: a list of names and values; a name's values are joined, but for Set-Cookie's.
const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// A value with nothing to take off or to refuse, as most are.
const PLAIN_HEADER_VALUE = /^[!-~](?:[ -~]*[!-~])?$/;

function headerName(value) {
  const name = `${value}`;
  if (!HEADER_NAME.test(name)) throw new TypeError(`'${name}' is not a header's name`);
  return name.toLowerCase();
}

function headerValue(value, name) {
  const given = `${value}`;
  if (PLAIN_HEADER_VALUE.test(given)) return given;
  const text = byteText(given, `the header ${name}`).replace(/^[\t\n\r ]+|[\t\n\r ]+$/g, "");
  if (/[\0\r\n]/.test(text)) throw new TypeError(`the header ${name} has a line break or a zero byte in its value`);
  return text;
}

let headerPairs, newHeaders, typeHeaders, answerHeaders;
class Headers {
  // By lower-case name; an array of values for set-cookie.
  #values = new Map();
  #isImmutable = false;
  #sorted = undefined;
  static {
    headerPairs = (headers) => headers.#list();
    // Of a response from outside: what is not allowed there is not our problem.
    newHeaders = (pairs, isImmutable) => {
      const headers = new Headers();
      for (let i = 0; i < pairs.length; i++) headers.#add(pairs[i][0].toLowerCase(), pairs[i][1]);
      headers.#isImmutable = isImmutable;
      return headers;
    };
    // For a body of this type, unless they say another.
    typeHeaders = (headers, type) => {
      if (!headers.#values.has("content-type")) headers.#add("content-type", type);
    };
    // Of an answer's head as the host tells it (see fetch.js).
    answerHeaders = (lines) => {
      const headers = new Headers();
      for (let at = 4; at + 1 < lines.length; at += 2) headers.#add(lines[at].toLowerCase(), lines[at + 1]);
      headers.#isImmutable = true;
      return headers;
    };
  }
  constructor(init = undefined) {
    if (init === undefined) return;
    if (!isObject(init)) throw new TypeError("Headers: neither a sequence of pairs nor a record");
    const iterate = init[Symbol.iterator];
    if (iterate !== undefined && iterate !== null) {
      for (const entry of init) {
        const [name, value] = pairOf(entry, "Headers");
        this.append(name, value);
      }
    } else {
      const keys = ownKeys(init);
      for (let i = 0; i < keys.length; i++) if (getOwnPropertyDescriptor(init, keys[i])?.enumerable) this.append(keys[i], init[keys[i]]);
    }
  }
  #list() {
    if (this.#sorted !== undefined) return this.#sorted;
    const pairs = [];
    for (const name of [...this.#values.keys()].sort()) {
      const value = this.#values.get(name);
      if (isArray(value)) for (const item of value) pairs.push([name, item]);
      else pairs.push([name, value]);
    }
    return (this.#sorted = pairs);
  }
  #add(name, value) {
    this.#sorted = undefined;
    const known = this.#values.get(name);
    if (name === "set-cookie") this.#values.set(name, [...(known ?? []), value]);
    else this.#values.set(name, known === undefined ? value : `${known}, ${value}`);
  }
  #change() {
    if (this.#isImmutable) throw new TypeError("these headers cannot be changed");
    this.#sorted = undefined;
  }
  append(name, value) {
    needArguments(arguments.length, 2, "Headers.append");
    const key = headerName(name), text = headerValue(value, name);
    this.#change();
    this.#add(key, text);
  }
  delete(name) {
    needArguments(arguments.length, 1, "Headers.delete");
    const key = headerName(name);
    this.#change();
    this.#values.delete(key);
  }
  get(name) {
    needArguments(arguments.length, 1, "Headers.get");
    const value = this.#values.get(headerName(name));
    return value === undefined ? null : isArray(value) ? value.join(", ") : value;
  }
  getSetCookie() { return [...(this.#values.get("set-cookie") ?? [])]; }
  has(name) {
    needArguments(arguments.length, 1, "Headers.has");
    return this.#values.has(headerName(name));
  }
  set(name, value) {
    needArguments(arguments.length, 2, "Headers.set");
    const key = headerName(name), text = headerValue(value, name);
    this.#change();
    this.#values.set(key, key === "set-cookie" ? [text] : text);
  }
}
exposePairs(Headers, "Headers", (headers) => headerPairs(headers));
exposeClass(Headers);
