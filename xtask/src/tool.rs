//! Development tools that come from a language's own registry: pinned, installed once into `target/tools`, never into
//! the user's own folders.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{cargo, command, root};

pub(crate) struct Tool {
    pub(crate) name: &'static str,
    version: &'static str,
    /// What it says of its version.
    says: &'static str,
    from: Registry,
}

enum Registry {
    /// A crate, with what is switched on instead of its default features.
    Cargo {
        features: &'static str,
    },
    Npm,
}

/// Makes the Debian package. Without liblzma, which it would compile from C.
pub(crate) const CARGO_DEB: Tool =
    Tool { name: "cargo-deb", version: "3.8.0", says: "3.8.0", from: Registry::Cargo { features: "gzip" } };

/// The peer of the whole path's benchmark.
pub(crate) const WORKERD: Tool =
    Tool { name: "workerd", version: "1.20261117.1", says: "2026-11-17", from: Registry::Npm };

impl Tool {
    /// Where it is, installed when it is missing or another version. `None` when it cannot be.
    pub(crate) fn ensure(&self) -> Option<PathBuf> {
        let folder = root().join("target/tools").join(self.name);
        let program = match self.from {
            Registry::Cargo { .. } => folder.join("bin").join(self.name),
            Registry::Npm => folder.join("node_modules/.bin").join(self.name),
        };
        if self.is_there(&program) {
            return Some(program);
        }
        eprintln!("installing {} {} into {}", self.name, self.version, folder.display());
        let mut install = match self.from {
            Registry::Cargo { features } => self.cargo_install(&folder, features),
            Registry::Npm => self.npm_install(&folder),
        };
        let installed = install.current_dir(root()).status().is_ok_and(|status| status.success());
        (installed && self.is_there(&program)).then_some(program)
    }

    /// Not optimised: such a tool runs for seconds, and is built for every fresh checkout.
    fn cargo_install(&self, folder: &Path, features: &str) -> Command {
        let mut command = command(&cargo());
        command.args(["install", self.name, "--version", self.version, "--locked", "--debug", "--quiet", "--force"]);
        command.args(["--no-default-features", "--features", features]);
        command.arg("--root").arg(folder).arg("--target-dir").arg(folder.join("build"));
        command
    }

    fn npm_install(&self, folder: &Path) -> Command {
        let mut command = Command::new("npm");
        command.args(["install", "--no-audit", "--no-fund", "--silent", "--prefix"]).arg(folder);
        command.arg(format!("{}@{}", self.name, self.version));
        command
    }

    fn is_there(&self, program: &Path) -> bool {
        let asked = Command::new(program).arg("--version").output();
        asked.is_ok_and(|answer| String::from_utf8_lossy(&answer.stdout).contains(self.says))
    }
}
