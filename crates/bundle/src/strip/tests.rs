//! What comes out for what goes in; that it runs as meant is tested with the engine, in the sandbox crate.

use crate::{ModuleKind, module};

fn stripped(text: &str) -> String {
    match module("a.ts", text.as_bytes(), None) {
        Ok(module) => module.text,
        Err(fault) => panic!("{fault}\n{text}"),
    }
}

fn refused(text: &str) -> String {
    module("a.ts", text.as_bytes(), None).map(|module| module.text).unwrap_err().to_string()
}

/// Without the spaces, which only keep places.
fn tight(text: &str) -> String {
    text.split_whitespace().collect()
}

#[track_caller]
fn assert_alike(out: &str, expected: &str) {
    assert_eq!(tight(out), tight(expected), "\n{out}");
}

#[test]
fn types_are_blanked_where_they_stand() {
    let cases = [
        ("const a: number = 1;", "const a         = 1;"),
        ("function f<T>(x: T, y?: string): T { return x!; }", "function f   (x   , y         )    { return x ; }"),
        ("const f = async <T,>(x: T): Promise<T> => x as T;", "const f = async     (x   )             => x     ;"),
        ("let a!: number;", "let a         ;"),
        ("f<string>(1); new M<K, V>(); x satisfies Y;", "f        (1); new M      (); x            ;"),
        ("const b = <any>c;", "const b =      c;"),
        ("function f(this: Window, a: number) {}", "function f(              a        ) {}"),
        ("try {} catch (e: unknown) {}", "try {} catch (e         ) {}"),
        ("for (const x of y as string[]) {}", "for (const x of y            ) {}"),
        ("class A<T> extends B<T> implements C, D<T> { }", "class A    extends B                       { }"),
    ];
    for (text, expected) in cases {
        assert_eq!(stripped(text), expected);
    }
}

#[test]
fn statements_of_types_alone_are_gone_and_keep_their_neighbours_apart() {
    let text = "const a = 1\ninterface X {\n  y: string;\n}\n[1].at(0)\ntype Y = X | string\ndeclare const z: number;\n\
        declare module 'm' {}\nnamespace Only { export type T = 1 }\nabstract class Q { abstract m(): void; n?(): void; declare d: 1 }\n\
        function over(a: string): void;\nfunction over(a: any) {}\nconst t = a as any\n(0)";
    let out = stripped(text);
    assert_eq!(out.lines().count(), text.lines().count());
    assert_alike(&out, "const a = 1 ; [1].at(0) ; ; ; ; class Q { ; ; ; } ; function over(a ) {} const t = a ; (0)");
}

#[test]
fn class_members_lose_their_modifiers_and_parameters_become_properties() {
    let out = stripped(
        "class A extends B {\n  private a = 1\n  public readonly ['b']?: string = 'x';\n  static s?: string; override c!: number;\n  \
         constructor(private x: number, protected readonly y = 2, z?: string) {\n    super()\n  }\n  protected async m(): Promise<void> {}\n  [key: string]: unknown;\n}",
    );
    assert_alike(
        &out,
        "class A extends B { a = 1 ; ['b'] = 'x'; static s; c ; constructor( x , y = 2, z ) { super();this.x=x;this.y=y; } async m() {} ; }",
    );
}

#[test]
fn imports_that_only_types_use_are_gone() {
    let out = stripped(
        "import type { A } from './a';\nimport { B, type C, D } from './b';\nimport E, * as F from './c';\nimport G from './g';\n\
         import './side';\nimport { Used } from './u';\nexport type { A } from './a';\nexport { type H, I } from './h';\n\
         interface L {}\nexport { L, x };\nconst x: B = D(E), y = Used;\nexport default L;\n",
    );
    assert_alike(
        &out,
        "; import { D } from './b'; import E from './c'; ; import './side'; import { Used } from './u'; ; \
         export { I } from './h'; ; export { x }; const x = D(E), y = Used; ;",
    );
}

#[test]
fn a_type_over_several_lines_does_not_part_an_arrow_from_its_parameters() {
    let out = stripped(
        "export const handler = async (event: E): Promise<{\n  ok: boolean;\n}> => {\n  return { ok: true };\n};",
    );
    assert_eq!(out.lines().count(), 5);
    assert_alike(&out, "export const handler = async (event ) => { return { ok: true }; };");
    // The last character of the type is two bytes long.
    assert_alike(&stripped("const f = (a: A):\n  | B\n  | Café => a;"), "const f = (a ) => a;");
}

