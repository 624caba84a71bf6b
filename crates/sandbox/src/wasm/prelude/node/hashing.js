// Hashes, authentication codes and random bytes from the host, for crypto.subtle and node:crypto alike; the operations
// are in host/crypto.rs.
{
  const HASH = 40, OPEN = 41, FEED = 42, FINISH = 43, COPY = 44, MAC = 45, MAC_OPEN = 46, RANDOM = 50;
  const RANDOM_BYTES_MAX = 65536;
  // Longer texts are not kept here until the end, but fed to a hash that is open in the host.
  const KEPT_BYTES_MAX = 65536;
  const PIECE_BYTES = 256 * 1024;
  const BLOCK_BYTES_MAX = 128;
  node.hashNumbers = { __proto__: null, MD5: 0, "SHA-1": 1, "SHA-256": 2, "SHA-384": 3, "SHA-512": 4 };

  node.word = (value) => Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24);
  node.join = (...parts) => {
    let length = 0;
    for (const part of parts) length += part.length;
    const all = new Uint8Array(length);
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  };

  // `key` undefined: a plain hash.
  node.Hasher = class Hasher {
    #number;
    #key;
    #kept = [];
    #length = 0;
    #open;

    constructor(number, key) {
      this.#number = number;
      // A key longer than any hash's block stands for its hash, so any length fits into a request.
      this.#key = key !== undefined && key.length > BLOCK_BYTES_MAX ? new Uint8Array(node.digest(number, key)) : key;
    }

    // `bytes` may be changed by its owner afterwards. A hash that is open in the host must not get into an image, so
    // while a package is evaluated all is kept.
    feed(bytes) {
      if (this.#open !== undefined) this.#send(bytes);
      else {
        this.#kept.push(new Uint8Array(bytes));
        this.#length += bytes.length;
        if (this.#length > KEPT_BYTES_MAX && !building) this.#flush();
      }
    }

    #flush() {
      const head = Uint8Array.of(this.#number);
      this.#open = new Uint8Array(this.#key === undefined ? callHost(OPEN, head) : callHost(MAC_OPEN, node.join(head, this.#key)));
      for (const piece of this.#kept) this.#send(piece);
      this.#kept = [];
    }

    #send(bytes) {
      for (let at = 0; at < bytes.length; at += PIECE_BYTES) callHost(FEED, node.join(this.#open, bytes.subarray(at, at + PIECE_BYTES)));
    }

    finish() {
      if (this.#open === undefined) {
        if (this.#length + (this.#key?.length ?? 0) <= PIECE_BYTES) {
          const head = Uint8Array.of(this.#number);
          if (this.#key === undefined) return callHost(HASH, node.join(head, ...this.#kept));
          return callHost(MAC, node.join(head, node.word(this.#key.length), this.#key, ...this.#kept));
        }
        this.#flush();
      }
      const result = callHost(FINISH, this.#open);
      this.#open = undefined;
      return result;
    }

    copy() {
      const other = new Hasher(this.#number, this.#key);
      other.#kept = [...this.#kept];
      other.#length = this.#length;
      if (this.#open !== undefined) other.#open = new Uint8Array(callHost(COPY, this.#open));
      return other;
    }
  };

  node.digest = (number, bytes) => {
    const hasher = new node.Hasher(number);
    hasher.feed(bytes);
    return hasher.finish();
  };
  node.mac = (number, key, bytes) => {
    const hasher = new node.Hasher(number, key);
    hasher.feed(bytes);
    return hasher.finish();
  };

  // `call` is what the tenant's code called, for the message.
  node.random = (count, call) => {
    if (building) {
      throw new DOMException(`${call} cannot be called by top-level code: what it gives would be the same in every invocation; call it in the handler`, "OperationError");
    }
    if (count <= RANDOM_BYTES_MAX) return new Uint8Array(callHost(RANDOM, node.word(count)));
    const all = new Uint8Array(count);
    for (let at = 0; at < count; at += RANDOM_BYTES_MAX) all.set(new Uint8Array(callHost(RANDOM, node.word(Math.min(RANDOM_BYTES_MAX, count - at)))), at);
    return all;
  };

  // In the same time wherever the first difference is.
  node.sameBytes = (a, b) => {
    if (a.length !== b.length) return false;
    let difference = 0;
    for (let i = 0; i < a.length; i++) difference |= a[i] ^ b[i];
    return difference === 0;
  };

  const hex = Array.from({ length: 256 }, (_, byte) => (byte + 256).toString(16).slice(1));
  node.uuid = (call) => {
    const b = node.random(16, call);
    b[6] = (b[6] & 0x0f) | 0x40;
    b[8] = (b[8] & 0x3f) | 0x80;
    let text = "";
    for (let i = 0; i < 16; i++) text += (i === 4 || i === 6 || i === 8 || i === 10 ? "-" : "") + hex[b[i]];
    return text;
  };
}
