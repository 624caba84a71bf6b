//! Tables and properties of the scheduler, stepped by hand.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sublet_model::{EventId, FunctionId};

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

fn share(floor: u32, ceiling: u32, weight: u32) -> Share {
    Share { floor, ceiling, weight, invoke_slots: 1, invoke_reserved: 0, paused: false }
}

fn waiting(tenant: i64, number: i64, due: Timestamp) -> Waiting {
    Waiting {
        invocation: InvocationId::from_raw(number),
        tenant: TenantId::from_raw(tenant),
        function: FunctionId::from_raw(1),
        event: EventId::from_raw(1),
        due,
        failed: 0,
        starts: 0,
        crashed: 0,
        redrives: 0,
    }
}

/// Queues by hand: numbers every arrival.
struct Bench {
    scheduler: Scheduler,
    number: i64,
    running: Vec<Waiting>,
}

impl Bench {
    fn new(slots: u32) -> Bench {
        Bench { scheduler: Scheduler::new(slots), number: 0, running: Vec::new() }
    }

    fn arrive(&mut self, tenant: i64, share: Share, count: usize) {
        for _ in 0..count {
            self.number += 1;
            self.scheduler.arrive(waiting(tenant, self.number, NOW), share, NOW);
        }
    }

    fn grant(&mut self) -> Vec<i64> {
        let mut tenants = Vec::new();
        for grant in self.scheduler.grant(NOW) {
            if let Grant::Attempt(started) = grant {
                self.running.push(started);
                tenants.push(started.tenant.raw());
            }
        }
        tenants
    }

    fn end(&mut self, index: usize) {
        let ended = self.running.remove(index);
        self.scheduler.ended(ended.tenant, ended.invocation, ended.starts + 1);
    }

    /// One at a time through a single slot: the order in which tenants are served.
    fn order(&mut self, count: usize) -> Vec<i64> {
        let mut order = Vec::new();
        while order.len() < count {
            let granted = self.grant();
            if granted.is_empty() {
                break;
            }
            order.extend(granted);
            self.end(0);
        }
        order
    }
}

#[test]
fn a_flood_from_one_tenant_does_not_delay_the_others() {
    let mut bench = Bench::new(1);
    bench.arrive(1, share(0, 8, 100), 1_000);
    assert_eq!(bench.order(3), [1, 1, 1]);
    bench.arrive(2, share(0, 8, 100), 2);
    bench.arrive(3, share(0, 8, 100), 2);
    let order = bench.order(8);
    assert_eq!(order.iter().filter(|tenant| **tenant == 2).count(), 2, "{order:?}");
    assert_eq!(order.iter().filter(|tenant| **tenant == 3).count(), 2, "{order:?}");
    assert!(order[..3].contains(&2) && order[..3].contains(&3), "{order:?}");
}

#[test]
fn starts_follow_the_weights() {
    let mut bench = Bench::new(1);
    bench.arrive(1, share(0, 8, 300), 1_000);
    bench.arrive(2, share(0, 8, 100), 1_000);
    bench.arrive(3, share(0, 8, 25), 1_000);
    let order = bench.order(850);
    let count = |tenant: i64| order.iter().filter(|served| **served == tenant).count();
    assert!((count(1) as i64 - 600).abs() <= 6, "{}", count(1));
    assert!((count(2) as i64 - 200).abs() <= 4, "{}", count(2));
    assert!((count(3) as i64 - 50).abs() <= 3, "{}", count(3));
}

#[test]
fn a_tenant_that_sends_one_at_a_time_does_not_escape_its_weight() {
    let mut bench = Bench::new(1);
    bench.arrive(1, share(0, 8, 1_000), 2_000);
    let mut light = 0;
    for _ in 0..1_000 {
        if bench.scheduler.waiting(TenantId::from_raw(2)) == 0 {
            bench.arrive(2, share(0, 8, 10), 1);
        }
        light += bench.order(1).iter().filter(|tenant| **tenant == 2).count();
    }
    assert!((9..=11).contains(&light), "{light} of 1,000 at a hundredth of the weight");
}

