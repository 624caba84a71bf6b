//! Runs many attempts on one thread, a slice each, and ends those that have used up their wall time, their CPU time or
//! their welcome. Who runs next is [`RunQueue`]'s to say.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use sublet_model::Outcome;
use sublet_model::clock::{Clock, SystemClock};

use super::meter::Meter;
use super::outlet::Outlet;
use super::queue::{FRESH_PER_ROUND_MAX, RunQueue};
use crate::ending;
use crate::wasm::{LoadedImage, Outgoing, RunEnd, Runner, Running, Task};
use crate::wire::{Done, FromWorker, RunOrder, cut_failure};
use crate::{Failure, Limits};

pub(super) struct Executor<'a> {
    runner: &'a Runner,
    attempts: HashMap<u64, Held>,
    queue: RunQueue,
    meter: Meter,
    /// Attempts that something woke since the last look.
    woken: Arc<Mutex<Vec<u64>>>,
    /// No attempt's wall time ends before this.
    nearest_deadline: Option<Instant>,
    /// When attempts that wait want to go on. One that went on earlier, or ended, leaves its entry behind.
    alarms: BinaryHeap<Reverse<(Instant, u64)>>,
}

/// One attempt from its order to its end.
struct Held {
    limits: Limits,
    received: Instant,
    deadline: Instant,
    cpu: Duration,
    stage: Stage,
    /// In no queue until a message comes or a timer is due; the time of that, if there is one.
    waits: Option<Option<Instant>>,
    alarm: Arc<Alarm>,
    waker: Waker,
}

enum Stage {
    Fresh(LoadedImage, Box<Task>),
    Running(Box<Running>),
    Ended,
}

/// Wakes one attempt. Called within its own slice, it means "preempted, go on"; at another time, "what I waited for
/// is here".
struct Alarm {
    attempt: u64,
    rang: AtomicBool,
    woken: Arc<Mutex<Vec<u64>>>,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.rang.swap(true, Ordering::Relaxed) {
            lock(&self.woken).push(self.attempt);
        }
    }
}

