// `util.inspect`: a value as text for people, in Node's layout. What a script cannot see of a value is not shown: a
// promise's state, a proxy's target, the entries of weak collections. How entries become lines is in inspect_layout.js.
{
  const CUSTOM = Symbol.for("nodejs.util.inspect.custom");
  const DEFAULTS = {
    showHidden: false, depth: 2, colors: false, customInspect: true, showProxy: false, maxArrayLength: 100,
    maxStringLength: 10000, breakLength: 80, compact: 3, sorted: false, getters: false, numericSeparator: false,
  };
  const IDENTIFIER = /^[a-zA-Z_][a-zA-Z_0-9]*$/;
  const STRING_LINE_MIN = 16;
  const COLORS = {
    number: [33, 39], bigint: [33, 39], boolean: [33, 39], string: [32, 39], symbol: [32, 39], date: [35, 39],
    regexp: [31, 39], special: [36, 39], undefined: [90, 39], null: [1, 22], module: [4, 24],
  };

  function inspect(value, options, ...legacy) {
    const given = typeof options === "object" && options !== null ? options
      : { showHidden: options === true, ...(legacy[0] !== undefined && { depth: legacy[0] }), ...(legacy[1] !== undefined && { colors: legacy[1] }) };
    const context = { ...inspect.defaultOptions, ...given, seen: [], circular: undefined, indentation: 0, currentDepth: 0, budget: {} };
    if (context.maxArrayLength === null) context.maxArrayLength = Infinity;
    if (context.maxStringLength === null) context.maxStringLength = Infinity;
    if (context.depth === null) context.depth = Infinity;
    context.stylize = context.colors ? colored : (text) => text;
    context.given = given;
    return formatValue(context, value, 0);
  }
  const colored = (text, style) => (COLORS[style] ? `\u001b[${COLORS[style][0]}m${text}\u001b[${COLORS[style][1]}m` : text);

  function formatValue(context, value, depth, typed) {
    if (typeof value !== "object" && typeof value !== "function") return primitive(context, value);
    if (value === null) return context.stylize("null", "null");
    if (context.customInspect) {
      const custom = value[CUSTOM];
      if (typeof custom === "function" && custom !== inspect && !(value.constructor?.prototype === value)) {
        const left = context.depth - depth;
        const { seen, circular, indentation, currentDepth, budget, given, ...rest } = context;
        const shown = custom.call(value, left, { ...rest, depth: left }, inspect);
        if (shown !== value) {
          const text = typeof shown === "string" ? shown : formatValue(context, shown, depth);
          return text.replaceAll("\n", `\n${" ".repeat(context.indentation)}`);
        }
      }
    }
    if (context.seen.includes(value)) {
      context.circular ??= new Map();
      if (!context.circular.has(value)) context.circular.set(value, context.circular.size + 1);
      return context.stylize(`[Circular *${context.circular.get(value)}]`, "special");
    }
    return formatRaw(context, value, depth, typed);
  }

  function primitive(context, value) {
    switch (typeof value) {
      case "string": return text(context, value);
      case "number": return context.stylize(number(context, value), "number");
      case "bigint": return context.stylize(`${number(context, value)}n`, "bigint");
      case "undefined": return context.stylize("undefined", "undefined");
      case "boolean": return context.stylize(`${value}`, "boolean");
      default: return context.stylize(String(value), "symbol");
    }
  }

  function number(context, value) {
    if (Object.is(value, -0)) return "-0";
    const plain = String(value);
    if (!context.numericSeparator || !/^-?\d+(\.\d+)?$/.test(plain)) return plain;
    const [whole, fraction] = plain.split(".");
    const grouped = whole.replace(/\B(?=(\d{3})+$)/g, "_");
    return fraction === undefined ? grouped : `${grouped}.${fraction.replace(/(\d{3})(?=\d)/g, "$1_")}`;
  }

  function text(context, value) {
    let trailer = "";
    if (value.length > context.maxStringLength) {
      const more = value.length - context.maxStringLength;
      value = value.slice(0, context.maxStringLength);
      trailer = `... ${more} more character${more > 1 ? "s" : ""}`;
    }
    if (context.compact !== true && value.length > STRING_LINE_MIN && value.length > context.breakLength - context.indentation - 4) {
      return value.split(/(?<=\n)/).map((line) => context.stylize(quote(line), "string")).join(` +\n${" ".repeat(context.indentation + 2)}`) + trailer;
    }
    return context.stylize(quote(value), "string") + trailer;
  }

  const ESCAPES = { "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", "\\": "\\\\" };
  function quote(value) {
    let mark = "'";
    if (value.includes("'")) mark = !value.includes('"') ? '"' : !value.includes("`") && !value.includes("${") ? "`" : "'";
    const body = value.replace(/[\x00-\x1f\x27\x5c\x7f-\x9f]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, (char) => {
      if (char === "'") return mark === "'" ? "\\'" : "'";
      const code = char.charCodeAt(0).toString(16);
      return ESCAPES[char] ?? (code.length > 2 ? `\\u${code}` : `\\x${code.toUpperCase().padStart(2, "0")}`);
    });
    return mark + body + mark;
  }

  // The name of the constructor that made it, or null for objects without prototype.
  function constructorName(value) {
    for (let holder = value, steps = 0; holder !== null && steps < 1000; holder = getPrototypeOf(holder), steps++) {
      const own = getOwnPropertyDescriptor(holder, "constructor");
      if (own !== undefined && typeof own.value === "function" && own.value.name !== "" && (holder !== value || own.value.prototype !== value)) {
        if (isInstance(value, own.value)) return String(own.value.name);
      }
    }
    return null;
  }
  const isInstance = (value, Class) => {
    try { return value instanceof Class; } catch { return false; }
  };

  function prefixOf(constructor, tag, fallback, size = "") {
    if (constructor === null) return tag !== "" && fallback !== tag ? `[${fallback}${size}: null prototype] [${tag}] ` : `[${fallback}${size}: null prototype] `;
    return tag !== "" && constructor !== tag ? `${constructor}${size} [${tag}] ` : `${constructor}${size} `;
  }

  function formatRaw(context, value, depth, typed) {
    const constructor = constructorName(value);
    let tag = "";
    try { tag = value[Symbol.toStringTag]; } catch {}
    // A tag that is shown among the entries need not be shown twice.
    const isEntry = context.showHidden ? Object.hasOwn : (holder, key) => Object.prototype.propertyIsEnumerable.call(holder, key);
    if (typeof tag !== "string" || (tag !== "" && isEntry(value, Symbol.toStringTag))) tag = "";
    let keys = keysOf(context, value);
    let base = "", braces = ["{", "}"], entries = () => [], asArray = false, brace = "";
    const kind = kindOf(value);
    if (kind === "Array") {
      keys = keys.filter((key) => typeof key === "symbol" || !/^(0|[1-9]\d*)$/.test(key) || +key >= 2 ** 32 - 1);
      brace = constructor !== "Array" || tag !== "" ? prefixOf(constructor, tag, "Array", `(${value.length})`) : "";
      braces = [`${brace}[`, "]"];
      if (value.length === 0 && keys.length === 0) return `${braces[0]}]`;
      asArray = true;
      entries = () => listEntries(context, value, depth);
    } else if (kind === "Set" || kind === "Map") {
      const size = value.size;
      braces[0] = `${prefixOf(constructor, tag, kind, `(${size})`)}{`;
      if (size === 0 && keys.length === 0) return `${braces[0]}}`;
      entries = () => (kind === "Set" ? setEntries(context, value, depth) : mapEntries(context, value, depth));
    } else if (kind === "TypedArray") {
      keys = keys.filter((key) => typeof key === "symbol" || !/^(0|[1-9]\d*)$/.test(key));
      const name = apply(typedArrayName, value, []);
      braces = [`${prefixOf(constructor, tag, name, `(${value.length})`)}[`, "]"];
      if (value.length === 0 && keys.length === 0) return `${braces[0]}]`;
      asArray = true;
      entries = () => typedEntries(context, value);
    } else if (kind === "Function") {
      base = functionBase(value, constructor, tag);
      if (keys.length === 0) return context.stylize(base, "special");
    } else if (kind === "RegExp") {
      base = context.stylize(RegExp.prototype.toString.call(value), "regexp");
      const name = prefixOf(constructor, tag, "RegExp");
      if (name !== "RegExp ") base = `${name}${base}`;
      if (keys.length === 0) return base;
    } else if (kind === "Date") {
      const shown = Number.isNaN(Date.prototype.getTime.call(value)) ? "Invalid Date" : Date.prototype.toISOString.call(value);
      const name = prefixOf(constructor, tag, "Date");
      base = context.stylize(name !== "Date " ? `${name}${shown}` : shown, "date");
      if (keys.length === 0) return base;
    } else if (kind === "Error") {
      keys = keys.filter((key) => key !== "stack" && key !== "message" && !(key === "name" && String(value.name) !== "" && Object.hasOwn(value, "name")));
      if (Object.hasOwn(value, "cause") && !keys.includes("cause")) keys.push("cause");
      if (Array.isArray(value.errors) && !keys.includes("errors")) keys.push("errors");
      base = errorBase(context, value, constructor);
      if (keys.length === 0) return base;
    } else if (kind === "ArrayBuffer") {
      braces[0] = `${prefixOf(constructor, tag, "ArrayBuffer")}{`;
      entries = () => [
        `${context.stylize("[Uint8Contents]", "special")}: ${contents(context, value)}`,
        `byteLength: ${context.stylize(String(value.byteLength), "number")}`,
      ];
    } else if (kind === "DataView") {
      braces[0] = `${prefixOf(constructor, tag, "DataView")}{`;
      entries = () => ["byteLength", "byteOffset", "buffer"].map((name) => {
        context.indentation += 2;
        const shown = `${name}: ${formatValue(context, value[name], depth + 1)}`;
        context.indentation -= 2;
        return shown;
      });
    } else if (kind === "Weak") {
      braces[0] = `${prefixOf(constructor, tag, tag)}{`;
      entries = () => [context.stylize("<items unknown>", "special")];
    } else if (kind === "Boxed") {
      const inner = value.valueOf();
      const type = typeof inner, name = Object(inner).constructor.name;
      if (type === "string") keys = keys.filter((key) => typeof key === "symbol" || !/^\d+$/.test(key));
      const maker = name === constructor ? "" : constructor === null ? " (null prototype)" : ` (${constructor})`;
      base = `[${name}${maker}: ${primitive({ ...context, stylize: (shown) => shown }, inner)}]`;
      base = context.stylize(base, type);
      if (keys.length === 0) return base;
    } else {
      const prefix = kind === "Arguments" ? "[Arguments] " : constructor === "Object" && tag === "" ? "" : prefixOf(constructor, tag, "Object");
      braces[0] = `${prefix}{`;
      if (keys.length === 0) return `${braces[0]}}`;
    }
    if (depth > context.depth) {
      const name = prefixOf(constructor, tag, kind === "Array" ? "Array" : "Object").slice(0, -1);
      return context.stylize(constructor !== null ? `[${name}]` : `${name.startsWith("[") ? name : `[${name}]`}`, "special");
    }
    context.seen.push(value);
    context.currentDepth = depth;
    const output = entries();
    for (const key of keys) output.push(property(context, value, depth, key, asArray));
    context.seen.pop();
    const reference = context.circular?.get(value);
    if (reference !== undefined) {
      const mark = context.stylize(`<ref *${reference}>`, "special");
      if (context.compact !== true) base = base === "" ? mark : `${mark} ${base}`;
      else braces[0] = `${mark} ${braces[0]}`;
    }
    if (context.sorted) {
      const order = context.sorted === true ? undefined : context.sorted;
      if (!asArray) output.sort(order);
      else if (keys.length > 1) output.splice(output.length - keys.length, keys.length, ...output.slice(output.length - keys.length).sort(order));
    }
    const shown = node.layOut(context, output, base, braces, asArray, depth, value);
    return shown;
  }

  function keysOf(context, value) {
    if (context.showHidden) return ownKeys(value);
    const symbols = Object.getOwnPropertySymbols(value).filter((key) => Object.prototype.propertyIsEnumerable.call(value, key));
    return [...Object.keys(value), ...symbols];
  }

  function kindOf(value) {
    if (isArray(value)) return "Array";
    if (typeof value === "function") return "Function";
    for (const [kind, is] of kinds) if (is(value)) return kind;
    return "Object";
  }
  const { types } = node;
  const kinds = [
    ["Set", types.isSet], ["Map", types.isMap], ["TypedArray", types.isTypedArray], ["Arguments", types.isArgumentsObject],
    ["RegExp", types.isRegExp], ["Date", types.isDate], ["Error", types.isNativeError], ["Error", (value) => value instanceof Error],
    ["ArrayBuffer", types.isAnyArrayBuffer], ["DataView", types.isDataView],
    ["Weak", (value) => types.isWeakSet(value) || types.isWeakMap(value)], ["Boxed", types.isBoxedPrimitive],
  ];

  function functionBase(value, constructor, tag) {
    const source = Function.prototype.toString.call(value);
    if (source.startsWith("class") && source.endsWith("}")) {
      const parent = getPrototypeOf(value);
      let shown = Object.hasOwn(value, "name") && value.name ? `[class ${value.name}` : "[class (anonymous)";
      if (constructor !== "Function" && constructor !== null) shown += ` [${constructor}]`;
      if (tag !== "" && constructor !== tag) shown += ` [${tag}]`;
      if (parent === null) shown += " extends [null prototype]";
      else if (parent.name) shown += ` extends ${parent.name}`;
      return `${shown}]`;
    }
    let type = "Function";
    if (/^async\s*(\*|function\s*\*)/.test(source)) type = "AsyncGeneratorFunction";
    else if (/^async\b/.test(source)) type = "AsyncFunction";
    else if (/^(function\s*\*|\*)/.test(source)) type = "GeneratorFunction";
    let shown = `[${type}`;
    if (constructor === null) shown += " (null prototype)";
    shown += value.name === "" || typeof value.name !== "string" ? " (anonymous)" : `: ${value.name}`;
    shown += "]";
    if (constructor !== type && constructor !== null && constructor !== "Function") shown += ` ${constructor}`;
    if (tag !== "" && constructor !== tag && tag !== type) shown += ` [${tag}]`;
    return shown;
  }

  function errorBase(context, error, constructor) {
    const frames = framesOf(error);
    let name = error.name === undefined ? "Error" : String(error.name);
    const message = String(error.message ?? "");
    // A class of its own that did not give itself a name.
    if (constructor !== null && name === "Error" && constructor !== "Error") name = constructor;
    if (weakHas(coded, error)) name = `${name} [${error.code}]`;
    if (error instanceof GlobalDOMException) name = `DOMException [${name}]`;
    const head = message === "" ? name : `${name}: ${message}`;
    if (frames.length === 0) return `[${head}]`.replaceAll("\n", `\n${" ".repeat(context.indentation)}`);
    const indent = " ".repeat(context.indentation);
    return `${head}${frames.map((frame) => `\n    ${frame}`).join("")}`.replaceAll("\n", `\n${indent}`);
  }

  const moreItems = (count) => `... ${count} more item${count > 1 ? "s" : ""}`;

  function listEntries(context, value, depth) {
    const output = [];
    const most = Math.min(Math.max(0, context.maxArrayLength), value.length);
    let at = 0;
    for (; at < value.length && output.length < most; at++) {
      if (!Object.hasOwn(value, at)) {
        let end = at + 1;
        while (end < value.length && !Object.hasOwn(value, end)) end++;
        output.push(context.stylize(`<${end - at} empty item${end - at > 1 ? "s" : ""}>`, "undefined"));
        at = end - 1;
      } else output.push(property(context, value, depth, at, true));
    }
    if (at < value.length) output.push(moreItems(value.length - at));
    return output;
  }

  function typedEntries(context, value) {
    const most = Math.min(Math.max(0, context.maxArrayLength), value.length);
    const output = [];
    for (let i = 0; i < most; i++) output.push(primitive(context, value[i]));
    if (value.length > most) output.push(moreItems(value.length - most));
    return output;
  }

  function contents(context, buffer) {
    const most = Math.min(Math.max(0, context.maxArrayLength), buffer.byteLength);
    let shown = node.textOf(new Uint8Array(buffer, 0, most), "hex").replace(/(..)(?!$)/g, "$1 ");
    const more = buffer.byteLength - most;
    if (more > 0) shown += ` ... ${more} more byte${more > 1 ? "s" : ""}`;
    return `<${shown}>`;
  }

  function setEntries(context, value, depth) {
    const output = [];
    context.indentation += 2;
    for (const item of Set.prototype.values.call(value)) {
      if (output.length >= context.maxArrayLength) {
        output.push(moreItems(value.size - output.length));
        break;
      }
      output.push(formatValue(context, item, depth + 1));
    }
    context.indentation -= 2;
    return output;
  }

  function mapEntries(context, value, depth) {
    const output = [];
    context.indentation += 2;
    for (const [key, item] of Map.prototype.entries.call(value)) {
      if (output.length >= context.maxArrayLength) {
        output.push(moreItems(value.size - output.length));
        break;
      }
      output.push(`${formatValue(context, key, depth + 1)} => ${formatValue(context, item, depth + 1)}`);
    }
    context.indentation -= 2;
    return output;
  }

  function property(context, value, depth, key, asArray) {
    const inArray = asArray && typeof key === "number";
    const descriptor = getOwnPropertyDescriptor(value, key) ?? { value: value[key], enumerable: true };
    let shown;
    if (descriptor.value !== undefined || !(descriptor.get || descriptor.set)) {
      const step = context.compact !== true || asArray ? 2 : 3;
      context.indentation += step;
      shown = formatValue(context, descriptor.value, depth + 1);
      if (step === 3 && context.breakLength < shown.length) shown = `\n${" ".repeat(context.indentation)}${shown}`;
      context.indentation -= step;
    } else if (descriptor.get !== undefined) {
      const label = descriptor.set !== undefined ? "Getter/Setter" : "Getter";
      if (context.getters === true || (context.getters === "get" && descriptor.set === undefined) || (context.getters === "set" && descriptor.set !== undefined)) {
        context.indentation += 2;
        try {
          const got = descriptor.get.call(value);
          const text = formatValue(context, got, depth + 1);
          shown = got === null || typeof got !== "object"
            ? `${context.stylize(`[${label}:`, "special")} ${text}${context.stylize("]", "special")}`
            : `${context.stylize(`[${label}]`, "special")} ${text}`;
        } catch (error) {
          shown = context.stylize(`[${label}: <Inspection threw (${error?.message})>]`, "special");
        }
        context.indentation -= 2;
      } else shown = context.stylize(`[${label}]`, "special");
    } else shown = context.stylize("[Setter]", "special");
    if (inArray) return shown;
    let name;
    if (typeof key === "symbol") name = `[${context.stylize(String(key), "symbol")}]`;
    else if (descriptor.enumerable === false) name = `[${key}]`;
    else if (key === "__proto__") name = "['__proto__']";
    else if (IDENTIFIER.test(key)) name = key;
    else name = context.stylize(quote(String(key)), "string");
    return `${name}:${shown.startsWith("\n") ? "" : " "}${shown}`;
  }

  inspect.custom = CUSTOM;
  inspect.defaultOptions = DEFAULTS;
  inspect.colors = {
    __proto__: null, reset: [0, 0], bold: [1, 22], dim: [2, 22], italic: [3, 23], underline: [4, 24], inverse: [7, 27], black: [30, 39],
    red: [31, 39], green: [32, 39], yellow: [33, 39], blue: [34, 39], magenta: [35, 39], cyan: [36, 39], white: [37, 39], gray: [90, 39],
    grey: [90, 39],
  };
  inspect.styles = {
    __proto__: null, special: "cyan", number: "yellow", bigint: "yellow", boolean: "yellow", undefined: "grey", null: "bold",
    string: "green", symbol: "green", date: "magenta", regexp: "red", module: "underline",
  };
  node.inspect = inspect;
}
