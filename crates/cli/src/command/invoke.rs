//! `sublet invoke`: run a function now, outside the queue, and print its answer.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use sublet_model::Name;

use super::{TenantArg, json_argument};
use crate::client::Client;
use crate::print::Printer;

#[derive(Args)]
pub(crate) struct Options {
    function: Name,
    #[command(flatten)]
    tenant: TenantArg,
    /// The event: JSON, @file or - for standard input
    #[arg(long, short, default_value = "{}")]
    event: String,
    /// Run this version instead of the live one
    #[arg(long, conflicts_with = "alias")]
    version_number: Option<u32>,
    /// Run what this alias points to
    #[arg(long)]
    alias: Option<Name>,
}

pub(crate) async fn run(options: Options, client: &Client, printer: Printer) -> Result<ExitCode> {
    let payload = json_argument("--event", &options.event)?;
    let selector = match (options.version_number, &options.alias) {
        (Some(number), _) => format!("?version={number}"),
        (None, Some(alias)) => format!("?alias={alias}"),
        (None, None) => String::new(),
    };
    let path = format!("/v1/tenants/{}/functions/{}/invoke{selector}", options.tenant.tenant, options.function);
    let answer = client.post(&path, &payload).await?;
    // The function's own answer is JSON whatever was asked for.
    printer.raw(&answer);
    Ok(ExitCode::SUCCESS)
}
