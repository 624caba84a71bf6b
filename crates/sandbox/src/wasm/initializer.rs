//! Builder process: runs a package's top level once and reads the memory it left. It starts where the server left off when it
//! evaluated the prelude.

use std::fs::File;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use sublet_model::clock::{Clock, SystemClock};
use sublet_model::{Outcome, limit};
use wasmtime::{AsContextMut, Engine, Global, Instance, InstancePre, Linker, Memory, MemoryType, Module, Store};

use super::compile::shape;
use super::config::{self, IMAGE_BYTES_MAX, WASM_PAGE_BYTES};
use super::ending::{Ending, classify};
use super::host::{self, Allowance, Files, GuestClock, Host, Phase, imports};
use super::package;
use super::{RawSnapshot, WasmError};
use crate::{BuildRequest, Failure};

/// `Math.random` of a package's top level: fixed, so that the same package gives the same image. Attempts seed anew.
const BUILD_SEED: i64 = 0x5ab1e7;
/// What the guest calls before the package: what it says to that is ours, not the tenant's.
const NO_RESULT_BYTES_MAX: usize = 1024;
/// Where the clock stands while the prelude is evaluated, so that every engine does so alike: 1970.
const PRELUDE_MS: i64 = 0;

/// Evaluates the prelude, once per engine and in the server, for it is our own code: the memory that it leaves is what every
/// builder starts from.
pub(super) struct Prelude<'a> {
    /// The engine that fills its memory.
    pub(super) init_code: &'a [u8],
    pub(super) text: &'static str,
}

impl Prelude<'_> {
    /// Linear memory from address 0, trailing zeros trimmed, and its size in pages.
    ///
    /// # Safety
    /// `init_code` must be machine code that this process compiled.
    pub(super) unsafe fn evaluate(&self) -> Result<(Bytes, u32), WasmError> {
        let engine = Engine::new(&config::building())?;
        // SAFETY: the caller vouches for the bytes.
        let module = unsafe { Module::deserialize(&engine, self.init_code)? };
        let (linker, shape, mut store) = (host::linker(&engine)?, shape()?, store(&engine));
        let memory = at_once(async {
            let memory = Memory::new_async(&mut store, MemoryType::new(shape.memory_pages_min, None)).await?;
            store.data_mut().memory = Some(memory);
            let imports = imports(&linker, &mut store, &module, memory)?;
            let instance = Instance::new_async(&mut store, &module, &imports).await?;
            let start = instance.get_typed_func::<(), i32>(&mut store, "sublet_start")?;
            let prelude = instance.get_typed_func::<u32, i32>(&mut store, "sublet_prelude")?;
            if start.call_async(&mut store, ()).await? != 0 {
                return Err(wasmtime::Error::msg("the engine did not start"));
            }
            store.data_mut().set_input(vec![Bytes::from_static(self.text.as_bytes())]);
            if prelude.call_async(&mut store, u32::try_from(self.text.len())?).await? != 0 {
                let told = store.data_mut().finish.take();
                return Err(wasmtime::Error::msg(format!("the prelude did not start: {told:?}")));
            }
            Ok(memory)
        })?;
        let pages = u32::try_from(memory.size(&store)).unwrap_or(u32::MAX);
        Ok((content(memory.data_mut(&mut store), shape.stack_pointer), pages))
    }
}

/// One without ticks, before anything of a tenant is there: what bounds it is the process.
fn store(engine: &Engine) -> Store<Host> {
    let allowance = Allowance {
        wall: limit::BUILD_TIMEOUT,
        memory_bytes: limit::MEMORY_MAX,
        result_bytes: NO_RESULT_BYTES_MAX,
        log_bytes: limit::LOG_BYTES_MAX,
    };
    let host = Host::new(&allowance, GuestClock::Stands(PRELUDE_MS), Phase::Build);
    let mut store = Store::new(engine, host);
    store.limiter(|host| host);
    // Nobody ticks the epoch here.
    store.set_epoch_deadline(u64::MAX / 2);
    store
}

/// What is in a memory while no call is under way: then all of the stack, which lies at the bottom, is dead, and none of it
/// is to be in an image.
fn content(memory: &mut [u8], stack_pointer: u32) -> Bytes {
    if let Some(stack) = memory.get_mut(..stack_pointer as usize) {
        stack.fill(0);
    }
    let length = memory.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    Bytes::copy_from_slice(&memory[..length])
}

/// The engine ready to evaluate packages.
pub struct Initializer {
    engine: Engine,
    module: Module,
    linker: Linker<Host>,
    /// Memory with the prelude in it.
    start: InstancePre<Host>,
    stack_pointer: u32,
}

impl Initializer {
    /// # Safety
    /// `run_code` and `start` must be [`super::EngineCode`]'s as made by our server, the one is run as machine code; `start` must
    /// be sealed against writing.
    pub unsafe fn new(run_code: &[u8], start: File) -> Result<Initializer, WasmError> {
        let engine = Engine::new(&config::building())?;
        // SAFETY: the caller vouches for the bytes.
        let module = unsafe { Module::deserialize(&engine, run_code)? };
        // SAFETY: the caller vouches for the bytes, and that they stay as they are.
        let start = unsafe { Module::deserialize_open_file(&engine, start)? };
        let start = Linker::new(&engine).instantiate_pre(&start)?;
        let linker = host::linker(&engine)?;
        Ok(Initializer { engine, module, linker, start, stack_pointer: shape()?.stack_pointer })
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// An engine with the prelude in it: the part of a build that needs no package.
    pub fn prepare(&self) -> Result<Prepared<'_>, WasmError> {
        let mut store = store(&self.engine);
        let guest = at_once(self.instantiate(&mut store))?;
        Ok(Prepared { initializer: self, store, guest })
    }

