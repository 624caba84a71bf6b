//! Floods of a module's output: results that are too long, too deep or none, and logs without end.

use sublet_model::{Outcome, limit};
use wasm_encoder::{BlockType, InstructionSink, ValType};

use super::make::{Draft, PIECE, piece, write};
use super::program::Made::{Many, One};
use super::program::{ModuleProgram, burns, ends, logs};
use crate::attack::verdict::is_cut;

const NOT_JSON: (Outcome, &str, &str) = (Outcome::Failed, "Wasm.ResultNotJson", "");
/// Where floods have their bytes, how many, and how often they are written at least.
const FLOOD: i32 = 1024;
const FLOOD_BYTES: i32 = 60_000;
const TIMES: i32 = 5;
const _: () = assert!(FLOOD_BYTES as usize * TIMES as usize > limit::RESULT_BYTES_MAX);

/// Fills the flood's bytes from an offset on.
fn fill(code: &mut InstructionSink<'_>, from: i32, byte: i32) {
    code.i32_const(FLOOD + from).i32_const(byte).i32_const(FLOOD_BYTES - from).memory_fill(0);
}

/// Writes the same byte over and over to a stream: so many times the flood's, or for ever.
fn flood(stream: i32, byte: i32, times: Option<i32>) -> Vec<u8> {
    let mut draft = Draft::new();
    let fd_write = draft.wasi("fd_write");
    draft.data.push((PIECE, piece(FLOOD, FLOOD_BYTES)));
    draft.main(&[(1, ValType::I32)], |code| {
        fill(code, 0, byte);
        code.loop_(BlockType::Empty);
        write(code, fd_write, stream);
        match times {
            Some(most) => code.local_get(0).i32_const(1).i32_add().local_tee(0).i32_const(most).i32_lt_s().br_if(0),
            None => code.br(0),
        };
        code.end();
    });
    draft.finish()
}

/// A command that fills the flood's bytes, writes them once to a stream, and ends as it is told.
fn once(stream: i32, filled: fn(&mut InstructionSink<'_>), then: fn(&mut InstructionSink<'_>)) -> Vec<u8> {
    let mut draft = Draft::new();
    let fd_write = draft.wasi("fd_write");
    draft.data.push((PIECE, piece(FLOOD, FLOOD_BYTES)));
    draft.main(&[], |code| {
        filled(code);
        write(code, fd_write, stream);
        then(code);
    });
    draft.finish()
}

pub(super) const PROGRAMS: &[ModuleProgram] = &[
    ends(
        "module-result-too-large",
        "A result beyond its limit is refused",
        (Outcome::Failed, "Runtime.ResultTooLarge", "300000 bytes"),
        One(|| flood(1, i32::from(b'1'), Some(TIMES))),
    ),
    burns("module-result-endless", "A result without end is ended", One(|| flood(1, 0, None))),
    ends(
        "module-result-too-deep",
        "A result that nests deeper than events may is refused",
        (Outcome::Failed, "Runtime.ResultTooDeep", ""),
        One(|| {
            let brackets: fn(&mut InstructionSink<'_>) = |code| {
                fill(code, 0, i32::from(b'['));
                fill(code, FLOOD_BYTES / 2, i32::from(b']'));
            };
            once(1, brackets, |_| {})
        }),
    ),
    ends(
        "module-result-of-noise",
        "A result that is no text, or no JSON, is refused",
        NOT_JSON,
        Many(|| [0, 0xff, i32::from(b'}'), i32::from(b'"')].into_iter().map(|byte| flood(1, byte, Some(1))).collect()),
    ),
    logs(
        "module-log-lines",
        "A log of a module's has at most so many lines",
        is_cut,
        One(|| flood(2, i32::from(b'\n'), Some(TIMES))),
    ),
    burns("module-log-endless", "A line of a log without end is ended", One(|| flood(2, i32::from(b'x'), None))),
    ends(
        "module-last-word",
        "What a module says last comes out as text and is cut",
        (Outcome::Failed, "Wasm.Trap", "\u{fffd}"),
        One(|| {
            let noise: fn(&mut InstructionSink<'_>) = |code| fill(code, 0, 0xff);
            once(2, noise, |code| {
                code.unreachable();
            })
        }),
    ),
];
