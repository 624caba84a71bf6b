//! The audit log's lines, by id.

use std::collections::BTreeMap;

use async_trait::async_trait;
use sublet_model::{AuditId, Error, Name, TenantId, Timestamp};

use super::{MemoryStore, Verb, listing};
use crate::audit::{Audit, AuditEnd, AuditFilter, AuditRecord, NewAudit};
use crate::page::{Listing, Page};

#[derive(Default)]
pub(super) struct Rows {
    lines: BTreeMap<AuditId, AuditRecord>,
}

fn fits(filter: &AuditFilter, record: &AuditRecord) -> bool {
    let line = &record.line;
    filter.tenant.is_none_or(|tenant| line.tenant.as_ref().is_some_and(|(id, _)| *id == tenant))
        && filter.key.is_none_or(|key| line.key == key)
        && filter.operation.as_ref().is_none_or(|operation| line.operation == *operation)
        && filter.since.is_none_or(|since| record.at >= since)
}

#[async_trait]
impl Audit for MemoryStore {
    async fn begin_audit(&self, line: NewAudit, now: Timestamp) -> Result<AuditId, Error> {
        self.write(Verb::Audit, |state| {
            let id = AuditId::from_raw(state.mint.next(now));
            state.audit.lines.insert(id, AuditRecord { id, at: now, line, end: None });
            Ok(id)
        })
        .await
    }

    async fn end_audit(&self, id: AuditId, end: AuditEnd, tenant: Option<(TenantId, Name)>) -> Result<(), Error> {
        self.write(Verb::Audit, |state| {
            let found = state.audit.lines.get_mut(&id).ok_or_else(|| Error::not_found(format!("audit line {id}")))?;
            if found.end.is_some() {
                return Err(Error::conflict(format!("audit line {id} has its end")));
            }
            found.end = Some(end);
            if found.line.tenant.is_none() {
                found.line.tenant = tenant;
            }
            Ok(())
        })
        .await
    }

    async fn audit(&self, filter: AuditFilter, page: Page) -> Result<Listing<AuditRecord>, Error> {
        self.read(|state| {
            let lines = state.audit.lines.iter().filter(|(_, record)| fits(&filter, record));
            listing::newest_first(lines.map(|(id, record)| (*id, record)), &page)
        })
    }

    async fn drop_audit(&self, before: Timestamp, rows_max: usize) -> Result<u64, Error> {
        self.write(Verb::Audit, |state| {
            let old = state.audit.lines.iter().take_while(|(id, _)| id.minted_at() < before).take(rows_max);
            let old: Vec<AuditId> = old.map(|(id, _)| *id).collect();
            for id in &old {
                state.audit.lines.remove(id);
            }
            Ok(old.len() as u64)
        })
        .await
    }
}
