//! The command line's outer shape.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};

use crate::client::Client;
use crate::command::{self, ClientCommand};
use crate::print::Printer;

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 wrong usage or input, 3 not found, 4 no access, \
5 server not reachable, 6 throttled or unavailable.";

#[derive(Parser)]
#[command(name = "sublet", version, about = "Runs your customers' code inside your SaaS", after_help = EXIT_CODES)]
#[command(propagate_version = true, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Options of every client command.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct Common {
    /// The server's address
    #[arg(long, global = true, env = "SUBLET_URL", default_value = "http://127.0.0.1:7070", help_heading = "Client")]
    url: String,
    /// An operator or tenant key
    #[arg(long, global = true, env = "SUBLET_KEY", hide_env_values = true, help_heading = "Client")]
    key: Option<String>,
    /// PEM certificates of the authority to trust, for a server whose certificate this machine does not know
    #[arg(long, global = true, env = "SUBLET_CA", help_heading = "Client")]
    ca_file: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true, help_heading = "Client")]
    json: bool,
}

impl Common {
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        Client::new(&self.url, self.key.clone(), self.ca_file.as_deref())
    }

    pub(crate) fn printer(&self) -> Printer {
        Printer { json: self.json }
    }
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run the server
    Serve(command::serve::Options),
    /// Run the to-do SaaS with three tenants on this machine
    Demo(crate::demo::Options),
    /// Check a configuration, or print the default one
    #[command(subcommand)]
    Config(command::config::Command),
    /// Say which layers of isolation this machine allows
    Doctor(command::doctor::Options),
    /// Copy everything that is kept to a folder, while the server runs
    Backup(command::backup::Options),
    /// Make a data folder from a backup
    Restore(command::restore::Options),
    /// Measure this machine: publishing, the whole path, matching, deploys, idle tenants
    Bench(crate::bench::Options),
    /// Make a folder with a function to begin with
    Init(command::init::Options),
    /// Print what makes a shell complete these commands
    Completions(command::completions::Options),
    /// Print or write the man pages
    Man(command::man::Options),
    #[command(flatten)]
    Client(ClientCommand),
}
