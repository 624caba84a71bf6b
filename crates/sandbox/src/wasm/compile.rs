//! From the committed engine artifact to machine code.

use std::fmt::Write as _;
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io::Write as _;
use std::sync::OnceLock;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use sublet_model::limit;
use wasm_encoder::{Module, RawSection, SectionId};
use wasmparser::{Parser, Payload};
use wasmtime::Engine;

use super::WasmError;
use super::base::Base;
use super::config::{self, WASM_PAGE_BYTES};
use super::count::counted;
use super::initializer::{Initializer, Prelude};
use super::prelude::PRELUDE;
use super::seal::data_module;

/// Made by `cargo xtask engine` from engines/quickjs.
pub(super) const ARTIFACT: &[u8] = include_bytes!("../../../../engines/quickjs/quickjs.wasm");
/// Raised when this module reads or makes images in another way without the artifact or the prelude changing.
const FORMAT: u32 = 3;

/// Serialized wasmtime modules; only the server may make them, and whoever loads them trusts the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineCode {
    /// Imports its memory and writes nothing to it on instantiation.
    pub run: Vec<u8>,
    /// A module without code: the memory of an engine that has evaluated the prelude. Packages are evaluated on this one.
    pub start: Bytes,
    /// What functions' images are told apart from.
    pub base: Base,
}

/// Hex SHA-256 over the artifact, the prelude, wasmtime's compatibility hash and our format: engine code of another hash
/// is made again.
pub fn engine_hash() -> &'static str {
    static HASH: OnceLock<String> = OnceLock::new();
    HASH.get_or_init(|| {
        let mut hasher = ShaHasher(Sha256::new());
        FORMAT.hash(&mut hasher);
        ARTIFACT.hash(&mut hasher);
        PRELUDE.hash(&mut hasher);
        match compiler() {
            Ok(engine) => engine.precompile_compatibility_hash().hash(&mut hasher),
            // Then nothing can be compiled either, which is where the error shows.
            Err(error) => error.to_string().hash(&mut hasher),
        }
        hasher.0.finalize().iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    })
}

/// Compiles the engine, evaluates the prelude and makes the base image (the one time that the server runs any of it, on
/// code of ours); takes seconds of CPU, so keep the result under [`engine_hash`].
pub fn compile_engine() -> Result<EngineCode, WasmError> {
    compile_engine_with(PRELUDE)
}

/// With another prelude than the product's: what a benchmark compares it with.
pub fn compile_engine_with(prelude: &'static str) -> Result<EngineCode, WasmError> {
    let engine = compiler()?;
    let run = engine.precompile_module(&run_variant(ARTIFACT)?)?;
    // Fills its memory on instantiation, unlike the other.
    let init_code = engine.precompile_module(ARTIFACT)?;
    // SAFETY: compiled just above.
    let (memory, pages) = unsafe { Prelude { init_code: &init_code, text: prelude }.evaluate() }?;
    let start: Bytes = engine.precompile_module(&data_module(&memory, pages, memory_pages_max()))?.into();
    // SAFETY: as above, and nobody else has the file.
    let initializer = unsafe { Initializer::new(&run, memory_file(&start)?) }?;
    let base = Base::of(&initializer)?;
    Ok(EngineCode { run, start, base })
}

/// A function may have less: the attempt's own limit sees to that.
pub(super) fn memory_pages_max() -> u32 {
    let pages = usize::try_from(limit::MEMORY_MAX).unwrap_or(usize::MAX) / WASM_PAGE_BYTES;
    u32::try_from(pages).unwrap_or(u32::MAX)
}

fn memory_file(bytes: &[u8]) -> Result<File, WasmError> {
    let failed = |error: std::io::Error| WasmError::Runtime(format!("a memory file: {error}"));
    let file = rustix::fs::memfd_create("sublet-start", rustix::fs::MemfdFlags::CLOEXEC);
    let mut file = File::from(file.map_err(|errno| failed(errno.into()))?);
    file.write_all(bytes).map_err(failed)?;
    Ok(file)
}

/// [`EngineCode::run`] as attempts run on it whose instructions are counted; takes seconds of CPU as well.
pub fn compile_counting_engine() -> Result<Vec<u8>, WasmError> {
    let module = counted(&run_variant(ARTIFACT)?).map_err(|error| WasmError::Runtime(error.to_string()))?;
    Ok(compiler()?.precompile_module(&module)?)
}

/// The server's wasmtime: compiles, runs nothing.
pub(super) fn compiler() -> Result<&'static Engine, WasmError> {
    static ENGINE: OnceLock<Result<Engine, String>> = OnceLock::new();
    ENGINE
        .get_or_init(|| Engine::new(&config::shared()).map_err(|error| format!("{error:#}")))
        .as_ref()
        .map_err(|error| WasmError::Runtime(error.clone()))
}

