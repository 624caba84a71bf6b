// `node:util`.
{
  const { inspect } = node;
  const CUSTOM_PROMISE = Symbol.for("nodejs.util.promisify.custom");

  // `inspect` as `%s` shows: no quotes, and an object's own toString if it has one.
  function asText(value) {
    switch (typeof value) {
      case "bigint": return `${value}n`;
      case "number": return Object.is(value, -0) ? "-0" : `${value}`;
      case "string": return value;
      case "object": case "function": {
        if (value === null) return "null";
        if (typeof value === "function" || isError(value) || value instanceof Error) return String(value);
        if (typeof value.toString === "function" && (Object.hasOwn(value, "toString") || !isBuiltIn(value))) return String(value);
        return inspect(value, { depth: 0, colors: false, compact: 3 });
      }
      default: return String(value);
    }
  }
  const isBuiltIn = (value) => {
    let holder = value;
    while (holder !== null && !Object.hasOwn(holder, "constructor")) holder = getPrototypeOf(holder);
    return holder === null || /\{\s*\[native code\]\s*\}$/.test(Function.prototype.toString.call(holder.constructor));
  };

  function toNumber(value) {
    if (typeof value === "bigint") return `${value}n`;
    if (typeof value === "symbol") return "NaN";
    return inspect(Number(value));
  }
  function toInteger(value) {
    if (typeof value === "bigint") return `${value}n`;
    if (typeof value === "symbol") return "NaN";
    return inspect(Math.trunc(parseInt(value)));
  }
  const toJson = (value) => {
    try {
      return JSON.stringify(value);
    } catch (error) {
      if (/circular/i.test(error.message)) return "[Circular]";
      throw error;
    }
  };

  function formatWithOptions(options, ...items) {
    let text = "", next = 0;
    if (typeof items[0] === "string" && items.length > 1) {
      next = 1;
      text = items[0].replace(/%([sdifjoOc%])/g, (whole, directive) => {
        if (directive === "%") return "%";
        if (next >= items.length) return whole;
        const item = items[next++];
        switch (directive) {
          case "s": return asText(item);
          case "d": return toNumber(item);
          case "i": return toInteger(item);
          case "f": return typeof item === "symbol" ? "NaN" : inspect(parseFloat(item));
          case "j": return toJson(item);
          case "o": return inspect(item, { ...options, showHidden: true, showProxy: true, depth: 4 });
          case "O": return inspect(item, options);
          default: return "";
        }
      });
    } else if (items.length === 1 && typeof items[0] === "string") return items[0];
    for (let i = next; i < items.length; i++) {
      text += (i > 0 ? " " : "") + (typeof items[i] === "string" ? items[i] : inspect(items[i], options));
    }
    return text;
  }
  const formatText = (...items) => formatWithOptions(undefined, ...items);
  node.format = formatText;

  function promisify(original) {
    node.needFunction("original", original);
    const own = original[CUSTOM_PROMISE];
    if (own !== undefined) {
      node.needFunction("util.promisify.custom", own);
      return Object.defineProperty(own, CUSTOM_PROMISE, { value: own, configurable: true });
    }
    function promised(...items) {
      return new Promise((resolvePromise, reject) => {
        Reflect.apply(original, this, [...items, (error, ...values) => (error ? reject(error) : resolvePromise(values[0]))]);
      });
    }
    Object.setPrototypeOf(promised, getPrototypeOf(original));
    Object.defineProperty(promised, CUSTOM_PROMISE, { value: promised, configurable: true });
    return Object.defineProperties(promised, Object.getOwnPropertyDescriptors(original));
  }
  promisify.custom = CUSTOM_PROMISE;

  function callbackify(original) {
    node.needFunction("original", original);
    function called(...items) {
      const done = items.pop();
      node.needFunction("last argument", done);
      Reflect.apply(original, this, items).then(
        (value) => queueMicrotask(() => done(null, value)),
        (reason) => queueMicrotask(() => {
          if (reason) return done(reason);
          const error = node.error(Error, "ERR_FALSY_VALUE_REJECTION", "Promise was rejected with falsy value");
          error.reason = reason;
          return done(error);
        }),
      );
    }
    const described = Object.getOwnPropertyDescriptors(original);
    if (typeof described.length?.value === "number") described.length.value++;
    if (typeof described.name?.value === "string") described.name.value += "Callbackified";
    return Object.defineProperties(called, described);
  }

  function inherits(constructor, superConstructor) {
    if (constructor === undefined || constructor === null) throw node.wrongType("ctor", "of type function", constructor);
    if (superConstructor === undefined || superConstructor === null) throw node.wrongType("superCtor", "of type function", superConstructor);
    if (superConstructor.prototype === undefined) throw node.wrongType("superCtor.prototype", "of type object", superConstructor.prototype);
    Object.defineProperty(constructor, "super_", { value: superConstructor, writable: true, configurable: true });
    Object.setPrototypeOf(constructor.prototype, superConstructor.prototype);
  }

  const warned = new Set();
  function deprecate(original, message, code) {
    let said = false;
    function deprecated(...items) {
      if (!said) {
        said = true;
        if (code === undefined || !warned.has(code)) {
          warned.add(code);
          node.process.emitWarning(message, "DeprecationWarning", code);
        }
      }
      return new.target ? Reflect.construct(original, items, new.target) : Reflect.apply(original, this, items);
    }
    Object.setPrototypeOf(deprecated, original);
    if (original.prototype) deprecated.prototype = original.prototype;
    return deprecated;
  }

  // FORCE_COLOR and the like do not matter here: the log has no colours.
  const stripVTControlCharacters = (text) => {
    node.needString("str", text);
    // Operating system commands (up to a bell), and control sequences.
    return text.replace(/\u001b\][^\u0007]*\u0007|[\u001b\u009b][[\]()#;?]*[\d;]*[A-Za-z@~=<>]/g, "");
  };
  function styleText(style, text) {
    const styles = isArray(style) ? style : [style];
    return styles.reduceRight((inner, name) => {
      const codes = inspect.colors[name];
      if (codes === undefined) throw node.wrongValue("format", name);
      return `\u001b[${codes[0]}m${inner}\u001b[${codes[1]}m`;
    }, text);
  }

  const exports = {
    inspect, format: formatText, formatWithOptions, promisify, callbackify, inherits, deprecate, types: node.types,
    isDeepStrictEqual: (a, b) => node.deepEqual(a, b, true),
    stripVTControlCharacters, styleText, TextEncoder, TextDecoder,
    toUSVString: (value) => `${value}`.toWellFormed(),
    debuglog: () => Object.assign(() => {}, { enabled: false }),
    aborted: (signal) => new Promise((done) => (signal.aborted ? done() : signal.addEventListener("abort", () => done(), { once: true }))),
    // Deprecated, and still used.
    isArray,
    isBoolean: (value) => typeof value === "boolean",
    isBuffer: (value) => Buffer.isBuffer(value),
    isDate: node.types.isDate,
    isError: (value) => isError(value) || value instanceof Error,
    isFunction: (value) => typeof value === "function",
    isNull: (value) => value === null,
    isNullOrUndefined: (value) => value === null || value === undefined,
    isNumber: (value) => typeof value === "number",
    isObject: (value) => value !== null && typeof value === "object",
    isPrimitive: (value) => value === null || (typeof value !== "object" && typeof value !== "function"),
    isRegExp: node.types.isRegExp,
    isString: (value) => typeof value === "string",
    isSymbol: (value) => typeof value === "symbol",
    isUndefined: (value) => value === undefined,
    log: (...items) => console.log(...items),
    _extend: (target, source) => (source !== null && typeof source === "object" ? Object.assign(target, source) : target),
  };
  exports.debug = exports.debuglog;
  builtins.util = () => exports;
}
