//! `sublet config`: what a configuration says, and whether a server could run by it on this machine. It starts nothing
//! and changes nothing.

use std::fs::Metadata;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use rustix::fs::{Access, access, statvfs};
use serde_json::json;
use sublet_model::{Millis, Size};
use sublet_server::Tls;
use toml::{Table, Value};
use tracing_subscriber::EnvFilter;

use crate::config::{self, Config};
use crate::print::Printer;
use crate::telemetry::otlp;

/// What a configuration that does not fit ends with: wrong input.
const EXIT_WRONG: u8 = 2;
/// Room below which the reserve cannot do what it is for: finish what was accepted.
const RESERVE_LEAST: Size = Size(64 << 20);
/// History that is kept longer than this takes a disk of its own measure.
const RETENTION_LONG: Millis = Millis(90 * 86_400_000);

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Say whether a server could run by a configuration on this machine: exit code 0, or 2 with what is wrong
    Check(Check),
    /// Print the commented default configuration: every key there is
    Default,
}

#[derive(Args)]
pub(crate) struct Check {
    /// A configuration file; without one, the defaults
    #[arg(long, env = "SUBLET_CONFIG")]
    config: Option<PathBuf>,
    /// Where everything is kept, as `sublet serve --data` says
    #[arg(long, env = "SUBLET_DATA")]
    data: Option<PathBuf>,
    /// Address and port of the API, as `sublet serve --listen` says
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Print every setting that would be in force
    #[arg(long)]
    show: bool,
}

/// What was found. Errors keep a server from starting, warnings keep an operator from sleeping.
#[derive(Debug, Default)]
struct Findings {
    errors: Vec<String>,
    warnings: Vec<String>,
}

pub(crate) fn run(command: Command, printer: Printer) -> Result<ExitCode> {
    let options = match command {
        Command::Default => {
            print!("{}", config::DEFAULT);
            return Ok(ExitCode::SUCCESS);
        }
        Command::Check(options) => options,
    };
    let mut findings = Findings::default();
    let mut shown = None;
    match load(&options) {
        Ok((config, effective)) => {
            check(&config, |name| std::env::var(name).ok(), &mut findings);
            shown = Some(effective);
        }
        Err(error) => findings.errors.push(format!("{error:#}")),
    }
    print_findings(&findings, shown.filter(|_| options.show), printer)?;
    Ok(if findings.errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_WRONG) })
}

/// What `sublet serve` would read, and the same as a table.
fn load(options: &Check) -> Result<(Config, Table)> {
    let mut config = Config::load(options.config.as_deref())?;
    let text = match &options.config {
        Some(file) => std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?,
        None => String::new(),
    };
    let mut effective = config::merged(&text)?;
    if let Some(data) = &options.data {
        put(&mut effective, "store", "data", data.display().to_string());
        config.store.data.clone_from(data);
    }
    if let Some(listen) = options.listen {
        put(&mut effective, "server", "listen", listen.to_string());
        config.server.listen = listen;
    }
    // Their values may be secrets.
    if let Some(Value::Table(headers)) = effective.get_mut("telemetry").and_then(|t| t.get_mut("otlp_headers")) {
        headers.iter_mut().for_each(|(_, value)| *value = Value::String("…".to_owned()));
    }
    Ok((config, effective))
}

fn put(table: &mut Table, section: &str, key: &str, value: String) {
    if let Some(Value::Table(inner)) = table.get_mut(section) {
        inner.insert(key.to_owned(), Value::String(value));
    }
}

fn print_findings(findings: &Findings, shown: Option<Table>, printer: Printer) -> Result<()> {
    let Findings { errors, warnings } = findings;
    if printer.json {
        printer.raw(&json!({"ok": errors.is_empty(), "errors": errors, "warnings": warnings, "settings": shown}));
        return Ok(());
    }
    if let Some(table) = shown {
        print!("{}", toml::to_string_pretty(&table)?);
        println!();
    }
    warnings.iter().for_each(|warning| println!("warning: {warning}"));
    errors.iter().for_each(|error| eprintln!("error: {error}"));
    if errors.is_empty() {
        println!("a server can run by this configuration");
    }
    Ok(())
}

/// Everything that can be said without starting anything.
fn check(config: &Config, env: impl Fn(&str) -> Option<String>, findings: &mut Findings) {
    check_listen(config, findings);
    check_data(&config.store.data, config.store.disk_reserve, findings);
    let log_filter =
        env("RUST_LOG").map_or_else(|| ("log.filter", config.log.filter.clone()), |text| ("RUST_LOG", text));
    if let Err(error) = EnvFilter::try_new(&log_filter.1) {
        findings.errors.push(format!("{} is not a filter: {error}", log_filter.0));
    }
    if let Err(error) = config.secrets.check(&env) {
        findings.errors.push(format!("{error:#}"));
    }
    match otlp::Setting::of(&config.telemetry, env) {
        Ok(Some(setting)) if setting.sample_ratio == 0.0 => {
            findings
                .warnings
                .push("telemetry.sample_ratio is 0: only traces that publishers began are recorded".to_owned());
        }
        Ok(_) => {}
        Err(error) => findings.errors.push(format!("{error:#}")),
    }
    if config.sandbox.insecure_no_jail {
        findings
            .warnings
            .push("sandbox.insecure_no_jail: tenants' code runs without the operating system's confinement".to_owned());
    }
    if !config.egress.insecure_allow.is_empty() {
        findings
            .warnings
            .push("egress.insecure_allow: tenants' code may reach addresses of this machine's own networks".to_owned());
    }
    if config.store.disk_reserve < RESERVE_LEAST {
        let given = config.store.disk_reserve;
        findings.warnings.push(format!(
            "store.disk_reserve of {given} may not do to finish what was accepted; {RESERVE_LEAST} is little"
        ));
    }
    if config.store.retention > RETENTION_LONG {
        let given = config.store.retention;
        findings.warnings.push(format!("store.retention of {given} keeps every event, result and log for that long"));
    }
    if config.server.drain.0 == 0 {
        findings.warnings.push("server.drain of 0 breaks off running attempts at every end; they run again".to_owned());
    }
}

