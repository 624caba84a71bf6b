//! What a worker that was taken over may say to the server.

use std::io::Write;
use std::mem::ManuallyDrop;
use std::os::fd::FromRawFd;
use std::os::unix::net::UnixStream;

/// The socket's number in every worker.
const SOCKET: i32 = 3;

/// Says it, and returns an answer that nobody should get to hear.
pub(crate) fn play(name: &str) -> Option<Vec<u8>> {
    let bytes: Vec<u8> = match name {
        // A frame of 4 GiB.
        "endless frame" => vec![0xff; 64],
        "unknown message" => frame(&[99]),
        "empty frame" => frame(&[]),
        // `Done`, cut off within its fields.
        "half a report" => frame(&[3, 1, 0, 0, 0]),
        // `Declined` for an attempt that is not in flight.
        "someone else's attempt" => frame(&[&[4][..], &u64::MAX.to_le_bytes(), &[0; 4]].concat()),
        // A pong with a byte too many.
        "a longer pong" => frame(&[5, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        // `Ready`, long after the greeting.
        "ready again" => frame(&[1, 2, 0, 0, 0, b'{', b'}']),
        "a snapshot" => frame(&[6]),
        "noise" => (0..100_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect(),
        // No bytes of its own: the result itself is the lie.
        "a result that is not JSON" => return Some(b"{".to_vec()),
        "a result that is too long" => return Some(vec![b'1'; 300_000]),
        _ => return None,
    };
    // SAFETY: the worker owns its socket for as long as it lives; this copy is never dropped.
    let mut socket = ManuallyDrop::new(unsafe { UnixStream::from_raw_fd(SOCKET) });
    // The server may hang up in the middle.
    let _ = socket.write_all(&bytes);
    Some(b"\"believed\"".to_vec())
}

fn frame(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap_or(0);
    [&length.to_le_bytes()[..], body].concat()
}
