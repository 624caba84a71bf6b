//! `sublet key`: keys for operators and tenants. A secret is shown once, when it is made.

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use serde_json::{Value, json};
use sublet_model::Name;

use crate::client::Client;
use crate::print::Printer;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make a key; its secret is shown once
    Create {
        /// The tenant it opens; an operator key when left out
        #[arg(long, short)]
        tenant: Option<Name>,
        /// What it is for
        #[arg(long, default_value = "")]
        label: String,
        /// What it may do: admin, read, publish (an operator's), deploy (a tenant's)
        #[arg(long, default_value = "admin")]
        role: String,
        /// When it ends: a span such as 90d, or a time (RFC 3339); never when left out
        #[arg(long)]
        expires: Option<String>,
        /// Requests a second in the long run; as many as it likes when left out
        #[arg(long)]
        rate: Option<u32>,
        /// Requests at once; a second's when left out
        #[arg(long, requires = "rate")]
        burst: Option<u32>,
    },
    /// List keys, without their secrets
    List {
        /// This tenant's; the operator's when left out
        #[arg(long, short)]
        tenant: Option<Name>,
    },
    /// Show one key, without its secret
    Show { id: String },
    /// Give a key a new secret, shown once; the present one works on for a while
    Rotate {
        id: String,
        /// How long the present secret works on, at most 30d; 0s ends it at once
        #[arg(long, default_value = "24h")]
        overlap: String,
    },
    /// Make a key worthless at once
    #[command(visible_alias = "revoke")]
    Delete { id: String },
}

pub(crate) async fn run(command: Command, client: &Client, printer: Printer) -> Result<ExitCode> {
    match command {
        Command::Create { tenant, label, role, expires, rate, burst } => {
            let rate = rate.map(|per_second| json!({"per_second": per_second, "burst": burst.unwrap_or(per_second)}));
            let body = json!({"tenant": tenant, "label": label, "role": role, "expires": expires, "rate": rate});
            show_secret(&client.post("/v1/keys", &body).await?, printer);
        }
        Command::List { tenant } => {
            let listing = client.list("/v1/keys", &[("tenant", tenant.map(|name| name.to_string()))]).await?;
            let columns = [
                ("id", "id"),
                ("scope", "scope"),
                ("tenant", "tenant"),
                ("role", "role"),
                ("label", "label"),
                ("created", "created"),
                ("expires", "expires"),
                ("last use", "last_use.at"),
                ("from", "last_use.from"),
            ];
            printer.listing(&listing, &columns);
        }
        Command::Show { id } => {
            let key = client.get(&format!("/v1/keys/{id}")).await?;
            printer.record(&key, FIELDS);
        }
        Command::Rotate { id, overlap } => {
            show_secret(&client.post(&format!("/v1/keys/{id}/rotate"), &json!({"overlap": overlap})).await?, printer);
        }
        Command::Delete { id } => {
            let answer = client.delete(&format!("/v1/keys/{id}")).await?;
            printer.done(&answer, &format!("{id} is deleted"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

const FIELDS: &[(&str, &str)] = &[
    ("id", "id"),
    ("scope", "scope"),
    ("tenant", "tenant"),
    ("role", "role"),
    ("label", "label"),
    ("created", "created"),
    ("made by", "made_by"),
    ("expires", "expires"),
    ("expired", "expired"),
    ("per second", "rate.per_second"),
    ("burst", "rate.burst"),
    ("former secret until", "former_until"),
    ("last use", "last_use.at"),
    ("from", "last_use.from"),
];

fn show_secret(key: &Value, printer: Printer) {
    let fields = [
        ("key", "secret"),
        ("id", "id"),
        ("scope", "scope"),
        ("tenant", "tenant"),
        ("role", "role"),
        ("expires", "expires"),
        ("former secret until", "former_until"),
    ];
    printer.record(key, &fields);
    if !printer.json {
        eprintln!("this key is not shown again");
    }
}
