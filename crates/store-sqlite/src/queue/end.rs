//! What every ending has in common: the attempt's row, the final record, the outbox line.

use rusqlite::params;
use sublet_model::{
    AttemptId, EndReason, EventId, InvocationState, MessageId, Outcome as AttemptOutcome, Timestamp, UsageSum,
};
use sublet_store::{AttemptEnd, MessageOrigin};

use crate::body::{Beside, Part};
use crate::command::Batch;
use crate::fail::Outcome;
use crate::ledger::LedgerKey;
use crate::message::put_dead_letter;
use crate::row::{Live, bytes_or_null, counter, policy_of};

/// The attempt's row, which is its ledger line; its id joins those of the invocation.
pub(super) fn write_attempt(
    batch: &mut Batch<'_, '_>,
    live: &mut Live,
    number: u32,
    end: &AttemptEnd,
    beside: &Beside,
) -> Outcome<AttemptId> {
    let id = batch.state.mint(end.ended);
    let (invocation, tenant) = (live.id.raw(), live.tenant);
    let result = beside.column_or_null(batch, (Part::Result, invocation), id, tenant, end.result.as_deref())?;
    let failure = beside.column_or_null(batch, (Part::Failure, invocation), id, tenant, end.failure.as_deref())?;
    let log = beside.column_or_null(batch, (Part::Log, invocation), id, tenant, bytes_or_null(&end.log))?;
    let fetch_log = beside.column_or_null(batch, (Part::FetchLog, invocation), id, tenant, end.fetches.as_deref())?;
    let usage = &end.usage;
    batch.hot.for_id(id)?.attempt.execute(params![
        id,
        live.tenant.raw(),
        live.function.raw(),
        live.id.raw(),
        number,
        end.version,
        end.outcome.code(),
        end.started.millis(),
        end.ended.millis(),
        counter(usage.wall_us),
        counter(usage.cpu_us),
        counter(usage.memory_peak_bytes),
        counter(usage.memory_limit_bytes),
        counter(usage.bytes_in),
        counter(usage.bytes_out),
        counter(usage.fetches),
        counter(usage.egress_bytes),
        usage.instructions.map(counter),
        result,
        failure,
        log,
        fetch_log,
    ])?;
    live.attempts.extend_from_slice(&id.to_be_bytes());
    let key = LedgerKey { tenant: live.tenant, hour: end.ended.hour(), function: live.function };
    let sum = UsageSum::of(usage, end.outcome == AttemptOutcome::Succeeded);
    batch.after.ledger.push((key, sum, id));
    Ok(AttemptId::from_raw(id))
}

/// Back into the queue after an attempt.
pub(super) fn wait_again(batch: &mut Batch<'_, '_>, live: &mut Live, due: Timestamp) -> Outcome<()> {
    live.state = InvocationState::Retrying;
    live.due = due;
    batch
        .conn
        .prepare_cached("UPDATE live SET state = ?, due = ?, failed = ?, crashed = ?, attempts = ? WHERE id = ?")?
        .execute(params![
            live.state.code(),
            due.millis(),
            live.failed,
            live.crashed,
            bytes_or_null(&live.attempts),
            live.id.raw(),
        ])?;
    batch.state.running.remove(&live.id);
    batch.after.waiting.extend(live.waiting());
    Ok(())
}

/// Puts what is about to be lost into the queue that is named for it, if there is one. Before it is buried: the name is
/// in its row.
pub(super) fn put_lost(
    batch: &mut Batch<'_, '_>,
    live: &Live,
    reason: EndReason,
    message: Option<MessageId>,
    at: Timestamp,
) -> Outcome<()> {
    let (Some(message), Some(event)) = (message, live.event) else { return Ok(()) };
    let policy: Option<Vec<u8>> = batch
        .conn
        .prepare_cached("SELECT retry FROM live WHERE id = ?")?
        .query_row([live.id.raw()], |row| row.get(0))?;
    let (_, queue) = policy_of(&policy.unwrap_or_default())?;
    match queue {
        Some(queue) => {
            put_dead_letter(batch, message, queue, event, MessageOrigin::Invocation { id: live.id, reason }, at)
        }
        None => Ok(()),
    }
}

/// Moves an invocation to where its final record is: in the same transaction it is nowhere else.
pub(crate) fn bury(
    batch: &mut Batch<'_, '_>,
    live: &mut Live,
    state: InvocationState,
    reason: Option<EndReason>,
    at: Timestamp,
) -> Outcome<()> {
    live.state = state;
    let id = live.id.raw();
    let event = live.event.map(EventId::raw);
    let attempts = bytes_or_null(&live.attempts);
    let reason_code = reason.map(EndReason::code);
    if state == InvocationState::DeadLettered {
        const SQL: &str = "INSERT INTO dead_letter SELECT tenant, id, function, event, ?2, due, starts, ?3, ?4, depth, \
             ?5, ?6, retry, redrives FROM live WHERE id = ?1";
        batch.conn.prepare_cached(SQL)?.execute(params![
            id,
            reason_code,
            live.failed,
            live.crashed,
            at.millis(),
            attempts
        ])?;
    } else {
        batch.hot.for_id(id)?.invocation.execute(params![
            id,
            live.tenant.raw(),
            live.function.raw(),
            event,
            state.code(),
            reason_code,
            live.due.millis(),
            live.starts,
            live.failed,
            at.millis(),
            attempts,
        ])?;
    }
    batch.hot.delete_live.execute([id])?;
    batch.state.fresh.remove(&live.id);
    batch.state.running.remove(&live.id);
    Ok(())
}

/// Writes the line that a result event will be made from. `attempt`: the last, when it ended by one.
pub(super) fn announce(
    batch: &mut Batch<'_, '_>,
    live: &Live,
    reason: Option<EndReason>,
    ended: Option<Timestamp>,
    attempt: Option<AttemptId>,
    now: Timestamp,
) -> Outcome<i64> {
    // An attempt's id is new in this commit, so it serves as the line's too.
    let line = match attempt {
        Some(attempt) => attempt.raw(),
        None => batch.register(now)?,
    };
    batch.hot.insert_outbox.execute(params![
        line,
        live.id.raw(),
        live.tenant.raw(),
        live.function.raw(),
        live.event.map(EventId::raw),
        live.state.code(),
        reason.map(EndReason::code),
        live.due.millis(),
        live.starts,
        live.failed,
        ended.map(Timestamp::millis),
        live.depth,
        attempt.map(AttemptId::raw),
        live.redrives,
    ])?;
    Ok(line)
}
