// `Intl.DateTimeFormat` for English with time zones, and what Date and Number show by it. Nothing else of `Intl` is there:
// libraries see that and go their own way.
{
  const WIDTHS = ["numeric", "2-digit"], TEXTS = ["narrow", "short", "long"], STYLES = ["full", "long", "medium", "short"];
  const COMPONENTS = {
    __proto__: null, weekday: TEXTS, era: TEXTS, year: WIDTHS, month: [...WIDTHS, ...TEXTS], day: WIDTHS, hour: WIDTHS, minute: WIDTHS,
    second: WIDTHS, fractionalSecondDigits: [1, 2, 3], timeZoneName: ["short", "long", "shortOffset", "longOffset"],
  };
  const DATE = ["weekday", "year", "month", "day"], TIME = ["hour", "minute", "second", "fractionalSecondDigits"];
  const LOCALES = ["en", "en-US", "en-GB", "en-CA"];
  const DEFAULT_LOCALE = "en-US";
  const MILLIS_MAX = 8.64e15;

  // [the locale's name, its `hc` extension]; of what is not there, the default is taken, as everywhere.
  function localeOf(given) {
    for (const tag of listOf(given)) {
      const [, language, region] = /^([a-z]{2,3})(?:-[a-z]{4})?(?:-([a-z]{2}|\d{3}))?/i.exec(tag);
      if (language.toLowerCase() !== "en") continue;
      const name = region === undefined ? "en" : `en-${region.toUpperCase()}`;
      return [LOCALES.includes(name) ? name : "en", /-u-(?:.*-)?hc-(h11|h12|h23|h24)(?:-|$)/i.exec(tag)?.[1]];
    }
    return [DEFAULT_LOCALE, undefined];
  }
  function listOf(given) {
    if (given === undefined) return [];
    if (given === null) throw new TypeError("Cannot convert undefined or null to object");
    const list = typeof given === "string" ? [given] : Array.from(given);
    for (const tag of list) {
      if (typeof tag !== "string") throw new TypeError("Incorrect locale information provided");
      if (!/^[a-z]{2,3}(?:-[a-z0-9]{1,8})*$/i.test(tag)) throw new RangeError(`Incorrect locale information provided: ${tag}`);
    }
    return list;
  }

  function option(options, name, allowed) {
    const value = options[name];
    if (value === undefined) return undefined;
    const wanted = typeof allowed[0] === "number" ? Number(value) : `${value}`;
    if (allowed.includes(wanted)) return wanted;
    if (name === "timeZoneName" && /^(?:short|long)Generic$/.test(wanted)) throw new RangeError(node.absent(`timeZoneName: "${wanted}"`));
    throw new RangeError(`Value ${wanted} out of range for Intl.DateTimeFormat options property ${name}`);
  }

  // `required`, `defaults`: "date", "time" or "any" / "all", as ECMA-402 names them.
  function resolved(locales, given, required, defaults) {
    const [locale, extension] = localeOf(locales);
    const options = given === undefined ? {} : Object(given);
    if (given === null) throw new TypeError("Cannot convert undefined or null to object");
    const kind = locale === "en" ? "en-US" : locale;
    const made = { __proto__: null, locale, kind };
    for (const name of Object.keys(COMPONENTS)) made[name] = option(options, name, COMPONENTS[name]);
    if (options.dayPeriod !== undefined) throw new RangeError(node.absent("the option dayPeriod"));
    made.dateStyle = option(options, "dateStyle", STYLES);
    made.timeStyle = option(options, "timeStyle", STYLES);
    made.timeZone = options.timeZone === undefined ? "UTC" : node.zoneOf(options.timeZone);
    const hourCycle = option(options, "hourCycle", ["h11", "h12", "h23", "h24"]) ?? extension;
    const named = made.dateStyle !== undefined || made.timeStyle !== undefined;
    if (named) {
      const explicit = Object.keys(COMPONENTS).find((name) => made[name] !== undefined);
      if (explicit !== undefined) throw new TypeError(`Can't set option ${explicit} when ${made.dateStyle !== undefined ? "dateStyle" : "timeStyle"} is used`);
      if (required === "date" && made.timeStyle !== undefined) throw new TypeError("Invalid option : timeStyle");
      if (required === "time" && made.dateStyle !== undefined) throw new TypeError("Invalid option : dateStyle");
    } else {
      const asked = (required === "date" ? DATE : required === "time" ? TIME : [...DATE, ...TIME]).some((name) => made[name] !== undefined);
      if (!asked) {
        if (defaults !== "time") made.year = made.month = made.day = "numeric";
        if (defaults !== "date") made.hour = made.minute = made.second = "numeric";
      }
    }
    const shown = { ...made, ...(made.dateStyle && node.dateStyles(kind)[made.dateStyle]), ...(made.timeStyle && node.timeStyles[made.timeStyle]) };
    if (shown.hour !== undefined) {
      const twelve = kind !== "en-GB";
      // What Node does: the other kind of clock counts as the locale's own does at midnight and noon.
      const fromHour12 = options.hour12 === undefined ? undefined : options.hour12 ? (twelve ? "h12" : "h11") : twelve ? "h24" : "h23";
      made.hourCycle = shown.hourCycle = fromHour12 ?? hourCycle ?? (twelve ? "h12" : "h23");
    }
    let time = node.timePattern(kind, shown);
    if (shown.timeZoneName !== undefined) time += `${time === "" ? "" : " "}{timeZoneName}`;
    const pattern = node.joinPatterns(kind, shown, node.datePattern(kind, shown), time);
    return { made, shown, parts: pattern.split(/(\{\w+\})/).filter((part) => part !== "") };
  }

  function partsOf({ shown, parts }, millis) {
    const offset = node.offsetAt(shown.timeZone, millis);
    // The first and the last day there is may lie beyond in the zone.
    const local = new GlobalDate(Math.max(-MILLIS_MAX, Math.min(MILLIS_MAX, millis + offset.seconds * 1000)));
    return parts.map((part) => {
      if (part[0] !== "{") return { type: "literal", value: part };
      const type = part.slice(1, -1);
      if (type === "timeZoneName") return { type, value: node.zoneName(shown.timeZoneName, shown.kind, shown.timeZone, offset) };
      return { type, value: node.fieldText(shown.kind, shown, type, local) };
    });
  }
  const textOf = (format, millis) => {
    let text = "";
    for (const { value } of partsOf(format, millis)) text += value;
    // In a whole text, a plain space: too much reads it back.
    return text.replace("\u202f", " ");
  };
  const instant = (date) => {
    const millis = date === undefined ? now() : Number(date);
    if (!(Math.abs(millis) <= MILLIS_MAX)) throw new RangeError("Invalid time value");
    return Math.trunc(millis);
  };

  const formats = new WeakMap();
  const own = (value) => {
    const format = formats.get(value);
    if (format === undefined) throw new TypeError("this is not an Intl.DateTimeFormat");
    return format;
  };

  function DateTimeFormat(locales, options) {
    const self = new.target ? this : Object.create(DateTimeFormat.prototype);
    formats.set(self, resolved(locales, options, "any", "date"));
    return self;
  }
  node.hide(DateTimeFormat.prototype, {
    formatToParts(date) {
      return partsOf(own(this), instant(date));
    },
    resolvedOptions() {
      const { made } = own(this), { kind } = made;
      const all = { locale: made.locale, calendar: "gregory", numberingSystem: "latn", timeZone: made.timeZone };
      if (made.hourCycle !== undefined) {
        all.hourCycle = made.hourCycle;
        all.hour12 = made.hourCycle < "h2";
      }
      for (const name of [...Object.keys(COMPONENTS), "dateStyle", "timeStyle"]) if (made[name] !== undefined) all[name] = made[name];
      if (made.hour !== undefined && node.isHourPadded(kind, made)) all.hour = "2-digit";
      if (made.minute !== undefined && made.hour !== undefined) all.minute = "2-digit";
      if (made.second !== undefined && made.minute !== undefined) all.second = "2-digit";
      return all;
    },
  });
  Object.defineProperty(DateTimeFormat.prototype, "format", {
    configurable: true,
    get() {
      const format = own(this);
      return (format.bound ??= (date) => textOf(format, instant(date)));
    },
  });
  Object.defineProperty(DateTimeFormat.prototype, Symbol.toStringTag, { value: "Intl.DateTimeFormat", configurable: true });
  node.hide(DateTimeFormat, { supportedLocalesOf: (locales) => listOf(locales).filter((tag) => LOCALES.includes(tag)) });

  const ZONES = 72;
  const Intl = { __proto__: Object.prototype };
  node.hide(Intl, {
    DateTimeFormat,
    getCanonicalLocales: (locales) => [...new Set(listOf(locales))],
    supportedValuesOf(key) {
      if (`${key}` === "timeZone") return askHost(ZONES).split("\n").filter((name) => name.includes("/") && !name.startsWith("Etc/")).sort();
      throw new RangeError(node.absent(`Intl.supportedValuesOf("${key}")`));
    },
  });
  Object.defineProperty(Intl, Symbol.toStringTag, { value: "Intl", configurable: true });
  globalThis.Intl = Intl;
  defineProperty(globalThis, "Intl", { enumerable: false });

  // Most code shows many dates in one way, and finding out the way takes longer than showing a date.
  const WAYS_MAX = 16;
  const ways = new Map();
  function wayOf(locales, options, required, defaults) {
    if (locales !== undefined && typeof locales !== "string") return resolved(locales, options, required, defaults);
    let key = `${required} ${locales}`;
    for (const name in options) {
      const value = options[name];
      if (typeof value === "object" || typeof value === "function" || typeof value === "symbol") return resolved(locales, options, required, defaults);
      key += `|${name}=${typeof value} ${value}`;
    }
    let way = options === null ? undefined : ways.get(key);
    if (way === undefined) {
      way = resolved(locales, options, required, defaults);
      if (ways.size >= WAYS_MAX) ways.clear();
      ways.set(key, way);
    }
    return way;
  }
  const shownBy = (required, defaults) => function (locales, options) {
    const millis = GlobalDate.prototype.getTime.call(this);
    if (Number.isNaN(millis)) return "Invalid Date";
    return textOf(wayOf(locales, options, required, defaults), millis);
  };
  const methods = { toLocaleString: shownBy("any", "all"), toLocaleDateString: shownBy("date", "date"), toLocaleTimeString: shownBy("time", "time") };
  for (const name of Object.keys(methods)) defineProperty(methods[name], "name", { value: name, configurable: true });
  node.hide(GlobalDate.prototype, methods);

  // Digits of a number without exponent.
  function plainDigits(value) {
    const [digits, exponent] = String(value).split("e");
    if (exponent === undefined) return digits;
    const [whole, fraction = ""] = digits.split(".");
    const shift = Number(exponent);
    if (shift < 0) return `0.${"0".repeat(-shift - 1)}${whole}${fraction}`;
    return `${whole}${fraction}`.padEnd(whole.length + shift, "0");
  }
  // Half away from zero, on the digits that people see.
  function roundDigits(text, digits) {
    const [whole, fraction = ""] = text.split(".");
    if (fraction.length <= digits) return text;
    const kept = BigInt(whole + fraction.slice(0, digits)) + (fraction[digits] >= "5" ? 1n : 0n);
    const all = String(kept).padStart(digits + 1, "0");
    return digits === 0 ? all : `${all.slice(0, -digits)}.${all.slice(-digits)}`;
  }
  const digitsOption = (options, name) => {
    if (options[name] === undefined) return undefined;
    const value = Number(options[name]);
    if (!(value >= 0 && value <= 100)) throw new RangeError(`${name} value is out of range.`);
    return Math.floor(value);
  };
  function numberText(value, locales, given) {
    listOf(locales);
    const options = given ?? {};
    for (const name of ["currency", "unit", "notation", "minimumSignificantDigits", "maximumSignificantDigits", "minimumIntegerDigits", "signDisplay"]) {
      if (options[name] !== undefined) throw new RangeError(node.absent(`the option ${name}`));
    }
    const percent = options.style === "percent";
    if (options.style !== undefined && options.style !== "decimal" && !percent) throw new RangeError(node.absent(`the style ${options.style}`));
    const least = digitsOption(options, "minimumFractionDigits"), most = digitsOption(options, "maximumFractionDigits");
    if (least !== undefined && most !== undefined && least > most) throw new RangeError("maximumFractionDigits value is out of range.");
    const max = most ?? Math.max(least ?? 0, percent ? 0 : 3), min = least ?? 0;
    const sign = typeof value === "number" && (value < 0 || Object.is(value, -0)) || value < 0 ? "-" : "";
    const suffix = percent ? "%" : "";
    if (typeof value === "number" && !Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : `${sign}∞${suffix}`;
    let digits = typeof value === "bigint" ? String(value < 0n ? -value : value) : plainDigits(Math.abs(value));
    if (percent) {
      const [whole, fraction = ""] = digits.split(".");
      const moved = fraction.padEnd(2, "0");
      digits = `${BigInt(whole + moved.slice(0, 2))}${moved.length > 2 ? `.${moved.slice(2)}` : ""}`;
    }
    let [whole, fraction = ""] = roundDigits(digits, max).split(".");
    fraction = fraction.replace(/0+$/, "").padEnd(min, "0");
    if (options.useGrouping !== false) whole = whole.replace(/\B(?=(\d{3})+$)/g, ",");
    return `${sign}${whole}${fraction === "" ? "" : `.${fraction}`}${suffix}`;
  }
  node.hide(Number.prototype, { toLocaleString(locales, options) { return numberText(Number.prototype.valueOf.call(this), locales, options); } });
  node.hide(BigInt.prototype, { toLocaleString(locales, options) { return numberText(BigInt.prototype.valueOf.call(this), locales, options); } });

  // `localeCompare` in English order, as far as it goes without tables: base letters first, then accents, then case; spaces,
  // punctuation and digits before letters; letters of other scripts by code point. Of each text a key is made that compares
  // as the text should, unit by unit: what stands for its letters, and after a zero each its accents and its case. Spaces,
  // digits and small letters stand for themselves.
  const PUNCTUATION = "_-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$";
  const LIKE = { __proto__: null, ß: "ss", æ: "ae", œ: "oe", ø: "o", đ: "d", ð: "d", ħ: "h", ł: "l", ŀ: "l", ĳ: "ij", ſ: "s", ª: "a", º: "o" };
  const STROKE = "\u0338", SMALL = "\x01", CAPITAL = "\x02";
  // Of what is sorted, every text is compared many times.
  const KEYS_MAX = 10_000, KEPT_LENGTH_MAX = 64;
  // By code: what stands for a character of ASCII; nothing for what does not count.
  const standIns = Array.from({ length: 128 }, (_, code) => {
    const small = String.fromCharCode(code).toLowerCase();
    return /[a-z0-9\t-\r ]/.test(small) ? small : PUNCTUATION.includes(small) ? `!${String.fromCharCode(PUNCTUATION.indexOf(small) + 1)}` : "";
  });

  // Roughly, beyond ASCII: signs and spaces, general and Chinese punctuation, currencies, arrows, pictures.
  const isSymbol = (code) => code < 0xc0 || code === 0xd7 || code === 0xf7 || (code >= 0x2000 && code < 0x2c00) || (code >= 0x3000 && code < 0x3040) || (code >= 0x1f000 && code < 0x20000);

  function keyOf(text, { numeric, ignorePunctuation, hasAccents, hasCase, upperFirst }) {
    let letters = "", accents = "", cases = "", digits = "";
    const endNumber = () => {
      // How many digits, then which.
      const number = digits.replace(/^0+/, "");
      letters += `0${String.fromCharCode(Math.min(number.length + 1, 0xffff))}${number}`;
      digits = "";
    };
    const add = (letter, isSmall) => {
      if (letter === "" || (ignorePunctuation && letter < "0")) return;
      if (numeric && letter >= "0" && letter <= "9") digits += letter;
      else {
        if (digits !== "") endNumber();
        letters += letter;
      }
      accents += SMALL;
      cases += isSmall !== upperFirst ? SMALL : CAPITAL;
    };
    const plain = text.normalize("NFD");
    for (let i = 0; i < plain.length; i++) {
      const code = plain.codePointAt(i);
      if (code < 128) {
        add(standIns[code], code < 65 || code > 90);
        continue;
      }
      const character = String.fromCodePoint(code);
      i += character.length - 1;
      if (code >= 0x300 && code < 0x370) {
        accents += character;
        continue;
      }
      const small = character.toLowerCase(), like = LIKE[small];
      if (like === undefined) add(isSymbol(code) ? `/${small}` : small, small === character);
      else {
        for (const letter of like) add(letter, small === character);
        accents += STROKE;
      }
    }
    if (digits !== "") endNumber();
    const second = hasAccents ? accents.replace(/\x01+$/, "") : "", third = hasCase ? cases.replace(/\x01+$/, "") : "";
    return third !== "" ? `${letters}\0${second}\0${third}` : second !== "" ? `${letters}\0${second}` : letters;
  }

  // By what the options come to: the keys that are known.
  const collations = new Map();
  function collationOf({ numeric, ignorePunctuation, sensitivity = "variant", caseFirst }) {
    if (!["base", "accent", "case", "variant"].includes(`${sensitivity}`)) throw new RangeError(`Value ${sensitivity} out of range for Intl.Collator options property sensitivity`);
    const name = `${!!numeric} ${!!ignorePunctuation} ${sensitivity} ${caseFirst === "upper"}`;
    let collation = collations.get(name);
    if (collation === undefined) {
      const isVariant = sensitivity === "variant";
      collation = {
        numeric: !!numeric, ignorePunctuation: !!ignorePunctuation, upperFirst: caseFirst === "upper", keys: new Map(),
        hasAccents: isVariant || sensitivity === "accent", hasCase: isVariant || sensitivity === "case",
      };
      collations.set(name, collation);
    }
    return collation;
  }
  const USUAL = collationOf({});

  function keptKey(text, collation) {
    let key = collation.keys.get(text);
    if (key === undefined) {
      key = collation === USUAL && /^[a-z0-9 ]*$/.test(text) ? text : keyOf(text, collation);
      if (text.length > KEPT_LENGTH_MAX) return key;
      if (collation.keys.size >= KEYS_MAX) collation.keys.clear();
      collation.keys.set(text, key);
    }
    return key;
  }

  node.hide(String.prototype, {
    localeCompare(other, locales, options) {
      if (this === undefined || this === null) throw new TypeError("String.prototype.localeCompare called on null or undefined");
      const a = `${this}`, b = `${other}`;
      if (locales !== undefined) listOf(locales);
      const collation = options === undefined ? USUAL : collationOf(options);
      const left = keptKey(a, collation), right = keptKey(b, collation);
      return left < right ? -1 : left > right ? 1 : 0;
    },
  });
  defineProperty(String.prototype.localeCompare, "length", { value: 1 });
}
