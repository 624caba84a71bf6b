//! Which delivery goes next: per webhook a line with so many at once, so that a receiver that hangs delays itself alone.
//! Pure; the shell is in `mod.rs`.
//!
//! - Webhooks whose last try failed have a share of all tries that leaves room for the others, however many of them hang.
//! - The line of a disabled webhook stands still; what is due joins it and waits.
//! - A webhook that asked to be left alone is, until then.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};

use sublet_model::{DeliveryId, Name, Timestamp};
use sublet_store::PendingDelivery;

/// Tries at once to one webhook, and to all together.
pub(crate) const PER_WEBHOOK_MAX: usize = 8;
pub(crate) const IN_FLIGHT_MAX: usize = 256;
/// Of those, tries to webhooks whose last one failed: at most, and how many come before the others' turn.
const SUSPECT_MAX: usize = IN_FLIGHT_MAX / 2;
const SUSPECT_FLOOR: usize = IN_FLIGHT_MAX / 16;

#[derive(Debug, Default)]
struct Line {
    ready: VecDeque<PendingDelivery>,
    in_flight: usize,
    /// It stands in a ring of webhooks that may start a try.
    in_ring: bool,
}

/// A try to make; hand it back to [`Lines::ended`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Started {
    pub(crate) delivery: PendingDelivery,
    is_suspect: bool,
}

/// Whether the receiver took it, as far as the line is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Went {
    Well,
    Badly,
    /// It was not asked.
    Nowhere,
}

#[derive(Debug, Default)]
pub(crate) struct Lines {
    lines: BTreeMap<Name, Line>,
    trusted: VecDeque<Name>,
    suspected: VecDeque<Name>,
    suspects: BTreeSet<Name>,
    paused: BTreeSet<Name>,
    held: BTreeMap<Name, Timestamp>,
    /// Of paused lines, too old to wait on: handed out to be given up.
    expired: VecDeque<PendingDelivery>,
    /// What stands in a line or is expired: a delivery that is replayed while it stands there stands there once.
    standing: BTreeSet<DeliveryId>,
    /// By due time; the body by id, because the order is of times alone.
    delayed: BinaryHeap<Reverse<(Timestamp, DeliveryId)>>,
    delayed_bodies: BTreeMap<DeliveryId, PendingDelivery>,
    in_flight: usize,
    suspects_in_flight: usize,
}

impl Lines {
    pub(crate) fn arrive(&mut self, delivery: PendingDelivery, now: Timestamp) {
        if self.standing.contains(&delivery.id) {
            return;
        }
        // A replay makes due now what waited for later; the heap's entry of then finds nothing.
        self.delayed_bodies.remove(&delivery.id);
        if delivery.due > now {
            self.delayed.push(Reverse((delivery.due, delivery.id)));
            self.delayed_bodies.insert(delivery.id, delivery);
        } else {
            self.join(delivery);
        }
    }

    fn join(&mut self, delivery: PendingDelivery) {
        let name = delivery.webhook.clone();
        self.standing.insert(delivery.id);
        self.lines.entry(name.clone()).or_default().ready.push_back(delivery);
        self.ring_up(&name);
    }

    /// Every webhook there is, and whether it is enabled.
    pub(crate) fn set_webhooks(&mut self, webhooks: &BTreeMap<Name, bool>) {
        let paused: BTreeSet<Name> =
            webhooks.iter().filter(|(_, enabled)| !**enabled).map(|(name, _)| name.clone()).collect();
        // One that is enabled again, or gone, begins with a clean slate.
        let woken = |name: &Name| self.paused.contains(name) && !paused.contains(name);
        self.suspects.retain(|name| webhooks.contains_key(name) && !woken(name));
        self.held.retain(|name, _| webhooks.contains_key(name) && !woken(name));
        self.paused = paused;
        for name in self.lines.keys().cloned().collect::<Vec<_>>() {
            self.ring_up(&name);
        }
    }

