//! Sealing: ChaCha20-Poly1305 under a random nonce, with everything that says whose the value is as associated data.
//!
//! A sealed value is `1`, the key's name (8 bytes), the nonce (12), the cipher's text and its tag. Moved to another
//! tenant's, function's or secret's row, or with its hosts changed beside it, it does not open.

use ring::aead::{Aad, NONCE_LEN, Nonce};
use sublet_model::{Error, FunctionId, HostPattern};
use sublet_store::{SealKeyId, Sealed, SecretPlace, SecretRecord};
use zeroize::Zeroizing;

use super::key::{Keyring, MasterKey, mac};
use super::value::SecretValue;

const FORMAT: u8 = 1;
const HEAD_BYTES: usize = 1 + 8 + NONCE_LEN;

/// Why a sealed value stays closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotOpened {
    #[error("the master key {0} is not among the configured ones")]
    KeyMissing(SealKeyId),
    /// Changed or moved in the store.
    #[error("the sealed value was changed or moved")]
    Broken,
}

/// Each part with its length, so that no two owners read the same.
fn associated(place: &SecretPlace, hosts: &[HostPattern]) -> Vec<u8> {
    let mut data = b"sublet secret 1".to_vec();
    data.extend_from_slice(&place.tenant.raw().to_be_bytes());
    data.extend_from_slice(&place.function.map_or(0, FunctionId::raw).to_be_bytes());
    let hosts: Vec<String> = hosts.iter().map(HostPattern::to_string).collect();
    for part in std::iter::once(place.name.as_str()).chain(hosts.iter().map(String::as_str)) {
        data.extend_from_slice(&(part.len() as u64).to_be_bytes());
        data.extend_from_slice(part.as_bytes());
    }
    data
}

pub(super) fn seal(
    key: &MasterKey,
    place: &SecretPlace,
    hosts: &[HostPattern],
    value: &SecretValue,
) -> Result<Sealed, Error> {
    let mut nonce = [0; NONCE_LEN];
    getrandom::fill(&mut nonce).map_err(Error::internal)?;
    let mut text = Zeroizing::new(value.reveal().as_bytes().to_vec());
    let aad = Aad::from(associated(place, hosts));
    let nonce_used = Nonce::assume_unique_for_key(nonce);
    let tag = key.cipher.seal_in_place_separate_tag(nonce_used, aad, &mut text).map_err(Error::internal)?;
    let mut bytes = Vec::with_capacity(HEAD_BYTES + text.len() + tag.as_ref().len());
    bytes.push(FORMAT);
    bytes.extend_from_slice(&key.id.0);
    bytes.extend_from_slice(&nonce);
    bytes.extend_from_slice(&text);
    bytes.extend_from_slice(tag.as_ref());
    // With the tenant, so that two tenants with the same value do not show it.
    let marked = mac(&key.mark, &[&place.tenant.raw().to_be_bytes(), value.reveal().as_bytes()]);
    let mut fingerprint = [0; 4];
    fingerprint.copy_from_slice(&marked[..4]);
    Ok(Sealed { key: key.id, bytes, fingerprint })
}

