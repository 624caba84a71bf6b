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
use crate::wasm::{Base, EngineCode, WasmError, compile_counting_engine, compile_engine, engine_hash};

const HASH_BYTES: usize = 32;
/// Bytes of the cache file; the engine takes a tenth of it.
const CACHE_BYTES_MAX: u64 = 256 << 20;

/// The engine, ready to be passed on.
pub(super) struct EngineFiles {
    pub(super) run: Arc<OwnedFd>,
    /// What builders start from, as attempts do from the base.
    pub(super) start: Arc<OwnedFd>,
    pub(super) base_module: Arc<OwnedFd>,
    pub(super) base: Arc<Base>,
    /// What images are made for.
    pub(super) hash: String,
}

/// Takes seconds of CPU when the cache does not hold this engine: call it off the async threads.
pub(super) fn prepare(cache_dir: Option<&Path>) -> Result<EngineFiles, StartError> {
    let code = kept_or_made(cache_dir, "engine", unpack_engine, || {
        tracing::info!("compiling the JavaScript engine: a few seconds, once per data folder and version");
        let code = compile_engine()?;
        Ok((pack_engine(&code), code))
    })?;
    Ok(EngineFiles {
        run: sealed("sublet-engine", &code.run)?,
        start: sealed("sublet-engine-start", &code.start)?,
        base_module: sealed("sublet-engine-base", &code.base.module)?,
        hash: code.base.engine_hash(),
        base: Arc::new(code.base),
    })
}

/// What a process that counts instructions has in place of [`EngineFiles::run`]. Takes as long as [`prepare`].
pub(super) fn prepare_counting(cache_dir: Option<&Path>) -> Result<Arc<OwnedFd>, StartError> {
    let run = kept_or_made(
        cache_dir,
        "counting-engine",
        |[run]| Some(run.to_vec()),
        || {
            tracing::info!("compiling the engine that counts instructions: once per data folder and version");
            let run = compile_counting_engine()?;
            Ok((pack(&[&run]), run))
        },
    )?;
    sealed("sublet-engine-count", &run)
}

fn sealed(name: &str, bytes: &[u8]) -> Result<Arc<OwnedFd>, StartError> {
    memory_file::sealed(name, bytes).map(Arc::new).map_err(|error| StartError::Engine(error.to_string()))
}

/// What is kept under the name, in so many parts, or else is made, and kept.
fn kept_or_made<T, const N: usize>(
    cache_dir: Option<&Path>,
    name: &str,
    read_parts: impl FnOnce([&[u8]; N]) -> Option<T>,
    make: impl FnOnce() -> Result<(Vec<u8>, T), WasmError>,
) -> Result<T, StartError> {
    let path = cache_dir.map(|dir| dir.join(format!("{name}-{}.bin", engine_hash())));
    let bytes = path.as_deref().and_then(read);
    if let Some(kept) = bytes.as_deref().and_then(unpack).and_then(read_parts) {
        return Ok(kept);
    }
    let (bytes, made) = make().map_err(|error| StartError::Engine(error.to_string()))?;
    if let (Some(dir), Some(path)) = (cache_dir, &path) {
        // Without the cache the next start is slow, no more.
        if let Err(error) = write(dir, path, &bytes) {
            tracing::warn!(%error, path = %path.display(), "the compiled engine could not be kept");
        }
    }
    Ok(made)
}

fn read(path: &Path) -> Option<Vec<u8>> {
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
    Some(bytes)
}

fn unpack_engine([run, start, pages, module, memory]: [&[u8]; 5]) -> Option<EngineCode> {
    let memory_pages = u32::from_le_bytes(pages.try_into().ok()?);
    let [start, module, memory] = [start, module, memory].map(Bytes::copy_from_slice);
    Some(EngineCode { run: run.to_vec(), start, base: Base { memory, memory_pages, module } })
}

fn pack_engine(code: &EngineCode) -> Vec<u8> {
    pack(&[&code.run, &code.start, &code.base.memory_pages.to_le_bytes(), &code.base.module, &code.base.memory])
}

/// The content's hash, then each part behind its length.
fn unpack<const N: usize>(bytes: &[u8]) -> Option<[&[u8]; N]> {
    let (hash, mut rest) = bytes.split_at_checked(HASH_BYTES)?;
    if Sha256::digest(rest).as_slice() != hash {
        return None;
    }
    let mut parts = [&[][..]; N];
    for part in &mut parts {
        let (length, behind) = rest.split_first_chunk::<8>()?;
        (*part, rest) = behind.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    }
    Some(parts)
}

fn pack(parts: &[&[u8]]) -> Vec<u8> {
    let mut content = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        content.extend_from_slice(&(part.len() as u64).to_le_bytes());
        content.extend_from_slice(part);
    }
    let mut bytes = Sha256::digest(&content).to_vec();
    bytes.append(&mut content);
    bytes
}

/// Under its name only when whole: two servers may start at once.
fn write(dir: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let draft = path.with_extension(format!("draft-{}", std::process::id()));
    let _ = std::fs::remove_file(&draft);
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&draft, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_engine_with_one_byte_changed_is_not_used() {
        let base = Base { memory: vec![3; 20].into(), memory_pages: 7, module: vec![4; 30].into() };
        let code = EngineCode { run: vec![1; 100], start: vec![2; 50].into(), base };
        let bytes = pack_engine(&code);
        assert_eq!(unpack(&bytes).and_then(unpack_engine).unwrap(), code);
        for index in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[index] ^= 1;
            assert!(unpack::<5>(&changed).is_none(), "byte {index}");
        }
        assert!(unpack::<5>(&bytes[..20]).is_none());
    }
}
