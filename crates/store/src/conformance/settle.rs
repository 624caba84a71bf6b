//! Ending attempts.

use std::time::Duration;

use sublet_model::{EndReason, ErrorKind, InvocationState, Outcome};

use super::world::{LEASE, World, refusal};
use crate::{Balance, Claim, Lease, Next};

pub(super) async fn a_success_keeps_the_attempt_as_handed_in(world: &mut World) {
    let acme = world.tenant("acme").await;
    let lease = world.running(&acme).await;
    world.pass(Duration::from_secs(1));
    let end = world.end(Outcome::Succeeded);
    let settled = world.settle(lease, Next::Succeed).await;

    let attempts = world.store().attempts(acme.id, lease.invocation).await.unwrap();
    assert_eq!(attempts.len(), 1);
    let attempt = &attempts[0];
    assert_eq!((attempt.id, attempt.number, attempt.invocation), (settled.attempt, 1, lease.invocation));
    assert_eq!((attempt.tenant, attempt.function), (acme.id, acme.function));
    assert_eq!(attempt.end, end);
    let record = world.record(&acme, lease.invocation).await;
    assert_eq!((record.state, record.reason), (InvocationState::Succeeded, None));
    assert_eq!((record.ended, record.starts, record.failed), (Some(end.ended), 1, 0));
    let balance = world.store().balance(acme.id).await.unwrap();
    assert_eq!(balance, Balance { accepted: 1, succeeded: 1, ..Balance::default() });
}

pub(super) async fn each_next_leads_to_its_state(world: &mut World) {
    let acme = world.tenant("acme").await;
    let due = world.now + Duration::from_secs(9);
    let exhausted = EndReason::AttemptsExhausted;
    let asked = EndReason::CancelledByRequest;
    let table = [
        (Next::Succeed, InvocationState::Succeeded, None, 0),
        (Next::Retry { due, spent: true }, InvocationState::Retrying, None, 1),
        (Next::Retry { due, spent: false }, InvocationState::Retrying, None, 0),
        (Next::PutBack { due }, InvocationState::Retrying, None, 0),
        (Next::DeadLetter(exhausted), InvocationState::DeadLettered, Some(exhausted), 1),
        (Next::Cancel(asked), InvocationState::Cancelled, Some(asked), 0),
    ];
    for (next, state, reason, failed) in table {
        let lease = world.running(&acme).await;
        world.settle(lease, next).await;
        let record = world.record(&acme, lease.invocation).await;
        assert_eq!((record.state, record.reason, record.failed), (state, reason, failed), "{next:?}");
        assert_eq!(record.ended, state.is_final().then_some(world.now), "{next:?}");
    }
    let expected =
        Balance { accepted: 6, succeeded: 1, dead_lettered: 1, cancelled: 1, waiting: 3, ..Balance::default() };
    assert_eq!(world.store().balance(acme.id).await.unwrap(), expected);
    world.check().await;
}

pub(super) async fn a_retry_waits_for_its_due_time(world: &mut World) {
    let acme = world.tenant("acme").await;
    let lease = world.running(&acme).await;
    let due = world.now + Duration::from_millis(12_345);
    world.settle(lease, Next::Retry { due, spent: true }).await;
    assert_eq!(world.record(&acme, lease.invocation).await.due, due);

    world.restart().await;
    let record = world.record(&acme, lease.invocation).await;
    assert_eq!((record.state, record.due, record.starts), (InvocationState::Retrying, due, 1), "after a crash");
    let came = world.arrivals().await.until(|waiting| waiting.invocation == lease.invocation).await;
    assert_eq!((came[0].due, came[0].starts), (due, 1));
}

