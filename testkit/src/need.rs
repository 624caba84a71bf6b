//! Programs that a test needs beside this workspace; `cargo xtask test` installs them.

use std::process::{Command, Stdio};

/// Whether the test may go on: `program` answers `--version`. If not, it says what does not run; under CI that is a
/// failure.
pub fn is_there(program: &str, test: &str) -> bool {
    let asked = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let there = asked.is_ok_and(|status| status.success());
    if !there {
        println!("not run: {test} ({program} is not there)");
        assert!(std::env::var_os("CI").is_none(), "CI must have {program}");
    }
    there
}
