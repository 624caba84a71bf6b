//! `sublet deploy`: from a file, a folder or a .zip to a live version.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, anyhow};
use clap::Args;
use serde_json::{Map, Value, json};
use sublet_model::{Name, Runtime};

use super::function::{self, ConfigArgs};
use super::is_not_found;
use crate::client::{Client, ClientError};
use crate::files::{self, Package};
use crate::print::{Printer, cell};
use crate::progress::{Progress, size};
use crate::project::{SETTINGS_FILES, Settings, gather};

/// The handler of a function that says nothing of it.
const HANDLER: &str = "index.handler";

#[derive(Args)]
pub(crate) struct Options {
    /// A folder, or a .js, .mjs, .cjs, .ts, .mts, .cts, .wasm or .zip file
    #[arg(default_value = ".")]
    path: PathBuf,
    /// The tenant's name; otherwise as sublet.toml says
    #[arg(long, short, env = "SUBLET_TENANT")]
    tenant: Option<Name>,
    /// The function's name, made if it is not there; otherwise as sublet.toml says
    #[arg(long, short, env = "SUBLET_FUNCTION")]
    function: Option<Name>,
    /// Make the version, and leave the live one as it is
    #[arg(long)]
    no_publish: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

pub(crate) async fn run(options: Options, client: &Client, printer: Printer) -> Result<ExitCode> {
    let started = Instant::now();
    let progress = Progress::new();
    let is_folder = options.path.is_dir();
    let settings = if is_folder { Settings::of(&options.path)? } else { Settings::default() };
    let tenant = &named("tenant", options.tenant, settings.tenant)?;
    let name = &named("function", options.function, settings.name)?;
    let mut config = settings.config;
    config.extend(options.config.given()?);

    let handler = handler(client, tenant, name, &config).await?;
    let package = if is_folder {
        let gathered = gather(&options.path, &handler)?;
        if gathered.handler != handler {
            config.insert("handler".to_owned(), json!(gathered.handler));
        }
        let others = match gathered.from_packages {
            0 => String::new(),
            count => format!(", {count} of them from packages"),
        };
        let package = files::zipped(gathered.files, &options.path)?;
        progress.step(&format!("collected {} file(s){others}: {}", package.files, size(package.bytes.len())));
        package
    } else {
        files::single(&options.path, handler.rsplit_once('.').map_or("index", |(module, _)| module))?
    };

    if package.content_type == files::MODULE {
        config.entry("runtime").or_insert_with(|| json!(Runtime::Wasm));
    }
    let (_, made) = function::put(client, tenant, name, config).await?;
    if made {
        progress.step(&format!("made function {name} of {tenant}"));
    }
    let publish = if options.no_publish { "?publish=false" } else { "" };
    let path = format!("/v1/tenants/{tenant}/functions/{name}/versions{publish}");
    let version = upload(client, &path, package, &progress).await?;
    let number = cell(&version["version"]);
    let sentence = if options.no_publish {
        format!("version {number} of {name} is there; make it live with: sublet rollback {name} --to {number}")
    } else {
        format!("version {number} of {name} is live after {} ms", started.elapsed().as_millis())
    };
    printer.done(&json!(version), &sentence);
    Ok(ExitCode::SUCCESS)
}

/// What the command line says, else the folder.
fn named(what: &str, given: Option<Name>, set: Option<Name>) -> Result<Name> {
    given.or(set).ok_or_else(|| {
        let field = if what == "function" { "name" } else { what };
        let files = SETTINGS_FILES[0];
        ClientError::Usage(format!("which {what}? Name it with --{what}, or as `{field}` in the folder's {files}"))
            .into()
    })
}

/// What the folder or the command line says, else what the function has.
async fn handler(client: &Client, tenant: &Name, name: &Name, config: &Map<String, Value>) -> Result<String> {
    if let Some(handler) = config.get("handler") {
        return handler.as_str().map(str::to_owned).ok_or_else(|| anyhow!("`handler` must be a text"));
    }
    match client.get(&format!("/v1/tenants/{tenant}/functions/{name}")).await {
        Ok(function) => Ok(function["handler"].as_str().unwrap_or(HANDLER).to_owned()),
        Err(error) if is_not_found(&error) => Ok(HANDLER.to_owned()),
        Err(error) => Err(error),
    }
}

async fn upload(client: &Client, path: &str, package: Package, progress: &Progress) -> Result<Value> {
    let all = package.bytes.len();
    progress.step(&format!("uploading {}", size(all)));
    let report = Progress::new();
    let told = move |bytes| {
        report.uploaded(bytes, all);
        if bytes >= all {
            report.step("building");
        }
    };
    client.upload_told(path, package.content_type, package.bytes, told).await
}
