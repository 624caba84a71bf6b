// Request and Response.
const METHODS = ["DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"];
const REQUEST_FIELDS = {
  mode: ["cors", "navigate", "no-cors", "same-origin"],
  credentials: ["same-origin", "omit", "include"],
  cache: ["default", "no-store", "reload", "no-cache", "force-cache", "only-if-cached"],
  redirect: ["follow", "error", "manual"],
  referrerPolicy: ["", "no-referrer", "no-referrer-when-downgrade", "same-origin", "origin", "strict-origin", "origin-when-cross-origin", "strict-origin-when-cross-origin", "unsafe-url"],
};

function methodName(value) {
  const name = byteText(value, "the method");
  if (!HEADER_NAME.test(name)) throw new TypeError(`'${name}' is not a method`);
  const upper = name.toUpperCase();
  if (["CONNECT", "TRACE", "TRACK"].includes(upper)) throw new TypeError(`the method ${upper} is not allowed`);
  return METHODS.includes(upper) ? upper : name;
}

// What a state says unless it says otherwise: fewer members of its own make it quicker.
const REQUEST_USUAL = {
  __proto__: null, method: "GET", body: undefined, headers: undefined, lines: undefined, signal: undefined, integrity: "", keepalive: false,
  referrer: "about:client", mode: "cors", credentials: "same-origin", cache: "default", redirect: "follow", referrerPolicy: "",
};
const RESPONSE_USUAL = { __proto__: null, type: "default", url: "", status: 200, statusText: "", redirected: false, body: undefined, headers: undefined, lines: undefined };

// The headers of a state, made when somebody asks for them, which most code never does.
const headersOf = (state) => (state.headers ??= state.lines === undefined ? new Headers() : answerHeaders(state.lines));

function requestUrl(input) {
  const url = parseHref(scalarText(input));
  if (url === "") throw new TypeError(`Request: '${input}' is not an absolute URL`);
  if (url.includes("@")) {
    const { user, hostAt } = partsOf(url);
    if (user !== hostAt) throw new TypeError("Request: a URL with credentials is not allowed; use the authorization header");
  }
  return url;
}

function applyInit(state, from, init) {
  const given = dictionary(init, "the request's options");
  if (init !== undefined) for (const field of ownKeys(REQUEST_FIELDS)) if (given[field] !== undefined) state[field] = oneOf(given[field], REQUEST_FIELDS[field], `Request: ${field}`);
  if (given.mode !== undefined && state.mode === "navigate") throw new TypeError("Request: the mode is not allowed");
  if (given.method !== undefined) state.method = methodName(given.method);
  if (given.integrity !== undefined) state.integrity = `${given.integrity}`;
  if (given.keepalive !== undefined) state.keepalive = !!given.keepalive;
  if (given.signal !== undefined) {
    if (given.signal !== null && !(given.signal instanceof AbortSignal)) throw new TypeError("Request: the signal is not an AbortSignal");
    state.signal = given.signal ?? undefined;
  }
  if (given.headers !== undefined) state.headers = new Headers(given.headers);
  const hasBody = (given.body !== undefined && given.body !== null) || from?.body !== undefined;
  if (hasBody && (state.method === "GET" || state.method === "HEAD")) throw new TypeError(`a request with the method ${state.method} cannot have a body`);
  if (given.body !== undefined && given.body !== null) {
    const { body, type } = extractBody(given.body);
    state.body = body;
    if (type !== undefined) typeHeaders(headersOf(state), type);
  } else if (from?.body !== undefined) {
    // The other request has none any more.
    needUsable(from.body);
    state.body = { ...from.body };
    from.body = { bytes: from.body.bytes ?? new GlobalUint8Array(0), stream: undefined, isUsed: true };
  }
}

