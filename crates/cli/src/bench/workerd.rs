//! The peer that people would otherwise run: `workerd`, answering the same handler over plain HTTP. No queue, nothing
//! durable, no result carried anywhere; each tenant has an isolate of its own, as here.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::family::Family;
use super::subject::{HANDLER, detail};

/// From its start until every socket is open.
const START_DEADLINE: Duration = Duration::from_secs(60);

pub(super) struct Workerd {
    child: Child,
    pub(super) family: Family,
    http: reqwest::Client,
    /// One address a tenant.
    urls: Vec<String>,
    _folder: TempDir,
}

impl Workerd {
    pub(super) async fn start(program: &Path, tenants: u64) -> Result<Workerd> {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("worker.mjs"), worker())?;
        let config = folder.path().join("config.capnp");
        std::fs::write(&config, configuration(tenants))?;
        eprintln!("path: starting {} with {tenants} isolates", program.display());
        let mut child = Command::new(program)
            .args(["serve", "--control-fd=1"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)).context("workerd ended at once")?;
        let mut lines = BufReader::new(child.stdout.take().context("no standard output")?).lines();
        let opened = async {
            let mut urls = Vec::new();
            while urls.len() < tenants as usize {
                let Some(line) = lines.next_line().await? else { bail!("workerd ended before it listened") };
                let told: Value = serde_json::from_str(&line).with_context(|| format!("workerd says {line}"))?;
                if let Some(port) = told["port"].as_u64() {
                    urls.push(format!("http://127.0.0.1:{port}/"));
                }
            }
            Ok(urls)
        };
        let urls = tokio::time::timeout(START_DEADLINE, opened)
            .await
            .with_context(|| format!("workerd did not listen within {START_DEADLINE:?}"))??;
        Ok(Workerd { child, family: Family::of(pid)?, http: reqwest::Client::new(), urls, _folder: folder })
    }

    /// New connections, used once. Those of an earlier round may be closed by now, and opening them is no part of a round.
    pub(super) async fn connect(&mut self, in_flight: u64) -> Result<()> {
        self.http = reqwest::Client::new();
        self.under_load(self.urls.len() as u64 * 2, in_flight).await
    }

    /// `count` requests in turn over the tenants, `in_flight` at a time.
    pub(super) async fn under_load(&self, count: u64, in_flight: u64) -> Result<()> {
        let lanes = (0..in_flight).map(|lane| async move {
            for number in (lane..count).step_by(in_flight as usize) {
                self.one(number).await?;
            }
            anyhow::Ok(())
        });
        futures::future::try_join_all(lanes).await?;
        Ok(())
    }

    async fn one(&self, number: u64) -> Result<()> {
        let event = json!({
            "id": format!("e{number}"), "source": "todo", "detail-type": "Item Added", "detail": detail(),
        });
        let url = &self.urls[(number % self.urls.len() as u64) as usize];
        let answer: Value = self.http.post(url).json(&event).send().await?.error_for_status()?.json().await?;
        ensure!(answer["due"] == "2026-03-06", "workerd answered {answer}");
        Ok(())
    }

    pub(super) async fn end(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }
}

/// The handler as it is, and the least around it that answers a request.
fn worker() -> String {
    format!(
        "{HANDLER}\nexport default {{\n  async fetch(request) {{\n    \
         return Response.json(await handler(await request.json()));\n  }},\n}};\n"
    )
}

fn configuration(tenants: u64) -> String {
    let worker =
        "(modules = [(name = \"worker\", esModule = embed \"worker.mjs\")], compatibilityDate = \"2025-01-01\")";
    let services: Vec<String> =
        (0..tenants).map(|number| format!("    (name = \"t{number}\", worker = {worker}),\n")).collect();
    let sockets: Vec<String> = (0..tenants)
        .map(|number| {
            format!("    (name = \"s{number}\", address = \"127.0.0.1:0\", http = (), service = \"t{number}\"),\n")
        })
        .collect();
    format!(
        "using Workerd = import \"/workerd/workerd.capnp\";\nconst config :Workerd.Config = (\n  services = [\n{}  ],\n  \
         sockets = [\n{}  ],\n);\n",
        services.concat(),
        sockets.concat()
    )
}
