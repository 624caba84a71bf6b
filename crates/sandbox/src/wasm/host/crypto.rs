//! Operations 40 to 69: cryptography for `crypto.subtle`, `crypto` and `node:crypto`. JavaScript brings keys into the one
//! form that is taken here; the arithmetic is *ring*'s.
//!
//! Requests are hostile: whatever does not fit is refused, and nothing here panics on any bytes. Verifying answers yes or
//! no, never why not.

use std::collections::HashMap;

use md5::{Digest, Md5};
use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use ring::{digest, hmac};

use super::call::{Answer, CallContext, CallError, Phase};

/// Hashes that an attempt has open at once: only texts too long for one request need one.
const OPEN_MAX: usize = 256;
/// What the web's `getRandomValues` gives at most.
const RANDOM_BYTES_MAX: usize = 65_536;
/// The only nonce and tag lengths that *ring* has: those that everybody uses.
const NONCE_BYTES: usize = 12;

/// Hashes that are fed piece by piece.
#[derive(Default)]
pub(super) struct Hashes {
    open: HashMap<u32, Hash>,
    last: u32,
}

#[derive(Clone)]
enum Hash {
    Sha(Box<digest::Context>),
    Md5(Box<Md5>),
    Mac(Box<hmac::Context>),
}

pub(super) fn call(operation: i32, context: &mut CallContext<'_>, request: &[u8]) -> Answer {
    let mut request = Request(request);
    let hashes = &mut context.state.hashes;
    match operation {
        // algorithm (1), data → the hash.
        40 => {
            let mut hash = Hash::new(request.byte()?)?;
            hash.feed(request.0);
            Ok(hash.finish())
        }
        // algorithm (1) → number (4).
        41 => {
            let hash = Hash::new(request.byte()?)?;
            hashes.keep(hash)
        }
        // number (4), data.
        42 => {
            hashes.find(request.number()?)?.feed(request.0);
            Ok(Vec::new())
        }
        // number (4) → the hash; the number is free.
        43 => {
            let number = request.number()?;
            hashes.open.remove(&number).map(Hash::finish).ok_or_else(no_such_hash)
        }
        // number (4) → number (4) of a copy.
        44 => {
            let copy = hashes.find(request.number()?)?.clone();
            hashes.keep(copy)
        }
        // algorithm (1), key's length (4), key, data → the authentication code.
        45 => {
            let algorithm = mac_algorithm(request.byte()?)?;
            let key = hmac::Key::new(algorithm, request.counted()?);
            Ok(hmac::sign(&key, request.0).as_ref().to_vec())
        }
        // algorithm (1), key → number (4).
        46 => {
            let algorithm = mac_algorithm(request.byte()?)?;
            let key = hmac::Key::new(algorithm, request.0);
            hashes.keep(Hash::Mac(Box::new(hmac::Context::with_key(&key))))
        }
        // count (4) → so many random bytes.
        50 => random(context.phase, request.number()?),
        // 0 to encrypt or 1 to decrypt (1), key's length (4), key, nonce (12), length of what is only authenticated (4),
        // that, data → the text with its tag, or without.
        51 => aes_gcm(request),
        // algorithm (1), key's length (4), key, signature's length (4), signature, message → 1 or 0.
        52 => verify(request),
        _ => Err(CallError::new("TypeError", "the host has no such operation")),
    }
}

/// From the kernel's generator, by a system call that the jail allows: nothing that could be guessed, be cloned with an
/// image or run out.
fn random(phase: Phase, count: u32) -> Answer {
    if phase == Phase::Build {
        let message = "cryptographic randomness cannot be drawn by top-level code: it would be the same in every \
                       invocation; draw it in the handler";
        return Err(CallError::new("OperationError", message));
    }
    let count = count as usize;
    if count > RANDOM_BYTES_MAX {
        return Err(CallError::new("QuotaExceededError", format!("{count} random bytes, {RANDOM_BYTES_MAX} at once")));
    }
    let mut bytes = vec![0; count];
    getrandom::fill(&mut bytes).map_err(|_| CallError::new("OperationError", "the system gives no random bytes"))?;
    Ok(bytes)
}

