//! Dead letters of named queues, what else becomes one, erasure, and the queues' balance on a long walk.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use sublet_model::{EndReason, ErrorKind, InvocationState, MessageId, MessageLease, QueueId};

use super::message::{ids, inbox, state};
use super::world::{LEASE, Tenant, World, every_page, name, refusal};
use crate::message::{Bury, MessageOrigin, MessageSelection, MessageState};
use crate::{DeliveryAttempt, DeliveryNext, Finish, Next, Settle};

async fn scene(world: &mut World) -> (Tenant, QueueId) {
    (world.tenant("acme").await, world.queue("results").await.id)
}

/// A message that was received once, in vain.
async fn dead(world: &mut World, tenant: &Tenant, queue: QueueId) -> MessageId {
    let message = world.message(tenant, queue).await;
    let lease = world.receive(queue, message).await;
    world.store().bury_messages(queue, vec![lease], Bury::Dead, world.now).await.unwrap().remove(0).unwrap();
    message
}

async fn list(world: &World, queue: QueueId) -> Vec<MessageId> {
    let all = every_page(2, async |page| world.store().dead_messages(queue, page).await).await;
    all.iter().map(|record| record.id).collect()
}

pub(super) async fn a_buried_message_is_a_dead_letter_that_keeps_what_it_carries(world: &mut World) {
    let (acme, queue) = scene(world).await;
    let event = world.put(&acme, queue);
    let (id, body) = (event.messages[0].id, event.body.clone());
    world.accept(event).await;
    let lease = world.receive(queue, id).await;
    let stale = MessageLease { receive: 0, ..lease };
    let buried = world.store().bury_messages(queue, vec![stale, lease], Bury::Dead, world.now).await.unwrap();
    assert_eq!(buried.iter().map(Result::is_ok).collect::<Vec<_>>(), [false, true]);
    let record = world.store().message(id).await.unwrap().unwrap();
    assert_eq!((record.state, record.receives, record.ended), (MessageState::Dead, 1, Some(world.now)));
    assert_eq!(refusal(world.ack(queue, lease).await), ErrorKind::Fenced);
    let next = MessageLease { receive: 2, ..lease };
    world.pass(LEASE);
    assert_eq!(refusal(world.try_receive(queue, next).await), ErrorKind::Conflict);
    world.restart().await;
    assert_eq!(world.bodies(vec![id]).await, [Some(body)]);
    assert_eq!(list(world, queue).await, [id]);
    assert_eq!(world.store().dead_count(queue).await.unwrap(), 1);
    assert_eq!(world.queue_balance(queue).await.dead, 1);
}

pub(super) async fn a_dead_letter_is_redriven_with_fresh_tries_and_a_number_that_goes_on(world: &mut World) {
    let (acme, queue) = scene(world).await;
    let (one, two) = (dead(world, &acme, queue).await, dead(world, &acme, queue).await);
    let other = world.queue("other").await.id;
    let mut inbox = inbox(world).await;
    world.pass(Duration::from_secs(9));
    let everything = MessageSelection::All;
    assert_eq!(world.store().redrive_messages(other, everything.clone(), world.now).await.unwrap(), 0);
    let named = MessageSelection::Ids(vec![two, two, MessageId::from_raw(1)]);
    assert_eq!(world.store().redrive_messages(other, named.clone(), world.now).await.unwrap(), 0);
    assert_eq!(world.store().redrive_messages(queue, named, world.now).await.unwrap(), 1);
    let came = inbox.until(|pending| pending.id == two).await;
    assert_eq!((ids(&came), came[0].due), (vec![two], world.now));
    assert_eq!((came[0].receives, came[0].tries), (1, 0));
    assert_eq!(world.store().redrive_messages(queue, everything, world.now).await.unwrap(), 1);
    assert_eq!(state(world, one).await, MessageState::Waiting);
    assert!(world.bodies(vec![two]).await[0].is_some());
    let old = MessageLease { message: two, receive: 1 };
    assert_eq!(refusal(world.try_receive(queue, old).await), ErrorKind::Conflict, "a number is never used twice");
    let lease = world.receive(queue, two).await;
    assert_eq!(lease.receive, 2);
    world.ack(queue, lease).await.unwrap();
    assert_eq!(world.queue_balance(queue).await.dead, 0);
}

pub(super) async fn a_dead_letter_is_purged_or_expires(world: &mut World) {
    let (acme, queue) = scene(world).await;
    let old = dead(world, &acme, queue).await;
    world.pass(Duration::from_secs(60));
    let before = world.now;
    let (new, last) = (dead(world, &acme, queue).await, dead(world, &acme, queue).await);
    assert_eq!(world.store().expire_dead_messages(queue, before, world.now).await.unwrap(), 1);
    assert_eq!(state(world, old).await, MessageState::Expired);
    let named = MessageSelection::Ids(vec![new]);
    assert_eq!(world.store().purge_messages(queue, named, world.now).await.unwrap(), 1);
    assert_eq!(state(world, new).await, MessageState::Erased);
    assert_eq!(list(world, queue).await, [last]);
    assert_eq!(world.store().purge_messages(queue, MessageSelection::All, world.now).await.unwrap(), 1);
    let waiting = world.message(&acme, queue).await;
    let unread = MessageLease { message: waiting, receive: 0 };
    let buried = world.store().bury_messages(queue, vec![unread], Bury::Expired, world.now).await.unwrap();
    assert!(buried[0].is_ok());
    assert_eq!(state(world, waiting).await, MessageState::Expired);
    let balance = world.queue_balance(queue).await;
    assert_eq!((balance.put, balance.expired, balance.erased, balance.dead), (4, 2, 2, 0));
    world.restart().await;
    assert_eq!(world.queue_balance(queue).await, balance);
}

