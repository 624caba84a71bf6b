//! The to-do SaaS of the demo: a product that lets its customers extend it with their own code.
//!
//! It knows Sublet from outside only: it publishes `Item Added` events over HTTP, and results come back as signed
//! webhooks. Everything it needs is in the environment: `SUBLET_URL`, `SUBLET_KEY`, `TODO_LISTEN`, `TODO_DATA`.

mod item;
mod page;
mod sublet;
mod webhook;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        anyhow::bail!("a TLS provider was installed before main");
    }
    let variable = |name: &str| std::env::var(name).with_context(|| format!("{name} is not set"));
    let listen: SocketAddr = variable("TODO_LISTEN")?.parse().context("TODO_LISTEN is not an address and port")?;
    let data = PathBuf::from(variable("TODO_DATA")?);
    let sublet = sublet::Client::new(variable("SUBLET_URL")?, variable("SUBLET_KEY")?);

    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let address = listener.local_addr()?;
    let items = item::Items::open(data.join("items.json"))?;
    let secret = webhook::Secret::open(&data.join("webhook-secret"))?;
    sublet.set_up(address, &secret).await?;

    let (end, ending) = watch::channel(false);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;

    let app = page::App { items: Arc::new(items), sublet: Arc::new(sublet), secret: Arc::new(secret), ending };
    // The line that whoever started this waits for.
    println!("listening on http://{address}");
    axum::serve(listener, page::router(app))
        .with_graceful_shutdown(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            // Open pages follow the news for ever; they are let go first.
            end.send_replace(true);
        })
        .await?;
    Ok(())
}
