// crypto.subtle: vectors of the RFCs and of NIST, some made with Node for what those lack; and what is refused.
import { test, equal, same, ok, throws, rejects, run as handler } from "./check.mjs";
export { handler };
const { subtle } = crypto;
const utf8 = (text) => Buffer.from(text);
const hex = (text) => Buffer.from(text, "hex");
const b64 = (text) => Buffer.from(text, "base64url");
const toHex = (buffer) => Buffer.from(buffer).toString("hex");

test("digests of 'abc' (FIPS 180)", async () => {
  equal(toHex(await subtle.digest("SHA-1", utf8("abc"))), "a9993e364706816aba3e25717850c26c9cd0d89d");
  equal(toHex(await subtle.digest("sha-256", utf8("abc"))), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  equal(toHex(await subtle.digest({ name: "SHA-384" }, utf8("abc").buffer)), "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7");
  equal(toHex(await subtle.digest("SHA-512", utf8("abc"))), "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
  // Cut into several requests to the host.
  equal(toHex(await subtle.digest("SHA-256", new Uint8Array(3_000_000).fill(97))), "2a152c894398719c0570f83fac34ac03a0f6e8e474b995c2403aa5434f7b9dd4");
  await rejects("TypeError", subtle.digest("SHA-256", "text"));
  ok((await rejects("NotSupportedError", subtle.digest("MD5", utf8("abc")))).message.includes("digest with MD5"));
});

test("HMAC (RFC 4231, RFC 2202)", async () => {
  const codes = {
    "SHA-1": "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
    "SHA-256": "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    "SHA-384": "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
    "SHA-512": "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
  };
  const data = utf8("what do ya want for nothing?");
  for (const [hash, code] of Object.entries(codes)) {
    const key = await subtle.importKey("raw", utf8("Jefe"), { name: "HMAC", hash }, true, ["sign", "verify"]);
    equal(toHex(await subtle.sign("HMAC", key, data)), code, hash);
    equal(await subtle.verify("HMAC", key, hex(code), data), true);
    equal(await subtle.verify("HMAC", key, hex(code).subarray(1), data), false);
    equal(await subtle.verify("HMAC", key, hex(code), utf8("else")), false);
    same(key.algorithm, { name: "HMAC", hash: { name: hash }, length: 32 });
  }
  const long = await subtle.importKey("raw", new Uint8Array(131).fill(0xaa), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  equal(toHex(await subtle.sign("HMAC", long, utf8("Test Using Larger Than Block-Size Key - Hash Key First"))), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  await rejects("InvalidAccessError", subtle.exportKey("raw", long));
  await rejects("InvalidAccessError", subtle.verify("HMAC", long, hex("00"), data));
  const jwk = await subtle.importKey("jwk", { kty: "oct", k: "SmVmZQ", alg: "HS256" }, { name: "HMAC", hash: "SHA-256" }, true, ["sign"]);
  equal(toHex(await subtle.sign("hmac", jwk, data)), codes["SHA-256"]);
  same(await subtle.exportKey("jwk", jwk), { key_ops: ["sign"], ext: true, kty: "oct", k: "SmVmZQ", alg: "HS256" });
  await rejects("DataError", subtle.importKey("jwk", { kty: "oct", k: "SmVmZQ", alg: "HS512" }, { name: "HMAC", hash: "SHA-256" }, true, ["sign"]));
  await rejects("SyntaxError", subtle.importKey("raw", utf8("k"), { name: "HMAC", hash: "SHA-256" }, true, []));
  await rejects("SyntaxError", subtle.importKey("raw", utf8("k"), { name: "HMAC", hash: "SHA-256" }, true, ["encrypt"]));
  await rejects("DataError", subtle.importKey("raw", new Uint8Array(0), { name: "HMAC", hash: "SHA-256" }, true, ["sign"]));
});

test("AES-GCM (NIST, test case 4)", async () => {
  const key = await subtle.importKey("raw", hex("feffe9928665731c6d6a8f9467308308"), "AES-GCM", true, ["encrypt", "decrypt"]);
  const iv = hex("cafebabefacedbaddecaf888"), additionalData = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
  const plain = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39";
  const sealed = "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e0915bc94fbc3221a5db94fae95ae7121a47";
  equal(toHex(await subtle.encrypt({ name: "AES-GCM", iv, additionalData }, key, hex(plain))), sealed);
  equal(toHex(await subtle.decrypt({ name: "AES-GCM", iv, additionalData }, key, hex(sealed))), plain);
  for (let at = 0; at < hex(sealed).length; at += 5) {
    const changed = hex(sealed);
    changed[at] ^= 1;
    await rejects("OperationError", subtle.decrypt({ name: "AES-GCM", iv, additionalData }, key, changed));
  }
  await rejects("OperationError", subtle.decrypt({ name: "AES-GCM", iv }, key, hex(sealed)));
  await rejects("OperationError", subtle.decrypt({ name: "AES-GCM", iv }, key, hex("00")));
  await rejects("NotSupportedError", subtle.encrypt({ name: "AES-GCM", iv: iv.subarray(4) }, key, hex(plain)));
  await rejects("NotSupportedError", subtle.encrypt({ name: "AES-GCM", iv, tagLength: 96 }, key, hex(plain)));
  await rejects("NotSupportedError", subtle.importKey("raw", new Uint8Array(24), "AES-GCM", true, ["encrypt"]));
  await rejects("DataError", subtle.importKey("raw", new Uint8Array(15), "AES-GCM", true, ["encrypt"]));
  const made = await subtle.generateKey({ name: "AES-GCM", length: 256 }, true, ["encrypt", "decrypt"]);
  const text = new Uint8Array(1_000_000).fill(7);
  const back = await subtle.decrypt({ name: "AES-GCM", iv }, made, await subtle.encrypt({ name: "AES-GCM", iv }, made, text));
  ok(Buffer.compare(Buffer.from(back), Buffer.from(text)) === 0);
  await rejects("OperationError", subtle.encrypt({ name: "AES-GCM", iv }, made, new Uint8Array(1 << 20)));
  equal((await subtle.exportKey("raw", made)).byteLength, 32);
  equal((await subtle.exportKey("jwk", made)).alg, "A256GCM");
});

// A signature fits, and neither another message nor a changed or cut one does.
async function verifies(algorithm, key, signature, message) {
  equal(await subtle.verify(algorithm, key, signature, message), true, JSON.stringify(algorithm));
  equal(await subtle.verify(algorithm, key, signature, Buffer.concat([message, utf8("!")])), false);
  equal(await subtle.verify(algorithm, key, signature.subarray(1), message), false);
  for (const at of [0, signature.length >> 1, signature.length - 1]) {
    const changed = Buffer.from(signature);
    changed[at] ^= 4;
    equal(await subtle.verify(algorithm, key, changed, message), false);
  }
}

test("RSASSA-PKCS1-v1_5 (RFC 7515, A.2)", async () => {
  const jwk = { kty: "RSA", e: "AQAB", n: "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ" };
  const signature = b64("cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw");
  const algorithm = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
  const key = await subtle.importKey("jwk", jwk, algorithm, true, ["verify"]);
  await verifies(algorithm, key, signature, utf8("eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"));
  equal(key.algorithm.modulusLength, 2048);
  same([...key.algorithm.publicExponent], [1, 0, 1]);
  equal((await subtle.exportKey("jwk", key)).n, jwk.n);
  const again = await subtle.importKey("spki", await subtle.exportKey("spki", key), algorithm, false, ["verify"]);
  equal(again.algorithm.modulusLength, 2048);
  await rejects("NotSupportedError", subtle.importKey("jwk", { ...jwk, d: "AQAB" }, algorithm, true, ["sign"]));
  await rejects("NotSupportedError", subtle.importKey("pkcs8", utf8("x"), algorithm, true, ["sign"]));
  await rejects("SyntaxError", subtle.importKey("jwk", jwk, algorithm, true, ["sign"]));
});

const RSA = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAsbwCFhlzw7t5NUyDj9omgKIIMZTdSMuwADyNy9+ey4vLdTYCnvno4r5F71sCskyYbCS9vFuQdgq4oBDWseiR2E2RyoVtcG9ZSqo787BqDcvVhlx08bUFrzaKZadg8x2y2K33AvJxHPSrF2CWQ2c6B05XAZOQOcVSCQKo8ZdhP0Fz0yVbITPkzrohbnpRxkkUVqjVO3XVeBTzM+nvi9Q6yGAAuwJOgtq21adMgZTBNXAEacL9gIMtC0GPENfROSRIzvI0jWwnRx2ZjP34wgrqNLiy5abMwpVdM7g5Tt5RlEzROul3XkANhF7tw7AgrlWvOHV4q5MfKR8v5iXzF3WM4wIDAQAB";

test("RSA-PSS and the other hashes, made with Node", async () => {
  const signatures = [
    ["RSA-PSS", "SHA-256", 32, "fKGGaGsDFz6U_xu_5yINV-FTzfY3pTXPgId7RJ0PvvAd9hvErHFMj0-JpeNHpEDhPM892SpXJ6pMSBY1uHIcj3lL3Tlgw86iO0mKB--WVYlU6gBdPO0YREAUNZxUrqcRW45B7jz7O4XoB1fEK10scxUUlumic9QyvvX73odwMAoYkSGANgXElrDRFNooyoCTAPNE2AtgqBNZONrypdzzElCyefoO8sYB1FQe--br-Gyb6vibsTkGpqbNnbZaJ0MZbKo4Z5dCQ9s77-GUJQ7vChC3Mh_svpqxg9bITQiuNCmm9BjhlfTb11BUYG0-tr_gIOeWYtGF0ivqVDfmt3PAIw"],
    ["RSA-PSS", "SHA-512", 64, "TnUax_4i5wEEJm1tclgSEa6jh2ld8rl4ovrJPiJkA-vQGY-AaJImOGuXyhiy-sGzAdeMjEylhadp_lihB9UpEakp6YsjrFWVMh5xXSXyB7jGqq5yx82G-viwwubZxE5CSg7JUG2f2i0dD7CV22kFLTytE4AHPvbPLTJ3h-V9HaWC_i_XVQhUgxUxGNxd5rHjOO8EQoorifwvkXT_SGycjBH0l4jYUv6-J8E1rXLMM1SSOzsSdqPR41EsMZTYk2aWK1rKUZWwINWRjJRSHQ9eubSyS8e7KgKXYt_lOUHjP-_I1JEZ01Dbkk_t5k3letPs9r_Fx7Y18eLPpI2pCEjVTg"],
    ["RSASSA-PKCS1-v1_5", "SHA-384", undefined, "gFLRSZPLLrpYG8HdBPtZV9AMnUcHC9UBLbUyaUTidNg4qLMiVAuxiopT7xCcrh4nSVajHyVjgN2wsQAxXtQx_RuAj0JJ_RhUJxbxaD7_nJUfhmdv2nX39LDxLZGP4ub1bdQFzxkh-6sZ1TcaZIGYaPppVYRn84IHHr1vEBJekZYAVakEsVgtI1ExirRwyJV1ywVkZTsEbeFpjdoOCMPG-4If3U2KSYmlQudGj2ngDHgqdAIueXq_-dAsn_lfBLTDuLk-pDJVRK-8TMHcMrOUJgUzFdfe8FIswCvOsTEvddefz_muXD9kY6oXUGuJ7yrGoC3B8Xzm6SQG0mtNQ3DBEg"],
    ["RSASSA-PKCS1-v1_5", "SHA-1", undefined, "V32K8PCKOu9uwgX9fOIQ5hWt6yjQNX44z-5s7Pr2sDgQ4oQeTslnvGTHb19p_Muwh6i58p5OIQWZnt1mKFtrc_kAaT3_Fd2QhPLqNLuGYbaXf71EpGANnDsqq1C-DkX5yUp1ybzQHLfh0VQuzrMQyOTQJUgY2PBn39MK2A3JlZPosco2X3-LfY2eCAVKSpG3fGHf7JCsiylzovT4LUidEu6IynoN0F_KWuVilPbreJukiv7u6-nbTHh13ArvSAtFMdD_W5_iBKkbhUyx8AqGFLrXTGjM22ZYMvavrqxkP3bU0Zct7y7xvBpM1PNgvyOhhM4BoKmAxr0Ea9Mwqiq96g"],
  ];
  for (const [name, hash, saltLength, signature] of signatures) {
    const key = await subtle.importKey("spki", Buffer.from(RSA, "base64"), { name, hash }, true, ["verify"]);
    await verifies(saltLength === undefined ? name : { name, saltLength }, key, b64(signature), utf8("sublet"));
  }
  const key = await subtle.importKey("spki", Buffer.from(RSA, "base64"), { name: "RSA-PSS", hash: "SHA-256" }, true, ["verify"]);
  await rejects("NotSupportedError", subtle.verify({ name: "RSA-PSS", saltLength: 20 }, key, b64("AA"), utf8("x")));
  await rejects("InvalidAccessError", subtle.verify("RSASSA-PKCS1-v1_5", key, b64("AA"), utf8("x")));
  for (const length of [0, 1, 20, 100, 293]) {
    await rejects("DataError", subtle.importKey("spki", Buffer.from(RSA, "base64").subarray(0, length), { name: "RSA-PSS", hash: "SHA-256" }, true, ["verify"]));
  }
});

test("ECDSA (RFC 6979, A.2.5 and A.2.6)", async () => {
  const p256 = { kty: "EC", crv: "P-256", x: hex("60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6").toString("base64url"), y: hex("7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299").toString("base64url") };
  const p384 = { kty: "EC", crv: "P-384", x: hex("EC3A4E415B4E19A4568618029F427FA5DA9A8BC4AE92E02E06AAE5286B300C64DEF8F0EA9055866064A254515480BC13").toString("base64url"), y: hex("8015D9B72D7D57244EA8EF9AC0C621896708A59367F9DFB9F54CA84B3F1C9DB1288B231C3AE0D4FE7344FD2533264720").toString("base64url") };
  const cases = [
    [p256, "SHA-256", "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"],
    [p256, "SHA-384", "0EAFEA039B20E9B42309FB1D89E213057CBF973DC0CFC8F129EDDDC800EF77194861F0491E6998B9455193E34E7B0D284DDD7149A74B95B9261F13ABDE940954"],
    [p384, "SHA-384", "94EDBB92A5ECB8AAD4736E56C691916B3F88140666CE9FA73D64C4EA95AD133C81A648152E44ACF96E36DD1E80FABE4699EF4AEB15F178CEA1FE40DB2603138F130E740A19624526203B6351D0A3A94FA329C145786E679E7B82C71A38628AC8"],
  ];
  for (const [jwk, hash, signature] of cases) {
    const algorithm = { name: "ECDSA", namedCurve: jwk.crv };
    const key = await subtle.importKey("jwk", jwk, algorithm, true, ["verify"]);
    await verifies({ name: "ECDSA", hash }, key, hex(signature), utf8("sample"));
    for (const format of ["raw", "spki", "jwk"]) {
      const again = await subtle.importKey(format, await subtle.exportKey(format, key), algorithm, true, ["verify"]);
      equal(await subtle.verify({ name: "ECDSA", hash }, again, hex(signature), utf8("sample")), true, format);
    }
  }
  const made = await subtle.importKey("spki", Buffer.from("MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAElW1lD2PqqfjIsBhkxvx707QlHeOLsiMMBdgWnLVjiV2NxI/dC/W9fFyXtQ9vmksDC8DQpw03Hwprf/gBwGdeRpDHBh3tvg/l/AoA0vmHuOsbA8WLgnW4MCBWvxePWNh6", "base64"), { name: "ECDSA", namedCurve: "P-384" }, true, ["verify"]);
  await verifies({ name: "ECDSA", hash: "SHA-256" }, made, b64("3cbuJGIkWjlNJFcESLvU1ZXvyRa6zFb1xz3K4C9ngCXbPD0-MI8II5r3JTNTSbApt9Xv6pWCt-JMm3ZLe-Sys0WdK1pJkKVxXqDHNTSfTEqBbmoGH6_IDXe5Tp8YVnUQ"), utf8("sublet"));
  await rejects("NotSupportedError", subtle.verify({ name: "ECDSA", hash: "SHA-512" }, made, b64("AA"), utf8("x")));
  ok((await rejects("NotSupportedError", subtle.importKey("jwk", { ...p256, crv: "P-521" }, { name: "ECDSA", namedCurve: "P-521" }, true, ["verify"]))).message.includes("P-521"));
  await rejects("DataError", subtle.importKey("jwk", p384, { name: "ECDSA", namedCurve: "P-256" }, true, ["verify"]));
  await rejects("DataError", subtle.importKey("raw", new Uint8Array(65), { name: "ECDSA", namedCurve: "P-256" }, true, ["verify"]));
  // A point that is not on the curve is found when something is verified.
  const off = await subtle.importKey("raw", new Uint8Array(65).fill(4), { name: "ECDSA", namedCurve: "P-256" }, true, ["verify"]);
  equal(await subtle.verify({ name: "ECDSA", hash: "SHA-256" }, off, new Uint8Array(64), utf8("x")), false);
});

test("Ed25519 (RFC 8032, test 2)", async () => {
  const raw = hex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
  const signature = hex("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
  const key = await subtle.importKey("raw", raw, "Ed25519", true, ["verify"]);
  await verifies("Ed25519", key, signature, hex("72"));
  for (const format of ["spki", "jwk"]) {
    const again = await subtle.importKey(format, await subtle.exportKey(format, key), { name: "ed25519" }, true, ["verify"]);
    equal(await subtle.verify("Ed25519", again, signature, hex("72")), true, format);
  }
  await rejects("DataError", subtle.importKey("raw", raw.subarray(1), "Ed25519", true, ["verify"]));
});

test("what is missing says its name", async () => {
  for (const name of ["AES-CBC", "AES-CTR", "AES-KW", "RSA-OAEP", "ECDH", "X25519", "Ed448", "HKDF", "PBKDF2"]) {
    const error = await rejects("NotSupportedError", subtle.importKey("raw", new Uint8Array(16), name, true, ["encrypt"]));
    equal(error.message, `importKey with ${name} is not available in this runtime; see docs/runtime-js.md`);
  }
  for (const name of ["deriveKey", "deriveBits", "wrapKey", "unwrapKey"]) ok((await rejects("NotSupportedError", subtle[name]())).message.includes(name));
  await rejects("NotSupportedError", subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]));
  throws("TypeError", () => new CryptoKey());
  throws("TypeError", () => new SubtleCrypto());
  throws("TypeError", () => new Crypto());
  equal(String(crypto), "[object Crypto]");
  equal(String(subtle), "[object SubtleCrypto]");
});

test("random values", () => {
  const values = crypto.getRandomValues(new Uint32Array(64));
  ok(new Set(values).size > 60 && values instanceof Uint32Array);
  ok(crypto.getRandomValues(new BigInt64Array(4)).some((value) => value !== 0n));
  equal(crypto.getRandomValues(new Uint8Array(0)).length, 0);
  throws("TypeMismatchError", () => crypto.getRandomValues(new Float64Array(1)));
  throws("TypeMismatchError", () => crypto.getRandomValues(new DataView(new ArrayBuffer(1))));
  throws("QuotaExceededError", () => crypto.getRandomValues(new Uint8Array(65537)));
  const ids = Array.from({ length: 200 }, () => crypto.randomUUID());
  ok(ids.every((id) => /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(id)));
  equal(new Set(ids).size, 200);
});
