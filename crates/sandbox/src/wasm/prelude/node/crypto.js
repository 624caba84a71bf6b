// `node:crypto`: hashes, authentication codes, randomness and the web's crypto. Signing, ciphers, key pairs and streams are
// absent: an import of them fails at deploy.
{
  const webcrypto = globalThis.crypto;
  const HASHES = { __proto__: null, MD5: "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512" };

  function hashNumber(name) {
    node.needString("algorithm", name);
    const plain = name.toUpperCase().replace(/^RSA-/, "");
    const known = plain.replace(/^SHA-?(1|256|384|512)$/, "SHA-$1");
    return known in HASHES ? node.hashNumbers[known] : undefined;
  }
  function bytesOf(data, encoding, name) {
    if (typeof data === "string") return node.bytesOf(data, encoding === "buffer" ? "utf8" : node.needEncoding(encoding));
    if (ArrayBuffer.isView(data) || (name === "key" && node.isAnyBuffer(data))) return node.asBytes(data);
    const first = name === "key" ? "ArrayBuffer, " : "";
    throw node.wrongType(name, `of type string or an instance of ${first}Buffer, TypedArray, or DataView`, data);
  }
  const output = (bytes, encoding) => {
    const result = Buffer.from(bytes);
    return encoding === undefined || encoding === null || encoding === "buffer" ? result : result.toString(encoding);
  };
  const finished = (what) => node.error(Error, "ERR_CRYPTO_HASH_FINALIZED", what);

  class Hash {
    #hasher;
    #done = false;

    constructor(name, options, hasher) {
      if (hasher === undefined) {
        const number = hashNumber(name);
        if (number === undefined) throw node.error(Error, "ERR_OSSL_EVP_UNSUPPORTED", `Digest method not supported: ${node.absent(`'${name}'`)}`);
        hasher = new node.Hasher(number);
      }
      this.#hasher = hasher;
    }

    update(data, encoding) {
      if (this.#done) throw finished("Digest already called");
      this.#hasher.feed(bytesOf(data, encoding, "data"));
      return this;
    }

    digest(encoding) {
      if (this.#done) throw finished("Digest already called");
      this.#done = true;
      return output(this.#hasher.finish(), encoding);
    }

    copy() {
      if (this.#done) throw finished("Digest already called");
      return new Hash("", undefined, this.#hasher.copy());
    }
  }

  class Hmac {
    #hasher;

    constructor(name, key) {
      const number = hashNumber(name);
      if (number === undefined || number === 0) throw node.error(TypeError, "ERR_CRYPTO_INVALID_DIGEST", `Invalid digest: ${node.absent(`'${name}'`)}`);
      this.#hasher = new node.Hasher(number, new Uint8Array(bytesOf(key, "utf8", "key")));
    }

    update(data, encoding) {
      if (this.#hasher === undefined) throw finished("Digest already called");
      this.#hasher.feed(bytesOf(data, encoding, "data"));
      return this;
    }

    // A second time gives nothing, as in Node.
    digest(encoding) {
      if (this.#hasher === undefined) return output(new Uint8Array(0), encoding);
      const result = this.#hasher.finish();
      this.#hasher = undefined;
      return output(result, encoding);
    }
  }

  const createHash = (name, options) => new Hash(name, options);
  const createHmac = (name, key) => new Hmac(name, key);

  // A callback is called later, as for anything that Node does in the background.
  const perhapsLater = (callback, make) => {
    if (callback === undefined) return make();
    node.needFunction("callback", callback);
    let value, failure = null;
    try {
      value = make();
    } catch (error) {
      failure = error;
    }
    queueMicrotask(() => (failure === null ? callback(null, value) : callback(failure)));
    return undefined;
  };

  function randomBytes(size, callback) {
    if (typeof size !== "number") throw node.wrongType("size", "of type number", size);
    if (!(size >= 0 && size <= 2147483647)) throw node.outOfRange("size", ">= 0 && <= 2147483647", size);
    return perhapsLater(callback, () => Buffer.from(node.random(Math.trunc(size), "crypto.randomBytes()").buffer));
  }

  function randomInt(least, most, callback) {
    if (most === undefined || typeof most === "function") [least, most, callback] = [0, least, most];
    if (!Number.isSafeInteger(least)) throw node.wrongType("min", "a safe integer", least);
    if (!Number.isSafeInteger(most)) throw node.wrongType("max", "a safe integer", most);
    if (most <= least) throw node.outOfRange("max", `greater than the value of "min" (${least})`, most);
    const range = most - least;
    if (!(range <= 2 ** 48 - 1)) throw node.outOfRange(least === 0 ? "max" : "max - min", `<= ${2 ** 48 - 1}`, range);
    return perhapsLater(callback, () => {
      // Numbers above the last whole multiple are drawn again, so that none is likelier than another.
      const bound = 2 ** 48 - (2 ** 48 % range);
      for (;;) {
        const b = node.random(6, "crypto.randomInt()");
        const drawn = ((b[0] * 256 + b[1]) * 2 ** 32) + ((b[2] * 2 ** 24) + (b[3] << 16) + (b[4] << 8) + b[5]);
        if (drawn < bound) return least + (drawn % range);
      }
    });
  }

  function randomFillSync(target, offset = 0, size = undefined) {
    if (!ArrayBuffer.isView(target) && !node.isAnyBuffer(target)) throw node.wrongType("buf", "an instance of ArrayBuffer or ArrayBufferView", target);
    const unit = target.BYTES_PER_ELEMENT ?? 1, bytes = node.asBytes(target);
    const from = offset * unit, count = size === undefined ? bytes.length - from : size * unit;
    if (!(from >= 0 && from <= bytes.length)) throw node.outOfRange("offset", `>= 0 && <= ${bytes.length}`, offset);
    if (!(count >= 0 && from + count <= bytes.length)) throw node.outOfRange("size + offset", `<= ${bytes.length}`, from + count);
    bytes.set(node.random(count, "crypto.randomFill()"), from);
    return target;
  }
  function randomFill(target, ...rest) {
    const callback = rest.pop();
    node.needFunction("callback", callback);
    perhapsLater(callback, () => randomFillSync(target, ...rest));
  }

  function timingSafeEqual(a, b) {
    for (const [name, value] of [["buf1", a], ["buf2", b]]) {
      if (!ArrayBuffer.isView(value) && !node.isAnyBuffer(value)) throw node.wrongType(name, "an instance of ArrayBuffer, Buffer, TypedArray, or DataView", value);
    }
    if (a.byteLength !== b.byteLength) throw node.error(RangeError, "ERR_CRYPTO_TIMING_SAFE_EQUAL_LENGTH", "Input buffers must have the same byte length");
    return node.sameBytes(node.asBytes(a), node.asBytes(b));
  }

  const exports = {
    createHash, createHmac, Hash, Hmac, randomBytes, pseudoRandomBytes: randomBytes, randomInt, randomFillSync, randomFill,
    timingSafeEqual, webcrypto, subtle: webcrypto.subtle,
    hash: (name, data, encoding = "hex") => createHash(name).update(data).digest(encoding),
    randomUUID: () => node.uuid("crypto.randomUUID()"),
    getRandomValues: (array) => webcrypto.getRandomValues(array),
    getHashes: () => ["md5", "sha1", "sha256", "sha384", "sha512"],
    getCiphers: () => [],
    getCurves: () => [],
    constants: {},
  };
  builtins.crypto = () => exports;
}
