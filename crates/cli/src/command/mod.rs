//! One command, one file.

pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod delivery;
pub(crate) mod deploy;
pub(crate) mod dlq;
pub(crate) mod doctor;
pub(crate) mod event;
pub(crate) mod function;
pub(crate) mod health;
pub(crate) mod init;
pub(crate) mod invoke;
pub(crate) mod key;
pub(crate) mod layer;
pub(crate) mod logs;
pub(crate) mod man;
pub(crate) mod queue;
pub(crate) mod restore;
pub(crate) mod rollback;
pub(crate) mod rule;
pub(crate) mod secret;
pub(crate) mod serve;
pub(crate) mod tenant;
pub(crate) mod usage;
pub(crate) mod webhook;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use sublet_model::Name;

use crate::args::Common;
use crate::client::{Client, ClientError};

/// The commands that talk to a running server.
#[derive(Subcommand)]
pub(crate) enum ClientCommand {
    /// Register tenants and set their quotas
    #[command(subcommand)]
    Tenant(tenant::Command),
    /// Route events: patterns and their targets
    #[command(subcommand)]
    Rule(rule::Command),
    /// Publish events, and ask what became of them
    #[command(subcommand)]
    Event(event::Command),
    /// List and configure functions
    #[command(subcommand)]
    Function(function::Command),
    /// Upload code: a folder with its packages, a file or a .zip
    Deploy(deploy::Options),
    /// Make an earlier version live again
    Rollback(rollback::Options),
    /// Run a function now and print its answer
    Invoke(invoke::Options),
    /// Show what a tenant's functions wrote
    Logs(logs::Options),
    /// Show dead letters, and put them back into the queue
    #[command(subcommand)]
    Dlq(dlq::Command),
    /// Show what was used and what it costs
    Usage(usage::Options),
    /// Put, list and delete what functions use and nobody reads
    #[command(subcommand)]
    Secret(secret::Command),
    /// Make, rotate and delete keys
    #[command(subcommand)]
    Key(key::Command),
    /// See who changed what
    #[command(subcommand)]
    Audit(audit::Command),
    /// Name the addresses that results are sent to
    #[command(subcommand)]
    Webhook(webhook::Command),
    /// Show what was sent to webhooks, and send it anew
    #[command(subcommand)]
    Delivery(delivery::Command),
    /// Named queues: take what was put into them, look after what nobody took
    #[command(subcommand)]
    Queue(queue::Command),
    /// Publish common code for tenants' functions to import
    #[command(subcommand)]
    Layer(layer::Command),
    /// Say whether the server is ready for requests
    Health,
}

pub(crate) async fn run(command: ClientCommand, common: &Common) -> Result<ExitCode> {
    let (client, printer) = (common.client()?, common.printer());
    match command {
        ClientCommand::Tenant(command) => tenant::run(command, &client, printer).await,
        ClientCommand::Rule(command) => rule::run(command, &client, printer).await,
        ClientCommand::Event(command) => event::run(command, &client, printer).await,
        ClientCommand::Function(command) => function::run(command, &client, printer).await,
        ClientCommand::Deploy(options) => deploy::run(options, &client, printer).await,
        ClientCommand::Rollback(options) => rollback::run(options, &client, printer).await,
        ClientCommand::Invoke(options) => invoke::run(options, &client, printer).await,
        ClientCommand::Logs(options) => logs::run(options, &client, printer).await,
        ClientCommand::Dlq(command) => dlq::run(command, &client, printer).await,
        ClientCommand::Usage(options) => usage::run(options, &client, printer).await,
        ClientCommand::Secret(command) => secret::run(command, &client, printer).await,
        ClientCommand::Key(command) => key::run(command, &client, printer).await,
        ClientCommand::Audit(command) => audit::run(command, &client, printer).await,
        ClientCommand::Webhook(command) => webhook::run(command, &client, printer).await,
        ClientCommand::Delivery(command) => delivery::run(command, &client, printer).await,
        ClientCommand::Queue(command) => queue::run(command, &client, printer).await,
        ClientCommand::Layer(command) => layer::run(command, &client, printer).await,
        ClientCommand::Health => health::run(&client, printer).await,
    }
}

/// The tenant a command is about.
#[derive(Debug, Clone, Args)]
pub(crate) struct TenantArg {
    /// The tenant's name
    #[arg(long, short, env = "SUBLET_TENANT")]
    pub(crate) tenant: Name,
}

/// Why something is stopped, and what becomes of what runs.
#[derive(Debug, Clone, Args)]
pub(crate) struct StopArgs {
    /// Why; the tenant sees it
    #[arg(long)]
    reason: String,
    /// Cancel what runs now instead of putting it back into the queue
    #[arg(long)]
    cancel: bool,
}

impl StopArgs {
    pub(crate) async fn post(&self, client: &Client, path: &str) -> Result<Value> {
        let query = if self.cancel { "?cancel=true" } else { "" };
        client.post(&format!("{path}{query}"), &json!({"reason": self.reason})).await
    }
}

/// How many attempts a stop ended.
pub(crate) fn ended(answer: &Value) -> String {
    match answer["ended"].as_u64() {
        Some(1) => "1 attempt was ended".to_owned(),
        count => format!("{} attempts were ended", count.unwrap_or(0)),
    }
}

/// Which page of a listing.
#[derive(Debug, Clone, Args)]
pub(crate) struct PageArgs {
    /// Rows to show
    #[arg(long, default_value_t = 50)]
    limit: usize,
    /// Go on where an earlier page ended
    #[arg(long)]
    cursor: Option<String>,
}

impl PageArgs {
    pub(crate) fn query(&self) -> [(&'static str, Option<String>); 2] {
        [("limit", Some(self.limit.to_string())), ("cursor", self.cursor.clone())]
    }
}

/// `--egress` as the API takes it: the rules as they are, for the server to read; `none` alone for nowhere.
pub(crate) fn egress_list(given: &[String]) -> Option<Value> {
    match given {
        [] => None,
        [one] if one == "none" => Some(Value::Array(Vec::new())),
        rules => Some(Value::from(rules.to_vec())),
    }
}

/// Text given on the command line: itself, `@file`, or `-` for standard input.
pub(crate) fn text_argument(what: &str, text: &str) -> Result<String> {
    match text.strip_prefix('@') {
        Some(file) => std::fs::read_to_string(file).with_context(|| format!("{what}: cannot read {file}")),
        None if text == "-" => std::io::read_to_string(std::io::stdin()).context("cannot read standard input"),
        None => Ok(text.to_owned()),
    }
}

/// JSON given in one of those ways.
pub(crate) fn json_argument(what: &str, text: &str) -> Result<Value> {
    let given = text_argument(what, text)?;
    serde_json::from_str(&given).map_err(|error| ClientError::Usage(format!("{what} is not JSON: {error}")).into())
}

/// Whether a call failed because the thing is not there.
pub(crate) fn is_not_found(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(ClientError::Refused { status, .. }) if status.as_u16() == 404)
}
