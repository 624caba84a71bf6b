//! Where mutation starts: small inputs that reach far, and what was found.

pub(crate) const EVENTS: &[&[u8]] = &[
    br#"{"id":"1","source":"todo","detail-type":"d","time":"2026-01-31T09:30:00Z","tenant":"acme","resources":["a"],"detail":{"a":[1,{"b":null}]}}"#,
    br#"[{"source":"todo","detail-type":"d","tenant":"acme","detail":{}},{"source":"sublet"}]"#,
    // Found: a key without characters, half a surrogate pair, a number beyond every range.
    br#"{"":1,"source":"s","detail-type":"d","tenant":"t","detail":{"a":"\ud800","b":11e999}}"#,
    br#"{"source":"s","detail-type":"d","detail":{"a":{"b":["x","y"]},"a":1.5e3,"t":"\ud83d\ude00\n"}}"#,
];

pub(crate) const CLOUDEVENTS: &[&[u8]] = &[
    br#"{"specversion":"1.0","id":"1","source":"/s","type":"t","tenant":"acme","time":"2026-01-31T09:30:00.1+01:00","subject":"x","n":7,"b":true,"data":{"a":1}}"#,
    br#"{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"text/plain","data":"text"}"#,
    br#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":"aGVsbG8=","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}"#,
    br#"[{"specversion":"1.0","id":"1","source":"/s","type":"t","tenant":"acme"},{"id":null}]"#,
];

pub(crate) const HEADERS: &[&[u8]] = &[
    b"ce-specversion: 1.0\nce-id: 1\nce-source: /s\nce-type: t\nce-tenant: acme\ncontent-type: application/json\n\n{\"a\":1}",
    b"ce-specversion: 1.0\nce-id: \"a\\\"b\"\nce-source: Euro%20%E2%82%AC\nce-type: t\nsublet-tenant: acme\ncontent-type: text/plain; charset=iso-8859-1\n\n\xe9",
    b"ce-specversion: 1.0\nce-id: 1\nce-source: s\nce-type: t\nce-tenant: a\nce-time: 2026-01-31T09:30:00Z\n\n\x00\x01",
];

pub(crate) const CONTENT_TYPES: &[&[u8]] =
    &[b"application/json; charset=utf-8", b"text/plain;charset=\"ISO-8859-1\"; q=1", b"gzip", b"zstd, identity"];

pub(crate) const PACKED: &[&[u8]] = &[
    // "hello", by gzip and by zstd (one raw block), and a skippable frame in front of it.
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xcb\x48\xcd\xc9\xc9\x07\x00\x86\xa6\x10\x36\x05\x00\x00\x00",
    b"\x28\xb5\x2f\xfd\x20\x05\x29\x00\x00hello",
    b"\x50\x2a\x4d\x18\x02\x00\x00\x00ab\x28\xb5\x2f\xfd\x20\x05\x29\x00\x00hello",
];

pub(crate) const PATTERNS: &[&[u8]] = &[
    br#"{"source":["todo"],"detail":{"a":[{"numeric":[">",0,"<=",5]}],"e":[{"prefix":"te"},{"suffix":"xt"}]}}"#,
    br#"{"detail":{"e":[{"wildcard":"t*x*"},{"anything-but":{"prefix":"y"}},{"equals-ignore-case":"TEXT"}]}}"#,
    br#"{"$or":[{"detail":{"d":[{"cidr":"10.0.0.0/8"}]}},{"detail":{"b":{"c":[null]}}}],"x":[{"exists":false}]}"#,
    br#"{"detail":{"b":[{"anything-but":["x",1]}],"e":[{"anything-but":{"wildcard":"*q"}},{"prefix":{"equals-ignore-case":"T"}}]}}"#,
];

pub(crate) const TRANSFORMERS: &[&[u8]] = &[
    br#"{"input_paths":{"a":"$.detail.a","b":"$.detail.b[*]","w":"$.detail.*"},"template":"{\"x\": <a>, \"y\": \"t <b> <w>\"}"}"#,
    br#"{"InputPathsMap":{"a":"$.detail.b[1].c"},"InputTemplate":"\"<a> <aws.events.event.json> <aws.events.rule-name>\""}"#,
    br#"{"input_path":"$.detail.b[0]"}"#,
    br#"{"input":{"a":[null,1.5]}}"#,
    br#"{"a": <a>, "b": [<b>, <c>, "<e> \"<a>\" <b>"], "w": <aws.events.event>}"#,
    b"plain <a> text \"quoted\" \\ <aws.events.event.ingestion-time>",
];

