//! What the machine itself takes for the least that such work needs.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rustix::time::{ClockId, clock_gettime};

use super::figure::quantile;

/// The log is as long as this before anything is measured, because appending to a growing file costs several times more.
const LOG_BYTES: u64 = 8 << 20;
const CHUNK_BYTES: usize = 1 << 20;

/// A log whose blocks are there, written and synced: what a durable accept cannot do without.
pub(super) struct RawLog {
    file: File,
    at: u64,
}

impl RawLog {
    /// In `folder`, which should be on the disk of the data.
    pub(super) fn new(folder: &Path) -> Result<RawLog> {
        let file = File::options().create(true).truncate(true).write(true).open(folder.join("raw-log"))?;
        for chunk in 0..LOG_BYTES / CHUNK_BYTES as u64 {
            file.write_all_at(&[0; CHUNK_BYTES], chunk * CHUNK_BYTES as u64)?;
        }
        file.sync_all()?;
        Ok(RawLog { file, at: 0 })
    }

    /// Durable when it returns.
    pub(super) fn append(&mut self, record: &[u8]) -> Result<()> {
        if self.at + record.len() as u64 > LOG_BYTES {
            self.at = 0;
        }
        self.file.write_all_at(record, self.at)?;
        self.at += record.len() as u64;
        Ok(self.file.sync_data()?)
    }

    /// The median time of `count` appends of `bytes` each.
    pub(super) fn median(&mut self, bytes: usize, count: usize) -> Result<Duration> {
        let record = vec![7; bytes];
        let mut spans = Vec::with_capacity(count);
        for _ in 0..count {
            let began = Instant::now();
            self.append(&record)?;
            spans.push(began.elapsed());
        }
        Ok(quantile(&mut spans, 0.5))
    }
}

/// The median time from starting `program` to say its version until it has ended.
pub(super) fn plain_start(program: &Path, count: u64) -> Result<Duration> {
    let mut spans = Vec::new();
    for _ in 0..count {
        let began = Instant::now();
        let status = Command::new(program).arg("--version").stdout(Stdio::null()).status()?;
        spans.push(began.elapsed());
        ensure!(status.success(), "--version ended with {status}");
    }
    Ok(quantile(&mut spans, 0.5))
}

/// CPU time of this thread for one of `count` calls, in microseconds.
pub(super) fn cpu_us(count: u32, mut call: impl FnMut()) -> f64 {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
    };
    let began = now();
    for _ in 0..count {
        call();
    }
    (now() - began) / f64::from(count)
}
