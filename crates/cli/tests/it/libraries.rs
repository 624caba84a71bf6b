//! Libraries from npm as tenants use them: each is installed as npm installs it, a handler that uses it is deployed by the
//! real command line to the real server, invoked, and compared with what Node.js answers.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::{Value, json};
use sublet_testkit::{Home, installed};

use crate::scene::serve;
use crate::terminal::Terminal;

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance/npm-libraries.json");

#[derive(Deserialize)]
struct Case {
    library: String,
    version: String,
    source: String,
    event: Value,
    expected: Value,
}

#[tokio::test]
async fn ten_libraries_answer_as_they_do_under_node() -> Result<()> {
    let Some(libraries) = installed("libraries") else { return Ok(()) };
    let Ok(text) = fs::read_to_string(CASES) else {
        println!("not run: conformance/npm-libraries.json is not there");
        return Ok(());
    };
    let cases: Vec<Case> = serde_json::from_str(&text)?;
    ensure!(cases.len() == 10, "{} cases", cases.len());
    let home = Home::new()?;
    let server = serve(&home).await?;
    let terminal = Terminal::new(server.url(), home.key());
    terminal.ok(&["tenant", "put", "acme"]).await?;
    let mut failed = Vec::new();
    for case in &cases {
        let folder = home.path().join("functions").join(&case.library);
        if let Err(error) = answers(&terminal, &libraries, &folder, case).await {
            failed.push(format!("{} {}: {error:#}", case.library, case.version));
        }
    }
    ensure!(failed.is_empty(), "{} of {} libraries fail:\n{}", failed.len(), cases.len(), failed.join("\n"));
    server.stop().await
}

async fn answers(terminal: &Terminal, libraries: &Path, folder: &Path, case: &Case) -> Result<()> {
    let manifest = fs::read_to_string(libraries.join("node_modules").join(&case.library).join("package.json"))?;
    let manifest: Value = serde_json::from_str(&manifest)?;
    ensure!(manifest["version"] == case.version.as_str(), "installed is {}", manifest["version"]);
    fs::create_dir_all(folder)?;
    fs::write(folder.join("index.mjs"), &case.source)?;
    copy(&libraries.join("node_modules"), &folder.join("node_modules"))?;

    let path = folder.to_str().context("not UTF-8")?;
    terminal.ok(&["deploy", path, "--tenant", "acme", "--function", &case.library]).await?;
    let event = case.event.to_string();
    let answer = terminal.json(&["invoke", &case.library, "--tenant", "acme", "--event", &event]).await?;
    ensure!(answer == case.expected, "it answers {answer}, and should {}", case.expected);
    Ok(())
}

/// Hard links: ten folders of packages cost nothing but their names.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy(&entry.path(), &target)?;
        } else if kind.is_file() && fs::hard_link(entry.path(), &target).is_err() {
            // Another file system.
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_typescript_function_with_a_library_goes_from_an_empty_folder_to_live() -> Result<()> {
    let Some(libraries) = installed("libraries") else { return Ok(()) };
    let home = Home::new()?;
    let server = serve(&home).await?;
    let terminal = Terminal::new(server.url(), home.key());
    terminal.ok(&["tenant", "put", "acme"]).await?;
    let folder = home.path().join("greeter");
    let path = folder.to_str().context("not UTF-8")?;
    terminal.ok(&["init", path, "--tenant", "acme"]).await?;

    // As `npm install dayjs` leaves it.
    copy(&libraries.join("node_modules/dayjs"), &folder.join("node_modules/dayjs"))?;
    let index = fs::read_to_string(folder.join("src/index.ts"))?;
    let index = index.replace(
        "  return { greeting",
        "  const until: string = dayjs(event.time).add(1, \"month\").format(\"YYYY-MM-DD\");\n  return { until, greeting",
    );
    fs::write(folder.join("src/index.ts"), format!("import dayjs from \"dayjs\";\n{index}"))?;

    let said = terminal.run(&["deploy", path]).await?;
    ensure!(said.code == 0, "{}", said.err);
    for step in ["collected", "uploading", "building"] {
        ensure!(said.err.lines().any(|line| line.starts_with(step)), "`{step}` is told: {}", said.err);
    }
    ensure!(said.out.contains("version 1 of greeter is live after"), "{}", said.out);
    let event = json!({"time": "2026-01-31T00:00:00", "detail": {"name": "Ada"}}).to_string();
    let answer = terminal.json(&["invoke", "greeter", "--tenant", "acme", "--event", &event]).await?;
    ensure!(answer["until"] == "2026-02-28" && answer["greeting"] == "hello Ada", "{answer}");
    server.stop().await
}