pub(super) async fn a_retry_counts_against_the_policy_only_when_spent(world: &mut World) {
    let acme = world.tenant("acme").await;
    let id = world.waiting(&acme).await;
    let mut inbox = world.arrivals().await;
    let due = world.now;
    let (back, retry) = (Next::PutBack { due }, |spent| Next::Retry { due, spent });
    let table = [(retry(true), 1, 0), (retry(false), 1, 1), (back, 1, 1), (retry(false), 1, 2), (retry(true), 2, 2)];
    for (starts, (next, failed, crashed)) in (1..).zip(table) {
        let lease = world.claim(&acme, id).await;
        world.settle(lease, next).await;
        let came = inbox.until(|waiting| waiting.starts == starts).await;
        let waiting = came.last().unwrap();
        assert_eq!((waiting.failed, waiting.crashed), (failed, crashed), "after start {starts}");
        assert_eq!(world.record(&acme, id).await.failed, failed);
    }
    world.restart().await;
    let came = world.arrivals().await.until(|waiting| waiting.invocation == id).await;
    assert_eq!((came[0].failed, came[0].crashed, came[0].starts), (2, 2, 5), "after a crash");
}

/// Settling under `lease` is refused and leaves everything as it is.
async fn assert_fenced(world: &World, lease: Lease) {
    let photo = world.photograph().await;
    let due = world.now;
    for next in [Next::Succeed, Next::Retry { due, spent: true }, Next::DeadLetter(EndReason::AttemptsExhausted)] {
        assert_eq!(refusal(world.try_settle(lease, next).await), ErrorKind::Fenced, "{next:?}");
    }
    assert_eq!(world.photograph().await, photo, "nothing changed");
}

pub(super) async fn a_stale_token_is_fenced(world: &mut World) {
    let acme = world.tenant("acme").await;
    let first = world.running(&acme).await;
    world.settle(first, Next::Retry { due: world.now, spent: true }).await;
    let second = world.claim(&acme, first.invocation).await;
    assert_fenced(world, first).await;
    assert_fenced(world, Lease { token: 3, ..second }).await;
    assert_fenced(world, Lease { token: 0, ..second }).await;
    world.settle(second, Next::Succeed).await;
}

pub(super) async fn a_stale_epoch_is_fenced(world: &mut World) {
    let acme = world.tenant("acme").await;
    let lease = world.running(&acme).await;
    world.acquire().await;
    assert_fenced(world, lease).await;
    let fresh = world.claim(&acme, lease.invocation).await;
    assert_fenced(world, lease).await;
    // The old holder guesses the new token; its epoch still gives it away.
    assert_fenced(world, Lease { token: fresh.token, ..lease }).await;
    world.settle(fresh, Next::Succeed).await;
}

pub(super) async fn an_attempt_ends_once(world: &mut World) {
    let acme = world.tenant("acme").await;
    let due = world.now;
    for next in [Next::Succeed, Next::Retry { due, spent: true }, Next::DeadLetter(EndReason::AttemptsExhausted)] {
        let lease = world.running(&acme).await;
        world.settle(lease, next).await;
        assert_fenced(world, lease).await;
    }
}

pub(super) async fn what_was_never_claimed_is_not_settled(world: &mut World) {
    let acme = world.tenant("acme").await;
    let id = world.waiting(&acme).await;
    assert_fenced(world, world.lease(&acme, id, 0)).await;
    assert_fenced(world, world.lease(&acme, id, 1)).await;
    let unknown = sublet_model::InvocationId::from_raw(world.raw());
    assert_fenced(world, world.lease(&acme, unknown, 1)).await;
}

pub(super) async fn a_settle_right_behind_its_claim_is_written_after_it(world: &mut World) {
    let acme = world.tenant("acme").await;
    for _ in 0..20 {
        let id = world.waiting(&acme).await;
        let lease = world.lease(&acme, id, 1);
        let claim = Claim { lease, at: world.now, until: world.now + LEASE };
        let answer = world.store().claim(vec![claim]);
        world.settle(lease, Next::Succeed).await;
        assert!(answer.await.unwrap()[0].is_ok());
        assert_eq!(world.state(&acme, id).await, InvocationState::Succeeded);
    }
}

