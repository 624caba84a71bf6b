//! The whole engine under a seed: random events, outcomes, durations, crashes of the process, refused writes and lost
//! answers, a second owner while the first still believes it is one. Whatever happened, in the end:
//! - conservation holds per tenant, at every look in between too;
//! - every acknowledged event is there and everything it led to has ended;
//! - every attempt was recorded once, and the ledger's sums equal a recount of them;
//! - every invocation that ended by itself has exactly one result event, and no two result events have one id;
//! - every message that was put is acknowledged, waiting or dead, every result is in the queue for results once, and
//!   every lost invocation of `fragile` is in the queue for dead letters once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use sublet_engine::{Engine, EngineConfig, EngineParts, InvokeRequest, PackageKind, ReceiveRequest, Selector};
use sublet_model::{
    Clock, Envelope, ErrorKind, EventId, FunctionConfig, InvocationId, InvocationState, MessageLease, Millis, Outcome,
    QueueId, QueueSpec, Quota, RetryPolicy, Timestamp,
};
use sublet_sandbox::Sandbox;
use sublet_sandbox::egress::Gateway;
use sublet_store::memory::{Fault, Faults, Verb};
use sublet_store::{
    Bus, CodeStore, InvocationFilter, Ledger, MemoryStore, Messages, Page, Queue, Registry, Selection, Store,
    TenantRecord, UsageQuery,
};

use crate::harness::*;

const TENANTS: [&str; 3] = ["acme", "bolt", "cove"];
/// Seeds of an ordinary run; `SUBLET_SIM_SEEDS` asks for more.
const SEEDS: u64 = 200;
const STEPS: usize = 40;
/// Simulated seconds within which everything must have ended once nothing more is done to it.
const CALM_SECONDS: u64 = 3_600;

const CALM: u8 = 0;
const STORMY: u8 = 1;
/// The process is about to die: nothing is answered any more.
const DYING: u8 = 2;

/// How often each write was refused, or its answer lost.
type Met = Arc<Mutex<BTreeMap<(Verb, bool), u64>>>;

struct Weather {
    mode: AtomicU8,
    random: Mutex<SmallRng>,
    met: Met,
}

impl Faults for Weather {
    fn decide(&self, verb: Verb) -> Fault {
        if matches!(verb, Verb::Acquire | Verb::Register | Verb::Audit) {
            return Fault::None;
        }
        match self.mode.load(Ordering::SeqCst) {
            CALM => Fault::None,
            DYING => Fault::NeverAnswered,
            _ => {
                let fault = match self.random.lock().unwrap().random_range(0..20) {
                    0 => Fault::BeforeCommit,
                    1 => Fault::AfterCommit,
                    _ => return Fault::None,
                };
                *self.met.lock().unwrap().entry((verb, fault == Fault::AfterCommit)).or_default() += 1;
                fault
            }
        }
    }
}

struct World {
    random: SmallRng,
    weather: Arc<Weather>,
    store: Arc<MemoryStore>,
    sandbox: Arc<Scripted>,
    code: CodeStore,
    clock: Arc<dyn Clock>,
    engine: Engine,
    node: u16,
    /// Owners that were replaced and do not know it.
    ghosts: Vec<Engine>,
    tenants: Vec<Arc<TenantRecord>>,
    /// Acknowledged: publisher's id and Sublet's.
    acknowledged: BTreeMap<String, EventId>,
    published: u32,
    /// How often each was asked back from the dead letters.
    redriven: BTreeMap<InvocationId, usize>,
    invoked: u64,
    queues: Vec<QueueId>,
    /// Every lease that a consumer ever got.
    leases: Vec<MessageLease>,
}

fn scripted(seed: u64) -> Arc<Scripted> {
    let random = Mutex::new(SmallRng::seed_from_u64(seed ^ 0x5eed));
    Scripted::new(move |code, _| {
        let mut dice = random.lock().unwrap();
        let takes = Duration::from_millis(match dice.random_range(0..10) {
            0..6 => dice.random_range(0..5),
            6..9 => dice.random_range(5..500),
            // Longer than a lease lasts without heartbeats.
            _ => dice.random_range(20_000..45_000),
        });
        let outcome = match dice.random_range(0..20) {
            _ if code.contains("crash") => Outcome::Crashed,
            0..12 => Outcome::Succeeded,
            12..16 => Outcome::Failed,
            16 => Outcome::TimedOut,
            17 => Outcome::OutOfMemory,
            18 => Outcome::Crashed,
            _ => Outcome::Succeeded,
        };
        (takes, outcome)
    })
}

