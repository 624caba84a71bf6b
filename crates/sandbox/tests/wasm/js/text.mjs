import { test, equal, same, ok, throws, run as handler } from "./check.mjs";
export { handler };

test("encode and decode", () => {
  const encoder = new TextEncoder(), decoder = new TextDecoder();
  same([...encoder.encode("aé€😀\ud800")], [97, 195, 169, 226, 130, 172, 240, 159, 152, 128, 239, 191, 189]);
  equal(encoder.encode().length, 0);
  ok(encoder.encode("x") instanceof Uint8Array);
  equal(encoder.encoding, "utf-8");
  equal(decoder.decode(encoder.encode("aé€😀")), "aé€😀");
  equal(decoder.decode(), "");
  equal(decoder.decode(new Uint8Array([0x61, 0xff, 0x62, 0xe2, 0x82])), "a\ufffdb\ufffd");
  equal(decoder.decode(new Uint8Array([0xf0, 0x9f, 0x98, 0x61])), "\ufffda");
  equal(decoder.decode(new Uint8Array([0xed, 0xa0, 0x80])), "\ufffd\ufffd\ufffd");
  equal(decoder.decode(new DataView(encoder.encode("xyz").buffer, 1, 1)), "y");
  equal(decoder.decode(encoder.encode("ab").buffer), "ab");
  equal(String(decoder), "[object TextDecoder]");
  throws("TypeError", () => decoder.decode("text"));
});

test("the byte order mark", () => {
  const bytes = new Uint8Array([0xef, 0xbb, 0xbf, 0x61]);
  equal(new TextDecoder().decode(bytes), "a");
  equal(new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes), "\ufeffa");
  equal(new TextDecoder().decode(new Uint8Array([0xef, 0xbb, 0xbf, 0xef, 0xbb, 0xbf])), "\ufeff");
  const stream = new TextDecoder();
  equal(stream.decode(bytes.subarray(0, 2), { stream: true }) + stream.decode(bytes.subarray(2), { stream: true }) + stream.decode(bytes), "a\ufeffa");
  equal(stream.decode(bytes), "a");
});

test("streams cut anywhere", () => {
  const text = "aé€😀z\u0800\uffff", bytes = new TextEncoder().encode(text);
  for (let at = 0; at <= bytes.length; at++) {
    for (let to = at; to <= bytes.length; to++) {
      const decoder = new TextDecoder("utf-8", { fatal: true });
      const parts = [decoder.decode(bytes.subarray(0, at), { stream: true }), decoder.decode(bytes.subarray(at, to), { stream: true }), decoder.decode(bytes.subarray(to))];
      equal(parts.join(""), text, `${at} ${to}`);
    }
  }
  const wrong = new TextDecoder();
  equal(wrong.decode(new Uint8Array([0xe2]), { stream: true }), "");
  equal(wrong.decode(new Uint8Array([0x61]), { stream: true }), "\ufffda");
  equal(wrong.decode(new Uint8Array([0xe2, 0x82]), { stream: true }) + wrong.decode(), "\ufffd");
});

test("fatal decoders throw and start again", () => {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  throws("TypeError", () => decoder.decode(new Uint8Array([0xff])));
  throws("TypeError", () => decoder.decode(new Uint8Array([0xe2, 0x82])));
  equal(decoder.decode(new Uint8Array([0x61])), "a");
});

test("large texts, in pieces", () => {
  const text = "€uro😀".repeat(100_000), bytes = new TextEncoder().encode(text);
  ok(new TextDecoder("utf-8", { fatal: true }).decode(bytes) === text);
});

test("other encodings", () => {
  equal(new TextDecoder("utf-16").decode(new Uint8Array([0xff, 0xfe, 0x61, 0x00, 0x3d, 0xd8, 0x00, 0xde])), "a😀");
  equal(new TextDecoder("utf-16be").decode(new Uint8Array([0x00, 0x61, 0xd8, 0x3d, 0xde, 0x00])), "a😀");
  equal(new TextDecoder("utf-16le").decode(new Uint8Array([0x00, 0xd8, 0x61])), "\ufffd");
  const stream = new TextDecoder("utf-16le");
  equal([[0x3d], [0xd8, 0x00], [0xde, 0x61], [0]].map((piece) => stream.decode(new Uint8Array(piece), { stream: true })).join("") + stream.decode(), "😀a");
  equal(new TextDecoder("latin1").encoding, "windows-1252");
  equal(new TextDecoder(" ASCII\n").decode(new Uint8Array([0x61, 0x80, 0xe9, 0x81, 0x9f])), "a€é\x81Ÿ");
  throws("TypeError", () => new TextDecoder("utf-16le", { fatal: true }).decode(new Uint8Array([0x00, 0xd8])));
  const error = throws("RangeError", () => new TextDecoder("shift_jis"));
  ok(error.message.includes("shift_jis") && error.message.includes("utf-8"), error.message);
  equal(new TextDecoder("UTF8").encoding, "utf-8");
});

test("encodeInto", () => {
  const encoder = new TextEncoder(), into = new Uint8Array(5);
  same(encoder.encodeInto("a€€", into), { read: 2, written: 4 });
  same([...into], [97, 226, 130, 172, 0]);
  same(encoder.encodeInto("😀", new Uint8Array(3)), { read: 0, written: 0 });
  same(encoder.encodeInto("\ud800x", new Uint8Array(9)), { read: 2, written: 4 });
});

test("atob and btoa", () => {
  throws("TypeError", () => atob());
  equal(btoa("hello\xff"), "aGVsbG//");
  equal(atob(" aGVs bG8= "), "hello");
  throws("InvalidCharacterError", () => btoa("€"));
  throws("InvalidCharacterError", () => atob("a"));
  equal(atob(null), "\x9eée");
  equal(btoa(undefined), "dW5kZWZpbmVk");
});
