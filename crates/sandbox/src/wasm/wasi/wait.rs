//! What may take a while: sleeping, giving the turn away, and randomness in large pieces.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use wasmtime::{Caller, Linker};

use super::super::WasmError;
use super::super::host::Observed;
use super::errno::Errno;
use super::memory::{GuestMemory, offset};
use super::state::Wasi;
use super::{MODULE, answer, guest};

/// Random bytes between two turns: a fraction of a millisecond.
const RANDOM_BYTES: u32 = 64 * 1024;
/// What one call may wait for.
const SUBSCRIPTIONS_MAX: u32 = 64;
const SUBSCRIPTION_BYTES: usize = 48;
const EVENT_BYTES: usize = 32;
/// Nobody lives longer; keeps the arithmetic from overflowing.
const WAIT_MAX: Duration = Duration::from_secs(86_400);

pub(super) fn define(linker: &mut Linker<Wasi>) -> Result<(), WasmError> {
    linker.func_wrap_async(MODULE, "sched_yield", |_: Caller<'_, Wasi>, (): ()| {
        Box::new(async {
            give_turn().await;
            0_i32
        })
    })?;
    linker.func_wrap_async(MODULE, "random_get", |mut caller: Caller<'_, Wasi>, (at, length): (u32, u32)| {
        Box::new(async move {
            let mut done = 0;
            while done < length {
                let piece = RANDOM_BYTES.min(length - done);
                let errno = answer(&mut caller, |memory, _| {
                    fill_random(memory.bytes_mut(offset(at, done as usize)?, piece as usize)?)
                })?;
                if errno != 0 {
                    return Ok(errno);
                }
                done += piece;
                if done < length {
                    give_turn().await;
                }
            }
            wasmtime::Result::Ok(0)
        })
    })?;
    linker.func_wrap_async(
        MODULE,
        "poll_oneoff",
        |mut caller: Caller<'_, Wasi>, (at, events, count, to): (u32, u32, u32, u32)| {
            Box::new(async move {
                let (wanted, observed) = {
                    let (memory, wasi) = guest(&mut caller)?;
                    match subscriptions(&memory, wasi, at, count) {
                        Ok(wanted) => (wanted, Arc::clone(&wasi.observed)),
                        Err(errno) => return Ok(errno.number()),
                    }
                };
                if let Some(due) = wanted.iter().map(|wanted| wanted.due).min() {
                    sleep(&observed, due).await;
                }
                let now = Instant::now();
                answer(&mut caller, |memory, _| {
                    let mut told = 0;
                    for wanted in wanted.iter().filter(|wanted| wanted.due <= now) {
                        wanted.tell(memory, offset(events, EVENT_BYTES * told)?)?;
                        told += 1;
                    }
                    memory.put_u32(to, told)
                })
            })
        },
    )?;
    Ok(())
}

/// To whoever else has something to do.
async fn give_turn() {
    let mut is_given = false;
    poll_fn(|context| {
        if is_given {
            return Poll::Ready(());
        }
        is_given = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

async fn sleep(observed: &Observed, until: Instant) {
    poll_fn(|_| {
        // Whoever sees the time come polls again, so no waker is needed.
        let is_over = Instant::now() >= until;
        observed.mailbox.set_wake_at((!is_over).then_some(until));
        if is_over { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// The kernel's generator, which the system call filter leaves open.
fn fill_random(target: &mut [u8]) -> Result<(), Errno> {
    getrandom::fill(target).map_err(|_| Errno::Nosys)
}

/// Something to wait for, and what is said when it has come.
struct Wanted {
    user_data: u64,
    kind: u8,
    due: Instant,
    errno: Option<Errno>,
    /// Bytes that can be read.
    bytes: u64,
}

impl Wanted {
    fn tell(&self, memory: &mut GuestMemory<'_>, at: u32) -> Result<(), Errno> {
        let errno = self.errno.map_or(0, Errno::number);
        memory.put(at, &[0; EVENT_BYTES])?;
        memory.put_u64(at, self.user_data)?;
        memory.put(offset(at, 8)?, &u16::try_from(errno).unwrap_or(0).to_le_bytes())?;
        memory.put(offset(at, 10)?, &[self.kind])?;
        memory.put_u64(offset(at, 16)?, self.bytes)
    }
}

fn subscriptions(memory: &GuestMemory<'_>, wasi: &Wasi, at: u32, count: u32) -> Result<Vec<Wanted>, Errno> {
    if count == 0 || count > SUBSCRIPTIONS_MAX {
        return Err(Errno::Inval);
    }
    (0..count as usize).map(|index| subscription(memory, wasi, offset(at, SUBSCRIPTION_BYTES * index)?)).collect()
}

fn subscription(memory: &GuestMemory<'_>, wasi: &Wasi, at: u32) -> Result<Wanted, Errno> {
    let (user_data, kind) = (memory.u64(at)?, memory.u8(offset(at, 8)?)?);
    let first = memory.u32(offset(at, 16)?)?;
    let mut wanted = Wanted { user_data, kind, due: Instant::now(), errno: None, bytes: 0 };
    match kind {
        0 => {
            let (timeout_ns, flags) = (memory.u64(offset(at, 24)?)?, memory.u16(offset(at, 40)?)?);
            let is_moment = flags & 1 != 0;
            match wasi.clock_ns(first) {
                Ok(now_ns) => {
                    let left_ns = if is_moment { timeout_ns.saturating_sub(now_ns) } else { timeout_ns };
                    wanted.due += Duration::from_nanos(left_ns).min(WAIT_MAX);
                }
                Err(errno) => wanted.errno = Some(errno),
            }
        }
        // The event is there from the start, and what is written is taken at once.
        1 | 2 => match wasi.open(first) {
            Ok(0) if kind == 1 => wanted.bytes = wasi.stdin.left() as u64,
            Ok(1 | 2) if kind == 2 => {}
            Ok(_) | Err(_) => wanted.errno = Some(Errno::Badf),
        },
        _ => return Err(Errno::Inval),
    }
    Ok(wanted)
}
