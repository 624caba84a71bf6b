//! Worker process: attempts as fibers that yield at every epoch tick.

use std::fmt;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use sublet_model::Outcome;
use wasmtime::{Engine, Instance, InstancePre, Linker, MemoryType, Module, Store};

use super::WasmError;
use super::config;
use super::count;
use super::ending::classify;
use super::host::{self, Allowance, GuestClock, Host, Observed, Outgoing, Phase, imports};
use super::module::{self, LoadedModule};
use super::patch::{self, Patch};
use super::wasi::{self, Wasi};
use crate::{Failure, ImageKind, Limits};

/// Ticks until a fresh attempt yields for the first time; with one, an attempt that starts just before a tick would be
/// set back behind all others after no time at all.
pub(super) const FIRST_TICKS: u64 = 2;
/// Ticks between two later yields.
pub(super) const NEXT_TICKS: u64 = 1;

/// One attempt's input.
#[derive(Clone)]
pub struct Task {
    /// JSON text: the handler's first argument.
    pub event: Bytes,
    /// JSON text of `AttemptContext`: the handler's second argument, but for its functions.
    pub context_json: Bytes,
    /// JSON text of what is added to `process.env` for this attempt alone; empty: nothing.
    pub environment_json: Bytes,
    pub limits: Limits,
    /// Seeds `Math.random`.
    pub seed: u64,
    /// The wall clock at the start, in milliseconds since 1970; the attempt's clock runs on from there.
    pub now_ms: i64,
}

/// Without the tenant's data: the environment holds opened secrets.
impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("limits", &self.limits).field("now_ms", &self.now_ms).finish_non_exhaustive()
    }
}

/// The worker's engine with room for a fixed number of attempts at once.
pub struct Runner {
    shared: Arc<Shared>,
}

struct Shared {
    engine: Engine,
    module: Module,
    /// The engine is the one that counts its instructions.
    counts: bool,
    linker: Linker<Host>,
    base: InstancePre<Host>,
    base_pages: u32,
    /// For tenants' own modules.
    wasi: Linker<Wasi>,
}

impl Runner {
    /// # Safety
    /// `run_code` must be [`super::EngineCode::run`] or [`super::compile_counting_engine`]'s, as made by our server: it is
    /// run as machine code. `base` must hold
    /// [`super::Base::module`] of the same engine and be sealed against writing.
    pub unsafe fn new(run_code: &[u8], base: File, slots: usize) -> Result<Runner, WasmError> {
        let slots = u32::try_from(slots).map_err(|_| WasmError::Runtime(format!("{slots} slots")))?;
        let engine = Engine::new(&config::pooling(slots))?;
        // SAFETY: the caller vouches for the bytes.
        let module = unsafe { Module::deserialize(&engine, run_code)? };
        let counts = module.get_export(count::COUNTER).is_some();
        let linker = host::linker(&engine)?;
        let wasi = wasi::linker(&engine)?;
        // SAFETY: the caller vouches for the bytes, and that they stay as they are.
        let base = unsafe { Module::deserialize_open_file(&engine, base)? };
        let pages = base.exports().find_map(|export| export.ty().memory().map(MemoryType::minimum));
        let base_pages = pages.and_then(|pages| u32::try_from(pages).ok());
        let base_pages = base_pages.ok_or_else(|| WasmError::Runtime("a base without memory".to_owned()))?;
        let base = Linker::new(&engine).instantiate_pre(&base)?;
        Ok(Runner { shared: Arc::new(Shared { engine, module, counts, linker, base, base_pages, wasi }) })
    }

    /// Reads a snapshot that is a patch, maps one that is a module, and machine code; the pages of those are shared with
    /// every process that maps the same file.
    ///
    /// # Safety
    /// `image` must be sealed against writing. A snapshot must hold bytes made by [`super::seal_image`] in our server for our
    /// base; machine code what a builder of ours made of a module, and this process must run that tenant's alone.
    pub unsafe fn load_image(&self, image: File, kind: ImageKind) -> Result<LoadedImage, WasmError> {
        if kind == ImageKind::Machine {
            // SAFETY: the caller vouches for the bytes, and that they stay as they are.
            let module = unsafe { Module::deserialize_open_file(&self.shared.engine, image)? };
            return Ok(LoadedImage(Loaded::Machine(LoadedModule::new(&self.shared.wasi, &module)?)));
        }
        if let Some(patch) = self.read_patch(&image)? {
            let (instance, patch) = (self.shared.base.clone(), Some(Arc::new(patch)));
            return Ok(LoadedImage(Loaded::Snapshot(Snapshot { instance, patch })));
        }
        // SAFETY: the caller vouches for the bytes, and that they stay as they are.
        let module = unsafe { Module::deserialize_open_file(&self.shared.engine, image)? };
        let instance = Linker::new(&self.shared.engine).instantiate_pre(&module)?;
        Ok(LoadedImage(Loaded::Snapshot(Snapshot { instance, patch: None })))
    }

