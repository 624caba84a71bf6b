//! Where the master keys come from that tenants' secrets are sealed with: a file, a variable of the environment, a
//! command; or, where nothing is said, a file of our own in the data folder, made when the first secret is put.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use sublet_engine::{Keyring, MasterKey};
use sublet_model::Error;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

/// In the data folder; `sublet backup` leaves it out.
pub(crate) const FILE: &str = "secrets.key";
/// The ending of its name while it is being made.
const DRAFT: &str = "draft";
/// Bytes of all keys as text.
const TEXT_BYTES_MAX: u64 = 16 * 1024;
/// How long the command may take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Secrets {
    /// Empty: none.
    pub(crate) key_file: PathBuf,
    pub(crate) key_env: String,
    pub(crate) key_command: Vec<String>,
}

impl Secrets {
    /// Errors: more than one source.
    pub(crate) fn validate(&self) -> Result<()> {
        let (file, env) = (!self.key_file.as_os_str().is_empty(), !self.key_env.is_empty());
        let command = !self.key_command.is_empty();
        if usize::from(file) + usize::from(env) + usize::from(command) > 1 {
            let second = if command { "key_command" } else { "key_env" };
            bail!("secrets.{second} must not be given beside another source of keys");
        }
        Ok(())
    }

    /// What a file or a variable says, and the key that names it; `None` where neither is given.
    fn given(&self, env: impl Fn(&str) -> Option<String>) -> Result<Option<(&'static str, String)>> {
        if !self.key_file.as_os_str().is_empty() {
            return Ok(Some(("secrets.key_file", read_file(&self.key_file).context("secrets.key_file")?)));
        }
        if self.key_env.is_empty() {
            return Ok(None);
        }
        let name = &self.key_env;
        let text = env(name).with_context(|| format!("secrets.key_env: {name} is not set to text"))?;
        Ok(Some(("secrets.key_env", text)))
    }

    /// As far as can be told without running a command.
    pub(crate) fn check(&self, env: impl Fn(&str) -> Option<String>) -> Result<()> {
        if let Some((key, text)) = self.given(env)? {
            MasterKey::parse_all(&text).context(key)?;
        }
        Ok(())
    }

    /// Whether the keys are ours to make.
    fn is_silent(&self) -> bool {
        self.key_file.as_os_str().is_empty() && self.key_env.is_empty() && self.key_command.is_empty()
    }
}

/// Errors name the key of the configuration, and never what was read.
pub(crate) async fn keyring(secrets: &Secrets, data: &Path) -> Result<Keyring> {
    if secrets.is_silent() {
        return own_keyring(&data.join(FILE));
    }
    let (key, text) = match secrets.given(|name| std::env::var(name).ok())? {
        Some(given) => given,
        None => ("secrets.key_command", run(&secrets.key_command).await.context("secrets.key_command")?),
    };
    warn_of_readers(&secrets.key_file, 0o007);
    let keys = MasterKey::parse_all(&text).context(key)?;
    let others: Vec<String> = keys.iter().skip(1).map(|key| key.id().to_string()).collect();
    tracing::info!(key.id = %keys[0].id(), "secrets are sealed with the master key {}; {others:?} open too", keys[0].id());
    Ok(Keyring::of(keys))
}

fn own_keyring(path: &Path) -> Result<Keyring> {
    match path.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let path = path.to_owned();
            Ok(Keyring::made_when_needed(move || make(&path)))
        }
        _ => {
            warn_of_readers(path, 0o077);
            let text = read_file(path)?;
            Ok(Keyring::of(MasterKey::parse_all(&text).with_context(|| path.display().to_string())?))
        }
    }
}

/// The first secret is about to be put, and nobody said with what to seal it.
fn make(path: &Path) -> Result<MasterKey, Error> {
    let (key, text) = MasterKey::fresh()?;
    let write = |file: &mut File| {
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")
    };
    place(path, write).map_err(|error| Error::internal(format!("cannot make {}: {error}", path.display())))?;
    tracing::warn!(
        key.id = %key.id(),
        "made {}, the master key that secrets are sealed with: whoever has it and the database reads every secret, \
         without it nobody does. `sublet backup` leaves it out: keep a copy elsewhere. See docs/secrets.md",
        path.display()
    );
    Ok(key)
}

/// Makes a file for its owner alone: it is there whole and on disk, or not at all, whatever ends this on the way. One
/// that is there is never written over. (The data folder is this process's alone, and so is the draft's name.)
fn place(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let draft = path.with_extension(DRAFT);
    remove(&draft)?;
    let written = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        write(&mut file)?;
        file.sync_all()?;
        std::fs::hard_link(&draft, path)
    };
    let placed = written();
    // One that is left all the same is removed by the next try.
    let _ = remove(&draft);
    placed?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// If it is there.
fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn read_file(path: &Path) -> Result<String> {
    let unreadable = || format!("cannot read {}", path.display());
    let metadata = path.metadata().with_context(unreadable)?;
    ensure!(metadata.len() <= TEXT_BYTES_MAX, "{} is too long to hold keys", path.display());
    std::fs::read_to_string(path).with_context(unreadable)
}

/// `others`: the bits of its mode that should not be there.
fn warn_of_readers(path: &Path, others: u32) {
    if path.metadata().is_ok_and(|metadata| metadata.mode() & others != 0) {
        tracing::warn!("{}, which holds master keys, can be read by others", path.display());
    }
}

/// What it prints. Its standard error goes where ours goes.
async fn run(command: &[String]) -> Result<String> {
    let (program, arguments) = command.split_first().context("names no program")?;
    let child =
        Command::new(program).args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn();
    let mut child = child.with_context(|| format!("cannot run {program}"))?;
    let finished = async {
        let mut text = String::new();
        let output = child.stdout.take().context("it has no output")?;
        output.take(TEXT_BYTES_MAX + 1).read_to_string(&mut text).await.context("its output is not text")?;
        ensure!(text.len() as u64 <= TEXT_BYTES_MAX, "it prints too much");
        let status = child.wait().await?;
        ensure!(status.success(), "it ended with {status}");
        Ok(text)
    };
    let late = || format!("{program} did not end within {} s", COMMAND_TIMEOUT.as_secs());
    tokio::time::timeout(COMMAND_TIMEOUT, finished).await.with_context(late)?.with_context(|| program.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const HEX: &str = "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f";

    fn secrets(text: &str) -> Secrets {
        Config::parse(&format!("[secrets]\n{text}")).unwrap().secrets
    }

    async fn refused(text: &str) -> String {
        format!("{:#}", keyring(&secrets(text), Path::new("/nowhere")).await.err().unwrap())
    }

    #[tokio::test]
    async fn keys_come_from_a_file_a_variable_or_a_command_and_from_one_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys");
        std::fs::write(&file, format!("{HEX}\n")).unwrap();
        let id = MasterKey::parse_all(HEX).unwrap()[0].id();
        for text in [format!("key_file = {:?}", file.to_str().unwrap()), format!("key_command = [\"echo\", \"{HEX}\"]")]
        {
            let ring = keyring(&secrets(&text), folder.path()).await.unwrap();
            assert_eq!(ring.names(), [id], "{text}");
        }
        assert!(!folder.path().join(FILE).exists(), "none is made where one was given");
        let both = Config::parse("[secrets]\nkey_env = \"A\"\nkey_command = [\"x\"]").unwrap_err();
        assert!(format!("{both:#}").contains("secrets.key_command"), "{both:#}");
        for (text, named) in [
            ("key_file = \"/no/such/file\"", "secrets.key_file: cannot read /no/such/file"),
            ("key_env = \"SUBLET_TEST_NO_SUCH_VARIABLE\"", "SUBLET_TEST_NO_SUCH_VARIABLE is not set"),
            ("key_command = [\"false\"]", "secrets.key_command: false: it ended with"),
            ("key_command = [\"/no/such/program\"]", "cannot run /no/such/program"),
            (
                "key_command = [\"echo\", \"not-a-key-and-never-told\"]",
                "secrets.key_command: line 1 of the keys is not",
            ),
            ("key_command = [\"yes\"]", "it prints too much"),
        ] {
            let error = refused(text).await;
            assert!(error.contains(named) && !error.contains("never-told"), "{text}: {error}");
        }
    }

    #[tokio::test]
    async fn a_key_of_our_own_is_made_for_its_owner_alone_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let silent = secrets("");
        assert!(keyring(&silent, folder.path()).await.unwrap().names().is_empty());
        assert!(!path.exists(), "nothing is made before it is needed");
        let made = make(&path).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        assert_eq!(keyring(&silent, folder.path()).await.unwrap().names(), [made.id()]);
        assert!(make(&path).is_err(), "a key that is there is never written over");
        assert_eq!(keyring(&silent, folder.path()).await.unwrap().names(), [made.id()]);
    }

    #[tokio::test]
    async fn a_key_that_was_not_written_to_its_end_is_no_key_and_hinders_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let full = |file: &mut File| -> io::Result<()> {
            file.write_all(b"half a k")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        };
        assert_eq!(place(&path, full).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert!(!path.exists());
        // What a process leaves behind that dies in the middle.
        std::fs::write(path.with_extension(DRAFT), "half a k").unwrap();
        assert!(keyring(&secrets(""), folder.path()).await.unwrap().names().is_empty());
        let made = make(&path).unwrap();
        assert_eq!(keyring(&secrets(""), folder.path()).await.unwrap().names(), [made.id()]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left");
    }
}
