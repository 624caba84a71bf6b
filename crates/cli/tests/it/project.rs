//! A tenant developer's folder: begun with `sublet init`, deployed as its own sublet.toml says, refused with the place of
//! the mistake, traced back to the lines that its author wrote.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use sublet_testkit::{Home, Server};

use crate::scene::serve;
use crate::terminal::Terminal;

struct Scene {
    home: Home,
    server: Server,
    terminal: Terminal,
}

async fn scene() -> Result<Scene> {
    let home = Home::new()?;
    let server = serve(&home).await?;
    let terminal = Terminal::new(server.url(), home.key());
    terminal.ok(&["tenant", "put", "acme"]).await?;
    Ok(Scene { home, server, terminal })
}

impl Scene {
    fn folder(&self, files: &[(&str, &str)]) -> Result<PathBuf> {
        let folder = self.home.path().join("project");
        for (path, text) in files {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().context("no folder")?)?;
            fs::write(path, text)?;
        }
        Ok(folder)
    }
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("not UTF-8")
}

const SETTINGS: &str = "name = 'shop'\ntenant = 'acme'\nhandler = 'src/index.handler'\ntimeout = '2s'\n";

#[tokio::test]
async fn both_templates_deploy_as_they_are_and_nothing_is_written_over() -> Result<()> {
    let scene = scene().await?;
    for (language, index) in [("--typescript", "src/index.ts"), ("--javascript", "src/index.js")] {
        let name = &language[2..];
        let folder = scene.home.path().join(name);
        let path = text(&folder)?;
        let said = scene.terminal.ok(&["init", path, language, "--tenant", "acme"]).await?;
        ensure!(said.contains("sublet deploy") && folder.join(index).is_file(), "{said}");
        scene.terminal.ok(&["deploy", path]).await?;
        let event = format!("@{path}/event.json");
        let answer = scene.terminal.json(&["invoke", name, "--tenant", "acme", "--event", &event]).await?;
        ensure!(answer["greeting"] == "hello Ada", "{answer}");

        fs::write(folder.join(index), "mine")?;
        let again = scene.terminal.run(&["init", path, language]).await?;
        ensure!(again.code == 2 && again.err.contains(index), "{again:?}");
        ensure!(fs::read_to_string(folder.join(index))? == "mine", "it wrote over what was there");
    }
    scene.server.stop().await
}

#[tokio::test]
async fn a_mistake_is_named_with_its_line_and_leaves_the_live_version_alone() -> Result<()> {
    let scene = scene().await?;
    let good = "import { price } from './price.js';\nexport const handler = (e: { n: number }) => price(e.n);\n";
    let folder = scene.folder(&[
        ("sublet.toml", SETTINGS),
        ("src/index.ts", good),
        ("src/price.ts", "export const price = (n: number): number => n * 250;\n"),
    ])?;
    let path = text(&folder)?;
    scene.terminal.ok(&["deploy", path]).await?;
    let mistakes = [
        ("export const handler = (e) => {\n  return e.;\n};\n", "src/index.ts:2:12: ", "2 |   return e.;"),
        (
            "import x from 'gone';\nexport const handler = () => x;\n",
            "src/index.ts:1:15: cannot find module 'gone'",
            "",
        ),
        (
            "import x from 'node:fs';\nexport const handler = () => x;\n",
            "src/index.ts:1:15: node:fs is not available",
            "",
        ),
        ("function f(): never {\n  throw new TypeError('no');\n}\nf();\n", "src/index.ts:2:", ""),
        ("export const other = 1;\n", "does not export 'handler'; it exports 'other'", ""),
    ];
    for (source, place, snippet) in mistakes {
        fs::write(folder.join("src/index.ts"), source)?;
        let said = scene.terminal.run(&["deploy", path]).await?;
        ensure!(said.code == 2, "{source}: {said:?}");
        ensure!(said.err.contains(place) && said.err.contains(snippet), "{source}: {}", said.err);
    }
    fs::remove_file(folder.join("src/index.ts"))?;
    let said = scene.terminal.run(&["deploy", path]).await?;
    ensure!(said.code != 0 && said.err.contains("the handler's file `src/index`"), "{said:?}");
    let answer = scene.terminal.json(&["invoke", "shop", "--tenant", "acme", "--event", r#"{"n": 2}"#]).await?;
    ensure!(answer == json!(500), "the version of before answers: {answer}");
    let config = scene.terminal.json(&["function", "get", "shop", "--tenant", "acme"]).await?;
    ensure!(config["timeout"] == "2s" && config["live"] == 1, "{config}");
    scene.server.stop().await
}

#[tokio::test]
async fn a_workspaces_function_brings_the_members_that_it_uses() -> Result<()> {
    let scene = scene().await?;
    let root = scene.folder(&[
        ("package.json", r#"{"workspaces": ["apps/*", "packages/*"]}"#),
        ("apps/fn/package.json", r##"{"name": "fn", "type": "module", "imports": {"#rate": "./rate.json"}}"##),
        ("apps/fn/sublet.toml", "name = 'fn'\ntenant = 'acme'\n"),
        (
            "apps/fn/index.ts",
            "import { total } from '@acme/util/sum';\nimport rate from '#rate' with { type: 'json' };\n\
             export const handler = (e: { n: number[] }) => total(e.n) * rate.of;\n",
        ),
        ("apps/fn/rate.json", r#"{"of": 3}"#),
        (
            "packages/util/package.json",
            r#"{"name": "@acme/util", "exports": {"./*": {"require": "./no.cjs", "import": "./src/*.ts"}}}"#,
        ),
        ("packages/util/src/sum.ts", "export const total = (n: number[]): number => n.reduce((a, b) => a + b, 0);\n"),
    ])?;
    fs::create_dir_all(root.join("node_modules/@acme"))?;
    std::os::unix::fs::symlink("../../packages/util", root.join("node_modules/@acme/util"))?;
    scene.terminal.ok(&["deploy", text(&root.join("apps/fn"))?]).await?;
    let answer = scene.terminal.json(&["invoke", "fn", "--tenant", "acme", "--event", r#"{"n": [1, 2, 4]}"#]).await?;
    ensure!(answer == json!(21), "{answer}");
    scene.server.stop().await
}