#[test]
fn the_floor_is_served_before_anyones_burst() {
    let mut bench = Bench::new(4);
    bench.arrive(1, share(0, 100, 1_000), 100);
    assert_eq!(bench.grant(), [1, 1, 1, 1]);
    bench.arrive(2, share(2, 100, 1), 100);
    bench.end(0);
    bench.end(0);
    bench.end(0);
    assert_eq!(bench.grant()[..2], [2, 2], "two for the floor");
    // Beyond the floor the light one has its first turn and then waits out its weight.
    assert_eq!(bench.order(10).iter().filter(|tenant| **tenant == 2).count(), 0);
}

#[test]
fn floors_beyond_the_slots_share_them() {
    let mut bench = Bench::new(2);
    for tenant in 1..=4 {
        bench.arrive(tenant, share(2, 4, 100), 100);
    }
    let mut served: BTreeMap<i64, usize> = BTreeMap::new();
    for _ in 0..100 {
        for tenant in bench.grant() {
            *served.entry(tenant).or_default() += 1;
        }
        bench.end(0);
    }
    assert!(served.values().all(|count| (20..=30).contains(count)), "{served:?}");
}

#[test]
fn a_quota_is_changed_live() {
    let mut bench = Bench::new(100);
    bench.arrive(1, share(0, 2, 100), 50);
    assert_eq!(bench.grant().len(), 2);
    bench.scheduler.set_share(TenantId::from_raw(1), share(0, 5, 100));
    assert_eq!(bench.grant().len(), 3);
    bench.scheduler.set_share(TenantId::from_raw(1), share(0, 1, 100));
    for _ in 0..4 {
        bench.end(0);
        assert_eq!(bench.grant().len(), 0, "five run on under a ceiling of one");
    }
    bench.end(0);
    assert_eq!(bench.grant().len(), 1);
}

#[test]
fn a_suspended_tenants_queue_waits_and_goes_on() {
    let mut bench = Bench::new(10);
    bench.arrive(1, Share { paused: true, ..share(1, 5, 100) }, 3);
    assert_eq!(bench.grant(), [0i64; 0]);
    assert_eq!(bench.scheduler.waiting(TenantId::from_raw(1)), 3);
    bench.scheduler.set_share(TenantId::from_raw(1), share(1, 5, 100));
    assert_eq!(bench.grant(), [1, 1, 1]);
}

#[test]
fn what_is_delayed_starts_when_it_is_due_and_not_before() {
    let mut scheduler = Scheduler::new(10);
    let later = Timestamp::from_millis(NOW.millis() + 500);
    scheduler.arrive(waiting(1, 1, later), share(0, 5, 100), NOW);
    scheduler.arrive(waiting(1, 2, NOW), share(0, 5, 100), NOW);
    assert_eq!(scheduler.grant(NOW).len(), 1);
    assert_eq!(scheduler.next_due(), Some(later));
    assert_eq!(scheduler.grant(Timestamp::from_millis(later.millis() - 1)).len(), 0);
    assert_eq!(scheduler.grant(later), [Grant::Attempt(waiting(1, 1, later))]);
    assert_eq!(scheduler.next_due(), None);
}

#[test]
fn a_repeated_arrival_of_what_runs_is_dropped_and_its_retry_is_not() {
    let mut scheduler = Scheduler::new(10);
    scheduler.arrive(waiting(1, 1, NOW), share(0, 5, 100), NOW);
    assert_eq!(scheduler.grant(NOW).len(), 1);
    scheduler.arrive(waiting(1, 1, NOW), share(0, 5, 100), NOW);
    assert_eq!(scheduler.grant(NOW).len(), 0);
    let retry = Waiting { starts: 1, failed: 1, ..waiting(1, 1, NOW) };
    scheduler.arrive(retry, share(0, 5, 100), NOW);
    assert_eq!(scheduler.grant(NOW), [Grant::Attempt(retry)], "its settle is seen before its end is said");
    scheduler.ended(retry.tenant, retry.invocation, 1);
    scheduler.arrive(retry, share(0, 5, 100), NOW);
    assert_eq!(scheduler.grant(NOW).len(), 0, "the second start still runs");
}