pub(crate) const RULES: &[&[u8]] = &[
    br#"{"pattern":{"source":["a"]},"targets":[{"tenant":"enrich","retry":{"attempts":2,"age":"1h"},"transformer":{"input_path":"$.detail"}}]}"#,
    br#"{"pattern":{},"targets":[{"function":{"tenant":"acme","name":"f"}},{"webhook":"w","transformer":{"template":"\"<aws.events.rule-arn>\""}}],"enabled":false}"#,
];

pub(crate) const NAMES: &[&[u8]] = &[
    b"acme-1.eu",
    b"evt_01k8w3c5d7f9g",
    b"inv_0000000000001",
    b"250ms",
    b"15m",
    b"128MiB",
    b"2026-01-31T09:30:00.123Z",
    b"9999-12-31T23:59:59.999+00:00",
    // Found: a year that RFC 3339 cannot write, by its offset.
    b"9999-12-31T23:59:59.0-00:20",
    b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
];

pub(crate) const MODULES: &[&[u8]] = &[
    br#"== index.ts
import type { A } from './types';
import { level, type B } from './lib/level.js';
import legacy = require('./legacy.cjs');
export const handler = async <T,>(event: A<T>, late?: string): Promise<{
  ok: boolean;
}> => ({ ok: (<any>event).b as B satisfies C, level: level!, late: await import(`./late.mjs`), legacy });
abstract class K<T = {}> extends Base<T> implements I { private readonly a?: string = 'b'; declare c: T; [key: string]: any }
type Z = B | string
;[1].map(String)
== lib/level.ts
export const level = 1 as const;
export interface B<T = {}> { a: T }
== types.ts
export type A<T> = { b: T };
== legacy.cts
exports.one = (n: number): n is 1 => n === 1;
== late.mjs
export default import.meta.url;
"#,
    br#"== level.ts
export enum Level { Low = 1, High, Both = Low | High, Text = 'x', 'odd name' = 'abc'.length }
namespace N.M { export const one = 1; export class R { constructor(private readonly a: number, b = 2) {} } }
export import Z = N.M;
== index.cts
import leaf = require('./level');
export = class extends leaf.Z.R { constructor(public c?: string) { super(1) } };
"#,
    br##"== index.js
#!/usr/bin/env node
const left = require('left'); const { deep } = require("@s/p/x.js"); require('#a'); require.resolve(`./data`);
exports.handler = async (event) => [await import('self/lib/' + event.name), import('helper'), import('node:fs'), import('util')];
//# sourceMappingURL=index.js.map
== index.js.map
{"version":3,"sources":["src/index.ts",null],"mappings":"AAAA"}
== package.json
{"name":"self","type":"commonjs","exports":{"./lib/*":"./lib/*.js"},"imports":{"#a":{"node":["./gone.js","./lib/a.js"]},"#left":"left"}}
== lib/a.js
import data from "../data.json" with { type: "json" }; export * from "#left"; import.meta.filename;
== data.json
[1.5, null, {"a": "b"}]
== node_modules/left/package.json
{"main":"dist","exports":null}
== node_modules/left/dist/index.js
module.exports = (n) => n - 1;
== node_modules/@s/p/package.json
{"exports":{".":{"import":"./i.mjs"},"./x.js":"./x.js"}}
== node_modules/@s/p/x.js
exports.deep = () => require('wrap');
== .sublet/links.json
{"node_modules/util":"packages/util"}
== packages/util/index.mts
export default 1 as const;
== /opt/helper/index.js
import own from 'wrap'; export default () => import('./words.json');
== /opt/helper/words.json
["now"]
== /opt/wrap/index.mjs
export { default } from '/opt/wrap/other.js';
== /opt/wrap/other.js
export default 1;
"##,
    // A mark and a first line that are not code, in characters of several bytes.
    b"== a.mjs\n\xef\xbb\xbf#!/usr/bin/n\xc3\xb6de\nimport.meta.dirname; import d, * as n from './\xc3\xa9.js';\n== \xc3\xa9.js\nawait 1;\n",
];
