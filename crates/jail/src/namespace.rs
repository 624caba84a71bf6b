//! Namespaces other than the user's, and the empty root. Nothing here allocates.
//!
//! No pid namespace: it holds only for children, and this process has and gets none. What it would hide, the filter
//! and Landlock's scope refuse to reach.

use crate::layer::Layer;
use crate::ledger::{Attempt, step};
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use rustix::thread::UnshareFlags;

/// The layer, its flag, the step's name, and what it takes away. Each is asked for by itself: one that the host forbids does not cost
/// the others.
pub(crate) const NAMESPACES: [(Layer, UnshareFlags, &str, &str); 5] = [
    (Layer::MountNamespace, UnshareFlags::NEWNS, "unshare(CLONE_NEWNS)", "mounts of its own"),
    (
        Layer::NetworkNamespace,
        UnshareFlags::NEWNET,
        "unshare(CLONE_NEWNET)",
        "no interface but a loopback that is down",
    ),
    (Layer::IpcNamespace, UnshareFlags::NEWIPC, "unshare(CLONE_NEWIPC)", "no System V or POSIX queue but its own"),
    (Layer::UtsNamespace, UnshareFlags::NEWUTS, "unshare(CLONE_NEWUTS)", "a host name of its own"),
    (Layer::CgroupNamespace, UnshareFlags::NEWCGROUP, "unshare(CLONE_NEWCGROUP)", "its cgroup is the root it sees"),
];

pub(crate) fn unshare(flag: UnshareFlags, name: &'static str, how: &'static str) -> Attempt {
    // SAFETY: these namespaces leave memory and descriptors as they are, and the process has one thread.
    unsafe { rustix::thread::unshare_unsafe(flag) }.map_err(step(name))?;
    Ok(how)
}

/// Makes an empty read-only file system the root and lets go of the old one, so that no path names anything.
///
/// Call only in a mount namespace of its own.
pub(crate) fn empty_root() -> Attempt {
    // Nothing that happens here may reach the host's mounts.
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change(c"/", private).map_err(step("making the mounts private"))?;
    // Any folder will do to hang it on for a moment; `/proc` is there, since the steps before needed it. One inode, the
    // root's own, so that nothing could be made in it even if it were writable.
    let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    rustix::mount::mount(c"tmpfs", c"/proc", c"tmpfs", flags, c"size=4k,nr_inodes=1,mode=0555")
        .map_err(step("mounting an empty file system"))?;
    rustix::process::chdir(c"/proc").map_err(step("entering the empty file system"))?;
    // With the same folder as new root and as place for the old one, the old root ends on top and is taken off at once.
    rustix::process::pivot_root(c".", c".").map_err(step("pivot_root"))?;
    rustix::mount::unmount(c".", UnmountFlags::DETACH).map_err(step("letting go of the old root"))?;
    rustix::process::chdir(c"/").map_err(step("entering the new root"))?;
    Ok("an empty read-only file system")
}
