//! Builder process: runs a package's top level once and reads the memory it left.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use sublet_model::clock::{Clock, SystemClock};
use sublet_model::{Outcome, limit};
use wasmtime::{AsContextMut, Engine, Instance, Linker, Memory, MemoryType, Module, Store};

use super::compile::shape;
use super::config::{self, IMAGE_BYTES_MAX, WASM_PAGE_BYTES};
use super::ending::{Ending, classify};
use super::host::{self, Allowance, GuestClock, Host, imports};
use super::package;
use super::prelude::PRELUDE;
use super::{RawSnapshot, WasmError};
use crate::{BuildRequest, Failure};

/// `Math.random` of a package's top level: fixed, so that the same package gives the same image. Attempts seed anew.
const BUILD_SEED: i64 = 0x5ab1e7;
/// What the guest calls before the package: what it says to that is ours, not the tenant's.
const NO_RESULT_BYTES_MAX: usize = 1024;

/// The engine ready to evaluate packages.
pub struct Initializer {
    engine: Engine,
    module: Module,
    linker: Linker<Host>,
    stack_pointer: u32,
    memory_pages_min: u32,
}

impl Initializer {
    /// # Safety
    /// `init_code` must be [`super::EngineCode::init`] as made by our server: it is run as machine code.
    pub unsafe fn new(init_code: &[u8]) -> Result<Initializer, WasmError> {
        let engine = Engine::new(&config::shared())?;
        // SAFETY: the caller vouches for the bytes.
        let module = unsafe { Module::deserialize(&engine, init_code)? };
        let linker = host::linker(&engine)?;
        let shape = shape()?;
        Ok(Initializer {
            engine,
            module,
            linker,
            stack_pointer: shape.stack_pointer,
            memory_pages_min: shape.memory_pages_min,
        })
    }

    /// Synchronous; the caller's process is killed at the deadline. Everything that goes wrong here is told as the
    /// package's failure, for the memory limit is the package's too.
    pub fn evaluate(&self, request: &BuildRequest) -> Result<RawSnapshot, Failure> {
        self.evaluate_at(request, GuestClock::RunsFrom(SystemClock.now().millis()))
    }

    /// The same by another clock.
    pub(super) fn evaluate_at(&self, request: &BuildRequest, clock: GuestClock) -> Result<RawSnapshot, Failure> {
        let allowance = Allowance {
            wall: request.timeout,
            memory_bytes: request.memory_bytes.min(limit::MEMORY_MAX),
            result_bytes: NO_RESULT_BYTES_MAX,
            log_bytes: limit::LOG_BYTES_MAX,
        };
        let package = Bytes::from(package::encode(request)?);
        let host = Host::new(&allowance, clock);
        let observed = host.observed.clone();
        let mut store = Store::new(&self.engine, host);
        store.limiter(|host| host);
        // Nobody ticks the epoch here.
        store.set_epoch_deadline(u64::MAX / 2);

        // The guest runs on a fiber of its own, so that the caller's stack may be as small as it likes. Without ticks it
        // never yields, so one poll runs it to its end.
        let called = {
            let mut run = std::pin::pin!(self.call(&mut store, package));
            match run.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(called) => called,
                Poll::Pending => Err(wasmtime::Error::msg("the evaluation was suspended")),
            }
        };
        let finish = store.data_mut().finish.take();
        let denied = observed.memory_denied.load(Ordering::Relaxed);
        let error = called.as_ref().err();
        ending_to_result(classify(finish, error, denied, allowance.memory_bytes, allowance.result_bytes))?;
        let log = observed.log.lock().unwrap_or_else(PoisonError::into_inner).take();
        match called {
            Ok((memory, stack_pointer)) => self.snapshot(&mut store, memory, stack_pointer, &allowance, log),
            Err(error) => Err(ours(&error.to_string())),
        }
    }

    /// Instance, prelude, package; gives the memory and the stack pointer as they are afterwards.
    async fn call(&self, store: &mut Store<Host>, package: Bytes) -> wasmtime::Result<(Memory, u32)> {
        let memory = Memory::new_async(&mut *store, MemoryType::new(self.memory_pages_min, None)).await?;
        store.data_mut().memory = Some(memory);
        let imports = imports(&self.linker, store, &self.module, memory)?;
        let instance = Instance::new_async(&mut *store, &self.module, &imports).await?;
        let start = instance.get_typed_func::<(), i32>(&mut *store, "sublet_start")?;
        let prelude = instance.get_typed_func::<u32, i32>(&mut *store, "sublet_prelude")?;
        let build = instance.get_typed_func::<(u32, i64), ()>(&mut *store, "sublet_build")?;
        let stack_pointer = instance
            .get_global(&mut *store, "__stack_pointer")
            .ok_or_else(|| wasmtime::Error::msg("no stack pointer"))?;

        if start.call_async(&mut *store, ()).await? != 0 {
            return Err(wasmtime::Error::msg("the engine did not start"));
        }
        store.data_mut().set_input(Bytes::from_static(PRELUDE.as_bytes()), Bytes::new());
        if prelude.call_async(&mut *store, u32::try_from(PRELUDE.len())?).await? != 0 {
            return Err(wasmtime::Error::msg("the prelude did not start"));
        }
        let length = u32::try_from(package.len())?;
        store.data_mut().set_input(package, Bytes::new());
        build.call_async(&mut *store, (length, BUILD_SEED)).await?;
        let stack_pointer = stack_pointer.get(&mut *store).i32().unwrap_or(-1);
        Ok((memory, stack_pointer as u32))
    }

    fn snapshot(
        &self,
        store: &mut Store<Host>,
        memory: Memory,
        stack_pointer: u32,
        allowance: &Allowance,
        log: Bytes,
    ) -> Result<RawSnapshot, Failure> {
        let memory_pages = u32::try_from(memory.size(&*store)).unwrap_or(u32::MAX);
        let memory_pages_max = u32::try_from(allowance.memory_bytes as usize / WASM_PAGE_BYTES).unwrap_or(u32::MAX);
        let bytes = memory.data_mut(store.as_context_mut());
        // No call is under way, so all of the stack, which lies at the bottom, is dead: leave none of it in the image.
        if let Some(stack) = bytes.get_mut(..self.stack_pointer as usize) {
            stack.fill(0);
        }
        let length = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        if length > IMAGE_BYTES_MAX {
            return Err(Failure {
                error_type: "Runtime.ImageTooLarge".into(),
                error_message: format!(
                    "the package's top-level code leaves {length} bytes of memory, {IMAGE_BYTES_MAX} are allowed"
                ),
                stack_trace: Vec::new(),
            });
        }
        let memory = Bytes::copy_from_slice(&bytes[..length]);
        Ok(RawSnapshot { memory, memory_pages, memory_pages_max, stack_pointer, log })
    }
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
