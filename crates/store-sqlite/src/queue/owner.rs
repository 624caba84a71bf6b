//! Owning the shards: epochs, the backlog at start, and giving back what a lost owner left running.

use bytes::Bytes;
use rusqlite::params;
use sublet_model::{Error, InvocationState, Outcome as AttemptOutcome, Timestamp, Usage};
use sublet_store::{AttemptEnd, Ownership, SHARDS, Waiting};
use tokio::sync::mpsc;

use super::end::{bury, wait_again, write_attempt};
use crate::body::Beside;
use crate::command::Batch;
use crate::fail::Outcome;
use crate::option::ARRIVALS_PER_MESSAGE;
use crate::row::Live;
use crate::state::Running;

/// One process holds the directory, so every shard is free.
pub(super) fn acquire(batch: &mut Batch<'_, '_>, node: u16, now: Timestamp) -> Outcome<Ownership> {
    batch.state.mint_for(node);
    for (shard, epoch) in (0..SHARDS).zip(&mut batch.state.epochs) {
        *epoch += 1;
        let mut statement = batch.conn.prepare_cached("INSERT OR REPLACE INTO shard VALUES (?, ?, ?)")?;
        statement.execute(params![shard, epoch.cast_signed(), node])?;
    }
    // The former owner hears no more.
    batch.after.arrivals = Some(None);
    give_back(batch, now, |_| true)?;
    Ok(Ownership { epochs: batch.state.epochs.iter().copied().map(Some).collect() })
}

pub(super) fn rescue(batch: &mut Batch<'_, '_>, ownership: &Ownership, now: Timestamp) -> Outcome<u64> {
    check_owner(batch, ownership)?;
    give_back(batch, now, |running| running.until <= now && ownership.epoch_of(running.live.tenant).is_some())
}

fn give_back(batch: &mut Batch<'_, '_>, now: Timestamp, lost: impl Fn(&Running) -> bool) -> Outcome<u64> {
    let mut lives: Vec<Live> =
        batch.state.running.values().filter(|running| lost(running)).map(|running| running.live.clone()).collect();
    lives.sort_unstable_by_key(|live| live.id);
    for live in &mut lives {
        let end = AttemptEnd {
            started: live.claimed,
            ended: now,
            version: 0,
            outcome: AttemptOutcome::Crashed,
            usage: Usage::default(),
            result: None,
            failure: None,
            log: Bytes::new(),
            fetches: None,
        };
        let number = live.starts;
        write_attempt(batch, live, number, &end, &Beside::default())?;
        if live.event.is_none() {
            live.failed += 1;
            bury(batch, live, InvocationState::Failed, None, now)?;
        } else {
            live.crashed += 1;
            wait_again(batch, live, now)?;
        }
    }
    Ok(lives.len() as u64)
}

fn check_owner(batch: &Batch<'_, '_>, ownership: &Ownership) -> Result<(), Error> {
    let epochs = &batch.state.epochs;
    match ownership.shards().find(|(shard, epoch)| epochs.get(usize::from(shard.0)) != Some(epoch)) {
        Some((shard, epoch)) => Err(Error::fenced(format!("shard {} is no longer held under epoch {epoch}", shard.0))),
        None => Ok(()),
    }
}

/// One scan of what waits; the receiver is handed over with the answer, so it shows nothing that is not durable.
pub(super) fn arrivals(
    batch: &mut Batch<'_, '_>,
    ownership: &Ownership,
) -> Outcome<mpsc::UnboundedReceiver<Vec<Waiting>>> {
    check_owner(batch, ownership)?;
    let (sender, receiver) = mpsc::unbounded_channel();
    // An owner of no shard hears nothing, and must not silence the owner of all.
    if ownership.shards().next().is_none() {
        return Ok(receiver);
    }
    let sql = format!("SELECT {} FROM live WHERE state <> ?", Live::COLUMNS);
    let mut statement = batch.conn.prepare_cached(&sql)?;
    let mut rows = statement.query([InvocationState::Running.code()])?;
    let mut backlog: Vec<Waiting> = Vec::new();
    while let Some(row) = rows.next()? {
        let waiting = Live::read(row)?.waiting();
        backlog.extend(waiting.filter(|waiting| ownership.epoch_of(waiting.tenant).is_some()));
    }
    backlog.sort_unstable_by_key(|waiting| (waiting.due, waiting.invocation));
    for part in backlog.chunks(ARRIVALS_PER_MESSAGE) {
        // The receiver is in our own hands.
        drop(sender.send(part.to_vec()));
    }
    batch.after.arrivals = Some(Some(sender));
    Ok(receiver)
}
