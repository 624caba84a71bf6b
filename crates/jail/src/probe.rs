//! Which layers would hold, found out by a forked child that tries them. The caller itself is not changed, and may have
//! threads: the child allocates nothing and locks nothing.

use crate::enter;
use crate::error::Error;
use crate::layer::{Layer, Report, Status};
use crate::ledger::{Attempt, Ledger, Refusal};
use crate::plan::Plan;
use crate::{domain, process};
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions};
use std::os::fd::OwnedFd;

/// Bytes of one layer's record in the pipe: its number, whether it holds, the errno, then the text, padded with zeros.
/// All records together fit into a pipe, so that the child never waits for its parent.
const RECORD_BYTES: usize = 128;
const TEXT_FROM: usize = 6;

/// What a jail started by this process now would get. The system call filter is not installed but asked for.
pub fn probe() -> Result<Report, Error> {
    // Limits so wide that they are no obstacle to the child itself.
    let plan = Plan::strict(1 << 40, Vec::new());
    let (reading, writing) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(failed("pipe"))?;
    // SAFETY: the child calls only functions that neither allocate nor lock, and leaves by `_exit`.
    match unsafe { libc::fork() } {
        0 => {
            let done = try_layers(&plan, &writing).is_ok();
            // SAFETY: ends the child without running anything of its parent's.
            unsafe { libc::_exit(i32::from(!done)) }
        }
        child => {
            let child = Pid::from_raw(child).ok_or_else(|| failed("fork")(last_errno()))?;
            drop(writing);
            let mut ledger = Ledger::new();
            let texts = read_records(&reading, &mut ledger);
            wait_for(child)?;
            let texts = texts?;
            note_questions(&mut ledger);
            let mut report = ledger.report(Status::Available, &[]);
            for (layer, text) in texts {
                if let Some(line) = report.layers.iter_mut().find(|line| line.layer == layer) {
                    // What there is of a reason so far is `: ` and the errno's meaning.
                    line.reason.insert_str(0, &text);
                }
            }
            Ok(report)
        }
    }
}

/// In the child: the same steps as in a jail, but for those that need no try. Errors have nowhere to go but the status.
fn try_layers(plan: &Plan, writing: &OwnedFd) -> Result<(), Errno> {
    let mut ledger = Ledger::new();
    ledger.note(Layer::OwnSession, process::own_session());
    if let Ok(armed) = process::die_with_parent(process::parent_id()) {
        ledger.note(Layer::DeathSignal, armed);
    }
    enter::enter_steps(plan, &mut ledger);
    for layer in Layer::ALL {
        if let Some(attempt) = ledger.attempt(layer) {
            rustix::io::write(writing, &record(layer, attempt))?;
        }
    }
    Ok(())
}

fn record(layer: Layer, attempt: Attempt) -> [u8; RECORD_BYTES] {
    let (holds, errno, text) = match attempt {
        Ok(how) => (1, 0, how),
        Err(refusal) => (0, refusal.errno, refusal.step),
    };
    let mut bytes = [0; RECORD_BYTES];
    bytes[0] = layer as u8;
    bytes[1] = holds;
    bytes[2..TEXT_FROM].copy_from_slice(&errno.to_ne_bytes());
    for (place, byte) in bytes[TEXT_FROM..].iter_mut().zip(text.bytes()) {
        *place = byte;
    }
    bytes
}

/// Notes what the child found; the texts come apart, since a ledger holds only the program's own.
fn read_records(reading: &OwnedFd, ledger: &mut Ledger) -> Result<Vec<(Layer, String)>, Error> {
    let mut texts = Vec::new();
    loop {
        let mut bytes = [0; RECORD_BYTES];
        // A record is less than PIPE_BUF and is written, and so read, as a whole.
        match rustix::io::retry_on_intr(|| rustix::io::read(reading, &mut bytes)).map_err(failed("read"))? {
            0 => return Ok(texts),
            RECORD_BYTES => {}
            _ => return Err(Error::Probe { step: "the child's answer is cut short", errno: 0 }),
        }
        let Some(&layer) = Layer::ALL.get(usize::from(bytes[0])) else {
            return Err(Error::Probe { step: "the child's answer names no layer", errno: 0 });
        };
        let errno = i32::from_ne_bytes([bytes[2], bytes[3], bytes[4], bytes[5]]);
        let length = bytes[TEXT_FROM..].iter().position(|&byte| byte == 0).unwrap_or(RECORD_BYTES - TEXT_FROM);
        let text = String::from_utf8_lossy(&bytes[TEXT_FROM..TEXT_FROM + length]).into_owned();
        ledger.note(layer, if bytes[1] == 1 { Ok("") } else { Err(Refusal { step: "", errno }) });
        texts.push((layer, text));
    }
}

/// The layers that a harmless question answers.
fn note_questions(ledger: &mut Ledger) {
    // An empty range beyond all descriptors. Without the call there is a fallback.
    // SAFETY: closes nothing.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, libc::c_uint::MAX, libc::c_uint::MAX, 0) };
    ledger.note(Layer::Descriptors, Ok(if closed == 0 { "close_range" } else { "closed one by one" }));

    let kill = libc::SECCOMP_RET_KILL_PROCESS;
    // SAFETY: the kernel reads one u32 and answers whether it knows this action.
    let known = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, &raw const kill) };
    let answer = if known == 0 { Ok("seccomp") } else { Err(Refusal::last("seccomp(SECCOMP_GET_ACTION_AVAIL)")) };
    ledger.note(Layer::SystemCalls, answer);

    let abi = domain::kernel_abi();
    for (layer, from, how, below) in domain::PARTS {
        ledger.note(layer, domain::part(abi, from, how, below));
    }
}

fn wait_for(child: Pid) -> Result<(), Error> {
    let ended = rustix::io::retry_on_intr(|| rustix::process::waitpid(Some(child), WaitOptions::empty()));
    match ended.map_err(failed("waitpid"))? {
        Some((_, status)) if status.exit_status() == Some(0) => Ok(()),
        _ => Err(Error::Probe { step: "the child that tried the layers failed", errno: 0 }),
    }
}

fn failed(step: &'static str) -> impl Fn(Errno) -> Error {
    move |errno| Error::Probe { step, errno: errno.raw_os_error() }
}

fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::AGAIN)
}
