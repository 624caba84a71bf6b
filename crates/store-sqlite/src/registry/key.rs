//! Keys: the hashes of their secrets, and what is known of each.

use std::net::IpAddr;

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};
use sublet_model::{Error, KeyId, TenantId, Timestamp};
use sublet_store::key::{makes_room, may_go, may_rotate};
use sublet_store::{FormerSecret, KeyRate, KeyRecord, KeyScope, KeyUse, Keys, NewKey};

use super::{all, hash_of, one, tenant};
use crate::command::Batch;
use crate::fail::{Fail, Outcome};
use crate::row::moment;
use crate::store::SqliteStore;

const SELECT: &str = "SELECT id, tenant, label, hash, created, role, expires, rate_per_second, rate_burst, made_by, \
     former, former_until, used_at, used_from FROM key";

pub(crate) fn scope_column(scope: KeyScope) -> Option<i64> {
    match scope {
        KeyScope::Operator => None,
        KeyScope::Tenant(tenant) => Some(tenant.raw()),
    }
}

pub(crate) fn scope_of(column: Option<i64>) -> KeyScope {
    column.map_or(KeyScope::Operator, |raw| KeyScope::Tenant(TenantId::from_raw(raw)))
}

pub(crate) fn address_of(text: &str) -> Outcome<IpAddr> {
    text.parse().map_err(|_| Fail::corrupt(format!("{text} is no address")))
}

fn read(row: &Row<'_>) -> Outcome<KeyRecord> {
    let rate = match (row.get(7)?, row.get(8)?) {
        (Some(per_second), Some(burst)) => Some(KeyRate { per_second, burst }),
        _ => None,
    };
    let former = match row.get::<_, Option<i64>>(11)? {
        Some(until) => Some(FormerSecret { hash: hash_of(row, 10)?, until: Timestamp::from_millis(until) }),
        None => None,
    };
    let last_use = match (row.get::<_, Option<i64>>(12)?, row.get::<_, Option<String>>(13)?) {
        (Some(at), Some(from)) => Some(KeyUse { at: Timestamp::from_millis(at), from: address_of(&from)? }),
        _ => None,
    };
    Ok(KeyRecord {
        id: KeyId::from_raw(row.get(0)?),
        scope: scope_of(row.get(1)?),
        role: row.get::<_, String>(5)?.parse().map_err(|error: Error| Fail::corrupt(error.to_string()))?,
        label: row.get(2)?,
        hash: hash_of(row, 3)?,
        former,
        expires: row.get::<_, Option<i64>>(6)?.map(Timestamp::from_millis),
        rate,
        made_by: row.get::<_, Option<i64>>(9)?.map(KeyId::from_raw),
        last_use,
        created: moment(row, 4)?,
    })
}

fn put(batch: &mut Batch<'_, '_>, key: &NewKey, now: Timestamp) -> Outcome<KeyRecord> {
    if let KeyScope::Tenant(tenant) = key.scope {
        tenant::check(batch.conn, tenant)?;
    }
    check_free(batch.conn, &key.hash)?;
    if let Some(expired) = makes_room(&list(batch.conn, Some(key.scope))?, now)? {
        batch.conn.prepare_cached("DELETE FROM key WHERE id = ?")?.execute([expired.raw()])?;
    }
    let id = KeyId::from_raw(batch.register(now)?);
    let sql = "INSERT INTO key (id, tenant, label, hash, created, role, expires, rate_per_second, rate_burst, made_by) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    batch.conn.prepare_cached(sql)?.execute(params![
        id.raw(),
        scope_column(key.scope),
        key.label,
        key.hash,
        now.millis(),
        key.role.as_str(),
        key.expires.map(Timestamp::millis),
        key.rate.map(|rate| rate.per_second),
        key.rate.map(|rate| rate.burst),
        key.made_by.map(KeyId::raw),
    ])?;
    known(batch.conn, id)
}

