//! What the caller wants of a jail: pure data, made by the server and carried to the worker as it likes.

use crate::layer::Layer;
use serde::{Deserialize, Serialize};
use std::os::fd::RawFd;

/// The user and group that nobody's files belong to, on every Linux.
pub const NOBODY: u32 = 65_534;

/// One process's confinement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Descriptors that survive [`begin`](crate::begin); all others are closed.
    pub keep: Vec<RawFd>,
    /// Process id of the parent, as the parent itself wrote it down. The jail refuses to start under any other, so that
    /// a worker whose server died before the death signal was armed does not live on as an orphan.
    pub parent: Option<u32>,
    pub limits: Limits,
    /// The identity to end up with: within a user namespace, or for real when started as root.
    pub user: u32,
    pub group: u32,
    /// Layers that are not even tried. Naming a required one is the operator's explicit insecure setting: the jail
    /// then goes on without it, and the report says so.
    pub leave_out: Vec<Layer>,
}

/// Resource limits of the process. A limit that is already lower stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Ceiling of private writable memory (`RLIMIT_DATA`), in bytes. Address space is not limited: the pooling allocator
    /// reserves far more of it than it ever touches.
    pub memory_bytes_max: u64,
    /// Largest size of any file written, memory files included, in bytes. Writing a log to a descriptor that is a
    /// regular file counts too: give the worker a pipe.
    pub file_bytes_max: u64,
    pub open_files_max: u64,
    /// Threads and processes of the jailed user. Falls to nothing at the seal unless the profile allows new threads.
    pub processes_max: u64,
    pub stack_bytes_max: u64,
    /// Queued signals; every POSIX timer takes one.
    pub pending_signals_max: u64,
}

impl Plan {
    /// Everything that this kernel permits, within `memory_bytes_max` of private memory, keeping `keep` open.
    pub fn strict(memory_bytes_max: u64, keep: Vec<RawFd>) -> Plan {
        Plan {
            keep,
            parent: None,
            limits: Limits::with_memory(memory_bytes_max),
            user: NOBODY,
            group: NOBODY,
            leave_out: Vec::new(),
        }
    }

    pub(crate) fn wants(&self, layer: Layer) -> bool {
        !self.leave_out.contains(&layer)
    }
}

impl Limits {
    /// Limits that fit a worker with a handful of threads, timers and memory files.
    pub fn with_memory(memory_bytes_max: u64) -> Limits {
        Limits {
            memory_bytes_max,
            file_bytes_max: memory_bytes_max,
            open_files_max: 1_024,
            processes_max: 4_096,
            stack_bytes_max: 8 << 20,
            pending_signals_max: 1_024,
        }
    }
}
