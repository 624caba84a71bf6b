//! Dates in time zones, against what real Node.js 20 (with all of ICU) gave for the same calls: js/zones20.json, made once
//! by running them there.

use crate::table::every_case_holds;
use crate::webapi::holds;

const CASES: &str = include_str!("js/zones20.json");
const RUNNER: &str = "
    // [method, milliseconds, locale, options, expected]
    const call = { format: (date, locale, options) => new Intl.DateTimeFormat(locale, options).format(date),
        formatToParts: (date, locale, options) => new Intl.DateTimeFormat(locale, options).formatToParts(date)
            .map((part) => `${part.type}:${part.value}`).join('|') };
    export const handler = (cases) => cases.flatMap(([method, millis, locale, options, expected]) => {
        const date = typeof millis === 'number' ? new Date(millis) : Number(millis);
        let found;
        try {
            found = Object.hasOwn(call, method) ? call[method](date, locale ?? undefined, options) : date[method](locale ?? undefined, options);
        } catch (error) {
            found = `${error.name}: ${error.message}`;
        }
        return found === expected ? [] : [`${method} ${millis} ${locale} ${JSON.stringify(options)}: ${found}, not ${expected}`];
    });";

#[test]
fn dates_are_shown_as_node_shows_them() {
    every_case_holds(CASES, 500, RUNNER);
}

#[test]
fn what_a_table_of_dates_does_not_show() {
    holds(include_str!("js/zones.mjs"));
}
