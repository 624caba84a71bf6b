// TextEncoder and TextDecoder. Bytes become text in the host, a piece at a time. `atob` and `btoa` are the engine's.
// Of the first encoding; the next ones follow, each with its fatal twin.
const OP_DECODE = 20;
const PIECE_BYTES = 256 * 1024;
const LABELS = { __proto__: null };
for (const [name, labels] of [
  ["utf-8", "unicode-1-1-utf-8 unicode11utf8 unicode20utf8 utf-8 utf8 x-unicode20utf8"],
  ["utf-16le", "csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16 utf-16le"],
  ["utf-16be", "unicodefffe utf-16be"],
  ["windows-1252", "ansi_x3.4-1968 ascii cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 iso8859-1 iso88591 iso_8859-1 iso_8859-1:1987 l1 latin1 us-ascii windows-1252 x-cp1252"],
]) {
  for (const label of labels.split(" ")) LABELS[label] = name;
}
const ENCODINGS = ["utf-8", "utf-16le", "utf-16be", "windows-1252"];

// Bytes of the UTF-8 character that begins with `byte`; 1 if none does.
const sizeOfCharacter = (byte) => (byte >= 0xf0 && byte <= 0xf4 ? 4 : byte >= 0xe0 && byte < 0xf0 ? 3 : byte >= 0xc2 && byte < 0xe0 ? 2 : 1);

// How many bytes at the end of `bytes` are the beginning of a character that is not there yet.
function unfinished(encoding, bytes) {
  const length = bytes.length;
  if (encoding === 3 || length === 0) return 0;
  if (encoding === 0) {
    for (let back = 1; back <= 3 && back <= length; back++) {
      const byte = bytes[length - back];
      if ((byte & 0xc0) === 0x80) continue;
      // Only if it can still become one: a wrong second byte is told at once.
      return sizeOfCharacter(byte) > back && (back === 1 || isSecond(byte, bytes[length - back + 1])) ? back : 0;
    }
    return 0;
  }
  const odd = length % 2, at = length - odd - 2;
  if (at < 0) return odd;
  const high = encoding === 1 ? bytes[at + 1] : bytes[at];
  return odd + (high >= 0xd8 && high < 0xdc ? 2 : 0);
}

function isSecond(first, second) {
  switch (first) {
    case 0xe0: return second >= 0xa0;
    case 0xed: return second <= 0x9f;
    case 0xf0: return second >= 0x90;
    case 0xf4: return second <= 0x8f;
    default: return true;
  }
}

function decodeWhole(encoding, fatal, bytes) {
  return bytes.length === 0 ? "" : askHost(OP_DECODE + 2 * encoding + (fatal ? 1 : 0), bytes);
}

// UTF-8 without a byte order mark, wrong bytes as U+FFFD: what bodies are read with.
function utf8Text(bytes) {
  if (bytes.length > PIECE_BYTES) return new TextDecoder().decode(bytes);
  const text = decodeWhole(0, false, bytes);
  return text !== "" && text.charCodeAt(0) === 0xfeff ? slice(text, 1) : text;
}

class TextDecoder {
  #encoding;
  #fatal;
  #ignoreBOM;
  // Of a stream: the bytes of an unfinished character, and whether the beginning is behind us.
  #rest = undefined;
  #isBegun = false;
  constructor(label = "utf-8", options) {
    const { fatal, ignoreBOM } = dictionary(options, "the decoder's options");
    const named = `${label}`;
    const name = LABELS[named] ?? LABELS[named.replace(/^[\t\n\f\r ]+|[\t\n\f\r ]+$/g, "").toLowerCase()];
    if (name === undefined) throw new RangeError(`the encoding '${label}' is not supported: this runtime has ${ENCODINGS.join(", ")}`);
    this.#encoding = ENCODINGS.indexOf(name);
    this.#fatal = !!fatal;
    this.#ignoreBOM = !!ignoreBOM;
  }
  get encoding() { return ENCODINGS[this.#encoding]; }
  get fatal() { return this.#fatal; }
  get ignoreBOM() { return this.#ignoreBOM; }
  decode(input, options) {
    const { stream } = dictionary(options, "the options");
    let bytes = input === undefined ? new GlobalUint8Array(0) : bytesOf(input, "the decoder's input");
    if (this.#rest !== undefined) {
      bytes = joinBytes([this.#rest, bytes], this.#rest.length + bytes.length);
      this.#rest = undefined;
    }
    let text = "";
    try {
      for (let from = 0; from < bytes.length;) {
        let piece = bytes.subarray(from, from + PIECE_BYTES);
        const isLast = from + piece.length === bytes.length;
        const left = isLast && !stream ? 0 : unfinished(this.#encoding, piece);
        if (left > 0) {
          if (isLast) this.#rest = piece.slice(piece.length - left);
          piece = piece.subarray(0, piece.length - left);
        }
        text += this.#without(decodeWhole(this.#encoding, this.#fatal, piece));
        from += piece.length + (isLast ? left : 0);
      }
    } catch (error) {
      this.#rest = undefined;
      this.#isBegun = false;
      throw error;
    }
    if (!stream) this.#isBegun = false;
    return text;
  }
  // `text` without the byte order mark that it may begin with.
  #without(text) {
    if (this.#isBegun || text === "") return text;
    this.#isBegun = true;
    return !this.#ignoreBOM && this.#encoding !== 3 && text.charCodeAt(0) === 0xfeff ? slice(text, 1) : text;
  }
}
exposeClass(TextDecoder);

class TextEncoder {
  get encoding() { return "utf-8"; }
  encode(input = "") {
    return utf8(`${input}`);
  }
  encodeInto(source, destination) {
    needArguments(arguments.length, 2, "encodeInto");
    const text = `${source}`;
    if (!(destination instanceof Uint8Array)) throw new TypeError("encodeInto: the destination is not a Uint8Array");
    if (text.length * 3 <= destination.length) {
      const bytes = utf8(text);
      destination.set(bytes);
      return { read: text.length, written: bytes.length };
    }
    let read = 0, written = 0;
    for (const character of text) {
      const code = character.codePointAt(0);
      const size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
      if (written + size > destination.length) break;
      const bytes = size === 1 ? [code] : utf8(character);
      destination.set(bytes, written);
      read += character.length;
      written += size;
    }
    return { read, written };
  }
}
exposeClass(TextEncoder);

for (const name of ["atob", "btoa"]) {
  const code = globalThis[name];
  expose(name, { [name](text) {
    needArguments(arguments.length, 1, name);
    try { return code(text); } catch (error) { throw tellStack(error); }
  } }[name]);
}
