// How values and format strings become text of the log: one call, one entry, `LEVEL text`. Values are shown as JSON would,
// but what JSON leaves out (functions, cycles, big integers, maps) is named rather than lost.
const DEPTH_MAX = 6, ENTRIES_MAX = 100;
const GlobalBuffer = ArrayBuffer, isView = ArrayBuffer.isView;
const mapGet = uncurried(Map.prototype.get);

function show(value, depth, above) {
  switch (typeof value) {
    case "string": return depth === 0 ? value : stringify(value);
    case "bigint": return `${value}n`;
    case "symbol": return GlobalString(value);
    case "function": return `[Function ${getOwnPropertyDescriptor(value, "name")?.value || "(anonymous)"}]`;
    case "object": break;
    default: return GlobalString(value);
  }
  if (value === null) return "null";
  if (isError(value)) return showError(value);
  for (let i = 0; i < above.length; i++) if (above[i] === value) return "[Circular]";
  if (depth > DEPTH_MAX) return isArray(value) ? "[…]" : "{…}";
  const inside = { __proto__: null, length: above.length + 1 };
  for (let i = 0; i < above.length; i++) inside[i] = above[i];
  inside[above.length] = value;
  return showObject(value, depth + 1, inside);
}

function showObject(value, depth, above) {
  if (value instanceof GlobalDate) return dateToISOString(value);
  if (value instanceof GlobalRegExp) return regExpToString(value);
  let text = "", count = 0;
  const add = (entry) => {
    if (count < ENTRIES_MAX) text += count === 0 ? entry : `,${entry}`;
    else if (count === ENTRIES_MAX) text += ",…";
    count++;
  };
  if (isArray(value)) {
    for (let i = 0; i < value.length && count <= ENTRIES_MAX; i++) add(show(value[i], depth, above));
    return `[${text}]`;
  }
  if (value instanceof GlobalMap) {
    mapEntries(value, (item, key) => count <= ENTRIES_MAX && add(`${show(key, depth, above)}=>${show(item, depth, above)}`));
    return `Map{${text}}`;
  }
  if (value instanceof GlobalSet) {
    setEntries(value, (item) => count <= ENTRIES_MAX && add(show(item, depth, above)));
    return `Set{${text}}`;
  }
  const portrait = isView(value) || value instanceof GlobalBuffer ? showBytes : portraitOf(getPrototypeOf(value));
  if (portrait !== undefined) return `${GlobalString(value.constructor.name)} ${show(portrait(value), depth, above)}`;
  if (typeof value.toJSON === "function") return show(value.toJSON(), depth, above);
  const keys = ownKeys(value);
  for (let i = 0; i < keys.length && count <= ENTRIES_MAX; i++) {
    if (typeof keys[i] !== "string" || !getOwnPropertyDescriptor(value, keys[i])?.enumerable) continue;
    add(`${stringify(keys[i])}:${show(value[keys[i]], depth, above)}`);
  }
  const name = getPrototypeOf(value)?.constructor?.name;
  return `${name && name !== "Object" ? `${GlobalString(name)} ` : ""}{${text}}`;
}

// Objects of the web's classes have no members of their own: what is shown instead, by prototype.
const portraits = new Map();
const portraitOf = (prototype) => mapGet(portraits, prototype);

// The members of bytes: of a buffer its size, of a view its items.
function showBytes(value) {
  if (!isView(value)) return { byteLength: value.byteLength };
  const items = [];
  for (let i = 0; i < value.length && i <= ENTRIES_MAX; i++) {
    defineProperty(items, i, { value: value[i], enumerable: true, writable: true, configurable: true });
  }
  return items;
}

function showError(error) {
  let text = `${GlobalString(error.name)}: ${GlobalString(error.message)}`;
  const frames = framesOf(error);
  for (let i = 0; i < frames.length; i++) text += `\n    ${frames[i]}`;
  // What people put on errors: code, status and their like.
  const keys = ownKeys(error);
  for (let i = 0; i < keys.length && i < ENTRIES_MAX; i++) {
    if (typeof keys[i] !== "string" || keys[i] === "stack" || !getOwnPropertyDescriptor(error, keys[i])?.enumerable) continue;
    text += `\n  ${keys[i]}: ${show(error[keys[i]], 1, { length: 0 })}`;
  }
  if (isArray(error.errors)) text += `\n  errors: ${show(error.errors, 1, { length: 0 })}`;
  return error.cause === undefined ? text : `${text}\n  cause: ${show(error.cause, 1, { length: 0 })}`;
}

// The arguments of a console call as text, with the format directives that people use from habit.
function format(items) {
  let text = "", next = 0;
  if (typeof items[0] === "string" && items.length > 1 && indexOf(items[0], "%") >= 0) {
    const parts = cut(items[0], "%");
    text = parts[0];
    next = 1;
    for (let i = 1; i < parts.length; i++) {
      const directive = slice(parts[i], 0, 1), rest = slice(parts[i], 1);
      if (parts[i] === "" && i + 1 < parts.length) text += `%${parts[++i]}`;
      else if (next >= items.length || directive === "" || indexOf("sdifjoOc", directive) < 0) text += `%${parts[i]}`;
      else text += formatted(directive, items[next++]) + rest;
    }
  }
  for (let i = next; i < items.length; i++) text += (i > 0 ? " " : "") + show(items[i], 0, { length: 0 });
  return text;
}

function formatted(directive, item) {
  switch (directive) {
    case "s": return show(item, 0, { length: 0 });
    case "d": case "f": return typeof item === "symbol" ? "NaN" : GlobalString(+GlobalString(item));
    case "i": return typeof item === "symbol" ? "NaN" : GlobalString(mathTrunc(+GlobalString(item)));
    case "c": return "";
    default: return show(item, 1, { length: 0 });
  }
}

function write(level, items) {
  let text;
  try {
    text = format(items);
  } catch {
    // A getter or toJSON that throws, or a proxy: logging must not change what the code does.
    text = "[value that cannot be shown]";
  }
  host.log(`${level} ${margin === "" ? text : indented(text)}`);
}

// Of the groups that are open.
let margin = "";

function indented(text) {
  const lines = cut(text, "\n");
  let all = "";
  for (let i = 0; i < lines.length; i++) all += i === 0 ? margin + lines[i] : `\n${margin}${lines[i]}`;
  return all;
}

