//! What a worker that was taken over may say to the server.

use std::io::Write;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, FromRawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use bytes::Bytes;
use rustix::net::SendFlags;
use sublet_model::{Outcome, limit};

use super::{Play, Played, crashed};
use crate::Failure;
use crate::egress::CALLS_MAX;
use crate::wire::{Done, FromWorker, send_with_file};

/// The socket's number in every worker.
pub(super) const SOCKET: i32 = 3;
/// A worker that plays alone has one attempt, its first.
const ATTEMPT: u64 = 1;
const PATIENT: Duration = Duration::from_secs(5);
/// An answer that nobody should get to hear.
const BELIEVED: &[u8] = b"\"believed\"";

const fn lie(name: &'static str, promise: &'static str, deed: fn() -> Vec<u8>) -> Play {
    Play { name, promise, deed, wall: PATIENT, judge: crashed }
}

pub(super) const LIES: &[Play] = &[
    lie("lie-endless-frame", "A frame of four gigabytes is refused at its header", || said(&[0xff; 64])),
    lie("lie-unknown-message", "A message of an unknown kind ends the worker", || said(&frame(&[99]))),
    lie("lie-empty-frame", "An empty frame ends the worker", || said(&frame(&[]))),
    lie("lie-half-a-report", "A report that ends within its fields ends the worker", || said(&frame(&[3, 1, 0, 0, 0]))),
    lie("lie-longer-pong", "A byte too many ends the worker", || said(&frame(&[5, 0, 0, 0, 0, 0, 0, 0, 0, 0]))),
    lie("lie-noise", "Noise ends the worker", || {
        said(&(0..100_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect::<Vec<u8>>())
    }),
    lie("lie-ready-again", "A second greeting ends the worker", || {
        told(&FromWorker::Ready { layers: Bytes::from_static(b"GET") })
    }),
    lie("lie-a-snapshot", "A snapshot from a worker that builds nothing ends it", || said(&frame(&[6]))),
    lie("lie-someone-elses-attempt", "A word about an attempt that the worker does not have ends it", || {
        told(&FromWorker::Declined { attempt: u64::MAX, reason: String::new() })
    }),
    lie("lie-report-for-another", "A report for an attempt that the worker does not have ends it", || {
        told(&FromWorker::Done(Done { attempt: 99, ..done(b"1") }))
    }),
    lie("lie-unasked-pong", "An answer to a question that nobody asked ends the worker", || {
        told(&FromWorker::Pong { number: 7 })
    }),
    lie("lie-fetch-for-another", "A call for an attempt that the worker does not have ends it", || {
        told(&FromWorker::Fetch { attempt: 99, call: 1, head: Bytes::from_static(b"GET"), body: Bytes::new() })
    }),
    lie("lie-fetch-endless", "A call with more of a body than there may be ends the worker", || {
        told(&FromWorker::Fetch {
            attempt: ATTEMPT,
            call: 1,
            head: Bytes::from_static(b"GET"),
            body: vec![0; 64 << 20].into(),
        })
    }),
    Play {
        name: "lie-fetch-noise",
        promise: "A call that nobody can read, and one without a list of addresses, are refused",
        deed: || {
            for (call, head) in [(1, &b"\xff"[..]), (2, b"GET"), (3, b"GET\nhttp://127.0.0.1/\nfollow")] {
                let (head, body) = (Bytes::from_static(head), Bytes::new());
                told(&FromWorker::Fetch { attempt: ATTEMPT, call, head, body });
            }
            b"1".to_vec()
        },
        wall: PATIENT,
        judge: succeeded,
    },
    lie("lie-fetch-without-end", "Calls without an end do not pile up in the server", || {
        let mut calls = Vec::new();
        for call in 1..=2 * CALLS_MAX {
            let (head, body) = (Bytes::from_static(b"noise"), Bytes::new());
            FromWorker::Fetch { attempt: ATTEMPT, call, head, body }.encode(&mut calls);
        }
        said(&calls)
    }),
    lie("lie-flood", "A flood of frames takes neither the server's memory nor its time", || {
        let mut pongs = Vec::new();
        while pongs.len() < 1 << 20 {
            FromWorker::Pong { number: 0 }.encode(&mut pongs);
        }
        for _ in 0..512 {
            said(&pongs);
        }
        BELIEVED.to_vec()
    }),
    lie("lie-result-no-json", "A result that is no JSON is not believed", || b"{".to_vec()),
    lie("lie-result-no-text", "A result that is no text is not believed", || b"\"\xff\"".to_vec()),
    lie("lie-result-too-long", "A result beyond the limit is not believed", || vec![b'1'; limit::RESULT_BYTES_MAX + 1]),
    lie("lie-result-too-deep", "A result too deep for whoever reads it is not believed", || {
        let depth = limit::RESULT_BYTES_MAX / 2;
        [vec![b'['; depth], vec![b']'; depth]].concat()
    }),
    lie("lie-failure-too-long", "A failure beyond its limits is not believed", || {
        let long = "e".repeat(limit::ERROR_TEXT_BYTES_MAX + 1);
        let failure = Failure { error_type: "Error".to_owned(), error_message: long, stack_trace: Vec::new() };
        told(&FromWorker::Done(Done { outcome: Outcome::Failed, result: None, failure: Some(failure), ..done(b"") }))
    }),
    lie("lie-success-without-result", "A success without a result is not believed", || {
        let failure = Failure { error_type: String::new(), error_message: String::new(), stack_trace: Vec::new() };
        told(&FromWorker::Done(Done { result: None, failure: Some(failure), ..done(b"") }))
    }),
    Play {
        name: "lie-bill-of-centuries",
        promise: "A bill is held to what the server measured itself",
        deed: || {
            let (wall_us, cpu_us, memory_peak_bytes) = (u64::MAX, u64::MAX, u64::MAX);
            told(&FromWorker::Done(Done { wall_us, cpu_us, memory_peak_bytes, ..done(b"1") }))
        },
        wall: PATIENT,
        judge: |played| {
            let usage = &played.report.usage;
            let most = u64::try_from(played.took.as_micros()).unwrap_or(u64::MAX);
            if usage.wall_us > most
                || usage.cpu_us > usage.wall_us
                || usage.memory_peak_bytes > usage.memory_limit_bytes
            {
                return Err(format!("the bill was believed: {usage:?}"));
            }
            succeeded(played)
        },
    },
    Play {
        name: "lie-log-of-noise",
        promise: "A log of noise comes out as text",
        deed: || told(&FromWorker::Done(Done { log: Bytes::from_static(b"a\xff\xfe\xed\xa0\x80b\n"), ..done(b"1") })),
        wall: PATIENT,
        judge: |played| match std::str::from_utf8(&played.report.log) {
            Ok(_) => succeeded(played),
            Err(_) => Err("the log is no text".to_owned()),
        },
    },
    Play {
        name: "lie-gifts",
        promise: "Descriptors that a worker sends are dropped by the kernel",
        deed: || {
            let mut bytes = Vec::new();
            // A long one, for many gifts.
            let log = Bytes::from_static(&[b'!'; 200]);
            FromWorker::Done(Done { log, ..done(b"1") }).encode(&mut bytes);
            let socket = socket();
            for byte in &bytes {
                // Each byte brings the socket itself along.
                if send_with_file(socket.as_fd(), &[*byte], socket.as_fd(), SendFlags::empty()).is_err() {
                    break;
                }
            }
            BELIEVED.to_vec()
        },
        // A stream with a descriptor at every byte is read one byte at a time, and the attempt is overdue by then.
        wall: super::deed::IMPATIENT,
        judge: |played| {
            if !matches!(played.report.outcome, Outcome::Succeeded | Outcome::TimedOut) {
                return Err("it should end as it first said, or not at all".to_owned());
            }
            let open = std::fs::read_dir("/proc/self/fd").map(|list| list.filter_map(Result::ok));
            let sockets = open.map(|list| list.filter(|entry| is_socket(&entry.path())).count()).unwrap_or(0);
            // One a worker, a few of the runtime's: far fewer than the gifts.
            if sockets < 100 { Ok(()) } else { Err(format!("the server holds {sockets} sockets")) }
        },
    },
];

fn is_socket(path: &std::path::Path) -> bool {
    std::fs::read_link(path).is_ok_and(|to| to.to_string_lossy().starts_with("socket:"))
}

fn succeeded(played: &Played<'_>) -> Result<(), String> {
    match played.report.result.as_deref() {
        Some(b"1") => Ok(()),
        _ => Err("it should end as it first said".to_owned()),
    }
}

fn done(result: &'static [u8]) -> Done {
    Done {
        attempt: ATTEMPT,
        outcome: Outcome::Succeeded,
        result: Some(Bytes::from_static(result)),
        failure: None,
        log: Bytes::new(),
        wall_us: 1,
        cpu_us: 1,
        instructions: None,
        memory_peak_bytes: 1,
    }
}

fn told(message: &FromWorker) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    said(&bytes)
}

/// Says it, and returns an answer that nobody should get to hear.
fn said(bytes: &[u8]) -> Vec<u8> {
    // The server may hang up in the middle.
    let _ = (&*socket()).write_all(bytes);
    BELIEVED.to_vec()
}

fn socket() -> ManuallyDrop<UnixStream> {
    // SAFETY: the worker owns its socket for as long as it lives; this copy is never dropped.
    ManuallyDrop::new(unsafe { UnixStream::from_raw_fd(SOCKET) })
}

fn frame(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap_or(0);
    [&length.to_le_bytes()[..], body].concat()
}
