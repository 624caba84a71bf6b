//! Functions.

use rusqlite::{Connection, Row, params};
use sublet_model::{Error, FunctionConfig, FunctionId, Name, TenantId, Timestamp, limit};
use sublet_store::{FunctionRecord, Listing, Page, Quarantine, Stop};

use super::{all, json, json_of, name_of, one, one_more, page_of, tenant};
use crate::command::Batch;
use crate::fail::Outcome;
use crate::row::moment;

/// The alias that attempts resolve.
pub(super) const LIVE: &str = "live";

const SELECT: &str = "SELECT id, tenant, name, config, quarantined, created, \
     (SELECT version FROM alias WHERE function = id AND alias.name = 'live'), stopped FROM function WHERE";

fn read(row: &Row<'_>) -> Outcome<FunctionRecord> {
    Ok(FunctionRecord {
        id: FunctionId::from_raw(row.get(0)?),
        tenant: TenantId::from_raw(row.get(1)?),
        name: name_of(row, 2)?,
        config: json_of(row, 3)?,
        quarantined: json_or_null(row, 4)?,
        created: moment(row, 5)?,
        live: row.get(6)?,
        stopped: json_or_null(row, 7)?,
    })
}

fn json_or_null<T: serde::de::DeserializeOwned>(row: &Row<'_>, index: usize) -> Outcome<Option<T>> {
    let text: Option<String> = row.get(index)?;
    Ok(text.map(|text| serde_json::from_str(&text)).transpose()?)
}

pub(super) fn put(
    batch: &mut Batch<'_, '_>,
    tenant: TenantId,
    name: &Name,
    config: &FunctionConfig,
    now: Timestamp,
) -> Outcome<(FunctionRecord, bool)> {
    tenant::check(batch.conn, tenant)?;
    if let Some(known) = by_name(batch.conn, tenant, name)? {
        let sql = "UPDATE function SET config = ? WHERE id = ?";
        batch.conn.prepare_cached(sql)?.execute(params![json(config)?, known.id.raw()])?;
        return Ok((FunctionRecord { config: config.clone(), ..known }, false));
    }
    let id = FunctionId::from_raw(batch.register(now)?);
    let sql = "INSERT INTO function (id, tenant, name, config, created) VALUES (?, ?, ?, ?, ?)";
    let values = params![id.raw(), tenant.raw(), name.as_str(), json(config)?, now.millis()];
    batch.conn.prepare_cached(sql)?.execute(values)?;
    let (name, config) = (name.clone(), config.clone());
    Ok((FunctionRecord { id, tenant, name, config, live: None, quarantined: None, stopped: None, created: now }, true))
}

pub(super) fn by_name(conn: &Connection, tenant: TenantId, name: &Name) -> Outcome<Option<FunctionRecord>> {
    one(conn, &format!("{SELECT} tenant = ? AND name = ?"), (tenant.raw(), name.as_str()), read)
}

pub(super) fn by_id(conn: &Connection, tenant: TenantId, id: FunctionId) -> Outcome<Option<FunctionRecord>> {
    one(conn, &format!("{SELECT} id = ? AND tenant = ?"), (id.raw(), tenant.raw()), read)
}

/// `NotFound` when the tenant has none of that id.
pub(super) fn check(conn: &Connection, tenant: TenantId, id: FunctionId) -> Outcome<()> {
    let sql = "SELECT 1 FROM function WHERE id = ? AND tenant = ?";
    let found = one(conn, sql, (id.raw(), tenant.raw()), |_| Ok(()))?;
    Ok(found.ok_or_else(|| Error::not_found(format!("function {id}")))?)
}

pub(super) fn list(conn: &Connection, tenant: TenantId, page: &Page) -> Outcome<Listing<FunctionRecord>> {
    let rows_max = page.limit.clamp(1, limit::PAGE_MAX);
    let sql = format!("{SELECT} tenant = ? AND name > ? ORDER BY name LIMIT ?");
    let after = page.cursor.as_deref().unwrap_or("");
    let found = all(conn, &sql, (tenant.raw(), after, one_more(rows_max)), read)?;
    Ok(page_of(found, rows_max, |function| function.name.to_string()))
}

pub(super) fn delete(conn: &Connection, tenant: TenantId, name: &Name) -> Outcome<()> {
    let known = by_name(conn, tenant, name)?.ok_or_else(|| Error::not_found(format!("function {name}")))?;
    for sql in [
        "DELETE FROM alias WHERE function = ?",
        "DELETE FROM version WHERE function = ?",
        "DELETE FROM function WHERE id = ?",
    ] {
        conn.prepare_cached(sql)?.execute([known.id.raw()])?;
    }
    let sql = "DELETE FROM secret WHERE tenant = ? AND function = ?";
    conn.prepare_cached(sql)?.execute([tenant.raw(), known.id.raw()])?;
    Ok(())
}

pub(super) fn quarantine(conn: &Connection, tenant: TenantId, id: FunctionId, why: Option<&Quarantine>) -> Outcome<()> {
    check(conn, tenant, id)?;
    let text = why.map(json).transpose()?;
    conn.prepare_cached("UPDATE function SET quarantined = ? WHERE id = ?")?.execute(params![text, id.raw()])?;
    Ok(())
}

pub(super) fn stop(conn: &Connection, tenant: TenantId, id: FunctionId, why: Option<&Stop>) -> Outcome<()> {
    check(conn, tenant, id)?;
    let text = why.map(json).transpose()?;
    conn.prepare_cached("UPDATE function SET stopped = ? WHERE id = ?")?.execute(params![text, id.raw()])?;
    Ok(())
}
