//! Accepting events: what is written, and when a repeat is one.

use std::time::Duration;

use bytes::Bytes;
use sublet_model::limit::IDENTITY_WINDOW;
use sublet_model::{EndReason, ErrorKind, InvocationState, RetryPolicy, TraceContext};

use super::world::{World, identity, refusal};
use crate::{Balance, EventStatus, Next, Published, RejectReason};

pub(super) async fn an_accepted_event_is_there_with_what_it_led_to(world: &mut World) {
    let acme = world.tenant("acme").await;
    let mut event = world.matched(&acme);
    event.invocations.push(world.invocation(&acme, Some(event.id)));
    event.deliveries = world.delivered(&acme, "crm").deliveries;
    event.deliveries[0].event = event.id;
    event.depth = 3;
    world.accept(event.clone()).await;

    let kept = world.store().event(event.id).await.unwrap().unwrap();
    assert_eq!((kept.tenant, kept.depth, kept.status), (Some(acme.id), 3, EventStatus::Matched));
    assert_eq!((&kept.trace, &kept.body), (&event.trace, &event.body));
    assert_eq!(kept.invocations, [event.invocations[0].id, event.invocations[1].id]);
    assert_eq!(kept.deliveries, [event.deliveries[0].id]);
    for new in &event.invocations {
        let record = world.record(&acme, new.id).await;
        assert_eq!((record.event, record.function, record.due), (Some(event.id), acme.function, new.due));
        assert_eq!((record.state, record.starts, record.failed), (InvocationState::Queued, 0, 0));
        assert_eq!((record.reason, record.ended), (None, None));
    }
    let balance = world.store().balance(acme.id).await.unwrap();
    assert_eq!(balance, Balance { accepted: 2, waiting: 2, ..Balance::default() });

    let photo = world.photograph().await;
    world.restart().await;
    assert_eq!(world.photograph().await, photo, "after a crash");
    assert_eq!(world.store().event(event.id).await.unwrap(), Some(kept));
}

pub(super) async fn events_that_never_run_are_kept_with_their_status(world: &mut World) {
    let acme = world.tenant("acme").await;
    let statuses = [
        (None, EventStatus::Rejected(RejectReason::UnknownTenant)),
        (Some(acme.id), EventStatus::Rejected(RejectReason::SuspendedTenant)),
        (Some(acme.id), EventStatus::Rejected(RejectReason::Loop)),
        (Some(acme.id), EventStatus::Unmatched),
        (Some(acme.id), EventStatus::Matched),
    ];
    let mut ids = Vec::new();
    for (tenant, status) in statuses {
        let mut event = world.event(tenant);
        event.status = status;
        ids.push(event.id);
        world.accept(event).await;
    }
    world.restart().await;
    for (id, (tenant, status)) in ids.into_iter().zip(statuses) {
        let kept = world.store().event(id).await.unwrap().unwrap();
        assert_eq!((kept.tenant, kept.status), (tenant, status));
        assert!(kept.invocations.is_empty() && kept.deliveries.is_empty());
    }
}

pub(super) async fn a_batch_is_answered_entry_by_entry_in_order(world: &mut World) {
    let acme = world.tenant("acme").await;
    assert_eq!(world.publish(Vec::new()).await, []);

    let mut known = world.matched(&acme);
    known.identity = Some(identity(1, 1));
    world.accept(known.clone()).await;

    let [fresh, mut repeat, mut conflict, mut gone, last] = std::array::from_fn(|_| world.matched(&acme));
    repeat.identity = Some(identity(1, 1));
    conflict.identity = Some(identity(1, 2));
    gone.consumes = Some(77);
    let ids = [&fresh, &repeat, &conflict, &gone, &last].map(|event| event.id);
    let answers = world.publish(vec![fresh, repeat, conflict, gone, last]).await;
    let (first, status) = (known.id, EventStatus::Matched);
    let expected = [
        Published::Accepted,
        Published::Repeated { first, status },
        Published::Conflict { first },
        Published::Consumed,
        Published::Accepted,
    ];
    assert_eq!(answers, expected);
    for (id, answer) in ids.into_iter().zip(expected) {
        let there = world.store().event(id).await.unwrap().is_some();
        assert_eq!(there, answer == Published::Accepted, "{answer:?}");
    }
    assert_eq!(world.store().balance(acme.id).await.unwrap().accepted, 3);
}

