//! What a module asks of the host: addresses and lengths that are not its own, descriptors that are none, files,
//! sockets, waits without end. It gets an error number, and nothing of it happens.

use std::time::Duration;

use sublet_model::Outcome;
use wasm_encoder::{BlockType, ValType};

use super::call::{
    ACROSS, BEYOND, Call, EDGE, EMPTY, ENDLESS, GOOD, LONG, NO_CLOCK, NO_KIND, NO_STREAM, PATH, PATH_BYTES, ROOM,
};
use super::make::{Draft, PLAIN, at, or_exit};
use super::program::Made::{Calls, Many, One};
use super::program::{ModuleProgram, answers, ends, returns};
use crate::attack::verdict::Spends;

/// Preview 1's error numbers.
const DONE: i32 = 0;
const BADF: i32 = 8;
const FAULT: i32 = 21;
const INVAL: i32 = 28;
const NOSYS: i32 = 52;
const NOTSUP: i32 = 58;
const SPIPE: i32 = 70;
const NOTCAPABLE: i32 = 76;

const FOUR_BILLION: i64 = 0xffff_ffff;
const TWO_BILLION: i64 = 1 << 31;

fn exiting(code: i32) -> Vec<u8> {
    let mut draft = Draft::new();
    let proc_exit = draft.wasi("proc_exit");
    draft.main(&[], |body| {
        body.i32_const(code).call(proc_exit);
    });
    draft.finish()
}

