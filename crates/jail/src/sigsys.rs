//! For whoever extends a profile: prints the calls that it refuses, and goes on.
//!
//! Seal with [`Action::Trap`](crate::Action::Trap) after calling [`install_sigsys_reporter`], and every refused call
//! becomes a line on standard error, with its number, its first arguments and, for the likely ones, its name; the
//! call itself fails with EPERM, so that one run shows them all. In production (`KillProcess`) the kernel's log says the same
//! where it logs seccomp: `dmesg | grep SECCOMP`, field `syscall=`, and `ausyscall NUMBER` for the name.

use crate::ledger::Refusal;
use std::io::{Cursor, Write};

/// The part of the kernel's `siginfo_t` that a filter fills in.
#[repr(C)]
struct Refused {
    signal: libc::c_int,
    errno: libc::c_int,
    code: libc::c_int,
    _pad: libc::c_int,
    _address: usize,
    syscall: libc::c_int,
}

/// Makes SIGSYS print the refused call to standard error and answer it with EPERM. For development: the filter still
/// refuses, but hostile code is not stopped.
pub fn install_sigsys_reporter() -> Result<(), crate::Error> {
    // SAFETY: all zeros is a valid `sigaction`: no flags, an empty mask, the default handler.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = on_sigsys as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
    // SAFETY: the handler has the signature that SA_SIGINFO asks for, and does only what a handler may.
    if unsafe { libc::sigaction(libc::SIGSYS, &raw const action, std::ptr::null_mut()) } != 0 {
        let refusal = Refusal::last("sigaction(SIGSYS)");
        return Err(crate::Error::Missing {
            layer: crate::Layer::SystemCalls,
            step: refusal.step,
            errno: refusal.errno,
        });
    }
    Ok(())
}

/// Neither allocates nor locks: it interrupts whatever the thread was doing.
extern "C" fn on_sigsys(_signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid siginfo_t, of which `Refused` is the beginning as SIGSYS lays it out.
    let refused = unsafe { &*info.cast::<Refused>() };
    // SAFETY: with SA_SIGINFO the third argument is the interrupted thread's ucontext_t, and nothing else refers to it.
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    let arguments = answer_eperm(context);
    let name = LIKELY.iter().chain(OLD).find(|(number, _)| *number == libc::c_long::from(refused.syscall));
    let mut line = Cursor::new([0_u8; 256]);
    // A line that does not fit is cut.
    let _ = writeln!(
        line,
        "sublet-jail: refused system call {} ({}) with {:#x} {:#x} {:#x} {:#x}",
        refused.syscall,
        name.map_or("unnamed", |(_, name)| name),
        arguments[0],
        arguments[1],
        arguments[2],
        arguments[3],
    );
    let length = usize::try_from(line.position()).unwrap_or(0);
    // SAFETY: the buffer is valid for `length` bytes.
    unsafe { libc::write(libc::STDERR_FILENO, line.get_ref().as_ptr().cast(), length) };
}

/// Sets the call's result in the interrupted thread's registers and returns its first four arguments.
#[cfg(target_arch = "x86_64")]
fn answer_eperm(context: &mut libc::ucontext_t) -> [i64; 4] {
    let registers = &mut context.uc_mcontext.gregs;
    registers[libc::REG_RAX as usize] = -i64::from(libc::EPERM);
    [libc::REG_RDI, libc::REG_RSI, libc::REG_RDX, libc::REG_R10].map(|register| registers[register as usize])
}

#[cfg(target_arch = "aarch64")]
fn answer_eperm(context: &mut libc::ucontext_t) -> [i64; 4] {
    let registers = &mut context.uc_mcontext.regs;
    let arguments = [registers[0], registers[1], registers[2], registers[3]].map(u64::cast_signed);
    registers[0] = (-i64::from(libc::EPERM)).cast_unsigned();
    arguments
}

// One list for numbers and names, which differ between architectures.
macro_rules! named {
    ($($call:ident),* $(,)?) => { &[$((libc::$call, stringify!($call))),*] };
}

/// Calls that a worker is likely to be caught at.
const LIKELY: &[(libc::c_long, &str)] = named![
    SYS_openat,
    SYS_newfstatat,
    SYS_statx,
    SYS_readlinkat,
    SYS_faccessat,
    SYS_getdents64,
    SYS_socket,
    SYS_connect,
    SYS_bind,
    SYS_socketpair,
    SYS_pipe2,
    SYS_eventfd2,
    SYS_epoll_create1,
    SYS_timerfd_create,
    SYS_timer_create,
    SYS_timer_delete,
    SYS_memfd_create,
    SYS_ftruncate,
    SYS_fallocate,
    SYS_pwrite64,
    SYS_dup,
    SYS_dup3,
    SYS_fcntl,
    SYS_ioctl,
    SYS_mmap,
    SYS_mlock,
    SYS_mincore,
    SYS_pkey_alloc,
    SYS_pkey_mprotect,
    SYS_clone,
    SYS_clone3,
    SYS_execve,
    SYS_wait4,
    SYS_kill,
    SYS_tgkill,
    SYS_prctl,
    SYS_prlimit64,
    SYS_setrlimit,
    SYS_getrlimit,
    SYS_sysinfo,
    SYS_uname,
    SYS_getuid,
    SYS_geteuid,
    SYS_getppid,
    SYS_sched_setaffinity,
    SYS_set_tid_address,
    SYS_epoll_pwait2,
    SYS_getsockopt,
    SYS_setsockopt,
    SYS_sendmmsg,
    SYS_recvmmsg,
    SYS_rt_sigtimedwait,
    SYS_rt_sigpending,
    SYS_process_vm_readv,
];

/// Their forebears, which newer architectures never had.
#[cfg(target_arch = "x86_64")]
const OLD: &[(libc::c_long, &str)] = named![
    SYS_open,
    SYS_stat,
    SYS_access,
    SYS_readlink,
    SYS_getdents,
    SYS_pipe,
    SYS_eventfd,
    SYS_epoll_create,
    SYS_dup2,
    SYS_select,
    SYS_alarm,
    SYS_pause,
    SYS_fork,
    SYS_vfork,
    SYS_arch_prctl,
];
#[cfg(not(target_arch = "x86_64"))]
const OLD: &[(libc::c_long, &str)] = &[];
