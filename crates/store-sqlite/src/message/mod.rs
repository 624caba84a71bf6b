//! Named queues and their messages: those that wait or are in flight in one small table, dead ones in another, those
//! that ended in their hour's. One file per family of verbs.

mod dead;
mod lease;
mod queue;
mod read;

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row, params};
use sublet_model::{Error, EventId, MessageId, MessageLease, Name, QueueId, QueueSpec, TenantId, Timestamp};
use sublet_store::{
    Bury, Listing, MessageOrigin, MessageRecord, MessageSelection, MessageState, Messages, NewMessage, Page,
    PendingMessage, QueueBalance, QueueRecord, Receive,
};
use tokio::sync::mpsc;

use crate::command::Batch;
use crate::fail::{Fail, Outcome};
use crate::option::ARRIVALS_PER_MESSAGE;
use crate::row::moment;
use crate::store::SqliteStore;

const ACKED: u8 = 2;
const EXPIRED: u8 = 4;
const ERASED: u8 = 5;

/// Eight columns: id, queue, event, tenant, due, receives, tries, origin.
fn record_of(row: &Row<'_>, state: MessageState, ended: Option<Timestamp>) -> Outcome<MessageRecord> {
    let origin: Option<String> = row.get(7)?;
    Ok(MessageRecord {
        id: MessageId::from_raw(row.get(0)?),
        queue: QueueId::from_raw(row.get(1)?),
        event: EventId::from_raw(row.get(2)?),
        tenant: row.get::<_, Option<i64>>(3)?.map(TenantId::from_raw),
        state,
        due: moment(row, 4)?,
        receives: row.get(5)?,
        tries: row.get(6)?,
        origin: origin.map(|text| serde_json::from_str(&text)).transpose()?,
        ended,
    })
}

const PENDING: &str = "SELECT id, queue, event, tenant, due, receives, tries, origin, leased, input FROM message";

fn pending_record(row: &Row<'_>) -> Outcome<MessageRecord> {
    let state = if row.get::<_, bool>(8)? { MessageState::Leased } else { MessageState::Waiting };
    record_of(row, state, None)
}

/// Puts a message. It is not put, and that is no error, when its queue is gone.
pub(crate) fn put(batch: &mut Batch<'_, '_>, new: &NewMessage, origin: Option<MessageOrigin>) -> Outcome<()> {
    let count = "UPDATE queue SET put = put + 1 WHERE id = ?";
    if batch.conn.prepare_cached(count)?.execute([new.queue.raw()])? == 0 {
        return Ok(());
    }
    // The hour must have its tables from here on, since it ends there.
    batch.hot.for_id(new.id.raw())?;
    let origin = origin.map(|origin| serde_json::to_string(&origin)).transpose()?;
    batch.conn.prepare_cached("INSERT INTO message VALUES (?,?,?,?,?,0,0,0,?,?)")?.execute(params![
        new.id.raw(),
        new.queue.raw(),
        new.event.raw(),
        new.tenant.map(TenantId::raw),
        new.due.millis(),
        origin,
        new.input.as_deref(),
    ])?;
    batch.after.messages.push(PendingMessage {
        id: new.id,
        queue: new.queue,
        event: new.event,
        due: new.due,
        receives: 0,
        tries: 0,
        is_leased: false,
    });
    Ok(())
}

/// Puts the dead letter of something else. It carries a copy of its event's envelope, because the event may be much
/// older and leave sooner.
pub(crate) fn put_dead_letter(
    batch: &mut Batch<'_, '_>,
    id: MessageId,
    queue: QueueId,
    event: EventId,
    origin: MessageOrigin,
    now: Timestamp,
) -> Outcome<()> {
    let Some(found) = crate::bus::read_event(batch.conn, event)? else { return Ok(()) };
    let new = NewMessage { id, queue, event, tenant: found.tenant, due: now, input: Some(found.body) };
    put(batch, &new, Some(origin))
}

