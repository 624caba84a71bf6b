//! Rollouts of layers and their steps.

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};
use sublet_model::{Error, FunctionId, Name, TenantId, Timestamp, limit};
use sublet_store::rollout::newest_forgotten;
use sublet_store::{
    LayerRecord, Listing, LiveUse, NewVersion, Page, RolloutFailure, RolloutRecord, RolloutState, Rollouts, StepEnd,
    StepsBack,
};

use super::function::{self, LIVE};
use super::{all, layer, name_of, one, one_more, page_of, version};
use crate::fail::{Fail, Outcome};
use crate::listing::not_a_cursor;
use crate::row::moment;
use crate::store::SqliteStore;

const SELECT: &str = "SELECT layer, version, state, total, started, ended, \
     (SELECT count(made) FROM rollout_step AS s WHERE (s.layer, s.version) = (rollout.layer, rollout.version)), \
     (SELECT count(error) FROM rollout_step AS s WHERE (s.layer, s.version) = (rollout.layer, rollout.version)), \
     (SELECT count(*) FROM rollout_step AS s WHERE (s.layer, s.version) = (rollout.layer, rollout.version)), \
     (SELECT sum(back) FROM rollout_step AS s WHERE (s.layer, s.version) = (rollout.layer, rollout.version)), \
     (SELECT count(back) FROM rollout_step AS s WHERE (s.layer, s.version) = (rollout.layer, rollout.version)) \
     FROM rollout";

/// Functions whose live version uses the layer ?1 in another version than ?2.
const USES: &str = "FROM function JOIN alias ON alias.function = function.id AND alias.name = 'live' \
     JOIN version ON version.function = function.id AND version.number = alias.version \
     WHERE EXISTS (SELECT 1 FROM json_each(version.layers) AS used \
     WHERE json_extract(used.value, '$[0]') = ?1 AND json_extract(used.value, '$[1]') <> ?2)";

fn read(row: &Row<'_>) -> Outcome<RolloutRecord> {
    let text: String = row.get(2)?;
    let state = RolloutState::from_text(&text).ok_or_else(|| Fail::corrupt(format!("a rollout's state {text}")))?;
    let ended: Option<i64> = row.get(5)?;
    let (made, failed, steps): (i64, i64, i64) = (row.get(6)?, row.get(7)?, row.get(8)?);
    let (restored, back): (Option<i64>, i64) = (row.get(9)?, row.get(10)?);
    let restored = restored.unwrap_or(0);
    Ok(RolloutRecord {
        layer: name_of(row, 0)?,
        version: row.get(1)?,
        state,
        total: row.get::<_, i64>(3)?.unsigned_abs(),
        made: made.unsigned_abs(),
        failed: failed.unsigned_abs(),
        passed_over: (steps - made - failed).unsigned_abs(),
        restored: restored.unsigned_abs(),
        kept: (back - restored).unsigned_abs(),
        started: moment(row, 4)?,
        ended: ended.map(Timestamp::from_millis),
    })
}

/// With the publication of the version. Those of the layer that run give way; those of long ago are forgotten.
pub(super) fn begin(conn: &Connection, name: &Name, number: u32, rolls_out: bool, now: Timestamp) -> Outcome<()> {
    let (running, superseded) = (RolloutState::Running.as_str(), RolloutState::Superseded.as_str());
    conn.execute(
        "UPDATE rollout SET state = ?, ended = ? WHERE layer = ? AND state = ?",
        params![superseded, now.millis(), name.as_str(), running],
    )?;
    let forgotten = newest_forgotten(number);
    for table in ["rollout", "rollout_step"] {
        let sql = format!("DELETE FROM {table} WHERE layer = ? AND version <= ?");
        conn.execute(&sql, params![name.as_str(), forgotten])?;
    }
    if rolls_out {
        conn.execute(
            &format!("INSERT INTO rollout SELECT ?1, ?2, ?3, count(*), ?4, NULL {USES}"),
            params![name.as_str(), number, running, now.millis()],
        )?;
    }
    Ok(())
}

fn find(conn: &Connection, name: &Name, number: Option<u32>) -> Outcome<Option<RolloutRecord>> {
    let sql = format!("{SELECT} WHERE layer = ?1 AND (?2 IS NULL OR version = ?2) ORDER BY version DESC LIMIT 1");
    one(conn, &sql, params![name.as_str(), number], read)
}

