import { test, equal, same, ok, throws, rejects, run as handler } from "./check.mjs";
export { handler };
const bytes = (text) => new TextEncoder().encode(text);

test("Headers", () => {
  const headers = new Headers({ "X-B": " two ", a: 1 });
  headers.append("x-b", "three");
  headers.append("Set-Cookie", "a=1");
  headers.append("set-cookie", "b=2");
  same([...headers], [["a", "1"], ["set-cookie", "a=1"], ["set-cookie", "b=2"], ["x-b", "two, three"]]);
  same([headers.get("X-b"), headers.get("none"), headers.has("A"), headers.getSetCookie(), headers.get("set-cookie")], ["two, three", null, true, ["a=1", "b=2"], "a=1, b=2"]);
  headers.set("x-b", "four");
  headers.delete("a");
  same([...headers.keys()], ["set-cookie", "set-cookie", "x-b"]);
  same([...new Headers(headers).values()], ["a=1", "b=2", "four"]);
  same([...new Headers([["k", "v"]])], [["k", "v"]]);
  const seen = [];
  new Headers({ b: "2", a: "1" }).forEach((value, name) => seen.push(name + value));
  same(seen, ["a1", "b2"]);
  for (const bad of [() => headers.append("a b", "1"), () => headers.append("", "1"), () => headers.set("a", "x\ny"), () => headers.set("a", "€"), () => headers.get("a:"), () => new Headers([["a"]]), () => new Headers("text"), () => headers.append("x"), () => new Headers({ [Symbol("s")]: "1" })]) throws("TypeError", bad);
  equal(String(headers), "[object Headers]");
});

test("Blob and File", async () => {
  const blob = new Blob(["é", bytes("b").buffer, new Uint16Array([0x4342]), new Blob(["d"])], { type: "Text/PLAIN" });
  same([blob.size, blob.type, await blob.text()], [6, "text/plain", "ébBCd"]);
  equal(await blob.slice(2, 4).text(), "bB");
  equal(await blob.slice(-2, undefined, "a/b").text(), "Cd");
  equal(blob.slice(-2, undefined, "a/b").type, "a/b");
  equal(blob.slice(5, 2).size, 0);
  ok((await blob.arrayBuffer()) instanceof ArrayBuffer && (await blob.bytes()) instanceof Uint8Array);
  equal((await blob.slice(2).arrayBuffer()).byteLength, 4);
  let streamed = "";
  for await (const chunk of blob.stream()) streamed += new TextDecoder().decode(chunk);
  equal(streamed, "ébBCd");
  equal(await new Blob(["a\r\nb\rc"], { endings: "native" }).text(), "a\nb\nc");
  const file = new File(["x"], "n/a.txt", { lastModified: 7, type: "a/b" });
  same([file.name, file.lastModified, file.type, file.size, file instanceof Blob, String(file)], ["n/a.txt", 7, "a/b", 1, true, "[object File]"]);
  ok(Math.abs(new File([], "x").lastModified - Date.now()) < 1000);
  throws("TypeError", () => new Blob("text"));
  throws("TypeError", () => new File([]));
  equal(new Blob().size, 0);
  const large = new Blob([new Uint8Array(200_000)]);
  let chunks = 0;
  for await (const chunk of large.stream()) chunks += chunk.length;
  equal(chunks, 200_000);
});

test("FormData", () => {
  const form = new FormData();
  form.append("a", 1);
  form.append("b", new Blob(["x"], { type: "a/b" }));
  form.append("a", "2");
  form.append("f", new File(["y"], "y.txt"), "z.txt");
  same([form.get("a"), form.getAll("a"), form.has("b"), form.get("b") instanceof File, form.get("b").name, form.get("b").type, form.get("f").name, form.get("none")], ["1", ["1", "2"], true, true, "blob", "a/b", "z.txt", null]);
  form.set("a", "3");
  same([...form.keys()], ["a", "b", "f"]);
  form.delete("b");
  same([...form].map(([name]) => name), ["a", "f"]);
  throws("TypeError", () => form.append("x"));
  throws("TypeError", () => form.append("x", "text", "name"));
  throws("TypeError", () => new FormData({}));
});

test("a form goes out and comes back", async () => {
  const form = new FormData();
  form.append('na"me\r\n', "line\nbreak ü");
  form.append("file", new File([new Uint8Array([0, 13, 10, 45, 45, 255])], 'q"ü.bin', { type: "application/x" }));
  form.append("empty", new Blob([]));
  const request = new Request("http://a/", { method: "POST", body: form });
  ok(/^multipart\/form-data; boundary=\S+$/.test(request.headers.get("content-type")));
  const text = await request.clone().text();
  ok(text.includes('name="na%22me%0D%0A"') && text.includes('filename="q%22ü.bin"\r\nContent-Type: application/x'), text);
  const back = await request.formData();
  same([...back.keys()], ['na"me\r\n', "file", "empty"]);
  equal(back.get('na"me\r\n'), "line\r\nbreak ü");
  const file = back.get("file");
  same([file.name, file.type, [...await file.bytes()]], ['q"ü.bin', "application/x", [0, 13, 10, 45, 45, 255]]);
  equal(back.get("empty").size, 0);
});

