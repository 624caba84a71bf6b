//! What a backup says of itself.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};
use sublet_model::{Error, Timestamp};
use sublet_store::ObjectHash;
use sublet_store::code::Hasher;

use crate::body;
use crate::disk::DATABASE_FILE;
use crate::fail::Outcome;

pub(super) const MANIFEST_FILE: &str = "manifest.json";
/// Code objects, below the data folder and below a backup.
pub(super) const CODE_FOLDER: &str = sublet_store::code::FOLDER;
/// This program's.
pub(super) const FORMAT: u32 = 1;
/// Bytes read at a time where a whole file would be too much for memory.
const CHUNK_BYTES: usize = 1 << 20;

/// How many files, and their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Files {
    pub count: u64,
    pub bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub format: u32,
    /// The version of the program that took it.
    pub program: String,
    pub schema: i64,
    /// When it was begun: everything acknowledged before is in it.
    pub taken: Timestamp,
    pub database_bytes: u64,
    pub database_sha256: ObjectHash,
    pub bodies: Files,
    pub code: Files,
    pub tenants: u64,
    /// Invocations that wait or were running.
    pub live: u64,
}

/// A file that the database refers to.
#[derive(Debug, Clone)]
pub(super) struct Needed {
    /// Below the data folder, and below a backup.
    pub(super) path: PathBuf,
    pub(super) sum: ObjectHash,
    pub(super) is_code: bool,
}

/// Every file that the database of `conn` refers to, each once.
pub(super) fn needed(conn: &Connection) -> Outcome<Vec<Needed>> {
    let mut files = Vec::new();
    for (path, sum) in body::files(conn)? {
        files.push(Needed { path, sum, is_code: false });
    }
    let objects = "SELECT package FROM version UNION SELECT image FROM version UNION SELECT package FROM layer";
    let mut statement = conn.prepare(objects)?;
    let sums = statement.query_map([], |row| row.get::<_, [u8; 32]>(0))?;
    for sum in sums {
        let sum = ObjectHash(sum?);
        files.push(Needed { path: Path::new(CODE_FOLDER).join(sum.path()), sum, is_code: true });
    }
    Ok(files)
}

pub(super) fn count(conn: &Connection, table: &str) -> Outcome<u64> {
    let rows: i64 = conn.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?;
    Ok(rows.unsigned_abs())
}

/// The length and the sum of a file of any size.
pub(super) fn sum_of(path: &Path) -> io::Result<(u64, ObjectHash)> {
    let mut file = File::open(path)?;
    let (mut hasher, mut bytes) = (Hasher::default(), 0);
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok((bytes, hasher.finish())),
            length => {
                hasher.add(&chunk[..length]);
                bytes += length as u64;
            }
        }
    }
}

/// `path` as it is named to the operator: below the folder.
pub(super) fn damaged(folder: &Path, path: &Path, why: impl std::fmt::Display) -> Error {
    let name = path.strip_prefix(folder).unwrap_or(path);
    Error::invalid("backup", format!("{} in {}: {why}", name.display(), folder.display()))
}

pub(super) fn unusable(path: &Path, why: impl std::fmt::Display) -> Error {
    Error::unavailable(format!("{}: {why}", path.display()))
}

/// The database in `folder`, to be read only. Its log, if there is one, is left as it is.
pub(super) fn open_database(folder: &Path) -> Result<Connection, Error> {
    let path = folder.join(DATABASE_FILE);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(&path, flags).map_err(|error| unusable(&path, error))?;
    conn.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(Error::internal)?;
    Ok(conn)
}

/// Makes the names in `folder` durable.
pub(super) fn sync_folder(folder: &Path) -> Result<(), Error> {
    File::open(folder).and_then(|file| file.sync_all()).map_err(|error| unusable(folder, error))
}
