//! Deliveries: those that wait in one small table, those that ended in their hour's.

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::{Connection, Row, params};
use sublet_model::{DeliveryId, Error, EventId, Name, TenantId, Timestamp};
use sublet_store::delivery::DeliveryState;
use sublet_store::{
    Deliveries, DeliveryAttempt, DeliveryNext, DeliveryRecord, Listing, MessageOrigin, Page, PendingDelivery,
};
use tokio::sync::mpsc;

use crate::bus::{read_body, read_input};
use crate::command::Batch;
use crate::fail::{Fail, Outcome};
use crate::listing::{self, Source};
use crate::message;
use crate::option::ARRIVALS_PER_MESSAGE;
use crate::partition::{self, Partition, hour_of};
use crate::row::moment;
use crate::store::SqliteStore;

const PENDING: u8 = 0;
const DELIVERED: u8 = 1;
const FAILED: u8 = 2;

fn state_code(state: DeliveryState) -> u8 {
    match state {
        DeliveryState::Pending => PENDING,
        DeliveryState::Delivered => DELIVERED,
        DeliveryState::Failed => FAILED,
    }
}

/// Seven columns: id, webhook, event, tenant, state, due, tries.
fn record_of(row: &Row<'_>) -> Outcome<DeliveryRecord> {
    let webhook: String = row.get(1)?;
    let state = match row.get(4)? {
        PENDING => DeliveryState::Pending,
        DELIVERED => DeliveryState::Delivered,
        FAILED => DeliveryState::Failed,
        other => return Err(Fail::corrupt(format!("delivery state {other}"))),
    };
    Ok(DeliveryRecord {
        id: DeliveryId::from_raw(row.get(0)?),
        webhook: webhook.parse::<Name>().map_err(|e| Fail::corrupt(e.to_string()))?,
        event: EventId::from_raw(row.get(2)?),
        tenant: row.get::<_, Option<i64>>(3)?.map(TenantId::from_raw),
        state,
        due: moment(row, 5)?,
        attempts: serde_json::from_str(&row.get::<_, String>(6)?)?,
    })
}

fn pending_of(record: &DeliveryRecord, due: Timestamp) -> PendingDelivery {
    PendingDelivery {
        id: record.id,
        webhook: record.webhook.clone(),
        event: record.event,
        attempts: u32::try_from(record.attempts.len()).unwrap_or(u32::MAX),
        due,
    }
}

const PENDING_COLUMNS: &str = "id, webhook, event, tenant, 0, due, tries";

fn read(conn: &Connection, id: DeliveryId) -> Outcome<Option<DeliveryRecord>> {
    let mut statement =
        conn.prepare_cached("SELECT id, webhook, event, tenant, 0, due, tries FROM delivery WHERE id = ?")?;
    if let Some(row) = statement.query([id.raw()])?.next()? {
        return Ok(Some(record_of(row)?));
    }
    let hour = hour_of(id.raw());
    if !partition::exists(conn, hour)? {
        return Ok(None);
    }
    let sql = format!("SELECT id, webhook, event, tenant, state, due, tries FROM delivery_{hour} WHERE id = ?");
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query([id.raw()])?;
    rows.next()?.map(record_of).transpose()
}

fn settle(batch: &mut Batch<'_, '_>, id: DeliveryId, attempt: &DeliveryAttempt, next: DeliveryNext) -> Outcome<()> {
    let mut record = read(batch.conn, id)?.ok_or_else(|| Error::not_found(format!("delivery {id}")))?;
    if record.state != DeliveryState::Pending {
        return Err(Error::conflict(format!("delivery {id} is not pending")).into());
    }
    record.attempts.push(attempt.clone());
    match next {
        DeliveryNext::Delivered => end(batch, &record, DELIVERED),
        DeliveryNext::Failed => end(batch, &record, FAILED),
        DeliveryNext::DeadLetter { message } => {
            if let Some(queue) = message::dead_letter_of(batch.conn, id.raw())? {
                let origin = MessageOrigin::Delivery { id };
                message::put_dead_letter(batch, message, queue, record.event, origin, attempt.at)?;
            }
            end(batch, &record, FAILED)
        }
        DeliveryNext::Retry { due } => {
            let tries = serde_json::to_string(&record.attempts)?;
            let sql = "UPDATE delivery SET due = ?, tries = ? WHERE id = ?";
            batch.conn.prepare_cached(sql)?.execute(params![due.millis(), tries, id.raw()])?;
            batch.after.deliveries.push(pending_of(&record, due));
            Ok(())
        }
    }
}

