//! `cargo xtask test`: everything that must hold, in one command. What cannot run here is named, and fails in CI.

use anyhow::{Result, bail};

use crate::need::{BUBBLEWRAP, NODE, SYSTEMD, WASM_TOOLCHAIN};
use crate::stock::{NPM_CLIENTS, NPM_LIBRARIES, PYTHON_CLIENTS};
use crate::tool::CARGO_DEB;
use crate::{cargo, engine, in_ci};

fn run_all(not_run: &mut Vec<&'static str>) -> Result<()> {
    let cargo = cargo();
    // Node answers in the tests that compare with it; everything else needs nothing but this workspace.
    if !NODE.ensure() {
        not_run.push("comparisons with Node.js");
    }
    if !BUBBLEWRAP.ensure() {
        not_run.push("the container image started");
    }
    if !SYSTEMD.ensure() {
        not_run.push("the service file checked");
    }
    if CARGO_DEB.ensure().is_none() {
        not_run.push("the Debian package made and tried");
    }
    for (packages, tests) in [
        (NPM_CLIENTS, "the TypeScript snippets and the npm library standardwebhooks"),
        (NPM_LIBRARIES, "functions that import libraries from npm"),
        (PYTHON_CLIENTS, "the Python snippets and the Python library standardwebhooks"),
    ] {
        if !packages.ensure() {
            not_run.push(tests);
        }
    }
    crate::run(&cargo, &["test", "--release", "--workspace"])?;
    if WASM_TOOLCHAIN.ensure() {
        engine::run(true)?;
    } else {
        not_run.push("engine --check (the JavaScript engine rebuilt and compared)");
    }
    crate::run(&cargo, &["run", "--release", "--quiet", "--", "demo", "--check"])
}

pub(crate) fn run() -> Result<()> {
    let mut not_run = Vec::new();
    run_all(&mut not_run)?;
    for name in &not_run {
        println!("not run: {name}");
    }
    if !not_run.is_empty() && in_ci() {
        bail!("{} of the checks could not run here", not_run.len());
    }
    println!("all checks passed");
    Ok(())
}
