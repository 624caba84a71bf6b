//! Ending an attempt, and ending what waits without one.

use bytes::Bytes;
use sublet_model::{EndReason, Error, InvocationState, Transition};
use sublet_store::{Finish, Next, Settle, Settled};

use super::claim::{check_epoch, holder, waiting};
use super::end::{announce, bury, put_lost, wait_again, write_attempt};
use crate::body::{Beside, Part};
use crate::command::Batch;
use crate::fail::Outcome;

/// Bytes that a settle brings.
pub(super) fn weight(settle: &Settle) -> usize {
    let end = &settle.end;
    let bodies = [&end.result, &end.failure, &end.fetches].into_iter().flatten().map(Bytes::len).sum::<usize>();
    bodies + end.log.len() + 256
}

/// What of it may be long.
pub(super) fn bodies(settle: &Settle) -> impl Iterator<Item = ((Part, i64), &Bytes)> {
    let (invocation, end) = (settle.lease.invocation.raw(), &settle.end);
    let result = end.result.as_ref().map(|body| ((Part::Result, invocation), body));
    let failure = end.failure.as_ref().map(|body| ((Part::Failure, invocation), body));
    let fetches = end.fetches.as_ref().map(|body| ((Part::FetchLog, invocation), body));
    result.into_iter().chain(failure).chain(fetches).chain([((Part::Log, invocation), &end.log)])
}

pub(super) fn settle(batch: &mut Batch<'_, '_>, settle: &Settle, beside: &Beside) -> Outcome<Settled> {
    let Settle { lease, end, next, announce: announced, message } = settle;
    check_epoch(batch, lease.tenant, lease.epoch)?;
    let mut live = holder(batch, lease)?.live.clone();
    let is_direct = live.event.is_none();
    let (transition, reason) = edge_of(*next, is_direct)?;
    let no_edge = || Error::invalid("next", format!("{} does not run", lease.invocation));
    let state = live.state.after(transition).ok_or_else(no_edge)?;

    match next {
        Next::Retry { spent: true, .. } | Next::Fail | Next::DeadLetter(_) => live.failed += 1,
        Next::Retry { spent: false, .. } => live.crashed += 1,
        Next::Succeed | Next::PutBack { .. } | Next::Cancel(_) => {}
    }
    let attempt = write_attempt(batch, &mut live, lease.token, end, beside)?;
    let ended = match next {
        Next::Retry { due, .. } | Next::PutBack { due } => {
            wait_again(batch, &mut live, *due)?;
            None
        }
        _ => {
            if let Next::DeadLetter(reason) = next {
                put_lost(batch, &live, *reason, *message, end.ended)?;
            }
            bury(batch, &mut live, state, reason, end.ended)?;
            Some(end.ended)
        }
    };
    let outbox = match *announced && !is_direct {
        true => Some(announce(batch, &live, reason, ended, Some(attempt), end.ended)?),
        false => None,
    };
    Ok(Settled { attempt, outbox })
}

/// The edge of the state machine that `next` takes, and the reason it leaves.
fn edge_of(next: Next, is_direct: bool) -> Result<(Transition, Option<EndReason>), Error> {
    match next {
        Next::Succeed => Ok((Transition::Succeed, None)),
        Next::Cancel(reason) => Ok((Transition::Cancel, Some(reason))),
        Next::Fail if is_direct => Ok((Transition::Fail, None)),
        Next::Retry { .. } | Next::PutBack { .. } if !is_direct => Ok((Transition::Retry, None)),
        Next::DeadLetter(reason) if !is_direct => Ok((Transition::DeadLetter, Some(reason))),
        Next::Fail => Err(Error::invalid("next", "only a synchronous invoke ends as failed")),
        Next::Retry { .. } | Next::PutBack { .. } | Next::DeadLetter(_) => {
            Err(Error::invalid("next", "a synchronous invoke is neither retried nor a dead letter"))
        }
    }
}

pub(super) fn finish(batch: &mut Batch<'_, '_>, finish: &Finish) -> Outcome<Option<i64>> {
    let is_end =
        matches!(finish.state, InvocationState::Expired | InvocationState::DeadLettered | InvocationState::Cancelled);
    if !is_end {
        return Err(Error::invalid("state", format!("a waiting invocation does not end as {}", finish.state)).into());
    }
    check_epoch(batch, finish.tenant, finish.epoch)?;
    let mut live = waiting(batch, finish.tenant, finish.invocation)?;
    if finish.state != InvocationState::Cancelled {
        put_lost(batch, &live, finish.reason, finish.message, finish.at)?;
    }
    bury(batch, &mut live, finish.state, Some(finish.reason), finish.at)?;
    match finish.announce {
        true => Ok(Some(announce(batch, &live, Some(finish.reason), Some(finish.at), None, finish.at)?)),
        false => Ok(None),
    }
}
