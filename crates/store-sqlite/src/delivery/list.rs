//! The delivery log: pages by webhook, state and tenant; counts; the conservation equation.
//!
//! An index by webhook and state leads to the rows of one webhook; the parts of it are walked side by side, each in the
//! order of ids. Without a webhook a page scans, as every listing without an index does.

use rusqlite::{Connection, Row};
use sublet_model::{DeliveryId, Error, Name};
use sublet_store::delivery::DeliveryState;
use sublet_store::{DeliveryBalance, DeliveryCounts, DeliveryFilter, DeliveryRecord, Listing, Page};

use super::{DELIVERED, FAILED, read, state_of};
use crate::fail::{Fail, Outcome};
use crate::listing::{self, Source};
use crate::partition::{self, Partition};
use crate::row::{Links, blob, counter_of};
use crate::store::SqliteStore;

pub(super) async fn deliveries(
    store: &SqliteStore,
    filter: DeliveryFilter,
    page: Page,
) -> Result<Listing<DeliveryRecord>, Error> {
    let (below, rows_max) = listing::start::<DeliveryId>(&page, DeliveryId::raw)?;
    store
        .read(move |conn| {
            // The columns of the filter, so that no other page of the row is looked at.
            let accept = |row: &Row<'_>| match filter.tenant {
                None => Ok(true),
                Some(tenant) => Ok(row.get::<_, Option<i64>>(1)? == Some(tenant.raw())),
            };
            let found = listing::newest_first(conn, below, rows_max, |hour| sources(&filter, hour), accept)?;
            let mut items = Vec::with_capacity(found.ids.len());
            for id in found.ids {
                let record = read(conn, DeliveryId::from_raw(id))?;
                let missing = || Fail::corrupt("a delivery that was listed and is not there");
                items.push(record.ok_or_else(missing)?.record);
            }
            Ok(Listing { items, next: found.next.map(|id| DeliveryId::from_raw(id).to_string()) })
        })
        .await
}

fn sources(filter: &DeliveryFilter, hour: &Partition) -> Vec<Source> {
    // A name has no quotes: see `Name`.
    let of_webhook = filter.webhook.as_ref().map(|name| format!("webhook = '{name}' AND"));
    let mut sources = Vec::new();
    if filter.state.is_none_or(|state| state == DeliveryState::Pending) {
        sources.push(Source::new("id, tenant", "delivery", of_webhook.as_deref().unwrap_or_default()));
    }
    let ended = [(DeliveryState::Delivered, DELIVERED), (DeliveryState::Failed, FAILED)];
    let wanted: Vec<u8> =
        ended.iter().filter(|(state, _)| filter.state.is_none_or(|own| own == *state)).map(|(_, code)| *code).collect();
    let table = format!("delivery_{}", hour.hour);
    match (&of_webhook, wanted.as_slice()) {
        (_, []) => {}
        (None, [_, _]) => sources.push(Source::new("id, tenant", &table, "")),
        (of_webhook, codes) => {
            let of_webhook = of_webhook.as_deref().unwrap_or_default();
            let each = codes.iter().map(|code| format!("{of_webhook} state = {code} AND"));
            sources.extend(each.map(|condition| Source::new("id, tenant", &table, &condition)));
        }
    }
    sources
}

/// By the index alone where a webhook is named.
pub(super) fn counts(conn: &Connection, webhook: Option<&Name>) -> Outcome<DeliveryCounts> {
    let own = webhook.map_or(String::new(), |name| format!("WHERE webhook = '{name}'"));
    let pending = conn.query_row(&format!("SELECT count(*) FROM delivery {own}"), [], |row| row.get::<_, i64>(0))?;
    let mut counts = DeliveryCounts { pending: u64::try_from(pending).unwrap_or(0), ..DeliveryCounts::default() };
    for partition in partition::list(conn)? {
        let sql = format!("SELECT state, count(*) FROM delivery_{} {own} GROUP BY state", partition.hour);
        let mut statement = conn.prepare(&sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let number = counter_of(row, 1)?;
            match state_of(row.get(0)?)? {
                DeliveryState::Delivered => counts.delivered += number,
                DeliveryState::Failed => counts.failed += number,
                DeliveryState::Pending => return Err(Fail::corrupt("a pending delivery among those that ended")),
            }
        }
    }
    Ok(counts)
}

/// `accepted` is counted where deliveries are born, in the events that led to them, so that the equation can fail.
pub(super) fn balance(conn: &Connection) -> Outcome<DeliveryBalance> {
    let mut accepted = 0;
    for partition in partition::list(conn)? {
        let sql = format!("SELECT links FROM event_{} WHERE links IS NOT NULL", partition.hour);
        let mut statement = conn.prepare(&sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            accepted += Links::read(blob(row, 0)?)?.deliveries.len() as u64;
        }
    }
    Ok(DeliveryBalance { accepted, counts: counts(conn, None)? })
}
