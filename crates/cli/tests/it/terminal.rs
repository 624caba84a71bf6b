//! The command line as typed.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::process::Command;

use crate::scene::PROGRAM;

/// One person's terminal: an address and a key in the environment.
pub(crate) struct Terminal {
    url: String,
    key: String,
}

#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Terminal {
    pub(crate) fn new(url: &str, key: &str) -> Terminal {
        Terminal { url: url.to_owned(), key: key.to_owned() }
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Result<Said> {
        let output = Command::new(PROGRAM)
            .args(arguments)
            .env("SUBLET_URL", &self.url)
            .env("SUBLET_KEY", &self.key)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await?;
        Ok(Said {
            code: output.status.code().context("ended by a signal")?,
            out: String::from_utf8(output.stdout)?,
            err: String::from_utf8(output.stderr)?,
        })
    }

    /// A command that must succeed; what it printed.
    pub(crate) async fn ok(&self, arguments: &[&str]) -> Result<String> {
        let said = self.run(arguments).await?;
        ensure!(said.code == 0, "`sublet {}` ended with {}: {}", arguments.join(" "), said.code, said.err);
        Ok(said.out)
    }

    /// The same with `--json`, read.
    pub(crate) async fn json(&self, arguments: &[&str]) -> Result<Value> {
        let mut with_json = arguments.to_vec();
        with_json.push("--json");
        let out = self.ok(&with_json).await?;
        serde_json::from_str(&out).with_context(|| format!("`sublet {}` printed {out}", with_json.join(" ")))
    }
}
