//! From a fresh process to a locked worker that has said `Ready`.
//!
//! The order is the jail's: cut off from the server's descriptors first; then what needs a path (wasmtime's pool opens
//! `/proc/self/pagemap`); then the outer layers; then the timer; the system call filter last. No code of a tenant
//! is near before that.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use sublet_jail::{Action, Begun, Check, Is, Layer, Plan, Profile, Row};

use super::outlet::Outlet;
use super::tick::Tick;
use super::{builder, meter, serve};
use crate::wasm::{Initializer, Runner};
use crate::wire::{Arrival, FromWorker, Inlet, PROTOCOL, Role, TO_WORKER_BYTES_MAX, ToWorker, WireError};

/// The one descriptor that leads out, whatever else the process inherited.
pub(crate) const SOCKET: i32 = 3;

/// What the server writes into the worker's only argument: all that must be known before the first frame.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Orders {
    pub(crate) plan: Plan,
    pub(crate) on_refused: Action,
}

/// For the escape suite; the product passes none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hooks {
    /// Called with each event in place of an attempt: native code in a locked worker, as after an escape from the
    /// WebAssembly runtime. `Some` is the attempt's result.
    pub play: Option<Play>,
}

/// From an event to the result's JSON text, or nothing for an event that is meant for an attempt.
pub type Play = fn(&[u8]) -> Option<Vec<u8>>;

