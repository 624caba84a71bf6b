// Runs published cases: the event is { kind, cases }, the answer the list of what came out otherwise.
const fields = ["href", "protocol", "username", "password", "host", "hostname", "port", "pathname", "search", "hash"];

function parse({ input, base, failure, ...expected }) {
  const given = base === null ? [input] : [input, base];
  let url;
  try { url = new URL(...given); } catch (error) {
    if (error instanceof TypeError) return failure ? [] : ["it is refused"];
    return [`it throws ${error}`];
  }
  if (failure) return [`it is parsed as ${url.href}`];
  const wrong = [];
  for (const field of fields) if (url[field] !== expected[field]) wrong.push(`${field} is ${url[field]} instead of ${expected[field]}`);
  if ("origin" in expected && url.origin !== expected.origin) wrong.push(`origin is ${url.origin} instead of ${expected.origin}`);
  if ("searchParams" in expected && `${url.searchParams}` !== expected.searchParams) wrong.push(`searchParams are ${url.searchParams}`);
  if (URL.canParse(...given) !== true || URL.parse(...given).href !== url.href || `${url}` !== url.href) wrong.push("canParse and parse differ");
  // Parsing what was serialized changes nothing.
  if (new URL(url.href).href !== url.href) wrong.push("it does not survive a round trip");
  return wrong;
}

function set({ attribute, href, new_value, expected }) {
  const url = new URL(href), wrong = [];
  url[attribute] = new_value;
  for (const field of Object.keys(expected)) if (url[field] !== expected[field]) wrong.push(`${field} is ${url[field]} instead of ${expected[field]}`);
  return wrong;
}

function base64([input, expected]) {
  let found;
  try { found = [...atob(input)].map((character) => character.charCodeAt(0)); } catch (error) {
    found = error instanceof DOMException && error.name === "InvalidCharacterError" ? null : String(error);
  }
  return JSON.stringify(found) === JSON.stringify(expected) ? [] : [`${JSON.stringify(found)} instead of ${JSON.stringify(expected)}`];
}

export const handler = ({ kind, cases }) => {
  const failures = [];
  for (const given of cases) {
    const wrong = { parse, set, base64 }[kind](given);
    if (wrong.length > 0) failures.push(`${JSON.stringify(given)}: ${wrong.join("; ")}`);
  }
  return { ran: cases.length, failures };
};
