// Blob and File: bytes that do not change, with a type.
const BLOB_CHUNK_BYTES = 64 * 1024;

// A stream of `bytes` in pieces.
function streamOfBytes(bytes) {
  let from = 0;
  return newReadable({
    mark: 0,
    isBytes: true,
    pull: (controller) => {
      if (from < bytes.length) controller.enqueue(bytes.slice(from, from += BLOB_CHUNK_BYTES));
      if (from >= bytes.length) controller.close();
    },
  });
}

function blobType(value) {
  const type = `${value ?? ""}`;
  return /[^\x20-\x7e]/.test(type) ? "" : type.toLowerCase();
}

// A buffer that holds these bytes and nothing else.
const exactBuffer = (bytes) => (bytes.byteLength === bytes.buffer.byteLength ? bytes.buffer : bytes.slice().buffer);

let blobBytes, newBlob, isBlob;
class Blob {
  #bytes;
  #type;
  static #made = undefined;
  static {
    isBlob = (value) => typeof value === "object" && value !== null && #bytes in value;
    blobBytes = (blob) => blob.#bytes;
    newBlob = (bytes, type) => {
      Blob.#made = bytes;
      return new Blob([], { type });
    };
  }
  constructor(parts, options) {
    const made = Blob.#made;
    Blob.#made = undefined;
    const { endings = "transparent", type } = dictionary(options, "the blob's options");
    this.#type = blobType(type);
    if (made !== undefined) {
      this.#bytes = made;
      return;
    }
    oneOf(endings, ["transparent", "native"], "endings");
    const chunks = [];
    if (parts !== undefined) {
      if (!isObject(parts) || typeof parts[Symbol.iterator] !== "function") throw new TypeError("Blob: the parts are not a sequence");
      for (const part of parts) {
        if (isBlob(part)) chunks.push(part.#bytes);
        else if (isBytes(part)) chunks.push(bytesOf(part).slice());
        else chunks.push(utf8(endings === "native" ? `${part}`.replace(/\r\n?/g, "\n") : `${part}`));
      }
    }
    this.#bytes = joinBytes(chunks, chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  }
  get size() { return this.#bytes.length; }
  get type() { return this.#type; }
  slice(start = 0, end = this.#bytes.length, type = "") {
    const size = this.#bytes.length;
    const place = (value) => {
      const at = mathTrunc(+value) || 0;
      return at < 0 ? Math.max(size + at, 0) : Math.min(at, size);
    };
    const from = place(start), to = place(end);
    return newBlob(this.#bytes.subarray(from, Math.max(from, to)), type);
  }
  async arrayBuffer() { return this.#bytes.slice().buffer; }
  async bytes() { return this.#bytes.slice(); }
  async text() { return utf8Text(this.#bytes); }
  stream() { return streamOfBytes(this.#bytes).stream; }
}
exposeClass(Blob);

class File extends Blob {
  #name;
  #lastModified;
  constructor(parts, name, options) {
    needArguments(arguments.length, 2, "File");
    const { lastModified } = dictionary(options, "the file's options");
    if (!isObject(parts)) throw new TypeError("File: the parts are not a sequence");
    super(parts, options);
    this.#name = scalarText(name);
    this.#lastModified = lastModified === undefined ? now() : mathTrunc(+lastModified) || 0;
  }
  get name() { return this.#name; }
  get lastModified() { return this.#lastModified; }
}
exposeClass(File);

const isFile = (value) => isBlob(value) && value instanceof File;
clonable.push([isFile, (file) => new File([file], file.name, { type: file.type, lastModified: file.lastModified })]);
clonable.push([isBlob, (blob) => newBlob(blobBytes(blob), blob.type)]);
