// FormData, and multipart/form-data both ways.
let formEntries, isFormData;
class FormData {
  #entries = [];
  static {
    isFormData = (value) => typeof value === "object" && value !== null && #entries in value;
    formEntries = (form) => form.#entries;
  }
  constructor(form = undefined) {
    if (form !== undefined) throw new TypeError("FormData: there are no HTML forms here");
  }
  append(name, value, filename = undefined) {
    needArguments(arguments.length, 2, "FormData.append");
    this.#entries.push(formEntry(name, value, filename));
  }
  delete(name) {
    needArguments(arguments.length, 1, "FormData.delete");
    const key = scalarText(name);
    this.#entries = this.#entries.filter((entry) => entry[0] !== key);
  }
  get(name) {
    needArguments(arguments.length, 1, "FormData.get");
    const key = scalarText(name);
    return this.#entries.find((entry) => entry[0] === key)?.[1] ?? null;
  }
  getAll(name) {
    needArguments(arguments.length, 1, "FormData.getAll");
    const key = scalarText(name);
    return this.#entries.filter((entry) => entry[0] === key).map((entry) => entry[1]);
  }
  has(name) {
    needArguments(arguments.length, 1, "FormData.has");
    const key = scalarText(name);
    return this.#entries.some((entry) => entry[0] === key);
  }
  set(name, value, filename = undefined) {
    needArguments(arguments.length, 2, "FormData.set");
    const entry = formEntry(name, value, filename);
    const at = this.#entries.findIndex((known) => known[0] === entry[0]);
    if (at < 0) {
      this.#entries.push(entry);
    } else {
      this.#entries[at] = entry;
      this.#entries = this.#entries.filter((known, index) => index <= at || known[0] !== entry[0]);
    }
  }
}
exposePairs(FormData, "FormData", (form) => formEntries(form));
exposeClass(FormData);

function formEntry(name, value, filename) {
  const key = scalarText(name);
  if (!isBlob(value)) {
    if (filename !== undefined) throw new TypeError("FormData: only a Blob has a filename");
    return [key, scalarText(value)];
  }
  if (isFile(value) && filename === undefined) return [key, value];
  const options = { type: value.type, lastModified: isFile(value) ? value.lastModified : undefined };
  return [key, new File([value], filename === undefined ? "blob" : filename, options)];
}

const CRLF = "\r\n";
const multipartName = (text) => text.replace(/[\r\n"]/g, (found) => (found === '"' ? "%22" : found === "\r" ? "%0D" : "%0A"));

// [bytes, content type].
function multipartEncode(form) {
  const boundary = `----sublet-form-${Math.random().toString(36).slice(2)}${Math.random().toString(36).slice(2)}`;
  const chunks = [];
  for (const [name, value] of formEntries(form)) {
    const head = `--${boundary}${CRLF}Content-Disposition: form-data; name="${multipartName(name.replace(/\r\n?|\n/g, CRLF))}"`;
    if (typeof value === "string") {
      chunks.push(utf8(`${head}${CRLF}${CRLF}${value.replace(/\r\n?|\n/g, CRLF)}${CRLF}`));
    } else {
      const type = value.type || "application/octet-stream";
      chunks.push(utf8(`${head}; filename="${multipartName(value.name)}"${CRLF}Content-Type: ${type}${CRLF}${CRLF}`));
      chunks.push(blobBytes(value), utf8(CRLF));
    }
  }
  chunks.push(utf8(`--${boundary}--${CRLF}`));
  return [joinBytes(chunks, chunks.reduce((sum, chunk) => sum + chunk.length, 0)), `multipart/form-data; boundary=${boundary}`];
}

// Where `needle` begins in `bytes` from `from` on, or -1.
function findBytes(bytes, needle, from) {
  for (let at = bytes.indexOf(needle[0], from); at >= 0; at = bytes.indexOf(needle[0], at + 1)) {
    let same = 1;
    while (same < needle.length && bytes[at + same] === needle[same]) same++;
    if (same === needle.length) return at;
  }
  return -1;
}

const badForm = () => new TypeError("the body is not the multipart/form-data that its type says");

function multipartDecode(bytes, boundary) {
  const form = new FormData();
  const delimiter = utf8(`--${boundary}`), mark = utf8(`${CRLF}--${boundary}`), blank = utf8(CRLF + CRLF);
  let at = findBytes(bytes, delimiter, 0);
  if (at < 0) throw badForm();
  at += delimiter.length;
  for (;;) {
    if (bytes[at] === 0x2d && bytes[at + 1] === 0x2d) return form;
    // Padding that transports may add.
    while (bytes[at] === 0x20 || bytes[at] === 0x09) at++;
    if (bytes[at] !== 0x0d || bytes[at + 1] !== 0x0a) throw badForm();
    const headEnd = findBytes(bytes, blank, at);
    const end = headEnd < 0 ? -1 : findBytes(bytes, mark, headEnd + 2);
    if (end < 0) throw badForm();
    const { name, filename, type } = partHead(utf8Text(bytes.subarray(at + 2, headEnd + 2)));
    const content = bytes.subarray(Math.min(headEnd + 4, end), end);
    if (filename === undefined) form.append(name, utf8Text(content));
    else form.append(name, new File([content], filename, { type: type ?? "text/plain" }));
    at = end + mark.length;
  }
}

const FORM_UNESCAPES = { "%22": '"', "%0D": "\r", "%0A": "\n" };

function partHead(text) {
  let disposition, type;
  for (const line of text.split(CRLF)) {
    const colon = line.indexOf(":");
    const header = line.slice(0, colon).trim().toLowerCase(), value = line.slice(colon + 1).trim();
    if (header === "content-disposition") disposition = value;
    if (header === "content-type") type = value;
  }
  if (disposition === undefined || !/^form-data\s*;/i.test(disposition)) throw badForm();
  const parameter = (key) => {
    const found = new RegExp(`;\\s*${key}=(?:"((?:[^"\\\\]|\\\\.)*)"|([^;\\s]*))`, "i").exec(disposition);
    if (found === null) return undefined;
    return found[1] === undefined ? found[2] : found[1].replace(/%(?:22|0D|0A)/gi, (escape) => FORM_UNESCAPES[escape.toUpperCase()]);
  };
  const name = parameter("name");
  if (name === undefined) throw badForm();
  return { name, filename: parameter("filename"), type };
}
