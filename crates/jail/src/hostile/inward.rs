//! Calls that work on the process itself, the jail around it, the kernel's intricate doors, memory and descriptors.

use libc::{EBADF, EINVAL};

use super::Outside::{Fails, Succeeds, Untried};
use super::Refused::Killed;
use super::{BAD, HostileCall, NONE, buffer, row, text, words};

const PRIVATE: i64 = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as i64;
const READ_WRITE: i64 = (libc::PROT_READ | libc::PROT_WRITE) as i64;

pub(super) const CALLS: &[HostileCall] = &[
    // Privileges and the jail itself.
    row("becomes no other user", libc::SYS_setuid, NONE, Killed, Untried),
    row("becomes no other group", libc::SYS_setgid, NONE, Killed, Untried),
    row("sets no capability", libc::SYS_capset, NONE, Killed, Untried),
    row(
        "raises no limit",
        libc::SYS_prlimit64,
        |_| [0, i64::from(libc::RLIMIT_DATA), words(&[u64::MAX, u64::MAX]), 0, 0, 0],
        Killed,
        Succeeds,
    ),
    row(
        "raises no limit by the old call",
        libc::SYS_setrlimit,
        |_| [i64::from(libc::RLIMIT_DATA), words(&[u64::MAX, u64::MAX]), 0, 0, 0, 0],
        Killed,
        Succeeds,
    ),
    row(
        "asks for no limit of its parent",
        libc::SYS_prlimit64,
        |victim| [victim.parent, 0, 0, buffer(), 0, 0],
        Killed,
        Succeeds,
    ),
    row("becomes not dumpable again", libc::SYS_prctl, |_| [4, 1, 0, 0, 0, 0], Killed, Succeeds),
    row("outlives not its parent", libc::SYS_prctl, |_| [1, 0, 0, 0, 0, 0], Killed, Succeeds),
    row("gets no privileges back", libc::SYS_prctl, |_| [38, 0, 0, 0, 0, 0], Killed, Fails(EINVAL)),
    row("adds no filter by the old call", libc::SYS_prctl, |_| [22, 2, 0, 0, 0, 0], Killed, Untried),
    row(
        "is traced by nobody it names",
        libc::SYS_prctl,
        |victim| [0x5961_6d61, victim.parent, 0, 0, 0, 0],
        Killed,
        Untried,
    ),
    row("keeps no capability", libc::SYS_prctl, |_| [47, 4, 0, 0, 0, 0], Killed, Untried),
    row("changes nothing of its own image", libc::SYS_prctl, |_| [35, 99, 0, 0, 0, 0], Killed, Untried),
    row("becomes nobody else for real and in effect", libc::SYS_setresuid, |_| [-1, -1, -1, 0, 0, 0], Killed, Succeeds),
    row("joins no group", libc::SYS_setgroups, NONE, Killed, Untried),
    row("has no other filter", libc::SYS_seccomp, |_| [99, 0, 0, 0, 0, 0], Killed, Fails(EINVAL)),
    row("has no other domain", libc::SYS_landlock_create_ruleset, |_| [0, 0, 1, 0, 0, 0], Killed, Untried),
    // Doors of the kernel that have opened before.
    row("restricts nothing anew", libc::SYS_landlock_restrict_self, BAD, Killed, Untried),
    row("loads no program into the kernel", libc::SYS_bpf, BAD, Killed, Untried),
    row("has no ring", libc::SYS_io_uring_setup, |_| [1, buffer(), 0, 0, 0, 0], Killed, Untried),
    row("enters no ring", libc::SYS_io_uring_enter, BAD, Killed, Untried),
    row("registers with no ring", libc::SYS_io_uring_register, BAD, Killed, Untried),
    row("has no queue of file operations", libc::SYS_io_setup, |_| [0, buffer(), 0, 0, 0, 0], Killed, Untried),
    row("handles no page fault", libc::SYS_userfaultfd, |_| [1, 0, 0, 0, 0, 0], Killed, Untried),
    row("counts no events of the machine", libc::SYS_perf_event_open, NONE, Killed, Untried),
    row("holds no key", libc::SYS_keyctl, NONE, Killed, Untried),
    row("adds no key", libc::SYS_add_key, NONE, Killed, Untried),
    row("asks for no key", libc::SYS_request_key, NONE, Killed, Untried),
    row("loads no module", libc::SYS_finit_module, BAD, Killed, Untried),
    row("loads no kernel", libc::SYS_kexec_load, NONE, Killed, Untried),
    row("loads no module from memory", libc::SYS_init_module, NONE, Killed, Untried),
    row("removes no module", libc::SYS_delete_module, |_| [text(c""), 0, 0, 0, 0, 0], Killed, Untried),
    row("loads no kernel from a file", libc::SYS_kexec_file_load, BAD, Killed, Untried),
    row("reads no log of the kernel", libc::SYS_syslog, |_| [10, 0, 0, 0, 0, 0], Killed, Untried),
    row("sets no clock", libc::SYS_clock_settime, |_| [99, 0, 0, 0, 0, 0], Killed, Untried),
    row("turns no clock", libc::SYS_clock_adjtime, |_| [99, 0, 0, 0, 0, 0], Killed, Untried),
    row("restarts no machine", libc::SYS_reboot, NONE, Killed, Untried),
    row("swaps to nowhere", libc::SYS_swapon, |_| [text(c"/no/such"), 0, 0, 0, 0, 0], Killed, Untried),
    row("keeps no accounts", libc::SYS_acct, |_| [text(c"/no/such"), 0, 0, 0, 0, 0], Killed, Untried),
    #[cfg(target_arch = "x86_64")]
    row("gets no ports", libc::SYS_iopl, |_| [3, 0, 0, 0, 0, 0], Killed, Untried),
    #[cfg(target_arch = "x86_64")]
    row("gets no port", libc::SYS_ioperm, |_| [0, 0, 1, 0, 0, 0], Killed, Untried),
    #[cfg(target_arch = "x86_64")]
    row("moves no segment", libc::SYS_arch_prctl, |_| [0x1004, buffer(), 0, 0, 0, 0], Killed, Succeeds),
    row("has no other personality", libc::SYS_personality, |_| [0xffff_ffff, 0, 0, 0, 0, 0], Killed, Untried),
    #[cfg(target_arch = "x86_64")]
    row("changes no segment table", libc::SYS_modify_ldt, NONE, Killed, Untried),
    #[cfg(target_arch = "x86_64")]
    row("calls by no other door of the architecture", 0x4000_0000 | libc::SYS_getpid, NONE, Killed, Untried),
    // Memory that the ceiling does not count.
    row(
        "shares no anonymous memory",
        libc::SYS_mmap,
        |_| [0, 4_096, READ_WRITE, i64::from(libc::MAP_SHARED | libc::MAP_ANONYMOUS), -1, 0],
        Killed,
        Succeeds,
    ),
    row(
        "has no mapping that grows down",
        libc::SYS_mmap,
        |_| [0, 4_096, READ_WRITE, PRIVATE | i64::from(libc::MAP_GROWSDOWN), -1, 0],
        Killed,
        Succeeds,
    ),
    row(
        "has no huge pages",
        libc::SYS_mmap,
        |_| [0, 2 << 20, READ_WRITE, PRIVATE | i64::from(libc::MAP_HUGETLB), -1, 0],
        Killed,
        Untried,
    ),
    row("makes no memory file", libc::SYS_memfd_create, |_| [text(c"x"), 0, 0, 0, 0, 0], Killed, Succeeds),
    row("has no secret memory", libc::SYS_memfd_secret, NONE, Killed, Untried),
    row("has no key for its pages", libc::SYS_pkey_alloc, NONE, Killed, Untried),
    row("binds no memory to a node", libc::SYS_mbind, NONE, Killed, Untried),
    row("takes no shared segment", libc::SYS_shmat, BAD, Killed, Untried),
    row("has no shared segment", libc::SYS_shmget, |_| [0, 4_096, 0o1600, 0, 0, 0], Killed, Untried),
    row("has no message queue", libc::SYS_msgget, |_| [0, 0o1600, 0, 0, 0, 0], Killed, Untried),
    row("has no semaphores", libc::SYS_semget, |_| [0, 1, 0o1600, 0, 0, 0], Killed, Untried),
    row("has no POSIX queue", libc::SYS_mq_open, |_| [text(c"x"), 0, 0, 0, 0, 0], Killed, Untried),
    row("locks no memory", libc::SYS_mlockall, |_| [1, 0, 0, 0, 0, 0], Killed, Untried),
    row("merges no pages with others", libc::SYS_madvise, |_| [0, 0, 12, 0, 0, 0], Killed, Untried),
    row("lends no priority", libc::SYS_futex, |_| [buffer(), 6, 0, 0, 0, 0], Killed, Succeeds),
    // New descriptors, and other powers over those it has.
    row("has no new pipe", libc::SYS_pipe2, |_| [buffer(), 0, 0, 0, 0, 0], Killed, Succeeds),
    row("has no new event counter", libc::SYS_eventfd2, NONE, Killed, Succeeds),
    row("has no new timer", libc::SYS_timerfd_create, NONE, Killed, Succeeds),
    row("has no new set to wait for", libc::SYS_epoll_create1, NONE, Killed, Succeeds),
    row("has no descriptor for signals", libc::SYS_signalfd4, |_| [-1, buffer(), 8, 0, 0, 0], Killed, Succeeds),
    row("makes no timer", libc::SYS_timer_create, |_| [99, 0, buffer(), 0, 0, 0], Killed, Fails(EINVAL)),
    row("gives no descriptor another number", libc::SYS_dup3, |_| [-1, 100, 0, 0, 0, 0], Killed, Fails(EBADF)),
    row("splices nothing", libc::SYS_splice, |_| [-1, 0, -1, 0, 1, 0], Killed, Fails(EBADF)),
    row("maps no pages into a pipe", libc::SYS_vmsplice, BAD, Killed, Fails(EBADF)),
    row("sends no file", libc::SYS_sendfile, |_| [-1, -1, 0, 1, 0, 0], Killed, Fails(EBADF)),
    row("copies no file", libc::SYS_copy_file_range, |_| [-1, 0, -1, 0, 1, 0], Killed, Fails(EBADF)),
    row("watches no files", libc::SYS_inotify_init1, NONE, Killed, Succeeds),
    row("types nothing into a terminal", libc::SYS_ioctl, |_| [0, 0x5412, buffer(), 0, 0, 0], Killed, Untried),
    row("asks nothing of a device", libc::SYS_ioctl, |_| [0, 0x541b, buffer(), 0, 0, 0], Killed, Succeeds),
    row("sends no signal by a descriptor", libc::SYS_fcntl, |victim| [0, 8, victim.own, 0, 0, 0], Killed, Succeeds),
    row("changes no descriptor's state", libc::SYS_fcntl, |_| [0, 4, 2, 0, 0, 0], Killed, Succeeds),
];
