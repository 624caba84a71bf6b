//! What a program begins and ends with: arguments, environment, clocks, its exit.

use std::fmt;

use wasmtime::{Caller, Linker};

use super::super::WasmError;
use super::errno::Errno;
use super::memory::{GuestMemory, offset};
use super::state::Wasi;
use super::{MODULE, answer};

/// Nanoseconds that the clocks move on by.
const CLOCK_STEP_NS: u64 = 1000;
/// The wall clock, and the one that counts from the start.
const CLOCK_REALTIME: u32 = 0;
const CLOCK_MONOTONIC: u32 = 1;

/// Unwinds the guest when it exits, with its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::wasm) struct Exit(pub(in crate::wasm) u32);

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit with code {}", self.0)
    }
}

impl std::error::Error for Exit {}

pub(super) fn define(linker: &mut Linker<Wasi>) -> Result<(), WasmError> {
    linker.func_wrap(MODULE, "args_sizes_get", |mut caller: Caller<'_, Wasi>, count: u32, bytes: u32| {
        answer(&mut caller, |memory, wasi| sizes(memory, &wasi.arguments, count, bytes))
    })?;
    linker.func_wrap(MODULE, "args_get", |mut caller: Caller<'_, Wasi>, list: u32, texts: u32| {
        answer(&mut caller, |memory, wasi| put(memory, &wasi.arguments, list, texts))
    })?;
    linker.func_wrap(MODULE, "environ_sizes_get", |mut caller: Caller<'_, Wasi>, count: u32, bytes: u32| {
        answer(&mut caller, |memory, wasi| sizes(memory, &wasi.environment, count, bytes))
    })?;
    linker.func_wrap(MODULE, "environ_get", |mut caller: Caller<'_, Wasi>, list: u32, texts: u32| {
        answer(&mut caller, |memory, wasi| put(memory, &wasi.environment, list, texts))
    })?;
    linker.func_wrap(MODULE, "clock_res_get", |mut caller: Caller<'_, Wasi>, clock: u32, to: u32| {
        answer(&mut caller, |memory, wasi| wasi.clock_ns(clock).and_then(|_| memory.put_u64(to, CLOCK_STEP_NS)))
    })?;
    linker.func_wrap(
        MODULE,
        "clock_time_get",
        |mut caller: Caller<'_, Wasi>, clock: u32, _precision: u64, to: u32| {
            answer(&mut caller, |memory, wasi| memory.put_u64(to, wasi.clock_ns(clock)?))
        },
    )?;
    linker.func_wrap(MODULE, "proc_exit", |_: Caller<'_, Wasi>, code: u32| -> wasmtime::Result<()> {
        Err(wasmtime::Error::new(Exit(code)))
    })?;
    Ok(())
}

impl Wasi {
    /// There are no clocks of CPU time.
    pub(super) fn clock_ns(&self, clock: u32) -> Result<u64, Errno> {
        match clock {
            CLOCK_REALTIME => Ok(self.realtime_ns()),
            CLOCK_MONOTONIC => Ok(self.monotonic_ns()),
            _ => Err(Errno::Inval),
        }
    }
}

fn sizes(memory: &mut GuestMemory<'_>, texts: &[Vec<u8>], count: u32, bytes: u32) -> Result<(), Errno> {
    memory.put_u32(count, texts.len())?;
    memory.put_u32(bytes, texts.iter().map(Vec::len).sum())
}

/// The addresses to `list`, the texts behind one another to `at`.
fn put(memory: &mut GuestMemory<'_>, texts: &[Vec<u8>], list: u32, at: u32) -> Result<(), Errno> {
    let mut at = at;
    for (index, text) in texts.iter().enumerate() {
        memory.put_u32(offset(list, 4 * index)?, at as usize)?;
        memory.put(at, text)?;
        at = offset(at, text.len())?;
    }
    Ok(())
}
