// console.*: one call, one entry of the log, `LEVEL text`. Values are shown as JSON would, but what JSON leaves out
// (functions, cycles, big integers, maps) is named rather than lost.
const DEPTH_MAX = 6, ENTRIES_MAX = 100;

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
  if (typeof value.toJSON === "function") return show(value.toJSON(), depth, above);
  const keys = ownKeys(value);
  for (let i = 0; i < keys.length && count <= ENTRIES_MAX; i++) {
    if (typeof keys[i] !== "string" || !getOwnPropertyDescriptor(value, keys[i])?.enumerable) continue;
    add(`${stringify(keys[i])}:${show(value[keys[i]], depth, above)}`);
  }
  const name = getPrototypeOf(value)?.constructor?.name;
  return `${name && name !== "Object" ? `${GlobalString(name)} ` : ""}{${text}}`;
}

function showError(error) {
  let text = `${GlobalString(error.name)}: ${GlobalString(error.message)}`;
  const frames = framesOf(error);
  for (let i = 0; i < frames.length; i++) text += `\n    ${frames[i]}`;
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
  host.log(`${level} ${text}`);
}

const { now } = Date;
const tally = { __proto__: null }, started = { __proto__: null };
globalThis.console = {
  log: (...items) => write("INFO", items),
  info: (...items) => write("INFO", items),
  warn: (...items) => write("WARN", items),
  error: (...items) => write("ERROR", items),
  debug: (...items) => write("DEBUG", items),
  trace: (...items) => write("TRACE", items),
  assert: (truth, ...items) => { if (!truth) write("ERROR", ["Assertion failed:", ...items]); },
  count: (label = "default") => write("INFO", [`${label}: ${tally[label] = (tally[label] ?? 0) + 1}`]),
  dir: (item) => write("INFO", [item]),
  table: (item) => write("INFO", [item]),
  group: (...items) => write("INFO", items),
  groupCollapsed: (...items) => write("INFO", items),
  groupEnd: () => {},
  time: (label = "default") => { started[label] = now(); },
  timeLog: (label = "default", ...items) => write("INFO", [`${label}: ${now() - started[label]} ms`, ...items]),
  timeEnd: (label = "default") => write("INFO", [`${label}: ${now() - started[label]} ms`]),
};
defineProperty(globalThis, "console", { enumerable: false });
