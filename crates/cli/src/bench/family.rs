//! What a server and everything below it use, as the kernel counts it.

use std::fs;

use anyhow::{Context, Result};
use rustix::process::Pid;

/// A server and its workers.
#[derive(Debug, Clone)]
pub(super) struct Family(Vec<u32>);

impl Family {
    pub(super) fn of(head: Pid) -> Result<Family> {
        let mut parents = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
            if let Ok(fields) = stat(pid) {
                parents.push((pid, fields.parent));
            }
        }
        let mut family = vec![head.as_raw_nonzero().get().unsigned_abs()];
        let mut next = 0;
        while let Some(&member) = family.get(next) {
            family.extend(parents.iter().filter(|(_, parent)| *parent == member).map(|(pid, _)| *pid));
            next += 1;
        }
        Ok(Family(family))
    }

    /// CPU time so far, user and system, in milliseconds; that of children who have ended included.
    pub(super) fn cpu_ms(&self) -> Result<f64> {
        let mut ticks = 0;
        for pid in &self.0 {
            ticks += stat(*pid).with_context(|| format!("process {pid} ended during the measurement"))?.ticks;
        }
        // USER_HZ, which is 100 on every Linux that Rust runs on.
        Ok(ticks as f64 * 10.0)
    }

    /// Resident memory in MB, each process for itself: shared pages count once per process, so this is the upper bound.
    pub(super) fn resident_mb(&self) -> Result<f64> {
        let mut kib = 0.0;
        for pid in &self.0 {
            let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
            kib += line.trim().trim_end_matches(" kB").parse::<f64>()?;
        }
        Ok(kib * 1024.0 / 1e6)
    }
}

struct Stat {
    parent: u32,
    ticks: u64,
}

fn stat(pid: u32) -> Result<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name is in brackets and may hold anything.
    let fields: Vec<&str> = text.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let number = |index: usize| -> Result<u64> { Ok(fields.get(index).context("too short")?.parse()?) };
    // Counted from the state: utime, stime, cutime, cstime are the 12th to the 15th.
    let ticks = number(11)? + number(12)? + number(13)? + number(14)?;
    Ok(Stat { parent: u32::try_from(number(1)?)?, ticks })
}
