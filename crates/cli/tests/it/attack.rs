//! The escape suite as an operator runs it, and hostile archives against a whole server.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sublet_testkit::Home;

use crate::scene::{serve, tenant};
use crate::terminal::Terminal;

/// One of each kind: an archive, tenant code, a deploy, a system call, an end, a lie.
const SAMPLE: [&str; 6] = [
    "zip-slip-inside",
    "regexp-back-reference",
    "graph-circle",
    "call-is-traced-by-nobody",
    "process-hangs-up",
    "lie-noise",
];

#[tokio::test]
async fn the_doctor_attacks_the_programs_own_workers_and_prints_a_score() -> Result<()> {
    let terminal = Terminal::new("http://127.0.0.1:1", "none");
    let mut arguments = vec!["doctor", "--attack"];
    for name in SAMPLE {
        arguments.extend(["--only", name]);
    }
    let score = terminal.run(&[&arguments[..], &["--json"]].concat()).await?;
    let read: Value = serde_json::from_str(&score.out).with_context(|| format!("{score:?}"))?;
    let results = read["results"].as_array().context("no results")?;
    let names: BTreeSet<&str> = results.iter().filter_map(|line| line["name"].as_str()).collect();
    assert!(SAMPLE.iter().all(|name| names.contains(name)), "{names:?}");
    for line in results {
        // On a machine with other work a neighbour may be slow; what an attack came to does not depend on that.
        let is_slow = line["neighbour"]["is_flat"] == json!(false);
        assert!(line["held"] == json!(true) || is_slow, "{line}");
        assert!(line["promise"].is_string() && line["seen"].is_string() && line["group"].is_string(), "{line}");
    }
    assert_eq!(read["attacks"], json!(results.len()));

    let said = terminal.run(&["doctor", "--attack", "--only", "zip-"]).await?;
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("held    zip-slip: refused: "), "{}", said.out);
    let last = said.out.lines().last().unwrap_or_default();
    assert!(last.ends_with(" attacks held"), "{last}");

    assert_ne!(terminal.run(&["doctor", "--attack", "--only", "no-such-attack"]).await?.code, 0);
    assert_eq!(terminal.run(&["doctor", "--only", "zip-"]).await?.code, 2);
    Ok(())
}

/// The conformance files lie beside a working copy, not in it.
fn archives() -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance/archives");
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "{} must be there under CI", path.display());
    println!("not run: {} is not there", path.display());
    None
}

#[tokio::test]
async fn every_hostile_archive_ends_as_its_index_says_and_the_live_version_goes_on() -> Result<()> {
    let Some(folder) = archives() else { return Ok(()) };
    let home = Home::new()?;
    let server = serve(&home).await?;
    let http = server.http()?;
    tenant(&http, "acme", &json!({}), "export const handler = () => 'live';").await?;
    tenant(&http, "globex", &json!({}), "export const handler = () => 'other';").await?;
    let around = || -> Result<BTreeSet<_>> {
        Ok(std::fs::read_dir(home.path())?.filter_map(Result::ok).map(|entry| entry.file_name()).collect())
    };
    let before = around()?;
    let index: Vec<Value> = serde_json::from_slice(&std::fs::read(folder.join("index.json"))?)?;
    let enrich = "/v1/tenants/acme/functions/enrich";
    for case in &index {
        let (file, expected) = (case["file"].as_str().context("no file")?, case["expect"].as_str().unwrap_or_default());
        let package = std::fs::read(folder.join(file))?;
        let answer = http.upload(&format!("{enrich}/versions?publish=false"), "application/zip", package).await?;
        // Its one program is a `bootstrap`, for a runtime that there is not yet: opened, and then found to have no handler.
        let is_other_runtime = file == "ok-exec-bits.zip";
        if is_other_runtime {
            let told = answer.body["detail"].as_str().unwrap_or_default();
            ensure!(answer.status == 422 && told.contains("the handler's file"), "{file}: {answer:?}");
        } else if expected.starts_with("accepted") {
            let version = answer.ok().with_context(|| file.to_owned())?["version"].clone();
            let invoked = http.post(&format!("{enrich}/invoke?version={version}"), &json!({})).await?;
            ensure!(!expected.contains("invoke returns") || invoked.body == json!({"ok": true}), "{file}: {invoked:?}");
        } else {
            ensure!(answer.status.is_client_error(), "{file}: {expected}, but {answer:?}");
            ensure!(answer.body["detail"].as_str().is_some_and(|text| !text.is_empty()), "{file}: {answer:?}");
        }
        ensure!(http.post(&format!("{enrich}/invoke"), &json!({})).await?.ok()? == "live", "{file}");
        let other = http.post("/v1/tenants/globex/functions/enrich/invoke", &json!({})).await?.ok()?;
        ensure!(other == "other", "{file}");
        ensure!(around()? == before, "{file} left something behind");
    }
    server.stop().await
}
