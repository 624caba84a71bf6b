//! Keys: the hashes of their secrets.

use rusqlite::{Connection, Row, params};
use sublet_model::{Error, KeyId, TenantId, Timestamp};
use sublet_store::{KeyRecord, KeyScope, NewKey};

use super::{all, hash_of, one, tenant};
use crate::command::Batch;
use crate::fail::Outcome;
use crate::row::moment;

const SELECT: &str = "SELECT id, tenant, label, hash, created FROM key";

fn column(scope: KeyScope) -> Option<i64> {
    match scope {
        KeyScope::Operator => None,
        KeyScope::Tenant(tenant) => Some(tenant.raw()),
    }
}

fn read(row: &Row<'_>) -> Outcome<KeyRecord> {
    let tenant = row.get::<_, Option<i64>>(1)?.map(TenantId::from_raw);
    Ok(KeyRecord {
        id: KeyId::from_raw(row.get(0)?),
        scope: tenant.map_or(KeyScope::Operator, KeyScope::Tenant),
        label: row.get(2)?,
        hash: hash_of(row, 3)?,
        created: moment(row, 4)?,
    })
}

pub(super) fn put(batch: &mut Batch<'_, '_>, key: &NewKey, now: Timestamp) -> Outcome<KeyRecord> {
    if let KeyScope::Tenant(tenant) = key.scope {
        tenant::check(batch.conn, tenant)?;
    }
    if by_hash(batch.conn, &key.hash)?.is_some() {
        return Err(Error::conflict("there is a key of that hash").into());
    }
    let id = KeyId::from_raw(batch.register(now)?);
    let values = params![id.raw(), column(key.scope), key.label, key.hash, now.millis()];
    batch.conn.prepare_cached("INSERT INTO key VALUES (?, ?, ?, ?, ?)")?.execute(values)?;
    Ok(KeyRecord { id, scope: key.scope, label: key.label.clone(), hash: key.hash, created: now })
}

pub(super) fn list(conn: &Connection, scope: Option<KeyScope>) -> Outcome<Vec<KeyRecord>> {
    match scope {
        None => all(conn, &format!("{SELECT} ORDER BY id"), [], read),
        Some(scope) => all(conn, &format!("{SELECT} WHERE tenant IS ? ORDER BY id"), [column(scope)], read),
    }
}

pub(super) fn by_hash(conn: &Connection, hash: &[u8; 32]) -> Outcome<Option<KeyRecord>> {
    one(conn, &format!("{SELECT} WHERE hash = ?"), [hash.as_slice()], read)
}

pub(super) fn delete(conn: &Connection, id: KeyId) -> Outcome<KeyRecord> {
    let gone = one(conn, &format!("{SELECT} WHERE id = ?"), [id.raw()], read)?;
    let gone = gone.ok_or_else(|| Error::not_found(format!("key {id}")))?;
    conn.prepare_cached("DELETE FROM key WHERE id = ?")?.execute([id.raw()])?;
    Ok(gone)
}