fn check_listen(config: &Config, findings: &mut Findings) {
    check_address("server.listen", config.server.listen, findings);
    match config.metrics.listen() {
        Ok(Some(apart)) => check_address("metrics.listen", apart, findings),
        Ok(None) => {}
        Err(error) => findings.errors.push(format!("{error:#}")),
    }
    if let Err(error) = config.server.check_exposure() {
        findings.errors.push(format!("server.listen: {error:#}"));
    }
    // Reads both files, and whether the key is the certificate's.
    if let Err(error) = config.server.tls_files().and_then(|files| Ok(files.map(Tls::open).transpose()?)) {
        findings.errors.push(format!("server.tls: {error:#}"));
    }
    if config.server.insecure_plain_http {
        findings
            .warnings
            .push("server.insecure_plain_http: keys and events may cross the network for all to read".to_owned());
    }
}

fn check_address(key: &str, listen: SocketAddr, findings: &mut Findings) {
    if let Err(error) = std::net::TcpListener::bind(listen) {
        let text = format!("{key}: cannot listen on {listen}: {error}");
        // A server that runs by this very configuration would be the reason.
        let is_taken = error.kind() == std::io::ErrorKind::AddrInUse;
        if is_taken { &mut findings.warnings } else { &mut findings.errors }.push(text);
    }
}

fn check_data(data: &Path, reserve: Size, findings: &mut Findings) {
    // What is not there is made; then what counts is the nearest folder that is.
    let whole = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
    let Some((there, metadata)) = whole.ancestors().find_map(|folder| Some((folder, folder.metadata().ok()?))) else {
        findings.errors.push(format!("store.data: {} cannot be looked at", data.display()));
        return;
    };
    if !metadata.is_dir() {
        findings.errors.push(format!("store.data: {} is not a folder", there.display()));
        return;
    }
    if let Err(error) = access(there, Access::WRITE_OK | Access::EXEC_OK | Access::READ_OK) {
        findings.errors.push(format!("store.data: {} cannot be written: {error}", there.display()));
    }
    if there == whole && is_open_to_others(&metadata) {
        findings.warnings.push(format!("store.data: {} is open to others; the server makes it 0700", there.display()));
    }
    if let Ok(room) = statvfs(there) {
        let free = room.f_bavail.saturating_mul(room.f_frsize);
        if free < reserve.0 {
            findings.errors.push(format!(
                "store.disk_reserve is {reserve}, but {} has {} MiB free",
                there.display(),
                free >> 20
            ));
        }
    }
}

fn is_open_to_others(metadata: &Metadata) -> bool {
    metadata.mode() & 0o077 != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(toml: &str) -> Findings {
        let mut findings = Findings::default();
        check(&Config::parse(toml).unwrap(), |_| None, &mut findings);
        findings
    }

    #[test]
    fn what_keeps_a_server_from_starting_is_an_error_and_names_its_key() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let inside = file.path().join("data");
        // 192.0.2.0/24 belongs to nobody, so to no interface of this machine.
        for (toml, named) in [
            (format!("[store]\ndata = {:?}", inside.to_str().unwrap()), "store.data"),
            ("[server]\nlisten = \"192.0.2.1:7070\"".to_owned(), "server.listen"),
            ("[store]\ndisk_reserve = \"8000000GiB\"".to_owned(), "store.disk_reserve"),
            ("[server]\nlisten = \"0.0.0.0:0\"".to_owned(), "server.listen"),
            ("[server.tls]\ncertificate = \"/no/chain.pem\"\nkey = \"/no/key.pem\"".to_owned(), "server.tls"),
            ("[log]\nfilter = \"sublet=loud=er\"".to_owned(), "log.filter"),
            ("[secrets]\nkey_file = \"/no/such/key\"".to_owned(), "secrets.key_file"),
            ("[secrets]\nkey_env = \"NO_SUCH_VARIABLE\"".to_owned(), "secrets.key_env"),
            ("[telemetry]\notlp_endpoint = \"collector\"".to_owned(), "telemetry.otlp_endpoint"),
        ] {
            let findings = found(&toml);
            assert!(findings.errors.iter().any(|error| error.contains(named)), "{toml}: {findings:?}");
        }
    }

    #[test]
    fn what_is_dangerous_is_a_warning_and_names_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let data = format!("data = {:?}\n", folder.path().to_str().unwrap());
        for (toml, named) in [
            ("[server]\ninsecure_plain_http = true".to_owned(), "server.insecure_plain_http"),
            ("[sandbox]\ninsecure_no_jail = true".to_owned(), "sandbox.insecure_no_jail"),
            ("[egress]\ninsecure_allow = [\"127.0.0.1:80\"]".to_owned(), "egress.insecure_allow"),
            (format!("[store]\n{data}disk_reserve = \"1KiB\""), "store.disk_reserve"),
            (format!("[store]\n{data}retention = \"365d\""), "store.retention"),
            ("[server]\ndrain = \"0s\"".to_owned(), "server.drain"),
        ] {
            let findings = found(&toml);
            assert!(findings.warnings.iter().any(|warning| warning.contains(named)), "{toml}: {findings:?}");
        }
    }
}
