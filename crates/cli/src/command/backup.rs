//! `sublet backup`: everything that is kept, as one folder, while the server runs.
//!
//! It reads the data folder itself and asks no server: whoever may read that folder has everything anyway, and a
//! backup is possible as well when the server does not start.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::json;
use sublet_model::{Clock, SystemClock};
use sublet_store_sqlite::backup::{self, Manifest, Progress};

use crate::config::Config;
use crate::master_key;
use crate::print::Printer;

#[derive(Args)]
pub(crate) struct Options {
    /// The server's configuration file, which says where its data is
    #[arg(long, env = "SUBLET_CONFIG")]
    config: Option<PathBuf>,
    /// The server's data folder
    #[arg(long, env = "SUBLET_DATA")]
    data: Option<PathBuf>,
    /// The folder to make; it must not be there, or be empty
    #[arg(long)]
    to: PathBuf,
}

/// Blocks the thread, which has nothing else to do.
pub(crate) fn run(options: Options, printer: Printer) -> Result<ExitCode> {
    let data = data_folder(options.config, options.data)?;
    let mut teller = Teller::new();
    let taken = backup::take(&data, &options.to, SystemClock.now(), &mut |progress| teller.tell(progress));
    teller.end();
    let manifest = taken?;
    if data.join(master_key::FILE).exists() {
        eprintln!("{} is not part of it: keep a copy elsewhere, or nobody opens the secrets", master_key::FILE);
    }
    show(&format!("{} holds {} as of {}", options.to.display(), data.display(), manifest.taken), &manifest, printer);
    Ok(ExitCode::SUCCESS)
}

/// As `sublet serve` finds it.
pub(super) fn data_folder(config: Option<PathBuf>, data: Option<PathBuf>) -> Result<PathBuf> {
    match data {
        Some(data) => Ok(data),
        None => Ok(Config::load(config.as_deref())?.store.data),
    }
}

pub(super) fn show(first: &str, manifest: &Manifest, printer: Printer) {
    if printer.json {
        printer.raw(&json!(manifest));
        return;
    }
    println!("{first}, checked");
    println!(
        "{} tenants; {} invocations waiting or running; database {} MiB; {} long bodies, {} MiB; {} code objects, {} MiB",
        manifest.tenants,
        manifest.live,
        manifest.database_bytes >> 20,
        manifest.bodies.count,
        manifest.bodies.bytes >> 20,
        manifest.code.count,
        manifest.code.bytes >> 20,
    );
}

/// Words of progress, on a terminal alone.
pub(super) struct Teller {
    shown: Option<String>,
}

impl Teller {
    pub(super) fn new() -> Teller {
        Teller { shown: std::io::stderr().is_terminal().then(String::new) }
    }

    pub(super) fn tell(&mut self, progress: Progress) {
        let Some(shown) = &mut self.shown else { return };
        let words = match progress {
            Progress::Database { done, total } => format!("database {} %", percent(done, total)),
            Progress::Files { done, total } => format!("bodies and code {} %", percent(done, total)),
            Progress::Verifying => "checking every sum".to_owned(),
        };
        if *shown != words {
            eprint!("\r\x1b[K{words}");
            drop(std::io::stderr().flush());
            *shown = words;
        }
    }

    /// Clears the line.
    pub(super) fn end(&self) {
        if self.shown.is_some() {
            eprint!("\r\x1b[K");
        }
    }
}

fn percent(done: u64, total: u64) -> u64 {
    (done * 100).checked_div(total).unwrap_or(100)
}