/// Writes where a message ended. It was taken from where it was in the same transaction.
fn write_end(batch: &mut Batch<'_, '_>, record: &MessageRecord, state: u8, now: Timestamp) -> Outcome<()> {
    let origin = record.origin.map(|origin| serde_json::to_string(&origin)).transpose()?;
    batch.hot.for_id(record.id.raw())?.message.execute(params![
        record.id.raw(),
        record.queue.raw(),
        record.event.raw(),
        record.tenant.map(TenantId::raw),
        state,
        record.due.millis(),
        record.receives,
        record.tries,
        now.millis(),
        origin,
    ])?;
    Ok(())
}

/// Adds to one of a queue's counters.
fn count(conn: &Connection, queue: QueueId, state: u8, by: u64) -> Outcome<()> {
    let sql = match state {
        ACKED => "UPDATE queue SET acked = acked + ?2 WHERE id = ?1",
        EXPIRED => "UPDATE queue SET expired = expired + ?2 WHERE id = ?1",
        _ => "UPDATE queue SET erased = erased + ?2 WHERE id = ?1",
    };
    if by > 0 {
        conn.prepare_cached(sql)?.execute((queue.raw(), by.cast_signed()))?;
    }
    Ok(())
}

/// Erases what a tenant that is deleted has in queues.
pub(crate) fn erase_tenant(batch: &mut Batch<'_, '_>, tenant: TenantId, now: Timestamp) -> Outcome<()> {
    let mut gone = Vec::new();
    for sql in [format!("{PENDING} WHERE tenant = ?"), format!("{} WHERE tenant = ?", dead::DEAD)] {
        let mut statement = batch.conn.prepare(&sql)?;
        let mut rows = statement.query([tenant.raw()])?;
        while let Some(row) = rows.next()? {
            gone.push(record_of(row, MessageState::Erased, None)?);
        }
    }
    batch.conn.execute("DELETE FROM message WHERE tenant = ?", [tenant.raw()])?;
    batch.conn.execute("DELETE FROM message_dead WHERE tenant = ?", [tenant.raw()])?;
    for record in &gone {
        write_end(batch, record, ERASED, now)?;
        count(batch.conn, record.queue, ERASED, 1)?;
    }
    Ok(())
}

/// The queue that a delivery is put into when it is given up.
pub(crate) fn note_dead_letter(conn: &Connection, delivery: i64, queue: QueueId) -> Outcome<()> {
    let sql = "INSERT INTO delivery_dead_letter VALUES (?, ?)";
    conn.prepare_cached(sql)?.execute((delivery, queue.raw()))?;
    Ok(())
}

pub(crate) fn dead_letter_of(conn: &Connection, delivery: i64) -> Outcome<Option<QueueId>> {
    let sql = "SELECT queue FROM delivery_dead_letter WHERE delivery = ?";
    let found: Option<i64> = conn.prepare_cached(sql)?.query_row([delivery], |row| row.get(0)).optional()?;
    Ok(found.map(QueueId::from_raw))
}

fn arrivals(batch: &mut Batch<'_, '_>) -> Outcome<mpsc::UnboundedReceiver<Vec<PendingMessage>>> {
    let mut backlog = Vec::new();
    let mut statement = batch.conn.prepare(PENDING)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        backlog.push(pending_record(row)?.pending());
    }
    backlog.sort_unstable_by_key(|pending| (pending.due, pending.id));
    let (sender, receiver) = mpsc::unbounded_channel();
    for part in backlog.chunks(ARRIVALS_PER_MESSAGE) {
        // The receiver is in our own hands.
        drop(sender.send(part.to_vec()));
    }
    batch.after.message_arrivals = Some(sender);
    Ok(receiver)
}

#[async_trait]
impl Messages for SqliteStore {
    async fn put_queue(&self, name: &Name, spec: QueueSpec, now: Timestamp) -> Result<(QueueRecord, bool), Error> {
        let name = name.clone();
        self.change(move |batch| queue::put(batch, &name, &spec, now)).await
    }

    async fn queue(&self, name: &Name) -> Result<Option<QueueRecord>, Error> {
        let name = name.clone();
        self.read(move |conn| queue::by_name(conn, &name)).await
    }