    fn read_patch(&self, image: &File) -> Result<Option<Patch>, WasmError> {
        let unreadable = |error: std::io::Error| WasmError::Runtime(format!("an image: {error}"));
        let mut mark = [0; patch::MARK.len()];
        image.read_exact_at(&mut mark, 0).map_err(unreadable)?;
        if mark != *patch::MARK {
            return Ok(None);
        }
        // Not by the standard library: it would find `statx` before the system call filter, and miss it behind.
        let size = rustix::fs::fstat(image).map_err(|errno| unreadable(errno.into()))?.st_size;
        let unfit = || WasmError::Runtime("an image that does not fit the base".to_owned());
        let size = usize::try_from(size).ok().filter(|&size| size <= patch::FILE_BYTES_MAX).ok_or_else(unfit)?;
        let mut bytes = vec![0; size];
        image.read_exact_at(&mut bytes, 0).map_err(unreadable)?;
        Patch::decode(bytes.into(), self.shared.base_pages).map(Some).ok_or_else(unfit)
    }

    /// Gets ready to run; the slot is taken and the tenant's code runs from the first poll on. Dropping `Running` gives
    /// the slot back. With all slots taken the attempt ends as `Crashed`: the caller counts its slots.
    pub fn start(&self, image: &LoadedImage, task: Task) -> Running {
        let snapshot = match &image.0 {
            Loaded::Snapshot(snapshot) => snapshot.clone(),
            Loaded::Machine(module) => {
                let wasi = module.host(&task);
                let observed = wasi.observed.clone();
                let run = Box::pin(module::attempt(self.shared.engine.clone(), module.clone(), wasi, task));
                return Running { run, observed };
            }
        };
        let memory_bytes_max = snapshot.patch.as_ref().map_or(u64::MAX, |patch| patch.memory_bytes_max());
        let allowance = Allowance {
            wall: task.limits.wall,
            memory_bytes: task.limits.memory_bytes.min(memory_bytes_max),
            result_bytes: task.limits.result_bytes,
            log_bytes: task.limits.log_bytes,
        };
        let host = Host::new(&allowance, GuestClock::RunsFrom(task.now_ms), Phase::Attempt);
        let observed = host.observed.clone();
        let run = Box::pin(attempt(self.shared.clone(), snapshot, host, task));
        Running { run, observed }
    }

    pub fn epoch_handle(&self) -> EpochHandle {
        EpochHandle { engine: self.shared.engine.clone() }
    }
}

/// Ticks the epoch: safe from a thread or a signal handler (one atomic addition).
#[derive(Clone)]
pub struct EpochHandle {
    engine: Engine,
}

impl EpochHandle {
    pub fn increment(&self) {
        self.engine.increment_epoch();
    }
}

/// A function ready for attempts; cheap to clone.
#[derive(Clone)]
pub struct LoadedImage(Loaded);

#[derive(Clone)]
enum Loaded {
    Snapshot(Snapshot),
    Machine(LoadedModule),
}

#[derive(Clone)]
struct Snapshot {
    /// The base's, if there is a patch.
    instance: InstancePre<Host>,
    patch: Option<Arc<Patch>>,
}

/// One attempt under way.
pub struct Running {
    run: Pin<Box<dyn Future<Output = RunEnd> + Send>>,
    observed: Arc<Observed>,
}

