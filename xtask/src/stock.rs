//! The stock clients of other languages that tests run: from their registries, at pinned versions.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use crate::need::{NODE, NPM, Need, PYTHON};
use crate::root;

/// Packages of another language at pinned versions, in a folder of their own below `target/needs/`, where the tests look
/// for them.
pub(crate) struct Packages {
    name: &'static str,
    folder: &'static str,
    needs: &'static [Need],
    /// What says which packages: copied into the folder. Its hash tells whether they are those that are installed.
    files: &'static [&'static str],
    /// Run in the folder.
    script: &'static str,
}

/// The npm `standardwebhooks` library, and tsx, which runs TypeScript.
pub(crate) const NPM_CLIENTS: Packages = Packages {
    name: "npm packages of the snippets",
    folder: "npm",
    needs: &[NODE, NPM],
    files: &["examples/snippets/package.json", "examples/snippets/package-lock.json"],
    script: "npm ci --no-audit --no-fund --ignore-scripts --loglevel=error",
};

/// The libraries that tenants bring, of which a handler of each is deployed and compared.
pub(crate) const NPM_LIBRARIES: Packages = Packages {
    name: "npm libraries that functions import",
    folder: "libraries",
    needs: &[NODE, NPM],
    files: &["crates/cli/tests/libraries/package.json", "crates/cli/tests/libraries/package-lock.json"],
    script: "npm ci --no-audit --no-fund --ignore-scripts --loglevel=error",
};

/// The Python `standardwebhooks` library.
pub(crate) const PYTHON_CLIENTS: Packages = Packages {
    name: "Python packages of the snippets",
    folder: "python",
    needs: &[PYTHON],
    files: &["examples/snippets/requirements.txt"],
    script: "python3 -m venv . && bin/pip install -q -r requirements.txt",
};

impl Packages {
    /// Installs them when they are missing or others. Returns whether they are there afterwards.
    pub(crate) fn ensure(&self) -> bool {
        if !self.needs.iter().all(Need::ensure) {
            return false;
        }
        self.install().inspect_err(|error| eprintln!("{}: {error:#}", self.name)).is_ok()
    }

    fn install(&self) -> Result<()> {
        let folder: PathBuf = root().join("target/needs").join(self.folder);
        let mut hash = Sha256::new();
        for file in self.files {
            hash.update(std::fs::read(root().join(file)).with_context(|| format!("cannot read {file}"))?);
        }
        let wanted: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        // Written last, so that a folder with it is whole.
        let stamp = folder.join("installed");
        if std::fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
            return Ok(());
        }
        eprintln!("installing {}", self.name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        for file in self.files {
            let name = file.rsplit('/').next().unwrap_or(file);
            std::fs::copy(root().join(file), folder.join(name))?;
        }
        let status = Command::new("sh").args(["-c", self.script]).current_dir(&folder).status()?;
        ensure!(status.success(), "`{}` failed: {status}", self.script);
        Ok(std::fs::write(stamp, wanted)?)
    }
}