fn aes_gcm(mut request: Request<'_>) -> Answer {
    let direction = request.byte()?;
    let key = request.counted()?;
    let nonce = request.take(NONCE_BYTES)?;
    let authenticated = request.counted()?;
    let algorithm = match key.len() {
        16 => &AES_128_GCM,
        32 => &AES_256_GCM,
        _ => return Err(CallError::new("NotSupportedError", "AES-GCM takes keys of 128 or 256 bits")),
    };
    let failed = |_| CallError::new("OperationError", "the operation failed");
    let key = LessSafeKey::new(UnboundKey::new(algorithm, key).map_err(failed)?);
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(failed)?;
    let mut data = request.0.to_vec();
    match direction {
        0 => key.seal_in_place_append_tag(nonce, Aad::from(authenticated), &mut data).map_err(failed)?,
        1 => {
            let length = key.open_in_place(nonce, Aad::from(authenticated), &mut data).map_err(failed)?.len();
            data.truncate(length);
        }
        _ => return Err(malformed()),
    }
    Ok(data)
}

/// The numbers are those of prelude/node/subtle_verify.js. RSA keys are `RSAPublicKey` of PKCS #1, points are
/// uncompressed, ECDSA's signatures of fixed length (as the web has them) or, where *ring* has only that, DER.
fn verify(mut request: Request<'_>) -> Answer {
    let algorithm: &'static dyn VerificationAlgorithm = match request.byte()? {
        1 => &signature::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
        2 => &signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
        3 => &signature::RSA_PKCS1_2048_8192_SHA384,
        4 => &signature::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
        12 => &signature::RSA_PSS_2048_8192_SHA256,
        13 => &signature::RSA_PSS_2048_8192_SHA384,
        14 => &signature::RSA_PSS_2048_8192_SHA512,
        22 => &signature::ECDSA_P256_SHA256_FIXED,
        23 => &signature::ECDSA_P256_SHA384_ASN1,
        32 => &signature::ECDSA_P384_SHA256_ASN1,
        33 => &signature::ECDSA_P384_SHA384_FIXED,
        40 => &signature::ED25519,
        _ => return Err(CallError::new("NotSupportedError", "this signature algorithm is not available")),
    };
    let key = request.counted()?;
    let signature = request.counted()?;
    let is_valid = UnparsedPublicKey::new(algorithm, key).verify(request.0, signature).is_ok();
    Ok(vec![u8::from(is_valid)])
}

impl Hashes {
    fn keep(&mut self, hash: Hash) -> Answer {
        if self.open.len() >= OPEN_MAX {
            return Err(CallError::new("OperationError", format!("more than {OPEN_MAX} hashes are open at once")));
        }
        self.last = self.last.wrapping_add(1);
        self.open.insert(self.last, hash);
        Ok(self.last.to_le_bytes().to_vec())
    }

    fn find(&mut self, number: u32) -> Result<&mut Hash, CallError> {
        self.open.get_mut(&number).ok_or_else(no_such_hash)
    }
}

impl Hash {
    fn new(algorithm: u8) -> Result<Hash, CallError> {
        if algorithm == 0 {
            return Ok(Hash::Md5(Box::default()));
        }
        let algorithm = match algorithm {
            1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            2 => &digest::SHA256,
            3 => &digest::SHA384,
            4 => &digest::SHA512,
            _ => return Err(no_such_algorithm()),
        };
        Ok(Hash::Sha(Box::new(digest::Context::new(algorithm))))
    }

    fn feed(&mut self, data: &[u8]) {
        match self {
            Hash::Sha(context) => context.update(data),
            Hash::Md5(context) => context.update(data),
            Hash::Mac(context) => context.update(data),
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Hash::Sha(context) => context.finish().as_ref().to_vec(),
            Hash::Md5(context) => context.finalize().to_vec(),
            Hash::Mac(context) => context.sign().as_ref().to_vec(),
        }
    }
}

fn mac_algorithm(algorithm: u8) -> Result<hmac::Algorithm, CallError> {
    match algorithm {
        1 => Ok(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
        2 => Ok(hmac::HMAC_SHA256),
        3 => Ok(hmac::HMAC_SHA384),
        4 => Ok(hmac::HMAC_SHA512),
        _ => Err(no_such_algorithm()),
    }
}

fn malformed() -> CallError {
    CallError::new("TypeError", "a malformed request to the host")
}

fn no_such_algorithm() -> CallError {
    CallError::new("NotSupportedError", "this hash algorithm is not available")
}

fn no_such_hash() -> CallError {
    CallError::new("OperationError", "this hash is not open: it was finished, or is of another invocation")
}

/// What is left of a request's bytes.
struct Request<'a>(&'a [u8]);

