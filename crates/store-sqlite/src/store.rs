//! The store's handle: opening, handing over to the writer, reading beside it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use async_trait::async_trait;
use rusqlite::{Connection, OpenFlags};
use sublet_model::{Error, Timestamp};
use sublet_store::{Room, Store};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use crate::answer::Answerer;
use crate::body::Bodies;
use crate::command::{Batch, Command, Verb};
use crate::disk::{self, DATABASE_FILE, DirectoryLock, Reserve, preallocate_log};
use crate::fail::{Fail, Outcome};
use crate::identity::Identities;
use crate::ledger::LedgerMemory;
use crate::maintain;
use crate::option::{
    BODY_WRITERS_MAX, QUEUED_KIB_MAX, READER_CACHE_KIB, STATEMENTS_MAX, SqliteOptions, WRITER_CACHE_KIB,
};
use crate::schema;
use crate::state::{self, Shared, State};
use crate::writer::{self, Message, Start};

/// The embedded store: one directory, one process, one file.
pub struct SqliteStore {
    shared: Arc<Shared>,
    messages: Sender<Message>,
    /// KiB of bodies that may wait for the writer.
    room: Arc<Semaphore>,
    /// Turns of writing bodies to files.
    body_writers: Semaphore,
    readers: Readers,
    closed: AtomicBool,
    writer: Mutex<Option<JoinHandle<()>>>,
    dir: PathBuf,
    reserve_bytes: u64,
}

/// Read connections, each used by one call at a time.
struct Readers {
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

/// Of a database that is made anew. The log is written by the page, two system calls each: pages of 4 KiB cost a tenth of
/// the life cycle more, and those of 16 KiB gain nothing over these.
const PAGE_BYTES: u64 = 8_192;

impl SqliteStore {
    /// Opens the store in `dir`, making it if it is not there, and starts its writer.
    ///
    /// Errors: `Unavailable` when another process holds the directory, and when the database is a newer program's.
    pub fn open(dir: &Path, options: SqliteOptions) -> Result<Arc<SqliteStore>, Error> {
        let lock = DirectoryLock::take(dir)?;
        let log_bytes = options.wal_bytes.max(1 << 20);
        let path = dir.join(DATABASE_FILE);
        let conn = connect_writer(&path)?;
        schema::migrate(&conn)?;
        preallocate_log(dir, log_bytes)?;
        let shared = Arc::new(Shared {
            identities: Mutex::new(Identities::load(&conn).map_err(Fail::into_error)?),
            ledger: Mutex::new(LedgerMemory::load(&conn).map_err(Fail::into_error)?),
            bodies: Arc::new(Bodies::open(dir, &conn, options.reserve_bytes)?),
            revision: watch::channel(1).0,
        });
        let state = State::load(&conn, Reserve::new(dir, options.reserve_bytes)).map_err(Fail::into_error)?;
        let readers = Readers::open(&path, options.readers.max(1))?;
        let (messages, received) = channel();
        // A checkpoint no longer waits for a gap when the log is about to outgrow its preallocated length.
        let page_bytes: i64 = conn.query_row("PRAGMA page_size", [], |row| row.get(0)).map_err(Error::internal)?;
        let log_pages_max = log_bytes / (page_bytes.unsigned_abs() + 24) * 9 / 10;
        let answerer = Answerer::start();
        let start = Start { conn, state, shared: shared.clone(), messages: received, answerer, log_pages_max, lock };
        let (ready, began) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer::run(start, &ready))
            .map_err(Error::internal)?;
        began.recv().map_err(Error::internal)??;
        Ok(Arc::new(SqliteStore {
            shared,
            messages,
            room: Arc::new(Semaphore::new(QUEUED_KIB_MAX as usize)),
            body_writers: Semaphore::new(BODY_WRITERS_MAX),
            readers,
            closed: AtomicBool::new(false),
            writer: Mutex::new(Some(thread)),
            dir: dir.to_owned(),
            reserve_bytes: options.reserve_bytes,
        }))
    }

    pub(crate) fn bodies(&self) -> Arc<Bodies> {
        self.shared.bodies.clone()
    }

    pub(crate) fn body_writers(&self) -> &Semaphore {
        &self.body_writers
    }

    pub(crate) fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    /// Runs `verb` in the writer's next commit and waits for the answer.
    pub(crate) async fn write<T, F>(&self, verb: F) -> Result<T, Error>
    where
        F: FnMut(&mut Batch<'_, '_>) -> Outcome<T> + Send + 'static,
        T: Send + 'static,
    {
        let (command, answer) = Verb::new(verb, 0, None);
        self.hand_over(Box::new(command));
        answer.await.map_err(|_| closed())?
    }

    /// Waits until there is room for `bytes` of bodies among those that wait for the writer.
    pub(crate) async fn room(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Error> {
        let kib = u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX).min(QUEUED_KIB_MAX);
        self.room.clone().acquire_many_owned(kib).await.map_err(|_| closed())
    }

