// From a place in a file that was made to the place it was made from, by the source map that the file brought along. A map
// is read only when an error is described: a broken one changes nothing, a hostile one costs the time of its own tenant.
// Only the mappings are looked at; the host has bounded their length.
//
// TypeScript that is stripped at deploy time needs none of this: its lines and columns are the author's.
// By key: JSON text of { sources, mappings }.
const maps = { __proto__: null };

// The frames with the places of `maps`' sources, in place.
function traceBack(frames) {
  const traced = { __proto__: null };
  for (let i = 0; i < frames.length; i++) {
    if (i in traced) continue;
    const place = parsePlace(placeOf(frames[i]));
    if (place === undefined || !(place.key in maps)) continue;
    // All frames of one file at once, for every look walks the map from its beginning.
    const wanted = [];
    let count = 0;
    for (let j = i; j < frames.length; j++) {
      const other = parsePlace(placeOf(frames[j]));
      if (other === undefined || other.key !== place.key) continue;
      other.frame = j;
      traced[j] = true;
      defineProperty(wanted, count++, { value: other });
    }
    let map;
    try {
      map = parse(maps[place.key]);
      findOriginals(map.mappings, wanted);
    } catch {
      continue;
    }
    for (let j = 0; j < wanted.length; j++) {
      const { frame, line, column, source, sourceLine, sourceColumn } = wanted[j];
      const name = map.sources[source];
      if (typeof name !== "string" || name === "") continue;
      const old = frames[frame];
      const at = lastIndexOf(old, `${place.key}:${line}:${column}`);
      const changed = `${slice(old, 0, at)}${name}:${sourceLine + 1}:${sourceColumn + 1}${endsWith(old, ")") ? ")" : ""}`;
      defineProperty(frames, frame, { value: changed });
    }
  }
}

// `index.mjs:3:11` → { key, line, column }.
function parsePlace(text) {
  const last = lastIndexOf(text, ":");
  const first = last < 0 ? -1 : lastIndexOf(text, ":", last - 1);
  if (first <= 0) return undefined;
  const line = +slice(text, first + 1, last), column = +slice(text, last + 1);
  return line > 0 && column > 0 ? { __proto__: null, key: slice(text, 0, first), line, column } : undefined;
}

// Sets source, sourceLine and sourceColumn (from 0) of each place: those of the last mapping at or before it on its line.
function findOriginals(mappings, wanted) {
  let last = 0;
  for (let i = 0; i < wanted.length; i++) if (wanted[i].line > last) last = wanted[i].line;
  const end = mappings.length;
  let line = 1, column = 0, source = 0, sourceLine = 0, sourceColumn = 0;
  let field = 0, value = 0, shift = 0;
  for (let at = 0; at <= end; at++) {
    const code = at < end ? charCodeAt(mappings, at) : 59;
    if (code === 44 || code === 59) {
      if (field >= 4) {
        for (let i = 0; i < wanted.length; i++) {
          const place = wanted[i];
          if (place.line !== line || (place.source !== undefined && column >= place.column)) continue;
          place.source = source;
          place.sourceLine = sourceLine;
          place.sourceColumn = sourceColumn;
        }
      }
      field = 0;
      if (code === 59) {
        if (++line > last) return;
        column = 0;
      }
      continue;
    }
    const digit = digitOf(code);
    if (digit < 0) return;
    value += (digit & 31) << shift;
    if (digit & 32) {
      shift += 5;
      continue;
    }
    const step = value & 1 ? -(value >>> 1) : value >>> 1;
    if (field === 0) column += step;
    else if (field === 1) source += step;
    else if (field === 2) sourceLine += step;
    else if (field === 3) sourceColumn += step;
    field++;
    value = shift = 0;
  }
}

function digitOf(code) {
  if (code >= 65 && code <= 90) return code - 65;
  if (code >= 97 && code <= 122) return code - 71;
  if (code >= 48 && code <= 57) return code + 4;
  return code === 43 ? 62 : code === 47 ? 63 : -1;
}
