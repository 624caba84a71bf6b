// What the C side calls: `build` once at deploy time, `attempt` once in every fresh environment; `due` and `turn` (see
// web/timers.js) while one of them waits; `unhandled` when nobody listens to a rejection; `done` at a call's end.
let handler, env, secretRead;

globalThis.global = globalThis;
defineProperty(globalThis, "global", { enumerable: false });

// { layers, wrappers, environment, secret_names, handler: [key, export] } → nothing, with the handler found and its module evaluated.
async function build(request) {
  for (let i = 0; i < request.layers.length; i++) layers[request.layers[i]] = true;
  env = request.environment;
  for (let i = 0; i < request.secret_names.length; i++) withhold(request.secret_names[i]);
  node.process.env = env;

  const loaded = await loadWrappers(request.wrappers);

  const [key, name] = request.handler;
  const namespace = await evaluate(key);
  let found = namespace;
  const parts = cut(name, ".");
  for (let i = 0; i < parts.length; i++) found = found?.[parts[i]];
  if (found === undefined) {
    throw failure("Runtime.HandlerNotFound", `${key} does not export '${name}'; it exports ${namesOf(namespace)}`, `at ${key}:1:1`);
  }
  if (typeof found !== "function") {
    throw failure("Runtime.HandlerNotFound", `'${name}' of ${key} is not a function`, `at ${key}:1:1`);
  }
  handler = wrapHandler(loaded, found);
  bringInLate();
  return "null";
}

// When no job is left behind a result: throws what nobody could catch.
function done(isBuild) {
  // Also where the code caught it.
  if (isBuild && secretRead !== undefined) throw secretRead;
  if (uncaught !== undefined) throw uncaught.error;
  if (isBuild) {
    building = false;
    builtUs = host.micros();
  }
}

// A variable that only attempts have: what the package reads now would be frozen into the image. `attempt` replaces it.
function withhold(name) {
  const get = () => {
    const error = failure("Sublet.SecretAtTopLevel", `reads the secret variable ${name} at top level: it would be frozen into the image; read it in the handler`);
    secretRead ??= error;
    throw error;
  };
  defineProperty(env, name, { get, enumerable: true, configurable: true });
}

function namesOf(namespace) {
  const names = typeof namespace === "object" && namespace !== null ? ownKeys(namespace) : [];
  let text = "";
  for (let i = 0; i < names.length; i++) if (typeof names[i] === "string") text += `${text && ", "}'${names[i]}'`;
  return text || "nothing";
}

// `added`: variables for this attempt alone, or undefined.
async function attempt(event, context, added) {
  if (added !== undefined) {
    const names = ownKeys(added);
    for (let i = 0; i < names.length; i++) {
      defineProperty(env, names[i], { value: added[names[i]], enumerable: true, writable: true, configurable: true });
    }
  }
  defineProperty(context, "getRemainingTimeInMillis", { value: host.remaining, writable: true, configurable: true });
  beganUs = host.micros();
  const value = await handler(event, context);
  if (uncaught !== undefined) throw uncaught.error;
  let text;
  try {
    text = stringify(value);
  } catch (error) {
    // Out of memory stays what it is: the host tells it from a value that is no JSON.
    if (isError(error) && error.name === "InternalError") throw error;
    throw failure("Runtime.MarshalError", `the handler's result cannot be turned into JSON: ${isError(error) ? error.message : "toJSON threw"}`);
  }
  return text === undefined ? "null" : text;
}

// A promise that was rejected and that nobody listens to when no job is left: as in Node.js, whoever listens to the process for
// them is told, or else it ends the call. Gives the error then.
function unhandled(reason, promise) {
  // It was first, and its turn to be thrown comes later.
  if (uncaught !== undefined) return uncaught.error;
  if (tellOfRejection(reason, promise)) return undefined;
  const known = isError(reason) ? weakGet(details, reason) : undefined;
  let told;
  try { told = isError(reason) ? headOf(reason) : shownThrown(reason); } catch { told = "an error that cannot be shown"; }
  const error = new GlobalError(told);
  weakSet(details, error, { type: "Runtime.UnhandledPromiseRejection", frame: known?.frame, layer: known?.layer, from: isError(reason) ? reason : undefined });
  return error;
}

return { resolve, load, build, attempt, describe, due, turn, unhandled, done };
