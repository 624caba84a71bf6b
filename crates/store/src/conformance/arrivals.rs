//! What the owner's scheduler hears of.

use std::time::Duration;

use sublet_model::{EndReason, ErrorKind, EventId, InvocationId};

use super::world::{LEASE, World, refusal};
use crate::{Next, Selection, Waiting};

/// Rows of the long backlog: more than any backend's page or message.
const LONG: usize = 2_500;

fn ids(came: &[Waiting]) -> Vec<InvocationId> {
    came.iter().map(|waiting| waiting.invocation).collect()
}

pub(super) async fn what_waits_comes_first_and_then_what_becomes_waiting(world: &mut World) {
    let (acme, zeta) = (world.tenant("acme").await, world.tenant("zeta").await);
    let event = world.matched(&acme);
    let [one, event_id] = [event.invocations[0].id.raw(), event.id.raw()];
    world.accept(event).await;
    let one = InvocationId::from_raw(one);
    let mut inbox = world.arrivals().await;
    let (two, three) = (world.waiting(&zeta).await, world.waiting(&acme).await);
    let came = inbox.until(|waiting| waiting.invocation == three).await;
    assert_eq!(ids(&came), [one, two, three]);
    let expected = Waiting {
        invocation: one,
        tenant: acme.id,
        function: acme.function,
        event: EventId::from_raw(event_id),
        due: world.now,
        failed: 0,
        starts: 0,
        crashed: 0,
        redrives: 0,
    };
    assert_eq!(came[0], expected);
}

pub(super) async fn a_tenants_backlog_comes_oldest_due_first(world: &mut World) {
    let tenants = [world.tenant("acme").await, world.tenant("zeta").await];
    for seconds in [5, 1, 4, 2, 3] {
        for tenant in &tenants {
            let mut event = world.matched(tenant);
            event.invocations[0].due = world.now + Duration::from_secs(seconds);
            world.accept(event).await;
        }
    }
    let mut inbox = world.arrivals().await;
    let last = world.waiting(&tenants[0]).await;
    let came = inbox.until(|waiting| waiting.invocation == last).await;
    assert_eq!(came.len(), 11);
    for tenant in &tenants {
        let of_tenant = came.iter().filter(|waiting| waiting.tenant == tenant.id && waiting.invocation != last);
        let dues: Vec<u64> = of_tenant.map(|waiting| waiting.due.since(world.now)).collect();
        assert_eq!(dues, [1_000, 2_000, 3_000, 4_000, 5_000]);
    }
}

pub(super) async fn a_long_backlog_comes_whole(world: &mut World) {
    let acme = world.tenant("acme").await;
    let mut expected = Vec::new();
    for batch in 0..LONG / 500 {
        let events: Vec<_> = (0..500).map(|_| world.matched(&acme)).collect();
        expected.extend(events.iter().map(|event| event.invocations[0].id));
        assert_eq!(world.publish(events).await.len(), 500, "batch {batch}");
    }
    world.restart().await;
    let mut inbox = world.arrivals().await;
    let last = world.waiting(&acme).await;
    expected.push(last);
    assert_eq!(ids(&inbox.until(|waiting| waiting.invocation == last).await), expected);
}

pub(super) async fn what_waits_comes_again_after_a_crash(world: &mut World) {
    let acme = world.tenant("acme").await;
    let (waits, runs, retries) = (world.waiting(&acme).await, world.running(&acme).await, world.running(&acme).await);
    let due = world.now + Duration::from_secs(60);
    world.settle(retries, Next::Retry { due, spent: true }).await;
    world.succeeded(&acme).await;
    // They were heard of once already; the process that heard is gone.
    world.arrivals().await.until(|waiting| waiting.invocation == retries.invocation).await;
    world.restart().await;
    let mut inbox = world.arrivals().await;
    let last = world.waiting(&acme).await;
    let mut came = ids(&inbox.until(|waiting| waiting.invocation == last).await);
    came.sort_unstable();
    assert_eq!(came, [waits, runs.invocation, retries.invocation, last]);
}

pub(super) async fn retried_rescued_and_redriven_ones_come_with_their_counts(world: &mut World) {
    let acme = world.tenant("acme").await;
    let mut inbox = world.arrivals().await;
    let id = world.waiting(&acme).await;
    inbox.until(|waiting| waiting.invocation == id).await;
    let counts = |came: Vec<Waiting>| came.iter().map(|w| (w.starts, w.failed, w.crashed, w.due)).collect::<Vec<_>>();

    let lease = world.claim(&acme, id).await;
    let due = world.now + Duration::from_secs(7);
    world.settle(lease, Next::Retry { due, spent: true }).await;
    assert_eq!(counts(inbox.until(|waiting| waiting.invocation == id).await), [(1, 1, 0, due)]);

    world.claim(&acme, id).await;
    world.pass(LEASE);
    world.store().rescue(&world.ownership, world.now).await.unwrap();
    assert_eq!(counts(inbox.until(|waiting| waiting.invocation == id).await), [(2, 1, 1, world.now)]);

    let lease = world.claim(&acme, id).await;
    world.settle(lease, Next::DeadLetter(EndReason::AttemptsExhausted)).await;
    world.pass(LEASE);
    world.store().redrive(acme.id, Selection::All, world.now).await.unwrap();
    assert_eq!(counts(inbox.until(|waiting| waiting.invocation == id).await), [(3, 0, 0, world.now)]);
}

pub(super) async fn what_runs_or_ended_does_not_come(world: &mut World) {
    let acme = world.tenant("acme").await;
    world.running(&acme).await;
    world.succeeded(&acme).await;
    world.dead(&acme).await;
    let cancelled = world.waiting(&acme).await;
    let selection = Selection::Ids(vec![cancelled]);
    world.store().cancel(acme.id, selection, EndReason::CancelledByRequest, world.now).await.unwrap();
    let mut inbox = world.arrivals().await;
    let last = world.waiting(&acme).await;
    assert_eq!(ids(&inbox.until(|waiting| waiting.invocation == last).await), [last]);
}

pub(super) async fn a_new_call_replaces_the_former(world: &mut World) {
    let acme = world.tenant("acme").await;
    let one = world.waiting(&acme).await;
    let mut former = world.arrivals().await;
    let mut inbox = world.arrivals().await;
    former.ends().await;
    let two = world.waiting(&acme).await;
    assert_eq!(ids(&inbox.until(|waiting| waiting.invocation == two).await), [one, two]);
}

pub(super) async fn a_fenced_owner_hears_nothing_more(world: &mut World) {
    let acme = world.tenant("acme").await;
    let former = world.ownership.clone();
    let mut former_inbox = world.arrivals().await;
    world.acquire().await;
    former_inbox.ends().await;
    let mut inbox = world.arrivals().await;
    assert_eq!(refusal(world.store().arrivals(&former).await), ErrorKind::Fenced);
    let id = world.waiting(&acme).await;
    let came = inbox.until(|waiting| waiting.invocation == id).await;
    assert_eq!(ids(&came), [id], "the refused call did not take the owner's place");
}
