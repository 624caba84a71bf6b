// What is shown of objects whose members are hidden: by console.log in short, by util.inspect as Node does.
const shown = (Class, portrait) => portraits.set(Class.prototype, portrait);
const recordOf = (pairs) => {
  const record = {};
  for (const [name, value] of pairs) record[name] = name in record ? `${record[name]}, ${value}` : value;
  return record;
};
shown(Headers, (headers) => recordOf(headerPairs(headers)));
shown(URLSearchParams, (search) => recordOf(searchPairs(search)));
shown(FormData, (form) => formEntries(form));
shown(Blob, ({ size, type }) => ({ size, type }));
shown(File, ({ name, size, type }) => ({ name, size, type }));
shown(Request, ({ method, url, headers }) => ({ method, url, headers }));
shown(Response, ({ status, statusText, url, headers }) => ({ status, statusText, url, headers }));
shown(Event, ({ type }) => ({ type }));
shown(CustomEvent, ({ type, detail }) => ({ type, detail }));
shown(AbortSignal, ({ aborted, reason }) => (aborted ? { aborted, reason } : { aborted }));
shown(AbortController, ({ signal }) => ({ signal }));

// `show` gives the text behind the class's name. What only has the prototype is shown as any object.
function inspected(Class, show) {
  const custom = function (depth, options, inspect) {
    if (depth < 0) return this;
    try { return `${this.constructor.name} ${show(this, (value) => inspect(value, options))}`; } catch { return this; }
  };
  defineProperty(Class.prototype, Symbol.for("nodejs.util.inspect.custom"), { value: custom, writable: true, configurable: true });
}
for (const [Class, names] of [
  [URL, "href origin protocol username password host hostname port pathname search searchParams hash"],
  [Request, "method url headers destination referrer referrerPolicy mode credentials cache redirect integrity keepalive signal"],
  [Response, "status statusText headers body bodyUsed ok redirected type url"],
  [AbortSignal, "aborted"],
  [AbortController, "signal"],
  [Event, "type defaultPrevented cancelable timeStamp"],
  [Blob, "size type"],
  [File, "size type name lastModified"],
  [TextDecoder, "encoding fatal ignoreBOM"],
  [TransformStream, "readable writable"],
]) {
  inspected(Class, (object, inspect) => {
    const members = {};
    for (const name of names.split(" ")) members[name] = object[name];
    return inspect(members);
  });
}
inspected(Headers, (headers, inspect) => inspect(recordOf(headerPairs(headers))));
inspected(FormData, (form, inspect) => {
  const members = {};
  for (const [name] of formEntries(form)) {
    const values = form.getAll(name);
    members[name] = values.length === 1 ? values[0] : values;
  }
  return inspect(members);
});
inspected(URLSearchParams, (search, inspect) => {
  const pairs = searchPairs(search).map(([name, value]) => `${inspect(name)} => ${inspect(value)}`), line = pairs.join(", ");
  return pairs.length === 0 ? "{}" : line.length > 80 ? `{\n  ${pairs.join(",\n  ")} }` : `{ ${line} }`;
});
inspected(ReadableStream, (stream, inspect) => inspect({ locked: stream.locked, state: readableState(stream).state, supportsBYOB: false }));
inspected(WritableStream, (stream, inspect) => inspect({ locked: stream.locked, state: writableState(stream).state }));
