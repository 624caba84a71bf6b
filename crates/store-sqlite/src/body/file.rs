//! The files: writing, reading, removing, and sweeping what a crash left.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension};
use sublet_model::{Error, TenantId};
use sublet_store::ObjectHash;
use tokio::sync::oneshot;

use crate::disk::has_room;
use crate::fail::{Fail, Outcome};
use crate::partition::Hour;

/// Below the data directory.
const FOLDER: &str = "bodies";

/// A row of `body`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) id: i64,
    bytes: u64,
    sum: ObjectHash,
}

/// What the janitor is asked for.
enum Errand {
    Remove(Vec<i64>),
    /// Answers once everything before is done.
    Flush(oneshot::Sender<()>),
}

/// The folder, as the running store uses it.
pub(crate) struct Bodies {
    folder: PathBuf,
    reserve_bytes: u64,
    next: AtomicI64,
    /// Written, and not (yet) referred to by a commit.
    pending: Mutex<HashSet<i64>>,
    janitor: Mutex<Sender<Errand>>,
}

fn path_of(folder: &Path, id: i64) -> PathBuf {
    folder.join(format!("{id:016x}"))
}

/// The folder that belongs to the database of `conn`.
fn folder_of(conn: &Connection) -> Outcome<PathBuf> {
    let database = conn.path().map(Path::new).and_then(Path::parent);
    Ok(database.ok_or_else(|| Fail::corrupt("a database without a folder"))?.join(FOLDER))
}

fn unusable(path: &Path, error: &io::Error) -> Error {
    Error { source_text: Some(error.to_string()), ..Error::unavailable(format!("cannot use {}", path.display())) }
}

impl Bodies {
    /// Sweeps what no row refers to, and starts the janitor. The directory's lock is held, so nobody else writes here.
    pub(crate) fn open(dir: &Path, conn: &Connection, reserve_bytes: u64) -> Result<Bodies, Error> {
        let folder = dir.join(FOLDER);
        std::fs::create_dir_all(&folder).map_err(|error| unusable(&folder, &error))?;
        let last = sweep(&folder, conn).map_err(Fail::into_error)?;
        let (janitor, errands) = channel();
        let own = folder.clone();
        std::thread::Builder::new()
            .name("store-janitor".to_owned())
            .spawn(move || clean(&own, &errands))
            .map_err(Error::internal)?;
        Ok(Bodies {
            folder,
            reserve_bytes,
            next: AtomicI64::new(last + 1),
            pending: Mutex::new(HashSet::new()),
            janitor: Mutex::new(janitor),
        })
    }

    /// Writes one file a body and makes them durable. Blocks. Errors: `Unavailable` when `watched` and the disk's
    /// reserve would be touched; then, and after any other error, no file is left.
    pub(super) fn write(&self, bodies: &[Bytes], watched: bool) -> Result<Vec<Entry>, Error> {
        let bytes: u64 = bodies.iter().map(|body| body.len() as u64).sum();
        if watched && !has_room(&self.folder, self.reserve_bytes.saturating_add(bytes)) {
            return Err(Error::storage_full());
        }
        let mut entries = Vec::with_capacity(bodies.len());
        let written = self.write_each(bodies, &mut entries);
        if let Err(error) = written {
            self.give_up(entries.iter().map(|entry| entry.id));
            return Err(error);
        }
        Ok(entries)
    }

    fn write_each(&self, bodies: &[Bytes], entries: &mut Vec<Entry>) -> Result<(), Error> {
        for body in bodies {
            let id = self.next.fetch_add(1, Ordering::Relaxed);
            self.pending.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
            entries.push(Entry { id, bytes: body.len() as u64, sum: ObjectHash::of(body) });
            let path = path_of(&self.folder, id);
            write_new(&path, body).map_err(|error| unusable(&path, &error))?;
        }
        // The names are as durable as the bytes, or a commit would refer to a file that a loss of power took.
        let folder = File::open(&self.folder).and_then(|folder| folder.sync_all());
        folder.map_err(|error| unusable(&self.folder, &error))
    }

