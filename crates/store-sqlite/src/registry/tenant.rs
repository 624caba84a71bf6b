//! Tenants.

use rusqlite::{Connection, Row, params};
use sublet_model::{Error, Name, TenantId, Timestamp, limit};
use sublet_store::{Listing, Page, TenantRecord, TenantSpec};

use super::{all, json, json_of, name_of, one, one_more, page_of};
use crate::command::Batch;
use crate::fail::Outcome;
use crate::row::moment;

fn read(row: &Row<'_>) -> Outcome<TenantRecord> {
    Ok(TenantRecord {
        id: TenantId::from_raw(row.get(0)?),
        name: name_of(row, 1)?,
        spec: json_of(row, 2)?,
        created: moment(row, 3)?,
    })
}

pub(super) fn put(
    batch: &mut Batch<'_, '_>,
    name: &Name,
    spec: &TenantSpec,
    now: Timestamp,
) -> Outcome<(TenantRecord, bool)> {
    if let Some(known) = by_name(batch.conn, name)? {
        let sql = "UPDATE tenant SET spec = ? WHERE id = ?";
        batch.conn.prepare_cached(sql)?.execute(params![json(spec)?, known.id.raw()])?;
        return Ok((TenantRecord { spec: spec.clone(), ..known }, false));
    }
    let id = TenantId::from_raw(batch.register(now)?);
    let sql = "INSERT INTO tenant VALUES (?, ?, ?, ?)";
    batch.conn.prepare_cached(sql)?.execute(params![id.raw(), name.as_str(), json(spec)?, now.millis()])?;
    Ok((TenantRecord { id, name: name.clone(), spec: spec.clone(), created: now }, true))
}

pub(crate) fn by_name(conn: &Connection, name: &Name) -> Outcome<Option<TenantRecord>> {
    one(conn, "SELECT id, name, spec, created FROM tenant WHERE name = ?", [name.as_str()], read)
}

pub(super) fn by_id(conn: &Connection, id: TenantId) -> Outcome<Option<TenantRecord>> {
    one(conn, "SELECT id, name, spec, created FROM tenant WHERE id = ?", [id.raw()], read)
}

/// `NotFound` when there is none.
pub(super) fn check(conn: &Connection, id: TenantId) -> Outcome<()> {
    let found = one(conn, "SELECT 1 FROM tenant WHERE id = ?", [id.raw()], |_| Ok(()))?;
    Ok(found.ok_or_else(|| Error::not_found(format!("tenant {id}")))?)
}

pub(super) fn list(conn: &Connection, page: &Page) -> Outcome<Listing<TenantRecord>> {
    let rows_max = page.limit.clamp(1, limit::PAGE_MAX);
    let sql = "SELECT id, name, spec, created FROM tenant WHERE name > ? ORDER BY name LIMIT ?";
    let after = page.cursor.as_deref().unwrap_or("");
    let found = all(conn, sql, (after, one_more(rows_max)), read)?;
    Ok(page_of(found, rows_max, |tenant| tenant.name.to_string()))
}
