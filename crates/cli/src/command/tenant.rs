//! `sublet tenant`: who there is, and what each may use.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use sublet_model::{Isolation, Name};

use super::{PageArgs, StopArgs, egress_list, ended};
use crate::client::Client;
use crate::print::Printer;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Register a tenant, or change its quota
    Put {
        name: Name,
        #[command(flatten)]
        quota: QuotaArgs,
        /// Where its functions may send requests at most, such as https://api.example.com/v1/, *.example.com or *; repeatable,
        /// replaces all; `none` for nowhere
        #[arg(long)]
        egress: Vec<String>,
        /// Which worker processes it runs in: `shared` with others, or `dedicated`, its own. Also takes back that it was moved
        #[arg(long)]
        isolation: Option<Isolation>,
        /// A layer that wraps all its functions; repeatable, replaces all
        #[arg(long = "wrapper")]
        wrappers: Vec<Name>,
    },
    /// Show one tenant
    Get { name: Name },
    /// List tenants
    List(PageArgs),
    /// Suspend it for a reason, and end what runs of it now
    Stop {
        name: Name,
        #[command(flatten)]
        stop: StopArgs,
    },
    /// Let it go on after a stop or a suspension
    Start { name: Name },
    /// Record its events as rejected and start nothing of it; what runs may end
    Suspend { name: Name },
    /// Take a suspension back
    Resume { name: Name },
    /// Cancel its queue and erase its code, events and logs; the ledger's sums stay
    Delete {
        name: Name,
        /// Yes, erase it
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct QuotaArgs {
    /// Attempts at once that are guaranteed
    #[arg(long)]
    floor: Option<u32>,
    /// Attempts at once at the most
    #[arg(long)]
    ceiling: Option<u32>,
    /// Share of what is left, relative to other tenants' (100 is usual)
    #[arg(long)]
    weight: Option<u32>,
    /// Waiting invocations at the most
    #[arg(long)]
    backlog: Option<u64>,
    /// Of the ceiling, how many synchronous invokes may hold
    #[arg(long)]
    invoke_slots: Option<u32>,
}

impl QuotaArgs {
    fn given(&self) -> Map<String, Value> {
        let all = [
            ("floor", self.floor.map(u64::from)),
            ("ceiling", self.ceiling.map(u64::from)),
            ("weight", self.weight.map(u64::from)),
            ("backlog", self.backlog),
            ("invoke_slots", self.invoke_slots.map(u64::from)),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), Value::from(value?)))).collect()
    }
}

const FIELDS: &[(&str, &str)] = &[
    ("name", "name"),
    ("id", "id"),
    ("status", "status"),
    ("stopped", "stopped.reason"),
    ("stopped at", "stopped.at"),
    ("wrappers", "wrappers"),
    ("floor", "quota.floor"),
    ("ceiling", "quota.ceiling"),
    ("weight", "quota.weight"),
    ("backlog", "quota.backlog"),
    ("invoke slots", "quota.invoke_slots"),
    ("egress", "egress"),
    ("isolation", "isolation"),
    ("moved because", "isolation_reason"),
    ("created", "created"),
];

pub(crate) async fn run(command: Command, client: &Client, printer: Printer) -> Result<ExitCode> {
    match command {
        Command::Put { name, quota, egress, isolation, wrappers } => {
            let given = [
                ("egress", egress_list(&egress)),
                ("isolation", isolation.map(|isolation| json!(isolation))),
                ("wrappers", (!wrappers.is_empty()).then(|| json!(wrappers))),
            ];
            let tenant = put(client, &name, quota.given(), given).await?;
            printer.record(&tenant, FIELDS);
        }
        Command::Get { name } => printer.record(&client.get(&format!("/v1/tenants/{name}")).await?, FIELDS),
        Command::List(page) => {
            let listing = client.list("/v1/tenants", &page.query()).await?;
            let columns = [
                ("name", "name"),
                ("status", "status"),
                ("ceiling", "quota.ceiling"),
                ("weight", "quota.weight"),
                ("isolation", "isolation"),
                ("stopped", "stopped.reason"),
            ];
            printer.listing(&listing, &columns);
        }
        Command::Stop { name, stop } => {
            let answer = stop.post(client, &format!("/v1/tenants/{name}/stop")).await?;
            printer.done(&answer, &format!("{name} is stopped; {}", ended(&answer)));
        }
        Command::Start { name } => {
            let answer = client.post(&format!("/v1/tenants/{name}/start"), &json!({})).await?;
            printer.done(&answer, &format!("{name} goes on"));
        }
        Command::Suspend { name } => set_status(client, printer, &name, "suspended").await?,
        Command::Resume { name } => set_status(client, printer, &name, "active").await?,
        Command::Delete { name, yes } => {
            anyhow::ensure!(yes, "this erases {name}'s code, events and logs for good; say --yes to go on");
            let answer = client.delete(&format!("/v1/tenants/{name}")).await?;
            printer.done(&answer, &format!("{name} is deleted"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes the tenant if it is not there; changes only what was given if it is.
async fn put(
    client: &Client,
    name: &Name,
    quota: Map<String, Value>,
    given: [(&str, Option<Value>); 3],
) -> Result<Value> {
    let path = format!("/v1/tenants/{name}");
    let mut body = json!({});
    if !quota.is_empty() {
        body["quota"] = quota.into();
    }
    for (field, value) in given {
        if let Some(value) = value {
            body[field] = value;
        }
    }
    match client.get(&path).await {
        Ok(_) => client.patch(&path, &body).await,
        Err(error) if super::is_not_found(&error) => client.put(&path, &body).await,
        Err(error) => Err(error),
    }
}

async fn set_status(client: &Client, printer: Printer, name: &Name, status: &str) -> Result<()> {
    let answer = client.patch(&format!("/v1/tenants/{name}"), &json!({"status": status})).await?;
    printer.done(&answer, &format!("{name} is {status}"));
    Ok(())
}
