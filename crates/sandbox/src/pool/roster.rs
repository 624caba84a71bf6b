//! Keeps every seat taken by a live worker: a locked standby steps in the moment one dies, and another is made ready.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::connection::{Connection, ConnectionError};
use super::launch::Launcher;
use super::worker::{Job, Ticket, Worker};
use crate::wire::Role;
use crate::{Crash, Unavailable};

/// How long to wait after a worker that could not be started: at first, and at most.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// Workers started in a second; each takes some 5 ms of a core.
const STARTS_PER_SECOND_MAX: usize = 50;
/// A worker that has the image is preferred unless it is busier than the least busy one by this part of it: on a quiet
/// node an attempt is never queued behind another for the 0.3 ms that an image takes to load.
const AFFINITY_PART: usize = 4;

pub(super) struct Roster {
    launcher: Arc<Launcher>,
    slots_per_worker: usize,
    seats: Mutex<Seats>,
    /// A seat or the standby's place is empty.
    vacancy: Notify,
    /// A seat was taken.
    pub(super) arrival: Notify,
    is_closed: AtomicBool,
}

struct Seats {
    workers: Vec<Option<Arc<Worker>>>,
    standby: Option<Arc<Worker>>,
}

/// The kernel's signal for a system call outside the profile.
const SIGSYS: i32 = 31;

/// Ends the process and says how it looked.
async fn crash_of(fault: Option<&ConnectionError>, connection: Connection) -> Crash {
    match fault {
        Some(ConnectionError::Wire(_) | ConnectionError::Unexpected(_)) => Crash::Breach,
        Some(ConnectionError::Ended | ConnectionError::Io(_)) => match connection.process.end().await {
            Some(death) if death.signal == Some(SIGSYS) => Crash::ForbiddenCall,
            _ => Crash::Death,
        },
        // Dropping the connection ends the process.
        _ => Crash::Death,
    }
}

fn told(launched: Result<Connection, ConnectionError>) -> Result<Connection, ConnectionError> {
    let result = if launched.is_ok() { "ready" } else { "failed" };
    metrics::counter!("sublet_worker_starts_total", "result" => result).increment(1);
    launched
}

/// Why a job found no place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoPlace {
    Full,
    /// Every worker is gone at this moment.
    NoWorkers,
}

impl Roster {
    pub(super) fn new(launcher: Arc<Launcher>, worker_count: usize, slots_per_worker: usize) -> Arc<Roster> {
        let seats = Seats { workers: vec![None; worker_count], standby: None };
        Arc::new(Roster {
            launcher,
            slots_per_worker,
            seats: Mutex::new(seats),
            vacancy: Notify::new(),
            arrival: Notify::new(),
            is_closed: AtomicBool::new(false),
        })
    }

    /// Takes one worker for good and starts to fill the other seats.
    pub(super) fn start(self: &Arc<Roster>, first: Connection) {
        self.seat(first);
        tokio::spawn(Arc::clone(self).fill());
    }

    pub(super) async fn launch(&self) -> Result<Connection, ConnectionError> {
        told(self.launcher.launch(Role::Runner { slots: self.slots_per_worker }).await)
    }

    /// Sends the job to the worker that suits best: the image's own seat, else one that has it loaded, unless another is
    /// much less busy.
    pub(super) fn submit(&self, job: &Job) -> Result<Ticket, NoPlace> {
        loop {
            let Some(worker) = self.best_for(job)? else { return Err(NoPlace::Full) };
            // Between the look and the call it may have died or been filled up; then it no longer looks free.
            if let Some(ticket) = worker.submit(job) {
                return Ok(ticket);
            }
        }
    }

    fn best_for(&self, job: &Job) -> Result<Option<Arc<Worker>>, NoPlace> {
        let seats = self.lock();
        let mut workers =
            seats.workers.iter().enumerate().filter_map(|(seat, taken)| Some((seat, taken.as_ref()?))).peekable();
        if workers.peek().is_none() {
            return Err(NoPlace::NoWorkers);
        }
        let free = workers.filter(|(_, worker)| worker.has_room());
        let Some(least) = free.clone().map(|(_, worker)| worker.busy()).min() else { return Ok(None) };
        let most = least + least / AFFINITY_PART;
        let suited = free.filter(|(_, worker)| worker.busy() <= most);
        // Sooner or later every worker has loaded every image; that each image has a seat of its own as well keeps the
        // memories that have a large one mapped in one place, and an attempt there costs half.
        let own_seat = usize::try_from(job.image.number).unwrap_or(0) % seats.workers.len();
        let best =
            suited.min_by_key(|(seat, worker)| (!worker.has_loaded(&job.image), *seat != own_seat, worker.busy()));
        Ok(best.map(|(_, worker)| Arc::clone(worker)))
    }

