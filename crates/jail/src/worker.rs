//! The system calls of a worker that computes, waits and talks over the socket it was born with. One row a call and
//! purpose: a row without a reason is a hole without a guard.
//!
//! Not here, on purpose: whatever takes a path, makes a descriptor, a process or a thread, or reaches another process.
//! Memory that `RLIMIT_DATA` does not count (shared anonymous, growing down, huge pages, new memory files) cannot be had
//! either.

use crate::filter::{Action, Answer, Check, Is, Profile, Row};

impl Profile {
    /// The profile of `sublet __sandbox` workers; kills on anything else.
    pub fn worker() -> Profile {
        Profile::new("worker", WORKER.to_vec(), ANSWERS.to_vec(), Action::KillProcess)
    }
}

const fn row(syscall: libc::c_long, reason: &'static str) -> Row {
    Row { syscall, when: &[], reason }
}

const fn row_if(syscall: libc::c_long, when: &'static [Check], reason: &'static str) -> Row {
    Row { syscall, when, reason }
}

const fn int(argument: u8, value: i32) -> Check {
    Check { argument, is: Is::Int(value.cast_unsigned()) }
}

const fn null(argument: u8) -> Check {
    Check { argument, is: Is::Word(0) }
}

const fn without(argument: u8, flags: i32) -> Check {
    Check { argument, is: Is::Masked { mask: flags.cast_unsigned(), value: 0 } }
}

/// The command within the operation, without its flags. Those that lend priority are left out: the kernel's part of them
/// is intricate, and nobody here uses them.
const fn futex(command: i32) -> Check {
    const COMMAND_MASK: u32 = !(libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME).cast_unsigned();
    Check { argument: 1, is: Is::Masked { mask: COMMAND_MASK, value: command.cast_unsigned() } }
}

/// `_IOWR('f', 16, struct pm_scan_arg)`: which pages were written since the last reset. Linux 6.7.
const PAGEMAP_SCAN: i32 = 0xC060_6610_u32.cast_signed();

/// The argument of `prctl` that names a mapping. Linux 5.17.
const PR_SET_VMA: i32 = 0x53_56_4d_41;

/// Mappings that take memory past the ceiling: stacks that grow are not counted, huge pages come from another pool.
const UNCOUNTED: i32 = libc::MAP_GROWSDOWN | libc::MAP_HUGETLB;

