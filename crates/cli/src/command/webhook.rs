//! `sublet webhook`: the addresses that results are sent to, signed as Standard Webhooks says.

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use serde_json::json;
use sublet_model::Name;

use super::PageArgs;
use super::delivery::COLUMNS;
use crate::client::Client;
use crate::print::{Printer, cell};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make or replace a webhook; its secret is shown when it is made
    Put {
        name: Name,
        /// The address that is called
        #[arg(long = "to")]
        target: String,
        /// `host:port` that may be reached although it is private; repeatable
        #[arg(long)]
        allow_private: Vec<String>,
        /// How long the receiver has for its answer, such as `15s`
        #[arg(long)]
        timeout: Option<String>,
    },
    /// List webhooks
    List,
    /// Show a webhook: its state, its secrets by id, its deliveries counted
    Show { name: Name },
    /// Make a new secret and show it; those before it sign along for the overlap
    Rotate {
        name: Name,
        /// How long those before it sign along, such as `24h`
        #[arg(long)]
        overlap: Option<String>,
    },
    /// Send nothing to it until it is enabled; what is due to it waits
    Disable { name: Name },
    /// Send to it again, whatever disabled it
    Enable { name: Name },
    /// Send its failed deliveries anew
    Replay {
        name: Name,
        /// Of events accepted since then, such as 2026-01-31T09:00:00Z
        #[arg(long)]
        since: String,
    },
    /// Delete a webhook
    Delete { name: Name },
    /// Show what was sent; `sublet delivery` has more
    Deliveries {
        name: Name,
        #[command(flatten)]
        page: PageArgs,
    },
}

const FIELDS: &[(&str, &str)] = &[
    ("name", "name"),
    ("url", "url"),
    ("timeout", "timeout"),
    ("enabled", "enabled"),
    ("disabled", "disabled.reason"),
    ("since", "disabled.at"),
    ("failing since", "failing_since"),
    ("pending", "deliveries.pending"),
    ("delivered", "deliveries.delivered"),
    ("failed", "deliveries.failed"),
    ("secret", "secret"),
];

pub(crate) async fn run(command: Command, client: &Client, printer: Printer) -> Result<ExitCode> {
    match command {
        Command::Put { name, target, allow_private, timeout } => {
            let mut body = json!({"url": target, "allow_private": allow_private});
            if let Some(timeout) = timeout {
                body["timeout"] = json!(timeout);
            }
            let webhook = client.put(&format!("/v1/webhooks/{name}"), &body).await?;
            printer.record(&webhook, FIELDS);
        }
        Command::List => {
            let listing = client.get("/v1/webhooks").await?;
            let columns = [("name", "name"), ("url", "url"), ("enabled", "enabled"), ("disabled", "disabled.reason")];
            printer.listing(&listing, &columns);
        }
        Command::Show { name } => {
            let webhook = client.get(&format!("/v1/webhooks/{name}")).await?;
            printer.record(&webhook, FIELDS);
            if !printer.json {
                printer
                    .listing(&webhook["secrets"], &[("secret", "id"), ("created", "created"), ("expires", "expires")]);
            }
        }
        Command::Rotate { name, overlap } => {
            let body = overlap.map_or(json!({}), |overlap| json!({"overlap": overlap}));
            let webhook = client.post(&format!("/v1/webhooks/{name}/rotate"), &body).await?;
            printer.record(&webhook, &[("name", "name"), ("secret", "secret")]);
        }
        Command::Disable { name } => {
            let webhook = client.post(&format!("/v1/webhooks/{name}/disable"), &json!({})).await?;
            printer.done(&webhook, &format!("webhook {name} is disabled; what is due to it waits"));
        }
        Command::Enable { name } => {
            let webhook = client.post(&format!("/v1/webhooks/{name}/enable"), &json!({})).await?;
            printer.done(&webhook, &format!("webhook {name} is enabled"));
        }
        Command::Replay { name, since } => {
            let answer = client.post(&format!("/v1/webhooks/{name}/replay"), &json!({"since": since})).await?;
            printer.done(&answer, &format!("{} sent anew", cell(&answer["count"])));
        }
        Command::Delete { name } => {
            let answer = client.delete(&format!("/v1/webhooks/{name}")).await?;
            printer.done(&answer, &format!("webhook {name} is deleted"));
        }
        Command::Deliveries { name, page } => {
            let mut query = page.query().to_vec();
            query.push(("webhook", Some(name.to_string())));
            let listing = client.list("/v1/deliveries", &query).await?;
            printer.listing(&listing, COLUMNS);
        }
    }
    Ok(ExitCode::SUCCESS)
}
