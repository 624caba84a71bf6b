//! One worker that runs attempts, as the server sees it: what is in flight there, which images it has, and the task
//! that moves its frames and watches over it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sublet_model::Outcome;
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::connection::{Connection, ConnectionError, Outbox};
use super::images::SealedImage;
use super::outcall;
use super::verdict::{self, Known};
use crate::egress::{CALLS_MAX, Egress};
use crate::wire::{Done, FROM_WORKER_BYTES_MAX, FromWorker, RunOrder, TO_WORKER_BYTES_MAX, ToWorker, WireError};
use crate::{Crash, Limits, Report, Unavailable, ending};

/// How often a busy worker is looked at.
const WATCH_EVERY: Duration = Duration::from_millis(250);
/// How long past its wall limit an attempt may stay unreported before its worker counts as stuck.
const OVERDUE_AFTER: Duration = Duration::from_secs(1);
/// A busy worker that says nothing for this long is pinged, and must answer within the same time again.
const SILENT_AFTER: Duration = Duration::from_secs(2);
/// Resident memory beyond a worker's ceiling: what it shares with others (engine, images) counts too.
const RESIDENT_SLACK_BYTES: u64 = 512 << 20;
/// Bytes that may wait for a worker to read them before answers to its attempts' calls wait too.
const UNREAD_BYTES_MAX: usize = 1 << 20;
/// Reads of one worker's socket in a row, before others get their turn and the worker is looked at.
const READS_PER_TURN: usize = 16;
/// Images that one worker keeps loaded.
const LOADED_MAX: usize = 512;

pub(super) type Answer = Result<Report, Unavailable>;

/// What a worker is asked to run.
pub(super) struct Job {
    pub(super) image: Arc<SealedImage>,
    pub(super) event: Bytes,
    pub(super) context: Bytes,
    pub(super) environment: Bytes,
    pub(super) egress: Option<Arc<dyn Egress>>,
    pub(super) limits: Limits,
    pub(super) seed: u64,
    pub(super) stop: Option<watch::Receiver<bool>>,
    /// It has been sent to a worker.
    pub(super) is_sent: AtomicBool,
    pub(super) counts: bool,
}

impl Job {
    pub(super) fn known(&self) -> Known {
        Known { limits: self.limits, bytes_in: self.event.len() as u64, counts: self.counts }
    }
}

pub(super) struct Worker {
    pub(super) pid: u32,
    slots: usize,
    memory_bytes: u64,
    busy: AtomicUsize,
    state: Mutex<State>,
    outbox_filled: Notify,
    /// Little of what was sent is unread.
    has_read: Notify,
    ended_by_us: Notify,
}

struct State {
    is_gone: bool,
    last_attempt: u64,
    in_flight: HashMap<u64, InFlight>,
    /// When something was last in flight; its start, if nothing ever was.
    last_used: Instant,
    /// When each image was last wanted, on this worker's own clock.
    loaded: HashMap<u64, u64>,
    clock: u64,
    outbox: Outbox,
    /// Bytes that have left the outbox and wait for the worker to read.
    unsent: usize,
}

struct InFlight {
    /// None when nobody waits any more.
    answer: Option<oneshot::Sender<Answer>>,
    known: Known,
    sent: Instant,
    egress: Option<Arc<dyn Egress>>,
    /// The worker was told to end it.
    is_ending: bool,
    /// Those under way, and the number of the last one.
    calls: HashMap<u32, JoinHandle<()>>,
    last_call: u32,
}

/// However it ends.
impl Drop for InFlight {
    fn drop(&mut self) {
        self.abort_calls();
    }
}

/// An attempt on its way. Dropping it before the answer cancels the attempt.
pub(super) struct Ticket {
    worker: Arc<Worker>,
    attempt: u64,
    answer: oneshot::Receiver<Answer>,
    stop: Option<watch::Receiver<bool>>,
    is_answered: bool,
}

