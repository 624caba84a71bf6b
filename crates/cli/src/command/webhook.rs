//! `sublet webhook`: the addresses that results are sent to, signed as Standard Webhooks says.

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use serde_json::json;
use sublet_model::Name;

use super::PageArgs;
use crate::client::Client;
use crate::print::Printer;

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
    },
    /// List webhooks
    List,
    /// Delete a webhook
    Delete { name: Name },
    /// Show what was sent
    Deliveries {
        name: Name,
        #[command(flatten)]
        page: PageArgs,
    },
}

pub(crate) async fn run(command: Command, client: &Client, printer: Printer) -> Result<ExitCode> {
    match command {
        Command::Put { name, target, allow_private } => {
            let body = json!({"url": target, "allow_private": allow_private});
            let webhook = client.put(&format!("/v1/webhooks/{name}"), &body).await?;
            printer.record(&webhook, &[("name", "name"), ("url", "url"), ("secret", "secret")]);
        }
        Command::List => {
            let listing = client.get("/v1/webhooks").await?;
            printer.listing(&listing, &[("name", "name"), ("url", "url"), ("enabled", "enabled")]);
        }
        Command::Delete { name } => {
            let answer = client.delete(&format!("/v1/webhooks/{name}")).await?;
            printer.done(&answer, &format!("webhook {name} is deleted"));
        }
        Command::Deliveries { name, page } => {
            let mut query = page.query().to_vec();
            query.push(("webhook", Some(name.to_string())));
            let listing = client.list("/v1/deliveries", &query).await?;
            printer.listing(&listing, &[("id", "id"), ("state", "state"), ("event", "event"), ("due", "due")]);
        }
    }
    Ok(ExitCode::SUCCESS)
}
