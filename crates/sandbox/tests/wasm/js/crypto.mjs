// node:crypto: vectors of the RFCs, streams of pieces, and what is refused.
import crypto, { createHash, createHmac, randomBytes, randomInt, timingSafeEqual, randomFillSync, webcrypto } from "node:crypto";
import { test, equal, same, ok, throws, run as handler } from "./check.mjs";
export { handler };

test("hashes of 'abc' (RFC 1321, FIPS 180)", () => {
  equal(createHash("md5").update("abc").digest("hex"), "900150983cd24fb0d6963f7d28e17f72");
  equal(createHash("SHA1").update("abc").digest("hex"), "a9993e364706816aba3e25717850c26c9cd0d89d");
  equal(createHash("sha256").update("a").update(Buffer.from("b")).update("63", "hex").digest("base64"), "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
  equal(createHash("sha-384").update("abc").digest("hex").length, 96);
  ok(createHash("RSA-SHA512").update("abc").digest() instanceof Buffer);
  equal(createHash("md5").digest("hex"), "d41d8cd98f00b204e9800998ecf8427e");
  equal(crypto.hash("sha1", "abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
});

test("HMAC (RFC 4231)", () => {
  equal(createHmac("sha256", "Jefe").update("what do ya want ").update("for nothing?").digest("hex"), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  equal(createHmac("sha256", Buffer.alloc(131, 0xaa)).update("Test Using Larger Than Block-Size Key - Hash Key First").digest("hex"), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  const again = createHmac("sha1", "k");
  again.digest();
  equal(again.digest("hex"), "");
});

test("long texts in pieces are hashed as they would be whole", () => {
  const piece = "sublet".repeat(5000), pieces = createHash("sha512"), mac = createHmac("sha384", "key");
  for (let i = 0; i < 40; i++) {
    pieces.update(piece);
    mac.update(piece);
  }
  const copy = pieces.copy().update("end"), whole = piece.repeat(40);
  equal(pieces.digest("hex"), createHash("sha512").update(whole).digest("hex"));
  equal(copy.digest("hex"), createHash("sha512").update(whole + "end").digest("hex"));
  equal(mac.digest("hex"), createHmac("sha384", "key").update(whole).digest("hex"));
  equal(createHmac("sha256", whole).update("x").digest("hex").length, 64);
  // What is fed may be changed afterwards.
  const bytes = Buffer.from("abc"), kept = createHash("md5").update(bytes);
  bytes.fill(0);
  equal(kept.digest("hex"), "900150983cd24fb0d6963f7d28e17f72");
});

test("a thousand hashes that are never finished harm nobody", () => {
  for (let i = 0; i < 1000; i++) createHash("sha256").update("x".repeat(1000));
  equal(createHash("md5").update("abc").digest("hex"), "900150983cd24fb0d6963f7d28e17f72");
});

test("what is refused has Node's codes", () => {
  equal(throws("TypeError", () => createHash("sha256").update(5)).code, "ERR_INVALID_ARG_TYPE");
  ok(throws("Error", () => createHash("sha3-256")).message.includes("'sha3-256' is not available in this runtime"));
  equal(throws("TypeError", () => createHmac("md5", "k")).code, "ERR_CRYPTO_INVALID_DIGEST");
  const done = createHash("md5");
  done.digest();
  equal(throws("Error", () => done.update("x")).code, "ERR_CRYPTO_HASH_FINALIZED");
  equal(throws("RangeError", () => timingSafeEqual(Buffer.from("a"), Buffer.from("ab"))).code, "ERR_CRYPTO_TIMING_SAFE_EQUAL_LENGTH");
  equal(timingSafeEqual(Buffer.from("ab"), new Uint8Array([97, 98])), true);
  equal(timingSafeEqual(Buffer.from("ab"), Buffer.from("ac")), false);
  equal(crypto.createSign, undefined);
  equal(crypto.createCipheriv, undefined);
});

test("randomness", async () => {
  equal(randomBytes(0).length, 0);
  ok(randomBytes(200_000).some((byte) => byte !== 0));
  const later = await new Promise((done, fail) => randomBytes(8, (error, bytes) => (error ? fail(error) : done(bytes))));
  ok(Buffer.isBuffer(later) && later.length === 8);
  const drawn = Array.from({ length: 600 }, () => randomInt(3, 9));
  ok(drawn.every((value) => value >= 3 && value < 9));
  equal(new Set(drawn).size, 6);
  const filled = randomFillSync(Buffer.alloc(64), 32);
  ok(filled.subarray(0, 32).every((byte) => byte === 0) && filled.subarray(32).some((byte) => byte !== 0));
  throws("RangeError", () => randomBytes(-1));
  throws("RangeError", () => randomInt(5, 5));
  ok(webcrypto === globalThis.crypto && crypto.subtle === webcrypto.subtle);
  same(crypto.getHashes(), ["md5", "sha1", "sha256", "sha384", "sha512"]);
});
