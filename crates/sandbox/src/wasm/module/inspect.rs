//! Is it a module that runs here? If not, the refusal names the feature or the limit. Runs in a builder: a module is hostile
//! input to whatever parses it.

use wasmparser::{ExternalKind, FunctionBody, MemoryType, Operator, Parser, Payload, TypeRef, Validator, WasmFeatures};

use super::super::config::{MODULE_TABLE_ENTRIES_MAX, WASM_PAGE_BYTES};
use super::super::wasi;

/// What compilers of C and Rust use today, and what each platform has had for years. Everything else costs trust or
/// memory here and is refused by its name.
const FEATURES: WasmFeatures = WasmFeatures::MUTABLE_GLOBAL
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::SIMD)
    .union(WasmFeatures::FLOATS)
    .union(WasmFeatures::EXTENDED_CONST);

/// What an instance holds for each is allocated when it starts: `config::MODULE_INSTANCE_BYTES_MAX` has room for so many.
const FUNCTIONS_MAX: u32 = 50_000;
const GLOBALS_MAX: u32 = 10_000;
const IMPORTS_MAX: u32 = 1_000;
/// Blocks within blocks.
const NESTING_MAX: usize = 10_000;
/// Words of a refusal.
const WORDS_MAX: usize = 500;

/// Errors: why it is refused, for the tenant.
pub(super) fn inspect(module: &[u8], memory_bytes: u64) -> Result<(), String> {
    match module {
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => {}
        [0, b'a', b's', b'm', _, _, 1, 0, ..] => {
            return Err("it is a component; only core modules run here (build for wasm32-wasip1)".to_owned());
        }
        [0, b'a', b's', b'm', ..] => return Err("it is of another version of WebAssembly than 1".to_owned()),
        _ => return Err("it is no WebAssembly module".to_owned()),
    }
    let mut sum = Sum::default();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload.map_err(|error| words(&error))?;
        sum.add(payload).map_err(|refusal| refusal.text())?;
    }
    sum.check(memory_bytes)?;
    Validator::new_with_features(FEATURES).validate_all(module).map_err(|error| words(&error))?;
    Ok(())
}

/// wasmparser's own words name the feature that is missing, and the place.
fn words(error: &wasmparser::BinaryReaderError) -> String {
    let mut text = error.to_string();
    text.truncate(text.floor_char_boundary(WORDS_MAX));
    text
}

enum Refusal {
    Broken(wasmparser::BinaryReaderError),
    Unfit(String),
}

impl Refusal {
    fn text(&self) -> String {
        match self {
            Refusal::Broken(error) => words(error),
            Refusal::Unfit(text) => text.clone(),
        }
    }
}

impl From<wasmparser::BinaryReaderError> for Refusal {
    fn from(error: wasmparser::BinaryReaderError) -> Refusal {
        Refusal::Broken(error)
    }
}

/// What there is of everything that is bounded.
#[derive(Default)]
struct Sum {
    memories: Vec<MemoryType>,
    tables: u32,
    is_command: bool,
    exports_memory: bool,
}

impl Sum {
    fn add(&mut self, payload: Payload<'_>) -> Result<(), Refusal> {
        match payload {
            Payload::ImportSection(imports) => {
                within("imports", imports.count(), IMPORTS_MAX)?;
                for import in imports.into_imports() {
                    let import = import?;
                    check_import(import.module, import.name, &import.ty)?;
                }
            }
            Payload::FunctionSection(functions) => within("functions", functions.count(), FUNCTIONS_MAX)?,
            Payload::GlobalSection(globals) => within("globals", globals.count(), GLOBALS_MAX)?,
            Payload::MemorySection(memories) => {
                for memory in memories {
                    self.memories.push(memory?);
                }
            }
            Payload::TableSection(tables) => {
                for table in tables {
                    let entries = table?.ty.initial;
                    if entries > MODULE_TABLE_ENTRIES_MAX as u64 {
                        let most = MODULE_TABLE_ENTRIES_MAX;
                        return Err(Refusal::Unfit(format!("a table of {entries} entries, of at most {most}")));
                    }
                    self.tables += 1;
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export?;
                    self.is_command |= export.kind == ExternalKind::Func && export.name == "_start";
                    self.exports_memory |= export.kind == ExternalKind::Memory && export.name == "memory";
                }
            }
            Payload::CodeSectionEntry(body) => check_nesting(&body)?,
            _ => {}
        }
        Ok(())
    }

    fn check(&self, memory_bytes: u64) -> Result<(), String> {
        if self.tables > 1 {
            return Err(format!("it has {} tables, and may have one", self.tables));
        }
        let memory = match self.memories.as_slice() {
            [memory] => memory,
            [] => return Err("it has no memory of its own".to_owned()),
            several => return Err(format!("it has {} memories (multi-memory), and may have one", several.len())),
        };
        // The validator says so too, in words that are harder to act on.
        if memory.memory64 {
            return Err("its memory is addressed by 64 bits (memory64); build it for wasm32".to_owned());
        }
        if memory.shared {
            return Err("its memory is shared (threads); build it without them".to_owned());
        }
        let asked = memory.initial.saturating_mul(WASM_PAGE_BYTES as u64);
        if asked > memory_bytes {
            return Err(format!("its memory begins with {asked} bytes, and the function may have {memory_bytes}"));
        }
        if !self.is_command {
            return Err("it exports no function `_start`: build it as a command, with a main function".to_owned());
        }
        if !self.exports_memory {
            return Err("it exports no memory under the name `memory`".to_owned());
        }
        Ok(())
    }
}

fn within(what: &str, count: u32, most: u32) -> Result<(), Refusal> {
    if count > most { Err(Refusal::Unfit(format!("it has {count} {what}, of at most {most}"))) } else { Ok(()) }
}

/// Names and types are checked when it is linked; here are the refusals that deserve words of their own.
fn check_import(module: &str, name: &str, ty: &TypeRef) -> Result<(), Refusal> {
    let refused = |why: &str| Err(Refusal::Unfit(format!("it imports `{}.{}`, {why}", shown(module), shown(name))));
    match (module, ty) {
        (wasi::MODULE, TypeRef::Func(_)) => Ok(()),
        ("wasi_unstable", _) => refused("which is WASI before preview 1"),
        (_, TypeRef::Memory(_)) => refused("and its memory must be its own"),
        _ => refused("and there is nothing but WASI preview 1 (`wasi_snapshot_preview1`) to import from"),
    }
}

fn shown(name: &str) -> String {
    name.chars().take(60).flat_map(char::escape_default).collect()
}

fn check_nesting(body: &FunctionBody<'_>) -> Result<(), Refusal> {
    let mut depth = 0_usize;
    let mut operators = body.get_operators_reader()?;
    while !operators.eof() {
        match operators.read()? {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } | Operator::TryTable { .. } => {
                depth += 1
            }
            Operator::End => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > NESTING_MAX {
            return Err(Refusal::Unfit(format!("a function nests more than {NESTING_MAX} blocks")));
        }
    }
    Ok(())
}
