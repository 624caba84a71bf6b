//! One invocation, its attempts, its work; the outbox.

use rusqlite::{Connection, OptionalExtension, Row};
use sublet_model::{
    AttemptId, EventId, FunctionId, InvocationId, InvocationState, Outcome as AttemptOutcome, TenantId, Timestamp,
};
use sublet_store::{AttemptEnd, AttemptRecord, InvocationRecord, OutboxLine, Work};

use super::claim::read_live;
use crate::bus::{read_input, read_traced_body};
use crate::fail::{Fail, Outcome};
use crate::ledger::usage_at;
use crate::partition::{self, hour_of};
use crate::row::{blob, body, ids_of, moment, policy_of, reason_of, state_of};

pub(super) struct Found {
    pub(super) record: InvocationRecord,
    /// Ids, 8 bytes each.
    attempts: Vec<u8>,
}

/// In the one place where it is: it waits or runs, is a dead letter, or is history.
pub(super) fn find(conn: &Connection, tenant: TenantId, id: InvocationId) -> Outcome<Option<Found>> {
    if let Some(live) = read_live(conn, id)? {
        let found = (live.tenant == tenant).then(|| Found { record: live.record(), attempts: live.attempts });
        return Ok(found);
    }
    const DEAD: &str = "SELECT id, tenant, function, event, 4, reason, due, starts, failed, ended, attempts \
         FROM dead_letter WHERE tenant = ? AND id = ?";
    let mut statement = conn.prepare_cached(DEAD)?;
    if let Some(row) = statement.query((tenant.raw(), id.raw()))?.next()? {
        return Ok(Some(ended(row)?));
    }
    let hour = hour_of(id.raw());
    if !partition::exists(conn, hour)? {
        return Ok(None);
    }
    let sql = format!(
        "SELECT id, tenant, function, event, state, reason, due, starts, failed, ended, attempts \
         FROM invocation_{hour} WHERE id = ?"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query([id.raw()])?;
    let found = rows.next()?.map(ended).transpose()?;
    Ok(found.filter(|found| found.record.tenant == tenant))
}

fn ended(row: &Row<'_>) -> Outcome<Found> {
    Ok(Found { record: record_at(row, 0)?, attempts: blob(row, 10)?.to_vec() })
}

/// Ten columns: id, tenant, function, event, state, reason, due, starts, failed, ended.
fn record_at(row: &Row<'_>, first: usize) -> Outcome<InvocationRecord> {
    Ok(InvocationRecord {
        id: InvocationId::from_raw(row.get(first)?),
        tenant: TenantId::from_raw(row.get(first + 1)?),
        function: FunctionId::from_raw(row.get(first + 2)?),
        event: row.get::<_, Option<i64>>(first + 3)?.map(EventId::from_raw),
        state: state_of(row.get(first + 4)?)?,
        reason: reason_of(row.get(first + 5)?)?,
        due: moment(row, first + 6)?,
        starts: row.get(first + 7)?,
        failed: row.get(first + 8)?,
        ended: row.get::<_, Option<i64>>(first + 9)?.map(Timestamp::from_millis),
    })
}

const _: () = assert!(InvocationState::DeadLettered.code() == 4, "DEAD spells the code");

/// Those that retention has not taken, oldest first.
pub(super) fn attempts(conn: &Connection, tenant: TenantId, id: InvocationId) -> Outcome<Vec<AttemptRecord>> {
    let Some(found) = find(conn, tenant, id)? else { return Ok(Vec::new()) };
    let mut attempts = Vec::new();
    for raw in ids_of(&found.attempts) {
        attempts.extend(attempt(conn, AttemptId::from_raw(raw))?);
    }
    Ok(attempts)
}

fn attempt(conn: &Connection, id: AttemptId) -> Outcome<Option<AttemptRecord>> {
    let hour = hour_of(id.raw());
    if !partition::exists(conn, hour)? {
        return Ok(None);
    }
    let sql = format!(
        "SELECT tenant, function, invocation, number, version, outcome, started, ended, wall_us, cpu_us, \
         memory_peak_bytes, memory_limit_bytes, bytes_in, bytes_out, fetches, egress_bytes, instructions, result, \
         failure, log, fetch_log FROM attempt_{hour} WHERE id = ?"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query([id.raw()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let outcome: u8 = row.get(5)?;
    let outcome = AttemptOutcome::from_code(outcome).ok_or_else(|| Fail::corrupt(format!("outcome {outcome}")))?;
    let kept = |index: usize| body(conn, row, index).map(|bytes| (!bytes.is_empty()).then(|| bytes.into()));
    Ok(Some(AttemptRecord {
        id,
        invocation: InvocationId::from_raw(row.get(2)?),
        tenant: TenantId::from_raw(row.get(0)?),
        function: FunctionId::from_raw(row.get(1)?),
        number: row.get(3)?,
        end: AttemptEnd {
            started: moment(row, 6)?,
            ended: moment(row, 7)?,
            version: row.get(4)?,
            outcome,
            usage: usage_at(row, 8)?,
            result: kept(17)?,
            failure: kept(18)?,
            log: body(conn, row, 19)?.into(),
            fetches: kept(20)?,
        },
    }))
}

pub(super) fn work(conn: &Connection, tenant: TenantId, id: InvocationId) -> Outcome<Option<Work>> {
    let mut statement = conn.prepare_cached("SELECT event, retry, depth FROM live WHERE id = ? AND tenant = ?")?;
    let row = statement
        .query_row((id.raw(), tenant.raw()), |row| {
            Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<Vec<u8>>>(1)?, row.get::<_, u8>(2)?))
        })
        .optional()?;
    let Some((Some(event), retry, depth)) = row else { return Ok(None) };
    let Some((body, trace_context)) = read_traced_body(conn, EventId::from_raw(event))? else { return Ok(None) };
    let (body, envelope) = match read_input(conn, id.raw())? {
        Some(input) => (input, Some(body.into())),
        None => (body, None),
    };
    let (retry, _) = policy_of(&retry.unwrap_or_default())?;
    Ok(Some(Work { body: body.into(), envelope, retry, depth, trace_context }))
}

pub(super) fn outbox(conn: &Connection, after: i64, limit: usize) -> Outcome<Vec<OutboxLine>> {
    const SQL: &str = "SELECT id, depth, attempt, invocation, tenant, function, event, state, reason, due, starts, \
         failed, ended, redrives FROM outbox WHERE id > ? ORDER BY id LIMIT ?";
    let mut statement = conn.prepare_cached(SQL)?;
    let mut rows = statement.query((after, i64::try_from(limit).unwrap_or(i64::MAX)))?;
    let mut lines = Vec::new();
    while let Some(row) = rows.next()? {
        let last = match row.get::<_, Option<i64>>(2)? {
            Some(raw) => attempt(conn, AttemptId::from_raw(raw))?,
            None => None,
        };
        lines.push(OutboxLine {
            id: row.get(0)?,
            depth: row.get(1)?,
            invocation: record_at(row, 3)?,
            attempt: last,
            redrives: row.get(13)?,
        });
    }
    Ok(lines)
}
