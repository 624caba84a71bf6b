//! `cargo xtask package`: the Debian package, from the release build, in `target/package`. Its man pages and completions
//! are written by the very program that goes into it.

use std::fs::File;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::tool::CARGO_DEB;
use crate::{cargo, root};

/// Shells whose completions are shipped.
const SHELLS: &[&str] = &["bash", "zsh", "fish"];

/// Packs what `target/release` holds, after building it if `build`; larger but sooner if `fast`.
pub(crate) fn run(build: bool, fast: bool) -> Result<()> {
    let Some(cargo_deb) = CARGO_DEB.ensure() else { bail!("{} is not there and cannot be installed", CARGO_DEB.name) };
    if build {
        crate::run(&cargo(), &["build", "--release", "--locked", "-p", "sublet-cli"])?;
    }
    let (program, folder) = (root().join("target/release/sublet"), root().join("target/package"));
    let program = program.to_str().context("the workspace's path is not UTF-8")?;
    // What an older program wrote may name commands that are gone.
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    let (man, completions) = (folder.join("man"), folder.join("completions"));
    std::fs::create_dir_all(&completions)?;
    crate::run(program, &["man", "--out", man.to_str().context("the workspace's path is not UTF-8")?])?;
    for shell in SHELLS {
        let file = File::create(completions.join(format!("sublet.{shell}")))?;
        let status = Command::new(program).args(["completions", shell]).stdout(file).status()?;
        if !status.success() {
            bail!("`sublet completions {shell}` ended with {status}");
        }
    }
    let cargo_deb = cargo_deb.to_str().context("the workspace's path is not UTF-8")?;
    // Quiet: it would warn that nothing builds the pages and completions, which were made above.
    let mut arguments =
        vec!["--no-build", "--strip", "--quiet", "--package", "sublet-cli", "--output", "target/package/"];
    if fast {
        arguments.push("--fast");
    }
    crate::run(cargo_deb, &arguments)?;
    println!("the package is in target/package");
    Ok(())
}
