// Bytes to text and back, in Node's encodings. UTF-8 is decoded by the host (host/text.rs): the engine's own decoder
// neither replaces what is malformed as the web does, nor refuses lone surrogates.
{
  const UTF8 = 20;
  const CHUNK = 8192;
  const names = {
    __proto__: null, utf8: "utf8", "utf-8": "utf8", hex: "hex", base64: "base64", base64url: "base64url", latin1: "latin1",
    binary: "latin1", ascii: "ascii", utf16le: "utf16le", "utf-16le": "utf16le", ucs2: "utf16le", "ucs-2": "utf16le",
  };

  // The encoding's one name, or undefined.
  node.encodingOf = (name) => (name === undefined || name === null || name === "" ? "utf8" : names[name] ?? names[`${name}`.toLowerCase()]);
  node.needEncoding = (name) => {
    const encoding = node.encodingOf(name);
    if (encoding === undefined) throw node.error(TypeError, "ERR_UNKNOWN_ENCODING", `Unknown encoding: ${name}`);
    return encoding;
  };

  const charsFrom = (codes) => {
    let text = "";
    for (let i = 0; i < codes.length; i += CHUNK) text += String.fromCharCode.apply(null, codes.subarray(i, i + CHUNK));
    return text;
  };

  function utf8Text(bytes) {
    if (bytes.length === 0) return "";
    if (bytes.length <= node.REQUEST_BYTES_MAX) return askHost(UTF8, bytes);
    let text = "";
    for (let from = 0; from < bytes.length;) {
      let to = Math.min(from + node.REQUEST_BYTES_MAX, bytes.length);
      // A character of up to four bytes must not be cut.
      for (let back = 0; back < 3 && to < bytes.length && (bytes[to] & 0xc0) === 0x80; back++) to--;
      text += askHost(UTF8, bytes.subarray(from, to));
      from = to;
    }
    return text;
  }

  const textOf = {
    __proto__: null,
    utf8: utf8Text,
    hex: (bytes) => bytesToHex(bytes),
    base64: (bytes) => bytesToBase64(bytes),
    base64url: (bytes) => bytesToBase64(bytes, { alphabet: "base64url", omitPadding: true }),
    latin1: charsFrom,
    ascii: (bytes) => charsFrom(Uint8Array.prototype.map.call(new Uint8Array(bytes), (byte) => byte & 0x7f)),
    utf16le: (bytes) => {
      const even = bytes.length & ~1;
      const whole = new Uint8Array(even);
      whole.set(bytes.subarray(0, even));
      return charsFrom(new Uint16Array(whole.buffer));
    },
  };
  const { toHex, toBase64 } = Uint8Array.prototype;
  const bytesToHex = (bytes) => apply(toHex, bytes, []);
  const bytesToBase64 = (bytes, options) => apply(toBase64, bytes, [options]);

  function fromLatin1(text) {
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    return bytes;
  }

  const { fromHex, fromBase64 } = Uint8Array;
  const hexToBytes = (text) => apply(fromHex, Uint8Array, [text]);
  const base64ToBytes = (text, options) => apply(fromBase64, Uint8Array, [text, options]);

  // Node stops at the first pair that is not hexadecimal, and leaves half a pair out.
  function hexBytes(text) {
    const even = text.length % 2 === 0 ? text : text.slice(0, -1);
    try {
      return hexToBytes(even);
    } catch {
      // The engine is quicker than a search: what is good is halved until the pair is found.
      let good = 0, bad = even.length;
      while (bad - good > 2) {
        const half = good + 2 * ((bad - good) >> 2);
        try {
          hexToBytes(even.slice(good, half));
          good = half;
        } catch {
          bad = half;
        }
      }
      return hexToBytes(even.slice(0, good));
    }
  }

  // Both alphabets, whitespace and junk between, padding or none; what follows `=` is not read.
  function base64Bytes(text) {
    try {
      return base64ToBytes(text, text.includes("-") || text.includes("_") ? { alphabet: "base64url" } : undefined);
    } catch {
      const end = text.indexOf("=");
      const one = (end < 0 ? text : text.slice(0, end)).replaceAll("-", "+").replaceAll("_", "/");
      try {
        return base64ToBytes(one);
      } catch {
        const clean = one.replace(/[^A-Za-z0-9+/]+/g, "");
        return base64ToBytes(clean.length % 4 === 1 ? clean.slice(0, -1) : clean);
      }
    }
  }

  const bytesOf = {
    __proto__: null,
    utf8,
    hex: hexBytes,
    base64: base64Bytes,
    base64url: base64Bytes,
    latin1: fromLatin1,
    ascii: fromLatin1,
    utf16le: (text) => {
      const bytes = new Uint8Array(text.length * 2);
      for (let i = 0; i < text.length; i++) {
        const code = text.charCodeAt(i);
        bytes[i * 2] = code;
        bytes[i * 2 + 1] = code >> 8;
      }
      return bytes;
    },
  };

  node.textOf = (bytes, encoding) => textOf[encoding](bytes);
  node.bytesOf = (text, encoding) => bytesOf[encoding](text);
}