pub(super) async fn dead_letters_of_a_queue_page_newest_first(world: &mut World) {
    let (acme, queue) = scene(world).await;
    let other = world.queue("other").await.id;
    let mut expected = Vec::new();
    for _ in 0..5 {
        expected.insert(0, dead(world, &acme, queue).await);
        dead(world, &acme, other).await;
    }
    assert_eq!(list(world, queue).await, expected);
}

pub(super) async fn an_invocation_that_is_lost_is_put_in_the_same_commit(world: &mut World) {
    let (acme, queue) = scene(world).await;
    let mut inbox = inbox(world).await;
    // By a settle.
    let mut event = world.matched(&acme);
    event.invocations[0].dead_letter = Some(queue);
    let (id, event_id, body) = (event.invocations[0].id, event.id, event.body.clone());
    world.accept(event).await;
    let reason = EndReason::AttemptsExhausted;
    let settle =
        |world: &World, lease, next, message| Settle { message: Some(message), ..world.settlement(lease, next) };
    let lease = world.claim(&acme, id).await;
    let unused = MessageId::from_raw(world.raw());
    let again = Next::Retry { due: world.now, spent: true };
    world.store().settle(settle(world, lease, again, unused)).await.unwrap();
    assert_eq!(world.store().message(unused).await.unwrap(), None, "it is not lost yet");
    let lease = world.claim(&acme, id).await;
    let message = MessageId::from_raw(world.raw());
    world.store().settle(settle(world, lease, Next::DeadLetter(reason), message)).await.unwrap();
    let came = inbox.until(|pending| pending.id == message).await;
    assert_eq!((came[0].queue, came[0].event), (queue, event_id));
    let record = world.store().message(message).await.unwrap().unwrap();
    assert_eq!(record.origin, Some(MessageOrigin::Invocation { id, reason }));
    assert_eq!(record.tenant, Some(acme.id));
    assert_eq!(world.bodies(vec![message]).await, [Some(body)]);
    let other = MessageId::from_raw(world.raw());
    let late = settle(world, lease, Next::DeadLetter(reason), other);
    assert_eq!(refusal(world.store().settle(late).await), ErrorKind::Fenced);

    // Without an attempt.
    for (state, reason, is_put) in [
        (InvocationState::Expired, EndReason::TooOld, true),
        (InvocationState::DeadLettered, EndReason::NoFunction, true),
        (InvocationState::Cancelled, EndReason::CancelledByRequest, false),
    ] {
        let mut event = world.matched(&acme);
        event.invocations[0].dead_letter = Some(queue);
        let invocation = event.invocations[0].id;
        world.accept(event).await;
        let message = MessageId::from_raw(world.raw());
        let epoch = world.lease(&acme, invocation, 0).epoch;
        let (tenant, at, message_id) = (acme.id, world.now, Some(message));
        let finish = Finish { invocation, tenant, epoch, state, reason, at, announce: true, message: message_id };
        world.store().finish(finish).await.unwrap();
        assert_eq!(world.store().message(message).await.unwrap().is_some(), is_put, "{state}");
    }
    assert_eq!(world.queue_balance(queue).await.put, 3);
    world.check().await;
}

pub(super) async fn a_delivery_that_is_given_up_is_put_in_the_same_commit(world: &mut World) {
    let (acme, queue) = scene(world).await;
    let mut event = world.delivered(&acme, "crm");
    event.deliveries[0].dead_letter = Some(queue);
    let (id, event_id, body) = (event.deliveries[0].id, event.id, event.body.clone());
    world.accept(event).await;
    let attempt = DeliveryAttempt { at: world.now, status: Some(500), error: None, latency_ms: 1, response: None };
    let message = MessageId::from_raw(world.raw());
    world.store().settle_delivery(id, attempt.clone(), DeliveryNext::DeadLetter { message }).await.unwrap();
    let record = world.store().message(message).await.unwrap().unwrap();
    assert_eq!((record.event, record.origin), (event_id, Some(MessageOrigin::Delivery { id })));
    assert_eq!(world.bodies(vec![message]).await, [Some(body)]);
    assert_eq!(world.store().delivery(id).await.unwrap().unwrap().state, crate::DeliveryState::Failed);
    let again = DeliveryNext::DeadLetter { message: MessageId::from_raw(world.raw()) };
    assert_eq!(refusal(world.store().settle_delivery(id, attempt, again).await), ErrorKind::Conflict);
    assert_eq!(world.queue_balance(queue).await.put, 1);
}

