// URL. The host parses and sets; what it answers is the serialization, which is ASCII and plain to take apart.
const OP_URL_PARSE = 1, OP_URL_SET = 2;
// Schemes whose URLs have an origin.
const ORIGIN_SCHEMES = ["http:", "https:", "ws:", "wss:", "ftp:"];

// The serialization, or "" if it is not a URL.
function parseHref(input, base) {
  let from = "";
  if (base !== undefined) {
    from = scalarText(base);
    // A URL has no zero byte, which stands between the two; what is no URL may have one.
    if (from === "" || from.includes("\0")) from = parseHref(from);
    if (from === "") return "";
  }
  try { return host.ask(OP_URL_PARSE, `${from}\0${input}`); } catch { return ""; }
}

// Where the parts of a serialization begin and end.
function partsOf(href) {
  const scheme = href.indexOf(":") + 1;
  let hash = href.indexOf("#");
  if (hash < 0) hash = href.length;
  let query = href.indexOf("?");
  if (query < 0 || query > hash) query = hash;
  const hasHost = href.startsWith("//", scheme);
  let path = scheme, user = scheme, hostAt = scheme, port = scheme;
  if (hasHost) {
    user = scheme + 2;
    path = href.indexOf("/", user);
    if (path < 0 || path > query) path = query;
    const at = href.lastIndexOf("@", path);
    hostAt = at >= user ? at + 1 : user;
    port = href.lastIndexOf(":", path);
    if (port < hostAt || href.indexOf("]", port) >= 0 && href.indexOf("]", port) < path) port = path;
  }
  return { scheme, user, hostAt, port, path, query, hash };
}

class URL {
  #text;
  #parts = undefined;
  #search = undefined;
  // Whether the parameters have changed since, which goes into the text when somebody looks.
  #isStale = false;
  constructor(input, base = undefined) {
    needArguments(arguments.length, 1, "URL");
    const text = scalarText(input);
    this.#text = parseHref(text, base);
    if (this.#text === "") {
      const error = new TypeError("Invalid URL");
      Object.assign(error, base === undefined ? { code: "ERR_INVALID_URL", input: text } : { code: "ERR_INVALID_URL", input: text, base: `${base}` });
      throw error;
    }
  }
  static canParse(input, base = undefined) {
    needArguments(arguments.length, 1, "URL.canParse");
    return parseHref(scalarText(input), base) !== "";
  }
  static parse(input, base = undefined) {
    needArguments(arguments.length, 1, "URL.parse");
    try { return new URL(input, base); } catch { return null; }
  }
  get #href() {
    if (this.#isStale) {
      this.#isStale = false;
      this.#set("search", formSerialize(searchPairs(this.#search)));
    }
    return this.#text;
  }
  #take(href) {
    this.#text = href;
    this.#parts = undefined;
    this.#isStale = false;
  }
  #set(name, value) {
    const text = scalarText(value);
    try { this.#take(host.ask(OP_URL_SET, `${name}\0${this.#href}\0${text}`)); } catch {}
  }
  #cut(from, to) {
    const href = this.#href, parts = (this.#parts ??= partsOf(href));
    return href.slice(parts[from], to === undefined ? undefined : parts[to]);
  }
  get href() { return this.#href; }
  set href(value) {
    const href = parseHref(scalarText(value));
    if (href === "") throw new TypeError("Invalid URL");
    this.#take(href);
    this.#refresh();
  }
  get origin() {
    const { protocol } = this;
    if (ORIGIN_SCHEMES.includes(protocol)) return `${protocol}//${this.host}`;
    if (protocol !== "blob:") return "null";
    const inner = URL.parse(this.pathname);
    return inner !== null && (inner.protocol === "http:" || inner.protocol === "https:") ? inner.origin : "null";
  }
  get protocol() {
    const href = this.#href;
    return href.slice(0, (this.#parts ??= partsOf(href)).scheme);
  }
  set protocol(value) { this.#set("protocol", value); }
  get username() {
    const text = this.#credentials();
    const at = text.indexOf(":");
    return at < 0 ? text : text.slice(0, at);
  }
  set username(value) { this.#set("username", value); }
  get password() {
    const text = this.#credentials();
    const at = text.indexOf(":");
    return at < 0 ? "" : text.slice(at + 1);
  }
  set password(value) { this.#set("password", value); }
  #credentials() {
    const text = this.#cut("user", "hostAt");
    return text.endsWith("@") ? text.slice(0, -1) : "";
  }
  get host() { return this.#cut("hostAt", "path"); }
  set host(value) { this.#set("host", value); }
  get hostname() { return this.#cut("hostAt", "port"); }
  set hostname(value) { this.#set("hostname", value); }
  get port() { return this.#cut("port", "path").slice(1); }
  set port(value) { this.#set("port", value); }
  get pathname() {
    const path = this.#cut("path", "query");
    // `/.` stands before a path that would read as a host, and is not part of it.
    return path.startsWith("/.//") && !this.#text.startsWith("//", this.#parts.scheme) ? path.slice(2) : path;
  }
  set pathname(value) { this.#set("pathname", value); }
  get search() {
    const search = this.#cut("query", "hash");
    return search === "?" ? "" : search;
  }
  set search(value) {
    this.#set("search", value);
    this.#refresh();
  }
  get searchParams() {
    return (this.#search ??= searchOf(this.search.slice(1), () => { this.#isStale = true; }));
  }
  #refresh() { if (this.#search !== undefined) refreshSearch(this.#search, this.search.slice(1)); }
  get hash() {
    const hash = this.#cut("hash");
    return hash === "#" ? "" : hash;
  }
  set hash(value) { this.#set("hash", value); }
  toString() { return this.#href; }
  toJSON() { return this.#href; }
}
exposeClass(URL);