    /// A commit refers to them.
    pub(crate) fn keep(&self, ids: &[i64]) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        for id in ids {
            pending.remove(id);
        }
    }

    /// Whether a commit came through is not known: nothing is removed, and the next open sees what is needed.
    pub(crate) fn keep_all(&self) {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Those of `ids` that no commit refers to are removed.
    pub(super) fn give_up(&self, ids: impl Iterator<Item = i64>) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let unused: Vec<i64> = ids.filter(|id| pending.remove(id)).collect();
        drop(pending);
        self.remove(unused);
    }

    /// Their rows are gone, durably.
    pub(crate) fn remove(&self, ids: Vec<i64>) {
        if !ids.is_empty() {
            self.send(Errand::Remove(ids));
        }
    }

    /// Waits until what was given up or removed before is gone.
    pub(crate) async fn flush(&self) {
        let (done, answer) = oneshot::channel();
        self.send(Errand::Flush(done));
        // A janitor that is gone has nothing left to do.
        drop(answer.await);
    }

    fn send(&self, errand: Errand) {
        let janitor = self.janitor.lock().unwrap_or_else(PoisonError::into_inner);
        // What it does not do, the sweep of the next open does.
        drop(janitor.send(errand));
    }
}

fn write_new(path: &Path, body: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(body)?;
    file.sync_data()
}

/// The janitor's thread: removing thousands of files must hold up neither the writer nor a runtime.
fn clean(folder: &Path, errands: &Receiver<Errand>) {
    while let Ok(errand) = errands.recv() {
        match errand {
            Errand::Remove(ids) => ids.into_iter().for_each(|id| remove(&path_of(folder, id))),
            Errand::Flush(done) => drop(done.send(())),
        }
    }
}

fn remove(path: &Path) {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(error = %error, "cannot remove {}: the next start tries again", path.display());
        }
        _ => {}
    }
}

/// Removes every file that no row refers to. Answers the greatest number that was ever seen.
fn sweep(folder: &Path, conn: &Connection) -> Outcome<i64> {
    let mut known: HashSet<i64> = HashSet::new();
    let mut statement = conn.prepare("SELECT id FROM body")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        known.insert(row.get(0)?);
    }
    let mut last = known.iter().copied().max().unwrap_or(0);
    let listing = std::fs::read_dir(folder).map_err(|error| unusable(folder, &error))?;
    for file in listing {
        let file = file.map_err(|error| unusable(folder, &error))?;
        let number = file.file_name().to_str().and_then(|name| i64::from_str_radix(name, 16).ok());
        last = last.max(number.unwrap_or(0));
        if number.is_none_or(|id| !known.contains(&id)) {
            remove(&file.path());
        }
    }
    Ok(last)
}

/// The body of that number, checked.
pub(crate) fn read_file(conn: &Connection, id: i64) -> Outcome<Vec<u8>> {
    let mut statement = conn.prepare_cached("SELECT bytes, sum FROM body WHERE id = ?")?;
    let entry = statement.query_row([id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((bytes, sum)) = entry else { return Err(Fail::corrupt(format!("body {id:016x} without a row"))) };
    let entry = entry_of(id, bytes, sum);
    let path = path_of(&folder_of(conn)?, id);
    match read_whole(&path, &entry) {
        Ok(body) => Ok(body),
        // Erased after this snapshot was taken; or somebody else removed it, and then asking again says so again.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Error::unavailable(format!("body {id:016x} was just erased, or is missing")).into())
        }
        Err(error) => Err(Fail::corrupt(format!("{}: {error}", path.display()))),
    }
}

/// Errors: `InvalidData` when the file is not what was written.
fn read_whole(path: &Path, entry: &Entry) -> io::Result<Vec<u8>> {
    let body = std::fs::read(path)?;
    if body.len() as u64 != entry.bytes || ObjectHash::of(&body) != entry.sum {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "its content is not what was written"));
    }
    Ok(body)
}

fn entry_of(id: i64, bytes: i64, sum: [u8; 32]) -> Entry {
    Entry { id, bytes: bytes.cast_unsigned(), sum: ObjectHash(sum) }
}

/// Every file that a row refers to, below the data folder, with its sum.
pub(crate) fn files(conn: &Connection) -> Outcome<Vec<(PathBuf, ObjectHash)>> {
    let mut statement = conn.prepare("SELECT id, sum FROM body ORDER BY id")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, ObjectHash(row.get(1)?))))?;
    let files = rows.map(|row| row.map(|(id, sum)| (path_of(Path::new(FOLDER), id), sum)));
    Ok(files.collect::<Result<_, _>>()?)
}

/// Writes the row of a file that the open transaction refers to.
pub(super) fn insert(conn: &Connection, entry: &Entry, hour: Hour, tenant: Option<TenantId>) -> Outcome<()> {
    let mut statement = conn.prepare_cached("INSERT INTO body VALUES (?,?,?,?,?)")?;
    statement.execute((entry.id, hour, tenant.map(TenantId::raw), entry.bytes.cast_signed(), entry.sum.0))?;
    Ok(())
}
