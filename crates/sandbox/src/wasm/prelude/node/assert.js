// `node:assert`.
{
  const { inspect, deepEqual } = node;
  const LINES_MAX = 40;
  const KINDS = {
    __proto__: null,
    deepStrictEqual: "Expected values to be strictly deep-equal:",
    strictEqual: "Expected values to be strictly equal:",
    deepEqual: "Expected values to be loosely deep-equal:",
    notDeepStrictEqual: 'Expected "actual" not to be strictly deep-equal to:',
    notStrictEqual: 'Expected "actual" to be strictly unequal to:',
    notDeepEqual: 'Expected "actual" not to be loosely deep-equal to:',
  };

  const IN_FULL = { compact: false, customInspect: false, depth: 1000, maxArrayLength: Infinity, breakLength: Infinity, sorted: true, getters: true };
  const shown = (value) => inspect(value, IN_FULL);

  class AssertionError extends Error {
    constructor(options) {
      if (typeof options !== "object" || options === null) throw node.wrongType("options", "of type object", options);
      const { message, operator, actual, expected } = options;
      super(message !== undefined && message !== null ? `${message}` : describeDifference(actual, expected, operator));
      this.generatedMessage = message === undefined || message === null;
      this.code = "ERR_ASSERTION";
      this.actual = actual;
      this.expected = expected;
      this.operator = operator;
      node.hide(this, { name: "AssertionError" });
      weakAdd(coded, this);
      Error.captureStackTrace?.(this, options.stackStartFn ?? options.stackStartFunction);
    }

    toString() {
      return headOf(this);
    }
  }

  function describeDifference(actual, expected, operator) {
    switch (operator) {
      case "strictEqual": case "deepStrictEqual": return difference(actual, expected, operator);
      case "deepEqual": return `${KINDS.deepEqual}\n\n${shown(actual)}\n\nshould loosely deep-equal\n\n${shown(expected)}`;
      case "notDeepStrictEqual": case "notStrictEqual": case "notDeepEqual": {
        const text = shown(actual);
        return text.includes("\n") || text.length > 60 ? `${KINDS[operator]}\n\n${text}${operator === "notDeepEqual" ? "" : "\n"}` : `${KINDS[operator]} ${text}`;
      }
      default: return `${inspect(actual)} ${operator} ${inspect(expected)}`;
    }
  }

  const isPrimitive = (value) => (typeof value !== "object" || value === null) && typeof value !== "function";

  // Lines that only one side has are marked; long stretches that both have are left out.
  function difference(actual, expected, operator) {
    const left = shown(actual).split("\n"), right = shown(expected).split("\n");
    if (left.length === 1 && right.length === 1 && left[0] !== right[0] && isPrimitive(actual) && isPrimitive(expected) && left[0].length + right[0].length <= 80) {
      return `${KINDS[operator]}\n\n${left[0]} !== ${right[0]}\n`;
    }
    if (left.join("\n") === right.join("\n")) {
      const alike = operator === "strictEqual" && !isPrimitive(actual) ? "have same structure but are" : "identical but";
      return `Values ${alike} not reference-equal:\n\n${left.slice(0, LINES_MAX).join("\n")}\n`;
    }
    const lines = [];
    for (const [mark, line] of compareLines(left, right)) {
      if (lines.length >= LINES_MAX) {
        lines.push("...");
        break;
      }
      lines.push(`${mark} ${line}`);
    }
    return `${KINDS[operator]}\n+ actual - expected\n\n${lines.join("\n")}`;
  }

  // The longest common lines, or for long texts what is alike at both ends.
  function compareLines(left, right) {
    let start = 0, end = 0;
    while (start < left.length && start < right.length && left[start] === right[start]) start++;
    while (end < left.length - start && end < right.length - start && left[left.length - 1 - end] === right[right.length - 1 - end]) end++;
    const out = left.slice(0, start).map((line) => [" ", line]);
    const a = left.slice(start, left.length - end), b = right.slice(start, right.length - end);
    if (a.length * b.length > 10_000) out.push(...a.map((line) => ["+", line]), ...b.map((line) => ["-", line]));
    else {
      const table = Array.from({ length: a.length + 1 }, () => new Array(b.length + 1).fill(0));
      for (let i = a.length - 1; i >= 0; i--) {
        for (let j = b.length - 1; j >= 0; j--) {
          table[i][j] = a[i] === b[j] ? table[i + 1][j + 1] + 1 : Math.max(table[i + 1][j], table[i][j + 1]);
        }
      }
      let i = 0, j = 0;
      while (i < a.length || j < b.length) {
        if (i < a.length && j < b.length && a[i] === b[j]) out.push([" ", a[(j++, i++)]]);
        else if (j >= b.length || (i < a.length && table[i + 1][j] >= table[i][j + 1])) out.push(["+", a[i++]]);
        else out.push(["-", b[j++]]);
      }
    }
    out.push(...left.slice(left.length - end).map((line) => [" ", line]));
    return out;
  }

  function fail(actual, expected, message, operator, stackStartFn) {
    if (isError(message) || message instanceof Error) throw message;
    throw new AssertionError({ actual, expected, message, operator, stackStartFn });
  }

  function ok(...items) {
    truthy(ok, items.length, items[0], items[1]);
  }
  function truthy(from, count, value, message) {
    if (value) return;
    let generated;
    if (count === 0) generated = "No value argument passed to `assert.ok()`";
    else if (message === undefined || message === null) generated = "The expression evaluated to a falsy value";
    if (isError(message) || message instanceof Error) throw message;
    const error = new AssertionError({ actual: value, expected: true, message: generated ?? message, operator: "==", stackStartFn: from });
    error.generatedMessage = generated !== undefined;
    throw error;
  }

  // Does the error fit a class, a pattern, a function of ours, or an object's properties?
  function matchError(error, expected, message, from) {
    if (expected === undefined) return;
    const name = from.name;
    if (typeof expected === "function") {
      if (expected.prototype !== undefined && error instanceof expected) return;
      if (isError(expected.prototype) || expected === Error || Error.isPrototypeOf(expected)) {
        if (message !== undefined) fail(error, expected, message, name, from);
        const told = error instanceof Error ? `"${error.constructor?.name}"\n\nError message:\n\n${error.message}` : `"${inspect(error, { depth: -1 })}"`;
        fail(error, expected, `The error is expected to be an instance of "${expected.name}". Received ${told}`, name, from);
      }
      const verdict = expected.call({}, error);
      if (verdict === true) return;
      const which = expected.name ? `"${expected.name}" ` : "", caught = error instanceof Error ? `\n\nCaught error:\n\n${error}` : "";
      const told = `The ${which}validation function is expected to return "true". Received ${inspect(verdict)}${caught}`;
      fail(error, expected, message ?? told, name, from);
    }
    if (node.types.isRegExp(expected)) {
      if (expected.test(String(error))) return;
      fail(error, expected, message ?? `The input did not match the regular expression ${inspect(expected)}. Input:\n\n${inspect(String(error))}\n`, name, from);
    }
    if (typeof expected !== "object" || expected === null) throw node.wrongType("expected", "of type function or an instance of Error, RegExp, or Object", expected);
    if (typeof error !== "object" || error === null) fail(error, expected, message, "deepStrictEqual", from);
    const keys = Object.keys(expected);
    if (expected instanceof Error) keys.push("name", "message");
    else if (keys.length === 0) throw node.wrongValue("error", expected, "may not be an empty object");
    for (const key of keys) {
      if (typeof error[key] === "string" && node.types.isRegExp(expected[key]) && expected[key].test(error[key])) continue;
      if (key in error && deepEqual(error[key], expected[key], true)) continue;
      const pick = (source) => Object.fromEntries(keys.filter((name) => name in source).map((name) => [name, source[name]]));
      fail(error, expected, message ?? difference(pick(error), pick(expected), "deepStrictEqual"), name, from);
    }
  }

  const NOTHING = Symbol("no exception");
  function caughtBy(fn) {
    node.needFunction("fn", fn);
    try {
      fn();
    } catch (error) {
      return error;
    }
    return NOTHING;
  }
  async function rejectionOf(promiseFn) {
    let promise = promiseFn;
    if (typeof promiseFn === "function") {
      promise = promiseFn();
      if (typeof promise?.then !== "function") {
        const got = promise === undefined ? "undefined" : `type ${typeof promise}`;
        const told = `Expected instance of Promise to be returned from the "promiseFn" function but got ${got}.`;
        throw node.error(TypeError, "ERR_INVALID_RETURN_VALUE", told);
      }
    } else if (typeof promise?.then !== "function") throw node.wrongType("promiseFn", "of type function or an instance of Promise", promiseFn);
    try {
      await promise;
    } catch (error) {
      return error;
    }
    return NOTHING;
  }
  function expectsError(from, error, expected, message) {
    if (typeof expected === "string") {
      if (message !== undefined) throw node.wrongType("error", "of type function or an instance of Error, RegExp, or Object", expected);
      [message, expected] = [expected, undefined];
    }
    if (error === NOTHING) {
      const what = from.name === "rejects" ? "rejection" : "exception";
      const details = `${expected?.name ? ` (${expected.name})` : ""}${message ? `: ${message}` : "."}`;
      if (isError(message)) throw message;
      throw new AssertionError({ expected, operator: from.name, message: `Missing expected ${what}${details}`, stackStartFn: from });
    }
    matchError(error, expected, message, from);
  }
  function expectsNone(from, error, expected, message) {
    if (error === NOTHING) return;
    if (typeof expected === "string") [message, expected] = [expected, undefined];
    const fits = expected === undefined || (typeof expected === "function" ? error instanceof expected : node.types.isRegExp(expected) && expected.test(String(error)));
    if (!fits) throw error;
    const what = from.name === "doesNotReject" ? "rejection" : "exception";
    const told = `Got unwanted ${what}${message ? `: ${message}` : "."}\nActual message: "${error?.message}"`;
    throw new AssertionError({ actual: error, expected, operator: from.name, message: told, stackStartFn: from });
  }

  const needTwo = (items) => {
    if (items.length < 2) throw node.error(TypeError, "ERR_MISSING_ARGS", 'The "actual" and "expected" arguments must be specified');
  };
  const comparison = (operator, passes) => {
    const named = { [operator](...items) {
      needTwo(items);
      const [actual, expected, message] = items;
      if (!passes(actual, expected)) fail(actual, expected, message, operator === "equal" ? "==" : operator === "notEqual" ? "!=" : operator, named);
    } }[operator];
    return named;
  };

  function make(strict) {
    const assert = (...items) => truthy(assert, items.length, items[0], items[1]);
    const all = {
      fail(message) {
        if (isError(message) || message instanceof Error) throw message;
        throw Object.assign(new AssertionError({ message: message ?? "Failed", operator: "fail", stackStartFn: all.fail }), { generatedMessage: message === undefined });
      },
      AssertionError,
      ok,
      equal: comparison("equal", (a, b) => a == b || (a !== a && b !== b)),
      notEqual: comparison("notEqual", (a, b) => !(a == b || (a !== a && b !== b))),
      deepEqual: comparison("deepEqual", (a, b) => deepEqual(a, b, false)),
      notDeepEqual: comparison("notDeepEqual", (a, b) => !deepEqual(a, b, false)),
      deepStrictEqual: comparison("deepStrictEqual", (a, b) => deepEqual(a, b, true)),
      notDeepStrictEqual: comparison("notDeepStrictEqual", (a, b) => !deepEqual(a, b, true)),
      strictEqual: comparison("strictEqual", Object.is),
      notStrictEqual: comparison("notStrictEqual", (a, b) => !Object.is(a, b)),
      throws(fn, ...rest) { expectsError(all.throws, caughtBy(fn), ...rest); },
      async rejects(promise, ...rest) { expectsError(all.rejects, await rejectionOf(promise), ...rest); },
      doesNotThrow(fn, ...rest) { expectsNone(all.doesNotThrow, caughtBy(fn), ...rest); },
      async doesNotReject(promise, ...rest) { expectsNone(all.doesNotReject, await rejectionOf(promise), ...rest); },
      ifError(value) {
        if (value === null || value === undefined) return;
        const told = `ifError got unwanted exception: ${value?.message || inspect(value)}`;
        throw new AssertionError({ actual: value, expected: null, operator: "ifError", message: told, stackStartFn: all.ifError });
      },
      match(text, pattern, message) { matching(text, pattern, message, true, all.match); },
      doesNotMatch(text, pattern, message) { matching(text, pattern, message, false, all.doesNotMatch); },
    };
    if (strict) Object.assign(all, { equal: all.strictEqual, notEqual: all.notStrictEqual, deepEqual: all.deepStrictEqual, notDeepEqual: all.notDeepStrictEqual });
    return Object.assign(assert, all);
  }
  function matching(text, pattern, message, wanted, from) {
    if (!node.types.isRegExp(pattern)) throw node.wrongType("regexp", "an instance of RegExp", pattern);
    if (typeof text === "string" && pattern.test(text) === wanted) return;
    if (isError(message)) throw message;
    const what = wanted ? "The input did not match the regular expression" : "The input was expected to not match the regular expression";
    const told = typeof text !== "string" ? `The "string" argument must be of type string.${node.received(text)}`
      : `${what} ${inspect(pattern)}. Input:\n\n${inspect(text)}\n`;
    const error = new AssertionError({ actual: text, expected: pattern, message: message ?? told, operator: from.name, stackStartFn: from });
    error.generatedMessage = message === undefined;
    throw error;
  }

  const loose = make(false), strict = make(true);
  loose.strict = strict.strict = strict;
  builtins.assert = () => loose;
  builtins["assert/strict"] = () => strict;
}
