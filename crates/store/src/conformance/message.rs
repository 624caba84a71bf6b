//! Named queues: put, received under a lease, acknowledged.

use std::time::Duration;

use bytes::Bytes;
use sublet_model::{ErrorKind, MessageId, MessageLease, QueueId, QueueSpec};

use super::world::{Inbox, LEASE, Tenant, World, identity, name, refusal};
use crate::message::{MessageState, PendingMessage, Receive};
use crate::{EventStatus, Published};

pub(super) async fn inbox(world: &World) -> Inbox<PendingMessage> {
    Inbox { receiver: world.store().message_arrivals().await.unwrap() }
}

pub(super) fn ids(came: &[PendingMessage]) -> Vec<MessageId> {
    came.iter().map(|pending| pending.id).collect()
}

pub(super) async fn state(world: &World, id: MessageId) -> MessageState {
    world.store().message(id).await.unwrap().unwrap().state
}

async fn scene(world: &mut World) -> (Tenant, QueueId) {
    (world.tenant("acme").await, world.queue("results").await.id)
}

pub(super) async fn a_queue_is_made_and_replaced_under_one_id(world: &mut World) {
    let (made, is_new) = world.store().put_queue(&name("results"), QueueSpec::default(), world.now).await.unwrap();
    assert!(is_new);
    let revision = world.store().revision();
    world.pass(Duration::from_secs(1));
    let spec = QueueSpec { receives_max: 9, ..QueueSpec::default() };
    let (changed, is_new) = world.store().put_queue(&name("results"), spec.clone(), world.now).await.unwrap();
    assert!(!is_new && changed.id == made.id && changed.created == made.created && changed.spec == spec);
    assert!(world.store().revision() > revision);
    let other = world.queue("audit").await;
    world.restart().await;
    assert_eq!(world.store().queues().await.unwrap(), [other, changed.clone()], "by name");
    assert_eq!(world.store().queue(&name("results")).await.unwrap(), Some(changed));
    assert_eq!(world.store().queue(&name("nobody")).await.unwrap(), None);
    assert_eq!(refusal(world.store().delete_queue(&name("nobody")).await), ErrorKind::NotFound);
}

pub(super) async fn a_message_waits_until_it_is_received_and_acked(world: &mut World) {
    let (acme, queue) = scene(world).await;
    let mut inbox = inbox(world).await;
    let event = world.put(&acme, queue);
    let (id, event_id) = (event.messages[0].id, event.id);
    world.accept(event).await;
    let came = inbox.until(|pending| pending.id == id).await;
    let expected =
        PendingMessage { id, queue, event: event_id, due: world.now, receives: 0, tries: 0, is_leased: false };
    assert_eq!(came, [expected]);
    assert_eq!(world.store().event(event_id).await.unwrap().unwrap().messages, [id]);
    assert_eq!(state(world, id).await, MessageState::Waiting);
    assert_eq!(world.queue_balance(queue).await.waiting, 1);

    let lease = world.receive(queue, id).await;
    assert_eq!(lease, MessageLease { message: id, receive: 1 });
    assert_eq!(state(world, id).await, MessageState::Leased);
    assert_eq!(world.queue_balance(queue).await.in_flight, 1);
    world.ack(queue, lease).await.unwrap();
    let record = world.store().message(id).await.unwrap().unwrap();
    assert_eq!((record.state, record.receives, record.ended), (MessageState::Acked, 1, Some(world.now)));
    assert_eq!((record.queue, record.event, record.tenant), (queue, event_id, Some(acme.id)));
    let balance = world.queue_balance(queue).await;
    assert_eq!((balance.put, balance.acked, balance.waiting + balance.in_flight), (1, 1, 0));
    assert_eq!(refusal(world.ack(queue, lease).await), ErrorKind::Fenced, "it ends once");
    world.restart().await;
    assert_eq!(world.store().message(id).await.unwrap(), Some(record), "after a crash");
    assert_eq!(world.queue_balance(queue).await, balance);
}

