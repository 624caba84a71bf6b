//! The server that is measured: one made for the purpose, or one that is there already. Whatever is set up in it has a
//! name of its own, and is removed when the measuring is done.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use rustix::process::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::args::Common;
use crate::child::Process;
use crate::client::Client;
use crate::command::is_not_found;

/// The function of every tenant here.
pub(super) const FUNCTION: &str = "enrich";
/// A small function of the kind that customers write: text in, a date and some tags out.
pub(super) const HANDLER: &str = r"
const DAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'];
export const handler = async (event) => {
  const { title, created } = event.detail;
  const tags = [...title.matchAll(/#(\w+)/g)].map((match) => match[1].toLowerCase());
  const named = DAYS.findIndex((day) => title.toLowerCase().includes(day));
  const from = new Date(created);
  const ahead = named < 0 ? null : (named - from.getUTCDay() + 7) % 7 || 7;
  const due = ahead === null ? null : new Date(from.getTime() + ahead * 86_400_000).toISOString().slice(0, 10);
  return { due, tags };
};
";

/// What `HANDLER` is called with.
pub(super) fn detail() -> Value {
    json!({"title": "Send the report on friday #finance", "created": "2026-03-02T09:00:00Z"})
}

pub(super) struct Subject {
    pub(super) api: Client,
    /// Begins the names of everything that is set up here, so that nothing of anybody's is touched.
    prefix: String,
    tenants: u64,
    own: Option<Own>,
}

/// A server that lives as long as the measurement.
struct Own {
    process: Process,
    folder: TempDir,
}

impl Subject {
    /// Started on a free port, in a new folder below the one for temporary files.
    pub(super) async fn own(program: &Path) -> Result<Subject> {
        let folder = tempfile::Builder::new().prefix("sublet-bench").tempdir()?;
        let (process, api) = start(program, folder.path()).await?;
        Ok(Subject { api, prefix: prefix()?, tenants: 0, own: Some(Own { process, folder }) })
    }

    /// The server that the command line names; its key must be an operator's.
    pub(super) async fn existing(common: &Common) -> Result<Subject> {
        let api = common.client()?;
        api.list("/v1/tenants", &[("limit", Some("1".to_owned()))])
            .await
            .context("--existing needs an operator key")?;
        Ok(Subject { api, prefix: prefix()?, tenants: 0, own: None })
    }

    /// Sets up `tenants`, measures, and removes what was set up, also when that failed or the user has had enough.
    pub(super) async fn with<T>(mut self, tenants: u64, measure: impl AsyncFnOnce(&Subject) -> Result<T>) -> Result<T> {
        let work = async {
            self.set_up(tenants).await?;
            measure(&self).await
        };
        let done = tokio::select! {
            done = work => done,
            _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
        };
        let ended = self.end().await;
        let value = done?;
        ended.map(|()| value)
    }

    /// The server's process, if it is ours to look at.
    pub(super) fn pid(&self) -> Option<Pid> {
        self.own.as_ref().map(|own| own.process.pid())
    }

    /// A folder on the disk that the server writes to, as far as that can be known.
    pub(super) fn folder(&self) -> Result<TempDir> {
        Ok(match &self.own {
            Some(own) => tempfile::tempdir_in(own.folder.path())?,
            None => tempfile::tempdir()?,
        })
    }

    pub(super) fn tenant(&self, number: u64) -> String {
        format!("{}-{number}", self.prefix)
    }

    /// The source of the events that lead to the functions of these tenants.
    pub(super) fn source(&self) -> String {
        self.prefix.clone()
    }

    /// Tenants with a live function each, and the rule that leads to it.
    async fn set_up(&mut self, tenants: u64) -> Result<()> {
        for number in 0..tenants {
            // First, so that a tenant that could not be finished is removed as well.
            self.tenants = number + 1;
            let tenant = format!("/v1/tenants/{}", self.tenant(number));
            self.api.put(&tenant, &json!({})).await?;
            self.api.put(&format!("{tenant}/functions/{FUNCTION}"), &json!({})).await?;
            self.deploy(number, number).await?;
        }
        let rule = json!({"pattern": {"source": [self.source()]}, "targets": [{"tenant": FUNCTION}]});
        self.api.put(&format!("/v1/rules/{}", self.prefix), &rule).await?;
        Ok(())
    }

    /// A version that nobody has deployed before.
    pub(super) async fn deploy(&self, tenant: u64, number: u64) -> Result<()> {
        let path = format!("/v1/tenants/{}/functions/{FUNCTION}/versions", self.tenant(tenant));
        let code = format!("{HANDLER}\nexport const number = {number};\n");
        let answer = self.api.upload(&path, "text/javascript", code.into()).await?;
        if answer["live"] != true {
            bail!("a deploy is not live: {answer}");
        }
        Ok(())
    }

    /// Removes what was set up, and ends the server if it was made here.
    async fn end(self) -> Result<()> {
        if let Some(own) = self.own {
            return own.process.stop(std::future::pending()).await;
        }
        let rule = self.api.delete(&format!("/v1/rules/{}", self.prefix)).await;
        if let Err(error) = rule
            && !is_not_found(&error)
        {
            return Err(error);
        }
        for number in 0..self.tenants {
            self.api.delete(&format!("/v1/tenants/{}", self.tenant(number))).await?;
        }
        Ok(())
    }
}

/// `sublet serve` on a free port, with its data and its log below `folder`.
pub(super) async fn start(program: &Path, folder: &Path) -> Result<(Process, Client)> {
    let key = format!("slo_bench_{}", random()?);
    let mut command = Command::new(program);
    command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(folder.join("data"));
    command.env("SUBLET_OPERATOR_KEY", &key).env("RUST_LOG", "warn").env_remove("SUBLET_CONFIG");
    let process = Process::start("sublet serve", command, folder.join("server.log")).await?;
    let api = Client::new(&process.url, Some(key), None)?;
    Ok((process, api))
}

fn prefix() -> Result<String> {
    Ok(format!("bench-{}", &random()?[..12]))
}

fn random() -> Result<String> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).context("the system gives no randomness")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
