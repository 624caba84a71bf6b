//! This program's own client commands, run as a tenant's developer would.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use crate::demo::world::own_program;

/// Runs `sublet ARGUMENTS` with the address and key in its environment. Errors: it failed, with what it said.
pub(super) async fn run(url: &str, key: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(own_program()?)
        .args(arguments)
        .env("SUBLET_URL", url)
        .env("SUBLET_KEY", key)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context("cannot start the command")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        bail!("`sublet {}` ended with {}: {}", arguments.join(" "), output.status, said.trim());
    }
    Ok(())
}

pub(super) fn text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))
}
