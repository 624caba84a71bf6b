//! What the machine itself takes for the least that such work needs.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::PROGRAM;
use crate::figure::quantile;

const SYNCS: u64 = 300;
const SPAWNS: usize = 50;
const BLOCK: [u8; 4096] = [7; 4096];

/// Making 4 KiB of a preallocated file durable.
pub(crate) fn fdatasync_p50() -> Result<Duration> {
    let folder = tempfile::tempdir()?;
    let file = File::options().create(true).truncate(true).write(true).open(folder.path().join("log"))?;
    for block in 0..SYNCS {
        file.write_all_at(&BLOCK, block * 4096)?;
    }
    file.sync_all()?;
    let mut spans = Vec::new();
    for block in 0..SYNCS {
        let began = Instant::now();
        file.write_all_at(&BLOCK, block * 4096)?;
        file.sync_data()?;
        spans.push(began.elapsed());
    }
    Ok(quantile(&mut spans, 0.5))
}

/// Starting the same program to say its version, until it has ended.
pub(crate) fn spawn_p50() -> Result<Duration> {
    let mut spans = Vec::new();
    for _ in 0..SPAWNS {
        let began = Instant::now();
        let status = Command::new(PROGRAM).arg("--version").stdout(Stdio::null()).status()?;
        spans.push(began.elapsed());
        ensure!(status.success(), "--version ended with {status}");
    }
    Ok(quantile(&mut spans, 0.5))
}
