//! `sublet invoke`: run a function now, outside the queue, and print its answer.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use sublet_model::{Millis, Name};

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
    /// Answer within this span, such as 150ms
    #[arg(long)]
    deadline: Option<Millis>,
    /// The answer if the function has none in time: JSON
    #[arg(long)]
    fallback: Option<String>,
    /// Count the WebAssembly instructions it executes, the same on every machine, and say so on standard error
    #[arg(long)]
    count: bool,
}

pub(crate) async fn run(options: Options, client: &Client, printer: Printer) -> Result<ExitCode> {
    let payload = json_argument("--event", &options.event)?;
    let query = [
        ("version", options.version_number.map(|number| number.to_string())),
        ("alias", options.alias.map(|alias| alias.to_string())),
        ("deadline", options.deadline.map(|deadline| deadline.to_string())),
        ("count", options.count.then(|| "instructions".to_owned())),
    ];
    let fallback = options.fallback.map(|text| json_argument("--fallback", &text)).transpose()?;
    let path = format!("/v1/tenants/{}/functions/{}/invoke", options.tenant.tenant, options.function);
    let invoked = client.invoke(&path, &query, fallback.as_ref(), &payload).await?;
    // The function's own answer is JSON whatever was asked for.
    printer.raw(&invoked.answer);
    if let Some(instructions) = invoked.instructions {
        eprintln!("{instructions} instructions");
    }
    Ok(ExitCode::SUCCESS)
}
