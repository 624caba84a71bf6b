// `util.types`: what a value is, by what only such a value can do, whatever its prototype says.
{
  const object = (test) => (value) => typeof value === "object" && value !== null && test(value);
  const tagged = (tag) => object((value) => Object.prototype.toString.call(value) === tag);
  const fromSource = (pattern) => (value) => typeof value === "function" && pattern.test(Function.prototype.toString.call(value));
  const isDataView = is(getterOf(DataView, "buffer"));
  const isBoxed = (Class) => object(is(Class.prototype.valueOf));

  const types = {
    isDate: (value) => isDate(value),
    isRegExp: (value) => isRegExp(value),
    isMap: (value) => isMap(value),
    isSet: (value) => isSet(value),
    isWeakMap: (value) => isWeakMap(value),
    isWeakSet: (value) => isWeakSet(value),
    isNativeError: (value) => isError(value),
    // `then` would call what a subclass put there; asking for the state of a promise is not possible.
    isPromise: object((value) => value instanceof Promise),
    isArrayBuffer: (value) => isArrayBuffer(value),
    isSharedArrayBuffer: (value) => isSharedBuffer(value),
    isAnyArrayBuffer: (value) => isArrayBuffer(value) || isSharedBuffer(value),
    isArrayBufferView: (value) => ArrayBuffer.isView(value),
    isDataView: (value) => isDataView(value),
    isTypedArray: (value) => apply(typedArrayName, value, []) !== undefined,
    isNumberObject: isBoxed(Number),
    isStringObject: isBoxed(String),
    isBooleanObject: isBoxed(Boolean),
    isBigIntObject: isBoxed(BigInt),
    isSymbolObject: isBoxed(Symbol),
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
    isCryptoKey: (value) => value instanceof globalThis.CryptoKey,
  };
  for (const element of ["Uint8", "Uint8Clamped", "Uint16", "Uint32", "Int8", "Int16", "Int32", "Float32", "Float64", "BigInt64", "BigUint64"]) {
    const name = `${element}Array`;
    types[`is${name}`] = (value) => apply(typedArrayName, value, []) === name;
  }
  node.types = types;
  builtins["util/types"] = () => types;
}
