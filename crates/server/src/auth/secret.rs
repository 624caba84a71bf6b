//! Keys as secrets: 256 random bits in text, of which only the SHA-256 is kept.
//!
//! A fast hash is right here, where it would be wrong for passwords: nobody can guess 256 random bits.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use sublet_model::{Error, Timestamp};
use sublet_store::{KeyScope, NewKey, Store};

const OPERATOR_PREFIX: &str = "slo_";
const TENANT_PREFIX: &str = "slt_";
const SECRET_BYTES: usize = 32;
/// Of a key that an operator brings along, least and most.
pub(super) const KEY_CHARS_MIN: usize = 20;
pub(super) const KEY_CHARS_MAX: usize = 256;

/// A key's text. Shown once, to whoever made it; its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

pub(crate) fn mint(scope: KeyScope) -> Result<Secret, Error> {
    let mut bytes = [0u8; SECRET_BYTES];
    getrandom::fill(&mut bytes).map_err(Error::internal)?;
    let prefix = match scope {
        KeyScope::Operator => OPERATOR_PREFIX,
        KeyScope::Tenant(_) => TENANT_PREFIX,
    };
    Ok(Secret(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes))))
}

pub(crate) fn hash_of(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// Sees to it that there is an operator key: the one that is `given` (from the environment), or one that is made when
/// there is none that can administer (none yet, or all expired) and handed back to be shown once.
///
/// Errors: `Invalid` when the given key is too short or has characters that a header cannot carry.
pub async fn ensure_operator_key(
    store: &dyn Store,
    given: Option<&str>,
    now: Timestamp,
) -> Result<Option<Secret>, Error> {
    if let Some(given) = given {
        let fits =
            (KEY_CHARS_MIN..=KEY_CHARS_MAX).contains(&given.len()) && given.bytes().all(|b| b.is_ascii_graphic());
        if !fits {
            let range = format!("{KEY_CHARS_MIN} to {KEY_CHARS_MAX}");
            return Err(Error::invalid("SUBLET_OPERATOR_KEY", format!("must be {range} visible ASCII characters")));
        }
        let hash = hash_of(given);
        match store.key_by_hash(&hash).await? {
            Some(key) if key.is_operating(now) => {
                // No reason not to start: whoever rotated it holds the new one.
                if key.hash != hash {
                    tracing::warn!("SUBLET_OPERATOR_KEY was replaced by a rotation: give the new one, or none");
                }
            }
            Some(_) => {
                let why = "is a key that may not administer: a tenant's, an expired one, or one of another role";
                return Err(Error::invalid("SUBLET_OPERATOR_KEY", why));
            }
            None => {
                let key = NewKey::new(KeyScope::Operator, "SUBLET_OPERATOR_KEY", hash);
                store.put_key(key, now).await?;
            }
        }
        return Ok(None);
    }
    if store.keys(Some(KeyScope::Operator)).await?.iter().any(|key| key.is_operating(now)) {
        return Ok(None);
    }
    let secret = mint(KeyScope::Operator)?;
    let key = NewKey::new(KeyScope::Operator, "first", hash_of(secret.reveal()));
    store.put_key(key, now).await?;
    Ok(Some(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_tells_its_scope_and_hides_in_debug_output() {
        let secret = mint(KeyScope::Operator).unwrap();
        assert!(secret.reveal().starts_with("slo_"));
        assert_eq!(secret.reveal().len(), 4 + 43);
        assert!(!format!("{secret:?}").contains(secret.reveal()));
        assert_ne!(secret, mint(KeyScope::Operator).unwrap());
    }
}
