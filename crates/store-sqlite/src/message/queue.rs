//! The queues themselves.

use rusqlite::{Connection, OptionalExtension, Row, params};
use sublet_model::{Error, Name, QueueId, QueueSpec, Timestamp};
use sublet_store::QueueRecord;

use crate::command::Batch;
use crate::fail::{Fail, Outcome};
use crate::row::moment;

const SELECT: &str = "SELECT id, name, spec, created FROM queue";

fn read(row: &Row<'_>) -> Outcome<QueueRecord> {
    let name: String = row.get(1)?;
    Ok(QueueRecord {
        id: QueueId::from_raw(row.get(0)?),
        name: name.parse::<Name>().map_err(|error| Fail::corrupt(error.to_string()))?,
        spec: serde_json::from_str(&row.get::<_, String>(2)?)?,
        created: moment(row, 3)?,
    })
}

pub(super) fn put(
    batch: &mut Batch<'_, '_>,
    name: &Name,
    spec: &QueueSpec,
    now: Timestamp,
) -> Outcome<(QueueRecord, bool)> {
    let text = serde_json::to_string(spec)?;
    if let Some(known) = by_name(batch.conn, name)? {
        let sql = "UPDATE queue SET spec = ? WHERE id = ?";
        batch.conn.prepare_cached(sql)?.execute(params![text, known.id.raw()])?;
        return Ok((QueueRecord { spec: spec.clone(), ..known }, false));
    }
    let id = batch.register(now)?;
    let sql = "INSERT INTO queue VALUES (?, ?, ?, ?, 0, 0, 0, 0)";
    batch.conn.prepare_cached(sql)?.execute(params![id, name.as_str(), text, now.millis()])?;
    let record = QueueRecord { id: QueueId::from_raw(id), name: name.clone(), spec: spec.clone(), created: now };
    Ok((record, true))
}

pub(super) fn by_name(conn: &Connection, name: &Name) -> Outcome<Option<QueueRecord>> {
    let mut statement = conn.prepare_cached(&format!("{SELECT} WHERE name = ?"))?;
    let mut rows = statement.query([name.as_str()])?;
    rows.next()?.map(read).transpose()
}

pub(super) fn list(conn: &Connection) -> Outcome<Vec<QueueRecord>> {
    let mut statement = conn.prepare_cached(&format!("{SELECT} ORDER BY name"))?;
    let mut rows = statement.query([])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(read(row)?);
    }
    Ok(all)
}

/// One commit for all of its messages, at most the queue's depth and its dead letters: it may hold up the others for as
/// long. Rare, and half a queue would be worse.
pub(super) fn delete(conn: &Connection, name: &Name) -> Outcome<()> {
    let id: Option<i64> =
        conn.query_row("SELECT id FROM queue WHERE name = ?", [name.as_str()], |row| row.get(0)).optional()?;
    let id = id.ok_or_else(|| Error::not_found(format!("queue {name}")))?;
    for sql in [
        "DELETE FROM message WHERE queue = ?",
        "DELETE FROM message_dead WHERE queue = ?",
        "DELETE FROM queue WHERE id = ?",
    ] {
        conn.execute(sql, [id])?;
    }
    Ok(())
}
