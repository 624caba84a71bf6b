// Time zones: the offset and abbreviation at an instant come from the host's database (host/zone.rs); which abbreviations
// people of a locale use, and long names, are here.
{
  const OFFSET = 70, NAME = 71;
  const UTC = /^(?:utc|gmt[+-]?0?|uct|zulu|universal|greenwich|etc\/(?:utc|gmt[+-]?0?|uct|zulu|universal|greenwich))$/i;

  // As the database spells it; all names of UTC are "UTC".
  node.zoneOf = (given) => {
    const name = `${given}`;
    if (UTC.test(name)) return "UTC";
    return askHost(NAME, name);
  };

  // { seconds east of UTC, abbreviation }
  node.offsetAt = (zone, millis) => {
    if (zone === "UTC") return { seconds: 0, abbreviation: "UTC" };
    const answer = callHost(OFFSET, node.join(new Uint8Array(new Float64Array([millis]).buffer), node.bytesOf(zone, "latin1")));
    return { seconds: new DataView(answer).getInt32(0, true), abbreviation: node.textOf(new Uint8Array(answer, 4), "latin1") };
  };

  // "GMT", "GMT-5", "GMT+5:30"; with `long` "GMT-05:00".
  function offsetName(seconds, long) {
    const rest = Math.abs(seconds), two = (value) => String(value).padStart(2, "0");
    const hours = Math.floor(rest / 3600), minutes = Math.floor(rest / 60) % 60, odd = rest % 60;
    let text = `GMT${seconds < 0 ? "-" : "+"}${long ? two(hours) : hours}`;
    if (long || minutes !== 0 || odd !== 0) text += `:${two(minutes)}`;
    return odd === 0 ? text : `${text}:${two(odd)}`;
  }

  const AMERICAN = /^(?:AKST|AKDT|AST|ADT|CST|CDT|MST|MDT|EST|EDT|PST|PDT)$/;
  const EUROPEAN = /^(?:CET|CEST|EET|EEST|WET|WEST)$/;
  const IN_AMERICA = /^(?:America|US|Canada|Mexico)\/|^Atlantic\/Bermuda$|^(?:EST|MST|EST5EDT|CST6CDT|MST7MDT|PST8PDT)$/;
  // Zones of their own there, whose abbreviations nobody uses in English.
  const APART = /^America\/(?:Havana|Hermosillo|Mazatlan|Whitehorse|Dawson)$/;
  const HAWAII = /^(?:Pacific\/Honolulu|US\/Hawaii|Pacific\/Johnston|HST)$/, ALEUTIAN = /^(?:America\/(?:Adak|Atka)|US\/Aleutian)$/;

  function shortName(locale, zone, { seconds, abbreviation }) {
    if (zone === "UTC") return "UTC";
    if (abbreviation === "GMT" && seconds === 0) return "GMT";
    if (locale === "en-GB") {
      if (EUROPEAN.test(abbreviation)) return abbreviation;
      if (/^(?:Europe\/London|GB)$/.test(zone) && abbreviation === "BST") return "BST";
      if (/^Asia\/(?:Dubai|Muscat)$/.test(zone)) return "GST";
    } else {
      if (HAWAII.test(zone) && abbreviation === "HST") return "HST";
      if (ALEUTIAN.test(zone)) return abbreviation.replace(/^H(.)T$/, "HA$1T");
      if (AMERICAN.test(abbreviation) && IN_AMERICA.test(zone) && !APART.test(zone)) return abbreviation;
    }
    return seconds === 0 ? "GMT" : offsetName(seconds, false);
  }

  const LONG = {
    __proto__: null,
    AKST: "Alaska Standard Time", AKDT: "Alaska Daylight Time", AST: "Atlantic Standard Time", ADT: "Atlantic Daylight Time",
    CST: "Central Standard Time", CDT: "Central Daylight Time", MST: "Mountain Standard Time", MDT: "Mountain Daylight Time",
    EST: "Eastern Standard Time", EDT: "Eastern Daylight Time", PST: "Pacific Standard Time", PDT: "Pacific Daylight Time",
    CET: "Central European Standard Time", CEST: "Central European Summer Time", EET: "Eastern European Standard Time",
    EEST: "Eastern European Summer Time", WET: "Western European Standard Time", WEST: "Western European Summer Time",
    JST: "Japan Standard Time", KST: "Korean Standard Time", HKT: "Hong Kong Standard Time", PKT: "Pakistan Standard Time",
    MSK: "Moscow Standard Time", SAST: "South Africa Standard Time", EAT: "East Africa Time", CAT: "Central Africa Time",
    WAT: "West Africa Standard Time", NZST: "New Zealand Standard Time", NZDT: "New Zealand Daylight Time",
    AEST: "Australian Eastern Standard Time", AEDT: "Australian Eastern Daylight Time", AWST: "Australian Western Standard Time",
    ACST: "Australian Central Standard Time", ACDT: "Australian Central Daylight Time", WIB: "Western Indonesia Time",
  };
  const LONG_BY_ZONE = {
    __proto__: null, UTC: "Coordinated Universal Time", "Asia/Shanghai": "China Standard Time", "Asia/Kolkata": "India Standard Time",
    "Asia/Calcutta": "India Standard Time", "Asia/Singapore": "Singapore Standard Time", "Asia/Dubai": "Gulf Standard Time",
  };
  function longName(zone, { seconds, abbreviation }) {
    if (LONG_BY_ZONE[zone] !== undefined) return LONG_BY_ZONE[zone];
    if (abbreviation === "GMT" && seconds === 0) return "Greenwich Mean Time";
    if (/^(?:Europe\/London|GB)$/.test(zone)) return "British Summer Time";
    if (/^Europe\/Dublin$/.test(zone)) return "Irish Standard Time";
    if (HAWAII.test(zone)) return "Hawaii-Aleutian Standard Time";
    const american = AMERICAN.test(abbreviation);
    if (LONG[abbreviation] !== undefined && (!american || (IN_AMERICA.test(zone) && !APART.test(zone)))) return LONG[abbreviation];
    return seconds === 0 ? "GMT" : offsetName(seconds, true);
  }

  node.zoneName = (style, locale, zone, offset) => {
    switch (style) {
      case "short": return shortName(locale, zone, offset);
      case "long": return longName(zone, offset);
      default: return offsetName(offset.seconds, style === "longOffset");
    }
  };
}
