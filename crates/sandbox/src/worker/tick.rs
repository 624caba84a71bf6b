//! The tick that slices attempts: a POSIX timer whose signal advances the engine's epoch. It is armed only while
//! something runs, so that an idle worker costs nothing (a ticking thread took 3 % of a core).

use std::sync::OnceLock;

use super::startup::Fault;
use crate::wasm::EpochHandle;

/// How long an attempt may run before another gets its turn.
const TICK_NANOS: i64 = 1_000_000;

static EPOCH: OnceLock<EpochHandle> = OnceLock::new();

/// The process's one timer.
pub(super) struct Tick {
    timer: libc::timer_t,
    is_armed: bool,
}

impl Tick {
    /// Before the system call filter, which lets a timer be set but not made.
    pub(super) fn new(epoch: EpochHandle) -> Result<Tick, Fault> {
        EPOCH.set(epoch).map_err(|_| Fault::Protocol("a second timer"))?;
        // SAFETY: all zeros is a valid `sigaction`: an empty mask.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = on_tick as *const () as usize;
        // On the alternate stack, because the interrupted one may be a fiber's that is nearly used up.
        action.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
        // SAFETY: `action` is valid, and the handler does only what a handler may.
        if unsafe { libc::sigaction(libc::SIGALRM, &raw const action, std::ptr::null_mut()) } != 0 {
            return Err(std::io::Error::last_os_error().into());
        }
        // SAFETY: all zeros is a valid `sigevent`; the fields that matter follow.
        let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
        event.sigev_notify = libc::SIGEV_SIGNAL;
        event.sigev_signo = libc::SIGALRM;
        let mut timer: libc::timer_t = std::ptr::null_mut();
        // SAFETY: both pointers are valid for the call.
        if unsafe { libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer) } != 0 {
            return Err(std::io::Error::last_os_error().into());
        }
        Ok(Tick { timer, is_armed: false })
    }

    pub(super) fn arm(&mut self) {
        if !self.is_armed {
            self.set(TICK_NANOS);
            self.is_armed = true;
        }
    }

    pub(super) fn disarm(&mut self) {
        if self.is_armed {
            self.set(0);
            self.is_armed = false;
        }
    }

    fn set(&self, nanos: i64) {
        let span = libc::timespec { tv_sec: 0, tv_nsec: nanos };
        let setting = libc::itimerspec { it_interval: span, it_value: span };
        // SAFETY: the timer is ours and the setting valid, so that the call cannot fail.
        unsafe { libc::timer_settime(self.timer, 0, &raw const setting, std::ptr::null_mut()) };
    }
}

/// One atomic addition: it may interrupt anything.
extern "C" fn on_tick(_signal: libc::c_int) {
    if let Some(epoch) = EPOCH.get() {
        epoch.increment();
    }
}