#[test]
fn type_parameters_over_several_lines_do_not_part_an_arrow_from_the_word_before_it() {
    let out = stripped(
        "const f = async <\n  T,\n>(x: T) => x;\nfunction g() {\n  return <\n    T,\n  >(x: T): Promise<\n  T> => x;\n}",
    );
    let lines: Vec<&str> = out.lines().map(str::trim_end).collect();
    assert_eq!(lines[..4], ["const f = async (", "", "  x   ) => x;", "function g() {"]);
    assert_eq!(lines[4..], ["  return (", "", "    x", "   ) => x;", "}"]);
    // On one line everything stays.
    assert_eq!(stripped("const f = async <T,>(x: T) => x;"), "const f = async     (x   ) => x;");
    for word in ["return", "throw", "yield"] {
        let said = refused(&format!("function* f() {{\n  {word} <{{\n    a: string;\n  }}>x;\n}}"));
        assert!(said.contains("a.ts:2:") && said.contains("value as Type"), "{said}");
    }
    assert_alike(&stripped("const a = <{\n  b: string;\n}>c;"), "const a = c;");
}

#[test]
fn members_of_types_alone_do_not_run_their_neighbours_together() {
    let cases = [
        (
            "class A {\n  static items = []\n  declare name: string\n  [Symbol.iterator]() {}\n}",
            "class A { static items = [] ; [Symbol.iterator]() {} }",
        ),
        ("class A {\n  x = 1\n  readonly [k: string]: unknown\n  *gen() {}\n}", "class A { x = 1 ; *gen() {} }"),
        ("class A {\n  x = 1\n  declare z: T\n  ['b'] = 2\n}", "class A { x = 1 ; ['b'] = 2 }"),
        ("abstract class A {\n  x = y\n  abstract z: T\n  ['b'] = 2\n}", "class A { x = y ; ['b'] = 2 }"),
        ("class A {\n  x = y\n  m?(): void\n  ['b']() {}\n}", "class A { x = y ; ['b']() {} }"),
        // Without its type, the field would make the method a getter.
        ("class A {\n  get: T\n  m() {}\n  static: T\n  n() {}\n}", "class A { get ; m() {} static ; n() {} }"),
    ];
    for (text, expected) in cases {
        let out = stripped(text);
        assert_alike(&out, expected);
        assert_eq!(out.lines().count(), text.lines().count());
    }
}

#[test]
fn what_is_exported_already_is_added_to_and_not_exported_again() {
    let cases = [
        (
            "export class K {}\nexport namespace K { export const one = 1 }",
            "export class K {} ;(function(K){ const one = 1 ;K.one=one; })(K||(K={}));",
        ),
        (
            "export default function f() {}\nnamespace f { export const one = 1 }",
            "export default function f() {} ;(function(f){ const one = 1 ;f.one=one; })(f||(f={}));",
        ),
        (
            "export enum E { A }\nexport enum E { B = 1 }\nexport namespace E { export const c = 2 }",
            "export var E;(function(E){ E[E[\"A\"]=0]=\"A\"; })(E||(E={})); ;(function(E){ E[E[\"B\"]=1]=\"B\"; })(E||(E={})); \
             ;(function(E){ const c = 2 ;E.c=c; })(E||(E={}));",
        ),
        (
            "export declare class K {}\nexport namespace K { export const one = 1 }",
            "; export var K;(function(K){ const one = 1 ;K.one=one; })(K||(K={}));",
        ),
        (
            "namespace N { export class K {} export namespace K { export const one = 1 } }\nnamespace N { export enum E { A } }\nnamespace N { export enum E { B = 1 } }",
            "var N;(function(N){ class K {};N.K=K; ;(function(K){ const one = 1 ;K.one=one; })(K||(K={}));;N.K=K; })(N||(N={})); \
             ;(function(N){ let E=N.E;(function(E){ E[E[\"A\"]=0]=\"A\"; })(E||(E={}));;N.E=E; })(N||(N={})); \
             ;(function(N){ let E=N.E;(function(E){ E[E[\"B\"]=1]=\"B\"; })(E||(E={}));;N.E=E; })(N||(N={}));",
        ),
    ];
    for (text, expected) in cases {
        assert_alike(&stripped(text), expected);
    }
}

