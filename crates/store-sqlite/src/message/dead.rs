//! A queue's dead letters: listed, put back, ended. Many at once go in slices of their own commits, so that nobody
//! waits for a million rows.

use rusqlite::{Connection, Row, params};
use sublet_model::{Error, MessageId, QueueId, Timestamp};
use sublet_store::{Listing, MessageRecord, MessageSelection, MessageState, Page};

use super::{EXPIRED, PENDING, count, pending_record, record_of, write_end};
use crate::command::Batch;
use crate::fail::Outcome;
use crate::listing;
use crate::option::SLICE_MOVE_ROWS;
use crate::row::moment;
use crate::store::SqliteStore;

pub(super) const DEAD: &str =
    "SELECT id, queue, event, tenant, due, receives, tries, origin, ended, input FROM message_dead";

pub(super) fn dead_record(row: &Row<'_>) -> Outcome<MessageRecord> {
    record_of(row, MessageState::Dead, Some(moment(row, 8)?))
}

pub(super) async fn list(store: &SqliteStore, queue: QueueId, page: Page) -> Result<Listing<MessageRecord>, Error> {
    let (below, rows_max) = listing::start::<MessageId>(&page, MessageId::raw)?;
    store
        .read(move |conn| {
            let sql = format!("{DEAD} WHERE queue = ? AND id < ? ORDER BY id DESC LIMIT ?");
            let mut statement = conn.prepare_cached(&sql)?;
            let wanted = i64::try_from(rows_max + 1).unwrap_or(i64::MAX);
            let mut rows = statement.query((queue.raw(), below, wanted))?;
            let mut items = Vec::new();
            while let Some(row) = rows.next()? {
                items.push(dead_record(row)?);
            }
            let more = items.len() > rows_max;
            items.truncate(rows_max);
            let next = if more { items.last().map(|record| record.id.to_string()) } else { None };
            Ok(Listing { items, next })
        })
        .await
}

/// Does `one` to the selected dead letters, and answers to how many.
pub(super) async fn in_slices<F>(
    store: &SqliteStore,
    queue: QueueId,
    selection: MessageSelection,
    one: F,
) -> Result<u64, Error>
where
    F: Fn(&mut Batch<'_, '_>, MessageId) -> Outcome<bool> + Copy + Send + 'static,
{
    let mut done = 0;
    match selection {
        MessageSelection::Ids(mut ids) => {
            ids.sort_unstable();
            ids.dedup();
            for part in ids.chunks(SLICE_MOVE_ROWS) {
                let part = part.to_vec();
                done += store.write(move |batch| of_each(batch, &part, one)).await?;
            }
        }
        MessageSelection::All => {
            let mut above = i64::MIN;
            loop {
                let (count, last) = store
                    .write(move |batch| {
                        let ids = ids_above(batch.conn, queue, above)?;
                        Ok((of_each(batch, &ids, one)?, ids.last().map(|id| id.raw())))
                    })
                    .await?;
                done += count;
                match last {
                    Some(last) => above = last,
                    None => break,
                }
            }
        }
    }
    Ok(done)
}

fn of_each(
    batch: &mut Batch<'_, '_>,
    ids: &[MessageId],
    one: impl Fn(&mut Batch<'_, '_>, MessageId) -> Outcome<bool>,
) -> Outcome<u64> {
    let mut done = 0;
    for id in ids {
        done += u64::from(one(batch, *id)?);
    }
    Ok(done)
}

fn ids_above(conn: &Connection, queue: QueueId, above: i64) -> Outcome<Vec<MessageId>> {
    let sql = "SELECT id FROM message_dead WHERE queue = ? AND id > ? ORDER BY id LIMIT ?";
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map((queue.raw(), above, SLICE_MOVE_ROWS as i64), |row| row.get(0))?;
    Ok(rows.map(|id| id.map(MessageId::from_raw)).collect::<Result<_, _>>()?)
}

/// Answers whether it was a dead letter of the queue. Its receives go on counting, so that no old lease fits.
pub(super) fn redrive(batch: &mut Batch<'_, '_>, queue: QueueId, id: MessageId, now: Timestamp) -> Outcome<bool> {
    const INSERT: &str = "INSERT INTO message SELECT id, queue, event, tenant, ?3, 0, receives, 0, origin, input \
         FROM message_dead WHERE queue = ?1 AND id = ?2";
    let inserted = batch.conn.prepare_cached(INSERT)?.execute(params![queue.raw(), id.raw(), now.millis()])?;
    if inserted == 0 {
        return Ok(false);
    }
    batch
        .conn
        .prepare_cached("DELETE FROM message_dead WHERE queue = ? AND id = ?")?
        .execute((queue.raw(), id.raw()))?;
    let mut statement = batch.conn.prepare_cached(&format!("{PENDING} WHERE id = ?"))?;
    if let Some(row) = statement.query([id.raw()])?.next()? {
        batch.after.messages.push(pending_record(row)?.pending());
    }
    Ok(true)
}

/// Answers whether it was a dead letter of the queue.
pub(super) fn end(
    batch: &mut Batch<'_, '_>,
    queue: QueueId,
    id: MessageId,
    state: u8,
    now: Timestamp,
) -> Outcome<bool> {
    let record = {
        let mut statement = batch.conn.prepare_cached(&format!("{DEAD} WHERE queue = ? AND id = ?"))?;
        let mut rows = statement.query((queue.raw(), id.raw()))?;
        let Some(row) = rows.next()? else { return Ok(false) };
        dead_record(row)?
    };
    let delete = "DELETE FROM message_dead WHERE queue = ? AND id = ?";
    batch.conn.prepare_cached(delete)?.execute((queue.raw(), id.raw()))?;
    write_end(batch, &record, state, now)?;
    count(batch.conn, queue, state, 1)?;
    Ok(true)
}

pub(super) fn expire(batch: &mut Batch<'_, '_>, queue: QueueId, before: Timestamp, now: Timestamp) -> Outcome<u64> {
    let sql = "SELECT id FROM message_dead WHERE queue = ? AND ended < ? ORDER BY id LIMIT ?";
    let ids: Vec<MessageId> = {
        let mut statement = batch.conn.prepare_cached(sql)?;
        let rows = statement.query_map((queue.raw(), before.millis(), SLICE_MOVE_ROWS as i64), |row| row.get(0))?;
        rows.map(|id| id.map(MessageId::from_raw)).collect::<Result<_, _>>()?
    };
    of_each(batch, &ids, |batch, id| end(batch, queue, id, EXPIRED, now))
}
