// `process` as far as pure libraries ask for it, and what goes with it: timers, perf_hooks, os, console.
// Versions say Node's, because libraries choose their paths by them; what is not Node is under `sublet`.
let tellOfRejection;
{
  const NODE_VERSION = "20.0.0";
  const { micros } = host, { performance } = globalThis;
  const exitError = (code) => node.error(Error, "ERR_PROCESS_EXIT", `process.exit(${code ?? ""}) was called: a function ends by returning or throwing`);
  const output = (level) => {
    let line = "";
    const write = (piece, encoding, done) => {
      line += typeof piece === "string" ? piece : node.textOf(node.asBytes(piece), "utf8");
      const parts = line.split("\n");
      line = parts.pop();
      for (const part of parts) host.log(`${level} ${part}`);
      // There is no "flush" at the end of an attempt: what has no line feed yet is a line now.
      if (line !== "") host.log(`${level} ${line}`);
      line = "";
      const callback = typeof encoding === "function" ? encoding : done;
      if (typeof callback === "function") queueMicrotask(() => callback());
      return true;
    };
    const stream = { write, end: (piece) => void (piece === undefined || write(piece)), isTTY: false, writable: true, columns: 80, fd: level === "INFO" ? 1 : 2 };
    return without(stream);
  };

  // An emitter of events that never happen.
  const LISTENING = [
    "on", "once", "off", "addListener", "removeListener", "removeAllListeners", "prependListener", "prependOnceListener", "setMaxListeners",
  ];
  function without(emitter) {
    for (const name of LISTENING) emitter[name] = () => emitter;
    return Object.assign(emitter, { emit: () => false, listenerCount: () => 0, listeners: () => [], eventNames: () => [], getMaxListeners: () => 10 });
  }

  // [seconds, nanoseconds], from an arbitrary start.
  function hrtime(before) {
    const now = micros();
    let seconds = Math.floor(now / 1e6), nanos = Math.round((now % 1e6) * 1000);
    if (before !== undefined) {
      if (!isArray(before)) throw node.wrongType("time", "an instance of Array", before);
      seconds -= before[0];
      nanos -= before[1];
      if (nanos < 0) {
        seconds--;
        nanos += 1e9;
      }
    }
    return [seconds, nanos];
  }
  hrtime.bigint = () => BigInt(Math.round(micros())) * 1000n;

  const process = {
    title: "sublet",
    version: `v${NODE_VERSION}`,
    versions: { node: NODE_VERSION, quickjs: "ng" },
    release: { name: "node" },
    arch: "wasm32",
    platform: "linux",
    argv: [],
    argv0: "sublet",
    execArgv: [],
    execPath: "/sublet",
    pid: 1,
    ppid: 0,
    exitCode: undefined,
    features: {},
    config: { target_defaults: {}, variables: {} },
    env: {},
    stdout: output("INFO"),
    stderr: output("ERROR"),
    nextTick(callback, ...items) {
      node.needFunction("callback", callback);
      queueMicrotask(() => callback(...items));
    },
    cwd: () => "/",
    chdir: () => { throw node.notSupported("process.chdir"); },
    umask: () => 0o22,
    uptime: () => performance.now() / 1000,
    hrtime,
    memoryUsage: () => ({ rss: 0, heapTotal: 0, heapUsed: 0, external: 0, arrayBuffers: 0 }),
    cpuUsage: () => ({ user: 0, system: 0 }),
    emitWarning(warning, type, code) {
      const name = typeof type === "object" && type !== null ? type.type : type;
      const told = typeof type === "object" && type !== null ? type.code : code;
      const label = isError(warning) ? warning.name : name ?? "Warning";
      host.log(`WARN ${told ? `[${told}] ` : ""}${label}: ${isError(warning) ? warning.message : warning}`);
    },
    exit: (code) => { throw exitError(code ?? process.exitCode); },
    abort: () => { throw exitError("abort"); },
    kill: () => { throw node.notSupported("process.kill"); },
    binding: (name) => { throw node.notSupported(`process.binding("${name}")`); },
    dlopen: () => { throw node.notSupported("process.dlopen"); },
  };
  process.reallyExit = process.exit;
  process.memoryUsage.rss = () => 0;
  without(process);

  // The one event that does happen: a rejection that nobody listens to.
  const REJECTION = "unhandledRejection";
  let listening = [];
  const listen = (isOnce, isFirst) => (name, listener) => {
    node.needFunction("listener", listener);
    const one = { listener, isOnce };
    if (name === REJECTION) listening = isFirst ? [one, ...listening] : [...listening, one];
    return process;
  };
  process.on = process.addListener = listen(false, false);
  process.once = listen(true, false);
  process.prependListener = listen(false, true);
  process.prependOnceListener = listen(true, true);
  process.off = process.removeListener = (name, listener) => {
    if (name === REJECTION) listening = listening.filter((one) => one.listener !== listener);
    return process;
  };
  process.removeAllListeners = (name) => {
    if (name === undefined || name === REJECTION) listening = [];
    return process;
  };
  process.listeners = (name) => (name === REJECTION ? listening.map((one) => one.listener) : []);
  process.listenerCount = (name) => (name === REJECTION ? listening.length : 0);
  tellOfRejection = (reason, promise) => {
    const told = listening;
    for (let i = 0; i < told.length; i++) {
      if (told[i].isOnce) process.off(REJECTION, told[i].listener);
      apply(told[i].listener, process, [reason, promise]);
    }
    return told.length > 0;
  };
  defineProperty(process, Symbol.toStringTag, { value: "process", configurable: true });

  node.process = process;
  globalThis.process = process;
  defineProperty(globalThis, "process", { enumerable: false });
  builtins.process = () => globalThis.process;
  builtins.console = () => globalThis.console;

  const { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, clearImmediate } = globalThis;
  const aborted = (signal, clear) => new Promise((_, reject) => {
    if (!signal) return;
    const stop = () => {
      clear();
      reject(node.abortError(signal));
    };
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
  function after(start, clear, value, options) {
    let timer;
    const done = new Promise((settle) => { timer = start(() => settle(value)); });
    if (options?.ref === false) timer.unref();
    return options?.signal ? Promise.race([done, aborted(options.signal, () => clear(timer))]) : done;
  }
  const promises = {
    setTimeout: (delay, value, options) => after((settle) => setTimeout(settle, delay), clearTimeout, value, options),
    setImmediate: (value, options) => after(setImmediate, clearImmediate, value, options),
    async *setInterval(delay, value, options) {
      for (;;) yield await promises.setTimeout(delay, value, options);
    },
    scheduler: { wait: (delay, options) => promises.setTimeout(delay, undefined, options), yield: () => promises.setImmediate() },
  };
  const promisified = Symbol.for("nodejs.util.promisify.custom");
  node.hide(setTimeout, { [promisified]: promises.setTimeout });
  node.hide(setImmediate, { [promisified]: promises.setImmediate });
  const timers = { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, clearImmediate, promises };
  builtins.timers = () => timers;
  builtins["timers/promises"] = () => promises;

  builtins.perf_hooks = () => ({ performance });

  const os = {
    EOL: "\n", devNull: "/dev/null", platform: () => "linux", type: () => "Linux", arch: () => "wasm32", machine: () => "wasm32",
    release: () => "0", version: () => "sublet", hostname: () => "sublet", homedir: () => "/", tmpdir: () => "/tmp",
    endianness: () => "LE", cpus: () => [], availableParallelism: () => 1, loadavg: () => [0, 0, 0], totalmem: () => 0,
    freemem: () => 0, uptime: () => performance.now() / 1000, networkInterfaces: () => ({}),
    userInfo: () => ({ uid: -1, gid: -1, username: "sublet", homedir: "/", shell: null }),
    constants: { signals: { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGABRT: 6, SIGKILL: 9, SIGTERM: 15 }, errno: {}, priority: {} },
  };
  builtins.os = () => os;
}