impl World {
    async fn new(seed: u64, met: Met) -> World {
        let weather = Arc::new(Weather {
            mode: AtomicU8::new(CALM),
            random: Mutex::new(SmallRng::seed_from_u64(seed.wrapping_add(1))),
            met,
        });
        let store = MemoryStore::with_faults(Arc::clone(&weather) as Arc<dyn Faults>);
        let sandbox = scripted(seed);
        let code = CodeStore::in_memory();
        let clock: Arc<dyn Clock> = RuntimeClock::new();
        let engine = owner(&store, &sandbox, &code, &clock, seed, 0).await;
        let mut world = World {
            random: SmallRng::seed_from_u64(seed),
            weather,
            store,
            sandbox,
            code,
            clock,
            engine,
            node: 0,
            ghosts: Vec::new(),
            tenants: Vec::new(),
            acknowledged: BTreeMap::new(),
            published: 0,
            redriven: BTreeMap::new(),
            invoked: 0,
            queues: Vec::new(),
            leases: Vec::new(),
        };
        world.furnish().await;
        world
    }

    async fn furnish(&mut self) {
        for (number, tenant) in (0u32..).zip(TENANTS) {
            let quota = Quota {
                floor: number % 2,
                ceiling: 1 + 3 * number,
                weight: 10 + 400 * number,
                invoke_slots: 1,
                ..Quota::default()
            };
            let record = self.engine.registry().put_tenant(&name(tenant), active(quota)).await.unwrap().0;
            for (function, text) in [("enrich", "ok"), ("audit", "ok"), ("fragile", "crash")] {
                let retry = RetryPolicy { attempts: 2 + number, age: Millis(120_000), ..RetryPolicy::default() };
                let config = FunctionConfig { retry: Some(retry), ..FunctionConfig::default() };
                self.engine.registry().put_function(record.id, &name(function), config).await.unwrap();
                let package = Bytes::from_static(text.as_bytes());
                let kind = PackageKind::JavaScript;
                self.engine.deploy(&record, &name(function), package, kind, true).await.unwrap();
            }
            self.tenants.push(record);
        }
        let registry = self.engine.registry();
        let all = rule(r#"{"source":["todo"]}"#, r#"[{"tenant":"enrich"}]"#);
        registry.put_rule(None, &name("dispatch"), all).await.unwrap();
        let some = rule(r#"{"detail":{"kind":["audit"]}}"#, r#"[{"tenant":"audit"},{"tenant":"missing"}]"#);
        registry.put_rule(None, &name("audit"), some).await.unwrap();
        let rare =
            rule(r#"{"detail":{"kind":["fragile"]}}"#, r#"[{"tenant":"fragile","dead_letter":{"queue":"lost"}}]"#);
        registry.put_rule(None, &name("fragile"), rare).await.unwrap();
        let results = rule(
            r#"{"source":["sublet"],"detail-type":["Invocation Failed"],"detail":{"function":["enrich"]}}"#,
            r#"[{"tenant":"audit"}]"#,
        );
        registry.put_rule(None, &name("results"), results).await.unwrap();
        for (queue, spec) in
            [("told", QueueSpec { receives_max: 1_000, ..QueueSpec::default() }), ("lost", QueueSpec::default())]
        {
            self.queues.push(registry.put_queue(&name(queue), spec).await.unwrap().0.id);
        }
        let told = rule(r#"{"source":["sublet"]}"#, r#"[{"queue":"told"}]"#);
        registry.put_rule(None, &name("told"), told).await.unwrap();
    }

    async fn step(&mut self) {
        match self.random.random_range(0..100) {
            0..55 => self.publish().await,
            55..75 => {
                let millis = self.random.random_range(0..20_000);
                tokio::time::sleep(Duration::from_millis(millis)).await;
            }
            75..80 => self.weather.mode.store(STORMY, Ordering::SeqCst),
            80..83 => self.weather.mode.store(CALM, Ordering::SeqCst),
            83..89 => self.crash().await,
            89..92 => self.redrive().await,
            92..94 => {
                let tenant = self.one_tenant().id;
                let _ = self.engine.cancel(tenant, Selection::All).await;
            }
            94..96 => self.invoke().await,
            96..98 => self.consume().await,
            _ => self.change_quota().await,
        }
        for tenant in &self.tenants {
            let balance = self.store.balance(tenant.id).await.unwrap();
            assert!(balance.holds(), "{balance:?}");
        }
        for queue in &self.queues {
            let balance = self.store.queue_balance(*queue, self.clock.now()).await.unwrap();
            assert!(balance.holds(), "{balance:?}");
        }
    }

    fn one_tenant(&mut self) -> Arc<TenantRecord> {
        let index = self.random.random_range(0..self.tenants.len());
        Arc::clone(&self.tenants[index])
    }

    /// A publisher that repeats until it is answered; sometimes a repeat although it was.
    async fn publish(&mut self) {
        let mut batch = Vec::new();
        let mut ids = Vec::new();
        for _ in 0..self.random.random_range(1..6) {
            let is_repeat = self.published > 0 && self.random.random_range(0..10) == 0;
            let number = if is_repeat { self.random.random_range(0..self.published) } else { self.published };
            self.published += u32::from(!is_repeat);
            // All that the event says follows from its number, so a repeat is a repeat.
            let kind = ["plain", "plain", "audit", "plain", "fragile", "plain", "plain"][number as usize % 7];
            let tenant = TENANTS[number as usize % TENANTS.len()];
            let id = format!("pub-{number}");
            batch.push(event(tenant, Some(&id), &format!(r#"{{"kind":"{kind}"}}"#)));
            ids.push(id);
        }
        let is_dying = self.weather.mode.load(Ordering::SeqCst) == DYING;
        for _ in 0..20 {
            match self.engine.publish(batch.clone()).await {
                Ok(answers) => {
                    for (id, answer) in ids.into_iter().zip(answers) {
                        let receipt = answer.unwrap();
                        let known = *self.acknowledged.entry(id).or_insert(receipt.id);
                        assert!(known == receipt.id || self.is_late(known), "one identity, two events");
                    }
                    return;
                }
                Err(error) => assert!(error.retryable() && !is_dying, "{error}"),
            }
        }
        panic!("the store refused twenty times in a row");
    }

    /// Beyond the identity window a repeat is a new event.
    fn is_late(&self, first: EventId) -> bool {
        self.clock.now().since(first.minted_at()) >= 600_000
    }

    async fn crash(&mut self) {
        if self.random.random_range(0..4) == 0 {
            // The first owner sleeps, or so it seems: it is still there when the second takes over.
            self.ghosts.push(self.engine.clone());
        } else if self.random.random_range(0..2) == 0 {
            self.weather.mode.store(DYING, Ordering::SeqCst);
            let millis = self.random.random_range(0..1_000);
            tokio::time::sleep(Duration::from_millis(millis)).await;
        }
        self.weather.mode.store(CALM, Ordering::SeqCst);
        self.node += 1;
        if self.ghosts.is_empty() {
            self.store = self.store.reopen();
        }
        let seed = self.random.random();
        self.engine = owner(&self.store, &self.sandbox, &self.code, &self.clock, seed, self.node).await;
    }

    async fn redrive(&mut self) {
        let tenant = self.one_tenant().id;
        let dead = self.store.dead_letters(tenant, Page::new(None, 1_000)).await.unwrap().items;
        let ids: Vec<InvocationId> = dead.iter().map(|record| record.id).collect();
        for id in &ids {
            *self.redriven.entry(*id).or_default() += 1;
        }
        let _ = self.engine.redrive(tenant, Selection::Ids(ids)).await;
    }

    /// A consumer that takes some and acknowledges some of what it ever held: often too late, or in vain.
    async fn consume(&mut self) {
        let queue = self.engine.registry().queue(&name("told")).unwrap();
        let request = ReceiveRequest { max: 20, wait: Duration::ZERO, lease: Duration::from_secs(20) };
        if let Ok(received) = self.engine.receive(&queue, request).await {
            self.leases.extend(received.iter().map(|message| message.lease));
        }
        let some: Vec<MessageLease> =
            self.leases.iter().copied().filter(|_| self.random.random_range(0..3) == 0).take(100).collect();
        // Fenced, done or lost on the way: the sums at the end tell whether one of them lied.
        let _ = self.engine.ack(queue.id, some).await;
    }

    /// Everything that is left is taken and acknowledged; answers the events of what was ever put and is not erased.
    async fn drain_queues(&mut self) {
        let queue = self.engine.registry().queue(&name("told")).unwrap();
        let request = ReceiveRequest { max: 100, wait: Duration::from_secs(20), lease: Duration::from_secs(60) };
        loop {
            let received = self.engine.receive(&queue, request).await.unwrap();
            if received.is_empty() {
                break;
            }
            let leases = received.iter().map(|message| message.lease).collect();
            for answer in self.engine.ack(queue.id, leases).await.unwrap() {
                answer.unwrap();
            }
        }
        let balance = self.store.queue_balance(queue.id, self.clock.now()).await.unwrap();
        assert!(balance.holds() && balance.put == balance.acked, "every message was taken: {balance:?}");
    }

    async fn invoke(&mut self) {
        let tenant = self.one_tenant();
        let request = InvokeRequest {
            tenant: (*tenant).clone(),
            function: name("enrich"),
            selector: Selector::Live,
            payload: Bytes::from_static(b"{}"),
            deadline: None,
            counts: false,
        };
        match self.engine.invoke(request).await {
            Ok(_) => self.invoked += 1,
            // Its process may be taken for dead meanwhile, or the write be lost.
            Err(error) => assert_ne!(error.kind, ErrorKind::Invalid, "{error}"),
        }
    }

    async fn change_quota(&mut self) {
        let tenant = self.one_tenant();
        let ceiling = self.random.random_range(1..10);
        let quota = Quota { ceiling, floor: 0, invoke_slots: 1, ..tenant.spec.quota.clone() };
        self.engine.registry().put_tenant(&tenant.name, active(quota)).await.unwrap();
    }

    /// Nothing more is done to it: everything has to come to its end.
    async fn come_to_rest(&mut self) {
        self.weather.mode.store(CALM, Ordering::SeqCst);
        for _ in 0..CALM_SECONDS / 10 {
            tokio::time::sleep(Duration::from_secs(10)).await;
            let mut is_open = !self.store.outbox(0, 1).await.unwrap().is_empty();
            for tenant in &self.tenants {
                let balance = self.store.balance(tenant.id).await.unwrap();
                is_open |= balance.waiting + balance.in_flight > 0;
            }
            if !is_open {
                return;
            }
        }
        let mut open = Vec::new();
        for tenant in &self.tenants {
            open.push(self.store.balance(tenant.id).await.unwrap());
        }
        panic!("not everything ended: {open:?}, {:?}", self.engine.stats());
    }

    async fn check(&self) -> String {
        let mut events = Vec::new();
        let mut cursor = None;
        loop {
            let page = self.store.events(None, Page::new(cursor, 1_000)).await.unwrap();
            events.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        let by_id: BTreeMap<EventId, _> = events.iter().map(|event| (event.id, event)).collect();
        for (published, id) in &self.acknowledged {
            assert!(by_id.contains_key(id), "{published} was acknowledged as {id} and is missing");
        }
        let mut results: BTreeMap<InvocationId, usize> = BTreeMap::new();
        let mut names = BTreeSet::new();
        for event in &events {
            let envelope: Envelope = serde_json::from_slice(&event.body).unwrap();
            if envelope.source == "sublet" {
                assert!(names.insert(envelope.id.clone()), "two results are called {}", envelope.id);
                let invocation = envelope.id.split('.').next().unwrap();
                *results.entry(invocation.parse().unwrap()).or_default() += 1;
                assert!(event.messages.len() == 1 || event.depth > 16, "{} is in the queue once", envelope.id);
            }
        }
        let [told, lost] = self.queues[..] else { panic!("two queues") };
        let put = self.store.queue_balance(told, self.clock.now()).await.unwrap().put;
        let told_of = events.iter().map(|event| event.messages.len() as u64).sum::<u64>();
        assert_eq!(put, told_of, "as many messages as events put");
        self.check_lost(lost).await;
        let mut summary = String::new();
        for tenant in &self.tenants {
            let own = events.iter().filter(|event| event.tenant == Some(tenant.id));
            let ids: BTreeSet<InvocationId> = own.flat_map(|event| event.invocations.iter().copied()).collect();
            let balance = self.store.balance(tenant.id).await.unwrap();
            assert!(balance.holds(), "{balance:?}");
            assert_eq!(balance.accepted, ids.len() as u64, "every invocation belongs to an event");
            for id in ids {
                self.check_invocation(tenant, id, results.get(&id).copied().unwrap_or(0)).await;
            }
            let query = UsageQuery {
                tenant: Some(tenant.id),
                function: None,
                from: Timestamp::ZERO,
                to: self.clock.now() + Duration::from_secs(7_200),
            };
            let usage = self.store.usage(query).await.unwrap();
            assert_eq!(usage, self.store.usage_recount(query).await.unwrap(), "the ledger equals the attempts");
            let attempts: u64 = usage.iter().map(|row| row.sum.attempts).sum();
            summary.push_str(&format!("{} {balance:?} {attempts}\n", tenant.name));
        }
        summary
    }

    /// Every invocation of `fragile` that was lost is a message, once for each time it was lost.
    async fn check_lost(&self, queue: QueueId) {
        let balance = self.store.queue_balance(queue, self.clock.now()).await.unwrap();
        assert!(balance.holds(), "{balance:?}");
        let (mut least, mut most) = (0, 0);
        for tenant in &self.tenants {
            let fragile = self.store.function(tenant.id, &name("fragile")).await.unwrap().unwrap().id;
            let filter = InvocationFilter { function: Some(fragile), state: None };
            let all = self.store.invocations(tenant.id, filter, Page::new(None, 1_000)).await.unwrap().items;
            for record in all {
                let is_lost = matches!(record.state, InvocationState::DeadLettered | InvocationState::Expired);
                least += u64::from(is_lost);
                most += u64::from(is_lost) + self.redriven.get(&record.id).copied().unwrap_or(0) as u64;
            }
        }
        assert!((least..=most).contains(&balance.put), "{least} to {most}: {balance:?}");
    }

    async fn check_invocation(&self, tenant: &TenantRecord, id: InvocationId, results: usize) {
        let record = self.store.invocation(tenant.id, id).await.unwrap().unwrap();
        assert!(record.state.is_final(), "{record:?}");
        let attempts = self.store.attempts(tenant.id, id).await.unwrap();
        let numbers: BTreeSet<u32> = attempts.iter().map(|attempt| attempt.number).collect();
        assert_eq!(numbers.len(), attempts.len(), "{id}: an attempt was recorded twice");
        assert_eq!(record.starts as usize, attempts.len(), "{id}: an attempt left no record");
        let succeeded = attempts.iter().filter(|attempt| attempt.end.outcome == Outcome::Succeeded).count();
        assert_eq!(succeeded, usize::from(record.state == InvocationState::Succeeded), "{id}: {record:?}");
        let redriven = self.redriven.get(&id).copied().unwrap_or(0);
        let is_announced = usize::from(record.state != InvocationState::Cancelled);
        if redriven == 0 {
            assert_eq!(results, is_announced, "{id}: {record:?}");
        } else {
            // A redrive that was refused counts for nothing.
            assert!((1..=is_announced + redriven).contains(&results), "{id}: {results} results, {record:?}");
        }
    }
}

async fn owner(
    store: &Arc<MemoryStore>,
    sandbox: &Arc<Scripted>,
    code: &CodeStore,
    clock: &Arc<dyn Clock>,
    random_seed: u64,
    node: u16,
) -> Engine {
    let parts = EngineParts {
        store: Arc::clone(store) as Arc<dyn Store>,
        code: code.clone(),
        sandbox: Arc::clone(sandbox) as Arc<dyn Sandbox>,
        gateway: Gateway::default(),
        clock: Arc::clone(clock),
        random_seed,
        keyring: keyring(),
        config: EngineConfig { node, ..EngineConfig::default() },
    };
    Engine::start(parts).await.unwrap()
}

/// One world from its beginning to its rest.
fn run(seed: u64, met: &Met) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut world = World::new(seed, Arc::clone(met)).await;
        for _ in 0..STEPS {
            world.step().await;
        }
        world.come_to_rest().await;
        world.drain_queues().await;
        world.check().await
    })
}

/// Says which seed it was, also when the panic comes from within a task.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {} failed: SUBLET_SIM_SEED={} runs it alone", self.0, self.0);
        }
    }
}

fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

#[test]
fn every_seed_keeps_every_promise() {
    let met = Met::default();
    if let Some(seed) = number_from("SUBLET_SIM_SEED") {
        println!("{}{:?}", run(seed, &met), met.lock().unwrap());
        return;
    }
    let seeds = number_from("SUBLET_SIM_SEEDS").unwrap_or(SEEDS);
    for seed in 0..seeds {
        let _seed = Seed(seed);
        run(seed, &met);
    }
    if seeds < SEEDS {
        return;
    }
    // A simulation whose storms miss the engine would prove nothing.
    let verbs =
        [Verb::Publish, Verb::Claim, Verb::Settle, Verb::Finish, Verb::Extend, Verb::Rescue, Verb::Receive, Verb::Ack];
    for verb in verbs {
        for is_lost in [false, true] {
            let count = met.lock().unwrap().get(&(verb, is_lost)).copied().unwrap_or(0);
            assert!(count > 0, "{verb} never met a fault (answer lost: {is_lost})");
        }
    }
}

#[test]
fn a_seed_repeats_itself() {
    for seed in [3, 17, 42] {
        let _seed = Seed(seed);
        let met = Met::default();
        assert_eq!(run(seed, &met), run(seed, &met));
    }
}