/// Why the process ends other than by its server's wish. Read by the operator, from the server's log.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("this is an internal command of the server: {0}")]
    NotOurs(String),
    #[error(transparent)]
    Jail(#[from] sublet_jail::Error),
    #[error(transparent)]
    Wasm(#[from] crate::wasm::WasmError),
    #[error("protocol: {0}")]
    Wire(#[from] WireError),
    #[error("protocol: {0}")]
    Protocol(&'static str),
    #[error("input and output: {0}")]
    Io(#[from] std::io::Error),
}

impl From<rustix::io::Errno> for Fault {
    fn from(errno: rustix::io::Errno) -> Fault {
        Fault::Io(errno.into())
    }
}

/// Runs the worker; returns when the server closes the socket. `args` are those behind `__sandbox`.
///
/// Must be called first thing in a process of its own: it closes every descriptor but the standard ones and the socket
/// it is given as standard input.
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    main_with(args, Hooks::default())
}

/// [`main`] with hooks for tests.
pub fn main_with(args: impl Iterator<Item = OsString>, hooks: Hooks) -> ExitCode {
    match run(args, hooks) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            // Standard error may be full, which must not become a panic.
            let _ = writeln!(std::io::stderr(), "sublet worker: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut args: impl Iterator<Item = OsString>, hooks: Hooks) -> Result<(), Fault> {
    let text = args.next().and_then(|text| text.into_string().ok()).unwrap_or_default();
    let orders: Orders = serde_json::from_str(&text).map_err(|error| Fault::NotOurs(error.to_string()))?;
    let socket = claim_socket()?;
    // SAFETY: nothing has been opened in this process but what `claim_socket` made, which the plan keeps.
    let begun = unsafe { sublet_jail::begin(&orders.plan) };
    let mut outlet = Outlet::new(socket.as_fd());
    let started =
        begun.map_err(Fault::from).and_then(|begun| start(begun, &orders, socket.as_fd(), &mut outlet, hooks));
    if let Err(fault) = &started {
        // The server learns why, if it is still there; the exit code and standard error say it too.
        let _ = outlet.push(&FromWorker::Unfit { reason: fault.to_string() }).and_then(|()| outlet.flush());
    }
    started
}

/// Moves the socket from standard input, where any spawning call can put it, to its own number.
fn claim_socket() -> Result<OwnedFd, Fault> {
    // SAFETY: plain system calls; whatever was open under these numbers is nobody's yet.
    let moved = unsafe { libc::dup3(libc::STDIN_FILENO, SOCKET, libc::O_CLOEXEC) == SOCKET };
    // SAFETY: as above; standard output is the null device.
    let replaced = unsafe { libc::dup2(libc::STDOUT_FILENO, libc::STDIN_FILENO) == libc::STDIN_FILENO };
    if !moved || !replaced {
        return Err(std::io::Error::last_os_error().into());
    }
    // SAFETY: just made, and owned by nothing else.
    let socket = unsafe { OwnedFd::from_raw_fd(SOCKET) };
    let is_socket =
        rustix::net::sockopt::socket_type(&socket).is_ok_and(|kind| kind == rustix::net::SocketType::STREAM);
    if !is_socket {
        return Err(Fault::NotOurs("standard input is not its socket".to_owned()));
    }
    Ok(socket)
}

fn start(
    begun: Begun,
    orders: &Orders,
    socket: BorrowedFd<'_>,
    outlet: &mut Outlet<'_>,
    hooks: Hooks,
) -> Result<(), Fault> {
    let mut inlet = Inlet::new();
    let Some(first) = next_message(&mut inlet, socket, TO_WORKER_BYTES_MAX)? else { return Ok(()) };
    let ToWorker::Hello { protocol, role } = first else { return Err(Fault::Protocol("no hello")) };
    if protocol != PROTOCOL {
        return Err(Fault::Protocol("the server is of another version"));
    }
    let code = EngineCode::map(inlet.take_file()?)?;
    let Some(second) = next_message(&mut inlet, socket, TO_WORKER_BYTES_MAX)? else { return Ok(()) };
    let ToWorker::Base = second else { return Err(Fault::Protocol("no base")) };
    let base = File::from(inlet.take_file()?);
    match role {
        Role::Runner { slots } => {
            // SAFETY: both came over the socket that our parent made, before any tenant's byte was here.
            let runner = unsafe { Runner::new(code.bytes(), base, slots) }?;
            drop(code);
            let entered = begun.enter()?;
            let tick = Tick::new(runner.epoch_handle())?;
            meter::prepare();
            if !orders.plan.leave_out.contains(&Layer::SystemCalls) {
                // wasmtime asks for the size of every image that it maps.
                sublet_jail::answer_status_of_open_files(&entered)?;
            }
            let sealed = entered.seal(&Profile::worker().on_refused(orders.on_refused))?;
            ready(outlet, sealed.report())?;
            serve::serve(&runner, slots, tick, socket, inlet, outlet, hooks)
        }
        Role::Builder => {
            // SAFETY: as above.
            let initializer = unsafe { Initializer::new(code.bytes(), base) }?;
            drop(code);
            let entered = begun.enter()?;
            let profile = Profile::worker().and(&[LOWER_CEILING]).on_refused(orders.on_refused);
            let sealed = entered.seal(&profile)?;
            ready(outlet, sealed.report())?;
            builder::build(&initializer, socket, inlet, outlet)
        }
    }
}

/// A builder is locked before it knows its package; lowering its own ceiling gives nothing away.
const LOWER_CEILING: Row = Row {
    syscall: libc::SYS_prlimit64,
    when: &[
        Check { argument: 0, is: Is::Int(0) },
        Check { argument: 1, is: Is::Int(libc::RLIMIT_DATA) },
        Check { argument: 3, is: Is::Word(0) },
    ],
    reason: "a builder lowers its memory ceiling to what the function may have",
};

fn ready(outlet: &mut Outlet<'_>, report: &sublet_jail::Report) -> Result<(), Fault> {
    let layers = serde_json::to_vec(report).map_err(std::io::Error::other)?;
    outlet.push(&FromWorker::Ready { layers: layers.into() })?;
    outlet.flush()?;
    Ok(())
}

/// Waits for one message; none when the server has gone.
pub(super) fn next_message(inlet: &mut Inlet, socket: BorrowedFd<'_>, most: usize) -> Result<Option<ToWorker>, Fault> {
    loop {
        if let Some(frame) = inlet.next_frame(most)? {
            return Ok(Some(ToWorker::decode(frame)?));
        }
        if inlet.fill(socket, true)? == Arrival::End {
            return Ok(None);
        }
    }
}

/// The server's machine code, mapped for as long as it takes to load it.
struct EngineCode {
    start: *mut std::ffi::c_void,
    length: usize,
}

impl EngineCode {
    fn map(file: OwnedFd) -> Result<EngineCode, Fault> {
        // Not by the standard library: it would find `statx` here, rely on it, and miss it behind the filter.
        let size = rustix::fs::fstat(&file)?.st_size;
        let length = usize::try_from(size).map_err(|_| Fault::Protocol("the engine has no size"))?;
        let flags = rustix::mm::MapFlags::PRIVATE | rustix::mm::MapFlags::POPULATE;
        // SAFETY: a new private mapping at an address of the kernel's choice; the server sealed the file.
        let start =
            unsafe { rustix::mm::mmap(std::ptr::null_mut(), length, rustix::mm::ProtFlags::READ, flags, &file, 0) }?;
        Ok(EngineCode { start, length })
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: mapped readable for this length until `self` is dropped, and nobody writes to a sealed file.
        unsafe { std::slice::from_raw_parts(self.start.cast(), self.length) }
    }
}

impl Drop for EngineCode {
    fn drop(&mut self) {
        // SAFETY: our own mapping; the slice borrowed `self`. That it stays mapped would be no harm.
        let _ = unsafe { rustix::mm::munmap(self.start, self.length) };
    }
}