impl<'a> Executor<'a> {
    pub(super) fn new(runner: &'a Runner) -> Executor<'a> {
        Executor {
            runner,
            attempts: HashMap::new(),
            queue: RunQueue::default(),
            meter: Meter::new(),
            woken: Arc::default(),
            nearest_deadline: None,
            alarms: BinaryHeap::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.attempts.len()
    }

    pub(super) fn holds(&self, attempt: u64) -> bool {
        self.attempts.contains_key(&attempt)
    }

    /// Whether some attempt could use the processor now.
    pub(super) fn is_ready(&self) -> bool {
        !self.queue.is_empty()
    }

    /// When to wake up even if nothing comes: a wall deadline, or a timer of an attempt that waits.
    pub(super) fn nearest_deadline(&self) -> Option<Instant> {
        let alarm = self.alarms.peek().map(|Reverse((at, _))| *at);
        self.nearest_deadline.into_iter().chain(alarm).min()
    }

    /// The wall time counts from `received`, when its frame was taken off the socket.
    pub(super) fn accept(&mut self, order: RunOrder, image: LoadedImage, received: Instant) {
        let deadline = received + order.limits.wall;
        let alarm =
            Arc::new(Alarm { attempt: order.attempt, rang: AtomicBool::new(false), woken: Arc::clone(&self.woken) });
        let task = Task {
            event: order.event,
            context_json: order.context,
            environment_json: order.environment,
            limits: order.limits,
            seed: order.seed,
            now_ms: SystemClock.now().millis(),
        };
        let held = Held {
            limits: order.limits,
            received,
            deadline,
            cpu: Duration::ZERO,
            stage: Stage::Fresh(image, Box::new(task)),
            waits: None,
            waker: Waker::from(Arc::clone(&alarm)),
            alarm,
        };
        self.attempts.insert(order.attempt, held);
        self.queue.push_fresh(order.attempt);
        self.nearest_deadline = Some(self.nearest_deadline.map_or(deadline, |nearest| nearest.min(deadline)));
    }

    pub(super) fn cancel(&mut self, attempt: u64, outlet: &mut Outlet<'_>) -> io::Result<()> {
        self.end(attempt, Outcome::Cancelled, ending::cancelled(), outlet)
    }

    /// A message from outside; one for an attempt that has ended is nobody's.
    pub(super) fn deliver(&mut self, attempt: u64, message: bytes::Bytes) {
        let Some(held) = self.attempts.get_mut(&attempt) else { return };
        let Stage::Running(running) = &held.stage else { return };
        running.deliver(message);
        if held.waits.take().is_some() {
            self.queue.push_fresh(attempt);
        }
    }

    /// Those whose timer is due go on. Before the caller looks whether anybody is ready: only then does it tick, and what
    /// runs without ticks is never preempted.
    pub(super) fn ring(&mut self) {
        while let Some(&Reverse((at, attempt))) = self.alarms.peek() {
            if at > Instant::now() {
                return;
            }
            self.alarms.pop();
            if let Some(held) = self.attempts.get_mut(&attempt)
                && held.waits == Some(Some(at))
            {
                held.waits = None;
                self.queue.push_fresh(attempt);
            }
        }
    }

    /// Fresh attempts first, then one that was preempted.
    pub(super) fn round(&mut self, outlet: &mut Outlet<'_>) -> io::Result<()> {
        self.expire(outlet)?;
        for attempt in lock(&self.woken).drain(..) {
            if self.attempts.contains_key(&attempt) {
                self.queue.push_fresh(attempt);
            }
        }
        for _ in 0..self.queue.fresh_count().min(FRESH_PER_ROUND_MAX) {
            let Some(attempt) = self.queue.pop_fresh() else { break };
            self.slice(attempt, outlet)?;
        }
        if let Some(attempt) = self.queue.pop_preempted(Instant::now()) {
            // It may take a whole tick, and results must not wait for it.
            self.flush(outlet)?;
            self.slice(attempt, outlet)?;
        }
        Ok(())
    }

    /// Also before the worker waits. What sending costs is no attempt's.
    pub(super) fn flush(&mut self, outlet: &mut Outlet<'_>) -> io::Result<()> {
        if !outlet.is_empty() {
            outlet.flush()?;
            self.meter.forget();
        }
        Ok(())
    }

    /// The worker did something of its own.
    pub(super) fn forget_time(&mut self) {
        self.meter.forget();
    }

    /// Ends every attempt whose wall time is over, its turn or not.
    fn expire(&mut self, outlet: &mut Outlet<'_>) -> io::Result<()> {
        let now = Instant::now();
        if self.nearest_deadline.is_none_or(|nearest| now < nearest) {
            return Ok(());
        }
        let overdue: Vec<(u64, Duration)> = self
            .attempts
            .iter()
            .filter(|(_, held)| held.deadline <= now)
            .map(|(&attempt, held)| (attempt, held.limits.wall))
            .collect();
        for (attempt, wall) in overdue {
            self.end(attempt, Outcome::TimedOut, ending::timed_out(wall), outlet)?;
        }
        self.nearest_deadline = self.attempts.values().map(|held| held.deadline).min();
        Ok(())
    }

    /// Polls one attempt: until it ends, waits, uses up a limit, or its ticks have passed (two in its first slice, one in
    /// later ones; the runner counts them).
    fn slice(&mut self, attempt: u64, outlet: &mut Outlet<'_>) -> io::Result<()> {
        let Some(held) = self.attempts.get_mut(&attempt) else { return Ok(()) };
        self.meter.start();
        held.alarm.rang.store(false, Ordering::Relaxed);
        let polled = held.poll(self.runner);
        held.cpu += self.meter.lap();
        for outgoing in held.take_outgoing() {
            outlet.push(&match outgoing {
                Outgoing::Fetch { call, head, body } => FromWorker::Fetch { attempt, call, head, body },
                Outgoing::Abort { call } => FromWorker::AbortFetch { attempt, call },
            })?;
        }
        if let Poll::Ready(end) = polled {
            return self.finish(attempt, end, outlet);
        }
        let (limits, cpu, now) = (held.limits, held.cpu, Instant::now());
        if cpu >= limits.cpu {
            return self.end(attempt, Outcome::TimedOut, ending::cpu_used_up(limits.cpu), outlet);
        }
        if now >= held.deadline {
            return self.end(attempt, Outcome::TimedOut, ending::timed_out(limits.wall), outlet);
        }
        if held.alarm.rang.load(Ordering::Relaxed) {
            // It rang within its own slice: preempted. The list is for those that wait.
            lock(&self.woken).retain(|&woken| woken != attempt);
            self.queue.push_preempted(attempt, cpu, now);
            return Ok(());
        }
        let wake_at = held.wake_at();
        held.waits = Some(wake_at);
        if let Some(at) = wake_at {
            self.alarms.push(Reverse((at, attempt)));
        }
        Ok(())
    }

    /// Ends an attempt from outside; nothing happens if it has ended already.
    fn end(&mut self, attempt: u64, outcome: Outcome, failure: Failure, outlet: &mut Outlet<'_>) -> io::Result<()> {
        let Some(held) = self.attempts.get_mut(&attempt) else { return Ok(()) };
        let stage = std::mem::replace(&mut held.stage, Stage::Ended);
        let end = match stage {
            Stage::Running(running) => running.stop(outcome, failure),
            Stage::Fresh(..) | Stage::Ended => RunEnd {
                outcome,
                result: None,
                failure: Some(failure),
                log: bytes::Bytes::new(),
                memory_peak_bytes: 0,
                instructions: None,
            },
        };
        self.queue.remove(attempt);
        self.finish(attempt, end, outlet)
    }

    fn finish(&mut self, attempt: u64, end: RunEnd, outlet: &mut Outlet<'_>) -> io::Result<()> {
        let Some(held) = self.attempts.remove(&attempt) else { return Ok(()) };
        if self.attempts.is_empty() {
            self.nearest_deadline = None;
            self.alarms.clear();
        }
        let done = Done {
            attempt,
            outcome: end.outcome,
            result: end.result,
            failure: end.failure.map(cut_failure),
            log: end.log,
            wall_us: micros(held.received.elapsed()),
            cpu_us: micros(held.cpu),
            memory_peak_bytes: end.memory_peak_bytes,
            instructions: end.instructions,
        };
        outlet.push(&FromWorker::Done(done))?;
        if outlet.is_empty() {
            self.meter.forget();
        }
        Ok(())
    }
}

impl Held {
    fn poll(&mut self, runner: &Runner) -> Poll<RunEnd> {
        if let Stage::Fresh(image, task) = &self.stage {
            let running = runner.start(image, Task::clone(task));
            self.stage = Stage::Running(Box::new(running));
        }
        let Stage::Running(running) = &mut self.stage else { return Poll::Pending };
        running.poll(&mut Context::from_waker(&self.waker))
    }

    fn take_outgoing(&self) -> Vec<Outgoing> {
        if let Stage::Running(running) = &self.stage { running.take_outgoing() } else { Vec::new() }
    }

    fn wake_at(&self) -> Option<Instant> {
        if let Stage::Running(running) = &self.stage { running.wake_at() } else { None }
    }
}

fn lock(woken: &Mutex<Vec<u64>>) -> MutexGuard<'_, Vec<u64>> {
    woken.lock().unwrap_or_else(PoisonError::into_inner)
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
