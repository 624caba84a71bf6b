//! Upkeep: write the ledger's sums, give ended hours their indexes, drop hours that are too old, checkpoint.
//!
//! Each step is a commit of its own, so that nobody waits for more than one of them.

use rusqlite::Connection;
use sublet_model::{Error, Timestamp};

use crate::body;
use crate::command::Batch;
use crate::fail::Outcome;
use crate::option::SEAL_ROWS_MAX;
use crate::partition::{self, Hour, Partition, SEALED, floor_of, hour_at};
use crate::store::SqliteStore;

/// An hour is over when even an id that was borrowed from it, or a row that came late, is written.
const SEAL_AFTER_MS: i64 = 60_000;
/// Ids of an event and of what it led to are minted in one go: this far into the next hour at most.
const STRADDLE_MS: i64 = 60_000;

pub(crate) async fn maintain(store: &SqliteStore, now: Timestamp, retain_from: Timestamp) -> Result<(), Error> {
    store.flush_ledger().await?;
    let hours = store.read(partition::list).await?;
    let ended = hour_at(Timestamp::from_millis(now.millis() - SEAL_AFTER_MS));
    // Oldest first: what is dropped need not be sealed.
    for partition in hours.into_iter().rev() {
        if partition.hour < hour_at(retain_from) {
            let hour = partition.hour;
            if store.write(move |batch| drop_hour(batch, hour)).await? {
                continue;
            }
        }
        if partition.hour < ended {
            for table in partition.sealed..SEALED.len() {
                store.write(move |batch| seal(batch, Partition { sealed: table, ..partition })).await?;
            }
        }
    }
    store.checkpoint().await
}

/// Builds the next index of the hour: 1.5 µs a row in one go instead of 11 at every insert.
fn seal(batch: &mut Batch<'_, '_>, partition: Partition) -> Outcome<()> {
    let Partition { hour, sealed } = partition;
    let Some(table) = SEALED.get(sealed) else { return Ok(()) };
    if !partition::exists(batch.conn, hour)? || rows_at_most(batch.conn, table, hour)? > SEAL_ROWS_MAX {
        return Ok(());
    }
    // The row's id is part of every index entry, so this one is by (tenant, id).
    batch
        .conn
        .execute_batch(&format!("CREATE INDEX IF NOT EXISTS {table}_{hour}_tenant ON {table}_{hour} (tenant)"))?;
    let note = "UPDATE partition SET sealed = ?2 WHERE hour = ?1 AND sealed = ?2 - 1";
    batch.conn.prepare_cached(note)?.execute((hour, i64::try_from(sealed + 1).unwrap_or(0)))?;
    Ok(())
}

/// Counted up to one more than the bound.
fn rows_at_most(conn: &Connection, table: &str, hour: Hour) -> Outcome<i64> {
    let sql = format!("SELECT count(*) FROM (SELECT 1 FROM {table}_{hour} LIMIT {})", SEAL_ROWS_MAX + 1);
    Ok(conn.query_row(&sql, [], |row| row.get(0))?)
}

/// Drops the hour with all that only it explains; keeps it (and answers `false`) while something that waits, runs or is
/// to be delivered still needs it.
fn drop_hour(batch: &mut Batch<'_, '_>, hour: Hour) -> Outcome<bool> {
    let end = floor_of(hour + 1);
    const NEEDED: &str = "SELECT EXISTS (SELECT 1 FROM live WHERE id < ?1 OR event < ?1) \
         OR EXISTS (SELECT 1 FROM outbox WHERE invocation < ?1 OR event < ?1 OR attempt < ?1) \
         OR EXISTS (SELECT 1 FROM delivery WHERE id < ?1 OR event < ?1) \
         OR EXISTS (SELECT 1 FROM message WHERE id < ?2 AND event < ?1 AND input IS NULL)";
    // A message is minted right after its event, unless it carries a copy.
    let straddle = sublet_model::id::floor_at(Timestamp::from_millis((hour + 1) * 3_600_000 + STRADDLE_MS));
    if batch.conn.query_row(NEEDED, [end, straddle], |row| row.get(0))? {
        return Ok(false);
    }
    batch.hot.forget(hour);
    for table in ["event", "input", "invocation", "attempt", "delivery", "message"] {
        batch.conn.execute_batch(&format!("DROP TABLE IF EXISTS {table}_{hour}"))?;
    }
    body::drop_hour(batch, hour)?;
    batch.conn.execute("DELETE FROM partition WHERE hour = ?", [hour])?;
    batch.conn.execute("DELETE FROM delivery_dead_letter WHERE delivery < ?1", [end])?;
    // A dead letter without its event cannot be redriven.
    batch.conn.execute("DELETE FROM dead_letter WHERE event < ?1 OR id < ?1", [end])?;
    // What was minted just after the hour for an event of just before its end.
    if partition::exists(batch.conn, hour + 1)? {
        for table in ["invocation", "delivery"] {
            let sql = format!("DELETE FROM {table}_{} WHERE id < ?1 AND event < ?2", hour + 1);
            batch.conn.execute(&sql, (straddle, end))?;
        }
    }
    Ok(true)
}
