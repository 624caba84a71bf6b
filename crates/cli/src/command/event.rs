//! `sublet event`: publish, look up, explain, follow.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use futures::StreamExt;
use serde_json::{Value, json};
use sublet_model::Name;

use super::{PageArgs, json_argument};
use crate::client::Client;
use crate::print::{Printer, at, cell};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Publish one event, or a JSON array of events
    Publish(PublishOptions),
    /// Show what became of an event: rules, attempts, deliveries, and why rules did not match
    #[command(visible_alias = "get")]
    Explain { id: String },
    /// List events, newest first
    List {
        /// One tenant's; everybody's when left out (operator)
        #[arg(long, short, env = "SUBLET_TENANT")]
        tenant: Option<Name>,
        #[command(flatten)]
        page: PageArgs,
    },
    /// Follow results as they come
    Tail {
        /// One tenant's; everybody's when left out (operator)
        #[arg(long, short, env = "SUBLET_TENANT")]
        tenant: Option<Name>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct PublishOptions {
    /// The whole event or an array: JSON, @file or - for standard input
    #[arg(conflicts_with_all = ["source", "detail_type", "detail"])]
    event: Option<String>,
    /// Where it comes from: the name of your product or of a part of it
    #[arg(long, required_unless_present = "event")]
    source: Option<String>,
    /// What happened, its `detail-type`
    #[arg(long = "type", required_unless_present = "event")]
    detail_type: Option<String>,
    /// Whose event it is
    #[arg(long, short, env = "SUBLET_TENANT", required_unless_present = "event")]
    tenant: Option<Name>,
    /// JSON object, @file or - for standard input
    #[arg(long, default_value = "{}")]
    detail: String,
    /// The publisher's own id: publishing it again changes nothing
    #[arg(long)]
    id: Option<String>,
}

pub(crate) async fn run(command: Command, client: &Client, printer: Printer) -> Result<ExitCode> {
    match command {
        Command::Publish(options) => publish(options, client, printer).await?,
        Command::Explain { id } => {
            let event = client.get(&format!("/v1/events/{id}")).await?;
            if printer.json { printer.raw(&event) } else { explain(&event) }
        }
        Command::List { tenant, page } => {
            let mut query = page.query().to_vec();
            query.push(("tenant", tenant.map(|t| t.to_string())));
            let listing = client.list("/v1/events", &query).await?;
            let columns = [
                ("id", "id"),
                ("status", "status"),
                ("reason", "reason"),
                ("tenant", "event.tenant"),
                ("source", "event.source"),
                ("type", "event.detail-type"),
            ];
            printer.listing(&listing, &columns);
        }
        Command::Tail { tenant } => tail(tenant, client, printer).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn publish(options: PublishOptions, client: &Client, printer: Printer) -> Result<()> {
    let body = match &options.event {
        Some(text) => json_argument("the event", text)?,
        None => {
            let mut event = json!({
                "source": options.source,
                "detail-type": options.detail_type,
                "tenant": options.tenant,
                "detail": json_argument("--detail", &options.detail)?,
            });
            if let (Some(id), Some(fields)) = (options.id, event.as_object_mut()) {
                fields.insert("id".to_owned(), Value::from(id));
            }
            event
        }
    };
    let receipt = client.post("/v1/events", &body).await?;
    if printer.json {
        printer.raw(&receipt);
    } else {
        let entries = receipt.as_array().cloned().unwrap_or_else(|| vec![receipt.clone()]);
        for entry in &entries {
            println!("{}  {}", cell(&entry["id"]), cell(&entry["status"]));
        }
    }
    Ok(())
}

/// The explanation as an outline; whatever the server adds later is shown too.
fn explain(event: &Value) {
    outline("", event, 0);
}

fn outline(name: &str, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Null => {}
        Value::Object(fields) => {
            if !name.is_empty() {
                println!("{indent}{name}");
            }
            let inner = depth + usize::from(!name.is_empty());
            fields.iter().for_each(|(key, field)| outline(key, field, inner));
        }
        Value::Array(items) if items.iter().any(|item| item.is_object()) => {
            for (index, item) in items.iter().enumerate() {
                outline(&format!("{name} {}", index + 1), item, depth);
            }
        }
        Value::Array(items) if items.is_empty() => {}
        Value::Array(items) => {
            let texts: Vec<String> = items.iter().map(cell).collect();
            println!("{indent}{name}  {}", texts.join(", "));
        }
        scalar => println!("{indent}{name}  {}", cell(scalar)),
    }
}

/// One line per result until the connection ends or the user interrupts.
async fn tail(tenant: Option<Name>, client: &Client, printer: Printer) -> Result<()> {
    let path = match tenant {
        Some(tenant) => format!("/v1/stream?tenant={tenant}"),
        None => "/v1/stream".to_owned(),
    };
    let mut body = client.stream(&path).await?.bytes_stream();
    let mut rest = Vec::new();
    while let Some(chunk) = body.next().await {
        rest.extend_from_slice(&chunk?);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            let Some(data) = line.strip_prefix(b"data:") else { continue };
            let Ok(event) = serde_json::from_slice::<Value>(data) else { continue };
            if printer.json {
                println!("{event}");
            } else {
                let told = [at(&event, "time"), at(&event, "tenant"), at(&event, "detail.function")].map(cell);
                let end = at(&event, "detail.result");
                let end = if end.is_null() { at(&event, "detail.error.errorMessage") } else { end };
                println!("{}  {}  {}", told.join("  "), cell(at(&event, "detail-type")), cell(end));
            }
        }
    }
    Ok(())
}
