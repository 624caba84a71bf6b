//! Code objects by content hash, in any object store: a local folder by default. Immutable: an object is written once
//! and never changed, so a hash names the same bytes for ever.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use sublet_model::Error;

/// Where code objects are, below the data folder, when they are files.
pub const FOLDER: &str = "code";

/// Content from this length on is hashed beside the runtime's threads, which others need meanwhile.
const BESIDE_BYTES_MIN: usize = 256 * 1024;

/// SHA-256 of the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectHash(pub [u8; 32]);

impl ObjectHash {
    pub fn of(content: &[u8]) -> ObjectHash {
        ObjectHash(Sha256::digest(content).into())
    }

    /// Where the object is below its folder. Two levels keep a folder's listing short.
    pub fn path(&self) -> String {
        let text = self.to_string();
        format!("{}/{}", &text[..2], &text[2..])
    }
}

/// The hash of content that comes in pieces.
#[derive(Default)]
pub struct Hasher(Sha256);

impl Hasher {
    pub fn add(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    pub fn finish(self) -> ObjectHash {
        ObjectHash(self.0.finalize().into())
    }
}

impl fmt::Display for ObjectHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for ObjectHash {
    type Err = Error;

    fn from_str(text: &str) -> Result<ObjectHash, Error> {
        let wrong = || Error::invalid("hash", "must be 64 hexadecimal digits");
        if text.len() != 64 || !text.is_ascii() {
            return Err(wrong());
        }
        let mut hash = [0u8; 32];
        for (index, slot) in hash.iter_mut().enumerate() {
            *slot = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).map_err(|_| wrong())?;
        }
        Ok(ObjectHash(hash))
    }
}

impl Serialize for ObjectHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ObjectHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ObjectHash, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

async fn hash_of(content: &Bytes) -> Result<ObjectHash, Error> {
    if content.len() < BESIDE_BYTES_MIN {
        return Ok(ObjectHash::of(content));
    }
    let content = content.clone();
    tokio::task::spawn_blocking(move || ObjectHash::of(&content)).await.map_err(Error::internal)
}

/// Cheap to clone. Its calls belong within a tokio runtime.
#[derive(Debug, Clone)]
pub struct CodeStore {
    objects: Arc<dyn ObjectStore>,
}

impl CodeStore {
    /// Objects as files below `folder`, which is made if it is not there.
    pub fn in_folder(folder: &Path) -> Result<CodeStore, Error> {
        std::fs::create_dir_all(folder).map_err(Error::internal)?;
        let objects = LocalFileSystem::new_with_prefix(folder).map_err(Error::internal)?;
        Ok(CodeStore { objects: Arc::new(objects) })
    }

    /// Forgets everything when dropped: for tests and simulations.
    pub fn in_memory() -> CodeStore {
        CodeStore { objects: Arc::new(InMemory::new()) }
    }

    fn path(hash: &ObjectHash) -> ObjectPath {
        ObjectPath::from(hash.path())
    }

    /// Contract: durable when it returns; putting the same content again changes nothing.
    pub async fn put(&self, content: Bytes) -> Result<ObjectHash, Error> {
        let hash = hash_of(&content).await?;
        let path = CodeStore::path(&hash);
        if self.objects.head(&path).await.is_ok() {
            return Ok(hash);
        }
        self.objects.put(&path, content.into()).await.map_err(Error::internal)?;
        Ok(hash)
    }

    /// `NotFound` when there is none; `Internal` when what is there is not what was put.
    pub async fn get(&self, hash: &ObjectHash) -> Result<Bytes, Error> {
        let found = self.objects.get(&CodeStore::path(hash)).await;
        let object = match found {
            Ok(object) => object,
            Err(object_store::Error::NotFound { .. }) => return Err(Error::not_found(format!("code object {hash}"))),
            Err(error) => return Err(Error::internal(error)),
        };
        let content = object.bytes().await.map_err(Error::internal)?;
        if hash_of(&content).await? != *hash {
            return Err(Error::internal(format!("code object {hash} does not have the content of its name")));
        }
        Ok(content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_object_that_was_changed_on_disk_is_not_handed_out() {
        let folder = tempfile::tempdir().unwrap();
        let store = CodeStore::in_folder(folder.path()).unwrap();
        let hash = store.put(Bytes::from_static(b"export const handler = 1")).await.unwrap();
        assert_eq!(store.get(&hash).await.unwrap(), Bytes::from_static(b"export const handler = 1"));

        let large = store.put(Bytes::from(vec![7; 4 * BESIDE_BYTES_MIN])).await.unwrap();
        assert_eq!(store.get(&large).await.unwrap().len(), 4 * BESIDE_BYTES_MIN);
        for hash in [hash, large] {
            std::fs::write(folder.path().join(hash.path()), b"something else").unwrap();
            assert_eq!(store.get(&hash).await.unwrap_err().kind, sublet_model::ErrorKind::Internal);
            std::fs::write(folder.path().join(hash.path()), vec![8; 4 * BESIDE_BYTES_MIN]).unwrap();
            assert_eq!(store.get(&hash).await.unwrap_err().kind, sublet_model::ErrorKind::Internal);
        }
    }
}
