// fetch: the request goes to the host as one message, what comes back arrives in `turn` by the call's number.
const OP_FETCH_START = 100, OP_FETCH_ABORT = 101;
const FETCH_HEAD = 1, FETCH_CHUNK = 2, FETCH_END = 3, FETCH_FAILED = 4;

const fetchFailed = (why) => new TypeError(`fetch failed: ${why}`);

function fetchRequest(state, body) {
  const headers = [...headerPairs(state.headers)];
  if (!hasHeader(state.headers, "accept")) headers.push(["accept", "*/*"]);
  if (!hasHeader(state.headers, "user-agent")) headers.push(["user-agent", USER_AGENT]);
  // The fragment is nobody's business but ours.
  const hash = state.url.indexOf("#"), url = hash < 0 ? state.url : state.url.slice(0, hash);
  const head = utf8(`${stringify({ method: state.method, url, headers, redirect: state.redirect })}\0`);
  return joinBytes([head, body], head.length + body.length);
}

function startFetch(state, body, settle) {
  const { signal } = state;
  let id, forget, incoming;
  const end = () => {
    awaited.delete(id);
    forget?.();
  };
  const fail = (error) => {
    end();
    if (incoming === undefined) settle.reject(error);
    else failIncoming(incoming, error);
  };
  const stop = () => {
    end();
    callHost(OP_FETCH_ABORT, new Uint32Array([id]));
  };
  try {
    id = new DataView(callHost(OP_FETCH_START, fetchRequest(state, body))).getUint32(0, true);
  } catch (error) {
    settle.reject(error instanceof TypeError ? error : fetchFailed(error.message));
    return;
  }
  if (signal !== undefined) {
    forget = whenAborted(signal, () => {
      stop();
      fail(signal.reason);
    });
  }
  awaited.set(id, (kind, payload) => {
    switch (kind) {
      case FETCH_HEAD:
        incoming = newIncoming(stop);
        settle.resolve(fetchResponse(state, parse(utf8Text(payload)), incoming));
        break;
      case FETCH_CHUNK:
        if (incoming !== undefined) addIncoming(incoming, payload);
        break;
      case FETCH_END:
        end();
        if (incoming !== undefined) endIncoming(incoming);
        break;
      case FETCH_FAILED:
        // The gateway's words say already whether the request was refused or failed.
        fail(new TypeError(utf8Text(payload)));
        break;
    }
  });
}

function fetchResponse(state, head, incoming) {
  const { status } = head;
  const hasBody = !NULL_BODY_STATUSES.includes(status) && state.method !== "HEAD";
  return newResponse({
    type: "basic", url: head.url, redirected: head.redirected, status, statusText: head.statusText,
    headers: newHeaders(head.headers, true),
    body: hasBody ? { bytes: undefined, stream: undefined, incoming, isUsed: false } : undefined,
  });
}

// `data:` URLs hold their answer.
function dataResponse(url) {
  const comma = url.indexOf(",");
  if (comma < 0) throw fetchFailed("a data: URL without a comma");
  let type = url.slice(5, comma).trim();
  let bytes = percentBytes(url.slice(comma + 1).split("#", 1)[0]);
  const encoded = /;\s*base64$/i.exec(type);
  if (encoded !== null) {
    type = type.slice(0, encoded.index);
    let text;
    try { text = atob(utf8Text(bytes)); } catch { throw fetchFailed("a data: URL whose base64 is broken"); }
    bytes = GlobalUint8Array.from(text, (character) => character.charCodeAt(0));
  }
  if (type === "" || type.startsWith(";")) type = `text/plain${type || ";charset=US-ASCII"}`;
  return newResponse({ type: "basic", url, headers: newHeaders([["content-type", type]], true), body: { bytes, stream: undefined, isUsed: false } });
}

expose("fetch", async function fetch(input, init) {
  needArguments(arguments.length, 1, "fetch");
  if (building) {
    throw new TypeError("fetch cannot be called at top level: that runs once, when the function is deployed; call it inside the handler");
  }
  const state = requestState(new Request(input, init));
  state.signal?.throwIfAborted();
  if (state.url.startsWith("data:")) return dataResponse(state.url);
  if (!/^https?:/.test(state.url)) throw fetchFailed(`the scheme of ${state.url} is neither http nor https`);
  const body = await readBody(state.body);
  state.signal?.throwIfAborted();
  const settle = GlobalPromise.withResolvers();
  startFetch(state, body, settle);
  return settle.promise;
});
