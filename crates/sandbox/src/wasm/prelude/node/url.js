// `node:url`: the web's URL, and Node's older parse, format and resolve, which keep what they do not understand.
{
  const SLASHED = /^(?:https?|ftp|gopher|file|wss?):?$/i;
  const FIELDS = ["protocol", "slashes", "auth", "host", "port", "hostname", "hash", "search", "query", "pathname", "path", "href"];
  // What Node's parser escapes on its own.
  const ESCAPED = /[\t\n\r "'<>\\^`{|}]/g;
  const escapeChar = (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;

  function Url() {
    for (const field of FIELDS) this[field] = null;
  }

  function parse(text, parseQuery, slashesDenoteHost) {
    if (text instanceof Url) return text;
    const url = new Url();
    url.parse(text, parseQuery, slashesDenoteHost);
    return url;
  }

  Url.prototype.parse = function (text, parseQuery, slashesDenoteHost) {
    node.needString("url", text);
    let rest = text.trim();
    // Backslashes before the query are slashes.
    const question = rest.search(/[?#]/);
    rest = question < 0 ? rest.replace(/\\/g, "/") : rest.slice(0, question).replace(/\\/g, "/") + rest.slice(question);
    const scheme = /^[a-z0-9.+-]+:/i.exec(rest);
    if (scheme !== null) {
      this.protocol = scheme[0].toLowerCase();
      rest = rest.slice(scheme[0].length);
    }
    const isScript = this.protocol === "javascript:";
    const slashes = rest.startsWith("//") && !isScript && (slashesDenoteHost || scheme !== null || /^\/\/[^@/]+@[^@/]+/.test(rest));
    if (slashes) {
      rest = rest.slice(2);
      this.slashes = true;
    }
    // After a scheme that is not the web's, an authority needs no slashes: `mailto:a@b.c` has a host.
    if (slashes || (scheme !== null && !isScript && !SLASHED.test(this.protocol))) {
      const end = rest.search(/[/?#]/);
      let authority = end < 0 ? rest : rest.slice(0, end);
      rest = end < 0 ? "" : rest.slice(end);
      const at = authority.lastIndexOf("@");
      if (at >= 0) {
        this.auth = decodeURIComponent(authority.slice(0, at));
        authority = authority.slice(at + 1);
      }
      const port = /:([0-9]*)$/.exec(authority);
      if (port !== null) {
        if (port[1] !== "") this.port = port[1];
        authority = authority.slice(0, port.index);
      }
      let hostname = authority.toLowerCase();
      const isV6 = hostname.startsWith("[") && hostname.endsWith("]");
      if (!isV6) {
        if (/[^\x00-\x7f]/.test(hostname)) hostname = domainToASCII(hostname) || hostname;
        const bad = hostname.search(/[\t\n\r "#%/:;<>?@[\]\\^`{|}]/);
        if (bad >= 0) {
          if (/[\t\n\r <>^|:@[\]]/.test(hostname[bad])) throw Object.assign(node.error(TypeError, "ERR_INVALID_URL", "Invalid URL"), { input: text });
          rest = `${rest.startsWith("/") || hostname[bad] === "/" ? "" : "/"}${hostname.slice(bad)}${rest}`;
          hostname = hostname.slice(0, bad);
        }
      }
      this.host = hostname + (this.port === null ? "" : `:${this.port}`);
      this.hostname = isV6 ? hostname.slice(1, -1) : hostname;
    }
    if (!isScript) rest = rest.replace(ESCAPED, escapeChar);
    const hash = rest.indexOf("#");
    if (hash >= 0) {
      this.hash = rest.slice(hash);
      rest = rest.slice(0, hash);
    }
    const query = rest.indexOf("?");
    if (query >= 0) {
      this.search = rest.slice(query);
      this.query = rest.slice(query + 1);
      rest = rest.slice(0, query);
    } else if (parseQuery) {
      this.search = null;
      this.query = {};
    }
    if (parseQuery) this.query = builtins.querystring().parse(query >= 0 ? this.query : "");
    if (rest !== "") this.pathname = rest;
    if (this.slashes && SLASHED.test(this.protocol ?? "") && this.hostname && this.pathname === null) this.pathname = "/";
    if (this.pathname !== null || this.search !== null) this.path = (this.pathname ?? "") + (this.search ?? "");
    this.href = this.format();
    return this;
  };

  Url.prototype.format = function () {
    let auth = this.auth || "";
    if (auth !== "") auth = `${encodeURIComponent(auth).replace(/%3A/i, ":")}@`;
    let protocol = this.protocol || "", pathname = this.pathname || "", hash = this.hash || "", host = "";
    if (this.host) host = auth + this.host;
    else if (this.hostname) {
      host = auth + (this.hostname.includes(":") && !this.hostname.startsWith("[") ? `[${this.hostname}]` : this.hostname);
      if (this.port) host += `:${this.port}`;
    }
    const query = this.query !== null && typeof this.query === "object" ? builtins.querystring().stringify(this.query) : "";
    let search = this.search || (query && `?${query}`) || "";
    if (protocol !== "" && !protocol.endsWith(":")) protocol += ":";
    pathname = pathname.replace(/[?#]/g, escapeChar);
    search = search.replace(/#/g, "%23");
    if (this.slashes || (SLASHED.test(protocol) && host !== "")) {
      host = `//${host}`;
      if (pathname !== "" && !pathname.startsWith("/")) pathname = `/${pathname}`;
    }
    if (hash !== "" && !hash.startsWith("#")) hash = `#${hash}`;
    if (search !== "" && !search.startsWith("?")) search = `?${search}`;
    return protocol + host + pathname + search + hash;
  };

  Url.prototype.resolve = function (relative) {
    return this.resolveObject(parse(relative, false, true)).format();
  };

  // RFC 3986's merging of a reference with its base, as far as Node's parser sees parts.
  Url.prototype.resolveObject = function (relative) {
    if (typeof relative === "string") relative = parse(relative, false, true);
    const result = Object.assign(new Url(), this);
    result.hash = relative.hash;
    if (relative.href === "") return refreshed(result);
    if (relative.slashes && relative.protocol === null) {
      for (const field of FIELDS) if (field !== "protocol") result[field] = relative[field];
      if (SLASHED.test(result.protocol ?? "") && result.hostname && !result.pathname) result.pathname = "/";
      return refreshed(result);
    }
    if (relative.protocol !== null && relative.protocol !== result.protocol) return refreshed(Object.assign(new Url(), relative));
    if (relative.protocol !== null && relative.slashes) return refreshed(Object.assign(new Url(), relative, { pathname: merge(relative.pathname, "", "") }));
    const path = relative.pathname ?? "";
    if (path === "" ) {
      if (relative.search !== null) [result.search, result.query] = [relative.search, relative.query];
    } else {
      [result.search, result.query] = [relative.search, relative.query];
      const base = result.pathname ?? "";
      result.pathname = merge(path, base, result.host);
    }
    return refreshed(result);
  };
  function merge(path, base, host) {
    if (path === null || path === undefined) return path;
    const joined = path.startsWith("/") ? path : base.slice(0, base.lastIndexOf("/") + 1) + path;
    const rooted = joined.startsWith("/") || Boolean(host);
    const kept = [];
    const parts = joined.split("/");
    let above = 0;
    parts.forEach((part, i) => {
      const last = i === parts.length - 1;
      if (part === "." || part === "..") {
        if (part === "..") {
          if (kept.length > (kept[0] === "" ? 1 : 0)) kept.pop();
          else above++;
        }
        if (last) kept.push("");
      } else kept.push(part);
    });
    if (!rooted) for (; above > 0; above--) kept.unshift("..");
    if (rooted && kept[0] !== "") kept.unshift("");
    const text = kept.join("/");
    return text === "" && rooted ? "/" : text;
  }
  function refreshed(url) {
    url.path = url.pathname !== null || url.search !== null ? (url.pathname ?? "") + (url.search ?? "") : null;
    url.href = url.format();
    return url;
  }

  function format(url, options) {
    if (typeof url === "string") return parse(url).format();
    if (typeof url !== "object" || url === null) throw node.wrongType("urlObject", "one of type object or string", url);
    if (typeof URL === "function" && url instanceof URL) {
      const { auth = true, fragment = true, search = true, unicode = false } = options ?? {};
      const copy = new URL(url.href);
      if (!auth) copy.username = copy.password = "";
      if (!fragment) copy.hash = "";
      if (!search) copy.search = "";
      return unicode ? copy.href.replace(copy.hostname, domainToUnicode(copy.hostname)) : copy.href;
    }
    return Url.prototype.format.call(url);
  }

  const hostOf = (domain) => {
    try {
      return new URL(`ws://${domain}`).hostname;
    } catch {
      return "";
    }
  };
  const domainToASCII = (domain) => hostOf(`${domain}`);
  const domainToUnicode = (domain) => hostOf(`${domain}`).split(".").map((label) => (label.startsWith("xn--") ? fromPunycode(label.slice(4)) : label)).join(".");

  // RFC 3492.
  function fromPunycode(label) {
    const points = [], at = label.lastIndexOf("-");
    for (let i = 0; i < at; i++) points.push(label.charCodeAt(i));
    let n = 128, place = 0, bias = 72;
    for (let i = at > 0 ? at + 1 : 0; i < label.length;) {
      const before = place;
      for (let weight = 1, k = 36; ; k += 36) {
        const code = label.charCodeAt(i++);
        const digit = code < 58 ? code - 22 : (code | 32) - 97;
        place += digit * weight;
        const least = k <= bias ? 1 : k >= bias + 26 ? 26 : k - bias;
        if (digit < least) break;
        weight *= 36 - least;
      }
      const count = points.length + 1;
      let delta = before === 0 ? Math.floor((place - before) / 700) : (place - before) >> 1;
      delta += Math.floor(delta / count);
      let k = 0;
      for (; delta > 455; k += 36) delta = Math.floor(delta / 35);
      bias = k + Math.floor((36 * delta) / (delta + 38));
      n += Math.floor(place / count);
      place %= count;
      points.splice(place++, 0, n);
    }
    return String.fromCodePoint(...points);
  }

  function fileURLToPath(url) {
    const from = typeof url === "string" ? new URL(url) : url;
    if (from?.protocol !== "file:") throw node.error(TypeError, "ERR_INVALID_URL_SCHEME", "The URL must be of scheme file");
    if (from.hostname !== "") throw node.error(TypeError, "ERR_INVALID_FILE_URL_HOST", 'File URL host must be "localhost" or empty on linux');
    if (/%2f/i.test(from.pathname)) throw node.error(TypeError, "ERR_INVALID_FILE_URL_PATH", "File URL path must not include encoded / characters");
    return decodeURIComponent(from.pathname);
  }

  function pathToFileURL(path) {
    node.needString("path", path);
    let full = builtins.path().resolve(path);
    if (path.endsWith("/") && !full.endsWith("/")) full += "/";
    const url = new URL("file:///");
    url.pathname = full.replace(/[%\\\n\r\t?#]/g, escapeChar);
    return url;
  }

  function urlToHttpOptions(url) {
    const { protocol, hash, search, pathname, href } = url;
    const options = { protocol, hostname: url.hostname.replace(/^\[(.*)\]$/, "$1"), hash, search, pathname, path: pathname + search, href };
    if (url.port !== "") options.port = Number(url.port);
    if (url.username || url.password) options.auth = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
    return options;
  }

  const exports = {
    Url, URL, URLSearchParams, parse, resolve: (from, to) => parse(from, false, true).resolve(to),
    resolveObject: (from, to) => (from ? parse(from, false, true).resolveObject(to) : to),
    format, domainToASCII, domainToUnicode, fileURLToPath, pathToFileURL, urlToHttpOptions,
  };
  builtins.url = () => exports;
}
