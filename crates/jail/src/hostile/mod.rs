//! What hostile native code in a sealed worker tries: one row a promise. Each is a bare system call, as machine code
//! without any library would make it, and harmless to the host should it go through. The jail's own tests make them all;
//! so does the escape suite of `sublet doctor --attack`, on the kernel of whoever runs it.

mod inward;
mod outward;

/// One call and what must become of it.
pub struct HostileCall {
    /// The end of the sentence "the worker …".
    pub promise: &'static str,
    call: i64,
    arguments: fn(&Victim) -> [i64; 6],
    pub refused: Refused,
    pub outside: Outside,
}

/// What the jail makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The process is killed; under a profile that answers with an error, it is that error.
    Killed,
    /// Refused with this error under every profile.
    With(i32),
}

/// The same call in a process without a jail: the proof that the row could fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outside {
    Succeeds,
    Fails(i32),
    /// Depends on the host's kernel and container, or would harm the host: not tried.
    Untried,
}

/// What there is to attack: process ids.
pub struct Victim {
    pub parent: i64,
    pub own: i64,
}

/// Every row, in the order of the table.
pub fn hostile_calls() -> impl Iterator<Item = &'static HostileCall> {
    outward::CALLS.iter().chain(inward::CALLS)
}

impl HostileCall {
    /// The result as the kernel gives it: negative errno for an error.
    pub fn make(&self, victim: &Victim) -> i64 {
        let [a, b, c, d, e, f] = (self.arguments)(victim);
        // SAFETY: none of the rows touches memory that Rust owns, but for buffers that are leaked on purpose.
        let result = unsafe { libc::syscall(self.call, a, b, c, d, e, f) };
        if result == -1 { -i64::from(std::io::Error::last_os_error().raw_os_error().unwrap_or(0)) } else { result }
    }
}

/// The address of a text or a leaked buffer, as an argument.
fn text(text: &'static std::ffi::CStr) -> i64 {
    text.as_ptr() as i64
}

fn buffer() -> i64 {
    // 256 zero bytes, aligned for anything the kernel reads or writes here.
    Box::leak(Box::new([0_u64; 32])).as_mut_ptr() as i64
}

fn words(words: &[u64]) -> i64 {
    Vec::leak(words.to_vec()).as_mut_ptr() as i64
}

const fn row(
    promise: &'static str,
    call: libc::c_long,
    arguments: fn(&Victim) -> [i64; 6],
    refused: Refused,
    outside: Outside,
) -> HostileCall {
    HostileCall { promise, call, arguments, refused, outside }
}

const NONE: fn(&Victim) -> [i64; 6] = |_| [0; 6];
/// No such descriptor: outside, the call gets as far as looking for it.
const BAD: fn(&Victim) -> [i64; 6] = |_| [-1, 0, 0, 0, 0, 0];
