//! What workers map and run, from where it is made to where it is run: images of functions, and machine code of tenants' own
//! modules.
//!
//! Threat: both rest in a store that others may write to, and a worker takes them for what the server made. So the server seals
//! them with a key of its own as soon as it has them, and breaks the seal before it hands them over. An image holds no code of
//! a tenant's, but its file could: it is sealed for the engine that it continues. Machine code came from a process that had
//! hostile input; it is sealed for one tenant, one module and one configuration of the compiler, and the server never loads it
//! itself. What that seal cannot promise is that the compiler was not fooled: that is why such code runs in processes of its
//! tenant alone.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use sublet_model::TenantId;

use super::config::StartError;
use crate::wasm::machine_hash;

/// What sealed machine code and sealed images begin with.
const MACHINE: &[u8; 16] = b"sublet machine 2";
const SNAPSHOT: &[u8; 16] = b"sublet snapshot1";
const HASH_BYTES: usize = 32;
const SEAL_BYTES: usize = 32;
const MACHINE_HEAD_BYTES: usize = MACHINE.len() + HASH_BYTES + SEAL_BYTES;
const SNAPSHOT_HEAD_BYTES: usize = SNAPSHOT.len() + SEAL_BYTES;
const KEY_BYTES: usize = 32;
const HMAC_BLOCK_BYTES: usize = 64;

/// The server's key; whoever has it can make images and machine code that the server takes for its own.
pub(super) struct CodeKey([u8; KEY_BYTES]);

