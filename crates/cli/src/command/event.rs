//! `sublet event`: publish, look up, explain, follow.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use futures::StreamExt;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sublet_model::Name;
use sublet_model::limit::EVENTS_PER_BATCH_MAX;

use super::{PageArgs, json_argument, text_argument};
use crate::client::{Client, ClientError};
use crate::print::{Printer, at, cell};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Publish one event or many
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
    /// The whole event, an array, or one event a line: JSON, @file or - for standard input
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
    /// What is published are CloudEvents as JSON; --tenant names the tenant of those that do not
    #[arg(long, requires = "event")]
    cloudevents: bool,
}

pub(crate) async fn run(command: Command, client: &Client, printer: Printer) -> Result<ExitCode> {
    match command {
        Command::Publish(options) => return publish(options, client, printer).await,
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

async fn publish(options: PublishOptions, client: &Client, printer: Printer) -> Result<ExitCode> {
    let events = match &options.event {
        Some(text) => events_in(&text_argument("the event", text)?)?,
        None => {
            let mut event = json!({
                "source": options.source,
                "detail-type": options.detail_type,
                "tenant": options.tenant,
                "detail": json_argument("--detail", &options.detail)?,
            });
            if let (Some(id), Some(fields)) = (&options.id, event.as_object_mut()) {
                fields.insert("id".to_owned(), Value::from(id.as_str()));
            }
            Events::One(serde_json::value::to_raw_value(&event)?)
        }
    };
    let tenant = options.tenant.as_ref().filter(|_| options.cloudevents).map(Name::as_str);
    let send = async |kind: &str, body: String| client.publish(kind, tenant, body).await;
    let (one, many) = match options.cloudevents {
        true => ("application/cloudevents+json", "application/cloudevents-batch+json"),
        false => ("application/json", "application/json"),
    };
    let receipt = match events {
        Events::One(event) => send(one, event.get().to_owned()).await?,
        Events::Many(events) => {
            let mut entries = Vec::with_capacity(events.len());
            // In order, one request after the other.
            for part in events.chunks(EVENTS_PER_BATCH_MAX) {
                let texts: Vec<&str> = part.iter().map(|event| event.get()).collect();
                let answer = send(many, format!("[{}]", texts.join(","))).await?;
                entries.extend(answer.as_array().cloned().unwrap_or_default());
            }
            Value::Array(entries)
        }
    };
    let entries = receipt.as_array().cloned().unwrap_or_else(|| vec![receipt.clone()]);
    if printer.json {
        printer.raw(&receipt);
    } else {
        for entry in &entries {
            match entry.get("error") {
                Some(error) => println!("refused  {}: {}", cell(&error["field"]), cell(&error["detail"])),
                None => println!("{}  {}", cell(&entry["id"]), cell(&entry["status"])),
            }
        }
    }
    let is_refused = entries.iter().any(|entry| entry.get("error").is_some());
    Ok(if is_refused { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Kept as the text they were written in, so that no number changes its spelling.
#[derive(Debug)]
enum Events {
    One(Box<RawValue>),
    Many(Vec<Box<RawValue>>),
}

/// One JSON object, an array of them, or one a line.
fn events_in(text: &str) -> Result<Events> {
    let not_json = |error: serde_json::Error| ClientError::Usage(format!("the event is not JSON: {error}"));
    if text.trim_start().starts_with('[') {
        return Ok(Events::Many(serde_json::from_str(text).map_err(not_json)?));
    }
    match serde_json::from_str(text) {
        Ok(one) => Ok(Events::One(one)),
        Err(error) => {
            let lines = text.lines().filter(|line| !line.trim().is_empty());
            let many: Result<Vec<Box<RawValue>>, _> = lines.map(serde_json::from_str).collect();
            // What is no JSON by lines either is told of as a whole.
            many.ok().filter(|many| many.len() > 1).map(Events::Many).ok_or_else(|| not_json(error).into())
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_alone_as_an_array_or_one_a_line() {
        assert!(matches!(events_in(" {\"a\": 1}\n").unwrap(), Events::One(_)));
        assert!(matches!(events_in("[{}, {}]").unwrap(), Events::Many(many) if many.len() == 2));
        let Events::Many(lines) = events_in("{\"n\": 1.50}\n\n{\"n\": 2}\n").unwrap() else { panic!("lines are many") };
        assert_eq!(lines[0].get(), "{\"n\": 1.50}");
        for bad in ["{not json", "{}\n{", "[{}"] {
            assert!(events_in(bad).is_err(), "{bad}");
        }
    }
}
