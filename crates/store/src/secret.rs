//! Secrets as they are kept: sealed, by name, of a tenant or of one function of it.
//!
//! The store never sees a value: whoever seals and opens stands above it. What it must know is which master key a row
//! is sealed with, so that an old key can be told from one that is still needed.

use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use sublet_model::{Error, FunctionId, HostPattern, Name, TenantId, Timestamp, limit};

use crate::page::{Listing, Page};

/// Names a master key without telling it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SealKeyId(pub [u8; 8]);

impl fmt::Display for SealKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Where a secret is kept; a function's hides its tenant's of the same name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretPlace {
    pub tenant: TenantId,
    /// `None`: all of the tenant's functions may use it.
    pub function: Option<FunctionId>,
    pub name: Name,
}

/// A cursor's text: three parts, the ids as numbers.
impl fmt::Display for SecretPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.tenant.raw(), self.function.map_or(0, FunctionId::raw), self.name)
    }
}

impl FromStr for SecretPlace {
    type Err = Error;

    fn from_str(text: &str) -> Result<SecretPlace, Error> {
        let unfit = || Error::invalid("cursor", "is not a cursor of this listing");
        let mut parts = text.split(' ');
        let (Some(tenant), Some(function), Some(name), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(unfit());
        };
        let raw = |part: &str| part.parse::<i64>().map_err(|_| unfit());
        Ok(SecretPlace {
            tenant: TenantId::from_raw(raw(tenant)?),
            function: Some(raw(function)?).filter(|raw| *raw != 0).map(FunctionId::from_raw),
            name: name.parse().map_err(|_| unfit())?,
        })
    }
}

/// A value that only its master key opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    pub key: SealKeyId,
    pub bytes: Vec<u8>,
    /// Tells two values apart, and nothing of either to who has no key.
    pub fingerprint: [u8; 4],
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretRecord {
    pub place: SecretPlace,
    pub sealed: Sealed,
    /// Where its owner lets it be sent; empty: wherever a function that uses it may.
    pub hosts: Vec<HostPattern>,
    pub created: Timestamp,
    /// When its value was last put.
    pub changed: Timestamp,
}

/// The store's part for secrets. Deleting what is not there is `NotFound`. They go with their function and with their
/// tenant, in the same commit.
#[async_trait]
pub trait Secrets {
    /// Makes or replaces; `created` of one that exists stays. Contract: `NotFound` without the tenant, or without the
    /// function among the tenant's; `Conflict` when the tenant has `SECRETS_PER_TENANT_MAX` others. Strict under
    /// concurrency. Returns whether it was made.
    async fn put_secret(
        &self,
        place: SecretPlace,
        sealed: Sealed,
        hosts: Vec<HostPattern>,
        now: Timestamp,
    ) -> Result<(SecretRecord, bool), Error>;
    async fn secret(&self, place: &SecretPlace) -> Result<Option<SecretRecord>, Error>;
    /// All of a tenant's and of its functions', by place.
    async fn secrets(&self, tenant: TenantId) -> Result<Vec<SecretRecord>, Error>;
    async fn delete_secret(&self, place: &SecretPlace) -> Result<(), Error>;
    /// Everybody's, by place, to be sealed anew.
    async fn all_secrets(&self, page: Page) -> Result<Listing<SecretRecord>, Error>;
    /// Puts `fresh` in the place of `former`, and changes nothing else. Contract: compare and set: `false` and no change
    /// when the secret is gone or its sealed bytes are others by now.
    async fn reseal_secret(&self, place: &SecretPlace, former: &Sealed, fresh: Sealed) -> Result<bool, Error>;
    /// How many secrets each master key seals, by key; those that seal none are not named.
    async fn seal_keys(&self) -> Result<Vec<(SealKeyId, u64)>, Error>;
}

/// For backends: whether a tenant with `count` secrets may have another.
pub fn may_add_secret(count: usize) -> Result<(), Error> {
    let most = limit::SECRETS_PER_TENANT_MAX;
    if count < most {
        return Ok(());
    }
    Err(Error::conflict(format!("the tenant has {most} secrets, the most there may be")))
}

/// For backends.
pub fn no_secret(place: &SecretPlace) -> Error {
    Error::not_found(format!("secret {}", place.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_comes_back_from_its_cursor() {
        for function in [None, Some(FunctionId::from_raw(9))] {
            let place = SecretPlace { tenant: TenantId::from_raw(1 << 40), function, name: "a-b.c".parse().unwrap() };
            assert_eq!(place.to_string().parse::<SecretPlace>().unwrap(), place);
        }
        for bad in ["", "1 2", "1 2 a b", "x 2 a", "1 2 -"] {
            assert_eq!(bad.parse::<SecretPlace>().unwrap_err().field.as_deref(), Some("cursor"), "{bad}");
        }
    }
}
