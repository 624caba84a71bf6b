//! `sublet usage`: what was used, hour by hour, and what it costs.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use sublet_model::{Name, Timestamp};

use crate::client::Client;
use crate::print::{Printer, cell};

#[derive(Args)]
pub(crate) struct Options {
    /// One tenant's; everybody's when left out (operator)
    #[arg(long, short, env = "SUBLET_TENANT")]
    tenant: Option<Name>,
    /// Hours from this moment on, RFC 3339
    #[arg(long, value_parser = Timestamp::parse)]
    from: Option<Timestamp>,
    /// Hours before this moment, RFC 3339
    #[arg(long, value_parser = Timestamp::parse)]
    to: Option<Timestamp>,
}

pub(crate) async fn run(options: Options, client: &Client, printer: Printer) -> Result<ExitCode> {
    let path = match &options.tenant {
        Some(tenant) => format!("/v1/tenants/{tenant}/usage"),
        None => "/v1/usage".to_owned(),
    };
    let query = [("from", options.from.map(|t| t.to_string())), ("to", options.to.map(|t| t.to_string()))];
    let usage = client.list(&path, &query).await?;
    let columns = [
        ("hour", "hour"),
        ("tenant", "tenant"),
        ("function", "function"),
        ("attempts", "attempts"),
        ("failed", "failed"),
        ("cpu µs", "cpu_us"),
        ("gb-s", "gb_seconds"),
        ("cost × 10⁻⁶", "cost_micros"),
    ];
    printer.listing(&usage, &columns);
    if !printer.json {
        let total = &usage["total"];
        let cost = total["cost_micros"].as_f64().unwrap_or(0.0) / 1e6;
        let (attempts, currency) = (cell(&total["attempts"]), cell(&usage["currency"]));
        println!(
            "total from {} to {}: {attempts} attempts, {cost:.6} {currency}",
            cell(&usage["from"]),
            cell(&usage["to"])
        );
    }
    Ok(ExitCode::SUCCESS)
}
