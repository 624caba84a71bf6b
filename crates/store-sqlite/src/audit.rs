//! The audit log: one table that only grows (a trigger sees to it), in the order of its ids.

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};
use sublet_model::id::floor_at;
use sublet_model::{AuditId, Error, KeyId, Name, TenantId, Timestamp};
use sublet_store::{Audit, AuditEnd, AuditFilter, AuditRecord, Listing, NewAudit, Page};

use crate::command::Batch;
use crate::fail::{Fail, Outcome};
use crate::listing;
use crate::option::SCAN_ROWS_MAX;
use crate::registry::{address_of, scope_column, scope_of};
use crate::row::moment;
use crate::store::SqliteStore;

const COLUMNS: &str = "id, at, key, label, key_tenant, role, operation, target, tenant, tenant_name, request, origin, \
     ended, status";

fn read(row: &Row<'_>) -> Outcome<AuditRecord> {
    let tenant = match (row.get::<_, Option<i64>>(8)?, row.get::<_, Option<String>>(9)?) {
        (Some(id), Some(name)) => {
            let name = name.parse::<Name>().map_err(|error| Fail::corrupt(error.to_string()))?;
            Some((TenantId::from_raw(id), name))
        }
        _ => None,
    };
    let end = match (row.get::<_, Option<i64>>(12)?, row.get(13)?) {
        (Some(at), Some(status)) => Some(AuditEnd { at: Timestamp::from_millis(at), status }),
        _ => None,
    };
    let line = NewAudit {
        key: KeyId::from_raw(row.get(2)?),
        label: row.get(3)?,
        scope: scope_of(row.get(4)?),
        role: row.get::<_, String>(5)?.parse().map_err(|error: Error| Fail::corrupt(error.to_string()))?,
        operation: row.get(6)?,
        target: row.get(7)?,
        tenant,
        request: row.get(10)?,
        from: address_of(&row.get::<_, String>(11)?)?,
    };
    Ok(AuditRecord { id: AuditId::from_raw(row.get(0)?), at: moment(row, 1)?, line, end })
}

fn begin(batch: &mut Batch<'_, '_>, line: &NewAudit, now: Timestamp) -> Outcome<AuditId> {
    let id = batch.register(now)?;
    let sql = format!("INSERT INTO audit ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)");
    batch.conn.prepare_cached(&sql)?.execute(params![
        id,
        now.millis(),
        line.key.raw(),
        line.label,
        scope_column(line.scope),
        line.role.as_str(),
        line.operation,
        line.target,
        line.tenant.as_ref().map(|(id, _)| id.raw()),
        line.tenant.as_ref().map(|(_, name)| name.as_str()),
        line.request,
        line.from.to_string(),
    ])?;
    Ok(AuditId::from_raw(id))
}

fn end(conn: &Connection, id: AuditId, end: &AuditEnd, tenant: Option<&(TenantId, Name)>) -> Outcome<()> {
    let mut found = conn.prepare_cached("SELECT status IS NOT NULL FROM audit WHERE id = ?")?;
    let mut rows = found.query([id.raw()])?;
    match rows.next()?.map(|row| row.get(0)).transpose()? {
        None => return Err(Error::not_found(format!("audit line {id}")).into()),
        Some(true) => return Err(Error::conflict(format!("audit line {id} has its end")).into()),
        Some(false) => {}
    }
    let sql = "UPDATE audit SET ended = ?2, status = ?3, tenant_name = CASE WHEN tenant IS NULL THEN ?5 ELSE \
         tenant_name END, tenant = coalesce(tenant, ?4) WHERE id = ?1";
    conn.prepare_cached(sql)?.execute(params![
        id.raw(),
        end.at.millis(),
        end.status,
        tenant.map(|(id, _)| id.raw()),
        tenant.map(|(_, name)| name.as_str()),
    ])?;
    Ok(())
}

/// By the tenant's index, else every line is looked at, so many for a page: it may be short and still have a next.
fn list(conn: &Connection, filter: &AuditFilter, page: &Page) -> Outcome<Listing<AuditRecord>> {
    let (below, rows_max) = listing::start(page, AuditId::raw)?;
    // An id is never minted before the moment its line tells.
    let lowest = filter.since.map_or(0, floor_at);
    let condition = if filter.tenant.is_some() { "tenant = ?3" } else { "?3 IS NULL" };
    let sql =
        format!("SELECT {COLUMNS} FROM audit WHERE id < ?1 AND id >= ?2 AND {condition} ORDER BY id DESC LIMIT ?4");
    let mut statement = conn.prepare_cached(&sql)?;
    let scan = i64::try_from(SCAN_ROWS_MAX).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![below, lowest, filter.tenant.map(TenantId::raw), scan])?;
    let (mut items, mut looked_at) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let id = AuditId::from_raw(row.get(0)?);
        looked_at += 1;
        if fits(filter, row)? {
            if items.len() == rows_max {
                let next = items.last().map(|last: &AuditRecord| last.id.to_string());
                return Ok(Listing { items, next });
            }
            items.push(read(row)?);
        }
        if looked_at == SCAN_ROWS_MAX {
            return Ok(Listing { items, next: Some(id.to_string()) });
        }
    }
    Ok(Listing { items, next: None })
}

fn fits(filter: &AuditFilter, row: &Row<'_>) -> Outcome<bool> {
    let at = moment(row, 1)?;
    let by = KeyId::from_raw(row.get(2)?);
    let operation = row.get_ref(6)?.as_str().map_err(|error| Fail::corrupt(error.to_string()))?;
    Ok(filter.since.is_none_or(|since| at >= since)
        && filter.key.is_none_or(|key| key == by)
        && filter.operation.as_ref().is_none_or(|wanted| wanted == operation))
}

fn drop_before(conn: &Connection, before: Timestamp, rows_max: usize) -> Outcome<u64> {
    let sql = "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE id < ? ORDER BY id LIMIT ?)";
    let rows_max = i64::try_from(rows_max).unwrap_or(i64::MAX);
    Ok(conn.prepare_cached(sql)?.execute(params![floor_at(before), rows_max])? as u64)
}

#[async_trait]
impl Audit for SqliteStore {
    async fn begin_audit(&self, line: NewAudit, now: Timestamp) -> Result<AuditId, Error> {
        self.write(move |batch| begin(batch, &line, now)).await
    }

    async fn end_audit(&self, id: AuditId, at: AuditEnd, tenant: Option<(TenantId, Name)>) -> Result<(), Error> {
        self.write(move |batch| end(batch.conn, id, &at, tenant.as_ref())).await
    }

    async fn audit(&self, filter: AuditFilter, page: Page) -> Result<Listing<AuditRecord>, Error> {
        self.read(move |conn| list(conn, &filter, &page)).await
    }

    async fn drop_audit(&self, before: Timestamp, rows_max: usize) -> Result<u64, Error> {
        self.write(move |batch| drop_before(batch.conn, before, rows_max)).await
    }
}
