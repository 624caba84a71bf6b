//! What compiles and is run: loops, recursion, memory and tables to the end, accesses beyond it, and what it might
//! leave for the next attempt. All of it ends in an outcome of its own.

use sublet_model::Outcome;
use wasm_encoder::{BlockType, HeapType, InstructionSink, ValType};

use super::make::{Draft, PLAIN, at, command, or_exit, pages, table, write};
use super::program::Made::{Many, One};
use super::program::{ModuleProgram, burns, ends, returns, traps};
use crate::attack::verdict::Spends;

/// A memory of sixteen megabytes, and a body that is repeated for ever.
fn endless(import: Option<&'static str>, body: impl FnOnce(&mut InstructionSink<'_>, u32)) -> Vec<u8> {
    let mut draft = Draft::new();
    let function = import.map(|name| draft.wasi(name)).unwrap_or_default();
    draft.memories = vec![pages(256)];
    draft.main(&[], |code| {
        code.loop_(BlockType::Empty);
        body(code, function);
        code.br(0).end();
    });
    draft.finish()
}

/// A command that calls through its table, of which one entry holds nothing and one a function of another type.
fn calling_through(index: i32) -> Vec<u8> {
    let mut draft = Draft::new();
    let ty = draft.ty(vec![ValType::I64], Vec::new());
    let other = draft.function(ty, &[], |_| {});
    draft.tables = vec![table(2)];
    draft.elements = vec![(1, vec![other])];
    draft.main(&[], |code| {
        code.i32_const(index).call_indirect(0, PLAIN);
    });
    draft.finish()
}

/// A command that begins with these bytes in its memory, and with its `_start` at these places of a table of one entry.
fn beginning_with(data: &[(i32, Vec<u8>)], places: &[i32]) -> Vec<u8> {
    let mut draft = Draft::new();
    let main = draft.main(&[], |_| {});
    draft.tables = vec![table(1)];
    draft.data.extend_from_slice(data);
    draft.elements.extend(places.iter().map(|place| (*place, vec![main])));
    draft.finish()
}

/// Thousands of values that must be kept over a call of itself.
fn large_frames() -> Vec<u8> {
    const LOCALS: u32 = 2_000;
    let mut draft = Draft::new();
    let own = draft.upcoming();
    draft.main(&[(LOCALS, ValType::I64)], |code| {
        for local in 0..LOCALS {
            code.i32_const(0).i64_load(at(8 * u64::from(local))).local_set(local);
        }
        code.call(own).i32_const(0).i64_const(0);
        for local in 0..LOCALS {
            code.local_get(local).i64_add();
        }
        code.i64_store(at(0));
    });
    draft.finish()
}

/// Exits unless everything is as the module has it, and then changes all of it.
fn leaving() -> Vec<u8> {
    const GROWN: i32 = 5 << 16;
    let mut draft = Draft::new();
    let proc_exit = draft.wasi("proc_exit");
    draft.globals = 1;
    draft.tables = vec![table(1)];
    draft.main(&[], |code| {
        code.global_get(0).i32_eqz();
        or_exit(code, proc_exit, 1);
        code.i32_const(0).i32_load(at(2000)).i32_eqz();
        or_exit(code, proc_exit, 2);
        code.memory_size(0).i32_const(1).i32_eq();
        or_exit(code, proc_exit, 3);
        code.table_size(0).i32_const(1).i32_eq();
        or_exit(code, proc_exit, 4);
        code.i32_const(8).memory_grow(0).drop();
        code.i32_const(GROWN).i32_load(at(0)).i32_eqz();
        or_exit(code, proc_exit, 5);
        code.i32_const(7).global_set(0);
        code.i32_const(0).i32_const(7).i32_store(at(2000));
        code.i32_const(GROWN).i32_const(7).i32_store(at(0));
        code.ref_null(HeapType::FUNC).i32_const(5).table_grow(0).drop();
    });
    draft.finish()
}

