//! The loop of a worker that runs attempts: take what has come, give everybody a slice, hand back results; wait only
//! when nobody could run.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::BorrowedFd;
use std::time::Instant;

use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, Timespec};
use sublet_model::Outcome;

use super::executor::Executor;
use super::outlet::Outlet;
use super::startup::{Fault, Hooks};
use super::tick::Tick;
use crate::wasm::{LoadedImage, Runner};
use crate::wire::{Arrival, Done, FromWorker, Inlet, RunOrder, TO_WORKER_BYTES_MAX, ToWorker};

/// Images in hand at once; the server keeps to fewer.
const IMAGES_MAX: usize = 4096;

struct Worker<'a> {
    runner: &'a Runner,
    slots: usize,
    executor: Executor<'a>,
    /// Those that could not be loaded keep the reason, for the attempts that want them.
    images: HashMap<u64, Result<LoadedImage, String>>,
    hooks: Hooks,
}

pub(super) fn serve(
    runner: &Runner,
    slots: usize,
    mut tick: Tick,
    socket: BorrowedFd<'_>,
    mut inlet: Inlet,
    outlet: &mut Outlet<'_>,
    hooks: Hooks,
) -> Result<(), Fault> {
    let mut worker = Worker { runner, slots, executor: Executor::new(runner), images: HashMap::new(), hooks };
    loop {
        let arrival = if worker.executor.is_ready() {
            inlet.fill(socket, false)?
        } else {
            worker.executor.flush(outlet)?;
            tick.disarm();
            wait(&worker.executor, socket, &mut inlet)?
        };
        match arrival {
            Arrival::End => return Ok(()),
            Arrival::Nothing => {}
            Arrival::Bytes => {
                let received = Instant::now();
                while let Some(frame) = inlet.next_frame(TO_WORKER_BYTES_MAX)? {
                    worker.take(ToWorker::decode(frame)?, &mut inlet, received, outlet)?;
                }
                worker.executor.forget_time();
            }
        }
        worker.executor.ring();
        if worker.executor.is_ready() {
            tick.arm();
        }
        worker.executor.round(outlet)?;
    }
}

/// Blocks until the server sends something or the next wall deadline passes.
fn wait(executor: &Executor<'_>, socket: BorrowedFd<'_>, inlet: &mut Inlet) -> Result<Arrival, Fault> {
    let Some(deadline) = executor.nearest_deadline() else { return Ok(inlet.fill(socket, true)?) };
    let left = deadline.saturating_duration_since(Instant::now());
    let timeout = Timespec::try_from(left).map_err(|_| Fault::Protocol("a wall limit of centuries"))?;
    match rustix::event::poll(&mut [PollFd::from_borrowed_fd(socket, PollFlags::IN)], Some(&timeout)) {
        Ok(0) | Err(rustix::io::Errno::INTR) => Ok(Arrival::Nothing),
        Ok(_) => Ok(inlet.fill(socket, false)?),
        Err(errno) => Err(errno.into()),
    }
}

impl Worker<'_> {
    fn take(
        &mut self,
        message: ToWorker,
        inlet: &mut Inlet,
        received: Instant,
        outlet: &mut Outlet<'_>,
    ) -> Result<(), Fault> {
        match message {
            ToWorker::LoadImage { image, kind } => {
                if self.images.len() >= IMAGES_MAX {
                    return Err(Fault::Protocol("more images than a worker holds"));
                }
                let file = File::from(inlet.take_file()?);
                // SAFETY: our server made the image and sealed its file; nobody else can write to this socket. Machine code
                // comes to the processes of its tenant alone, which is what they are for.
                let loaded = unsafe { self.runner.load_image(file, kind) };
                self.images.insert(image, loaded.map_err(|error| error.to_string()));
            }
            ToWorker::Unload { image } => {
                self.images.remove(&image);
            }
            ToWorker::Run(order) => self.run(order, received, outlet)?,
            ToWorker::Cancel { attempt } => self.executor.cancel(attempt, outlet)?,
            ToWorker::Message { attempt, message } => self.executor.deliver(attempt, message),
            ToWorker::Ping { number } => {
                outlet.push(&FromWorker::Pong { number })?;
                outlet.flush()?;
            }
            ToWorker::Hello { .. } | ToWorker::Base | ToWorker::Build(_) | ToWorker::Compile { .. } => {
                return Err(Fault::Protocol("not now"));
            }
        }
        Ok(())
    }

    fn run(&mut self, order: RunOrder, received: Instant, outlet: &mut Outlet<'_>) -> Result<(), Fault> {
        if let Some(result) = self.hooks.play.and_then(|play| play(&order.event)) {
            outlet.push(&FromWorker::Done(played(order.attempt, result)))?;
            return Ok(());
        }
        let attempt = order.attempt;
        let reason = match self.images.get(&order.image) {
            _ if self.executor.holds(attempt) => return Err(Fault::Protocol("an attempt twice")),
            _ if self.executor.len() >= self.slots => "every slot of the worker is taken".to_owned(),
            Some(Ok(image)) => {
                let image = image.clone();
                self.executor.accept(order, image, received);
                return Ok(());
            }
            Some(Err(reason)) => format!("the image could not be loaded: {reason}"),
            None => "the image was not loaded".to_owned(),
        };
        outlet.push(&FromWorker::Declined { attempt, reason })?;
        Ok(())
    }
}

fn played(attempt: u64, result: Vec<u8>) -> Done {
    Done {
        attempt,
        outcome: Outcome::Succeeded,
        result: Some(result.into()),
        failure: None,
        log: Bytes::new(),
        wall_us: 0,
        cpu_us: 0,
        memory_peak_bytes: 0,
        instructions: None,
    }
}
