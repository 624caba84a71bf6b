//! Who starts next. Pure: a function of its own state and the `now` it is handed; stepped by hand in tests.
//!
//! Order of a free slot: synchronous invokes that wait, then tenants below their floor in turn, then weighted rounds
//! ([`rounds`]) among tenants below their ceiling. A tenant that can start nothing is not looked at: it stands in a line
//! only while something of it is ready, and what is not yet due waits in one heap. So a start costs the same with ten
//! tenants or 100,000, with one message waiting or a million.
//!
//! Invariants:
//! - a tenant never has more in flight than its ceiling, and all together never more than `slots`;
//! - while a tenant below its floor has something ready, no slot goes to anyone's burst;
//! - a tenant with nothing waiting, nothing in flight and no turn to wait out has no state here.

mod delayed;
mod parked;
mod rounds;
mod tenant;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};

use sublet_model::{InvocationId, TenantId, Timestamp};
use sublet_store::Waiting;

use delayed::Delayed;
use parked::Parked;
use rounds::Rounds;
pub use tenant::Share;
use tenant::Tenant;

/// The permission to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    /// Claim and run this; then say [`Scheduler::ended`].
    Attempt(Waiting),
    /// The synchronous invoke of this ticket may run; then say [`Scheduler::invoke_ended`].
    Invoke { tenant: TenantId, ticket: u64 },
}

/// Sums for `/metrics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    pub waiting: u64,
    pub delayed: u64,
    pub in_flight: u64,
    pub tenants: u64,
}

#[derive(Debug)]
pub struct Scheduler {
    slots: u32,
    in_flight: u32,
    waiting: u64,
    tenants: HashMap<TenantId, Tenant>,
    delayed: BinaryHeap<Reverse<Delayed>>,
    delayed_number: u64,
    parked: Parked,
    /// Attempts in flight and the token each runs under, to know a repeated arrival.
    running: HashMap<InvocationId, u32>,
    invokes: VecDeque<(TenantId, u64)>,
    floors: VecDeque<TenantId>,
    rounds: Rounds,
    is_stopped: bool,
    /// Tenants looked at so far: what the cost of a claim is measured by.
    steps: u64,
}

impl Scheduler {
    /// `slots`: attempts at once, over all tenants.
    pub fn new(slots: u32) -> Scheduler {
        Scheduler {
            slots,
            in_flight: 0,
            waiting: 0,
            tenants: HashMap::new(),
            delayed: BinaryHeap::new(),
            delayed_number: 0,
            parked: Parked::default(),
            running: HashMap::new(),
            invokes: VecDeque::new(),
            floors: VecDeque::new(),
            rounds: Rounds::default(),
            is_stopped: false,
            steps: 0,
        }
    }

    /// Something waits. `share` is used when the tenant has no state here yet; otherwise what it has stands.
    pub fn arrive(&mut self, waiting: Waiting, share: Share, now: Timestamp) {
        // The store says everything at least once. While an attempt runs, an arrival that was written before its claim
        // is that same start; one written after its end has a higher count of starts and is news.
        if self.running.get(&waiting.invocation).is_some_and(|token| waiting.starts < *token) {
            return;
        }
        self.waiting += 1;
        let tenant = self.tenants.entry(waiting.tenant).or_insert_with(|| Tenant::new(share));
        if self.parked.join(waiting) {
            tenant.parked += 1;
        } else if waiting.due > now {
            tenant.delayed += 1;
            self.delayed_number += 1;
            self.delayed.push(Reverse(Delayed { due: waiting.due, number: self.delayed_number, waiting }));
        } else {
            tenant.ready.push_back(waiting);
            self.line_up(waiting.tenant);
        }
    }

