//! `sublet function`: what a tenant has, and how it is configured. Code goes up with `sublet deploy`.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use sublet_model::{Name, Runtime, Size, unit::Millis};

use super::{PageArgs, StopArgs, TenantArg, egress_list, ended, is_not_found};
use crate::client::{Client, ClientError};
use crate::print::Printer;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make a function, or change its configuration for the next version
    Put {
        name: Name,
        #[command(flatten)]
        tenant: TenantArg,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Show one function
    Get {
        name: Name,
        #[command(flatten)]
        tenant: TenantArg,
    },
    /// List a tenant's functions
    List {
        #[command(flatten)]
        tenant: TenantArg,
        #[command(flatten)]
        page: PageArgs,
    },
    /// List a function's versions, newest first
    Versions {
        name: Name,
        #[command(flatten)]
        tenant: TenantArg,
        #[command(flatten)]
        page: PageArgs,
    },
    /// Let nothing of it start and end what runs now; what waits goes on waiting
    Stop {
        name: Name,
        #[command(flatten)]
        tenant: TenantArg,
        #[command(flatten)]
        stop: StopArgs,
    },
    /// Lift a stop
    Start {
        name: Name,
        #[command(flatten)]
        tenant: TenantArg,
    },
    /// Release it from quarantine
    Release {
        name: Name,
        #[command(flatten)]
        tenant: TenantArg,
    },
    /// Delete a function with its versions
    Delete {
        name: Name,
        #[command(flatten)]
        tenant: TenantArg,
    },
}

/// The configuration's fields; what is left out stays as it is, or is the default of a new function.
#[derive(Debug, Default, Args)]
pub(crate) struct ConfigArgs {
    /// `javascript` or `wasm`
    #[arg(long)]
    pub(crate) runtime: Option<Runtime>,
    /// `file.export`
    #[arg(long)]
    handler: Option<String>,
    /// Wall deadline of an attempt, such as 3s
    #[arg(long)]
    timeout: Option<Millis>,
    /// CPU time of an attempt, such as 500ms
    #[arg(long)]
    cpu: Option<Millis>,
    /// Memory of an attempt, such as 128MiB
    #[arg(long)]
    memory: Option<Size>,
    /// `NAME=VALUE` for process.env; repeatable, replaces all
    #[arg(long = "env")]
    environment: Vec<String>,
    /// `NAME=SECRET` for process.env: a secret's value, or with `NAME=SECRET@HOST,HOST` a placeholder that is replaced
    /// towards those hosts alone; repeatable, replaces all
    #[arg(long = "secret")]
    secrets: Vec<String>,
    /// A layer to import from; repeatable, replaces all
    #[arg(long = "layer")]
    layers: Vec<Name>,
    /// Where its code may send requests, such as https://api.example.com/v1/ or *.example.com; repeatable, replaces all;
    /// `none` for nowhere
    #[arg(long)]
    egress: Vec<String>,
}

impl ConfigArgs {
    /// Those that were given, as the API has them.
    pub(crate) fn given(&self) -> Result<Map<String, Value>> {
        let mut given = Map::new();
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                given.insert(name.to_owned(), value);
            }
        };
        set("runtime", self.runtime.map(|r| json!(r)));
        set("handler", self.handler.as_ref().map(|h| json!(h)));
        set("timeout", self.timeout.map(|t| json!(t)));
        set("cpu", self.cpu.map(|t| json!(t)));
        set("memory", self.memory.map(|m| json!(m)));
        set("layers", (!self.layers.is_empty()).then(|| json!(self.layers)));
        set("egress", egress_list(&self.egress));
        if !self.environment.is_empty() {
            let mut variables = Map::new();
            for text in &self.environment {
                let wrong = || ClientError::Usage(format!("--env {text}: want NAME=VALUE"));
                let (name, value) = text.split_once('=').ok_or_else(wrong)?;
                variables.insert(name.to_owned(), json!(value));
            }
            set("environment", Some(Value::Object(variables)));
        }
        if !self.secrets.is_empty() {
            let uses: Result<Map<String, Value>> = self.secrets.iter().map(|text| secret_use(text)).collect();
            set("secrets", Some(Value::Object(uses?)));
        }
        Ok(given)
    }
}

/// The variable, and what it holds.
fn secret_use(text: &str) -> Result<(String, Value)> {
    let wrong = || ClientError::Usage(format!("--secret {text}: want NAME=SECRET or NAME=SECRET@HOST,HOST"));
    let (variable, used) = text.split_once('=').ok_or_else(wrong)?;
    Ok(match used.split_once('@') {
        None => (variable.to_owned(), json!({"secret": used})),
        Some((secret, hosts)) => {
            (variable.to_owned(), json!({"secret": secret, "hosts": hosts.split(',').collect::<Vec<_>>()}))
        }
    })
}

