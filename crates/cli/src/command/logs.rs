//! `sublet logs`: what a tenant's functions wrote, attempt by attempt.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};
use sublet_model::Name;

use super::TenantArg;
use crate::client::Client;
use crate::print::{Printer, cell};

#[derive(Args)]
pub(crate) struct Options {
    /// Only this function's
    function: Option<Name>,
    #[command(flatten)]
    tenant: TenantArg,
    /// Only this invocation's
    #[arg(long)]
    invocation: Option<String>,
    /// How many invocations to go back
    #[arg(long, default_value_t = 10)]
    limit: usize,
}

pub(crate) async fn run(options: Options, client: &Client, printer: Printer) -> Result<ExitCode> {
    let base = format!("/v1/tenants/{}/invocations", options.tenant.tenant);
    let ids: Vec<String> = match &options.invocation {
        Some(id) => vec![id.clone()],
        None => {
            let query = [
                ("limit", Some(options.limit.to_string())),
                ("function", options.function.as_ref().map(|f| f.to_string())),
            ];
            let listing = client.list(&base, &query).await?;
            let items = listing["items"].as_array().cloned().unwrap_or_default();
            // Newest last, as a log reads.
            items.iter().rev().map(|item| cell(&item["id"])).collect()
        }
    };
    let mut invocations = Vec::new();
    for id in ids {
        invocations.push(client.get(&format!("{base}/{id}")).await?);
    }
    if printer.json {
        printer.raw(&json!(invocations));
    } else if invocations.is_empty() {
        println!("nothing has run yet");
    } else {
        invocations.iter().for_each(show);
    }
    Ok(ExitCode::SUCCESS)
}

fn show(invocation: &Value) {
    println!("{}  {}  {}", cell(&invocation["id"]), cell(&invocation["function"]), cell(&invocation["state"]));
    for attempt in invocation["attempts"].as_array().into_iter().flatten() {
        let usage = &attempt["usage"];
        let wall_ms = usage["wall_us"].as_f64().unwrap_or(0.0) / 1e3;
        println!(
            "  {}  version {}  {}  {wall_ms:.1} ms",
            cell(&attempt["started"]),
            cell(&attempt["version"]),
            cell(&attempt["outcome"])
        );
        for fetch in attempt["fetches"].as_array().into_iter().flatten() {
            println!("    {}", fetched(fetch));
        }
        for line in attempt["log"].as_str().unwrap_or_default().lines() {
            println!("    {line}");
        }
        if let Some(message) = attempt["error"]["errorMessage"].as_str() {
            println!("    {}: {message}", cell(&attempt["error"]["errorType"]));
            for frame in attempt["error"]["stackTrace"].as_array().into_iter().flatten() {
                println!("        {}", cell(frame));
            }
        }
    }
}

/// `→ GET https://api.example.com/ 200, 41.2 ms, 1092 bytes`, or why there is no answer.
fn fetched(fetch: &Value) -> String {
    let asked = format!("→ {} {}", cell(&fetch["method"]), cell(&fetch["url"]));
    if let Some(error) = fetch["error"].as_str() {
        return format!("{asked}: {error}");
    }
    let took_ms = fetch["duration_us"].as_f64().unwrap_or(0.0) / 1e3;
    let bytes = fetch["bytes_out"].as_u64().unwrap_or(0) + fetch["bytes_in"].as_u64().unwrap_or(0);
    format!("{asked} {}, {took_ms:.1} ms, {bytes} bytes", cell(&fetch["status"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_one_line_with_its_status_or_its_error() {
        let mut fetch = json!({
            "method": "GET", "url": "https://a.test/", "status": 200, "bytes_out": 92, "bytes_in": 1000,
            "duration_us": 41_234
        });
        assert_eq!(fetched(&fetch), "→ GET https://a.test/ 200, 41.2 ms, 1092 bytes");
        fetch["error"] = "fetch refused: host `a.test` is not in this function's egress list".into();
        assert!(
            fetched(&fetch)
                .ends_with("https://a.test/: fetch refused: host `a.test` is not in this function's egress list")
        );
    }
}
