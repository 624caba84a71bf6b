//! Calls of WASI preview 1 as data, and the command that makes them.

use wasm_encoder::{BlockType, ValType};

use super::make::{Draft, piece, signature};

/// A call: the function, what it is given, and the error number that it must answer.
pub(super) struct Call(pub(super) &'static str, pub(super) &'static [i64], pub(super) i32);

/// Where the memory of such a command ends.
pub(super) const EDGE: i64 = 65_536;
/// Pieces, eight bytes each: one beyond the memory, one across its end, one of four gigabytes, an empty one, and one as
/// it should be.
pub(super) const BEYOND: i64 = 256;
pub(super) const ACROSS: i64 = 264;
pub(super) const ENDLESS: i64 = 272;
pub(super) const EMPTY: i64 = 280;
pub(super) const GOOD: i64 = 288;
/// Things to wait for, 48 bytes each: thirty years, one of no kind, a clock that is none, a stream that is none.
pub(super) const LONG: i64 = 512;
pub(super) const NO_KIND: i64 = 560;
pub(super) const NO_CLOCK: i64 = 608;
pub(super) const NO_STREAM: i64 = 656;
/// `/etc/passwd`, and its length.
pub(super) const PATH: i64 = 1024;
pub(super) const PATH_BYTES: i64 = 11;
/// Nothing lies here; answers may be put here.
pub(super) const ROOM: i64 = 2048;

const THIRTY_YEARS_NS: u64 = 1_000_000_000 * 86_400 * 365 * 30;

/// A command that makes the calls, one after the other. Where one answers otherwise it exits with the call's number
/// (from 1) in thousands, and the answer.
pub(super) fn calling(calls: &[Call]) -> Vec<u8> {
    let mut draft = Draft::new();
    let proc_exit = draft.wasi("proc_exit");
    let functions: Vec<u32> = calls.iter().map(|call| draft.wasi(call.0)).collect();
    draft.data = scene();
    draft.main(&[(1, ValType::I32)], |code| {
        for ((number, call), function) in (1..).zip(calls).zip(&functions) {
            for (letter, argument) in signature(call.0).chars().zip(call.1) {
                match letter {
                    'I' => code.i64_const(*argument),
                    _ => code.i32_const(*argument as i32),
                };
            }
            code.call(*function).local_tee(0).i32_const(call.2).i32_ne().if_(BlockType::Empty);
            code.local_get(0).i32_const(1000 * number).i32_add().call(proc_exit).end();
        }
    });
    draft.finish()
}

fn scene() -> Vec<(i32, Vec<u8>)> {
    let edge = EDGE as i32;
    let parts = [
        (BEYOND, piece(-1, 1)),
        (ACROSS, piece(edge - 1, 2)),
        (ENDLESS, piece(0, -1)),
        (EMPTY, piece(0, 0)),
        (GOOD, piece(0, 1)),
        (LONG, waiting(0, 0, THIRTY_YEARS_NS)),
        (NO_KIND, waiting(7, 0, 0)),
        (NO_CLOCK, waiting(0, 9, 0)),
        (NO_STREAM, waiting(1, 9, 0)),
        (PATH, b"/etc/passwd".to_vec()),
    ];
    parts.into_iter().map(|(address, bytes)| (address as i32, bytes)).collect()
}

/// What WASI calls a subscription: of a kind (0: a clock, 1: a stream to read), of a clock or stream, for so long.
fn waiting(kind: u8, of: u32, timeout_ns: u64) -> Vec<u8> {
    let mut bytes = vec![0; 48];
    bytes[8] = kind;
    bytes[16..20].copy_from_slice(&of.to_le_bytes());
    bytes[24..32].copy_from_slice(&timeout_ns.to_le_bytes());
    bytes
}
