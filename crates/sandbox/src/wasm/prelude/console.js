// console.*, on top of show.js.
const { now } = Date;
const MARGIN = "  ", MARGIN_LENGTH_MAX = 40;
const tally = { __proto__: null }, started = { __proto__: null };

function elapsed(label, items) {
  if (!(label in started)) return write("WARN", [`there is no timer '${label}'`]);
  const milliseconds = (host.micros() - started[label]) / 1000;
  write("INFO", [`${label}: ${milliseconds} ms`, ...items]);
}

function openGroup(items) {
  if (items.length > 0) write("INFO", items);
  if (margin.length < MARGIN_LENGTH_MAX) margin += MARGIN;
}

// `item` as a table: a row for each entry, a column for each key of the entries; anything else as console.log has it.
function table(item, only) {
  if (typeof item !== "object" || item === null) return write("INFO", [item]);
  const rows = [], columns = [];
  const add = (key, value) => {
    const row = { key: show(key, 0, { length: 0 }), cells: { __proto__: null }, value: undefined };
    if (typeof value !== "object" || value === null) {
      row.value = show(value, 1, { length: 0 });
    } else {
      for (const name of only ?? Object.keys(value)) {
        if (!columns.includes(name)) columns.push(name);
        if (name in value) row.cells[name] = show(value[name], 1, { length: 0 });
      }
    }
    rows.push(row);
  };
  if (item instanceof GlobalMap || item instanceof GlobalSet) [...item.entries()].forEach(([key, value], at) => add(item instanceof GlobalMap ? key : at, value));
  else Object.keys(item).slice(0, ENTRIES_MAX).forEach((key) => add(key, item[key]));
  const hasValues = rows.some((row) => row.value !== undefined);
  const grid = [["(index)", ...columns, ...(hasValues ? ["Values"] : [])]];
  for (const row of rows) grid.push([row.key, ...columns.map((name) => row.cells[name] ?? ""), ...(hasValues ? [row.value ?? ""] : [])]);
  const widths = grid[0].map((_, at) => Math.max(...grid.map((row) => row[at].length)));
  const line = (row) => `│ ${row.map((text, at) => text.padEnd(widths[at])).join(" │ ")} │`;
  const rule = (left, cross, right) => left + widths.map((width) => "─".repeat(width + 2)).join(cross) + right;
  write("INFO", [[rule("┌", "┬", "┐"), line(grid[0]), rule("├", "┼", "┤"), ...grid.slice(1).map(line), rule("└", "┴", "┘")].join("\n")]);
}

globalThis.console = {
  log: (...items) => write("INFO", items),
  info: (...items) => write("INFO", items),
  warn: (...items) => write("WARN", items),
  error: (...items) => write("ERROR", items),
  debug: (...items) => write("DEBUG", items),
  trace: (...items) => {
    let text = format(items);
    const frames = framesOf(new GlobalError());
    for (let i = 0; i < frames.length; i++) text += `\n    ${frames[i]}`;
    write("TRACE", [text]);
  },
  assert: (truth, ...items) => { if (!truth) write("ERROR", [items.length > 0 ? `Assertion failed: ${format(items)}` : "Assertion failed"]); },
  count: (label = "default") => write("INFO", [`${label}: ${tally[label] = (tally[label] ?? 0) + 1}`]),
  countReset: (label = "default") => { tally[label] = 0; },
  dir: (item) => write("INFO", [show(item, 1, { length: 0 })]),
  dirxml: (...items) => write("INFO", items),
  table,
  group: (...items) => openGroup(items),
  groupCollapsed: (...items) => openGroup(items),
  groupEnd: () => { margin = slice(margin, MARGIN.length); },
  time: (label = "default") => {
    if (label in started) write("WARN", [`there is a timer '${label}' already`]);
    else started[label] = host.micros();
  },
  timeLog: (label = "default", ...items) => elapsed(label, items),
  timeEnd: (label = "default") => {
    elapsed(label, []);
    delete started[label];
  },
};
defineProperty(globalThis, "console", { enumerable: false });
defineProperty(console, Symbol.toStringTag, { value: "console", configurable: true });
