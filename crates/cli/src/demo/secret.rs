//! Keys that the demo keeps from one start to the next, each in a file that only its user reads.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};

const KEY_BYTES: usize = 32;

/// The key in `file`, if there is one.
pub(super) fn read(file: &Path) -> Result<Option<String>> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

/// Writes a key that must not be there yet.
pub(super) fn write(file: &Path, key: &str) -> Result<()> {
    let made = File::options().write(true).create_new(true).mode(0o600).open(file);
    let written = made.and_then(|mut file| writeln!(file, "{key}"));
    written.with_context(|| format!("cannot write {}", file.display()))
}

/// The operator's key in `file`, made at the first start.
pub(super) fn operator_key(file: &Path) -> Result<String> {
    if let Some(key) = read(file)? {
        return Ok(key);
    }
    let mut random = [0u8; KEY_BYTES];
    getrandom::fill(&mut random).context("the system gives no randomness")?;
    let key = format!("slo_demo_{}", random.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    write(file, &key)?;
    Ok(key)
}
