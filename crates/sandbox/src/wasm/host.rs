//! What the guest may ask of the host, and what the host remembers of one call.
//!
//! Five functions, all of them quick: the clock, the time left, the call's input, a line of the log, the call's end.
//! Addresses and lengths come from the guest and are checked against its memory.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use wasmtime::{Caller, Engine, Extern, Linker, Memory, Module, ResourceLimiter, Store};

use super::WasmError;
use super::config::TABLE_ENTRIES_MAX;
use super::log::Log;

/// The module name of the guest's imports.
const MODULE: &str = "sublet";
/// What it imports from there.
const NAMES: [&str; 5] = ["now_us", "remaining_ms", "input", "log", "finish"];

/// How the guest said its call ended; the numbers are those of engines/quickjs/glue.c.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Finish {
    Result(Bytes),
    /// JSON text of a `Failure`.
    Failure(Bytes),
    /// The handler returned this many bytes, more than it may.
    ResultTooLarge(usize),
    NeverSettled,
    Indescribable,
}

/// Seen from outside too while the call runs, for an attempt may be stopped at any moment.
pub(super) struct Observed {
    pub(super) log: Mutex<Log>,
    pub(super) memory_peak_bytes: AtomicU64,
    /// The guest asked for more memory than it may have.
    pub(super) memory_denied: AtomicBool,
}

/// The data of a store.
pub(super) struct Host {
    pub(super) observed: Arc<Observed>,
    pub(super) memory: Option<Memory>,
    pub(super) finish: Option<Finish>,
    input: [Bytes; 2],
    started: Instant,
    clock: GuestClock,
    wall: Duration,
    memory_bytes: u64,
    result_bytes: usize,
}

/// The wall clock as the guest reads it, in milliseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(super) enum GuestClock {
    /// From the start of the call on.
    RunsFrom(i64),
    /// For what must come out the same however long it takes.
    Stands(i64),
}

/// What a call may use.
pub(super) struct Allowance {
    pub(super) wall: Duration,
    pub(super) memory_bytes: u64,
    pub(super) result_bytes: usize,
    pub(super) log_bytes: usize,
}

impl Host {
    pub(super) fn new(allowance: &Allowance, clock: GuestClock) -> Host {
        Host {
            observed: Arc::new(Observed {
                log: Mutex::new(Log::new(allowance.log_bytes)),
                memory_peak_bytes: AtomicU64::new(0),
                memory_denied: AtomicBool::new(false),
            }),
            memory: None,
            finish: None,
            input: [Bytes::new(), Bytes::new()],
            started: Instant::now(),
            clock,
            wall: allowance.wall,
            memory_bytes: allowance.memory_bytes,
            result_bytes: allowance.result_bytes,
        }
    }

    /// The next call's input: the second part, if any, lies behind the first and a zero byte.
    pub(super) fn set_input(&mut self, first: Bytes, second: Bytes) {
        self.input = [first, second];
    }

    fn now_us(&self) -> i64 {
        match self.clock {
            GuestClock::RunsFrom(now_ms) => {
                let elapsed_us = i64::try_from(self.started.elapsed().as_micros()).unwrap_or(i64::MAX);
                now_ms.saturating_mul(1000).saturating_add(elapsed_us)
            }
            GuestClock::Stands(now_ms) => now_ms.saturating_mul(1000),
        }
    }

    fn remaining_ms(&self) -> i32 {
        i32::try_from(self.wall.saturating_sub(self.started.elapsed()).as_millis()).unwrap_or(i32::MAX)
    }

    fn finish(&mut self, kind: i32, text: &[u8]) {
        // The first word counts; the guest has no reason to speak twice.
        if self.finish.is_some() {
            return;
        }
        self.finish = Some(match kind {
            0 if text.len() > self.result_bytes => Finish::ResultTooLarge(text.len()),
            0 => Finish::Result(Bytes::copy_from_slice(text)),
            1 => Finish::Failure(Bytes::copy_from_slice(text)),
            2 => Finish::NeverSettled,
            _ => Finish::Indescribable,
        });
    }
}

impl ResourceLimiter for Host {
    fn memory_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let desired = desired as u64;
        if desired > self.memory_bytes {
            self.observed.memory_denied.store(true, Ordering::Relaxed);
            return Ok(false);
        }
        self.observed.memory_peak_bytes.fetch_max(desired, Ordering::Relaxed);
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ENTRIES_MAX)
    }
}

/// The guest's bytes at `at`, and the host's data beside them.
fn guest<'a>(caller: &'a mut Caller<'_, Host>, at: u32, length: u32) -> wasmtime::Result<(&'a mut [u8], &'a mut Host)> {
    let memory = caller.data().memory.ok_or_else(|| wasmtime::Error::msg("no memory yet"))?;
    let (bytes, host) = memory.data_and_store_mut(caller);
    let range = at as usize..(at as usize).saturating_add(length as usize);
    match bytes.get_mut(range) {
        Some(bytes) => Ok((bytes, host)),
        None => Err(wasmtime::Error::msg("an address outside the guest's memory")),
    }
}

/// The functions behind the guest's imports.
pub(super) fn linker(engine: &Engine) -> Result<Linker<Host>, WasmError> {
    let mut linker = Linker::new(engine);
    linker.func_wrap(MODULE, NAMES[0], |caller: Caller<'_, Host>| caller.data().now_us())?;
    linker.func_wrap(MODULE, NAMES[1], |caller: Caller<'_, Host>| caller.data().remaining_ms())?;
    linker.func_wrap(MODULE, NAMES[2], |mut caller: Caller<'_, Host>, to: u32| {
        let [first, second] = std::mem::take(&mut caller.data_mut().input);
        let length = if second.is_empty() { first.len() } else { first.len() + 1 + second.len() };
        let (bytes, _) = guest(&mut caller, to, u32::try_from(length)?)?;
        bytes[..first.len()].copy_from_slice(&first);
        if !second.is_empty() {
            bytes[first.len()] = 0;
            bytes[first.len() + 1..].copy_from_slice(&second);
        }
        wasmtime::Result::Ok(())
    })?;
    linker.func_wrap(MODULE, NAMES[3], |mut caller: Caller<'_, Host>, at: u32, length: u32| {
        let (line, host) = guest(&mut caller, at, length)?;
        host.observed.log.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        wasmtime::Result::Ok(())
    })?;
    linker.func_wrap(MODULE, NAMES[4], |mut caller: Caller<'_, Host>, kind: i32, at: u32, length: u32| {
        let (text, host) = guest(&mut caller, at, length)?;
        host.finish(kind, text);
        wasmtime::Result::Ok(())
    })?;
    Ok(linker)
}

/// The engine's imports in the order the module lists them.
pub(super) fn imports(
    linker: &Linker<Host>,
    store: &mut Store<Host>,
    module: &Module,
    memory: Memory,
) -> wasmtime::Result<Vec<Extern>> {
    let mut imports = Vec::with_capacity(NAMES.len() + 1);
    for import in module.imports() {
        imports.push(match import.module() {
            MODULE => linker.get(&mut *store, MODULE, import.name())?,
            _ => Extern::Memory(memory),
        });
    }
    Ok(imports)
}
