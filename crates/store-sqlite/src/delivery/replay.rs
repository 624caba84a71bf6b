//! Sending deliveries anew: from their hour's table back to those that wait, or, if they wait already, due now.

use rusqlite::params;
use sublet_model::id::floor_at;
use sublet_model::{DeliveryId, Error, Name, Timestamp};
use sublet_store::DeliveryRecord;
use sublet_store::delivery::DeliveryState;

use super::{FAILED, not_found, pending_of, put_back, read};
use crate::command::Batch;
use crate::fail::Outcome;
use crate::option::SLICE_MOVE_ROWS;
use crate::partition::{self, hour_of};
use crate::store::SqliteStore;

pub(super) fn replay(batch: &mut Batch<'_, '_>, id: DeliveryId, now: Timestamp) -> Outcome<DeliveryRecord> {
    let mut record = read(batch.conn, id)?.ok_or_else(|| not_found(id))?.record;
    if record.state != DeliveryState::Pending {
        let hour = hour_of(id.raw());
        let insert = format!(
            "INSERT INTO delivery SELECT id, webhook, event, tenant, due, tries FROM delivery_{hour} WHERE id = ?"
        );
        batch.conn.prepare_cached(&insert)?.execute([id.raw()])?;
        batch.conn.prepare_cached(&format!("DELETE FROM delivery_{hour} WHERE id = ?"))?.execute([id.raw()])?;
    }
    record.state = DeliveryState::Pending;
    record.due = now;
    record.replays += 1;
    put_back(batch, &record, 0, now)?;
    batch.after.deliveries.push(pending_of(&record, 0, now));
    Ok(record)
}

/// In slices of their own commits, as a redrive is: there may be a million of them.
pub(super) async fn replay_failed(
    store: &SqliteStore,
    webhook: &Name,
    since: Timestamp,
    now: Timestamp,
) -> Result<u64, Error> {
    let (mut moved, mut from) = (0, floor_at(since));
    loop {
        let webhook = webhook.clone();
        let ids = store.write(move |batch| replay_slice(batch, &webhook, from, now)).await?;
        moved += ids.len() as u64;
        match ids.last() {
            Some(last) if ids.len() == SLICE_MOVE_ROWS => from = last.raw() + 1,
            _ => return Ok(moved),
        }
    }
}

fn replay_slice(batch: &mut Batch<'_, '_>, webhook: &Name, from: i64, now: Timestamp) -> Outcome<Vec<DeliveryId>> {
    let mut ids = Vec::new();
    let mut hours = partition::list(batch.conn)?;
    hours.retain(|partition| partition.hour >= hour_of(from));
    for partition in hours.into_iter().rev() {
        let sql = format!(
            "SELECT id FROM delivery_{} WHERE webhook = ? AND state = ? AND id >= ? ORDER BY id LIMIT ?",
            partition.hour
        );
        let mut statement = batch.conn.prepare_cached(&sql)?;
        let left = i64::try_from(SLICE_MOVE_ROWS - ids.len()).unwrap_or(0);
        let rows = statement.query_map(params![webhook.as_str(), FAILED, from, left], |row| row.get(0))?;
        for id in rows {
            ids.push(DeliveryId::from_raw(id?));
        }
        if ids.len() == SLICE_MOVE_ROWS {
            break;
        }
    }
    for id in &ids {
        replay(batch, *id, now)?;
    }
    Ok(ids)
}