pub(super) fn open(keys: &Keyring, record: &SecretRecord) -> Result<SecretValue, NotOpened> {
    let key = keys.opening(record.sealed.key).ok_or(NotOpened::KeyMissing(record.sealed.key))?;
    let (head, text) = record.sealed.bytes.split_at_checked(HEAD_BYTES).ok_or(NotOpened::Broken)?;
    let is_ours = head[0] == FORMAT && head[1..9] == key.id.0;
    let nonce = Nonce::try_assume_unique_for_key(&head[9..]).map_err(|_| NotOpened::Broken)?;
    if !is_ours {
        return Err(NotOpened::Broken);
    }
    let mut text = Zeroizing::new(text.to_vec());
    let aad = Aad::from(associated(&record.place, &record.hosts));
    let opened = key.cipher.open_in_place(nonce, aad, &mut text).map_err(|_| NotOpened::Broken)?;
    let value = std::str::from_utf8(opened).map_err(|_| NotOpened::Broken)?;
    Ok(SecretValue::new(value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sublet_model::{TenantId, Timestamp};

    fn place() -> SecretPlace {
        SecretPlace { tenant: TenantId::from_raw(1), function: None, name: "stripe".parse().unwrap() }
    }

    fn record(key: &MasterKey, value: &str) -> SecretRecord {
        let hosts = vec!["api.example.com".parse().unwrap()];
        let sealed = seal(key, &place(), &hosts, &SecretValue::new(value.to_owned())).unwrap();
        SecretRecord { place: place(), sealed, hosts, created: Timestamp::ZERO, changed: Timestamp::ZERO }
    }

    fn key(byte: u8) -> MasterKey {
        MasterKey::new(&[byte; 32]).unwrap()
    }

    #[test]
    fn a_sealed_value_opens_with_its_key_alone_and_shows_nothing() {
        for value in ["sk_live_0123456789", "ümlaut ✓ and\nlines", &"x".repeat(4096)] {
            let sealed = record(&key(1), value);
            let bytes = &sealed.sealed.bytes;
            assert!(!bytes.windows(6).any(|window| window == &value.as_bytes()[..6]));
            let ring = Keyring::of(vec![key(2), key(1)]);
            assert_eq!(open(&ring, &sealed).unwrap().reveal(), value);
            let missing = open(&Keyring::of(vec![key(2)]), &sealed).unwrap_err();
            assert_eq!(missing, NotOpened::KeyMissing(key(1).id()));
            assert!(missing.to_string().contains(&key(1).id().to_string()));
        }
        let (one, two) = (record(&key(1), "the same value"), record(&key(1), "the same value"));
        assert_ne!(one.sealed.bytes, two.sealed.bytes, "every seal has its own nonce");
        assert_eq!(one.sealed.fingerprint, two.sealed.fingerprint);
        assert_ne!(one.sealed.fingerprint, record(&key(2), "the same value").sealed.fingerprint, "it is keyed");
    }

    #[test]
    fn a_sealed_value_that_was_moved_or_changed_does_not_open() {
        let ring = Keyring::of(vec![key(1), key(2)]);
        let good = record(&key(1), "sk_live_0123456789");
        assert!(open(&ring, &good).is_ok());
        let moved = [
            SecretPlace { tenant: TenantId::from_raw(2), ..place() },
            SecretPlace { function: Some(FunctionId::from_raw(1)), ..place() },
            SecretPlace { name: "stripe2".parse().unwrap(), ..place() },
        ];
        for place in moved {
            assert_eq!(open(&ring, &SecretRecord { place, ..good.clone() }).unwrap_err(), NotOpened::Broken);
        }
        for hosts in [vec![], vec!["evil.test".parse().unwrap()]] {
            assert_eq!(open(&ring, &SecretRecord { hosts, ..good.clone() }).unwrap_err(), NotOpened::Broken);
        }
        for at in 0..good.sealed.bytes.len() {
            let mut bent = good.clone();
            bent.sealed.bytes[at] ^= 1;
            assert!(open(&ring, &bent).is_err(), "byte {at}");
            bent.sealed.bytes.truncate(at);
            assert!(open(&ring, &bent).is_err(), "the first {at} bytes");
        }
        let mut renamed = good.clone();
        renamed.sealed.key = key(2).id();
        assert_eq!(open(&ring, &renamed).unwrap_err(), NotOpened::Broken);
    }

    #[test]
    fn a_fingerprint_is_its_tenants() {
        let other = SecretPlace { tenant: TenantId::from_raw(2), ..place() };
        let value = SecretValue::new("the same value".to_owned());
        let of = |place| seal(&key(1), place, &[], &value).unwrap().fingerprint;
        assert_ne!(of(&place()), of(&other));
    }
}
