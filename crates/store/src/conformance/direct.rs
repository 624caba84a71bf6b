//! Synchronous invokes: they run at once, and their caller has the answer.

use std::time::Duration;

use sublet_model::{EndReason, ErrorKind, InvocationState, Outcome};

use super::world::{LEASE, World, first, refusal};
use crate::{Balance, InvocationFilter, Next, Selection};

pub(super) async fn an_invoke_runs_at_once_and_ends_with_its_settle(world: &mut World) {
    let acme = world.tenant("acme").await;
    let table = [
        (Next::Succeed, InvocationState::Succeeded, 0),
        (Next::Fail, InvocationState::Failed, 1),
        (Next::Cancel(EndReason::CancelledByRequest), InvocationState::Cancelled, 0),
    ];
    for (next, state, failed) in table {
        let lease = world.invoking(&acme).await;
        let record = world.record(&acme, lease.invocation).await;
        assert_eq!((record.state, record.starts, record.event), (InvocationState::Running, 1, None));

        let mut settlement = world.settlement(lease, next);
        settlement.announce = false;
        let settled = world.store().settle(settlement.clone()).await.unwrap();
        assert_eq!(settled.outbox, None);
        let record = world.record(&acme, lease.invocation).await;
        assert_eq!((record.state, record.failed, record.ended), (state, failed, Some(world.now)), "{next:?}");
        let attempts = world.store().attempts(acme.id, lease.invocation).await.unwrap();
        assert_eq!(attempts.len(), 1);
        assert_eq!((attempts[0].id, attempts[0].number), (settled.attempt, 1));
        assert_eq!(attempts[0].end, settlement.end);
        assert_eq!(refusal(world.store().settle(settlement).await), ErrorKind::Fenced, "once");
    }
    assert_eq!(world.usage().await[0].sum.attempts, 3, "metered like any attempt");
    assert!(world.outbox().await.is_empty());
    let listed = world.store().invocations(acme.id, InvocationFilter::default(), first()).await.unwrap();
    assert_eq!(listed.items.len(), 3);
    world.check().await;
}

pub(super) async fn an_invoke_never_arrives_and_is_not_in_the_balance(world: &mut World) {
    let acme = world.tenant("acme").await;
    let mut inbox = world.arrivals().await;
    let running = world.invoking(&acme).await;
    let ended = world.invoking(&acme).await;
    world.settle(ended, Next::Fail).await;
    assert_eq!(world.store().work(acme.id, running.invocation).await.unwrap(), None);
    assert_eq!(world.store().balance(acme.id).await.unwrap(), Balance::default());

    let event = world.waiting(&acme).await;
    let came = inbox.until(|waiting| waiting.invocation == event).await;
    assert_eq!(came.len(), 1, "{came:?}");
    world.restart().await;
    let came = world.arrivals().await.until(|waiting| waiting.invocation == event).await;
    assert_eq!(came.len(), 1, "{came:?}");
}

pub(super) async fn an_invoke_is_neither_retried_nor_a_dead_letter(world: &mut World) {
    let acme = world.tenant("acme").await;
    let lease = world.invoking(&acme).await;
    let photo = world.photograph().await;
    let due = world.now;
    for next in [Next::Retry { due, spent: true }, Next::DeadLetter(EndReason::AttemptsExhausted)] {
        let mut settlement = world.settlement(lease, next);
        settlement.announce = false;
        assert_eq!(refusal(world.store().settle(settlement).await), ErrorKind::Invalid, "{next:?}");
    }
    assert_eq!(world.photograph().await, photo, "nothing changed");
    world.settle(lease, Next::Fail).await;
    assert_eq!(world.store().redrive(acme.id, Selection::All, world.now).await.unwrap(), 0);
    assert!(world.store().dead_letters(acme.id, first()).await.unwrap().items.is_empty());
}

pub(super) async fn an_invoke_under_a_stale_epoch_is_fenced(world: &mut World) {
    let acme = world.tenant("acme").await;
    let stale = world.ownership.epoch_of(acme.id).unwrap();
    world.acquire().await;
    let invocation = world.invocation(&acme, None);
    let id = invocation.id;
    let answer = world.store().begin(invocation, stale, world.now + LEASE).await.unwrap();
    assert_eq!(refusal(answer), ErrorKind::Fenced);
    assert_eq!(world.store().invocation(acme.id, id).await.unwrap(), None);
}

pub(super) async fn an_invoke_with_an_id_in_use_is_a_conflict(world: &mut World) {
    let acme = world.tenant("acme").await;
    let (waits, runs) = (world.waiting(&acme).await, world.invoking(&acme).await.invocation);
    let photo = world.photograph().await;
    for id in [waits, runs] {
        let mut invocation = world.invocation(&acme, None);
        invocation.id = id;
        let epoch = world.ownership.epoch_of(acme.id).unwrap();
        let answer = world.store().begin(invocation, epoch, world.now + LEASE).await.unwrap();
        assert_eq!(refusal(answer), ErrorKind::Conflict);
    }
    assert_eq!(world.photograph().await, photo, "nothing changed");
}

pub(super) async fn an_invoke_whose_lease_ran_out_has_failed(world: &mut World) {
    let acme = world.tenant("acme").await;
    let lease = world.invoking(&acme).await;
    let began = world.now;
    world.pass(LEASE + Duration::from_secs(1));
    assert_eq!(world.store().rescue(&world.ownership, world.now).await.unwrap(), 1);
    assert_eq!(world.store().rescue(&world.ownership, world.now).await.unwrap(), 0, "once");

    let record = world.record(&acme, lease.invocation).await;
    assert_eq!((record.state, record.reason, record.failed), (InvocationState::Failed, None, 1));
    assert_eq!(record.ended, Some(world.now));
    let attempts = world.store().attempts(acme.id, lease.invocation).await.unwrap();
    assert_eq!(attempts.len(), 1);
    assert_eq!((attempts[0].end.outcome, attempts[0].end.started), (Outcome::Crashed, began));
    assert_eq!(refusal(world.try_settle(lease, Next::Succeed).await), ErrorKind::Fenced);
    assert!(world.outbox().await.is_empty());
    world.check().await;
}

pub(super) async fn an_invoke_whose_process_died_has_failed(world: &mut World) {
    let acme = world.tenant("acme").await;
    let lease = world.invoking(&acme).await;
    world.restart().await;
    assert_eq!(world.state(&acme, lease.invocation).await, InvocationState::Failed);
    let attempts = world.store().attempts(acme.id, lease.invocation).await.unwrap();
    assert_eq!(attempts.iter().map(|attempt| attempt.end.outcome).collect::<Vec<_>>(), [Outcome::Crashed]);
    world.check().await;
}
