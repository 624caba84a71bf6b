//! `cargo xtask engine`: the JavaScript engine artifact, rebuilt in place or compared.
//!
//! The artifact is committed because `cargo build` cannot make it: there is no C compiler for WebAssembly in a Rust
//! toolchain. The C source is fetched by cargo, pinned by the lock file in engines/quickjs; the same source and compiler
//! give the same bytes, so comparing a checksum is enough to know that the artifact is what its source says.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::need::WASM_TOOLCHAIN;
use crate::{cargo, command, root};

const SOURCE_PACKAGE: &str = "libquickjs-ng-sys";
const ARTIFACT: &str = "quickjs.wasm";
const CHECKSUM: &str = "quickjs.wasm.sha256";

pub(crate) fn run(check: bool) -> Result<()> {
    let folder = root().join("engines/quickjs");
    if !WASM_TOOLCHAIN.ensure() {
        bail!("the engine needs {}", WASM_TOOLCHAIN.name);
    }
    let out = root().join("target/quickjs.wasm");
    fs::create_dir_all(root().join("target"))?;
    let built = Command::new("sh").arg(folder.join("build.sh")).arg(source(&folder)?).arg(&out).status()?;
    if !built.success() {
        bail!("engines/quickjs/build.sh failed: {built}");
    }
    let rebuilt = checksum(&out)?;
    if check {
        return compare(&folder, &rebuilt);
    }
    // Not copied: the linker marks its output as executable.
    fs::write(folder.join(ARTIFACT), fs::read(&out)?)?;
    // The form that `sha256sum --check` reads.
    fs::write(folder.join(CHECKSUM), format!("{rebuilt}  {ARTIFACT}\n"))?;
    println!("engines/quickjs/{ARTIFACT}: {rebuilt}");
    Ok(())
}

fn compare(folder: &Path, rebuilt: &str) -> Result<()> {
    let committed = checksum(&folder.join(ARTIFACT))?;
    let text = fs::read_to_string(folder.join(CHECKSUM)).with_context(|| format!("engines/quickjs/{CHECKSUM}"))?;
    let written = text.split_whitespace().next().unwrap_or_default();
    if written != committed {
        bail!("engines/quickjs/{ARTIFACT} has checksum {committed}, the file beside it says {written}");
    }
    if rebuilt != committed {
        bail!("engines/quickjs/{ARTIFACT} is not what its source gives: {committed} committed, {rebuilt} rebuilt");
    }
    println!("engines/quickjs/{ARTIFACT} is what its source gives: {committed}");
    Ok(())
}

/// The folder of QuickJS-ng's C files, fetched by cargo if need be.
fn source(folder: &Path) -> Result<PathBuf> {
    let output = command(&cargo())
        .args(["metadata", "--format-version=1", "--locked", "--manifest-path"])
        .arg(folder.join("Cargo.toml"))
        .output()
        .context("cannot run cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let manifest = metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|package| package["name"] == SOURCE_PACKAGE)
        .and_then(|package| package["manifest_path"].as_str())
        .with_context(|| format!("{SOURCE_PACKAGE} is not in the metadata"))?;
    let package = Path::new(manifest).parent().context("a manifest in a folder")?;
    Ok(package.join("embed/quickjs"))
}

fn checksum(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    let mut text = String::new();
    for byte in Sha256::digest(&bytes) {
        write!(text, "{byte:02x}")?;
    }
    Ok(text)
}
