//! Secrets, sealed.

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};
use sublet_model::{Error, FunctionId, HostPattern, TenantId, Timestamp, limit};
use sublet_store::secret::{may_add_secret, no_secret};
use sublet_store::{Listing, Page, SealKeyId, Sealed, SecretPlace, SecretRecord, Secrets};

use super::{all, function, json, json_of, name_of, one, one_more, page_of, tenant};
use crate::fail::Outcome;
use crate::listing::not_a_cursor;
use crate::row::moment;
use crate::store::SqliteStore;

const SELECT: &str = "SELECT tenant, function, name, key, sealed, fingerprint, hosts, created, changed FROM secret";

fn read(row: &Row<'_>) -> Outcome<SecretRecord> {
    let function: i64 = row.get(1)?;
    let place = SecretPlace {
        tenant: TenantId::from_raw(row.get(0)?),
        function: (function != 0).then(|| FunctionId::from_raw(function)),
        name: name_of(row, 2)?,
    };
    let sealed = Sealed { key: SealKeyId(row.get(3)?), bytes: row.get(4)?, fingerprint: row.get(5)? };
    Ok(SecretRecord { place, sealed, hosts: json_of(row, 6)?, created: moment(row, 7)?, changed: moment(row, 8)? })
}

/// As the primary key has it: 0 stands for the tenant itself.
fn function_column(place: &SecretPlace) -> i64 {
    place.function.map_or(0, FunctionId::raw)
}

fn put(
    conn: &Connection,
    place: &SecretPlace,
    sealed: &Sealed,
    hosts: &[HostPattern],
    now: Timestamp,
) -> Outcome<(SecretRecord, bool)> {
    tenant::check(conn, place.tenant)?;
    if let Some(id) = place.function {
        function::check(conn, place.tenant, id)?;
    }
    let former = by_place(conn, place)?;
    if former.is_none() {
        let sql = "SELECT count(*) FROM secret WHERE tenant = ?";
        let count: i64 = conn.prepare_cached(sql)?.query_row([place.tenant.raw()], |row| row.get(0))?;
        may_add_secret(usize::try_from(count).unwrap_or(usize::MAX))?;
    }
    let created = former.as_ref().map_or(now, |former| former.created);
    let values = params![
        place.tenant.raw(),
        function_column(place),
        place.name.as_str(),
        sealed.key.0,
        sealed.bytes,
        sealed.fingerprint,
        json(&hosts)?,
        created.millis(),
        now.millis(),
    ];
    let sql = "INSERT OR REPLACE INTO secret VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
    conn.prepare_cached(sql)?.execute(values)?;
    let record =
        SecretRecord { place: place.clone(), sealed: sealed.clone(), hosts: hosts.to_vec(), created, changed: now };
    Ok((record, former.is_none()))
}

fn by_place(conn: &Connection, place: &SecretPlace) -> Outcome<Option<SecretRecord>> {
    let key = (place.tenant.raw(), function_column(place), place.name.as_str());
    one(conn, &format!("{SELECT} WHERE tenant = ? AND function = ? AND name = ?"), key, read)
}

fn delete(conn: &Connection, place: &SecretPlace) -> Outcome<()> {
    let key = (place.tenant.raw(), function_column(place), place.name.as_str());
    let sql = "DELETE FROM secret WHERE tenant = ? AND function = ? AND name = ?";
    match conn.prepare_cached(sql)?.execute(key)? {
        0 => Err(no_secret(place).into()),
        _ => Ok(()),
    }
}

fn everybodys(conn: &Connection, page: &Page) -> Outcome<Listing<SecretRecord>> {
    let rows_max = page.limit.clamp(1, limit::PAGE_MAX);
    let after = match &page.cursor {
        Some(text) => {
            let place = text.parse::<SecretPlace>().map_err(|_| not_a_cursor())?;
            (place.tenant.raw(), function_column(&place), place.name.to_string(), one_more(rows_max))
        }
        None => (i64::MIN, 0, String::new(), one_more(rows_max)),
    };
    let sql = format!("{SELECT} WHERE (tenant, function, name) > (?, ?, ?) ORDER BY tenant, function, name LIMIT ?");
    let found = all(conn, &sql, after, read)?;
    Ok(page_of(found, rows_max, |record| record.place.to_string()))
}

fn reseal(conn: &Connection, place: &SecretPlace, former: &Sealed, fresh: &Sealed) -> Outcome<bool> {
    let sql = "UPDATE secret SET key = ?, sealed = ?, fingerprint = ? \
         WHERE tenant = ? AND function = ? AND name = ? AND key = ? AND sealed = ?";
    let values = params![
        fresh.key.0,
        fresh.bytes,
        fresh.fingerprint,
        place.tenant.raw(),
        function_column(place),
        place.name.as_str(),
        former.key.0,
        former.bytes,
    ];
    Ok(conn.prepare_cached(sql)?.execute(values)? == 1)
}

fn keys(conn: &Connection) -> Outcome<Vec<(SealKeyId, u64)>> {
    let sql = "SELECT key, count(*) FROM secret GROUP BY key ORDER BY key";
    all(conn, sql, [], |row| Ok((SealKeyId(row.get(0)?), row.get::<_, i64>(1)?.unsigned_abs())))
}

#[async_trait]
impl Secrets for SqliteStore {
    async fn put_secret(
        &self,
        place: SecretPlace,
        sealed: Sealed,
        hosts: Vec<HostPattern>,
        now: Timestamp,
    ) -> Result<(SecretRecord, bool), Error> {
        self.change(move |batch| put(batch.conn, &place, &sealed, &hosts, now)).await
    }

    async fn secret(&self, place: &SecretPlace) -> Result<Option<SecretRecord>, Error> {
        let place = place.clone();
        self.read(move |conn| by_place(conn, &place)).await
    }

    async fn secrets(&self, tenant: TenantId) -> Result<Vec<SecretRecord>, Error> {
        let sql = format!("{SELECT} WHERE tenant = ? ORDER BY function, name");
        self.read(move |conn| all(conn, &sql, [tenant.raw()], read)).await
    }

    async fn delete_secret(&self, place: &SecretPlace) -> Result<(), Error> {
        let place = place.clone();
        self.change(move |batch| delete(batch.conn, &place)).await
    }

    async fn all_secrets(&self, page: Page) -> Result<Listing<SecretRecord>, Error> {
        self.read(move |conn| everybodys(conn, &page)).await
    }

    async fn reseal_secret(&self, place: &SecretPlace, former: &Sealed, fresh: Sealed) -> Result<bool, Error> {
        let (place, former) = (place.clone(), former.clone());
        self.change(move |batch| reseal(batch.conn, &place, &former, &fresh)).await
    }

    async fn seal_keys(&self) -> Result<Vec<(SealKeyId, u64)>, Error> {
        self.read(keys).await
    }
}
