//! The web's and Node.js's ordinary API, misused: timers, streams, host calls, clones, buffers.

use std::time::Duration;

use sublet_model::Outcome;

use super::program::{Program, burns, ends, fails, finds_nothing, returns};

/// Ended by a limit, or refused by the API itself.
const BOUNDED: &[&str] = &[
    "Sandbox.CpuLimit",
    "Sandbox.Timedout",
    "Runtime.OutOfMemory",
    "RangeError",
    "TypeError",
    "SyntaxError",
    "DataCloneError",
    "InternalError",
    "Error",
];
const ENDED: &[Outcome] = &[Outcome::TimedOut, Outcome::OutOfMemory, Outcome::Failed];

const fn bounded(name: &'static str, promise: &'static str, body: &'static str) -> Program {
    ends(name, promise, body, ENDED, BOUNDED)
}

pub(super) const PROGRAMS: &[Program] = &[
    fails(
        "timer-flood",
        "There are so many timers and no more",
        "for (let i = 0; i < 20000; i++) setTimeout(() => {}, 1e6);",
        &["RangeError"],
    ),
    bounded(
        "timer-storm",
        "A storm of intervals is ended by a limit",
        "for (let i = 0; i < 2000; i++) setInterval(() => { for (let j = 0; j < 1000; j++); }, 0); await new Promise(() => {});",
    ),
    bounded(
        "timer-chain",
        "Timers that make timers are ended by a limit",
        "const again = () => { for (let j = 0; j < 5000; j++); setTimeout(again, 0); setTimeout(again, 0); }; again(); await new Promise(() => {});",
    ),
    burns("timer-loop", "A loop in a timer is ended", "setTimeout(() => { for (;;); }, 1); await new Promise(() => {});"),
    burns(
        "queue-microtask-flood",
        "Microtasks by their own name are ended too",
        "const again = () => queueMicrotask(again); again(); await new Promise(() => {});",
    ),
    returns(
        "timers-odd",
        "Timers of odd spans and arguments harm nobody",
        "for (const span of [NaN, -1, Infinity, 2 ** 53, '1e9', null, {}, []]) clearTimeout(setTimeout(() => {}, span)); clearTimeout({}); clearInterval(-1); return 1;",
        "1",
    ),
    bounded("host-random-flood", "Asking the host for randomness for ever is ended", "for (;;) crypto.getRandomValues(new Uint8Array(65536));"),
    bounded("host-digest-flood", "Hashing for ever is ended", "const a = new Uint8Array(1 << 20); for (;;) await crypto.subtle.digest('SHA-512', a);"),
    bounded("host-url-flood", "Reading addresses of megabytes for ever is ended", "for (;;) { try { new URL('http://a/' + 'é'.repeat(2e5)); } catch {} }"),
    bounded(
        "host-url-encoding-flood",
        "Hosts that take long to encode are refused at once, and asking for ever is ended",
        "const label = String.fromCharCode(...Array.from({ length: 1000 }, (_, i) => 0x4e00 + i)), address = 'http://' + Array(349).fill(label).join('.'); for (;;) { try { new URL(address); } catch {} }",
    ),
    bounded(
        "host-url-segments-flood",
        "Paths of half a million parts are refused at once, and asking for ever is ended",
        "const address = 'file:///' + 'a/'.repeat(5e5); for (;;) { try { new URL('x', address); } catch {} }",
    ),
    bounded("host-decode-flood", "Decoding megabytes for ever is ended", "const a = new Uint8Array(4 << 20).fill(0x61); for (;;) new TextDecoder('utf-16le').decode(a);"),
    bounded("host-base64-flood", "Base 64 of megabytes for ever is ended", "const a = 'A'.repeat(4e6); for (;;) btoa(atob(a));"),
    bounded("clone-deep", "Cloning what nests a hundred thousand deep is an error", "let a = {}; for (let i = 0; i < 1e5; i++) a = { a }; structuredClone(a); for (;;);"),
    bounded("clone-loops", "Cloning what loops when it is read is ended", "structuredClone({ get a() { for (;;); } });"),
    bounded("stream-endless", "A stream without end is ended", "for await (const _ of new ReadableStream({ pull(c) { c.enqueue(new Uint8Array(1000)); } }));"),
    bounded("stream-hoards", "A stream that nobody reads is ended by the memory limit", "new ReadableStream({ start(c) { for (;;) c.enqueue(new Uint8Array(1 << 20)); } });"),
    bounded("events-recurse", "Events that raise themselves are an error or are ended", "const t = new EventTarget(); t.addEventListener('x', () => t.dispatchEvent(new Event('x'))); t.dispatchEvent(new Event('x')); for (;;);"),
    bounded("abort-flood", "Signals without end are ended", "const all = []; for (;;) { const c = new AbortController(); all.push(AbortSignal.any([c.signal, ...all.slice(-10)])); c.abort(); }"),
    bounded("inspect-deep", "Showing what nests a hundred thousand deep is bounded", "const { inspect } = await import('node:util'); let a = {}; for (let i = 0; i < 1e5; i++) a = { a }; inspect(a, { depth: Infinity }); for (;;);"),
    finds_nothing(
        "buffer-out-of-bounds",
        "Node's buffers read and write nothing beyond their bytes",
        "const { Buffer } = await import('node:buffer');
        const found = [], buffer = Buffer.alloc(8);
        for (const at of [8, 7, -1, 1e9, 2 ** 31, 2 ** 53, NaN, '3', {}]) for (const name of ['readUInt32LE', 'readDoubleBE', 'readBigInt64LE', 'readInt16BE']) {
            try { const got = buffer[name](at); if (!(got == 0)) found.push([name, at]); if (at > 4 || at < 0) found.push([name, at, 'read']); } catch (e) { if (!['RangeError', 'TypeError'].includes(e.name)) found.push([name, at, e.name]); }
        }
        for (const [from, to] of [[-1, 100], [0, 1e9], [5, 2], [NaN, NaN], [2 ** 31, 2 ** 32]]) {
            for (const use of [() => buffer.subarray(from, to), () => buffer.slice(from, to), () => buffer.toString('latin1', from, to), () => buffer.fill('ab', from, to), () => buffer.copy(Buffer.alloc(4), from, to)]) {
                try { const made = use(); if (made?.length > 8) found.push([from, to, made.length]); } catch (e) { if (!['RangeError', 'TypeError'].includes(e.name)) found.push([from, to, e.name]); }
            }
        }
        return found;",
    ),
    finds_nothing(
        "buffer-unsafe",
        "A buffer that is not filled shows nothing of anybody else",
        "const { Buffer } = await import('node:buffer');
        const found = [];
        for (let i = 0; i < 20; i++) { const b = Buffer.allocUnsafe(1 << 16); for (let at = 0; at < b.length; at += 61) if (b[at] !== 0 && b[at] !== 0x5a) found.push(b[at]); b.fill(0x5a); }
        return found;",
    )
    .times(3),
    finds_nothing(
        "fetch-flood",
        "A flood of requests without a list of addresses is refused, each",
        "const tried = await Promise.allSettled(Array.from({ length: 2000 }, (_, i) => fetch(`http://127.0.0.1:${i + 1}/`)));
        return tried.filter((one) => one.status !== 'rejected').map((one) => String(one.value?.status));",
    )
    .within(Duration::from_secs(3)),
];
