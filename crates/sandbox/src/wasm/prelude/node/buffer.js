// `Buffer`: Node's bytes, a Uint8Array with text and searching. No pool: a buffer's memory is its own, so that nothing
// is to be read of another's. Numbers are in buffer_numbers.js.
{
  // As much as the memory of any function may hold; the engine refuses earlier.
  const MAX_LENGTH = 2 ** 31 - 1;
  const INSPECT_MAX_BYTES = 50;

  class FastBuffer extends Uint8Array {
    constructor(first, offset, length) {
      super(first, offset, length);
    }
  }

  function Buffer(value, encodingOrOffset, length) {
    if (typeof value === "number") {
      if (typeof encodingOrOffset === "string") throw node.wrongType("string", "of type string", value);
      return Buffer.alloc(value);
    }
    return Buffer.from(value, encodingOrOffset, length);
  }
  Object.setPrototypeOf(Buffer, Uint8Array);
  Buffer.prototype = FastBuffer.prototype;
  node.hide(Buffer.prototype, { constructor: Buffer });
  Object.defineProperty(Buffer, Symbol.species, { configurable: true, get: () => FastBuffer });

  const viewOf = (bytes) => new FastBuffer(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isBytes = (value) => value instanceof Uint8Array;
  const isAnyBuffer = (value) => value instanceof ArrayBuffer || value instanceof SharedArrayBuffer;
  node.viewOf = viewOf;
  node.isAnyBuffer = isAnyBuffer;
  node.asBytes = (view) => (isAnyBuffer(view) ? new Uint8Array(view) : new Uint8Array(view.buffer, view.byteOffset, view.byteLength));

  function needSize(size) {
    if (typeof size !== "number") throw node.wrongType("size", "of type number", size);
    if (!(size >= 0 && size <= MAX_LENGTH)) throw node.outOfRange("size", `>= 0 && <= ${MAX_LENGTH}`, size);
  }

  Buffer.from = function from(value, encodingOrOffset, length) {
    if (typeof value === "string") {
      return viewOf(node.bytesOf(value, node.needEncoding(typeof encodingOrOffset === "string" ? encodingOrOffset : "utf8")));
    }
    if (typeof value === "object" && value !== null) {
      if (isAnyBuffer(value)) return fromArrayBuffer(value, encodingOrOffset, length);
      const inner = value.valueOf?.();
      if (inner !== undefined && inner !== null && inner !== value && (typeof inner === "string" || typeof inner === "object")) {
        return Buffer.from(inner, encodingOrOffset, length);
      }
      if (value.length !== undefined || isAnyBuffer(value.buffer)) return typeof value.length === "number" ? new FastBuffer(value) : new FastBuffer(0);
      if (value.type === "Buffer" && Array.isArray(value.data)) return new FastBuffer(value.data);
      const primitive = value[Symbol.toPrimitive];
      if (typeof primitive === "function") {
        const text = primitive.call(value, "string");
        if (typeof text === "string") return Buffer.from(text, encodingOrOffset);
      }
    }
    const kinds = "of type string or an instance of Buffer, ArrayBuffer, or Array or an Array-like Object";
    throw node.error(TypeError, "ERR_INVALID_ARG_TYPE", `The first argument must be ${kinds}.${node.received(value)}`);
  };

  function fromArrayBuffer(buffer, byteOffset, length) {
    let from = byteOffset === undefined ? 0 : +byteOffset;
    if (from !== from) from = 0;
    const most = buffer.byteLength - from;
    if (most < 0) throw node.error(RangeError, "ERR_BUFFER_OUT_OF_BOUNDS", '"offset" is outside of buffer bounds');
    if (length === undefined) return new FastBuffer(buffer, from, most);
    const count = +length > 0 ? +length : 0;
    if (count > most) throw node.error(RangeError, "ERR_BUFFER_OUT_OF_BOUNDS", '"length" is outside of buffer bounds');
    return new FastBuffer(buffer, from, count);
  }

  Buffer.copyBytesFrom = function copyBytesFrom(view, offset = 0, length = undefined) {
    if (!ArrayBuffer.isView(view) || view instanceof DataView) throw node.wrongType("view", "an instance of TypedArray", view);
    const part = view.subarray(offset, length === undefined ? undefined : offset + length);
    return new FastBuffer(node.asBytes(part));
  };
  Buffer.of = (...items) => new FastBuffer(items);
  Buffer.alloc = function alloc(size, fill, encoding) {
    needSize(size);
    const made = new FastBuffer(size);
    return fill === undefined || fill === 0 || size === 0 ? made : made.fill(fill, encoding);
  };
  Buffer.allocUnsafe = Buffer.allocUnsafeSlow = function allocUnsafe(size) {
    needSize(size);
    return new FastBuffer(size);
  };
  Buffer.isBuffer = (value) => value instanceof Buffer;
  Buffer.isEncoding = (name) => typeof name === "string" && name.length !== 0 && node.encodingOf(name) !== undefined;
  Buffer.byteLength = function byteLength(value, encoding) {
    if (typeof value !== "string") {
      if (ArrayBuffer.isView(value) || isAnyBuffer(value)) return value.byteLength;
      throw node.wrongType("string", "of type string or an instance of Buffer or ArrayBuffer", value);
    }
    switch (node.encodingOf(encoding) ?? "utf8") {
      case "latin1": case "ascii": return value.length;
      case "utf16le": return value.length * 2;
      case "hex": return value.length >>> 1;
      case "base64": case "base64url": {
        let count = value.length;
        if (count > 1 && value[count - 1] === "=") count--;
        if (count > 1 && value[count - 1] === "=") count--;
        return (count * 3) >>> 2;
      }
      default: return host.encode(value).byteLength;
    }
  };
  Buffer.concat = function concat(list, totalLength) {
    if (!Array.isArray(list)) throw node.wrongType("list", "an instance of Array", list);
    for (let i = 0; i < list.length; i++) if (!isBytes(list[i])) throw node.wrongType(`list[${i}]`, "an instance of Buffer or Uint8Array", list[i]);
    const length = totalLength === undefined ? list.reduce((sum, part) => sum + part.length, 0) : totalLength;
    const all = Buffer.alloc(length);
    let at = 0;
    for (const part of list) {
      if (at >= length) break;
      const fits = part.length > length - at ? part.subarray(0, length - at) : part;
      all.set(fits, at);
      at += fits.length;
    }
    return all;
  };
  Buffer.compare = function compare(a, b) {
    if (!isBytes(a)) throw node.wrongType("buf1", "an instance of Buffer or Uint8Array", a);
    if (!isBytes(b)) throw node.wrongType("buf2", "an instance of Buffer or Uint8Array", b);
    const most = Math.min(a.length, b.length);
    for (let i = 0; i < most; i++) if (a[i] !== b[i]) return a[i] < b[i] ? -1 : 1;
    return a.length < b.length ? -1 : a.length > b.length ? 1 : 0;
  };
  Buffer.poolSize = 0;

  const clamp = (value, fallback, least, most) => {
    if (value === undefined) return fallback;
    const whole = Math.trunc(+value) || 0;
    return whole < least ? least : whole > most ? most : whole;
  };

  // Where `value` begins, or -1; from the end backwards with `last`.
  function search(bytes, value, offset, encoding, last) {
    if (typeof offset === "string") [encoding, offset] = [offset, undefined];
    let from = offset === undefined || +offset !== +offset ? (last ? bytes.length : 0) : Math.trunc(+offset);
    if (from < 0) from += bytes.length;
    if (from < 0) {
      if (last && value !== "" && (typeof value === "number" || typeof value === "string" || isBytes(value))) return -1;
      from = 0;
    }
    if (typeof value === "number") {
      return last ? Uint8Array.prototype.lastIndexOf.call(bytes, value & 0xff, from) : Uint8Array.prototype.indexOf.call(bytes, value & 0xff, from);
    }
    let step = 1;
    let wanted = value;
    if (typeof value === "string") {
      const known = node.needEncoding(encoding);
      if (known === "utf16le") step = 2;
      wanted = node.bytesOf(value, known);
    } else if (!isBytes(value)) {
      throw node.wrongType("value", "one of type number or string or an instance of Buffer or Uint8Array", value);
    }
    const most = bytes.length - wanted.length;
    if (wanted.length === 0) return Math.min(from, bytes.length);
    if (last && from > most) from = most;
    for (let at = from; last ? at >= 0 : at <= most; at += last ? -1 : 1) {
      if (step === 2 && at % 2 !== 0) continue;
      if (bytes[at] !== wanted[0]) continue;
      let same = 1;
      while (same < wanted.length && bytes[at + same] === wanted[same]) same++;
      if (same === wanted.length) return at;
    }
    return -1;
  }

  function swap(bytes, size) {
    if (bytes.length % size !== 0) throw node.error(RangeError, "ERR_INVALID_BUFFER_SIZE", `Buffer size must be a multiple of ${size * 8}-bits`);
    for (let at = 0; at < bytes.length; at += size) bytes.subarray(at, at + size).reverse();
    return bytes;
  }

  node.hide(Buffer.prototype, {
    toString(encoding, start, end) {
      if (arguments.length === 0) return node.textOf(this, "utf8");
      const from = clamp(start, 0, 0, this.length), to = clamp(end, this.length, 0, this.length);
      const known = node.needEncoding(encoding);
      if (to <= from) return "";
      return node.textOf(from === 0 && to === this.length ? this : this.subarray(from, to), known);
    },
    toJSON() {
      return { type: "Buffer", data: Array.from(this) };
    },
    equals(other) {
      if (!isBytes(other)) throw node.wrongType("otherBuffer", "an instance of Buffer or Uint8Array", other);
      return this === other || (this.length === other.length && Buffer.compare(this, other) === 0);
    },
    compare(target, targetStart, targetEnd, sourceStart, sourceEnd) {
      if (!isBytes(target)) throw node.wrongType("target", "an instance of Buffer or Uint8Array", target);
      const bounds = (name, value, fallback, most) => {
        if (value === undefined) return fallback;
        if (!Number.isInteger(value) || value < 0 || value > most) throw node.outOfRange(name, `>= 0 && <= ${most}`, value);
        return value;
      };
      const from = bounds("sourceStart", sourceStart, 0, this.length), to = bounds("sourceEnd", sourceEnd, this.length, this.length);
      const other = bounds("targetStart", targetStart, 0, target.length), end = bounds("targetEnd", targetEnd, target.length, target.length);
      return Buffer.compare(this.subarray(from, Math.max(from, to)), target.subarray(other, Math.max(other, end)));
    },
    indexOf(value, offset, encoding) {
      return search(this, value, offset, encoding, false);
    },
    lastIndexOf(value, offset, encoding) {
      return search(this, value, offset, encoding, true);
    },
    includes(value, offset, encoding) {
      return search(this, value, offset, encoding, false) !== -1;
    },
    fill(value, offset, end, encoding) {
      if (typeof offset === "string") [encoding, offset, end] = [offset, undefined, undefined];
      else if (typeof end === "string") [encoding, end] = [end, undefined];
      const from = offset === undefined ? 0 : offset, to = end === undefined ? this.length : end;
      if (!(from >= 0 && from <= this.length)) throw node.outOfRange("offset", `>= 0 && <= ${this.length}`, from);
      if (!(to >= 0 && to <= this.length)) throw node.outOfRange("end", `>= 0 && <= ${this.length}`, to);
      if (from >= to) return this;
      if (typeof value !== "string" && !ArrayBuffer.isView(value)) {
        return Uint8Array.prototype.fill.call(this, typeof value === "boolean" ? +value : value & 0xff, from, to);
      }
      const pattern = typeof value === "string" ? node.bytesOf(value, node.needEncoding(encoding)) : node.asBytes(value);
      if (pattern.length === 0) {
        if (value === "") return Uint8Array.prototype.fill.call(this, 0, from, to);
        throw node.wrongValue("value", value);
      }
      for (let at = from, next = 0; at < to; at++) {
        this[at] = pattern[next];
        if (++next === pattern.length) next = 0;
      }
      return this;
    },
    write(text, offset, length, encoding) {
      if (typeof text !== "string") throw node.error(TypeError, "ERR_INVALID_ARG_TYPE", "argument must be a string");
      if (typeof offset === "string") [encoding, offset, length] = [offset, undefined, undefined];
      else if (typeof length === "string") [encoding, length] = [length, undefined];
      const from = offset === undefined ? 0 : offset;
      if (!Number.isInteger(from) || from < 0 || from > this.length) throw node.outOfRange("offset", `>= 0 && <= ${this.length}`, from);
      const room = Math.min(length === undefined ? Infinity : length, this.length - from);
      const known = node.needEncoding(encoding);
      const bytes = node.bytesOf(text, known);
      let count = Math.min(bytes.length, room);
      // No half characters.
      if (count < bytes.length && known === "utf8") while (count > 0 && (bytes[count] & 0xc0) === 0x80) count--;
      if (known === "utf16le") count &= ~1;
      this.set(bytes.subarray(0, count), from);
      return count;
    },
    copy(target, targetStart, sourceStart, sourceEnd) {
      if (!ArrayBuffer.isView(target)) throw node.wrongType("target", "an instance of Buffer or Uint8Array", target);
      const bytes = node.asBytes(target);
      const to = clamp(targetStart, 0, -1, Infinity), from = clamp(sourceStart, 0, -1, Infinity);
      if (to < 0) throw node.outOfRange("targetStart", ">= 0", targetStart);
      if (from < 0 || from > this.length) throw node.outOfRange("sourceStart", `>= 0 && <= ${this.length}`, sourceStart);
      const end = clamp(sourceEnd, this.length, -1, this.length);
      if (end < 0) throw node.outOfRange("sourceEnd", ">= 0", sourceEnd);
      const count = Math.min(end - from, bytes.length - to);
      if (count <= 0) return 0;
      bytes.set(this.subarray(from, from + count), to);
      return count;
    },
    slice(start, end) {
      return this.subarray(start, end);
    },
    subarray(start, end) {
      const from = relative(start, 0, this.length), to = relative(end, this.length, this.length);
      return new FastBuffer(this.buffer, this.byteOffset + from, Math.max(to - from, 0));
    },
    swap16() {
      return swap(this, 2);
    },
    swap32() {
      return swap(this, 4);
    },
    swap64() {
      return swap(this, 8);
    },
    toLocaleString(encoding, start, end) {
      return this.toString(...arguments);
    },
    [Symbol.for("nodejs.util.inspect.custom")](depth, options) {
      const shown = this.subarray(0, INSPECT_MAX_BYTES);
      let text = node.textOf(shown, "hex").replace(/(..)/g, " $1");
      if (this.length > INSPECT_MAX_BYTES) text += ` ... ${this.length - INSPECT_MAX_BYTES} more byte${this.length > INSPECT_MAX_BYTES + 1 ? "s" : ""}`;
      return `<Buffer${text}>`;
    },
  });
  for (const encoding of ["utf8", "hex", "base64", "base64url", "latin1", "ascii", "ucs2"]) {
    node.hide(Buffer.prototype, {
      [`${encoding}Slice`](start, end) { return this.toString(encoding, start, end); },
      [`${encoding}Write`](text, offset, length) { return this.write(text, offset, length, encoding); },
    });
  }
  Object.defineProperty(Buffer.prototype, "parent", { configurable: true, get() { return this instanceof Buffer ? this.buffer : undefined; } });
  Object.defineProperty(Buffer.prototype, "offset", { configurable: true, get() { return this instanceof Buffer ? this.byteOffset : undefined; } });

  const relative = (value, fallback, length) => {
    const at = clamp(value, fallback, -Infinity, length);
    return at < 0 ? Math.max(at + length, 0) : at;
  };

  globalThis.Buffer = Buffer;
  defineProperty(globalThis, "Buffer", { enumerable: false });

  const isText = (bytes, most) => {
    bytes = node.asBytes(bytes);
    if (most === 0x7f) return bytes.every((byte) => byte <= most);
    return Buffer.compare(node.bytesOf(node.textOf(bytes, "utf8"), "utf8"), bytes) === 0;
  };
  // What the other encoding has not becomes a question mark.
  function transcode(source, from, to) {
    if (!isBytes(source)) throw node.wrongType("source", "an instance of Buffer or Uint8Array", source);
    const [given, wanted] = [from, to].map((name) => {
      const encoding = node.encodingOf(name);
      if (["utf8", "latin1", "ascii", "utf16le"].includes(encoding)) return encoding;
      throw Object.assign(new Error("Unable to transcode Buffer [U_ILLEGAL_ARGUMENT_ERROR]"), { code: "U_ILLEGAL_ARGUMENT_ERROR" });
    });
    const text = node.textOf(source, given), beyond = { __proto__: null, latin1: /[^\0-\xff]/gu, ascii: /[^\0-\x7f]/gu }[wanted];
    return Buffer.from(beyond === undefined ? text : text.replace(beyond, "?"), wanted);
  }

  const exports = {
    Buffer, Blob, File,
    SlowBuffer: (size) => Buffer.alloc(size),
    kMaxLength: MAX_LENGTH,
    kStringMaxLength: 2 ** 30 - 1,
    constants: { MAX_LENGTH, MAX_STRING_LENGTH: 2 ** 30 - 1 },
    INSPECT_MAX_BYTES,
    isAscii: (bytes) => isText(bytes, 0x7f),
    isUtf8: (bytes) => isText(bytes, 0xff),
    transcode,
    atob: (text) => globalThis.atob(text),
    btoa: (text) => globalThis.btoa(text),
  };
  builtins.buffer = () => exports;
}
