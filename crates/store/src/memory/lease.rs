//! What a lease does: start an attempt, keep it, end it, and give it back when its holder is gone.

use bytes::Bytes;
use sublet_model::{
    AttemptId, EndReason, Error, InvocationId, InvocationState, MessageId, Outcome, TenantId, Timestamp, Transition,
    Usage,
};

use super::State;
use super::queue::{Held, Invocation, Rows, new_record};
use crate::message::{MessageOrigin, NewMessage};
use crate::queue::{AttemptEnd, AttemptRecord, Claim, Finish, Lease, NewInvocation, Next, OutboxLine, Settle, Settled};

impl Rows {
    pub(super) fn claim(&mut self, claim: &Claim) -> Result<(), Error> {
        let lease = &claim.lease;
        self.check_epoch(lease.tenant, lease.epoch)?;
        let key = (lease.tenant, lease.invocation);
        let waiting = self.invocations.get_mut(&key).filter(|invocation| invocation.record.state.is_waiting());
        let invocation = waiting.ok_or_else(|| does_not_wait(lease.invocation))?;
        if Some(lease.token) != invocation.record.starts.checked_add(1) {
            return Err(Error::conflict(format!("token {} does not follow for {}", lease.token, lease.invocation)));
        }
        invocation.record.state = InvocationState::Running;
        invocation.record.starts = lease.token;
        invocation.held = Some(Held { epoch: lease.epoch, started: claim.at, until: claim.until });
        self.running.insert(key);
        Ok(())
    }

    pub(super) fn begin(&mut self, new: NewInvocation, epoch: u64, until: Timestamp) -> Result<(), Error> {
        let key = (new.tenant, new.id);
        self.check_epoch(new.tenant, epoch)?;
        if self.invocations.contains_key(&key) {
            return Err(Error::conflict(format!("the id {} is in use", new.id)));
        }
        let held = Held { epoch, started: new.due, until };
        let retry = new.retry.clone();
        let mut record = new_record(new, None, InvocationState::Running);
        record.starts = 1;
        let invocation = Invocation {
            record,
            retry,
            input: None,
            dead_letter: None,
            crashed: 0,
            redrives: 0,
            depth: 0,
            held: Some(held),
        };
        self.invocations.insert(key, invocation);
        self.running.insert(key);
        Ok(())
    }

    pub(super) fn extend(&mut self, lease: &Lease, until: Timestamp) -> Result<(), Error> {
        if let Some(held) = self.holder(lease)?.held.as_mut() {
            held.until = until;
        }
        Ok(())
    }

    /// Ends what waits.
    pub(super) fn finish(&mut self, finish: &Finish) -> Result<Option<i64>, Error> {
        let transition = match finish.state {
            InvocationState::Expired => Transition::Expire,
            InvocationState::DeadLettered => Transition::DeadLetter,
            InvocationState::Cancelled => Transition::Cancel,
            other => return Err(Error::invalid("state", format!("a waiting invocation does not end as {other}"))),
        };
        self.check_epoch(finish.tenant, finish.epoch)?;
        let found = self.invocations.get_mut(&(finish.tenant, finish.invocation));
        let waiting = found.filter(|invocation| invocation.record.state.is_waiting());
        let invocation = waiting.ok_or_else(|| does_not_wait(finish.invocation))?;
        let state = invocation.record.state.after(transition).ok_or_else(|| does_not_wait(finish.invocation))?;
        invocation.end(state, Some(finish.reason), finish.at);
        if !finish.announce {
            return Ok(None);
        }
        let (record, depth, redrives) = (invocation.record.clone(), invocation.depth, invocation.redrives);
        Ok(Some(self.write_line(record, None, depth, redrives)))
    }

    fn check_epoch(&self, tenant: TenantId, epoch: u64) -> Result<(), Error> {
        if self.epoch_of(tenant) == epoch {
            return Ok(());
        }
        Err(Error::fenced(format!("epoch {epoch} of the shard of {tenant} is over")))
    }

    /// The invocation that runs under exactly this lease; `Fenced` when there is none.
    fn holder(&mut self, lease: &Lease) -> Result<&mut Invocation, Error> {
        self.check_epoch(lease.tenant, lease.epoch)?;
        let found = self.invocations.get_mut(&(lease.tenant, lease.invocation));
        found
            .filter(|invocation| {
                invocation.record.starts == lease.token && invocation.held.is_some_and(|held| held.epoch == lease.epoch)
            })
            .ok_or_else(|| Error::fenced(format!("{} does not run under token {}", lease.invocation, lease.token)))
    }

    fn write_line(
        &mut self,
        invocation: crate::InvocationRecord,
        attempt: Option<AttemptRecord>,
        depth: u8,
        redrives: u32,
    ) -> i64 {
        self.outbox_last += 1;
        let id = self.outbox_last;
        self.outbox.insert(id, OutboxLine { id, invocation, attempt, depth, redrives });
        id
    }
}

impl State {
    pub(super) fn finish(&mut self, finish: &Finish) -> Result<Option<i64>, Error> {
        let line = self.queue.finish(finish)?;
        self.put_lost(finish.tenant, finish.invocation, finish.message);
        Ok(line)
    }

