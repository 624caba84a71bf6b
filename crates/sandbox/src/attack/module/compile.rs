//! Bombs for the compiler: what takes it for ever is ended with its process, and what is only odd comes out whole.

use wasm_encoder::{BlockType, CustomSection, Section, ValType};

use super::make::{Draft, PLAIN, at, command, pages, saying};
use super::program::Made::{Many, One};
use super::program::{ModuleProgram, ended_at_deploy, harmless, returns};

/// How a bomb may end.
const BOMB: &[&str] = &["Sandbox.Timedout", "Sandbox.Crashed"];
/// How something large may end that may compile as well.
const LARGE: &[&str] =
    &["Wasm.Refused", "Wasm.Trap", "Sandbox.Timedout", "Sandbox.Crashed", "Sandbox.CodeTooLarge", "Sandbox.CpuLimit"];
/// How a module may end in which something was changed.
const CHANGED: &[&str] = &[
    "Wasm.Refused",
    "Wasm.Trap",
    "Wasm.Exit",
    "Wasm.ResultNotJson",
    "Runtime.ResultTooLarge",
    "Runtime.OutOfMemory",
    "Sandbox.CpuLimit",
    "Sandbox.Timedout",
];

/// Every local is merged at the head of every loop: tens of millions of values, of a hundred kilobytes of code.
pub(in crate::attack) fn bomb() -> Vec<u8> {
    const LOCALS: u32 = 4_000;
    const LOOPS: u32 = 8_000;
    let mut draft = Draft::new();
    draft.main(&[(LOCALS, ValType::I64)], |code| {
        for number in 0..LOOPS {
            let local = number % LOCALS;
            code.loop_(BlockType::Empty).local_get(local).i64_const(1).i64_add().local_set(local);
            code.local_get(0).i32_wrap_i64().br_if(0).end();
        }
    });
    draft.finish()
}

/// A module that says `1`, with sections behind it that mean nothing or are not what they are called.
fn customized() -> Vec<Vec<u8>> {
    let noise: Vec<u8> = (0..10_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let named = |name: &'static str, data: &[u8], times: usize| {
        let section = CustomSection { name: name.into(), data: data.into() };
        let mut bytes = saying("1");
        for _ in 0..times {
            section.append_to(&mut bytes);
        }
        bytes
    };
    let known = ["name", ".debug_info", ".debug_line", "producers", "linking", "dylink.0", "metadata.code.branch_hint"];
    let mut modules: Vec<Vec<u8>> = known.into_iter().map(|name| named(name, &noise, 1)).collect();
    modules.push(named("", &[], 100_000));
    modules.push(named("junk", &vec![0; 4 << 20], 1));
    modules
}

pub(super) const PROGRAMS: &[ModuleProgram] = &[
    ended_at_deploy(
        "module-compile-bomb",
        "A bomb for the compiler ends with its process, at the deadline or for its memory",
        BOMB,
        One(bomb),
    ),
    harmless(
        "module-compile-jumps",
        "A table of a million jumps is refused or compiled",
        LARGE,
        One(|| {
            command(|code| {
                code.block(BlockType::Empty).i32_const(5).br_table(vec![0; 1_000_000], 0).end();
            })
        }),
    ),
    harmless(
        "module-compile-blocks",
        "As many blocks within blocks as there may be are refused or compiled",
        LARGE,
        One(|| {
            command(|code| {
                for _ in 0..9_990 {
                    code.block(BlockType::Empty);
                }
                for _ in 0..9_990 {
                    code.end();
                }
            })
        }),
    ),
    harmless(
        "module-compile-functions",
        "As many functions as there may be are refused or compiled",
        LARGE,
        One(|| {
            let mut draft = Draft::new();
            draft.main(&[], |_| {});
            for _ in 0..49_999 {
                draft.function(PLAIN, &[], |_| {});
            }
            draft.finish()
        }),
    ),
    harmless(
        "module-compile-locals",
        "As many locals as there may be, all of them used, are refused or compiled",
        LARGE,
        One(|| {
            const LOCALS: u32 = 50_000;
            let mut draft = Draft::new();
            draft.main(&[(LOCALS, ValType::I64)], |code| {
                for local in 1..LOCALS {
                    code.local_get(local - 1).i64_const(1).i64_add().local_set(local);
                }
            });
            draft.finish()
        }),
    ),
    harmless(
        "module-compile-sum",
        "A sum of a million terms is refused or compiled",
        LARGE,
        One(|| {
            command(|code| {
                code.i64_const(0);
                for _ in 0..1_000_000 {
                    code.i64_const(1).i64_add();
                }
                code.drop();
            })
        }),
    ),
    harmless(
        "module-compile-operands",
        "Fifty thousand operands at once are refused or compiled",
        LARGE,
        One(|| {
            const OPERANDS: u64 = 50_000;
            command(|code| {
                code.i32_const(0);
                for operand in 0..OPERANDS {
                    code.i32_const(0).i32_load(at(operand));
                }
                for _ in 1..OPERANDS {
                    code.i32_add();
                }
                code.i32_store(at(0));
            })
        }),
    ),
    harmless(
        "module-compile-segments",
        "A memory that ninety thousand segments fill is refused or compiled",
        LARGE,
        One(|| {
            let mut draft = Draft::new();
            draft.main(&[], |_| {});
            draft.data = (0..90_000).map(|number| (number % 65_536, vec![1])).collect();
            draft.finish()
        }),
    ),
    harmless(
        "module-compile-ends",
        "Two bytes sixteen megabytes apart are refused or compiled to no more than those",
        LARGE,
        One(|| {
            let mut draft = Draft::new();
            draft.main(&[], |_| {});
            draft.memories = vec![pages(256)];
            draft.data = vec![(0, vec![1]), ((16 << 20) - 1, vec![1])];
            draft.finish()
        }),
    ),
    returns(
        "module-custom-sections",
        "Sections that mean nothing, or are not what they are called, change nothing",
        "1",
        Many(customized),
    ),
    harmless(
        "module-with-a-byte-changed",
        "A module with any byte changed is refused, or is some other module",
        CHANGED,
        Many(|| {
            let whole = saying("1");
            let changed = (0..whole.len()).step_by(3).map(|at| {
                let mut bytes = whole.clone();
                bytes[at] ^= 0x0f;
                bytes
            });
            changed.collect()
        }),
    ),
];