pub(super) const PROGRAMS: &[ModuleProgram] = &[
    burns(
        "module-loop",
        "A loop of a module's is ended by the CPU limit",
        One(|| {
            command(|code| {
                code.loop_(BlockType::Empty).br(0).end();
            })
        }),
    ),
    burns(
        "module-loop-before-the-start",
        "And so is one that runs before its start",
        One(|| {
            let mut draft = Draft::new();
            draft.main(&[], |_| {});
            let before = draft.function(PLAIN, &[], |code| {
                code.loop_(BlockType::Empty).br(0).end();
            });
            draft.start = Some(before);
            draft.finish()
        }),
    ),
    burns(
        "module-fills-memory",
        "Single instructions that write megabytes are ended too",
        One(|| {
            endless(None, |code, _| {
                code.i32_const(0).i32_const(7).i32_const(16 << 20).memory_fill(0);
            })
        }),
    ),
    burns(
        "module-yields",
        "Giving the turn away for ever is not free",
        One(|| {
            endless(Some("sched_yield"), |code, sched_yield| {
                code.call(sched_yield).drop();
            })
        }),
    ),
    burns(
        "module-asks-for-randomness",
        "Asking for megabytes of randomness for ever is ended",
        One(|| {
            endless(Some("random_get"), |code, random_get| {
                code.i32_const(0).i32_const(16 << 20).call(random_get).drop();
            })
        }),
    ),
    traps(
        "module-recursion",
        "Endless recursion, directly or through a table, is the module's own failure",
        "call stack exhausted",
        Many(|| {
            let (mut direct, mut through) = (Draft::new(), Draft::new());
            let own = direct.upcoming();
            direct.main(&[], |code| {
                code.call(own);
            });
            through.tables = vec![table(1)];
            through.elements = vec![(0, vec![through.upcoming()])];
            through.main(&[], |code| {
                code.i32_const(0).call_indirect(0, PLAIN);
            });
            vec![direct.finish(), through.finish()]
        }),
    ),
    traps(
        "module-recursion-of-large-frames",
        "Frames of sixteen kilobytes do not leap over the stack's end",
        "call stack exhausted",
        One(large_frames),
    ),
    traps(
        "module-recursion-that-calls-the-host",
        "A call of the host's at the very end of the stack has room",
        "call stack exhausted",
        One(|| {
            let mut draft = Draft::new();
            let fd_write = draft.wasi("fd_write");
            let own = draft.upcoming();
            draft.main(&[], |code| {
                write(code, fd_write, 1);
                code.call(own);
            });
            draft.finish()
        }),
    ),
    ends(
        "module-memory-to-the-end",
        "Memory ends at its limit, and a module that ends for it is out of memory",
        (Outcome::OutOfMemory, "Runtime.OutOfMemory", ""),
        One(|| {
            command(|code| {
                code.loop_(BlockType::Empty).i32_const(16).memory_grow(0);
                code.i32_const(-1).i32_ne().br_if(0).end().unreachable();
            })
        }),
    )
    .spending(Spends::Memory),
    returns(
        "module-memory-all-at-once",
        "Four gigabytes at once are refused, and the memory is as it was",
        "null",
        One(|| {
            let mut draft = Draft::new();
            let proc_exit = draft.wasi("proc_exit");
            draft.main(&[], |code| {
                for (exit, count) in [(1, 65_535), (2, -1), (3, i32::MIN)] {
                    code.i32_const(count).memory_grow(0).i32_const(-1).i32_eq();
                    or_exit(code, proc_exit, exit);
                }
                code.memory_size(0).i32_const(1).i32_eq();
                or_exit(code, proc_exit, 4);
            });
            draft.finish()
        }),
    ),
    returns(
        "module-table-to-the-end",
        "A table grows to its limit and no further",
        "null",
        One(|| {
            let mut draft = Draft::new();
            let proc_exit = draft.wasi("proc_exit");
            draft.tables = vec![table(1)];
            draft.main(&[], |code| {
                code.loop_(BlockType::Empty).ref_null(HeapType::FUNC).i32_const(1_000).table_grow(0);
                code.i32_const(-1).i32_ne().br_if(0).end();
                code.table_size(0).i32_const(20_000).i32_le_u();
                or_exit(code, proc_exit, 1);
                code.ref_null(HeapType::FUNC).i32_const(-1).table_grow(0).i32_const(-1).i32_eq();
                or_exit(code, proc_exit, 2);
            });
            draft.finish()
        }),
    ),
    traps(
        "module-traps",
        "What cannot be computed is the module's own failure",
        "wasm trap",
        Many(|| {
            let bodies: [fn(&mut InstructionSink<'_>); 4] = [
                |code| {
                    code.unreachable();
                },
                |code| {
                    code.i32_const(1).i32_const(0).i32_div_u().drop();
                },
                |code| {
                    code.i64_const(i64::MIN).i64_const(-1).i64_div_s().drop();
                },
                |code| {
                    code.f64_const(f64::NAN.into()).i32_trunc_f64_s().drop();
                },
            ];
            bodies.iter().map(|body| command(*body)).collect()
        }),
    ),
    traps(
        "module-reaches-beyond",
        "No address and no offset reads or writes beyond the memory",
        "out of bounds memory access",
        Many(|| {
            let reaches =
                [(-1, u64::from(u32::MAX)), (-8, 16), (65_533, 0), (0, 65_533), (i32::MIN, 0), (i32::MAX, 1 << 31)];
            let modules = reaches.into_iter().flat_map(|(address, offset)| {
                let reads = command(|code| {
                    code.i32_const(address).i32_load(at(offset)).drop();
                });
                let writes = command(|code| {
                    code.i32_const(address).i32_const(7).i32_store(at(offset));
                });
                [reads, writes]
            });
            modules.collect()
        }),
    ),
    traps(
        "module-copies-beyond",
        "Nor does an instruction that copies or fills",
        "out of bounds memory access",
        Many(|| {
            let reaches = [(0, 65_530, 10), (65_530, 0, 10), (-1, -1, -1), (0, 0, i32::MIN), (65_537, 0, 0)];
            let modules = reaches.into_iter().flat_map(|(to, from, length)| {
                let copies = command(|code| {
                    code.i32_const(to).i32_const(from).i32_const(length).memory_copy(0, 0);
                });
                let fills = command(|code| {
                    code.i32_const(to.max(from)).i32_const(7).i32_const(length).memory_fill(0);
                });
                [copies, fills]
            });
            modules.collect()
        }),
    ),
    traps(
        "module-calls-what-is-not-there",
        "No index of a table leads to code but to functions of the right type",
        "wasm trap",
        Many(|| [0, 1, 2, -1, i32::MIN].into_iter().map(calling_through).collect()),
    ),
    traps(
        "module-begins-beyond",
        "What a module begins with does not lie beyond its memory and its table",
        "out of bounds",
        Many(|| {
            vec![
                beginning_with(&[(65_536, vec![1])], &[]),
                beginning_with(&[(-1, vec![1; 100])], &[]),
                beginning_with(&[], &[1]),
                beginning_with(&[], &[-1]),
            ]
        }),
    ),
    returns(
        "module-leaves-something",
        "Memory, table and numbers are fresh for every attempt of a module",
        "null",
        One(leaving),
    )
    .times(20),
];