fn check_state(conn: &Connection, name: &Name, number: u32, state: RolloutState) -> Outcome<()> {
    let sql = "SELECT 1 FROM rollout WHERE layer = ? AND version = ? AND state = ?";
    let found = one(conn, sql, params![name.as_str(), number, state.as_str()], |_| Ok(()))?;
    let other =
        || Error::conflict(format!("the rollout of version {number} of layer {name} is not {}", state.as_str()));
    Ok(found.ok_or_else(other)?)
}

fn pending(
    conn: &Connection,
    name: &Name,
    number: u32,
    after: Option<FunctionId>,
    rows_max: usize,
) -> Outcome<Vec<LiveUse>> {
    let sql = format!(
        "SELECT function.tenant, function.id, alias.version {USES} AND function.id > ?3 AND NOT EXISTS \
         (SELECT 1 FROM rollout_step AS s WHERE s.layer = ?1 AND s.version = ?2 AND s.function = function.id) \
         ORDER BY function.id LIMIT ?4"
    );
    let after = after.map_or(i64::MIN, FunctionId::raw);
    let rows_max = i64::try_from(rows_max).unwrap_or(i64::MAX);
    all(conn, &sql, params![name.as_str(), number, after, rows_max], |row| {
        let (tenant, function) = (TenantId::from_raw(row.get(0)?), FunctionId::from_raw(row.get(1)?));
        Ok(LiveUse { tenant, function, live: row.get(2)? })
    })
}

fn live_of(conn: &Connection, tenant: TenantId, id: FunctionId) -> Outcome<Option<u32>> {
    Ok(function::by_id(conn, tenant, id)?.and_then(|record| record.live))
}

fn step(
    conn: &Connection,
    name: &Name,
    number: u32,
    of: LiveUse,
    built: &Result<NewVersion, String>,
    now: Timestamp,
) -> Outcome<StepEnd> {
    check_state(conn, name, number, RolloutState::Running)?;
    let sql = "SELECT 1 FROM rollout_step WHERE layer = ? AND version = ? AND function = ?";
    if one(conn, sql, params![name.as_str(), number, of.function.raw()], |_| Ok(()))?.is_some() {
        return Err(Error::conflict(format!("function {} has its step", of.function)).into());
    }
    let end = match of.decide(live_of(conn, of.tenant, of.function)?, built.clone()) {
        Ok(new) => StepEnd::Made(version::publish(conn, of.tenant, of.function, &new, now)?.number),
        Err(end) => end,
    };
    let (made, error) = match &end {
        StepEnd::Made(number) => (Some(*number), None),
        StepEnd::Failed(error) => (None, Some(error)),
        StepEnd::PassedOver => (None, None),
    };
    conn.prepare_cached("INSERT INTO rollout_step VALUES (?, ?, ?, ?, ?, ?, ?, NULL)")?.execute(params![
        name.as_str(),
        number,
        of.function.raw(),
        of.tenant.raw(),
        of.live,
        made,
        error
    ])?;
    Ok(end)
}

fn end(conn: &Connection, name: &Name, number: u32, now: Timestamp) -> Outcome<RolloutRecord> {
    check_state(conn, name, number, RolloutState::Running)?;
    let none = || Error::not_found(format!("the rollout of version {number} of layer {name}"));
    let ended = find(conn, name, Some(number))?.ok_or_else(none)?.at_end(now);
    put_state(conn, &ended)?;
    Ok(ended)
}

/// Writes what changes when a rollout ends or is taken back.
fn put_state(conn: &Connection, record: &RolloutRecord) -> Outcome<()> {
    let total = i64::try_from(record.total).unwrap_or(i64::MAX);
    conn.execute(
        "UPDATE rollout SET state = ?, total = ?, ended = ? WHERE layer = ? AND version = ?",
        params![
            record.state.as_str(),
            total,
            record.ended.map(Timestamp::millis),
            record.layer.as_str(),
            record.version
        ],
    )?;
    Ok(())
}

/// Steps whose version was made and that the way back has not seen.
const TO_GO_BACK: &str = "FROM rollout_step WHERE layer = ?1 AND version = ?2 AND made IS NOT NULL AND back IS NULL";

fn take_back(conn: &Connection, name: &Name, now: Timestamp) -> Outcome<LayerRecord> {
    let (current, taken) = layer::take_back(conn, name)?;
    if let Some(found) = find(conn, name, Some(taken))? {
        put_state(conn, &found.taken_back(now))?;
    }
    Ok(current)
}

