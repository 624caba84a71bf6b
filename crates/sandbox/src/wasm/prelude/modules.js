// A package's files as modules: ES modules, CommonJS and JSON. A file's key is its path in the package; a layer's files
// are under `/opt/NAME/`, modules of the runtime itself under `node:` and `sublet:`. The C side calls `resolve` and `load`.
//
// While the package is evaluated, the host is asked file by file (crates/sandbox/src/wasm/host/files.rs): it knows which
// file a specifier means and what is in it as JavaScript. What the handler may ask for later, by names that are written out
// in the code, is brought in at the end, for then there is no package any more.
const RESOLVE = 120, FILE = 121, SOURCE_MAP = 122, LATE = 123;
const ESM = "m", COMMONJS = "c", JSON_FILE = "j";
const ENDINGS = ["", ".js", ".mjs", ".cjs", ".json", ".ts", ".mts", ".cts"];
// Two lines of its own, which `host.script` does not count.
const OPENING = "(function (exports, require, module, __filename, __dirname) {\n\n";
// What asks in the name of `require` for an ES module, and what it hands the module's namespace to.
const BRIDGE = "sublet:require:", HANDOVER = "sublet:handover";
let layers = { __proto__: null };
// By key: what a file is, and its text until it is evaluated.
const kinds = { __proto__: null }, texts = { __proto__: null };
// CommonJS and JSON, by path, as `require.cache`; what the runtime's own modules export.
const modules = { __proto__: null }, builtin = { __proto__: null };
// By key: { "i" or "r" and a specifier: key }, for the handler.
let links = { __proto__: null };
// ES modules that were required, by key.
const namespaces = { __proto__: null };
let handedOver;

function directoryOf(key) {
  const at = lastIndexOf(key, "/");
  return at < 0 ? "" : slice(key, 0, at);
}

// What code sees of a file's place: its path from the root, below which the package lies beside the layers' `/opt`. Only
// what a package has in a folder `opt` of its own stays without the slash, for it would be taken for a layer's.
const pathOf = (key) => (startsWith(key, "/") || startsWith(key, slice(OPT, 1)) ? key : `/${key}`);

// Keys of the runtime's own modules. A file that is named like one is not found, for it would be taken for it.
const isRuntimes = (key) => startsWith(key, "sublet:") || startsWith(key, "node:");
function notRuntimes(key) {
  if (isRuntimes(key)) throw missing(`cannot find module '${key}': that is a name of the runtime's own`);
  return key;
}

// Joins and removes `.`, `..` and double slashes; above the root there is nothing to reach.
function join(directory, path) {
  const parts = cut(directory === "" ? path : `${directory}/${path}`, "/");
  const kept = [];
  let depth = 0;
  for (let i = 0; i < parts.length; i++) {
    if (parts[i] === "..") depth = depth > 0 ? depth - 1 : 0;
    else if (parts[i] !== "" && parts[i] !== ".") defineProperty(kept, depth++, { value: parts[i], writable: true, configurable: true });
  }
  let text = startsWith(directory === "" ? path : directory, "/") ? "/" : "";
  for (let i = 0; i < depth; i++) text += i === 0 ? kept[i] : `/${kept[i]}`;
  return text;
}

function parseJson(key, text) {
  try {
    return parse(text);
  } catch (error) {
    throw failure("SyntaxError", `${key} is not JSON: ${error.message}`, `at ${key}:1:1`);
  }
}

// `node:util` for `util` and `node:util`, if the runtime has it and no layer of the operator's is called so.
function builtinOf(specifier) {
  const name = startsWith(specifier, "node:") ? slice(specifier, 5) : specifier in layers ? "" : specifier;
  return getOwnPropertyDescriptor(builtins, name) === undefined ? undefined : `node:${name}`;
}

// `how`: "i" for import, "r" for require.
function locate(how, base, specifier) {
  const own = builtinOf(specifier);
  if (own !== undefined) return own;
  if (!building) {
    const known = links[base]?.[how + specifier] ?? guess(base, specifier);
    if (known !== undefined && !isRuntimes(known) && !isHidden(base, known)) return known;
    throw missing(`cannot find module '${specifier}': it is not in the package, or nothing named it when the package was deployed`);
  }
  const answer = host.ask(RESOLVE, `${how}${base}\0${specifier}`);
  if (!startsWith(answer, "+")) {
    const [place, message] = cut(slice(answer, 1), "\0");
    throw missing(message, place);
  }
  return notRuntimes(slice(answer, 1));
}

// A computed path, among the files that were brought in.
function guess(base, specifier) {
  let path;
  const absolute = startsWith(specifier, "file:///") ? slice(specifier, 7) : specifier;
  if (startsWith(specifier, "./") || startsWith(specifier, "../")) path = join(directoryOf(base), specifier);
  else if (startsWith(absolute, "/")) path = join("", absolute);
  else return undefined;
  if (startsWith(path, "/") && !startsWith(path, OPT)) path = slice(path, 1);
  for (let i = 0; i < ENDINGS.length; i++) if (path + ENDINGS[i] in kinds) return path + ENDINGS[i];
  for (let i = 1; i < ENDINGS.length; i++) if (`${path}/index${ENDINGS[i]}` in kinds) return `${path}/index${ENDINGS[i]}`;
  if (endsWith(path, "js") && `${slice(path, 0, -2)}ts` in kinds) return `${slice(path, 0, -2)}ts`;
  return undefined;
}

