//! `sublet completions`: what makes a shell complete the commands and their options.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

/// The name under which the program is installed and completed.
const NAME: &str = "sublet";

#[derive(Args)]
pub(crate) struct Options {
    /// Whose completions to print
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(options: Options) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut crate::args::Args::command(), NAME, &mut script);
    print!("{}", String::from_utf8_lossy(&script));
    Ok(ExitCode::SUCCESS)
}
