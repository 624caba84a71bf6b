// Numbers in a Buffer: readInt32LE, writeDoubleBE and their kin, with Node's checks and words.
{
  const Buffer = globalThis.Buffer;
  const methods = { __proto__: null };

  function needPlace(bytes, offset, size) {
    if (typeof offset !== "number") throw node.wrongType("offset", "of type number", offset);
    if (!Number.isInteger(offset)) throw node.outOfRange("offset", "an integer", offset);
    const most = bytes.length - size;
    if (most < 0) throw node.error(RangeError, "ERR_BUFFER_OUT_OF_BOUNDS", "Attempt to access memory outside buffer bounds");
    if (offset < 0 || offset > most) throw node.outOfRange("offset", `>= 0 and <= ${most}`, offset);
  }

  // The bounds as Node words them: `plain` in full, else as powers of two.
  function needValue(value, size, signed, plain) {
    const bits = size * 8;
    const big = typeof value === "bigint";
    const least = signed ? -(2n ** BigInt(bits - 1)) : 0n, most = 2n ** BigInt(signed ? bits - 1 : bits) - 1n;
    if (big ? value >= least && value <= most : !(value > Number(most) || value < Number(least))) return;
    const n = big ? "n" : "";
    let range;
    if (plain) range = `>= ${least} and <= ${most}`;
    else if (!signed) range = `>= 0${n} and < 2${n} ** ${bits}${n}`;
    else range = `>= -(2${n} ** ${bits - 1}${n}) and < 2${n} ** ${bits - 1}${n}`;
    throw node.outOfRange("value", range, value);
  }

  const view = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

  // [name, the view's method, bytes, signed; undefined for floats]
  const kinds = [
    ["UInt8", "Uint8", 1, false], ["Int8", "Int8", 1, true], ["UInt16", "Uint16", 2, false], ["Int16", "Int16", 2, true],
    ["UInt32", "Uint32", 4, false], ["Int32", "Int32", 4, true], ["BigUInt64", "BigUint64", 8, false],
    ["BigInt64", "BigInt64", 8, true], ["Float", "Float32", 4, undefined], ["Double", "Float64", 8, undefined],
  ];
  for (const [name, kind, size, signed] of kinds) {
    const get = DataView.prototype[`get${kind}`], set = DataView.prototype[`set${kind}`];
    for (const ending of size === 1 ? [""] : ["LE", "BE"]) {
      const little = ending === "LE";
      const read = function (offset = 0) {
        needPlace(this, offset, size);
        return get.call(view(this), offset, little);
      };
      const write = function (value, offset = 0) {
        if (signed !== undefined) {
          if (size === 8 && typeof value !== "bigint") throw node.wrongType("value", "of type bigint", value);
          needValue(size === 8 ? value : (value = +value), size, signed, size <= 4);
        }
        needPlace(this, offset, size);
        set.call(view(this), offset, value, little);
        return offset + size;
      };
      add(`read${name}${ending}`, read);
      add(`write${name}${ending}`, write);
    }
  }

  // Of one to six bytes.
  function needLength(length) {
    if (typeof length !== "number") throw node.wrongType("byteLength", "of type number", length);
    if (!Number.isInteger(length)) throw node.outOfRange("byteLength", "an integer", length);
    if (length < 1 || length > 6) throw node.outOfRange("byteLength", ">= 1 and <= 6", length);
  }
  for (const signed of [false, true]) {
    for (const ending of ["LE", "BE"]) {
      const place = (i, length) => (ending === "LE" ? length - 1 - i : i);
      add(`read${signed ? "Int" : "UInt"}${ending}`, function (offset, length) {
        needLength(length);
        needPlace(this, offset, length);
        let value = 0;
        for (let i = 0; i < length; i++) value = value * 256 + this[offset + place(i, length)];
        return signed && value >= 2 ** (8 * length - 1) ? value - 2 ** (8 * length) : value;
      });
      add(`write${signed ? "Int" : "UInt"}${ending}`, function (value, offset, length) {
        needLength(length);
        value = +value;
        needValue(value, length, signed, length <= 4);
        needPlace(this, offset, length);
        let rest = Math.trunc(value) || 0;
        if (rest < 0) rest += 2 ** (8 * length);
        for (let i = length - 1; i >= 0; i--) {
          this[offset + place(i, length)] = rest % 256;
          rest = Math.floor(rest / 256);
        }
        return offset + length;
      });
    }
  }

  // `readUInt8` and `readUint8` are the same function.
  function add(name, method) {
    defineProperty(method, "name", { value: name, configurable: true });
    methods[name] = method;
    if (name.includes("UInt")) methods[name.replace("UInt", "Uint")] = method;
  }
  node.hide(Buffer.prototype, methods);
}
