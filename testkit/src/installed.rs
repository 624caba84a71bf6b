//! What `cargo xtask test` installs for the tests below `target/needs/`.

use std::path::{Path, PathBuf};

/// The folder of that name. `None` when it was not installed: the test says so and goes; under CI that is a failure.
pub fn installed(name: &str) -> Option<PathBuf> {
    let folder = root().join("target/needs").join(name);
    if folder.join("installed").exists() {
        return Some(folder);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "{} must be there under CI: `cargo xtask test` installs it",
        folder.display()
    );
    println!("not run: {name} packages are not installed; `cargo xtask test` installs them");
    None
}

/// The workspace's root folder.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}