pub(super) async fn a_repeat_with_the_same_body_gets_the_first_answer(world: &mut World) {
    let acme = world.tenant("acme").await;
    let mut event = world.matched(&acme);
    event.identity = Some(identity(1, 1));
    let again = event.clone();
    world.accept(event.clone()).await;
    let photo = world.photograph().await;

    let repeated = Published::Repeated { first: event.id, status: EventStatus::Matched };
    assert_eq!(world.publish(vec![again]).await, [repeated], "the very same entry");
    let mut other = world.matched(&acme);
    other.identity = event.identity;
    // What it would lead to today is not what counts: the answer is the first one's.
    other.status = EventStatus::Unmatched;
    assert_eq!(world.publish(vec![other]).await, [repeated], "another entry of that identity");
    assert_eq!(world.photograph().await, photo, "nothing was written");
}

pub(super) async fn a_repeat_with_another_body_is_a_conflict(world: &mut World) {
    let acme = world.tenant("acme").await;
    let mut event = world.matched(&acme);
    event.identity = Some(identity(1, 1));
    world.accept(event.clone()).await;
    let photo = world.photograph().await;

    let mut other = world.matched(&acme);
    other.identity = Some(identity(1, 2));
    assert_eq!(world.publish(vec![other]).await, [Published::Conflict { first: event.id }]);
    assert_eq!(world.photograph().await, photo, "nothing was written");

    let mut third = world.matched(&acme);
    third.identity = Some(identity(2, 1));
    assert_eq!(world.publish(vec![third]).await, [Published::Accepted], "another identity");
}

pub(super) async fn entries_of_one_call_with_one_identity_see_each_other(world: &mut World) {
    let acme = world.tenant("acme").await;
    let [mut one, mut same, mut different] = std::array::from_fn(|_| world.matched(&acme));
    one.identity = Some(identity(1, 1));
    same.identity = Some(identity(1, 1));
    different.identity = Some(identity(1, 2));
    let first = one.id;
    let answers = world.publish(vec![one, same, different]).await;
    let repeated = Published::Repeated { first, status: EventStatus::Matched };
    assert_eq!(answers, [Published::Accepted, repeated, Published::Conflict { first }]);
    assert_eq!(world.store().balance(acme.id).await.unwrap().accepted, 1);
}

pub(super) async fn an_identity_is_remembered_across_a_crash(world: &mut World) {
    let acme = world.tenant("acme").await;
    let mut event = world.matched(&acme);
    event.identity = Some(identity(1, 1));
    world.accept(event.clone()).await;
    world.pass(IDENTITY_WINDOW / 2);
    world.restart().await;

    let mut again = world.matched(&acme);
    again.identity = Some(identity(1, 1));
    let mut other = world.matched(&acme);
    other.identity = Some(identity(1, 2));
    let (first, status) = (event.id, EventStatus::Matched);
    let answers = world.publish(vec![again, other]).await;
    assert_eq!(answers, [Published::Repeated { first, status }, Published::Conflict { first }]);
}

pub(super) async fn an_identity_is_free_again_after_its_window(world: &mut World) {
    let acme = world.tenant("acme").await;
    let mut event = world.matched(&acme);
    event.identity = Some(identity(1, 1));
    world.accept(event.clone()).await;

    world.pass(IDENTITY_WINDOW - Duration::from_secs(1));
    let mut again = world.matched(&acme);
    again.identity = event.identity;
    let repeated = Published::Repeated { first: event.id, status: EventStatus::Matched };
    assert_eq!(world.publish(vec![again.clone()]).await, [repeated], "a repeat does not lengthen the window");

    world.pass(Duration::from_secs(2));
    assert_eq!(world.publish(vec![again.clone()]).await, [Published::Accepted]);
    let mut third = world.matched(&acme);
    third.identity = event.identity;
    let repeated = Published::Repeated { first: again.id, status: EventStatus::Matched };
    assert_eq!(world.publish(vec![third.clone()]).await, [repeated], "the window of the newer one");

    world.pass(IDENTITY_WINDOW + Duration::from_secs(1));
    world.restart().await;
    assert_eq!(world.publish(vec![third]).await, [Published::Accepted], "a crash does not lengthen it either");
}

