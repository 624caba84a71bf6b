//! `sublet key`: keys for operators and tenants. A key is shown once, when it is made.

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use serde_json::json;
use sublet_model::Name;

use crate::client::Client;
use crate::print::Printer;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make a key; it is shown once
    Create {
        /// The tenant it opens; an operator key when left out
        #[arg(long, short)]
        tenant: Option<Name>,
        /// What it is for
        #[arg(long, default_value = "")]
        label: String,
    },
    /// List keys, without their secrets
    List,
    /// Make a key worthless at once
    Revoke { id: String },
}

pub(crate) async fn run(command: Command, client: &Client, printer: Printer) -> Result<ExitCode> {
    match command {
        Command::Create { tenant, label } => {
            let key = client.post("/v1/keys", &json!({"tenant": tenant, "label": label})).await?;
            printer.record(&key, &[("key", "secret"), ("id", "id"), ("scope", "scope"), ("tenant", "tenant")]);
            if !printer.json {
                eprintln!("this key is not shown again");
            }
        }
        Command::List => {
            let listing = client.get("/v1/keys").await?;
            let columns =
                [("id", "id"), ("scope", "scope"), ("tenant", "tenant"), ("label", "label"), ("created", "created")];
            printer.listing(&listing, &columns);
        }
        Command::Revoke { id } => {
            let answer = client.delete(&format!("/v1/keys/{id}")).await?;
            printer.done(&answer, &format!("{id} is revoked"));
        }
    }
    Ok(ExitCode::SUCCESS)
}
