//! Ending what waits, without an attempt.

use std::time::Duration;

use sublet_model::{EndReason, ErrorKind, InvocationId, InvocationState};

use super::world::{Tenant, World, refusal};
use crate::{Balance, Finish, Next};

fn finish(world: &World, tenant: &Tenant, invocation: InvocationId, state: InvocationState) -> Finish {
    let epoch = world.ownership.epoch_of(tenant.id).unwrap();
    let (tenant, reason, at) = (tenant.id, EndReason::TooOld, world.now);
    Finish { invocation, tenant, epoch, state, reason, at, announce: true, message: None }
}

const ENDS: [InvocationState; 3] =
    [InvocationState::Expired, InvocationState::DeadLettered, InvocationState::Cancelled];

pub(super) async fn a_waiting_invocation_ends_in_the_state_asked_for(world: &mut World) {
    let acme = world.tenant("acme").await;
    for (announce, retried) in [(true, false), (false, true)] {
        for state in ENDS {
            let id = world.waiting(&acme).await;
            if retried {
                let lease = world.claim(&acme, id).await;
                world.settle(lease, Next::Retry { due: world.now, spent: true }).await;
            }
            world.pass(Duration::from_secs(1));
            let before = world.outbox().await.len();
            let line = world.store().finish(Finish { announce, ..finish(world, &acme, id, state) }).await.unwrap();

            let record = world.record(&acme, id).await;
            assert_eq!((record.state, record.reason), (state, Some(EndReason::TooOld)));
            assert_eq!((record.ended, record.failed), (Some(world.now), u32::from(retried)));
            assert_eq!(world.store().attempts(acme.id, id).await.unwrap().len(), usize::from(retried));
            let lines = world.outbox().await;
            assert_eq!(lines.len(), before + usize::from(announce));
            assert_eq!(line.is_some(), announce);
            if announce {
                let last = lines.last().unwrap();
                assert_eq!((Some(last.id), &last.invocation, &last.attempt), (line, &record, &None));
            }
        }
    }
    let expected = Balance { accepted: 6, dead_lettered: 2, expired: 2, cancelled: 2, ..Balance::default() };
    assert_eq!(world.store().balance(acme.id).await.unwrap(), expected);
    let photo = world.photograph().await;
    world.restart().await;
    assert_eq!(world.photograph().await, photo);
}

pub(super) async fn what_does_not_wait_is_not_finished(world: &mut World) {
    let acme = world.tenant("acme").await;
    let (running, succeeded) = (world.running(&acme).await, world.succeeded(&acme).await);
    let expired = world.waiting(&acme).await;
    world.store().finish(finish(world, &acme, expired, InvocationState::Expired)).await.unwrap();
    let unknown = InvocationId::from_raw(world.raw());
    let photo = world.photograph().await;
    for id in [running.invocation, succeeded, expired, unknown] {
        for state in ENDS {
            let answer = world.store().finish(finish(world, &acme, id, state)).await;
            assert_eq!(refusal(answer), ErrorKind::Conflict);
        }
    }
    assert_eq!(world.photograph().await, photo, "nothing changed");
    world.settle(running, Next::Succeed).await;
}

pub(super) async fn a_finish_under_a_stale_epoch_is_fenced(world: &mut World) {
    let acme = world.tenant("acme").await;
    let id = world.waiting(&acme).await;
    let stale = finish(world, &acme, id, InvocationState::Expired);
    world.acquire().await;
    let photo = world.photograph().await;
    assert_eq!(refusal(world.store().finish(stale).await), ErrorKind::Fenced);
    assert_eq!(world.photograph().await, photo, "nothing changed");
}

pub(super) async fn only_the_three_ends_are_valid(world: &mut World) {
    let acme = world.tenant("acme").await;
    let id = world.waiting(&acme).await;
    let photo = world.photograph().await;
    for state in InvocationState::ALL.into_iter().filter(|state| !ENDS.contains(state)) {
        let answer = world.store().finish(finish(world, &acme, id, state)).await;
        assert_eq!(refusal(answer), ErrorKind::Invalid, "{state}");
    }
    assert_eq!(world.photograph().await, photo, "nothing changed");
}
