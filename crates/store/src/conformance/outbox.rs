//! Outbox lines: written by what ends an invocation, taken by the event that tells of it.

use sublet_model::{EndReason, InvocationId, InvocationState};

use super::world::{Tenant, World, identity};
use crate::{NewEvent, Next, Published, Selection};

/// The event that tells of an outbox line.
fn telling(world: &mut World, tenant: &Tenant, line: i64) -> NewEvent {
    let mut event = world.event(Some(tenant.id));
    event.consumes = Some(line);
    event
}

async fn outbox_ids(world: &World, after: i64, limit: usize) -> Vec<i64> {
    world.store().outbox(after, limit).await.unwrap().iter().map(|line| line.id).collect()
}

pub(super) async fn lines_come_in_order_above_a_mark_and_within_a_limit(world: &mut World) {
    let (acme, zeta) = (world.tenant("acme").await, world.tenant("zeta").await);
    let mut told: Vec<InvocationId> = Vec::new();
    for round in 0..6 {
        let tenant = if round % 2 == 0 { &acme } else { &zeta };
        told.push(world.succeeded(tenant).await);
    }
    let lines = world.outbox().await;
    assert!(lines.is_sorted_by(|a, b| a.id < b.id));
    assert_eq!(lines.iter().map(|line| line.invocation.id).collect::<Vec<_>>(), told, "in commit order");
    assert!(lines[0].id > 0, "`outbox(0, …)` begins at the first");

    let ids: Vec<i64> = lines.iter().map(|line| line.id).collect();
    assert_eq!(outbox_ids(world, 0, 2).await, ids[..2]);
    assert_eq!(outbox_ids(world, ids[1], 2).await, ids[2..4]);
    assert_eq!(outbox_ids(world, ids[5], 2).await, [0; 0]);
}

pub(super) async fn an_event_takes_its_line_once(world: &mut World) {
    let acme = world.tenant("acme").await;
    world.succeeded(&acme).await;
    world.succeeded(&acme).await;
    let [line, other] = [world.outbox().await[0].id, world.outbox().await[1].id];

    let event = telling(world, &acme, line);
    assert_eq!(world.publish(vec![event.clone()]).await, [Published::Accepted]);
    assert_eq!(outbox_ids(world, 0, 10).await, [other], "the line left in the same commit");
    let photo = world.photograph().await;
    assert_eq!(world.publish(vec![event]).await, [Published::Consumed], "the very same entry");
    let again = telling(world, &acme, line);
    assert_eq!(world.publish(vec![again.clone()]).await, [Published::Consumed]);
    assert_eq!(world.photograph().await, photo, "nothing was written");

    world.restart().await;
    assert_eq!(world.publish(vec![again]).await, [Published::Consumed], "after a crash");
    assert_eq!(outbox_ids(world, 0, 10).await, [other]);
}

pub(super) async fn of_two_entries_that_name_a_line_the_first_takes_it(world: &mut World) {
    let acme = world.tenant("acme").await;
    world.succeeded(&acme).await;
    let line = world.outbox().await[0].id;
    let (one, two) = (telling(world, &acme, line), telling(world, &acme, line));
    let second = two.id;
    assert_eq!(world.publish(vec![one, two]).await, [Published::Accepted, Published::Consumed]);
    assert_eq!(world.store().event(second).await.unwrap(), None);
}

pub(super) async fn an_event_that_takes_a_line_is_not_refused_for_its_identity(world: &mut World) {
    let acme = world.tenant("acme").await;
    // A dead letter, redriven and dead again: two lines, whose events have one identity.
    let dead = world.dead(&acme).await;
    world.store().redrive(acme.id, Selection::All, world.now).await.unwrap();
    let lease = world.claim(&acme, dead).await;
    world.settle(lease, Next::Succeed).await;
    let lines = world.outbox().await;
    assert_eq!(lines.len(), 2);
    for (body, line) in (1..).zip(lines) {
        let mut event = telling(world, &acme, line.id);
        event.identity = Some(identity(1, body));
        assert_eq!(world.publish(vec![event]).await, [Published::Accepted]);
    }
    assert!(world.outbox().await.is_empty());
}

pub(super) async fn a_number_is_never_used_twice(world: &mut World) {
    let acme = world.tenant("acme").await;
    world.succeeded(&acme).await;
    let line = world.outbox().await[0].id;
    let event = telling(world, &acme, line);
    world.accept(event).await;
    assert!(world.outbox().await.is_empty());

    world.restart().await;
    world.succeeded(&acme).await;
    let next = world.outbox().await[0].id;
    assert!(next > line, "{next} after {line}");
    let late = telling(world, &acme, line);
    assert_eq!(world.publish(vec![late]).await, [Published::Consumed]);
    assert_eq!(outbox_ids(world, 0, 10).await, [next], "a late one takes nobody else's line");
}

pub(super) async fn a_line_tells_of_its_settle_also_when_redriven_since(world: &mut World) {
    let acme = world.tenant("acme").await;
    let dead = world.dead(&acme).await;
    let told = world.record(&acme, dead).await;
    world.store().redrive(acme.id, Selection::All, world.now).await.unwrap();
    let lease = world.claim(&acme, dead).await;
    let line = world.outbox().await.remove(0);
    assert_eq!(line.invocation, told);
    assert_eq!(line.attempt.unwrap().number, 1);

    world.settle(lease, Next::DeadLetter(EndReason::TooOld)).await;
    let lines = world.outbox().await;
    let told: Vec<_> = lines.iter().map(|line| (line.invocation.state, line.invocation.reason)).collect();
    let dead = InvocationState::DeadLettered;
    assert_eq!(told, [(dead, Some(EndReason::AttemptsExhausted)), (dead, Some(EndReason::TooOld))]);
    assert_eq!(lines[1].attempt.as_ref().unwrap().number, 2);
}

pub(super) async fn lines_are_there_after_a_crash(world: &mut World) {
    let acme = world.tenant("acme").await;
    let mut event = world.matched(&acme);
    event.depth = 5;
    let id = event.invocations[0].id;
    world.accept(event).await;
    let lease = world.claim(&acme, id).await;
    world.settle(lease, Next::Succeed).await;
    world.dead(&acme).await;
    let lines = world.outbox().await;
    assert_eq!((lines[0].depth, lines[1].depth), (5, 0));
    world.restart().await;
    assert_eq!(world.outbox().await, lines);
}
