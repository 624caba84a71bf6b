//! Packages as npm leaves them: conditions, CommonJS and ES modules in turn, what only the handler asks for.

use super::support::{Options, build, failure, from, js, log, package, run};

#[test]
fn who_asks_decides_between_import_and_require() {
    let built = package(&[
        (
            "index.mjs",
            "import { createdBy } from 'both'; import legacy from './legacy.cjs'; import { deep } from 'both/features/x';
            import self from 'app/self'; import config from '#config' with { type: 'json' };
            export const handler = () => [createdBy, legacy.createdBy, deep, self, config.level];",
        ),
        ("legacy.cjs", "module.exports = require('both');"),
        ("self.js", "module.exports = 'self';"),
        ("config.json", r#"{"level": 3}"#),
        ("package.json", r##"{"name": "app", "exports": {"./self": "./self.js"}, "imports": {"#config": "./config.json"}}"##),
        (
            "node_modules/both/package.json",
            r#"{"exports": {".": {"types": "./t.d.ts", "import": {"browser": "./b.js", "node": "./i.mjs"}, "require": "./r.cjs"},
                "./features/*": {"default": "./src/*.js"}}}"#,
        ),
        ("node_modules/both/i.mjs", "export const createdBy = 'import';"),
        ("node_modules/both/r.cjs", "exports.createdBy = 'require';"),
        ("node_modules/both/src/x.js", "exports.deep = 'deep';"),
    ]);
    assert_eq!(js(&run(&built, "{}")), r#"["import","require","deep","self",3]"#);
}

#[test]
fn commonjs_requires_es_modules_that_do_not_wait() {
    let built = package(&[
        (
            "index.js",
            "const esm = require('./esm.mjs'); const again = require('./esm.mjs');
            let why; try { require('./waits.mjs'); } catch (error) { why = error.message; }
            exports.handler = () => [esm.named, esm.default, esm === again, why, require('./late.mjs').late, require.resolve('./late.mjs')];",
        ),
        ("esm.mjs", "import cjs from './leaf.cjs'; export const named = cjs.leaf; export default 'd';"),
        ("leaf.cjs", "exports.leaf = 'leaf';"),
        ("waits.mjs", "await 1; export const x = 1;"),
        ("late.mjs", "export const late = 'late';"),
    ]);
    let (named, default, same, why, late, key): (String, String, bool, String, String, String) =
        from(&run(&built, "{}"));
    assert_eq!(
        (named.as_str(), default.as_str(), same, late.as_str(), key.as_str()),
        ("leaf", "d", true, "late", "/late.mjs")
    );
    assert!(why.contains("waits.mjs cannot be required"), "{why}");
}

#[test]
fn cycles_between_both_kinds_end() {
    let built = package(&[
        (
            "index.mjs",
            "import { a } from './a.mjs'; import c from './c.cjs'; export const handler = () => [a(), c.sum()];",
        ),
        ("a.mjs", "import { b } from './b.mjs'; export const a = () => b() + 1;"),
        ("b.mjs", "import { a } from './a.mjs'; export const b = () => typeof a === 'function' ? 1 : 0;"),
        ("c.cjs", "exports.one = 1; const d = require('./d.cjs'); exports.sum = () => exports.one + d.two();"),
        ("d.cjs", "const c = require('./c.cjs'); exports.two = () => c.one + 1;"),
    ]);
    assert_eq!(js(&run(&built, "{}")), "[2,3]");
}

#[test]
fn what_the_handler_asks_for_is_kept_ready() {
    let built = package(&[
        (
            "index.mjs",
            "export const handler = async (event) => {
                const { late } = await import('./late.mjs');
                const { leaf } = await import('lazy');
                const language = await import(`./locales/${event.language}.js`);
                const missing = await import(`./locales/${event.none}.js`).catch((error) => error.code);
                return [late, leaf, language.default.hello, missing];
            };",
        ),
        ("late.mjs", "import { deeper } from './deeper.mjs'; export const late = deeper;"),
        ("deeper.mjs", "export const deeper = 'deeper';"),
        ("locales/de.js", "module.exports = { hello: 'hallo' };"),
        ("locales/fr.js", "throw new Error('not this one');"),
        ("node_modules/lazy/index.js", "exports.leaf = (() => require('./leaf'))();"),
        ("node_modules/lazy/leaf.js", "module.exports = 'leaf';"),
    ]);
    let event = r#"{"language": "de", "none": "xx"}"#;
    assert_eq!(js(&run(&built, event)), r#"["deeper","leaf","hallo","MODULE_NOT_FOUND"]"#);
}

#[test]
fn a_module_knows_where_it_is() {
    let built = package(&[
        ("src/index.mjs", ""),
        (
            "index.mjs",
            "import * as where from './src/where.mjs'; import cjs from './src/where.cjs'; export const handler = () => [where.all, cjs];",
        ),
        ("src/where.mjs", "export const all = [import.meta.url, import.meta.filename, import.meta.dirname];"),
        (
            "src/where.cjs",
            "module.exports = [__filename, __dirname, module.id, require.main === module, this === exports];",
        ),
    ]);
    let expected =
        r#"[["file:///src/where.mjs","/src/where.mjs","/src"],["/src/where.cjs","/src","/src/where.cjs",false,true]]"#;
    assert_eq!(js(&run(&built, "{}")), expected);
}

#[test]
fn a_path_that_begins_with_a_modules_own_place_leads_to_its_neighbours() {
    let layer: &[(&str, &str)] = &[("index.js", "module.exports = __filename;")];
    let built = build(Options {
        files: &[
            (
                "lib/main.js",
                "const path = require('path');
                const top = require(path.join(__dirname, 'data.json'));
                module.exports = (name) => [top, require(path.join(__dirname, name)), require.resolve('./' + name), require('helper'), require(require('helper'))];",
            ),
            ("lib/data.json", "1"),
            ("lib/late.js", "module.exports = [__filename, require.main];"),
            ("index.js", "const main = require(`${__dirname}lib/main`); exports.handler = (event) => main(event.name);"),
        ],
        layers: &[("helper", layer)],
        ..Options::default()
    })
    .unwrap_or_else(|failure| panic!("{failure:?}"));
    let expected = r#"[1,["/lib/late.js",null],"/lib/late.js","/opt/helper/index.js","/opt/helper/index.js"]"#;
    assert_eq!(js(&run(&built, r#"{"name": "late.js"}"#)), expected);
}

#[test]
fn a_module_that_fails_says_why_every_time_it_is_asked_for() {
    let built = package(&[
        (
            "index.js",
            "const ask = (name) => { try { return require(name); } catch (error) { return error.message; } };
            const early = ask('./early.js');
            exports.handler = () => [early, ask('./early.js'), ask('./late.js'), ask('./late.js')];",
        ),
        ("early.js", "throw new Error('too early');"),
        ("late.js", "throw new Error('too late');"),
    ]);
    assert_eq!(js(&run(&built, "{}")), r#"["too early","too early","too late","too late"]"#);
}

#[test]
fn a_layer_is_not_led_into_the_tenants_files() {
    let layer: &[(&str, &str)] = &[(
        "index.js",
        "let found; try { found = require('left'); } catch (error) { found = error.code; } exports.found = found;",
    )];
    let built = build(Options {
        files: &[
            (
                "index.mjs",
                "import { found } from 'helper'; import left from 'left'; export const handler = () => [found, left];",
            ),
            ("node_modules/left/index.js", "module.exports = 'the tenant\\'s';"),
        ],
        layers: &[("helper", layer)],
        ..Options::default()
    })
    .unwrap();
    assert_eq!(js(&run(&built, "{}")), r#"["MODULE_NOT_FOUND","the tenant's"]"#);
}

#[test]
fn of_a_large_package_only_what_is_reached_is_in_the_image() {
    let bulk = format!("module.exports = {:?};", "x".repeat(100_000));
    let names: Vec<String> = (0..200).map(|number| format!("node_modules/bulk/{number}.js")).collect();
    let mut files = vec![("index.js", "exports.handler = () => 1;")];
    let small = package(&files).image_bytes;
    files.extend(names.iter().map(|name| (name.as_str(), bulk.as_str())));
    let large = package(&files).image_bytes;
    assert!(large < small + 4096, "{large} bytes beside {small}");
}

/// Made by hand: generated line 1 is `src/a.ts` line 10, generated line 2 is lines 21 and 22.
const MAP: &str = r#"{"version":3,"sources":["../src/a.ts"],"names":[],"mappings":"AASA;AAWA,gBACA"}"#;

#[test]
fn a_stack_names_the_lines_that_a_source_map_leads_to() {
    let code = "export const handler = (event) => { console.error(new Error('told'));\nif (event.a) throw new TypeError('no'); };\n";
    let source = format!("{code}//# sourceMappingURL=index.mjs.map\n");
    let built = package(&[
        ("dist/index.mjs", &source),
        ("dist/index.mjs.map", MAP),
        ("index.mjs", "export * from './dist/index.mjs';"),
    ]);
    let end = run(&built, r#"{"a": 1}"#);
    let thrown = failure(&end);
    assert_eq!(thrown.error_message, "no");
    assert!(thrown.stack_trace[0].contains("src/a.ts:22:1"), "{thrown:?}");
    assert!(log(&end).contains("src/a.ts:10:1"), "{}", log(&end));
}

#[test]
fn a_broken_source_map_leaves_the_place_as_it_is() {
    let hostile = [
        r#"{"version":3,"sources":["a.ts"],"mappings":"!!!!"}"#.to_owned(),
        r#"{"version":3,"sources":["a.ts"],"mappings":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA////////+++++"}"#.to_owned(),
        r#"{"version":3,"sources":[],"mappings":"AAgggggggggggB"}"#.to_owned(),
        r#"{"version":2,"sources":["a.ts"],"mappings":"AAAA"}"#.to_owned(),
        r#"{"version":3,"sources":{},"mappings":7}"#.to_owned(),
        "{".to_owned(),
        format!(r#"{{"version":3,"sources":["a.ts"],"mappings":"{}"}}"#, "A".repeat(900_000)),
    ];
    let source = "export const handler = () => { throw new TypeError('no'); };\n//# sourceMappingURL=index.mjs.map\n";
    for map in &hostile {
        let built = package(&[("index.mjs", source), ("index.mjs.map", map)]);
        let thrown = failure(&run(&built, "{}"));
        assert_eq!((thrown.error_type.as_str(), thrown.error_message.as_str()), ("TypeError", "no"));
        let shown = map.chars().take(80).collect::<String>();
        // What is good of it before it breaks may count.
        let place = &thrown.stack_trace[0];
        assert!(place.contains("(index.mjs:1:") || place.contains("(a.ts:1:1)"), "{shown}: {thrown:?}");
    }
}
