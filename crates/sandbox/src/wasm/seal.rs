//! From a builder's raw memory to an image: its difference from the base, or, if that is large, a precompiled module that
//! defines memory and holds no code.
//!
//! Threat: the builder ran tenant code, so its memory may hold anything. The module made of it has data segments and no
//! function, so wasmtime compiles nothing of it, and nothing in it is ever taken for machine code or for a host address:
//! it becomes linear memory of that tenant's own instances, where the engine's accesses stay inside the sandbox whatever
//! they read. What must be checked is what else an image decides: sizes, and that the engine can resume on it.

use sublet_model::limit;
use wasm_encoder::{ConstExpr, DataSection, ExportKind, ExportSection, MemorySection, MemoryType, Module};

use super::base::Base;
use super::compile::{compiler, shape};
use super::config::{IMAGE_BYTES_MAX, WASM_PAGE_BYTES};
use super::snapshot::RawSnapshot;
use super::{WasmError, log, patch};

/// Granularity in which zeros are left out.
const CHUNK_BYTES: usize = 4096;

/// Checks `raw` (hostile) and wraps it; the bytes are for [`super::Runner::load_image`].
/// It fits workers that have the same `base`.
pub fn seal_image(raw: &RawSnapshot, base: &Base) -> Result<Vec<u8>, WasmError> {
    check(raw)?;
    match patch::encode(raw, base) {
        Some(patch) => Ok(patch),
        None => {
            let module = data_module(&raw.memory, raw.memory_pages, raw.memory_pages_max);
            Ok(compiler()?.precompile_module(&module)?)
        }
    }
}

fn check(raw: &RawSnapshot) -> Result<(), WasmError> {
    let refused = |what: String| Err(WasmError::Snapshot(what));
    let shape = shape()?;
    let pages_limit = usize::try_from(limit::MEMORY_MAX).unwrap_or(usize::MAX) / WASM_PAGE_BYTES;
    if raw.memory_pages_max as usize > pages_limit {
        return refused(format!("may grow to {} pages, more than {pages_limit}", raw.memory_pages_max));
    }
    if raw.memory_pages > raw.memory_pages_max {
        return refused(format!("{} pages, more than its limit of {}", raw.memory_pages, raw.memory_pages_max));
    }
    if raw.memory_pages < shape.memory_pages_min {
        return refused(format!("{} pages, the engine needs {}", raw.memory_pages, shape.memory_pages_min));
    }
    if raw.memory.len() > raw.memory_pages as usize * WASM_PAGE_BYTES {
        return refused(format!("{} bytes in {} pages", raw.memory.len(), raw.memory_pages));
    }
    if raw.memory.len() > IMAGE_BYTES_MAX {
        return refused(format!("{} bytes, more than {IMAGE_BYTES_MAX}", raw.memory.len()));
    }
    if raw.memory.len() <= shape.stack_pointer as usize {
        return refused(format!("{} bytes, which is less than the engine's stack", raw.memory.len()));
    }
    if raw.stack_pointer != shape.stack_pointer {
        return refused(format!("stack pointer at {} instead of {}", raw.stack_pointer, shape.stack_pointer));
    }
    if raw.log.len() > log::bytes_max(limit::LOG_BYTES_MAX) {
        return refused(format!("{} bytes of log", raw.log.len()));
    }
    Ok(())
}

pub(super) fn data_module(memory: &[u8], pages: u32, pages_max: u32) -> Vec<u8> {
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: u64::from(pages),
        maximum: Some(u64::from(pages_max)),
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut exports = ExportSection::new();
    exports.export("memory", ExportKind::Memory, 0);
    let mut data = DataSection::new();
    for (start, run) in filled_runs(memory) {
        // The address is below IMAGE_BYTES_MAX, so it fits.
        data.active(0, &ConstExpr::i32_const(start as i32), run.iter().copied());
    }
    let mut module = Module::new();
    module.section(&memories).section(&exports).section(&data);
    module.finish()
}

/// The longest stretches of chunks that are not all zero, with their addresses.
fn filled_runs(memory: &[u8]) -> Vec<(usize, &[u8])> {
    let mut runs = Vec::new();
    let mut open: Option<usize> = None;
    for (index, chunk) in memory.chunks(CHUNK_BYTES).enumerate() {
        let start = index * CHUNK_BYTES;
        let is_filled = chunk.iter().any(|&byte| byte != 0);
        match (open, is_filled) {
            (None, true) => open = Some(start),
            (Some(from), false) => {
                runs.push((from, &memory[from..start]));
                open = None;
            }
            _ => {}
        }
    }
    if let Some(from) = open {
        runs.push((from, &memory[from..]));
    }
    runs
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn plausible() -> RawSnapshot {
        let shape = shape().unwrap();
        let mut memory = vec![0; shape.memory_pages_min as usize * WASM_PAGE_BYTES];
        memory[shape.stack_pointer as usize + 5] = 1;
        RawSnapshot {
            memory: memory.into(),
            memory_pages: shape.memory_pages_min,
            memory_pages_max: 2048,
            stack_pointer: shape.stack_pointer,
            log: Bytes::new(),
        }
    }

    #[test]
    fn a_snapshot_that_does_not_fit_the_engine_is_refused() {
        let base = Base { memory: Bytes::new(), memory_pages: 1, module: Bytes::new() };
        assert!(seal_image(&plausible(), &base).is_ok());
        type Spoil = fn(&mut RawSnapshot);
        let spoil: [(&str, Spoil); 8] = [
            ("cut off", |raw| raw.memory = raw.memory.slice(..1000)),
            ("more bytes than pages", |raw| raw.memory = vec![1; (raw.memory_pages as usize + 1) << 16].into()),
            ("fewer pages than the engine needs", |raw| raw.memory_pages = 1),
            ("more pages than its limit", |raw| raw.memory_pages_max = raw.memory_pages - 1),
            ("a limit beyond the system's", |raw| raw.memory_pages_max = u32::MAX),
            ("stack pointer moved", |raw| raw.stack_pointer -= 16),
            ("log too long", |raw| raw.log = vec![b'x'; 1 << 20].into()),
            ("too large an image", |raw| {
                raw.memory = vec![1; IMAGE_BYTES_MAX + 1].into();
                raw.memory_pages = 2000;
            }),
        ];
        for (what, spoil) in spoil {
            let mut raw = plausible();
            spoil(&mut raw);
            assert!(matches!(seal_image(&raw, &base), Err(WasmError::Snapshot(_))), "{what}");
        }
    }

    #[test]
    fn runs_cover_every_byte_that_is_not_zero() {
        let mut memory = vec![0_u8; 10 * CHUNK_BYTES + 7];
        for at in [0, CHUNK_BYTES * 3 - 1, CHUNK_BYTES * 3, CHUNK_BYTES * 10 + 6] {
            memory[at] = 9;
        }
        let runs = filled_runs(&memory);
        assert_eq!(
            runs.iter().map(|(start, run)| (*start, run.len())).collect::<Vec<_>>(),
            [(0, CHUNK_BYTES), (2 * CHUNK_BYTES, 2 * CHUNK_BYTES), (10 * CHUNK_BYTES, 7)]
        );
    }
}