pub(super) async fn what_names_no_queue_or_one_that_is_gone_is_put_nowhere(world: &mut World) {
    let (acme, queue) = scene(world).await;
    let mut event = world.matched(&acme);
    event.invocations[0].dead_letter = Some(queue);
    let named = event.invocations[0].id;
    world.accept(event).await;
    let unnamed = world.waiting(&acme).await;
    world.store().delete_queue(&name("results")).await.unwrap();
    for invocation in [named, unnamed] {
        let lease = world.claim(&acme, invocation).await;
        let message = MessageId::from_raw(world.raw());
        let next = Next::DeadLetter(EndReason::AttemptsExhausted);
        world.store().settle(Settle { message: Some(message), ..world.settlement(lease, next) }).await.unwrap();
        assert_eq!(world.state(&acme, invocation).await, InvocationState::DeadLettered);
        assert_eq!(world.store().message(message).await.unwrap(), None);
    }
}

pub(super) async fn a_deleted_tenants_messages_are_erased_wherever_they_are(world: &mut World) {
    let (acme, queue) = scene(world).await;
    let zeta = world.tenant("zeta").await;
    let waits = world.message(&acme, queue).await;
    let flies = world.message(&acme, queue).await;
    let lease = world.receive(queue, flies).await;
    let died = dead(world, &acme, queue).await;
    let acked = world.message(&acme, queue).await;
    let done = world.receive(queue, acked).await;
    world.ack(queue, done).await.unwrap();
    let kept = world.message(&zeta, queue).await;
    world.store().delete_tenant(&acme.name, world.now).await.unwrap();
    for restarted in [false, true] {
        for id in [waits, flies, died] {
            assert_eq!(state(world, id).await, MessageState::Erased, "restarted: {restarted}");
        }
        assert_eq!(state(world, acked).await, MessageState::Acked);
        let bodies = world.bodies(vec![waits, flies, died, kept]).await;
        assert_eq!(bodies.iter().map(Option::is_some).collect::<Vec<_>>(), [false, false, false, true]);
        assert_eq!(refusal(world.ack(queue, lease).await), ErrorKind::Fenced);
        let balance = world.queue_balance(queue).await;
        assert_eq!((balance.put, balance.acked, balance.erased, balance.waiting), (5, 1, 3, 1));
        world.restart().await;
    }
    let came = inbox(world).await.until(|pending| pending.id == kept).await;
    assert_eq!(ids(&came), [kept]);
}

pub(super) async fn the_queues_balance_holds_on_a_random_walk_with_crashes(world: &mut World) {
    let tenants = [world.tenant("acme").await, world.tenant("zeta").await];
    let queues = [world.queue("one").await.id, world.queue("two").await.id];
    let mut random = SmallRng::seed_from_u64(5);
    let mut put = [0_u64; 2];
    let mut messages: Vec<(usize, MessageId)> = Vec::new();
    let mut leases: Vec<(usize, MessageLease)> = Vec::new();
    for step in 0..600 {
        let index = random.random_range(0..2);
        match random.random_range(0..100) {
            0..30 => {
                let tenant = &tenants[random.random_range(0..2)];
                messages.push((index, world.message(tenant, queues[index]).await));
                put[index] += 1;
            }
            30..60 if !messages.is_empty() => {
                let (of, message) = messages[random.random_range(0..messages.len())];
                let record = world.store().message(message).await.unwrap().unwrap();
                let lease = MessageLease { message, receive: record.receives + 1 };
                let is_due = matches!(record.state, MessageState::Waiting | MessageState::Leased);
                let is_due = is_due && record.due <= world.now;
                assert_eq!(world.try_receive(queues[of], lease).await.is_ok(), is_due, "step {step}");
                leases.push((of, lease));
            }
            60..90 if !leases.is_empty() => {
                // Mostly a young one, which may still hold.
                let (of, lease) = leases[random.random_range(leases.len().saturating_sub(9)..leases.len())];
                let (queue, store, now) = (queues[of], world.store(), world.now);
                // Held or lost, both are answers; the balance tells whether one of them lied.
                let _answers = match random.random_range(0..5) {
                    0 => store.ack(queue, vec![lease], now).await,
                    1 => store.release(queue, vec![lease], now).await,
                    2 => store.extend_messages(queue, vec![lease], now + LEASE, now).await,
                    _ => store.bury_messages(queue, vec![lease], Bury::Dead, now).await,
                };
            }
            90..92 => {
                world.store().redrive_messages(queues[index], MessageSelection::All, world.now).await.unwrap();
            }
            92..95 => {
                world.store().purge_messages(queues[index], MessageSelection::All, world.now).await.unwrap();
            }
            95..98 => world.pass(LEASE / 2),
            _ => world.restart().await,
        }
        for (queue, put) in queues.iter().zip(put) {
            assert_eq!(world.queue_balance(*queue).await.put, put, "step {step}: none lost, none doubled");
        }
    }
    let (one, two) = (world.queue_balance(queues[0]).await, world.queue_balance(queues[1]).await);
    assert!(one.acked + two.acked > 0 && one.erased + two.erased > 0, "the walk went everywhere: {one:?}, {two:?}");
}
