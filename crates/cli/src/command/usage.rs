//! `sublet usage`: what was used, hour by hour, and what it costs.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, ValueEnum};
use sublet_model::{Name, Timestamp};

use crate::client::Client;
use crate::print::{Printer, cell};

#[derive(Args)]
pub(crate) struct Options {
    /// One tenant's; everybody's when left out (operator)
    #[arg(long, short, env = "SUBLET_TENANT")]
    tenant: Option<Name>,
    /// What a row stands for
    #[arg(long, value_enum, default_value_t = Group::Function)]
    group: Group,
    /// Hours from this moment on, RFC 3339
    #[arg(long, value_parser = Timestamp::parse)]
    from: Option<Timestamp>,
    /// Hours before this moment, RFC 3339
    #[arg(long, value_parser = Timestamp::parse)]
    to: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Group {
    /// Everybody's, one row a tenant (operator)
    Tenant,
    Function,
    Hour,
    Total,
}

impl Group {
    /// The columns that tell one row from another.
    fn columns(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Group::Tenant => &[("tenant", "tenant")],
            Group::Function => &[("tenant", "tenant"), ("function", "function")],
            Group::Hour => &[("hour", "hour")],
            Group::Total => &[],
        }
    }
}

pub(crate) async fn run(options: Options, client: &Client, printer: Printer) -> Result<ExitCode> {
    let path = match &options.tenant {
        Some(tenant) => format!("/v1/tenants/{tenant}/usage"),
        None => "/v1/usage".to_owned(),
    };
    let group = options.group.to_possible_value().map(|value| value.get_name().to_owned());
    let query =
        [("group", group), ("from", options.from.map(|t| t.to_string())), ("to", options.to.map(|t| t.to_string()))];
    let usage = client.list(&path, &query).await?;
    let measured = [
        ("attempts", "attempts"),
        ("failed", "failed"),
        ("cpu us", "cpu_us"),
        ("gb-s", "gb_seconds"),
        ("cost micros", "cost_micros"),
    ];
    printer.listing(&usage, &[options.group.columns(), &measured].concat());
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
