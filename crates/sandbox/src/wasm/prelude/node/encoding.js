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
    if (bytes.length <= node.REQUEST_BYTES_MAX) return node.ask(UTF8, bytes);
    let text = "";
    for (let from = 0; from < bytes.length;) {
      let to = Math.min(from + node.REQUEST_BYTES_MAX, bytes.length);
      // A character of up to four bytes must not be cut.
      for (let back = 0; back < 3 && to < bytes.length && (bytes[to] & 0xc0) === 0x80; back++) to--;
      text += node.ask(UTF8, bytes.subarray(from, to));
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

  // Node stops at the first pair that is not hexadecimal.
  function fromHex(text) {
    const valid = /^(?:[0-9a-f]{2})*/i.exec(text)[0];
    return Uint8Array.fromHex(valid);
  }

  // Both alphabets, whitespace and junk between, padding or none; what follows `=` is not read.
  function fromBase64(text) {
    try {
      return Uint8Array.fromBase64(text);
    } catch {
      let clean = text.replace(/=[^]*$/, "").replace(/-/g, "+").replace(/_/g, "/").replace(/[^A-Za-z0-9+/]/g, "");
      if (clean.length % 4 === 1) clean = clean.slice(0, -1);
      return Uint8Array.fromBase64(clean);
    }
  }

  const bytesOf = {
    __proto__: null,
    utf8: (text) => new Uint8Array(host.encode(text)),
    hex: fromHex,
    base64: fromBase64,
    base64url: fromBase64,
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
