//! `sublet layer`: the operator's common code.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Subcommand;
use sublet_model::Name;

use crate::client::Client;
use crate::files;
use crate::print::{Printer, cell};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Publish a new version of a layer: a folder or a .zip
    Publish { name: Name, path: PathBuf },
    /// List layers
    List,
}

pub(crate) async fn run(command: Command, client: &Client, printer: Printer) -> Result<ExitCode> {
    match command {
        Command::Publish { name, path } => {
            let package = files::package(&path)?;
            ensure!(package.content_type == "application/zip", "a layer is a folder or a .zip");
            let layer =
                client.upload(&format!("/v1/layers/{name}/versions"), package.content_type, package.bytes).await?;
            let number = cell(&layer["version"]);
            printer.done(
                &layer,
                &format!("version {number} of layer {name} is there; functions deployed from now on get it"),
            );
        }
        Command::List => {
            let listing = client.get("/v1/layers").await?;
            printer.listing(&listing, &[("name", "name"), ("version", "version"), ("created", "created")]);
        }
    }
    Ok(ExitCode::SUCCESS)
}
