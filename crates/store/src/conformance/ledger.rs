//! Usage in sum.

use std::time::Duration;

use sublet_model::{FunctionId, Outcome, Timestamp, UsageSum};

use super::world::{START, Tenant, World, everything};
use crate::{Next, Settle, UsageQuery};

const HOUR: Duration = Duration::from_secs(3_600);

/// An attempt that ends now, with `wall_us` of its own.
async fn spend(world: &mut World, tenant: &Tenant, outcome: Outcome, wall_us: u64) -> UsageSum {
    let lease = world.running(tenant).await;
    let succeeded = outcome == Outcome::Succeeded;
    let next = if succeeded { Next::Succeed } else { Next::Retry { due: world.now, spent: true } };
    let mut end = world.end(outcome);
    end.usage.wall_us = wall_us;
    world.store().settle(Settle { lease, end: end.clone(), next, announce: false, message: None }).await.unwrap();
    UsageSum::of(&end.usage, succeeded)
}

pub(super) async fn usage_is_added_up_per_hour_tenant_and_function(world: &mut World) {
    let (acme, zeta) = (world.tenant("acme").await, world.tenant("zeta").await);
    let mut score = acme.clone();
    score.function = world.function(acme.id, "score").await;
    let mut expected = Vec::new();
    for hour in 0..3 {
        for tenant in [&zeta, &score, &acme] {
            let mut sum = spend(world, tenant, Outcome::Succeeded, 1_000_000 + hour).await;
            sum += spend(world, tenant, Outcome::Failed, 7).await;
            sum += spend(world, tenant, Outcome::TimedOut, 3_000_000_000).await;
            expected.push(((world.now.hour(), tenant.id, tenant.function), sum));
        }
        world.pass(HOUR);
    }
    expected.sort_by_key(|(key, _)| *key);
    let rows = world.usage().await;
    let told: Vec<_> = rows.iter().map(|row| ((row.hour, row.tenant, row.function), row.sum)).collect();
    assert_eq!(told, expected, "by hour, tenant, function");
    assert_eq!((told[0].1.attempts, told[0].1.succeeded, told[0].1.failed), (3, 1, 2));
    world.check().await;
}

pub(super) async fn a_query_takes_whole_hours_half_open(world: &mut World) {
    let acme = world.tenant("acme").await;
    for _ in 0..4 {
        spend(world, &acme, Outcome::Succeeded, 1).await;
        world.pass(HOUR);
    }
    let first = START.hour();
    let at = |hours: u32| first + HOUR * hours;
    let minute = Duration::from_secs(60);
    let table: [(Timestamp, Timestamp, &[u32]); 6] = [
        (at(0), at(4), &[0, 1, 2, 3]),
        (at(1), at(3), &[1, 2]),
        (at(1) + minute, at(3) + minute, &[2, 3]),
        (at(2), at(2), &[]),
        (at(3), at(1), &[]),
        (at(4), at(9), &[]),
    ];
    for (from, to, hours) in table {
        let query = UsageQuery { from, to, ..everything() };
        let expected: Vec<Timestamp> = hours.iter().map(|hour| at(*hour)).collect();
        for rows in [world.store().usage(query).await, world.store().usage_recount(query).await] {
            assert_eq!(rows.unwrap().iter().map(|row| row.hour).collect::<Vec<_>>(), expected);
        }
    }
}

pub(super) async fn a_query_sees_its_tenant_and_function_alone(world: &mut World) {
    let (acme, zeta) = (world.tenant("acme").await, world.tenant("zeta").await);
    let mut score = acme.clone();
    score.function = world.function(acme.id, "score").await;
    for tenant in [&acme, &score, &zeta] {
        spend(world, tenant, Outcome::Succeeded, 1).await;
    }
    let unknown = FunctionId::from_raw(world.raw());
    let table = [
        (Some(acme.id), None, vec![acme.function, score.function]),
        (Some(acme.id), Some(score.function), vec![score.function]),
        (None, Some(zeta.function), vec![zeta.function]),
        (Some(acme.id), Some(zeta.function), vec![]),
        (Some(zeta.id), Some(unknown), vec![]),
    ];
    for (tenant, function, expected) in table {
        let query = UsageQuery { tenant, function, ..everything() };
        for rows in [world.store().usage(query).await, world.store().usage_recount(query).await] {
            assert_eq!(rows.unwrap().iter().map(|row| row.function).collect::<Vec<_>>(), expected);
        }
    }
}

pub(super) async fn sums_equal_the_attempts_after_a_crash(world: &mut World) {
    let (acme, zeta) = (world.tenant("acme").await, world.tenant("zeta").await);
    for round in 0..5 {
        for tenant in [&acme, &zeta] {
            spend(world, tenant, Outcome::Succeeded, 1_000 * round).await;
        }
        // Lost with the process, and given back by the next.
        world.running(&acme).await;
        let before = world.usage().await;
        world.crash().await;
        assert_eq!(world.usage().await, before);
        world.acquire().await;
        world.check().await;
        world.pass(HOUR / 4);
    }
    let attempts: u64 = world.usage().await.iter().map(|row| row.sum.attempts).sum();
    assert_eq!(attempts, 15);
}

pub(super) async fn sums_equal_the_attempts_after_upkeep(world: &mut World) {
    let acme = world.tenant("acme").await;
    for round in 0..6 {
        spend(world, &acme, Outcome::Succeeded, round).await;
        let before = world.usage().await;
        world.store().maintain(world.now, Timestamp::ZERO).await.unwrap();
        assert_eq!(world.usage().await, before);
        world.check().await;
        if round % 2 == 1 {
            world.restart().await;
            assert_eq!(world.usage().await, before, "flushed sums and the attempts since, each once");
        }
        world.pass(HOUR / 2);
    }
}
