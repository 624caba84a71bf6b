//! Development tasks: `cargo xtask <task>`. One file per task; this one only chooses.

mod bench;
mod engine;
mod need;
mod package;
mod stock;
mod test;
mod tidy;
mod tool;

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Development tasks of Sublet")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what the tests need, then run every test, the engine check and the demo's check
    Test,
    /// Run every benchmark and print one table, each figure beside its yardstick
    Bench {
        /// Only the benchmarks whose name contains this
        filter: Option<String>,
    },
    /// Check what the compiler does not: crate edges, module docs, file length, guarantees, the engine's checksum
    Tidy,
    /// Make the Debian package, with its man pages and completions, in target/package
    Package {
        /// Pack target/release as it is
        #[arg(long)]
        no_build: bool,
        /// Compress less: for trying it out
        #[arg(long)]
        fast: bool,
    },
    /// Rebuild the JavaScript engine artifact in place
    Engine {
        /// Rebuild beside it and compare instead
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    let done = match Args::parse().task {
        Task::Test => test::run(),
        Task::Bench { filter } => bench::run(filter.as_deref()),
        Task::Tidy => tidy::run(),
        Task::Package { no_build, fast } => package::run(!no_build, fast),
        Task::Engine { check } => engine::run(check),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The workspace's root folder.
fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map(PathBuf::from).unwrap_or(here)
}

/// Runs a command at the root, its output passed through. Errors: it could not start, or did not exit with 0.
fn run(program: &str, args: &[&str]) -> Result<()> {
    eprintln!("$ {program} {}", args.join(" "));
    let status = command(program).args(args).status().with_context(|| format!("cannot start {program}"))?;
    if !status.success() {
        bail!("`{program} {}` failed: {status}", args.join(" "));
    }
    Ok(())
}

/// A command at the root, without what cargo says of this package in the environment. Build scripts watch these
/// variables (ring's does) and would run again, and all above them be compiled again, whenever cargo is called by hand and
/// from here in turn.
fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(name);
        }
    }
    command.current_dir(root());
    command
}

/// The cargo that runs this task, so that both use one toolchain.
fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

/// Whether this is a CI run, where what cannot run is a failure.
fn in_ci() -> bool {
    std::env::var_os("CI").is_some()
}
