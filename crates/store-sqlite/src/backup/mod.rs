//! A copy of everything that is kept, taken while the server runs, and the way back.
//!
//! A backup is a folder: `manifest.json`, `sublet.db`, `bodies/` and `code/`. It is one moment: the database is copied
//! under one read transaction, which holds up no writer (only the log grows meanwhile), and bodies and code objects are
//! those that the copy refers to. They never change, so that on the same file system they are linked, not copied.
//! These are plain functions over folders: they need no running store, and nothing of one.
//!
//! Invariants: a folder with a manifest is a whole and checked backup, since it gets its name last; what was
//! acknowledged before [`take`] began is in it; nothing is ever written into a folder that holds something.

mod manifest;
mod restore;
mod take;
mod verify;

pub use manifest::{Files, Manifest};
pub use restore::restore;
pub use take::take;
pub use verify::verify;

/// What is being done, for whoever waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Pages of the database.
    Database { done: u64, total: u64 },
    /// Bodies and code objects.
    Files { done: u64, total: u64 },
    /// The copy is read again and compared with its sums.
    Verifying,
}
