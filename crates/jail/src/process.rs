//! What a process sets on itself alone: session, death signal, descriptors, out-of-memory score, dumps, privileges.
//! Nothing here allocates, but for the fallback of [`close_all_but`].

use crate::error::Error;
use crate::ledger::{Attempt, Refusal, step};
use rustix::fs::{Mode, OFlags};
use rustix::process::{DumpableBehavior, Signal};
use std::os::fd::RawFd;

/// Highest score: this process before any other.
const OOM_SCORE: &[u8] = b"1000";

pub(crate) fn own_session() -> Attempt {
    rustix::process::setsid().map_err(step("setsid"))?;
    Ok("a session of its own")
}

pub(crate) fn parent_id() -> u32 {
    // 0 where the parent lives in another pid namespace and cannot be seen.
    rustix::process::getppid().map_or(0, |pid| pid.as_raw_pid().cast_unsigned())
}

/// The signal is armed before the parent is looked at: a parent that dies in between is then noticed by the look, one
/// that dies later by the signal.
pub(crate) fn die_with_parent(expected: u32) -> Result<Attempt, Error> {
    let armed = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    let found = parent_id();
    if found != expected {
        return Err(Error::Orphaned { expected, found });
    }
    Ok(armed.map(|()| "SIGKILL when the parent's spawning thread ends").map_err(step("prctl(PR_SET_PDEATHSIG)")))
}

/// Closes every descriptor that is not in `keep`.
///
/// # Safety
/// No open descriptor outside `keep` may be owned by anything that uses or closes it later.
pub(crate) unsafe fn close_all_but(keep: &[RawFd]) -> Attempt {
    let mut first = 0;
    loop {
        // The lowest kept descriptor from `first` on; what lies before it goes. Quadratic, in a list of a few.
        let next = keep.iter().copied().filter(|&fd| fd >= first).min();
        let last = next.map_or(libc::c_uint::MAX, |fd| fd.cast_unsigned().wrapping_sub(1));
        if next != Some(first) {
            // SAFETY: the caller vouches for the descriptors; the call touches no memory.
            let done = unsafe { libc::syscall(libc::SYS_close_range, first.cast_unsigned(), last, 0) };
            if done != 0 {
                let refusal = Refusal::last("close_range");
                // SAFETY: the caller's promise is passed on.
                return unsafe { close_listed(keep) }.map_err(|_| refusal);
            }
        }
        match next {
            Some(fd) => first = fd + 1,
            None => return Ok("close_range"),
        }
    }
}

/// For kernels and container filters that do not know `close_range`: one by one, as the kernel lists them.
///
/// # Safety
/// As for [`close_all_but`].
unsafe fn close_listed(keep: &[RawFd]) -> Attempt {
    let failed = Refusal { step: "listing /proc/self/fd", errno: 0 };
    let mut open = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd").map_err(|_| failed)? {
        let name = entry.map_err(|_| failed)?.file_name();
        open.push(name.to_str().and_then(|name| name.parse::<RawFd>().ok()).ok_or(failed)?);
    }
    for fd in open {
        if !keep.contains(&fd) {
            // SAFETY: the caller vouches for the descriptors. The list's own is closed already; EBADF is no harm.
            unsafe { libc::close(fd) };
        }
    }
    Ok("closed one by one")
}

/// Raising one's own score needs no privilege; it must come while `/proc` is there and writable.
pub(crate) fn raise_oom_score() -> Attempt {
    write_file(c"/proc/self/oom_score_adj", OOM_SCORE).map_err(step("writing /proc/self/oom_score_adj"))?;
    Ok("1000, the first to go")
}

pub(crate) fn set_dumpable(dumpable: bool) -> Attempt {
    let behavior = if dumpable { DumpableBehavior::Dumpable } else { DumpableBehavior::NotDumpable };
    rustix::process::set_dumpable_behavior(behavior).map_err(step("prctl(PR_SET_DUMPABLE)"))?;
    Ok("prctl(PR_SET_DUMPABLE, 0)")
}

pub(crate) fn no_new_privileges() -> Attempt {
    rustix::thread::set_no_new_privs(true).map_err(step("prctl(PR_SET_NO_NEW_PRIVS)"))?;
    Ok("prctl(PR_SET_NO_NEW_PRIVS)")
}

/// How many threads this process has, from the 20th field of `/proc/self/stat`; none if it cannot be read.
pub(crate) fn thread_count() -> Option<u32> {
    let file = rustix::fs::open(c"/proc/self/stat", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut line = [0_u8; 1_024];
    let length = rustix::io::read(&file, &mut line).ok()?;
    let line = line.get(..length)?;
    // The second field is the program's name in parentheses, and may itself hold spaces and parentheses.
    let name_end = line.iter().rposition(|&byte| byte == b')')?;
    let field = line.get(name_end + 2..)?.split(|&byte| byte == b' ').nth(17)?;
    std::str::from_utf8(field).ok()?.parse().ok()
}

pub(crate) fn write_file(path: &std::ffi::CStr, text: &[u8]) -> rustix::io::Result<()> {
    let file = rustix::fs::open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&file, text)?;
    Ok(())
}
