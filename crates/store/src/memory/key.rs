//! Keys, by id.

use std::collections::BTreeMap;

use async_trait::async_trait;
use sublet_model::{Error, KeyId, Timestamp};

use super::{MemoryStore, State};
use crate::key::{FormerSecret, KeyRecord, KeyScope, KeyUse, Keys, NewKey, makes_room, may_go, may_rotate};

#[derive(Default)]
pub(super) struct Rows {
    pub(super) rows: BTreeMap<KeyId, KeyRecord>,
}

impl Rows {
    fn of(&self, scope: KeyScope) -> Vec<KeyRecord> {
        self.rows.values().filter(|key| key.scope == scope).cloned().collect()
    }

    fn by_hash(&self, hash: &[u8; 32]) -> Option<&KeyRecord> {
        let leads = |key: &&KeyRecord| key.hash == *hash || key.former.is_some_and(|former| former.hash == *hash);
        self.rows.values().find(leads)
    }

    fn check_free(&self, hash: &[u8; 32]) -> Result<(), Error> {
        if self.by_hash(hash).is_some() { Err(Error::conflict("there is a key of that hash")) } else { Ok(()) }
    }

    fn get(&self, id: KeyId) -> Result<&KeyRecord, Error> {
        self.rows.get(&id).ok_or_else(|| Error::not_found(format!("key {id}")))
    }
}

impl State {
    fn put_key(&mut self, new: NewKey, now: Timestamp) -> Result<KeyRecord, Error> {
        if let KeyScope::Tenant(tenant) = new.scope {
            self.registry.check_tenant(tenant)?;
        }
        self.keys.check_free(&new.hash)?;
        if let Some(expired) = makes_room(&self.keys.of(new.scope), now)? {
            self.keys.rows.remove(&expired);
        }
        let id = KeyId::from_raw(self.mint.next(now));
        let NewKey { scope, role, label, hash, expires, rate, made_by } = new;
        let (former, last_use) = (None, None);
        let record = KeyRecord { id, scope, role, label, hash, former, expires, rate, made_by, last_use, created: now };
        self.keys.rows.insert(id, record.clone());
        Ok(record)
    }

    fn rotate_key(&mut self, id: KeyId, hash: [u8; 32], until: Timestamp, now: Timestamp) -> Result<KeyRecord, Error> {
        let known = self.keys.get(id)?;
        may_rotate(known, now)?;
        self.keys.check_free(&hash)?;
        let former = Some(FormerSecret { hash: known.hash, until });
        let record = KeyRecord { hash, former, ..known.clone() };
        self.keys.rows.insert(id, record.clone());
        Ok(record)
    }
}

#[async_trait]
impl Keys for MemoryStore {
    async fn put_key(&self, key: NewKey, now: Timestamp) -> Result<KeyRecord, Error> {
        self.register(|state| state.put_key(key, now)).await
    }

    async fn keys(&self, scope: Option<KeyScope>) -> Result<Vec<KeyRecord>, Error> {
        let fits = |key: &&KeyRecord| scope.is_none_or(|scope| key.scope == scope);
        Ok(self.read(|state| state.keys.rows.values().filter(fits).cloned().collect()))
    }

    async fn key(&self, id: KeyId) -> Result<Option<KeyRecord>, Error> {
        Ok(self.read(|state| state.keys.rows.get(&id).cloned()))
    }

    async fn key_by_hash(&self, hash: &[u8; 32]) -> Result<Option<KeyRecord>, Error> {
        Ok(self.read(|state| state.keys.by_hash(hash).cloned()))
    }

    async fn rotate_key(
        &self,
        id: KeyId,
        hash: [u8; 32],
        former_until: Timestamp,
        now: Timestamp,
    ) -> Result<KeyRecord, Error> {
        self.register(|state| state.rotate_key(id, hash, former_until, now)).await
    }

    async fn delete_key(&self, id: KeyId, now: Timestamp) -> Result<KeyRecord, Error> {
        self.register(|state| {
            let gone = state.keys.get(id)?.clone();
            may_go(&gone, &state.keys.of(KeyScope::Operator), now)?;
            state.keys.rows.remove(&id);
            Ok(gone)
        })
        .await
    }

    async fn note_key_uses(&self, uses: Vec<(KeyId, KeyUse)>) -> Result<(), Error> {
        self.write(super::Verb::Audit, |state| {
            for (id, latest) in uses {
                if let Some(key) = state.keys.rows.get_mut(&id)
                    && key.last_use.is_none_or(|known| known.at <= latest.at)
                {
                    key.last_use = Some(latest);
                }
            }
            Ok(())
        })
        .await
    }
}
