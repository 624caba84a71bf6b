//! `sublet delivery`: what was sent to webhooks, what answered, and sending it anew.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Subcommand, ValueEnum};
use serde_json::json;
use sublet_model::Name;

use super::PageArgs;
use crate::client::Client;
use crate::print::Printer;

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum State {
    Pending,
    Delivered,
    Failed,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List deliveries, newest first
    List {
        /// To this webhook alone
        #[arg(long)]
        webhook: Option<Name>,
        /// In this state alone
        #[arg(long)]
        state: Option<State>,
        /// Of this tenant's events alone
        #[arg(long, short)]
        tenant: Option<String>,
        #[command(flatten)]
        page: PageArgs,
    },
    /// Show a delivery with its tries
    Show { id: String },
    /// Send a delivery anew, under the webhook-id it had
    Replay { id: String },
}

/// What every listing of deliveries shows.
pub(crate) const COLUMNS: &[(&str, &str)] =
    &[("id", "id"), ("webhook", "webhook"), ("state", "state"), ("event", "event"), ("due", "due")];

pub(crate) async fn run(command: Command, client: &Client, printer: Printer) -> Result<ExitCode> {
    match command {
        Command::List { webhook, state, tenant, page } => {
            let mut query = page.query().to_vec();
            query.push(("webhook", webhook.map(|name| name.to_string())));
            let state = state.and_then(|state| state.to_possible_value());
            query.push(("state", state.map(|value| value.get_name().to_owned())));
            query.push(("tenant", tenant));
            printer.listing(&client.list("/v1/deliveries", &query).await?, COLUMNS);
        }
        Command::Show { id } => {
            let delivery = client.get(&format!("/v1/deliveries/{id}")).await?;
            let fields = [
                ("id", "id"),
                ("webhook", "webhook"),
                ("event", "event"),
                ("tenant", "tenant"),
                ("state", "state"),
                ("due", "due"),
                ("replays", "replays"),
            ];
            printer.record(&delivery, &fields);
            if !printer.json {
                let columns = [
                    ("tried", "at"),
                    ("status", "status"),
                    ("ms", "latency_ms"),
                    ("error", "error"),
                    ("response", "response"),
                ];
                printer.listing(&delivery["attempts"], &columns);
            }
        }
        Command::Replay { id } => {
            let delivery = client.post(&format!("/v1/deliveries/{id}/replay"), &json!({})).await?;
            printer.done(&delivery, &format!("delivery {id} is sent anew"));
        }
    }
    Ok(ExitCode::SUCCESS)
}