const WORKER: &[Row] = &[
    // Talk: on descriptors that are open already.
    row(libc::SYS_read, "frames; the log pipe"),
    row(libc::SYS_write, "frames; the log pipe"),
    row(libc::SYS_readv, "frames in pieces"),
    row(libc::SYS_writev, "frames in pieces"),
    row(libc::SYS_recvmsg, "frames with descriptors of memory files from the server"),
    row(libc::SYS_sendmsg, "frames in pieces; the server takes no descriptors from here"),
    row(libc::SYS_recvfrom, "frames"),
    row_if(libc::SYS_sendto, &[null(4)], "frames, to the peer the socket has and no other"),
    row(libc::SYS_shutdown, "says that no more will come"),
    row(libc::SYS_close, "memory files that are mapped or done with"),
    row(libc::SYS_fstat, "the size of a memory file"),
    row(libc::SYS_lseek, "the size of a memory file"),
    row(libc::SYS_pread64, "reads a memory file"),
    row_if(libc::SYS_fcntl, &[int(1, libc::F_GETFD)], "the standard library checks descriptors"),
    row_if(libc::SYS_fcntl, &[int(1, libc::F_SETFD)], "close-on-exec, harmless where there is no exec"),
    row_if(libc::SYS_fcntl, &[int(1, libc::F_GETFL)], "is it blocking"),
    row_if(libc::SYS_fcntl, &[int(1, libc::F_DUPFD_CLOEXEC)], "a module keeps a descriptor of its image"),
    row_if(libc::SYS_fcntl, &[int(1, libc::F_GET_SEALS)], "is the server's memory file sealed"),
    row_if(libc::SYS_ioctl, &[int(1, PAGEMAP_SCAN)], "which pages an attempt wrote"),
    // Wait.
    row(libc::SYS_ppoll, "for frames and timers"),
    row(libc::SYS_epoll_pwait, "for frames and timers"),
    row(libc::SYS_epoll_ctl, "what to wait for"),
    row_if(libc::SYS_futex, &[futex(libc::FUTEX_WAIT)], "locks"),
    row_if(libc::SYS_futex, &[futex(libc::FUTEX_WAKE)], "locks"),
    row_if(libc::SYS_futex, &[futex(libc::FUTEX_WAIT_BITSET)], "locks with a deadline; the end of a thread"),
    row_if(libc::SYS_futex, &[futex(libc::FUTEX_WAKE_BITSET)], "locks"),
    row(libc::SYS_sched_yield, "locks that spin"),
    row(libc::SYS_nanosleep, "a bounded wait"),
    row(libc::SYS_clock_nanosleep, "a bounded wait"),
    row(libc::SYS_restart_syscall, "the kernel continues a wait that a stop interrupted"),
    // Memory.
    row_if(libc::SYS_mmap, &[without(3, libc::MAP_SHARED | UNCOUNTED)], "private memory, which the ceiling counts"),
    row_if(libc::SYS_mmap, &[without(3, libc::MAP_ANONYMOUS | UNCOUNTED)], "memory files, code and images"),
    row(libc::SYS_munmap, "gives memory back"),
    row(libc::SYS_mprotect, "memories grow, images become executable: wasmtime maps data-only ones so too"),
    row(libc::SYS_mremap, "large allocations grow"),
    row_if(libc::SYS_madvise, &[int(2, libc::MADV_DONTNEED)], "resets an instance's pages; trims the heap"),
    row_if(libc::SYS_madvise, &[int(2, libc::MADV_FREE)], "trims the heap"),
    row_if(libc::SYS_madvise, &[int(2, libc::MADV_WILLNEED)], "an image is about to be used"),
    row_if(libc::SYS_madvise, &[int(2, libc::MADV_HUGEPAGE)], "the heap"),
    row_if(libc::SYS_madvise, &[int(2, libc::MADV_NOHUGEPAGE)], "instances, whose pages are reset one by one"),
    row(libc::SYS_brk, "small allocations grow"),
    row_if(libc::SYS_prctl, &[int(0, PR_SET_VMA)], "the allocator names its mappings"),
    row(libc::SYS_membarrier, "new code becomes visible to all cores"),
    // Time: mostly read without a call, but not under every hypervisor.
    row(libc::SYS_clock_gettime, "deadlines and CPU time"),
    row(libc::SYS_clock_getres, "the grain of a clock"),
    row(libc::SYS_gettimeofday, "the wall clock"),
    row(libc::SYS_timer_settime, "the epoch tick, made before the seal, goes on and off"),
    row(libc::SYS_timer_gettime, "is it on"),
    row(libc::SYS_timer_getoverrun, "ticks that were missed"),
    row(libc::SYS_timerfd_settime, "a timer made before the seal"),
    row(libc::SYS_timerfd_gettime, "is it on"),
    row(libc::SYS_getrusage, "what an attempt used"),
    row(libc::SYS_getrandom, "seeds; the kernel's generator is open to all"),
    // Signals: traps of Wasm arrive as signals.
    row(libc::SYS_rt_sigreturn, "returns from a handler"),
    row(libc::SYS_rt_sigprocmask, "holds signals back for a moment"),
    row(libc::SYS_rt_sigaction, "a fault that is not ours gets its default action back"),
    row(libc::SYS_sigaltstack, "threads put their signal stack up and down"),
    row_if(libc::SYS_tgkill, &[Check { argument: 0, is: Is::OwnProcess }], "abort() ends as SIGABRT"),
    // Threads that are there already.
    row(libc::SYS_getpid, "abort()"),
    row(libc::SYS_gettid, "abort(); locks that know their owner"),
    row(libc::SYS_sched_getaffinity, "the allocator counts cores"),
    row(libc::SYS_getcpu, "the allocator picks an arena"),
    row(libc::SYS_set_robust_list, "a thread's start, should it have come before the seal but not finished"),
    row(libc::SYS_rseq, "a thread's start, as above"),
    row_if(libc::SYS_prctl, &[int(0, libc::PR_SET_NAME)], "a thread's start, as above"),
    row_if(
        libc::SYS_prlimit64,
        &[int(0, 0), null(2)],
        "a thread asks how large its stack is; its own limits, read only",
    ),
    row(libc::SYS_exit, "a thread ends"),
    row(libc::SYS_exit_group, "the process ends"),
    #[cfg(target_arch = "x86_64")]
    row(libc::SYS_poll, "for frames and timers"),
    #[cfg(target_arch = "x86_64")]
    row(libc::SYS_epoll_wait, "for frames and timers"),
    #[cfg(target_arch = "x86_64")]
    row(libc::SYS_time, "the wall clock"),
];

