//! One message, what it carries, and a queue's balance.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension};
use sublet_model::{Error, EventId, MessageId, QueueId, Timestamp};
use sublet_store::{MessageRecord, MessageState, QueueBalance};

use super::dead::{DEAD, dead_record};
use super::{ACKED, ERASED, EXPIRED, PENDING, pending_record, record_of};
use crate::bus::read_body;
use crate::fail::{Fail, Outcome};
use crate::partition::{self, hour_of};
use crate::row::{blob, counter_of, moment};

/// A dead letter's queue is not known, and its table is in the order of queues: one look in each.
fn queue_ids(conn: &Connection) -> Outcome<Vec<i64>> {
    let mut statement = conn.prepare_cached("SELECT id FROM queue")?;
    let ids = statement.query_map([], |row| row.get(0))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

/// In the one place where it is.
pub(super) fn find(conn: &Connection, id: MessageId) -> Outcome<Option<MessageRecord>> {
    let mut statement = conn.prepare_cached(&format!("{PENDING} WHERE id = ?"))?;
    if let Some(row) = statement.query([id.raw()])?.next()? {
        return Ok(Some(pending_record(row)?));
    }
    let mut statement = conn.prepare_cached(&format!("{DEAD} WHERE queue = ? AND id = ?"))?;
    for queue in queue_ids(conn)? {
        if let Some(row) = statement.query((queue, id.raw()))?.next()? {
            return Ok(Some(dead_record(row)?));
        }
    }
    let hour = hour_of(id.raw());
    if !partition::exists(conn, hour)? {
        return Ok(None);
    }
    let sql = format!(
        "SELECT id, queue, event, tenant, due, receives, tries, origin, state, ended FROM message_{hour} WHERE id = ?"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query([id.raw()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let state = match row.get(8)? {
        ACKED => MessageState::Acked,
        EXPIRED => MessageState::Expired,
        ERASED => MessageState::Erased,
        other => return Err(Fail::corrupt(format!("message state {other}"))),
    };
    Ok(Some(record_of(row, state, Some(moment(row, 9)?))?))
}

pub(super) fn carried(conn: &Connection, id: MessageId) -> Outcome<Option<(MessageRecord, Bytes)>> {
    let Some(body) = body(conn, id)? else { return Ok(None) };
    Ok(find(conn, id)?.map(|record| (record, body)))
}

pub(super) fn body(conn: &Connection, id: MessageId) -> Outcome<Option<Bytes>> {
    let mut statement = conn.prepare_cached("SELECT event, input FROM message WHERE id = ?")?;
    let mut rows = statement.query([id.raw()])?;
    let body = match rows.next()? {
        Some(row) => match blob(row, 1)? {
            [] => read_body(conn, EventId::from_raw(row.get(0)?))?,
            input => Some(input.to_vec()),
        },
        None => dead_body(conn, id)?,
    };
    Ok(body.filter(|body| !body.is_empty()).map(Bytes::from))
}

fn dead_body(conn: &Connection, id: MessageId) -> Outcome<Option<Vec<u8>>> {
    let mut statement = conn.prepare_cached("SELECT input FROM message_dead WHERE queue = ? AND id = ?")?;
    for queue in queue_ids(conn)? {
        let found: Option<Option<Vec<u8>>> = statement.query_row((queue, id.raw()), |row| row.get(0)).optional()?;
        if let Some(input) = found {
            return Ok(input);
        }
    }
    Ok(None)
}

pub(super) fn balance(conn: &Connection, queue: QueueId, now: Timestamp) -> Outcome<QueueBalance> {
    const SQL: &str = "SELECT put, acked, expired, erased, \
         (SELECT count(*) FROM message WHERE queue = ?1 AND (leased = 0 OR due <= ?2)), \
         (SELECT count(*) FROM message WHERE queue = ?1 AND leased = 1 AND due > ?2), \
         (SELECT count(*) FROM message_dead WHERE queue = ?1) FROM queue WHERE id = ?1";
    let mut statement = conn.prepare_cached(SQL)?;
    let mut rows = statement.query((queue.raw(), now.millis()))?;
    let row = rows.next()?.ok_or_else(|| Error::not_found(format!("queue {queue}")))?;
    Ok(QueueBalance {
        put: counter_of(row, 0)?,
        acked: counter_of(row, 1)?,
        expired: counter_of(row, 2)?,
        erased: counter_of(row, 3)?,
        waiting: counter_of(row, 4)?,
        in_flight: counter_of(row, 5)?,
        dead: counter_of(row, 6)?,
    })
}

pub(super) fn dead_count(conn: &Connection, queue: QueueId) -> Outcome<u64> {
    let mut statement = conn.prepare_cached("SELECT count(*) FROM message_dead WHERE queue = ?")?;
    let count: i64 = statement.query_row([queue.raw()], |row| row.get(0))?;
    Ok(count.cast_unsigned())
}
