//! Worker processes as processes: started, killed, waited for.
//!
//! They are started from one thread that lives as long as the pool, because the kernel's death signal comes when the
//! starting *thread* ends; and waited for on another, so that no async thread ever blocks on a dying process.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use super::memory_file;

/// Bytes of standard error that a worker may leave.
const WORDS_BYTES_MAX: usize = 16 * 1024;
/// Ends of workers that are remembered.
const DEATHS_MAX: usize = 16;

/// How long to wait for the way a killed process ended; it takes less than a millisecond.
const DEATH_KNOWN_WITHIN: Duration = Duration::from_millis(100);

/// How a worker process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death {
    pub pid: u32,
    /// The signal that ended it, 31 (SIGSYS) for a forbidden system call.
    pub signal: Option<i32>,
    pub code: Option<i32>,
    /// What it wrote to standard error; it may be hostile, control characters are taken out.
    pub words: String,
}

/// One worker process. Dropping it kills it.
pub(super) struct Process {
    pub(super) pid: u32,
    child: Option<(Child, File)>,
    reaper: mpsc::Sender<Corpse>,
}

struct Corpse {
    child: Child,
    words: File,
    /// Who wants to know how it ended.
    asked: Option<oneshot::Sender<Death>>,
}

/// Starts and buries worker processes.
pub(super) struct Spawner {
    requests: mpsc::Sender<Request>,
    corpses: mpsc::Sender<Corpse>,
    living: watch::Sender<usize>,
    deaths: watch::Receiver<VecDeque<Death>>,
}

struct Request {
    orders: String,
    reply: oneshot::Sender<io::Result<(Child, File, UnixStream)>>,
}

impl Spawner {
    pub(super) fn new(program: PathBuf, arguments: Vec<OsString>) -> io::Result<Spawner> {
        let (requests, inbox) = mpsc::channel::<Request>();
        std::thread::Builder::new().name("sublet-spawn".to_owned()).spawn(move || {
            for request in inbox {
                let started = start(&program, &arguments, &request.orders);
                if let Err(Ok((mut child, ..))) = request.reply.send(started) {
                    // Nobody waits for it any more; it would end by itself at the end of its socket.
                    let _ = child.kill();
                    let _ = child.wait();
                }
            }
        })?;
        let (corpses, dying) = mpsc::channel::<Corpse>();
        let (living, _) = watch::channel(0);
        let (record, deaths) = watch::channel(VecDeque::new());
        let count = living.clone();
        std::thread::Builder::new().name("sublet-reap".to_owned()).spawn(move || {
            for mut corpse in dying {
                let asked = corpse.asked.take();
                let death = bury(corpse);
                if let Some(asked) = asked {
                    // Whoever asked may have lost patience.
                    let _ = asked.send(death.clone());
                }
                tracing::debug!(worker.pid = death.pid, signal = death.signal, "worker process ended");
                record.send_modify(|deaths| {
                    deaths.truncate(DEATHS_MAX - 1);
                    deaths.push_front(death);
                });
                count.send_modify(|living| *living -= 1);
            }
        })?;
        Ok(Spawner { requests, corpses, living, deaths })
    }

    pub(super) async fn spawn(&self, orders: String) -> io::Result<(Process, UnixStream)> {
        let (reply, answer) = oneshot::channel();
        let gone = || io::Error::other("the thread that starts workers has ended");
        self.requests.send(Request { orders, reply }).map_err(|_| gone())?;
        let (child, words, socket) = answer.await.map_err(|_| gone())??;
        self.living.send_modify(|living| *living += 1);
        let process = Process { pid: child.id(), child: Some((child, words)), reaper: self.corpses.clone() };
        Ok((process, socket))
    }

    /// Resolves when every process that was started has ended and been waited for.
    pub(super) async fn all_gone(&self) {
        let mut living = self.living.subscribe();
        // An error means that the reaper has ended, and with it the last process.
        let _ = living.wait_for(|&living| living == 0).await;
    }

    /// The latest ends, newest first.
    pub(super) fn deaths(&self) -> watch::Receiver<VecDeque<Death>> {
        self.deaths.clone()
    }
}

impl Process {
    /// Whether it still runs. Only its end of the socket can say more.
    pub(super) fn is_alive(&mut self) -> bool {
        self.child.as_mut().is_some_and(|(child, _)| matches!(child.try_wait(), Ok(None)))
    }
}

impl Process {
    /// Kills it and says how it ended: by this, or by what befell it before. `None` when that takes too long to know.
    pub(super) async fn end(mut self) -> Option<Death> {
        let (asked, answer) = oneshot::channel();
        self.bury(Some(asked));
        tokio::time::timeout(DEATH_KNOWN_WITHIN, answer).await.ok()?.ok()
    }

    fn bury(&mut self, asked: Option<oneshot::Sender<Death>>) {
        let Some((mut child, words)) = self.child.take() else { return };
        // Fails only for one that has ended already.
        let _ = child.kill();
        if let Err(mpsc::SendError(mut corpse)) = self.reaper.send(Corpse { child, words, asked }) {
            let _ = corpse.child.wait();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.bury(None);
    }
}

/// The worker gets its socket as standard input, no environment, and nothing else: all our descriptors close on exec.
fn start(program: &PathBuf, arguments: &[OsString], orders: &str) -> io::Result<(Child, File, UnixStream)> {
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let words = memory_file::bounded("sublet-worker-stderr", WORDS_BYTES_MAX as u64)?;
    let child = Command::new(program)
        .args(arguments)
        .arg(orders)
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::from(words.try_clone()?))
        .spawn()?;
    Ok((child, words, ours))
}

fn bury(mut corpse: Corpse) -> Death {
    let pid = corpse.child.id();
    let status: Option<ExitStatus> = corpse.child.wait().ok();
    let mut bytes = vec![0; WORDS_BYTES_MAX];
    let length = corpse.words.read_at(&mut bytes, 0).unwrap_or(0);
    let written = bytes[..length].split(|&byte| byte == 0).next().unwrap_or_default();
    let words = String::from_utf8_lossy(written).replace(|c: char| c.is_control() && c != '\n', "\u{fffd}");
    Death {
        pid,
        signal: status.and_then(|status| status.signal()),
        code: status.and_then(|status| status.code()),
        words: words.trim_end().to_owned(),
    }
}
