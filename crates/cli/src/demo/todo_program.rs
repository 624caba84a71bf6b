//! Where the program `todo` is: beside this one. In a checkout it is built when it is missing or older than its source,
//! because `cargo run` builds the program it runs and no other.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use anyhow::{Context, Result, bail, ensure};

/// Where its source is in a checkout.
const SOURCE: &str = "examples/todo";

pub(super) fn find() -> Result<PathBuf> {
    let own = std::env::current_exe().context("cannot tell where this program is")?;
    let folder = own.parent().context("this program is in no folder")?;
    let program = folder.join("todo");
    match checkout(folder) {
        Some(root) if is_older(&program, &root.join(SOURCE)) => build(&root, folder)?,
        Some(_) => {}
        None => ensure!(
            program.is_file(),
            "the to-do product is a program of its own, and {} is not there; put `todo` from the same release \
             beside `sublet`, or run the demo in a checkout: cargo run --release -- demo",
            program.display()
        ),
    }
    Ok(program)
}

/// The checkout this program was built from: the folder above that has the source of `todo`.
fn checkout(folder: &Path) -> Option<PathBuf> {
    // Cargo names the package that it runs; that finds the checkout when the target folder is elsewhere.
    let told = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let mut candidates = folder.ancestors().chain(told.iter().flat_map(|path| path.ancestors()));
    candidates.find(|root| root.join(SOURCE).join("Cargo.toml").is_file()).map(Path::to_owned)
}

fn is_older(program: &Path, source: &Path) -> bool {
    let changed = |file: &Path| std::fs::metadata(file).and_then(|about| about.modified()).ok();
    let Some(built) = changed(program) else { return true };
    let newest: Option<SystemTime> = [source.to_owned(), source.join("src")]
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flatten()
        .filter_map(|entry| changed(&entry.ok()?.path()))
        .max();
    newest.is_some_and(|newest| newest > built)
}

/// Into the same target folder and profile that this program came from.
fn build(root: &Path, folder: &Path) -> Result<()> {
    let (Some(target), Some(profile)) = (folder.parent(), folder.file_name().and_then(|name| name.to_str())) else {
        bail!("cannot tell which target folder {} is in", folder.display());
    };
    let profile = if profile == "debug" { "dev" } else { profile };
    eprintln!("building the to-do product: cargo build --profile {profile} -p todo");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--locked", "--profile", profile, "-p", "todo", "--target-dir"])
        .arg(target)
        .current_dir(root)
        .stdin(Stdio::null())
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "cargo could not build the to-do product");
    Ok(())
}