impl<'a> Request<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], CallError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or_else(malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, CallError> {
        Ok(self.take(1)?[0])
    }

    fn number(&mut self) -> Result<u32, CallError> {
        let bytes = self.take(4)?.try_into().map_err(|_| malformed())?;
        Ok(u32::from_le_bytes(bytes))
    }

    /// Bytes behind their length.
    fn counted(&mut self) -> Result<&'a [u8], CallError> {
        let length = self.number()?;
        self.take(length as usize)
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    use super::super::call::CallState;
    use super::*;

    fn ask(phase: Phase, state: &mut CallState, operation: i32, request: &[u8]) -> Answer {
        call(operation, &mut CallContext { phase, state }, request)
    }

    fn counted(bytes: &[u8]) -> Vec<u8> {
        [&u32::try_from(bytes.len()).unwrap().to_le_bytes()[..], bytes].concat()
    }

    #[test]
    fn mutated_requests_are_answered_or_refused() {
        let rsa = [&[0x30, 0x0d, 2, 8][..], &[0x7f; 8], &[2, 1, 3]].concat();
        let seeds: [(i32, Vec<u8>); 9] = [
            (40, b"\x02text".to_vec()),
            (41, vec![3]),
            (42, b"\x01\0\0\0text".to_vec()),
            (43, vec![1, 0, 0, 0]),
            (45, [&[2][..], &counted(b"key"), b"text"].concat()),
            (50, vec![32, 0, 0, 0]),
            (51, [&[0][..], &counted(&[1; 16]), &[2; 12], &counted(b"known"), b"text"].concat()),
            (52, [&[2][..], &counted(&rsa), &counted(&[5; 8]), b"text"].concat()),
            (52, [&[22][..], &counted(&[4; 65]), &counted(&[5; 64]), b"text"].concat()),
        ];
        let mut random = SmallRng::seed_from_u64(4);
        let mut state = CallState::default();
        for _ in 0..20_000 {
            let (operation, seed) = &seeds[random.random_range(0..seeds.len())];
            let mut request = seed.clone();
            for _ in 0..random.random_range(0..6) {
                match random.random_range(0..4) {
                    0 if !request.is_empty() => {
                        let at = random.random_range(0..request.len());
                        request[at] = random.random();
                    }
                    1 => request.truncate(random.random_range(0..=request.len())),
                    2 => request.insert(random.random_range(0..=request.len()), random.random()),
                    _ => request.extend_from_slice(&[random.random(), 0xff]),
                }
            }
            let operation = if random.random_range(0..20) == 0 { random.random_range(40..70) } else { *operation };
            if let Ok(answer) = ask(Phase::Attempt, &mut state, operation, &request) {
                assert!(answer.len() <= RANDOM_BYTES_MAX + request.len(), "operation {operation}");
            }
        }
    }

    #[test]
    fn open_hashes_are_bounded_and_a_finished_one_makes_room() {
        let mut state = CallState::default();
        for _ in 0..OPEN_MAX {
            assert!(ask(Phase::Attempt, &mut state, 41, &[2]).is_ok());
        }
        assert_eq!(ask(Phase::Attempt, &mut state, 41, &[2]).unwrap_err().name, "OperationError");
        assert_eq!(ask(Phase::Attempt, &mut state, 43, &1_u32.to_le_bytes()).unwrap().len(), 32);
        assert!(ask(Phase::Attempt, &mut state, 41, &[2]).is_ok());
        assert_eq!(ask(Phase::Attempt, &mut state, 43, &1_u32.to_le_bytes()).unwrap_err().name, "OperationError");
    }

    #[test]
    fn random_bytes_are_never_the_same_and_never_given_to_a_build() {
        let mut state = CallState::default();
        let mut draw = |phase| ask(phase, &mut state, 50, &64_u32.to_le_bytes());
        let (first, second) = (draw(Phase::Attempt).unwrap(), draw(Phase::Attempt).unwrap());
        assert_eq!(first.len(), 64);
        assert_ne!(first, second);
        assert_eq!(draw(Phase::Build).unwrap_err().name, "OperationError");
    }
}
