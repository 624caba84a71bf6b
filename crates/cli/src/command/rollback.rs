//! `sublet rollback`: one call that makes another version live.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;
use sublet_model::Name;

use super::TenantArg;
use crate::client::Client;
use crate::print::Printer;

#[derive(Args)]
pub(crate) struct Options {
    function: Name,
    #[command(flatten)]
    tenant: TenantArg,
    /// The version to make live; the one before the live one when left out
    #[arg(long)]
    to: Option<u64>,
}

pub(crate) async fn run(options: Options, client: &Client, printer: Printer) -> Result<ExitCode> {
    let name = &options.function;
    let path = format!("/v1/tenants/{}/functions/{name}", options.tenant.tenant);
    let to = match options.to {
        Some(to) => to,
        None => before_live(client, &path).await?,
    };
    let answer = client.put(&format!("{path}/aliases/live"), &json!({"version": to})).await?;
    printer.done(&answer, &format!("version {to} of {name} is live"));
    Ok(ExitCode::SUCCESS)
}

async fn before_live(client: &Client, path: &str) -> Result<u64> {
    let function = client.get(path).await?;
    let live = function["live"].as_u64().context("the function has no live version to go back from")?;
    let versions = client.get(&format!("{path}/versions?limit=1000")).await?;
    let numbers = versions["items"].as_array().into_iter().flatten().filter_map(|v| v["version"].as_u64());
    numbers.filter(|number| *number < live).max().with_context(|| format!("there is no version before {live}"))
}
