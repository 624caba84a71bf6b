//! Attempts whose holder is gone are given back, once.

use std::time::Duration;

use bytes::Bytes;
use sublet_model::{ErrorKind, InvocationState, Outcome, Usage};

use super::world::{LEASE, World, refusal};
use crate::{Balance, Lease, Next};

async fn rescued(world: &World) -> u64 {
    world.store().rescue(&world.ownership, world.now).await.unwrap()
}

pub(super) async fn a_lease_that_ran_out_is_given_back_once(world: &mut World) {
    let acme = world.tenant("acme").await;
    let lease = world.running(&acme).await;
    let mut inbox = world.arrivals().await;
    // A lease ends at its `until`, not after it.
    world.pass(LEASE);
    assert_eq!(rescued(world).await, 1);
    assert_eq!(rescued(world).await, 0);

    let record = world.record(&acme, lease.invocation).await;
    assert_eq!((record.state, record.due, record.ended), (InvocationState::Retrying, world.now, None));
    assert_eq!((record.starts, record.failed), (1, 0), "retries unspent");
    let came = inbox.until(|waiting| waiting.invocation == lease.invocation).await;
    assert_eq!(came.len(), 1, "{came:?}");
    assert_eq!((came[0].due, came[0].starts, came[0].failed, came[0].crashed), (world.now, 1, 0, 1));
    let again = world.claim(&acme, lease.invocation).await;
    assert_eq!(again.token, 2);
    world.settle(again, Next::Succeed).await;
    world.check().await;
}

pub(super) async fn a_lease_that_still_runs_is_kept(world: &mut World) {
    let acme = world.tenant("acme").await;
    let lease = world.running(&acme).await;
    world.pass(LEASE - Duration::from_millis(1));
    assert_eq!(rescued(world).await, 0);
    world.settle(lease, Next::Succeed).await;
    world.pass(LEASE);
    assert_eq!(rescued(world).await, 0, "what ended has no lease");
    assert_eq!(world.state(&acme, lease.invocation).await, InvocationState::Succeeded);
}

pub(super) async fn an_extended_lease_is_kept(world: &mut World) {
    let acme = world.tenant("acme").await;
    let (kept, lost) = (world.running(&acme).await, world.running(&acme).await);
    world.pass(LEASE / 2);
    let answers = world.store().extend(vec![kept], world.now + LEASE).await.unwrap();
    assert!(answers.iter().all(Result::is_ok));
    world.pass(LEASE / 2);
    assert_eq!(rescued(world).await, 1);
    assert_eq!(world.state(&acme, kept.invocation).await, InvocationState::Running);
    assert_eq!(world.state(&acme, lost.invocation).await, InvocationState::Retrying);
    world.pass(LEASE / 2);
    assert_eq!(rescued(world).await, 1, "until the extension ends");
}

pub(super) async fn a_lost_lease_is_not_extended(world: &mut World) {
    let acme = world.tenant("acme").await;
    let lease = world.running(&acme).await;
    world.pass(LEASE);
    rescued(world).await;
    let photo = world.photograph().await;
    let answers = world.store().extend(vec![lease], world.now + LEASE).await.unwrap();
    assert_eq!(refusal(answers.into_iter().next().unwrap()), ErrorKind::Fenced);
    assert_eq!(world.photograph().await, photo, "nothing changed");
}

pub(super) async fn leases_are_extended_each_for_itself(world: &mut World) {
    let (acme, zeta) = (world.tenant("acme").await, world.tenant("zeta").await);
    let (one, ended, two) = (world.running(&acme).await, world.running(&acme).await, world.running(&zeta).await);
    world.settle(ended, Next::Succeed).await;
    let wrong = Lease { token: 2, ..one };
    let leases = vec![one, ended, wrong, two];
    let answers = world.store().extend(leases, world.now + LEASE * 2).await.unwrap();
    let kinds: Vec<_> = answers.into_iter().map(|answer| answer.err().map(|error| error.kind)).collect();
    assert_eq!(kinds, [None, Some(ErrorKind::Fenced), Some(ErrorKind::Fenced), None]);
    world.pass(LEASE);
    assert_eq!(rescued(world).await, 0);
}

