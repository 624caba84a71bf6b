//! `sublet layer`: the operator's common code, and its way into functions.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Subcommand;
use serde_json::{Value, json};
use sublet_model::Name;

use super::is_not_found;
use crate::client::Client;
use crate::files;
use crate::print::{Printer, cell};

/// Between two looks at a rollout.
const LOOK_EVERY: Duration = Duration::from_millis(500);

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Publish a new version of a layer (a folder or a .zip) and rebuild the functions that use it
    Publish {
        name: Name,
        path: PathBuf,
        /// Leave live versions as they are: functions get it at their next deploy
        #[arg(long)]
        no_rollout: bool,
        /// Do not wait for the rollout's end
        #[arg(long)]
        no_wait: bool,
    },
    /// Show how far the rollout of a layer is, and what did not build
    Status {
        name: Name,
        /// Of this version; of the newest that was rolled out if left out
        #[arg(long)]
        version: Option<u32>,
    },
    /// Take a layer's current version back, everywhere its rollout put it live
    Rollback { name: Name },
    /// List layers
    List,
}

const FIELDS: &[(&str, &str)] = &[
    ("layer", "layer"),
    ("version", "version"),
    ("state", "state"),
    ("functions", "total"),
    ("done", "done"),
    ("failed", "failed_count"),
    ("passed over", "passed_over"),
    ("restored", "restored"),
    ("kept", "kept"),
    ("started", "started"),
    ("ended", "ended"),
];
const FAILED: &[(&str, &str)] = &[("tenant", "tenant"), ("function", "function"), ("error", "error")];

pub(crate) async fn run(command: Command, client: &Client, printer: Printer) -> Result<ExitCode> {
    match command {
        Command::Publish { name, path, no_rollout, no_wait } => {
            let package = files::package(&path)?;
            ensure!(package.content_type == "application/zip", "a layer is a folder or a .zip");
            let query = if no_rollout { "?rollout=false" } else { "" };
            let path = format!("/v1/layers/{name}/versions{query}");
            let layer = client.upload(&path, package.content_type, package.bytes).await?;
            let number = cell(&layer["version"]);
            if no_rollout || no_wait {
                let then = if no_rollout { "functions deployed from now on get it" } else { "its rollout runs" };
                printer.done(&layer, &format!("version {number} of layer {name} is there; {then}"));
                return Ok(ExitCode::SUCCESS);
            }
            eprintln!("version {number} of layer {name} is there; Ctrl-C leaves its rollout running");
            return Ok(show(printer, &watch(client, &name, &number).await?));
        }
        Command::Status { name, version } => {
            let query = version.map(|version| version.to_string());
            let rollout = client.list(&format!("/v1/layers/{name}/rollout"), &[("version", query)]).await?;
            return Ok(show(printer, &rollout));
        }
        Command::Rollback { name } => {
            let answer = client.post(&format!("/v1/layers/{name}/rollback"), &json!({})).await?;
            let number = cell(&answer["current"]["version"]);
            let moved = match answer.get("rollout") {
                Some(rollout) => format!(
                    "; {} functions are back at their former version, {} were left alone",
                    cell(&rollout["restored"]),
                    cell(&rollout["kept"])
                ),
                None => String::new(),
            };
            printer.done(&answer, &format!("version {number} of layer {name} is current{moved}"));
        }
        Command::List => {
            let listing = client.get("/v1/layers").await?;
            printer.listing(&listing, &[("name", "name"), ("version", "version"), ("created", "created")]);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Tells of the progress on standard error until the rollout has ended.
async fn watch(client: &Client, name: &Name, number: &str) -> Result<Value> {
    let mut told = String::new();
    loop {
        let path = format!("/v1/layers/{name}/rollout?version={number}");
        let rollout = match client.get(&path).await {
            Ok(rollout) => rollout,
            // So many versions were published since that it is forgotten.
            Err(error) if is_not_found(&error) => return Ok(json!({"state": "superseded"})),
            Err(error) => return Err(error),
        };
        let part = |field: &str| cell(&rollout[field]);
        let line = format!("{} of {} functions have it, {} failed", part("done"), part("total"), part("failed_count"));
        if line != told {
            eprintln!("{line}");
            told = line;
        }
        if rollout["state"] != "running" {
            return Ok(rollout);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Failure when some functions did not build.
fn show(printer: Printer, rollout: &Value) -> ExitCode {
    printer.record(rollout, FIELDS);
    let failed = rollout["failed"].as_array().is_some_and(|failed| !failed.is_empty());
    if failed && !printer.json {
        printer.listing(&json!({"items": rollout["failed"]}), FAILED);
    }
    if rollout["state"] == "failed" { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
