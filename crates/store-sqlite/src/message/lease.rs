//! Handing messages out, and what their consumers may do with them.

use rusqlite::params;
use sublet_model::{Error, MessageLease, QueueId, Timestamp};
use sublet_store::{Bury, MessageRecord, Receive};

use super::{ACKED, EXPIRED, PENDING, count, each, pending_record, read, write_end};
use crate::command::Batch;
use crate::fail::Outcome;

fn fenced(lease: MessageLease) -> Error {
    Error::fenced(format!("{lease} is no longer held"))
}

pub(super) fn receive(batch: &mut Batch<'_, '_>, queue: QueueId, one: &Receive, now: Timestamp) -> Outcome<()> {
    const SQL: &str = "UPDATE message SET leased = 1, receives = ?3, tries = tries + 1, due = ?4 \
         WHERE id = ?1 AND queue = ?2 AND receives = ?3 - 1 AND due <= ?5";
    let id = one.lease.message;
    let changed = batch.conn.prepare_cached(SQL)?.execute(params![
        id.raw(),
        queue.raw(),
        one.lease.receive,
        one.until.millis(),
        now.millis()
    ])?;
    if changed == 0 {
        return Err(Error::conflict(format!("{id} is not to be received as {}", one.lease.receive)).into());
    }
    Ok(())
}

/// Takes a message that waits or is in flight out of its table.
fn take(batch: &mut Batch<'_, '_>, queue: QueueId, lease: MessageLease, leased: bool) -> Outcome<MessageRecord> {
    const SQL: &str = "DELETE FROM message WHERE id = ?1 AND queue = ?2 AND receives = ?3 AND leased >= ?4 \
         RETURNING id, queue, event, tenant, due, receives, tries, origin, leased, input";
    let mut statement = batch.conn.prepare_cached(SQL)?;
    let mut rows = statement.query(params![lease.message.raw(), queue.raw(), lease.receive, leased])?;
    match rows.next()? {
        Some(row) => pending_record(row),
        None => Err(fenced(lease).into()),
    }
}

pub(super) fn ack(
    batch: &mut Batch<'_, '_>,
    queue: QueueId,
    leases: &[MessageLease],
    now: Timestamp,
) -> Outcome<Vec<Result<(), Error>>> {
    let answers = each(leases, |lease| {
        let record = take(batch, queue, *lease, true)?;
        write_end(batch, &record, ACKED, now)
    })?;
    let acked = answers.iter().filter(|answer| answer.is_ok()).count() as u64;
    count(batch.conn, queue, ACKED, acked)?;
    Ok(answers)
}

pub(super) fn extend(
    batch: &mut Batch<'_, '_>,
    queue: QueueId,
    lease: MessageLease,
    until: Timestamp,
    now: Timestamp,
) -> Outcome<()> {
    const SQL: &str = "UPDATE message SET due = ?4 WHERE id = ?1 AND queue = ?2 AND receives = ?3 AND leased = 1 \
         AND due > ?5";
    let changed = batch.conn.prepare_cached(SQL)?.execute(params![
        lease.message.raw(),
        queue.raw(),
        lease.receive,
        until.millis(),
        now.millis()
    ])?;
    if changed == 0 { Err(fenced(lease).into()) } else { Ok(()) }
}

pub(super) fn release(batch: &mut Batch<'_, '_>, queue: QueueId, lease: MessageLease, due: Timestamp) -> Outcome<()> {
    const SQL: &str = "UPDATE message SET leased = 0, due = ?4 WHERE id = ?1 AND queue = ?2 AND receives = ?3 \
         AND leased = 1";
    let changed = batch.conn.prepare_cached(SQL)?.execute(params![
        lease.message.raw(),
        queue.raw(),
        lease.receive,
        due.millis()
    ])?;
    if changed == 0 {
        return Err(fenced(lease).into());
    }
    let mut statement = batch.conn.prepare_cached(&format!("{PENDING} WHERE id = ?"))?;
    if let Some(row) = statement.query([lease.message.raw()])?.next()? {
        batch.after.messages.push(pending_record(row)?.pending());
    }
    Ok(())
}

pub(super) fn bury(
    batch: &mut Batch<'_, '_>,
    queue: QueueId,
    lease: MessageLease,
    how: Bury,
    now: Timestamp,
) -> Outcome<()> {
    // Read before it is taken away.
    let body = if how == Bury::Dead { read::body(batch.conn, lease.message)? } else { None };
    let record = take(batch, queue, lease, false)?;
    if how == Bury::Expired {
        write_end(batch, &record, EXPIRED, now)?;
        return count(batch.conn, queue, EXPIRED, 1);
    }
    let origin = record.origin.map(|origin| serde_json::to_string(&origin)).transpose()?;
    batch.conn.prepare_cached("INSERT INTO message_dead VALUES (?,?,?,?,?,?,?,?,?,?)")?.execute(params![
        queue.raw(),
        record.id.raw(),
        record.event.raw(),
        record.tenant.map(sublet_model::TenantId::raw),
        record.due.millis(),
        record.receives,
        record.tries,
        now.millis(),
        origin,
        body.as_deref(),
    ])?;
    Ok(())
}
