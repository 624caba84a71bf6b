//! `sublet dlq`: what failed for good, and putting it back.

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use serde_json::json;

use super::{PageArgs, TenantArg};
use crate::client::{Client, ClientError};
use crate::print::{Printer, cell};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List dead letters, newest first
    List {
        #[command(flatten)]
        tenant: TenantArg,
        #[command(flatten)]
        page: PageArgs,
    },
    /// Put dead letters back into the queue
    Redrive {
        /// Invocations; or --all
        ids: Vec<String>,
        /// Every dead letter of the tenant
        #[arg(long, conflicts_with = "ids")]
        all: bool,
        #[command(flatten)]
        tenant: TenantArg,
    },
}

pub(crate) async fn run(command: Command, client: &Client, printer: Printer) -> Result<ExitCode> {
    match command {
        Command::List { tenant, page } => {
            let path = format!("/v1/tenants/{}/dead-letters", tenant.tenant);
            let columns = [("id", "id"), ("function", "function"), ("reason", "reason"), ("ended", "ended")];
            printer.listing(&client.list(&path, &page.query()).await?, &columns);
        }
        Command::Redrive { ids, all, tenant } => {
            if ids.is_empty() && !all {
                return Err(ClientError::Usage("name invocations, or say --all".to_owned()).into());
            }
            let body = if all { json!({}) } else { json!({"ids": ids}) };
            let path = format!("/v1/tenants/{}/dead-letters/redrive", tenant.tenant);
            let answer = client.post(&path, &body).await?;
            printer.done(&answer, &format!("{} back in the queue", cell(&answer["count"])));
        }
    }
    Ok(ExitCode::SUCCESS)
}
