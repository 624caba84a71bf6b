//! Leaving something behind: for the next event, for other functions, for other tenants.

use super::program::{Program, finds_nothing, returns};

/// What a well-behaved function finds in a fresh world.
const WITNESS: &str = "
const found = [];
export const handler = async (event) => {
    if (globalThis.left !== undefined || [].left !== undefined || process.env.LEFT !== undefined) found.push('globals');
    if (JSON.stringify({ a: 1 }) !== '{\"a\":1}' || Math.max(1, 2) !== 2) found.push('functions');
    if (Symbol.keyFor(Symbol.for('left')) !== 'left' || Object.keys(event).length !== 0) found.push('symbols');
    if (Math.abs(Date.now() - new Date().getTime()) > 1000 || Date.now() < 1e12) found.push('clock');
    if ((await Promise.resolve(3)) !== 3) found.push('promises');
    return found;
};";

pub(super) const PROGRAMS: &[Program] = &[
    returns(
        "globals",
        "Globals, prototypes and variables are fresh for every event",
        "globalThis.count = 0;
        let count = 0;
        const seen = [];
        export const handler = () => {
            const found = [globalThis.count, count, seen.length, [].left ?? 0, {}.left ?? 0, process.env.LEFT ?? 0, Math.max(1, 2)];
            globalThis.count++, count++, seen.push(1);
            Array.prototype.left = Object.prototype.left = process.env.LEFT = globalThis.left = 'left';
            Math.max = JSON.stringify = () => 0;
            return found;
        };",
        "[0,0,0,0,0,0,2]",
    )
    .module()
    .times(20)
    .before(WITNESS, "[]"),
    returns(
        "promises-and-timers",
        "What was still to be done when the answer came is never done",
        "const ran = [];
        export const handler = async () => {
            const before = ran.length;
            const again = () => { ran.push(1); return new Promise((done) => done()).then(again); };
            Promise.resolve().then(() => Promise.resolve()).then(() => ran.push('late'));
            new Promise(() => {}).then(again);
            globalThis.setTimeout?.(() => { ran.push('timer'); for (;;); }, 0);
            globalThis.setInterval?.(again, 1);
            return before;
        };",
        "0",
    )
    .module()
    .times(20)
    .before(WITNESS, "[]"),
    returns(
        "clock-and-chance",
        "A clock and a chance that the tenant replaced are the tenant's own",
        "Date.now = () => 0; Math.random = () => 4; globalThis.Date = class { static now() { return 0; } }; return Date.now();",
        "0",
    )
    .times(5)
    .before(WITNESS, "[]"),
    returns(
        "marked-memory",
        "Memory that one tenant filled with a mark shows it to nobody",
        "const mark = 'SECRET-OF-MALLORY-'; const all = [];
        for (let i = 0; i < 12; i++) all.push(new Uint8Array(1 << 20).fill(0x5a), mark.repeat(1000) + i);
        return all.length;",
        "24",
    )
    .times(10)
    .before(
        "export const handler = () => {
            const found = [];
            for (let i = 0; i < 12; i++) { const view = new Uint8Array(1 << 20); for (let at = 0; at < view.length; at += 509) if (view[at] !== 0) found.push(at); }
            return found;
        };",
        "[]",
    ),
    returns(
        "ends-in-the-middle",
        "An attempt that is broken off in the middle leaves nothing",
        "globalThis.left = 'left'; Array.prototype.left = 'left'; const f = () => { try { f(); } finally { globalThis.left = f; } };
        try { f(); } catch {} return 1;",
        "1",
    )
    .times(10)
    .before(WITNESS, "[]"),
    returns(
        "regexps-remember",
        "The place where a regular expression stopped is fresh for every event",
        "const pattern = /a/g;
        export const handler = () => { const at = pattern.lastIndex; pattern.exec('aaaa'); RegExp.prototype.left = 1; return [at, RegExp.$1 ?? '']; };",
        r#"[0,""]"#,
    )
    .module()
    .times(5),
    finds_nothing(
        "own-image-is-whole",
        "What the top level made is there again, whatever the last event did to it",
        "const table = new Map([['a', { n: 1 }]]), list = Object.freeze(['x']), secret = Symbol('own');
        class Kept { #hidden = 7; get hidden() { return this.#hidden; } set hidden(n) { this.#hidden = n; } }
        const kept = new Kept(), bytes = new Uint8Array([1, 2, 3]), generator = (function* () { yield 1; yield 2; })();
        export const handler = () => {
            const found = [];
            if (table.get('a')?.n !== 1 || table.size !== 1) found.push('map');
            if (kept.hidden !== 7) found.push('private');
            if (bytes.join() !== '1,2,3') found.push('bytes');
            if (generator.next().value !== 1) found.push('generator');
            table.clear(), (kept.hidden = 0), bytes.fill(9), generator.return();
            return found;
        };",
    )
    .module()
    .times(20),
];
