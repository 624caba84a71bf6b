//! What the guest may ask of the host, and what the host remembers of one call.
//!
//! Eight functions: the clock, the time left, the call's input, a line of the log, an operation ([`call`]) and its
//! answer, waiting for what comes from outside ([`mailbox`]), the call's end. All but the waiting are quick. Addresses and
//! lengths come from the guest and are checked against its memory.

mod call;
mod crypto;
mod fetch;
mod file_url;
mod files;
mod mailbox;
mod text;
mod url;
mod zone;

pub(super) use call::Phase;
pub(crate) use fetch::Outgoing;
pub(super) use files::Files;
pub(super) use mailbox::Mailbox;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use wasmtime::{Caller, Engine, Extern, Global, Linker, Memory, Module, ResourceLimiter, Store};

use self::call::{CallContext, CallState};
use super::WasmError;
use super::config::TABLE_ENTRIES_MAX;
use super::log::Log;

/// The module name of the guest's imports.
const MODULE: &str = "sublet";
/// What it imports from there.
const NAMES: [&str; 8] = ["now_us", "remaining_ms", "input", "log", "finish", "call", "reply", "wait"];

/// Bytes of a failure as JSON text: several times what the prelude makes of one.
const FAILURE_BYTES_MAX: usize = 512 * 1024;
/// In place of a number of instructions; no counter gets there.
const NOT_COUNTED: u64 = u64::MAX;

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
    /// [`NOT_COUNTED`], or what its module has counted so far.
    instructions: AtomicU64,
    pub(super) mailbox: Mailbox,
    /// For the worker's loop to pass on.
    pub(super) outgoing: Mutex<Vec<Outgoing>>,
}

/// The data of a store.
pub(super) struct Host {
    pub(super) observed: Arc<Observed>,
    pub(super) memory: Option<Memory>,
    /// Where the engine counts its instructions, if it does.
    pub(super) counter: Option<Global>,
    pub(super) finish: Option<Finish>,
    input: Vec<Bytes>,
    reply: Bytes,
    phase: Phase,
    calls: CallState,
    started: Instant,
    clock: GuestClock,
    /// How far waits have moved the clock on, in a build.
    skipped_us: i64,
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

impl Observed {
    pub(super) fn new(log_bytes: usize) -> Observed {
        Observed {
            log: Mutex::new(Log::new(log_bytes)),
            memory_peak_bytes: AtomicU64::new(0),
            memory_denied: AtomicBool::new(false),
            instructions: AtomicU64::new(NOT_COUNTED),
            mailbox: Mailbox::default(),
            outgoing: Mutex::default(),
        }
    }

    /// What a counted module's counter says.
    pub(super) fn count_instructions(&self, counter: Option<i64>) {
        let count = counter.and_then(|count| u64::try_from(count).ok());
        self.instructions.store(count.unwrap_or(NOT_COUNTED), Ordering::Relaxed);
    }

    pub(super) fn instructions(&self) -> Option<u64> {
        Some(self.instructions.load(Ordering::Relaxed)).filter(|&count| count != NOT_COUNTED)
    }

    /// Whether a memory may grow to `desired` bytes, of `most`; remembers either way.
    pub(super) fn grants_memory(&self, desired: u64, most: u64) -> bool {
        if desired > most {
            self.memory_denied.store(true, Ordering::Relaxed);
            return false;
        }
        self.memory_peak_bytes.fetch_max(desired, Ordering::Relaxed);
        true
    }
}

impl Host {
    pub(super) fn new(allowance: &Allowance, clock: GuestClock, phase: Phase) -> Host {
        Host {
            observed: Arc::new(Observed::new(allowance.log_bytes)),
            memory: None,
            counter: None,
            finish: None,
            input: Vec::new(),
            reply: Bytes::new(),
            phase,
            calls: CallState::default(),
            started: Instant::now(),
            clock,
            skipped_us: 0,
            wall: allowance.wall,
            memory_bytes: allowance.memory_bytes,
            result_bytes: allowance.result_bytes,
        }
    }

    /// What is to be evaluated, for the guest to ask for.
    pub(super) fn give_package(&mut self, files: Files) {
        self.calls.files = Some(files);
    }

    /// The next call's input: the parts with a zero byte between two.
    pub(super) fn set_input(&mut self, parts: Vec<Bytes>) {
        self.input = parts;
    }