impl CodeKey {
    /// Reads the key, or makes it and writes it for the server's user alone. Without a path it lives as long as this process,
    /// and what was sealed before is made again.
    pub(super) fn open(path: Option<&Path>) -> Result<CodeKey, StartError> {
        let Some(path) = path else { return CodeKey::random() };
        let failed = |why: String| StartError::Key { path: path.to_owned(), why };
        let flags = libc::O_NOFOLLOW | libc::O_CLOEXEC;
        let mut file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let key = CodeKey::random()?;
                key.write(path).map_err(|error| failed(error.to_string()))?;
                return Ok(key);
            }
            Err(error) => return Err(failed(error.to_string())),
        };
        let about = file.metadata().map_err(|error| failed(error.to_string()))?;
        let is_ours =
            about.is_file() && about.uid() == rustix::process::geteuid().as_raw() && about.mode() & 0o077 == 0;
        if !is_ours {
            return Err(failed("it must be a file that its owner alone can read".to_owned()));
        }
        let mut key = [0; KEY_BYTES];
        let is_whole = about.len() == KEY_BYTES as u64 && file.read_exact(&mut key).is_ok();
        if is_whole {
            Ok(CodeKey(key))
        } else {
            Err(failed(format!("it must have {KEY_BYTES} bytes; without it, a new one is made")))
        }
    }

    fn random() -> Result<CodeKey, StartError> {
        let mut key = [0; KEY_BYTES];
        getrandom::fill(&mut key).map_err(|error| StartError::Engine(format!("no randomness: {error}")))?;
        Ok(CodeKey(key))
    }

    /// Under its name only when whole.
    fn write(&self, path: &Path) -> std::io::Result<()> {
        let draft = path.with_extension(format!("draft-{}", std::process::id()));
        let _ = std::fs::remove_file(&draft);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(&self.0)?;
        file.sync_all()?;
        std::fs::rename(&draft, path)
    }

    /// Machine code as it goes into the code store.
    pub(super) fn seal_machine(&self, tenant: TenantId, module: &[u8], code: &[u8]) -> Bytes {
        let module_hash: [u8; HASH_BYTES] = Sha256::digest(module).into();
        let seal = self.machine_mac(tenant, &module_hash, code).finalize().into_bytes();
        [MACHINE, &module_hash[..], &seal, code].concat().into()
    }

    /// The code, if this server sealed it for this tenant and for the compiler of today.
    pub(super) fn open_machine(&self, tenant: TenantId, sealed: &Bytes) -> Option<Bytes> {
        let rest = sealed.strip_prefix(MACHINE)?;
        let (module_hash, rest) = rest.split_first_chunk::<HASH_BYTES>()?;
        let (seal, code) = rest.split_first_chunk::<SEAL_BYTES>()?;
        // Compares in a time that does not tell how much was right.
        self.machine_mac(tenant, module_hash, code).verify_slice(seal).ok()?;
        Some(sealed.slice(MACHINE_HEAD_BYTES..))
    }

    fn machine_mac(&self, tenant: TenantId, module_hash: &[u8; HASH_BYTES], code: &[u8]) -> Hmac<Sha256> {
        self.mac(MACHINE, [&tenant.raw().to_le_bytes()[..], module_hash, machine_hash().as_bytes(), code])
    }

    /// A function's image as it goes into the code store.
    pub(super) fn seal_snapshot(&self, engine_hash: &str, image: &[u8]) -> Bytes {
        let seal = self.snapshot_mac(engine_hash, image).finalize().into_bytes();
        [SNAPSHOT, &seal[..], image].concat().into()
    }

    /// The image, if this server sealed it for this engine.
    pub(super) fn open_snapshot(&self, engine_hash: &str, sealed: &Bytes) -> Option<Bytes> {
        let (seal, image) = sealed.strip_prefix(SNAPSHOT)?.split_first_chunk::<SEAL_BYTES>()?;
        self.snapshot_mac(engine_hash, image).verify_slice(seal).ok()?;
        Some(sealed.slice(SNAPSHOT_HEAD_BYTES..))
    }

    fn snapshot_mac(&self, engine_hash: &str, image: &[u8]) -> Hmac<Sha256> {
        self.mac(SNAPSHOT, [engine_hash.as_bytes(), image])
    }

    /// Every part has its length before it, so that no two lists of parts are the same bytes.
    fn mac<const COUNT: usize>(&self, mark: &[u8; 16], parts: [&[u8]; COUNT]) -> Hmac<Sha256> {
        // A key shorter than a block is padded with zeros: so says HMAC, and so this constructor wants it.
        let mut block = [0; HMAC_BLOCK_BYTES];
        block[..KEY_BYTES].copy_from_slice(&self.0);
        let mut mac = <Hmac<Sha256> as KeyInit>::new(&block.into());
        mac.update(mark);
        for part in parts {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        mac
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const TENANT: TenantId = TenantId::from_raw(7);

    #[test]
    fn code_with_one_byte_changed_or_of_another_tenant_or_key_is_not_taken() {
        let key = CodeKey([1; KEY_BYTES]);
        let sealed = key.seal_machine(TENANT, b"module", b"machine code");
        assert_eq!(key.open_machine(TENANT, &sealed).unwrap(), Bytes::from_static(b"machine code"));
        assert_eq!(key.open_machine(TenantId::from_raw(8), &sealed), None, "another tenant");
        assert_eq!(CodeKey([2; KEY_BYTES]).open_machine(TENANT, &sealed), None, "another key");
        assert_eq!(key.open_snapshot("engine", &sealed), None, "another kind");
        for index in 0..sealed.len() {
            let mut changed = sealed.to_vec();
            changed[index] ^= 1;
            assert_eq!(key.open_machine(TENANT, &changed.into()), None, "byte {index}");
            assert_eq!(key.open_machine(TENANT, &sealed.slice(..index)), None, "cut at {index}");
        }
    }

    #[test]
    fn an_image_with_one_byte_changed_or_of_another_key_is_not_taken() {
        let key = CodeKey([1; KEY_BYTES]);
        let sealed = key.seal_snapshot("engine", b"an image");
        assert_eq!(key.open_snapshot("engine", &sealed).unwrap(), Bytes::from_static(b"an image"));
        assert_eq!(CodeKey([2; KEY_BYTES]).open_snapshot("engine", &sealed), None, "another key");
        assert_eq!(key.open_snapshot("engine-2", &sealed), None, "another engine");
        assert_eq!(key.open_machine(TENANT, &sealed), None, "another kind");
        assert_eq!(key.open_snapshot("engine", &Bytes::from_static(b"an image")), None, "no seal");
        for index in 0..sealed.len() {
            let mut changed = sealed.to_vec();
            changed[index] ^= 1;
            assert_eq!(key.open_snapshot("engine", &changed.into()), None, "byte {index}");
            assert_eq!(key.open_snapshot("engine", &sealed.slice(..index)), None, "cut at {index}");
        }
    }

    #[test]
    fn the_key_is_made_once_for_its_owner_alone_and_one_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("code.key");
        let made = CodeKey::open(Some(&path)).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let read = CodeKey::open(Some(&path)).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((made.0 == read.0, made.0 == [0; KEY_BYTES]), (true, false));

        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let Err(error) = CodeKey::open(Some(&path)) else { panic!("it was taken") };
        assert!(error.to_string().contains("code.key") && error.to_string().contains("owner alone"), "{error}");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, b"short").unwrap();
        assert!(CodeKey::open(Some(&path)).is_err());
    }
}