    /// The webhook asked to be left alone until then.
    pub(crate) fn hold(&mut self, name: &Name, until: Timestamp) {
        let held = self.held.entry(name.clone()).or_insert(until);
        *held = until.max(*held);
    }

    fn may_start(&self, name: &Name) -> bool {
        !self.paused.contains(name) && !self.held.contains_key(name)
    }

    fn ring_up(&mut self, name: &Name) {
        let may_start = self.may_start(name);
        let Some(line) = self.lines.get_mut(name) else { return };
        if may_start && !line.ready.is_empty() && line.in_flight < PER_WEBHOOK_MAX && !line.in_ring {
            line.in_ring = true;
            let ring = if self.suspects.contains(name) { &mut self.suspected } else { &mut self.trusted };
            ring.push_back(name.clone());
        }
        if line.ready.is_empty() && line.in_flight == 0 && !line.in_ring {
            self.lines.remove(name);
        }
    }

    /// When there may be something to start without anything having happened.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        let delayed = self.delayed.peek().map(|Reverse((due, _))| *due);
        delayed.into_iter().chain(self.held.values().copied()).min()
    }

    /// Whether anything stands in a line that stands still.
    pub(crate) fn has_paused(&self) -> bool {
        self.paused.iter().any(|name| self.lines.get(name).is_some_and(|line| !line.ready.is_empty()))
    }

    /// What stands in a line that stands still and was accepted before `before` is handed out next, to be given up.
    pub(crate) fn expire(&mut self, before: Timestamp) {
        for name in self.paused.clone() {
            let Some(line) = self.lines.get_mut(&name) else { continue };
            let (old, ready): (VecDeque<_>, VecDeque<_>) =
                line.ready.drain(..).partition(|delivery| delivery.id.minted_at() < before);
            line.ready = ready;
            self.expired.extend(old);
        }
    }

    /// The next one to try; then say [`Lines::ended`].
    pub(crate) fn next(&mut self, now: Timestamp) -> Option<Started> {
        self.wake(now);
        if self.in_flight >= IN_FLIGHT_MAX {
            return None;
        }
        if let Some(delivery) = self.expired.pop_front() {
            return Some(self.start(delivery));
        }
        loop {
            let suspects_first = self.suspects_in_flight < SUSPECT_FLOOR;
            let suspected = self.suspects_in_flight < SUSPECT_MAX;
            let name = if suspects_first {
                self.suspected.pop_front().or_else(|| self.trusted.pop_front())
            } else {
                self.trusted.pop_front().or_else(|| if suspected { self.suspected.pop_front() } else { None })
            }?;
            let may_start = self.may_start(&name);
            let Some(line) = self.lines.get_mut(&name) else { continue };
            line.in_ring = false;
            // It was disabled, or asked to be left alone, while it stood in the ring.
            let next = if may_start { line.ready.pop_front() } else { None };
            if let Some(delivery) = next {
                return Some(self.start(delivery));
            }
            self.ring_up(&name);
        }
    }

    fn wake(&mut self, now: Timestamp) {
        while self.delayed.peek().is_some_and(|Reverse((due, _))| *due <= now) {
            let Some(Reverse((_, id))) = self.delayed.pop() else { break };
            // An entry that a later one took the place of leads to nothing, or to a body that is not due.
            if self.delayed_bodies.get(&id).is_some_and(|delivery| delivery.due <= now)
                && let Some(delivery) = self.delayed_bodies.remove(&id)
            {
                self.join(delivery);
            }
        }
        let over: Vec<Name> =
            self.held.iter().filter(|(_, until)| **until <= now).map(|(name, _)| name.clone()).collect();
        for name in over {
            self.held.remove(&name);
            self.ring_up(&name);
        }
    }

    fn start(&mut self, delivery: PendingDelivery) -> Started {
        let name = delivery.webhook.clone();
        self.standing.remove(&delivery.id);
        let is_suspect = self.suspects.contains(&name);
        self.lines.entry(name.clone()).or_default().in_flight += 1;
        self.in_flight += 1;
        self.suspects_in_flight += usize::from(is_suspect);
        self.ring_up(&name);
        Started { delivery, is_suspect }
    }

    pub(crate) fn ended(&mut self, started: &Started, went: Went) {
        let name = &started.delivery.webhook;
        self.in_flight = self.in_flight.saturating_sub(1);
        self.suspects_in_flight = self.suspects_in_flight.saturating_sub(usize::from(started.is_suspect));
        if let Some(line) = self.lines.get_mut(name) {
            line.in_flight = line.in_flight.saturating_sub(1);
        }
        match went {
            Went::Well => drop(self.suspects.remove(name)),
            Went::Badly => drop(self.suspects.insert(name.clone())),
            Went::Nowhere => {}
        }
        self.ring_up(name);
    }

    pub(crate) fn waiting(&self) -> usize {
        self.standing.len() + self.delayed_bodies.len()
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sublet_model::EventId;

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn delivery(number: i64, webhook: &str, due: i64) -> PendingDelivery {
        PendingDelivery {
            id: DeliveryId::from_raw(number),
            webhook: webhook.parse().unwrap(),
            event: EventId::from_raw(1),
            attempts: 0,
            due: at(due),
        }
    }

    fn all(lines: &mut Lines, now: Timestamp) -> Vec<Started> {
        std::iter::from_fn(|| lines.next(now)).collect()
    }

    fn count(started: &[Started], webhook: &str) -> usize {
        started.iter().filter(|one| one.delivery.webhook.as_str() == webhook).count()
    }

    fn webhooks(states: &[(&str, bool)]) -> BTreeMap<Name, bool> {
        states.iter().map(|(name, enabled)| (name.parse().unwrap(), *enabled)).collect()
    }

    #[test]
    fn a_line_has_so_many_at_once_and_the_others_go_past_it() {
        let mut lines = Lines::default();
        for number in 0..100 {
            lines.arrive(delivery(number, "slow", 0), NOW);
        }
        lines.arrive(delivery(200, "quick", 0), NOW);
        let started = all(&mut lines, NOW);
        assert_eq!(count(&started, "slow"), PER_WEBHOOK_MAX);
        assert_eq!(started[1].delivery.webhook.as_str(), "quick");
        lines.ended(&started[1], Went::Well);
        assert!(lines.next(NOW).is_none());
        lines.arrive(delivery(201, "quick", 0), NOW);
        assert_eq!(lines.next(NOW).unwrap().delivery.id.raw(), 201);
        lines.ended(&started[0], Went::Well);
        assert_eq!(lines.next(NOW).unwrap().delivery.id.raw(), 8);
        assert_eq!((lines.waiting(), lines.in_flight()), (91, 9));
    }

    #[test]
    fn however_many_webhooks_hang_there_is_room_for_those_that_do_not() {
        let mut lines = Lines::default();
        let names: Vec<String> = (0..100).map(|number| format!("hangs-{number}")).collect();
        for (number, name) in (0..).zip(&names) {
            lines.arrive(delivery(number, name, 0), NOW);
        }
        for started in all(&mut lines, NOW) {
            lines.ended(&started, Went::Badly);
        }
        for (number, name) in (1_000..).step_by(10).zip(&names) {
            for more in 0..8 {
                lines.arrive(delivery(number + more, name, 0), NOW);
            }
        }
        let hanging = all(&mut lines, NOW);
        assert_eq!(hanging.len(), SUSPECT_MAX);
        for number in 5_000..5_008 {
            lines.arrive(delivery(number, "quick", 0), NOW);
        }
        let quick = all(&mut lines, NOW);
        assert_eq!(count(&quick, "quick"), 8);
        // One that answers again is trusted again.
        lines.ended(&hanging[0], Went::Well);
        assert!(lines.next(NOW).is_some());
    }

    #[test]
    fn a_disabled_webhooks_line_stands_still_and_goes_on_when_it_is_enabled() {
        let mut lines = Lines::default();
        lines.arrive(delivery(1, "w", 0), NOW);
        lines.set_webhooks(&webhooks(&[("w", false), ("other", true)]));
        lines.arrive(delivery(2, "w", 0), NOW);
        lines.arrive(delivery(3, "w", 5_000), NOW);
        lines.arrive(delivery(4, "other", 0), NOW);
        assert_eq!(all(&mut lines, at(6_000)).len(), 1, "the other's");
        assert!(lines.has_paused());
        lines.set_webhooks(&webhooks(&[("w", true), ("other", true)]));
        let started = all(&mut lines, at(6_000));
        assert_eq!(started.iter().map(|one| one.delivery.id.raw()).collect::<Vec<_>>(), [1, 2, 3]);
        assert!(!lines.has_paused());
    }

    #[test]
    fn what_waits_too_long_for_a_disabled_webhook_is_handed_out_to_be_given_up() {
        let mut lines = Lines::default();
        let id = |seconds: i64| sublet_model::id::floor_at(at(1_769_851_800_000 + seconds * 1_000));
        lines.set_webhooks(&webhooks(&[("w", false), ("other", true)]));
        lines.arrive(delivery(id(10), "w", 0), NOW);
        lines.arrive(delivery(id(20), "w", 0), NOW);
        lines.expire(at(1_769_851_815_000));
        let started = all(&mut lines, NOW);
        assert_eq!(started.iter().map(|one| one.delivery.id.raw()).collect::<Vec<_>>(), [id(10)]);
        lines.ended(&started[0], Went::Nowhere);
        assert_eq!((lines.waiting(), lines.in_flight()), (1, 0));
    }

    #[test]
    fn a_webhook_that_asked_for_it_is_left_alone_until_then() {
        let mut lines = Lines::default();
        lines.arrive(delivery(1, "w", 0), NOW);
        lines.arrive(delivery(2, "w", 0), NOW);
        let first = lines.next(NOW).unwrap();
        lines.hold(&first.delivery.webhook, at(9_000));
        lines.hold(&first.delivery.webhook, at(4_000));
        lines.ended(&first, Went::Badly);
        assert!(lines.next(at(8_999)).is_none());
        assert_eq!(lines.next_due(), Some(at(9_000)));
        assert_eq!(lines.next(at(9_000)).unwrap().delivery.id.raw(), 2);
    }

    #[test]
    fn a_delivery_waits_for_its_time_and_leaves_nothing_behind() {
        let mut lines = Lines::default();
        lines.arrive(delivery(1, "w", 2_000), NOW);
        lines.arrive(delivery(1, "w", 2_000), NOW);
        assert!(lines.next(NOW).is_none());
        assert_eq!((lines.next_due(), lines.waiting()), (Some(at(2_000)), 1));
        let started = lines.next(at(2_000)).unwrap();
        assert!(lines.next(at(2_000)).is_none());
        lines.ended(&started, Went::Well);
        assert!(lines.lines.is_empty() && lines.delayed_bodies.is_empty() && lines.standing.is_empty());
        assert_eq!((lines.waiting(), lines.in_flight()), (0, 0));
    }

    #[test]
    fn a_replay_of_what_waits_starts_it_once() {
        let mut lines = Lines::default();
        lines.arrive(delivery(1, "w", 9_000), NOW);
        lines.arrive(delivery(1, "w", 1_000), NOW);
        lines.arrive(delivery(1, "w", 1_000), NOW);
        assert_eq!(lines.waiting(), 1);
        assert_eq!(all(&mut lines, NOW).len(), 1);
        assert!(lines.next(at(9_000)).is_none());
        // A retry that comes later than the entry it replaces.
        lines.arrive(delivery(2, "w", 9_500), at(9_000));
        lines.arrive(delivery(2, "w", 20_000), at(9_000));
        assert!(lines.next(at(10_000)).is_none());
        assert!(lines.next(at(20_000)).is_some());
    }
}
