//! Which delivery goes next: per webhook a line with so many at once, so that a receiver that hangs delays itself alone.
//! Pure; the shell is in `mod.rs`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use sublet_model::{DeliveryId, Name, Timestamp};
use sublet_store::PendingDelivery;

/// Tries at once to one webhook, and to all together.
pub(crate) const PER_WEBHOOK_MAX: usize = 8;
pub(crate) const IN_FLIGHT_MAX: usize = 256;

#[derive(Debug, Default)]
struct Line {
    ready: VecDeque<PendingDelivery>,
    in_flight: usize,
    /// It stands in the ring of webhooks that may start a try.
    in_ring: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Lines {
    lines: BTreeMap<Name, Line>,
    ring: VecDeque<Name>,
    /// By due time; the body by id, because the order is of times alone.
    delayed: BinaryHeap<Reverse<(Timestamp, DeliveryId)>>,
    delayed_bodies: BTreeMap<DeliveryId, PendingDelivery>,
    in_flight: usize,
    waiting: usize,
}

impl Lines {
    pub(crate) fn arrive(&mut self, delivery: PendingDelivery, now: Timestamp) {
        self.waiting += 1;
        if delivery.due > now {
            self.delayed.push(Reverse((delivery.due, delivery.id)));
            if self.delayed_bodies.insert(delivery.id, delivery).is_some() {
                self.waiting -= 1;
            }
            return;
        }
        self.join(delivery);
    }

    fn join(&mut self, delivery: PendingDelivery) {
        let name = delivery.webhook.clone();
        self.lines.entry(name.clone()).or_default().ready.push_back(delivery);
        self.ring_up(&name);
    }

    fn ring_up(&mut self, name: &Name) {
        let Some(line) = self.lines.get_mut(name) else { return };
        if !line.ready.is_empty() && line.in_flight < PER_WEBHOOK_MAX && !line.in_ring {
            line.in_ring = true;
            self.ring.push_back(name.clone());
        }
        if line.ready.is_empty() && line.in_flight == 0 && !line.in_ring {
            self.lines.remove(name);
        }
    }

    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.delayed.peek().map(|Reverse((due, _))| *due)
    }

    /// The next one to try; then say [`Lines::ended`].
    pub(crate) fn next(&mut self, now: Timestamp) -> Option<PendingDelivery> {
        while self.next_due().is_some_and(|due| due <= now) {
            let Some(Reverse((_, id))) = self.delayed.pop() else { break };
            if let Some(delivery) = self.delayed_bodies.remove(&id) {
                self.join(delivery);
            }
        }
        if self.in_flight >= IN_FLIGHT_MAX {
            return None;
        }
        let name = self.ring.pop_front()?;
        let line = self.lines.get_mut(&name)?;
        line.in_ring = false;
        let delivery = line.ready.pop_front()?;
        line.in_flight += 1;
        self.in_flight += 1;
        self.waiting -= 1;
        self.ring_up(&name);
        Some(delivery)
    }

    pub(crate) fn ended(&mut self, webhook: &Name) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(line) = self.lines.get_mut(webhook) {
            line.in_flight = line.in_flight.saturating_sub(1);
        }
        self.ring_up(webhook);
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting
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

    fn delivery(number: i64, webhook: &str, due: i64) -> PendingDelivery {
        PendingDelivery {
            id: DeliveryId::from_raw(number),
            webhook: webhook.parse().unwrap(),
            event: EventId::from_raw(1),
            attempts: 0,
            due: Timestamp::from_millis(due),
        }
    }

    #[test]
    fn a_receiver_that_hangs_delays_itself_alone() {
        let mut lines = Lines::default();
        for number in 0..100 {
            lines.arrive(delivery(number, "slow", 0), NOW);
        }
        lines.arrive(delivery(200, "quick", 0), NOW);
        let started: Vec<String> =
            std::iter::from_fn(|| lines.next(NOW)).map(|delivery| delivery.webhook.to_string()).collect();
        assert_eq!(started.iter().filter(|name| *name == "slow").count(), PER_WEBHOOK_MAX);
        assert_eq!(started[1], "quick");
        lines.ended(&"quick".parse().unwrap());
        assert!(lines.next(NOW).is_none());
        lines.arrive(delivery(201, "quick", 0), NOW);
        assert_eq!(lines.next(NOW).unwrap().id.raw(), 201);
        lines.ended(&"slow".parse().unwrap());
        assert_eq!(lines.next(NOW).unwrap().id.raw(), 8);
        assert_eq!((lines.waiting(), lines.in_flight()), (91, 9));
    }

    #[test]
    fn a_delivery_waits_for_its_time_and_leaves_nothing_behind() {
        let mut lines = Lines::default();
        lines.arrive(delivery(1, "w", 2_000), NOW);
        lines.arrive(delivery(1, "w", 2_000), NOW);
        assert!(lines.next(NOW).is_none());
        assert_eq!((lines.next_due(), lines.waiting()), (Some(Timestamp::from_millis(2_000)), 1));
        assert!(lines.next(Timestamp::from_millis(2_000)).is_some());
        assert!(lines.next(Timestamp::from_millis(2_000)).is_none());
        lines.ended(&"w".parse().unwrap());
        assert!(lines.lines.is_empty() && lines.delayed_bodies.is_empty());
        assert_eq!((lines.waiting(), lines.in_flight()), (0, 0));
    }
}
