//! TypeScript as tenants write it, run.

use super::support::{Options, build, failure, js, package, run};

#[test]
fn a_typescript_project_runs_as_its_author_means_it() {
    let built = package(&[
        (
            "index.ts",
            "import type { Item } from './types';
import { Level, type Rated } from './level.js';
import { Shapes } from './shapes.ts';
import data from './data.json';
import { Wanted } from './types';

interface Event { items: Item[] }

export const handler = async (event: Event): Promise<{
  rated: Rated[];
}> => {
  const rated = event.items.map<Rated>((item) => ({ ...item, level: item.n > data.limit! ? Level.High : Level.Low }));
  const wanted: Wanted | undefined = rated[0] as Wanted;
  return { rated, names: [Level[wanted.level], Shapes.area(new Shapes.Square(3))] } as any;
};",
        ),
        ("types.ts", "export interface Item { n: number }\nexport type Wanted = Item & { level: number };\n"),
        ("level.ts", "export enum Level { Low = 1, High }\nexport interface Rated { level: Level }\n"),
        (
            "shapes.ts",
            "export namespace Shapes {
  export interface Shape { area(): number }
  export abstract class Base<T> implements Shape {
    constructor(protected readonly side: T, private scale = 2) {}
    abstract area(): number;
    get doubled(): number { return this.area() * this.scale; }
  }
  export class Square extends Base<number> {
    area(): number { return this.side ** 2; }
  }
  export function area(shape: Square): number { return shape.doubled; }
}
",
        ),
        ("data.json", r#"{"limit": 5}"#),
        ("package.json", r#"{"type": "commonjs"}"#),
    ]);
    let answer = js(&run(&built, r#"{"items": [{"n": 9}, {"n": 1}]}"#));
    assert_eq!(answer, r#"{"rated":[{"n":9,"level":2},{"n":1,"level":1}],"names":["High",18]}"#);
}

#[test]
fn stacks_name_the_authors_lines_and_columns() {
    let built = package(&[
        (
            "index.ts",
            "import { fail } from './lib/fail.js';\ninterface E {\n  a: number;\n}\nexport const handler = (e: E) => fail(e as E);\n",
        ),
        (
            "lib/fail.ts",
            "type T = unknown;\nexport function fail<X>(x: X): never {\n  throw new RangeError('over');\n}\n",
        ),
    ]);
    let thrown = failure(&run(&built, "{}"));
    assert!(thrown.stack_trace[0].contains("lib/fail.ts:3:13"), "{thrown:?}");
    assert!(thrown.stack_trace[1].contains("index.ts:5:39"), "{thrown:?}");
}

#[test]
fn both_kinds_of_typescript_modules_load_each_other() {
    let built = package(&[
        ("index.mts", "import legacy from './legacy.cjs';\nexport const handler = (): unknown => legacy;\n"),
        ("legacy.cts", "import leaf = require('./leaf.cjs');\nexport = { a: leaf.one as number };\n"),
        ("leaf.cts", "exports.one = 1;\n"),
    ]);
    assert_eq!(js(&run(&built, "{}")), r#"{"a":1}"#);
}

#[test]
fn what_stripping_cannot_do_is_refused_with_its_place() {
    let cases: [(&str, &str, &str); 4] = [
        ("index.ts", "export class A {\n  @log m() {}\n}\n", "index.ts:2:3: decorators are not supported"),
        ("index.ts", "export const handler = () => {\n  const x: = 1;\n};\n", "index.ts:2:12: "),
        ("index.mts", "import './view.tsx';\nexport const handler = 1;\n", "view.tsx:1:1: JSX cannot be run"),
        ("index.ts", "export namespace N { export let x = 1; }\n", "a namespace can export const"),
    ];
    for (path, text, place) in cases {
        let files: &[(&str, &str)] = &[(path, text), ("view.tsx", "export const v = <b/>;\n")];
        let refused = build(Options { files, ..Options::default() }).err().unwrap();
        assert_eq!(refused.error_type, "SyntaxError", "{refused:?}");
        assert!(refused.error_message.contains(place), "{refused:?}");
    }
}