/// Makes the function if it is not there, and changes only what was given if it is. Answers whether it was made.
pub(crate) async fn put(
    client: &Client,
    tenant: &Name,
    name: &Name,
    given: Map<String, Value>,
) -> Result<(Value, bool)> {
    let path = format!("/v1/tenants/{tenant}/functions/{name}");
    let existing = match client.get(&path).await {
        Ok(function) => Some(function),
        Err(error) if is_not_found(&error) => None,
        Err(error) => return Err(error),
    };
    let made = existing.is_none();
    if let Some(function) = &existing
        && given.is_empty()
    {
        return Ok((function.clone(), false));
    }
    let mut body = existing.as_ref().and_then(Value::as_object).cloned().unwrap_or_default();
    // What the server adds to the configuration in its answer.
    for told in ["id", "tenant", "name", "live", "quarantined", "stopped", "created"] {
        body.remove(told);
    }
    body.extend(given);
    Ok((client.put(&path, &Value::Object(body)).await?, made))
}

const FIELDS: &[(&str, &str)] = &[
    ("name", "name"),
    ("id", "id"),
    ("live version", "live"),
    ("runtime", "runtime"),
    ("handler", "handler"),
    ("timeout", "timeout"),
    ("cpu", "cpu"),
    ("memory", "memory"),
    ("layers", "layers"),
    ("environment", "environment"),
    ("secrets", "secrets"),
    ("egress", "egress"),
    ("stopped", "stopped.reason"),
    ("stopped by", "stopped.by"),
    ("stopped at", "stopped.at"),
    ("quarantined", "quarantined.reason"),
    ("first invocation", "quarantined.first_invocation"),
    ("last invocation", "quarantined.last_invocation"),
    ("quarantined at", "quarantined.at"),
    ("created", "created"),
];

pub(crate) async fn run(command: Command, client: &Client, printer: Printer) -> Result<ExitCode> {
    match command {
        Command::Put { name, tenant, config } => {
            let (function, _) = put(client, &tenant.tenant, &name, config.given()?).await?;
            printer.record(&function, FIELDS);
        }
        Command::Get { name, tenant } => {
            let function = client.get(&format!("/v1/tenants/{}/functions/{name}", tenant.tenant)).await?;
            printer.record(&function, FIELDS);
        }
        Command::List { tenant, page } => {
            let path = format!("/v1/tenants/{}/functions", tenant.tenant);
            let columns = [
                ("name", "name"),
                ("live", "live"),
                ("handler", "handler"),
                ("timeout", "timeout"),
                ("memory", "memory"),
                ("stopped", "stopped.reason"),
                ("quarantined", "quarantined.reason"),
            ];
            printer.listing(&client.list(&path, &page.query()).await?, &columns);
        }
        Command::Versions { name, tenant, page } => {
            let path = format!("/v1/tenants/{}/functions/{name}/versions", tenant.tenant);
            let columns = [
                ("version", "version"),
                ("live", "live"),
                ("created", "created"),
                ("bytes", "package_bytes"),
                ("package", "package_sha256"),
            ];
            printer.listing(&client.list(&path, &page.query()).await?, &columns);
        }
        Command::Stop { name, tenant, stop } => {
            let path = format!("/v1/tenants/{}/functions/{name}/stop", tenant.tenant);
            let answer = stop.post(client, &path).await?;
            printer.done(&answer, &format!("function {name} is stopped; {}", ended(&answer)));
        }
        Command::Start { name, tenant } => {
            let path = format!("/v1/tenants/{}/functions/{name}/start", tenant.tenant);
            let answer = client.post(&path, &json!({})).await?;
            printer.done(&answer, &format!("function {name} goes on"));
        }
        Command::Release { name, tenant } => {
            let path = format!("/v1/tenants/{}/functions/{name}/release", tenant.tenant);
            let answer = client.post(&path, &json!({})).await?;
            printer.done(&answer, &format!("function {name} is released; its dead letters may be redriven"));
        }
        Command::Delete { name, tenant } => {
            let answer = client.delete(&format!("/v1/tenants/{}/functions/{name}", tenant.tenant)).await?;
            printer.done(&answer, &format!("function {name} is deleted"));
        }
    }
    Ok(ExitCode::SUCCESS)
}
