//! The layers of the jail by name, and the report that says which of them hold. Plain data: a worker sends its report to
//! the server, and `sublet doctor` prints one.

use serde::{Deserialize, Serialize};
use std::fmt;

/// One thing that confines the process, whatever the others do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// Ends with its parent.
    DeathSignal,
    /// Holds only the descriptors that the plan names.
    Descriptors,
    /// Files, processes, locked memory, queues and signals are bounded.
    Limits,
    /// Private writable memory is bounded.
    MemoryCeiling,
    /// Every capability set is empty, for root too.
    NoCapabilities,
    /// No program run from here can gain privileges.
    NoNewPrivileges,
    /// No dump; other processes of the same user cannot look inside.
    NotDumpable,
    /// Only the system calls of the profile, with the arguments it names.
    SystemCalls,
    /// Outside the terminal's session and the server's process group.
    OwnSession,
    /// The first to go when memory runs out.
    OomScore,
    /// Runs as nobody: in a user namespace of its own, or by changing its user.
    Identity,
    MountNamespace,
    /// The file system is an empty, read-only folder.
    EmptyRoot,
    NetworkNamespace,
    IpcNamespace,
    UtsNamespace,
    CgroupNamespace,
    /// Landlock denies every access to files.
    LandlockFiles,
    /// Landlock denies to bind and to connect TCP sockets.
    LandlockTcp,
    /// Landlock denies signals and abstract Unix sockets across the jail's wall.
    LandlockScope,
}

/// Whether the jail may go on without a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// The baseline: an unprivileged process in an ordinary container can set it on itself. Missing is an error.
    Required,
    /// On top, where the kernel allows.
    Optional,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Found by a probe: a jail started now would have it.
    Available,
    /// Holds in the process that made the report.
    InForce,
    /// Not there; the reason says which step failed and how.
    Missing,
    /// Not there because the plan leaves it out.
    LeftOut,
    /// Its turn is still to come.
    Pending,
}

/// One layer's line in a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerReport {
    pub layer: Layer,
    pub need: Need,
    pub status: Status,
    /// How it is done, or why it is not.
    pub reason: String,
}

/// Every layer, required ones first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub layers: Vec<LayerReport>,
}

impl Layer {
    /// Every layer, in the order in which reports list them.
    pub const ALL: [Layer; 20] = [
        Layer::DeathSignal,
        Layer::Descriptors,
        Layer::Limits,
        Layer::MemoryCeiling,
        Layer::NoCapabilities,
        Layer::NoNewPrivileges,
        Layer::NotDumpable,
        Layer::SystemCalls,
        Layer::OwnSession,
        Layer::OomScore,
        Layer::Identity,
        Layer::MountNamespace,
        Layer::EmptyRoot,
        Layer::NetworkNamespace,
        Layer::IpcNamespace,
        Layer::UtsNamespace,
        Layer::CgroupNamespace,
        Layer::LandlockFiles,
        Layer::LandlockTcp,
        Layer::LandlockScope,
    ];

    pub fn need(self) -> Need {
        match self {
            Layer::DeathSignal
            | Layer::Descriptors
            | Layer::Limits
            | Layer::MemoryCeiling
            | Layer::NoCapabilities
            | Layer::NoNewPrivileges
            | Layer::NotDumpable
            | Layer::SystemCalls => Need::Required,
            Layer::OwnSession
            | Layer::OomScore
            | Layer::Identity
            | Layer::MountNamespace
            | Layer::EmptyRoot
            | Layer::NetworkNamespace
            | Layer::IpcNamespace
            | Layer::UtsNamespace
            | Layer::CgroupNamespace
            | Layer::LandlockFiles
            | Layer::LandlockTcp
            | Layer::LandlockScope => Need::Optional,
        }
    }

    /// The name that reports, errors and `sublet doctor` use.
    pub fn name(self) -> &'static str {
        match self {
            Layer::DeathSignal => "death signal",
            Layer::Descriptors => "closed descriptors",
            Layer::Limits => "resource limits",
            Layer::MemoryCeiling => "memory ceiling",
            Layer::NoCapabilities => "no capabilities",
            Layer::NoNewPrivileges => "no new privileges",
            Layer::NotDumpable => "not dumpable",
            Layer::SystemCalls => "system call filter",
            Layer::OwnSession => "own session",
            Layer::OomScore => "out-of-memory score",
            Layer::Identity => "identity of nobody",
            Layer::MountNamespace => "mount namespace",
            Layer::EmptyRoot => "empty root",
            Layer::NetworkNamespace => "network namespace",
            Layer::IpcNamespace => "ipc namespace",
            Layer::UtsNamespace => "uts namespace",
            Layer::CgroupNamespace => "cgroup namespace",
            Layer::LandlockFiles => "landlock files",
            Layer::LandlockTcp => "landlock tcp",
            Layer::LandlockScope => "landlock scope",
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Report {
    pub fn of(&self, layer: Layer) -> Option<&LayerReport> {
        self.layers.iter().find(|line| line.layer == layer)
    }

    /// Whether `layer` holds, or would hold if this report is a probe's.
    pub fn holds(&self, layer: Layer) -> bool {
        self.of(layer).is_some_and(|line| matches!(line.status, Status::InForce | Status::Available))
    }

    /// The first required layer that is missing: with it, a jail would refuse to start.
    pub fn obstacle(&self) -> Option<&LayerReport> {
        self.layers.iter().find(|line| line.need == Need::Required && line.status == Status::Missing)
    }
}
