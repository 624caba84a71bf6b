//! Functions' images as sealed memory files, kept for those that run most recently. A worker maps such a file, so that
//! all of them share its pages.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sublet_model::TenantId;

use super::code_key::CodeKey;
use super::memory_file;
use crate::{Code, Cordon, ImageKind};

/// Images kept at once, and their bytes.
const IMAGES_MAX: usize = 512;
const IMAGES_BYTES_MAX: usize = 256 << 20;

/// One image; its number is what workers know it by, and never used for another.
#[derive(Debug)]
pub(super) struct SealedImage {
    pub(super) number: u64,
    pub(super) kind: ImageKind,
    /// Whose workers alone may have it.
    owner: Option<TenantId>,
    pub(super) file: Arc<OwnedFd>,
}

impl SealedImage {
    /// For tests that send it nowhere.
    #[cfg(test)]
    pub(super) fn of_nothing() -> Arc<SealedImage> {
        let file = std::fs::File::open("/dev/null").unwrap_or_else(|error| panic!("{error}"));
        Arc::new(SealedImage { number: 1, kind: ImageKind::Snapshot, owner: None, file: Arc::new(file.into()) })
    }

    fn for_owner(self: Arc<SealedImage>, owner: Option<TenantId>) -> Result<Arc<SealedImage>, ImageError> {
        if self.owner == owner { Ok(self) } else { Err(ImageError::Seal) }
    }
}

/// Why an image is not handed to a worker.
#[derive(Debug, thiserror::Error)]
pub(super) enum ImageError {
    #[error("machine code of a tenant's module must run in its own processes")]
    Shared,
    #[error("machine code that this server did not seal for this tenant")]
    Seal,
    #[error("an image that this server did not seal")]
    Unsealed,
    #[error("{0}")]
    Io(#[from] io::Error),
}

fn owner(kind: ImageKind, cordon: Cordon) -> Result<Option<TenantId>, ImageError> {
    match (kind, cordon) {
        (ImageKind::Snapshot, _) => Ok(None),
        (ImageKind::Machine, Cordon::Tenant(tenant)) => Ok(Some(tenant)),
        (ImageKind::Machine, Cordon::Shared) => Err(ImageError::Shared),
    }
}

#[derive(Default)]
pub(super) struct Images {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    by_key: HashMap<Arc<str>, Entry>,
    bytes: usize,
    clock: u64,
    last_number: u64,
}

struct Entry {
    image: Arc<SealedImage>,
    bytes: usize,
    last_used: u64,
}

impl Images {
    /// One that is kept.
    pub(super) fn find(&self, code: &Code, cordon: Cordon) -> Result<Option<Arc<SealedImage>>, ImageError> {
        let owner = owner(code.image.kind, cordon)?;
        self.lock().find(&code.key).map(|image| image.for_owner(owner)).transpose()
    }

    /// Makes the file on first use: some 0.1 ms for a usual image, and 3 ms for a megabyte. Its seal is broken here: a file that
    /// cannot change any more needs no second look. Machine code is for one tenant's cordon.
    pub(super) fn get(
        &self,
        code: &Code,
        cordon: Cordon,
        key: &CodeKey,
        engine_hash: &str,
    ) -> Result<Arc<SealedImage>, ImageError> {
        if let Some(image) = self.find(code, cordon)? {
            return Ok(image);
        }
        let owner = owner(code.image.kind, cordon)?;
        let content = match owner {
            None => key.open_snapshot(engine_hash, &code.image.bytes).ok_or(ImageError::Unsealed)?,
            Some(tenant) => key.open_machine(tenant, &code.image.bytes).ok_or(ImageError::Seal)?,
        };
        // Outside the lock. Of two that make the same one, the second is dropped.
        let file = Arc::new(memory_file::sealed("sublet-image", &content)?);
        let mut kept = self.lock();
        if let Some(image) = kept.find(&code.key) {
            return image.for_owner(owner);
        }
        Ok(kept.insert(Arc::clone(&code.key), code.image.kind, owner, file, content.len()))
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn find(&mut self, key: &str) -> Option<Arc<SealedImage>> {
        self.clock += 1;
        let entry = self.by_key.get_mut(key)?;
        entry.last_used = self.clock;
        Some(Arc::clone(&entry.image))
    }

    fn insert(
        &mut self,
        key: Arc<str>,
        kind: ImageKind,
        owner: Option<TenantId>,
        file: Arc<OwnedFd>,
        bytes: usize,
    ) -> Arc<SealedImage> {
        while self.by_key.len() >= IMAGES_MAX || (self.bytes + bytes > IMAGES_BYTES_MAX && !self.by_key.is_empty()) {
            // A look at 512 entries, once per image that is not there yet.
            let oldest = self.by_key.iter().min_by_key(|(_, entry)| entry.last_used).map(|(key, _)| Arc::clone(key));
            let Some(entry) = oldest.and_then(|key| self.by_key.remove(&key)) else { break };
            self.bytes -= entry.bytes;
        }
        self.clock += 1;
        self.last_number += 1;
        let image = Arc::new(SealedImage { number: self.last_number, kind, owner, file });
        let entry = Entry { image: Arc::clone(&image), bytes, last_used: self.clock };
        self.bytes += bytes;
        self.by_key.insert(key, entry);
        image
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Image;

    fn code(name: usize, key: &CodeKey) -> Code {
        let image = Image { kind: ImageKind::Snapshot, bytes: key.seal_snapshot(ENGINE, b"image") };
        Code { key: name.to_string().into(), image }
    }

    const ENGINE: &str = "engine-1";

    fn any_key() -> CodeKey {
        CodeKey::open(None).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn machine_code_is_for_the_cordon_of_the_tenant_it_was_sealed_for() {
        let (images, key) = (Images::default(), any_key());
        let (own, other) = (TenantId::from_raw(1), TenantId::from_raw(2));
        let sealed = key.seal_machine(own, b"module", b"code");
        let code = Code { key: "a".into(), image: Image { kind: ImageKind::Machine, bytes: sealed.clone() } };
        // Before it is kept and after, and whatever it is called.
        for _ in 0..2 {
            assert!(matches!(images.get(&code, Cordon::Tenant(other), &key, ENGINE), Err(ImageError::Seal)));
            assert!(matches!(images.get(&code, Cordon::Shared, &key, ENGINE), Err(ImageError::Shared)));
            assert!(images.get(&code, Cordon::Tenant(own), &key, ENGINE).is_ok());
        }
        let renamed = Code { key: "b".into(), ..code };
        assert!(matches!(images.get(&renamed, Cordon::Tenant(other), &key, ENGINE), Err(ImageError::Seal)));
        let disguised = Image { kind: ImageKind::Snapshot, bytes: sealed };
        let disguised = Code { key: "c".into(), image: disguised };
        assert!(matches!(images.get(&disguised, Cordon::Shared, &key, ENGINE), Err(ImageError::Unsealed)));
    }

    #[test]
    fn an_image_keeps_its_number_while_it_is_kept_and_the_least_used_leaves_first() {
        let (images, key) = (Images::default(), any_key());
        let number = |name: usize| images.get(&code(name, &key), Cordon::Shared, &key, ENGINE).unwrap().number;
        let (first, second) = (number(0), number(1));
        for name in 2..=IMAGES_MAX {
            assert_eq!(number(0), first);
            number(name);
        }
        assert_eq!(images.lock().by_key.len(), IMAGES_MAX);
        assert_eq!(number(0), first);
        assert_ne!(number(1), second, "it was the least used");
    }
}
