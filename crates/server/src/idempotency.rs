//! `Idempotency-Key`: the same request twice is one publication, and gets one answer.
//!
//! Two layers. The answers of the last ten minutes are kept in memory, so that a repeat gets the very same answer. And
//! each entry that has no id of its own gets its identity from the key and its place, which is as durable as the event
//! itself: when the process dies between the commit and the answer, the repeat finds the events that are there and is
//! told their ids; nothing is published twice. What is lost with the process is the wording alone: a repeat then says
//! `repeated`.
//!
//! A key is the installation's, not the API key's: a repeat may come with another key, after a rotation.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use bytes::Bytes;
use serde::Serialize;
use sha2::{Digest, Sha256};
use sublet_model::limit::IDENTITY_WINDOW;
use sublet_model::{Error, Timestamp};

use crate::problem::Problem;

const NAME: HeaderName = HeaderName::from_static("idempotency-key");
const KEY_CHARS_MAX: usize = 255;
/// Answers kept at once, in number and in bytes; the oldest leave first.
const ANSWERS_MAX: usize = 100_000;
const ANSWERS_BYTES_MAX: usize = 64 << 20;

/// What a client called its request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct IdempotencyKey(String);

/// Of a request: its body and the headers that say how the body is to be read.
pub(crate) type Fingerprint = [u8; 32];

impl IdempotencyKey {
    /// The header's value: a string in double quotes, as the IETF's draft has it, or bare, as most clients send it.
    /// Errors: more than one, and what is neither.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Problem> {
        let mut values = headers.get_all(&NAME).iter();
        let Some(value) = values.next() else { return Ok(None) };
        let refuse = |detail: &str| Problem::invalid(NAME.as_str(), detail);
        if values.next().is_some() {
            return Err(refuse("must be given once"));
        }
        let text = value.to_str().map_err(|_| refuse("must be ASCII"))?.trim();
        let key = match text.strip_prefix('"') {
            Some(rest) => rest.strip_suffix('"').ok_or_else(|| refuse("its quotation mark is not closed"))?,
            None => text,
        };
        let fits = (1..=KEY_CHARS_MAX).contains(&key.len())
            && key.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'));
        match fits {
            true => Ok(Some(IdempotencyKey(key.to_owned()))),
            false => Err(refuse("must have 1 to 255 visible characters without quotation marks")),
        }
    }

    /// What stands for the id of the entry at this place.
    pub(crate) fn of_entry(&self, index: usize) -> String {
        format!("{}\n{index}", self.0)
    }

    pub(crate) fn fingerprint(&self, headers: &HeaderMap, body: &[u8]) -> Fingerprint {
        let mut hash = Sha256::new();
        let is_read = |name: &HeaderName| {
            *name == header::CONTENT_TYPE || name.as_str() == "sublet-tenant" || name.as_str().starts_with("ce-")
        };
        let mut told: Vec<(&str, &[u8])> = headers
            .iter()
            .filter(|(name, _)| is_read(name))
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        told.sort_unstable();
        for part in told.into_iter().flat_map(|(name, value)| [name.as_bytes(), value]).chain([body]) {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }
}

/// An answer that can be given again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remembered {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
    /// It was given before.
    pub(crate) is_replay: bool,
}

impl Remembered {
    pub(crate) fn of(status: StatusCode, body: &impl Serialize) -> Result<Remembered, Problem> {
        let body = serde_json::to_vec(body).map_err(Error::internal)?;
        Ok(Remembered { status, body: body.into(), is_replay: false })
    }
}

/// What is known of a key when a request comes.
pub(crate) enum Begun {
    /// Nothing: carry it out, then [`Claim::keep`] the answer. Dropped without one, the key is free again.
    Fresh(Claim),
    Known(Remembered),
    OtherBody,
    /// The same request is being carried out.
    InProgress,
}

/// The answers of the last ten minutes.
#[derive(Debug, Default)]
pub(crate) struct Answers(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    by_key: HashMap<IdempotencyKey, Slot>,
    /// Oldest first; one for each in `by_key` that has an answer.
    order: VecDeque<(Timestamp, IdempotencyKey)>,
    bytes: usize,
}

#[derive(Debug)]
struct Slot {
    fingerprint: Fingerprint,
    /// `None` while it is being carried out.
    answer: Option<Remembered>,
}

/// The right to answer for a key.
pub(crate) struct Claim {
    answers: Arc<Answers>,
    key: IdempotencyKey,
    at: Timestamp,
}

impl Answers {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn begin(self: &Arc<Answers>, key: &IdempotencyKey, fingerprint: Fingerprint, now: Timestamp) -> Begun {
        let mut kept = self.kept();
        kept.forget_old(now);
        match kept.by_key.get(key) {
            Some(slot) if slot.fingerprint != fingerprint => return Begun::OtherBody,
            Some(Slot { answer: Some(answer), .. }) => {
                return Begun::Known(Remembered { is_replay: true, ..answer.clone() });
            }
            Some(_) => return Begun::InProgress,
            None => {}
        }
        kept.by_key.insert(key.clone(), Slot { fingerprint, answer: None });
        Begun::Fresh(Claim { answers: Arc::clone(self), key: key.clone(), at: now })
    }
}