    /// [`Initializer::prepare`] and [`Prepared::evaluate`].
    pub fn evaluate(&self, request: &BuildRequest) -> Result<RawSnapshot, Failure> {
        let prepared = self.prepare().map_err(|error| ours(&error.to_string()))?;
        prepared.evaluate(request)
    }

    async fn instantiate(&self, store: &mut Store<Host>) -> wasmtime::Result<Guest> {
        let start = self.start.instantiate_async(&mut *store).await?;
        let memory =
            start.get_memory(&mut *store, "memory").ok_or_else(|| wasmtime::Error::msg("a start without memory"))?;
        store.data_mut().memory = Some(memory);
        let imports = imports(&self.linker, store, &self.module, memory)?;
        let instance = Instance::new_async(&mut *store, &self.module, &imports).await?;
        let stack_pointer = instance
            .get_global(&mut *store, "__stack_pointer")
            .ok_or_else(|| wasmtime::Error::msg("no stack pointer"))?;
        Ok(Guest { memory, instance, stack_pointer })
    }
}

/// Runs the guest to its end on a fiber of its own, so that the caller's stack may be as small as it likes. Without ticks
/// it never yields, so one poll does.
fn at_once<T>(run: impl Future<Output = wasmtime::Result<T>>) -> wasmtime::Result<T> {
    match std::pin::pin!(run).as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => Err(wasmtime::Error::msg("the evaluation was suspended")),
    }
}

/// An engine with the prelude in it, for one package.
pub struct Prepared<'a> {
    initializer: &'a Initializer,
    store: Store<Host>,
    guest: Guest,
}

/// What of an instance is called and read.
#[derive(Clone, Copy)]
struct Guest {
    memory: Memory,
    instance: Instance,
    stack_pointer: Global,
}

impl Prepared<'_> {
    /// Synchronous; the caller's process is killed at the deadline. Everything that goes wrong here is told as the
    /// package's failure, for the memory limit is the package's too.
    pub fn evaluate(self, request: &BuildRequest) -> Result<RawSnapshot, Failure> {
        self.evaluate_at(request, GuestClock::RunsFrom(SystemClock.now().millis()))
    }

    /// The same by another clock.
    pub(super) fn evaluate_at(mut self, request: &BuildRequest, clock: GuestClock) -> Result<RawSnapshot, Failure> {
        let allowance = Allowance {
            wall: request.timeout,
            memory_bytes: request.memory_bytes.min(limit::MEMORY_MAX),
            result_bytes: NO_RESULT_BYTES_MAX,
            log_bytes: limit::LOG_BYTES_MAX,
        };
        let files = Files::new(request);
        let package = Bytes::from(package::encode(request, &files)?);
        let (store, guest) = (&mut self.store, self.guest);
        *store.data_mut() = Host::new(&allowance, clock, Phase::Build);
        store.data_mut().memory = Some(guest.memory);
        store.data_mut().give_package(files);
        let observed = store.data().observed.clone();
        let called = at_once(call(store, guest, package));
        let finish = store.data_mut().finish.take();
        let denied = observed.memory_denied.load(Ordering::Relaxed);
        let error = called.as_ref().err();
        ending_to_result(classify(finish, error, denied, allowance.memory_bytes, allowance.result_bytes))?;
        let log = observed.log.lock().unwrap_or_else(PoisonError::into_inner).take();
        match called {
            Ok(stack_pointer) => self.snapshot(stack_pointer, &allowance, log),
            Err(error) => Err(ours(&error.to_string())),
        }
    }

    fn snapshot(mut self, stack_pointer: u32, allowance: &Allowance, log: Bytes) -> Result<RawSnapshot, Failure> {
        let memory = self.guest.memory;
        let memory_pages = u32::try_from(memory.size(&self.store)).unwrap_or(u32::MAX);
        let memory_pages_max = u32::try_from(allowance.memory_bytes as usize / WASM_PAGE_BYTES).unwrap_or(u32::MAX);
        let memory = content(memory.data_mut(self.store.as_context_mut()), self.initializer.stack_pointer);
        let length = memory.len();
        if length > IMAGE_BYTES_MAX {
            return Err(Failure {
                error_type: "Runtime.ImageTooLarge".into(),
                error_message: format!(
                    "the package's top-level code leaves {length} bytes of memory, {IMAGE_BYTES_MAX} are allowed"
                ),
                stack_trace: Vec::new(),
            });
        }
        Ok(RawSnapshot { memory, memory_pages, memory_pages_max, stack_pointer, log })
    }
}

/// Evaluates the package; gives the stack pointer as it is afterwards.
async fn call(store: &mut Store<Host>, guest: Guest, package: Bytes) -> wasmtime::Result<u32> {
    let build = guest.instance.get_typed_func::<(u32, i64), ()>(&mut *store, "sublet_build")?;
    let length = u32::try_from(package.len())?;
    store.data_mut().set_input(vec![package]);
    build.call_async(&mut *store, (length, BUILD_SEED)).await?;
    Ok(guest.stack_pointer.get(&mut *store).i32().unwrap_or(-1) as u32)
}

/// A build's failures have no outcome of their own: the type says what happened.
fn ending_to_result(ending: Ending) -> Result<(), Failure> {
    match ending {
        Ok(_) => Ok(()),
        Err((Outcome::Failed, failure)) if failure.error_type == "Runtime.PromiseNeverSettled" => {
            Err(Failure { error_message: "a top-level await never settled".into(), ..failure })
        }
        Err((_, failure)) => Err(failure),
    }
}

fn ours(what: &str) -> Failure {
    Failure { error_type: "Runtime.Internal".into(), error_message: what.into(), stack_trace: Vec::new() }
}
