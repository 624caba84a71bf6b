//! What must not be deployable: what is no module, what is broken, what asks for more than there is, and what asks for
//! features that cost trust.

use wasm_encoder::{
    BlockType, EntityType, ExportKind, InstructionSink, MemArg, MemoryType, SectionId, TableType, ValType,
};

use super::make::{Draft, PLAIN, WASI, at, command, number_type, pages, table};
use super::program::Made::{Many, One};
use super::program::{ModuleProgram, refused};

/// How every refusal begins.
const ANY: &str = "the module cannot run here";
/// More than any count may be, as WebAssembly writes numbers.
const FOUR_BILLION: [u8; 5] = [0xff, 0xff, 0xff, 0xff, 0x0f];

/// A command that does nothing.
fn valid() -> Draft {
    let mut draft = Draft::new();
    draft.main(&[], |_| {});
    draft
}

/// The command with something changed.
fn but(change: impl FnOnce(&mut Draft)) -> Vec<u8> {
    let mut draft = valid();
    change(&mut draft);
    draft.finish()
}

/// The command with something behind it.
fn then(rest: &[u8]) -> Vec<u8> {
    [valid().finish().as_slice(), rest].concat()
}

/// The command with a section in its place that claims four billion entries and has none.
fn claiming(id: u8) -> Vec<u8> {
    const HEADER_BYTES: usize = 8;
    // In the order of their numbers, but for one that came later.
    let place = |of: u8| if of == SectionId::DataCount as u8 { 95 } else { 10 * u32::from(of) };
    let mut lie = vec![id, FOUR_BILLION.len() as u8];
    lie.extend(FOUR_BILLION);
    let whole = valid().finish();
    let (header, mut rest) = whole.split_at(HEADER_BYTES);
    let mut bytes = header.to_vec();
    let mut is_told = false;
    // None of the sections has more than 127 bytes, so that a length is one byte.
    while let [next, length, ..] = *rest {
        let (section, behind) = rest.split_at(2 + usize::from(length));
        if !is_told && place(next) >= place(id) {
            bytes.extend_from_slice(&lie);
            is_told = true;
        }
        if next != id {
            bytes.extend_from_slice(section);
        }
        rest = behind;
    }
    if !is_told {
        bytes.extend_from_slice(&lie);
    }
    bytes
}

