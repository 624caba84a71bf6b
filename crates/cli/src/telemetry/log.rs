//! Logs of the server: structured, to standard error. Client commands log nothing.

use anyhow::{Context, Result};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::config::{Log, LogFormat};

/// `RUST_LOG` goes before the configuration. Errors: the filter is not one.
pub(crate) fn start(log: &Log) -> Result<()> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(given) => EnvFilter::try_new(given).context("RUST_LOG is not a filter")?,
        Err(_) => EnvFilter::try_new(&log.filter).context("log.filter is not a filter")?,
    };
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    match log.format {
        LogFormat::Json => builder.json().init(),
        LogFormat::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
    }
    Ok(())
}
