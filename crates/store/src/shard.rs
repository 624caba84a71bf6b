//! Tenants hash into shards; a node owns shards by lease rows with an epoch, and every write to a tenant's queue
//! carries the epoch, so that an owner that slept past its lease is fenced off.

use sublet_model::TenantId;

/// Shards of one installation; fixed, so that a tenant never moves between shards.
pub const SHARDS: u16 = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u16);

/// The shard a tenant's queue lives in: a mix of the id's bits (Fibonacci hashing), because ids grow with time.
pub fn shard_of(tenant: TenantId) -> ShardId {
    let mixed = tenant.raw().cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
    ShardId(u16::try_from(mixed).unwrap_or(0) % SHARDS)
}

/// The shards one node holds, each with the epoch under which it holds it. Cheap to look up, cloned on change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ownership {
    /// Indexed by shard; `None`: another node's.
    pub epochs: Vec<Option<u64>>,
}

impl Ownership {
    pub fn none() -> Ownership {
        Ownership { epochs: vec![None; usize::from(SHARDS)] }
    }

    /// The epoch under which `tenant`'s shard is held.
    pub fn epoch_of(&self, tenant: TenantId) -> Option<u64> {
        self.epochs.get(usize::from(shard_of(tenant).0)).copied().flatten()
    }

    pub fn shards(&self) -> impl Iterator<Item = (ShardId, u64)> + '_ {
        (0..SHARDS).zip(&self.epochs).filter_map(|(shard, epoch)| epoch.map(|e| (ShardId(shard), e)))
    }
}
