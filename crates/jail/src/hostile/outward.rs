//! Calls that reach out: to files, the network, other processes, namespaces and mounts.

use libc::{EACCES, EBADF, ENOENT, ENOSYS};

use super::Outside::{Fails, Succeeds, Untried};
use super::Refused::{Killed, With};
use super::{BAD, HostileCall, NONE, Victim, buffer, row, text, words};

const CWD: i64 = libc::AT_FDCWD as i64;
const SIGCHLD: i64 = libc::SIGCHLD as i64;
/// The descriptor that a worker's socket has.
const SOCKET: i64 = 3;
/// `AT_EMPTY_PATH`: the descriptor itself.
const EMPTY_PATH: i64 = 0x1000;

fn memory_of(victim: &Victim) -> i64 {
    // Without a zero byte by the way it is made.
    let path = std::ffi::CString::new(format!("/proc/{}/mem", victim.parent)).unwrap_or_default();
    path.into_raw() as i64
}

/// A `sockaddr_in`: 127.0.0.1, port 80.
fn localhost() -> i64 {
    words(&[u64::from_le_bytes([2, 0, 0, 80, 127, 0, 0, 1]), 0])
}

pub(super) const CALLS: &[HostileCall] = &[
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
        |victim| [CWD, memory_of(victim), 0, 0, 0, 0],
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
    row("takes no file by its name's handle", libc::SYS_name_to_handle_at, BAD, Killed, Untried),
    row("cuts no file by path", libc::SYS_truncate, |_| [text(c"/no/such"), 0, 0, 0, 0, 0], Killed, Fails(ENOENT)),
    row("asks for no file system", libc::SYS_statfs, |_| [text(c"/"), buffer(), 0, 0, 0, 0], Killed, Succeeds),
    row("watches no file system", libc::SYS_fanotify_init, NONE, Killed, Untried),
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
    row(
        "connects not the socket that it has",
        libc::SYS_connect,
        |_| [SOCKET, localhost(), 16, 0, 0, 0],
        Killed,
        Untried,
    ),
    row(
        "sends elsewhere over no socket that it has",
        libc::SYS_sendto,
        |_| [SOCKET, text(c"x"), 1, 0, localhost(), 16],
        Killed,
        Untried,
    ),
    row("makes no raw internet socket", libc::SYS_socket, |_| [2, 3, 1, 0, 0, 0], Killed, Untried),
    row("makes no packet socket", libc::SYS_socket, |_| [17, 3, 0x0300, 0, 0, 0], Killed, Untried),
    row("makes no socket to the hypervisor", libc::SYS_socket, |_| [40, 1, 0, 0, 0, 0], Killed, Untried),
    row("makes no socket of the kernel's ciphers", libc::SYS_socket, |_| [38, 5, 0, 0, 0, 0], Killed, Untried),
    row("sends no messages in bulk", libc::SYS_sendmmsg, BAD, Killed, Fails(EBADF)),
    row("asks for no peer", libc::SYS_getpeername, BAD, Killed, Fails(EBADF)),
    // Programs, processes, threads.
    row("runs no program", libc::SYS_execve, |_| [text(c"/no/such"), 0, 0, 0, 0, 0], Killed, Fails(ENOENT)),
    row(
        "runs no program by execveat",
        libc::SYS_execveat,
        |_| [CWD, text(c"/no/such"), 0, 0, 0, 0],
        Killed,
        Fails(ENOENT),
    ),
    row("runs no memory file", libc::SYS_execveat, |_| [-1, text(c""), 0, 0, EMPTY_PATH, 0], Killed, Fails(EBADF)),
    #[cfg(target_arch = "x86_64")]
    row("forks not", libc::SYS_fork, NONE, Killed, Succeeds),
    #[cfg(target_arch = "x86_64")]
    row("forks not by vfork", libc::SYS_vfork, NONE, Killed, Untried),
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
    row("clones no process into every namespace", libc::SYS_clone, |_| [0x7e02_0011, 0, 0, 0, 0, 0], Killed, Untried),
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
    row("signals no thread by number", libc::SYS_tkill, |victim| [victim.parent, 0, 0, 0, 0, 0], Killed, Succeeds),
    row("sends no signal by a held process", libc::SYS_pidfd_send_signal, BAD, Killed, Fails(EBADF)),
    row(
        "reads not its parent's memory",
        libc::SYS_process_vm_readv,
        |victim| [victim.parent, 0, 0, 0, 0, 0],
        Killed,
        Untried,
    ),
    row("releases no other process's memory", libc::SYS_process_mrelease, BAD, Killed, Untried),
    row(
        "moves no other process's pages",
        libc::SYS_move_pages,
        |victim| [victim.parent, 0, 0, 0, 0, 0],
        Killed,
        Untried,
    ),
    row("does not learn who its parent is", libc::SYS_getppid, NONE, Killed, Succeeds),
    row("waits for nobody", libc::SYS_waitid, |_| [0, 0, 0, 1, 0, 0], Killed, Untried),
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
    row("makes no mount of a file system", libc::SYS_fsmount, BAD, Killed, Untried),
    row("changes no mount", libc::SYS_mount_setattr, BAD, Killed, Untried),
    row("names no host", libc::SYS_sethostname, |_| [text(c"x"), 0, 0, 0, 0, 0], Killed, Untried),
    row("changes no root", libc::SYS_chroot, |_| [text(c"/no/such"), 0, 0, 0, 0, 0], Killed, Untried),
    row("turns no root", libc::SYS_pivot_root, |_| [text(c"/no/a"), text(c"/no/b"), 0, 0, 0, 0], Killed, Untried),
];
