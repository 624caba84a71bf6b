//! A child process that serves: started, waited for until it listens, ended cleanly.
//!
//! Children do not outlive this process, however it ends: the kernel sends them SIGTERM when its main thread dies. They are
//! in process groups of their own, so that Ctrl-C reaches this one alone, which then ends them in order.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, getpid, getppid, kill_process, set_parent_process_death_signal};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;

/// From the start of a process to its line.
const START_DEADLINE: Duration = Duration::from_secs(60);
/// From SIGTERM to SIGKILL. Longer than any attempt of the tenants of a demo or a benchmark.
const STOP_DEADLINE: Duration = Duration::from_secs(20);
/// What such programs print when they answer requests.
const LISTENING: &str = "listening on ";
/// Bytes of a log that a failure shows.
const LOG_TAIL_BYTES: usize = 2_048;

pub(crate) struct Process {
    name: &'static str,
    child: Child,
    pid: Pid,
    pub(crate) url: String,
    log: PathBuf,
}

impl Process {
    /// Starts `command` and returns once it listens. What it writes to standard error goes to `log`.
    ///
    /// Call it from the main thread: the children's life is tied to the thread that starts them.
    pub(crate) async fn start(name: &'static str, mut command: Command, log: PathBuf) -> Result<Process> {
        let errors = File::options().create(true).append(true).open(&log);
        let errors = errors.with_context(|| format!("cannot write {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors).process_group(0);
        tie_to_this_thread(&mut command);
        let mut child = tokio::process::Command::from(command)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let pid = pid.with_context(|| format!("{name} ended at once"))?;
        let mut lines = BufReader::new(child.stdout.take().context("no standard output")?).lines();
        let listens = async {
            while let Some(line) = lines.next_line().await? {
                if let Some((_, url)) = line.split_once(LISTENING) {
                    return Ok(url.trim().to_owned());
                }
            }
            bail!("{name} ended before it listened; {}", tail(&log))
        };
        let url = tokio::time::timeout(START_DEADLINE, listens)
            .await
            .with_context(|| format!("{name} did not listen within {START_DEADLINE:?}; {}", tail(&log)))??;
        // Read on, so that it never blocks on a full pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Process { name, child, pid, url, log })
    }

    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Waits until it ends by itself, and says so.
    pub(crate) async fn ended(&mut self) -> anyhow::Error {
        match self.child.wait().await {
            Ok(status) => anyhow::anyhow!("{} ended by itself ({status}); {}", self.name, tail(&self.log)),
            Err(error) => anyhow::Error::new(error).context(format!("cannot wait for {}", self.name)),
        }
    }

    /// SIGTERM, and SIGKILL when that does not help in time or when `hurry` comes first. Errors: it had to be killed,
    /// or ended with a failure.
    pub(crate) async fn stop(mut self, hurry: impl Future<Output = ()>) -> Result<()> {
        // An error means that it has ended already; waiting tells how.
        let _ = kill_process(self.pid, Signal::TERM);
        let ended: Option<io::Result<ExitStatus>> = tokio::select! {
            ended = tokio::time::timeout(STOP_DEADLINE, self.child.wait()) => ended.ok(),
            () = hurry => None,
        };
        match ended {
            Some(status) => {
                let status = status?;
                anyhow::ensure!(status.success(), "{} ended with {status}; {}", self.name, tail(&self.log));
                Ok(())
            }
            None => {
                self.child.kill().await?;
                bail!("{} had to be killed; {}", self.name, tail(&self.log))
            }
        }
    }
}

/// The child gets SIGTERM when this thread ends.
fn tie_to_this_thread(command: &mut Command) {
    let parent = getpid();
    let tie = move || {
        set_parent_process_death_signal(Some(Signal::TERM))?;
        // The parent may have died between the fork and that call; then no signal will ever come.
        if getppid() != Some(parent) {
            return Err(io::Error::from_raw_os_error(rustix::io::Errno::SRCH.raw_os_error()));
        }
        Ok(())
    };
    // SAFETY: between fork and exec the closure makes two system calls and allocates nothing.
    unsafe { command.pre_exec(tie) };
}

fn tail(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let end = String::from_utf8_lossy(&text[text.len().saturating_sub(LOG_TAIL_BYTES)..]).into_owned();
    format!("its log, {}, ends with\n{end}", log.display())
}
