//! The program `sublet`: parses the command line and hands over. What a command does stands in its own file below
//! `command/`; what it is made of, in the other crates.

mod args;
mod attack;
mod bench;
mod child;
mod client;
mod command;
mod config;
mod demo;
mod files;
mod master_key;
mod node;
mod notify;
mod operator_key;
mod print;
mod progress;
mod project;
mod telemetry;

use std::process::ExitCode;

use args::{Args, Command};
use clap::Parser;

/// What a shell says of a program that SIGPIPE ended.
const READER_GONE: i32 = 128 + 13;

/// Whoever reads what is printed may have read enough (`| head`). Then the program ends without a word, as others do. Not by the
/// signal, for that would also end it where a server closes a connection.
fn end_with_the_reader() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // The standard library's words, which is all there is to know it by.
        let told = panic.payload_as_str().unwrap_or_default();
        if told.starts_with("failed printing to stdout: Broken pipe") {
            std::process::exit(READER_GONE);
        }
        usual(panic);
    }));
}

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    // A worker process: it must not start a runtime, read the environment or print before it is jailed.
    match words.nth(1) {
        Some(word) if word == node::WORKER_COMMAND => return sublet_sandbox::worker::main(words),
        Some(word) if word == attack::ATTACK_COMMAND => return sublet_sandbox::attack::worker_main(words),
        _ => {}
    }
    end_with_the_reader();
    let args = Args::parse();
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        eprintln!("error: a TLS provider was installed twice");
        return ExitCode::FAILURE;
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(async {
        match args.command {
            Command::Serve(options) => command::serve::run(options).await,
            Command::Demo(options) => demo::run(options).await,
            Command::Config(command) => command::config::run(command, args.common.printer()),
            Command::Doctor(options) => command::doctor::run(options, args.common.printer()).await,
            Command::Backup(options) => command::backup::run(options, args.common.printer()),
            Command::Restore(options) => command::restore::run(options, args.common.printer()),
            Command::Bench(options) => bench::run(options, &args.common).await,
            Command::Init(options) => command::init::run(options),
            Command::Completions(options) => command::completions::run(options),
            Command::Man(options) => command::man::run(options),
            Command::Client(command) => command::run(command, &args.common).await,
        }
    });
    // Blocking reads of the terminal or the disk must not hold up the end.
    runtime.shutdown_background();
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            let code = error.downcast_ref::<client::ClientError>().map_or(1, client::ClientError::exit_code);
            ExitCode::from(code)
        }
    }
}
