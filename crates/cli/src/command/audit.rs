//! `sublet audit`: who changed what, when, from where, and how it ended.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::Value;
use sublet_model::Name;

use super::PageArgs;
use crate::client::Client;
use crate::print::{Printer, at, cell};

/// Between two looks for new lines.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Lines of one page, and pages of one look; what came before those is passed over.
const PAGE_LINES: usize = 1_000;
const PAGES_MAX: usize = 100;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List changes, newest first
    List(Filter),
}

#[derive(Debug, Args)]
pub(crate) struct Filter {
    /// About this tenant. Needed with a tenant's key
    #[arg(long, short, env = "SUBLET_TENANT")]
    tenant: Option<Name>,
    /// By this key (its id; a secret is given with --key)
    #[arg(long = "by")]
    by: Option<String>,
    /// Of this operation, by its name in the API's document: put_tenant
    #[arg(long)]
    operation: Option<String>,
    /// At or after this time (RFC 3339)
    #[arg(long)]
    since: Option<String>,
    /// Print new changes as they come, oldest first
    #[arg(long, short)]
    follow: bool,
    #[command(flatten)]
    page: PageArgs,
}

pub(crate) async fn run(command: Command, client: &Client, printer: Printer) -> Result<ExitCode> {
    let Command::List(filter) = command;
    // A tenant's key sees its part there alone, and an operator's the same.
    let path = match &filter.tenant {
        Some(tenant) => format!("/v1/tenants/{tenant}/audit"),
        None => "/v1/audit".to_owned(),
    };
    if filter.follow {
        return follow(&path, &filter, client, printer).await;
    }
    let mut query = filter.query();
    query.extend(filter.page.query());
    let listing = client.list(&path, &query).await?;
    let columns = [
        ("at", "at"),
        ("operation", "operation"),
        ("target", "target"),
        ("status", "status"),
        ("by", "by.label"),
        ("scope", "by.scope"),
        ("key", "by.key"),
        ("from", "from"),
    ];
    printer.listing(&listing, &columns);
    Ok(ExitCode::SUCCESS)
}

impl Filter {
    fn query(&self) -> Vec<(&'static str, Option<String>)> {
        vec![("key", self.by.clone()), ("operation", self.operation.clone()), ("since", self.since.clone())]
    }
}

/// A change that is under way at a look is printed as it is then. Without `--since`, what was there before is not shown.
async fn follow(path: &str, filter: &Filter, client: &Client, printer: Printer) -> Result<ExitCode> {
    let mut last = String::new();
    let mut shows = filter.since.is_some();
    loop {
        let fresh = newer_than(&last, path, filter, client, shows).await?;
        if let Some(newest) = fresh.first() {
            cell(&newest["id"]).clone_into(&mut last);
        }
        if shows {
            fresh.iter().rev().for_each(|line| print_line(line, printer));
        }
        shows = true;
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Newest first. Ids grow with time, and so does their text. `all`: else only the first page with something on it.
async fn newer_than(last: &str, path: &str, filter: &Filter, client: &Client, all: bool) -> Result<Vec<Value>> {
    let mut found = Vec::new();
    let mut cursor = None;
    for _ in 0..PAGES_MAX {
        let mut query = filter.query();
        query.extend([("limit", Some(PAGE_LINES.to_string())), ("cursor", cursor)]);
        let mut listing = client.list(path, &query).await?;
        let Some(items) = listing["items"].as_array_mut() else { break };
        for item in items.drain(..) {
            if item["id"].as_str() <= Some(last) {
                return Ok(found);
            }
            found.push(item);
        }
        cursor = listing["next"].as_str().map(str::to_owned);
        if cursor.is_none() || (!all && !found.is_empty()) {
            break;
        }
    }
    Ok(found)
}

fn print_line(line: &Value, printer: Printer) {
    if printer.json {
        println!("{line}");
        return;
    }
    let part = |path: &str| cell(at(line, path));
    let status = if line["status"].is_null() { "not known".to_owned() } else { part("status") };
    let who = format!("{} {} {}", part("by.scope"), part("by.label"), part("by.key"));
    let who = who.split_whitespace().collect::<Vec<_>>().join(" ");
    println!("{}  {}  {}  {status}  {who}  {}", part("at"), part("operation"), part("target"), part("from"));
}
