//! Taking a backup of a data folder, whether a server runs on it or not.

use std::collections::BTreeSet;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use sublet_model::{Error, Timestamp};

use super::Progress;
use super::manifest::{
    FORMAT, Files, MANIFEST_FILE, Manifest, Needed, count, needed, open_database, sum_of, sync_folder, unusable,
};
use super::verify::check;
use crate::disk::DATABASE_FILE;
use crate::fail::Fail;
use crate::schema;

/// Pages that are copied between two words of progress.
const PAGES_PER_STEP: i32 = 1_024;
/// The same for files.
const FILES_PER_STEP: usize = 64;
/// A body may be erased while the backup looks for it: then it begins anew, this often at most.
const TRIES_MAX: u32 = 5;

/// Why a try came to nothing.
enum Halt {
    /// A file that the copy refers to was erased since.
    Erased,
    Failed(Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Halt {
        Halt::Failed(error)
    }
}

impl From<Fail> for Halt {
    fn from(fail: Fail) -> Halt {
        Halt::Failed(fail.into_error())
    }
}

/// Copies everything in `data` to the folder `to`, which must not be there or be empty, and checks the copy. `to` has
/// its name once it is whole: until then it is `to` with `.partial` behind it, which is removed when something fails.
///
/// Errors: `Invalid` when `to` holds something, `NotFound` without a database in `data`, `Unavailable` when a file
/// cannot be read or written.
pub fn take(data: &Path, to: &Path, now: Timestamp, tell: &mut dyn FnMut(Progress)) -> Result<Manifest, Error> {
    if !data.join(DATABASE_FILE).is_file() {
        return Err(Error::not_found(format!("a database in {}", data.display())));
    }
    refuse_what_is_not_empty("to", to)?;
    let mut partial = to.as_os_str().to_owned();
    partial.push(".partial");
    let partial = Path::new(&partial);
    for _ in 0..TRIES_MAX {
        match attempt(data, partial, now, tell) {
            Ok(manifest) => {
                std::fs::rename(partial, to).map_err(|error| unusable(to, error))?;
                sync_folder(parent_of(to))?;
                return Ok(manifest);
            }
            Err(Halt::Erased) => tracing::info!("a body was erased meanwhile: the backup begins anew"),
            Err(Halt::Failed(error)) => {
                drop(std::fs::remove_dir_all(partial));
                return Err(error);
            }
        }
    }
    drop(std::fs::remove_dir_all(partial));
    Err(Error::unavailable("bodies that the database refers to are missing, however often it is read"))
}

pub(super) fn refuse_what_is_not_empty(field: &str, folder: &Path) -> Result<(), Error> {
    match std::fs::read_dir(folder) {
        Ok(files) => match files.count() {
            0 => Ok(()),
            _ => Err(Error::invalid(field, format!("{} is not empty", folder.display()))),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(unusable(folder, error)),
    }
}

/// A name without a folder is in this one.
pub(super) fn parent_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn attempt(data: &Path, to: &Path, now: Timestamp, tell: &mut dyn FnMut(Progress)) -> Result<Manifest, Halt> {
    // What an earlier one left.
    if let Err(error) = std::fs::remove_dir_all(to)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(unusable(to, error).into());
    }
    make_folder(to)?;
    let source = open_database(data)?;
    // The one snapshot of all that follows; the first read takes it.
    source.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema").map_err(Error::internal)?;
    let files = needed(&source)?;
    // Linked first: what is linked stays, whatever is erased meanwhile.
    let (bodies, code) = carry(data, to, &files, tell)?;
    let database = to.join(DATABASE_FILE);
    copy_database(&source, &database, tell).map_err(|error| unusable(&database, error))?;
    let (database_bytes, database_sha256) = sum_of(&database).map_err(|error| unusable(&database, error))?;
    let manifest = Manifest {
        format: FORMAT,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        schema: schema::VERSION,
        taken: now,
        database_bytes,
        database_sha256,
        bodies,
        code,
        tenants: count(&source, "tenant")?,
        live: count(&source, "live")?,
    };
    drop(source);
    tell(Progress::Verifying);
    check(to)?;
    let text = serde_json::to_string_pretty(&manifest).map_err(Error::internal)?;
    let path = to.join(MANIFEST_FILE);
    write_durable(&path, text.as_bytes()).map_err(|error| unusable(&path, error))?;
    sync_folder(to)?;
    Ok(manifest)
}

/// Readable by its owner alone, as what it holds is.
pub(super) fn make_folder(folder: &Path) -> Result<(), Error> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| unusable(folder, error))
}

fn copy_database(source: &Connection, path: &Path, tell: &mut dyn FnMut(Progress)) -> rusqlite::Result<()> {
    let mut copy = Connection::open(path)?;
    copy.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")?;
    let backup = Backup::new(source, &mut copy)?;
    loop {
        // The source's transaction is open, so that every step sees the same moment.
        let step = backup.step(PAGES_PER_STEP)?;
        let progress = backup.progress();
        let total = u64::from(progress.pagecount.unsigned_abs());
        tell(Progress::Database { done: total - u64::from(progress.remaining.unsigned_abs()).min(total), total });
        if step == StepResult::Done {
            break;
        }
    }
    drop(backup);
    // One file, without a log beside it; the store makes it a database with a log again when it opens it.
    copy.execute_batch("PRAGMA journal_mode = DELETE")?;
    drop(copy);
    File::open(path).and_then(|file| file.sync_all()).map_err(|error| {
        rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR), Some(error.to_string()))
    })
}

/// Links or copies each of `files`.
fn carry(data: &Path, to: &Path, files: &[Needed], tell: &mut dyn FnMut(Progress)) -> Result<(Files, Files), Halt> {
    let (mut bodies, mut code) = (Files::default(), Files::default());
    let mut folders = BTreeSet::new();
    for (done, file) in files.iter().enumerate() {
        if done % FILES_PER_STEP == 0 {
            tell(Progress::Files { done: done as u64, total: files.len() as u64 });
        }
        let (from, copy) = (data.join(&file.path), to.join(&file.path));
        let folder = parent_of(&copy).to_owned();
        if folders.insert(folder.clone()) {
            make_folder(&folder)?;
        }
        match std::fs::hard_link(&from, &copy).or_else(|_| copy_file(&from, &copy)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound && !file.is_code => return Err(Halt::Erased),
            Err(error) => return Err(unusable(&from, error).into()),
        }
        let bytes = std::fs::metadata(&copy).map_err(|error| unusable(&copy, error))?.len();
        let part = if file.is_code { &mut code } else { &mut bodies };
        part.count += 1;
        part.bytes += bytes;
    }
    for folder in &folders {
        sync_folder(folder)?;
    }
    tell(Progress::Files { done: files.len() as u64, total: files.len() as u64 });
    Ok((bodies, code))
}

/// The copy is durable.
pub(super) fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = File::open(from)?;
    let mut copy = OpenOptions::new().write(true).create_new(true).open(to)?;
    io::copy(&mut source, &mut copy)?;
    copy.sync_data()
}

fn write_durable(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}
