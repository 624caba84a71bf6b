//! What hostile native code in a sealed worker tries: one row a promise. Each is a bare system call, as machine code
//! without any library would make it.

use sublet_jail::Report;

/// What the jail makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The process is killed; under a profile that answers with an error, it is that error.
    Killed,
    /// Refused with this error under every profile.
    With(i32),
}

/// The same call in a process without a jail: the proof that the row could fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outside {
    Succeeds,
    Fails(i32),
    /// Depends on the host's kernel and container, or would harm the host: not tried.
    Untried,
}

pub(crate) struct Attempt {
    pub(crate) promise: &'static str,
    pub(crate) call: i64,
    pub(crate) arguments: fn(&Victim) -> [i64; 6],
    pub(crate) refused: Refused,
    pub(crate) outside: Outside,
}

/// What there is to attack.
pub(crate) struct Victim {
    pub(crate) parent: i64,
    pub(crate) own: i64,
}

impl Attempt {
    /// The result as the kernel gives it: negative errno for an error.
    pub(crate) fn make(&self, victim: &Victim) -> i64 {
        let [a, b, c, d, e, f] = (self.arguments)(victim);
        // SAFETY: none of the rows touches memory that Rust owns, but for buffers that are leaked on purpose.
        let result = unsafe { libc::syscall(self.call, a, b, c, d, e, f) };
        if result == -1 { -i64::from(std::io::Error::last_os_error().raw_os_error().unwrap()) } else { result }
    }
}

pub(crate) fn summary(report: &Report) -> String {
    serde_json::to_string(report).unwrap()
}

/// The address of a text or a leaked buffer, as an argument.
pub(crate) fn text(text: &'static std::ffi::CStr) -> i64 {
    text.as_ptr() as i64
}

fn buffer() -> i64 {
    // 256 zero bytes, aligned for anything the kernel reads or writes here.
    Box::leak(Box::new([0_u64; 32])).as_mut_ptr() as i64
}

fn words(words: &[u64]) -> i64 {
    Vec::leak(words.to_vec()).as_mut_ptr() as i64
}

const fn row(
    promise: &'static str,
    call: libc::c_long,
    arguments: fn(&Victim) -> [i64; 6],
    refused: Refused,
    outside: Outside,
) -> Attempt {
    Attempt { promise, call, arguments, refused, outside }
}

const NONE: fn(&Victim) -> [i64; 6] = |_| [0; 6];
/// No such descriptor: outside, the call gets as far as looking for it.
const BAD: fn(&Victim) -> [i64; 6] = |_| [-1, 0, 0, 0, 0, 0];
const CWD: i64 = libc::AT_FDCWD as i64;
const SIGCHLD: i64 = libc::SIGCHLD as i64;
const PRIVATE: i64 = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as i64;
const READ_WRITE: i64 = (libc::PROT_READ | libc::PROT_WRITE) as i64;

use Outside::{Fails, Succeeds, Untried};
use Refused::{Killed, With};
use libc::{EACCES, EBADF, ENOENT, ENOSYS, EPERM};

const _: () = assert!(EPERM == 1);

