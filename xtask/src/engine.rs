//! `cargo xtask engine`: the JavaScript engine artifact, rebuilt or compared.

use anyhow::{Result, bail};

pub(crate) fn run(_check: bool) -> Result<()> {
    bail!("not written yet")
}
