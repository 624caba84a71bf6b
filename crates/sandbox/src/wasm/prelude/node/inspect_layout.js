// How the entries that util.inspect found become one line or several, and many short ones columns: as Node lays out.
{
  const SEPARATOR = 2;
  const CHARACTER_HEIGHT = 2.5, COLUMNS_MAX = 15;
  const width = (context, text) => (context.colors ? text.replace(/\u001b\[\d\d?m/g, "") : text).length;

  node.layOut = (context, output, base, braces, asArray, depth, value) => {
    const before = base ? `${base} ` : "";
    if (context.compact === true) {
      if (fits(context, output, 0, base)) return `${braces[0]}${base ? ` ${base}` : ""} ${output.join(", ")} ${braces[1]}`;
      const indent = " ".repeat(context.indentation);
      const line = base === "" && braces[0].length === 1 ? " " : `${base ? ` ${base}` : ""}\n${indent}  `;
      return `${braces[0]}${line}${output.join(`,\n${indent}  `)} ${braces[1]}`;
    }
    if (typeof context.compact === "number" && context.compact >= 1) {
      const entries = output.length;
      if (asArray && entries > 6) output = inColumns(context, output, value);
      if (context.currentDepth - depth < context.compact && entries === output.length) {
        const start = output.length + context.indentation + braces[0].length + base.length + 10;
        if (fits(context, output, start, base)) {
          const line = output.join(", ");
          if (!line.includes("\n")) return `${before}${braces[0]} ${line} ${braces[1]}`;
        }
      }
    }
    const indent = `\n${" ".repeat(context.indentation)}`;
    return `${before}${braces[0]}${indent}  ${output.join(`,${indent}  `)}${indent}${braces[1]}`;
  };

  function fits(context, output, start, base) {
    let total = output.length + start;
    if (total + output.length > context.breakLength) return false;
    for (const entry of output) {
      total += width(context, entry);
      if (total > context.breakLength) return false;
    }
    return base === "" || !base.includes("\n");
  }

  function inColumns(context, output, value) {
    // The last entry may be "... more items".
    const count = context.maxArrayLength < output.length ? output.length - 1 : output.length;
    const lengths = [];
    let total = 0, longest = 0;
    for (let i = 0; i < count; i++) {
      lengths[i] = width(context, output[i]);
      total += lengths[i] + SEPARATOR;
      longest = Math.max(longest, lengths[i]);
    }
    const actual = longest + SEPARATOR;
    if (!(actual * 3 + context.indentation < context.breakLength && (total / actual > 5 || longest <= 6))) return output;
    const bias = Math.sqrt(actual - total / output.length);
    const biased = Math.max(actual - 3 - bias, 1);
    const columns = Math.min(
      Math.round(Math.sqrt(CHARACTER_HEIGHT * biased * count) / biased),
      Math.floor((context.breakLength - context.indentation) / actual),
      context.compact * 4,
      COLUMNS_MAX,
    );
    if (columns <= 1) return output;
    const widths = [];
    for (let i = 0; i < columns; i++) {
      let most = 0;
      for (let j = i; j < count; j += columns) most = Math.max(most, lengths[j]);
      widths.push(most + SEPARATOR);
    }
    let toRight = value !== undefined;
    for (let i = 0; toRight && i < output.length; i++) if (typeof value[i] !== "number" && typeof value[i] !== "bigint") toRight = false;
    const lines = [];
    for (let i = 0; i < count; i += columns) {
      const end = Math.min(i + columns, count);
      let line = "";
      let j = i;
      for (; j < end - 1; j++) {
        const padding = widths[j - i] + output[j].length - lengths[j];
        line += toRight ? `${output[j]}, `.padStart(padding) : `${output[j]}, `.padEnd(padding);
      }
      line += toRight ? output[j].padStart(widths[j - i] + output[j].length - lengths[j] - SEPARATOR) : output[j];
      lines.push(line);
    }
    if (count < output.length) lines.push(output[count]);
    return lines;
  }
}