pub(super) async fn events_without_an_identity_are_never_repeats(world: &mut World) {
    let acme = world.tenant("acme").await;
    let [one, mut two] = std::array::from_fn(|_| world.matched(&acme));
    two.body = one.body.clone();
    assert_eq!(world.publish(vec![one, two]).await, [Published::Accepted, Published::Accepted]);
}

pub(super) async fn an_event_is_found_by_its_identity(world: &mut World) {
    let acme = world.tenant("acme").await;
    let mut event = world.matched(&acme);
    event.identity = Some(identity(1, 1));
    world.accept(event.clone()).await;
    let found = world.store().event_by_identity([1; 16]).await.unwrap().unwrap();
    assert_eq!(found, world.store().event(event.id).await.unwrap().unwrap());
    assert_eq!(world.store().event_by_identity([2; 16]).await.unwrap(), None);

    world.restart().await;
    assert_eq!(world.store().event_by_identity([1; 16]).await.unwrap(), Some(found));

    world.pass(IDENTITY_WINDOW + Duration::from_secs(1));
    let mut newer = world.matched(&acme);
    newer.identity = event.identity;
    world.accept(newer.clone()).await;
    let found = world.store().event_by_identity([1; 16]).await.unwrap().unwrap();
    assert_eq!(found.id, newer.id, "of several the newest");
}

pub(super) async fn an_id_in_use_refuses_the_whole_call(world: &mut World) {
    let acme = world.tenant("acme").await;
    let event = world.matched(&acme);
    world.accept(event.clone()).await;
    let photo = world.photograph().await;
    let other = world.matched(&acme);
    let answer = world.store().publish(vec![other.clone(), event], world.now).await;
    assert_eq!(refusal(answer), ErrorKind::Conflict);
    assert_eq!(world.photograph().await, photo, "nothing was written");
    world.accept(other).await;
}

pub(super) async fn what_to_run_is_the_event_with_its_policy_and_depth(world: &mut World) {
    let acme = world.tenant("acme").await;
    let retry = Some(RetryPolicy { attempts: 7, ..RetryPolicy::default() });
    let mut event = world.matched(&acme);
    event.depth = 4;
    event.invocations[0].retry = retry.clone();
    event.invocations.push(world.invocation(&acme, Some(event.id)));
    let [with, without] = [event.invocations[0].id, event.invocations[1].id];
    world.accept(event.clone()).await;
    world.restart().await;

    let work = world.store().work(acme.id, with).await.unwrap().unwrap();
    assert_eq!((&work.body, &work.retry, work.depth), (&event.body, &retry, 4));
    let lease = world.claim(&acme, with).await;
    assert_eq!(world.store().work(acme.id, with).await.unwrap(), Some(work), "while it runs");
    let work = world.store().work(acme.id, without).await.unwrap().unwrap();
    assert_eq!((work.body, work.retry), (event.body, None));

    world.settle(lease, crate::Next::Succeed).await;
    assert_eq!(world.store().work(acme.id, with).await.unwrap(), None, "when it ended");
}

pub(super) async fn a_trace_context_is_kept_with_the_event_and_its_work(world: &mut World) {
    let acme = world.tenant("acme").await;
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let longest = format!("a={}", "b".repeat(250));
    for state in [None, Some("rojo=00f067aa0ba902b7"), Some(longest.as_str())] {
        let mut traced = world.matched(&acme);
        traced.trace_context = TraceContext::parse(parent, state);
        assert!(traced.trace_context.is_some());
        let mut untraced = world.matched(&acme);
        untraced.deliveries = world.delivered(&acme, "crm").deliveries;
        world.accept(traced.clone()).await;
        world.accept(untraced.clone()).await;
        world.restart().await;
        for event in [traced, untraced] {
            let kept = world.store().event(event.id).await.unwrap().unwrap();
            assert_eq!(kept.trace_context, event.trace_context);
            assert_eq!(kept.deliveries.len(), event.deliveries.len());
            let work = world.store().work(acme.id, event.invocations[0].id).await.unwrap().unwrap();
            assert_eq!(work.trace_context, event.trace_context);
        }
    }
}

