//! Layers: numbered packages of the operator's common code, never deleted.

use rusqlite::{Connection, Row, params};
use sublet_model::{Name, Timestamp};
use sublet_store::{LayerRecord, ObjectHash};

use super::{all, hash_of, name_of, one};
use crate::fail::Outcome;
use crate::row::moment;

const SELECT: &str = "SELECT name, number, package, created FROM layer";

fn read(row: &Row<'_>) -> Outcome<LayerRecord> {
    Ok(LayerRecord {
        name: name_of(row, 0)?,
        number: row.get(1)?,
        package: ObjectHash(hash_of(row, 2)?),
        created: moment(row, 3)?,
    })
}

pub(super) fn publish(conn: &Connection, name: &Name, package: ObjectHash, now: Timestamp) -> Outcome<LayerRecord> {
    let number = one_of(conn, name, None)?.map_or(1, |last| last.number + 1);
    let values = params![name.as_str(), number, package.0, now.millis()];
    conn.prepare_cached("INSERT INTO layer VALUES (?, ?, ?, ?)")?.execute(values)?;
    Ok(LayerRecord { name: name.clone(), number, package, created: now })
}

pub(super) fn one_of(conn: &Connection, name: &Name, number: Option<u32>) -> Outcome<Option<LayerRecord>> {
    match number {
        Some(number) => one(conn, &format!("{SELECT} WHERE name = ? AND number = ?"), (name.as_str(), number), read),
        None => one(conn, &format!("{SELECT} WHERE name = ? ORDER BY number DESC LIMIT 1"), [name.as_str()], read),
    }
}

pub(super) fn newest(conn: &Connection) -> Outcome<Vec<LayerRecord>> {
    let newest = "number = (SELECT max(number) FROM layer AS other WHERE other.name = layer.name)";
    all(conn, &format!("{SELECT} WHERE {newest} ORDER BY name"), [], read)
}
