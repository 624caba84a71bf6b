//! WASI preview 1 as far as a tenant's module may have it: arguments, environment, clocks, randomness, three streams and an
//! exit. No files, no sockets, nothing of the host's.
//!
//! Everything that preview 1 names can be imported; what is not here answers an error number ([`refused`]). A call holds
//! the thread only briefly: what may be long ([`wait`]) gives the turn away in between. Addresses and lengths come from
//! the guest and are checked against its memory.

mod errno;
mod memory;
mod refused;
mod start;
mod state;
mod stream;
mod wait;

pub(super) use start::Exit;
pub(super) use state::{Setting, Wasi};

use wasmtime::{Caller, Engine, Extern, Linker};

use self::errno::Errno;
use self::memory::GuestMemory;
use super::WasmError;

/// The module name of every import.
pub(super) const MODULE: &str = "wasi_snapshot_preview1";

/// The functions behind a module's imports.
pub(super) fn linker(engine: &Engine) -> Result<Linker<Wasi>, WasmError> {
    let mut linker = Linker::new(engine);
    start::define(&mut linker)?;
    stream::define(&mut linker)?;
    wait::define(&mut linker)?;
    refused::define(&mut linker)?;
    Ok(linker)
}

/// Runs one call on the guest's memory; its error number, 0 for none.
fn answer(
    caller: &mut Caller<'_, Wasi>,
    call: impl FnOnce(&mut GuestMemory<'_>, &mut Wasi) -> Result<(), Errno>,
) -> wasmtime::Result<i32> {
    let (mut memory, wasi) = guest(caller)?;
    Ok(match call(&mut memory, wasi) {
        Ok(()) => 0,
        Err(errno) => errno.number(),
    })
}

/// The guest's memory, and the host's data beside it.
fn guest<'a>(caller: &'a mut Caller<'_, Wasi>) -> wasmtime::Result<(GuestMemory<'a>, &'a mut Wasi)> {
    let memory = match caller.data().memory {
        Some(memory) => memory,
        None => {
            // The first call, perhaps in a start function, when nobody has seen the instance yet.
            let exported = caller.get_export("memory").and_then(Extern::into_memory);
            let memory = exported.ok_or_else(|| wasmtime::Error::msg("the module exports no memory"))?;
            caller.data_mut().memory = Some(memory);
            memory
        }
    };
    let (bytes, wasi) = memory.data_and_store_mut(caller);
    Ok((GuestMemory::new(bytes), wasi))
}
