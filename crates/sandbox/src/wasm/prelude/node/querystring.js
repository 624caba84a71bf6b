// `node:querystring`.
{
  // Like encodeURIComponent, but a lone surrogate is an error with a code; `%` sequences that are none stay as they are.
  function escapeText(value) {
    const text = typeof value === "string" ? value : typeof value === "object" ? String(value) : `${value}`;
    try {
      return encodeURIComponent(text);
    } catch {
      throw node.error(URIError, "ERR_INVALID_URI", "URI malformed");
    }
  }

  const unescapeBuffer = (text, spaces) => node.viewOf(percentBytes(spaces ? text.replaceAll("+", " ") : text));

  function unescapeText(text, spaces) {
    try {
      return decodeURIComponent(text);
    } catch {
      return unescapeBuffer(text, spaces).toString();
    }
  }

  function decodeWith(decode, text) {
    try {
      return decode(text);
    } catch {
      return exports.unescape(text, true);
    }
  }

  function parse(text, separator, equals, options) {
    const found = { __proto__: null };
    if (typeof text !== "string" || text.length === 0) return found;
    const sep = separator ? `${separator}` : "&", eq = equals ? `${equals}` : "=";
    const decode = typeof options?.decodeURIComponent === "function" ? options.decodeURIComponent : exports.unescape;
    const most = typeof options?.maxKeys === "number" ? (options.maxKeys > 0 ? options.maxKeys : Infinity) : 1000;
    let pairs = text.split(sep);
    let count = 0;
    for (const pair of pairs) {
      if (pair === "") continue;
      if (count++ >= most) break;
      const at = pair.indexOf(eq);
      const rawKey = at < 0 ? pair : pair.slice(0, at), rawValue = at < 0 ? "" : pair.slice(at + eq.length);
      const plain = (raw) => (/[%+]/.test(raw) || decode !== exports.unescape ? decodeWith(decode, raw.replace(/\+/g, options?.decodeURIComponent ? "%20" : " ")) : raw);
      const key = plain(rawKey), value = plain(rawValue);
      if (!(key in found)) found[key] = value;
      else if (isArray(found[key])) found[key].push(value);
      else found[key] = [found[key], value];
    }
    return found;
  }

  const primitiveText = (value) => {
    switch (typeof value) {
      case "string": return value;
      case "number": return Number.isFinite(value) ? `${value}` : "";
      case "bigint": return `${value}`;
      case "boolean": return value ? "true" : "false";
      default: return "";
    }
  };

  function stringify(object, separator, equals, options) {
    const sep = separator || "&", eq = equals || "=";
    const encode = typeof options?.encodeURIComponent === "function" ? options.encodeURIComponent : exports.escape;
    if (object === null || typeof object !== "object") return "";
    const parts = [];
    for (const key of Object.keys(object)) {
      const name = encode(primitiveText(key)) + eq;
      if (isArray(object[key])) for (const item of object[key]) parts.push(name + encode(primitiveText(item)));
      else parts.push(name + encode(primitiveText(object[key])));
    }
    return parts.join(sep);
  }

  const exports = { escape: escapeText, unescape: unescapeText, unescapeBuffer, parse, decode: parse, stringify, encode: stringify };
  builtins.querystring = () => exports;
}