    async fn queues(&self) -> Result<Vec<QueueRecord>, Error> {
        self.read(queue::list).await
    }

    async fn delete_queue(&self, name: &Name) -> Result<(), Error> {
        let name = name.clone();
        self.change(move |batch| queue::delete(batch.conn, &name)).await
    }

    async fn message_arrivals(&self) -> Result<mpsc::UnboundedReceiver<Vec<PendingMessage>>, Error> {
        self.write(arrivals).await
    }

    async fn receive(
        &self,
        queue: QueueId,
        receives: Vec<Receive>,
        now: Timestamp,
    ) -> Result<Vec<Result<(), Error>>, Error> {
        self.write(move |batch| each(&receives, |one| lease::receive(batch, queue, one, now))).await
    }

    async fn ack(
        &self,
        queue: QueueId,
        leases: Vec<MessageLease>,
        now: Timestamp,
    ) -> Result<Vec<Result<(), Error>>, Error> {
        self.write(move |batch| lease::ack(batch, queue, &leases, now)).await
    }

    async fn extend_messages(
        &self,
        queue: QueueId,
        leases: Vec<MessageLease>,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<Result<(), Error>>, Error> {
        self.write(move |batch| each(&leases, |lease| lease::extend(batch, queue, *lease, until, now))).await
    }

    async fn release(
        &self,
        queue: QueueId,
        leases: Vec<MessageLease>,
        due: Timestamp,
    ) -> Result<Vec<Result<(), Error>>, Error> {
        self.write(move |batch| each(&leases, |lease| lease::release(batch, queue, *lease, due))).await
    }

    async fn bury_messages(
        &self,
        queue: QueueId,
        leases: Vec<MessageLease>,
        how: Bury,
        now: Timestamp,
    ) -> Result<Vec<Result<(), Error>>, Error> {
        self.write(move |batch| each(&leases, |lease| lease::bury(batch, queue, *lease, how, now))).await
    }

    async fn expire_dead_messages(&self, queue: QueueId, before: Timestamp, now: Timestamp) -> Result<u64, Error> {
        self.write(move |batch| dead::expire(batch, queue, before, now)).await
    }

    async fn dead_messages(&self, queue: QueueId, page: Page) -> Result<Listing<MessageRecord>, Error> {
        dead::list(self, queue, page).await
    }

    async fn redrive_messages(
        &self,
        queue: QueueId,
        selection: MessageSelection,
        now: Timestamp,
    ) -> Result<u64, Error> {
        dead::in_slices(self, queue, selection, move |batch, id| dead::redrive(batch, queue, id, now)).await
    }

    async fn purge_messages(&self, queue: QueueId, selection: MessageSelection, now: Timestamp) -> Result<u64, Error> {
        dead::in_slices(self, queue, selection, move |batch, id| dead::end(batch, queue, id, ERASED, now)).await
    }

    async fn message(&self, id: MessageId) -> Result<Option<MessageRecord>, Error> {
        self.read(move |conn| read::find(conn, id)).await
    }

    async fn carried(&self, ids: Vec<MessageId>) -> Result<Vec<Option<(MessageRecord, Bytes)>>, Error> {
        self.read(move |conn| ids.iter().map(|id| read::carried(conn, *id)).collect()).await
    }

    async fn queue_balance(&self, queue: QueueId, now: Timestamp) -> Result<QueueBalance, Error> {
        self.read(move |conn| read::balance(conn, queue, now)).await
    }

    async fn dead_count(&self, queue: QueueId) -> Result<u64, Error> {
        self.read(move |conn| read::dead_count(conn, queue)).await
    }
}

/// Answers each for itself: a refusal stands beside the others, anything else ends the verb.
fn each<T>(all: &[T], mut one: impl FnMut(&T) -> Outcome<()>) -> Outcome<Vec<Result<(), Error>>> {
    let mut answers = Vec::with_capacity(all.len());
    for item in all {
        answers.push(match one(item) {
            Ok(()) => Ok(()),
            Err(Fail::Refused(error)) => Err(error),
            Err(fail) => return Err(fail),
        });
    }
    Ok(answers)
}