const ANSWERS: &[Answer] = &[
    Answer {
        syscall: libc::SYS_clone3,
        errno: libc::ENOSYS,
        reason: "its flags are in memory, where the filter cannot see them; the C library then tries clone, whose flags \
                 are an argument",
    },
    Answer {
        syscall: libc::SYS_statx,
        errno: libc::ENOSYS,
        reason: "it takes a path, which the filter cannot see, and the standard library calls it for open files too: \
                 only as a hint when reading, and those that must know use fstat",
    },
    Answer {
        syscall: libc::SYS_newfstatat,
        errno: libc::ENOSYS,
        reason: "what the C library makes of fstat; as above",
    },
    Answer {
        syscall: libc::SYS_openat,
        errno: libc::EACCES,
        reason: "the C library's allocator looks at /proc/sys/vm/overcommit_memory when an arena shrinks, and a panic's \
                 backtrace at the program: neither may end a healthy worker",
    },
    Answer {
        syscall: libc::SYS_getcwd,
        errno: libc::EACCES,
        reason: "a panic's backtrace shortens paths by it, and the panic is to be read",
    },
    Answer {
        syscall: libc::SYS_readlinkat,
        errno: libc::EACCES,
        reason: "a panic's backtrace asks which program this is",
    },
    #[cfg(target_arch = "x86_64")]
    Answer { syscall: libc::SYS_readlink, errno: libc::EACCES, reason: "as above" },
];

/// New threads, but no processes and no namespaces: for a process that cannot start all its threads before the seal.
pub const NEW_THREADS: &[Row] = &[
    row_if(
        libc::SYS_clone,
        &[Check {
            argument: 0,
            is: Is::Masked { mask: CLONE_MASK.cast_unsigned(), value: CLONE_THREAD.cast_unsigned() },
        }],
        "a thread of this process",
    ),
    row(libc::SYS_set_tid_address, "a thread's start"),
];

/// What makes a clone a thread and no more.
const CLONE_THREAD: i32 =
    libc::CLONE_VM | libc::CLONE_FS | libc::CLONE_FILES | libc::CLONE_SIGHAND | libc::CLONE_THREAD;
/// The bits looked at: those, and all that would make a namespace or be traced.
const CLONE_MASK: i32 = CLONE_THREAD
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_PTRACE
    | libc::CLONE_VFORK;

/// Making memory files. What is in them escapes the memory ceiling; only `file_bytes_max` times `open_files_max`
/// bounds it, so choose both small where this is allowed.
pub const MEMORY_FILES: &[Row] = &[
    row(libc::SYS_memfd_create, "an instance's image"),
    row(libc::SYS_ftruncate, "the size of an image"),
    row(libc::SYS_pwrite64, "the content of an image"),
    row_if(libc::SYS_fcntl, &[int(1, libc::F_ADD_SEALS)], "an image that no longer changes"),
];
