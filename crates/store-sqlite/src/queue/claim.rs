//! Starting attempts and keeping their leases.

use rusqlite::Connection;
use sublet_model::{Error, InvocationId, InvocationState, TenantId, Timestamp};
use sublet_store::{Claim, Lease, NewInvocation};
use tokio::sync::oneshot;

use crate::bus::insert_live;
use crate::command::{Batch, Command};
use crate::fail::{Fail, Outcome};
use crate::row::Live;
use crate::state::Running;

/// Some claims, each answered for itself.
pub(super) struct Claims {
    claims: Vec<Claim>,
    answers: Vec<Result<(), Error>>,
    reply: oneshot::Sender<Vec<Result<(), Error>>>,
}

impl Claims {
    pub(super) fn new(claims: Vec<Claim>) -> (Claims, oneshot::Receiver<Vec<Result<(), Error>>>) {
        let (reply, receiver) = oneshot::channel();
        (Claims { claims, answers: Vec::new(), reply }, receiver)
    }
}

impl Command for Claims {
    fn weight(&self) -> usize {
        0
    }

    fn apply(&mut self, batch: &mut Batch<'_, '_>) -> Result<(), Fail> {
        self.answers = Vec::with_capacity(self.claims.len());
        for one in &self.claims {
            self.answers.push(match claim(batch, one) {
                Ok(()) => Ok(()),
                Err(Fail::Refused(error)) => Err(error),
                Err(fail) => return Err(fail),
            });
        }
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), Error>) {
        let answers = match committed {
            Ok(()) => self.answers,
            Err(error) => vec![Err(error); self.claims.len()],
        };
        drop(self.reply.send(answers));
    }
}

fn claim(batch: &mut Batch<'_, '_>, claim: &Claim) -> Outcome<()> {
    let lease = &claim.lease;
    check_epoch(batch, lease.tenant, lease.epoch)?;
    let mut live = waiting(batch, lease.tenant, lease.invocation)?;
    if Some(lease.token) != live.starts.checked_add(1) {
        let (token, id) = (lease.token, lease.invocation);
        return Err(Error::conflict(format!("token {token} does not follow for {id}")).into());
    }
    live.state = InvocationState::Running;
    live.starts = lease.token;
    live.claimed = claim.at;
    batch.hot.claim_live.execute((live.state.code(), live.starts, live.claimed.millis(), live.id.raw()))?;
    batch.state.fresh.remove(&live.id);
    batch.state.running.insert(live.id, Running { live, epoch: lease.epoch, until: claim.until });
    Ok(())
}

pub(super) fn begin(batch: &mut Batch<'_, '_>, new: &NewInvocation, epoch: u64, until: Timestamp) -> Outcome<()> {
    check_epoch(batch, new.tenant, epoch)?;
    if batch.state.running.contains_key(&new.id) {
        return Err(Error::conflict(format!("the id {} is in use", new.id)).into());
    }
    insert_live(batch, new, None, 0, InvocationState::Running)?;
    let live = Live::new(new, None, 0, InvocationState::Running);
    batch.state.running.insert(new.id, Running { live, epoch, until });
    Ok(())
}

/// Writes nothing: after a crash every lease is stale anyway.
pub(super) fn extend(batch: &mut Batch<'_, '_>, lease: &Lease, until: Timestamp) -> Result<(), Error> {
    check_epoch(batch, lease.tenant, lease.epoch)?;
    holder(batch, lease)?.until = until;
    Ok(())
}

pub(super) fn check_epoch(batch: &Batch<'_, '_>, tenant: TenantId, epoch: u64) -> Result<(), Error> {
    if batch.state.epoch_of(tenant) == epoch {
        return Ok(());
    }
    Err(Error::fenced(format!("epoch {epoch} of the shard of {tenant} is over")))
}

/// The attempt that runs under exactly this lease; `Fenced` when there is none.
pub(super) fn holder<'a>(batch: &'a mut Batch<'_, '_>, lease: &Lease) -> Result<&'a mut Running, Error> {
    let found = batch.state.running.get_mut(&lease.invocation).filter(|running| {
        running.live.tenant == lease.tenant && running.live.starts == lease.token && running.epoch == lease.epoch
    });
    found.ok_or_else(|| Error::fenced(format!("{} does not run under token {}", lease.invocation, lease.token)))
}

/// The row of an invocation that waits; `Conflict` when it does not.
pub(super) fn waiting(batch: &mut Batch<'_, '_>, tenant: TenantId, id: InvocationId) -> Outcome<Live> {
    let fresh = batch.state.fresh.get(&id).cloned();
    let live = match fresh {
        Some(live) => Some(live),
        None => batch.hot.select_live.query([id.raw()])?.next()?.map(Live::read).transpose()?,
    };
    let live = live.filter(|live| live.tenant == tenant && live.state.is_waiting());
    Ok(live.ok_or_else(|| Error::conflict(format!("{id} does not wait")))?)
}

pub(super) fn read_live(conn: &Connection, id: InvocationId) -> Outcome<Option<Live>> {
    const SQL: &str = "SELECT id, tenant, function, event, state, due, starts, failed, crashed, depth, claimed, \
         attempts, redrives FROM live WHERE id = ?";
    let mut statement = conn.prepare_cached(SQL)?;
    let mut rows = statement.query([id.raw()])?;
    rows.next()?.map(Live::read).transpose()
}
