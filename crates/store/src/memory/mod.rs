//! The store in memory: every verb of the traits under one lock, with the same answers as a store on disk.
//!
//! For tests, the conformance suite and the engine's seeded simulation. Not for production: nothing is written
//! anywhere, nothing ever leaves (there is no retention), and reads clone what they answer.
//!
//! Invariants:
//! - deterministic: the same calls in the same order give the same answers, ids included (`BTreeMap`s, ids minted from
//!   the `now` that verbs are handed, no clock, no randomness);
//! - a verb is done when its lock is let go: nothing is awaited inside, so a future that is dropped did all or nothing;
//! - the state outlives the handle. A simulated crash drops the engine and its handle and goes on with
//!   [`MemoryStore::reopen`] of a kept one: committed rows are there, receivers are not.

mod audit;
mod bus;
mod delivery;
mod erase;
mod fault;
mod key;
mod lease;
mod ledger;
mod listing;
mod message;
mod queue;
mod registry;
mod rollout;
mod secret;

use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use sublet_model::{Error, IdMint, Timestamp};
use tokio::sync::watch;

pub use fault::{Fault, Faults, NoFaults, Verb};

use crate::Store;

/// Everything kept. Each part's rows are in the file of the part.
struct State {
    /// Registry ids and attempt ids. One mint, because the in-memory store has one owner at a time.
    mint: IdMint,
    registry: registry::Rows,
    secrets: secret::Rows,
    rollouts: rollout::Rows,
    keys: key::Rows,
    audit: audit::Rows,
    bus: bus::Rows,
    queue: queue::Rows,
    deliveries: delivery::Rows,
    messages: message::Rows,
    ledger: ledger::Rows,
}

impl State {
    fn new() -> State {
        State {
            mint: IdMint::new(0, 0),
            registry: registry::Rows::default(),
            secrets: secret::Rows::default(),
            rollouts: rollout::Rows::default(),
            keys: key::Rows::default(),
            audit: audit::Rows::default(),
            bus: bus::Rows::default(),
            queue: queue::Rows::default(),
            deliveries: delivery::Rows::default(),
            messages: message::Rows::default(),
            ledger: ledger::Rows::default(),
        }
    }
}

struct Shared {
    state: Mutex<State>,
    /// The registry's revision, and the wake-up of those who wait for it to change.
    revision: watch::Sender<u64>,
    faults: Arc<dyn Faults>,
}

/// A handle on the store; see the module's docs.
pub struct MemoryStore {
    shared: Arc<Shared>,
    closed: AtomicBool,
}

/// What a verb leads to: an answer, or none for ever.
enum Answer<T> {
    Given(Result<T, Error>),
    Never,
}

impl MemoryStore {
    pub fn new() -> Arc<MemoryStore> {
        MemoryStore::with_faults(Arc::new(NoFaults))
    }

    /// `faults` is asked before every verb that writes.
    pub fn with_faults(faults: Arc<dyn Faults>) -> Arc<MemoryStore> {
        let (revision, _) = watch::channel(0);
        let shared = Shared { state: Mutex::new(State::new()), revision, faults };
        Arc::new(MemoryStore { shared: Arc::new(shared), closed: AtomicBool::new(false) })
    }

    /// The store as a new process finds it: every committed row, no receiver, not closed.
    pub fn reopen(&self) -> Arc<MemoryStore> {
        let mut state = self.state();
        state.queue.forget_receiver();
        state.deliveries.forget_receiver();
        state.messages.forget_receiver();
        drop(state);
        Arc::new(MemoryStore { shared: self.shared.clone(), closed: AtomicBool::new(false) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A poisoned lock means that an assertion of ours failed inside a verb; its test fails by that panic, and
        // hiding it behind a second one helps nobody.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads are never refused.
    fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state())
    }

    /// `change` keeps the rule of all verbs: when it answers an error it has changed nothing.
    fn commit<T>(&self, verb: Verb, change: impl FnOnce(&mut State) -> Result<T, Error>) -> Answer<T> {
        if self.closed.load(Ordering::SeqCst) {
            return Answer::Given(Err(Error::unavailable("the store is closed")));
        }
        let fault = self.shared.faults.decide(verb);
        if fault == Fault::BeforeCommit {
            return Answer::Given(Err(Error::unavailable(format!("{verb} was refused"))));
        }
        let result = change(&mut self.state());
        match fault {
            Fault::NeverAnswered => Answer::Never,
            Fault::AfterCommit => {
                Answer::Given(result.and_then(|_| Err(Error::internal(format!("the answer of {verb} was lost")))))
            }
            Fault::None | Fault::BeforeCommit => Answer::Given(result),
        }
    }

    async fn write<T: Send>(
        &self,
        verb: Verb,
        change: impl FnOnce(&mut State) -> Result<T, Error> + Send,
    ) -> Result<T, Error> {
        match self.commit(verb, change) {
            Answer::Given(result) => result,
            Answer::Never => pending().await,
        }
    }

    /// A change of the registry: raises the revision when it was made, whether or not its answer arrives.
    async fn register<T: Send>(&self, change: impl FnOnce(&mut State) -> Result<T, Error> + Send) -> Result<T, Error> {
        let revision = &self.shared.revision;
        let raise = |state: &mut State| {
            let done = change(state)?;
            revision.send_modify(|number| *number += 1);
            Ok(done)
        };
        self.write(Verb::Register, raise).await
    }
}

#[async_trait]
impl Store for MemoryStore {
    /// Nothing to do: sums are kept with every settle, and history is never dropped.
    async fn maintain(&self, _now: Timestamp, _retain_from: Timestamp) -> Result<(), Error> {
        Ok(())
    }

    async fn greatest_id(&self) -> Result<i64, Error> {
        Ok(self.read(|state| {
            let event = state.bus.events.last_key_value().map(|(id, _)| id.raw());
            let invocation = state.queue.invocations.keys().map(|(_, id)| id.raw()).max();
            let delivery = state.deliveries.records.last_key_value().map(|(id, _)| id.raw());
            event.max(invocation).max(delivery).max(state.messages.greatest()).unwrap_or(0)
        }))
    }

    async fn flush(&self) -> Result<(), Error> {
        Ok(())
    }

    async fn close(&self) -> Result<(), Error> {
        self.closed.store(true, Ordering::SeqCst);
        Ok(())
    }
}
