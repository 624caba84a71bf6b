// `node:string_decoder`: pieces of bytes to text, with characters that are cut between two pieces put together.
{
  class StringDecoder {
    #rest = new Uint8Array(0);

    constructor(encoding) {
      this.encoding = node.needEncoding(encoding);
    }

    write(piece) {
      if (typeof piece === "string") return piece;
      if (!ArrayBuffer.isView(piece)) throw node.wrongType("buf", "an instance of Buffer, TypedArray, or DataView", piece);
      const all = Buffer.concat([this.#rest, node.asBytes(piece)]);
      const whole = all.length - incomplete(all, this.encoding);
      this.#rest = all.slice(whole);
      return all.toString(this.encoding, 0, whole);
    }

    end(piece) {
      const text = piece === undefined ? "" : this.write(piece);
      const rest = Buffer.from(this.#rest);
      this.#rest = new Uint8Array(0);
      return text + rest.toString(this.encoding);
    }

    text(piece, offset) {
      this.#rest = new Uint8Array(0);
      return this.write(piece.slice(offset));
    }

    get lastChar() { return Buffer.from(this.#rest); }
    get lastNeed() { return this.#rest.length === 0 ? 0 : lengthOf(this.#rest[0]) - this.#rest.length; }
    get lastTotal() { return this.#rest.length === 0 ? 0 : lengthOf(this.#rest[0]); }
  }

  const lengthOf = (first) => (first >= 0xf0 && first <= 0xf4 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 1);

  // How many bytes at the end may become a character with what follows.
  function incomplete(bytes, encoding) {
    const { length } = bytes;
    switch (encoding) {
      case "base64": case "base64url": return length % 3;
      case "utf16le": {
        const odd = length % 2;
        const high = length - odd >= 2 && (bytes[length - odd - 1] & 0xfc) === 0xd8;
        return odd + (high ? 2 : 0);
      }
      case "utf8":
        for (let back = 1; back <= Math.min(3, length); back++) {
          const byte = bytes[length - back];
          if ((byte & 0xc0) === 0x80) continue;
          if (byte < 0xc2 || byte > 0xf4 || lengthOf(byte) <= back) return 0;
          // A second byte that cannot follow its first ends the character already.
          if (back > 1) {
            const second = bytes[length - back + 1];
            if ((byte === 0xe0 && second < 0xa0) || (byte === 0xed && second > 0x9f) || (byte === 0xf0 && second < 0x90) || (byte === 0xf4 && second > 0x8f)) return 0;
          }
          return back;
        }
        return 0;
      default: return 0;
    }
  }

  const exports = { StringDecoder };
  builtins.string_decoder = () => exports;
}
