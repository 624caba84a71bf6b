// Which fields of a date come in which order, and what stands between them, in the three kinds of English that are here:
// en-US (and en), en-GB, en-CA. A pattern is text with fields in braces, `{month}/{day}`; the values are the caller's.
{
  const isText = (month) => month === "short" || month === "long" || month === "narrow";

  // As CLDR has it: where all is numeric, some locales write two digits although one was asked for.
  function widths(locale, options) {
    const { year, month, day } = options;
    if (locale === "en-US" || isText(month) || month === undefined) return { month, day };
    if (day === undefined) return { month: year === undefined ? month : "2-digit", day };
    return (month === "numeric" && day === "numeric") || (locale === "en-GB" && options.weekday !== undefined) ? { month: "2-digit", day: "2-digit" } : { month, day };
  }

  function core(locale, { year, month, day }) {
    const y = year !== undefined, m = month !== undefined, d = day !== undefined;
    if (isText(month)) {
      if (locale === "en-GB") return `${d ? "{day} " : ""}{month}${y ? " {year}" : ""}`;
      return `{month}${d ? " {day}" : ""}${y ? (d ? ", {year}" : " {year}") : ""}`;
    }
    const fields = { "en-US": ["month", "day", "year"], "en-GB": ["day", "month", "year"], "en-CA": ["year", "month", "day"] }[locale];
    if (y && d && !m) return "{year} (day: {day})";
    return fields.filter((field) => ({ year: y, month: m, day: d })[field]).map((field) => `{${field}}`).join(locale === "en-CA" ? "-" : "/");
  }

  node.datePattern = (locale, options) => {
    const { weekday, era, year, month, day } = options;
    let text = core(locale, options);
    if (weekday !== undefined && year !== undefined && day !== undefined && month === undefined && era === undefined) {
      return locale === "en-GB" ? "{weekday} {day} {year}" : "{day} {weekday} {year}";
    }
    if (era !== undefined) text = text === "" ? "{era}" : `${text} {era}`;
    if (weekday === undefined) return text;
    if (text === "") return "{weekday}";
    if (month !== undefined && day !== undefined) return locale === "en-GB" && year === undefined ? `{weekday} ${text}` : `{weekday}, ${text}`;
    return day !== undefined && locale === "en-GB" ? `{weekday} ${text}` : `${text} {weekday}`;
  };

  // A clock of 24 hours writes two digits, but for one way of asking in British English.
  node.isHourPadded = (locale, { hour, minute, second, hourCycle, timeStyle }) => {
    if (hour === "2-digit") return true;
    if (hourCycle < "h2") return false;
    return locale !== "en-GB" || timeStyle !== undefined || minute !== "2-digit" || second === "numeric";
  };

  node.timePattern = (locale, options) => {
    const { hour, minute, second, fractionalSecondDigits } = options;
    const fields = [["hour", hour], ["minute", minute], ["second", second]].filter(([, width]) => width !== undefined).map(([name]) => `{${name}}`);
    let text = fields.join(":");
    if (fractionalSecondDigits !== undefined) text += text === "" ? "{fractionalSecond}" : ".{fractionalSecond}";
    if (text === "{hour}" && locale === "en-GB" && options.hourCycle >= "h2" && options.timeZoneName !== undefined) text += "h";
    if (hour !== undefined && options.hourCycle < "h2") text += "\u202f{dayPeriod}";
    return text;
  };

  node.joinPatterns = (locale, options, date, time) => {
    if (date === "" || time === "") return date + time;
    const { month, dateStyle } = options;
    if (dateStyle !== undefined) return `${date}${dateStyle === "full" || dateStyle === "long" ? " at " : ", "}${time}`;
    if (date === "{weekday}" && options.hour !== undefined && options.timeZoneName === undefined) return `${date} ${time}`;
    return `${date}${month === "long" ? " at " : ", "}${time}`;
  };

  const FULL = { weekday: "long", year: "numeric", month: "long", day: "numeric" };
  node.dateStyles = (locale) => ({
    full: FULL,
    long: { ...FULL, weekday: undefined },
    medium: { year: "numeric", month: "short", day: "numeric" },
    short: { year: locale === "en-US" ? "2-digit" : "numeric", month: "numeric", day: "numeric" },
  });
  const SECONDS = { hour: "numeric", minute: "2-digit", second: "2-digit" };
  node.timeStyles = {
    full: { ...SECONDS, timeZoneName: "long" },
    long: { ...SECONDS, timeZoneName: "short" },
    medium: SECONDS,
    short: { hour: "numeric", minute: "2-digit" },
  };

  const MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
  const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
  const ERAS = { long: ["Before Christ", "Anno Domini"], short: ["BC", "AD"], narrow: ["B", "A"] };
  const two = (value) => String(value).padStart(2, "0");
  const named = (name, width, short = 3) => (width === "long" ? name : width === "narrow" ? name[0] : name.slice(0, short));

  // `local`: a Date whose UTC fields are the zone's.
  node.fieldText = (locale, options, field, local) => {
    switch (field) {
      case "weekday": return named(DAYS[local.getUTCDay()], options.weekday);
      case "era": return ERAS[options.era][local.getUTCFullYear() > 0 ? 1 : 0];
      case "year": {
        const year = local.getUTCFullYear(), shown = year > 0 ? year : 1 - year;
        return options.year === "2-digit" ? two(shown % 100) : String(shown);
      }
      case "month": {
        const width = widths(locale, options).month, month = local.getUTCMonth();
        if (width === "short" && month === 8 && locale !== "en-US") return "Sept";
        return isText(width) ? named(MONTHS[month], width) : width === "2-digit" ? two(month + 1) : String(month + 1);
      }
      case "day": return widths(locale, options).day === "2-digit" ? two(local.getUTCDate()) : String(local.getUTCDate());
      case "hour": {
        const hour = local.getUTCHours();
        const shown = { h11: hour % 12, h12: hour % 12 || 12, h23: hour, h24: hour || 24 }[options.hourCycle];
        return node.isHourPadded(locale, options) ? two(shown) : String(shown);
      }
      case "minute": return options.hour !== undefined || options.second !== undefined ? two(local.getUTCMinutes()) : String(local.getUTCMinutes());
      case "second": return options.minute !== undefined ? two(local.getUTCSeconds()) : String(local.getUTCSeconds());
      case "fractionalSecond": return String(local.getUTCMilliseconds()).padStart(3, "0").slice(0, options.fractionalSecondDigits);
      default: {
        const half = local.getUTCHours() < 12 ? "am" : "pm";
        return locale === "en-US" ? half.toUpperCase() : locale === "en-CA" ? `${half[0]}.m.` : half;
      }
    }
  };
}