#[test]
fn enums_and_namespaces_are_of_the_statements_around_them() {
    let out = stripped(
        "function a() { enum L { A } return L }\nconst b = () => { enum L { B } { enum L { C } } return L };\n\
         function c() { function M() {} }\nenum M { A }\nnamespace Q {}\nnamespace P.Q { export enum M { B } }",
    );
    let made = |name: &str, member: &str| {
        format!("(function({name}){{ {name}[{name}[\"{member}\"]=0]=\"{member}\"; }})({name}||({name}={{}}));")
    };
    let expected = format!(
        "function a() {{ let L;{} return L }} const b = () => {{ let L;{} {{ let L;{} }} return L }}; \
         function c() {{ function M() {{}} }} var M;{} ; \
         var P;(function(P){{let Q=P.Q;(function(Q){{ let M=Q.M;{};Q.M=M; }})(Q||(Q={{}}));P.Q=Q;}})(P||(P={{}}));",
        made("L", "A"),
        made("L", "B"),
        made("L", "C"),
        made("M", "A"),
        made("M", "B"),
    );
    assert_alike(&out, &expected);
}

#[test]
fn an_enums_values_are_written_as_javascript_has_them() {
    let out = stripped("enum E { A = 1e999, B = 1e308 * 10, C = -1e999, D = 1e999 - 1e999, E = 1e21, F = -0.5 }");
    for (member, value) in [
        ("A", "Infinity"),
        ("B", "Infinity"),
        ("C", "-Infinity"),
        ("D", "NaN"),
        ("E", "1000000000000000000000"),
        ("F", "-0.5"),
    ] {
        let written = format!("E[E[\"{member}\"]={value}]=\"{member}\";");
        assert!(out.contains(&written), "{written}\n{out}");
    }
}

#[test]
fn what_an_import_equals_exports_is_kept() {
    let out = stripped(
        "import * as A from './a';\nexport import Z = A.B;\nimport Y = A.C;\nnamespace T { export type U = 1 }\n\
         export import V = T.U;\nnamespace N { export import W = A.D }\nexport { T };",
    );
    assert_alike(
        &out,
        "import * as A from './a'; export const Z = A.B; ; ; ; \
         var N;(function(N){ const W = A.D ;N.W=W; })(N||(N={})); export { };",
    );
}

#[test]
fn a_comment_before_a_namespace_import_stays_whole() {
    let out = stripped("import D, /* c */ * as N from './d';\nD();");
    assert_eq!(out, "import D  /* c */        from './d';\nD();");
}

#[test]
fn enums_namespaces_and_import_equals_have_their_meaning() {
    let out = stripped(
        "enum A { X, Y = 5, Z, T = 'text', 'odd name' = Y << 1, L = 'abc'.length }\nexport const enum B { One = 1 }\ndeclare enum C { D }\n\
         namespace N { export const one = 1; export function two() { return one; } const hidden = 3; }\nnamespace P.Q { export class R {} }\n",
    );
    assert_alike(
        &out,
        "var A;(function(A){ A[A[\"X\"]=0]=\"X\"; A[A[\"Y\"]=5]=\"Y\"; A[A[\"Z\"]=6]=\"Z\"; A[\"T\"]='text'; \
         A[A[\"odd name\"]=10]=\"odd name\"; A[A[\"L\"]='abc'.length]=\"L\"; })(A||(A={})); \
         export var B;(function(B){ B[B[\"One\"]=1]=\"One\"; })(B||(B={})); ; \
         var N;(function(N){ const one = 1;;N.one=one; function two() { return one; };N.two=two; const hidden = 3; })(N||(N={})); \
         var P;(function(P){let Q=P.Q;(function(Q){ class R {};Q.R=R; })(Q||(Q={}));P.Q=Q;})(P||(P={}));",
    );
    assert_alike(&stripped("import x = require('x');\nexport = x;"), "const x = require('x'); module.exports = x;");
    let module = module("a.ts", b"import x = require('x');\nexport = x;", None).unwrap();
    assert_eq!(module.kind, ModuleKind::CommonJs);
}

#[test]
fn what_needs_a_compiler_is_refused_with_its_place() {
    let cases = [
        ("\n@dec class A {}", "a.ts:2:1: decorators are not supported"),
        ("class A { @dec m() {} }", "a.ts:1:11: decorators"),
        ("namespace N { export let x = 1; }", "a namespace can export const"),
        ("const a: = 1;", "a.ts:1:10:"),
        ("let x = (1;\n", "a.ts:1:"),
    ];
    for (text, start) in cases {
        let said = refused(text);
        assert!(said.contains(start) && said.contains(" | "), "{said}");
    }
    let jsx = module("a.tsx", b"", None).unwrap_err().to_string();
    assert!(jsx.contains("JSX"), "{jsx}");
}