fn steps_back(conn: &Connection, name: &Name, number: u32, rows_max: usize, now: Timestamp) -> Outcome<StepsBack> {
    check_state(conn, name, number, RolloutState::TakenBack)?;
    let sql = format!("SELECT tenant, function, live, made {TO_GO_BACK} ORDER BY function LIMIT ?3");
    let rows_max = i64::try_from(rows_max).unwrap_or(i64::MAX);
    let steps = all(conn, &sql, params![name.as_str(), number, rows_max], |row| {
        let (tenant, function) = (TenantId::from_raw(row.get(0)?), FunctionId::from_raw(row.get(1)?));
        Ok((LiveUse { tenant, function, live: row.get(2)? }, row.get::<_, u32>(3)?))
    })?;
    let mut restored = Vec::new();
    for (LiveUse { tenant, function, live }, made) in steps {
        let is_restored = live_of(conn, tenant, function)? == Some(made);
        if is_restored {
            let alias: Name = LIVE.parse().map_err(Error::internal)?;
            version::put_alias(conn, tenant, function, &alias, live)?;
            restored.push((tenant, function));
        }
        conn.prepare_cached("UPDATE rollout_step SET back = ? WHERE layer = ? AND version = ? AND function = ?")?
            .execute(params![is_restored, name.as_str(), number, function.raw()])?;
    }
    let left = one(conn, &format!("SELECT 1 {TO_GO_BACK} LIMIT 1"), params![name.as_str(), number], |_| Ok(()))?;
    if left.is_none() {
        let sql = "UPDATE rollout SET ended = ? WHERE layer = ? AND version = ? AND ended IS NULL";
        conn.execute(sql, params![now.millis(), name.as_str(), number])?;
    }
    Ok(StepsBack { restored, is_partial: left.is_some() })
}

fn failures(conn: &Connection, name: &Name, number: u32, page: &Page) -> Outcome<Listing<RolloutFailure>> {
    let after = match &page.cursor {
        None => i64::MIN,
        Some(text) => text.parse::<FunctionId>().map_err(|_| not_a_cursor())?.raw(),
    };
    let rows_max = page.limit.clamp(1, limit::PAGE_MAX);
    let sql = "SELECT tenant, function, error FROM rollout_step WHERE layer = ? AND version = ? AND function > ? \
         AND error IS NOT NULL ORDER BY function LIMIT ?";
    let found = all(conn, sql, params![name.as_str(), number, after, one_more(rows_max)], |row| {
        let (tenant, function) = (TenantId::from_raw(row.get(0)?), FunctionId::from_raw(row.get(1)?));
        Ok(RolloutFailure { tenant, function, error: row.get(2)? })
    })?;
    Ok(page_of(found, rows_max, |failure| failure.function.to_string()))
}

#[async_trait]
impl Rollouts for SqliteStore {
    async fn rollout(&self, layer: &Name, version: Option<u32>) -> Result<Option<RolloutRecord>, Error> {
        let layer = layer.clone();
        self.read(move |conn| find(conn, &layer, version)).await
    }

    async fn unfinished_rollouts(&self) -> Result<Vec<RolloutRecord>, Error> {
        self.read(|conn| all(conn, &format!("{SELECT} WHERE ended IS NULL ORDER BY started, layer"), [], read)).await
    }

    async fn rollout_pending(
        &self,
        layer: &Name,
        version: u32,
        after: Option<FunctionId>,
        limit: usize,
    ) -> Result<Vec<LiveUse>, Error> {
        let layer = layer.clone();
        self.read(move |conn| pending(conn, &layer, version, after, limit)).await
    }

    async fn step_rollout(
        &self,
        layer: &Name,
        version: u32,
        of: LiveUse,
        built: Result<NewVersion, String>,
        now: Timestamp,
    ) -> Result<StepEnd, Error> {
        let layer = layer.clone();
        self.change(move |batch| step(batch.conn, &layer, version, of, &built, now)).await
    }

    async fn end_rollout(&self, layer: &Name, version: u32, now: Timestamp) -> Result<RolloutRecord, Error> {
        let layer = layer.clone();
        self.write(move |batch| end(batch.conn, &layer, version, now)).await
    }

    async fn take_back_layer(&self, layer: &Name, now: Timestamp) -> Result<LayerRecord, Error> {
        let layer = layer.clone();
        self.change(move |batch| take_back(batch.conn, &layer, now)).await
    }

    async fn steps_back(&self, layer: &Name, version: u32, limit: usize, now: Timestamp) -> Result<StepsBack, Error> {
        let layer = layer.clone();
        self.change(move |batch| steps_back(batch.conn, &layer, version, limit, now)).await
    }

    async fn rollout_failures(&self, layer: &Name, version: u32, page: Page) -> Result<Listing<RolloutFailure>, Error> {
        let layer = layer.clone();
        self.read(move |conn| failures(conn, &layer, version, &page)).await
    }
}
