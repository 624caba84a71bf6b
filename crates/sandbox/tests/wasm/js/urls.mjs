import { test, equal, same, ok, throws, run as handler } from "./check.mjs";
export { handler };

test("parts, and what is refused", () => {
  const url = new URL("https://user:p%40ss@EXAMPLE.org:8443/a/../b?q=1&r=2#frag");
  same([url.href, url.origin, url.protocol, url.username, url.password, url.host, url.hostname, url.port, url.pathname, url.search, url.hash], [
    "https://user:p%40ss@example.org:8443/b?q=1&r=2#frag", "https://example.org:8443", "https:", "user", "p%40ss", "example.org:8443", "example.org", "8443", "/b", "?q=1&r=2", "#frag",
  ]);
  equal(JSON.stringify({ url }), '{"url":"https://user:p%40ss@example.org:8443/b?q=1&r=2#frag"}');
  equal(String(new URL("x", "http://a/b/c")), "http://a/b/x");
});

test("international names, addresses, the base", () => {
  equal(new URL("http://münchen.de/ä?ö#ü").href, "http://xn--mnchen-3ya.de/%C3%A4?%C3%B6#%C3%BC");
  equal(new URL("http://0x7f.1/").hostname, "127.0.0.1");
  equal(new URL("http://[::1]:80/").host, "[::1]");
  equal(new URL("?x", new URL("http://a/b?c")).href, "http://a/b?x");
  equal(new URL("http://a/\ud800").pathname, "/%EF%BF%BD");
  for (const given of [["//a"], ["http://a b/"], ["x", ""], ["x", "about:blank"], ["http://%zz/"], ["http://a:70000/"]]) {
    const error = throws("TypeError", () => new URL(...given), given.join());
    equal(error.code, "ERR_INVALID_URL");
    equal(URL.canParse(...given), false);
    equal(URL.parse(...given), null);
  }
  throws("TypeError", () => new URL());
  throws("TypeError", () => URL("http://a"));
  throws("TypeError", () => new URL(Symbol("x")));
  throws("TypeError", () => Object.getOwnPropertyDescriptor(URL.prototype, "href").get.call({}));
});

test("setters", () => {
  const url = new URL("http://a.example/x");
  Object.assign(url, { protocol: "https", host: "b.example:444", pathname: "y z", search: "q=ä", hash: "h", username: "u@", password: "p:" });
  equal(url.href, "https://u%40:p%3A@b.example:444/y%20z?q=%C3%A4#h");
  url.port = "443";
  equal(url.port, "");
  url.port = "nonsense";
  url.protocol = "mailto";
  equal(url.origin, "https://b.example");
  throws("TypeError", () => { url.href = "nonsense"; });
  url.href = "http://c/";
  equal(url.href, "http://c/");
  url.search = "";
  url.hash = "";
  equal(url.href, "http://c/");
});

test("searchParams and the URL stay one", () => {
  const url = new URL("http://a/?x=1&x=2#h"), { searchParams } = url;
  ok(url.searchParams === searchParams);
  searchParams.append("y", "a b&c");
  equal(url.href, "http://a/?x=1&x=2&y=a+b%26c#h");
  searchParams.delete("x", "1");
  equal(url.search, "?x=2&y=a+b%26c");
  url.search = "?z=%20";
  same([...searchParams], [["z", " "]]);
  searchParams.delete("z");
  equal(url.href, "http://a/#h");
  url.href = "http://b/?k=v";
  equal(searchParams.get("k"), "v");
  equal(new URL("http://a/??q=1").searchParams.toString(), "%3Fq=1");
});

test("a URL takes its changed parameters in when somebody looks", () => {
  const url = new URL("http://a/p?x=1#h"), { searchParams } = url;
  const looks = { href: "http://b/?x=2#h", search: "?x=2", hash: "#h", protocol: "http:", pathname: "/", host: "b", origin: "http://b" };
  for (const [part, expected] of Object.entries(looks)) {
    url.href = "http://b/?x=1#h";
    searchParams.set("x", "2");
    equal(url[part], expected, part);
    equal(JSON.stringify(url), '"http://b/?x=2#h"', part);
  }
  searchParams.append("y", "3");
  url.hash = "z";
  equal(url.href, "http://b/?x=2&y=3#z");
  searchParams.append("lost", "1");
  url.search = "?kept";
  equal(url.href, "http://b/?kept#z");
  searchParams.append("lost", "1");
  url.href = "http://c/";
  same([url.href, searchParams.size], ["http://c/", 0]);
  for (let i = 0; i < 2000; i++) searchParams.append(`key${i}`, "v");
  equal(url.search.length, 18890);
});

test("URLSearchParams is made of text, pairs, records and itself", () => {
  equal(new URLSearchParams("?a=1&b=%zz&c=%E4&d=a+b&&e&=f").toString(), "a=1&b=%25zz&c=%EF%BF%BD&d=a+b&e=&=f");
  equal(new URLSearchParams([["a", 1], new Set(["b", "2"])]).toString(), "a=1&b=2");
  equal(new URLSearchParams({ a: 1, b: "ü&=" }).toString(), "a=1&b=%C3%BC%26%3D");
  equal(new URLSearchParams(new URLSearchParams("x=y")).get("x"), "y");
  equal(new URLSearchParams(new Map([["k", "v"]])).toString(), "k=v");
  equal(new URLSearchParams("a=~!'()*-._").toString(), "a=%7E%21%27%28%29*-._");
  equal(new URLSearchParams("a=\ud800").get("a"), "\ufffd");
  throws("TypeError", () => new URLSearchParams([["a"]]));
  throws("TypeError", () => new URLSearchParams([1]));
});

test("URLSearchParams' methods", () => {
  const search = new URLSearchParams("b=2&a=1&b=3");
  same([search.get("b"), search.getAll("b"), search.get("none"), search.has("a"), search.has("a", "2"), search.size], ["2", ["2", "3"], null, true, false, 3]);
  search.set("b", "4");
  equal(`${search}`, "b=4&a=1");
  search.sort();
  equal(`${search}`, "a=1&b=4");
  same([[...search.keys()], [...search.values()], [...search.entries()], Object.fromEntries(search)], [["a", "b"], ["1", "4"], [["a", "1"], ["b", "4"]], { a: "1", b: "4" }]);
  const seen = [];
  search.forEach(function (value, name, all) { seen.push(value, name, all === search, this.x); }, { x: 9 });
  same(seen, ["1", "a", true, 9, "4", "b", true, 9]);
  equal(Object.prototype.toString.call(search.entries()), "[object URLSearchParams Iterator]");
  throws("TypeError", () => search.get());
  throws("TypeError", () => search.append("x"));
  throws("TypeError", () => search.forEach(1));
  throws("TypeError", () => URLSearchParams.prototype.get.call({}, "x"));
});

test("classes look as Web IDL has them", () => {
  equal(Object.prototype.toString.call(new URL("http://a")), "[object URL]");
  ok(Object.keys(URL.prototype).includes("href") && Object.keys(URL.prototype).includes("toJSON"));
  ok(!Object.keys(globalThis).includes("URL"));
  equal(URL.name, "URL");
  equal(URL.length, 1);
  equal(Object.getOwnPropertyDescriptor(globalThis, "URL").enumerable, false);
  equal(typeof URL.createObjectURL, "undefined");
});
