//! Random verbs in a random order, the equations checked after every step. The seed is in the failure's text.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use sublet_model::{EndReason, ErrorKind, InvocationId, InvocationState};

use super::world::{LEASE, Tenant, World, every_page};
use crate::{Finish, InvocationFilter, Lease, Next, Selection};

const STEPS: u32 = 400;
const TENANTS: [&str; 3] = ["acme", "zeta", "omega"];

pub(super) async fn the_balance_and_the_ledger_hold_on_a_long_random_walk(world: &mut World) {
    walk(world, 1, 0).await;
}

pub(super) async fn the_balance_and_the_ledger_hold_on_a_random_walk_with_crashes(world: &mut World) {
    walk(world, 2, 4).await;
}

/// What the walker knows by itself: leases it was given (some of them stale by now) and how many invocations it
/// published. Everything else is asked of the store.
struct Walker {
    random: SmallRng,
    tenants: Vec<Tenant>,
    published: Vec<u64>,
    leases: Vec<(usize, Lease)>,
}

/// `crashes` in a hundred steps are a restart.
async fn walk(world: &mut World, seed: u64, crashes: u32) {
    let mut tenants = Vec::new();
    for text in TENANTS {
        tenants.push(world.tenant(text).await);
    }
    let published = vec![0; tenants.len()];
    let mut walker = Walker { random: SmallRng::seed_from_u64(seed), tenants, published, leases: Vec::new() };
    for step in 0..STEPS {
        if walker.random.random_range(0..100) < crashes {
            world.restart().await;
        } else {
            walker.step(world).await;
        }
        for (tenant, published) in walker.tenants.iter().zip(&walker.published) {
            let balance = world.store().balance(tenant.id).await.unwrap();
            assert!(balance.holds(), "seed {seed}, step {step}: {balance:?}");
            assert_eq!(balance.accepted, *published, "seed {seed}, step {step}: none lost, none doubled");
        }
        world.check().await;
    }
    walker.finish_all(world).await;
}

impl Walker {
    fn pick(&mut self) -> usize {
        self.random.random_range(0..self.tenants.len())
    }

    /// Some invocation of the tenant in that state, if there is one.
    async fn some(&mut self, world: &World, tenant: usize, states: &[InvocationState]) -> Option<(InvocationId, u32)> {
        let id = self.tenants[tenant].id;
        let all = async |page| world.store().invocations(id, InvocationFilter::default(), page).await;
        let mut fitting = every_page(1_000, all).await;
        fitting.retain(|record| record.event.is_some() && states.contains(&record.state));
        if fitting.is_empty() {
            return None;
        }
        let record = &fitting[self.random.random_range(0..fitting.len())];
        Some((record.id, record.starts))
    }

    async fn step(&mut self, world: &mut World) {
        let index = self.pick();
        let tenant = self.tenants[index].clone();
        let waiting = [InvocationState::Queued, InvocationState::Retrying];
        match self.random.random_range(0..100) {
            0..25 => {
                let count = self.random.random_range(1..4);
                let events: Vec<_> = (0..count).map(|_| world.matched(&tenant)).collect();
                self.published[index] += events.len() as u64;
                world.publish(events).await;
            }
            25..50 => {
                if let Some((id, starts)) = self.some(world, index, &waiting).await {
                    // Sometimes with a token that does not follow.
                    let wrong = u32::from(self.random.random_bool(0.1));
                    let lease = world.lease(&tenant, id, starts + 1 + wrong);
                    let claimed = world.try_claim(lease).await;
                    assert_eq!(claimed.is_ok(), wrong == 0);
                    self.leases.push((index, lease));
                }
            }
            50..75 => self.settle(world).await,
            75..80 => {
                world.pass(Duration::from_millis(self.random.random_range(0..20_000)));
                world.store().rescue(&world.ownership, world.now).await.unwrap();
            }
            80..84 => {
                if let Some((_, lease)) = self.leases.last().copied() {
                    // Held or lost, both are answers.
                    let _held = world.store().extend(vec![lease], world.now + LEASE).await.unwrap();
                }
            }
            84..88 => {
                world.store().redrive(tenant.id, Selection::All, world.now).await.unwrap();
            }
            88..90 => {
                let named = self.some(world, index, &waiting).await.map(|(id, _)| id);
                let reason = EndReason::CancelledByRequest;
                let selection = Selection::Ids(named.into_iter().collect());
                world.store().cancel(tenant.id, selection, reason, world.now).await.unwrap();
            }
            90..94 => {
                if let Some((invocation, _)) = self.some(world, index, &waiting).await {
                    let epoch = world.lease(&tenant, invocation, 0).epoch;
                    let (tenant, reason, at) = (tenant.id, EndReason::TooOld, world.now);
                    let state = InvocationState::Expired;
                    let finish = Finish { invocation, tenant, epoch, state, reason, at, announce: true, message: None };
                    world.store().finish(finish).await.unwrap();
                }
            }
            94..97 => self.tell(world).await,
            97..99 => {
                let lease = world.invoking(&tenant).await;
                if self.random.random_bool(0.5) {
                    world.settle(lease, Next::Fail).await;
                }
            }
            _ => world.acquire().await,
        }
    }

    /// Settles one of the leases it was ever given: often a stale one, which must be refused.
    async fn settle(&mut self, world: &World) {
        if self.leases.is_empty() {
            return;
        }
        let (index, lease) = self.leases[self.random.random_range(0..self.leases.len())];
        let tenant = &self.tenants[index];
        let record = world.record(tenant, lease.invocation).await;
        let runs = record.state == InvocationState::Running
            && record.starts == lease.token
            && world.ownership.epoch_of(tenant.id) == Some(lease.epoch);
        let next = match self.random.random_range(0..5) {
            0 => Next::Succeed,
            1 => Next::Retry { due: world.now + Duration::from_secs(1), spent: true },
            2 => Next::Retry { due: world.now, spent: false },
            3 => Next::PutBack { due: world.now },
            _ => Next::DeadLetter(EndReason::AttemptsExhausted),
        };
        match world.try_settle(lease, next).await {
            Ok(_) => assert!(runs, "{lease:?} had ended or was lost"),
            Err(error) => assert!(!runs && error.kind == ErrorKind::Fenced, "{lease:?}: {error}"),
        }
    }

    /// Publishes the outbox's first line, as the engine does.
    async fn tell(&mut self, world: &mut World) {
        if let Some(line) = world.outbox().await.first() {
            let mut event = world.event(Some(line.invocation.tenant));
            event.consumes = Some(line.id);
            world.accept(event).await;
        }
    }

    /// Nothing is stuck: what waits can be claimed and settled, to the last one.
    async fn finish_all(&mut self, world: &mut World) {
        world.restart().await;
        for index in 0..self.tenants.len() {
            let tenant = self.tenants[index].clone();
            while let Some((id, _)) =
                self.some(world, index, &[InvocationState::Queued, InvocationState::Retrying]).await
            {
                let lease = world.claim(&tenant, id).await;
                world.settle(lease, Next::Succeed).await;
            }
            let balance = world.store().balance(tenant.id).await.unwrap();
            assert_eq!((balance.waiting, balance.in_flight), (0, 0));
            assert_eq!(balance.accepted, self.published[index]);
        }
        world.check().await;
    }
}
