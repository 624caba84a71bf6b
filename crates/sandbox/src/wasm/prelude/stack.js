// Stacks as Node.js has them: `Name: message` and a line for each frame of the tenant's. The engine keeps frames alone, as
// text or, while the tenant has a handler of its own (`Error.prepareStackTrace`), as call sites. What `stack` answers is
// made when it is read, so that an error whose stack nobody reads costs what it costs the engine.
//
// A call site would hand out the function it stands for: those of this prelude too. Where and by what name is all that
// it tells, and those of the prelude and of wrappers (wrapper.js) are left out.
const engineStack = getOwnPropertyDescriptor(GlobalError.prototype, "stack");
const enginePrepare = getOwnPropertyDescriptor(GlobalError, "prepareStackTrace");
const engineCapture = GlobalError.captureStackTrace;
// Errors whose stack is what the tenant's handler gave, and the engine's text of those that had it in a property.
const prepared = new WeakSet(), engineTexts = new WeakMap();
// Errors whose code stands beside their name (node/builtins.js).
const coded = new WeakSet();
let prepareStack;

// `TypeError: no`, as Error.prototype.toString says it.
function headOf(error) {
  const { name, message } = error;
  let head = name === undefined ? "Error" : GlobalString(name);
  if (weakHas(coded, error)) head += ` [${GlobalString(error.code)}]`;
  const told = message === undefined ? "" : GlobalString(message);
  return head === "" ? told : told === "" ? head : `${head}: ${told}`;
}

// The tenant's frames of a text, as `at handler (index.mjs:3:11)`: the prelude's own left out, what the prelude called of the
// engine, and whatever lies below the tenant's last frame, which is only how the prelude called it.
function framesIn(text, hidesWrappers) {
  const frames = [];
  let count = 0, natives = 0;
  const lines = cut(text, "\n");
  for (let i = 0; i < lines.length; i++) {
    const line = trim(lines[i]);
    if (!startsWith(line, "at ")) continue;
    if (indexOf(line, "sublet:") >= 0 || (hidesWrappers && indexOf(line, OPT) >= 0 && isHidden("", placeOf(line)))) {
      count -= natives;
      natives = 0;
      continue;
    }
    defineProperty(frames, count++, { value: line, enumerable: true, writable: true, configurable: true });
    natives = endsWith(line, "(native)") ? natives + 1 : 0;
  }
  frames.length = count - natives;
  return frames;
}

// `index.mjs:3:11` of a frame.
function placeOf(frame) {
  const open = lastIndexOf(frame, "(");
  return open < 0 ? slice(frame, 3) : slice(frame, open + 1, -1);
}

function stackText(error, text) {
  let stack = "Error";
  try { stack = headOf(error); } catch {}
  // As a rule the prelude's is the last line alone, and what is above it stands there as it should.
  const ours = indexOf(text, "sublet:");
  if (ours > 0 && indexOf(text, "\n", ours) === text.length - 1 && indexOf(text, OPT) < 0 && indexOf(text, "(native)") < 0) {
    const end = lastIndexOf(text, "\n", ours);
    return end < 0 ? stack : `${stack}\n${slice(text, 0, end)}`;
  }
  const frames = framesIn(text, true);
  for (let i = 0; i < frames.length; i++) stack += `\n    ${frames[i]}`;
  return stack;
}

const setStack = (object, value) => defineProperty(object, "stack", { __proto__: null, value, writable: true, configurable: true, enumerable: false });

// What has the engine's text in a property of its own gets ours: an error when it is read, for it may get its name after this.
function tellStack(object) {
  const text = getOwnPropertyDescriptor(object, "stack")?.value;
  if (typeof text !== "string" || typeof prepareStack === "function") return object;
  if (!(object instanceof GlobalError)) setStack(object, stackText(object, text));
  else {
    weakSet(engineTexts, object, text);
    // A DOMException without the property would get it anew wherever it is thrown.
    if (object instanceof GlobalDOMException) defineProperty(object, "stack", stackMember);
    else deleteProperty(object, "stack");
  }
  return object;
}

const stackMember = { __proto__: null, ...getOwnPropertyDescriptor({
  get stack() {
    const again = weakGet(engineTexts, this);
    if (again !== undefined) return stackText(this, again);
    const text = apply(engineStack.get, this, []);
    return typeof text !== "string" || weakHas(prepared, this) ? text : stackText(this, text);
  },
  // Anything, as in V8; the engine takes text alone.
  set stack(value) {
    if (!setStack(this, value)) throw new GlobalTypeError("the error's stack cannot be set");
  },
}, "stack"), enumerable: false };
defineProperty(GlobalError.prototype, "stack", stackMember);

const { captureStackTrace } = {
  captureStackTrace(target, from) {
    apply(engineCapture, GlobalError, [target, typeof from === "function" ? from : captureStackTrace]);
    tellStack(target);
  },
};
defineProperty(GlobalError, "captureStackTrace", { value: captureStackTrace });

// The engine puts the frames of a DOMException into a property of its own.
const ToldDOMException = new Proxy(GlobalDOMException, {
  __proto__: null,
  construct: (Class, given, made) => tellStack(construct(Class, given, made)),
});
defineProperty(GlobalDOMException.prototype, "constructor", { value: ToldDOMException });
defineProperty(globalThis, "DOMException", { value: ToldDOMException });

{
  const sites = [];
  apply(enginePrepare.set, GlobalError, [(error, found) => { defineProperty(sites, 0, { value: found[0] }); }]);
  new GlobalError("for its call sites");
  apply(enginePrepare.set, GlobalError, [undefined]);
  const Site = getPrototypeOf(sites[0]);
  const { getFileName, getFunctionName, getLineNumber, getColumnNumber, isNative } = Site;
  const fileNameOf = uncurried(getFileName), isNativeSite = uncurried(isNative);
  const methods = {
    getFunction: () => undefined,
    getThis: () => undefined,
    getTypeName: () => null,
    getMethodName: () => null,
    getEvalOrigin: () => undefined,
    getScriptNameOrSourceURL() { return apply(getFileName, this, []); },
    isToplevel: () => false,
    isEval: () => false,
    isAsync: () => false,
    toString() {
      const name = apply(getFunctionName, this, []), file = apply(getFileName, this, []);
      const place = apply(isNative, this, []) ? "native" : `${file}:${apply(getLineNumber, this, [])}:${apply(getColumnNumber, this, [])}`;
      return `${name || "<anonymous>"} (${place})`;
    },
  };
  for (const name of ownKeys(methods)) defineProperty(Site, name, { value: methods[name], writable: true, configurable: true });

  const prepare = (error, found) => {
    const kept = [];
    let count = 0, natives = 0;
    for (let i = 0; i < found.length; i++) {
      const name = fileNameOf(found[i]);
      if (typeof name === "string" && (startsWith(name, "sublet:") || isHidden("", name))) {
        count -= natives;
        natives = 0;
        continue;
      }
      defineProperty(kept, count++, { value: found[i], enumerable: true, writable: true, configurable: true });
      natives = isNativeSite(found[i]) ? natives + 1 : 0;
    }
    kept.length = count;
    weakAdd(prepared, error);
    return apply(prepareStack, GlobalError, [error, kept]);
  };
  defineProperty(GlobalError, "prepareStackTrace", {
    enumerable: false,
    get: () => prepareStack,
    set: (value) => {
      prepareStack = value;
      apply(enginePrepare.set, GlobalError, [typeof value === "function" ? prepare : undefined]);
    },
  });
}