pub(crate) const ATTEMPTS: &[Attempt] = &[
    // Files.
    row("opens no file", libc::SYS_openat, |_| [CWD, text(c"/etc/passwd"), 0, 0, 0, 0], With(EACCES), Succeeds),
    row(
        "opens no file by openat2",
        libc::SYS_openat2,
        |_| [CWD, text(c"/etc/passwd"), words(&[0, 0, 0]), 24, 0, 0],
        Killed,
        Succeeds,
    ),
    #[cfg(target_arch = "x86_64")]
    row("opens no file by open", libc::SYS_open, |_| [text(c"/etc/passwd"), 0, 0, 0, 0, 0], Killed, Succeeds),
    #[cfg(target_arch = "x86_64")]
    row("creates no file", libc::SYS_creat, |_| [text(c"/no/such"), 0, 0, 0, 0, 0], Killed, Fails(ENOENT)),
    row("opens no file by handle", libc::SYS_open_by_handle_at, BAD, Killed, Untried),
    row(
        "does not open its parent's memory",
        libc::SYS_openat,
        |victim| {
            let path = std::ffi::CString::new(format!("/proc/{}/mem", victim.parent)).unwrap();
            [CWD, path.into_raw() as i64, 0, 0, 0, 0]
        },
        With(EACCES),
        Untried,
    ),
    row(
        "learns nothing about files by path",
        libc::SYS_newfstatat,
        |_| [CWD, text(c"/etc/passwd"), buffer(), 0, 0, 0],
        With(ENOSYS),
        Succeeds,
    ),
    row(
        "learns nothing about files by statx",
        libc::SYS_statx,
        |_| [CWD, text(c"/etc/passwd"), 0, 0, buffer(), 0],
        With(ENOSYS),
        Succeeds,
    ),
    row("asks for no access", libc::SYS_faccessat, |_| [CWD, text(c"/"), 0, 0, 0, 0], Killed, Succeeds),
    row(
        "reads no link",
        libc::SYS_readlinkat,
        |_| [CWD, text(c"/proc/self"), buffer(), 64, 0, 0],
        With(EACCES),
        Succeeds,
    ),
    row("lists no folder", libc::SYS_getdents64, BAD, Killed, Fails(EBADF)),
    row("does not learn where it is", libc::SYS_getcwd, |_| [buffer(), 256, 0, 0, 0, 0], With(EACCES), Succeeds),
    row("changes no folder", libc::SYS_chdir, |_| [text(c"/"), 0, 0, 0, 0, 0], Killed, Succeeds),
    row("changes no folder by descriptor", libc::SYS_fchdir, BAD, Killed, Fails(EBADF)),
    row("makes no folder", libc::SYS_mkdirat, |_| [CWD, text(c"/no/such"), 0, 0, 0, 0], Killed, Fails(ENOENT)),
    row("makes no device", libc::SYS_mknodat, |_| [CWD, text(c"/no/such"), 0, 0, 0, 0], Killed, Fails(ENOENT)),
    row("removes no file", libc::SYS_unlinkat, |_| [CWD, text(c"/no/such"), 0, 0, 0, 0], Killed, Fails(ENOENT)),
    row(
        "renames no file",
        libc::SYS_renameat2,
        |_| [CWD, text(c"/no/a"), CWD, text(c"/no/b"), 0, 0],
        Killed,
        Fails(ENOENT),
    ),
    row("links no file", libc::SYS_linkat, |_| [CWD, text(c"/no/a"), CWD, text(c"/no/b"), 0, 0], Killed, Fails(ENOENT)),
    row(
        "makes no symbolic link",
        libc::SYS_symlinkat,
        |_| [text(c"a"), CWD, text(c"/no/b"), 0, 0, 0],
        Killed,
        Fails(ENOENT),
    ),
    row("changes no mode", libc::SYS_fchmodat, |_| [CWD, text(c"/no/such"), 0, 0, 0, 0], Killed, Fails(ENOENT)),
    row("changes no owner", libc::SYS_fchownat, |_| [CWD, text(c"/no/such"), 0, 0, 0, 0], Killed, Fails(ENOENT)),
    row("cuts no file", libc::SYS_ftruncate, BAD, Killed, Fails(EBADF)),
    row("writes at no place in a file", libc::SYS_pwrite64, BAD, Killed, Fails(EBADF)),
    // Network.
    row("makes no internet socket", libc::SYS_socket, |_| [2, 1, 0, 0, 0, 0], Killed, Succeeds),
    row("makes no Unix socket", libc::SYS_socket, |_| [1, 1, 0, 0, 0, 0], Killed, Succeeds),
    row("makes no netlink socket", libc::SYS_socket, |_| [16, 3, 0, 0, 0, 0], Killed, Succeeds),
    row("makes no pair of sockets", libc::SYS_socketpair, |_| [1, 1, 0, buffer(), 0, 0], Killed, Succeeds),
    row("connects nowhere", libc::SYS_connect, BAD, Killed, Fails(EBADF)),
    row("binds nothing", libc::SYS_bind, BAD, Killed, Fails(EBADF)),
    row("listens to nothing", libc::SYS_listen, BAD, Killed, Fails(EBADF)),
    row("accepts nothing", libc::SYS_accept4, BAD, Killed, Fails(EBADF)),
    row("sends to no address", libc::SYS_sendto, |_| [-1, buffer(), 1, 0, buffer(), 16], Killed, Fails(EBADF)),
    row("sets no socket option", libc::SYS_setsockopt, BAD, Killed, Fails(EBADF)),
    // Programs, processes, threads.
    row("runs no program", libc::SYS_execve, |_| [text(c"/no/such"), 0, 0, 0, 0, 0], Killed, Fails(ENOENT)),
    row(
        "runs no program by execveat",
        libc::SYS_execveat,
        |_| [CWD, text(c"/no/such"), 0, 0, 0, 0],
        Killed,
        Fails(ENOENT),
    ),
    #[cfg(target_arch = "x86_64")]
    row("forks not", libc::SYS_fork, NONE, Killed, Succeeds),
    row("clones no process", libc::SYS_clone, |_| [SIGCHLD, 0, 0, 0, 0, 0], Killed, Succeeds),
    row(
        "clones no process into a user namespace",
        libc::SYS_clone,
        |_| [SIGCHLD | i64::from(libc::CLONE_NEWUSER), 0, 0, 0, 0, 0],
        Killed,
        Untried,
    ),
    row(
        "clones nothing by clone3",
        libc::SYS_clone3,
        |_| [words(&[0, 0, 0, 0, 17, 0, 0, 0]), 64, 0, 0, 0, 0],
        With(ENOSYS),
        Succeeds,
    ),
    row("traces nobody", libc::SYS_ptrace, |victim| [16, victim.parent, 0, 0, 0, 0], Killed, Untried),
    row("is traced by nobody", libc::SYS_ptrace, NONE, Killed, Untried),
    row("signals no parent", libc::SYS_kill, |victim| [victim.parent, 0, 0, 0, 0, 0], Killed, Succeeds),
    row("signals no group", libc::SYS_kill, |_| [-1, 0, 0, 0, 0, 0], Killed, Succeeds),
    row(
        "signals no thread of its parent",
        libc::SYS_tgkill,
        |victim| [victim.parent, victim.parent, 0, 0, 0, 0],
        Killed,
        Succeeds,
    ),
    row("queues no signal", libc::SYS_rt_sigqueueinfo, |victim| [victim.parent, 0, 0, 0, 0, 0], Killed, Untried),
    row("holds no other process", libc::SYS_pidfd_open, |victim| [victim.parent, 0, 0, 0, 0, 0], Killed, Succeeds),
    row("takes no descriptor from another process", libc::SYS_pidfd_getfd, BAD, Killed, Untried),
    row(
        "reads no other process's memory",
        libc::SYS_process_vm_readv,
        |victim| [victim.own, 0, 0, 0, 0, 0],
        Killed,
        Succeeds,
    ),
    row(
        "writes no process's memory",
        libc::SYS_process_vm_writev,
        |victim| [victim.own, 0, 0, 0, 0, 0],
        Killed,
        Succeeds,
    ),
    row("advises no other process", libc::SYS_process_madvise, BAD, Killed, Untried),
    row("compares no processes", libc::SYS_kcmp, |victim| [victim.own, victim.parent, 0, 0, 0, 0], Killed, Untried),
    row("leaves no session", libc::SYS_setsid, NONE, Killed, Untried),
    row("joins no process group", libc::SYS_setpgid, NONE, Killed, Untried),
    row("has no other priority", libc::SYS_setpriority, NONE, Killed, Succeeds),
    row("has no other scheduler", libc::SYS_sched_setscheduler, |_| [0, 0, buffer(), 0, 0, 0], Killed, Succeeds),
    row("has no other cores", libc::SYS_sched_setaffinity, |_| [0, 8, words(&[u64::MAX]), 0, 0, 0], Killed, Succeeds),
    // Namespaces, mounts, roots.
    row(
        "makes no user namespace",
        libc::SYS_unshare,
        |_| [i64::from(libc::CLONE_NEWUSER), 0, 0, 0, 0, 0],
        Killed,
        Untried,
    ),
    row(
        "makes no mount namespace",
        libc::SYS_unshare,
        |_| [i64::from(libc::CLONE_NEWNS), 0, 0, 0, 0, 0],
        Killed,
        Untried,
    ),
    row("shares on as before", libc::SYS_unshare, NONE, Killed, Succeeds),
    row("enters no namespace", libc::SYS_setns, BAD, Killed, Untried),
    row("mounts nothing", libc::SYS_mount, |_| [0, text(c"/no/such"), 0, 0, 0, 0], Killed, Untried),
    row("unmounts nothing", libc::SYS_umount2, |_| [text(c"/no/such"), 0, 0, 0, 0, 0], Killed, Untried),
    row("opens no file system", libc::SYS_fsopen, |_| [text(c"tmpfs"), 0, 0, 0, 0, 0], Killed, Untried),
    row("takes no mount", libc::SYS_open_tree, |_| [CWD, text(c"/"), 0, 0, 0, 0], Killed, Untried),
    row("moves no mount", libc::SYS_move_mount, BAD, Killed, Untried),
    row("changes no root", libc::SYS_chroot, |_| [text(c"/no/such"), 0, 0, 0, 0, 0], Killed, Untried),
    row("turns no root", libc::SYS_pivot_root, |_| [text(c"/no/a"), text(c"/no/b"), 0, 0, 0, 0], Killed, Untried),
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
    row("has no other filter", libc::SYS_seccomp, |_| [99, 0, 0, 0, 0, 0], Killed, Fails(libc::EINVAL)),
    row("has no other domain", libc::SYS_landlock_create_ruleset, |_| [0, 0, 1, 0, 0, 0], Killed, Untried),
    // Doors of the kernel that have opened before.
    row("loads no program into the kernel", libc::SYS_bpf, BAD, Killed, Untried),
    row("has no ring", libc::SYS_io_uring_setup, |_| [1, buffer(), 0, 0, 0, 0], Killed, Untried),
    row("enters no ring", libc::SYS_io_uring_enter, BAD, Killed, Untried),
    row("handles no page fault", libc::SYS_userfaultfd, |_| [1, 0, 0, 0, 0, 0], Killed, Untried),
    row("counts no events of the machine", libc::SYS_perf_event_open, NONE, Killed, Untried),
    row("holds no key", libc::SYS_keyctl, NONE, Killed, Untried),
    row("adds no key", libc::SYS_add_key, NONE, Killed, Untried),
    row("asks for no key", libc::SYS_request_key, NONE, Killed, Untried),
    row("loads no module", libc::SYS_finit_module, BAD, Killed, Untried),
    row("loads no kernel", libc::SYS_kexec_load, NONE, Killed, Untried),
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
    row("watches no files", libc::SYS_inotify_init1, NONE, Killed, Succeeds),
    row("types nothing into a terminal", libc::SYS_ioctl, |_| [0, 0x5412, buffer(), 0, 0, 0], Killed, Untried),
    row("asks nothing of a device", libc::SYS_ioctl, |_| [0, 0x541b, buffer(), 0, 0, 0], Killed, Succeeds),
    row("sends no signal by a descriptor", libc::SYS_fcntl, |victim| [0, 8, victim.own, 0, 0, 0], Killed, Succeeds),
    row("changes no descriptor's state", libc::SYS_fcntl, |_| [0, 4, 2, 0, 0, 0], Killed, Succeeds),
];