    fn now_us(&self) -> i64 {
        let clock_us = match self.clock {
            GuestClock::RunsFrom(now_ms) => {
                let elapsed_us = i64::try_from(self.started.elapsed().as_micros()).unwrap_or(i64::MAX);
                now_ms.saturating_mul(1000).saturating_add(elapsed_us)
            }
            GuestClock::Stands(now_ms) => now_ms.saturating_mul(1000),
        };
        clock_us.saturating_add(self.skipped_us)
    }

    /// Keeps the answer for `reply`; what `call` returns to the guest.
    fn call(&mut self, operation: i32, request: &[u8]) -> i32 {
        let mut context = CallContext { phase: self.phase, state: &mut self.calls };
        let (answer, is_refused) = match call::call(operation, &mut context, request) {
            Ok(answer) => (answer, false),
            Err(text) => (text, true),
        };
        if let Some(outgoing) = self.calls.take_outgoing() {
            self.observed.outgoing.lock().unwrap_or_else(PoisonError::into_inner).extend(outgoing);
        }
        let length = i32::try_from(answer.len()).unwrap_or(i32::MAX);
        self.reply = answer.into();
        if is_refused { -1 - length } else { length }
    }

    /// When a wait until `until_us` on the guest's clock ends; `None`: only by a message.
    fn wait_end(&self, until_us: i64) -> Option<Instant> {
        let left_us = u64::try_from(until_us.saturating_sub(self.now_us())).unwrap_or(0);
        // Beyond any deadline is as good as never.
        (until_us >= 0).then(|| Instant::now() + Duration::from_micros(left_us).min(self.wall))
    }

    /// In a build nobody waits: the clock moves on instead, so that timers of top-level code run at once, in order.
    fn skip_to(&mut self, until_us: i64) {
        self.skipped_us = self.skipped_us.saturating_add(until_us.saturating_sub(self.now_us()).max(0));
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
            1 if text.len() <= FAILURE_BYTES_MAX => Finish::Failure(Bytes::copy_from_slice(text)),
            2 => Finish::NeverSettled,
            _ => Finish::Indescribable,
        });
    }
}

impl ResourceLimiter for Host {
    fn memory_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.observed.grants_memory(desired as u64, self.memory_bytes))
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
        let parts = std::mem::take(&mut caller.data_mut().input);
        let length = parts.iter().map(|part| part.len() + 1).sum::<usize>().saturating_sub(1);
        let (mut bytes, _) = guest(&mut caller, to, u32::try_from(length)?)?;
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                bytes[0] = 0;
                bytes = &mut bytes[1..];
            }
            bytes[..part.len()].copy_from_slice(part);
            bytes = &mut bytes[part.len()..];
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
    linker.func_wrap(MODULE, NAMES[5], |mut caller: Caller<'_, Host>, operation: i32, at: u32, length: u32| {
        let (request, host) = guest(&mut caller, at, length)?;
        wasmtime::Result::Ok(host.call(operation, request))
    })?;
    linker.func_wrap(MODULE, NAMES[6], |mut caller: Caller<'_, Host>, to: u32| {
        let reply = std::mem::take(&mut caller.data_mut().reply);
        let (bytes, _) = guest(&mut caller, to, u32::try_from(reply.len())?)?;
        bytes.copy_from_slice(&reply);
        wasmtime::Result::Ok(())
    })?;
    linker.func_wrap_async(MODULE, NAMES[7], |mut caller: Caller<'_, Host>, (until_us,): (i64,)| {
        Box::new(async move { wait(caller.data_mut(), until_us).await })
    })?;
    Ok(linker)
}

/// The length of the message that came, or -1 when the time has.
async fn wait(host: &mut Host, until_us: i64) -> i32 {
    if host.phase == Phase::Build {
        host.skip_to(until_us);
        return -1;
    }
    let end = host.wait_end(until_us);
    let observed = Arc::clone(&host.observed);
    let message = std::future::poll_fn(|_| {
        // Whoever puts a message or sees the time come polls again: it holds the attempt, so it needs no waker.
        let message = observed.mailbox.take();
        let is_over = message.is_some() || end.is_some_and(|end| Instant::now() >= end);
        observed.mailbox.set_wake_at(end.filter(|_| !is_over));
        if is_over { Poll::Ready(message) } else { Poll::Pending }
    });
    match message.await {
        Some(message) => {
            let length = i32::try_from(message.len()).unwrap_or(i32::MAX);
            host.reply = message;
            length
        }
        None => -1,
    }
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
