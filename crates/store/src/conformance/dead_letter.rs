//! Dead letters and the way back.

use std::time::Duration;

use sublet_model::{EndReason, InvocationId, InvocationState};

use super::world::{World, first};
use crate::{Balance, Next, Selection};

pub(super) async fn dead_letters_are_listed_with_their_reason(world: &mut World) {
    let acme = world.tenant("acme").await;
    let one = world.dead(&acme).await;
    world.succeeded(&acme).await;
    world.waiting(&acme).await;
    world.running(&acme).await;
    let two = world.dead(&acme).await;
    let listed = world.store().dead_letters(acme.id, first()).await.unwrap().items;
    assert_eq!(listed, [world.record(&acme, two).await, world.record(&acme, one).await]);
    for record in listed {
        assert_eq!(record.state, InvocationState::DeadLettered);
        assert_eq!((record.reason, record.ended), (Some(EndReason::AttemptsExhausted), Some(world.now)));
    }
}

pub(super) async fn all_are_redriven_due_now_with_fresh_attempts(world: &mut World) {
    let acme = world.tenant("acme").await;
    let dead = [world.dead(&acme).await, world.dead(&acme).await, world.dead(&acme).await];
    world.succeeded(&acme).await;
    world.pass(Duration::from_secs(60));
    world.restart().await;
    let mut inbox = world.arrivals().await;
    assert_eq!(world.store().redrive(acme.id, Selection::All, world.now).await.unwrap(), 3);
    assert!(world.store().dead_letters(acme.id, first()).await.unwrap().items.is_empty());
    let came = inbox.until(|waiting| waiting.invocation == dead[2]).await;
    for id in dead {
        let record = world.record(&acme, id).await;
        assert_eq!((record.state, record.due), (InvocationState::Queued, world.now));
        assert_eq!((record.reason, record.ended), (None, None));
        assert_eq!((record.starts, record.failed), (1, 0));
        let waiting = came.iter().find(|waiting| waiting.invocation == id).unwrap();
        assert_eq!((waiting.due, waiting.starts, waiting.failed, waiting.crashed), (world.now, 1, 0, 0));
    }
    assert_eq!(world.store().redrive(acme.id, Selection::All, world.now).await.unwrap(), 0, "there are no more");
    let balance = world.store().balance(acme.id).await.unwrap();
    assert_eq!(balance, Balance { accepted: 4, succeeded: 1, waiting: 3, ..Balance::default() });

    let lease = world.claim(&acme, dead[0]).await;
    assert!(world.store().work(acme.id, dead[0]).await.unwrap().is_some(), "what to run is still there");
    world.settle(lease, Next::Succeed).await;
    let photo = world.photograph().await;
    world.restart().await;
    assert_eq!(world.photograph().await, photo);
}

pub(super) async fn only_the_named_ones_are_redriven(world: &mut World) {
    let acme = world.tenant("acme").await;
    let [one, two, three] = [world.dead(&acme).await, world.dead(&acme).await, world.dead(&acme).await];
    let named = Selection::Ids(vec![three, one]);
    assert_eq!(world.store().redrive(acme.id, named, world.now).await.unwrap(), 2);
    for (id, state) in
        [(one, InvocationState::Queued), (two, InvocationState::DeadLettered), (three, InvocationState::Queued)]
    {
        assert_eq!(world.state(&acme, id).await, state);
    }
    assert_eq!(world.store().redrive(acme.id, Selection::Ids(Vec::new()), world.now).await.unwrap(), 0);
}

pub(super) async fn what_is_no_dead_letter_is_passed_over(world: &mut World) {
    let acme = world.tenant("acme").await;
    let (waits, runs, ended) =
        (world.waiting(&acme).await, world.running(&acme).await.invocation, world.succeeded(&acme).await);
    let unknown = InvocationId::from_raw(world.raw());
    let photo = world.photograph().await;
    let none = Selection::Ids(vec![waits, runs, ended, unknown]);
    assert_eq!(world.store().redrive(acme.id, none, world.now).await.unwrap(), 0);
    assert_eq!(world.photograph().await, photo, "nothing changed");

    let dead = world.dead(&acme).await;
    let twice = Selection::Ids(vec![waits, dead, dead, unknown]);
    assert_eq!(world.store().redrive(acme.id, twice, world.now).await.unwrap(), 1, "named twice, redriven once");
}

pub(super) async fn a_token_is_never_used_twice_over_a_redrive(world: &mut World) {
    let acme = world.tenant("acme").await;
    let first_lease = world.running(&acme).await;
    let id = first_lease.invocation;
    world.settle(first_lease, Next::DeadLetter(EndReason::AttemptsExhausted)).await;
    world.store().redrive(acme.id, Selection::All, world.now).await.unwrap();
    assert!(world.try_claim(first_lease).await.is_err());
    let second = world.claim(&acme, id).await;
    assert_eq!(second.token, 2);
    assert!(world.try_settle(first_lease, Next::Succeed).await.is_err());
    world.settle(second, Next::DeadLetter(EndReason::AttemptsExhausted)).await;
    let attempts = world.store().attempts(acme.id, id).await.unwrap();
    assert_eq!(attempts.iter().map(|attempt| attempt.number).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(world.record(&acme, id).await.failed, 1, "counted from the redrive");
    world.check().await;
}
