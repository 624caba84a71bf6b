//! Versions and the aliases that point at them.

use rusqlite::{Connection, Row, params};
use sublet_model::{Error, FunctionId, Name, TenantId, Timestamp, limit};
use sublet_store::{Listing, NewVersion, ObjectHash, Page, VersionRecord};

use super::function::{self, LIVE};
use super::{all, hash_of, json, json_of, name_of, one, one_more, page_of};
use crate::fail::Outcome;
use crate::listing::not_a_cursor;
use crate::row::{counter, counter_of, moment};

const SELECT: &str = "SELECT function, number, version.config, package, package_bytes, image, engine_hash, \
     layers, version.created FROM version JOIN function ON function.id = version.function \
     WHERE version.function = ?1 AND function.tenant = ?2";

fn read(row: &Row<'_>) -> Outcome<VersionRecord> {
    Ok(VersionRecord {
        function: FunctionId::from_raw(row.get(0)?),
        number: row.get(1)?,
        config: json_of(row, 2)?,
        package: ObjectHash(hash_of(row, 3)?),
        package_bytes: counter_of(row, 4)?,
        image: ObjectHash(hash_of(row, 5)?),
        engine_hash: row.get(6)?,
        layers: json_of(row, 7)?,
        created: moment(row, 8)?,
    })
}

pub(super) fn publish(
    conn: &Connection,
    tenant: TenantId,
    function: FunctionId,
    new: &NewVersion,
    now: Timestamp,
) -> Outcome<VersionRecord> {
    function::check(conn, tenant, function)?;
    // Versions go with their function alone, so the greatest is the last.
    let sql = "SELECT coalesce(max(number), 0) + 1 FROM version WHERE function = ?";
    let number: u32 = conn.prepare_cached(sql)?.query_row([function.raw()], |row| row.get(0))?;
    conn.prepare_cached("INSERT INTO version VALUES (?,?,?,?,?,?,?,?,?)")?.execute(params![
        function.raw(),
        number,
        json(&new.config)?,
        new.package.0,
        counter(new.package_bytes),
        new.image.0,
        new.engine_hash,
        json(&new.layers)?,
        now.millis(),
    ])?;
    if new.make_live {
        point(conn, function, LIVE, number)?;
        conn.prepare_cached("UPDATE function SET quarantined = NULL WHERE id = ?")?.execute([function.raw()])?;
    }
    Ok(VersionRecord {
        function,
        number,
        config: new.config.clone(),
        package: new.package,
        package_bytes: new.package_bytes,
        image: new.image,
        engine_hash: new.engine_hash.clone(),
        layers: new.layers.clone(),
        created: now,
    })
}

fn point(conn: &Connection, function: FunctionId, alias: &str, number: u32) -> Outcome<()> {
    let sql = "INSERT OR REPLACE INTO alias VALUES (?, ?, ?)";
    conn.prepare_cached(sql)?.execute(params![function.raw(), alias, number])?;
    Ok(())
}

pub(super) fn one_of(
    conn: &Connection,
    tenant: TenantId,
    function: FunctionId,
    number: u32,
) -> Outcome<Option<VersionRecord>> {
    one(conn, &format!("{SELECT} AND number = ?3"), (function.raw(), tenant.raw(), number), read)
}

pub(super) fn list(
    conn: &Connection,
    tenant: TenantId,
    function: FunctionId,
    page: &Page,
) -> Outcome<Listing<VersionRecord>> {
    let below = match &page.cursor {
        None => u32::MAX,
        Some(text) => text.parse().map_err(|_| not_a_cursor())?,
    };
    let rows_max = page.limit.clamp(1, limit::PAGE_MAX);
    let sql = format!("{SELECT} AND number < ?3 ORDER BY number DESC LIMIT ?4");
    let found = all(conn, &sql, (function.raw(), tenant.raw(), below, one_more(rows_max)), read)?;
    Ok(page_of(found, rows_max, |version| version.number.to_string()))
}

pub(super) fn replace_image(
    conn: &Connection,
    tenant: TenantId,
    function: FunctionId,
    number: u32,
    image: ObjectHash,
    engine_hash: &str,
) -> Outcome<()> {
    check(conn, tenant, function, number)?;
    let sql = "UPDATE version SET image = ?, engine_hash = ? WHERE function = ? AND number = ?";
    conn.prepare_cached(sql)?.execute(params![image.0, engine_hash, function.raw(), number])?;
    Ok(())
}

fn check(conn: &Connection, tenant: TenantId, function: FunctionId, number: u32) -> Outcome<()> {
    function::check(conn, tenant, function)?;
    let sql = "SELECT 1 FROM version WHERE function = ? AND number = ?";
    let found = one(conn, sql, (function.raw(), number), |_| Ok(()))?;
    Ok(found.ok_or_else(|| Error::not_found(format!("version {number}")))?)
}

pub(super) fn put_alias(
    conn: &Connection,
    tenant: TenantId,
    function: FunctionId,
    alias: &Name,
    number: u32,
) -> Outcome<()> {
    check(conn, tenant, function, number)?;
    point(conn, function, alias.as_str(), number)?;
    if alias.as_str() == LIVE {
        conn.prepare_cached("UPDATE function SET quarantined = NULL WHERE id = ?")?.execute([function.raw()])?;
    }
    Ok(())
}

pub(super) fn aliases(conn: &Connection, tenant: TenantId, function: FunctionId) -> Outcome<Vec<(Name, u32)>> {
    let sql = "SELECT alias.name, alias.version FROM alias JOIN function ON function.id = alias.function \
         WHERE alias.function = ? AND function.tenant = ? ORDER BY alias.name";
    all(conn, sql, (function.raw(), tenant.raw()), |row| Ok((name_of(row, 0)?, row.get(1)?)))
}
