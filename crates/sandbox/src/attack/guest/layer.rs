//! Layers of the operator's that wrap the handler: finding one, getting past it, keeping it from its word.
//!
//! A wrapper shares the realm with what it wraps and is no wall (docs/layers.md), so nothing here replaces what one of
//! them takes from the realm while it runs. What is promised: the wrapped code imports nothing of a wrapper and sees no
//! frame of it; and a wrapper runs around the handler that was deployed, and hears how that ended, whatever was thrown.

use sublet_model::Outcome;

use super::program::{Layer, Program, ends, package_refused, package_returns, package_stopped, returns, says};
use super::wrapper::{ANY_ERROR, SCORCHED};
use crate::SourceFile;
use crate::attack::range::file;

const MANIFEST: (&str, &str) = ("sublet.json", r#"{"wrapper": "index.wrap"}"#);

/// Puts the handler's result into its own, with how often it has run, sixfold.
const AUDIT: &[Layer] = &[(
    "audit",
    &[
        MANIFEST,
        (
            "index.mjs",
            "import { secret } from './secret.mjs';
            let seen = 0;
            export const wrap = (next) => async (event, context) => {
                seen += secret.length;
                const result = await next(event, context);
                return { by: 'audit', seen, result };
            };",
        ),
        ("secret.mjs", "export const secret = 'sesame';"),
    ],
)];
const AUDITED_NOTHING: &str = r#"{"by":"audit","seen":6,"result":[]}"#;
const AUDITED: &str = r#"{"by":"audit","seen":6,"result":"mine"}"#;

/// Looks at every event, result and error.
const HOOKS: &[Layer] = &[(
    "hooks",
    &[
        MANIFEST,
        (
            "index.mjs",
            "export const wrap = {
                before(event) { return { ...event, before: true }; },
                after(result, event) { return { after: event.before, result }; },
                error(error, event) { return { after: event.before, error: typeof error }; },
            };",
        ),
    ],
)];

/// Calls the handler nine times, and tells how each call ended.
const WATCH: &[Layer] = &[(
    "watch",
    &[
        MANIFEST,
        (
            "index.mjs",
            "export const wrap = (next) => async (event, context) => {
                const ends = [];
                for (let n = 0; n < 9; n++) {
                    try {
                        ends.push(`returned ${typeof await next({ n }, context)}`);
                    } catch (error) {
                        ends.push(`threw ${typeof error}`);
                    }
                }
                return ends;
            };",
        ),
    ],
)];

/// Lets nothing through.
const GUARD: &[Layer] = &[(
    "guard",
    &[
        MANIFEST,
        (
            "index.mjs",
            "const Refusal = RangeError;
            export const wrap = () => async () => { throw new Refusal('not today'); };",
        ),
    ],
)];

fn found_by_require() -> Vec<SourceFile> {
    vec![file(
        "index.js",
        "const found = [];
        require.cache['/opt/audit/index.mjs'] = { exports: { wrap: () => () => 'forged' } };
        require.cache['/opt/audit/secret.mjs'] = { exports: { secret: 'forged' } };
        delete require.cache['/opt/audit/index.mjs'];
        delete require.cache['/opt/audit/secret.mjs'];
        exports.handler = () => {
            for (const name of [
                'audit', 'audit/index.mjs', 'audit/secret.mjs',
                '/opt/audit', '/opt/audit/secret.mjs', '../opt/audit/secret.mjs',
            ]) {
                try { require(name); found.push(name); } catch {}
                try { found.push(require.resolve(name)); } catch {}
            }
            const kept = [...Object.keys(require.cache), ...module.children.map((child) => child.id), ...module.paths];
            const above = [module.parent, require.main].filter((it) => it);
            return [...found, ...above, ...kept.filter((key) => key !== '/index.js')];
        };",
    )]
}

fn exported_from_a_layer() -> Vec<SourceFile> {
    vec![file("index.mjs", "export { secret } from '/opt/audit/secret.mjs'; export const handler = () => 1;")]
}

fn scorched_before_the_guard() -> Vec<SourceFile> {
    vec![file("index.mjs", format!("{SCORCHED}\nexport const handler = () => 'through';"))]
}