pub(super) async fn what_to_run_is_the_input_where_there_is_one(world: &mut World) {
    let acme = world.tenant("acme").await;
    let mut event = world.matched(&acme);
    event.invocations.push(world.invocation(&acme, Some(event.id)));
    let input = Bytes::from_static(b"[1, null]");
    event.invocations[0].input = Some(input.clone());
    let [with, without] = [event.invocations[0].id, event.invocations[1].id];
    world.accept(event.clone()).await;
    world.restart().await;

    let work = world.store().work(acme.id, with).await.unwrap().unwrap();
    assert_eq!((&work.body, work.envelope.as_ref()), (&input, Some(&event.body)));
    let other = world.store().work(acme.id, without).await.unwrap().unwrap();
    assert_eq!((&other.body, other.envelope), (&event.body, None));
    assert_eq!(world.store().event(event.id).await.unwrap().unwrap().body, event.body, "the event stays as it came");

    // Through a dead letter and back.
    let lease = world.claim(&acme, with).await;
    world.settle(lease, crate::Next::DeadLetter(EndReason::AttemptsExhausted)).await;
    world.store().redrive(acme.id, crate::Selection::All, world.now).await.unwrap();
    assert_eq!(world.store().work(acme.id, with).await.unwrap(), Some(work));
}

/// A backend may keep long ones elsewhere: nobody can tell.
pub(super) async fn bodies_of_every_length_come_back_as_handed_in(world: &mut World) {
    let acme = world.tenant("acme").await;
    let mut made = Vec::new();
    for length in [1, 16 << 10, (16 << 10) + 1, 256 << 10] {
        let body = |letter: u8| Bytes::from(vec![letter; length]);
        let mut event = world.matched(&acme);
        event.body = body(b'e');
        event.invocations[0].input = Some(body(b'i'));
        event.deliveries = world.delivered(&acme, "crm").deliveries;
        event.deliveries[0].event = event.id;
        event.deliveries[0].input = Some(body(b'd'));
        world.accept(event.clone()).await;

        let lease = world.claim(&acme, event.invocations[0].id).await;
        let work = world.store().work(acme.id, lease.invocation).await.unwrap().unwrap();
        assert_eq!((work.body, work.envelope), (body(b'i'), Some(body(b'e'))));
        let mut failed = world.settlement(lease, Next::Retry { due: world.now, spent: true });
        (failed.end.failure, failed.end.log) = (Some(body(b'f')), body(b'l'));
        world.store().settle(failed.clone()).await.unwrap();
        let again = world.lease(&acme, lease.invocation, 2);
        world.try_claim(again).await.unwrap();
        let mut succeeded = world.settlement(again, Next::Succeed);
        succeeded.end.result = Some(body(b'r'));
        let line = world.store().settle(succeeded.clone()).await.unwrap().outbox.unwrap();
        made.push((event, [failed.end, succeeded.end], line));
    }
    for round in ["before a crash", "after it"] {
        for (event, ends, line) in &made {
            let length = event.body.len();
            let kept = world.store().event(event.id).await.unwrap().unwrap();
            assert_eq!(kept.body, event.body, "{length} {round}");
            assert_eq!(world.store().event_body(event.id).await.unwrap().as_ref(), Some(&event.body));
            let delivery = &event.deliveries[0];
            let carried = world.store().delivery_body(delivery.id, event.id).await.unwrap();
            assert_eq!(carried, delivery.input, "{length} {round}");
            let attempts = world.store().attempts(acme.id, event.invocations[0].id).await.unwrap();
            assert_eq!([&attempts[0].end, &attempts[1].end], [&ends[0], &ends[1]], "{length} {round}");
            let told = world.store().outbox(line - 1, 1).await.unwrap().remove(0);
            assert_eq!(told.attempt.unwrap().end, ends[1], "{length} {round}");
        }
        world.restart().await;
    }
}
