//! A tenant's invocations as pages, and their balance.

use rusqlite::{Connection, Row};
use sublet_model::{Error, InvocationId, InvocationState, TenantId};
use sublet_store::{Balance, InvocationFilter, InvocationRecord, Listing, Page};

use super::read::find;
use crate::fail::{Fail, Outcome};
use crate::listing::{self, Found, Source};
use crate::partition::{self, Partition};
use crate::row::{Links, blob, counter_of, state_of};
use crate::store::SqliteStore;

pub(super) async fn invocations(
    store: &SqliteStore,
    tenant: TenantId,
    filter: InvocationFilter,
    page: Page,
) -> Result<Listing<InvocationRecord>, Error> {
    let (below, rows_max) = listing::start::<InvocationId>(&page, InvocationId::raw)?;
    store
        .read(move |conn| {
            let own = format!("tenant = {} AND", tenant.raw());
            let dead = format!("id, tenant, function, {}", InvocationState::DeadLettered.code());
            let sources = |hour: &Partition| {
                let indexed = if hour.has_index("invocation") { own.as_str() } else { "" };
                vec![
                    Source::new(COLUMNS, "live", ""),
                    Source::new(&dead, "dead_letter", &own),
                    Source::new(COLUMNS, &format!("invocation_{}", hour.hour), indexed),
                ]
            };
            let accept = |row: &Row<'_>| {
                let fits = row.get::<_, i64>(1)? == tenant.raw()
                    && filter.function.map_or(Ok(true), |f| row.get::<_, i64>(2).map(|raw| raw == f.raw()))?
                    && filter.state.map_or(Ok(true), |s| row.get::<_, u8>(3).map(|code| code == s.code()))?;
                Ok(fits)
            };
            let found = listing::newest_first(conn, below, rows_max, sources, accept)?;
            records(conn, tenant, found)
        })
        .await
}

const COLUMNS: &str = "id, tenant, function, state";

fn records(conn: &Connection, tenant: TenantId, found: Found) -> Outcome<Listing<InvocationRecord>> {
    let mut items = Vec::with_capacity(found.ids.len());
    for id in found.ids {
        let one = find(conn, tenant, InvocationId::from_raw(id))?;
        items.push(one.ok_or_else(|| Fail::corrupt("an invocation that was listed and is not there"))?.record);
    }
    Ok(Listing { items, next: found.next.map(|id| InvocationId::from_raw(id).to_string()) })
}

pub(super) async fn dead_letters(
    store: &SqliteStore,
    tenant: TenantId,
    page: Page,
) -> Result<Listing<InvocationRecord>, Error> {
    let (below, rows_max) = listing::start::<InvocationId>(&page, InvocationId::raw)?;
    store
        .read(move |conn| {
            let sql = "SELECT id FROM dead_letter WHERE tenant = ? AND id < ? ORDER BY id DESC LIMIT ?";
            let mut statement = conn.prepare_cached(sql)?;
            let wanted = i64::try_from(rows_max + 1).unwrap_or(i64::MAX);
            let rows = statement.query_map((tenant.raw(), below, wanted), |row| row.get(0))?;
            let mut ids: Vec<i64> = rows.collect::<Result<_, _>>()?;
            let more = ids.len() > rows_max;
            ids.truncate(rows_max);
            let next = if more { ids.last().copied() } else { None };
            records(conn, tenant, Found { ids, next })
        })
        .await
}

/// `accepted` is counted where invocations are born, in the events that led to them, and the rest where they are now, so
/// that the equation can fail. Retention takes an event and its invocations together.
pub(super) fn balance(conn: &Connection, tenant: TenantId) -> Outcome<Balance> {
    let mut balance = Balance::default();
    let live = "SELECT state, count(*) FROM live WHERE tenant = ? AND event IS NOT NULL GROUP BY state";
    count(conn, live, tenant, &mut balance)?;
    let dead = format!("SELECT {}, count(*) FROM dead_letter WHERE tenant = ?", InvocationState::DeadLettered.code());
    count(conn, &dead, tenant, &mut balance)?;
    for partition in partition::list(conn)? {
        let hour = partition.hour;
        let ended = format!(
            "SELECT state, count(*) FROM invocation_{hour} WHERE tenant = ? AND event IS NOT NULL GROUP BY state"
        );
        count(conn, &ended, tenant, &mut balance)?;
        balance.accepted += accepted(conn, hour, tenant)?;
    }
    Ok(balance)
}

fn count(conn: &Connection, sql: &str, tenant: TenantId, balance: &mut Balance) -> Outcome<()> {
    let mut statement = conn.prepare(sql)?;
    let mut rows = statement.query([tenant.raw()])?;
    while let Some(row) = rows.next()? {
        let number = counter_of(row, 1)?;
        match state_of(row.get(0)?)? {
            InvocationState::Queued | InvocationState::Retrying => balance.waiting += number,
            InvocationState::Running => balance.in_flight += number,
            InvocationState::Succeeded => balance.succeeded += number,
            InvocationState::DeadLettered => balance.dead_lettered += number,
            InvocationState::Expired => balance.expired += number,
            InvocationState::Cancelled => balance.cancelled += number,
            // Of synchronous invokes alone; here it would be a bug, and `holds` says so.
            InvocationState::Failed => {}
        }
    }
    Ok(())
}

fn accepted(conn: &Connection, hour: partition::Hour, tenant: TenantId) -> Outcome<u64> {
    let mut accepted = 0;
    let own = format!("SELECT links FROM event_{hour} WHERE tenant = ? AND links IS NOT NULL");
    let mut statement = conn.prepare(&own)?;
    let mut rows = statement.query([tenant.raw()])?;
    while let Some(row) = rows.next()? {
        let links = Links::read(blob(row, 0)?)?;
        accepted += links.tenants.iter().filter(|other| other.is_none()).count() as u64;
    }
    let foreign = format!("SELECT links FROM event_{hour} WHERE foreign_tenants IS NOT NULL");
    let mut statement = conn.prepare(&foreign)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let links = Links::read(blob(row, 0)?)?;
        accepted += links.tenants.iter().filter(|other| **other == Some(tenant)).count() as u64;
    }
    Ok(accepted)
}
