// `node:path`: posix in full and as the default; win32 for what is done to texts alone. There are no files, and the
// working directory is always `/`.
{
  const posix = make({ separators: /\//, sep: "/", delimiter: ":", rootOf: (path) => (path.startsWith("/") ? "/" : "") });
  const win32 = make({
    separators: /[\\/]/, sep: "\\", delimiter: ";",
    // Drive (`C:`), drive and root (`C:\`), root alone (`\`), or `\\server\share\`.
    rootOf: (path) => /^(?:[a-zA-Z]:[\\/]?|[\\/]{2}[^\\/]+[\\/]+[^\\/]+[\\/]?|[\\/])/.exec(path)?.[0] ?? "",
  });

  // Without `.`, `..` and empty parts; `..` above the start stays if `keepAbove`.
  function tidy(parts, keepAbove) {
    const kept = [];
    for (const part of parts) {
      if (part === "" || part === ".") continue;
      if (part !== "..") kept.push(part);
      else if (kept.length > 0 && kept[kept.length - 1] !== "..") kept.pop();
      else if (keepAbove) kept.push("..");
    }
    return kept;
  }

  function make({ separators, sep, delimiter, rootOf }) {
    const isSeparator = (char) => char !== undefined && separators.test(char);
    const split = (path) => path.split(separators);
    const isWindows = sep === "\\";
    const canonRoot = (root) => {
      if (!isWindows) return root;
      const unc = /^[\\/]{2}([^\\/]+)[\\/]+([^\\/]+)/.exec(root);
      return unc ? `\\\\${unc[1]}\\${unc[2]}\\` : root.replace(/\//g, "\\");
    };
    const isRooted = (root) => root !== "" && isSeparator(root[root.length - 1]) || /^[\\/]{2}./.test(root) && isWindows;

    // Where the last part begins and ends, trailing separators left out; null if there is none.
    function lastPart(path) {
      const start = rootOf(path).length;
      let end = path.length;
      while (end > start && isSeparator(path[end - 1])) end--;
      if (end === start) return null;
      let from = end;
      while (from > start && !isSeparator(path[from - 1])) from--;
      return { from, end };
    }

    function extension(name) {
      const at = name.lastIndexOf(".");
      return at <= 0 || name === ".." ? "" : name.slice(at);
    }

    const api = {
      sep,
      delimiter,
      normalize(path) {
        node.needString("path", path);
        if (path === "") return ".";
        const root = rootOf(path), rest = path.slice(root.length);
        const rooted = isRooted(root);
        let text = tidy(split(rest), !rooted).join(sep);
        if (text === "" && root === "") text = ".";
        else if (text === "" && isWindows && !rooted) text = ".";
        if (isSeparator(path[path.length - 1]) && text !== "" && rest !== "") text += sep;
        return `${canonRoot(root)}${text}`;
      },
      isAbsolute(path) {
        node.needString("path", path);
        return isWindows ? /^(?:[\\/]|[a-zA-Z]:[\\/])/.test(path) : path.startsWith("/");
      },
      join(...paths) {
        for (const path of paths) node.needString("path", path);
        const joined = paths.filter((path) => path !== "").join(sep);
        if (joined === "") return ".";
        // A first part that is no share must not become one by joining.
        return api.normalize(isWindows && !/^[\\/]{2}[^\\/]/.test(paths.find((path) => path !== "")) ? joined.replace(/^[\\/]{2,}/, "\\") : joined);
      },
      resolve(...paths) {
        let drive = "", rest = "", absolute = false;
        for (let i = paths.length - 1; i >= 0 && !absolute; i--) {
          node.needString(`paths[${i}]`, paths[i]);
          if (paths[i] === "") continue;
          const root = canonRoot(rootOf(paths[i]));
          if (isWindows) {
            const own = root.startsWith("\\\\") ? root.slice(0, -1) : /^[a-zA-Z]:/.exec(root)?.[0] ?? "";
            if (own !== "" && drive !== "" && own.toLowerCase() !== drive.toLowerCase()) continue;
            drive ||= own;
          }
          rest = `${paths[i].slice(rootOf(paths[i]).length)}${sep}${rest}`;
          absolute = isRooted(root);
        }
        const text = tidy(split(rest), false).join(sep);
        return isWindows ? `${drive}${sep}${text}` : `/${text}`;
      },
      relative(from, to) {
        node.needString("from", from);
        node.needString("to", to);
        if (from === to) return "";
        const start = api.resolve(from), target = api.resolve(to);
        const same = (a, b) => (isWindows ? a.toLowerCase() === b.toLowerCase() : a === b);
        if (same(start, target)) return "";
        const rootsDiffer = isWindows && !same(rootOf(start), rootOf(target));
        if (rootsDiffer) return target;
        const left = tidy(split(start.slice(rootOf(start).length))), right = tidy(split(target.slice(rootOf(target).length)));
        let shared = 0;
        while (shared < left.length && shared < right.length && same(left[shared], right[shared])) shared++;
        return [...left.slice(shared).map(() => ".."), ...right.slice(shared)].join(sep);
      },
      toNamespacedPath: (path) => path,
      dirname(path) {
        node.needString("path", path);
        if (path === "") return ".";
        const root = rootOf(path), last = lastPart(path);
        if (last === null) return root || ".";
        // One separator is taken away, whatever comes before it.
        const end = last.from > root.length ? last.from - 1 : root.length;
        if (end === 1 && root === "/" && last.from === 2) return "//";
        return end === 0 ? "." : path.slice(0, end);
      },
      basename(path, suffix) {
        if (suffix !== undefined) node.needString("suffix", suffix);
        node.needString("path", path);
        const last = lastPart(isWindows && /^[a-zA-Z]:/.test(path) ? path.slice(2) : path);
        if (last === null) return "";
        const name = (isWindows && /^[a-zA-Z]:/.test(path) ? path.slice(2) : path).slice(last.from, last.end);
        return suffix !== undefined && suffix !== "" && name !== suffix && name.endsWith(suffix) ? name.slice(0, -suffix.length) : name;
      },
      extname(path) {
        node.needString("path", path);
        return extension(api.basename(path));
      },
      format(parts) {
        if (typeof parts !== "object" || parts === null) throw node.wrongType("pathObject", "of type object", parts);
        const directory = parts.dir || parts.root;
        const ext = parts.ext ? `${parts.ext[0] === "." ? "" : "."}${parts.ext}` : "";
        const base = parts.base || `${parts.name || ""}${ext}`;
        if (!directory) return base;
        return directory === parts.root ? `${directory}${base}` : `${directory}${sep}${base}`;
      },
      parse(path) {
        node.needString("path", path);
        const root = rootOf(path), last = lastPart(path);
        if (last === null) return { root, dir: root, base: "", ext: "", name: "" };
        const base = path.slice(last.from, last.end), ext = extension(base);
        // One separator between directory and name is theirs; more are the directory's.
        const dir = last.from > root.length ? path.slice(0, last.from - 1) : root;
        return { root, dir, base, ext, name: base.slice(0, base.length - ext.length) };
      },
    };
    return api;
  }
  posix.posix = win32.posix = posix;
  posix.win32 = win32.win32 = win32;
  posix._makeLong = posix.toNamespacedPath;
  win32._makeLong = win32.toNamespacedPath;
  builtins.path = builtins["path/posix"] = () => posix;
  builtins["path/win32"] = () => win32;
}
