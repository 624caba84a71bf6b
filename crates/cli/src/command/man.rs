//! `sublet man`: the man pages, from the same description of the command line that `--help` shows.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, CommandFactory};
use clap_mangen::Man;

#[derive(Args)]
pub(crate) struct Options {
    /// Write a page for every command into this folder, instead of the first page to standard output
    #[arg(long)]
    out: Option<PathBuf>,
}

pub(crate) fn run(options: Options) -> Result<ExitCode> {
    let command = described();
    match options.out {
        Some(folder) => write_all(command, &folder)?,
        None => {
            let mut page = Vec::new();
            Man::new(command).render(&mut page)?;
            print!("{}", String::from_utf8_lossy(&page));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The command line as pages show it. `sublet help tenant` says nothing that `sublet-tenant(1)` does not: no pages for it.
fn described() -> clap::Command {
    crate::args::Args::command().disable_help_subcommand(true)
}

fn write_all(command: clap::Command, folder: &Path) -> Result<()> {
    let wrote = std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(command, folder));
    wrote.with_context(|| format!("cannot write man pages into {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The file name of the page of `command` and of all below it, which must say what they and their options are for.
    fn pages(command: &clap::Command, named: &str, found: &mut BTreeSet<String>, mute: &mut Vec<String>) {
        if command.get_about().is_none() {
            mute.push(named.to_owned());
        }
        for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
            // A name in its place is explained by the command itself: `tenant put <NAME>`.
            if !argument.is_positional() && argument.get_help().is_none() {
                mute.push(format!("{named} --{}", argument.get_id()));
            }
        }
        found.insert(format!("{named}.1"));
        for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
            pages(inner, &format!("{named}-{}", inner.get_name()), found, mute);
        }
    }

    #[test]
    fn every_command_says_what_it_is_for_and_has_a_man_page() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = described();
        command.build();
        let (mut wanted, mut mute) = (BTreeSet::new(), Vec::new());
        pages(&command, "sublet", &mut wanted, &mut mute);
        assert_eq!(mute, Vec::<String>::new(), "these say nothing of themselves");
        write_all(described(), folder.path()).unwrap();
        let files = std::fs::read_dir(folder.path()).unwrap();
        let written: BTreeSet<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(written, wanted);
        assert!(wanted.contains("sublet-tenant-put.1"), "{wanted:?}");
        for page in &written {
            let text = std::fs::read_to_string(folder.path().join(page)).unwrap();
            assert!(text.contains(".SH NAME") && text.contains(".SH SYNOPSIS"), "{page}");
        }
    }
}
