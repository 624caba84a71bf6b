//! The one thread that writes: it takes what has queued up, carries it out in one transaction, and answers after the
//! commit. One fsync serves them all; while it runs, the next batch queues up.
//!
//! Not here: what the verbs do. Invariants: commands are carried out in the order they were handed over; nothing is
//! answered or announced before it is durable; a batch that fails takes down only the command that broke it.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use sublet_model::Error;
use tokio::sync::{mpsc, oneshot};

use crate::answer::Answerer;
use crate::command::{After, Batch, Command};
use crate::disk::DirectoryLock;
use crate::fail::Fail;
use crate::hot::Hot;
use crate::ledger;
use crate::meter::Meters;
use crate::option::{
    BATCH_BYTES_MAX, BATCH_COMMANDS_MAX, CHECKPOINT_GAP, CHECKPOINT_GAP_LONG, CHECKPOINT_PAGES, LEDGER_ROUND_EVERY,
    LEDGER_SLICE_EVERY,
};
use crate::state::{Shared, State};

pub(crate) enum Message {
    Command(Box<dyn Command>),
    /// Brings the log into the database now.
    Checkpoint(oneshot::Sender<()>),
    /// Writes a slice of the ledger's sums; answers whether more wait.
    FlushLedger(oneshot::Sender<bool>),
    /// Ends the thread once everything before is durable.
    Close(oneshot::Sender<()>),
}

/// What the thread is started with.
pub(crate) struct Start {
    pub(crate) conn: Connection,
    pub(crate) state: State,
    pub(crate) shared: Arc<Shared>,
    pub(crate) messages: Receiver<Message>,
    pub(crate) answerer: Answerer,
    /// Pages in the log at which a checkpoint no longer waits for a gap.
    pub(crate) log_pages_max: u64,
    pub(crate) lock: DirectoryLock,
}

/// The thread's whole life: until every sender is gone, or `Close`. `ready` hears whether it began.
pub(crate) fn run(start: Start, ready: &SyncSender<Result<(), Error>>) {
    let Start { conn, state, shared, messages, answerer, log_pages_max, lock } = start;
    let hot = match Hot::prepare(&conn) {
        Ok(hot) => hot,
        Err(fail) => {
            let _ = ready.send(Err(fail.into_error()));
            return;
        }
    };
    let _ = ready.send(Ok(()));
    let ledger_flushed = Instant::now();
    let writer = Writer {
        conn: &conn,
        hot,
        state,
        shared,
        messages,
        answerer,
        log_pages_max,
        log_pages: 0,
        ledger_flushed,
        meters: Meters::new(),
        broken: None,
    };
    let closed = writer.write_on();
    // The connection is closed before the directory is let go, and both before the caller hears of it.
    drop(conn);
    drop(lock);
    if let Some(closed) = closed {
        let _ = closed.send(());
    }
}

struct Writer<'c> {
    conn: &'c Connection,
    hot: Hot<'c>,
    state: State,
    shared: Arc<Shared>,
    messages: Receiver<Message>,
    answerer: Answerer,
    log_pages_max: u64,
    /// Pages in the log that are not yet in the database.
    log_pages: u64,
    ledger_flushed: Instant,
    meters: Meters,
    /// Why nothing is written any more.
    broken: Option<String>,
}

/// What the ledger's sums are waiting for.
enum LedgerNeeds {
    Nothing,
    /// The next round.
    Round,
    /// The next slice of a round that is begun.
    Slice,
}

enum Next {
    Message(Message),
    Gap,
    End,
}

