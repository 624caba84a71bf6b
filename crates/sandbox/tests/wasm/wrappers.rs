//! Layers that wrap the handler: what they may do, and what the wrapped code can know of them.

use super::support::{Built, Files, Options, build, failure, from, js, package, run};

const MANIFEST: (&str, &str) = ("sublet.json", r#"{"wrapper": "index.wrap"}"#);

fn wrapped(code: &str, layers: &[(&str, Files<'_>)]) -> Built {
    build(Options { files: &[("index.mjs", code)], layers, ..Options::default() })
        .unwrap_or_else(|failure| panic!("{failure:?}"))
}

/// A layer whose wrapper notes its name on the way in and on the way out.
macro_rules! noting {
    ($name:literal) => {
        (
            $name,
            &[
                MANIFEST,
                (
                    "index.mjs",
                    concat!(
                        "export const wrap = (next) => async (event, context) => {
                            const result = await next({ ...event, path: [...(event.path ?? []), '",
                        $name,
                        " in'] }, context);
                            return [...result, '",
                        $name,
                        " out'];
                        };"
                    ),
                ),
            ] as Files<'_>,
        )
    };
}

#[test]
fn wrappers_nest_in_the_order_of_the_layers_the_first_outermost() {
    let built = wrapped("export const handler = (event) => event.path;", &[noting!("a"), noting!("b")]);
    assert_eq!(from::<Vec<String>>(&run(&built, "{}")), ["a in", "b in", "b out", "a out"]);
    let plain = wrapped("export const handler = () => [];", &[]);
    assert_eq!(js(&run(&plain, "{}")), "[]");
}

#[test]
fn hooks_see_event_result_and_error_and_may_put_others_in_their_place() {
    let hooks = r#"export const wrap = {
        seen: [],
        before(event, context) { this.seen.push(`before ${context.functionName}`); return event.swap ? { n: 40 } : undefined; },
        async after(result, event) { this.seen.push(`after ${event.n}`); return event.n === 40 ? { seen: this.seen, result } : undefined; },
        error(error, event) { return event.swallow ? `instead of ${error.message}` : undefined; },
    };"#;
    let code = "export const handler = (event) => { if (event.fail) throw new TypeError('no'); return event.n + 2; };";
    let built = wrapped(code, &[("audit", &[MANIFEST, ("index.mjs", hooks)])]);
    assert_eq!(js(&run(&built, r#"{"swap": true}"#)), r#"{"seen":["before enrich","after 40"],"result":42}"#);
    assert_eq!(js(&run(&built, r#"{"n": 1}"#)), "3");
    assert_eq!(js(&run(&built, r#"{"fail": true, "swallow": true}"#)), r#""instead of no""#);
    let failed = failure(&run(&built, r#"{"fail": true}"#));
    assert_eq!((failed.error_type.as_str(), failed.error_message.as_str()), ("TypeError", "no"));
    assert!(failed.stack_trace.iter().all(|frame| frame.contains("index.mjs:1")), "{failed:?}");
}

#[test]
fn a_wrapper_is_named_in_package_json_too_and_may_be_commonjs_with_files_of_its_own() {
    let files: Files<'_> = &[
        ("package.json", r#"{"sublet": {"wrapper": "lib/main.exports_too.wrap"}}"#),
        (
            "lib/main.exports_too.js",
            "const { twice } = require('../twice'); exports.wrap = (next) => async (e, c) => twice(await next(e, c));",
        ),
        ("twice.js", "exports.twice = (n) => 2 * n;"),
    ];
    let built = wrapped("export const handler = (event) => event.n;", &[("doubler", files)]);
    assert_eq!(js(&run(&built, r#"{"n": 4}"#)), "8");
}

#[test]
fn what_a_wrapper_throws_is_told_as_its_layers_and_what_it_lets_through_is_not() {
    let guard = "export const wrap = (next) => async (event, context) => {
        if (event.refuse) throw new RangeError('not today');
        if (event.word) throw 'a word';
        return next(event, context);
    };";
    let code = "export const handler = () => { throw new Error('mine'); };";
    let layers: &[(&str, Files<'_>)] = &[noting!("outer"), ("guard", &[MANIFEST, ("index.mjs", guard)])];
    let built = wrapped(code, layers);
    let refused = failure(&run(&built, r#"{"refuse": true}"#));
    assert_eq!((refused.error_type.as_str(), refused.error_message.as_str()), ("RangeError", "layer guard: not today"));
    assert_eq!(failure(&run(&built, r#"{"word": true}"#)).error_message, "layer guard: a word");
    assert_eq!(failure(&run(&built, "{}")).error_message, "mine");
}

#[test]
fn a_wrapper_that_does_not_load_fails_the_build_as_its_layers() {
    let message = |files: Files<'_>| {
        let options = Options {
            files: &[("index.mjs", "export const handler = 1")],
            layers: &[("guard", files)],
            ..Default::default()
        };
        build(options).err().unwrap().error_message
    };
    let throws = message(&[MANIFEST, ("index.mjs", "throw new Error('at its top level')")]);
    assert!(
        throws.starts_with("layer guard: /opt/guard/index.mjs:1:") && throws.ends_with("at its top level"),
        "{throws}"
    );
    let missing = message(&[MANIFEST, ("other.mjs", "")]);
    assert!(missing.contains("layer guard: ") && missing.contains("'index.wrap'"), "{missing}");
    let shape = message(&[MANIFEST, ("index.mjs", "export const wrap = 1")]);
    assert!(shape.contains("layer guard: ") && shape.contains("neither a function"), "{shape}");
    let options = Options {
        files: &[("index.mjs", "export const handler = () => 1")],
        layers: &[("guard", &[MANIFEST, ("index.mjs", "export const wrap = () => 1")])],
        ..Default::default()
    };
    let result = build(options).err().unwrap().error_message;
    assert!(result.contains("layer guard: ") && result.contains("did not give a function"), "{result}");
}

const SECRETIVE: Files<'_> = &[
    MANIFEST,
    (
        "index.mjs",
        "import { secret } from './secret.mjs';
        export const wrap = (next) => async (event, context) => {
            const told = await (async () => ({ secret }))();
            const result = await next(event, context);
            try { throw new Error('caught within'); } catch {}
            return { result, secret: told.secret.length };
        };",
    ),
    ("secret.mjs", "export const secret = 'sesame';"),
];

#[test]
fn the_wrapped_code_cannot_import_a_wrapper_nor_any_of_its_files() {
    for import in ["audit", "audit/secret.mjs", "/opt/audit/secret.mjs", "./../opt/audit/secret.mjs", "/opt/audit"] {
        let code = format!("export const handler = async () => (await import({import:?})).secret;");
        let built = wrapped(&code, &[("audit", SECRETIVE)]);
        let refused = failure(&run(&built, "{}"));
        assert_eq!(refused.error_type, "Runtime.ImportModuleError", "{import}: {refused:?}");
        let code = format!("exports.handler = () => require({import:?}).secret;");
        let built = build(Options {
            files: &[("index.js", &code)],
            layers: &[("audit", SECRETIVE), ("plain", &[("index.js", "exports.peek = (require) => 1;")])],
            ..Options::default()
        });
        let refused = failure(&run(&built.unwrap(), "{}"));
        assert_eq!(refused.error_type, "Runtime.ImportModuleError", "{import}: {refused:?}");
    }
    let handler_of_it = Options {
        files: &[("index.mjs", "export { secret } from '/opt/audit/secret.mjs'; export const handler = 1;")],
        layers: &[("audit", SECRETIVE)],
        ..Options::default()
    };
    assert_eq!(build(handler_of_it).err().unwrap().error_type, "Runtime.ImportModuleError");
    let own = build(Options {
        files: &[
            ("index.mjs", "import name from 'audit'; export const handler = () => name;"),
            ("node_modules/audit/index.mjs", "export default 'the package of that name';"),
        ],
        layers: &[("audit", SECRETIVE)],
        ..Options::default()
    });
    let result = js(&run(&own.unwrap(), "{}"));
    assert_eq!(result, r#"{"result":"the package of that name","secret":6}"#);
    let disguised = build(Options {
        files: &[
            ("index.mjs", "import found from './sublet:x.mjs'; export const handler = () => found;"),
            ("sublet:x.mjs", "import { secret } from '/opt/audit/secret.mjs'; export default secret;"),
        ],
        layers: &[("audit", SECRETIVE)],
        ..Options::default()
    });
    assert_eq!(disguised.err().unwrap().error_type, "Runtime.ImportModuleError");
    let bridge = "sublet:require:/opt/audit/secret.mjs";
    let import = format!("import './{bridge}'; export const handler = () => 1;");
    let taken_for_ours = build(Options {
        files: &[("index.mjs", &import), (bridge, "export const secret = 'mine';")],
        layers: &[("audit", SECRETIVE)],
        ..Options::default()
    });
    assert_eq!(taken_for_ours.err().unwrap().error_type, "Runtime.ImportModuleError");
}

#[test]
fn the_cache_of_commonjs_modules_does_not_show_a_wrappers() {
    let layer: Files<'_> = &[
        ("sublet.json", r#"{"wrapper": "main.wrap"}"#),
        (
            "main.js",
            "const { two } = require('./two'); exports.wrap = (next) => async (e, c) => ({ keys: await next(e, c), two });",
        ),
        ("two.js", "exports.two = 2;"),
    ];
    let built = build(Options {
        files: &[("index.js", "exports.handler = () => Object.keys(require.cache);")],
        layers: &[("counter", layer)],
        ..Options::default()
    });
    assert_eq!(js(&run(&built.unwrap(), "{}")), r#"{"keys":["/index.js"],"two":2}"#);
}

#[test]
fn a_layer_takes_nothing_of_the_packages_in_the_place_of_what_it_lacks() {
    let layer: Files<'_> =
        &[MANIFEST, ("index.mjs", "import { key } from 'left'; export const wrap = (next) => next;")];
    let refused = build(Options {
        files: &[
            ("index.mjs", "export const handler = () => 1;"),
            ("node_modules/left/index.mjs", "export const key = 'the tenant is in';"),
        ],
        layers: &[("guard", layer)],
        ..Options::default()
    });
    let refused = refused.err().unwrap();
    assert!(
        refused.error_message.starts_with("layer guard: ") && refused.error_message.contains("'left'"),
        "{refused:?}"
    );
    let typed = build(Options {
        files: &[("package.json", r#"{"type": "commonjs"}"#), ("index.js", "exports.handler = () => 1;")],
        layers: &[(
            "guard",
            &[MANIFEST, ("index.js", "export const wrap = (next) => async (e, c) => 1 + await next(e, c);")],
        )],
        ..Options::default()
    });
    assert_eq!(js(&run(&typed.unwrap(), "{}")), "2", "the package's type is not the layer's");
}

#[test]
fn the_wrapped_code_sees_no_trace_of_a_wrapper_however_it_looks() {
    let code = "
        const seen = [];
        const { then } = Promise.prototype;
        Promise.prototype.then = function (...rest) { seen.push('then'); return Reflect.apply(then, this, rest); };
        try { Promise.prototype.constructor = class extends Promise {}; } catch { seen.push('constructor stays'); }
        Error.prepareStackTrace = (error, sites) => { seen.push(...sites.map((site) => site.getFileName())); return sites; };
        export const handler = (event, context) => {
            const { stack } = new Error();
            return { seen, files: stack.map((site) => site.getFileName()) };
        };";
    let built = wrapped(code, &[("audit", SECRETIVE)]);
    let told: serde_json::Value = from(&run(&built, "{}"));
    assert_eq!(told["secret"], 6);
    let text = told["result"].to_string();
    assert!(!text.contains("/opt/") && !text.contains("sublet:"), "{text}");
    // No promise of the wrapper's is looked at: what loads the module does that without a wrapper too.
    let alone: serde_json::Value = from(&run(&package(&[("index.mjs", code)]), "{}"));
    let looks = |seen: &serde_json::Value| seen.as_array().unwrap().iter().filter(|what| **what == "then").count();
    assert!(looks(&told["result"]["seen"]) <= looks(&alone["seen"]), "{told} and {alone}");
    assert_eq!(told["result"]["files"], serde_json::json!(["index.mjs"]));
}

#[test]
fn every_attempt_starts_from_the_state_that_the_wrappers_top_level_left() {
    let counting = "let count = 0; export const wrap = (next) => async (event, context) => { count += 1; await next(event, context); return count; };";
    let built = wrapped("export const handler = () => 0;", &[("count", &[MANIFEST, ("index.mjs", counting)])]);
    assert_eq!([js(&run(&built, "{}")), js(&run(&built, "{}"))], ["1", "1"]);
}