impl Kept {
    fn forget_old(&mut self, now: Timestamp) {
        let window_ms = u64::try_from(IDENTITY_WINDOW.as_millis()).unwrap_or(u64::MAX);
        while let Some((at, _)) = self.order.front() {
            let is_over = now.since(*at) >= window_ms;
            if !is_over && self.order.len() <= ANSWERS_MAX && self.bytes <= ANSWERS_BYTES_MAX {
                return;
            }
            let Some((_, key)) = self.order.pop_front() else { return };
            if let Some(Slot { answer: Some(answer), .. }) = self.by_key.remove(&key) {
                self.bytes -= answer.body.len();
            }
        }
    }
}

impl Claim {
    pub(crate) fn keep(self, answer: Remembered) {
        let mut kept = self.answers.kept();
        if let Some(slot) = kept.by_key.get_mut(&self.key) {
            let bytes = answer.body.len();
            slot.answer = Some(answer);
            kept.bytes += bytes;
            kept.order.push_back((self.at, self.key.clone()));
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut kept = self.answers.kept();
        if kept.by_key.get(&self.key).is_some_and(|slot| slot.answer.is_none()) {
            kept.by_key.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(value: &str) -> Result<Option<IdempotencyKey>, u16> {
        let headers = HeaderMap::from_iter([(NAME, value.parse().unwrap())]);
        IdempotencyKey::of(&headers).map_err(|problem| problem.status().as_u16())
    }

    fn answer(text: &'static str) -> Remembered {
        Remembered { status: StatusCode::ACCEPTED, body: Bytes::from_static(text.as_bytes()), is_replay: false }
    }

    #[test]
    fn a_key_is_a_quoted_string_or_a_bare_one() {
        assert_eq!(key("\"8e03978e-40d5\""), Ok(Some(IdempotencyKey("8e03978e-40d5".to_owned()))));
        assert_eq!(key("8e03978e-40d5"), key("\"8e03978e-40d5\""));
        assert_eq!(IdempotencyKey::of(&HeaderMap::new()).unwrap(), None);
        let long = "x".repeat(256);
        for bad in ["", "\"\"", "\"open", "a b", "a\"b", long.as_str()] {
            assert_eq!(key(bad), Err(400), "{bad}");
        }
    }

    #[test]
    fn a_repeat_gets_the_first_answer_and_another_body_none() {
        let answers = Arc::new(Answers::default());
        let key = key("k").unwrap().unwrap();
        let at = |ms: i64| Timestamp::from_millis(ms);
        let Begun::Fresh(claim) = answers.begin(&key, [1; 32], at(0)) else { panic!("known before it came") };
        assert!(matches!(answers.begin(&key, [1; 32], at(1)), Begun::InProgress));
        assert!(matches!(answers.begin(&key, [2; 32], at(1)), Begun::OtherBody));
        claim.keep(answer("first"));
        let Begun::Known(again) = answers.begin(&key, [1; 32], at(2)) else { panic!("forgotten") };
        assert_eq!(again, Remembered { is_replay: true, ..answer("first") });
        assert!(matches!(answers.begin(&key, [2; 32], at(3)), Begun::OtherBody));
        // Free again after the window, and after a request that came to nothing.
        let window = i64::try_from(IDENTITY_WINDOW.as_millis()).unwrap();
        let Begun::Fresh(claim) = answers.begin(&key, [2; 32], at(window)) else { panic!("kept too long") };
        drop(claim);
        assert!(matches!(answers.begin(&key, [3; 32], at(window)), Begun::Fresh(_)));
        let kept = answers.kept();
        assert_eq!((kept.bytes, kept.order.len(), kept.by_key.len()), (0, 0, 0));
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_oldest_leave_first() {
        let answers = Arc::new(Answers::default());
        let large = Remembered { body: Bytes::from(vec![b' '; ANSWERS_BYTES_MAX / 4]), ..answer("") };
        for number in 0..6 {
            let key = key(&format!("k{number}")).unwrap().unwrap();
            let Begun::Fresh(claim) = answers.begin(&key, [0; 32], Timestamp::ZERO) else { panic!("known") };
            claim.keep(large.clone());
        }
        let first = answers.begin(&key("k0").unwrap().unwrap(), [0; 32], Timestamp::ZERO);
        assert!(matches!(first, Begun::Fresh(_)));
        let last = answers.begin(&key("k5").unwrap().unwrap(), [0; 32], Timestamp::ZERO);
        assert!(matches!(last, Begun::Known(_)));
        assert!(answers.kept().bytes <= ANSWERS_BYTES_MAX);
    }
}