pub(super) async fn messages_come_oldest_due_first_and_again_after_a_crash(world: &mut World) {
    let (acme, queue) = scene(world).await;
    let mut waiting = Vec::new();
    for seconds in [5, 1, 3] {
        let mut event = world.put(&acme, queue);
        event.messages[0].due = world.now + Duration::from_secs(seconds);
        waiting.push((seconds, event.messages[0].id));
        world.accept(event).await;
    }
    waiting.sort();
    let expected: Vec<MessageId> = waiting.iter().map(|(_, id)| *id).collect();
    for _ in 0..2 {
        let mut inbox = inbox(world).await;
        let came = inbox.until(|pending| pending.id == expected[2]).await;
        assert_eq!(ids(&came), expected);
        world.restart().await;
    }
}

pub(super) async fn a_message_carries_its_events_envelope_or_its_own_input(world: &mut World) {
    let (acme, queue) = scene(world).await;
    let mut event = world.put(&acme, queue);
    let own = MessageId::from_raw(world.raw());
    let mut second = event.messages[0].clone();
    (second.id, second.input) = (own, Some(Bytes::from_static(b"{\"made\":1}")));
    event.messages.push(second);
    let (id, body) = (event.messages[0].id, event.body.clone());
    world.accept(event).await;
    let bodies = world.bodies(vec![own, id, MessageId::from_raw(1)]).await;
    assert_eq!(bodies, [Some(Bytes::from_static(b"{\"made\":1}")), Some(body), None]);
    let lease = world.receive(queue, id).await;
    assert!(world.bodies(vec![id]).await[0].is_some(), "while it is in flight");
    world.ack(queue, lease).await.unwrap();
    assert_eq!(world.bodies(vec![id]).await, [None]);
}

pub(super) async fn a_message_is_received_once_under_each_number(world: &mut World) {
    let (acme, queue) = scene(world).await;
    let message = world.message(&acme, queue).await;
    for receive in [0, 2, u32::MAX] {
        assert_eq!(refusal(world.try_receive(queue, MessageLease { message, receive }).await), ErrorKind::Conflict);
    }
    let lease = world.receive(queue, message).await;
    assert_eq!(refusal(world.try_receive(queue, lease).await), ErrorKind::Conflict);
    let next = MessageLease { receive: 2, ..lease };
    assert_eq!(refusal(world.try_receive(queue, next).await), ErrorKind::Conflict, "it is in flight");
    let nobody = MessageLease { message: MessageId::from_raw(1), receive: 1 };
    assert_eq!(refusal(world.try_receive(queue, nobody).await), ErrorKind::Conflict);
}

pub(super) async fn a_message_that_is_not_due_is_not_received(world: &mut World) {
    let (acme, queue) = scene(world).await;
    let mut event = world.put(&acme, queue);
    let message = event.messages[0].id;
    event.messages[0].due = world.now + Duration::from_secs(5);
    world.accept(event).await;
    let lease = MessageLease { message, receive: 1 };
    world.pass(Duration::from_millis(4_999));
    assert_eq!(refusal(world.try_receive(queue, lease).await), ErrorKind::Conflict);
    world.pass(Duration::from_millis(1));
    world.try_receive(queue, lease).await.unwrap();
}

pub(super) async fn a_lease_that_ran_out_needs_no_write_to_be_received_again(world: &mut World) {
    let (acme, queue) = scene(world).await;
    let message = world.message(&acme, queue).await;
    let first = world.receive(queue, message).await;
    world.pass(LEASE - Duration::from_millis(1));
    let second = MessageLease { receive: 2, ..first };
    assert_eq!(refusal(world.try_receive(queue, second).await), ErrorKind::Conflict);
    assert_eq!(world.queue_balance(queue).await.in_flight, 1);
    world.pass(Duration::from_millis(1));
    assert_eq!(world.queue_balance(queue).await.waiting, 1, "it waits, although nobody wrote so");
    world.try_receive(queue, second).await.unwrap();
    let record = world.store().message(message).await.unwrap().unwrap();
    assert_eq!((record.receives, record.tries, record.due), (2, 2, world.now + LEASE));
}

