// Equality of structure: `util.isDeepStrictEqual`, and `assert.deepEqual` with `strict` false.
{
  const same = (a, b, strict) => (strict ? Object.is(a, b) : a == b || (a !== a && b !== b));
  const isObject = (value) => typeof value === "object" && value !== null;

  // `seen`: pairs that are being compared further up; a cycle is equal if all the rest is.
  function deepEqual(a, b, strict, seen) {
    if (a === b) return a !== 0 || !strict || Object.is(a, b);
    if (!isObject(a) || !isObject(b)) {
      if (typeof a === "function" || typeof b === "function" || isObject(a) || isObject(b)) return false;
      return same(a, b, strict);
    }
    if (strict && getPrototypeOf(a) !== getPrototypeOf(b)) return false;
    if (Object.prototype.toString.call(a) !== Object.prototype.toString.call(b)) return false;
    if (isArray(a) !== isArray(b)) return false;
    const { types } = node;
    if (types.isDate(a)) {
      if (!types.isDate(b) || !Object.is(a.getTime(), b.getTime())) return false;
    } else if (types.isRegExp(a)) {
      if (!types.isRegExp(b) || a.source !== b.source || a.flags !== b.flags || a.lastIndex !== b.lastIndex) return false;
    } else if (isError(a) || a instanceof Error) {
      if (!(isError(b) || b instanceof Error) || a.message !== b.message || a.name !== b.name) return false;
      if (!deepEqual(a.cause, b.cause, strict, seen) || !deepEqual(a.errors, b.errors, strict, seen)) return false;
    } else if (ArrayBuffer.isView(a)) {
      if (!ArrayBuffer.isView(b) || a.byteLength !== b.byteLength) return false;
      if (!equalViews(a, b, strict)) return false;
    } else if (types.isAnyArrayBuffer(a)) {
      if (!types.isAnyArrayBuffer(b) || !equalViews(new Uint8Array(a), new Uint8Array(b), true)) return false;
    } else if (types.isBoxedPrimitive(a)) {
      if (!types.isBoxedPrimitive(b) || !Object.is(a.valueOf(), b.valueOf())) return false;
    } else if (types.isBoxedPrimitive(b)) {
      return false;
    } else if ((types.isMap(a) || types.isSet(a)) && !(types.isMap(b) || types.isSet(b))) {
      return false;
    }
    for (let pair = seen; pair !== undefined; pair = pair.above) if (pair.a === a) return pair.b === b;
    const inside = { a, b, above: seen };
    if (isArray(a) && a.length !== b.length) return false;
    if (types.isSet(a) && !(types.isSet(b) && equalSets(a, b, strict, inside))) return false;
    if (types.isMap(a) && !(types.isMap(b) && equalMaps(a, b, strict, inside))) return false;
    return equalKeys(a, b, strict, inside);
  }

  function equalViews(a, b, strict) {
    if (!strict && (a instanceof Float32Array || a instanceof Float64Array)) {
      for (let i = 0; i < a.length; i++) if (!(a[i] == b[i])) return false;
      return a.length === b.length;
    }
    const left = node.asBytes(a), right = node.asBytes(b);
    for (let i = 0; i < left.length; i++) if (left[i] !== right[i]) return false;
    return true;
  }

  const symbolsOf = (value) => Object.getOwnPropertySymbols(value).filter((key) => Object.prototype.propertyIsEnumerable.call(value, key));

  function equalKeys(a, b, strict, seen) {
    const isView = ArrayBuffer.isView(a);
    const own = (value) => {
      const names = Object.keys(value);
      return isView ? names.filter((key) => !/^\d+$/.test(key)) : names;
    };
    const keys = own(a);
    if (keys.length !== own(b).length) return false;
    if (strict) {
      const symbols = symbolsOf(a);
      if (symbols.length !== symbolsOf(b).length) return false;
      keys.push(...symbols);
    }
    for (const key of keys) {
      if (!Object.prototype.propertyIsEnumerable.call(b, key) || !deepEqual(a[key], b[key], strict, seen)) return false;
    }
    return true;
  }

  // The entries of `b` that equal nothing by identity are looked for by structure, each used once.
  function equalSets(a, b, strict, seen) {
    if (a.size !== b.size) return false;
    const left = [...b].filter((item) => !a.has(item));
    for (const item of a) {
      if (b.has(item)) continue;
      if (strict && !isObject(item)) return false;
      const at = left.findIndex((other) => deepEqual(item, other, strict, seen));
      if (at < 0) return false;
      left.splice(at, 1);
    }
    return true;
  }

  function equalMaps(a, b, strict, seen) {
    if (a.size !== b.size) return false;
    const left = [...b].filter(([key]) => !a.has(key));
    for (const [key, value] of a) {
      if (b.has(key)) {
        if (!deepEqual(value, b.get(key), strict, seen)) return false;
        continue;
      }
      if (strict && !isObject(key)) return false;
      const at = left.findIndex(([other, item]) => deepEqual(key, other, strict, seen) && deepEqual(value, item, strict, seen));
      if (at < 0) return false;
      left.splice(at, 1);
    }
    return true;
  }

  node.deepEqual = (a, b, strict) => deepEqual(a, b, strict, undefined);
}