#[test]
fn an_invoke_goes_first_but_never_above_the_ceiling() {
    let mut bench = Bench::new(10);
    let two = Share { invoke_slots: 2, ..share(0, 2, 100) };
    let tenant = TenantId::from_raw(1);
    bench.arrive(1, two, 10);
    assert_eq!(bench.grant(), [1, 1]);
    assert!(bench.scheduler.invoke(tenant, two, 7));
    assert!(bench.scheduler.invoke(tenant, two, 8));
    assert!(!bench.scheduler.invoke(tenant, two, 9), "both invoke slots are taken");
    assert_eq!(bench.scheduler.grant(NOW), []);
    bench.end(0);
    assert_eq!(bench.scheduler.grant(NOW), [Grant::Invoke { tenant, ticket: 7 }]);
    bench.scheduler.invoke_given_up(tenant, 8);
    bench.scheduler.invoke_ended(tenant);
    assert_eq!(bench.grant(), [1], "the queue goes on");
}

#[test]
fn a_tenant_with_nothing_left_has_no_state() {
    let mut bench = Bench::new(10);
    for tenant in 0..1_000 {
        bench.arrive(tenant, share(1, 2, 100), 3);
    }
    while !bench.grant().is_empty() || !bench.running.is_empty() {
        bench.end(0);
    }
    assert_eq!(bench.grant(), [0i64; 0]);
    assert_eq!(bench.scheduler.load(), Load::default());
    assert!(bench.scheduler.running.is_empty());
}

#[test]
fn cancelling_takes_out_what_waited_and_leaves_what_came_back() {
    let mut bench = Bench::new(1);
    let tenant = TenantId::from_raw(1);
    bench.arrive(1, share(0, 5, 100), 3);
    let later = Timestamp::from_millis(NOW.millis() + 500);
    bench.scheduler.arrive(waiting(1, 9, later), share(0, 5, 100), NOW);
    let before = bench.scheduler.waiting_of(tenant);
    assert_eq!(before.len(), 4);
    assert_eq!(bench.grant(), [1]);
    bench.end(0);
    let retried = Waiting { starts: 1, ..waiting(1, 1, NOW) };
    bench.scheduler.arrive(retried, share(0, 5, 100), NOW);
    bench.scheduler.withdraw(tenant, &before);
    assert_eq!(bench.scheduler.waiting_of(tenant), [(retried.invocation, 1)]);
    assert_eq!(bench.scheduler.next_due(), None);
}

/// The same work with so many tenants, each with so many waiting: tenants looked at per start.
fn steps_per_start(tenants: i64, backlog: usize) -> f64 {
    let mut bench = Bench::new(16);
    for tenant in 0..tenants {
        bench.arrive(tenant, share(u32::from(tenant % 7 == 0), 4, 1 + (tenant as u32 * 37) % 1_000), backlog);
    }
    let before = bench.scheduler.steps();
    let mut starts = 0;
    while starts < 2_000 {
        let granted = bench.grant().len();
        starts += granted;
        if bench.running.is_empty() {
            break;
        }
        bench.end(0);
    }
    (bench.scheduler.steps() - before) as f64 / starts as f64
}

