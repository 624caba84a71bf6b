//! History by the hour: which hours have tables, and the statements on them.
//!
//! An id carries the time it was minted, so it alone says which tables hold its row. Hours are made when the first row
//! needs them, indexed when they are over (`maintain`), and dropped whole.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};
use sublet_model::Timestamp;
use sublet_model::id::{floor_at, minted_at};

use crate::fail::Outcome;
use crate::hash::BuildIdHasher;
use crate::schema;

/// Hours since 1970.
pub(crate) type Hour = i64;

const HOUR_MS: i64 = 3_600_000;

pub(crate) fn hour_of(raw: i64) -> Hour {
    minted_at(raw).millis().div_euclid(HOUR_MS)
}

pub(crate) fn hour_at(moment: Timestamp) -> Hour {
    moment.millis().div_euclid(HOUR_MS)
}

/// The first id of the hour.
pub(crate) fn floor_of(hour: Hour) -> i64 {
    floor_at(Timestamp::from_millis(hour * HOUR_MS))
}

/// The statements that every life cycle runs, spelt once per hour: building the text costs as much as running it.
pub(crate) struct HourSql {
    pub(crate) insert_event: String,
    pub(crate) insert_attempt: String,
    pub(crate) insert_invocation: String,
    pub(crate) insert_delivery: String,
}

impl HourSql {
    fn new(hour: Hour) -> HourSql {
        HourSql {
            insert_event: format!("INSERT INTO event_{hour} VALUES (?,?,?,?,?,?,?,?,?)"),
            insert_attempt: format!("INSERT INTO attempt_{hour} VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"),
            insert_invocation: format!("INSERT INTO invocation_{hour} VALUES (?,?,?,?,?,?,?,?,?,?,?)"),
            insert_delivery: format!("INSERT INTO delivery_{hour} VALUES (?,?,?,?,?,?,?)"),
        }
    }
}

/// The writer's knowledge of the hours that have tables.
#[derive(Default)]
pub(crate) struct Partitions {
    hours: HashMap<Hour, Arc<HourSql>, BuildIdHasher>,
}

impl Partitions {
    pub(crate) fn load(conn: &Connection) -> Outcome<Partitions> {
        let hours = list(conn)?.into_iter().map(|p| (p.hour, Arc::new(HourSql::new(p.hour)))).collect();
        Ok(Partitions { hours })
    }

    /// Makes the hour's tables if they are not there.
    pub(crate) fn at(&mut self, conn: &Connection, hour: Hour) -> Outcome<Arc<HourSql>> {
        if let Some(sql) = self.hours.get(&hour) {
            return Ok(sql.clone());
        }
        conn.execute_batch(&schema::HOUR.replace("{hour}", &hour.to_string()))?;
        conn.prepare_cached("INSERT INTO partition (hour) VALUES (?)")?.execute([hour])?;
        let sql = Arc::new(HourSql::new(hour));
        self.hours.insert(hour, sql.clone());
        Ok(sql)
    }

    pub(crate) fn for_id(&mut self, conn: &Connection, raw: i64) -> Outcome<Arc<HourSql>> {
        self.at(conn, hour_of(raw))
    }

    pub(crate) fn forget(&mut self, hour: Hour) {
        self.hours.remove(&hour);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Partition {
    pub(crate) hour: Hour,
    /// How many of [`SEALED`] have their index.
    pub(crate) sealed: usize,
}

/// The tables that get an index by tenant when their hour is over, in the order they get it.
pub(crate) const SEALED: [&str; 3] = ["event", "invocation", "attempt"];

impl Partition {
    pub(crate) fn has_index(&self, table: &str) -> bool {
        SEALED.iter().take(self.sealed).any(|sealed| *sealed == table)
    }
}

/// Newest first.
pub(crate) fn list(conn: &Connection) -> Outcome<Vec<Partition>> {
    let mut statement = conn.prepare_cached("SELECT hour, sealed FROM partition ORDER BY hour DESC")?;
    let rows = statement
        .query_map([], |row| Ok(Partition { hour: row.get(0)?, sealed: usize::from(row.get::<_, u8>(1)?) }))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Whether a reader's snapshot has the hour's tables.
pub(crate) fn exists(conn: &Connection, hour: Hour) -> Outcome<bool> {
    let mut statement = conn.prepare_cached("SELECT 1 FROM partition WHERE hour = ?")?;
    Ok(statement.query_row([hour], |_| Ok(())).optional()?.is_some())
}
