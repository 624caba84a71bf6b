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
    get lastNeed() { return this.#rest.length === 0 ? 0 : sizeOfCharacter(this.#rest[0]) - this.#rest.length; }
    get lastTotal() { return this.#rest.length === 0 ? 0 : sizeOfCharacter(this.#rest[0]); }
  }

  // How many bytes at the end may become a character with what follows.
  function incomplete(bytes, encoding) {
    switch (encoding) {
      case "base64": case "base64url": return bytes.length % 3;
      case "utf8": case "utf16le": return unfinished(ENCODINGS.indexOf(encoding === "utf8" ? "utf-8" : "utf-16le"), bytes);
      default: return 0;
    }
  }

  const exports = { StringDecoder };
  builtins.string_decoder = () => exports;
}
