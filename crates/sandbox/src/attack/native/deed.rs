//! What native code finds in its process, what it can take, and how it may end.

use std::time::Duration;

use serde_json::json;
use sublet_model::Outcome;

use super::{Play, Played, crashed, json_of};

/// Long enough for what ends by itself.
const PATIENT: Duration = Duration::from_secs(5);
/// For what never ends: the server waits a second longer before it calls a worker stuck.
pub(super) const IMPATIENT: Duration = Duration::from_millis(200);
const STUCK_WITHIN: Duration = Duration::from_secs(5);

pub(super) const DEEDS: &[Play] = &[
    Play {
        name: "process-environment",
        promise: "A worker holds no environment of the server's, and no descriptor but its own",
        deed: inventory,
        wall: PATIENT,
        judge: |played| {
            let found = json_of(played)?;
            if found["environment"] != json!([]) {
                return Err("there is an environment".to_owned());
            }
            if found["sockets"] != json!([3]) {
                return Err("there is a socket beside its own".to_owned());
            }
            // The null device twice, the bounded standard error, the socket, the page map, and the base's images.
            let count = found["descriptors"].as_array().map_or(usize::MAX, Vec::len);
            if count <= 8 { Ok(()) } else { Err(format!("{count} descriptors are open")) }
        },
    },
    Play {
        name: "process-memory",
        promise: "Native code cannot map more private memory than the worker's ceiling",
        deed: allocate,
        wall: PATIENT,
        judge: |played| {
            let bytes = json_of(played)?["bytes"].as_u64().unwrap_or(u64::MAX);
            if bytes <= played.memory_bytes {
                Ok(())
            } else {
                Err(format!("{bytes} bytes, of {}", played.memory_bytes))
            }
        },
    },
    Play {
        name: "process-aborts",
        promise: "A worker that aborts takes its attempt with it and no more",
        deed: || std::process::abort(),
        wall: PATIENT,
        judge: crashed,
    },
    Play {
        name: "process-exits",
        promise: "A worker that leaves takes its attempt with it and no more",
        deed: || {
            // SAFETY: ends the process.
            unsafe { libc::_exit(0) }
        },
        wall: PATIENT,
        judge: crashed,
    },
    Play {
        name: "process-faults",
        promise: "A worker that reads where nothing is takes its attempt with it and no more",
        deed: || {
            // SAFETY: the fault is what it is about; nothing of this process goes on.
            vec![unsafe { std::ptr::read_volatile(std::ptr::without_provenance::<u8>(8)) }]
        },
        wall: PATIENT,
        judge: crashed,
    },
    Play {
        name: "process-recurses",
        promise: "A worker whose own stack overflows takes its attempt with it and no more",
        deed: || vec![recurse(0)],
        wall: PATIENT,
        judge: crashed,
    },
    Play {
        name: "process-panics",
        promise: "A worker that panics takes its attempt with it and no more",
        deed: || panic!("as native code may"),
        wall: PATIENT,
        judge: crashed,
    },
    Play {
        name: "process-hangs-up",
        promise: "A worker that closes its socket takes its attempt with it and no more",
        deed: || {
            // SAFETY: the socket is closed under the worker on purpose.
            unsafe { libc::close(super::lie::SOCKET) };
            b"null".to_vec()
        },
        wall: PATIENT,
        judge: crashed,
    },
    Play {
        name: "process-spins",
        promise: "Native code that never comes back is killed soon after the attempt's deadline",
        deed: || loop {
            std::hint::spin_loop();
        },
        wall: IMPATIENT,
        judge: stuck,
    },
    Play {
        name: "process-sleeps",
        promise: "Native code that waits for ever is killed soon after the attempt's deadline",
        deed: || {
            let span = libc::timespec { tv_sec: 1_000_000, tv_nsec: 0 };
            loop {
                // SAFETY: the span is valid, and nothing is written.
                unsafe { libc::nanosleep(&raw const span, std::ptr::null_mut()) };
            }
        },
        wall: IMPATIENT,
        judge: stuck,
    },
    Play {
        name: "process-ignores-signals",
        promise: "Native code that blocks every signal is killed all the same",
        deed: || {
            // SAFETY: all bits set is a valid set of signals.
            let all: libc::sigset_t = unsafe { std::mem::transmute([0xff_u8; size_of::<libc::sigset_t>()]) };
            // SAFETY: the set is valid.
            unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const all, std::ptr::null_mut()) };
            loop {
                std::hint::spin_loop();
            }
        },
        wall: IMPATIENT,
        judge: stuck,
    },
    Play {
        name: "process-shouts",
        promise: "What a worker writes to standard error takes a bounded room",
        deed: || {
            let line = [b'!'; 4096];
            let mut written: i64 = 0;
            for _ in 0..10_000 {
                // SAFETY: the bytes are valid for the call.
                let count = unsafe { libc::write(2, line.as_ptr().cast(), line.len()) };
                if count < 0 {
                    break;
                }
                written += count as i64;
            }
            serde_json::to_vec(&json!({ "written": written })).unwrap_or_default()
        },
        wall: PATIENT,
        judge: |played| {
            let written = json_of(played)?["written"].as_i64().unwrap_or(i64::MAX);
            if written <= 1 << 20 { Ok(()) } else { Err(format!("{written} bytes were taken")) }
        },
    },
];

fn stuck(played: &Played<'_>) -> Result<(), String> {
    if played.report.outcome != Outcome::TimedOut {
        return Err("it should end as TimedOut".to_owned());
    }
    if played.took > STUCK_WITHIN {
        return Err(format!("only after {} ms", played.took.as_millis()));
    }
    Ok(())
}

/// What the process was born with.
fn inventory() -> Vec<u8> {
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
    let pid = std::process::id();
    let found = json!({ "pid": pid, "environment": environment, "descriptors": descriptors, "sockets": sockets });
    serde_json::to_vec(&found).unwrap_or_default()
}

/// Maps private memory until there is no more. Says how much there was.
fn allocate() -> Vec<u8> {
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
    serde_json::to_vec(&json!({ "bytes": bytes })).unwrap_or_default()
}

#[inline(never)]
fn recurse(depth: u64) -> u8 {
    let frame = std::hint::black_box([depth as u8; 4096]);
    // Never reached: the stack ends long before.
    if depth == u64::MAX {
        return 0;
    }
    recurse(depth + 1).wrapping_add(frame[(depth % 4096) as usize])
}
