//! Native code inside a locked worker, as after an escape from the WebAssembly runtime: one system call each, by number,
//! so that no library stands in between.

use serde_json::{Value, json};

/// What a play does with the process id of the server.
type Call = fn(i64) -> (libc::c_long, [i64; 6]);

/// Each in the words of what it would mean.
const CALLS: &[(&str, Call)] = &[
    ("open a file", |_| (libc::SYS_openat, [CWD, text(c"/etc/passwd"), 0, 0, 0, 0])),
    ("open the server's memory", |_| (libc::SYS_openat, [CWD, text(c"/proc/1/mem"), 2, 0, 0, 0])),
    ("look at a file", |_| (libc::SYS_statx, [CWD, text(c"/etc/passwd"), 0, 0, 0, 0])),
    ("open a file by openat2", |_| (libc::SYS_openat2, [CWD, text(c"/etc/passwd"), 0, 24, 0, 0])),
    ("make a socket", |_| (libc::SYS_socket, [2, 1, 0, 0, 0, 0])),
    ("connect the socket there is", |_| (libc::SYS_connect, [3, LOCALHOST.as_ptr() as i64, 16, 0, 0, 0])),
    ("send elsewhere", |_| (libc::SYS_sendto, [3, text(c"x"), 1, 0, LOCALHOST.as_ptr() as i64, 16])),
    ("execute a program", |_| (libc::SYS_execve, [text(c"/bin/sh"), 0, 0, 0, 0, 0])),
    ("trace the server", |server| (libc::SYS_ptrace, [16, server, 0, 0, 0, 0])),
    ("read the server's memory", |server| (libc::SYS_process_vm_readv, [server, 0, 0, 0, 0, 0])),
    ("kill the server", |server| (libc::SYS_kill, [server, 0, 0, 0, 0, 0])),
    ("signal a thread of the server", |server| (libc::SYS_tgkill, [server, server, 0, 0, 0, 0])),
    ("hold on to the server", |server| (libc::SYS_pidfd_open, [server, 0, 0, 0, 0, 0])),
    ("change the server's limits", |server| (libc::SYS_prlimit64, [server, 7, text(c"0123456789abcdef"), 0, 0, 0])),
    ("fork", |_| (libc::SYS_clone, [17, 0, 0, 0, 0, 0])),
    ("make a user namespace", |_| (libc::SYS_unshare, [0x1000_0000, 0, 0, 0, 0, 0])),
    ("make a process in new namespaces", |_| (libc::SYS_clone, [0x7e02_0011, 0, 0, 0, 0, 0])),
    ("enter a namespace", |_| (libc::SYS_setns, [3, 0, 0, 0, 0, 0])),
    ("mount", |_| (libc::SYS_mount, [text(c"none"), text(c"/"), text(c"tmpfs"), 0, 0, 0])),
    ("change the root", |_| (libc::SYS_chroot, [text(c"/"), 0, 0, 0, 0, 0])),
    ("load a bpf program", |_| (libc::SYS_bpf, [5, 0, 0, 0, 0, 0])),
    ("set up io_uring", |_| (libc::SYS_io_uring_setup, [8, 0, 0, 0, 0, 0])),
    ("set up userfaultfd", |_| (libc::SYS_userfaultfd, [1, 0, 0, 0, 0, 0])),
    ("count performance events", |_| (libc::SYS_perf_event_open, [0, 0, -1, -1, 0, 0])),
    ("look for keys", |_| (libc::SYS_keyctl, [0, -3, 0, 0, 0, 0])),
    ("become root", |_| (libc::SYS_setuid, [0, 0, 0, 0, 0, 0])),
    ("become dumpable", |_| (libc::SYS_prctl, [4, 1, 0, 0, 0, 0])),
    ("share memory", |_| (libc::SYS_mmap, [0, 4096, 3, 0x21, -1, 0])),
    ("make a memory file", |_| (libc::SYS_memfd_create, [text(c"x"), 0, 0, 0, 0, 0])),
    ("change the filter", |_| (libc::SYS_seccomp, [1, 0, 0, 0, 0, 0])),
    ("load a kernel module", |_| (libc::SYS_finit_module, [3, text(c""), 0, 0, 0, 0])),
    ("push keys into the terminal", |_| (libc::SYS_ioctl, [1, 0x5412, text(c"x"), 0, 0, 0])),
];

/// A `sockaddr_in`: 127.0.0.1, port 80.
static LOCALHOST: [u8; 16] = [2, 0, 0, 80, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
const CWD: i64 = libc::AT_FDCWD as i64;

fn text(text: &'static std::ffi::CStr) -> i64 {
    text.as_ptr() as i64
}

pub(crate) fn play(name: &str, event: &Value) -> Option<Vec<u8>> {
    let answer = match name {
        "list" => CALLS.iter().map(|(name, _)| *name).collect(),
        "pid" => json!(std::process::id()),
        "inventory" => inventory(),
        "allocate" => json!({ "bytes": allocate() }),
        "abort" => std::process::abort(),
        _ => {
            let (_, call) = CALLS.iter().find(|(known, _)| *known == name)?;
            let (number, [a, b, c, d, e, f]) = call(event.get("server")?.as_i64()?);
            // SAFETY: whatever it does to this process is what the test is about.
            let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
            let errno = std::io::Error::last_os_error().raw_os_error();
            json!({ "result": result, "errno": if result < 0 { errno } else { None } })
        }
    };
    serde_json::to_vec(&answer).ok()
}

/// What the process was born with.
fn inventory() -> Value {
    let environment: Vec<String> = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()).collect();
    let mut descriptors = Vec::new();
    let mut sockets = Vec::new();
    for fd in 0..4096 {
        // SAFETY: asks only whether the descriptor is open.
        if unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
            continue;
        }
        descriptors.push(fd);
        // SAFETY: all zeros is a valid `stat`.
        let mut status: libc::stat = unsafe { std::mem::zeroed() };
        // SAFETY: `status` is valid for the call.
        let known = unsafe { libc::syscall(libc::SYS_fstat, fd, &raw mut status) } == 0;
        if !known || status.st_mode & libc::S_IFMT == libc::S_IFSOCK {
            sockets.push(fd);
        }
    }
    json!({ "environment": environment, "descriptors": descriptors, "sockets": sockets })
}

/// Maps private memory until there is no more. Returns how much there was.
fn allocate() -> u64 {
    const STEP: usize = 16 << 20;
    const MOST: u64 = 1 << 40;
    let mut bytes = 0;
    while bytes < MOST {
        let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping, touched by nobody.
        let mapped = unsafe { libc::mmap(std::ptr::null_mut(), STEP, access, kind, -1, 0) };
        if mapped == libc::MAP_FAILED {
            break;
        }
        bytes += STEP as u64;
    }
    bytes
}