impl Ticket {
    pub(super) async fn answer(mut self) -> Answer {
        let answer = tokio::select! {
            biased;
            answer = &mut self.answer => answer,
            () = said(&mut self.stop) => {
                self.worker.end_attempt(self.attempt, true);
                (&mut self.answer).await
            }
        };
        self.is_answered = true;
        answer.unwrap_or_else(|_| Err(Unavailable::Broken("a worker was let go with attempts in flight".to_owned())))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.is_answered {
            self.worker.end_attempt(self.attempt, false);
        }
    }
}

/// Until the stop is said; without one, for ever.
pub(super) async fn said(stop: &mut Option<watch::Receiver<bool>>) {
    let is_said = match stop {
        Some(stop) => stop.wait_for(|is_said| *is_said).await.is_ok(),
        None => false,
    };
    if !is_said {
        std::future::pending().await
    }
}

impl Worker {
    pub(super) fn new(pid: u32, slots: usize, memory_bytes: u64) -> Arc<Worker> {
        Arc::new(Worker {
            pid,
            slots,
            memory_bytes,
            busy: AtomicUsize::new(0),
            state: Mutex::new(State {
                is_gone: false,
                last_attempt: 0,
                in_flight: HashMap::new(),
                last_used: Instant::now(),
                loaded: HashMap::new(),
                clock: 0,
                outbox: Outbox::default(),
                unsent: 0,
            }),
            outbox_filled: Notify::new(),
            has_read: Notify::new(),
            ended_by_us: Notify::new(),
        })
    }

    /// Attempts in flight.
    pub(super) fn busy(&self) -> usize {
        self.busy.load(Ordering::Relaxed)
    }

    /// Whether one more attempt may be sent.
    pub(super) fn has_room(&self) -> bool {
        let state = self.lock();
        !state.is_gone && state.in_flight.len() < self.slots
    }

    pub(super) fn is_gone(&self) -> bool {
        self.lock().is_gone
    }

