//! Layers: numbered packages of the operator's common code, never deleted.

use rusqlite::{Connection, Row, params};
use sublet_model::{Error, Name, Timestamp, limit};
use sublet_store::{LayerRecord, Listing, ObjectHash, Page};

use super::{all, hash_of, name_of, one, one_more, page_of, rollout};
use crate::fail::Outcome;
use crate::listing::not_a_cursor;
use crate::row::moment;

const SELECT: &str = "SELECT layer.name, layer.number, package, created, layer.number = layer_current.number FROM layer \
     JOIN layer_current ON layer_current.name = layer.name";

fn read(row: &Row<'_>) -> Outcome<LayerRecord> {
    Ok(LayerRecord {
        name: name_of(row, 0)?,
        number: row.get(1)?,
        package: ObjectHash(hash_of(row, 2)?),
        created: moment(row, 3)?,
        is_current: row.get(4)?,
    })
}

pub(super) fn publish(
    conn: &Connection,
    name: &Name,
    package: ObjectHash,
    rolls_out: bool,
    now: Timestamp,
) -> Outcome<LayerRecord> {
    let current = one_of(conn, name, None)?.map(|layer| layer.number);
    let sql = "SELECT coalesce(max(number), 0) + 1 FROM layer WHERE name = ?";
    let number: u32 = conn.prepare_cached(sql)?.query_row([name.as_str()], |row| row.get(0))?;
    conn.prepare_cached("INSERT INTO layer (name, number, package, created, former) VALUES (?, ?, ?, ?, ?)")?
        .execute(params![name.as_str(), number, package.0, now.millis(), current])?;
    set_current(conn, name, number)?;
    rollout::begin(conn, name, number, rolls_out, now)?;
    Ok(LayerRecord { name: name.clone(), number, package, created: now, is_current: true })
}

fn set_current(conn: &Connection, name: &Name, number: u32) -> Outcome<()> {
    let sql = "INSERT OR REPLACE INTO layer_current VALUES (?, ?)";
    conn.prepare_cached(sql)?.execute(params![name.as_str(), number])?;
    Ok(())
}

/// The one that was current before takes the place of the current one. Answers both, the new one first.
pub(super) fn take_back(conn: &Connection, name: &Name) -> Outcome<(LayerRecord, u32)> {
    let current = one_of(conn, name, None)?.ok_or_else(|| Error::not_found(format!("layer {name}")))?.number;
    let sql = "SELECT former FROM layer WHERE name = ? AND number = ?";
    let former: Option<u32> = conn.prepare_cached(sql)?.query_row((name.as_str(), current), |row| row.get(0))?;
    let none = || Error::conflict(format!("layer {name} had no version before {current}"));
    set_current(conn, name, former.ok_or_else(none)?)?;
    Ok((one_of(conn, name, None)?.ok_or_else(none)?, current))
}

pub(super) fn one_of(conn: &Connection, name: &Name, number: Option<u32>) -> Outcome<Option<LayerRecord>> {
    match number {
        Some(number) => {
            one(conn, &format!("{SELECT} WHERE layer.name = ? AND layer.number = ?"), (name.as_str(), number), read)
        }
        None => one(
            conn,
            &format!("{SELECT} WHERE layer.name = ? AND layer.number = layer_current.number"),
            [name.as_str()],
            read,
        ),
    }
}

pub(super) fn versions(conn: &Connection, name: &Name, page: &Page) -> Outcome<Listing<LayerRecord>> {
    let below = match &page.cursor {
        None => u32::MAX,
        Some(text) => text.parse().map_err(|_| not_a_cursor())?,
    };
    let rows_max = page.limit.clamp(1, limit::PAGE_MAX);
    let sql = format!("{SELECT} WHERE layer.name = ? AND layer.number < ? ORDER BY layer.number DESC LIMIT ?");
    let found = all(conn, &sql, (name.as_str(), below, one_more(rows_max)), read)?;
    Ok(page_of(found, rows_max, |layer| layer.number.to_string()))
}

pub(super) fn current(conn: &Connection) -> Outcome<Vec<LayerRecord>> {
    all(conn, &format!("{SELECT} WHERE layer.number = layer_current.number ORDER BY layer.name"), [], read)
}
