//! What is counted about callers, in memory: each key's rate, each address' failures, and each key's last use.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sublet_model::{KeyId, Timestamp};
use sublet_store::{KeyRecord, KeyScope, KeyUse};

use super::bucket::{Buckets, Left, Rate};
use crate::visit::Allowance;

/// Keys with a rate, and tenants' keys that change something, counted at once.
const KEYS_COUNTED_MAX: usize = 50_000;
/// Addresses with failures counted at once.
const ADDRESSES_COUNTED_MAX: usize = 10_000;
/// Keys whose last use waits to be written. More of them are written with a later use.
const USES_WAITING_MAX: usize = 50_000;
/// A key's last use is told to this many milliseconds.
const USE_COARSENESS_MS: u64 = 60_000;
/// Changes by one tenant's key: each is a line of the audit log that is kept for long.
const TENANT_CHANGES: Rate = Rate { interval_us: 100_000, burst: 100 };

/// How many unknown keys an address may try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failures {
    /// At once.
    pub burst: u32,
    /// In the long run.
    pub per_minute: u32,
}

impl Default for Failures {
    fn default() -> Failures {
        Failures { burst: 20, per_minute: 10 }
    }
}

pub(super) struct Gate {
    rates: Mutex<Buckets<KeyId>>,
    changes: Mutex<Buckets<KeyId>>,
    failures: Mutex<Buckets<IpAddr>>,
    failure_rate: Rate,
    uses: Mutex<Uses>,
}

#[derive(Default)]
struct Uses {
    /// What was seen last, written or not.
    last: HashMap<KeyId, KeyUse>,
    waiting: HashMap<KeyId, KeyUse>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Seconds to wait, at least one.
fn seconds(micros: u64) -> u32 {
    u32::try_from(micros.div_ceil(1_000_000)).unwrap_or(u32::MAX).max(1)
}

/// Whoever holds one IPv6 address holds all of its /64.
fn source_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

impl Gate {
    pub(super) fn new(failures: Failures) -> Gate {
        let interval_us = 60_000_000 / u64::from(failures.per_minute.max(1));
        Gate {
            rates: Mutex::new(Buckets::new(KEYS_COUNTED_MAX)),
            changes: Mutex::new(Buckets::new(KEYS_COUNTED_MAX)),
            failures: Mutex::new(Buckets::new(ADDRESSES_COUNTED_MAX)),
            failure_rate: Rate { interval_us, burst: failures.burst.max(1) },
            uses: Mutex::new(Uses::default()),
        }
    }

    /// Takes one of the key's requests; `None` when it has no rate. `Err` with what is left (nothing) when there is
    /// none to take.
    pub(super) fn take(&self, key: &KeyRecord, now: Timestamp) -> Result<Option<Allowance>, Allowance> {
        let Some(rate) = key.rate else { return Ok(None) };
        let taken = locked(&self.rates).take(key.id, Rate::per_second(rate.per_second, rate.burst), now);
        let Left { is_granted, left, next_us } = taken;
        let next_s = if next_us == 0 { 0 } else { seconds(next_us) };
        let allowance = Allowance { per_second: rate.per_second, burst: rate.burst, left, next_s };
        if is_granted { Ok(Some(allowance)) } else { Err(allowance) }
    }

    /// Takes one of the changes a tenant's key may make; an operator's may make as many as it likes. Errors: seconds to
    /// wait.
    pub(super) fn take_change(&self, key: &KeyRecord, now: Timestamp) -> Result<(), u32> {
        if key.scope == KeyScope::Operator {
            return Ok(());
        }
        let taken = locked(&self.changes).take(key.id, TENANT_CHANGES, now);
        if taken.is_granted { Ok(()) } else { Err(seconds(taken.next_us)) }
    }

    /// Whether the address may try another unknown key. Errors: seconds to wait.
    pub(super) fn check_failures(&self, address: IpAddr, now: Timestamp) -> Result<(), u32> {
        let left = locked(&self.failures).peek(&source_of(address), self.failure_rate, now);
        if left.is_granted { Ok(()) } else { Err(seconds(left.next_us)) }
    }

    pub(super) fn failed(&self, address: IpAddr, now: Timestamp) {
        locked(&self.failures).take(source_of(address), self.failure_rate, now);
    }

    /// Notes the use of a key, unless one was noted within the last minute.
    pub(super) fn used(&self, id: KeyId, from: IpAddr, now: Timestamp) {
        let mut uses = locked(&self.uses);
        let is_news = uses.last.get(&id).is_none_or(|known| now.since(known.at) >= USE_COARSENESS_MS);
        if !is_news || (uses.waiting.len() >= USES_WAITING_MAX && !uses.waiting.contains_key(&id)) {
            return;
        }
        if uses.last.len() >= USES_WAITING_MAX {
            uses.last.clear();
        }
        let latest = KeyUse { at: now, from };
        uses.last.insert(id, latest);
        uses.waiting.insert(id, latest);
    }

    /// What waits to be written; it waits no longer.
    pub(super) fn uses_to_write(&self) -> Vec<(KeyId, KeyUse)> {
        locked(&self.uses).waiting.drain().collect()
    }

    /// A use that is perhaps not written yet.
    pub(super) fn last_use(&self, id: KeyId) -> Option<KeyUse> {
        locked(&self.uses).last.get(&id).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_769_851_800_000 + seconds * 1_000)
    }

    #[test]
    fn addresses_of_one_network_share_their_failures() {
        let gate = Gate::new(Failures { burst: 2, per_minute: 6 });
        let (one, neighbour) = ("2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap());
        gate.failed(one, at(0));
        gate.failed(neighbour, at(0));
        assert_eq!(gate.check_failures(one, at(0)), Err(10));
        assert_eq!(gate.check_failures(neighbour, at(9)), Err(1));
        assert_eq!(gate.check_failures(neighbour, at(10)), Ok(()));
        assert_eq!(gate.check_failures("2001:db8:0:1::1".parse().unwrap(), at(0)), Ok(()));
        assert_eq!(gate.check_failures("192.0.2.1".parse().unwrap(), at(0)), Ok(()));
    }

    #[test]
    fn a_use_is_noted_once_a_minute() {
        let gate = Gate::new(Failures::default());
        let (key, from) = (KeyId::from_raw(1), IpAddr::from([192, 0, 2, 1]));
        for second in 0..59 {
            gate.used(key, from, at(second));
        }
        assert_eq!(gate.uses_to_write(), [(key, KeyUse { at: at(0), from })]);
        gate.used(key, from, at(59));
        assert!(gate.uses_to_write().is_empty());
        gate.used(key, from, at(60));
        assert_eq!(gate.uses_to_write(), [(key, KeyUse { at: at(60), from })]);
        assert_eq!(gate.last_use(key), Some(KeyUse { at: at(60), from }));
    }
}
