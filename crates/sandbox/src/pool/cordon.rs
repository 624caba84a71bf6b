//! Worker processes of one tenant's own: started on demand, gone when they have been idle for a while, and never used by
//! another tenant.
//!
//! A process enters a cordon fresh (the standby, or one that is started now: it has run nothing) and leaves it only by its
//! end. The number of all of them together is bounded. When the bound is reached the one that has been idle longest goes;
//! when none is idle there is no room, as when a shared worker's slots are taken.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sublet_model::TenantId;
use tokio::sync::Notify;

use super::roster::Roster;
use super::worker::{Job, Ticket, Worker};
use crate::{Report, Unavailable};

pub(super) struct Cordons {
    roster: Arc<Roster>,
    processes_max: usize,
    idle_max: Duration,
    book: Mutex<Book>,
    /// A process came, or did not; or the pool is let go.
    changed: Notify,
}

#[derive(Default)]
struct Book {
    is_closed: bool,
    tenants: HashMap<TenantId, Cordon>,
}

#[derive(Default)]
struct Cordon {
    workers: Vec<Arc<Worker>>,
    /// One is on its way, and whoever wants it waits.
    is_starting: bool,
}

/// What there is for a job at this moment.
enum Place {
    Sent(Ticket),
    /// It is up to the caller to start one; its place is taken.
    Start,
    /// Somebody else starts one.
    Wait,
    Full,
}

impl Cordons {
    pub(super) fn start(roster: Arc<Roster>, processes_max: usize, idle_max: Duration) -> Arc<Cordons> {
        let cordons =
            Arc::new(Cordons { roster, processes_max, idle_max, book: Mutex::default(), changed: Notify::new() });
        tokio::spawn(Arc::clone(&cordons).let_idle_ones_go());
        cordons
    }

    pub(super) async fn run(&self, tenant: TenantId, job: &Job) -> Result<Report, Unavailable> {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // Before the look, so that what comes right after it is not missed.
            changed.as_mut().enable();
            match self.place(tenant, job)? {
                Place::Sent(ticket) => return ticket.answer().await,
                Place::Start => self.start_one(tenant).await?,
                Place::Wait => changed.await,
                Place::Full => return Err(Unavailable::Full),
            }
        }
    }

    fn place(&self, tenant: TenantId, job: &Job) -> Result<Place, Unavailable> {
        let mut book = self.lock();
        if book.is_closed {
            return Err(Unavailable::Draining);
        }
        book.forget_gone();
        let cordon = book.tenants.entry(tenant).or_default();
        cordon.workers.sort_by_key(|worker| worker.busy());
        // Under the lock, so that none of them is let go as idle in between.
        if let Some(ticket) = cordon.workers.iter().find_map(|worker| worker.submit(job)) {
            return Ok(Place::Sent(ticket));
        }
        if cordon.is_starting {
            return Ok(Place::Wait);
        }
        if book.processes() >= self.processes_max && !book.let_one_go() {
            book.forget_empty();
            return Ok(Place::Full);
        }
        book.tenants.entry(tenant).or_default().is_starting = true;
        Ok(Place::Start)
    }

    async fn start_one(&self, tenant: TenantId) -> Result<(), Unavailable> {
        // Told of however this ends, also when nobody waits for the attempt any more.
        let started = Started { cordons: self, tenant };
        let worker = self.roster.fresh().await?;
        let mut book = self.lock();
        if book.is_closed {
            worker.end();
            drop(book);
            drop(started);
            return Err(Unavailable::Draining);
        }
        tracing::debug!(tenant.id = %tenant, worker.pid = worker.pid, "{tenant} has worker {} to itself", worker.pid);
        book.tenants.entry(tenant).or_default().workers.push(worker);
        drop(book);
        drop(started);
        Ok(())
    }

    /// Runs for as long as the pool; wakes only while there is such a process.
    async fn let_idle_ones_go(self: Arc<Cordons>) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            let now = Instant::now();
            let next = {
                let mut book = self.lock();
                if book.is_closed {
                    return;
                }
                book.let_idle_go(now, self.idle_max)
            };
            match next {
                Some(at) => {
                    // The error says that the time is over.
                    let _ = tokio::time::timeout(at.saturating_duration_since(now), changed).await;
                }
                None => changed.await,
            }
        }
    }

    pub(super) fn pids(&self, tenant: TenantId) -> Vec<u32> {
        let mut book = self.lock();
        book.forget_gone();
        book.tenants
            .get(&tenant)
            .map(|cordon| cordon.workers.iter().map(|worker| worker.pid).collect())
            .unwrap_or_default()
    }

    /// Lets every process go; none is started again.
    pub(super) fn close(&self) {
        let mut book = self.lock();
        book.is_closed = true;
        for worker in book.tenants.drain().flat_map(|(_, cordon)| cordon.workers) {
            worker.end();
        }
        drop(book);
        self.changed.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Started<'a> {
    cordons: &'a Cordons,
    tenant: TenantId,
}

impl Drop for Started<'_> {
    fn drop(&mut self) {
        let mut book = self.cordons.lock();
        if let Some(cordon) = book.tenants.get_mut(&self.tenant) {
            cordon.is_starting = false;
        }
        book.forget_empty();
        drop(book);
        self.cordons.changed.notify_waiters();
    }
}

impl Book {
    fn processes(&self) -> usize {
        self.tenants.values().map(|cordon| cordon.workers.len() + usize::from(cordon.is_starting)).sum()
    }

    fn forget_gone(&mut self) {
        for cordon in self.tenants.values_mut() {
            cordon.workers.retain(|worker| !worker.is_gone());
        }
        self.forget_empty();
    }

    fn forget_empty(&mut self) {
        self.tenants.retain(|_, cordon| cordon.is_starting || !cordon.workers.is_empty());
        metrics::gauge!("sublet_workers_dedicated").set(self.processes() as f64);
    }

    /// Ends the one that has been idle longest; false when all are busy.
    fn let_one_go(&mut self) -> bool {
        let workers = self.tenants.values().flat_map(|cordon| &cordon.workers);
        let idle = workers.filter_map(|worker| Some((worker.idle_since()?, Arc::clone(worker))));
        let Some((_, oldest)) = idle.min_by_key(|(since, _)| *since) else { return false };
        self.remove(&oldest);
        true
    }

    /// Ends those that have been idle for so long. Returns when to look again.
    fn let_idle_go(&mut self, now: Instant, idle_max: Duration) -> Option<Instant> {
        self.forget_gone();
        let workers: Vec<Arc<Worker>> = self.tenants.values().flat_map(|cordon| &cordon.workers).cloned().collect();
        let mut next: Option<Instant> = None;
        for worker in workers {
            let until = worker.idle_since().unwrap_or(now) + idle_max;
            if until <= now {
                self.remove(&worker);
            } else {
                next = Some(next.map_or(until, |next| next.min(until)));
            }
        }
        next
    }

    /// Out of the book first: nothing is sent to one that is ended.
    fn remove(&mut self, gone: &Arc<Worker>) {
        for cordon in self.tenants.values_mut() {
            cordon.workers.retain(|worker| !Arc::ptr_eq(worker, gone));
        }
        self.forget_empty();
        gone.end();
    }
}
