// Public keys in and out: SPKI (DER), raw points and JWK become what the host verifies with, and back.
{
  const bytesOfHex = (text) => Uint8Array.fromHex(text);
  const RSA_ENCRYPTION = "2a864886f70d010101", EC_PUBLIC_KEY = "2a8648ce3d0201", ED25519 = "2b6570";
  node.curves = {
    __proto__: null,
    "P-256": { oid: "2a8648ce3d030107", bytes: 32 },
    "P-384": { oid: "2b81040022", bytes: 48 },
  };
  const malformed = (what) => new DOMException(`${what} is malformed`, "DataError");

  // One element of DER at `at`: its tag, and where its content begins and ends.
  function element(bytes, at, tag) {
    if (bytes[at] !== tag) throw malformed("the key's encoding");
    let length = bytes[at + 1], start = at + 2;
    if (length >= 0x80) {
      let count = length & 0x7f;
      if (count === 0 || count > 3) throw malformed("the key's encoding");
      for (length = 0; count > 0; count--) length = length * 256 + bytes[start++];
    }
    if (!(start + length <= bytes.length)) throw malformed("the key's encoding");
    return { start, end: start + length };
  }
  function wrap(tag, ...parts) {
    const content = node.join(...parts);
    const { length } = content;
    const head = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
    return node.join(Uint8Array.of(tag, ...head), content);
  }
  const integer = (bytes) => {
    let from = 0;
    while (from < bytes.length - 1 && bytes[from] === 0) from++;
    const plain = bytes.subarray(from);
    return wrap(2, plain[0] >= 0x80 ? node.join(Uint8Array.of(0), plain) : plain);
  };
  const hexAt = (bytes, part) => bytes.subarray(part.start, part.end).toHex();

  function fromSpki(bytes) {
    const all = element(bytes, 0, 0x30), kind = element(bytes, all.start, 0x30), oid = element(bytes, kind.start, 6);
    const text = element(bytes, kind.end, 3);
    if (bytes[text.start] !== 0 || text.end !== all.end || all.end !== bytes.length) throw malformed("the key's encoding");
    const key = bytes.slice(text.start + 1, text.end);
    const parameter = oid.end < kind.end && bytes[oid.end] === 6 ? hexAt(bytes, element(bytes, oid.end, 6)) : undefined;
    return { oid: hexAt(bytes, oid), parameter, key };
  }
  const toSpki = (oid, parameter, key) => wrap(0x30, wrap(0x30, wrap(6, bytesOfHex(oid)), parameter), wrap(3, Uint8Array.of(0), key));
  const NULL = Uint8Array.of(5, 0), NOTHING = new Uint8Array(0);

  // [n, e] of an RSAPublicKey, without leading zeros.
  function rsaParts(key) {
    const all = element(key, 0, 0x30), n = element(key, all.start, 2), e = element(key, n.end, 2);
    const plain = ({ start, end }) => key.slice(key[start] === 0 ? start + 1 : start, end);
    return [plain(n), plain(e)];
  }
  const fromText = (jwk, name) => {
    if (typeof jwk[name] !== "string" || !/^[A-Za-z0-9_-]+$/.test(jwk[name])) throw malformed(`the JWK's "${name}"`);
    return node.bytesOf(jwk[name], "base64url");
  };
  const toText = (bytes) => node.textOf(bytes, "base64url");
  node.base64url = toText;
  node.fromJwkText = fromText;

  // What a JWK says of itself must fit what is asked of it.
  node.checkJwk = (jwk, kty, use, alg, extractable, usages) => {
    if (typeof jwk !== "object" || jwk === null) throw new TypeError("a JWK is an object");
    if (jwk.kty !== kty) throw new DOMException(`the JWK's "kty" is not "${kty}"`, "DataError");
    if (usages.length > 0 && jwk.use !== undefined && jwk.use !== use) throw new DOMException(`the JWK's "use" is not "${use}"`, "DataError");
    if (jwk.key_ops !== undefined && !usages.every((usage) => jwk.key_ops.includes(usage))) {
      throw new DOMException('the JWK\'s "key_ops" do not have the usages asked for', "DataError");
    }
    if (jwk.ext === false && extractable) throw new DOMException("the JWK may not be extracted", "DataError");
    if (alg !== undefined && jwk.alg !== undefined && jwk.alg !== alg) throw new DOMException(`the JWK's "alg" is not "${alg}"`, "DataError");
  };

  // `algorithm` normalized; gives [what the host takes, the key's algorithm].
  node.importPublic = (format, data, algorithm, extractable, usages) => {
    const { name } = algorithm;
    const unsupported = (what = `importing ${name} keys as "${format}"`) => new DOMException(node.absent(what), "NotSupportedError");
    if (format === "jwk" && data?.d !== undefined) throw unsupported(`the use of private ${name} keys`);
    if (name === "RSASSA-PKCS1-v1_5" || name === "RSA-PSS") {
      let key;
      if (format === "spki") {
        const read = fromSpki(data);
        if (read.oid !== RSA_ENCRYPTION) throw new DOMException("the key is not an RSA key", "DataError");
        key = read.key;
      } else if (format === "jwk") {
        const bits = algorithm.hash.name.slice(4);
        node.checkJwk(data, "RSA", "sig", `${name === "RSA-PSS" ? "PS" : "RS"}${bits}`, extractable, usages);
        key = wrap(0x30, integer(fromText(data, "n")), integer(fromText(data, "e")));
      } else throw unsupported();
      const [n, e] = rsaParts(key);
      if (n.length === 0 || e.length === 0) throw malformed("the key");
      return [key, { name, hash: algorithm.hash, modulusLength: n.length * 8 - Math.clz32(n[0]) + 24, publicExponent: e }];
    }
    if (name === "ECDSA") {
      const curve = node.curves[algorithm.namedCurve];
      if (curve === undefined) throw unsupported(`the curve ${algorithm.namedCurve}`);
      let key;
      if (format === "raw") key = new Uint8Array(data);
      else if (format === "spki") {
        const read = fromSpki(data);
        if (read.oid !== EC_PUBLIC_KEY || read.parameter !== curve.oid) throw new DOMException(`the key is not of the curve ${algorithm.namedCurve}`, "DataError");
        key = read.key;
      } else if (format === "jwk") {
        node.checkJwk(data, "EC", "sig", undefined, extractable, usages);
        if (data.crv !== algorithm.namedCurve) throw new DOMException(`the JWK's "crv" is not "${algorithm.namedCurve}"`, "DataError");
        key = node.join(Uint8Array.of(4), fromText(data, "x"), fromText(data, "y"));
      } else throw unsupported();
      if (key.length !== curve.bytes * 2 + 1 || key[0] !== 4) throw malformed("the point (only uncompressed ones are taken)");
      return [key, { name, namedCurve: algorithm.namedCurve }];
    }
    // Ed25519
    let key;
    if (format === "raw") key = new Uint8Array(data);
    else if (format === "spki") {
      const read = fromSpki(data);
      if (read.oid !== ED25519) throw new DOMException("the key is not an Ed25519 key", "DataError");
      key = read.key;
    } else if (format === "jwk") {
      node.checkJwk(data, "OKP", "sig", undefined, extractable, usages);
      if (data.crv !== "Ed25519") throw new DOMException('the JWK\'s "crv" is not "Ed25519"', "DataError");
      key = fromText(data, "x");
    } else throw unsupported();
    if (key.length !== 32) throw malformed("the key");
    return [key, { name }];
  };

  node.exportPublic = (format, key, { name, namedCurve, hash }) => {
    const isRsa = name === "RSASSA-PKCS1-v1_5" || name === "RSA-PSS";
    if (format === "spki") {
      if (isRsa) return toSpki(RSA_ENCRYPTION, NULL, key).buffer;
      return (name === "ECDSA" ? toSpki(EC_PUBLIC_KEY, wrap(6, bytesOfHex(node.curves[namedCurve].oid)), key) : toSpki(ED25519, NOTHING, key)).buffer;
    }
    if (format === "raw" && !isRsa) return new Uint8Array(key).buffer;
    if (format === "jwk") {
      if (isRsa) {
        const [n, e] = rsaParts(key);
        return { kty: "RSA", alg: `${name === "RSA-PSS" ? "PS" : "RS"}${hash.name.slice(4)}`, n: toText(n), e: toText(e) };
      }
      if (name === "Ed25519") return { kty: "OKP", crv: "Ed25519", x: toText(key) };
      const half = (key.length - 1) / 2;
      return { kty: "EC", crv: namedCurve, x: toText(key.subarray(1, 1 + half)), y: toText(key.subarray(1 + half)) };
    }
    throw new DOMException(node.absent(`exporting ${name} keys as "${format}"`), "NotSupportedError");
  };

  // ECDSA's two numbers as the DER that the host wants where hash and curve are of unlike sizes.
  node.derSignature = (signature) => {
    const half = signature.length / 2;
    return wrap(0x30, integer(signature.subarray(0, half)), integer(signature.subarray(half)));
  };
}
