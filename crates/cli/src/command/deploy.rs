//! `sublet deploy`: from a file, a folder or a .zip to a live version.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::json;
use sublet_model::Name;

use super::TenantArg;
use super::function::{self, ConfigArgs};
use crate::client::Client;
use crate::files;
use crate::print::{Printer, cell};

#[derive(Args)]
pub(crate) struct Options {
    /// A .js, .mjs, .cjs or .zip file, or a folder
    path: PathBuf,
    #[command(flatten)]
    tenant: TenantArg,
    /// The function's name; made if it is not there
    #[arg(long, short, env = "SUBLET_FUNCTION")]
    function: Name,
    /// Make the version, and leave the live one as it is
    #[arg(long)]
    no_publish: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

pub(crate) async fn run(options: Options, client: &Client, printer: Printer) -> Result<ExitCode> {
    let (tenant, name) = (&options.tenant.tenant, &options.function);
    let package = files::package(&options.path)?;
    // Progress goes to stderr, so that --json stays one document.
    eprintln!("packed {} file(s), {} bytes", package.files, package.bytes.len());
    let (_, made) = function::put(client, tenant, name, &options.config).await?;
    if made {
        eprintln!("made function {name} of {tenant}");
    }
    let publish = if options.no_publish { "?publish=false" } else { "" };
    let path = format!("/v1/tenants/{tenant}/functions/{name}/versions{publish}");
    let version = client.upload(&path, package.content_type, package.bytes).await?;
    let number = cell(&version["version"]);
    let sentence = if options.no_publish {
        format!("version {number} of {name} is there; make it live with: sublet rollback {name} --to {number}")
    } else {
        format!("version {number} of {name} is live")
    };
    printer.done(&json!(version), &sentence);
    Ok(ExitCode::SUCCESS)
}
