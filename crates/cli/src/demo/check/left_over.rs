//! Whether processes are left when the demo has ended: each is held by a descriptor taken while it lived, so that a
//! number used again is no mistake, and the kernel tells when it has ended.

use std::os::fd::OwnedFd;

use anyhow::{Result, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// From the end of a process to the end of those it started.
const END_WITHIN: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };

pub(super) struct Family(Vec<(Pid, OwnedFd)>);

impl Family {
    /// `heads` and every process below them.
    pub(super) fn of(heads: &[Pid]) -> Result<Family> {
        let parents = parents()?;
        let mut pids = heads.to_vec();
        let mut next = 0;
        while let Some(&pid) = pids.get(next) {
            pids.extend(parents.iter().filter(|(_, parent)| *parent == pid).map(|(child, _)| *child));
            next += 1;
        }
        // One that cannot be opened has ended already.
        let held = pids.into_iter().filter_map(|pid| Some((pid, pidfd_open(pid, PidfdFlags::empty()).ok()?)));
        Ok(Family(held.collect()))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Errors: one of them goes on.
    pub(super) async fn have_ended(self) -> Result<()> {
        tokio::task::spawn_blocking(move || self.wait()).await?
    }

    fn wait(self) -> Result<()> {
        for (pid, descriptor) in self.0 {
            let ended = poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], Some(&END_WITHIN))?;
            ensure!(ended > 0, "process {} is left over", pid.as_raw_nonzero());
        }
        Ok(())
    }
}

/// (process, its parent) of everything that runs.
fn parents() -> Result<Vec<(Pid, Pid)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let pid = |text: &str| Pid::from_raw(text.parse().ok()?);
        let Some(child) = name.to_str().and_then(pid) else { continue };
        // Gone meanwhile, or another's.
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{}/stat", child.as_raw_nonzero())) else { continue };
        // The name is in brackets and may hold anything; state and parent follow it.
        let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        if let Some(parent) = after.split_whitespace().nth(1).and_then(pid) {
            found.push((child, parent));
        }
    }
    Ok(found)
}
