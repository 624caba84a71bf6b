// Layers that wrap the handler: their code runs around it, and the package's code neither names it nor sees it. What a
// layer's `sublet.json`, or `package.json` under `sublet`, says is `{"wrapper": "file.export"}`; the host reads it
// (host/files.rs), and hides a wrapper's files while the package is evaluated.
//
// A wrapper shares the realm with the package, so these keep the two apart: a wrapper's files are found by its own files
// alone; it is evaluated first; between its frames and the handler's lies a turn of the job queue; stacks do not show its
// functions (stack.js); and what it awaits is not looked at through the package's `then`.
const wrappers = { __proto__: null };
const OPT = "/opt/";

// Whether `key` is a wrapper's file and `base`, which asks for it, is not.
function isHidden(base, key) {
  if (!startsWith(key, OPT)) return false;
  const layer = slice(key, OPT.length, indexOf(key, "/", OPT.length));
  return layer in wrappers && !startsWith(base, `${OPT}${layer}/`);
}

// CommonJS modules as `require.cache` shows them: a wrapper's have a table of their own.
const secluded = { __proto__: null };
function modulesFor(key) {
  return isHidden("", key) ? secluded : modules;
}

// Evaluates the wrappers, each [layer, key, export], in their order. Before the package's code.
async function loadWrappers(named) {
  const loaded = [];
  for (let i = 0; i < named.length; i++) wrappers[named[i][0]] = true;
  for (let i = 0; i < named.length; i++) {
    const [layer, key, name] = named[i];
    try {
      loaded[i] = { layer, value: wrapperIn(await evaluate(key), key, name) };
    } catch (error) {
      throw blame(layer, error);
    }
  }
  // Otherwise `await` would ask a promise for `then` whose constructor the package has changed.
  if (loaded.length > 0) defineProperty(GlobalPromise.prototype, "constructor", { writable: false, configurable: false });
  return loaded;
}

function wrapperIn(namespace, key, name) {
  const value = namespace?.[name];
  const isHooks = typeof value === "object" && value !== null;
  if (typeof value !== "function" && !isHooks) {
    throw failure("Runtime.WrapperNotFound", `its wrapper '${name}' is neither a function nor an object of before, after and error`, `at ${key}:1:1`);
  }
  return value;
}

// The handler with the wrappers around it, the first outermost.
function wrapHandler(loaded, handler) {
  let wrapped = handler;
  for (let i = loaded.length - 1; i >= 0; i--) wrapped = around(loaded[i].layer, loaded[i].value, wrapped);
  return wrapped;
}

function around(layer, value, inner) {
  const next = async (event, context) => {
    // Cuts the stack: what is thrown further in shows no frame of this layer.
    await undefined;
    try {
      return await inner(event, context);
    } catch (error) {
      pass(error);
      throw error;
    }
  };
  let run;
  if (typeof value === "function") {
    try {
      run = value(next);
    } catch (error) {
      throw blame(layer, error);
    }
    if (typeof run !== "function") throw blame(layer, failure("Runtime.WrapperNotFound", "its wrapper did not give a function"));
  } else {
    run = hooks(value, next);
  }
  return async (event, context) => {
    try {
      return await run(event, context);
    } catch (error) {
      throw blame(layer, error);
    }
  };
}

// What a hook gives takes the place of the event, the result or the error, unless it gives nothing.
function hooks(value, next) {
  const { before, after, error: failed } = value;
  return async (event, context) => {
    let input = event, result;
    if (before !== undefined) {
      const instead = await apply(before, value, [event, context]);
      if (instead !== undefined) input = instead;
    }
    try {
      result = await next(input, context);
    } catch (error) {
      const instead = failed === undefined ? undefined : await apply(failed, value, [error, input, context]);
      if (instead === undefined) throw error;
      return instead;
    }
    if (after === undefined) return result;
    const instead = await apply(after, value, [result, input, context]);
    return instead === undefined ? result : instead;
  };
}

// Errors that came from further in: a layer that lets one through is not to blame for it.
let passed;

function pass(error) {
  passed = { error, before: passed };
}

function hasPassed(error) {
  for (let entry = passed; entry !== undefined; entry = entry.before) {
    if (entry.error === error) return true;
  }
  return false;
}

// The error with the layer's name to it; what is no error becomes one.
function blame(layer, error) {
  if (hasPassed(error)) return error;
  let told = error;
  if (!isError(error)) {
    let text = "[value that cannot be shown]";
    try { text = GlobalString(error); } catch {}
    told = failure("Error", text);
  }
  const known = weakGet(details, told);
  weakSet(details, told, { type: known?.type, frame: known?.frame, layer });
  pass(told);
  return told;
}