let requestState, newRequestState;
class Request {
  #state;
  // Made when asked for; `#state.signal` is the caller's.
  #signal = undefined;
  static {
    requestState = (request) => request.#state;
    // What a request is of that is asked for with these.
    newRequestState = (input, init) => {
      const from = typeof input === "object" && input !== null && #state in input ? input.#state : undefined;
      const state = { __proto__: REQUEST_USUAL, url: from === undefined ? requestUrl(input) : from.url };
      if (from !== undefined) {
        Object.assign(state, from, { signal: input.signal, body: undefined });
        state.headers = from.headers === undefined ? undefined : newHeaders(headerPairs(from.headers), false);
      }
      if (init !== undefined || from !== undefined) applyInit(state, from, init);
      return state;
    };
  }
  constructor(input, init) {
    needArguments(arguments.length, 1, "Request");
    this.#state = newRequestState(input, init);
  }
  get method() { return this.#state.method; }
  get url() { return this.#state.url; }
  get headers() { return headersOf(this.#state); }
  get destination() { return this.#state && ""; }
  get referrer() { return this.#state.referrer; }
  get referrerPolicy() { return this.#state.referrerPolicy; }
  get mode() { return this.#state.mode; }
  get credentials() { return this.#state.credentials; }
  get cache() { return this.#state.cache; }
  get redirect() { return this.#state.redirect; }
  get integrity() { return this.#state.integrity; }
  get keepalive() { return this.#state.keepalive; }
  get duplex() { return this.#state && "half"; }
  get signal() {
    const { signal } = this.#state;
    return (this.#signal ??= signal === undefined ? newSignal() : AbortSignal.any([signal]));
  }
  clone() {
    const { body } = this.#state;
    needUsable(body);
    const copy = new Request(this.#state.url, { method: this.#state.method, headers: this.#state.headers, signal: this.signal });
    copy.#state = { __proto__: REQUEST_USUAL, ...this.#state, signal: this.signal, headers: copy.#state.headers, body: cloneBody(body) };
    return copy;
  }
}
bodyMembers(Request, (request) => requestState(request).body, (request) => request.headers.get("content-type") ?? "");
exposeClass(Request);

const NULL_BODY_STATUSES = [101, 103, 204, 205, 304];

function responseStatus(value) {
  const status = mathTrunc(+value) & 0xffff;
  if (!(status >= 200 && status <= 599)) throw new RangeError(`the status ${value} is not between 200 and 599`);
  return status;
}

// The first takes a state, the second what it says.
let answerResponse, newResponse, responseState;
class Response {
  #state;
  // What the next one is made of, if it is one of ours.
  static #made = undefined;
  static {
    responseState = (response) => response.#state;
    answerResponse = (state) => {
      Response.#made = state;
      return new Response();
    };
    newResponse = (state) => answerResponse({ __proto__: RESPONSE_USUAL, ...state });
  }
  constructor(body = null, init) {
    const made = Response.#made;
    Response.#made = undefined;
    if (made !== undefined) {
      this.#state = made;
      return;
    }
    const { status = 200, statusText = "", headers } = dictionary(init, "the response's options");
    const state = { __proto__: RESPONSE_USUAL, status: responseStatus(status), statusText: statusText === "" ? "" : byteText(statusText, "the status text") };
    if (headers !== undefined) state.headers = new Headers(headers);
    if (state.statusText !== "" && /[^\t\x20-\x7e\x80-\xff]/.test(state.statusText)) throw new TypeError("the status text has a control character");
    if (body !== null && body !== undefined) {
      if (NULL_BODY_STATUSES.includes(state.status)) throw new TypeError(`a response with the status ${state.status} cannot have a body`);
      const { body: taken, type } = extractBody(body);
      state.body = taken;
      if (type !== undefined) typeHeaders(headersOf(state), type);
    }
    this.#state = state;
  }
  static error() { return newResponse({ type: "error", status: 0, headers: newHeaders([], true) }); }
  static redirect(url, status = 302) {
    needArguments(arguments.length, 1, "Response.redirect");
    const parsed = URL.parse(url);
    if (parsed === null) throw new TypeError(`Response.redirect: '${url}' is not an absolute URL`);
    if (![301, 302, 303, 307, 308].includes(+status)) throw new RangeError(`Response.redirect: ${status} is not a redirect's status`);
    return newResponse({ status: +status, headers: newHeaders([["location", parsed.href]], true) });
  }
  static json(data, init) {
    needArguments(arguments.length, 1, "Response.json");
    const text = stringify(data);
    if (text === undefined) throw new TypeError("Response.json: the value has no JSON");
    const response = new Response(text, init);
    if (new Headers(init?.headers).get("content-type") === null) response.headers.set("content-type", "application/json");
    return response;
  }
  get type() { return this.#state.type; }
  get url() { return this.#state.url; }
  get redirected() { return this.#state.redirected; }
  get status() { return this.#state.status; }
  get ok() { return this.#state.status >= 200 && this.#state.status <= 299; }
  get statusText() { return this.#state.statusText; }
  get headers() { return headersOf(this.#state); }
  clone() {
    const state = this.#state;
    const body = cloneBody(state.body);
    return newResponse({ ...state, body, headers: newHeaders(headerPairs(headersOf(state)), state.type === "error") });
  }
}
bodyMembers(Response, (response) => responseState(response).body, (response) => response.headers.get("content-type") ?? "");
exposeClass(Response);
