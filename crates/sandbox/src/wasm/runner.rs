//! Worker process: attempts as fibers that yield at every epoch tick.

use std::fs::File;
use std::task::{Context, Poll};

use bytes::Bytes;
use sublet_model::Outcome;

use super::WasmError;
use crate::{Failure, Limits};

/// One attempt's input.
#[derive(Debug, Clone)]
pub struct Task {
    /// JSON text: the handler's first argument.
    pub event: Bytes,
    /// JSON text of `AttemptContext`: the handler's second argument, but for its functions.
    pub context_json: Bytes,
    pub limits: Limits,
    /// Seeds `Math.random`.
    pub seed: u64,
    /// The wall clock at the start, in milliseconds since 1970; the attempt's clock runs on from there.
    pub now_ms: i64,
}

/// The worker's engine with room for a fixed number of attempts at once.
pub struct Runner {}

impl Runner {
    /// # Safety
    /// `run_code` must be [`super::EngineCode::run`] as made by our server: it is run as machine code.
    pub unsafe fn new(run_code: &[u8], slots: usize) -> Result<Runner, WasmError> {
        Err(WasmError::Runtime(format!("not yet: {} {slots}", run_code.len())))
    }

    /// Maps an image; its pages are shared with every process that maps the same file.
    ///
    /// # Safety
    /// `image` must hold bytes made by [`super::seal_image`] in our server and be sealed against writing.
    pub unsafe fn load_image(&self, image: File) -> Result<LoadedImage, WasmError> {
        Err(WasmError::Runtime(format!("not yet: {image:?}")))
    }

    /// Takes a slot and gets ready to run; nothing of the tenant's has run before the first poll. Dropping `Running`
    /// gives the slot back. With all slots taken the attempt ends as `Crashed`: the caller counts its slots.
    pub fn start(&self, _image: &LoadedImage, _task: Task) -> Running {
        Running {}
    }

    pub fn epoch_handle(&self) -> EpochHandle {
        EpochHandle {}
    }
}

/// Ticks the epoch: safe from a thread or a signal handler (one atomic addition).
#[derive(Clone)]
pub struct EpochHandle {}

impl EpochHandle {
    pub fn increment(&self) {}
}

/// A function ready for attempts; cheap to clone.
#[derive(Clone)]
pub struct LoadedImage {}

/// One attempt under way.
pub struct Running {}

impl Running {
    /// Runs until the attempt ends or the epoch ticks (then `Pending`, with the waker already woken). After `Ready` it
    /// must not be polled again.
    pub fn poll(&mut self, _cx: &mut Context<'_>) -> Poll<RunEnd> {
        Poll::Pending
    }

    /// Ends it from outside (deadline, CPU limit, kill), keeping what it logged.
    pub fn stop(self, outcome: Outcome, failure: Failure) -> RunEnd {
        RunEnd { outcome, result: None, failure: Some(failure), log: Bytes::new(), memory_peak_bytes: 0 }
    }
}

/// How an attempt ended: the part of a `Report` that is known here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunEnd {
    pub outcome: Outcome,
    pub result: Option<Bytes>,
    pub failure: Option<Failure>,
    pub log: Bytes,
    pub memory_peak_bytes: u64,
}