    /// The same as `write` for a verb that brings `bytes` of bodies, for which there is room.
    pub(crate) async fn write_bytes<T, F>(&self, bytes: usize, room: OwnedSemaphorePermit, verb: F) -> Result<T, Error>
    where
        F: FnMut(&mut Batch<'_, '_>) -> Outcome<T> + Send + 'static,
        T: Send + 'static,
    {
        let (command, answer) = Verb::new(verb, bytes, Some(room));
        self.hand_over(Box::new(command));
        answer.await.map_err(|_| closed())?
    }

    pub(crate) fn hand_over(&self, command: Box<dyn Command>) {
        if self.closed.load(Ordering::Acquire) {
            command.answer(Err(closed()));
            return;
        }
        if let Err(refused) = self.messages.send(Message::Command(command))
            && let Message::Command(command) = refused.0
        {
            command.answer(Err(closed()));
        }
    }

    /// Reads in one snapshot, on a thread where waiting for the disk holds up nobody.
    pub(crate) async fn read<T, F>(&self, look: F) -> Result<T, Error>
    where
        F: FnOnce(&Connection) -> Outcome<T> + Send + 'static,
        T: Send + 'static,
    {
        let permit = self.readers.permits.clone().acquire_owned().await.map_err(|_| closed())?;
        let idle = self.readers.idle.clone();
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let Some(conn) = idle.lock().unwrap_or_else(PoisonError::into_inner).pop() else {
                return Err(Error::internal("a permit without a connection"));
            };
            let found = snapshot(&conn, look);
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(conn);
            found.map_err(Fail::into_error)
        });
        task.await.map_err(Error::internal)?
    }

    /// Every sum that is only in memory, slice by slice, others' commits between them.
    pub(crate) async fn flush_ledger(&self) -> Result<(), Error> {
        loop {
            let (done, more) = oneshot::channel();
            self.messages.send(Message::FlushLedger(done)).map_err(|_| closed())?;
            if !more.await.map_err(|_| closed())? {
                return Ok(());
            }
        }
    }

    pub(crate) async fn checkpoint(&self) -> Result<(), Error> {
        let (done, answer) = oneshot::channel();
        self.messages.send(Message::Checkpoint(done)).map_err(|_| closed())?;
        answer.await.map_err(|_| closed())
    }
}

impl Drop for SqliteStore {
    /// Without `close`, what was handed over is still carried out, as nobody can tell it from what was not; then the
    /// directory is let go.
    fn drop(&mut self) {
        let (nobody, _) = channel();
        drop(std::mem::replace(&mut self.messages, nobody));
        if let Some(thread) = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take() {
            drop(thread.join());
        }
    }
}

fn closed() -> Error {
    Error::unavailable("the store is closed")
}

fn snapshot<T>(conn: &Connection, look: impl FnOnce(&Connection) -> Outcome<T>) -> Outcome<T> {
    conn.prepare_cached("BEGIN")?.execute([])?;
    let found = look(conn);
    // Nothing was written: ending it one way is as good as the other, and this one cannot fail halfway.
    conn.prepare_cached("ROLLBACK")?.execute([])?;
    found
}

impl Readers {
    fn open(path: &Path, count: usize) -> Result<Readers, Error> {
        let mut idle = Vec::with_capacity(count);
        for _ in 0..count {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let conn = Connection::open_with_flags(path, flags).map_err(Error::internal)?;
            conn.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
            conn.pragma_update(None, "cache_size", -READER_CACHE_KIB).map_err(Error::internal)?;
            idle.push(conn);
        }
        Ok(Readers { idle: Arc::new(Mutex::new(idle)), permits: Arc::new(Semaphore::new(count)) })
    }
}

fn connect_writer(path: &PathBuf) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).map_err(Error::internal)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // FULL: NORMAL loses acknowledged events when the power goes, and gains 9 %. Foreign keys: there are none, and
    // looking for them costs. The log is never shortened, and checkpoints are the writer's own.
    let pragmas = format!(
        "PRAGMA page_size = {PAGE_BYTES}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; \
         PRAGMA journal_size_limit = -1; PRAGMA cache_size = -{WRITER_CACHE_KIB}; PRAGMA foreign_keys = OFF; \
         PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;"
    );
    conn.execute_batch(&pragmas).map_err(Error::internal)?;
    // Closing the last connection would otherwise delete the log, and its blocks with it.
    conn.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(Error::internal)?;
    Ok(conn)
}

#[async_trait]
impl Store for SqliteStore {
    async fn maintain(&self, now: Timestamp, retain_from: Timestamp) -> Result<(), Error> {
        maintain::maintain(self, now, retain_from).await
    }

    async fn greatest_id(&self) -> Result<i64, Error> {
        self.read(state::greatest_handed_in).await
    }

    fn room(&self) -> Option<Room> {
        Some(disk::room(&self.dir, self.reserve_bytes))
    }

    async fn flush(&self) -> Result<(), Error> {
        self.write(|_| Ok(())).await?;
        self.shared.bodies.flush().await;
        Ok(())
    }

    async fn close(&self) -> Result<(), Error> {
        self.closed.store(true, Ordering::Release);
        let (done, answer) = oneshot::channel();
        if self.messages.send(Message::Close(done)).is_ok() {
            // An answer that does not come means that an earlier `close` has ended the writer.
            drop(answer.await);
        }
        Ok(())
    }
}
