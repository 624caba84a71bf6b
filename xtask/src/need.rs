//! What the tests need beside Rust and a C compiler, and how to get it from the ordinary package manager.

use std::process::{Command, Stdio};

/// One thing needed: how to see that it is there, and which Debian packages bring it.
pub(crate) struct Need {
    pub(crate) name: &'static str,
    /// A command that exits with 0 when it is there.
    probe: &'static [&'static str],
    packages: &'static [&'static str],
}

/// Rebuilds the JavaScript engine from its C source.
pub(crate) const WASM_TOOLCHAIN: Need = Need {
    name: "clang 14 with its wasm32 run-time library, lld and wasi-libc",
    probe: &[
        "sh",
        "-c",
        "command -v clang-14 && command -v wasm-ld-14 && test -e /usr/include/wasm32-wasi/stdio.h && \
         test -e /usr/lib/llvm-14/lib/clang/14.0.6/lib/wasi/libclang_rt.builtins-wasm32.a",
    ],
    packages: &["clang-14", "lld-14", "wasi-libc", "libclang-rt-14-dev-wasm32"],
};

/// The yardstick of the attempt benchmark.
pub(crate) const NODE: Need = Need { name: "Node.js", probe: &["node", "--version"], packages: &["nodejs"] };

/// Stands in for a container engine: it starts the image that packaging/Dockerfile describes.
pub(crate) const BUBBLEWRAP: Need =
    Need { name: "bubblewrap", probe: &["bwrap", "--version"], packages: &["bubblewrap"] };

/// Checks the service file.
pub(crate) const SYSTEMD: Need =
    Need { name: "systemd-analyze", probe: &["systemd-analyze", "--version"], packages: &["systemd"] };

/// Runs the TypeScript snippets.
pub(crate) const NPM: Need = Need { name: "npm", probe: &["npm", "--version"], packages: &["npm"] };

/// Runs the Python snippets.
pub(crate) const PYTHON: Need = Need {
    name: "Python 3 with venv",
    probe: &["python3", "-c", "import venv, ensurepip"],
    packages: &["python3", "python3-venv"],
};

impl Need {
    fn is_met(&self) -> bool {
        let Some((program, args)) = self.probe.split_first() else { return true };
        Command::new(program)
            .args(args)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    /// Installs it when it is missing. Returns whether it is there afterwards.
    pub(crate) fn ensure(&self) -> bool {
        if self.is_met() {
            return true;
        }
        eprintln!("installing {}: {}", self.name, self.packages.join(" "));
        let script = format!(
            "set -e; S=; [ \"$(id -u)\" = 0 ] || S='sudo -n'; export DEBIAN_FRONTEND=noninteractive; \
             $S apt-get update -q; $S apt-get install -q -y --no-install-recommends {}",
            self.packages.join(" ")
        );
        let installed = Command::new("sh").args(["-c", &script]).status().is_ok_and(|status| status.success());
        installed && self.is_met()
    }
}