pub(super) async fn a_late_ack_counts_until_the_message_is_received_again(world: &mut World) {
    let (acme, queue) = scene(world).await;
    let (one, two) = (world.message(&acme, queue).await, world.message(&acme, queue).await);
    let (late, lost) = (world.receive(queue, one).await, world.receive(queue, two).await);
    world.pass(LEASE * 3);
    world.ack(queue, late).await.unwrap();
    world.receive(queue, two).await;
    assert_eq!(refusal(world.ack(queue, lost).await), ErrorKind::Fenced);
    assert_eq!(state(world, two).await, MessageState::Leased);
}

pub(super) async fn an_earlier_lease_is_fenced(world: &mut World) {
    let (acme, queue) = scene(world).await;
    let message = world.message(&acme, queue).await;
    let old = world.receive(queue, message).await;
    world.pass(LEASE);
    let new = world.receive(queue, message).await;
    let record = world.store().message(message).await.unwrap();
    let store = world.store();
    assert_eq!(refusal(world.ack(queue, old).await), ErrorKind::Fenced);
    let until = world.now + LEASE * 9;
    let extended = store.extend_messages(queue, vec![old], until, world.now).await.unwrap().remove(0);
    assert_eq!(refusal(extended), ErrorKind::Fenced);
    let released = store.release(queue, vec![old], world.now).await.unwrap().remove(0);
    assert_eq!(refusal(released), ErrorKind::Fenced);
    assert_eq!(store.message(message).await.unwrap(), record, "nothing changed");
    world.ack(queue, new).await.unwrap();
}

