//! `sublet restore`: a data folder from a backup. The server must not run on it yet, and cannot: the folder is empty.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use sublet_store_sqlite::backup;

use super::backup::{Teller, data_folder, show};
use crate::print::Printer;

#[derive(Args)]
pub(crate) struct Options {
    /// A folder that `sublet backup` made
    #[arg(long)]
    from: PathBuf,
    /// The server's configuration file, which says where its data is
    #[arg(long, env = "SUBLET_CONFIG")]
    config: Option<PathBuf>,
    /// The data folder to make; it must not be there, or be empty
    #[arg(long, env = "SUBLET_DATA")]
    data: Option<PathBuf>,
    /// Only read the backup and compare it with its sums
    #[arg(long)]
    verify_only: bool,
}

pub(crate) fn run(options: Options, printer: Printer) -> Result<ExitCode> {
    let mut teller = Teller::new();
    let from = options.from.display();
    if options.verify_only {
        let verified = backup::verify(&options.from, &mut |progress| teller.tell(progress));
        teller.end();
        let manifest = verified?;
        show(&format!("{from} is whole, as of {}", manifest.taken), &manifest, printer);
        return Ok(ExitCode::SUCCESS);
    }
    let data = data_folder(options.config, options.data)?;
    let restored = backup::restore(&options.from, &data, &mut |progress| teller.tell(progress));
    teller.end();
    let manifest = restored?;
    show(&format!("{} holds {from} as of {}", data.display(), manifest.taken), &manifest, printer);
    Ok(ExitCode::SUCCESS)
}