    /// Puts what was lost into the queue that is named for it, if there is one.
    fn put_lost(&mut self, tenant: TenantId, id: InvocationId, message: Option<MessageId>) {
        let Some(invocation) = self.queue.invocations.get(&(tenant, id)) else { return };
        let record = &invocation.record;
        let lost = matches!(record.state, InvocationState::DeadLettered | InvocationState::Expired);
        let (Some(message), Some(queue), Some(event), Some(reason), true) =
            (message, invocation.dead_letter, record.event, record.reason, lost)
        else {
            return;
        };
        let due = record.ended.unwrap_or(record.due);
        let new = NewMessage { id: message, queue, event, tenant: Some(tenant), due, input: None };
        self.put_dead_letter(new, MessageOrigin::Invocation { id, reason });
    }

    pub(super) fn settle(&mut self, settle: Settle) -> Result<Settled, Error> {
        let Settle { lease, end, next, announce, message } = settle;
        let invocation = self.queue.holder(&lease)?;
        let direct = invocation.is_direct();
        let (transition, reason) = edge_of(next, direct)?;
        let no_edge = || Error::invalid("next", format!("{} does not run", lease.invocation));
        let state = invocation.record.state.after(transition).ok_or_else(no_edge)?;

        match next {
            Next::Retry { spent: true, .. } | Next::Fail | Next::DeadLetter(_) => invocation.record.failed += 1,
            Next::Retry { spent: false, .. } => invocation.crashed += 1,
            Next::Succeed | Next::PutBack { .. } | Next::Cancel(_) => {}
        }
        match next {
            Next::Retry { due, .. } | Next::PutBack { due } => invocation.wait_again(due),
            _ => invocation.end(state, reason, end.ended),
        }
        let (record, depth, waiting) = (invocation.record.clone(), invocation.depth, invocation.waiting());
        let redrives = invocation.redrives;
        let attempt = self.write_attempt(&record, lease.token, end);
        let outbox =
            (announce && !direct).then(|| self.queue.write_line(record, Some(attempt.clone()), depth, redrives));
        self.put_lost(lease.tenant, lease.invocation, message);
        self.queue.announce(Vec::from_iter(waiting));
        Ok(Settled { attempt: attempt.id, outbox })
    }

    /// Gives back those of the running invocations that `lost` names. Answers how many.
    pub(super) fn rescue_where(&mut self, now: Timestamp, lost: impl Fn(&Invocation) -> bool) -> u64 {
        let running = self.queue.running.iter().copied();
        let keys: Vec<_> = running.filter(|key| self.queue.invocations.get(key).is_some_and(&lost)).collect();
        let mut waiting = Vec::new();
        for key in &keys {
            let Some(invocation) = self.queue.invocations.get_mut(key) else { continue };
            let started = invocation.held.map_or(now, |held| held.started);
            if invocation.is_direct() {
                invocation.record.failed += 1;
                invocation.end(InvocationState::Failed, None, now);
            } else {
                invocation.crashed += 1;
                invocation.wait_again(now);
            }
            waiting.extend(invocation.waiting());
            let record = invocation.record.clone();
            let end = AttemptEnd {
                started,
                ended: now,
                version: 0,
                outcome: Outcome::Crashed,
                usage: Usage::default(),
                result: None,
                failure: None,
                log: Bytes::new(),
                fetches: None,
            };
            self.write_attempt(&record, record.starts, end);
        }
        self.queue.announce(waiting);
        keys.len() as u64
    }

    /// The attempt row and its ledger line; the invocation runs no more.
    fn write_attempt(&mut self, of: &crate::InvocationRecord, number: u32, end: AttemptEnd) -> AttemptRecord {
        let id = AttemptId::from_raw(self.mint.next(end.ended));
        let attempt = AttemptRecord { id, invocation: of.id, tenant: of.tenant, function: of.function, number, end };
        self.ledger.count(&attempt);
        self.queue.running.remove(&(of.tenant, of.id));
        self.queue.attempts.insert((of.tenant, of.id, number), attempt.clone());
        attempt
    }
}

impl Invocation {
    fn wait_again(&mut self, due: Timestamp) {
        self.record.state = InvocationState::Retrying;
        self.record.due = due;
        self.held = None;
    }
}

/// The edge of the state machine that `next` takes, and the reason it leaves.
fn edge_of(next: Next, direct: bool) -> Result<(Transition, Option<EndReason>), Error> {
    match next {
        Next::Succeed => Ok((Transition::Succeed, None)),
        Next::Cancel(reason) => Ok((Transition::Cancel, Some(reason))),
        Next::Fail if direct => Ok((Transition::Fail, None)),
        Next::Retry { .. } | Next::PutBack { .. } if !direct => Ok((Transition::Retry, None)),
        Next::DeadLetter(reason) if !direct => Ok((Transition::DeadLetter, Some(reason))),
        Next::Fail => Err(Error::invalid("next", "only a synchronous invoke ends as failed")),
        Next::Retry { .. } | Next::PutBack { .. } | Next::DeadLetter(_) => {
            Err(Error::invalid("next", "a synchronous invoke is neither retried nor a dead letter"))
        }
    }
}

fn does_not_wait(invocation: InvocationId) -> Error {
    Error::conflict(format!("{invocation} does not wait"))
}