pub(super) const PROGRAMS: &[Program] = &[
    returns(
        "layer-by-name",
        "No name and no path that is made up in the handler leads to a wrapper or its files",
        "const found = [];
        for (const name of [
            'audit', 'audit/index.mjs', 'audit/secret.mjs', 'audit/./secret.mjs', '/opt/audit', '/opt/audit/secret.mjs',
            '/opt//audit/secret.mjs', '/opt/other/../audit/secret.mjs', '../opt/audit/secret.mjs',
            './../../opt/audit/secret.mjs', 'file:///opt/audit/secret.mjs', '/opt/audit/sublet.json',
            'sublet:require:/opt/audit/secret.mjs', 'sublet:handover', 'sublet:prelude',
        ]) {
            try { found.push([name, Object.keys(await import(name))]); } catch {}
        }
        return found;",
        AUDITED_NOTHING,
    )
    .wrapped_by(AUDIT),
    package_refused(
        "layer-by-name-at-deploy",
        "A package that gives on what is a wrapper's is refused",
        exported_from_a_layer,
        &["Runtime.ImportModuleError"],
    )
    .wrapped_by(AUDIT),
    package_returns(
        "layer-by-require",
        "Nor does require, nor what it keeps, show anything of a wrapper's",
        found_by_require,
        AUDITED_NOTHING,
    )
    .wrapped_by(AUDIT),
    returns(
        "layer-by-stack",
        "No stack of the handler's shows a frame of a wrapper's, and nobody hands out who called",
        "const found = [];
        const look = () => {
            const text = String(new Error('x').stack);
            if (/opt|audit|secret/.test(text)) found.push(text.slice(0, 80));
        };
        look();
        Error.prepareStackTrace = (error, sites) => {
            for (const site of sites) {
                const hand = site.getFunction?.() ?? site.getThis?.();
                if (hand !== undefined && hand !== globalThis) found.push(typeof hand);
            }
            return sites.map((site) => `${site.getFileName()} ${site.getFunctionName()}`).join();
        };
        look();
        await null;
        look();
        try { found.push((function () { return arguments.callee.caller; })().name); } catch {}
        return found;",
        AUDITED_NOTHING,
    )
    .wrapped_by(AUDIT),
    returns(
        "layer-then-replaced",
        "Replacing then does not keep a wrapper from the result",
        "Promise.prototype.then = Promise.prototype.catch = Promise.prototype.finally = () => 'forged';
        await null;
        return 'mine';",
        AUDITED,
    )
    .wrapped_by(AUDIT),
    returns(
        "layer-promises-replaced",
        "Nor do constructors, species and a Promise of the tenant's own",
        "for (const deed of [
            () => { Promise.prototype.constructor = class extends Promise {}; },
            () => Object.defineProperty(Promise.prototype, 'constructor', { get() { throw new Error('forged'); } }),
            () => Object.defineProperty(Promise, Symbol.species, { get() { throw new Error('forged'); } }),
            () => { Promise.resolve = Promise.reject = () => 'forged'; },
            () => { globalThis.Promise = class { then() { return 'forged'; } }; },
        ]) {
            try { deed(); } catch {}
        }
        return 'mine';",
        AUDITED,
    )
    .wrapped_by(AUDIT),
    returns(
        "layer-functions-replaced",
        "Hooks are called whatever became of call, apply and bind",
        "Function.prototype.call = Function.prototype.apply = Function.prototype.bind = () => 'forged';
        Reflect.apply = Reflect.construct = () => 'forged';
        export const handler = () => 'mine';",
        r#"{"after":true,"result":"mine"}"#,
    )
    .module()
    .wrapped_by(HOOKS),
    returns(
        "layer-builtins-replaced",
        "What a wrapper does not use may be replaced",
        "for (const name of ['map', 'push', 'join', 'slice', 'concat']) Array.prototype[name] = () => 'forged';
        for (const name of ['keys', 'entries', 'assign', 'defineProperty', 'freeze']) Object[name] = () => 'forged';
        Array.prototype[Symbol.iterator] = function* () { yield 'forged'; };
        globalThis.JSON = { stringify: () => 'forged', parse: () => 'forged' };
        return 'mine';",
        AUDITED,
    )
    .wrapped_by(AUDIT),
    returns(
        "layer-globals-that-throw",
        "Global names that throw when they are read do not keep a wrapper from its word",
        "const { defineProperty } = Object;
        const forged = { get() { throw new TypeError('forged'); } };
        for (const name of ['Object', 'Array', 'Promise', 'Error', 'String', 'Reflect', 'Symbol', 'JSON', 'WeakMap']) {
            defineProperty(globalThis, name, forged);
        }
        export const handler = () => 'mine';",
        AUDITED,
    )
    .module()
    .wrapped_by(AUDIT),
    returns(
        "layer-handler-replaced",
        "What the handler's export becomes is nobody's handler, and the wrapper's state is as its top level left it",
        "export let handler = () => {
            handler = () => 'forged';
            globalThis.handler = globalThis.wrap = () => 'forged';
            return 'mine';
        };",
        AUDITED,
    )
    .module()
    .wrapped_by(AUDIT)
    .times(3),
    returns(
        "layer-odd-errors",
        "A wrapper catches whatever is thrown",
        "const revoked = Proxy.revocable({}, {});
        revoked.revoke();
        const trap = new Proxy({}, { get() { throw 1; }, has() { throw 2; }, getPrototypeOf() { throw 3; } });
        const frozen = Object.freeze(new Error('x'));
        const odd = [null, undefined, Symbol('s'), 1n, '', () => {}, trap, revoked.proxy, frozen];
        throw odd[event.n];",
        concat!(
            r#"["threw object","threw undefined","threw symbol","threw bigint","threw string","threw function","#,
            r#""threw object","threw object","threw object"]"#
        ),
    )
    .wrapped_by(WATCH),
    returns(
        "layer-odd-results",
        "A wrapper gets what was returned, however it was settled, and once",
        "const odd = [
            { then(done) { done(1); done('again'); throw 2; } },
            { get then() { throw new Error('x'); } },
            new Proxy({}, { get() { throw 'x'; } }),
            { then(done) { done({ then(inner) { inner(true); } }); } },
            { then(done, fail) { fail(undefined); } },
            Object.defineProperty(Promise.resolve(1), 'then', { value(done) { done(1n); } }),
            Object.defineProperty(Promise.resolve(1), 'constructor', { value: 1 }),
            event.n === 7 ? Promise.reject(Symbol('s')) : undefined,
            new Proxy(function () {}, {}),
        ];
        return odd[event.n];",
        concat!(
            r#"["returned number","threw object","threw string","returned boolean","threw undefined","#,
            r#""returned bigint","threw object","threw symbol","returned function"]"#
        ),
    )
    .wrapped_by(WATCH),
    returns(
        "layer-error-hook",
        "The hook for errors is called with what cannot be looked at",
        "const { proxy, revoke } = Proxy.revocable({}, {});
        revoke();
        throw proxy;",
        r#"{"after":true,"error":"object"}"#,
    )
    .wrapped_by(HOOKS),
    ends(
        "layer-never-answered",
        "A handler that never answers has no result that a wrapper has not seen",
        "return { then() {} };",
        &[Outcome::Failed],
        &["Runtime.PromiseNeverSettled"],
    )
    .wrapped_by(AUDIT),
    package_stopped(
        "layer-guard-and-scorched-earth",
        "A wrapper that refuses is not got past by replacing every function at the top level",
        scorched_before_the_guard,
        ANY_ERROR,
    )
    .wrapped_by(GUARD),
    says(
        "layer-guard-and-broken-stacks",
        "A wrapper's refusal is told as its layer's, whatever became of stacks",
        "Error.prepareStackTrace = () => { throw new Error('forged'); };
        Error.captureStackTrace = () => { throw new Error('forged'); };
        Error.prototype.toString = () => { throw new Error('forged'); };
        export const handler = () => 'through';",
        "RangeError",
        "layer guard: not today",
    )
    .wrapped_by(GUARD),
];
