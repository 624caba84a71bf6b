//! The engine's machine code: compiled once, kept in the cache directory, handed to workers as sealed memory files.
//!
//! Machine code is run by every worker, so what is read back must be what was written: the file belongs to us, nobody
//! else may write it, and it carries the hash of its content. Whatever does not fit is compiled again.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::config::StartError;
use super::memory_file;
use crate::wasm::{Base, EngineCode, compile_engine, engine_hash};

const HASH_BYTES: usize = 32;
/// Bytes of the cache file; the engine takes a tenth of it.
const CACHE_BYTES_MAX: u64 = 256 << 20;

/// The engine, ready to be passed on.
pub(super) struct EngineFiles {
    pub(super) run: Arc<OwnedFd>,
    pub(super) init: Arc<OwnedFd>,
    pub(super) base_module: Arc<OwnedFd>,
    pub(super) base: Arc<Base>,
    /// What images are made for.
    pub(super) hash: String,
}

/// Takes seconds of CPU when the cache does not hold this engine: call it off the async threads.
pub(super) fn prepare(cache_dir: Option<&Path>) -> Result<EngineFiles, StartError> {
    let path = cache_dir.map(|dir| dir.join(format!("engine-{}.bin", engine_hash())));
    let kept = path.as_deref().and_then(read);
    let code = match kept {
        Some(code) => code,
        None => {
            tracing::info!("compiling the JavaScript engine: a few seconds, once per data folder and version");
            let code = compile_engine().map_err(|error| StartError::Engine(error.to_string()))?;
            if let (Some(dir), Some(path)) = (cache_dir, &path) {
                // Without the cache the next start is slow, no more.
                if let Err(error) = write(dir, path, &code) {
                    tracing::warn!(%error, path = %path.display(), "the compiled engine could not be kept");
                }
            }
            code
        }
    };
    let file = |name, bytes: &[u8]| {
        memory_file::sealed(name, bytes).map(Arc::new).map_err(|error| StartError::Engine(error.to_string()))
    };
    Ok(EngineFiles {
        run: file("sublet-engine", &code.run)?,
        init: file("sublet-engine-init", &code.init)?,
        base_module: file("sublet-engine-base", &code.base.module)?,
        hash: code.base.engine_hash(),
        base: Arc::new(code.base),
    })
}

fn read(path: &Path) -> Option<EngineCode> {
    let flags = libc::O_NOFOLLOW | libc::O_CLOEXEC;
    let mut file = OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
    let about = file.metadata().ok()?;
    let is_ours = about.is_file() && about.uid() == rustix::process::geteuid().as_raw() && about.mode() & 0o077 == 0;
    if !is_ours || about.len() > CACHE_BYTES_MAX {
        tracing::warn!(path = %path.display(), "the kept engine is not ours alone and was ignored");
        return None;
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).ok()?;
    unpack(&bytes)
}

/// The content's hash, the base's pages, then each part behind its length.
fn unpack(bytes: &[u8]) -> Option<EngineCode> {
    let (hash, content) = bytes.split_at_checked(HASH_BYTES)?;
    if Sha256::digest(content).as_slice() != hash {
        return None;
    }
    let (pages, mut rest) = content.split_first_chunk::<4>()?;
    let mut part = || {
        let (length, behind) = rest.split_first_chunk::<8>()?;
        let (part, behind) = behind.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
        rest = behind;
        Some(part)
    };
    let (run, init) = (part()?.to_vec(), part()?.to_vec());
    let (module, memory) = (Bytes::copy_from_slice(part()?), Bytes::copy_from_slice(part()?));
    Some(EngineCode { run, init, base: Base { memory, memory_pages: u32::from_le_bytes(*pages), module } })
}

fn pack(code: &EngineCode) -> Vec<u8> {
    let mut content = code.base.memory_pages.to_le_bytes().to_vec();
    for part in [&code.run[..], &code.init, &code.base.module, &code.base.memory] {
        content.extend_from_slice(&(part.len() as u64).to_le_bytes());
        content.extend_from_slice(part);
    }
    let mut bytes = Sha256::digest(&content).to_vec();
    bytes.append(&mut content);
    bytes
}

/// Under its name only when whole: two servers may start at once.
fn write(dir: &Path, path: &Path, code: &EngineCode) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let draft = path.with_extension(format!("draft-{}", std::process::id()));
    let _ = std::fs::remove_file(&draft);
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(&pack(code))?;
    file.sync_all()?;
    std::fs::rename(&draft, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_engine_with_one_byte_changed_is_not_used() {
        let base = Base { memory: vec![3; 20].into(), memory_pages: 7, module: vec![4; 30].into() };
        let code = EngineCode { run: vec![1; 100], init: vec![2; 50], base };
        let bytes = pack(&code);
        assert_eq!(unpack(&bytes).unwrap(), code);
        for index in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[index] ^= 1;
            assert!(unpack(&changed).is_none(), "byte {index}");
        }
        assert!(unpack(&bytes[..20]).is_none());
    }
}
