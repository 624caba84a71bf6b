//! `sublet demo`: the to-do SaaS with three tenants on this machine, walked through the door every user takes: a
//! `sublet serve`, a product that speaks HTTP, and the command line. `--check` takes the walk by itself.

mod check;
mod extension;
mod guide;
mod secret;
mod setup;
mod sse;
mod todo_program;
mod world;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use world::Places;

const DATA: &str = "./.sublet-demo";

#[derive(Args)]
pub(crate) struct Options {
    /// Walk the whole path without a browser; exits with 0 only if every step held
    #[arg(long)]
    check: bool,
    /// Where the demo keeps its things [default: ./.sublet-demo, or a temporary folder with --check]
    #[arg(long)]
    data: Option<PathBuf>,
    /// Where Sublet listens [default: 127.0.0.1:7070, or a free port with --check]
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Where the to-do product listens [default: 127.0.0.1:7071, or a free port with --check]
    #[arg(long)]
    todo_listen: Option<SocketAddr>,
}

impl Options {
    fn places(&self, data: PathBuf) -> Result<Places> {
        let usual = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, if self.check { 0 } else { port }));
        let (listen, todo_listen) =
            (self.listen.unwrap_or_else(|| usual(7070)), self.todo_listen.unwrap_or_else(|| usual(7071)));
        Places { data, listen, todo_listen }.open()
    }
}

pub(crate) async fn run(options: Options) -> Result<ExitCode> {
    if options.check {
        return check::run(&options).await;
    }
    let places = options.places(options.data.clone().unwrap_or_else(|| DATA.into()))?;
    let mut sublet = places.start_sublet().await?;
    places.set_up(&sublet).await?;
    let acme_key = setup::tenant_key(&sublet.api, extension::ACME.tenant, &places.data).await?;
    let mut todo = places.start_todo(&sublet).await?;
    // Not earlier: until here Ctrl-C ends this process at once, and the kernel then ends its children.
    let mut signals = Signals::new()?;
    guide::print(&places, &sublet, &todo, &acme_key);

    let broken = tokio::select! {
        () = signals.next() => None,
        error = sublet.process.ended() => Some(error),
        error = todo.ended() => Some(error),
    };
    if broken.is_none() {
        println!("\nending; again to end at once");
    }
    // Sublet first: the results of what it lets finish still reach the product.
    let stopped = sublet.process.stop(signals.next()).await;
    let stopped = stopped.and(todo.stop(signals.next()).await);
    match broken {
        Some(error) => Err(error),
        None => stopped.map(|()| ExitCode::SUCCESS),
    }
}

/// Ctrl-C and SIGTERM mean the same.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> Result<Signals> {
        Ok(Signals { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
