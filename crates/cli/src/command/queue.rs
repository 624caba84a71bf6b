//! `sublet queue`: named queues, for scripts and for looking. A service takes messages over HTTP.

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use serde_json::{Map, Value, json};
use sublet_model::Name;

use super::PageArgs;
use crate::client::{Client, ClientError};
use crate::print::{Printer, cell};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make a queue, or change what it is
    Put {
        name: Name,
        /// How long a message is kept, such as 4d
        #[arg(long)]
        retention: Option<String>,
        /// How often a message is handed out before it is a dead letter
        #[arg(long)]
        receives_max: Option<u32>,
        /// How long a consumer has to acknowledge, such as 30s
        #[arg(long)]
        lease: Option<String>,
        /// Messages that may wait or be in flight
        #[arg(long)]
        depth: Option<u64>,
    },
    /// List queues and how they stand
    List,
    /// Show one queue and how it stands
    Show { name: Name },
    /// Take messages, each under a lease
    Receive {
        name: Name,
        /// Messages at most
        #[arg(long, default_value_t = 1)]
        max: usize,
        /// How long to wait for the first, at most 20s
        #[arg(long, default_value = "0s")]
        wait: String,
        /// How long until they are given back
        #[arg(long)]
        lease: Option<String>,
        /// Acknowledge them at once, and print only what they carry, one line each
        #[arg(long)]
        ack: bool,
    },
    /// End messages: they are not handed out again
    Ack {
        name: Name,
        /// What receive gave
        #[arg(required = true)]
        leases: Vec<String>,
    },
    /// List dead letters, newest first
    Dlq {
        name: Name,
        #[command(flatten)]
        page: PageArgs,
    },
    /// Put dead letters back into their queue
    Redrive {
        name: Name,
        /// Messages; or --all
        ids: Vec<String>,
        /// Every dead letter of the queue
        #[arg(long, conflicts_with = "ids")]
        all: bool,
    },
    /// Erase dead letters
    Purge {
        name: Name,
        /// Messages; or --all
        ids: Vec<String>,
        /// Every dead letter of the queue
        #[arg(long, conflicts_with = "ids")]
        all: bool,
    },
    /// Delete a queue with every message in it
    Delete { name: Name },
}

pub(crate) async fn run(command: Command, client: &Client, printer: Printer) -> Result<ExitCode> {
    match command {
        Command::Put { name, retention, receives_max, lease, depth } => {
            let given = [
                ("retention", retention.map(Value::from)),
                ("receives_max", receives_max.map(Value::from)),
                ("lease", lease.map(Value::from)),
                ("depth", depth.map(Value::from)),
            ];
            let body: Map<String, Value> =
                given.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
            let queue = client.put(&format!("/v1/queues/{name}"), &Value::Object(body)).await?;
            show(printer, &queue);
        }
        Command::List => {
            let columns = [
                ("name", "name"),
                ("waiting", "stats.waiting"),
                ("in flight", "stats.in_flight"),
                ("dead", "stats.dead"),
                ("oldest s", "stats.oldest_age_s"),
            ];
            printer.listing(&client.get("/v1/queues").await?, &columns);
        }
        Command::Show { name } => show(printer, &client.get(&format!("/v1/queues/{name}")).await?),
        Command::Receive { name, max, wait, lease, ack } => {
            let mut body = json!({"max": max, "wait": wait});
            if let Some(lease) = lease {
                body["lease"] = lease.into();
            }
            let answer = client.post(&format!("/v1/queues/{name}/receive"), &body).await?;
            if !ack {
                printer.raw(&answer["items"]);
                return Ok(ExitCode::SUCCESS);
            }
            let items = answer["items"].as_array().cloned().unwrap_or_default();
            if !items.is_empty() {
                // Printed first: what is printed twice can be told apart, what was never printed is lost.
                items.iter().for_each(|item| println!("{}", item["body"]));
                let leases: Vec<&Value> = items.iter().map(|item| &item["lease"]).collect();
                return acked(&client.post(&format!("/v1/queues/{name}/ack"), &json!({"leases": leases})).await?);
            }
        }
        Command::Ack { name, leases } => {
            let answer = client.post(&format!("/v1/queues/{name}/ack"), &json!({"leases": leases})).await?;
            if printer.json {
                printer.raw(&answer);
            }
            return acked(&answer);
        }
        Command::Dlq { name, page } => {
            let listing = client.list(&format!("/v1/queues/{name}/dead-letters"), &page.query()).await?;
            let columns = [("id", "id"), ("event", "event_id"), ("receives", "receives"), ("died", "died")];
            printer.listing(&listing, &columns);
        }
        Command::Redrive { name, ids, all } => {
            let path = format!("/v1/queues/{name}/dead-letters/redrive");
            let answer = client.post(&path, &selection(ids, all)?).await?;
            printer.done(&answer, &format!("{} back in the queue", cell(&answer["count"])));
        }
        Command::Purge { name, ids, all } => {
            let path = format!("/v1/queues/{name}/dead-letters");
            let answer = client.delete_with(&path, &selection(ids, all)?).await?;
            printer.done(&answer, &format!("{} erased", cell(&answer["count"])));
        }
        Command::Delete { name } => {
            let answer = client.delete(&format!("/v1/queues/{name}")).await?;
            printer.done(&answer, &format!("queue {name} is deleted"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show(printer: Printer, queue: &Value) {
    let fields = [
        ("name", "name"),
        ("retention", "retention"),
        ("receives max", "receives_max"),
        ("lease", "lease"),
        ("depth", "depth"),
        ("waiting", "stats.waiting"),
        ("in flight", "stats.in_flight"),
        ("dead", "stats.dead"),
        ("oldest s", "stats.oldest_age_s"),
    ];
    printer.record(queue, &fields);
}

fn selection(ids: Vec<String>, all: bool) -> Result<Value> {
    match (ids.is_empty(), all) {
        (true, false) => Err(ClientError::Usage("name messages, or say --all".to_owned()).into()),
        (true, true) => Ok(json!({"all": true})),
        (false, _) => Ok(json!({"ids": ids})),
    }
}

/// Says which leases were refused, if any.
fn acked(answer: &Value) -> Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    for item in answer["items"].as_array().into_iter().flatten().filter(|item| item["done"] != true) {
        eprintln!("{}: {}", cell(&item["lease"]), cell(&item["error"]["detail"]));
        code = ExitCode::FAILURE;
    }
    Ok(code)
}