fn list(conn: &Connection, scope: Option<KeyScope>) -> Outcome<Vec<KeyRecord>> {
    match scope {
        None => all(conn, &format!("{SELECT} ORDER BY id"), [], read),
        Some(scope) => all(conn, &format!("{SELECT} WHERE tenant IS ? ORDER BY id"), [scope_column(scope)], read),
    }
}

fn by_id(conn: &Connection, id: KeyId) -> Outcome<Option<KeyRecord>> {
    one(conn, &format!("{SELECT} WHERE id = ?"), [id.raw()], read)
}

fn known(conn: &Connection, id: KeyId) -> Outcome<KeyRecord> {
    Ok(by_id(conn, id)?.ok_or_else(|| Error::not_found(format!("key {id}")))?)
}

fn by_hash(conn: &Connection, hash: &[u8; 32]) -> Outcome<Option<KeyRecord>> {
    one(conn, &format!("{SELECT} WHERE hash = ?1 OR former = ?1"), [hash.as_slice()], read)
}

fn check_free(conn: &Connection, hash: &[u8; 32]) -> Outcome<()> {
    match by_hash(conn, hash)? {
        Some(_) => Err(Error::conflict("there is a key of that hash").into()),
        None => Ok(()),
    }
}

fn rotate(
    conn: &Connection,
    id: KeyId,
    hash: &[u8; 32],
    former_until: Timestamp,
    now: Timestamp,
) -> Outcome<KeyRecord> {
    may_rotate(&known(conn, id)?, now)?;
    check_free(conn, hash)?;
    let sql = "UPDATE key SET former = hash, former_until = ?2, hash = ?3 WHERE id = ?1";
    conn.prepare_cached(sql)?.execute(params![id.raw(), former_until.millis(), hash])?;
    known(conn, id)
}

fn delete(conn: &Connection, id: KeyId, now: Timestamp) -> Outcome<KeyRecord> {
    let gone = known(conn, id)?;
    if gone.scope == KeyScope::Operator {
        may_go(&gone, &list(conn, Some(KeyScope::Operator))?, now)?;
    }
    conn.prepare_cached("DELETE FROM key WHERE id = ?")?.execute([id.raw()])?;
    Ok(gone)
}

fn note_uses(conn: &Connection, uses: &[(KeyId, KeyUse)]) -> Outcome<()> {
    let sql = "UPDATE key SET used_at = ?2, used_from = ?3 WHERE id = ?1 AND (used_at IS NULL OR used_at <= ?2)";
    let mut statement = conn.prepare_cached(sql)?;
    for (id, last) in uses {
        statement.execute(params![id.raw(), last.at.millis(), last.from.to_string()])?;
    }
    Ok(())
}

#[async_trait]
impl Keys for SqliteStore {
    async fn put_key(&self, key: NewKey, now: Timestamp) -> Result<KeyRecord, Error> {
        self.change(move |batch| put(batch, &key, now)).await
    }

    async fn keys(&self, scope: Option<KeyScope>) -> Result<Vec<KeyRecord>, Error> {
        self.read(move |conn| list(conn, scope)).await
    }

    async fn key(&self, id: KeyId) -> Result<Option<KeyRecord>, Error> {
        self.read(move |conn| by_id(conn, id)).await
    }

    async fn key_by_hash(&self, hash: &[u8; 32]) -> Result<Option<KeyRecord>, Error> {
        let hash = *hash;
        self.read(move |conn| by_hash(conn, &hash)).await
    }

    async fn rotate_key(
        &self,
        id: KeyId,
        hash: [u8; 32],
        former_until: Timestamp,
        now: Timestamp,
    ) -> Result<KeyRecord, Error> {
        self.change(move |batch| rotate(batch.conn, id, &hash, former_until, now)).await
    }

    async fn delete_key(&self, id: KeyId, now: Timestamp) -> Result<KeyRecord, Error> {
        self.change(move |batch| delete(batch.conn, id, now)).await
    }

    async fn note_key_uses(&self, uses: Vec<(KeyId, KeyUse)>) -> Result<(), Error> {
        self.write(move |batch| note_uses(batch.conn, &uses)).await
    }
}
