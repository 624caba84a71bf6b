// Intl.DateTimeFormat beside its table: what it is, what it refuses, and what dates at the edge become.
import { test, equal, same, ok, throws, run as handler } from "./check.mjs";
export { handler };

test("only DateTimeFormat is there", () => {
  same(Object.getOwnPropertyNames(Intl).sort(), ["DateTimeFormat", "getCanonicalLocales", "supportedValuesOf"]);
  for (const name of ["NumberFormat", "Collator", "PluralRules", "RelativeTimeFormat", "ListFormat", "Segmenter", "Locale", "DisplayNames"]) equal(Intl[name], undefined, name);
  equal(Object.prototype.toString.call(new Intl.DateTimeFormat()), "[object Intl.DateTimeFormat]");
  ok(Intl.DateTimeFormat("en") instanceof Intl.DateTimeFormat);
  same(Intl.DateTimeFormat.supportedLocalesOf(["en-GB", "de", "en"]), ["en-GB", "en"]);
  throws("TypeError", () => Intl.DateTimeFormat.prototype.resolvedOptions.call({}));
  throws("RangeError", () => new Intl.DateTimeFormat("en", { dayPeriod: "short" }));
  throws("RangeError", () => new Intl.DateTimeFormat("en", { timeZoneName: "longGeneric" }));
});

test("the default is English in UTC", () => {
  same(new Intl.DateTimeFormat().resolvedOptions(), { locale: "en-US", calendar: "gregory", numberingSystem: "latn", timeZone: "UTC", year: "numeric", month: "numeric", day: "numeric" });
  const date = new Date(Date.UTC(2024, 1, 29, 13, 5, 9));
  equal(date.toLocaleString(), "2/29/2024, 1:05:09 PM");
  equal(date.toLocaleDateString("de-DE"), "2/29/2024");
  equal(date.getTimezoneOffset(), 0);
  equal(new Date(NaN).toLocaleString(), "Invalid Date");
  const format = new Intl.DateTimeFormat("en-GB", { timeStyle: "short" }).format;
  equal(format(date), "13:05");
});

test("zones by any spelling of their name", () => {
  const zone = (timeZone) => new Intl.DateTimeFormat("en", { timeZone }).resolvedOptions().timeZone;
  equal(zone("europe/BERLIN"), "Europe/Berlin");
  equal(zone("asia/kolkata"), "Asia/Kolkata");
  for (const name of ["UTC", "utc", "Etc/UTC", "GMT", "Etc/GMT", "Zulu"]) equal(zone(name), "UTC");
  for (const name of ["Nowhere", "", "../UTC", "+01:00", "Europe/Berlin ", "Éurope/Berlin", "x".repeat(1e5)]) throws("RangeError", () => zone(name), name.slice(0, 20));
  const names = Intl.supportedValuesOf("timeZone");
  ok(names.length > 400 && names.includes("America/New_York") && names.includes("Asia/Tokyo"));
  throws("RangeError", () => Intl.supportedValuesOf("currency"));
});

test("an hour that comes twice, and one that never comes", () => {
  const at = (millis) => new Date(millis).toLocaleTimeString("en-US", { timeZone: "America/New_York", timeZoneName: "short" });
  equal(at(Date.UTC(2024, 10, 3, 5, 30)), "1:30:00 AM EDT");
  equal(at(Date.UTC(2024, 10, 3, 6, 30)), "1:30:00 AM EST");
  equal(at(Date.UTC(2024, 2, 10, 6, 59, 59)), "1:59:59 AM EST");
  equal(at(Date.UTC(2024, 2, 10, 7)), "3:00:00 AM EDT");
});

test("dates far away", () => {
  const year = (millis, timeZone) => new Date(millis).toLocaleDateString("en-US", { timeZone, year: "numeric", era: "short" });
  equal(year(8.64e15, "Asia/Tokyo"), "275760 AD");
  equal(year(-8.64e15, "America/New_York"), "271822 BC");
  equal(year(-62198755200000, "UTC"), "2 BC");
  throws("RangeError", () => new Intl.DateTimeFormat().format(8.65e15));
});

test("numbers are grouped, and what is not there is refused", () => {
  equal((1234567.891).toLocaleString(), "1,234,567.891");
  equal((12345678901234567890n).toLocaleString("en-US"), "12,345,678,901,234,567,890");
  equal((0.256).toLocaleString("en", { style: "percent", maximumFractionDigits: 1 }), "25.6%");
  same([1234.5, new Date(0)].toLocaleString(), "1,234.5,1/1/1970, 12:00:00 AM");
  throws("RangeError", () => (1).toLocaleString("en", { style: "currency", currency: "EUR" }));
  throws("RangeError", () => (1).toLocaleString("en", { notation: "compact" }));
});
