// `crypto` of the web: random values, and `crypto.subtle` as far as docs/runtime-js.md lists it. What is missing rejects
// with NotSupportedError and its name; secret keys stay in a private place of the key object.
{
  const AES_GCM = 51, VERIFY = 52;
  const AES_NONCE_BYTES = 12, AES_TAG_BITS = 128;
  const DATA_BYTES_MAX = node.REQUEST_BYTES_MAX - 8192;
  const materials = new WeakMap();
  const secret = Symbol();

  class CryptoKey {
    #about;

    constructor(token, about, material) {
      if (token !== secret) throw new TypeError("Illegal constructor");
      this.#about = about;
      materials.set(this, material);
    }

    get type() { return this.#about.type; }
    get extractable() { return this.#about.extractable; }
    get algorithm() { return this.#about.algorithm; }
    get usages() { return this.#about.usages; }
    get [Symbol.toStringTag]() { return "CryptoKey"; }
  }

  const error = (name, message) => new DOMException(message, name);
  const unsupported = (what) => error("NotSupportedError", node.absent(what));

  // The algorithms' names, whose case does not matter, and what each can do.
  const PUBLIC = ["importKey", "exportKey", "verify"], SYMMETRIC = ["importKey", "exportKey", "generateKey"];
  const algorithms = {
    __proto__: null,
    "SHA-1": ["digest"], "SHA-256": ["digest"], "SHA-384": ["digest"], "SHA-512": ["digest"],
    HMAC: [...SYMMETRIC, "sign", "verify"],
    "AES-GCM": [...SYMMETRIC, "encrypt", "decrypt"],
    "RSASSA-PKCS1-v1_5": PUBLIC, "RSA-PSS": PUBLIC, ECDSA: PUBLIC, Ed25519: PUBLIC,
  };
  const names = { __proto__: null };
  for (const name of Object.keys(algorithms)) names[name.toUpperCase()] = name;

  function normalize(given, operation) {
    const object = typeof given === "object" && given !== null ? given : { name: given };
    if (object.name === undefined) throw new TypeError("the algorithm has no name");
    const name = names[`${object.name}`.toUpperCase()];
    if (name === undefined || !algorithms[name].includes(operation)) throw unsupported(`${operation} with ${object.name}`);
    return { ...object, name };
  }
  const hashOf = (given) => {
    if (given === undefined) throw new TypeError("the algorithm has no hash");
    return { name: normalize(given, "digest").name };
  };
  const bytesFrom = (data, what = "the data") => {
    if (!ArrayBuffer.isView(data) && !node.isAnyBuffer(data)) throw new TypeError(`${what} is not a buffer`);
    return node.asBytes(data);
  };
  const short = (bytes, what) => {
    if (bytes.length > DATA_BYTES_MAX) throw error("OperationError", `${what} takes at most ${DATA_BYTES_MAX} bytes at once in this runtime`);
    return bytes;
  };

  const USAGES = ["encrypt", "decrypt", "sign", "verify", "deriveKey", "deriveBits", "wrapKey", "unwrapKey"];
  function usagesOf(given, allowed) {
    const usages = Array.from(given);
    for (const usage of usages) {
      if (!USAGES.includes(usage)) throw new TypeError(`'${usage}' is no usage of a key`);
      if (!allowed.includes(usage)) throw error("SyntaxError", `a key of this algorithm cannot be used to ${usage}`);
    }
    return USAGES.filter((usage) => usages.includes(usage));
  }
  const secretUsages = (name) => (name === "HMAC" ? ["sign", "verify"] : ["encrypt", "decrypt", "wrapKey", "unwrapKey"]);

  function secretKey(algorithm, material, extractable, usages) {
    if (usages.length === 0) throw error("SyntaxError", "a secret key needs a usage");
    return new CryptoKey(secret, { type: "secret", extractable: Boolean(extractable), algorithm, usages }, material);
  }
  function use(key, name, usage) {
    if (!(key instanceof CryptoKey)) throw new TypeError("the key is not a CryptoKey");
    if (key.algorithm.name !== name) throw error("InvalidAccessError", `the key is for ${key.algorithm.name}, not for ${name}`);
    if (!key.usages.includes(usage)) throw error("InvalidAccessError", `the key may not be used to ${usage}`);
    return materials.get(key);
  }

  const hmacAlg = (hash) => (hash === "SHA-1" ? "HS1" : `HS${hash.slice(4)}`);
  function hmacAlgorithm(given, material) {
    const bits = material.length * 8;
    if (bits === 0) throw error("DataError", "the key is empty");
    if (given.length !== undefined && (given.length > bits || given.length <= bits - 8)) throw error("DataError", "the key's length is not as said");
    return { name: "HMAC", hash: hashOf(given.hash), length: given.length ?? bits };
  }
  function aesAlgorithm(material, failure) {
    const length = material.length * 8;
    if (length === 192) throw unsupported("AES-GCM with keys of 192 bits");
    if (length !== 128 && length !== 256) throw error(failure, "an AES key has 128 or 256 bits");
    return { name: "AES-GCM", length };
  }
  function aes(direction, given, key, data) {
    const algorithm = normalize(given, direction === 0 ? "encrypt" : "decrypt");
    const material = use(key, algorithm.name, direction === 0 ? "encrypt" : "decrypt");
    const nonce = bytesFrom(algorithm.iv, "the iv"), added = algorithm.additionalData;
    const authenticated = added === undefined ? new Uint8Array(0) : bytesFrom(added, "additionalData");
    if (nonce.length !== AES_NONCE_BYTES) throw unsupported(`AES-GCM with an iv of ${nonce.length} bytes (12 is)`);
    if ((algorithm.tagLength ?? AES_TAG_BITS) !== AES_TAG_BITS) throw unsupported(`AES-GCM with a tag of ${algorithm.tagLength} bits (128 is)`);
    const text = bytesFrom(data);
    short({ length: text.length + authenticated.length }, "AES-GCM");
    return callHost(AES_GCM, node.join(Uint8Array.of(direction), node.word(material.length), material, nonce, node.word(authenticated.length), authenticated, text));
  }

  // As host/crypto.rs numbers them.
  function verifyNumber(algorithm, key) {
    const hash = (name) => node.hashNumbers[name];
    switch (algorithm.name) {
      case "RSASSA-PKCS1-v1_5": return hash(key.algorithm.hash.name);
      case "RSA-PSS": {
        const number = hash(key.algorithm.hash.name), bytes = [0, 20, 32, 48, 64][number];
        if (number === 1) throw unsupported("RSA-PSS with SHA-1");
        if (algorithm.saltLength !== bytes) throw unsupported(`RSA-PSS with a salt of ${algorithm.saltLength} bytes (${bytes} is)`);
        return 10 + number;
      }
      case "ECDSA": {
        const number = hash(hashOf(algorithm.hash).name), curve = key.algorithm.namedCurve;
        if (number !== 2 && number !== 3) throw unsupported(`ECDSA with ${curve} and ${hashOf(algorithm.hash).name}`);
        return (curve === "P-256" ? 20 : 30) + number;
      }
      default: return 40;
    }
  }
  function verifyPublic(algorithm, key, material, signature, data) {
    const number = verifyNumber(algorithm, key);
    if (algorithm.name === "ECDSA") {
      if (signature.length !== node.curves[key.algorithm.namedCurve].bytes * 2) return false;
      if (number === 23 || number === 32) signature = node.derSignature(signature);
    }
    short({ length: data.length + material.length + signature.length }, "verifying");
    const answer = callHost(VERIFY, node.join(Uint8Array.of(number), node.word(material.length), material, node.word(signature.length), signature, data));
    return new Uint8Array(answer)[0] === 1;
  }

  class SubtleCrypto {
    constructor(token) {
      if (token !== secret) throw new TypeError("Illegal constructor");
    }

    async digest(algorithm, data) {
      return node.digest(node.hashNumbers[normalize(algorithm, "digest").name], bytesFrom(data));
    }

    async generateKey(given, extractable, keyUsages) {
      const algorithm = normalize(given, "generateKey");
      const usages = usagesOf(keyUsages, secretUsages(algorithm.name));
      if (usages.length === 0) throw error("SyntaxError", "a secret key needs a usage");
      if (algorithm.name === "HMAC") {
        const hash = hashOf(algorithm.hash);
        const length = algorithm.length ?? (hash.name === "SHA-1" || hash.name === "SHA-256" ? 512 : 1024);
        if (!Number.isInteger(length) || length <= 0 || length > 1 << 16) throw error("OperationError", "the key's length is out of range");
        const material = node.random(Math.ceil(length / 8), "crypto.subtle.generateKey()");
        if (length % 8 !== 0) material[material.length - 1] &= 0xff << (8 - (length % 8));
        return secretKey({ name: "HMAC", hash, length }, material, extractable, usages);
      }
      const checked = aesAlgorithm({ length: algorithm.length / 8 }, "OperationError");
      return secretKey(checked, node.random(checked.length / 8, "crypto.subtle.generateKey()"), extractable, usages);
    }

    async importKey(format, keyData, given, extractable, keyUsages) {
      const algorithm = normalize(given, "importKey");
      const { name } = algorithm;
      if (!["raw", "spki", "pkcs8", "jwk"].includes(format)) throw new TypeError(`'${format}' is no format of a key`);
      const data = format === "jwk" ? keyData : bytesFrom(keyData, "the key");
      if (name === "HMAC" || name === "AES-GCM") {
        const usages = usagesOf(keyUsages, secretUsages(name));
        let material;
        if (format === "raw") material = new Uint8Array(data);
        else if (format === "jwk") {
          const use = name === "HMAC" ? "sig" : "enc";
          const alg = name === "HMAC" ? hmacAlg(hashOf(algorithm.hash).name) : undefined;
          node.checkJwk(data, "oct", use, alg, extractable, usages);
          material = node.fromJwkText(data, "k");
          const fits = name === "HMAC" || data.alg === undefined || data.alg === `A${material.length * 8}GCM`;
          if (!fits) throw error("DataError", 'the JWK\'s "alg" does not fit the key');
        } else throw unsupported(`importing ${name} keys as "${format}"`);
        return secretKey(name === "HMAC" ? hmacAlgorithm(algorithm, material) : aesAlgorithm(material, "DataError"), material, extractable, usages);
      }
      if (format === "pkcs8") throw unsupported(`the use of private ${name} keys`);
      const isPrivate = format === "jwk" && data?.d !== undefined;
      const usages = usagesOf(keyUsages, isPrivate ? USAGES : ["verify"]);
      if (name.startsWith("RSA")) algorithm.hash = hashOf(algorithm.hash);
      const [material, about] = node.importPublic(format, data, algorithm, Boolean(extractable), usages);
      return new CryptoKey(secret, { type: "public", extractable: Boolean(extractable), algorithm: about, usages }, material);
    }

    async exportKey(format, key) {
      if (!(key instanceof CryptoKey)) throw new TypeError("the key is not a CryptoKey");
      if (!key.extractable) throw error("InvalidAccessError", "the key may not be extracted");
      const material = materials.get(key), { name } = key.algorithm;
      if (key.type === "public") {
        const exported = node.exportPublic(format, material, key.algorithm);
        return format === "jwk" ? { key_ops: [...key.usages], ext: true, ...exported } : exported;
      }
      if (format === "raw") return new Uint8Array(material).buffer;
      if (format !== "jwk") throw unsupported(`exporting ${name} keys as "${format}"`);
      const alg = name === "HMAC" ? hmacAlg(key.algorithm.hash.name) : `A${key.algorithm.length}GCM`;
      return { key_ops: [...key.usages], ext: true, kty: "oct", k: node.base64url(material), alg };
    }

    async sign(given, key, data) {
      const { name } = normalize(given, "sign");
      const material = use(key, name, "sign");
      return node.mac(node.hashNumbers[key.algorithm.hash.name], material, bytesFrom(data));
    }

    async verify(given, key, signature, data) {
      const algorithm = normalize(given, "verify");
      const material = use(key, algorithm.name, "verify");
      const signed = bytesFrom(signature, "the signature"), text = bytesFrom(data);
      if (algorithm.name === "HMAC") return node.sameBytes(new Uint8Array(node.mac(node.hashNumbers[key.algorithm.hash.name], material, text)), signed);
      return verifyPublic(algorithm, key, material, signed, text);
    }

    async encrypt(given, key, data) {
      return aes(0, given, key, data);
    }

    async decrypt(given, key, data) {
      return aes(1, given, key, data);
    }

    async deriveKey() { throw unsupported("crypto.subtle.deriveKey"); }
    async deriveBits() { throw unsupported("crypto.subtle.deriveBits"); }
    async wrapKey() { throw unsupported("crypto.subtle.wrapKey"); }
    async unwrapKey() { throw unsupported("crypto.subtle.unwrapKey"); }
    get [Symbol.toStringTag]() { return "SubtleCrypto"; }
  }
  const subtle = new SubtleCrypto(secret);

  class Crypto {
    constructor(token) {
      if (token !== secret) throw new TypeError("Illegal constructor");
    }

    get subtle() { return subtle; }

    getRandomValues(array) {
      if (!ArrayBuffer.isView(array) || !/^(?:Big)?(?:Uint|Int)/.test(array[Symbol.toStringTag])) {
        throw error("TypeMismatchError", "getRandomValues takes an array of integers");
      }
      if (array.byteLength > 65536) throw error("QuotaExceededError", `getRandomValues gives at most 65536 bytes at once, not ${array.byteLength}`);
      node.asBytes(array).set(node.random(array.byteLength, "crypto.getRandomValues()"));
      return array;
    }

    randomUUID() {
      return node.uuid("crypto.randomUUID()");
    }

    get [Symbol.toStringTag]() { return "Crypto"; }
  }

  for (const [name, value] of Object.entries({ Crypto, CryptoKey, SubtleCrypto, crypto: new Crypto(secret) })) {
    defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false });
  }
}
