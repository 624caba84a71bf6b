//! Usage: a sum per hour, tenant and function, raised in the same commit as the attempt row it counts.

use std::collections::BTreeMap;

use async_trait::async_trait;
use sublet_model::{Error, FunctionId, Outcome, TenantId, Timestamp, UsageSum};

use super::MemoryStore;
use crate::ledger::{Ledger, UsageQuery, UsageRow};
use crate::queue::AttemptRecord;

type Sums = BTreeMap<(Timestamp, TenantId, FunctionId), UsageSum>;

#[derive(Default)]
pub(super) struct Rows {
    sums: Sums,
}

impl Rows {
    pub(super) fn count(&mut self, attempt: &AttemptRecord) {
        add(&mut self.sums, attempt);
    }
}

fn add(sums: &mut Sums, attempt: &AttemptRecord) {
    let key = (attempt.end.ended.hour(), attempt.tenant, attempt.function);
    let line = UsageSum::of(&attempt.end.usage, attempt.end.outcome == Outcome::Succeeded);
    *sums.entry(key).or_default() += line;
}

fn rows_of(sums: &Sums, query: &UsageQuery) -> Vec<UsageRow> {
    let wanted = |hour: Timestamp, tenant: TenantId, function: FunctionId| {
        query.from <= hour
            && hour < query.to
            && query.tenant.is_none_or(|wanted| wanted == tenant)
            && query.function.is_none_or(|wanted| wanted == function)
    };
    sums.iter()
        .filter(|((hour, tenant, function), _)| wanted(*hour, *tenant, *function))
        .map(|((hour, tenant, function), sum)| UsageRow {
            tenant: *tenant,
            function: *function,
            hour: *hour,
            sum: *sum,
        })
        .collect()
}

#[async_trait]
impl Ledger for MemoryStore {
    async fn usage(&self, query: UsageQuery) -> Result<Vec<UsageRow>, Error> {
        Ok(self.read(|state| rows_of(&state.ledger.sums, &query)))
    }

    async fn usage_recount(&self, query: UsageQuery) -> Result<Vec<UsageRow>, Error> {
        Ok(self.read(|state| {
            let mut sums = Sums::new();
            for attempt in state.queue.attempts.values() {
                add(&mut sums, attempt);
            }
            rows_of(&sums, &query)
        }))
    }
}
