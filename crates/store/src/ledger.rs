//! Usage in sum. The attempt row is the truth; the sum per tenant, function and hour is a cache of it that is equal to
//! it after any crash.

use async_trait::async_trait;
use sublet_model::{Error, FunctionId, TenantId, Timestamp, UsageSum};

/// Half open: hours that start at or after `from` and before `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageQuery {
    /// `None`: every tenant (the operator).
    pub tenant: Option<TenantId>,
    pub function: Option<FunctionId>,
    pub from: Timestamp,
    pub to: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageRow {
    pub tenant: TenantId,
    pub function: FunctionId,
    /// Start of the hour the attempts ended in.
    pub hour: Timestamp,
    pub sum: UsageSum,
}

#[async_trait]
pub trait Ledger {
    /// Contract: includes every attempt settled before the call. By hour, tenant, function, ascending.
    async fn usage(&self, query: UsageQuery) -> Result<Vec<UsageRow>, Error>;

    /// The same, added up anew from the attempt rows that are still kept. For checks; reads all of them.
    async fn usage_recount(&self, query: UsageQuery) -> Result<Vec<UsageRow>, Error>;
}
