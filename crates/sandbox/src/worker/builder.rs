//! Evaluates one package and ends. The deadline is the server's: it kills this process.

use std::os::fd::BorrowedFd;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::outlet::Outlet;
use super::startup::{Fault, next_message};
use crate::ending;
use crate::wasm::{Initializer, Prepared, RawSnapshot};
use crate::wire::{FromWorker, Inlet, SNAPSHOT_BYTES_MAX, ToWorker, build_frame_bytes_max, cut_failure, filled_bytes};
use crate::{BuildRequest, Failure};

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
    let ToWorker::Build(request) = message else { return Err(Fault::Protocol("not a package")) };
    lower_ceiling(&request)?;
    outlet.push(&match evaluate(prepared, &request) {
        Ok(raw) => FromWorker::Built(raw),
        Err(failure) => FromWorker::Refused(cut_failure(failure)),
    })?;
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

/// The function's memory exists twice at the end: as the instance's, and as the copy that leaves.
pub(crate) fn ceiling_bytes(memory_bytes: u64) -> u64 {
    memory_bytes.saturating_mul(2).saturating_add(OVERHEAD_BYTES)
}

fn lower_ceiling(request: &BuildRequest) -> Result<(), Fault> {
    let package: usize = request
        .files
        .iter()
        .chain(request.layers.iter().flat_map(|(_, files)| files))
        .map(|file| file.content.len())
        .sum();
    let wanted = ceiling_bytes(request.memory_bytes).saturating_add(2 * package as u64);
    let hard = getrlimit(Resource::Data).maximum.map_or(wanted, |hard| hard.min(wanted));
    setrlimit(Resource::Data, Rlimit { current: Some(hard), maximum: Some(hard) })?;
    Ok(())
}