/// Code that the compiler would have to be wrong about.
const LYING_BODIES: &[fn(&mut InstructionSink<'_>)] = &[
    // An operand that is not there, one of another type, one too many.
    |code| {
        code.i32_add().drop();
    },
    |code| {
        code.i64_const(0).i32_eqz().drop();
    },
    |code| {
        code.i32_const(1);
    },
    // A local, a place, a function, a number, a table, a type and a memory that are not there.
    |code| {
        code.local_get(7).drop();
    },
    |code| {
        code.br(9);
    },
    |code| {
        code.call(99);
    },
    |code| {
        code.global_get(3).drop();
    },
    |code| {
        code.i32_const(0).call_indirect(0, PLAIN);
    },
    |code| {
        code.i32_const(0).i32_load(MemArg { memory_index: 1, ..at(0) }).drop();
    },
    // An end too many, and one too few.
    |code| {
        code.end();
    },
    |code| {
        code.block(BlockType::Empty);
    },
];

fn features() -> Vec<Vec<u8>> {
    vec![
        command(|code| {
            code.i32_const(0).i32_atomic_load(MemArg { align: 2, ..at(0) }).drop();
        }),
        command(|code| {
            code.return_call(0);
        }),
        command(|code| {
            code.v128_const(0).v128_const(0).i8x16_relaxed_swizzle().drop();
        }),
        but(|draft| draft.tags = 1),
        but(|draft| draft.structure()),
        but(|draft| draft.tables.push(TableType { table64: true, ..table(1) })),
        but(|draft| draft.memories = vec![MemoryType { page_size_log2: Some(0), ..pages(1) }]),
    ]
}

/// A command that imports a function.
fn importing(module: &'static str, name: &'static str, parameters: usize) -> Vec<u8> {
    let mut draft = Draft::new();
    let ty = draft.ty(vec![ValType::I32; parameters], vec![ValType::I32]);
    draft.import(module, name, ty);
    draft.main(&[], |_| {});
    draft.finish()
}

/// A `_start` of another type.
fn starting(parameters: Vec<ValType>, results: Vec<ValType>) -> Vec<u8> {
    let mut draft = Draft::new();
    let gives = results.len();
    let ty = draft.ty(parameters, results);
    let number = draft.function(ty, &[], |code| {
        for _ in 0..gives {
            code.i32_const(0);
        }
    });
    draft.exports.push(("_start", ExportKind::Func, number));
    draft.finish()
}

pub(super) const PROGRAMS: &[ModuleProgram] = &[
    refused(
        "module-that-is-none",
        "What is no module of this WebAssembly is refused by its first bytes",
        "it is",
        Many(|| {
            let starts: [&[u8]; 7] = [
                b"",
                b"\0as",
                b"export const handler = () => 1;",
                b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0",
                b"PK\x03\x04",
                b"\0asm\x02\0\0\0",
                // A component.
                b"\0asm\x0d\0\x01\0",
            ];
            starts.into_iter().map(<[u8]>::to_vec).collect()
        }),
    ),
    refused(
        "module-cut-off",
        "A module that was cut off anywhere is refused",
        ANY,
        Many(|| {
            let whole = valid().finish();
            (0..whole.len()).step_by(3).chain([whole.len() - 1]).map(|length| whole[..length].to_vec()).collect()
        }),
    ),
    refused(
        "module-counts-that-lie",
        "A section that claims four billion entries takes no memory and is refused",
        ANY,
        Many(|| (SectionId::Type as u8..=SectionId::DataCount as u8).map(claiming).collect()),
    ),
    refused(
        "module-malformed",
        "Sections that are unknown, twice there, without end or name are refused",
        ANY,
        Many(|| {
            let rests: [&[u8]; 7] = [
                b"\x63\0",
                b"\x01\x01\0",
                b"\x0b\x7f",
                b"\0\x80\x80\x80\x80\x80\x01",
                b"\0\x02\x01\xff",
                b"\0\x01\x7f",
                b"\0",
            ];
            rests.into_iter().map(then).collect()
        }),
    ),
    refused(
        "module-bodies-that-lie",
        "Code whose types, numbers or ends do not fit is refused before it is compiled",
        ANY,
        Many(|| LYING_BODIES.iter().map(|body| command(*body)).collect()),
    ),
    refused(
        "module-features",
        "Atomics, tail calls, exceptions, garbage collection and what else costs trust are refused",
        ANY,
        Many(features),
    ),
    refused(
        "module-memory-of-64-bits",
        "A memory that is addressed by 64 bits is refused",
        "memory64",
        One(|| but(|draft| draft.memories = vec![MemoryType { memory64: true, ..pages(1 << 40) }])),
    ),
    refused(
        "module-memory-shared",
        "A memory that threads share is refused",
        "threads",
        One(|| but(|draft| draft.memories = vec![MemoryType { shared: true, maximum: Some(2), ..pages(1) }])),
    ),
    refused(
        "module-memory-too-large",
        "A memory that begins with a page more than the function may have is refused",
        "33619968 bytes",
        One(|| but(|draft| draft.memories = vec![pages(513)])),
    ),
    refused(
        "module-memory-of-others",
        "A memory that is to come from elsewhere is refused",
        "must be its own",
        One(|| {
            but(|draft| {
                draft.memories.clear();
                draft.imports.push(("env", "memory", EntityType::Memory(pages(1))));
            })
        }),
    ),
    refused(
        "module-table-too-large",
        "A table of four billion entries is refused",
        "4000000000 entries",
        One(|| but(|draft| draft.tables.push(table(4_000_000_000)))),
    ),
    refused(
        "module-more-than-one",
        "A second memory and a second table are refused",
        "may have one",
        Many(|| {
            vec![but(|draft| draft.memories.push(pages(1))), but(|draft| draft.tables.extend([table(1), table(1)]))]
        }),
    ),
    refused(
        "module-imports-of-others",
        "There is nothing to import but WASI preview 1: not what the engine has, not a system, not older WASI",
        "it imports `",
        Many(|| {
            vec![
                importing("sublet", "call", 3),
                importing("sublet", "now_us", 0),
                importing("env", "system", 1),
                importing("wasi_unstable", "fd_close", 1),
                importing("wasi_snapshot_preview1\0", "fd_close", 1),
                but(|draft| draft.imports.push((WASI, "errno", EntityType::Global(number_type())))),
                but(|draft| draft.imports.push((WASI, "table", EntityType::Table(table(1))))),
            ]
        }),
    ),
    refused(
        "module-imports-that-wasi-has-not",
        "A function that WASI does not have, or has with another type, is refused",
        "import",
        Many(|| vec![importing(WASI, "fork", 0), importing(WASI, "fd_close", 5), importing(WASI, "", 0)]),
    ),
    refused(
        "module-more-than-there-may-be",
        "Functions, numbers and imports beyond their limits are refused",
        "of at most",
        Many(|| {
            vec![
                but(|draft| {
                    for _ in 0..50_000 {
                        draft.function(PLAIN, &[], |_| {});
                    }
                }),
                but(|draft| draft.globals = 10_001),
                but(|draft| {
                    for _ in 0..1_001 {
                        draft.imports.push((WASI, "sched_yield", EntityType::Function(PLAIN)));
                    }
                }),
            ]
        }),
    ),
    refused(
        "module-locals-that-overflow",
        "A function of nine billion locals is refused",
        "locals",
        One(|| {
            let mut draft = Draft::new();
            draft.main(&[(u32::MAX, ValType::I64), (u32::MAX, ValType::I64)], |_| {});
            draft.finish()
        }),
    ),
    refused(
        "module-nests",
        "Blocks within blocks beyond their limit are refused",
        "10000 blocks",
        One(|| {
            command(|code| {
                for _ in 0..10_001 {
                    code.block(BlockType::Empty);
                }
                for _ in 0..10_001 {
                    code.end();
                }
            })
        }),
    ),
    refused(
        "module-without-a-start",
        "A module that exports no function to start with is refused, whatever it calls so",
        "no function `_start`",
        Many(|| {
            let mut named = Draft::new();
            named.exports.push(("_start", ExportKind::Memory, 0));
            vec![Draft::new().finish(), named.finish()]
        }),
    ),
    refused(
        "module-start-of-another-type",
        "A start that takes or returns something is refused",
        "takes or returns something",
        Many(|| vec![starting(vec![ValType::I32], Vec::new()), starting(Vec::new(), vec![ValType::I32])]),
    ),
];
