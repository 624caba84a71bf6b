// fetch: the request goes to the host as one message, what comes back arrives in `turn` by the call's number. Heads are lines,
// both ways, which costs a third of JSON: none of their texts has a line break in it.
const OP_FETCH_START = 100, OP_FETCH_ABORT = 101;
const FETCH_HEAD = 1, FETCH_CHUNK = 2, FETCH_END = 3, FETCH_FAILED = 4;

const fetchFailed = (why) => new TypeError(`fetch failed: ${why}`);

// Method, URL, redirect, then a name and a value for each header; a zero byte and the body, if there is one.
function fetchRequest(state, body) {
  // The fragment is nobody's business but ours.
  const hash = state.url.indexOf("#");
  let head = `${state.method}\n${hash < 0 ? state.url : state.url.slice(0, hash)}\n${state.redirect}`;
  if (state.headers !== undefined) {
    const pairs = headerPairs(state.headers);
    for (let i = 0; i < pairs.length; i++) head += `\n${pairs[i][0]}\n${pairs[i][1]}`;
  }
  if (body === undefined) return head;
  const bytes = utf8(`${head}\0`);
  return joinBytes([bytes, body], bytes.length + body.length);
}

// A call to the host until its answer has come: { id, state, settle, incoming (from its head on), forget (its abort) }.
function endCall(call) {
  awaited.delete(call.id);
  call.forget?.();
}

function failCall(call, error) {
  endCall(call);
  if (call.incoming === undefined) call.settle.reject(error);
  else failIncoming(call.incoming, error);
}

function stopCall(call) {
  endCall(call);
  callHost(OP_FETCH_ABORT, new Uint32Array([call.id]));
}

function startFetch(state, body, settle) {
  const call = { id: undefined, state, settle, incoming: undefined, forget: undefined, arrived };
  try {
    call.id = new DataView(callHost(OP_FETCH_START, fetchRequest(state, body))).getUint32(0, true);
  } catch (error) {
    settle.reject(error instanceof TypeError ? error : fetchFailed(error.message));
    return;
  }
  const { signal } = state;
  if (signal !== undefined) {
    call.forget = whenAborted(signal, () => {
      stopCall(call);
      failCall(call, signal.reason);
    });
  }
  awaited.set(call.id, call);
}

function arrived(call, kind, payload) {
  const { incoming } = call;
  switch (kind) {
    case FETCH_HEAD:
      call.incoming = newIncoming(() => stopCall(call));
      call.settle.resolve(fetchResponse(call.state, utf8Text(payload).split("\n"), call.incoming));
      break;
    case FETCH_CHUNK:
      if (incoming !== undefined) addIncoming(incoming, payload);
      break;
    case FETCH_END:
      endCall(call);
      if (incoming !== undefined) endIncoming(incoming);
      break;
    case FETCH_FAILED:
      // The gateway's words say already whether the request was refused or failed.
      failCall(call, new TypeError(utf8Text(payload)));
      break;
  }
}

// `lines`: status, its text, URL, whether it was redirected, then a name and a value for each header.
function fetchResponse(state, lines, incoming) {
  const status = +lines[0];
  const hasBody = state.method !== "HEAD" && !NULL_BODY_STATUSES.includes(status);
  return answerResponse({
    __proto__: RESPONSE_USUAL, type: "basic", url: lines[2], status, statusText: lines[1], redirected: lines[3] === "true", lines,
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

function beginFetch(input, init, settle) {
  if (building) {
    throw new TypeError("fetch cannot be called at top level: that runs once, when the function is deployed; call it inside the handler");
  }
  const state = newRequestState(input, init), { url, signal } = state;
  signal?.throwIfAborted();
  if (!url.startsWith("http:") && !url.startsWith("https:")) {
    if (!url.startsWith("data:")) throw fetchFailed(`the scheme of ${url} is neither http nor https`);
    settle.resolve(dataResponse(url));
  } else if (state.body === undefined) {
    startFetch(state, undefined, settle);
  } else {
    sendBody(state, settle);
  }
}

async function sendBody(state, settle) {
  try {
    const body = await readBody(state.body);
    state.signal?.throwIfAborted();
    startFetch(state, body, settle);
  } catch (error) {
    settle.reject(error);
  }
}

// No async function, for its promise would be a second one; a method, for nobody constructs it.
expose("fetch", {
  fetch(input, init) {
    const settle = GlobalPromise.withResolvers();
    try {
      needArguments(arguments.length, 1, "fetch");
      beginFetch(input, init, settle);
    } catch (error) {
      settle.reject(error);
    }
    return settle.promise;
  },
}.fetch);
