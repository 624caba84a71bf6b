//! The two processes of the demo and where everything of it is.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{secret, setup, todo_program};
use crate::child::Process;
use crate::client::Client;

/// Where the demo keeps its things and where its two processes listen.
#[derive(Debug, Clone)]
pub(super) struct Places {
    pub(super) data: PathBuf,
    pub(super) listen: SocketAddr,
    pub(super) todo_listen: SocketAddr,
}

/// Sublet, started, with the operator's way to it.
pub(super) struct Sublet {
    pub(super) process: Process,
    pub(super) key: String,
    pub(super) api: Client,
}

impl Places {
    /// Makes the folders.
    pub(super) fn open(self) -> Result<Places> {
        let data = std::path::absolute(&self.data)?;
        for folder in [data.join("sublet"), data.join("todo"), data.join("log")] {
            std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        Ok(Places { data, ..self })
    }

    fn log(&self, name: &str) -> PathBuf {
        self.data.join("log").join(name)
    }

    /// `sublet serve`, the way a user would start it.
    pub(super) async fn start_sublet(&self) -> Result<Sublet> {
        let key = secret::operator_key(&self.data.join("operator-key"))?;
        let mut command = Command::new(own_program()?);
        command
            .arg("serve")
            .arg("--data")
            .arg(self.data.join("sublet"))
            .arg("--listen")
            .arg(free_or_any(self.listen).to_string())
            .env("SUBLET_OPERATOR_KEY", &key);
        let process = Process::start("sublet serve", command, self.log("sublet.log")).await?;
        let api = Client::new(&process.url, Some(key.clone()), None)?;
        Ok(Sublet { process, key, api })
    }

    /// Tenants, layer and extensions, as far as they are missing.
    pub(super) async fn set_up(&self, sublet: &Sublet) -> Result<()> {
        setup::run(&sublet.api, &self.data).await
    }

    /// The product. It is told Sublet's address and a key, and nothing else.
    pub(super) async fn start_todo(&self, sublet: &Sublet) -> Result<Process> {
        let mut command = Command::new(todo_program::find()?);
        command
            .env("SUBLET_URL", &sublet.process.url)
            .env("SUBLET_KEY", &sublet.key)
            .env("TODO_LISTEN", free_or_any(self.todo_listen).to_string())
            .env("TODO_DATA", self.data.join("todo"));
        Process::start("todo", command, self.log("todo.log")).await
    }
}

/// The same program as this one.
pub(super) fn own_program() -> Result<PathBuf> {
    std::env::current_exe().context("cannot tell where this program is")
}

/// `wanted`, or any port of the same address when it is taken, which is said.
fn free_or_any(wanted: SocketAddr) -> SocketAddr {
    match TcpListener::bind(wanted) {
        Ok(_) => wanted,
        Err(error) => {
            eprintln!("{wanted} is not free ({error}): taking another port");
            SocketAddr::new(wanted.ip(), 0)
        }
    }
}

/// A path as one would type it: relative to the current folder where that is shorter.
pub(super) fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    match path.strip_prefix(&here) {
        Ok(below) if !below.as_os_str().is_empty() => format!("./{}", below.display()),
        _ => path.display().to_string(),
    }
}