test("forms of others are read, wrong ones refused", async () => {
  const response = (body, type) => new Response(body, { headers: { "content-type": type } });
  const body = 'preamble\r\n--x y \r\ncontent-disposition: FORM-DATA; name=plain\r\n\r\nvalue\r\n--x y\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\n\r\n\r\n--x y--\r\nepilogue';
  const form = await response(body, 'multipart/form-data; boundary="x y"').formData();
  same([form.get("plain"), form.get("f").name, form.get("f").size, form.get("f").type], ["value", "a.txt", 0, "text/plain"]);
  const encoded = await response("a=1&b=%20+", "application/x-www-form-urlencoded;charset=UTF-8").formData();
  same([...encoded], [["a", "1"], ["b", "  "]]);
  for (const [text, type] of [["", "multipart/form-data; boundary=x"], ["--x\r\n\r\nno name\r\n--x--", "multipart/form-data; boundary=x"], ["--x\r\nContent-Disposition: form-data; name=a\r\n\r\nopen", "multipart/form-data; boundary=x"], ["x", "multipart/form-data"], ["x", "text/plain"]]) {
    await rejects("TypeError", response(text, type).formData(), text);
  }
});

test("Request has its fields and takes what it is given", async () => {
  const request = new Request("http://a/b#c", { method: "post", headers: { x: "y" }, body: "text" });
  same([request.url, request.method, request.headers.get("x"), request.headers.get("content-type"), request.redirect, request.credentials, request.mode, request.cache, request.duplex, request.bodyUsed], ["http://a/b#c", "POST", "y", "text/plain;charset=UTF-8", "follow", "same-origin", "cors", "default", "half", false]);
  const other = new Request(request, { headers: { z: "1" } });
  same([other.method, other.headers.has("x"), await other.text(), request.bodyUsed], ["POST", false, "text", true]);
  await rejects("TypeError", request.text());
  equal(new Request("http://a", { method: "patch" }).method, "patch");
  ok(new Request("http://a").signal instanceof AbortSignal);
  equal(new Request("http://a").body, null);
  for (const bad of [["/relative"], ["http://u:p@a/"], ["http://a", { method: "GET", body: "x" }], ["http://a", { method: "TRACE" }], ["http://a", { method: "a b" }], ["http://a", { redirect: "maybe" }], ["http://a", { signal: {} }], []]) throws("TypeError", () => new Request(...bad));
  const controller = new AbortController();
  const signalled = new Request("http://a", { signal: controller.signal });
  controller.abort("why");
  equal(signalled.signal.reason, "why");
  equal(new Request(signalled).signal.aborted, true);
  equal((await new Request("http://a", { method: "POST", body: new URLSearchParams({ a: "ü" }) }).text()), "a=%C3%BC");
});

test("Response, its bodies and statics", async () => {
  const response = new Response("text", { status: 201, statusText: "Made", headers: { a: "b" } });
  same([response.status, response.statusText, response.ok, response.headers.get("a"), response.type, response.url, response.redirected, response.bodyUsed], [201, "Made", true, "b", "default", "", false, false]);
  const copy = response.clone();
  equal(await response.text(), "text");
  equal(response.bodyUsed, true);
  equal(await copy.text(), "text");
  throws("TypeError", () => response.clone());
  await rejects("TypeError", response.json());
  same(await new Response('{"a":1}').json(), { a: 1 });
  same(await new Response("\ufeff[1]").json(), [1]);
  await rejects("SyntaxError", new Response("{").json());
  same([...await new Response(new Uint8Array([1, 2, 3]).subarray(1)).bytes()], [2, 3]);
  equal((await new Response("abc").arrayBuffer()).byteLength, 3);
  const blob = await new Response("x", { headers: { "content-type": "A/B" } }).blob();
  same([blob.type, blob.size], ["a/b", 1]);
  const json = Response.json({ a: 1 }, { status: 202 });
  same([json.status, json.headers.get("content-type"), await json.json()], [202, "application/json", { a: 1 }]);
  equal(Response.json(1, { headers: { "content-type": "x/y" } }).headers.get("content-type"), "x/y");
  const redirect = Response.redirect("http://a/b", 301);
  same([redirect.status, redirect.headers.get("location")], [301, "http://a/b"]);
  throws("TypeError", () => redirect.headers.set("a", "b"));
  same([Response.error().type, Response.error().status], ["error", 0]);
  throws("RangeError", () => new Response("", { status: 600 }));
  throws("TypeError", () => new Response("x", { status: 204 }));
  throws("TypeError", () => new Response("", { statusText: "a\nb" }));
  throws("RangeError", () => Response.redirect("http://a", 200));
  throws("TypeError", () => Response.json(undefined));
  equal(await new Response().text(), "");
  equal(new Response().body, null);
  equal(new Response(null, { status: 204 }).status, 204);
});

test("bodies that stream", async () => {
  const stream = new ReadableStream({ start(controller) { controller.enqueue(bytes("a")); controller.enqueue(bytes("é")); controller.close(); } });
  const response = new Response(stream);
  ok(response.body === stream);
  const copy = response.clone();
  equal(await response.text(), "aé");
  equal(await copy.text(), "aé");
  await rejects("TypeError", new Response(new ReadableStream({ start(controller) { controller.enqueue("text"); controller.close(); } })).text());
  await rejects("RangeError", new Response(new ReadableStream({ pull() { throw new RangeError("x"); } })).text());
  const partly = new Response("abc");
  const reader = partly.body.getReader();
  equal(partly.bodyUsed, false);
  same([...(await reader.read()).value], [97, 98, 99]);
  equal(partly.bodyUsed, true);
  await rejects("TypeError", partly.text());
  throws("TypeError", () => new Response(partly.body));
  const used = new Response("x");
  await used.text();
  equal(used.body.locked, true);
  async function* parts() { yield bytes("1"); yield bytes("2"); }
  equal(await new Response(parts()).text(), "12");
  const locked = new Response("x");
  locked.body.getReader();
  await rejects("TypeError", locked.text());
});

test("navigator", () => {
  equal(navigator.userAgent, "Sublet");
  ok(self === globalThis && global === globalThis);
  throws("TypeError", () => new Navigator());
});