impl Writer<'_> {
    /// Answers who asked for the end.
    fn write_on(mut self) -> Option<oneshot::Sender<()>> {
        let mut commands: Vec<Box<dyn Command>> = Vec::with_capacity(BATCH_COMMANDS_MAX);
        loop {
            let first = match self.next() {
                Next::Message(message) => message,
                Next::Gap => {
                    self.use_gap();
                    continue;
                }
                Next::End => return None,
            };
            let control = self.gather(first, &mut commands);
            self.run_batch(&mut commands);
            if self.log_pages >= self.log_pages_max {
                self.checkpoint();
            }
            match control {
                None => {}
                Some(Message::Checkpoint(done)) => {
                    self.checkpoint();
                    let _ = done.send(());
                }
                Some(Message::FlushLedger(done)) => {
                    let more = self.broken.is_none() && self.ledger_waits() && self.flush_ledger();
                    let _ = done.send(more && self.ledger_waits());
                }
                Some(Message::Close(done)) => {
                    self.end();
                    return Some(done);
                }
                Some(Message::Command(_)) => {}
            }
        }
    }

    /// The last words of a store that is closed: sums that are only in memory and pages that are only in the log are
    /// written where they belong. One that is dropped leaves them, as a crash does, to the next open.
    fn end(&mut self) {
        while self.broken.is_none() && self.ledger_waits() && self.flush_ledger() {}
        self.checkpoint();
    }

    /// Everything that is there already, up to the bounds of a batch. A control message ends the batch and comes back.
    fn gather(&mut self, first: Message, commands: &mut Vec<Box<dyn Command>>) -> Option<Message> {
        let mut bytes = 0;
        let mut next = Some(first);
        loop {
            match next {
                Some(Message::Command(command)) => {
                    bytes += command.weight();
                    commands.push(command);
                }
                Some(control) => return Some(control),
                None => return None,
            }
            if commands.len() >= BATCH_COMMANDS_MAX || bytes >= BATCH_BYTES_MAX {
                return None;
            }
            next = self.messages.try_recv().ok();
        }
    }

    fn next(&mut self) -> Next {
        match self.patience() {
            None => self.messages.recv().map_or(Next::End, Next::Message),
            Some(patience) => match self.messages.recv_timeout(patience) {
                Ok(message) => Next::Message(message),
                Err(RecvTimeoutError::Timeout) => Next::Gap,
                Err(RecvTimeoutError::Disconnected) => Next::End,
            },
        }
    }

    /// How long to wait before a gap is put to use; `None`: there is nothing to use it for.
    fn patience(&self) -> Option<Duration> {
        if self.broken.is_some() {
            return None;
        }
        let flush = match self.ledger() {
            LedgerNeeds::Nothing => None,
            LedgerNeeds::Round => Some(LEDGER_ROUND_EVERY.saturating_sub(self.ledger_flushed.elapsed())),
            LedgerNeeds::Slice => Some(LEDGER_SLICE_EVERY.saturating_sub(self.ledger_flushed.elapsed())),
        };
        let checkpoint = match self.log_pages {
            0 => None,
            pages if pages >= CHECKPOINT_PAGES => Some(CHECKPOINT_GAP),
            _ => Some(CHECKPOINT_GAP_LONG),
        };
        match (flush, checkpoint) {
            (Some(flush), Some(checkpoint)) => Some(flush.min(checkpoint)),
            (one, other) => one.or(other),
        }
    }

    fn use_gap(&mut self) {
        if self.ledger_is_due() {
            self.flush_ledger();
        } else if self.log_pages > 0 {
            self.checkpoint();
        }
    }

    fn ledger(&self) -> LedgerNeeds {
        let memory = self.shared.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        match (memory.mid_round(), memory.waits()) {
            (true, _) => LedgerNeeds::Slice,
            (false, true) => LedgerNeeds::Round,
            (false, false) => LedgerNeeds::Nothing,
        }
    }

    fn ledger_waits(&self) -> bool {
        !matches!(self.ledger(), LedgerNeeds::Nothing)
    }

    fn ledger_is_due(&self) -> bool {
        let elapsed = self.ledger_flushed.elapsed();
        match self.ledger() {
            LedgerNeeds::Nothing => false,
            LedgerNeeds::Round => elapsed >= LEDGER_ROUND_EVERY,
            LedgerNeeds::Slice => elapsed >= LEDGER_SLICE_EVERY,
        }
    }

    /// One slice in a transaction of its own. Answers whether it was written.
    fn flush_ledger(&mut self) -> bool {
        let flushed = self.transact(&mut [], true).is_ok();
        self.note_log();
        flushed
    }

    fn run_batch(&mut self, commands: &mut Vec<Box<dyn Command>>) {
        if commands.is_empty() {
            return;
        }
        if let Some(why) = &self.broken {
            for command in commands.drain(..) {
                command.answer(Err(Error::unavailable(why.clone())));
            }
            return;
        }
        let flush = self.ledger_is_due();
        match self.transact(commands, flush) {
            Ok(()) => self.answerer.give(commands),
            Err(fail) if commands.len() == 1 || self.broken.is_some() => self.refuse(commands, fail),
            Err(_) => {
                for command in commands.drain(..) {
                    let mut alone = vec![command];
                    match self.transact(&mut alone, false) {
                        Ok(()) => self.answerer.give(&mut alone),
                        Err(fail) => self.refuse(&mut alone, fail),
                    }
                }
            }
        }
        self.note_log();
    }

    fn refuse(&mut self, commands: &mut Vec<Box<dyn Command>>, fail: Fail) {
        let error = fail.into_error();
        if error.source_text.is_some() {
            tracing::error!(error = %error, "a write to the store failed");
        }
        for command in commands.drain(..) {
            command.answer(Err(error.clone()));
        }
    }

    /// Carries out `commands` in one transaction and makes known what follows. On an error nothing happened.
    fn transact(&mut self, commands: &mut [Box<dyn Command>], flush_ledger: bool) -> Result<(), Fail> {
        let mut batch = Batch {
            conn: self.conn,
            hot: &mut self.hot,
            state: &mut self.state,
            shared: &self.shared,
            after: After::default(),
        };
        let began = Instant::now();
        let done = write(&mut batch, commands, flush_ledger);
        let after = batch.after;
        self.meters.committed(commands.len(), flush_ledger, began.elapsed());
        match done {
            Ok(()) => {
                if flush_ledger {
                    self.ledger_flushed = Instant::now();
                }
                self.make_known(after);
                Ok(())
            }
            Err(fail) => {
                self.undo(after, &fail);
                Err(fail)
            }
        }
    }

    fn make_known(&mut self, after: After) {
        if !after.ledger.is_empty() {
            let mut memory = self.shared.ledger.lock().unwrap_or_else(PoisonError::into_inner);
            for (key, sum, attempt) in after.ledger {
                memory.count(key, sum, attempt);
            }
        }
        if !after.bodies_kept.is_empty() {
            self.shared.bodies.keep(&after.bodies_kept);
        }
        self.shared.bodies.remove(after.bodies_gone);
        if let Some(sender) = after.arrivals {
            self.state.arrivals = sender;
        }
        if let Some(sender) = after.delivery_arrivals {
            self.state.delivery_arrivals = Some(sender);
        }
        if let Some(sender) = after.message_arrivals {
            self.state.message_arrivals = Some(sender);
        }
        announce(&mut self.state.arrivals, after.waiting);
        announce(&mut self.state.delivery_arrivals, after.deliveries);
        announce(&mut self.state.message_arrivals, after.messages);
        if after.registry_changed {
            self.shared.revision.send_modify(|revision| *revision += 1);
        }
    }

    /// Brings memory back to what the disk holds.
    fn undo(&mut self, after: After, fail: &Fail) {
        if !self.conn.is_autocommit() {
            drop(self.conn.execute_batch("ROLLBACK"));
        }
        let mut identities = self.shared.identities.lock().unwrap_or_else(PoisonError::into_inner);
        for key in &after.identities {
            identities.forget(key);
        }
        drop(identities);
        self.hot.forget_all();
        let reloaded = self.state.reload(self.conn);
        if fail.is_fatal() || reloaded.is_err() {
            self.shared.bodies.keep_all();
            tracing::error!(cause = ?fail, "the store stops writing: what its disk holds is no longer known");
            self.broken = Some("the store's disk failed; restart when it is mended".to_owned());
        }
    }

    /// Asks SQLite how many pages of the log are not yet in the database; does no work.
    fn note_log(&mut self) {
        self.log_pages = self.log_command("PRAGMA wal_checkpoint(NOOP)").unwrap_or(self.log_pages);
    }

    /// Brings the log into the database as far as readers let it. The log keeps its length: the next commit starts at
    /// its beginning again, on blocks that are there.
    fn checkpoint(&mut self) {
        if self.broken.is_some() {
            return;
        }
        let began = Instant::now();
        let left = self.log_command("PRAGMA wal_checkpoint(PASSIVE)");
        self.meters.checkpoint_seconds.record(began.elapsed().as_secs_f64());
        match left {
            // A reader that holds an old snapshot keeps pages back: try again in a long gap, not at once.
            Ok(left) => self.log_pages = left.min(CHECKPOINT_PAGES - 1),
            Err(error) => tracing::warn!(error = %error, "a checkpoint failed; it is tried again"),
        }
    }

    fn log_command(&self, pragma: &str) -> rusqlite::Result<u64> {
        self.conn.prepare_cached(pragma)?.query_row([], |row| {
            let (in_log, done): (i64, i64) = (row.get(1)?, row.get(2)?);
            Ok(u64::try_from(in_log - done).unwrap_or(0))
        })
    }
}

/// The transaction. The ledger's lock is held over the commit when a slice of it is written, so that no reader sees the
/// slice both in memory and in its rows, or in neither.
fn write(batch: &mut Batch<'_, '_>, commands: &mut [Box<dyn Command>], flush_ledger: bool) -> Result<(), Fail> {
    batch.hot.begin.execute([])?;
    for command in commands.iter_mut() {
        command.apply(batch)?;
    }
    if !flush_ledger {
        batch.hot.commit.execute([])?;
        return Ok(());
    }
    let mut memory = batch.shared.ledger.lock().unwrap_or_else(PoisonError::into_inner);
    let rows = ledger::write_slice(batch.conn, &mut memory)?;
    batch.hot.commit.execute([])?;
    memory.slice_is_written(rows);
    Ok(())
}

/// Tells the receiver, if there is one; a receiver that was dropped is none.
fn announce<T>(receiver: &mut Option<mpsc::UnboundedSender<Vec<T>>>, rows: Vec<T>) {
    if rows.is_empty() {
        return;
    }
    if let Some(sender) = receiver
        && sender.send(rows).is_err()
    {
        *receiver = None;
    }
}
