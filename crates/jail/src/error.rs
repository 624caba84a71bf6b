//! Why a jail did not close. Whatever the reason, the process must not go on to untrusted code: it exits.

use crate::layer::Layer;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A required layer could not be put in force. `errno` is 0 where no single system call is to blame.
    #[error("layer `{layer}` is missing: {step}{}", cause(*errno))]
    Missing { layer: Layer, step: &'static str, errno: i32 },
    /// The outer layers belong to a thread, not to a process, so they must be entered before there are others.
    #[error("the jail must be entered by a process with one thread, this one has {threads}")]
    Threads { threads: u32 },
    /// The parent that the plan names is not, or is no longer, the parent of this process.
    #[error("the parent of this process is {found}, not {expected}")]
    Orphaned { expected: u32, found: u32 },
    /// The profile cannot be made into a filter.
    #[error("the system call profile `{profile}` is not a filter: {reason}")]
    Profile { profile: String, reason: String },
    /// A probe could not run its child.
    #[error("the jail could not be probed: {step}{}", cause(*errno))]
    Probe { step: &'static str, errno: i32 },
}

fn cause(errno: i32) -> String {
    if errno == 0 { String::new() } else { format!(": {}", std::io::Error::from_raw_os_error(errno)) }
}
