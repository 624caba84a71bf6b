//! Typed ids: 63 bits that grow with time, so that a table in id order is a table in time order and needs no second
//! index, and an id alone says which hour's partition holds its row.
//!
//! Layout, from the top: 41 bits of milliseconds since 2024-01-01 (to 2093), 10 bits of node, 12 bits of sequence.
//! In text: a prefix that names the type, then 13 characters of Crockford's base 32. Ids are not secrets; access is
//! decided by tenant and key.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::clock::Timestamp;

const EPOCH_MS: i64 = 1_704_067_200_000; // 2024-01-01T00:00:00Z
const NODE_BITS: u32 = 10;
const SEQUENCE_BITS: u32 = 12;
/// The highest node number an id can carry.
pub const NODE_MAX: u16 = (1 << NODE_BITS) - 1;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const TEXT_LEN: usize = 13;

/// Why a text is not an id of the wanted type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an id of the form {prefix}…")]
pub struct IdError {
    pub text: String,
    pub prefix: &'static str,
}

fn encode(raw: i64, out: &mut [u8; TEXT_LEN]) {
    let mut rest = raw.cast_unsigned();
    for slot in out.iter_mut().rev() {
        *slot = ALPHABET[usize::try_from(rest & 31).unwrap_or(0)];
        rest >>= 5;
    }
}

fn decode(text: &str) -> Option<i64> {
    if text.len() != TEXT_LEN {
        return None;
    }
    let mut raw: u64 = 0;
    for byte in text.bytes() {
        let digit = ALPHABET.iter().position(|&c| c == byte)?;
        raw = raw.checked_mul(32)?.checked_add(u64::try_from(digit).ok()?)?;
    }
    i64::try_from(raw).ok()
}

/// The first id (of any type) that can be minted at `moment`: the lower bound of a time range in id order.
pub fn floor_at(moment: Timestamp) -> i64 {
    (moment.millis() - EPOCH_MS).max(0) << (NODE_BITS + SEQUENCE_BITS)
}

/// The millisecond an id was minted in.
pub fn minted_at(raw: i64) -> Timestamp {
    Timestamp::from_millis((raw >> (NODE_BITS + SEQUENCE_BITS)) + EPOCH_MS)
}

// Ids that differ in name and prefix only; a macro keeps them from drifting apart.
macro_rules! id_types {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(i64);

        impl $name {
            pub const PREFIX: &'static str = $prefix;

            /// From the stored number; what is not ours to check (it came from our own store).
            pub const fn from_raw(raw: i64) -> $name {
                $name(raw)
            }

            pub const fn raw(self) -> i64 {
                self.0
            }

            pub fn minted_at(self) -> Timestamp {
                minted_at(self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = [0u8; TEXT_LEN];
                encode(self.0, &mut text);
                f.write_str($prefix)?;
                f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<$name, IdError> {
                text.strip_prefix($prefix)
                    .and_then(decode)
                    .map($name)
                    .ok_or_else(|| IdError { text: text.chars().take(64).collect(), prefix: $prefix })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

id_types! {
    /// A tenant, whatever it is named: a tenant deleted and made again under its old name is another one.
    TenantId = "ten_";
    EventId = "evt_";
    RuleId = "rul_";
    FunctionId = "fn_";
    InvocationId = "inv_";
    /// One run of an invocation: a ledger line. Minted by the store's writer, so that ids grow in commit order.
    AttemptId = "att_";
    DeliveryId = "dlv_";
    KeyId = "key_";
    /// A line of the audit log. Minted by the store's writer, like an attempt's.
    AuditId = "aud_";
    /// A named queue, whatever it is named: one deleted and made again under its old name is another one.
    QueueId = "que_";
    /// A message in a named queue.
    MessageId = "msg_";
}

/// Mints ids for one node: strictly growing, even when the clock stands still or steps back.
#[derive(Debug, Clone)]
pub struct IdMint {
    node: u16,
    last: i64,
}

impl IdMint {
    /// `node` ≤ [`NODE_MAX`]; `after` is the greatest id this node may have minted before (0 on a fresh store).
    pub fn new(node: u16, after: i64) -> IdMint {
        IdMint { node: node & NODE_MAX, last: after.max(0) }
    }

    /// The next number. A burst of more than 4,096 in a millisecond borrows from the milliseconds to come.
    pub fn next(&mut self, now: Timestamp) -> i64 {
        let sequence_mask = (1_i64 << SEQUENCE_BITS) - 1;
        let last_ms = self.last >> (NODE_BITS + SEQUENCE_BITS);
        let now_ms = (now.millis() - EPOCH_MS).max(0);
        let (ms, sequence) = if now_ms > last_ms {
            (now_ms, 0)
        } else if self.last & sequence_mask == sequence_mask {
            (last_ms + 1, 0)
        } else {
            (last_ms, (self.last & sequence_mask) + 1)
        };
        self.last = (ms << (NODE_BITS + SEQUENCE_BITS)) | (i64::from(self.node) << SEQUENCE_BITS) | sequence;
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_their_text_form_and_refuse_other_types() {
        let id = InvocationId::from_raw(IdMint::new(3, 0).next(Timestamp::from_millis(1_769_851_800_123)));
        assert_eq!(id.to_string().parse::<InvocationId>(), Ok(id));
        assert!(id.to_string().parse::<EventId>().is_err());
        assert!("inv_".parse::<InvocationId>().is_err());
        assert!("inv_zzzzzzzzzzzzz".parse::<InvocationId>().is_err(), "over 63 bits");
    }

    #[test]
    fn ids_grow_when_the_clock_stands_still_or_steps_back() {
        let mut mint = IdMint::new(1, 0);
        let mut last = 0;
        for step in 0..20_000_i64 {
            let id = mint.next(Timestamp::from_millis(1_769_851_800_000 - step / 100));
            assert!(id > last, "step {step}");
            last = id;
        }
    }

    #[test]
    fn an_id_tells_its_time_and_text_order_is_time_order() {
        let early = Timestamp::from_millis(1_769_851_800_123);
        let mut mint = IdMint::new(9, 0);
        let first = EventId::from_raw(mint.next(early));
        let second = EventId::from_raw(mint.next(Timestamp::from_millis(early.millis() + 1)));
        assert_eq!(first.minted_at(), early);
        assert!(first.to_string() < second.to_string());
        assert!(floor_at(early) <= first.raw());
    }
}