pub(super) async fn the_attempt_the_state_and_the_line_are_one(world: &mut World) {
    let acme = world.tenant("acme").await;
    let lease = world.running(&acme).await;
    let settled = world.settle(lease, Next::Succeed).await;
    let lines = world.outbox().await;
    assert_eq!(lines.len(), 1);
    assert_eq!(Some(lines[0].id), settled.outbox);
    assert_eq!(lines[0].invocation, world.record(&acme, lease.invocation).await);
    let attempts = world.store().attempts(acme.id, lease.invocation).await.unwrap();
    assert_eq!(lines[0].attempt.as_ref(), attempts.first());
    assert_eq!(world.usage().await[0].sum.attempts, 1);
}

pub(super) async fn no_line_is_written_unless_announced(world: &mut World) {
    let acme = world.tenant("acme").await;
    let lease = world.running(&acme).await;
    let mut settlement = world.settlement(lease, Next::Succeed);
    settlement.announce = false;
    assert_eq!(world.store().settle(settlement).await.unwrap().outbox, None);
    let lease = world.running(&acme).await;
    let settled = world.settle(lease, Next::Retry { due: world.now, spent: true }).await;
    assert_eq!(settled.outbox, None);
    assert!(world.outbox().await.is_empty());
}

pub(super) async fn an_edge_that_the_states_do_not_have_is_invalid(world: &mut World) {
    let acme = world.tenant("acme").await;
    let lease = world.running(&acme).await;
    let photo = world.photograph().await;
    assert_eq!(refusal(world.try_settle(lease, Next::Fail).await), ErrorKind::Invalid);
    assert_eq!(world.photograph().await, photo, "nothing changed");
    world.settle(lease, Next::Succeed).await;
}

pub(super) async fn attempts_are_listed_from_the_first_start(world: &mut World) {
    let acme = world.tenant("acme").await;
    let id = world.waiting(&acme).await;
    for _ in 0..3 {
        let lease = world.claim(&acme, id).await;
        world.pass(Duration::from_secs(60));
        world.settle(lease, Next::Retry { due: world.now, spent: true }).await;
    }
    // One that nobody settled, in between.
    world.claim(&acme, id).await;
    world.acquire().await;
    let lease = world.claim(&acme, id).await;
    world.settle(lease, Next::Succeed).await;
    let attempts = world.store().attempts(acme.id, id).await.unwrap();
    let told: Vec<_> = attempts.iter().map(|attempt| (attempt.number, attempt.end.outcome)).collect();
    let failed = Outcome::Failed;
    assert_eq!(told, [(1, failed), (2, failed), (3, failed), (4, Outcome::Crashed), (5, Outcome::Succeeded)]);
    let started: Vec<_> = attempts.iter().map(|attempt| attempt.end.ended).collect();
    assert!(started.is_sorted());
}

pub(super) async fn attempt_ids_grow_in_commit_order(world: &mut World) {
    let (acme, zeta) = (world.tenant("acme").await, world.tenant("zeta").await);
    let mut last = None;
    for round in 0..40 {
        let tenant = if round % 2 == 0 { &acme } else { &zeta };
        let lease = world.running(tenant).await;
        let settled = world.settle(lease, Next::Succeed).await;
        assert!(Some(settled.attempt) > last);
        last = Some(settled.attempt);
        if round == 20 {
            world.restart().await;
        }
        // A clock that steps back does not turn the order round.
        world.now =
            if round % 3 == 0 { world.now - Duration::from_secs(5) } else { world.now + Duration::from_secs(3) };
    }
}

pub(super) async fn what_was_settled_is_there_after_a_crash(world: &mut World) {
    let acme = world.tenant("acme").await;
    world.succeeded(&acme).await;
    world.dead(&acme).await;
    let lease = world.running(&acme).await;
    world.settle(lease, Next::Retry { due: world.now, spent: true }).await;
    let photo = world.photograph().await;
    world.restart().await;
    assert_eq!(world.photograph().await, photo);
    world.check().await;
}
