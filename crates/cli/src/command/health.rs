//! `sublet health`: whether a server takes requests, for probes that can only start a program (a container's health check).

use std::process::ExitCode;

use anyhow::Result;

use crate::client::Client;
use crate::print::Printer;

/// A server that is there but not ready is an error of its own: `/readyz` answers it with 503.
pub(crate) async fn run(client: &Client, printer: Printer) -> Result<ExitCode> {
    let answer = client.get("/readyz").await?;
    printer.done(&answer, "ready");
    Ok(ExitCode::SUCCESS)
}
