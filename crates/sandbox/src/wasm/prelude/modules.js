// A package's files as modules: ES modules, CommonJS and JSON. A file's key is its path in the package; a layer's files
// are under `/opt/NAME/`. The C side calls `resolve` and `load`.
const ENDINGS = ["", ".js", ".mjs", ".cjs", ".json"];
const INDEXES = ["/index.js", "/index.mjs", "/index.cjs", "/index.json"];
// Two lines of its own, which `host.script` does not count.
const OPENING = "(function (exports, require, module, __filename, __dirname) {\n\n";
let files = { __proto__: null };
let layers = { __proto__: null };
const manifests = { __proto__: null };
const modules = { __proto__: null };
const compiled = { __proto__: null };

function directoryOf(key) {
  const at = lastIndexOf(key, "/");
  return at < 0 ? "" : slice(key, 0, at);
}

// Joins and removes `.`, `..` and double slashes; above the root there is nothing to reach.
function join(directory, path) {
  const parts = cut(directory === "" ? path : `${directory}/${path}`, "/");
  const kept = [];
  let depth = 0;
  for (let i = 0; i < parts.length; i++) {
    if (parts[i] === "..") depth = depth > 0 ? depth - 1 : 0;
    else if (parts[i] !== "" && parts[i] !== ".") kept[depth++] = parts[i];
  }
  let text = startsWith(directory === "" ? path : directory, "/") ? "/" : "";
  for (let i = 0; i < depth; i++) text += i === 0 ? kept[i] : `/${kept[i]}`;
  return text;
}

function manifestOf(directory) {
  const key = directory === "" ? "package.json" : `${directory}/package.json`;
  if (!(key in files)) return undefined;
  return manifests[key] ??= parseJson(key) ?? {};
}

function parseJson(key) {
  try {
    return parse(files[key]);
  } catch (error) {
    throw failure("SyntaxError", `${key} is not JSON: ${error.message}`, `at ${key}:1:1`);
  }
}

function findFile(path) {
  for (let i = 0; i < ENDINGS.length; i++) if (path !== "" && path + ENDINGS[i] in files) return path + ENDINGS[i];
  const manifest = manifestOf(path);
  const entry = manifest && entryOf(manifest);
  if (typeof entry === "string") {
    const found = findInside(join(path, entry));
    if (found !== undefined) return found;
  }
  return findInside(path, true);
}

function findInside(path, indexOnly) {
  for (let i = 0; !indexOnly && i < ENDINGS.length; i++) if (path + ENDINGS[i] in files) return path + ENDINGS[i];
  const prefix = path === "" ? 1 : 0;
  for (let i = 0; i < INDEXES.length; i++) {
    const key = path + slice(INDEXES[i], prefix);
    if (key in files) return key;
  }
  return undefined;
}

// The file that stands for a package: `exports` for its root, in the forms that packages use most, else `main`.
function entryOf(manifest) {
  let entry = manifest.exports;
  if (typeof entry === "object" && entry !== null && "." in entry) entry = entry["."];
  while (typeof entry === "object" && entry !== null) entry = entry.import ?? entry.default ?? entry.require;
  return entry ?? manifest.main;
}

function find(base, specifier) {
  if (startsWith(specifier, "./") || startsWith(specifier, "../") || specifier === "." || specifier === "..") {
    return findFile(join(directoryOf(base), specifier));
  }
  if (startsWith(specifier, "/")) return findFile(join("", specifier));
  const scope = startsWith(specifier, "@") ? indexOf(specifier, "/") + 1 : 0;
  const end = indexOf(specifier, "/", scope);
  const name = end < 0 ? specifier : slice(specifier, 0, end);
  if (name in layers) return findFile(join(`/opt/${name}`, end < 0 ? "" : slice(specifier, end + 1)));
  for (let directory = directoryOf(base); ; directory = directoryOf(directory)) {
    const found = findFile(join(directory, `node_modules/${specifier}`));
    if (found !== undefined || directory === "") return found;
  }
}

function missing(base, specifier) {
  const error = failure("Runtime.ImportModuleError", startsWith(specifier, "node:")
    ? `module '${specifier}' does not exist in this runtime`
    : `cannot find module '${specifier}'`);
  error.code = "MODULE_NOT_FOUND";
  return error;
}

// For `import`: the engine says only who asks for what, so the line is found by looking for the specifier.
function resolve(base, specifier) {
  if (base === "") return specifier;
  const key = find(base, specifier);
  if (key !== undefined) return key;
  const error = missing(base, specifier);
  const source = files[base];
  if (source !== undefined) {
    let at = indexOf(source, `"${specifier}"`);
    if (at < 0) at = indexOf(source, `'${specifier}'`);
    const before = cut(slice(source, 0, at < 0 ? 0 : at), "\n");
    const frame = `at ${base}:${before.length}:${before[before.length - 1].length + 1}`;
    weakSet(details, error, { type: "Runtime.ImportModuleError", frame });
  }
  throw error;
}

// A file is an ES module by its ending, by its package's `type`, or because it does not parse as CommonJS.
function isEsModule(key) {
  if (endsWith(key, ".mjs")) return true;
  if (endsWith(key, ".cjs")) return false;
  for (let directory = directoryOf(key); ; directory = directoryOf(directory)) {
    const type = manifestOf(directory)?.type;
    if (type === "module") return true;
    if (type === "commonjs") return false;
    if (directory === "" || endsWith(directory, "/node_modules")) break;
  }
  try {
    compile(key);
    return false;
  } catch {
    return true;
  }
}

function compile(key) {
  return compiled[key] ??= host.script(`${OPENING}${files[key]}\n})`, key);
}

function load(key) {
  if (endsWith(key, ".json")) return { __proto__: null, default: parseJson(key) };
  if (isEsModule(key)) return files[key];
  const value = requireKey(key);
  const exports = { __proto__: null };
  if ((typeof value === "object" && value !== null) || typeof value === "function") {
    const names = ownKeys(value);
    for (let i = 0; i < names.length; i++) {
      if (typeof names[i] === "string" && getOwnPropertyDescriptor(value, names[i])?.enumerable) exports[names[i]] = value[names[i]];
    }
  }
  exports.default = value;
  return exports;
}

function requireKey(key) {
  if (key in modules) return modules[key].exports;
  if (!endsWith(key, ".json") && isEsModule(key)) {
    throw failure("Runtime.ImportModuleError", `${key} is an ES module: use import, or await import(), instead of require`);
  }
  const module = modules[key] = { id: key, filename: key, loaded: false, exports: {} };
  try {
    if (endsWith(key, ".json")) module.exports = parseJson(key);
    else apply(compile(key), module.exports, [module.exports, requireFrom(key), module, key, directoryOf(key)]);
  } catch (error) {
    delete modules[key];
    throw error;
  }
  module.loaded = true;
  return module.exports;
}

function requireFrom(base) {
  const locate = (specifier) => {
    const key = find(base, GlobalString(specifier));
    if (key === undefined) throw missing(base, GlobalString(specifier));
    return key;
  };
  const require = (specifier) => requireKey(locate(specifier));
  require.resolve = locate;
  return require;
}
