//! Reading and writing outside of what is one's own, and taking more of it than there is.

use std::time::Duration;

use sublet_model::Outcome;

use super::program::{Program, ends, finds_nothing, hoards, hoards_or_burns, returns};
use crate::attack::verdict::Spends;

pub(super) const PROGRAMS: &[Program] = &[
    finds_nothing(
        "view-out-of-bounds",
        "An index outside of a typed array reads nothing and writes nothing",
        "const found = [], view = new Uint8Array(8);
        for (const at of [8, -1, 1e9, 2 ** 31, 2 ** 32, 2 ** 32 + 1, 2 ** 53 - 1, 1e300, '-0', 0.5]) {
            view[at] = 77;
            if (view[at] !== undefined) found.push(at);
        }
        if (view.some((byte) => byte !== 0)) found.push('written');
        return found;",
    ),
    finds_nothing(
        "data-view-out-of-bounds",
        "A DataView reads and writes nothing beyond its bytes",
        "const found = [], view = new DataView(new ArrayBuffer(16), 4, 8);
        for (const at of [8, 1, 7, -1, -4, 1e9, 2 ** 31, 2 ** 32 - 4, 2 ** 32, 2 ** 53, Infinity]) {
            try { view.getFloat64(at); found.push(['read', at]); } catch (e) { if (!(e instanceof RangeError)) found.push(e.name); }
            try { view.setBigUint64(at, 1n); found.push(['wrote', at]); } catch (e) { if (!(e instanceof RangeError)) found.push(e.name); }
        }
        return found;",
    ),
    finds_nothing(
        "buffer-shrinks-under-a-view",
        "A buffer that shrinks while a method walks its view leaves nothing behind it to reach",
        "const found = [];
        const shrinking = (use) => {
            const buffer = new ArrayBuffer(1 << 16, { maxByteLength: 1 << 17 });
            const view = new Uint8Array(buffer).fill(1);
            const shrink = { valueOf() { buffer.resize(8); return 3; } };
            try { use(view, shrink, buffer); } catch (e) { if (!(e instanceof TypeError || e instanceof RangeError)) found.push(e.name); }
            if (view.length > 8 && buffer.byteLength === 8) found.push(view.length);
            for (const at of [8, 100, 65535]) if (view[at] !== undefined && buffer.byteLength === 8) found.push(at);
        };
        shrinking((view, shrink) => view.fill(shrink));
        shrinking((view, shrink) => view.fill(7, 0, shrink));
        shrinking((view, shrink) => { view[60000] = shrink; });
        shrinking((view, shrink) => view.copyWithin(1000, shrink));
        shrinking((view, shrink) => view.slice(shrink));
        shrinking((view, shrink) => view.subarray(shrink));
        shrinking((view, shrink) => view.set([1, shrink, 3], 60000));
        shrinking((view, shrink) => view.includes(undefined, shrink));
        shrinking((view, shrink) => view.indexOf(1, shrink));
        shrinking((view, shrink) => view.lastIndexOf(1, shrink));
        shrinking((view, shrink) => view.with(60000, shrink));
        shrinking((view, shrink, buffer) => view.sort((a, b) => { buffer.resize(8); return a - b; }));
        shrinking((view, shrink, buffer) => view.map((byte) => { buffer.resize(8); return byte; }));
        shrinking((view, shrink, buffer) => view.forEach(() => buffer.resize(8)));
        shrinking((view, shrink, buffer) => view.join({ toString() { buffer.resize(8); return ','; } }));
        shrinking((view, shrink, buffer) => new DataView(buffer).setUint32(60000, shrink));
        shrinking((view, shrink, buffer) => new DataView(buffer).getUint32(shrink + 60000));
        shrinking((view, shrink, buffer) => buffer.slice(shrink, 60000));
        shrinking((view, shrink, buffer) => {
            class Other extends Uint8Array { static get [Symbol.species]() { buffer.resize(8); return Uint8Array; } }
            new Other(buffer).slice(60000);
        });
        return found;",
    ),
    finds_nothing(
        "buffer-is-taken-away",
        "A buffer that was transferred leaves no view that still reads it",
        "const found = [];
        const taking = (use) => {
            const buffer = new ArrayBuffer(1 << 16), view = new Uint8Array(buffer).fill(9);
            const take = { valueOf() { if (!buffer.detached) buffer.transfer(4); return 1; } };
            try { use(view, take, buffer); } catch (e) { if (!(e instanceof TypeError || e instanceof RangeError)) found.push(e.name); }
            if (buffer.detached && (view[0] !== undefined || view.length !== 0)) found.push('alive');
        };
        taking((view, take) => view.fill(take));
        taking((view, take) => { view[5] = take; });
        taking((view, take) => view.set([take], 3));
        taking((view, take) => view.copyWithin(take, 100));
        taking((view, take) => view.slice(take));
        taking((view, take, buffer) => new DataView(buffer).setFloat64(8, take));
        taking((view, take, buffer) => view.sort(() => { take.valueOf(); return 0; }));
        taking((view, take, buffer) => buffer.slice(take));
        taking((view, take, buffer) => buffer.transfer(take));
        return found;",
    ),
    finds_nothing(
        "lengths-that-wrap",
        "A length beyond what there can be is an error, and never a small buffer with a large length",
        "const found = [];
        const lengths = [2 ** 31, 2 ** 32, 2 ** 32 + 8, 2 ** 33, 2 ** 53 - 1, -1, Infinity];
        const makers = {
            ArrayBuffer: (n) => new ArrayBuffer(n), Uint8Array: (n) => new Uint8Array(n), Float64Array: (n) => new Float64Array(n),
            BigInt64Array: (n) => new BigInt64Array(n), from: (n) => Uint8Array.from({ length: n }),
            growing: (n) => new ArrayBuffer(8, { maxByteLength: n }), offset: (n) => new Uint8Array(new ArrayBuffer(8), n),
            tail: (n) => new Uint16Array(new ArrayBuffer(8), 2, n), view: (n) => new DataView(new ArrayBuffer(8), 1, n),
            repeat: (n) => 'xy'.repeat(n), pad: (n) => ''.padStart(n, 'ab'), resize: (n) => new ArrayBuffer(8, { maxByteLength: 16 }).resize(n),
        };
        for (const name in makers) for (const n of lengths) {
            try {
                const made = makers[name](n);
                const length = made?.byteLength ?? made?.length;
                if (n > 0 && length !== undefined && !(name === 'growing' && length === 8)) found.push([name, n, length]);
            } catch (e) { if (!['RangeError', 'TypeError', 'InternalError', 'SyntaxError'].includes(e.name)) found.push([name, n, e.name]); }
        }
        return found;",
    ),
    finds_nothing(
        "array-likes-that-lie",
        "Array methods on an object that lies about its length stay within it",
        "const found = [];
        const lying = (length) => ({ length, 0: 'a', 1: 'b' });
        for (const length of [2 ** 53 - 1, 2 ** 53, -1, NaN, '9007199254740992']) for (const use of [
            (o) => Array.prototype.push.call(o, 1), (o) => Array.prototype.at.call(o, -1), (o) => Array.prototype.pop.call(o),
            (o) => Array.prototype.with.call(o, 0, 1), (o) => Array.prototype.toSorted.call(o), (o) => Array.from(o, () => { throw new RangeError(); }),
            (o) => String.fromCharCode.apply(null, o),
            (o) => Reflect.apply(Math.max, null, o), (o) => new Uint8Array(o),
        ]) {
            try { use(lying(length)); } catch (e) { if (!['TypeError', 'RangeError', 'InternalError'].includes(e.name)) found.push([length, e.name]); }
        }
        return found;",
    ),
    finds_nothing(
        "array-changes-under-a-method",
        "An array that is emptied while a method walks it gives nothing that was never in it",
        "const found = [];
        const emptying = (use) => {
            const list = Array.from({ length: 1000 }, (_, at) => ({ at }));
            const empty = { valueOf() { if (list.length > 0) { list.length = 0; new Array(5000).fill('fresh'); } return 1; } };
            let made;
            try { made = use(list, empty); } catch (e) { if (!['TypeError', 'RangeError'].includes(e.name)) found.push(e.name); }
            if (Array.isArray(made) && made.some((item) => item !== undefined && typeof item !== 'object')) found.push(String(use));
        };
        emptying((list, empty) => list.slice(empty, 900));
        emptying((list, empty) => list.splice(empty, 500));
        emptying((list, empty) => list.concat({ [Symbol.isConcatSpreadable]: true, get length() { empty.valueOf(); return 3; } }));
        emptying((list, empty) => list.toSpliced(empty, 5));
        emptying((list, empty) => list.sort(() => { empty.valueOf(); return 0; }));
        emptying((list, empty) => list.toSorted(() => { empty.valueOf(); return 0; }));
        emptying((list, empty) => list.map((item) => { empty.valueOf(); return item; }));
        emptying((list, empty) => list.flatMap((item) => { empty.valueOf(); return [item]; }));
        emptying((list, empty) => list.copyWithin(0, empty));
        emptying((list, empty) => { list.splice(0, 500, ...[{}, {}]); list.reverse(); list.length = 3; return list; });
        emptying((list, empty) => { for (const item of list) if (item.at === 3) empty.valueOf(); return list; });
        return found;",
    ),
    finds_nothing(
        "fresh-buffers-are-zero",
        "New memory holds zeros, whoever had it before",
        "const found = [];
        for (let round = 0; round < 20; round++) {
            const view = new Uint8Array(1 << 20);
            for (let at = 0; at < view.length; at += 61) if (view[at] !== 0) found.push(at);
            view.fill(0xa5);
        }
        return found;",
    )
    .spending(Spends::Something)
    .times(3),
    ends(
        "shared-memory-waits",
        "Waiting on shared memory does not stop the worker's one thread",
        "const cell = new Int32Array(new SharedArrayBuffer(8));
        Atomics.wait(cell, 0, 0, 60000);
        return 'waited';",
        &[Outcome::Failed],
        &["TypeError", "ReferenceError"],
    ),
    returns(
        "no-machine-code",
        "Tenant code cannot make machine code of its own",
        "return [typeof WebAssembly, typeof Worker, typeof SharedWorker];",
        r#"["undefined","undefined","undefined"]"#,
    ),
    hoards(
        "array-bomb",
        "Arrays beyond the limit are out of memory",
        "const all = []; for (;;) all.push(new Array(1000).fill(all.length));",
    ),
    hoards(
        "string-bomb",
        "Strings beyond the limit are out of memory",
        "const all = []; for (;;) all.push('x'.repeat(1e6) + all.length);",
    ),
    hoards("buffer-bomb", "Buffers beyond the limit are out of memory", "const all = []; for (;;) all.push(new Uint8Array(1 << 20));"),
    hoards_or_burns("map-bomb", "Maps beyond the limit are out of memory", "const m = new Map(); for (let i = 0; ; i++) m.set(i, {});"),
    hoards("chain-bomb", "Chains of objects beyond the limit are out of memory", "let a = {}; for (;;) a = { a };"),
    hoards_or_burns("name-bomb", "Property names beyond the limit are out of memory", "const o = {}; for (let i = 0; ; i++) o[`name_${i}_${'y'.repeat(200)}`] = i;"),
    hoards_or_burns("symbol-bomb", "Registered symbols beyond the limit are out of memory", "const all = []; for (let i = 0; ; i++) all.push(Symbol.for('s'.repeat(500) + i));"),
    hoards_or_burns("closure-bomb", "Closures beyond the limit are out of memory", "const all = []; for (;;) { const own = all.length; all.push(() => own, function* () { yield own; }); }"),
    hoards_or_burns("error-bomb", "Errors with their stacks beyond the limit are out of memory", "const all = []; for (;;) all.push(new Error('e'.repeat(100)));"),
    hoards_or_burns("proxy-bomb", "Proxies beyond the limit are out of memory", "const all = []; for (;;) all.push(Proxy.revocable({}, {}));"),
    hoards_or_burns("weak-bomb", "Weak references and registries beyond the limit are out of memory", "const all = [], registry = new FinalizationRegistry(() => {}); for (;;) { const o = {}; registry.register(o, all.length); all.push(new WeakRef(o), o); }"),
    hoards_or_burns("promise-bomb", "Promises that nobody settles, beyond the limit, are out of memory", "const all = []; for (;;) all.push(new Promise(() => {}).then(() => {}));"),
    ends(
        "big-number-bomb",
        "A number that grows for ever ends by a limit",
        "let n = 3n; for (;;) n *= n;",
        &[Outcome::OutOfMemory, Outcome::TimedOut, Outcome::Failed],
        &["Runtime.OutOfMemory", "Sandbox.CpuLimit", "RangeError"],
    ),
    ends(
        "regexp-bomb",
        "Regular expressions beyond the limit are out of memory",
        "const all = []; for (let i = 0; ; i++) all.push(new RegExp(`(a|b){${i % 200}}[\\\\p{L}]*x${i}`, 'u'));",
        &[Outcome::OutOfMemory, Outcome::TimedOut],
        &["Runtime.OutOfMemory", "Sandbox.CpuLimit"],
    ),
    ends(
        "memory-bomb-that-catches",
        "Catching the end of memory does not hide it",
        "try { const all = []; for (;;) all.push(new Uint8Array(1 << 20)); } catch (e) { return e.message; }",
        &[Outcome::OutOfMemory],
        &["Runtime.OutOfMemory"],
    )
    .spending(Spends::Memory),
    ends(
        "memory-bomb-in-the-catch",
        "Taking memory again and again while it is out ends by a limit",
        "for (;;) { try { const all = []; for (;;) all.push(new Uint8Array(1 << 20)); } catch {} }",
        &[Outcome::OutOfMemory, Outcome::TimedOut],
        &["Runtime.OutOfMemory", "Sandbox.CpuLimit"],
    ),
    ends(
        "one-buffer-of-everything",
        "One buffer as large as everything is refused, and the attempt ends",
        "return new Uint8Array(2 ** 31 - 1).length;",
        &[Outcome::OutOfMemory, Outcome::Failed],
        &["Runtime.OutOfMemory", "RangeError", "InternalError", "TypeError"],
    ),
    returns(
        "one-large-step",
        "One operation on hundreds of megabytes makes no neighbour wait until it is done",
        "const view = new Uint8Array(200 << 20); view.fill(1); view.copyWithin(1, 0); return view.slice(100 << 20).length >> 20;",
        "100",
    )
    .holding(400 << 20)
    .within(Duration::from_secs(4)),
    returns(
        "take-and-give-back",
        "Memory that is given back can be taken again, within the limit",
        "let sum = 0; for (let i = 0; i < 60; i++) sum += new Uint8Array(4 << 20).length; return sum >> 20;",
        "240",
    ),
];