    /// When [`Scheduler::grant`] may next have something that it has not now, by the passing of time alone.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.delayed.peek().map(|Reverse(first)| first.due)
    }

    /// Hands out free slots; answers nothing when nothing may start.
    pub fn grant(&mut self, now: Timestamp) -> Vec<Grant> {
        let mut grants = Vec::new();
        if self.is_stopped {
            return grants;
        }
        self.wake_delayed(now);
        while self.in_flight < self.slots {
            let next = self.next_invoke().or_else(|| self.next_of_floors()).or_else(|| self.next_of_rounds());
            match next {
                Some(grant) => grants.push(grant),
                None => break,
            }
        }
        grants
    }

    /// An attempt ended, whatever became of it.
    pub fn ended(&mut self, tenant: TenantId, invocation: InvocationId, token: u32) {
        // A later start of the same invocation may run by now, after a rescue.
        if self.running.get(&invocation) == Some(&token) {
            self.running.remove(&invocation);
        }
        self.give_back(tenant);
    }

    /// A granted invocation was ended instead of started, or is to wait again.
    pub fn not_started(&mut self, waiting: &Waiting) {
        self.ended(waiting.tenant, waiting.invocation, waiting.starts + 1);
    }

    /// Puts a synchronous invoke in line. `false`: the tenant's invoke slots are taken. A later grant carries the
    /// ticket, which must be unique.
    pub fn invoke(&mut self, tenant: TenantId, share: Share, ticket: u64) -> bool {
        if self.is_stopped {
            return false;
        }
        let entry = self.tenants.entry(tenant).or_insert_with(|| Tenant::new(share));
        let is_free = entry.invokes < entry.share.invoke_slots;
        if is_free {
            entry.invokes += 1;
            self.invokes.push_back((tenant, ticket));
        }
        self.drop_if_idle(tenant);
        is_free
    }

    /// The caller of a waiting invoke went away. Only before its grant.
    pub fn invoke_given_up(&mut self, tenant: TenantId, ticket: u64) {
        self.invokes.retain(|(_, waiting)| *waiting != ticket);
        if let Some(entry) = self.tenants.get_mut(&tenant) {
            entry.invokes_held.retain(|held| *held != ticket);
            entry.invokes = entry.invokes.saturating_sub(1);
        }
        self.drop_if_idle(tenant);
    }

    pub fn invoke_ended(&mut self, tenant: TenantId) {
        if let Some(entry) = self.tenants.get_mut(&tenant) {
            entry.invokes = entry.invokes.saturating_sub(1);
            entry.invokes_running = entry.invokes_running.saturating_sub(1);
        }
        self.give_back(tenant);
    }

    /// A tenant's quota or status changed. What runs above a lowered ceiling runs on.
    pub fn set_share(&mut self, tenant: TenantId, share: Share) {
        if let Some(entry) = self.tenants.get_mut(&tenant) {
            entry.share = share;
            self.release_invokes(tenant);
            self.line_up(tenant);
        }
    }

    /// Forgets what waits of a tenant that was deleted.
    pub fn forget(&mut self, tenant: TenantId) {
        let Some(entry) = self.tenants.get_mut(&tenant) else { return };
        self.waiting -= entry.ready.len() as u64 + entry.parked;
        entry.ready.clear();
        entry.parked = 0;
        self.parked.forget(tenant);
        // Delayed ones leave the heap at their time; nothing will start them, because their claim is refused.
        self.drop_if_idle(tenant);
    }

    /// What waits of one tenant: the start each would be. For taking out exactly this by [`Scheduler::withdraw`].
    pub fn waiting_of(&self, tenant: TenantId) -> Vec<(InvocationId, u32)> {
        let ready = self.tenants.get(&tenant).into_iter().flat_map(|entry| &entry.ready);
        let delayed = self.delayed.iter().map(|Reverse(entry)| &entry.waiting).filter(|w| w.tenant == tenant);
        ready
            .chain(delayed)
            .chain(self.parked.of_tenant(tenant))
            .map(|waiting| (waiting.invocation, waiting.starts))
            .collect()
    }

    /// Takes out what was cancelled, but not a later start of the same invocation.
    pub fn withdraw(&mut self, tenant: TenantId, cancelled: &[(InvocationId, u32)]) {
        let gone: HashMap<InvocationId, u32> = cancelled.iter().copied().collect();
        let is_gone = |waiting: &Waiting| gone.get(&waiting.invocation) == Some(&waiting.starts);
        let Some(entry) = self.tenants.get_mut(&tenant) else { return };
        let before = entry.ready.len() + self.delayed.len();
        entry.ready.retain(|waiting| !is_gone(waiting));
        let mut delayed_gone = 0;
        self.delayed.retain(|Reverse(delayed)| {
            let leaves = delayed.waiting.tenant == tenant && is_gone(&delayed.waiting);
            delayed_gone += u64::from(leaves);
            !leaves
        });
        entry.delayed -= delayed_gone;
        let parked_gone = self.parked.withdraw(tenant, is_gone);
        entry.parked -= parked_gone;
        self.waiting -= (before - entry.ready.len() - self.delayed.len()) as u64 + parked_gone;
        self.drop_if_idle(tenant);
    }

    /// Grants nothing from now on.
    pub fn stop(&mut self) {
        self.is_stopped = true;
    }

    pub fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    pub fn waiting(&self, tenant: TenantId) -> u64 {
        self.tenants.get(&tenant).map_or(0, |entry| entry.ready.len() as u64 + entry.not_ready())
    }

    pub fn in_flight(&self, tenant: TenantId) -> u32 {
        self.tenants.get(&tenant).map_or(0, |entry| entry.in_flight)
    }

    pub fn knows(&self, tenant: TenantId) -> bool {
        self.tenants.contains_key(&tenant)
    }

    /// The tenants with state here, for looking their quotas up again. In order, so that a simulation repeats itself.
    pub fn tenants(&self) -> Vec<TenantId> {
        let mut ids: Vec<TenantId> = self.tenants.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    pub fn slots(&self) -> u32 {
        self.slots
    }

    pub fn load(&self) -> Load {
        Load {
            waiting: self.waiting,
            delayed: self.delayed.len() as u64,
            in_flight: u64::from(self.in_flight),
            tenants: self.tenants.len() as u64,
        }
    }

    /// Tenants looked at since the start.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    fn wake_delayed(&mut self, now: Timestamp) {
        while self.delayed.peek().is_some_and(|Reverse(first)| first.due <= now) {
            let Some(Reverse(Delayed { waiting, .. })) = self.delayed.pop() else { return };
            if let Some(entry) = self.tenants.get_mut(&waiting.tenant) {
                entry.delayed -= 1;
                entry.ready.push_back(waiting);
            }
            self.line_up(waiting.tenant);
        }
    }

    /// Puts a tenant that can start something into the lines it belongs to.
    fn line_up(&mut self, id: TenantId) {
        let Some(entry) = self.tenants.get_mut(&id) else { return };
        if !entry.can_start() {
            return;
        }
        if entry.is_below_floor() && !entry.in_floor_line {
            entry.in_floor_line = true;
            self.floors.push_back(id);
        }
        if !entry.in_rounds {
            entry.in_rounds = true;
            entry.turn = self.rounds.enter(id, entry.turn);
        }
    }

    fn next_invoke(&mut self) -> Option<Grant> {
        while let Some((tenant, ticket)) = self.invokes.pop_front() {
            self.steps += 1;
            let Some(entry) = self.tenants.get_mut(&tenant) else { continue };
            if entry.in_flight >= entry.share.ceiling {
                entry.invokes_held.push_back(ticket);
                continue;
            }
            entry.in_flight += 1;
            entry.invokes_running += 1;
            self.in_flight += 1;
            return Some(Grant::Invoke { tenant, ticket });
        }
        None
    }

    fn next_of_floors(&mut self) -> Option<Grant> {
        while let Some(id) = self.floors.pop_front() {
            self.steps += 1;
            let Some(entry) = self.tenants.get_mut(&id) else { continue };
            entry.in_floor_line = false;
            if !entry.can_start() || !entry.is_below_floor() {
                self.drop_if_idle(id);
                continue;
            }
            let grant = self.start(id);
            self.line_up(id);
            return grant;
        }
        None
    }

    fn next_of_rounds(&mut self) -> Option<Grant> {
        while let Some((id, round)) = self.rounds.next() {
            self.steps += 1;
            let Some(entry) = self.tenants.get_mut(&id) else { continue };
            if !entry.can_start() {
                // Its turn has come and it has no use for it; it lines up again when it has.
                entry.in_rounds = false;
                self.drop_if_idle(id);
                continue;
            }
            // It stays in line although it may have nothing left: a tenant that were forgotten between two messages
            // would start each at once, whatever its weight.
            (entry.turn, entry.credit) = rounds::turn_after(round, entry.credit, entry.share.weight);
            entry.turn = self.rounds.enter(id, entry.turn);
            return self.start(id);
        }
        None
    }

    fn start(&mut self, id: TenantId) -> Option<Grant> {
        let entry = self.tenants.get_mut(&id)?;
        let waiting = entry.ready.pop_front()?;
        entry.in_flight += 1;
        self.in_flight += 1;
        self.waiting -= 1;
        self.running.insert(waiting.invocation, waiting.starts + 1);
        Some(Grant::Attempt(waiting))
    }

    fn give_back(&mut self, id: TenantId) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(entry) = self.tenants.get_mut(&id) {
            entry.in_flight = entry.in_flight.saturating_sub(1);
        }
        self.release_invokes(id);
        self.line_up(id);
        self.drop_if_idle(id);
    }

    /// Invokes that waited for a slot of their tenant go back to the line, in front: they waited longest.
    fn release_invokes(&mut self, id: TenantId) {
        let Some(entry) = self.tenants.get_mut(&id) else { return };
        if entry.in_flight < entry.share.ceiling
            && let Some(ticket) = entry.invokes_held.pop_front()
        {
            self.invokes.push_front((id, ticket));
        }
    }

    fn drop_if_idle(&mut self, id: TenantId) {
        if self.tenants.get(&id).is_some_and(Tenant::is_idle) {
            self.tenants.remove(&id);
        }
    }
}