/// The engine without what fills memory: the image has done that. Besides the data, that is the start function, with
/// which the linker zeroes .bss.
fn run_variant(artifact: &[u8]) -> Result<Vec<u8>, WasmError> {
    let dropped = [SectionId::Data as u8, SectionId::DataCount as u8, SectionId::Start as u8];
    let mut module = Module::new();
    for payload in Parser::new(0).parse_all(artifact) {
        let payload = payload.map_err(|error| WasmError::Runtime(error.to_string()))?;
        let Some((id, range)) = payload.as_section() else { continue };
        if !dropped.contains(&id) {
            module.section(&RawSection { id, data: &artifact[range] });
        }
    }
    Ok(module.finish())
}

/// What the artifact says of itself: images must fit it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// Pages of memory that the engine asks for at least.
    pub(super) memory_pages_min: u32,
    /// The stack pointer while no call is under way.
    pub(super) stack_pointer: u32,
}

pub(super) fn shape() -> Result<Shape, WasmError> {
    let broken = |what: &str| WasmError::Runtime(format!("engine artifact: {what}"));
    let mut memory_pages_min = None;
    let mut stack_pointer = None;
    for payload in Parser::new(0).parse_all(ARTIFACT) {
        match payload.map_err(|error| broken(&error.to_string()))? {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    if let wasmparser::TypeRef::Memory(memory) = import.map_err(|error| broken(&error.to_string()))?.ty
                    {
                        memory_pages_min = u32::try_from(memory.initial).ok();
                    }
                }
            }
            Payload::GlobalSection(globals) => {
                for global in globals {
                    let global = global.map_err(|error| broken(&error.to_string()))?;
                    if let Ok(wasmparser::Operator::I32Const { value }) = global.init_expr.get_operators_reader().read()
                    {
                        stack_pointer = u32::try_from(value).ok();
                    }
                }
            }
            _ => {}
        }
    }
    Ok(Shape {
        memory_pages_min: memory_pages_min.ok_or_else(|| broken("no memory import"))?,
        stack_pointer: stack_pointer.ok_or_else(|| broken("no stack pointer"))?,
    })
}

/// Feeds SHA-256 with what a `Hash` implementation writes.
pub(super) struct ShaHasher(pub(super) Sha256);

impl Hasher for ShaHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use wasmparser::{Operator, TypeRef};

    use super::*;

    /// The image carries memory only, so nothing else of an instance may change while the top level runs.
    #[test]
    fn the_engine_writes_no_table_and_no_global_but_its_stack_pointer() {
        let mut globals = 0;
        for payload in Parser::new(0).parse_all(ARTIFACT) {
            match payload.unwrap() {
                Payload::GlobalSection(section) => globals += section.count(),
                Payload::ExportSection(section) => {
                    for export in section {
                        assert_ne!(export.unwrap().kind, wasmparser::ExternalKind::Table);
                    }
                }
                Payload::CodeSectionEntry(body) => {
                    for operator in body.get_operators_reader().unwrap() {
                        assert!(!matches!(
                            operator.unwrap(),
                            Operator::TableSet { .. }
                                | Operator::TableGrow { .. }
                                | Operator::TableFill { .. }
                                | Operator::TableInit { .. }
                                | Operator::TableCopy { .. }
                        ));
                    }
                }
                _ => {}
            }
        }
        assert_eq!(globals, 1);
    }

    /// The guest's whole view of the world; an import more is a decision.
    #[test]
    fn the_engine_imports_its_memory_and_eight_functions() {
        let mut names = Vec::new();
        for payload in Parser::new(0).parse_all(ARTIFACT) {
            if let Payload::ImportSection(section) = payload.unwrap() {
                for import in section.into_imports() {
                    let import = import.unwrap();
                    assert!(matches!(import.ty, TypeRef::Func(_) | TypeRef::Memory(_)));
                    names.push(format!("{}.{}", import.module, import.name));
                }
            }
        }
        names.sort();
        assert_eq!(
            names,
            [
                "env.memory",
                "sublet.call",
                "sublet.finish",
                "sublet.input",
                "sublet.log",
                "sublet.now_us",
                "sublet.remaining_ms",
                "sublet.reply",
                "sublet.wait"
            ]
        );
    }

    #[test]
    fn the_run_variant_fills_no_memory() {
        for payload in Parser::new(0).parse_all(&run_variant(ARTIFACT).unwrap()) {
            assert!(!matches!(
                payload.unwrap(),
                Payload::DataSection(_) | Payload::DataCountSection { .. } | Payload::StartSection { .. }
            ));
        }
    }
}
