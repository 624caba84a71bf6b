//! Deliveries: those that wait in one small table, those that ended in their hour's.

mod list;
mod replay;
mod tries;

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::{Connection, Row, params};
use sublet_model::{DeliveryId, Error, EventId, Name, TenantId, Timestamp};
use sublet_store::delivery::DeliveryState;
use sublet_store::{
    Deliveries, DeliveryAttempt, DeliveryBalance, DeliveryCounts, DeliveryFilter, DeliveryNext, DeliveryRecord,
    Listing, MessageOrigin, Page, PendingDelivery,
};
use tokio::sync::mpsc;

use crate::bus::{read_body, read_input};
use crate::command::Batch;
use crate::fail::{Fail, Outcome};
use crate::message;
use crate::option::ARRIVALS_PER_MESSAGE;
use crate::partition::{self, hour_of};
use crate::registry::webhook;
use crate::row::moment;
use crate::store::SqliteStore;
use tries::Tries;

const PENDING: u8 = 0;
const DELIVERED: u8 = 1;
const FAILED: u8 = 2;

fn state_of(code: u8) -> Outcome<DeliveryState> {
    match code {
        PENDING => Ok(DeliveryState::Pending),
        DELIVERED => Ok(DeliveryState::Delivered),
        FAILED => Ok(DeliveryState::Failed),
        other => Err(Fail::corrupt(format!("delivery state {other}"))),
    }
}

/// A delivery, and its tries since it was accepted or last replayed.
struct Found {
    record: DeliveryRecord,
    round: u32,
}

const PENDING_COLUMNS: &str = "id, webhook, event, tenant, 0, due, tries";

/// Seven columns: see [`PENDING_COLUMNS`].
fn found_of(row: &Row<'_>) -> Outcome<Found> {
    let webhook: String = row.get(1)?;
    let Tries { list, replays, round } = Tries::read(&row.get::<_, String>(6)?)?;
    let record = DeliveryRecord {
        id: DeliveryId::from_raw(row.get(0)?),
        webhook: webhook.parse::<Name>().map_err(|e| Fail::corrupt(e.to_string()))?,
        event: EventId::from_raw(row.get(2)?),
        tenant: row.get::<_, Option<i64>>(3)?.map(TenantId::from_raw),
        state: state_of(row.get(4)?)?,
        due: moment(row, 5)?,
        replays,
        attempts: list,
    };
    Ok(Found { record, round })
}

fn pending_of(record: &DeliveryRecord, attempts: u32, due: Timestamp) -> PendingDelivery {
    PendingDelivery { id: record.id, webhook: record.webhook.clone(), event: record.event, attempts, due }
}

fn not_found(id: DeliveryId) -> Error {
    Error::not_found(format!("delivery {id}"))
}

fn read(conn: &Connection, id: DeliveryId) -> Outcome<Option<Found>> {
    let mut statement = conn.prepare_cached(&format!("SELECT {PENDING_COLUMNS} FROM delivery WHERE id = ?"))?;
    if let Some(row) = statement.query([id.raw()])?.next()? {
        return Ok(Some(found_of(row)?));
    }
    let hour = hour_of(id.raw());
    if !partition::exists(conn, hour)? {
        return Ok(None);
    }
    let sql = format!("SELECT id, webhook, event, tenant, state, due, tries FROM delivery_{hour} WHERE id = ?");
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query([id.raw()])?;
    rows.next()?.map(found_of).transpose()
}

fn settle(
    batch: &mut Batch<'_, '_>,
    id: DeliveryId,
    attempt: &DeliveryAttempt,
    next: DeliveryNext,
) -> Outcome<Option<Timestamp>> {
    let Found { mut record, round } = read(batch.conn, id)?.ok_or_else(|| not_found(id))?;
    if record.state != DeliveryState::Pending {
        return Err(Error::conflict(format!("delivery {id} is not pending")).into());
    }
    record.add(attempt.clone());
    let round = round + 1;
    match next {
        DeliveryNext::Delivered => end(batch, &record, round, DELIVERED)?,
        DeliveryNext::Failed => end(batch, &record, round, FAILED)?,
        DeliveryNext::DeadLetter { message } | DeliveryNext::Dropped { message } => {
            if let Some(queue) = message::dead_letter_of(batch.conn, id.raw())? {
                let origin = MessageOrigin::Delivery { id };
                message::put_dead_letter(batch, message, queue, record.event, origin, attempt.at)?;
            }
            end(batch, &record, round, FAILED)?;
        }
        DeliveryNext::Retry { due } => {
            put_back(batch, &record, round, due)?;
            batch.after.deliveries.push(pending_of(&record, round, due));
        }
    }
    webhook::note_try(batch.conn, &record.webhook, attempt.at, next)
}

fn tries_of(record: &DeliveryRecord, round: u32) -> Outcome<String> {
    Tries { list: record.attempts.clone(), replays: record.replays, round }.write()
}

/// It waits already, and goes on waiting.
fn put_back(batch: &mut Batch<'_, '_>, record: &DeliveryRecord, round: u32, due: Timestamp) -> Outcome<()> {
    let tries = tries_of(record, round)?;
    let sql = "UPDATE delivery SET due = ?, tries = ? WHERE id = ?";
    batch.conn.prepare_cached(sql)?.execute(params![due.millis(), tries, record.id.raw()])?;
    Ok(())
}

fn end(batch: &mut Batch<'_, '_>, record: &DeliveryRecord, round: u32, state: u8) -> Outcome<()> {
    batch.hot.for_id(record.id.raw())?.delivery.execute(params![
        record.id.raw(),
        record.webhook.as_str(),
        record.event.raw(),
        record.tenant.map(TenantId::raw),
        state,
        record.due.millis(),
        tries_of(record, round)?,
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
        records.push(found_of(row)?);
    }
    for Found { record, round } in records {
        end(batch, &record, round, FAILED)?;
    }
    Ok(())
}

fn arrivals(batch: &mut Batch<'_, '_>) -> Outcome<mpsc::UnboundedReceiver<Vec<PendingDelivery>>> {
    let mut backlog = Vec::new();
    let mut statement = batch.conn.prepare(&format!("SELECT {PENDING_COLUMNS} FROM delivery"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let Found { record, round } = found_of(row)?;
        backlog.push(pending_of(&record, round, record.due));
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

    async fn settle_delivery(
        &self,
        id: DeliveryId,
        attempt: DeliveryAttempt,
        next: DeliveryNext,
    ) -> Result<Option<Timestamp>, Error> {
        self.write(move |batch| settle(batch, id, &attempt, next)).await
    }

    async fn replay_delivery(&self, id: DeliveryId, now: Timestamp) -> Result<DeliveryRecord, Error> {
        self.write(move |batch| replay::replay(batch, id, now)).await
    }

    async fn replay_failed(&self, webhook: &Name, since: Timestamp, now: Timestamp) -> Result<u64, Error> {
        replay::replay_failed(self, webhook, since, now).await
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryRecord>, Error> {
        self.read(move |conn| Ok(read(conn, id)?.map(|found| found.record))).await
    }

    async fn deliveries(&self, filter: DeliveryFilter, page: Page) -> Result<Listing<DeliveryRecord>, Error> {
        list::deliveries(self, filter, page).await
    }

    async fn delivery_counts(&self, webhook: Option<&Name>) -> Result<DeliveryCounts, Error> {
        let webhook = webhook.cloned();
        self.read(move |conn| list::counts(conn, webhook.as_ref())).await
    }

    async fn delivery_balance(&self) -> Result<DeliveryBalance, Error> {
        self.read(list::balance).await
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
