//! The data directory: held by one process, its log preallocated, its free room watched.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::fs::{FlockOperation, flock, statvfs};
use sublet_model::Error;
use sublet_store::Room;

use crate::option::RESERVE_CHECK_EVERY;

pub(crate) const DATABASE_FILE: &str = "sublet.db";
const WAL_FILE: &str = "sublet.db-wal";
const LOCK_FILE: &str = "sublet.lock";
const ZEROS: usize = 1 << 20;

/// Held as long as it lives; the kernel lets go of it when the process dies, however it dies.
pub(crate) struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// Errors: `Unavailable` when another process (or another store of this one) holds the directory.
    pub(crate) fn take(dir: &Path) -> Result<DirectoryLock, Error> {
        std::fs::create_dir_all(dir).map_err(|e| unusable(dir, e))?;
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(dir.join(LOCK_FILE))
            .map_err(|e| unusable(dir, e))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(DirectoryLock { _file: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                Err(Error::unavailable(format!("another sublet process holds {}", dir.display())))
            }
            Err(error) => Err(unusable(dir, error)),
        }
    }
}

fn unusable(dir: &Path, error: impl std::fmt::Display) -> Error {
    Error { source_text: Some(error.to_string()), ..Error::unavailable(format!("cannot use {}", dir.display())) }
}

/// Gives the log its blocks, by writing zeros behind what is there. SQLite reads a log up to the first frame whose
/// checksum does not fit, so zeros are to it what the tail of an earlier, longer log is. Called once the database has
/// its first page (beside an empty database a log is deleted) and before anyone else writes. The zeros are really
/// written, not `fallocate`d: unwritten extents cost a journal commit at their first use.
pub(crate) fn preallocate_log(dir: &Path, bytes: u64) -> Result<(), Error> {
    let path = dir.join(WAL_FILE);
    let mut file =
        OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(|e| unusable(&path, e))?;
    let mut length = file.seek(SeekFrom::End(0)).map_err(|e| unusable(&path, e))?;
    if length >= bytes {
        return Ok(());
    }
    let zeros = vec![0_u8; ZEROS];
    while length < bytes {
        let part = usize::try_from(bytes - length).unwrap_or(ZEROS).min(ZEROS);
        file.write_all(&zeros[..part]).map_err(|e| unusable(&path, e))?;
        length += part as u64;
    }
    file.sync_all().map_err(|e| unusable(&path, e))
}

pub(crate) fn has_room(dir: &Path, bytes: u64) -> bool {
    free(dir).is_none_or(|free| free >= bytes)
}

/// What the file system and the log say now.
pub(crate) fn room(dir: &Path, reserve_bytes: u64) -> Room {
    let log_bytes = std::fs::metadata(dir.join(WAL_FILE)).map_or(0, |log| log.len());
    Room { free_bytes: free(dir), reserve_bytes, log_bytes }
}

/// A file system that does not say how full it is cannot be watched; its writes still fail honestly.
fn free(dir: &Path) -> Option<u64> {
    statvfs(dir).ok().map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Whether there is room to accept more, looked at once a second at most.
pub(crate) struct Reserve {
    dir: PathBuf,
    bytes: u64,
    looked: Option<Instant>,
    reached: bool,
}

impl Reserve {
    pub(crate) fn new(dir: &Path, bytes: u64) -> Reserve {
        Reserve { dir: dir.to_owned(), bytes, looked: None, reached: false }
    }

    /// Errors: `Unavailable` when the reserve is reached.
    pub(crate) fn check(&mut self) -> Result<(), Error> {
        if self.looked.is_none_or(|at| at.elapsed() >= RESERVE_CHECK_EVERY) {
            self.looked = Some(Instant::now());
            self.reached = !has_room(&self.dir, self.bytes);
        }
        if self.reached { Err(Error::storage_full()) } else { Ok(()) }
    }
}
