// What console.log shows of objects whose members are hidden.
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