#[test]
fn a_start_costs_the_same_however_many_tenants_and_messages_wait() {
    for (tenants, backlog) in [(10, 300), (10, 10_000), (1_000, 10), (100_000, 1)] {
        let steps = steps_per_start(tenants, backlog);
        assert!(steps <= 3.0, "{tenants} tenants with {backlog} waiting: {steps} looks per start");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Random quotas, arrivals, ends and quota changes.
    #[test]
    fn ceilings_and_slots_hold_floors_come_first_and_nobody_starves(
        slots in 1u32..12,
        quotas in proptest::collection::vec((0u32..3, 1u32..6, 1u32..1_000), 1..8),
        script in proptest::collection::vec((0usize..8, 0usize..4, any::<prop::sample::Index>()), 1..200),
    ) {
        let mut bench = Bench::new(slots);
        let shares: Vec<Share> =
            quotas.iter().map(|&(floor, ceiling, weight)| share(floor.min(ceiling), ceiling, weight)).collect();
        for (tenant, count, index) in script {
            let number = tenant % shares.len();
            bench.arrive(number as i64, shares[number], count);
            if !bench.running.is_empty() {
                let at = index.index(bench.running.len());
                bench.end(at);
            }
            let granted = bench.grant();
            let in_flight = |tenant: usize| bench.scheduler.in_flight(TenantId::from_raw(tenant as i64));
            let total: u32 = (0..shares.len()).map(in_flight).sum();
            prop_assert!(total <= slots);
            prop_assert_eq!(total as usize, bench.running.len());
            for (tenant, own) in shares.iter().enumerate() {
                prop_assert!(in_flight(tenant) <= own.ceiling);
                let has_more = bench.scheduler.waiting(TenantId::from_raw(tenant as i64)) > 0;
                // Whoever could start and did not, lacked a slot.
                prop_assert!(!has_more || in_flight(tenant) >= own.ceiling || total == slots);
                // While somebody is below its floor with work, this step gave nothing beyond floors.
                if has_more && in_flight(tenant) < own.floor {
                    for other in granted.iter().map(|tenant| *tenant as usize) {
                        prop_assert!(in_flight(other) <= shares[other].floor, "{} got a burst", other);
                    }
                }
            }
        }
        // No starvation: everything that waits is served in the end.
        let mut rounds = 0;
        while bench.scheduler.load().waiting > 0 {
            bench.grant();
            bench.end(0);
            rounds += 1;
            prop_assert!(rounds < 10_000);
        }
    }
}

#[test]
fn what_is_set_aside_counts_as_waiting_and_takes_no_turn() {
    let mut scheduler = Scheduler::new(1);
    let (tenant, stopped, share) = (TenantId::from_raw(1), FunctionId::from_raw(7), share(0, 4, 100));
    let of_stopped = |number| Waiting { function: stopped, ..waiting(1, number, NOW) };
    let later = NOW + std::time::Duration::from_secs(60);
    for number in 101..=103 {
        scheduler.arrive(of_stopped(number), share, NOW);
    }
    scheduler.arrive(Waiting { due: later, ..of_stopped(104) }, share, NOW);
    let other = waiting(1, 1, NOW);
    scheduler.arrive(other, share, NOW);
    assert_eq!(scheduler.grant(NOW), [Grant::Attempt(of_stopped(101))]);
    scheduler.park(of_stopped(101));
    assert_eq!(scheduler.grant(NOW), [Grant::Attempt(other)], "the others of its function did not take a turn");
    scheduler.ended(tenant, other.invocation, 1);
    scheduler.arrive(of_stopped(105), share, NOW);
    assert_eq!(scheduler.grant(NOW), []);
    assert_eq!((scheduler.waiting(tenant), scheduler.load().waiting, scheduler.load().in_flight), (5, 5, 0));
    assert_eq!((scheduler.parked_functions(), scheduler.waiting_of(tenant).len()), (vec![stopped], 5));
    scheduler.withdraw(tenant, &[(InvocationId::from_raw(102), 0)]);
    assert_eq!((scheduler.waiting(tenant), scheduler.load().waiting), (4, 4));

    scheduler.unpark(stopped, NOW);
    for number in [101, 103, 105] {
        assert_eq!(scheduler.grant(NOW), [Grant::Attempt(of_stopped(number))]);
        scheduler.ended(tenant, InvocationId::from_raw(number), 1);
    }
    let Some(Grant::Attempt(last)) = scheduler.grant(later).pop() else { panic!("the last did not come") };
    scheduler.park(last);
    scheduler.forget(tenant);
    scheduler.unpark(stopped, later);
    let load = scheduler.load();
    assert_eq!((load.waiting, load.in_flight, scheduler.grant(later)), (0, 0, Vec::new()));
    assert!(!scheduler.knows(tenant));
}
