//! Rules.

use rusqlite::{Connection, Row, params};
use sublet_model::{Error, Name, RuleId, RuleSpec, TenantId, Timestamp};
use sublet_store::RuleRecord;

use super::{all, json, json_of, name_of, one, tenant};
use crate::command::Batch;
use crate::fail::Outcome;
use crate::row::moment;

/// The operator's; no tenant has this id. (A null would not be unique.)
const OPERATOR: i64 = 0;

const SELECT: &str = "SELECT id, owner, name, spec, changed FROM rule";

fn column(owner: Option<TenantId>) -> i64 {
    owner.map_or(OPERATOR, TenantId::raw)
}

fn read(row: &Row<'_>) -> Outcome<RuleRecord> {
    let owner: i64 = row.get(1)?;
    Ok(RuleRecord {
        id: RuleId::from_raw(row.get(0)?),
        owner: (owner != OPERATOR).then(|| TenantId::from_raw(owner)),
        name: name_of(row, 2)?,
        spec: json_of(row, 3)?,
        changed: moment(row, 4)?,
    })
}

pub(super) fn put(
    batch: &mut Batch<'_, '_>,
    owner: Option<TenantId>,
    name: &Name,
    spec: &RuleSpec,
    now: Timestamp,
) -> Outcome<(RuleRecord, bool)> {
    if let Some(tenant) = owner {
        tenant::check(batch.conn, tenant)?;
    }
    let known =
        one(batch.conn, "SELECT id FROM rule WHERE owner = ? AND name = ?", (column(owner), name.as_str()), |row| {
            Ok(row.get(0)?)
        })?;
    let made = known.is_none();
    let raw = match known {
        Some(raw) => raw,
        None => batch.register(now)?,
    };
    let values = params![raw, column(owner), name.as_str(), json(spec)?, now.millis()];
    batch.conn.prepare_cached("INSERT OR REPLACE INTO rule VALUES (?, ?, ?, ?, ?)")?.execute(values)?;
    let id = RuleId::from_raw(raw);
    Ok((RuleRecord { id, owner, name: name.clone(), spec: spec.clone(), changed: now }, made))
}

pub(super) fn by_name(conn: &Connection, owner: Option<TenantId>, name: &Name) -> Outcome<Option<RuleRecord>> {
    one(conn, &format!("{SELECT} WHERE owner = ? AND name = ?"), (column(owner), name.as_str()), read)
}

pub(super) fn of(conn: &Connection, owner: Option<TenantId>) -> Outcome<Vec<RuleRecord>> {
    all(conn, &format!("{SELECT} WHERE owner = ? ORDER BY name"), [column(owner)], read)
}

pub(super) fn everybodys(conn: &Connection) -> Outcome<Vec<RuleRecord>> {
    all(conn, &format!("{SELECT} ORDER BY owner, name"), [], read)
}

pub(super) fn delete(conn: &Connection, owner: Option<TenantId>, name: &Name) -> Outcome<()> {
    let sql = "DELETE FROM rule WHERE owner = ? AND name = ?";
    if conn.prepare_cached(sql)?.execute((column(owner), name.as_str()))? == 0 {
        return Err(Error::not_found(format!("rule {name}")).into());
    }
    Ok(())
}
