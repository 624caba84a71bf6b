//! Who the process is: nobody, with no capability. Two ways lead there: root changes its user, and everybody else makes
//! a user namespace in which it is nobody. Nothing here allocates.

use crate::ledger::{Attempt, Refusal, step};
use crate::plan::Plan;
use crate::process;
use rustix::process::{Gid, Uid};
use rustix::thread::{CapabilitySet, CapabilitySets, UnshareFlags};
use std::io::{Cursor, Write};

/// One more than the highest capability number that the kernel's 64-bit sets can hold.
const CAPABILITY_NUMBER_END: u32 = 64;

/// Whether namespaces can be made without a user namespace first. Root in a container usually may not.
pub(crate) fn may_make_namespaces() -> bool {
    rustix::thread::capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN))
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root() || rustix::process::getuid().is_root()
}

/// Root becomes the plan's user for real, so that it no longer owns root's files. The bounding set goes first, because
/// the capability to shrink it goes with the user.
pub(crate) fn change_user(plan: &Plan) -> Attempt {
    shrink_bounding_set();
    let (user, group) = (Uid::from_raw(plan.user), Gid::from_raw(plan.group));
    rustix::thread::set_thread_groups(&[]).map_err(step("setgroups"))?;
    rustix::thread::set_thread_res_gid(group, group, group).map_err(step("setresgid"))?;
    rustix::thread::set_thread_res_uid(user, user, user).map_err(step("setresuid"))?;
    Ok("changed from root to an unprivileged user")
}

/// A user namespace in which the process is the plan's user, which owns nothing there. The capabilities that
/// come with it serve to make the other namespaces and are dropped after that.
pub(crate) fn user_namespace(plan: &Plan) -> Attempt {
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    // SAFETY: a user namespace leaves memory and descriptors as they are.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWUSER) }.map_err(step("unshare(CLONE_NEWUSER)"))?;
    // The files of a process that cannot be dumped belong to root, its own maps too; it is set back at the end.
    process::set_dumpable(true)?;
    // Without this the kernel lets nobody unprivileged write the group map.
    process::write_file(c"/proc/self/setgroups", b"deny").map_err(step("writing /proc/self/setgroups"))?;
    write_map(c"/proc/self/uid_map", plan.user, user.as_raw()).map_err(step("writing /proc/self/uid_map"))?;
    write_map(c"/proc/self/gid_map", plan.group, group.as_raw()).map_err(step("writing /proc/self/gid_map"))?;
    Ok("nobody in a user namespace")
}

fn write_map(path: &std::ffi::CStr, inside: u32, outside: u32) -> rustix::io::Result<()> {
    let mut line = Cursor::new([0_u8; 32]);
    write!(line, "{inside} {outside} 1").map_err(|_| rustix::io::Errno::OVERFLOW)?;
    let length = usize::try_from(line.position()).map_err(|_| rustix::io::Errno::OVERFLOW)?;
    process::write_file(path, &line.get_ref()[..length])
}

/// Empties every capability set and looks that it did. The bounding set may have to stay, for want of the capability to
/// shrink it; it only bounds what a program can gain, which is nothing without new privileges.
pub(crate) fn drop_capabilities() -> Attempt {
    let bounded = shrink_bounding_set();
    // Kernels without ambient capabilities have nothing to clear.
    let _ = rustix::thread::clear_ambient_capability_set();
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, none).map_err(step("capset"))?;
    let left = rustix::thread::capabilities(None).map_err(step("capget"))?;
    if !(left.effective.is_empty() && left.permitted.is_empty() && left.inheritable.is_empty()) {
        return Err(Refusal { step: "capabilities are left after capset", errno: 0 });
    }
    if bounded { Ok("all sets empty") } else { Ok("all sets empty but the bounding set, which bounds nothing here") }
}

/// Says whether the bounding set ended empty.
fn shrink_bounding_set() -> bool {
    let mut is_empty = true;
    for number in 0..CAPABILITY_NUMBER_END {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        match rustix::thread::capability_is_in_bounding_set(capability) {
            Ok(true) => is_empty &= rustix::thread::remove_capability_from_bounding_set(capability).is_ok(),
            Ok(false) => {}
            // Past the last capability of this kernel.
            Err(_) => break,
        }
    }
    is_empty
}
