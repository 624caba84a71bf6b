//! Keys by the hash of their secret, so that authenticating a request costs no read.

use std::sync::Arc;

use sublet_model::{Error, KeyId, Timestamp};
use sublet_store::{KeyRecord, NewKey};

use super::Directory;
use crate::chance::locked;

impl Directory {
    pub async fn key(&self, hash: &[u8; 32]) -> Result<Option<Arc<KeyRecord>>, Error> {
        if let Some(known) = locked(&self.held).keys.get(hash) {
            return Ok(known.clone());
        }
        let find = async { Ok(self.store.key_by_hash(hash).await?.map(Arc::new)) };
        self.read(find, |held, found: &Option<Arc<KeyRecord>>| held.keys.insert(*hash, found.clone(), 1)).await
    }

    /// `None`: not in the cache. `Some(None)`: known not to be there.
    pub fn key_if_held(&self, hash: &[u8; 32]) -> Option<Option<Arc<KeyRecord>>> {
        locked(&self.held).keys.get(hash).cloned()
    }

    pub async fn put_key(&self, key: NewKey) -> Result<KeyRecord, Error> {
        let now = self.clock.now();
        self.write(self.store.put_key(key, now), |directory, record| {
            locked(&directory.held).keys.remove(&record.hash);
        })
        .await
    }

    /// Contract: once it returns, the new secret lets in, the one before it until `former_until`, and none else.
    pub async fn rotate_key(&self, id: KeyId, hash: [u8; 32], former_until: Timestamp) -> Result<KeyRecord, Error> {
        // The secret before the former one leaves too, and only the store knew it: all are looked up anew.
        self.write(self.store.rotate_key(id, hash, former_until, self.clock.now()), |directory, _| {
            locked(&directory.held).keys.clear();
        })
        .await
    }

    /// Contract: once it returns, no request gets in by that key.
    pub async fn delete_key(&self, id: KeyId) -> Result<KeyRecord, Error> {
        self.write(self.store.delete_key(id, self.clock.now()), |directory, record| {
            let mut held = locked(&directory.held);
            held.keys.remove(&record.hash);
            if let Some(former) = record.former {
                held.keys.remove(&former.hash);
            }
        })
        .await
    }
}
