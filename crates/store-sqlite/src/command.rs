//! What callers hand to the writer: a verb, with the way its answer goes back.

use std::sync::Arc;

use rusqlite::Connection;
use sublet_model::{Error, UsageSum};
use sublet_store::{PendingDelivery, PendingMessage, Waiting};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::fail::{Fail, Outcome};
use crate::hot::Hot;
use crate::ledger::LedgerKey;
use crate::state::{Shared, State};

/// The open transaction, as a verb sees it.
pub(crate) struct Batch<'a, 'c> {
    pub(crate) conn: &'c Connection,
    pub(crate) hot: &'a mut Hot<'c>,
    pub(crate) state: &'a mut State,
    pub(crate) shared: &'a Arc<Shared>,
    pub(crate) after: After,
}

/// What follows from a batch once it is durable, and what must be undone when it is not.
#[derive(Default)]
pub(crate) struct After {
    pub(crate) waiting: Vec<Waiting>,
    pub(crate) deliveries: Vec<PendingDelivery>,
    pub(crate) messages: Vec<PendingMessage>,
    pub(crate) ledger: Vec<(LedgerKey, UsageSum, i64)>,
    /// Takes the place of the former receiver's.
    pub(crate) arrivals: Option<Option<mpsc::UnboundedSender<Vec<Waiting>>>>,
    pub(crate) delivery_arrivals: Option<mpsc::UnboundedSender<Vec<PendingDelivery>>>,
    pub(crate) message_arrivals: Option<mpsc::UnboundedSender<Vec<PendingMessage>>>,
    pub(crate) registry_changed: bool,
    /// Files that the batch refers to, and those that it no longer refers to.
    pub(crate) bodies_kept: Vec<i64>,
    pub(crate) bodies_gone: Vec<i64>,
    /// Identities remembered by this batch: forgotten again if it fails.
    pub(crate) identities: Vec<[u8; 16]>,
}

/// One verb in the writer's queue.
///
/// `apply` may be called twice: when a batch fails, its commands run again one by one, so that the one that breaks the
/// transaction takes no other with it.
pub(crate) trait Command: Send {
    /// Bytes it brings.
    fn weight(&self) -> usize;

    /// Does the work in the open transaction and keeps the answer. Errors: what breaks the transaction.
    fn apply(&mut self, batch: &mut Batch<'_, '_>) -> Result<(), Fail>;

    /// Gives the answer: its own after a commit, else the error.
    fn answer(self: Box<Self>, committed: Result<(), Error>);
}

/// Any verb, as a closure.
pub(crate) struct Verb<F, T> {
    run: F,
    answer: Option<Result<T, Error>>,
    reply: oneshot::Sender<Result<T, Error>>,
    weight: usize,
    /// Its share of the room for bodies that wait.
    _room: Option<OwnedSemaphorePermit>,
}

impl<F, T> Verb<F, T>
where
    F: FnMut(&mut Batch<'_, '_>) -> Outcome<T> + Send,
    T: Send,
{
    pub(crate) fn new(
        run: F,
        weight: usize,
        room: Option<OwnedSemaphorePermit>,
    ) -> (Verb<F, T>, oneshot::Receiver<Result<T, Error>>) {
        let (reply, receiver) = oneshot::channel();
        (Verb { run, answer: None, reply, weight, _room: room }, receiver)
    }
}

impl<F, T> Command for Verb<F, T>
where
    F: FnMut(&mut Batch<'_, '_>) -> Outcome<T> + Send,
    T: Send,
{
    fn weight(&self) -> usize {
        self.weight
    }

    fn apply(&mut self, batch: &mut Batch<'_, '_>) -> Result<(), Fail> {
        match (self.run)(batch) {
            Ok(value) => self.answer = Some(Ok(value)),
            Err(Fail::Refused(error)) => self.answer = Some(Err(error)),
            Err(fail) => return Err(fail),
        }
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), Error>) {
        let answer = match committed {
            Ok(()) => self.answer.unwrap_or_else(|| Err(Error::internal("a verb was answered before it ran"))),
            Err(error) => Err(error),
        };
        // The caller may have stopped waiting; what was written stands.
        drop(self.reply.send(answer));
    }
}
