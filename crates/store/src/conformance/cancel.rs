//! Cancelling what waits.

use std::time::Duration;

use sublet_model::{EndReason, InvocationId, InvocationState};

use super::world::World;
use crate::{Balance, Next, Selection};

const REASON: EndReason = EndReason::CancelledByRequest;

pub(super) async fn everything_that_waits_is_cancelled(world: &mut World) {
    let acme = world.tenant("acme").await;
    let queued = world.waiting(&acme).await;
    let lease = world.running(&acme).await;
    world.settle(lease, Next::Retry { due: world.now + Duration::from_secs(60), spent: true }).await;
    world.pass(Duration::from_secs(1));
    assert_eq!(world.store().cancel(acme.id, Selection::All, REASON, world.now).await.unwrap(), 2);
    for id in [queued, lease.invocation] {
        let record = world.record(&acme, id).await;
        assert_eq!((record.state, record.reason), (InvocationState::Cancelled, Some(REASON)));
        assert_eq!(record.ended, Some(world.now));
        assert_eq!(world.store().work(acme.id, id).await.unwrap(), None);
    }
    assert_eq!(world.store().cancel(acme.id, Selection::All, REASON, world.now).await.unwrap(), 0);
    assert!(world.outbox().await.is_empty());
    let balance = world.store().balance(acme.id).await.unwrap();
    assert_eq!(balance, Balance { accepted: 2, cancelled: 2, ..Balance::default() });
    let photo = world.photograph().await;
    world.restart().await;
    assert_eq!(world.photograph().await, photo);
}

pub(super) async fn only_the_named_ones_are_cancelled(world: &mut World) {
    let acme = world.tenant("acme").await;
    let [one, two, three] = [world.waiting(&acme).await, world.waiting(&acme).await, world.waiting(&acme).await];
    let ended = world.succeeded(&acme).await;
    let unknown = InvocationId::from_raw(world.raw());
    let named = Selection::Ids(vec![three, one, one, ended, unknown]);
    assert_eq!(world.store().cancel(acme.id, named, REASON, world.now).await.unwrap(), 2);
    let states = [
        (one, InvocationState::Cancelled),
        (two, InvocationState::Queued),
        (three, InvocationState::Cancelled),
        (ended, InvocationState::Succeeded),
    ];
    for (id, state) in states {
        assert_eq!(world.state(&acme, id).await, state);
    }
}

pub(super) async fn what_runs_is_left_to_its_settle(world: &mut World) {
    let acme = world.tenant("acme").await;
    let (lease, invoke) = (world.running(&acme).await, world.invoking(&acme).await);
    let photo = world.photograph().await;
    let named = Selection::Ids(vec![lease.invocation, invoke.invocation]);
    assert_eq!(world.store().cancel(acme.id, named, REASON, world.now).await.unwrap(), 0);
    assert_eq!(world.store().cancel(acme.id, Selection::All, REASON, world.now).await.unwrap(), 0);
    assert_eq!(world.photograph().await, photo, "nothing changed");
    world.settle(lease, Next::Cancel(REASON)).await;
    assert_eq!(world.state(&acme, lease.invocation).await, InvocationState::Cancelled);
}
