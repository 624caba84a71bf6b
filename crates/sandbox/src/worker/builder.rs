//! Evaluates one package, or compiles one module, and ends. The deadline is the server's: it kills this process.

use std::os::fd::BorrowedFd;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::outlet::Outlet;
use super::startup::{Fault, next_message};
use crate::ending;
use crate::wasm::{Initializer, Prepared, RawSnapshot};
use crate::wire::{
    FromWorker, Inlet, MACHINE_CODE_BYTES_MAX, SNAPSHOT_BYTES_MAX, ToWorker, build_frame_bytes_max, cut_failure,
    filled_bytes,
};
use crate::{BuildRequest, Failure};

/// Private memory of a builder that compiles a module.
const COMPILE_BYTES: u64 = 1 << 30;
/// Private memory of a builder beside the function's own, twice over: the engine, the package, the frames, and the stack
/// that reading the package's source may take.
const OVERHEAD_BYTES: u64 = (256 << 20) + sublet_bundle::STACK_BYTES as u64;

pub(super) fn build(
    initializer: &Initializer,
    socket: BorrowedFd<'_>,
    mut inlet: Inlet,
    outlet: &mut Outlet<'_>,
) -> Result<(), Fault> {
    // The better part of a small function's build, done before anybody waits for it.
    let prepared = initializer.prepare()?;
    let Some(message) = next_message(&mut inlet, socket, build_frame_bytes_max())? else { return Ok(()) };
    let answer = match message {
        ToWorker::Build(request) => {
            lower_ceiling(package_ceiling(&request))?;
            evaluate(prepared, &request).map(FromWorker::Built)
        }
        ToWorker::Compile { module, memory_bytes, counts } => {
            drop(prepared);
            lower_ceiling(COMPILE_BYTES)?;
            compile(initializer, &module, memory_bytes, counts)
        }
        _ => return Err(Fault::Protocol("neither a package nor a module")),
    };
    outlet.push(&answer.unwrap_or_else(|failure| FromWorker::Refused(cut_failure(failure))))?;
    outlet.flush()?;
    Ok(())
}

fn evaluate(prepared: Prepared<'_>, request: &BuildRequest) -> Result<RawSnapshot, Failure> {
    let raw = prepared.evaluate(request)?;
    let bytes = filled_bytes(&raw.memory);
    if bytes > SNAPSHOT_BYTES_MAX {
        return Err(ending::snapshot_too_large(bytes, SNAPSHOT_BYTES_MAX));
    }
    Ok(raw)
}

fn compile(initializer: &Initializer, module: &[u8], memory_bytes: u64, counts: bool) -> Result<FromWorker, Failure> {
    let code = initializer.compile(module, memory_bytes, counts)?;
    if code.len() > MACHINE_CODE_BYTES_MAX {
        return Err(ending::machine_code_too_large(code.len(), MACHINE_CODE_BYTES_MAX));
    }
    Ok(FromWorker::Compiled { code: code.into() })
}

/// The function's memory exists twice at the end: as the instance's, and as the copy that leaves.
pub(crate) fn ceiling_bytes(memory_bytes: u64) -> u64 {
    memory_bytes.saturating_mul(2).saturating_add(OVERHEAD_BYTES)
}

fn package_ceiling(request: &BuildRequest) -> u64 {
    let package: usize = request
        .files
        .iter()
        .chain(request.layers.iter().flat_map(|(_, files)| files))
        .map(|file| file.content.len())
        .sum();
    ceiling_bytes(request.memory_bytes).saturating_add(2 * package as u64)
}

fn lower_ceiling(wanted: u64) -> Result<(), Fault> {
    let hard = getrlimit(Resource::Data).maximum.map_or(wanted, |hard| hard.min(wanted));
    setrlimit(Resource::Data, Rlimit { current: Some(hard), maximum: Some(hard) })?;
    Ok(())
}
