//! Resource limits: what the kernel counts for a process without any privilege or cgroup.
//!
//! Address space (`RLIMIT_AS`) is left alone, see [`Limits`]. `RLIMIT_DATA` counts private writable mappings; what it
//! cannot count (memory files, shared anonymous mappings, mappings that grow down) the system call filter refuses. It is
//! no wall against native code that fills pages and then makes them read-only, which takes them out of the count, and
//! the filter cannot refuse that, since resetting an instance does the same. Against that code there are the
//! out-of-memory score and, from outside, [`resident_bytes`]; a cgroup would be the wall.

use crate::ledger::{Attempt, step};
use crate::plan::Limits;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Everything but the memory ceiling.
pub(crate) fn bound(limits: &Limits) -> Attempt {
    let table = [
        // No image of the process's memory on anybody's disk.
        (Resource::Core, 0),
        (Resource::Fsize, limits.file_bytes_max),
        (Resource::Nofile, limits.open_files_max),
        (Resource::Nproc, limits.processes_max),
        (Resource::Stack, limits.stack_bytes_max),
        // Locked pages cannot be reclaimed, POSIX queues live on after the process, priorities would starve the server.
        (Resource::Memlock, 0),
        (Resource::Msgqueue, 0),
        (Resource::Nice, 0),
        (Resource::Rtprio, 0),
        (Resource::Sigpending, limits.pending_signals_max),
    ];
    for (resource, maximum) in table {
        lower(resource, maximum).map_err(step("setrlimit"))?;
    }
    Ok("core, file size, open files, processes, stack, locked memory, queues, priorities, signals")
}

pub(crate) fn memory_ceiling(limits: &Limits) -> Attempt {
    lower(Resource::Data, limits.memory_bytes_max).map_err(step("setrlimit(RLIMIT_DATA)"))?;
    Ok("RLIMIT_DATA")
}

/// From here on not one more thread, whatever the filter says.
pub(crate) fn no_more_threads() -> Result<(), crate::ledger::Refusal> {
    lower(Resource::Nproc, 0).map_err(step("setrlimit(RLIMIT_NPROC)"))
}

/// Sets both bounds, since the soft one alone could be raised again; never above what is in force already.
fn lower(resource: Resource, maximum: u64) -> rustix::io::Result<()> {
    let hard = getrlimit(resource).maximum.map_or(maximum, |hard| hard.min(maximum));
    setrlimit(resource, Rlimit { current: Some(hard), maximum: Some(hard) })
}

/// The resident memory of a process, as the kernel counts it, whatever the process has done to its mappings. Any
/// process may ask it of any other that it sees in `/proc`, a jailed one included.
pub fn resident_bytes(process: u32) -> std::io::Result<u64> {
    let statm = std::fs::read_to_string(format!("/proc/{process}/statm"))?;
    let pages = statm.split_ascii_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
    let pages = pages.ok_or_else(|| std::io::Error::other("statm has no second number"))?;
    Ok(pages.saturating_mul(rustix::param::page_size() as u64))
}