    /// A worker that has run nothing and gets no seat: the standby, if it is there, else one that is started now.
    pub(super) async fn fresh(self: &Arc<Roster>) -> Result<Arc<Worker>, Unavailable> {
        if let Some(worker) = self.take_standby() {
            return Ok(worker);
        }
        let launched = self.launch().await;
        self.without_seat(launched, self.slots_per_worker)
    }

    /// A worker for one attempt whose instructions are counted.
    pub(super) async fn counting(self: &Arc<Roster>) -> Result<Arc<Worker>, Unavailable> {
        let launched = told(self.launcher.launch_counting().await);
        self.without_seat(launched, 1)
    }

    fn without_seat(
        self: &Arc<Roster>,
        launched: Result<Connection, ConnectionError>,
        slots: usize,
    ) -> Result<Arc<Worker>, Unavailable> {
        let connection = launched.map_err(|error| Unavailable::Broken(error.to_string()))?;
        let worker = self.launcher.worker(&connection, slots);
        tokio::spawn(Arc::clone(self).attend(Arc::clone(&worker), connection));
        Ok(worker)
    }

    fn take_standby(&self) -> Option<Arc<Worker>> {
        let taken = self.lock().standby.take();
        if taken.is_some() {
            self.vacancy.notify_one();
        }
        taken
    }

    pub(super) fn pids(&self) -> Vec<u32> {
        self.lock().workers.iter().flatten().map(|worker| worker.pid).collect()
    }

    /// Lets every process go; no seat is filled again.
    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        let mut seats = self.lock();
        let standby = seats.standby.take();
        for worker in seats.workers.iter_mut().filter_map(Option::take).chain(standby) {
            worker.end();
        }
        drop(seats);
        self.vacancy.notify_one();
        self.arrival.notify_waiters();
    }

    /// Runs for as long as the pool: one process at a time, since each uses a core while it starts.
    async fn fill(self: Arc<Roster>) {
        let mut backoff = BACKOFF_MIN;
        let mut starts: VecDeque<Instant> = VecDeque::new();
        while !self.is_closed() {
            if !self.has_vacancy() {
                self.vacancy.notified().await;
                continue;
            }
            // Workers that die as soon as they stand must not cost a core.
            if starts.len() >= STARTS_PER_SECOND_MAX
                && let Some(first) = starts.pop_front()
            {
                tokio::time::sleep_until(first + Duration::from_secs(1)).await;
            }
            starts.push_back(Instant::now());
            match self.launch().await {
                Ok(connection) => {
                    backoff = BACKOFF_MIN;
                    self.seat(connection);
                }
                Err(error) => {
                    tracing::warn!(%error, "a worker process could not be started");
                    tokio::time::sleep(backoff).await;
                    backoff = (backoff * 2).min(BACKOFF_MAX);
                }
            }
        }
    }

    /// Starts the task of a new worker and gives it the first empty place, the standby's last.
    fn seat(self: &Arc<Roster>, connection: Connection) {
        let worker = self.launcher.worker(&connection, self.slots_per_worker);
        let mut seats = self.lock();
        // Under the lock that `close` takes: a worker is either let go there or not seated here.
        if self.is_closed() {
            return;
        }
        match seats.workers.iter_mut().find(|seat| seat.is_none()) {
            Some(seat) => *seat = Some(Arc::clone(&worker)),
            None => seats.standby = Some(Arc::clone(&worker)),
        }
        drop(seats);
        self.arrival.notify_waiters();
        tokio::spawn(Arc::clone(self).attend(worker, connection));
    }

    /// From a worker's first frame to its last.
    pub(super) async fn attend(self: Arc<Roster>, worker: Arc<Worker>, mut connection: Connection) {
        let fault = worker.drive(&mut connection).await;
        // The standby steps in before anything else: new attempts must not wait for the burial.
        self.replace(&worker);
        worker.take_no_more();
        let crash = crash_of(fault.as_ref(), connection).await;
        let lost = worker.close(crash);
        if let Some(fault) = fault {
            let pid = worker.pid;
            metrics::counter!("sublet_worker_faults_total").increment(1);
            tracing::warn!(
                worker.pid = pid,
                attempts.lost = lost,
                "worker {pid} is gone with {lost} attempts: {fault}"
            );
        }
    }

    fn replace(&self, worker: &Arc<Worker>) {
        let mut seats = self.lock();
        if seats.standby.as_ref().is_some_and(|standby| Arc::ptr_eq(standby, worker)) {
            seats.standby = None;
        }
        let seat = seats.workers.iter().position(|seat| seat.as_ref().is_some_and(|taken| Arc::ptr_eq(taken, worker)));
        if let Some(seat) = seat {
            seats.workers[seat] = seats.standby.take();
        }
        drop(seats);
        self.arrival.notify_waiters();
        self.vacancy.notify_one();
    }

    fn has_vacancy(&self) -> bool {
        let seats = self.lock();
        seats.standby.is_none() || seats.workers.iter().any(Option::is_none)
    }

    fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