fn end(batch: &mut Batch<'_, '_>, record: &DeliveryRecord, state: u8) -> Outcome<()> {
    batch.hot.for_id(record.id.raw())?.delivery.execute(params![
        record.id.raw(),
        record.webhook.as_str(),
        record.event.raw(),
        record.tenant.map(TenantId::raw),
        state,
        record.due.millis(),
        serde_json::to_string(&record.attempts)?,
    ])?;
    batch.conn.prepare_cached("DELETE FROM delivery WHERE id = ?")?.execute([record.id.raw()])?;
    // Its dead-letter queue stays noted: it may be replayed.
    Ok(())
}

/// Gives up the deliveries of a tenant that is deleted.
pub(crate) fn fail_all_of(batch: &mut Batch<'_, '_>, tenant: TenantId) -> Outcome<()> {
    let mut records = Vec::new();
    let mut statement = batch.conn.prepare(&format!("SELECT {PENDING_COLUMNS} FROM delivery WHERE tenant = ?"))?;
    let mut rows = statement.query([tenant.raw()])?;
    while let Some(row) = rows.next()? {
        records.push(record_of(row)?);
    }
    for record in records {
        end(batch, &record, FAILED)?;
    }
    Ok(())
}

fn arrivals(batch: &mut Batch<'_, '_>) -> Outcome<mpsc::UnboundedReceiver<Vec<PendingDelivery>>> {
    let mut backlog = Vec::new();
    let mut statement = batch.conn.prepare(&format!("SELECT {PENDING_COLUMNS} FROM delivery"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let record = record_of(row)?;
        backlog.push(pending_of(&record, record.due));
    }
    backlog.sort_unstable_by_key(|pending| (pending.due, pending.id));
    let (sender, receiver) = mpsc::unbounded_channel();
    for part in backlog.chunks(ARRIVALS_PER_MESSAGE) {
        // The receiver is in our own hands.
        drop(sender.send(part.to_vec()));
    }
    batch.after.delivery_arrivals = Some(sender);
    Ok(receiver)
}

#[async_trait]
impl Deliveries for SqliteStore {
    async fn delivery_arrivals(&self) -> Result<mpsc::UnboundedReceiver<Vec<PendingDelivery>>, Error> {
        self.write(arrivals).await
    }

    async fn settle_delivery(&self, id: DeliveryId, attempt: DeliveryAttempt, next: DeliveryNext) -> Result<(), Error> {
        self.write(move |batch| settle(batch, id, &attempt, next)).await
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryRecord>, Error> {
        self.read(move |conn| read(conn, id)).await
    }

    async fn deliveries(
        &self,
        webhook: Option<&Name>,
        state: Option<DeliveryState>,
        page: Page,
    ) -> Result<Listing<DeliveryRecord>, Error> {
        let (below, rows_max) = listing::start::<DeliveryId>(&page, DeliveryId::raw)?;
        let webhook = webhook.cloned();
        self.read(move |conn| {
            let sources = |hour: &Partition| {
                vec![
                    Source::new("id, webhook, 0", "delivery", ""),
                    Source::new("id, webhook, state", &format!("delivery_{}", hour.hour), ""),
                ]
            };
            let accept = |row: &Row<'_>| {
                let hook = row.get_ref(1)?.as_bytes().map_err(|e| Fail::corrupt(e.to_string()))?;
                let code: u8 = row.get(2)?;
                Ok(webhook.as_ref().is_none_or(|name| name.as_str().as_bytes() == hook)
                    && state.is_none_or(|state| state_code(state) == code))
            };
            let found = listing::newest_first(conn, below, rows_max, sources, accept)?;
            let mut items = Vec::with_capacity(found.ids.len());
            for id in found.ids {
                let record = read(conn, DeliveryId::from_raw(id))?;
                items.push(record.ok_or_else(|| Fail::corrupt("a delivery that was listed and is not there"))?);
            }
            Ok(Listing { items, next: found.next.map(|id| DeliveryId::from_raw(id).to_string()) })
        })
        .await
    }

    async fn delivery_body(&self, delivery: DeliveryId, event: EventId) -> Result<Option<Bytes>, Error> {
        self.read(move |conn| {
            let input = read_input(conn, delivery.raw())?;
            let body = if input.is_some() { input } else { read_body(conn, event)? };
            Ok(body.filter(|body| !body.is_empty()).map(Bytes::from))
        })
        .await
    }
}