pub(super) async fn leases_are_answered_each_for_itself_in_order(world: &mut World) {
    let (acme, queue) = scene(world).await;
    let mut leases = Vec::new();
    for _ in 0..3 {
        let message = world.message(&acme, queue).await;
        leases.push(MessageLease { message, receive: 1 });
    }
    let wrong = MessageLease { receive: 7, ..leases[1] };
    let receives = [leases[0], wrong, leases[2]].map(|lease| Receive { lease, until: world.now + LEASE });
    let answers = world.store().receive(queue, receives.to_vec(), world.now).await.unwrap();
    assert_eq!(answers.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    let answers = world.store().ack(queue, vec![leases[2], leases[1], leases[0]], world.now).await.unwrap();
    assert_eq!(answers.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    let balance = world.queue_balance(queue).await;
    assert_eq!((balance.put, balance.acked, balance.waiting), (3, 2, 1));
}

pub(super) async fn an_extended_lease_ends_later_and_one_that_ran_out_is_not_extended(world: &mut World) {
    let (acme, queue) = scene(world).await;
    let message = world.message(&acme, queue).await;
    let lease = world.receive(queue, message).await;
    world.pass(LEASE - Duration::from_secs(1));
    let until = world.now + LEASE;
    let extend = async |world: &World| {
        world.store().extend_messages(queue, vec![lease], until, world.now).await.unwrap().remove(0)
    };
    extend(world).await.unwrap();
    world.pass(LEASE - Duration::from_secs(1));
    assert_eq!(world.queue_balance(queue).await.in_flight, 1);
    world.pass(Duration::from_secs(1));
    assert_eq!(refusal(extend(world).await), ErrorKind::Fenced);
    assert_eq!(world.queue_balance(queue).await.waiting, 1);
}

pub(super) async fn a_released_message_comes_again_at_once_with_its_receives(world: &mut World) {
    let (acme, queue) = scene(world).await;
    let message = world.message(&acme, queue).await;
    let lease = world.receive(queue, message).await;
    let mut inbox = inbox(world).await;
    inbox.until(|pending| pending.id == message).await;
    let due = world.now + Duration::from_secs(2);
    world.store().release(queue, vec![lease], due).await.unwrap().remove(0).unwrap();
    let came = inbox.until(|pending| pending.id == message && !pending.is_leased).await;
    let last = came.last().unwrap();
    assert_eq!((last.due, last.receives, last.tries, last.is_leased), (due, 1, 1, false));
    assert_eq!(refusal(world.ack(queue, lease).await), ErrorKind::Fenced, "it was given back");
}

pub(super) async fn a_lease_holds_across_a_crash(world: &mut World) {
    let (acme, queue) = scene(world).await;
    let message = world.message(&acme, queue).await;
    let lease = world.receive(queue, message).await;
    let until = world.now + LEASE;
    world.restart().await;
    let came = inbox(world).await.until(|pending| pending.id == message).await;
    assert_eq!((came[0].due, came[0].receives, came[0].is_leased), (until, 1, true));
    assert_eq!(world.queue_balance(queue).await.in_flight, 1);
    world.ack(queue, lease).await.unwrap();
}

pub(super) async fn another_queues_lease_changes_nothing(world: &mut World) {
    let (acme, queue) = scene(world).await;
    let other = world.queue("other").await.id;
    let message = world.message(&acme, queue).await;
    assert_eq!(refusal(world.try_receive(other, MessageLease { message, receive: 1 }).await), ErrorKind::Conflict);
    let lease = world.receive(queue, message).await;
    let record = world.store().message(message).await.unwrap();
    assert_eq!(refusal(world.ack(other, lease).await), ErrorKind::Fenced);
    let released = world.store().release(other, vec![lease], world.now).await.unwrap().remove(0);
    assert_eq!(refusal(released), ErrorKind::Fenced);
    let until = world.now + LEASE * 2;
    let extended = world.store().extend_messages(other, vec![lease], until, world.now).await.unwrap().remove(0);
    assert_eq!(refusal(extended), ErrorKind::Fenced);
    assert_eq!(world.store().message(message).await.unwrap(), record);
    assert_eq!(world.queue_balance(other).await.put, 0);
}

pub(super) async fn a_deleted_queue_takes_its_messages_and_refuses_nothing_else(world: &mut World) {
    let (acme, queue) = scene(world).await;
    let message = world.message(&acme, queue).await;
    let lease = world.receive(queue, message).await;
    world.store().delete_queue(&name("results")).await.unwrap();
    assert_eq!(world.store().message(message).await.unwrap(), None);
    assert_eq!(refusal(world.ack(queue, lease).await), ErrorKind::Fenced);
    assert_eq!(refusal(world.store().queue_balance(queue, world.now).await), ErrorKind::NotFound);
    // An event that was matched before the queue went.
    let late = world.put(&acme, queue);
    let (id, event) = (late.messages[0].id, late.id);
    world.accept(late).await;
    assert_eq!(world.store().message(id).await.unwrap(), None);
    assert_eq!(world.store().event(event).await.unwrap().unwrap().status, EventStatus::Matched);
    let again = world.queue("results").await;
    assert_ne!(again.id, queue, "made anew it is another one");
    assert_eq!(world.queue_balance(again.id).await.put, 0);
}

pub(super) async fn a_repeated_event_puts_no_message_twice(world: &mut World) {
    let (acme, queue) = scene(world).await;
    let mut first = world.put(&acme, queue);
    first.identity = Some(identity(1, 1));
    world.accept(first.clone()).await;
    let mut second = world.put(&acme, queue);
    second.identity = Some(identity(1, 1));
    let answers = world.publish(vec![second]).await;
    assert_eq!(answers, [Published::Repeated { first: first.id, status: EventStatus::Matched }]);
    assert_eq!(world.queue_balance(queue).await.put, 1);
}