function missing(message, place) {
  const error = failure("Runtime.ImportModuleError", message, place ? `at ${place}` : undefined);
  error.code = "MODULE_NOT_FOUND";
  return error;
}

// For `import`, of both kinds.
function resolve(base, specifier) {
  return base === "" || startsWith(base, "sublet:") ? specifier : locate("i", base, specifier);
}

// What the file is; brings it in.
function kindOf(key) {
  if (!(key in kinds)) {
    if (!building) throw missing(`cannot find module '${key}'`);
    texts[key] = askForFile(key);
    const map = host.ask(SOURCE_MAP, key);
    if (map !== "") maps[key] = map;
  }
  return kinds[key];
}

function askForFile(key) {
  if (!building) throw missing(`cannot load '${key}' once more: its text is not kept after the deploy`);
  const answer = host.ask(FILE, notRuntimes(key)), kind = slice(answer, 0, 1);
  if (kind === "!") {
    const [place, message] = cut(slice(answer, 1), "\0");
    throw failure("SyntaxError", message, `at ${place}`);
  }
  kinds[key] = kind;
  return slice(answer, 1);
}

// The engine keeps what it needs of a text, and an image should not hold it twice. What is asked for in an attempt may fail,
// and be asked for again.
function takeText(key) {
  const text = texts[key] ?? askForFile(key);
  if (building) delete texts[key];
  return text;
}

// The text of an ES module, or an object of what anything else exports.
function load(key) {
  if (key === HANDOVER) return { __proto__: null, put: (namespace) => { handedOver = namespace; } };
  if (startsWith(key, BRIDGE)) {
    return `import { put } from "${HANDOVER}"; import * as namespace from ${stringify(slice(key, BRIDGE.length))}; put(namespace);`;
  }
  if (!startsWith(key, "node:")) {
    if (kindOf(key) === ESM) return takeText(key);
    if (kindOf(key) === JSON_FILE) return { __proto__: null, default: requireKey(key) };
  }
  const value = requireKey(key);
  const exports = { __proto__: null };
  if ((typeof value === "object" && value !== null) || typeof value === "function") {
    const names = ownKeys(value);
    for (let i = 0; i < names.length; i++) {
      if (typeof names[i] === "string" && getOwnPropertyDescriptor(value, names[i])?.enumerable) exports[names[i]] = value[names[i]];
    }
  }
  exports.default = value;
  exports["module.exports"] = value;
  return exports;
}

// → what the module exports: the one way in from the runtime's own code.
async function evaluate(key) {
  return kindOf(key) === ESM ? host.import(key) : requireKey(key);
}

function requireKey(key) {
  if (startsWith(key, "node:")) return (builtin[key] ??= { exports: builtins[slice(key, 5)]() }).exports;
  const table = modulesFor(key), filename = pathOf(key);
  if (filename in table) return table[filename].exports;
  const kind = kindOf(key);
  if (kind === ESM) return requireEsModule(key);
  const text = takeText(key), path = directoryOf(filename) || "/";
  const module = table[filename] = { id: filename, path, filename, loaded: false, exports: {}, children: [], paths: [] };
  try {
    if (kind === JSON_FILE) module.exports = parseJson(key, text);
    else {
      module.require = requireFrom(key);
      const script = host.script(`${OPENING}${text}\n})`, key);
      apply(script, module.exports, [module.exports, module.require, module, filename, path]);
    }
  } catch (error) {
    // Whoever asks again is told the same.
    texts[key] = text;
    delete table[filename];
    throw error;
  }
  module.loaded = true;
  return module.exports;
}

// An ES module without an `await` outside of functions is evaluated before `host.import` returns.
function requireEsModule(key) {
  if (key in namespaces) return namespaces[key];
  handedOver = undefined;
  const promise = host.import(BRIDGE + key);
  const namespace = handedOver;
  handedOver = undefined;
  if (namespace === undefined) {
    promiseThen(promise, undefined, () => {});
    throw failure("Runtime.ImportModuleError", `the ES module ${key} cannot be required: it fails, or awaits something, at its top level; use import, or await import()`);
  }
  return namespaces[key] = "module.exports" in namespace ? namespace["module.exports"] : namespace;
}

function requireFrom(base) {
  const find = (specifier) => locate("r", base, GlobalString(specifier));
  const require = (specifier) => requireKey(find(specifier));
  require.resolve = (specifier) => {
    const key = find(specifier);
    return startsWith(key, "node:") ? key : pathOf(key);
  };
  require.cache = modulesFor(base);
  require.main = undefined;
  return require;
}

// When the package's top level has run: brings in what only the handler may ask for.
function bringInLate() {
  const late = parse(host.ask(LATE, undefined));
  const keys = ownKeys(late.files);
  for (let i = 0; i < keys.length; i++) {
    if (isRuntimes(keys[i])) continue;
    const [kind, text, map] = late.files[keys[i]];
    kinds[keys[i]] = kind;
    texts[keys[i]] = text;
    if (map !== null) maps[keys[i]] = map;
  }
  links = late.links;
}
