//! `sublet serve`: the server, from the first line of its configuration to the last settled attempt.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sublet_model::{Clock, SystemClock};
use sublet_server::{AppState, ServerConfig, Tls, ensure_operator_key};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::Config;
use crate::node::Node;
use crate::notify;
use crate::operator_key;
use crate::telemetry::{self, otlp};

/// What a second signal ends the process with: the shell's number for SIGTERM.
const EXIT_AT_ONCE: i32 = 143;

#[derive(Args)]
pub(crate) struct Options {
    /// A configuration file; `sublet serve --print-config` prints every key with its default
    #[arg(long, env = "SUBLET_CONFIG")]
    config: Option<PathBuf>,
    /// Where everything is kept
    #[arg(long, env = "SUBLET_DATA")]
    data: Option<PathBuf>,
    /// Address and port of the API; port 0 takes a free one
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Run tenants' code without the operating system's confinement. Never in production
    #[arg(long)]
    insecure_no_jail: bool,
    /// Serve plain HTTP on an address that others can reach. Only on a network that is nobody else's
    #[arg(long)]
    insecure_plain_http: bool,
    /// Print the commented default configuration and end
    #[arg(long)]
    print_config: bool,
}

pub(crate) async fn run(options: Options) -> Result<ExitCode> {
    if options.print_config {
        print!("{}", crate::config::DEFAULT);
        return Ok(ExitCode::SUCCESS);
    }
    let config = configure(options)?;
    telemetry::log::start(&config.log)?;
    // Before the exporter counts what it drops.
    sublet_server::install_metrics();
    let mut exporter = match otlp::Setting::from_process(&config.telemetry)? {
        Some(setting) => Some(otlp::Exporter::start(setting)?),
        None => None,
    };
    let mut signals = Signals::new()?;
    raise_open_files();

    config.server.check_exposure()?;
    let tls = config.server.tls_files()?.map(Tls::open).transpose()?;
    let given = operator_key::given()?;
    // Before anything is opened: a port that is taken should be said at once.
    let listen = config.server.listen;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let address = listener.local_addr()?;
    let metrics = match config.metrics.listen()? {
        Some(apart) => Some(TcpListener::bind(apart).await.with_context(|| format!("cannot listen on {apart}"))?),
        None => None,
    };
    if !address.ip().is_loopback() && tls.is_none() {
        tracing::warn!("listening on {address} without TLS");
    }
    let tracing = exporter.as_ref().map(otlp::Exporter::tracing).unwrap_or_default();
    let node = Node::start(&config, tracing).await?;
    let made = ensure_operator_key(node.store.as_ref(), given.as_deref(), SystemClock.now()).await?;
    if let Some(key) = made {
        println!("operator key (shown once, keep it): {}", key.reveal());
    }
    // The line that whoever started this waits for.
    let scheme = if tls.is_some() { "https" } else { "http" };
    println!("listening on {scheme}://{address}");
    notify::tell(notify::READY);

    reload_on_hangup(tls.clone())?;
    let server = ServerConfig {
        prices: config.prices.clone(),
        trusted_proxies: config.server.trusted_proxies()?,
        tls,
        metrics_apart: metrics.is_some(),
        ..ServerConfig::default()
    };
    let state = AppState::new(node.engine.clone(), server);
    if let Some(exporter) = &mut exporter {
        exporter.watch(state.clone());
    }
    if let Some(listener) = metrics {
        tracing::info!("metrics on http://{}", listener.local_addr()?);
        tokio::spawn(sublet_server::serve_metrics(listener, state.clone()));
    }
    let stop = async move {
        signals.next().await;
        notify::tell(notify::STOPPING);
        tracing::info!("ending: letting what runs finish; a second signal ends at once");
        tokio::spawn(async move {
            signals.next().await;
            std::process::exit(EXIT_AT_ONCE);
        });
    };
    sublet_server::serve(listener, state, stop).await?;
    let drained = node.drain(config.server.drain.duration()).await;
    // Last, so that it carries what the drain settled.
    if let Some(exporter) = exporter {
        exporter.finish().await;
    }
    drained?;
    tracing::info!("ended");
    Ok(ExitCode::SUCCESS)
}

/// SIGHUP, as servers do; the files are looked at every few seconds anyway. Without TLS there is nothing to read again, and
/// a service manager's `reload` must not end the process, as that signal would.
fn reload_on_hangup(tls: Option<Tls>) -> Result<()> {
    let mut hangups = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            tls.iter().for_each(Tls::look);
        }
    });
    Ok(())
}

/// Every connection and every loaded image is a descriptor; the usual soft limit of 1,024 is too few.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!("the limit of open files stays at {:?}: {error}", limit.current);
    }
}

fn configure(options: Options) -> Result<Config> {
    let mut config = Config::load(options.config.as_deref())?;
    if let Some(data) = options.data {
        config.store.data = data;
    }
    if let Some(listen) = options.listen {
        config.server.listen = listen;
    }
    config.server.insecure_plain_http |= options.insecure_plain_http;
    config.sandbox.insecure_no_jail |= options.insecure_no_jail;
    Ok(config)
}

/// SIGTERM and SIGINT, in the order they come.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Signals> {
        Ok(Signals { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