impl Running {
    /// Runs until the attempt ends, or the epoch ticks (then `Pending`, with the waker already woken), or it waits for a
    /// timer or a message (then `Pending` alone: see [`Running::wake_at`] and [`Running::deliver`]). After `Ready` it must
    /// not be polled again.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<RunEnd> {
        self.run.as_mut().poll(cx)
    }

    /// Hands it a message from outside. It takes it when it is polled next.
    pub fn deliver(&self, message: Bytes) {
        self.observed.mailbox.put(message);
    }

    /// What it asked of the server since the last look.
    pub(crate) fn take_outgoing(&self) -> Vec<Outgoing> {
        std::mem::take(&mut *self.observed.outgoing.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// After `Pending` without a tick: when it wants to be polled even if no message comes.
    pub fn wake_at(&self) -> Option<Instant> {
        self.observed.mailbox.wake_at()
    }

    /// Ends it from outside (deadline, CPU limit, kill), keeping what it logged.
    pub fn stop(self, outcome: Outcome, failure: Failure) -> RunEnd {
        drop(self.run);
        RunEnd::of(&self.observed, Err((outcome, failure)))
    }
}

/// How an attempt ended: the part of a `Report` that is known here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunEnd {
    pub outcome: Outcome,
    /// JSON text, as the guest wrote it: whoever does not trust this process checks it again.
    pub result: Option<Bytes>,
    pub failure: Option<Failure>,
    pub log: Bytes,
    pub memory_peak_bytes: u64,
    /// Of a module that counts them.
    pub instructions: Option<u64>,
}

impl RunEnd {
    pub(super) fn of(observed: &Observed, ending: Result<Bytes, (Outcome, Failure)>) -> RunEnd {
        let log = observed.log.lock().unwrap_or_else(PoisonError::into_inner).take();
        let memory_peak_bytes = observed.memory_peak_bytes.load(Ordering::Relaxed);
        let (outcome, result, failure) = match ending {
            Ok(result) => (Outcome::Succeeded, Some(result), None),
            Err((outcome, failure)) => (outcome, None, Some(failure)),
        };
        RunEnd { outcome, result, failure, log, memory_peak_bytes, instructions: observed.instructions() }
    }
}

async fn attempt(shared: Arc<Shared>, image: Snapshot, host: Host, task: Task) -> RunEnd {
    let observed = host.observed.clone();
    let limits = task.limits;
    let mut store = Store::new(&shared.engine, host);
    store.limiter(|host| host);
    store.set_epoch_deadline(FIRST_TICKS);
    store.epoch_deadline_async_yield_and_update(NEXT_TICKS);
    let called = call(&shared, &image, &mut store, task).await;
    if let Some(counter) = store.data().counter {
        observed.count_instructions(counter.get(&mut store).i64());
    }
    let finish = store.data_mut().finish.take();
    let denied = observed.memory_denied.load(Ordering::Relaxed);
    RunEnd::of(&observed, classify(finish, called.as_ref().err(), denied, limits.memory_bytes, limits.result_bytes))
}

async fn call(shared: &Shared, image: &Snapshot, store: &mut Store<Host>, task: Task) -> wasmtime::Result<()> {
    let data = image.instance.instantiate_async(&mut *store).await?;
    let memory =
        data.get_memory(&mut *store, "memory").ok_or_else(|| wasmtime::Error::msg("an image without memory"))?;
    if let Some(patch) = &image.patch {
        let missing = u64::from(patch.memory_pages).saturating_sub(memory.size(&*store));
        if missing > 0 {
            memory.grow(&mut *store, missing)?;
        }
        if !patch.apply(memory.data_mut(&mut *store)) {
            return Err(wasmtime::Error::msg("an image that does not fit the base"));
        }
    }
    store.data_mut().memory = Some(memory);
    let imports = imports(&shared.linker, store, &shared.module, memory)?;
    let instance = Instance::new_async(&mut *store, &shared.module, &imports).await?;
    if shared.counts
        && let Some(counter) = count::counter(store, &instance)
    {
        store.data_mut().counter = Some(counter);
        count::follow(store, counter, store.data().observed.clone());
    }
    let attempt = instance.get_typed_func::<(u32, u32, u32, i64), ()>(&mut *store, "sublet_attempt")?;
    let (event, context) = (u32::try_from(task.event.len())?, u32::try_from(task.context_json.len())?);
    let environment = u32::try_from(task.environment_json.len())?;
    store.data_mut().set_input(vec![task.event, task.context_json, task.environment_json]);
    attempt.call_async(&mut *store, (event, context, environment, task.seed as i64)).await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_debug_text_of_a_task_tells_nothing_of_the_tenants() {
        let secret = || Bytes::from_static(b"s3cret");
        let (wall, cpu) = (Duration::from_secs(3), Duration::from_secs(1));
        let task = Task {
            event: secret(),
            context_json: secret(),
            environment_json: secret(),
            limits: Limits { wall, cpu, memory_bytes: 1, result_bytes: 2, log_bytes: 3 },
            seed: 1,
            now_ms: 0,
        };
        assert!(!format!("{task:?}").contains("s3cret"), "{task:?}");
    }
}
