//! The real program `sublet serve`, as a child process.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::http::Http;

/// From the start of the process to its line; generous, because tests of a loaded machine start many.
const START_DEADLINE: Duration = Duration::from_secs(60);
/// From SIGTERM to the end of the process.
const STOP_DEADLINE: Duration = Duration::from_secs(60);
/// What the program prints when it answers requests.
const LISTENING: &str = "listening on ";
/// Bytes of the log that a failure shows.
const LOG_TAIL_BYTES: usize = 4_096;

/// A folder for one server's data, which outlives the server so that another may start on it.
#[derive(Debug)]
pub struct Home {
    folder: TempDir,
    key: String,
}

impl Home {
    pub fn new() -> Result<Home> {
        Ok(Home { folder: tempfile::tempdir()?, key: "sublet-testkit-operator-key-0123456789abcdef".to_owned() })
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The operator's key of every server on this folder.
    pub fn key(&self) -> &str {
        &self.key
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }

    /// The end of what the servers on this folder logged.
    pub fn log_tail(&self) -> String {
        let text = std::fs::read(self.log()).unwrap_or_default();
        String::from_utf8_lossy(&text[text.len().saturating_sub(LOG_TAIL_BYTES)..]).into_owned()
    }
}

/// Killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    pid: Pid,
    url: String,
    key: String,
}

impl Server {
    /// Starts `program serve` on a free port and returns once it answers requests. `program` is the caller's
    /// `env!("CARGO_BIN_EXE_sublet")`.
    pub async fn start(program: impl AsRef<Path>, home: &Home) -> Result<Server> {
        Server::start_with(program, home, &[]).await
    }

    /// The same with more arguments.
    pub async fn start_with(program: impl AsRef<Path>, home: &Home, arguments: &[&str]) -> Result<Server> {
        let mut command = Command::new(program.as_ref());
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(home.data()).args(arguments);
        Server::start_command(command, home).await
    }

    /// Starts a server by another command, which must listen as those above do; its operator's key is the home's.
    pub async fn start_command(mut command: Command, home: &Home) -> Result<Server> {
        let log = File::options().create(true).append(true).open(home.log())?;
        let mut child = command
            .env("SUBLET_OPERATOR_KEY", home.key())
            .env_remove("SUBLET_URL")
            .env_remove("SUBLET_KEY")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {:?}", command.as_std().get_program()))?;
        let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)).context("it has ended already")?;
        let mut lines = BufReader::new(child.stdout.take().context("it has no output")?).lines();
        let said = async {
            while let Some(line) = lines.next_line().await? {
                if let Some((_, url)) = line.split_once(LISTENING) {
                    return Ok(url.trim().to_owned());
                }
            }
            bail!("the server ended before it listened; its log ends with\n{}", home.log_tail())
        };
        let url = tokio::time::timeout(START_DEADLINE, said)
            .await
            .with_context(|| format!("no line `{LISTENING}…` within {START_DEADLINE:?}\n{}", home.log_tail()))??;
        // Read on, so that the server never blocks on a full pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Server { child, pid, url, key: home.key().to_owned() })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// The operator's client.
    pub fn http(&self) -> Result<Http> {
        Http::new(&self.url, Some(&self.key))
    }

    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill_process(self.pid, signal)?)
    }

    /// Waits until the process has ended by itself.
    pub async fn ended(&mut self, within: Duration) -> Result<ExitStatus> {
        let ended = tokio::time::timeout(within, self.child.wait()).await;
        Ok(ended.with_context(|| format!("the server did not end within {within:?}"))??)
    }

    /// SIGTERM, which must end it cleanly.
    pub async fn stop(mut self) -> Result<()> {
        self.signal(Signal::TERM)?;
        let status = self.ended(STOP_DEADLINE).await?;
        ensure!(status.success(), "after SIGTERM the server ended with {status}");
        Ok(())
    }

    /// SIGKILL: the process dies in the middle of whatever it does.
    pub async fn kill(mut self) -> Result<()> {
        self.signal(Signal::KILL)?;
        self.child.wait().await?;
        Ok(())
    }
}
