//! What is shipped, made from the program under test and tried as an operator would: the container image, the Debian
//! package.

mod container;
mod container_engine;
mod debian;
mod dockerfile;

use std::path::PathBuf;

/// The workspace's root, which the packages are made from.
fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}
