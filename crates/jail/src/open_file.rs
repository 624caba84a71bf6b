//! The size of an open file, for libraries that ask by `statx`: the standard library's `File::metadata`, which wasmtime
//! calls on every image it maps.
//!
//! `statx` takes a path that the filter cannot see, so that the profile refuses it. Here the refused call is trapped
//! instead, and a handler in the process answers it for an empty path by `fstat`, which takes no path at all. The
//! handler has no more rights than the code it interrupts: hostile code gains nothing by it, nor by replacing it.

use crate::enter::Entered;
use crate::error::Error;
use crate::filter::instruction;
use crate::layer::Layer;
use crate::ledger::Refusal;

/// After [`Begun::enter`](crate::Begun::enter), which sets no new privileges, and before [`Entered::seal`]: of two
/// filters that answer, the kernel takes the harsher one, and a trap is harsher than an error number.
pub fn answer_status_of_open_files(_entered: &Entered) -> Result<(), Error> {
    let missing =
        |refusal: Refusal| Error::Missing { layer: Layer::SystemCalls, step: refusal.step, errno: refusal.errno };
    // SAFETY: all zeros is a valid `sigaction`: no flags, an empty mask, the default handler.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = on_trap as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: the handler has the signature that SA_SIGINFO asks for, and does only what a handler may.
    if unsafe { libc::sigaction(libc::SIGSYS, &raw const action, std::ptr::null_mut()) } != 0 {
        return Err(missing(Refusal::last("sigaction(SIGSYS)")));
    }
    const LOAD: libc::c_uint = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    const JUMP_IF_EQUAL: libc::c_uint = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    const ANSWER: libc::c_uint = libc::BPF_RET | libc::BPF_K;
    // It need not look at the architecture: the allow-list to come does.
    let program = [
        instruction(LOAD, 0, 0),
        instruction(JUMP_IF_EQUAL, libc::SYS_statx as u32, 1),
        instruction(ANSWER, libc::SECCOMP_RET_TRAP, 0),
        instruction(ANSWER, libc::SECCOMP_RET_ALLOW, 0),
    ];
    seccompiler::apply_filter(&program)
        .map_err(|_| missing(Refusal::last("seccomp(SECCOMP_SET_MODE_FILTER) for statx")))
}

/// Neither allocates nor locks: it interrupts whatever the thread was doing. Should another filter trap another call,
/// that one fails too.
extern "C" fn on_trap(_signal: libc::c_int, _info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: with SA_SIGINFO the third argument is the interrupted thread's ucontext_t, and nothing else refers to it.
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    let call = Call::of(context);
    let result = if call.number == libc::SYS_statx { call.status() } else { -i64::from(libc::ENOSYS) };
    set_result(context, result);
}

/// The interrupted call: `statx(file, path, flags, mask, buffer)`.
struct Call {
    number: libc::c_long,
    arguments: [i64; 5],
}

impl Call {
    fn status(&self) -> i64 {
        let [file, path, flags, _mask, buffer] = self.arguments;
        // SAFETY: the caller passed a C string. If it lied, it crashes itself.
        let is_empty = path == 0 || unsafe { *(path as *const u8) } == 0;
        if !is_empty || flags & i64::from(libc::AT_EMPTY_PATH) == 0 {
            return -i64::from(libc::ENOSYS);
        }
        // SAFETY: all zeros is a valid `stat`.
        let mut found: libc::stat = unsafe { std::mem::zeroed() };
        // SAFETY: `found` is valid. Not by the C library, whose `fstat` is another call that takes a path.
        if unsafe { libc::syscall(libc::SYS_fstat, file, &raw mut found) } != 0 {
            return -i64::from(libc::EBADF);
        }
        // SAFETY: all zeros is a valid `statx`.
        let mut told: libc::statx = unsafe { std::mem::zeroed() };
        told.stx_mask = libc::STATX_TYPE | libc::STATX_MODE | libc::STATX_SIZE;
        told.stx_mode = found.st_mode as u16;
        told.stx_size = found.st_size as u64;
        told.stx_nlink = 1;
        // SAFETY: the caller passed a place for a `statx`. If it lied, it crashes itself.
        unsafe { (buffer as *mut libc::statx).write_unaligned(told) };
        0
    }
}

#[cfg(target_arch = "x86_64")]
impl Call {
    fn of(context: &libc::ucontext_t) -> Call {
        let registers = &context.uc_mcontext.gregs;
        let arguments = [libc::REG_RDI, libc::REG_RSI, libc::REG_RDX, libc::REG_R10, libc::REG_R8];
        Call {
            // A trapped call leaves its number where the result will be.
            number: registers[libc::REG_RAX as usize],
            arguments: arguments.map(|register| registers[register as usize]),
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn set_result(context: &mut libc::ucontext_t, result: i64) {
    context.uc_mcontext.gregs[libc::REG_RAX as usize] = result;
}

#[cfg(target_arch = "aarch64")]
impl Call {
    fn of(context: &libc::ucontext_t) -> Call {
        let registers = &context.uc_mcontext.regs;
        Call {
            number: registers[8].cast_signed(),
            arguments: [registers[0], registers[1], registers[2], registers[3], registers[4]].map(u64::cast_signed),
        }
    }
}

#[cfg(target_arch = "aarch64")]
fn set_result(context: &mut libc::ucontext_t, result: i64) {
    context.uc_mcontext.regs[0] = result.cast_unsigned();
}
