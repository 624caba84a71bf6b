//! `sublet rule`: which events go where.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use sublet_model::Name;

use super::json_argument;
use crate::client::{Client, ClientError};
use crate::print::{Printer, cell};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make or replace a rule
    Put {
        name: Name,
        #[command(flatten)]
        owner: Owner,
        /// EventBridge's pattern language: JSON, @file or - for standard input
        #[arg(long)]
        pattern: String,
        /// `tenant=FUNCTION` (of the event's own tenant), `function=TENANT/FUNCTION`, `webhook=NAME`, `queue=NAME`, or a target
        /// as JSON with its retry policy and transformer; repeatable
        #[arg(long = "target", required = true)]
        targets: Vec<String>,
    },
    /// Show one rule
    Get {
        name: Name,
        #[command(flatten)]
        owner: Owner,
    },
    /// List the operator's rules, or a tenant's
    List(Owner),
    /// Delete a rule
    Delete {
        name: Name,
        #[command(flatten)]
        owner: Owner,
    },
    /// Try a pattern on an event, and see why it does not match
    Test {
        /// JSON, @file or - for standard input
        #[arg(long)]
        pattern: String,
        /// JSON, @file or - for standard input
        #[arg(long)]
        event: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Owner {
    /// The tenant whose rule it is; the operator's when left out
    #[arg(long, short)]
    tenant: Option<Name>,
}

impl Owner {
    fn path(&self) -> String {
        match &self.tenant {
            Some(tenant) => format!("/v1/tenants/{tenant}/rules"),
            None => "/v1/rules".to_owned(),
        }
    }
}

pub(crate) async fn run(command: Command, client: &Client, printer: Printer) -> Result<ExitCode> {
    match command {
        Command::Put { name, owner, pattern, targets } => {
            let targets: Vec<Value> = targets.iter().map(|text| target(text)).collect::<Result<_>>()?;
            let body = json!({"pattern": json_argument("--pattern", &pattern)?, "targets": targets});
            let rule = client.put(&format!("{}/{name}", owner.path()), &body).await?;
            printer.done(&rule, &format!("rule {name} is in force"));
        }
        Command::Get { name, owner } => {
            printer.raw(&client.get(&format!("{}/{name}", owner.path())).await?);
        }
        Command::List(owner) => {
            let listing = client.get(&owner.path()).await?;
            let columns = [("name", "name"), ("enabled", "enabled"), ("pattern", "pattern"), ("targets", "targets")];
            printer.listing(&listing, &columns);
        }
        Command::Delete { name, owner } => {
            let answer = client.delete(&format!("{}/{name}", owner.path())).await?;
            printer.done(&answer, &format!("rule {name} is deleted"));
        }
        Command::Test { pattern, event } => {
            // The texts are sent as they are: a repeated key in a pattern has a meaning that parsing would lose.
            let pattern = super::text_argument("--pattern", &pattern)?;
            let event = super::text_argument("--event", &event)?;
            let answer = client.post("/v1/patterns/test", &json!({"pattern": pattern, "event": event})).await?;
            let matches = answer["matches"].as_bool().unwrap_or(false);
            if printer.json {
                printer.raw(&answer);
            } else {
                println!("{}", if matches { "matches" } else { "does not match" });
                for reason in answer["reasons"].as_array().into_iter().flatten() {
                    let [path, operator, expected, actual] =
                        ["path", "operator", "expected", "actual"].map(|key| cell(&reason[key]));
                    println!("  {path}: expected {operator} {expected}, saw {actual}");
                }
            }
            return Ok(if matches { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn target(text: &str) -> Result<Value> {
    let wrong =
        || ClientError::Usage(format!("--target {text}: want tenant=F, function=TENANT/F, webhook=NAME or queue=NAME"));
    if text.trim_start().starts_with('{') {
        return json_argument("--target", text);
    }
    let (kind, name) = text.split_once('=').ok_or_else(wrong)?;
    Ok(match kind {
        "tenant" => json!({"tenant": name}),
        "webhook" => json!({"webhook": name}),
        "queue" => json!({"queue": name}),
        "function" => match name.split_once('/') {
            Some((tenant, function)) => json!({"function": {"tenant": tenant, "name": function}}),
            None => json!({"function": {"name": name}}),
        },
        _ => return Err(wrong().into()),
    })
}
