//! Keys: who may call, and as what. Only the SHA-256 of a key's secret is kept.
//!
//! What a role opens is the server's table; here it is a word that comes back as it was written. What must hold
//! whoever asks at the same time (how many keys there may be, that an operator is left) is decided inside the verbs, by
//! the pure functions of this file, so that every backend decides alike.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sublet_model::{Error, KeyId, TenantId, Timestamp, limit};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyScope {
    Operator,
    Tenant(TenantId),
}

/// What a key may do within its scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyRole {
    /// Everything its scope may.
    Admin,
    /// For the product: publish, and take what comes back. Of an operator's key only.
    Publish,
    /// For a tenant's CI: new versions, aliases, trying them. Of a tenant's key only.
    Deploy,
    /// Look, and change nothing.
    Read,
}

impl KeyRole {
    pub const ALL: [KeyRole; 4] = [KeyRole::Admin, KeyRole::Publish, KeyRole::Deploy, KeyRole::Read];

    pub fn as_str(self) -> &'static str {
        match self {
            KeyRole::Admin => "admin",
            KeyRole::Publish => "publish",
            KeyRole::Deploy => "deploy",
            KeyRole::Read => "read",
        }
    }

    /// Whether keys of that scope have this role.
    pub fn fits(self, scope: KeyScope) -> bool {
        match self {
            KeyRole::Admin | KeyRole::Read => true,
            KeyRole::Publish => scope == KeyScope::Operator,
            KeyRole::Deploy => scope != KeyScope::Operator,
        }
    }
}

impl fmt::Display for KeyRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for KeyRole {
    type Err = Error;

    fn from_str(text: &str) -> Result<KeyRole, Error> {
        let found = KeyRole::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| Error::invalid("role", "must be admin, publish, deploy or read"))
    }
}

/// Requests that a key may make: `burst` at once, and `per_second` in the long run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRate {
    pub per_second: u32,
    pub burst: u32,
}

/// The secret before the last rotation, which lets in until then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FormerSecret {
    pub hash: [u8; 32],
    pub until: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyUse {
    pub at: Timestamp,
    pub from: IpAddr,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    pub id: KeyId,
    pub scope: KeyScope,
    pub role: KeyRole,
    pub label: String,
    pub hash: [u8; 32],
    pub former: Option<FormerSecret>,
    /// Lets nobody in from then on.
    pub expires: Option<Timestamp>,
    pub rate: Option<KeyRate>,
    /// The key it was made with; `None`: the server made it at its start.
    pub made_by: Option<KeyId>,
    /// Coarse: written now and then, not with every request.
    pub last_use: Option<KeyUse>,
    pub created: Timestamp,
}

/// Whether a secret that leads to a key lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Valid,
    Expired(Timestamp),
    /// The secret was replaced, and its overlap is over.
    Replaced(Timestamp),
}

impl KeyRecord {
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }

    /// `hash`: of the secret that led here.
    pub fn standing(&self, hash: &[u8; 32], now: Timestamp) -> Standing {
        if let Some(former) = self.former.filter(|former| former.hash == *hash)
            && former.until <= now
        {
            return Standing::Replaced(former.until);
        }
        match self.expires {
            Some(at) if at <= now => Standing::Expired(at),
            _ => Standing::Valid,
        }
    }

    /// Whether someone can still administer the installation with it.
    pub fn is_operating(&self, now: Timestamp) -> bool {
        self.scope == KeyScope::Operator && self.role == KeyRole::Admin && !self.is_expired(now)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    pub scope: KeyScope,
    pub role: KeyRole,
    pub label: String,
    pub hash: [u8; 32],
    pub expires: Option<Timestamp>,
    pub rate: Option<KeyRate>,
    pub made_by: Option<KeyId>,
}

impl NewKey {
    /// One that may all its scope may, for ever.
    pub fn new(scope: KeyScope, label: impl Into<String>, hash: [u8; 32]) -> NewKey {
        NewKey { scope, role: KeyRole::Admin, label: label.into(), hash, expires: None, rate: None, made_by: None }
    }
}

/// The store's part for keys. Deleting or rotating what is not there is `NotFound`.
#[async_trait]
pub trait Keys {
    /// Contract: `Conflict` when there is a key of that hash, and when its scope has `KEYS_PER_SCOPE_MAX` keys, none of
    /// them expired; of expired ones, the one that expired first leaves in the same commit. Strict under concurrency.
    async fn put_key(&self, key: NewKey, now: Timestamp) -> Result<KeyRecord, Error>;
    /// Oldest first. `None`: all.
    async fn keys(&self, scope: Option<KeyScope>) -> Result<Vec<KeyRecord>, Error>;
    async fn key(&self, id: KeyId) -> Result<Option<KeyRecord>, Error>;
    /// By its secret or by its former one, expired or not: [`KeyRecord::standing`] says whether it lets in.
    async fn key_by_hash(&self, hash: &[u8; 32]) -> Result<Option<KeyRecord>, Error>;
    /// Contract: `hash` takes the place of the secret, which becomes the former one until `former_until`; a former one
    /// that there was is forgotten. `Conflict` for an expired key, and when there is a key of that hash.
    async fn rotate_key(
        &self,
        id: KeyId,
        hash: [u8; 32],
        former_until: Timestamp,
        now: Timestamp,
    ) -> Result<KeyRecord, Error>;
    /// Contract: `Conflict` when no other key that is not expired could administer the installation. Strict under
    /// concurrency.
    async fn delete_key(&self, id: KeyId, now: Timestamp) -> Result<KeyRecord, Error>;
    /// Contract: a later use replaces an earlier one; keys that are gone are passed over; no change of the registry.
    async fn note_key_uses(&self, uses: Vec<(KeyId, KeyUse)>) -> Result<(), Error>;
}

/// For backends: which key of the scope makes room for another, if one must.
pub fn makes_room(of_scope: &[KeyRecord], now: Timestamp) -> Result<Option<KeyId>, Error> {
    if of_scope.len() < limit::KEYS_PER_SCOPE_MAX {
        return Ok(None);
    }
    let expired = of_scope.iter().filter(|key| key.is_expired(now));
    let first = expired.min_by_key(|key| (key.expires, key.id)).map(|key| key.id);
    let full = || Error::conflict(format!("there are {} keys, the most there may be", limit::KEYS_PER_SCOPE_MAX));
    first.map(Some).ok_or_else(full)
}

/// For backends: whether the key may go. `operators`: all keys of that scope.
pub fn may_go(gone: &KeyRecord, operators: &[KeyRecord], now: Timestamp) -> Result<(), Error> {
    let is_last = gone.is_operating(now) && !operators.iter().any(|key| key.id != gone.id && key.is_operating(now));
    if is_last {
        return Err(Error::conflict("this is the last operator's key that administers; make another one first"));
    }
    Ok(())
}

/// For backends: whether the key may get another secret.
pub fn may_rotate(key: &KeyRecord, now: Timestamp) -> Result<(), Error> {
    if key.is_expired(now) { Err(Error::conflict("this key is expired; make another one")) } else { Ok(()) }
}
