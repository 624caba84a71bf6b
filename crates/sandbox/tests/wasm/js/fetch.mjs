// The gateway is played by webapi.rs, which answers by the URL's path.
import { test, equal, same, ok, throws, rejects, sleep, run as handler } from "./check.mjs";
export { handler };

let atTopLevel;
try { await fetch("http://gateway/echo"); } catch (error) { atTopLevel = error; }

test("fetch at top level is refused with a reason", () => {
  equal(atTopLevel.name, "TypeError");
  ok(atTopLevel.message.includes("top level"), atTopLevel.message);
});

test("a request goes out as it was made", async () => {
  const response = await fetch("http://gateway/echo?q=ä#fragment", { method: "post", headers: { "X-Own": "1" }, body: "bödy", redirect: "manual" });
  same([response.status, response.statusText, response.ok, response.type, response.url, response.redirected], [200, "Fine", true, "basic", "http://gateway/echo?q=%C3%A4", false]);
  same([response.headers.get("X-Echo"), response.headers.getSetCookie()], ["yes", ["a=1", "b=2"]]);
  throws("TypeError", () => response.headers.set("a", "b"));
  const { method, url, redirect, headers, body } = await response.json();
  same([method, url, redirect, body], ["POST", "http://gateway/echo?q=%C3%A4", "manual", "bödy"]);
  same(headers, [["content-type", "text/plain;charset=UTF-8"], ["x-own", "1"]]);
});

test("a Request, a form and a stream go out too", async () => {
  const form = new FormData();
  form.append("a", "1");
  const echoed = async (...given) => (await fetch(...given)).json();
  const sent = await echoed(new Request("http://gateway/echo", { method: "PUT", body: form, headers: { accept: "x/y", "user-agent": "mine" } }));
  ok(sent.method === "PUT" && sent.body.includes('name="a"'), sent.body);
  ok(sent.headers.some(([name, value]) => name === "accept" && value === "x/y") && sent.headers.length === 3);
  const stream = ReadableStream.from(["one ", "two"]).pipeThrough(new TextEncoderStream());
  equal((await echoed("http://gateway/echo", { method: "POST", body: stream, duplex: "half" })).body, "one two");
  equal((await echoed(new URL("http://gateway/echo"))).method, "GET");
});

test("several run at once", async () => {
  const [a, b] = await Promise.all([fetch("http://gateway/pair"), fetch("http://gateway/pair")]);
  equal(await a.text() + await b.text(), "12");
});

test("bodies arrive in pieces and can be read as they come", async () => {
  equal(await (await fetch("http://gateway/chunks")).text(), "aéc");
  const pieces = [];
  for await (const piece of (await fetch("http://gateway/chunks")).body) pieces.push(piece.length);
  same(pieces, [2, 1, 1]);
  const response = await fetch("http://gateway/chunks"), copy = response.clone();
  equal(await response.text() + await copy.text(), "aécaéc");
  const decoded = [];
  for await (const text of (await fetch("http://gateway/chunks")).body.pipeThrough(new TextDecoderStream())) decoded.push(text);
  equal(decoded.join(""), "aéc");
  const bytes = await (await fetch("http://gateway/chunks")).arrayBuffer();
  equal(bytes.byteLength, 4);
});

test("no body where there is none", async () => {
  const none = await fetch("http://gateway/204");
  same([none.status, none.body, await none.text()], [204, null, ""]);
  const head = await fetch("http://gateway/echo", { method: "HEAD" });
  same([head.ok, head.body], [true, null]);
});

test("what fails says why", async () => {
  const refused = await rejects("TypeError", fetch("http://gateway/fail"));
  equal(refused.message, "fetch refused: not in the list");
  const cut = await fetch("http://gateway/cut");
  const lost = await rejects("TypeError", cut.text());
  equal(lost.message, "fetch failed: the connection broke");
  await rejects("TypeError", fetch("ftp://gateway/"));
  await rejects("TypeError", fetch("/relative"));
  await rejects("TypeError", fetch());
  await rejects("TypeError", fetch("http://gateway/echo", { method: "GET", body: "x" }));
});

test("abort before, during and after the head", async () => {
  await rejects("AbortError", fetch("http://gateway/never", { signal: AbortSignal.abort() }));
  const controller = new AbortController();
  const waiting = fetch("http://gateway/never", { signal: controller.signal });
  await sleep(1);
  controller.abort();
  const error = await rejects("AbortError", waiting);
  ok(error instanceof DOMException);
  await rejects("TimeoutError", fetch("http://gateway/never", { signal: AbortSignal.timeout(2) }));
  const late = new AbortController();
  const response = await fetch("http://gateway/head", { signal: late.signal });
  const text = response.text();
  late.abort("enough");
  await text.then(() => ok(false), (reason) => equal(reason, "enough"));
  const cancelled = await fetch("http://gateway/head");
  await cancelled.body.cancel();
  const { aborted } = await (await fetch("http://gateway/aborted")).json();
  equal(aborted, 4);
});

test("data URLs", async () => {
  equal(await (await fetch("data:,a%20b")).text(), "a b");
  const response = await fetch("data:application/json;base64,eyJhIjoxfQ==");
  equal(response.headers.get("content-type"), "application/json");
  same(await response.json(), { a: 1 });
  await rejects("TypeError", fetch("data:nothing"));
});