    /// Since when nothing has been in flight; none while something is.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let state = self.lock();
        state.in_flight.is_empty().then_some(state.last_used)
    }

    pub(super) fn has_loaded(&self, image: &SealedImage) -> bool {
        self.lock().loaded.contains_key(&image.number)
    }

    /// Sends the job off, with its image if the worker does not have it. None when no slot is free or the worker is gone.
    pub(super) fn submit(self: &Arc<Worker>, job: &Job) -> Option<Ticket> {
        let mut state = self.lock();
        if state.is_gone || state.in_flight.len() >= self.slots {
            return None;
        }
        job.is_sent.store(true, Ordering::Relaxed);
        let was_empty = state.outbox.is_empty();
        state.load(&job.image);
        state.last_attempt += 1;
        let attempt = state.last_attempt;
        state.outbox.push(&ToWorker::Run(RunOrder {
            attempt,
            image: job.image.number,
            event: job.event.clone(),
            context: job.context.clone(),
            environment: job.environment.clone(),
            limits: job.limits,
            seed: job.seed,
        }));
        let (sender, answer) = oneshot::channel();
        let known = job.known();
        let in_flight = InFlight {
            answer: Some(sender),
            known,
            sent: Instant::now(),
            egress: job.egress.clone(),
            is_ending: false,
            calls: HashMap::new(),
            last_call: 0,
        };
        state.in_flight.insert(attempt, in_flight);
        self.busy.store(state.in_flight.len(), Ordering::Relaxed);
        drop(state);
        if was_empty {
            self.outbox_filled.notify_one();
        }
        Some(Ticket { worker: Arc::clone(self), attempt, answer, stop: job.stop.clone(), is_answered: false })
    }

    /// It is gone, or as good as gone; what is in flight hears of it from [`Worker::close`].
    pub(super) fn take_no_more(&self) {
        self.lock().is_gone = true;
    }

    /// Lets the process go; what is in flight ends as crashed.
    pub(super) fn end(&self) {
        self.ended_by_us.notify_one();
    }

    /// The slot stays taken until the worker says that it is free. `is_awaited`: somebody wants to know what it used.
    fn end_attempt(&self, attempt: u64, is_awaited: bool) {
        let mut state = self.lock();
        let Some(in_flight) = state.in_flight.get_mut(&attempt) else { return };
        if !is_awaited {
            in_flight.answer = None;
        }
        in_flight.abort_calls();
        if std::mem::replace(&mut in_flight.is_ending, true) {
            return;
        }
        state.outbox.push(&ToWorker::Cancel { attempt });
        drop(state);
        self.outbox_filled.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves frames until the worker ends or breaks a rule. Returns why; the caller drops the connection, which kills
    /// the process, and only then calls [`Worker::close`].
    pub(super) async fn drive(self: &Arc<Worker>, connection: &mut Connection) -> Option<ConnectionError> {
        let mut outbox = Outbox::default();
        let mut watch = tokio::time::interval(WATCH_EVERY);
        watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut silence = Silence { heard: Instant::now(), pinged: None, unanswered: 0 };
        let ended = async {
            loop {
                let waiting = self.collect(&mut outbox);
                connection.send_some(&mut outbox)?;
                self.note_sent(waiting, outbox.bytes())?;
                tokio::select! {
                    () = self.outbox_filled.notified() => {}
                    ready = connection.socket.readable() => {
                        ready?;
                        // A worker that writes faster than it is read must not keep this task from its watch, nor
                        // this process from its memory.
                        for _ in 0..READS_PER_TURN {
                            let is_more = connection.fill()?;
                            while let Some(message) = connection.take(FROM_WORKER_BYTES_MAX)? {
                                self.hear(message, &mut silence)?;
                            }
                            if !is_more {
                                break;
                            }
                        }
                        silence = Silence { heard: Instant::now(), pinged: None, ..silence };
                    }
                    ready = connection.socket.writable(), if !outbox.is_empty() => ready?,
                    _ = watch.tick(), if self.busy() > 0 => {
                        self.watch(&mut silence, &mut outbox)?;
                    }
                    () = self.ended_by_us.notified() => return Ok(()),
                }
            }
        };
        let ended: Result<(), ConnectionError> = ended.await;
        ended.err()
    }

    /// Takes over what is to be sent. Answers how many bytes that are by now.
    fn collect(&self, outbox: &mut Outbox) -> usize {
        let mut state = self.lock();
        outbox.append(&mut state.outbox);
        state.unsent = outbox.bytes();
        state.unsent
    }

    /// Errors: the worker leaves more unread than an honest one is ever sent.
    fn note_sent(&self, before: usize, left: usize) -> Result<(), ConnectionError> {
        if left < before {
            self.lock().unsent = left;
            if left <= UNREAD_BYTES_MAX {
                self.has_read.notify_waiters();
            }
        }
        if left > unread_bytes_max(self.slots) {
            return Err(ConnectionError::Overstepped("it does not read what it is sent"));
        }
        Ok(())
    }

    fn hear(self: &Arc<Worker>, message: FromWorker, silence: &mut Silence) -> Result<(), ConnectionError> {
        match message {
            FromWorker::Done(done) => self.settle(done),
            FromWorker::Declined { attempt, reason } => {
                let answer = self.take(attempt)?.answer.take();
                if let Some(answer) = answer {
                    // Nobody may be waiting any more.
                    let _ = answer.send(Err(Unavailable::Broken(reason)));
                }
                Ok(())
            }
            // One answer to one question, whatever else was said in between.
            FromWorker::Pong { .. } if silence.unanswered > 0 => {
                silence.unanswered -= 1;
                Ok(())
            }
            FromWorker::Fetch { attempt, call, head, body } => self.call_out(attempt, call, head, body),
            FromWorker::AbortFetch { attempt, call } => {
                let mut state = self.lock();
                let in_flight = state.in_flight.get_mut(&attempt).ok_or(WireError::Invalid("attempt"))?;
                if let Some(task) = in_flight.calls.remove(&call) {
                    task.abort();
                }
                Ok(())
            }
            FromWorker::Unfit { reason } => Err(ConnectionError::Unfit(reason)),
            FromWorker::Pong { .. }
            | FromWorker::Ready { .. }
            | FromWorker::Built(_)
            | FromWorker::Compiled { .. }
            | FromWorker::Refused(_) => Err(ConnectionError::Unexpected("a message out of turn")),
        }
    }

    /// Starts a call of a running attempt; one whose attempt is being ended is not made.
    fn call_out(self: &Arc<Worker>, attempt: u64, call: u32, head: Bytes, body: Bytes) -> Result<(), ConnectionError> {
        let mut state = self.lock();
        let in_flight = state.in_flight.get_mut(&attempt).ok_or(WireError::Invalid("attempt"))?;
        // An honest worker counts them from 1, and lets its guest have no more.
        if call <= in_flight.last_call || call > CALLS_MAX {
            return Err(WireError::Invalid("call").into());
        }
        in_flight.last_call = call;
        if in_flight.is_ending {
            return Ok(());
        }
        in_flight.calls.retain(|_, task| !task.is_finished());
        let task = outcall::run(Arc::clone(self), attempt, call, in_flight.egress.clone(), head, body);
        in_flight.calls.insert(call, tokio::spawn(task));
        Ok(())
    }

    /// Hands a message to an attempt, once the worker has read enough of what it was sent before. `false`: the attempt has
    /// ended.
    pub(super) async fn tell(&self, attempt: u64, message: Bytes) -> bool {
        let mut has_read = std::pin::pin!(self.has_read.notified());
        loop {
            // Before the look, so that what is read right after it is not missed.
            has_read.as_mut().enable();
            if let Some(is_told) = self.try_tell(attempt, &message) {
                return is_told;
            }
            has_read.as_mut().await;
            has_read.set(self.has_read.notified());
        }
    }

    /// `None`: there is enough to read already.
    fn try_tell(&self, attempt: u64, message: &Bytes) -> Option<bool> {
        let mut state = self.lock();
        if state.is_gone || !state.in_flight.contains_key(&attempt) {
            return Some(false);
        }
        if state.unsent + state.outbox.bytes() > UNREAD_BYTES_MAX {
            return None;
        }
        state.outbox.push(&ToWorker::Message { attempt, message: message.clone() });
        drop(state);
        self.outbox_filled.notify_one();
        Some(true)
    }

    fn settle(&self, done: Done) -> Result<(), ConnectionError> {
        let attempt = done.attempt;
        let mut state = self.lock();
        let Some(in_flight) = state.in_flight.get(&attempt) else { return Err(WireError::Invalid("attempt").into()) };
        let (known, sent) = (in_flight.known, in_flight.sent);
        // A report that does not hold leaves the attempt in flight: it ends with the worker.
        let mut report = verdict::report(done, known, sent.elapsed())?;
        report.worker = Some(self.pid);
        let answer = state.in_flight.remove(&attempt).and_then(|mut in_flight| {
            in_flight.hang_up(&mut report);
            in_flight.answer.take()
        });
        state.last_used = Instant::now();
        self.busy.store(state.in_flight.len(), Ordering::Relaxed);
        drop(state);
        if let Some(answer) = answer {
            // Nobody may be waiting any more.
            let _ = answer.send(Ok(report));
        }
        Ok(())
    }

    fn take(&self, attempt: u64) -> Result<InFlight, WireError> {
        let mut state = self.lock();
        let in_flight = state.in_flight.remove(&attempt).ok_or(WireError::Invalid("attempt"))?;
        state.last_used = Instant::now();
        self.busy.store(state.in_flight.len(), Ordering::Relaxed);
        Ok(in_flight)
    }

    fn watch(&self, silence: &mut Silence, outbox: &mut Outbox) -> Result<(), ConnectionError> {
        let now = Instant::now();
        if self.lock().in_flight.values().any(|in_flight| in_flight.is_overdue(now)) {
            return Err(ConnectionError::Overstepped("an attempt went on past its wall limit"));
        }
        // The kernel counts what the ceiling of private memory can be made to overlook. One that is gone is noticed
        // by its socket.
        let resident = sublet_jail::resident_bytes(self.pid).unwrap_or(0);
        if resident > self.memory_bytes.saturating_add(RESIDENT_SLACK_BYTES) {
            return Err(ConnectionError::Overstepped("more memory than its ceiling"));
        }
        match silence.pinged {
            Some(pinged) if now - pinged >= SILENT_AFTER => Err(ConnectionError::Overstepped("no answer to a ping")),
            Some(_) => Ok(()),
            None if now - silence.heard >= SILENT_AFTER => {
                silence.pinged = Some(now);
                silence.unanswered += 1;
                outbox.push(&ToWorker::Ping { number: 0 });
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// The process is dead: every attempt that was in flight gets its end. One that is overdue is the likely
    /// culprit and timed out; the others crashed through no fault that is known.
    pub(super) fn close(&self, crash: Crash) -> usize {
        let mut state = self.lock();
        let in_flight: Vec<InFlight> = state.in_flight.drain().map(|(_, in_flight)| in_flight).collect();
        self.busy.store(0, Ordering::Relaxed);
        drop(state);
        let now = Instant::now();
        let count = in_flight.len();
        for mut lost in in_flight {
            let (outcome, failure) = if lost.is_overdue(now) {
                (Outcome::TimedOut, ending::timed_out(lost.known.limits.wall))
            } else {
                (Outcome::Crashed, ending::crashed())
            };
            let mut report = verdict::lost(outcome, failure, crash, lost.known, now - lost.sent);
            report.worker = Some(self.pid);
            lost.hang_up(&mut report);
            if let Some(answer) = lost.answer.take() {
                let _ = answer.send(Ok(report));
            }
        }
        count
    }
}

/// What an honest worker may have left unread at most: an order for each of its slots, with what goes along, and messages.
fn unread_bytes_max(slots: usize) -> usize {
    slots.saturating_add(1).saturating_mul(TO_WORKER_BYTES_MAX).saturating_add(UNREAD_BYTES_MAX)
}

impl State {
    /// Passes the image on at first use; the least wanted one makes room.
    fn load(&mut self, image: &SealedImage) {
        self.clock += 1;
        if self.loaded.insert(image.number, self.clock).is_some() {
            return;
        }
        self.outbox
            .push_with_file(&ToWorker::LoadImage { image: image.number, kind: image.kind }, Arc::clone(&image.file));
        if self.loaded.len() > LOADED_MAX {
            let oldest = self.loaded.iter().min_by_key(|(_, wanted)| **wanted).map(|(&number, _)| number);
            if let Some(number) = oldest {
                self.loaded.remove(&number);
                self.outbox.push(&ToWorker::Unload { image: number });
            }
        }
    }
}

impl InFlight {
    /// Ends its calls, and reports all that it made.
    fn hang_up(&mut self, report: &mut Report) {
        self.abort_calls();
        if let Some(egress) = &self.egress {
            report.fetches = egress.records();
            let used = egress.used();
            (report.usage.fetches, report.usage.egress_bytes) = (used.calls, used.bytes);
        }
    }

    fn abort_calls(&mut self) {
        for (_, task) in self.calls.drain() {
            task.abort();
        }
    }

    fn is_overdue(&self, now: Instant) -> bool {
        now >= self.sent + self.known.limits.wall + OVERDUE_AFTER
    }
}

struct Silence {
    heard: Instant,
    pinged: Option<Instant>,
    /// Pings that were sent and have had no pong.
    unanswered: u32,
}

#[cfg(test)]
mod tests;
