//! History by the hour: which hours have tables.
//!
//! An id carries the time it was minted, so it alone says which tables hold its row. Hours are made when the first row
//! needs them, indexed when they are over (`maintain`), and dropped whole.

use rusqlite::{Connection, OptionalExtension};
use sublet_model::Timestamp;
use sublet_model::id::{floor_at, minted_at};

use crate::fail::Outcome;

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
