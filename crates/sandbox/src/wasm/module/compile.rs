//! From a module to machine code, in a builder.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::hash::Hash;
use std::sync::OnceLock;

use sha2::{Digest, Sha256};
use wasmtime::Module;

use super::super::compile::{ShaHasher, compiler};
use super::super::count::counted;
use super::super::initializer::Initializer;
use super::super::wasi;
use super::inspect::inspect;
use crate::Failure;

/// Raised when modules are compiled or run in another way without wasmtime's own hash changing.
const FORMAT: u32 = 1;

/// Hex SHA-256 over wasmtime's compatibility hash and our format: machine code of another hash is made again.
pub(crate) fn machine_hash() -> &'static str {
    static HASH: OnceLock<String> = OnceLock::new();
    HASH.get_or_init(|| {
        let mut hasher = ShaHasher(Sha256::new());
        FORMAT.hash(&mut hasher);
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

impl Initializer {
    /// Compiles a tenant's module, with a counter of its instructions in it if asked for. Whatever is wrong with it is told as its failure; what takes too long or too much is
    /// ended with this process.
    pub fn compile(&self, module: &[u8], memory_bytes: u64, counts: bool) -> Result<Vec<u8>, Failure> {
        inspect(module, memory_bytes).map_err(refused)?;
        let module = match counts {
            true => Cow::Owned(counted(module).map_err(|error| refused(error.to_string()))?),
            false => Cow::Borrowed(module),
        };
        let engine = self.engine();
        let code = engine.precompile_module(&module).map_err(|error| refused(first_words(&error)))?;
        // What a worker will do with it, so that it fails here, where there is somebody to tell.
        // SAFETY: compiled just above, in this process, which runs nothing else.
        let loaded = unsafe { Module::deserialize(engine, &code) }.map_err(|error| refused(first_words(&error)))?;
        let linker = wasi::linker(engine).map_err(|error| refused(error.to_string()))?;
        linker.instantiate_pre(&loaded).map_err(|error| refused(first_words(&error)))?;
        let start = loaded.get_export("_start").and_then(|export| export.func().cloned());
        if start.is_none_or(|ty| ty.params().len() + ty.results().len() > 0) {
            return Err(refused("its `_start` takes or returns something".to_owned()));
        }
        Ok(code)
    }
}

fn first_words(error: &wasmtime::Error) -> String {
    let mut text = format!("{error:#}");
    text.truncate(text.floor_char_boundary(500));
    text
}

fn refused(why: String) -> Failure {
    Failure {
        error_type: "Wasm.Refused".into(),
        error_message: format!("the module cannot run here: {why}"),
        stack_trace: Vec::new(),
    }
}