#[test]
fn deep_nesting_is_refused_and_not_parsed() {
    for deep in ["(".repeat(100_000), "[".repeat(100_000), "{".repeat(100_000), "a<(".repeat(100_000)] {
        assert!(refused(&deep).contains("deep"));
    }
}

/// What tenants write beside that; each must come out as JavaScript, line for line.
#[test]
fn the_rest_of_the_language_comes_out_as_javascript() {
    let snippets = [
        "export default abstract class A { abstract x: number; protected abstract get y(): string; }",
        "export default function f(a: string): void;\nexport default function f(a: any): void {}",
        "declare global { interface Window { x: number } }\nexport {};",
        "class A { foo?(): void; constructor(x: string);\nconstructor(x: any) {} }",
        "class A { public static async *gen<T>(x: T): AsyncGenerator<T> { yield x; } get v(): number { return 1 } set v(x: number) {} }",
        "class A { static #count: number = 0; readonly #b?: string; static { this.#count!++; } }",
        "const c = class<T> implements I<T> { private x!: T };\nconst d = class extends Map<string, number> {};",
        "const o = { m<T>(this: Foo, x: T): T { return x; }, get a(): number { return 1; }, async *[k](x?: number) {} };",
        "a!.b!.c!(); a?.b!.c; a![0]!; (a as any).b; (<any>a).b = 1; (a as B)!.c++; [a as B, b!] = c;",
        "const x = y as const satisfies Z as W;\nconst t = <const T,>(x: T) => x;\nconst u = async <T>(x: T): Promise<T> => x;",
        "function isS(x: unknown): x is string { return true }\nfunction must(x: unknown): asserts x is string {}\nfunction m2(x: any): asserts x {}",
        "let [a, b]: [number, string?] = c as any; const { d, e = 1 }: { d: `x${string}`; e?: keyof typeof f } = g;",
        "type A<T> = T extends (infer U)[] ? { [K in keyof U]-?: U[K] } : never;\ntype B = typeof import('./x');\nexport type { A };",
        "import data from './x.json' with { type: 'json' };\nexport * as ns from './y';\nexport type * from './z';\nuse(data);",
        "import D, { type T } from './d';\nimport { type U } from './u';\nimport E, { F } from './e';\nuse(D, F);",
        "for (const x of y as string[]) {} for (let i = 0 as number; i < n!; i++) {} if (x as any) y; while (<any>z) break;",
        "label: for (;;) { switch (x as Y) { case Z.A as number: break label; default: } }",
        "try { throw e as Error } catch (e: any) { } finally { }",
        "const f = (a?: number, ...rest: string[]): void => {}; function g(this: void) {} function h(this: X, ...r: any[]) {}",
        "enum E { A = 'a'.length, B = A | 4, C = `t`, D = -1, }\nenum E { Z = 99 }\nfunction N() {}\nnamespace N { export const v = 1; }",
        "namespace A { export namespace B { export enum C { D } } export type T = 1; function hidden() {} export class K { x: T } }",
        "let v: unique symbol; let w: readonly string[] | undefined; let x: new (...a: any[]) => object; let y: () => void",
        "abstract class Q<T = {}> extends (P as any)<T> implements R { declare readonly z: T; override m(): this { return this } }",
        "const g = f<string>; const h = new Map<string, Array<number>>(); tag<string>`x`; const i = a < b, j = a > c;",
        "async function z() { await (x as Promise<void>); for await (const q of r as any) {} return <T>y; }",
        "export const enum Flags { None = 0, One = 1 << 0, Two = 1 << 1, Both = One | Two }",
        "const s = `a ${x as string} b ${y!}`; const r = /a(b)c/ as RegExp; const é: string = 'ü';",
        "export = class { x = 1 as number }",
        "import fs = require('fs');\nimport type X = require('x');\nimport Y = A.B.C;\nexport import Z = A.B;\nfs; Y;",
        "if (a) { type T = 1; interface I {} enum L { A } }",
        "const fn = function <T>(this: T): asserts this is T {};\nvar x = a ? (b) : (c as D);\nvar y = a ? (b): number => c : d;",
        "class A {\n  x = 1\n  private *gen() {}\n  y = 2\n  public ['z'] = 3\n  static readonly s = 4\n}",
        "let a = b\ntype T = 1\n(c as any).d()\nlet e = f as G\n;[1].map(String)",
    ];
    for snippet in snippets {
        let out = match module("a.ts", snippet.as_bytes(), None) {
            Ok(module) => module.text,
            Err(fault) => panic!("{fault}\nof:\n{snippet}"),
        };
        assert_eq!(out.lines().count(), snippet.lines().count(), "{out}");
    }
}
