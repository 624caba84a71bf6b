//! Starting attempts.

use sublet_model::{EndReason, ErrorKind, InvocationId, InvocationState};

use super::world::{LEASE, World, refusal};
use crate::{Balance, Claim, Next, Selection};

pub(super) async fn a_claim_starts_an_attempt(world: &mut World) {
    let acme = world.tenant("acme").await;
    let id = world.waiting(&acme).await;
    world.try_claim(world.lease(&acme, id, 1)).await.unwrap();
    let record = world.record(&acme, id).await;
    assert_eq!((record.state, record.starts, record.failed), (InvocationState::Running, 1, 0));
    let balance = world.store().balance(acme.id).await.unwrap();
    assert_eq!(balance, Balance { accepted: 1, in_flight: 1, ..Balance::default() });
    assert!(world.store().attempts(acme.id, id).await.unwrap().is_empty(), "an attempt row is written at its end");
}

pub(super) async fn the_token_must_follow(world: &mut World) {
    let acme = world.tenant("acme").await;
    let id = world.waiting(&acme).await;
    let photo = world.photograph().await;
    for token in [0, 2, 3, u32::MAX] {
        assert_eq!(refusal(world.try_claim(world.lease(&acme, id, token)).await), ErrorKind::Conflict, "{token}");
    }
    assert_eq!(world.photograph().await, photo, "nothing changed");

    world.try_claim(world.lease(&acme, id, 1)).await.unwrap();
    world.settle(world.lease(&acme, id, 1), Next::Retry { due: world.now, spent: true }).await;
    for token in [0, 1, 3] {
        assert_eq!(refusal(world.try_claim(world.lease(&acme, id, token)).await), ErrorKind::Conflict, "{token}");
    }
    world.try_claim(world.lease(&acme, id, 2)).await.unwrap();
}

pub(super) async fn an_invocation_is_claimed_once(world: &mut World) {
    let acme = world.tenant("acme").await;
    let lease = world.running(&acme).await;
    let photo = world.photograph().await;
    for token in [1, 2] {
        let again = world.lease(&acme, lease.invocation, token);
        assert_eq!(refusal(world.try_claim(again).await), ErrorKind::Conflict);
    }
    assert_eq!(world.photograph().await, photo, "nothing changed");
    world.settle(lease, Next::Succeed).await;
}

pub(super) async fn what_does_not_wait_is_not_claimed(world: &mut World) {
    let acme = world.tenant("acme").await;
    let unknown = InvocationId::from_raw(world.raw());
    assert_eq!(refusal(world.try_claim(world.lease(&acme, unknown, 1)).await), ErrorKind::Conflict);

    let cancelled = world.waiting(&acme).await;
    let reason = EndReason::CancelledByRequest;
    world.store().cancel(acme.id, Selection::Ids(vec![cancelled]), reason, world.now).await.unwrap();
    assert_eq!(refusal(world.try_claim(world.lease(&acme, cancelled, 1)).await), ErrorKind::Conflict);

    let (succeeded, dead) = (world.succeeded(&acme).await, world.dead(&acme).await);
    for id in [succeeded, dead] {
        assert_eq!(refusal(world.try_claim(world.lease(&acme, id, 2)).await), ErrorKind::Conflict);
    }
    world.check().await;
}

pub(super) async fn a_claim_under_a_stale_epoch_is_fenced(world: &mut World) {
    let acme = world.tenant("acme").await;
    let id = world.waiting(&acme).await;
    let stale = world.lease(&acme, id, 1);
    world.acquire().await;
    let photo = world.photograph().await;
    assert_eq!(refusal(world.try_claim(stale).await), ErrorKind::Fenced);
    let mut ahead = world.lease(&acme, id, 1);
    ahead.epoch += 1;
    assert_eq!(refusal(world.try_claim(ahead).await), ErrorKind::Fenced, "an epoch that nobody was given");
    assert_eq!(world.photograph().await, photo, "nothing changed");
    world.try_claim(world.lease(&acme, id, 1)).await.unwrap();
}

pub(super) async fn claims_of_one_call_are_answered_each_for_itself(world: &mut World) {
    let (acme, zeta) = (world.tenant("acme").await, world.tenant("zeta").await);
    let (one, two, three) = (world.waiting(&acme).await, world.waiting(&zeta).await, world.waiting(&acme).await);
    let claim = |lease| Claim { lease, at: world.now, until: world.now + LEASE };
    let leases = [
        world.lease(&acme, one, 1),
        world.lease(&zeta, two, 2),
        world.lease(&acme, one, 1),
        world.lease(&acme, three, 1),
    ];
    let answers = world.store().claim(leases.map(claim).to_vec()).await.unwrap();
    let kinds: Vec<_> = answers.into_iter().map(|answer| answer.err().map(|error| error.kind)).collect();
    assert_eq!(kinds, [None, Some(ErrorKind::Conflict), Some(ErrorKind::Conflict), None]);
    assert_eq!(world.state(&acme, one).await, InvocationState::Running);
    assert_eq!(world.state(&zeta, two).await, InvocationState::Queued);
    assert_eq!(world.state(&acme, three).await, InvocationState::Running);
    assert!(world.store().claim(Vec::new()).await.unwrap().is_empty());
}

pub(super) async fn a_claim_is_carried_out_when_its_answer_is_not_awaited(world: &mut World) {
    let acme = world.tenant("acme").await;
    let id = world.waiting(&acme).await;
    let claim = Claim { lease: world.lease(&acme, id, 1), at: world.now, until: world.now + LEASE };
    drop(world.store().claim(vec![claim]));
    world.store().flush().await.unwrap();
    assert_eq!(world.state(&acme, id).await, InvocationState::Running);
}
