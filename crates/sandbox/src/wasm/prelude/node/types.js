// `util.types`: what a value is, by what only such a value can do, whatever its prototype says.
{
  const works = (method, ...rest) => (value) => {
    try {
      apply(method, value, rest);
      return true;
    } catch {
      return false;
    }
  };
  const getter = (Class, name) => getOwnPropertyDescriptor(Class.prototype, name).get;
  const object = (is) => (value) => typeof value === "object" && value !== null && is(value);
  const TypedArray = getPrototypeOf(Uint8Array);
  const typedName = getOwnPropertyDescriptor(TypedArray.prototype, Symbol.toStringTag).get;
  const boxed = (Class) => object(works(Class.prototype.valueOf));
  const tagged = (tag) => object((value) => Object.prototype.toString.call(value) === tag);
  const fromSource = (pattern) => (value) => typeof value === "function" && pattern.test(Function.prototype.toString.call(value));
  // Looking at a key is enough, and changes nothing.
  const key = {};

  const types = {
    isDate: object(works(Date.prototype.getTime)),
    isRegExp: object((value) => value instanceof RegExp || works(getter(RegExp, "source"))(value) && value !== RegExp.prototype),
    isMap: object(works(getter(Map, "size"))),
    isSet: object(works(getter(Set, "size"))),
    isWeakMap: object(works(WeakMap.prototype.has, key)),
    isWeakSet: object(works(WeakSet.prototype.has, key)),
    isNativeError: (value) => isError(value),
    // `then` would call what a subclass put there; asking for the state of a promise is not possible.
    isPromise: object((value) => value instanceof Promise),
    isArrayBuffer: object(works(getter(ArrayBuffer, "byteLength"))),
    isSharedArrayBuffer: object(works(getter(SharedArrayBuffer, "byteLength"))),
    isAnyArrayBuffer: (value) => types.isArrayBuffer(value) || types.isSharedArrayBuffer(value),
    isArrayBufferView: (value) => ArrayBuffer.isView(value),
    isDataView: object(works(getter(DataView, "buffer"))),
    isTypedArray: (value) => apply(typedName, value, []) !== undefined,
    isNumberObject: boxed(Number),
    isStringObject: boxed(String),
    isBooleanObject: boxed(Boolean),
    isBigIntObject: boxed(BigInt),
    isSymbolObject: boxed(Symbol),
    isBoxedPrimitive: object((value) => ["Number", "String", "Boolean", "BigInt", "Symbol"].some((name) => types[`is${name}Object`](value))),
    isAsyncFunction: fromSource(/^async\b/),
    isGeneratorFunction: fromSource(/^(?:async\s*)?(?:function\s*\*|\*)/),
    isGeneratorObject: object((value) => /^\[object (?:Async)?Generator\]$/.test(Object.prototype.toString.call(value)) && !Object.hasOwn(value, Symbol.toStringTag)),
    isMapIterator: tagged("[object Map Iterator]"),
    isSetIterator: tagged("[object Set Iterator]"),
    isArgumentsObject: object((value) => !(Symbol.toStringTag in value) && Object.prototype.toString.call(value) === "[object Arguments]"),
    isModuleNamespaceObject: object((value) => getPrototypeOf(value) === null && !Object.isExtensible(value)
      && getOwnPropertyDescriptor(value, Symbol.toStringTag)?.value === "Module"),
    // Nothing that a script can do tells a proxy from its target.
    isProxy: () => false,
    isExternal: () => false,
    isKeyObject: () => false,
    isCryptoKey: (value) => globalThis.CryptoKey !== undefined && value instanceof globalThis.CryptoKey,
  };
  for (const element of ["Uint8", "Uint8Clamped", "Uint16", "Uint32", "Int8", "Int16", "Int32", "Float32", "Float64", "BigInt64", "BigUint64"]) {
    const name = `${element}Array`;
    types[`is${name}`] = (value) => apply(typedName, value, []) === name;
  }
  node.types = types;
  builtins["util/types"] = () => types;
}
