// The `node:` modules that libraries import, by name, each as a thunk that gives its exports. modules.js asks here for
// what it does not find in the package: `node:buffer` and `buffer` are the same.
//
// The files of this folder are blocks of one function, so that their names do not meet; what one needs of another hangs
// on `node`. They make their objects when the prelude runs, not at the first import: there they lie in the base image,
// which all functions share, and cost neither a deploy nor an attempt anything.
const builtins = { __proto__: null };
const node = { __proto__: null };

{
  // As Node words it, since libraries' tests and people's eyes compare.
  node.received = (value) => {
    if (value === null || value === undefined) return ` Received ${value}`;
    if (typeof value === "function") return ` Received function ${value.name}`;
    if (typeof value === "object") {
      const name = value.constructor?.name;
      return name ? ` Received an instance of ${name}` : ` Received ${node.inspect(value, { depth: -1 })}`;
    }
    let shown = node.inspect(value, { colors: false });
    if (shown.length > 28) shown = `${shown.slice(0, 25)}...`;
    return ` Received type ${typeof value} (${shown})`;
  };

  // An error with Node's `code`, which is what libraries look at, and which stands beside the name wherever it is shown.
  node.error = (Class, code, message) => {
    const error = new Class(message);
    defineProperty(error, "code", { value: code, enumerable: true, writable: true, configurable: true });
    node.hide(error, { toString() { return headOf(this); } });
    weakAdd(coded, error);
    return error;
  };

  node.wrongType = (name, expected, value) => {
    const what = name.includes(".") ? "property" : "argument";
    return node.error(TypeError, "ERR_INVALID_ARG_TYPE", `The "${name}" ${what} must be ${expected}.${node.received(value)}`);
  };

  node.wrongValue = (name, value, reason = "is invalid") => {
    const what = name.includes(".") ? "property" : "argument";
    let shown = node.inspect(value);
    if (shown.length > 128) shown = `${shown.slice(0, 128)}...`;
    return node.error(TypeError, "ERR_INVALID_ARG_VALUE", `The ${what} '${name}' ${reason}. Received ${shown}`);
  };

  node.outOfRange = (name, range, value) => {
    const isLarge = typeof value === "bigint" ? value > 2n ** 32n || value < -(2n ** 32n) : Number.isInteger(value) && Math.abs(value) > 2 ** 32;
    const shown = isLarge ? `${grouped(String(value))}${typeof value === "bigint" ? "n" : ""}` : node.inspect(value);
    return node.error(RangeError, "ERR_OUT_OF_RANGE", `The value of "${name}" is out of range. It must be ${range}. Received ${shown}`);
  };

  function grouped(digits) {
    return digits.replace(/\B(?=(\d{3})+(?!\d))/g, "_");
  }

  node.needFunction = (name, value) => {
    if (typeof value !== "function") throw node.wrongType(name, "of type function", value);
  };

  node.needString = (name, value) => {
    if (typeof value !== "string") throw node.wrongType(name, "of type string", value);
  };

  // What is elsewhere and not here.
  node.absent = (what) => `${what} is not available in this runtime; see docs/runtime-js.md`;
  node.notSupported = (what) => node.error(Error, "ERR_FEATURE_UNAVAILABLE_ON_PLATFORM", node.absent(what));

  // Properties that `for…in` and `Object.keys` do not show.
  node.hide = (target, properties) => {
    for (const name of Reflect.ownKeys(properties)) defineProperty(target, name, { value: properties[name], writable: true, configurable: true, enumerable: false });
  };

  // A request holds at most so many bytes; the host refuses more.
  node.REQUEST_BYTES_MAX = 1024 * 1024;
}
