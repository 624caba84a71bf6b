//! The master keys that secrets are sealed with: the first seals, all of them open.

use std::fmt;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{CHACHA20_POLY1305, LessSafeKey, UnboundKey};
use ring::hmac;
use sublet_model::{Error, ErrorKind};
use sublet_store::SealKeyId;
use zeroize::Zeroizing;

use crate::chance::locked;

const KEY_BYTES: usize = 32;
/// Keys that open at once, the one that seals among them.
const KEYS_MAX: usize = 16;

/// 32 bytes of which three things are derived: a name, a key for the cipher, a key for fingerprints.
pub struct MasterKey {
    pub(super) id: SealKeyId,
    pub(super) cipher: LessSafeKey,
    pub(super) mark: Zeroizing<[u8; 32]>,
}

/// Its name alone.
impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id)
    }
}

pub(super) fn mac(key: &[u8; 32], parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut mac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in parts {
        // With its length, so that no two lists of parts read the same.
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    let mut code = Zeroizing::new([0; 32]);
    code.copy_from_slice(mac.sign().as_ref());
    code
}

impl MasterKey {
    pub fn new(bytes: &[u8; KEY_BYTES]) -> Result<MasterKey, Error> {
        let name = mac(bytes, &[b"sublet secret key's name"]);
        let mut id = [0; 8];
        id.copy_from_slice(&name[..8]);
        let cipher = mac(bytes, &[b"sublet secret cipher"]);
        let cipher = UnboundKey::new(&CHACHA20_POLY1305, cipher.as_slice()).map_err(Error::internal)?;
        let mark = mac(bytes, &[b"sublet secret fingerprint"]);
        Ok(MasterKey { id: SealKeyId(id), cipher: LessSafeKey::new(cipher), mark })
    }

    /// A new one, and its text for a file.
    pub fn fresh() -> Result<(MasterKey, Zeroizing<String>), Error> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(bytes.as_mut_slice()).map_err(Error::internal)?;
        Ok((MasterKey::new(&bytes)?, Zeroizing::new(STANDARD.encode(bytes.as_slice()))))
    }

    /// Keys as a file has them: one a line, 32 bytes each in base64 or hexadecimal; empty lines and those that begin
    /// with `#` are passed over. Errors: `Invalid`, with the line's number and never with its text.
    pub fn parse_all(text: &str) -> Result<Vec<MasterKey>, Error> {
        let mut keys: Vec<MasterKey> = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let bytes = decoded(line)
                .ok_or_else(|| unfit(format!("line {number} of the keys is not 32 bytes in base64 or hexadecimal")))?;
            let key = MasterKey::new(&bytes)?;
            if keys.iter().any(|known| known.id == key.id) {
                return Err(unfit(format!("line {number} of the keys repeats one above")));
            }
            keys.push(key);
        }
        if keys.is_empty() || keys.len() > KEYS_MAX {
            return Err(unfit(format!("there must be 1 to {KEYS_MAX} keys, not {}", keys.len())));
        }
        Ok(keys)
    }

    pub fn id(&self) -> SealKeyId {
        self.id
    }
}

fn unfit(why: String) -> Error {
    Error::new(ErrorKind::Invalid, why)
}

fn decoded(text: &str) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
    let bytes = Zeroizing::new(if text.len() == 2 * KEY_BYTES {
        let digits = text.as_bytes().chunks_exact(2);
        digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect::<Option<Vec<u8>>>()?
    } else {
        // Both alphabets, padded or not.
        let plain = text.trim_end_matches('=').replace('-', "+").replace('_', "/");
        base64::engine::general_purpose::STANDARD_NO_PAD.decode(plain).ok()?
    });
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    if bytes.len() != KEY_BYTES {
        return None;
    }
    key.copy_from_slice(&bytes);
    Some(key)
}

type Make = dyn Fn() -> Result<MasterKey, Error> + Send + Sync;

/// All keys there are.
pub struct Keyring {
    keys: Mutex<Vec<Arc<MasterKey>>>,
    /// Makes the first, where there is none, when something is to be sealed.
    make: Option<Box<Make>>,
}

impl Keyring {
    /// The first of them seals.
    pub fn of(keys: Vec<MasterKey>) -> Keyring {
        Keyring { keys: Mutex::new(keys.into_iter().map(Arc::new).collect()), make: None }
    }

    /// No key until something is to be sealed; then the one that `make` makes and keeps.
    pub fn made_when_needed(make: impl Fn() -> Result<MasterKey, Error> + Send + Sync + 'static) -> Keyring {
        Keyring { keys: Mutex::new(Vec::new()), make: Some(Box::new(make)) }
    }

    pub(super) fn sealing(&self) -> Result<Arc<MasterKey>, Error> {
        let mut keys = locked(&self.keys);
        if let Some(first) = keys.first() {
            return Ok(Arc::clone(first));
        }
        let Some(make) = &self.make else { return Err(Error::internal("a keyring without a key")) };
        let made = Arc::new(make()?);
        keys.push(Arc::clone(&made));
        Ok(made)
    }

    pub(super) fn opening(&self, id: SealKeyId) -> Option<Arc<MasterKey>> {
        locked(&self.keys).iter().find(|key| key.id == id).cloned()
    }

    /// Of the keys there are at this moment.
    pub fn names(&self) -> Vec<SealKeyId> {
        locked(&self.keys).iter().map(|key| key.id).collect()
    }

    pub(crate) fn holds(&self, id: SealKeyId) -> bool {
        self.opening(id).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_a_line_each_in_base64_or_hexadecimal_and_never_told() {
        let hex = "0f".repeat(32);
        let base64 = STANDARD.encode([0x0f; 32]);
        let url = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode([0xff; 32]);
        let one = MasterKey::parse_all(&hex).unwrap();
        assert_eq!(MasterKey::parse_all(&base64).unwrap()[0].id(), one[0].id());
        let two = MasterKey::parse_all(&format!("# first\n{url}\n\n  {base64}\r\n")).unwrap();
        assert_eq!((two.len(), two[1].id()), (2, one[0].id()));
        assert_ne!(two[0].id(), two[1].id());
        let short = "0f".repeat(31);
        for bad in ["", "# nothing", &short, "not-a-key-at-all", &format!("{hex}\n{base64}"), &"zz".repeat(32)] {
            let error = MasterKey::parse_all(bad).unwrap_err().to_string();
            let told = bad.lines().find(|line| line.len() > 10 && error.contains(*line));
            assert_eq!(told, None, "{error}");
        }
        assert!(!format!("{one:?}").contains("0f0f"));
    }

    #[test]
    fn a_key_is_made_once_when_something_is_to_be_sealed() {
        let ring = Keyring::made_when_needed(|| Ok(MasterKey::fresh()?.0));
        assert!(locked(&ring.keys).is_empty());
        let first = ring.sealing().unwrap().id();
        assert_eq!(ring.sealing().unwrap().id(), first);
        assert!(ring.holds(first));
        let (made, text) = MasterKey::fresh().unwrap();
        assert_eq!(MasterKey::parse_all(&text).unwrap()[0].id(), made.id());
    }
}