pub(super) const PROGRAMS: &[ModuleProgram] = &[
    answers(
        "wasi-write-from-nowhere",
        "Nothing beyond the memory is written to a stream",
        &[
            Call("fd_write", &[1, BEYOND, 1, ROOM], FAULT),
            Call("fd_write", &[1, ACROSS, 1, ROOM], FAULT),
            Call("fd_write", &[1, ENDLESS, 1, ROOM], FAULT),
            Call("fd_write", &[1, EDGE - 4, 1, ROOM], FAULT),
            Call("fd_write", &[1, FOUR_BILLION, 1, ROOM], FAULT),
            Call("fd_write", &[1, EMPTY, 1, EDGE - 3], FAULT),
            Call("fd_write", &[2, BEYOND, 1, ROOM], FAULT),
        ],
    ),
    answers(
        "wasi-read-to-nowhere",
        "Nothing is read to beyond the memory",
        &[
            Call("fd_read", &[0, BEYOND, 1, ROOM], FAULT),
            Call("fd_read", &[0, ACROSS, 1, ROOM], FAULT),
            Call("fd_read", &[0, EDGE - 4, 1, ROOM], FAULT),
            Call("fd_read", &[0, FOUR_BILLION, 1, ROOM], FAULT),
            Call("fd_read", &[0, EMPTY, 1, FOUR_BILLION], FAULT),
            Call("fd_read", &[0, GOOD, 1, ROOM], DONE),
        ],
    ),
    answers(
        "wasi-pieces-without-number",
        "Two billion pieces are refused by their number",
        &[
            Call("fd_write", &[1, ROOM, TWO_BILLION, ROOM], INVAL),
            Call("fd_write", &[1, ROOM, FOUR_BILLION, ROOM], INVAL),
            Call("fd_write", &[2, ROOM, 1_025, ROOM], INVAL),
            Call("fd_read", &[0, ROOM, TWO_BILLION, ROOM], INVAL),
            Call("fd_write", &[1, EDGE - 8, 1_024, ROOM], FAULT),
        ],
    ),
    answers(
        "wasi-descriptors-that-are-none",
        "Descriptors that are none, or not for this, are refused",
        &[
            Call("fd_write", &[3, GOOD, 1, ROOM], BADF),
            Call("fd_write", &[TWO_BILLION, GOOD, 1, ROOM], BADF),
            Call("fd_write", &[FOUR_BILLION, GOOD, 1, ROOM], BADF),
            Call("fd_write", &[0, GOOD, 1, ROOM], BADF),
            Call("fd_read", &[1, GOOD, 1, ROOM], BADF),
            Call("fd_close", &[3], BADF),
            Call("fd_sync", &[FOUR_BILLION], BADF),
            Call("fd_filestat_get", &[TWO_BILLION, ROOM], BADF),
            Call("fd_prestat_get", &[3, ROOM], BADF),
            Call("fd_readdir", &[3, ROOM, 1_000, 0, ROOM], BADF),
            Call("fd_readdir", &[0, ROOM, 1_000, 0, ROOM], NOTSUP),
            Call("fd_seek", &[1, -1, 0, ROOM], SPIPE),
            Call("fd_renumber", &[1, 1_000], NOTSUP),
            Call("fd_close", &[2], DONE),
            Call("fd_close", &[2], BADF),
            Call("fd_write", &[2, GOOD, 1, ROOM], BADF),
        ],
    ),
    answers(
        "wasi-files",
        "There is no folder to find a file from",
        &[
            Call("path_open", &[0, 0, PATH, PATH_BYTES, 0, -1, -1, 0, ROOM], NOTCAPABLE),
            Call("path_open", &[3, 0, PATH, PATH_BYTES, 0, -1, -1, 0, ROOM], BADF),
            Call("path_open", &[1, 1, FOUR_BILLION, FOUR_BILLION, 15, -1, -1, 0, FOUR_BILLION], NOTCAPABLE),
            Call("path_filestat_get", &[0, 1, PATH, PATH_BYTES, ROOM], NOTCAPABLE),
            Call("path_readlink", &[0, PATH, PATH_BYTES, ROOM, 100, ROOM], NOTCAPABLE),
            Call("path_create_directory", &[0, PATH, PATH_BYTES], NOTCAPABLE),
            Call("path_unlink_file", &[0, PATH, PATH_BYTES], NOTCAPABLE),
            Call("path_rename", &[0, PATH, PATH_BYTES, 1, PATH, PATH_BYTES], NOTCAPABLE),
            Call("path_link", &[0, 0, PATH, PATH_BYTES, 1, PATH, PATH_BYTES], NOTCAPABLE),
            Call("path_symlink", &[PATH, PATH_BYTES, 0, PATH, PATH_BYTES], NOTCAPABLE),
        ],
    ),
    answers(
        "wasi-sockets",
        "There are no sockets and no signals",
        &[
            Call("sock_accept", &[0, 0, ROOM], NOTSUP),
            Call("sock_accept", &[3, 0, ROOM], BADF),
            Call("sock_recv", &[0, GOOD, 1, 0, ROOM, ROOM], NOTSUP),
            Call("sock_send", &[1, GOOD, 1, 0, ROOM], NOTSUP),
            Call("sock_shutdown", &[1, 3], NOTSUP),
            Call("proc_raise", &[9], NOSYS),
        ],
    ),
    answers(
        "wasi-answers-at-the-edge",
        "No answer is put across the memory's end",
        &[
            Call("args_sizes_get", &[EDGE - 4, EDGE - 3], FAULT),
            Call("args_sizes_get", &[EDGE, ROOM], FAULT),
            Call("args_sizes_get", &[EDGE - 4, EDGE - 8], DONE),
            Call("args_get", &[EDGE - 3, ROOM], FAULT),
            Call("args_get", &[ROOM, EDGE - 1], FAULT),
            Call("environ_sizes_get", &[FOUR_BILLION, FOUR_BILLION], FAULT),
            Call("environ_get", &[ROOM, EDGE - 4], FAULT),
            Call("environ_get", &[FOUR_BILLION, ROOM], FAULT),
            Call("clock_time_get", &[0, 0, EDGE - 7], FAULT),
            Call("clock_time_get", &[2, 0, ROOM], INVAL),
            Call("clock_time_get", &[FOUR_BILLION, -1, ROOM], INVAL),
            Call("clock_res_get", &[1, EDGE - 7], FAULT),
            Call("fd_fdstat_get", &[0, EDGE - 23], FAULT),
            Call("fd_filestat_get", &[1, EDGE - 63], FAULT),
        ],
    ),
    answers(
        "wasi-gigabytes-of-randomness",
        "Randomness ends where the memory does",
        &[
            Call("random_get", &[EDGE - 1, 2], FAULT),
            Call("random_get", &[FOUR_BILLION, 1], FAULT),
            Call("random_get", &[1, FOUR_BILLION], FAULT),
            Call("random_get", &[0, FOUR_BILLION], FAULT),
            Call("random_get", &[FOUR_BILLION, 0], DONE),
        ],
    ),
    answers(
        "wasi-waits-without-sense",
        "What nobody can wait for is refused or comes at once",
        &[
            Call("poll_oneoff", &[LONG, ROOM, 0, ROOM], INVAL),
            Call("poll_oneoff", &[LONG, ROOM, 65, ROOM], INVAL),
            Call("poll_oneoff", &[LONG, ROOM, TWO_BILLION, ROOM], INVAL),
            Call("poll_oneoff", &[EDGE - 40, ROOM, 1, ROOM], FAULT),
            Call("poll_oneoff", &[NO_KIND, ROOM, 1, ROOM], INVAL),
            Call("poll_oneoff", &[NO_CLOCK, EDGE - 31, 1, ROOM], FAULT),
            Call("poll_oneoff", &[NO_CLOCK, ROOM, 1, EDGE - 3], FAULT),
            Call("poll_oneoff", &[NO_CLOCK, ROOM, 2, ROOM], DONE),
            Call("poll_oneoff", &[NO_STREAM, ROOM, 1, ROOM], DONE),
        ],
    ),
    ends(
        "wasi-sleep-past-the-deadline",
        "A sleep of thirty years ends at the deadline, and costs no CPU time",
        (Outcome::TimedOut, "Sandbox.Timedout", ""),
        Calls(&[Call("poll_oneoff", &[LONG, ROOM, 1, ROOM], DONE)]),
    )
    .within(Duration::from_millis(300))
    .spending(Spends::Little),
    ends(
        "wasi-exit-codes",
        "An exit with any code but 0 is a failure",
        (Outcome::Failed, "Wasm.Exit", "exit code "),
        Many(|| [1, 3, 128, 256, -1, i32::MIN, i32::MAX].into_iter().map(exiting).collect()),
    ),
    returns(
        "wasi-exit-before-the-start",
        "A module that exits before its start has no start",
        "null",
        One(|| {
            let mut draft = Draft::new();
            let proc_exit = draft.wasi("proc_exit");
            draft.main(&[], |code| {
                code.unreachable();
            });
            let before = draft.function(PLAIN, &[], |code| {
                code.i32_const(0).call(proc_exit);
            });
            draft.start = Some(before);
            draft.finish()
        }),
    ),
    returns(
        "wasi-world",
        "There are one argument and two variables: what the function was given, and nothing of the host's",
        "null",
        One(|| {
            let mut draft = Draft::new();
            let proc_exit = draft.wasi("proc_exit");
            let (arguments, variables) = (draft.wasi("args_sizes_get"), draft.wasi("environ_sizes_get"));
            draft.main(&[], |code| {
                for (exit, sizes, count) in [(1, arguments, 1), (2, variables, 2)] {
                    code.i32_const(0).i32_const(4).call(sizes).drop();
                    code.i32_const(0).i32_load(at(0)).i32_const(count).i32_eq();
                    or_exit(code, proc_exit, exit);
                }
            });
            draft.finish()
        }),
    ),
    returns(
        "wasi-open-descriptors",
        "Nothing is open but the three streams, however far one looks",
        "null",
        One(|| {
            let mut draft = Draft::new();
            let proc_exit = draft.wasi("proc_exit");
            let fd_fdstat_get = draft.wasi("fd_fdstat_get");
            draft.main(&[(1, ValType::I32)], |code| {
                code.i32_const(3).local_set(0).loop_(BlockType::Empty);
                code.local_get(0).i32_const(0).call(fd_fdstat_get).i32_const(BADF).i32_eq();
                or_exit(code, proc_exit, 1);
                code.local_get(0).i32_const(1).i32_add().local_tee(0).i32_const(100_000).i32_lt_u().br_if(0).end();
            });
            draft.finish()
        }),
    ),
];
