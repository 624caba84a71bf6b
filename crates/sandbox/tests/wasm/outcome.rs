//! Failures of the tenant's code, in the words of Lambda's error object.

use sublet_model::Outcome;

use super::support::{Options, build, failure, package, run};

#[test]
fn a_thrown_error_has_type_message_and_the_tenants_own_lines() {
    let source =
        "import { check } from './check.mjs';\nexport const handler = async (event) => {\n  check(event);\n};\n";
    let check = "class Wrong extends Error { name = 'Wrong'; }\nexport function check(event) {\n  JSON.parse('1');\n  \
                 throw new Wrong(`no ${event.what}`);\n}\n";
    let built = package(&[("index.mjs", source), ("check.mjs", check)]);
    let end = run(&built, r#"{"what": "luck"}"#);
    assert_eq!(end.outcome, Outcome::Failed);
    let failure = failure(&end);
    assert_eq!((failure.error_type.as_str(), failure.error_message.as_str()), ("Wrong", "no luck"));
    assert_eq!(failure.stack_trace.len(), 3, "{failure:?}");
    assert!(failure.stack_trace[0].starts_with("at Wrong (check.mjs:1:"), "{failure:?}");
    assert!(failure.stack_trace[1].starts_with("at check (check.mjs:4:"), "{failure:?}");
    assert!(failure.stack_trace[2].starts_with("at handler (index.mjs:3:"), "{failure:?}");
}

#[test]
fn commonjs_frames_have_true_lines_too() {
    let built = package(&[("index.js", "exports.handler = () => { missing(); };")]);
    let failure = failure(&run(&built, "{}"));
    assert_eq!(failure.error_type, "ReferenceError");
    assert!(failure.stack_trace[0].contains("index.js:1:2"), "{failure:?}");
}

#[test]
fn anything_can_be_thrown() {
    let cases = [
        ("throw 'words'", "string", "words"),
        ("throw null", "object", "null"),
        ("throw undefined", "undefined", "undefined"),
        ("throw { code: 5 }", "object", r#"{"code":5}"#),
        ("throw Symbol('s')", "symbol", "Symbol(s)"),
        ("throw { toString() { throw 1; }, toJSON() { throw 2; } }", "object", "[value that cannot be shown]"),
        ("const e = new Error('m'); Object.defineProperty(e, 'name', { get() { throw 1; } }); throw e", "Error", "m"),
        (
            "Object.prototype.toJSON = () => 1; Array.prototype.toJSON = () => 2; throw new TypeError('t')",
            "TypeError",
            "t",
        ),
        ("JSON.stringify = () => 'x'; String.prototype.split = null; throw new TypeError('u')", "TypeError", "u"),
    ];
    for (code, error_type, message) in cases {
        let built = package(&[("index.mjs", &format!("export const handler = () => {{ {code} }};"))]);
        let end = run(&built, "{}");
        assert_eq!(end.outcome, Outcome::Failed, "{code}: {end:?}");
        let failure = failure(&end);
        assert_eq!((failure.error_type.as_str(), failure.error_message.as_str()), (error_type, message), "{code}");
    }
}

#[test]
fn a_rejection_that_nobody_listens_to_ends_the_attempt() {
    let lost = "Promise.reject(new TypeError('lost'))";
    let late = "const p = (async () => { throw new Error('late'); })(); await new Promise((go) => setTimeout(go, 1)); \
                try { await p; } catch { return 'too late'; }";
    let told = "Runtime.UnhandledPromiseRejection";
    for (code, message) in [
        (format!("{lost};"), "TypeError: lost"),
        (format!("{lost}.then(() => 1);"), "TypeError: lost"),
        (format!("{lost}; await new Promise(() => {{}});"), "TypeError: lost"),
        (format!("{lost}.finally(() => {{}});"), "TypeError: lost"),
        (late.to_owned(), "Error: late"),
        ("Promise.reject({ code: 5 });".to_owned(), r#"{"code":5}"#),
        ("null; Promise.resolve().then(() => 0).then(() => 0).then(() => queueMicrotask(() => { throw new Error('deep'); })); return 1;".to_owned(), "deep"),
        ("queueMicrotask(() => { throw new Error('first'); }); Promise.reject(2); await new Promise(() => {});".to_owned(), "first"),
        ("Promise.reject(new Error('error: out of memory'));".to_owned(), "Error: error: out of memory"),
        ("Promise.reject();".to_owned(), "undefined"),
        ("const e = new Error('x'); e.name = { toString() { throw 1; } }; Promise.reject(e);".to_owned(), "an error that cannot be shown"),
        ("process.once('unhandledRejection', (e) => { throw new Error(`heard ${e}`); }); Promise.reject(1);".to_owned(), "heard 1"),
        ("process.once('unhandledRejection', () => {}); Promise.reject(1); await new Promise((go) => setTimeout(go, 1)); \
          Promise.reject(2);".to_owned(), "2"),
    ] {
        let built = package(&[("index.mjs", &format!("export const handler = async () => {{\n{code}\n}};"))]);
        let end = run(&built, "{}");
        assert_eq!(end.outcome, Outcome::Failed, "{code}: {end:?}");
        let failure = failure(&end);
        assert_eq!(failure.error_message, message, "{code}");
        if message.contains("lost") {
            assert_eq!(failure.error_type, told, "{code}");
            assert!(failure.stack_trace[0].starts_with("at handler (index.mjs:2:"), "{failure:?}");
        }
    }
}

#[test]
fn a_rejection_that_somebody_listens_to_in_time_ends_nothing() {
    for code in [
        "const p = Promise.reject(new Error('x')); await null; await null; await p.catch(() => {});",
        "const p = Promise.reject(1); queueMicrotask(() => p.catch(() => {}));",
        "const many = Array.from({ length: 2000 }, (_, i) => Promise.reject(i)); await Promise.allSettled(many);",
        "const many = Array.from({ length: 100 }, (_, i) => Promise.reject(i)); for (const p of many.reverse()) p.catch(() => {});",
        "try { await Promise.all([Promise.reject(1), Promise.reject(2)]); } catch {}",
        "await Promise.race([1, Promise.reject(2)]);",
        "await Promise.any([Promise.reject(1), 2]);",
        "const fails = async () => { throw new Error('x'); }; try { await fails(); } catch {}",
        "async function* numbers() { yield 1; throw new Error('x'); } try { for await (const n of numbers()); } catch {}",
        "try { await import('./missing.mjs'); } catch {}",
        "try { await import('./broken.mjs'); } catch {}",
        "process.on('unhandledRejection', (reason, promise) => { if (reason !== 1 || !(promise instanceof Promise)) throw 2; }); Promise.reject(1);",
        "const c = new AbortController(); const s = AbortSignal.any([c.signal, AbortSignal.timeout(5)]); c.abort(); s.aborted;",
        "const { readable, writable } = new TransformStream(); writable.abort(new Error('x')).catch(() => {}); \
         await readable.getReader().read().catch(() => {});",
        "const r = new ReadableStream({ start(c) { c.error(new Error('x')); } }); try { await new Response(r).text(); } catch {}",
        "const r = new ReadableStream({ pull() { throw new Error('x'); } }); const [a, b] = r.tee(); \
         await a.getReader().read().catch(() => {}); await b.getReader().read().catch(() => {});",
        "await new ReadableStream({ pull() { throw new Error('x'); } }).pipeTo(new WritableStream()).catch(() => {});",
        "await ReadableStream.from([1]).pipeTo(new WritableStream({ write() { throw new Error('x'); } })).catch(() => {});",
        "const many = await Promise.allSettled(Array.from({ length: 50_000 }, async () => { throw new Error('x'); })); if (many.length !== 50_000) throw 1;",
        "const rs = new ReadableStream({ pull(c) { c.enqueue(1); }, async cancel() { throw new Error('c'); } }); const a = new AbortController(); \
         const ws = new WritableStream({ async write() { a.abort(); await new Promise((go) => setTimeout(go, 5)); } }); \
         try { await rs.pipeTo(ws, { preventAbort: true, signal: a.signal }); } catch {}",
        "const w = new WritableStream({ write() { throw new Error('x'); } }).getWriter(); w.closed.catch(() => {}); \
         await w.write(1).catch(() => {});",
    ] {
        let files = [
            ("index.mjs", &*format!("export const handler = async () => {{\n{code}\nreturn 'fine';\n}};")),
            ("broken.mjs", "throw new Error('broken');"),
        ];
        let end = run(&package(&files), "{}");
        assert_eq!(end.outcome, Outcome::Succeeded, "{code}: {end:?}");
    }
}

#[test]
fn a_rejection_at_top_level_that_nobody_listens_to_fails_the_deploy() {
    let refused = |source: &str| {
        let files = [("index.mjs", source), ("broken.mjs", "throw new Error('broken');")];
        build(Options { files: &files, ..Options::default() }).err()
    };
    let failure = refused("export const handler = () => 1;\nPromise.reject(new Error('lost'));").unwrap();
    assert_eq!(failure.error_type, "Runtime.UnhandledPromiseRejection");
    assert!(failure.error_message.starts_with("index.mjs:2:"), "{failure:?}");
    assert!(failure.error_message.ends_with(": Error: lost"), "{failure:?}");
    // What the top level still has to do when its module is through belongs to the deploy, timers and secrets too.
    let late = |code: &str| {
        format!(
            "(async () => {{ await null; await null; await null; {code} }})(); exports.handler = async () => {{ await new Promise((go) => setTimeout(go, 5)); return 1; }};"
        )
    };
    let refused_late = |code: &str| {
        build(Options { files: &[("index.js", &late(code))], ..Options::default() })
            .err()
            .map(|failure| failure.error_message)
    };
    assert!(refused_late("throw new Error('lost');").unwrap().ends_with(": Error: lost"));
    assert!(refused_late("queueMicrotask(() => { throw new Error('lost'); });").unwrap().ends_with(": lost"));
    let timers = format!("setInterval(() => {{}}, 60_000); {}", late("setInterval(() => {}, 60_000);"));
    let end = run(&build(Options { files: &[("index.js", &timers)], ..Options::default() }).unwrap(), "{}");
    assert_eq!((end.outcome, end.result.as_deref()), (Outcome::Succeeded, Some(&b"1"[..])), "{end:?}");
    for source in [
        "let found; try { found = await import('./broken.mjs'); } catch {} export const handler = () => 1;",
        "const found = import('./broken.mjs').catch(() => {}); export const handler = () => found;",
        "process.on('unhandledRejection', () => {}); Promise.reject(1); export const handler = () => 1;",
    ] {
        assert_eq!(refused(source).map(|failure| failure.error_message), None, "{source}");
    }
}

#[test]
fn results_that_are_not_json_fail() {
    for code in ["1n", "(() => { const a = {}; a.a = a; return a; })()", "{ toJSON() { throw new Error('no'); } }"] {
        let built = package(&[("index.mjs", &format!("export const handler = () => ({code});"))]);
        assert_eq!(failure(&run(&built, "{}")).error_type, "Runtime.MarshalError", "{code}");
    }
}

#[test]
fn a_result_larger_than_allowed_fails() {
    let built = package(&[("index.mjs", "export const handler = (n) => 'x'.repeat(n);")]);
    assert_eq!(run(&built, "262142").outcome, Outcome::Succeeded);
    let end = run(&built, "262143");
    assert_eq!((end.outcome, failure(&end).error_type.as_str()), (Outcome::Failed, "Runtime.ResultTooLarge"));
}

#[test]
fn a_promise_that_cannot_settle_fails() {
    let built = package(&[("index.mjs", "export const handler = () => new Promise(() => {});")]);
    assert_eq!(failure(&run(&built, "{}")).error_message, "handler's promise never settled");
    let refused = build(Options { files: &[("index.mjs", "await new Promise(() => {});")], ..Options::default() });
    assert_eq!(refused.err().unwrap().error_message, "a top-level await never settled");
}