pub(super) async fn an_earlier_epochs_attempts_are_given_back_at_acquire(world: &mut World) {
    let (acme, zeta) = (world.tenant("acme").await, world.tenant("zeta").await);
    let (one, two) = (world.running(&acme).await, world.running(&zeta).await);
    let waits = world.waiting(&acme).await;
    // Long before the leases end: their owner is gone, that is enough.
    world.acquire().await;
    for (tenant, lease) in [(&acme, one), (&zeta, two)] {
        let record = world.record(tenant, lease.invocation).await;
        assert_eq!((record.state, record.due, record.failed), (InvocationState::Retrying, world.now, 0));
        let attempts = world.store().attempts(tenant.id, lease.invocation).await.unwrap();
        assert_eq!(attempts.iter().map(|attempt| attempt.end.outcome).collect::<Vec<_>>(), [Outcome::Crashed]);
    }
    assert_eq!(world.record(&acme, waits).await.starts, 0, "what waited goes on waiting");
    assert_eq!(rescued(world).await, 0, "they were given back already");
    let balance = world.store().balance(acme.id).await.unwrap();
    assert_eq!(balance, Balance { accepted: 2, waiting: 2, ..Balance::default() });
    world.check().await;
}

pub(super) async fn attempts_of_a_dead_process_are_given_back_once(world: &mut World) {
    let acme = world.tenant("acme").await;
    let lease = world.running(&acme).await;
    for _ in 0..2 {
        world.restart().await;
        assert_eq!(world.state(&acme, lease.invocation).await, InvocationState::Retrying);
        assert_eq!(world.store().attempts(acme.id, lease.invocation).await.unwrap().len(), 1);
        world.check().await;
    }
    let came = world.arrivals().await.until(|waiting| waiting.invocation == lease.invocation).await;
    assert_eq!((came[0].starts, came[0].failed, came[0].crashed), (1, 0, 1));
}

pub(super) async fn a_rescued_attempt_is_a_ledger_line_without_usage(world: &mut World) {
    let acme = world.tenant("acme").await;
    let lease = world.running(&acme).await;
    let began = world.now;
    world.pass(LEASE);
    rescued(world).await;
    let attempts = world.store().attempts(acme.id, lease.invocation).await.unwrap();
    assert_eq!(attempts.len(), 1);
    assert_eq!((attempts[0].number, attempts[0].function), (1, acme.function));
    let end = &attempts[0].end;
    assert_eq!((end.started, end.ended, end.version), (began, world.now, 0));
    assert_eq!((end.outcome, end.usage), (Outcome::Crashed, Usage::default()));
    assert_eq!((&end.result, &end.failure, &end.log), (&None, &None, &Bytes::new()));
    let usage = world.usage().await;
    assert_eq!(usage.len(), 1);
    assert_eq!((usage[0].sum.attempts, usage[0].sum.failed, usage[0].sum.wall_us), (1, 1, 0));
    assert!(world.outbox().await.is_empty());
    world.check().await;
}

pub(super) async fn a_late_settle_is_fenced(world: &mut World) {
    let acme = world.tenant("acme").await;
    let lease = world.running(&acme).await;
    world.pass(LEASE);
    rescued(world).await;
    let photo = world.photograph().await;
    assert_eq!(refusal(world.try_settle(lease, Next::Succeed).await), ErrorKind::Fenced, "while it waits");
    assert_eq!(world.photograph().await, photo, "nothing changed");
    let again = world.claim(&acme, lease.invocation).await;
    let photo = world.photograph().await;
    assert_eq!(refusal(world.try_settle(lease, Next::Succeed).await), ErrorKind::Fenced, "while another runs it");
    assert_eq!(world.photograph().await, photo, "nothing changed");
    world.settle(again, Next::Succeed).await;
}

pub(super) async fn a_fenced_owner_rescues_nothing(world: &mut World) {
    let acme = world.tenant("acme").await;
    let former = world.ownership.clone();
    world.acquire().await;
    let lease = world.running(&acme).await;
    world.pass(LEASE);
    assert_eq!(refusal(world.store().rescue(&former, world.now).await), ErrorKind::Fenced);
    assert_eq!(world.state(&acme, lease.invocation).await, InvocationState::Running);
    assert_eq!(rescued(world).await, 1);
}

pub(super) async fn epochs_grow_with_every_owner_and_across_a_crash(world: &mut World) {
    for crash in [false, true, false, true] {
        let former = world.ownership.clone();
        if crash {
            world.crash().await;
        }
        world.acquire().await;
        assert_eq!(world.ownership.epochs.len(), former.epochs.len());
        for ((shard, epoch), (_, before)) in world.ownership.shards().zip(former.shards()) {
            assert!(epoch > before, "shard {}: {epoch} after {before}", shard.0);
        }
        assert_eq!(world.ownership.shards().count(), usize::from(crate::SHARDS), "all, of a store of one owner");
    }
}
