//! Bodies over 16 KiB beside the log: each is a file of its own in `bodies/`, and its column holds the file's number.
//! In the database every byte would be written twice (to the log, and again at the checkpoint) and small accepts would
//! wait behind it; here it is written once, by the caller's side, before the commit that refers to it is handed over.
//!
//! Invariants:
//! - a file that a row refers to is there, whole and durable: file and directory are synced before the commit;
//! - a file is never changed. Its length and SHA-256 are in the table `body` and are checked at every read;
//! - a file without a row in `body` is worth nothing: what was not committed is removed when its caller is answered,
//!   and what a crash left is swept at the next open;
//! - a row of `body` goes in the commit that erases the column or drops the hour, its file right after that commit. A
//!   reader whose snapshot is older than that is told to ask again.

mod beside;
mod file;

pub(crate) use beside::{Beside, Part, drop_hour, erase_of};
pub(crate) use file::{Bodies, files, read_file};
